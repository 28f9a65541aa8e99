"""The write-ahead log: segment files that grow at their end, one entry for what becomes visible together.

    append -> write(2) -> at `always` fdatasync -> only then does the caller publish

Levels: `os` writes and never syncs; `everysec` is synced by whoever calls sync() each second (storage/syncer, a
thread); `always` is synced before append() returns.

Invariants
 1. Entries follow each other without gap: each begins at appended_lsn + 1.
 2. `durable_lsn` is at most what a sync that succeeded has covered, directory entries included.
 3. An entry that append() refuses is not in the file, or the file is broken: then it may be there, and the next
    segment, which begins at the same position, says by that that it does not count (storage/log_reader).
 4. A file on which a sync has failed is never synced again.

A kill at any line leaves whole entries and at most one that is torn, at the end of the last segment.

append(), rotate() and start_over() belong to one thread, sync() may be called by another.
"""

import os
import re
import threading

from ..errors import DiskError, InvariantError, UsageError
from ..formats.log import SEGMENT_HEADER_SIZE_BYTES, SegmentHeader, entry_seed, pack_entry, pack_segment_header
from ..limits import LOG_ENTRY_BYTES_MAX, LOG_SEGMENT_BYTES, MIB
from .files import AppendFile, disk_error

NONE, OS, EVERYSEC, ALWAYS = "none", "os", "everysec", "always"
LEVELS = (NONE, OS, EVERYSEC, ALWAYS)
_ROTATE_LATER_BYTES = 8 * MIB
_NAME = re.compile(r"^wal-(\d{8,})$").match


def segment_name(sequence):
    """The file name of a segment.

    >>> segment_name(7)
    'wal-00000007'
    """
    return "wal-%08d" % sequence


def segment_number(name):
    """The sequence number that a file name stands for, or None."""
    match = _NAME(name)
    return int(match.group(1)) if match and segment_name(int(match.group(1))) == name else None


class Segment(object):
    """One file of the log, as far as the writer knows it."""

    def __init__(self, file, sequence, first_lsn):
        self.file = file
        self.path = file.path
        self.sequence = sequence
        self.first_lsn = first_lsn

    @property
    def size_bytes(self):
        return self.file.good_bytes


class Wal(object):
    """The writer of the log in one directory, which it has to itself.

    `first_lsn` is the position of the next effect, `durable_lsn` how far everything is known to be on the disk,
    `sequence` the number of the first segment made.  `wall_offset_ms` is an attribute that the owner keeps right.
    Raises DiskError where the first segment cannot be made.
    """

    def __init__(self, files, directory, lineage, level, sequence, first_lsn, durable_lsn=0, wall_offset_ms=0,
                 wall_ms=lambda: 0, segment_bytes=LOG_SEGMENT_BYTES):
        if level not in LEVELS:
            raise UsageError("no durability is called %r; there are: %s" % (level, " ".join(LEVELS)))
        self.directory = directory
        self.level = level
        self.wall_offset_ms = wall_offset_ms
        self.appended_lsn = first_lsn - 1
        self.durable_lsn = min(durable_lsn, first_lsn - 1)
        self.entries = 0
        self._always = level == ALWAYS
        self._files = files
        self._lineage = lineage
        self._wall_ms = wall_ms
        self._segment_bytes = self._rotate_at = segment_bytes
        self._sync_lock = threading.Lock()
        self._names_made = self._names_synced = 0  # segments made, and those whose names are on the disk
        self._retired = []  # segments that are full and not yet synced
        self._closed_unsynced = False
        self.older = []  # segments before the current one that are still there
        self._last_number = sequence - 1  # no number is used twice: a file that could not be made may be there
        self._unsure_lsn = 0  # up to here a broken segment may lack something: see start_over()
        self._current = None
        self._current = self._make_segment(first_lsn)
        self._file = self._current.file

    def _make_segment(self, first_lsn):
        self._last_number += 1
        sequence = self._last_number
        file = AppendFile(self._files, os.path.join(self.directory, segment_name(sequence)))
        try:
            file.append(pack_segment_header(SegmentHeader(self._lineage, sequence, first_lsn, self.durable_lsn,
                                                          self._wall_ms())))
            self._names_made += 1
            if self._always:
                file.sync()
                self._sync_names()
        except DiskError as error:
            file.close()
            self._remove(file.path)
            if self._current is not None and (file.good_bytes or not error.full):
                # It may be found after a power cut, and then what the present one gets from here on does not count.
                self._current.file.broken = error
            raise
        file.seed = entry_seed(self._lineage, sequence)
        return Segment(file, sequence, first_lsn)

    def _sync_names(self):
        made = self._names_made  # read first: another may be made meanwhile
        try:
            self._files.sync_directory(self.directory)
        except OSError as error:
            raise disk_error("sync the directory", self.directory, error) from error
        self._names_synced = made

    # -- writing ------------------------------------------------------------------------------------------------------

    @property
    def broken(self):
        """The DiskError after which this segment takes nothing more, or None; start_over() begins another."""
        return self._current.file.broken

    def append(self, first_lsn, count, payload):
        """Append `count` effects as one entry; when it returns they are as safe as the level says.

        Raises DiskError, and they are not.  Cost: some 1.5 us and what write(2) takes; at `always` an fdatasync.
        """
        if first_lsn != self.appended_lsn + 1 or len(payload) > LOG_ENTRY_BYTES_MAX:
            raise self._impossible(first_lsn, payload)
        file = self._file
        file.append(pack_entry(first_lsn, self.durable_lsn, self.wall_offset_ms, count, payload, file.seed))
        if self._always:
            file.sync()
            self.appended_lsn = first_lsn + count - 1
            if self.durable_lsn >= self._unsure_lsn:
                self.durable_lsn = self.appended_lsn
        else:
            self.appended_lsn = first_lsn + count - 1
        self.entries += 1
        if file.good_bytes >= self._rotate_at:
            self._rotate_if_possible()

    def _impossible(self, first_lsn, payload):
        if len(payload) > LOG_ENTRY_BYTES_MAX:
            return DiskError("a batch whose effects take %d bytes; the log takes %d at a time: split it"
                             % (len(payload), LOG_ENTRY_BYTES_MAX))
        return InvariantError("an entry at %d behind %d" % (first_lsn, self.appended_lsn))

    def _rotate_if_possible(self):
        try:
            self.rotate()
        except DiskError:
            self._rotate_at = self._current.size_bytes + _ROTATE_LATER_BYTES  # this one goes on until then

    def rotate(self):
        """Go on in a new segment, unless this one is empty.

        Raises DiskError; the present one goes on then, or is broken where the new one may be there all the same.
        """
        segment = self._current
        if self.broken is not None:
            raise self.broken
        if segment.size_bytes <= SEGMENT_HEADER_SIZE_BYTES:
            return
        following = self._make_segment(self.appended_lsn + 1)
        self.older.append(segment)
        if self.level == EVERYSEC:
            self._retired.append(segment)  # before it stops being the current one: sync() looks there afterwards
        self._current, self._file, self._rotate_at = following, following.file, self._segment_bytes
        if self.level != EVERYSEC:
            self._closed_unsynced = not self._always
            segment.file.close()

    def start_over(self, first_lsn):
        """Leave a broken segment behind and begin another at `first_lsn`.

        What the broken one holds from there on does not count any more; what it holds before may be lost in a power cut
        until a checkpoint stands: durable_lsn stays until the owner raises it then.
        """
        with self._sync_lock:
            segment = self._current
            if (self.broken is None and segment.size_bytes == SEGMENT_HEADER_SIZE_BYTES
                    and segment.first_lsn == first_lsn == self.appended_lsn + 1):
                return  # that has been done, and nothing was written since
            following = self._make_segment(first_lsn)
            segment.file.close()
            for retired in self._retired:
                retired.file.close()
            self._retired = []
            self.older.append(segment)
            self._current, self._file, self._rotate_at = following, following.file, self._segment_bytes
            self.appended_lsn = self._unsure_lsn = first_lsn - 1
            self.durable_lsn = min(self.durable_lsn, first_lsn - 1)

    # -- syncing ------------------------------------------------------------------------------------------------------

    def sync(self):
        """Bring everything appended so far to the disk.  Raises DiskError, and the segment is broken then."""
        if self._closed_unsynced:
            raise InvariantError("segments were closed without a sync, as the level %s has it" % self.level)
        with self._sync_lock:
            # In this order: what was appended up to `target` lies in `current` or in one retired before it was read.
            target = self.appended_lsn
            current = self._current
            retired = list(self._retired)
            if target <= self.durable_lsn and self._names_made == self._names_synced:
                return
            try:
                for segment in retired:
                    segment.file.sync()
                current.file.sync()
                if self._names_made != self._names_synced:
                    self._sync_names()
            except DiskError as error:
                current.file.broken = error
                raise
            if self.durable_lsn >= self._unsure_lsn:
                self.durable_lsn = max(self.durable_lsn, target)
            for segment in retired:
                self._retired.remove(segment)
                segment.file.close()

    def look(self):
        """Notice a segment whose name is gone: what is written there nobody will find."""
        file = self._current.file
        if file.broken is None and not file.listed():
            file.broken = DiskError("the log %s was removed under the coordinator; writes are kept nowhere until its "
                                    "directory is there again" % file.path)

    # -- positions ----------------------------------------------------------------------------------------------------

    @property
    def size_bytes(self):
        """Bytes of all segments that are there."""
        return sum(segment.size_bytes for segment in self.older) + self._current.size_bytes

    @property
    def segments(self):
        """How many files the log has."""
        return len(self.older) + 1

    @property
    def sequence(self):
        """The number of the segment that is being written."""
        return self._current.sequence

    def position(self):
        """(sequence, offset) of the next entry."""
        return self._current.sequence, self._current.size_bytes

    def pieces(self, since):
        """[(path, start, end)]: where the entries from the position `since` to the last one lie."""
        sequence, offset = since
        found = []
        for segment in self.older + [self._current]:
            if segment.sequence >= sequence:
                start = offset if segment.sequence == sequence else SEGMENT_HEADER_SIZE_BYTES
                if segment.size_bytes > start:
                    found.append((segment.path, start, segment.size_bytes))
        return found

    def remove_through(self, lsn):
        """Remove the segments that hold nothing behind `lsn`, which a checkpoint has."""
        kept = []
        followers = self.older[1:] + [self._current]
        for segment, following in zip(self.older, followers):
            if following.first_lsn > lsn + 1 or segment in self._retired or not self._remove(segment.path):
                kept.append(segment)
        self.older = kept

    def _remove(self, path):
        try:
            self._files.unlink(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # the next checkpoint tries again
        return True

    def close(self, sync=True):
        """Bring what is left to the disk, at every level but `os`, and close the files.  Raises DiskError."""
        try:
            if sync and self.level != OS and self.broken is None:
                self.sync()
        finally:
            for segment in self._retired + [self._current]:
                segment.file.close()
            self._retired = []

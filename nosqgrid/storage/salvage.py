"""Saving what is left of a directory that does not start any more, into a new one.

A start is all or nothing: it refuses where anything that was promised is missing.  This takes whatever is whole, block
by block and entry by entry, and tells what it left out.  Where a start would work it comes to the same state.

Effects count by their position: for each key the one with the highest, deletions included, whatever the order in which
they are found.  So a key whose last change was left out stands as it was before, and a key whose deletion was left out
is back; what comes out is in general a state that never was, made of values that were.  A list, hash, set, sorted set
or stream takes the changes that are left, in their order, without those that do not fit what it is by then: where one
is missing between two, it may be what it never was, made of elements that were.
"""

import errno
import os
from collections import namedtuple

from ..engine.databases import is_hidden
from ..errors import CorruptFileError, FormatVersionError, GridFullError, UsageError
from ..formats import checkpoint as layout
from ..formats import effects, log, records, values, words
from ..formats.lane import DELETE
from ..limits import CHECKPOINT_BLOCK_BYTES
from . import checkpoint, inspection, rebuilding, recovery
from .files import disk_error
from .log_reader import find_segments, limit_of, witness

SECTOR_BYTES = 4096  # left out at a time where the device cannot read
ENTRY_OVERHEAD_BYTES = 300  # of a key in memory, beside key and value
LINEAGE_OFFSET = 16  # in the header of a segment (formats/log)

KEYS_GONE = "the keys in it are missing, unless the log sets them again"
NO_PROMISE = "a write that was under way: nothing says that it was ever on the disk"
CHANGES_GONE = "what was written there is missing: such keys stand as before, and keys deleted there are back"
ELEMENTS_GONE = "its elements are what the other changes make of it"
NOTHING_GONE = "nothing is missing for that alone"

# `offset` and `bytes` tell where, `what` is wrong and what that `means`.
LeftOut = namedtuple("LeftOut", "path offset bytes what means")
Saved = namedtuple("Saved", "path lsn keys bytes left_out")


class SkippingFiles(object):
    """A Files whose device may have sectors that cannot be read: they read as zeros, which no checksum holds for."""

    def __init__(self, files):
        self._files = files
        self.unreadable = 0  # sectors

    def __getattr__(self, name):
        return getattr(self._files, name)

    def pread(self, fd, size, offset):
        try:
            return self._files.pread(fd, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        size = min(size, SECTOR_BYTES - offset % SECTOR_BYTES)
        try:
            return self._files.pread(fd, size, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        self.unreadable += 1
        return bytes(max(min(size, self._files.size(fd) - offset), 0))


class Rescued(recovery.PlainState):
    """A state that takes effects in any order; up to the position `floor` only records of a checkpoint count."""

    def __init__(self, limit_bytes=None):
        super().__init__()
        self.floor = 0
        self.size_bytes = 0
        self._limit_bytes = limit_bytes
        self._deleted = {}  # key -> position
        self._cleared = 0

    def apply(self, first_lsn, count, payload, shift_ms, fuzzy):
        """As PlainState, but nothing is done where not all of the entry makes sense."""
        found, position = [], 0
        while position < len(payload):
            stop = effects.effect_end(payload, position, len(payload))
            found.append(effects.unpack(payload, position, stop))
            position = stop
        if len(found) != count or first_lsn + count - 1 > log.LSN_MAX:
            raise CorruptFileError("%d effects where there should be %d" % (len(found), count))
        for lsn, effect in enumerate(found, first_lsn):
            if lsn <= self.floor:
                continue
            self._take(effect, lsn, shift_ms)
            if effect.operation == effects.CLEAR:
                self._cleared = max(self._cleared, lsn)
            elif effect.operation == DELETE:
                self._deleted[effect.key] = max(self._deleted.get(effect.key, 0), lsn)
        self.lsn = max(self.lsn, first_lsn + count - 1)

    def _put(self, effect, version, shift_ms):
        if version <= self._cleared and not is_hidden(effect.key) or version <= self._deleted.get(effect.key, 0):
            return
        super()._put(effect, version, shift_ms)
        if self._limit_bytes is not None:
            self.size_bytes += len(effect.key) + len(effect.value) + ENTRY_OVERHEAD_BYTES
            if self.size_bytes > self._limit_bytes:
                self._count_again()

    def _change(self, effect, version, version_max):
        super()._change(effect, version, version_max)
        self.size_bytes += len(effect.value)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            self._count_again()

    def _count_again(self):
        # What was replaced or deleted meanwhile is counted until here.
        self.size_bytes = sum(len(key) + len(entry[1]) for key, entry in self.entries.items())
        self.size_bytes += ENTRY_OVERHEAD_BYTES * (len(self.entries) + len(self._deleted))
        if self.size_bytes > self._limit_bytes * 0.9:
            raise GridFullError("what can be read takes more than the %d bytes of memory given: allow more with "
                                "--memory" % self._limit_bytes)


class Salvage(object):
    """Reads one directory; `state` and `left_out` afterwards."""

    def __init__(self, files, directory, limit_bytes=None, progress=None):
        self.left_out = []
        self._files = SkippingFiles(files)
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._progress = progress or (lambda path: None)
        self._lineage = None
        self._reached = 0  # positions up to here are in what was found, or told as left out
        self._parts = 0  # blocks and entries found
        self.state = Rescued(limit_bytes)

    def read(self):
        """Find what there is.  Raises FormatVersionError, DiskError, GridFullError; CorruptFileError for nothing."""
        try:
            return self._read_as_a_start_would()
        except CorruptFileError:
            self.state = Rescued(self._limit_bytes)
        self._read_checkpoints()
        self._read_log()
        if not self._parts:
            raise CorruptFileError("nothing whole was found in %s; restore a backup with: nosqgrid restore FILE --dir "
                                   "NEWDIR" % self._directory, self._directory, 0)
        versions = (entry[3] for entry in self.state.entries.values())
        self.state.finish(max(max(versions, default=0), self.state.lsn, self._reached))

    def _read_as_a_start_would(self):
        self._progress(self._directory)
        report = recovery.load(self._files, self._directory, self.state, 0)
        if report.checkpoint is None and not report.segments:
            raise UsageError("there is no checkpoint and no log in %s: nothing to save" % self._directory)
        if report.torn is not None:
            torn = report.torn
            self._leave_out(torn.path, torn.offset, torn.dropped_bytes, torn.what, NO_PROMISE)
        for note in report.notes:
            self._leave_out(report.checkpoint or self._directory, 0, 0, note, NOTHING_GONE)

    def _leave_out(self, path, offset, size, what, means):
        self.left_out.append(LeftOut(path, offset, size, what, means))

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _read_checkpoints(self):
        """The newest, and if that is not whole the one before as well, and so on."""
        for lsn, path in checkpoint.find_checkpoints(self._files, self._directory):
            self._progress(path)
            reader = checkpoint.Reader(self._files, path, without_header=True)
            if self._lineage is None and reader.header is not None:
                self._lineage = reader.header.lineage
            whole = self._is_whole(path, lsn)
            if whole:
                self.state.floor = lsn
            before = len(self.left_out)
            self._read_blocks(reader)
            self._reached = max(self._reached, lsn)
            if whole:
                if self.left_out:
                    self._leave_out(path, 0, 0, "it was read as well, since a newer one is damaged",
                                    "keys that were deleted since may be back")
                return
            if len(self.left_out) == before:
                self._leave_out(path, 0, 0, "it contradicts itself", "what was read of it was taken all the same")

    def _is_whole(self, path, lsn):
        try:
            return inspection.verify(checkpoint.Reader(self._files, path)).lsn == lsn
        except CorruptFileError:
            return False

    def _read_blocks(self, reader):
        if reader.header is None:
            self._leave_out(reader.path, 0, min(layout.HEADER_SIZE_BYTES, reader.size_bytes), "the header is damaged",
                            NOTHING_GONE)
        floor, self.state.floor = self.state.floor, 0  # its own log belongs to it
        for header, payload in reader.salvage():
            try:
                recovery.load_block(self.state, header, payload, 0)
            except CorruptFileError as error:
                self._leave_out(reader.path, reader.offset, layout.BLOCK_HEADER_SIZE_BYTES + len(payload), str(error),
                                KEYS_GONE)
            else:
                self._parts += 1
        self.state.floor = floor
        for offset, size in reader.skipped:
            self._leave_out(reader.path, offset, size, "no whole block", KEYS_GONE)
        if reader.end is None:
            self._leave_out(reader.path, reader.size_bytes, 0, "the end of the checkpoint is missing",
                            "keys that stood behind it are missing, unless the log sets them again")

    # -- the log ------------------------------------------------------------------------------------------------------

    def _read_log(self):
        segments = find_segments(self._files, self._directory)
        for segment in segments:
            if isinstance(segment.error, FormatVersionError):
                raise segment.error
            if self._lineage is None and segment.header is not None:
                self._lineage = segment.header.lineage
        foreign = [segment for segment in segments
                   if segment.header is not None and segment.header.lineage != self._lineage]
        for segment in foreign:
            self._leave_out(segment.path, 0, segment.size_bytes, "it belongs to another grid", NOTHING_GONE)
        segments = [segment for segment in segments if segment not in foreign]
        for segment in segments:
            # Where the header is damaged and no other file tells it: perhaps the damage is not just there.
            segment.lineage = segment.lineage or self._lineage or self._lineage_as_it_stands(segment.path)
        for index, segment in enumerate(segments):
            self._progress(segment.path)
            if segment.header is None:
                self._leave_out(segment.path, 0, min(log.SEGMENT_HEADER_SIZE_BYTES, segment.size_bytes),
                                str(segment.error), NOTHING_GONE)
            self._read_segment(segments, index)

    def _lineage_as_it_stands(self, path):
        try:
            fd = self._files.open(path)
            try:
                return int.from_bytes(self._files.pread(fd, 8, LINEAGE_OFFSET), "little")
            finally:
                self._files.close(fd)
        except OSError as error:
            raise disk_error("read", path, error) from error

    def _read_segment(self, segments, index):
        segment, limit, hole = segments[index], limit_of(segments, index), None
        offset, position = log.SEGMENT_HEADER_SIZE_BYTES, 0
        if segment.header is not None:
            position = segment.header.first_lsn - 1
        while offset < segment.size_bytes:
            for start, end, entry in segment.entries(offset):
                if position < entry.first_lsn < limit:  # else it is there again, or does not count any more
                    self._close_hole(segment, hole, entry.first_lsn)
                    self._take(segment, start, end, entry)
                    hole, position = None, entry.first_lsn + entry.count - 1
                offset = end
            if offset >= segment.size_bytes or position + 1 >= limit:
                break
            following = _next_entry(segment, offset, position, limit)
            hole = offset, following - offset
            offset = following
        if limit <= log.LSN_MAX:
            if position + 1 < limit:
                self._close_hole(segment, hole, limit)
        elif hole is not None:
            promised = witness(segments, index, hole[0], position + 1) is not None
            self._leave_out(segment.path, hole[0], hole[1], "no whole entry", CHANGES_GONE if promised else NO_PROMISE)

    def _close_hole(self, segment, hole, next_lsn):
        """What is taken goes on with `next_lsn`; tell what is missing before it: `hole` is (offset, bytes) or None."""
        first, last = self._reached + 1, next_lsn - 1
        offset, size = hole or (log.SEGMENT_HEADER_SIZE_BYTES, 0)
        if first <= last:
            self._leave_out(segment.path, offset, size, "positions %d to %d are missing" % (first, last), CHANGES_GONE)
            self._reached = last
        elif hole is not None:
            covered = last <= self.state.floor
            self._leave_out(segment.path, offset, size, "no whole entry", NOTHING_GONE if covered else CHANGES_GONE)

    def _take(self, segment, start, end, entry):
        try:
            self.state.apply(entry.first_lsn, entry.count, entry.payload, entry.wall_offset_ms, False)
        except CorruptFileError as error:
            self._leave_out(segment.path, start, end - start, str(error), CHANGES_GONE)
        else:
            self._parts += 1
        self._reached = max(self._reached, entry.first_lsn + entry.count - 1)


def _next_entry(segment, offset, position, limit):
    """Where the next entry behind damage begins that continues behind a position, or the end of the file."""
    behind = segment.entry_behind(offset)
    if behind:
        return behind
    for at, entry in segment.later_entries(offset + 1):
        if position < entry.first_lsn < limit:
            return at
    return segment.size_bytes


def salvage(files, directory, new_directory, lineage, wall_ms, pid, limit_bytes=None, progress=None):
    """Save what is whole in a directory, which is not changed, into a new one as one checkpoint; Saved.

    `lineage` is the random number of the new grid, `wall_ms` the time, `limit_bytes` how much memory may be used,
    `progress(path)` is told what is being read.  Raises UsageError where the new directory is not new, CorruptFileError
    where nothing is left, FormatVersionError, DiskError, GridFullError; the new directory is then as it was.
    """
    names = inspection.listed(files, directory)
    if names is None:
        raise UsageError("%s is a file; give the directory" % directory)
    if os.path.abspath(new_directory).startswith(os.path.join(os.path.abspath(directory), "")):
        raise UsageError("%s lies in %s, which is not to be changed; give a place elsewhere"
                         % (new_directory, directory))
    with inspection.NewDirectory(files, new_directory, pid) as new:
        found = Salvage(files, directory, limit_bytes, progress)
        found.read()
        state = found.state
        writer = checkpoint.Writer(files, new.temporary, layout.Header(lineage, state.lsn, wall_ms))
        new.writer = writer
        keys = _write(writer, state.entries, lambda what: found.left_out.append(
            LeftOut(directory, 0, 0, what, ELEMENTS_GONE)))
        writer.finish(state.lsn)
        return Saved(new.give_name(state.lsn), state.lsn, keys, writer.bytes, found.left_out)


def _write(writer, entries, leave_out):
    """Add entries as records; their deadlines are wall clock, which is a monotonic clock with an offset of 0.

    leave_out(what) is told of changes that did not fit.  How many keys there are.
    """
    block, size, keys = [], 0, 0
    for key, (value_type, value, deadline_ms, version) in entries.items():
        stamp = records.STAMP.pack(version << records.COPIES_BITS)
        parts = _parts(key, value_type, value, leave_out)
        keys += bool(parts)
        for index, part in enumerate(parts):
            body = records.pack_body(key, part, value_type, 0 if index else deadline_ms)
            block.append(stamp + (records.with_flag(body, records.MORE) if index else body))
            size += len(body)
            if size >= CHECKPOINT_BLOCK_BYTES:
                writer.records(block, 0)
                block, size = [], 0
    writer.records(block, 0)
    return keys


def _parts(key, value_type, value, leave_out):
    """A value as the values of records; that of a structure in parts, none where nothing is left of it."""
    if value_type not in values.STRUCTURE_NAMES:
        return [value]
    structure, count = rebuilding.rebuild_what_fits(value_type, value)
    if count:
        leave_out("%d changes of the %s at %r do not fit what is left of it"
                  % (count, values.STRUCTURE_NAMES[value_type], key))
    if not len(structure) and not structure.KEPT_EMPTY:
        return []
    parts, part, size = [], [], 0
    for change in structure.changes():
        part.append(words.pack(change))
        size += len(part[-1])
        if size >= CHECKPOINT_BLOCK_BYTES:
            parts.append(b"".join(part))
            part, size = [], 0
    return parts + ([b"".join(part)] if part or not parts else [])

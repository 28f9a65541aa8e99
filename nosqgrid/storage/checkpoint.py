"""Checkpoints as files: written beside the grid's work, verified, and only then given their name.

    checkpoint-<pid>.tmp -> records while others write -> the log of that time -> END -> fsync -> read again -> rename
    -> fsync of the directory -> whoever kept the log may drop what the checkpoint has

Invariants
 1. A file named checkpoint-<lsn> was whole on the disk when it got that name, and is never changed.
 2. What stood before stays until then: the old checkpoint, the log.

A kill at any line leaves at most a temporary file, which the next start removes.
"""

import os
import re
import time
from collections import namedtuple

from ..errors import CorruptFileError, DiskError
from ..formats import checkpoint as layout
from ..formats import log
from ..limits import CHECKPOINT_BLOCK_BYTES, MIB
from .files import AppendFile, disk_error, read_exactly
from .log_reader import SegmentFile
from .wal import segment_number

SYNC_BYTES = 32 * MIB  # written between two syncs, so that the last one is short and the disk is not kept from others
_NAME = re.compile(r"^checkpoint-([0-9a-f]{14})$").match
_TEMPORARY = re.compile(r"^checkpoint-[0-9]+\.tmp$").match
_TEMPORARY_LOG = re.compile(r"^checkpoint-log-[0-9]+\.tmp$").match


def checkpoint_name(lsn):
    """The file name of a checkpoint at a log position.

    >>> checkpoint_name(255)
    'checkpoint-000000000000ff'
    """
    return "checkpoint-%014x" % lsn


def checkpoint_lsn(name):
    """The log position that a file name stands for, or None."""
    match = _NAME(name)
    return int(match.group(1), 16) if match else None


def temporary_path(path, pid):
    """Where the checkpoint that shall become `path`, or one of a directory, is written by a process.

    Each process has its own name: one that outlived its coordinator cannot touch the file of another.
    """
    return "%s-%d.tmp" % (path, pid)


def is_temporary(name):
    """Whether a file name is that of a checkpoint under way, or of one that did not end."""
    return bool(_TEMPORARY(name) or _TEMPORARY_LOG(name))


def remove_temporaries(files, directory):
    """Remove what checkpoints that did not end have left."""
    for name in files.names(directory):
        if _TEMPORARY_LOG(name):
            remove_directory(files, os.path.join(directory, name))
        elif is_temporary(name):
            remove_if_there(files, os.path.join(directory, name))


def remove_directory(files, path):
    """Remove a directory of ours with the files in it; whether it is gone."""
    try:
        for name in files.names(path):
            remove_if_there(files, os.path.join(path, name))
        files.remove_directory(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # the next start tries again
    return True


def find_checkpoints(files, directory):
    """[(lsn, path)] of a directory, the newest first."""
    found = [(checkpoint_lsn(name), name) for name in files.names(directory)]
    return sorted(((lsn, os.path.join(directory, name)) for lsn, name in found if lsn is not None), reverse=True)


def remove_older(files, directory, lsn):
    """Remove the checkpoints before this one, as far as that is possible."""
    try:
        found = find_checkpoints(files, directory)
    except OSError:
        return  # the directory is gone, which the log notices too
    for older, path in found:
        if older < lsn:
            remove_if_there(files, path)


# Where a checkpoint goes: into a directory under the name of its position, or to `final`.
Plan = namedtuple("Plan", "directory final lineage start_lsn")
Made = namedtuple("Made", "path lsn keys bytes seconds")


# -- writing ----------------------------------------------------------------------------------------------------------


class Writer(object):
    """One checkpoint under way at `path`, which must not exist."""

    def __init__(self, files, path, header):
        self.path = path
        self.keys = 0
        self.bytes = 0
        self._files = files
        self._unsynced = 0
        self._pieces, self._count, self._pending = [], 0, 0
        self._file = AppendFile(files, path)
        try:
            self._append(layout.pack_header(header))
        except DiskError:
            self.abandon()
            raise

    def _append(self, data):
        self._file.append(data)
        self.bytes += len(data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES:
            self._file.sync()
            self._unsynced = 0

    def records(self, records, wall_offset_ms):
        """Add records (bytes, as memory/walker gives them)."""
        block, size = [], 0
        for record in records:
            block.append(record)
            size += len(record)
            if size >= 2 * CHECKPOINT_BLOCK_BYTES:
                self._records_block(block, wall_offset_ms)
                block, size = [], 0
        if block:
            self._records_block(block, wall_offset_ms)

    def _records_block(self, records, wall_offset_ms):
        self.keys += len(records)
        payload = b"".join(records)
        self._append(layout.pack_block(layout.RECORDS, len(records), wall_offset_ms, [payload]) + payload)

    def copy(self, header, payload):
        """Add a block as it stands in another checkpoint."""
        self.keys += header.count if header.kind == layout.RECORDS else 0
        self._append(layout.pack_block(header.kind, header.count, header.wall_offset_ms, [payload]) + payload)

    def log(self, entry_bytes):
        """Add a whole entry of the log, as it lies there."""
        self._pieces.append(entry_bytes)
        self._pending += len(entry_bytes)
        if self._pending >= CHECKPOINT_BLOCK_BYTES:
            self._log_block()

    def _log_block(self):
        if self._pieces:
            block = layout.pack_block(layout.LOG, len(self._pieces), 0, self._pieces)
            self._append(b"".join([block] + self._pieces))
            self._pieces, self._pending = [], 0

    def finish(self, lsn):
        """Write what is left and the END, sync, and verify by reading; the End."""
        self._log_block()
        end = layout.End(lsn, self.keys, self.bytes)
        payload = layout.pack_end(end)
        self._append(layout.pack_block(layout.END, 1, 0, [payload]) + payload)
        self._file.sync()
        self._file.close()
        checked = Reader(self._files, self.path, dropped_from_cache=True)
        for _ in checked.blocks():
            continue
        if checked.end != end:
            raise CorruptFileError("%s was read back as %r, and %r was written: do not trust that disk"
                                   % (self.path, checked.end, end), self.path, 0)
        return end

    def abandon(self):
        """Remove what was written."""
        self._file.close()
        remove_if_there(self._files, self.path)


def give_name(files, temporary, final):
    """Put a finished checkpoint where it belongs; when it returns it is there, power cut or not."""
    try:
        files.rename(temporary, final)
        files.sync_directory(os.path.dirname(final) or ".")
    except OSError as error:
        raise disk_error("give the checkpoint its name", final, error) from error


def remove_if_there(files, path):
    """Remove a file; whether it is gone."""
    try:
        files.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it harms nobody, and the next checkpoint tries again
    return True


def make(files, walker, plan, position, progress=None):
    """Make a checkpoint from an arena that others go on writing; a Made.

    `plan` is a Plan.  `position()` is called when every record has been read and gives (lsn, pieces of the log behind
    plan.start_lsn, number of keys there): the checkpoint is consistent there.  `progress(keys, bytes)` is called about
    once a megabyte.
    Raises DiskError, CorruptFileError, PeerError; what stood before stands.
    """
    begun = time.monotonic()
    temporary = temporary_path(plan.final or os.path.join(plan.directory, "checkpoint"), os.getpid())
    remove_if_there(files, temporary)
    writer = Writer(files, temporary, layout.Header(plan.lineage, plan.start_lsn, now_ms()))
    try:
        cursor = 0
        while True:
            cursor, records = walker.step(cursor)
            writer.records(records, now_ms() - int(time.monotonic() * 1000))
            if progress is not None:
                progress(writer.keys, writer.bytes)
            if not cursor:
                break
        lsn, pieces, keys = position()
        reached = write_log_pieces(files, writer, pieces, plan.start_lsn)
        if reached != lsn:
            raise CorruptFileError("the log ends at position %d and not at %d" % (reached, lsn), temporary, 0)
        writer.finish(lsn)
        final = plan.final or os.path.join(plan.directory, checkpoint_name(lsn))
        give_name(files, temporary, final)
    except BaseException:
        writer.abandon()
        raise
    return Made(final, lsn, keys, writer.bytes, time.monotonic() - begun)


def write_log_pieces(files, writer, pieces, start_lsn):
    """Add the entries behind start_lsn that lie in these pieces (storage/wal.Wal.pieces); the last position.

    Raises CorruptFileError where they do not read as they were written.
    """
    lsn = start_lsn
    for path, start, end in pieces:
        segment = SegmentFile(files, path, segment_number(os.path.basename(path)))
        reached = start
        for reached_from, reached_to, entry in segment.entries(start, end):
            if entry.first_lsn != lsn + 1 or reached_from != reached:
                break
            writer.log(log.pack_entry(*entry[:5]))
            lsn, reached = lsn + entry.count, reached_to
        if reached != end:
            raise CorruptFileError("%s does not read as it was written, at byte %d: do not trust that disk"
                                   % (path, reached), path, reached)
    return lsn


# -- reading ----------------------------------------------------------------------------------------------------------


class Reader(object):
    """Reads a checkpoint; `header` at once, `end` once blocks() is through.

    Raises CorruptFileError, FormatVersionError or DiskError, here and while reading.
    """

    def __init__(self, files, path, dropped_from_cache=False, without_header=False):
        self.path = path
        self.end = None
        self.offset = 0  # of the block that was given last
        self.skipped = []  # (offset, bytes) left out by salvage()
        self._files = files
        self._drop = dropped_from_cache
        self._without_header = without_header  # None will do, for salvage()
        self.header = self._with_file(self._read_header)

    def _with_file(self, function, *arguments):
        try:
            fd = self._files.open(self.path)
        except OSError as error:
            raise disk_error("read", self.path, error) from error
        try:
            return function(fd, *arguments)
        except OSError as error:
            if isinstance(error, DiskError):
                raise
            raise disk_error("read", self.path, error) from error
        finally:
            self._files.close(fd)

    def _read_header(self, fd):
        if self._drop:
            self._files.forget_cached(fd)
        self.size_bytes = self._files.size(fd)
        try:
            return layout.unpack_file_header(read_exactly(self._files, fd, layout.HEADER_SIZE_BYTES, 0))
        except CorruptFileError as error:
            if self._without_header:
                return None
            raise CorruptFileError("%s: %s" % (self.path, error), self.path, 0) from error

    def blocks(self):
        """Yield (BlockHeader, payload) of each RECORDS and LOG block; then `end` is there and everything has held."""
        offset, keys = layout.HEADER_SIZE_BYTES, 0
        while self.end is None:
            header, payload, following = self._with_file(self._read_block, offset)
            if header is None:
                raise self.damaged(offset, payload)
            if header.kind == layout.END:
                end = self._end_of(payload, offset)
                if end.keys != keys or end.bytes != offset or following != self.size_bytes:
                    raise self.damaged(offset, "its end tells of %d keys in %d bytes, and %d keys in %d are there"
                                       % (end.keys, end.bytes, keys, offset))
                self.end = end
                return
            keys += header.count if header.kind == layout.RECORDS else 0
            self.offset = offset
            yield header, payload
            offset = following

    def _end_of(self, payload, offset):
        try:
            return layout.unpack_end(payload)
        except CorruptFileError as error:
            raise self.damaged(offset, str(error)) from error

    def _read_block(self, fd, offset):
        """(header, payload, offset behind it), or (None, what is wrong, 0)."""
        start = read_exactly(self._files, fd, layout.BLOCK_HEADER_SIZE_BYTES, offset)
        header = layout.unpack_block_header(start)
        if header is None:
            return None, "the file ends" if not start else "no block begins there", 0
        if header.length > self.size_bytes - offset - len(start):
            return None, "the file ends in the middle of a block", 0
        payload = read_exactly(self._files, fd, header.length, offset + len(start))
        if not layout.block_holds(start, payload):
            return None, "the checksum of a block does not hold", 0
        return header, payload, offset + len(start) + header.length

    def salvage(self):
        """Like blocks(), but goes on behind what is damaged; `skipped` tells what was left out."""
        offset = layout.HEADER_SIZE_BYTES
        while offset < self.size_bytes:
            header, payload, following = self._with_file(self._read_block, offset)
            if header is None:
                following = (self._with_file(self._block_behind, offset)
                             or self._with_file(self._next_block, offset + 1))
                self.skipped.append((offset, following - offset))
            elif header.kind == layout.END:
                self._salvage_end(payload, offset, following)
            else:
                self.offset = offset
                yield header, payload
            offset = following

    def _salvage_end(self, payload, offset, following):
        try:
            self.end = self._end_of(payload, offset)
        except CorruptFileError:
            self.skipped.append((offset, following - offset))

    def _block_behind(self, fd, offset):
        """Where the block behind this damaged one begins, if this one still tells its length; else 0.

        What lies inside of a value and looks like a block is not looked at then.
        """
        header = layout.unpack_block_header(read_exactly(self._files, fd, layout.BLOCK_HEADER_SIZE_BYTES, offset))
        if header is None:
            return 0
        following = offset + layout.BLOCK_HEADER_SIZE_BYTES + header.length
        return following if self._read_block(fd, following)[0] is not None else 0

    def _next_block(self, fd, offset):
        """Where the next whole block begins behind damage, or the size of the file."""
        while offset < self.size_bytes:
            data = read_exactly(self._files, fd, CHECKPOINT_BLOCK_BYTES, offset)
            at = data.find(layout.BLOCK_MAGIC_BYTES)
            while at >= 0:
                start = data[at:at + layout.BLOCK_HEADER_SIZE_BYTES]
                likely = len(start) < layout.BLOCK_HEADER_SIZE_BYTES or layout.unpack_block_header(start) is not None
                if likely and self._read_block(fd, offset + at)[0] is not None:
                    return offset + at
                at = data.find(layout.BLOCK_MAGIC_BYTES, at + 1)
            offset += max(len(data) - len(layout.BLOCK_MAGIC_BYTES) + 1, 1)
        return self.size_bytes

    def damaged(self, offset, what):
        return CorruptFileError("%s is damaged at byte %d: %s" % (self.path, offset, what), self.path, offset)


def now_ms():
    """The wall clock for file headers."""
    return int(time.time() * 1000)

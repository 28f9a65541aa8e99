"""Bringing a data directory back: the newest valid checkpoint, then the log behind it.

    read checkpoint -> read log -> copy what counts of the log behind the checkpoint into a new file, sync it, give it
    its name as a segment, sync the directory -> go on in the segment behind it -> remove the old segments

What was read may have come from the kernel's cache without being on the disk (after a failed fsync it would be lost
with the next power cut).  Therefore the copy: all that the new life builds on is on the disk before it is served.

Invariants
 1. Nothing is removed before what replaces it is synced and has its name.
 2. Damage stops it before anything is changed (storage/log_reader says what is damage and what a torn end).

A kill at any line: the old segments are there and the copy is not, or both are and the old ones no longer count.  The
next recovery comes to the same state.
"""

import os

from ..engine.databases import is_hidden
from ..errors import CorruptFileError, DiskError
from ..formats import checkpoint as checkpoint_format
from ..formats import effects, records
from ..formats.lane import SET
from ..formats.log import LSN_MAX, SegmentHeader, entry_seed, pack_entry, pack_segment_header, unpack_entry
from ..formats.values import STRUCTURE_NAMES
from ..limits import MIB
from . import checkpoint
from .files import AppendFile, disk_error
from .log_reader import LogReader, find_segments
from .rebuilding import check_changes
from .wal import NONE, Segment, Wal, segment_name, segment_number

COPY_NAME = "wal.tmp"
COPY_BYTES = 4 * MIB  # of the log held in memory while it is copied


class Report(object):
    """What was found: `lsn` reached, `checkpoint` path or None, its `keys` and `checkpoint_lsn`, `entries` of the log
    applied, `torn` (log_reader.Torn or None), `notes` (texts), `lineage` or None for an empty directory, `segments`.
    """

    def __init__(self):
        self.lsn = self.checkpoint_lsn = self.keys = self.entries = 0
        self.checkpoint = self.torn = self.lineage = None
        self.checkpoint_bytes = 0
        self.notes = []
        self.segments = []
        self.left = []


def load(files, directory, target, wall_offset_ms, progress=None):
    """Bring the state of a directory into `target`; a Report.  Changes nothing on the disk.

    `target` is an engine.loading.Loader or a PlainState.  `wall_offset_ms` is the wall clock minus the monotonic clock
    that the target's deadlines are in.  `progress(done_bytes, all_bytes)` is called now and then.
    Raises CorruptFileError, FormatVersionError, DiskError, GridFullError; the target is useless then.
    """
    report = Report()
    try:
        found = checkpoint.find_checkpoints(files, directory)
        report.segments = find_segments(files, directory)
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        raise disk_error("read the directory", directory, error) from error
    reader, errors = _newest_valid(files, found, report)
    if reader is not None:
        _load_checkpoint(reader, target, wall_offset_ms, progress, report)
    elif not errors:
        report.lineage = next((s.header.lineage for s in report.segments if s.header is not None), None)
    log = LogReader(report.segments, report.checkpoint_lsn, report.lineage)
    if errors and not report.segments:
        raise errors[0]
    try:
        for entry in log.entries():
            target.apply(entry.first_lsn, entry.count, entry.payload, entry.wall_offset_ms - wall_offset_ms, False)
            report.entries += 1
    except CorruptFileError:
        if errors:
            raise errors[0] from None  # what the log lacks is what the damaged checkpoint had
        raise
    report.lsn, report.torn = log.end_lsn, log.torn
    if errors and report.lsn < found[0][0]:
        raise errors[0]  # an older state would go for the newest
    if reader is None and report.segments and _first(report) > 1:
        raise CorruptFileError(
            "%s begins with position %d, and the checkpoint with what is before is not there; restore it, or save what "
            "can be read with: nosqgrid salvage %s --to NEWDIR" % (report.segments[0].path, _first(report), directory),
            report.segments[0].path, 0)
    target.finish(report.lsn)
    return report


def _first(report):
    return min([segment.header.first_lsn for segment in report.segments if segment.header is not None] or [0])


def _newest_valid(files, found, report):
    """(Reader of the newest checkpoint that is whole or None, the errors of those that are newer)."""
    errors = []
    for lsn, path in found:
        try:
            reader = checkpoint.Reader(files, path)
            for _ in reader.blocks():
                continue
            if reader.end.lsn != lsn:
                raise reader.damaged(0, "it says that it is of position %d" % reader.end.lsn)
        except CorruptFileError as error:
            errors.append(_with_advice(error, os.path.dirname(path)))
            report.notes.append(str(error))
            continue
        return reader, errors
    return None, errors


def _with_advice(error, directory):
    return CorruptFileError("%s. Nothing was changed. Restore a backup with: nosqgrid restore FILE --dir NEWDIR; or "
                            "save what can be read with: nosqgrid salvage %s --to NEWDIR" % (error, directory),
                            error.path, error.offset)


def _load_checkpoint(reader, target, wall_offset_ms, progress, report):
    """Load a checkpoint whose blocks have been verified."""
    end = reader.end
    target.expect_keys(end.keys)
    target.lsn_max, target.lsn = end.lsn, reader.header.start_lsn
    reader.end = None
    done = 0
    for header, payload in reader.blocks():
        try:
            load_block(target, header, payload, wall_offset_ms, True)
        except CorruptFileError as error:
            raise _with_advice(reader.damaged(reader.offset, str(error)), os.path.dirname(reader.path)) from error
        done += len(payload)
        if progress is not None:
            progress(done, reader.size_bytes)
    target.finish(end.lsn)
    report.checkpoint, report.checkpoint_lsn, report.keys = reader.path, end.lsn, end.keys
    report.checkpoint_bytes = reader.size_bytes
    report.lineage = reader.header.lineage


def load_block(target, header, payload, wall_offset_ms, in_order=False):
    """Load one block of a checkpoint; CorruptFileError where it does not make sense.

    `in_order`: what came before has been loaded, so that positions have to follow each other.
    """
    if header.kind == checkpoint_format.RECORDS:
        target.load_records(payload, header.count, header.wall_offset_ms - wall_offset_ms)
        return
    position = 0
    for _ in range(header.count):
        entry = unpack_entry(payload, position, len(payload))
        if entry is None:
            raise CorruptFileError("a LOG block that holds no whole entry at %d" % position)
        if in_order and (entry.first_lsn != target.lsn + 1 or entry.first_lsn + entry.count - 1 > target.lsn_max):
            raise CorruptFileError("a LOG block with position %d behind %d, of %d"
                                   % (entry.first_lsn, target.lsn, target.lsn_max))
        target.apply(entry.first_lsn, entry.count, entry.payload, entry.wall_offset_ms - wall_offset_ms, True)
        position = entry.end
    if position != len(payload):
        raise CorruptFileError("a LOG block with %d bytes behind its entries" % (len(payload) - position))


def begin_anew(files, directory, report, level, lineage, wall_offset_ms, wall_ms):
    """After load(): put what counts of the log on the disk for good, and open the log of the new life.

    A Wal, or at level `none` no Wal and None; then report.left are the segments to remove after the next checkpoint.
    Also removes what nobody needs any more: the old segments, older checkpoints, and what was left unfinished.
    """
    sequence = max([segment.sequence for segment in report.segments] or [0]) + 1
    _sync_names(files, directory)
    copied = _copy_tail(files, directory, report, lineage, sequence, wall_ms) if report.entries else None
    wal = None
    if level != NONE:
        wal = Wal(files, directory, lineage, level, sequence + (copied is not None), report.lsn + 1,
                  report.lsn if copied is not None else report.checkpoint_lsn, wall_offset_ms, wall_ms)
        wal.older += [copied] if copied is not None else []
        wal.sync()
    elif copied is not None:
        report.left = [copied.path]
    _sync_names(files, directory)  # the checkpoint may have got its name in the very moment of the crash
    for segment in report.segments:
        checkpoint.remove_if_there(files, segment.path)
    if report.checkpoint is not None:
        checkpoint.remove_older(files, directory, report.checkpoint_lsn)
    checkpoint.remove_temporaries(files, directory)
    checkpoint.remove_if_there(files, os.path.join(directory, COPY_NAME))
    return wal


def _copy_tail(files, directory, report, lineage, sequence, wall_ms):
    """A new segment with the entries behind the checkpoint; when it returns it is on the disk under its name."""
    temporary, final = (os.path.join(directory, name) for name in (COPY_NAME, segment_name(sequence)))
    checkpoint.remove_if_there(files, temporary)
    file = AppendFile(files, temporary)
    try:
        header = SegmentHeader(lineage, sequence, report.checkpoint_lsn + 1, report.checkpoint_lsn, wall_ms())
        pieces, size = [pack_segment_header(header)], 0
        for entry in LogReader(report.segments, report.checkpoint_lsn, report.lineage).entries():
            pieces.append(pack_entry(entry.first_lsn, report.checkpoint_lsn, entry.wall_offset_ms, entry.count,
                                     entry.payload, entry_seed(lineage, sequence)))
            size += len(pieces[-1])
            if size >= COPY_BYTES:
                file.append(b"".join(pieces))
                pieces, size = [], 0
        file.append(b"".join(pieces))
        file.sync()
    finally:
        file.close()
    try:
        files.rename(temporary, final)
    except OSError as error:
        raise disk_error("rename", final, error) from error
    _sync_names(files, directory)
    file.path = final
    return Segment(file, sequence, report.checkpoint_lsn + 1)


def is_empty(files, directory):
    """Whether there is no checkpoint and no log in a directory.  Raises DiskError where it cannot be read."""
    try:
        names = files.names(directory)
    except OSError as error:
        raise disk_error("read the directory", directory, error) from error
    return not any(checkpoint.checkpoint_lsn(name) is not None or segment_number(name) is not None for name in names)


def _sync_names(files, directory):
    try:
        files.sync_directory(directory)
    except OSError as error:
        raise disk_error("sync the directory", directory, error) from error


class PlainState(object):
    """The same target as engine.loading.Loader on a dict: for tools, and to hold the fast one against.

    `entries` is {key: (type, value, deadline_ms or 0, version)}; deadlines are in the clock given to load().  The value
    of a structure is a bytearray with its changes, one packed (formats/words) behind the other.
    """

    def __init__(self):
        self.entries = {}
        self.lsn = 0
        self.lsn_max = LSN_MAX

    def expect_keys(self, count):
        return

    def load_records(self, data, count, shift_ms):
        position = 0
        for _ in range(count):
            if len(data) - position < records.HEADER_SIZE_BYTES:
                raise CorruptFileError("%d bytes are left where a record should begin" % (len(data) - position))
            stamp, value_length, key_length, _, flags = records.HEADER.unpack_from(data, position)
            if flags & ~records.FLAGS_KNOWN or not 0 < stamp >> records.COPIES_BITS <= self.lsn_max:
                raise CorruptFileError("a record with flags %d and stamp %d" % (flags, stamp))
            plain_flags = flags & ~(records.CHECKED | records.ELSEWHERE)
            start, following = position + 8, position + 8 + records.body_size_bytes(key_length, value_length, flags)
            size = records.body_size_bytes(key_length, value_length, plain_flags)
            body = data[start:start + 7] + bytes((plain_flags,)) + data[start + 8:start + size]
            stop = effects.effect_end(body, 0, len(body))
            effect, version = effects.unpack(body, 0, stop), stamp >> records.COPIES_BITS
            if effect.operation == SET:
                self._put(effect, version, shift_ms)
            elif effect.operation == effects.CHANGE:
                self._change(effect, version, version)
            else:
                raise CorruptFileError("a record with flags %d" % flags)
            position = following
        if position != len(data):
            raise CorruptFileError("%d bytes behind the records of a block" % (len(data) - position))

    def apply(self, first_lsn, count, payload, shift_ms, fuzzy):
        position, lsn = 0, first_lsn
        while position < len(payload):
            stop = effects.effect_end(payload, position, len(payload))
            effect = effects.unpack(payload, position, stop)
            self._take(effect, lsn, shift_ms)
            position, lsn = stop, lsn + 1
        if lsn != first_lsn + count or lsn - 1 > LSN_MAX:
            raise CorruptFileError("%d effects where there should be %d" % (lsn - first_lsn, count))
        self.lsn = lsn - 1

    def _take(self, effect, lsn, shift_ms):
        """One effect of the log."""
        known = self.entries.get(effect.key)
        if effect.operation == SET:
            self._put(effect, lsn, shift_ms)
        elif effect.operation == effects.CLEAR:
            self.entries = {key: entry for key, entry in self.entries.items()
                            if entry[3] >= lsn or is_hidden(key)}
        elif known is None or known[3] >= lsn:
            return  # deleted later on, or there as it is later on
        elif effect.operation == effects.CHANGE:
            self._change(effect, lsn, lsn - 1)
        elif effect.operation == effects.EXPIRE:
            if known[0] == effect.type:
                self.entries[effect.key] = known[:2] + (_shifted(effect.deadline_ms, shift_ms), lsn)
        else:
            del self.entries[effect.key]

    def _put(self, effect, version, shift_ms):
        known = self.entries.get(effect.key)
        if known is None or known[3] < version:
            value = effect.value
            if effect.type in STRUCTURE_NAMES:
                check_changes(effect.type, value)
                value = bytearray(value)
            self.entries[effect.key] = (effect.type, value, _shifted(effect.deadline_ms, shift_ms), version)

    def _change(self, effect, version, version_max):
        """Add a change to a structure that stands at most at `version_max`."""
        known = self.entries.get(effect.key)
        if known is not None and known[0] == effect.type and known[3] <= version_max:
            check_changes(effect.type, effect.value)
            known[1].extend(effect.value)
            self.entries[effect.key] = known[:3] + (version,)

    def finish(self, lsn):
        self.lsn = lsn


def _shifted(deadline_ms, shift_ms):
    """A deadline in another clock; 0 stays 0, which is none."""
    return deadline_ms and min(max(deadline_ms + shift_ms, 1), (1 << 63) - 1)

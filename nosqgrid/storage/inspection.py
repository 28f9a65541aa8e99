"""Looking into durable files, without a coordinator and without changing them: check, dump, restore.

Everything goes through a Files object; nothing is printed and no clock is asked.  What a file holds was perhaps made by
somebody who knows how checksums are computed: it is parsed as what came from a stranger, and what is wrong with it is a
CorruptFileError that says where.  storage/salvage saves what is left of a directory that does not start any more.
"""

import errno
import os
from collections import namedtuple

from ..errors import CorruptFileError, DiskError, FormatVersionError, UsageError
from ..formats import checkpoint as layout
from ..formats import log
from ..formats.values import STRUCTURE_NAMES
from . import checkpoint, recovery
from .files import disk_error, read_exactly
from .log_reader import SegmentFile, find_segments, limit_of, witness
from .rebuilding import check_changes
from .wal import segment_number

WHOLE, TORN, DAMAGED, NEWER, UNFINISHED = "whole", "torn end", "damaged", "newer format", "unfinished"
CHECKPOINT, LOG = "checkpoint", "log"
LOOKS_AT_A_LIVE_DIRECTORY = 10  # its files come and go while it is read

# One file: `first_lsn` and `last_lsn` are the positions it covers, `count` its records (the keys as they were read; the
# log in a checkpoint may add some and remove some) or entries, `problem` a text or "".
Row = namedtuple("Row", "path kind state first_lsn last_lsn count bytes problem")
# What a start would do: `state` is the worst that was found, `text` says it; `lsn` and `keys` are None if it refuses.
Verdict = namedtuple("Verdict", "state text lsn keys")
Facts = namedtuple("Facts", "header lsn records entries bytes")


class Keys(recovery.PlainState):
    """A state without its values, which are most of it."""

    def _put(self, effect, version, shift_ms):
        _check_structure(effect)
        known = self.entries.get(effect.key)
        if known is None or known[3] < version:
            self.entries[effect.key] = (effect.type, b"", effect.deadline_ms, version)

    def _change(self, effect, version, version_max):
        _check_structure(effect)
        known = self.entries.get(effect.key)
        if known is not None and known[3] <= version_max:
            self.entries[effect.key] = known[:3] + (version,)


class Parsed(recovery.PlainState):
    """Keeps nothing: what is loaded is only looked through.  Entries must follow each other."""

    def __init__(self, lsn):
        super().__init__()
        self.lsn = lsn
        self.version = 0

    def _put(self, effect, version, shift_ms):
        _check_structure(effect)
        self.version = max(self.version, version)

    def _change(self, effect, version, version_max):
        _check_structure(effect)

    def apply(self, first_lsn, count, payload, shift_ms, fuzzy):
        if first_lsn != self.lsn + 1:
            raise CorruptFileError("an entry with position %d where %d comes next" % (first_lsn, self.lsn + 1))
        super().apply(first_lsn, count, payload, shift_ms, fuzzy)


def _check_structure(effect):
    if effect.type in STRUCTURE_NAMES:
        check_changes(effect.type, effect.value)


# -- one file ---------------------------------------------------------------------------------------------------------


def verify(reader, use=None, progress=None):
    """Read a checkpoint (a Reader) to its end and look at everything in it; Facts.

    `use(header, payload)` gets each block that has held, `progress(done_bytes, all_bytes)` is called now and then.
    Raises CorruptFileError, DiskError.
    """
    parsed, entries = Parsed(reader.header.start_lsn), 0
    for header, payload in reader.blocks():
        try:
            recovery.load_block(parsed, header, payload, 0)
        except CorruptFileError as error:
            raise reader.damaged(reader.offset, str(error)) from error
        entries += header.count if header.kind == layout.LOG else 0
        if use is not None:
            use(header, payload)
        if progress is not None:
            progress(reader.offset, reader.size_bytes)
    end = reader.end
    if end.lsn != parsed.lsn:
        raise reader.damaged(end.bytes, "it says that it is of position %d, and it reaches %d" % (end.lsn, parsed.lsn))
    if parsed.version > end.lsn:
        raise reader.damaged(end.bytes, "a key stands at position %d, and it is of %d" % (parsed.version, end.lsn))
    return Facts(reader.header, end.lsn, end.keys, entries, reader.size_bytes)


def _checkpoint_row(files, path, expected_lsn):
    """The Row of a checkpoint; `expected_lsn` is what its name says, or None."""
    lsn = 0 if expected_lsn is None else expected_lsn
    try:
        facts = verify(checkpoint.Reader(files, path))
        if expected_lsn not in (None, facts.lsn):
            raise CorruptFileError("%s says that it is of position %d" % (path, facts.lsn), path, 0)
    except CorruptFileError as error:
        return Row(path, CHECKPOINT, DAMAGED, lsn, lsn, 0, _size(files, path), str(error))
    except FormatVersionError as error:
        return Row(path, CHECKPOINT, NEWER, lsn, lsn, 0, _size(files, path), "%s: %s" % (path, error))
    return Row(path, CHECKPOINT, WHOLE, facts.lsn, facts.lsn, facts.records, facts.bytes, "")


def _log_row(segments, index, reached):
    """The Row of a segment; `reached` is the last position of what is before it."""
    segment = segments[index]
    if segment.header is None:
        state = NEWER
        if not isinstance(segment.error, FormatVersionError):
            state = _torn_or_damaged(segments, index, 0, reached + 1)
        problem = str(segment.error)
        if segment.path not in problem:
            problem = "%s: %s" % (segment.path, problem)
        return Row(segment.path, LOG, state, 0, 0, 0, segment.size_bytes, problem)
    first = segment.header.first_lsn
    parsed, limit, entries, offset = Parsed(first - 1), limit_of(segments, index), 0, log.SEGMENT_HEADER_SIZE_BYTES
    state, problem = WHOLE, ""
    for start, end, entry in segment.entries():
        if entry.first_lsn >= limit:
            break
        try:
            parsed.apply(entry.first_lsn, entry.count, entry.payload, 0, False)
        except CorruptFileError as error:
            state, problem = DAMAGED, str(error)
            break
        entries, offset = entries + 1, end
    last = parsed.lsn
    if state == WHOLE and last + 1 < limit and (offset < segment.size_bytes or limit <= log.LSN_MAX):
        state = _torn_or_damaged(segments, index, offset, last + 1)
        problem = "no whole entry with position %d" % (last + 1)
    if problem:
        problem = "%s at byte %d: %s" % (segment.path, offset, problem)
    return Row(segment.path, LOG, state, first, last, entries, segment.size_bytes, problem)


def _torn_or_damaged(segments, index, offset, missing):
    return TORN if witness(segments, index, offset, missing) is None else DAMAGED


def _size(files, path):
    try:
        fd = files.open(path)
        try:
            return files.size(fd)
        finally:
            files.close(fd)
    except OSError as error:
        raise disk_error("read", path, error) from error


def kind_of(files, path):
    """CHECKPOINT or LOG, by the name of a file or by how it begins.  Raises UsageError where it is neither."""
    name = os.path.basename(path)
    if checkpoint.checkpoint_lsn(name) is not None:
        return CHECKPOINT
    if segment_number(name) is not None:
        return LOG
    try:
        fd = files.open(path)
        try:
            begins = read_exactly(files, fd, len(layout.MAGIC), 0)
        finally:
            files.close(fd)
    except OSError as error:
        raise disk_error("read", path, error) from error
    if begins not in (layout.MAGIC, log.SEGMENT_MAGIC):
        raise UsageError("%s is neither a checkpoint nor a log of nosqgrid: it begins with %r" % (path, begins))
    return CHECKPOINT if begins == layout.MAGIC else LOG


# -- check ------------------------------------------------------------------------------------------------------------


def check(files, path, served=False, progress=None):
    """([Row], Verdict) of a directory or of one file.

    `served`: a coordinator holds the directory and goes on writing there.  `progress()` is called before each file.
    Raises UsageError where it is nothing of nosqgrid, DiskError where it cannot be read.
    """
    if listed(files, path) is None:
        return _check_file(files, path)
    found = _settled_rows(files, path, served, progress or (lambda: None))
    return found, _worst(found, _verdict(files, path, served))


def _settled_rows(files, directory, served, progress):
    """_rows(), again where files came or went meanwhile."""
    looks = LOOKS_AT_A_LIVE_DIRECTORY if served else 1
    while True:
        looks -= 1
        try:
            found = _rows(files, directory, progress)
        except DiskError as error:
            if not looks or error.errno != errno.ENOENT:
                raise
        else:
            if not looks or all(row.state != DAMAGED for row in found):
                return found


def load(files, directory, new_state, served):
    """(state, Report) of recovery.load(), again where files came or went because a coordinator serves them."""
    looks = LOOKS_AT_A_LIVE_DIRECTORY if served else 1
    while True:
        looks -= 1
        state = new_state()
        try:
            report = recovery.load(files, directory, state, 0)
            # A log that stops where a file begins: perhaps a checkpoint has taken the place of what was before it.
            if not looks or report.torn is None or report.torn.offset:
                return state, report
        except CorruptFileError:
            if not looks:
                raise
        except DiskError as error:
            if not looks or error.errno != errno.ENOENT:
                raise


def listed(files, path):
    """The names in a directory, or None where it is a file.

    Raises UsageError where there is nothing, or where nothing in the directory is of nosqgrid; DiskError.
    """
    try:
        names = files.names(path)
    except NotADirectoryError:
        return None
    except FileNotFoundError as error:
        raise UsageError("there is no file or directory %s" % path) from error
    except OSError as error:
        raise disk_error("read the directory", path, error) from error
    if names and not any(_ours(name) for name in names):
        raise UsageError("%s holds nothing of nosqgrid; give the directory that serve --dir was given" % path)
    return names


def _ours(name):
    return name in ("lock", "starter") or _kind_by_name(name) is not None


def _kind_by_name(name):
    if checkpoint.checkpoint_lsn(name) is not None:
        return CHECKPOINT
    if segment_number(name) is not None:
        return LOG
    return UNFINISHED if checkpoint.is_temporary(name) or name == recovery.COPY_NAME else None


def _rows(files, directory, progress):
    found = []
    newest = 0
    for lsn, path in sorted(checkpoint.find_checkpoints(files, directory)):
        progress()
        found.append(_checkpoint_row(files, path, lsn))
        newest = lsn
    segments, reached = find_segments(files, directory), newest
    lineage = _lineage(files, directory, segments)
    for segment in segments:
        segment.lineage = segment.lineage or lineage  # without it the entries behind a damaged header are not found
    for index in range(len(segments)):
        progress()
        row = _log_row(segments, index, reached)
        reached = row.last_lsn or reached
        found.append(row)
    for name in sorted(files.names(directory)):
        if _kind_by_name(name) == UNFINISHED:
            found.append(Row(os.path.join(directory, name), UNFINISHED, UNFINISHED, 0, 0, 0, 0, ""))
    return found


def _lineage(files, directory, segments):
    """The random number of the grid, from the newest file that still tells it, or None."""
    for _, path in checkpoint.find_checkpoints(files, directory):
        try:
            return checkpoint.Reader(files, path).header.lineage
        except (CorruptFileError, FormatVersionError):
            continue
    return next((segment.lineage for segment in reversed(segments) if segment.lineage is not None), None)


def _verdict(files, directory, served):
    try:
        state, report = load(files, directory, Keys, served)
    except FormatVersionError as error:
        return Verdict(NEWER, "a start refuses: %s" % error, None, None)
    except CorruptFileError as error:
        return Verdict(DAMAGED, "a start refuses: %s" % error, None, None)
    text = "a start brings back position %d with %d keys: %s, then %d log entries" % (
        report.lsn, len(state.entries), report.checkpoint or "no checkpoint", report.entries)
    if report.torn is not None:
        text += "; it cuts off the torn end of the log, as a kill or a power cut leaves it: %s" % report.torn
    return Verdict(TORN if report.torn is not None else WHOLE, text, report.lsn, len(state.entries))


def _worst(rows, verdict):
    """The Verdict with what is wrong with files that a start does not need."""
    if verdict.lsn is None:
        return verdict
    bad = [row for row in rows if row.state in (DAMAGED, NEWER)]
    if not bad:
        return verdict
    text = "%s; damaged, and not needed for it: %s" % (verdict.text, ", ".join(row.path for row in bad))
    return verdict._replace(state=DAMAGED, text=text)


def _check_file(files, path):
    if kind_of(files, path) == CHECKPOINT:
        row = _checkpoint_row(files, path, checkpoint.checkpoint_lsn(os.path.basename(path)))
        if row.state != WHOLE:
            return [row], Verdict(row.state, "it cannot be restored: %s" % row.problem, None, None)
        state = read_checkpoint(files, path, Keys())
        return [row], Verdict(WHOLE, "restoring it brings back position %d with %d keys" % (state.lsn,
                              len(state.entries)), state.lsn, len(state.entries))
    row = _log_row([SegmentFile(files, path, None)], 0, 0)
    text = row.problem or "positions %d to %d; check the directory to see what a start makes of them" % (
        row.first_lsn, row.last_lsn)
    return [row], Verdict(row.state, text, None, None)


# -- dump -------------------------------------------------------------------------------------------------------------


def read_state(files, path, served=False):
    """(PlainState, Torn or None): what a start on this directory would bring back, or a checkpoint file holds.

    Deadlines in it are wall clock ms.  Raises UsageError, CorruptFileError, FormatVersionError, DiskError.
    """
    if listed(files, path) is None:
        if kind_of(files, path) != CHECKPOINT:
            raise UsageError("%s is a piece of a log, which alone is no state; give its directory" % path)
        return read_checkpoint(files, path, recovery.PlainState()), None
    state, report = load(files, path, recovery.PlainState, served)
    return state, report.torn


def read_checkpoint(files, path, state):
    """Load a checkpoint file, whole, into a PlainState, and return that."""
    reader = checkpoint.Reader(files, path)
    state.finish(verify(reader, lambda header, payload: recovery.load_block(state, header, payload, 0)).lsn)
    return state


# -- restore ----------------------------------------------------------------------------------------------------------


def restore(files, path, directory, lineage, wall_ms, pid, progress=None):
    """Make a new directory with this checkpoint as all there is; (path in it, Facts).

    The new directory is a grid of its own: `lineage` is its random number, `wall_ms` the time.  `progress(done_bytes,
    all_bytes)` counts both readings.  Raises UsageError, CorruptFileError, FormatVersionError, DiskError; the directory
    is then as it was.
    """
    if listed_or_none(files, path) is not None:
        raise UsageError("%s is a directory; give a checkpoint, such as %s/checkpoint-..." % (path, path))
    if kind_of(files, path) != CHECKPOINT:
        raise UsageError("%s is a piece of a log; give a checkpoint" % path)
    facts = verify(checkpoint.Reader(files, path), None, progress)
    with NewDirectory(files, directory, pid) as new:
        writer = checkpoint.Writer(files, new.temporary, facts.header._replace(lineage=lineage, wall_ms=wall_ms))
        new.writer = writer
        reader = checkpoint.Reader(files, path)
        for header, payload in reader.blocks():
            writer.copy(header, payload)
        writer.finish(facts.lsn)
        return new.give_name(facts.lsn), facts


def listed_or_none(files, path):
    """The names in a directory, or None where there is no directory."""
    try:
        return files.names(path)
    except OSError:
        return None


class NewDirectory(object):
    """A directory that is not there or empty, and gets one checkpoint: in a `with`, which undoes all on an error."""

    def __init__(self, files, directory, pid):
        self.directory = os.path.abspath(directory)
        self.temporary = checkpoint.temporary_path(os.path.join(self.directory, "checkpoint"), pid)
        self.writer = None
        self._files = files
        self._made = False
        self._final = None

    def __enter__(self):
        try:
            self._files.make_directory(self.directory)
            self._made = True
            self._files.sync_directory(os.path.dirname(self.directory))
        except FileExistsError:
            self._look_at_what_is_there()
        except OSError as error:
            self._undo()
            raise disk_error("make the directory", self.directory, error) from error
        return self

    def _look_at_what_is_there(self):
        try:
            names = self._files.names(self.directory)
        except OSError as error:
            raise disk_error("read the directory", self.directory, error) from error
        if names:
            raise UsageError("the directory %s is not empty; give one that is not there yet" % self.directory)

    def give_name(self, lsn):
        """The finished checkpoint stands in the directory when it returns; its path."""
        self._final = os.path.join(self.directory, checkpoint.checkpoint_name(lsn))
        checkpoint.give_name(self._files, self.temporary, self._final)
        return self._final

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            if self.writer is not None:
                self.writer.abandon()
            if self._final is not None:
                checkpoint.remove_if_there(self._files, self._final)
            self._undo()

    def _undo(self):
        if self._made:
            try:
                self._files.remove_directory(self.directory)
            except OSError:
                return  # an empty directory, or one in which somebody has put something

"""Reading the log back: which entries count, and whether what is wrong with it is a torn end or damage.

A segment counts up to where the next one begins (its first_lsn): what an earlier one has from there on was never
acknowledged, or was copied into the later one by a recovery.  Between segments nothing may be missing.

The first place at which no whole entry with the right position lies is the end of what counts.  It is
    a torn end   if nothing that was written later, in that file or in a later one, says that it was on the disk: a kill
                 or a power cut stopped a write, and nobody was promised what is missing
    damage       otherwise: CorruptFileError
"""

import os

from ..errors import CorruptFileError, FormatVersionError
from ..formats import log
from .files import disk_error, read_exactly
from .wal import segment_number

READ_BYTES = 1 << 20


class Torn(object):
    """Where the log stops being whole: the path, the offset, how many bytes are left out, and what was found."""

    def __init__(self, path, offset, dropped_bytes, what):
        self.path = path
        self.offset = offset
        self.dropped_bytes = dropped_bytes
        self.what = what

    def __str__(self):
        return "%s at byte %d: %s; %d bytes are left out" % (self.path, self.offset, self.what, self.dropped_bytes)


class SegmentFile(object):
    """A segment to read: `path`, `sequence`, and its `header`, or why it has none (`error`).

    `sequence` is what its name says, or None for a file of any name.  `lineage` is the header's; where there is none,
    whoever knows it from elsewhere sets it.
    """

    def __init__(self, files, path, sequence):
        self.path = path
        self.sequence = sequence
        self.header = self.error = self.lineage = None
        self._written_sequence = sequence
        self._files = files
        try:
            fd = files.open(path)
        except OSError as error:
            raise disk_error("read", path, error) from error
        try:
            self.size_bytes = files.size(fd)
            try:
                self.header = log.unpack_segment_header(read_exactly(files, fd, log.SEGMENT_HEADER_SIZE_BYTES, 0))
                self.lineage, self._written_sequence = self.header.lineage, self.header.sequence
                if sequence not in (None, self.header.sequence):
                    self.error = CorruptFileError("%s says that it is number %d" % (path, self.header.sequence),
                                                  path, 0)
                    self.header = None
            except (CorruptFileError, FormatVersionError) as error:
                self.error = error
        except OSError as error:
            raise disk_error("read", path, error) from error
        finally:
            files.close(fd)

    def _seed(self):
        return log.entry_seed(self.lineage or 0, self._written_sequence or 0)

    def entries(self, start=log.SEGMENT_HEADER_SIZE_BYTES, end=None):
        """(offset, offset of the next, Entry) one after the other, up to the first place where there is none."""
        end = self.size_bytes if end is None else end
        seed = self._seed()
        with _opened(self._files, self.path) as fd:
            data, offset, position = b"", start, 0  # `position` of `data`, which lies in the file at `offset`
            while offset + position < end:
                entry = log.unpack_entry(data, position, len(data), seed)
                if entry is None:
                    wanted = log.entry_length(data, position, len(data)) or log.ENTRY_HEADER_SIZE_BYTES
                    at = offset + position
                    if len(data) - position >= wanted or at + wanted > end:
                        return
                    offset, position = at, 0
                    data = _read(self._files, fd, self.path, min(max(wanted, READ_BYTES), end - at), at)
                    if len(data) < wanted:
                        return
                    continue
                yield offset + position, offset + entry.end, entry
                position = entry.end

    def later_entries(self, start):
        """(offset, Entry) of every whole entry that lies anywhere behind `start`, however damaged what is before."""
        with _opened(self._files, self.path) as fd:
            offset = start
            while offset < self.size_bytes:
                data = _read(self._files, fd, self.path, min(READ_BYTES, self.size_bytes - offset), offset)
                # The next part begins with the first place at which no header fits into this one any more.
                following = offset + max(len(data) - log.ENTRY_HEADER_SIZE_BYTES + 1, 1)
                position = data.find(log.ENTRY_MAGIC_BYTES)
                while 0 <= position < following - offset:
                    entry = self._entry_at(fd, data, offset, position)
                    size = 1
                    if entry is not None:
                        yield offset + position, entry
                        size = log.ENTRY_HEADER_SIZE_BYTES + len(entry.payload)
                        following = max(following, offset + position + size)
                    position = data.find(log.ENTRY_MAGIC_BYTES, position + size)
                offset = following

    def entry_behind(self, offset):
        """Where the whole entry behind a damaged one begins, if that one still tells its length; else 0.

        What lies inside of a value and looks like an entry is not looked at then.
        """
        with _opened(self._files, self.path) as fd:
            header = _read(self._files, fd, self.path, log.ENTRY_HEADER_SIZE_BYTES, offset)
            length = log.entry_length(header, 0, len(header))
            following = _read(self._files, fd, self.path, log.ENTRY_HEADER_SIZE_BYTES, offset + length)
            return offset + length if length and self._entry_at(fd, following, offset + length, 0) is not None else 0

    def _entry_at(self, fd, data, offset, position):
        """The Entry at `position` of `data`, which lies in the file at `offset`, or None."""
        wanted = log.entry_length(data, position, len(data))
        if position + wanted <= len(data):
            return log.unpack_entry(data, position, len(data), self._seed())
        if offset + position + wanted > self.size_bytes:
            return None
        whole = _read(self._files, fd, self.path, wanted, offset + position)
        return log.unpack_entry(whole, 0, len(whole), self._seed())


class _opened(object):
    """A descriptor for reading, for a `with`."""

    def __init__(self, files, path):
        self._files = files
        try:
            self._fd = files.open(path)
        except OSError as error:
            raise disk_error("read", path, error) from error

    def __enter__(self):
        return self._fd

    def __exit__(self, *exception):
        self._files.close(self._fd)


def _read(files, fd, path, size, offset):
    try:
        return read_exactly(files, fd, size, offset)
    except OSError as error:
        raise disk_error("read", path, error) from error


def find_segments(files, directory):
    """The SegmentFiles of a directory in their order."""
    numbers = sorted(number for number in map(segment_number, files.names(directory)) if number is not None)
    return [SegmentFile(files, os.path.join(directory, "wal-%08d" % number), number) for number in numbers]


def limit_of(segments, index):
    """The position from which on a segment does not count: where the first of the later ones begins."""
    starts = [later.header.first_lsn for later in segments[index + 1:] if later.header is not None]
    return min(starts) if starts else log.LSN_MAX + 1


def witness(segments, index, offset, missing):
    """The path of something written later that says that the position `missing` was on the disk, or None.

    Later is what follows in the segments behind this one, or behind `offset` in this one.
    """
    for later in segments[index + 1:]:
        if later.header is not None and later.header.durable_lsn >= missing:
            return later.path
    for number, later in enumerate(segments[index:]):
        for _, entry in later.later_entries(log.SEGMENT_HEADER_SIZE_BYTES if number else offset):
            if entry.durable_lsn >= missing:
                return later.path
    return None


class LogReader(object):
    """The entries behind `base_lsn` that count, of these segments.

    Iterate over entries(); afterwards `end_lsn` is the last position, `torn` a Torn or None.
    """

    def __init__(self, segments, base_lsn, lineage):
        self.end_lsn = base_lsn
        self.torn = None
        self._segments = segments
        self._lineage = lineage
        for segment in segments:
            segment.lineage = segment.lineage or lineage

    def entries(self):
        """Yield each Entry.  Raises CorruptFileError for damage, FormatVersionError, DiskError."""
        for index, segment in enumerate(self._segments):
            limit = limit_of(self._segments, index)
            if limit <= self.end_lsn + 1 and index + 1 < len(self._segments):
                continue  # all that counts of it is in the checkpoint
            if segment.header is None:
                if segment.lineage is None and segment.size_bytes > log.SEGMENT_HEADER_SIZE_BYTES:
                    # The header of a directory's first segment was on the disk before anything was written behind it.
                    raise _damage(segment, 0, str(segment.error), self.end_lsn + 1, segment.path)
                return self._stop(index, 0, str(segment.error), segment.error)
            if self._lineage is not None and segment.header.lineage != self._lineage:
                raise CorruptFileError("%s belongs to another grid than the checkpoint beside it; move it away if it "
                                       "was copied here by mistake" % segment.path, segment.path, 0)
            if segment.header.first_lsn > self.end_lsn + 1:
                return self._stop(index, 0, "it begins with position %d, and %d comes next"
                                  % (segment.header.first_lsn, self.end_lsn + 1))
            for entry in self._of_segment(index, segment, limit):
                yield entry
            if self.torn is not None:
                return

    def _of_segment(self, index, segment, limit):
        offset, expected = log.SEGMENT_HEADER_SIZE_BYTES, segment.header.first_lsn
        for start, end, entry in segment.entries():
            if entry.first_lsn != expected:
                return self._stop(index, start, "position %d where %d comes next" % (entry.first_lsn, expected))
            if entry.first_lsn >= limit:
                return
            offset = end
            expected += entry.count
            if expected > limit:
                return self._stop(index, start, "an entry reaches into the next segment")
            if expected - 1 <= self.end_lsn:
                continue
            if entry.first_lsn <= self.end_lsn:
                return self._stop(index, start, "an entry that the checkpoint has in part")
            self.end_lsn = expected - 1
            yield entry
        if expected < limit and (offset < segment.size_bytes or limit <= log.LSN_MAX):
            self._stop(index, offset, "no whole entry")

    def _stop(self, index, offset, what, error=None):
        """The log ends here: torn, or CorruptFileError where something later says that it was on the disk."""
        if isinstance(error, FormatVersionError):
            raise error
        segment, missing = self._segments[index], self.end_lsn + 1
        dropped = segment.size_bytes - offset + sum(later.size_bytes for later in self._segments[index + 1:])
        for later in self._segments[index + 1:]:
            if isinstance(later.error, FormatVersionError):
                raise later.error
        later_path = witness(self._segments, index, offset, missing)
        if later_path is not None:
            raise _damage(segment, offset, what, missing, later_path)
        self.torn = Torn(segment.path, offset, dropped, what)


def _damage(segment, offset, what, lsn, witness):
    return CorruptFileError(
        "%s is damaged at byte %d (%s): position %d was on the disk when %s was written, and it is not there any more. "
        "Nothing was changed. Restore a backup with: nosqgrid restore FILE --dir NEWDIR; or save what can be read "
        "with: nosqgrid salvage %s --to NEWDIR"
        % (segment.path, offset, what, lsn, witness, os.path.dirname(segment.path)),
        segment.path, offset)

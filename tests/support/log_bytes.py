"""Logs as bytes: segments made of entries, and a directory of such files that can only be read."""

import os

from nosqgrid.formats import log, records
from nosqgrid.storage.log_reader import LogReader, find_segments
from nosqgrid.storage.wal import segment_name

DIRECTORY = "/data"
LINEAGE = 77


class BytesFiles(object):
    """The reading half of storage.files.Files over {name: bytes} of one directory, quicker than a disk with books.

    `opened` counts descriptors that were not closed.
    """

    def __init__(self, contents):
        self.contents = contents
        self.opened = 0

    def open(self, path):
        directory, name = os.path.split(path)
        if directory != DIRECTORY or name not in self.contents:
            raise FileNotFoundError(2, "No such file or directory", path)
        self.opened += 1
        return name

    def close(self, fd):
        self.opened -= 1

    def size(self, fd):
        return len(self.contents[fd])

    def pread(self, fd, size, offset):
        return self.contents[fd][offset:offset + size]

    def names(self, directory):
        return list(self.contents)[::-1]

    def forget_cached(self, fd):
        return


def effect(lsn, size=40):
    """The payload of one effect that tells which it is."""
    return records.pack_body(b"key:%d" % lsn, bytes((lsn % 251,)) * size, 1)


def entries_for(first_lsn, counts, durable=lambda lsn: 0, size=40):
    """Entries (first_lsn, durable_lsn, wall_offset_ms, count, payload), of so many effects each."""
    found = []
    for count in counts:
        payload = b"".join(effect(lsn, size) for lsn in range(first_lsn, first_lsn + count))
        found.append((first_lsn, durable(first_lsn), 1000 + first_lsn, count, payload))
        first_lsn += count
    return found


def segment(sequence, first_lsn, entries, durable_lsn=0, lineage=LINEAGE):
    """A segment as bytes."""
    header = log.SegmentHeader(lineage, sequence, first_lsn, durable_lsn, 5)
    return log.pack_segment_header(header) + pack(entries, sequence, lineage)


def pack(entries, sequence=1, lineage=LINEAGE):
    """Entries as they lie in a segment."""
    return b"".join(log.pack_entry(*entry, seed=log.entry_seed(lineage, sequence)) for entry in entries)


def starts_of(entries):
    """Where each entry of a segment begins, and where the last ends."""
    found = [log.SEGMENT_HEADER_SIZE_BYTES]
    for entry in entries:
        found.append(found[-1] + log.ENTRY_HEADER_SIZE_BYTES + len(entry[4]))
    return found


def directory(*segments):
    """BytesFiles with these segments, numbered from 1; None leaves a number out."""
    return BytesFiles({segment_name(number): data for number, data in enumerate(segments, 1) if data is not None})


def read_log(files, base_lsn=0, lineage=LINEAGE):
    """(entries as entries_for() gives them, the reader) of a directory."""
    reader = LogReader(find_segments(files, DIRECTORY), base_lsn, lineage)
    try:
        found = [entry[:5] for entry in reader.entries()]
    finally:
        if files.opened:
            raise AssertionError("%d files are open" % files.opened)
    return found, reader

"""Durable files for tests, written byte by byte with the formats alone, and ways to damage them."""

import os
import random
import zlib

from nosqgrid.formats import checkpoint as layout
from nosqgrid.formats import effects, log, records
from nosqgrid.storage.checkpoint import checkpoint_name
from nosqgrid.storage.files import Files
from nosqgrid.storage.wal import segment_name

LINEAGE = 0x5EED
CLEAR = object()


class UnsyncedFiles(Files):
    """A disk that says it has synced; for tests that write thousands of files."""

    def sync(self, fd):
        return

    def sync_directory(self, path):
        return


class ReadingFiles(Files):
    """A disk on which nothing may be changed."""

    def _refuse(self, *arguments):
        raise AssertionError("this changes the disk: %r" % (arguments,))

    create = write = truncate = sync = rename = unlink = make_directory = remove_directory = sync_directory = _refuse


def effect(key, value):
    """SET, or DELETE for None, or CLEAR for CLEAR as the key."""
    if key is CLEAR:
        return effects.pack_clear()
    return effects.pack_delete(key) if value is None else records.pack_body(key, value, 1)


def entry(first_lsn, pairs, durable_lsn=0, begun=0):
    """An entry with the effects of (key, value) pairs; `begun` is the seed of its segment, and 0 in a checkpoint."""
    return log.pack_entry(first_lsn, durable_lsn, 0, len(pairs), b"".join(effect(*pair) for pair in pairs), begun)


def seed(sequence, lineage=LINEAGE):
    """What the checksums of a segment's entries begin with."""
    return log.entry_seed(lineage, sequence)


def segment(sequence, first_lsn, batches, durable_lsn=0, synced=False, lineage=LINEAGE):
    """The bytes of a segment; `synced`: each entry says that what is before it was on the disk."""
    found, lsn = [log.pack_segment_header(log.SegmentHeader(lineage, sequence, first_lsn, durable_lsn, 0))], first_lsn
    for pairs in batches:
        found.append(entry(lsn, pairs, lsn - 1 if synced else 0, seed(sequence, lineage)))
        lsn += len(pairs)
    return b"".join(found)


def record(key, value, version, deadline_ms=0, value_type=1):
    return (records.STAMP.pack(version << records.COPIES_BITS)
            + records.pack_body(key, value, value_type, deadline_ms))


def block(kind, count, payload):
    return layout.pack_block(kind, count, 0, [payload]) + payload


def checkpoint(lsn, groups, entries=(), start_lsn=None, lineage=LINEAGE):
    """The bytes of a checkpoint: a RECORDS block for each group of records, a LOG block for the entries."""
    start_lsn = lsn if start_lsn is None else start_lsn
    found = layout.pack_header(layout.Header(lineage, start_lsn, 1))
    for group in groups:
        found += block(layout.RECORDS, len(group), b"".join(group))
    if entries:
        found += block(layout.LOG, len(entries), b"".join(entries))
    return found + block(layout.END, 1, layout.pack_end(layout.End(lsn, sum(map(len, groups)), len(found))))


def save(directory, name, data):
    """Write a file; its path."""
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def save_segment(directory, sequence, *arguments, **options):
    return save(directory, segment_name(sequence), segment(sequence, *arguments, **options))


def save_checkpoint(directory, lsn, *arguments, **options):
    return save(directory, checkpoint_name(lsn), checkpoint(lsn, *arguments, **options))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def contents(directory):
    """{name: bytes} of the files in a directory."""
    return {name: read(os.path.join(directory, name)) for name in os.listdir(directory)}


def flipped(data, offset, bits=0xFF):
    """The bytes with one of them changed."""
    return data[:offset] + bytes((data[offset] ^ bits,)) + data[offset + 1:]


def resealed(data):
    """The bytes of a checkpoint or segment with every checksum that can be found made right again."""
    head = data[:12] + zlib.crc32(data[16:layout.HEADER_SIZE_BYTES]).to_bytes(4, "little") + data[16:]
    magic, begun = layout.BLOCK_MAGIC_BYTES, 0
    if data[:8] == log.SEGMENT_MAGIC:
        magic, begun = log.ENTRY_MAGIC_BYTES, zlib.crc32(head[16:32])
    found, position = bytearray(head), head.find(magic)
    while position >= 0:
        following = head.find(magic, position + 4)
        end = len(head) if following < 0 else following
        stated = _stated_end(head, position, magic)
        end = stated if position < stated <= len(head) else end
        found[position + 4:position + 8] = zlib.crc32(head[position + 8:end], begun).to_bytes(4, "little")
        position = following
    return bytes(found)


def _stated_end(data, position, magic):
    if magic == log.ENTRY_MAGIC_BYTES:
        return position + log.ENTRY_HEADER_SIZE_BYTES + int.from_bytes(data[position + 36:position + 40], "little")
    return position + layout.BLOCK_HEADER_SIZE_BYTES + int.from_bytes(data[position + 24:position + 32], "little")


def edited(data, number):
    """The bytes with one to four random edits behind the magic, checksums made right again."""
    rng, found = random.Random(number), bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(12, len(found))
        kind = rng.randrange(4)
        if kind == 0:
            found[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 1:
            size = rng.choice((2, 4, 8))
            found[at:at + size] = rng.choice((b"\xff", b"\0", b"\x7f")) * size
        elif kind == 2:
            del found[at:at + rng.randrange(1, 20)]
        else:
            found[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
        if len(found) < 64:
            found += bytes(64)
    return resealed(bytes(found))

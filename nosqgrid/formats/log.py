"""The write-ahead log as bytes: segments, each a header and then entries; docs/formats.md has a worked example.

    segment header  64   magic, format version, crc32 of what follows, lineage, sequence, first_lsn, durable_lsn,
                         created_ms (wall clock), 8 bytes of zeros
    entry           40   magic, crc32 of what follows with the payload, first_lsn, durable_lsn, wall_offset_ms, count,
                         length of the payload; then the payload, `count` effects (formats/effects)

An entry is what became visible together: the effects of one batch, or of several writes of one client in a row.  Its
crc32 covers everything behind itself and begins with the seed of the segment (entry_seed): neither a torn entry nor a
page of zeros, nor an entry of another file, is taken for one.

`durable_lsn` is how far the log was known to be on the disk when this was written.  That is how a torn end and a damage
are told apart: if a later entry says that the bad place was on the disk, something destroyed it.

`wall_offset_ms` is the wall clock minus the monotonic clock at that moment: deadlines in effects are monotonic, and
that clock begins anew with each boot.

`lineage` is a random number of the directory: files of different grids are not mixed.
"""

import struct
import zlib
from collections import namedtuple

from ..errors import CorruptFileError, FormatVersionError
from ..limits import LOG_ENTRY_BYTES_MAX

SEGMENT_MAGIC = b"NOSQLOG\n"
FORMAT_VERSION = 1
_SEGMENT_REST = struct.Struct("<QQQQQQ")  # lineage, sequence, first_lsn, durable_lsn, created_ms, 0
_PREFIX = struct.Struct("<8sII")
SEGMENT_HEADER_SIZE_BYTES = _PREFIX.size + _SEGMENT_REST.size

ENTRY_MAGIC = int.from_bytes(b"\xe1LOG", "little")
ENTRY_MAGIC_BYTES = b"\xe1LOG"
_ENTRY_START = struct.Struct("<II")  # magic, crc32
_ENTRY_REST = struct.Struct("<QQqII")  # first_lsn, durable_lsn, wall_offset_ms, count, length
ENTRY_HEADER_SIZE_BYTES = _ENTRY_START.size + _ENTRY_REST.size
LSN_MAX = (1 << 56) - 1  # versions have as many bits (formats/records)

SegmentHeader = namedtuple("SegmentHeader", "lineage sequence first_lsn durable_lsn created_ms")
Entry = namedtuple("Entry", "first_lsn durable_lsn wall_offset_ms count payload end")


def pack_segment_header(header):
    """The first bytes of a segment."""
    rest = _SEGMENT_REST.pack(*(tuple(header) + (0,)))
    return _PREFIX.pack(SEGMENT_MAGIC, FORMAT_VERSION, zlib.crc32(rest)) + rest


def unpack_header(data, magic, version, rest_struct, what):
    """The fields behind the common prefix (magic, version, crc32) of a file's header.

    Raises FormatVersionError for a version from the future, CorruptFileError for anything else that is wrong.
    """
    size = _PREFIX.size + rest_struct.size
    if len(data) < size:
        raise CorruptFileError("%d bytes are too few for the header of a %s" % (len(data), what), offset=0)
    found_magic, found_version, crc = _PREFIX.unpack_from(data)
    if found_magic != magic:
        raise CorruptFileError("this is no %s of nosqgrid: it begins with %r" % (what, found_magic), offset=0)
    if not found_version:
        raise CorruptFileError("the header of the %s is damaged: format 0 was never one" % what, offset=0)
    if found_version != version:
        raise FormatVersionError("the %s has format %d, and this nosqgrid reads format %d; use the nosqgrid that wrote "
                                 "it, or a newer one" % (what, found_version, version))
    if zlib.crc32(data[_PREFIX.size:size]) != crc:
        raise CorruptFileError("the header of the %s is damaged: its checksum does not hold" % what, offset=0)
    return rest_struct.unpack_from(data, _PREFIX.size)


def unpack_segment_header(data):
    """The SegmentHeader at the beginning of a segment; errors as in unpack_header()."""
    fields = unpack_header(data, SEGMENT_MAGIC, FORMAT_VERSION, _SEGMENT_REST, "log segment")
    header = SegmentHeader(*fields[:5])
    if not 0 < header.first_lsn <= LSN_MAX or header.durable_lsn >= header.first_lsn:
        raise CorruptFileError("the header of the log segment contradicts itself: %r" % (header,), offset=0)
    return header


_pack_rest, _pack_start, _crc32 = _ENTRY_REST.pack, _ENTRY_START.pack, zlib.crc32


def entry_seed(lineage, sequence):
    """What the checksums of a segment's entries begin with, so that no entry of another file is taken for its own:
    neither one that lies in a value, nor what the disk held before.
    """
    return zlib.crc32(struct.pack("<QQ", lineage, sequence))


def pack_entry(first_lsn, durable_lsn, wall_offset_ms, count, payload, seed=0):
    """An entry whole; `seed` is the segment's, and 0 in a checkpoint."""
    # Every write that is logged passes here: one checksum over one piece, no more.
    checked = _pack_rest(first_lsn, durable_lsn, wall_offset_ms, count, len(payload)) + payload
    return _pack_start(ENTRY_MAGIC, _crc32(checked, seed)) + checked


def entry_length(data, position, end):
    """How many bytes the entry at `position` claims, header included, or 0 where that cannot be."""
    if position + ENTRY_HEADER_SIZE_BYTES > end:
        return 0
    magic, _ = _ENTRY_START.unpack_from(data, position)
    first_lsn, durable_lsn, _, count, length = _ENTRY_REST.unpack_from(data, position + _ENTRY_START.size)
    if (magic != ENTRY_MAGIC or not 0 < first_lsn <= LSN_MAX or durable_lsn >= first_lsn or not count
            or length > LOG_ENTRY_BYTES_MAX or count * 8 > length):
        return 0
    return ENTRY_HEADER_SIZE_BYTES + length


def unpack_entry(data, position, end, seed=0):
    """The Entry at `position` of bytes, or None where there is no whole one by `end`; its `end` is where it ends."""
    size = entry_length(data, position, end)
    if not size or position + size > end:
        return None
    _, crc = _ENTRY_START.unpack_from(data, position)
    if zlib.crc32(data[position + _ENTRY_START.size:position + size], seed) != crc:
        return None
    first_lsn, durable_lsn, wall_offset_ms, count, _ = _ENTRY_REST.unpack_from(data, position + _ENTRY_START.size)
    return Entry(first_lsn, durable_lsn, wall_offset_ms, count,
                 data[position + ENTRY_HEADER_SIZE_BYTES:position + size], position + size)

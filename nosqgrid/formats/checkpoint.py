"""A checkpoint as bytes: one file with all that the grid holds at one log position.

    header     64   magic, format version, crc32 of what follows, lineage, start_lsn, wall_ms, 24 bytes of zeros
    blocks     32   magic, crc32 of what follows with the payload, kind, count, wall_offset_ms, length of the payload
      RECORDS       records as they lie in the arena (formats/records), stamp included, without padding; `count` of them
      LOG           entries of the log (formats/log), `count` of them, with every effect behind start_lsn
      END           lsn, keys, bytes (three 8-byte words): the last block; without it the file is not whole

The records are read while others write, each with the version, which is the log position, at which it was read.  The
entries that follow say what happened meanwhile; who loads the file applies an effect to a key only if its position is
greater than the key's.  Then every key stands as it was at `lsn`, whatever the moment at which it was read (the page
LSN of ARIES: Mohan et al., ACM TODS 17(1), 1992).
"""

import struct
import zlib
from collections import namedtuple

from ..errors import CorruptFileError
from ..limits import CHECKPOINT_BLOCK_BYTES_MAX
from .log import LSN_MAX, unpack_header

MAGIC = b"NOSQCHK\n"
FORMAT_VERSION = 1
_PREFIX = struct.Struct("<8sII")
_REST = struct.Struct("<QQQQQQ")  # lineage, start_lsn, wall_ms, 0, 0, 0
HEADER_SIZE_BYTES = _PREFIX.size + _REST.size

BLOCK_MAGIC = int.from_bytes(b"\xe2CHK", "little")
BLOCK_MAGIC_BYTES = b"\xe2CHK"
_BLOCK_START = struct.Struct("<II")  # magic, crc32
_BLOCK_REST = struct.Struct("<IIqQ")  # kind, count, wall_offset_ms, length
BLOCK_HEADER_SIZE_BYTES = _BLOCK_START.size + _BLOCK_REST.size
RECORDS, LOG, END = 1, 2, 3
_END = struct.Struct("<QQQ")

Header = namedtuple("Header", "lineage start_lsn wall_ms")
BlockHeader = namedtuple("BlockHeader", "crc kind count wall_offset_ms length")
End = namedtuple("End", "lsn keys bytes")


def pack_header(header):
    """The first bytes of a checkpoint."""
    rest = _REST.pack(*(tuple(header) + (0, 0, 0)))
    return _PREFIX.pack(MAGIC, FORMAT_VERSION, zlib.crc32(rest)) + rest


def unpack_file_header(data):
    """The Header; FormatVersionError for another version, CorruptFileError for anything else that is wrong."""
    header = Header(*unpack_header(data, MAGIC, FORMAT_VERSION, _REST, "checkpoint")[:3])
    if header.start_lsn > LSN_MAX:
        raise CorruptFileError("the header of the checkpoint contradicts itself: %r" % (header,), offset=0)
    return header


def pack_block(kind, count, wall_offset_ms, pieces):
    """The header of a block whose payload are these pieces of bytes, one after the other."""
    rest = _BLOCK_REST.pack(kind, count, wall_offset_ms, sum(map(len, pieces)))
    crc = zlib.crc32(rest)
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return _BLOCK_START.pack(BLOCK_MAGIC, crc) + rest


def unpack_block_header(data):
    """The BlockHeader in these bytes, or None where they are none."""
    if len(data) < BLOCK_HEADER_SIZE_BYTES:
        return None
    magic, crc = _BLOCK_START.unpack_from(data)
    header = BlockHeader(crc, *_BLOCK_REST.unpack_from(data, _BLOCK_START.size))
    if (magic != BLOCK_MAGIC or header.kind not in (RECORDS, LOG, END)
            or header.length > CHECKPOINT_BLOCK_BYTES_MAX):
        return None
    return header


def block_holds(data, payload):
    """Whether the checksum of a block, given its header's bytes, is that of its payload."""
    return zlib.crc32(payload, zlib.crc32(data[_BLOCK_START.size:BLOCK_HEADER_SIZE_BYTES])) == \
        _BLOCK_START.unpack_from(data)[1]


def pack_end(end):
    """The payload of the END block."""
    return _END.pack(*end)


def unpack_end(payload):
    """The End in the payload of an END block."""
    if len(payload) != _END.size:
        raise CorruptFileError("an END block of %d bytes" % len(payload))
    end = End(*_END.unpack(payload))
    if end.lsn > LSN_MAX:
        raise CorruptFileError("an END block with position %d" % end.lsn)
    return end

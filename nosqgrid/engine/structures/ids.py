"""Ids of stream entries: 16 bytes, milliseconds and a sequence number, big-endian, so that bytes compare as ids do."""

import struct

_ID = struct.Struct(">QQ")

SIZE_BYTES = _ID.size
PART_MAX = 2 ** 64 - 1

pack_id = _ID.pack
unpack_id = _ID.unpack

ZERO = pack_id(0, 0)
LAST = pack_id(PART_MAX, PART_MAX)


def text(entry_id):
    """An id as clients see it.

    >>> text(pack_id(5, 1))
    b'5-1'
    """
    return b"%d-%d" % unpack_id(entry_id)


def following(entry_id):
    """The next id, or None after the last."""
    if entry_id == LAST:
        return None
    return (int.from_bytes(entry_id, "big") + 1).to_bytes(SIZE_BYTES, "big")


def preceding(entry_id):
    """The id before, or None before the first."""
    if entry_id == ZERO:
        return None
    return (int.from_bytes(entry_id, "big") - 1).to_bytes(SIZE_BYTES, "big")

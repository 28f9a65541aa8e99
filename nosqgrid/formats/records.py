"""A record: one key and its value in the heap, and what a SET frame in a lane carries.

    offset  size
         0     8   stamp     version << 8 | copies, both modulo their width; never twice the same at one place
         8     4   value length in bytes
        12     2   key length in bytes
        14     1   type of the value (formats/values)
        15     1   flags: 1 EXPIRES, 2 CHECKED, 8 ELSEWHERE, 32 MORE, 128 LARGE
        16     8   deadline in ms of the monotonic clock, only with EXPIRES
         -     -   key, then value
         -     4   crc32 of everything from offset 8 to here, only with CHECKED

Little-endian, records begin at multiples of 8.  From offset 8 on it is the `body`: byte for byte what a client's SET
frame carries, so that the coordinator copies it once and only adds the stamp.

The value of a LARGE record is 32 bytes that say where it is: the number of a file of its own (engine/large), how long
it is, the descriptor that the coordinator has it open as, and its inode, 0 where it has to be asked for.  Of a
structure (formats/values) the number is that of engine/structures/table, the size what it had when the record was
written, and the rest 0.  Only an arena has such records; where they leave it, for a log or a checkpoint, the value is
put in.  Where that is too much for one record, others with the same key and MORE follow, each with more of it.

A record is ELSEWHERE where its key belongs to another database than 0 (engine/databases).

Invariants
 1. A published record does not change until its segment is reused.
 2. The body is written before the stamp, the stamp before the slot word that publishes it: whoever sees the slot word
    and then a stamp sees the body that belongs to this stamp.
 3. `version` rises by one with each write of the grid; a copy made by the cleaner keeps it and counts `copies` up.

Writers set CHECKED on machines whose stores may become visible out of order (anything but x86), and readers that find
it verify the crc32: Python has no fence for a reader to use.
"""

import struct
import zlib

HEADER = struct.Struct("<QIHBB")  # stamp, value length, key length, type, flags
BODY = struct.Struct("<IHBB")  # the same without the stamp
STAMP = struct.Struct("<Q")
DEADLINE = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")

HEADER_SIZE_BYTES = HEADER.size
STAMP_SIZE_BYTES = STAMP.size
ALIGNMENT_BYTES = 8

EXPIRES = 1
CHECKED = 2
ELSEWHERE = 8
MORE = 32  # the same bit as formats/effects.CHANGE, which it means
LARGE = 128  # of the bits that say the operation in a lane frame, the one that no operation has
FLAGS_KNOWN = EXPIRES | CHECKED | ELSEWHERE | MORE
FLAGS_IN_ARENA = EXPIRES | CHECKED | ELSEWHERE | LARGE
LARGE_VALUE = struct.Struct("<QQQQ")  # number, size in bytes, descriptor, inode

COPIES_BITS = 8
COPIES_MASK = (1 << COPIES_BITS) - 1
VERSION_MAX = (1 << (64 - COPIES_BITS)) - 1


def body_size_bytes(key_length, value_length, flags):
    """Bytes of a body, checksum included."""
    return 8 + key_length + value_length + (8 if flags & EXPIRES else 0) + (4 if flags & CHECKED else 0)


def record_size_bytes(key_length, value_length, flags):
    """Bytes a record takes in the heap: stamp, body, and padding to the next multiple of 8."""
    return (8 + body_size_bytes(key_length, value_length, flags) + 7) & ~7


def pack_body(key, value, value_type, deadline_ms=0, checked=False):
    """The body of a record; `deadline_ms` 0 means that it does not expire.

    >>> pack_body(b"k", b"v", 1).hex()
    '01000000010001006b76'
    """
    flags = (EXPIRES if deadline_ms else 0) | (CHECKED if checked else 0)
    head = BODY.pack(len(value), len(key), value_type, flags)
    if deadline_ms:
        head += DEADLINE.pack(deadline_ms)
    body = head + key + value
    if checked:
        body += CHECKSUM.pack(zlib.crc32(body))
    return body


def pack_large_body(key, place, value_type, deadline_ms=0, checked=False):
    """The body of a record whose value lies in a file of its own; `place` is what LARGE_VALUE packs."""
    body = pack_body(key, LARGE_VALUE.pack(*place), value_type, deadline_ms)
    flagged = with_flag(body, LARGE)
    return with_checksum(flagged) if checked else flagged


def with_value(record, value):
    """A LARGE record, stamp included, as one that holds its value; without checksum."""
    stamp, _, key_length, value_type, flags = HEADER.unpack_from(record)
    flags &= EXPIRES
    key_end = HEADER_SIZE_BYTES + (8 if flags else 0) + key_length
    return HEADER.pack(stamp, len(value), key_length, value_type, flags) + record[HEADER_SIZE_BYTES:key_end] + value


def key_of(record):
    """The key of a record, stamp included."""
    _, _, key_length, _, flags = HEADER.unpack_from(record)
    start = HEADER_SIZE_BYTES + (DEADLINE.size if flags & EXPIRES else 0)
    return record[start:start + key_length]


def with_parts(record, version, deadline_ms, parts):
    """Yield records that hold these parts of a structure, in place of the one that says where it is."""
    key, value_type = key_of(record), record[HEADER_SIZE_BYTES - 2]
    for index, part in enumerate(parts):
        body = pack_body(key, part, value_type, 0 if index else deadline_ms)
        yield STAMP.pack(version << COPIES_BITS) + (with_flag(body, MORE) if index else body)


def with_flag(body, flag):
    """The same body with one more flag."""
    flagged = body[:7] + bytes((body[7] | flag,)) + body[8:]
    if not flagged[7] & CHECKED:
        return flagged
    return flagged[:-CHECKSUM.size] + CHECKSUM.pack(zlib.crc32(flagged[:-CHECKSUM.size]))


def with_checksum(body):
    """The same body, CHECKED: for bodies that came from a client, who leaves the choice to the coordinator."""
    flagged = body[:7] + bytes((body[7] | CHECKED,)) + body[8:]
    return flagged + CHECKSUM.pack(zlib.crc32(flagged))


def checksum_holds(body):
    """Whether the last four bytes of a CHECKED body are the crc32 of the rest."""
    return CHECKSUM.unpack_from(body, len(body) - 4)[0] == zlib.crc32(body[:-4])

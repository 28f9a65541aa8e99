"""A slot word: one 8-byte cell of the index, the only thing whose change publishes anything.

    bits 63-48   tag: the lowest 16 bits of the key's hash
    bits 47-32   generation of the segment that the record lies in, modulo 65536
    bits 31-0    offset of the record in the arena, in units of 8 bytes

Three words below FIRST_REAL mean no record: EMPTY ends a probe, TOMBSTONE does not, MOVED sends the reader to the next
index generation.  A record never lies in the first page of the arena, so that no real word is one of the three, even
with tag and generation zero.
"""

EMPTY = 0
TOMBSTONE = 1
MOVED = 2
FIRST_REAL = 3

TAG_MASK = 0xFFFF
TAG_SHIFT = 48
GENERATION_MASK = 0xFFFF
GENERATION_SHIFT = 32
OFFSET_MASK = 0xFFFFFFFF
OFFSET_UNIT_BITS = 3


def pack_slot(key_hash, generation, offset_bytes):
    """The word for a record at `offset_bytes` of the arena.

    >>> hex(pack_slot(0xABC1234, 7, 4096))
    '0x1234000700000200'
    """
    return ((key_hash & TAG_MASK) << TAG_SHIFT | (generation & GENERATION_MASK) << GENERATION_SHIFT
            | offset_bytes >> OFFSET_UNIT_BITS)


def slot_offset_bytes(word):
    """Where in the arena the record of a real slot word begins."""
    return (word & OFFSET_MASK) << OFFSET_UNIT_BITS

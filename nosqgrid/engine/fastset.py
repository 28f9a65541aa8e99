"""The hot path of writing: plain SET frames, applied in one loop.

`make_apply_sets(keyspace)` returns apply_sets(data, position, end) -> position, which applies the frames of `data` from
`position` on as long as they are of the common kind, and stops in front of the first that is not: with a deadline, too
large, needing a new segment, replacing a record with flags, in the middle of an index growth or a batch, malformed, or
any other operation.  The caller hands that one to Keyspace.store_body, which says the same in plain words; a test holds
the two against each other.  Nothing here can fail, so nothing is half done.

It is written for speed: names bound once, one unpack a header, hash and probing inline, no object a record but the key.
"""

from ..formats.records import BODY, COPIES_BITS, HEADER, HEADER_SIZE_BYTES
from ..formats.slots import FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..formats.values import NAMES
from ..limits import KEY_SIZE_BYTES_MAX


def make_apply_sets(keyspace):
    """See the module."""
    words, arena, heap, index = keyspace.words, keyspace.arena, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    unpack_body, unpack_header, from_bytes = BODY.unpack_from, HEADER.unpack_from, int.from_bytes
    source, region, dead, filled = keyspace.source, heap.writer, heap.dead, heap.filled
    heap_base, segment_shift = heap.base, heap.segment_shift
    record_size_max = heap.record_size_bytes_max
    one, type_max = 1 << COPIES_BITS, len(NAMES) - 1

    def apply_sets(data, position, end):
        if not index.steady or keyspace.staging:
            return position
        base, shift, table = index.base, index.shift, index.table
        stamp = keyspace.version << COPIES_BITS
        cursor, limit, generation, segment_open = region.cursor, region.limit, region.generation_bits, region.segment
        while position + 8 <= end:
            value_length, key_length, value_type, flags = unpack_body(data, position)
            key_end = position + 8 + key_length
            stop = key_end + value_length
            following = cursor + ((stop - position + 15) & ~7)
            if (flags or stop > end or following > limit or following - cursor > record_size_max
                    or key_length > KEY_SIZE_BYTES_MAX or value_type > type_max):
                break
            key = data[position + 8:key_end]
            key_hash = (from_bytes(key, "little") + key_length * b) * a % p
            tag = key_hash & TAG_MASK
            slot = base + (key_hash >> shift)
            while True:
                word = words[slot]
                if word < FIRST_REAL:
                    break
                if word >> TAG_SHIFT == tag:
                    old = (word & OFFSET_MASK) << 3
                    _, old_value_length, old_key_length, _, old_flags = unpack_header(source, old)
                    key_at = old + HEADER_SIZE_BYTES
                    if old_flags or (old_key_length == key_length and source[key_at:key_at + key_length] == key):
                        break
                slot += 1
            if word < FIRST_REAL:
                if word or table.used >= table.grow_at or slot >= table.end - 1:
                    break  # a tombstone, or an index that must grow
            elif old_flags:
                break
            arena[cursor + 8:cursor + 8 + stop - position] = data[position:stop]
            stamp += one
            words[cursor >> 3] = stamp
            words[slot] = tag << TAG_SHIFT | generation | cursor >> 3
            cursor = following
            if word:
                segment = (old - heap_base) >> segment_shift
                now_dead = dead[segment] + ((HEADER_SIZE_BYTES + old_key_length + old_value_length + 7) & ~7)
                dead[segment] = now_dead
                if now_dead >= filled[segment] and segment != segment_open:
                    heap.free_if_dead(segment)
            else:
                table.used += 1
                index.live += 1
            position = stop
        keyspace.version = stamp >> COPIES_BITS
        region.cursor = cursor
        return position

    return apply_sets

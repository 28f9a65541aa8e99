"""The hot path of commands that set several keys: SET after SET of one pipeline, MSET, INCR of one counter or of many.

`make_store_pairs(keyspace)` returns store_pairs(pairs, count, value_type) -> whether it was done: {key: value} without
deadlines, all of them or none.  `count` is how many effects that is, at least as many as pairs: where a key was set
more than once in a row only its last value is published, and the version rises as if all had been.

Each pair is what a frame is to engine/fastset, without the frame.  It stands aside, with nothing done, where there is a
log, a checksum, an index that grows or may have to, a batch, somebody who is told of changes, and where the open
segment may not take all.  A pair that is no common one (its key has a deadline, or something large) is stored in plain
words, for which there is room then.

It is written for speed: names bound once, hash and probing inline, no object a record but its bytes.
"""

from ..formats.records import BODY, COPIES_BITS, HEADER_SIZE_BYTES
from ..formats.slots import FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..limits import KEY_SIZE_BYTES_MAX
from .databases import PREFIX

_EXTRA_BYTES = HEADER_SIZE_BYTES + 7  # of a record beside key and value, at most


def make_store_pairs(keyspace):
    """See the module."""
    words, arena, heap, index = keyspace.words, keyspace.arena, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    pack_body, unpack_body, from_bytes = BODY.pack, BODY.unpack_from, int.from_bytes
    source, region, dead, filled = keyspace.source, heap.writer, heap.dead, heap.filled
    heap_base, segment_shift = heap.base, heap.segment_shift
    size_max = min(heap.record_size_bytes_max, KEY_SIZE_BYTES_MAX)  # of all together, so that none is too large
    one = 1 << COPIES_BITS

    def store_pairs(pairs, count, value_type):
        note = keyspace.hot_note()
        if note is False or keyspace.log is not None or keyspace.checked or keyspace.staging or not index.steady:
            return False
        cursor, table = region.cursor, index.table
        room = sum(map(len, pairs)) + sum(map(len, pairs.values())) + _EXTRA_BYTES * len(pairs)
        if (room > region.limit - cursor or room > size_max or index.room_left() <= len(pairs)
                or max(pairs) >= PREFIX):
            return False
        base, shift, generation, segment_open = index.base, index.shift, region.generation_bits, region.segment
        stamp = keyspace.version + count - len(pairs) << COPIES_BITS
        others = None
        for key, value in pairs.items():
            key_length = len(key)
            key_hash = (from_bytes(key, "little") + key_length * b) * a % p
            tag = key_hash & TAG_MASK
            slot = base + (key_hash >> shift)
            while True:
                word = words[slot]
                if word < FIRST_REAL:
                    break
                if word >> TAG_SHIFT == tag:
                    old = (word & OFFSET_MASK) << 3
                    old_value_length, old_key_length, _, old_flags = unpack_body(source, old + 8)
                    key_at = old + HEADER_SIZE_BYTES
                    if old_flags or (old_key_length == key_length and source[key_at:key_at + key_length] == key):
                        break
                slot += 1
            if old_flags if word >= FIRST_REAL else word or table.used >= table.grow_at or slot >= table.tail:
                if others is None:
                    others = []
                others.append(key)
                continue
            end = cursor + HEADER_SIZE_BYTES + key_length + len(value)
            arena[cursor + 8:end] = pack_body(len(value), key_length, value_type, 0) + key + value
            stamp += one
            words[cursor >> 3] = stamp
            words[slot] = tag << TAG_SHIFT | generation | cursor >> 3
            following = end + 7 & ~7
            if note is not None:
                note((slot, key_hash, following - cursor >> 3, key))
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
        keyspace.version, region.cursor = stamp >> COPIES_BITS, cursor
        if others is not None:
            for key in others:
                keyspace.store(key, value_type, pairs[key])
        return True

    return store_pairs


def make_store_one(keyspace):
    """store_one(key, value, value_type) -> whether it was done: store_pairs() for one pair, which is the same without
    what several need."""
    words, arena, heap, index = keyspace.words, keyspace.arena, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    pack_body, unpack_body, from_bytes = BODY.pack, BODY.unpack_from, int.from_bytes
    source, region, dead, filled = keyspace.source, heap.writer, heap.dead, heap.filled
    heap_base, segment_shift = heap.base, heap.segment_shift
    size_max = min(heap.record_size_bytes_max, KEY_SIZE_BYTES_MAX)

    def store_one(key, value, value_type):
        note = keyspace.hot_note()
        if note is False or keyspace.log is not None or keyspace.checked or keyspace.staging or not index.steady:
            return False
        cursor, key_length, table = region.cursor, len(key), index.table
        end = cursor + HEADER_SIZE_BYTES + key_length + len(value)
        following = end + 7 & ~7
        if following > region.limit or end - cursor > size_max or key >= PREFIX:
            return False
        key_hash = (from_bytes(key, "little") + key_length * b) * a % p
        tag = key_hash & TAG_MASK
        slot = index.base + (key_hash >> index.shift)
        while True:
            word = words[slot]
            if word < FIRST_REAL:
                if word or table.used >= table.grow_at or slot >= table.tail:
                    return False
                table.used += 1
                index.live += 1
                break
            if word >> TAG_SHIFT == tag:
                old = (word & OFFSET_MASK) << 3
                old_value_length, old_key_length, _, old_flags = unpack_body(source, old + 8)
                if old_flags:
                    return False
                key_at = old + HEADER_SIZE_BYTES
                if old_key_length == key_length and source[key_at:key_at + key_length] == key:
                    break
            slot += 1
        arena[cursor + 8:end] = pack_body(len(value), key_length, value_type, 0) + key + value
        keyspace.version = version = keyspace.version + 1
        words[cursor >> 3] = version << COPIES_BITS
        words[slot] = tag << TAG_SHIFT | region.generation_bits | cursor >> 3
        region.cursor = following
        if note is not None:
            note((slot, key_hash, following - cursor >> 3, key))
        if word:
            segment = (old - heap_base) >> segment_shift
            now_dead = dead[segment] + ((HEADER_SIZE_BYTES + old_key_length + old_value_length + 7) & ~7)
            dead[segment] = now_dead
            if now_dead >= filled[segment] and segment != region.segment:
                heap.free_if_dead(segment)
        return True

    return store_one

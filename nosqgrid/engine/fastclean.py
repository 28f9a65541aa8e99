"""The hot path of cleaning: plain records of one segment, moved run by run in one loop.

`make_move_plain(keyspace)` returns move_plain(victim, position, end, count, size_bytes) -> (position, count,
moved_bytes), which looks at the records of segment `victim` from `position` on and moves those that live, as long as
they are of the common kind, and stops in front of the first that is not: with a deadline or a checksum, without room
behind the survivors, or in the middle of an index growth; and when `count` records were looked at or `size_bytes` were
moved. `count` comes back as what is left of it. Cleaner.move_record says the same of one record in plain words; a test
holds the two against each other.

Live records that lie side by side are a run and copied at once.  The order within a run is that of a single record: all
bodies, then all stamps, then the slot words.  Nothing else runs between the look at a slot word and its change.

It is written for speed: names bound once, hash and probing inline.
"""

from ..formats.records import COPIES_MASK, HEADER, HEADER_SIZE_BYTES
from ..formats.slots import GENERATION_MASK, GENERATION_SHIFT, OFFSET_MASK


def _make_move_run(words, arena, heap):
    region = heap.survivors

    def move_run(view, start, run_bytes, found):
        """Copy the run behind the survivors and let the slots of `found` [slot, slot word, stamp, ...] name it."""
        to = region.cursor
        arena[to:to + run_bytes] = view[start:start + run_bytes]
        shift = to - start >> 3
        more = region.generation_bits - (found[1] & GENERATION_MASK << GENERATION_SHIFT) + shift
        iterator = iter(found)
        for _, word, stamp in zip(iterator, iterator, iterator):
            copied_stamp = stamp + 1 if stamp & COPIES_MASK != COPIES_MASK else stamp - COPIES_MASK
            words[(word & OFFSET_MASK) + shift] = copied_stamp
        iterator = iter(found)
        for slot, word, _ in zip(iterator, iterator, iterator):
            words[slot] = word + more
        region.cursor = to + run_bytes
        heap.discard(start, run_bytes)

    return move_run


def make_move_plain(keyspace):
    """See the module."""
    words, arena, source, heap, index = keyspace.words, keyspace.arena, keyspace.source, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    unpack_header, from_bytes, region = HEADER.unpack_from, int.from_bytes, heap.survivors
    move_run = _make_move_run(words, arena, heap)

    def move_plain(victim, position, end, count, size_bytes):
        if not index.steady:
            return position, count, 0
        base, index_shift, generation = index.base, index.shift, heap.generation[victim]
        room, moved = region.limit - region.cursor, 0
        start, found = position, []
        add = found.append
        with memoryview(source) as view:
            while position < end and count > 0:
                stamp, value_length, key_length, _, flags = unpack_header(source, position)
                if flags:
                    break
                units, key_at = position >> 3, position + HEADER_SIZE_BYTES
                slot = base + (((from_bytes(source[key_at:key_at + key_length], "little") + key_length * b) * a % p)
                               >> index_shift)
                word = words[slot]
                while word and word & OFFSET_MASK != units:
                    slot += 1
                    word = words[slot]
                following = key_at + key_length + value_length + 7 & ~7
                if word:
                    if following - start > room:
                        break
                    add(slot)
                    add(word)
                    add(stamp)
                elif found:
                    run_bytes = position - start
                    move_run(view, start, run_bytes, found)
                    room -= run_bytes
                    moved += run_bytes
                    start, found = following, []
                    add = found.append
                    if heap.generation[victim] != generation:
                        return following, count - 1, moved
                    if moved >= size_bytes:
                        position = following
                        break
                else:
                    start = following
                count -= 1
                position = following
                if found and position - start + moved >= size_bytes:
                    break
            if found:
                move_run(view, start, position - start, found)
                moved += position - start
        return position, count, moved

    return move_plain

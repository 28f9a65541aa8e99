"""The hot path of writing: plain SET frames, applied in one loop.

`make_apply_sets(keyspace, log)` returns apply_sets(data, position, end) -> position, which applies the frames of `data`
from `position` on as long as they are of the common kind, and stops in front of the first that is not: with a deadline,
too large, of another database, needing a new segment, replacing a record with flags, in the middle of an index growth
or a batch, malformed, or any other operation.  The caller hands that one to Keyspace.store_frame, which says the same
in plain words; a test holds the two against each other.

With a log, frames are appended before the first of them is published: that frame alone where it is the last, else as
many in a row as will fit whatever happens (`make_run_end`), as one entry.  What is in the log is applied to the end.
Where the log refuses, DiskError comes out with `frames_end` set to where the frames end that it refused; nothing of
those took place.

It is written for speed: names bound once, one unpack a header, hash and probing inline, no object a record but the key.
"""

from ..formats.records import (BODY, COPIES_BITS, DEADLINE, EXPIRES, HEADER, HEADER_SIZE_BYTES, body_size_bytes,
                               with_checksum)
from ..formats.slots import FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..formats.values import NAMES
from ..limits import KEY_SIZE_BYTES_MAX
from .databases import PREFIX


def make_apply_sets(keyspace, log=None):
    """See the module."""
    words, arena, heap, index = keyspace.words, keyspace.arena, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    unpack_body, unpack_header, from_bytes = BODY.unpack_from, HEADER.unpack_from, int.from_bytes
    source, region, dead, filled = keyspace.source, heap.writer, heap.dead, heap.filled
    heap_base, segment_shift = heap.base, heap.segment_shift
    record_size_max = heap.record_size_bytes_max
    one, type_max = 1 << COPIES_BITS, len(NAMES) - 1
    append = None if log is None else log.append
    run_end = make_run_end(keyspace)
    note = keyspace.hot_note()

    def apply_sets(data, position, end):
        if not index.steady or keyspace.staging or note is False:
            return position
        base, shift, table = index.base, index.shift, index.table
        stamp = keyspace.version << COPIES_BITS
        cursor, limit, generation, segment_open = region.cursor, region.limit, region.generation_bits, region.segment
        logged = end if append is None else position
        while position + 8 <= end:
            value_length, key_length, value_type, flags = unpack_body(data, position)
            key_end = position + 8 + key_length
            stop = key_end + value_length
            following = cursor + ((stop - position + 15) & ~7)
            if (flags or stop > end or following > limit or following - cursor > record_size_max
                    or key_length > KEY_SIZE_BYTES_MAX or value_type > type_max):
                break
            key = data[position + 8:key_end]
            if key >= PREFIX:
                break  # of another database, whose record gets a flag
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
                if word or table.used >= table.grow_at or slot >= table.tail:
                    break  # a tombstone, or an index that must grow, or be told how far it goes
            elif old_flags:
                break
            if position >= logged:
                keyspace.version, region.cursor = stamp >> COPIES_BITS, cursor
                logged, count = (stop, 1) if stop == end else run_end(data, position, end)
                if not count:  # this one will fit, as was seen above; of those behind it nobody knows
                    logged, count = stop, 1
                log_frames(append, keyspace, count, data, position, logged)
            arena[cursor + 8:cursor + 8 + stop - position] = data[position:stop]
            stamp += one
            words[cursor >> 3] = stamp
            words[slot] = tag << TAG_SHIFT | generation | cursor >> 3
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
            position = stop
        keyspace.version = stamp >> COPIES_BITS
        region.cursor = cursor
        if position < logged and append is not None:
            return finish_run(keyspace, data, position, logged)
        if append is not None:
            keyspace.behind = False
        return position

    return apply_sets


def make_apply_checked_sets(keyspace, log):
    """The same for a keyspace whose records carry checksums: no hot path, but one entry of the log for many frames."""
    run_end = make_run_end(keyspace)
    stand_aside = keyspace.hot_note() is False

    def apply_sets(data, position, end):
        if log is None or keyspace.staging or stand_aside:
            return position
        stop, count = run_end(data, position, end)
        if not count:
            return position
        log_frames(log.append, keyspace, count, data, position, stop)
        return finish_run(keyspace, data, position, stop)

    return apply_sets


def make_run_end(keyspace):
    """run_end(data, position, end) -> (stop, count): how many frames from here on are sets that cannot be refused.

    There is room for all of them in the open segment and in the index, whatever keys they name.
    """
    unpack_body, unpack_deadline = BODY.unpack_from, DEADLINE.unpack_from
    region, index, type_max = keyspace.heap.writer, keyspace.index, len(NAMES) - 1
    extra = 15 + (4 if keyspace.checked else 0)  # stamp and padding, and what a checksum takes
    size_max = keyspace.heap.record_size_bytes_max - extra

    def run_end(data, position, end):
        stop, count, room = position, 0, region.limit - region.cursor
        last, count_max = end - 8, index.room_left()
        while stop <= last and count < count_max:
            value_length, key_length, value_type, flags = unpack_body(data, stop)
            size = 8 + key_length + value_length
            if flags:
                if flags != EXPIRES or stop + 16 > end or not 0 < unpack_deadline(data, stop + 8)[0] < 1 << 63:
                    break
                size += 8
            following = stop + size
            room -= size + extra & -8
            if (following > end or room < 0 or size > size_max or key_length > KEY_SIZE_BYTES_MAX
                    or value_type > type_max):
                break
            stop = following
            count += 1
        return stop, count

    return run_end


def log_frames(append, keyspace, count, data, position, stop):
    """Append these frames as one entry."""
    try:
        append(keyspace.version + 1, count, data[position:stop])
    except Exception as error:
        error.frames_end = stop
        raise
    keyspace.behind = True


def finish_run(keyspace, data, position, stop):
    """Apply the frames up to `stop`, which are in the log; where they end."""
    keyspace.index.held = True
    position = keyspace.apply_sets_plain(data, position, stop)
    while position < stop:
        value_length, key_length, _, flags = BODY.unpack_from(data, position)
        key_at = position + BODY.size + (8 if flags & EXPIRES else 0)
        following = position + body_size_bytes(key_length, value_length, flags)
        frame = data[position:following]
        keyspace.store_body(data[key_at:key_at + key_length], with_checksum(frame) if keyspace.checked else frame)
        position = keyspace.apply_sets_plain(data, following, stop)
    keyspace.behind = False
    keyspace.index.let_go()
    return stop

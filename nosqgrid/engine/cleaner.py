"""The cleaner: copies the live records out of segments that hold little of it, so that their whole space is used again.

It takes a SEALED segment (the victim), walks its records from the front, and for each that a slot word still points at
writes a copy into its own region and stores the new slot word; expired ones it drops.  When nothing lives in it any
more the segment is FREE.

Work is done in slices of so many records and bytes, so that the coordinator can look at its clients in between: while
few segments are free, one each time writers have filled another few KiB, of the length that wins as much as they took,
and one behind a turn of the loop for what they still owe.  So a write seldom finds that nothing is left and has to wait
for whole segments.

Invariants
 1. A copy has the version of the original and another stamp (formats/records), and is whole before the slot word names
    it; the original stays as it is until the segment is reused, so a reader finds the value in either place.
 2. Segments that hold staged records (written, not yet published) are `excluded`: their records look dead.

A kill at any line leaves every slot word pointing at a whole record.
"""

from ..formats.records import ALIGNMENT_BYTES, COPIES_MASK, EXPIRES, HEADER, record_size_bytes
from .fastclean import make_move_plain
from .heap import CLEANER_SEGMENTS, FREE, SEALED

PATIENCE_TURNS = 64  # for which a grid that is nearly full is not searched for a victim again
SLICE_RECORDS = 512  # about half a millisecond
RECORD_BYTES = 2048  # a slice moves at most so many bytes for each of its records: copying them takes as long
PACE_BYTES_MIN, PACE_BYTES_MAX = 4 * 1024, 64 * 1024  # written between two payments
SMALL_HEAP_SEGMENTS = 64
RUN_ATTEMPTS = 4  # to empty adjacent segments; where records leave much unused, more must be free beforehand
PACE_RECORDS = 64  # looked at before it is seen whether a payment is made


class Cleaner(object):
    """Moves records between segments of one keyspace, which lends heap, index and memory."""

    def __init__(self, keyspace):
        self.keyspace = keyspace
        self.heap = keyspace.heap
        self.index = keyspace.index
        self.excluded = set()
        self.segments_cleaned = 0
        self.bytes_moved = 0
        self.free_wanted = CLEANER_SEGMENTS + 2 + (self.heap.count >> 8)
        self.compacting = False  # go on for as long as it wins anything: memory is to be given back
        self._victim = -1
        self._generation = 0  # of the victim: when it differs, the victim was freed
        self._patience = 0
        self._position = 0  # offset in the arena of the next record to look at
        self._end = 0
        self._gain = 0.0  # bytes won for each byte of the victim
        self._pace_bytes = PACE_BYTES_MAX  # what writers may take between two payments
        self._debt = 0.0  # bytes that writers took and that are still to be won
        self._move_plain = None if keyspace.checked or keyspace.fenced else make_move_plain(keyspace)

    # -- when ---------------------------------------------------------------------------------------------------------

    def low(self):
        """Whether free segments have become so few that cleaning should go on beside the clients' work."""
        return self.compacting or self._free() < self.free_wanted

    def behind(self):
        """Whether to clean beside the clients' work: writers owe something, or nearly nothing is free."""
        return self.compacting or self.low() and (self._debt > 0 or self._free() <= CLEANER_SEGMENTS + 1)

    def _free(self):
        """How many segments are free, or will be in some milliseconds."""
        return self.heap.usable() + self.heap.rests()

    def worthwhile(self):
        """Whether there is a victim whose cleaning wins at least a sixteenth of a segment."""
        if self._victim >= 0:
            return True
        if self._patience:
            self._patience -= 1
            return False
        if self._begin() and self.heap.dead[self._victim] >= self.heap.segment_size_bytes >> 4:
            return True
        self._victim = -1
        self._patience = PATIENCE_TURNS
        return False

    def keep_pace(self, size):
        """Writers want `size` bytes beyond what was paid for: win as much or more, in at most a slice.

        Let them go on then for so many bytes that paying takes about half a slice, or as far as they like while enough
        segments are free.
        """
        heap, region = self.heap, self.heap.writer
        if not self.low():
            self._debt = 0.0
            heap.stretch_bytes = heap.segment_size_bytes
            region.limit = region.end
            return
        paid_for = max(size, self._pace_bytes)
        # A little more than is taken, and more when it is late.
        urgency = 1.25 * (self.free_wanted - len(heap.free) - heap.rests())
        self._debt = min(max(self._debt, -paid_for) + urgency * paid_for, 4.0 * heap.segment_size_bytes)
        records, left = SLICE_RECORDS, SLICE_RECORDS * RECORD_BYTES
        while self._debt > 0 and records > 0 and left > 0 and self.worthwhile():
            moved = self.bytes_moved
            if not self.step(min(records, PACE_RECORDS), min(int(self._debt / self._gain) + 1, left)):
                break
            records -= PACE_RECORDS
            left -= self.bytes_moved - moved
        if records <= SLICE_RECORDS >> 2:
            self._pace_bytes = max(self._pace_bytes >> 1, PACE_BYTES_MIN)
        elif records >= SLICE_RECORDS - (SLICE_RECORDS >> 2):
            self._pace_bytes = min(self._pace_bytes << 1, PACE_BYTES_MAX)
        heap.stretch_bytes = max(size, self._pace_bytes)
        region.limit = min(region.end, region.cursor + heap.stretch_bytes)

    # -- room that is needed now --------------------------------------------------------------------------------------

    def make_room(self, free_wanted, won=None):
        """Clean until so many segments are free; false where the dead bytes, or `won` bytes, cannot yield them.

        Looks at the sum first: where the grid is really full, the answer costs microseconds, not a round of cleaning.
        """
        heap = self.heap
        while self.keyspace.reclaim_expired():
            continue
        heap.settle_now(free_wanted)
        if heap.usable() >= free_wanted:
            return True
        if won is None:
            won = sum(heap.dead[segment] for segment in self._cleanable())
        enough = heap.segment_size_bytes
        if heap.count <= SMALL_HEAP_SEGMENTS:
            enough >>= 4  # what a survivors' segment gains by it is still worth a round of so few
        if won < enough:
            return False
        cleaned_last = self.segments_cleaned + heap.count
        while heap.usable() + heap.rests() < free_wanted and self.segments_cleaned < cleaned_last:
            if not self.step():
                break
        heap.settle_now(free_wanted)
        return heap.usable() >= free_wanted

    def make_run(self, length):
        """Clean until so many adjacent segments are free; whether they are.

        So many in all first, wherever they lie; then those that cost least to empty have room to be emptied.
        """
        heap = self.heap
        while self.keyspace.reclaim_expired():
            continue
        if not self._finish_victim():
            return False
        heap.settle_now(heap.count)
        for region in (heap.writer, heap.survivors):
            heap.close(region)  # what is filled in part would stand in the way
        for wanted in range(length + CLEANER_SEGMENTS, min(length + CLEANER_SEGMENTS + RUN_ATTEMPTS, heap.count + 1)):
            won = sum(heap.segment_size_bytes - heap.filled[segment] + heap.dead[segment]
                      for segment in self._cleanable())
            if won < wanted - heap.usable() << heap.segment_shift or not self.make_room(wanted, won):
                return False
            if self._empty_run(length):
                return True
        return False

    def _empty_run(self, length):
        """Clean those `length` adjacent segments that cost least, all in one go; whether they are FREE now."""
        heap = self.heap
        first = heap.cheapest_run(length, self.excluded) if self._finish_victim() else -1
        if first < 0:
            return False
        run = range(first, first + length)
        heap.hold(run)  # else survivors would go where there is to be nothing
        try:
            for segment in run:
                if heap.state[segment] != SEALED:
                    continue
                self._take(segment)
                while self._victim == segment:
                    if not self.step():
                        return False
                heap.hold(run)
        finally:
            self._victim = -1
            heap.unhold(run)
        heap.settle_now(heap.count)
        return all(heap.state[segment] == FREE for segment in run)

    def _finish_victim(self):
        """Empty the victim; false where that cannot be.  Given up half moved, it might find no room later."""
        while self._victim >= 0:
            if not self.step():
                return False
        return True

    def _cleanable(self):
        state, excluded = self.heap.state, self.excluded
        return [segment for segment in range(self.heap.count) if state[segment] == SEALED and segment not in excluded]

    # -- how ----------------------------------------------------------------------------------------------------------

    def step(self, record_count=SLICE_RECORDS, size_bytes=None):
        """Look at so many records, and move about so many bytes; false when there is nothing to clean or no room to
        move anything.
        """
        if self._victim >= 0 and self._gone():
            self._end_victim()
        if self._victim < 0 and not self._begin():
            return False
        left = record_count * RECORD_BYTES if size_bytes is None else size_bytes
        begun = self._position
        try:
            while record_count > 0 and left > 0 and self._position < self._end and not self._gone():
                if self._move_plain is not None:
                    self._position, record_count, moved = self._move_plain(self._victim, self._position, self._end,
                                                                           record_count, left)
                    self.bytes_moved += moved
                    left -= moved
                    if record_count <= 0 or left <= 0 or self._position >= self._end or self._gone():
                        break
                moved = self.bytes_moved
                size = self.move_record(self._position)
                if not size:
                    return False
                self._position += size
                record_count -= 1
                left -= self.bytes_moved - moved
        finally:
            self._debt -= (self._position - begun) * self._gain
        if self._position >= self._end or self._gone():
            self._end_victim()
        return True

    def _gone(self):
        """Whether the victim is free already, or even in use again."""
        return self.heap.generation[self._victim] != self._generation or self.heap.state[self._victim] != SEALED

    def _begin(self):
        heap = self.heap
        victim = heap.cheapest(self.excluded)
        if victim < 0 or heap.filled[victim] - heap.dead[victim] > heap.segment_size_bytes - ALIGNMENT_BYTES * 8:
            return False
        self._take(victim)
        return True

    def _take(self, victim):
        heap = self.heap
        self._victim = victim
        self._generation = heap.generation[victim]
        self._position = heap.base + (victim << heap.segment_shift)
        self._end = self._position + heap.filled[victim]
        won = heap.segment_size_bytes - heap.filled[victim] + heap.dead[victim]
        self._gain = won / float(heap.filled[victim])

    def move_record(self, offset):
        """Move the record if it is live; its size, or 0 when there is no room for the copy."""
        keyspace = self.keyspace
        stamp, value_length, key_length, _, flags = HEADER.unpack_from(keyspace.source, offset)
        size = record_size_bytes(key_length, value_length, flags)
        key_at = offset + HEADER.size + (8 if flags & EXPIRES else 0)
        key_hash = keyspace.hash_of(keyspace.source[key_at:key_at + key_length])
        slot = self.index.find_offset(key_hash, offset >> 3)
        if not slot:
            return size
        if flags & EXPIRES and keyspace.deadline_at(offset) <= keyspace.now_ms:
            keyspace.remove_expired(slot, offset, size)
            return size
        copy = self.heap.allocate(self.heap.survivors, size)
        if copy is None:
            return 0
        keyspace.arena[copy + 8:copy + size] = keyspace.source[offset + 8:offset + size]
        copied_stamp = stamp & ~COPIES_MASK | (stamp + 1) & COPIES_MASK
        generation_bits = self.heap.generation_bits(self.heap.segment_of(copy))
        keyspace.publish_copy(slot, key_hash, copy, copied_stamp, generation_bits)
        self.heap.discard(offset, size)
        self.bytes_moved += size
        return size

    def _end_victim(self):
        self._victim = -1
        self.segments_cleaned += 1

    def forget(self):
        """The heap was cleared: there is no victim any more."""
        self._victim = -1

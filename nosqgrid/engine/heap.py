"""The heap: segments that are filled front to back and emptied by copying out what still lives.

A segment is FREE, OPEN (being filled), SEALED (full) or LARGE (one of a run that a single record fills alone).  Nothing
is ever freed inside a segment: a record that is replaced or deleted only counts as dead bytes of its segment, and a
SEALED segment whose bytes are all dead is FREE again.  The cleaner (engine/cleaner) makes the others so.

Readers may pin a segment, to use a record in place (formats/lane).  A pin is a word stored by the reader, who then
looks at the slot word again; the other way round, a segment in which nothing lives is RESTING until REST_MS later, then
looks at the pins, and is FREE where there is none.  By then each side has seen what the other stored before, whatever
the machine delays: either the reader finds the slot word changed and lets go, or its pin is seen here.

Invariants
 1. A segment's bytes change only while it is OPEN or LARGE and being written, behind `cursor`: what was published
    stays.
 2. When a segment becomes FREE no slot word points into it, and its generation counts up, so that slot words for what
    is written there next differ from all that pointed there before (modulo 65536, where the stamps still differ).
 3. For each segment: bytes filled = bytes of live records + dead bytes.
 4. A pinned segment is not FREE, and not written.
 5. Writers leave the last FREE segment to the cleaner, which needs it to make others free.

Source: log-structured memory, Rumble, Kejriwal and Ousterhout, FAST 2014 (RAMCloud).
"""

import heapq

from ..errors import GridFullError, InvariantError
from ..formats.slots import GENERATION_MASK, GENERATION_SHIFT
from ..limits import RESERVE_STEP_BYTES

FREE, OPEN, SEALED, LARGE, RESTING = range(5)
REST_MS = 3
HELD_LOOK_MS = 50  # between two looks at segments that somebody keeps pinned
CLEANER_SEGMENTS = 1  # FREE segments that only the cleaner may take


class Region(object):
    """An OPEN segment and where its next record goes; a writer that finds no room in it asks the heap for another.

    The hot path of the keyspace reads and moves `cursor` itself.
    """

    def __init__(self):
        self.segment = -1
        self.cursor = 0  # offset in the arena of the next record
        self.limit = 0
        self.generation_bits = 0  # of the segment, where a slot word has them


class Heap(object):
    """Segments of the arena; `reserve(offset, length)` makes a part of it usable or raises GridFullError."""

    def __init__(self, layout, reserve):
        self.base = layout.heap_offset_bytes
        self.segment_size_bytes = layout.segment_size_bytes
        self.segment_shift = layout.segment_size_bytes.bit_length() - 1
        self.count = layout.segment_count
        self.record_size_bytes_max = self.segment_size_bytes // 2  # a larger one gets a run of its own
        self._reserve = reserve
        self._step_segments = max(1, RESERVE_STEP_BYTES >> self.segment_shift)
        self._steps_reserved = set()  # what the system has given; it is never given back
        self.reserve_error = None  # why the system gave no more, the last time it was asked
        self.state = [FREE] * self.count
        self.filled = [0] * self.count
        self.dead = [0] * self.count
        self.generation = [1] * self.count
        self.run = [0] * self.count  # segments of a LARGE run, at its first
        self.free = list(range(self.count))  # a heap queue: the lowest is filled first, LARGE runs begin at the top
        self.writer = Region()
        self.survivors = Region()
        self.opened = 0  # how many times a writer got a fresh segment
        self.pins = None  # function() -> set of pinned segments, while there is anybody who pins
        self.rest = None  # function() that waits REST_MS, for when a writer needs a resting segment at once
        self._resting = []  # runs (since_ms, first, count) in which nothing lives, by time
        self._held = []  # runs that were found pinned
        self._look_at_held_ms = 0
        self.now_ms = 0  # of the turn, for resting alone

    # -- allocation ---------------------------------------------------------------------------------------------------

    def segment_of(self, offset):
        return (offset - self.base) >> self.segment_shift

    def generation_bits(self, segment):
        return (self.generation[segment] & GENERATION_MASK) << GENERATION_SHIFT

    def allocate(self, region, size):
        """Offset for a record of `size` bytes (a multiple of 8, at most record_size_bytes_max), or None: no segment is
        left.

        The writers' region leaves the last free segments to the cleaner.
        """
        offset = region.cursor
        if offset + size > region.limit:
            keep = CLEANER_SEGMENTS if region is self.writer else 0
            self.settle_now(keep + 1)
            if len(self.free) <= keep or not self._open(region):
                return None
            offset = region.cursor
        region.cursor = offset + size
        return offset

    def _open(self, region):
        segment = self._take_free()
        if segment is not None and region is self.writer and not self._one_more():
            heapq.heappush(self.free, segment)
            segment = None
        if segment is None:
            return False
        self.close(region)
        self.state[segment] = OPEN
        region.segment = segment
        region.cursor = self.base + (segment << self.segment_shift)
        region.limit = region.cursor + self.segment_size_bytes
        region.generation_bits = self.generation_bits(segment)
        if region is self.writer:
            self.opened += 1
        return True

    def _take_free(self):
        """Take the lowest FREE segment; where the system gives no memory for it, the lowest that has some; or None."""
        if self._reserve_segments(self.free[0], 1):
            return heapq.heappop(self.free)
        given = [segment for segment in self.free if self._has_memory(segment)]
        if not given:
            return None
        segment = min(given)
        self.free.remove(segment)
        heapq.heapify(self.free)
        return segment

    def _one_more(self):
        """Whether there is memory for a FREE segment: what writers leave to the cleaner must be of use to it."""
        return self._reserve_segments(self.free[0], 1) or any(map(self._has_memory, self.free))

    def _has_memory(self, segment):
        return segment // self._step_segments in self._steps_reserved

    def usable(self):
        """How many FREE segments can be had: without those for which the system lately had no memory."""
        return len(self.free) if self.reserve_error is None else sum(map(self._has_memory, self.free))

    def _reserve_segments(self, first, count):
        """Ask the system for the memory of these segments, a step at a time; false when it has none to give."""
        for step in range(first // self._step_segments, (first + count - 1) // self._step_segments + 1):
            if step in self._steps_reserved:
                continue
            start = step * self._step_segments
            segments = min(self._step_segments, self.count - start)
            try:
                self._reserve(self.base + (start << self.segment_shift), segments << self.segment_shift)
            except GridFullError as error:
                self.reserve_error = error
                return False
            self._steps_reserved.add(step)
            self.reserve_error = None
        return True

    def close(self, region):
        """Seal the region's segment, if it has one."""
        segment = region.segment
        if segment < 0:
            return
        region.segment, region.limit = -1, 0
        self.filled[segment] = region.cursor - self.base - (segment << self.segment_shift)
        region.cursor = 0
        self.state[segment] = SEALED
        self.free_if_dead(segment)

    def allocate_in_rest(self, region, size):
        """Offset in what is left of another region's segment, or None: the last place to look."""
        return self.allocate(region, size) if region.cursor + size <= region.limit else None

    def allocate_large(self, size):
        """Offset for a record that fills a run of whole segments, or None where no run of that length is free."""
        length = -(-size >> self.segment_shift)
        free = sorted(self.free)
        if len(free) < length + CLEANER_SEGMENTS:
            return None
        for last in range(len(free) - 1, length - 2, -1):
            first = free[last - length + 1]
            if free[last] - first == length - 1 and self._reserve_segments(first, length):
                self._take_run(first, length, size)
                return self.base + (first << self.segment_shift)
        return None

    def _take_run(self, first, length, size):
        taken = set(range(first, first + length))
        self.free = [segment for segment in self.free if segment not in taken]
        heapq.heapify(self.free)
        for segment in taken:
            self.state[segment] = LARGE
        self.run[first] = length
        self.filled[first] = size

    # -- release ------------------------------------------------------------------------------------------------------

    def discard(self, offset, size):
        """The record of `size` bytes at `offset` is dead: no slot word points at it any more."""
        segment = (offset - self.base) >> self.segment_shift
        self.dead[segment] += size
        self.free_if_dead(segment)

    def free_if_dead(self, segment):
        """Release a segment in which nothing lives; an OPEN one stays, for its next record."""
        if self.state[segment] == OPEN or self.dead[segment] < self.filled[segment]:
            return
        if self.dead[segment] > self.filled[segment]:
            raise InvariantError("segment %d holds %d bytes, of which %d are dead"
                                 % (segment, self.filled[segment], self.dead[segment]))
        if self.state[segment] == LARGE:
            self._vacate(segment, self.run[segment])
        elif self.state[segment] == SEALED:
            self._vacate(segment, 1)

    def _vacate(self, first, count):
        """Nothing lives in these segments any more."""
        for segment in range(first, first + count):
            self.filled[segment] = self.dead[segment] = self.run[segment] = 0
            if self.pins is None:
                self._release(segment)
            else:
                self.state[segment] = RESTING
        if self.pins is not None:
            self._resting.append((self.now_ms, first, count))

    def _release(self, segment):
        self.state[segment] = FREE
        self.generation[segment] += 1
        heapq.heappush(self.free, segment)

    # -- pins ---------------------------------------------------------------------------------------------------------

    def settle(self, now_ms):
        """Free what has rested and is not pinned; called once a turn, with the time."""
        self.now_ms = now_ms
        if self._held and now_ms >= self._look_at_held_ms:
            self._look_at_held_ms = now_ms + HELD_LOOK_MS
            self._resting, self._held = self._held + self._resting, []
        if self._resting and now_ms > self._resting[0][0] + REST_MS:
            rested = [run for run in self._resting if now_ms > run[0] + REST_MS]
            self._resting = self._resting[len(rested):]
            self._free_unpinned(rested)

    def settle_now(self, free_wanted):
        """Free what is resting and not pinned, waiting for as long as that takes, where fewer are free than wanted."""
        if len(self.free) >= free_wanted:
            return
        if self._resting and self.pins is not None and self.rest is not None:
            self.rest()
        runs = self._held + self._resting
        if runs:
            self._resting, self._held = [], []
            self._free_unpinned(runs)

    def _free_unpinned(self, runs):
        pinned = self.pins() if self.pins is not None else ()
        for run in runs:
            _, first, count = run
            if any(segment in pinned for segment in range(first, first + count)):
                self._held.append(run)
                continue
            for segment in range(first, first + count):
                self._release(segment)

    def rests(self):
        """How many segments rest, and will be free soon unless somebody has them pinned."""
        return sum(count for _, _, count in self._resting)

    def held(self):
        """How many segments in which nothing lives are kept by somebody's pins."""
        return sum(count for _, _, count in self._held)

    def kept_bytes(self, pinned):
        """What these segments, each pinned, keep from being used again: a run as a whole."""
        vacant = {first: count for _, first, count in self._resting + self._held}
        return sum(vacant.get(segment) or self.run[segment] or 1
                   for segment in pinned if 0 <= segment < self.count) << self.segment_shift

    def discard_all(self):
        """Every record is dead."""
        for region in (self.writer, self.survivors):
            self.close(region)
        for segment in range(self.count):
            if self.state[segment] not in (FREE, RESTING):
                self._vacate(segment, self.run[segment] or 1)

    # -- knowledge ----------------------------------------------------------------------------------------------------

    def filled_bytes(self, segment):
        """How far a segment is filled; of a LARGE run the whole stands at its first segment."""
        for region in (self.writer, self.survivors):
            if region.segment == segment:
                return region.cursor - self.base - (segment << self.segment_shift)
        return self.filled[segment]

    def live_bytes(self):
        return sum(self.filled_bytes(s) - self.dead[s] for s in range(self.count)
                   if self.state[s] not in (FREE, RESTING))

    def reserved_bytes(self):
        return sum(min(self._step_segments, self.count - step * self._step_segments)
                   for step in self._steps_reserved) << self.segment_shift

    def cheapest(self, excluded):
        """The SEALED segment with the fewest live bytes outside `excluded`, or -1: what cleaning costs least."""
        best, best_live = -1, self.segment_size_bytes + 1
        for segment in range(self.count):
            if self.state[segment] == SEALED:
                live = self.filled[segment] - self.dead[segment]
                if live < best_live and segment not in excluded:
                    best, best_live = segment, live
        return best

    def check(self, live_by_segment):
        """Verify the accounts against the live bytes counted by a walk of the index; raises InvariantError."""
        for segment in range(self.count):
            live = live_by_segment.get(segment, 0)
            if self.filled_bytes(segment) - self.dead[segment] != live:
                raise InvariantError("heap: segment %d has %d bytes filled and %d dead, but %d live"
                                     % (segment, self.filled_bytes(segment), self.dead[segment], live))
            if self.state[segment] in (FREE, RESTING) and (live or (self.state[segment] == FREE) !=
                                                           (segment in self.free)):
                raise InvariantError("heap: segment %d is free and is not" % segment)
        if len(set(self.free)) != len(self.free):
            raise InvariantError("heap: a segment is free twice")

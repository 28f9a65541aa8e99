"""The heap: segments that are filled front to back and emptied by copying out what still lives.

A segment is FREE, OPEN (being filled), SEALED (full) or LARGE (one of a run that a single record fills alone).  Nothing
is ever freed inside a segment: a record that is replaced or deleted only counts as dead bytes of its segment, and a
SEALED segment whose bytes are all dead is FREE again.  The cleaner (engine/cleaner) makes the others so.

Invariants
 1. A segment's bytes change only while it is OPEN or LARGE and being written, behind `cursor`: what was published
    stays.
 2. When a segment becomes FREE no slot word points into it, and its generation counts up, so that slot words for what
    is written there next differ from all that pointed there before (modulo 65536, where the stamps still differ).
 3. For each segment: bytes filled = bytes of live records + dead bytes.
 4. Writers leave the last FREE segment to the cleaner, which needs it to make others free.
 5. A segment that is not FREE has memory behind it (`given`).

Source: log-structured memory, Rumble, Kejriwal and Ousterhout, FAST 2014 (RAMCloud).
"""

import heapq

from ..errors import GridFullError, InvariantError
from ..formats.slots import GENERATION_MASK, GENERATION_SHIFT
from ..limits import RESERVE_STEP_BYTES

FREE, OPEN, SEALED, LARGE = range(4)
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
        self.given = bytearray(self.count)  # 1 for each segment that has memory; every segment in use has
        self.given_count = 0
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
        """Take the lowest FREE segment; where there is no memory for it, the lowest that has some; or None."""
        if self._reserve_segments(self.free[0], 1):
            return heapq.heappop(self.free)
        given = [segment for segment in self.free if self.given[segment]]
        if not given:
            return None
        segment = min(given)
        self.free.remove(segment)
        heapq.heapify(self.free)
        return segment

    def _one_more(self):
        """Whether there is memory for a FREE segment: what writers leave to the cleaner must be of use to it."""
        return self._reserve_segments(self.free[0], 1) or any(self.given[segment] for segment in self.free)

    def usable(self):
        """How many FREE segments can be had: without those for which there was no memory lately."""
        return len(self.free) if self.reserve_error is None else self.usable_given()

    def usable_given(self):
        """How many FREE segments have memory."""
        return len(self.free) - self.count + self.given_count

    def usable_total(self):
        """How many segments there are, FREE or not, without those for which there was no memory lately."""
        return self.count if self.reserve_error is None else self.given_count

    def _reserve_segments(self, first, count):
        """Ask for the memory of these segments; false when there is none to be had.

        A step at a time, and where that is too much the segments alone.
        """
        segment, end = first, first + count
        while segment < end:
            if self.given[segment]:
                segment += 1
                continue
            start = segment - segment % self._step_segments
            stop = min(start + self._step_segments, self.count)
            if any(self.given[start:stop]) or not self._reserve_run(start, stop):
                if not self._reserve_run(segment, segment + 1):
                    return False
        return True

    def _reserve_run(self, first, stop):
        try:
            self._reserve(self.base + (first << self.segment_shift), (stop - first) << self.segment_shift)
        except GridFullError as error:
            self.reserve_error = error
            return False
        self.given[first:stop] = b"\1" * (stop - first)
        self.given_count += stop - first
        self.reserve_error = None
        return True

    def take_back(self, keep_free):
        """(offset, length) of a step's worth of FREE segments whose memory is no longer asked for, or None.

        Their bytes may turn into zeros now.  At least `keep_free` FREE segments keep theirs.  The highest go first: the
        lowest are filled next.
        """
        spare = min(self.usable_given() - keep_free, self._step_segments)
        if spare <= 0:
            return None
        stop = max(segment for segment in self.free if self.given[segment]) + 1
        first = stop - 1
        while first and stop - first < spare and self.state[first - 1] == FREE and self.given[first - 1]:
            first -= 1
        self.given[first:stop] = bytes(stop - first)
        self.given_count -= stop - first
        return self.base + (first << self.segment_shift), (stop - first) << self.segment_shift

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
        runs = [free[last - length + 1] for last in range(len(free) - 1, length - 2, -1)
                if free[last] - free[last - length + 1] == length - 1]
        if not runs:
            return None
        # Where memory is short, one that lacks least of it: an attempt that fails keeps what it got.
        first = runs[0] if self.reserve_error is None else max(runs, key=lambda run: sum(self.given[run:run + length]))
        if not self._reserve_segments(first, length):
            return None
        self._take_run(first, length, size)
        return self.base + (first << self.segment_shift)

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
            for member in range(segment, segment + self.run[segment]):
                self._release(member)
            self.run[segment] = 0
        elif self.state[segment] == SEALED:
            self._release(segment)

    def _release(self, segment):
        self.state[segment] = FREE
        self.filled[segment] = self.dead[segment] = 0
        self.generation[segment] += 1
        heapq.heappush(self.free, segment)

    def discard_all(self):
        """Every record is dead."""
        for region in (self.writer, self.survivors):
            self.close(region)
        for segment in range(self.count):
            if self.state[segment] != FREE:
                self._release(segment)
                self.run[segment] = 0

    # -- knowledge ----------------------------------------------------------------------------------------------------

    def filled_bytes(self, segment):
        """How far a segment is filled; of a LARGE run the whole stands at its first segment."""
        for region in (self.writer, self.survivors):
            if region.segment == segment:
                return region.cursor - self.base - (segment << self.segment_shift)
        return self.filled[segment]

    def live_bytes(self):
        return sum(self.filled_bytes(s) - self.dead[s] for s in range(self.count) if self.state[s] != FREE)

    def reserved_bytes(self):
        return self.given_count << self.segment_shift

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
            if self.state[segment] == FREE and (live or segment not in self.free):
                raise InvariantError("heap: segment %d is free and is not" % segment)
            if self.state[segment] != FREE and not self.given[segment]:
                raise InvariantError("heap: segment %d is in use and has no memory" % segment)
        if sum(self.given) != self.given_count:
            raise InvariantError("heap: %d segments have memory, %d counted" % (sum(self.given), self.given_count))
        if len(set(self.free)) != len(self.free):
            raise InvariantError("heap: a segment is free twice")

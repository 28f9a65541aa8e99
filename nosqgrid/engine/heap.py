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
 6. A segment that is not FREE has memory behind it (`given`).

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
LAST = 1e-9  # times any score is less than any other


class Region(object):
    """An OPEN segment and where its next record goes; a writer that finds no room in it asks the heap for another.

    The hot path of the keyspace reads and moves `cursor` itself.
    """

    def __init__(self):
        self.segment = -1
        self.cursor = 0  # offset in the arena of the next record
        self.limit = 0  # how far records may go; at `end`, or before it where the cleaner is to keep pace with them
        self.end = 0  # of the segment
        self.generation_bits = 0  # of the segment, where a slot word has them


class Heap(object):
    """Segments of the arena; `reserve(offset, length)` makes a part of it usable or raises GridFullError."""

    def __init__(self, layout, reserve):
        self.base = layout.heap_offset_bytes
        self.segment_size_bytes = layout.segment_size_bytes
        self.segment_shift = layout.segment_size_bytes.bit_length() - 1
        self.count = layout.segment_count
        self.record_size_bytes_max = self.segment_size_bytes // 2  # a larger one gets a run of its own
        self._rest_bytes = self.segment_size_bytes >> 6  # what is left of a segment is worth looking elsewhere
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
        self.stretch_bytes = self.segment_size_bytes  # how far writers go in a fresh one until the cleaner is asked
        self.writer = Region()
        self.survivors = Region()
        self.sealed_count = 0
        self.sealed_at = [0] * self.count  # by sealed_count: when a segment was sealed
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

        Where much would be left of the region's segment, the record goes behind those of the other region if it fits
        there.  The writers' region leaves the last free segments to the cleaner.
        """
        offset = region.cursor
        if offset + size > region.limit:
            if offset + size <= region.end:
                region.limit = region.end
            else:
                if region.end - offset >= self._rest_bytes:
                    other = self.writer if region is self.survivors else self.survivors
                    if other.cursor + size <= other.limit and (other is self.writer or self._cleaner_has_room()):
                        return self.allocate(other, size)
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
        region.limit = region.end = region.cursor + self.segment_size_bytes
        region.generation_bits = self.generation_bits(segment)
        if region is self.writer:
            self.opened += 1
            region.limit = min(region.end, region.cursor + self.stretch_bytes)
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
        region.segment, region.limit, region.end = -1, 0, 0
        self.filled[segment] = region.cursor - self.base - (segment << self.segment_shift)
        region.cursor = 0
        self.state[segment] = SEALED
        self.sealed_count += 1
        self.sealed_at[segment] = self.sealed_count
        self.free_if_dead(segment)

    def allocate_in_rest(self, size):
        """Offset for a writer in what is left of the survivors' segment, or None: the last place to look."""
        region = self.survivors
        if region.cursor + size <= region.end and self._cleaner_has_room():
            return self.allocate(region, size)
        return None

    def _cleaner_has_room(self):
        """Whether the cleaner can go on without the rest of its segment.

        Where it cannot, the segment is the last, and has just as much room as the victim still needs.
        """
        return self.usable() >= CLEANER_SEGMENTS

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
        if self.usable() >= free_wanted:
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
        return self.given_count << self.segment_shift

    def cheapest(self, excluded):
        """The SEALED segment outside `excluded` that is best cleaned next, or -1.

        What it wins, times its age, over what it costs.  Of young segments more will die by itself: they can wait.
        Those of which less than a sixteenth is dead come last.
        """
        best, best_score, size, state, now = -1, -1.0, self.segment_size_bytes, self.state, self.sealed_count + 1
        little = size >> 4
        filled, dead, sealed_at = self.filled, self.dead, self.sealed_at
        for segment in range(self.count):
            if state[segment] == SEALED:
                live = filled[segment] - dead[segment]
                won = dead[segment] + (size - filled[segment] >> 2)  # copies will leave something unused, too
                score = won * (now - sealed_at[segment]) / float(live + 1)
                if dead[segment] < little:
                    score *= LAST
                if score > best_score and segment not in excluded:
                    best, best_score = segment, score
        return best

    def cheapest_run(self, length, excluded):
        """The first of `length` adjacent segments that hold the fewest live bytes, or -1: what a LARGE record costs.

        They are FREE or SEALED, and none is in `excluded`.
        """
        best, best_live, live, since = -1, self.count << self.segment_shift, [0] * self.count, 0
        total = 0
        for segment in range(self.count):
            if self.state[segment] == SEALED and segment not in excluded:
                live[segment] = self.filled[segment] - self.dead[segment]
            elif self.state[segment] != FREE or self.reserve_error is not None and not self.given[segment]:
                since, total = segment + 1, 0
                continue
            total += live[segment]
            if segment - since >= length:
                total -= live[segment - length]
            if segment - since >= length - 1 and total < best_live:
                best, best_live = segment - length + 1, total
        return best

    def hold(self, segments):
        """Take those of these segments that are FREE out of everybody's reach."""
        self.free = [segment for segment in self.free if segment not in segments]
        heapq.heapify(self.free)

    def unhold(self, segments):
        """Take back hold(): those that are FREE may be taken again."""
        for segment in segments:
            if self.state[segment] == FREE and segment not in self.free:
                heapq.heappush(self.free, segment)

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
            if self.state[segment] != FREE and not self.given[segment]:
                raise InvariantError("heap: segment %d is in use and has no memory" % segment)
        if sum(self.given) != self.given_count:
            raise InvariantError("heap: %d segments have memory, %d counted" % (sum(self.given), self.given_count))
        if len(set(self.free)) != len(self.free):
            raise InvariantError("heap: a segment is free twice")

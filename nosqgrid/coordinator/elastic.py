"""Memory between --memory and --memory-max: the limit rises when it must, and falls when nobody needs what it allowed.

Up: when a write finds no room and cleaning would not win enough, or when a lane, a large value or the index asks, by
an eighth of the limit or 4 MiB, as long as the machine and its control groups have that much and a margin left.
Down: when nothing was asked for in SHRINK_AFTER_S, the memory of free segments goes back to the system, a step at a
time; where there are dead bytes but no free segments, the cleaner makes some first.

Readers need not be told.  A segment is FREE only when no slot word points into it (engine/heap), so a reader who still
looks at a record there finds, after its copy, another slot word, and starts again: whether it copied the old bytes,
zeros, or what was written there next.  The index keeps its memory: in an area that turned to zeros a reader would take
MOVED for EMPTY.

A kill at any line leaves a map with holes, which read as zeros and to which no slot points.
"""

import time

from ..engine.budget import HEAP
from ..engine.heap import SEALED
from ..limits import MIB
from ..memory import available

GROW_STEP_BYTES = 4 * MIB
MARGIN_BYTES = 16 * MIB  # left to the system, or a sixteenth of the limit where that is more
SHRINK_AFTER_S = 10.0  # without a need
SHRINK_EVERY_S = 0.05  # a step of 4 MiB, about a millisecond
LOOK_EVERY_S = 1.0  # at what the system has left
STUCK_ASKS = 3  # for the same memory, with nothing cleaned in between: cleaning does not help


class Elastic(object):
    """Raises and lowers the limit of one budget; `clock` is time.monotonic and `available_bytes` tells what is left."""

    def __init__(self, budget, keyspace, file, clock=time.monotonic, available_bytes=available.available_bytes):
        self.budget = budget
        self.keyspace = keyspace
        self.file = file
        self.limit_bytes_least = budget.limit_bytes
        self.grown = self.shrunk = self.refused = 0
        self._clock = clock
        self._available_bytes = available_bytes
        self._looked_at = self._needed_at = self._next_tick = float("-inf")
        self._left_bytes = 0
        self._asked = self._asked_count = None
        if budget.limit_bytes_max > budget.limit_bytes:
            budget.ask_more = self.ask_more

    # -- up -----------------------------------------------------------------------------------------------------------

    def ask_more(self, kind, size_bytes):
        """Raise the limit for so many bytes more; whether it was."""
        budget, now = self.budget, self._clock()
        missing = size_bytes - budget.left_bytes(kind)
        if budget.limit_bytes + missing > budget.limit_bytes_max or kind == HEAP and self._cleaning_helps():
            return False
        self._needed_at = now
        step = min(max(GROW_STEP_BYTES, budget.limit_bytes >> 3, missing),
                   budget.limit_bytes_max - budget.limit_bytes)
        margin = max(MARGIN_BYTES, budget.limit_bytes >> 4)
        for grow in (step, missing):
            if self._left(now) - margin >= grow:
                break
        else:
            self.refused += 1
            return False
        self._left_bytes -= grow
        budget.raise_limit(grow)
        self.grown += 1
        return True

    def _left(self, now):
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            left = self._available_bytes(self.file.backend)
            self._left_bytes = self.budget.limit_bytes_max if left is None else left
            # What is allowed and not taken yet is still counted as free there.
            self._left_bytes -= self.budget.limit_bytes - self.budget.total_bytes
        return self._left_bytes

    def _cleaning_helps(self):
        """Whether an eighth of the heap and the cleaner's room can be had by cleaning it.

        Counts how often the answer was yes and nothing came of it, and says no then.
        """
        heap, cleaner = self.keyspace.heap, self.keyspace.cleaner
        if self.budget.left_bytes(HEAP) >= heap.segment_size_bytes:
            return True  # it is only a step that does not fit: the heap asks for less next
        enough = (self.budget.used[HEAP] >> 3) + 2 * heap.segment_size_bytes
        if self._reclaimable_bytes() < enough:
            return False
        asked = heap.opened, cleaner.segments_cleaned
        self._asked_count = self._asked_count + 1 if asked == self._asked else 1
        self._asked = asked
        return self._asked_count < STUCK_ASKS

    def _reclaimable_bytes(self):
        heap = self.keyspace.heap
        dead = sum(heap.dead[segment] for segment in range(heap.count) if heap.state[segment] == SEALED)
        return dead + (heap.usable_given() << heap.segment_shift)

    # -- down ---------------------------------------------------------------------------------------------------------

    def tick(self, now):
        """Called often; gives one step back, or lets the cleaner go on, where nothing was needed for a while."""
        budget = self.budget
        if budget.limit_bytes <= self.limit_bytes_least or now < self._next_tick:
            return
        self._next_tick = now + SHRINK_EVERY_S
        cleaner = self.keyspace.cleaner
        cleaner.compacting = False
        if now - self._needed_at < SHRINK_AFTER_S:
            return
        if budget.total_bytes > self.limit_bytes_least and self.file.can_release and not self._give_back():
            cleaner.compacting = cleaner.worthwhile()
        budget.lower_limit(self.limit_bytes_least)

    def _give_back(self):
        heap = self.keyspace.heap
        part = heap.take_back(max(3, heap.given_count >> 4) + 1)
        if part is None:
            return False
        self.file.release(*part)
        self.budget.give_back(HEAP, part[1])
        self.shrunk += 1
        return True

    def sleep_s(self, now):
        """For how many seconds nothing has to be done here."""
        if self.budget.limit_bytes <= self.limit_bytes_least:
            return 3600.0
        return max(self._next_tick, self._needed_at + SHRINK_AFTER_S, now + SHRINK_EVERY_S) - now

    def stats(self):
        return [("memory_grown", self.grown), ("memory_shrunk", self.shrunk), ("memory_growths_refused", self.refused)]

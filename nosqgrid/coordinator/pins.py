"""What clients keep in use: the pins in their lanes, read here and written there (formats/lane).

Invariants
 1. A segment that a living process has pinned is not used again (engine/heap asks `segments`), a large value that one
    holds counts as used memory (engine/large asks `larges`), whatever became of their keys.
 2. The pins of a process end with it: at once where the system tells of its death, else when that is looked for.
 3. A session may end before its process does: the connection was closed, or we closed it.  As long as there are pins in
    its lane and the process lives, the lane is kept, as one of the `left`; but not one with pins that cannot be.

A kill of the client at any line leaves pins that are void with it; a kill of the coordinator leaves an arena that
nobody writes any more.
"""

import time

from ..formats import lane as layout
from ..formats.slots import OFFSET_MASK
from ..network import credentials
from . import attaching

REST_S = 0.004  # engine/heap.REST_MS and the millisecond that its clock is rough by
LOOK_S = 0.05  # between two looks at the lanes that were left
ROWS_MAX = 20  # of the list of who keeps how much


class _Left(object):
    """A lane without a session."""

    def __init__(self, session):
        self.lane, self.pid, self.id = session.lane, session.pid, session.id


class Pins(object):
    """One per coordinator; `server` lends sessions, keyspace and clock."""

    def __init__(self, server):
        self.server = server
        self._left = []
        self._look_at = 0.0

    def declare(self, session):
        """A session is going to pin segments: from now on they rest."""
        if session.lane is not None:
            session.pins = True
            self._watch()

    def _watch(self):
        heap = self.server.keyspace.heap
        anybody = self._left or any(session.pins for session in self.server.sessions())
        heap.pins, heap.rest = (self.segments, _rest) if anybody else (None, None)

    def _active(self, holder):
        """[(what, since_ms)] of a holder, without references that were on their way for too long."""
        now_ms = self.server.clock.monotonic_ms()
        return [(what, since_ms) for what, since_ms in holder.lane.pins()
                if what & layout.PIN_KIND_MASK != layout.PIN_LEAVING or now_ms < since_ms]

    def _is_possible(self, pin):
        """Whether a client of ours could have made this pin."""
        what, heap = pin[0], self.server.keyspace.heap
        if what & ~(layout.PIN_KIND_MASK | layout.PIN_VALUE_MASK) or not what & layout.PIN_KIND_MASK:
            return False
        if what & layout.PIN_KIND_MASK == layout.PIN_HEAP:
            return 0 <= heap.segment_of((what & OFFSET_MASK) << 3) < heap.count
        return True

    def _holders(self):
        return [session for session in self.server.sessions() if session.lane is not None] + self._left

    def segments(self):
        """The set of segments with a record that somebody uses."""
        segment_of, found = self.server.keyspace.heap.segment_of, set()
        for holder in self._holders():
            for what, _ in holder.lane.pins():
                if what & layout.PIN_KIND_MASK == layout.PIN_HEAP:
                    found.add(segment_of((what & OFFSET_MASK) << 3))
        return found

    def larges(self):
        """The set of numbers of large values that somebody uses, or has on its way."""
        return {what & layout.PIN_VALUE_MASK for holder in self._holders() for what, _ in self._active(holder)
                if what & layout.PIN_KIND_MASK != layout.PIN_HEAP}

    def session_ended(self, session):
        """Forget its lane, or keep it for the pins in it."""
        pins = self._active(session)
        if pins and all(map(self._is_possible, pins)) and credentials.is_alive(session.pid):
            self._left.append(_Left(session))
        else:
            attaching.close_lane(self.server, session.lane)
        session.lane = None
        self._watch()

    def tick(self, now):
        """By the clock: forget lanes whose pins or process are gone."""
        if not self._left or now < self._look_at:
            return
        self._look_at = now + LOOK_S
        kept = [left for left in self._left if self._active(left) and credentials.is_alive(left.pid)]
        for left in self._left:
            if left not in kept:
                attaching.close_lane(self.server, left.lane)
        self._left = kept
        self._watch()

    def sleep_s(self, now):
        """For how many seconds nothing has to be looked at."""
        heap = self.server.keyspace.heap
        return LOOK_S if self._left or heap.rests() or heap.held() else 3600.0

    # -- what it tells ------------------------------------------------------------------------------------------------

    def retained(self):
        """[(pid, bytes, oldest in ms)] of who keeps how much memory in use, and for how long; the most first.

        Bytes are those of whole segments, each counted once a process, and of large values.
        """
        heap, now_ms = self.server.keyspace.heap, self.server.clock.monotonic_ms()
        rows = []
        for holder in self._holders():
            segments, larges, oldest = set(), set(), now_ms
            for what, since_ms in self._active(holder):
                if what & layout.PIN_KIND_MASK == layout.PIN_HEAP:
                    segments.add(heap.segment_of((what & OFFSET_MASK) << 3))
                else:
                    larges.add(what & layout.PIN_VALUE_MASK)
                oldest = min(oldest, since_ms)
            if segments or larges:
                size = heap.kept_bytes(segments) + sum(map(self.server.keyspace.larges.size_of, larges))
                rows.append((holder.pid, size, max(now_ms - oldest, 0)))
        return sorted(rows, key=lambda row: -row[1])[:ROWS_MAX]

    def stats(self):
        """[(name, value)] for stats(): `retainers` is a text of pid:bytes:ms, separated by spaces."""
        heap, rows = self.server.keyspace.heap, self.retained()
        return [("retained_bytes", sum(size for _, size, _ in rows)),
                ("retained_dead_bytes", heap.held() << heap.segment_shift),
                ("retainers", " ".join("%d:%d:%d" % row for row in rows))]

    def close(self):
        for left in self._left:
            attaching.close_lane(self.server, left.lane)
        self._left = []


def _rest():
    time.sleep(REST_S)

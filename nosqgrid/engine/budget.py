"""The budget: everything that a grid's memory goes into, counted before it is taken.

Five kinds share one limit: the heap, the index (with the arena's header), the lanes, large values, and structures,
which lie in the coordinator's own memory and whose size is an estimate.  Whoever wants memory takes it here first, and
from the system only then; so the sum is never above the limit, whatever fails.

The heap could fill all of it before the index has what it needs to name the records.  So the last of it is held back:
`index_wants()` tells how large the index should become if the records to come are like those that are there
(slots_wanted), and what it lacks of that nobody else may take.  A small share is held back for the index and for lanes
whatever the records are, so that a grid full of large values still takes some small ones, and still gives lanes.

A grid that evicts keeps order among its records in arrays that are as long as the index (engine/eviction/lists).  That
memory is charged with the index's, from the beginning: it is there when the order is needed.

Invariants
 1. total_bytes is the sum of `used` and at most limit_bytes, which is at most limit_bytes_max.
 2. limit_bytes rises only by what ask_more() granted, and falls only to what is not in use.
 3. `order_bytes`, a part of used[INDEX], is NODE_BYTES for each slot that the index has memory for, once order may be
    kept.

It is all in the coordinator's own memory: a kill leaves nothing.
"""

from ..errors import GridFullError, InvariantError
from ..formats.arena import WORD_SIZE_BYTES
from ..limits import INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL, KIB, MIB
from .eviction.lists import NODE_BYTES

HEAP = "heap"
INDEX = "index"
LANES = "lanes"
LARGE = "large"
STRUCTURES = "structures"
KINDS = (HEAP, INDEX, LANES, LARGE, STRUCTURES)

HELD_SHARE = 64  # the part of the limit that is held for the index, and for lanes, whatever the records are
LOAD_WANTED = 0.8  # to which the plan fills the last table; above, a miss takes more than a dozen probes
RECORD_SIZE_BYTES_LEAST = 24
EXPECTED_COUNT = 1024
EXPECTED_SIZE_BYTES = 1024


def table_size_bytes(slots):
    """Memory of an index table."""
    return (slots + INDEX_OVERFLOW_SLOTS) * WORD_SIZE_BYTES


def index_size_bytes(slots):
    """Memory of both index areas for a table of so many slots.

    It grew out of the other area, which is not given back, and where keys come and go it is rebuilt there, without its
    tombstones, at the same size.
    """
    return 2 * table_size_bytes(slots)


def order_size_bytes(index_bytes):
    """Memory of the order among the records that an index of so many bytes, whole words, has."""
    return index_bytes // WORD_SIZE_BYTES * NODE_BYTES


def slots_wanted(available_bytes, record_size_bytes, slots_max, size_of=index_size_bytes):
    """The table with which heap and index together hold the most records of this size; a smaller one where it is as
    good.  `size_of(slots)` is what a table takes.  Cost: one turn for each power of two.
    """
    best, best_count = INDEX_SLOTS_INITIAL, 0.0
    slots = INDEX_SLOTS_INITIAL
    while slots <= slots_max:
        count = min(slots * LOAD_WANTED, (available_bytes - size_of(slots)) / record_size_bytes)
        if count > best_count:
            best, best_count = slots, count
        slots *= 2
    return best


class _Plan(object):
    """How large the table should become, from what the live records are like."""

    def __init__(self, heap, index, budget):
        self._heap = heap
        self._index = index
        self._used = budget.used  # by kind: a record whose value lies in a file of its own takes that file
        self._size_of = budget.index_size_bytes
        self._seen = None  # when the size of the records was last looked at, which takes a walk over the segments
        self._record_size_bytes = 0.0

    def slots(self, available_bytes):
        heap, index = self._heap, self._index
        if not index.live:
            return INDEX_SLOTS_INITIAL
        seen = heap.opened, index.live >> 8
        if seen != self._seen:
            self._seen = seen
            # As if there were EXPECTED_COUNT more of the usual size: the first few say nothing about those to come.
            size_bytes = heap.live_bytes() + self._used[LARGE] + self._used[STRUCTURES]
            self._record_size_bytes = max((size_bytes + EXPECTED_COUNT * EXPECTED_SIZE_BYTES)
                                          / (index.live + EXPECTED_COUNT), RECORD_SIZE_BYTES_LEAST)
        return slots_wanted(available_bytes, self._record_size_bytes, index.layout.slots_max,
                            self._size_of)


class Budget(object):
    """Counts bytes by kind.  `lane_size_bytes` is what one lane takes, `limit_bytes_max` how far the limit may rise."""

    def __init__(self, limit_bytes, lane_size_bytes=0, limit_bytes_max=0):
        self.limit_bytes = limit_bytes
        self.limit_bytes_max = max(limit_bytes, limit_bytes_max)
        self.used = dict.fromkeys(KINDS, 0)
        self.total_bytes = 0
        self.lane_size_bytes = lane_size_bytes
        self.keeps_order = False  # the index is charged with the order among its records
        self.order_bytes = 0
        self._areas_bytes = 0  # that the index has memory for
        self.index_wants = None  # () -> bytes the index should have in the end
        self.ask_more = None  # (kind, size_bytes) -> whether there may be more room now: the limit was raised

    # -- taking and giving back ---------------------------------------------------------------------------------------

    def take(self, kind, size_bytes):
        """Charge so many bytes; raises GridFullError, with nothing charged, where they are more than is left."""
        if not self.has_room(kind, size_bytes):
            raise GridFullError(self.describe(kind, size_bytes))
        self.used[kind] += size_bytes
        self.total_bytes += size_bytes

    def give_back(self, kind, size_bytes):
        """Take a charge back."""
        if not 0 <= size_bytes <= self.used[kind]:
            raise InvariantError("%d bytes of %s are given back, %d were taken" % (size_bytes, kind, self.used[kind]))
        self.used[kind] -= size_bytes
        self.total_bytes -= size_bytes

    def has_room(self, kind, size_bytes):
        """Whether so much could be taken now, after the limit was raised where it may be."""
        while size_bytes > self.left_bytes(kind):
            before = self.limit_bytes
            if self.ask_more is None or not self.ask_more(kind, size_bytes) or self.limit_bytes <= before:
                return False
        return True

    def left_bytes(self, kind):
        """What this kind may take under the present limit; negative where more is held back for others than is left."""
        return self.limit_bytes - self.total_bytes - self._held_bytes(kind)

    def _held_bytes(self, kind):
        """What is held back from this kind for the others."""
        held = 0
        if kind != INDEX:
            held += max(self._index_floor_bytes() - self.used[INDEX], 0)
        if kind != LANES and self.lane_size_bytes:
            lanes = self.limit_bytes // HELD_SHARE // self.lane_size_bytes
            held += max(lanes * self.lane_size_bytes - self.used[LANES], 0)
        return held

    def _index_floor_bytes(self):
        least = max(self.limit_bytes // HELD_SHARE, self.index_size_bytes(INDEX_SLOTS_INITIAL))
        return least if self.index_wants is None else max(least, self.index_wants())

    def charging(self, kind, reserve):
        """A reserve(offset, length) that charges first."""
        def reserve_charged(offset, length):
            self.take(kind, length)
            try:
                reserve(offset, length)
            except BaseException:
                self.give_back(kind, length)
                raise

        return reserve_charged

    # -- the index, and the order among its records -------------------------------------------------------------------

    def charging_index(self, reserve):
        """A reserve(offset, length) for the areas of the index, whole words, that charges first."""
        def reserve_charged(offset, length):
            order = order_size_bytes(length) if self.keeps_order else 0
            self.take(INDEX, length + order)
            try:
                reserve(offset, length)
            except BaseException:
                self.give_back(INDEX, length + order)
                raise
            self.order_bytes += order
            self._areas_bytes += length

        return reserve_charged

    def keep_order(self):
        """From now on order is kept; raises GridFullError where there is no memory for it, and none is then."""
        if not self.keeps_order:
            order = order_size_bytes(self._areas_bytes)
            self.take(INDEX, order)
            self.order_bytes, self.keeps_order = order, True

    def index_size_bytes(self, slots):
        """What both areas for a table of so many slots are charged with."""
        size_bytes = index_size_bytes(slots)
        return size_bytes + order_size_bytes(size_bytes) if self.keeps_order else size_bytes

    def plan_for(self, heap, index):
        """From now on hold back what this index will need for the records that this heap can still take."""
        plan = _Plan(heap, index, self)

        def wants():
            return self.index_size_bytes(max(plan.slots(self.limit_bytes - self.used[LANES]), index.table.slots))

        def may_grow(slots, size_bytes):
            most = self.limit_bytes_max - self.used[LANES]
            size_bytes += order_size_bytes(size_bytes) if self.keeps_order else 0
            return ((slots <= max(plan.slots(most), index.table.slots)
                     or self.index_size_bytes(slots) <= most // HELD_SHARE)
                    and (not size_bytes or self.has_room(INDEX, size_bytes)))

        self.index_wants, index.may_grow = wants, may_grow

    # -- the limit ----------------------------------------------------------------------------------------------------

    def raise_limit(self, size_bytes):
        """Let the limit rise by so much, at most to limit_bytes_max."""
        self.limit_bytes = min(self.limit_bytes + size_bytes, self.limit_bytes_max)

    def lower_limit(self, least_bytes):
        """Let the limit fall to what is in use, or to `least_bytes` where that is more."""
        self.limit_bytes = min(self.limit_bytes, max(self.total_bytes, least_bytes))

    # -- words --------------------------------------------------------------------------------------------------------

    def describe(self, kind, size_bytes):
        """Why so many bytes for this kind cannot be had."""
        held = self._held_bytes(kind)
        return ("the grid is full: of %s of memory %s are used (%s)%s, and %s more for %s do not fit; delete keys, or "
                "start the coordinator with more --memory%s" % (
                    size_text(self.limit_bytes), size_text(self.total_bytes),
                    ", ".join("%s %s" % (name, size_text(self.used[name])) for name in KINDS),
                    " and %s held for index and lanes" % size_text(held) if held else "", size_text(size_bytes), kind,
                    "-max" if self.limit_bytes_max > self.limit_bytes else ""))


class Unlimited(object):
    """The budget of a keyspace that has none: a test's, or one that is made to look into files."""

    order_bytes = 0

    @staticmethod
    def charging_index(reserve):
        return reserve

    @staticmethod
    def keep_order():
        return None

    @staticmethod
    def charging(kind, reserve):
        return reserve

    @staticmethod
    def plan_for(heap, index):
        return None

    @staticmethod
    def take(kind, size_bytes):
        return None

    @staticmethod
    def give_back(kind, size_bytes):
        return None


def size_text(size_bytes):
    """A size for people.

    >>> size_text(40 * 1024), size_text(3 << 20), size_text(100)
    ('40.0 KiB', '3.0 MiB', '100 bytes')
    """
    if size_bytes >= MIB:
        return "%.1f MiB" % (size_bytes / MIB)
    return "%.1f KiB" % (size_bytes / KIB) if size_bytes >= KIB else "%d bytes" % size_bytes

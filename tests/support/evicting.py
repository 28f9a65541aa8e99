"""A keyspace that evicts, in one process, against a plain dict: what is there has the value that was set last."""

import random

from nosqgrid.engine.evictor import Evictor
from nosqgrid.engine.frames import frame_end
from nosqgrid.engine.large import Larges
from nosqgrid.formats.records import BODY, EXPIRES, pack_body
from nosqgrid.memory.node_arrays import new_lists
from tests.support.keyspaces import make_keyspace

LANE_BYTES = 96 * 1024  # taken out of a lane at a time


class FakeFiles(object):
    """Files of large values, as bytes in a dict."""

    def __init__(self):
        self.contents = {}

    def make(self, payload):
        number = len(self.contents) + 100
        self.contents[number] = bytes(payload)
        return number

    def read(self, fd, size_bytes):
        return self.contents[fd]

    def inode(self, fd):
        return 0

    def close(self, fd):
        self.contents[fd] = None


class EvictingGrid(object):
    """`space` is the keyspace, `evictor` its evictor, `model` what was set: key -> (value, deadline_ms)."""

    def __init__(self, policy="lfu", memory_bytes=1 << 20, seed=1, large=False, flags=0, **options):
        self.random = random.Random(seed)
        self.space, _ = make_keyspace(memory_bytes, seed, flags, **options)
        if large:
            self.large_bytes = 0
            self.space.larges = Larges(FakeFiles(), self._take, lambda size: self._take(-size), lambda: set())
        self.evictor = self.space.evictor = Evictor(self.space, policy, self.random.random, new_lists)
        self.model = {}

    def _take(self, size_bytes):
        self.large_bytes += size_bytes

    # -- what clients do ----------------------------------------------------------------------------------------------

    def apply(self, pairs, hot=True):
        """Set these keys like frames out of a lane: on the hot path as far as it goes, or all of them plainly."""
        data = b"".join(pack_body(key, value, 0, deadline_ms) for key, value, deadline_ms in pairs)
        position = 0
        while position < len(data):
            if hot:
                position = self.space.apply_sets(data, position, len(data))
                if position >= len(data):
                    break
            stop = frame_end(data, position, len(data))
            _, key_length, _, flags = BODY.unpack_from(data, position)
            start = position + BODY.size + (8 if flags & EXPIRES else 0)
            self.space.store_frame(data[start:start + key_length], data[position:stop])
            position = stop
        self.model.update((key, (value, deadline_ms)) for key, value, deadline_ms in pairs)

    def set(self, key, value, deadline_ms=0):
        """Set a key as a command does."""
        self.space.store(key, 0, value, deadline_ms)
        self.model[key] = value, deadline_ms

    def fill(self, keys, value, turns=2, hot=True):
        """Set these keys to one value, with a turn of the loop behind each lane that is full of them."""
        keys, size = list(keys), len(value) + 24
        step = max(1, min(LANE_BYTES // size, 700))
        for first in range(0, len(keys), step):
            self.apply([(key, value, 0) for key in keys[first:first + step]], hot)
            self.turn(turns)

    def delete(self, key):
        """Whether it was there."""
        self.model.pop(key, None)
        return self.space.delete(key)

    def clear(self):
        self.space.clear()
        self.model.clear()

    def read(self, key):
        """The value or None, noted as a client's read is."""
        slot, word = self.space._find(key, self.space.hash_of(key))
        if word >= 2:
            self.evictor.hit(slot) if self.evictor.tracking else None
        return self.value(key)

    def turn(self, count=1):
        """So many turns of the loop."""
        for _ in range(count):
            self.space.now_ms += 1
            self.space.work()

    def rest(self, most=100000):
        """Turns until nothing is left to do."""
        for _ in range(most):
            self.space.now_ms += 1
            if not self.space.work():
                return
        raise AssertionError("there is always something to do")

    # -- what is there ------------------------------------------------------------------------------------------------

    def value(self, key):
        """The value of a key, or None; it is no hit."""
        tracker, self.space._tracker = self.space._tracker, None
        try:
            entry = self.space.lookup(key)
        finally:
            self.space._tracker = tracker
        return None if entry is None else entry.value

    def keys(self):
        """All live keys."""
        found, cursor = set(), 0
        while True:
            cursor, keys = self.space.scan(cursor, 1000)
            found.update(keys)
            if not cursor:
                return found

    def held(self, prefix):
        """Bytes of the records whose keys begin so, large values included."""
        total = 0
        for key in self.keys():
            if key.startswith(prefix):
                slot, word = self.space._find(key, self.space.hash_of(key))
                total += self.space.weight_at((word & (1 << 32) - 1) << 3)
        return total

    @property
    def evicted(self):
        return sum(self.evictor.evicted.values())

    @property
    def heap_bytes(self):
        return self.space.heap.count << self.space.heap.segment_shift

    def check(self):
        """Everything against everything: structures, order, and values against the model."""
        self.space.check()
        self.evictor.check()
        for key in self.keys():
            value, _ = self.model.get(key, (None, 0))
            if self.value(key) != value:
                raise AssertionError("%r has not the value that was set last" % key)

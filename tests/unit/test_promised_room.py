"""What the log has is published: where the index said that there is room, no key of a batch or a run finds none.

A hunt, deterministic in its seed, through small indexes at their limits: tables that may or may not grow, grow smaller
or are rebuilt at their size, batches that mix new keys, overwrites and deletions, runs of the hot path, expired keys,
grids that refuse and grids that evict.
"""

import contextlib
import random
import unittest
from unittest import mock

from nosqgrid.engine import budget as budget_module
from nosqgrid.engine import index as index_module
from nosqgrid.engine.evictor import Evictor
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.engine.policies import LFU, LRU, REFUSE
from nosqgrid.errors import GridFullError
from nosqgrid.formats import arena as arena_module
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import pack_body
from nosqgrid.memory.node_arrays import new_lists
from tests.support.keyspaces import Budget, make_keyspace
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog

SLOTS_LOG2 = 6
OVERFLOW_SLOTS = 64
MEMORY_BYTES = 1 << 20
VALUES = (b"", b"v" * 20)
STEPS = 150
SEEDS = 200 if FULL else 12


@contextlib.contextmanager
def small_tables():
    """Within, an index begins with 64 slots, and has as many behind its last home."""
    with contextlib.ExitStack() as patches:
        for module in (arena_module, index_module, budget_module):
            patches.enter_context(mock.patch.object(module, "INDEX_SLOTS_INITIAL", 1 << SLOTS_LOG2))
        for module in (arena_module, index_module, budget_module):
            patches.enter_context(mock.patch.object(module, "INDEX_OVERFLOW_SLOTS", OVERFLOW_SLOTS))
        yield


class IndexBudget(object):
    """Memory for tables of so many slots; the heap has what it wants."""

    def __init__(self, slots):
        self.slots = slots

    order_bytes = 0

    def charging(self, kind, reserve):
        return reserve

    def charging_index(self, reserve):
        return reserve

    def keep_order(self):
        return None

    def plan_for(self, heap, index):
        index.may_grow = lambda slots, size_bytes: slots <= self.slots


class Hunt(object):
    """One keyspace with a log, and a model of what is in it: key -> value."""

    def __init__(self, seed, policy, flags=0):
        self.random = random.Random(seed)
        self.budget = IndexBudget(1 << self.random.randrange(SLOTS_LOG2, SLOTS_LOG2 + 4))
        self.reserve = Budget()
        self.space, _ = make_keyspace(MEMORY_BYTES, 1, flags, reserve=self.reserve, budget=self.budget)
        self.space.now_ms = 1000
        self.evictor = self.space.evictor = Evictor(self.space, policy, self.random.random, new_lists)
        self.space.set_log(ListLog())
        self.model = {}
        self.refused = self.taken = 0
        self.names = self.random.choice((100, 300, 1000, 4000))

    def key(self):
        return b"key%d" % self.random.randrange(self.names)

    def batch(self):
        """One of new keys, overwrites and deletions; all or nothing of it."""
        space, changes = self.space, {}
        space.begin()
        try:
            self.stage(changes)
        except GridFullError:
            space.rollback()
            self.refused += 1
            return
        try:
            space.commit()
        except GridFullError:
            self.refused += 1
            return
        self.taken += 1
        for key, change in changes.items():
            self.model.pop(key, None)
            if change is not None:
                self.model[key] = change

    def stage(self, changes):
        space = self.space
        deleting = self.random.choice((0.0, 0.0, 0.2, 0.9))
        for _ in range(self.random.choice((1, 3, 20, 60, 200))):
            key = self.key()
            if self.random.random() < deleting:
                space.delete(key)
                changes[key] = None
            else:
                value = self.random.choice(VALUES)
                deadline_ms = space.now_ms + self.random.randrange(1, 60) if self.random.random() < 0.1 else 0
                space.store(key, 0, value, deadline_ms)
                changes[key] = value, deadline_ms

    def run(self):
        """Sets as they come out of a lane."""
        pairs = [(self.key(), self.random.choice(VALUES)) for _ in range(self.random.choice((2, 30, 200)))]
        frames = b"".join(pack_body(key, value, 0) for key, value in pairs)
        done = self.space.apply_sets(frames, 0, len(frames))
        if self.random.random() < 0.5:
            stop, count = self.space.run_end(frames, done, len(frames))
            if count:
                self.space.store_run(frames[done:stop], count)
                done = stop
        for key, value in pairs:
            done -= len(pack_body(key, value, 0))
            if done >= 0:
                self.model[key] = value, 0

    def step(self):
        chance = self.random.random()
        if chance < 0.5:
            self.batch()
        elif chance < 0.7:
            self.run()
        elif chance < 0.78:
            self.budget.slots = 1 << self.random.randrange(SLOTS_LOG2, SLOTS_LOG2 + 5)
        elif chance < 0.82:
            self.reserve.remaining = self.random.choice((0, 2000, 1 << 40))
        elif chance < 0.86:
            for key in self.random.sample(sorted(self.model), len(self.model) * 7 // 8):
                self.space.delete(key)
                del self.model[key]
        elif chance < 0.9:
            self.space.index.start_growth()
        elif chance < 0.92 and self.evictor.evicts:
            self.space.room.thin_index()
        else:
            self.space.now_ms += self.random.randrange(3, 40)
            self.space.work()

    def check(self):
        """What is there has the value that was set last; where nothing is evicted nothing is missing."""
        self.space.check()
        self.evictor.check()
        for key, (value, deadline_ms) in self.model.items():
            entry = self.space.lookup(key)
            if entry is None:
                if not self.evictor.evicted_bytes and not 0 < deadline_ms <= self.space.now_ms:
                    raise AssertionError("%r is lost" % key)
            elif entry.value != value:
                raise AssertionError("%r has not the value that was set last" % key)


class PromisedRoomTest(unittest.TestCase):
    def setUp(self):
        patches = contextlib.ExitStack()
        self.addCleanup(patches.close)
        patches.enter_context(small_tables())
        check_room = index_module.Index.check_room

        def watched(index, slot, table):
            try:
                check_room(index, slot, table)
            except GridFullError as error:
                if self.hunt.space.behind:
                    raise AssertionError("the log has what finds no slot") from error
                raise

        patches.enter_context(mock.patch.object(index_module.Index, "check_room", watched))

    @slow
    def test_what_is_logged_finds_its_slots(self):
        refused = taken = 0
        for policy in (REFUSE, LFU, LRU):
            for flags in (0, WEAK_ORDERING):
                for seed in range(SEEDS):
                    with self.subTest(policy=policy, flags=flags, seed=seed):
                        self.hunt = Hunt(seed, policy, flags)
                        for _ in range(STEPS):
                            self.hunt.step()
                        self.hunt.check()
                    refused += self.hunt.refused
                    taken += self.hunt.taken
        self.assertGreater(refused, SEEDS)
        self.assertGreater(taken, SEEDS)

    def test_a_full_index_refuses_new_keys_and_takes_deletions_and_overwrites(self):
        for flags in (0, WEAK_ORDERING):
            self.hunt = hunt = Hunt(1, REFUSE, flags)
            hunt.budget.slots = 1 << SLOTS_LOG2
            stored = []
            with self.assertRaises(GridFullError):
                while True:
                    hunt.space.store(b"new%d" % len(stored), 0, b"v")
                    stored.append(b"new%d" % len(stored))
            logged = len(hunt.space.log.entries)
            hunt.space.begin()
            for key in stored[:20]:
                hunt.space.store(key, 0, b"other")
            hunt.space.delete(stored[20])
            hunt.space.commit()
            self.assertTrue(hunt.space.delete(stored[21]))
            self.assertEqual(len(hunt.space.log.entries), logged + 2)
            hunt.space.begin()
            for number in range(len(stored)):
                hunt.space.store(b"more%d" % number, 0, b"v")
            self.assertRaises(GridFullError, hunt.space.commit)
            self.assertEqual(len(hunt.space.log.entries), logged + 2)
            self.assertEqual(hunt.space.lookup(stored[0]).value, b"other")
            hunt.space.check()


if __name__ == "__main__":
    unittest.main()

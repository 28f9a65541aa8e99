"""Room for a large value: what is missing is evicted, at most one victim more, and only what gives memory."""

import random
import types
import unittest

from nosqgrid.coordinator.large_values import LargeValues
from nosqgrid.engine.budget import LARGE, Budget
from nosqgrid.engine.large import Larges
from nosqgrid.engine.policies import LFU, LRU
from nosqgrid.errors import GridFullError
from nosqgrid.limits import KIB, MIB
from tests.support.evicting import EvictingGrid, FakeFiles
from tests.support.tiers import slow

SIZES = (200 * KIB, 512 * KIB, 3 * MIB)
KEYS = 200


class Grid(EvictingGrid):
    """One that evicts, whose large values are allocated as clients do it; `held` are the numbers that they hold."""

    def __init__(self, policy, seed=1):
        super().__init__(policy, 4 * MIB, seed)
        self.held = set()
        self.budget = Budget(24 * MIB)
        self.space.larges = Larges(FakeFiles(), lambda size: self.budget.take(LARGE, size),
                                   lambda size: self.budget.give_back(LARGE, size), lambda: self.held)
        server = types.SimpleNamespace(keyspace=self.space, budget=self.budget,
                                       durability=types.SimpleNamespace(directory=None))
        self.service = LargeValues(server)
        self.session = types.SimpleNamespace(filling=set())

    def put_large(self, key, size_bytes):
        """Set a key to a large value; (its number, bytes that were missing, bytes that were evicted for it)."""
        self.space.larges.sweep()
        missing, before = size_bytes - self.budget.left_bytes(LARGE), self.evictor.evicted_bytes
        number = self.service.allocate(self.session, size_bytes, False)
        evicted = self.evictor.evicted_bytes - before
        self.session.filling.discard(number)
        self.space.larges.adopt(number, self.space.larges._files.make(b""))
        self.space.store_large(key, 0, number)
        return number, missing, evicted

    def larges(self):
        """The keys that have one."""
        return {key for key in self.keys() if key.startswith(b"large")}


class LargeEvictionTest(unittest.TestCase):
    @slow
    def test_no_more_is_evicted_than_is_missing_and_one_victim(self):
        for policy in (LFU, LRU):
            for small in (0, 1000):
                grid = Grid(policy)
                grid.fill([b"small%d" % number for number in range(small)], b"v" * 50)
                evicted_for = 0
                for _ in range(300):
                    _, missing, evicted = grid.put_large(b"large%d" % grid.random.randrange(KEYS),
                                                         grid.random.choice(SIZES))
                    self.assertLessEqual(evicted, max(missing, 0) + max(SIZES), (policy, small))
                    self.assertEqual(evicted > 0, missing > 0)
                    evicted_for += missing > 0
                    for _ in range(3):
                        grid.read(b"large%d" % min(KEYS - 1, int(grid.random.expovariate(0.1))))
                    grid.turn()
                self.assertGreater(evicted_for, 100)
                self.assertEqual(sum(1 for key in grid.keys() if key.startswith(b"small")), small)
                grid.space.check()
                grid.evictor.check()

    def test_with_values_of_one_size_one_goes_for_one_that_comes(self):
        for policy in (LFU, LRU):
            grid = Grid(policy)
            for number in range(100):
                _, missing, _ = grid.put_large(b"large%d" % number, MIB)
                self.assertEqual(grid.evictor.evicted["large"], max(0, number + 1 - 24 + 1), policy)
                grid.turn()

    def test_a_value_that_cannot_fit_evicts_nothing(self):
        for policy in (LFU, LRU):
            grid = Grid(policy)
            for number in range(15):
                grid.put_large(b"large%d" % number, MIB)
            self.assertRaises(GridFullError, grid.service.allocate, grid.session, 30 * MIB, False)
            self.assertEqual((len(grid.larges()), grid.evicted), (15, 0))

    def test_values_that_clients_hold_stay_as_long_as_that_gives_no_memory(self):
        for policy in (LFU, LRU):
            grid = Grid(policy)
            numbers = [grid.put_large(b"large%d" % number, 2 * MIB)[0] for number in range(10)]
            grid.held.update(numbers[:6])
            grid.put_large(b"large10", 6 * MIB)
            self.assertEqual(grid.larges() & {b"large%d" % number for number in range(6)},
                             {b"large%d" % number for number in range(6)})
            grid.held.add(grid.put_large(b"large11", 2 * MIB)[0])
            kept = grid.larges()
            self.assertRaises(GridFullError, grid.service.allocate, grid.session, 12 * MIB, False)
            self.assertEqual(grid.larges(), kept)
            grid.held.clear()
            self.assertGreater(grid.put_large(b"large12", 12 * MIB)[2], 0)
            grid.space.check()


if __name__ == "__main__":
    unittest.main()

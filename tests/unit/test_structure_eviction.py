"""Structures where memory is short: others go, never the one that grows, and what is there is what was made of it."""

import random
import unittest

from nosqgrid.engine.budget import STRUCTURES, Budget
from nosqgrid.engine.policies import LFU, LRU, REFUSE
from nosqgrid.engine.structures.hashes import Hash
from nosqgrid.engine.structures.lists import List
from nosqgrid.errors import GridFullError
from nosqgrid.limits import KIB, MIB
from tests.support.evicting import EvictingGrid
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog

RUNS = 20 if FULL else 3
STEPS = 1500


class Grid(EvictingGrid):
    """One of 4 MiB whose structures and index take from one budget."""

    def __init__(self, policy, seed=1, memory_bytes=4 * MIB, logged=False):
        self.budget = Budget(memory_bytes)
        super().__init__(policy, memory_bytes, seed, budget=self.budget)
        self.log = ListLog()
        if logged:
            self.space.set_log(self.log)
        self.lists = {}

    def push(self, key, count, size=1000):
        """Push so many elements onto the list of a key, which may have been evicted; whether that was possible."""
        space, elements = self.space, [b"%d" % self.random.randrange(1000) + bytes(size) for _ in range(count)]
        structure = space.structure(key, List)
        if structure is None:
            self.lists[key] = []
        try:
            space.update(key, structure, List, [b"rpush"] + elements)
        except GridFullError:
            return False
        self.lists[key] += elements
        return True

    def there(self):
        """The keys whose lists are there; each of them is whole."""
        found = set()
        for key, elements in self.lists.items():
            structure = self.space.structure(key, List)
            if structure is not None:
                if list(structure) != elements:
                    raise AssertionError("%r is not what was pushed" % key)
                found.add(key)
        return found


class EvictionTest(unittest.TestCase):
    @slow
    def test_random_pushes_pops_and_sets_in_a_grid_that_is_full(self):
        for seed in range(RUNS):
            for policy in (LFU, LRU):
                grid = Grid(policy, seed, logged=bool(seed % 2))
                rng, refused = grid.random, 0
                for step in range(STEPS):
                    key = b"list%d" % rng.randrange(60)
                    if rng.random() < 0.7:
                        refused += not grid.push(key, rng.randrange(1, 40), rng.choice((10, 1000, 5000)))
                    elif rng.random() < 0.5:
                        structure = grid.space.structure(key, List)
                        if structure is not None:
                            grid.space.change(key, structure, [b"lpop"])
                            del grid.lists[key][0]
                    else:
                        grid.space.store(b"text%d" % rng.randrange(500), 0, bytes(rng.randrange(3000)))
                    grid.turn()
                    if step % 100 == 0:
                        grid.there()
                        grid.space.check()
                self.assertEqual(refused, 0, (policy, seed))
                self.assertGreater(grid.evictor.evicted["large"] + grid.evictor.evicted["capacity"], 100)
                self.assertEqual(grid.budget.used[STRUCTURES], grid.space.structures.reserved_bytes)
                self.assertLess(len(grid.there()), 60)
                grid.space.check()
                grid.evictor.check()

    def test_small_ones_go_although_the_policy_has_many_texts_in_front_of_them(self):
        for policy in (LFU, LRU):
            grid = Grid(policy)
            for number in range(1000):
                self.assertTrue(grid.push(b"list%d" % number, 2, 200))
            for _ in range(20):
                for number in range(500):
                    grid.space.store(b"text%d" % number, 0, b"v")
                grid.turn()
            for number in range(1000):
                grid.push(b"list%d" % number, 2, 200)
                if number % 100 == 0:
                    grid.turn()
            self.assertTrue(grid.push(b"large", 2000, 1000), policy)
            self.assertTrue(grid.push(b"large", 1000, 1000), policy)
            self.assertGreater(grid.evictor.evicted["large"], 128)
            self.assertEqual(sum(1 for key in grid.keys() if key.startswith(b"text")), 500)
            grid.space.check()

    def test_one_that_grows_beyond_all_memory_is_refused_and_not_evicted(self):
        for logged in (False, True):
            grid = Grid(LRU, logged=logged)
            for number in range(20):
                self.assertTrue(grid.push(b"other%d" % number, 20))
            done = 0
            while grid.push(b"list", 100):
                done += 100
                grid.turn()
            self.assertGreater(done, 1000)
            self.assertIn(b"list", grid.there())
            self.assertEqual(len(grid.space.structure(b"list", List)), done)
            grid.space.check()
            self.assertFalse(grid.push(b"list", 2000))
            self.assertEqual(len(grid.space.structure(b"list", List)), done)
            grid.space.delete(b"list")
            self.assertTrue(grid.push(b"other", 100))
            grid.space.check()

    def test_a_grid_that_refuses_keeps_all(self):
        grid = Grid(REFUSE)
        count = 0
        while grid.push(b"list%d" % count, 50):
            count += 1
        del grid.lists[b"list%d" % count]
        self.assertEqual(len(grid.there()), count)
        self.assertGreater(count, 10)
        grid.space.check()
        before = grid.budget.used[STRUCTURES]
        for key in list(grid.lists):
            grid.space.delete(key)
        grid.rest()
        self.assertLess(grid.budget.used[STRUCTURES], before)
        self.assertLessEqual(grid.budget.used[STRUCTURES], 512 * KIB)

    @slow
    def test_commands_of_two_structures_in_a_batch_while_others_are_evicted(self):
        for seed in range(RUNS):
            grid = Grid(LRU, seed, logged=True)
            rng, space = random.Random(seed), grid.space
            for _ in range(300):
                space.begin()
                try:
                    for key in rng.sample([b"a", b"b", b"c", b"d"], 3):
                        structure = space.structure(key, Hash)
                        space.update(key, structure, Hash, [b"hset", b"%d" % rng.randrange(300),
                                                            bytes(rng.randrange(20000))])
                        if rng.random() < 0.1:
                            space.delete(key)
                except GridFullError:
                    space.rollback()
                else:
                    if rng.random() < 0.3:
                        space.rollback()
                    else:
                        space.commit()
                grid.turn()
                space.check()
                self.assertEqual(grid.budget.used[STRUCTURES], space.structures.reserved_bytes)


if __name__ == "__main__":
    unittest.main()

"""The order among the records of a grid that evicts is in the budget: what is charged is what its arrays may take."""

import mmap
import os
import tempfile
import unittest

from nosqgrid.engine.budget import HEAP, INDEX, Budget, index_size_bytes, slots_wanted
from nosqgrid.engine.eviction.lists import NODE_BYTES, NodeLists
from nosqgrid.engine.evictor import Evictor
from nosqgrid.engine.policies import LFU, LRU, REFUSE
from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import PAGE_SIZE_BYTES
from nosqgrid.limits import INDEX_SLOTS_INITIAL, MIB
from tests.support.evicting import EvictingGrid
from tests.support.tiers import slow

SHARED = "/dev/shm"


class OrderMemoryTest(unittest.TestCase):
    def make(self, policy, memory_bytes, keep_order=True):
        self.budget = Budget(memory_bytes)
        if keep_order:
            self.budget.keep_order()
        return EvictingGrid(policy, memory_bytes, budget=self.budget)

    def assert_charged(self, grid):
        reserved = grid.space.index.reserved_bytes()
        self.assertEqual(self.budget.order_bytes, reserved // 8 * NODE_BYTES)
        self.assertEqual(self.budget.used[INDEX], reserved + self.budget.order_bytes)
        self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)

    @slow
    def test_it_is_charged_with_each_table_of_the_index(self):
        for policy in (LFU, LRU):
            grid = self.make(policy, 4 * MIB)
            for first in range(0, 60000, 3000):
                grid.fill([b"%d" % number for number in range(first, first + 3000)], b"v" * 40)
                self.assert_charged(grid)
            grid.rest()
            self.assertTrue(grid.evictor.tracking)
            self.assertGreater(grid.evicted, 5000)
            self.assertGreater(grid.space.index.growths, 2)
            self.assertEqual(dict(grid.evictor.stats())["eviction_order_bytes"], self.budget.order_bytes)
            grid.clear()
            self.assert_charged(grid)
            grid.check()

    @slow
    @unittest.skipUnless(os.path.isdir(SHARED), "no file system here tells how much memory a map has taken")
    def test_the_arrays_take_no_more_than_was_charged(self):
        files = []

        def new_lists(node_count):
            def numbers(kind, size_bytes):
                file = tempfile.TemporaryFile(dir=SHARED)
                self.addCleanup(file.close)
                file.truncate(node_count * size_bytes)
                files.append(file)
                return memoryview(mmap.mmap(file.fileno(), node_count * size_bytes)).cast(kind)

            return NodeLists(numbers("I", 4), numbers("I", 4), numbers("I", 4), numbers("B", 1))

        grid = self.make(LFU, 4 * MIB)
        grid.evictor = grid.space.evictor = Evictor(grid.space, LFU, grid.random.random, new_lists)
        grid.evictor.start()  # before the index grows: the arrays of both areas are used
        for first in range(0, 60000, 3000):
            grid.fill([b"%d" % number for number in range(first, first + 3000)], b"v" * 40)
        grid.rest()
        taken = sum(os.fstat(file.fileno()).st_blocks * 512 for file in files)
        # The heads of the lists are beside it, and each array may have a part of a page at either end of an area.
        self.assertLessEqual(taken, self.budget.order_bytes + 4 * 5 * PAGE_SIZE_BYTES)
        self.assertGreater(taken, self.budget.order_bytes // 2)

    def test_the_plan_for_the_index_has_room_for_it(self):
        self.budget = Budget(64 * MIB)
        plain = self.budget.index_size_bytes(INDEX_SLOTS_INITIAL)
        self.assertEqual(plain, index_size_bytes(INDEX_SLOTS_INITIAL))
        self.budget.keep_order()
        self.assertEqual(self.budget.index_size_bytes(INDEX_SLOTS_INITIAL), plain + plain // 8 * NODE_BYTES)
        for size in (40, 100, 1000):
            slots = slots_wanted(64 * MIB, size, 1 << 24, self.budget.index_size_bytes)
            self.assertLessEqual(slots, slots_wanted(64 * MIB, size, 1 << 24))
            held = min(slots * 0.8, (64 * MIB - self.budget.index_size_bytes(slots)) / size)
            for other in (slots >> 1, slots << 1):
                self.assertGreaterEqual(held, min(other * 0.8, (64 * MIB - self.budget.index_size_bytes(other)) / size))

    @slow
    def test_a_quota_in_a_grid_that_refuses_is_charged_where_there_is_room(self):
        grid = self.make(REFUSE, 4 * MIB, keep_order=False)
        grid.set(b"m:1", b"v")
        self.assertEqual(self.budget.order_bytes, 0)
        grid.evictor.set_quota(b"m:", MIB, LRU)
        self.assert_charged(grid)
        grid.fill([b"m:%d" % number for number in range(20000)], b"v" * 20)
        self.assert_charged(grid)
        self.assertGreater(len(grid.keys()), 15000)
        grid.check()

    def test_a_quota_in_a_full_grid_that_refuses_is_possible_all_the_same(self):
        grid = self.make(REFUSE, 2 * MIB, keep_order=False)
        with self.assertRaises(GridFullError):
            for number in range(1000):
                grid.set(b"m:%d" % number, bytes(20000))
        self.budget.take(HEAP, max(self.budget.left_bytes(HEAP), 0))
        self.budget.take(INDEX, max(self.budget.left_bytes(INDEX), 0))
        grid.evictor.set_quota(b"m:", MIB, LRU)
        self.assertEqual(self.budget.order_bytes, 0)
        grid.rest()
        self.assertLessEqual(grid.held(b"m:"), MIB)


if __name__ == "__main__":
    unittest.main()

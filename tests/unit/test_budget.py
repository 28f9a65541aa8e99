"""The budget by itself and under a real keyspace: what is counted, what is held back, and that it is never exceeded."""

import os
import random
import unittest

from nosqgrid.engine.budget import (HEAP, INDEX, KINDS, LANES, LARGE, STRUCTURES, Budget, index_size_bytes,
                                    slots_wanted, table_size_bytes)
from nosqgrid.engine.heap import FREE
from nosqgrid.engine.index import INDEX_LOAD_FULL
from nosqgrid.errors import GridFullError, InvariantError
from nosqgrid.formats import arena as arena_format
from nosqgrid.formats.lane import LANE_SIZE_BYTES
from nosqgrid.formats.records import pack_body
from nosqgrid.limits import INDEX_SLOTS_INITIAL, MIB
from nosqgrid.memory.arena import Arena
from nosqgrid.engine.keyspace import Keyspace
from tests.support.keyspaces import make_header, make_keyspace
from tests.support.tiers import slow


class ArithmeticTest(unittest.TestCase):
    def setUp(self):
        self.budget = Budget(100 * MIB)
        self.budget.take(INDEX, 2 * MIB)  # more than is held for it

    def test_what_is_taken_is_gone_and_comes_back(self):
        self.budget.take(HEAP, 90 * MIB)
        self.budget.take(LARGE, 8 * MIB)
        self.assertEqual((self.budget.total_bytes, self.budget.left_bytes(HEAP)), (100 * MIB, 0))
        for kind in KINDS:
            self.assertRaises(GridFullError, self.budget.take, kind, 1)
        self.budget.give_back(LARGE, MIB)
        self.budget.take(HEAP, MIB)
        self.assertEqual(self.budget.used, {HEAP: 91 * MIB, INDEX: 2 * MIB, LANES: 0, LARGE: 7 * MIB, STRUCTURES: 0})

    def test_a_refusal_charges_nothing_and_says_what_holds_how_much(self):
        self.budget.take(HEAP, 90 * MIB)
        with self.assertRaises(GridFullError) as caught:
            self.budget.take(LARGE, 9 * MIB)
        for words in ("the grid is full", "of 100.0 MiB", "92.0 MiB are used", "heap 90.0 MiB", "index 2.0 MiB",
                      "9.0 MiB more for large", "--memory"):
            self.assertIn(words, str(caught.exception))
        self.assertEqual(self.budget.total_bytes, 92 * MIB)

    def test_more_cannot_be_given_back_than_was_taken(self):
        self.budget.take(LANES, 5)
        self.assertRaises(InvariantError, self.budget.give_back, LANES, 6)
        self.assertRaises(InvariantError, self.budget.give_back, LANES, -1)
        self.assertRaises(InvariantError, self.budget.give_back, LARGE, 1)

    def test_what_the_system_refuses_is_not_charged(self):
        def refuse(offset, length):
            raise GridFullError("the system has none")

        self.assertRaisesRegex(GridFullError, "the system", self.budget.charging(HEAP, refuse), 0, MIB)
        self.assertEqual(self.budget.used[HEAP], 0)
        asked = []
        self.budget.charging(HEAP, lambda *part: asked.append(part))(7, MIB)
        self.assertEqual((asked, self.budget.used[HEAP]), ([(7, MIB)], MIB))

    def test_a_share_is_held_for_index_and_lanes_from_all_others(self):
        budget = Budget(64 * MIB, 300000)
        lanes = 3 * 300000
        self.assertEqual(budget.left_bytes(HEAP), 63 * MIB - lanes)
        self.assertEqual(budget.left_bytes(LARGE), 63 * MIB - lanes)
        self.assertEqual(budget.left_bytes(INDEX), 64 * MIB - lanes)
        self.assertEqual(budget.left_bytes(LANES), 63 * MIB)
        budget.take(LANES, 300000)
        self.assertEqual(budget.left_bytes(HEAP), 63 * MIB - lanes)
        budget.take(INDEX, MIB)
        self.assertEqual(budget.left_bytes(HEAP), 63 * MIB - lanes)
        budget.index_wants = lambda: 5 * MIB
        self.assertEqual(budget.left_bytes(HEAP), 59 * MIB - lanes)
        self.assertEqual(budget.left_bytes(INDEX), 63 * MIB - lanes)

    def test_the_limit_rises_to_its_bound_and_falls_to_what_is_used(self):
        budget = Budget(10 * MIB, 0, 20 * MIB)
        budget.raise_limit(8 * MIB)
        budget.raise_limit(8 * MIB)
        self.assertEqual(budget.limit_bytes, 20 * MIB)
        budget.take(HEAP, 13 * MIB)
        budget.lower_limit(10 * MIB)
        self.assertEqual(budget.limit_bytes, 13 * MIB)
        budget.give_back(HEAP, 6 * MIB)
        budget.lower_limit(10 * MIB)
        self.assertEqual(budget.limit_bytes, 10 * MIB)
        self.assertEqual(Budget(10, 0, 5).limit_bytes_max, 10)

    def test_more_is_asked_for_until_there_is_room_or_no(self):
        budget = Budget(10 * MIB, 0, 20 * MIB)
        asked = []

        def more(kind, size_bytes):
            asked.append((kind, size_bytes))
            budget.raise_limit(4 * MIB)
            return True

        budget.ask_more = more
        budget.take(HEAP, 13 * MIB)
        self.assertEqual((asked, budget.limit_bytes), ([(HEAP, 13 * MIB)], 14 * MIB))
        self.assertRaises(GridFullError, budget.take, INDEX, 8 * MIB)
        self.assertEqual(budget.limit_bytes, 20 * MIB)


class PlanTest(unittest.TestCase):
    def test_no_other_table_would_hold_more_records(self):
        for record_size in (24, 40, 48, 128, 200, 1000, 10 ** 5):
            for memory in (MIB, 3 * MIB, 64 * MIB, 1000 * MIB):
                slots_max = arena_format.Layout(memory).slots_max
                best = slots_wanted(memory, record_size, slots_max)
                counts = {}
                slots = INDEX_SLOTS_INITIAL
                while slots <= slots_max:
                    counts[slots] = min(0.8 * slots, (memory - index_size_bytes(slots)) / record_size)
                    slots *= 2
                self.assertEqual(counts[best], max(counts.values()))
                self.assertEqual(best, min(slots for slots in counts if counts[slots] == counts[best]))

    def test_both_areas_are_counted(self):
        self.assertEqual(index_size_bytes(INDEX_SLOTS_INITIAL), 2 * table_size_bytes(INDEX_SLOTS_INITIAL))


class FullGridTestCase(unittest.TestCase):
    def make(self, memory_bytes, lanes=1):
        self.budget = Budget(memory_bytes, LANE_SIZE_BYTES)
        self.budget.take(INDEX, arena_format.PAGE_SIZE_BYTES)
        self.budget.take(LANES, lanes * LANE_SIZE_BYTES)
        self.space, _ = make_keyspace(memory_bytes, budget=self.budget)

    def fill(self, value, first=0, name=b"%d"):
        """Store until the grid is full; how many were."""
        number, many = first, 100 if len(value) < 5000 else 1
        try:
            while True:
                frames = b"".join(pack_body(name % n, value, 1, 0) for n in range(number, number + many))
                before = self.space.key_count
                self.space.apply_sets(frames, 0, len(frames))
                self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)
                for n in range(number + self.space.key_count - before, number + many):
                    self.space.store(name % n, 1, value)
                number += many
                self.space.work()
        except GridFullError:
            return self.space.key_count

    def used_share(self):
        self.assertEqual(self.budget.used[HEAP], self.space.heap.reserved_bytes())
        self.assertEqual(self.budget.used[INDEX], self.space.index.reserved_bytes() + arena_format.PAGE_SIZE_BYTES)
        return self.budget.total_bytes / self.budget.limit_bytes


class UtilisationTest(FullGridTestCase):
    def full_of(self, value, memory_bytes=64 * MIB):
        self.make(memory_bytes)
        count = self.fill(value)
        self.assertGreater(self.space.heap.live_bytes(), 0.9 * self.budget.used[HEAP])
        # What is neither used nor held for the index to get rid of its tombstones in is a segment at most.
        held = max(index_size_bytes(self.space.index.table.slots) - self.budget.used[INDEX], 0)
        self.assertGreater(self.used_share() + held / memory_bytes, 0.95)
        self.assertLess(held, 0.13 * memory_bytes)
        return count

    @slow
    def test_records_of_1_kb(self):
        self.assertGreater(self.full_of(bytes(1000)), 60000)
        self.assertGreater(self.used_share(), 0.95)

    def test_records_of_100_kb(self):
        self.assertGreater(self.full_of(bytes(100000)), 600)
        self.assertGreater(self.used_share(), 0.95)

    @slow
    def test_records_of_100_bytes(self):
        self.assertGreater(self.full_of(bytes(100)), 400000)
        self.assertGreater(self.used_share(), 0.95)

    @slow
    def test_tiny_records(self):
        self.assertGreater(self.full_of(b"v", 32 * MIB), 450000)


class OrderTest(FullGridTestCase):
    @slow
    def test_a_grid_that_is_full_of_large_values_takes_small_ones_when_some_go(self):
        self.make(32 * MIB)
        count = self.fill(bytes(100000))
        for number in range(count):
            self.space.delete(b"%d" % number)
        small = self.fill(bytes(40), name=b"small%d")
        # The heap has taken its memory for good; the share held for the index bounds what it can name.
        self.assertGreater(small, 25000)
        self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)
        self.space.check()

    @slow
    def test_a_grid_of_small_values_takes_large_ones_when_they_go(self):
        self.make(8 * MIB)
        self.fill(b"")
        self.space.clear()
        self.assertGreater(self.fill(bytes(60000)) * 60000, 0.8 * self.budget.used[HEAP])
        self.space.check()

    def test_a_full_grid_can_be_cleared(self):
        for value in (b"", bytes(1000), bytes(50000)):
            self.make(MIB)
            count = self.fill(value)
            self.assertEqual(self.space.clear(), count)
            self.assertEqual(self.fill(value), count)
            self.space.check()

    @slow
    def test_a_full_grid_goes_on_when_other_keys_come_for_those_that_go(self):
        rng = random.Random(5)
        self.make(4 * MIB)
        count = self.fill(bytes(30), name=b"%07d")
        self.assertGreater(count, 0.6 * self.space.index.table.slots)
        keys = [b"%07d" % number for number in range(count)]
        rng.shuffle(keys)
        for key in keys[:count // 5]:
            self.space.delete(key)
        del keys[:count // 5]
        growths = self.space.index.growths
        for number in range(count):
            at = rng.randrange(len(keys))
            self.space.delete(keys[at])
            keys[at] = b"%07d" % (count + number)
            self.space.store(keys[at], 1, bytes(30))
        self.assertGreater(self.space.index.growths, growths)  # it got rid of tombstones in the memory held for it
        self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)
        self.space.check()

    @slow
    def test_a_table_that_may_not_grow_gets_rid_of_tombstones_at_a_high_load(self):
        rng = random.Random(6)
        self.make(8 * MIB)
        self.space.index.may_grow = lambda slots, size_bytes: slots <= 8192
        keys = [b"%d" % number for number in range(6600)]
        for key in keys:
            self.space.store(key, 1, b"")
        for number in range(12000):
            at = rng.randrange(len(keys))
            self.space.delete(keys[at])
            keys[at] = b"new%d" % number
            self.space.store(keys[at], 1, b"")
        self.assertEqual(self.space.index.table.slots, 8192)
        self.assertGreater(self.space.index.growths, 3)
        self.space.check()

    @slow
    def test_a_large_table_keeps_what_it_needs_when_the_records_become_large(self):
        self.make(8 * MIB)
        for number in range(20000):
            self.space.store(b"%d" % number, 1, b"")
        self.space.index.finish_growth()
        slots = self.space.index.table.slots
        for number in range(19990):
            self.space.delete(b"%d" % number)
        for number in range(20):
            self.space.store(b"large%d" % number, 1, bytes(100000))
        self.assertGreater(slots, 8 * INDEX_SLOTS_INITIAL)
        self.assertGreaterEqual(self.budget.index_wants(), 2 * table_size_bytes(slots))

    def test_a_lane_is_had_on_a_full_grid(self):
        self.make(64 * MIB, lanes=0)
        self.fill(bytes(100000))
        for _ in range(64 * MIB // 64 // LANE_SIZE_BYTES):
            self.budget.take(LANES, LANE_SIZE_BYTES)
        self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)

    def test_an_index_that_may_not_grow_asks_now_and_then_and_not_with_each_insert(self):
        self.make(4 * MIB)
        index = self.space.index
        asked = []
        may_grow, index.may_grow = index.may_grow, lambda *what: asked.append(what) or False
        newest = self.space.words[arena_format.NEWEST]
        full_at = int(INDEX_SLOTS_INITIAL * INDEX_LOAD_FULL)
        for number in range(full_at):
            self.space.store(b"%d" % number, 1, b"")
        self.assertEqual(self.space.words[arena_format.NEWEST], newest)
        self.assertLess(len(asked), 60)
        first = 2 * INDEX_SLOTS_INITIAL  # with the second area, which has nothing yet but will be needed
        self.assertEqual(asked[0], (first, 2 * table_size_bytes(first) - table_size_bytes(INDEX_SLOTS_INITIAL)))
        self.assertRaisesRegex(GridFullError, "index is full", self.space.store, b"more", 1, b"")
        index.may_grow = may_grow
        self.assertRaises(GridFullError, self.space.store, b"more", 1, b"")
        while self.space.work():
            continue
        self.space.store(b"more", 1, b"")
        self.assertEqual(index.growths, 1)
        self.space.check()


class RealMemoryTest(unittest.TestCase):
    @slow
    def test_what_is_counted_is_what_the_system_gave_and_never_more_than_the_limit(self):
        for seed, memory_bytes in ((1, MIB), (2, 3 * MIB + 12345), (3, 8 * MIB)):
            self.run_one(random.Random(seed), memory_bytes)

    def run_one(self, rng, memory_bytes):
        budget = Budget(memory_bytes, LANE_SIZE_BYTES)
        budget.take(INDEX, arena_format.PAGE_SIZE_BYTES)
        header = make_header(memory_bytes)
        arena = Arena.create(header)
        self.addCleanup(arena.file.close)
        space = Keyspace(arena.words, arena.map, header, arena.file.reserve, lambda: 0, budget=budget)
        others = []
        refused = 0
        for turn in range(3000):
            try:
                self.change(rng, space, budget, others)
            except GridFullError:
                refused += 1
            self.assertEqual(budget.total_bytes, sum(budget.used.values()))
            self.assertLessEqual(budget.total_bytes, memory_bytes)
            if turn % 50 == 0:
                self.assertEqual(os.fstat(arena.file.fd).st_blocks * 512, budget.used[HEAP] + budget.used[INDEX])
        self.assertGreater(refused, 10)
        space.check()

    def change(self, rng, space, budget, others):
        what, key = rng.random(), b"%d" % rng.randrange(20000)
        if what < 0.6:
            space.store(key, 1, bytes(rng.choice((0, 10, 100, 3000, 70000, 200000))))
        elif what < 0.7:
            frames = b"".join(pack_body(b"%d" % rng.randrange(20000), b"", 1, 0) for _ in range(200))
            space.apply_sets(frames, 0, len(frames))
        elif what < 0.8:
            kind, size = rng.choice(((LANES, LANE_SIZE_BYTES), (LARGE, rng.randrange(1, 300) * 4096)))
            budget.take(kind, size)
            others.append((kind, size))
        elif what < 0.88 and others:
            budget.give_back(*others.pop(rng.randrange(len(others))))
        elif what < 0.882:
            space.clear()
        elif what < 0.95:
            space.delete(key)
        else:
            space.work()


class HeapMemoryTest(FullGridTestCase):
    def test_the_last_memory_is_taken_segment_by_segment(self):
        self.make(5 * MIB, lanes=0)
        self.fill(bytes(1000))
        self.assertLess(self.budget.left_bytes(HEAP), self.space.heap.segment_size_bytes)

    @slow
    def test_a_run_is_made_where_there_is_memory_already(self):
        self.make(16 * MIB, lanes=0)
        count = self.fill(bytes(1000))
        self.assertIsNotNone(self.space.heap.reserve_error)
        for number in range(count):
            self.space.delete(b"%d" % number)
        self.space.store(b"large", 1, bytes(3900000))
        self.space.check()

    def test_the_cleaner_counts_the_free_segments_that_have_memory(self):
        self.make(32 * MIB, lanes=0)
        self.budget.take(LARGE, 16 * MIB)
        self.fill(bytes(1000))
        heap = self.space.heap
        free = [segment for segment in range(heap.count) if heap.state[segment] == FREE]
        self.assertGreater(len(free), 14)
        self.assertLess(heap.usable(), 3)
        self.assertEqual(heap.usable(), sum(heap.given[segment] for segment in free))
        self.assertTrue(self.space.cleaner.low())

    def test_check_sees_memory_that_is_counted_wrongly(self):
        self.make(4 * MIB)
        self.space.store(b"key", 1, b"value")
        self.space.heap.given_count += 1
        self.assertRaisesRegex(InvariantError, "have memory", self.space.check)
        self.space.heap.given_count -= 1
        self.space.heap.given[self.space.heap.writer.segment] = 0
        self.space.heap.given_count -= 1
        self.assertRaisesRegex(InvariantError, "has no memory", self.space.check)


if __name__ == "__main__":
    unittest.main()

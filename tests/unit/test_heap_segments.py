"""The heap by itself: segments are filled, sealed, freed and counted, and check() sees accounts that are wrong."""

import random
import unittest

from nosqgrid.engine.heap import CLEANER_SEGMENTS, FREE, LARGE, OPEN, SEALED, Heap
from nosqgrid.errors import InvariantError
from nosqgrid.formats.arena import Layout
from nosqgrid.formats.slots import GENERATION_SHIFT
from nosqgrid.limits import MIB, RESERVE_STEP_BYTES
from tests.support.keyspaces import Budget

MEMORY = 1 * MIB


class HeapTestCase(unittest.TestCase):
    def setUp(self):
        self.make()

    def make(self, memory_bytes=MEMORY, budget=None):
        self.budget = budget or Budget()
        self.heap = Heap(Layout(memory_bytes), self.budget)
        self.size = self.heap.segment_size_bytes

    def fill_segment(self, size=None):
        """Allocate records of one size until the writer's segment is full, as far as they go; their offsets."""
        size = size or self.size // 2
        return [self.heap.allocate(self.heap.writer, size) for _ in range(self.size // size)]

    def fill_all(self):
        """Offsets of records of half a segment, as many as writers get."""
        offsets = []
        while True:
            offset = self.heap.allocate(self.heap.writer, self.size // 2)
            if offset is None:
                return offsets
            offsets.append(offset)

    def check(self, live):
        """`live` are (offset, size) of all records that live."""
        by_segment = {}
        for offset, size in live:
            segment = self.heap.segment_of(offset)
            by_segment[segment] = by_segment.get(segment, 0) + size
        self.heap.check(by_segment)


class AllocationTest(HeapTestCase):
    def test_records_lie_behind_each_other_from_the_first_segment_on(self):
        offsets = [self.heap.allocate(self.heap.writer, size) for size in (24, 32, 8, 24)]
        self.assertEqual(offsets, [self.heap.base + at for at in (0, 24, 56, 64)])
        self.assertEqual((self.heap.state[0], self.heap.opened), (OPEN, 1))
        self.check(zip(offsets, (24, 32, 8, 24)))

    def test_a_segment_takes_exactly_its_size(self):
        for rest, segment in ((0, 0), (8, 1)):
            self.make()
            self.heap.allocate(self.heap.writer, self.size // 2)
            self.heap.allocate(self.heap.writer, self.size // 2 - 16)
            self.heap.allocate(self.heap.writer, 8)
            last = self.heap.allocate(self.heap.writer, 8 + rest)
            self.assertEqual(self.heap.segment_of(last), segment)
            self.assertEqual(self.heap.state[0], OPEN if segment == 0 else SEALED)

    def test_writers_leave_the_last_free_segment_to_the_cleaner(self):
        offsets = self.fill_all()
        self.assertEqual(len(offsets), 2 * (self.heap.count - CLEANER_SEGMENTS))
        self.assertEqual(len(self.heap.free), CLEANER_SEGMENTS)
        self.assertIsNotNone(self.heap.allocate(self.heap.survivors, 64))
        self.assertEqual(self.heap.free, [])
        self.assertIsNone(self.heap.allocate(self.heap.survivors, self.size))

    def test_what_is_left_of_another_regions_segment_is_the_last_place(self):
        self.assertIsNone(self.heap.allocate_in_rest(8))
        self.heap.allocate(self.heap.survivors, self.size // 2)
        self.assertIsNone(self.heap.allocate_in_rest(self.size // 2 + 8))
        self.assertIsNotNone(self.heap.allocate_in_rest(self.size // 2))
        self.assertIsNone(self.heap.allocate_in_rest(8))

    def test_writers_keep_off_the_cleaners_rest_when_it_has_no_other_room(self):
        self.fill_all()
        self.heap.allocate(self.heap.survivors, 64)
        self.assertEqual(self.heap.free, [])
        self.assertIsNone(self.heap.allocate_in_rest(64))
        self.assertIsNone(self.heap.allocate(self.heap.writer, 64))
        self.assertIsNotNone(self.heap.allocate(self.heap.survivors, 64))

    def test_a_record_that_would_leave_much_of_a_segment_goes_behind_those_of_the_other_region(self):
        heap, half = self.heap, self.size // 2
        survivor = heap.allocate(heap.survivors, 64)
        heap.allocate(heap.writer, half + 8)
        crossed = heap.allocate(heap.writer, half)
        self.assertEqual(heap.segment_of(crossed), heap.segment_of(survivor))
        self.assertEqual(heap.opened, 1)
        self.assertEqual(heap.allocate(heap.writer, half - 8), heap.base + self.size + half + 8)  # its own rest
        heap.allocate(heap.writer, half)
        self.assertEqual(heap.opened, 2)

    def test_a_rest_of_a_few_bytes_is_not_worth_another_place(self):
        heap = self.heap
        heap.allocate(heap.survivors, 64)
        heap.allocate(heap.writer, self.size // 2)
        heap.allocate(heap.writer, self.size // 2 - 64)
        heap.allocate(heap.writer, 128)
        self.assertEqual(heap.opened, 2)

    def test_a_limit_before_the_end_is_no_end_of_the_segment(self):
        heap = self.heap
        first = heap.allocate(heap.writer, 64)
        heap.writer.limit = heap.writer.cursor
        self.assertEqual(heap.allocate(heap.writer, 64), first + 64)
        self.assertEqual(heap.opened, 1)

    def test_memory_is_asked_for_in_steps_once_each(self):
        self.make(32 * MIB)
        step = RESERVE_STEP_BYTES
        before = self.budget.remaining
        for _ in range(2):
            offsets = self.fill_segment()
            self.assertEqual(before - self.budget.remaining, step)
            for offset in offsets:
                self.heap.discard(offset, self.size // 2)
        self.assertEqual(self.heap.reserved_bytes(), step)
        self.fill_all()
        self.assertEqual(before - self.budget.remaining, 32 * MIB)
        self.assertEqual(self.heap.reserved_bytes(), 32 * MIB)

    def test_a_step_that_the_system_refuses_leaves_the_heap_as_it_was_and_is_asked_for_again(self):
        self.make(32 * MIB, Budget(RESERVE_STEP_BYTES))
        offsets = self.fill_all()
        # The last segment with memory is the cleaner's: one without would be of no use to it.
        self.assertEqual(len(offsets), 2 * (RESERVE_STEP_BYTES // self.size - CLEANER_SEGMENTS))
        self.assertIn("no more memory", str(self.heap.reserve_error))
        free = sorted(self.heap.free)
        self.assertIsNone(self.heap.allocate(self.heap.writer, 64))
        self.assertIsNone(self.heap.allocate_large(2 * self.size))
        self.assertEqual(sorted(self.heap.free), free)
        self.check([(offset, self.size // 2) for offset in offsets])
        # What is dead in the memory that is there is used again.
        self.heap.discard(offsets[0], self.size // 2)
        self.heap.discard(offsets[1], self.size // 2)
        self.assertEqual(self.heap.allocate(self.heap.writer, self.size // 2), offsets[0])
        self.budget.remaining = RESERVE_STEP_BYTES
        self.assertEqual(len(self.fill_all()), 1 + 2 * RESERVE_STEP_BYTES // self.size)


class ReleaseTest(HeapTestCase):
    def test_a_sealed_segment_is_free_when_its_last_record_dies(self):
        first, second = self.fill_segment()
        self.fill_segment()
        self.heap.discard(first, self.size // 2)
        self.assertEqual(self.heap.state[0], SEALED)
        self.heap.discard(second, self.size // 2)
        self.assertEqual((self.heap.state[0], self.heap.filled[0], self.heap.dead[0]), (FREE, 0, 0))
        self.assertIn(0, self.heap.free)

    def test_an_open_segment_stays_for_its_next_record(self):
        offset = self.heap.allocate(self.heap.writer, 64)
        self.heap.discard(offset, 64)
        self.assertEqual(self.heap.state[0], OPEN)
        self.assertEqual(self.heap.allocate(self.heap.writer, 64), offset + 64)

    def test_a_segment_that_is_dead_when_it_is_sealed_is_free_at_once(self):
        for offset in self.fill_segment():
            self.heap.discard(offset, self.size // 2)
        self.assertEqual(self.heap.state[0], OPEN)
        self.heap.allocate(self.heap.writer, 64)
        self.assertEqual(self.heap.state[0], FREE)

    def test_each_use_of_a_segment_has_a_generation_of_its_own(self):
        seen = set()
        for _ in range(20):
            offsets = self.fill_segment()
            seen.add((self.heap.segment_of(offsets[0]), self.heap.writer.generation_bits))
            for offset in offsets:
                self.heap.discard(offset, self.size // 2)
        self.assertEqual(len(seen), 20)
        self.heap.generation[3] = 65536 + 5
        self.assertEqual(self.heap.generation_bits(3), 5 << GENERATION_SHIFT)

    def test_the_lowest_free_segment_is_filled_first(self):
        offsets = self.fill_all()
        for segment in (9, 4, 6):
            for offset in offsets[2 * segment:2 * segment + 2]:
                self.heap.discard(offset, self.size // 2)
        self.assertEqual(self.heap.segment_of(self.heap.allocate(self.heap.writer, 64)), 4)

    def test_more_dead_bytes_than_there_are_is_an_invariant_that_broke(self):
        first, _ = self.fill_segment()
        self.fill_segment()
        self.heap.discard(first, self.size // 2)
        with self.assertRaisesRegex(InvariantError, "are dead"):
            self.heap.discard(first, self.size // 2 + 8)

    def test_all_can_be_discarded_at_once(self):
        self.fill_segment()
        self.heap.allocate(self.heap.survivors, 64)
        self.heap.allocate_large(3 * self.size)
        generations = list(self.heap.generation)
        self.heap.discard_all()
        self.check([])
        self.assertEqual(sorted(self.heap.free), list(range(self.heap.count)))
        self.assertEqual((self.heap.live_bytes(), set(self.heap.run)), (0, {0}))
        changed = sum(1 for was, now in zip(generations, self.heap.generation) if now != was)
        self.assertEqual(changed, 5)
        self.assertEqual(len(self.fill_all()), 2 * (self.heap.count - CLEANER_SEGMENTS))


class LargeTest(HeapTestCase):
    def test_a_run_is_as_long_as_the_record_needs(self):
        for size, length in ((self.size // 2 + 8, 1), (self.size, 1), (self.size + 8, 2), (3 * self.size, 3)):
            self.make()
            offset = self.heap.allocate_large(size)
            first = self.heap.segment_of(offset)
            self.assertEqual(self.heap.run[first], length)
            self.assertEqual(self.heap.state.count(LARGE), length)
            self.assertEqual(first + length, self.heap.count)  # from the end, out of the way of the small ones
            self.check([(offset, size)])

    def test_a_run_is_free_as_a_whole(self):
        offset = self.heap.allocate_large(5 * self.size - 8)
        self.heap.discard(offset, 5 * self.size - 8)
        self.assertEqual(len(self.heap.free), self.heap.count)
        self.check([])

    def test_the_longest_run_leaves_the_cleaner_its_segment(self):
        longest = self.heap.count - CLEANER_SEGMENTS
        self.assertIsNone(self.heap.allocate_large(longest * self.size + 8))
        self.assertIsNotNone(self.heap.allocate_large(longest * self.size))
        self.assertEqual(len(self.heap.free), CLEANER_SEGMENTS)
        self.assertIsNone(self.heap.allocate(self.heap.writer, 64))

    def test_free_segments_that_do_not_lie_together_are_no_run(self):
        offsets = self.fill_all()
        for segment in range(0, self.heap.count - 1, 2):
            for offset in offsets[2 * segment:2 * segment + 2]:
                self.heap.discard(offset, self.size // 2)
        self.assertGreater(len(self.heap.free), 6)
        self.assertIsNone(self.heap.allocate_large(3 * self.size))
        self.assertIsNotNone(self.heap.allocate_large(self.size))

    def test_random_allocations_and_deaths_keep_the_accounts(self):
        rng = random.Random(1)
        live = []
        for step in range(6000):
            if live and rng.random() < 0.48:
                self.heap.discard(*live.pop(rng.randrange(len(live))))
                continue
            if rng.random() < 0.1:
                size = rng.randrange(self.size // 2 + 8, 3 * self.size, 8)
                offset = self.heap.allocate_large(size)
            else:
                size = rng.randrange(24, 4000, 8)
                offset = self.heap.allocate(rng.choice((self.heap.writer, self.heap.survivors)), size)
            if offset is not None:
                live.append((offset, size))
            if step % 100 == 0:
                self.check(live)
        self.check(live)
        self.assertEqual(self.heap.live_bytes(), sum(size for _, size in live))
        spans = sorted(live)
        self.assertTrue(all(at + size <= following for (at, size), (following, _) in zip(spans, spans[1:])))


class ChoiceTest(HeapTestCase):
    def test_of_segments_sealed_about_the_same_time_the_one_with_the_fewest_live_bytes_is_the_cheapest(self):
        offsets = []
        for _ in range(5):
            offsets.append(self.fill_segment(self.size // 8))
        for segment, dead in ((1, 3), (2, 5), (3, 4), (4, 7)):
            for offset in offsets[segment][:dead]:
                self.heap.discard(offset, self.size // 8)
        self.assertEqual(self.heap.state[4], OPEN)
        self.heap.sealed_at = [1] * self.heap.count
        self.assertEqual(self.heap.cheapest(()), 2)
        self.assertEqual(self.heap.cheapest({2}), 3)
        self.assertEqual(self.heap.cheapest({0, 1, 2, 3}), -1)

    def test_an_old_segment_is_cleaned_before_a_young_one_in_which_a_little_less_lives(self):
        offsets = [self.fill_segment(self.size // 8) for _ in range(5)]
        for segment, dead in ((0, 4), (3, 5)):
            for offset in offsets[segment][:dead]:
                self.heap.discard(offset, self.size // 8)
        self.assertEqual(self.heap.cheapest(()), 0)

    def test_what_wins_little_is_cleaned_last_however_old(self):
        offsets = [self.fill_segment(self.size // 32) for _ in range(6)]
        self.heap.discard(offsets[0][0], self.size // 32)
        for offset in offsets[4][:2]:
            self.heap.discard(offset, self.size // 32)
        self.assertEqual(self.heap.cheapest(()), 4)
        self.assertEqual(self.heap.cheapest({4}), 0)

    def test_neither_open_nor_large_nor_free_segments_are_chosen(self):
        self.heap.allocate(self.heap.writer, 64)
        self.heap.allocate_large(2 * self.size)
        self.assertEqual(self.heap.cheapest(()), -1)


class RunChoiceTest(HeapTestCase):
    """Which adjacent segments are emptied for a LARGE record."""

    def setUp(self):
        super().setUp()
        self.offsets = [self.fill_segment(self.size // 8) for _ in range(self.heap.count - 1)]
        self.heap.close(self.heap.writer)

    def kill(self, segment, count):
        for offset in self.offsets[segment][:count]:
            self.heap.discard(offset, self.size // 8)

    def test_the_run_with_the_fewest_live_bytes(self):
        for segment, dead in ((2, 8), (5, 4), (6, 5), (7, 4), (10, 8)):
            self.kill(segment, dead)
        self.assertEqual(self.heap.cheapest_run(3, ()), 5)
        self.assertEqual(self.heap.cheapest_run(1, ()), 2)
        self.assertEqual(self.heap.cheapest_run(3, {6}), 0)
        self.assertEqual(self.heap.cheapest_run(self.heap.count, ()), 0)
        self.assertEqual(self.heap.cheapest_run(self.heap.count, {3}), -1)

    def test_open_and_large_segments_are_no_part_of_one(self):
        self.kill(8, 8)
        self.heap.allocate(self.heap.survivors, 64)
        self.assertEqual(self.heap.survivors.segment, 8)
        self.assertEqual(self.heap.cheapest_run(8, ()), 0)
        self.assertEqual(self.heap.cheapest_run(9, ()), -1)
        self.assertIsNone(self.heap.allocate_large(self.size))
        self.kill(4, 8)
        self.assertEqual(self.heap.cheapest_run(7, range(8)), 9)
        self.assertIsNotNone(self.heap.allocate_large(self.size))  # the last one
        self.assertEqual(self.heap.cheapest_run(7, range(8)), -1)

    def test_what_is_held_is_taken_by_nobody_until_it_is_let_go(self):
        self.kill(3, 8)
        self.kill(4, 8)
        self.heap.hold(range(3, 5))
        self.assertEqual(self.heap.free, [self.heap.count - 1])
        self.kill(5, 8)
        self.heap.unhold(range(3, 5))
        self.assertEqual(sorted(self.heap.free), [3, 4, 5, self.heap.count - 1])


class CheckTest(HeapTestCase):
    def setUp(self):
        super().setUp()
        self.live = [(offset, self.size // 2) for offset in self.fill_segment() + self.fill_segment()]
        self.check(self.live)

    def caught(self, text):
        with self.assertRaisesRegex(InvariantError, text):
            self.check(self.live)

    def test_wrong_dead_and_filled_bytes(self):
        self.heap.dead[0] += 8
        self.caught("segment 0")
        self.heap.dead[0] -= 8
        self.heap.filled[0] -= 8
        self.caught("segment 0")

    def test_a_cursor_that_went_too_far(self):
        self.heap.writer.cursor -= 8
        self.caught("segment 1")

    def test_a_record_in_a_free_segment(self):
        self.live.append((self.heap.base + 5 * self.size, 64))
        self.caught("segment 5")

    def test_a_free_segment_that_nobody_can_get(self):
        self.heap.free.remove(7)
        self.caught("segment 7 is free and is not")

    def test_a_segment_that_is_free_twice(self):
        self.heap.free.append(7)
        self.caught("free twice")


if __name__ == "__main__":
    unittest.main()

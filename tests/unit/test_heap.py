"""The heap and the keyspace on it: what is full, what makes room again, and that check() sees wrong accounts."""

import random
import unittest

from nosqgrid.engine.heap import FREE, LARGE, OPEN, SEALED, Heap
from nosqgrid.errors import (BatchError, CommandError, GridFullError, InvariantError, KeyTooLargeError,
                             ValueTooLargeError)
from nosqgrid.formats.arena import Layout
from nosqgrid.formats.records import pack_body
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, MIB
from tests.support.keyspaces import Budget, make_keyspace
from tests.support.tiers import slow


def fill(space, value_bytes, first=0):
    """Store keys until the grid is full; how many."""
    count = first
    try:
        while True:
            space.store(b"k%06d" % count, 0, bytes(value_bytes))
            count += 1
    except GridFullError:
        return count


class HeapTest(unittest.TestCase):
    def setUp(self):
        self.heap = Heap(Layout(MIB), Budget())
        self.size = self.heap.segment_size_bytes

    def test_records_follow_each_other_and_never_cross_a_segment(self):
        rng, seen = random.Random(1), []
        while True:
            size = rng.randrange(24, 4000) & ~7
            offset = self.heap.allocate(self.heap.writer, size)
            if offset is None:
                break
            self.assertEqual(self.heap.segment_of(offset), self.heap.segment_of(offset + size - 1))
            seen.append((offset, offset + size))
        seen.sort()
        self.assertTrue(all(one[1] <= other[0] for one, other in zip(seen, seen[1:])))
        self.assertEqual(self.heap.opened, self.heap.count - 1)  # the last is the cleaner's
        self.assertIsNotNone(self.heap.allocate(self.heap.survivors, 24))

    def test_a_sealed_segment_is_free_when_all_is_dead_and_has_another_generation(self):
        offset = self.heap.allocate(self.heap.writer, 1000)
        before = self.heap.generation_bits(0)
        self.heap.discard(offset, 1000)
        self.assertEqual(self.heap.state[0], OPEN)
        self.heap.close(self.heap.writer)
        self.assertEqual((self.heap.state[0], self.heap.filled[0], self.heap.dead[0]), (FREE, 0, 0))
        self.assertNotEqual(self.heap.generation_bits(0), before)

    def test_more_dead_than_filled_is_an_invariant_that_broke(self):
        self.heap.allocate(self.heap.writer, 1000)
        self.heap.close(self.heap.writer)
        self.assertEqual(self.heap.state[0], SEALED)
        with self.assertRaises(InvariantError):
            self.heap.discard(self.heap.base, 1008)

    def test_a_large_record_takes_a_run_and_gives_it_back(self):
        offset = self.heap.allocate_large(3 * self.size - 8)
        first = self.heap.segment_of(offset)
        self.assertEqual(self.heap.state[first:first + 3], [LARGE] * 3)
        self.assertEqual(self.heap.live_bytes(), 3 * self.size - 8)
        self.heap.discard(offset, 3 * self.size - 8)
        self.assertEqual(self.heap.state, [FREE] * self.heap.count)
        self.assertEqual(sorted(self.heap.free), list(range(self.heap.count)))

    def test_a_large_record_leaves_the_cleaner_its_segment(self):
        self.assertIsNone(self.heap.allocate_large(self.heap.count * self.size))
        self.assertIsNotNone(self.heap.allocate_large((self.heap.count - 1) * self.size))

    def test_the_cheapest_segment_is_sealed_and_not_excluded(self):
        for _ in range(3):
            self.heap.allocate(self.heap.writer, self.size)
        self.heap.close(self.heap.writer)
        self.heap.discard(self.heap.base + self.size, 800)
        self.assertEqual(self.heap.cheapest(()), 1)
        self.assertEqual(self.heap.cheapest({1}), 0)
        self.assertEqual(self.heap.cheapest({0, 1, 2}), -1)

    def test_wrong_accounts_are_seen(self):
        offset = self.heap.allocate(self.heap.writer, 1000)
        self.heap.check({self.heap.segment_of(offset): 1000})
        for live in ({}, {0: 992}, {0: 1000, 1: 8}):
            with self.assertRaises(InvariantError):
                self.heap.check(live)
        self.heap.free.append(self.heap.free[0])
        with self.assertRaises(InvariantError):
            self.heap.check({0: 1000})


class FullTest(unittest.TestCase):
    @slow
    def test_a_full_grid_says_so_changes_nothing_and_deleting_makes_room(self):
        for value_bytes in (10, 500, 20000, 40000):
            with self.subTest(value_bytes=value_bytes):
                space, _ = make_keyspace()
                count = fill(space, value_bytes)
                space.check()
                before = (space.version, space.key_count, space.heap.live_bytes())
                with self.assertRaises(GridFullError):
                    space.store(b"k000000" if value_bytes > 30000 else b"new", 0, bytes(value_bytes))
                self.assertEqual((space.version, space.key_count, space.heap.live_bytes()), before)
                for number in range(0, count, 2):
                    self.assertTrue(space.delete(b"k%06d" % number))
                for number in range(count // 5):
                    space.store(b"n%06d" % number, 0, bytes(value_bytes))
                space.check()
                self.assertEqual(space.lookup(b"k000001").value, bytes(value_bytes))

    @slow
    def test_a_system_without_memory_leaves_a_working_grid_in_which_deleting_makes_room(self):
        for steps in range(3):
            with self.subTest(steps=steps):
                budget = Budget()
                space, _ = make_keyspace(32 << 20, reserve=budget)
                space.store(b"first", 0, b"")
                budget.remaining = steps * (4 << 20) + 100000
                count = fill(space, 1500)
                space.check()
                self.assertGreater(count, 1000 * (steps + 1))
                self.assertEqual(space.key_count, count + 1)
                for number in range(0, count, 2):
                    self.assertTrue(space.delete(b"k%06d" % number))
                for number in range(count // 4):
                    space.store(b"n%06d" % number, 0, bytes(1500))
                space.check()
                self.assertEqual(space.lookup(b"k000001").value, bytes(1500))
                budget.remaining = 1 << 40
                self.assertGreater(fill(space, 1500, count), count + 2000)
                space.check()

    def test_expired_records_make_room_by_themselves(self):
        space, _ = make_keyspace()
        space.now_ms = 1000
        for number in range(10000):
            space.store(b"t%d" % number, 0, bytes(500), 2000)
            if space.heap.live_bytes() > 800000:
                break
        space.now_ms = 10000
        self.assertGreater(fill(space, 500), 1000)
        self.assertEqual(space.expiring, 0)
        space.check()

    def test_sizes_at_their_limits(self):
        space, _ = make_keyspace()
        space.store(bytes(KEY_SIZE_BYTES_MAX), 0, b"v")
        with self.assertRaises(KeyTooLargeError):
            space.store(bytes(KEY_SIZE_BYTES_MAX + 1), 0, b"v")
        space.store(b"k", 0, bytes(space.value_size_bytes_max))
        with self.assertRaises(ValueTooLargeError):
            space.store(b"k", 0, bytes(space.value_size_bytes_max + 1))
        self.assertEqual(len(space.lookup(b"k").value), space.value_size_bytes_max)
        space.check()


class BatchTest(unittest.TestCase):
    @slow
    def test_a_rollback_leaves_the_accounts_right_whatever_was_staged(self):
        rng = random.Random(2)
        space, _ = make_keyspace()
        for number in range(200):
            space.store(b"k%d" % (number % 50), 0, bytes(rng.randrange(3000)), 10 ** 6 if number % 3 == 0 else 0)
        for _ in range(100):
            before = (space.key_count, space.heap.live_bytes(), space.expiring)
            content = {b"k%d" % number: space.lookup(b"k%d" % number) for number in range(60)}
            space.begin()
            try:
                for _ in range(rng.randrange(40)):
                    key = b"k%d" % rng.randrange(60)
                    if rng.random() < 0.3:
                        space.delete(key)
                    else:
                        space.store(key, 0, bytes(rng.choice((10, 3000, 50000))), rng.choice((0, 10 ** 6)))
                space.check()
            except GridFullError as error:
                self.assertTrue(str(error))
            space.rollback()
            space.check()
            self.assertEqual((space.key_count, space.heap.live_bytes(), space.expiring), before)
            self.assertEqual({key: space.lookup(key) for key in content}, content)

    def test_a_batch_sees_itself_and_is_not_seen_before_it_is_over(self):
        space, _ = make_keyspace()
        space.store(b"a", 0, b"old")
        slots = list(space.words[space.index.table.base:space.index.table.end])
        space.begin()
        space.store(b"a", 0, b"new")
        space.store(b"b", 0, b"1")
        self.assertEqual((space.lookup(b"a").value, space.lookup(b"b").value), (b"new", b"1"))
        self.assertTrue(space.delete(b"b"))
        self.assertFalse(space.delete(b"b"))
        self.assertEqual(list(space.words[space.index.table.base:space.index.table.end]), slots)
        with self.assertRaises(CommandError):
            space.clear()
        with self.assertRaises(InvariantError):
            space.begin()
        space.commit()
        self.assertEqual((space.lookup(b"a").value, space.lookup(b"b")), (b"new", None))
        space.check()

    def test_errors_of_a_batch_are_what_they_say(self):
        error = BatchError("message", 3)
        self.assertEqual((error.index, str(error)), (3, "message"))


class PlantedTest(unittest.TestCase):
    """check() of the whole keyspace notices what was damaged behind its back."""

    def setUp(self):
        self.space, _ = make_keyspace()
        for number in range(100):
            self.space.store(b"k%d" % number, 0, bytes(number), 5000 if number % 4 == 0 else 0)
        self.space.check()
        _, word = self.space._find(b"k8", self.space.hash_of(b"k8"))
        self.offset = (word & 0xFFFFFFFF) << 3

    def planted(self):
        with self.assertRaises(InvariantError):
            self.space.check()

    def test_a_changed_key(self):
        self.space.arena[self.offset + 24:self.offset + 25] = b"x"
        self.planted()

    def test_a_changed_length(self):
        self.space.arena[self.offset + 8:self.offset + 9] = b"\x50"
        self.planted()

    def test_a_deadline_that_came_or_went(self):
        self.space.expiring += 1
        self.planted()

    def test_a_version_from_the_future(self):
        self.space.words[self.offset >> 3] = (self.space.version + 1) << 8
        self.planted()

    def test_a_flag_that_nobody_set(self):
        self.space.arena[self.offset + 15:self.offset + 16] = b"\x03"
        self.planted()

    def test_a_lost_byte_of_the_heap(self):
        self.space.heap.dead[0] += 8
        self.planted()

    def test_a_record_stored_without_an_account(self):
        body = pack_body(b"z", b"z", 0)
        self.assertEqual(self.space.apply_sets(body, 0, len(body)), len(body))
        self.space.index.live -= 1
        self.planted()


if __name__ == "__main__":
    unittest.main()

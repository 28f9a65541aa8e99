"""Memory that grows to --memory-max and shrinks back: when it does, when it does not, and what readers see."""

import os
import random
import threading
import unittest

from nosqgrid.coordinator.elastic import SHRINK_AFTER_S, SHRINK_EVERY_S, Elastic
from nosqgrid.engine.budget import HEAP, INDEX, LANES, LARGE, Budget
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.errors import CoordinatorError, GridFullError, UsageError
from nosqgrid.formats import arena as arena_format
from nosqgrid.limits import MIB
from nosqgrid.memory import shared_file
from nosqgrid.memory.arena import Arena
from nosqgrid.memory.reader import Reader
from tests.support.keyspaces import make_header
from tests.support.tiers import slow

VALUE = b"v" * 4000


def blocks_bytes(file):
    """What the system says that the file takes."""
    return os.fstat(file.fd).st_blocks * 512


class ElasticTestCase(unittest.TestCase):
    def make(self, least=8 * MIB, most=64 * MIB, left=1 << 40, **options):
        self.left = left
        self.now = 100.0
        self.looks = 0
        self.header = make_header(most)
        self.budget = Budget(least, 0, most)
        self.budget.take(INDEX, arena_format.PAGE_SIZE_BYTES)
        self.arena = Arena.create(self.header, **dict(options, releasable=True))
        self.addCleanup(self.arena.file.close)
        self.space = Keyspace(self.arena.words, self.arena.map, self.header, self.arena.file.reserve, lambda: 0,
                              budget=self.budget)
        self.elastic = Elastic(self.budget, self.space, self.arena.file, lambda: self.now, self.available_bytes)

    def available_bytes(self, backend):
        self.looks += 1
        return self.left

    def fill(self, first, count, value=VALUE):
        for number in range(first, first + count):
            self.space.store(b"%d" % number, 1, value)

    def fill_all(self):
        count = 0
        try:
            while True:
                self.fill(count, 1)
                count += 1
        except GridFullError as error:
            self.full = error
        return count

    def idle(self, seconds):
        """Time passes, and the coordinator's loop turns."""
        end = self.now + seconds
        while self.now < end:
            self.now += SHRINK_EVERY_S
            self.elastic.tick(self.now)
            while self.space.work():
                continue

    def check(self):
        self.space.check()
        self.assertEqual(self.budget.total_bytes, sum(self.budget.used.values()))
        self.assertLessEqual(self.budget.total_bytes, self.budget.limit_bytes)
        self.assertEqual(self.budget.used[HEAP], self.space.heap.reserved_bytes())
        self.assertEqual(self.budget.total_bytes, blocks_bytes(self.arena.file))


class GrowthTest(ElasticTestCase):
    @slow
    def test_it_grows_in_steps_as_far_as_it_may_and_is_full_then(self):
        self.make()
        limits = []
        for first in range(0, 100000, 100):
            try:
                self.fill(first, 100)
            except GridFullError as error:
                self.assertIn("is full", str(error))
                break
            limits.append(self.budget.limit_bytes)
            self.assertLess(self.budget.limit_bytes - self.budget.total_bytes, 12 * MIB)
        self.assertEqual(self.budget.limit_bytes, 64 * MIB)
        self.assertEqual(limits, sorted(limits))
        self.assertGreater(len(set(limits)), 5)
        self.assertGreater(self.budget.total_bytes, 0.95 * 64 * MIB)
        self.check()

    @slow
    def test_what_cleaning_can_win_is_won_before_the_memory_grows(self):
        self.make(16 * MIB)
        rng = random.Random(1)
        self.fill(0, 2000)
        for _ in range(12000):
            self.fill(rng.randrange(2000), 1)
        self.assertEqual((self.budget.limit_bytes, self.elastic.grown), (16 * MIB, 0))
        self.check()

    def test_values_that_leave_half_of_their_segments_unused_make_it_grow(self):
        self.make(16 * MIB)
        for number in range(40):
            self.space.store(b"%d" % number, 1, bytes(600 * 1024))
        self.assertGreater(self.budget.limit_bytes, 40 * MIB)
        self.check()

    def test_long_runs_are_had_though_the_free_segments_do_not_lie_together(self):
        self.make(16 * MIB)
        for number in range(26):
            self.space.store(b"%d" % number, 1, bytes(530 * 1024))
        for number in range(0, 26, 2):
            self.space.delete(b"%d" % number)
        self.assertGreater(self.space.heap.usable_given(), 10)
        self.space.store(b"long", 1, bytes(6 * MIB))
        self.check()

    def test_a_margin_of_what_the_system_has_is_left_to_it(self):
        self.make(left=26 * MIB)
        self.fill_all()
        self.assertGreater(self.budget.limit_bytes, 12 * MIB)
        self.assertLessEqual(self.budget.limit_bytes, 18 * MIB)
        self.assertGreater(self.elastic.refused, 0)
        self.assertIn("--memory-max", str(self.full))
        self.check()
        self.left, self.now = 1 << 30, self.now + 2
        self.fill(100000, 5000)
        self.check()

    def test_the_system_is_asked_at_most_once_a_second(self):
        self.make(left=0)
        self.fill_all()
        for _ in range(20):
            self.assertRaises(GridFullError, self.fill, 200000, 10)
        self.assertEqual(self.looks, 1)
        self.now += 1.5
        self.assertRaises(GridFullError, self.fill, 200000, 10)
        self.assertEqual(self.looks, 2)

    def test_lanes_large_values_and_the_index_make_it_grow_too(self):
        for kind in (LANES, LARGE, INDEX):
            self.make()
            self.budget.take(kind, 20 * MIB)
            self.assertGreaterEqual(self.budget.limit_bytes, 20 * MIB)
            self.assertRaises(GridFullError, self.budget.take, kind, 50 * MIB)
            self.assertEqual(self.budget.used[kind] // MIB, 20)


class ShrinkingTest(ElasticTestCase):
    @slow
    def test_what_was_deleted_goes_back_to_the_system_after_some_quiet(self):
        self.make()
        count = self.fill_all()
        full = blocks_bytes(self.arena.file)
        for number in range(250, count):
            self.space.delete(b"%d" % number)
        self.idle(SHRINK_AFTER_S - 1)
        self.assertEqual(blocks_bytes(self.arena.file), full)
        self.idle(20)
        self.assertLess(blocks_bytes(self.arena.file), 8 * MIB + 1)
        self.assertEqual(self.budget.limit_bytes, 8 * MIB)
        self.assertEqual([self.space.lookup(b"%d" % number).value for number in range(250)], [VALUE] * 250)
        self.check()
        self.assertEqual(self.elastic.sleep_s(self.now), 3600.0)
        self.assertEqual(self.fill_all(), count)  # and it grows again
        self.check()

    @slow
    def test_what_is_left_scattered_is_packed_first(self):
        self.make()
        count = self.fill_all()
        for number in range(count):
            if number % 10:
                self.space.delete(b"%d" % number)
        self.idle(60)
        self.assertLess(blocks_bytes(self.arena.file), 14 * MIB)
        self.assertFalse(self.space.cleaner.compacting)
        self.assertEqual(self.space.key_count, (count + 9) // 10)
        self.check()

    @slow
    def test_a_need_ends_the_shrinking(self):
        self.make()
        count = self.fill_all()
        for number in range(count // 2):
            self.space.delete(b"%d" % number)
        self.idle(SHRINK_AFTER_S + 0.3)
        self.assertGreater(self.elastic.shrunk, 0)
        self.budget.take(LARGE, self.budget.left_bytes(LARGE) + 1)
        shrunk = self.elastic.shrunk
        self.idle(SHRINK_AFTER_S - 1)
        self.assertEqual(self.elastic.shrunk, shrunk)

    @slow
    def test_a_full_grid_does_not_shrink(self):
        self.make()
        count = self.fill_all()
        self.idle(60)
        self.assertEqual(self.budget.limit_bytes // MIB, self.budget.total_bytes // MIB)
        self.assertGreater(self.budget.total_bytes, 60 * MIB)
        self.assertEqual(self.space.key_count, count)

    @slow
    def test_a_backend_that_cannot_give_back_keeps_it(self):
        self.make(backends=(shared_file.FILE,))
        self.fill_all()
        self.space.clear()
        full = blocks_bytes(self.arena.file)
        self.idle(60)
        self.assertEqual((blocks_bytes(self.arena.file), self.elastic.shrunk), (full, 0))
        self.assertRaises(UsageError, self.arena.file.release, 0, 4096)
        self.check()

    def test_expired_records_of_memory_that_is_gone_are_not_looked_at(self):
        self.make()
        for number in range(6000):
            self.space.store(b"%d" % number, 1, VALUE, 10 ** 9 if number < 4000 else 10 ** 6)
        for number in range(4000, 6000):
            self.space.delete(b"%d" % number)
        self.idle(60)
        self.assertGreater(self.elastic.shrunk, 0)
        before = blocks_bytes(self.arena.file)
        self.space.now_ms = 10 ** 7
        while self.space.work():
            continue
        self.assertEqual(blocks_bytes(self.arena.file), before)
        self.check()

    @slow
    def test_random_work_and_rests_keep_the_accounts(self):
        rng = random.Random(7)
        self.make(4 * MIB, 32 * MIB)
        expected = {}
        for _ in range(40):
            for _ in range(300):
                key = b"%d" % rng.randrange(1500)
                if rng.random() < 0.5:
                    value = bytes(rng.choice((10, 1000, 30000, 90000)))
                    try:
                        self.space.store(key, 1, value)
                        expected[key] = value
                    except GridFullError:
                        continue
                elif self.space.delete(key):
                    del expected[key]
            if rng.random() < 0.3:
                for key in list(expected)[::2]:
                    self.space.delete(key)
                    del expected[key]
            self.idle(rng.choice((0, 1, 15)))
            self.check()
        self.assertGreater(self.elastic.shrunk, 10)
        self.assertEqual({key: self.space.lookup(key).value for key in expected}, expected)
        self.assertEqual(self.space.key_count, len(expected))


class ReaderTest(ElasticTestCase):
    def test_readers_see_whole_values_while_memory_is_freed_punched_and_filled_again(self):
        self.make(4 * MIB, 32 * MIB)
        memory_map = shared_file.map_readonly(self.arena.file.reader_fd(), self.header.layout.arena_size_bytes)
        reader = Reader(memoryview(memory_map).cast("Q"), memory_map, self.header)
        keys = [b"%d" % number for number in range(200)]
        wrong, reads, stop = [], [0], threading.Event()

        def read_on():
            while not stop.is_set():
                for key in keys:
                    found = reader.read(key)
                    reads[0] += 1
                    if found is not None and found.value != key * (len(found.value) // len(key)):
                        wrong.append((key, found.value[:20]))

        thread = threading.Thread(target=read_on)
        thread.start()
        try:
            for turn in range(6):
                for key in keys:
                    self.space.store(key, 1, key * (60000 // len(key)))
                for key in keys[turn % 2::2]:
                    self.space.delete(key)
                self.idle(SHRINK_AFTER_S + 2)
        finally:
            stop.set()
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(reads[0], 1000)
        self.assertGreater(self.elastic.shrunk, 6)


class ReleaseTest(unittest.TestCase):
    def make(self, **options):
        file = shared_file.create("test", 8 * MIB, **options)
        self.addCleanup(file.close)
        return file

    def test_a_part_reads_as_zeros_takes_no_memory_and_can_be_reserved_anew(self):
        file = self.make(releasable=True)
        self.assertTrue(file.can_release)
        self.assertTrue(file.size_sealed)
        file.reserve(0, 8 * MIB)
        memory = file.map_writable()
        memory[:] = b"x" * (8 * MIB)
        file.release(MIB, 2 * MIB)
        self.assertEqual(blocks_bytes(file), 6 * MIB)
        self.assertEqual(memory[MIB - 1:MIB + 1] + memory[3 * MIB - 1:3 * MIB + 1], b"x\0\0x")
        file.reserve(0, 8 * MIB)
        self.assertEqual(blocks_bytes(file), 8 * MIB)

    def test_its_readers_cannot_map_it_for_writing(self):
        file = self.make(releasable=True)
        self.assertRaises(Exception, shared_file.map_shared, file.reader_fd(), 8 * MIB)
        self.assertNotEqual(file.reader_fd(), file.fd)

    def test_a_file_that_was_not_made_for_it_refuses(self):
        file = self.make()
        self.assertFalse(file.can_release)
        self.assertRaises(UsageError, file.release, 0, MIB)
        file = self.make(releasable=True)
        self.assertRaises(UsageError, file.release, 100, MIB)

    def test_the_kernel_refuses_what_is_sealed_against_writing(self):
        file = self.make()
        if not file.sealed:
            self.skipTest("this kernel does not seal against writing")
        file.can_release, file.punch = True, shared_file._find_punch()
        file.reserve(0, MIB)
        self.assertRaisesRegex(CoordinatorError, "give shared memory back", file.release, 0, MIB)
        self.assertEqual(blocks_bytes(file), MIB)


if __name__ == "__main__":
    unittest.main()

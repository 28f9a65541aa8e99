"""Segments that readers pin: they rest before they are free, and are not written while anybody uses them."""

import random
import unittest

from nosqgrid.engine.heap import FREE, REST_MS, RESTING, Heap
from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import Layout
from nosqgrid.limits import MIB
from tests.support.keyspaces import Budget, make_keyspace
from tests.support.tiers import slow


class RestingTest(unittest.TestCase):
    def setUp(self):
        self.pinned = set()
        self.rests = 0
        self.heap = Heap(Layout(MIB), Budget())
        self.heap.pins = lambda: set(self.pinned)
        self.heap.rest = self.rest

    def rest(self):
        self.rests += 1

    def fill_and_kill(self):
        """A segment in which nothing lives any more; its number."""
        heap = self.heap
        offset = heap.allocate(heap.writer, 1000)
        segment = heap.segment_of(offset)
        heap.close(heap.writer)
        heap.discard(offset, 1000)
        return segment

    def test_a_dead_segment_rests_before_it_is_free(self):
        self.heap.settle(100)
        segment = self.fill_and_kill()
        self.assertEqual(self.heap.state[segment], RESTING)
        for now_ms in (100, 100 + REST_MS):
            self.heap.settle(now_ms)
            self.assertEqual(self.heap.state[segment], RESTING)
        self.heap.settle(101 + REST_MS)
        self.assertEqual(self.heap.state[segment], FREE)
        self.assertIn(segment, self.heap.free)
        self.heap.check({})

    def test_without_anybody_who_pins_it_is_free_at_once(self):
        self.heap.pins = None
        self.assertEqual(self.heap.state[self.fill_and_kill()], FREE)

    def test_a_pinned_segment_is_free_only_after_the_pin_is_gone(self):
        segment = self.fill_and_kill()
        self.pinned.add(segment)
        self.heap.settle(1000)
        self.heap.settle(2000)
        self.assertEqual((self.heap.state[segment], self.heap.held()), (RESTING, 1))
        self.pinned.clear()
        self.heap.settle(3000)
        self.assertEqual((self.heap.state[segment], self.heap.held()), (FREE, 0))

    def test_a_pin_on_any_part_of_a_run_keeps_the_whole_run(self):
        heap = self.heap
        offset = heap.allocate_large(3 * heap.segment_size_bytes)
        first = heap.segment_of(offset)
        self.pinned.add(first)
        heap.discard(offset, 3 * heap.segment_size_bytes)
        heap.settle(1000)
        self.assertEqual([heap.state[first + i] for i in range(3)], [RESTING] * 3)
        self.pinned.clear()
        heap.settle(2000)
        self.assertEqual([heap.state[first + i] for i in range(3)], [FREE] * 3)

    def test_clearing_everything_keeps_pinned_runs_whole(self):
        heap = self.heap
        offset = heap.allocate_large(3 * heap.segment_size_bytes)
        first = heap.segment_of(offset)
        self.pinned.add(first)
        heap.discard_all()
        heap.settle_now(heap.count)
        self.assertEqual(heap.held(), 3)
        self.assertEqual(len(heap.free), heap.count - 3)
        heap.check({})

    def test_a_writer_that_needs_the_segment_waits_for_its_rest_once(self):
        heap = self.heap
        offsets = []
        while True:
            offset = heap.allocate(heap.writer, 32 * 1024)
            if offset is None:
                break
            offsets.append(offset)
        self.assertEqual(self.rests, 0)
        for offset in offsets[:2]:
            heap.discard(offset, 32 * 1024)
        self.assertIsNotNone(heap.allocate(heap.writer, 32 * 1024))
        self.assertEqual(self.rests, 1)

    def test_a_writer_does_not_wait_for_pins(self):
        heap = self.heap
        offsets = []
        while True:
            offset = heap.allocate(heap.writer, 32 * 1024)
            if offset is None:
                break
            offsets.append(offset)
        segment = heap.segment_of(offsets[0])
        self.pinned.add(segment)
        for offset in offsets[:2]:
            heap.discard(offset, 32 * 1024)
        self.assertIsNone(heap.allocate(heap.writer, 32 * 1024))
        self.assertIsNone(heap.allocate(heap.writer, 32 * 1024))
        self.assertEqual(self.rests, 1)  # for the segment that was not known to be pinned yet
        self.pinned.clear()
        self.assertIsNotNone(heap.allocate(heap.writer, 32 * 1024))

    @slow
    def test_what_is_pinned_never_changes_under_random_work(self):
        for seed in range(5):
            self.check_random_work(random.Random(seed))

    def check_random_work(self, rng):
        keyspace, _ = make_keyspace(MIB)
        heap = keyspace.heap
        pins = {}  # offset -> bytes of the record as they were when it was pinned
        heap.pins = lambda: {heap.segment_of(offset) for offset in pins}
        full = 0
        for step in range(4000):
            keyspace.now_ms += rng.randrange(3)
            key = b"k%d" % rng.randrange(300)
            try:
                keyspace.store(key, 0, rng.getrandbits(8 * 8).to_bytes(8, "little") * rng.randrange(1, 900))
            except GridFullError:
                full += 1
                pins.clear()
            if rng.random() < 0.02:
                found = keyspace._offset_of(key)
                if found:
                    pins[found] = keyspace.arena[found:found + keyspace.size_at(found)]
            if len(pins) > 3:
                del pins[rng.choice(sorted(pins))]
            if rng.random() < 0.2:
                keyspace.delete(b"k%d" % rng.randrange(300))
            if step == 2000:
                keyspace.clear()
            keyspace.work()
            for offset, content in pins.items():
                self.assertEqual(keyspace.arena[offset:offset + len(content)], content)
        keyspace.check()
        self.assertGreater(keyspace.cleaner.segments_cleaned, 5)
        pins.clear()
        keyspace.now_ms += 1000
        keyspace.work()
        keyspace.now_ms += 1000
        keyspace.work()
        self.assertEqual(heap.held(), 0)


if __name__ == "__main__":
    unittest.main()

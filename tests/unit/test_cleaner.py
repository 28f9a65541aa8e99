"""The cleaner: what lives is copied whole, what does not makes room, in slices, and what is staged is left alone."""

import unittest

from nosqgrid.engine.cleaner import PATIENCE_TURNS, SLICE_RECORDS
from nosqgrid.engine.heap import FREE, SEALED
from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import COPIES_BITS
from nosqgrid.formats.slots import OFFSET_MASK
from tests.support.keyspaces import make_keyspace


class CleanerTestCase(unittest.TestCase):
    def setUp(self):
        self.make()

    def make(self, **options):
        self.keyspace, self.header = make_keyspace(**options)
        self.cleaner, self.heap = self.keyspace.cleaner, self.keyspace.heap

    def fill(self, live_every, segments=5, size=100):
        """Fill segments with records of which one in `live_every` lives; {key: (value, version)} of those."""
        expected, number = {}, 0
        while self.heap.opened <= segments:
            key, value = b"key%d" % number, b"%d:" % number + bytes(size)
            version = self.keyspace.store(key, number % 9, value)
            if number % live_every:
                self.keyspace.delete(key)
            else:
                expected[key] = (value, version)
            number += 1
        return expected

    def expect(self, expected):
        self.keyspace.check()
        self.assertEqual(self.keyspace.key_count, len(expected))
        for key, (value, version) in expected.items():
            entry = self.keyspace.lookup(key)
            self.assertEqual((entry.value, entry.version), (value, version))

    def place(self, key):
        """(offset, stamp) of a key's record."""
        _, word = self.keyspace._find(key, self.keyspace.hash_of(key))
        return (word & OFFSET_MASK) << 3, self.keyspace.words[word & OFFSET_MASK]


class CleaningTest(CleanerTestCase):
    def test_a_segment_is_emptied_and_free_and_every_value_and_version_is_what_it_was(self):
        for flags in (0, WEAK_ORDERING):
            self.make(flags=flags)
            expected = self.fill(4)
            free = len(self.heap.free)
            while self.cleaner.segments_cleaned < 4:
                self.assertTrue(self.cleaner.step())
            self.assertGreater(len(self.heap.free), free)
            self.assertGreater(self.cleaner.bytes_moved, 0)
            self.expect(expected)

    def test_a_copy_has_the_version_of_the_original_another_stamp_and_another_place(self):
        expected = self.fill(4)
        before = {key: self.place(key) for key in expected}
        victim = self.heap.cheapest(())
        while self.cleaner.segments_cleaned < 1:
            self.cleaner.step()
        moved = [key for key in expected if self.place(key)[0] != before[key][0]]
        self.assertEqual({self.heap.segment_of(before[key][0]) for key in moved}, {victim})
        for key in moved:
            (_, old), (_, new) = before[key], self.place(key)
            self.assertEqual(new >> COPIES_BITS, old >> COPIES_BITS)
            self.assertNotEqual(new, old)

    def test_a_record_copied_256_times_never_has_a_stamp_twice_in_a_row(self):
        self.keyspace.store(b"staying", 0, b"v")
        stamps = []
        for _ in range(300):
            segment = self.heap.segment_of(self.place(b"staying")[0])
            for region in (self.heap.writer, self.heap.survivors):
                if region.segment == segment:
                    self.heap.close(region)
            cleaned = self.cleaner.segments_cleaned
            while self.cleaner.segments_cleaned == cleaned:
                self.assertTrue(self.cleaner.step())
            stamps.append(self.place(b"staying")[1])
        self.assertEqual(len({stamp >> COPIES_BITS for stamp in stamps}), 1)
        self.assertTrue(all(earlier != later for earlier, later in zip(stamps, stamps[1:])))
        self.expect({b"staying": (b"v", 1)})

    def test_the_original_stays_as_it_was_until_its_segment_is_used_again(self):
        expected = self.fill(4)
        before = {key: self.place(key)[0] for key in expected}
        bytes_before = {key: self.keyspace.arena[at:at + 64] for key, at in before.items()}
        while self.cleaner.segments_cleaned < 1:
            self.cleaner.step()
        for key, at in before.items():
            if self.heap.state[self.heap.segment_of(at)] in (FREE, SEALED):
                self.assertEqual(self.keyspace.arena[at:at + 64], bytes_before[key])

    def test_a_step_looks_at_no_more_records_than_it_was_told(self):
        self.fill(2)
        for count in (1, 10, SLICE_RECORDS):
            moved, position = self.cleaner.bytes_moved, self.cleaner._position
            self.cleaner.step(count)
            self.assertLessEqual(self.cleaner.bytes_moved - moved, count * 136)
            if position and self.cleaner._victim >= 0:
                self.assertLessEqual(self.cleaner._position - position, count * 136)

    def test_records_change_and_die_between_the_slices(self):
        expected = self.fill(2)
        keys = sorted(expected)
        while self.cleaner.segments_cleaned < 3:
            self.assertTrue(self.cleaner.step(20))
            gone, changed = keys.pop(), keys.pop(0)
            self.keyspace.delete(gone)
            del expected[gone]
            expected[changed] = (b"new", self.keyspace.store(changed, 0, b"new"))
        self.expect(expected)

    def test_a_victim_whose_last_record_dies_meanwhile_and_that_is_reused_is_no_trouble(self):
        expected = self.fill(50)
        self.cleaner.step(10)
        for key in expected:
            self.keyspace.delete(key)
        for number in range(3000):
            self.keyspace.store(b"again%d" % (number % 50), 0, bytes(200))
        while self.cleaner.step():
            continue
        self.assertEqual(self.keyspace.key_count, 50)
        self.keyspace.check()

    def test_expired_records_are_dropped_on_the_way(self):
        self.keyspace.now_ms = 1000
        number = 0
        while self.heap.opened <= 2:
            self.keyspace.store(b"k%d" % number, 0, bytes(100), 2000 if number % 2 else 9000)
            number += 1
        self.keyspace.now_ms = 2000  # due, but their bucket as a whole is not yet
        self.assertFalse(self.keyspace.reclaim_expired())
        while self.cleaner.segments_cleaned < 1:
            self.assertTrue(self.cleaner.step())
        self.assertGreater(self.keyspace.expired_count, 100)
        self.keyspace.check()
        self.assertEqual(sum(1 for n in range(number) if self.keyspace.lookup(b"k%d" % n)), -(-number // 2))


class WorthTest(CleanerTestCase):
    def test_there_is_nothing_to_do_in_an_empty_grid_or_one_without_dead_bytes(self):
        self.assertFalse(self.cleaner.step())
        self.assertFalse(self.cleaner.low())
        self.make()
        self.keyspace.store(b"k", 0, b"v")
        self.assertFalse(self.cleaner.worthwhile())

    def test_it_is_low_below_three_free_segments_of_sixteen(self):
        size = self.heap.record_size_bytes_max - 24
        number = 0
        while len(self.heap.free) > 3:
            self.keyspace.store(b"%04d" % number, 0, bytes(size))
            number += 1
        self.assertFalse(self.cleaner.low())
        while len(self.heap.free) == 3:
            self.keyspace.store(b"%04d" % number, 0, bytes(size))
            number += 1
        self.assertTrue(self.cleaner.low())

    def test_a_search_in_vain_is_not_repeated_at_once(self):
        self.assertFalse(self.cleaner.worthwhile())
        self.fill(100)
        turns = 0
        while not self.cleaner.worthwhile():
            turns += 1
            self.assertLessEqual(turns, PATIENCE_TURNS)
        self.assertEqual(turns, PATIENCE_TURNS)

    def test_segments_with_staged_records_are_not_touched(self):
        expected = self.fill(4)
        self.keyspace.begin()
        staged = {}
        for number in range(500):
            key = b"staged%d" % number
            staged[key] = (bytes(300), self.keyspace.store(key, 0, bytes(300)))
        excluded = set(self.cleaner.excluded)
        self.assertGreater(len(excluded), 1)
        while self.cleaner.segments_cleaned < 3 and self.cleaner.step():
            continue
        self.assertTrue(all(self.heap.state[segment] != FREE for segment in excluded))
        self.keyspace.check()
        self.keyspace.commit()
        self.assertEqual(self.cleaner.excluded, set())
        expected.update(staged)
        self.expect(expected)

    def test_clearing_the_grid_forgets_the_victim(self):
        self.fill(2)
        self.cleaner.step(10)
        self.keyspace.clear()
        expected = self.fill(3)
        while self.cleaner.step():
            if self.cleaner.segments_cleaned > 5:
                break
        self.expect(expected)


class FullTest(CleanerTestCase):
    def test_a_full_grid_refuses_changes_nothing_and_has_room_again_after_a_deletion(self):
        expected, number = {}, 0
        while True:
            try:
                version = self.keyspace.store(b"k%d" % number, 0, bytes(5000))
            except GridFullError as error:
                self.assertRegex(str(error), "delete keys|more --memory")
                break
            expected[b"k%d" % number] = (bytes(5000), version)
            number += 1
        self.assertGreater(number * 5000, 0.85 * self.heap.count * self.heap.segment_size_bytes)
        self.expect(expected)
        for doomed in range(0, number, 5):
            self.keyspace.delete(b"k%d" % doomed)
            del expected[b"k%d" % doomed]
        for fresh in range(number // 5 - 2 * self.heap.segment_size_bytes // 5000):
            expected[b"fresh%d" % fresh] = (bytes(5000), self.keyspace.store(b"fresh%d" % fresh, 0, bytes(5000)))
        self.expect(expected)

    def test_overwriting_one_key_for_ever_never_fills_the_grid(self):
        for size in (10, 3000, 60000, 200000):
            self.make()
            for number in range(300 if size > 3000 else 3000):
                version = self.keyspace.store(b"k", 0, bytes(size))
            self.expect({b"k": (bytes(size), version)})

    def test_a_refused_overwrite_keeps_the_old_value(self):
        version = self.keyspace.store(b"old", 0, b"kept")
        with self.assertRaises(GridFullError):
            for number in range(1000):
                self.keyspace.store(b"fill%d" % number, 0, bytes(20000))
        with self.assertRaises(GridFullError):
            self.keyspace.store(b"old", 0, bytes(200000))
        self.assertEqual(self.keyspace.lookup(b"old")[1:], (b"kept", 0, version))
        self.keyspace.check()

    def test_a_refused_batch_is_rolled_back_with_its_accounts(self):
        kept = {}
        for number in range(20):
            kept[b"k%d" % number] = (bytes(20000), self.keyspace.store(b"k%d" % number, 0, bytes(20000)))
        live = self.heap.live_bytes()
        for _ in range(5):
            self.keyspace.begin()
            with self.assertRaises(GridFullError):
                for number in range(100):
                    self.keyspace.store(b"staged%d" % number, 0, bytes(20000))
            self.keyspace.rollback()
            self.assertEqual(self.heap.live_bytes(), live)
            self.expect(kept)
        self.keyspace.store(b"after", 0, bytes(20000))
        self.keyspace.check()


if __name__ == "__main__":
    unittest.main()

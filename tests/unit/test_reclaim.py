"""Which records are due when: buckets at their edges, entries of records that are gone, and reclaiming them all."""

import random
import unittest

from nosqgrid.engine.expiry import BUCKET_BITS, SLACK_ENTRIES, Expiry
from nosqgrid.engine.reclaim import RECLAIM_SLICE
from nosqgrid.errors import InvariantError
from nosqgrid.limits import TTL_MS_MAX
from tests.support.keyspaces import make_keyspace

BUCKET_MS = 1 << BUCKET_BITS


class BucketTest(unittest.TestCase):
    def setUp(self):
        self.expiry = Expiry()

    def test_nothing_is_due_where_nothing_expires(self):
        self.assertIsNone(self.expiry.next_deadline_ms())
        self.assertEqual(tuple(self.expiry.take_due(1 << 60, 10)), ())
        self.assertFalse(self.expiry.overgrown(0))

    def test_a_bucket_is_due_when_the_last_deadline_in_it_has_passed(self):
        self.expiry.add(5 * BUCKET_MS, 1)
        self.expiry.add(6 * BUCKET_MS - 1, 2)
        self.expiry.add(6 * BUCKET_MS, 3)
        self.assertEqual(self.expiry.next_deadline_ms(), 6 * BUCKET_MS)
        self.assertEqual(tuple(self.expiry.take_due(6 * BUCKET_MS - 1, 10)), ())
        self.assertEqual(sorted(self.expiry.take_due(6 * BUCKET_MS, 10)), [1, 2])
        self.assertEqual(tuple(self.expiry.take_due(6 * BUCKET_MS, 10)), ())
        self.assertEqual(list(self.expiry.take_due(7 * BUCKET_MS, 10)), [3])
        self.assertEqual(self.expiry.entries, 0)

    def test_no_more_are_taken_than_asked_for(self):
        for unit in range(25):
            self.expiry.add(1, unit)
        taken = [list(self.expiry.take_due(1000, 10)) for _ in range(4)]
        self.assertEqual([len(units) for units in taken], [10, 10, 5, 0])
        self.assertEqual(sorted(sum(taken, [])), list(range(25)))

    def test_earlier_buckets_come_first_whatever_the_order_of_adding(self):
        deadlines = list(range(0, 100 * BUCKET_MS, 37))
        random.Random(1).shuffle(deadlines)
        for deadline_ms in deadlines:
            self.expiry.add(deadline_ms, deadline_ms)
        taken = []
        while self.expiry.entries:
            taken.extend(unit >> BUCKET_BITS for unit in self.expiry.take_due(1 << 60, 3))
        self.assertEqual(taken, sorted(taken))
        self.assertEqual(len(taken), len(deadlines))

    def test_the_longest_deadline_and_the_largest_offset_fit(self):
        self.expiry.add(TTL_MS_MAX, 0xFFFFFFFF)
        self.assertEqual(list(self.expiry.take_due(TTL_MS_MAX + BUCKET_MS, 1)), [0xFFFFFFFF])

    def test_it_is_overgrown_by_more_than_the_slack_only(self):
        for unit in range(SLACK_ENTRIES + 20):
            self.expiry.add(1, unit)
        self.assertFalse(self.expiry.overgrown(10))
        self.assertTrue(self.expiry.overgrown(9))

    def test_compacting_drops_the_entries_that_are_denied_and_repetitions_bucket_by_bucket(self):
        for unit in range(100):
            for _ in range(2):
                self.expiry.add(unit % 4 * BUCKET_MS, unit)
        asked = []

        def is_live(unit, first_ms, end_ms):
            asked.append((first_ms, end_ms))
            return unit < 50

        sizes = []
        self.expiry.compact(is_live)
        while self.expiry.overgrown(1000):
            sizes.append(self.expiry.entries)
            self.expiry.compact(is_live)
        self.assertEqual(len(sizes), 3)
        self.assertEqual(self.expiry.entries, 50)
        self.assertEqual(set(asked), {(n * BUCKET_MS, (n + 1) * BUCKET_MS) for n in range(4)})
        self.assertEqual(sorted(unit for _ in range(10) for unit in self.expiry.take_due(1 << 60, 100)),
                         list(range(50)))

    def test_a_bucket_taken_while_it_waits_to_be_compacted_does_no_harm(self):
        for unit in range(10):
            self.expiry.add(unit * BUCKET_MS, unit)
        self.expiry.compact(lambda *_: True)
        for _ in range(10):
            self.expiry.take_due(1 << 60, 10)
        while self.expiry.overgrown(0):
            self.expiry.compact(lambda *_: True)
        self.assertEqual(self.expiry.entries, 0)

    def test_clear_forgets_all(self):
        self.expiry.add(1, 1)
        self.expiry.clear()
        self.assertEqual((self.expiry.entries, self.expiry.next_deadline_ms()), (0, None))


class ReclaimTest(unittest.TestCase):
    def setUp(self):
        self.keyspace, _ = make_keyspace()
        self.keyspace.now_ms = 10000

    def reclaim_all(self):
        while self.keyspace.reclaim_expired():
            continue
        self.keyspace.check()

    def test_a_key_is_there_before_its_deadline_and_not_at_it(self):
        self.keyspace.store(b"k", 0, b"v", 10500)
        for now_ms, there in ((10499, True), (10500, False), (10501, False)):
            self.keyspace.now_ms = now_ms
            self.assertEqual(self.keyspace.lookup(b"k") is not None, there)
            self.assertEqual(self.keyspace.scan(0, 10)[1], [b"k"] if there else [])
        self.assertFalse(self.keyspace.delete(b"k"))
        self.keyspace.check()

    def test_what_expired_is_reclaimed_in_slices_and_nothing_else_is(self):
        for number in range(600):
            self.keyspace.store(b"soon%d" % number, 0, b"v", 10500)
        for number in range(100):
            self.keyspace.store(b"late%d" % number, 0, b"v", 99999)
            self.keyspace.store(b"ever%d" % number, 0, b"v")
        self.assertEqual(self.keyspace.expiring, 700)
        self.keyspace.now_ms = 11000
        self.assertTrue(self.keyspace.reclaim_expired())
        self.assertEqual(self.keyspace.expired_count, RECLAIM_SLICE)
        self.reclaim_all()
        self.assertEqual((self.keyspace.expired_count, self.keyspace.expiring), (600, 100))
        self.assertEqual(self.keyspace.key_count, 200)

    def test_keys_replaced_deleted_extended_or_made_to_stay_are_left_alone(self):
        for name in (b"replaced", b"deleted", b"extended", b"persisted"):
            self.keyspace.store(name, 0, b"old", 10500)
        self.keyspace.store(b"replaced", 0, b"new")
        self.keyspace.delete(b"deleted")
        self.keyspace.set_deadline(b"extended", 20000)
        self.keyspace.set_deadline(b"persisted", 0)
        self.keyspace.now_ms = 15000
        self.reclaim_all()
        self.assertEqual(self.keyspace.expired_count, 0)
        self.assertEqual(self.keyspace.lookup(b"replaced").value, b"new")
        self.assertEqual(self.keyspace.lookup(b"extended").deadline_ms, 20000)
        self.assertEqual(self.keyspace.lookup(b"persisted").deadline_ms, 0)

    def test_records_that_the_cleaner_moved_are_reclaimed_where_they_are_now(self):
        for number in range(2000):
            self.keyspace.store(b"ttl%d" % number, 0, bytes(100), 10500)
            self.keyspace.store(b"dead", 0, bytes(200))
        while self.keyspace.cleaner.segments_cleaned < 4:
            self.assertTrue(self.keyspace.cleaner.step())
        self.assertGreater(self.keyspace.cleaner.bytes_moved, 0)
        self.keyspace.now_ms = 11000
        self.reclaim_all()
        self.assertEqual((self.keyspace.expired_count, self.keyspace.key_count), (2000, 1))

    def test_overwriting_keys_with_deadlines_for_ever_does_not_pile_up_entries(self):
        for number in range(3 * SLACK_ENTRIES):
            self.keyspace.store(b"k%d" % (number % 10), 0, b"v", 10 ** 6 + number)
            self.keyspace.work()
        self.assertLess(self.keyspace.expiry.entries, SLACK_ENTRIES + 100)
        self.assertEqual(self.keyspace.expiring, 10)
        self.keyspace.check()

    def test_the_account_of_expiring_records_is_checked(self):
        self.keyspace.store(b"k", 0, b"v", 10500)
        self.keyspace.expiring += 1
        with self.assertRaisesRegex(InvariantError, "1 records expire, 2 counted"):
            self.keyspace.check()

    def test_room_is_made_of_expired_records_before_the_grid_is_full(self):
        for number in range(7):
            self.keyspace.store(b"ttl%d" % number, 0, bytes(100000), 10500)
        self.keyspace.now_ms = 11000
        for number in range(7):
            self.keyspace.store(b"new%d" % number, 0, bytes(100000))
        self.keyspace.check()


if __name__ == "__main__":
    unittest.main()

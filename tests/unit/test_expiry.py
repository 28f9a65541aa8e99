"""Which records expire when: hints in buckets, never early, never lost, compacted when they outnumber the records."""

import random
import unittest

from nosqgrid.engine.expiry import BUCKET_BITS, SLACK_ENTRIES, Expiry
from tests.support.keyspaces import make_keyspace

BUCKET_MS = 1 << BUCKET_BITS


class ExpiryTest(unittest.TestCase):
    def test_nothing_is_due_before_its_whole_bucket_is(self):
        expiry = Expiry()
        self.assertIsNone(expiry.next_deadline_ms())
        expiry.add(1000, 7)
        due_ms = expiry.next_deadline_ms()
        self.assertTrue(1000 < due_ms <= 1000 + BUCKET_MS)
        self.assertEqual(list(expiry.take_due(due_ms - 1, 10)), [])
        self.assertEqual(list(expiry.take_due(due_ms, 10)), [7])
        self.assertEqual(expiry.entries, 0)
        self.assertIsNone(expiry.next_deadline_ms())

    def test_everything_comes_out_once_the_earliest_bucket_first_a_slice_at_a_time(self):
        rng, expiry, added = random.Random(1), Expiry(), {}
        for units in range(3000):
            added[units] = rng.randrange(1, 20000)
            expiry.add(added[units], units)
        taken, last = [], -1
        while True:
            some = list(expiry.take_due(10 ** 9, 64))
            if not some:
                break
            self.assertLessEqual(len(some), 64)
            buckets = {added[units] >> BUCKET_BITS for units in some}
            self.assertEqual(len(buckets), 1)
            self.assertGreaterEqual(min(buckets), last)
            last = max(buckets)
            taken += some
        self.assertEqual(sorted(taken), sorted(added))
        self.assertEqual(expiry.entries, 0)

    def test_the_largest_deadline_and_offset_fit(self):
        expiry = Expiry()
        expiry.add(2 ** 63 - 1, 2 ** 32 - 1)
        self.assertEqual(list(expiry.take_due(2 ** 63 + BUCKET_MS, 1)), [2 ** 32 - 1])

    def test_compacting_keeps_what_lives_and_only_that(self):
        expiry = Expiry()
        for units in range(SLACK_ENTRIES + 1000):
            expiry.add(1000 + units % 500, units)
        self.assertTrue(expiry.overgrown(10))
        while expiry.overgrown(10):
            expiry.compact(lambda units, first_ms, end_ms: units < 10 and first_ms <= 1000 + units < end_ms)
        self.assertEqual(expiry.entries, 10)
        self.assertEqual(sorted(expiry.take_due(10 ** 9, 100)), list(range(10)))

    def test_clear(self):
        expiry = Expiry()
        expiry.add(1000, 7)
        expiry.clear()
        self.assertEqual((expiry.entries, list(expiry.take_due(10 ** 9, 10))), (0, []))


class KeyspaceTest(unittest.TestCase):
    def test_gone_exactly_at_the_deadline_whenever_its_space_is_reclaimed(self):
        space, _ = make_keyspace()
        space.store(b"k", 0, b"v", 1000)
        for now_ms, there in ((999, True), (1000, False), (1001, False)):
            space.now_ms = now_ms
            self.assertEqual(space.lookup(b"k") is not None, there)
        self.assertEqual(space.key_count, 1)
        self.assertFalse(space.set_deadline(b"k", 5000))
        self.assertFalse(space.delete(b"k"))  # it was not there, for everybody who can ask
        space.check()

    def test_reclaimed_without_being_asked_for(self):
        space, _ = make_keyspace()
        for number in range(1000):
            space.store(b"k%d" % number, 0, b"v", 1000 + number)
        space.now_ms = 1500
        while space.reclaim_expired():
            space.check()
        self.assertTrue(500 <= space.key_count <= 500 + 2 * BUCKET_MS)
        space.now_ms = 5000
        while space.reclaim_expired():
            continue
        self.assertEqual((space.key_count, space.expiring, space.expired_count), (0, 0, 1000))
        space.check()

    def test_a_record_that_was_replaced_persisted_or_postponed_stays(self):
        space, _ = make_keyspace()
        for key in (b"replaced", b"persisted", b"postponed", b"deleted"):
            space.store(key, 0, b"old", 1000)
        space.store(b"replaced", 0, b"new")
        space.set_deadline(b"persisted", 0)
        space.set_deadline(b"postponed", 50000)
        space.delete(b"deleted")
        space.now_ms = 10000
        while space.reclaim_expired():
            continue
        self.assertEqual([space.lookup(key) and space.lookup(key).value
                          for key in (b"replaced", b"persisted", b"postponed", b"deleted")],
                         [b"new", b"old", b"old", None])
        self.assertEqual(space.expiring, 1)
        space.check()

    def test_entries_do_not_pile_up_where_a_key_is_overwritten_again_and_again(self):
        space, _ = make_keyspace()
        for number in range(20000):
            space.store(b"k%d" % (number % 10), 0, b"v", 10 ** 6 + number * 10)
            if number % 100 == 0:
                while space.work():
                    continue
        self.assertLess(space.expiry.entries, SLACK_ENTRIES + 500)
        space.check()


if __name__ == "__main__":
    unittest.main()

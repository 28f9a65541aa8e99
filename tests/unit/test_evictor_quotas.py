"""Quotas of groups of keys: who stays within them, who goes, who is refused."""

import unittest

from nosqgrid.errors import GridFullError, UsageError
from nosqgrid.formats.arena import WEAK_ORDERING
from tests.support.evicting import EvictingGrid
from tests.support.tiers import slow

KIB, MIB = 1024, 1024 * 1024


def keys(prefix, count, first=0):
    return [b"%s%d" % (prefix, number) for number in range(first, first + count)]


class QuotaTest(unittest.TestCase):
    @slow
    def test_a_group_ends_within_its_quota_and_only_its_keys_go(self):
        for grid_policy in ("lfu", "lru", "refuse"):
            for policy in ("lfu", "lru"):
                grid = EvictingGrid(grid_policy, 4 * MIB)
                grid.evictor.set_quota(b"a:", 100000, policy)
                grid.fill(keys(b"b", 1000), bytes(400))
                grid.fill(keys(b"a:", 1000), bytes(400))
                grid.fill(keys(b"a:", 1000, 5000), bytes(400), hot=False)
                grid.rest()
                grid.check()
                self.assertLessEqual(grid.held(b"a:"), 100000)
                self.assertGreater(grid.held(b"a:"), 98000)
                self.assertTrue(all(grid.value(key) is not None for key in keys(b"b", 1000)))
                self.assertEqual(grid.evictor.evicted["quota"], grid.evicted)

    def test_keys_that_were_there_before_are_taken_over(self):
        for grid_policy in ("lfu", "refuse"):
            grid = EvictingGrid(grid_policy, 4 * MIB)
            grid.fill(keys(b"a:", 2000), bytes(400))
            grid.fill(keys(b"b", 100), bytes(400))
            grid.evictor.set_quota(b"a:", 100000, "lru")
            grid.rest()
            grid.check()
            self.assertLessEqual(grid.held(b"a:"), 100000)
            self.assertGreater(grid.held(b"a:"), 98000)
            self.assertTrue(all(grid.value(key) is not None for key in keys(b"b", 100)))
            rows = dict(grid.evictor.stats())
            self.assertEqual(rows["map_a_bytes"], grid.held(b"a:"))
            self.assertEqual((rows["map_a_quota_bytes"], rows["evicted_for_quota"]), (100000, grid.evicted))

    def test_a_quota_that_is_changed_and_removed(self):
        grid = EvictingGrid("lru", 4 * MIB)
        grid.evictor.set_quota(b"a:", 300000, "lru")
        grid.fill(keys(b"a:", 1000), bytes(400))
        grid.evictor.set_quota(b"a:", 100000, "lru")
        grid.rest()
        self.assertLessEqual(grid.held(b"a:"), 100000)
        grid.evictor.set_quota(b"a:", 200000, "lfu")
        grid.fill(keys(b"a:", 1000, 2000), bytes(400))
        grid.rest()
        grid.check()
        self.assertLessEqual(grid.held(b"a:"), 200000)
        self.assertGreater(grid.held(b"a:"), 190000)
        before = grid.evicted
        grid.evictor.set_quota(b"a:", 0, "")
        grid.fill(keys(b"a:", 1000, 4000), bytes(400))
        grid.rest()
        grid.check()
        self.assertEqual(grid.evicted, before)
        self.assertGreater(grid.held(b"a:"), 500000)
        self.assertEqual(grid.evictor._main.count, grid.space.key_count)
        self.assertNotIn("map_a_bytes", dict(grid.evictor.stats()))

    def test_a_quota_survives_a_clear(self):
        grid = EvictingGrid("lfu", 4 * MIB)
        grid.evictor.set_quota(b"a:", 100000, "lru")
        grid.fill(keys(b"a:", 500), bytes(400))
        grid.clear()
        grid.check()
        grid.fill(keys(b"a:", 500), bytes(400))
        grid.rest()
        grid.check()
        self.assertLessEqual(grid.held(b"a:"), 100000)

    def test_taking_away_what_is_not_there_changes_nothing(self):
        grid = EvictingGrid("refuse", MIB)
        grid.evictor.set_quota(b"a:", 0, "lru")
        self.assertFalse(grid.evictor.tracking)

    def test_too_many_quotas_are_refused_and_leave_those_that_are_there(self):
        grid = EvictingGrid("lfu", MIB)
        with self.assertRaisesRegex(UsageError, "no more"):
            for number in range(300):
                grid.evictor.set_quota(b"%d:" % number, 100000, "lfu")
        rows = dict(grid.evictor.stats())
        count = len([name for name in rows if name.endswith("_quota_bytes")])
        grid.evictor.set_quota(b"0:", 100000, "lru")
        grid.evictor.set_quota(b"1:", 0, "lru")
        grid.evictor.set_quota(b"new:", 1000, "lfu")
        self.assertEqual(count, len([name for name in dict(grid.evictor.stats()) if name.endswith("_quota_bytes")]))
        grid.fill(keys(b"0:", 500), bytes(400))
        grid.check()
        with self.assertRaisesRegex(UsageError, "no policy is called"):
            grid.evictor.set_quota(b"0:", 1000, "fifo")


class Log(object):
    """In the place of a log: counts."""

    def __init__(self):
        self.count = 0

    def append(self, first_lsn, count, payload):
        if first_lsn != self.count + 1:
            raise AssertionError("position %d after %d" % (first_lsn, self.count))
        self.count += count


class RefusingQuotaTest(unittest.TestCase):
    def make(self, grid_policy="lfu", **options):
        grid = EvictingGrid(grid_policy, 4 * MIB, **options)
        grid.evictor.set_quota(b"a:", 100000, "refuse")
        return grid

    @slow
    def test_sets_beyond_it_are_refused_on_both_paths_and_change_nothing(self):
        for grid_policy in ("lfu", "refuse"):
            for hot in (True, False):
                grid = self.make(grid_policy)
                with self.assertRaisesRegex(GridFullError, "keys a:\\* hold 99\\d\\d\\d bytes of a quota of 100000"):
                    for key in keys(b"a:", 1000):
                        grid.apply([(b"x" + key, bytes(10), 0), (key, bytes(400), 0)], hot)
                        count = len(grid.keys())
                grid.model[b"x" + key] = bytes(10), 0  # in front of the one that was refused
                grid.check()
                self.assertEqual((len(grid.keys()), grid.evicted), (count + 1, 0))
                self.assertLessEqual(grid.held(b"a:"), 100000)
                grid.fill(keys(b"b", 500), bytes(400))
                grid.check()

    def test_a_record_is_replaced_by_one_that_takes_no_more(self):
        grid = self.make()
        self.fill_up(grid)
        grid.apply([(b"a:0", b"x" * 400, 0)])
        self.assertEqual(grid.value(b"a:0"), b"x" * 400)
        grid.apply([(b"a:1", b"", 0)])
        grid.apply([(b"a:new", bytes(300), 0)])
        with self.assertRaises(GridFullError):
            grid.space.store(b"a:0", 0, bytes(1000))
        grid.check()
        self.assertLessEqual(grid.held(b"a:"), 100000)

    def fill_up(self, grid):
        with self.assertRaises(GridFullError):
            for key in keys(b"a:", 1000):
                grid.apply([(key, bytes(400), 0)])

    def test_a_batch_is_held_to_it_too(self):
        grid = self.make()
        grid.space.begin()
        with self.assertRaises(GridFullError):
            for key in keys(b"a:", 1000):
                grid.space.store(key, 0, bytes(400))
        grid.space.rollback()
        self.assertEqual(grid.held(b"a:"), 0)
        for _ in range(3):
            grid.space.begin()
            for key in keys(b"a:", 200) * 2:
                grid.set(key, bytes(400))
            grid.space.commit()
        grid.check()
        self.assertEqual(len(grid.keys()), 200)

    def test_it_is_kept_with_checksums(self):
        grid = self.make(flags=WEAK_ORDERING)
        self.fill_up(grid)
        self.assertLessEqual(grid.held(b"a:"), 100000)
        grid.check()

    def test_it_is_kept_where_sets_are_logged(self):
        for flags in (0, WEAK_ORDERING):
            grid = self.make(flags=flags)
            log = Log()
            grid.space.set_log(log)
            self.fill_up(grid)
            self.assertLessEqual(grid.held(b"a:"), 100000)
            self.assertEqual(log.count, grid.space.key_count)
            grid.check()

    def test_a_large_value_counts(self):
        grid = self.make(large=True)
        with self.assertRaises(GridFullError):
            grid.space.store(b"a:l", 0, bytes(200000))
        grid.set(b"b:l", bytes(200000))
        grid.check()
        self.assertEqual(grid.large_bytes, 200000 + grid.space.larges.stats()[4][1] + 0)
        grid.evictor.set_quota(b"a:", 500000, "lru")
        for number in range(5):
            grid.set(b"a:%d" % number, bytes(200000))
        grid.rest()
        grid.check()
        self.assertEqual(grid.keys(), {b"a:3", b"a:4", b"b:l"})


if __name__ == "__main__":
    unittest.main()

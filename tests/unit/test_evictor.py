"""Eviction in a real keyspace: what goes, what stays, and that everything still fits together."""

import unittest
import unittest.mock

from nosqgrid.engine.evictor import LIVE_MAX, TRACK_FROM
from nosqgrid.engine.loading import Loader
from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import COPIES_BITS, STAMP, pack_body
from nosqgrid.formats.slots import FIRST_REAL
from tests.support.evicting import EvictingGrid
from tests.support.tiers import FULL, slow

KIB, MIB = 1024, 1024 * 1024


def keys(prefix, count, first=0):
    return [b"%s%d" % (prefix, number) for number in range(first, first + count)]


class AgainstModelTest(unittest.TestCase):
    """Everything at once, against a dict."""

    def run_commands(self, policy, seed, steps, memory_bytes=MIB, hot=True, **options):
        grid = EvictingGrid(policy, memory_bytes, seed, **options)
        rng = grid.random
        sizes = (0, 3, 10, 100, 100, 1000, 1000, 10000, 60000)
        for step in range(steps):
            action = rng.random()
            key = b"key:%d" % rng.randrange(4000)
            if action < 0.6:
                grid.apply([(b"%skey:%d" % (rng.choice((b"", b"a:", b"b:")), rng.randrange(4000)),
                             bytes(rng.choice(sizes)),
                             grid.space.now_ms + rng.randrange(1, 3000) if rng.random() < 0.1 else 0)
                            for _ in range(rng.randrange(1, 40))], hot and rng.random() < 0.8)
            elif action < 0.7:
                grid.delete(key)
            elif action < 0.8:
                grid.read(key)
            elif action < 0.85:
                self.batch(grid, rng, sizes)
            elif action < 0.86:
                grid.evictor.set_quota(rng.choice((b"a:", b"b:")), rng.choice((0, 20000, 200000, 1 << 30)),
                                       rng.choice(("lru", "lfu", "")))
            elif action < 0.861 or step == steps // 2:
                grid.clear()
            elif action < 0.9:
                grid.space.index.start_growth(rng.randrange(10000))
            grid.turn(rng.randrange(3))
            if rng.random() < 0.02:
                grid.space.now_ms += 1000
            if step % 100 == 99:
                grid.check()
        grid.rest()
        grid.check()
        return grid

    def batch(self, grid, rng, sizes):
        grid.space.begin()
        before = dict(grid.model)
        for _ in range(rng.randrange(1, 10)):
            key = b"key:%d" % rng.randrange(4000)
            if rng.random() < 0.2:
                grid.delete(key)
            else:
                grid.set(key, bytes(rng.choice(sizes)) + b"batch")
        if rng.random() < 0.5:
            grid.space.rollback()
            grid.model = before
        else:
            grid.space.commit()

    @slow
    def test_random_commands(self):
        for policy in ("lfu", "lru"):
            for seed in range(8 if FULL else 2):
                grid = self.run_commands(policy, seed, 600)
                self.assertGreater(grid.evicted, 100, (policy, seed))

    @slow
    def test_random_commands_with_large_values(self):
        for policy in ("lfu", "lru"):
            grid = self.run_commands(policy, 11, 400, large=True)
            self.assertGreater(grid.evicted, 50)

    @slow
    def test_random_commands_with_checksums(self):
        grid = self.run_commands("lfu", 12, 300, flags=WEAK_ORDERING)
        self.assertGreater(grid.evicted, 50)

    @slow
    def test_hot_and_plain_path_lead_to_the_same(self):
        for policy in ("lfu", "lru"):
            found = []
            for hot in (True, False):
                grid = EvictingGrid(policy, MIB, 3)
                grid.fill(keys(b"k", 12000), bytes(150), hot=hot)
                for key in keys(b"k", 100, 11000):
                    grid.read(key)
                grid.fill(keys(b"l", 3000), bytes(150), hot=hot)
                grid.rest()
                grid.check()
                found.append((grid.keys(), grid.evicted, grid.space.version))
            self.assertEqual(found[0], found[1])


class RoomTest(unittest.TestCase):
    @slow
    def test_nothing_is_refused_whatever_the_sizes(self):
        for policy in ("lfu", "lru"):
            for memory_mib in (1, 4) + ((16, 64) if FULL else ()):
                for size in (10, 1000, 10000, 60000):
                    grid = EvictingGrid(policy, memory_mib * MIB)
                    count = min(2 * memory_mib * MIB // (size + 40), 200000 if FULL else 20000)
                    grid.fill(keys(b"k", count), bytes(size))
                    grid.rest()
                    grid.check()
                    self.assertLessEqual(grid.space.heap.live_bytes(), LIVE_MAX * grid.heap_bytes)
                    if size > 10:
                        self.assertGreater(grid.space.heap.live_bytes(), 0.65 * grid.heap_bytes, (memory_mib, size))
                        self.assertGreater(grid.evicted, 0)

    @slow
    def test_nothing_is_refused_of_mixed_sizes(self):
        grid = EvictingGrid("lfu", 4 * MIB, 5)
        for number in range(6000):
            grid.set(b"k%d" % number, bytes(grid.random.choice((10, 100, 1000, 10000, 100000))
                                            if number % 10 == 0 else 10 + number % 500))
            if number % 20 == 0:
                grid.turn(2)
                self.assertLess(grid.space.heap.live_bytes(), (LIVE_MAX + 0.1) * grid.heap_bytes)
        grid.rest()
        grid.check()
        self.assertGreater(grid.evicted, 100)

    @slow
    def test_tiny_records_fill_the_index_first(self):
        for policy in ("lfu", "lru") if FULL else ("lru",):
            grid = EvictingGrid(policy, MIB)
            grid.fill(keys(b"k", 40000), b"")
            grid.check()
            slots = grid.space.index.table.slots
            self.assertEqual(slots, grid.space.index.layout.slots_max)
            self.assertGreater(grid.evicted, 10000)
            self.assertGreater(grid.space.key_count, slots * 0.5)

    @slow
    def test_an_index_that_is_filled_between_two_turns(self):
        grid = EvictingGrid("lru", MIB)
        for first in range(0, 60000, 10000):
            grid.apply([(key, b"", 0) for key in keys(b"k", 10000, first)])
        grid.check()
        self.assertGreater(grid.evicted, 10000)
        self.assertIsNotNone(grid.value(b"k59999"))

    @slow
    def test_a_loop_that_never_finds_time_beside_the_commands(self):
        for policy in ("lfu", "lru"):
            grid = EvictingGrid(policy, MIB)
            grid.fill(keys(b"k", 6000), bytes(400), turns=0)
            grid.check()
            self.assertGreater(grid.space.key_count, 1000)
            self.assertIsNotNone(grid.value(b"k5999"))

    def test_nothing_goes_before_the_limit(self):
        for policy in ("lfu", "lru"):
            grid = EvictingGrid(policy, 4 * MIB)
            grid.fill(keys(b"k", int(LIVE_MAX * 0.98 * grid.heap_bytes) // 1032), bytes(1000))
            grid.rest()
            self.assertEqual(grid.evicted, 0)
            self.assertEqual(grid.keys(), set(grid.model))
            self.assertTrue(grid.evictor.tracking)

    def test_no_order_is_kept_while_there_is_much_room(self):
        grid = EvictingGrid("lfu", 4 * MIB)
        grid.fill(keys(b"k", int((TRACK_FROM - 0.1) * grid.heap_bytes) // 1032), bytes(1000))
        grid.rest()
        self.assertFalse(grid.evictor.tracking)
        self.assertIsNone(grid.evictor.lists)
        grid.fill(keys(b"l", int(0.15 * grid.heap_bytes) // 1032), bytes(1000))
        grid.rest()
        self.assertTrue(grid.evictor.tracking)
        self.assertEqual(grid.evictor._main.count, grid.space.key_count)

    def test_a_grid_that_refuses_keeps_all_and_says_what_its_policy_is(self):
        grid = EvictingGrid("refuse", MIB)
        with self.assertRaisesRegex(GridFullError, "its policy is to refuse"):
            grid.fill(keys(b"k", 6000), bytes(400))
        self.assertEqual((grid.evicted, grid.evictor.tracking), (0, False))
        grid.space.check()

    @slow
    def test_what_was_there_before_is_taken_over_while_the_index_grows(self):
        grid = EvictingGrid("lru", 4 * MIB)
        grid.apply([(key, bytes(200), 0) for key in keys(b"k", 14000)])
        grid.turn()
        self.assertTrue(grid.evictor.tracking)
        self.assertLess(grid.evictor._main.count, 14000)
        grid.space.index.start_growth(40000)
        while grid.evictor._adopting is not None:
            grid.turn()
            grid.evictor.check()
        grid.rest()
        grid.check()
        self.assertEqual(grid.evictor._main.count, grid.space.key_count)

    @slow
    def test_taking_over_goes_on_where_it_was_when_the_index_was_rebuilt(self):
        grid = EvictingGrid("lru", 4 * MIB)
        grid.apply([(key, bytes(200), 0) for key in keys(b"k", 14000)])
        grid.turn(20)
        for _ in range(30):
            grid.turn(10)  # a sixth of the slots
            grid.space.index.start_growth(16000)
            grid.space.index.finish_growth()
            grid.evictor.check()
        self.assertIsNone(grid.evictor._adopting)
        self.assertEqual(grid.evictor._main.count, grid.space.key_count)

    @slow
    def test_what_is_evicted_is_spread_over_the_index(self):
        # Else the part that is left is crowded, and in its order new keys come to lie there, too.
        grid = EvictingGrid("lfu", 4 * MIB)
        index = grid.space.index
        index.may_grow = lambda slots, size_bytes: slots <= 32768
        grid.fill(keys(b"k", 36000), b"v" * 40)
        self.assertGreater(grid.evicted, 10000)
        share = index.table.slots >> 4
        parts = [sum(grid.space.words[slot] >= FIRST_REAL for slot in range(first, first + share))
                 for first in range(index.table.base, index.table.base + index.table.slots, share)]
        self.assertFalse(index.migrating)
        self.assertLess(max(parts), 1.4 * min(parts))

    def test_room_is_made_though_nothing_was_taken_over_yet(self):
        grid = EvictingGrid("lru", MIB)
        grid.apply([(key, bytes(1000), 0) for key in keys(b"k", 880)])
        self.assertFalse(grid.evictor.tracking)
        grid.space.index.start_growth(30000)
        while not grid.space.index.migrating:
            grid.space.index.step(1)
        grid.apply([(key, bytes(1000), 0) for key in keys(b"l", 500)], hot=False)
        self.assertGreater(grid.evicted, 100)
        grid.check()

    def test_it_comes_to_rest_when_the_rest_is_not_to_be_had(self):
        grid = EvictingGrid("lru", MIB)
        grid.evictor.set_quota(b"a:", 10 * MIB, "refuse")
        grid.apply([(key, bytes(1000), 0) for key in keys(b"a:", 940)])
        grid.rest(10000)
        self.assertEqual(grid.evicted, 0)
        grid.check()

    @slow
    def test_groups_make_room_where_there_is_nothing_else(self):
        grid = EvictingGrid("lru", MIB)
        grid.evictor.set_quota(b"a:", 10 * MIB, "lfu")
        grid.fill(keys(b"a:", 5000), bytes(500))
        grid.rest()
        grid.check()
        self.assertGreater(grid.evictor.evicted["capacity"], 2000)


class OrderTest(unittest.TestCase):
    def test_lru_evicts_what_was_not_used_for_the_longest(self):
        grid = EvictingGrid("lru", MIB)
        grid.fill(keys(b"k", 1500), bytes(450))
        grid.rest()
        for key in keys(b"k", 1400, 100) + keys(b"k", 100):  # those that were there before come in any order
            grid.read(key)
        grid.fill(keys(b"l", 1100), bytes(450))
        grid.rest()
        gone = {int(key[1:]) for key in set(grid.model) - grid.keys()}
        self.assertEqual(gone, set(range(100, 100 + len(gone))))
        self.assertGreater(len(gone), 200)

    @slow
    def test_what_is_read_often_survives_a_scan_under_lfu(self):
        grid = EvictingGrid("lfu", MIB)
        grid.fill(keys(b"hot", 500), bytes(450))
        grid.fill(keys(b"k", 1000), bytes(450))
        for first in range(0, 12000, 400):
            for key in keys(b"hot", 500):
                grid.read(key)
            grid.fill(keys(b"scan", 400, first), bytes(450))
        left = len([key for key in keys(b"hot", 500) if grid.value(key) is not None])
        self.assertGreater(left, 475)
        self.assertGreater(grid.evicted, 10000)

    def test_what_is_read_through_commands_counts_as_well(self):
        grid = EvictingGrid("lru", MIB)
        grid.fill(keys(b"k", 1500), bytes(450))
        grid.rest()
        for key in keys(b"k", 1450, 50) + keys(b"k", 50):
            grid.space.lookup(key)
        grid.fill(keys(b"l", 1100), bytes(450))
        grid.rest()
        self.assertTrue(all(grid.value(key) for key in keys(b"k", 50)))
        self.assertIsNone(grid.value(b"k60"))

    def test_expired_records_go_first(self):
        for policy in ("lfu", "lru"):
            grid = EvictingGrid(policy, MIB)
            grid.fill(keys(b"k", 1000), bytes(450))
            grid.apply([(key, bytes(450), grid.space.now_ms + 50) for key in keys(b"e", 750)])
            grid.turn(20)  # the order is kept from here on
            grid.space.now_ms += 2000
            grid.apply([(key, bytes(450), 0) for key in keys(b"l", 250)])
            self.assertGreater(grid.space.heap.live_bytes(), LIVE_MAX * grid.heap_bytes)
            grid.rest()
            grid.check()
            self.assertEqual(grid.evicted, 0, policy)
            self.assertEqual(grid.space.expired_count, 750)
            self.assertEqual(len(grid.keys()), 1250)

    @slow
    def test_the_key_that_is_written_may_be_the_victim(self):
        for hot in (True, False):
            grid = EvictingGrid("lru", MIB)
            grid.fill(keys(b"k", 2200), bytes(400), hot=hot)
            for number in range(3000):
                oldest = grid.evictor._main.next_victim()
                key = grid.space.key_at((grid.space.words[oldest] & 0xFFFFFFFF) << 3) if number % 2 else b"n%d" % number
                grid.apply([(key, bytes(300 + number % 200), 0)], hot)
                if number % 300 == 0:
                    grid.check()
                    grid.turn()
            self.assertGreater(grid.evicted, 200)

    @slow
    def test_notes_of_clients_may_be_anything(self):
        grid = EvictingGrid("lfu", MIB)
        grid.fill(keys(b"k", 3000), bytes(400))
        table = grid.space.index.table
        odd = [0, 1, 2, 3, 255, 256, 511, table.base - 1, table.end, table.end + 1, len(grid.space.words) - 1,
               len(grid.space.words), len(grid.evictor.lists.owner), 1 << 32, (1 << 64) - 1]
        odd += list(range(table.base, table.end, 7))
        for migrating in (False, True):
            for slot in odd:
                grid.evictor.hit(slot)
            grid.evictor.check()
            grid.space.index.start_growth(20000)
            for _ in range(8):
                grid.space.index.step(100)
            odd += list(range(grid.space.index.layout.area_offsets_bytes[0] >> 3,
                              len(grid.space.words), 5)) if not migrating else []
        grid.fill(keys(b"l", 1000), bytes(400))
        grid.check()

    def test_a_pending_set_is_not_lost_on_a_key_that_goes_and_comes(self):
        grid = EvictingGrid("lru", MIB)
        grid.fill(keys(b"k", 1700), bytes(450))
        grid.rest()
        for number in range(200):
            grid.apply([(b"x", bytes(10), 0)])
            grid.delete(b"x")
            grid.apply([(b"y%d" % number, bytes(20), 0), (b"x", bytes(number), 0)])
            grid.delete(b"y%d" % number)
        grid.check()
        slot, _ = grid.space._find(b"x", grid.space.hash_of(b"x"))
        self.assertEqual(grid.evictor.lists.weight[slot], grid.space.weight_of(b"x") >> 3)
        self.assertEqual(grid.evictor._main.count, grid.space.key_count)
        self.assertEqual(grid.evictor._main.weight << 3, grid.space.heap.live_bytes())


class LogTest(unittest.TestCase):
    """With a log: what is evicted may be back after a restart, and nothing else."""

    @slow
    def test_evictions_are_not_logged_and_deletions_of_what_was_evicted_are(self):
        for policy in ("lfu", "lru"):
            grid, entries, expected = EvictingGrid(policy, MIB), [], {}
            log = unittest.mock.Mock()
            log.append = lambda first_lsn, count, payload: entries.append((first_lsn, count, bytes(payload)))
            grid.space.set_log(log)
            for number in range(6000):
                key = b"k%d" % grid.random.randrange(3000)
                if number % 7 == 0:
                    grid.delete(key)
                    expected.pop(key, None)
                else:
                    expected[key] = bytes(grid.random.randrange(900))
                    grid.apply([(key, expected[key], 0)], number % 2)
                if number % 50 == 0:
                    grid.turn(2)
            grid.check()
            self.assertGreater(grid.evicted, 300)
            self.assertEqual(sum(count for _, count, _ in entries), grid.space.version)
            for memory_bytes, evicting in ((16 * MIB, "refuse"), (MIB, policy)):
                back = EvictingGrid(evicting, memory_bytes)
                loader = Loader(back.space)
                for first_lsn, count, payload in entries:
                    loader.apply(first_lsn, count, payload, 0, False)
                loader.finish(grid.space.version)
                back.model = {key: (value, 0) for key, value in expected.items()}
                back.rest()
                back.check()
                if evicting == "refuse":
                    self.assertEqual(back.keys(), set(expected))
                else:
                    self.assertEqual(back.evictor._main.count, back.space.key_count)

    @slow
    def test_a_checkpoint_that_does_not_fit_any_more_is_loaded_as_far_as_it_does(self):
        blocks = [b"".join(STAMP.pack(number << COPIES_BITS) + pack_body(b"k%d" % number, bytes(400), 0)
                           for number in range(first + 1, first + 501)) for first in range(0, 6000, 500)]
        back = EvictingGrid("lfu", MIB)
        loader = Loader(back.space)
        loader.expect_keys(6000)
        for block in blocks:
            loader.load_records(block, 500, 0)
        loader.finish(6000)
        back.model = {b"k%d" % number: (bytes(400), 0) for number in range(1, 6001)}
        back.rest()
        back.check()
        self.assertGreater(back.space.key_count, 1500)
        self.assertEqual(back.evictor._main.count, back.space.key_count)


class BatchTest(unittest.TestCase):
    def setUp(self):
        self.grid = EvictingGrid("lru", MIB)
        self.grid.fill(keys(b"k", 1800), bytes(450))
        self.grid.rest()

    def test_a_batch_that_can_never_fit_is_refused_and_nothing_of_it_is_there(self):
        grid, version = self.grid, self.grid.space.version
        before = dict(grid.model)
        grid.space.begin()
        with self.assertRaises(GridFullError):
            for number in range(2000):
                grid.space.store(b"b%d" % number, 0, bytes(1000))
        grid.space.rollback()
        grid.model = before
        grid.check()
        self.assertEqual(grid.space.version, version)
        self.assertFalse([key for key in grid.keys() if key.startswith(b"b")])
        grid.fill(keys(b"l", 100), bytes(450))
        grid.check()
        self.assertTrue(all(grid.value(key) is not None for key in keys(b"l", 100)))

    @slow
    def test_more_keys_than_the_index_has_slots_are_refused(self):
        grid = EvictingGrid("lru", MIB)
        grid.fill(keys(b"k", 5000), b"")
        grid.space.begin()
        try:
            with self.assertRaises(GridFullError):
                for number in range(40000):
                    grid.space.store(b"%d" % number, 0, b"")
                grid.space.commit()
        finally:
            if grid.space.staging:
                grid.space.rollback()
        grid.check()

    @slow
    def test_a_batch_evicts_for_its_slots(self):
        grid = EvictingGrid("lru", MIB)
        grid.fill(keys(b"k", 24000), b"")
        grid.rest()
        grid.space.begin()
        for number in range(6000):
            grid.set(b"b%d" % number, b"")
        grid.space.commit()
        grid.check()
        self.assertTrue(all(grid.value(b"b%d" % number) == b"" for number in range(6000)))

    def test_keys_of_a_batch_may_be_evicted_while_it_is_made(self):
        grid = self.grid
        victims = [key for key in keys(b"k", 1800) if grid.value(key) is not None][:900]
        grid.space.begin()
        for key in victims:
            grid.set(key, bytes(451))
        grid.space.commit()
        grid.check()
        self.assertTrue(all(len(grid.value(key)) == 451 for key in victims))
        self.assertGreater(grid.evicted, 300)

    def test_what_was_evicted_for_a_batch_that_is_rolled_back_is_gone_and_nothing_else(self):
        grid = self.grid
        before = grid.keys()
        evicted = grid.evicted
        grid.space.begin()
        for number in range(900):
            grid.space.store(b"k%d" % number, 0, bytes(440))
        grid.space.rollback()
        grid.check()
        self.assertEqual(len(before - grid.keys()), grid.evicted - evicted)


if __name__ == "__main__":
    unittest.main()

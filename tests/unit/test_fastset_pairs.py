"""Several keys set at once, and one key alone, without frames: against the plain way, down to the last account."""

import random

from nosqgrid.engine.fastpairs import make_store_one, make_store_pairs
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import pack_body
from tests.support.evicting import EvictingGrid
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import FULL
from tests.unit.test_fastset_accounts import FastSetTestCase

ROUNDS = 5000 if FULL else 600


class PairsTest(FastSetTestCase):
    def random_pairs(self, rng, key_count, value_bytes_max):
        keys = {b"key:%d" % rng.randrange(key_count) for _ in range(rng.choice((1, 1, 3, 16)))}
        return {key: bytes(rng.randrange(value_bytes_max)) for key in sorted(keys)}

    def run_pairs(self, seed, key_count, value_bytes_max, memory_bytes=1 << 20):
        """How many calls were hot and how many were not."""
        self.pair(memory_bytes, seed)
        rng, hot = random.Random(seed), [0, 0]
        store_pairs, store_one = make_store_pairs(self.fast), make_store_one(self.fast)
        for _ in range(ROUNDS):
            pairs = self.random_pairs(rng, key_count, value_bytes_max)
            (key, value), = list(pairs.items())[:1]
            done = store_one(key, value, 1) if len(pairs) == 1 else store_pairs(pairs, len(pairs), 1)
            hot[done] += 1
            for key, value in pairs.items():
                self.plain.store(key, 1, value)
                if not done:
                    self.fast.store(key, 1, value)
        return hot

    def test_grids_are_alike_to_the_last_byte(self):
        for seed, key_count, value_bytes_max in ((1, 20, 40), (2, 200, 300), (3, 5, 2000)):
            hot = self.run_pairs(seed, key_count, value_bytes_max, 4 << 20)
            self.assertGreater(hot[True], ROUNDS // 2)
            self.assertGreater(hot[False], 0)
            self.compare_grown()

    def test_key_that_is_no_common_one_is_stored_with_the_others(self):
        self.pair()
        for space in (self.fast, self.plain):
            for key in (b"a", b"b", b"c"):
                space.store(key, 0, b"old")
            space.store(b"b", 0, b"old", 5000)
        self.assertFalse(make_store_one(self.fast)(b"b", b"new", 0))
        self.assertTrue(make_store_pairs(self.fast)({b"a": b"new", b"b": b"newer", b"c": b"newest"}, 3, 0))
        for key, value in ((b"a", b"new"), (b"c", b"newest"), (b"b", b"newer")):  # what is not common goes last
            self.plain.store(key, 0, value)
        self.compare()
        self.assertEqual(self.fast.expiring, 0)

    def test_nothing_is_done_where_it_has_to_stand_aside(self):
        class Log:
            def append(self, first_lsn, count, payload):
                raise AssertionError("not here")

        def in_batch(space):
            space.begin()

        def in_growth(space):
            space.index.start_growth(1)
            while space.index.steady:
                self.assertTrue(space.index.step(64))

        for prepare, flags in ((lambda space: space.set_log(Log()), 0), (in_batch, 0), (in_growth, 0),
                               (lambda space: space.tell_changes(lambda key: None), 0),
                               (lambda space: None, WEAK_ORDERING)):
            space, _ = make_keyspace(1 << 20, flags=flags)
            space.store(b"present", 0, b"v")
            prepare(space)
            before = self.account(space)
            self.assertFalse(make_store_pairs(space)({b"k": b"v", b"present": b"w"}, 2, 0))
            self.assertFalse(make_store_one(space)(b"present", b"w", 0))
            self.assertEqual(self.account(space), before)

    def test_nothing_is_done_where_it_may_not_fit(self):
        space, _ = make_keyspace(1 << 20)
        space.store(b"present", 0, b"v")
        room = space.heap.writer.limit - space.heap.writer.cursor
        before = self.account(space)
        self.assertFalse(make_store_one(space)(b"present", bytes(room), 0))
        self.assertFalse(make_store_pairs(space)({b"k": bytes(room // 2), b"present": bytes(room // 2)}, 2, 0))
        self.assertFalse(make_store_one(space)(b"\xff\x00db1:k", b"v", 0))
        self.assertFalse(make_store_pairs(space)({b"k": b"v", b"\xff\x00db1:k": b"v"}, 2, 0))
        self.assertEqual(self.account(space), before)

    def test_evictor_is_told_as_by_frames(self):
        noted = []
        for hot in (True, False):
            grid = EvictingGrid()
            space = grid.space
            grid.evictor.start()
            space.store(b"present", 0, b"v")
            pairs = {b"a": b"1", b"present": b"22", b"c": b"333"}
            if hot:
                self.assertTrue(make_store_pairs(space)(pairs, 3, 0))
                self.assertTrue(make_store_one(space)(b"c", b"4444", 0))
            else:
                for key, value in list(pairs.items()) + [(b"c", b"4444")]:
                    data = pack_body(key, value, 0)
                    self.assertEqual(space.apply_sets(data, 0, len(data)), len(data))
            noted.append(list(grid.evictor.noted))
            space.check()
        self.assertEqual(len(noted[0]), 5)  # one of them of the store before
        self.assertEqual(noted[0], noted[1])

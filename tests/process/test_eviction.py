"""Eviction as users see it: a coordinator that is full, clients that read and write, maps with quotas."""

import contextlib
import random

import nosqgrid
from nosqgrid.formats import lane as lane_format
from tests.support.durable import DurableTestCase, Served
from tests.support.processes import wait_until
from tests.support.tiers import slow

VALUE = bytes(1000)


class EvictionTestCase(DurableTestCase):
    def serve_cache(self, *extra):
        """A coordinator without a directory, and 2 MiB."""
        served = self.serve_plain("--memory", "2m", *extra)
        return served, self.attach()

    def serve_plain(self, *arguments):
        served = Served(list(arguments), self.socket, self.socket + "errors%d" % len(self._served))
        self._served.append(served)
        return served.wait_until_served()

    def redis(self, grid, *words):
        return grid._store.command(*words)


class PolicyTest(EvictionTestCase):
    @slow
    def test_what_redis_clients_are_told(self):
        for policy, name in ((None, b"allkeys-lfu"), ("lfu", b"allkeys-lfu"), ("lru", b"allkeys-lru"),
                             ("refuse", b"noeviction")):
            served, grid = self.serve_cache(*(() if policy is None else ("--policy", policy)))
            refused = 0
            for number in range(3000):
                try:
                    grid.set("k%d" % number, VALUE)
                except nosqgrid.GridFullError:
                    refused += 1
            evicted = grid.stats()["evicted_keys"]
            info = bytes(self.redis(grid, "INFO")).decode()
            self.assertIn("maxmemory_policy:" + name.decode(), info)
            self.assertIn("evicted_keys:%d\r\n" % evicted, info)
            self.assertIn(repr(name), repr(self.redis(grid, "CONFIG", "GET", "maxmemory-policy")))
            self.assertEqual((refused > 0, evicted > 1000), (policy == "refuse", policy != "refuse"), policy)
            if policy != "refuse":
                self.assertEqual(len(grid), 3000 - evicted)
                self.assertEqual(grid["k2999"], VALUE)
            grid.close()
            served.stop()

    def test_open_with_a_policy(self):
        with nosqgrid.open(memory="2m", policy="lru") as grid:
            grid.set_many({"k%d" % number: VALUE for number in range(4000)})
            self.assertEqual(grid.stats()["policy"], "lru")
            self.assertGreater(grid.stats()["evicted_keys"], 1000)
        with self.assertRaisesRegex(nosqgrid.UsageError, "no policy is called 'fifo'"):
            nosqgrid.open(memory="2m", policy="fifo")

    @slow
    def test_a_hot_set_stays_while_others_scan(self):
        _, scanning = self.serve_cache("--policy", "lfu")
        readers = [self.attach(near_cache=size) for size in (0, 1 << 20)]
        hot = ["hot%d" % number for number in range(200)]
        misses = []
        for first in range(0, 15000, 100):
            scanning.set_many({"scan%d" % number: VALUE for number in range(first, first + 100)})
            for reader in readers:
                missing = [key for key in hot if reader.get(key) is None]
                misses.append(len(missing))
                reader.set_many({key: VALUE for key in missing})
        stats = scanning.stats()
        self.assertGreater(stats["evicted_keys"], 10000)
        self.assertGreater(stats["hits_noted"], 1000)
        self.assertLess(sum(misses[200:]), 500, "of 20000 reads")

    def test_notes_that_make_no_sense_harm_nobody(self):
        served, grid = self.serve_cache("--policy", "lfu")
        grid.set_many({"k%d" % number: VALUE for number in range(3000)})
        rng = random.Random(1)
        words = grid._store.attachment.lane.words
        for turn in range(200):
            for at in range(lane_format.NOTES_MAX):
                words[lane_format.NOTES + at] = rng.choice((rng.getrandbits(64), rng.randrange(1 << 16), 0, 1, 600))
            words[lane_format.NOTES_TAIL] = rng.choice((rng.getrandbits(64), turn * 20, 0))
            grid.set("turn", turn)
        self.assertEqual(grid["turn"], 199)
        grid.set_many({"l%d" % number: VALUE for number in range(3000)})
        self.assertEqual(grid["l2999"], VALUE)
        self.assertEqual(served.errors(), "")


class LargeTest(EvictionTestCase):
    def test_large_values_make_room_for_each_other_and_small_ones_stay(self):
        for policy in ("lfu", "lru"):
            served = self.serve_plain("--memory", "16m", "--policy", policy)
            grid = self.attach()
            grid.set_many({"k%d" % number: VALUE for number in range(2000)})
            for number in range(40):
                grid.set("l%d" % number, bytes([number]) * (1 << 20))
            stats = grid.stats()
            # Some go for a large value that lacks room and some for the share of the heap, by how the turns fall.
            self.assertGreater(stats["evicted_keys"], 20)
            self.assertGreater(stats["evicted_bytes"], 20 << 20)
            self.assertEqual(sum("k%d" % number in grid for number in range(2000)), 2000)
            self.assertLessEqual(stats["memory_used_bytes"], 16 << 20)
            self.assertEqual(len(grid), 2040 - stats["evicted_keys"])
            self.assertGreater(stats["large_values"], 8)
            self.assertEqual(bytes(grid["l39"]), b"\x27" * (1 << 20))
            grid.close()
            served.stop()

    def test_what_somebody_holds_is_valid_and_stands_in_the_way(self):
        self.serve_plain("--memory", "16m", "--policy", "lru")
        grid = self.attach()
        with contextlib.ExitStack() as stack:
            held = []
            with self.assertRaises(nosqgrid.GridFullError):
                for number in range(40):
                    grid.set("l%d" % number, bytes([number]) * (1 << 20))
                    held.append(stack.enter_context(grid.view("l%d" % number)))
            self.assertEqual([view[-1] for view in held], list(range(len(held))))
            del held
        wait_until(lambda: grid.stats()["large_dropped_bytes"] == 0, what="what was held to be given back")
        grid.set("again", bytes(1 << 20))


class NotesTest(EvictionTestCase):
    def test_each_read_of_a_large_value_is_noted(self):
        self.serve_plain("--memory", "4m", "--policy", "lfu")
        grid = self.attach()
        grid["large"] = bytes(1 << 20)
        words = grid._store.attachment.lane.words
        before = words[lane_format.NOTES_TAIL]
        for _ in range(5):
            self.assertEqual(len(grid["large"]), 1 << 20)
        self.assertEqual(words[lane_format.NOTES_TAIL] - before, 5)


class QuotaTest(EvictionTestCase):
    def test_a_quota_is_kept_and_given_to_the_next_coordinator(self):
        served, _ = self.serve_cache("--policy", "refuse")
        grid, other = self.attach(reconnect=20.0), self.attach(reconnect=20.0)
        names = grid.map("names", quota="100k", policy="lru")
        for life in range(2):
            for number in range(500):
                other.set("names:%d" % number, VALUE)
                if number < 100:
                    grid.set("k%d" % number, VALUE)
            wait_until(lambda: grid.stats()["map_names_bytes"] <= 100 << 10, what="the quota to be kept")
            self.assertGreater(grid.stats()["map_names_keys"], 80)
            self.assertEqual(names["499"], VALUE)
            self.assertEqual(len([number for number in range(100) if "k%d" % number in grid]), 100)
            if not life:
                served.kill()
                served = self.serve_plain("--memory", "2m", "--policy", "refuse")
                grid.set("again", 1)
                other.set("again", 2)
        grid.map("names", quota=0)
        self.assertNotIn("map_names_bytes", grid.stats())
        served.stop()

    def test_one_that_refuses(self):
        served, grid = self.serve_cache()
        names = grid.map("names", quota=100000, policy="refuse")
        with self.assertRaisesRegex(nosqgrid.GridFullError, "the keys names:"):
            grid.set_many({"names:%d" % number: VALUE for number in range(500)})
        with self.assertRaises(nosqgrid.GridFullError):
            grid.set("names:large", bytes(100001))
        with self.assertRaisesRegex(nosqgrid.BatchError, "none was applied: .*the keys names:"):
            with grid.pipeline() as batch:
                for number in range(200):
                    batch.set("names:b%d" % number, VALUE)
        self.assertLessEqual(grid.stats()["map_names_bytes"], 100000)
        names["0"] = "less"
        self.assertEqual(names["0"], "less")
        served.stop()


class DurableEvictionTest(EvictionTestCase):
    @slow
    def test_an_evicting_grid_comes_back_within_its_memory_and_serves(self):
        expected = {}
        for life in range(3):
            served = self.serve("--memory", "2m", "--policy", "lfu", level="os")
            grid = self.attach()
            for key, value in grid.items():
                self.assertEqual(value, expected[key])
            self.assertEqual(grid.stats()["heap_size_bytes"] >> 20, 2)
            self.assertEqual(served.errors(), "")
            for number in range(life * 1000, life * 1000 + 3000):
                expected["k%d" % number] = "%d " % life + "v" * 900
                grid.set("k%d" % number, expected["k%d" % number])
            gone = next(key for key in expected if grid.get(key) is None)
            self.assertEqual(grid.delete(gone), 0)
            if life == 1:
                grid.checkpoint()
            served.kill()
            served = self.serve("--memory", "2m", "--policy", "lfu", level="os")
            self.assertIsNone(self.attach().get(gone), "a key that was deleted is back")
            served.kill()

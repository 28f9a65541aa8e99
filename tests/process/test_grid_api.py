"""The grid as a program holds it, against a real coordinator: single keys, conditions, deadlines, errors, closing."""

import datetime
import pickle
import re
import shutil
import socket
import subprocess
import time
import unittest

import nosqgrid
from nosqgrid import errors, limits
from nosqgrid.client import launcher
from nosqgrid.formats.resp import NEED_MORE, ReplyReader, encode_command
from tests.support.processes import SETTLE_S, wait_until


class GridTestCase(unittest.TestCase):
    """One coordinator for the class, an empty grid for each test."""

    memory = "16m"
    policy = "refuse"

    @classmethod
    def setUpClass(cls):
        cls.launched = launcher.start(memory=cls.memory, extra_args=["--policy", cls.policy])
        cls.addr = cls.launched.address

    @classmethod
    def tearDownClass(cls):
        cls.launched.stop()

    def setUp(self):
        self.grid = self.attached()
        self.grid.clear()

    def attached(self, **options):
        grid = nosqgrid.attach(self.addr, **options)
        self.addCleanup(grid.close)
        return grid


class MappingTests(GridTestCase):
    def test_every_type_comes_back_as_it_was_set(self):
        values = (None, True, 5, -2 ** 100, 1.5, "text\u00e9", b"\x00\xff", [1, (2, {"a": {3}})], {"k": [None]},
                  datetime.datetime(2024, 2, 29, 12, 30))
        other = self.attached(near_cache=0)
        for value in values:
            self.grid["k"] = value
            for grid in (self.grid, other):
                self.assertEqual(grid["k"], value)
                self.assertIs(type(grid["k"]), type(value))

    def test_a_missing_key_is_a_key_error_or_the_default(self):
        grid = self.grid
        self.assertIsNone(grid.get("no"))
        self.assertEqual(grid.get("no", 7), 7)
        for call in (lambda: grid["no"], lambda: grid.pop("no"), lambda: grid.ttl("no"), lambda: grid.__delitem__("no"),
                     grid.popitem):
            self.assertRaises(KeyError, call)
        self.assertEqual(grid.pop("no", 8), 8)
        self.assertEqual(grid.get_versioned("no"), (None, 0))
        self.assertFalse(grid.expire("no", 5) or grid.persist("no") or "no" in grid)

    def test_it_is_a_mutable_mapping(self):
        grid = self.grid
        grid.update({"a": 1}, b=2)
        self.assertEqual(grid.setdefault("a", 9), 1)
        self.assertEqual(grid.setdefault("c", 3), 3)
        self.assertEqual(dict(grid.items()), {"a": 1, "b": 2, "c": 3})
        self.assertEqual((sorted(grid), sorted(grid.values()), len(grid)), (["a", "b", "c"], [1, 2, 3], 3))
        self.assertEqual(grid.exists("a", "a", "no"), 2)
        self.assertEqual(grid.get_many(["a", "no", "c"]), {"a": 1, "c": 3})
        self.assertEqual(grid.pop("a"), 1)
        del grid["b"]
        self.assertEqual(grid.popitem(), ("c", 3))
        self.assertEqual(grid.delete(), 0)
        self.assertEqual(len(grid), 0)

    def test_delete_counts_the_keys_that_were_there(self):
        self.grid.set_many({"a": 1, "b": 2})
        self.assertEqual(self.grid.delete("a", "b", "c"), 2)
        self.assertEqual(self.grid.delete("a"), 0)

    def test_str_and_bytes_keys_are_the_same_keys(self):
        self.grid["k\u00e9"] = 1
        self.assertEqual(self.grid["k\u00e9".encode("utf-8")], 1)
        self.grid[b"\xff"] = 2
        self.assertEqual(self.grid[b"\xff"], 2)
        self.assertEqual(len(list(self.grid)), 2)

    def test_items_leaves_out_keys_that_vanish_meanwhile(self):
        self.grid.set_many({"k%d" % number: number for number in range(100)})
        other, seen = self.attached(), 0
        for key, value in self.grid.items():
            self.assertEqual(key, "k%d" % value)
            if not seen:
                other.clear()
                other[key] = value
            seen += 1
        self.assertEqual(seen, 1)

    def test_popitem_by_two_grids_gives_each_pair_once(self):
        self.grid.set_many({"k%d" % number: number for number in range(20)})
        grids, popped = (self.grid, self.attached()), []
        for number in range(20):
            popped.append(grids[number % 2].popitem()[1])
        self.assertEqual(sorted(popped), list(range(20)))

    def test_incr_adds_ints_of_any_size_and_keeps_the_ttl(self):
        self.assertEqual(self.grid.incr("n"), 1)
        self.assertEqual(self.grid.incr("n", 2 ** 80), 2 ** 80 + 1)
        self.assertEqual(self.grid.incr("n", -1), 2 ** 80)
        self.grid.expire("n", 60)
        self.grid.incr("n")
        self.assertGreater(self.grid.ttl("n"), 50)
        self.grid["t"] = "text"
        with self.assertRaises(errors.NotANumberError):
            self.grid.incr("t")
        self.assertEqual(self.grid["t"], "text")

    def test_a_pickled_grid_attaches_to_the_same_coordinator(self):
        self.grid["k"] = 1
        with pickle.loads(pickle.dumps(self.grid)) as again:
            self.assertEqual(again["k"], 1)

    def test_a_ttl_of_many_years_lets_the_coordinator_sleep(self):
        for ttl in (40 * 86400, 10 ** 9, 10 ** 11):
            self.grid.set("k", 1, ttl=ttl)
            time.sleep(0.02)  # until it sleeps, for no longer than a selector can be asked for
            self.assertTrue(self.grid.ping())
        self.assertGreater(self.grid.ttl("k"), 10 ** 10)

    def test_stats_ping_and_connected_tell_about_the_coordinator(self):
        self.grid["k"] = 1
        stats = self.grid.stats()
        self.assertEqual((stats["pid"], stats["keys"]), (self.launched.pid, 1))
        self.assertTrue(self.grid.ping() and self.grid.connected)
        self.assertEqual(self.grid.address, self.addr)


class ConditionTests(GridTestCase):
    def test_versions_grow_and_decide_conditional_sets(self):
        grid = self.grid
        first = grid.set("k", 1)
        self.assertEqual(grid.get_versioned("k"), (1, first))
        second = grid.set("k", 2, if_version=first)
        self.assertGreater(second, first)
        self.assertIsNone(grid.set("k", 3, if_version=first))
        self.assertIsNone(grid.set("k", 3, if_version=0))
        self.assertEqual(grid.get_versioned("k"), (2, second))
        self.assertGreater(grid.set("new", 1, if_version=0), second)

    def test_a_key_made_again_has_another_version(self):
        first = self.grid.set("k", 1)
        self.grid.delete("k")
        self.grid.set("k", 1)
        self.assertIsNone(self.grid.set("k", 2, if_version=first))

    def test_if_absent_and_if_present_refuse_and_change_nothing(self):
        grid = self.grid
        self.assertIsNone(grid.set("k", 1, if_present=True))
        self.assertNotIn("k", grid)
        self.assertTrue(grid.set("k", 1, if_absent=True))
        self.assertIsNone(grid.set("k", 2, if_absent=True))
        self.assertTrue(grid.set("k", 3, if_present=True))
        self.assertEqual(grid["k"], 3)

    def test_a_ttl_ends_a_key_for_every_grid_near_cached_or_not(self):
        other = self.attached(near_cache=0)
        self.grid.set("k", 1, ttl=0.15)
        for _ in range(3):
            self.assertEqual((self.grid["k"], other["k"]), (1, 1))
        self.assertTrue(0 < self.grid.ttl("k") <= 0.15)
        time.sleep(0.16)
        for grid in (self.grid, other):
            self.assertIsNone(grid.get("k"))
            self.assertEqual(grid.get_versioned("k"), (None, 0))
        self.assertTrue(self.grid.set("k", 2, if_absent=True))

    def test_expire_persist_and_a_plain_set_change_the_ttl(self):
        grid = self.grid
        grid["k"] = 1
        self.assertIsNone(grid.ttl("k"))
        self.assertTrue(grid.expire("k", 60))
        self.assertTrue(59 < grid.ttl("k") <= 60)
        self.assertTrue(grid.persist("k"))
        self.assertIsNone(grid.ttl("k"))
        grid.expire("k", 60)
        grid["k"] = 2
        self.assertIsNone(grid.ttl("k"))
        grid.expire("k", 0.05)
        grid.get("k")
        time.sleep(0.06)
        self.assertNotIn("k", grid)

    def test_an_expired_key_is_removed_without_anybody_asking_for_it(self):
        self.grid.set_many({"k%d" % number: number for number in range(50)}, ttl=0.05)
        wait_until(lambda: len(self.grid) == 0, SETTLE_S, "the keys to expire")

    def test_a_near_cache_never_hides_what_another_grid_wrote(self):
        other = self.attached()
        for number in range(300):
            other["k"] = number
            self.assertEqual(self.grid["k"], number)
            self.assertEqual(self.grid["k"], number)
        other.delete("k")
        self.assertNotIn("k", self.grid)

    def test_a_changed_result_does_not_change_what_the_next_get_returns(self):
        for grid in (self.grid, self.attached(near_cache=0)):
            grid["k"] = [1]
            grid["k"].append(2)
            self.assertEqual(grid["k"], [1])


class ErrorTests(GridTestCase):
    def test_bad_keys_values_and_ttls_change_nothing(self):
        grid = self.grid
        grid["k"] = "old"
        for key in (None, 5, ("a",), 1.5):
            for call in (grid.get, grid.delete, grid.incr, lambda key: grid.set(key, 1)):
                self.assertRaises(errors.UnsupportedTypeError, call, key)
        for value in (object(), [object()], {"a": print}):
            self.assertRaises(errors.UnsupportedTypeError, grid.set, "k", value)
            self.assertRaises(errors.UnsupportedTypeError, grid.set_many, {"new": 1, "k": value})
        for ttl in (0, -1, float("nan"), float("inf"), True, "5"):
            self.assertRaises(errors.UsageError, grid.set, "k", 1, ttl)
            self.assertRaises(errors.UsageError, grid.expire, "k", ttl)
            self.assertRaises(errors.UsageError, grid.set_many, {"k": 1}, ttl)
        for bad in ({"if_absent": True, "if_present": True}, {"if_version": -1}, {"if_version": True},
                    {"if_version": 1, "if_absent": True}):
            self.assertRaises(errors.UsageError, lambda: grid.set("k", 1, **bad))
        self.assertRaises(errors.UsageError, grid.incr, "k", 1.5)
        self.assertEqual(dict(grid.items()), {"k": "old"})

    def test_maps_that_cannot_be_are_refused_before_anything_is_asked_for(self):
        for options in ({"quota": "much"}, {"quota": -1}, {"policy": "lru"}, {"quota": "1m", "policy": "fifo"}):
            self.assertRaises(errors.UsageError, lambda: self.grid.map("m", **options))
        self.assertRaises(errors.UsageError, lambda: self.grid.map("m").map("r", quota="1m"))
        self.assertNotIn("map_m_bytes", self.grid.stats())

    def test_bad_options_of_attach_are_refused(self):
        for options in ({"codec": "json"}, {"near_cache": "much"}):
            self.assertRaises(errors.UsageError, lambda: nosqgrid.attach(self.addr, **options))
        self.assertRaises(errors.NotServedError, nosqgrid.attach, self.addr + ".no")

    def test_keys_around_the_limit(self):
        for size in (limits.KEY_SIZE_BYTES_MAX - 1, limits.KEY_SIZE_BYTES_MAX):
            self.grid["x" * size] = size
            self.assertEqual(self.grid["x" * size], size)
        large = "x" * (limits.KEY_SIZE_BYTES_MAX + 1)
        for call in (lambda: self.grid.set(large, 1), lambda: self.grid.set_many({large: 1}),
                     lambda: self.grid.delete(large), lambda: self.grid.pop(large)):
            self.assertRaises(errors.KeyTooLargeError, call)
        self.assertNotIn(large, self.grid)
        self.assertEqual(len(self.grid), 2)

    def test_a_closed_grid_refuses_everything(self):
        grid = self.grid
        grid["k"] = 1
        get, names, steps = grid.get, grid.map("m"), grid.scan()
        grid.close()
        grid.close()
        calls = (lambda: get("k"), lambda: grid.get("k"), lambda: grid["k"], lambda: "k" in grid, lambda: len(grid),
                 lambda: grid.set("k", 1), lambda: grid.set("k", 1, ttl=5), lambda: grid.set("k", 1, if_absent=True),
                 lambda: grid.set_many({"k": 1}), lambda: grid.delete("k"), lambda: grid.delete("k", "j"),
                 lambda: grid.pop("k"), lambda: grid.setdefault("k", 1), lambda: grid.incr("k"),
                 lambda: grid.get_many(["k"]), lambda: grid.get_versioned("k"), lambda: grid.ttl("k"),
                 lambda: grid.expire("k", 1), lambda: grid.persist("k"), lambda: list(grid), lambda: next(steps),
                 grid.clear, grid.pipeline, grid.stats, grid.ping, lambda: names.get("k"), lambda: names.set("k", 1),
                 lambda: grid.get_or_compute("k", int))
        for number, call in enumerate(calls):
            with self.subTest(number):
                self.assertRaises(errors.ClosedError, call)
        self.assertFalse(grid.connected)


class RedisClientTests(GridTestCase):
    def test_a_plain_socket_sees_bytes_texts_and_ints_as_redis_would_have_them(self):
        self.grid.set_many({"b": b"\x00\xff", "s": "\u00e9", "i": -12})
        for key, seen in (("b", b"\x00\xff"), ("s", "\u00e9".encode("utf-8")), ("i", b"-12"), ("no", None)):
            self.assertEqual(self.asked("GET", key), seen)
        self.assertEqual(self.asked("INCRBY", "i", 2), -10)
        self.assertEqual(self.grid["i"], -10)
        self.asked("SET", "new", "bytes")
        self.assertEqual(self.grid["new"], b"bytes")
        self.assertEqual(self.asked("DEL", "new", "b"), 2)
        self.assertNotIn("b", self.grid)

    def asked(self, *words):
        """The reply to a command over a socket that knows nothing of nosqgrid."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.addr)
            sock.sendall(encode_command(*words))
            replies = ReplyReader()
            while True:
                replies.feed(sock.recv(65536))
                reply = replies.next()
                if reply is not NEED_MORE:
                    return reply

    @unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
    def test_redis_cli_reads_and_writes_the_grid(self):
        self.grid["s"] = "text"
        for words, said in ((("get", "s"), b"text\n"), (("incr", "n"), b"1\n"), (("set", "a", "b"), b"OK\n")):
            output = subprocess.check_output(["redis-cli", "-s", self.addr] + list(words), timeout=10)
            self.assertEqual(output, said)
        self.assertEqual((self.grid["n"], self.grid["a"]), (1, b"b"))

    def test_redis_py_reads_and_writes_the_grid(self):
        try:
            import redis
        except ImportError:
            self.skipTest("redis-py is not installed")
        client = redis.Redis(unix_socket_path=self.addr)
        self.addCleanup(client.close)
        client.set("k", "v", ex=60)
        self.assertEqual(self.grid["k"], b"v")
        self.assertGreater(self.grid.ttl("k"), 50)

    def test_the_repr_names_the_address(self):
        self.assertTrue(re.search(re.escape(self.addr), repr(self.grid)))


if __name__ == "__main__":
    unittest.main()

"""Listeners among processes: every change of a random history in order, whoever made it and in whatever way, and a
cache that is kept by events alone is the grid at the end."""

import json
import os
import random
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import CoordinatorLostError, CursorLostError, NotServedError, UsageError
from nosqgrid.redis import Redis
from tests.support.durable import SEED
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import FULL, slow

PATIENCE_S = 30.0
STEPS = 3000 if FULL else 400


def writer(address, seed, steps):
    """Do random things to the keys k0 to k39 and a few others, as a client of the grid and as one of Redis."""
    rng = random.Random(seed)
    with nosqgrid.attach(address) as grid, Redis(unix_socket_path=address) as redis:
        for number in range(steps):
            key = "k%d" % rng.randrange(40)
            draw = rng.random()
            if draw < 0.4:
                grid[key] = number
            elif draw < 0.5:
                grid.set(key, number, ttl=rng.choice((0.002, 0.05, 100)))
            elif draw < 0.6:
                grid.delete(key)
            elif draw < 0.65:
                grid[key] = b"%d" % number * 60000  # a value of its own file
            elif draw < 0.75:
                with grid.pipeline() as p:
                    p.set(key, number)
                    p.delete("k1")
                    p.set("k2", number)
            elif draw < 0.8:
                grid.set_many({"k%d" % each: number for each in range(rng.randrange(5))})
            elif draw < 0.81:
                grid.clear()
            else:
                name = "r%d" % rng.randrange(10)
                rng.choice((lambda: redis.set(key, number), lambda: redis.delete(name, key),
                            lambda: redis.set(key, 1, px=5), lambda: redis.incr("count"), lambda: redis.persist(key),
                            lambda: redis.mset({key: 1, "k5": 2})))()


class Cache(object):
    """What a listener makes of events; the values it looks up when a key was set."""

    def __init__(self, grid, listener):
        self.grid, self.listener = grid, listener
        self.kinds = set()
        self.values = {}
        self.seq = self.missed = 0

    def follow(self, timeout=0):
        while True:
            event = self.listener.get(timeout)
            if event is None:
                return
            timeout = 0
            if event.seq != self.seq + 1:
                raise AssertionError("%r behind %d" % (event, self.seq))
            self.seq = event.seq
            self.missed += event.missed
            self.kinds.add(event.kind)
            if event.kind == "set":
                self.values[event.key] = self.grid.get(event.key)
            elif event.kind == "clear":
                self.values.clear()
            else:
                self.values.pop(event.key, None)

    def equals_grid(self):
        self.follow(0.05)
        return {key: value for key, value in self.values.items() if value is not None} == dict(self.grid.items())


class HistoryTest(ProcessTestCase):
    allowed_files = ("data/*",)

    def follow_writers(self, *arguments, memory="32m"):
        with launcher.start(memory=memory, extra_args=arguments) as launched:
            with nosqgrid.attach(launched.address, near_cache=0) as grid, grid.listen() as listener:
                cache = Cache(grid, listener)
                writers = [self.spawn(writer, launched.address, SEED + number, STEPS) for number in range(3)]
                wait_until(lambda: cache.follow(0.01) or all(child.process.poll() is not None for child in writers),
                           what="the writers to end")
                for child in writers:
                    child.finish()
                wait_until(cache.equals_grid, what="the cache to be the grid")
                self.assertEqual(cache.missed, 0)
                return cache.kinds

    def test_a_cache_that_is_kept_by_events_is_the_grid(self):
        self.assertEqual(self.follow_writers("--policy", "refuse"), {"set", "delete", "expire", "clear"})

    def test_the_same_with_a_log(self):
        self.assertEqual(self.follow_writers("--dir", self.path("data", keep=True), "--durability", "os"),
                         {"set", "delete", "expire", "clear"})

    @slow
    def test_evictions_are_heard(self):
        with launcher.start(memory="4m", extra_args=("--policy", "lru")) as launched:
            with nosqgrid.attach(launched.address, near_cache=0) as grid, grid.listen("k") as listener:
                cache = Cache(grid, listener)
                for number in range(6000):
                    grid["k%d" % number] = b"x" * 2000
                    if number % 50 == 0:
                        cache.follow()
                wait_until(cache.equals_grid, what="the cache to be the grid")
                self.assertEqual((cache.kinds, cache.missed), ({"set", "evict"}, 0))
                self.assertLess(len(cache.values), 3000)


class ListenerTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address, near_cache=0)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def test_what_a_program_does_with_one(self):
        grid = self.grid
        with grid.listen("user:", ("set", "delete")) as listener:
            grid["other"] = grid["user:1"] = 1
            grid.set("user:2", 2, ttl=0.01)
            event = listener.get(5)
            self.assertEqual(event[:4], (1, "set", "user:1", 0))
            self.assertEqual(listener.get(5).key, "user:2")
            wait_until(lambda: "user:2" not in grid)
            del grid["user:1"]
            self.assertEqual(listener.get(5)[:3], (3, "delete", "user:1"))
            grid.clear()
            self.assertEqual(listener.get(5)[1:3], ("clear", None))
            self.assertIsNone(listener.get(0.01))
        with self.assertRaises(CursorLostError):
            grid.listen("user:", ("set", "delete"), since=listener.cursor)
        for events in ((), ("clear",), ("set", "nothing"), "nothing"):
            with self.assertRaises(UsageError):
                grid.listen("", events)

    def test_who_was_killed_goes_on_at_his_cursor(self):
        child = self.spawn("import nosqgrid, sys, time\n"
                           "listener = nosqgrid.attach(sys.argv[1]).listen('k')\n"
                           "print('ready', flush=True)\n"
                           "listener.get(), print(listener.cursor, flush=True), time.sleep(100)", self.launched.address)
        child.read_line()
        self.grid["k1"] = 1
        cursor = child.read_line()
        self.grid["k2"] = 2
        child.kill()
        child.wait()
        child.close()
        self.grid["k3"] = 3
        with self.grid.listen("k", since=cursor) as listener:
            self.assertEqual([listener.get(5).key for _ in range(2)], ["k2", "k3"])

    def test_a_forked_child_listens_for_itself(self):
        listener = self.grid.listen("k")
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                keys = [listener.get(PATIENCE_S).key]
                os.write(write_end, b"1")
                keys.append(listener.get(PATIENCE_S).key)
                os.write(write_end, json.dumps(keys).encode())
            finally:
                os._exit(0)
        self.grid["k1"] = 1
        self.assertEqual(os.read(read_end, 1), b"1")
        listener.close()  # the child still listens
        self.grid["k2"] = 2
        self.assertEqual(json.loads(os.read(read_end, 1000).decode()), ["k1", "k2"])
        os.waitpid(pid, 0)
        os.close(read_end)
        os.close(write_end)

    def test_the_next_coordinator_knows_no_cursor_and_says_so(self):
        path = self.path("s")
        first = launcher.start(socket_path=path, memory="8m")
        with nosqgrid.attach(path, near_cache=0) as grid:
            listener = grid.listen("k")
            grid["k1"] = 1
            self.assertEqual(listener.get(5).key, "k1")
            first.stop()
            with self.assertRaises((CoordinatorLostError, NotServedError)):
                listener.get(0.1)
            second = launcher.start(socket_path=path, memory="8m")
            with self.assertRaises(CursorLostError):
                listener.get(0.1)
            listener.seek()
            grid["k2"] = 2
            self.assertEqual(listener.get(5).key, "k2")
            listener.close()
        second.stop()


if __name__ == "__main__":
    unittest.main()

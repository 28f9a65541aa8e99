"""Two kinds of caches over one grid stay coherent, whoever writes: the near cache of a grid client, which looks at
shared memory for each hit, and the caches of Redis clients, which are told what changes (CLIENT TRACKING).

    strict      one process does one thing after the other: when a write is answered, no cache may show what was before
    together    processes write and read all at once: no reader ever goes back in time, and at the end all agree
"""

import os
import random
import time
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.formats import resp
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase
from tests.support.tiers import slow

KEYS = ["key:%d" % number for number in range(24)]
STEPS = 1200
SECONDS = float(os.environ.get("NOSQGRID_TEST_SECONDS", "1.5"))


class CachingClient(object):
    """A Redis client with a cache of what it has read, which follows what it is told."""

    def __init__(self, address, *options):
        self._client = RealClient(address)
        self.cache = {}
        self.hits = self.told = 0
        self._client.call("HELLO", "3")
        if self.call("CLIENT", "TRACKING", "ON", *options) != b"+OK\r\n":
            raise AssertionError("it cannot track")

    def call(self, *words):
        """The reply to a command; what is told before it is followed."""
        self._client.send(*words)
        while True:
            reply = self._client.read()
            if reply[:1] != b">":
                return reply
            self._follow(reply)

    def follow(self):
        """Follow what has been told by now."""
        while self._client.answered():
            self._follow(self._client.read())

    def _follow(self, message):
        reader = resp.ReplyReader()
        reader.feed(message)
        kind, names = reader.next()
        if kind != b"invalidate":
            raise AssertionError(message)
        self.told += 1
        for name in list(self.cache) if names is None else names:
            self.cache.pop(name.decode() if isinstance(name, bytes) else name, None)

    def get(self, key):
        """The value as text, None where there is none; from the cache if it is there."""
        self.follow()
        if key in self.cache:
            self.hits += 1
            return self.cache[key]
        reply = self.call("GET", key)
        self.cache[key] = None if reply == b"_\r\n" else reply.split(b"\r\n", 1)[1][:-2].decode()
        return self.cache[key]

    def close(self):
        self._client.close()


def write_numbers(address, name, seconds):
    """Count up, each in keys of its own, as a grid client or as a Redis client; prints the last numbers."""
    end, number = time.monotonic() + seconds, 0
    own = [key for index, key in enumerate(KEYS) if index % 2 == (name == "grid")]
    rng = random.Random(name)
    if name == "grid":
        grid = nosqgrid.attach(address)
        change, close = lambda key: grid.set(key, str(number)), grid.close
    else:
        client = RealClient(address)
        change, close = lambda key: client.call("SET", key, str(number)), client.close
    last = {}
    while time.monotonic() < end:
        number += 1
        key = rng.choice(own)
        change(key)
        last[key] = number
        if number % 8 == 0:
            time.sleep(0.001)
    close()
    for key, value in last.items():
        print(key, value, flush=True)
    print("end", flush=True)


class CoherenceTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="32m")
        self.readers = []
        self.grid = nosqgrid.attach(self.launched.address)
        self.writer = RealClient(self.launched.address)

    def tearDown(self):
        for reader in self.readers:
            reader.close()
        self.writer.close()
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def caching(self, *options):
        self.readers.append(CachingClient(self.launched.address, *options))
        return self.readers[-1]

    def change(self, rng, model):
        """Change something in one of many ways; the model follows.  The keys that may have changed."""
        key, other, value = rng.choice(KEYS), rng.choice(KEYS), "v%d" % rng.randrange(10 ** 6)
        way = rng.randrange(9)
        if way == 0:
            self.grid.set(key, value)
            model[key] = value
        elif way == 1:
            self.grid.delete(key)
            model.pop(key, None)
        elif way == 2:
            self.grid.set_many({key: value, other: value})
            model[key] = model[other] = value
        elif way == 3:
            self.writer.call("SET", key, value)
            model[key] = value
        elif way == 4:
            self.writer.call("APPEND", key, "x")
            model[key] = model.get(key, "") + "x"
        elif way == 5:
            self.writer.call("DEL", key, other)
            model.pop(key, None), model.pop(other, None)
        elif way == 6:
            self.writer.calls([("MULTI",), ("SET", key, value), ("COPY", key, other, "REPLACE"), ("EXEC",)])
            model[key] = model[other] = value
        elif way == 7 and key in model and key != other:
            self.writer.call("RENAME", key, other)
            model[other] = model.pop(key)
        elif way == 8 and not rng.randrange(40):
            self.grid.clear() if rng.randrange(2) else self.writer.call("FLUSHALL")
            model.clear()
        return [key, other]

    def as_text(self, key):
        value = self.grid.get(key)
        return value.decode() if isinstance(value, bytes) else value

    @slow
    def test_no_cache_shows_what_was_before_an_answered_write(self):
        rng, model = random.Random(3), {}
        self.caching(), self.caching("BCAST"), self.caching("BCAST", "PREFIX", "key:1"), self.caching("NOLOOP")
        for step in range(STEPS):
            for key in self.change(rng, model) + rng.sample(KEYS, 4):
                for number, reader in enumerate(self.readers):
                    if number != 2 or key.startswith("key:1"):
                        self.assertEqual(reader.get(key), model.get(key), (step, key, number))
                self.assertEqual(self.as_text(key), model.get(key), (step, key))
        for reader in self.readers:
            self.assertGreater(reader.hits, STEPS)
            self.assertGreater(reader.told, STEPS // 10)

    @slow
    def test_readers_never_go_back_and_agree_at_the_end(self):
        children = [self.spawn(write_numbers, self.launched.address, name, SECONDS)
                    for name in ("grid", "redis")]
        self.caching(), self.caching("BCAST", "PREFIX", "key:")
        rng, seen, ended = random.Random(4), {}, time.monotonic() + SECONDS
        while time.monotonic() < ended:
            key = rng.choice(KEYS)
            for number, read in enumerate([self.as_text] + [reader.get for reader in self.readers]):
                value = int(read(key) or 0)
                self.assertGreaterEqual(value, seen.get((number, key), 0))
                seen[number, key] = value
        last = {}
        for child in children:
            for line in iter(child.read_line, "end"):
                key, number = line.split()
                last[key] = number
            self.assertEqual(child.wait(), 0)
        self.assertGreater(len(last), len(KEYS) // 2)
        for key in KEYS:
            self.assertEqual([self.as_text(key)] + [reader.get(key) for reader in self.readers], [last.get(key)] * 3)
        for reader in self.readers:
            self.assertGreater(reader.hits, 100)
            self.assertGreater(reader.told, 10)


if __name__ == "__main__":
    unittest.main()

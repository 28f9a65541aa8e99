"""Histories of several processes on one real coordinator are linearizable, and no read is ever torn.

Each process records every call with its times (tests/support/history); afterwards both checkers look at the whole:
the search, which believes values only, and the sweep over versions.
"""

import itertools
import os
import random
import shutil
import time
import zlib

import nosqgrid
from nosqgrid.client import launcher
from tests.support import history
from tests.support.linearizability import assert_linearizable, assert_versions
from tests.support.processes import ProcessTestCase
from tests.support.tiers import slow

KEYS = 16
SECONDS = float(os.environ.get("NOSQGRID_TEST_SECONDS", "1"))
VALUE_BYTES = (10, 100, 1000, 5000, 20000)


def mixed_actor(address, directory, name, seed, near_cache, seconds, pace_s):
    """Sets, deletes, increments, compare-and-sets and reads, recorded."""
    rng, recorder = random.Random(seed), history.Recorder(directory, name)
    fresh = itertools.count()
    with nosqgrid.attach(address, near_cache=near_cache) as grid:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number = rng.randrange(KEYS)
            key, draw = "k%d" % number, rng.random()
            if number % 4 == 0:
                if draw < 0.5:
                    recorder.run("incr", [key, 1], lambda: grid.incr(key))
                else:
                    recorder.run("get", [key], lambda: grid.get(key))
            elif draw < 0.55:
                recorder.run("get", [key], lambda: grid.get(key))
            elif draw < 0.75:
                value = "%s:%d" % (name, next(fresh))
                recorder.run("set", [key, value], lambda: grid.set(key, value))
            elif draw < 0.85:
                recorder.run("delete", [key], lambda: bool(grid.delete(key)))
            else:
                seen, version = grid.get_versioned(key)
                value = "%s:%d" % (name, next(fresh))
                recorder.run("cas", [key, seen, value], lambda: grid.set(key, value, if_version=version) is not None)
            time.sleep(pace_s)


def versioned_actor(address, directory, name, seed, seconds):
    """Sets, deletes and versioned reads, recorded."""
    rng, recorder = random.Random(seed), history.Recorder(directory, name)
    fresh = itertools.count()
    with nosqgrid.attach(address) as grid:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            key, draw = "v%d" % rng.randrange(KEYS), rng.random()
            if draw < 0.6:
                recorder.run("get", [key], lambda: grid.get_versioned(key))
            elif draw < 0.95:
                value = "%s:%d" % (name, next(fresh))
                recorder.run("set", [key, value], lambda: grid.set(key, value))
            else:
                recorder.run("delete", [key], lambda: bool(grid.delete(key)))


def telling(rng, letter):
    """A value that tells by itself whether it is whole."""
    body = letter * rng.choice(VALUE_BYTES)
    return b"%d:%d:%s" % (len(body), zlib.crc32(body), body)


def tell(value):
    length, checksum, body = value.split(b":", 2)
    return int(length) == len(body) and int(checksum) == zlib.crc32(body) and body == body[:1] * len(body)


def telling_writer(address, seed, seconds):
    rng = random.Random(seed)
    with nosqgrid.attach(address) as grid:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            key = "t%d" % rng.randrange(20)
            draw = rng.random()
            if draw < 0.05:
                grid.delete(key)
            elif draw < 0.15:
                grid.set_many({"t%d" % rng.randrange(20): telling(rng, b"m") for _ in range(5)})
            else:
                grid.set(key, telling(rng, bytes([rng.randrange(97, 123)])), ttl=rng.choice((None, None, 0.02)))


def telling_reader(address, seed, near_cache, seconds):
    rng, reads = random.Random(seed), 0
    with nosqgrid.attach(address, near_cache=near_cache) as grid:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(50):
                value = grid.get("t%d" % rng.randrange(20))
                if value is not None:
                    if not tell(value):
                        raise AssertionError("torn: %r" % value[:60])
                    reads += 1
    print(reads, flush=True)


class LinearizabilityTest(ProcessTestCase):
    def run_actors(self, launched, actors):
        children = [self.spawn(function, *arguments) for function, arguments in actors]
        for child in children:
            child.wait()
            self.assertEqual((child.process.returncode, child.errors()), (0, ""))

    @slow
    def test_histories_of_four_processes(self):
        directory = self.path("histories")
        os.mkdir(directory)
        with launcher.start(memory="4m") as launched:
            self.run_actors(launched, [
                (mixed_actor, (launched.address, directory, "p%d" % number, number, near_cache, SECONDS, 0.001))
                for number, near_cache in enumerate((0, 1 << 20, 1 << 20, 0))])
        operations = history.merge(directory)
        shutil.rmtree(directory)
        self.assertGreater(len(operations), 500)
        assert_linearizable(operations)

    @slow
    def test_versions_of_four_processes(self):
        directory = self.path("histories")
        os.mkdir(directory)
        with launcher.start(memory="4m") as launched:
            self.run_actors(launched, [(versioned_actor, (launched.address, directory, "p%d" % number, number, SECONDS))
                                       for number in range(4)])
        operations = history.with_versions(history.merge(directory))
        shutil.rmtree(directory)
        self.assertGreater(len(operations), 2000)
        assert_versions(operations)

    @slow
    def test_no_read_is_torn_while_segments_are_cleaned_and_used_again(self):
        with launcher.start(memory="4m", extra_args=["--policy", "refuse"]) as launched:
            with nosqgrid.attach(launched.address) as grid:
                self.run_actors(launched, [
                    (telling_writer, (launched.address, 1, SECONDS)), (telling_writer, (launched.address, 2, SECONDS)),
                    (telling_reader, (launched.address, 3, 0, SECONDS)),
                    (telling_reader, (launched.address, 4, 1 << 20, SECONDS))])
                self.assertGreater(grid.stats()["writes"], 300)
                for key, value in grid.items():
                    self.assertTrue(tell(value), key)

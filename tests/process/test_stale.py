"""Rather old than late: values that are used beyond their time while one caller makes them anew, or before it."""

import threading
import time
import unittest
from unittest import mock

from nosqgrid import errors
from nosqgrid.client import compute
from tests.process.test_compute import Boom, ComputeTestCase
from tests.support.processes import TIMEOUT_S


class StaleTests(ComputeTestCase):
    def make(self, function, **options):
        options = dict(dict(ttl=0.2, stale=30), **options)
        return self.grid.get_or_compute("k", function, **options)

    def wait_until_stale(self):
        deadline = time.monotonic() + TIMEOUT_S
        while self.grid.get_stale("k", 30)[1]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_a_fresh_value_is_given_as_it_is_and_kept_for_the_stale_time_too(self):
        self.assertEqual(self.make(lambda: "one", ttl=60), "one")
        self.assertEqual(self.make(lambda: "two", ttl=60), "one")
        self.assertTrue(85 < self.grid.ttl("k") <= 90)
        self.assertEqual(self.grid.get_stale("k", 30), ("one", True))

    def test_while_one_makes_it_anew_the_others_get_the_old_one_at_once(self):
        self.assertEqual(self.make(lambda: "old"), "old")
        self.wait_until_stale()
        self.assertEqual(self.grid.get_stale("k", 30), ("old", False))
        working, go_on, got = threading.Event(), threading.Event(), []

        def slowly():
            working.set()
            self.assertTrue(go_on.wait(TIMEOUT_S))
            return "new"

        thread = threading.Thread(target=lambda: got.append(self.make(slowly, ttl=60)))
        thread.start()
        self.assertTrue(working.wait(TIMEOUT_S))
        self.assertEqual([self.make(self.fail) for _ in range(3)], ["old"] * 3)
        go_on.set()
        thread.join(TIMEOUT_S)
        self.assertEqual((got, self.make(self.fail, ttl=60)), (["new"], "new"))

    def test_where_making_it_anew_fails_its_caller_is_told_and_the_others_have_the_old_one(self):
        self.make(lambda: "old")
        self.wait_until_stale()

        def fail():
            raise Boom()

        self.assertRaises(Boom, self.make, fail)
        self.assertEqual(self.grid.get_stale("k", 30), ("old", False))
        self.assertEqual(self.make(lambda: "new"), "new")

    def test_a_function_that_asks_for_its_own_stale_key_gets_the_old_one(self):
        self.make(lambda: "old")
        self.wait_until_stale()
        self.assertEqual(self.make(lambda: self.make(self.fail) + "er"), "older")

    def test_a_stale_value_is_given_where_nobody_serves_any_more(self):
        self.make(lambda: "old")
        self.wait_until_stale()
        self.launched.stop()
        self.assertEqual(self.make(self.fail), "old")

    def test_get_stale_without_the_key_gives_the_default(self):
        self.assertEqual(self.grid.get_stale("k", 30, "none"), ("none", False))
        self.grid["k"] = "for ever"
        self.assertEqual(self.grid.get_stale("k", 30), ("for ever", True))

    def test_cached_takes_stale(self):
        calls = []

        @self.grid.cached(ttl=0.2, stale=30, name="f", key=lambda: "x")
        def function():
            calls.append(1)
            return len(calls)

        self.assertEqual(function(), 1)
        deadline = time.monotonic() + TIMEOUT_S
        while function() == 1:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertEqual(len(calls), 2)

    def test_what_makes_no_sense_is_refused_before_anything_is_computed(self):
        for options in (dict(ttl=None), dict(stale=0), dict(stale=-1), dict(early=-1), dict(early=True),
                        dict(early="1")):
            self.assertRaises(errors.UsageError, self.make, self.fail, **options)


class EarlyTests(ComputeTestCase):
    def test_it_is_made_anew_before_its_time_by_who_knows_how_long_it_takes(self):
        calls = []

        def function():
            calls.append(1)
            return len(calls)

        def get(draw):
            with mock.patch("random.random", lambda: draw):
                return self.grid.get_or_compute("k", function, ttl=100, early=1.0)

        self.assertEqual(get(0.5), 1)
        name = (self.grid.address, b"k")
        self.assertIn(name, compute._durations)
        compute._durations[name] = 10.0  # a computation of 10 s; the value has some 100 s left: exp(-10) is the border
        self.assertEqual((get(0.5), get(0.999)), (1, 1))
        self.assertEqual(get(0.99996), 2)
        compute._durations.clear()
        self.assertEqual(get(0.99999999), 2)  # nobody here knows


if __name__ == "__main__":
    unittest.main()

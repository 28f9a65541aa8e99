"""get_or_compute and cached: of all processes and threads that miss a key one computes, whatever happens to it."""

import os
import threading
import time

import nosqgrid
from nosqgrid import errors
from nosqgrid.client import launcher
from tests.support.processes import TIMEOUT_S, ProcessTestCase

COMPUTER = """
import sys, time, nosqgrid
address, key, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
def compute():
    grid.incr("computations")
    print("computing", flush=True)
    time.sleep(seconds)
    return name
with nosqgrid.attach(address) as grid:
    name = sys.argv[4]
    print("ready", flush=True)
    sys.stdin.readline()
    print("got " + grid.get_or_compute(key, compute), flush=True)
"""


class Boom(Exception):
    pass


class ComputeTestCase(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        del self.grid, self.launched
        super().tearDown()

    def computer(self, name, seconds):
        """A process that is ready to compute the key "k" and sleeps so long over it."""
        child = self.spawn(COMPUTER, self.launched.address, "k", seconds, name)
        self.assertEqual(child.read_line(), "ready")
        return child

    def in_threads(self, function, count):
        """What function() returned in each of so many threads, or the exception it raised."""
        results = []

        def run():
            try:
                results.append(function())
            except Exception as error:
                results.append(error)

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
            self.assertFalse(thread.is_alive(), "a thread hangs")
        return results


class ProcessTests(ComputeTestCase):
    def test_of_four_processes_one_computes_and_all_get_its_value(self):
        processes = [self.computer("c%d" % number, 0.2) for number in range(4)]
        for child in processes:
            child.write_line("go")
        lines = [line for child in processes for line in child.finish().splitlines()]
        self.assertEqual(lines.count("computing"), 1)
        self.assertEqual(sorted(lines)[1:], ["got %s" % self.grid["k"]] * 4)
        self.assertEqual(self.grid["computations"], 1)

    def test_when_the_computing_process_is_killed_another_computes_within_a_second(self):
        first = self.computer("first", 60)
        first.write_line("go")
        self.assertEqual(first.read_line(), "computing")
        second = self.computer("second", 0)
        second.write_line("go")
        time.sleep(0.1)
        self.assertEqual(self.grid["computations"], 1)
        begun = time.monotonic()
        first.kill()
        self.assertEqual(second.read_line(), "computing")
        self.assertLess(time.monotonic() - begun, 1)
        first.wait()
        self.assertEqual(second.finish(), "got second\n")
        self.assertEqual((self.grid["k"], self.grid["computations"]), ("second", 2))


class NextCoordinatorTests(ComputeTestCase):
    def test_a_grid_that_read_the_last_state_of_a_dead_coordinator_computes_on_the_next_one(self):
        self.grid["before"] = 1
        self.launched.process.kill()
        self.launched.process.wait()
        self.assertEqual(self.grid["before"], 1)
        with launcher.start(socket_path=self.launched.address, memory="16m") as second:
            with nosqgrid.attach(second.address) as other:
                other["there"] = "its value"
                self.assertEqual(self.in_threads(lambda: self.grid.get_or_compute("there", lambda: "mine"), 1),
                                 ["its value"])
                self.assertNotIn("before", self.grid)
                calls = []
                for _ in range(3):
                    self.assertEqual(self.grid.get_or_compute("new", lambda: calls.append(1) or "computed"), "computed")
                self.assertEqual((calls, other["new"]), ([1], "computed"))


class ThreadTests(ComputeTestCase):
    def test_threads_that_share_a_grid_compute_once_and_do_not_deadlock(self):
        calls = []

        def compute():
            calls.append(1)
            time.sleep(0.1)
            return len(calls)

        self.assertEqual(self.in_threads(lambda: self.grid.get_or_compute("k", compute), 8), [1] * 8)
        self.assertEqual(calls, [1])

    def test_an_exception_goes_to_its_caller_and_the_next_one_computes(self):
        calls, lock = [], threading.Lock()

        def compute():
            with lock:
                calls.append(1)
                first = len(calls) == 1
            time.sleep(0.1)
            if first:
                raise Boom("first")
            return "value"

        results = self.in_threads(lambda: self.grid.get_or_compute("k", compute), 3)
        self.assertEqual(sorted(type(result).__name__ for result in results), ["Boom", "str", "str"])
        self.assertEqual((len(calls), self.grid["k"]), (2, "value"))

    def test_a_value_that_cannot_be_stored_gives_the_claim_back(self):
        self.assertRaises(errors.UnsupportedTypeError, self.grid.get_or_compute, "k", object)
        self.assertEqual(self.grid.get_or_compute("k", lambda: 5, timeout=5), 5)

    def test_computing_a_key_that_asks_for_itself_is_an_error(self):
        grid = self.grid
        with self.assertRaises(errors.ComputationCycleError):
            grid.get_or_compute("a", lambda: grid.get_or_compute("b", lambda: grid.get_or_compute("a", int)))
        self.assertEqual(len(grid), 0)
        self.assertEqual(grid.get_or_compute("a", lambda: grid.get_or_compute("b", lambda: 7), timeout=5), 7)

    def test_who_waits_too_long_gets_a_timeout(self):
        begun, done = threading.Event(), threading.Event()

        def compute():
            begun.set()
            done.wait(TIMEOUT_S)
            return 1

        thread = threading.Thread(target=self.grid.get_or_compute, args=("k", compute))
        thread.start()
        try:
            self.assertTrue(begun.wait(TIMEOUT_S))
            started = time.monotonic()
            self.assertRaises(errors.CoordinatorTimeoutError, self.grid.get_or_compute, "k", int, timeout=0.1)
            for nothing in (0, -1):
                self.assertRaises(errors.CoordinatorTimeoutError, self.grid.get_or_compute, "k", int, timeout=nothing)
            self.assertLess(time.monotonic() - started, 5)
            self.assertNotIn("k", self.grid)
        finally:
            done.set()
            thread.join(TIMEOUT_S)
        self.assertEqual(self.grid["k"], 1)

    def test_a_bad_ttl_is_refused_before_anything_is_computed_and_a_good_one_holds(self):
        calls = []
        self.assertRaises(errors.UsageError, self.grid.get_or_compute, "k", lambda: calls.append(1), ttl=-1)
        self.assertEqual(calls, [])
        self.assertEqual(self.grid.get_or_compute("k", lambda: 5, ttl=60), 5)
        self.assertTrue(50 < self.grid.ttl("k") <= 60)

    def test_none_is_a_value_like_any_other(self):
        self.assertIsNone(self.grid.get_or_compute("k", lambda: None))
        self.assertIsNone(self.grid.get_or_compute("k", lambda: 1 / 0))


class CachedTests(ComputeTestCase):
    def test_results_are_kept_by_arguments(self):
        calls = []

        @self.grid.cached
        def add(left, right=0):
            """Adds."""
            calls.append((left, right))
            return left + right

        self.assertEqual([add(1), add(1), add(1, right=2), add(1, right=2), add("a", "b")], [1, 1, 3, 3, "ab"])
        self.assertEqual(calls, [(1, 0), (1, 2), ("a", "b")])
        self.assertEqual((add.__name__, add.__doc__), ("add", "Adds."))
        self.assertEqual(self.grid[add.key_of(1, right=2)], 3)

    def test_forget_lets_a_result_be_computed_again(self):
        calls = []

        @self.grid.cached(ttl=60)
        def count(name):
            calls.append(name)
            return len(calls)

        self.assertEqual((count("a"), count("a"), count("b")), (1, 1, 2))
        self.assertTrue(50 < self.grid.ttl(count.key_of("a")) <= 60)
        self.assertEqual((count.forget("a"), count.forget("a")), (True, False))
        self.assertEqual((count("a"), count("b")), (3, 2))

    def test_name_and_key_make_the_key(self):
        cached = self.grid.cached(name="square", key=lambda number: str(number))
        square = cached(lambda number: number * number)
        self.assertEqual((square(3), self.grid["square:3"], square.key_of(3)), (9, 9, "square:3"))
        twice = self.grid.map("m").cached(name="twice", key=lambda number: [number])(lambda number: 2 * number)
        self.assertEqual((twice(3), twice(3)), (6, 6))
        self.assertTrue(all(key.startswith(("square:", "m:twice:")) for key in self.grid))

    def test_two_processes_make_the_same_key(self):
        def function(*args, **kwargs):
            return os.getpid()

        wrapped = self.grid.cached(name="f")(function)
        program = ("import sys, nosqgrid\n"
                   "with nosqgrid.attach(sys.argv[1]) as grid:\n"
                   "    print(grid.cached(name='f')(int).key_of(1, 'a', b=[2.5], a=None))")
        child = self.spawn(program, self.launched.address)
        self.assertEqual(child.finish().strip(), wrapped.key_of(1, "a", a=None, b=[2.5]))


if __name__ == "__main__":
    import unittest
    unittest.main()

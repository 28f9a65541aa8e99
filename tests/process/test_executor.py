"""grid.executor against the standard library's own tests of executors, and what they do not ask."""

import concurrent.futures
import functools
import importlib
import os
import signal
import sys
import threading
import time
import unittest

import nosqgrid
from nosqgrid.client.workers import outcomes
from nosqgrid.client.workers.executor import ExecutorBrokenError
from tests.support.processes import wait_until
from tests.support.tiers import slow
from tests.support.working import TASKS, WorkingTestCase, is_there

FUNCTIONS = "tests.support.work_functions"
STANDARD = {"ExecutorTest": "executor", "WaitTests": "test_wait", "AsCompletedTests": "test_as_completed",
            "ExecutorShutdownTest": "test_shutdown"}
LEFT_OUT = {
    "test_max_workers_negative": "it is called workers here, and 0 means those of others",
    "test_no_stale_references": "a method of an object does not travel",
    "test_free_reference": "it returns an object that the grid does not carry",
    "test_interpreter_shutdown": "its script makes an executor by its class",
    "test_submit_after_interpreter_shutdown": "its script makes an executor by its class",
    "test_hang_gh83386": "its script makes an executor by its class", "test_hang_issue39205": "the same",
    "test_cancel_futures": "workers that are only starting have begun with nothing, and then all are cancelled",
    "test_hang_gh94440": "its script makes an executor by its class",
}
if sys.version_info < (3, 9):
    LEFT_OUT["test_submit_keyword"] = "the function is no keyword here, as from Python 3.9 on"


def standard_mixin(name):
    """A class of the standard library's tests, or None where this Python has none."""
    for module in ("test.test_concurrent_futures." + STANDARD[name], "test.test_concurrent_futures"):
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return None


class StandardTestCase(WorkingTestCase):
    """What the standard library's mixins expect: `executor`, made by `executor_type`."""

    worker_count = 4

    def setUp(self):
        name = self._testMethodName
        if name in LEFT_OUT:
            self.skipTest(LEFT_OUT[name])
        super().setUp()
        self.executor = self.executor_type(self.worker_count)

    def executor_type(self, max_workers):
        return self.grid.executor(workers=max_workers)

    def _prime_executor(self):
        """What older ones call first."""

    def tearDown(self):
        self.executor.shutdown()
        self.executor = None
        super().tearDown()


def standard_case(name):
    """The TestCase that runs a mixin of the standard library against grid.executor."""
    mixin = standard_mixin(name)
    if mixin is None:
        skipped = unittest.skip("this Python has no test package")(lambda self: None)
        return type(name, (unittest.TestCase,), {"__module__": __name__, "test_nothing": skipped})
    return type(name, (mixin, StandardTestCase), {"__module__": __name__})


StandardExecutorTest = standard_case("ExecutorTest")
StandardWaitTest = standard_case("WaitTests")
StandardAsCompletedTest = standard_case("AsCompletedTests")
StandardShutdownTest = standard_case("ExecutorShutdownTest")


class ExecutorTests(WorkingTestCase):
    """With workers of its own."""

    def setUp(self):
        super().setUp()
        from tests.support import work_functions
        self.functions = work_functions

    def test_results_exceptions_and_maps(self):
        with self.grid.executor(workers=2) as executor:
            self.assertEqual(executor.submit(pow, 2, 8).result(), 256)
            self.assertEqual(list(executor.map(self.functions.square, range(1000), chunksize=50)),
                             [number * number for number in range(1000)])
            self.assertEqual(list(executor.map(self.functions.square, [])), [])
            future = executor.submit(self.functions.raise_key_error, "k")
            with self.assertRaises(KeyError) as caught:
                future.result()
            self.assertEqual(caught.exception.args, ("k",))
            self.assertIsInstance(caught.exception.__cause__, outcomes.RemoteTraceback)
            self.assertIn("in raise_key_error", str(caught.exception.__cause__))
            with self.assertRaises(ValueError):
                executor.map(self.functions.square, [1], chunksize=0)

    def test_what_does_not_travel_is_refused_at_once(self):
        def local():
            """Not found by its name."""
        with self.grid.executor(workers=1) as executor:
            for function, told in ((lambda: 1, "lambda"), (local, "local function"), ([].append, "object"),
                                   (functools.partial(pow, 2), "no name"), (5, "object")):
                with self.assertRaises(nosqgrid.UsageError) as caught:
                    executor.submit(function)
                self.assertIn(told, str(caught.exception))
            with self.assertRaises(nosqgrid.UnsupportedTypeError):
                executor.submit(pow, object())
            with self.assertRaises(TypeError):
                executor.submit()
            with self.assertRaises(nosqgrid.UnsupportedTypeError):
                executor.submit(threading.Lock).result()

    def test_a_call_that_kills_its_workers_fails_alone(self):
        with self.grid.executor(workers=2, max_attempts=2) as executor:
            killer, other = executor.submit(self.functions.die), executor.submit(pow, 3, 2)
            with self.assertRaises(nosqgrid.JobFailedError):
                killer.result(60)
            self.assertEqual(other.result(60), 9)
            self.assertEqual(executor.submit(pow, 2, 2).result(60), 4)

    def test_a_worker_that_is_killed_does_not_hurt(self):
        with self.grid.executor(workers=2) as executor:
            pid = executor.submit(self.functions.whoami).result(60)
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(list(executor.map(self.functions.square, range(20))), [n * n for n in range(20)])

    @slow
    def test_cancel(self):
        with self.grid.executor(workers=1) as executor:
            first = executor.submit(time.sleep, 1.0)
            wait_until(first.running)
            others = [executor.submit(time.sleep, 0) for _ in range(5)]
            self.assertFalse(first.cancel())
            self.assertFalse(others[4].running())
            self.assertTrue(others[3].cancel())
            self.assertTrue(others[3].cancel())
            done, _ = concurrent.futures.wait(others, 60)
            self.assertEqual(len(done), 5)
            self.assertTrue(others[3].cancelled())
            self.assertIsNone(first.result())
            self.assertFalse(first.cancel())

    def test_shutdown_cancels_what_nobody_has_begun(self):
        executor = self.grid.executor(workers=1)
        futures = [executor.submit(time.sleep, 0.2) for _ in range(20)]
        wait_until(futures[0].running)
        executor.shutdown(cancel_futures=True)
        self.assertTrue(all(future.done() for future in futures))
        self.assertGreater(sum(future.cancelled() for future in futures), 10)
        with self.assertRaises(RuntimeError):
            executor.submit(pow, 1, 1)

    def test_nothing_is_left_behind(self):
        with self.grid.executor(workers=1) as executor:
            executor.submit(pow, 1, 1).result(60)
        self.assertEqual(self.command("JOB.QUEUES"), [])
        self.assertNotIn("nosqgrid-executor", [thread.name for thread in threading.enumerate()])

    @slow
    def test_workers_that_are_gone_break_the_executor(self):
        executor = self.grid.executor(workers=1)
        pid = executor.submit(self.functions.whoami).result(60)
        future = executor.submit(time.sleep, 60)
        wait_until(future.running)
        executor._watcher.workers._process.kill()
        with self.assertRaises(ExecutorBrokenError):
            future.result(60)
        with self.assertRaises(ExecutorBrokenError):
            executor.submit(pow, 1, 1)
        executor.shutdown()
        os.kill(pid, signal.SIGKILL)  # it would finish what it has
        wait_until(lambda: not is_there(pid))

    def test_a_program_that_ends_waits_for_its_calls(self):
        program = ("import sys, time, nosqgrid\n"
                   "grid = nosqgrid.attach(sys.argv[1])\n"
                   "executor = grid.executor(workers=1)\n"
                   "executor.submit(time.sleep, 0.5)\n"
                   "executor.submit(print, 'done')\n")
        child = self.spawn(program, self.launched.address)
        self.assertEqual(child.finish(), "done\n")


class SharedWorkersTests(WorkingTestCase):
    """With those of `nosqgrid worker`."""

    def setUp(self):
        super().setUp()
        from tests.support import work_functions
        self.functions = work_functions
        self.worker = self.work("-q", "executor", "-c", "2", module=FUNCTIONS)

    def tearDown(self):
        self.end(self.worker)
        super().tearDown()

    def test_two_executors_get_their_own_results(self):
        with self.grid.executor() as one, self.grid.executor() as other:
            first = one.map(self.functions.square, range(100))
            second = other.map(self.functions.square, range(100, 200))
            self.assertEqual(list(second), [n * n for n in range(100, 200)])
            self.assertEqual(list(first), [n * n for n in range(100)])

    def test_only_functions_of_its_module_are_run(self):
        with self.grid.executor() as executor:
            with self.assertRaises(PermissionError) as caught:
                executor.submit(os.getcwd).result(60)
            self.assertIn("not of posix", str(caught.exception))

    def test_sealed_calls_are_for_others(self):
        job = self.command("JOB.PUT", "executor", "0", b"x" * 40, "KIND", b"sealed call posix:getcwd", "KEEP", "60000")
        found = self.ended(job[0])
        self.assertIn("sealed by another executor", found["result"])

    def test_many_threads_submit(self):
        with self.grid.executor() as executor, concurrent.futures.ThreadPoolExecutor(8) as threads:
            futures = list(threads.map(lambda n: executor.submit(self.functions.square, n), range(200)))
            self.assertEqual([future.result(60) for future in futures], [n * n for n in range(200)])


class RestartTests(WorkingTestCase):
    DURABLE = True

    @slow
    def test_calls_go_on_with_the_next_coordinator(self):
        from tests.support import work_functions
        worker = self.work("-q", "executor", "-c", "1", module=FUNCTIONS)
        executor = self.grid.executor()
        futures = [executor.submit(work_functions.slow_square, n) for n in range(20)]
        futures[2].result(60)
        self.kill_coordinator()
        self.restart()
        self.assertEqual([future.result(60) for future in futures], [n * n for n in range(20)])
        self.assertEqual(executor.submit(work_functions.square, 7).result(60), 49)
        executor.shutdown()
        self.end(worker)


class LostTests(WorkingTestCase):
    def test_calls_that_a_coordinator_took_with_it_say_so(self):
        executor = self.grid.executor()
        future = executor.submit(pow, 2, 2)  # nobody is there to run it
        self.kill_coordinator()
        self.restart()
        with self.assertRaises(nosqgrid.CoordinatorLostError):
            future.result(60)
        executor.shutdown()


if __name__ == "__main__":
    unittest.main()

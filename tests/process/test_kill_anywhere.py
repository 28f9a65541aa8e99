"""A client that is killed at each line of a write, and of a read: nothing to repair, and the value is old or new.

A child attaches, traces itself and sends itself SIGKILL at the n-th line of the package that it executes in one call;
n runs from 1 until the call comes through.  Another client writes all the time, so that the coordinator is awake and
takes whatever stands in a lane before it hears of the death.
"""

import os
import signal
import sys
import unittest

import nosqgrid
from nosqgrid.client import attachment, fastget, mapping
from nosqgrid.memory import lane, ring
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
from tests.support.tiers import slow

TRACED = frozenset(module.__file__ for module in (attachment, fastget, mapping, lane, ring))
LINES_MAX = 400
BUSY = """
import sys, nosqgrid
grid = nosqgrid.attach(sys.argv[1])
print("ready", flush=True)
while True:
    grid.set("busy", 1)
"""
OLD, NEW = "old" * 30, "new" * 40


def die_at_line(number):
    """Let this process be killed before the number-th line of the traced modules from now on."""
    left = [number]

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


class KillAnywhereTest(GridTestCase):
    def setUp(self):
        super().setUp()
        self.busy = self.spawn(BUSY, self.launched.address)
        self.busy.read_line()

    def tearDown(self):
        self.busy.kill()
        self.busy.wait()
        super().tearDown()

    def killed_at_each_line(self, call):
        """How many lines the call has; after each kill the grid is looked at."""
        for number in range(1, LINES_MAX):
            self.grid["k"] = OLD
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    grid = nosqgrid.attach(self.launched.address, near_cache=0)
                    die_at_line(number)
                    call(grid)
                    sys.settrace(None)
                    status = 0
                finally:
                    os._exit(status)
            _, status = os.waitpid(pid, 0)
            self.attached(2)
            if os.WIFEXITED(status):
                self.assertEqual(os.WEXITSTATUS(status), 0)
                return number
            self.assertEqual(os.WTERMSIG(status), signal.SIGKILL)
            self.assertIn(self.grid["k"], (OLD, NEW))
            self.assertEqual(self.grid.incr("alive"), number)
            self.assertEqual(set(self.grid), {"k", "alive", "busy"})
        raise AssertionError("the call has more than %d lines" % LINES_MAX)

    @slow
    def test_set(self):
        self.assertGreater(self.killed_at_each_line(lambda grid: grid.set("k", NEW)), 20)
        self.assertEqual(self.grid["k"], NEW)

    @slow
    def test_get(self):
        self.assertGreater(self.killed_at_each_line(lambda grid: grid.get("k")), 15)

    @slow
    def test_a_batch_is_applied_whole_or_not_at_all(self):
        def batch(grid):
            with grid.pipeline() as pipe:
                pipe.set("k", NEW)
                pipe.set("k2", NEW)

        self.grid["k2"] = OLD
        for number in range(5, LINES_MAX, 3):
            self.grid.set_many({"k": OLD, "k2": OLD})
            pid = os.fork()
            if pid == 0:
                try:
                    grid = nosqgrid.attach(self.launched.address)
                    die_at_line(number)
                    batch(grid)
                finally:
                    os._exit(0)
            _, status = os.waitpid(pid, 0)
            wait_until(lambda: self.grid.stats()["clients"] == 2)
            self.assertEqual(self.grid["k"], self.grid["k2"])
            if os.WIFEXITED(status):
                break
        self.assertEqual(self.grid["k"], NEW)


if __name__ == "__main__":
    unittest.main()

"""Calls on large values and views that are interrupted at each of their lines: nothing out of step, nothing left."""

import gc
import os
import sys
import unittest

import nosqgrid
from nosqgrid.client import share
from nosqgrid.formats import lane
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
from tests.support.tiers import slow

PACKAGE = os.path.dirname(nosqgrid.__file__)
# What runs when an object ends: what is raised there Python prints and drops.
FINALIZERS = ("__del__",)
DATA = b"12345678" * 40000
IN_HEAP = b"abcdefgh" * 5000


class Interrupted(BaseException):
    pass


def at_an_end(frame):
    while frame is not None:
        if frame.f_code.co_name in FINALIZERS:
            return True
        frame = frame.f_back
    return False


@unittest.skipIf(sys.version_info < (3, 8), "before 3.8 the end of a with or try block has no line of its own")
@slow
class EachLineTest(GridTestCase):
    memory = "16m"

    def struck(self, function, line):
        """Call function(), interrupted before its line-th line within the package; whether it had so many."""
        count = [0]

        def trace(frame, event, argument):
            code = frame.f_code
            if not code.co_filename.startswith(PACKAGE) or at_an_end(frame):
                return None
            if event == "line":
                count[0] += 1
                if count[0] == line:
                    sys.settrace(None)
                    raise Interrupted()
            return trace
        sys.settrace(trace)
        try:
            function()
        except Interrupted:
            return True
        finally:
            sys.settrace(None)
        return count[0] >= line

    def each_line(self, function, lines_min):
        """Interrupt function() at each line, and see each time that what follows is in step; nothing may be left."""
        self.grid["check"] = 0
        function()
        gc.collect()
        mine, line = self.mine(), 0
        while True:
            line += 1
            if not self.struck(function, line):
                break
            self.in_step(line)
        self.assertGreater(line, lines_min)
        gc.collect()
        self.left(mine)

    def in_step(self, line):
        version = self.grid.set("check", line)
        self.assertEqual(self.grid.get_versioned("check"), (line, version))
        if line % 10 == 0:
            self.grid["large"] = DATA[:300000]
            self.assertEqual(self.grid["large"], DATA[:300000])
            self.assertEqual(self.grid.view("heap").memoryview, IN_HEAP)

    def mine(self):
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink("/proc/self/fd/" + name).partition(":")[0])
            except OSError:
                continue  # the one that the listing used
        return sorted(found)

    def left(self, mine):
        self.attached(1)
        words = self.grid._store.attachment.lane.words
        table = words[lane.PINS_WORD:lane.PINS_WORD + lane.PIN_WORDS * words[lane.PINS_USED]].tolist()[::2]
        self.assertEqual([hex(what) for what in table if what], [])
        self.grid.clear()
        self.grid.create("c", 5).discard()
        wait_until(lambda: self.grid.stats()["retained_bytes"] == 0, 10.0, "every pin to be gone")
        for name in ("large_values", "large_filling_bytes", "large_dropped_bytes", "large_shared"):
            wait_until(lambda: self.grid.stats()[name] == 0, 10.0, name + " to be 0")
        self.assertEqual(self.mine(), mine)

    def setUp(self):
        super().setUp()
        self.grid["heap"] = IN_HEAP
        self.grid["read"] = DATA

    @slow
    def test_set(self):
        self.each_line(lambda: self.grid.set("k", DATA), 80)

    def test_get(self):
        self.each_line(lambda: self.grid.get("read"), 40)

    def test_view_of_a_large_value(self):
        self.each_line(lambda: self.grid.view("read").release(), 40)

    def test_view_in_the_heap(self):
        self.each_line(lambda: self.grid.view("heap").release(), 40)

    @slow
    def test_create(self):
        def create():
            with self.grid.create("k", 300000) as creation:
                creation.buffer[:1] = b"x"
        self.each_line(create, 80)

    @slow
    def test_share(self):
        self.each_line(lambda: self.grid.share(DATA).get(), 100)
        self.assertEqual(share._grids, {})


if __name__ == "__main__":
    unittest.main()

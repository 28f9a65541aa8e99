"""A read makes no system call: strace counts those between two marks."""

import os
import shutil
import subprocess
import sys
import unittest

from tests.process.test_survival import GridTestCase
from tests.support.processes import REPOSITORY

READS = """
import os, sys, nosqgrid
near, far = nosqgrid.attach(sys.argv[1]), nosqgrid.attach(sys.argv[1], near_cache=0)
near.set_many({"k%d" % n: n for n in range(100)})
near.set("with a ttl", 1, ttl=100)
near.set("a dict", {"a": 1})
def read():
    for n in range(100):
        for grid in (near, far):
            grid.get("k%d" % n), grid.get("with a ttl"), grid.get("a dict"), grid.get("nothing"), "k1" in grid
            grid.get_versioned("k1"), grid.ttl("with a ttl"), grid.get_many(("k1", "nothing"))
read()
os.write(1, b"BEGIN")
for _ in range(20):
    read()
os.write(1, b"END")
"""


def strace_works():
    if shutil.which("strace") is None:
        return False
    return subprocess.call(["strace", "-o", os.devnull, "true"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) == 0


@unittest.skipUnless(strace_works(), "needs an strace that may trace")
class NoSystemCallTest(GridTestCase):
    def test_forty_thousand_reads(self):
        log = self.path("strace")
        subprocess.check_call(["strace", "-o", log, sys.executable, "-c", READS, self.launched.address], cwd=REPOSITORY,
                              stdout=subprocess.DEVNULL)
        with open(log) as file:
            lines = file.read().split("\n")
        os.unlink(log)
        begin = next(index for index, line in enumerate(lines) if '"BEGIN"' in line)
        end = next(index for index, line in enumerate(lines) if '"END"' in line)
        # An interpreter may ask for memory now and then; what must not be there is one call a read.
        between = [line for line in lines[begin + 1:end] if not line.startswith(("brk", "mmap", "munmap", "madvise"))]
        self.assertEqual(between, [])

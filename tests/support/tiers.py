"""How much of the tests is run.

By default all of it, with figures that take a few minutes.  NOSQGRID_TEST_FULL=1 raises the figures.
NOSQGRID_TEST_QUICK=1 leaves out what is @slow: tests that compute for more than some 0.3 s, and tests with processes
that take more than 0.7 s.  NOSQGRID_TEST_QUICK=computing leaves out the former alone, which depend on no version of
Python; so the oldest Python runs what has to do with processes and their ends, and the newest everything.
"""

import os
import unittest

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
QUICK = os.environ.get("NOSQGRID_TEST_QUICK", "")
WITH_PROCESSES = ("tests.process.", "tests.hostile.")
MODES = ("", "1", "computing")

if QUICK not in MODES:
    raise ValueError("NOSQGRID_TEST_QUICK is 1, computing, or not set, and not %r" % QUICK)


def slow(test):
    """A decorator for a test, or a class of them, that takes long."""
    left_out = QUICK == "1" or QUICK == "computing" and not test.__module__.startswith(WITH_PROCESSES)
    return unittest.skipIf(left_out, "slow, and left out by NOSQGRID_TEST_QUICK=%s" % QUICK)(test)

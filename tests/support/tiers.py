"""How much of the tests is run.

By default all of it, with figures that take a few minutes.  NOSQGRID_TEST_FULL=1 raises the figures.
NOSQGRID_TEST_QUICK=1 leaves out what is @slow: for a Python between the oldest and the newest, on which what takes long
and does not depend on the version has been run already.
"""

import os
import unittest

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
QUICK = os.environ.get("NOSQGRID_TEST_QUICK") == "1"

slow = unittest.skipIf(QUICK, "slow, and left out by NOSQGRID_TEST_QUICK=1")

"""Times as callers give them: client/times, and that everything which takes one refuses what is none."""

import datetime
import unittest

from nosqgrid.client.times import milliseconds, milliseconds_above_0
from nosqgrid.errors import UsageError

NAN, INFINITY = float("nan"), float("inf")


class TimesTest(unittest.TestCase):
    def test_milliseconds(self):
        for seconds, expected in ((0, 0), (1, 1000), (1.5, 1500), (0.0001, 1), (0.0006, 1), (0.0016, 2),
                                  (1e11, 10 ** 14), (datetime.timedelta(seconds=2), 2000), (datetime.timedelta(0), 0)):
            self.assertEqual(milliseconds(seconds, "a time"), expected)

    def test_what_is_no_time(self):
        for wrong in (-1, -0.0001, NAN, INFINITY, -INFINITY, 1e13, "1", b"1", None, True, [], datetime.timedelta(-1)):
            for read in (milliseconds, milliseconds_above_0):
                with self.assertRaisesRegex(UsageError, "a time is a number of seconds, not "):
                    read(wrong, "a time")

    def test_above_0(self):
        self.assertEqual(milliseconds_above_0(0.0001, "a time"), 1)
        for wrong in (0, 0.0, datetime.timedelta(0)):
            with self.assertRaisesRegex(UsageError, "more than 0"):
                milliseconds_above_0(wrong, "a time")

"""Floats as C reads them."""

import unittest

from nosqgrid.engine.commands import command, floats
from nosqgrid.errors import CommandError

INFINITY = float("inf")


class FloatsTest(unittest.TestCase):
    def test_words_that_are_numbers(self):
        for word, value in ((b"1", 1.0), (b"-1.5", -1.5), (b"+5", 5.0), (b".5", 0.5), (b"1.", 1.0), (b"1e3", 1000.0),
                            (b"0x10", 16.0), (b"0X1P-2", 0.25), (b"-0x.8", -0.5), (b"inf", INFINITY),
                            (b"-Infinity", -INFINITY), (b"+INF", INFINITY), (b"0e-999", 0.0), (b"0x0p0", 0.0),
                            (b"4e-324", 5e-324), (b"9" * 300, 1e300), (b"0" * 400 + b"7", 7.0)):
            self.assertEqual(floats.number(word), value, word)
        self.assertEqual(str(floats.number(b"-0")), "-0.0")

    def test_words_that_are_none(self):
        for word in (b"", b" 1", b"1 ", b"1_0", b"nan", b"-nan", b"nan(1)", b"1e", b"e5", b"--1", b"+-1", b"0x",
                     b"0x.p1", b"infinit", b"1\x00", b"1e400", b"-1e400", b"1e-400", b"0x1p5000", b"0x1p-5000",
                     b"9" * 400, b"abc", b"\xd9\xa1", b".", b"+", b"1.5.2", b"0x1g"):
            with self.assertRaises(CommandError, msg=word) as caught:
                floats.number(word, "the message")
            self.assertEqual(str(caught.exception), "the message")

    def test_timeouts(self):
        for word, seconds in ((b"0", 0.0), (b"0.5", 0.5), (b"0x10", 16.0), (b"1e15", 1e15), (b"-0", 0.0),
                              (b"0.0001", 0.001)):
            self.assertEqual(command.timeout(word), seconds, word)
        for word, message in ((b"x", "timeout is not a float or out of range"), (b"-1", "timeout is negative"),
                              (b"nan", "timeout is not a float or out of range"), (b"inf", "timeout is negative"),
                              (b"1e30", "timeout is negative"), (b"", "timeout is not a float or out of range")):
            with self.assertRaises(CommandError, msg=word) as caught:
                command.timeout(word)
            self.assertEqual(str(caught.exception), message)


if __name__ == "__main__":
    unittest.main()

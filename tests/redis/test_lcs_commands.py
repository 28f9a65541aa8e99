"""LCS: replies and errors as in Redis, and against the table of numbers."""

import random
import unittest

from nosqgrid import limits
from tests.redis.string_families import StringFamilyTest, error
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk

NOT_STRINGS = error("The specified keys must contain string values")


def by_table(left, right):
    """(subsequence, [[[start, end], [start, end], length], ...]) by the table of lengths, as Redis goes through it."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, byte in enumerate(left):
        for j, other in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if byte == other else max(table[i][j + 1], table[i + 1][j])
    i, j, found, runs = len(left), len(right), [], []
    contiguous = False
    while i and j:
        if left[i - 1] == right[j - 1]:
            i, j = i - 1, j - 1
            found.append(left[i])
            if contiguous:
                runs[-1] = [[i, runs[-1][0][1]], [j, runs[-1][1][1]], runs[-1][2] + 1]
            else:
                runs.append([[i, i], [j, j], 1])
            contiguous = True
        else:
            contiguous = False
            if table[i - 1][j] > table[i][j - 1]:
                i -= 1
            else:
                j -= 1
    return bytes(reversed(found)), runs


class LcsCommandsTest(StringFamilyTest):

    def test_counts_of_words(self):
        self.refuse_counts({"LCS": 3}, {})

    def test_replies(self):
        idx = (b"*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n"
               b"*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n")
        self.run_table([
            ("MSET a ohmytext b mynewtext", b"+OK\r\n"), ("LCS a b", bulk(b"mytext")), ("LCS a b LEN", b":6\r\n"),
            ("LCS a b idx", idx), ("LCS a b IDX MINMATCHLEN 0", idx), ("LCS a b IDX MINMATCHLEN -3", idx),
            ("LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", b"*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n"
             b"*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n"),
            ("LCS a b IDX MINMATCHLEN 5", b"*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n"),
            ("LCS a b WITHMATCHLEN MINMATCHLEN 9", bulk(b"mytext")), ("LCS a none", bulk(b"")),
            ("LCS none nothing LEN", b":0\r\n"), ("LCS a a", bulk(b"ohmytext")),
            ("LCS none a IDX", b"*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"),
        ])
        self.context.session.protocol = 3
        self.assertEqual(self.context.call("LCS", "a", "b", "IDX"), b"%2" + idx[2:])

    def test_refusals(self):
        self.run_table([
            ("SET a x", b"+OK\r\n"), ("LCS a list", NOT_STRINGS), ("LCS list a", NOT_STRINGS),
            ("LCS list a BOGUS", NOT_STRINGS), ("LCS a a BOGUS", SYNTAX), ("LCS a a MINMATCHLEN", SYNTAX),
            ("LCS a a MINMATCHLEN x", NOT_AN_INTEGER),
            ("LCS a a LEN IDX", error("If you want both the length and indexes, please just use IDX.")),
        ])

    def test_sizes_are_bounded(self):
        cells = limits.VALUE_SIZE_BYTES_MAX // 4
        self.context.call("SET", "long", b"x" * (limits.MIB + 1))
        self.context.call("SET", "one", b"x")
        self.context.call("SET", "square", b"x" * int(cells ** 0.5))
        self.context.call("SET", "most", b"x" * (int(cells ** 0.5) - 1))
        self.run_table([
            ("LCS long one", error("String too long for LCS")), ("LCS one long LEN", error("String too long for LCS")),
            ("LCS square square LEN",
             error("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")),
            ("LCS most most LEN", b":4095\r\n"),
        ])

    def test_against_the_table(self):
        rng = random.Random(1)
        for step in range(400):
            alphabet = b"ab" if step % 2 else bytes(range(97, 97 + rng.randint(1, 26)))
            left, right = (bytes(rng.choice(alphabet) for _ in range(rng.randint(0, 40))) for _ in range(2))
            self.context.call("MSET", "a", left, "b", right)
            found, runs = by_table(left, right)
            self.assertEqual(self.context.run([b"LCS", b"a", b"b"]), found, (left, right))
            self.assertEqual(self.context.run([b"LCS", b"a", b"b", b"LEN"]), len(found))
            reply = dict(self.context.run([b"LCS", b"a", b"b", b"IDX", b"WITHMATCHLEN"]))
            self.assertEqual(reply, {b"matches": runs, b"len": len(found)}, (left, right))
            least = rng.randint(0, 4)
            reply = dict(self.context.run([b"LCS", b"a", b"b", b"IDX", b"MINMATCHLEN", b"%d" % least]))
            self.assertEqual(reply[b"matches"], [run[:2] for run in runs if run[2] >= least])


if __name__ == "__main__":
    unittest.main()

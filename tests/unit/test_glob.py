"""Patterns: a table of what Redis says, a slow and obvious matcher as oracle, and patterns made to hurt."""

import doctest
import random
import time
import unittest

from nosqgrid import errors, limits
from nosqgrid.engine import glob
from nosqgrid.engine.glob import Glob


def slow_match(pattern, subject):
    """Redis' stringmatchlen, by recursion and with every attempt at a star tried."""
    if not pattern:
        return not subject
    if pattern[:1] == b"*":
        return any(slow_match(pattern[1:], subject[start:]) for start in range(len(subject) + 1))
    if not subject:
        return False
    if pattern[:1] == b"?":
        return slow_match(pattern[1:], subject[1:])
    if pattern[:1] == b"[":
        accepted, rest = slow_set(pattern[1:], subject[0])
        return accepted and slow_match(rest, subject[1:])
    if pattern[:1] == b"\\" and len(pattern) > 1:
        pattern = pattern[1:]
    return pattern[0] == subject[0] and slow_match(pattern[1:], subject[1:])


def slow_set(pattern, byte):
    """Whether a set, whose `[` was read, accepts a byte, and the pattern behind the set."""
    inverted = pattern[:1] == b"^"
    pattern = pattern[1:] if inverted else pattern
    accepted = False
    while pattern and pattern[:1] != b"]":
        if pattern[:1] == b"\\" and len(pattern) > 1:
            accepted = accepted or pattern[1] == byte
            pattern = pattern[2:]
        elif len(pattern) > 2 and pattern[1:2] == b"-":
            low, high = min(pattern[0], pattern[2]), max(pattern[0], pattern[2])
            accepted = accepted or low <= byte <= high
            pattern = pattern[3:]
        else:
            accepted = accepted or pattern[0] == byte
            pattern = pattern[1:]
    return accepted != inverted, pattern[1:]


class GlobTest(unittest.TestCase):

    def test_table_of_matches(self):
        for pattern, matching, others in [
                (b"", [b""], [b"a"]),
                (b"*", [b"", b"a", b"\x00\xff\n"], []),
                (b"**", [b"", b"ab"], []),
                (b"abc", [b"abc"], [b"", b"ab", b"abcd", b"xabc", b"ABC"]),
                (b"a*", [b"a", b"abc"], [b"", b"ba"]),
                (b"*a", [b"a", b"ba", b"aa"], [b"", b"ab"]),
                (b"a*a", [b"aa", b"aba"], [b"a", b"ab"]),
                (b"*a*b*", [b"ab", b"xaxbx", b"aab"], [b"ba", b"a", b"b"]),
                (b"ab*ab", [b"abab", b"abxab"], [b"ab", b"aba", b"abb"]),
                (b"?", [b"a", b"\xff"], [b"", b"ab"]),
                (b"a?*", [b"ab", b"abc"], [b"a"]),
                (b"*??", [b"ab", b"abc"], [b"a"]),
                (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo", b"hllo"]),
                (b"h[^e]llo", [b"hallo", b"h^llo"], [b"hello", b"hllo"]),
                (b"h[a-c]llo", [b"hallo", b"hbllo", b"hcllo"], [b"hdllo", b"h-llo"]),
                (b"[c-a]", [b"a", b"b", b"c"], [b"d"]),
                (b"[a-]", [b"a", b"_", b"]"], [b"-", b"b"]),
                (b"[a-]]", [b"]", b"_", b"a"], [b"b", b"[", b"a]"]),
                (b"[]a]", [], [b"a", b"]a]", b"a]"]),
                (b"[^]", [b"a", b"]"], [b"", b"ab"]),
                (b"[", [], [b"", b"[", b"a"]),
                (b"[ab", [b"a", b"b"], [b"c", b"[ab"]),
                (b"[\\]]", [b"]"], [b"\\", b"\\]"]),
                (b"[\\a-c]", [b"a", b"-", b"c"], [b"b"]),
                (b"[\x80-\xff]*", [b"\x80", b"\xffx"], [b"\x7f"]),
                (b"\\*", [b"*"], [b"a", b"\\*"]),
                (b"\\", [b"\\"], [b""]),
                (b"a\\", [b"a\\"], [b"a"]),
                (b"\\\\*", [b"\\", b"\\x"], [b"x"]),
                (b"*[0-9]:[0-9]*", [b"1:2", b"x1:2x", b"1:x2:3"], [b"1:x", b":1"]),
                (b"*[ab]c[ab]*[ab]", [b"acab", b"xacbxb"], [b"aca", b"abab"])]:
            prepared = Glob(pattern)
            for subject in matching:
                self.assertTrue(prepared.matches(subject), (pattern, subject))
                self.assertTrue(slow_match(pattern, subject), (pattern, subject))
            for subject in others:
                self.assertFalse(prepared.matches(subject), (pattern, subject))
                self.assertFalse(slow_match(pattern, subject), (pattern, subject))

    def test_random_patterns_match_what_a_slow_matcher_matches(self):
        source = random.Random(7)
        matched = 0
        for _ in range(6000):
            pattern = bytes(source.choice(b"ab***??[]^-\\c") for _ in range(source.randint(0, 9)))
            subject = bytes(source.choice(b"aab]-^\\") for _ in range(source.randint(0, 9)))
            expected = slow_match(pattern, subject)
            self.assertEqual(Glob(pattern).matches(subject), expected, (pattern, subject))
            matched += expected
        self.assertGreater(matched, 400)

    def test_prepared_pattern_may_be_used_again(self):
        prepared = Glob(b"*[ab]?x*")
        for _ in range(2):
            self.assertEqual([prepared.matches(subject) for subject in (b"aax", b"zbzx", b"zzx", b"x")],
                             [True, True, False, False])

    def test_glob_match_is_the_same_in_one_call(self):
        for _ in range(2):
            for number in range(40):
                self.assertTrue(glob.glob_match(b"k%d*" % number, b"k%d:x" % number))
                self.assertFalse(glob.glob_match(b"k%d*" % number, b"j%d:x" % number))

    def test_hostile_patterns_take_no_time(self):
        subject = b"a" * 10 ** 5
        some_key = random.Random(1).getrandbits(8 * limits.KEY_SIZE_BYTES_MAX).to_bytes(limits.KEY_SIZE_BYTES_MAX,
        "big")
        for pattern, text in [
                (b"*a*a*a*b", subject), (b"a*" * 20 + b"b*", subject), (b"*" + b"?a" * 300 + b"b*", subject),
                (b"*[ab]" * 200 + b"c*", subject), (b"*" + b"a" * 8000 + b"b" + b"a" * 8000 + b"*", subject),
                (b"*?" * 50000 + b"*b*", subject),
                (b"*" + b"[^a]" * limits.GLOB_SETS_MAX + b"?" * 9999 + b"zxyz*", some_key)]:
            begun = time.perf_counter()
            self.assertFalse(Glob(pattern).matches(text))
            # A backtracking matcher needs minutes to ages.
            self.assertLess(time.perf_counter() - begun, 5.0, pattern[:40])

    def test_pattern_limits_are_exact(self):
        self.assertTrue(Glob(b"*" * limits.GLOB_PATTERN_BYTES_MAX).matches(b"x"))
        with self.assertRaises(errors.UsageError):
            Glob(b"*" * (limits.GLOB_PATTERN_BYTES_MAX + 1))
        self.assertTrue(Glob(b"[a]" * limits.GLOB_SETS_MAX).matches(b"a" * limits.GLOB_SETS_MAX))
        with self.assertRaises(errors.UsageError):
            Glob(b"[a]" * (limits.GLOB_SETS_MAX + 1))

    def test_examples_in_the_docstrings_hold(self):
        result = doctest.testmod(glob)
        self.assertEqual(result.failed, 0)
        self.assertGreater(result.attempted, 0)


if __name__ == "__main__":
    unittest.main()

"""Sorted sets: the same random commands to a real redis-server and to the engine."""

import unittest
from unittest import mock

from nosqgrid.engine.structures import ordered
from tests.support import tiers
from tests.support.differential import DifferentialTest, parts_of, unordered_pairs

SEQUENCES = 1500 if tiers.FULL else 60
LENGTH = 60

KEYS = ("z", "z", "z", "z", "y", "y", "x", "text")
SCORES = ("0", "1", "-1", "2", "3", "1.5", "0.1", "-0.1", "1e3", "inf", "-inf", "+inf", "-0", "1e17", "-1e300",
          "1e-300", "12345678901234567890", "0x10", "3.0000000000000004", "4503599627370497",
          "4611686018427387905", "9223372036854775807")
ODD_SCORES = ("nan", "", " 1", "1 ", "abc", "1e400", "1e-400", "0x", "1_0", "infinit", "0x1p-2", "0x1p5000", "1.", ".5",
              "+5", "--1", "1e", "-nan", "0x.8", "0x.p1", b"1\x00", "-infinity", "iNf", "0x0p0", "0e-400", "-0e5")
SCORE_ENDS = ("-inf", "+inf", "inf", "(inf", "(-inf", "0", "1", "(1", "2", "(2", "3", "1.5", "(0.1", "-1", "(-1",
              "1e17")
ODD_ENDS = ("", "(", "nan", "(nan", "1x", "1e400", " 1", "( 1", "((1", b"1\x00x", "0x10", "(0x2", "  ", "[1")
MEMBER_ENDS = ("-", "+", "[a", "(a", "[c", "(c", "[", "(", "[e", "(zz", b"[\xff", "[member 3")
ODD_MEMBER_ENDS = ("a", "", "++", "-x", "{a", "min")
INDEXES = (0, 1, 2, 3, 5, 10, -1, -2, -3, -5, -100, 100)
ODD_INTEGERS = ("a", "", "1.5", "9223372036854775808", "01", "+1")
MEMBERS = ("a", "b", "c", "d", "e", "aa", "ab", b"\xff", b"a\x00", "", "member 3", "12", "M" * 65)


UNTOUCHED = ("ZRANDMEMBER", "BZPOPMIN", "BZPOPMAX", "BZMPOP")  # with other words they would be chance, or wait


class Maker(object):
    """Makes commands; `odd` is the share of arguments that should not be there."""

    def __init__(self, odd=0.02, members=MEMBERS):
        self.odd = odd
        self.members = members

    def __call__(self, rng):
        self.rng = rng
        make = rng.choice(self.WEIGHTED)
        words = list(make(self))
        if rng.random() < self.odd:
            change = rng.randrange(3)
            if change == 0:
                words.append(self.some("LIMIT", "WITHSCORES", "1", "z", "GT"))
            elif change == 1 and len(words) > 1 and words[0] not in UNTOUCHED:
                del words[rng.randrange(1, len(words))]
            elif words[0] not in UNTOUCHED:
                words[1:] = rng.sample(words[1:], len(words) - 1)
        return words

    def some(self, *choices):
        return self.rng.choice(choices)

    def maybe(self, share, *words):
        return list(words) if self.rng.random() < share else []

    def _or_odd(self, usual, odd):
        return self.rng.choice(odd if self.rng.random() < self.odd else usual)

    def key(self):
        return self.rng.choice(KEYS)

    def source(self):
        """A key to read only: with several scores in it, `same` would answer ranges of members as it likes."""
        return self.some(self.key(), self.key(), "same", "set", "numbers")

    def sadd(self):
        if self.rng.random() < 0.3:
            return ["SADD", "numbers"] + [str(self.rng.randrange(20)) for _ in range(4)]
        return [self.some("SADD", "SADD", "SREM"), "set"] + self.some_members(5)

    def member(self):
        return self.rng.choice(self.members)

    def some_members(self, most=4):
        return [self.member() for _ in range(self.rng.randint(1, most))]

    def score(self):
        return self._or_odd(SCORES, ODD_SCORES)

    def index(self):
        return self._or_odd(INDEXES, ODD_INTEGERS)

    def score_ends(self):
        return [self._or_odd(SCORE_ENDS, ODD_ENDS) for _ in range(2)]

    def member_ends(self):
        return [self._or_odd(MEMBER_ENDS, ODD_MEMBER_ENDS) for _ in range(2)]

    def limit(self, share=0.3):
        return self.maybe(share, "LIMIT", self._or_odd((0, 0, 1, 2, 10, -1), ODD_INTEGERS),
                          self._or_odd((0, 1, 2, 5, -1, -7), ODD_INTEGERS))

    # -- commands -----------------------------------------------------------------------------------------------------

    def zadd(self):
        options = self.maybe(0.5, *[self.some("NX", "XX", "GT", "LT", "CH", "nx", "ch")
                                    for _ in range(self.rng.randint(1, 2))])
        increments = self.rng.random() < 0.1
        words = ["ZADD", self.key()] + options + ["INCR"] * increments
        for _ in range(1 if increments else self.rng.randint(1, 4)):
            words += [self.score(), self.member()]
        return words

    def zadd_same(self):
        words = ["ZADD", "same"]
        for member in self.some_members(6):
            words += ["0", member]
        return words

    def zincrby(self):
        return "ZINCRBY", self.key(), self.score(), self.member()

    def zrem(self):
        return ["ZREM", self.some(self.key(), "same")] + self.some_members(3)

    def one_key(self):
        return self.some("ZCARD", "EXISTS"), self.key()

    def one_member(self):
        return self.some("ZSCORE", "ZRANK", "ZREVRANK"), self.key(), self.member()

    def zmscore(self):
        return ["ZMSCORE", self.key()] + self.some_members()

    def by_index(self):
        return (["ZRANGE", self.key(), self.index(), self.index()] + self.maybe(0.3, "REV")
                + self.maybe(0.4, "WITHSCORES") + self.limit(0.05))

    def by_index_back(self):
        return ["ZREVRANGE", self.key(), self.index(), self.index()] + self.maybe(0.4, "withscores")

    def by_score(self):
        return (["ZRANGE", self.key()] + self.score_ends() + ["BYSCORE"] + self.maybe(0.3, "REV")
                + self.maybe(0.4, "WITHSCORES") + self.limit())

    def by_score_old(self):
        return ([self.some("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), self.key()] + self.score_ends()
                + self.maybe(0.4, "WITHSCORES") + self.limit())

    def by_member(self):
        return (["ZRANGE", "same"] + self.member_ends() + ["BYLEX"] + self.maybe(0.3, "REV")
                + self.maybe(0.05, "WITHSCORES") + self.limit())

    def by_member_old(self):
        return ([self.some("ZRANGEBYLEX", "ZREVRANGEBYLEX"), self.some("same", "same", "string")] + self.member_ends()
                + self.limit())

    def count(self):
        if self.rng.random() < 0.5:
            return ["ZCOUNT", self.key()] + self.score_ends()
        return ["ZLEXCOUNT", self.some("same", "same", "string")] + self.member_ends()

    def remove_range(self):
        kind = self.rng.randrange(3)
        if kind == 0:
            return "ZREMRANGEBYRANK", self.key(), self.index(), self.index()
        if kind == 1:
            return ["ZREMRANGEBYSCORE", self.key()] + self.score_ends()
        return ["ZREMRANGEBYLEX", "same"] + self.member_ends()

    def range_store(self):
        words = ["ZRANGESTORE", self.key(), self.key()]
        kind = self.rng.randrange(3)
        if kind == 0:
            words += [self.index(), self.index()]
        elif kind == 1:
            words += self.score_ends() + ["BYSCORE"] + self.limit()
        else:
            words[2] = "same"
            words += self.member_ends() + ["BYLEX"] + self.limit()
        return words + self.maybe(0.3, "REV")

    def pop(self):
        return [self.some("ZPOPMIN", "ZPOPMAX"), self.key()] + self.maybe(
            0.4, self._or_odd((0, 1, 2, 3, 100), ("-1", "a", "")))

    def mpop(self):
        count = self.rng.randint(1, 3)
        return (["ZMPOP", self._or_odd((count,), (0, -1, "a", 5))] + [self.key() for _ in range(count)]
                + [self.some("MIN", "MAX")] + self.maybe(0.4, "COUNT", self._or_odd((1, 2, 10), (0, -1, "a")))
                + self.maybe(0.03, "COUNT", 1))

    def blocking_pop(self):
        # Behind the keys that may be there stands one with an error in it: a real server would block without.
        return self.some(["BZPOPMIN", self.key(), "z", "string", self._or_odd((0,), ("a", "-1", ""))],
                         ["BZPOPMAX", self.key(), "string", 0],
                         ["BZMPOP", 0, 2, self.key(), "string", "MIN"], ["BZMPOP", 0, 0, "z", "MIN"],
                         ["BZMPOP", "0", "3", self.key(), self.key(), "string", "MAX", "COUNT", self.some(1, 3)],
                         ["BZMPOP", "x", 1, "z", "MIN"], ["BZMPOP", 0, 1, "z", "MID"])

    def combine(self):
        name = self.some("ZUNION", "ZINTER", "ZDIFF", "ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE", "ZUNION", "ZINTER",
                         "ZINTERCARD")
        count = self.rng.randint(1, 4)
        words = [name]
        if name.endswith("STORE"):
            words.append(self.key())
        words.append(self._or_odd((count,), (0, -1, "a", 7)))
        words += [self.source() for _ in range(count)]
        if "DIFF" not in name and name != "ZINTERCARD" or self.rng.random() < self.odd:
            words += self.maybe(0.4, "WEIGHTS", *[self._or_odd(("1", "2", "0", "-1", "0.5", "inf", "0x2"), ("a", "nan"))
                                                  for _ in range(count)])
            words += self.maybe(0.4, "AGGREGATE", self._or_odd(("SUM", "MIN", "max"), ("AVG",)))
        if name == "ZINTERCARD":
            words += self.maybe(0.4, "LIMIT", self._or_odd((0, 1, 2), ("-1", "a")))
        elif not name.endswith("STORE") or self.rng.random() < self.odd:
            words += self.maybe(0.5, "WITHSCORES")
        return words

    def random_member(self):
        count = self._or_odd((100, 1000), ("a", "-9223372036854775808", "9223372036854775808"))
        return ["ZRANDMEMBER", self.key(), count] + self.maybe(0.5, "WITHSCORES")

    def scan(self):
        return (["ZSCAN", self.key(), self._or_odd((0,), ("a", "-", "18446744073709551616"))]
                + ["COUNT", self._or_odd((100, 1000), (0, "a"))]
                + self.maybe(0.3, "MATCH", self.some("*", "a*", "[a-c]", "?")) + self.maybe(0.02, "TYPE", "zset"))

    def text(self):
        return self.some(("SET", "text", "v"), ("DEL", self.key()), ("DEL", "text"))

    WEIGHTED = (zadd, zadd, zadd, zadd, sadd, sadd, zadd_same, zadd_same, zincrby, zincrby, zrem, one_key, one_member,
                one_member, zmscore, by_index, by_index, by_index_back, by_score, by_score_old, by_member,
                by_member_old, count, count, remove_range, range_store, pop, mpop, blocking_pop, combine, combine,
                combine, random_member, scan, text)


def walked(reply):
    """A reply of ZSCAN, its pairs in any order."""
    if reply[:2] != b"*2":
        return reply
    cursor, members = parts_of(reply)
    return cursor, unordered_pairs(members)


class DifferentialZsetsTest(DifferentialTest):
    normalize = {b"ZSCAN": walked}

    def run_sequences(self, make, sequences, seed, protocol=2):
        self.compare(make, sequences, LENGTH, seed, protocol, [("SET", "string", "v"), ("SET", "text", "v")])

    def test_random_commands_in_resp2(self):
        self.run_sequences(Maker(), SEQUENCES, "zsets")

    def test_random_commands_in_resp3(self):
        self.run_sequences(Maker(), SEQUENCES // 2, "zsets-3", protocol=3)

    def test_odd_arguments(self):
        self.run_sequences(Maker(odd=0.3), SEQUENCES, "zsets-odd")

    @tiers.slow
    def test_sets_that_are_skiplists(self):
        members = tuple("m%d" % number for number in range(400))
        maker = Maker(members=members)

        def make(rng):
            if rng.random() < 0.1:
                words = ["ZADD", rng.choice(("x", "y", "same"))]
                for member in rng.sample(members, 150):
                    words += [rng.choice(SCORES) if words[1] != "same" else "0", member]
                return words
            while True:
                words = maker(rng)
                if words[0] not in ("ZSCAN", "ZRANDMEMBER"):  # they may answer as they like
                    return words

        for name, sizes in (("zsets-long", dict(CHUNK_MAX=ordered.CHUNK_MAX)),
                            ("zsets-chunks", dict(CHUNK_MAX=16, _CHUNK_FULL=12, _CHUNK_MIN=4, _WALK_MAX=20))):
            with mock.patch.multiple(ordered, **sizes):
                self.run_sequences(make, SEQUENCES // 3, name)


if __name__ == "__main__":
    unittest.main()

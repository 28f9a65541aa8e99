"""Random commands on strings, bits, HyperLogLogs and LCS: replies, events and values as redis-server has them.

Both have the same largest value here.  What is left out, being different by design: offsets that a grid of this memory
refuses, deadlines beyond ours, floats beyond 10**600, and BITFIELD OVERFLOW SAT SET of a signed field to what lies some
2**63 below it: that becomes the largest number in Redis (its difference does not fit into 64 bits) and the least here.
"""

import random
import unittest

from nosqgrid import limits
from nosqgrid.engine import commands
from tests.support.differential import DifferentialTest, encoded, parts_of
from tests.support.engine_context import EngineContext
from tests.support.tiers import FULL, slow

SEQUENCES = 1500 if FULL else 60
LENGTH = 60

KEYS = (b"a", b"b", b"c", b"d", b"", b"\x00\xff")
LIST = b"list"
INTEGERS = (b"0", b"1", b"-1", b"7", b"10", b"-3", b"9223372036854775807", b"-9223372036854775808",
            b"9223372036854775808", b"-9223372036854775809", b"01", b"+1", b" 1", b"1 ", b"-0", b"--1", b"", b"1.0",
            b"x", b"99999999999999999999")
FLOATS = (b"0.1", b"0.2", b"-0.3", b"1e3", b"1.5e-5", b"3.0", b"5000000000", b".5", b"5.", b"-0", b"1e-20", b"1e30",
          b"123456789.123456789123456789", b"-1e17", b"nan", b"inf", b"-Infinity", b"+inf", b"1e", b"", b" 1", b"1 ",
          b"1x", b"1e99999", b"1e-99999", b"0x", b"0x10", b"-0x1.8p3", b"0x1p-3", b"0xg", b"--1", b"1e+2", b"00012.50",
          b"179769313486231570000", b"0.000000000000000005")
VALUES = (b"", b"v", b"hello world", b"10", b"-5", b"1.5", b"\r\n", b"\x00\x01", b"x" * 100, b"\xff" * 7, b"\x00" * 9,
          b"\xf0\x0f\x00\xff", b"9223372036854775807") + INTEGERS[:5]
FAR = 4102444800  # the year 2100
SET_OPTIONS = (b"NX", b"XX", b"GET", b"KEEPTTL", b"nx", b"eX 100", b"EX 0", b"PX 100300", b"EX x", b"EXAT %d" % FAR,
               b"PXAT %d123" % FAR, b"EX", b"PERSIST", b"BOGUS", b"EX -1", b"EX 9223372036854775807", b"PXAT 0")
GETEX_OPTIONS = (b"PERSIST", b"EX 100", b"PX 100300", b"EXAT %d" % FAR, b"PXAT %d456" % FAR, b"EXAT 1", b"EX 0", b"NX",
                 b"KEEPTTL", b"EX", b"PX x")
FIELD_TYPES = (b"u1", b"u8", b"i8", b"i64", b"u63", b"i5", b"u31", b"i1", b"i33", b"u64", b"i65", b"u0", b"x8", b"i",
               b"", b"I8", b"i-1", b"i08")
BIT_OFFSETS = (b"0", b"1", b"7", b"8", b"100", b"3", b"-1", b"x", b"", b"#1", b"#0", b"#3", b"#-1", b"#", b"63",
               b"536870912", b"9223372036854775807", b"4294967295")
FIELD_NUMBERS = (b"0", b"1", b"-1", b"100", b"255", b"256", b"-128", b"-129", b"9223372036854775807",
                 b"-4611686018427387904", b"x", b"4611686018427387904", b"13")
POSITIONS = (b"0", b"1", b"-1", b"2", b"5", b"-3", b"9", b"50", b"-100", b"1000", b"9223372036854775807",
             b"-9223372036854775808", b"x")
UNITS = (b"BIT", b"BYTE", b"bit", b"bytes", b"")
ELEMENTS = tuple(b"element:%d" % number for number in range(3000)) + (b"", b"12345678", b"\x00" * 17)


class Generator(object):
    """Commands of all families."""

    def __init__(self, rng):
        self.rng = rng
        self.pick = rng.choice

    def key(self):
        return LIST if self.rng.random() < 0.03 else self.pick(KEYS)

    def some(self, pool, most):
        words = []
        for option in self.rng.sample(pool, self.rng.randint(0, most)):
            words.extend(option.split(b" "))
        return words

    def strings(self):
        return self.pick((self._read, self._set, self._store, self._getex, self._many, self._count, self._float,
                          self._range, self._setrange))()

    def bits(self):
        return self.pick((self._bit, self._bitcount, self._bitpos, self._bitop, self._bitfield, self._bitfield,
                          self._set_value))()

    def hyperloglogs(self):
        key, kind = self.pick(KEYS[:4]), self.rng.random()
        if kind < 0.6:
            return [b"PFADD", key] + [self.pick(ELEMENTS) for _ in range(self.rng.choice((0, 1, 3, 40)))]
        if kind < 0.75:
            return [b"PFCOUNT", key] + self.rng.sample(KEYS[:4], self.rng.choice((0, 0, 1, 2)))
        if kind < 0.85:
            return [b"PFMERGE", key] + self.rng.sample(KEYS[:4], self.rng.randint(0, 2))
        if kind < 0.9:
            return [b"PFDEBUG", self.pick((b"GETREG", b"decode", b"ENCODING", b"TODENSE", b"BOGUS")), key]
        return self.pick(([b"GETDEL", key], [b"PFADD", LIST, b"x"], [b"PFCOUNT", LIST], [b"PFMERGE", key, LIST],
                          [b"SET", key, b"HYLL"], [b"APPEND", key, b"x"], [b"GET", key], [b"STRLEN", key],
                          [b"SETRANGE", key, b"4", b"\x02"], [b"SETRANGE", key, b"0", b"x"], [b"PFCOUNT"]))

    def lcs(self):
        if self.rng.random() < 0.3:
            length = self.rng.choice((0, 1, 5, 40))
            return [b"SET", self.pick(KEYS[:4]), bytes(self.rng.choice(b"abcd") for _ in range(length))]
        return [b"LCS", self.key(), self.key()] + self.some(
            (b"LEN", b"IDX", b"WITHMATCHLEN", b"MINMATCHLEN 2", b"MINMATCHLEN -1", b"MINMATCHLEN x", b"MINMATCHLEN",
             b"idx", b"BOGUS"), self.pick((1, 1, 2, 3)))

    # -- strings ------------------------------------------------------------------------------------------------------

    def _read(self):
        return [self.pick((b"GET", b"STRLEN", b"GETDEL", b"GETSET", b"MGET", b"PEXPIRETIME")), self.key()]

    def _set_value(self):
        return [b"SET", self.key(), self.pick(VALUES)]

    def _set(self):
        return self._set_value() + self.some(SET_OPTIONS, 2)

    def _store(self):
        name = self.pick((b"SETNX", b"GETSET", b"APPEND", b"SETEX", b"PSETEX"))
        amount = [self.pick((b"100300", b"0", b"-1", b"x", b"9223372036854775807"))] if b"SETEX" in name else []
        return [name, self.key()] + amount + [self.pick(VALUES)]

    def _getex(self):
        return [b"GETEX", self.key()] + self.some(GETEX_OPTIONS, 2)

    def _many(self):
        words = [self.pick(KEYS + VALUES[:3]) for _ in range(self.pick((1, 2, 4, 4, 3)))]
        return [self.pick((b"MSET", b"MSETNX", b"MGET"))] + words

    def _count(self):
        name = self.pick((b"INCR", b"DECR", b"INCRBY", b"DECRBY"))
        return [name, self.key()] + ([self.pick(INTEGERS)] if name.endswith(b"BY") else [])

    def _float(self):
        if self.rng.random() < 0.5:
            return [b"INCRBYFLOAT", self.pick((b"float", b"other", LIST)), self.pick(FLOATS)]
        if self.rng.random() < 0.5:
            return [b"SET", b"other", self.pick(FLOATS)]
        number = self.rng.uniform(-2, 2) * 10 ** self.rng.randint(-18, 25)
        return [b"INCRBYFLOAT", b"float", b"%.*e" % (self.rng.randint(0, 20), number)]

    def _range(self):
        return [self.pick((b"GETRANGE", b"SUBSTR")), self.key(), self.pick(POSITIONS), self.pick(POSITIONS)]

    def _setrange(self):
        start = self.pick((b"0", b"3", b"20", b"-1", b"x", b"67108864", b"9223372036854775807"))
        return [b"SETRANGE", self.key(), start, self.pick((b"", b"zz", b"\x00"))]

    # -- bits ---------------------------------------------------------------------------------------------------------

    def _bit(self):
        if self.rng.random() < 0.4:
            return [b"GETBIT", self.key(), self.pick(BIT_OFFSETS)]
        return [b"SETBIT", self.key(), self.pick(BIT_OFFSETS), self.pick((b"0", b"1", b"1", b"2", b"x", b"-1"))]

    def _interval(self):
        """Nothing, or start, or start and end and perhaps a unit; and now and then too much."""
        count = self.pick((0, 1, 2, 2, 3, 3, 3, 4))
        words = [self.pick(POSITIONS) for _ in range(min(count, 2))]
        return words + [self.pick(UNITS) for _ in range(count - 2)]

    def _bitcount(self):
        return [b"BITCOUNT", self.key()] + self._interval()

    def _bitpos(self):
        return [b"BITPOS", self.key(), self.pick((b"0", b"1", b"0", b"1", b"2", b"x"))] + self._interval()

    def _bitop(self):
        name = self.pick((b"AND", b"or", b"XOR", b"NOT", b"NOT", b"BOGUS"))
        return [b"BITOP", name, self.pick(KEYS)] + [self.key() for _ in range(self.pick((1, 1, 2, 3)))]

    def _bitfield(self):
        words = [self.pick((b"BITFIELD", b"BITFIELD", b"BITFIELD_RO")), self.key()]
        bad = self.rng.random() < 0.3
        types, offsets = (FIELD_TYPES, BIT_OFFSETS) if bad else (FIELD_TYPES[:9], (b"0", b"3", b"#1", b"8", b"100"))
        for _ in range(self.rng.randint(0, 4)):
            name = self.pick((b"GET", b"SET", b"INCRBY", b"OVERFLOW", b"get"))
            if words[0] == b"BITFIELD_RO" and not bad:
                name = b"GET"
            if name == b"OVERFLOW":
                words += [name, self.pick((b"WRAP", b"sat", b"FAIL", b"FAIL") + (b"BOGUS",) * bad)]
                continue
            words += [name, self.pick(types), self.pick(offsets)]
            if name in (b"SET", b"INCRBY"):
                words.append(self.pick(FIELD_NUMBERS if bad else FIELD_NUMBERS[:10]))
        return words[:-1] if bad and len(words) > 2 and self.rng.random() < 0.2 else words


def without_clock(reply):
    """A deadline, of which only those in the year 2100 were given as such."""
    return reply if reply[:2] == b":-" or int(reply[1:-2]) >= FAR * 1000 else b"some time from now"


class StringsDifferentialTest(DifferentialTest):

    normalize = {b"PEXPIRETIME": without_clock}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client = cls.server.connect()
        client.calls([("CONFIG", "SET", "proto-max-bulk-len", limits.VALUE_SIZE_BYTES_MAX),
                      ("CONFIG", "SET", "notify-keyspace-events", "KEA")])
        client.close()

    def run_family(self, name, protocol):
        has_lists = b"RPUSH" in commands.TABLE
        listener, client = self.server.connect(), self.server.connect()
        self.addCleanup(listener.close)
        self.addCleanup(client.close)
        listener.call("PSUBSCRIBE", "__keyevent@0__:*")
        for number in range(SEQUENCES):
            generator = Generator(random.Random("%s-%d-%d" % (name, protocol, number)))
            words = [encoded(getattr(generator, name)()) for _ in range(LENGTH)]
            if has_lists:
                words.insert(0, [b"RPUSH", LIST, b"x"])
            else:
                words = [line for line in words if LIST not in line]
            self.compare_with_events(client, listener, words, protocol, "%s %d" % (name, number))

    def compare_with_events(self, client, listener, words, protocol, name):
        events = []
        original = EngineContext.notify
        EngineContext.notify = lambda context, letter, event, key: events.append((event, key))
        try:
            self.compare_one(client, words, protocol, name)
        finally:
            EngineContext.notify = original
        client.call("PUBLISH", "__keyevent@0__:end", "")
        theirs = []
        while not theirs or theirs[-1] != (b"end", b""):
            _, _, channel, key = parts_of(listener.read())
            theirs.append((word_of(channel).partition(b":")[2], word_of(key)))
        self.assertEqual(events, theirs[:-1], (name, words))

    def test_strings(self):
        self.run_family("strings", 2)

    def test_strings_in_resp3(self):
        self.run_family("strings", 3)

    def test_bits(self):
        self.run_family("bits", 2)

    @slow
    def test_hyperloglogs(self):
        self.run_family("hyperloglogs", 2)

    def test_hyperloglogs_move_to_redis_and_back(self):
        client, context, rng = self.server.connect(), EngineContext(), random.Random(1)
        self.addCleanup(client.close)
        sides = (client.call, context.call)
        for number in (0, 1, 10, 700, 1400, 1500, 1600, 1700, 9000):
            for call in sides:
                call(b"FLUSHALL")
            elements = [b"%d" % rng.getrandbits(40) for _ in range(number)]
            for writes, reads in (sides, sides[::-1]):
                for start in range(0, number + 1, 500):
                    writes(b"PFADD", b"moved", *elements[start:start + 500])
                reads(b"SET", b"moved", word_of(writes(b"GET", b"moved")))
                self.assertEqual(reads(b"PFCOUNT", b"moved"), writes(b"PFCOUNT", b"moved"))
                more = [b"%d" % rng.getrandbits(40) for _ in range(number)]
                self.assertEqual(reads(b"PFADD", b"moved", *more), writes(b"PFADD", b"moved", *more))
                self.assertEqual(reads(b"GET", b"moved"), writes(b"GET", b"moved"))
                for call in (reads, writes):
                    self.assertEqual(call(b"PFADD", b"other", b"x", *elements[:number // 2]), b":1\r\n")
                    self.assertEqual(call(b"PFMERGE", b"moved", b"other"), b"+OK\r\n")
                reads(b"SET", b"merged", word_of(writes(b"GET", b"moved")))
                self.assertEqual(reads(b"PFCOUNT", b"merged"), writes(b"PFCOUNT", b"moved"))
                self.assertEqual(reads(b"PFCOUNT", b"moved"), writes(b"PFCOUNT", b"moved"))
                for call in (reads, writes):
                    call(b"GETDEL", b"other")

    def test_lcs(self):
        self.run_family("lcs", 2)

    def test_lcs_in_resp3(self):
        self.run_family("lcs", 3)


def word_of(bulk):
    """What a bulk string says."""
    return bulk[bulk.index(b"\r\n") + 2:-2]


if __name__ == "__main__":
    unittest.main()

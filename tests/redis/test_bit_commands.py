"""SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD: replies, errors and events as in Redis, and against plain bits."""

import random
import unittest

from nosqgrid import limits
from nosqgrid.engine.commands import bits
from nosqgrid.formats import values
from tests.redis.string_families import OK, WRONGTYPE, StringFamilyTest, error, wrong_arity
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk

NOT_AN_OFFSET = error("bit offset is not an integer or out of range")
NOT_A_BIT = error("bit is not an integer or out of range")
NOT_A_TYPE = error("Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
NULL = b"$-1\r\n"


def numbers(*found):
    return b"*%d\r\n" % len(found) + b"".join(NULL if number is None else b":%d\r\n" % number for number in found)


def digits_of(value):
    """The bits of a value as text, the highest of the first byte first."""
    return "".join("{:08b}".format(byte) for byte in value)


class BitCommandsTest(StringFamilyTest):

    def test_counts_of_words(self):
        self.refuse_counts({"SETBIT": 4, "GETBIT": 3, "BITCOUNT": 2, "BITPOS": 3, "BITOP": 4, "BITFIELD": 2,
                            "BITFIELD_RO": 2}, {"SETBIT": 4, "GETBIT": 3})
        self.assertEqual(self.context.call("BITOP", "AND", "d"), wrong_arity("BITOP"))

    def test_structures_are_refused(self):
        self.refuse_structures((
            "SETBIT list 1 1", "GETBIT list 1", "BITCOUNT list", "BITCOUNT list 0 1 BOGUS", "BITPOS list 1",
            "BITPOS list 1 x", "BITOP AND d list", "BITOP OR d none list", "BITOP NOT d list", "BITFIELD list",
            "BITFIELD list GET u8 0", "BITFIELD list SET u8 0 1", "BITFIELD_RO list GET u8 0"))

    def test_single_bits(self):
        self.run_table([
            ("SETBIT k 1 1", b":0\r\n"), ("GET k", bulk(b"\x40")), ("SETBIT k 1 1", b":1\r\n"),
            ("SETBIT k 1 0", b":1\r\n"), ("SETBIT k 23 1", b":0\r\n"), ("GET k", bulk(b"\x00\x00\x01")),
            ("GETBIT k 23", b":1\r\n"), ("GETBIT k 22", b":0\r\n"), ("GETBIT k 24", b":0\r\n"),
            ("GETBIT none 0", b":0\r\n"), ("GETBIT k 536870911", b":0\r\n"), ("GETBIT k 536870912", NOT_AN_OFFSET),
            ("SETBIT k 536870912 1", NOT_AN_OFFSET), ("SETBIT k -1 1", NOT_AN_OFFSET), ("SETBIT k x 1", NOT_AN_OFFSET),
            ("SETBIT k #1 1", NOT_AN_OFFSET), ("SETBIT k 1 2", NOT_A_BIT), ("SETBIT k 1 x", NOT_A_BIT),
            ("SETBIT k 1 -1", NOT_A_BIT), ("GETBIT k x", NOT_AN_OFFSET), ("SETBIT new 9 0", b":0\r\n"),
            ("GET new", bulk(b"\x00\x00")), ("SET n 12", OK), ("SETBIT n 7 0", b":1\r\n"), ("GET n", bulk(b"02")),
        ])

    def test_single_bits_against_a_list(self):
        rng, model = random.Random(1), [0] * 200
        for _ in range(600):
            place, bit = rng.randrange(200), rng.getrandbits(1)
            self.assertEqual(self.context.run([b"SETBIT", b"k", b"%d" % place, b"%d" % bit]), model[place])
            model[place] = bit
            place = rng.randrange(200)
            self.assertEqual(self.context.run([b"GETBIT", b"k", b"%d" % place]), model[place])
        size = len(self.value(b"k"))
        self.assertEqual(digits_of(self.value(b"k")), "".join(map(str, model))[:8 * size])

    def test_what_was_text_stays_text_while_it_is_utf_8(self):
        self.keyspace.store(b"s", values.STR, b"a", self.keyspace.now_ms + 5000)
        self.context.call("SETBIT", "s", "6", "1")
        self.assertEqual(self.keyspace.lookup(b"s")[:3], (values.STR, b"c", self.keyspace.now_ms + 5000))
        self.context.call("SETBIT", "s", "0", "1")
        self.assertEqual(self.keyspace.lookup(b"s")[:3], (values.BYTES, b"\xe3", self.keyspace.now_ms + 5000))

    def test_counting(self):
        self.run_table([
            ("SET k foobar", OK), ("BITCOUNT k", b":26\r\n"), ("BITCOUNT k 0 0", b":4\r\n"),
            ("BITCOUNT k 1 1", b":6\r\n"),
            ("BITCOUNT k 1 1 BYTE", b":6\r\n"), ("BITCOUNT k 5 30 bit", b":17\r\n"), ("BITCOUNT k -2 -1", b":7\r\n"),
            ("BITCOUNT k 3 1", b":0\r\n"), ("BITCOUNT k -1 -3 BOGUS", b":0\r\n"), ("BITCOUNT k 100 200", b":0\r\n"),
            ("BITCOUNT none", b":0\r\n"), ("BITCOUNT none x", b":0\r\n"), ("BITCOUNT k 1", SYNTAX),
            ("BITCOUNT k 0 1 BITS", SYNTAX), ("BITCOUNT k 0 1 BIT BIT", SYNTAX), ("BITCOUNT k x 1", NOT_AN_INTEGER),
            ("BITCOUNT k 0 x", NOT_AN_INTEGER), (["SET", "e", ""], OK), ("BITCOUNT e", b":0\r\n"),
            ("BITCOUNT e 0 -1", b":0\r\n"), ("BITCOUNT e 0 0 BIT", b":0\r\n"),
        ])

    def test_positions(self):
        self.run_table([
            (["SET", "k", b"\xff\xf0\x00"], OK), ("BITPOS k 0", b":12\r\n"), ("BITPOS k 1", b":0\r\n"),
            ("BITPOS k 1 2", b":-1\r\n"), ("BITPOS k 0 0 0", b":-1\r\n"), ("BITPOS k 0 0 0 BIT", b":-1\r\n"),
            ("BITPOS k 1 10 -1 BIT", b":10\r\n"), ("BITPOS k 0 13 15 BIT", b":13\r\n"), ("BITPOS k 1 5 2", b":-1\r\n"),
            ("BITPOS none 0", b":0\r\n"), ("BITPOS none 1", b":-1\r\n"), ("BITPOS none 0 x", b":0\r\n"),
            (["SET", "f", b"\xff\xff"], OK), ("BITPOS f 0", b":16\r\n"), ("BITPOS f 0 1", b":16\r\n"),
            ("BITPOS f 0 0 -1", b":-1\r\n"), ("BITPOS f 0 5", b":-1\r\n"), ("BITPOS f 0 3 5 BIT", b":-1\r\n"),
            (["SET", "e", ""], OK), ("BITPOS e 0", b":-1\r\n"), ("BITPOS e 1", b":-1\r\n"),
            ("BITPOS k 2", error("The bit argument must be 1 or 0.")), ("BITPOS k x", NOT_AN_INTEGER),
            ("BITPOS k 1 x", NOT_AN_INTEGER), ("BITPOS k 1 0 1 BITS", SYNTAX), ("BITPOS k 1 0 1 BIT x", SYNTAX),
        ])

    def test_counts_and_positions_against_text(self):
        rng = random.Random(2)
        for _ in range(1500):
            value = bytes(rng.choice((0, 255, rng.getrandbits(8))) for _ in range(rng.randint(1, 12)))
            self.context.call("SET", "k", value)
            digits, scale = digits_of(value), rng.choice((1, 8))
            start, end = sorted(rng.randrange(len(digits) // scale) for _ in range(2))
            part = digits[start * scale:(end + 1) * scale]
            words = [b"%d" % start, b"%d" % end, b"BIT" if scale == 1 else b"BYTE"]
            self.assertEqual(self.context.run([b"BITCOUNT", b"k"] + words), part.count("1"), (value, words))
            for bit in "01":
                found = part.find(bit)
                self.assertEqual(self.context.run([b"BITPOS", b"k", bit.encode()] + words),
                                 found + start * scale if found >= 0 else -1, (value, bit, words))

    def test_both_ways_of_counting(self):
        part = bytes(range(256)) * 3
        self.assertEqual(bits._count(part), 3 * 1024)
        self.assertEqual(sum(part.translate(bits._ONES)), 3 * 1024)

    def test_combining(self):
        self.run_table([
            (["MSET", "a", b"\xff\x0f", "b", b"\x0f", "e", b""], OK), ("BITOP AND d a b", b":2\r\n"),
            ("GET d", bulk(b"\x0f\x00")), ("BITOP or d a b", b":2\r\n"), ("GET d", bulk(b"\xff\x0f")),
            ("BITOP XOR d a b a", b":2\r\n"), ("GET d", bulk(b"\x0f\x00")), ("BITOP NOT d a", b":2\r\n"),
            ("GET d", bulk(b"\x00\xf0")), ("BITOP AND d a none", b":2\r\n"), ("GET d", bulk(b"\x00\x00")),
            ("BITOP AND d a", b":2\r\n"), ("GET d", bulk(b"\xff\x0f")), ("BITOP AND a a b", b":2\r\n"),
            ("GET a", bulk(b"\x0f\x00")), ("BITOP NOT d none", b":0\r\n"), ("EXISTS d", b":0\r\n"),
            ("BITOP OR d e none", b":0\r\n"), ("BITOP FOO d a", SYNTAX),
            ("BITOP NOT d a b", error("BITOP NOT must be called with a single source key.")),
            ("BITOP OR list a b", b":2\r\n"), ("GET list", bulk(b"\x0f\x00")),
        ])

    def test_events(self):
        self.run_events([
            ("SETBIT k 1 1", [b"$ setbit k"]), ("SETBIT k 1 1", []), ("SETBIT k 2 0", []),
            ("SETBIT k 9 0", [b"$ setbit k"]), ("SETBIT k 9 2", []), ("GETBIT k 1", []),
            ("BITOP NOT d k", [b"$ set d"]), ("BITOP NOT d none", [b"g del d"]), ("BITOP NOT d none", []),
            ("BITFIELD k GET u8 0", []), ("BITFIELD k SET u8 0 7", [b"$ setbit k"]), ("BITFIELD k SET u8 0 7", []),
            ("BITFIELD k SET u8 0 1 SET u8 0 7", [b"$ setbit k"]), ("BITFIELD k SET u8 100 0", [b"$ setbit k"]),
            ("BITFIELD new OVERFLOW FAIL INCRBY u2 0 9", []), ("BITFIELD new SET u2 0 1", [b"$ setbit new"]),
        ])


class BitfieldTest(StringFamilyTest):

    def test_replies(self):
        self.run_table([
            ("BITFIELD k", b"*0\r\n"), ("EXISTS k", b":0\r\n"), ("BITFIELD k GET u8 0 GET i64 100", numbers(0, 0)),
            ("EXISTS k", b":0\r\n"), ("BITFIELD k SET i8 0 -100 GET u8 0 GET i8 #0", numbers(0, 156, -100)),
            ("BITFIELD k INCRBY i8 0 -100", numbers(56)), ("BITFIELD k SET u8 #1 255 INCRBY u8 #1 1", numbers(0, 0)),
            ("BITFIELD k OVERFLOW SAT INCRBY u8 #1 300 INCRBY i8 #2 -300", numbers(255, -128)),
            ("BITFIELD k overflow fail INCRBY u8 #1 1 GET u8 #1 OVERFLOW WRAP INCRBY u8 #1 2", numbers(None, 255, 1)),
            ("BITFIELD k SET u8 0 -1 GET u8 0", numbers(56, 255)),
            ("BITFIELD k OVERFLOW SAT SET u8 0 -1 SET u4 0 3 GET u8 0", numbers(255, 15, 63)),
            ("BITFIELD k OVERFLOW FAIL SET i4 0 8 SET i4 0 -8 GET i4 0", numbers(None, 3, -8)),
            ("BITFIELD f SET i64 1 9223372036854775807 INCRBY i64 1 1", numbers(0, -2 ** 63)),
            ("BITFIELD_RO f GET u1 1 GET u63 1", numbers(1, 2 ** 62)),
            ("BITFIELD_RO k", b"*0\r\n"), ("BITFIELD_RO none GET u8 0", numbers(0)),
        ])

    def test_refusals_change_nothing(self):
        before = self.keyspace.version
        self.run_table([
            ("BITFIELD k SET u64 0 1", NOT_A_TYPE), ("BITFIELD k SET i65 0 1", NOT_A_TYPE),
            ("BITFIELD k SET u0 0 1", NOT_A_TYPE), ("BITFIELD k SET x8 0 1", NOT_A_TYPE),
            ("BITFIELD k SET i 0 1", NOT_A_TYPE), ("BITFIELD k SET I8 0 1", NOT_A_TYPE),
            (["BITFIELD", "k", "GET", "", "0"], NOT_A_TYPE), ("BITFIELD k SET u8 0 1 GET i08 0", NOT_A_TYPE),
            ("BITFIELD k SET u8 -1 1", NOT_AN_OFFSET), ("BITFIELD k SET u8 x 1", NOT_AN_OFFSET),
            ("BITFIELD k SET u8 # 1", NOT_AN_OFFSET), ("BITFIELD k GET u8 #67108864", NOT_AN_OFFSET),
            ("BITFIELD k SET u8 0 x", NOT_AN_INTEGER), ("BITFIELD k SET u8 0 9223372036854775808", NOT_AN_INTEGER),
            ("BITFIELD k SET u8 0", SYNTAX), ("BITFIELD k GET u8", SYNTAX), ("BITFIELD k OVERFLOW", SYNTAX),
            ("BITFIELD k SET u8 0 1 BOGUS", SYNTAX), ("BITFIELD k OVERFLOW BOGUS",
                                                      error("Invalid OVERFLOW type specified")),
            ("BITFIELD_RO k SET u8 0 1", error("BITFIELD_RO only supports the GET subcommand")),
            ("BITFIELD_RO k INCRBY u8 0 1 GET u8 0", error("BITFIELD_RO only supports the GET subcommand")),
            ("BITFIELD k SET u8 %d 1" % (8 * limits.VALUE_SIZE_BYTES_MAX - 1),
             error("string exceeds maximum allowed size (proto-max-bulk-len)")),
        ])
        self.assertEqual((self.keyspace.version, self.events()), (before, []))

    def test_value_grows_even_where_all_fail(self):
        self.run_table([("BITFIELD k OVERFLOW FAIL INCRBY u2 17 9", numbers(None)), ("GET k", bulk(b"\x00" * 3))])

    def test_against_an_int(self):
        rng, size = random.Random(3), 200
        for _ in range(3000):
            signed, overflow = rng.getrandbits(1), rng.choice(("WRAP", "SAT", "FAIL"))
            width = rng.randint(1, 64 if signed else 63)
            offset, amount = rng.randrange(size - width), rng.randint(-1 << rng.randint(0, 62), 1 << rng.randint(0, 62))
            digits = digits_of(self.value(b"k") if self.keyspace.lookup(b"k") else b"").ljust(size, "0")
            old = int(digits[offset:offset + width], 2)
            if signed and old >> width - 1:
                old -= 1 << width
            low, high = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
            new = old + amount
            if not low <= new <= high and overflow == "FAIL":
                expected, new = None, old
            else:
                if not low <= new <= high:
                    new = (high if new > high else low) if overflow == "SAT" else (new - low) % (1 << width) + low
                expected = new
            words = "OVERFLOW %s INCRBY %s%d %d %d" % (overflow, "ui"[signed], width, offset, amount)
            self.assertEqual(self.context.call("BITFIELD", "k", *words.split()), numbers(expected), words)
            digits = digits[:offset] + bin(new % (1 << width))[2:].zfill(width) + digits[offset + width:]
            self.assertEqual(digits_of(self.value(b"k")).ljust(size, "0"), digits, words)

    def test_null_in_resp3(self):
        self.context.session.protocol = 3
        self.run_table([("BITFIELD k OVERFLOW FAIL INCRBY u2 0 9 GET u2 0", b"*2\r\n_\r\n:0\r\n")])

    def test_structure_is_refused_after_the_words(self):
        self.run_table([("BITFIELD list SET u8 0 x", NOT_AN_INTEGER), ("BITFIELD list SET u8 0 1", WRONGTYPE)])


if __name__ == "__main__":
    unittest.main()

"""PFADD, PFCOUNT, PFMERGE, PFDEBUG: replies, errors, events, and what the values are."""

import unittest

from nosqgrid.engine.commands import hyperloglogs
from nosqgrid.formats import hyperloglog
from tests.redis.string_families import OK, StringFamilyTest, error, wrong_arity
from tests.support.command_context import bulk

NOT_ONE = b"-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"
CORRUPT = b"-INVALIDOBJ Corrupted HLL object detected\r\n"


class HyperloglogCommandsTest(StringFamilyTest):

    def add(self, key, first, last):
        return self.context.run([b"PFADD", key] + [b"%d" % number for number in range(first, last)])

    def test_counts_of_words(self):
        self.refuse_counts({"PFADD": 2, "PFCOUNT": 2, "PFMERGE": 2, "PFDEBUG": 3},
                           {"PFDEBUG": 3, "PFSELFTEST": 1})
        self.assertEqual(self.context.call("PFDEBUG", "DECODE"), wrong_arity("PFDEBUG"))

    def test_replies(self):
        self.run_table([
            ("PFADD h", b":1\r\n"), ("PFADD h", b":0\r\n"), ("PFCOUNT h", b":0\r\n"), ("PFADD h a b c", b":1\r\n"),
            ("PFADD h c a", b":0\r\n"), ("PFCOUNT h", b":3\r\n"), ("PFCOUNT none", b":0\r\n"),
            ("PFADD i c d", b":1\r\n"), ("PFCOUNT h i none", b":4\r\n"), ("PFCOUNT none nothing", b":0\r\n"),
            ("PFMERGE m h i none", OK), ("PFCOUNT m", b":4\r\n"), ("PFMERGE m", OK), ("PFCOUNT m", b":4\r\n"),
            ("PFMERGE new", OK), ("PFCOUNT new", b":0\r\n"), ("STRLEN new", b":18\r\n"), ("TYPE h", b"+string\r\n"),
            ("PFADD h \xff", b":1\r\n"), (["PFADD", "h", b""], b":1\r\n"), ("PFCOUNT h", b":5\r\n"),
            ("PFSELFTEST", OK),
        ])

    def test_looking_inside(self):
        self.run_table([
            ("PFADD h a b c", b":1\r\n"), ("PFDEBUG ENCODING h", b"+sparse\r\n"),
            ("PFDEBUG decode h", bulk(b"Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603")),
            ("PFDEBUG TODENSE h", b":1\r\n"), ("PFDEBUG TODENSE h", b":0\r\n"), ("PFDEBUG encoding h", b"+dense\r\n"),
            ("PFDEBUG DECODE h", error("HLL encoding is not sparse")), ("PFCOUNT h", b":3\r\n"),
            ("STRLEN h", b":12304\r\n"), ("PFDEBUG BOGUS h", error("Unknown PFDEBUG subcommand 'BOGUS'")),
            ("PFDEBUG GETREG none", error("The specified key does not exist")), ("PFADD i a b c", b":1\r\n"),
        ])
        registers = self.context.run([b"PFDEBUG", b"GETREG", b"i"])
        self.assertEqual(len(registers), 16384)
        self.assertEqual({index: number for index, number in enumerate(registers) if number},
                         {8436: 1, 12711: 2, 15780: 1})
        self.assertEqual(self.context.call("PFDEBUG", "ENCODING", "i"), b"+dense\r\n")

    def test_structures_and_other_strings_are_refused(self):
        self.refuse_structures(("PFADD list", "PFADD list a", "PFCOUNT list", "PFCOUNT none list", "PFMERGE list",
                                "PFMERGE none list", "PFDEBUG GETREG list"))
        self.context.call("SET", "s", "HYLL and what is no HyperLogLog")
        before = self.keyspace.version
        for line in ("PFADD s a", "PFCOUNT s", "PFCOUNT none s", "PFMERGE s", "PFMERGE d s", "PFDEBUG ENCODING s"):
            self.assertEqual(self.context.call(*line.split()), NOT_ONE, line)
        self.assertEqual(self.keyspace.version, before)

    def test_corrupt_values_are_refused(self):
        header = hyperloglog.EMPTY[:15] + b"\x80"
        self.context.call("SET", "short", header + b"\x40\x00")
        self.context.call("SET", "long", hyperloglog.without_count(hyperloglog.EMPTY) + b"hello")
        before = self.keyspace.version
        for line in ("PFADD short a", "PFCOUNT short", "PFCOUNT long", "PFCOUNT short long", "PFMERGE d short",
                     "PFMERGE long", "PFDEBUG GETREG long", "PFDEBUG TODENSE short"):
            self.assertEqual(self.context.call(*line.split()), CORRUPT, line)
        self.context.call("SET", "high", hyperloglog.dense_of(b"\x33" * 16384, header))
        self.assertEqual(self.context.call("PFCOUNT", "high"), CORRUPT)
        self.assertEqual(self.keyspace.version, before + 1)

    def test_count_is_kept_in_the_value_until_a_register_changes(self):
        self.add(b"h", 0, 100)
        self.assertEqual(self.value(b"h")[15], 0x80)
        count = self.context.run([b"PFCOUNT", b"h"])
        self.assertEqual(self.value(b"h")[8:16], bytes([count]) + bytes(7))
        self.add(b"h", 0, 100)
        self.assertEqual(self.value(b"h")[15], 0)
        self.keyspace.store(b"h", 0, hyperloglog.with_count(self.value(b"h"), 777))
        self.assertEqual(self.context.run([b"PFCOUNT", b"h"]), 777)
        self.add(b"h", 100, 200)
        self.assertEqual(self.value(b"h")[15] & 0x80, 0x80)
        self.assertLess(abs(self.context.run([b"PFCOUNT", b"h"]) - 200), 20)

    def test_who_may_not_write_counts_and_leaves_the_value(self):
        self.add(b"h", 0, 100)
        before, self.context.session.may_write = self.value(b"h"), False
        self.assertLess(abs(self.context.run([b"PFCOUNT", b"h"]) - 100), 10)
        self.assertEqual(self.value(b"h"), before)

    def test_union_is_what_one_that_saw_all_would_be(self):
        for sizes in ((100, 100), (300, 5000), (900, 900)):
            self.context.run([b"FLUSHALL"])
            self.add(b"a", 0, sizes[0])
            self.add(b"b", sizes[0] // 2, sizes[0] // 2 + sizes[1])
            for first in range(0, sizes[0] // 2 + sizes[1], 500):
                self.add(b"all", first, min(first + 500, sizes[0] // 2 + sizes[1]))
            self.context.run([b"PFMERGE", b"m", b"a", b"b"])
            self.assertEqual(hyperloglog.registers_of(self.value(b"m")), hyperloglog.registers_of(self.value(b"all")))
            both = self.context.run([b"PFCOUNT", b"a", b"b"])
            self.assertEqual(both, self.context.run([b"PFCOUNT", b"all"]))
            self.assertEqual(both, self.context.run([b"PFCOUNT", b"m"]))

    def test_deadline_stays(self):
        self.run_table([("PFADD h a", b":1\r\n"), ("PEXPIRE h 500", b":1\r\n"), ("PFADD h b", b":1\r\n"),
                        ("PFCOUNT h", b":2\r\n"), ("PFMERGE h", OK), ("PFDEBUG TODENSE h", b":1\r\n"),
                        ("PTTL h", b":500\r\n")])

    def test_events(self):
        self.run_events([
            ("PFADD h", [b"$ pfadd h"]), ("PFADD h", []), ("PFADD h a", [b"$ pfadd h"]), ("PFADD h a", []),
            ("PFCOUNT h", []), ("PFMERGE m h", [b"$ pfadd m"]), ("PFMERGE m h", [b"$ pfadd m"]),
            ("PFDEBUG GETREG h", []), ("PFMERGE m list", []),
        ])

    def test_runs_that_are_remembered_are_few(self):
        for number in range(100):
            self.context.run([b"PFADD", b"key:%d" % number, b"a"])
        self.assertLessEqual(len(hyperloglogs._last_runs), hyperloglogs._LAST_RUNS_MAX)
        self.assertIn(b"key:99", hyperloglogs._last_runs)

    def test_many_keys_in_turn_keep_their_own_registers(self):
        for step in range(3):
            for number in range(50):
                self.context.run([b"PFADD", b"key:%d" % number, b"%d:%d" % (number, step)])
        self.context.run([b"SET", b"key:7", hyperloglog.EMPTY])
        for number in range(50):
            self.assertEqual(self.context.run([b"PFCOUNT", b"key:%d" % number]), 0 if number == 7 else 3)


if __name__ == "__main__":
    unittest.main()

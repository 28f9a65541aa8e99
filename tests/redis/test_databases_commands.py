"""The sixteen databases: keys of one are not seen in another, whatever the command; SWAPDB, MOVE and FLUSHDB."""

import random
import unittest

from nosqgrid.engine import databases
from tests.redis.test_keys_commands import Bag, put_bag, wrong_arity
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest, contents

OUT_OF_RANGE = b"-ERR DB index is out of range\r\n"


def names(*words):
    return b"*%d\r\n" % len(words) + b"".join(bulk(word) for word in words)


class DatabasesTest(EngineTest):
    def test_select(self):
        self.run_table([
            ("SET a zero", b"+OK\r\n"), ("SELECT 15", b"+OK\r\n"), ("GET a", b"$-1\r\n"), ("SET a last", b"+OK\r\n"),
            ("SELECT 16", OUT_OF_RANGE), ("SELECT -1", OUT_OF_RANGE), ("SELECT x", NOT_AN_INTEGER),
            ("SELECT 2147483648", b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"),
            ("SELECT", wrong_arity(b"select")), ("GET a", bulk(b"last")), ("SELECT 0", b"+OK\r\n"),
            ("GET a", bulk(b"zero")),
        ])

    def test_walks_and_counts_are_of_one_database(self):
        self.run_table([("MSET a 1 ab 2", b"+OK\r\n"), ("SELECT 3", b"+OK\r\n"), ("MSET a 3 b 4 c 5", b"+OK\r\n")])
        put_bag(self.context, self.context.key(b"bag"), b"x")
        for number, keys in ((0, [b"a", b"ab"]), (3, [b"a", b"b", b"bag", b"c"]), (5, [])):
            self.context.call("SELECT", str(number))
            self.assertEqual(sorted(self.context.run([b"KEYS", b"*"])), keys)
            self.assertEqual(sorted(self.context.run([b"KEYS", b"a*"])), [key for key in keys if key[:1] == b"a"])
            self.assertEqual(self.context.run([b"DBSIZE"]), len(keys))
            cursor, found = self.context.run([b"SCAN", b"0", b"COUNT", b"10000"])
            self.assertEqual((cursor, sorted(found)), (b"0", keys))
            for pattern, kind in ((b"b*", b"set"), (b"*", b"string")):
                _, found = self.context.run([b"SCAN", b"0", b"COUNT", b"10000", b"TYPE", kind, b"MATCH", pattern])
                self.assertEqual(sorted(found), [key for key in keys if (key == b"bag") == (kind == b"set")])
            drawn = {self.context.run([b"RANDOMKEY"]) for _ in range(100)}
            self.assertEqual(drawn, set(keys) or {None})
        self.run_table([("SCAN 0 TYPE NOSUCH", b"*2\r\n$1\r\n0\r\n*0\r\n"), ("SCAN x", b"-ERR invalid cursor\r\n"),
                        ("SCAN 18446744073709551616", b"-ERR invalid cursor\r\n"), ("SCAN 0 COUNT 0", SYNTAX),
                        ("SCAN 18446744073709551615", b"*2\r\n$1\r\n0\r\n*0\r\n"), ("SCAN 0 COUNT", SYNTAX),
                        ("SCAN 0 COUNT x", NOT_AN_INTEGER), ("SCAN 0 BOGUS 1", SYNTAX)])

    def test_a_scan_finds_what_stays(self):
        rng = random.Random(5)
        self.context.call("SELECT", "2")
        stay = {b"stay%d" % number for number in range(200)}
        for key in stay:
            self.context.call("SET", key, "x")
        for number in (0, 9):
            self.context.call("SELECT", str(number))
            for index in range(300):
                self.context.call("SET", "other%d" % index, "x")
        self.context.call("SELECT", "2")
        found, cursor = [], b"0"
        while True:
            cursor, keys = self.context.run([b"SCAN", cursor, b"COUNT", b"7"])
            found += keys
            if cursor == b"0":
                break
            for _ in range(5):
                name = "moving%d" % rng.randrange(500)
                self.context.call(rng.choice(["DEL", "INCR"]), name)
        stayed = [key for key in found if key in stay]
        self.assertEqual(sorted(stayed), sorted(stay))

    def test_move(self):
        self.run_table([
            ("MOVE a 1", b":0\r\n"), ("SET a 1 PX 5000", b"+OK\r\n"), ("MOVE a 1", b":1\r\n"), ("EXISTS a", b":0\r\n"),
            ("SET a 2", b"+OK\r\n"), ("MOVE a 1", b":0\r\n"), ("GET a", bulk(b"2")), ("SELECT 1", b"+OK\r\n"),
            ("GET a", bulk(b"1")), ("PTTL a", b":5000\r\n"), ("MOVE a 7", b":1\r\n"), ("SELECT 7", b"+OK\r\n"),
            ("GET a", bulk(b"1")), ("MOVE a 7", b"-ERR source and destination objects are the same\r\n"),
            ("MOVE a x", NOT_AN_INTEGER), ("MOVE a 16", OUT_OF_RANGE), ("MOVE a", wrong_arity(b"move")),
        ])
        put_bag(self.context, self.context.key(b"bag"), b"x")
        self.run_table([("MOVE bag 0", b":1\r\n"), ("SELECT 0", b"+OK\r\n"), ("TYPE bag", b"+set\r\n")])
        self.assertEqual(self.keyspace.structure(b"bag", Bag).words, [b"x"])

    def test_swapdb(self):
        self.run_table([
            ("SET a 1 PX 5000", b"+OK\r\n"), ("SET both zero", b"+OK\r\n"), ("SELECT 4", b"+OK\r\n"),
            ("SET b 2", b"+OK\r\n"), ("SET both four", b"+OK\r\n"), ("SELECT 9", b"+OK\r\n"), ("SET b 9", b"+OK\r\n"),
        ])
        put_bag(self.context, databases.key_in(0, b"bag"), b"0")
        put_bag(self.context, databases.key_in(4, b"bag"), b"4", b"4")
        self.run_table([("SWAPDB 0 4", b"+OK\r\n"), ("SELECT 0", b"+OK\r\n")])
        self.assertEqual(sorted(self.context.run([b"KEYS", b"*"])), [b"b", b"bag", b"both"])
        self.assertEqual(self.keyspace.structure(b"bag", Bag).words, [b"4", b"4"])
        self.run_table([
            ("GET b", bulk(b"2")), ("GET both", bulk(b"four")), ("SELECT 4", b"+OK\r\n"), ("PTTL a", b":5000\r\n"),
            ("GET both", bulk(b"zero")), ("DBSIZE", b":3\r\n"), ("SELECT 9", b"+OK\r\n"), ("GET b", bulk(b"9")),
            ("SWAPDB 3 3", b"+OK\r\n"), ("SWAPDB x 0", b"-ERR invalid first DB index\r\n"),
            ("SWAPDB 0 x", b"-ERR invalid second DB index\r\n"), ("SWAPDB 0 16", OUT_OF_RANGE),
            ("SWAPDB -1 0", OUT_OF_RANGE), ("SWAPDB 3000000000 0", b"-ERR invalid first DB index\r\n"),
            ("SWAPDB 0", wrong_arity(b"swapdb")),
        ])
        self.assertEqual(self.keyspace.structure(databases.key_in(4, b"bag"), Bag).words, [b"0"])

    def test_a_swap_that_does_not_fit_changes_nothing(self):
        self.context = EngineContext(memory_bytes=1 << 20)
        self.keyspace = self.context.keyspace
        number = 0
        while self.context.call("SET", "k%d" % number, b"x" * 5000) == b"+OK\r\n":
            number += 1
        before = contents(self.keyspace)
        self.assertTrue(self.context.call("SWAPDB", "0", "1").startswith(b"-OOM "))
        self.assertEqual(contents(self.keyspace), before)
        self.assertFalse(self.keyspace.staging)

    def test_flush(self):
        self.run_table([
            ("MSET a 1 b 2", b"+OK\r\n"), ("SELECT 2", b"+OK\r\n"), ("MSET a 3 c 4", b"+OK\r\n"),
            ("EXPIRE a 100", b":1\r\n"), ("FLUSHDB x", SYNTAX), ("FLUSHDB SYNC SYNC", SYNTAX), ("FLUSHALL x", SYNTAX),
            ("FLUSHDB", b"+OK\r\n"), ("DBSIZE", b":0\r\n"), ("SELECT 0", b"+OK\r\n"), ("DBSIZE", b":2\r\n"),
            ("SELECT 2", b"+OK\r\n"), ("SET a 1", b"+OK\r\n"), ("SELECT 0", b"+OK\r\n"), ("FLUSHDB ASYNC", b"+OK\r\n"),
            ("DBSIZE", b":0\r\n"), ("SELECT 2", b"+OK\r\n"), ("KEYS *", names(b"a")), ("FLUSHDB SYNC", b"+OK\r\n"),
            ("SET a 1", b"+OK\r\n"), ("SELECT 0", b"+OK\r\n"), ("SET b 1", b"+OK\r\n"), ("FLUSHALL async", b"+OK\r\n"),
            ("DBSIZE", b":0\r\n"), ("SELECT 2", b"+OK\r\n"), ("DBSIZE", b":0\r\n"),
        ])

    def test_deadlines_are_counted_for_each_database(self):
        self.run_table([("SET a 1 EX 5", b"+OK\r\n"), ("SELECT 2", b"+OK\r\n"), ("SET a 1 EX 5", b"+OK\r\n"),
                        ("SET b 1 EX 5", b"+OK\r\n"), ("SET c 1", b"+OK\r\n"), ("PERSIST b", b":1\r\n")])
        counts = self.keyspace.databases
        self.assertEqual([counts.expiring_count(number, self.keyspace.expiring) for number in (0, 1, 2)], [1, 0, 1])

    def test_a_transaction_sees_what_it_does(self):
        self.run_table([
            ("SET before 1", b"+OK\r\n"), ("MULTI", b"+OK\r\n"), ("SET a 1", b"+QUEUED\r\n"),
            ("DEL before", b"+QUEUED\r\n"), ("KEYS *", b"+QUEUED\r\n"), ("DBSIZE", b"+QUEUED\r\n"),
            ("SCAN 0", b"+QUEUED\r\n"), ("RANDOMKEY", b"+QUEUED\r\n"), ("SELECT 5", b"+QUEUED\r\n"),
            ("SET there 1", b"+QUEUED\r\n"), ("KEYS *", b"+QUEUED\r\n"), ("DBSIZE", b"+QUEUED\r\n"),
            ("FLUSHDB", b"+QUEUED\r\n"), ("RANDOMKEY", b"+QUEUED\r\n"), ("SET after 1", b"+QUEUED\r\n"),
            ("EXEC", b"*13\r\n+OK\r\n:1\r\n*1\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n$1\r\na\r\n+OK\r\n"
                     b"+OK\r\n*1\r\n$5\r\nthere\r\n:1\r\n+OK\r\n$-1\r\n+OK\r\n"),
            ("KEYS *", names(b"after")), ("SELECT 0", b"+OK\r\n"), ("KEYS *", names(b"a")),
        ])

    def test_watched_keys_are_of_a_database(self):
        other = EngineContext(self.context)
        other.call("SELECT", "3")
        self.run_table([("WATCH a", b"+OK\r\n"), ("MULTI", b"+OK\r\n"), ("PING", b"+QUEUED\r\n")])
        other.call("SET", "a", "1")
        self.run_table([("EXEC", b"*1\r\n+PONG\r\n"), ("WATCH a", b"+OK\r\n"), ("MULTI", b"+OK\r\n"),
                        ("PING", b"+QUEUED\r\n")])
        other.call("SWAPDB", "0", "3")
        self.run_table([("EXEC", b"*-1\r\n"), ("GET a", bulk(b"1"))])


if __name__ == "__main__":
    unittest.main()

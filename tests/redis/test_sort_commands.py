"""SORT and SORT_RO: exact replies over lists, sets and sorted sets, patterns, and what becomes of the target."""

import unittest

from nosqgrid.engine import commands
from tests.redis.test_list_commands import EMPTY, NULL, OK, WRONGTYPE, array, wrong_arity
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest, contents

NO_DOUBLE = b"-ERR One or more scores can't be converted into double\r\n"


class SortTest(EngineTest):

    def setUp(self):
        super().setUp()
        for line in ("RPUSH l 3 1 10 2", "SADD s 3 1 2", "ZADD z 1 c 2 b 3 a", "SET str v",
                     "MSET w1 30 w2 20 w3 10 w10 0",
                     "HSET h1 f x1", "HSET h2 f x2 g y2", "RPUSH empty x", "LPOP empty"):
            self.context.call(*line.split())

    def test_orders(self):
        self.run_table([
            ("SORT l", array(b"1", b"2", b"3", b"10")), ("SORT l DESC", array(b"10", b"3", b"2", b"1")),
            ("SORT l ALPHA", array(b"1", b"10", b"2", b"3")), ("SORT l ALPHA DESC", array(b"3", b"2", b"10", b"1")),
            ("SORT l DESC ASC", array(b"1", b"2", b"3", b"10")), ("sort_ro l desc", array(b"10", b"3", b"2", b"1")),
            ("SORT s", array(b"1", b"2", b"3")), ("SORT z ALPHA", array(b"a", b"b", b"c")), ("SORT z", NO_DOUBLE),
            ("SORT none", EMPTY), ("SORT empty", EMPTY), ("SORT str", WRONGTYPE), ("SORT h1", WRONGTYPE),
            ("SORT", wrong_arity(b"sort")), ("SORT_RO", wrong_arity(b"sort_ro")), ("SORT_RO str", WRONGTYPE),
        ])

    def test_options(self):
        self.run_table([
            ("SORT l LIMIT 1 2", array(b"2", b"3")), ("SORT l LIMIT 0 0", EMPTY),
            ("SORT l LIMIT 2 -1", array(b"3", b"10")),
            ("SORT l LIMIT -5 1", array(b"1")), ("SORT l LIMIT 9 1", EMPTY), ("SORT l LIMIT 3 9", array(b"10")),
            ("SORT l LIMIT 0 9223372036854775807", array(b"1", b"2", b"3", b"10")),
            ("SORT l LIMIT x 1", NOT_AN_INTEGER),
            ("SORT l LIMIT 1 x", NOT_AN_INTEGER), ("SORT l LIMIT 1", SYNTAX), ("SORT l BY", SYNTAX),
            ("SORT l GET", SYNTAX),
            ("SORT l STORE", SYNTAX), ("SORT l FOO", SYNTAX), ("SORT_RO l STORE t", SYNTAX), ("SORT str FOO", SYNTAX),
        ])

    def test_by_and_get(self):
        self.run_table([
            ("SORT l BY w*", array(b"10", b"3", b"2", b"1")), ("SORT l BY w* DESC", array(b"1", b"2", b"3", b"10")),
            ("SORT l BY none*", array(b"1", b"10", b"2", b"3")), ("SORT l BY w* ALPHA", array(b"10", b"3", b"2", b"1")),
            ("SORT l BY nosort", array(b"3", b"1", b"10", b"2")),
            ("SORT l BY nosort DESC", array(b"2", b"10", b"1", b"3")),
            ("SORT l BY nosort LIMIT 1 2", array(b"1", b"10")), ("SORT l BY nosort DESC LIMIT 0 1", array(b"2")),
            ("SORT l BY nosort BY w*", array(b"3", b"1", b"10", b"2")),
            ("SORT z BY nosort", array(b"c", b"b", b"a")), ("SORT z BY nosort DESC", array(b"a", b"b", b"c")),
            ("SORT z BY nosort LIMIT 1 1", array(b"b")), ("SORT l GET #", array(b"1", b"2", b"3", b"10")),
            ("SORT l LIMIT 0 2 GET w* GET #", array(b"30", b"1", b"20", b"2")),
            ("SORT s GET h*->f", b"*3\r\n" + bulk(b"x1") + bulk(b"x2") + NULL),
            ("SORT s LIMIT 0 1 GET h*->g", b"*1\r\n" + NULL),
            ("SORT s LIMIT 0 1 GET h*", b"*1\r\n" + NULL), ("SORT s LIMIT 0 1 GET w*->f", b"*1\r\n" + NULL),
            ("SORT s LIMIT 0 1 GET nostar", b"*1\r\n" + NULL), ("SET w1-> arrow", OK),
            ("SORT s LIMIT 0 1 GET w*->", array(b"arrow")), ("SORT s BY h*->f ALPHA", array(b"3", b"1", b"2")),
            ("SORT s BY h*->f ALPHA DESC", array(b"2", b"1", b"3")), ("SORT s BY h*->f", NO_DOUBLE),
        ])
        self.context.session.protocol = 3
        self.run_table([("SORT s GET h*->f", b"*3\r\n" + bulk(b"x1") + bulk(b"x2") + b"_\r\n")])

    def test_scores(self):
        for word, expected in (
                (b"1.5", 1.5), (b"-2", -2.0), (b"+3", 3.0), (b"1e2", 100.0), (b"0x10", 16.0), (b"", 0.0),
                (b" \t4", 4.0),
                (b".5", 0.5), (b"inf", float("inf")), (b"-Infinity", float("-inf")), (b"1\x00x", 1.0), (b"007", 7.0),
                (b"x", None), (b"1x", None), (b"nan", None), (b"1 ", None), (b"1_0", None), (b"1e400", None),
                (b".", None),
                (b"1e-400", None), (b"1e-310", None), (b"0x", None), (b"-", None), (b"1-2", None)):
            self.context.call("DEL", "k")
            self.context.call("RPUSH", "k", word, "1")
            if expected is None:
                answer = NO_DOUBLE
            else:
                answer = array(word, b"1") if expected < 1 or expected == 1 and word < b"1" else array(b"1", word)
            self.assertEqual(self.context.call("SORT", "k"), answer, word)

    def test_store(self):
        self.run_table([
            ("SORT l STORE t", b":4\r\n"), ("LRANGE t 0 -1", array(b"1", b"2", b"3", b"10")),
            ("SORT s GET h*->g STORE str", b":3\r\n"), ("LRANGE str 0 -1", array(b"", b"y2", b"")),
            ("SORT l STORE l", b":4\r\n"), ("LRANGE l 0 -1", array(b"1", b"2", b"3", b"10")),
            ("PEXPIRE t 9000", b":1\r\n"), ("SORT l LIMIT 0 1 STORE t", b":1\r\n"), ("PTTL t", b":-1\r\n"),
            ("SORT none STORE t", b":0\r\n"), ("EXISTS t", b":0\r\n"), ("SORT none STORE t", b":0\r\n"),
            ("SORT s BY nosort STORE t", b":3\r\n"), ("LRANGE t 0 -1", array(b"1", b"2", b"3")),
            ("SORT s BY nosort DESC STORE t", b":3\r\n"), ("LRANGE t 0 -1", array(b"3", b"2", b"1")),
            ("SORT l STORE t STORE u", b":4\r\n"), ("LLEN t", b":3\r\n"), ("LLEN u", b":4\r\n"),
        ])

    def test_what_is_refused_changes_nothing(self):
        before = contents(self.keyspace)
        for line in ("SORT z STORE l", "SORT str STORE l", "SORT l STORE t FOO", "SORT l LIMIT x 1 STORE t"):
            self.assertEqual(self.context.call(*line.split())[:1], b"-", line)
            self.assertEqual(contents(self.keyspace), before)

    def test_in_another_database_patterns_mean_its_keys(self):
        self.context.session.database = 5
        self.context.session.changed()
        self.run_table([("RPUSH l 1 2", b":2\r\n"), ("SET w1 9", OK),
                        ("SORT l BY w* GET w*", b"*2\r\n" + NULL + bulk(b"9")),
                        ("SORT l DESC STORE t", b":2\r\n"), ("LRANGE t 0 -1", array(b"2", b"1"))])
        self.context.session.database = 0
        self.context.session.changed()
        self.run_table([("EXISTS t", b":0\r\n"), ("SORT l BY w*", array(b"10", b"3", b"2", b"1"))])

    def test_keys(self):
        for line, expected in (("SORT l", "l"), ("SORT l STORE t", "l t"),
                               ("SORT l BY store GET x STORE t LIMIT 0 1", "l t"),
                               ("SORT l STORE t STORE u", "l u"), ("SORT l GET STORE", "l"), ("SORT_RO l BY w*", "l")):
            argv = [word.encode() for word in line.split()]
            self.assertEqual(commands.keys_of(commands.find_command(argv), argv), expected.encode().split(), line)

    def test_events(self):
        self.context.pubsub.set_events(b"KEA")
        EngineContext(other=self.context).run([b"PSUBSCRIBE", b"__keyevent@0__:*"])
        del self.context.pushed[:]
        for line in ("SORT l STORE t", "SORT none STORE t", "SORT none STORE t", "SORT l"):
            self.context.call(*line.split())
        self.assertEqual([parts[2:] for _, parts in self.context.pushed],
                         [[b"__keyevent@0__:sortstore", b"t"], [b"__keyevent@0__:del", b"t"]])


if __name__ == "__main__":
    unittest.main()

"""The commands on lists: exact replies and errors, events, what a refusal leaves unchanged."""

import unittest

from nosqgrid.engine import commands
from nosqgrid.errors import GridFullError
from nosqgrid.formats import resp
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest, contents

NULL = b"$-1\r\n"
NULL_ARRAY = b"*-1\r\n"
EMPTY = b"*0\r\n"
OK = b"+OK\r\n"
WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
NOT_POSITIVE = b"-ERR value is out of range, must be positive\r\n"
NAMES = ("LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LLEN LRANGE LINDEX LSET LINSERT LREM LTRIM LPOS LMOVE RPOPLPUSH LMPOP "
         "BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP").split()


def array(*words):
    return b"*%d\r\n" % len(words) + b"".join(map(bulk, words))


def wrong_arity(name):
    return b"-ERR wrong number of arguments for '%b' command\r\n" % name


class ListTest(EngineTest):

    def setUp(self):
        super().setUp()
        self.context.call("SET", "s", "v")
        self.context.call("RPUSH", "l", "a", "b", "c", "b", "d")

    def elements(self, key="l"):
        return [element.decode() for element in self.context.run([b"LRANGE", key.encode(), b"0", b"-1"])]


class EndsTest(ListTest):

    def test_pushing(self):
        self.run_table([
            ("LPUSH k 1", b":1\r\n"), ("LPUSH k 2 3", b":3\r\n"), ("RPUSH k 4 5", b":5\r\n"),
            ("LRANGE k 0 -1", array(b"3", b"2", b"1", b"4", b"5")), ("LPUSHX none 1", b":0\r\n"),
            ("RPUSHX none 1 2", b":0\r\n"), ("EXISTS none", b":0\r\n"), ("LPUSHX k 9 8", b":7\r\n"),
            ("RPUSHX k 7", b":8\r\n"), ("LRANGE k 0 2", array(b"8", b"9", b"3")), ("LINDEX k -1", bulk(b"7")),
            ("LPUSH s 1", WRONGTYPE), ("RPUSH s 1", WRONGTYPE), ("LPUSHX s 1", WRONGTYPE), ("RPUSHX s 1", WRONGTYPE),
            ("LPUSH k", wrong_arity(b"lpush")), ("RPUSH", wrong_arity(b"rpush")), ("LPUSHX k", wrong_arity(b"lpushx")),
            ("RPUSHX k", wrong_arity(b"rpushx")), ("LLEN k", b":8\r\n"), ("LLEN none", b":0\r\n"),
            ("LLEN s", WRONGTYPE),
            ("LLEN", wrong_arity(b"llen")),
        ])

    def test_elements_are_any_bytes(self):
        for element in (b"", b"\x00\xff\r\n", b"x" * 100000):
            self.context.call("RPUSH", "k", element)
            self.assertEqual(self.context.call("LINDEX", "k", "-1"), bulk(element))

    def test_popping(self):
        self.run_table([
            ("LPOP l", bulk(b"a")), ("RPOP l", bulk(b"d")), ("LPOP l 2", array(b"b", b"c")), ("LPOP none", NULL),
            ("LPOP none 1", NULL_ARRAY), ("LPOP none 0", NULL_ARRAY), ("RPOP none", NULL), ("LPOP l 0", EMPTY),
            ("LPOP l -1", NOT_POSITIVE), ("LPOP none x", NOT_POSITIVE), ("RPOP l 1.5", NOT_POSITIVE),
            ("LPOP l 1 2", wrong_arity(b"lpop")), ("RPOP l x 2", wrong_arity(b"rpop")), ("LPOP", wrong_arity(b"lpop")),
            ("LPOP s", WRONGTYPE), ("RPOP s 0", WRONGTYPE), ("RPUSH l 1 2 3", b":4\r\n"),
            ("RPOP l 3", array(b"3", b"2", b"1")), ("RPOP l 9223372036854775807", array(b"b")), ("EXISTS l", b":0\r\n"),
        ])

    def test_the_null_of_a_count_in_resp3(self):
        self.context.session.protocol = 3
        self.run_table([("LPOP none 1", b"_\r\n"), ("LPOP none", b"_\r\n"), ("LMPOP 1 none LEFT", b"_\r\n"),
                        ("LPOS l x", b"_\r\n"), ("LINDEX l 9", b"_\r\n"), ("LPOP l 1", array(b"a"))])

    def test_lmpop(self):
        self.run_table([
            ("LMPOP 2 none l LEFT", b"*2\r\n" + bulk(b"l") + array(b"a")),
            ("LMPOP 2 l none RIGHT COUNT 2", b"*2\r\n" + bulk(b"l") + array(b"d", b"b")),
            ("lmpop 1 l left count 10", b"*2\r\n" + bulk(b"l") + array(b"b", b"c")), ("EXISTS l", b":0\r\n"),
            ("LMPOP 1 l LEFT", NULL_ARRAY), ("LMPOP 2 none s LEFT", WRONGTYPE),
            ("LMPOP 0 l LEFT", b"-ERR numkeys should be greater than 0\r\n"),
            ("LMPOP x l LEFT", b"-ERR numkeys should be greater than 0\r\n"),
            ("LMPOP 1 l LEFT COUNT 0", b"-ERR count should be greater than 0\r\n"),
            ("LMPOP 1 l LEFT COUNT x", b"-ERR count should be greater than 0\r\n"),
            ("LMPOP 2 l LEFT", SYNTAX), ("LMPOP 1 l UP", SYNTAX), ("LMPOP 1 l LEFT COUNT", SYNTAX),
            ("LMPOP 1 l LEFT COUNT 1 COUNT 1", SYNTAX), ("LMPOP 1 l LEFT 1", SYNTAX),
            ("LMPOP 9223372036854775807 l LEFT", SYNTAX), ("LMPOP 1 l", wrong_arity(b"lmpop")),
        ])


class ReadingTest(ListTest):

    def test_lrange(self):
        self.run_table([
            ("LRANGE l 0 -1", array(b"a", b"b", b"c", b"b", b"d")), ("LRANGE l 1 1", array(b"b")),
            ("LRANGE l -2 -1", array(b"b", b"d")), ("LRANGE l -100 1", array(b"a", b"b")),
            ("LRANGE l 4 100", array(b"d")),
            ("LRANGE l 5 5", EMPTY), ("LRANGE l 3 1", EMPTY), ("LRANGE l 0 -6", EMPTY), ("LRANGE none 0 -1", EMPTY),
            ("LRANGE none x 1", NOT_AN_INTEGER), ("LRANGE l 0 x", NOT_AN_INTEGER), ("LRANGE s 0 1", WRONGTYPE),
            ("LRANGE l 0", wrong_arity(b"lrange")),
            ("LRANGE l -9223372036854775808 9223372036854775807", array(b"a", b"b", b"c", b"b", b"d")),
        ])

    def test_lindex(self):
        self.run_table([
            ("LINDEX l 0", bulk(b"a")), ("LINDEX l -1", bulk(b"d")), ("LINDEX l 5", NULL), ("LINDEX l -6", NULL),
            ("LINDEX l x", NOT_AN_INTEGER), ("LINDEX none x", NULL), ("LINDEX s x", WRONGTYPE),
            ("LINDEX l", wrong_arity(b"lindex")),
        ])

    def test_lpos(self):
        self.run_table([
            ("LPOS l b", b":1\r\n"), ("LPOS l x", NULL), ("LPOS none b", NULL), ("LPOS none b COUNT 0", EMPTY),
            ("LPOS l b RANK 2", b":3\r\n"), ("LPOS l b RANK -1", b":3\r\n"), ("LPOS l b RANK 3", NULL),
            ("LPOS l b RANK 3 COUNT 0", EMPTY), ("LPOS l b COUNT 0", b"*2\r\n:1\r\n:3\r\n"),
            ("LPOS l b COUNT 1", b"*1\r\n:1\r\n"), ("LPOS l b COUNT 0 RANK -1", b"*2\r\n:3\r\n:1\r\n"),
            ("LPOS l b COUNT 5 RANK -2", b"*1\r\n:1\r\n"), ("LPOS l b MAXLEN 1", NULL),
            ("LPOS l b MAXLEN 2", b":1\r\n"),
            ("LPOS l b MAXLEN 0 COUNT 9", b"*2\r\n:1\r\n:3\r\n"), ("lpos l b maxlen 2 rank -1", b":3\r\n"),
            ("LPOS l b RANK 9223372036854775807", NULL), ("LPOS l b RANK -9223372036854775808", b":3\r\n"),
            ("LPOS l b RANK 0", b"-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
                                b"or use negative to start from the end of the list\r\n"),
            ("LPOS l b RANK x", NOT_AN_INTEGER), ("LPOS l b COUNT -1", b"-ERR COUNT can't be negative\r\n"),
            ("LPOS l b COUNT x", b"-ERR COUNT can't be negative\r\n"), ("LPOS s b", WRONGTYPE),
            ("LPOS l b MAXLEN -1", b"-ERR MAXLEN can't be negative\r\n"), ("LPOS l b COUNT", SYNTAX),
            ("LPOS l b FOO 1", SYNTAX), ("LPOS l", wrong_arity(b"lpos")),
        ])


class ChangingTest(ListTest):

    def test_lset(self):
        self.run_table([
            ("LSET l 0 x", OK), ("LSET l -1 y", OK), ("LSET l 5 z", b"-ERR index out of range\r\n"),
            ("LSET l -6 z", b"-ERR index out of range\r\n"), ("LSET l x z", NOT_AN_INTEGER), ("LSET s x z", WRONGTYPE),
            ("LSET none x z", b"-ERR no such key\r\n"), ("LSET l 0", wrong_arity(b"lset")),
        ])
        self.assertEqual(self.elements(), ["x", "b", "c", "b", "y"])

    def test_linsert(self):
        self.run_table([
            ("LINSERT l BEFORE b x", b":6\r\n"), ("LINSERT l after d y", b":7\r\n"),
            ("LINSERT l BEFORE z x", b":-1\r\n"),
            ("LINSERT none BEFORE b x", b":0\r\n"), ("LINSERT l IN b x", SYNTAX), ("LINSERT none IN b x", SYNTAX),
            ("LINSERT s AFTER b x", WRONGTYPE), ("LINSERT l BEFORE b", wrong_arity(b"linsert")),
        ])
        self.assertEqual(self.elements(), ["a", "x", "b", "c", "b", "d", "y"])

    def test_lrem(self):
        self.run_table([
            ("LREM l 1 b", b":1\r\n"), ("LRANGE l 0 -1", array(b"a", b"c", b"b", b"d")), ("RPUSH l b b", b":6\r\n"),
            ("LREM l -2 b", b":2\r\n"), ("LRANGE l 0 -1", array(b"a", b"c", b"b", b"d")), ("LREM l 0 z", b":0\r\n"),
            ("LREM l 5 b", b":1\r\n"), ("LREM none 0 b", b":0\r\n"), ("LREM none x b", NOT_AN_INTEGER),
            ("LREM s 0 b", WRONGTYPE), ("LREM l 0", wrong_arity(b"lrem")), ("LREM l 0 a", b":1\r\n"),
            ("LREM l 0 c", b":1\r\n"), ("LREM l -9223372036854775808 d", b":1\r\n"), ("EXISTS l", b":0\r\n"),
        ])

    def test_ltrim(self):
        for words, left in (("1 -2", "b c b"), ("0 -1", "a b c b d"), ("-2 100", "b d"), ("3 1", ""), ("7 9", ""),
                            ("-100 0", "a"), ("0 0", "a"), ("4 4", "d")):
            self.context.call("DEL", "l")
            self.context.call("RPUSH", "l", "a", "b", "c", "b", "d")
            self.assertEqual(self.context.call("LTRIM", "l", *words.split()), OK)
            self.assertEqual(self.elements(), left.split(), words)
        self.run_table([("LTRIM none 0 1", OK), ("LTRIM none x 1", NOT_AN_INTEGER), ("LTRIM l 0 x", NOT_AN_INTEGER),
                        ("LTRIM s 0 1", WRONGTYPE), ("LTRIM l 0", wrong_arity(b"ltrim"))])

    def test_moving(self):
        self.run_table([
            ("LMOVE l m LEFT LEFT", bulk(b"a")), ("LMOVE l m right left", bulk(b"d")), ("RPOPLPUSH l m", bulk(b"b")),
            ("LMOVE l m LEFT RIGHT", bulk(b"b")), ("LRANGE m 0 -1", array(b"b", b"d", b"a", b"b")),
            ("LMOVE m m LEFT RIGHT", bulk(b"b")), ("LRANGE m 0 -1", array(b"d", b"a", b"b", b"b")),
            ("RPOPLPUSH m m", bulk(b"b")), ("LRANGE m 0 -1", array(b"b", b"d", b"a", b"b")),
            ("LMOVE m m LEFT LEFT", bulk(b"b")), ("LRANGE m 0 -1", array(b"b", b"d", b"a", b"b")),
            ("LMOVE none m LEFT LEFT", NULL), ("LMOVE none s LEFT LEFT", NULL), ("LMOVE l s LEFT LEFT", WRONGTYPE),
            ("LMOVE s m LEFT LEFT", WRONGTYPE), ("LMOVE l m UP LEFT", SYNTAX), ("LMOVE none m LEFT DOWN", SYNTAX),
            ("LMOVE l m LEFT", wrong_arity(b"lmove")), ("RPOPLPUSH none s", NULL), ("RPOPLPUSH s m", WRONGTYPE),
            ("RPOPLPUSH l s", WRONGTYPE), ("RPOPLPUSH l", wrong_arity(b"rpoplpush")), ("RPOPLPUSH l m", bulk(b"c")),
            ("EXISTS l", b":0\r\n"), ("LLEN m", b":5\r\n"),
        ])

    def test_a_list_of_one_element_that_is_rotated_keeps_its_deadline(self):
        self.run_table([("RPUSH k a", b":1\r\n"), ("PEXPIRE k 5000", b":1\r\n"), ("RPOPLPUSH k k", bulk(b"a")),
                        ("LMOVE k k LEFT LEFT", bulk(b"a")), ("PTTL k", b":5000\r\n"), ("LPUSH k b", b":2\r\n"),
                        ("LPOP k", bulk(b"b")), ("PTTL k", b":5000\r\n")])

    def test_what_is_refused_changes_nothing(self):
        before = contents(self.keyspace)
        for line in ("LMOVE l s LEFT LEFT", "RPOPLPUSH l s", "LPUSH s 1", "LMPOP 1 s LEFT", "LSET l 9 x", "LPOP l x",
                     "LTRIM l x 1", "LREM l x b", "LINSERT l x b c"):
            self.assertEqual(self.context.call(*line.split())[:1], b"-", line)
            self.assertEqual(contents(self.keyspace), before)

    def test_a_move_that_finds_no_room_changes_nothing(self):
        before = contents(self.keyspace)
        self.keyspace.structures.add = self.refuse
        self.assertEqual(self.context.call("RPOPLPUSH", "l", "m"), b"-OOM no room\r\n")
        del self.keyspace.structures.add
        self.assertEqual(contents(self.keyspace), before)

    def refuse(self, structure):
        raise GridFullError("no room")


class WhatOthersSeeTest(ListTest):

    def test_events(self):
        self.context.pubsub.set_events(b"KEA")
        listener = EngineContext(other=self.context)
        listener.run([b"PSUBSCRIBE", b"__keyevent@0__:*"])
        del self.context.pushed[:]
        for line, expected in (
                ("RPUSH k 1 2 3 4", "rpush k"), ("LPUSH k 0", "lpush k"), ("LPUSHX k 0", "lpush k"),
                ("RPUSHX k 0", "rpush k"), ("LPUSHX none 0", ""), ("LPOP k", "lpop k"), ("RPOP k 1", "rpop k"),
                ("LSET k 0 9", "lset k"), ("LINSERT k BEFORE 9 8", "linsert k"), ("LINSERT k BEFORE z 8", ""),
                ("LREM k 0 8", "lrem k"), ("LREM k 0 8", ""), ("LTRIM k 0 3", "ltrim k"), ("LTRIM k 0 100", "ltrim k"),
                ("LMOVE k m LEFT RIGHT", "rpush m lpop k"), ("RPOPLPUSH k k", "lpush k rpop k"),
                ("LMPOP 1 m LEFT COUNT 5", "lpop m del m"), ("BLPOP k 0", "lpop k"),
                ("RPOPLPUSH k m", "lpush m rpop k"),
                ("BRPOPLPUSH k m 0", "lpush m rpop k del k"), ("BRPOP m 0", "rpop m"), ("LPOP m", "lpop m del m"),
                ("RPUSH k 1 1", "rpush k"), ("LREM k 0 1", "lrem k del k"), ("RPUSH k 1 1", "rpush k"),
                ("LTRIM k 5 9", "ltrim k del k"), ("RPUSH k 1", "rpush k"), ("RPOP k 9", "rpop k del k")):
            self.context.call(*line.split())
            seen = b" ".join(parts[2][15:] + b" " + parts[3] for _, parts in self.context.pushed)
            self.assertEqual(seen.decode(), expected, line)
            del self.context.pushed[:]

    def test_databases_have_lists_of_their_own(self):
        self.enter(3)
        self.run_table([
            ("LLEN l", b":0\r\n"), ("RPUSH l x y z", b":3\r\n"),
            ("LMPOP 2 none l LEFT", b"*2\r\n" + bulk(b"l") + array(b"x")), ("LMOVE l m LEFT LEFT", bulk(b"y")),
            ("BLPOP l 0", array(b"l", b"z")), ("BLMPOP 0 1 m LEFT", b"*2\r\n" + bulk(b"m") + array(b"y")),
        ])
        self.enter(0)
        self.assertEqual(self.context.call("LLEN", "l"), b":5\r\n")

    def enter(self, database):
        self.context.session.database = database
        self.context.session.changed()

    def test_keys(self):
        for line, expected in (
                ("LMPOP 2 a b LEFT", "a b"), ("BLMPOP 0 2 a b LEFT", "a b"), ("BLPOP a b 0", "a b"), ("BRPOP a 0", "a"),
                ("LMOVE a b LEFT LEFT", "a b"), ("BLMOVE a b LEFT LEFT 0", "a b"), ("RPOPLPUSH a b", "a b"),
                ("BRPOPLPUSH a b 0", "a b"), ("LPUSH a b", "a"), ("LPOP a 1", "a"), ("LMPOP x a LEFT", ""),
                ("LMPOP 9 a LEFT", ""), ("LMPOP 0 a LEFT", ""), ("LINSERT a BEFORE b c", "a")):
            argv = [word.encode() for word in line.split()]
            self.assertEqual(commands.keys_of(commands.find_command(argv), argv), expected.encode().split(), line)

    def test_flags_are_those_of_redis(self):
        described = self.context.run([b"COMMAND", b"INFO"] + [name.encode() for name in NAMES])
        self.assertEqual({entry[0].decode(): entry[1] for entry in described},
                         dict(lpush=-3, rpush=-3, lpushx=-3, rpushx=-3, lpop=-2, rpop=-2, llen=2, lrange=4,
                              lindex=3, lset=4,
                              linsert=5, lrem=4, ltrim=4, lpos=-3, lmove=5, rpoplpush=3, lmpop=-4, blpop=-3, brpop=-3,
                              blmove=6, brpoplpush=4, blmpop=-5))
        oom = [name for name in NAMES if "denyoom" in commands.TABLE[name.encode()].flags]
        self.assertEqual(oom, "LPUSH RPUSH LPUSHX RPUSHX LSET LINSERT LMOVE RPOPLPUSH BLMOVE BRPOPLPUSH".split())
        self.assertEqual([name for name in NAMES if "fast" in commands.TABLE[name.encode()].flags],
                         "LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LLEN".split())
        self.assertEqual([name for name in NAMES if "blocking" in commands.TABLE[name.encode()].flags],
                         "BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP".split())

    def test_in_a_transaction(self):
        self.run_table([("MULTI", OK)] + [(line, b"+QUEUED\r\n") for line in (
            "LPUSH t 1", "LPOP t", "BLPOP t 0", "BLMOVE t u LEFT LEFT 0", "BRPOPLPUSH t u 0", "BLMPOP 0 1 t LEFT",
            "RPUSH t 2", "LMOVE t u LEFT LEFT", "LPOP s", "BLPOP u 0")])
        self.assertEqual(self.context.call("EXEC"),
                         b"*10\r\n:1\r\n" + bulk(b"1") + NULL_ARRAY + NULL + NULL + NULL_ARRAY + b":1\r\n" + bulk(b"2")
                         + WRONGTYPE + array(b"u", b"2"))

    def test_replies_are_plain(self):
        self.assertIs(type(self.context.run([b"LRANGE", b"l", b"0", b"1"])), list)
        self.assertIs(self.context.run([b"LPOP", b"none", b"1"]), resp.NULL_ARRAY)


if __name__ == "__main__":
    unittest.main()

"""Every command on sets with its replies and errors, as redis-server 7.0.15 gives them."""

import unittest

from nosqgrid.engine import commands
from nosqgrid.engine.structures import members
from nosqgrid.formats import resp
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest

WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
OUT_OF_RANGE = (b"-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n")
NOT_POSITIVE = b"-ERR value is out of range, must be positive\r\n"
NUMKEYS = b"-ERR numkeys should be greater than 0\r\n"
LIMIT = b"-ERR LIMIT can't be negative\r\n"
# Of each command, words that are as few as it takes, and whether it takes no more.
LEAST = {"SADD": ("k a", False), "SREM": ("k a", False), "SPOP": ("k", False), "SRANDMEMBER": ("k", False),
         "SMEMBERS": ("k", True), "SISMEMBER": ("k a", True), "SMISMEMBER": ("k a", False), "SCARD": ("k", True),
         "SMOVE": ("k s a", True), "SSCAN": ("k 0", False), "SINTER": ("k", False), "SINTERSTORE": ("d k", False),
         "SINTERCARD": ("1 k", False), "SUNION": ("k", False), "SUNIONSTORE": ("d k", False), "SDIFF": ("k", False),
         "SDIFFSTORE": ("d k", False)}


def array(*words):
    return b"*%d\r\n" % len(words) + b"".join(map(bulk, words))


class SetTest(EngineTest):
    def test_adding_removing_and_asking(self):
        self.run_table([
            ("SADD s b a b", b":2\r\n"), ("SADD s a c", b":1\r\n"), ("SADD s a", b":0\r\n"), ("SADD s a b", b":0\r\n"),
            ("SADD one x", b":1\r\n"), ("SMEMBERS s", array(b"b", b"a", b"c")), ("SMEMBERS no", b"*0\r\n"),
            ("SCARD s", b":3\r\n"), ("SCARD no", b":0\r\n"), ("SISMEMBER s a", b":1\r\n"), ("SISMEMBER s x", b":0\r\n"),
            ("SISMEMBER no x", b":0\r\n"), ("SMISMEMBER s a x c a", b"*4\r\n:1\r\n:0\r\n:1\r\n:1\r\n"),
            ("SMISMEMBER no a b", b"*2\r\n:0\r\n:0\r\n"), ("SREM s x", b":0\r\n"), ("SREM no x", b":0\r\n"),
            ("SREM s a a x b", b":2\r\n"), ("SMEMBERS s", array(b"c")), ("SREM s c d", b":1\r\n"),
            ("EXISTS s", b":0\r\n"), (["SADD", "s", b"", b"\x00\r\n"], b":2\r\n"), (["SISMEMBER", "s", b""], b":1\r\n"),
        ])

    def test_numbers_come_in_their_order(self):
        self.run_table([
            ("SADD n 10 -5 9 0", b":4\r\n"), ("SMEMBERS n", array(b"-5", b"0", b"9", b"10")),
            ("SSCAN n 0", b"*2\r\n$1\r\n0\r\n" + array(b"-5", b"0", b"9", b"10")),
            ("SRANDMEMBER n 4", array(b"-5", b"0", b"9", b"10")), ("SADD m 9 10 11", b":3\r\n"),
            ("SUNION m n", array(b"-5", b"0", b"9", b"10", b"11")), ("SDIFF n m", array(b"-5", b"0")),
            ("SINTER n m", array(b"9", b"10")), ("SADD n x", b":1\r\n"), ("SREM n x", b":1\r\n"),
            ("SMEMBERS n", array(b"10", b"-5", b"9", b"0")),
        ])

    def test_every_command_refuses_other_types(self):
        self.run_table([("SET k v", b"+OK\r\n"), ("HSET h a 1", b":1\r\n"), ("SADD s a", b":1\r\n"),
                        ("SADD d a", b":1\r\n")])
        for name, (rest, _) in LEAST.items():
            for key in ("k", "h"):
                self.run_table([("%s %s" % (name, rest.replace("k", key)), WRONGTYPE)])
        self.run_table([
            ("SINTER no k", WRONGTYPE), ("SINTER no s k", WRONGTYPE), ("SUNION s k", WRONGTYPE),
            ("SDIFF s k", WRONGTYPE), ("SDIFF no k", WRONGTYPE), ("SINTERSTORE d s k", WRONGTYPE),
            ("SINTERSTORE d no k", WRONGTYPE), ("SUNIONSTORE d s k", WRONGTYPE), ("SDIFFSTORE d s k", WRONGTYPE),
            ("SINTERCARD 2 s k", WRONGTYPE), ("SMOVE s k a", WRONGTYPE), ("SMOVE s k x", WRONGTYPE),
            ("SMOVE no k a", b":0\r\n"), ("SPOP k 2", WRONGTYPE), ("SRANDMEMBER k 2", WRONGTYPE),
            ("SPOP k x", NOT_POSITIVE), ("SSCAN k x", b"-ERR invalid cursor\r\n"), ("SMEMBERS d", array(b"a")),
            ("SMEMBERS s", array(b"a")), ("GET k", bulk(b"v")),
        ])

    def test_every_command_counts_its_words(self):
        for name, (rest, exact) in LEAST.items():
            words = [name] + rest.split()
            refused = b"-ERR wrong number of arguments for '%b' command\r\n" % name.lower().encode()
            self.run_table([(words[:-1], refused)] + ([(words + ["x"], refused)] if exact else []))

    def test_moving(self):
        self.run_table([
            ("SADD a x y", b":2\r\n"), ("SADD b y z", b":2\r\n"), ("SMOVE a b no", b":0\r\n"),
            ("SMOVE no b x", b":0\r\n"), ("SMOVE a b x", b":1\r\n"), ("SMEMBERS b", array(b"y", b"z", b"x")),
            ("SMOVE a a y", b":1\r\n"), ("SMOVE a a no", b":0\r\n"), ("SMOVE a b y", b":1\r\n"),
            ("EXISTS a", b":0\r\n"), ("SCARD b", b":3\r\n"), ("SMOVE b new z", b":1\r\n"),
            ("SMEMBERS new", array(b"z")), ("SMOVE new new z", b":1\r\n"), ("SMEMBERS new", array(b"z")),
        ])

    def test_intersections_unions_and_differences(self):
        self.run_table([
            ("SADD a 1 2 3 x", b":4\r\n"), ("SADD b 2 3 4 x", b":4\r\n"), ("SADD c 3 x", b":2\r\n"),
            ("SINTER a b c", array(b"3", b"x")), ("SINTER a", array(b"1", b"2", b"3", b"x")),
            ("SINTER a no", b"*0\r\n"), ("SINTER no", b"*0\r\n"), ("SUNION a b c", array(b"1", b"2", b"3", b"x", b"4")),
            ("SUNION no", b"*0\r\n"), ("SUNION no c", array(b"3", b"x")), ("SDIFF a b", array(b"1")),
            ("SDIFF a c b", array(b"1")), ("SDIFF no a", b"*0\r\n"), ("SDIFF a no", array(b"1", b"2", b"3", b"x")),
            ("SDIFF a a", b"*0\r\n"), ("SINTERSTORE d a b", b":3\r\n"), ("SMEMBERS d", array(b"2", b"3", b"x")),
            ("SUNIONSTORE d a b", b":5\r\n"), ("SCARD d", b":5\r\n"), ("SDIFFSTORE d a b", b":1\r\n"),
            ("SMEMBERS d", array(b"1")), ("SINTERSTORE d a no", b":0\r\n"), ("EXISTS d", b":0\r\n"),
            ("SDIFFSTORE d no", b":0\r\n"), ("SUNIONSTORE d no no", b":0\r\n"), ("SUNIONSTORE a a b", b":5\r\n"),
            ("SCARD a", b":5\r\n"), ("SDIFFSTORE a a a", b":0\r\n"), ("EXISTS a", b":0\r\n"),
        ])

    def test_storing_replaces_whatever_is_there(self):
        for name in ("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"):
            self.run_table([("SADD a 1 2", b":2\r\n"), ("SET d v PX 5000", b"+OK\r\n"), (name + " d a", b":2\r\n"),
                            ("SMEMBERS d", array(b"1", b"2")), ("PTTL d", b":-1\r\n"), ("SADD d 3", b":1\r\n"),
                            ("SMEMBERS a", array(b"1", b"2")), ("SET d v", b"+OK\r\n"), (name + " d no", b":0\r\n"),
                            ("EXISTS d", b":0\r\n"), ("DEL a d", b":1\r\n")])

    def test_counting_an_intersection(self):
        self.run_table([
            ("SADD a 1 2 3", b":3\r\n"), ("SADD b 2 3 4", b":3\r\n"), ("SINTERCARD 2 a b", b":2\r\n"),
            ("SINTERCARD 1 a", b":3\r\n"), ("SINTERCARD 2 a no", b":0\r\n"), ("SINTERCARD 2 a b LIMIT 1", b":1\r\n"),
            ("SINTERCARD 2 a b limit 0", b":2\r\n"), ("SINTERCARD 2 a b LIMIT 10", b":2\r\n"),
            ("SINTERCARD 2 a b LIMIT 1 LIMIT 2", b":2\r\n"), ("SINTERCARD 0 a", NUMKEYS), ("SINTERCARD -1 a", NUMKEYS),
            ("SINTERCARD x a", NUMKEYS), ("SINTERCARD 3 a b",
                                          b"-ERR Number of keys can't be greater than number of args\r\n"),
            ("SINTERCARD 1 a b", SYNTAX), ("SINTERCARD 1 a LIMIT", SYNTAX), ("SINTERCARD 1 a LIMIT -1", LIMIT),
            ("SINTERCARD 1 a LIMIT x", LIMIT), ("SINTERCARD 1 a LIMIT 1 x", SYNTAX),
        ])
        row = commands.TABLE[b"SINTERCARD"]
        for line, expected in ((b"SINTERCARD 2 a b", [b"a", b"b"]), (b"SINTERCARD 1 a LIMIT 1", [b"a"]),
                               (b"SINTERCARD 3 a b", []), (b"SINTERCARD x a", []), (b"SINTERCARD 0 a", []),
                               (b"SINTERCARD -1 a", []), (b"SINTERCARD 99999999999999999999 a", [])):
            self.assertEqual(commands.keys_of(row, line.split()), expected, line)

    def test_shapes_in_both_protocols(self):
        for protocol, mark in ((2, b"*"), (3, b"~")):
            self.context = EngineContext()
            self.context.session.protocol = protocol
            one = mark + array(b"a")[1:]
            null = b"_\r\n" if protocol == 3 else b"$-1\r\n"
            self.run_table([
                ("SADD s a", b":1\r\n"), ("SMEMBERS s", one), ("SMEMBERS no", mark + b"0\r\n"), ("SINTER s s", one),
                ("SUNION s s", one), ("SDIFF s no", one), ("SRANDMEMBER s 1", array(b"a")),
                ("SRANDMEMBER s -1", array(b"a")), ("SRANDMEMBER s 9", array(b"a")), ("SRANDMEMBER s", bulk(b"a")),
                ("SRANDMEMBER no", null), ("SRANDMEMBER no 1", b"*0\r\n"), ("SPOP no", null),
                ("SPOP no 2", mark + b"0\r\n"), ("SPOP s 0", mark + b"0\r\n"),
                ("SMISMEMBER s a b", b"*2\r\n:1\r\n:0\r\n"),
                ("SPOP s 3", one), ("SADD s a", b":1\r\n"), ("SPOP s 1", one), ("SINTER s", mark + b"0\r\n"),
            ])


class ChanceTest(EngineTest):
    def test_members_at_random(self):
        everyone = {b"m%d" % number for number in range(300)}
        self.context.run([b"SADD", b"s"] + sorted(everyone))
        for count, size in ((0, 0), (1, 1), (100, 100), (299, 299), (300, 300), (9999, 300)):
            found = self.context.run([b"SRANDMEMBER", b"s", b"%d" % count])
            self.assertEqual((len(found), len(set(found))), (size, size))
            self.assertLessEqual(set(found), everyone)
        self.assertEqual(set(self.context.run([b"SRANDMEMBER", b"s", b"-9000"])), everyone)
        self.assertEqual({self.context.run([b"SRANDMEMBER", b"s"]) for _ in range(5000)}, everyone)
        self.run_table([
            ("SRANDMEMBER s x", NOT_AN_INTEGER), ("SRANDMEMBER no x", NOT_AN_INTEGER), ("SRANDMEMBER s 1 2", SYNTAX),
            ("SRANDMEMBER s -9223372036854775808", OUT_OF_RANGE), ("SCARD s", b":300\r\n"),
            ("SRANDMEMBER s -9223372036854775807",
             b"-ERR value is out of range: at most 1000000 can be chosen with repetition\r\n"),
        ])

    def test_popping(self):
        for size in (10, 300):
            everyone = {b"m%d" % number for number in range(size)}
            self.context.run([b"SADD", b"s"] + sorted(everyone))
            left = set(everyone)
            for count in (1, 1, 3, 4):
                if count == 1:
                    found = [self.context.run([b"SPOP", b"s"])]
                else:
                    found = self.context.run([b"SPOP", b"s", b"%d" % count])
                self.assertEqual(len(set(found)), count)
                self.assertLessEqual(set(found), left)
                left -= set(found)
                self.assertEqual(set(self.context.run([b"SMEMBERS", b"s"])), left)
            self.assertEqual(set(self.context.run([b"SPOP", b"s", b"1000"])), left)
            self.assertEqual(self.context.call("EXISTS", "s"), b":0\r\n")
            self.context.run([b"SADD", b"s"] + sorted(everyone))
            self.assertEqual({self.context.run([b"SPOP", b"s"]) for _ in range(size)}, everyone)
            self.assertEqual(self.context.call("EXISTS", "s"), b":0\r\n")
        self.run_table([("SADD s a", b":1\r\n"), ("SPOP s x", NOT_POSITIVE), ("SPOP s -1", NOT_POSITIVE),
                        ("SPOP no -1", NOT_POSITIVE), ("SPOP s 1 2", SYNTAX), ("SPOP s 0", b"*0\r\n"),
                        ("SCARD s", b":1\r\n")])


class EventsTest(EngineTest):
    def test_events(self):
        events = []
        self.context.notify = lambda letter, event, key: events.append((letter + b":" + event + b":" + key).decode())
        for line, expected in (
                ("SADD s a b c d e", "s:sadd:s"), ("SADD s a", ""), ("SREM s x", ""), ("SREM s a", "s:srem:s"),
                ("SPOP s", "s:spop:s"), ("SPOP s 2", "s:spop:s"), ("SPOP s 0", ""), ("SRANDMEMBER s", ""),
                ("SPOP s 5", "s:spop:s g:del:s"), ("SADD s a", "s:sadd:s"), ("SPOP s", "s:spop:s g:del:s"),
                ("SADD s a b", "s:sadd:s"), ("SREM s a b", "s:srem:s g:del:s"), ("SADD s a b", "s:sadd:s"),
                ("SMOVE s t a", "s:srem:s s:sadd:t"), ("SADD t b", "s:sadd:t"), ("SMOVE s t b", "s:srem:s g:del:s"),
                ("SMOVE t t b", ""), ("SMOVE t u no", ""), ("SINTERSTORE d t", "s:sinterstore:d"),
                ("SUNIONSTORE d t", "s:sunionstore:d"), ("SDIFFSTORE d t", "s:sdiffstore:d"),
                ("SDIFFSTORE d t t", "g:del:d"), ("SDIFFSTORE d t t", ""), ("SINTERSTORE d no", "")):
            del events[:]
            self.context.call(*line.split())
            self.assertEqual(" ".join(events), expected, line)


class ScanTest(EngineTest):
    def test_all_members_whatever_the_options(self):
        for count in (1, 100, members.SMALL, 1000):
            for prefix in (b"", b"ele:"):
                self.context.call("DEL", "s")
                everyone = [b"%b%d" % (prefix, number) for number in range(count)]
                self.context.run([b"SADD", b"s"] + everyone)
                for options in ((), (b"COUNT", b"3"), (b"COUNT", b"100000"), (b"MATCH", b"*")):
                    cursor, found = b"0", []
                    while True:
                        cursor, some = self.context.run((b"SSCAN", b"s", cursor) + options)
                        found += some
                        if cursor == b"0":
                            break
                    self.assertEqual(sorted(found), sorted(everyone))

    def test_cursors_and_options(self):
        empty = b"*2\r\n$1\r\n0\r\n*0\r\n"
        one = b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n"
        self.run_table([
            ("SADD s a b1", b":2\r\n"), ("SSCAN s 0 MATCH a", one), ("SSCAN s 0 MATCH ? COUNT 100", one),
            ("SSCAN s x", b"-ERR invalid cursor\r\n"), ("SSCAN no x", b"-ERR invalid cursor\r\n"),
            ("SSCAN no 0 foo", empty), ("SSCAN s 0 foo", SYNTAX), ("SSCAN s 0 TYPE set", SYNTAX),
            ("SSCAN s 0 COUNT 0", SYNTAX), ("SSCAN s 0 COUNT x", NOT_AN_INTEGER), ("SSCAN s 5 MATCH no", empty),
        ])


class InfoTest(unittest.TestCase):
    def test_the_table_says_what_redis_says(self):
        context = EngineContext()
        for name, expected in ((b"SADD", (-3, {"write", "fast"}, 1, 1, 1)), (b"SMOVE", (4, {"write", "fast"}, 1, 2, 1)),
                               (b"SINTER", (-2, {"readonly"}, 1, -1, 1)),
                               (b"SUNIONSTORE", (-3, {"write"}, 1, -1, 1)),
                               (b"SINTERCARD", (-3, {"readonly"}, 0, 0, 0))):
            _, arity, flags, first, last, step = context.run([b"COMMAND", b"INFO", name])[0][:6]
            self.assertEqual((arity, set(flags) - {"denyoom", "movablekeys"}, first, last, step), expected)
        self.assertIn(b"$3\r\nset\r\n", resp.encode_reply(context.run([b"COMMAND", b"DOCS", b"SADD"])))


if __name__ == "__main__":
    unittest.main()

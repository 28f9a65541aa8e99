"""Every command on hashes with its replies and errors, as redis-server 7.0.15 gives them."""

import unittest

from nosqgrid.engine.structures import members
from nosqgrid.engine.structures.hashes import Hash
from nosqgrid.formats import resp
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest

WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
NOT_A_FLOAT = b"-ERR value is not a valid float\r\n"
OUT_OF_RANGE = (b"-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n")
NAMES = ("HSET", "HMSET", "HSETNX", "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HEXISTS", "HSTRLEN", "HDEL",
         "HINCRBY", "HINCRBYFLOAT", "HRANDFIELD", "HSCAN")


def array(*words):
    return b"*%d\r\n" % len(words) + b"".join(map(bulk, words))


def arity(name):
    return b"-ERR wrong number of arguments for '%b' command\r\n" % name.lower().encode()


class HashTest(EngineTest):
    def test_setting_and_getting(self):
        self.run_table([
            ("HSET h a 1 b 2", b":2\r\n"), ("HSET h a 3 c 4 c 5", b":1\r\n"), ("HSET h a 3", b":0\r\n"),
            ("HSET n a 1 a 2", b":1\r\n"), ("HGET n a", bulk(b"2")),
            ("HGET h a", bulk(b"3")), ("HGET h c", bulk(b"5")), ("HGET h x", b"$-1\r\n"), ("HGET no x", b"$-1\r\n"),
            ("HMGET h a x c", b"*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n5\r\n"), ("HMGET no a b", b"*2\r\n$-1\r\n$-1\r\n"),
            ("HGETALL h", array(b"a", b"3", b"b", b"2", b"c", b"5")), ("HGETALL no", b"*0\r\n"),
            ("HKEYS h", array(b"a", b"b", b"c")), ("HKEYS no", b"*0\r\n"),
            ("HVALS h", array(b"3", b"2", b"5")), ("HVALS no", b"*0\r\n"),
            ("HLEN h", b":3\r\n"), ("HLEN no", b":0\r\n"), ("HEXISTS h a", b":1\r\n"), ("HEXISTS h x", b":0\r\n"),
            ("HEXISTS no a", b":0\r\n"), ("HMSET h d 100 a 0", b"+OK\r\n"), ("HSTRLEN h d", b":3\r\n"),
            ("HSTRLEN h x", b":0\r\n"), ("HSTRLEN no x", b":0\r\n"), ("HSETNX h a 9", b":0\r\n"),
            ("HGET h a", bulk(b"0")), ("HSETNX h e 9", b":1\r\n"), ("HGET h e", bulk(b"9")),
            ("HSETNX new a 9", b":1\r\n"), ("HGETALL new", array(b"a", b"9")),
            (["HSET", "h", b"", b"\x00\xff\r\n"], b":1\r\n"), (["HGET", "h", b""], bulk(b"\x00\xff\r\n")),
        ])

    def test_removing(self):
        self.run_table([
            ("HSET h a 1 b 2 c 3", b":3\r\n"), ("HDEL h x", b":0\r\n"), ("HDEL no x", b":0\r\n"),
            ("HDEL h a a x", b":1\r\n"), ("HGETALL h", array(b"b", b"2", b"c", b"3")),
            ("HSET h a 1", b":1\r\n"), ("HKEYS h", array(b"b", b"c", b"a")),
            ("HDEL h a b c", b":3\r\n"), ("EXISTS h", b":0\r\n"), ("HLEN h", b":0\r\n"),
        ])

    def test_integers(self):
        self.run_table([
            ("HINCRBY h a 5", b":5\r\n"), ("HINCRBY h a -7", b":-2\r\n"), ("HGET h a", bulk(b"-2")),
            ("HINCRBY h a x", NOT_AN_INTEGER), ("HINCRBY h a 1.5", NOT_AN_INTEGER),
            ("HINCRBY h a 9223372036854775808", NOT_AN_INTEGER),
            ("HSET h t text big 9223372036854775807 low -9223372036854775808 f 1.5", b":4\r\n"),
            (["HSET", "h", "e", b"", "space", b" 1", "plus", b"+1", "zero", b"01"], b":4\r\n"),
            ("HINCRBY h big 1", b"-ERR increment or decrement would overflow\r\n"),
            ("HINCRBY h low -1", b"-ERR increment or decrement would overflow\r\n"),
            ("HINCRBY h big -9223372036854775808", b":-1\r\n"),
        ] + [("HINCRBY h %s 1" % field, b"-ERR hash value is not an integer\r\n")
             for field in ("t", "f", "e", "space", "plus", "zero")])

    def test_fractions(self):
        self.run_table([
            ("HINCRBYFLOAT h a 10.50", bulk(b"10.5")), ("HINCRBYFLOAT h a 0.1", bulk(b"10.6")),
            ("HINCRBYFLOAT h a -10.6", bulk(b"0")), ("HINCRBYFLOAT h a 5.0e3", bulk(b"5000")),
            ("HGET h a", bulk(b"5000")), ("HINCRBYFLOAT h b 0.1", bulk(b"0.1")), ("HINCRBYFLOAT h b 0.2", bulk(b"0.3")),
            ("HINCRBYFLOAT h a x", NOT_A_FLOAT), ("HINCRBYFLOAT h a nan", NOT_A_FLOAT),
            ("HINCRBYFLOAT h a inf", b"-ERR value is NaN or Infinity\r\n"),
            ("HINCRBYFLOAT h a -inf", b"-ERR value is NaN or Infinity\r\n"),
            ("HSET h t text n nan i inf", b":3\r\n"), (["HSET", "h", "e", b"", "space", b" 1"], b":2\r\n"),
            ("HINCRBYFLOAT h i 1", b"-ERR increment would produce NaN or Infinity\r\n"), ("HGET h i", bulk(b"inf")),
        ] + [("HINCRBYFLOAT h %s 1" % field, b"-ERR hash value is not a float\r\n")
             for field in ("t", "n", "e", "space")])

    def test_every_command_refuses_other_types(self):
        self.run_table([("SET k v", b"+OK\r\n"), ("SADD s a", b":1\r\n")])
        rest = {"HSET": "a 1", "HMSET": "a 1", "HSETNX": "a 1", "HGET": "a", "HMGET": "a b", "HEXISTS": "a",
                "HSTRLEN": "a", "HDEL": "a", "HINCRBY": "a 1", "HINCRBYFLOAT": "a 1", "HSCAN": "0"}
        for name in NAMES:
            for key in ("k", "s"):
                self.run_table([("%s %s %s" % (name, key, rest.get(name, "")), WRONGTYPE)])
        self.run_table([("HRANDFIELD k 2 WITHVALUES", WRONGTYPE), ("HINCRBY k a x", NOT_AN_INTEGER),
                        ("HSCAN k x", b"-ERR invalid cursor\r\n"), ("HSCAN k 0 foo", WRONGTYPE),
                        ("GET k", bulk(b"v")), ("SMEMBERS s", array(b"a"))])

    def test_every_command_counts_its_words(self):
        least = {"HSET": 3, "HMSET": 3, "HSETNX": 3, "HGET": 2, "HMGET": 2, "HEXISTS": 2, "HSTRLEN": 2, "HDEL": 2,
                 "HINCRBY": 3, "HINCRBYFLOAT": 3, "HSCAN": 2}
        exact = {"HSETNX", "HGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HEXISTS", "HSTRLEN", "HINCRBY", "HINCRBYFLOAT"}
        for name in NAMES:
            count = least.get(name, 1)
            self.run_table([([name] + ["h"] * (count - 1), arity(name))])
            if name in exact:
                self.run_table([([name] + ["h"] * (count + 1), arity(name))])
        self.run_table([("HSET h a 1 b", arity("HSET")), ("HMSET h a 1 b", arity("HMSET")), ("EXISTS h", b":0\r\n")])

    def test_shapes_in_both_protocols(self):
        for protocol, pairs, everything in (
                (2, array(b"a", b"1"), b"*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
                (3, b"*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n", b"%1\r\n$1\r\na\r\n$1\r\n1\r\n")):
            self.context = EngineContext()
            self.context.session.protocol = protocol
            null = b"_\r\n" if protocol == 3 else b"$-1\r\n"
            self.run_table([
                ("HSET h a 1", b":1\r\n"), ("HGETALL h", everything), ("HKEYS h", array(b"a")),
                ("HVALS h", array(b"1")), ("HGET h x", null), ("HMGET h a x", b"*2\r\n$1\r\na\r\n".replace(b"a", b"1")
                                                               + null),
                ("HGETALL no", b"%0\r\n" if protocol == 3 else b"*0\r\n"), ("HRANDFIELD no", null),
                ("HRANDFIELD h 1 WITHVALUES", pairs), ("HRANDFIELD h -1 withvalues", pairs),
                ("HRANDFIELD h 5", array(b"a")), ("HRANDFIELD h", bulk(b"a")), ("HRANDFIELD no 3", b"*0\r\n"),
                ("HINCRBYFLOAT h f 1", bulk(b"1")), ("HSCAN h 0 MATCH a", b"*2\r\n$1\r\n0\r\n" + array(b"a", b"1")),
            ])

    def test_fields_at_random(self):
        self.context.call("HSET", "h", *[word for number in range(200) for word in ("f%d" % number, "v%d" % number)])
        for count, size in ((0, 0), (1, 1), (20, 20), (199, 199), (200, 200), (1000, 200)):
            fields = self.context.run([b"HRANDFIELD", b"h", b"%d" % count])
            self.assertEqual(len(fields), size)
            self.assertEqual(len(set(fields)), size)
            pairs = self.context.run([b"HRANDFIELD", b"h", b"%d" % count, b"WITHVALUES"])
            self.assertEqual([value[1:] for value in pairs[1::2]], [field[1:] for field in pairs[::2]])
        self.assertEqual(len(self.context.run([b"HRANDFIELD", b"h", b"-1000"])), 1000)
        self.assertEqual(len(set(self.context.run([b"HRANDFIELD", b"h", b"-5000"]))), 200)
        self.run_table([
            ("HRANDFIELD h x", NOT_AN_INTEGER), ("HRANDFIELD no x", NOT_AN_INTEGER), ("HRANDFIELD h 1 foo", SYNTAX),
            ("HRANDFIELD h 1 WITHVALUES x", SYNTAX), ("HRANDFIELD h -9223372036854775808", OUT_OF_RANGE),
            ("HRANDFIELD h 9223372036854775807 WITHVALUES", b"-ERR value is out of range\r\n"),
            ("HRANDFIELD h -9223372036854775807 WITHVALUES", b"-ERR value is out of range\r\n"),
            ("HRANDFIELD h -9223372036854775807",
             b"-ERR value is out of range: at most 1000000 can be chosen with repetition\r\n"),
            ("HRANDFIELD h 1 x y z", SYNTAX),
        ])

    def test_events(self):
        events = []
        self.context.notify = lambda letter, event, key: events.append((letter, event, key))
        for line, expected in (("HSET h a 1", "hset"), ("HSET h a 1", "hset"), ("HMSET h b 1", "hset"),
                               ("HSETNX h a 1", ""), ("HSETNX h c 1", "hset"), ("HINCRBY h a 1", "hincrby"),
                               ("HINCRBYFLOAT h a 1", "hincrbyfloat"), ("HDEL h x", ""), ("HDEL h a", "hdel"),
                               ("HDEL h b c", "hdel g:del"), ("HGETALL h", ""), ("HINCRBY h a x", "")):
            del events[:]
            self.context.call(*line.split())
            found = " ".join(("g:" if letter == b"g" else "") + event.decode() for letter, event, _ in events)
            self.assertEqual(found, expected, line)
            self.assertTrue(all(letter in b"gh" and key == b"h" for letter, _, key in events))

    def test_deadlines_stay_with_a_change_and_go_with_the_hash(self):
        self.run_table([("HSET h a 1", b":1\r\n"), ("PEXPIRE h 500", b":1\r\n"), ("HSET h b 1", b":1\r\n"),
                        ("HINCRBY h a 1", b":2\r\n"), ("PTTL h", b":500\r\n"), ("HDEL h a b", b":2\r\n"),
                        ("HSET h a 1", b":1\r\n"), ("PTTL h", b":-1\r\n"), ("PEXPIRE h 500", b":1\r\n")])
        self.keyspace.now_ms += 500
        self.run_table([("HGET h a", b"$-1\r\n"), ("HLEN h", b":0\r\n"), ("HINCRBY h a 5", b":5\r\n"),
                        ("HGETALL h", array(b"a", b"5")), ("TTL h", b":-1\r\n")])


class ScanTest(EngineTest):
    def scan(self, *options):
        """All that a scan gives."""
        cursor, found = b"0", []
        while True:
            cursor, words = self.context.run([b"HSCAN", b"h", cursor] + list(options))
            found += words
            if cursor == b"0":
                return found

    def test_all_pairs(self):
        for count in (1, 50, members.SMALL, 1000):
            self.context.call("DEL", "h")
            pairs = {b"f%d" % number: b"v%d" % number for number in range(count)}
            self.context.run([b"HSET", b"h"] + [word for pair in pairs.items() for word in pair])
            for options in ((), (b"COUNT", b"1"), (b"COUNT", b"5000"), (b"MATCH", b"*"), (b"match", b"f*")):
                words = self.scan(*options)
                self.assertEqual(dict(zip(words[::2], words[1::2])), pairs)
                self.assertEqual(len(words), 2 * count)
        words = self.scan(b"MATCH", b"f1?", b"COUNT", b"100")
        self.assertEqual(sorted(words[::2]), [b"f1%d" % digit for digit in range(10)])

    def test_a_step_has_as_many_as_asked_for_at_most(self):
        self.context.run([b"HSET", b"h"] + [b"%d" % number for number in range(2000)])
        self.assertEqual(len(self.context.run([b"HSCAN", b"h", b"0"])[1]), 20)
        self.assertEqual(len(self.context.run([b"HSCAN", b"h", b"0", b"COUNT", b"70"])[1]), 140)

    def test_cursors_and_options(self):
        empty = b"*2\r\n$1\r\n0\r\n*0\r\n"
        one = b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
        refused = b"-ERR invalid cursor\r\n"
        self.run_table([("HSET h a 1", b":1\r\n")] + [
            (["HSCAN", "h", cursor], one) for cursor in (b"0", b"5", b"18446744073709551615", b"-1", b"+3", b"", b"007",
                                                         b"0" * 5000, b"1\x00x", b"\x00")] + [
            (["HSCAN", "h", cursor], refused) for cursor in (b"x", b"1x", b" 1", b"1 ", b"18446744073709551616", b"-",
                                                             b"+", b"--1", b"9" * 5000, b"x\x00")] + [
            ("HSCAN no x", refused), ("HSCAN no 0 foo", empty), ("HSCAN no 0 COUNT x", empty),
            ("HSCAN h 0 COUNT", SYNTAX), ("HSCAN h 0 COUNT 0", SYNTAX), ("HSCAN h 0 COUNT -1", SYNTAX),
            ("HSCAN h 0 COUNT x", NOT_AN_INTEGER), ("HSCAN h 0 MATCH", SYNTAX), ("HSCAN h 0 TYPE hash", SYNTAX),
            ("HSCAN h 0 NOVALUES", SYNTAX), ("HSCAN h 0 COUNT 1 foo", SYNTAX), ("HSCAN h 0 MATCH b", empty),
            ("HSCAN h 0 count 1 match a", one), ("HSCAN h 0 MATCH b MATCH a", one),
            ("HSCAN h 0 COUNT 9223372036854775807", one), ("HSCAN h 0 COUNT 9223372036854775808", NOT_AN_INTEGER)])

    def test_fields_that_stay_are_met(self):
        self.context.run([b"HSET", b"h"] + [b"%d" % number for number in range(2000)])
        seen, cursor, step = set(), b"0", 0
        while True:
            cursor, words = self.context.run([b"HSCAN", b"h", cursor])
            seen.update(words[::2])
            if cursor == b"0":
                break
            for number in range(step, step + 5):
                self.context.run([b"HDEL", b"h", b"%d" % (4 * number)])
                self.context.run([b"HSET", b"h", b"new%d" % number, b"v"])
            step += 5
        self.assertGreaterEqual(seen, {b"%d" % number for number in range(2, 2000, 4)})
        self.assertLess(self.context.run([b"HLEN", b"h"]), 1500)


class InfoTest(unittest.TestCase):
    def test_the_table_says_what_redis_says(self):
        context = EngineContext()
        for name, expected in ((b"HSET", (-4, {"write", "fast"})), (b"HGETALL", (2, {"readonly"})),
                               (b"HDEL", (-3, {"write", "fast"})), (b"HSCAN", (-3, {"readonly"}))):
            (_, arity, flags, *keys) = context.run([b"COMMAND", b"INFO", name])[0][:6]
            self.assertEqual((arity, set(flags) - {"denyoom"}), expected)
            self.assertEqual(keys, [1, 1, 1])
        self.assertIn(b"$4\r\nhash\r\n", resp.encode_reply(context.run([b"COMMAND", b"DOCS", b"HSET"])))

    def test_a_hash_is_named_so(self):
        context = EngineContext()
        context.run([b"HSET", b"h", b"a", b"1"])
        self.assertIs(type(context.keyspace.structure(b"h", Hash)), Hash)


if __name__ == "__main__":
    unittest.main()

"""DUMP and RESTORE: replies, errors, events, what a restored key has, and dumps that were tampered with."""

import random
import unittest

from nosqgrid.formats import rdb, resp, values
from tests.redis.test_keys_commands import NULL, wrong_arity
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest, contents
from tests.support.tiers import FULL
from tests.unit.test_rdb import EXAMPLES, old_dumps

MUTATIONS = 50000 if FULL else 5000
WRONG_SEAL = b"-ERR DUMP payload version or checksum are wrong\r\n"
BAD_FORMAT = b"-ERR Bad data format\r\n"
BUSY = b"-BUSYKEY Target key name already exists.\r\n"


class DumpingTest(EngineTest):
    def dump(self, key):
        return self.context.run([b"DUMP", key])

    def fill(self):
        """One key of each type, and what reads it."""
        self.run_table([
            ("SET string text", b"+OK\r\n"), ("SET int -77", b"+OK\r\n"), ("RPUSH list a 1 b", b":3\r\n"),
            ("SADD set a b 1", b":3\r\n"), ("SADD numbers 3 1 -5", b":3\r\n"), ("HSET hash f v g 1", b":2\r\n"),
            ("ZADD zset 1 a 1.5 b -inf c", b":3\r\n"), ("XADD stream 1-1 f v", bulk(b"1-1")),
            ("XADD stream 2-0 f v g w", bulk(b"2-0")), ("XADD stream 2-1 f x", bulk(b"2-1")),
            ("XGROUP CREATE stream group 0", b"+OK\r\n"), ("XDEL stream 2-0", b":1\r\n")])
        self.context.call("XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "stream", ">")
        return [b"string", b"int", b"list", b"set", b"numbers", b"hash", b"zset", b"stream"]

    def test_what_is_dumped_is_restored(self):
        for key in self.fill():
            before = contents(self.keyspace)[key]
            if key == b"numbers":  # an intset has them in their order, whatever came first
                before = before[0], [(b"sadd", b"-5", b"1", b"3")], before[2]
            dumped = self.dump(key)
            self.assertEqual(self.context.call("RESTORE", key + b"2", "0", dumped), b"+OK\r\n", key)
            if key != b"stream":  # it is put together anew, without what was deleted
                self.assertEqual(contents(self.keyspace)[key + b"2"], before)
            self.assertEqual(self.dump(key + b"2"), dumped)
            self.assertEqual(self.context.call("OBJECT", "ENCODING", key + b"2"),
                             self.context.call("OBJECT", "ENCODING", key))
        self.keyspace.check()
        self.run_table([("XADD stream2 2-0 f v", b"-ERR The ID specified in XADD is equal or smaller than the target "
                                                 b"stream top item\r\n"),
                        ("RPUSH list2 more", b":4\r\n"), ("LLEN list", b":3\r\n"), ("DUMP none", NULL),
                        ("DUMP", wrong_arity(b"dump"))])

    def test_examples_of_all_that_can_be_read(self):
        for number, (value_type, content) in enumerate(EXAMPLES):
            dumped = rdb.pack(value_type, content)
            self.assertEqual(self.context.call("RESTORE", "k%d" % number, "0", dumped), b"+OK\r\n")
            again = rdb.unpack(self.dump(b"k%d" % number))
            self.assertEqual(again, rdb.unpack(dumped))
        for dumped, value_type, content in old_dumps():
            self.assertEqual(self.context.call("RESTORE", "old", "0", dumped, "REPLACE"), b"+OK\r\n")
            self.assertEqual(rdb.unpack(self.dump(b"old")), (value_type, content))

    def test_times(self):
        dumped = rdb.pack(values.BYTES, b"v")
        wall_ms = self.keyspace.wall_ms()
        self.run_table([
            (["RESTORE", "a", "5000", dumped], b"+OK\r\n"), ("PTTL a", b":5000\r\n"),
            (["RESTORE", "a", "0", dumped], BUSY), (["RESTORE", "a", "0", dumped, "replace"], b"+OK\r\n"),
            ("PTTL a", b":-1\r\n"), (["RESTORE", "b", str(wall_ms + 77), dumped, "ABSTTL"], b"+OK\r\n"),
            ("PTTL b", b":77\r\n"), (["RESTORE", "c", "1", dumped, "ABSTTL"], b"+OK\r\n"), ("EXISTS c", b":0\r\n"),
            (["RESTORE", "a", "1", dumped, "ABSTTL", "REPLACE"], b"+OK\r\n"), ("EXISTS a", b":0\r\n"),
            (["RESTORE", "a", "0", dumped, "ABSTTL"], b"+OK\r\n"), ("PTTL a", b":-1\r\n"),
            (["RESTORE", "d", "0", rdb.pack(values.LIST, [b"x"])], b"+OK\r\n"),
            (["RESTORE", "d", "300", rdb.pack(values.SET, [b"x"]), "REPLACE"], b"+OK\r\n"), ("TYPE d", b"+set\r\n"),
            ("PTTL d", b":300\r\n")])
        self.keyspace.now_ms += 300
        self.run_table([(["RESTORE", "d", "0", dumped], b"+OK\r\n"), ("TTL d", b":-1\r\n"), ("GET d", bulk(b"v"))])

    def test_wrong_words(self):
        dumped = rdb.pack(values.BYTES, b"v")
        self.context.call("SET", "there", "1")
        before = contents(self.keyspace)
        self.run_table([
            (["RESTORE", "a", "0"], wrong_arity(b"restore")), (["RESTORE", "a", "x", dumped], NOT_AN_INTEGER),
            (["RESTORE", "a", "-1", dumped], b"-ERR Invalid TTL value, must be >= 0\r\n"),
            (["RESTORE", "a", "0", dumped, "BOGUS"], SYNTAX), (["RESTORE", "a", "0", dumped, "IDLETIME"], SYNTAX),
            (["RESTORE", "a", "0", dumped, "IDLETIME", "x"], NOT_AN_INTEGER),
            (["RESTORE", "a", "0", dumped, "IDLETIME", "-1"], b"-ERR Invalid IDLETIME value, must be >= 0\r\n"),
            (["RESTORE", "a", "0", dumped, "FREQ", "256"], b"-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"),
            (["RESTORE", "a", "0", dumped, "FREQ", "1", "IDLETIME", "1"], SYNTAX),
            (["RESTORE", "a", "0", dumped, "IDLETIME", "1", "FREQ", "1"], SYNTAX),
            (["RESTORE", "there", "x", b"junk"], BUSY), (["RESTORE", "a", "0", b"junk"], WRONG_SEAL),
            (["RESTORE", "a", "0", b""], WRONG_SEAL), (["RESTORE", "a", "0", dumped[:-1]], WRONG_SEAL),
            (["RESTORE", "there", "0", dumped + b"x", "REPLACE"], WRONG_SEAL),
            (["RESTORE", "there", "0", rdb.seal(b"\x63"), "REPLACE"], BAD_FORMAT),
            (["RESTORE", "a", "0", rdb.seal(bytes((rdb.LIST, 0)))], BAD_FORMAT)])
        self.assertEqual(contents(self.keyspace), before)
        self.run_table([(["RESTORE", "a", "0", dumped, "IDLETIME", "1000"], b"+OK\r\n"),
                        (["RESTORE", "b", "0", dumped, "freq", "255"], b"+OK\r\n")])

    def test_events(self):
        dumped = rdb.pack(values.BYTES, b"v")
        listener = EngineContext(self.context)
        listener.call("PSUBSCRIBE", "__keyevent@*")
        self.context.pubsub.set_events(b"AE")
        del self.context.pushed[:]
        for words in (["0", dumped], ["9", dumped, "REPLACE"], ["1", dumped, "REPLACE", "ABSTTL"],
                      ["1", dumped, "ABSTTL"]):
            self.context.call("RESTORE", "a", *words)
        self.assertEqual([parts[2].split(b":")[1] for _, parts in self.context.pushed],
                         [b"restore", b"restore", b"del"])

    def test_one_who_waits_is_served(self):
        waiting = EngineContext(self.context)
        self.assertEqual(waiting.run([b"BLPOP", b"list", b"0"]), waiting.deferred)
        self.context.call("RESTORE", "list", "0", rdb.pack(values.LIST, [b"x", b"y"]))
        self.assertEqual(waiting.answers(), [(waiting.session.id, b"*2\r\n$4\r\nlist\r\n$1\r\nx\r\n")])
        self.run_table([("LRANGE list 0 -1", b"*1\r\n$1\r\ny\r\n")])

    def test_tampered_dumps_break_nothing(self):
        rng = random.Random(7)
        bodies = [self.dump(key)[:-10] for key in self.fill()]
        bodies += [dumped[:-10] for dumped, _, _ in old_dumps() if len(dumped) < 1000]
        before = contents(self.keyspace)
        answers = {}
        for _ in range(MUTATIONS):
            body = bytearray(rng.choice(bodies))
            for _ in range(rng.randint(1, 2)):
                position = rng.randrange(len(body))
                if rng.random() < 0.3:
                    del body[position:position + rng.randint(1, 4)]
                    body = body or bytearray(1)
                else:
                    body[position] = rng.choice((0, 1, 0x80, 0xc0, 0xff, body[position] ^ 1, rng.randrange(256)))
            answer = self.context.call("RESTORE", "new", "0", rdb.seal(bytes(body)))
            answers[answer] = answers.get(answer, 0) + 1
            if answer == b"+OK\r\n":
                self.assertTrue(rdb.is_sealed(self.dump(b"new")))
                self.context.call("DEL", "new")
            else:
                self.assertEqual(answer, BAD_FORMAT)
        self.assertEqual(contents(self.keyspace), before)
        self.assertGreater(min(answers.values()), MUTATIONS // 50)
        self.assertEqual(sorted(answers), [b"+OK\r\n", BAD_FORMAT])

    def test_a_transaction_takes_it_back(self):
        dumped = rdb.pack(values.LIST, [b"x"])
        self.keyspace.begin()
        self.assertEqual(self.context.call("RESTORE", "a", "0", dumped), b"+OK\r\n")
        self.assertEqual(self.dump(b"a"), dumped)
        self.keyspace.rollback()
        self.assertEqual(contents(self.keyspace), {})


class ParsedTest(unittest.TestCase):
    def test_a_dump_passes_the_protocol(self):
        context = EngineContext()
        context.call("SET", "a", b"\r\n\x00")
        reader = resp.ReplyReader()
        reader.feed(context.call("DUMP", "a"))
        self.assertEqual(rdb.unpack(reader.next()), (values.BYTES, b"\r\n\x00"))


if __name__ == "__main__":
    unittest.main()

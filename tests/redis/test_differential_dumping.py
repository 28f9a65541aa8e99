"""Dumps that go from redis-server to the engine and back: each restores what the other has dumped."""

import random
import unittest

from nosqgrid.formats import rdb, resp
from tests.support.differential import DifferentialTest, encoded, unordered, unordered_pairs
from tests.support.engine_context import EngineContext
from tests.support.tiers import FULL, slow
from tests.unit.test_rdb import WORDS, old_dumps

ROUNDS = 400 if FULL else 40
WORD_POOL = WORDS + [b"a", b"b", b"c", b"1", b"2", b"word" * 30, b"ab" * 5000]
SCORES = [b"0", b"1", b"-1", b"1.5", b"0.1", b"inf", b"-inf", b"1e300", b"-0", b"12345678901234567", b"3.14159"]
READS = {b"string": [b"GET"], b"list": [b"LRANGE", b"0", b"-1"], b"set": [b"SMEMBERS"], b"hash": [b"HGETALL"],
         b"zset": [b"ZRANGE", b"0", b"-1", b"WITHSCORES"], b"stream": [b"XRANGE", b"-", b"+"]}
NORMALIZE = {b"set": unordered, b"hash": unordered_pairs}


def commands(rng):
    """Commands that fill keys of every type."""
    few = rng.choice((3, 20, 150, 700))

    def words(count):
        return [rng.choice(WORD_POOL) if rng.random() < 0.7 else b"%d" % rng.randint(-10 ** 6, 10 ** 6)
                for _ in range(rng.randint(1, count))]
    found = [[b"SET", b"string", rng.choice(WORD_POOL)], [b"RPUSH", b"list"] + words(few),
             [b"SADD", b"set"] + words(few),
             [b"HSET", b"hash"] + [word for pair in zip(words(few) * 1000, words(few)) for word in pair],
             [b"ZADD", b"zset"] + [word for member in words(few) for word in (rng.choice(SCORES), member)]]
    names = [word for word in words(4)]
    ms = 0
    for _ in range(rng.randint(1, 3 * few)):
        ms += rng.choice((1, 1, 70000, 10 ** 12))
        entry = [word for name in (names if rng.random() < 0.8 else words(3)) for word in (name, rng.choice(WORD_POOL))]
        found.append([b"XADD", b"stream", b"%d-%d" % (ms, rng.choice((0, 5, 10 ** 10)))] + entry)
    found.append([b"XGROUP", b"CREATE", b"stream", b"g", b"0"])
    found += [[b"XREADGROUP", b"GROUP", b"g", b"me", b"COUNT", b"2", b"STREAMS", b"stream", b">"],
              [b"XGROUP", b"CREATECONSUMER", b"stream", b"g", b"idle"],
              [b"XTRIM", b"stream", b"MAXLEN", b"%d" % rng.randint(1, few)]]
    return [encoded(command) for command in found]


def parsed(reply):
    reader = resp.ReplyReader()
    reader.feed(reply)
    return reader.next()


class DumpsDifferentialTest(DifferentialTest):
    def setUp(self):
        self.client = self.server.connect()
        self.addCleanup(self.client.close)
        self.client.call(b"FLUSHALL")
        self.context = EngineContext()

    def call_both(self, *words):
        theirs, ours = self.client.call(*words), self.context.call(*words)
        return theirs, ours

    def assert_same(self, key, kind, where):
        words = [READS[kind][0], key] + READS[kind][1:]
        theirs, ours = self.call_both(*words)
        normalize = NORMALIZE.get(kind, lambda reply: reply)
        self.assertEqual(normalize(ours), normalize(theirs), (where, words))

    @slow
    def test_dumps_go_both_ways(self):
        for number in range(ROUNDS):
            rng = random.Random(number)
            self.client.call(b"FLUSHALL")
            self.context.keyspace.clear()
            for words in commands(rng):
                theirs, ours = self.call_both(*words)
                if words[0] != b"XREADGROUP":
                    self.assertEqual(ours, theirs, words)
            for kind in READS:
                theirs, ours = map(parsed, self.call_both(b"DUMP", kind))
                self.assertEqual(self.client.call(b"RESTORE", b"new", b"0", ours, b"REPLACE"), b"+OK\r\n",
                                 (number, kind))
                self.assertEqual(self.context.call(b"RESTORE", b"new", b"0", theirs, b"REPLACE"), b"+OK\r\n",
                                 (number, kind))
                self.assert_same(b"new", kind, number)
                self.assertEqual(*self.call_both(b"OBJECT", b"ENCODING", b"new"), msg=(number, kind))
                if kind == b"stream":
                    self.assertEqual(*self.groups(b"new"), msg=number)
            self.context.keyspace.check()

    def groups(self, key):
        """What both say about a stream and its groups, without times and the nodes."""
        found = []
        for reply in self.call_both(b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"):
            whole = parsed(reply)
            info = dict(zip(whole[::2], whole[1::2]))
            del info[b"radix-tree-keys"], info[b"radix-tree-nodes"]
            for group in info[b"groups"]:
                group = dict(zip(group[::2], group[1::2]))
                for pending in group.pop(b"pending"):
                    found.append([pending[0], pending[1], pending[3]])
                for consumer in group.pop(b"consumers"):
                    consumer = dict(zip(consumer[::2], consumer[1::2]))
                    found.append([consumer[b"name"], consumer[b"pel-count"]])
                found.append(sorted(group.items(), key=repr))
            del info[b"groups"]
            found.append(sorted(info.items()))
        half = len(found) // 2
        return found[:half], found[half:]

    def test_what_older_versions_wrote_means_the_same(self):
        kinds = {16: b"list", 17: b"hash", 18: b"set", 19: b"zset"}
        for dumped, value_type, _ in old_dumps():
            theirs, ours = self.call_both(b"RESTORE", b"old", b"0", dumped, b"REPLACE")
            self.assertEqual((theirs, ours), (b"+OK\r\n", b"+OK\r\n"))
            self.assert_same(b"old", kinds.get(value_type, b"string"), dumped)

    @slow
    def test_a_deep_look_finds_our_dumps_sound(self):
        self.assertEqual(self.client.call(b"CONFIG", b"SET", b"sanitize-dump-payload", b"yes"), b"+OK\r\n")
        self.addCleanup(self.client.call, b"CONFIG", b"SET", b"sanitize-dump-payload", b"no")
        for number in range(ROUNDS // 4):
            self.context.keyspace.clear()
            for words in commands(random.Random(-number - 1)):
                self.context.call(*words)
            for kind in READS:
                dumped = parsed(self.context.call(b"DUMP", kind))
                self.assertEqual(self.client.call(b"RESTORE", b"new", b"0", dumped, b"REPLACE"), b"+OK\r\n",
                                 (number, kind))

    def test_wrong_ones_are_refused_alike(self):
        self.call_both(b"SET", b"there", b"1")
        good = parsed(self.context.call(b"DUMP", b"there"))
        for words in ([b"there", b"x", b"junk"], [b"a", b"0", b"junk"], [b"a", b"0", good[:-1]], [b"a", b"x", good],
                      [b"a", b"-1", good], [b"a", b"0", good, b"BOGUS"], [b"a", b"0", good, b"IDLETIME"],
                      [b"a", b"0", good, b"FREQ", b"256"], [b"a", b"0", good, b"FREQ", b"1", b"IDLETIME", b"1"],
                      [b"a", b"0", good, b"IDLETIME", b"-1"], [b"a", b"0", rdb.seal(b"\x63")], [b"a", b"0", b""],
                      [b"a", b"0", rdb.seal(bytes((rdb.LIST, 0)))],
                      [b"a", b"1", good, b"ABSTTL"], [b"there", b"1", good, b"ABSTTL", b"REPLACE"], [b"a", b"0"]):
            theirs, ours = self.call_both(b"RESTORE", *words)
            self.assertEqual(ours, theirs, words)
        self.assertEqual(*self.call_both(b"DBSIZE"))


if __name__ == "__main__":
    unittest.main()

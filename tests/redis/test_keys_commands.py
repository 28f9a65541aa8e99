"""Commands on keys, their deadlines and OBJECT: each with its replies, errors and events, over the real keyspace."""

import unittest

from nosqgrid import errors, limits
from nosqgrid.engine.structures.structure import Structure
from nosqgrid.formats import values
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest
from tests.support.evicting import EvictingGrid

NO_SUCH_KEY = b"-ERR no such key\r\n"
NULL = b"$-1\r\n"
INT64_MAX = 2 ** 63 - 1


def wrong_arity(name):
    return b"-ERR wrong number of arguments for '%b' command\r\n" % name


class Bag(Structure):
    """The least of a structure: words that were put into it."""

    __slots__ = ("words",)
    TYPE = values.SET

    def __init__(self):
        super().__init__()
        self.words = []

    def apply(self, words):
        if not words or words[0] not in (b"put", b"drop"):
            raise errors.CorruptValueError("no change of a bag")
        if words[0] == b"put":
            self.words += words[1:]
            return [[b"drop", b"%d" % len(words[1:])]]
        count = int(words[1])
        dropped = self.words[-count:]
        del self.words[-count:]
        return [[b"put"] + dropped]

    def __len__(self):
        return len(self.words)

    def changes(self):
        yield [b"put"] + self.words

    def copy(self):
        other = Bag()
        other.words = list(self.words)
        return other

    def shrink(self, count):
        del self.words[-count:]
        return not self.words


def put_bag(context, key, *words):
    bag = Bag()
    bag.apply([b"put"] + list(words))
    context.keyspace.put(key, bag)


class KeysTest(EngineTest):
    def run_events(self, table, letters=b"Eg"):
        """Each row: a command, its reply, and the events of these classes that it sends, in order."""
        listener = EngineContext(self.context)
        listener.call("PSUBSCRIBE", "__keyevent@*")
        self.context.pubsub.set_events(letters)
        for line, expected, events in table:
            del self.context.pushed[:]
            words = line.split() if isinstance(line, str) else line
            self.assertEqual(self.context.call(*words), expected, line)
            heard = [(parts[2].split(b"@")[1], parts[3]) for _, parts in self.context.pushed]
            self.assertEqual(heard, events, line)

    def test_deleting_and_asking(self):
        self.run_table([
            ("MSET a 1 b 2 c 3", b"+OK\r\n"), ("EXISTS a a b none", b":3\r\n"), ("TOUCH a a none", b":2\r\n"),
            ("DEL a a none", b":1\r\n"), ("UNLINK b c c", b":2\r\n"), ("EXISTS a b c", b":0\r\n"),
            ("TYPE a", b"+none\r\n"), ("SET a 1", b"+OK\r\n"), ("TYPE a", b"+string\r\n"),
        ] + [(name, wrong_arity(name.lower().encode())) for name in ("DEL", "UNLINK", "EXISTS", "TOUCH", "TYPE")])
        put_bag(self.context, b"bag", b"x")
        self.run_table([("TYPE bag", b"+set\r\n"), ("DEL bag", b":1\r\n"), ("TYPE bag", b"+none\r\n")])

    def test_other_names(self):
        self.run_table([
            ("RENAME a b", NO_SUCH_KEY), ("RENAMENX a b", NO_SUCH_KEY), ("RENAME a a", NO_SUCH_KEY),
            ("SET a 1 PX 5000", b"+OK\r\n"), ("SET b 2", b"+OK\r\n"), ("RENAMENX a b", b":0\r\n"),
            ("RENAMENX a a", b":0\r\n"), ("RENAME a a", b"+OK\r\n"), ("RENAME a b", b"+OK\r\n"), ("GET b", bulk(b"1")),
            ("PTTL b", b":5000\r\n"), ("EXISTS a", b":0\r\n"), ("RENAMENX b c", b":1\r\n"), ("PTTL c", b":5000\r\n"),
            ("SET d 4", b"+OK\r\n"), ("RENAME d c", b"+OK\r\n"), ("PTTL c", b":-1\r\n"), ("DBSIZE", b":1\r\n"),
            ("RENAME a", wrong_arity(b"rename")), ("RENAMENX a", wrong_arity(b"renamenx")),
        ])

    def test_a_structure_gets_another_name(self):
        put_bag(self.context, b"bag", b"x", b"y")
        bag = self.keyspace.structure(b"bag", Bag)
        self.run_table([("PEXPIRE bag 5000", b":1\r\n"), ("RENAME bag other", b"+OK\r\n"), ("TYPE bag", b"+none\r\n"),
                        ("PTTL other", b":5000\r\n"), ("COPY other third", b":1\r\n"), ("PTTL third", b":5000\r\n"),
                        ("OBJECT ENCODING third", bulk(b"hashtable"))])
        self.assertIs(self.keyspace.structure(b"other", Bag), bag)
        copied = self.keyspace.structure(b"third", Bag)
        self.keyspace.change(b"third", copied, [b"put", b"z"])
        self.assertEqual((bag.words, copied.words), ([b"x", b"y"], [b"x", b"y", b"z"]))
        self.run_table([("RENAME third other", b"+OK\r\n"), ("DBSIZE", b":1\r\n")])
        self.assertIs(self.keyspace.structure(b"other", Bag), copied)

    def test_a_name_too_long_leaves_everything(self):
        self.context.call("SET", "a", "1")
        long = b"k" * (limits.KEY_SIZE_BYTES_MAX + 1)
        for words in (("RENAME", "a", long), ("RENAMENX", "a", long), ("COPY", "a", long)):
            self.assertTrue(self.context.call(*words).startswith(b"-KEYTOOLARGE "), words)
            self.assertFalse(self.keyspace.staging)
        self.run_table([("GET a", bulk(b"1")), ("DBSIZE", b":1\r\n")])

    def test_copies(self):
        same = b"-ERR source and destination objects are the same\r\n"
        self.run_table([
            ("COPY a b", b":0\r\n"), ("SET a 1 PX 5000", b"+OK\r\n"), ("COPY a b", b":1\r\n"), ("PTTL b", b":5000\r\n"),
            ("SET a 2", b"+OK\r\n"), ("COPY a b", b":0\r\n"), ("GET b", bulk(b"1")), ("COPY a b replace", b":1\r\n"),
            ("GET b", bulk(b"2")), ("PTTL b", b":-1\r\n"), ("COPY a a", same), ("COPY a a DB 0", same),
            ("COPY a a DB 1", b":1\r\n"), ("COPY a a DB 1", b":0\r\n"), ("COPY a a DB 1 REPLACE", b":1\r\n"),
            ("COPY a b DB", SYNTAX), ("COPY a b BOGUS", SYNTAX), ("COPY a b DB x", NOT_AN_INTEGER),
            ("COPY a b DB 16", b"-ERR DB index is out of range\r\n"),
            ("COPY a b DB -1", b"-ERR DB index is out of range\r\n"),
            ("COPY a b DB 3000000000",
             b"-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"),
            ("COPY a", wrong_arity(b"copy")), ("DBSIZE", b":2\r\n"),
        ])

    def test_what_expired_has_no_other_name(self):
        self.run_table([("SET a 1 PX 10", b"+OK\r\n"), ("SET b 2 PX 10", b"+OK\r\n"), ("SET c 3", b"+OK\r\n")])
        self.keyspace.now_ms += 10
        self.run_table([
            ("RENAME a x", NO_SUCH_KEY), ("RENAMENX a x", NO_SUCH_KEY), ("COPY a x", b":0\r\n"), ("DEL a", b":0\r\n"),
            ("EXISTS a", b":0\r\n"), ("EXPIRE a 100", b":0\r\n"), ("PERSIST a", b":0\r\n"), ("TTL a", b":-2\r\n"),
            ("PEXPIRETIME a", b":-2\r\n"), ("TYPE a", b"+none\r\n"), ("OBJECT ENCODING a", NULL),
            ("MOVE a 1", b":0\r\n"),
            ("RENAMENX c b", b":1\r\n"), ("TTL b", b":-1\r\n"), ("KEYS *", b"*1\r\n" + bulk(b"b")),
            ("APPEND a new", b":3\r\n"), ("TTL a", b":-1\r\n")])

    def test_object(self):
        self.run_table([
            ("SET a 123", b"+OK\r\n"), ("OBJECT ENCODING a", bulk(b"int")), ("SET a 0123", b"+OK\r\n"),
            ("object encoding a", bulk(b"embstr")), (["SET", "a", "x" * 44], b"+OK\r\n"),
            ("OBJECT ENCODING a", bulk(b"embstr")), (["SET", "a", "x" * 45], b"+OK\r\n"),
            ("OBJECT ENCODING a", bulk(b"raw")), ("SET a 9223372036854775807", b"+OK\r\n"),
            ("OBJECT ENCODING a", bulk(b"int")), ("SET a 9223372036854775808", b"+OK\r\n"),
            ("OBJECT ENCODING a", bulk(b"embstr")), (["SET", "a", ""], b"+OK\r\n"),
            ("OBJECT ENCODING a", bulk(b"embstr")),
            ("OBJECT REFCOUNT a", b":1\r\n"), ("OBJECT IDLETIME a", b":0\r\n"),
            ("OBJECT FREQ a",
             b"-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
             b"switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n"),
            ("SET a 12", b"+OK\r\n"), ("APPEND a 3", b":3\r\n"), ("OBJECT ENCODING a", bulk(b"raw")),
            ("GET a", bulk(b"123")), ("OBJECT ENCODING a", bulk(b"raw")), ("INCR a", b":124\r\n"),
            ("OBJECT ENCODING a", bulk(b"int")), ("SETRANGE a 1 9", b":3\r\n"), ("OBJECT ENCODING a", bulk(b"raw")),
            ("SET a 194", b"+OK\r\n"), ("OBJECT ENCODING a", bulk(b"int")), ("SETBIT a 7 0", b":1\r\n"),
            ("OBJECT ENCODING a", bulk(b"raw")), ("DEL a", b":1\r\n"), ("APPEND a 1", b":1\r\n"),
            ("OBJECT ENCODING a", bulk(b"int")), ("DEL a", b":1\r\n"), ("SETRANGE a 0 1", b":1\r\n"),
            ("OBJECT ENCODING a", bulk(b"raw")),
            ("OBJECT ENCODING none", NULL), ("OBJECT REFCOUNT none", NULL), ("OBJECT IDLETIME none", NULL),
            ("OBJECT FREQ none", NULL), ("OBJECT NOSUCH a", b"-ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP.\r\n"),
            ("OBJECT", wrong_arity(b"object")), ("OBJECT ENCODING", wrong_arity(b"object|encoding")),
            ("COMMAND GETKEYS OBJECT ENCODING a", b"*1\r\n" + bulk(b"a")),
        ])
        self.assertIn(b"+OBJECT <subcommand> ", self.context.call("OBJECT", "HELP"))
        self.context.server.config = lambda: {"maxmemory-policy": "allkeys-lfu"}
        self.run_table([("OBJECT FREQ a", b":1\r\n"), ("OBJECT IDLETIME a", b":0\r\n"),  # as the grid started
                        ("CONFIG SET maxmemory-policy volatile-lfu", b"+OK\r\n"), ("OBJECT FREQ a", b":1\r\n"),
                        ("OBJECT IDLETIME a",
                         b"-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
                         b"switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n")])

    def test_deadlines(self):
        wall_s = (self.keyspace.wall_ms()) // 1000
        self.run_table([
            ("SET a 1", b"+OK\r\n"), ("TTL a", b":-1\r\n"), ("EXPIRE a 10", b":1\r\n"), ("TTL a", b":10\r\n"),
            ("PTTL a", b":10000\r\n"), ("EXPIRETIME a", b":%d\r\n" % (wall_s + 10)), ("PEXPIRE a 1499", b":1\r\n"),
            ("TTL a", b":1\r\n"), ("PEXPIRE a 1500", b":1\r\n"), ("TTL a", b":2\r\n"), ("PERSIST a", b":1\r\n"),
            ("PERSIST a", b":0\r\n"), ("PERSIST none", b":0\r\n"), ("EXPIRE none 10", b":0\r\n"),
            ("TTL none", b":-2\r\n"), ("EXPIREAT a %d" % (wall_s + 7), b":1\r\n"), ("PTTL a", b":7000\r\n"),
            ("PEXPIREAT a %d" % (wall_s * 1000 + 77), b":1\r\n"), ("PTTL a", b":77\r\n"),
            ("PEXPIREAT a %d" % INT64_MAX, b":1\r\n"), ("PEXPIRETIME a", b":%d\r\n" % INT64_MAX),
            ("EXPIRE a 10 x", b"-ERR Unsupported option x\r\n"), ("EXPIRE a x", NOT_AN_INTEGER),
            ("EXPIRE a 10 NX XX", b"-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE a x NX LT", b"-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE a 10 GT LT", b"-ERR GT and LT options at the same time are not compatible\r\n"),
            ("EXPIRE a", wrong_arity(b"expire")), ("TTL a b", wrong_arity(b"ttl")),
        ])
        for name, amount in (("EXPIRE", INT64_MAX), ("EXPIRE", INT64_MAX // 1000), ("EXPIRE", -(2 ** 63 // 1000) - 1),
                             ("PEXPIRE", INT64_MAX), ("PEXPIRE", INT64_MAX - self.keyspace.wall_ms() + 1),
                             ("EXPIREAT", INT64_MAX // 1000 + 1)):
            self.assertEqual(self.context.call(name, "a", str(amount)),
                             b"-ERR invalid expire time in '%b' command\r\n" % name.lower().encode(), (name, amount))
        self.run_table([("PEXPIRE a %d" % (INT64_MAX - self.keyspace.wall_ms()), b":1\r\n"),
                        ("PEXPIRETIME a", b":%d\r\n" % INT64_MAX), ("EXPIREAT a %d" % (INT64_MAX // 1000), b":1\r\n"),
                        ("EXPIRE a %d" % -(2 ** 63 // 1000), b":1\r\n"), ("EXISTS a", b":0\r\n"),
                        ("SET a 1", b"+OK\r\n"), ("PEXPIREAT a %d" % -2 ** 63, b":1\r\n"), ("TTL a", b":-2\r\n")])

    def test_conditions_of_deadlines(self):
        self.run_table([
            ("SET a 1", b"+OK\r\n"), ("EXPIRE a 10 XX", b":0\r\n"), ("EXPIRE a 10 GT", b":0\r\n"),
            ("TTL a", b":-1\r\n"), ("EXPIRE a 10 LT", b":1\r\n"), ("EXPIRE a 5 NX", b":0\r\n"),
            ("EXPIRE a 10 GT", b":0\r\n"), ("EXPIRE a 11 GT", b":1\r\n"), ("EXPIRE a 11 LT", b":0\r\n"),
            ("EXPIRE a 9 LT XX", b":1\r\n"), ("TTL a", b":9\r\n"), ("EXPIRE a 20 xx", b":1\r\n"),
            ("EXPIRE a -1 GT", b":0\r\n"), ("EXPIRE a -1 LT", b":1\r\n"), ("EXISTS a", b":0\r\n"),
            ("SET a 1", b"+OK\r\n"), ("EXPIRE a 9 LT XX", b":0\r\n"), ("EXPIRE a 9 GT XX", b":0\r\n"),
            ("EXPIRE a 9 NX nx", b":1\r\n"), ("TTL a", b":9\r\n"),
        ])

    def test_events(self):
        self.run_events([
            ("SET a 1", b"+OK\r\n", []), ("DEL a none", b":1\r\n", [(b"0__:del", b"a")]),
            ("MSET a 1 b 2", b"+OK\r\n", []),
            ("RENAME a c", b"+OK\r\n", [(b"0__:rename_from", b"a"), (b"0__:rename_to", b"c")]),
            ("RENAME c c", b"+OK\r\n", []), ("RENAMENX c b", b":0\r\n", []),
            ("RENAMENX c a", b":1\r\n", [(b"0__:rename_from", b"c"), (b"0__:rename_to", b"a")]),
            ("COPY a b", b":0\r\n", []), ("COPY a d DB 3", b":1\r\n", [(b"3__:copy_to", b"d")]),
            ("MOVE a 2", b":1\r\n", [(b"0__:move_from", b"a"), (b"2__:move_to", b"a")]),
            ("EXPIRE b 10", b":1\r\n", [(b"0__:expire", b"b")]), ("EXPIRE b 1 NX", b":0\r\n", []),
            ("PERSIST b", b":1\r\n", [(b"0__:persist", b"b")]), ("PERSIST b", b":0\r\n", []),
            ("PEXPIREAT b 1", b":1\r\n", [(b"0__:del", b"b")]), ("SELECT 2", b"+OK\r\n", []),
            ("UNLINK a", b":1\r\n", [(b"2__:del", b"a")]),
        ])

    def test_what_expires_is_told(self):
        self.keyspace.heard = self.context.pubsub.notify
        self.run_events([("SET a 1 PX 100", b"+OK\r\n", []), ("SET b 1 PX 100", b"+OK\r\n", []),
                         ("SET c 1 PX 100", b"+OK\r\n", []), ("SELECT 4", b"+OK\r\n", []),
                         ("SET d 1 PX 100", b"+OK\r\n", []), ("SELECT 0", b"+OK\r\n", [])], b"Exe")
        self.keyspace.now_ms += 100
        del self.context.pushed[:]
        self.assertEqual(self.context.call("SET", "a", "2"), b"+OK\r\n")
        self.assertEqual(self.context.call("DEL", "b"), b":0\r\n")
        self.assertEqual([parts[2:] for _, parts in self.context.pushed],
                         [[b"__keyevent@0__:expired", b"a"], [b"__keyevent@0__:expired", b"b"]])
        del self.context.pushed[:]
        self.keyspace.now_ms += 1000
        while self.keyspace.reclaim_expired():
            self.keyspace.check()
        self.assertEqual(sorted(parts[2:] for _, parts in self.context.pushed),
                         [[b"__keyevent@0__:expired", b"c"], [b"__keyevent@4__:expired", b"d"]])
        self.keyspace.heard = None
        self.run_table([("SET a 1 PX 1", b"+OK\r\n")])
        del self.context.pushed[:]
        self.keyspace.now_ms += 1
        self.run_table([("SET a 1", b"+OK\r\n")])
        self.assertEqual(self.context.pushed, [])


class EvictedTest(unittest.TestCase):
    def test_what_is_evicted_is_told(self):
        grid = EvictingGrid("lru")
        heard = []
        grid.space.heard = lambda letter, event, key: heard.append((letter, event, key))
        keys = [b"k%d" % number for number in range(300)]
        for key in keys:
            grid.space.store(key, values.BYTES, b"x" * 4000)
            while grid.space.work():
                pass
        gone = [key for key in keys if grid.space.lookup(key) is None]
        self.assertGreater(len(gone), 10)
        self.assertEqual(sorted(heard), sorted([(b"e", b"evicted", key) for key in gone]
                                               + [(b"n", b"new", key) for key in keys]))


if __name__ == "__main__":
    unittest.main()

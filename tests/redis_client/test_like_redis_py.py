"""The same calls through redis-py and through this client give equal results; where redis-py is installed.

    python -m venv /somewhere && /somewhere/bin/pip install "redis>=5,<6"
    /somewhere/bin/python -m unittest tests.redis_client.test_like_redis_py
"""

import inspect
import unittest

try:
    import redis as original
except ImportError:
    original = None
# What is imitated is redis-py 4 and 5; later ones warn of other things and word errors anew.
IMITATED = original is not None and original.__version__.split(".")[0] in ("4", "5")

from nosqgrid import redis as ours
from nosqgrid.redis import asyncio as ours_asyncio
from tests.support.tiers import slow

from .servers import KINDS, on_each_server

TIMES_DIFFER = frozenset(("time_since_delivered", "idle", "inactive", "seen-time", "last-delivered-id"))

# Each is the name of a method, its arguments, and its keyword arguments; they run one after the other.
CALLS = [
    ("ping",), ("echo", "x"), ("set", "a", 1), ("set", "a", 2, {"nx": True}), ("set", "a", 3, {"get": True}),
    ("set", "f", 1.5), ("set", "e", "v", {"ex": 1000}), ("get", "a"), ("get", "none"), ("getset", "a", "x"),
    ("getex", "e", {"persist": True}), ("getdel", "f"), ("mset", {"a": 1, "b": "\u00e9"}), ("mget", "a", "none", "b"),
    ("mget", ["a"]), ("mget", []), ("msetnx", {"a": 1, "c": 1}), ("incr", "n"), ("incrby", "n", 5), ("decr", "n"),
    ("incrbyfloat", "n", 0.25), ("append", "s", "abc"), ("strlen", "s"), ("setrange", "s", 1, "X"),
    ("getrange", "s", 0, 1), ("substr", "s", 1), ("setbit", "s", 3, 1), ("getbit", "s", 3), ("bitcount", "s"),
    ("bitpos", "s", 1), ("bitop", "AND", "d", "s", "a"), ("setnx", "a", 1), ("setex", "x", 100, "v"),
    ("psetex", "x", 100000, "v"), ("exists", "a", "b", "none"), ("type", "a"), ("type", "none"), ("expire", "a", 100),
    ("persist", "a"), ("ttl", "a"), ("ttl", "none"), ("rename", "a", "aa"), ("renamenx", "aa", "b"),
    ("copy", "b", "bb"), ("touch", "b", "none"), ("object", "ENCODING", "b"), ("delete", "aa"), ("unlink", "bb"),
    ("lcs", "b", "s"), ("lcs", "b", "s", {"len": True}), ("dbsize",), ("randomkey", {}), ("get", "s"),
    ("hset", "h", "f", 1), ("hset", "h", {"mapping": {"g": 2, "k": "\u00e9"}}), ("hget", "h", "f"), ("hgetall", "h"),
    ("hgetall", "none"), ("hmget", "h", ["f", "x"]), ("hmget", "h", "f", "g"), ("hexists", "h", "f"), ("hkeys", "h"),
    ("hvals", "h"), ("hlen", "h"), ("hincrby", "h", "f", 2), ("hincrbyfloat", "h", "f", 0.5), ("hsetnx", "h", "f", 1),
    ("hstrlen", "h", "k"), ("hdel", "h", "g"), ("hscan", "h"), ("hscan", "none"), ("hrandfield", "none", 2),
    ("rpush", "l", 1, 2, 3, 2), ("lpush", "l", 0), ("lrange", "l", 0, -1), ("lindex", "l", 1), ("llen", "l"),
    ("lpos", "l", 2), ("lpos", "l", 2, {"count": 0}), ("linsert", "l", "AFTER", 1, "y"), ("lrem", "l", 1, 2),
    ("lset", "l", 0, "z"), ("ltrim", "l", 0, 3), ("lpop", "l"), ("rpop", "l", 2), ("lpop", "none"),
    ("lpop", "none", 2), ("lmove", "l", "m"), ("rpoplpush", "m", "l"), ("blpop", ["none", "l"], 1),
    ("brpop", "none", 0.01), ("brpoplpush", "none", "m", 0.01), ("rpush", "q", 1, 2, 3),
    ("lmpop", 1, "q", {"direction": "LEFT"}), ("blmpop", 0.01, 1, "q", {"direction": "RIGHT", "count": 5}),
    ("lrange", "none", 0, -1), ("rpush", "nums", 3, 1, 2), ("sort", "nums"), ("sort", "nums", {"desc": True}),
    ("sort", "nums", {"get": ["#", "w*"], "groups": True}), ("sort_ro", "nums"),
    ("sadd", "s1", 1, 2, 3), ("sadd", "s2", 2, 3, 4), ("smembers", "s1"), ("smembers", "none"), ("sinter", "s1", "s2"),
    ("sunion", ["s1", "s2"]), ("sdiff", "s1", "s2"), ("sinterstore", "s3", "s1", "s2"), ("sismember", "s1", 1),
    ("smismember", "s1", 1, 9), ("scard", "s1"), ("smove", "s1", "s2", 1), ("srem", "s2", 4), ("sintercard", 1, ["s1"]),
    ("spop", "none"), ("srandmember", "none", 2), ("sscan", "s3"),
    ("zadd", "z", {"a": 1, "b": 2.5, "c": "inf"}), ("zadd", "z", {"a": 1}, {"incr": True}),
    ("zadd", "z", {"x": 1}, {"incr": True, "xx": True}), ("zrange", "z", 0, -1),
    ("zrange", "z", 0, -1, {"withscores": True}), ("zrange", "z", 0, 1, {"desc": True, "withscores": True}),
    ("zrange", "z", 0, 9, {"byscore": True, "offset": 0, "num": 1}), ("zrevrange", "z", 0, -1, True),
    ("zrangebyscore", "z", "-inf", 3, {"withscores": True, "score_cast_func": int}), ("zrevrangebyscore", "z", 3, 0),
    ("zscore", "z", "a"), ("zscore", "z", "none"), ("zmscore", "z", ["a", "none"]), ("zrank", "z", "b"),
    ("zrevrank", "z", "none"), ("zcard", "z"), ("zcount", "z", 0, 2), ("zincrby", "z", 2, "a"), ("zscan", "z"),
    ("zadd", "y", {"a": 1, "d": 2}), ("zunion", ["y", "z"], {"withscores": True}), ("zinter", {"y": 2, "z": 1}),
    ("zdiff", ["y", "z"]), ("zdiff", ["y", "z"], True), ("zunionstore", "u", ["y", "z"], "MIN"),
    ("zlexcount", "y", "-", "+"),
    ("zrangebylex", "y", "-", "+"), ("zpopmin", "u"), ("zpopmax", "u", 2), ("zpopmin", "none"),
    ("bzpopmin", ["none", "y"], 1), ("bzpopmax", "none", 0.01), ("zmpop", 1, ["z"], {"max": True}),
    ("zrem", "z", "a", "none"), ("zremrangebyrank", "z", 0, 0), ("zrandmember", "none", 2),
    ("pfadd", "p", 1, 2), ("pfcount", "p"), ("pfmerge", "pp", "p"),
    ("geoadd", "geo", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")),
    ("geodist", "geo", "Palermo", "Catania"), ("geodist", "geo", "Palermo", "none"), ("geohash", "geo", "Palermo"),
    ("geopos", "geo", "Palermo", "none"), ("georadius", "geo", 15, 37, 200, "km", {"withdist": True, "sort": "ASC"}),
    ("geosearch", "geo", {"member": "Palermo", "radius": 300, "unit": "km", "withcoord": True, "withhash": True}),
    ("xadd", "x1", {"a": 1}, "1-1"), ("xadd", "x1", {"b": "\u00e9"}, "2-1"), ("xlen", "x1"), ("xrange", "x1"),
    ("xrevrange", "x1", {"count": 1}), ("xread", {"x1": 0}), ("xread", {"x1": "$"}, {"block": 5}),
    ("xgroup_create", "x1", "g", 0), ("xreadgroup", "g", "c", {"x1": ">"}, 1), ("xpending", "x1", "g"),
    ("xpending_range", "x1", "g", "-", "+", 5), ("xclaim", "x1", "g", "c2", 0, ["1-1"]),
    ("xautoclaim", "x1", "g", "c3", 0), ("xinfo_groups", "x1"), ("xinfo_stream", "x1"), ("xinfo_consumers", "x1", "g"),
    ("xack", "x1", "g", "1-1"), ("xdel", "x1", "1-1"), ("xtrim", "x1", 0), ("xgroup_destroy", "x1", "g"),
    ("keys", "a*"), ("scan", {"match": "zz*", "count": 1000}), ("config_get", "maxmemory-policy"), ("client_getname",),
    ("pubsub_numsub", "c"), ("pubsub_channels",), ("time", {}), ("script_exists", "x" * 40), ("swapdb", 1, 2),
    # and what is refused
    ("get", "h"), ("incr", "s"), ("lpush", "h", 1), ("rename", "none", "x"), ("set", "a", None), ("set", "a", True),
    ("set", "a", 1, {"ex": 1.5}), ("zadd", "z", {}), ("hset", "h"), ("expire", "a", "x"), ("xadd", "x1", {}),
    ("geodist", "geo", "a", "b", "miles"), ("execute_command", "NOSUCH", "x"),
    ("execute_command", "GET"), ("restore", "r", 0, "garbage"), ("bitop", "NOT", "d", "a", "b"),
]
SETS = frozenset(("keys", "hkeys", "hvals", "sscan", "pubsub_channels"))  # results in no certain order
NOT_COMPARED = frozenset(("randomkey", "time"))  # but both give something


def plain(name, value):
    """A result without what differs between two servers, and two moments."""
    if name in SETS and isinstance(value, list):
        return sorted(value)
    if name == "sscan":
        return value[0], sorted(value[1])
    if isinstance(value, dict):
        return {key: plain(name, item) for key, item in value.items()
                if key not in TIMES_DIFFER and not str(key).startswith("radix-tree")}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(name, item) for item in value)
    return value


def outcome(client, call):
    """The result of a call, or the class and text of the error."""
    name, args, options = call[0], list(call[1:]), {}
    if args and isinstance(args[-1], dict) and all(isinstance(key, str) for key in args[-1]) and (
            len(args) > 1 or not args[-1] or name in ("scan",)) and set(args[-1]) <= OPTIONS:
        options = args.pop()
    try:
        return plain(name, getattr(client, name)(*args, **options))
    except Exception as error:
        return type(error).__name__, str(error)


OPTIONS = frozenset("nx xx get ex px persist len mapping count direction desc groups incr withscores byscore offset num"
                    " score_cast_func withdist sort member radius unit withcoord withhash block match max".split())


@unittest.skipUnless(IMITATED, "redis-py 4 or 5 is not installed")
class Alike(unittest.TestCase):
    kind = None

    @classmethod
    def setUpClass(cls):
        if cls.kind is None or cls.kind.missing:
            raise unittest.SkipTest(cls.kind.missing if cls.kind else "the base of the classes for each server")
        cls.server = cls.kind()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def compare(self, **options):
        """Both clients make all calls, each on an empty server."""
        theirs = original.Redis(unix_socket_path=self.server.path, **options)
        mine = self.server.client(**options)
        self.addCleanup(theirs.close)
        self.addCleanup(mine.close)
        found = []
        for client in (theirs, mine):
            client.flushall()
            found.append([outcome(client, call) for call in CALLS])
        different = []
        for call, expected, got in zip(CALLS, *found):
            same = type(got) is type(expected) and (call[0] in NOT_COMPARED or got == expected)
            if not same:
                different.append((call, expected, got))
        self.assertEqual(different, [])

    @slow
    def test_results_in_bytes(self):
        self.compare()

    @slow
    def test_results_in_text(self):
        self.compare(decode_responses=True)

    @slow
    def test_results_of_resp3(self):
        self.compare(protocol=3)

    def test_pipelines(self):
        found = []
        for module, client in ((original, original.Redis(unix_socket_path=self.server.path)),
                               (ours, self.server.client())):
            client.flushall()
            results = []
            for transaction in (True, False):
                pipe = client.pipeline(transaction=transaction)
                pipe.set("a", 1).mget([]).hset("h", mapping={"x": 1}).hgetall("h").lpush("a", 1).zadd("z", {"m": 2})
                pipe.zrange("z", 0, -1, withscores=True).get("none").smembers("none").execute_command("GET", "a")
                for result in pipe.execute(raise_on_error=False):
                    results.append(repr(result) if isinstance(result, Exception) else result)
                pipe.set("a", 1).incr("h")
                with self.assertRaises(module.ResponseError) as caught:
                    pipe.execute()
                results.append(str(caught.exception))
            client.close()
            found.append(results)
        self.assertEqual(found[1], found[0])


@unittest.skipUnless(IMITATED, "redis-py 4 or 5 is not installed")
class SignatureTests(unittest.TestCase):
    """Methods, parameters and defaults."""

    # Gears and modules are no commands of Redis itself; the rest is of the inside, or of the Sentinel.
    LEFT_OUT = ("tf", "_", "sentinel", "ft", "json", "ts", "bf", "cf", "cms", "topk", "tdigest", "graph",
                "get_cache", "get_protocol", "re_auth_callback")

    INSIDE = frozenset(("annotate_exception", "raise_first_error", "register_scripts"))

    def names(self, cls):
        """The public methods of a class of redis-py that this client should have."""
        return [name for name, value in inspect.getmembers(cls, callable)
                if not name.startswith(self.LEFT_OUT) and name not in self.INSIDE]

    def test_every_method_is_there_with_its_parameters(self):
        missing, differing = [], []
        for theirs, mine in ((original.Redis, ours.Redis), (original.client.Pipeline, ours.Pipeline),
                             (original.client.PubSub, ours.PubSub), (original.lock.Lock, ours.Lock),
                             (original.asyncio.Redis, ours_asyncio.Redis), (original.ConnectionPool,
                                                                           ours.ConnectionPool)):
            for name in self.names(theirs):
                if not hasattr(mine, name):
                    missing.append((theirs.__name__, name))
                    continue
                wanted = self.parameters(getattr(theirs, name))
                got = self.parameters(getattr(mine, name))
                if wanted is not None and not set(wanted) <= set(got) and "kwargs" not in got:
                    differing.append((theirs.__name__, name, wanted, got))
        self.assertEqual(missing, [])
        self.assertEqual(differing, [])

    @staticmethod
    def parameters(function):
        """The names of the parameters, without self."""
        try:
            return [name for name in inspect.signature(function).parameters if name not in ("self", "args", "kwargs")]
        except (TypeError, ValueError):
            return None

    def test_exceptions_are_the_same_tree(self):
        for name in ("RedisError ConnectionError TimeoutError ResponseError DataError WatchError PubSubError LockError "
                     "AuthenticationError BusyLoadingError InvalidResponse NoScriptError ReadOnlyError OutOfMemoryError"
                     " NoPermissionError ExecAbortError LockNotOwnedError ModuleError MovedError AskError").split():
            theirs = getattr(original.exceptions, name)
            mine = getattr(ours.exceptions, name)
            self.assertEqual([cls.__name__ for cls in mine.__mro__], [cls.__name__ for cls in theirs.__mro__])


on_each_server(globals(), Alike, kinds=KINDS)

if __name__ == "__main__":
    unittest.main()

"""redis-py, any version from 3.5 on: the arguments are an address and the version of the protocol, 2 or 3."""

import sys
import threading

import redis
from same import same, wait_for

url, protocol = sys.argv[1], int(sys.argv[2])
options = {"protocol": protocol} if hasattr(redis.Connection(), "protocol") else {}


def values(client):
    """Strings, numbers and times."""
    same(client.set("k", "wörd", ex=100), True)
    same((client.get("k"), client.get("nothing")), ("wörd", None))
    same(0 < client.pttl("k") <= 100000, True)
    same(client.set("k", "x", nx=True), None)
    same((client.incr("n", 5), client.incrbyfloat("f", 0.5)), (5, 0.5))
    same(client.mset({"a": "1", "b": "2"}), True)
    same(client.mget("a", "nothing", "b"), ["1", None, "2"])
    same((client.exists("a", "b", "c"), client.delete("a", "b", "c"), client.type("k")), (2, 2, "string"))
    same(client.append("k", "!"), 6)
    same(client.getrange("k", 0, 0), "w")
    same((client.setbit("bits", 7, 1), client.bitcount("bits")), (0, 1))
    same((client.pfadd("hll", "a", "b"), client.pfcount("hll")), (1, 2))


def structures(client):
    """Lists, hashes, sets, sorted sets."""
    same(client.rpush("list", "a", "b", "c"), 3)
    same((client.lrange("list", 0, -1), client.lpop("list")), (["a", "b", "c"], "a"))
    same(client.hset("hash", "name", "Ada"), 1)
    same((client.hgetall("hash"), client.hget("hash", "nothing")), ({"name": "Ada"}, None))
    same(client.sadd("set", "x", "y"), 2)
    same((client.smembers("set"), client.scard("set")), ({"x", "y"}, 2))
    same(client.zadd("board", {"ada": 1.5, "bob": 2}), 2)
    same((client.zscore("board", "ada"), client.zincrby("board", 1, "bob")), (1.5, 3.0))
    pairs = client.zrange("board", 0, -1, withscores=True)
    same([tuple(pair) for pair in pairs], [("ada", 1.5), ("bob", 3.0)])
    same(sorted(client.scan_iter(match="*s*")), sorted(name for name in client.keys() if "s" in name))
    same(dict(client.hscan_iter("hash")), {"name": "Ada"})
    try:
        client.lpush("hash", "x")
    except redis.ResponseError as error:
        same(str(error).startswith("WRONGTYPE"), True)
    else:
        raise AssertionError("a hash took an element")


def transactions(client, other):
    """MULTI, and a WATCH that sees somebody else."""
    with client.pipeline() as pipe:
        same(pipe.set("t", "1").incr("t").get("t").execute(), [True, 2, "2"])
    with client.pipeline(transaction=False) as pipe:
        same(pipe.get("t").get("nothing").execute(), ["2", None])
    with client.pipeline() as pipe:
        pipe.watch("t")
        other.set("t", "9")
        pipe.multi()
        pipe.set("t", "lost")
        try:
            pipe.execute()
        except redis.WatchError:
            same(client.get("t"), "9")
        else:
            raise AssertionError("a watched key was changed and the transaction ran")
    same(client.transaction(lambda pipe: pipe.multi() or pipe.incr("t"), "t"), [10])


def messages(client):
    """Subscriptions, by name and by pattern."""
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    kinds = [wait_for(lambda: listener.get_message(timeout=1))["type"] for _ in range(2)]
    same(kinds, ["subscribe", "psubscribe"])
    same(client.publish("news", "hello"), 2)
    heard = [wait_for(lambda: listener.get_message(timeout=1)) for _ in range(2)]
    same([(row["type"], row["channel"], row["data"]) for row in heard],
         [("message", "news", "hello"), ("pmessage", "news", "hello")])
    same([tuple(pair) for pair in client.pubsub_numsub("news")], [("news", 1)])
    listener.close()


def blocking(client, other):
    """Who waits for a list is served."""
    found = []
    waiter = threading.Thread(target=lambda: found.append(other.blpop("queue", timeout=20)))
    waiter.start()
    wait_for(lambda: client.info("clients")["blocked_clients"] == 1)
    client.rpush("queue", "job")
    waiter.join()
    same(tuple(found[0]), ("queue", "job"))


def streams(client):
    """A group of consumers."""
    name = client.xadd("stream", {"a": "1"})
    same(client.xgroup_create("stream", "group", id="0"), True)
    read = client.xreadgroup("group", "me", {"stream": ">"})
    entries = read["stream"][0] if isinstance(read, dict) else read[0][1]
    same([tuple(entry) for entry in entries], [(name, {"a": "1"})])
    same((client.xack("stream", "group", name), client.xlen("stream")), (1, 1))
    same([tuple(entry) for entry in client.xrange("stream")], [(name, {"a": "1"})])


def server(client):
    """What a program asks about the server."""
    same((client.ping(), client.echo("x"), client.info()["redis_version"]), (True, "x", "7.0.15"))
    same(client.client_setname("me"), True)
    same((client.client_getname(), "me" in [row["name"] for row in client.client_list()]), ("me", True))
    same(client.dbsize(), len(client.keys()))
    client.flushdb()
    same(client.keys(), [])


with redis.Redis.from_url(url, decode_responses=True, **options) as one:
    two = redis.Redis.from_url(url, decode_responses=True, **options)
    values(one)
    structures(one)
    transactions(one, two)
    messages(one)
    blocking(one, two)
    streams(one)
    server(one)
    two.connection_pool.disconnect()

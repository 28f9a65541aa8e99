"""Commands on data, and the objects that come of their replies."""

import datetime
import time
import unittest

from nosqgrid.redis import DataError, ResponseError

from .servers import ServerTest, on_each_server


class Strings(ServerTest):
    def test_set_and_get(self):
        r = self.r
        self.assertIs(r.set("a", "1"), True)
        self.assertEqual(r.get("a"), b"1")
        self.assertIsNone(r.get("b"))
        self.assertIsNone(r.set("a", 2, nx=True))
        self.assertIsNone(r.set("b", 2, xx=True))
        self.assertEqual(r.set("a", 2, get=True), b"1")
        self.assertIs(r.set("a", 1.5, ex=10), True)
        self.assertEqual(r.get("a"), b"1.5")
        self.assertIn(r.ttl("a"), (9, 10))
        r.set("a", 1, px=datetime.timedelta(seconds=20))
        self.assertIn(r.ttl("a"), (19, 20))
        r.set("a", 2, keepttl=True)
        self.assertIn(r.ttl("a"), (19, 20))
        r.set("a", 2, exat=datetime.datetime.now() + datetime.timedelta(seconds=100))
        self.assertIn(r.ttl("a"), (98, 99, 100))
        r.set("a", 2)
        self.assertEqual(r.ttl("a"), -1)
        self.assertEqual(r.ttl("none"), -2)
        with self.assertRaises(DataError):
            r.set("a", 1, ex=1.5)

    def test_keys_of_every_kind(self):
        for key in ("text", b"bytes", 5, 1.5, memoryview(b"view"), "\u00e9", b"\xff\x00"):
            self.assertIsNone(self.r.get(key))
            self.r.set(key, "v")
            self.assertEqual((self.r.get(key), self.r.exists(key), self.r.strlen(key), self.r.mget(key)),
                             (b"v", 1, 1, [b"v"]))
        with self.assertRaises(DataError):
            self.r.get(None)

    def test_several_at_once(self):
        r = self.r
        self.assertIs(r.mset({"a": 1, "b": 2}), True)
        self.assertIs(r.msetnx({"a": 1, "c": 2}), False)
        self.assertEqual(r.mget("a", "c", "b"), [b"1", None, b"2"])
        self.assertEqual(r.mget(["a"], "b"), [b"1", b"2"])
        self.assertEqual(r.mget([]), [])
        r.hset("h", "f", 1)
        self.assertEqual(r.mget("h", "a"), [None, b"1"])
        self.assertEqual(r.exists("a", "a", "zz", "h"), 3)

    def test_numbers(self):
        r = self.r
        self.assertEqual((r.incr("n"), r.incrby("n", 5), r.decr("n"), r.decrby("n", 3)), (1, 6, 5, 2))
        self.assertEqual(r.incrbyfloat("n", 0.5), 2.5)
        self.assertIsInstance(r.incrbyfloat("n"), float)

    def test_parts(self):
        r = self.r
        self.assertEqual((r.append("s", "Hello"), r.append("s", " World")), (5, 11))
        self.assertEqual((r.strlen("s"), r.getrange("s", 0, 4), r.substr("s", 6)), (11, b"Hello", b"World"))
        self.assertEqual((r.setrange("s", 6, "Redis"), r.get("s")), (11, b"Hello Redis"))
        self.assertEqual((r.getset("s", "x"), r.getdel("s"), r.get("s")), (b"Hello Redis", b"x", None))
        self.assertEqual((r.setnx("s", 1), r.setnx("s", 2), r.setex("s", 10, "v"), r.psetex("s", 9000, "v")),
                         (True, False, True, True))
        self.assertEqual((r.getex("s", persist=True), r.ttl("s"), r.getex("s", ex=20)), (b"v", -1, b"v"))
        self.assertIn(r.ttl("s"), (19, 20))
        with self.assertRaises(DataError):
            r.getex("s", ex=1, px=2)

    def test_the_wrong_type_is_an_error_and_nothing_more(self):
        self.r.rpush("l", 1)
        for call in (lambda: self.r.get("l"), lambda: self.r.strlen("l"), lambda: self.r.incr("l"),
                     lambda: self.r.hget("l", "f")):
            with self.assertRaises(ResponseError) as caught:
                call()
            self.assertEqual(str(caught.exception),
                             "WRONGTYPE Operation against a key holding the wrong kind of value")
        self.assertEqual(self.r.lrange("l", 0, -1), [b"1"])

    def test_like_a_dict(self):
        r = self.r
        r["a"] = 1
        self.assertEqual((r["a"], "a" in r, "b" in r), (b"1", True, False))
        del r["a"]
        with self.assertRaises(KeyError):
            r["a"]

    def test_bits(self):
        r = self.r
        self.assertEqual((r.setbit("b", 7, True), r.setbit("b", 7, 0), r.setbit("b", 1, 1)), (0, 1, 0))
        self.assertEqual((r.getbit("b", 1), r.bitcount("b"), r.bitpos("b", 1), r.bitcount("b", 0, -1)), (1, 1, 1, 1))
        self.assertEqual(r.bitop("NOT", "c", "b"), 1)
        self.assertEqual(r.get("c"), b"\xbf")
        operation = r.bitfield("f").set("u8", "#0", 255).incrby("u8", 0, 1, "SAT").get("u8", 0)
        self.assertEqual(operation.execute(), [0, 255, 255])
        self.assertEqual(r.bitfield_ro("f", "u8", 0, [("u4", 0)]), [255, 15])
        with self.assertRaises(DataError):
            r.bitpos("b", 2)

    def test_hyperloglogs_and_common_subsequences(self):
        r = self.r
        self.assertEqual((r.pfadd("p", 1, 2, 3), r.pfcount("p"), r.pfmerge("q", "p"), r.pfcount("q")), (1, 3, True, 3))
        r.mset({"a": "ohmytext", "b": "mynewtext"})
        self.assertEqual((r.lcs("a", "b"), r.lcs("a", "b", len=True)), (b"mytext", 6))


class Keys(ServerTest):
    def test_deadlines(self):
        r = self.r
        r.set("a", 1)
        self.assertEqual((r.expire("a", 100), r.expire("zz", 100), r.persist("a"), r.persist("a")),
                         (True, False, True, False))
        self.assertIs(r.pexpire("a", datetime.timedelta(seconds=50)), True)
        self.assertIn(r.ttl("a"), (49, 50))
        self.assertTrue(49000 < r.pttl("a") <= 50000)
        moment = int(time.time()) + 1000
        self.assertIs(r.expireat("a", datetime.datetime.fromtimestamp(moment)), True)
        self.assertEqual(r.expiretime("a"), moment)
        self.assertIn(r.pexpiretime("a"), (moment * 1000 - 1, moment * 1000, moment * 1000 + 1))  # of two clocks
        self.assertIs(r.expire("a", 5, gt=True), False)

    def test_what_becomes_of_keys(self):
        r = self.r
        r.mset({"a": 1, "b": 2})
        self.assertEqual((r.rename("a", "c"), r.renamenx("c", "b"), r.copy("c", "d"), r.copy("c", "b")),
                         (True, False, True, False))
        self.assertEqual(sorted(r.keys("*")), [b"b", b"c", b"d"])
        self.assertEqual((r.touch("b", "zz"), r.unlink("b"), r.delete("c", "zz"), r.dbsize()), (1, 1, 1, 1))
        self.assertEqual((r.randomkey(), r.type("d"), r.object("ENCODING", "d")), (b"d", b"string", b"int"))
        dumped = r.dump("d")
        self.assertEqual((r.restore("e", 0, dumped), r.get("e")), (b"OK", b"1"))

    def test_scanning(self):
        r = self.r
        r.mset({"k%d" % index: index for index in range(300)})
        r.hset("hash", mapping={"f%d" % index: index for index in range(200)})
        r.sadd("set", *range(200))
        r.zadd("zset", {str(index): index for index in range(200)})
        cursor, keys = r.scan(0, count=10)
        self.assertTrue(cursor > 0 and keys)
        self.assertEqual(len(set(r.scan_iter(match="k*"))), 300)
        self.assertEqual(list(r.scan_iter(_type="hash")), [b"hash"])
        self.assertEqual(len(dict(r.hscan_iter("hash"))), 200)
        self.assertEqual(len(set(r.sscan_iter("set"))), 200)
        self.assertEqual(dict(r.zscan_iter("zset"))[b"7"], 7.0)
        self.assertEqual(r.hscan("none"), (0, {}))

    def test_sorting(self):
        r = self.r
        r.rpush("l", 3, 1, 2)
        r.mset({"w1": "a", "w2": "b", "w3": "c"})
        self.assertEqual(r.sort("l", desc=True), [b"3", b"2", b"1"])
        self.assertEqual(r.sort("l", get=["#", "w*"], groups=True), [(b"1", b"a"), (b"2", b"b"), (b"3", b"c")])
        self.assertEqual((r.sort("l", store="s", start=0, num=2), r.lrange("s", 0, -1)), (2, [b"1", b"2"]))
        with self.assertRaises(DataError):
            r.sort("l", start=1)


class Structures(ServerTest):
    def test_hashes(self):
        r = self.r
        self.assertEqual(r.hset("h", "a", 1, mapping={"b": 2}, items=["c", 3]), 3)
        self.assertEqual(r.hgetall("h"), {b"a": b"1", b"b": b"2", b"c": b"3"})
        self.assertEqual((r.hget("h", "a"), r.hmget("h", ["a", "x"]), r.hexists("h", "a"), r.hexists("h", "x")),
                         (b"1", [b"1", None], True, False))
        self.assertEqual((r.hincrby("h", "a", 2), r.hincrbyfloat("h", "a", 0.5), r.hlen("h"), r.hstrlen("h", "a")),
                         (3, 3.5, 3, 3))
        self.assertEqual((sorted(r.hkeys("h")), sorted(r.hvals("h")), r.hsetnx("h", "a", 1), r.hdel("h", "a", "x")),
                         ([b"a", b"b", b"c"], [b"2", b"3", b"3.5"], 0, 1))
        self.assertEqual((r.hgetall("none"), sorted(r.hrandfield("h", 5))), ({}, [b"b", b"c"]))
        with self.assertRaises(DataError):
            r.hset("h")

    def test_lists(self):
        r = self.r
        self.assertEqual((r.rpush("l", 1, 2, 3), r.lpush("l", 0), r.rpushx("none", 1), r.llen("l")), (3, 4, 0, 4))
        self.assertEqual((r.lrange("l", 1, -1), r.lindex("l", 0), r.lset("l", 0, "z"), r.ltrim("l", 0, 2)),
                         ([b"1", b"2", b"3"], b"0", True, True))
        self.assertEqual((r.linsert("l", "BEFORE", 1, "y"), r.lrem("l", 1, "y"), r.lpos("l", 2), r.lpos("l", 9)),
                         (4, 1, 2, None))
        self.assertEqual((r.lpop("l"), r.rpop("l", 2), r.lpop("l"), r.rpop("l", 1)), (b"z", [b"2", b"1"], None, None))
        r.rpush("l", 1, 2, 3)
        self.assertEqual((r.lmove("l", "m"), r.rpoplpush("l", "m"), r.lmpop(2, "x", "l", direction="LEFT")),
                         (b"1", b"3", [b"l", [b"2"]]))
        self.assertEqual((r.blpop(["x", "m"], 1), r.brpop("m", 1), r.blpop("m", 0.05), r.blmove("m", "l", 0.05)),
                         ((b"m", b"3"), (b"m", b"1"), None, None))

    def test_sets(self):
        r = self.r
        self.assertEqual((r.sadd("s", 1, 2, 3), r.sadd("t", 3, 4), r.scard("s"), r.smembers("t")),
                         (3, 2, 3, {b"3", b"4"}))
        self.assertEqual((r.sinter("s", "t"), r.sunion(["s", "t"]), r.sdiff("s", "t")),
                         ({b"3"}, {b"1", b"2", b"3", b"4"}, {b"1", b"2"}))
        self.assertEqual((r.sinterstore("d", "s", "t"), r.sunionstore("d", ["s", "t"]), r.sdiffstore("d", "s", "t")),
                         (1, 4, 2))
        self.assertEqual((r.sismember("s", 1), r.smismember("s", [1, 9]), r.smove("s", "t", 1), r.smove("s", "t", 9)),
                         (1, [1, 0], True, False))
        self.assertEqual((r.sintercard(2, ["s", "t"]), r.srem("s", 2, 9), r.spop("s"), r.spop("s"), r.smembers("s")),
                         (1, 1, b"3", None, set()))
        self.assertEqual(sorted(r.srandmember("t", 5)), [b"1", b"3", b"4"])

    def test_sorted_sets(self):
        r = self.r
        self.assertEqual((r.zadd("z", {"a": 1, "b": 2.5, "c": 3}), r.zadd("z", {"a": 5}, ch=True, nx=True),
                          r.zadd("z", {"a": 1}, incr=True)), (3, 0, 2.0))
        self.assertEqual((r.zscore("z", "b"), r.zscore("z", "x"), r.zmscore("z", ["a", "x"]), r.zincrby("z", 1, "a")),
                         (2.5, None, [2.0, None], 3.0))
        self.assertEqual(r.zrange("z", 0, -1, withscores=True), [(b"b", 2.5), (b"a", 3.0), (b"c", 3.0)])
        self.assertEqual(r.zrange("z", 0, 0, desc=True, withscores=True, score_cast_func=int), [(b"c", 3)])
        self.assertEqual(r.zrangebyscore("z", "(2.5", "inf", start=0, num=1), [b"a"])
        self.assertEqual(r.zrange("z", 3, 2.6, byscore=True, desc=True, offset=0, num=5), [b"c", b"a"])
        self.assertEqual((r.zrank("z", "c"), r.zrevrank("z", "c"), r.zrank("z", "x"), r.zcard("z"),
                          r.zcount("z", 0, 2.6)), (2, 0, None, 3, 1))
        self.assertEqual((r.zpopmin("z"), r.zpopmax("z", 1), r.bzpopmin("z", 1), r.bzpopmax("z", 0.05)),
                         ([(b"b", 2.5)], [(b"c", 3.0)], (b"z", b"a", 3.0), None))
        with self.assertRaises(DataError):
            r.zadd("z", {"a": 1, "b": 2}, incr=True)

    def test_sorted_sets_together(self):
        r = self.r
        r.zadd("y", {"a": 1, "b": 2})
        r.zadd("z", {"b": 3, "c": 4})
        self.assertEqual(r.zunion(["y", "z"], withscores=True), [(b"a", 1.0), (b"c", 4.0), (b"b", 5.0)])
        self.assertEqual(r.zinter({"y": 10, "z": 1}, aggregate="MAX", withscores=True), [(b"b", 20.0)])
        self.assertEqual((r.zdiff(["y", "z"]), r.zunionstore("d", ["y", "z"]), r.zinterstore("d", ["y", "z"]),
                          r.zdiffstore("d", ["y", "z"]), r.zintercard(2, ["y", "z"])), ([b"a"], 3, 1, 1, 1))
        r.zadd("l", dict.fromkeys("abcd", 0))
        self.assertEqual((r.zrangebylex("l", "[b", "+"), r.zlexcount("l", "-", "(c"), r.zremrangebylex("l", "-", "(c")),
                         ([b"b", b"c", b"d"], 2, 2))
        self.assertEqual((r.zremrangebyrank("l", 0, 0), r.zremrangebyscore("l", 0, 0), r.zrem("y", "a", "x")),
                         (1, 1, 1))
        self.assertEqual((r.zrangestore("d", "z", 0, 0), r.zmpop(1, ["z"], min=True)), (1, [b"z", [[b"b", b"3"]]]))

    def test_streams(self):
        r = self.r
        first = r.xadd("x", {"a": 1}, id="1-1")
        r.xadd("x", {"b": 2}, id="2-1", maxlen=10)
        self.assertEqual((first, r.xlen("x"), r.xrange("x"), r.xrevrange("x", count=1)),
                         (b"1-1", 2, [(b"1-1", {b"a": b"1"}), (b"2-1", {b"b": b"2"})], [(b"2-1", {b"b": b"2"})]))
        self.assertEqual(r.xread({"x": "1-1"}), [[b"x", [(b"2-1", {b"b": b"2"})]]])
        self.assertEqual(r.xread({"x": "$"}, block=20), [])
        self.assertIs(r.xgroup_create("x", "g", id=0), True)
        self.assertEqual(r.xreadgroup("g", "c", {"x": ">"}, count=1), [[b"x", [(b"1-1", {b"a": b"1"})]]])
        self.assertEqual(r.xpending("x", "g"), {"pending": 1, "min": b"1-1", "max": b"1-1",
                                                "consumers": [{"name": b"c", "pending": 1}]})
        row = r.xpending_range("x", "g", "-", "+", 10)[0]
        self.assertEqual((row["message_id"], row["consumer"], row["times_delivered"]), (b"1-1", b"c", 1))
        self.assertEqual(r.xclaim("x", "g", "d", 0, ["1-1"]), [(b"1-1", {b"a": b"1"})])
        self.assertEqual(r.xautoclaim("x", "g", "e", 0, justid=True), [b"1-1"])
        self.assertEqual(r.xinfo_groups("x")[0]["name"], b"g")
        self.assertEqual(r.xinfo_stream("x")["first-entry"], (b"1-1", {b"a": b"1"}))
        self.assertEqual({consumer["name"] for consumer in r.xinfo_consumers("x", "g")}, {b"c", b"d", b"e"})
        self.assertEqual((r.xack("x", "g", "1-1"), r.xdel("x", "1-1"), r.xtrim("x", 0, approximate=False),
                          r.xgroup_destroy("x", "g")), (1, 1, 1, True))

    def test_places(self):
        r = self.r
        self.assertEqual(r.geoadd("g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")), 2)
        self.assertEqual(r.geodist("g", "Palermo", "Catania", "km"), 166.2742)
        self.assertEqual(r.geohash("g", "Palermo"), ["sqc8b49rny0"])
        self.assertEqual((r.geopos("g", "x"), round(r.geopos("g", "Palermo")[0][0], 3)), ([None], 13.361))
        self.assertEqual(r.geosearch("g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC"),
                         [b"Catania", b"Palermo"])
        found = r.georadius("g", 15, 37, 200, "km", withdist=True, sort="ASC")
        self.assertEqual([(name, round(distance)) for name, distance in found], [(b"Catania", 56), (b"Palermo", 190)])


class Decoded(ServerTest):
    options = {"decode_responses": True}

    def test_text_comes_back(self):
        r = self.r
        r.set("a", "\u00e9")
        r.hset("h", "f", "v")
        self.assertEqual((r.get("a"), r.mget("a", "b"), r.hgetall("h"), r.keys("a"), r.type("h")),
                         ("\u00e9", ["\u00e9", None], {"f": "v"}, ["a"], "hash"))
        self.assertIsInstance(r.dump("a"), bytes)
        self.assertEqual((r.strlen("a"), r.exists("a"), r.append("a", "x"), r.get("a")), (2, 1, 3, "\u00e9x"))

    def test_text_that_cannot_be_decoded_is_an_error_and_the_client_goes_on(self):
        self.r.set("a", b"\xff")
        with self.assertRaises(UnicodeDecodeError):
            self.r.get("a")
        self.assertIs(self.r.set("a", "x"), True)
        self.assertEqual(self.r.get("a"), "x")


class Resp3(ServerTest):
    options = {"protocol": 3}

    def test_shapes_that_differ(self):
        r = self.r
        r.zadd("z", {"a": 1.5})
        r.hset("h", "f", 1)
        r.sadd("s", 1)
        r.xadd("x", {"a": 1}, id="1-1")
        self.assertEqual((r.zrange("z", 0, -1, withscores=True), r.hgetall("h"), r.smembers("s")),
                         ([[b"a", 1.5]], {b"f": b"1"}, {b"1"}))
        self.assertEqual(r.xread({"x": 0}), {b"x": [[(b"1-1", {b"a": b"1"})]]})
        self.assertEqual(r.xinfo_stream("x")["length"], 1)
        self.assertEqual(r.info("server")["redis_mode"], "standalone")
        self.assertEqual((r.get("none"), r.zscore("z", "a"), r.set("a", 1)), (None, 1.5, True))


on_each_server(globals(), Strings, Keys, Structures, Decoded, Resp3)

if __name__ == "__main__":
    unittest.main()

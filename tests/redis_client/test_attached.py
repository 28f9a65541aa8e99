"""A client attached to a grid: what Python has stored as Redis shows it, and the ways that commands go."""

import os
import unittest

import nosqgrid
from nosqgrid import redis
from nosqgrid.redis.attached import Attached as Session

from .servers import Attached, ServerTest, on_each_server


class Sessions(ServerTest):
    def setUp(self):
        super().setUp()
        self.grid = nosqgrid.attach(self.server.path)
        self.addCleanup(self.grid.close)

    def test_values_of_every_type_are_what_redis_shows(self):
        other = redis.Redis(unix_socket_path=self.server.path)
        self.addCleanup(other.close)
        values = {"bytes": b"\xff", "str": "\u00e9", "int": 5, "float": 1.5, "bool": True, "none": None,
                  "json": {"a": [1]}, "tagged": (1, 2), "large": b"x" * 600000}
        for key, value in values.items():
            self.grid[key] = value
        for key in values:
            for _ in range(20):  # from the near cache as well
                self.assertEqual(self.r.get(key), other.get(key))
            self.assertEqual((self.r.strlen(key), self.r.exists(key)), (other.strlen(key), 1))
        self.assertEqual(self.r.mget(list(values)), other.mget(list(values)))
        self.assertEqual(self.r.get("json"), b'{"a":[1]}')

    def test_reads_need_no_coordinator_and_see_every_write(self):
        for index in range(50):
            self.r.set("a", index)
            self.assertEqual(self.r.get("a"), b"%d" % index)
            self.grid["a"] = -index
            self.assertEqual((self.r.get("a"), self.r["a"], "a" in self.r), (b"%d" % -index,) * 2 + (True,))
        self.assertIn("get", vars(self.r))
        self.r.delete("a")
        self.assertEqual((self.r.get("a"), self.r.exists("a"), self.r.strlen("a")), (None, 0, 0))

    def test_deadlines_hold_for_reads(self):
        self.r.set("a", 1, px=1)
        while self.r.pttl("a") != -2:
            self.assertIn(self.r.get("a"), (b"1", None))
        self.assertEqual((self.r.get("a"), self.r.exists("a")), (None, 0))

    def test_structures_are_no_values(self):
        self.r.hset("h", "f", 1)
        for call in (self.r.get, self.r.strlen):
            with self.assertRaises(redis.ResponseError) as caught:
                call("h")
            self.assertEqual(str(caught.exception),
                             "WRONGTYPE Operation against a key holding the wrong kind of value")
        self.assertEqual((self.r.mget("h"), self.r.exists("h")), ([None], 1))

    def test_which_way_a_command_goes(self):
        takes = self.r._attached.takes
        for args in (("SET", "a", 1), ("get", "a"), ("XINFO STREAM", "x"), ("XREAD", "STREAMS", "x", "0"),
                     ("EXPIRE", "a", 1)):
            self.assertTrue(takes(args), args)
        for args in (("BLPOP", "a", 0), ("MULTI",), ("WATCH", "a"), ("CLIENT ID",), ("SELECT", 1), ("SUBSCRIBE", "a"),
                     ("XREAD", "BLOCK", 0, "STREAMS", "x", "0"), ("XREAD", b"block", 0, "STREAMS", "x", "0"),
                     ("MONITOR",), ("CLIENT REPLY", "OFF"), ("AUTH", "x"), ("HELLO", 3), (b"SET", "a", 1)):
            self.assertFalse(takes(args), args)

    def test_every_command_that_goes_over_the_lane_is_one(self):
        from nosqgrid.redis.attached import _ON_LANE
        known = {name.upper() for name in self.r.command()}
        self.assertEqual(sorted(_ON_LANE - known), [])

    def test_another_database_goes_over_sockets(self):
        client = self.client(db=1)
        client.set("a", 1)
        self.assertEqual((client.get("a"), client.exists("a"), self.r.get("a")), (b"1", 1, None))
        self.assertNotIn("get", vars(client))

    def test_urls_grids_and_paths(self):
        for client in (redis.from_url("nosqgrid://%s?decode_responses=1" % self.server.path),
                       redis.Redis(grid=self.grid, decode_responses=True)):
            self.grid["a"] = 1
            self.assertEqual((client.get("a"), client.incr("a"), client.get("a"), client.mget("a", "b")),
                             ("1", 2, "2", ["2", None]))
            client.close()
        client = redis.from_url("nosqgrid://%s?db=2" % self.server.path)
        self.assertEqual(client.dbsize(), 0)
        client.close()

    def test_callbacks_of_ones_own(self):
        self.r.set("a", 1)
        self.r.set_response_callback("GET", lambda reply: ("got", reply))
        self.assertEqual((self.r.get("a"), self.r["a"]), (("got", b"1"), ("got", b"1")))

    def test_closed_and_used_again(self):
        self.r.set("a", 1)
        self.r.close()
        self.assertEqual((self.r.get("a"), self.r.incr("a")), (b"1", 2))

    def test_a_forked_child(self):
        self.r.set("a", 1)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, b"%b %d %b" % (self.r.get("a"), self.r.incr("a"), self.r.get("a")))
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            self.assertEqual(pipe.read(), b"1 2 2")
        os.waitpid(child, 0)
        self.assertEqual((self.r.get("a"), self.r.incr("a")), (b"2", 3))

    def test_replies_and_words_that_do_not_fit_into_the_lane(self):
        value = os.urandom(300000)
        self.assertIs(self.r.set("a", value), True)
        self.assertEqual((self.r.getrange("a", 0, -1), self.r.getdel("a")), (value, value))
        self.r.rpush("l", *[b"v" * 100] * 5000)
        self.assertEqual(self.r.lrange("l", 0, -1), [b"v" * 100] * 5000)
        self.assertIs(self.r.ping(), True)

    def test_the_coordinator_is_gone(self):
        server = self.kind()
        client = server.client()
        client.set("a", 1)
        self.assertEqual(client.get("a"), b"1")
        server.stop()
        self.assertEqual(client.get("a"), b"1")
        with self.assertRaises(redis.ConnectionError):
            client.incr("a")
        client.close()

    def test_nobody_serves(self):
        client = redis.Redis(grid=self.server.path + "-nobody")
        for call in (lambda: client.get("a"), lambda: client.set("a", 1), lambda: client.exists("a")):
            with self.assertRaises(redis.ConnectionError):
                call()

    def test_the_session_is_made_with_the_first_command(self):
        options = {"db": 0, "encoding": "utf-8", "encoding_errors": "strict", "decode_responses": False,
                   "socket_timeout": None, "username": None, "password": None, "credential_provider": None,
                   "client_name": "lane", "lib_name": None, "lib_version": None, "protocol": 2}
        session = Session(self.server.path, options)
        session.close()
        names = [found["name"] for found in self.r.client_list()]
        self.assertNotIn("lane", names)
        self.assertEqual(session.run(("ECHO", "x")), b"x")
        self.assertIn("lane", [found["name"] for found in self.r.client_list()])
        session.close()


on_each_server(globals(), Sessions, kinds=(Attached,))

if __name__ == "__main__":
    unittest.main()

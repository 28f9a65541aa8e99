"""What the pages show to users of Redis, run as it stands there: a session, and the move from one server to another.

The program of docs/redis.md is for redis-py or for nosqgrid.redis, which has the same interface; here it gets the
latter.
"""

import io
import os
import re
import shlex
import types
import unittest

import nosqgrid
from nosqgrid import redis
from nosqgrid.cli import main
from nosqgrid.client import launcher
from nosqgrid.formats import resp
from tests.style.test_docs import code_blocks, text_of
from tests.style.write_redis_page import PAGE, ROOT
from tests.support.differential import SERVER, RealClient, RealServer
from tests.support.processes import ProcessTestCase

STEP = re.compile(r"(?m)^(redis-cli -s|python3 -m nosqgrid) (.*?) +# (.*)$")


def shown(reply):
    """A reply as redis-cli shows it to people, what is on several lines there on one."""
    if isinstance(reply, list):
        return " ".join("%d) %s" % (number, shown(part)) for number, part in enumerate(reply, 1))
    if isinstance(reply, int):
        return "(integer) %d" % reply
    if isinstance(reply, resp.Simple):
        return str(reply)
    return "(nil)" if reply is None else '"%s"' % reply.decode("utf-8")


class PagesTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.launched.stop()
        super().tearDown()

    def client(self, path=None, db=0):
        self.clients.append(redis.Redis(unix_socket_path=path or self.launched.address, db=db))
        return self.clients[-1]

    def test_the_session_of_the_readme(self):
        text = text_of(os.path.join(ROOT, "README.md"))
        block = next(block for block in code_blocks(text) if "brpop" in block)
        real, steps = RealClient(self.launched.address), STEP.findall(block)
        self.clients.append(real)
        self.assertEqual(len(steps), len(block.strip().splitlines()))
        for program, line, printed in steps:
            words = shlex.split(line.replace("~/nosq.sock", self.launched.address))
            with self.subTest(line):
                if program == "redis-cli -s":
                    reader = resp.ReplyReader()
                    reader.feed(real.call(*words[1:]))
                    self.assertEqual(shown(reader.next()), printed)
                else:
                    out = io.StringIO()
                    self.assertEqual((main.main(words, out), out.getvalue()), (0, printed + "\n"))

    def program(self):
        """copy_keys of the page; the line that calls it is run by who asks, with redis.Redis replaced."""
        block = next(block for block in code_blocks(text_of(PAGE)) if "def copy_keys" in block)
        definition, _, call = block.rpartition("copy_keys(redis")
        self.assertTrue(definition.strip().startswith("import redis"))
        return re.sub("import redis.*", "", definition), "copy_keys(redis" + call

    def copy(self, source, target):
        """Run the whole program, from one client to another."""
        definition, call = self.program()
        fake = types.SimpleNamespace(Redis=lambda port=None, unix_socket_path=None, db=0: source if port else target)
        exec(compile(definition + call, PAGE, "exec"), {"redis": fake})

    def fill(self, client):
        for line in ("set string value", "set number 12", "set short value px 1", "set long value ex 1000",
                     "rpush list a b c", "hset hash f 1 g 2", "sadd set x 1", "zadd zset 1.5 a inf b",
                     "xadd stream 5-1 f v", "xgroup create stream g 0", "pfadd hll a b c"):
            client.execute_command(*line.split())
        client.set(b"\x00\xff\r\n", b"\r\n" * 1000)

    def check(self, client):
        self.assertEqual(client.get(b"\x00\xff\r\n"), b"\r\n" * 1000)
        self.assertEqual(client.lrange("list", 0, -1), [b"a", b"b", b"c"])
        self.assertEqual(client.hgetall("hash"), {b"f": b"1", b"g": b"2"})
        self.assertEqual(client.smembers("set"), {b"1", b"x"})
        self.assertEqual(client.zrange("zset", 0, -1, withscores=True), [(b"a", 1.5), (b"b", float("inf"))])
        self.assertEqual(client.xrange("stream"), [(b"5-1", {b"f": b"v"})])
        self.assertEqual([group["name"] for group in client.xinfo_groups("stream")], [b"g"])
        self.assertEqual(client.pfcount("hll"), 3)
        self.assertEqual(client.ttl("string"), -1)
        self.assertTrue(0 < client.ttl("long") <= 1000)
        self.assertEqual(client.incr("number"), 13)

    def test_keys_go_from_one_database_to_another(self):
        source, target = self.client(db=1), self.client(db=2)
        self.fill(source)
        target.set("list", "is replaced")
        target.set("other", "stays")
        self.copy(source, target)
        self.check(target)
        self.assertEqual(target.get("other"), b"stays")
        self.assertEqual(source.llen("list"), 3)

    def test_a_deadline_that_is_nearly_over_does_not_become_none(self):
        calls = []
        source = types.SimpleNamespace(scan_iter=lambda count: [b"k", b"gone"], pttl=lambda key: 0,
                                       dump=lambda key: b"d" if key == b"k" else None)
        target = types.SimpleNamespace(restore=lambda *args, **options: calls.append((args, options)))
        self.copy(source, target)
        self.assertEqual(calls, [((b"k", 1, b"d"), {"replace": True})])

    @unittest.skipIf(SERVER is None, "redis-server is not installed here")
    def test_keys_go_from_a_redis_server_here_and_back(self):
        server = RealServer()
        try:
            self.go_here_and_back(self.client(server.path), self.client())
        finally:
            server.close()

    def go_here_and_back(self, real, here):
        self.fill(real)
        self.copy(real, here)
        self.check(here)
        with nosqgrid.attach(self.launched.address) as grid:
            self.assertEqual(grid["string"], b"value")
            grid["text"] = "of the grid"
        real.flushall()
        here.set("number", "12")
        self.copy(here, real)
        self.check(real)
        self.assertEqual(real.get("text"), b"of the grid")


if __name__ == "__main__":
    unittest.main()

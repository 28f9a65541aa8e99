"""Clients of Redis, unmodified, over a coordinator: redis-py, redis-cli, redis-benchmark, ioredis and node-redis.

redis-py runs in the first Python of NOSQGRID_APPLICATIONS that has it, the clients for node from the node_modules that
NOSQGRID_NODE names; whatever is not there is skipped.
"""

import os
import shutil
import subprocess
import unittest

from tests.redis.programs.running import PROGRAMS, ProgramTestCase, run
from tests.support.tiers import slow

NODE_MODULES = os.environ.get("NOSQGRID_NODE", "")


class RedisPyTest(ProgramTestCase):

    def test_by_the_socket(self):
        self.run_program("redis_py", ("redis",), "2")
        self.run_program("redis_py", ("redis",), "3")

    def test_by_tcp(self):
        self.run_program("redis_py", ("redis",), "2", tcp=True)
        self.run_program("redis_py", ("redis",), "3", tcp=True)

    def test_asyncio_by_the_socket(self):
        self.run_program("redis_asyncio", ("redis",), "2")
        self.run_program("redis_asyncio", ("redis",), "3")

    def test_asyncio_by_tcp(self):
        self.run_program("redis_asyncio", ("redis",), "3", tcp=True)


@unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
class RedisCliTest(ProgramTestCase):

    def setUp(self):
        super().setUp()
        self.launched = self.serve()

    def cli(self, *words, given=b""):
        """What redis-cli prints, a list of lines."""
        process = subprocess.Popen(("redis-cli", "-s", self.launched.address) + words, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        out, _ = process.communicate(given, timeout=30)
        self.assertEqual(process.returncode, 0, out)
        return out.decode("utf-8").splitlines()

    def test_one_command_and_many(self):
        self.assertEqual(self.cli("set", "k", "1"), ["OK"])
        self.assertEqual(self.cli("-x", "set", "x", given=b"from a pipe"), ["OK"])
        self.assertEqual(self.cli("get", "x"), ["from a pipe"])
        self.assertEqual(self.cli(given=b"incr k\nget k\nlpush k x\n")[:2], ["2", "2"])
        self.assertEqual(self.cli("-r", "3", "incr", "k"), ["3", "4", "5"])
        self.assertEqual(self.cli("-n", "3", "dbsize"), ["0"])

    def test_both_protocols_and_forms(self):
        self.cli("hset", "h", "a", "1")
        self.cli("rpush", "l", "a", "b")
        self.assertEqual(self.cli("-3", "--no-raw", "hgetall", "h"), ['1# "a" => "1"'])
        self.assertEqual(self.cli("--json", "-3", "hgetall", "h"), ['{"a":"1"}'])
        self.assertEqual(self.cli("--csv", "lrange", "l", "0", "-1"), ['"a","b"'])
        self.assertEqual(self.cli("--no-raw", "get", "h"),
                         ["(error) WRONGTYPE Operation against a key holding the wrong kind of value"])

    def test_mass_insertion(self):
        rows = b"".join(b"*3\r\n$3\r\nSET\r\n$4\r\n%04d\r\n$1\r\nv\r\n" % number for number in range(5000))
        self.assertEqual(self.cli("--pipe", given=rows)[-1], "errors: 0, replies: 5000")
        self.assertEqual(self.cli("dbsize"), ["5000"])
        self.assertEqual(sorted(self.cli("--scan", "--pattern", "00*")), ["%04d" % number for number in range(100)])

    def test_its_reports(self):
        self.cli("mset", "small", "1", "large", "x" * 1000)
        self.cli("rpush", "list", "a", "b")
        for option, line in (("--bigkeys", "Biggest string found '\"large\"' has 1000 bytes"),
                             ("--memkeys", "Sampled 3 keys in the keyspace!")):
            self.assertTrue([found for found in self.cli(option) if line in found], option)

    @slow
    def test_a_benchmark(self):
        if not shutil.which("redis-benchmark"):
            self.skipTest("redis-benchmark is not installed")
        for options in (["-c", "20"], ["-c", "5", "-P", "16"], ["-3", "-c", "5"]):
            code, out, errors = run(["redis-benchmark", "-s", self.launched.address, "-n", "1000", "-q", "--csv", "-t",
                                     "ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,"
                                     "lrange,mset"]
                                    + options)
            self.assertEqual((code, errors), (0, ""))
            self.assertEqual(len(out.splitlines()), 20, out)


@unittest.skipUnless(shutil.which("node"), "node is not installed")
class NodeTest(ProgramTestCase):

    def run_node(self, package, which):
        if not os.path.isdir(os.path.join(NODE_MODULES, package)):
            self.skipTest("no %s in %s" % (package, NODE_MODULES or "what NOSQGRID_NODE names"))
        launched = self.serve()
        code, out, errors = run(["node", os.path.join(PROGRAMS, "use_node.js"), launched.address, which],
                                NODE_PATH=NODE_MODULES)
        self.assertEqual(code, 0, out + errors)

    def test_ioredis(self):
        self.run_node("ioredis", "ioredis")

    def test_node_redis(self):
        self.run_node("redis", "noderedis")


del ProgramTestCase

if __name__ == "__main__":
    unittest.main()

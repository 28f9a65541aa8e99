"""INFO, CONFIG, saving and ending as a Redis client sees them, on coordinators of their own."""

import os
import socket
import time
import unittest

from nosqgrid.formats import resp
from tests.support.durable import DurableTestCase, Served
from tests.support.processes import wait_until

WAIT_S = 30.0


class Client(object):
    """A connection in RESP2."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(path)
        self.reader = resp.ReplyReader()

    def call(self, *words):
        self.socket.sendall(resp.encode_command(*words))
        return self.next()

    def next(self):
        """The next reply; None when the connection has ended."""
        while True:
            reply = self.reader.next()
            if reply is not resp.NEED_MORE:
                return reply
            data = self.socket.recv(65536)
            if not data:
                return None
            self.reader.feed(data)

    def info(self, section):
        lines = self.call("INFO", section).decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self):
        self.socket.close()


class ServerTest(DurableTestCase):
    def setUp(self):
        super().setUp()
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.close()
        super().tearDown()

    def client(self, served):
        self.clients.append(Client(served.address))
        return self.clients[-1]

    def test_info(self):
        client = self.client(self.serve(level="os"))
        for number in ("0", "3"):
            client.call("SELECT", number)
            client.call("SET", "a", "1")
            client.call("SET", "b", "1", "EX", "1000")
        self.assertEqual(client.info("keyspace"),
                         {"db0": "keys=2,expires=1,avg_ttl=0", "db3": "keys=2,expires=1,avg_ttl=0"})
        everything = client.info("everything")
        for name in ("redis_version", "arch_bits", "cluster_enabled", "redis_mode", "loading", "blocked_clients",
                     "connected_clients", "mem_allocator", "used_memory", "maxmemory_policy", "role", "maxclients",
                     "used_memory_human", "pubsub_channels", "used_cpu_sys"):
            self.assertIn(name, everything)
        self.assertGreater(int(client.info("stats")["total_commands_processed"]), 5)
        self.assertEqual(client.call("CONFIG", "RESETSTAT"), "OK")
        self.assertLess(int(client.info("stats")["total_commands_processed"]), 3)
        self.assertEqual(client.call("CONFIG", "GET", "databases"), [b"databases", b"16"])

    def test_what_expires_is_told_by_itself(self):
        served = self.serve(level="os")
        client, listener = self.client(served), self.client(served)
        self.assertEqual(client.call("CONFIG", "SET", "notify-keyspace-events", "Ex"), "OK")
        listener.call("SUBSCRIBE", "__keyevent@5__:expired")
        client.call("SELECT", "5")
        client.call("SET", "a", "1", "PX", "20")
        self.assertEqual(list(listener.next()), [b"message", b"__keyevent@5__:expired", b"a"])
        self.assertEqual(client.call("DBSIZE"), 0)

    def test_saving(self):
        client = self.client(self.serve(level="os"))
        began_s = int(time.time())
        client.call("SET", "a", "1")
        self.assertLessEqual(client.call("LASTSAVE"), began_s)
        self.assertEqual(client.call("SAVE"), "OK")
        self.assertGreaterEqual(client.call("LASTSAVE"), began_s)
        client.call("SET", "a", "2")
        self.assertEqual(client.call("BGSAVE"), "Background saving started")
        wait_until(lambda: client.info("persistence")["rdb_bgsave_in_progress"] == "0", what="the checkpoint")
        self.assertEqual(client.info("persistence")["rdb_last_bgsave_status"], "ok")
        self.assertEqual(client.info("persistence")["rdb_changes_since_last_save"], "0")

    def test_databases_come_back_after_an_end_by_shutdown(self):
        served = self.serve(level="os")
        client = self.client(served)
        client.call("SELECT", "7")
        client.call("RPUSH", "list", "a", "b")
        client.call("SET", "text", "x", "EX", "1000")
        client.call("SWAPDB", "7", "2")
        client.socket.sendall(resp.encode_command("SHUTDOWN", "NOSAVE"))
        self.assertIsNone(client.next())
        served.wait()
        client = self.client(self.serve(level="os"))
        client.call("SELECT", "2")
        self.assertEqual(client.call("LRANGE", "list", "0", "-1"), [b"a", b"b"])
        self.assertEqual(client.call("TTL", "text") > 900, True)
        self.assertEqual(client.info("keyspace"), {"db2": "keys=2,expires=1,avg_ttl=0"})

    def test_slow_commands(self):
        client = self.client(self.serve(level="os"))
        client.call("CONFIG", "SET", "slowlog-log-slower-than", "20000")
        client.call("PING")
        self.assertEqual(client.call("DEBUG", "SLEEP", "0.03"), "OK")
        (entry,) = client.call("SLOWLOG", "GET")
        self.assertEqual(entry[3], [b"DEBUG", b"SLEEP", b"0.03"])
        self.assertGreaterEqual(entry[2], 20000)


    def test_without_a_directory_there_is_nowhere_to_save_to(self):
        served = Served(["--memory", "16m"], self.socket, os.path.join(self.place, "errors"))
        self._served.append(served)
        client = self.client(served.wait_until_served())
        for name in ("SAVE", "BGSAVE", "BGREWRITEAOF"):
            self.assertIn("keeps nothing on disk", str(client.call(name)))


if __name__ == "__main__":
    unittest.main()

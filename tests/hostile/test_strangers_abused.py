"""Connections that do not log in: how many, for how long, and how much of memory they get."""

import os
import time
import unittest

from nosqgrid.limits import MIB, STRANGERS_MAX
from tests.support.processes import wait_until
from tests.support.tcp_client import TcpClient, TcpTestCase
from tests.support.tiers import slow

GROWTH_BYTES_MAX = 32 * MIB


class FloodTest(TcpTestCase):

    def setUp(self):
        super().setUp()
        self.start("--redis-password-file", self.write_file("password", "secret"))

    def find_port(self, name):
        self.local = self.connect_local()
        self.local.call("AUTH", "secret")
        self.port = int(self.local.call("CONFIG", "GET", name).split(b"\r\n")[4])

    def silent(self):
        self.clients.append(TcpClient(self.port))
        return self.clients[-1]

    def rss_bytes(self):
        with open("/proc/%d/statm" % self.launched.pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @unittest.skipUnless(os.path.isdir("/proc/self"), "the system does not show the memory of processes")
    def test_many_that_begin_a_command_and_do_not_log_in(self):
        known = self.silent()
        self.assertEqual(known.call("AUTH", "secret"), b"+OK\r\n")
        before = self.rss_bytes()
        crowd = []
        for _ in range(STRANGERS_MAX * 2):
            crowd.append(self.silent())
            try:
                crowd[-1].sock.sendall(b"*4\r\n" + b"$16384\r\n%b\r\n" % bytes(16384) * 3)
            except OSError:
                continue  # has been there too long by now
        client = self.silent()
        self.assertEqual(client.call("AUTH", "secret"), b"+OK\r\n")
        self.assertEqual(known.call("PING"), b"+PONG\r\n")
        self.assertEqual(crowd[0].rest(), b"")
        self.assertLess(self.rss_bytes() - before, GROWTH_BYTES_MAX)
        for client in crowd:
            client.close()
        wait_until(lambda: b"connected_clients:3\r\n" in self.local.call("INFO", "clients"))

    @slow
    def test_one_that_asks_and_does_not_read(self):
        client = self.silent()
        client.sock.settimeout(5.0)
        asked, give_up = 0, time.monotonic() + 60
        with self.assertRaises(OSError):
            while time.monotonic() < give_up:
                client.sock.sendall(b"*1\r\n$4\r\nPING\r\n" * 10000)
                asked += 10000
        self.assertGreater(asked, 0)
        wait_until(lambda: b"connected_clients:1\r\n" in self.local.call("INFO", "clients"))


if __name__ == "__main__":
    unittest.main()

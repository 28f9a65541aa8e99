"""Clients that wait for lists at a coordinator of its own process: served, timed out, or gone."""

import unittest

from nosqgrid.client import launcher
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase, wait_until

NULL_ARRAY = b"*-1\r\n"
TAKEN = b"*2\r\n$1\r\nq\r\n$1\r\n%b\r\n"


class BlockedTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="4m")
        self.clients = []
        self.first, self.second, self.giver = (self.connect() for _ in range(3))

    def tearDown(self):
        for client in self.clients:
            client.close()
        self.launched.stop()
        super().tearDown()

    def connect(self):
        client = RealClient(self.launched.address)
        self.clients.append(client)
        return client

    def wait_for_blocked(self, count):
        wait_until(lambda: b"blocked_clients:%d\r\n" % count in self.giver.call("INFO", "clients"), 10,
                   "%d clients to wait" % count)

    def test_two_wait_and_both_are_served_in_their_order(self):
        self.first.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.second.send("BLPOP", "none", "q", "0")
        self.wait_for_blocked(2)
        self.assertEqual(self.giver.call("RPUSH", "q", "1", "2", "3"), b":3\r\n")
        self.assertEqual(self.first.read(), TAKEN % b"1")
        self.assertEqual(self.second.read(), TAKEN % b"2")
        self.assertEqual(self.giver.call("LLEN", "q"), b":1\r\n")

    def test_what_is_sent_behind_waits_too(self):
        self.first.send("BLPOP", "q", "0")
        self.first.send("ECHO", "behind")
        self.first.send("BLPOP", "q", "0")
        self.first.send("ECHO", "last")
        self.wait_for_blocked(1)
        self.assertFalse(self.first.answered())
        self.giver.call("RPUSH", "q", "1")
        self.assertEqual([self.first.read(), self.first.read()], [TAKEN % b"1", b"$6\r\nbehind\r\n"])
        self.wait_for_blocked(1)
        self.giver.call("RPUSH", "q", "2")
        self.assertEqual([self.first.read(), self.first.read()], [TAKEN % b"2", b"$4\r\nlast\r\n"])

    def test_many_given_in_one_go(self):
        self.first.send("BRPOPLPUSH", "q", "r", "0")
        self.wait_for_blocked(1)
        replies = self.giver.calls([("LPUSH", "q", number) for number in range(100)] + [("LLEN", "q"), ("LLEN", "r")])
        self.assertEqual(self.first.read(), b"$1\r\n0\r\n")
        self.assertEqual(replies[-2:], [b":99\r\n", b":1\r\n"])

    def test_time_runs_out(self):
        self.assertEqual(self.first.call("BLPOP", "q", "0.05"), NULL_ARRAY)
        self.assertEqual(self.first.call("BLMOVE", "q", "r", "LEFT", "LEFT", "0.001"), NULL_ARRAY)
        self.assertEqual(self.first.call("PING"), b"+PONG\r\n")

    def test_a_time_longer_than_any_poll_takes(self):
        self.first.send("BLPOP", "q", "9e15")
        self.wait_for_blocked(1)
        self.assertEqual(self.giver.call("RPUSH", "q", "1"), b":1\r\n")
        self.assertEqual(self.first.read(), TAKEN % b"1")

    def test_who_has_gone_takes_nothing(self):
        self.first.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.first.close()
        self.wait_for_blocked(0)
        self.assertEqual(self.giver.call("RPUSH", "q", "1"), b":1\r\n")
        self.assertEqual(self.giver.call("LPOP", "q"), b"$1\r\n1\r\n")


if __name__ == "__main__":
    unittest.main()

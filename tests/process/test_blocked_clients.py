"""Clients that wait for lists at a coordinator of its own process: served, timed out, or gone."""

import unittest

from tests.support.several_clients import SeveralClientsTest

NULL_ARRAY = b"*-1\r\n"
TAKEN = b"*2\r\n$1\r\nq\r\n$1\r\n%b\r\n"


class BlockedTest(SeveralClientsTest):
    memory = "4m"

    def test_two_wait_and_both_are_served_in_their_order(self):
        self.one.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.two.send("BLPOP", "none", "q", "0")
        self.wait_for_blocked(2)
        self.assertEqual(self.three.call("RPUSH", "q", "1", "2", "3"), b":3\r\n")
        self.assertEqual(self.one.read(), TAKEN % b"1")
        self.assertEqual(self.two.read(), TAKEN % b"2")
        self.assertEqual(self.three.call("LLEN", "q"), b":1\r\n")

    def test_what_is_sent_behind_waits_too(self):
        self.one.send("BLPOP", "q", "0")
        self.one.send("ECHO", "behind")
        self.one.send("BLPOP", "q", "0")
        self.one.send("ECHO", "last")
        self.wait_for_blocked(1)
        self.assertFalse(self.one.answered())
        self.three.call("RPUSH", "q", "1")
        self.assertEqual([self.one.read(), self.one.read()], [TAKEN % b"1", b"$6\r\nbehind\r\n"])
        self.wait_for_blocked(1)
        self.three.call("RPUSH", "q", "2")
        self.assertEqual([self.one.read(), self.one.read()], [TAKEN % b"2", b"$4\r\nlast\r\n"])

    def test_many_given_in_one_go(self):
        self.one.send("BRPOPLPUSH", "q", "r", "0")
        self.wait_for_blocked(1)
        replies = self.three.calls([("LPUSH", "q", number) for number in range(100)] + [("LLEN", "q"), ("LLEN", "r")])
        self.assertEqual(self.one.read(), b"$1\r\n0\r\n")
        self.assertEqual(replies[-2:], [b":99\r\n", b":1\r\n"])

    def test_time_runs_out(self):
        self.assertEqual(self.one.call("BLPOP", "q", "0.05"), NULL_ARRAY)
        self.assertEqual(self.one.call("BLMOVE", "q", "r", "LEFT", "LEFT", "0.001"), NULL_ARRAY)
        self.assertEqual(self.one.call("PING"), b"+PONG\r\n")

    def test_a_time_longer_than_any_poll_takes(self):
        self.one.send("BLPOP", "q", "9e15")
        self.wait_for_blocked(1)
        self.assertEqual(self.three.call("RPUSH", "q", "1"), b":1\r\n")
        self.assertEqual(self.one.read(), TAKEN % b"1")

    def test_who_has_gone_takes_nothing(self):
        self.one.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.one.close()
        self.wait_for_blocked(0)
        self.assertEqual(self.three.call("RPUSH", "q", "1"), b":1\r\n")
        self.assertEqual(self.three.call("LPOP", "q"), b"$1\r\n1\r\n")


if __name__ == "__main__":
    unittest.main()

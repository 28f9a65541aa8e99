"""Several connections to one coordinator: who listens, who waits, who watches, who is held, and who goes away."""

import os
import signal
import time
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import WrongTypeError
from tests.support.processes import wait_until
from tests.support.several_clients import SeveralClientsTest
from tests.support.tiers import slow

BLOCKED = """
import sys
from tests.support.differential import RealClient
client = RealClient(sys.argv[1])
print("ready", flush=True)
print(client.call("BLPOP", "queue", "0"), flush=True)
"""


class ConnectionsTest(SeveralClientsTest):

    def silent(self, client):
        """Nothing comes to a client."""
        with self.assertRaises(OSError):
            client.read(0.05)


class ListeningTest(ConnectionsTest):

    def test_messages_reach_who_listens_in_either_protocol(self):
        self.two.call("HELLO", "3")
        self.assertEqual(self.one.call("SUBSCRIBE", "a", "b"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
        self.assertEqual(self.one.read(), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n")
        self.assertEqual(self.two.call("PSUBSCRIBE", "?"), b">3\r\n$10\r\npsubscribe\r\n$1\r\n?\r\n:1\r\n")
        self.assertEqual(self.three.call("PUBLISH", "a", "hello"), b":2\r\n")
        self.assertEqual(self.one.read(), b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n")
        self.assertEqual(self.two.read(), b">4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\na\r\n$5\r\nhello\r\n")
        self.assertEqual(self.two.call("GET", "a"), b"_\r\n")  # RESP3 may do other things meanwhile
        self.assertEqual(self.one.call("GET", "a"), b"-ERR Can't execute 'get': only (P|S)SUBSCRIBE / "
                         b"(P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n")
        self.assertEqual(self.one.call("PING"), b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        self.assertEqual(self.three.call("PUBSUB", "NUMSUB", "a", "c"), b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nc\r\n:0\r\n")
        self.assertEqual(self.one.call("UNSUBSCRIBE"), b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n")
        self.assertEqual(self.one.read(), b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n")
        self.assertEqual(self.one.call("GET", "a"), b"$-1\r\n")

    def test_who_has_gone_does_not_listen(self):
        self.one.call("SUBSCRIBE", "a")
        self.one.close()
        wait_until(lambda: self.three.call("PUBSUB", "CHANNELS") == b"*0\r\n")
        self.assertEqual(self.three.call("PUBLISH", "a", "x"), b":0\r\n")

    @slow
    def test_who_does_not_read_is_disconnected_and_the_others_hear_all(self):
        self.one.call("SUBSCRIBE", "a")
        self.two.call("SUBSCRIBE", "a")
        heard = 0
        for _ in range(60):
            self.three.call("PUBLISH", "a", bytes(1 << 20))
            heard += len(self.two.read())
        self.assertEqual(heard, 60 * len(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1048576\r\n\r\n" + bytes(1 << 20)))
        wait_until(lambda: self.three.call("PUBSUB", "NUMSUB", "a").endswith(b":1\r\n"))

    def test_events_about_keys(self):
        self.three.call("CONFIG", "SET", "notify-keyspace-events", "KA")
        self.one.call("PSUBSCRIBE", "__key*__:*")
        self.two.call("LPUSH", "l", "x")
        self.assertIn(b"__keyspace@0__:l\r\n$5\r\nlpush", self.one.read())


    def test_events_about_keys_that_are_new(self):
        self.three.call("CONFIG", "SET", "notify-keyspace-events", "En")
        self.one.call("SUBSCRIBE", "__keyevent@0__:new")
        for command in (("SET", "a", "1"), ("SET", "a", "2"), ("RPUSH", "l", "x"), ("RPUSH", "l", "y"),
                        ("RENAME", "a", "b")):
            self.two.call(*command)
        told = b""
        while told.count(b"message") < 3:
            told += self.one.read()
        self.assertEqual(told, b"".join(b"*3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:new\r\n$1\r\n%b\r\n" % key
                                        for key in (b"a", b"l", b"b")))


class WaitingTest(ConnectionsTest):

    @slow
    def test_who_waits_longest_is_served_first_whoever_writes(self):
        self.one.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.two.send("BLPOP", "q", "0")
        self.wait_for_blocked(2)
        self.assertEqual(self.three.call("RPUSH", "q", "1", "2", "3"), b":3\r\n")
        self.assertEqual(self.one.read(), b"*2\r\n$1\r\nq\r\n$1\r\n1\r\n")
        self.assertEqual(self.two.read(), b"*2\r\n$1\r\nq\r\n$1\r\n2\r\n")
        self.assertEqual(self.three.call("LRANGE", "q", "0", "-1"), b"*1\r\n$1\r\n3\r\n")

    @slow
    def test_time_is_up(self):
        started = time.monotonic()
        self.assertEqual(self.one.call("BLPOP", "q", "0.05"), b"*-1\r\n")
        self.assertGreater(time.monotonic() - started, 0.04)  # the coordinator knows whole milliseconds
        self.assertEqual(self.one.call("PING"), b"+PONG\r\n")

    @slow
    def test_what_is_sent_behind_is_run_when_the_wait_is_over(self):
        self.one.send("BLPOP", "q", "0")
        self.one.send("PING")
        self.wait_for_blocked(1)
        self.silent(self.one)
        self.three.call("RPUSH", "q", "x")
        self.assertEqual(self.one.read(), b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n")
        self.assertEqual(self.one.read(), b"+PONG\r\n")

    @slow
    def test_who_is_killed_while_waiting_takes_nothing_with_him(self):
        child = self.spawn(BLOCKED, self.launched.address)
        self.assertEqual(child.read_line(), "ready")
        self.wait_for_blocked(1)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        self.wait_for_blocked(0)
        self.one.send("BLPOP", "queue", "0")
        self.wait_for_blocked(1)
        self.three.call("RPUSH", "queue", "x")
        self.assertEqual(self.one.read(), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n")

    @slow
    def test_client_unblock(self):
        number = self.one.call("CLIENT", "ID")[1:-2]
        for kind, reply in ((b"TIMEOUT", b"*-1\r\n"),
                            (b"ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")):
            self.one.send("BLPOP", "q", "0")
            self.wait_for_blocked(1)
            self.assertEqual(self.three.call("CLIENT", "UNBLOCK", number, kind), b":1\r\n")
            self.assertEqual(self.one.read(), reply)
        self.assertEqual(self.three.call("CLIENT", "UNBLOCK", number), b":0\r\n")

    @slow
    def test_transactions_do_not_wait_and_serve_at_their_end(self):
        self.assertEqual(self.one.calls([("MULTI",), ("BLPOP", "q", "0"), ("EXEC",)])[2], b"*1\r\n*-1\r\n")
        self.one.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.three.calls([("MULTI",), ("RPUSH", "q", "1"), ("LPUSH", "q", "0"), ("EXEC",)])
        self.assertEqual(self.one.read(), b"*2\r\n$1\r\nq\r\n$1\r\n0\r\n")


class FullTest(ConnectionsTest):

    def test_a_transaction_for_which_there_is_no_room_is_taken_back_whole(self):
        self.launched.stop()
        self.launched = launcher.start(memory="4m", extra_args=("--policy", "refuse"))
        self.one = self.connect()
        self.one.call("RPUSH", "list", "a")
        value = bytes(500000)
        replies = self.one.calls([("MULTI",), ("SET", "k", "v"), ("RPUSH", "list", "b")]
                                 + [("SET", "large:%d" % number, value) for number in range(12)] + [("EXEC",)])
        self.assertTrue(replies[-1].startswith(b"-OOM "), replies[-1])
        self.assertEqual(self.one.call("LRANGE", "list", "0", "-1"), b"*1\r\n$1\r\na\r\n")
        self.assertEqual(self.one.call("EXISTS", "k", "large:0"), b":0\r\n")
        self.assertEqual(self.one.calls([("MULTI",), ("SET", "k", "v"), ("LPUSH", "k", "x"), ("EXEC",)])[-1],
                         b"*2\r\n+OK\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")


class OverseeingTest(ConnectionsTest):

    def test_monitor_sees_the_commands_of_all(self):
        self.assertEqual(self.one.call("MONITOR"), b"+OK\r\n")
        self.two.call("SET", "k", b'a"\n\x00')
        line = self.one.read()
        self.assertRegex(line, rb'^\+\d+\.\d{6} \[0 unix:/[^]:]+\] "SET" "k" "a\\"\\n\\x00"\r\n$')
        self.one.call("RESET")
        self.two.call("SET", "k", "1")
        self.silent(self.one)

    @slow
    def test_who_says_nothing_is_idle(self):
        self.one.call("CLIENT", "SETNAME", "one")

        def idle():
            line = [line for line in self.two.call("CLIENT", "LIST").split(b"\n") if b" name=one " in line][0]
            return int(line.partition(b" idle=")[2].split()[0])
        wait_until(lambda: idle() >= 1)
        wait_until(lambda: self.one.call("PING") == b"+PONG\r\n" and idle() == 0)

    def test_replies_are_left_out_where_that_is_asked_for(self):
        self.one.send("CLIENT", "REPLY", "OFF")
        self.one.send("SET", "k", "1")
        self.assertEqual(self.one.call("CLIENT", "REPLY", "ON"), b"+OK\r\n")
        self.one.send("CLIENT", "REPLY", "SKIP")
        self.one.send("INCR", "k")
        self.assertEqual(self.one.call("INCR", "k"), b":3\r\n")

    def test_blocked_commands_are_among_them(self):
        for mode, value in (("OFF", "x"), ("SKIP", "y")):
            self.one.send("CLIENT", "REPLY", mode)
            self.one.send("BLPOP", "q", "0")
            self.two.call("RPUSH", "q", value)
            wait_until(lambda: self.two.call("EXISTS", "q") == b":0\r\n")
            self.one.send("CLIENT", "REPLY", "ON")
            self.assertEqual(self.one.read(), b"+OK\r\n")

    def test_messages_and_what_is_listened_to_are_not(self):
        self.one.send("CLIENT", "REPLY", "OFF")
        self.assertEqual(self.one.call("SUBSCRIBE", "a"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n")
        self.two.call("PUBLISH", "a", "m")
        self.assertEqual(self.one.read(), b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n")
        self.assertEqual(self.one.call("UNSUBSCRIBE", "a"), b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n")

    def test_command_that_waited_is_slow_when_it_is_answered_and_was_run(self):
        self.three.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        self.one.send("BLPOP", "q", "0")
        self.wait_for_blocked(1)
        self.three.call("SLOWLOG", "RESET")
        self.two.call("RPUSH", "q", "x")
        self.one.read()
        slow = self.three.call("SLOWLOG", "GET", "2")
        self.three.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        self.assertLess(0, slow.index(b"BLPOP"))
        self.assertLess(slow.index(b"BLPOP"), slow.index(b"RPUSH"))

    def test_command_that_waited_is_counted_when_it_is_answered(self):
        self.three.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        self.three.call("CONFIG", "RESETSTAT")
        self.one.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
        self.wait_for_blocked(1)
        self.assertNotIn(b"xreadgroup", self.three.call("INFO", "commandstats"))
        self.two.call("XGROUP", "DESTROY", "s", "g")
        self.one.read()
        self.assertRegex(self.three.call("INFO", "commandstats"),
                         b"cmdstat_xreadgroup:calls=1,.*,rejected_calls=0,failed_calls=1\r")
        self.assertIn(b"errorstat_NOGROUP:count=1\r", self.three.call("INFO", "errorstats"))
        self.assertIn(b"total_error_replies:1\r", self.three.call("INFO", "stats"))

    def test_commands_are_counted_once_somebody_asks_for_their_counts(self):
        self.three.call("SET", "k", "1")
        self.assertNotIn(b"cmdstat", self.three.call("INFO"))
        self.assertNotIn(b"cmdstat", self.three.call("INFO", "server"))
        self.assertNotIn(b"cmdstat", self.three.call("INFO", "all"))  # which is asked each minute by who watches it
        self.assertIn(b"cmdstat_info:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0\r",
                      self.three.call("INFO", "server", "commandstats"))
        self.three.call("SET", "k", "1")
        shown = self.three.call("INFO", "COMMANDSTATS")
        self.assertRegex(shown, b"cmdstat_set:calls=1,")
        self.assertRegex(shown, b"cmdstat_info:calls=1,")
        self.assertIn(b"yes", self.three.call("CONFIG", "GET", "latency-tracking"))

    def test_commands_are_not_counted_for_who_asks_when_that_was_refused(self):
        self.three.call("CONFIG", "SET", "latency-tracking", "no")
        self.assertNotIn(b"cmdstat", self.three.call("INFO", "all"))
        self.three.call("SET", "k", "1")
        self.assertNotIn(b"cmdstat", self.three.call("INFO", "commandstats"))

    def test_pause_holds_writes_and_lets_reads_pass(self):
        self.three.call("CLIENT", "PAUSE", "60000", "WRITE")
        self.assertEqual(self.one.call("GET", "k"), b"$-1\r\n")
        self.one.send("SET", "k", "1")
        self.one.send("GET", "k")
        self.silent(self.one)
        self.two.send("PUBLISH", "channel", "message")  # as a write, it would go to replicas
        self.silent(self.two)
        self.assertEqual(self.three.call("CLIENT", "UNPAUSE"), b"+OK\r\n")
        self.assertEqual(self.two.read(), b":0\r\n")
        self.assertEqual(self.one.read(), b"+OK\r\n")
        self.assertEqual(self.one.read(), b"$1\r\n1\r\n")

    def number(self, section, name):
        return int(self.three.call("INFO", section).partition(b"\n%b:" % name)[2].split(None, 1)[0])

    def expired_keys(self):
        return self.number("stats", b"expired_keys")

    def test_what_was_dropped_and_is_freed_later_is_told(self):
        self.three.call("CONFIG", "RESETSTAT")
        self.one.call("RPUSH", "few", *["x"] * 64)
        self.one.call("RPUSH", "many", *["x"] * 65)
        self.one.call("RPUSH", "more", *["x"] * 100)
        self.one.call("UNLINK", "few", "many")
        self.one.call("FLUSHALL")
        wait_until(lambda: self.number("memory", b"lazyfree_pending_objects") == 0)
        self.assertEqual(self.number("memory", b"lazyfreed_objects"), 1)

    def test_what_expires_while_writes_are_held_is_removed_after_that(self):
        before = self.expired_keys()
        for words in (("MULTI",), ("SET", "k", "1", "PX", "1"), ("CLIENT", "PAUSE", "60000", "WRITE"), ("EXEC",)):
            self.one.call(*words)
        wait_until(lambda: self.two.call("EXISTS", "k") == b":0\r\n")
        self.assertEqual(self.two.call("SCAN", "0"), b"*2\r\n$1\r\n0\r\n*0\r\n")
        self.assertEqual(self.expired_keys(), before)
        self.three.call("CLIENT", "UNPAUSE")
        wait_until(lambda: self.expired_keys() == before + 1)

    def test_pause_ends_by_itself(self):
        self.three.call("CLIENT", "PAUSE", "50")
        started = time.monotonic()
        self.assertEqual(self.one.call("PING"), b"+PONG\r\n")
        self.assertGreater(time.monotonic() - started, 0.02)

    def test_kill_ends_the_connections_that_are_meant(self):
        number = self.one.call("CLIENT", "ID")[1:-2]
        self.assertEqual(self.three.call("CLIENT", "KILL", "ID", number), b":1\r\n")
        with self.assertRaises(EOFError):
            self.one.read()
        self.assertEqual(self.two.call("PING"), b"+PONG\r\n")


class OneKeyspaceTest(ConnectionsTest):

    def test_clients_of_the_grid_and_of_redis_see_the_same_values(self):
        with nosqgrid.attach(self.launched.address) as grid:
            grid["text"], grid["number"] = "grün", 41
            self.assertEqual(self.one.call("GET", "text"), b"$5\r\ngr\xc3\xbcn\r\n")
            self.assertEqual(self.one.call("INCR", "number"), b":42\r\n")
            self.assertEqual(grid["number"], 42)
            self.one.call("SET", "bytes", b"\x00\xff")
            self.assertEqual(grid["bytes"], b"\x00\xff")

    def test_structures_are_no_values_of_the_grid(self):
        with nosqgrid.attach(self.launched.address) as grid:
            self.one.call("RPUSH", "list", "a")
            grid["plain"] = 1
            for read in (lambda: grid["list"], lambda: grid.get("list"), lambda: grid.view("list"),
                         lambda: grid.get_many(["plain", "list"]), lambda: grid.get_versioned("list"),
                         lambda: grid.pop("list"), lambda: grid.get_or_compute("list", lambda: 1)):
                self.assertRaises(WrongTypeError, read)
            self.assertTrue("list" in grid)
            self.assertEqual((sorted(grid), list(grid.items())), (["list", "plain"], [("plain", 1)]))
            grid["list"] = 2
            self.assertEqual(self.one.call("LLEN", "list"), b"-WRONGTYPE Operation against a key holding the wrong "
                             b"kind of value\r\n")
            self.assertEqual(grid["list"], 2)

    def test_watch_sees_what_a_client_of_the_grid_writes(self):
        with nosqgrid.attach(self.launched.address) as grid:
            grid["k"] = 1
            self.one.call("WATCH", "k")
            grid.set("k", 2)
            self.assertEqual(self.one.calls([("MULTI",), ("SET", "k", "3"), ("EXEC",)])[2], b"*-1\r\n")
            self.assertEqual(grid["k"], 2)


del ConnectionsTest

if __name__ == "__main__":
    unittest.main()

"""Locks when processes are killed, stopped or forked, and when the coordinator is.

Holders are processes of their own: each line they get is a command that they send over a connection of theirs, and
each line that they write its reply.
"""

import os
import signal
import time
import unittest

from nosqgrid import errors
from nosqgrid.client.link import Link
from tests.support.durable import DurableTestCase, Served
from tests.support.processes import TIMEOUT_S, process_state, wait_until
from tests.support.tiers import slow

SOON_S = 10.0  # what takes milliseconds here has so long on a machine with other work

HOLDER = """
import os, sys, time
from nosqgrid.client.link import Link
link = Link(sys.argv[1], 30.0)
for line in sys.stdin:
    words = line.split()
    if words[0] == "FORK":
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        print(pid, flush=True)
    elif words[0] == "AGAIN":
        link = Link(sys.argv[1], 30.0)
        print("again", flush=True)
    else:
        try:
            print(repr(link.command(*[word.encode() for word in words])), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
"""


class LockSurvivalTest(DurableTestCase):

    def setUp(self):
        super().setUp()
        self.holders = []

    def tearDown(self):
        for holder in self.holders:
            holder.kill()
            holder.wait()
        super().tearDown()

    def serve_memory(self):
        """Start a coordinator without a directory, and wait until it serves."""
        served = Served(["--memory", "16m"], self.socket, os.path.join(self.place, "errors%d" % len(self._served)))
        self._served.append(served)
        return served.wait_until_served()

    def holder(self):
        self.holders.append(self.spawn(HOLDER, self.socket))
        return self.holders[-1]

    def ask(self, child, *words):
        child.write_line(" ".join(words))
        return child.read_line()

    def link(self):
        """A connection of this process; closed at the end of the test."""
        link = Link(self.socket, TIMEOUT_S)
        self._grids.append(link)
        return link

    def token(self, child, name, *options):
        reply = self.ask(child, "LOCK.ACQUIRE", name, *options)
        self.assertRegex(reply, r"^\[[0-9]+, 0, 1\]$")
        return int(reply[1:].split(",")[0])

    def have(self, link, name, timeout_s=SOON_S):
        """Wait for a lock; (token, abandoned)."""
        token, abandoned, _ = link.command(b"LOCK.ACQUIRE", name, b"WAIT", b"%d" % int(timeout_s * 1000))
        return token, abandoned

    def assert_held(self, link, name=b"a"):
        self.assertIsNone(link.command(b"LOCK.ACQUIRE", name))

    def reclaim(self, child, token):
        return self.ask(child, "LOCK.RECLAIM", "a", str(token), "exclusive", "1", "0", "0", "0", "thread", "info")

    # -- the holder ---------------------------------------------------------------------------------------------------

    def test_a_killed_holder_is_followed_at_once(self):
        self.serve_memory()
        child, link = self.holder(), self.link()
        token = self.token(child, "a")
        self.assert_held(link)
        self.assertEqual(self.attach().stats()["locks"], 1)
        child.kill()
        found, abandoned = self.have(link, b"a")
        self.assertGreater(found, token)
        self.assertEqual(abandoned, 1)

    @unittest.skipUnless(os.path.exists("/proc/self/stat"), "needs /proc")
    def test_a_child_of_a_killed_holder_does_not_keep_its_lock(self):
        self.serve_memory()
        child, link = self.holder(), self.link()
        self.token(child, "a")
        orphans = [int(self.ask(child, "FORK")) for _ in range(5)]
        try:
            child.kill()
            self.assertEqual(self.have(link, b"a")[1], 1)
            self.assertTrue(all(process_state(pid) for pid in orphans))  # who have the connection still
        finally:
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)

    @slow
    def test_a_stopped_holder_loses_nothing(self):
        self.serve_memory()
        child, link = self.holder(), self.link()
        token = self.token(child, "a")
        os.kill(child.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: process_state(child.pid) == "T", SOON_S, "the holder to stop")
            self.assertIsNone(link.command(b"LOCK.ACQUIRE", b"a", b"WAIT", b"1500"))
        finally:
            os.kill(child.pid, signal.SIGCONT)
        self.assertEqual(self.ask(child, "LOCK.RELEASE", "a", str(token)), "0")

    # -- the coordinator ----------------------------------------------------------------------------------------------

    def restart(self, served, **options):
        served.kill()
        return self.serve(**options)

    @slow
    def test_a_holder_comes_back_to_the_next_coordinator(self):
        for level in ("os", "everysec", "always"):
            served = self.serve(level=level)
            child = self.holder()
            token = self.token(child, "a")
            served = self.restart(served, level=level)
            link = self.link()
            self.assert_held(link)
            self.assertIsNone(link.command(b"LOCK.ACQUIRE", b"a", b"WAIT", b"50"))
            self.assertEqual(self.ask(child, "AGAIN"), "again")
            self.assertEqual(self.reclaim(child, token), "1")
            self.assertEqual(self.ask(child, "LOCK.RELEASE", "a", str(token)), "0")
            found = self.have(link, b"a")[0]
            self.assertGreater(found, token)
            link.command(b"LOCK.RELEASE", b"a", found)
            self.assertEqual(served.stop(), 0)

    def test_checkpoint_and_log_have_all_of_them(self):
        served = self.serve(level="everysec")
        child = self.holder()
        self.token(child, "a")
        link = self.link()
        for _ in range(2):
            link.command(b"SAVE")
            self.assertIsNone(link.command(b"LOCK.ACQUIRE", b"a"))
        self.token(child, "b")
        given_back = self.token(child, "c")
        self.ask(child, "LOCK.RELEASE", "c", str(given_back))
        self.restart(served, level="everysec")
        link = self.link()
        self.assert_held(link, b"a")
        self.assert_held(link, b"b")
        self.assertGreater(self.have(link, b"c", 0)[0], given_back)

    def test_one_who_died_meanwhile_is_followed_at_once(self):
        served = self.serve(level="everysec")
        child = self.holder()
        self.token(child, "a")
        served.kill()
        child.kill()
        child.wait()
        self.serve(level="everysec")
        self.assertEqual(self.have(self.link(), b"a", 0)[1], 1)

    def test_one_who_dies_without_coming_back_is_noticed(self):
        served = self.serve(level="everysec")
        child = self.holder()
        self.token(child, "a")
        self.restart(served, level="everysec")
        link = self.link()
        self.assert_held(link)
        child.kill()
        self.assertEqual(self.have(link, b"a")[1], 1)

    def test_an_orderly_restart_takes_no_lock_away(self):
        served = self.serve(level="everysec")
        child = self.holder()
        token = self.token(child, "a")
        self.assertEqual(served.stop(), 0)
        self.serve(level="everysec")
        self.assert_held(self.link())
        self.ask(child, "AGAIN")
        self.assertEqual(self.reclaim(child, token), "1")

    @slow
    def test_without_a_directory_only_holders_are_granted_anything_at_first(self):
        served = self.serve_memory()
        child = self.holder()
        token = self.token(child, "a")
        served.kill()
        begun = time.monotonic()
        self.serve_memory()
        link = self.link()
        free = link.command(b"LOCK.ACQUIRE", b"free")
        if time.monotonic() - begun < 5.0:
            self.assertIsNone(free)
        self.ask(child, "AGAIN")
        self.assertEqual(self.reclaim(child, token), "1")
        self.assertEqual(self.have(link, b"free", 30.0)[1], 0)
        self.assertGreaterEqual(time.monotonic() - begun, 4.0)
        self.assert_held(link)
        with self.assertRaises(errors.LockLostError):
            link.command(b"LOCK.RECLAIM", b"b", b"5", b"exclusive", b"1", b"0", b"0", b"0", b"", b"")
        self.assertEqual(self.ask(child, "LOCK.RELEASE", "a", str(token)), "0")
        self.assertGreater(self.have(link, b"a")[0], token)

    @slow
    def test_tokens_rise_across_kills(self):
        last = 0
        for level in ("everysec", "os", None, "always", "everysec"):
            served = self.serve(level=level) if level else self.serve_memory()
            link = self.link()
            token = self.have(link, b"t", 30.0)[0]
            self.assertGreater(token, last)
            last = token
            link.command(b"LOCK.RELEASE", b"t", token)
            served.kill()

    def test_a_lease_ends_although_nobody_asks(self):
        self.serve_memory()
        child, link = self.holder(), self.link()
        token = self.token(child, "a", "TTL", "200")
        self.assertEqual(link.command(b"LOCK.WATCH", b"a", token, timeout_s=SOON_S), b"expired")
        self.assertIn("LockLostError", self.ask(child, "LOCK.RELEASE", "a", str(token)))


if __name__ == "__main__":
    unittest.main()

"""Calls that a signal handler ends in the middle: what of them is still under way never answers a later call."""

import os
import random
import signal
import socket
import sys
import threading
import time
import unittest
from unittest import mock

from nosqgrid.client.attachment import Attachment
from nosqgrid.client.link import Link
from nosqgrid.errors import CommandError
from nosqgrid.formats import lane
from nosqgrid.formats.records import pack_body
from nosqgrid.memory.lane import ClientLane
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
from tests.support.tiers import slow

SECONDS = 1.0
LARGE = 240 * 1000  # more than a lane carries, and than a socket takes at once; less than has a file of its own


class Interrupted(BaseException):
    pass


def large(name):
    return name + ":" + "x" * LARGE


class InStepTest(GridTestCase):
    """The moments that matter, each hit once on purpose."""

    memory = "64m"

    def interrupted(self, owner, name, after):
        """Pop a large value, with an interrupt just before or after the first call of a method."""
        real = getattr(owner, name)

        def strike(*arguments, **options):
            patch.stop()
            if after:
                real(*arguments, **options)
            raise Interrupted()

        patch = mock.patch.object(owner, name, strike)
        patch.start()
        self.assertRaises(Interrupted, self.grid.pop, "k")

    def check(self):
        for name in ("one", "two"):
            version = self.grid.set("large", large(name))
            self.assertIsInstance(version, int)
            self.assertEqual(self.grid.get_versioned("large"), (large(name), version))
            self.assertEqual(self.grid.pop("large"), large(name))
            self.assertEqual(self.grid.incr("n", 0), 0)
            with self.grid.pipeline() as pipe:
                pipe.set("a", large(name)).get("a").incr("n", 0)
            self.assertEqual(pipe.results[1:], [large(name), 0])

    def test_a_reply_on_the_socket_that_nobody_waits_for_is_not_taken_for_the_next(self):
        for owner, name in ((Attachment, "_wait"), (Attachment, "_replies"), (ClientLane, "take_replies"),
                            (Attachment, "_socket_reply"), (Link, "receive"), (Link, "receive_some")):
            for after in (False, True):
                with self.subTest(name, after=after):
                    self.grid["k"] = large("old")
                    self.interrupted(owner, name, after)
                    self.check()
        self.attached(1)

    def test_a_large_command_that_was_not_answered_leaves_its_reply_to_nobody(self):
        for name, after in (("send", False), ("send", True), ("receive", False), ("receive", True)):
            real = getattr(Link, name)

            def strike(*arguments, real=real, after=after):
                patch.stop()
                if after:
                    real(*arguments)
                raise Interrupted()

            with self.subTest(name, after=after):
                patch = mock.patch.object(Link, name, strike)
                patch.start()
                self.assertRaises(Interrupted, self.grid.set, "other", large("lost"))
                self.check()
        self.attached(1)


    def test_an_error_in_between_does_not_make_the_reply_that_is_owed_forgotten(self):
        self.grid["k"] = large("old")
        self.interrupted(Attachment, "_socket_reply", False)  # taken out of the lane, and left on the socket
        with self.assertRaises(CommandError):  # a deadline that cannot be: the error comes through the lane
            self.grid._store.attachment.set_frame(pack_body(b"n", b"", 0, 1 << 63))
        self.check()


class BellsTest(GridTestCase):
    def test_a_bell_that_nobody_waited_for_does_not_hide_the_end_of_the_coordinator(self):
        attachment = self.grid._store.attachment
        attachment.lane.words[lane.WAITING] = 1  # as a call does that is answered just before it would wait
        attachment.ring()
        self.assertEqual(attachment.link.sock.recv(1, socket.MSG_PEEK), lane.BELL)
        attachment.lane.words[lane.WAITING] = 0
        self.assertTrue(self.grid.connected)
        os.kill(self.launched.pid, signal.SIGKILL)
        self.launched.process.wait(10)
        self.assertFalse(self.grid.connected)


class AnywhereTest(GridTestCase):
    """Moments that nobody chose, hundreds of times."""

    memory = "64m"

    armed = False

    def strike(self, number, frame):
        # What is raised inside the callback of a weak reference Python prints and drops.
        if self.armed and "weakref" not in frame.f_code.co_filename:
            self.armed = False
            raise Interrupted()

    @staticmethod
    def again_and_again(function):
        while True:  # not within the try: 3.13 leaves the jump at the end of a loop outside of it
            function()

    def interrupt(self, function, longest_s, then):
        """Call function() until an alarm strikes, then then(), for a while; how often that was."""
        rng, count, end = random.Random(7), 0, time.monotonic() + SECONDS
        previous = signal.signal(signal.SIGALRM, self.strike)
        try:
            while time.monotonic() < end:
                try:
                    self.armed = True
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.00003, longest_s), 0.001)
                    self.again_and_again(function)
                except Interrupted:
                    count += 1
                then()
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        return count

    @slow
    def test_what_a_call_left_in_the_lane_is_done_before_what_comes_later_over_the_socket(self):
        def then():
            version = self.grid.set("k", large("new"))
            self.assertEqual(self.grid.get_versioned("k"), (large("new"), version))

        self.grid["k"] = large("first")
        self.assertGreater(self.interrupt(lambda: self.grid.pop("k", None), 0.0003, then), 50)
        self.attached(1)

    @slow
    def test_small_and_large_calls_in_turn(self):
        def call():
            self.number += 1
            value = large(str(self.number))
            self.grid["k"] = value
            self.assertEqual(self.grid.pop("k"), value)
            self.assertEqual(self.grid.incr("n", 0), 0)

        def then():
            # A large set that was interrupted may be under way in a session that is over, and come late.
            self.assertIn(self.grid.get("k", "0:")[:1], "0123456789")
            self.assertEqual(self.grid.incr("n", 0), 0)
            self.assertIs(self.grid.set("s", 1, if_version=12345678), None)

        self.number = 0
        self.assertGreater(self.interrupt(call, 0.01, then), 20)
        self.attached(1)

    @slow
    @unittest.skipIf(sys.version_info < (3, 10), "before 3.10 an exception may skip the end of a with block")
    def test_a_thread_does_not_wait_for_the_next_call_of_the_one_that_was_interrupted(self):
        def count():
            while not stop:
                self.grid.incr("thread")
                counted[0] += 1

        def then():
            before = counted[0]
            wait_until(lambda: counted[0] > before, 5.0, "the thread to go on")

        counted, stop = [0], []
        thread = threading.Thread(target=count)
        thread.start()
        try:
            self.assertGreater(self.interrupt(lambda: self.grid.set("main", "x"), 0.001, then), 50)
        finally:
            self.grid.set("main", "at last")
            stop.append(True)
            thread.join()
        self.assertEqual(self.grid["thread"], counted[0])

"""The quick way to a lock (client/locks/quick) and that by words do the same, and an interrupt leaves nothing held."""

import contextlib
import os
import signal
import threading
from unittest import mock

import nosqgrid
from nosqgrid import errors
from nosqgrid.client import launcher
from nosqgrid.client.locks import quick
from tests.support.processes import ProcessTestCase, wait_until

INTERRUPTS = 150


class Interrupt(Exception):
    """What the signal handler of a test raises."""


def interrupt(number, frame):
    raise Interrupt


def in_a_thread(function):
    """What a function returns in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


class QuickLockTest(ProcessTestCase):

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)
        self.other = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.other.close()
        self.launched.stop()
        super().tearDown()

    def both_ways(self):
        """Once the quick way, once by words."""
        with self.grid.lock("warm"):  # the first one after attaching goes by words in any case
            yield "quick"
        with mock.patch.object(quick, "acquire", return_value=None), \
                mock.patch.object(quick, "release", return_value=None):
            yield "words"

    def test_frames_are_used(self):
        with self.grid.lock("warm"):
            before = self.grid.stats()["commands"]
        lock = self.grid.lock("a")
        with mock.patch.object(self.grid._store, "command", side_effect=AssertionError("words")):
            for _ in range(3):
                with lock:
                    self.assertGreater(lock.fence, 0)
        self.assertLess(self.grid.stats()["commands"] - before, 20)

    def test_both_ways_do_the_same(self):
        for way in self.both_ways():
            lock, other = self.grid.lock("a"), self.other.lock("a")
            self.assertTrue(lock.acquire())
            first = lock.fence
            self.assertFalse(lock.abandoned, way)
            self.assertFalse(other.acquire(blocking=False), way)
            self.assertFalse(in_a_thread(lambda: other.acquire(timeout=0.01)), way)
            lock.release()
            with self.assertRaises(RuntimeError):
                lock.release()
            with other:
                self.assertGreater(other.fence, first)
            self.assertTrue(lock.acquire(blocking=False))
            self.other.lock("a").force_release("a test")
            with self.assertRaisesRegex(errors.LockLostError, "a test"):
                lock.release()
            with self.assertRaises(RuntimeError):
                lock.release()
            self.assertTrue(lock.acquire())
            self.assertTrue(lock.abandoned, way)
            lock.release()
            with self.assertRaises(ValueError):
                lock.acquire(blocking=False, timeout=1)
            self.assertEqual(self.grid.stats()["locks"], 0 if way == "words" else 1)  # the warm one

    def test_what_was_owed_and_is_over_stands_in_nobody_s_way(self):
        for _ in self.both_ways():
            self.grid._store.links.owe([b"LOCK.RELEASE", b"a", 5])
            with self.grid.lock("a") as lock:
                self.assertTrue(lock.owned())

    def test_who_would_wait_for_himself_is_told(self):
        for way in self.both_ways():
            lock, again = self.grid.lock("b"), self.grid.lock("b")
            with lock, self.assertRaises(errors.DeadlockError, msg=way):
                again.acquire()

    def test_deeper(self):
        for _ in self.both_ways():
            one, two = self.grid.rlock("r"), self.grid.rlock("r")
            with one, one, two:
                self.assertFalse(self.other.lock("r").acquire(blocking=False))
                self.assertEqual(one.fence, two.fence)
            self.assertTrue(self.other.lock("r").acquire(blocking=False))
            self.other.lock("r").force_release("the end")

    def test_a_hand_over(self):
        with self.grid.lock("warm"):
            lock, other, found = self.grid.lock("a"), self.other.lock("a"), []
            lock.acquire()
            thread = threading.Thread(target=lambda: found.append(other.acquire(timeout=30)))
            thread.start()
            wait_until(lambda: self.grid.stats()["locks_waiting"] == 1, what="the other to wait")
            lock.release()
            thread.join()
            self.assertEqual(found, [True])
            other.release()

    def test_an_interrupt_at_any_moment_leaves_nothing_held(self):
        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        lock, interrupted = self.grid.lock("a"), 0
        lock.acquire()
        lock.release()
        for number in range(INTERRUPTS):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + 0.000002 * number)
                try:
                    while True:
                        with lock:
                            pass
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                interrupted += 1
            except RuntimeError:
                interrupted += 1  # between the release and the mark of it: `with` released what was released
            if lock._grant is not None:
                with contextlib.suppress(errors.LockLostError):
                    lock.release()
            self.assertTrue(self.other.lock("a").acquire(timeout=10), number)
            self.other.lock("a").force_release("next")
        self.assertEqual(interrupted, INTERRUPTS)

    def test_a_forked_child_has_locks_of_its_own(self):
        lock = self.grid.lock("a")
        lock.acquire()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                try:
                    lock.release()
                except RuntimeError:
                    mine = self.grid.lock("b")
                    with mine:
                        status = int(self.grid.lock("a").acquire(blocking=False))
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        lock.release()

    def test_where_the_coordinator_is_gone_words_say_so(self):
        lock = self.grid.lock("a")
        with lock:
            self.assertTrue(lock.fence)
        lock.acquire()
        os.kill(self.launched.pid, signal.SIGKILL)
        wait_until(lambda: not self.grid.connected, what="the end of the coordinator")
        with self.assertRaises(errors.CoordinatorError):
            self.grid.lock("b").acquire()
        with self.assertRaises(errors.CoordinatorError):
            lock.release()



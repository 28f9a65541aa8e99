"""Connections that wait: used again, nobody's after a fork, and no call is left waiting when the grid is closed."""

import os
import signal
import threading

import nosqgrid
from nosqgrid import errors
from nosqgrid.client import launcher
from nosqgrid.client.link import Link
from tests.support.processes import TIMEOUT_S, ProcessTestCase, wait_until


class LinksTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)
        self.links = self.grid._store.links
        self.other = Link(self.launched.address, TIMEOUT_S)

    def tearDown(self):
        self.other.close()
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def clients(self):
        return self.other.command(b"CLIENT", b"LIST").count(b"\n")

    def blocked(self, count):
        wait_until(lambda: b"blocked_clients:%d\r" % count in self.other.command(b"INFO", b"clients"),
                   what="%d blocked clients" % count)

    def waiting(self, found):
        """A thread that waits for the list k."""
        def run():
            try:
                found.append(self.links.wait(b"BLPOP", b"k", b"0"))
            except errors.NosqgridError as error:
                found.append(type(error))

        thread = threading.Thread(target=run)
        thread.start()
        self.blocked(1)
        return thread

    def test_one_connection_serves_many_calls_after_each_other(self):
        before = self.clients()
        for number in range(5):
            self.other.command(b"RPUSH", b"k", number)
            self.assertEqual(self.links.wait(b"BLPOP", b"k", b"0"), [b"k", b"%d" % number])
        with self.assertRaises(errors.WrongTypeError):
            self.other.command(b"SET", b"text", b"x")
            self.links.wait(b"BLPOP", b"text", b"0")
        self.assertEqual(self.clients(), before + 1)

    def test_lane_is_free_while_somebody_waits(self):
        found = []
        thread = self.waiting(found)
        self.grid["x"] = 1
        self.assertEqual(self.grid._store.command(b"RPUSH", b"k", b"v"), 1)
        thread.join(TIMEOUT_S)
        self.assertEqual(found, [[b"k", b"v"]])

    def test_closing_the_grid_ends_the_wait(self):
        found = []
        thread = self.waiting(found)
        self.grid.close()
        thread.join(TIMEOUT_S)
        self.assertEqual(found, [errors.CoordinatorLostError])
        with self.assertRaises(errors.ClosedError):
            self.links.wait(b"BLPOP", b"k", b"0")

    def test_interrupt_ends_the_wait_of_the_connection(self):
        def interrupt(number, frame):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with self.assertRaises(KeyboardInterrupt):
                self.links.wait(b"BLPOP", b"k", b"0")
        finally:
            signal.signal(signal.SIGALRM, before)
        self.blocked(0)
        self.assertEqual(self.grid._store.command(b"RPUSH", b"k", b"v"), 1)
        self.assertEqual(self.links.wait(b"BLPOP", b"k", b"0"), [b"k", b"v"])

    def test_forked_child_has_connections_of_its_own(self):
        self.other.command(b"RPUSH", b"k", b"1", b"2", b"3")
        self.assertEqual(self.links.wait(b"BLPOP", b"k", b"0"), [b"k", b"1"])
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = 0 if self.links.wait(b"BLPOP", b"k", b"0") == [b"k", b"2"] else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.links.wait(b"BLPOP", b"k", b"0"), [b"k", b"3"])

    def assert_has(self, lock, job):
        """That they are this process's, and so at the coordinator."""
        self.assertTrue(lock.owned())
        self.assertEqual(self.other.command(b"JOB.STATS", b"work")[7], 1, "the job is reserved")
        self.assertGreater(job.touch(), 0)

    def test_what_a_process_has_outlives_its_attachment(self):
        lock = self.grid.lock("a")
        lock.acquire()
        self.grid.queue("work").put(1)
        job = self.grid.queue("work").reserve()
        for turn in range(3):
            before = self.clients()
            self.grid._store.attachment.end()  # as an interrupt in the middle of a reply ends it
            wait_until(lambda: self.clients() == before - 1, what="the coordinator to notice")
            self.assert_has(lock, job)  # attached anew
            with self.grid.lock("b%d" % turn):
                self.assert_has(lock, job)
            self.assertEqual(self.clients(), before)
        lock.release()
        job.ack()
        self.assertEqual(self.other.command(b"LOCK.LIST"), [])

    def test_attachment_may_be_over_before_the_coordinator_notices(self):
        lock = self.grid.lock("a")
        lock.acquire()
        for _ in range(50):
            self.grid._store.attachment.end()
            self.grid.lock("b").acquire(False)  # at once
            self.assertTrue(lock.owned())
        self.blocked(0)  # every end was noticed by now
        self.assertTrue(lock.owned())
        self.assertFalse(lock.abandoned)

    def test_another_grid_of_the_process_inherits_nothing(self):
        self.grid.lock("mine").acquire()
        second = nosqgrid.attach(self.launched.address)
        second.lock("theirs").acquire()
        for connection in (second._store.links._anchor, second._store.attachment.link):
            connection.close()  # as for a grid that is forgotten instead of closed
        wait_until(lambda: [name for name, _, _ in self.grid.locks()] == ["mine"], what="the lock to be free")
        second.close()

    def test_a_killed_process_leaves_nothing_to_its_anchor(self):
        child = self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1])\ngrid.lock('a').acquire()\n"
                           "print('has it', flush=True)\nsys.stdin.readline()", self.launched.address)
        child.read_line()
        child.kill()
        self.assertTrue(self.grid.lock("a").acquire(timeout=TIMEOUT_S))
        child.wait()

    def test_adopts_from_its_own_process_alone(self):
        child = self.spawn("import sys, nosqgrid\nfrom nosqgrid.client.link import Link\nlink = Link(sys.argv[1], 10)\n"
                           "print(link.command(b'CLIENT', b'ID'), flush=True)\nsys.stdin.readline()",
                           self.launched.address)
        stranger, own = int(child.read_line()), self.other.command(b"CLIENT", b"ID")
        for number in (stranger, 10 ** 6, -1, b"x"):
            for words in ((b"NOSQGRID.INHERIT", number), (b"NOSQGRID.COMPANION", b"ANCHOR", number)):
                with self.assertRaises(errors.CommandError, msg=words):
                    self.grid._store.command(*words)
        self.assertEqual(self.grid._store.command(b"NOSQGRID.INHERIT", own), 1)
        child.write_line("end")
        self.assertEqual(child.wait(), 0)

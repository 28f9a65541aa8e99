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

    def test_adopts_from_its_own_process_alone(self):
        child = self.spawn("import sys, nosqgrid\nfrom nosqgrid.client.link import Link\nlink = Link(sys.argv[1], 10)\n"
                           "print(link.command(b'CLIENT', b'ID'), flush=True)\nsys.stdin.readline()",
                           self.launched.address)
        stranger, own = int(child.read_line()), self.other.command(b"CLIENT", b"ID")
        for number in (stranger, 10 ** 6, -1, b"x"):
            with self.assertRaises(errors.CommandError):
                self.grid._store.command(b"NOSQGRID.INHERIT", number)
        self.assertEqual(self.grid._store.command(b"NOSQGRID.INHERIT", own), 1)
        child.write_line("end")
        self.assertEqual(child.wait(), 0)

"""Connections that begin and do not end, send without reading or wait without waiting: bounded, and others go on."""

import contextlib
import os
import random
import socket
import time
import unittest
from types import SimpleNamespace

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.coordinator import sockets
from nosqgrid.formats.resp import encode_command
from tests.support.engine_context import EngineContext, socket_session
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

IMPATIENT = """
import sys
from nosqgrid.coordinator import coordinator
coordinator.PARTIAL_COMMAND_TIMEOUT_S = 0.5
from nosqgrid.cli import main
sys.exit(main.main(["serve", "--socket", sys.argv[1], "--memory", "4m", "--while-stdin"]))
"""


def connect(address, timeout_s=10):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    sock.connect(address)
    return sock


def all_that_comes(sock):
    """What is received until the other end closes."""
    received = b""
    try:
        while True:
            data = sock.recv(65536)
            if not data:
                return received
            received += data
    except ConnectionResetError:  # it closed while bytes of ours were still unread
        return received


def resident_bytes(pid):
    with open("/proc/%d/statm" % pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class AbusedTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="4m")
        self.grid = nosqgrid.attach(self.launched.address, timeout=10)
        self.grid["mine"] = "untouched"

    def tearDown(self):
        try:
            self.assertEqual(self.grid["mine"], "untouched")
            wait_until(lambda: self.grid.stats()["connections"] == 1, 10, "all others to be gone")
        finally:
            self.grid.close()
            self.launched.stop()
            super().tearDown()

    def answered(self, data):
        """All that a connection gets that sends this, and is closed for it or says no more."""
        with contextlib.closing(connect(self.launched.address)) as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            return all_that_comes(sock)

    def test_random_bytes_and_mutated_commands_get_errors_or_replies(self):
        rng = random.Random(1)
        for number in range(120):
            if number % 2:
                data = bytearray(rng.getrandbits(8) for _ in range(rng.randrange(1, 2000)))
            else:
                data = bytearray(b"".join(encode_command(b"SET", b"k%d" % index, bytes(index)) for index in range(20)))
                for _ in range(3):
                    data[rng.randrange(len(data))] = rng.getrandbits(8)
            reply = self.answered(bytes(data))
            self.assertLessEqual({line[:1] for line in reply.split(b"\r\n")}, {b"", b"+", b"-"}, (data, reply))

    def test_commands_before_the_wrong_byte_are_run_and_none_behind_it(self):
        reply = self.answered(encode_command(b"SET", b"before", b"1") + b"!" + encode_command(b"SET", b"behind", b"1"))
        self.assertTrue(reply.startswith(b"+OK\r\n-ERR Protocol error"), reply)
        self.assertEqual((self.grid["before"], "behind" in self.grid), (b"1", False))

    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "needs /proc")
    def test_lengths_that_are_allowed_take_no_memory_before_their_bytes_come(self):
        before = resident_bytes(self.launched.pid)
        with contextlib.closing(connect(self.launched.address)) as sock:
            sock.sendall(b"*1048576\r\n$67108864\r\nbegun")
            self.grid["a"] = 1
            time.sleep(0.05)
            self.assertLess(resident_bytes(self.launched.pid) - before, 4 << 20)

    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "needs /proc")
    def test_who_sends_commands_faster_than_they_are_run_is_held_back(self):
        before = resident_bytes(self.launched.pid)
        commands, peak = encode_command(b"PING") * 200000, 0
        view, sent, answered = memoryview(commands), 0, 0
        with contextlib.closing(connect(self.launched.address)) as sock:
            sock.setblocking(False)
            while answered < 200000 * 7:
                with contextlib.suppress(BlockingIOError):
                    while sent < len(commands):
                        sent += sock.send(view[sent:sent + 65536])
                        peak = max(peak, resident_bytes(self.launched.pid))
                with contextlib.suppress(BlockingIOError):
                    answered += len(sock.recv(1 << 20))
        self.assertLess(peak - before, 6 << 20)

    def test_closing_in_the_middle_leaves_nothing_half_done(self):
        whole = encode_command(b"SET", b"half", bytes(1000))
        for length in range(1, len(whole), 97):
            with contextlib.closing(connect(self.launched.address)) as sock:
                sock.sendall(whole[:length])
        with contextlib.closing(connect(self.launched.address)) as sock:  # with replies that nobody reads
            sock.sendall(encode_command(b"SET", b"whole", b"1") * 500)
        wait_until(lambda: self.grid.stats()["connections"] == 1, 10, "the others to be gone")
        self.assertNotIn("half", self.grid)

    def test_a_hundred_connections_that_never_read_or_send_slowly_hold_nobody_up(self):
        self.grid["big"] = b"x" * 20000
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(contextlib.closing(connect(self.launched.address))) for _ in range(100)]
            for number, sock in enumerate(crowd):
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sock.send(encode_command(b"GET", b"big") * 100 if number % 2 else b"*2\r\n$3\r\nGET\r\n$90\r\n")
            wait_until(lambda: self.grid.stats()["connections"] == 101, 10, "all to be let in")
            slowest = 0.0
            for number in range(300):
                crowd[number % 50 * 2].send(b"x")
                started = time.monotonic()
                self.grid["n"] = number
                slowest = max(slowest, time.monotonic() - started)
            self.assertEqual(self.grid["n"], 299)
            self.assertLess(slowest, 1.0)
            self.assertEqual(self.grid.stats()["connections"], 101)


class ImpatientTest(ProcessTestCase):
    @slow
    def test_a_command_begun_and_never_finished_ends_the_connection_and_idling_does_not(self):
        address = self.path("s")
        child = self.spawn(IMPATIENT, address)
        child.read_line()
        with contextlib.ExitStack() as stack:
            begun, idle, dripping = (stack.enter_context(contextlib.closing(connect(address))) for _ in range(3))
            begun.sendall(b"*2\r\n$3\r\nGET\r\n$5\r\nab")
            started = time.monotonic()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for byte in b"*2\r\n$3\r\nGET\r\n$900\r\n" + b"x" * 900:
                    dripping.sendall(bytes((byte,)))
                    time.sleep(0.02)
                    if time.monotonic() - started > 8:
                        break
            self.assertLess(time.monotonic() - started, 8)
            self.assertEqual(all_that_comes(begun), b"")
            idle.sendall(encode_command(b"PING"))
            self.assertEqual(idle.recv(100), b"+PONG\r\n")
        child.process.stdin.close()
        self.assertEqual(child.wait(), 0)
        self.assertEqual(child.errors(), "")


class OneTurnTest(unittest.TestCase):
    """Without a coordinator: what one turn of one session may pile up."""

    def test_replies_of_one_turn_do_not_pile_up_beyond_the_limit_and_one_more(self):
        context = EngineContext()
        context.call("SET", "k", bytes(1 << 20))
        session = socket_session(context)
        session.parser.feed(encode_command(b"GET", b"k") * 100)
        limit = sockets.OUTPUT_BUFFER_BYTES_MAX
        sockets.OUTPUT_BUFFER_BYTES_MAX = 3 << 20
        try:
            self.assertTrue(sockets.run_commands(session))
        finally:
            sockets.OUTPUT_BUFFER_BYTES_MAX = limit
        self.assertLess(session.output_bytes, 5 << 20)

    def test_who_sends_on_and_on_while_he_waits_for_an_answer_is_disconnected(self):
        context = EngineContext()
        context.claims.claim(object(), b"k")
        session = socket_session(context, SimpleNamespace(recv=bytes))
        session.parser.feed(encode_command(b"NOSQGRID.CLAIM", b"k"))
        self.assertFalse(sockets.run_commands(session))
        self.assertTrue(session.waiting)
        received = 0
        while sockets.receive(session):
            received += sockets.RECEIVE_BYTES
            self.assertLessEqual(received, sockets.WAITING_BYTES_MAX)


if __name__ == "__main__":
    unittest.main()

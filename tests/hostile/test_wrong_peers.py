"""attach() to what is no coordinator, or to one that errs: a clear error in time, and no descriptor left open."""

import contextlib
import os
import random
import socket
import tempfile
import threading
import time
import unittest

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.errors import (CallerError, CoordinatorLostError, CoordinatorTimeoutError, FormatVersionError,
                             NosqgridError, NotServedError, PeerError)
from nosqgrid.formats import arena as arena_format
from nosqgrid.formats.lane import LANE_SIZE_BYTES
from nosqgrid.formats.resp import Map, encode_command, encode_reply
from nosqgrid.memory import shared_file
from nosqgrid.memory.descriptors import send_with_fds
from tests.support.keyspaces import make_header, make_keyspace
from tests.support.processes import ProcessTestCase
from tests.support.tiers import slow


def connect(address, timeout_s=10):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    sock.connect(address)
    return sock


def answer(data, fds=()):
    """A talk() that takes one command, answers so, and waits for the end."""
    def talk(sock):
        sock.recv(1000)
        send_with_fds(sock, data, list(fds))
        sock.recv(1000)
    return talk


def answer_map(fds, **changes):
    """A talk() that answers as a coordinator does to an attach."""
    values = {"epoch": 1, "pid": 1, "session": 1, "descriptors": len(fds), "writable": 1, "monotonic_ms": 1,
              "value_size_bytes_max": 1}
    values.update(changes)
    return answer(encode_reply(Map(sorted(values.items())), 3), fds)


class FakeCoordinator(object):
    """A server that is none: each connection is given to `talk(sock)`, on a thread, and closed."""

    def __init__(self, path, talk):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bind(path)
        self.sock.listen(8)
        self.sock.settimeout(0.05)
        self.talk = talk
        self.path = path
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.over.is_set():
            try:
                sock, _ = self.sock.accept()
            except socket.timeout:
                continue
            with contextlib.closing(sock), contextlib.suppress(OSError):
                sock.settimeout(5)
                self.talk(sock)

    def close(self):
        self.over.set()
        self.thread.join()
        self.sock.close()
        os.unlink(self.path)


class WrongPeerTestCase(ProcessTestCase):
    def error_of(self, talk, timeout=1):
        """What attach raises when it meets this."""
        fake = FakeCoordinator(self.path("fake"), talk)
        started = time.monotonic()
        try:
            with self.assertRaises(NosqgridError) as caught:
                nosqgrid.attach(fake.path, timeout=timeout)
            self.assertLess(time.monotonic() - started, timeout + 2)
            self.assertTrue(str(caught.exception))
        finally:
            fake.close()
        return caught.exception


class SaidTest(WrongPeerTestCase):
    def test_silence_is_a_timeout(self):
        self.assertIsInstance(self.error_of(lambda sock: sock.recv(1000) and sock.recv(1000), timeout=0.3),
                              CoordinatorTimeoutError)

    def test_a_reply_that_never_ends_is_a_timeout(self):
        def talk(sock):
            sock.sendall(b"*100000\r\n")
            while True:
                sock.sendall(b":1\r\n")
                time.sleep(0.01)
        self.assertIsInstance(self.error_of(talk, timeout=0.3), CoordinatorTimeoutError)

    def test_who_closes_at_once_is_lost(self):
        self.assertIsInstance(self.error_of(lambda sock: None), CoordinatorLostError)

    def test_garbage_is_an_error_of_the_peer(self):
        rng = random.Random(3)
        for data in [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.0\r\n", b"\x00\x00\x00\x00", b"+OK\r\n",
                     b":1\r\n", b"$-1\r\n", b"_\r\n", b"*0\r\n", b"*1\r\n:1\r\n", b"*2\r\n*0\r\n*0\r\n", b"#t\r\n",
                     b"%1\r\n*0\r\n:1\r\n", b"%1\r\n%0\r\n:1\r\n", b"*2\r\n+descriptors\r\n*0\r\n", b"*2\r\n_\r\n_\r\n",
                     b"*-1\r\n", b"%0\r\n"] + [bytes(rng.getrandbits(8) for _ in range(50)) for _ in range(8)]:
            with self.subTest(data=data):
                self.assertIsInstance(self.error_of(answer(data), timeout=0.2),
                                      (PeerError, CoordinatorTimeoutError, CallerError))

    def test_another_format_version(self):
        error = self.error_of(answer(b"-FORMATVERSION the coordinator speaks 7\r\n"))
        self.assertIsInstance(error, FormatVersionError)

    def test_a_real_coordinator_refuses_another_format_version(self):
        with launcher.start(memory="4m") as launched:
            for version, expected in ((b"999", b"-FORMATVERSION"), (b"0", b"-FORMATVERSION"), (b"x", b"-ERR")):
                with contextlib.closing(connect(launched.address)) as sock:
                    sock.sendall(encode_command(b"NOSQGRID.ATTACH", version))
                    self.assertTrue(sock.recv(1000).startswith(expected), version)


class GivenTest(WrongPeerTestCase):
    """The words are right, the descriptors are not."""

    def arena_file(self, stack, size_bytes=None, version=None):
        """A temporary file with the header of an arena."""
        header = make_header(1 << 20)
        packed = bytearray(arena_format.pack_header(header))
        if version is not None:
            at = arena_format.CONSTANTS_OFFSET_BYTES + 8
            packed[at:at + 8] = version.to_bytes(8, "little")
        file = stack.enter_context(tempfile.TemporaryFile())
        file.write(packed)
        file.truncate(header.layout.arena_size_bytes if size_bytes is None else size_bytes)
        file.flush()
        return file.fileno()

    def test_descriptors_that_are_no_arena(self):
        with contextlib.ExitStack() as stack:
            fds = list(os.pipe()) + [os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR)]
            for fd in fds:
                stack.callback(os.close, fd)
            for size in (1, 4095, 4096, 8192, 1 << 20):
                file = stack.enter_context(tempfile.TemporaryFile())
                file.truncate(size)
                fds.append(file.fileno())
            for number, fd in enumerate(fds):
                with self.subTest(number=number):
                    self.assertIsInstance(self.error_of(answer_map([fd])), PeerError)

    @slow
    def test_arenas_of_another_size_or_version_or_without_an_index(self):
        with contextlib.ExitStack() as stack:
            for size in (4096, 1 << 20, 1 << 24):
                self.assertIsInstance(self.error_of(answer_map([self.arena_file(stack, size)])), PeerError)
            self.assertIsInstance(self.error_of(answer_map([self.arena_file(stack, version=2)])), FormatVersionError)
            # Its ROOT says nothing.
            self.assertIsInstance(self.error_of(answer_map([self.arena_file(stack)])), PeerError)

    def test_lanes_that_are_too_small_or_cannot_be_written(self):
        keyspace, _ = make_keyspace()
        with contextlib.ExitStack() as stack:
            arena = stack.enter_context(tempfile.TemporaryFile())
            arena.write(keyspace.arena[:])
            arena.flush()
            small = stack.enter_context(tempfile.TemporaryFile())
            small.truncate(LANE_SIZE_BYTES - 1)
            read_only = shared_file.create("lane", LANE_SIZE_BYTES)
            stack.callback(read_only.close)
            for fd in (small.fileno(), read_only.reader_fd()):
                self.assertIsInstance(self.error_of(answer_map([arena.fileno(), fd])), PeerError)

    def test_the_number_of_descriptors_must_be_what_was_said(self):
        with tempfile.TemporaryFile() as file:
            fd = file.fileno()
            for fds, said in (([], 0), ([], 1), ([fd], 2), ([fd, fd], 1), ([fd], "1")):
                self.assertIsInstance(self.error_of(answer_map(fds, descriptors=said)), PeerError)


class NobodyTest(ProcessTestCase):
    def test_a_missing_socket_and_a_stale_one_are_not_served(self):
        path = self.path("stale")
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
            sock.bind(path)
        for address in (path, self.path("missing"), os.path.join(self.path("missing"), "s")):
            with self.assertRaises(NotServedError):
                nosqgrid.attach(address, timeout=1)
        os.unlink(path)

    def test_a_queue_that_is_full_is_a_timeout(self):
        path = self.path("full")
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)))
            sock.bind(path)
            sock.listen(0)
            for _ in range(20):
                waiting = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)))
                waiting.setblocking(False)
                if waiting.connect_ex(path):
                    break
            with self.assertRaises(CoordinatorTimeoutError):
                nosqgrid.attach(path, timeout=0.2)
        os.unlink(path)


if __name__ == "__main__":
    unittest.main()

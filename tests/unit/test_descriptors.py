"""Descriptors over a socket arrive, are not inherited, and never leak; and the kernel tells who is at the other end."""

import array
import errno
import gc
import os
import resource
import select
import socket
import sys
import unittest
from unittest import mock

from nosqgrid import errors
from nosqgrid.network import credentials
from nosqgrid.memory import descriptors as network_descriptors
from nosqgrid.memory.descriptors import DESCRIPTORS_MAX, receive_with_fds, send_with_fds
from tests.support.processes import ProcessTestCase, descriptors


def send_raw(sock, data, *groups):
    """Send descriptors as nosqgrid never would: any number, in one or several control messages."""
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", group)) for group in groups])


class Travelling(unittest.TestCase):
    def setUp(self):
        self.left, self.right = socket.socketpair()
        self.addCleanup(self.left.close)
        self.addCleanup(self.right.close)
        self.file = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, self.file)
        gc.collect()
        self.before = descriptors()

    def check_nothing_leaked(self):
        self.assertEqual(descriptors(), self.before)

    def test_what_is_sent_arrives_with_its_bytes(self):
        for count in range(DESCRIPTORS_MAX + 1):
            with self.subTest(count=count):
                self.assertEqual(send_with_fds(self.left, b"hello", [self.file] * count), 5)
                data, fds = receive_with_fds(self.right, 100)
                self.assertEqual((data, len(fds)), (b"hello", count))
                for fd in fds:
                    self.assertTrue(os.path.samestat(os.fstat(fd), os.fstat(self.file)))
                    self.assertFalse(os.get_inheritable(fd))
                    os.close(fd)
        self.check_nothing_leaked()

    def test_descriptors_come_with_the_first_byte_only(self):
        send_with_fds(self.left, b"hello", [self.file])
        data, fds = receive_with_fds(self.right, 2)
        self.assertEqual((data, len(fds)), (b"he", 1))
        os.close(fds[0])
        self.assertEqual(receive_with_fds(self.right, 100), (b"llo", []))
        self.check_nothing_leaked()

    def test_the_end_of_the_connection_is_no_bytes(self):
        self.left.close()
        self.assertEqual(receive_with_fds(self.right, 100), (b"", []))

    def test_more_than_expected_is_an_error_and_all_are_closed(self):
        for expected in (0, 1, 2, 3):
            for sent in (expected + 1, expected + 2, 100):
                with self.subTest(expected=expected, sent=sent):
                    send_raw(self.left, b"x", [self.file] * sent)
                    with self.assertRaisesRegex(errors.PeerError, "more than %d descriptors" % expected):
                        receive_with_fds(self.right, 10, expected)
                    self.check_nothing_leaked()

    def test_a_process_without_descriptors_left_gets_an_error_and_leaks_none(self):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = {number for number, _ in self.before}
        unused = [number for number in range(len(used) + 3) if number not in used]
        send_with_fds(self.left, b"x", [self.file] * 5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (unused[2], before[1]))
        try:
            with self.assertRaisesRegex(errors.PeerError, "ulimit -n"):
                receive_with_fds(self.right, 10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        self.check_nothing_leaked()

    def test_a_system_without_the_flag_gets_the_same(self):
        with mock.patch.object(network_descriptors, "_CLOEXEC_FLAG", 0):
            send_with_fds(self.left, b"x", [self.file] * 2)
            _, fds = receive_with_fds(self.right, 10)
            self.assertEqual([os.get_inheritable(fd) for fd in fds], [False, False])
            for fd in fds:
                os.close(fd)
            send_with_fds(self.left, b"x", [self.file] * 2)
            with mock.patch("os.set_inheritable", side_effect=KeyboardInterrupt):
                with self.assertRaises(KeyboardInterrupt):
                    receive_with_fds(self.right, 10)
        self.check_nothing_leaked()

    def test_what_cannot_be_sent_is_refused_before_anything_is(self):
        for data, fds in ((b"", [self.file]), (b"x", [self.file] * (DESCRIPTORS_MAX + 1))):
            with self.assertRaisesRegex(errors.UsageError, "cannot send %d descriptors" % len(fds)):
                send_with_fds(self.left, data, fds)
        with self.assertRaises(OSError) as caught:
            send_with_fds(self.left, b"x", [-1])
        self.assertEqual(caught.exception.errno, errno.EBADF)
        self.right.setblocking(False)
        with self.assertRaises(BlockingIOError):
            receive_with_fds(self.right, 10)

    def test_a_full_socket_takes_neither_bytes_nor_descriptors(self):
        self.left.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                self.left.send(bytes(65536))
        with self.assertRaises(BlockingIOError):
            send_with_fds(self.left, b"x", [self.file])
        self.check_nothing_leaked()

    def test_a_message_larger_than_the_room_says_how_much_was_taken(self):
        self.left.setblocking(False)
        data = bytes(range(256)) * 40000
        taken = send_with_fds(self.left, data, [self.file])
        self.assertTrue(0 < taken < len(data))
        received, fds = receive_with_fds(self.right, len(data))
        self.assertEqual(len(fds), 1)
        os.close(fds[0])
        self.right.setblocking(False)
        while len(received) < taken:
            more, fds = receive_with_fds(self.right, len(data))
            self.assertEqual(fds, [])
            received += more
        self.assertEqual(received, data[:taken])
        self.check_nothing_leaked()

    def test_a_peer_that_left_is_an_error_and_no_signal(self):
        self.right.close()
        with self.assertRaises(BrokenPipeError):
            send_with_fds(self.left, b"x", [self.file])


class Credentials(ProcessTestCase):
    def test_the_kernel_says_who_connected(self):
        left, right = socket.socketpair()
        with left, right:
            pid, uid, gid = credentials.peer(left)
            self.assertEqual((uid, gid), (os.geteuid(), os.getegid()))
            self.assertIn(pid, (os.getpid(), 0))

    def test_a_system_that_says_nothing_means_ourselves(self):
        class Silent:
            """The socket module of such a system."""

        with mock.patch.object(credentials, "socket", Silent), mock.patch.object(sys, "platform", "sunos5"):
            self.assertEqual(credentials.peer(None), (0, os.getuid(), os.getgid()))

    def test_a_system_with_local_peercred(self):
        class Unknown:
            """The socket module of macOS has no name for it."""

        sock = mock.Mock()
        sock.getsockopt.return_value = credentials._XUCRED.pack(0, 501, 2, 0, *([20, 12] + [0] * 14))
        with mock.patch.object(credentials, "socket", Unknown), mock.patch.object(sys, "platform", "darwin"):
            self.assertEqual(credentials.peer(sock), (0, 501, 20))
        sock.getsockopt.assert_called_once_with(0, 1, 76)

    def watched_with_each_way(self):
        """watch_death as this Python does it, and as Python 3.6 does."""
        yield credentials.watch_death
        if hasattr(os, "pidfd_open"):
            with mock.patch.object(credentials, "os", WithoutPidfd()):
                yield credentials.watch_death

    def test_death_makes_the_descriptor_readable(self):
        for watch_death in self.watched_with_each_way():
            child = self.spawn("import sys; sys.stdin.read()")
            fd = watch_death(child.pid)
            if fd < 0:
                child.close()
                self.skipTest("this system has no pidfd")
            try:
                self.assertFalse(os.get_inheritable(fd))
                self.assertEqual(select.select([fd], [], [], 0)[0], [])
                child.kill()
                self.assertEqual(select.select([fd], [], [], 10)[0], [fd])
                child.wait()
                self.assertEqual(select.select([fd], [], [], 0)[0], [fd])
                with self.assertRaises(ProcessLookupError):
                    watch_death(child.pid)
            finally:
                os.close(fd)

    def test_pids_that_cannot_be_watched(self):
        for watch_death in self.watched_with_each_way():
            for pid in (0, -1):
                self.assertEqual(watch_death(pid), -1)
        with mock.patch.object(sys, "platform", "darwin"):
            self.assertEqual(credentials.watch_death(os.getpid()), -1)

    def test_an_old_kernel_and_a_python_without_ctypes(self):
        with mock.patch.object(credentials, "os", WithoutPidfd()):
            with mock.patch.dict(sys.modules, {"ctypes": None}):
                self.assertEqual(credentials.watch_death(os.getpid()), -1)
            with mock.patch.object(credentials, "_pidfd_by_ctypes", side_effect=OSError(errno.ENOSYS, "no such call")):
                self.assertEqual(credentials.watch_death(os.getpid()), -1)


class WithoutPidfd:
    """The os module of Python before 3.9."""

    def __getattr__(self, name):
        if name == "pidfd_open":
            raise AttributeError(name)
        return getattr(os, name)


if __name__ == "__main__":
    unittest.main()

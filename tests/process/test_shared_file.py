"""Shared files: the kernel keeps clients from writing and resizing, and no store into reserved memory can fail."""

import contextlib
import errno
import fcntl
import mmap
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import unittest
from unittest import mock

from nosqgrid import errors
from nosqgrid.memory import shared_file
from tests.support.processes import ProcessTestCase, descriptors

F_GET_SEALS = 1034
PAGE = mmap.PAGESIZE
SIZE = 16 * PAGE
TMPFS_SIZE = 256 * 1024

# Runs in a child: tries everything that a client could do to the file behind descriptor 3, prints what worked.
ATTACK = """
import errno, mmap, os, sys
fd, size = int(sys.argv[1]), int(sys.argv[2])
worked = []
def attempt(name, action):
    try:
        action()
    except (OSError, ValueError) as error:
        assert getattr(error, "errno", errno.EPERM) in (errno.EPERM, errno.EACCES, errno.EBADF, errno.EINVAL), error
    else:
        worked.append(name)
def reopened(action):
    other = os.open("/proc/self/fd/%d" % fd, os.O_RDWR)
    try:
        action(other)
    finally:
        os.close(other)
def make_writable():
    readable = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/maps") as file:
        start = [int(line.split("-")[0], 16) for line in file if "nosqgrid" in line][0]
    if libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), 3):
        raise OSError(ctypes.get_errno(), "mprotect")
    readable.close()
attempt("write", lambda: os.pwrite(fd, b"attack", 0))
attempt("map", lambda: mmap.mmap(fd, size).close())
attempt("shrink", lambda: os.ftruncate(fd, 0))
attempt("grow", lambda: os.ftruncate(fd, size * 2))
attempt("mprotect", make_writable)
attempt("reopen", lambda: reopened(lambda other: os.pwrite(other, b"attack", 0)))
attempt("remap", lambda: reopened(lambda other: mmap.mmap(other, size).close()))
print(" ".join(worked))
"""


def no_seals(fd, seals):
    raise OSError(errno.EINVAL, "Invalid argument")


def no_future_write(fd, seals):
    if seals & shared_file.SEAL_FUTURE_WRITE:
        raise OSError(errno.EINVAL, "Invalid argument")
    fcntl.fcntl(fd, shared_file.F_ADD_SEALS, seals)


class SharedFileTestCase(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.files = []

    def tearDown(self):
        for file in self.files:
            file.close()
        super().tearDown()

    def create(self, size_bytes=SIZE, **options):
        file = shared_file.create("nosqgrid-test", size_bytes, **options)
        self.files.append(file)
        return file

    def each_file(self, **options):
        """A file of each backend this machine has."""
        count = 0
        for backend in shared_file.BACKENDS:
            with contextlib.suppress(errors.CoordinatorError):
                file = self.create(directory=self.directory, backends=[backend], **options)
                count += 1
                with file:
                    self.assertEqual(file.backend, backend[0])
                    yield file
        self.assertGreaterEqual(count, 1)

    def attack(self, fd):
        """What of ATTACK works in another process that got this descriptor."""
        os.set_inheritable(fd, True)
        try:
            return subprocess.check_output([sys.executable, "-W", "error", "-c", ATTACK, str(fd), str(SIZE)],
                                           close_fds=False).decode().split()
        finally:
            os.set_inheritable(fd, False)


class EachBackend(SharedFileTestCase):
    def test_what_is_stored_through_the_map_is_read_through_the_other(self):
        for file in self.each_file():
            file.reserve(0, SIZE)
            writable = file.map_writable()
            self.assertIs(file.map_writable(), writable)
            with contextlib.closing(shared_file.map_readonly(file.reader_fd(), SIZE)) as readable:
                self.assertEqual(readable[:], bytes(SIZE))
                writable[5:8] = b"abc"
                memoryview(writable)[-1:] = b"z"
                self.assertEqual((readable[4:9], readable[-1:]), (b"\0abc\0", b"z"))
                with self.assertRaises(TypeError):
                    readable[0] = 1

    def test_clients_may_not_write_or_resize(self):
        for file in self.each_file():
            file.reserve(0, SIZE)
            worked = self.attack(file.reader_fd())
            if file.sealed:
                self.assertEqual(worked, [])
            else:
                # A program of our own user may open the file anew; its descriptor alone gives it nothing.
                self.assertEqual([name for name in worked if name not in ("reopen", "remap")], [])

    def test_descriptors_are_not_inherited(self):
        for file in self.each_file():
            for fd in (file.fd, file.reader_fd()):
                self.assertFalse(os.get_inheritable(fd))

    def test_the_file_has_no_name_and_is_for_this_user_only(self):
        for file in self.each_file():
            status = os.fstat(file.fd)
            self.assertEqual(status.st_mode & 0o777, 0o600)
            self.assertEqual(status.st_nlink, 0)
            self.assertEqual(os.listdir(self.directory), [])

    def test_closing_gives_everything_back_and_can_be_repeated(self):
        before = descriptors()
        for file in self.each_file():
            file.close()
            self.assertIn("closed", repr(file))
            file.close()
            self.assertEqual(descriptors(), before)

    def test_views_outlive_closing(self):
        for file in self.each_file():
            view = memoryview(file.map_writable())
            view[0:1] = b"x"
            file.close()
            self.assertEqual(view[0], ord("x"))
            view.release()

    def test_a_lane_can_be_written_by_the_client_but_not_resized(self):
        for file in self.each_file(seal_future_write=False):
            self.assertFalse(file.sealed)
            self.assertEqual(file.size_sealed, file.backend != "file")
            self.assertEqual(file.reader_fd(), file.fd)
            with contextlib.closing(shared_file.map_shared(file.fd, SIZE)) as client:
                client[0:3] = b"abc"
                self.assertEqual(file.map_writable()[0:3], b"abc")
            if file.size_sealed:
                for size in (0, SIZE * 2):
                    with self.assertRaises(PermissionError):
                        os.ftruncate(file.fd, size)
                with self.assertRaises(PermissionError):  # a client could otherwise stop the coordinator from mapping
                    shared_file._add_seals(file.fd, 0x8)

    def test_a_descriptor_survives_a_socket_and_its_sender(self):
        for file in self.each_file():
            here, there = socket.socketpair()
            with here, there:
                child = self.spawn(SENT_FILE_READER, stdin=there)
                file.map_writable()[0:5] = b"hello"
                here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                       file.reader_fd().to_bytes(4, sys.byteorder))])
                file.close()
                here.sendall(b"y")
                self.assertEqual(child.read_line(), "hello")
                self.assertEqual(child.wait(), 0)


SENT_FILE_READER = """
import socket
from nosqgrid.memory import shared_file
sock = socket.socket(fileno=0)
ancillary = sock.recvmsg(1, 1000)[1]
fd = int.from_bytes(ancillary[0][2][:4], __import__("sys").byteorder)
assert sock.recv(1) == b"y"
print(shared_file.map_readonly(fd, %d)[:5].decode(), flush=True)
sock.detach()
""" % SIZE


class Choice(SharedFileTestCase):
    def test_the_best_backend_of_this_machine_is_taken(self):
        with shared_file.create("nosqgrid-test", SIZE) as file:
            if hasattr(os, "memfd_create"):
                self.assertEqual(file.backend, "memfd")
            elif sys.platform.startswith("linux"):
                self.assertIn(file.backend, ("memfd-ctypes", "file"))
            else:
                self.assertEqual(file.backend, "file")
            if file.backend != "file":
                self.assertTrue(file.size_sealed)

    def test_writing_is_sealed_wherever_the_kernel_can(self):
        release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
        if not sys.platform.startswith("linux") or release < (5, 1):
            self.skipTest("this kernel has no F_SEAL_FUTURE_WRITE")
        with shared_file.create("nosqgrid-test", SIZE) as file:
            self.assertTrue(file.sealed or file.backend == "file")
            self.assertEqual(file.sealed, file.size_sealed)

    def test_a_backend_that_is_missing_gives_way_to_the_next(self):
        def missing(name, directory, opened):
            raise OSError(errno.ENOSYS, "no such call")

        file = self.create(backends=[("one", missing), ("two", missing), shared_file.FILE], directory=self.directory)
        self.assertEqual(file.backend, "file")
        with self.assertRaisesRegex(errors.CoordinatorError, "one: .*no such call; two: .*no such call"):
            shared_file.create("nosqgrid-test", SIZE, backends=[("one", missing), ("two", missing)])

    def test_python_without_memfd_create_and_without_ctypes(self):
        with mock.patch.dict(sys.modules, {"ctypes": None}):
            with self.assertRaisesRegex(errors.CoordinatorError, "memfd-ctypes: .*through ctypes"):
                shared_file.create("nosqgrid-test", SIZE, backends=[shared_file.MEMFD_CTYPES])
        with mock.patch.object(shared_file, "os", WithoutMemfd()):
            with self.assertRaisesRegex(errors.CoordinatorError, "memfd: .*no os.memfd_create"):
                shared_file.create("nosqgrid-test", SIZE, backends=[shared_file.MEMFD])

    def test_an_old_kernel_that_knows_no_noexec_flag(self):
        calls = []

        def memfd_create(name, flags):
            calls.append(flags)
            if flags & shared_file.MFD_NOEXEC_SEAL:
                raise OSError(errno.EINVAL, "Invalid argument")
            return os.open(self.directory, os.O_RDONLY)

        opened = []
        shared_file._with_noexec(memfd_create, "x", opened)
        shared_file.close_all(opened)
        self.assertEqual([bool(flags & shared_file.MFD_NOEXEC_SEAL) for flags in calls], [True, False])

        def refused(name, flags):
            raise OSError(errno.EACCES, "Permission denied")

        with self.assertRaises(PermissionError):
            shared_file._with_noexec(refused, "x", [])

    def test_a_kernel_without_future_write_gives_readers_a_descriptor_for_reading(self):
        with mock.patch.object(shared_file, "_add_seals", no_future_write):
            for backend in (shared_file.MEMFD, shared_file.MEMFD_CTYPES):
                with contextlib.suppress(errors.CoordinatorError):
                    with shared_file.create("nosqgrid-test", SIZE, backends=[backend]) as file:
                        self.assertFalse(file.sealed)
                        self.assertTrue(file.size_sealed)
                        self.assertNotEqual(file.reader_fd(), file.fd)
                        self.assertEqual(fcntl.fcntl(file.reader_fd(), fcntl.F_GETFL) & os.O_ACCMODE, os.O_RDONLY)
                        self.assertEqual(fcntl.fcntl(file.fd, F_GET_SEALS) & 0x17, 0x7)
                        worked = self.attack(file.reader_fd())
                        self.assertEqual(set(worked) - {"reopen", "remap"}, set())

    def test_a_kernel_without_seals_gives_readers_a_descriptor_for_reading(self):
        with mock.patch.object(shared_file, "_add_seals", no_seals):
            file = self.create()
            self.assertFalse(file.sealed or file.size_sealed)
            with self.assertRaises(errors.PeerError):
                shared_file.map_shared(file.reader_fd(), SIZE)
            shared_file.map_readonly(file.reader_fd(), SIZE).close()

    def test_without_seals_and_without_proc_the_next_backend_is_taken(self):
        real_open = os.open

        def open_without_proc(path, *args, **options):
            if str(path).startswith("/proc/"):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            return real_open(path, *args, **options)

        with mock.patch.object(shared_file, "_add_seals", no_seals), mock.patch("os.open", open_without_proc):
            file = self.create(directory=self.directory)
        self.assertEqual(file.backend, "file")

    def test_the_file_goes_to_shared_memory_or_else_to_the_directory_for_temporary_files(self):
        with mock.patch.object(shared_file, "SHARED_MEMORY_DIRECTORY", self.path("nowhere")):
            with mock.patch("tempfile.tempdir", self.directory):
                file = self.create(backends=[shared_file.FILE])
                self.assertEqual(os.fstat(file.fd).st_dev, os.stat(self.directory).st_dev)
        with self.assertRaisesRegex(errors.CoordinatorError, "file: .*nowhere"):
            shared_file.create("nosqgrid-test", SIZE, directory=self.path("nowhere"), backends=[shared_file.FILE])

    def test_an_umask_that_takes_everything_changes_nothing(self):
        before = os.umask(0o777)
        try:
            file = self.create(directory=self.directory, backends=[shared_file.FILE])
        finally:
            os.umask(before)
        self.assertEqual(os.fstat(file.fd).st_mode & 0o777, 0o600)

    def test_a_file_exchanged_between_the_two_opens_is_noticed(self):
        real_fchmod = os.fchmod

        def exchange(fd, mode):
            real_fchmod(fd, mode)
            [name] = os.listdir(self.directory)
            os.rename(self.path(name), self.path("stolen", keep=True))
            with open(self.path(name), "w"):
                self.assertNotEqual(os.stat(self.path(name)).st_ino, os.fstat(fd).st_ino)

        with mock.patch("os.fchmod", exchange):
            with self.assertRaisesRegex(errors.CoordinatorError, "somebody exchanged the file"):
                shared_file.create("nosqgrid-test", SIZE, directory=self.directory, backends=[shared_file.FILE])

    def test_sizes_that_make_no_sense(self):
        for size_bytes in (0, -1):
            with self.assertRaisesRegex(errors.UsageError, "size above 0"):
                shared_file.create("nosqgrid-test", size_bytes)

    def test_nothing_leaks_when_any_step_fails(self):
        before = descriptors()
        for step in ("os.ftruncate", "os.fchmod", "mmap.mmap", "nosqgrid.memory.shared_file._add_seals",
                     "nosqgrid.memory.shared_file.SharedFile", "nosqgrid.memory.shared_file._reopen_and_unlink"):
            for error in (OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()):
                for backend in shared_file.BACKENDS:
                    with mock.patch(step, side_effect=error):
                        with contextlib.suppress(errors.CoordinatorError, KeyboardInterrupt):
                            self.create(directory=self.directory, backends=[backend]).close()
                    for name in os.listdir(self.directory):
                        self.assertEqual(step, "nosqgrid.memory.shared_file._reopen_and_unlink")
                        os.unlink(self.path(name))
                    self.assertEqual(descriptors(), before, (step, backend))


class WithoutMemfd:
    """The os module of Python 3.6 and 3.7."""

    def __getattr__(self, name):
        if name == "memfd_create":
            raise AttributeError(name)
        return getattr(os, name)


class Reserving(SharedFileTestCase):
    def test_reserved_memory_is_there(self):
        for file in self.each_file():
            self.assertEqual(os.fstat(file.fd).st_blocks, 0)
            file.reserve(0, SIZE)
            self.assertGreaterEqual(os.fstat(file.fd).st_blocks * 512, SIZE)
            self.assertEqual(os.fstat(file.fd).st_size, SIZE)

    def test_what_was_reserved_keeps_its_data_with_and_without_fallocate(self):
        for fallocate in (shared_file._fallocate, None, unsupported_fallocate):
            with mock.patch.object(shared_file, "_fallocate", fallocate):
                file = self.create(directory=self.directory, backends=[shared_file.FILE])
                file.reserve(PAGE, PAGE)
                file.reserve(4 * PAGE, 2 * PAGE)
                file.map_writable()[PAGE:2 * PAGE] = b"a" * PAGE
                file.map_writable()[4 * PAGE:6 * PAGE] = b"b" * 2 * PAGE
                for offset, length in ((0, SIZE), (PAGE, PAGE), (PAGE + 1, 1), (0, 1), (SIZE - 1, 1), (0, SIZE)):
                    file.reserve(offset, length)
                expected = bytes(PAGE) + b"a" * PAGE + bytes(2 * PAGE) + b"b" * 2 * PAGE + bytes(SIZE - 6 * PAGE)
                self.assertEqual(file.map_writable()[:], expected)
                self.assertGreaterEqual(os.fstat(file.fd).st_blocks * 512, SIZE)

    def test_each_byte_is_reserved_once(self):
        asked = []
        with mock.patch.object(shared_file, "_fallocate", lambda fd, offset, length: asked.append((offset, length))):
            file = self.create()
            for offset, length in ((10, 10), (30, 10), (15, 20), (0, 50), (0, 50), (49, 2), (60, 1), (5, 100)):
                file.reserve(offset, length)
        self.assertEqual(asked, [(10, 10), (30, 10), (20, 10), (0, 10), (40, 10), (50, 1), (60, 1), (51, 9), (61, 44)])

    def test_parts_outside_the_file_are_refused(self):
        file = self.create()
        for offset, length in ((-1, 1), (0, 0), (0, -1), (0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2)):
            with self.assertRaisesRegex(errors.UsageError, "cannot reserve"):
                file.reserve(offset, length)

    def test_no_room_is_a_grid_full_error_that_says_what_to_do(self):
        for code, advice in ((errno.ENOSPC, "df /dev/shm"), (errno.ENOMEM, "--memory"), (errno.EFBIG, "ulimit -f"),
                             (errno.EDQUOT, "quota")):
            file = self.create()
            with mock.patch.object(shared_file, "_fallocate", side_effect=OSError(code, os.strerror(code))):
                with self.assertRaisesRegex(errors.GridFullError, "reserve of 0.0 MiB.*" + advice):
                    file.reserve(0, PAGE)
            file.reserve(0, PAGE)  # room was made
        with mock.patch.object(shared_file, "_fallocate", side_effect=OSError(errno.EIO, "Input/output error")):
            with self.assertRaisesRegex(errors.CoordinatorError, "Input/output error"):
                file.reserve(0, SIZE)

    def test_no_room_for_the_file_itself(self):
        with mock.patch("mmap.mmap", side_effect=OSError(errno.ENOMEM, "Cannot allocate memory")):
            with self.assertRaisesRegex(errors.GridFullError, "create a shared file.*ulimit -v"):
                shared_file.create("nosqgrid-test", SIZE)
        limits_before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 1, limits_before[1]))
        try:
            for backend in shared_file.BACKENDS:
                with self.assertRaises(errors.CoordinatorError) as caught:
                    shared_file.create("nosqgrid-test", SIZE, directory=self.directory, backends=[backend])
                if type(caught.exception) is errors.GridFullError:
                    self.assertIn("ulimit -f", str(caught.exception))
                else:  # this machine does not have the backend
                    self.assertNotEqual(backend, shared_file.FILE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits_before)
            signal.signal(signal.SIGXFSZ, handler)

    def test_a_full_tmpfs_is_an_error_and_not_a_sigbus(self):
        program = FULL_TMPFS % {"size": TMPFS_SIZE}
        for mode in ("fallocate", "zeros"):
            command = ["unshare", "-Urm", sys.executable, "-W", "error", "-c", program, self.directory, mode]
            try:
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            except FileNotFoundError:
                self.skipTest("no unshare command, so no tmpfs of our own")
            output, complaint = process.communicate()
            if process.returncode != 0 and (b"unshare" in complaint or b"mount" in complaint):
                self.skipTest("no tmpfs of our own here: %s" % complaint.decode().strip())
            self.assertEqual((process.returncode, complaint), (0, b""))
            self.assertEqual(output.decode().split(), ["full", "kept", "room"])


FULL_TMPFS = """
import os, subprocess, sys
subprocess.check_call(["mount", "-t", "tmpfs", "-o", "size=%(size)d", "none", sys.argv[1]])
from nosqgrid import errors
from nosqgrid.memory import shared_file
if sys.argv[2] == "zeros":
    shared_file._fallocate = None
file = shared_file.create("x", 4 * %(size)d, directory=sys.argv[1], backends=[shared_file.FILE])
half = %(size)d // 2
file.reserve(0, half)
file.map_writable()[:half] = b"x" * half
try:
    file.reserve(0, 4 * %(size)d)
except errors.GridFullError as error:
    assert "No space left" in str(error), error
    print("full")
print("kept" if file.map_writable()[:half] == b"x" * half else "lost")
other = shared_file.create("x", 4096, directory=sys.argv[1], backends=[shared_file.FILE])
file.close()
other.reserve(0, 4096)
print("room")
other.close()
"""


def unsupported_fallocate(fd, offset, length):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


class Attaching(SharedFileTestCase):
    def test_a_file_shorter_than_promised_is_refused(self):
        file = self.create()
        for size_bytes in (SIZE + 1, 0, -1, 1 << 62):
            with self.assertRaisesRegex(errors.PeerError, "shared file of %d bytes" % size_bytes):
                shared_file.map_readonly(file.reader_fd(), size_bytes)
        shared_file.map_readonly(file.reader_fd(), PAGE).close()

    def test_descriptors_of_something_else_are_refused(self):
        reader, writer = os.pipe()
        directory = os.open(self.directory, os.O_RDONLY)
        only_writable = os.open(self.path("file", keep=True), os.O_WRONLY | os.O_CREAT)
        os.ftruncate(only_writable, SIZE)
        closed = os.dup(reader)
        os.close(closed)
        try:
            for fd in (reader, directory, only_writable, closed):
                with self.assertRaisesRegex(errors.PeerError, "expected a shared file"):
                    shared_file.map_readonly(fd, SIZE)
        finally:
            for fd in (reader, writer, directory, only_writable):
                os.close(fd)

    def test_a_sealed_file_cannot_be_mapped_for_writing(self):
        for file in self.each_file():
            with self.assertRaisesRegex(errors.PeerError, "cannot be mapped"):
                shared_file.map_shared(file.reader_fd(), SIZE)

    def test_an_address_space_too_small_is_told_apart(self):
        file = self.create()
        kind = mock.Mock(side_effect=OSError(errno.ENOMEM, "Cannot allocate memory"))
        with self.assertRaisesRegex(errors.GridFullError, "this process.*ulimit -v"):
            shared_file.map_readonly(file.reader_fd(), SIZE, kind)


if __name__ == "__main__":
    unittest.main()

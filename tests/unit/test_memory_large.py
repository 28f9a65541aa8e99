"""Files of large values: filled once, then unchangeable by anybody, and only such are taken from clients."""

import contextlib
import errno
import fcntl
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from nosqgrid.errors import GridFullError, NosqgridError, PeerError
from nosqgrid.memory import large, shared_file

SIZE = 70000
DATA = bytes(range(256)) * 273 + b"x" * (SIZE - 256 * 273)
HAS_MEMFD = sys.platform.startswith("linux")


@contextlib.contextmanager
def opened(fd):
    try:
        yield fd
    finally:
        os.close(fd)


class LargeFileTestCase(unittest.TestCase):
    backends = shared_file.BACKENDS

    def setUp(self):
        self.before = set(os.listdir("/dev/fd"))

    def tearDown(self):
        self.assertEqual(set(os.listdir("/dev/fd")), self.before)

    def sealed(self, data=DATA):
        file = large.NewFile(len(data), self.backends)
        file.write([data])
        return file.detach()


class NewFileTest(LargeFileTestCase):
    def test_what_was_written_in_parts_is_read(self):
        file = large.NewFile(SIZE, self.backends)
        file.write([DATA[:5], bytearray(DATA[5:10]), memoryview(DATA)[10:]])
        with opened(file.detach()) as fd:
            self.assertEqual(large.read(fd, SIZE), DATA)
            large.check(fd, SIZE, True)

    def test_pieces_of_a_write_and_a_read_add_up(self):
        with mock.patch.object(large, "PIECE_BYTES", 1000):
            with opened(self.sealed()) as fd:
                self.assertEqual(large.read(fd, SIZE), DATA)

    def test_what_is_sealed_cannot_be_changed(self):
        with opened(self.sealed()) as fd:
            self.assertRaises(OSError, os.pwrite, fd, b"y", 0)
            self.assertRaises(OSError, os.ftruncate, fd, 10)
            self.assertRaises(OSError, os.ftruncate, fd, SIZE * 2)
            self.assertRaises(OSError, mmap.mmap, fd, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            self.check_reopened(fd)
            self.assertEqual(large.read(fd, SIZE), DATA)

    def check_reopened(self, fd):
        with contextlib.suppress(OSError):
            with opened(os.open("/proc/self/fd/%d" % fd, os.O_RDWR)) as again:
                self.assertRaises(OSError, os.pwrite, again, b"y", 0)
                self.assertRaises(OSError, os.ftruncate, again, 10)
                self.assertRaises(OSError, mmap.mmap, again, SIZE)
                with self.assertRaises(OSError):
                    fcntl.fcntl(again, shared_file.F_ADD_SEALS, 0x10)

    def test_a_map_is_filled_in_place_and_keeps_it_from_being_sealed(self):
        file = large.NewFile(SIZE, self.backends)
        try:
            map_ = file.map()
            map_[:] = DATA
            if self.backends is shared_file.BACKENDS:
                self.assertRaises(BlockingIOError, file.seal)
            map_.close()
            self.assertEqual(large.read(file.seal(), SIZE), DATA)
        finally:
            file.close()
            file.close()

    def test_files_are_copied_in_the_kernel_and_where_that_is_not_possible(self):
        with tempfile.TemporaryFile() as source:
            source.write(DATA)
            source.flush()
            sendfile = os.sendfile
            for error in (None, errno.EINVAL, errno.ENOSYS):
                failing = mock.Mock(side_effect=OSError(error, "no")) if error else sendfile
                file = large.NewFile(SIZE + 4, self.backends)
                try:
                    file.write([b"head"])
                    with mock.patch.object(large.os, "sendfile", failing):
                        self.assertEqual(file.copy_from(source.fileno(), 4, SIZE), SIZE)
                    self.assertEqual(large.read(file.seal(), SIZE + 4), b"head" + DATA)
                finally:
                    file.close()

    def test_a_source_that_ends_early_is_seen(self):
        with tempfile.TemporaryFile() as source:
            source.write(b"short")
            source.flush()
            file = large.NewFile(SIZE, self.backends)
            try:
                self.assertEqual(file.copy_from(source.fileno(), 0, SIZE), 5)
            finally:
                file.close()

    def test_a_system_without_room_is_said_so_and_leaves_nothing(self):
        full = OSError(errno.ENOSPC, "No space left on device")
        for name in ("ftruncate", "pwrite", "posix_fallocate"):
            if not hasattr(os, name):
                continue
            with mock.patch.object(large.os, name, side_effect=full):
                with self.assertRaisesRegex(GridFullError, "No space left"):
                    file = large.NewFile(SIZE, self.backends)
                    try:
                        file.map() if name == "posix_fallocate" else file.write([DATA])
                    finally:
                        file.close()

    def test_a_file_that_ends_early_is_seen(self):
        with opened(self.sealed()) as fd:
            self.assertRaises(PeerError, large.read, fd, SIZE + 1)


class NewFileWithoutMemfdTest(NewFileTest):
    backends = (shared_file.FILE,)

    def check_reopened(self, fd):
        """Only the mode of the file stands in the way, and our own user may."""

    @unittest.skipUnless(hasattr(os, "geteuid"), "needs users")
    def test_the_file_has_no_name_any_more(self):
        with opened(self.sealed()) as fd:
            self.assertEqual(os.fstat(fd).st_nlink, 0)
            self.assertEqual(os.fstat(fd).st_mode & 0o777, 0o600)


@unittest.skipUnless(HAS_MEMFD, "needs memfd")
class CheckTest(LargeFileTestCase):
    def refused(self, fd, why, size=SIZE, trusted=True):
        with self.assertRaisesRegex(NosqgridError, why):
            large.check(fd, size, trusted)

    def test_what_is_no_file_of_the_size_is_refused(self):
        with opened(self.sealed()) as fd:
            self.refused(fd, "expected a shared file of 69999", SIZE - 1)
            self.refused(fd, "expected a shared file", SIZE + 1)
        read, write = os.pipe()
        with opened(read), opened(write):
            self.refused(read, "expected a shared file")
        with opened(os.open(tempfile.gettempdir(), os.O_RDONLY)) as fd:
            self.refused(fd, "expected a shared file", os.fstat(fd).st_size)
        with opened(os.open("/dev/zero", os.O_RDONLY)) as fd:
            self.refused(fd, "expected a shared file", 0)
        left, right = socket.socketpair()
        with contextlib.closing(left), contextlib.closing(right):
            self.refused(left.fileno(), "expected a shared file", 0)

    def test_what_somebody_could_change_is_refused(self):
        for seals in (0, shared_file.SEAL_SHRINK, large.SEAL_WRITE, shared_file.SEAL_SEAL | shared_file.SEAL_GROW):
            made = []
            shared_file.open_anonymous("test", shared_file.BACKENDS[:2], made)
            with opened(made[0]) as fd:
                os.ftruncate(fd, SIZE)
                fcntl.fcntl(fd, shared_file.F_ADD_SEALS, seals)
                for trusted in (False, True):
                    self.refused(fd, "not sealed", trusted=trusted)

    def test_a_file_of_our_own_user_that_has_no_name_will_do_and_no_other(self):
        with tempfile.NamedTemporaryFile() as named:
            named.write(DATA)
            named.flush()
            with opened(os.open(named.name, os.O_RDONLY)) as fd:
                self.refused(fd, "not sealed")
        with tempfile.TemporaryFile() as unnamed:
            unnamed.write(DATA)
            unnamed.flush()
            self.refused(unnamed.fileno(), "not sealed")
            with opened(os.open("/proc/self/fd/%d" % unnamed.fileno(), os.O_RDONLY)) as fd:
                large.check(fd, SIZE, True)
                self.refused(fd, "not sealed", trusted=False)

    def test_what_cannot_be_read_is_refused(self):
        with opened(self.sealed()) as fd:
            with opened(os.open("/proc/self/fd/%d" % fd, os.O_WRONLY)) as unreadable:
                self.assertRaises(OSError, large.read, unreadable, SIZE)
                for trusted in (False, True):
                    self.refused(unreadable, "not open for reading", trusted=trusted)
            with opened(os.open("/proc/self/fd/%d" % fd, os.O_PATH)) as path:
                self.assertRaises(OSError, large.read, path, SIZE)
                for trusted in (False, True):
                    self.refused(path, "not open for reading", trusted=trusted)


@unittest.skipUnless(HAS_MEMFD, "needs memfd")
class MapOfProcessTest(LargeFileTestCase):
    def map(self, fd, inode=None, size=SIZE, is_current=lambda: True, pid=None):
        place = 7, size, fd, large.inode(fd) if inode is None else inode
        return large.map_of_process(pid or os.getpid(), place, is_current, mmap.mmap)

    def unsealed(self, seals):
        made = []
        shared_file.open_anonymous("test", shared_file.BACKENDS[:2], made)
        os.ftruncate(made[0], SIZE)
        fcntl.fcntl(made[0], shared_file.F_ADD_SEALS, seals)
        return made[0]

    def test_a_sealed_file_of_another_process_is_mapped_for_reading(self):
        with opened(self.sealed()) as fd:
            child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(fd,))
            try:
                mapped = self.map(fd, pid=child.pid)
                self.assertEqual(mapped[:], DATA)
                with self.assertRaises(TypeError):
                    mapped[0] = 1
                mapped.close()
            finally:
                child.communicate()
            self.assertIsNone(self.map(fd, pid=child.pid))

    def test_another_file_under_the_same_number_is_refused(self):
        with opened(self.sealed()) as fd, opened(self.sealed()) as other:
            self.assertNotEqual(large.inode(fd), large.inode(other))
            self.assertIsNone(self.map(fd, large.inode(other)))

    def test_another_size_than_was_said_is_refused(self):
        with opened(self.sealed()) as fd:
            for size in (SIZE - 1, SIZE + 1, 0, 1 << 63, (1 << 64) - 1):
                self.assertIsNone(self.map(fd, size=size))

    def test_a_file_that_somebody_could_change_is_refused(self):
        for seals in (0, shared_file.SEAL_SHRINK, large.SEAL_WRITE):
            with opened(self.unsealed(seals)) as fd:
                self.assertEqual(large.inode(fd), 0)
                self.assertIsNone(self.map(fd))
                self.assertIsNone(self.map(fd, os.fstat(fd).st_ino))
        with tempfile.TemporaryFile() as file:
            file.write(DATA)
            file.flush()
            self.assertIsNone(self.map(file.fileno(), os.fstat(file.fileno()).st_ino))

    def test_what_is_no_file_is_refused_and_not_waited_for(self):
        ends = os.pipe()
        left, right = socket.socketpair()
        with opened(ends[0]), opened(ends[1]), contextlib.closing(left), contextlib.closing(right):
            with opened(os.open(tempfile.gettempdir(), os.O_RDONLY)) as folder:
                for fd in ends + (left.fileno(), folder):
                    self.assertIsNone(self.map(fd, os.fstat(fd).st_ino))
        self.assertIsNone(self.map(1 << 40, 1))

    def test_a_record_that_was_replaced_meanwhile_is_not_believed(self):
        asked = []
        with opened(self.sealed()) as fd:
            self.assertIsNone(self.map(fd, is_current=lambda: asked.append(fd)))
        self.assertEqual(asked, [fd])


if __name__ == "__main__":
    unittest.main()

"""Large values and who means harm, or has nothing left: descriptors of every kind, too many of them, and too few."""

import contextlib
import fcntl
import mmap
import os
import resource
import threading
import time
import unittest

import nosqgrid
from nosqgrid.client import large as client_large
from tests.process import test_large_values
from tests.process.test_large_values import SIZE, content
from tests.support.processes import ProcessTestCase, wait_until

WITHOUT_MEMFD = """
import sys
from nosqgrid.memory import shared_file
shared_file.BACKENDS = (shared_file.FILE,)
shared_file.create.__defaults__ = tuple((shared_file.FILE,) if type(value) is tuple else value
                                        for value in shared_file.create.__defaults__)
"""

SERVE = """
import resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if int(sys.argv[2]):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), hard))
from nosqgrid.cli import main
sys.exit(main.main(["serve", "--socket", sys.argv[1], "--memory", "64m", "--while-stdin"] + sys.argv[3:]))
"""


class HostileTest(test_large_values.LargeTestCase):
    """What a client can do with the descriptors that it gets, and what it can send."""

    def received(self):
        """A descriptor of a large value, as a reader gets it."""
        self.grid["k"] = content(1)
        link = nosqgrid.client.link.Link(self.launched.address, 5.0)
        self.addCleanup(link.close)
        number = 1
        while link.command(b"NOSQGRID.LARGE", number) is None:
            number += 1
        return link, link.fds[0]

    def test_nothing_that_was_received_can_be_changed(self):
        link, fd = self.received()
        for fd in (fd, os.open("/proc/self/fd/%d" % fd, os.O_RDWR)):
            self.assertRaises(OSError, os.pwrite, fd, b"x", 0)
            self.assertRaises(OSError, os.ftruncate, fd, 0)
            self.assertRaises(OSError, os.ftruncate, fd, SIZE * 2)
            self.assertRaises(OSError, mmap.mmap, fd, SIZE)
            with self.assertRaises(OSError):
                fcntl.fcntl(fd, 1033, 0)
        os.close(fd)
        link.close()
        self.assertEqual(self.grid["k"], content(1))

    def adopt(self, fd, number=None, size=SIZE, command=b"NOSQGRID.ADOPT"):
        attachment = self.grid._store.live()
        if number is None:
            number = attachment.command(b"NOSQGRID.ALLOCATE", size, int(command != b"NOSQGRID.ADOPT"))
        words = (b"bad", 0, 0, b"-", 0) if command == b"NOSQGRID.ADOPT" else ()
        if fd is None:
            return attachment._over_socket(nosqgrid.formats.resp.encode_command(command, number, *words))
        return attachment.with_descriptor(fd, command, number, *words)

    def test_descriptors_of_something_else_are_refused_and_leave_nothing(self):
        opened = self.opened()
        read, write = os.pipe()
        unsealed = client_large.NewFile(SIZE)
        short = client_large.NewFile(SIZE - 1)
        short.seal()
        directory = os.open(self.directory, os.O_RDONLY)
        sealed = client_large.NewFile(SIZE)
        sealed.seal()
        write_only = os.open("/proc/self/fd/%d" % sealed.fd, os.O_WRONLY)
        try:
            for command in (b"NOSQGRID.ADOPT", b"NOSQGRID.SHARE"):
                for fd in (read, write, unsealed.fd, short.fd, directory, write_only, 1):
                    with self.assertRaises(nosqgrid.errors.CommandError):
                        self.adopt(fd, command=command)
                self.assertIsInstance(self.adopt(None, command=command), nosqgrid.errors.CommandError)
                for number in (0, -1, 1, 10 ** 6, 2 ** 63 - 1):
                    with self.assertRaises(nosqgrid.errors.CommandError):
                        self.adopt(sealed.fd, number, command=command)
        finally:
            for fd in (read, write, directory, write_only):
                os.close(fd)
            for file in (unsealed, short, sealed):
                file.close()
        self.assertNotIn("bad", self.grid)
        self.wait_given_back()
        wait_until(lambda: self.opened() <= opened, 10.0, "what was sent to be closed")

    def test_a_number_of_somebody_else_is_refused_and_stays_his(self):
        with nosqgrid.attach(self.launched.address) as other:
            creation = other.create("mine", SIZE)
            number = creation._allocation.number
            file = client_large.NewFile(SIZE)
            file.seal()
            with self.assertRaisesRegex(nosqgrid.errors.CommandError, "not allocated by this client"):
                self.adopt(file.fd, number)
            file.close()
            self.assertEqual(self.grid._store.command(b"NOSQGRID.ABANDON_VALUE", number), 0)
            creation.seal()
        self.assertEqual(self.grid["mine"], bytes(SIZE))

    def test_a_descriptor_too_many_is_closed(self):
        opened = self.opened()
        attachment = self.grid._store.attachment
        number = attachment.command(b"NOSQGRID.ALLOCATE", SIZE, 0)
        file = client_large.NewFile(SIZE)
        file.write([content(1)])
        file.seal()
        sock = attachment.link.sock
        command = nosqgrid.formats.resp.encode_command(b"NOSQGRID.ADOPT", number, b"k", 0, 0, b"-", 0)
        nosqgrid.memory.descriptors.send_with_fds(sock, command, [0, 1, file.fd])
        self.assertIsInstance(attachment.link.receive(), int)
        file.close()
        self.assertEqual(self.grid["k"], content(1))
        wait_until(lambda: self.opened() == opened + 1, 10.0, "the others to be closed")
        number = attachment.command(b"NOSQGRID.ALLOCATE", SIZE, 0)
        for byte in b"*1\r\n$4\r\nPIN":
            with contextlib.suppress(OSError):
                nosqgrid.memory.descriptors.send_with_fds(sock, bytes([byte]), [0] * 8)
        wait_until(lambda: not self.grid.connected, 10.0, "who sends so many to be sent away")
        self.grid["after"] = 1
        wait_until(lambda: self.opened() <= opened + 1, 10.0, "all of them to be closed")
        self.assertEqual(self.large()["filling_bytes"], 0)

    def test_a_reader_that_asks_and_never_takes_gets_no_more_than_some(self):
        self.grid["k"] = content(1)
        link = nosqgrid.client.link.Link(self.launched.address, 5.0)
        command = nosqgrid.formats.resp.encode_command(b"NOSQGRID.LARGE", 1)
        with contextlib.suppress(nosqgrid.NosqgridError):
            link.send(command * 1000)
        time.sleep(0.1)
        self.assertLess(self.opened(), 60)
        self.grid["after"] = 1
        link.close()

    def test_many_ask_at_once(self):
        for number in range(20):
            self.grid["k%d" % number] = content(number)
        wrong = []

        def read():
            with nosqgrid.attach(self.launched.address) as grid:
                for turn in range(40):
                    if grid["k%d" % (turn % 20)] != content(turn % 20):
                        wrong.append(turn)
        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class ScarcityTest(ProcessTestCase):
    def serve(self, limit=0, prelude="", extra=()):
        address = self.path("s")
        self.child = self.spawn(prelude + SERVE, address, str(limit), *extra)
        self.child.read_line()
        return address

    def end(self):
        self.child.process.stdin.close()
        self.assertEqual(self.child.wait(), 0)
        return self.child.errors()

    def test_a_coordinator_without_descriptors_keeps_values_in_the_heap(self):
        address = self.serve(40)
        grid = nosqgrid.attach(address, timeout=5)
        try:
            for number in range(50):
                grid["k%d" % number] = content(number, 200000 // 8 * 8 + 80000)
            stats = grid.stats()
            self.assertGreater(stats["large_values"], 10)
            self.assertLess(stats["large_values"], 40)
            wrong = 0
            for number in range(50):
                try:
                    self.assertEqual(grid["k%d" % number], content(number, 280000))
                except nosqgrid.NosqgridError as error:
                    self.assertRegex(str(error), "ulimit -n")
                    wrong += 1
            self.assertLess(wrong, 40)
            for number in range(50):
                del grid["k%d" % number]
            wait_until(lambda: grid.stats()["large_dropped_bytes"] == 0, 10.0, "all to be given back")
            grid["again"] = content(1)
            self.assertEqual(grid["again"], content(1))
            self.assertEqual(grid.stats()["large_values"], 1)
        finally:
            grid.close()
            self.end()

    def test_a_client_without_descriptors_sends_its_values_over_the_socket(self):
        address = self.serve()
        grid = nosqgrid.attach(address, timeout=5)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = []
        try:
            grid["first"] = content(1)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, hard))
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            grid["k"] = content(2)
            with self.assertRaises((OSError, nosqgrid.NosqgridError)):
                grid.create("c", SIZE)
        finally:
            for fd in taken:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(grid["k"], content(2))
        self.assertEqual(grid.stats()["large_filling_bytes"], 0)
        grid.close()
        self.end()

    def test_a_system_without_memfd(self):
        address = self.serve(prelude=WITHOUT_MEMFD)
        client = self.spawn(WITHOUT_MEMFD + """
import nosqgrid
grid = nosqgrid.attach(sys.argv[1])
grid["k"] = b"12345678" * 50000
with grid.create("c", 400000) as creation:
    creation.buffer[:3] = b"abc"
assert grid["k"] == b"12345678" * 50000
assert grid["c"][:4] == b"abc\\0"
view = grid.view("k")
ref = grid.share(b"x" * 400000)
assert ref.get() == b"x" * 400000
grid["k"] = 1
assert view.memoryview == b"12345678" * 50000
assert grid.stats()["large_values"] == 2, grid.stats()
del grid["c"]
view.release()
del ref, view
grid.close()
print("done", flush=True)
""", address)
        self.assertEqual(client.read_line(), "done")
        client.finish()
        with nosqgrid.attach(address) as grid:
            wait_until(lambda: grid.stats()["large_values"] == 0, 10.0, "all to be given back")
            grid["sealed"] = content(1)
            self.assertEqual(grid["sealed"], content(1))
        self.end()

if __name__ == "__main__":
    unittest.main()

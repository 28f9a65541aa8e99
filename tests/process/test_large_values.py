"""Large values, each in a file of its own, with a real coordinator: stored in every way, read in every way, given back."""

import array
import contextlib
import fcntl
import gc
import mmap
import os
import resource
import signal
import threading
import time
import unittest

import nosqgrid
from nosqgrid.client import large as client_large
from nosqgrid.client import launcher
from nosqgrid.errors import ClosedError, CoordinatorLostError, UsageError, ValueTooLargeError
from nosqgrid.limits import MIB, VALUE_SIZE_BYTES_MAX
from tests.process.test_survival import GridTestCase
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import FULL, slow

try:
    import numpy
except ImportError:
    numpy = None

SIZE = 300 * 1000

CREATOR = """
import sys, time, nosqgrid
from nosqgrid.client import large
grid = nosqgrid.attach(sys.argv[1])
if sys.argv[2] == "created":
    creation = grid.create("k", 3000000)
    creation.buffer[:5] = b"begun"
elif sys.argv[2] == "allocated":
    grid._store.attachment.command(b"NOSQGRID.ALLOCATE", 3000000, 0)
elif sys.argv[2] == "shared":
    ref = grid.share(bytes(3000000))
elif sys.argv[2] == "stored":
    grid["k"] = bytes(3000000)
elif sys.argv[2] == "reading":
    value = grid.view("k")
print("ready", flush=True)
time.sleep(60)
"""

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
sys.exit(main.main(["serve", "--socket", sys.argv[1], "--memory", "16m", "--while-stdin"] + sys.argv[3:]))
"""


def content(number, size=SIZE):
    return (b"%08d" % number) * (size // 8)


class LargeTestCase(GridTestCase):
    memory = "16m"

    def large(self, grid=None):
        """The numbers of the coordinator about large values, without the prefix."""
        stats = (grid or self.grid).stats()
        return {name[6:]: value for name, value in stats.items() if name.startswith("large_")}

    def opened(self):
        return len(os.listdir("/proc/%d/fd" % self.launched.pid))

    def wait_given_back(self, grid=None):
        wait_until(lambda: set(self.large(grid).values()) <= {0}, 10.0, "every byte of large values to be given back")


class RoundTripTest(LargeTestCase):
    def check(self, value, expected=None):
        expected = value if expected is None else expected
        before = self.opened()
        version = self.grid.set("k", value)
        self.assertIsInstance(version, int)
        with nosqgrid.attach(self.launched.address) as other:
            for grid in (self.grid, other):
                got = grid["k"]
                self.assertEqual(type(got), type(expected))
                self.assertEqual(got, expected)
                again, seen = grid.get_versioned("k")
                self.assertEqual((again == expected, seen), (True, version))
                del got, again
        self.assertEqual(self.large()["values"], 1)
        self.grid.delete("k")
        self.wait_given_back()
        wait_until(lambda: self.opened() <= before, 10.0, "its descriptor to be closed")

    def test_every_type(self):
        data = os.urandom(SIZE)
        self.check(data)
        self.check(bytearray(data), data)
        self.check(memoryview(data), data)
        self.check("\u00e9" * SIZE)
        self.check({"list": list(range(100000)), "text": "x" * SIZE})
        self.check(array.array("d", range(60000)))
        self.check(memoryview(array.array("i", range(90000))))
        self.check([(1, 2), {3}] * 40000)
        self.check(b"\xff" * SIZE)

    @unittest.skipIf(numpy is None, "needs numpy")
    def test_numpy(self):
        for value in (numpy.arange(60000.).reshape(200, 300), numpy.asfortranarray(numpy.arange(60000.).reshape(2, -1)),
                      numpy.arange(200000)[::2]):
            self.grid["k"] = value
            got = self.grid["k"]
            self.assertTrue((got == value).all())
            self.assertFalse(got.flags.writeable)
            self.grid.clear()
            self.assertTrue((got == value).all())
            self.assertGreater(self.large()["dropped_bytes"], 0)
            del got
            self.wait_given_back()

    def test_sizes_around_the_bound(self):
        bound = self.grid._store.attachment.large_value_bytes
        for size in range(bound - 2, bound + 3):
            self.grid["k%d" % size] = b"x" * size
            self.assertEqual(self.grid["k%d" % size], b"x" * size)
        self.assertEqual(self.large()["values"], 3)

    def test_conditions_and_deadlines(self):
        first = self.grid.set("k", content(1))
        opened = self.opened()
        self.assertIsNone(self.grid.set("k", content(2), if_absent=True))
        self.assertIsNone(self.grid.set("none", content(2), if_present=True))
        self.assertIsNone(self.grid.set("k", content(2), if_version=first + 1))
        self.assertEqual(self.grid["k"], content(1))
        self.assertEqual((self.large()["values"], self.large()["bytes"]), (1, SIZE))
        wait_until(lambda: self.opened() <= opened, 10.0, "what was refused to be closed")
        self.assertGreater(self.grid.set("k", content(3), ttl=100, if_version=first), first)
        self.assertEqual(self.grid["k"], content(3))
        self.assertGreater(self.grid.ttl("k"), 90)
        self.assertTrue(self.grid.persist("k"))
        self.assertIsNone(self.grid.ttl("k"))
        self.assertTrue(self.grid.expire("k", 0.05))
        wait_until(lambda: "k" not in self.grid, 5.0, "the value to expire")
        self.wait_given_back()

    def test_everything_else_that_a_mapping_does(self):
        self.grid["k"] = content(1)
        self.assertEqual(self.grid.pop("k"), content(1))
        self.assertEqual(self.grid.setdefault("k", content(2)), content(2))
        self.assertEqual(self.grid.setdefault("k", content(3)), content(2))
        self.assertEqual(self.grid.popitem(), ("k", content(2)))
        self.grid.set_many({"a": content(4), "b": 1, "c": bytearray(content(5))})
        self.assertEqual(self.grid.get_many(["a", "b", "c"]), {"a": content(4), "b": 1, "c": content(5)})
        self.assertEqual(sorted(key for key, _ in self.grid.items()), ["a", "b", "c"])
        with self.grid.pipeline() as pipe:
            pipe.set("d", content(6)).get("a").delete("a").get("d")
        self.assertEqual(pipe.results[1:], [content(4), 1, content(6)])
        self.assertEqual(self.grid.get_or_compute("e", lambda: content(7)), content(7))
        self.assertEqual(self.grid["e"], content(7))
        self.assertEqual(self.grid.get_or_compute("e", lambda: 1), content(7))
        self.grid.map("m")["k"] = content(8)
        self.assertEqual(self.grid["m:k"], content(8))
        self.assertTrue(self.grid.exists("e"))
        self.grid.clear()
        self.wait_given_back()

    @slow
    def test_values_that_go_through_no_socket(self):
        size = VALUE_SIZE_BYTES_MAX + 5
        value = bytes(size - 3) + b"end"
        self.grid["k"] = value
        with nosqgrid.attach(self.launched.address) as other:
            with other.view("k") as buffer:
                self.assertEqual((len(buffer), buffer[-3:]), (size, b"end"))
            self.assertEqual(len(other["k"]), size)
        self.assertRaises(ValueTooLargeError, self.grid.pop, "k")
        self.assertIn("k", self.grid)
        self.assertTrue(self.grid.expire("k", 100))
        self.assertEqual(self.grid._store.command(b"STRLEN", b"k"), size)
        computed = []
        self.assertIs(self.grid.get_or_compute("c", lambda: computed.append(1) or value), value)
        self.assertEqual(computed, [1])
        with self.assertRaises(ValueTooLargeError), self.grid.pipeline() as pipe:
            pipe.set("p", value)
        self.assertTrue(self.grid.delete("k"))
        del value
        self.wait_given_back()

    def test_thousands_of_changes_leave_no_descriptor_and_no_byte(self):
        opened, mine = self.opened(), len(os.listdir("/proc/self/fd"))
        with nosqgrid.attach(self.launched.address) as other:
            for number in range(20000 if FULL else 1500):
                key = "k%d" % (number % 7)
                if number % 11 == 0:
                    self.grid.delete(key)
                elif number % 13 == 0:
                    self.grid.set(key, content(number), ttl=0.01)
                elif number % 17 == 0:
                    other.get(key)
                elif number % 101 == 0:
                    self.grid.clear()
                else:
                    self.grid.set(key, content(number))
        self.grid.clear()
        self.wait_given_back()
        wait_until(lambda: self.opened() <= opened, 10.0, "every descriptor to be closed")
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), mine)
        memfds = [name for name in os.listdir("/proc/%d/fd" % self.launched.pid)
                  if "nosqgrid-value" in os.readlink("/proc/%d/fd/%s" % (self.launched.pid, name))]
        self.assertEqual(memfds, [])


class CreateTest(LargeTestCase):
    def test_it_is_filled_in_place_and_seen_when_it_is_sealed(self):
        with self.grid.create("k", SIZE, ttl=100) as creation:
            self.assertEqual((len(creation), bytes(creation.buffer[:4])), (SIZE, bytes(4)))
            creation.buffer[:4] = b"head"
            self.assertNotIn("k", self.grid)
            self.assertEqual(self.large()["filling_bytes"], SIZE)
        self.assertEqual(self.grid["k"], b"head" + bytes(SIZE - 4))
        self.assertGreater(self.grid.ttl("k"), 90)
        self.assertRaises(ValueError, lambda: creation.buffer[0])
        self.assertRaises(UsageError, creation.seal)
        creation.discard()
        self.assertIn("done", repr(creation))

    def test_the_version_is_that_of_the_key(self):
        creation = self.grid.create("k", SIZE)
        self.assertEqual(creation.seal(), self.grid.get_versioned("k")[1])
        self.grid.create("small", 1).seal()
        self.assertEqual(self.grid["small"], b"\0")

    def test_what_is_discarded_or_left_by_an_exception_was_never_there(self):
        with self.assertRaises(ZeroDivisionError), self.grid.create("k", SIZE):
            1 / 0
        creation = self.grid.create("k", SIZE)
        creation.discard()
        creation.discard()
        self.assertNotIn("k", self.grid)
        self.wait_given_back()

    def test_who_forgets_one_leaves_nothing(self):
        mine = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            creation = self.grid.create("k", SIZE)
            del creation
        gc.collect()
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), mine)
        self.grid["other"] = 1
        self.grid.create("k", SIZE).discard()  # the next one tells the coordinator of those
        self.wait_given_back()

    def test_a_view_that_is_left_keeps_it_from_being_sealed_until_it_is_dropped(self):
        creation = self.grid.create("k", SIZE)
        part = creation.buffer[:10]
        with self.assertRaisesRegex(UsageError, "drop it"):
            creation.seal()
        self.assertNotIn("k", self.grid)
        part[:] = b"0123456789"
        del part
        creation.seal()
        self.assertEqual(self.grid["k"][:10], b"0123456789")

    @unittest.skipIf(numpy is None, "needs numpy")
    def test_arrays(self):
        for order in "CF":
            with self.grid.create("a", dtype="f8", shape=(300, 200), order=order) as creation:
                creation.array[...] = numpy.arange(60000.).reshape(300, 200)
            got = self.grid["a"]
            self.assertTrue((got == numpy.arange(60000.).reshape(300, 200)).all())
            self.assertEqual(got.flags.f_contiguous, order == "F")
        creation = self.grid.create("b", 5, dtype="i4")
        held = creation.array
        held[:] = 7
        self.assertRaises(UsageError, creation.seal)
        del held
        creation.seal()
        self.assertEqual(self.grid["b"].tolist(), [7] * 5)
        self.assertRaises(UsageError, self.grid.create, "c", dtype="f8", shape=(0, 3))

    def test_from_a_file(self):
        path = self.path("f", keep=True)
        for data in (content(5), b"", b"x", content(6, 5 * MIB)):
            with open(path, "wb") as file:
                file.write(data)
            version = self.grid.create("k", from_file=path)
            self.assertEqual(self.grid.get_versioned("k"), (data, version))
        self.grid.create("k", from_file=path, ttl=100)
        self.assertGreater(self.grid.ttl("k"), 90)
        self.assertRaises(FileNotFoundError, self.grid.create, "k", from_file=path + "no")
        self.assertRaises(OSError, self.grid.create, "k", from_file=self.directory)
        self.assertRaises(UsageError, self.grid.create, "k", 5, from_file=path)
        self.assertEqual(self.grid["k"], content(6, 5 * MIB))

    def test_from_what_has_no_size_is_refused_at_once(self):
        path = self.path("fifo", keep=True)
        os.mkfifo(path)
        for name in (path, "/dev/zero", "/proc/self/status"):
            with self.assertRaises(UsageError):
                self.grid.create("k", from_file=name)
        self.assertNotIn("k", self.grid)
        self.wait_given_back()

    def test_nonsense_is_refused(self):
        for nbytes in (0, -1, True, 1.5, None, "5"):
            self.assertRaises(UsageError, self.grid.create, "k", nbytes)
        self.assertRaises(nosqgrid.NosqgridError, self.grid.create, "k", 1 << 50)
        self.assertRaises(nosqgrid.NosqgridError, self.grid.create, "x" * 40000, 5)
        self.wait_given_back()


class DeathTest(LargeTestCase):
    def test_who_is_killed_at_any_moment_leaves_nothing_charged(self):
        opened = self.opened()
        for moment in ("created", "allocated", "shared", "stored", "reading"):
            child = self.spawn(CREATOR, self.launched.address, moment)
            child.read_line()
            if moment in ("created", "allocated"):
                self.assertEqual(self.large()["filling_bytes"], 3000000)
            elif moment == "shared":
                self.assertEqual(self.large()["shared"], 1)
            elif moment == "reading":
                self.grid.delete("k")
                wait_until(lambda: self.large()["dropped_bytes"] == 3000000, 10.0, "it to be dropped")
            child.kill()
            child.wait()
            if moment == "stored":
                self.assertEqual(self.grid["k"], bytes(3000000))
            else:
                self.wait_given_back()
        wait_until(lambda: self.opened() <= opened, 10.0, "every descriptor to be closed")

    @slow
    def test_clients_killed_while_they_store_leave_nothing(self):
        opened = self.opened()
        program = ("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1])\nprint('ready', flush=True)\n"
                   "while True:\n    grid['k'] = b'12345678' * 50000\n    with grid.create('c', 400000) as c:\n"
                   "        c.buffer[:3] = b'abc'\n    ref = grid.share(b'x' * 400000)\n    grid.view('k')\n")
        for number in range(60 if FULL else 8):
            child = self.spawn(program, self.launched.address)
            child.read_line()
            time.sleep(0.003 * number)
            child.kill()
            child.wait()
        self.attached(1)
        self.grid.clear()
        self.wait_given_back()
        wait_until(lambda: self.opened() <= opened, 10.0, "every descriptor to be closed")

    def test_what_was_mapped_outlives_the_coordinator_and_what_was_not_is_an_error(self):
        self.grid["a"], self.grid["b"] = memoryview(content(1)).cast("H"), content(2)
        held = self.grid["a"]
        creation = self.grid.create("c", SIZE)
        self.launched.process.send_signal(signal.SIGKILL)
        self.launched.process.wait()
        self.assertEqual(held.tobytes(), content(1))
        self.assertEqual(self.grid["a"], held)
        for _ in range(2):
            with self.assertRaises((CoordinatorLostError, nosqgrid.errors.NotServedError)):
                self.grid["b"]
        with self.assertRaises(CoordinatorLostError):
            creation.seal()

    def test_a_grid_that_is_closed(self):
        self.grid["a"] = memoryview(content(1)).cast("H")
        held = self.grid["a"]
        self.grid.close()
        self.assertRaises(ClosedError, self.grid.get, "a")
        self.assertRaises(ClosedError, self.grid.create, "a", 5)
        self.assertEqual(held.tobytes(), content(1))
        self.grid = nosqgrid.attach(self.launched.address)


class HostileTest(LargeTestCase):
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


class DurableTest(ProcessTestCase):
    def start(self, level="always", *extra):
        self.launched = launcher.start(self.path("s"), memory="16m",
                                       extra_args=["--dir", self.path("data", keep=True), "--durability", level] +
                                       list(extra))
        return nosqgrid.attach(self.launched.address, timeout=10)

    def setUp(self):
        super().setUp()
        self._kept += ["data*", "s*", "out*"]

    def kill(self):
        self.launched.process.kill()
        self.launched.process.wait()
        self.launched.stop()

    def test_they_are_there_again_after_the_coordinator_was_killed(self):
        for level in ("os", "always"):
            grid = self.start(level)
            grid.clear()
            for number in range(6):
                grid["k%d" % number] = content(number)
            grid["k1"] = content(11)
            grid.delete("k2")
            grid.set("k3", content(13), ttl=1000)
            grid.expire("k4", 1000)
            with grid.create("c", SIZE) as creation:
                creation.buffer[:3] = b"abc"
            with grid.pipeline() as pipe:
                pipe.set("b", content(9)).set("k5", "small")
            self.assertRaises(ValueTooLargeError, grid.create, "k", VALUE_SIZE_BYTES_MAX + 1)
            self.kill()
            grid.close()
            grid = self.start(level)
            self.assertEqual(sorted(grid), ["b", "c", "k0", "k1", "k3", "k4", "k5"])
            self.assertEqual([grid[key] for key in ("k0", "k1", "k3", "k4", "k5", "b")],
                             [content(0), content(11), content(13), content(4), "small", content(9)])
            self.assertEqual(grid["c"], b"abc" + bytes(SIZE - 3))
            self.assertGreater(grid.ttl("k3"), 900)
            self.assertGreater(grid.ttl("k4"), 900)
            self.assertGreaterEqual(grid.stats()["large_values"], 5)
            grid.close()
            self.assertEqual(self.launched.stop(), 0)
            grid = self.start(level)  # from the last checkpoint
            self.assertEqual([grid["k0"], grid["k5"]], [content(0), "small"])
            grid.close()
            self.launched.stop()

    @slow
    def test_more_than_a_file_takes_is_refused_with_words_of_its_own(self):
        grid = self.start("os")
        value = bytes(VALUE_SIZE_BYTES_MAX + 1)
        with self.assertRaisesRegex(ValueTooLargeError, "directory takes up to"):
            grid["k"] = value
        ref = grid.share(value)  # which is written to no disk
        self.assertEqual(len(ref.view()), len(value))
        del ref
        grid.close()
        self.launched.stop()

    def test_checkpoints_while_they_are_overwritten_and_deleted(self):
        grid = self.start("os")
        stop, failed = [], []

        def write():
            try:
                with nosqgrid.attach(self.launched.address) as other:
                    number = 0
                    while not stop:
                        number += 1
                        other["k%d" % (number % 10)] = content(number)
                        if number % 3 == 0:
                            other.delete("k%d" % (number * 7 % 10))
            except BaseException as error:
                failed.append(error)
        for number in range(10):
            grid["stays%d" % number] = content(number)
        thread = threading.Thread(target=write)
        thread.start()
        try:
            for turn in range(20 if FULL else 3):
                grid.checkpoint()
                grid.checkpoint(to=self.path("out"))
        finally:
            stop.append(True)
            thread.join()
        self.assertEqual(failed, [])
        state = {key: grid[key] for key in grid}
        self.kill()
        grid.close()
        grid = self.start("os")
        self.assertEqual({key: grid[key] for key in grid}, state)
        grid.close()
        self.launched.stop()

    def test_a_dump_has_them(self):
        grid = self.start("none")
        grid["k"] = "x" * SIZE
        grid["b"] = content(3)
        info = grid.checkpoint(to=self.path("out"))
        self.assertEqual(info.keys, 2)
        grid.close()
        self.launched.stop()
        dumped = self.spawn(["-m", "nosqgrid", "dump", self.path("out")])
        text = dumped.finish()
        self.assertGreater(len(text), 2 * SIZE)

    def test_memory_alone_and_a_value_that_no_checkpoint_takes(self):
        self.launched = launcher.start(self.path("s"), memory="16m")
        grid = nosqgrid.attach(self.launched.address, timeout=10)
        grid["k"] = content(1)
        grid.checkpoint(to=self.path("out"))
        with grid.create("huge", VALUE_SIZE_BYTES_MAX + 1):
            pass
        with self.assertRaisesRegex(nosqgrid.NosqgridError, "huge"):
            grid.checkpoint(to=self.path("out2"))
        grid.delete("huge")
        grid.checkpoint(to=self.path("out"))
        grid.close()
        self.launched.stop()


if __name__ == "__main__":
    unittest.main()

"""Large values, each in a file of its own: stored and read in every way, seen by everybody, and given back."""

import array
import gc
import os
import signal
import time
import unittest
from unittest import mock

import nosqgrid
from nosqgrid.client import maps
from nosqgrid.errors import ClosedError, CoordinatorLostError, UsageError, ValueTooLargeError
from nosqgrid.limits import MIB, VALUE_SIZE_BYTES_MAX
from nosqgrid.memory.large import map_of_process
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
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


def content(number, size=SIZE):
    return (b"%08d" % number) * (size // 8)


class LargeTestCase(GridTestCase):
    memory = "96m"

    def large(self, grid=None):
        """The numbers of the coordinator about what large values hold now, without the prefix (their limit is none)."""
        stats = (grid or self.grid).stats()
        return {name[6:]: value for name, value in stats.items() if name.startswith("large_") and "max" not in name}

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

    @slow
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
        self.grid.delete("k", "c")
        del value
        self.wait_given_back()

    def test_thousands_of_changes_leave_no_descriptor_and_no_byte(self):
        opened, mine = self.opened(), len(os.listdir("/proc/self/fd"))
        with nosqgrid.attach(self.launched.address) as other:
            for number in range(20000 if FULL else 700):
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
        for number in range(60 if FULL else 5):
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

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc")
    def test_the_first_look_asks_nothing_of_the_coordinator(self):
        self.grid["a"], self.grid["b"] = content(1), content(2)
        other = nosqgrid.attach(self.launched.address)
        self.launched.process.send_signal(signal.SIGSTOP)
        try:
            with other.view("a") as seen:
                self.assertEqual(seen, content(1))
            self.assertEqual(other["b"], content(2))
        finally:
            self.launched.process.send_signal(signal.SIGCONT)
            other.close()

    def test_where_the_files_of_a_process_are_not_to_be_seen_they_are_asked_for(self):
        self.grid["a"], self.number = content(1), 1
        for nowhere in (lambda pid, place, is_current, kind: None, self.replaced):
            with nosqgrid.attach(self.launched.address) as other, mock.patch.object(maps, "map_of_process", nowhere):
                with other.view("a") as seen:
                    self.assertEqual(seen, content(self.number))
        self.assertEqual(self.number, 2)
        self.grid.clear()
        self.wait_given_back()

    def replaced(self, pid, place, is_current, kind):
        """map_of_process while the key is set anew: what it opened is not the value any more."""
        self.assertTrue(is_current())
        if self.number == 1:
            self.grid["a"], self.number = content(2), 2
            self.assertFalse(is_current())
        return map_of_process(pid, place, is_current, kind)

    def test_a_grid_that_is_closed(self):
        self.grid["a"] = memoryview(content(1)).cast("H")
        held = self.grid["a"]
        self.grid.close()
        self.assertRaises(ClosedError, self.grid.get, "a")
        self.assertRaises(ClosedError, self.grid.create, "a", 5)
        self.assertEqual(held.tobytes(), content(1))
        self.grid = nosqgrid.attach(self.launched.address)

if __name__ == "__main__":
    unittest.main()

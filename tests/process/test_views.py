"""Views: what somebody looks at in place stays as it is, whatever becomes of the key, and is given back in the end."""

import array
import contextlib
import gc
import hashlib
import pickle
import socket
import struct
import unittest
from unittest import mock

import nosqgrid
from nosqgrid.errors import ClosedError, GridFullError
from nosqgrid.formats import arrays, buffers, values
from nosqgrid.limits import VIEW_BYTES_MIN
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until

try:
    import numpy
except ImportError:
    numpy = None

IN_HEAP = 40 * 1000  # a view of it is a map of its segment
IN_FILE = 300 * 1000

HOLDER = """
import sys, nosqgrid
grid = nosqgrid.attach(sys.argv[1])
views = [grid.view(name) for name in sys.argv[2:]]
print("ready", flush=True)
for line in sys.stdin:
    if line == "check\\n":
        print([bytes(view.memoryview[:3]) for view in views], flush=True)
    elif line == "drop\\n":
        views.clear()
        print("dropped", flush=True)
"""


def content(number, size=IN_HEAP):
    return (b"%08d" % number) * (size // 8)


class ViewTestCase(GridTestCase):
    memory = "8m"

    def retained(self):
        return self.grid.stats()["retained_bytes"]

    def wait_released(self, grid=None):
        wait_until(lambda: (grid or self.grid).stats()["retained_bytes"] == 0, 10.0, "everything to be given back")

    def overwrite_everything(self, rounds=2):
        """Fill the heap several times over, with the cleaner at work."""
        full = 0
        for number in range(rounds * 8 * 1024 * 1024 // IN_HEAP):
            try:
                self.grid.set("fill%d" % (number % 60), content(number))
            except GridFullError:
                full += 1
        return full


class UnchangedTest(ViewTestCase):
    def test_it_stays_byte_for_byte_whatever_becomes_of_the_key(self):
        fates = {"overwritten": lambda key: self.grid.set(key, b"other"), "deleted": self.grid.delete,
                 "expired": lambda key: self.grid.expire(key, 0.001), "kept": lambda key: None,
                 "popped": self.grid.pop}
        for size in (IN_HEAP, IN_FILE):
            kept = {}
            for number, (key, fate) in enumerate(sorted(fates.items())):
                self.grid[key] = content(number, size)
                kept[key] = self.grid.view(key), content(number, size)
                fate(key)
            self.grid.set("cleared", content(99, size))
            kept["cleared"] = self.grid.view("cleared"), content(99, size)
            self.grid.clear()
            self.assertEqual(self.overwrite_everything(), 0)
            for key, (view, expected) in kept.items():
                self.assertEqual(view.memoryview, expected, key)
            kept.clear()
            view = None
            self.wait_released()

    def test_it_stays_when_the_heap_is_full_of_what_is_pinned(self):
        views, number = [], 0
        with self.assertRaises(GridFullError):
            while True:
                self.grid.set("k%d" % (number % 40), content(number))
                views.append((self.grid.view("k%d" % (number % 40)), content(number)))
                number += 1
        for view, expected in views:
            self.assertEqual(view.memoryview, expected)
        self.assertGreater(self.grid.stats()["retained_dead_bytes"], 0)
        views.clear()
        view = None
        self.wait_released()
        wait_until(lambda: self.grid.stats()["retained_dead_bytes"] == 0, 10.0, "segments to be free")
        self.assertEqual(self.overwrite_everything(1), 0)

    def test_what_one_process_pins_another_cannot_change(self):
        self.grid.set("a", content(1))
        self.grid.set("b", content(2, IN_FILE))
        child = self.spawn(HOLDER, self.launched.address, "a", "b")
        child.read_line()
        self.grid.clear()
        self.overwrite_everything()
        child.write_line("check")
        self.assertEqual(child.read_line(), "[b'000', b'000']")
        self.assertGreater(self.retained(), IN_FILE)
        child.write_line("drop")
        child.read_line()
        self.wait_released()
        child.finish()

    def test_a_run_of_segments_can_be_viewed_whole(self):
        with mock.patch.object(self.grid._store.attachment, "large_value_bytes", 1 << 40):
            with self.grid.pipeline() as pipe:  # what comes in a batch lies in the heap, whatever its size
                pipe.set("run", content(7, 1500 * 1000))
        view = self.grid.view("run")
        self.assertGreater(self.retained(), 1500 * 1000)
        self.grid.delete("run")
        self.overwrite_everything()
        self.assertEqual(view.memoryview, content(7, 1500 * 1000))


class UseTest(ViewTestCase):
    def test_after_release_nothing_is_read_through_it_and_slices_stay(self):
        self.grid.set("k", content(3))
        view = self.grid.view("k")
        buffer = view.memoryview
        part = buffer[8:16]
        view.release()
        view.release()
        self.assertRaises(ClosedError, lambda: view.memoryview)
        self.assertRaises(ClosedError, len, view)
        self.assertRaises(ValueError, lambda: buffer[0])
        self.assertIn("released", repr(view))
        self.grid.clear()
        self.overwrite_everything()
        self.assertEqual(part, b"00000003")
        self.grid.close()
        self.assertEqual(part, b"00000003")
        with nosqgrid.attach(self.launched.address) as other:
            self.assertGreater(other.stats()["retained_bytes"], 0)
            del part
            self.wait_released(other)

    def test_views_and_slices_outlive_the_grid(self):
        self.grid.set("k", content(3))
        self.grid.set("large", content(4, IN_FILE))
        views = [self.grid.view("k"), self.grid.view("large")]
        self.grid.close()
        self.assertRaises(ClosedError, self.grid.view, "k")
        self.grid = nosqgrid.attach(self.launched.address)
        self.grid.clear()
        self.overwrite_everything()
        self.assertEqual([bytes(view.memoryview[:8]) for view in views], [b"00000003", b"00000004"])
        self.assertGreater(self.retained(), IN_FILE)
        del views[:]
        self.wait_released()

    def test_a_view_is_read_only_and_its_map_cannot_be_closed(self):
        self.grid.set("k", content(3))
        with self.grid.view("k") as buffer:
            self.assertTrue(buffer.readonly)
            with self.assertRaises(TypeError):
                buffer[0] = 1
            self.assertRaises(BufferError, buffer.obj.close)

    def test_everybody_who_takes_bytes_takes_it(self):
        self.grid.set("k", content(3))
        with self.grid.view("k") as buffer:
            self.assertEqual(hashlib.sha256(buffer).digest(), hashlib.sha256(content(3)).digest())
            self.assertEqual(struct.unpack_from("8s", buffer, 8), (b"00000003",))
            self.assertEqual(pickle.loads(pickle.dumps(bytes(buffer))), content(3))
            self.assertRaises(TypeError, pickle.dumps, buffer)
            left, right = socket.socketpair()
            with contextlib.closing(left), contextlib.closing(right):
                left.sendall(buffer[:1000])
                self.assertEqual(right.recv(1000), content(3)[:1000])
            with open(self.path("f", keep=True), "wb") as file:
                file.write(buffer)
        with open(self.path("f"), "rb") as file:
            self.assertEqual(file.read(), content(3))
        self.wait_released()

    def test_a_forgotten_view_is_given_back_by_garbage_collection(self):
        self.grid.set("k", content(3))
        self.grid.set("large", content(4, IN_FILE))
        for key in ("k", "large"):
            ring = [self.grid.view(key)]
            ring.append(ring)
            self.assertGreater(self.retained(), 0)
            del ring
            gc.collect()
            self.wait_released()

    def test_small_values_are_copied_and_pin_nothing(self):
        self.grid.set("k", b"x" * (VIEW_BYTES_MIN - 1))
        self.grid.set("empty", b"")
        with self.grid.view("k") as buffer, self.grid.view("empty") as empty:
            self.assertEqual(self.retained(), 0)
            self.assertEqual((len(buffer), len(empty)), (VIEW_BYTES_MIN - 1, 0))
        self.assertRaises(KeyError, self.grid.view, "missing")

    def test_types_and_versions(self):
        version = self.grid.set("s", "\u00e9" * IN_HEAP)
        view = self.grid.view("s")
        self.assertEqual((view.type, view.version, len(view)), (values.STR, version, 2 * IN_HEAP))
        self.assertEqual(str(view.memoryview, "utf-8"), "\u00e9" * IN_HEAP)
        self.grid.set("i", 10 ** 50)
        self.grid.set("j", {"a": [1, "x" * IN_FILE]})
        self.assertEqual(bytes(self.grid.view("i").memoryview), b"1" + b"0" * 50)
        self.assertEqual(values.decode(self.grid.view("j").type, self.grid.view("j").memoryview),
                         {"a": [1, "x" * IN_FILE]})

    def test_views_of_a_namespace(self):
        self.grid.map("m").set("k", content(5))
        self.assertEqual(self.grid.map("m").view("k").memoryview, content(5))
        self.assertRaises(KeyError, self.grid.view, "k")


class ArraysTest(ViewTestCase):
    def test_of_an_array_it_is_the_elements_alone(self):
        for count in (5, 5000, 50000):
            made = array.array("d", range(count))
            self.grid.set("a", made)
            self.grid.set("m", memoryview(made).cast("B").cast("d", [5, count // 5]))
            with self.grid.view("a") as buffer:
                self.assertEqual((buffer.format, buffer.shape, buffer.readonly), ("d", (count,), True))
                self.assertEqual(buffer, memoryview(made))
            view = self.grid.view("m")
            self.assertEqual((view.memoryview.format, view.memoryview.shape), ("d", (5, count // 5)))
            self.assertEqual(len(view), count * 8)
            self.assertEqual(view.memoryview.tobytes(), made.tobytes())
            view.release()
            self.wait_released()

    def test_an_empty_one(self):
        self.grid.set("a", array.array("h"))
        with self.grid.view("a") as buffer:
            self.assertEqual((buffer.format, buffer.nbytes), ("h", 0))

    def test_without_numpy_and_for_elements_that_no_memoryview_has(self):
        data = bytes(range(240)) * 200
        for order, dtype, shape, expected in (
                (buffers.C_ORDER, "<i4", [100, 120], ("i", (100, 120))),
                (buffers.F_ORDER, "<i4", [100, 120], ("B", (48000,))),
                (buffers.C_ORDER, ">i4", [12000], ("B", (48000,))),
                (buffers.C_ORDER, "<c16", [3000], ("B", (48000,))),
                (buffers.C_ORDER, "|b1", [48000], ("?", (48000,))),
                (buffers.C_ORDER, {"fields": [["x", "<f8", 0], ["y", "<i8", 8]], "size": 16}, [3000],
                 ("B", (48000,)))):
            payload = b"".join(buffers.pack(order, {"dtype": dtype, "shape": shape}, data))
            self.grid._set_raw(b"a", values.ARRAY, payload, 0)
            with self.grid.view("a") as buffer:
                self.assertEqual((buffer.format, buffer.shape), expected)
                self.assertEqual(buffer.tobytes(), data)
        scalar = b"".join(buffers.pack(buffers.C_ORDER, {"dtype": "<f8", "shape": []}, struct.pack("<d", 2.5)))
        self.assertEqual(arrays.view(scalar).tolist(), 2.5)

    def test_bytes_that_are_no_array_are_refused(self):
        self.grid._set_raw(b"a", values.ARRAY, b"nonsense" * 4000, 0)
        with self.assertRaisesRegex(nosqgrid.errors.CorruptValueError, "'a'"):
            self.grid.view("a")
        self.wait_released()

    @unittest.skipIf(numpy is None, "needs numpy")
    def test_numpy_arrays_and_what_numpy_makes_of_views(self):
        for made in (numpy.arange(60000, dtype="f8").reshape(200, 300), numpy.arange(6000, dtype="i2"),
                     numpy.asfortranarray(numpy.arange(60000.).reshape(200, 300))):
            self.grid.set("a", made)
            view = self.grid.view("a")
            self.assertEqual(view.memoryview.nbytes, made.nbytes)
            if made.flags.c_contiguous:
                again = numpy.asarray(view.memoryview)
                self.assertTrue((again == made).all())
                self.assertEqual((again.dtype, again.shape), (made.dtype, made.shape))
            else:
                self.assertEqual(view.memoryview, made.T.tobytes())
        self.grid.set("k", content(3))
        view = self.grid.view("k")
        made = numpy.frombuffer(view.memoryview, "S8")
        view.release()
        got = self.grid.get("a")
        self.grid.close()
        self.grid = nosqgrid.attach(self.launched.address)
        self.grid.clear()
        self.overwrite_everything()
        self.assertTrue((made == b"00000003").all())
        self.assertTrue((got == numpy.arange(60000.).reshape(200, 300)).all())
        self.assertFalse(got.flags.writeable)
        del made, got, view
        self.wait_released()

if __name__ == "__main__":
    unittest.main()

"""numpy arrays come back equal, read-only and on the memory that they were read from.  Skipped without numpy."""

import gc
import mmap
import random
import subprocess
import sys
import tempfile
import unittest
import weakref
from unittest import mock

from nosqgrid import errors
from nosqgrid.formats import arrays, buffers, values
from tests.support.tiers import slow

try:
    import numpy
except ImportError:
    numpy = None

PLAIN = ("?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "g", "F", "D", "G", "S1", "S7", "U1",
         "U5", "V3", "V16", "M8[ns]", "M8[D]", "M8[25s]", "M8", "m8[us]", "m8")


def all_dtypes():
    for text in PLAIN:
        for order in "<>":
            yield numpy.dtype(text).newbyteorder(order)
    yield numpy.dtype([("x", "<f8"), ("y", ">i2"), ("\u00e9 ", "U3")])
    yield numpy.dtype([("x", "b"), ("y", "d"), ("z", "b")], align=True)
    yield numpy.dtype([("matrix", "f4", (2, 3)), ("inner", [("a", "i1"), ("b", "M8[s]", 2)])])
    yield numpy.dtype({"names": ["b", "a"], "formats": ["i4", "i2"], "offsets": [8, 1], "itemsize": 20})
    yield numpy.dtype({"names": [], "formats": [], "itemsize": 8})


def filled(rng, dtype, shape, order="C"):
    """An array of random bytes: nothing of it may depend on what they mean."""
    count = int(numpy.prod(shape, dtype=int))
    data = bytes(rng.getrandbits(8) for _ in range(count * dtype.itemsize))
    if dtype.kind == "U":  # not every four bytes are a character
        data = "".join(chr(rng.randrange(1, 0xD800)) for _ in range(len(data) // 4)).encode(
            "utf-32-be" if dtype.str[0] == ">" else "utf-32-le")
    if dtype.kind == "b":
        data = bytes(byte & 1 for byte in data)
    return numpy.ndarray(shape, dtype, data, order=order).copy(order)


def dtype_is_dense(dtype):
    """Whether each byte of an element belongs to a field."""
    if dtype.subdtype is not None:
        return dtype_is_dense(dtype.base)
    if dtype.names is None:
        return True
    inner = [dtype.fields[name][0] for name in dtype.names]
    return sum(field.itemsize for field in inner) == dtype.itemsize and all(map(dtype_is_dense, inner))


def address_of(made):
    return made.__array_interface__["data"][0]


@unittest.skipIf(numpy is None, "numpy is not installed")
class NumpyArrayTests(unittest.TestCase):
    def check(self, value):
        value_type, payload = values.encode(value)
        self.assertEqual(value_type, values.ARRAY)
        found = values.decode(value_type, payload)
        self.assertIs(type(found), numpy.ndarray)
        self.assertEqual((found.dtype, found.shape), (value.dtype, value.shape))
        self.assertEqual((found.dtype.str, found.dtype.isalignedstruct), (value.dtype.str, value.dtype.isalignedstruct))
        if dtype_is_dense(value.dtype):
            self.assertEqual(found.tobytes(), value.tobytes())
        else:  # tobytes makes a copy, in whose padding is anything
            self.assertEqual(repr(found), repr(value))
        if value.flags.forc:
            self.assertEqual((found.flags.c_contiguous, found.flags.f_contiguous),
                             (value.flags.c_contiguous, value.flags.f_contiguous))
        self.assertFalse(found.flags.writeable)
        with self.assertRaises(ValueError):
            found.setflags(write=True)
        with self.assertRaises(ValueError):
            found[...] = value
        return found

    def test_every_plain_dtype_and_many_shapes(self):
        rng = random.Random(1)
        for dtype in all_dtypes():
            for shape in ((), (1,), (5,), (0,), (2, 3), (3, 0, 2), (1, 2, 1, 2), (2, 1) * 8):
                with self.subTest(dtype=dtype, shape=shape):
                    self.check(filled(rng, dtype, shape, rng.choice("CF")))

    def test_random_records(self):
        rng = random.Random(2)

        def random_dtype(depth):
            if depth == 0 or rng.random() < 0.5:
                made = numpy.dtype(rng.choice(PLAIN[:20])).newbyteorder(rng.choice("<>"))
            else:
                fields = [("f%d" % index, random_dtype(depth - 1)) for index in range(rng.randrange(1, 4))]
                made = numpy.dtype(fields, align=rng.random() < 0.5)
            return numpy.dtype((made, (rng.randrange(1, 3),))) if depth < 3 and rng.random() < 0.2 else made

        for _ in range(200):
            dtype = random_dtype(3)
            self.check(numpy.zeros((rng.randrange(3), 2), dtype))

    def test_contiguous_arrays_are_not_copied_and_others_once(self):
        base = numpy.arange(20000.0).reshape(100, 200)
        strings = numpy.array(["abc", "de"] * 500)
        for value in (base, base.T, base[10:20], base.view("M8[s]"), base.astype(">f4"), strings,
                      numpy.zeros(100, [("a", "i4"), ("b", "f8")])):
            _, parts = values.encode_parts(value)
            self.assertEqual(address_of(numpy.frombuffer(parts[1], "u1")), address_of(value))
            self.check(value)
        for value in (base[::2], base[:, :7], base[::-1], base.T[3:50:2], numpy.broadcast_to(base[0], (5, 200))):
            _, parts = values.encode_parts(value)
            self.assertFalse(numpy.shares_memory(numpy.frombuffer(parts[1], "u1"), base))
            self.assertTrue(self.check(value).flags.c_contiguous)

    def test_a_copy_has_zeros_between_the_fields(self):
        dtype = numpy.dtype({"names": ["a", "b"], "formats": ["u1", "u1"], "offsets": [0, 63], "itemsize": 64})
        value = numpy.full((2000, 2), 255, "u1").repeat(64, 1).view(dtype)[::2]
        self.assertFalse(value.flags.forc)
        del [bytes([7]) * 1000 for _ in range(1000)][:]
        data = numpy.frombuffer(values.encode_parts(value)[1][1], "u1").reshape(-1, 64)
        self.assertEqual((data.min(0).tolist(), data.max(0).tolist()), ([255] + [0] * 62 + [255],) * 2)

    def test_fortran_order_is_kept(self):
        value = numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4))
        payload = values.encode(value)[1]
        self.assertEqual(payload[1], ord("F"))
        found = values.decode(values.ARRAY, payload)
        self.assertTrue(found.flags.f_contiguous and not found.flags.c_contiguous)
        self.assertEqual(found.tolist(), value.tolist())

    def test_what_is_decoded_lies_on_the_payload_and_stays_read_only(self):
        value = numpy.arange(1000.0)
        payload = values.encode(value)[1]
        writable = bytearray(payload)
        for given, shared in ((payload, payload), (memoryview(payload), payload), (memoryview(writable), writable)):
            found = values.decode(values.ARRAY, given)
            if sys.version_info >= (3, 8) or type(shared) is bytes:  # 3.7 has to copy what is writable
                whole = numpy.frombuffer(shared, "u1")
                self.assertTrue(numpy.shares_memory(found, whole))
                self.assertEqual(address_of(found), address_of(whole) + 64)
            for view in (found, found[:10], found.reshape(10, 100), found.view("i8")):
                self.assertFalse(view.flags.writeable)
                with self.assertRaises(ValueError):
                    view.flags.writeable = True

    @slow
    def test_a_mapped_payload_lives_as_long_as_an_array_on_it(self):
        class Map(mmap.mmap):
            pass

        with tempfile.TemporaryFile() as file:
            for part in values.encode_parts(numpy.arange(100000))[1]:
                file.write(part)
            file.flush()
            mapped = Map(file.fileno(), 0, access=mmap.ACCESS_READ)
        gone = weakref.ref(mapped)
        found = values.decode(values.ARRAY, memoryview(mapped))
        self.assertEqual(address_of(found) % 64, 0)
        with self.assertRaises(BufferError):
            mapped.close()
        del mapped
        part = found[99990:].reshape(2, 5)
        del found
        gc.collect()
        self.assertIsNotNone(gone())
        self.assertEqual(part[1, 4], 99999)
        with self.assertRaises(ValueError):
            part.base.setflags(write=True)
        del part
        gc.collect()
        self.assertIsNone(gone())

    def test_an_array_outlives_the_memoryview_that_it_was_read_from(self):
        view = memoryview(values.encode(numpy.arange(10))[1])
        found = values.decode(values.ARRAY, view)
        view.release()
        self.assertEqual(found.tolist(), list(range(10)))

    def test_it_can_be_pickled_and_stored_again(self):
        found = values.decode(*values.encode(numpy.arange(10)))
        self.assertEqual(values.decode(*values.encode(found)).tolist(), list(range(10)))

    @slow
    def test_what_is_no_plain_memory_is_refused_with_advice(self):
        titled = numpy.dtype({"names": ["a"], "formats": ["i4"], "titles": ["A"]})
        overlapping = numpy.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]})
        for value, words in (
                (numpy.array([None]), "Python objects.*tolist"), (numpy.zeros(2, [("a", "O")]), "Python objects"),
                (numpy.zeros(2, titled), "has a title"), (numpy.zeros(2, overlapping), "overlap"),
                (numpy.zeros(2, numpy.dtype("f8", metadata={"a": 1})), "metadata"),
                (numpy.zeros(2, numpy.dtype((numpy.record, [("a", "i4")]))), "not one of numpy's own"),
                (numpy.zeros(3, [("a", "i1")] * 0), "element of no bytes"),
                (numpy.zeros(1, [("f%d" % index, "f8") for index in range(12000)]), "its description takes")):
            with self.subTest(words):
                with self.assertRaisesRegex(errors.UnsupportedTypeError, "numpy array of dtype .*" + words):
                    values.encode(value)
                with self.assertRaises(errors.UnsupportedTypeError):
                    values.encode_parts(value)

    def test_subclasses_and_scalars_are_refused_with_advice(self):
        with tempfile.NamedTemporaryFile() as file:
            memmap = numpy.memmap(file.name, "f8", "w+", shape=(4,))
            for value, words in (
                    (memmap, r"numpy.asarray\(value\)"),
                    (numpy.zeros(2, [("a", "i4")]).view(numpy.recarray), r"numpy.asarray\(value\)"),
                    (numpy.ma.masked_array([1, 2], [0, 1]), r"filled\(\)"), (numpy.float64(1), r"value.item\(\)"),
                    (numpy.int32(1), r"value.item\(\)"), (numpy.bool_(True), "item"),
                    (numpy.datetime64(1, "s"), r"value.item\(\)"),
                    ([numpy.arange(3)], r"tolist\(\)"), ({"a": numpy.float32(1)}, r"value.item\(\)")):
                with self.subTest(words):
                    with self.assertRaisesRegex(errors.UnsupportedTypeError, words):
                        values.encode(value)
            self.check(numpy.asarray(memmap))
            del memmap, value
        self.check(numpy.asarray(numpy.float64(1)))

    def test_a_dtype_that_numpy_would_build_another_of_is_refused(self):
        with mock.patch.object(arrays, "_build", return_value=numpy.dtype(">f8")):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, "not one of numpy's own"):
                values.encode(numpy.zeros(3, "<f8"))

    def test_a_dtype_that_only_another_machine_has_is_named(self):
        for dtype, size in (("<f12", 12), ("<c24", 24)):
            payload = b"".join(buffers.pack(ord("C"), {"dtype": dtype, "shape": [1]}, bytes(size)))
            try:
                found = values.decode(values.ARRAY, payload)
            except errors.UnsupportedTypeError as error:
                self.assertIn("this numpy cannot make", str(error))
            else:
                self.assertEqual(found.itemsize, size)

    def test_storing_imports_no_numpy_and_reading_does(self):
        payload = values.encode(numpy.arange(3))[1]
        code = ("import sys; from nosqgrid.formats import values\n"
                "try: values.encode(object())\nexcept TypeError: assert 'numpy' not in sys.modules\n"
                "assert values.decode(9, bytes.fromhex(%r)).sum() == 3\nassert 'numpy' in sys.modules" % payload.hex())
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout), (0, b""))


if __name__ == "__main__":
    unittest.main()

"""Typed buffers, parts without a copy, and what arrays come back as where there is no numpy; all without numpy."""

import array
import base64
import ctypes
import json
import mmap
import random
import struct
import sys
import tempfile
import unittest
from unittest import mock

from nosqgrid import errors, limits
from nosqgrid.cli import storage
from nosqgrid.formats import arrays, buffers, values
from tests.support.random_values import random_value, same

TYPECODES = "bBhHiIlLqQfd"
FORMATS = TYPECODES + "nN?c"
OWN = "<" if sys.byteorder == "little" else ">"


def pack_array_like(dtype, shape, data, order="C"):
    """The payload of a numpy array, made without numpy."""
    return b"".join(buffers.pack(ord(order), {"dtype": dtype, "shape": shape}, data))


def address_of(view):
    """Where the memory of a read-only buffer begins."""
    class PyBuffer(ctypes.Structure):
        _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t),
                    ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                    ("rest", ctypes.c_void_p * 8)]
    found = PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(found), 0)
    try:
        return found.buf
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(found))


class PartsTests(unittest.TestCase):
    def test_parts_joined_are_what_encode_makes(self):
        rng = random.Random(1)
        for value in [random_value(rng, 3) for _ in range(300)] + [
                b"x", bytearray(b"xy"), memoryview(b"xyz"), memoryview(b"abcd").cast("i"), array.array("d", (1, 2)), "",
                None, 5, True, 1.5]:
            value_type, parts = values.encode_parts(value)
            self.assertEqual((value_type, b"".join(parts)), values.encode(value))
            self.assertEqual(values.payload_size(parts), len(b"".join(parts)))
            for part in parts:
                view = memoryview(part)
                self.assertEqual((view.format, view.ndim, view.c_contiguous), ("B", 1, True))

    def test_what_encode_refuses_has_no_parts_either(self):
        for value in (object(), [object()], 1 << 100000, {1: memoryview(b"")}, memoryview(bytes(8))[::2]):
            with self.assertRaises(errors.CallerError) as of_encode:
                values.encode(value)
            with self.assertRaises(errors.CallerError) as of_parts:
                values.encode_parts(value)
            self.assertEqual(str(of_encode.exception), str(of_parts.exception))

    def test_large_memory_is_referred_to_and_not_copied(self):
        for value in (b"x" * 100000, bytearray(100000), memoryview(bytearray(100000)), array.array("d", [1.5] * 10000),
                      memoryview(array.array("i", range(10000))), memoryview(bytes(4096)).cast("h", (16, 128))):
            _, parts = values.encode_parts(value)
            self.assertEqual(address_of(parts[-1]), address_of(value), type(value))
            self.assertLess(values.payload_size(parts[:-1]), 256)

    def test_the_limit_of_a_grid_does_not_bound_the_parts(self):
        before = limits.VALUE_SIZE_BYTES_MAX
        self.addCleanup(setattr, limits, "VALUE_SIZE_BYTES_MAX", before)
        limits.VALUE_SIZE_BYTES_MAX = 1000
        for value in (bytes(2000), bytearray(2000), array.array("b", bytes(2000)), memoryview(bytes(2000)).cast("i")):
            self.assertGreaterEqual(values.payload_size(values.encode_parts(value)[1]), 2000)

    def test_a_released_memoryview_is_named(self):
        view = memoryview(b"x")
        view.release()
        with self.assertRaisesRegex(errors.UsageError, "released"):
            values.encode_parts(view)


class RoundTripTests(unittest.TestCase):
    def check(self, value):
        value_type, payload = values.encode(value)
        self.assertEqual(value_type, values.BUFFER)
        with tempfile.TemporaryFile() as file:
            file.write(payload)
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            for given in (payload, memoryview(payload), memoryview(bytearray(payload)), memoryview(mapped)):
                found = values.decode(value_type, given)
                self.assertIs(type(found), type(value))
                yield found
                if type(found) is memoryview:
                    self.assertTrue(found.readonly)
                    if found.nbytes and type(given) is bytes:
                        self.assertEqual(address_of(found) - address_of(given), len(payload) - found.nbytes)
                    found.release()

    def test_arrays_of_every_typecode(self):
        for typecode in TYPECODES:
            for length in (0, 1, 3, 1000):
                value = array.array(typecode, [index % 100 for index in range(length)])
                for found in self.check(value):
                    self.assertEqual((found.typecode, found), (typecode, value))
                    found.append(1)  # a copy of one's own

    def test_memoryviews_of_every_format_and_many_shapes(self):
        for letter in FORMATS:
            size = struct.calcsize(letter)
            for shape in ((1,), (7,), (2, 3), (1, 1, 5), (), (2,) * 6):
                count = 1
                for length in shape:
                    count *= length
                data = bytes(index % 251 for index in range(count * size))
                value = memoryview(data).cast(letter, shape)
                if letter == "B" and len(shape) == 1:
                    continue  # plain bytes
                for found in self.check(value):
                    self.assertEqual((found.format, found.shape, found.itemsize), (letter, shape, size))
                    self.assertEqual(found.tobytes(), data)
            for found in self.check(memoryview(bytes(size)).cast(letter)[:0]) if letter != "B" else ():
                self.assertEqual((found.format, found.shape), (letter, (0,)))

    def test_bytes_of_several_dimensions_are_no_plain_bytes(self):
        for found in self.check(memoryview(b"abcdef").cast("B", (2, 3))):
            self.assertEqual((found.format, found.shape), ("B", (2, 3)))
            self.assertEqual(found.tolist(), [[97, 98, 99], [100, 101, 102]])

    def test_what_has_no_format_of_one_letter_is_refused_with_advice(self):
        for value, words in ((array.array("u", "ab") if sys.version_info < (3, 13) else array.array("w", "ab"),
                              r"tounicode\(\)"),
                             (memoryview((ctypes.c_int * 3)()), "tobytes"),
                             (memoryview(bytes(8)).cast("P"), "'P'.*tobytes"),
                             (memoryview((ctypes.c_byte * 3)()), "format '<b'")):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, words):
                values.encode(value)

    def test_every_type_decodes_from_a_memoryview(self):
        rng = random.Random(2)
        for value in [random_value(rng, 3) for _ in range(500)]:
            value_type, payload = values.encode(value)
            self.assertTrue(same(values.decode(value_type, memoryview(payload)), value), value)
        for value_type in range(len(values.NAMES)):
            for payload in (b"\xff", b"", b"[1", b"123456"):
                for given in (payload, memoryview(payload)):
                    try:
                        values.decode(value_type, given)
                    except errors.CorruptValueError as error:
                        self.assertIn("bytes, beginning", str(error))
                    except errors.UnsupportedTypeError:
                        self.assertEqual(value_type, values.PICKLE)

    def test_a_pickle_is_not_read_here(self):
        with self.assertRaisesRegex(errors.UnsupportedTypeError, r'attach\(codec="pickle"\)'):
            values.decode(values.PICKLE, b"\x80\x04N.")

    def test_nothing_of_the_new_types_is_shared_by_the_near_cache(self):
        self.assertFalse(values.IMMUTABLE & values.BINARY)


class OtherMachineTests(unittest.TestCase):
    def test_other_sizes_and_the_other_byte_order_are_named(self):
        other = ">" if OWN == "<" else "<"
        for kind in (buffers.ARRAY_MODULE, buffers.MEMORYVIEW):
            for text, size, shape in ((other + "d", 8, [1]), (OWN + "l", 4 if struct.calcsize("l") == 8 else 8, [1])):
                payload = b"".join(buffers.pack(kind, {"format": text, "size": size, "shape": shape}, bytes(size)))
                with self.assertRaisesRegex(errors.UnsupportedTypeError, "this machine does not have.*view"):
                    values.decode(values.BUFFER, payload)


class DumpTests(unittest.TestCase):
    def test_what_is_no_text_is_dumped_in_base64(self):
        for value_type, payload in ((values.ARRAY, pack_array_like("<i2", [1], b"ab")), (values.PICKLE, b"\x80\x04N."),
                                    values.encode(array.array("h", (1,)))):
            dumped = storage._dumped(b"k", value_type, payload, 0, 1)
            self.assertEqual((dumped["encoding"], base64.b64decode(dumped["value"])), ("base64", payload))
            self.assertEqual(dumped["type"], values.NAMES[value_type])
            self.assertNotIn("error", dumped)


@mock.patch.dict(sys.modules, {"numpy": None})
class WithoutNumpyTests(unittest.TestCase):
    def test_simple_arrays_are_memoryviews(self):
        payload = pack_array_like(OWN + "f8", [2, 3], struct.pack("6d", *range(6)))
        found = values.decode(values.ARRAY, payload)
        self.assertEqual((found.format, found.shape, found.readonly), ("d", (2, 3), True))
        self.assertEqual(found.tolist(), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
        self.assertEqual(address_of(found) - address_of(payload), len(payload) - 48)
        for dtype, letter in (("|b1", "?"), ("|i1", "b"), ("|u1", "B"), (OWN + "i2", "h"), (OWN + "u4", "I"),
                              (OWN + "i8", "q"), (OWN + "f4", "f")):
            for shape in ([], [3], [0], [1, 2]):
                count = 1
                for length in shape:
                    count *= length
                data = bytes(count * struct.calcsize(letter))
                found = values.decode(values.ARRAY, pack_array_like(dtype, shape, data))
                self.assertEqual((found.format, found.shape, found.tobytes()), (letter, tuple(shape), data))

    def test_all_others_say_what_to_install(self):
        other = ">" if OWN == "<" else "<"
        for dtype, size in ((other + "f8", 8), ("|S3", 3), (OWN + "U2", 8), (OWN + "c16", 16), (OWN + "M8[ns]", 8),
                            ("|V5", 5), (OWN + "f2", 2), ({"fields": [["a", "<i4", 0]], "size": 4}, 4)):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, r"pip install numpy.*view\(\)"):
                values.decode(values.ARRAY, pack_array_like(dtype, [2], bytes(2 * size)))
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "pip install numpy"):
            values.decode(values.ARRAY, pack_array_like(OWN + "i4", [2, 2], bytes(16), order="F"))
        with self.assertRaisesRegex(errors.UnsupportedTypeError, r"cannot have the shape \(0, 3\)"):
            values.decode(values.ARRAY, pack_array_like(OWN + "i4", [0, 3], b""))


class CorruptionTests(unittest.TestCase):
    """Whatever the bytes: CorruptValueError, UnsupportedTypeError or a value, and no more memory than they have."""

    SEEDS = ((values.ARRAY, pack_array_like(OWN + "f8", [2, 3], bytes(48))),
             (values.ARRAY, pack_array_like(OWN + "i4", [2, 2], bytes(16), order="F")),
             (values.ARRAY, pack_array_like(OWN + "M8[25us]", [3], bytes(24))),
             (values.ARRAY, pack_array_like({"fields": [["x", OWN + "f8", 0], ["y", {"base": "|S3", "shape": [2]}, 8]],
                                             "size": 16, "aligned": True}, [2], bytes(32))),
             values.encode(array.array("d", (1, 2))), values.encode(memoryview(bytes(24)).cast("h", (3, 4))))

    def refused(self, value_type, payload):
        for given in (payload, memoryview(payload)):
            with self.assertRaises(errors.CorruptValueError, msg=payload) as caught:
                values.decode(value_type, given)
        self.assertLess(len(str(caught.exception)), 400)
        return str(caught.exception)

    def test_every_truncation_and_every_addition_is_refused(self):
        for value_type, payload in self.SEEDS:
            for length in range(len(payload)):
                self.refused(value_type, payload[:length])
            self.refused(value_type, payload + b"\0")

    def test_every_flipped_bit_of_the_head_is_survived(self):
        outcomes = set()
        for value_type, payload in self.SEEDS:
            head_length = len(payload) // 64 * 64
            for position in range(min(head_length, len(payload))):
                for bit in range(8):
                    changed = bytearray(payload)
                    changed[position] ^= 1 << bit
                    try:
                        found = values.decode(value_type, bytes(changed))
                        size_bytes = found.nbytes if hasattr(found, "nbytes") else len(found) * found.itemsize
                        self.assertLessEqual(size_bytes, len(payload))
                    except (errors.CorruptValueError, errors.UnsupportedTypeError) as error:
                        found = error
                    outcomes.add(type(found).__name__)
        self.assertIn("CorruptValueError", outcomes)

    def test_fuzzed_heads_are_survived(self):
        rng = random.Random(3)
        words = [b"[", b"]", b"{", b"}", b'"', b",", b"9" * 30, b"-1", b"0", b"null", b"|O8", b"f16", b"<U9999999999",
                 b'{"fields":[],"size":8}', b'{"base":"<f8","shape":[1]}', b"1e3", b"true", b"S0", b"\xff", b"c32"]
        decoded = refused = 0
        for _ in range(6000):
            value_type, payload = rng.choice(self.SEEDS)
            text_length = buffers.HEADER.unpack_from(payload)[3]
            text = bytearray(payload[16:16 + text_length])
            for _ in range(rng.randrange(1, 4)):
                position = rng.randrange(len(text) + 1)
                text[position:position + rng.randrange(5)] = rng.choice(words)
            head = payload[:4] + struct.pack("<I", len(text)) + payload[8:16] + bytes(text)
            changed = head + bytes(-len(head) % 64) + payload[16 + text_length + -(16 + text_length) % 64:]
            try:
                values.decode(value_type, changed)
                decoded += 1
            except (errors.CorruptValueError, errors.UnsupportedTypeError):
                refused += 1
        self.assertGreater(refused, 1000)

    def test_shapes_that_do_not_fit(self):
        most = sys.maxsize
        for shape in ([7], [-1], [-1, -3], [True], [1.0], ["3"], None, 3, {"a": 1}, [3, [1]], [most, most, 0],
                      [2 ** 62, 2], [2 ** 64 + 3], [0, 1], [3] + [1] * 64, [10 ** 600]):
            self.refused(values.ARRAY, pack_array_like(OWN + "f8", shape, bytes(24)))
            description = {"format": OWN + "d", "size": 8, "shape": shape}
            self.refused(values.BUFFER, b"".join(buffers.pack(buffers.MEMORYVIEW, description, bytes(24))))
        self.refused(values.ARRAY, pack_array_like(OWN + "f8", [most, most, 0], b""))
        self.refused(values.ARRAY, pack_array_like(OWN + "f8", [most // 8 + 1, 0], b""))
        for shape in ([3, 1], []):
            description = {"format": OWN + "d", "size": 8, "shape": shape}
            self.refused(values.BUFFER, b"".join(buffers.pack(buffers.ARRAY_MODULE, description, bytes(24))))

    def test_formats_that_nobody_writes(self):
        for text, size in (("d", 8), (OWN, 8), (OWN + "P", 8), (OWN + "u", 4), (OWN + "dd", 8), ("@d", 8), (8, 8),
                           (OWN + "d", 0), (OWN + "d", True), (OWN + "d", 16), (OWN + "x", 1), (None, 8), ([], 8)):
            for kind in (buffers.ARRAY_MODULE, buffers.MEMORYVIEW):
                description = {"format": text, "size": size, "shape": [8 // (size or 1)]}
                self.refused(values.BUFFER, b"".join(buffers.pack(kind, description, bytes(8))))

    def test_dtypes_that_nobody_writes(self):
        deep = OWN + "f8"
        for _ in range(33):
            deep = {"fields": [["a", deep, 0]], "size": 8}
        for dtype in ("f8", "=f8", "<f7", "O", "|O8", "<f8,<f8", "(2)<f8", "<f8\n", " <f8", "|S0", "|S", "<U",
                      "|S9999999999", "<M8[s/2]", "<M8[0s]", "<M8[parsec]", "float64", "", 8, None, True, [], ["<f8"],
                      [["a", "<f8"]], {}, {"base": "<f8"}, {"base": "<f8", "shape": []}, {"base": "<f8", "shape": [0]},
                      {"base": "<f8", "shape": [2 ** 31]},
                      {"fields": [["a", {"base": "<f8", "shape": [2 ** 30] * 64}, 0]], "size": 8},
                      {"base": "|O8", "shape": [1]}, {"base": "<f8", "shape": 8},
                      {"base": "<f8", "shape": [1], "x": 1}, {"base": "<f8", "shape": [1] * 65}, deep,
                      {"fields": [], "size": 0}, {"fields": {}, "size": 8}, {"fields": [["a", "<f8", 0]]},
                      {"fields": [["a", "<f8", 0]], "size": 7}, {"fields": [["a", "<f8", 1]], "size": 8},
                      {"fields": [["a", "<f8", -8]], "size": 8}, {"fields": [["a", "<f8", 0.0]], "size": 8},
                      {"fields": [["a", "|O8", 0]], "size": 8}, {"fields": [["", "<f8", 0]], "size": 8},
                      {"fields": [[1, "<f8", 0]], "size": 8}, {"fields": [["a", "<f8"]], "size": 8},
                      {"fields": [["a", "<i4", 0], ["a", "<i4", 4]], "size": 8},
                      {"fields": [["a", "<i4", 0], ["b", "<i4", 3]], "size": 8},
                      {"fields": [["a", "<i4", 4], ["b", "<i8", 0]], "size": 8},
                      {"base": "<f8", "shape": [1]}, {"fields": [["a", "<f8", 0]], "size": 8, "aligned": False},
                      {"fields": [["a", "<f8", 0]], "size": 8, "titles": ["a"]},
                      {"fields": [["a", "<f8", 0]], "size": 2 ** 31}, {"fields": [["a", "<f8", 0]], "size": "8"}):
            with self.subTest(dtype=dtype):
                self.refused(values.ARRAY, pack_array_like(dtype, [1], bytes(8)))

    def test_descriptions_that_are_none(self):
        for text in (b"", b"[]", b"5", b"{}", b'{"dtype":"<f8"}', b'{"dtype":"<f8","shape":[1],"x":1}', b"\xff" * 9,
                     b'{"dtype":"<f8","shape":[1]}x', b"[" * 100000, b'{"a":' * 10000, b"9" * 200000,
                     b'{"dtype":"<f8","shape":[' + b"9" * 100000 + b"]}", b'{"dtype":"<f8","shape":[NaN]}'):
            head = buffers.HEADER.pack(1, ord("C"), 0, len(text), 8) + text
            self.refused(values.ARRAY, head + bytes(-len(head) % 64) + bytes(8))

    def test_heads_that_are_none(self):
        _, payload = self.SEEDS[0]
        self.assertEqual(buffers.HEADER.unpack_from(payload), (1, 67, 0, 29, 48))
        for version, kind, zeros, text_length, data_length in (
                (0, 67, 0, 29, 48), (2, 67, 0, 29, 48), (1, 68, 0, 29, 48), (1, 77, 0, 29, 48), (1, 67, 1, 29, 48),
                (1, 67, 0, 2 ** 32 - 1, 48), (1, 67, 0, 29, 2 ** 64 - 1), (1, 67, 0, 29, 2 ** 64 - 64),
                (1, 67, 0, 29, 47), (1, 67, 0, 29, 0), (1, 67, 0, 28, 48)):
            self.refused(values.ARRAY, buffers.HEADER.pack(version, kind, zeros, text_length, data_length)
                         + payload[16:])
        text_end = 16 + buffers.HEADER.unpack_from(payload)[3]
        changed = bytearray(payload)
        changed[text_end] = 1
        self.assertIn("between the description and the data", self.refused(values.ARRAY, bytes(changed)))

    def test_a_description_has_a_limit(self):
        many = {"fields": [["f%d" % index, "|i1", index] for index in range(20000)], "size": 20000}
        with self.assertRaisesRegex(ValueError, "its description takes"):
            pack_array_like(many, [0], b"")
        text = json.dumps({"dtype": many, "shape": [0]}).encode()
        head = buffers.HEADER.pack(1, ord("C"), 0, len(text), 0) + text
        self.assertIn("a description of", self.refused(values.ARRAY, head + bytes(-len(head) % 64)))

    def test_no_array_means_no_numpy(self):
        with mock.patch.dict(sys.modules):
            sys.modules.pop("numpy", None)
            self.assertIsNone(arrays.numpy_of(type("ndarray", (), {"__module__": "numpy"})))
            self.assertNotIn("numpy", sys.modules)


if __name__ == "__main__":
    unittest.main()

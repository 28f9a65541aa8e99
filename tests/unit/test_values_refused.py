"""What formats/values refuses: values it cannot bring back exactly, and bytes that no value made."""

import array
import collections
import datetime
import enum
import random
import sys
import threading
import time
import unittest

from nosqgrid import errors, limits
from nosqgrid.formats import values
from tests.support.random_values import random_value, same
from tests.support.tiers import slow

UTC = datetime.timezone.utc
FUZZ_SECONDS = 1.0


class Colour(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    """A str subclass."""


Point = collections.namedtuple("Point", "x y")


class Refusals(unittest.TestCase):
    def test_types_that_are_not_carried_are_named_with_advice(self):
        class Plain:
            pass

        def numpy_like(name, *bases):
            return type(name, bases, {"__module__": "numpy"})()

        numpy_like.ndarray, numpy_like.generic = (
            type(name, (), {"__module__": "numpy"}) for name in ("ndarray", "generic"))
        dataclass_like = type("Data", (), {"__dataclass_fields__": {}})()
        for value, words in (
                (Colour.RED, "Colour.*its .value"), (Number.ONE, "Number.*its .value"), (Point(1, 2), "Point.*_asdict"),
                (Text("x"), r"Text.*str\(value\)"), (collections.OrderedDict(), r"OrderedDict.*dict\(value\)"),
                (collections.defaultdict(int), r"collections.defaultdict.*dict\(value\)"),
                (type("Numbers", (list,), {})(), r"Numbers.*list\(value\)"), (Plain(), "Plain.*carried are None"),
                (object(), "object.*carried are"), (1j, r"complex: store str\(value\)"),
                (range(3), r"range.*list\(value\)"),
                (numpy_like("ndarray"), r"numpy.ndarray: inside a container.*tolist"),
                (numpy_like("memmap", numpy_like.ndarray), r"numpy.memmap: only ndarray itself.*asarray\(value\)"),
                (numpy_like("MaskedArray", numpy_like.ndarray), r"numpy.MaskedArray.*filled\(\)"),
                (numpy_like("float64", numpy_like.generic, float), r"numpy.float64.*item\(\).*asarray\(value\)"),
                (dataclass_like, "dataclasses.asdict"),
                (type("Moment", (datetime.datetime,), {})(1, 2, 3), "Moment.*fields")):
            for wrapped in (value, [value], {"k": value}, (1, [value])):
                with self.subTest(wrapped=type(wrapped), value=type(value)):
                    with self.assertRaisesRegex(errors.UnsupportedTypeError, words):
                        values.encode(wrapped)

    def test_subclasses_as_dict_keys_are_refused(self):
        for key in (Text("x"), Number.ONE, Point(1, 2)):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, type(key).__name__):
                values.encode({key: 1})

    def test_buffers_inside_a_container_are_refused(self):
        for value in ([bytearray(b"x")], (memoryview(b"x"),)):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, r"inside a container store bytes\(value\)"):
                values.encode(value)
        for value in ([array.array("i", (1,))], {"k": (array.array("i"),)}):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, r"inside a container store value.tolist\(\)"):
                values.encode(value)

    def test_cycles_are_named(self):
        loop = []
        loop.append(loop)
        ring = {"a": [()]}
        ring["a"].append({"b": (ring,)})
        wide = []
        wide.extend([wide, wide, wide])
        for value in (loop, ring, [loop], (wide,)):
            with self.assertRaisesRegex(errors.UsageError, "contains itself"):
                values.encode(value)

    def test_a_part_that_is_shared_is_no_cycle(self):
        part = [1, {"x": 2}]
        self.assertEqual(values.decode(*values.encode([part, part])), [part, part])
        self.assertEqual(values.decode(*values.encode((part, part))), (part, part))

    def test_a_small_value_with_an_endless_text_is_refused(self):
        before = limits.VALUE_SIZE_BYTES_MAX
        self.addCleanup(setattr, limits, "VALUE_SIZE_BYTES_MAX", before)
        limits.VALUE_SIZE_BYTES_MAX = 100000
        for leaf in ([], ()):
            value = leaf
            for _ in range(60):
                value = [value, value]
            with self.assertRaisesRegex(errors.ValueTooLargeError, "more than 100000 bytes"):
                values.encode(value)

    def test_no_recursion_error_leaves_encode_or_decode(self):
        value = [1]
        for _ in range(60):
            value = [value]
        found = {}

        def deepen(levels, action):
            if levels:
                return deepen(levels - 1, action)
            return action()

        for name, action in (
                ("plain", lambda: values.encode(value)), ("tagged", lambda: values.encode((value,))),
                ("json", lambda: values.decode(values.JSON, values.encode(value)[1])),
                ("untag", lambda: values.decode(values.TAGGED, values.encode((value,))[1]))):
            for levels in range(sys.getrecursionlimit() - 400, sys.getrecursionlimit(), 3):
                try:
                    deepen(levels, action)
                except (errors.UsageError, errors.CorruptValueError) as error:
                    found[name] = type(error)
                except RecursionError as error:
                    # Only the calls of this test itself, or of encode and decode before they do anything, may fail.
                    self.assertLess(traceback_depth_inside_formats(error), 4, name)
        if sys.version_info < (3, 11):  # later ones do not count calls of C functions, or count them apart
            self.assertEqual(found["plain"], errors.UsageError)

    @slow
    def test_elements_that_all_collide_are_refused_on_both_sides(self):
        modulus = 2 ** 61 - 1
        few = {index * modulus for index in range(limits.HASH_COLLISIONS_MAX)}
        self.assertEqual(values.decode(*values.encode(few)), few)
        many = few | {limits.HASH_COLLISIONS_MAX * modulus}
        with self.assertRaisesRegex(errors.UsageError, "set with more than 1000 elements of one hash value"):
            values.encode(many)
        with self.assertRaisesRegex(errors.UsageError, "dict with more than 1000 elements of one hash value"):
            values.encode(dict.fromkeys(many))
        elements = ",".join(str(index * modulus) for index in range(100000))
        pairs = ",".join("[%d,0]" % (index * modulus) for index in range(100000))
        started = time.monotonic()
        for text in ('{"$set":[%s]}' % elements, '{"$frozenset":[%s]}' % elements, '{"$dict":[%s]}' % pairs):
            with self.assertRaisesRegex(errors.CorruptValueError, "of one hash value"):
                values.decode(values.TAGGED, text.encode())
        self.assertLess(time.monotonic() - started, 20.0)

    def test_large_sets_and_dicts_without_collisions_are_carried(self):
        for value in (set(range(5000)), dict.fromkeys(range(5000)), {"k%d" % index: () for index in range(5000)}):
            self.assertEqual(values.decode(*values.encode(value)), value)


def traceback_depth_inside_formats(error):
    depth, frame = 0, error.__traceback__
    while frame is not None:
        depth += frame.tb_frame.f_globals.get("__name__", "").startswith("nosqgrid.")
        frame = frame.tb_next
    return depth


class Corruption(unittest.TestCase):
    def refused(self, value_type, payload):
        with self.assertRaises(errors.CorruptValueError, msg=payload[:80]) as caught:
            values.decode(value_type, payload)
        with self.assertRaises(errors.CorruptValueError, msg=payload[:80]):
            values.DECODERS[value_type](payload)
        return str(caught.exception)

    def test_unknown_types(self):
        for value_type in range(len(values.NAMES), 256):
            self.assertIn("type %d is unknown" % value_type, self.refused(value_type, b""))
        for value_type in (-1, 256, 1 << 70):
            with self.assertRaisesRegex(errors.CorruptValueError, "not a byte"):
                values.decode(value_type, b"")

    def test_payloads_that_are_not_of_their_type(self):
        for value_type, payloads in (
                (values.STR, (b"\xff", b"\xc3", b"\xc0\x80")),
                (values.INT, (b"", b"-", b"1_0", b" 1", b"1\n", b"+1", b"--1", b"0x1", b"1.0", "\u0661".encode(),
                              b"9" * 4097, b"-" + b"9" * 4097, b"9" * 1000000)),
                (values.FLOAT, (b"", b"x", b"1,5", b"1" * 513, b"0x1p3")),
                (values.BOOL, (b"", b"2", b"01", b"true")),
                (values.NONE, (b"x", b"\x00")),
                (values.JSON, (b"", b" []", b"[] ", b"[", b"[1,]", b"{'a':1}", b"5", b'"x"', b"null", b"NaN", b"[NaN]",
                               b"[Infinity]", b"[-Infinity]", b"\xff", b'["\xff"]', b'["\n"]', b"[" * 100000,
                               b'{"a":' * 100000, b"[" + b"9" * 100000 + b"]", b"[" + b"1" * 2000 + b".5]",
                               b"[" + b"-" + b"9" * 2000 + b"]")),
                (values.DATETIME, (b"", b"2020-01-01", b"2020-13-01T00:00:00", b"2020-01-01T24:00:00",
                                   b"2020-01-01 00:00:00", b"2020-01-01T00:00:00Z", b"2020-01-01T00:00:00+24:00",
                                   b"2020-01-01T00:00:00.1", b"0000-01-01T00:00:00", b"2020-01-01T00:00:00\n",
                                   b"2020-01-01T00:00:00+00:00[fold=2]", "2020-01-0\u0661T00:00:00".encode()))):
            for payload in payloads:
                with self.subTest(value_type=value_type, payload=payload[:40]):
                    message = self.refused(value_type, payload)
                    self.assertIn("not a value of type " + values.NAMES[value_type], message)
                    self.assertLess(len(message), 400)

    def test_escapes_that_nobody_writes(self):
        for text in ('5', '"x"', 'null', '{"$x":1}', '{"$":1}', '{"$tuple":1}', '{"$tuple":{"a":1}}', '{"$set":[[]]}',
                     '{"$set":[1,1]}', '{"$set":[{}]}', '{"$frozenset":"ab"}', '{"$dict":{}}', '{"$dict":[1]}',
                     '{"$dict":["ab"]}', '{"$dict":[[1]]}', '{"$dict":[[[],1]]}', '{"$dict":[[1,2],[1,3]]}',
                     '{"$bytes":1}', '{"$bytes":"A"}', '{"$bytes":"AA=="}x', '{"$bytes":"AB=="}', '{"$bytes":"A A="}',
                     '{"$bytes":"\\u00e9"}', '{"$bytes":"\\ud800"}', '{"$float":"1.5"}', '{"$float":1}', '{"$int":"x"}',
                     '{"$int":"%s"}' % ("9" * 4097), '{"$date":"2020-02-30"}', '{"$date":"x"}', '{"$time":"25:00:00"}',
                     '{"$time":"x"}', '{"$datetime":"x"}', '{"$datetime":"\\u00e9"}', '{"$timedelta":[1,2]}',
                     '{"$timedelta":[1,2,true]}', '{"$timedelta":[1e99,0,0]}', '{"$timedelta":[%s,0,0]}' % ("9" * 600),
                     '{"$tuple":' * 5000, '[{"$set":[{"$tuple":[[]]}]}]', '{"$int":"%s"}' % ("9" * 100000)):
            with self.subTest(text=text[:40]):
                self.refused(values.TAGGED, text.encode())

    @slow
    def test_depth_is_bounded_where_the_recursion_limit_is_not(self):
        before = sys.getrecursionlimit()
        self.addCleanup(sys.setrecursionlimit, before)
        sys.setrecursionlimit(10 ** 6)
        for payload in (b"[" * 1000000, b'{"a":' * 1000000, b'["\\\\",' * 100000, b'["\\"",' * 100000,
                        b'[' * 300 + b']' * 300):
            self.assertIn("nested deeper than any value", self.refused(values.JSON, payload))
        flat = [["[[[[", "\\", '"{{{{'] for _ in range(1000)]
        self.assertEqual(values.decode(*values.encode(flat)), flat)
        unterminated = b'[{},' * 200 + b'"' + b'\\"' * 100000
        self.refused(values.JSON, unterminated)

    def test_strings_full_of_digits_are_not_taken_for_numbers(self):
        for value in (["9" * 100000], {"9" * 5000: 1.5, "x": -3}, ("9" * 100000, 1)):
            self.assertEqual(values.decode(*values.encode(value)), value)

    def test_decoding_in_threads_gives_each_its_own(self):
        payload = values.encode([1, [2]])[1]
        found = []

        def work():
            mine = [values.decode(values.JSON, payload) for _ in range(200)]
            for value in mine:
                value[1].append("mine")
            found.append(all(value == [1, [2, "mine"]] for value in mine))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [True] * 4)

    @slow
    def test_fuzzed_payloads_decode_or_are_corrupt(self):
        rng = random.Random(7)
        seeds = [values.encode(random_value(rng, 3)) for _ in range(300)]
        seeds += [values.encode(value) for value in (12, 1.5, "x", True, datetime.datetime(2020, 1, 1, tzinfo=UTC))]
        words = [b'"$', b"$tuple", b"$dict", b"$set", b"$int", b"[", b"]", b"{", b"}", b":", b",", b"9" * 700, b"1e999",
                 b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\x00", b"-", b"NaN", b"null"]
        decoded = corrupt = 0
        deadline = time.monotonic() + FUZZ_SECONDS
        while time.monotonic() < deadline:
            for _ in range(100):
                value_type, payload = mutate(rng, rng.choice(seeds), words)
                try:
                    value = values.decode(value_type, payload)
                except errors.CorruptValueError:
                    corrupt += 1
                    continue
                except errors.UnsupportedTypeError:
                    self.assertIn(value_type, values.BINARY)
                    continue
                decoded += 1
                # What decodes can be stored again, and then comes back the same.
                if type(value) in (list, dict, tuple, set, frozenset):
                    self.assertTrue(same(values.decode(*values.encode(value)), value), payload)
        self.assertGreater(decoded, 100)
        self.assertGreater(corrupt, 100)


def mutate(rng, seed, words):
    value_type, payload = seed
    payload = bytearray(payload)
    for _ in range(rng.randrange(4)):
        position = rng.randrange(len(payload) + 1)
        action = rng.randrange(4)
        if action == 0:
            payload[position:position] = rng.choice(words)
        elif action == 1:
            del payload[position:position + rng.randrange(1, 6)]
        elif action == 2 and position < len(payload):
            payload[position] ^= 1 << rng.randrange(8)
        else:
            payload[position:] = payload[rng.randrange(len(payload) + 1):]
    if rng.random() < 0.1:
        value_type = rng.randrange(256)
    return value_type, bytes(payload)


if __name__ == "__main__":
    unittest.main()

"""Values and keys come back exactly as they were; test_values_refused has what does not."""

import array
import datetime
import math
import random
import sys
import unittest

from nosqgrid import errors, limits
from nosqgrid.formats import scalars, tagged, values
from tests.support.random_values import random_value, same
from tests.support.tiers import slow

UTC = datetime.timezone.utc


class SummerTime(datetime.tzinfo):
    """A zone whose offset depends on the date, as zones with summer time do."""

    def utcoffset(self, moment):
        if moment is None:
            return None
        return datetime.timedelta(hours=2 if 3 < moment.month < 11 else 1)

    def dst(self, moment):
        return None


class RoundTrip(unittest.TestCase):
    def check(self, value, value_type=None):
        found_type, payload = values.encode(value)
        self.assertIs(type(payload), bytes)
        if value_type is not None:
            self.assertEqual(found_type, value_type, value)
        found = values.decode(found_type, payload)
        self.assertTrue(same(found, value), (value, payload, found))
        self.assertTrue(same(values.DECODERS[found_type](payload), value))
        return payload

    def test_each_scalar_type_has_its_own_number_and_text(self):
        for value, value_type, payload in (
                (b"\x00\xff", values.BYTES, b"\x00\xff"), (b"", values.BYTES, b""), ("", values.STR, b""),
                ("\u00e9", values.STR, b"\xc3\xa9"), (0, values.INT, b"0"), (-12, values.INT, b"-12"),
                (1.5, values.FLOAT, b"1.5"), (1e16, values.FLOAT, b"1e+16"), (True, values.BOOL, b"1"),
                (False, values.BOOL, b"0"), (None, values.NONE, b"")):
            with self.subTest(value=value):
                self.assertEqual(self.check(value, value_type), payload)

    def test_bytes_are_not_copied(self):
        value = b"x" * 1000
        self.assertIs(values.encode(value)[1], value)
        self.assertIs(values.decode(values.BYTES, value), value)

    def test_true_one_and_one_point_zero_stay_apart_at_every_depth(self):
        for value in (True, 1, 1.0, False, 0, 0.0, -0.0, "1", b"1"):
            for wrapped in (value, [value], {"k": value}, (value,), {value}, {value: value}, [[(value,)]]):
                self.check(wrapped)

    def test_floats_without_an_end_or_a_value(self):
        for value in (math.nan, math.inf, -math.inf, -0.0, 5e-324, sys.float_info.max):
            self.check(value, values.FLOAT)
            self.check([value])
        self.assertEqual(values.encode([math.nan]), (values.TAGGED, b'[{"$float":"nan"}]'))

    def test_plain_containers_are_plain_json(self):
        self.assertEqual(self.check({"a": [1, 2.5, None, True, "\u00e9"], "b": {}}, values.JSON),
                         b'{"a":[1,2.5,null,true,"\xc3\xa9"],"b":{}}')
        self.check([], values.JSON)
        self.check({"$tuple": [1]}, values.JSON)

    def test_other_containers_are_tagged_json(self):
        self.assertEqual(self.check((1, "x"), values.TAGGED), b'{"$tuple":[1,"x"]}')
        self.assertEqual(self.check([b"\x00\x01\x02"], values.TAGGED), b'[{"$bytes":"AAEC"}]')
        for value in ((), set(), frozenset(), {1, "a", None}, frozenset((b"x", (1, 2))), {1: 2}, {None: [()]},
                      {(1, frozenset((2,))): {b"k": {3}}}, datetime.date(2020, 2, 29), datetime.time(1, 2, 3, 4),
                      datetime.timedelta(-3, 5, 7), [datetime.datetime(2020, 1, 1)], {datetime.date.min: 1}):
            self.check(value, values.TAGGED)

    def test_a_dict_that_looks_like_an_escape_is_still_a_dict(self):
        for inner in ({"$tuple": [1]}, {"$dict": []}, {"$": 1}, {"$bytes": "AA==", "x": 1}, {"$nothing": {"$set": []}},
                      {"$dict": [["a", 1]]}):
            self.check([inner, ()], values.TAGGED)
            self.check({"$dict": [[inner, ({"$tuple": inner},)]]}, values.TAGGED)

    def test_order_of_a_dict_is_kept(self):
        for names in ("abc", "cba"):
            decoded = values.decode(*values.encode({name: 1 for name in names}))
            self.assertEqual("".join(decoded), names)
            decoded = values.decode(*values.encode({name: () for name in names}))
            self.assertEqual("".join(decoded), names)

    def test_strings_with_lone_surrogates(self):
        for value in ("\ud800", "\udc80", "\ud800\udc00", "a\udcffb", "\U00010000"):
            for wrapped in (value, [value], {value: value}, (value,)):
                self.check(wrapped)

    def test_ints_up_to_the_limit(self):
        most = 10 ** limits.INT_DIGITS_MAX - 1
        for value in (2 ** 63, -2 ** 63, 10 ** 639, 10 ** 640 - 1, 10 ** 640, 10 ** 641, 1 - 10 ** 640, most, -most,
                      3 * 10 ** 1280, 10 ** 1280 + 5):
            self.check(value, values.INT)
            self.check([value])
            self.check((value,))
            self.check({value})
        for value in (most + 1, -most - 1, 1 << 100000):
            for wrapped in (value, [value], {"a": {"b": (value,)}}):
                with self.assertRaisesRegex(errors.ValueTooLargeError, "4096 decimal digits.*to_bytes"):
                    values.encode(wrapped)

    def test_long_ints_do_not_depend_on_the_interpreter_setting(self):
        if not hasattr(sys, "set_int_max_str_digits"):
            self.skipTest("this Python has no limit on digits")
        before = sys.get_int_max_str_digits()
        self.addCleanup(sys.set_int_max_str_digits, before)
        sys.set_int_max_str_digits(640)
        most = 10 ** limits.INT_DIGITS_MAX - 1
        for value in (most, -most, [most], {"a": 10 ** 640 - 1}):
            self.assertEqual(values.decode(*values.encode(value)), value)

    def test_datetimes_naive_and_aware(self):
        moment = datetime.datetime(2020, 10, 25, 2, 30, 5, 123456)
        self.assertEqual(self.check(moment, values.DATETIME), b"2020-10-25T02:30:05.123456")
        self.assertEqual(self.check(moment.replace(microsecond=0, tzinfo=UTC)), b"2020-10-25T02:30:05+00:00")
        self.assertIs(values.decode(*values.encode(moment.replace(tzinfo=UTC))).tzinfo, UTC)
        self.assertEqual(self.check(moment.replace(fold=1)), b"2020-10-25T02:30:05.123456[fold=1]")
        west = datetime.timezone(-datetime.timedelta(hours=3, minutes=30))
        for value in (datetime.datetime.min, datetime.datetime.max, moment.replace(tzinfo=west, fold=1)):
            self.check(value, values.DATETIME)
            self.check((value,))
        for value in (datetime.time(1, 2, tzinfo=west), datetime.time(23, 59, fold=1), datetime.time.max):
            self.check(value)

    def test_offsets_with_seconds_where_the_python_has_them(self):
        if sys.version_info < (3, 7):
            self.skipTest("Python 3.6 has offsets of whole minutes only")
        for seconds in (3601, -3601, 0.000001, -86399.5):
            zone = datetime.timezone(datetime.timedelta(seconds=seconds))
            self.check(datetime.datetime(1900, 1, 1, 12, tzinfo=zone))
            self.check(datetime.time(12, tzinfo=zone))

    def test_the_reader_for_python_3_6_reads_the_same(self):
        texts = (b"2020-10-25T02:30:05.123456", b"0001-01-01T00:00:00-03:30[fold=1]", b"9999-12-31T23:59:59+14:00")
        fast = scalars._from_isoformat
        self.addCleanup(setattr, scalars, "_from_isoformat", fast)
        found = [scalars.datetime_from(text) for text in texts]
        scalars._from_isoformat = None
        self.assertTrue(same([scalars.datetime_from(text) for text in texts], found))

    def test_a_zone_with_summer_time_keeps_its_offset_of_that_moment(self):
        for month, hours in ((1, 1), (7, 2)):
            value = datetime.datetime(2020, month, 1, 12, tzinfo=SummerTime())
            found = values.decode(*values.encode(value))
            self.assertEqual(found, value)
            self.assertEqual(found.utcoffset(), datetime.timedelta(hours=hours))
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "SummerTime has no fixed offset"):
            values.encode(datetime.time(12, tzinfo=SummerTime()))

    def test_buffers_come_back_as_bytes(self):
        numbers = array.array("i", (1, 2, 3, 4))
        for value in (bytearray(b"abc"), memoryview(b"abc"), memoryview(bytearray(b"abc"))):
            self.assertEqual(values.encode(value), (values.BYTES, b"abc"))
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "not contiguous.*tobytes"):
            values.encode(memoryview(numbers)[::2])
        released = memoryview(b"x")
        released.release()
        with self.assertRaisesRegex(errors.UsageError, "released"):
            values.encode(released)

    def test_depth_up_to_the_limit(self):
        for wrap in (lambda inner: [inner], lambda inner: {"k": inner}, lambda inner: (inner,),
                     lambda inner: {1: inner}, lambda inner: frozenset((inner,)), lambda inner: {"$tuple": inner}):
            value = wrap(1)
            for _ in range(limits.VALUE_DEPTH_MAX - 1):
                value = wrap(value)
            self.check(value)
            for deeper in (wrap(value), wrap(wrap(value))):
                with self.assertRaisesRegex(errors.UsageError, "deeper than 64 levels"):
                    values.encode(deeper)

    @slow
    def test_a_million_elements_are_carried(self):
        self.check(list(range(100000)), values.JSON)
        self.check([(), list(range(100000))], values.TAGGED)

    def test_random_values_come_back_exactly(self):
        rng = random.Random(20240607)
        for _ in range(3000):
            self.check(random_value(rng, rng.randrange(5)))


class Sharing(unittest.TestCase):
    def test_only_types_whose_values_cannot_change_may_be_shared(self):
        for value in (b"x", "x", 1, 1.5, True, None, datetime.datetime(2020, 1, 1)):
            self.assertIn(values.encode(value)[0], values.IMMUTABLE)
        for value in ([], {}, (), {1}, [()]):
            self.assertNotIn(values.encode(value)[0], values.IMMUTABLE)

    def test_every_byte_has_a_decoder(self):
        self.assertEqual(len(values.DECODERS), 256)
        self.assertEqual(len(values.NAMES), 12)

    def test_json_text_is_the_same_without_the_c_encoder(self):
        encoder = values._json_encoder
        fast = encoder.c_make_encoder
        self.addCleanup(setattr, encoder, "c_make_encoder", fast)
        encoder.c_make_encoder = None
        slow_text = values._new_json_text()
        for value in ({"a": [1, 2.5, "\ud800", None]}, [], [[True]]):
            self.assertEqual(slow_text(value), values._json_text(value))

    def test_a_value_changed_by_another_thread_is_refused_not_bent(self):
        with self.assertRaisesRegex(errors.UnsupportedTypeError, "complex"):
            values._json_text([1j])

    def test_tags_and_types_do_not_overlap(self):
        self.assertEqual(tagged.untag({"a": 1}), {"a": 1})
        self.assertEqual(tagged.untag({"$tuple": [1], "b": 2}), {"$tuple": [1], "b": 2})
        self.assertEqual(tagged.untag({"$tuple": [1]}), (1,))


class Keys(unittest.TestCase):
    def test_text_is_utf8_and_bytes_stay(self):
        for key, encoded in (("user:1", b"user:1"), ("\u00e9", b"\xc3\xa9"), (b"\xff\x00", b"\xff\x00"), ("", b""),
                             ("a\udcff", b"a\xff")):
            self.assertEqual(values.encode_key(key), encoded)

    def test_every_key_comes_back_as_text_that_means_the_same_bytes(self):
        for encoded in (b"", b"abc", b"\xc3\xa9", b"\xff\xfe\x00", bytes(range(256)), b"\xed\xa0\x80"):
            self.assertEqual(values.encode_key(values.decode_key(encoded)), encoded)

    def test_subclasses_count_as_what_they_are(self):
        class Loud(str):
            def __str__(self):
                return "LOUD"

            def encode(self, *args):
                return b"LOUD"

        class Raw(bytes):
            def __bytes__(self):
                return b"RAW"

        self.assertEqual(values.encode_key(Loud("quiet")), b"quiet")
        self.assertEqual(values.encode_key(Raw(b"quiet")), b"quiet")
        self.assertIs(type(values.encode_key(Raw(b"quiet"))), bytes)

    def test_other_types_are_refused(self):
        for key in (1, None, 1.5, ("a",), bytearray(b"x"), memoryview(b"x")):
            with self.assertRaisesRegex(errors.UnsupportedTypeError, "str or bytes, not " + type(key).__name__):
                values.encode_key(key)

    def test_length_is_limited_in_bytes(self):
        most = limits.KEY_SIZE_BYTES_MAX
        self.assertEqual(len(values.encode_key("x" * most)), most)
        self.assertEqual(len(values.encode_key(b"x" * most)), most)
        for key in ("x" * (most + 1), b"x" * (most + 1), "\u20ac" * (most // 3 + 1)):
            with self.assertRaisesRegex(errors.KeyTooLargeError, r"longer than 32767.*sha256") as caught:
                values.encode_key(key)
            self.assertLess(len(str(caught.exception)), 300)

    def test_surrogates_that_stand_for_no_byte_are_refused(self):
        with self.assertRaisesRegex(errors.UsageError, "lone surrogate"):
            values.encode_key("a\ud800")


if __name__ == "__main__":
    unittest.main()

"""The hot path of reading says the same as Reader.read, with and without a near cache, whatever happens meanwhile."""

import pickle
import random
import unittest
from time import monotonic

from nosqgrid.client.fastget import make_get
from nosqgrid.errors import UnsupportedTypeError
from nosqgrid.formats import values
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.limits import NEAR_CACHE_VALUE_BYTES_MAX
from nosqgrid.memory.reader import Reader
from tests.support.keyspaces import make_keyspace

SAMPLES = (None, True, False, 0, -1, 10 ** 30, 1.5, "", "text", "\u20ac", b"", b"bytes", [1, [2]], {"a": 1}, (1, 2),
           {3})
FALLEN_BACK = object()


class FastGetTestCase(unittest.TestCase):
    near_cache_bytes = 0

    def setUp(self):
        self.make()

    def make(self, memory_bytes=4 << 20, flags=0):
        self.space, self.header = make_keyspace(memory_bytes, flags=flags)
        self.reader = Reader(self.space.words, self.space.arena, self.header)
        self.fallbacks = []
        self.get, self.retire = make_get(self.reader, self.near_cache_bytes, self.fall_back)

    def fall_back(self, key, default):
        self.fallbacks.append((key, default))
        return FALLEN_BACK

    def put(self, key, value, deadline_ms=0):
        self.space.store(values.encode_key(key), *values.encode(value), deadline_ms=deadline_ms)

    def plainly(self, key, default=None):
        """What the plain form says."""
        found = Reader(self.space.words, self.space.arena, self.header).read(values.encode_key(key))
        if found is None or found.deadline_ms and monotonic() * 1000 >= found.deadline_ms:
            return default
        return values.decode(found.type, found.value)

    def same(self, keys):
        for key in keys:
            expected = self.plainly(key, "absent")
            for _ in range(2):
                value = self.get(key, "absent")
                self.assertEqual((type(value), value), (type(expected), expected), key)


class PlainTest(FastGetTestCase):
    def test_every_type(self):
        for number, value in enumerate(SAMPLES):
            self.put("k%d" % number, value)
        for _ in range(20):
            self.same("k%d" % number for number in range(len(SAMPLES) + 1))
        self.assertEqual([self.get("k%d" % number) for number in range(len(SAMPLES))], list(SAMPLES))

    def test_str_and_bytes_are_one_key_and_odd_keys_are_refused(self):
        self.put("k", 1)
        self.put("", 2)
        self.put(b"\xff", 3)
        self.assertEqual([self.get("k"), self.get(b"k"), self.get(""), self.get(b""), self.get(b"\xff")],
                         [1, 1, 2, 2, 3])
        self.assertEqual(self.get(values.decode_key(b"\xff")), 3)
        for key in (1, None, (107,), [107], bytearray(b"k")):
            with self.assertRaises(UnsupportedTypeError):
                self.get(key)
        self.assertEqual(self.get("x" * 40000, "none"), "none")

    def test_deadlines(self):
        now_ms = int(monotonic() * 1000)
        self.put("past", 1, now_ms - 1)
        self.put("future", 2, now_ms + 60000)
        self.put("soon", 3, now_ms + 40)
        for _ in range(20):
            self.same(("past", "future"))
        self.assertEqual((self.get("past", "gone"), self.get("future")), (b"gone".decode(), 2))
        while monotonic() * 1000 < now_ms + 41:
            self.assertIn(self.get("soon"), (3, None))
        self.assertIsNone(self.get("soon"))

    def test_tombstones_changes_and_a_growth_in_progress(self):
        rng = random.Random(1)
        keys = ["key%d" % number for number in range(4000)]
        grown = 0
        for number in range(6000):
            key = rng.choice(keys)
            if rng.random() < 0.25:
                self.space.delete(key.encode())
            else:
                self.put(key, number)
            grown += self.space.index.migrating
            if self.space.index.migrating and number % 3 == 0:
                self.space.index.step(16)
            self.same((key, rng.choice(keys)))
        self.assertGreater(grown, 10)
        self.space.check()
        self.same(keys[::5])

    def test_a_grid_that_was_cleared_and_filled_again(self):
        for round_ in range(4):
            for number in range(50):
                self.put("k%d" % number, (round_, number))
            self.same("k%d" % number for number in range(60))
            self.space.clear()
            self.same("k%d" % number for number in range(60))

    def test_records_that_the_cleaner_moved(self):
        self.make(1 << 20)
        rng = random.Random(2)
        for number in range(3000):
            self.put("k%d" % rng.randrange(100), bytes(rng.randrange(2000)))
            self.same(["k%d" % rng.randrange(100)])
        self.space.cleaner.step(1 << 20)
        self.assertGreater(self.space.cleaner.segments_cleaned, 0)
        self.same("k%d" % number for number in range(100))

    def test_values_larger_than_the_near_cache_takes(self):
        limit = NEAR_CACHE_VALUE_BYTES_MAX
        for size in (limit - 1, limit, limit + 1, 500000):
            self.put("big", bytes(size))
            self.same(["big"] * 20)

    def test_records_with_checksums(self):
        self.make(flags=WEAK_ORDERING)
        for number in range(100):
            self.put("k%d" % number, number, 2 ** 50 if number % 2 else 0)
        self.same("k%d" % number for number in range(110))

    def test_once_retired_every_call_is_passed_on(self):
        self.put("k", 1)
        for _ in range(20):
            self.assertEqual(self.get("k"), 1)
        self.retire()
        self.assertIs(self.get("k"), FALLEN_BACK)
        self.assertIs(self.get(b"other", "default"), FALLEN_BACK)
        self.assertIs(self.get("\udcff"), FALLEN_BACK)
        self.assertEqual(self.fallbacks, [("k", None), (b"other", "default"), ("\udcff", None)])
        self.assertIsNone(self.reader.arena)

    def test_what_comes_out_can_be_changed_without_changing_what_is_there(self):
        self.put("k", [1, {"a": []}])
        for _ in range(30):
            value = self.get("k")
            self.assertEqual(value, [1, {"a": []}])
            value.append(2)
            value[1]["a"].append(3)

    def test_it_pickles_as_a_method_of_its_owner(self):
        get, _ = make_get(self.reader, 0, self.fall_back, owner=_Owner())
        self.assertEqual(pickle.loads(pickle.dumps(get))("k"), "of the owner")


class _Owner(object):
    def get(self, key):
        return "of the owner"


class CachedTest(PlainTest):
    near_cache_bytes = 1 << 20


class TinyCacheTest(PlainTest):
    near_cache_bytes = 3000  # some four entries in each half


if __name__ == "__main__":
    unittest.main()

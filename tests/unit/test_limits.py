"""The limits: the relations between them, and that each holds at the limit and not one beyond."""

import unittest

from nosqgrid import limits
from nosqgrid.errors import InvariantError, KeyTooLargeError, ValueTooLargeError
from nosqgrid.formats.values import encode_key
from nosqgrid.limits import (KEY_SIZE_BYTES_MAX, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MIB, SEGMENT_COUNT_MIN,
                             SEGMENT_SIZE_BYTES_MAX, SEGMENT_SIZE_BYTES_MIN, VALUE_SIZE_BYTES_MAX)
from tests.support.keyspaces import make_keyspace


class RelationTest(unittest.TestCase):
    def test_every_limit_is_a_positive_number(self):
        for name, value in vars(limits).items():
            if name.isupper():
                self.assertTrue(isinstance(value, (int, float)) and value > 0, name)

    def test_a_contradiction_is_an_invariant_that_broke(self):
        limits._require(True, "nothing")
        with self.assertRaisesRegex(InvariantError, "two frames"):
            limits._require(False, "two frames")

    def test_segments_are_a_power_of_two_and_at_least_sixteen(self):
        for memory in (MEMORY_BYTES_MIN, 2 * MIB - 1, 2 * MIB, 5 * MIB, 16 * MIB - 1, 16 * MIB, MEMORY_BYTES_MAX):
            size = limits.segment_size_bytes(memory)
            self.assertTrue(SEGMENT_SIZE_BYTES_MIN <= size <= SEGMENT_SIZE_BYTES_MAX)
            self.assertEqual(size & (size - 1), 0)
            self.assertGreaterEqual(memory // size, SEGMENT_COUNT_MIN)

    def test_a_segment_doubles_exactly_where_sixty_four_of_the_larger_fit(self):
        for size in (128, 256, 512, 1024):
            memory = size * limits.KIB * 64
            self.assertEqual(limits.segment_size_bytes(memory), size * limits.KIB)
            self.assertEqual(limits.segment_size_bytes(memory - 1), size * limits.KIB // 2)

    def test_the_largest_value_is_a_quarter_of_the_memory_up_to_the_limit(self):
        edge = 4 * VALUE_SIZE_BYTES_MAX
        for memory, largest in ((MEMORY_BYTES_MIN, MEMORY_BYTES_MIN // 4), (edge - 4, VALUE_SIZE_BYTES_MAX - 1),
                                (edge, VALUE_SIZE_BYTES_MAX), (MEMORY_BYTES_MAX, VALUE_SIZE_BYTES_MAX)):
            self.assertEqual(limits.value_size_bytes_max(memory), largest)


class EdgeTest(unittest.TestCase):
    def setUp(self):
        self.keyspace, _ = make_keyspace()

    def test_keys_up_to_the_limit(self):
        for length in (0, 1, KEY_SIZE_BYTES_MAX - 1, KEY_SIZE_BYTES_MAX):
            self.keyspace.store(bytes(length), 0, b"v%d" % length)
            self.assertEqual(self.keyspace.lookup(bytes(length)).value, b"v%d" % length)
            self.assertEqual(encode_key(bytes(length)), bytes(length))
        version = self.keyspace.version
        with self.assertRaisesRegex(KeyTooLargeError, "%d bytes" % (KEY_SIZE_BYTES_MAX + 1)):
            self.keyspace.store(bytes(KEY_SIZE_BYTES_MAX + 1), 0, b"v")
        self.assertRaises(KeyTooLargeError, encode_key, bytes(KEY_SIZE_BYTES_MAX + 1))
        self.assertRaises(KeyTooLargeError, encode_key, "\u00e9" * (KEY_SIZE_BYTES_MAX // 2 + 1))
        self.assertEqual(self.keyspace.version, version)
        self.keyspace.check()

    def test_values_up_to_the_limit(self):
        largest = self.keyspace.value_size_bytes_max
        for length in (0, largest - 1, largest):
            self.keyspace.store(b"k", 0, bytes(length))
            self.assertEqual(self.keyspace.lookup(b"k").value, bytes(length))
        version = self.keyspace.version
        with self.assertRaisesRegex(ValueTooLargeError, "--memory"):
            self.keyspace.store(b"k", 0, bytes(largest + 1))
        self.assertEqual((self.keyspace.version, len(self.keyspace.lookup(b"k").value)), (version, largest))
        self.keyspace.check()

    def test_values_around_the_size_that_gets_segments_of_its_own(self):
        edge = self.keyspace.heap.record_size_bytes_max - 16 - 1  # behind header and key
        for length in (edge - 1, edge, edge + 1, self.keyspace.heap.segment_size_bytes - 17,
                       self.keyspace.heap.segment_size_bytes - 16):
            self.keyspace.store(b"k", 0, bytes([length % 256]) * length)
            self.assertEqual(self.keyspace.lookup(b"k").value, bytes([length % 256]) * length)
            self.keyspace.check()


if __name__ == "__main__":
    unittest.main()

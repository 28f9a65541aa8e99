"""Records byte by byte: their sizes, their flags, their checksum."""

import random
import unittest

from nosqgrid.formats import records
from nosqgrid.formats.records import BODY, CHECKED, DEADLINE, EXPIRES, HEADER


class RecordsTest(unittest.TestCase):
    def test_the_layout_is_that_of_the_table(self):
        body = records.pack_body(b"key", b"value", 7, 0x0102030405060708)
        self.assertEqual(body, b"\x05\0\0\0" b"\x03\0" b"\x07" b"\x01" b"\x08\x07\x06\x05\x04\x03\x02\x01" b"keyvalue")
        self.assertEqual((HEADER.size, BODY.size, DEADLINE.size), (16, 8, 8))

    def test_sizes_agree_with_what_is_packed(self):
        for key_length in (0, 1, 7, 8, 9, 100):
            for value_length in (0, 1, 5, 8, 1000):
                for deadline_ms in (0, 5):
                    for checked in (False, True):
                        body = records.pack_body(bytes(key_length), bytes(value_length), 0, deadline_ms, checked)
                        flags = (EXPIRES if deadline_ms else 0) | (CHECKED if checked else 0)
                        self.assertEqual(body[7], flags)
                        self.assertEqual(records.body_size_bytes(key_length, value_length, flags), len(body))
                        size = records.record_size_bytes(key_length, value_length, flags)
                        self.assertEqual(size % 8, 0)
                        self.assertTrue(0 <= size - 8 - len(body) < 8)

    def test_a_checksum_added_later_is_the_one_packed_at_once(self):
        for deadline_ms in (0, 99):
            plain = records.pack_body(b"k", b"v", 3, deadline_ms)
            self.assertEqual(records.with_checksum(plain), records.pack_body(b"k", b"v", 3, deadline_ms, True))

    def test_every_flipped_bit_of_a_checked_body_is_seen(self):
        body = records.pack_body(b"key", b"value", 1, 77, True)
        self.assertTrue(records.checksum_holds(body))
        for bit in range(8 * len(body)):
            damaged = bytearray(body)
            damaged[bit // 8] ^= 1 << bit % 8
            self.assertFalse(records.checksum_holds(bytes(damaged)), bit)

    def test_zeros_and_noise_do_not_hold(self):
        rng = random.Random(1)
        for length in range(8, 200, 3):
            self.assertFalse(records.checksum_holds(bytes(length)))
            self.assertFalse(records.checksum_holds(bytes(rng.getrandbits(8) for _ in range(length))))


if __name__ == "__main__":
    unittest.main()

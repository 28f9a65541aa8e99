"""HyperLogLogs against the plain rule: each register has the most that it was shown."""

import random
import struct
import unittest

from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import hyperloglog
from nosqgrid.formats.hyperloglog import EMPTY, HEADER_SIZE_BYTES, REGISTERS, Adding, SparseRuns

MASK = (1 << 64) - 1


def slow_murmur64a(data, seed):
    """MurmurHash64A word by word, as its author wrote it down."""
    factor, state = 0xC6A4A7935BD1E995, seed ^ len(data) * 0xC6A4A7935BD1E995 & MASK
    whole = len(data) // 8 * 8
    for start in range(0, whole, 8):
        k, = struct.unpack("<Q", data[start:start + 8])
        k = k * factor & MASK
        k ^= k >> 47
        k = k * factor & MASK
        state ^= k
        state = state * factor & MASK
    if data[whole:]:
        for index, byte in enumerate(data[whole:]):
            state ^= byte << 8 * index
        state = state * factor & MASK
    state ^= state >> 47
    state = state * factor & MASK
    return state ^ state >> 47


def slow_place_of(element):
    hashed = hyperloglog.murmur64a(element)
    index, rest, count = hashed % REGISTERS, hashed // REGISTERS, 1
    while count <= 50 and not rest & 1:
        rest >>= 1
        count += 1
    return index, count


def slow_dense(registers):
    """The packed registers, bit by bit."""
    packed = bytearray(REGISTERS * 6 // 8)
    for index, number in enumerate(registers):
        for bit in range(6):
            if number >> bit & 1:
                packed[(6 * index + bit) // 8] |= 1 << (6 * index + bit) % 8
    return bytes(packed)


def random_registers(rng, filled, most=32):
    registers = bytearray(REGISTERS)
    for _ in range(filled):
        start = rng.randrange(REGISTERS)
        for index in range(start, min(start + rng.choice((1, 1, 1, 3, 9)), REGISTERS)):
            registers[index] = rng.randint(1, most)
    return bytes(registers)


class HashTest(unittest.TestCase):

    def test_hash_is_murmur64a(self):
        rng = random.Random(1)
        for length in list(range(40)) + [1000]:
            data = bytes(rng.getrandbits(8) for _ in range(length))
            for seed in (0, 1, 0xADC83B19):
                self.assertEqual(hyperloglog.murmur64a(data, seed), slow_murmur64a(data, seed), (data, seed))

    def test_place_is_register_and_zeros(self):
        for number in range(3000):
            element = b"element:%d" % number
            self.assertEqual(hyperloglog.place_of(element), slow_place_of(element))


class FormTest(unittest.TestCase):

    def test_empty_one(self):
        self.assertTrue(hyperloglog.is_valid(EMPTY))
        self.assertTrue(hyperloglog.is_sparse(EMPTY))
        self.assertEqual(hyperloglog.registers_of(EMPTY), bytes(REGISTERS))
        self.assertEqual(hyperloglog.cached_count(EMPTY), 0)
        self.assertEqual(hyperloglog.described(EMPTY), b"Z:16384")

    def test_both_forms_keep_registers(self):
        rng = random.Random(2)
        for filled in (0, 1, 3, 30, 300, 3000, 30000):
            registers = random_registers(rng, filled)
            dense = hyperloglog.dense_of(registers, EMPTY)
            self.assertEqual(dense[HEADER_SIZE_BYTES:], slow_dense(registers))
            self.assertEqual(hyperloglog.registers_of(dense), registers)
            value = hyperloglog.value_of(registers, EMPTY)
            self.assertEqual(hyperloglog.registers_of(value), registers)
            self.assertTrue(hyperloglog.is_valid(value) and hyperloglog.is_valid(dense))
            self.assertEqual(hyperloglog.is_sparse(value), filled <= 300, filled)
            if hyperloglog.is_sparse(value):
                self.assertLessEqual(len(value), hyperloglog.SPARSE_SIZE_BYTES_MAX)

    def test_register_too_large_for_the_sparse_form_makes_it_dense(self):
        for number in (32, 33, 63):
            registers = bytes([0] * 9 + [number]) + bytes(REGISTERS - 10)
            value = hyperloglog.value_of(registers, EMPTY)
            self.assertEqual(hyperloglog.is_sparse(value), number == 32)
            self.assertEqual(hyperloglog.registers_of(value), registers)

    def test_runs_are_written_as_the_format_says(self):
        registers = bytes(64) + b"\x01" * 5 + bytes(65) + b"\x20" * 4 + bytes(REGISTERS - 138)
        value = hyperloglog.value_of(registers, EMPTY)
        self.assertEqual(value[HEADER_SIZE_BYTES:], b"\x3f\x83\x80\x40\x40\xff\x7f\x75")
        self.assertEqual(hyperloglog.described(value), b"z:64 v:1,4 v:1,1 Z:65 v:32,4 Z:16246")

    def test_count_is_kept_or_stale(self):
        value = hyperloglog.with_count(EMPTY, 2 ** 40 + 5)
        self.assertEqual(hyperloglog.cached_count(value), 2 ** 40 + 5)
        self.assertEqual(value[HEADER_SIZE_BYTES:], EMPTY[HEADER_SIZE_BYTES:])
        self.assertIsNone(hyperloglog.cached_count(hyperloglog.without_count(value)))
        self.assertEqual(hyperloglog.dense_of(bytes(REGISTERS), value)[:4], b"HYLL")
        self.assertEqual(hyperloglog.cached_count(hyperloglog.dense_of(bytes(REGISTERS), value)), 2 ** 40 + 5)

    def test_what_is_no_hyperloglog_is_seen(self):
        dense = hyperloglog.dense_of(bytes(REGISTERS), EMPTY)
        for value in (b"", b"HYLL", EMPTY[:15], b"hyll" + EMPTY[4:], EMPTY[:4] + b"\x02" + EMPTY[5:], dense[:-1],
                      dense + b"\x00", EMPTY[:4] + b"\x00" + EMPTY[5:]):
            self.assertFalse(hyperloglog.is_valid(value), value[:20])

    def test_sparse_value_of_another_size_is_corrupt(self):
        header = EMPTY[:HEADER_SIZE_BYTES]
        for codes in (b"", b"\x00", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xff\x80", b"\x7f\xff\x7f\xff", b"\x7f"):
            self.assertTrue(hyperloglog.is_valid(header + codes))
            with self.assertRaises(CorruptValueError):
                hyperloglog.registers_of(header + codes)

    def test_random_sparse_bytes_are_registers_or_corrupt(self):
        rng = random.Random(3)
        for _ in range(2000):
            value = EMPTY[:HEADER_SIZE_BYTES] + bytes(rng.getrandbits(8) for _ in range(rng.randint(0, 30)))
            try:
                self.assertEqual(len(hyperloglog.registers_of(value)), REGISTERS)
            except CorruptValueError as error:
                self.assertIn("where there should be 16384", str(error))
            adding = Adding(value)
            try:
                changed = adding.add(b"%d" % rng.getrandbits(30))
            except CorruptValueError:
                continue
            self.assertIn(changed, (False, True))
            self.assertEqual(changed, adding.value != value)


class AddingTest(unittest.TestCase):

    def test_registers_are_the_most_that_they_were_shown(self):
        rng = random.Random(4)
        adding, model, sizes = Adding(EMPTY), bytearray(REGISTERS), set()
        for step in range(20000):
            element = b"%d" % rng.getrandbits(16 if step % 5 else 40)
            index, count = hyperloglog.place_of(element)
            self.assertEqual(adding.add(element), count > model[index], step)
            model[index] = max(model[index], count)
            if step % 200 == 0:
                value = adding.value
                self.assertEqual(hyperloglog.registers_of(value), bytes(model), step)
                self.assertTrue(hyperloglog.is_valid(value))
                sizes.add(len(value))
                # Going on with the value, with and without what is known of its runs.
                adding = Adding(value, adding.runs if step % 400 else None)
        self.assertGreater(len(sizes), 5)
        self.assertEqual(max(sizes), hyperloglog.DENSE_SIZE_BYTES)

    def test_sparse_runs_split_and_join(self):
        rng = random.Random(5)
        for seed in range(60):
            runs, model = SparseRuns(EMPTY[HEADER_SIZE_BYTES:]), bytearray(REGISTERS)
            start = rng.choice((0, 60, 16300, REGISTERS - 30))
            for _ in range(250):
                index, count = min(start + rng.randint(0, 90), REGISTERS - 1), rng.randint(1, rng.choice((2, 32)))
                self.assertEqual(runs.set(index, count), count > model[index])
                model[index] = max(model[index], count)
                value = EMPTY[:HEADER_SIZE_BYTES] + runs.codes
                self.assertEqual(hyperloglog.registers_of(value), bytes(model))
                again = SparseRuns(runs.codes)
                self.assertEqual((again._firsts, again._many), (runs._firsts, runs._many))

    def test_sparse_form_ends_at_its_largest_size_and_value(self):
        runs = SparseRuns(EMPTY[HEADER_SIZE_BYTES:])
        self.assertIsNone(runs.set(0, 33))
        for index in range(0, REGISTERS, 2):
            before = runs.codes
            if runs.set(index, 1) is None:
                self.assertEqual(runs.codes, before)
                break
            self.assertLessEqual(HEADER_SIZE_BYTES + len(runs.codes), hyperloglog.SPARSE_SIZE_BYTES_MAX)
        self.assertGreater(HEADER_SIZE_BYTES + len(before) + 2, hyperloglog.SPARSE_SIZE_BYTES_MAX)

    def test_runs_of_another_value_are_not_used(self):
        first = Adding(EMPTY)
        first.add(b"a")
        other = Adding(EMPTY, first.runs)
        self.assertIsNot(other.runs, first.runs)
        self.assertTrue(other.add(b"a"))
        self.assertEqual(other.value, first.value)


class CountTest(unittest.TestCase):

    def test_count_is_within_four_times_its_error(self):
        adding, count = Adding(EMPTY), 0
        for number in range(40000):
            adding.add(b"%d" % number)
            count += 1
            if number in (0, 9, 99, 999, 2000, 3999, 9999, 20000, 39999):
                estimate = hyperloglog.estimate(hyperloglog.registers_of(adding.value))
                self.assertLessEqual(abs(estimate - count), max(1, 0.0081 * 4 * count), count)

    def test_extreme_registers(self):
        self.assertEqual(hyperloglog.estimate(bytes(REGISTERS)), 0)
        self.assertEqual(hyperloglog.estimate(bytes(REGISTERS - 1) + b"\x01"), 1)
        self.assertEqual(hyperloglog.estimate(b"\x32" * REGISTERS), 2 ** 63 - 1)
        self.assertGreater(hyperloglog.estimate(b"\x3f" * (REGISTERS - 1) + b"\x01"), 1000)
        with self.assertRaises(CorruptValueError):
            hyperloglog.estimate(b"\x33" * REGISTERS)

    def test_merged_has_the_larger_of_each(self):
        rng = random.Random(6)
        for filled in (0, 10, 30000):
            left, right = random_registers(rng, filled, 63), random_registers(rng, 500, 63)
            self.assertEqual(hyperloglog.merged(left, right), bytes(map(max, left, right)))


if __name__ == "__main__":
    unittest.main()

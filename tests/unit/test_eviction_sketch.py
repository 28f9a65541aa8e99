"""The frequency sketch against a plain count-min sketch in a dictionary, its error bounds, and its ageing."""

import collections
import random
import unittest

from nosqgrid.engine.eviction import sketch
from nosqgrid.engine.eviction.sketch import FrequencySketch


class PlainSketch:
    """The same cells as entries of a dictionary; halves all at once."""

    def __init__(self):
        self.cells = collections.Counter()
        self.size_bytes = sketch.SIZE_BYTES_MIN
        self.additions = 0

    def _cells_of(self, key_hash):
        block = key_hash // 64 % (self.size_bytes // 64)
        bits = key_hash >> 36
        return [(row, block, (bits >> 5 * row) % 32) for row in range(4)]

    def estimate(self, key_hash):
        return min(self.cells[cell] for cell in self._cells_of(key_hash))

    def increment(self, key_hash):
        cells = self._cells_of(key_hash)
        least = min(self.cells[cell] for cell in cells)
        if least < 15:
            for cell in cells:
                if self.cells[cell] == least:
                    self.cells[cell] += 1
        self.additions += 1
        if self.additions >= 10 * self.size_bytes // 8:
            self.additions = 0
            for cell in self.cells:
                self.cells[cell] //= 2

    def ensure(self, key_count):
        while key_count > self.size_bytes // 8:
            blocks = self.size_bytes // 64
            for (row, block, column), count in list(self.cells.items()):
                self.cells[row, block + blocks, column] = count
            self.size_bytes *= 2


def hashes(count, seed=1):
    rnd = random.Random(seed)
    return [rnd.getrandbits(61) for _ in range(count)]


class SketchTest(unittest.TestCase):
    def test_it_agrees_with_a_plain_one_through_ageing_and_growth(self):
        rnd = random.Random(7)
        keys = hashes(600)
        real, plain = FrequencySketch(), PlainSketch()
        for step in range(12000):
            key = keys[min(int(rnd.expovariate(1 / 80.0)), 599)]
            real.increment(key)
            plain.increment(key)
            if step % 3000 == 2999:
                real.ensure(step // 40)
                plain.ensure(step // 40)
            if step % 500 == 0:
                self.assertEqual([real.estimate(key) for key in keys], [plain.estimate(key) for key in keys])
        self.assertEqual(real.size_bytes, plain.size_bytes)
        self.assertGreater(real.size_bytes, sketch.SIZE_BYTES_MIN)

    def test_an_estimate_is_never_too_low_and_seldom_too_high(self):
        keys = hashes(1000)
        counts = {key: 1 + number % 12 for number, key in enumerate(keys)}
        real = FrequencySketch(1000)
        for turn in range(12):
            for key, count in counts.items():
                if turn < count:
                    real.increment(key)
        errors = [real.estimate(key) - count for key, count in counts.items()]
        self.assertGreaterEqual(min(errors), 0)
        self.assertLess(sum(1 for error in errors if error), 30)  # of a thousand
        strangers = [real.estimate(key) for key in hashes(1000, seed=2)]
        self.assertLess(sum(strangers) / 1000.0, 0.5)

    def test_a_counter_stops_at_fifteen_and_leaves_its_neighbours_alone(self):
        real = FrequencySketch()
        key = hashes(1)[0]
        for _ in range(40):
            real.increment(key)
        self.assertEqual(real.estimate(key), 15)
        cells = sorted(value for value in real._table if value)
        self.assertEqual(sum((value & 15) + (value >> 4) for value in cells), 60)

    def test_the_halves_of_a_byte_are_counters_of_their_own(self):
        real = FrequencySketch()
        low_and_high = (5 | 5 << 10) << 36  # rows 0 and 2 in byte 5, rows 1 and 3 in byte 32
        for _ in range(3):
            real.increment(low_and_high)
        self.assertEqual((real._table[5], real._table[32]), (0x33, 0x33))
        real._halve()
        self.assertEqual((real._table[5], real._table[32]), (0x11, 0x11))

    def test_after_a_sample_everything_is_halved_once(self):
        real = FrequencySketch()
        popular, sample = hashes(1)[0], 10 * sketch.SIZE_BYTES_MIN // 8
        for _ in range(14):
            real.increment(popular)
        for key in hashes(sample - 15, seed=3):
            real.increment(key)
        self.assertGreaterEqual(real.estimate(popular), 14)
        for key in hashes(1, seed=9):
            real.increment(key)
        self.assertLess(real.estimate(popular), 8)
        before = real.estimate(popular)
        real.increment(hashes(1, seed=11)[0])
        self.assertGreaterEqual(real.estimate(popular), before)

    def test_a_large_table_is_halved_in_steps_each_part_once(self):
        real = FrequencySketch(3 * sketch.CHUNK_BYTES // sketch.BYTES_PER_KEY)
        size = real.size_bytes
        real._table[:] = b"\x8c" * size
        real._halve()
        self.assertEqual(real._table[:sketch.CHUNK_BYTES], b"\x46" * sketch.CHUNK_BYTES)
        self.assertEqual(real._table[sketch.CHUNK_BYTES:], b"\x8c" * (size - sketch.CHUNK_BYTES))
        far_away = hashes(size // sketch.CHUNK_BYTES)
        for key in far_away:  # an increment does a step
            real.increment(key)
        changed = sum(1 for value in real._table if value != 0x46)
        self.assertLessEqual(changed, 4 * len(far_away))
        self.assertEqual(real._sweep, -1)

    def test_growing_in_the_middle_of_a_sweep_halves_nothing_twice(self):
        real = FrequencySketch(3 * sketch.CHUNK_BYTES // sketch.BYTES_PER_KEY)
        real._table[:] = b"\x88" * real.size_bytes
        real._halve()
        real.ensure(real.size_bytes // sketch.BYTES_PER_KEY + 1)
        self.assertEqual(set(real._table), {0x44})

    def test_it_grows_with_the_keys_but_not_beyond_its_bound(self):
        real = FrequencySketch(1000)
        self.assertEqual(real.size_bytes, 8192)
        real.ensure(1000)
        self.assertEqual(real.size_bytes, 8192)
        real.ensure(1025)
        self.assertEqual(real.size_bytes, 16384)
        real.ensure(10 ** 9)
        self.assertEqual(real.size_bytes, sketch.SIZE_BYTES_MAX)
        real.increment((1 << 61) - 1)
        self.assertEqual(real.estimate((1 << 61) - 1), 1)
        real.clear()
        self.assertEqual((real.size_bytes, real.estimate((1 << 61) - 1)), (sketch.SIZE_BYTES_MIN, 0))


if __name__ == "__main__":
    unittest.main()

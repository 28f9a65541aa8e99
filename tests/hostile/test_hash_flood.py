"""Keys chosen to collide do not pile up: whoever does not know the secret gets probes as long as with random keys.

Nothing is timed: probes are counted by walking the index.
"""

import random
import unittest
import zlib

from nosqgrid.formats.hashing import hash_key, new_secret
from nosqgrid.formats.records import BODY, pack_body
from nosqgrid.formats.slots import FIRST_REAL, OFFSET_MASK
from tests.support.keyspaces import make_keyspace

COUNT = 20000
MEMORY_BYTES = 4 << 20
SECRETS = (1, 2)


def random_keys(rng):
    return [bytes(rng.getrandbits(8) for _ in range(rng.randrange(8, 24))) for _ in range(COUNT)]


def crc32_collisions():
    """Keys of 8 bytes with one crc32: the last four undo what the first four did (crc32 is linear over GF(2))."""
    tails = {}
    columns = [zlib.crc32((1 << bit).to_bytes(4, "little")) ^ zlib.crc32(bytes(4)) for bit in range(32)]
    for column, bit in zip(columns, range(32)):  # Gauss: a basis of what four bytes can change
        combination = 1 << bit
        for pivot in sorted(tails, reverse=True):
            if column >> pivot & 1:
                column ^= tails[pivot][0]
                combination ^= tails[pivot][1]
        tails[column.bit_length() - 1] = (column, combination)
    keys = []
    for number in range(COUNT):
        head = (number * 2654435761 % 2 ** 32).to_bytes(4, "little")
        wanted, tail = zlib.crc32(head + bytes(4)) ^ 0x12345678, 0
        for pivot in sorted(tails, reverse=True):
            if wanted >> pivot & 1:
                wanted ^= tails[pivot][0]
                tail ^= tails[pivot][1]
        keys.append(head + tail.to_bytes(4, "little"))
    return keys


def known_collisions(secret):
    """Keys that do collide, for somebody who knows the secret: p apart."""
    _, _, p = secret
    return [(number * p + 12345).to_bytes(16, "little") for number in range(1000)]


class HashFloodTest(unittest.TestCase):
    def probes(self, keys, seed):
        """(mean, max) of the slots looked at to find each key."""
        keyspace, _ = make_keyspace(MEMORY_BYTES, seed)
        index = keyspace.index
        self.assertTrue(index.make_room(COUNT))
        frames, position = b"".join(pack_body(key, b"", 0) for key in keys), 0
        while position < len(frames):
            position = keyspace.apply_sets(frames, position, len(frames))
            if position < len(frames):  # a new segment, which the plain way opens
                key_length = BODY.unpack_from(frames, position)[1]
                stop = position + BODY.size + key_length
                keyspace.store_body(frames[stop - key_length:stop], frames[position:stop])
                position = stop
        self.assertEqual(index.live, len(keys))
        lengths = []
        for slot in range(index.table.base, index.table.end):
            word = keyspace.words[slot]
            if word >= FIRST_REAL:
                key_hash = keyspace.hash_at((word & OFFSET_MASK) << 3)
                lengths.append(slot - index.table.base - (key_hash >> index.table.shift) + 1)
        self.assertEqual(len(lengths), len(keys))
        return sum(lengths) / len(lengths), max(lengths)

    def setUp(self):
        self.baseline = getattr(HashFloodTest, "_baseline", None)
        if self.baseline is None:
            measured = [self.probes(random_keys(random.Random(seed)), seed) for seed in SECRETS]
            self.baseline = max(mean for mean, _ in measured), max(most for _, most in measured)
            HashFloodTest._baseline = self.baseline

    def stays_flat(self, keys):
        self.assertEqual(len(set(keys)), COUNT)
        for seed in SECRETS:
            mean, longest = self.probes(keys, seed)
            self.assertLess(mean, 3 * self.baseline[0], seed)
            self.assertLess(longest, 3 * self.baseline[1], seed)

    def test_keys_with_one_crc32(self):
        keys = crc32_collisions()
        self.assertEqual({zlib.crc32(key) for key in keys}, {0x12345678})
        self.stays_flat(keys)

    def test_keys_that_differ_in_zeros_at_the_end(self):
        heads = [bytes([first, second]) for first in range(1, 101) for second in range(1, 11)]
        self.stays_flat([head + bytes(count) for head in heads for count in range(20)])

    def test_keys_that_are_numbers_in_a_row(self):
        self.stays_flat([b"%d" % number for number in range(COUNT)])
        self.stays_flat([number.to_bytes(8, "little") for number in range(COUNT)])

    def test_keys_that_are_numbers_a_power_of_two_apart(self):
        for step in (1 << 32, 1 << 61, (1 << 61) - 1):
            self.stays_flat([(7 + number * step).to_bytes(16, "little") for number in range(COUNT)])

    def test_keys_of_two_bits(self):
        pairs = [1 << first | 1 << second for first in range(208) for second in range(first)]
        self.stays_flat([pair.to_bytes(26, "little") for pair in pairs[-COUNT:]])

    def test_long_keys_with_one_beginning_and_one_end(self):
        self.stays_flat([b"user:" * 4 + b"%06d" % number + b":profile" * 4 for number in range(COUNT)])

    def test_the_probes_counted_here_would_show_a_pile(self):
        # Whoever knows the secret can build one, and the measure must see it: it is what the others are compared by.
        secret = new_secret(random.Random(1).getrandbits)
        keys = known_collisions(secret)
        self.assertEqual(len({hash_key(key, secret) for key in keys}), 1)
        self.assertGreater(self.probes(keys, 1)[0], 100 * self.baseline[0])
        self.assertLess(self.probes(keys, 2)[0], 3 * self.baseline[0])


if __name__ == "__main__":
    unittest.main()

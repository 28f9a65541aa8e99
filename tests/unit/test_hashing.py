"""The hash of keys: the same everywhere, secret, and without families of keys that pile up in the index."""

import random
import unittest
import zlib

from nosqgrid.formats import hashing
from nosqgrid.limits import INDEX_LOAD_MAX
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import slow

COUNT = 20000


def crc32_colliding(count):
    """Different keys of 12 bytes that all have one crc32: the last four bytes bring any beginning to it."""
    table = [zlib.crc32(bytes((byte,))) ^ zlib.crc32(b"\0") for byte in range(256)]
    table = [entry ^ table[0] for entry in table]
    by_top = {entry >> 24: byte for byte, entry in enumerate(table)}
    wanted, keys = 0x12345678 ^ 0xFFFFFFFF, []
    for number in range(count):
        start = number.to_bytes(8, "little")
        state = zlib.crc32(start) ^ 0xFFFFFFFF
        register, indexes = wanted, []
        for _ in range(4):
            index = by_top[register >> 24]
            indexes.append(index)
            register = (register ^ table[index]) << 8 & 0xFFFFFFFF
        tail = bytearray()
        for index in reversed(indexes):
            tail.append((state ^ index) & 0xFF)
            state = state >> 8 ^ table[index]
        keys.append(start + bytes(tail))
    return keys


class SecretTest(unittest.TestCase):
    def test_primes_are_told_from_what_looks_like_them(self):
        small = [number for number in range(2, 2000) if all(number % divisor for divisor in range(2, number))]
        self.assertEqual([number for number in range(2000) if hashing.is_prime(number)], small)
        for prime in (2 ** 61 - 1, 2 ** 31 - 1, 18446744073709551557):
            self.assertTrue(hashing.is_prime(prime))
        # Carmichael numbers, strong pseudoprimes to the first bases, squares and products of large primes.
        for composite in (561, 41041, 825265, 3215031751, 3825123056546413051, (2 ** 31 - 1) ** 2, 2 ** 61 + 1,
                          2305843009213693951 * 7):
            self.assertFalse(hashing.is_prime(composite))

    def test_secrets_are_accepted_as_such_and_differ(self):
        rng = random.Random(1)
        secrets = {hashing.new_secret(rng.getrandbits) for _ in range(20)}
        self.assertEqual(len(secrets), 20)
        self.assertTrue(all(hashing.is_secret(*secret) for secret in secrets))

    def test_what_is_no_secret_is_not_accepted(self):
        a, b, p = hashing.new_secret(random.Random(2).getrandbits)
        for wrong in ((0, b, p), (p, b, p), (a, 0, p), (a, p, p), (a, b, p - 1), (a, b, 7), (a, b, 2 ** 89 - 1)):
            self.assertFalse(hashing.is_secret(*wrong), wrong)

    def test_the_hash_is_the_formula_and_below_p(self):
        secret = a, b, p = hashing.new_secret(random.Random(3).getrandbits)
        for key in (b"", b"\0", b"\0\0", b"k", bytes(range(256)), b"\xff" * 1000):
            expected = (int.from_bytes(key, "little") + len(key) * b) * a % p
            self.assertEqual(hashing.hash_key(key, secret), expected)
            self.assertLess(expected, 1 << hashing.HASH_BITS)

    def test_a_known_value_stays_what_it_is(self):
        self.assertEqual(hashing.hash_key(b"key", (3, 5, 2 ** 61 - 1)), (int.from_bytes(b"key", "little") + 15) * 3)


class FloodTest(unittest.TestCase):
    """Counted in an index filled by the real engine, at the load at which it is about to grow."""

    def probes(self, keys):
        """How many slots are looked at to find all the keys, and the most for one."""
        self.assertEqual(len(set(keys)), len(keys))
        space, _ = make_keyspace(4 << 20, seed=7)
        for key in keys:
            space.store(key, 0, b"")
        space.index.finish_growth()
        space.check()
        table, counts = space.index.table, []
        self.assertLess(table.used, table.slots * INDEX_LOAD_MAX)
        for key in keys:
            key_hash = space.hash_of(key)
            slot, _ = space.index.find(key_hash, lambda offset, key=key: space.key_at(offset) == key)
            counts.append(slot - table.base - (key_hash >> table.shift) + 1)
        return sum(counts), max(counts)

    @slow
    def test_no_family_of_keys_is_looked_for_much_longer_than_random_ones(self):
        rng = random.Random(4)
        colliding = crc32_colliding(COUNT)
        self.assertEqual({zlib.crc32(key) for key in colliding}, {0x12345678})
        usual, longest = self.probes([bytes(rng.getrandbits(8) for _ in range(12)) for _ in range(COUNT)])
        families = {
            "crc32": colliding,
            "zeros at the end": [b"%d" % number + bytes(number % 40) for number in range(COUNT)],
            "zeros only": [bytes(length) for length in range(2000)],
            "numbers": [b"%d" % number for number in range(COUNT)],
            "padded numbers": [b"key:%012d" % number for number in range(COUNT)],
            "progression": [(number * 65536).to_bytes(16, "little") for number in range(COUNT)],
            "steep progression": [(number << 61).to_bytes(16, "little") for number in range(COUNT)],
            "multiples of 2**61-1": [(number * (2 ** 61 - 1)).to_bytes(16, "little") for number in range(COUNT)],
            "of python ints": [(number * (2 ** 64 - 59)).to_bytes(16, "big") for number in range(COUNT)],
        }
        for name, keys in families.items():
            with self.subTest(name):
                total, most = self.probes(keys)
                self.assertLess(total / len(keys), 3 * usual / COUNT)
                self.assertLess(most, 3 * longest)


if __name__ == "__main__":
    unittest.main()

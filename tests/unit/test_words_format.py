"""Words and exported parts as bytes: they come back as they were, and what is not whole is an error without a fuss."""

import doctest
import random
import struct
import tracemalloc
import unittest

from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.errors import CorruptValueError, PeerError
from nosqgrid.formats import exported, words
from tests.support.structure_work import Changes, shown
from tests.support.tiers import FULL, slow

RUNS = 300 if FULL else 30


def some_words(rng):
    return [bytes(rng.randrange(256) for _ in range(rng.choice((0, 1, 3, 20)))) for _ in range(rng.randrange(6))]


class WordsTest(unittest.TestCase):
    def test_the_examples(self):
        for module in (words, exported):
            results = doctest.testmod(module)
            self.assertEqual(results.failed, 0)
            self.assertGreater(results.attempted, 0)

    def test_there_and_back(self):
        rng = random.Random(1)
        for _ in range(500):
            groups = [some_words(rng) for _ in range(rng.randrange(5))]
            data = b"".join(map(words.pack, groups))
            self.assertEqual(list(words.unpack_all(data)), groups)
            ends = list(words.ends(data))
            self.assertEqual(len(ends), len(groups))
            self.assertEqual(ends[-1:], [len(data)] * bool(groups))

    def test_every_cut_is_an_error(self):
        data = words.pack([b"rpush", b"a", b"", b"xyz"])
        for end in range(1, len(data)):
            with self.assertRaises(CorruptValueError):
                list(words.unpack_all(data[:end]))

    def test_every_changed_byte_is_an_error_or_words_of_the_same_bytes(self):
        rng = random.Random(2)
        for _ in range(RUNS):
            data = b"".join(words.pack(some_words(rng)) for _ in range(3))
            for at in range(len(data)):
                changed = bytearray(data)
                changed[at] = rng.choice((0, 1, 255, changed[at] ^ 1, rng.randrange(256)))
                try:
                    found = list(words.unpack_all(bytes(changed)))
                except CorruptValueError:
                    continue
                self.assertEqual(b"".join(map(words.pack, found)), bytes(changed))

    def test_counts_and_lengths_of_any_size_take_no_memory(self):
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for data in (struct.pack("<I", 2 ** 32 - 1), struct.pack("<II", 2 ** 31, 5) + bytes(1000),
                     struct.pack("<II", 1, 2 ** 32 - 1) + bytes(1000), struct.pack("<III", 2, 2 ** 31, 2 ** 31)):
            with self.assertRaises(CorruptValueError):
                list(words.unpack_all(data))
            found = {}
            with self.assertRaises(PeerError):
                found = exported.unpack_parts(struct.pack("<QQQQ", 1, 1, 0, 2 ** 64 - 1) + data)
            self.assertEqual(found, {})
        self.assertLess(tracemalloc.get_traced_memory()[1], 1 << 20)


class StructuresTest(unittest.TestCase):
    """What a structure says of itself makes an equal one, and changed bytes make none, or one that is whole."""

    def make(self, kind, rng, count):
        structure, changes = CLASSES[kind](), Changes(rng)
        for _ in range(count):
            structure.apply(changes.change(structure))
        return structure

    @staticmethod
    def packed(structure):
        return b"".join(map(words.pack, structure.changes()))

    def rebuild(self, kind, data):
        structure = CLASSES[kind]()
        for change in words.unpack_all(data):
            structure.apply(change)
        return structure

    @slow
    def test_every_changed_byte(self):
        errors = equal = other = 0
        for seed in range(RUNS // 3):
            for kind in sorted(CLASSES):
                rng = random.Random(seed)
                structure = self.make(kind, rng, 12)
                data = self.packed(structure)
                self.assertEqual(shown(self.rebuild(kind, data)), shown(structure))
                for at in rng.sample(range(len(data)), min(len(data), 120)):
                    changed = bytearray(data)
                    changed[at] ^= 1 << rng.randrange(8)
                    try:
                        found = self.rebuild(kind, bytes(changed))
                    except CorruptValueError:
                        errors += 1
                        continue
                    again = self.rebuild(kind, self.packed(found))
                    self.assertEqual(shown(again), shown(found), (kind, seed, at))
                    self.assertEqual(again.size_bytes, found.size_bytes, (kind, seed, at))
                    if shown(found) == shown(structure):
                        equal += 1
                    else:
                        other += 1
        self.assertGreater(errors, 100)
        self.assertGreater(other, 100)

    def test_random_words(self):
        """Any words either change it so that it can be taken back, or are refused with nothing changed."""
        refused = 0
        for kind in sorted(CLASSES):
            rng = random.Random(kind)
            for _ in range(RUNS * 10):
                structure = self.make(kind, rng, rng.randrange(8))
                change = list(Changes(rng).change(structure))
                for _ in range(rng.randrange(1, 3)):
                    at = rng.randrange(len(change))
                    change[at:at + rng.randrange(2)] = rng.choice(
                        ([], [b""], [b"-1"], [b"99999999999999999999"], [bytes(16)], [bytes(8)], [b"\xff" * 8], [b"x"],
                         [b"\0" * 16, b"\xff" * 16], [change[0]]))
                    if not change:
                        break
                before, size = shown(structure), structure.size_bytes
                try:
                    inverse = list(structure.apply(change))
                except CorruptValueError:
                    refused += 1
                    self.assertEqual((shown(structure), structure.size_bytes), (before, size), (kind, change))
                    continue
                for step in inverse:
                    structure.apply(step)
                self.assertEqual((shown(structure), structure.size_bytes), (before, size), (kind, change))
        self.assertGreater(refused, RUNS * 5)


class ExportedTest(unittest.TestCase):
    def test_there_and_back(self):
        rng = random.Random(3)
        for _ in range(200):
            expected, data = {}, []
            for number in rng.sample(range(1, 2 ** 60), rng.randrange(5)):
                version, deadline_ms = rng.randrange(1, 2 ** 56), rng.choice((0, 2 ** 62))
                parts = [bytes(rng.randrange(40)) for _ in range(rng.randrange(1, 4))]
                data += [exported.pack_part(number, version, deadline_ms, part) for part in parts]
                expected[number] = version, deadline_ms, parts
            self.assertEqual(exported.unpack_parts(b"".join(data)), expected)

    def test_every_cut_and_every_changed_byte(self):
        data = exported.pack_part(1, 5, 0, b"abc") + exported.pack_part(1, 5, 0, b"d")
        data += exported.pack_part(2, 6, 7, b"")
        whole = {0, 35, 68}
        for end in range(len(data)):
            if end not in whole:
                with self.assertRaises(PeerError):
                    exported.unpack_parts(data[:end])
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 0x41
            try:
                found = exported.unpack_parts(bytes(changed))
            except PeerError:
                continue
            self.assertLessEqual(sum(len(part) for _, _, parts in found.values() for part in parts), len(data))

    def test_parts_at_two_versions(self):
        with self.assertRaises(PeerError):
            exported.unpack_parts(exported.pack_part(1, 5, 0, b"a") + exported.pack_part(1, 6, 0, b"b"))


if __name__ == "__main__":
    unittest.main()

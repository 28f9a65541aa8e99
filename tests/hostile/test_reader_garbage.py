"""An arena may hold anything: a reader returns something or raises an error of ours, and never goes on for ever."""

import mmap
import random
import struct
import time
import unittest
import zlib

from nosqgrid.client.fastget import make_get
from nosqgrid.errors import CorruptValueError, FormatVersionError, PeerError, UsageError
from nosqgrid.formats import arena, hashing, slots
from nosqgrid.formats.records import EXPIRES, HEADER
from nosqgrid.memory.reader import Reader
from tests.support.keyspaces import make_header, make_keyspace

ALLOWED = (PeerError, CorruptValueError)
KEYS = [b"key%d" % number for number in range(40)]


class ReaderGarbageTest(unittest.TestCase):
    def setUp(self):
        self.keyspace, self.header = make_keyspace(seed=3)
        for number, key in enumerate(KEYS):
            self.keyspace.store(key, number % 9, b"%d" % number, 2 ** 50 if number % 3 == 0 else 0)
        self.counts = {"value": 0, "nothing": 0, "error": 0}

    def damaged(self):
        """(memory, words) of a copy of the arena."""
        memory = mmap.mmap(-1, self.header.layout.arena_size_bytes)
        memory[:] = self.keyspace.arena[:]
        self.addCleanup(memory.close)
        words = memoryview(memory).cast("Q")
        self.addCleanup(words.release)
        return memory, words

    def read(self, read, key):
        try:
            self.counts["nothing" if read(key) is None else "value"] += 1
        except ALLOWED:
            self.counts["error"] += 1

    def read_all(self, memory, words, keys=KEYS):
        """Both ways of reading, and a new reader each time: what is damaged may be what a reader begins with."""
        try:
            reader = Reader(words, memory, self.header)
        except ALLOWED:
            self.counts["error"] += 1
            return
        get, _ = make_get(reader, 1 << 16, self.fail)
        for key in keys:
            self.read(reader.read, key)
            self.read(get, key)
        # The near cache must stand it too.
        for key in keys:
            self.read(get, key)

    def slots_of(self, words):
        base, shift = arena.unpack_generation(words[arena.ROOT], self.header.layout)
        return range(base, base + (1 << hashing.HASH_BITS - shift))

    def slot_of(self, words, key):
        """The slot that holds a key in the arena as it was."""
        return Reader(words, self.keyspace.arena, self.header).read(key).slot

    def test_bits_flipped_in_slot_words(self):
        rng = random.Random(1)
        memory, words = self.damaged()
        for key in KEYS:
            slot = self.slot_of(self.keyspace.words, key)
            before = words[slot]
            for bit in rng.sample(range(64), 12):
                words[slot] = before ^ 1 << bit
                self.read_all(memory, words, [key])
            words[slot] = before
        self.assertGreater(self.counts["error"], 0)
        self.assertGreater(self.counts["value"], 0)

    def test_slot_words_that_point_anywhere(self):
        rng = random.Random(2)
        memory, words = self.damaged()
        size = self.header.layout.arena_size_bytes
        places = [0, 8, 4088, 4096, self.header.layout.heap_offset_bytes - 8, size - 8, size - 16, size - 24, size,
                  size + 8, 8 * slots.OFFSET_MASK]
        places += [rng.randrange(0, size) & ~7 for _ in range(40)]
        for key in KEYS[:8]:
            tag = hashing.hash_key(key, self.header.secret)
            slot = self.slot_of(self.keyspace.words, key)
            before = words[slot]
            for place in places:
                words[slot] = slots.pack_slot(tag, 1, place)
                self.read_all(memory, words, [key])
            words[slot] = before
        self.assertGreater(self.counts["error"], 0)

    def test_headers_of_records_with_any_lengths_types_and_flags(self):
        rng = random.Random(3)
        memory, words = self.damaged()
        for key in KEYS:
            word = words[self.slot_of(self.keyspace.words, key)]
            offset = slots.slot_offset_bytes(word)
            before = memory[offset:offset + 64]
            for _ in range(20):
                stamp, value_length, key_length, value_type, flags = HEADER.unpack_from(before)
                value_length = rng.choice((value_length, 0, 1 << 20, (64 << 20) + 1, 2 ** 32 - 1, rng.getrandbits(32)))
                key_length = rng.choice((key_length, key_length, 0, 0xFFFF))
                value_type = rng.choice((value_type, rng.randrange(256)))
                flags = rng.choice((flags, flags ^ EXPIRES, 2, 3, 255, rng.randrange(256)))
                memory[offset:offset + 16] = HEADER.pack(stamp, value_length, key_length, value_type, flags)
                self.read_all(memory, words, [key])
            memory[offset:offset + 64] = before
        self.assertGreater(self.counts["error"], 100)

    def test_random_bytes_in_the_heap(self):
        rng = random.Random(4)
        memory, words = self.damaged()
        base = self.header.layout.heap_offset_bytes
        for _ in range(20):
            memory[base:base + 4096] = bytes(rng.getrandbits(8) for _ in range(4096))
            self.read_all(memory, words)
        self.assertGreater(self.counts["error"] + self.counts["nothing"], 1000, self.counts)

    def test_wild_roots(self):
        rng = random.Random(5)
        memory, words = self.damaged()
        root = words[arena.ROOT]
        wild = [0, 1, 2 ** 64 - 1, root + 1, root ^ 1 << 8, root + 256, root + 512, root | 255]
        wild += [rng.getrandbits(64) for _ in range(20)] + [rng.getrandbits(20) for _ in range(20)]
        for word in wild:
            for which in (arena.ROOT, arena.NEWEST):
                words[arena.ROOT] = words[arena.NEWEST] = root
                words[which] = word
                started = time.monotonic()
                self.read_all(memory, words, KEYS[:2])
                self.assertLess(time.monotonic() - started, 5, hex(word))
        self.assertGreater(self.counts["error"], 0)

    def endless(self, word):
        """Reads of two keys from an index area that holds the same word everywhere; the seconds it took."""
        memory, words = self.damaged()
        layout = self.header.layout
        start = layout.area_offsets_bytes[0]
        memory[start:layout.heap_offset_bytes] = word.to_bytes(8, "little") * ((layout.heap_offset_bytes - start) // 8)
        started = time.monotonic()
        self.read_all(memory, words, KEYS[:2])
        return time.monotonic() - started

    def test_an_index_without_an_end_is_an_error_in_bounded_time(self):
        heap = self.header.layout.heap_offset_bytes
        for key_hash in (0, 1, hashing.hash_key(KEYS[1], self.header.secret)):  # the first record is KEYS[0]'s
            for word in (slots.TOMBSTONE, slots.MOVED, slots.pack_slot(key_hash, 1, heap)):
                with self.subTest(word=hex(word)):
                    self.assertLess(self.endless(word), 5)
        self.assertEqual(self.counts["value"], 0)

    def test_chains_that_end_in_moved_late_are_an_error_in_bounded_time(self):
        memory, words = self.damaged()
        layout = self.header.layout
        first, end = layout.area_offsets_bytes[0] // 8, layout.heap_offset_bytes // 8
        for slot in range(first, end):
            words[slot] = slots.TOMBSTONE
        for slot in range(first, end, 20000):
            words[slot] = slots.MOVED
        started = time.monotonic()
        self.read_all(memory, words, KEYS[:2])
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(self.counts["value"], 0)

    def test_random_index_areas(self):
        rng = random.Random(6)
        memory, words = self.damaged()
        layout = self.header.layout
        tags = [hashing.hash_key(key, self.header.secret) for key in KEYS]
        for _ in range(10):
            for key_hash in tags:
                base, shift = arena.unpack_generation(words[arena.ROOT], layout)
                for slot in range(base + (key_hash >> shift), base + (key_hash >> shift) + 3):
                    words[slot] = rng.choice((rng.getrandbits(64), slots.TOMBSTONE, slots.MOVED,
                                              slots.pack_slot(key_hash, 1, rng.randrange(1 << 22))))
            self.read_all(memory, words)
        self.assertGreater(self.counts["error"], 0)

    def test_keys_that_are_none_get_the_errors_of_a_sound_arena(self):
        reader = Reader(self.keyspace.words, self.keyspace.arena, self.header)
        get, _ = make_get(reader, 0, self.fail)
        for key in (None, 1, 1.5, (1, 2), ["a"], object()):
            with self.assertRaises(TypeError):
                get(key)
        with self.assertRaises(UsageError):
            get("\ud800 lone")
        self.assertIsNone(get(bytes(100000)))


class HeaderGarbageTest(unittest.TestCase):
    def test_every_flipped_bit_of_the_constants_is_noticed(self):
        packed = arena.pack_header(make_header(1 << 20))
        arena.unpack_header(packed)
        for bit in range(8 * arena.CONSTANTS_OFFSET_BYTES, 8 * len(packed)):
            damaged = bytearray(packed)
            damaged[bit // 8] ^= 1 << bit % 8
            with self.assertRaises(PeerError):
                arena.unpack_header(bytes(damaged))

    def test_every_shorter_header_is_refused(self):
        packed = arena.pack_header(make_header(1 << 20))
        for length in range(len(packed)):
            with self.assertRaises(PeerError):
                arena.unpack_header(packed[:length])

    def repacked(self, **changes):
        """A header with some constants changed and the checksum made right again."""
        packed = arena.pack_header(make_header(1 << 20))
        fields = list(arena.CONSTANTS.unpack_from(packed, arena.CONSTANTS_OFFSET_BYTES))
        for name, value in changes.items():
            fields[arena._FIELDS.index(name)] = value
        constants = struct.pack("<15Q", *fields[:15])
        return packed[:arena.CONSTANTS_OFFSET_BYTES] + constants + struct.pack("<Q", zlib.crc32(constants))

    def test_another_version_is_told_apart_from_damage(self):
        with self.assertRaises(FormatVersionError):
            arena.unpack_header(self.repacked(format_version=arena.FORMAT_VERSION + 1))

    def test_constants_that_contradict_each_other_are_refused_whatever_the_checksum_says(self):
        for name in ("arena_size_bytes", "heap_offset_bytes", "heap_size_bytes", "segment_size_bytes",
                     "area0_offset_bytes", "area1_offset_bytes", "area_size_bytes"):
            for value in (0, 1, 4096, 1 << 20, 1 << 40, 2 ** 64 - 1):
                packed = self.repacked(**{name: value})
                if packed == arena.pack_header(make_header(1 << 20)):
                    continue
                with self.subTest(name=name, value=value):
                    with self.assertRaises(PeerError):
                        arena.unpack_header(packed)

    def test_a_secret_that_is_none_is_refused(self):
        for changes in ({"secret_a": 0}, {"secret_b": 0}, {"secret_p": 0}, {"secret_p": 2 ** 61 - 3},
                        {"secret_a": 2 ** 61 - 1}, {"secret_p": 7}):
            with self.assertRaises(PeerError):
                arena.unpack_header(self.repacked(**changes))


if __name__ == "__main__":
    unittest.main()

"""The arena's layout at every size, its header, and the words that name a generation of the index."""

import unittest

from nosqgrid.engine.index import INDEX_LOAD_FULL
from nosqgrid.errors import PeerError
from nosqgrid.formats import arena, hashing
from nosqgrid.formats.arena import CONSTANTS, CONSTANTS_OFFSET_BYTES, PAGE_SIZE_BYTES, Layout
from nosqgrid.formats.records import HEADER
from nosqgrid.formats.slots import MOVED, OFFSET_MASK
from nosqgrid.limits import (INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL, KEY_SIZE_BYTES_MAX, KIB, MEMORY_BYTES_DEFAULT,
                             MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MIB, SEGMENT_COUNT_MIN)
from tests.support.keyspaces import make_header

SIZES = (MEMORY_BYTES_MIN, MEMORY_BYTES_MIN + 1, 2 * MIB - 1, 2 * MIB, 3 * MIB + 5000, 16 * MIB - 1, 16 * MIB,
         100 * MIB + 12345, MEMORY_BYTES_DEFAULT, 2000 * MIB, MEMORY_BYTES_MAX - 1, MEMORY_BYTES_MAX)


class LayoutTest(unittest.TestCase):
    def test_the_parts_lie_behind_each_other_on_pages(self):
        for size in SIZES:
            layout = Layout(size)
            first, second = layout.area_offsets_bytes
            self.assertEqual(first, PAGE_SIZE_BYTES)
            self.assertEqual(second, first + layout.area_size_bytes)
            self.assertEqual(layout.heap_offset_bytes, second + layout.area_size_bytes)
            self.assertEqual(layout.arena_size_bytes, layout.heap_offset_bytes + layout.heap_size_bytes)
            self.assertEqual([part % PAGE_SIZE_BYTES for part in (first, second, layout.heap_offset_bytes)], [0, 0, 0])

    def test_the_heap_is_whole_segments_and_nearly_what_was_asked_for(self):
        for size in SIZES:
            layout = Layout(size)
            self.assertEqual(layout.heap_size_bytes, layout.segment_count * layout.segment_size_bytes)
            self.assertTrue(0 <= size - layout.heap_size_bytes < layout.segment_size_bytes)
            self.assertGreaterEqual(layout.segment_count, SEGMENT_COUNT_MIN)
            self.assertEqual(layout.segment_size_bytes & (layout.segment_size_bytes - 1), 0)

    def test_the_index_has_room_for_records_of_36_bytes_in_all_of_the_heap(self):
        for size in SIZES:
            layout = Layout(size)
            self.assertGreaterEqual(layout.slots_max * INDEX_LOAD_FULL * 36, layout.heap_size_bytes)
            self.assertGreaterEqual(layout.area_size_bytes, (layout.slots_max + INDEX_OVERFLOW_SLOTS) * 8)
            self.assertGreaterEqual(layout.slots_max, INDEX_SLOTS_INITIAL)

    def test_a_slot_word_can_point_at_the_end_of_the_largest_arena(self):
        self.assertLessEqual(Layout(MEMORY_BYTES_MAX).arena_size_bytes >> 3, OFFSET_MASK)

    def test_segments_grow_with_the_memory_between_their_bounds(self):
        self.assertEqual([Layout(size * MIB).segment_size_bytes // KIB for size in (1, 4, 8, 16, 32, 64, 1024)],
                         [64, 64, 128, 256, 512, 1024, 1024])


class HeaderTest(unittest.TestCase):
    def test_what_is_packed_is_unpacked(self):
        for size in SIZES:
            header = make_header(size, seed=size, flags=arena.WEAK_ORDERING)
            found = arena.unpack_header(arena.pack_header(header) + bytes(100))
            self.assertEqual((found.secret, found.epoch, found.coordinator_pid, found.flags),
                             (header.secret, header.epoch, header.coordinator_pid, header.flags))
            self.assertEqual(vars(found.layout), vars(header.layout))

    def test_the_guard_is_a_record_that_no_key_matches(self):
        packed = arena.pack_header(make_header(1 << 20))
        for word in range(MOVED + 1):
            _, _, key_length, _, flags = HEADER.unpack_from(packed, 8 * word)
            self.assertGreater(key_length, KEY_SIZE_BYTES_MAX)
            self.assertEqual(flags, 0xFF)

    def test_control_words_lie_behind_the_constants_in_the_first_page_on_cache_lines_of_their_own(self):
        words = (arena.ROOT, arena.NEWEST, arena.SLEEPING, arena.STATE)
        self.assertGreaterEqual(8 * min(words), CONSTANTS_OFFSET_BYTES + CONSTANTS.size)
        self.assertLess(8 * max(words), PAGE_SIZE_BYTES)
        self.assertEqual([word // 8 for word in words], [8, 8, 9, 10])

    def test_an_empty_and_a_foreign_page_are_refused(self):
        for data in (b"", bytes(PAGE_SIZE_BYTES), b"\xff" * PAGE_SIZE_BYTES, b"\x7fELF" + bytes(PAGE_SIZE_BYTES)):
            with self.assertRaises(PeerError):
                arena.unpack_header(data)


class GenerationTest(unittest.TestCase):
    def setUp(self):
        self.layout = Layout(4 * MIB)
        self.first, self.last = INDEX_SLOTS_INITIAL.bit_length() - 1, self.layout.slots_max.bit_length() - 1

    def test_generations_alternate_between_the_areas(self):
        for number in (1, 2, 3, 10 ** 6, 2 ** 56 - 1):
            base, shift = arena.unpack_generation(arena.pack_generation(number, self.first), self.layout)
            self.assertEqual(8 * base, self.layout.area_offsets_bytes[number % 2])
            self.assertEqual(shift, hashing.HASH_BITS - self.first)

    def test_every_size_between_the_bounds_and_none_beyond(self):
        for slots_log2 in range(256):
            word = arena.pack_generation(1, slots_log2)
            if self.first <= slots_log2 <= self.last:
                _, shift = arena.unpack_generation(word, self.layout)
                self.assertEqual((1 << hashing.HASH_BITS) - 1 >> shift, (1 << slots_log2) - 1)
            else:
                with self.assertRaises(PeerError):
                    arena.unpack_generation(word, self.layout)

    def test_there_is_no_generation_zero(self):
        for word in (0, self.first, arena.pack_generation(0, self.last)):
            with self.assertRaises(PeerError):
                arena.unpack_generation(word, self.layout)


if __name__ == "__main__":
    unittest.main()

"""The walker finds every key that is there all the time exactly once, whatever happens between and within its steps."""

import random
import unittest
from unittest import mock

from nosqgrid.errors import CorruptValueError, GridFullError, PeerError
from nosqgrid.formats import arena, slots
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import CHECKED, EXPIRES, FLAGS_KNOWN, HEADER, pack_body
from nosqgrid.memory import walker as walker_module
from tests.support.tiers import slow
from tests.support.walks import make_space, make_walker, state_of, tiny_limits, unpack_record, walk


def key_of(number):
    return b"key:%d" % number


class WalkerTestCase(unittest.TestCase):
    def make(self, memory_bytes=4 << 20, seed=1, flags=0):
        self.space, self.header = make_space(memory_bytes, seed, flags)
        return self.space

    def fill(self, count, size=10):
        for number in range(count):
            self.space.store(key_of(number), number % 9, bytes([number % 251]) * size)

    def found(self, meddle=None, between=None):
        """{key: entry} of a walk in which no key came twice."""
        entries = [unpack_record(record) for record in walk(make_walker(self.space, self.header, meddle), between)]
        found = dict(entries)
        self.assertEqual(len(found), len(entries))
        return found

    def steps(self, step_bytes):
        """Let steps end after so many bytes."""
        return mock.patch.object(walker_module, "STEP_BYTES", step_bytes)


class QuietTest(WalkerTestCase):
    """Nobody writes: what is found is what is there."""

    def compare(self, step_bytes=1 << 20):
        with self.steps(step_bytes):
            found = self.found()
        self.assertEqual(found, state_of(self.space))
        return found

    def test_an_empty_grid_and_one_key(self):
        self.make()
        self.assertEqual(self.compare(), {})
        self.space.store(b"", 0, b"")
        self.assertEqual(self.compare(), {b"": (0, b"", 0, 1)})

    def test_steps_of_any_size(self):
        self.make()
        self.fill(3000)
        for step_bytes in (1, 1000, 50000):
            self.compare(step_bytes)

    def test_a_step_ends_behind_a_cluster_after_so_many_bytes(self):
        self.make()
        self.fill(3000)
        cursor, step = 0, []
        sizes = []
        walker = make_walker(self.space, self.header)
        with self.steps(5000):
            while True:
                cursor, step = walker.step(cursor)
                if not cursor:
                    break
                sizes.append(sum(map(len, step)))
        self.assertGreater(len(sizes), 10)
        self.assertGreaterEqual(min(sizes), 5000)
        self.assertLess(max(sizes), 6000)

    def test_values_of_every_size_deadlines_and_types(self):
        self.make(32 << 20)
        rng = random.Random(1)
        half = self.header.layout.segment_size_bytes
        sizes = 0, 1, 7, 8, 9, 255, half // 2 - 30, half // 2, half - 30, half, half + 1, 3 * half
        for number, size in enumerate(sizes):
            for deadline_ms in (0, 5000):
                self.space.store(key_of(number) * 3, rng.randrange(9), bytes([number + 1]) * size, deadline_ms)
                self.space.store(bytes(rng.randrange(1, 32767)), 3, b"long key %d" % number, deadline_ms)
        self.compare(1)
        self.compare()

    def test_the_last_bytes_of_the_heap(self):
        with tiny_limits():
            self.make(16 * 128)
            for number in range(8):
                self.space.store(key_of(number), 0, bytes(100))  # one large run each, from the top down
            self.assertGreater(len(self.compare()), 7)
            self.make(16 * 128)
            for number in range(15 * 2):
                self.space.store(key_of(number), 0, bytes(40))
            self.compare()

    def test_checksums_are_part_of_the_record(self):
        self.make(flags=WEAK_ORDERING)
        self.fill(300)
        self.space.store(b"ttl", 0, b"v", 5000)
        self.compare()
        record = walk(make_walker(self.space, self.header))[0]
        self.assertEqual(record[15] & CHECKED, CHECKED)

    def test_expired_records_are_found_until_their_space_is_reclaimed(self):
        self.make()
        self.space.store(b"k", 0, b"v", 1000)
        self.space.now_ms = 1500
        self.assertEqual(self.found(), {b"k": (0, b"v", 1000, 1)})
        while self.space.reclaim_expired():
            continue
        self.assertEqual(self.found(), {})

    @slow
    def test_tombstones_and_every_stage_of_growth(self):
        self.make()
        self.fill(2000)
        for number in range(0, 2000, 3):
            self.space.delete(key_of(number))
        self.compare(1000)
        self.space.index.start_growth(8000)
        stages = 0
        while self.space.index.growing:
            self.space.index.step(500)
            with self.steps(1000 if stages % 3 else 1 << 20):
                self.assertEqual(self.found(), state_of(self.space))
            stages += 1
        self.assertGreater(stages, 8)

    def test_versions_of_records_that_the_cleaner_moved(self):
        self.make(1 << 20)
        self.fill(200, 3000)
        for number in range(0, 200, 2):
            self.space.delete(key_of(number))
        before = state_of(self.space)
        for _ in range(20):
            self.space.cleaner.step(1000)
        self.assertGreater(self.space.cleaner.bytes_moved, 0)
        self.assertEqual(self.found(), before)


class Writer(object):
    """Random changes of a keyspace beside the keys that stay; `stay` are never deleted, `fixed` never changed."""

    def __init__(self, space, rng, stay, key_count, value_max, chance):
        self.space = space
        self.rng = rng
        self.stay = stay
        self.key_count = key_count
        self.value_max = value_max
        self.chance = chance
        self.written = {}  # (key, version) -> entry
        self.busy = False
        self.actions = 0

    def meddle(self):
        if self.rng.random() < self.chance:
            self.act()

    def act(self):
        self.actions += 1
        action = self.rng.random()
        try:
            if action < 0.45:
                self.store(self.rng.randrange(self.key_count))
            elif action < 0.7:
                self.space.delete(key_of(self.rng.randrange(self.stay, self.key_count)))
            elif action < 0.78:
                self.expire()
            elif action < 0.86:
                self.space.index.start_growth(self.rng.randrange(4 * self.key_count))
            elif action < 0.95:
                self.space.work()
                self.space.index.step(self.rng.choice((1, 50, 5000)))
            else:
                self.space.cleaner.step(self.rng.choice((1, 1000)))
        except GridFullError:
            return

    def store(self, number, deadline_ms=0):
        key, value = key_of(number), bytes([self.rng.randrange(256)]) * self.rng.randrange(self.value_max)
        body = pack_body(key, value, 1, deadline_ms)
        if self.space.apply_sets(body, 0, len(body)) == 0:
            self.space.store(key, 1, value, deadline_ms)
        self.written[key, self.space.version] = 1, value, deadline_ms, self.space.version

    def expire(self):
        self.space.now_ms += 50
        self.store(self.rng.randrange(self.stay, self.key_count), self.space.now_ms + self.rng.randrange(300))


class MeddledTest(WalkerTestCase):
    """A writer at work between any two looks of the walker."""

    def run_one(self, seed, memory_bytes, key_count, value_max, chance, step_bytes, flags=0):
        rng = random.Random(seed)
        self.make(memory_bytes, seed % 3, flags)
        writer = Writer(self.space, rng, key_count // 3, key_count, value_max, chance)
        for number in range(key_count):
            if number < writer.stay or rng.random() < 0.5:
                writer.store(number)
        begun = dict(writer.written)
        with self.steps(step_bytes):
            entries = [unpack_record(record)
                       for record in walk(make_walker(self.space, self.header, writer.meddle), writer.act)]
        for key, entry in entries:
            self.assertEqual(writer.written.get((key, entry[3])), entry, seed)
        times = {}
        for key, _ in entries:
            times[key] = times.get(key, 0) + 1
        for number in range(writer.stay):
            self.assertEqual(times.get(key_of(number)), 1, (seed, number))
        self.space.check()
        self.assertGreater(len(begun), 0)
        return writer

    @slow
    def test_a_small_index_that_is_rebuilt_again_and_again(self):
        growths = cleaned = 0
        with tiny_limits():
            for seed in range(150):
                self.run_one(seed, 128 * 64, 40, 50, (0.02, 0.1, 0.5)[seed % 3], (1, 100, 1 << 20)[seed // 3 % 3],
                             WEAK_ORDERING if seed % 7 == 0 else 0)
                growths += self.space.index.growths
                cleaned += self.space.cleaner.segments_cleaned
        self.assertGreater(growths, 300)
        self.assertGreater(cleaned, 100)

    @slow
    def test_an_index_of_the_usual_size(self):
        growths = 0
        for seed in range(4):
            self.run_one(seed, 2 << 20, 1500, 100, 0.05, 20000)
            growths += self.space.index.growths
        self.assertGreater(growths, 3)

    def test_large_records(self):
        with tiny_limits():
            for seed in range(40):
                self.run_one(seed, 128 * 64, 8, 600, 0.2, 100)

    def test_a_cluster_that_is_moved_behind_the_first_look_at_it(self):
        self.make()
        self.fill(2000)
        self.space.index.start_growth(5000)
        while not self.space.index.migrating:
            self.space.index.step(1)
        looks = []

        def grow_at_the_second_list():
            looks.append(1)
            if len(looks) == 7:  # NEWEST and ROOT, a slot, the list in two halves, and the first record's slot
                self.space.index.finish_growth()
        found = self.found(grow_at_the_second_list)
        self.assertEqual(found, state_of(self.space))
        self.assertGreater(len(looks), 7)

    def test_everything_is_cleared_and_set_again_while_it_walks(self):
        with tiny_limits():
            for seed in range(60):
                rng = random.Random(seed)
                self.make(128 * 64)
                writer = Writer(self.space, rng, 0, 30, 40, 0.1)

                def clear_or_act():
                    if rng.random() < 0.1:
                        self.space.clear()
                    writer.meddle()
                for number in range(30):
                    writer.store(number)
                with self.steps(100):
                    entries = [unpack_record(record)
                               for record in walk(make_walker(self.space, self.header, clear_or_act))]
                for key, entry in entries:
                    self.assertEqual(writer.written[key, entry[3]], entry)


class StubbornTest(WalkerTestCase):
    """What changes at every look is an error in the end, and does not go on for ever."""

    def test_an_index_that_is_replaced_during_every_step(self):
        self.make()
        self.fill(10)

        def announce():
            self.space.index.new = None
            self.space.index.start_growth()
        walker = make_walker(self.space, self.header, announce)
        with mock.patch.object(walker_module, "STEP_TRIES", 20):
            with self.assertRaisesRegex(PeerError, "faster"):
                walker.step(0)

    def test_a_slot_that_names_another_record_at_each_look(self):
        self.make()
        self.fill(10)
        values = [b"1", b"2"]

        def change():
            values.reverse()
            for number in range(10):
                self.space.store(key_of(number), 0, values[0])
        with self.assertRaises(CorruptValueError):
            walk(make_walker(self.space, self.header, change))

    def test_the_second_to_last_moment(self):
        self.make()
        self.fill(1)
        left = [50]

        def change():
            left[0] -= 1
            if left[0] > 0:
                self.space.store(key_of(0), 0, b"%d" % left[0])
        self.assertEqual(self.found(change)[key_of(0)][1], b"1")


class GarbageTest(WalkerTestCase):
    """An arena may hold anything: there are records or one of our errors, in bounded time."""

    def setUp(self):
        self.make(1 << 20, 3)
        for number in range(40):
            self.space.store(key_of(number), number % 9, b"%d" % number, 2 ** 50 if number % 3 == 0 else 0)
        self.words = self.space.words
        base = self.space.index.table.base
        self.taken = [slot for slot in range(base, base + 4096) if self.words[slot] >= slots.FIRST_REAL]
        self.counts = {"records": 0, "error": 0}

    def try_walk(self, tries=20):
        """Walk, which must come to an end; the records, or None for an error."""
        with mock.patch.multiple(walker_module, STEP_TRIES=tries, RECORD_TRIES=50):
            try:
                found = walk(make_walker(self.space, self.header), mock.Mock(side_effect=[None] * 6000))
            except (PeerError, CorruptValueError):
                self.counts["error"] += 1
                return None
        self.counts["records"] += 1
        return found

    @slow
    def test_bits_flipped_in_slot_words(self):
        rng = random.Random(1)
        for slot in self.taken:
            before = self.words[slot]
            for bit in rng.sample(range(64), 8):
                self.words[slot] = before ^ 1 << bit
                self.try_walk()
            self.words[slot] = before
        self.assertGreater(self.counts["error"], 10)
        self.assertGreater(self.counts["records"], 10)

    def test_slot_words_that_point_outside_the_heap_are_an_error_each(self):
        layout = self.header.layout
        for slot in (self.taken[0], self.taken[-1]):
            before = self.words[slot]
            for place in (24, 32, 512, 4088, 4096, layout.area_offsets_bytes[1], layout.heap_offset_bytes - 8,
                          layout.arena_size_bytes - 8, layout.arena_size_bytes, layout.arena_size_bytes + 8,
                          8 * slots.OFFSET_MASK):
                self.words[slot] = slots.pack_slot(before >> 48, 1, place)
                self.assertIsNone(self.try_walk(), place)
            self.words[slot] = before

    def test_headers_of_records_with_any_lengths_and_flags(self):
        rng = random.Random(3)
        for slot in self.taken:
            offset = slots.slot_offset_bytes(self.words[slot])
            before = self.space.arena[offset:offset + 16]
            for _ in range(6):
                stamp, value_length, key_length, value_type, flags = HEADER.unpack(before)
                value_length = rng.choice((value_length, 0, 1 << 20, (64 << 20) + 1, 2 ** 32 - 1, rng.getrandbits(32)))
                flags = rng.choice((flags, flags ^ EXPIRES, 2, 3, 255, rng.randrange(256)))
                self.space.arena[offset:offset + 16] = HEADER.pack(
                    stamp, value_length, rng.choice((key_length, 0, 0x7FFF, 0x8000, 0xFFFF)), value_type, flags)
                for record in self.try_walk() or ():
                    unpack_record(record)
                    self.assertEqual(record[15] & ~FLAGS_KNOWN, 0)
            self.space.arena[offset:offset + 16] = before
        self.assertGreater(self.counts["error"], 50)
        self.assertGreater(self.counts["records"], 10)

    def test_roots_that_name_anything(self):
        rng = random.Random(5)
        root = self.words[arena.ROOT]
        wild = [0, 1, 2 ** 64 - 1, root + 1, root ^ 1 << 8, root + 256, root + 512, root | 255]
        wild += [rng.getrandbits(64) for _ in range(20)] + [rng.getrandbits(20) for _ in range(20)]
        for word in wild:
            for which in (arena.ROOT, arena.NEWEST):
                self.words[arena.ROOT] = self.words[arena.NEWEST] = root
                self.words[which] = word
                self.try_walk()
                self.words[self.taken[0]], before = slots.MOVED, self.words[self.taken[0]]
                self.try_walk()
                self.words[self.taken[0]] = before
        self.assertGreater(self.counts["error"], 40)

    def test_an_index_that_holds_the_same_word_everywhere(self):
        start, end = self.header.layout.area_offsets_bytes[0], self.header.layout.heap_offset_bytes
        root = self.words[arena.ROOT]
        for word in (slots.TOMBSTONE, slots.MOVED, self.words[self.taken[0]], self.words[self.taken[3]]):
            self.space.arena[start:end] = word.to_bytes(8, "little") * ((end - start) // 8)
            for newest in (root, root + 256):
                self.words[arena.NEWEST] = newest
                found = self.try_walk()
                if word >= slots.FIRST_REAL:
                    self.assertEqual(len(set(found)), 1)
                else:
                    self.assertIn(found, (None, []))

    def test_moved_slots_anywhere(self):
        rng = random.Random(6)
        root = self.words[arena.ROOT]
        base, end = self.space.index.table.base, self.space.index.table.end
        for newest in (root, root + 256):
            self.words[arena.NEWEST] = newest
            for _ in range(20):
                before = self.space.arena[8 * base:8 * end]
                for slot in rng.sample(range(base, end), rng.choice((1, 5, 2000))):
                    self.words[slot] = slots.MOVED
                self.try_walk()
                self.space.arena[8 * base:8 * end] = before
        self.assertGreater(self.counts["error"], 10)

    def test_random_index_areas(self):
        rng = random.Random(7)
        layout = self.header.layout
        start, end = layout.area_offsets_bytes[0] // 8, layout.heap_offset_bytes // 8
        for _ in range(15):
            for slot in rng.sample(range(start, end), 3000):
                self.words[slot] = rng.choice((rng.getrandbits(64), slots.TOMBSTONE, slots.MOVED, slots.EMPTY,
                                               slots.pack_slot(rng.getrandbits(16), 1, rng.randrange(1 << 21))))
            self.try_walk()
        self.assertGreater(self.counts["error"], 0)

    def test_words_that_are_no_records_are_passed(self):
        base = self.space.index.table.base
        empty = next(slot for slot in range(base, base + 4096) if self.words[slot] == slots.EMPTY)
        before = self.found()
        self.words[empty] = slots.TOMBSTONE
        self.assertEqual(self.found(), before)


if __name__ == "__main__":
    unittest.main()

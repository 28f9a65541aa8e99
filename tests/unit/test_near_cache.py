"""The fast get against the plain reader and a dict, with and without near cache, whatever the coordinator does."""

import mmap
import random
import unittest
from unittest import mock

from nosqgrid.client.fastget import ADMIT_ONE_IN, make_get
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.errors import NosqgridError
from nosqgrid.formats import arena as arena_format
from nosqgrid.formats import values
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.slots import TOMBSTONE
from nosqgrid.limits import (KEY_SIZE_BYTES_MAX, NEAR_CACHE_ENTRY_OVERHEAD_BYTES, NEAR_CACHE_VALUE_BYTES_MAX)
from nosqgrid.memory.reader import Reader
from tests.support.keyspaces import Budget, make_header, make_keyspace
from tests.support.tiers import slow

MISSING = object()
WARM = 3 * ADMIT_ONE_IN  # reads after which a key is in the near cache


class FastGetTestCase(unittest.TestCase):
    def setUp(self):
        patcher = mock.patch("nosqgrid.client.fastget.monotonic", lambda: self.keyspace.now_ms / 1000.0)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.make()

    def make(self, **options):
        self.keyspace, self.header = make_keyspace(**options)
        self.keyspace.now_ms = 1000

    def getter(self, near_cache_bytes=1 << 20):
        return make_get(Reader(self.keyspace.words, self.keyspace.arena, self.header), near_cache_bytes, self.fail)[0]

    def store(self, key, value, deadline_ms=0):
        return self.keyspace.store(key, *values.encode(value) + (deadline_ms,))

    def plain(self, key):
        """What a new plain reader finds, decoded."""
        found = Reader(self.keyspace.words, self.keyspace.arena, self.header).read(key)
        if found is None or found.deadline_ms and found.deadline_ms <= self.keyspace.now_ms:
            return MISSING
        return values.decode(found.type, found.value)

    @staticmethod
    def remembered(get):
        """(young, old) of the near cache of a get."""
        cells = dict(zip(get.__func__.__code__.co_freevars, get.__func__.__closure__))
        remember = cells["remember_entry"].cell_contents
        cells = dict(zip(remember.__code__.co_freevars, remember.__closure__))
        return cells["young"].cell_contents, cells["old"].cell_contents


class DifferentialTest(FastGetTestCase):
    def some_value(self, rng, number):
        return rng.choice((number, -number, "text %d" % number, b"bytes %d" % number, number / 7.0, None, True,
                           [number, "x"], {"n": number}, (number,), {number}, "x" * rng.randrange(3000)))

    def run_history(self, seed, steps, key_count, **options):
        self.make(seed=seed, **options)
        rng, model = random.Random(seed), {}
        gets = [self.getter(budget) for budget in (0, 5000, 1 << 22)]
        for step in range(steps):
            name = "key%d" % min(rng.randrange(key_count), rng.randrange(key_count))
            key, action = name.encode(), rng.random()
            if action < 0.25:
                deadline_ms = rng.choice((0, 0, self.keyspace.now_ms + rng.randrange(1, 3000)))
                model[key] = (self.some_value(rng, step), deadline_ms)
                self.store(key, *model[key])
            elif action < 0.30:
                self.keyspace.delete(key)
                model.pop(key, None)
            elif action < 0.32:
                self.keyspace.now_ms += rng.randrange(500)
            elif action < 0.40:
                self.keyspace.work()
            elif action < 0.405:
                self.keyspace.cleaner.step()
            elif action < 0.406:
                self.keyspace.clear()
                model.clear()
            else:
                value, deadline_ms = model.get(key, (MISSING, 0))
                expected = MISSING if deadline_ms and deadline_ms <= self.keyspace.now_ms else value
                answers = [get(rng.choice((name, key)), MISSING) for get in gets] + [self.plain(key)]
                for answer in answers:
                    self.assertEqual((type(answer), answer), (type(expected), expected))
        return gets

    def test_a_few_keys_read_often(self):
        gets = self.run_history(1, 12000, 30)
        self.assertGreater(len(self.remembered(gets[2])[0]), 10)

    @slow
    def test_many_keys_while_the_index_grows_and_the_cleaner_works(self):
        self.run_history(2, 30000, 6000, memory_bytes=4 << 20)
        self.assertGreater(self.keyspace.index.growths, 0)

    @slow
    def test_a_small_heap_whose_segments_are_reused_all_the_time(self):
        self.run_history(3, 18000, 100)
        self.assertGreater(self.keyspace.heap.opened, 16)

    @slow
    def test_checksummed_records(self):
        self.run_history(4, 6000, 50, flags=WEAK_ORDERING)

    def test_every_type_with_any_bytes_decodes_or_fails_as_the_plain_way_does(self):
        get = self.getter()
        payloads = (b"", b"1", b"-12", b"1.5", b"[]", b'{"a": 1}', b"\xff\xfe", b"T", b"2020-01-01T00:00:00", b"nan")
        for value_type in range(len(values.NAMES)):
            for payload in payloads:
                self.keyspace.store(b"k", value_type, payload)
                for _ in range(2):
                    self.assertEqual(self.outcome(get, "k"), self.outcome(self.plain, b"k"), (value_type, payload))

    @staticmethod
    def outcome(read, key):
        try:
            return repr(read(key))
        except NosqgridError as error:
            return type(error)


class GrowthTest(FastGetTestCase):
    @slow
    def test_every_key_is_found_and_no_other_at_each_step_of_a_growth(self):
        for number in range(900):
            self.store(b"k%d" % number, number)
        gets = [self.getter(0), self.getter()]
        for turn in range(2):  # into the other area and back
            self.keyspace.index.start_growth(turn * 5000)
            while self.keyspace.index.growing:
                self.keyspace.index.step(100)
                for get in gets + [self.getter(0)]:
                    for number in range(turn, 900, 9):
                        self.assertEqual(get("k%d" % number), number)
                        self.assertIsNone(get("absent%d" % number))
        self.keyspace.check()

    def test_a_reader_that_slept_through_any_number_of_growths_finds_its_way(self):
        for growths in range(1, 6):
            self.make(memory_bytes=4 << 20)
            for number in range(500):
                self.store(b"k%d" % number, number)
            get = self.getter(0)
            self.assertEqual(get("k7"), 7)
            for left in range(growths, 0, -1):
                # The last is larger: in the area that the reader knows keys lie elsewhere then.
                self.keyspace.index.start_growth(5000 if left == 1 else 0)
                self.keyspace.index.finish_growth()
            self.assertIsNone(get("absent"))
            self.assertEqual([get("k%d" % number) for number in range(500)], list(range(500)))

    def test_keys_behind_tombstones_and_other_keys_are_found(self):
        index = self.keyspace.index
        keys = sorted((b"k%d" % number for number in range(1500)), key=self.keyspace.hash_of)
        for key in keys:
            self.store(key, key)
        for key in keys[::2]:
            self.keyspace.delete(key)
        words = self.keyspace.words
        self.assertGreater(sum(words[slot] == TOMBSTONE for slot in range(index.table.base, index.table.end)), 20)
        get = self.getter(0)
        self.assertEqual([get(key) for key in keys], [None if at % 2 == 0 else key for at, key in enumerate(keys)])


class NearCacheTest(FastGetTestCase):
    def warm(self, get, key):
        for _ in range(WARM):
            get(key)
        return get(key)

    def test_a_hit_is_the_same_object_where_it_cannot_change_and_a_new_one_where_it_can(self):
        get = self.getter()
        for value, same in (("text " * 10, True), (b"bytes" * 10, True), (10 ** 50, True), (1.25, True),
                            ([1, 2], False), ({"a": 1}, False), ({1, 2}, False)):
            self.store(b"k", value)
            first = self.warm(get, "k")
            self.assertEqual((first, get("k")), (value, value))
            self.assertEqual(get("k") is first, same, value)

    def test_changing_what_came_out_changes_nothing_in_it(self):
        get = self.getter()
        self.store(b"k", {"a": [1]})
        self.warm(get, "k")["a"].append(2)
        self.assertEqual(get("k"), {"a": [1]})

    def test_a_write_a_deletion_and_a_move_by_the_cleaner_are_seen_by_the_next_read(self):
        get = self.getter()
        self.store(b"k", "old")
        self.assertEqual(self.warm(get, "k"), "old")
        self.store(b"k", "new")
        self.assertEqual(get("k"), "new")
        self.keyspace.delete(b"k")
        self.assertIsNone(get("k"))
        self.store(b"k", "again")
        self.assertEqual(self.warm(get, "k"), "again")
        self.keyspace.heap.close(self.keyspace.heap.writer)
        while self.keyspace.cleaner.segments_cleaned < 1:
            self.assertTrue(self.keyspace.cleaner.step())
        self.assertEqual(get("k"), "again")

    def test_a_deadline_is_exact_read_from_either(self):
        get, cold = self.getter(), self.getter(0)
        self.store(b"k", "v", 5000)
        self.keyspace.now_ms = 4999
        self.assertEqual((self.warm(get, "k"), cold("k")), ("v", "v"))
        for now_ms in (5000, 5001, 10 ** 9):
            self.keyspace.now_ms = now_ms
            self.assertEqual((get("k", MISSING), cold("k", MISSING)), (MISSING, MISSING))
        self.store(b"k", "back")
        self.assertEqual((get("k"), cold("k")), ("back", "back"))

    def test_a_slot_word_that_came_back_after_65536_uses_of_its_segment_is_told_by_the_stamp(self):
        get, heap = self.getter(), self.keyspace.heap
        self.store(b"k", "old")
        self.assertEqual(self.warm(get, "k"), "old")
        before = Reader(self.keyspace.words, self.keyspace.arena, self.header).read(b"k")
        self.keyspace.delete(b"k")
        heap.close(heap.writer)
        heap.generation[0] += 65535
        self.store(b"k", "new")
        after = Reader(self.keyspace.words, self.keyspace.arena, self.header).read(b"k")
        self.assertEqual((after.slot, after.word), (before.slot, before.word))
        self.assertEqual(get("k"), "new")

    def test_one_miss_in_so_many_is_remembered(self):
        get = self.getter()
        for number in range(10 * ADMIT_ONE_IN):
            self.store(b"k%d" % number, number)
            get("k%d" % number)
        self.assertEqual(len(self.remembered(get)[0]), 10)

    def test_the_budget_holds_and_none_means_none(self):
        for budget in (0, 1, 2 * NEAR_CACHE_ENTRY_OVERHEAD_BYTES + 300, 50000):
            get = self.getter(budget)
            for number in range(800):
                self.store(b"k%d" % (number % 200), b"x" * 100)
                get("k%d" % (number % 200))
                young, old = self.remembered(get)
                entry = NEAR_CACHE_ENTRY_OVERHEAD_BYTES + 100
                self.assertLessEqual((len(young) + len(old)) * entry, budget + 2 * entry)
            if budget == 0:
                self.assertEqual(self.remembered(get), ({}, {}))

    def test_values_at_and_beyond_the_size_that_is_remembered(self):
        self.make(memory_bytes=4 << 20)
        for length, kept in ((NEAR_CACHE_VALUE_BYTES_MAX, True), (NEAR_CACHE_VALUE_BYTES_MAX + 1, False)):
            get = self.getter()
            self.store(b"k", "x" * length)
            self.assertEqual(self.warm(get, "k"), "x" * length)
            self.assertEqual("k" in self.remembered(get)[0], kept)

    def test_an_entry_that_is_read_again_outlives_those_that_are_not(self):
        get = self.getter(100 * NEAR_CACHE_ENTRY_OVERHEAD_BYTES)
        self.store(b"hot", "hot")
        self.warm(get, "hot")
        for number in range(3000):
            self.store(b"cold%d" % (number % 500), b"")
            get("cold%d" % (number % 500))
            get("hot")
            self.assertTrue(any("hot" in generation for generation in self.remembered(get)))


class EdgeTest(FastGetTestCase):
    def test_str_and_bytes_are_one_key_and_the_empty_key_is_one(self):
        get = self.getter(0)
        for name in ("", "k", "\u00e9\u20ac\U0001f600", "a\0b"):
            self.store(name.encode(), name)
            self.assertEqual((get(name), get(name.encode())), (name, name))

    def test_keys_at_and_beyond_the_limit(self):
        self.make(memory_bytes=4 << 20)
        get = self.getter()
        self.store(bytes(KEY_SIZE_BYTES_MAX), 1)
        self.assertEqual(get(bytes(KEY_SIZE_BYTES_MAX)), 1)
        for key in (bytes(KEY_SIZE_BYTES_MAX + 1), "x" * 10 ** 6):
            self.assertIs(get(key, MISSING), MISSING)

    def test_keys_that_differ_in_zeros_at_the_end_are_different(self):
        get = self.getter(0)
        for count in range(50):
            self.store(b"a" + bytes(count), count)
        self.assertEqual([get(b"a" + bytes(count)) for count in range(51)], list(range(50)) + [None])

    def test_a_value_none_is_told_from_no_value_by_the_default(self):
        get = self.getter()
        self.store(b"none", None)
        for _ in range(WARM):
            self.assertEqual((get("none", MISSING), get("absent", MISSING)), (None, MISSING))


class RetireTest(FastGetTestCase):
    def setUp(self):
        super().setUp()
        self.memory = mmap.mmap(-1, self.header.layout.arena_size_bytes)
        self.words = memoryview(self.memory).cast("Q")
        header = make_header(1 << 20)
        packed = arena_format.pack_header(header)
        self.memory[:len(packed)] = packed
        self.keyspace = Keyspace(self.words, self.memory, header, Budget(), lambda: 0)
        self.asked = []
        self.reader = Reader(self.words, self.memory, header)
        self.get, self.retire = make_get(self.reader, 1 << 20, self.fallback)
        for number in range(20):
            self.store(b"k%d" % number, number, 10 ** 9 if number % 2 else 0)
            for _ in range(WARM):
                self.assertEqual(self.get("k%d" % number), number)

    def fallback(self, key, default):
        self.asked.append((key, default))
        return "fallen back"

    def test_every_call_goes_to_the_fallback_and_the_map_is_let_go(self):
        self.retire()
        self.assertEqual(self.remembered(self.get), ({}, {}))
        self.keyspace = None
        self.words.release()
        self.memory.close()  # BufferError if anything still held it
        calls = [(key, default) for key in ("k1", "k2", b"k3", "absent", "", bytes(100)) for default in (None, 5)]
        for key, default in calls:
            self.assertEqual(self.get(key, default), "fallen back")
        self.assertEqual(self.asked, calls)

    def test_keys_that_are_none_get_their_error(self):
        self.retire()
        self.assertRaises(TypeError, self.get, 5)
        self.assertEqual(self.asked, [])

    def test_retiring_twice_is_retiring(self):
        self.retire()
        self.retire()
        self.assertEqual(self.get("k1"), "fallen back")

    def test_a_get_that_is_overtaken_by_it_at_any_load_falls_back_or_answers(self):
        # The words retire the reader when they are asked the n-th time, as another thread could.
        for ahead in range(12):
            self.setUp()

            class Interrupting(object):
                def __init__(self, words, retire):
                    self.words, self.retire, self.loads = words, retire, 0

                def __getitem__(self, at):
                    self.loads += 1
                    if self.loads == ahead:
                        self.retire()
                    return self.words[at]

            header = self.header
            reader = Reader(self.words, self.memory, header)
            interrupting = Interrupting(self.words, lambda: retire())
            reader.words = interrupting
            get, retire = make_get(reader, 1 << 20, self.fallback)
            answers = [get("k1"), get("k1"), get("k2"), get("absent")]
            for answer, expected in zip(answers, (1, 1, 2, None)):
                self.assertIn(answer, (expected, "fallen back"), ahead)


if __name__ == "__main__":
    unittest.main()

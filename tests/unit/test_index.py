"""The index by itself: what it finds, how it grows step by step, where it refuses, and that check() sees damage."""

import random
import unittest

from nosqgrid.engine import index as index_module
from nosqgrid.engine.index import CLEAR_STEP_BYTES, INDEX_LOAD_FULL, INSERT_STEP_SLOTS, Index
from nosqgrid.errors import GridFullError, InvariantError
from nosqgrid.formats.arena import NEWEST, ROOT, Layout, unpack_generation
from nosqgrid.formats.hashing import HASH_BITS
from nosqgrid.formats.slots import EMPTY, FIRST_REAL, MOVED, TOMBSTONE, pack_slot
from nosqgrid.limits import INDEX_LOAD_MAX, INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL
from tests.support.keyspaces import Budget
from tests.support.tiers import slow

HOME_SHIFT = HASH_BITS - (INDEX_SLOTS_INITIAL.bit_length() - 1)  # of the first table


class Words(object):
    """Words that remember which of them were stored to."""

    def __init__(self, words):
        self._words = words
        self.stores = []

    def __getitem__(self, at):
        return self._words[at]

    def __setitem__(self, at, value):
        self._words[at] = value
        self.stores.append((at, value))


class Arena(object):
    """Bytes that remember how many were stored at a time."""

    def __init__(self, data):
        self._data = data
        self.stores = []

    def __setitem__(self, where, value):
        self._data[where] = value
        self.stores.append((where.start, len(value)))


class IndexTestCase(unittest.TestCase):
    """An index over records that are nothing but their hashes: record n lies at n * 8, and is its own key."""

    def setUp(self):
        self.make()

    def make(self, budget=None, memory_bytes=1 << 20):
        self.layout = Layout(memory_bytes)
        self.memory = bytearray(self.layout.heap_offset_bytes)
        self.words = Words(memoryview(self.memory).cast("Q"))
        self.arena = Arena(self.memory)
        self.hashes = {}
        self.records = 0
        self.budget = budget or Budget()
        self.index = Index(self.words, self.arena, self.layout, self.budget, self.hashes.__getitem__)

    def put(self, key_hash):
        """Insert a new record with this hash; its offset."""
        self.records += 1
        offset = self.layout.heap_offset_bytes + 8 * self.records
        slot, word = self.index.find(key_hash, lambda other: other == offset)
        self.assertIn(word, (EMPTY, TOMBSTONE))
        self.hashes[offset] = key_hash
        try:
            self.index.insert(key_hash, slot, pack_slot(key_hash, 1, offset))
        except GridFullError:
            del self.hashes[offset]
            raise
        return offset

    def slot_of(self, offset):
        slot, word = self.index.find(self.hashes[offset], lambda other: other == offset)
        return slot if word >= FIRST_REAL else 0

    def take(self, offset):
        self.index.remove(self.slot_of(offset))
        del self.hashes[offset]

    def fill(self, count, seed=1):
        rng = random.Random(seed)
        return [self.put(rng.getrandbits(HASH_BITS)) for _ in range(count)]

    def scan_all(self, count=10):
        found, cursor = [], 0
        while True:
            cursor, offsets = self.index.scan(cursor, count)
            found.extend(offsets)
            if not cursor:
                return found


class FindTest(IndexTestCase):
    def test_an_empty_index_names_the_home_of_a_key_to_insert_it(self):
        for home in (0, 1, 77, INDEX_SLOTS_INITIAL - 1):
            slot, word = self.index.find(home << HOME_SHIFT, self.fail)
            self.assertEqual((slot - self.index.base, word), (home, EMPTY))
        self.assertEqual(self.index.find_offset(5 << HOME_SHIFT, 1), 0)
        self.assertEqual(self.index.scan(0, 10), (0, []))

    def test_keys_with_one_home_stand_behind_each_other(self):
        offsets = [self.put(9 << HOME_SHIFT) for _ in range(5)]
        self.assertEqual([self.slot_of(offset) - self.index.base for offset in offsets], [9, 10, 11, 12, 13])
        for offset in offsets:
            self.assertEqual(self.index.find_offset(9 << HOME_SHIFT, offset >> 3), self.slot_of(offset))
        self.index.check()

    def test_only_records_with_the_tag_of_a_key_are_looked_at(self):
        self.put(9 << HOME_SHIFT | 1)
        wanted = self.put(9 << HOME_SHIFT | 2)
        looked_at = []
        self.index.find(9 << HOME_SHIFT | 2, looked_at.append)
        self.assertEqual(looked_at, [wanted])

    def test_a_key_removed_in_the_middle_of_a_chain_leaves_a_tombstone_that_is_used_again(self):
        offsets = [self.put(9 << HOME_SHIFT) for _ in range(4)]
        self.take(offsets[1])
        self.assertEqual(self.words[self.index.base + 10], TOMBSTONE)
        self.assertEqual(self.slot_of(offsets[3]) - self.index.base, 12)
        used = self.index.table.used
        again = self.put(9 << HOME_SHIFT)
        self.assertEqual((self.slot_of(again) - self.index.base, self.index.table.used), (10, used))
        self.index.check()

    def test_a_key_removed_at_the_end_of_a_chain_takes_the_tombstones_before_it_along(self):
        offsets = [self.put(9 << HOME_SHIFT) for _ in range(4)]
        for offset in (offsets[1], offsets[2], offsets[3]):
            self.take(offset)
        self.assertEqual([self.words[self.index.base + slot] for slot in (10, 11, 12)], [EMPTY] * 3)
        self.assertEqual((self.index.table.used, self.index.live), (1, 1))
        self.index.check()

    def test_a_removal_that_empties_the_table_clears_no_slot_before_its_first(self):
        area_before = self.index.base - 1
        self.words[area_before] = TOMBSTONE  # whatever lies there, the header for one, is not the table's
        self.take(self.put(0))
        self.assertEqual((self.words[area_before], self.index.table.used), (TOMBSTONE, 0))
        self.words[area_before] = 0

    @slow
    def test_random_inserts_and_removals_find_what_a_dict_holds(self):
        rng = random.Random(2)
        present = []
        for step in range(6000):
            if not present or rng.random() < 0.6:
                present.append(self.put(rng.randrange(400) << HOME_SHIFT | rng.getrandbits(20)))
            else:
                self.take(present.pop(rng.randrange(len(present))))
            if step % 500 == 0:
                self.index.check()
        self.index.check()
        self.assertEqual(self.index.live, len(present))
        self.assertTrue(all(self.slot_of(offset) for offset in present))

    def test_moved_inside_a_chain_is_an_invariant_that_broke(self):
        self.put(9 << HOME_SHIFT)
        self.words[self.index.base + 10] = MOVED
        with self.assertRaises(InvariantError):
            self.index.find(9 << HOME_SHIFT, lambda offset: False)


class RoomTest(IndexTestCase):
    def test_the_overflow_takes_all_keys_of_the_last_home_but_one(self):
        last_home = INDEX_SLOTS_INITIAL - 1
        offsets = [self.put(last_home << HOME_SHIFT) for _ in range(INDEX_OVERFLOW_SLOTS)]
        with self.assertRaisesRegex(GridFullError, "more --memory"):
            self.put(last_home << HOME_SHIFT)
        self.assertEqual(self.words[self.index.table.end - 1], EMPTY)
        self.assertEqual(self.index.live, INDEX_OVERFLOW_SLOTS)
        self.index.check()
        self.take(offsets[0])
        self.put(last_home << HOME_SHIFT)
        self.index.check()

    def test_without_memory_to_grow_keys_fit_up_to_the_full_load_and_removing_makes_room(self):
        full_at = int(INDEX_SLOTS_INITIAL * INDEX_LOAD_FULL)
        self.make(Budget((INDEX_SLOTS_INITIAL + INDEX_OVERFLOW_SLOTS) * 8))
        offsets = self.fill(full_at - 1)
        self.assertGreater(self.index.growth_failures, 100)
        offsets += self.fill(1, seed=2)
        with self.assertRaises(GridFullError):
            self.fill(1, seed=3)
        self.assertEqual(self.index.live, full_at)
        self.index.check()
        for offset in offsets[:50]:
            self.take(offset)
        self.fill(1, seed=4)
        self.index.check()

    def test_memory_that_comes_later_lets_the_growth_go_on(self):
        self.make(Budget((INDEX_SLOTS_INITIAL + INDEX_OVERFLOW_SLOTS) * 8))
        offsets = self.fill(3000)
        self.assertEqual((self.index.growths, self.index.growing), (0, False))
        self.budget.remaining = 1 << 30
        offsets += self.fill(600, seed=2)
        self.assertGreater(self.index.growths, 0)
        self.index.check()
        self.assertTrue(all(self.slot_of(offset) for offset in offsets))

    def test_a_failed_attempt_does_not_give_its_number_to_the_next_which_stays_in_the_other_area(self):
        self.make(Budget((INDEX_SLOTS_INITIAL + INDEX_OVERFLOW_SLOTS) * 8))
        named = {self.words[NEWEST]}
        for _ in range(3):
            self.index.start_growth()
            self.assertNotIn(self.words[NEWEST], named)
            named.add(self.words[NEWEST])
            self.assertNotEqual(unpack_generation(self.words[NEWEST], self.layout)[0], self.index.table.base)
            self.assertRaises(GridFullError, self.index.step, 16)
            self.assertFalse(self.index.growing)
        self.index.check()

    def test_a_table_as_large_as_it_gets_fills_to_the_full_load_and_no_further(self):
        full_at = int(self.layout.slots_max * INDEX_LOAD_FULL)
        self.fill(full_at - 1)
        self.index.finish_growth()
        self.assertEqual(self.index.table.slots, self.layout.slots_max)
        refused = taken = 0
        for seed in range(40):
            try:
                self.fill(1, seed=100 + seed)
                taken += 1
            except GridFullError:
                refused += 1
        self.assertEqual((taken, refused), (1, 39))
        self.index.check()


class GrowthTest(IndexTestCase):
    def cluster_max(self):
        longest = length = 0
        for slot in range(self.index.table.base, self.index.table.end):
            length = 0 if self.words[slot] == EMPTY else length + 1
            longest = max(longest, length)
        return longest

    def test_no_step_moves_more_slots_than_it_was_told_and_a_cluster(self):
        self.fill(int(INDEX_SLOTS_INITIAL * INDEX_LOAD_MAX) - 1)
        longest = self.cluster_max() + 1
        for slot_count in (1, 16, 512):
            self.index.start_growth()
            steps = 0
            while self.index.growing:
                self.words.stores, self.arena.stores = [], []
                self.index.step(slot_count)
                moved = sum(1 for _, word in self.words.stores if word == MOVED)
                self.assertLessEqual(moved, slot_count + longest)
                self.assertLessEqual(len(self.words.stores), 2 * moved + 1)
                self.assertLessEqual(sum(size for _, size in self.arena.stores), CLEAR_STEP_BYTES)
                steps += 1
            self.assertGreaterEqual(steps, INDEX_SLOTS_INITIAL // (slot_count + longest))
            self.index.check()

    def test_inserts_alone_finish_the_growth_in_bounded_pieces_long_before_the_table_is_full(self):
        rng = random.Random(3)
        worst = inserts = 0
        while self.index.growths < 3:
            self.words.stores = []
            size = self.index.table.end - self.index.table.base
            self.put(rng.getrandbits(HASH_BITS))
            worst = max(worst, sum(1 for _, word in self.words.stores if word == MOVED))
            inserts = inserts + 1 if self.index.growing else 0
            # Wherever they land: an insert that finds its home moved already does its share too.
            self.assertLess(inserts, size // INSERT_STEP_SLOTS + 10)
            self.assertLess(self.index.table.used, self.index.table.slots * (INDEX_LOAD_MAX + 0.05))
        self.assertLess(worst, INSERT_STEP_SLOTS + 100)
        self.index.check()

    def test_a_large_area_is_cleared_in_steps(self):
        self.make(memory_bytes=64 << 20)
        self.fill(1000)
        for _ in range(2):  # the second time each area has words of an older generation
            self.index.start_growth(20000)
            while not self.index.migrating:
                self.arena.stores = []
                self.index.step(16)
                self.assertLessEqual(sum(size for _, size in self.arena.stores), CLEAR_STEP_BYTES)
            self.index.finish_growth()
        self.assertEqual(len(self.scan_all(1000)), 1000)

    def test_newest_is_named_first_and_root_last_and_a_key_is_in_the_new_table_before_its_old_slot_is_moved(self):
        self.fill(1000)
        before, self.words.stores = dict(enumerate(memoryview(self.memory).cast("Q"))), []
        old = self.index.table
        self.index.start_growth()
        self.index.finish_growth()
        stores = self.words.stores
        self.assertEqual((stores[0][0], stores[-1][0]), (NEWEST, ROOT))
        placed = set()
        for at, word in stores[1:-1]:
            if old.base <= at < old.end:
                self.assertEqual(word, MOVED)
                self.assertTrue(before[at] < FIRST_REAL or before[at] in placed, at)
            else:
                placed.add(word)
        self.assertEqual(sum(1 for _, word in stores if word == MOVED), old.end - old.base)

    @slow
    def test_every_key_is_found_after_each_step_of_a_growth_and_changes_go_on(self):
        offsets = self.fill(1200)
        rng = random.Random(4)
        self.index.start_growth()
        while self.index.growing:
            self.index.step(64)
            self.take(offsets.pop(rng.randrange(len(offsets))))
            offsets.append(self.put(rng.getrandbits(HASH_BITS)))
            self.assertTrue(all(self.slot_of(offset) for offset in offsets[::7]))
            self.index.check()
        self.assertEqual(sorted(self.scan_all()), sorted(offsets))

    def test_tombstones_alone_make_a_new_table_no_larger(self):
        rng = random.Random(5)
        for _ in range(8000):
            offsets = [self.put(rng.getrandbits(HASH_BITS)) for _ in range(2)]
            for offset in offsets:
                self.take(offset)
        for home in range(0, 2400, 2):  # chains of two whose first is removed: a tombstone each
            first = self.put(home << HOME_SHIFT)
            self.put(home << HOME_SHIFT)
            self.take(first)
        self.index.finish_growth()
        self.assertEqual(self.index.table.slots, INDEX_SLOTS_INITIAL)
        self.index.check()

    def test_a_new_table_is_at_most_as_full_as_said_and_doubles_only(self):
        rng, sizes = random.Random(6), [self.index.table.slots]
        while self.index.table.slots < self.layout.slots_max:
            self.put(rng.getrandbits(HASH_BITS))
            if self.index.table.slots != sizes[-1]:
                self.assertLess(self.index.live, self.index.table.slots * index_module.INDEX_LOAD_MAX * 0.7)
                sizes.append(self.index.table.slots)
        self.assertEqual([later // earlier for earlier, later in zip(sizes, sizes[1:])], [2] * (len(sizes) - 1))

    def test_clear_drops_everything_and_what_was_in_the_areas_does_not_come_back(self):
        for seed in range(4):
            self.fill(3000, seed)
            if seed % 2:
                self.index.start_growth()
                self.index.step(16)
                self.index.step(16)
            self.index.prepare_clear()
            if seed == 3:
                self.index.forget_clear()
                self.assertEqual(len(self.scan_all()), 3000)
                self.index.check()
                self.index.prepare_clear()
            self.assertEqual(self.index.clear(), 3000)
            self.assertEqual((self.index.live, self.scan_all(), self.index.table.used), (0, [], 0))
            self.assertEqual(self.words[ROOT], self.words[NEWEST])
            self.index.check()


class ScanTest(IndexTestCase):
    def test_a_scan_gives_each_key_once_in_the_order_of_its_hash_whatever_the_count(self):
        offsets = self.fill(1500)
        for count in (1, 2, 10, 1000, 10 ** 6):
            found = self.scan_all(count)
            self.assertEqual(sorted(found), sorted(offsets))

    @slow
    def test_keys_that_stay_are_seen_once_while_others_come_and_go_and_the_table_grows(self):
        for seed in range(3):
            self.make()
            rng = random.Random(seed)
            staying = set(self.fill(800, seed))
            passing = self.fill(800, seed + 100)
            found, cursor = [], 0
            while True:
                cursor, offsets = self.index.scan(cursor, 5)
                found.extend(offset for offset in offsets if offset in staying)
                for _ in range(rng.randrange(40)):
                    passing.append(self.put(rng.getrandbits(HASH_BITS)))
                if passing and rng.random() < 0.5:
                    self.take(passing.pop(rng.randrange(len(passing))))
                self.index.step(rng.randrange(200))
                if not cursor:
                    break
            self.assertEqual(sorted(found), sorted(staying), seed)
            self.assertGreater(self.index.growths, 0)

    @slow
    def test_a_scan_that_passes_the_frontier_misses_nothing_wherever_it_stands(self):
        offsets = sorted(self.fill(1200))
        for more in (4000, 0):  # a larger table, then a smaller one, whose slots the frontier stands in the middle of
            self.index.start_growth(more)
            steps = 0
            while self.index.growing:
                self.index.step(1)
                steps += 1
                if steps % 150 == 0:
                    self.assertEqual(sorted(self.scan_all(1)), offsets, self.index.frontier)
            self.assertGreater(steps, 1000)
        self.assertEqual(self.index.table.slots, INDEX_SLOTS_INITIAL)

    def test_the_largest_hash_is_seen_and_ends_the_scan(self):
        offset = self.put((1 << HASH_BITS) - 1)
        self.assertEqual(self.scan_all(1), [offset])
        self.assertEqual(self.index.scan((1 << HASH_BITS) - 1, 1), (0, [offset]))


class CheckTest(IndexTestCase):
    def setUp(self):
        super().setUp()
        self.offsets = self.fill(500)
        self.chain = [self.put(9 << HOME_SHIFT) for _ in range(3)]
        self.index.check()

    def caught(self, text):
        with self.assertRaisesRegex(InvariantError, text):
            self.index.check()

    def test_a_wrong_tag(self):
        self.words[self.slot_of(self.offsets[0])] ^= 1 << 50
        self.caught("wrong tag")

    def test_a_record_before_its_home(self):
        slot = self.slot_of(self.chain[0])
        self.words[slot - 1], self.words[slot] = self.words[slot], TOMBSTONE
        self.caught("cannot be reached")

    def test_a_chain_that_is_cut(self):
        self.words[self.slot_of(self.chain[0])] = EMPTY
        self.caught("cannot be reached")

    def test_a_record_that_is_named_twice(self):
        slot = self.slot_of(self.chain[2])
        self.words[slot + 1] = self.words[slot]
        self.caught("repeats a record")

    def test_a_moved_slot_outside_a_growth(self):
        self.words[self.index.base + 4000] = MOVED
        self.caught("MOVED")

    def test_a_key_that_vanished(self):
        self.words[self.slot_of(self.chain[2])] = TOMBSTONE
        self.caught("real slots")

    def test_counts_that_are_off_by_one(self):
        for name, counter in (("live", self.index), ("used", self.index.table)):
            for by in (1, -1):
                setattr(counter, name, getattr(counter, name) + by)
                self.caught("counted")
                setattr(counter, name, getattr(counter, name) - by)
        self.index.check()

    def test_the_last_slot_taken(self):
        self.words[self.index.table.end - 1] = TOMBSTONE
        self.caught("behind the tail")
        self.index.table.tail = self.index.table.end
        self.caught("the last slot")

    def test_root_and_newest_that_name_something_else(self):
        self.words[ROOT] += 256
        self.caught("ROOT")
        self.words[ROOT] -= 256
        self.index.start_growth()
        self.index.check()
        self.words[NEWEST] -= 256
        self.caught("NEWEST")

    def test_a_slot_before_the_frontier_that_is_not_moved(self):
        self.index.start_growth()
        while self.index.frontier < self.index.table.base + 100:
            self.index.step(50)
        self.index.check()
        self.words[self.index.table.base + 50] = EMPTY
        self.caught("before the frontier")


if __name__ == "__main__":
    unittest.main()

"""What make_room() promises: at the edge of the load, at the end of the table, and while the table is exchanged."""

import random
import unittest

from nosqgrid.engine.index import INDEX_LOAD_FULL, INSERT_STEP_SLOTS
from nosqgrid.errors import GridFullError
from nosqgrid.formats.hashing import HASH_BITS
from nosqgrid.formats.slots import EMPTY, OFFSET_MASK
from nosqgrid.limits import INDEX_LOAD_MAX, INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL
from tests.support.keyspaces import Budget
from tests.support.tiers import slow
from tests.unit.test_index import IndexTestCase


class PromiseTest(IndexTestCase):
    def test_make_room_says_whether_a_batch_fits_at_the_edge(self):
        self.make(Budget((INDEX_SLOTS_INITIAL + INDEX_OVERFLOW_SLOTS) * 8))
        full_at = int(INDEX_SLOTS_INITIAL * INDEX_LOAD_FULL)
        self.fill(1000)
        new = [random.Random(5).getrandbits(HASH_BITS) for _ in range(full_at - 1000 + 1)]
        self.assertTrue(self.index.make_room(len(new) - 1, new[1:]))
        self.assertFalse(self.index.make_room(len(new), new))
        self.budget.remaining = 1 << 30
        self.assertTrue(self.index.make_room(len(new), new))
        self.assertGreater(self.index.table.slots, INDEX_SLOTS_INITIAL)
        self.index.check()

    def test_make_room_that_is_not_told_hashes_promises_what_the_overflow_takes(self):
        self.assertTrue(self.index.make_room(INDEX_OVERFLOW_SLOTS - 1))
        self.index.held = True
        for _ in range(INDEX_OVERFLOW_SLOTS - 1):
            self.put((1 << HASH_BITS) - 1)
        self.index.let_go()
        self.index.check()
        self.assertEqual(self.index.room_left(), 1)  # the last home's own slot took one

    @slow
    def test_keys_that_the_overflow_cannot_take_are_not_promised_room(self):
        last = (1 << HASH_BITS) - 1
        for taken in (0, 10):
            self.make()
            for _ in range(taken):
                self.put(last)
            fit = INDEX_OVERFLOW_SLOTS - taken  # behind the last home, whose own slot they have too; one stays EMPTY
            self.assertFalse(self.index.make_room(fit + 1, [last] * (fit + 1)))
            self.assertTrue(self.index.make_room(fit, [last] * fit))
            self.index.held = True
            for _ in range(fit):
                self.put(last)
            self.index.let_go()
            self.index.check()
            self.assertRaises(GridFullError, self.put, last)

    def test_what_deleted_keys_left_takes_new_ones_in_a_full_table(self):
        self.make(Budget((INDEX_SLOTS_INITIAL + INDEX_OVERFLOW_SLOTS) * 8))
        offsets = self.fill(int(INDEX_SLOTS_INITIAL * INDEX_LOAD_FULL))
        freed = next(offset for offset in offsets if self.words[self.slot_of(offset) + 1] != EMPTY)
        key_hash = self.hashes[freed]
        self.assertFalse(self.index.make_room(1, [key_hash]))
        self.index.remove(self.slot_of(freed))
        self.assertTrue(self.index.make_room(1, [key_hash]))
        self.assertFalse(self.index.make_room(2, [key_hash, key_hash]))
        self.put(key_hash)
        self.index.check()

    def test_a_held_index_moves_nothing_and_makes_up_for_it(self):
        self.fill(int(INDEX_SLOTS_INITIAL * INDEX_LOAD_MAX) - 1)
        self.index.start_growth()
        self.index.held = True
        self.fill(300, seed=7)
        self.assertFalse(self.index.migrating)
        self.assertEqual(self.index.table.used, int(INDEX_SLOTS_INITIAL * INDEX_LOAD_MAX) + 299)
        self.index.let_go()
        self.assertGreater(self.index.frontier, self.index.base + 200 * INSERT_STEP_SLOTS)
        self.index.finish_growth()
        self.index.check()

    @slow
    def test_a_new_table_that_became_too_small_is_given_up_before_anything_moves(self):
        self.fill(int(8 * INDEX_SLOTS_INITIAL * INDEX_LOAD_MAX) - 5)
        self.index.finish_growth()
        slots = self.index.table.slots
        for offset in sorted(self.hashes)[1000:]:
            self.index.remove(self.slot_of(offset))
            del self.hashes[offset]
        self.index.start_growth()
        self.assertEqual(self.index.new.slots, INDEX_SLOTS_INITIAL)
        self.index.held = True
        self.fill(INDEX_SLOTS_INITIAL, seed=8)
        self.index.let_go()
        self.index.finish_growth()
        self.assertIn(self.index.table.slots, range(2 * INDEX_SLOTS_INITIAL, slots + 1))
        self.index.check()

    @slow
    def test_a_growth_ends_before_the_keys_that_come_meanwhile_fill_its_table(self):
        self.make(memory_bytes=1 << 22)
        self.fill(int(16 * INDEX_SLOTS_INITIAL * INDEX_LOAD_MAX) - 5)
        self.index.finish_growth()
        for offset in sorted(self.hashes)[1000:]:
            self.index.remove(self.slot_of(offset))
            del self.hashes[offset]
        self.index.start_growth()
        while not self.index.migrating:
            self.index.step(1)
        small = self.index.new
        self.assertEqual(small.slots, INDEX_SLOTS_INITIAL)
        while self.index.table is not small:
            self.fill(1, seed=self.records)
            self.assertLess(small.used, small.full_at)
        self.fill(INDEX_SLOTS_INITIAL, seed=9)
        self.index.check()

    @slow
    def test_a_cluster_that_the_new_table_has_no_room_for_stays_until_keys_are_gone(self):
        last = (1 << HASH_BITS) - 1
        crowd = [self.put(last) for _ in range(INDEX_OVERFLOW_SLOTS)]
        gone = [self.put(number << HASH_BITS - 11) for number in range(1, 1201)]
        pairs = [self.put(number << HASH_BITS - 11) for number in range(1, 101)]
        for offset in gone:
            self.index.remove(self.slot_of(offset))
            del self.hashes[offset]
        index = self.index
        self.assertFalse(index.growing)
        index.may_grow = lambda slots, size_bytes: slots == INDEX_SLOTS_INITIAL
        index._announce(INDEX_SLOTS_INITIAL)  # as where there are tombstones to get rid of, and no memory for more
        first = index.table.end - 1 - INDEX_OVERFLOW_SLOTS
        while index.frontier < first:
            index.step(1)
        self.assertEqual(index.frontier, first)
        before = (1 << HASH_BITS) - (1 << HASH_BITS - 12) - 1  # at home in the last slot that has moved
        index.held = True
        came = [self.put(before) for _ in range(3)]
        index.let_go()
        for _ in range(2):
            self.assertFalse(index.step(512))
            self.assertRaises(GridFullError, index.finish_growth)
            self.assertFalse(index.make_room(1, [0]))
            self.assertRaises(GridFullError, index.prepare_clear)
            index.check()
        for offset in pairs + crowd + came:
            self.assertEqual(self.words[self.slot_of(offset)] & OFFSET_MASK, offset >> 3)
        for offset in crowd[:2]:
            index.remove(self.slot_of(offset))
            del self.hashes[offset]
        index.finish_growth()
        self.assertFalse(index.growing)
        index.check()
        for offset in pairs + crowd[2:] + came:
            self.assertEqual(self.words[self.slot_of(offset)] & OFFSET_MASK, offset >> 3)


if __name__ == "__main__":
    unittest.main()

"""The real walker against the real writer, in every interleaving of their accesses; and walkers with a bug.

After each execution: every record found is one that was written, whole; every key that was there all the time was found
exactly once; and what was found, with the effects of that time applied to it, is what the keyspace holds at the end,
versions included, which is what a checkpoint promises.  NOSQGRID_TEST_FULL=1 interrupts once more in each scenario.
"""

import contextlib
import os
import unittest
from unittest import mock

from nosqgrid.engine.heap import Heap
from nosqgrid.formats import records
from nosqgrid.formats.arena import NEWEST
from nosqgrid.formats.slots import MOVED
from nosqgrid.memory import walker as walker_module
from nosqgrid.memory.walker import Walker
from nosqgrid.storage.recovery import PlainState
from tests.explorer.scheduler import HALVES, WORDS, ScheduleFailure, explore
from tests.explorer.small_grid import (
    FILL, SEGMENT_SIZE_BYTES, SmallGrid, doing, home, keys_at, small_limits, small_memory)
from tests.support.tiers import slow

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"

A, B, C = keys_at(1, 3)
FAR = keys_at(5, 1)[0]
LAST = keys_at(7, 1)[0]
OLD, NEW = b"old" * 3, b"new" * 3
LARGE = bytes(range(SEGMENT_SIZE_BYTES + 40))

PLAIN, LOGGED, CHECKED, FAST = "plain", "logged", "checked", "fast"


class ListLog(object):
    """A log that keeps its entries."""

    def __init__(self):
        self.entries = []

    def append(self, first_lsn, count, payload):
        self.entries.append((first_lsn, count, payload))


def unpacked(record):
    """(key, value, version, deadline_ms) of a record as the walker gives it."""
    stamp, value_length, key_length, _, flags = records.HEADER.unpack_from(record)
    if flags & records.CHECKED and not records.checksum_holds(record[8:]):
        raise AssertionError("a record whose checksum does not hold: %r" % record)
    start = records.HEADER_SIZE_BYTES
    deadline_ms = 0
    if flags & records.EXPIRES:
        deadline_ms, = records.DEADLINE.unpack_from(record, start)
        start += 8
    key_end = start + key_length
    return record[start:key_end], record[key_end:key_end + value_length], stamp >> records.COPIES_BITS, deadline_ms


def walking(grid):
    """An actor that walks the arena once and returns the records."""
    memory = grid.memory
    walker = Walker(memory.reader_words, memory.reader_arena, grid.header, memory.unpacker(records.HEADER))

    def walk():
        cursor, found = 0, []
        while True:
            following, step = walker.step(cursor)
            if following and following <= cursor:
                raise AssertionError("the cursor went from %d to %d" % (cursor, following))
            found.extend(step)
            cursor = following
            if not cursor:
                return found
    return walk


class Walk(object):
    """A scenario with the walker as actor 0, and its check."""

    def __init__(self, before, script, path):
        self._before = before
        self._script = script
        self._path = path
        self.outcomes = set()  # what walks found, as sets of (key, value)
        self._passed = set()

    def make(self, memory):
        grid = SmallGrid(memory, fast=self._path == FAST, checked=self._path == CHECKED)
        doing(*self._before)(grid)()
        grid.stayed = set(grid.keyspace.scan(0, 1000)[1]) - {
            key for step in self._script if step[0] in ("delete", "clear") for key in step[1:]}
        grid.begun_lsn = grid.keyspace.version
        grid.listed = ListLog()
        if self._path == LOGGED:
            grid.keyspace.set_log(grid.listed)
        return [walking(grid), doing(*self._script)(grid)]

    def check(self, results):
        grid, found = results.memory.subject, results[0]
        if tuple(found) in self._passed:  # the writer sees nobody but itself, and ends alike each time
            return
        grid.keyspace.check()
        seen = [unpacked(record) for record in found]
        written = {(operation.args[0], operation.args[1], version) for operation in results.memory.history
                   if operation.op == "set" for version in [operation.result]}
        for key, value, version, _ in seen:
            if (key, value, version) not in written:
                raise AssertionError("found what was never written: %r" % ((key, value, version),))
        keys = [key for key, _, _, _ in seen]
        for key in grid.stayed:
            if keys.count(key) != 1:
                raise AssertionError("%r was found %d times" % (key, keys.count(key)))
        if len(set((key, version) for key, _, version, _ in seen)) != len(seen):
            raise AssertionError("the same record twice: %r" % seen)
        self.outcomes.add(frozenset((key, value) for key, value, _, _ in seen))
        if self._path == LOGGED:
            check_exact(grid, found)
        self._passed.add(tuple(found))


def check_exact(grid, found):
    """What was found with the effects since then is what there is."""
    state, keyspace = PlainState(), grid.keyspace
    state.load_records(b"".join(found), len(found), 0)
    for first_lsn, count, payload in grid.listed.entries:
        state.apply(first_lsn, count, payload, 0, True)
    expected = {}
    for key in keyspace.scan(0, 1000)[1]:
        entry = keyspace.lookup(key)
        expected[key] = entry.type, entry.value, entry.deadline_ms, entry.version
    if state.entries != expected:
        raise AssertionError("restored %r, and there is %r" % (state.entries, expected))


class WalkCase(unittest.TestCase):
    def walk(self, before, script, bound=1, paths=(PLAIN, LOGGED), **options):
        """Explore a walk in each variant, once more interrupted with NOSQGRID_TEST_FULL; the outcomes of all."""
        outcomes = set()
        for path in paths:
            with self.subTest(path=path, **options):
                outcomes |= self.explore(before, script, bound + FULL, path, **options)
        return outcomes

    def explore(self, before, script, bound, path, patches=(), step_bytes=1, at_once=2048, tear=HALVES):
        with contextlib.ExitStack() as stack:
            stack.enter_context(small_limits())
            stack.enter_context(mock.patch.object(walker_module, "STEP_BYTES", step_bytes))
            stack.enter_context(mock.patch.object(walker_module, "SLOTS_AT_ONCE", at_once))
            for patch in patches:
                stack.enter_context(patch)
            walk = Walk(before, script, path)
            result = explore(walk.make, walk.check, bound, memory=lambda: small_memory(tear))
            self.assertTrue(result.exhausted)
            self.assertGreater(result.count, 10)
        return walk.outcomes


class ChangeTest(WalkCase):
    def test_a_key_is_overwritten(self):
        outcomes = self.walk([("set", A, OLD), ("set", FAR, b"f")], [("set", A, NEW)], paths=(PLAIN, LOGGED, FAST))
        self.assertEqual(outcomes, {frozenset([(A, value), (FAR, b"f")]) for value in (OLD, NEW)})

    def test_a_key_is_overwritten_within_a_long_step(self):
        outcomes = self.walk([("set", A, OLD)], [("set", A, NEW)], bound=2, step_bytes=1000, paths=(PLAIN, FAST))
        self.assertEqual(outcomes, {frozenset([(A, value)]) for value in (OLD, NEW)})

    def test_a_checksummed_key_is_overwritten(self):
        outcomes = self.walk([("set", A, b"o")], [("set", A, b"n")], paths=(CHECKED,))
        self.assertEqual(outcomes, {frozenset([(A, value)]) for value in (b"o", b"n")})

    def test_a_key_torn_into_words_is_overwritten(self):
        self.walk([("set", A, OLD * 3)], [("set", A, NEW * 3)], tear=WORDS)

    def test_a_large_key_is_overwritten_and_one_with_a_deadline(self):
        self.walk([("set", A, LARGE)], [("set", A, LARGE[::-1])], paths=(PLAIN,))
        self.walk([("set", A, OLD), ("expire", A, 5000)], [("expire", A, 9000), ("set", A, NEW)])

    def test_keys_come_and_go(self):
        for script in ([("delete", A)], [("delete", B), ("set", C, b"c")], [("set", C, b"c"), ("delete", A)],
                       [("delete", C), ("set", C, NEW)]):
            self.walk([("set", A, b"a"), ("set", B, b"b"), ("set", FAR, b"f")], script)

    @slow
    def test_a_cluster_grows_over_the_cursor(self):
        # A key with an earlier home comes to stand behind the place where a step has ended.
        earlier, later = keys_at(0, 2), keys_at(2, 1)[0]
        outcomes = self.walk([("set", earlier[0], b"1"), ("set", later, b"2"), ("set", FAR, b"3")],
                             [("set", earlier[1], b"4"), ("set", A, b"5")], bound=2, step_bytes=40, paths=(PLAIN,))
        self.assertGreater(len(outcomes), 2)

    def test_everything_is_cleared(self):
        outcomes = self.walk([("set", A, b"a"), ("set", FAR, b"f")], [("clear", A, FAR), ("set", A, NEW)])
        self.assertIn(frozenset([(A, NEW)]), outcomes)
        self.assertIn(frozenset([(A, b"a"), (FAR, b"f")]), outcomes)

    def test_a_batch_is_committed(self):
        self.walk([("set", A, b"a"), ("set", FAR, b"f")], [("commit", (A, NEW), (FAR, NEW))])


class GrowthTest(WalkCase):
    BEFORE = [("set", A, b"a"), ("set", B, b"b"), ("set", FAR, b"f"), ("set", LAST, b"l")]

    @slow
    def test_the_index_grows(self):
        for step_bytes, at_once, bound in ((1, 2048, 1), (1000, 3, 2), (1, 3, 1)):
            self.walk(self.BEFORE, [("grow",)], bound, (PLAIN,), step_bytes=step_bytes, at_once=at_once)

    def test_the_walk_begins_in_the_middle_of_growth(self):
        for step_count in range(1, 6):
            self.walk(self.BEFORE + [("grow", step_count)], [("grow",)], paths=(PLAIN,))

    def test_the_index_grows_and_is_interrupted_twice(self):
        self.walk([("set", A, b"a"), ("set", FAR, b"f")], [("grow",)], bound=2, paths=(PLAIN,), step_bytes=1000)

    def test_the_index_grows_twice_and_its_area_is_used_again(self):
        self.walk([("set", A, b"a"), ("set", FAR, b"f")], [("grow",), ("grow",)], paths=(PLAIN,))
        self.walk([("set", A, b"a"), ("set", FAR, b"f")], [("grow",), ("grow",), ("grow",)], paths=(PLAIN,))

    def test_keys_change_while_the_index_grows(self):
        for key in (A, FAR, C):
            self.walk(self.BEFORE, [("grow", 3), ("set", key, NEW), ("grow",)], paths=(PLAIN,))
            self.walk(self.BEFORE, [("grow", 3), ("delete", key), ("grow",)], paths=(LOGGED,))

    def test_inserts_make_the_index_grow(self):
        inserts = [("set", key, b"") for key in [C] + keys_at(5, 3)]
        self.walk([("set", A, b"a"), ("set", B, b"b")], inserts)

    def test_the_index_shrinks(self):
        self.walk(SHRINKING[0], SHRINKING[1])


def shrinking():
    """(before, script): a table of 16 slots in which two keys end a cluster at an odd slot, and one of 8 follows it.

    In that one the second key lies behind the place of the cursor.
    """
    pair = [key for key in keys_at(1, 20) if home(key, 4) == 2][:2]
    return ([("set", pair[0], b"1"), ("set", pair[1], b"2"), ("set", FAR, b"3"), ("grow",), ("delete", FAR)],
            [("grow",)])


SHRINKING = shrinking()


class SpaceTest(WalkCase):
    TO_CLEAN = [("set", A, OLD), ("set", B, FILL), ("set", B, FILL)]
    FULL = [("set", A, OLD), ("set", B, FILL), ("set", FAR, FILL)]
    EMPTY_IT = [("delete", A), ("delete", B), ("set", FAR, FILL)]

    def test_the_cleaner_moves_a_record_whose_place_is_used_again(self):
        self.walk(self.TO_CLEAN, [("clean",)], bound=2, paths=(PLAIN,), step_bytes=1000)
        self.walk(self.TO_CLEAN, [("clean",), ("set", FAR, FILL), ("set", FAR, FILL)])

    def test_the_place_of_a_record_is_used_for_another(self):
        self.walk(self.FULL, self.EMPTY_IT + [("set", C, b"c")])
        self.walk(self.FULL, self.EMPTY_IT + [("set", A, NEW)], bound=2, paths=(PLAIN,), step_bytes=1000)


# -- walkers with a bug -----------------------------------------------------------------------------------------------


class DeafWords(object):
    """Words that hide from a walker what a second look would have shown: "newest", "stamp", "slot" or "moved"."""

    def __init__(self, words, header, forgets):
        self._words = words
        self._heap = header.layout.heap_offset_bytes >> 3
        self._forgets = forgets
        self.newest = None
        self.slots = {}  # place -> word in the list
        self.stamps = {}  # place -> what was unpacked there

    def __getitem__(self, place):
        if isinstance(place, slice):
            loaded = self._words[place]
            self.slots.update(zip(range(place.start, place.stop), loaded.tolist()))
            return loaded
        if place == NEWEST and self._forgets == "newest":
            if self.slots:
                self.slots.clear()
                return self.newest
            self.newest = self._words[place]
            return self.newest
        if place >= self._heap and self._forgets == "stamp":
            return self.stamps[place]
        word = self._words[place]
        if self._forgets == "slot" and place in self.slots:
            return self.slots[place]
        if self._forgets == "moved" and place in self.slots and word == MOVED:
            return 0
        return word


def deaf(forgets):
    """A patch of the scenarios: their walker takes no second look at this."""
    def walking_deaf(grid):
        memory = grid.memory
        words = DeafWords(memory.reader_words, grid.header, forgets)
        load = memory.unpacker(records.HEADER)

        def unpack(arena, offset):
            header = load(arena, offset)
            words.stamps[offset >> 3] = header[0]
            return header
        walker = Walker(words, memory.reader_arena, grid.header, unpack)

        def walk():
            cursor, found = 0, []
            while True:
                words.slots.clear()
                cursor, step = walker.step(cursor)
                found.extend(step)
                if not cursor:
                    return found
        return walk
    return mock.patch.dict(globals(), walking=walking_deaf)


def unbounded(walker, cursor, base, shift, limit, clusters=Walker._clusters):
    """Walker._clusters, but a table that is being filled is believed to its end."""
    return clusters(walker, cursor, base, shift, walker_module.END_OF_HASHES)


def step_noting_the_cursor(walker, cursor, step=Walker._try_step):
    """Walker._try_step; _hash_of, patched, says that every record lies just at the cursor."""
    walker.begun_at = cursor
    return step(walker, cursor)


def release_without_a_new_generation(heap, segment, release=Heap._release):
    """Heap._release, but slot words of the next use look like those of the last."""
    release(heap, segment)
    heap.generation[segment] -= 1


class SeededBugTest(WalkCase):
    def assert_caught(self, before, script, patches, message, bound=2, step_bytes=1000, at_once=2048):
        """The scenario passes as the code is, and fails with the patches, by what was found."""
        self.explore(before, script, bound, PLAIN, (), step_bytes, at_once)
        with self.assertRaises(ScheduleFailure) as caught:
            self.explore(before, script, bound, PLAIN, patches, step_bytes, at_once)
        self.assertRegex(str(caught.exception), message)

    @slow
    def test_believing_an_empty_slot_of_an_area_that_is_used_again(self):
        self.assert_caught([("set", A, b"a"), ("set", FAR, b"f")], [("grow",), ("grow",)], [deaf("newest")],
                           "was found 0 times")

    def test_believing_a_table_that_is_being_filled_behind_the_moved_run(self):
        self.assert_caught(GrowthTest.BEFORE + [("grow", 3)], [("grow",)],
                           [mock.patch.object(Walker, "_clusters", unbounded)], "was found 0 times")

    @slow
    def test_taking_moved_for_gone_at_the_second_look_at_a_slot(self):
        # Announced and cleared before the walk begins, so that NEWEST tells nothing.
        self.assert_caught(GrowthTest.BEFORE + [("grow", 1)], [("grow",)], [deaf("moved")], "was found 0 times")

    def test_not_looking_at_the_slot_again(self):
        self.assert_caught(SpaceTest.FULL, SpaceTest.EMPTY_IT + [("set", C, NEW)], [deaf("slot")], "never written")

    def test_not_looking_at_the_stamp_again(self):
        self.assert_caught(SpaceTest.FULL, SpaceTest.EMPTY_IT + [("set", A, NEW)],
                           [mock.patch.object(Heap, "_release", release_without_a_new_generation), deaf("stamp")],
                           "never written")

    def test_not_leaving_out_what_lies_before_the_cursor(self):
        self.assert_caught(SHRINKING[0], SHRINKING[1],
                           [mock.patch.object(Walker, "_hash_of", lambda walker, record: walker.begun_at),
                            mock.patch.object(Walker, "_try_step", step_noting_the_cursor)],
                           "was found 2 times", bound=1, step_bytes=1)


if __name__ == "__main__":
    unittest.main()

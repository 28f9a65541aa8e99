"""Bugs put into the real code on purpose: the explorer must catch each one, or its silence would mean nothing.

Every case first passes all schedules as the code is, then is explored again with one seam patched.  The patches are of
the kind that a tired programmer makes: two stores in the wrong order, a check left out, space given back too early.
None of them can be seen by a single thread: without a reader in between, all end in the right state.
"""

import contextlib
import unittest
from unittest import mock

from nosqgrid.engine import cleaner
from nosqgrid.engine.fastclean import make_move_plain
from nosqgrid.engine.heap import Heap
from nosqgrid.engine.index import Index
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.formats import records
from nosqgrid.formats.arena import NEWEST
from nosqgrid.formats.slots import EMPTY, FIRST_REAL, MOVED, OFFSET_MASK
from nosqgrid.memory.reader import Reader
from tests.explorer.scheduler import ScheduleFailure, explore
from tests.explorer.small_grid import (
    FILL, GridCheck, SmallGrid, cleaning_behind_survivors, doing, getting, keys_at, scenario, small_limits,
    small_memory)

A, B, C = keys_at(1, 3)
FAR = keys_at(5, 1)[0]

# As in test_interleavings: the cleaner will take segment 0, in which A lives beside a dead record; or the segment
# becomes free when A and B are deleted, and the next record but one lies where A lay.
OLD, NEW = b"old" * 5, b"new" * 5
TO_CLEAN = [("set", A, OLD), ("set", B, FILL), ("set", B, FILL)]
RUN_TO_CLEAN = [("set", A, b"old"), ("set", C, b"c"), ("set", B, b"b"), ("set", B, FILL)]
FULL = [("set", A, OLD), ("set", B, FILL), ("set", FAR, FILL)]
COMES_BACK = [("delete", A), ("delete", B), ("set", FAR, FILL), ("set", A, NEW)]


# -- writers with a bug -----------------------------------------------------------------------------------------------


def store_published_before_the_body(keyspace, key, body):
    """Keyspace.store_body, but the slot word names the record before the body is in it."""
    size = (8 + len(body) + 7) & ~7
    offset = keyspace.room.allocate(size)
    keyspace.version += 1
    keyspace.words[offset >> 3] = keyspace.version << records.COPIES_BITS
    keyspace._publish(key, offset, size)
    keyspace.arena[offset + 8:offset + 8 + len(body)] = body
    return keyspace.version


def store_published_before_the_stamp(keyspace, key, body):
    """Keyspace.store_body, but the stamp comes last."""
    size = (8 + len(body) + 7) & ~7
    offset = keyspace.room.allocate(size)
    keyspace.arena[offset + 8:offset + 8 + len(body)] = body
    keyspace._publish(key, offset, size)
    keyspace.version += 1
    keyspace.words[offset >> 3] = keyspace.version << records.COPIES_BITS
    return keyspace.version


def copy_published_before_the_stamp(keyspace, slot, key_hash, offset, stamp, generation_bits):
    """Keyspace.publish_copy with its two stores exchanged."""
    keyspace.words[slot] = (key_hash & 0xFFFF) << 48 | generation_bits | offset >> 3
    keyspace.words[offset >> 3] = stamp


class Late:
    """A face of the memory whose stores are kept until tell() makes them."""

    def __init__(self, face):
        self._face, self._kept = face, []

    def __setitem__(self, place, value):
        self._kept.append((place, bytes(value) if isinstance(value, memoryview) else value))

    def tell(self):
        for place, value in self._kept:
            self._face[place] = value


def moving_runs_bodies_last():
    """Patch engine/fastclean: the bodies of a run come after the slot words."""
    def make(keyspace):
        class Lent:
            secret, source, heap, index = keyspace.secret, keyspace.source, keyspace.heap, keyspace.index
            words, arena = keyspace.words, None

        def move(*arguments):
            late = Lent.arena = Late(keyspace.arena)
            answer = make_move_plain(Lent)(*arguments)
            late.tell()
            return answer
        return move
    return mock.patch.object(cleaner, "make_move_plain", make)


def clean_and_publish_later(grid):
    """Cleaner: the segment is given back, and used again, before the slots name the copies."""
    late = []

    def publish_copy(keyspace, slot, key_hash, offset, stamp, generation_bits):
        keyspace.words[offset >> 3] = stamp
        late.append((slot, (key_hash & 0xFFFF) << 48 | generation_bits | offset >> 3))
    with mock.patch.object(Keyspace, "publish_copy", publish_copy):
        grid.keyspace.cleaner.step(100)
    for _ in range(2):
        grid.set(FAR, FILL)
    for slot, word in late:
        grid.keyspace.words[slot] = word


def clean_and_reuse(grid):
    """The same work in the right order."""
    grid.keyspace.cleaner.step(100)
    for _ in range(2):
        grid.set(FAR, FILL)


def release_without_a_new_generation(heap, segment):
    """Heap._release, but slot words of the next use look like those of the last."""
    release_segment(heap, segment)
    heap.generation[segment] -= 1


release_segment = Heap._release


def move_cluster_marking_first(index):
    """Index._move_cluster, but the old slots become MOVED before the new table has their keys."""
    start, words = index.frontier, []
    slot = start
    while slot < index.table.end:
        words.append(index.words[slot])
        index.words[slot] = MOVED
        slot += 1
        if words[-1] == EMPTY:
            break
    for word in words:
        if word >= FIRST_REAL:
            index._place(index.new, index.hash_at((word & OFFSET_MASK) << 3), word)
    index.frontier = slot
    return True


def grow_announcing_late(index, slots):
    """Index._announce, but NEWEST names the generation only when its area has been cleared."""
    announced, store = [], index.words

    class Words:
        """Holds the store to NEWEST back until another word is stored, which is when the area is ready."""

        def __getitem__(self, place):
            return store[place]

        def __setitem__(self, place, value):
            if place == NEWEST:
                announced.append(value)
                return
            if announced:
                store[NEWEST] = announced.pop()
            store[place] = value
    index.words = Words()
    announce(index, slots)


announce = Index._announce


# -- readers with a bug -----------------------------------------------------------------------------------------------


class ForgetfulWords:
    """Words that tell a Reader what it wants to hear when it looks a second time."""

    def __init__(self, grid, forgets):
        self._words = grid.memory.reader_words
        self._heap_start = grid.header.layout.heap_offset_bytes >> 3
        self._forgets = forgets
        self._slot = None, None  # the latest load of a slot: index and word
        self.stamps = {}  # word index of a record -> the stamp that was unpacked there
        self.reader = None

    def __getitem__(self, place):
        last_slot, last_word = self._slot
        if place == NEWEST and "newest" in self._forgets and last_word == EMPTY:
            return self.reader.geometry[2]
        if place >= self._heap_start:
            return self.stamps[place] if "stamp" in self._forgets else self._words[place]
        if place == last_slot and "slot" in self._forgets:
            self._slot = None, None
            return last_word
        word = self._words[place]
        self._slot = place, word
        return word


def forgetting(*forgets):
    """A patch of SmallGrid: its readers take no second look at these: "slot", "stamp", "newest"."""
    def new_reader(grid):
        words = ForgetfulWords(grid, forgets)
        load = grid.memory.unpacker(records.HEADER)

        def unpack(arena, offset):
            header = load(arena, offset)
            words.stamps[offset >> 3] = header[0]
            return header
        reader = words.reader = Reader(words, grid.memory.reader_arena, grid.header, unpack,
                                       grid.memory.unpacker(records.DEADLINE))

        def read(key):
            found = reader.read(key)
            return (None, 0) if found is None else (found.value, found.stamp >> records.COPIES_BITS)
        return read
    return mock.patch.object(SmallGrid, "new_reader", new_reader)


class SeededBugTest(unittest.TestCase):

    def explore(self, actors, before, bound, patches=()):
        with contextlib.ExitStack() as stack:
            stack.enter_context(small_limits())
            for patch in patches:
                stack.enter_context(patch)
            result = explore(scenario(actors, before), GridCheck(), bound=bound, memory=small_memory)
            self.assertTrue(result.exhausted)

    def assert_caught(self, actors, before, patches, bound=2, correct=None):
        """The actors pass as the code is (`correct` in their stead, if given), and fail with the patches."""
        self.explore(correct or actors, before, bound)
        with self.assertRaises(ScheduleFailure) as caught:
            self.explore(actors, before, bound, patches)
        # By the history: neither a crash of an actor nor a state that is wrong when all is over.
        self.assertIn("not linearizable", str(caught.exception))

    def test_record_published_before_its_body_is_caught(self):
        for before in ([], [("set", A, OLD)]):
            self.assert_caught([getting(A), doing(("set", A, NEW))], before,
                               [mock.patch.object(Keyspace, "store_body", store_published_before_the_body)])

    def test_record_published_before_its_stamp_is_caught(self):
        self.assert_caught([getting(A), doing(("set", A, NEW))], [("set", A, OLD)],
                           [mock.patch.object(Keyspace, "store_body", store_published_before_the_stamp)])

    def test_copy_of_the_cleaner_published_before_its_stamp_is_caught(self):
        self.assert_caught([getting(A), doing(("clean",))], TO_CLEAN,
                           [mock.patch.object(Keyspace, "publish_copy", copy_published_before_the_stamp)])

    def test_run_of_the_cleaner_published_before_its_bodies_is_caught(self):
        for key in (A, C):
            self.assert_caught([getting(key), cleaning_behind_survivors], RUN_TO_CLEAN, [moving_runs_bodies_last()])

    def test_segment_used_again_before_the_slots_are_changed_is_caught(self):
        def actor(work):
            return lambda grid: lambda: work(grid)
        self.assert_caught([getting(A), actor(clean_and_publish_later)], TO_CLEAN, [],
                           correct=[getting(A), actor(clean_and_reuse)])

    def test_reader_that_forgets_the_second_look_at_the_slot_is_caught(self):
        self.assert_caught([getting(A), doing(*COMES_BACK)], FULL, [forgetting("slot")])

    def test_reader_that_forgets_both_second_looks_is_caught(self):
        self.assert_caught([getting(A), doing(*COMES_BACK)], FULL, [forgetting("slot", "stamp")])

    def test_segment_used_again_under_its_old_generation_is_caught_with_readers_that_forget_the_stamp(self):
        same_generation = mock.patch.object(Heap, "_release", release_without_a_new_generation)
        self.assert_caught([getting(A), doing(*COMES_BACK)], FULL, [same_generation, forgetting("stamp")])

    def test_generation_and_stamp_each_protect_where_the_other_fails(self):
        actors = [getting(A), doing(*COMES_BACK)]
        self.explore(actors, FULL, 2, [mock.patch.object(Heap, "_release", release_without_a_new_generation)])
        self.explore(actors, FULL, 2, [forgetting("stamp")])

    def test_slots_marked_as_moved_before_their_keys_are_is_caught(self):
        self.assert_caught([getting(A), doing(("grow",))], [("set", A, OLD)],
                           [mock.patch.object(Index, "_move_cluster", move_cluster_marking_first)])

    def test_area_cleared_before_the_new_generation_is_announced_is_caught(self):
        # The reader begins while generation 1 is being moved, whose area is cleared for generation 3.
        self.assert_caught([getting(A), doing(("grow",), ("grow",))], [("set", A, OLD), ("grow", 2)],
                           [mock.patch.object(Index, "_announce", grow_announcing_late)])

    def test_reader_that_trusts_an_empty_slot_of_an_old_generation_is_caught(self):
        self.assert_caught([getting(A), doing(("grow",), ("grow",))], [("set", A, OLD)], [forgetting("newest")])


if __name__ == "__main__":
    unittest.main()

"""A view made, and read later, against a writer that would use its segment again: the real maps, pins and heap.

The reader pins and looks again; the heap lets nothing live in a segment and then looks at the pins.  The explorer's
memory is sequentially consistent, so that segments need not rest here; that both orders are needed is shown by bugs
seeded into either side, which must be caught.
"""

import contextlib
import unittest
from unittest import mock

from nosqgrid.client import maps as maps_module
from nosqgrid.client.maps import Maps
from nosqgrid.formats import lane, records
from nosqgrid.formats.arena import Layout
from nosqgrid.formats.slots import OFFSET_MASK
from nosqgrid.memory.pins import Pins
from nosqgrid.memory.reader import Reader
from tests.explorer.scheduler import HALVES, ScheduleFailure, explore
from tests.explorer.small_grid import FILL, SEGMENT_COUNT, SEGMENT_SIZE_BYTES, SmallGrid, keys_at, small_limits
from tests.explorer.stand_ins import Memory, Words

A, B, _ = keys_at(1, 3)
FAR = keys_at(5, 1)[0]
OLD, NEW = b"old" * 5, b"new" * 5
PINS = 4
TRIES = 20

FULL = [("set", A, OLD), ("set", B, FILL), ("set", FAR, FILL)]
COMES_BACK = [("delete", A), ("delete", B), ("settle",), ("set", FAR, FILL), ("set", A, NEW)]
TO_CLEAN = [("set", A, OLD), ("set", B, FILL), ("set", B, FILL)]
CLEANED = [("clean",), ("settle",), ("set", FAR, FILL), ("set", FAR, FILL)]


class PinWords(object):
    """The pins of a lane, as words behind the arena; the words that say since when are nobody's concern here."""

    def __init__(self, memory, first):
        self._words, self._first = Words(memory, writable=True, loads=True), first

    def _place(self, index):
        if index == lane.PINS_USED:
            return self._first
        pin, rest = divmod(index - lane.PINS_WORD, lane.PIN_WORDS)
        return None if rest else self._first + 1 + pin

    def __getitem__(self, index):
        return self._words[self._place(index)]

    def __setitem__(self, index, value):
        place = self._place(index)
        if place is not None:
            self._words[place] = value

    def segments(self, segment_of):
        """As coordinator/pins finds them."""
        pins = [self[lane.PINS_WORD + lane.PIN_WORDS * pin] for pin in range(self[lane.PINS_USED])]
        return {segment_of((pin & OFFSET_MASK) << 3) for pin in pins if pin}


class FakePart(object):
    """A map of a part of the memory: what is read of it is read then."""

    def __init__(self, memory, start, stop):
        self._memory, self._start, self._size = memory, start, stop - start

    def __len__(self):
        return self._size

    def __getitem__(self, place):
        return FakeView(self, self._memory, self._start + place.start, self._start + place.stop)


class FakeView(object):
    def __init__(self, part, memory, start, stop):
        self._part, self._memory, self._start, self._stop = part, memory, start, stop

    def read(self):
        return self._memory.reader_arena[self._start:self._stop]


class FakeAttachment(object):
    lost = False
    lane = None

    def __init__(self, reader):
        self.reader = reader

    def command(self, name):
        return 1


class PinnedGrid(SmallGrid):
    """A small grid whose heap heeds pins.  Bugs that can be seeded: see bugs()."""

    bug = None

    def __init__(self, memory):
        super().__init__(memory)
        self.pin_words = PinWords(memory, Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES).arena_size_bytes // 8)
        self.pins = Pins(self.pin_words)
        self.keyspace.heap.pins = self.segments
        self._early = set()

    def segments(self):
        if self.bug == "careless":
            return set()
        return self._early if self.bug == "early" else self.pin_words.segments(self.keyspace.heap.segment_of)

    def act(self, steps):
        if self.bug == "early":
            self._early = self.pin_words.segments(self.keyspace.heap.segment_of)
        for step in steps:
            getattr(self, step[0])(*step[1:])

    def settle(self):
        self.keyspace.heap.settle(1 << 40)

    def make_maps(self, reader):
        maps = Maps(FakeAttachment(reader), -1)
        maps._close.detach()
        maps._close = mock.Mock(alive=True)
        maps.pins = self.pins
        return maps


class AgreeingWords(object):
    """Words that say whatever the reader wants to hear: no second look is taken."""

    def __init__(self, words, found):
        self._words = words
        self._said = {found.slot: found.word, found.word & OFFSET_MASK: found.stamp}

    def __getitem__(self, place):
        return self._said[place]


class LatePins(object):
    """Pins that are stored only when the map is made, behind the second look."""

    def __init__(self, pins):
        self._pins = pins
        self._what = None

    def take(self, what):
        self._what = what
        return 0

    def store(self):
        self._pins.take(self._what)

    def free(self, place):
        self._pins.free(place)


def viewing(grid):
    """The reader: (version, what it read at once, what it read later), or None."""
    memory = grid.memory
    reader = Reader(memory.reader_words, memory.reader_arena, grid.header, memory.unpacker(records.HEADER),
                    memory.unpacker(records.DEADLINE))
    maps = grid.make_maps(reader)
    if grid.bug == "late":
        maps.pins = LatePins(grid.pins)

    def map_part(fd, start, stop):
        if grid.bug == "late":
            maps.pins.store()
        return FakePart(memory, start, stop)

    def act():
        for _ in range(TRIES):
            found = reader.read(A, with_value=False)
            if found is None:
                return None
            if grid.bug == "blind":
                maps._attachment = FakeAttachment(mock.Mock(layout=reader.layout,
                                                            words=AgreeingWords(reader.words, found)))
            try:
                view = maps.view(found)
            except KeyError:
                continue
            return found.stamp >> records.COPIES_BITS, view.read(), view.read()
        raise AssertionError("the value was not to be had")
    grid.map_part = map_part
    return act


def pinned_memory():
    return Memory(Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES).arena_size_bytes + 8 * (1 + PINS), HALVES,
                  writer_loads=False)


class PinsTest(unittest.TestCase):
    def explore(self, before, steps, bug=None, bound=2):
        """Explore; the outcomes of the reader over all schedules."""
        seen = set()
        current = []

        def make_scenario(memory):
            grid = PinnedGrid(memory)
            grid.bug = bug
            for step in before:
                getattr(grid, step[0])(*step[1:])
            current[:] = [grid]
            return [viewing(grid), lambda: grid.act(steps)]

        def check(results):
            seen.add(results[0])
            if results[0] is not None:
                version, first, later = results[0]
                self.assertEqual(first, OLD if version == 1 else NEW)
                self.assertEqual(later, first)
            current[0].keyspace.check()
        with contextlib.ExitStack() as stack:
            stack.enter_context(small_limits())
            stack.enter_context(mock.patch.object(maps_module, "memoryview", lambda part: part, create=True))
            stack.enter_context(mock.patch.object(
                maps_module, "map_part", lambda fd, start, stop: current[0].map_part(fd, start, stop)))
            result = explore(make_scenario, check, bound=bound, memory=pinned_memory)
        self.assertTrue(result.exhausted)
        self.assertGreater(result.count, 100)
        return seen

    def test_a_view_stays_while_its_segment_would_be_used_again(self):
        seen = self.explore(FULL, COMES_BACK)
        self.assertIn(None, seen)
        self.assertEqual({outcome[1:] for outcome in seen - {None}}, {(OLD, OLD), (NEW, NEW)})

    def test_a_view_stays_while_the_cleaner_empties_its_segment(self):
        self.assertEqual({outcome[1:] for outcome in self.explore(TO_CLEAN, CLEANED)}, {(OLD, OLD)})

    def assert_caught(self, bug):
        with self.assertRaises(ScheduleFailure) as caught:
            self.explore(FULL, COMES_BACK, bug)
        self.assertRegex(str(caught.exception), "AssertionError: b['\"].* != b['\"]")  # bytes that changed

    def test_a_heap_that_does_not_look_at_pins_is_caught(self):
        self.assert_caught("careless")

    def test_a_reader_that_does_not_look_again_is_caught(self):
        self.assert_caught("blind")

    def test_a_reader_that_pins_behind_its_second_look_is_caught(self):
        self.assert_caught("late")

    def test_pins_that_are_looked_at_before_the_slots_change_are_caught(self):
        self.assert_caught("early")


if __name__ == "__main__":
    unittest.main()

"""A checkpoint made while others write is exact: records read at any moment, and the log of that time, give the state.

Random commands run between and within the steps of a walk; then the records and the log of that time are loaded into a
fresh keyspace and into a dict, and both are what the keyspace was at the end, versions included.
"""

import os
import random
import unittest
from unittest import mock

from nosqgrid.engine.frames import apply_frame, frame_end
from nosqgrid.engine.loading import Loader
from nosqgrid.errors import BatchError, CorruptFileError, GridFullError, NosqgridError
from nosqgrid.formats import effects, lane, slots
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.log import LSN_MAX
from nosqgrid.formats.records import BODY, COPIES_BITS, HEADER, STAMP, pack_body
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX
from nosqgrid.memory import walker as walker_module
from nosqgrid.memory.reader import Reader
from nosqgrid.storage.recovery import PlainState
from tests.support.command_context import PlainContext
from tests.support.walks import ListLog, make_space, make_walker, restore, state_of, tiny_limits, walk
from tests.support.tiers import slow

HEAP_BYTES = 128 * 64  # of tiny_limits' segments
SMALL_RUNS = 3000 if os.environ.get("NOSQGRID_TEST_FULL") == "1" else 400


class Commands(object):
    """Random commands on a keyspace with a log, through frames and the command table as clients send them."""

    def __init__(self, space, rng, key_count, value_max):
        self.space = space
        self.rng = rng
        self.keys = [b"k%d" % number for number in range(key_count)]
        self.value_max = value_max
        self.context = PlainContext(space)
        self.refused = 0

    def key(self):
        return self.rng.choice(self.keys)

    def value(self):
        return bytes((self.rng.randrange(48, 58),)) * self.rng.randrange(1, self.value_max)

    def act(self):
        rng, space = self.rng, self.space
        action = rng.random()
        try:
            if action < 0.3:
                self.frames()
            elif action < 0.6:
                self.context.run(self.command())
            elif action < 0.7:
                self.batch()
            elif action < 0.73:
                space.clear()
            elif action < 0.83:
                space.now_ms += rng.randrange(200)
                space.reclaim_expired()
            elif action < 0.9:
                space.cleaner.step(1000)
            else:
                space.index.start_growth(rng.randrange(200))
                space.index.step(rng.choice((1, 8, 1000)))
                space.work()
        except GridFullError:
            self.refused += 1
        except BatchError as error:
            if not isinstance(error.__cause__, GridFullError):
                raise
            self.refused += 1

    def deadline(self):
        return self.space.now_ms + self.rng.randrange(1, 300)

    def command(self):
        rng, key = self.rng, self.key()
        return list(rng.choice((
            lambda: (b"SET", key, self.value()),
            lambda: (b"SET", key, b"5", b"PX", b"%d" % rng.randrange(1, 300)),
            lambda: (b"DEL", key, self.key(), self.key()),
            lambda: (b"NOSQGRID.ADD", b"n" + key, b"%d" % rng.randrange(9)),
            lambda: (b"INCR", b"n" + key),
            lambda: (b"APPEND", key, b"x"),
            lambda: (b"PEXPIRE", key, b"%d" % rng.randrange(1, 300)),
            lambda: (b"PERSIST", key),
            lambda: (b"GETDEL", key),
            lambda: (b"MSET", key, self.value(), self.key(), b"1", self.key(), b"2"),
            lambda: (b"NOSQGRID.SET", key, self.value(), b"4", b"%d" % self.deadline(), b"-", b"0")))())

    def some_frames(self, count):
        pieces = []
        for _ in range(count):
            draw = self.rng.random()
            if draw < 0.7:
                pieces.append(pack_body(self.key(), self.value(), self.rng.randrange(len(NAMES))))
            elif draw < 0.85:
                pieces.append(pack_body(self.key(), self.value(), 1, self.deadline()))
            else:
                pieces.append(effects.pack_delete(self.key()))
        return b"".join(pieces)

    def frames(self):
        """What a client has posted, as the coordinator takes it."""
        data, position = self.some_frames(self.rng.choice((1, 1, 2, 6))), 0
        while position < len(data):
            position = self.space.apply_sets(data, position, len(data))
            if position < len(data):
                stop = frame_end(data, position, len(data))
                apply_frame(self.context, data, position, stop)
                position = stop

    def batch(self):
        data = self.some_frames(self.rng.randrange(1, 6))
        apply_frame(self.context, BODY.pack(len(data), 0, 0, lane.BATCH) + data, 0, 8 + len(data))


class FuzzyTest(unittest.TestCase):
    def run_one(self, seed, key_count=12, value_max=30, before=20, chance=0.15, flags=0, target_flags=0,
                memory_bytes=HEAP_BYTES, target_bytes=None, step_bytes=60):
        rng = random.Random(seed)
        space, header = make_space(memory_bytes, seed % 5, flags)
        space.now_ms = 1000
        log = ListLog()
        space.set_log(log)
        commands = Commands(space, rng, key_count, value_max)
        for _ in range(rng.randrange(before)):
            commands.act()
        begun = len(log.entries)

        def meddle():
            if rng.random() < chance:
                commands.act()
        with mock.patch.object(walker_module, "STEP_BYTES", step_bytes):
            found = walk(make_walker(space, header, meddle), commands.act)
        expected = state_of(space)
        space.check()
        _, target = make_space(target_bytes or memory_bytes, seed % 5, target_flags)
        state, loaded = restore(found, log.entries[begun:], target, space.now_ms)
        self.assertEqual(state, expected, seed)
        state, _ = restore([], log.entries, target, space.now_ms, fuzzy=False)
        self.assertEqual(state, expected, seed)
        return space, commands, loaded

    @slow
    def test_small_grids_at_every_chance(self):
        growths = cleaned = 0
        with tiny_limits():
            for seed in range(SMALL_RUNS):
                space, _, _ = self.run_one(seed, chance=(0.02, 0.1, 0.3)[seed % 3])
                growths += space.index.growths
                cleaned += space.cleaner.segments_cleaned
        self.assertGreater(growths, SMALL_RUNS)
        self.assertGreater(cleaned, SMALL_RUNS // 2)

    @slow
    def test_large_records_and_a_grid_that_is_nearly_full(self):
        refused = 0
        with tiny_limits():
            for seed in range(100):
                refused += self.run_one(seed, value_max=400, memory_bytes=128 * 20, target_bytes=128 * 64)[1].refused
        self.assertGreater(refused, 30)

    @slow
    def test_checksummed_records_into_a_grid_without_and_the_other_way_round(self):
        with tiny_limits():
            for seed in range(40):
                self.run_one(seed, flags=WEAK_ORDERING, target_flags=WEAK_ORDERING if seed % 2 else 0)
                self.run_one(seed, flags=0, target_flags=WEAK_ORDERING)

    def test_grids_of_the_usual_size(self):
        self.run_one(1, 2000, 100, 2000, 0.05, memory_bytes=1 << 20, step_bytes=20000)


class LoaderTestCase(unittest.TestCase):
    """Records and effects, given to a Loader and to a PlainState."""

    def setUp(self):
        self.space, self.header = make_space()
        self.loader = Loader(self.space)
        self.plain = PlainState()

    def record(self, key=b"k", value=b"v", version=1, value_type=1, deadline_ms=0, copies=0, checked=False):
        return STAMP.pack(version << COPIES_BITS | copies) + pack_body(key, value, value_type, deadline_ms, checked)

    def load(self, *found, **options):
        """Load records into both; the state, if they agree."""
        for target in (self.loader, self.plain):
            target.load_records(b"".join(found), options.get("count", len(found)), options.get("shift_ms", 0))
        return self.agreed()

    def apply(self, first_lsn, *packed, **options):
        for target in (self.loader, self.plain):
            target.apply(first_lsn, options.get("count", len(packed)), b"".join(packed), options.get("shift_ms", 0),
                         options.get("fuzzy", False))
            self.assertEqual(target.lsn, first_lsn + len(packed) - 1)
        return self.agreed()

    def agreed(self):
        self.space.version = max([self.space.version] + [entry[3] for entry in self.plain.entries.values()])
        self.space.check()
        state = {key: entry for key, entry in self.plain.entries.items() if not 0 < entry[2] <= self.space.now_ms}
        self.assertEqual(state_of(self.space), state)
        reader = Reader(self.space.words, self.space.arena, self.header)
        for key in state:
            word = reader.read(key).word
            segment = self.space.heap.segment_of(slots.slot_offset_bytes(word))
            self.assertEqual(word >> slots.GENERATION_SHIFT & slots.GENERATION_MASK,
                             self.space.heap.generation[segment])
        return state


class LoaderTest(LoaderTestCase):
    def test_records_of_every_kind(self):
        state = self.load(self.record(b"a"), self.record(b"b", b"", 7, 8), self.record(b"", b"x", 3, copies=9),
                          self.record(b"d", b"x", 4, deadline_ms=500), self.record(b"e", b"x", 5, checked=True),
                          self.record(b"f" * KEY_SIZE_BYTES_MAX, b"x" * 70000, 6, 2, 9, 1, True))
        self.assertEqual(state[b"b"], (8, b"", 0, 7))
        self.assertEqual(state[b"d"], (1, b"x", 500, 4))
        self.assertEqual(self.space.expiring, 2)

    def test_the_newer_of_two_records_of_one_key_stays(self):
        for pair in ([(b"old", 3), (b"new", 9)], [(b"new", 9), (b"old", 3)]):
            self.setUp()
            self.load(*[self.record(b"k", value, version) for value, version in pair])
            self.assertEqual(self.space.lookup(b"k").value, b"new")
            self.load(*[self.record(b"k", value, version, deadline_ms=50) for value, version in pair])
            self.assertEqual(self.space.lookup(b"k")[1:], (b"new", 0, 9))

    def test_deadlines_are_shifted_and_stay_in_their_bounds(self):
        state = self.load(self.record(b"a", deadline_ms=500), self.record(b"b", deadline_ms=5), shift_ms=-100)
        self.assertEqual([state[key][2] for key in (b"a", b"b")], [400, 1])
        state = self.apply(10, pack_body(b"a", b"v", 1, 500), pack_body(b"b", b"v", 1, 2 ** 62), shift_ms=700)
        self.assertEqual([state[key][2] for key in (b"a", b"b")], [1200, 2 ** 62 + 700])

    def test_deadlines_beyond_the_last_are_the_last(self):
        state = self.load(self.record(b"a", deadline_ms=2 ** 63 - 1), self.record(b"b", deadline_ms=2 ** 62),
                          shift_ms=2 ** 62 + 2 ** 61)
        self.assertEqual([state[key][2] for key in (b"a", b"b")], [2 ** 63 - 1, 2 ** 63 - 1])

    def test_effects_in_order(self):
        state = self.apply(1, pack_body(b"a", b"1", 1), pack_body(b"b", b"1", 1, 900), effects.pack_delete(b"a"),
                           pack_body(b"c", bytes(60000), 1), effects.pack_delete(b"nobody"))
        self.assertEqual({key: entry[3] for key, entry in state.items()}, {b"b": 2, b"c": 4})
        state = self.apply(6, effects.pack_clear(), pack_body(b"d", b"1", 1))
        self.assertEqual({key: entry[3] for key, entry in state.items()}, {b"d": 7})
        self.assertEqual(self.space.expiring, 0)

    def test_older_effects_change_nothing_and_newer_ones_everything(self):
        for version, expected in ((4, b"new"), (5, b"v"), (6, b"v")):
            self.setUp()
            self.load(self.record(version=version))
            self.assertEqual(self.apply(5, pack_body(b"k", b"new", 1), fuzzy=True)[b"k"][1], expected)
        for packed in (effects.pack_delete(b"k"), effects.pack_clear()):
            for version, left in ((4, 0), (5, 1), (6, 1)):
                self.setUp()
                self.load(self.record(version=version), self.record(b"other", version=900))
                self.assertEqual(len(self.apply(5, packed, fuzzy=True)), left + 1)

    def test_expired_keys_are_replaced_and_deleted_like_others(self):
        self.space.now_ms = 1000
        self.load(*[self.record(key, deadline_ms=10) for key in (b"a", b"b", b"c")])
        state = self.apply(5, effects.pack_delete(b"a"), pack_body(b"b", b"new", 1), fuzzy=True)
        self.assertEqual(set(state), {b"b"})
        self.assertEqual(self.space.expiring, 1)

    def test_a_clear_that_leaves_some(self):
        self.load(*[self.record(b"k%d" % number, version=number + 1) for number in range(3000)])
        self.assertEqual(len(self.apply(1501, effects.pack_clear(), fuzzy=True)), 1500)

    def test_the_next_write_gets_the_position_behind(self):
        self.load(self.record(version=90))
        self.loader.finish(95)
        log = ListLog()
        self.space.set_log(log)
        self.assertEqual(self.space.store(b"k", 0, b"v"), 96)
        self.assertEqual(log.entries[0][0], 96)

    @slow
    def test_many_plain_records_in_any_room(self):
        found = [self.record(b"key:%d" % number, bytes(number % 500), number + 1) for number in range(3000)]
        for expected_keys, growths in ((0, 1), (3000, 1), (10 ** 6, 1)):
            self.space, self.header = make_space(2 << 20)
            self.loader, self.plain = Loader(self.space), PlainState()
            self.loader.expect_keys(expected_keys)
            grown = self.space.index.growths
            for start in range(0, 3000, 900):
                self.load(*found[start:start + 900])
            self.assertEqual(self.space.key_count, 3000)
            self.assertEqual(self.space.index.growths, growths)
            self.assertEqual(grown, 1 if expected_keys else 0)

    def test_records_that_come_while_the_index_grows(self):
        self.load(*[self.record(b"key:%d" % number) for number in range(500)])
        self.space.index.start_growth(5000)
        while not self.space.index.migrating:
            self.space.index.step(1)
        for count in (0, 1000, 2000):
            self.space.index.step(count)
            self.load(*[self.record(b"more:%d:%d" % (count, number)) for number in range(50)])

    @slow
    def test_records_and_effects_in_used_segments(self):
        for round in range(30):
            self.load(*[self.record(b"key:%d" % number, bytes(60000), round + 1) for number in range(10)])
        self.assertGreater(max(self.space.heap.generation), 2)
        self.load(*[self.record(b"small:%d" % number) for number in range(50)])

    def test_a_grid_that_was_full_comes_back_in_a_quarter_more_memory(self):
        # In the same it may not: packed anew, the ends of segments are other ones (Durability takes more then).
        for seed in range(6):
            rng = random.Random(seed)
            space, header = make_space(1 << 20, seed)
            full = 0
            while full < 3:
                try:
                    space.store(b"k%d" % rng.randrange(100000), 1, bytes(rng.randrange(10000)))
                except GridFullError:
                    full += 1
            expected, found = state_of(space), walk(make_walker(space, header))
            for memory_bytes in (5 << 18, 6 << 18, 8 << 18):
                try:
                    self.assertEqual(restore(found, [], make_space(memory_bytes, seed)[1], 0)[0], expected)
                    break
                except GridFullError:
                    continue
            else:
                self.fail("seed %d: not in twice the memory" % seed)

    def test_too_little_memory_is_said(self):
        found = [self.record(b"key:%d" % number, bytes(900), number + 1) for number in range(1500)]
        with self.assertRaises(GridFullError):
            self.load(*found)
        self.setUp()
        with self.assertRaises(GridFullError):
            self.apply(1, *[pack_body(b"key:%d" % number, bytes(900), 1) for number in range(1500)])

    def test_a_value_too_large_for_the_memory_is_told_as_too_little_memory(self):
        # A directory of a grid that had more of it.
        value = bytes(self.space.value_size_bytes_max + 1)
        with self.assertRaises(GridFullError):
            self.load(self.record(value=value))
        with self.assertRaises(GridFullError):
            self.apply(1, pack_body(b"k", value, 1))


class HostileTest(LoaderTestCase):
    """What holds its checksum and makes no sense all the same."""

    def refused(self, target, name, *arguments):
        with self.assertRaises(CorruptFileError, msg=(type(target).__name__, arguments)):
            getattr(target, name)(*arguments)

    def both_refuse(self, name, *arguments):
        for target in (Loader(make_space()[0]), PlainState()):
            self.refused(target, name, *arguments)
        opened = Loader(make_space()[0])  # a segment, so that there is room for plain records
        opened.load_records(self.record(b"first", version=1), 1, 0)
        self.refused(opened, name, *arguments)

    def test_records_that_are_not_whole_or_not_as_many(self):
        whole = self.record(b"key", b"value", 5) + self.record(b"ttl", b"v", 6, deadline_ms=7)
        for size in range(len(whole)):
            self.both_refuse("load_records", whole[:size], 2, 0)
        for count in (0, 1, 3):
            self.both_refuse("load_records", whole, count, 0)
        self.both_refuse("load_records", whole + b"\0", 2, 0)
        self.load(whole[:len(self.record(b"key", b"value", 5))], whole[len(self.record(b"key", b"value", 5)):])

    def test_records_with_any_header(self):
        for key_length, value_length, value_type, flags in (
                (KEY_SIZE_BYTES_MAX + 1, 1, 1, 0), (0xFFFF, 1, 1, 0), (1, VALUE_SIZE_BYTES_MAX + 1, 1, 0),
                (1, 2 ** 32 - 1, 1, 0), (1, 1, len(NAMES), 0), (1, 1, 255, 0), (1, 1, 1, 4), (1, 1, 1, 8),
                (1, 1, 1, 16), (1, 1, 1, 255), (1, 1, 1, 128)):
            data = HEADER.pack(256, value_length, key_length, value_type, flags) + bytes(70000)
            self.both_refuse("load_records", data, 1, 0)
        for value_type in (len(NAMES), 255):
            self.both_refuse("load_records", HEADER.pack(512, 1, 1, value_type, 0) + b"kv", 1, 0)
        for stamp in (0, 255):  # version 0
            self.both_refuse("load_records", HEADER.pack(stamp, 1, 1, 1, 0) + b"kv", 1, 0)
            self.both_refuse("load_records", HEADER.pack(stamp, 1, 1, 1, 1) + bytes(8) + b"kv", 1, 0)

    def test_effects_that_are_not_whole_or_not_as_many(self):
        whole = b"".join((pack_body(b"k", b"v", 1), pack_body(b"k", b"v", 1, 5), effects.pack_delete(b"k"),
                          effects.pack_clear()))
        for fuzzy in (False, True):
            for size in range(len(whole)):
                self.both_refuse("apply", 1, 4, whole[:size], 0, fuzzy)
            for count in (0, 1, 3, 5):
                self.both_refuse("apply", 1, count, whole, 0, fuzzy)
            self.both_refuse("apply", 1, 4, whole + b"\0", 0, fuzzy)

    def test_effects_with_any_header(self):
        for fuzzy in (False, True):
            for flags in range(256):
                if flags not in (0, 1, effects.DELETE, effects.CLEAR):
                    self.both_refuse("apply", 1, 1, BODY.pack(1, 1, 1, flags) + bytes(30), 0, fuzzy)
            for data in (BODY.pack(1, 1, len(NAMES), 0) + b"kv",
                         BODY.pack(0, KEY_SIZE_BYTES_MAX + 1, 0, 0) + bytes(40000),
                         BODY.pack(2 ** 32 - 1, 1, 0, 0) + bytes(100), BODY.pack(1, 1, 0, effects.DELETE) + b"kv",
                         BODY.pack(0, 1, 0, effects.CLEAR) + b"k"):
                self.both_refuse("apply", 1, 1, data, 0, fuzzy)

    def test_positions_beyond_the_last(self):
        packed = effects.pack_delete(b"k")
        for fuzzy in (False, True):
            self.both_refuse("apply", LSN_MAX, 2, packed * 2, 0, fuzzy)
            self.both_refuse("apply", 2 ** 64 - 1, 1, packed, 0, fuzzy)
        self.apply(LSN_MAX, pack_body(b"k", b"v", 1))
        self.assertEqual(self.space.lookup(b"k").version, LSN_MAX)

    @slow
    def test_random_bytes(self):
        rng = random.Random(1)
        base = self.record(b"key", b"value", 5) + self.record(b"ttl", b"v", 6, deadline_ms=7) + \
            self.record(b"k", b"v", 7, checked=True)
        log = pack_body(b"k", b"v", 1) + pack_body(b"l", b"v", 1, 5) + effects.pack_delete(b"k") + effects.pack_clear()
        agreed = 0
        for _ in range(200):
            for name, data, arguments in (("load_records", base, (3, 0)), ("apply", log, (0, True)),
                                          ("apply", log, (0, False))):
                changed = bytearray(data)
                for _ in range(rng.randrange(1, 4)):
                    changed[rng.randrange(len(changed))] = rng.choice((0, 1, 255, rng.randrange(256)))
                agreed += self.compare_outcomes(name, bytes(changed), arguments)
        self.assertGreater(agreed, 50)

    def compare_outcomes(self, name, data, arguments):
        """Both refuse, or both hold the same; whether they took it."""
        space, _ = make_space()
        targets, refused = (Loader(space), PlainState()), []
        for target in targets:
            try:
                if name == "apply":
                    target.apply(1, 4, data, *arguments)
                else:
                    target.load_records(data, *arguments)
                refused.append(False)
            except NosqgridError as error:
                self.assertIsInstance(error, CorruptFileError)
                refused.append(True)
        self.assertEqual(refused[0], refused[1], data)
        if not refused[0]:
            targets[0].finish(2 ** 55)
            expected = {key: entry[:2] + (min(entry[2], 2 ** 63 - 1),) + entry[3:]
                        for key, entry in targets[1].entries.items()}
            self.assertEqual(state_of(space), expected, data)
        return not refused[0]


if __name__ == "__main__":
    unittest.main()

"""The hot path of writing with a log: frames are logged before they are seen, and leave what the plain way leaves."""

import itertools
import random
import unittest
from unittest import mock

from nosqgrid.engine.databases import prefix_of
from nosqgrid.engine.frames import apply_frame, frame_end
from nosqgrid.errors import DiskError, GridFullError, InvariantError
from nosqgrid.formats import effects, values
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import BODY, pack_body
from nosqgrid.memory.reader import Reader
from tests.support.command_context import PlainContext
from tests.support.keyspaces import Budget
from tests.support.tiers import slow
from tests.support.walks import ListLog, make_space, restore, state_of, tiny_limits
from tests.unit.test_logged_keyspace import PRESET, LoggedTestCase, accounts


class FastPathTest(LoggedTestCase):
    """apply_sets with a log against one frame after the other."""

    def some_frames(self, rng, key_count, value_max, only_sets=False):
        pieces = []
        for _ in range(rng.choice((1, 2, 5, 40))):
            key, draw = b"key%d" % rng.randrange(key_count), 0 if only_sets else rng.random()
            if 0.4 < draw < 0.43:
                key = prefix_of(rng.randrange(1, 16)) + key
            if draw < 0.8:
                pieces.append(pack_body(key, bytes([rng.randrange(256)]) * rng.randrange(value_max), rng.randrange(9)))
            elif draw < 0.9:
                pieces.append(pack_body(key, b"v", 1, rng.randrange(1001, 9000)))
            else:
                pieces.append(effects.pack_delete(key))
        return b"".join(pieces)

    def apply_rest(self, context, data, position, refused):
        """One frame the plain way; where it ends."""
        stop = frame_end(data, position, len(data))
        try:
            apply_frame(context, data, position, stop)
        except GridFullError:
            refused.append(position)
        return stop

    def apply_fast(self, space, data, refused):
        context, position = PlainContext(space), 0
        while position < len(data):
            reached = space.apply_sets(data, position, len(data))
            self.taken += reached - position
            position = self.apply_rest(context, data, reached, refused) if reached < len(data) else reached

    def compare(self, seed, rounds, memory_bytes=1 << 20, key_count=50, value_max=100, flags=0, **options):
        """Two grids given the same frames; the one written fast, for what the caller wants of it."""
        rng = random.Random(seed)
        (fast, _), (plain, _) = [make_space(memory_bytes, seed, flags) for _ in range(2)]
        logs = ListLog(), ListLog()
        self.taken = 0
        for space, log in zip((fast, plain), logs):
            space.now_ms = 1000
            space.set_log(log)
        for _ in range(rounds):
            data = self.some_frames(rng, key_count, value_max, **options)
            refused = [], []
            self.apply_fast(fast, data, refused[0])
            context, position = PlainContext(plain), 0
            while position < len(data):
                position = self.apply_rest(context, data, position, refused[1])
            self.refused += len(refused[0])
            self.assertEqual(refused[0], refused[1])
            self.assertEqual(accounts(fast), accounts(plain))
            if rng.random() < 0.2:
                fast.work(), plain.work()
        self.assertEqual(state_of(fast), state_of(plain))
        contents = [b"".join(payload for _, _, payload in log.entries) for log in logs]
        self.assertEqual(*contents)
        self.assertEqual([sum(count for _, count, _ in log.entries) for log in logs], [fast.version] * 2)
        self.assertGreater(self.taken, 0)
        fast.check()
        self.assertEqual(restore([], logs[0].entries, make_space(memory_bytes * 2, seed)[1], 1000, False)[0],
                         state_of(fast))
        self.assertLess(len(logs[0].entries), len(logs[1].entries))
        return fast

    def setUp(self):
        self.refused = 0

    def test_few_keys_overwritten(self):
        self.compare(1, 150)

    def test_segments_that_run_full_and_are_cleaned(self):
        self.assertGreater(self.compare(2, 200, value_max=3000, key_count=400).cleaner.segments_cleaned, 3)

    @slow
    def test_an_index_that_grows(self):
        fast = self.compare(3, 400, 2 << 20, 20000, 10, only_sets=True)
        self.assertGreater(fast.index.growths, 0)

    def test_an_index_that_cannot_grow(self):
        with tiny_limits():
            for flags in (0, WEAK_ORDERING):
                self.fill_index(flags)
                rng, refused = random.Random(4), []
                for _ in range(50):
                    self.apply_fast(self.space, self.some_frames(rng, 40, 8), refused)
                self.assertGreater(len(refused), 0)
                self.assert_replayed()

    def fill_index(self, flags=0):
        """Store keys f0, f1, ... until the index, for which there is no more memory, takes none."""
        budget = Budget()
        self.make(128 * 64, preset=(), flags=flags, reserve=budget)
        self.space.heap._reserve_segments(0, self.space.heap.count)
        budget.remaining = self.taken = 0
        for number in itertools.count():
            try:
                self.space.store(b"f%d" % number, 1, b"v")
            except GridFullError:
                self.assertGreater(self.space.index.growth_failures, 0)
                return number

    def test_a_full_index_refuses_new_keys_and_neither_overwriting_nor_deletion(self):
        with tiny_limits():
            for flags in (0, WEAK_ORDERING):
                self.fill_index(flags)
                self.assertRaises(GridFullError, self.space.store, b"new", 1, b"v")
                self.space.store(b"f0", 1, b"other")
                self.assertEqual(self.run_words(b"DEL f0 f1"), 2)
                self.assertTrue(self.space.delete(b"f2"))
                self.space.store(b"new", 1, b"v")
                self.assert_replayed()

    def test_a_grid_that_is_full(self):
        self.compare(5, 100, 1 << 20, 4000, 3000)
        self.assertGreater(self.refused, 0)

    @slow
    def test_checksummed_records(self):
        self.compare(6, 150, flags=WEAK_ORDERING)
        self.compare(7, 150, value_max=3000, key_count=1500, flags=WEAK_ORDERING)
        self.assertGreater(self.refused, 0)

    @slow
    def test_tables_of_a_few_slots(self):
        with tiny_limits():
            for seed in range(20):
                self.compare(seed, 30, 128 * 64, 25, 40, flags=WEAK_ORDERING if seed % 4 == 3 else 0)

    def test_frames_are_not_seen_before_they_are_logged_together(self):
        for flags in (0, WEAK_ORDERING):
            self.make(flags=flags)
            reader = Reader(self.space.words, self.space.arena, self.header)
            seen = []
            self.log.look = lambda *entry: seen.append([reader.read(b"f%d" % number) for number in range(9)])
            data = b"".join(pack_body(b"f%d" % number, b"v", 1, 9000 if number == 4 else 0) for number in range(9))
            self.assertEqual(self.space.apply_sets(data, 0, len(data)), len(data))
            self.assertEqual(seen, [[None] * 9])
            self.assertEqual([entry[:2] for entry in self.log.entries], [(len(PRESET) + 1, 9)])
            self.assert_replayed()

    @slow
    def test_frames_that_the_log_refuses_did_not_happen(self):
        frames = [pack_body(b"f%d" % number, bytes(20000), 1, 9000 if number % 4 == 3 else 0) for number in range(12)]
        data, ends = b"".join(frames), list(itertools.accumulate(map(len, frames)))
        for flags, refuse_at in itertools.product((0, WEAK_ORDERING), range(1, 6)):
            self.make(flags=flags)
            appends = []

            def look(first_lsn, count, payload):
                appends.append(count)
                self.log.error = DiskError("planted") if len(appends) == refuse_at else None
            self.log.look = look
            position, refused = 0, []
            while position < len(data):
                before = state_of(self.space), accounts(self.space)
                version, count = self.space.version, len(self.log.entries)
                try:
                    reached = self.space.apply_sets(data, position, len(data))
                    if reached == position:
                        reached = self.apply_rest(self.context, data, position, [])
                except DiskError as error:
                    reached = getattr(error, "frames_end", ends[ends.index(position) + 1 if position else 0])
                    refused.append(reached)
                    logged = sum(entry[1] for entry in self.log.entries[count:])
                    self.assertEqual(self.space.version, version + logged)
                    if not logged:
                        self.assertEqual((state_of(self.space), accounts(self.space)), before)
                    self.assertFalse(self.space.behind)
                self.assertIn(reached, ends)
                self.space.check()
                position = reached
            self.assertEqual(len(refused), int(len(appends) >= refuse_at))
            self.assert_replayed((flags, refuse_at))

    def test_a_mistake_in_the_middle_of_a_logged_run_is_told_by_behind(self):
        # Whoever catches it has to end: memory does not hold what the log holds.
        frames = b"".join((pack_body(b"a", b"1", 1), pack_body(b"b", b"1", 1, 9000), pack_body(b"c", b"1", 1)))
        for flags in (0, WEAK_ORDERING):
            self.make(flags=flags)
            with mock.patch.object(self.space, "store_body", side_effect=InvariantError("planted")):
                self.assertRaises(InvariantError, self.space.apply_sets, frames, 0, len(frames))
            self.assertEqual([entry[1] for entry in self.log.entries], [3])
            self.assertTrue(self.space.behind)

    def test_nothing_is_taken_within_a_batch(self):
        for flags in (0, WEAK_ORDERING):
            self.make(flags=flags)
            frame = pack_body(b"k", b"v", 1)
            self.space.begin()
            self.assertEqual(self.space.apply_sets(frame, 0, len(frame)), 0)
            self.space.rollback()
            self.assertEqual(self.log.entries, [])

    @slow
    def test_frames_that_are_no_sets_end_a_run(self):
        first = pack_body(b"a", b"1", 1)
        for flags in (0, WEAK_ORDERING):
            for frame in (pack_body(b"k", b"v", len(values.NAMES)), pack_body(b"k", b"v", 0, 0, True),
                          effects.pack_delete(b"k"), effects.pack_clear(), BODY.pack(1, 1, 1, 1) + bytes(10),
                          BODY.pack(1, 1, 1, 1) + b"\xff" * 8 + b"kv", BODY.pack(2 ** 32 - 1, 1, 1, 0) + b"kv",
                          pack_body(b"k", bytes(70000), 1), pack_body(bytes(40000), b"", 1), first[:-1], b"\0" * 7):
                self.make(flags=flags)
                data = first * 2 + frame
                self.assertEqual(self.space.apply_sets(data, 0, len(data)), 2 * len(first), frame[:30])
                self.assertEqual(self.space.apply_sets(frame, 0, len(frame)), 0, frame[:30])
                self.assertEqual(b"".join(payload for _, _, payload in self.log.entries), first * 2)
                self.assert_replayed()


if __name__ == "__main__":
    unittest.main()

"""Room by cleaning: what live data may take, adjacent segments for a large value, payments by writers, the hot path."""

import random
import unittest

from nosqgrid.engine import cleaner
from nosqgrid.engine.heap import CLEANER_SEGMENTS, SEALED
from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import pack_body, record_size_bytes
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import FULL, slow


def store_fast(space, key, value):
    """Set a key as the coordinator does for a client."""
    body = pack_body(key, value, 1)
    if not space.apply_sets(body, 0, len(body)):
        space.store(key, 1, value)


class Churn(object):
    """A keyspace and a dict that get the same writes, with live records in at most a part of the heap."""

    def __init__(self, rng, memory_bytes, share, size, flags=0):
        self.rng, self.size = rng, size
        self.space, _ = make_keyspace(memory_bytes, rng.randrange(1000), flags)
        self.heap_bytes = self.space.heap.count << self.space.heap.segment_shift
        self.room = int(share * self.heap_bytes)
        self.flags = flags and 2
        self.expected = {}
        self.written = 0
        self.number = 0

    def write(self):
        """One set of a new or an old key, after deletions where it would be too much."""
        rng, expected = self.rng, self.expected
        value = bytes([rng.randrange(256)]) * self.size(rng)
        size = record_size_bytes(9, len(value), self.flags)
        old = self.any_key() if expected and (rng.random() < 0.7 or self.room < size) else None
        if old is not None:
            self.forget(old)
        while self.room < size:
            doomed = self.any_key()
            self.forget(doomed)
            self.space.delete(doomed)
        self.number += old is None
        key = old or b"k%08d" % self.number
        store_fast(self.space, key, value)
        expected[key] = value
        self.room -= size
        self.written += size

    def any_key(self):
        """A key, without walking them all."""
        while True:
            key = b"k%08d" % self.rng.randrange(1, self.number + 1)
            if key in self.expected:
                return key

    def forget(self, key):
        self.room += record_size_bytes(9, len(self.expected.pop(key)), self.flags)

    def turn_over(self, turnovers, work=1):
        """Write so many times the bytes of the heap; one slice of work behind each `work` writes, if any."""
        end, count = self.written + turnovers * self.heap_bytes, 0
        while self.written < end:
            self.write()
            count += 1
            if work and count % work == 0:
                self.space.work()

    def check(self, case):
        self.space.check()
        case.assertEqual(self.space.key_count, len(self.expected))
        for key, value in self.expected.items():
            case.assertEqual(self.space.lookup(key).value, value)


def mixed(largest):
    """Sizes from 10 bytes on, as many of each order of magnitude."""
    return lambda rng: int(10 * (largest / 10.0) ** rng.random())


class UtilisationTest(unittest.TestCase):
    def churn(self, memory_bytes, share, largest, turnovers, work=1, seed=1, flags=0):
        churn = Churn(random.Random(seed), memory_bytes, share, mixed(largest), flags)
        for _ in range(turnovers):
            churn.turn_over(1, work)
            churn.check(self)
        return churn

    @slow
    def test_live_data_may_take_85_percent_for_turnovers_on_end(self):
        for work in (1, 0):
            churn = self.churn(4 << 20, 0.85, 8000, 10 if work and FULL else 3, work)
            self.assertGreater(churn.space.heap.live_bytes(), 0.8 * churn.heap_bytes)

    def test_with_values_of_up_to_nearly_half_a_segment(self):
        self.churn(4 << 20, 0.80, 30000, 4)
        self.churn(4 << 20, 0.80, 30000, 2, work=0, seed=2)

    @slow
    def test_in_the_smallest_grid_of_all(self):
        self.churn(1 << 20, 0.70, 4000, 5)
        self.churn(1 << 20, 0.70, 4000, 3, work=0, flags=WEAK_ORDERING)

    @slow
    def test_in_grids_of_many_segments(self):
        for seed in range(3):
            self.churn(16 << 20, 0.85, 100000, 10, work=8, seed=seed)
            self.churn(8 << 20, 0.90, 2000, 4, work=0, seed=seed)

    def test_a_grid_that_refused_takes_writes_again_as_soon_as_something_is_deleted(self):
        rng = random.Random(5)
        churn = Churn(rng, 4 << 20, 2.0, mixed(30000))
        space = churn.space
        for _ in range(4):
            with self.assertRaises(GridFullError):
                while True:
                    churn.write()
            lost = [key for key in churn.expected if space.lookup(key) is None
                    or space.lookup(key).value != churn.expected[key]]
            for key in lost:  # a set that was refused; an old value stays
                churn.expected.pop(key)
            churn.expected = {key: space.lookup(key).value for key in _keys(space)}
            space.check()
            for key in rng.sample(sorted(churn.expected), len(churn.expected) // 5):
                space.delete(key)
                del churn.expected[key]
            for number in range(20):
                key = b"k%08d" % rng.randrange(10 ** 6, 10 ** 7)
                store_fast(space, key, bytes(1000))
                churn.expected[key] = bytes(1000)
            churn.check(self)


def _keys(space):
    found, cursor = [], 0
    while True:
        cursor, keys = space.scan(cursor, 1000)
        found += keys
        if not cursor:
            return found


class PaceTest(unittest.TestCase):
    """How much cleaning a single write waits for."""

    def longest(self, size, share=0.8):
        """(the most records that one store cleaned, the most bytes, how often a store had to make room at once)."""
        churn = Churn(random.Random(3), 4 << 20, share, size)
        churn.turn_over(1.5)
        rushes, worst_looked, worst_moved = [], 0, 0
        cleaning = churn.space.cleaner
        step, make_room = cleaning.step, cleaning.make_room
        looked = [0]

        def counted(record_count=cleaner.SLICE_RECORDS, size_bytes=None):
            looked[0] += record_count
            return step(record_count, size_bytes)

        def rushing(*arguments):
            rushes.append(arguments)
            return make_room(*arguments)
        cleaning.step, cleaning.make_room = counted, rushing
        end = churn.written + 3 * churn.heap_bytes
        while churn.written < end:
            looked[0], moved = 0, cleaning.bytes_moved
            churn.write()  # no work() in between
            worst_looked = max(worst_looked, looked[0])
            worst_moved = max(worst_moved, cleaning.bytes_moved - moved)
        churn.check(self)
        return worst_looked, worst_moved, len(rushes)

    @slow
    def test_a_store_cleans_a_slice_or_sometimes_what_is_left_of_a_victim(self):
        for size in (lambda rng: 100, mixed(8000)):
            looked, moved, rushes = self.longest(size)
            self.assertLessEqual(looked, 2 * cleaner.SLICE_RECORDS)
            self.assertLessEqual(moved, cleaner.SLICE_RECORDS * cleaner.RECORD_BYTES + 8200)
            self.assertGreater(moved, 0)
            self.assertLess(rushes, 64)  # of some 190 segments that were opened

    def test_while_many_segments_are_free_nobody_pays(self):
        space, _ = make_keyspace(4 << 20)
        for number in range(5000):
            store_fast(space, b"k%d" % (number % 50), bytes(200))
        self.assertEqual(space.cleaner.bytes_moved, 0)
        self.assertEqual(space.heap.writer.limit, space.heap.writer.end)

    def test_a_slice_ends_with_its_records_and_with_its_bytes(self):
        churn = Churn(random.Random(9), 4 << 20, 0.7, mixed(8000))
        churn.turn_over(2)
        cleaning = churn.space.cleaner
        for records, size_bytes in ((10, 1 << 30), (1 << 30, 5000), (1, None), (3, 8)) * 20:
            moved, cleaned = cleaning.bytes_moved, cleaning.segments_cleaned
            at = cleaning._position if cleaning._victim >= 0 else None
            self.assertTrue(cleaning.step(records, size_bytes))
            moved = cleaning.bytes_moved - moved
            self.assertLessEqual(moved, min(records * 8200, (size_bytes or 1 << 30) + 8200))
            if at is not None and cleaning.segments_cleaned == cleaned:
                self.assertGreater(cleaning._position, at)
        churn.check(self)


class LargeTest(unittest.TestCase):
    """A large value is refused only where live data leave too little."""

    def fragmented(self, rng, memory_bytes, share, largest):
        """A grid full to a share, of which every segment holds something."""
        space, _ = make_keyspace(memory_bytes, rng.randrange(1000))
        count = 0
        with self.assertRaises(GridFullError):
            while True:
                space.store(b"k%d" % count, 1, bytes(rng.randrange(largest)))
                count += 1
        keys = list(range(count))
        rng.shuffle(keys)
        heap = space.heap
        while heap.live_bytes() > share * (heap.count << heap.segment_shift):
            space.delete(b"k%d" % keys.pop())
        return space, keys

    @slow
    def test_runs_of_every_length_at_every_share(self):
        taken = refused = 0
        for seed in range(60 if FULL else 10):
            rng = random.Random(seed)
            largest = rng.choice((100, 1000, 4000))
            share, memory_bytes = rng.choice((0.3, 0.6, 0.7, 0.8)), rng.choice((1 << 20, 4 << 20))
            space, keys = self.fragmented(rng, memory_bytes, share, largest)
            for _ in range(4):
                got = self.one(rng, space, largest)
                taken += got
                refused += not got
                self.assertEqual(space.key_count, len(keys))
                for _ in range(100):
                    space.store(b"k%d" % rng.choice(keys), 1, bytes(rng.randrange(largest // 2)))
        self.assertGreater(taken, 15)
        self.assertGreater(refused, 3)

    def one(self, rng, space, largest):
        """Set and delete a large value; whether it was taken."""
        heap = space.heap
        length = rng.randrange(1, heap.count // 4 + 1)
        record_bytes = length * heap.segment_size_bytes - 8 * rng.randrange(3000)
        value_bytes = min(record_bytes - 24, space.value_size_bytes_max)
        live = heap.live_bytes()
        for_the_rest = heap.segment_size_bytes - largest  # of a segment that is filled until a record does not fit
        needed = -(-live // for_the_rest) + length + CLEANER_SEGMENTS + 1
        try:
            space.store(b"large", 1, bytes(value_bytes))
        except GridFullError:
            self.assertGreater(needed, heap.count)
            self.assertEqual(heap.live_bytes(), live)
            space.check()
            return False
        self.assertLessEqual(live + value_bytes, heap.count << heap.segment_shift)
        space.check()
        self.assertTrue(space.delete(b"large"))
        space.check()
        return True

    def test_a_single_record_in_every_segment_is_swept_aside(self):
        space, _ = make_keyspace(4 << 20)
        heap, number = space.heap, 0
        while len(heap.free) > CLEANER_SEGMENTS:
            space.store(b"k%d" % number, 1, bytes(1000))
            number += 1
        first = {}
        for key in range(number):
            segment = heap.segment_of(space._offset_of(b"k%d" % key))
            if first.setdefault(segment, key) != key:
                space.delete(b"k%d" % key)
        self.assertGreater(sum(1 for state in heap.state if state == SEALED), heap.count - 4)
        moved = space.cleaner.bytes_moved
        for kept in range(3):
            space.store(b"large%d" % kept, 1, bytes(space.value_size_bytes_max))
        space.check()
        self.assertLess(space.cleaner.bytes_moved - moved, heap.count * 1100)
        self.assertEqual(space.key_count, len(first) + 3)

    def test_staged_records_are_not_moved_for_one(self):
        space, _ = make_keyspace()
        space.begin()
        number = 0
        while len(space.heap.free) > 2:
            space.store(b"k%d" % number, 1, bytes(20000))
            number += 1
        with self.assertRaises(GridFullError):
            space.store(b"large", 1, bytes(200000))
        space.commit()
        space.check()
        self.assertEqual(space.key_count, number)
        self.assertTrue(all(space.lookup(b"k%d" % each).value == bytes(20000) for each in range(number)))


class HotPathTest(unittest.TestCase):
    """Moving runs of plain records leaves every byte as moving them one by one does."""

    def run_both(self, seed, slices):
        """The same commands and slices on a grid with the hot path and one without."""
        spaces = [make_keyspace(1 << 20, seed)[0] for _ in range(2)]
        spaces[1].cleaner._move_plain = None
        rng = random.Random(seed)
        for _ in range(2500):
            key, value = b"k%d" % rng.randrange(900), bytes([rng.randrange(256)]) * rng.randrange(1500)
            deadline, action, records = rng.choice((0, 0, 0, 0, 50)), rng.random(), rng.choice(slices)
            answers = [self.one(space, key, value, deadline, action, records) for space in spaces]
            self.assertEqual(*answers)
        return spaces

    @staticmethod
    def one(space, key, value, deadline, action, records):
        try:
            if action < 0.1:
                return space.delete(key)
            if action < 0.3:
                return space.cleaner.step(records, 20000)
            if action < 0.31:
                space.now_ms += 10
            return space.store(key, 1, value, deadline and space.now_ms + deadline)
        except GridFullError:
            return "full"

    @slow
    def test_both_leave_the_same_memory(self):
        for seed in range(4 if FULL else 2):
            fast, plain = self.run_both(seed, (1, 5, 40, 300))
            self.assertGreater(fast.cleaner.segments_cleaned, 10)
            for name in ("state", "filled", "dead", "generation", "free"):
                self.assertEqual(getattr(fast.heap, name), getattr(plain.heap, name), name)
            self.assertEqual(fast.cleaner.bytes_moved, plain.cleaner.bytes_moved)
            self.assertEqual(fast.cleaner._position, plain.cleaner._position)
            first = fast.heap.base
            self.assertEqual(fast.arena[8192:first], plain.arena[8192:first])
            self.assertEqual(fast.arena[first:], plain.arena[first:])
            fast.check()

    def test_it_takes_most_records_of_a_victim(self):
        space, _ = make_keyspace()
        for number in range(4000):
            store_fast(space, b"k%d" % number, bytes(100))
            if number % 3:
                space.delete(b"k%d" % number)
        moved_singly = []
        move_record = space.cleaner.move_record
        space.cleaner.move_record = lambda offset: moved_singly.append(offset) or move_record(offset)
        while space.cleaner.segments_cleaned < 3:
            self.assertTrue(space.cleaner.step())
        self.assertLess(len(moved_singly), 5)
        self.assertGreater(space.cleaner.bytes_moved, 50000)
        space.check()

    def test_the_256th_copy_begins_to_count_again(self):
        space, _ = make_keyspace()
        for name in (b"opens", b"a", b"b"):
            space.store(name, 1, b"v")
        stamps = []
        for _ in range(300):
            offset = space._offset_of(b"b")
            for region in (space.heap.writer, space.heap.survivors):
                if region.segment == space.heap.segment_of(offset):
                    space.heap.close(region)
            cleaned = space.cleaner.segments_cleaned
            while space.cleaner.segments_cleaned == cleaned:
                self.assertTrue(space.cleaner.step())
            stamps.append(space.words[space._offset_of(b"b") >> 3])
        self.assertEqual(stamps, [3 << 8 | (number + 1) % 256 for number in range(300)])


if __name__ == "__main__":
    unittest.main()

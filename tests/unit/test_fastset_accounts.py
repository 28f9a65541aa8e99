"""The fast path of SET against the plain one: the same frames leave two grids alike, down to the last account."""

import random
import unittest

from nosqgrid.engine.frames import apply_frame, frame_end
from nosqgrid.formats import lane
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import BODY, CHECKED, DEADLINE, EXPIRES
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX
from tests.support.command_context import PlainContext
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import slow


def set_frame(key, value, value_type=0):
    return BODY.pack(len(value), len(key), value_type, 0) + key + value


def expiring_frame(key, value, deadline_ms):
    return BODY.pack(len(value), len(key), 0, EXPIRES) + DEADLINE.pack(deadline_ms) + key + value


def delete_frame(key):
    return BODY.pack(0, len(key), 0, lane.DELETE) + key


class FastSetTestCase(unittest.TestCase):
    def account(self, keyspace):
        """Everything that a write changes, but for the memory itself."""
        heap, index = keyspace.heap, keyspace.index
        return {"version": keyspace.version, "expiring": keyspace.expiring, "live": index.live,
                "used": index.table.used, "root": index.table.word, "state": list(heap.state), "dead": list(heap.dead),
                "filled": [heap.filled_bytes(segment) for segment in range(heap.count)],
                "generation": list(heap.generation), "free": sorted(heap.free), "opened": heap.opened}

    def pair(self, memory_bytes=1 << 20, seed=1):
        self.fast, self.header = make_keyspace(memory_bytes, seed)
        self.plain, _ = make_keyspace(memory_bytes, seed)
        self.fast.now_ms = self.plain.now_ms = 1000
        self.taken = 0

    def apply_plain(self, keyspace, data, position):
        stop = frame_end(data, position, len(data))
        apply_frame(PlainContext(keyspace), data, position, stop)
        return stop

    def apply_both(self, data):
        """As lane_service does it on one side, frame by frame on the other."""
        position = 0
        while position < len(data):
            reached = self.fast.apply_sets(data, position, len(data))
            self.taken += reached - position
            position = self.apply_plain(self.fast, data, reached) if reached < len(data) else reached
        position = 0
        while position < len(data):
            position = self.apply_plain(self.plain, data, position)

    def compare(self, offset=0):
        """Both are alike, and so is their memory from an offset on."""
        self.assertEqual(self.account(self.fast), self.account(self.plain))
        self.assertTrue(self.fast.arena[offset:] == self.plain.arena[offset:])  # assertEqual would print megabytes
        self.fast.check()

    def compare_grown(self):
        """Where the index grows, the fast path begins an insert later, and keys may get each other's slots."""
        self.fast.index.finish_growth()
        self.plain.index.finish_growth()
        self.compare(self.header.layout.heap_offset_bytes)


class DifferentialTest(FastSetTestCase):
    def run_frames(self, seed, key_count, value_bytes_max, rounds, memory_bytes=1 << 20, only_sets=False,
                   compare=FastSetTestCase.compare):
        self.pair(memory_bytes, seed)
        rng = random.Random(seed)
        for number in range(rounds):
            pieces = []
            for _ in range(rng.randrange(1, 40)):
                key = b"key%d" % rng.randrange(key_count)
                kind = 0 if only_sets else rng.random()
                if kind < 0.85:
                    pieces.append(set_frame(key, bytes([rng.randrange(256)]) * rng.randrange(value_bytes_max),
                                            rng.randrange(len(NAMES))))
                elif kind < 0.93:
                    pieces.append(expiring_frame(key, b"v", rng.randrange(1000, 9000)))
                else:
                    pieces.append(delete_frame(key))
            self.apply_both(b"".join(pieces))
            if rng.random() < 0.2:
                self.fast.work()
                self.plain.work()
            if number % 40 == 0:
                compare(self)
        compare(self)

    def test_sets_of_a_few_keys(self):
        self.run_frames(1, 20, 100, 200, only_sets=True)
        self.assertGreater(self.taken, 100000)

    @slow
    def test_sets_deadlines_and_deletions_mixed(self):
        self.run_frames(2, 300, 200, 300)
        self.assertGreater(self.taken, 100000)

    @slow
    def test_the_cleaner_at_work(self):
        self.run_frames(3, 500, 1500, 300)
        self.assertGreater(self.fast.cleaner.segments_cleaned, 3)

    @slow
    def test_the_index_growing(self):
        self.run_frames(4, 30000, 10, 400, memory_bytes=2 << 20, only_sets=True,
                        compare=FastSetTestCase.compare_grown)
        self.assertGreater(self.fast.index.growths, 0)

    def test_large_and_small_values(self):
        self.run_frames(5, 10, 60000, 40)
        self.assertGreater(self.taken, 1000000)

    def test_keys_that_share_slots_and_tags(self):
        self.pair()
        rng = random.Random(6)
        a, b, p = self.header.secret
        inverse = pow(a, p - 2, p)
        keys = []
        for tag in (0, 1, 0xFFFF):
            for home in (5, 6, 4095):
                for number in range(12):
                    # The key whose hash is this: eight bytes little-endian, where it has so many.
                    wanted = home << 49 | number << 20 | tag
                    whole = (wanted * inverse - 8 * b) % p
                    keys.append(whole.to_bytes(8, "little"))
        self.assertEqual(self.fast.hash_of(keys[0]) & 0xFFFF, 0)
        for _ in range(100):
            self.apply_both(b"".join(set_frame(rng.choice(keys), b"v%d" % rng.randrange(1000)) for _ in range(20)))
            self.apply_both(delete_frame(rng.choice(keys)))
        self.compare()
        self.assertGreater(self.taken, 20000)


class RefusalTest(FastSetTestCase):
    """Each reason to stop: in front of that frame, behind the ones before, with nothing done about it."""

    def setUp(self):
        self.renew()

    def renew(self, **options):
        self.keyspace, self.header = make_keyspace(**options)
        self.keyspace.now_ms = 1000
        self.keyspace.store(b"present", 0, b"v")  # the writer's segment is open now

    def apply(self, data):
        """How far apply_sets gets."""
        return self.keyspace.apply_sets(data, 0, len(data))

    def stops_before(self, frame):
        first = set_frame(b"first", b"v")
        keys = self.keyspace.key_count + (self.keyspace.lookup(b"first") is None)
        self.assertEqual(self.apply(first + frame + set_frame(b"behind", b"v")), len(first))
        self.assertEqual(self.keyspace.key_count, keys)
        before = self.account(self.keyspace)
        self.assertEqual(self.apply(frame), 0)
        self.assertEqual(self.account(self.keyspace), before)

    def takes(self, frame):
        self.assertEqual(self.apply(frame), len(frame))
        self.keyspace.check()

    def test_any_flag(self):
        for flags in range(1, 256):
            self.stops_before(BODY.pack(1, 1, 0, flags) + b"kv" + bytes(20))
        self.keyspace.check()

    def test_frames_that_are_not_whole(self):
        whole = set_frame(b"key", b"value")
        for length in range(len(whole)):
            self.assertEqual(self.apply(whole[:length]), 0)
            self.assertEqual(self.keyspace.apply_sets(whole, 0, length), 0)
        self.assertEqual(self.keyspace.key_count, 1)
        self.takes(whole)

    def test_keys_at_and_beyond_the_limit(self):
        self.renew(memory_bytes=16 << 20)  # whose segments take the longest key
        self.takes(set_frame(b"", b""))
        self.takes(set_frame(bytes(KEY_SIZE_BYTES_MAX), b"v"))
        self.stops_before(set_frame(bytes(KEY_SIZE_BYTES_MAX + 1), b"v"))

    def test_types_at_and_beyond_the_last(self):
        self.takes(set_frame(b"k", b"v", len(NAMES) - 1))
        self.stops_before(set_frame(b"k", b"v", len(NAMES)))
        self.stops_before(set_frame(b"k", b"v", 255))

    def test_sizes_at_and_beyond_half_a_segment(self):
        largest = self.keyspace.heap.record_size_bytes_max - 16 - 1
        self.stops_before(set_frame(b"k", bytes(largest + 1)))
        self.stops_before(BODY.pack(2 ** 32 - 1, 1, 0, 0) + b"k")
        self.takes(set_frame(b"k", bytes(largest)))

    def test_a_segment_that_is_full_to_the_last_byte_and_one_that_is_not_open(self):
        region = self.keyspace.heap.writer
        filler = set_frame(b"present", bytes(8000))
        while region.limit - region.cursor > 16000:
            self.takes(filler)
        self.takes(set_frame(b"present", bytes(region.limit - region.cursor - 16 - 7 - 24)))
        self.assertEqual(region.limit - region.cursor, 24)
        self.assertEqual(self.apply(set_frame(b"k", bytes(8))), 0)
        self.takes(set_frame(b"k", bytes(7)))
        self.assertEqual(self.apply(set_frame(b"k", b"")), 0)
        self.keyspace.heap.close(region)
        self.assertEqual(self.apply(set_frame(b"k", b"")), 0)
        self.keyspace.check()

    def test_a_record_with_a_deadline_to_be_replaced(self):
        self.keyspace.store(b"ttl", 0, b"v", 5000)
        self.stops_before(set_frame(b"ttl", b"v"))

    def test_a_batch(self):
        self.keyspace.begin()
        self.assertEqual(self.apply(set_frame(b"k", b"v")), 0)
        self.keyspace.rollback()
        self.takes(set_frame(b"k", b"v"))

    def test_an_index_that_grows_or_has_to(self):
        index = self.keyspace.index
        index.table.grow_at = index.table.used
        self.stops_before_new_keys()
        index.table.grow_at = index.table.slots
        index.start_growth()
        self.takes(set_frame(b"k", b"v"))  # the new area is only being cleared
        while not index.migrating:
            index.step(1)
        self.assertEqual(self.apply(set_frame(b"k", b"v")), 0)
        index.finish_growth()
        self.takes(set_frame(b"k", b"v"))

    def stops_before_new_keys(self):
        self.assertEqual(self.apply(set_frame(b"new", b"v")), 0)
        self.takes(set_frame(b"present", b"other"))

    def test_the_slot_of_a_key_that_was_removed(self):
        removed = next(key for key in (b"r%d" % number for number in range(10 ** 6)) if self.leaves_a_tombstone(key))
        self.assertEqual(self.apply(set_frame(removed, b"v")), 0)
        self.keyspace.check()

    def leaves_a_tombstone(self, key):
        """Store and delete a key in front of the one that is there."""
        _, shift = self.keyspace.index.base, self.keyspace.index.shift
        home, present = self.keyspace.hash_of(key) >> shift, self.keyspace.hash_of(b"present") >> shift
        if home != present - 1:
            return False
        self.keyspace.store(key, 0, b"v")
        return self.keyspace.delete(key)

    def test_checksummed_records(self):
        self.renew(flags=WEAK_ORDERING)
        self.assertEqual(self.apply(set_frame(b"k", b"v")), 0)
        self.assertEqual(CHECKED, self.keyspace.arena[self.header.layout.heap_offset_bytes + 15])

    def test_positions_within_the_data(self):
        data = b"before" + set_frame(b"a", b"1") + set_frame(b"b", b"2") + b"behind"
        self.assertEqual(self.keyspace.apply_sets(data, 6, len(data) - 6), len(data) - 6)
        self.assertEqual(self.keyspace.key_count, 3)
        self.assertEqual(self.keyspace.apply_sets(data, len(data), len(data)), len(data))


if __name__ == "__main__":
    unittest.main()

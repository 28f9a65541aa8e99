"""The hot path of writing says the same as the plain one: same content, versions and accounts, frame for frame."""

import random
import unittest

from nosqgrid.engine.databases import PREFIX
from nosqgrid.errors import GridFullError
from nosqgrid.formats.lane import DELETE
from nosqgrid.formats.records import BODY, CHECKED, EXPIRES, pack_body
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import slow


def accounts(space):
    """Everything that a write changes besides bytes."""
    heap = space.heap
    return (space.version, space.key_count, space.expiring, heap.live_bytes(), list(heap.state),
            [heap.filled_bytes(segment) for segment in range(heap.count)], list(heap.dead), sorted(heap.free),
            heap.writer.cursor)


def content(space):
    cursor, found = 0, {}
    while True:
        cursor, keys = space.scan(cursor, 1000)
        found.update((key, space.lookup(key)) for key in keys)
        if cursor == 0:
            return found


class FastAgainstPlain(unittest.TestCase):
    def plainly(self, space, key, body):
        try:
            space.store_frame(key, body)
        except GridFullError:
            return "full"
        return "stored"

    def compare(self, seed, memory_bytes, key_count, value_bytes_max, rounds):
        rng = random.Random(seed)
        fast, _ = make_keyspace(memory_bytes, seed)
        plain, _ = make_keyspace(memory_bytes, seed)
        applied = refused = 0
        for number in range(rounds):
            frames = []
            for _ in range(rng.randrange(1, 30)):
                key = b"key:%d" % rng.randrange(key_count)
                deadline_ms = 10 ** 9 if rng.random() < 0.03 else 0
                body = pack_body(key, bytes(rng.randrange(value_bytes_max)), rng.randrange(len(NAMES)), deadline_ms)
                frames.append((key, body))
            data, position = b"".join(body for _, body in frames), 0
            ends = {}
            for key, body in frames:
                ends[position] = (key, body)
                position += len(body)
            position = 0
            while position < len(data):
                reached = fast.apply_sets(data, position, len(data))
                applied += reached - position
                position = reached
                if position < len(data):  # the frame that the hot path leaves to the plain one
                    key, body = ends[position]
                    refused += self.plainly(fast, key, body) == "full"
                    position += len(body)
            for key, body in frames:
                self.plainly(plain, key, body)
            if rng.random() < 0.3:
                gone = b"key:%d" % rng.randrange(key_count)
                self.assertEqual(fast.delete(gone), plain.delete(gone))
            self.assertEqual(accounts(fast), accounts(plain), (seed, number))
        fast.check()
        plain.check()
        self.assertEqual(content(fast), content(plain))
        self.assertGreater(applied, 0)
        return refused

    def test_few_keys_overwritten_again_and_again(self):
        self.compare(1, 1 << 20, 50, 3000, 150)

    @slow
    def test_many_keys_and_an_index_that_grows(self):
        self.compare(2, 4 << 20, 20000, 60, 700)

    def test_a_grid_that_is_full(self):
        self.assertGreater(self.compare(3, 1 << 20, 4000, 1500, 150), 0)


class StopsTest(unittest.TestCase):
    """In front of what does it stop?"""

    def setUp(self):
        self.space, _ = make_keyspace()
        self.space.store(b"first", 0, b"")  # opens a segment
        self.before = accounts(self.space)

    def stops_at(self, frame):
        """Whether it applies what stands before the frame and not the frame."""
        first = pack_body(b"a", b"1", 0)
        data = first + frame
        reached = self.space.apply_sets(data, 0, len(data))
        self.space.check()
        return reached == len(first)

    def test_in_front_of_all_that_is_not_plain(self):
        for frame in (pack_body(b"k", b"v", 0, 5), pack_body(b"k", b"v", len(NAMES)), pack_body(b"k", b"v", 0, 0, True),
                      pack_body(PREFIX + b"\x01k", b"v", 0), pack_body(PREFIX, b"v", 0),
                      BODY.pack(0, 1, 0, DELETE) + b"k", BODY.pack(1, 1, 0, CHECKED) + b"kv",
                      BODY.pack(1, 1, 0, EXPIRES) + b"kv", BODY.pack(2, 1, 0, 0) + b"kv", BODY.pack(1, 2, 0, 0) + b"kv",
                      BODY.pack(2 ** 32 - 1, 1, 0, 0) + b"kv", b"\0" * 7, b"\xff" * 100,
                      pack_body(bytes(KEY_SIZE_BYTES_MAX + 1), b"", 0), pack_body(b"k", bytes(1 << 16), 0)):
            self.assertTrue(self.stops_at(frame), frame[:20])
        self.assertIsNone(self.space.lookup(b"k"))

    def test_in_front_of_a_key_whose_record_expires(self):
        self.space.store(b"k", 0, b"old", 10 ** 9)
        self.assertTrue(self.stops_at(pack_body(b"k", b"new", 0)))
        self.assertEqual(self.space.lookup(b"k").value, b"old")

    def test_nothing_during_a_batch_or_a_growth(self):
        frame = pack_body(b"k", b"v", 0)
        self.space.begin()
        self.assertEqual(self.space.apply_sets(frame, 0, len(frame)), 0)
        self.space.rollback()
        self.space.index.start_growth(10000)
        while not self.space.index.migrating:
            self.space.index.step(1)
        self.assertEqual(self.space.apply_sets(frame, 0, len(frame)), 0)
        self.space.index.finish_growth()
        self.assertEqual(self.space.apply_sets(frame, 0, len(frame)), len(frame))
        self.space.check()

    def test_before_the_end_it_is_told_and_not_before_the_position(self):
        frame = pack_body(b"k", b"v", 0)
        self.assertEqual(self.space.apply_sets(frame * 3, len(frame), 2 * len(frame)), 2 * len(frame))
        self.assertEqual(self.space.version, 2)
        self.assertEqual(self.space.apply_sets(frame, 0, len(frame) - 1), 0)
        self.assertEqual(self.space.apply_sets(frame, 0, 0), 0)


if __name__ == "__main__":
    unittest.main()

"""The keyspace does what a dict does, whatever order the commands come in, and all its structures stay consistent."""

import random
import unittest

from nosqgrid.errors import GridFullError
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import pack_body
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import slow


class Model(object):
    """What the keyspace should hold: key -> (type, value, deadline), with a clock."""

    def __init__(self):
        self.entries = {}
        self.now_ms = 0

    def get(self, key):
        entry = self.entries.get(key)
        return entry if entry and not (entry[2] and entry[2] <= self.now_ms) else None


class KeyspaceAgainstModel(unittest.TestCase):
    def run_commands(self, seed, steps, memory_bytes, value_bytes_max, key_count, flags=0, check_every=200):
        rng = random.Random(seed)
        space, _ = make_keyspace(memory_bytes, seed, flags)
        model = Model()
        refused = 0
        for step in range(steps):
            key = b"key:%d" % rng.randrange(key_count)
            action = rng.random()
            try:
                self.one_command(rng, space, model, key, action, value_bytes_max)
            except GridFullError:
                refused += 1
                self.assertEqual(space.lookup(key) and space.lookup(key)[:3], model.get(key))
            if rng.random() < 0.3:
                space.work()
            if step % check_every == 0:
                space.check()
        self.compare_all(space, model, key_count)
        return space, refused

    def one_command(self, rng, space, model, key, action, value_bytes_max):
        if action < 0.45:
            value = bytes([rng.randrange(256)]) * rng.randrange(value_bytes_max)
            body = pack_body(key, value, 1)
            applied = space.apply_sets(body, 0, len(body))
            if applied == 0:
                space.store(key, 1, value)
            model.entries[key] = (1, value, 0)
        elif action < 0.55:
            deadline = model.now_ms + rng.randrange(1, 5000)
            space.store(key, 0, b"ttl", deadline)
            model.entries[key] = (0, b"ttl", deadline)
        elif action < 0.75:
            self.assertEqual(space.delete(key), model.get(key) is not None)
            model.entries.pop(key, None)
        elif action < 0.80:
            deadline = rng.choice((0, model.now_ms + 700))
            self.assertEqual(space.set_deadline(key, deadline), model.get(key) is not None)
            if model.get(key):
                model.entries[key] = model.entries[key][:2] + (deadline,)
        elif action < 0.82:
            model.now_ms += rng.randrange(1000)
            space.now_ms = model.now_ms
        else:
            found = space.lookup(key)
            self.assertEqual(found and found[:3], model.get(key))

    def compare_all(self, space, model, key_count):
        space.check()
        for number in range(key_count):
            key = b"key:%d" % number
            found = space.lookup(key)
            self.assertEqual(found and found[:3], model.get(key))
        expected = {key for key in model.entries if model.get(key)}
        self.assertEqual(self.scan_all(space), expected)

    def scan_all(self, space):
        seen, cursor = [], 0
        while True:
            cursor, keys = space.scan(cursor, 10)
            seen.extend(keys)
            if not cursor:
                break
        self.assertEqual(len(seen), len(set(seen)))
        return set(seen)

    @slow
    def test_small_values_in_plenty_of_room(self):
        for seed in range(3):
            _, refused = self.run_commands(seed, 6000, 4 << 20, 100, 500)
            self.assertEqual(refused, 0)

    def test_overwriting_for_ever_never_fills_the_heap(self):
        space, refused = self.run_commands(10, 20000, 1 << 20, 2000, 400, check_every=1000)
        self.assertEqual(refused, 0)
        self.assertGreater(space.cleaner.segments_cleaned, 5)

    @slow
    def test_a_grid_too_small_refuses_and_stays_consistent(self):
        space, refused = self.run_commands(20, 8000, 1 << 20, 30000, 300, check_every=500)
        self.assertGreater(refused, 10)

    @slow
    def test_large_records_take_runs_of_segments(self):
        space, refused = self.run_commands(30, 3000, 4 << 20, 900000, 6, check_every=50)
        self.assertGreater(space.version, 1000)

    @slow
    def test_many_keys_grow_the_index_while_commands_go_on(self):
        space, _ = self.run_commands(40, 30000, 8 << 20, 10, 20000, check_every=3000)
        self.assertGreater(space.index.growths, 1)

    def test_checked_records_of_weakly_ordered_machines(self):
        space, _ = self.run_commands(50, 4000, 1 << 20, 300, 300, flags=WEAK_ORDERING)
        self.assertEqual(space.apply_sets(pack_body(b"k", b"v", 0), 0, 10), 0)


if __name__ == "__main__":
    unittest.main()

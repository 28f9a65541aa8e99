"""Structures in a keyspace: random work on all kinds of them against an account of it, with a log and without, where
the log refuses, where memory ends, in batches that are taken back; and what was found so, each by itself.
"""

import random
import unittest
from unittest import mock

from nosqgrid.engine import outside
from nosqgrid.engine.databases import key_in
from nosqgrid.engine.evictor import Evictor
from nosqgrid.engine.loading import Loader
from nosqgrid.engine.policies import LRU
from nosqgrid.engine.structures.ids import ZERO, pack_id
from nosqgrid.engine.structures.lists import List
from nosqgrid.engine.structures.streams import Stream
from nosqgrid.engine.structures.table import STEP_BYTES
from nosqgrid.errors import DiskError, GridFullError, InvariantError, ValueTooLargeError
from nosqgrid.formats.records import ELSEWHERE
from nosqgrid.limits import VALUE_SIZE_BYTES_MAX
from nosqgrid.memory.node_arrays import new_lists
from nosqgrid.storage.recovery import PlainState
from tests.support.structure_work import Worker, contents
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog, make_space, make_walker, walk

RUNS = 60 if FULL else 3
STEPS = 150


class FailingLog(ListLog):
    """A log that refuses now and then."""

    def __init__(self, rng, chance):
        super().__init__()
        self.rng, self.chance = rng, chance

    def append(self, first_lsn, count, payload):
        if self.rng.random() < self.chance:
            raise DiskError("planted")
        super().append(first_lsn, count, payload)


class Memory(object):
    """take() and give_back() of memory for structures, of which there may be none now and then."""

    def __init__(self, rng, chance):
        self.rng, self.chance, self.taken = rng, chance, 0

    def take(self, size_bytes):
        if self.rng.random() < self.chance:
            raise GridFullError("planted")
        self.taken += size_bytes

    def give_back(self, size_bytes):
        self.taken -= size_bytes
        if self.taken < 0:
            raise AssertionError("more was given back than taken")


class RandomWorkTest(unittest.TestCase):
    def work(self, seed, log_chance=None, memory_chance=0.0, allocate_chance=0.0, size=20):
        """A run; the Worker."""
        rng = random.Random(seed)
        space, self.header = make_space(1 << 20, seed % 3)
        space.now_ms = 1000
        log = None
        if log_chance is not None:
            log = FailingLog(rng, log_chance)
            space.set_log(log)
        memory = Memory(rng, memory_chance)
        space.structures._take, space.structures._give_back = memory.take, memory.give_back
        allocate = space.room.allocate

        def allocate_perhaps(size_bytes):
            if rng.random() < allocate_chance:
                raise GridFullError("planted")
            return allocate(size_bytes)
        space.room.allocate = allocate_perhaps
        worker = Worker(space, rng, size=size)
        for number in range(STEPS):
            worker.step()
            if number % 3 == 0:
                worker.pass_time()
            self.assertEqual(contents(space), worker.expected(), (seed, number))
            space.check()
            self.assertEqual(space.structures.reserved_bytes, memory.taken)
        numbers = list(space.structures.at)
        self.assertLess(max(numbers or [0]), space.structures.add(List()))
        if log is not None:
            self.replay(space, log, worker, seed)
        return worker

    def replay(self, space, log, worker, seed):
        """What the log makes is what is there."""
        target, _ = make_space(header=self.header)
        target.now_ms = space.now_ms
        loader = Loader(target)
        for first_lsn, count, payload in log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
        loader.finish(space.version)
        target.check()
        self.assertEqual(contents(target), worker.expected(), seed)
        self.assertEqual({key: found.version for key, found in target.structures.by_key.items()
                          if key in worker.expected()},
                         {key: found.version for key, found in space.structures.by_key.items()
                          if key in worker.expected()}, seed)
        for number in range(16):
            self.assertEqual(target.databases.counts[number], sum(
                1 for key in all_keys(target) if key[:4] == b"\xff\0db" and key[4] == number), (seed, number))

    @slow
    def test_without_a_log(self):
        for seed in range(RUNS):
            self.assertGreater(sum(self.work(seed).batches), 10)

    @slow
    def test_with_a_log_that_refuses_now_and_then(self):
        refused = 0
        for seed in range(RUNS):
            refused += self.work(100 + seed, 0.1).refused
        self.assertGreater(refused, RUNS)

    @slow
    def test_where_memory_ends_now_and_then(self):
        refused = 0
        for seed in range(RUNS):
            refused += self.work(200 + seed, 0.0 if seed % 2 else None, 0.3, 0.05, 30000).refused
        self.assertGreater(refused, RUNS)


class NamedTest(unittest.TestCase):
    """What the random work has found, or thinking about it, each with the least that shows it."""

    def make(self, logged=False):
        self.space, self.header = make_space(1 << 20)
        self.space.now_ms = 1000
        self.log = ListLog()
        if logged:
            self.space.set_log(self.log)
        return self.space

    def push(self, key, *elements):
        self.space.update(key, self.space.structure(key, List), List, [b"rpush"] + list(elements))

    def no_room(self, size_bytes):
        raise GridFullError("planted")

    def test_a_deadline_for_which_there_is_no_room(self):
        for logged in (False, True):
            space = self.make(logged)
            self.push(b"k", b"a")
            allocate, space.room.allocate = space.room.allocate, self.no_room
            with self.assertRaises(GridFullError):
                space.set_deadline(b"k", 2000)
            space.room.allocate = allocate
            space.now_ms = 3000
            self.assertEqual(list(space.structure(b"k", List)), [b"a"])
            self.assertEqual(space.lookup(b"k").deadline_ms, 0)
            self.push(b"k", b"b")
            self.assertEqual(list(space.lookup(b"k").structure), [b"a", b"b"])
            space.check()

    def test_one_that_is_evicted_while_a_command_has_it_in_hand(self):
        for back in (False, True):
            space = self.make()
            space.evictor = Evictor(space, LRU, random.Random(1).random, new_lists)
            self.push(b"source", *[b"%d" % number for number in range(9)])
            used = space.structures.used_bytes
            space.begin()
            source = space.structure(b"source", List)
            self.assertTrue(space.evictor.evict_heap(64))
            self.assertIsNone(space.lookup(b"source"))
            space.change(b"source", source, [b"lpop", b"2"])
            self.push(b"source", b"new")
            if back:
                space.rollback()
            else:
                space.commit()
            space.check()
            self.assertLess(space.structures.used_bytes, used)
            self.assertEqual(space.lookup(b"source") is None, back)

    def test_memory_of_a_batch_that_is_taken_back_is_still_charged(self):
        space = self.make()
        memory = Memory(random.Random(1), 0.0)
        space.structures._take, space.structures._give_back = memory.take, memory.give_back
        self.push(b"large", *[bytes(1000)] * 3000)
        space.begin()
        space.change(b"large", space.structure(b"large", List), [b"lpop", b"2900"])
        self.push(b"other", bytes(10))
        space.delete(b"other")  # with it what the first one needs no more would go
        memory.chance = 1.0
        space.rollback()
        space.check()
        self.assertEqual(space.structures.reserved_bytes, memory.taken)
        space.delete(b"large")
        while space.work():
            continue
        self.assertLessEqual(memory.taken, 2 * STEP_BYTES)

    @slow
    def test_a_change_longer_than_a_value_may_be_is_read_again(self):
        space = self.make(logged=True)
        element = bytes(VALUE_SIZE_BYTES_MAX // 2)
        self.push(b"k", b"first")
        self.push(b"k", element, element, b"last")
        target, _ = make_space(header=self.header)
        loader = Loader(target)
        plain = PlainState()
        for first_lsn, count, payload in self.log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
            plain.apply(first_lsn, count, payload, 0, False)
        self.assertEqual([len(found) for found in target.structures.by_key[b"k"]],
                         [5, len(element), len(element), 4])
        self.assertEqual(plain.entries[b"k"][3], 2)

    def test_a_change_that_no_log_takes_is_refused(self):
        space = self.make(logged=True)
        self.push(b"k", b"first")
        with mock.patch.object(outside, "CHANGE_BYTES_MAX", 1000):
            with self.assertRaises(ValueTooLargeError):
                self.push(b"k", bytes(1000))
            with self.assertRaises(ValueTooLargeError):
                self.push(b"new", bytes(1000))
        self.assertEqual(contents(space), {b"k": (("list", (b"first",)), 0)})
        self.assertEqual([entry[:2] for entry in self.log.entries], [(1, 1)])
        space.check()

    def test_keys_of_other_databases_are_counted_when_they_come_back(self):
        space = self.make(logged=True)
        for number in range(20):
            space.store(key_in(number % 4, b"k%d" % number), 1, b"v")
        records = walk(make_walker(space, self.header))
        unflagged = [record[:15] + bytes((record[15] & ~ELSEWHERE,)) + record[16:] for record in records]
        for pieces in (records, unflagged, None):
            target, _ = make_space(header=self.header)
            loader = Loader(target)
            if pieces is not None:
                loader.load_records(b"".join(pieces), len(pieces), 0)
            else:
                for first_lsn, count, payload in self.log.entries:
                    loader.apply(first_lsn, count, payload, 0, False)
            self.assertEqual(target.databases.counts[:5], [0, 5, 5, 5, 0])

    def test_a_check_finds_a_structure_under_another_key(self):
        for spoil in (lambda table: table.by_key.pop(b"k"),
                      lambda table: table.by_key.update(other=table.by_key[b"k"]),
                      lambda table: table.by_key.update({b"k": List()})):
            space = self.make()
            self.push(b"k", b"a")
            space.check()
            spoil(space.structures)
            with self.assertRaises(InvariantError):
                space.check()

    def test_a_slice_frees_no_more_of_what_a_length_does_not_tell(self):
        space, stream, ids = self.make(), Stream(), [pack_id(1, number) for number in range(1, 20001)]
        stream.apply([b"group", b"g", ZERO, b"0"])
        stream.apply([b"deliver", b"g", b"c", b"1", ids[-1], b"1"] + ids)
        space.put(b"k", stream)
        space.delete(b"k")
        slices = 0
        while space.structures.work():
            slices += 1
        self.assertGreater(slices, 15)

    def test_everything_is_removed_and_freed_in_slices(self):
        space = self.make()
        for number in range(300):
            self.push(b"k%d" % number, b"a", b"b")
        self.push(b"large", *[b"x"] * 5000)
        space.clear()
        self.assertEqual((space.structures.used_bytes, space.structures.at, space.structures.by_key), (0, {}, {}))
        space.check()
        self.push(b"new", b"a")
        slices = 0
        while space.structures.work():
            slices += 1
            space.check()
        self.assertGreater(slices, 2)
        self.assertLess(slices, 20)
        self.assertEqual(contents(space), {b"new": (("list", (b"a",)), 0)})
        self.assertLessEqual(space.structures.reserved_bytes, 2 * STEP_BYTES)


def all_keys(space):
    found, cursor = [], 0
    while True:
        cursor, offsets = space.index.scan(cursor, 1000)
        found += [space.key_at(offset) for offset in offsets]
        if not cursor:
            return found


if __name__ == "__main__":
    unittest.main()

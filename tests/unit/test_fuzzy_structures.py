"""Checkpoints of structures that change while they are read: what the records and the log bring back at every cut is
what the account of the work says.

Everything that is cut into parts is cut into tiny ones here, so that each boundary is met: steps of the walk, groups,
slices of an export, changes, effects of a SET, files of large values.
"""

import contextlib
import os
import random
import unittest
from unittest import mock

from nosqgrid.coordinator import exports
from nosqgrid.engine import outside
from nosqgrid.engine.large import Larges
from nosqgrid.engine.loading import Loader
from nosqgrid.engine.structures import hashes, lists, sets, stream_groups, streams, zsets
from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.engine.structures.lists import List
from nosqgrid.formats import records, values
from nosqgrid.formats.exported import pack_part, pack_retraction, unpack_parts
from nosqgrid.memory import walker as walker_module
from nosqgrid.memory.walker import Walker
from nosqgrid.storage.recovery import PlainState
from tests.support.evicting import FakeFiles
from tests.support.structure_work import Worker, contents, shown
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog, make_space

RUNS = 150 if FULL else 12
LARGE_BYTES = 3000


@contextlib.contextmanager
def tiny_parts(at_once=200, change_bytes=60):
    """Within, whatever is cut into parts is cut into tiny ones."""
    with contextlib.ExitStack() as patches:
        for module in (hashes, lists, sets):
            patches.enter_context(mock.patch.object(module, "CHANGE_BYTES", change_bytes))
        for module, name, value in ((zsets, "_CHANGE_MEMBERS", 3), (streams, "_PUT_BYTES", change_bytes),
                                    (stream_groups, "PIECES", 2), (outside, "FIRST_EFFECT_BYTES", 2 * change_bytes),
                                    (exports, "AT_ONCE_BYTES", at_once), (exports, "SLICE_BYTES", at_once),
                                    (exports, "GROUP_BYTES", 5 * at_once),
                                    (walker_module, "STRUCTURES_AT_ONCE", 3), (walker_module, "STEP_BYTES", 400)):
            patches.enter_context(mock.patch.object(module, name, value))
        yield


class Checkpointing(object):
    """A keyspace with a log, large values and structures, and a walk over it with work in between."""

    def __init__(self, seed, **options):
        self.rng = random.Random(seed)
        self.space, self.header = make_space(1 << 20, seed % 3)
        self.space.now_ms = 1000
        self.space.large_value_bytes = LARGE_BYTES
        self.space.larges = Larges(FakeFiles(), lambda size: None, lambda size: None, set)
        self.log = ListLog()
        self.space.set_log(self.log)
        self.worker = Worker(self.space, self.rng, large_bytes=LARGE_BYTES, clears=0.005, **options)
        self.history = {0: (1000, {})}
        self.asked = self.slices = 0
        self.between = self.some_work

    def work(self, count):
        for _ in range(count):
            self.worker.step()
            self.worker.pass_time()
            self.history[self.space.version] = self.space.now_ms, self.worker.expected()

    def some_work(self):
        if self.rng.random() < 0.6:
            self.work(self.rng.randrange(4))

    def read_structures(self, numbers):
        """What the coordinator does for the process that makes the checkpoint."""
        self.asked += 1
        answers = []

        def done(fd, size_bytes, left):
            answers.append((os.pread(fd, size_bytes, 0), left))
        for _ in exports.export(self.space.structures, numbers, done):
            self.slices += 1
            self.between()
        data, left = answers[0]
        return unpack_parts(data), left

    def walk(self):
        """The records of a checkpoint with work in between."""
        walker = Walker(self.space.words, self.space.arena, self.header, read_large=self.space.larges.read,
                        read_structures=self.read_structures)
        cursor, found = 0, []
        while True:
            cursor, records = walker.step(cursor)
            for record in records:
                found.append(record)
                self.between()
            self.between()
            if not cursor:
                return found


def restored(header, records, entries, now_ms):
    """The keyspace that records and entries make; how they come back in the plain way has to be the same."""
    space, _ = make_space(header=header)
    space.now_ms = now_ms
    loader, plain = Loader(space), PlainState()
    for target in (loader, plain):
        target.load_records(b"".join(records), len(records), 0)
        for first_lsn, count, payload in entries:
            target.apply(first_lsn, count, payload, 0, True)
    space.check()
    for key, (value_type, value, deadline_ms, version) in plain.entries.items():
        if deadline_ms and deadline_ms <= now_ms:
            continue
        entry = space.lookup(key)
        if (entry.type, entry.deadline_ms, entry.version) != (value_type, deadline_ms, version):
            raise AssertionError("%r is %r, and plainly %r" % (key, entry, (value_type, deadline_ms, version)))
    return space


class FuzzyTest(unittest.TestCase):
    def run_one(self, seed, **options):
        found = Checkpointing(seed, **options)
        found.work(60)
        start = len(found.log.entries)
        records = found.walk()
        end = len(found.log.entries)
        found.work(25)
        for cut in range(end, len(found.log.entries) + 1):
            lsn = sum(entry[1] for entry in found.log.entries[:cut])
            now_ms, expected = found.history[lsn]
            space = restored(found.header, records, found.log.entries[start:cut], now_ms)
            self.assertEqual(contents(space), expected, (seed, cut))
        live = {key: found.space.lookup(key).version for key in contents(found.space)}
        self.assertEqual({key: space.lookup(key).version for key in live}, live, seed)
        return found

    @slow
    def test_random_work_between_all_steps(self):
        asked = slices = 0
        with tiny_parts():
            for seed in range(RUNS):
                found = self.run_one(seed, many=12)
                asked, slices = asked + found.asked, slices + found.slices
        self.assertGreater(asked, 2 * RUNS)
        self.assertGreater(slices, 5 * RUNS)

    @slow
    def test_with_sizes_around_what_is_written_at_once(self):
        with tiny_parts(450, 64):
            for seed in range(1000, 1000 + RUNS):
                self.run_one(seed, keys=24, many=4, size=5)

    @slow
    def test_as_they_are(self):
        for seed in range(2000, 2003):
            self.run_one(seed, many=400, size=60)


class ExportTest(unittest.TestCase):
    """One structure, larger than a slice, and what happens to it meanwhile."""

    def make(self, count=200):
        self.found = Checkpointing(1)
        self.space = self.found.space
        self.push(b"k", *[b"%05d" % number for number in range(count)])
        self.found.between = lambda: None
        self.version = self.space.version

    def push(self, key, *elements):
        self.space.update(key, self.space.structure(key, List), List, [b"rpush"] + list(elements))

    def export(self, happens=None, at=2):
        """{number: (version, deadline, [part])} with something that happens behind a slice; how many there were."""
        slices = []

        def between():
            slices.append(1)
            if len(slices) == at and happens is not None:
                happens()
        self.found.between = between
        parts, left = self.found.read_structures(list(self.space.structures.at))
        self.assertEqual(left, [])
        self.assertIsNone(self.space.structures.watched)
        return parts, len(slices)

    def rebuilt(self, content):
        loader = Loader(make_space(header=self.found.header)[0])
        named = b"\0" * 14 + bytes((values.LIST, 0))
        pieces = list(records.with_parts(named, *content))
        loader.load_records(b"".join(pieces), len(pieces), 0)
        return list(loader.keyspace.structures.by_key[b""])

    def test_one_that_nobody_touches_is_not_copied(self):
        with tiny_parts():
            self.make()
            with mock.patch.object(List, "copy", side_effect=AssertionError("it is copied")):
                parts, slices = self.export()
        self.assertGreater(slices, 3)
        self.assertEqual(self.rebuilt(parts[1]), list(self.space.structure(b"k", List)))
        self.assertEqual(parts[1][0], self.version)

    def test_one_that_is_changed_meanwhile_is_written_as_it_is_then(self):
        with tiny_parts():
            for at in range(1, 5):
                self.make()
                parts, _ = self.export(lambda: self.push(b"k", b"new"), at)
                self.assertEqual(parts[1][0], self.version + 1, at)
                self.assertEqual(self.rebuilt(parts[1]), list(self.space.structure(b"k", List)))

    def test_a_change_that_is_taken_back_is_noticed_too(self):
        copy = List.copy
        with tiny_parts():
            for at in range(1, 5):
                self.make()
                before = list(self.space.structure(b"k", List))
                version = self.space.structure(b"k", List).version

                def change_and_take_back():
                    self.space.begin()
                    self.space.change(b"k", self.space.structure(b"k", List), [b"lpop", b"20"])
                    self.space.rollback()
                with mock.patch.object(List, "copy", autospec=True, side_effect=copy) as copied:
                    parts, _ = self.export(change_and_take_back, at)
                self.assertEqual(copied.call_count, 1)
                self.assertEqual((self.rebuilt(parts[1]), parts[1][0]), (before, version), at)

    def test_another_deadline(self):
        with tiny_parts():
            self.make()
            parts, _ = self.export(lambda: self.space.set_deadline(b"k", 5000))
        self.assertEqual(parts[1][:2], (self.version + 1, 5000))

    def test_one_that_goes_or_gets_another_name(self):
        with tiny_parts():
            for happens in (lambda: self.space.delete(b"k"), lambda: self.space.clear(),
                            lambda: self.space.store(b"k", 1, b"text"),
                            lambda: self.space._logged(self.space.rename, b"k", b"other")):
                for at in range(1, 5):
                    self.make()
                    parts, _ = self.export(happens, at)
                    self.assertEqual(parts, {})

    def test_one_that_is_evicted_and_made_anew(self):
        def happens():
            slot, _ = self.space._find(b"k", self.space.hash_of(b"k"))
            self.space.evict(slot)
            self.push(b"k", b"new")
        with tiny_parts():
            self.make()
            parts, _ = self.export(happens)
        self.assertEqual(parts, {})

    def test_groups_end_and_the_rest_is_asked_for_again(self):
        with tiny_parts():
            self.make()
            for number in range(20):
                self.push(b"k%d" % number, *[b"%d" % number] * 40)
            numbers, wanted, found = list(self.space.structures.at), None, {}
            wanted, asked = numbers, 0
            while wanted:
                parts, left = self.found.read_structures(wanted)
                self.assertLess(len(left), len(wanted))
                self.assertFalse(set(parts) & set(found))
                found.update(parts)
                wanted, asked = left, asked + 1
            self.assertGreater(asked, 3)
            self.assertEqual(sorted(found), sorted(numbers))
            self.assertEqual(exports.at_once(self.space.structures, numbers[:1]), ({1: found[1]}, []))

    def test_without_memory_for_the_file(self):
        self.make()
        answers = []
        with mock.patch.object(exports, "open_anonymous", side_effect=OSError("planted")):
            list(exports.export(self.space.structures, [1], lambda *answer: answers.append(answer)))
        self.assertEqual(answers, [(-1, -1, [])])

    def test_parts_that_are_taken_back(self):
        data = pack_part(1, 5, 0, b"a") + pack_part(2, 6, 9, b"b") + pack_retraction(1) + pack_retraction(3)
        self.assertEqual(unpack_parts(data), {2: (6, 9, [b"b"])})

    def test_what_is_shown_of_all_kinds_differs(self):
        found = Checkpointing(3, keys=80)
        found.work(400)
        kinds = {shown(structure)[0] for structure in found.space.structures.by_key.values()}
        self.assertEqual(kinds, {values.STRUCTURE_NAMES[kind] for kind in CLASSES})


if __name__ == "__main__":
    unittest.main()

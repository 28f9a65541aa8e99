"""Directories with structures in them: brought back at every cut, checked, dumped, restored, and saved from damage."""

import contextlib
import io
import json
import os
import random
import struct
import tempfile
import unittest
from unittest import mock

from nosqgrid.cli import storage as shell
from nosqgrid.cli.main import main
from nosqgrid.coordinator import exports
from nosqgrid.engine.loading import Loader
from nosqgrid.errors import CorruptFileError, GridFullError
from nosqgrid.formats import effects, records, values
from nosqgrid.formats.words import pack
from nosqgrid.memory.walker import Walker
from nosqgrid.storage import checkpoint, inspection, recovery, salvage
from nosqgrid.storage.wal import Wal, segment_name
from tests.support import durable_files as made
from tests.support.durable_files import LINEAGE, UnsyncedFiles, contents as files_in, flipped, read, save
from tests.support.structure_work import KINDS, Worker, contents
from tests.support.tiers import FULL, slow
from tests.support.walks import make_space

RUNS = 20 if FULL else 2
FLIPS = 300 if FULL else 25
FAR_MS = 10 ** 14  # deadlines behind any clock, so that wall clock and monotonic clock may be taken for each other


class DirectoryTestCase(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="nq")
        self.addCleanup(holder.cleanup)
        self.base = holder.name
        self.directory, self.new = os.path.join(self.base, "d"), os.path.join(self.base, "new")
        os.mkdir(self.directory, 0o700)
        self.files = UnsyncedFiles()

    def fill(self, seed, before=60, meanwhile=10, behind=60):
        """Random work, a checkpoint with work while it is made, and work behind it; the Worker."""
        space, self.header = make_space(1 << 20, seed % 3)
        space.now_ms = FAR_MS
        self.wal = Wal(self.files, self.directory, LINEAGE, "os", 1, 1)
        space.set_log(self.wal)
        worker = Worker(space, random.Random(seed), expires=False, clears=0)
        self.history = {0: {}}

        def work(count):
            for _ in range(count):
                worker.step()
                self.history[space.version] = worker.expected()
        work(before)
        since, version = self.wal.position(), space.version

        def position():
            return self.wal.appended_lsn, self.wal.pieces(since), space.key_count

        def read_structures(numbers):
            work(meanwhile)
            return exports.at_once(space.structures, numbers)
        walker = Walker(space.words, space.arena, self.header, read_structures=read_structures)
        self.checkpoint = checkpoint.make(
            self.files, walker, checkpoint.Plan(self.directory, None, LINEAGE, version), position)
        work(behind)
        self.wal.close()
        return worker

    def load(self, directory=None):
        """(plain values of the keyspace that a start makes, Report)."""
        space, _ = make_space(header=self.header)
        space.now_ms = 1
        report = recovery.load(self.files, directory or self.directory, Loader(space), 0)
        space.check()
        return contents(space), report

    def shell(self, *words):
        """(exit status, standard output) of `nosqgrid WORDS`."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            status = main(list(words))
        return status, out.getvalue()


class CutTest(DirectoryTestCase):
    @slow
    def test_a_log_that_ends_anywhere(self):
        for seed in range(RUNS):
            worker = self.fill(seed)
            found, report = self.load()
            self.assertEqual(found, worker.expected())
            self.assertEqual(report.lsn, worker.keyspace.version)
            path = os.path.join(self.directory, segment_name(1))
            whole = read(path)
            for cut in sorted(random.Random(seed).sample(range(64, len(whole)), 60 if FULL else 20), reverse=True):
                save(self.directory, segment_name(1), whole[:cut])
                found, report = self.load()
                self.assertGreaterEqual(report.lsn, self.checkpoint.lsn)
                self.assertEqual(found, self.history[report.lsn], (seed, cut))
            os.unlink(self.checkpoint.path)
            for name in os.listdir(self.directory):
                os.unlink(os.path.join(self.directory, name))

    def test_the_checkpoint_alone_and_the_log_alone(self):
        worker = self.fill(7)
        path = os.path.join(self.directory, segment_name(1))
        log = read(path)
        os.unlink(path)
        self.assertEqual(self.load()[0], self.history[self.checkpoint.lsn])
        os.unlink(self.checkpoint.path)
        save(self.directory, segment_name(1), log)
        self.assertEqual(self.load()[0], worker.expected())


class ShellTest(DirectoryTestCase):
    def test_check_and_restore(self):
        self.fill(1)
        status, out = self.shell("check", self.directory)
        self.assertEqual((status, out.count("whole")), (0, 3))
        status, _ = self.shell("restore", self.checkpoint.path, "--dir", self.new)
        self.assertEqual(status, 0)
        found, report = self.load(self.new)
        self.assertEqual((found, report.lsn), (self.history[self.checkpoint.lsn], self.checkpoint.lsn))

    def test_check_finds_changes_that_are_no_words(self):
        for value_type in KINDS:
            record = made.record(b"k", b"\5\0\0\0abc", 1, 0, value_type)
            path = made.save_checkpoint(self.directory, 6, [[record]])
            status, out = self.shell("check", self.directory)
            self.assertEqual(status, 5)
            self.assertIn("makes no sense", out)
            with self.assertRaises(CorruptFileError):
                inspection.restore(self.files, path, self.new, 1, 1, 1)
            with self.assertRaises(CorruptFileError):
                inspection.read_state(self.files, self.directory)
            os.unlink(path)

    def dumped(self, *pairs):
        """What dump prints of structures, given as (type, changes)."""
        group = [made.record(b"k%d" % number, b"".join(map(pack, changes)), number + 1, 0, value_type)
                 for number, (value_type, changes) in enumerate(pairs)]
        path = made.save_checkpoint(self.directory, 60, [group])
        status, out = self.shell("dump", path)
        self.assertEqual(status, 0)
        return [json.loads(line) for line in out.splitlines()]

    def test_dump_shows_them_as_people_know_them(self):
        score = struct.Struct("<d").pack
        one, two = struct.pack(">QQ", 5, 1), struct.pack(">QQ", 5, 2)
        rows = self.dumped(
            (values.LIST, [[b"rpush", b"a", b"\xff"], [b"lpush", "\u00e9".encode()], [b"rpop"]]),
            (values.HASH, [[b"hset", b"f", b"1", b"g", b"\xfe"]]),
            (values.HASH, [[b"hset", b"\xff", b"1", b"g", b"2"]]),
            (values.SET, [[b"sadd", b"10", b"9"]]),
            (values.ZSET, [[b"+", score(2.5), b"b", score(float("-inf")), b"a"]]),
            (values.STREAM, [[b"add", one, b"n", b"v"], [b"node", two, b"n", b"v", b"n", b"w"],
                             [b"group", b"g", one, b"1"], [b"deliver", b"g", b"c", b"77", two, b"2", two]]))
        self.assertEqual([(row["key"], row["type"]) for row in rows], [
            ("k0", "list"), ("k1", "hash"), ("k2", "hash"), ("k3", "set"), ("k4", "zset"), ("k5", "stream")])
        self.assertEqual([row["value"] for row in rows], [
            ["\u00e9", "a"], {"f": "1", "g": {"base64": "/g=="}}, [[{"base64": "/w=="}, "1"], ["g", "2"]],
            ["9", "10"], [["a", "-inf"], ["b", 2.5]],
            {"entries": [["5-1", {"n": "v"}], ["5-2", ["n", "v", "n", "w"]]], "last_id": "5-2",
             "max_deleted_id": "0-0", "entries_added": 2,
             "groups": [{"name": "g", "last_id": "5-2", "entries_read": 2, "consumers": [
                 {"name": "c", "seen_ms": 77, "pending": [["5-2", 77, 1]]}]}]}])
        self.assertEqual([(row["expires"], row["version"], "error" in row) for row in rows],
                         [(None, number + 1, False) for number in range(6)])

    def test_dump_of_changes_that_do_not_fit(self):
        row, = self.dumped((values.LIST, [[b"rpush", b"a"], [b"lpop", b"5"]]))
        self.assertIn("makes no sense", row["error"])
        self.assertEqual(row["encoding"], "base64")

    def test_dump_of_random_work(self):
        worker = self.fill(3)
        status, out = self.shell("dump", self.directory)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((status, len(rows)), (0, len(worker.expected())))
        lists = {row["key"]: row["value"] for row in rows if row["type"] == "list" and not row.get("database")}
        self.assertEqual(lists, {key.decode(): [word.decode() for word in found[0][1]]
                                 for key, found in worker.expected().items()
                                 if found[0][0] == "list" and key[:1] == b"k"})
        self.assertFalse([row for row in rows if "error" in row])

    def test_the_help_tells_how_bytes_look(self):
        self.assertIn("base64", shell.DUMP)


class SalvageTest(DirectoryTestCase):
    def salvage(self):
        """(Saved, plain values of what came out), which a start takes."""
        before = files_in(self.directory)
        saved = salvage.salvage(self.files, self.directory, self.new, 99, 1234, 42)
        self.assertEqual(files_in(self.directory), before)
        found, report = self.load(self.new)
        self.assertEqual((report.lsn, len(found)), (saved.lsn, saved.keys))
        os.unlink(saved.path)
        os.rmdir(self.new)
        return saved, found

    def test_of_a_whole_directory_it_is_all_there_is(self):
        for seed in range(RUNS):
            worker = self.fill(seed)
            saved, found = self.salvage()
            self.assertEqual((found, saved.left_out), (worker.expected(), []))
            for name in os.listdir(self.directory):
                os.unlink(os.path.join(self.directory, name))

    def log(self, *changes):
        """A segment with a SET of a list and changes of it, an entry each; where each entry begins."""
        payloads = [records.pack_body(b"k", pack([b"rpush", b"a", b"b", b"c"]), values.LIST)]
        payloads += [effects.pack_change(b"k", values.LIST, pack(change)) for change in changes]
        data, starts = made.segment(1, 1, []), []
        for lsn, payload in enumerate(payloads, 1):
            starts.append(len(data))
            data += made.log.pack_entry(lsn, lsn - 1, 0, 1, payload, made.seed(1))
        save(self.directory, segment_name(1), data)
        self.header = make_space()[1]
        return data, starts

    def damaged(self, data, start):
        save(self.directory, segment_name(1), flipped(data, start + 50))

    def test_changes_behind_a_hole_are_made_where_they_fit(self):
        data, starts = self.log([b"rpush", b"d", b"e"], [b"set", b"4", b"E"], [b"rpush", b"f"], [b"lpop"])
        self.damaged(data, starts[1])
        saved, found = self.salvage()
        self.assertEqual(found, {b"k": (("list", (b"b", b"c", b"f")), 0)})
        self.assertEqual([item.what for item in saved.left_out], [
            "positions 2 to 2 are missing", "1 changes of the list at b'k' do not fit what is left of it"])
        self.assertEqual(saved.left_out[1].means, salvage.ELEMENTS_GONE)

    def test_what_makes_it_is_lost(self):
        data, starts = self.log([b"rpush", b"d"], [b"lpop"])
        self.damaged(data, starts[0])
        saved, found = self.salvage()
        self.assertEqual((found, saved.keys, len(saved.left_out)), ({}, 0, 1))

    def test_one_that_would_have_no_elements_has_no_key(self):
        data, starts = self.log([b"rpush", b"d"], [b"lpop", b"3"], [b"set", b"0", b"D"])
        self.damaged(data, starts[1])
        saved, found = self.salvage()
        self.assertEqual((found, saved.keys, len(saved.left_out)), ({}, 0, 2))

    @slow
    def test_damage_anywhere_leaves_what_a_start_takes(self):
        errors = left_out = 0
        for seed in range(RUNS):
            self.fill(seed)
            names = [os.path.basename(self.checkpoint.path), segment_name(1)]
            ever = {word for state in self.history.values() for found, _ in state.values() if found[0] == "list"
                    for word in found[1]}
            rng = random.Random(seed)
            for _ in range(FLIPS):
                name = rng.choice(names)
                whole = read(os.path.join(self.directory, name))
                data = whole
                for _ in range(rng.randrange(1, 4)):
                    data = flipped(data, rng.randrange(64, len(data)))
                save(self.directory, name, data)
                try:
                    saved, found = self.salvage()
                    left_out += len(saved.left_out)
                    elements = {word for value, _ in found.values() if value[0] == "list" for word in value[1]}
                    self.assertLessEqual(elements, ever)
                except CorruptFileError:
                    errors += 1
                save(self.directory, name, whole)
            for name in os.listdir(self.directory):
                os.unlink(os.path.join(self.directory, name))
        self.assertGreater(left_out, FLIPS // 2)
        self.assertEqual(errors, 0)

    def test_a_limit_counts_changes(self):
        self.log(*[[b"rpush", bytes(1000)]] * 200)
        data = read(os.path.join(self.directory, segment_name(1)))
        save(self.directory, segment_name(1), flipped(data, len(data) - 5) + data[-100:])
        with mock.patch.object(salvage.Salvage, "_read_as_a_start_would", side_effect=CorruptFileError("planted")):
            with self.assertRaises(GridFullError):
                salvage.salvage(self.files, self.directory, self.new, 99, 1234, 42, limit_bytes=100000)


if __name__ == "__main__":
    unittest.main()

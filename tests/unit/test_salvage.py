"""What is saved of damaged directories: all that is whole, nothing that never was, and every omission is told."""

import errno
import os
import random
import tempfile
import unittest

from nosqgrid.errors import CorruptFileError, DiskError, FormatVersionError, GridFullError, NosqgridError, UsageError
from nosqgrid.formats import checkpoint as layout
from nosqgrid.formats import log
from nosqgrid.storage import recovery, salvage
from nosqgrid.storage.checkpoint import checkpoint_name
from nosqgrid.storage.files import Files
from nosqgrid.storage.salvage import CHANGES_GONE, KEYS_GONE, NO_PROMISE, NOTHING_GONE
from tests.support import durable_files as made
from tests.support.durable_files import CLEAR, UnsyncedFiles, contents, flipped, read, save
from tests.support.tiers import slow

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
EDITS = 5000 if FULL else 120
STEP = 1 if FULL else 3  # of the bytes that are changed
# What the directory of these tests holds, and every value that a key of it ever had.
STATE = {b"c": b"3", b"d": b"4", b"e": b"5", b"f": b"6", b"g": b"7", b"h": b"8"}
EVER = {**STATE, b"a": b"1", b"b": b"2"}


class SalvageTestCase(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="nq")
        self.addCleanup(holder.cleanup)
        self.base = holder.name
        self.directory, self.new = os.path.join(self.base, "d"), os.path.join(self.base, "new")
        os.mkdir(self.directory, 0o700)

    def fill(self):
        """A checkpoint at 5, made while 4 and 5 were written, then the log up to 10 in two segments, all synced."""
        self.checkpoint = made.save_checkpoint(
            self.directory, 5, [[made.record(b"a", b"1", 1), made.record(b"b", b"2", 2)], [made.record(b"c", b"3", 3)]],
            [made.entry(4, [(b"a", None)]), made.entry(5, [(b"d", b"4")])], start_lsn=3)
        self.first = made.save_segment(
            self.directory, 4, 4, [[(b"a", None)], [(b"d", b"4")], [(b"e", b"5")]], 3, True)
        self.second = made.save_segment(
            self.directory, 5, 7, [[(b"f", b"6"), (b"g", b"7")], [(b"b", None)], [(b"h", b"8")]], 6, True)

    def write(self, path, data):
        save(os.path.dirname(path), os.path.basename(path), data)

    def salvage(self, files=None, **options):
        """(Saved, {key: value}) after checking that a start takes what came out, and that the source is as it was."""
        before = contents(self.directory)
        saved = salvage.salvage(files or UnsyncedFiles(), self.directory, self.new, 99, 1234, 42, **options)
        self.assertEqual(contents(self.directory), before)
        self.assertEqual(os.listdir(self.new), [checkpoint_name(saved.lsn)])
        state = recovery.PlainState()
        report = recovery.load(Files(), self.new, state, 0)
        self.assertEqual((report.lineage, report.lsn, len(state.entries)), (99, saved.lsn, saved.keys))
        self.entries = state.entries
        os.unlink(saved.path)
        os.rmdir(self.new)
        return saved, {key: entry[1] for key, entry in state.entries.items()}

    def told(self, saved):
        return [(item.path, item.offset, item.bytes, item.means) for item in saved.left_out]

    def offsets(self, path):
        """Where the entries of a segment, or the blocks of a checkpoint, begin; and the size of the file."""
        data, found = read(path), []
        magic = layout.BLOCK_MAGIC_BYTES if data[:8] == layout.MAGIC else log.ENTRY_MAGIC_BYTES
        position = data.find(magic)
        while position >= 0:
            found.append(position)
            position = data.find(magic, position + 1)
        return found + [len(data)]


class WholeTest(SalvageTestCase):
    def test_it_is_what_a_start_brings_back(self):
        self.fill()
        state = recovery.PlainState()
        recovery.load(Files(), self.directory, state, 0)
        saved, found = self.salvage()
        self.assertEqual((found, self.entries, saved.lsn, saved.left_out), (STATE, state.entries, 10, []))

    def test_a_torn_end_is_told_and_was_never_promised(self):
        self.fill()
        self.write(self.second, read(self.second)[:-3])
        last = self.offsets(self.second)[2]
        saved, found = self.salvage()
        self.assertEqual((self.told(saved), saved.lsn),
                         ([(self.second, last, os.path.getsize(self.second) - last, NO_PROMISE)], 9))
        self.assertNotIn(b"h", found)

    def test_deadlines_and_types_come_over_and_absurd_deadlines_fit(self):
        ways = [(b"x", 0, 2), (b"y", 123456789, 1), (b"z", (1 << 64) - 1, 4)]
        made.save_checkpoint(self.directory, 3, [[
            made.record(key, b"1", version, deadline, kind) for version, (key, deadline, kind) in enumerate(ways, 1)]])
        self.salvage()
        self.assertEqual(self.entries, {b"x": (2, b"1", 0, 1), b"y": (1, b"1", 123456789, 2),
                                        b"z": (4, b"1", (1 << 63) - 1, 3)})

    def test_many_and_large_values_take_several_blocks(self):
        values = {b"%d" % number: bytes((number,)) * 400000 for number in range(8)}
        made.save_segment(self.directory, 1, 1, [[pair] for pair in values.items()])
        saved, found = self.salvage()
        self.assertEqual(found, values)


class DamagedTest(SalvageTestCase):
    def test_an_entry_in_the_middle(self):
        self.fill()
        data, (first, second, third, size) = read(self.second), self.offsets(self.second)
        self.write(self.second, flipped(data, second + 45))
        saved, found = self.salvage()
        self.assertEqual(self.told(saved), [(self.second, second, third - second, CHANGES_GONE)])
        self.assertIn("positions 9 to 9 are missing", saved.left_out[0].what)
        self.assertEqual((found, saved.lsn), ({**STATE, b"b": b"2"}, 10))

    def test_an_entry_whose_length_lies_and_what_is_an_entry_only_inside_of_a_value(self):
        self.fill()
        inner = made.entry(9, [(b"intruder", b"x")], 8, made.seed(6))
        path = made.save_segment(self.directory, 6, 11, [[(b"i", inner)], [(b"j", b"9")]], 10, True)
        data, at = read(path), self.offsets(path)[0]
        following = at + 40 + 8 + 1 + len(inner)
        self.write(path, flipped(data, at + 48))
        saved, found = self.salvage()
        self.assertEqual(self.told(saved), [(path, at, following - at, CHANGES_GONE)])
        self.assertEqual(found, {**STATE, b"j": b"9"})
        inner = made.entry(11, [(b"intruder", b"x")], 10, made.seed(6))  # its position would do
        path = made.save_segment(self.directory, 6, 11, [[(b"i", inner)], [(b"j", b"9")]], 10, True)
        self.write(path, flipped(read(path), at + 48))
        self.assertEqual(self.salvage()[1], {**STATE, b"j": b"9"})
        self.write(path, flipped(data, at + 39))
        saved, found = self.salvage()
        self.assertEqual(self.told(saved), [(path, at, following - at, CHANGES_GONE)])
        self.assertEqual(found, {**STATE, b"j": b"9"})

    def test_the_headers_of_files_are_not_needed(self):
        self.fill()
        for path in (self.checkpoint, self.first, self.second):
            data = read(path)
            self.write(path, flipped(data, 30))
            saved, found = self.salvage()
            self.assertEqual((found, saved.lsn), (STATE, 10), path)
            self.assertEqual(self.told(saved), [(path, 0, 64, NOTHING_GONE)])
            self.write(path, data)

    def test_a_damaged_header_where_no_other_file_tells_whose_it_is(self):
        path = made.save_segment(self.directory, 1, 1, [[(b"a", b"1")], [(b"b", b"2")]], synced=True)
        self.write(path, flipped(read(path), 40))
        saved, found = self.salvage()
        self.assertEqual((found, self.told(saved)), ({b"a": b"1", b"b": b"2"}, [(path, 0, 64, NOTHING_GONE)]))

    def test_a_block_of_the_checkpoint(self):
        self.fill()
        data, offsets = read(self.checkpoint), self.offsets(self.checkpoint)
        blocks = [offset for offset in offsets if data[offset:offset + 4] == layout.BLOCK_MAGIC_BYTES]
        self.write(self.checkpoint, flipped(data, blocks[1] + 40))
        saved, found = self.salvage()
        self.assertEqual(self.told(saved), [(self.checkpoint, blocks[1], blocks[2] - blocks[1], KEYS_GONE)])
        self.assertEqual(found, {key: value for key, value in STATE.items() if key != b"c"})
        self.write(self.checkpoint, data[:blocks[3]])
        saved, found = self.salvage()
        self.assertEqual(found, STATE)
        self.assertEqual([item.what for item in saved.left_out], ["the end of the checkpoint is missing"])

    def test_an_end_that_is_none_and_records_that_are_none(self):
        self.fill()
        good = made.block(layout.RECORDS, 1, made.record(b"z", b"9", 2))
        bad = made.block(layout.RECORDS, 1, made.record(b"y", b"9", 2)[:-1])
        data = read(self.checkpoint)
        self.write(self.checkpoint, data[:64] + bad + good + made.block(layout.END, 1, b"abc"))
        saved, found = self.salvage()
        self.assertIn(b"z", found)
        self.assertEqual([(item.offset, item.bytes) for item in saved.left_out],
                         [(64, len(bad)), (64 + len(bad) + len(good), 35), (os.path.getsize(self.checkpoint), 0)])

    def test_what_is_a_block_only_inside_of_a_value(self):
        inner = made.block(layout.RECORDS, 1, made.record(b"intruder", b"x", 1))
        path = made.save_checkpoint(self.directory, 2, [[made.record(b"a", inner, 1)], [made.record(b"b", b"2", 2)]])
        self.write(path, flipped(read(path), 64 + 32 + 16))
        saved, found = self.salvage()
        self.assertEqual((found, len(saved.left_out)), ({b"b": b"2"}, 1))

    def test_the_last_entry_of_a_segment_that_is_not_the_last(self):
        self.fill()
        start, end = self.offsets(self.first)[2:]
        self.write(self.first, flipped(read(self.first), start + 44))
        saved, found = self.salvage()
        self.assertEqual(self.told(saved), [(self.first, start, end - start, CHANGES_GONE)])
        self.assertEqual(saved.left_out[0].what, "positions 6 to 6 are missing")
        self.assertEqual(found, {key: value for key, value in STATE.items() if key != b"e"})

    def test_a_torn_end_beside_damage_is_still_nobodys_loss(self):
        self.fill()
        second = self.offsets(self.second)[1]
        torn = made.entry(11, [(b"z", b"9")], 10, made.seed(5))[:-1]
        self.write(self.second, flipped(read(self.second), second + 45) + torn)
        saved, found = self.salvage()
        self.assertEqual([item.means for item in saved.left_out], [CHANGES_GONE, NO_PROMISE])
        self.assertNotIn(b"z", found)

    def test_what_the_checkpoint_has_and_what_was_refused_stays_away_beside_damage(self):
        self.fill()
        old = made.save_segment(
            self.directory, 3, 1, [[(b"gone", b"x")], [(b"gone", None)], [(b"c", b"3")]], synced=True)
        hole = self.offsets(old)[1]
        self.write(old, flipped(read(old), hole + 44))
        self.write(self.first, read(self.first) + made.entry(7, [(b"refused", b"x")], 0, made.seed(4)))
        second = self.offsets(self.second)[1]
        self.write(self.second, flipped(read(self.second), second + 45))
        saved, found = self.salvage()
        self.assertEqual(found, {**STATE, b"b": b"2"})
        self.assertEqual([(item.path, item.offset, item.means) for item in saved.left_out],
                         [(old, hole, NOTHING_GONE), (self.second, second, CHANGES_GONE)])

    def test_no_checkpoint(self):
        self.fill()
        os.unlink(self.checkpoint)
        saved, found = self.salvage()
        self.assertEqual(found, {key: value for key, value in STATE.items() if key != b"c"})
        self.assertEqual([item.what for item in saved.left_out], ["positions 1 to 3 are missing"])

    def test_a_missing_segment(self):
        self.fill()
        os.unlink(self.first)
        saved, found = self.salvage()
        self.assertEqual(found, {key: value for key, value in STATE.items() if key != b"e"})
        self.assertEqual([(item.what, item.means) for item in saved.left_out],
                         [("positions 6 to 6 are missing", CHANGES_GONE)])

    def test_a_segment_of_another_grid(self):
        self.fill()
        other = made.save_segment(self.directory, 6, 11, [[(b"x", b"y")]], lineage=1)
        saved, found = self.salvage()
        self.assertEqual((self.told(saved), found), ([(other, 0, os.path.getsize(other), NOTHING_GONE)], STATE))

    def test_an_older_checkpoint_helps_a_damaged_one(self):
        self.fill()
        older = made.save_checkpoint(self.directory, 3, [[made.record(b"a", b"1", 1), made.record(b"b", b"2", 2),
                                                           made.record(b"c", b"3", 3)]])
        self.write(self.checkpoint, flipped(read(self.checkpoint), 100))
        os.unlink(self.first)
        saved, found = self.salvage()
        self.assertEqual(found, {key: value for key, value in STATE.items() if key != b"e"})
        self.assertIn(older, [item.path for item in saved.left_out])

    def test_a_sector_that_cannot_be_read(self):
        values = {b"%d" % number: bytes((number,)) * 5000 for number in range(12)}
        path = made.save_segment(self.directory, 1, 1, [[pair] for pair in values.items()], synced=True)

        class Bad(Files):
            def pread(self, fd, size, offset):
                if os.readlink("/proc/self/fd/%d" % fd) == path and offset < 24576 and offset + size > 20480:
                    raise OSError(errno.EIO, "Input/output error")
                return super().pread(fd, size, offset)

        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("no /proc here")
        with self.assertRaises(DiskError):
            recovery.load(Bad(), self.directory, recovery.PlainState(), 0)
        saved, found = self.salvage(Bad())
        missing = sorted(set(values) - set(found))
        self.assertEqual(missing, [b"4"])
        self.assertEqual((len(saved.left_out), saved.lsn), (1, 12))

    def test_nothing_is_left(self):
        self.fill()
        for path in (self.checkpoint, self.first, self.second):
            self.write(path, bytes(os.path.getsize(path)))
        with self.assertRaisesRegex(CorruptFileError, "nothing whole was found"):
            self.salvage()
        self.assertFalse(os.path.exists(self.new))


class EveryByteTest(SalvageTestCase):
    def sane(self, name):
        """Salvage; keys that were never written, or values that were never theirs, are a failure."""
        saved, found = self.salvage()
        for key, value in found.items():
            self.assertEqual(EVER.get(key), value, name)
        return saved, found

    @slow
    def test_one_changed_byte_costs_at_most_its_block_or_entry_and_is_told(self):
        self.fill()
        for path in (self.checkpoint, self.first, self.second):
            data = read(path)
            for offset in range(0, len(data), STEP):
                self.write(path, flipped(data, offset))
                try:
                    saved, found = self.sane((path, offset))
                except FormatVersionError:
                    self.assertIn(offset, range(8, 12))
                    continue
                if found != STATE:
                    self.assertTrue(saved.left_out, (path, offset))
                self.assertGreaterEqual(len(set(STATE) & set(found)), len(STATE) - 2, (path, offset))
            self.write(path, data)

    def test_edits_with_the_checksums_made_right_again_raise_nothing_of_pythons(self):
        self.fill()
        good = {path: read(path) for path in (self.checkpoint, self.first, self.second)}
        saved = refused = 0
        for seed in range(EDITS):
            path = sorted(good)[seed % 3]
            self.write(path, made.edited(good[path], seed))
            try:
                self.salvage()
                saved += 1
            except NosqgridError:
                refused += 1
                self.assertFalse(os.path.exists(self.new))
            self.write(path, good[path])
        self.assertGreater(saved, refused)


class RescuedTest(unittest.TestCase):
    def test_effects_in_any_order_come_to_the_state_that_they_have_in_theirs(self):
        for seed in range(300):
            rng = random.Random(seed)
            entries, lsn = [], 1
            for _ in range(rng.randrange(1, 25)):
                pairs = [(CLEAR, b"") if rng.random() < 0.05 else
                         (b"%d" % rng.randrange(5), None if rng.random() < 0.3 else b"%d" % rng.randrange(100))
                         for _ in range(rng.choice((1, 1, 3)))]
                entries.append((lsn, len(pairs), b"".join(made.effect(*pair) for pair in pairs)))
                lsn += len(pairs)
            plain, rescued = recovery.PlainState(), salvage.Rescued()
            for entry in entries:
                plain.apply(*entry, 0, False)
            rng.shuffle(entries)
            for entry in entries:
                rescued.apply(*entry, 0, False)
            self.assertEqual((rescued.entries, rescued.lsn), (plain.entries, plain.lsn), seed)

    def test_an_entry_that_makes_no_sense_changes_nothing(self):
        rescued = salvage.Rescued()
        good = made.effect(b"a", b"1")
        for payload, count in ((good + b"\xff" * 9, 2), (good, 2), (good + good[:-1], 2)):
            with self.assertRaises(CorruptFileError):
                rescued.apply(1, count, payload, 0, False)
            self.assertEqual(rescued.entries, {})

    def test_the_limit_counts_what_is_there_and_not_what_was(self):
        rescued = salvage.Rescued(100000)
        for lsn in range(1, 1000):
            rescued.apply(lsn, 1, made.effect(b"a", b"x" * 10000), 0, False)
        with self.assertRaises(GridFullError):
            for lsn in range(1000, 1020):
                rescued.apply(lsn, 1, made.effect(b"%d" % lsn, b"x" * 10000), 0, False)


class RefusedTest(SalvageTestCase):
    def refused(self, error, words, **options):
        with self.assertRaisesRegex(error, words):
            self.salvage(**options)

    def test_places_that_will_not_do(self):
        self.refused(UsageError, "nothing to save")
        self.fill()
        os.mkdir(self.new)
        save(self.new, "x", b"")
        self.refused(UsageError, "not empty")
        self.new = os.path.join(self.directory, "new")
        self.refused(UsageError, "which is not to be changed")
        self.directory = self.first
        with self.assertRaisesRegex(UsageError, "is a file"):
            salvage.salvage(Files(), self.first, self.new, 99, 1234, 42)

    def test_a_newer_format_is_not_salvaged(self):
        self.fill()
        for path in (self.checkpoint, self.second):
            data = read(path)
            self.write(path, data[:8] + b"\2" + data[9:])
            self.refused(FormatVersionError, "format 2")
            self.assertFalse(os.path.exists(self.new))
            self.write(path, data)
        self.write(self.second, read(self.second)[:8] + b"\2" + read(self.second)[9:])
        made.save_checkpoint(self.directory, 5, [[made.record(b"a", b"1", 1)[:-1]]])  # found out before the log is read
        self.refused(FormatVersionError, "format 2")

    def test_too_little_memory_and_a_disk_that_refuses_leave_nothing_behind(self):
        self.fill()
        self.refused(GridFullError, "--memory", limit_bytes=1000)
        self.assertFalse(os.path.exists(self.new))

        class Failing(Files):
            def sync(self, fd):
                raise OSError(errno.ENOSPC, "No space left on device")

        self.refused(DiskError, "free some space", files=Failing())
        self.assertFalse(os.path.exists(self.new))


if __name__ == "__main__":
    unittest.main()

"""What check, dump and restore make of durable files: whole, torn, damaged, made by a stranger, or not ours."""

import errno
import os
import tempfile
import tracemalloc
import unittest

from nosqgrid.errors import CorruptFileError, DiskError, FormatVersionError, NosqgridError, UsageError
from nosqgrid.formats import checkpoint as layout
from nosqgrid.formats import log
from nosqgrid.limits import MIB
from nosqgrid.storage import inspection, recovery
from nosqgrid.storage.checkpoint import Reader, checkpoint_name
from nosqgrid.storage.files import Files
from nosqgrid.storage.inspection import DAMAGED, NEWER, TORN, UNFINISHED, WHOLE
from nosqgrid.storage.log_reader import READ_BYTES, SegmentFile
from tests.support import durable_files as made
from tests.support.durable_files import ReadingFiles, contents, flipped, read, save
from tests.support.tiers import slow

BATCHES = ([(b"a", b"1")], [(b"b", b"2"), (b"c", b"3")], [(b"a", None)], [(b"d", b"4" * 50)])
FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
EDITS = 5000 if FULL else 200
STEP = 1 if FULL else 2  # of the bytes that are changed


class DirectoryTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="nq")
        self.addCleanup(holder.cleanup)
        self.base = holder.name
        self.directory = os.path.join(self.base, "d")
        os.mkdir(self.directory, 0o700)
        self.files = ReadingFiles()

    def fill(self, synced=True):
        """A checkpoint at 5, made while 4 and 5 were written, then the log up to 10 in two segments."""
        self.checkpoint = made.save_checkpoint(
            self.directory, 5, [[made.record(b"a", b"1", 1), made.record(b"b", b"2", 2)], [made.record(b"c", b"3", 3)]],
            [made.entry(4, [(b"a", None)]), made.entry(5, [(b"d", b"4")])], start_lsn=3)
        self.first = made.save_segment(self.directory, 4, 4, [[(b"a", None)], [(b"d", b"4")], [(b"e", b"5")]],
                                       synced=synced)
        self.second = made.save_segment(
            self.directory, 5, 7, [[(b"f", b"6"), (b"g", b"7")], [(b"b", None)], [(b"h", b"8")]],
            durable_lsn=6 if synced else 0, synced=synced)

    def check(self, path=None, **options):
        return inspection.check(self.files, path or self.directory, **options)

    def states(self, rows):
        return {os.path.basename(row.path): row.state for row in rows}

    def write(self, path, data):
        save(os.path.dirname(path), os.path.basename(path), data)

    def started(self):
        """(state, report) of what a start would do."""
        state = recovery.PlainState()
        return state, recovery.load(Files(), self.directory, state, 0)


class CheckTest(DirectoryTest):
    def test_a_whole_directory_file_by_file_and_what_a_start_would_do(self):
        self.fill()
        before = contents(self.directory)
        rows, verdict = self.check()
        self.assertEqual([row[1:7] for row in rows], [
            ("checkpoint", WHOLE, 5, 5, 3, os.path.getsize(self.checkpoint)),
            ("log", WHOLE, 4, 6, 3, os.path.getsize(self.first)),
            ("log", WHOLE, 7, 10, 3, os.path.getsize(self.second))])
        state, _ = self.started()
        self.assertEqual((verdict.state, verdict.lsn, verdict.keys), (WHOLE, 10, len(state.entries)))
        self.assertEqual(verdict.keys, 6)
        self.assertIn("position 10 with 6 keys: %s, then 4 log entries" % self.checkpoint, verdict.text)
        self.assertEqual(contents(self.directory), before)

    def test_nothing_yet_is_whole(self):
        for name in (None, "lock", "starter"):
            if name:
                save(self.directory, name, b"")
            rows, verdict = self.check()
            self.assertEqual((rows, verdict.state, verdict.lsn, verdict.keys), ([], WHOLE, 0, 0))

    @slow
    def test_every_cut_of_the_last_segment_is_a_torn_end_or_nothing(self):
        self.fill()
        data, torn = read(self.second), 0
        for size in range(len(data)):
            self.write(self.second, data[:size])
            rows, verdict = self.check()
            _, report = self.started()
            self.assertEqual(verdict.lsn, report.lsn, size)
            self.assertEqual(verdict.state, WHOLE if report.torn is None else TORN, size)
            self.assertEqual(rows[-1].state, verdict.state, size)
            if report.torn is not None:
                torn += 1
                self.assertIn(str(report.torn), verdict.text)
        self.assertGreater(torn, len(data) - 5)

    @slow
    def test_every_byte_of_the_log_changed_gives_the_verdict_of_a_start(self):
        self.fill()
        seen = set()
        for path in (self.first, self.second):
            data = read(path)
            for offset in range(0, len(data), STEP):
                self.write(path, flipped(data, offset))
                rows, verdict = self.check()
                try:
                    _, report = self.started()
                except FormatVersionError:
                    expected = NEWER
                except CorruptFileError:
                    expected = DAMAGED
                else:
                    expected = WHOLE if report.torn is None else TORN
                    self.assertEqual(verdict.lsn, report.lsn)
                bad = {row.state for row in rows} - {WHOLE}
                self.assertEqual(len(bad), 1, (path, offset, rows))
                if verdict.lsn is None:
                    self.assertEqual(verdict.state, expected, (path, offset))
                    self.assertIn(expected, bad, (path, offset))
                elif expected == WHOLE:
                    self.assertEqual(verdict.state, DAMAGED, "changed bytes are told, needed or not")
                else:
                    self.assertEqual(verdict.state, DAMAGED if DAMAGED in bad else expected, (path, offset))
                seen.add(expected)
            self.write(path, data)
        self.assertEqual(seen, {NEWER, DAMAGED, TORN})

    @slow
    def test_every_byte_of_the_checkpoint_changed_is_found(self):
        self.fill()
        data = read(self.checkpoint)
        for offset in range(len(data)):
            self.write(self.checkpoint, flipped(data, offset))
            for path in (self.directory, self.checkpoint):
                rows, verdict = self.check(path)
                self.assertEqual(rows[0].state, NEWER if 8 <= offset < 12 else DAMAGED, offset)
                self.assertEqual((verdict.state, verdict.lsn), (rows[0].state, None), offset)
                self.assertIn(self.checkpoint, rows[0].problem)

    def test_every_cut_of_the_checkpoint_is_damage(self):
        self.fill()
        data = read(self.checkpoint)
        for size in range(len(data)):
            self.write(self.checkpoint, data[:size])
            self.assertEqual(self.check(self.checkpoint)[1].state, DAMAGED, size)

    def test_what_a_start_does_not_need_is_looked_at_as_well(self):
        self.fill()
        older = made.save_checkpoint(self.directory, 2, [[made.record(b"a", b"1", 1)]])
        old = made.save_segment(self.directory, 3, 1, [[(b"a", b"1")], [(b"b", b"2")], [(b"c", b"3")]], synced=True)
        self.assertEqual(self.check()[1].state, WHOLE)
        for path in (older, old):
            data = read(path)
            self.write(path, flipped(data, len(data) - 60))
            rows, verdict = self.check()
            self.assertEqual((verdict.state, verdict.lsn), (DAMAGED, 10))
            self.assertEqual([row.path for row in rows if row.state != WHOLE], [path])
            self.assertIn("not needed for it: %s" % path, verdict.text)
            self.write(path, data)

    def test_what_was_left_unfinished_is_named_and_harms_nobody(self):
        self.fill()
        for name in ("checkpoint-123.tmp", "wal.tmp"):
            save(self.directory, name, b"x")
        rows, verdict = self.check()
        self.assertEqual(verdict.state, WHOLE)
        self.assertEqual([os.path.basename(row.path) for row in rows if row.state == UNFINISHED],
                         ["checkpoint-123.tmp", "wal.tmp"])

    def test_a_checkpoint_under_a_wrong_name_is_damaged(self):
        self.fill()
        os.rename(self.checkpoint, os.path.join(self.directory, checkpoint_name(6)))
        rows, _ = self.check()
        self.assertEqual(rows[0].state, DAMAGED)
        self.assertIn("position 5", rows[0].problem)

    def test_a_superseded_rest_is_no_damage(self):
        self.fill()
        self.write(self.first, read(self.first) + made.entry(7, [(b"refused", b"x")], 0, made.seed(4)) + b"rest")
        rows, verdict = self.check()
        self.assertEqual((verdict.state, verdict.lsn, {row.state for row in rows}), (WHOLE, 10, {WHOLE}))
        self.assertEqual((rows[1].last_lsn, rows[1].count), (6, 3))

    def test_files_that_come_and_go_while_a_coordinator_serves(self):
        self.fill()
        doomed = made.save_segment(self.directory, 3, 3, [[(b"c", b"3")]])

        class Going(ReadingFiles):
            def open(self, path):
                if os.path.exists(doomed) and path == doomed:
                    os.unlink(doomed)
                return super().open(path)

        self.files = Going()
        self.assertEqual(self.check(served=True)[1].state, WHOLE)
        made.save_segment(self.directory, 3, 3, [[(b"c", b"3")]])
        with self.assertRaises(DiskError):
            self.check()
        made.save_segment(self.directory, 3, 3, [[(b"c", b"3")]])
        self.assertEqual(len(inspection.read_state(self.files, self.directory, served=True)[0].entries), 6)


    def test_a_state_older_than_the_moment_is_not_taken_for_what_is_served(self):
        self.fill(synced=False)
        first = read(self.first)
        os.unlink(self.first)

        class Coming(ReadingFiles):
            looks = 0

            def names(self, directory):
                self.looks += 1
                if self.looks == 5:
                    save(directory, "wal-00000004", first)
                return super().names(directory)

        self.assertEqual(self.check()[1].state, TORN)
        self.assertEqual(inspection.read_state(ReadingFiles(), self.directory, True)[0].lsn, 5)
        self.assertEqual(inspection.read_state(Coming(), self.directory, True)[0].lsn, 10)


class OneFileTest(DirectoryTest):
    def test_a_copy_is_recognised_by_how_it_begins(self):
        self.fill()
        for path, kind in ((self.checkpoint, "checkpoint"), (self.second, "log")):
            copy = save(self.base, "copy", read(path))
            rows, verdict = self.check(copy)
            self.assertEqual((rows[0].kind, rows[0].state, verdict.state), (kind, WHOLE, WHOLE))

    def test_a_checkpoint_alone_says_what_restoring_it_brings(self):
        self.fill()
        verdict = self.check(self.checkpoint)[1]
        self.assertEqual((verdict.lsn, verdict.keys), (5, 3), "a was deleted while it was made")

    def test_what_is_not_ours_is_refused_and_called_so(self):
        other = save(self.base, "other", b"root:x:0:0")
        for path, words in ((other, "neither a checkpoint nor a log"), (self.base, "holds nothing of nosqgrid"),
                            (os.path.join(self.base, "gone"), "there is no file or directory")):
            for call in (self.check, lambda path: inspection.read_state(self.files, path)):
                with self.subTest(words), self.assertRaisesRegex(UsageError, words):
                    call(path)
        os.mkfifo(os.path.join(self.base, "fifo"))
        with self.assertRaisesRegex(DiskError, "not a regular file"):
            self.check(os.path.join(self.base, "fifo"))

    def test_a_newer_format_says_what_to_use(self):
        self.fill()
        for path in (self.checkpoint, self.second):
            data = read(path)
            self.write(path, data[:8] + b"\2" + data[9:])
            for where in (path, self.directory):
                verdict = self.check(where)[1]
                self.assertEqual(verdict.state, NEWER)
                self.assertIn("has format 2, and this nosqgrid reads format 1; use", verdict.text)
            with self.assertRaises(FormatVersionError):
                inspection.read_state(self.files, self.directory)
            self.write(path, data)


class LaterEntriesTest(DirectoryTest):
    @slow
    def test_entries_at_the_borders_of_what_is_read_at_a_time(self):
        header = made.segment(1, 1, [])
        for shift in range(-50, 8):
            first = made.entry(1, [(b"a", b"x" * (READ_BYTES + shift - 49))], 0, made.seed(1))
            second = made.entry(2, [(b"b", b"y")], 0, made.seed(1))
            path = save(self.directory, "s", header + b"junk" + first[4:] + second + bytes(9))
            found = SegmentFile(self.files, path, 1).later_entries(64)
            self.assertEqual([(offset, entry.first_lsn) for offset, entry in found], [(64 + len(first), 2)], shift)

    def test_what_lies_inside_of_a_whole_entry_is_none_however_long_that_is(self):
        header = made.segment(1, 1, [])
        inner = made.entry(7, [(b"i", b"x")], 0, made.seed(1))
        long = made.entry(1, [(b"a", b"x" * READ_BYTES + inner)], 0, made.seed(1))
        path = save(self.directory, "s", header + long + made.entry(2, [(b"b", b"y")], 0, made.seed(1)))
        found = SegmentFile(self.files, path, 1).later_entries(64)
        self.assertEqual([(offset, entry.first_lsn) for offset, entry in found], [(64, 1), (64 + len(long), 2)])


class VerifyTest(DirectoryTest):
    """Checkpoints whose checksums hold and which make no sense."""

    def refused(self, words, data):
        path = save(self.base, "c", data)
        with self.assertRaisesRegex(CorruptFileError, words) as caught:
            inspection.verify(Reader(self.files, path))
        self.assertEqual(caught.exception.path, path)

    def test_what_contradicts_itself(self):
        record = made.record(b"a", b"1", 5)
        self.refused("it says that it is of position 6, and it reaches 5", made.checkpoint(6, [[record]], start_lsn=5))
        self.refused("a key stands at position 5, and it is of 4", made.checkpoint(4, [[record]]))
        self.refused("an entry with position 7 where 6 comes next",
                     made.checkpoint(7, [[record]], [made.entry(7, [(b"b", b"2")])], start_lsn=5))
        self.refused("3 bytes behind the records", made.checkpoint(5, [[record + b"\0\0\0"]]))
        self.refused("2 effects where there should be 1", made.checkpoint(
            6, [], [log.pack_entry(6, 0, 0, 1, made.effect(b"a", b"1") * 2)], start_lsn=5))
        self.refused("an END block of 3 bytes",
                     layout.pack_header(layout.Header(1, 0, 0)) + made.block(layout.END, 1, b"abc"))
        self.refused("keys in", made.checkpoint(5, [[record]]) + b"x")

    def test_what_makes_sense_is_counted(self):
        self.fill()
        facts = inspection.verify(Reader(self.files, self.checkpoint))
        self.assertEqual((facts.lsn, facts.records, facts.entries, facts.bytes),
                         (5, 3, 2, os.path.getsize(self.checkpoint)))


class HostileTest(DirectoryTest):
    def everything(self):
        """What each operation comes to; anything but our own errors comes out."""
        found = []
        for call in (lambda: self.check()[1].state, lambda: self.check(self.checkpoint)[1].state,
                     lambda: inspection.read_state(self.files, self.directory),
                     lambda: inspection.read_state(self.files, self.checkpoint)):
            try:
                found.append(call())
            except NosqgridError as error:
                found.append(type(error))
        return found

    @slow
    def test_edits_with_the_checksums_made_right_again(self):
        self.fill()
        good = {path: read(path) for path in (self.checkpoint, self.first, self.second)}
        for path, data in good.items():
            self.assertEqual(made.resealed(data), data)
        seen = set()
        for seed in range(EDITS):
            path = sorted(good)[seed % 3]
            self.write(path, made.edited(good[path], seed))
            seen.update(found for found in self.everything() if isinstance(found, str))
            self.write(path, good[path])
        self.assertTrue({WHOLE, TORN, DAMAGED} <= seen, seen)

    def test_lengths_that_lie_take_no_memory(self):
        self.fill()
        header = layout.pack_header(layout.Header(made.LINEAGE, 0, 0))
        lying = layout._BLOCK_START.pack(layout.BLOCK_MAGIC, 0) + layout._BLOCK_REST.pack(layout.RECORDS, 1 << 31, 0,
                                                                                       (1 << 31) - 2)
        self.write(self.checkpoint, made.resealed(header + lying + bytes(100)))
        tail = log._ENTRY_START.pack(log.ENTRY_MAGIC, 0) + log._ENTRY_REST.pack(11, 0, 0, 1, (1 << 30) - 2)
        self.write(self.second, read(self.second) + tail + bytes(100))
        self.assertLess(self.peak(), 16 * MIB)

    @slow
    def test_a_file_with_a_hole_as_large_as_the_memory_is_read_in_pieces(self):
        self.fill()
        for path in (self.second, self.checkpoint):
            os.truncate(path, 96 * MIB)
        self.assertLess(self.peak(), 32 * MIB)

    def peak(self):
        tracemalloc.start()
        try:
            self.everything()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


class ReadStateTest(DirectoryTest):
    def test_it_is_what_a_start_brings_back(self):
        self.fill()
        state, torn = inspection.read_state(self.files, self.directory)
        self.assertEqual((state.entries, torn), (self.started()[0].entries, None))
        self.write(self.second, read(self.second)[:-1])
        state, torn = inspection.read_state(self.files, self.directory)
        self.assertEqual((state.lsn, torn.path), (9, self.second))

    def test_a_checkpoint_alone_and_a_piece_of_a_log(self):
        self.fill()
        state, _ = inspection.read_state(self.files, self.checkpoint)
        self.assertEqual({key: entry[1] for key, entry in state.entries.items()}, {b"b": b"2", b"c": b"3", b"d": b"4"})
        with self.assertRaisesRegex(UsageError, "a piece of a log"):
            inspection.read_state(self.files, self.first)


class RestoreTest(DirectoryTest):
    def setUp(self):
        super().setUp()
        self.fill()
        self.new = os.path.join(self.base, "new")

    def restore(self, path=None, files=None):
        return inspection.restore(files or Files(), path or self.checkpoint, self.new, 99, 1234, 42)

    def test_the_new_directory_has_the_same_keys_and_is_a_grid_of_its_own(self):
        path, facts = self.restore()
        self.assertEqual(os.listdir(self.new), [checkpoint_name(5)])
        self.assertEqual(os.stat(self.new).st_mode & 0o777, 0o700)
        reader = Reader(self.files, path)
        self.assertEqual((reader.header, facts.lsn), (layout.Header(99, 3, 1234), 5))
        self.assertEqual(read(path)[64:], read(self.checkpoint)[64:])
        state = recovery.PlainState()
        report = recovery.load(Files(), self.new, state, 0)
        self.assertEqual((report.lineage, state.entries),
                         (99, inspection.read_state(self.files, self.checkpoint)[0].entries))

    def test_an_empty_directory_will_do_and_another_will_not(self):
        os.mkdir(self.new)
        self.restore()
        with self.assertRaisesRegex(UsageError, "not empty"):
            self.restore()
        self.assertEqual(os.listdir(self.new), [checkpoint_name(5)])

    def test_what_is_not_whole_is_refused_before_anything_is_made(self):
        data = read(self.checkpoint)
        for offset in (0, 9, 20, 70, 150, len(data) - 1):
            self.write(self.checkpoint, flipped(data, offset))
            with self.assertRaises((CorruptFileError, FormatVersionError)):
                self.restore()
            self.assertFalse(os.path.exists(self.new))
        for path in (self.first, self.directory, save(self.base, "x", b"y")):
            with self.assertRaises(UsageError):
                self.restore(path)

    def test_a_disk_that_refuses_leaves_nothing_behind(self):
        class Failing(Files):
            def __init__(self, kind):
                original = getattr(self, kind)

                def fail(*arguments):
                    if kind == "sync_directory" and not os.path.exists(arguments[0] + "/" + checkpoint_name(5)):
                        return original(*arguments)
                    raise OSError(errno.EIO, "injected")
                setattr(self, kind, fail)

        for kind in ("make_directory", "create", "write", "sync", "rename", "sync_directory"):
            with self.subTest(kind), self.assertRaises(DiskError):
                self.restore(files=Failing(kind))
            self.assertFalse(os.path.exists(self.new), kind)


if __name__ == "__main__":
    unittest.main()

"""Recovery: files that are whole each and contradict each other, and what is told about damage."""

import shutil
import tempfile
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.errors import CorruptFileError
from nosqgrid.formats import effects, values
from nosqgrid.formats.records import pack_body
from nosqgrid.formats.words import pack
from nosqgrid.storage import recovery
from nosqgrid.storage.files import Files
from tests.support.durable_files import LINEAGE, contents, entry, record, save_checkpoint, save_segment
from tests.support.keyspaces import make_keyspace


class ContradictionTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def test_a_deadline_for_a_structure_is_none_for_a_text_that_has_its_key_by_now(self):
        keyspace, _ = make_keyspace(1 << 20)
        plain, loader = recovery.PlainState(), Loader(keyspace)
        for lsn, effect in enumerate((pack_body(b"k", pack([b"rpush", b"a"]), values.LIST), pack_body(b"k", b"text", 1),
                                      effects.pack_expire(b"k", values.LIST, 10 ** 9)), 1):
            for state in plain, loader:
                state.apply(lsn, 1, effect, 0, False)
        self.assertEqual(plain.entries, {b"k": (1, b"text", 0, 2)})
        self.assertEqual(tuple(keyspace.lookup(b"k")), plain.entries[b"k"])

    def load(self):
        """The report of both ways of loading, which have to agree; what is on the disk stays as it is."""
        before = contents(self.directory)
        plain = recovery.PlainState()
        keyspace, _ = make_keyspace(1 << 20)
        try:
            report = recovery.load(Files(), self.directory, plain, 0)
        except CorruptFileError as error:
            with self.assertRaises(CorruptFileError) as again:
                recovery.load(Files(), self.directory, Loader(keyspace), 0)
            self.assertEqual((again.exception.path, again.exception.offset), (error.path, error.offset))
            raise
        finally:
            self.assertEqual(contents(self.directory), before)
        recovery.load(Files(), self.directory, Loader(keyspace), 0)
        found = {key: keyspace.lookup(key) for key in plain.entries}
        self.assertEqual({key: (known.type, known.value, known.deadline_ms, known.version)
                          for key, known in found.items()}, plain.entries)
        self.assertEqual((keyspace.version, keyspace.key_count), (report.lsn, len(plain.entries)))
        return report, plain

    def refused(self, path):
        with self.assertRaises(CorruptFileError) as caught:
            self.load()
        self.assertEqual(caught.exception.path, path)
        for words in (path, "Nothing was changed", "nosqgrid restore FILE", "nosqgrid salvage " + self.directory):
            self.assertIn(words, str(caught.exception))

    def test_a_checkpoint_and_its_log(self):
        save_checkpoint(self.directory, 6, [[record(b"a", b"1", 1), record(b"b", b"new", 5)]],
                        [entry(5, [(b"b", b"new"), (b"a", None)])], start_lsn=4)
        save_segment(self.directory, 2, 7, [[(b"c", b"3")]])
        report, plain = self.load()
        self.assertEqual((report.lsn, report.entries, report.keys), (7, 1, 2))
        self.assertEqual(plain.entries, {b"b": (1, b"new", 0, 5), b"c": (1, b"3", 0, 7)})

    def test_a_record_at_a_position_behind_the_end(self):
        self.refused(save_checkpoint(self.directory, 6, [[record(b"a", b"1", 7)]]))

    def test_a_record_with_a_deadline_at_a_position_behind_the_end(self):
        self.refused(save_checkpoint(self.directory, 6, [[record(b"a", b"1", 7, 5000)]]))

    def test_entries_that_leave_a_gap(self):
        self.refused(save_checkpoint(self.directory, 6, [[record(b"a", b"1", 1)]], [entry(6, [(b"b", b"2")])],
                                     start_lsn=4))

    def test_entries_that_reach_behind_the_end(self):
        self.refused(save_checkpoint(self.directory, 5, [[record(b"a", b"1", 1)]],
                                     [entry(5, [(b"b", b"2"), (b"b", b"3")])], start_lsn=4))

    def test_a_log_of_another_grid(self):
        save_checkpoint(self.directory, 6, [[record(b"a", b"1", 1)]])
        path = save_segment(self.directory, 2, 7, [[(b"c", b"3")]], lineage=LINEAGE + 1)
        with self.assertRaises(CorruptFileError) as caught:
            self.load()
        self.assertIn("%s belongs to another grid" % path, str(caught.exception))

    def test_the_header_of_the_only_segment_is_gone(self):
        path = save_segment(self.directory, 1, 1, [[(b"c", b"3")]])
        with open(path, "r+b") as file:
            file.write(bytes(64))
        self.refused(path)

    def test_an_empty_directory_and_one_whose_first_segment_had_no_time_to_begin(self):
        self.assertEqual(self.load()[0].lsn, 0)
        path = save_segment(self.directory, 1, 1, [])
        with open(path, "r+b") as file:
            file.truncate(40)
        report, _ = self.load()
        self.assertEqual((report.lsn, report.torn.offset, report.torn.path), (0, 0, path))


if __name__ == "__main__":
    unittest.main()

"""The parts of the demo that need no other process: words, batches, passes, and what is printed."""

import argparse
import io
import os
import tempfile
import unittest

from nosqgrid.cli import demo, demo_pool


class Words(unittest.TestCase):
    def test_identifiers_of_two_letters_or_more_are_words(self):
        counts = demo_pool.count_words("def f(ab, a_1, __init__):\n    return ab + 7e5 # lambda-lambda\n")
        self.assertEqual(counts, {"def": 1, "ab": 2, "a_1": 1, "__init__": 1, "return": 1, "e5": 1, "lambda": 2})

    def test_packed_counts_come_back(self):
        counts = {"yield": 3, "_x": 1, "Lambda": 100000}
        self.assertEqual(dict(demo_pool.unpack_counts(demo_pool.pack_counts(counts))), counts)

    def test_no_words_pack_to_an_empty_text_which_is_not_none(self):
        self.assertEqual(demo_pool.pack_counts({}), "")
        self.assertEqual(list(demo_pool.unpack_counts("")), [])

    def test_merging_counts_files_and_times(self):
        index = demo_pool.merge([[("ab", 2), ("cd", 1)], [("ab", 5)], []])
        self.assertEqual(index, {"ab": (2, 7), "cd": (1, 1)})


class Sources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(text)
        return path

    def test_only_python_files_outside_of_installed_packages_are_found_in_order(self):
        for path in ("b.py", "a/z.py", "a/readme.txt", "site-packages/x.py", "a/__pycache__/y.py"):
            self.write(path, b"x")
        os.mkdir(os.path.join(self.folder, "folder.py"))
        found = [os.path.relpath(source.path, self.folder) for source in demo_pool.find_sources(self.folder)]
        self.assertEqual(found, ["b.py", os.path.join("a", "z.py")])

    def test_a_file_that_changes_gets_another_key(self):
        self.write("a.py", b"one")
        before = demo_pool.find_sources(self.folder)[0].key
        self.assertEqual(demo_pool.find_sources(self.folder)[0].key, before)
        self.write("a.py", b"three")
        self.assertNotEqual(demo_pool.find_sources(self.folder)[0].key, before)

    def test_bytes_that_are_no_utf8_are_read_and_a_missing_file_has_no_words(self):
        path = self.write("latin.py", b"caf\xe9 word")
        self.assertIn("word", demo_pool.count_words(demo_pool.read_source(path)))
        self.assertEqual(demo_pool.read_source(path + ".gone"), "")

    def test_a_batch_stores_what_it_does_not_find_and_finds_it_the_second_time(self):
        self.write("a.py", b"lambda lambda")
        self.write("b.py", b"")
        store, sources = {}, demo_pool.find_sources(self.folder)
        first = demo_pool.index_batch(sources, store.get, store.__setitem__)
        again = demo_pool.index_batch(sources, store.get, store.__setitem__)
        self.assertEqual((first.found, len(first.get_s), len(first.set_s)), (0, 2, 2))
        self.assertEqual((again.found, len(again.get_s), len(again.set_s)), (2, 2, 0))
        self.assertEqual(store[sources[0].key], "lambda 2")

    def test_a_wrong_index_is_noticed(self):
        self.write("a.py", b"lambda lambda")
        sources, show = demo_pool.find_sources(self.folder), demo.Progress(io.StringIO())
        self.assertGreaterEqual(demo.check_against_one_process({"lambda": (1, 2)}, sources, show), 0)
        with self.assertRaisesRegex(demo_pool.DemoError, "differs .* in 1 words, for example 'lambda'"):
            demo.check_against_one_process({"lambda": (1, 1)}, sources, show)

    def test_counts_that_the_grid_lost_are_noticed(self):
        self.write("a.py", b"lambda")
        with self.assertRaisesRegex(demo_pool.DemoError, "lost the words of .*a.py"):
            list(demo.stored_counts({}, demo_pool.find_sources(self.folder)))

    def test_too_few_files_or_workers_are_an_error_with_exit_code_1(self):
        for workers, complaint in ((1, "at least 2"), (2, "only 0 ")):
            out = io.StringIO()
            code = demo.run(argparse.Namespace(workers=workers, directory=self.folder, start_method=None), out)
            self.assertEqual(code, 1)
            self.assertIn(complaint, out.getvalue())


class Shares(unittest.TestCase):
    def test_batches_hold_every_item_once_in_order(self):
        self.assertEqual(demo_pool.split([1, 2, 3, 4, 5], 2), [[1, 2], [3, 4], [5]])
        self.assertEqual(demo_pool.split([], 2), [])

    def test_the_part_is_everything_within_the_budget_and_evenly_picked_beyond(self):
        self.assertEqual(demo_pool.part_for(list(range(10)), 3.9, 4.0), list(range(10)))
        self.assertEqual(demo_pool.part_for(list(range(10)), 9.0, 4.0), [0, 3, 6, 9])

    def test_a_pass_sums_what_was_found_and_takes_medians(self):
        reports = [demo_pool.Report(1, [1e-6, 9e-6], [5e-6]), demo_pool.Report(1, [2e-6], [])]
        measured = demo_pool.summarise(3, 0.5, reports)
        self.assertEqual((measured.files, measured.seconds, measured.found), (3, 0.5, 2))
        self.assertAlmostEqual(measured.get_us, 2.0)
        self.assertAlmostEqual(measured.set_us, 5.0)
        self.assertIsNone(demo_pool.summarise(1, 0.5, [demo_pool.Report(1, [1e-6], [])]).set_us)


class Printed(unittest.TestCase):
    GRID = (demo_pool.Pass(100, 1.0, 0, 1.0, 8.0), demo_pool.Pass(100, 0.25, 100, 2.0, None))

    def test_the_table_compares_a_get_and_a_set(self):
        manager = demo_pool.Pass(100, 1.5, 0, 50.0, 80.0), demo_pool.Pass(100, 0.5, 100, 60.0, None)
        lines = demo.table(100, 1.75, self.GRID, manager).splitlines()
        self.assertEqual(lines[2].split(), ["one", "process,", "no", "cache", "100", "1.75", "-", "-"])
        self.assertEqual([line for line in lines if line.startswith("Manager takes")][0].split()[2:], ["30x", "10x"])
        self.assertNotIn("*", "".join(lines))

    def test_a_part_is_scaled_up_and_said_to_be_a_part(self):
        manager = demo_pool.Pass(25, 1.5, 0, 50.0, 80.0), demo_pool.Pass(25, 0.5, 25, 60.0, None)
        text = demo.table(100, 1.75, self.GRID, manager)
        self.assertIn("Manager, cold *", text)
        self.assertIn("6.00", text)
        self.assertIn("* measured on 25 of the 100 files, seconds scaled up", text)

    def test_the_killed_worker_is_told_of(self):
        text = demo.describe_kill(demo_pool.Killed(pid=7, batch=3, files=24, redone=True, found=11, others=2))
        self.assertIn("worker 7 was killed", text)
        self.assertIn("11 were in the grid already", text)
        text = demo.describe_kill(demo_pool.Killed(pid=7, batch=3, files=24, redone=False, found=0, others=2))
        self.assertIn("just reported", text)

    def test_words_are_told_with_files_and_times(self):
        shown = [(word, demo.index_entries({word: (2, 7)})["word:" + word]) for word in ("yield", "lambda")]
        text = demo.describe_lookups(shown, first_us=2.0, again_us=0.25, manager_us=30.0)
        self.assertIn("yield   in 2 files, 7 times", text)
        self.assertIn("the Manager takes 30 us, 15x", text)

    def test_progress_is_shown_on_terminals_only(self):
        out = io.StringIO()
        progress = demo.Progress(out)
        progress("half")
        progress.say("done\n")
        self.assertEqual(out.getvalue(), "done\n")
        out.isatty = lambda: True
        progress = demo.Progress(out)
        progress("half")
        self.assertTrue(out.getvalue().endswith("half"))

    def test_lookups_that_find_nothing_are_an_error(self):
        self.assertGreater(demo.time_lookups({"word:yield": (1, 1)}.get, ["yield"]), 0)
        with self.assertRaisesRegex(demo_pool.DemoError, "'word:nonlocal' is not in the index"):
            demo.time_lookups({}.get, ["nonlocal"])


if __name__ == "__main__":
    unittest.main()

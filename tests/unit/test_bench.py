"""The benchmarks' own arithmetic: keys, percentiles, turns, reports that can be read again.  Nothing here is timed."""

import collections
import io
import os
import tempfile
import unittest

from bench import __main__ as command, contest, machine, readers, report, rivals, timing, workloads

from tests.support.tiers import slow


class Clock:
    """A clock that only goes on when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class TimingTest(unittest.TestCase):
    def test_percentiles_are_samples_by_nearest_rank(self):
        self.assertEqual(timing.percentiles([5]), (5, 5, 5))
        self.assertEqual(timing.percentiles(list(range(200, 0, -1))), (100, 198, 200))

    def test_the_median_of_an_even_number_is_between_the_middle_two(self):
        self.assertEqual(timing.summary([4.0, 1.0, 2.0, 9.0]), (3.0, 1.0, 9.0))

    def test_contenders_take_turns_and_the_first_turn_only_warms_up(self):
        clock, order = Clock(), []

        def contender(name, seconds_each):
            def prepare(count):
                clock.now += 1000  # preparing is not counted

                def body():
                    order.append(name)
                    clock.now += seconds_each * count
                return body
            return name, prepare

        contenders = [contender("slow", 2.0), contender("fast", 0.5)]
        measured = timing.time_alternating(contenders, 4.0, repeats=2, clock=clock)
        self.assertEqual(measured, {"slow": (2.0, 2.0, 2.0), "fast": (0.5, 0.5, 0.5)})
        self.assertEqual(order[-6:], ["slow", "fast"] * 3)

    def test_calibration_finds_how_many_fit(self):
        clock = Clock()

        def prepare(count):
            def body():
                clock.now += count * 0.001
            return body

        self.assertAlmostEqual(timing.calibrate(prepare, 2.0, clock), 2000, delta=1)

    def test_latency_ends_with_its_time(self):
        clock, done = Clock(), []

        def operation(number):
            done.append(number)
            clock.now += 1.0

        self.assertEqual(timing.sample_latency(operation, [(n,) for n in range(100)], 9.5, clock), (1.0, 1.0, 1.0))
        self.assertEqual(len(done), 10)


class WorkloadTest(unittest.TestCase):
    def test_keys_have_16_bytes_and_values_their_size(self):
        self.assertEqual(len(workloads.key_of(99999)), workloads.KEY_SIZE_BYTES)
        for size in (0, 1, 100, 4096, 65536):
            self.assertEqual(len(workloads.make_value(size)), size)

    def test_a_sequence_starts_again_at_its_end(self):
        sequence = workloads.in_order(3)
        self.assertEqual([key[-1] for key in sequence.take(2)], ["0", "1"])
        self.assertEqual([key[-1] for key in sequence.take(7)], ["2", "0", "1", "2", "0", "1", "2"])
        self.assertEqual(sequence.take(1)[0][-1], "0")

    def test_the_same_seed_gives_the_same_keys(self):
        for choose in (workloads.uniform, workloads.zipf, workloads.hot, workloads.missing):
            self.assertEqual(choose(1000, 50).take(50), choose(1000, 50).take(50))

    def test_zipf_prefers_few_keys_and_uniform_does_not(self):
        def share_of_most_frequent(sequence):
            return sum(n for _, n in collections.Counter(sequence.take(20000)).most_common(10)) / 20000.0

        self.assertGreater(share_of_most_frequent(workloads.zipf(1000, 20000)), 0.3)
        self.assertLess(share_of_most_frequent(workloads.uniform(1000, 20000)), 0.03)

    def test_missing_keys_are_not_stored_and_hot_ones_are_one_in_a_hundred(self):
        dataset = workloads.Dataset("x", 10, 1000)
        stored = dict(workloads.pairs_of(dataset))
        self.assertEqual(len(stored), 1000)
        self.assertFalse(stored.keys() & set(workloads.missing(1000).take(500)))
        self.assertLessEqual(len(set(workloads.hot(1000).take(5000)) & stored.keys()), 10)

    def test_the_mix_has_its_shares(self):
        kinds = collections.Counter(kind for kind, _ in workloads.mix(workloads.uniform(100, 100), 20000))
        self.assertAlmostEqual(kinds["g"] / 20000.0, 0.90, delta=0.01)
        self.assertAlmostEqual(kinds["s"] / 20000.0, 0.09, delta=0.01)
        self.assertAlmostEqual(kinds["d"] / 20000.0, 0.01, delta=0.005)

    def test_batches_hold_every_key(self):
        batches = workloads.batches_of(["a", "b", "c"], b"v", 2)
        self.assertEqual(batches, [{"a": b"v", "b": b"v"}, {"c": b"v"}])


class Broken(rivals.Dict):
    name = "broken"

    def start(self, folder):
        raise rivals.Absent("it is not here")


class RivalTest(unittest.TestCase):
    def test_an_absent_rival_is_skipped_with_its_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            with rivals.Opened([rivals.Dict, Broken], folder) as opened:
                self.assertEqual([rival.name for rival in opened.rivals], ["dict (not shared)"])
                self.assertEqual(opened.skipped, [("broken", "it is not here")])

    @slow
    def test_the_dict_does_what_the_cases_ask_for(self):
        rival, dataset = rivals.Dict(), workloads.Dataset("x", 8, 50)
        rival.connect(None)
        rival.fill(workloads.pairs_of(dataset))
        self.assertEqual(rival.get(workloads.key_of(49)), workloads.make_value(8))
        for _, prepare in contest.cases_of(workloads.SMALL, b"new"):
            prepare(rival, 30)()
        rival.loop_set([workloads.key_of(1)], b"newest")
        self.assertEqual(rival.get(workloads.key_of(1)), b"newest")
        rival.delete(workloads.key_of(1))
        self.assertIsNone(rival.get(workloads.key_of(1)))

    def test_a_missing_module_is_absent(self):
        with self.assertRaisesRegex(rivals.Absent, "no_such_module_here is not installed"):
            rivals.import_rival("no_such_module_here")


def make_result():
    """A result as if everything had been measured."""
    result = contest.Result(contest.QUICK)
    result.machine = [("date", "today"), ("load before", "0.00")]
    us = {"nosqgrid": 0.5, "nosqgrid, no near cache": 1.0, "py-lmdb": 0.8, "redis-py": 90.0, "Manager().dict()": 40.0}
    for case in ("get 100 B uniform", "get 100 B hot", "set 100 B uniform", "set_many(100) 100 B",
                 "set_many(1000) 100 B"):
        for rival, value in us.items():
            result.timings[case, rival] = timing.Timing(value * 1e-6, value * 0.95e-6, value * 1.05e-6)
    result.latencies["get 100 B uniform", "nosqgrid"] = timing.Latency(1e-6, 2e-6, 3e-3)

    def same(value):
        return timing.Timing(value, value, value)

    result.readers["nosqgrid, no near cache"] = [
        readers.Round(1, 0, same(1e6), same(1e-6), same(0)), readers.Round(1, 1, same(9e5), same(1.05e-6), same(1e5)),
        readers.Round(2, 0, same(1.5e6), same(1e-6), same(0)), readers.Round(2, 1, same(1e6), same(1.3e-6), same(1e5))]
    return result


class ReportTest(unittest.TestCase):
    def test_goals_say_met_or_by_how_much_they_were_missed(self):
        goals = {goal.what: goal for goal in report.goals(make_result())}
        lmdb = goals["get, no near cache, against py-lmdb"]
        self.assertEqual((lmdb.met, lmdb.measured), (True, "1.25x"))
        near = goals["get, near-cache hit, faster than py-lmdb"]
        self.assertFalse(near.met)
        self.assertAlmostEqual(near.missed_by, 1 - 1.6 / 3)
        self.assertAlmostEqual(goals["2 readers, times one reader"].missed_by, 1 - 1.5 / 1.8)
        self.assertTrue(goals["busy writer's cost to 1 reader, cpu a get"].met)
        self.assertFalse(goals["busy writer's cost to 2 readers, cpu a get"].met)

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        result = make_result()
        del result.timings["get 100 B uniform", "py-lmdb"]
        goal = report.goals(result)[0]
        self.assertEqual((goal.measured, goal.met, goal.missed_by), (None, False, None))
        self.assertIn("not measured", report.write(result))

    def test_a_written_report_reads_back(self):
        result = make_result()
        found = report.read_measurements(report.write(result))
        self.assertEqual(list(found), list(result.timings))
        self.assertEqual(found["get 100 B uniform", "nosqgrid, no near cache"], (1.0, 0.95, 1.05))

    def test_a_text_without_measurements_is_refused(self):
        for text in ("", "Measurements\n---\ncase  rival\nhalf a row  of it\n"):
            with self.assertRaises(ValueError):
                report.read_measurements(text)

    def test_noisy_rows_are_named(self):
        result = make_result()
        result.timings["get 100 B hot", "nosqgrid"] = timing.Timing(1e-6, 0.8e-6, 1.4e-6)
        self.assertIn("noisy: get 100 B hot, nosqgrid: by 60 %.", report.suspicions(result))

    def test_microseconds_keep_three_digits(self):
        shown = [report.microseconds(value * 1e-6) for value in (0.0678, 6.784, 67.84, 678.4, 67840)]
        self.assertEqual(shown, ["0.068", "6.78", "67.8", "678", "67800"])

    def test_reader_counts_end_at_the_cores(self):
        self.assertEqual([readers.reader_counts(cores) for cores in (1, 2, 3, 8)], [[1, 2], [1, 2], [1, 2, 3],
                                                                                     [1, 2, 4, 8]])


class CompareTest(unittest.TestCase):
    def run_compare(self, old, new):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("old", "new")]
            for path, text in zip(paths, (old, new)):
                with open(path, "w") as file:
                    file.write(text)
            out, err = io.StringIO(), io.StringIO()
            return command.main(["compare"] + paths, out, err), out.getvalue() + err.getvalue()

    def changed(self, rival, factor):
        result = make_result()
        old = result.timings["set 100 B uniform", rival]
        result.timings["set 100 B uniform", rival] = timing.Timing(*[value * factor for value in old])
        return report.write(result)

    def test_a_row_more_than_ten_percent_slower_fails(self):
        code, text = self.run_compare(report.write(make_result()), self.changed("nosqgrid", 1.2))
        self.assertEqual(code, 1)
        self.assertIn("SLOWER", text)

    def test_up_to_ten_percent_and_anything_faster_passes(self):
        for factor in (1.09, 0.5):
            self.assertEqual(self.run_compare(report.write(make_result()), self.changed("nosqgrid", factor))[0], 0)

    def test_a_slower_rival_is_no_failure(self):
        self.assertEqual(self.run_compare(report.write(make_result()), self.changed("redis-py", 3.0))[0], 0)

    def test_a_row_that_vanished_fails(self):
        result = make_result()
        del result.timings["set 100 B uniform", "nosqgrid"]
        self.assertEqual(self.run_compare(report.write(make_result()), report.write(result))[0], 1)

    def test_files_that_are_no_results_are_wrong_usage(self):
        code, text = self.run_compare("nothing", report.write(make_result()))
        self.assertEqual(code, 2)
        self.assertIn("is no result file", text)


class MachineTest(unittest.TestCase):
    def test_the_machine_is_named(self):
        found = dict(machine.describe())
        for name in ("cpu", "cores", "kernel", "python", "commit"):
            self.assertTrue(found[name])


if __name__ == "__main__":
    unittest.main()

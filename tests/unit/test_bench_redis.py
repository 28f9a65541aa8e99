"""The Redis benchmark's own arithmetic: what is printed, rounds in turns, ratios, a report that reads back."""

import io
import unittest
from unittest import mock

from bench import __main__ as command, redis_server, report, rivals
from bench.redis_server import OURS, REDIS, Setting
from bench.timing import Timing

HEADER = '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms"\n'
PLAN = redis_server.Plan("tiny", 10, 20, 2)


def make_result():
    result = redis_server.Result(PLAN)
    result.machine = [("date", "today"), ("load before", "0.10")]
    for setting, seconds in zip(redis_server.SETTINGS, (10e-6, 2e-6, 12e-6, 3e-6)):
        for test in ("GET", "MSET (10 keys)"):
            case = redis_server.named(test, setting)
            result.timings[case, REDIS] = Timing(seconds, seconds, seconds * 1.1)
            result.timings[case, OURS] = Timing(seconds * 1.6, seconds * 1.5, seconds * 1.7)
    return result


class ParseTest(unittest.TestCase):
    def test_figures_are_found_among_whatever_else_is_printed(self):
        text = "WARNING: something\n" + HEADER + '"PING_INLINE","24630.54","1.9"\n"MSET (10 keys)","4064.21","12.2"\n'
        self.assertEqual(list(redis_server.parse(text).items()),
                         [("PING_INLINE", 24630.54), ("MSET (10 keys)", 4064.21)])
        self.assertEqual(redis_server.parse('"SET","100.5"\n'), {"SET": 100.5})  # as older versions print it

    def test_output_without_figures_is_an_error(self):
        for text in ("", HEADER, "Could not connect\n", '"GET","0.00"\n', '"GET","-1"\n', '"GET","nan"\n',
                     '"GET","inf"\n', '"GET","fast"\n'):
            with self.assertRaises(ValueError, msg=text):
                redis_server.parse(text)


class RunTest(unittest.TestCase):
    def measure(self, rates, servers, setting=Setting(1, 0)):
        """(result, [what was done]) of a measurement in which redis-benchmark prints these rates of GET in turn."""
        result, done, printed = redis_server.Result(PLAN), [], iter(rates)

        def run(words):
            done.append(words[2])
            return HEADER + '"GET","%s"\n' % next(printed)

        with mock.patch.object(redis_server, "_run", run), \
                mock.patch.object(redis_server, "flush", lambda address: done.append("flush " + address)):
            redis_server._measure(result, "b", servers, setting, lambda text: None)
        return result, done

    def test_servers_take_turns_empty_and_the_first_round_warms_up(self):
        result, done = self.measure((1, 1, 100, 50, 400, 80), ((REDIS, "/r"), (OURS, "/n")), Setting(16, 0))
        self.assertEqual(done, ["flush /r", "/r", "flush /n", "/n"] * 3)
        self.assertEqual(list(result.timings), [("GET -P 16", REDIS), ("GET -P 16", OURS)])
        self.assertEqual(result.timings["GET -P 16", REDIS], ((0.01 + 0.0025) / 2, 0.0025, 0.01))
        self.assertAlmostEqual(result.rate_ratio("GET -P 16"), 0.00625 / 0.01625)

    def test_ours_alone_where_there_is_no_redis_server(self):
        result, _ = self.measure((1, 100, 200), ((OURS, "/n"),))
        self.assertIsNone(result.rate_ratio("GET"))
        self.assertRegex(redis_server.write(result), r"GET +- +133 +-\n")

    def test_without_the_load_generator_nothing_is_measured_and_it_is_said(self):
        err = io.StringIO()
        with mock.patch.object(redis_server.shutil, "which", lambda name: None):
            self.assertEqual(command.main(["redis", "--quick"], io.StringIO(), err), command.EXIT_UNAVAILABLE)
        self.assertIn("redis-benchmark (redis-tools) is not installed", err.getvalue())

    def test_a_load_generator_that_fails_is_an_error(self):
        for words in (["false"], ["/no/such/program"]):
            with self.assertRaises(rivals.Absent):
                redis_server._run(words)
        self.assertEqual(redis_server._run(["echo", "x"]), "x\n")

    def test_the_number_of_commands_goes_by_the_pipeline(self):
        for setting, count, random_keys in ((Setting(1, 0), "10", False), (Setting(16, 7), "20", True)):
            words = redis_server.command_line("b", "/s", setting, PLAN)
            self.assertEqual((words[words.index("-n") + 1], "-r" in words), (count, random_keys))


class ReportTest(unittest.TestCase):
    def test_the_report_has_ratios_and_reads_back(self):
        text = redis_server.write(make_result())
        self.assertRegex(text, r"GET +0\.62 +62,500 +100,000\n")
        self.assertRegex(text, r"GET -P 16 -r 100000 +0\.62 +208,333 +333,333\n")
        found = report.read_measurements(text)
        self.assertEqual(list(found), list(make_result().timings))
        self.assertEqual(found["GET -P 16", OURS], (3.2, 3.0, 3.4))
        self.assertNotIn("noisy", text)

    def test_the_table_for_the_docs_has_a_row_for_each_test(self):
        lines = redis_server.markdown(make_result()).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {6})
        self.assertEqual([line.split(" | ")[0] for line in lines[2:]], ["| GET", "| MSET (10 keys)"])
        self.assertEqual(lines[2].split(" | ")[1], "62,500, 0.62 of redis-server")

    def test_what_is_absent_and_what_is_noisy_is_named(self):
        result = make_result()
        del result.timings["GET -P 16", OURS]
        result.timings["GET", OURS] = Timing(1e-5, 1e-5, 3e-5)
        result.skipped["x"] = "not here"
        result.machine = [("load before", "1.50")]
        text = redis_server.write(result)
        for pattern in ("skipped +x: not here", "the load was 1.50",
                        "noisy: 1 of 15 rows; the worst, GET of nosqgrid, by 200 %", r"GET -P 16 +- +- +500,000"):
            self.assertRegex(text, pattern)


if __name__ == "__main__":
    unittest.main()

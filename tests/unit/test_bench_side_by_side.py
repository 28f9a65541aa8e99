"""The benches of locks and queues: their arithmetic, their reports, and who is absent."""

import doctest
import io
import queue
import threading
import unittest
from unittest import mock

from bench import __main__ as command, locks, queues, report, rivals, side_by_side
from bench.locks import Turn
from bench.timing import Timing

TINY = side_by_side.Plan("tiny", 0.001, 1, 0.05, 5)


class Lock(rivals.Rival):
    """A lock of threads, in the place of ours."""

    name = report.OURS

    def connect(self, address):
        self.lock = threading.Lock()


class Jobs(rivals.Rival):
    """A queue of threads."""

    name = report.OURS

    def connect(self, address):
        self.queue = queue.Queue()
        self.put = lambda: self.queue.put(1)
        self.take = self.queue.get


class Missing(rivals.Rival):
    name = "missing"

    def start(self, folder):
        raise rivals.Absent("it is not here")


class MissingOurs(Missing):
    name = report.OURS


def result_of(**timings):
    result = side_by_side.Result("locks", TINY)
    result.machine = [("date", "today")]
    for name, seconds in timings.items():
        result.timings["pair", name] = Timing(seconds, seconds, seconds)
    return result


class HandOverTest(unittest.TestCase):
    def test_the_examples_hold(self):
        self.assertEqual(doctest.testmod(locks)[0], 0)

    def test_a_queue_in_order(self):
        turns = [Turn(0, n, n + 0.9, n % 4) for n in range(4)] + [Turn(n, n + 4, n + 4.9, n % 4) for n in range(4)]
        found = locks.hand_over(turns)
        self.assertEqual((found.turns, found.in_order), (8, 1.0))
        self.assertAlmostEqual(found.gap.max, 0.1)
        self.assertEqual(found.wait.max, 4)

    def test_one_who_overtakes_is_seen(self):
        turns = [Turn(0, 0, 1, 1), Turn(0.9, 1, 2, 2), Turn(0.5, 2, 3, 3)]  # 3 had asked before 2
        self.assertEqual(locks.hand_over(turns).in_order, 0.5)

    def test_gaps_where_nobody_waited_do_not_count(self):
        found = locks.hand_over([Turn(0, 0, 1, 1), Turn(9, 10, 11, 2), Turn(10.5, 12, 13, 1)])
        self.assertEqual(found.gap, (1, 1, 1))

    def test_too_little_is_absent(self):
        with self.assertRaises(rivals.Absent):
            locks.hand_over([Turn(0, 0, 1, 1)])


class RunTest(unittest.TestCase):
    def test_locks(self):
        with mock.patch.object(locks, "contend", lambda rival, seconds: [Turn(0, 0, 1, 1), Turn(0, 2, 3, 2)]):
            result = locks.run(TINY, classes=(Lock, Missing))
        self.assertEqual(list(result.timings), [(locks.PAIR, report.OURS)])
        self.assertEqual(result.skipped, {"missing": "it is not here"})
        text = side_by_side.write(result)
        self.assertRegex(text, r"skipped +missing: it is not here")
        self.assertRegex(text, r"nosqgrid +1000000 ")

    def test_locks_of_processes_are_contended_for(self):
        rival = locks.ProcessLock()
        rival.address = rival.start(None)
        turns = locks.contend(rival, 0.05)
        self.assertTrue(all(before.released <= turn.had for before, turn in zip(turns, turns[1:])), turns)
        self.assertLessEqual({turn.who for turn in turns}, set(range(locks.PROCESSES)))
        self.assertTrue(turns)

    def test_queues(self):
        result = queues.run(TINY, classes=(Jobs, Missing))
        self.assertEqual(list(result.timings), [(queues.CASE, report.OURS)])
        self.assertEqual(result.skipped, {"missing": "it is not here"})

    def test_without_nosqgrid_nothing_is_measured(self):
        for bench in (locks, queues):
            with self.assertRaisesRegex(rivals.Absent, "it is not here"):
                bench.run(TINY, classes=(MissingOurs,))

    def test_programs_and_modules_that_are_not_here_are_absent(self):
        with mock.patch.object(queues.subprocess, "Popen", side_effect=OSError("no such program")):
            with self.assertRaisesRegex(rivals.Absent, "no such program"):
                queues.Beanstalkd().start("/nowhere")
        with mock.patch.object(rivals, "import_rival", side_effect=rivals.Absent("no such module")):
            for cls in (locks.FileLock, locks.RedisLock, queues.Rq, queues.HueySqlite, queues.PersistQueue):
                with self.assertRaisesRegex(rivals.Absent, "no such module"):
                    cls().start("/nowhere")

    def test_the_command_prints_the_report(self):
        for bench, name in ((locks, "locks"), (queues, "queues")):
            out = io.StringIO()
            with mock.patch.object(bench, "run", lambda plan, progress: result_of(nosqgrid=1e-5)):
                self.assertEqual(command.main([name, "--quick", "--out", "-"], out, io.StringIO()), 0)
            self.assertIn("Measurements", out.getvalue())


class ReportTest(unittest.TestCase):
    def test_the_report_has_ratios_and_reads_back(self):
        text = side_by_side.write(result_of(nosqgrid=2e-5, filelock=5e-5))
        self.assertRegex(text, r"pair +filelock +2.5x slower +20,000\n")
        self.assertEqual(report.read_measurements(text)["pair", "filelock"], (50.0, 50.0, 50.0))

    def test_without_ours_there_is_no_ratio(self):
        self.assertRegex(side_by_side.write(result_of(filelock=5e-5)), r"pair +filelock +- +20,000\n")


if __name__ == "__main__":
    unittest.main()

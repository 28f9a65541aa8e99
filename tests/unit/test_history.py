"""Recorded histories: what was written comes back, and a killed process leaves unknown outcomes, never wrong ones."""

import os
import signal
import tempfile
import unittest

from tests.support.history import SUFFIX, Recorder, clock_ns, merge, read, with_versions, without_versions
from tests.support.linearizability import UNKNOWN, find_version_violation, find_violation


class HistoryTest(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="nq")
        self.addCleanup(holder.cleanup)
        self.directory = holder.name

    def path(self, process):
        return os.path.join(self.directory, process + SUFFIX)

    def test_operations_come_back_with_their_types_and_times(self):
        before = clock_ns()
        with Recorder(self.directory, "p1") as recorder:
            self.assertEqual(recorder.run("set", (b"k\xff\n", "v"), lambda: 7), 7)
            recorder.run("get", (b"k\xff\n",), lambda: (b"\x00\"", 3, None, [True, "\u20ac"]))
        first, second = merge(self.directory)
        self.assertEqual((first.process, first.op, first.args, first.result), ("p1", "set", (b"k\xff\n", "v"), 7))
        self.assertEqual(second.result, (b"\x00\"", 3, None, (True, "\u20ac")))
        self.assertTrue(before <= first.call_time <= first.return_time <= second.call_time <= clock_ns())

    def test_files_of_several_processes_are_merged_by_time(self):
        with Recorder(self.directory, "a") as one, Recorder(self.directory, "b") as other:
            for number in range(6):
                (one, other)[number % 2].run("incr", ("k", 1), lambda: number + 1)
        operations = merge(self.directory)
        self.assertEqual([operation.process for operation in operations], ["a", "b"] * 3)
        self.assertIsNone(find_violation(operations))

    def test_call_without_result_has_an_unknown_outcome(self):
        with Recorder(self.directory, "a") as recorder:
            recorder.call("set", ("k", 1))
            recorder.run("get", ("k",), lambda: 1)
        self.assertEqual([operation.return_time == UNKNOWN for operation in merge(self.directory)], [True, False])

    def test_exception_is_an_unknown_outcome_and_a_refusal_is_left_out(self):
        def fail():
            raise TimeoutError("no answer")
        with Recorder(self.directory, "a") as recorder:
            self.assertRaises(TimeoutError, recorder.run, "set", ("k", 1), fail)
            self.assertRaises(TimeoutError, recorder.run, "set", ("k", 2), fail, (TimeoutError,))
        operation, = merge(self.directory)
        self.assertEqual((operation.args, operation.return_time), (("k", 1), UNKNOWN))

    def test_every_cut_of_a_file_reads_as_a_prefix(self):
        with Recorder(self.directory, "a") as recorder:
            for number in range(3):
                recorder.run("set", ("k", number), lambda: None)
        whole = merge(self.directory)
        with open(self.path("a"), "rb") as file:
            data = file.read()
        for length in range(len(data)):
            with open(self.path("a"), "wb") as file:
                file.write(data[:length])
            found = read(self.path("a"))
            self.assertEqual([one.args for one in found], [one.args for one in whole[:len(found)]])
            self.assertTrue(all(operation.return_time != UNKNOWN for operation in found[:-1]))

    def test_damage_that_is_not_a_torn_end_is_an_error(self):
        with Recorder(self.directory, "a") as recorder:
            recorder.run("set", ("k", 1), lambda: None)
        for damaged in (b"nonsense\n", b'["r",99,1,2]\n', b'["z",1]\n', b"{}\n", b"[]\n"):
            with open(self.path("b"), "wb") as file:
                file.write(damaged)
            self.assertRaisesRegex(ValueError, "line 1 is damaged", merge, self.directory)

    def test_history_with_versions_goes_to_both_checkers(self):
        with Recorder(self.directory, "a") as recorder:
            recorder.run("get", ("k",), lambda: (None, None))
            recorder.run("set", ("k", "v"), lambda: 5)
            recorder.run("get", ("k",), lambda: ("v", 5))
            recorder.run("delete", ("k",), lambda: True)
            recorder.run("get", ("k",), lambda: (None, 0))
            recorder.call("set", ("k", "w"))
            recorder.call("get", ("k",))
        operations = merge(self.directory)
        self.assertIsNone(find_violation(without_versions(operations)))
        self.assertIsNone(find_version_violation(with_versions(operations)))
        self.assertEqual([one.version for one in with_versions(operations)], [0, 5, 5, None, 0, None])
        stale = operations + [operations[2]._replace(call_time=clock_ns(), return_time=clock_ns())]
        self.assertIsNotNone(find_violation(without_versions(stale)))
        self.assertIsNotNone(find_version_violation(with_versions(stale)))

    def test_value_that_cannot_be_recorded_is_refused(self):
        with Recorder(self.directory, "a") as recorder:
            self.assertRaises(TypeError, recorder.call, "set", ("k", object()))
        self.assertEqual(merge(self.directory), [])

    def test_second_recorder_of_one_name_is_refused(self):
        with Recorder(self.directory, "a"):
            self.assertRaises(FileExistsError, Recorder, self.directory, "a")

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_killed_process_leaves_what_it_had_recorded(self):
        pid = os.fork()
        if pid == 0:
            recorder = Recorder(self.directory, "victim")
            for number in range(10):
                recorder.run("set", ("k", number), lambda: None)
            recorder.call("set", ("k", 10))
            os.kill(os.getpid(), signal.SIGKILL)
        self.assertEqual(os.waitpid(pid, 0)[1], signal.SIGKILL)
        operations = merge(self.directory)
        self.assertEqual([operation.args[1] for operation in operations], list(range(11)))
        self.assertEqual([operation.return_time == UNKNOWN for operation in operations], [False] * 10 + [True])


if __name__ == "__main__":
    unittest.main()

"""The helpers of process tests: they start, stop and kill, and notice everything that a test leaves behind."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import unittest

from tests.support import processes
from tests.support.processes import ProcessTestCase, leftovers, spawn_python, temporary_directory, wait_until
from tests.support.tiers import slow


def print_sum(numbers, label):
    """Called in a child by name."""
    print(label, sum(numbers))


def run_case(body, **attributes):
    """The TestResult of a ProcessTestCase whose only test is body(self)."""
    def test_body(case):
        body(case)
    case = type("Case", (ProcessTestCase,), dict(attributes, test_body=test_body))("test_body")
    result = unittest.TestResult()
    case.run(result)
    return result


class SpawnTest(ProcessTestCase):

    def test_code_runs_with_arguments_and_its_output_comes_back(self):
        self.assertEqual(self.spawn("import sys; print(sys.argv[1:])", "a", 2).finish(), "['a', '2']\n")

    @slow
    def test_function_runs_with_arguments(self):
        self.assertEqual(self.spawn(print_sum, [1, 2, 3], "sum").finish(), "sum 6\n")

    def test_arguments_of_the_interpreter_can_be_given(self):
        self.assertIn("Python", self.spawn(["-c", "import sys; print('Python', sys.argv[1])"], "x").finish())

    def test_lines_go_both_ways(self):
        child = self.spawn("while True:\n print(input()[::-1], flush=True)")
        child.write_line("abc")
        self.assertEqual(child.read_line(), "cba")
        child.write_line("de")
        self.assertEqual(child.read_line(), "ed")
        child.kill()
        self.assertEqual(child.wait(), -signal.SIGKILL)

    def test_warning_in_a_child_is_an_error(self):
        child = self.spawn("import warnings; warnings.warn('careful')")
        self.assertRaisesRegex(AssertionError, "UserWarning: careful", child.finish)

    @slow
    def test_child_that_says_nothing_in_time_is_a_failure(self):
        child = self.spawn("import sys; sys.stderr.write('sulking'); sys.stderr.flush(); sys.stdin.read()")
        wait_until(child.errors)
        self.assertRaisesRegex(AssertionError, "sulking", child.read_line, 0.05)
        self.assertRaisesRegex(AssertionError, "did not end within", child.wait, 0.05)
        self.assertTrue(child.close())

    def test_much_output_does_not_block_a_child(self):
        self.assertEqual(len(self.spawn("print('x' * 1000000)").finish()), 1000001)

    def test_wait_does_not_depend_on_a_grandchild_that_holds_the_output(self):
        child = self.spawn("import os, subprocess, sys\n"
                           "sleeper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
                           "print(sleeper.pid, flush=True)\n"
                           "os._exit(3)")
        grandchild = int(child.read_line())
        self.assertEqual(child.wait(10), 3)
        os.kill(grandchild, signal.SIGKILL)
        wait_until(lambda: processes.process_state(grandchild) in (None, "Z"))

    def test_stopped_child_does_nothing_until_it_is_resumed(self):
        child = self.spawn("import itertools\nfor n in itertools.count():\n print(n, flush=True); input()")
        self.assertEqual(child.read_line(), "0")
        child.stop()
        child.write_line("")
        self.assertRaises(AssertionError, child.read_line, 0.05)
        child.resume()
        self.assertEqual(child.read_line(), "1")
        child.kill()
        child.wait()

    def test_environment_is_set_and_removed(self):
        os.environ["NOSQGRID_TEST"] = "1"
        self.addCleanup(os.environ.pop, "NOSQGRID_TEST")
        code = "import os; print(os.environ.get('NOSQGRID_TEST'), os.environ['X'], os.environ['TMPDIR'])"
        child = self.spawn(code, environment={"NOSQGRID_TEST": None, "X": "y"})
        self.assertEqual(child.finish(), "None y %s\n" % self.directory)


class LeftoversTest(unittest.TestCase):

    def test_path_has_room_for_a_socket(self):
        directory = temporary_directory()
        self.addCleanup(os.rmdir, directory)
        self.assertLessEqual(len(directory), 60)
        self.assertEqual(os.stat(directory).st_mode & 0o777, 0o700)

    def test_open_descriptors_are_seen(self):
        before = leftovers()
        left, right = socket.socketpair()
        opened = leftovers().since(before).descriptors
        left.close()
        right.close()
        self.assertEqual(len(opened), 2)
        self.assertTrue(all("socket" in target or target == "?" for _, target in opened))
        self.assertFalse(leftovers().since(before))

    def test_children_are_seen_until_they_are_waited_for(self):
        before = leftovers()
        child = spawn_python("import sys; sys.stdin.read()")
        self.addCleanup(child.close)
        self.assertEqual([name.split()[0] for name in leftovers().since(before).children], [str(child.pid)])
        child.kill()
        wait_until(lambda: processes.process_state(child.pid) == "Z")
        self.assertEqual(len(leftovers().since(before).children), 1)
        child.wait()
        self.assertEqual(leftovers().since(before).children, set())

    def test_children_are_seen_without_proc_too(self):
        if subprocess.call(["which", "ps"], stdout=subprocess.DEVNULL):
            self.skipTest("this machine has no ps")
        child = spawn_python("import sys; sys.stdin.read()")
        self.addCleanup(child.close)
        self.assertIn(str(child.pid), {name.split()[0] for name in processes._children_by_ps()})


class TearDownTest(unittest.TestCase):
    """A ProcessTestCase must fail when its test is untidy: the canary of the instrument."""

    def setUp(self):
        self._settle_s, processes.SETTLE_S = processes.SETTLE_S, 0.05
        self.addCleanup(setattr, processes, "SETTLE_S", self._settle_s)

    def assert_fails(self, pattern, result):
        self.assertEqual(len(result.failures), 1, result)
        self.assertRegex(result.failures[0][1], pattern)

    def test_tidy_test_passes(self):
        def body(case):
            case.spawn("print(1)").finish()
            with open(case.path("kept", keep=True), "w"), open(case.path("x.log"), "w"):
                case.assertTrue(os.path.exists(case.path("kept")))
        directories = []
        result = run_case(lambda case: (directories.append(case.directory), body(case)), allowed_files=("*.log",))
        self.assertTrue(result.wasSuccessful(), result.failures + result.errors)
        self.assertFalse(os.path.exists(directories[0]))

    def test_child_that_was_not_ended_is_a_failure(self):
        spawned = []
        self.assert_fails("the test did not end", run_case(
            lambda case: spawned.append(case.spawn("import sys; sys.stdin.read()"))))
        self.assertIsNone(processes.process_state(spawned[0].pid))

    def test_child_that_was_started_otherwise_is_a_failure(self):
        started = []

        def body(case):
            started.append(subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                                            stdin=subprocess.PIPE))
        self.assert_fails("child processes left behind", run_case(body))
        started[0].communicate()

    def test_open_descriptor_is_a_failure(self):
        opened = []
        self.assert_fails("descriptors left open", run_case(lambda case: opened.extend(os.pipe())))
        for descriptor in opened:
            os.close(descriptor)

    def test_file_left_behind_is_a_failure(self):
        def body(case):
            os.mkdir(case.path("folder"))
            case.spawn("import tempfile; tempfile.mkstemp(prefix='mine')").finish()
        result = run_case(body)
        self.assert_fails("files left behind", result)
        self.assertRegex(result.failures[0][1], "mine")
        self.assertRegex(result.failures[0][1], "folder")

    @slow
    def test_helpers_of_multiprocessing_are_not_counted(self):
        def body(case):
            for method in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(method)
                lock = context.Lock()
                process = context.Process(target=print_nothing, args=(lock,))
                process.start()
                process.join()
                case.assertEqual(process.exitcode, 0)
                if hasattr(process, "close"):
                    process.close()
        result = run_case(body)
        self.assertTrue(result.wasSuccessful(), result.failures + result.errors)


def print_nothing(lock):
    """The body of a child of multiprocessing."""
    with lock:
        return


if __name__ == "__main__":
    unittest.main()

"""The shell where its input or output is not what one hopes for: no traceback, and nothing lost or left."""

import os
import subprocess
import sys

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import REPOSITORY, TIMEOUT_S, ProcessTestCase


class OddInputTests(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="4m")

    def tearDown(self):
        self.launched.stop()
        del self.launched
        super().tearDown()

    def start(self, command, *words, **variables):
        variables = dict(os.environ, PYTHONWARNINGS="error", NOSQGRID_SOCKET=self.launched.address, **variables)
        return subprocess.Popen([sys.executable, "-m", "nosqgrid", command] + list(words), env=variables,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY)

    def run_shell(self, command, *words, stdin=b"", **variables):
        """(exit status, stdout, stderr), as bytes."""
        with self.start(command, *words, **variables) as process:
            out, err = process.communicate(stdin, timeout=TIMEOUT_S)
        return process.returncode, out, err

    def test_standard_input_that_is_not_of_the_type_asked_for_is_wrong_usage(self):
        for kind, data in (("str", b"\xff"), ("int", b"\xff"), ("json", b"\xff"), ("json", b"[" * 100000),
                           ("float", b"x")):
            with self.subTest(kind=kind, data=data[:5]):
                status, out, err = self.run_shell("set", "k", "-", "-t", kind, stdin=data)
                self.assertEqual((status, out, err.count(b"\n")), (2, b"", 1))
                self.assertTrue(err.startswith(b"nosqgrid: the value is no " + kind.encode()), err)

    def test_a_terminal_without_a_character_gets_an_escape(self):
        with nosqgrid.attach(self.launched.address) as grid:
            grid["k\u00e9"] = "h\u00e9"
        for words, shown in ((("get", "k\u00e9"), b"h\\xe9\n"), (("keys",), b"k\\xe9\n"),
                             (("keys", "-o", "json"), b'["k\\u00e9"]\n'),
                             (("get", "k\u00e9", "-o", "raw"), b"h\xc3\xa9")):
            self.assertEqual(self.run_shell(*words, PYTHONIOENCODING="ascii"), (0, shown, b""))

    def test_a_reader_that_leaves_early_is_no_reason_for_a_traceback(self):
        with nosqgrid.attach(self.launched.address) as grid:
            grid.set_many({"key-%04d-%s" % (number, "x" * 60): 1 for number in range(3000)})
        for command in ("keys", "scan"):
            with self.start(command) as process:
                self.assertTrue(process.stdout.readline().startswith(b"key-"))
                process.stdout.close()
                self.assertEqual(process.stderr.read(), b"")
                self.assertEqual(process.wait(TIMEOUT_S), 0)

    def test_bench_measures_and_leaves_nothing_in_the_grid(self):
        status, out, err = self.run_shell("bench", "--keys", "200", "--socket", self.launched.address)
        self.assertEqual((status, err), (0, b""))
        self.assertEqual(out.splitlines()[0], b"200 keys, 100 B values, median of 5")
        self.assertGreaterEqual(out.count(b" a second\n"), 4)
        with nosqgrid.attach(self.launched.address) as grid:
            self.assertEqual(len(grid), 0)
        self.assertEqual(self.run_shell("bench", "--keys", "0")[0], 2)


if __name__ == "__main__":
    import unittest
    unittest.main()

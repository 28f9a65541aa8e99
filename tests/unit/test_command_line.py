"""The command line is put together by need: all commands are there, and one imports no more than it takes."""

import importlib
import io
import subprocess
import sys
import unittest
from contextlib import redirect_stderr

from nosqgrid.cli import main

SLOW = ("nosqgrid.coordinator", "nosqgrid.engine.commands", "nosqgrid.client.embedded", "hashlib", "subprocess",
        "tempfile", "random", "multiprocessing", "asyncio", "ssl", "concurrent.futures", "ctypes")


class CommandLineTest(unittest.TestCase):
    def test_the_table_names_the_commands_of_each_module(self):
        for name, commands in main.MODULES:
            module = importlib.import_module("nosqgrid.cli." + name)
            self.assertEqual(tuple(row[0] for row in module.COMMANDS), commands)

    def test_one_command_has_the_parser_that_it_has_among_all(self):
        for _, commands in main.MODULES:
            for command in commands:
                texts = []
                for wanted in (command, None):
                    out = io.StringIO()
                    with self.assertRaises(SystemExit), redirect_stderr(out):
                        main.build_parser(wanted).parse_args([command, "--no-such-option"])
                    texts.append(out.getvalue().partition("\nnosqgrid: error")[0])
                self.assertEqual(texts[0], texts[1])

    def test_what_is_no_command_is_told_all_of_them(self):
        out = io.StringIO()
        with self.assertRaises(SystemExit), redirect_stderr(out):
            main.main(["gte", "x"])
        for word in ("'gte'", "get", "serve", "worker"):
            self.assertIn(word, out.getvalue())

    def imported(self, line):
        """Which of the slow modules a Python has that has run a line."""
        code = "import sys\nbefore = set(sys.modules)\n%s\nprint(*(set(%r) & set(sys.modules) - before))" % (line, SLOW)
        return subprocess.check_output([sys.executable, "-c", code], universal_newlines=True).split()

    def test_who_attaches_does_not_wait_for_what_others_need(self):
        self.assertEqual(self.imported("import nosqgrid"), [])

    def test_a_command_imports_its_own_module(self):
        line = "from nosqgrid.cli.main import build_parser; build_parser('get')"
        self.assertEqual(self.imported(line), [])
        self.assertIn("nosqgrid.coordinator", self.imported(line.replace("'get'", "'serve'")))


if __name__ == "__main__":
    unittest.main()

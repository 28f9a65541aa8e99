"""The programs of docs/sharing.md run as they stand there, and print what the page says.

A program is a code block that begins with its name; a block that begins with `$ python3 NAME` is what a shell shows.
"""

import importlib.util
import os
import re
import unittest

from tests.style.test_docs import code_blocks, text_of
from tests.support.processes import REPOSITORY, ProcessTestCase, wait_until
from tests.support.tiers import slow

PAGE = os.path.join(REPOSITORY, "docs", "sharing.md")
COMMAND = re.compile(r"(?m)^\$ python3 (\w+\.py)(.*)\n((?:(?!\$ ).*\n?)*)")


def programs_of(page):
    """{name: program} of a page."""
    blocks = [block.strip("\n") for block in code_blocks(page)]
    return {block[2:block.index("\n")]: block + "\n" for block in blocks if re.match(r"# \w+\.py\n", block)}


def commands_of(page):
    """[(name, arguments, what it prints)] of a page."""
    return [(name, arguments.split(), printed.rstrip("\n")) for block in code_blocks(page)
            for name, arguments, printed in COMMAND.findall(block)]


def missing_module(program):
    """The module that a program imports and that is not here, or None."""
    for name in re.findall(r"(?m)^import (\w+)", program):
        if importlib.util.find_spec(name) is None:
            return name
    return None


class PageTests(unittest.TestCase):
    def test_every_program_of_the_page_is_run_and_every_command_has_its_program(self):
        page = text_of(PAGE)
        self.assertEqual(set(programs_of(page)), {name for name, _, _ in commands_of(page)})
        self.assertEqual(len(programs_of(page)), sum(1 for name in dir(ProgramTests) if name.startswith("test_")))

    def test_programs_and_commands_are_found_in_a_page(self):
        page = "Text.\n\n    # a.py\n    print(1)\n\n\n    print(2)\n\nText.\n\n    $ python3 a.py x\n    1\n    2\n" \
               "    $ python3 a.py\n    3\n"
        self.assertEqual(programs_of(page), {"a.py": "# a.py\nprint(1)\n\n\nprint(2)\n"})
        self.assertEqual(commands_of(page), [("a.py", ["x"], "1\n2"), ("a.py", [], "3")])


class ProgramTests(ProcessTestCase):
    def run_commands(self, name):
        page = text_of(PAGE)
        program = programs_of(page)[name]
        absent = missing_module(program)
        if absent is not None:
            self.skipTest("%s imports %s, which is not installed" % (name, absent))
        path, socket_path = self.path(name, keep=True), self.path("nosq.sock")
        with open(path, "w", encoding="utf-8") as file:
            file.write(program)
        environment = {"NOSQGRID_SOCKET": socket_path, "NOSQGRID_PICKLE_KEY": self.path("pickle.key", keep=True),
                       "OPENBLAS_NUM_THREADS": "1",  # else numpy has threads, and Python 3.12 warns of a fork
                       "PYTHONDONTWRITEBYTECODE": "1"}
        for _, arguments, printed in [command for command in commands_of(page) if command[0] == name]:
            with self.subTest(arguments=arguments):
                child = self.spawn([path] + arguments, environment=environment)
                self.assertEqual(child.finish().rstrip("\n"), printed)
                wait_until(lambda: not os.path.exists(socket_path), what="the coordinator to end")

    @slow
    def test_pool(self):
        self.run_commands("pool.py")

    @slow
    def test_rows(self):
        self.run_commands("rows.py")

    def test_workers(self):
        self.run_commands("workers.py")

    def test_model(self):
        self.run_commands("model.py")

    @slow
    def test_frame(self):
        self.run_commands("frame.py")

    def test_held(self):
        self.run_commands("held.py")


if __name__ == "__main__":
    unittest.main()

"""The documents tell the truth: what they link to and name exists, and their examples run."""

import contextlib
import doctest
import hashlib
import importlib
import io
import os
import re
import subprocess
import sys
import textwrap
import unittest

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import ProcessTestCase

from .test_layers import ROOT, source_files

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMED_FILE = re.compile(r"`((?:nosqgrid|tests|bench|docs)/[\w./-]*|setup\.py)`")
BARE_MODULE = re.compile(r"`(\w+\.py)`")


def markdown_files():
    found = [os.path.join(ROOT, "README.md")]
    for directory, _, names in os.walk(os.path.join(ROOT, "docs")):
        found += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".md")]
    return found


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def without_examples(text):
    """Prose only: indented blocks are code, where a bracket is no link."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def code_blocks(text):
    return [textwrap.dedent(block) for block in re.findall(r"(?m)((?:^(?:    .*)?\n)+)", text) if block.strip()]


class ReferenceTests(unittest.TestCase):
    def test_every_link_leads_to_a_file(self):
        links, missing = 0, []
        for path in markdown_files():
            for target in LINK.findall(without_examples(text_of(path))):
                if re.match(r"[a-z]+:", target):
                    continue
                links += 1
                if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                    missing.append("%s -> %s" % (os.path.relpath(path, ROOT), target))
        self.assertEqual(missing, [])
        self.assertGreater(links, 10)

    def test_every_file_that_is_named_exists(self):
        names, missing = 0, []
        for path in markdown_files():
            for name in NAMED_FILE.findall(text_of(path)):
                names += 1
                if not os.path.exists(os.path.join(ROOT, name)):
                    missing.append("%s names %s" % (os.path.relpath(path, ROOT), name))
        self.assertEqual(missing, [])
        self.assertGreater(names, 20)

    def test_every_module_that_is_named_without_its_folder_exists(self):
        known = {os.path.basename(name) for folder in ("nosqgrid", "tests", "bench")
                 for name, _ in source_files(folder)}
        missing = ["%s names %s" % (os.path.relpath(path, ROOT), name) for path in markdown_files()
                   for name in BARE_MODULE.findall(text_of(path)) if name not in known | {"setup.py"}]
        self.assertEqual(missing, [])

    def test_the_decisions_are_numbered_and_complete(self):
        folder = os.path.join(ROOT, "docs", "decisions")
        pages = sorted(name for name in os.listdir(folder) if name[:4].isdigit())
        self.assertEqual([int(name[:4]) for name in pages], list(range(1, len(pages) + 1)))
        index = text_of(os.path.join(folder, "README.md"))
        for name in pages:
            with self.subTest(name):
                self.assertIn("(%s)" % name, index)
                self.assertEqual(re.findall(r"(?m)^## (.*)$", text_of(os.path.join(folder, name))),
                                 ["Context", "Choice", "For it", "Against it", "Evidence", "How to undo it"])

    def test_the_licence_is_the_one_that_setup_names(self):
        self.assertIn('license="MIT"', text_of(os.path.join(ROOT, "setup.py")))
        self.assertTrue(text_of(os.path.join(ROOT, "docs", "LICENSE.txt")).startswith("MIT License"))


class CommandTests(unittest.TestCase):
    def test_every_command_of_the_readme_exists(self):
        text = text_of(os.path.join(ROOT, "README.md"))
        named = set(re.findall(r"(?m)^    python3 -m nosqgrid (\w+)", text))
        self.assertTrue({"demo", "serve"} <= named, named)
        for name in sorted(named):
            with self.subTest(name):
                done = subprocess.run([sys.executable, "-m", "nosqgrid", name, "--help"], cwd=ROOT,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("    python3 -m unittest ", text)


class ReadmeTests(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="4m")
        self.blocks = code_blocks(text_of(os.path.join(ROOT, "README.md")))

    def tearDown(self):
        self.launched.stop()
        super().tearDown()

    def run_block(self, source, **names):
        """Run one example of the page, the address in it replaced; what it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(source.replace("/run/nosq.sock", self.launched.address), "README.md", "exec"), names)
        self.addCleanup(names["grid"].close)
        return printed.getvalue(), names

    def test_the_first_example_prints_what_it_stored(self):
        block = next(block for block in self.blocks if "import nosqgrid" in block)
        printed, names = self.run_block(block)
        self.assertEqual(printed, "{'name': 'Ada'}\n")
        names["grid"].close()

    def test_the_list_of_what_can_be_done_runs(self):
        block = next(block for block in self.blocks if "grid.set_many" in block)
        with nosqgrid.attach(self.launched.address) as grid:
            version = grid.set("k", 0)
            _, names = self.run_block(block, grid=grid, value="v", version=version, slow=lambda: "slow")
            self.assertEqual(grid.get_many(["a", "b", "n"]), {"a": 1, "b": 2, "n": 1})
            self.assertEqual((grid["hits"], names["sessions"].name), (1, "session"))


    def test_the_list_of_large_values_runs(self):
        block = next(block for block in self.blocks if "grid.share" in block)
        array = memoryview(bytes(800000)).cast("d")
        with nosqgrid.attach(self.launched.address) as grid:
            _, names = self.run_block(block, grid=grid, hashlib=hashlib, array=array)
            self.assertEqual(names["array"], array)
            self.assertTrue(names["array"].readonly and names["array"] is not array)
            self.assertEqual(names["digest"], hashlib.sha256(grid["model"]).digest())
            self.assertEqual(grid["model"][:5], b"data\0")


class DoctestTests(unittest.TestCase):
    def test_every_doctest_of_the_package_holds(self):
        tried = 0
        for name, _ in source_files():
            if name.endswith("__main__.py"):
                continue
            module = importlib.import_module(re.sub(r"(/__init__)?\.py$", "", name).replace("/", "."))
            with self.subTest(name):
                result = doctest.testmod(module)
                self.assertEqual(result.failed, 0)
                tried += result.attempted
        self.assertGreater(tried, 0)


if __name__ == "__main__":
    unittest.main()

"""House rules that a machine can hold: sizes, words, and a few constructs that have hurt."""

import ast
import io
import os
import re
import sys
import tokenize
import unittest

from tests.support.tiers import slow

from .test_layers import ROOT, parse, source_files

WIDTH_MAX = 120
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FUNCTIONS_EXEMPT = frozenset(("make_get", "make_apply_sets", "apply_sets", "get"))  # hot closures, in one piece
FILES_EXEMPT = frozenset(("nosqgrid/engine/fastset.py", "nosqgrid/client/fastget.py"))

# Made of pieces, so that this file does not contain them.
WORDS_BANNED = ("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")
# Places that exist only where somebody happened to work.
PATHS_BANNED = ("/wo" + "rk/", "/ro" + "ot/")
FOLDERS = ("nosqgrid", "tests", "bench")
DOCUMENTS = ("README.md", "setup.py")


def all_files():
    return [pair for folder in FOLDERS for pair in source_files(folder)]


def documents():
    found = [(name, os.path.join(ROOT, name)) for name in DOCUMENTS]
    for directory, _, names in os.walk(os.path.join(ROOT, "docs")):
        for name in sorted(names):
            path = os.path.join(directory, name)
            found.append((os.path.relpath(path, ROOT).replace(os.sep, "/"), path))
    return found


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def length_of(function):
    """Lines from the first to the last of a function (3.6 has no end_lineno)."""
    last = max((getattr(node, "lineno", 0) for node in ast.walk(function)), default=function.lineno)
    return max(last, getattr(function, "end_lineno", 0)) - function.lineno + 1


def _does_nothing(handler):
    return len(handler.body) == 1 and isinstance(handler.body[0], ast.Pass)


@slow
class TidyTests(unittest.TestCase):
    def test_lines_fit(self):
        wrong = ["%s:%d has %d" % (name, number, len(line)) for name, path in all_files() + documents()
                 if name.endswith((".py", ".md"))
                 for number, line in enumerate(text_of(path).splitlines(), 1)
                 if len(line) > WIDTH_MAX and not line.startswith("|")]  # a table row cannot be broken
        self.assertEqual(wrong, [])

    def test_no_tab_and_no_blank_at_the_end_of_a_line(self):
        wrong = ["%s:%d" % (name, number) for name, path in all_files()
                 for number, line in enumerate(text_of(path).splitlines(), 1)
                 if "\t" in line or line != line.rstrip()]
        self.assertEqual(wrong, [])

    def test_modules_are_short(self):
        wrong = ["%s has %d lines" % (name, text_of(path).count("\n")) for name, path in all_files()
                 if text_of(path).count("\n") > MODULE_LINES_MAX]
        self.assertEqual(wrong, [])

    def test_functions_are_short(self):
        wrong = []
        for name, path in all_files():
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.FunctionDef) and length_of(node) > FUNCTION_LINES_MAX:
                    if not (name in FILES_EXEMPT and node.name in FUNCTIONS_EXEMPT):
                        wrong.append("%s:%d %s has %d lines" % (name, node.lineno, node.name, length_of(node)))
        self.assertEqual(wrong, [])

    def test_every_module_says_what_it_is(self):
        wrong = [name for name, path in all_files() if not ast.get_docstring(parse(path))]
        self.assertEqual(wrong, [])

    def test_nothing_is_left_for_later(self):
        pattern = re.compile(r"\b(%s)\b" % "|".join(WORDS_BANNED))
        wrong = ["%s:%d" % (name, number) for name, path in all_files() + documents()
                 for number, line in enumerate(text_of(path).splitlines(), 1) if pattern.search(line)]
        self.assertEqual(wrong, [])

    def test_no_path_of_somebodys_machine_is_mentioned(self):
        wrong = ["%s mentions %s" % (name, banned) for name, path in all_files() + documents()
                 for banned in PATHS_BANNED if banned in text_of(path)]
        self.assertEqual(wrong, [])

    def test_no_error_is_swallowed_without_a_word(self):
        wrong = []
        for name, path in all_files():
            for node in ast.walk(parse(path)):
                if isinstance(node, ast.ExceptHandler) and (node.type is None or _does_nothing(node)):
                    wrong.append("%s:%d" % (name, node.lineno))
        self.assertEqual(wrong, [])

    def test_nothing_is_packed_into_shared_memory(self):
        # It clears its target first: a reader in another process was seen to find the zeros.
        wrong = ["%s:%d" % (name, node.lineno) for name, path in source_files()
                 for node in ast.walk(parse(path))
                 if isinstance(node, ast.Attribute) and node.attr == "pack" + "_into"]
        self.assertEqual(wrong, [])

    @unittest.skipIf(sys.version_info < (3, 8), "ast.parse has no feature_version before 3.8")
    def test_the_syntax_is_that_of_python_3_6(self):
        for name, path in all_files() + [("setup.py", os.path.join(ROOT, "setup.py"))]:
            with self.subTest(name):
                self.assertIsInstance(ast.parse(text_of(path), path, feature_version=(3, 6)), ast.Module)

    def test_no_annotations_are_postponed_and_no_f_string_debugs(self):
        wrong = []
        for name, path in all_files():
            text = text_of(path)
            wrong += [name] if "from __future__ import ann" + "otations" in text else []
            wrong += ["%s:%d" % (name, token.start[0])
                      for token in tokenize.generate_tokens(io.StringIO(text).readline)
                      if token.type == tokenize.STRING and re.match(r"[rR]?[fF].*\{\w+=\}", token.string)]
        self.assertEqual(wrong, [])

    def test_the_top_level_holds_what_it_should_and_nothing_else(self):
        known = {"nosqgrid", "tests", "bench", "docs", "setup.py", "README.md"}
        made = {"build", "__pycache__", "nosqgrid.egg-info"}
        extra = {name for name in os.listdir(ROOT) if not name.startswith(".")} - known - made
        self.assertEqual(extra, set())


if __name__ == "__main__":
    unittest.main()

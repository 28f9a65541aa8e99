"""The names that programs may rely on: what `nosqgrid` exports, what a Grid can do, and that each says what it does."""

import ast
import inspect
import os
import subprocess
import sys
import unittest

import nosqgrid
from nosqgrid import errors
from nosqgrid.client.grid import Grid, Namespace
from nosqgrid.client.pipeline import Pipeline

from .test_layers import ROOT, layer_of, parse, source_files

# A name that leaves one of these lists breaks somebody's program.
GRID_NAMES = frozenset("""
    get set get_many set_many delete pop setdefault incr exists get_versioned ttl expire persist scan clear map
    pipeline get_or_compute cached stats ping close address connected
    """.split())
NAMESPACE_NAMES = GRID_NAMES - frozenset("clear map stats ping close address connected".split())
PIPELINE_NAMES = frozenset("set delete incr expire".split())
ATTACH_PARAMETERS = ("address", "timeout", "near_cache", "codec", "reconnect")


def without_docstring(tree, where):
    """Public classes and functions at the top of a module that have no docstring."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield "%s:%d %s" % (where, node.lineno, node.name)


class PublicNameTests(unittest.TestCase):
    def test_every_exported_name_exists_once(self):
        self.assertEqual(len(nosqgrid.__all__), len(set(nosqgrid.__all__)))
        self.assertEqual([name for name in nosqgrid.__all__ if not hasattr(nosqgrid, name)], [])

    def test_everything_else_that_is_visible_is_a_module(self):
        extra = [name for name, value in vars(nosqgrid).items()
                 if not name.startswith("_") and name not in nosqgrid.__all__ and not inspect.ismodule(value)]
        self.assertEqual(extra, [])

    def test_exported_errors_belong_to_the_one_tree(self):
        exported = [value for value in map(nosqgrid.__dict__.get, nosqgrid.__all__)
                    if inspect.isclass(value) and issubclass(value, Exception)]
        self.assertGreater(len(exported), 10)
        for error in exported:
            with self.subTest(error.__name__):
                self.assertTrue(issubclass(error, nosqgrid.NosqgridError))
                self.assertIs(getattr(errors, error.__name__), error)

    def test_the_parameters_of_attach_are_promised_by_name(self):
        parameters = inspect.signature(nosqgrid.attach).parameters
        self.assertEqual(tuple(parameters), ATTACH_PARAMETERS)
        self.assertEqual([name for name, parameter in parameters.items()
                          if parameter.kind is not inspect.Parameter.KEYWORD_ONLY], ["address"])

    def test_a_grid_a_map_and_a_batch_can_do_what_was_promised(self):
        for owner, promised in ((Grid, GRID_NAMES), (Namespace, NAMESPACE_NAMES), (Pipeline, PIPELINE_NAMES)):
            with self.subTest(owner.__name__):
                self.assertEqual(sorted(name for name in promised if not hasattr(owner, name)), [])

    def test_importing_the_package_starts_no_thread_and_opens_nothing(self):
        code = ("import os, threading; before = set(os.listdir('/proc/self/fd')); import nosqgrid;"
                "assert set(os.listdir('/proc/self/fd')) == before; assert threading.active_count() == 1")
        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("no /proc here")
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_public_classes_and_functions_of_the_client_say_what_they_do(self):
        wrong = []
        for name, path in source_files():
            if layer_of(name) in ("client", "redis"):
                wrong += list(without_docstring(parse(path), name))
        self.assertEqual(wrong, [])

    def test_a_public_function_without_a_docstring_would_be_found(self):
        tree = ast.parse("def seen():\n    'why'\ndef silent():\n    return 1\ndef _own():\n    return 2\n")
        self.assertEqual(list(without_docstring(tree, "x.py")), ["x.py:3 silent"])


if __name__ == "__main__":
    unittest.main()

"""Folders are layers: a module imports from its own and those below, from the standard library, and nothing else."""

import ast
import glob
import os
import unittest

from tests.support.tiers import slow

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = "nosqgrid"
LAYERS = (("errors", "limits"), ("formats",), ("engine",), ("memory",), ("storage",), ("network",), ("coordinator",),
          ("client",), ("redis",), ("cli",))
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
TOP = len(LAYERS)  # __init__ and __main__ see everything

# The clock, randomness, files and sockets are arguments of what is pure.
PURE = ("formats", "engine")
IMPURE = frozenset("os socket mmap time threading select selectors random tempfile pickle marshal subprocess "
                   "multiprocessing signal fcntl ctypes".split())
NOWHERE = frozenset(("pickle", "marshal", "shelve", "dbm"))
PICKLE_IN = "nosqgrid/client/pickled.py"  # signed, and only where a client asked for it (docs/decisions/0018)
CALLS_NOWHERE = frozenset(("ev" + "al", "ex" + "ec", "__import__"))

# Everything of the standard library that the package uses.  A new name here is a decision, not an accident.
STANDARD = frozenset("""
    __future__ argparse array ast asyncio atexit base64 bisect builtins codecs collections concurrent contextlib copy
    ctypes datetime decimal enum errno fcntl functools gc glob hashlib heapq hmac importlib inspect io itertools json
    keyword math mmap multiprocessing operator os pickle platform pwd queue random re resource secrets select selectors
    shutil signal socket ssl stat statistics string struct subprocess sys sysconfig tempfile textwrap threading time
    token tokenize traceback types unicodedata urllib uuid warnings weakref zlib
    """.split())


def source_files(package=PACKAGE):
    """(path relative to the root with forward slashes, absolute path) of every module of a package."""
    found = sorted(glob.glob(os.path.join(ROOT, package, "**", "*.py"), recursive=True))
    return [(os.path.relpath(path, ROOT).replace(os.sep, "/"), path) for path in found]


def parse(path):
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read(), path)


def layer_of(name):
    """The layer of a module path below the package, such as formats/slots.py."""
    first = name.split("/")[1]
    return first[:-3] if first.endswith(".py") else first


def imported_modules(tree, name):
    """(line, dotted name) of every module that a module imports, relative imports resolved."""
    package = name[:-3].split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield node.lineno, ".".join(base)
            if node.level and len(base) == 1:  # from .. import errors, limits: the names are modules
                for alias in node.names:
                    yield node.lineno, ".".join(base + [alias.name])


@slow
class LayerTests(unittest.TestCase):
    def test_there_is_something_to_look_at(self):
        layers = {layer_of(name) for name, _ in source_files()}
        self.assertTrue(layers >= set(RANK), sorted(set(RANK) - layers))

    def test_every_module_lies_in_a_known_layer(self):
        unknown = [name for name, _ in source_files()
                   if layer_of(name) not in RANK and layer_of(name) not in ("__init__", "__main__")]
        self.assertEqual(unknown, [])

    def test_modules_import_only_from_their_layer_and_below(self):
        wrong = []
        for name, path in source_files():
            own = RANK.get(layer_of(name), TOP)
            for line, module in imported_modules(parse(path), name):
                parts = module.split(".")
                if parts[0] == PACKAGE and len(parts) > 1 and RANK.get(parts[1], -1) > own:
                    wrong.append("%s:%d imports %s" % (name, line, module))
        self.assertEqual(wrong, [])

    def test_engine_and_formats_touch_no_clock_file_socket_or_chance(self):
        wrong = []
        for name, path in source_files():
            if layer_of(name) in PURE:
                wrong += ["%s:%d imports %s" % (name, line, module)
                          for line, module in imported_modules(parse(path), name) if module.split(".")[0] in IMPURE]
        self.assertEqual(wrong, [])

    def test_nothing_runs_code_that_came_as_data(self):
        wrong = []
        for name, path in source_files():
            tree = parse(path)
            wrong += ["%s:%d imports %s" % (name, line, module) for line, module in imported_modules(tree, name)
                      if module.split(".")[0] in NOWHERE and (name, module) != (PICKLE_IN, "pickle")]
            wrong += ["%s:%d calls %s" % (name, node.lineno, node.func.id) for node in ast.walk(tree)
                      if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                      and node.func.id in CALLS_NOWHERE]
        self.assertEqual(wrong, [])

    def test_only_the_memory_layer_maps_memory(self):
        wrong = []
        for name, path in source_files():
            if layer_of(name) != "memory":
                wrong += ["%s:%d" % (name, line) for line, module in imported_modules(parse(path), name)
                          if module.split(".")[0] == "mmap"]
        self.assertEqual(wrong, [])

    def test_durable_files_are_touched_in_one_module_only(self):
        operations = frozenset("open write pread fsync fdatasync ftruncate rename replace unlink remove".split())
        wrong = []
        for name, path in source_files():
            if layer_of(name) == "storage" and not name.endswith("/files.py"):
                wrong += ["%s:%d calls %s" % (name, node.lineno, ast.dump(node.func)) for node in ast.walk(parse(path))
                          if isinstance(node, ast.Call) and (
                              isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
                              and node.func.value.id in ("os", "io") and node.func.attr in operations
                              or isinstance(node.func, ast.Name) and node.func.id == "open")]
        self.assertEqual(wrong, [])

    def test_only_the_standard_library_is_imported(self):
        wrong = []
        for name, path in source_files():
            wrong += ["%s:%d imports %s" % (name, line, module)
                      for line, module in imported_modules(parse(path), name)
                      if module.split(".")[0] not in STANDARD | {PACKAGE}]
        self.assertEqual(wrong, [])

    def test_a_module_that_breaks_the_order_would_be_found(self):
        tree = ast.parse("from ..client import grid\nfrom .. import coordinator\nimport os.path\n")
        modules = [module for _, module in imported_modules(tree, "nosqgrid/engine/x.py")]
        self.assertEqual(modules, ["nosqgrid.client", "nosqgrid", "nosqgrid.coordinator", "os.path"])


if __name__ == "__main__":
    unittest.main()

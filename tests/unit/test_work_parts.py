"""The parts of workers: names of functions, outcomes, calls and their seals, boards, the options of the shell."""

import functools
import os
import sys
import unittest

from nosqgrid.cli.worker import queues_of
from nosqgrid.client.codec import TypedCodec
from nosqgrid.client.workers import calls, names, outcomes, tasks
from nosqgrid.client.workers.board import NOTHING, SLOT_BYTES, Board, Shown
from nosqgrid.errors import CorruptValueError, JobFailedError, PermissionRefusedError, UsageError
from nosqgrid.formats import values

CODEC = TypedCodec()
KEY = calls.context(b"q")


class Outer(object):
    """Something with functions in it."""

    @staticmethod
    def inner():
        """Found by its qualified name."""
        return 7

    @classmethod
    def made(cls):
        """The same."""
        return cls.__name__

    def method(self):
        """Belongs to an object."""


class Odd(Exception):
    """Takes other arguments than it keeps."""

    def __init__(self, one, two):
        super().__init__("%s and %s" % (one, two))


class Mute(Exception):
    """Cannot be shown."""

    def __str__(self):
        raise RuntimeError("no")


class NameTests(unittest.TestCase):
    def test_what_has_a_name_is_found_by_it(self):
        for function in (names.find, Outer.inner, Outer.made, pow, os.getpid, str, str.upper, Odd):
            name = names.name_of(function)
            found = names.find(name)
            self.assertTrue(found is function or found == function, name)

    def test_what_has_none_is_refused_with_the_reason(self):
        def local():
            """Inside of a function."""
        for function, told in ((lambda: 0, "lambda"), (local, "local function"), (Outer().method, "object"),
                               ([].append, "object"), (functools.partial(pow, 2), "no name"), (7, "object")):
            with self.assertRaises(UsageError) as caught:
                names.name_of(function)
            self.assertIn(told, str(caught.exception))

    def test_a_function_of_the_program_has_the_name_of_its_file(self):
        function = functools.wraps(Outer.inner)(lambda: 0)
        function.__module__, function.__qualname__ = "__main__", "f"
        before = sys.modules["__main__"]
        module = type(sys)("__main__")
        sys.modules["__main__"] = module
        try:
            with self.assertRaises(UsageError):
                names.name_of(function)
            module.__file__ = "/somewhere/report.py"
            self.assertEqual(names.name_of(function), "report:f")
            module.__spec__ = type("Spec", (), {"name": "package.report"})
            self.assertEqual(names.name_of(function), "package.report:f")
        finally:
            sys.modules["__main__"] = before

    def test_what_is_not_there_is_said(self):
        for name, told in (("no_such_module:f", "cannot import"), ("os:nothing", "has no"), ("os", "no name"),
                           (":f", "no name"), ("os:path", "no function"), ("os:path.nothing", "has no")):
            with self.assertRaises(UsageError) as caught:
                names.find(name)
            self.assertIn(told, str(caught.exception))


class OutcomeTests(unittest.TestCase):
    def raised(self, make):
        try:
            make()
        except BaseException as error:
            return outcomes.outcome(CODEC, outcomes.raised(error), KEY)[1]
        raise AssertionError("nothing was raised")

    def test_values_come_back(self):
        for value in (None, 5, b"x", "t", [1, (2, 3)], {"a": 1.5}):
            self.assertEqual(outcomes.outcome(CODEC, outcomes.returned(CODEC, value, KEY), KEY), (value, None))

    def test_exceptions_come_back_with_where_they_were_raised(self):
        error = self.raised(lambda: {}["k"])
        self.assertEqual((type(error), error.args), (KeyError, ("k",)))
        self.assertIn("test_work_parts.py", str(error.__cause__))
        error = self.raised(lambda: sys.exit(3))
        self.assertEqual((type(error), error.code), (SystemExit, 3))
        self.assertEqual(type(self.raised(lambda: int("x"))), ValueError)

    def test_what_cannot_be_made_again_is_told(self):
        def odd():
            raise Odd(1, 2)

        def mute():
            raise Mute(object())

        def chain():
            raise OSError(object())
        for make, told in ((odd, "Odd: 1 and 2"), (mute, "cannot be made"), (chain, "OSError: <object")):
            error = self.raised(make)
            self.assertIs(type(error), JobFailedError)
            self.assertIn(told, str(error))

    def test_only_exceptions_of_modules_that_are_here_are_made(self):
        for name in (["os", "system"], ["no_such_module", "Error"], ["builtins", "print"], ["os.path", "join"]):
            data = outcomes.raised(ValueError(5)).replace(b'["builtins", "ValueError"]',
                                                          b'["%s", "%s"]' % tuple(word.encode() for word in name))
            _, error = outcomes.outcome(CODEC, data, KEY)
            self.assertIs(type(error), JobFailedError)
        self.assertNotIn("no_such_module", sys.modules)

    def test_what_is_no_outcome_is_corrupt(self):
        for data in (b"", b"\0", b"\2x", b"\1", b"\1{", b"\1{}", b"\1[]", b'\1{"name": 5}', b"\1\xff", b"\0\x63x",
                     b'\1{"name": [1, 2], "args": 5, "text": "", "traceback": ""}'):
            with self.assertRaises(CorruptValueError):
                outcomes.outcome(CODEC, data, KEY)

    def test_a_long_traceback_keeps_its_end(self):
        error = self.raised(lambda: int("x" * 100000))
        self.assertLess(len(error.__cause__.text), outcomes.TEXT_MAX + 10)


class CallTests(unittest.TestCase):
    def functions(self, **options):
        return calls.Functions(CODEC, {}, **options)

    def test_calls_and_maps(self):
        functions = self.functions(modules=["builtins"])
        call, wants, _ = functions.prepared(b"q", b"call builtins:pow", *CODEC.encode([[2, 3], {}], KEY))
        self.assertEqual((call(), wants), (8, True))
        call, _, _ = functions.prepared(b"q", b"map builtins:divmod", *CODEC.encode([[7, 2], [9, 4]], KEY))
        self.assertEqual(call(), [(3, 1), (2, 1)])

    def test_modules_that_were_not_named_are_refused(self):
        arguments = CODEC.encode([["true"], {}], KEY)
        for modules in ((), ["posixpath"], ["o"], ["os.path"]):
            with self.assertRaises(PermissionRefusedError):
                self.functions(modules=modules).prepared(b"q", b"call os:system", *arguments)
        self.functions(modules=["os"]).prepared(b"q", b"call os:system", *arguments)
        self.functions(modules=["os"]).prepared(b"q", b"call os.path:join", *arguments)

    def test_a_seal_holds_for_its_own_call_alone(self):
        kind, value_type, payload = calls.seal(b"s" * 32, b"call builtins:pow", *CODEC.encode([[2, 3], {}], KEY))
        functions = self.functions(secret=b"s" * 32)
        self.assertEqual(functions.prepared(b"q", kind, value_type, payload)[0](), 8)
        for broken in ((b"sealed call os:system", payload), (kind, payload[:-1]), (kind, b""), (kind, payload[:32]),
                       (kind, payload[:-1] + b"}"), (b"call builtins:pow", payload)):
            with self.assertRaises(PermissionRefusedError):
                functions.prepared(b"q", broken[0], value_type, broken[1])
        for other in (self.functions(secret=b"t" * 32), self.functions(modules=["builtins"])):
            with self.assertRaises(PermissionRefusedError):
                other.prepared(b"q", kind, value_type, payload)

    def test_payloads_that_are_no_arguments_are_corrupt(self):
        functions = self.functions(modules=["builtins"])
        for kind, obj in ((b"call builtins:pow", 5), (b"call builtins:pow", [[1]]), (b"call builtins:pow", [1, {}]),
                          (b"call builtins:pow", [[1], []]), (b"map builtins:pow", {"a": 1}),
                          (b"map builtins:pow", [1, 2])):
            with self.assertRaises(CorruptValueError):
                functions.prepared(b"q", kind, *CODEC.encode(obj, KEY))

    def test_plain_jobs_need_a_function(self):
        with self.assertRaises(CorruptValueError):
            self.functions().prepared(b"q", b"", values.INT, b"5")
        call, wants, _ = self.functions(plain=lambda value: value + 1).prepared(b"q", b"", values.INT, b"5")
        self.assertEqual((call(), wants), (6, False))


class TaskTests(unittest.TestCase):
    def task(self, function, name=None, **options):
        return tasks.register(tasks.Task(None, function, "q", name, options))

    def setUp(self):
        self.before = dict(tasks.TASKS)

    def tearDown(self):
        tasks.TASKS.clear()
        tasks.TASKS.update(self.before)

    def test_a_task_is_called_as_its_function_is(self):
        task = self.task(Outer.inner)
        self.assertEqual((task(), task.name, task.__doc__),
                         (7, "tests.unit.test_work_parts:Outer.inner", "Found by its qualified name."))
        self.assertIs(tasks.TASKS[task.name], task)

    def test_one_name_is_one_function(self):
        self.task(Outer.inner, name="n")
        self.task(Outer.inner, name="n")  # its module was imported again
        with self.assertRaises(UsageError):
            self.task(names.find, name="n")

    def test_what_could_not_be_found_or_put_is_refused_where_it_is_declared(self):
        for arguments in ((lambda: 0,), (pow, "call me"), (pow, "sealed x")):
            with self.assertRaises(UsageError):
                self.task(*arguments)
        for options in ({"ttr": -1}, {"retries": "many"}, {"backoff": 5}, {"until": 5}):
            with self.assertRaises(UsageError):
                self.task(pow, **options)
        with self.assertRaises(TypeError):
            self.task(pow, color="red")
        for rule in ({}, {"cron": "* * * * *", "every": 5}):
            with self.assertRaises(UsageError):
                self.task(Outer.inner).schedule(**rule)


class BoardTests(unittest.TestCase):
    def test_slots_are_read_as_they_were_written(self):
        board = Board(2)
        self.addCleanup(board.close)
        self.assertEqual((board.look(0), board.is_ready()), (NOTHING, False))
        shown = Shown(3, 1, 1000, 2000, 7, b"q:12", b"kind\nwith a newline")
        board.show(1, shown)
        board.ready()
        self.assertEqual(board.look(1), shown._replace(kind=b"kind with a newline"))
        self.assertEqual((board.look(0), board.is_ready()), (NOTHING, True))

    def test_what_is_half_written_is_what_it_was(self):
        board = Board(1)
        self.addCleanup(board.close)
        shown = Shown(3, 1, 1000, 2000, 7, b"q:12", b"kind")
        board.show(0, shown)
        board.look(0)
        for place, data in ((0, b"zzzz"), (20, b"\xff"), (8, b"ffff")):
            os.pwrite(board._fd, data, place)
            self.assertEqual(board.look(0), shown)
            board.show(0, shown)

    def test_a_name_that_is_too_long_is_left_out(self):
        board = Board(1)
        self.addCleanup(board.close)
        board.show(0, Shown(1, 0, 5, 6, 7, b"q" * SLOT_BYTES, b"kind"))
        self.assertEqual(board.look(0), Shown(1, 0, 5, 6, 7, b"", b""))


class OptionTests(unittest.TestCase):
    def test_queues(self):
        self.assertEqual(queues_of([]), [("default", None)])
        self.assertEqual(queues_of(["a=2,b", "c"]), [("a", 2), ("b", None), ("c", None)])
        for texts in ([""], ["a,"], ["a=0"], ["a=-1"], ["=1"], ["a=x"]):
            with self.assertRaises(UsageError):
                queues_of(texts)


if __name__ == "__main__":
    unittest.main()

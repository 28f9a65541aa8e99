"""An error that a command ends with leads to the frames that it came through: none of these may lead back to it.

Such a circle is found by Python's collector alone, which looks at what is old as good as never in a coordinator.
"""

import gc
import unittest

from nosqgrid.coordinator import sockets
from nosqgrid.coordinator.asked import Asked
from nosqgrid.errors import CommandError
from nosqgrid.formats.resp import encode_command
from tests.support.engine_context import EngineContext, socket_session

FAILING = ((b"NOSUCH",), (b"GET",), (b"LPOP", b"text"), (b"SORT", b"list"), (b"SELECT", b"99"))


class CirclesTest(unittest.TestCase):

    def found(self, function):
        """What only the collector finds of what a function leaves, by the names of its types."""
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            function()
            gc.collect()
            return [type(left).__name__ for left in gc.garbage]
        finally:
            gc.set_debug(0)
            gc.enable()
            del gc.garbage[:]

    def context(self):
        context = EngineContext()
        context.call("SET", "text", "v")
        context.call("RPUSH", "list", "not a number")
        return context

    def serve(self, session, words):
        """The bytes of the answer."""
        session.parser.feed(encode_command(*words))
        sockets.run_commands(session)
        answer, session.output, session.output_bytes = b"".join(session.output), [], 0
        return answer

    def test_a_command_that_fails_leaves_none(self):
        for special in (False, True):
            session = socket_session(self.context())
            session.database = int(special)
            session.changed()
            for words in FAILING:
                answers = []
                self.assertEqual(self.found(lambda: answers.append(self.serve(session, words))), [], (words, special))
                self.assertTrue(special or answers[0].startswith(b"-"), answers)

    def test_one_that_is_measured_leaves_none(self):
        context = self.context()
        context.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        context.oversight.count(True)
        session = socket_session(context)
        self.assertTrue(session.special)
        for words in FAILING:
            self.assertEqual(self.found(lambda: self.serve(session, words)), [], words)

    def test_one_of_a_transaction_leaves_none(self):
        session = socket_session(self.context())

        def transaction():
            for words in ((b"MULTI",), (b"LPOP", b"text"), (b"EXEC",), (b"MULTI",), (b"NOSUCH",), (b"EXEC",)):
                self.serve(session, words)
        self.assertEqual(self.found(transaction), [])

    def test_one_that_waited_leaves_none(self):
        context = self.context()
        waiting = EngineContext(other=context)

        def fail(context, keys):
            raise CommandError("planted")

        def wait():
            waiting.block([b"k"], 0.0, fail, None)
            context.call("RPUSH", "k", "a")
            self.assertIn(b"planted", waiting.answers()[0][1])
        self.assertEqual(self.found(wait), [])

    def test_one_that_was_held_leaves_none(self):
        context = self.context()
        context.session.closed = False
        answers = []

        class Server(Asked):
            def answer(self, session, reply):
                answers.append(str(reply))
        self.assertEqual(self.found(lambda: Server().run_held(context, [b"NOSUCH"])), [])
        self.assertIn("NOSUCH", answers[0])


if __name__ == "__main__":
    unittest.main()

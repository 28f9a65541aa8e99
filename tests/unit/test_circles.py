"""An error that a command ends with leads to the frames that it came through: none of these may lead back to it.

Such a circle is found by Python's collector alone, which looks at what is old as good as never in a coordinator.
"""

import gc
import unittest

from nosqgrid.coordinator import sockets
from nosqgrid.coordinator.asked import Asked
from nosqgrid.errors import CommandError
from nosqgrid.formats.resp import encode_command
from tests.support.engine_context import Clients, EngineContext, socket_session
from tests.support.tiers import slow

FAILING = ((b"NOSUCH",), (b"GET",), (b"LOCK.ACQUIRE", b"mine", b"WAIT", b"-1"), (b"LOCK.RELEASE", b"mine", b"5"),
           (b"LPOP", b"text"), (b"SORT", b"list"), (b"SELECT", b"99"))


class CirclesTest(unittest.TestCase):

    def found(self, function):
        """What only the collector finds of what a function leaves, by the names of its types."""
        while gc.collect():
            continue  # what others have left may take several turns
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
        context.call("LOCK.ACQUIRE", "mine")
        return context

    def serve(self, session, words):
        """The bytes of the answer."""
        session.parser.feed(encode_command(*words))
        sockets.run_commands(session)
        answer, session.output, session.output_bytes = b"".join(session.output), [], 0
        return answer

    @slow
    def test_a_command_that_fails_leaves_none(self):
        for special in (False, True):
            session = socket_session(self.context())
            session.database = int(special)
            session.changed()
            for words in FAILING:
                answers = []
                self.assertEqual(self.found(lambda: answers.append(self.serve(session, words))), [], (words, special))
                self.assertTrue(special or answers[0].startswith(b"-"), answers)

    @slow
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

    def test_locks_and_meetings_leave_none(self):
        clients = Clients(3)
        locks = clients.contexts[0].server.locks

        def token(answer):
            return answer.split(b"\r\n")[1][1:].decode()

        def meet():
            first = token(clients.call(0, "LOCK.ACQUIRE", "a")[0])
            clients.call(1, "LOCK.ACQUIRE", "a", "WAIT", "-1")
            clients.call(2, "LOCK.ACQUIRE", "a", "WAIT", "-1")
            _, answers = clients.call(0, "LOCK.RELEASE", "a", first)
            clients.call(1, "COND.WAIT", "c", "a", token(answers[0][1]), "-1")
            clients.call(0, "LOCK.ACQUIRE", "b")
            locks.session_ended(clients.contexts[2].session)
            third = token(clients.call(0, "LOCK.ACQUIRE", "a")[0])
            self.assertEqual(clients.call(0, "COND.NOTIFY", "c", "a", third, "1")[0], b":1\r\n")
            _, answers = clients.call(0, "LOCK.RELEASE", "a", third)
            clients.call(1, "LOCK.RELEASE", "a", token(answers[0][1]))
            clients.call(1, "BARRIER.WAIT", "x", "2", "-1")
            clients.call(0, "BARRIER.ABORT", "x")
            clients.call(0, "LOCK.FORCE", "b", "why")
        self.assertEqual(self.found(meet), [])
        self.assertEqual(locks.table.locks, {})

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

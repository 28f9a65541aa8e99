"""Steps: what is done for each, and that an operation can take back what it asked for, whatever interrupts it."""

import gc
import sys
import unittest
import weakref
from unittest import mock

from nosqgrid.client import steps
from nosqgrid.client.steps import Call, Pause


class Store(object):
    """Answers with what `replies` says, an exception raised; `done` has what was asked."""

    def __init__(self, *replies):
        self.replies, self.done = list(replies), []

    @property
    def links(self):
        return self

    def command(self, *words, again=False):
        self.done.append(words)
        return self._next()

    def wait(self, *words, timeout_s=None, inherit=True):
        self.done.append(("waits", timeout_s) + words)
        return self._next()

    def _next(self):
        if isinstance(self.replies[0], BaseException):
            raise self.replies.pop(0)  # no name here keeps it
        return self.replies.pop(0)


def acquire(undone):
    try:
        reply = yield Call((b"ACQUIRE", 1))
        if reply is None:
            reply = yield Call((b"ACQUIRE", 1, b"WAIT"), waits=True, timeout_s=2)
        return reply
    except BaseException:
        undone.append((yield Call((b"UNDO", 1))))
        raise


class Interrupt(Exception):
    """What a test raises in between."""


def interrupted_at(number, function):
    """Call a function, in which the `number`-th line of steps.run() raises Interrupt; whether it was come to."""
    left = [number]

    def trace(frame, event, argument):
        if frame.f_code is not steps.run.__code__:
            return None
        if event == "line":
            left[0] -= 1
            if not left[0]:
                raise Interrupt
        return trace
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


class StepsTest(unittest.TestCase):
    def test_what_interrupts_between_steps_is_thrown_in_as_well(self):
        for number in range(1, 100):
            store, ended = Store(None, b"token", 7, 8), []

            def operation():
                reply = yield from acquire([])
                ended.append(reply)
                return reply
            if not interrupted_at(number, lambda: steps.run(store, operation())):
                break
            asked = [words for words in store.done if b"ACQUIRE" in words]
            self.assertTrue(not asked or ended or store.done[-1] == (b"UNDO", 1), (number, store.done))
        self.assertGreater(number, 10)

    def test_what_the_operation_returns(self):
        store = Store(None, b"token")
        self.assertEqual(steps.run(store, acquire([])), b"token")
        self.assertEqual(store.done, [(b"ACQUIRE", 1), ("waits", 2, b"ACQUIRE", 1, b"WAIT")])

    def test_whatever_interrupts_a_step_is_thrown_in_there(self):
        for interrupt in (KeyboardInterrupt(), ValueError("x"), SystemExit()):
            for before in ((), (None,)):
                store, undone = Store(*before + (interrupt, 7)), []
                with self.assertRaises(type(interrupt)):
                    steps.run(store, acquire(undone))
                self.assertEqual(undone, [7])
                self.assertEqual(store.done[-1], (b"UNDO", 1))

    def test_an_error_may_be_dealt_with(self):
        def operation():
            try:
                yield Call((b"A",))
            except ValueError:
                return (yield Call((b"B",)))

        self.assertEqual(steps.run(Store(ValueError("x"), 5), operation()), 5)

    def test_pause(self):
        def operation():
            yield Pause(3.5)
            return 1

        with mock.patch.object(steps.time, "sleep") as sleep:
            self.assertEqual(steps.run(Store(), operation()), 1)
        sleep.assert_called_once_with(3.5)

    def test_an_error_leaves_no_circle(self):
        class Boom(Exception):
            """Something that weakref takes."""

        def failing():
            yield Call((b"A",))

        gc.disable()
        try:
            try:
                steps.run(Store(Boom()), failing())
            except Boom as error:
                left = weakref.ref(error)
            self.assertIsNone(left(), "it is freed when nobody looks at it any more")
        finally:
            gc.enable()


if __name__ == "__main__":
    unittest.main()

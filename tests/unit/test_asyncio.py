"""Await forms: all that waits is a coroutine, with its documentation; and how steps are run by an event loop."""

import asyncio
import inspect
import unittest

from nosqgrid import errors
from nosqgrid.client.aio import grid, locks, queues, topics
from nosqgrid.client.aio.store import AioStore, task_word
from nosqgrid.client.steps import THREAD, Call, Pause

# What asks nobody, or makes something that is awaited.
PLAIN = {"guard", "read", "write", "put_words", "ack_words", "words_of", "subscribe", "skip"}


def classes():
    for module in (locks, queues, topics):
        for name, cls in sorted(vars(module).items()):
            if inspect.isclass(cls) and cls.__module__ == module.__name__ and not name.startswith("_"):
                yield cls


class FormsTest(unittest.TestCase):
    def test_there_are_some(self):
        self.assertGreater(len(list(classes())), 18)

    def test_whatever_may_wait_is_a_coroutine_function(self):
        wrong = []
        for cls in classes():
            for name, member in inspect.getmembers(cls, inspect.isroutine):
                if not name.startswith("_") and not name.endswith("_steps") and name not in PLAIN and (
                        not inspect.iscoroutinefunction(member)):
                    wrong.append("%s.%s" % (cls.__name__, name))
        self.assertEqual(wrong, ["Once.done", "Once.result"])  # these read the shared memory

    def test_properties_that_ask_are_coroutine_functions_too(self):
        for cls, name in ((queues.Job, "state"), (locks.Latch, "count"), (locks.Barrier, "broken")):
            self.assertTrue(inspect.iscoroutinefunction(getattr(cls, name)), name)

    def test_they_have_the_names_arguments_and_documentation_of_the_others(self):
        self.assertEqual(str(inspect.signature(locks.Lock.acquire)), "(self, blocking=True, timeout=-1)")
        self.assertIn("keep", inspect.signature(queues.Queue.put).parameters)
        self.assertEqual(locks.Lock.acquire.__qualname__, "Lock.acquire")
        for cls in list(classes()) + [grid.Aio]:
            self.assertTrue(cls.__doc__, cls)
            for name, member in inspect.getmembers(cls, inspect.iscoroutinefunction):
                if not name.startswith("_"):
                    self.assertTrue(member.__doc__, "%s.%s" % (cls.__name__, name))


class Store(object):
    """The store of a grid that answers nobody."""

    closed = False

    def check_open(self):
        """It is open."""


class StepsTest(unittest.TestCase):
    def setUp(self):
        self.loop = asyncio.new_event_loop()
        self.store = AioStore(Store())
        self.performed = []
        self.replies = []

    def tearDown(self):
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def perform(self, step):
        """In the place of Connections.perform."""
        self.performed.append(step)
        reply = self.replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return await reply if asyncio.isfuture(reply) else reply

    def run_(self, steps):
        async def main():
            self.store.here().perform = self.perform
            return await self.store.run(steps)

        return self.loop.run_until_complete(main())

    def operation(self):
        try:
            return (yield Call((b"A",)))
        except BaseException:
            yield Call((b"UNDO",), late=True)
            raise

    def test_what_an_operation_returns(self):
        self.replies = [7]
        self.assertEqual(self.run_(self.operation()), 7)

    def test_whatever_interrupts_a_step_is_thrown_in_there(self):
        for interrupt in (ValueError("x"), asyncio.CancelledError(), KeyError("k")):
            self.replies, self.performed = [interrupt, None], []
            with self.assertRaises(type(interrupt)):
                self.run_(self.operation())
            self.assertEqual([step.words for step in self.performed], [(b"A",), (b"UNDO",)])

    def test_a_coroutine_that_is_closed_sends_what_it_takes_back(self):
        posted = []

        async def main():
            here = self.store.here()
            here.perform, here._post = self.perform, posted.append
            self.replies = [self.loop.create_future()]
            running = self.store.run(self.operation())
            running.send(None)
            running.close()

        self.loop.run_until_complete(main())
        self.assertEqual(posted, [(b"UNDO",)])

    def test_a_pause_lets_others_go_on(self):
        def pausing():
            yield Pause(0.01)
            return 1

        async def main():
            task = self.loop.create_task(self.store.run(pausing()))
            turns = 0
            while not task.done():
                await asyncio.sleep(0)
                turns += 1
            return turns, task.result()

        turns, result = self.loop.run_until_complete(main())
        self.assertGreater(turns, 2)
        self.assertEqual(result, 1)

    def test_a_task_has_a_word_that_no_other_gets(self):
        async def word():
            return task_word(), task_word()

        words = set()
        for _ in range(100):
            first, second = self.loop.run_until_complete(word())
            self.assertEqual(first, second)
            words.add(first)
        self.assertEqual(len(words), 100)
        self.assertEqual(Call((THREAD,)).words, (THREAD,))

    def test_a_plain_with_is_refused(self):
        for cls in (locks.Lock, locks.Semaphore, locks.Condition, queues.ReservedJob):
            with self.assertRaisesRegex(errors.UsageError, "async with"):
                cls.__enter__(object())
        with self.assertRaisesRegex(errors.UsageError, "async for"):
            topics.Subscription.__next__(object())


if __name__ == "__main__":
    unittest.main()

"""Queues as programs use them: what queue.Queue promises, and what goes beyond it."""

import datetime
import pickle
import queue
import threading
import time

from nosqgrid import errors
from tests.support.processes import TIMEOUT_S, wait_until
from tests.support.served import GridTestCase
from tests.support.tiers import slow


class QueueTestCase(GridTestCase):
    def setUp(self):
        super().setUp()
        self.queue = self.grid.queue("work")


class LikeQueueTest(QueueTestCase):
    """The interface of the standard library's queue.Queue."""

    def test_first_in_first_out_of_any_values(self):
        values = [None, 1, "x", b"y", [1, {"a": (2,)}], datetime.datetime(2026, 1, 2)]
        for value in values:
            self.queue.put(value)
        self.assertEqual((self.queue.qsize(), self.queue.empty()), (len(values), False))
        self.assertEqual([self.queue.get() for _ in values], values)
        self.assertTrue(self.queue.empty())

    def test_empty(self):
        for get in (self.queue.get_nowait, lambda: self.queue.get(False), lambda: self.queue.get(timeout=0.02)):
            with self.assertRaises(queue.Empty):
                get()
        with self.assertRaises(ValueError):
            self.queue.get(timeout=-1)

    def test_full(self):
        small = self.grid.queue("small", 2)
        small.put(1), small.put_nowait(2)
        self.assertTrue(small.full())
        for put in (lambda: small.put_nowait(3), lambda: small.put(3, False), lambda: small.put(3, timeout=0.02)):
            with self.assertRaises(queue.Full):
                put()
        with self.assertRaises(ValueError):
            small.put(3, timeout=-1)
        thread = self.in_thread(lambda: small.put(3, timeout=TIMEOUT_S))
        self.assertEqual(small.get(), 1)
        thread.join(TIMEOUT_S)
        self.assertEqual([small.get(), small.get()], [2, 3])

    def test_get_waits(self):
        thread = self.in_thread(self.queue.get)
        wait_until(lambda: self.queue.stats()["waiting_workers"], what="somebody who waits")
        self.queue.put("x")
        thread.join(TIMEOUT_S)
        self.assertEqual(thread.found, ["x"])

    def test_task_done_and_join(self):
        for number in range(3):
            self.queue.put(number)
        self.assertFalse(self.queue.join(0.02))
        waiter = self.in_thread(self.queue.join)
        for _ in range(3):
            self.queue.get()
            self.assertEqual(waiter.found, [])
            self.queue.task_done()
        waiter.join(TIMEOUT_S)
        self.assertEqual(waiter.found, [True])
        with self.assertRaises(ValueError):
            self.queue.task_done()

    def test_several_are_got_before_they_are_said_to_be_done(self):
        for number in range(4):
            self.queue.put(number)
        self.queue.get(), self.queue.task_done()
        self.assertEqual([self.queue.get() for _ in range(3)], [1, 2, 3])
        self.assertEqual(self.queue.stats()["reserved"], 3)
        for _ in range(3):
            self.queue.task_done()
        self.assertTrue(self.queue.join(TIMEOUT_S))

    def test_one_who_never_says_it_leaves_nothing_but_the_last(self):
        for number in range(5):
            self.queue.put(number)
        self.assertEqual([self.queue.get() for _ in range(5)], list(range(5)))
        self.assertEqual(self.queue.stats()["reserved"], 1)

    def test_what_was_got_and_not_done_comes_back_with_the_death_of_the_process(self):
        self.queue.put("x", ttr=3600, backoff=(0, 0, 1))
        child = self.spawn("import sys, nosqgrid\nprint(nosqgrid.attach(sys.argv[1]).queue('work').get(), flush=True)\n"
                           "sys.stdin.readline()", self.launched.address)
        self.assertEqual(child.read_line(), "x")
        child.kill()
        self.assertEqual(self.queue.get(timeout=TIMEOUT_S), "x")
        child.wait()

    def test_many_producers_and_consumers(self):
        got, lock = [], threading.Lock()

        def consume():
            while True:
                item = self.queue.get(timeout=TIMEOUT_S)
                if item is None:
                    return
                with lock:
                    got.append(item)

        consumers = [self.in_thread(consume) for _ in range(4)]
        producers = [self.in_thread(lambda first=first: [self.queue.put(first + number) for number in range(50)])
                     for first in (0, 100, 200)]
        for thread in producers:
            thread.join(TIMEOUT_S)
        for _ in consumers:
            self.queue.put(None)
        for thread in consumers:
            thread.join(TIMEOUT_S)
        self.assertEqual(sorted(got), [first + number for first in (0, 100, 200) for number in range(50)])

    def test_pickles_and_equal_names_are_one_queue(self):
        other = pickle.loads(pickle.dumps(self.queue))
        other.put(1)
        self.assertEqual(self.queue.get(), 1)
        other._grid.close()


class JobsTest(QueueTestCase):
    def test_block_acknowledges_or_gives_back(self):
        job = self.queue.put("x", retries=1, backoff=(0, 0, 1), keep=60)
        with self.assertRaises(ZeroDivisionError):
            with self.queue.reserve():
                1 / 0
        with self.assertRaises(KeyboardInterrupt):
            with self.queue.reserve() as mine:
                self.assertEqual(mine.attempt, 2)
                raise KeyboardInterrupt
        with self.queue.reserve() as mine:
            self.assertEqual((mine.attempt, mine.payload), (2, "x"), "an interrupt is no attempt")
            mine.ack({"result": 1})
        self.assertEqual((job.wait(), job.state), ({"result": 1}, "done"))

    def test_dead_letters_have_the_traceback_and_come_back(self):
        job = self.queue.put("x", retries=0)
        with self.assertRaises(ZeroDivisionError):
            with self.queue.reserve():
                1 / 0
        self.assertEqual(job.state, "dead")
        with self.assertRaises(errors.JobFailedError) as caught:
            job.wait()
        self.assertIn("ZeroDivisionError", str(caught.exception))
        self.assertIn("1 / 0", self.queue.peek(state="dead")[0]["error"])
        self.assertEqual(self.queue.redrive(), 1)
        with self.queue.reserve() as mine:
            self.assertEqual(mine.payload, "x")

    def test_stale_receipts_are_refused(self):
        self.queue.put("x", ttr=0.05, backoff=(0, 0, 1))
        first = self.queue.reserve()
        second = self.queue.reserve(timeout=TIMEOUT_S)
        self.assertEqual(second.attempt, 2)
        for call in (first.ack, first.nack, first.touch, first.bury, lambda: first.progress(0.5)):
            with self.assertRaises(errors.StaleReceiptError):
                call()
        second.ack()

    @slow
    def test_touch_keeps_a_job(self):
        self.queue.put("x", ttr=0.3)
        mine = self.queue.reserve()
        for _ in range(8):
            time.sleep(0.1)
            self.assertEqual(mine.touch(), 0.3)
        mine.ack()

    def test_order_by_priority_and_time(self):
        now = time.time()
        self.queue.put("later", delay=0.3)
        self.queue.put("third", priority=5)
        self.queue.put("second")
        self.queue.put("first", priority=-1)
        self.queue.put("at", eta=now + 0.2)
        self.assertEqual([self.queue.reserve(0.0).payload for _ in range(3)], ["first", "second", "third"])
        self.assertIsNone(self.queue.reserve(0.0))
        self.assertEqual([self.queue.reserve(TIMEOUT_S).payload for _ in range(2)], ["at", "later"])

    def test_unique_jobs(self):
        one, other = self.queue.put(1, unique="k"), self.queue.put(2, unique="k")
        self.assertEqual((one, one.created, other.created), (other, True, False))
        self.queue.reserve().ack()
        self.assertTrue(self.queue.put(3, unique="k").created)

    def test_dependencies(self):
        first, other = self.queue.put(1), self.grid.queue("other").put(2)
        last = self.queue.put(3, depends_on=[first, other.id])
        self.assertEqual(last.state, "waiting")
        self.queue.reserve().ack()
        self.assertEqual(last.state, "waiting")
        self.grid.queue("other").reserve().ack()
        self.assertEqual(self.queue.reserve(TIMEOUT_S).payload, 3)

    def test_cancelling(self):
        waiting, running = self.queue.put(1), self.queue.put(2, priority=-1)
        mine = self.queue.reserve()
        self.assertEqual((waiting.cancel(), running.cancel()), ("cancelled", "reserved"))
        self.assertFalse(mine.cancelled)
        mine.touch()
        self.assertTrue(mine.cancelled)
        mine.nack()
        for job in (waiting, running):
            with self.assertRaises((errors.JobCancelledError, errors.UnknownJobError)):
                job.wait(0.0) or job.info()

    def test_wait_for_what_does_not_end(self):
        with self.assertRaises(TimeoutError):
            self.queue.put(1).wait(0.02)
        with self.assertRaises(errors.UnknownJobError):
            self.grid.job("work:999").wait(0.02)
        with self.assertRaises(errors.UnknownJobError):
            self.grid.job("nonsense").wait(0.02)

    def test_job_and_data_come_to_pass_together(self):
        with self.grid.pipeline() as pipeline:
            pipeline.set("order", 1)
            pipeline.put(self.queue, {"order": 1})
        self.assertEqual(pipeline.results[1], "work:1")
        mine = self.queue.reserve()
        with self.assertRaises(errors.BatchError):
            with self.grid.pipeline() as pipeline:
                pipeline.set("order", 2)
                pipeline.put(self.queue, {"order": 2})
                pipeline.incr("order-text-that-is-none") if self.grid.set("order-text-that-is-none", "x") else None
        self.assertEqual((self.grid["order"], self.queue.qsize()), (1, 0))
        mine.nack(delay=3600)
        with self.assertRaises(errors.BatchError):
            with self.grid.pipeline() as pipeline:
                pipeline.set("order", 3)
                pipeline.ack(mine)
        self.assertEqual(self.grid["order"], 1)

    def test_several_queues(self):
        self.grid.queue("low").put("low"), self.grid.queue("high").put("high")
        self.assertEqual([job.payload for job in self.grid.reserve(["high", "low"], n=5)], ["high", "low"])
        self.assertEqual(self.grid.reserve(["high", "low"], timeout=0.02), [])
        counts = {"a": 0, "b": 0}
        for name in counts:
            self.grid.queue(name).put_many([name] * 300)
        for _ in range(300):
            counts[self.grid.reserve({"a": 4, "b": 1})[0].payload] += 1
        self.assertGreater(counts["a"], 2 * counts["b"])
        self.assertGreater(counts["b"], 0)
        self.assertEqual(self.grid.queues(), ["a", "b", "high", "low"])

    def test_what_people_do(self):
        self.queue.put_many([1, 2, 3])
        self.queue.pause()
        self.assertIsNone(self.queue.reserve(0.02))
        self.queue.resume()
        self.assertEqual([row["payload"] for row in self.queue.peek(2, offset=1)], [2, 3])
        self.queue.drain()
        with self.assertRaises(errors.CommandError):
            self.queue.put(4)
        self.queue.drain(False)
        self.queue.put(5, delay=3600)
        self.assertEqual((self.queue.kick(), self.queue.purge("ready"), self.queue.purge()), (1, 4, 0))
        self.assertEqual(self.queue.config(ttr=1.5, maxlen=7)["maxlen"], "7")
        self.assertEqual((self.queue.drop(), self.queue.drop(), self.grid.queues()), (True, False, []))

    def test_wrong_arguments_change_nothing(self):
        for options in ({"delay": -1}, {"delay": "x"}, {"eta": "x"}, {"priority": 1.5}, {"ttr": -1}, {"backoff": 1},
                        {"backoff": (1,)}, {"depends_on": [object()]}, {"overflow": "x"}, {"until": 1},
                        {"retries": True}, {"fifo": True}):
            with self.assertRaises((errors.UsageError, errors.CommandError), msg=options):
                self.queue.put(1, **options)
        with self.assertRaises(errors.UnsupportedTypeError):
            self.queue.put(object())
        self.assertEqual(self.grid.queues(), [])

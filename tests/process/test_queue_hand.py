"""Jobs in hand: acknowledged in a pipeline or not at all, and kept for longer than their time to run."""

import gc
import os
import threading
import warnings

from nosqgrid import errors
from tests.process.test_queues import QueueTestCase
from tests.support.processes import TIMEOUT_S, wait_until
from tests.support.tiers import slow


class PipelineTest(QueueTestCase):
    def setUp(self):
        super().setUp()
        self.job = self.queue.put("x", backoff=(0, 0, 1), keep=60)

    def test_a_batch_that_fails_gives_the_job_back(self):
        self.grid["text"] = "no number"
        with self.assertRaises(errors.BatchError):
            with self.queue.reserve() as job:
                with self.grid.pipeline() as pipeline:
                    pipeline.set("k", 1)
                    pipeline.ack(job)
                    pipeline.incr("text")
        self.assertEqual((self.job.state, self.grid.get("k")), ("ready", None))
        self.assertIn("BatchError", self.job.info()["error"])

    def test_an_exception_within_the_pipeline_gives_the_job_back(self):
        with self.assertRaises(ZeroDivisionError):
            with self.queue.reserve() as job, self.grid.pipeline() as pipeline:
                pipeline.ack(job)
                1 / 0
        self.assertEqual(self.job.state, "ready")

    def test_the_pipeline_may_end_after_the_job(self):
        with self.grid.pipeline() as pipeline:
            with self.queue.reserve() as job:
                pipeline.set("k", 1)
                pipeline.ack(job, "result")
            self.assertEqual(self.job.state, "reserved")
        self.assertEqual((self.job.wait(), self.grid["k"], pipeline.results[1]), ("result", 1, True))

    def test_a_batch_that_was_dropped_acknowledges_nothing(self):
        pipeline = self.grid.pipeline()
        with self.queue.reserve() as job:
            pipeline.ack(job)
            pipeline.discard()
        self.assertEqual((self.job.state, pipeline.execute()), ("done", []))

    def test_whose_job_is_another_s_by_now_hears_of_what_happened_to_himself(self):
        with self.assertRaises(ZeroDivisionError):
            with self.queue.reserve() as job:
                job._run(job.nack_steps())
                job.finished = False  # as where its time to run was over
                1 / 0
        self.assertEqual(self.job.state, "ready")

    def test_a_full_queue_fails_the_batch(self):
        small = self.grid.queue("small", 1)
        small.put("first")
        with self.assertRaises(errors.BatchError) as caught:
            with self.grid.pipeline() as pipeline:
                pipeline.set("k", 1)
                pipeline.put(small, "second")
        self.assertIn("QUEUEFULL", str(caught.exception))
        self.assertEqual((self.grid.get("k"), small.qsize()), (None, 1))
        with self.grid.pipeline() as pipeline:
            pipeline.set("k", 1)
            pipeline.put(small, "second", overflow="drop_newest")
        self.assertEqual((pipeline.results[1], self.grid["k"], small.qsize()), (None, 1, 1))
        with self.grid.pipeline() as pipeline:
            pipeline.put(small, "third", overflow="drop_oldest")
        self.assertEqual((small.get(), pipeline.results), ("third", ["small:2"]))


def keepers():
    return [thread for thread in threading.enumerate() if thread.name == "nosqgrid-keeper"]


class KeepTest(QueueTestCase):
    TTR_S = 1.0

    def tearDown(self):
        wait_until(lambda: not keepers(), what="the thread to end")
        super().tearDown()

    @slow
    def test_a_job_is_kept_until_it_is_done(self):
        self.queue.put("x", ttr=self.TTR_S), self.queue.put("y", ttr=self.TTR_S)
        jobs = [self.queue.reserve(keep=True)] + self.grid.reserve(["work"], keep=True)
        self.assertEqual(len(keepers()), 1)
        self.assertIsNone(self.queue.reserve(timeout=3 * self.TTR_S))
        for job in jobs:
            self.assertEqual(job.attempt, 1)
            job.ack()
        wait_until(lambda: not keepers(), what="the thread to end")
        self.queue.put("z", ttr=self.TTR_S)
        with self.queue.reserve(keep=True):
            self.assertEqual(len(keepers()), 1)
        self.assertTrue(self.queue.join(TIMEOUT_S))

    @slow
    def test_a_job_that_was_forgotten_is_not_kept(self):
        self.queue.put("x", ttr=self.TTR_S, backoff=(0, 0, 1))
        self.assertEqual(self.queue.reserve(keep=True).attempt, 1)
        gc.collect()
        self.assertEqual(self.queue.reserve(timeout=TIMEOUT_S).attempt, 2)
        wait_until(lambda: not keepers(), what="the thread to end")

    @slow
    def test_a_wish_to_cancel_is_heard(self):
        job = self.queue.put("x", ttr=self.TTR_S)
        with self.queue.reserve(keep=True) as mine:
            job.cancel()
            wait_until(lambda: mine.cancelled, what="the worker to hear of it")

    @slow
    def test_a_forked_child_keeps_nothing_and_may_keep_its_own(self):
        self.queue.put("x", ttr=TIMEOUT_S), self.queue.put("y", ttr=self.TTR_S, keep=60)
        mine = self.queue.reserve(keep=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the keeper is a thread: it holds nothing that the child takes
            pid = os.fork()
        if not pid:
            status = 1
            try:
                none_yet = not [thread for thread in keepers() if thread.is_alive()]
                with self.queue.reserve(keep=True):
                    threading.Event().wait(3 * self.TTR_S)
                status = 0 if none_yet else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.grid.job("work:2").state, "done")
        self.assertFalse(mine.finished)
        mine.ack()

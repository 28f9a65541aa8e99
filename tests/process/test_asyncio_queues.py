"""Queues and jobs for asyncio."""

import asyncio
import queue
import random
import unittest

from nosqgrid import errors
from tests.support.asynchronous import AioTestCase
from tests.support.processes import wait_until


class QueueTest(AioTestCase):
    def setUp(self):
        super().setUp()
        self.queue = self.aio.queue("q")
        self.theirs = self.grid.queue("q")

    def test_an_asyncio_queue(self):
        async def consume(found):
            while True:
                found.append(await self.queue.get())
                await self.queue.task_done()

        async def main():
            found = []
            tasks = [self.task(consume(found)) for _ in range(3)]
            await self.waits(3)
            for number in range(10):
                await self.queue.put(number)
            self.assertTrue(await self.queue.join())
            self.assertEqual(sorted(found), list(range(10)))
            self.assertTrue(await self.queue.empty())
            with self.assertRaises(queue.Empty):
                await self.queue.get_nowait()
            with self.assertRaises(queue.Empty):
                await self.queue.get(timeout=0.01)
            with self.assertRaises(ValueError):
                await self.queue.task_done()
            for task in tasks:
                self.assertTrue(await self.cancelled(task))
            await self.waits(0)

        self.run_(main())

    def test_a_bounded_queue(self):
        async def main():
            bounded = self.aio.queue("b", 2)
            await bounded.put(1)
            self.assertFalse(await bounded.full())
            await bounded.put(2)
            self.assertTrue(await bounded.full())
            with self.assertRaises(queue.Full):
                await bounded.put_nowait(3)
            task = self.task(bounded.put(3))
            await self.waits()
            self.assertEqual(await bounded.get(), 1)
            self.assertEqual((await task).queue, "b")
            task = self.task(bounded.put(4))
            await self.waits()
            self.assertTrue(await self.cancelled(task))
            await self.waits(0)
            self.assertEqual(await bounded.qsize(), 2)

        self.run_(main())

    def test_get_in_a_task_of_wait_for(self):
        """asyncio.wait_for runs what it waits for in a task of its own, up to 3.11."""
        async def main():
            await self.queue.put_many(range(3))
            for number in range(3):
                self.assertEqual(await asyncio.wait_for(self.queue.get(), 30), number)
                await self.queue.task_done()
            self.assertTrue(await self.queue.join(0))
            await self.queue.put(3)
            self.assertEqual(await self.queue.get(), 3)
            await self.task(self.queue.task_done())  # said by another one
            self.assertTrue(await self.queue.join(0))

        self.run_(main())

    def test_the_next_get_says_that_the_one_before_is_done(self):
        async def worker():
            await self.queue.get()
            await self.queue.get()

        async def main():
            await self.queue.put_many(range(3))
            await self.task(worker())
            stats = await self.queue.stats()
            self.assertEqual((stats["reserved"], stats["ready"]), (1, 1))

        self.run_(main())

    def test_jobs_come_one_after_the_other(self):
        async def main():
            await self.queue.put_many("abc", retries=0)
            seen = []
            async for job in self.queue:
                try:
                    async with job:
                        seen.append(job.payload)
                        if job.payload == "b":
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    self.assertEqual(job.attempt, 1)
                if job.payload == "c":
                    break
            self.assertEqual(seen, ["a", "b", "c"])
            dead = await self.queue.peek(state="dead")
            self.assertEqual([row["payload"] for row in dead], ["b"])
            self.assertEqual(await self.queue.redrive(), 1)
            self.assertEqual(await self.queue.purge(), 1)

        self.run_(main())

    def test_waiting_for_a_job(self):
        async def main():
            job = await self.queue.put(20, keep=60)
            self.assertEqual(await job.state(), "ready")
            waiting = self.task(job.wait())
            with self.assertRaises(TimeoutError):
                await job.wait(0.01)
            async with await self.queue.reserve() as reserved:
                await reserved.progress(0.5, "half")
                self.assertGreater(await reserved.touch(100), 90)
                await reserved.ack(reserved.payload + 1)
            self.assertEqual(await waiting, 21)
            self.assertEqual(await self.aio.job(job.id).state(), "done")
            job = await self.queue.put(1, keep=60)
            self.assertEqual(await job.cancel(), "cancelled")
            with self.assertRaises(errors.JobCancelledError):
                await job.wait()

        self.run_(main())

    def test_reserve_from_several(self):
        async def main():
            await self.aio.queue("r").put(1)
            job, = await self.aio.reserve(["q", "r"], timeout=0)
            async with job:
                self.assertEqual((job.queue, job.payload), ("r", 1))
            self.assertEqual(await self.aio.reserve(["q", "r"], timeout=0.01), [])
            self.assertEqual(await self.aio.queues(), ["r"])
            await self.aio.queue("r").pause()
            await self.aio.queue("r").put(2)
            self.assertIsNone(await self.aio.queue("r").reserve(timeout=0))
            await self.aio.queue("r").resume()
            self.assertIsNotNone(await self.aio.queue("r").reserve(timeout=0))
            self.assertEqual((await self.aio.queue("r").config(retries=7))["retries"], "7")
            self.assertTrue(await self.aio.queue("r").drop())

        self.run_(main())

    def test_a_cancelled_worker_gives_its_job_back_as_if_it_had_not_had_it(self):
        async def works():
            async with await self.queue.reserve():
                await asyncio.sleep(1000)

        async def main():
            await self.queue.put("x")
            task = self.task(works())
            await self.until(self.one_is_reserved, "a job in hand")
            self.assertTrue(await self.cancelled(task))
            job = await self.queue.reserve(timeout=0)
            self.assertEqual((job.payload, job.attempt), ("x", 1))

        self.run_(main())

    async def one_is_reserved(self):
        return (await self.queue.stats())["reserved"] == 1

    def test_jobs_are_not_lost_nor_kept_by_those_who_are_cancelled(self):
        chance, done = random.Random(7), []

        async def works():
            while True:
                async with await self.queue.reserve() as job:
                    await asyncio.sleep(0)
                    await job.ack()
                    done.append(job.payload)

        async def main():
            tasks = [self.task(works()) for _ in range(6)]
            for number in range(60):
                self.theirs.put(number)
                victim = chance.randrange(len(tasks))
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
                self.assertTrue(await self.cancelled(tasks[victim]))
                tasks[victim] = self.task(works())
            self.assertTrue(await self.queue.join(30))
            for task in tasks:
                self.assertTrue(await self.cancelled(task))

        self.run_(main())
        self.assertLessEqual(set(done), set(range(60)))
        wait_until(lambda: not self.blocked(), what="nobody to wait")
        self.assertEqual((self.theirs.stats()["reserved"], self.theirs.qsize()), (0, 0))

    def test_the_end_of_the_loop_gives_jobs_back(self):
        self.theirs.put(1)
        self.assertEqual(self.run_(self.queue.get()), 1)
        self.end_loop()
        with self.theirs.reserve(timeout=30) as job:
            self.assertEqual(job.payload, 1)


if __name__ == "__main__":
    unittest.main()

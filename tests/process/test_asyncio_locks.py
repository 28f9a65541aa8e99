"""Locks for asyncio: they contend with those of threads, and are as them."""

import asyncio
import os
import pickle
import threading
import unittest

from nosqgrid import errors
from tests.support.asynchronous import AioTestCase


class LockTest(AioTestCase):
    def test_a_task_and_a_thread_contend_for_one_lock(self):
        async def main():
            lock = self.aio.lock("x", info="mine")
            async with lock as held:
                self.assertIs(held, lock)
                self.assertFalse(self.grid.lock("x").acquire(blocking=False))
                self.assertFalse(await self.aio.lock("x").acquire(blocking=False))
                with self.assertRaisesRegex(errors.DeadlockError, "task"):
                    await self.aio.lock("x").acquire(timeout=0.01)
                self.assertTrue(await lock.owned())
                self.assertTrue(await lock.locked())
                self.assertFalse(lock.abandoned)
                first = lock.fence
                holder = await lock.owner()
                self.assertEqual((holder.pid, holder.info, holder.thread[:5]), (os.getpid(), "mine", "task "))
                self.assertEqual([row[0] for row in await self.aio.locks()], ["x"])
            self.assertEqual(self.grid.locks(), [])
            with self.grid.lock("x") as theirs:
                self.assertGreater(theirs.fence, first)
                waiter = self.task(self.aio.lock("x").acquire())
                await self.waits()
                self.assertFalse(waiter.done())
                self.assertFalse(await self.aio.lock("x").acquire(timeout=0.01))
            self.assertTrue(await waiter)

        self.run_(main())

    def test_errors_are_those_of_the_grid(self):
        async def main():
            lock = self.aio.lock("x")
            with self.assertRaises(RuntimeError):
                await lock.release()
            with self.assertRaises(RuntimeError):
                lock.fence
            with self.assertRaises(ValueError):
                await lock.acquire(False, 1)
            with self.assertRaises(errors.UsageError):
                with lock:
                    self.fail("a plain with")
            async with lock:
                safe = lock.guard()
                safe["a"] = 1
                self.assertEqual(await lock.force_release("because"), 1)
                with self.assertRaises(errors.FencedError):
                    safe["a"] = 2
                with self.assertRaisesRegex(errors.LockLostError, "because"):
                    await lock.release()
                self.assertEqual(self.grid["a"], 1)
                await lock.acquire()

        self.run_(main())

    def test_extend(self):
        async def main():
            async with self.aio.lock("x", ttl=1000) as lock:
                await lock.extend(2000)
                self.assertGreater((await lock.owner()).ttl_s, 1500)
                await lock.reacquire()
                self.assertLess((await lock.owner()).ttl_s, 1001)

        self.run_(main())

    def test_in_the_order_of_asking(self):
        order = []

        async def wants(number):
            async with self.aio.lock("x"):
                order.append(number)

        async def main():
            async with self.aio.lock("x"):
                tasks = []
                for number in range(10):
                    tasks.append(self.task(wants(number)))
                    await self.waits(number + 1)
            await asyncio.gather(*tasks)

        self.run_(main())
        self.assertEqual(order, list(range(10)))

    def test_an_rlock_belongs_to_a_task(self):
        async def other(lock):
            with self.assertRaises(RuntimeError):
                await lock.release()
            return await lock.acquire(blocking=False)

        async def main():
            lock = self.aio.lock("x", reentrant=True)
            async with lock:
                async with lock:
                    self.assertFalse(await self.task(other(lock)))
                self.assertTrue(await lock.owned())
            self.assertFalse(await lock.owned())
            self.assertTrue(await self.task(other(lock)))

        self.run_(main())

    def test_a_circle_of_tasks_is_refused(self):
        async def holds_and_wants(mine, other, holds):
            async with self.aio.lock(mine):
                holds.set_result(None)
                async with self.aio.lock(other):
                    return True

        async def main():
            holds = self.loop.create_future()
            async with self.aio.lock("a"):
                task = self.task(holds_and_wants("b", "a", holds))
                await holds
                await self.waits()
                with self.assertRaisesRegex(errors.DeadlockError, "task"):
                    await self.aio.lock("b").acquire()
            self.assertTrue(await task)

        self.run_(main())

    def test_readers_and_a_writer(self):
        async def main():
            rw = self.aio.rwlock("x")
            async with rw.read(), rw.read():
                self.assertFalse(await rw.write().acquire(blocking=False))
            async with rw.write():
                self.assertFalse(await rw.read().acquire(blocking=False))

        self.run_(main())

    def test_semaphore_and_multilock(self):
        async def main():
            semaphore = self.aio.semaphore("s", 2)
            async with semaphore, semaphore:
                self.assertEqual(len(semaphore.fences), 2)
                self.assertFalse(await semaphore.acquire(blocking=False))
            async with self.aio.multilock(["a", "b"]) as locks:
                self.assertEqual(set(locks.fences), {"a", "b"})
                self.assertFalse(self.grid.lock("b").acquire(blocking=False))

        self.run_(main())
        self.assertEqual(self.grid.locks(), [])

    def test_objects_pickle_as_names(self):
        lock = pickle.loads(pickle.dumps(self.aio.lock("x", ttl=5)))
        try:
            self.assertEqual((lock.name, lock.ttl, lock._grid.grid.address), ("x", 5, self.grid.address))
        finally:
            lock._grid.grid.close()


class MeetingsTest(AioTestCase):
    def test_event_latch_barrier(self):
        async def main():
            event, latch = self.aio.event("e"), self.aio.latch("l", 2)
            self.assertFalse(await event.wait(0.01))
            waiters = [self.task(event.wait()), self.task(latch.wait())]
            await self.waits(2)
            self.grid.event("e").set()
            self.assertEqual((await latch.count_down(), await latch.count_down(), await latch.count()), (1, 0, 0))
            self.assertEqual(await asyncio.gather(*waiters), [True, True])
            await event.clear()
            self.assertFalse(await event.is_set())
            barrier = self.aio.barrier("b", 3)
            self.assertEqual(sorted(await asyncio.gather(*[barrier.wait() for _ in range(3)])), [0, 1, 2])

        self.run_(main())

    def test_a_cancelled_one_breaks_the_barrier(self):
        async def main():
            barrier = self.aio.barrier("b", 3)
            first, second = self.task(barrier.wait()), self.task(barrier.wait())
            await self.waits(2)
            self.assertEqual(await barrier.n_waiting(), 2)
            self.assertTrue(await self.cancelled(first))
            with self.assertRaises(threading.BrokenBarrierError):
                await second
            self.assertTrue(await barrier.broken())
            await barrier.reset()
            self.assertFalse(await barrier.broken())

        self.run_(main())

    def test_condition(self):
        async def consume(changed):
            async with changed:
                await changed.wait_for(lambda: self.grid.get("stock", 0) > 0)
                self.grid["stock"] -= 1
                return True

        async def main():
            changed = self.aio.condition("stock")
            task = self.task(consume(self.aio.condition("stock")))
            await self.waits()
            async with changed:
                self.grid["stock"] = 1
                await changed.notify()
            self.assertTrue(await task)
            async with changed:
                self.assertFalse(await changed.wait(0.01))
            with self.assertRaises(RuntimeError):
                await changed.notify_all()

        self.run_(main())
        self.assertEqual(self.grid["stock"], 0)

    def test_a_cancelled_wait_for_word_ends_the_block_as_cancelled(self):
        async def waits_for_word():
            changed = self.aio.condition("c")
            async with changed:
                await changed.wait()

        async def main():
            task = self.task(waits_for_word())
            await self.waits()
            self.assertTrue(await self.cancelled(task))

        self.run_(main())
        self.nothing_is_left()

    def test_a_cancelled_wait_for_word_leaves_the_lock_to_the_task_that_has_it(self):
        async def main():
            changed = self.aio.condition("c")  # one object for both

            async def waits_for_word():
                async with changed:
                    await changed.wait()

            task = self.task(waits_for_word())
            await self.waits()
            async with changed:
                self.assertTrue(await self.cancelled(task))
                self.assertTrue(await changed.lock.owned())
                self.assertTrue(self.grid.lock("c").locked())

        self.run_(main())
        self.nothing_is_left()

    def test_a_wait_in_a_task_of_its_own(self):
        async def main():
            changed = self.aio.condition("c")
            with self.assertRaises(ZeroDivisionError):
                async with changed:
                    await self.task(changed.wait(0.01))
                    raise ZeroDivisionError
            self.assertFalse(await changed.lock.locked())

        self.run_(main())

    def test_election_and_once_and_rate(self):
        async def lead(election):
            return (await election.leader()).info, await election.is_leader()

        async def main():
            self.assertEqual(await self.aio.election("e", "me").run(lead), ("me", True))
            self.assertIsNone(await self.aio.election("e").leader())
            calls = []

            async def make():
                await asyncio.sleep(0.01)
                calls.append(1)
                return {"made": len(calls)}

            found = await asyncio.gather(*[self.aio.once("o").run(make) for _ in range(5)])
            self.assertEqual((found, len(calls)), ([{"made": 1}] * 5, 1))
            self.assertEqual(self.grid.once("o").run(self.fail), {"made": 1})
            self.assertTrue(await self.aio.once("o").reset())
            limiter = self.aio.rate_limiter("r", 2, 1000)
            async with limiter:
                self.assertTrue(await limiter.acquire(blocking=False))
            self.assertFalse(await limiter.acquire(blocking=False))
            self.assertFalse(await limiter.acquire(timeout=0.01))
            self.assertEqual((await limiter.peek())[0], 0)

        self.run_(main())
        self.nothing_is_left()


if __name__ == "__main__":
    unittest.main()

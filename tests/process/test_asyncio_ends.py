"""What a cancelled task leaves behind, which is nothing; and the ends of event loops, grids and processes."""

import asyncio
import os
import random
import signal
import threading
import time
import unittest

import nosqgrid
from nosqgrid import errors
from tests.support.asynchronous import AioTestCase
from tests.support.processes import TIMEOUT_S, wait_until


class CancelTest(AioTestCase):
    def test_who_is_cancelled_does_not_wait_any_more(self):
        async def main():
            with self.grid.lock("x") as lock:
                for how in (self.cancelled, self.times_out):
                    task = self.task(self.aio.lock("x").acquire())
                    await self.waits()
                    self.assertTrue(await how(task))
                    await self.until(lambda: not lock.waiters(), "the waiter to be gone")

        self.run_(main())
        self.nothing_is_left()

    async def times_out(self, task):
        try:
            await asyncio.wait_for(task, 0.01)
        except asyncio.TimeoutError:
            return True
        return False

    def test_a_grant_in_the_moment_of_the_cancellation_is_given_back(self):
        """The holder releases, and without a turn of the event loop in between the waiter is cancelled; and later."""
        async def main():
            for turns in list(range(6)) * 5:
                holder, lock = self.grid.lock("x"), self.aio.lock("x")
                holder.acquire()
                task = self.task(lock.acquire())
                await self.waits()
                holder.release()
                for _ in range(turns):
                    await asyncio.sleep(0.0005 if turns % 2 else 0)
                if await self.cancelled(task):
                    with self.assertRaises(RuntimeError):
                        await lock.release()
                else:
                    await lock.release()
                self.assertTrue(await self.aio.lock("y").acquire())  # the connection that owns is as it was
                self.assertTrue(holder.acquire(timeout=TIMEOUT_S))
                holder.release()
                await self.until(lambda: self.grid.lock("y").force_release("next") == 1, "y")

        self.run_(main())
        self.nothing_is_left()

    def test_cancelled_at_random_nobody_holds_anything(self):
        chance = random.Random(6)
        done = []

        async def wants(what):
            async with what:
                await asyncio.sleep(chance.random() * 0.002)
                done.append(1)

        async def main():
            makers = (lambda: self.aio.lock("a"), lambda: self.aio.semaphore("s", 2), lambda: self.aio.rlock("r"),
                      lambda: self.aio.multilock(["a", "b"]), lambda: self.aio.rwlock("w").read(),
                      lambda: self.aio.rwlock("w").write())
            for _ in range(12):
                tasks = [self.task(wants(chance.choice(makers)())) for _ in range(12)]
                for task in chance.sample(tasks, 8):
                    await asyncio.sleep(chance.random() * 0.003)
                    task.cancel()
                found = await asyncio.gather(*tasks, return_exceptions=True)
                wrong = [each for each in found
                         if each is not None and not isinstance(each, asyncio.CancelledError)]
                self.assertEqual(wrong, [])

        self.run_(main())
        self.assertTrue(done)
        self.nothing_is_left()

    def test_what_waits_stops_nobody_and_needs_no_thread(self):
        async def main():
            with self.grid.lock("x"):
                tasks = [self.task(self.aio.lock("x").acquire()) for _ in range(20)]
                await self.waits(20)
                self.assertEqual(threading.active_count(), before)
                for task in tasks:
                    self.assertTrue(await self.cancelled(task))

        before = threading.active_count()
        self.run_(main())
        self.nothing_is_left()

    def test_a_coordinator_that_is_stopped_stops_nobody(self):
        pid = self.launched.pid

        async def main():
            async with self.aio.lock("y"):
                os.kill(pid, signal.SIGSTOP)
                try:
                    begun = time.monotonic()
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(self.aio.lock("x").acquire(), 0.05)
                    self.assertLess(time.monotonic() - begun, TIMEOUT_S / 2)
                finally:
                    os.kill(pid, signal.SIGCONT)

        self.run_(main())
        self.nothing_is_left()


class EndTest(AioTestCase):
    def test_the_end_of_the_loop_gives_back(self):
        lock = self.aio.lock("x")
        self.assertTrue(self.run_(lock.acquire()))
        self.assertTrue(self.grid.lock("x").locked())
        self.end_loop()
        self.nothing_is_left()
        self.loop = asyncio.new_event_loop()
        self.assertTrue(self.run_(self.aio.lock("x").acquire()))

    def test_a_loop_that_was_closed_without_a_word_gives_back_when_the_next_begins(self):
        self.assertTrue(self.run_(self.aio.lock("x").acquire()))
        self.loop.close()
        self.loop = asyncio.new_event_loop()
        self.assertTrue(self.run_(self.aio.lock("x").acquire()))

    def test_a_waiting_task_at_the_end_of_the_loop(self):
        async def main():
            self.task(self.aio.lock("x").acquire())
            await self.waits()

        with self.grid.lock("x"):
            self.run_(main())
            for task in getattr(asyncio, "all_tasks", getattr(asyncio.Task, "all_tasks", None))(self.loop):
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    self.loop.run_until_complete(task)
            self.end_loop()
        self.nothing_is_left()

    def test_two_event_loops_in_two_threads_share_a_grid(self):
        async def count(times):
            for _ in range(times):
                async with self.aio.lock("x"):
                    self.grid["n"] = self.grid.get("n", 0) + 1

        def elsewhere():
            loop = asyncio.new_event_loop()
            loop.run_until_complete(count(50))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

        thread = threading.Thread(target=elsewhere)
        thread.start()
        self.run_(count(50))
        thread.join(TIMEOUT_S)
        self.assertEqual(self.grid["n"], 100)

    def test_a_forked_child_has_connections_of_its_own(self):
        async def main():
            async with self.aio.lock("y"):
                return await self.aio.lock("x").acquire(blocking=False)

        self.assertTrue(self.run_(self.aio.lock("x").acquire()))
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = 3 if asyncio.new_event_loop().run_until_complete(main()) else 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        wait_until(lambda: [row[0] for row in self.grid.locks()] == ["x"], what="the child's lock to be free")
        self.assertEqual(self.grid.lock("x").owner().pid, os.getpid())

    def test_close_gives_back_and_what_follows_makes_connections_anew(self):
        async def main():
            lock = self.aio.lock("x")
            await lock.acquire()
            self.aio.close()
            await self.until(lambda: not self.grid.locks(), "the lock to be free")
            with self.assertRaises(errors.LockLostError):
                await lock.release()
            async with self.aio.lock("x"):
                self.assertTrue(self.grid.lock("x").locked())

        self.run_(main())

    def test_closing_the_grid_ends_the_waits(self):
        async def main(close):
            task = self.task(self.aio.lock("x").acquire())
            await self.waits()
            await close()
            with self.assertRaises((errors.CoordinatorLostError, errors.ClosedError)):
                await task
            with self.assertRaises(errors.ClosedError):
                await self.aio.lock("x").acquire()

        async def here():
            self.grid.close()

        async def elsewhere():
            thread = threading.Thread(target=self.grid.close)
            thread.start()
            await self.until(lambda: not thread.is_alive(), "the grid to be closed")

        for close in (here, elsewhere):
            with nosqgrid.attach(self.launched.address) as theirs, theirs.lock("x"):
                self.run_(main(close))
            self.grid = nosqgrid.attach(self.launched.address)
            self.aio = self.grid.aio
        self.nothing_is_left()

    def test_on_lost_is_called_in_the_event_loop(self):
        async def main():
            told = self.loop.create_future()

            async def on_lost(reason):
                told.set_result((reason, threading.current_thread()))

            lock, kept = self.aio.lock("x", on_lost=on_lost), self.aio.lock("k", on_lost=self.fail)
            async with kept:
                await lock.acquire()
                await self.waits(2)
                self.grid.lock("x").force_release("because")
                reason, thread = await told
                self.assertIn("because", reason)
                self.assertIs(thread, threading.current_thread())
            await self.waits(0)

        self.run_(main())

    def test_the_process_that_dies_gives_back(self):
        child = self.spawn("import asyncio, sys, nosqgrid\n"
                           "grid = nosqgrid.attach(sys.argv[1])\n"
                           "loop = asyncio.new_event_loop()\n"
                           "loop.run_until_complete(grid.aio.lock('x').acquire())\n"
                           "print('held', flush=True)\nsys.stdin.readline()", self.launched.address)
        self.assertEqual(child.read_line(), "held")
        self.assertTrue(self.grid.lock("x").locked())
        child.kill()
        wait_until(lambda: not self.grid.lock("x").locked(), what="the lock to be free")
        child.wait()


if __name__ == "__main__":
    unittest.main()

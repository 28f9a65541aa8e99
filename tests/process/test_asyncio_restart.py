"""What awaits goes on with the next coordinator, and what was acquired is presented to it."""

import asyncio
import os
import signal
import unittest

import nosqgrid
from nosqgrid import errors
from tests.support.durable import DurableTestCase
from tests.support.processes import TIMEOUT_S
from tests.support.tiers import slow


class RestartTest(DurableTestCase):
    def setUp(self):
        super().setUp()
        self.loop = asyncio.new_event_loop()

    def tearDown(self):
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        super().tearDown()

    def run_(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT_S))

    def test_a_lock_and_a_waiting_get_survive_the_coordinator(self):
        served = self.serve(level="always")
        with self.attach(reconnect=TIMEOUT_S) as grid:
            async def main():
                lock = grid.aio.lock("x")
                await lock.acquire()
                waiting = self.loop.create_task(grid.aio.queue("q").get())
                await asyncio.sleep(0.05)
                served.kill()
                self.serve(level="always")
                await grid.aio.queue("q").put(5)
                self.assertEqual(await waiting, 5)
                self.assertTrue(await lock.owned())
                self.assertFalse(grid.lock("x").acquire(blocking=False))
                await lock.release()
                self.assertTrue(grid.lock("x").acquire(blocking=False))

            self.run_(main())

    @slow
    def test_without_reconnect_who_waits_is_told_and_the_next_call_goes_on(self):
        served = self.serve(level="everysec")
        with self.attach() as grid:
            async def main():
                waiting = self.loop.create_task(grid.aio.queue("q").get())
                await asyncio.sleep(0.05)
                served.kill()
                with self.assertRaises(errors.CoordinatorLostError):
                    await waiting
                with self.assertRaises(errors.NotServedError):
                    await grid.aio.lock("x").acquire()
                self.serve(level="everysec")
                async with grid.aio.lock("x"):
                    self.assertTrue(await grid.aio.lock("x").locked())

            self.run_(main())

    def test_a_grid_of_open_starts_the_next_coordinator(self):
        with nosqgrid.open(os.path.join(self.place, "embedded"), memory="16m") as grid:
            async def main():
                async with grid.aio.lock("x"):
                    await grid.aio.queue("q").put(1)
                os.kill(grid.stats()["pid"], signal.SIGKILL)
                async with grid.aio.lock("x") as lock:
                    self.assertTrue(await lock.owned())

            self.run_(main())


if __name__ == "__main__":
    unittest.main()

"""Tests of grid.aio: a coordinator, a grid, and an event loop for each test, which is closed as asyncio.run() does."""

import asyncio

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.link import Link
from tests.support.processes import TIMEOUT_S, ProcessTestCase, wait_until


class AioTestCase(ProcessTestCase):
    """`run_(coroutine)` runs one in the test's event loop, for TIMEOUT_S at most."""

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)
        self.aio = self.grid.aio
        self.other = Link(self.launched.address, TIMEOUT_S)
        self.loop = asyncio.new_event_loop()
        self.reported = []
        self.loop.set_exception_handler(lambda loop, context: self.reported.append(context))

    def tearDown(self):
        if not self.loop.is_closed():
            self.end_loop()
        self.other.close()
        self.grid.close()
        self.launched.stop()
        super().tearDown()
        self.assertEqual(self.reported, [])

    def end_loop(self):
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run_(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT_S))

    def task(self, coroutine):
        return self.loop.create_task(coroutine)

    async def until(self, condition, what):
        """Wait for a condition, or a coroutine function that says it, while the event loop goes on."""
        deadline = self.loop.time() + TIMEOUT_S
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            if self.loop.time() > deadline:
                raise AssertionError("waited in vain for %s" % what)
            await asyncio.sleep(0.005)

    async def cancelled(self, task):
        """Cancel a task; whether it ended by that."""
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    def blocked(self):
        """How many connections wait, by the coordinator's word."""
        for line in self.other.command(b"INFO", b"clients").splitlines():
            if line.startswith(b"blocked_clients:"):
                return int(line.partition(b":")[2])
        raise AssertionError("INFO says nothing of blocked clients")

    async def waits(self, count=1):
        await self.until(lambda: self.blocked() == count, "%d that wait" % count)

    def nothing_is_left(self):
        """Nobody holds a lock or waits, once the coordinator has heard of all that was closed."""
        wait_until(lambda: not self.blocked() and not self.grid.locks(), what="locks and waits to be over")

"""MONITOR for asyncio."""

from ..monitor import BaseMonitor


class Monitor(BaseMonitor):
    """See monitor.Monitor, for an `async with`."""

    async def connect(self):
        """Take a connection of the pool, if not done yet."""
        if self.connection is None:
            self.connection = await self.connection_pool.get_connection("MONITOR")

    async def __aenter__(self):
        await self.connect()
        try:
            await self.connection.send_command("MONITOR")
            self._begun(await self.connection.read_response())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *args):
        await self.connection.disconnect()
        await self.connection_pool.release(self.connection)

    async def next_command(self):
        """The next command, as long as that takes."""
        return self._parsed(await self.connection.read_response())

    async def listen(self):
        """All commands, one by one."""
        while True:
            yield await self.next_command()

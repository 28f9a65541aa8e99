"""What takes more than one command, for asyncio clients: iterators over SCAN, and SHUTDOWN."""

from ..commands.server import shutdown_words
from ..exceptions import ConnectionError, RedisError


class IterationCommands(object):
    """Methods of a client whose commands are awaited."""

    def scan_iter(self, match=None, count=None, _type=None, **kwargs):
        """All keys that match, one by one; those that are there all the time come at least once."""
        return _iterated(lambda cursor: self.scan(cursor, match, count, _type, **kwargs))

    def sscan_iter(self, name, match=None, count=None):
        """The members of a set."""
        return _iterated(lambda cursor: self.sscan(name, cursor, match, count))

    def hscan_iter(self, name, match=None, count=None, no_values=None):
        """(name, value) of the fields of a hash, or with no_values their names."""
        async def page(cursor):
            cursor, fields = await self.hscan(name, cursor, match, count, no_values)
            return cursor, fields if no_values else fields.items()
        return _iterated(page)

    def zscan_iter(self, name, match=None, count=None, score_cast_func=float):
        """(member, score) of a sorted set."""
        return _iterated(lambda cursor: self.zscan(name, cursor, match, count, score_cast_func))

    async def shutdown(self, save=False, nosave=False, now=False, force=False, abort=False, **kwargs):
        """End the server.  Raises RedisError where it does not end."""
        try:
            await self.execute_command(*shutdown_words(save, nosave, now, force, abort), **kwargs)
        except ConnectionError:
            return
        raise RedisError("SHUTDOWN seems to have failed.")


async def _iterated(page):
    cursor = 0
    while True:
        cursor, items = await page(cursor)
        for item in items:
            yield item
        if cursor == 0:
            return

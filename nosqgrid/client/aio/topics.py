"""Await forms of topics and listeners (client/topics)."""

from ..link import named_values
from ..topics import listener, methods, subscription
from .awaits import awaits


@awaits
class Topic(methods.Topic):
    """A topic by its name.  Made by grid.aio.topic(name)."""

    __slots__ = ()

    def subscribe(self, since=subscription.NEW):
        """A Subscription to this topic: see grid.aio.subscribe."""
        return Subscription(self._store, (self.name,), since)

    async def info(self):
        """What there is of it, as a dict; None where nothing was ever published.  As that of grid.topic()."""
        reply = await self._store.here().command((b"TOPIC.INFO", self.raw_name))
        return None if reply is None else named_values(reply, self._store.address)

    async def drop(self):
        """Remove it with all its messages; whether it was there.  Its readers get CursorLostError."""
        return bool(await self._store.here().command((b"TOPIC.DROP", self.raw_name)))


class _Opens(object):
    """A reader that begins where it is awaited, entered, or first read, whatever comes first."""

    _since = subscription.NEW
    _open = False

    def __await__(self):
        return self._begun().__await__()

    async def _begun(self):
        if not self._open:
            await self.seek(self._since)
        return self

    def seek_steps(self, since=subscription.NEW):
        found = yield from super().seek_steps(since)
        self._open = True
        return found

    async def get(self, timeout=None):
        """The next one, waited for up to `timeout` seconds (None: for ever; 0: not at all); None where there is none.

        Cancelled, it has lost nothing.
        """
        await self._begun()
        return await self._store.run(self.get_steps(timeout))

    async def __aenter__(self):
        return await self._begun()

    async def __aexit__(self, kind, value, trace):
        await self.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._closed:
            raise StopAsyncIteration
        found = await self.get()
        if found is None:
            raise StopAsyncIteration
        return found


@awaits
class Subscription(_Opens, subscription.Subscription):
    """Messages of one topic, or of several; see grid.aio.subscribe."""

    def __init__(self, store, names, since):
        super().__init__(store, names)
        self._since = since

    async def close(self):
        """Read no more."""
        super().close()


@awaits
class Listener(_Opens, listener.Listener):
    """Events of the keys with a prefix; see grid.aio.listen."""

    def __init__(self, store, prefix, events, keep, since):
        super().__init__(store, prefix, events, keep)
        self._since = since

    async def close(self):
        """Listen no more; the coordinator keeps no events for this one from now on."""
        await self._store.run(self.close_steps())

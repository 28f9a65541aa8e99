"""Pools of connections for asyncio; see pool.py for what they promise.

A pool has no lock: between two awaits no other task runs.
"""

import asyncio
import collections
import os

from ..encoding import Encoder
from ..exceptions import ConnectionError
from ..urls import parse_url as parse_url_of
from .connection import Connection, SSLConnection, UnixDomainSocketConnection

_CLASSES = (Connection, SSLConnection, UnixDomainSocketConnection)


def parse_url(url):
    """The keyword arguments of a pool for a URL (urls)."""
    return parse_url_of(url, _CLASSES)


class ConnectionPool(object):
    """Connections made as they are needed, up to `max_connections`; then ConnectionError is raised."""

    def __init__(self, connection_class=Connection, max_connections=None, **connection_kwargs):
        max_connections = 2 ** 31 if max_connections is None else max_connections
        if not isinstance(max_connections, int) or max_connections < 0:
            raise ValueError('"max_connections" must be a positive integer')
        self.connection_class = connection_class
        self.connection_kwargs = connection_kwargs
        self.max_connections = max_connections
        self.reset()

    @classmethod
    def from_url(cls, url, **kwargs):
        """A pool for a URL; what the URL says goes before keyword arguments."""
        options = parse_url(url)
        if "connection_class" in kwargs:
            options["connection_class"] = kwargs["connection_class"]
        return cls(**dict(kwargs, **options))

    def __repr__(self):
        return "<%s.%s(%r)>" % (type(self).__module__, type(self).__name__,
                                self.connection_class(**self.connection_kwargs))

    def reset(self):
        """Forget all connections."""
        self._available_connections = []
        self._in_use_connections = set()
        self.pid = os.getpid()

    def _checkpid(self):
        if self.pid != os.getpid():
            self.reset()

    def can_get_connection(self):
        """Whether there is one, or one may be made."""
        return bool(self._available_connections) or len(self._in_use_connections) < self.max_connections

    async def get_connection(self, command_name=None, *keys, **options):
        """A connection that is ready for a command; to be given back with release()."""
        connection = self.get_available_connection()
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    def get_available_connection(self):
        """A connection, perhaps not connected; ConnectionError where there are too many."""
        self._checkpid()
        if self._available_connections:
            connection = self._available_connections.pop()
        else:
            if len(self._in_use_connections) >= self.max_connections:
                raise ConnectionError("Too many connections")
            connection = self.make_connection()
        self._in_use_connections.add(connection)
        return connection

    async def ensure_connection(self, connection):
        """Let it be connected, with nothing to be read."""
        await connection.connect()
        if await connection.can_read_destructive():
            await connection.disconnect()
            await connection.connect()
            if await connection.can_read_destructive():
                raise ConnectionError("Connection not ready")

    def get_encoder(self):
        """The Encoder of this pool's connections."""
        options = self.connection_kwargs
        return Encoder(options.get("encoding", "utf-8"), options.get("encoding_errors", "strict"),
                       options.get("decode_responses", False))

    def make_connection(self):
        """A new connection."""
        return self.connection_class(**self.connection_kwargs)

    async def release(self, connection):
        """Take back a connection; one that is not of this pool is closed."""
        self._checkpid()
        if connection not in self._in_use_connections:
            await connection.disconnect()
            return
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)

    async def disconnect(self, inuse_connections=True):
        """Close the connections; with inuse_connections=False only those that nobody uses."""
        self._checkpid()
        connections = list(self._available_connections)
        if inuse_connections:
            connections.extend(self._in_use_connections)
        for connection in connections:
            await connection.disconnect()

    async def aclose(self):
        """Close all connections."""
        await self.disconnect()

    def set_retry(self, retry):
        """Use another Retry."""
        self.connection_kwargs["retry"] = retry
        for connection in list(self._available_connections) + list(self._in_use_connections):
            connection.retry = retry


class BlockingConnectionPool(ConnectionPool):
    """A pool where a task waits up to `timeout` seconds (None: for ever) for a connection where all are in use."""

    def __init__(self, max_connections=50, timeout=20, connection_class=Connection, queue_class=None,
                 **connection_kwargs):
        self.timeout = timeout
        self._waiting = collections.deque()
        super().__init__(connection_class=connection_class, max_connections=max_connections, **connection_kwargs)

    async def get_connection(self, command_name=None, *keys, **options):
        """A connection that is ready for a command; ConnectionError where there is none in time."""
        loop = asyncio.get_event_loop()
        deadline = None if self.timeout is None else loop.time() + self.timeout
        while not self.can_get_connection():
            await self._wait(loop, deadline)
        return await super().get_connection(command_name, *keys, **options)

    async def _wait(self, loop, deadline):
        future = loop.create_future()
        self._waiting.append(future)
        timer = None if deadline is None else loop.call_at(deadline, _expire, future)
        try:
            await future
        except asyncio.TimeoutError:
            raise ConnectionError("No connection available.") from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake_next()  # its turn goes to somebody else
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _wake_next(self):
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    async def release(self, connection):
        """Take back a connection, for whoever waits the longest."""
        await super().release(connection)
        self._wake_next()


def _expire(future):
    if not future.done():
        future.set_exception(asyncio.TimeoutError())

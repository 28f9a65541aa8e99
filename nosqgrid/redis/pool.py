"""Pools of connections, shared by threads; after fork() a child begins with an empty one of its own.

A connection that is handed out is connected and has nothing to be read: one whose server has gone meanwhile, or that
has a reply too many, is made anew first.
"""

import contextlib
import os
import queue
import threading

from .connection import Connection, SSLConnection, UnixDomainSocketConnection
from .encoding import Encoder
from .exceptions import ChildDeadlockedError, ConnectionError
from .urls import parse_url as parse_url_of

FORK_WAIT_S = 5
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
        self._fork_lock = threading.Lock()
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
        """Forget all connections: they are somebody else's, or closed."""
        self._lock = threading.Lock()
        self._created_connections = 0
        self._available_connections = []
        self._in_use_connections = set()
        self.pid = os.getpid()  # last: it says that the rest is this process's

    def _checkpid(self):
        """In a forked child, forget the parent's connections."""
        if self.pid == os.getpid():
            return
        # The lock may have been held by a thread of the parent, which will never release it here.
        if not self._fork_lock.acquire(timeout=FORK_WAIT_S):
            raise ChildDeadlockedError()
        try:
            if self.pid != os.getpid():
                self.reset()
        finally:
            self._fork_lock.release()

    def get_connection(self, command_name=None, *keys, **options):
        """A connection that is ready for a command; to be given back with release()."""
        self._checkpid()
        with self._lock:
            connection = self._available_connections.pop() if self._available_connections else self.make_connection()
            self._in_use_connections.add(connection)
        return self._ready(connection)

    def _ready(self, connection):
        try:
            connection.connect()
            try:
                fresh = not connection.can_read()
            except (ConnectionError, OSError):
                fresh = False
            if not fresh:
                connection.disconnect()
                connection.connect()
                if connection.can_read():
                    raise ConnectionError("Connection not ready")
        except BaseException:
            self.release(connection)
            raise
        return connection

    def get_encoder(self):
        """The Encoder of this pool's connections."""
        options = self.connection_kwargs
        return Encoder(options.get("encoding", "utf-8"), options.get("encoding_errors", "strict"),
                       options.get("decode_responses", False))

    def make_connection(self):
        """A new connection, counted."""
        if self._created_connections >= self.max_connections:
            raise ConnectionError("Too many connections")
        self._created_connections += 1
        return self.connection_class(**self.connection_kwargs)

    def release(self, connection):
        """Take back a connection; one of another pool, or of the process before fork(), is closed."""
        self._checkpid()
        with self._lock:
            if connection not in self._in_use_connections:
                connection.disconnect()
                return
            self._in_use_connections.remove(connection)
            if self.owns_connection(connection):
                self._available_connections.append(connection)
            else:
                self._created_connections -= 1
                connection.disconnect()

    def owns_connection(self, connection):
        """Whether it was made in this process."""
        return connection.pid == self.pid

    def disconnect(self, inuse_connections=True):
        """Close the connections; with inuse_connections=False only those that nobody uses."""
        self._checkpid()
        with self._lock:
            connections = list(self._available_connections)
            if inuse_connections:
                connections.extend(self._in_use_connections)
            for connection in connections:
                connection.disconnect()

    def close(self):
        """Close all connections."""
        self.disconnect()

    def set_retry(self, retry):
        """Use another Retry, in connections that there are and will be."""
        self.connection_kwargs["retry"] = retry
        with self._lock:
            for connection in list(self._available_connections) + list(self._in_use_connections):
                connection.retry = retry


class BlockingConnectionPool(ConnectionPool):
    """A pool that waits up to `timeout` seconds (None: for ever) for a connection where all are in use."""

    def __init__(self, max_connections=50, timeout=20, connection_class=Connection, queue_class=queue.LifoQueue,
                 **connection_kwargs):
        self.queue_class = queue_class
        self.timeout = timeout
        super().__init__(connection_class=connection_class, max_connections=max_connections, **connection_kwargs)

    def reset(self):
        """Forget all connections."""
        self.pool = self.queue_class(self.max_connections)
        with contextlib.suppress(queue.Full):
            while True:
                self.pool.put_nowait(None)  # a place for a connection to be made
        self._connections = []
        self._lock = threading.Lock()
        self.pid = os.getpid()

    def make_connection(self):
        """A new connection."""
        connection = self.connection_class(**self.connection_kwargs)
        self._connections.append(connection)
        return connection

    def get_connection(self, command_name=None, *keys, **options):
        """A connection that is ready for a command; ConnectionError where there is none in time."""
        self._checkpid()
        try:
            connection = self.pool.get(block=True, timeout=self.timeout)
        except queue.Empty:
            raise ConnectionError("No connection available.") from None
        try:
            if connection is None:
                connection = self.make_connection()
        except BaseException:
            self.pool.put_nowait(None)
            raise
        return self._ready(connection)

    def release(self, connection):
        """Take back a connection."""
        self._checkpid()
        if not self.owns_connection(connection):
            connection.disconnect()
            with contextlib.suppress(queue.Full):
                self.pool.put_nowait(None)
            return
        with contextlib.suppress(queue.Full):  # it was made before reset()
            self.pool.put_nowait(connection)

    def disconnect(self, inuse_connections=True):
        """Close all connections."""
        self._checkpid()
        for connection in list(self._connections):
            connection.disconnect()

    def set_retry(self, retry):
        """Use another Retry."""
        self.connection_kwargs["retry"] = retry
        for connection in list(self._connections):
            connection.retry = retry

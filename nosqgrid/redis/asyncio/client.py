"""The client for asyncio."""

import asyncio
import inspect

from ..base import BaseClient, pool_options
from ..batches import EMPTY_RESPONSE, NEVER_DECODE
from ..exceptions import ResponseError, WatchError
from ..settings import LIB_NAME, LIB_VERSION
from ..urls import is_grid
from .connection import SSLConnection, UnixDomainSocketConnection
from .iteration import IterationCommands
from .pool import ConnectionPool, parse_url


class Redis(IterationCommands, BaseClient):
    """A client; see client.Redis for the arguments.  Tasks of one event loop may share it.

    With `grid`, reads of shared memory are done at once; everything else goes over the grid's socket, so that no
    command keeps the event loop waiting.
    """

    def __init__(self, *, host="localhost", port=6379, db=0, password=None, socket_timeout=None,
                 socket_connect_timeout=None, socket_keepalive=None, socket_keepalive_options=None,
                 connection_pool=None, unix_socket_path=None, encoding="utf-8", encoding_errors="strict",
                 decode_responses=False, retry_on_timeout=False, retry_on_error=None, ssl=False, ssl_keyfile=None,
                 ssl_certfile=None, ssl_cert_reqs="required", ssl_ca_certs=None, ssl_ca_data=None,
                 ssl_check_hostname=False, ssl_min_version=None, ssl_ciphers=None, max_connections=None,
                 single_connection_client=False, health_check_interval=0, client_name=None, lib_name=LIB_NAME,
                 lib_version=LIB_VERSION, username=None, retry=None, auto_close_connection_pool=None,
                 redis_connect_func=None, credential_provider=None, protocol=2, grid=None):
        given = dict(locals())
        self.auto_close_connection_pool = connection_pool is None
        if connection_pool is None and auto_close_connection_pool is not None:
            self.auto_close_connection_pool = auto_close_connection_pool
        attached = None
        if grid is not None:
            from .attached import Attached, address_of  # here alone: who attaches to no grid does not load it
            given["unix_socket_path"] = address_of(grid)
            attached = Attached(given["unix_socket_path"], given)
        if connection_pool is None:
            connection_pool = ConnectionPool(**pool_options(given, UnixDomainSocketConnection, SSLConnection))
        super().__init__(connection_pool)
        self.single_connection_client = single_connection_client
        self._turn = None
        self._attached = attached
        if attached is not None:
            attached.begin(self)

    @classmethod
    def from_url(cls, url, single_connection_client=False, auto_close_connection_pool=None, **kwargs):
        """A client for a URL (urls); what the URL says goes before keyword arguments."""
        if is_grid(url):
            options = parse_url(url)
            single = options.pop("single_connection_client", single_connection_client)
            del options["connection_class"]
            return cls(grid=options.pop("path", None) or True, single_connection_client=single,
                       **dict(kwargs, **options))
        pool = ConnectionPool.from_url(url, **kwargs)
        single = pool.connection_kwargs.pop("single_connection_client", single_connection_client)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = auto_close_connection_pool is not False
        return client

    @classmethod
    def from_pool(cls, connection_pool):
        """A client that owns a pool, and closes it with itself."""
        client = cls(connection_pool=connection_pool)
        client.auto_close_connection_pool = True
        return client

    def __await__(self):
        return self.initialize().__await__()

    async def initialize(self):
        """Connect, where one connection is kept; this client."""
        if self.single_connection_client and self.connection is None:
            async with self._one_turn():
                if self.connection is None:
                    self.connection = await self.connection_pool.get_connection("_")
        return self

    def _one_turn(self):
        if self._turn is None:  # not before there is a loop
            self._turn = asyncio.Lock()
        return self._turn

    async def __aenter__(self):
        return await self.initialize()

    async def __aexit__(self, kind, value, traceback):
        await self.aclose()

    async def aclose(self, close_connection_pool=None):
        """Give the connection back, close the pool if it is this client's own or that is asked for, leave the grid."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await self.connection_pool.release(connection)
        if close_connection_pool or close_connection_pool is None and self.auto_close_connection_pool:
            await self.connection_pool.disconnect()
        if self._attached is not None:
            self._attached.close()

    async def close(self, close_connection_pool=None):
        """aclose() by its old name."""
        await self.aclose(close_connection_pool)

    # -- commands -----------------------------------------------------------------------------------------------------

    async def execute_command(self, *args, **options):
        """Run a command, whose first word is its name; its result."""
        await self.initialize()
        name = args[0]
        if self.connection is not None:
            async with self._one_turn():  # one task after the other
                return await self._run(self.connection, name, args, options)
        connection = await self.connection_pool.get_connection(name, **options)
        try:
            return await self._run(connection, name, args, options)
        finally:
            await self.connection_pool.release(connection)

    async def _run(self, connection, name, args, options):
        return await connection.retry.call_with_retry(
            lambda: self._send_command_parse_response(connection, name, *args, **options),
            lambda error: self._disconnect_raise(connection, error))

    async def _send_command_parse_response(self, conn, command_name, *args, **options):
        await conn.send_packed_command(conn.pack_command(*args))
        return await self.parse_response(conn, command_name, **options)

    async def _disconnect_raise(self, conn, error):
        await conn.disconnect()
        if not isinstance(error, tuple(conn.retry_on_error)):
            raise error

    async def parse_response(self, connection, command_name, **options):
        """The result of a command that was sent."""
        try:
            reply = await connection.read_response(disable_decoding=NEVER_DECODE in options)
        except ResponseError:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise
        result = self._result(command_name, reply, options)
        return await result if inspect.isawaitable(result) else result

    # -- more than one command ----------------------------------------------------------------------------------------

    def pipeline(self, transaction=True, shard_hint=None):
        """A Pipeline; with transaction=False its commands are sent together and no more."""
        from .pipeline import Pipeline
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    async def transaction(self, func, *watches, shard_hint=None, value_from_callable=False, watch_delay=None):
        """Run func(pipe), maybe a coroutine, until no watched key is changed between its reads and its writes."""
        pipe = self.pipeline(True, shard_hint)
        try:
            while True:
                try:
                    if watches:
                        await pipe.watch(*watches)
                    value = func(pipe)
                    if inspect.isawaitable(value):
                        value = await value
                    results = await pipe.execute()
                    return value if value_from_callable else results
                except WatchError:
                    if watch_delay:
                        await asyncio.sleep(watch_delay)
        finally:
            await pipe.reset()

    def lock(self, name, timeout=None, sleep=0.1, blocking=True, blocking_timeout=None, lock_class=None,
             thread_local=True):
        """A Lock at a key (lock.py)."""
        from .lock import Lock
        return (lock_class or Lock)(self, name, timeout=timeout, sleep=sleep, blocking=blocking,
                                    blocking_timeout=blocking_timeout, thread_local=thread_local)

    def pubsub(self, **kwargs):
        """A PubSub (pubsub.py)."""
        from .pubsub import PubSub
        return PubSub(self.connection_pool, **kwargs)

    def monitor(self):
        """A Monitor (monitor.py), for an `async with`."""
        from .monitor import Monitor
        return Monitor(self.connection_pool)

    def register_script(self, script):
        """A Script (script.py): await it with keys and args."""
        from .script import Script
        return Script(self, script)

    def client(self):
        """A client of the same pool that keeps one connection."""
        return type(self)(connection_pool=self.connection_pool, single_connection_client=True)


StrictRedis = Redis


def from_url(url, **kwargs):
    """Redis.from_url()."""
    return Redis.from_url(url, **kwargs)

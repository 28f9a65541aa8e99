"""Subscribers for asyncio."""

import asyncio
import inspect
import time

from ..exceptions import ConnectionError, PubSubError
from ..subscriptions import Subscriptions

_RECONNECT_S = 1.0  # of run(), between two attempts


class PubSub(Subscriptions):
    """See pubsub.PubSub; handlers may be coroutines.

        async with client.pubsub() as p:
            await p.subscribe("news")
            async for message in p.listen():
                ...
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._subscribed = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, traceback):
        await self.aclose()

    def __del__(self):
        if getattr(self, "connection", None) is not None:
            self.connection.deregister_connect_callback(self.on_connect)

    async def aclose(self):
        """End all subscriptions, and the connection."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.deregister_connect_callback(self.on_connect)
            await connection.disconnect()
            await self.connection_pool.release(connection)
        self._clear()
        self._subscribed = False

    async def close(self):
        """aclose() by its old name."""
        await self.aclose()

    async def reset(self):
        """aclose() by its old name."""
        await self.aclose()

    @property
    def subscribed(self):
        """Whether there are subscriptions."""
        return self._subscribed

    async def on_connect(self, connection):
        """Subscribe again, on a new connection."""
        for kind, wanted in self._again():
            await connection.send_command(self._kinds[kind].subscribe.upper(), *wanted, check_health=False)

    # -- commands -----------------------------------------------------------------------------------------------------

    async def connect(self):
        """Take a connection of the pool, if not done yet."""
        if self.connection is None:
            self.connection = await self.connection_pool.get_connection("pubsub", self.shard_hint)
            self.connection.register_connect_callback(self.on_connect)
        else:
            await self.connection.connect()
        if self.push_handler_func is not None:
            self.connection.set_push_handler(self.push_handler_func)

    async def execute_command(self, *args):
        """Send a command; its reply comes as a message."""
        await self.connect()
        connection = self.connection
        await self._execute(connection, connection.send_command, *args, check_health=not self.subscribed)

    async def _execute(self, connection, function, *args, **kwargs):
        return await connection.retry.call_with_retry(lambda: function(*args, **kwargs),
                                                      lambda error: self._fail(connection, error))

    async def _fail(self, connection, error):
        await connection.disconnect()
        if not isinstance(error, tuple(connection.retry_on_error)):
            raise error
        await connection.connect()

    async def _subscribe(self, kind, args, handlers):
        wanted = self._wanted(args, handlers)
        result = await self.execute_command(self._kinds[kind].subscribe.upper(), *wanted)
        self._note_subscribed(kind, wanted)
        if not self._subscribed:
            self._subscribed, self.health_check_response_counter = True, 0
        return result

    def _unsubscribe(self, kind, args):
        names = self._note_unsubscribed(kind, args)
        return self.execute_command(self._kinds[kind].unsubscribe.upper(), *names)

    async def subscribe(self, *args, **kwargs):
        """Subscribe to channels; those given by name have a handler."""
        return await self._subscribe("", args, kwargs)

    async def psubscribe(self, *args, **kwargs):
        """Subscribe to patterns."""
        return await self._subscribe("p", args, kwargs)

    async def ssubscribe(self, *args, **kwargs):
        """Subscribe to shard channels."""
        return await self._subscribe("s", args, kwargs)

    def unsubscribe(self, *args):
        """Leave channels, or all; to be awaited."""
        return self._unsubscribe("", args)

    def punsubscribe(self, *args):
        """Leave patterns, or all; to be awaited."""
        return self._unsubscribe("p", args)

    def sunsubscribe(self, *args):
        """Leave shard channels, or all; to be awaited."""
        return self._unsubscribe("s", args)

    def ping(self, message=None):
        """Ask for a message of type pong; to be awaited."""
        return self.execute_command(*(("PING",) if message is None else ("PING", message)))

    # -- messages -----------------------------------------------------------------------------------------------------

    async def check_health(self):
        """Send a PING where it is time."""
        connection = self._connected()
        if connection.health_check_interval and time.monotonic() > connection.next_health_check:
            await connection.send_command("PING", self.HEALTH_CHECK_MESSAGE, check_health=False)
            self.health_check_response_counter += 1

    def _connected(self):
        if self.connection is None:
            raise RuntimeError("pubsub connection not set: did you forget to call subscribe() or psubscribe()?")
        return self.connection

    async def parse_response(self, block=True, timeout=0):
        """The next reply, None where there is none within `timeout` seconds or it answers a health check."""
        connection = self._connected()
        await self.check_health()

        async def read():
            await connection.connect()
            if not block and not await connection.can_read(timeout):
                return None
            return await connection.read_response(timeout=None, disconnect_on_error=False, push_request=True)

        response = await self._execute(connection, read)
        if self.is_health_check_response(response):
            self.health_check_response_counter -= 1
            return None
        return response

    async def listen(self):
        """Messages, one by one, as long as there are subscriptions."""
        while self.subscribed:
            message = await self.handle_message(await self.parse_response(block=True))
            if message is not None:
                yield message

    async def get_message(self, ignore_subscribe_messages=False, timeout=0.0):
        """The next message, or None: where none comes in so many seconds (None: for ever), it is ignored, or went to a
        handler."""
        response = await self.parse_response(block=timeout is None, timeout=timeout)
        return await self.handle_message(response, ignore_subscribe_messages) if response else None

    async def handle_message(self, response, ignore_subscribe_messages=False):
        """The message of a reply; None where it was for a handler, or is ignored."""
        if response is None:
            return None
        message, handler = self._message(response)
        if not self._anything():
            self._subscribed = False
        if handler is not None:
            result = handler(message)
            if inspect.isawaitable(result):
                await result
            return None
        return None if self._ignored(message, ignore_subscribe_messages) else message

    async def run(self, *, exception_handler=None, poll_timeout=1.0):
        """Hand messages to their handlers until the task is cancelled; every subscription needs one.

        exception_handler(error, pubsub), which may be a coroutine, decides about errors.
        """
        for names, what in ((self.channels, "Channel"), (self.patterns, "Pattern")):
            for name, handler in names.items():
                if handler is None:
                    raise PubSubError("%s: '%s' has no handler registered" % (what, name))
        await self.connect()
        while True:
            try:
                await self.get_message(ignore_subscribe_messages=True, timeout=poll_timeout)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                if exception_handler is None:
                    raise
                result = exception_handler(error, self)
                if inspect.isawaitable(result):
                    await result
                if isinstance(error, ConnectionError):
                    await asyncio.sleep(_RECONNECT_S)
            await asyncio.sleep(0)

"""Connections over TCP, TLS and Unix sockets for asyncio; one is used by one task at a time.

Invariant: a reply belongs to the command before it.  Whatever interrupts a command between sending and the end of its
reply, a cancelled task included, closes the connection.
"""

import asyncio
import inspect
import os
import socket
import time

from ..exceptions import ConnectionError, RedisError, ResponseError, TimeoutError
from ..handshake import handshake
from ..parser import NEED_MORE, Push
from ..settings import ConnectionSettings, TlsOptions, keepalive_options
from .channel import Channel
from .retry import Retry

_CLOSED = "Connection closed by server."
_KEEP = object()  # of a timeout: that of the connection


class AbstractConnection(ConnectionSettings):
    """See settings.ConnectionSettings for the arguments; a subclass has _connect() and _host_error()."""

    retry_class = Retry

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._channel = None
        self._loop = None

    def __del__(self):
        channel = getattr(self, "_channel", None)
        if channel is not None and not channel.ended and self.pid == os.getpid():
            self._close()

    @property
    def is_connected(self):
        """Whether it is connected, as far as is known."""
        return self._channel is not None and not self._channel.ended

    # -- connecting ---------------------------------------------------------------------------------------------------

    async def connect(self):
        """Connect and say hello, if not done yet.  Raises ConnectionError, TimeoutError, AuthenticationError."""
        loop = asyncio.get_event_loop()
        if self._channel is not None and self._loop is loop:
            return
        self._forget()  # one of another loop
        try:
            self._channel = await self.retry.call_with_retry(lambda: self._connect_in_time(loop), _again)
        except asyncio.TimeoutError:
            raise TimeoutError("Timeout connecting to server") from None
        except OSError as error:
            raise ConnectionError(self._error_message(error)) from error
        self._loop, self.pid = loop, os.getpid()
        self._parser.clear()
        try:
            if self.redis_connect_func is None:
                await self.on_connect()
            else:
                await _awaited(self.redis_connect_func(self))
        except BaseException:
            self._close()
            raise
        for callback in list(self._connect_callbacks):
            await _awaited(callback(self))

    async def _connect_in_time(self, loop):
        if self.socket_connect_timeout is None:
            return await self._connect(loop)
        try:
            return await asyncio.wait_for(self._connect(loop), self.socket_connect_timeout)
        except asyncio.TimeoutError:
            raise TimeoutError("Timeout connecting to server") from None

    async def _connect(self, loop):
        raise NotImplementedError("a connection says how it connects")

    def _host_error(self):
        raise NotImplementedError("a connection says what it connects to")

    async def on_connect(self):
        """The handshake."""
        steps, replies = handshake(self), None
        while True:
            try:
                commands = steps.send(replies)
            except StopIteration:
                return
            await self.send_packed_command(self.pack_commands(commands), check_health=False)
            replies = [await self._reply_or_error() for _ in commands]

    async def _reply_or_error(self):
        try:
            return await self.read_response()
        except (ResponseError, ConnectionError) as error:
            if self._channel is None:
                raise
            return error

    async def disconnect(self, nowait=False):
        """Close it."""
        channel = self._channel
        self._close()
        if channel is not None and not nowait and self._loop is asyncio.get_event_loop():
            await channel.closed()

    def _close(self):
        channel = self._channel
        self._forget()
        # In a forked child, or after the end of its loop, it is nobody's to close; its socket goes with it.
        if channel is not None and self.pid == os.getpid() and not self._loop.is_closed():
            channel.close()

    def _forget(self):
        self._parser.clear()
        self._channel = None

    # -- health -------------------------------------------------------------------------------------------------------

    async def check_health(self):
        """Ask an idle connection for a sign of life, where it is time; a dead one is made anew."""
        if self.health_check_interval and time.monotonic() > self.next_health_check:
            await self.retry.call_with_retry(self._send_ping, self._ping_failed)

    async def _send_ping(self):
        await self.send_command("PING", check_health=False)
        if await self.read_response() not in (b"PONG", "PONG"):
            raise ConnectionError("Bad response from PING health check")

    async def _ping_failed(self, error):
        await self.disconnect()

    # -- sending and receiving ----------------------------------------------------------------------------------------

    async def send_packed_command(self, command, check_health=True):
        """Send bytes, or a list of them; connects where that is not done yet."""
        if self._channel is None or self._loop is not asyncio.get_event_loop():
            await self.connect()
        if check_health and self.health_check_interval:
            await self.check_health()
        if isinstance(command, str):
            command = command.encode()
        try:
            await self._channel.send([command] if isinstance(command, bytes) else command)
        except BaseException:
            self._close()
            raise

    async def send_command(self, *args, **kwargs):
        """Send a command; check_health=False leaves out the look at its health."""
        await self.send_packed_command(self.pack_command(*args), kwargs.get("check_health", True))

    async def can_read_destructive(self):
        """Whether there is something to read that nobody asked for, or the end."""
        return self._channel is None or self._channel.unread() or self._parser.pending()

    async def can_read(self, timeout=0):
        """Whether there is something to read, or the end, within so many seconds."""
        if self._channel is None:
            await self.connect()
        if self._parser.pending() or self._channel.unread():
            return True
        if timeout is not None and timeout <= 0:
            await asyncio.sleep(0)  # the loop has a look
            return self._channel is None or self._channel.unread()
        try:
            await self._channel.wait(timeout)
        except TimeoutError:
            return False
        return True

    async def read_response(self, disable_decoding=False, timeout=_KEEP, *, disconnect_on_error=True,
                            push_request=False):
        """The next reply; an error reply is raised.  `timeout` in seconds in place of the connection's.

        With push_request a message that nobody asked for counts as a reply.
        """
        parser, decode = self._parser, self.encoder.decode_responses and not disable_decoding
        try:
            while True:
                reply = parser.read(decode)
                if reply is NEED_MORE:
                    await self._receive(parser, self.socket_timeout if timeout is _KEEP else timeout)
                elif type(reply) is not Push or push_request:
                    break
                elif self.push_handler is not None:
                    await _awaited(self.push_handler(reply))
        except BaseException:
            if disconnect_on_error:
                self._close()
            raise
        if self.health_check_interval:
            self.next_health_check = time.monotonic() + self.health_check_interval
        if isinstance(reply, RedisError):
            raise reply
        return reply

    async def _receive(self, parser, timeout):
        channel = self._channel
        if channel is None:
            raise ConnectionError(_CLOSED)
        try:
            await channel.wait(timeout)
        except TimeoutError:
            raise TimeoutError("Timeout reading from %s" % self._host_error()) from None
        data = channel.take()
        if data:
            parser.feed(data)
        elif channel.error is not None:
            raise ConnectionError("Error while reading from %s : %s" % (self._host_error(), channel.error.args))
        else:
            raise ConnectionError(_CLOSED)


class Connection(AbstractConnection):
    """A connection over TCP."""

    def __init__(self, *, host="localhost", port=6379, socket_keepalive=False, socket_keepalive_options=None,
                 socket_type=0, **kwargs):
        self.host = host
        self.port = int(port)
        self.socket_keepalive = socket_keepalive
        self.socket_keepalive_options = socket_keepalive_options or {}
        self.socket_type = socket_type
        super().__init__(**kwargs)

    def repr_pieces(self):
        pieces = [("host", self.host), ("port", self.port), ("db", self.db)]
        return pieces + [("client_name", self.client_name)] if self.client_name else pieces

    def _tls_options(self):
        return {}

    async def _connect(self, loop):
        _, channel = await loop.create_connection(Channel, self.host, self.port, **self._tls_options())
        sock = channel.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.socket_keepalive:
                keepalive_options(sock, self.socket_keepalive_options)
        return channel

    def _host_error(self):
        return "%s:%s" % (self.host, self.port)


class SSLConnection(TlsOptions, Connection):
    """A connection over TLS; see tls.TlsSettings for the arguments."""

    def _tls_options(self):
        return {"ssl": self.tls.context(), "server_hostname": self.host}


class UnixDomainSocketConnection(AbstractConnection):
    """A connection over a Unix socket, to its `path`."""

    def __init__(self, *, path="", **kwargs):
        self.path = path
        super().__init__(**kwargs)

    def repr_pieces(self):
        pieces = [("path", self.path), ("db", self.db)]
        return pieces + [("client_name", self.client_name)] if self.client_name else pieces

    async def _connect(self, loop):
        return (await loop.create_unix_connection(Channel, self.path))[1]

    def _host_error(self):
        return self.path


async def _awaited(value):
    return await value if inspect.isawaitable(value) else value


async def _again(error):
    """Nothing is to be undone where connecting failed."""

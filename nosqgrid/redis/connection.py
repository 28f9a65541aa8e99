"""Connections over TCP, TLS and Unix sockets; one is used by one thread at a time.

Invariants
 1. A reply belongs to the command before it: whatever interrupts a command between sending and the end of its reply, an
    exception out of a signal handler included, closes the connection.
 2. After fork() a child does not speak on its parent's connection; pools see to that, and closing one in a child does
    not shut it down for the parent.
"""

import contextlib
import os
import select
import socket
import time

from .exceptions import ConnectionError, RedisError, ResponseError, TimeoutError
from .handshake import handshake
from .parser import NEED_MORE, Push
from .retry import Retry
from .settings import READ_BYTES_MAX, ConnectionSettings, keepalive_options

_CLOSED = "Connection closed by server."
_KEEP = object()  # of a timeout: that of the connection


class AbstractConnection(ConnectionSettings):
    """See settings.ConnectionSettings for the arguments; a subclass has _connect() and _host_error()."""

    retry_class = Retry

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._sock = None
        self._poll = None

    def __del__(self):
        # getattr: __init__ may have been refused.
        if getattr(self, "_sock", None) is not None:
            self.disconnect()

    # -- connecting ---------------------------------------------------------------------------------------------------

    def connect(self):
        """Connect and say hello, if not done yet.  Raises ConnectionError, TimeoutError, AuthenticationError."""
        if self._sock is not None:
            return
        try:
            sock = self.retry.call_with_retry(self._connect, lambda error: self.disconnect())
        except socket.timeout:
            raise TimeoutError("Timeout connecting to server") from None
        except OSError as error:
            raise ConnectionError(self._error_message(error)) from error
        self._take(sock)
        try:
            if self.redis_connect_func is None:
                self.on_connect()
            else:
                self.redis_connect_func(self)
        except BaseException:
            self.disconnect()
            raise
        for callback in list(self._connect_callbacks):
            callback(self)

    def _take(self, sock):
        self._sock = sock
        self._parser.clear()
        self.pid = os.getpid()
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(sock, select.POLLIN)

    def _connect(self):
        raise NotImplementedError("a connection says how it connects")

    def _host_error(self):
        raise NotImplementedError("a connection says what it connects to")

    def on_connect(self):
        """The handshake."""
        steps, replies = handshake(self), None
        while True:
            try:
                commands = steps.send(replies)
            except StopIteration:
                return
            self.send_packed_command(self.pack_commands(commands), check_health=False)
            replies = [self._reply_or_error() for _ in commands]

    def _reply_or_error(self):
        try:
            return self.read_response()
        except (ResponseError, ConnectionError) as error:
            if self._sock is None:
                raise
            return error

    def disconnect(self, *args):
        """Close the socket."""
        self._parser.clear()
        sock, self._sock, self._poll = self._sock, None, None
        if sock is None:
            return
        if os.getpid() == self.pid:
            with contextlib.suppress(OSError):  # the other end was faster
                sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            sock.close()

    # -- health -------------------------------------------------------------------------------------------------------

    def check_health(self):
        """Ask an idle connection for a sign of life, where it is time; a dead one is made anew."""
        if self.health_check_interval and time.monotonic() > self.next_health_check:
            self.retry.call_with_retry(self._send_ping, self._ping_failed)

    def _send_ping(self):
        self.send_command("PING", check_health=False)
        if self.read_response() not in (b"PONG", "PONG"):
            raise ConnectionError("Bad response from PING health check")

    def _ping_failed(self, error):
        self.disconnect()

    # -- sending and receiving ----------------------------------------------------------------------------------------

    def send_packed_command(self, command, check_health=True):
        """Send bytes, or a list of them; connects where that is not done yet."""
        if self._sock is None:
            self.connect()
        if check_health and self.health_check_interval:
            self.check_health()
        try:
            if isinstance(command, (bytes, str)):
                command = [command if isinstance(command, bytes) else command.encode()]
            for piece in command:
                self._sock.sendall(piece)
        except socket.timeout:
            self.disconnect()
            raise TimeoutError("Timeout writing to socket") from None
        except OSError as error:
            self.disconnect()
            number, text = ("UNKNOWN", error.args[0]) if len(error.args) == 1 else error.args[:2]
            raise ConnectionError("Error %s while writing to socket. %s." % (number, text)) from error
        except BaseException:
            self.disconnect()
            raise

    def send_command(self, *args, **kwargs):
        """Send a command; check_health=False leaves out the look at its health."""
        self.send_packed_command(self.pack_command(*args), kwargs.get("check_health", True))

    def can_read(self, timeout=0):
        """Whether there is something to read, or the end, within so many seconds."""
        if self._sock is None:
            self.connect()
        if self._parser.pending():
            return True
        try:
            if self._pending_in_socket():
                return True
            if self._poll is not None:
                return bool(self._poll.poll(None if timeout is None else timeout * 1000))
            return bool(select.select([self._sock], [], [], timeout)[0])
        except OSError as error:
            self.disconnect()
            raise ConnectionError("Error while reading from %s: %s" % (self._host_error(), error.args)) from error

    def _pending_in_socket(self):
        """Whether the socket object itself holds bytes that the kernel does not know of (TLS)."""
        return False

    def read_response(self, disable_decoding=False, *, timeout=_KEEP, disconnect_on_error=True, push_request=False):
        """The next reply; an error reply is raised.  `timeout` in seconds in place of the connection's.

        With push_request a message that nobody asked for counts as a reply.
        """
        parser, decode = self._parser, self.encoder.decode_responses and not disable_decoding
        try:
            while True:
                reply = parser.read(decode)
                if reply is NEED_MORE:
                    self._receive(parser, timeout)
                elif type(reply) is not Push or push_request:
                    break
                elif self.push_handler is not None:
                    self.push_handler(reply)
        except socket.timeout:
            if disconnect_on_error:
                self.disconnect()
            raise TimeoutError("Timeout reading from %s" % self._host_error()) from None
        except OSError as error:
            if disconnect_on_error:
                self.disconnect()
            raise ConnectionError("Error while reading from %s : %s" % (self._host_error(), error.args)) from error
        except BaseException:
            # RedisError too: the end of the stream, or bytes that are no reply.
            if disconnect_on_error:
                self.disconnect()
            raise
        if self.health_check_interval:
            self.next_health_check = time.monotonic() + self.health_check_interval
        if isinstance(reply, RedisError):
            raise reply
        return reply

    def _receive(self, parser, timeout):
        sock = self._sock
        if sock is None:
            raise ConnectionError(_CLOSED)
        if timeout is not _KEEP:
            sock.settimeout(timeout)
        try:
            data = sock.recv(min(max(self._socket_read_size, parser.missing), READ_BYTES_MAX))
        finally:
            if timeout is not _KEEP and self._sock is sock:
                sock.settimeout(self.socket_timeout)
        if not data:
            raise ConnectionError(_CLOSED)
        parser.feed(data)


class Connection(AbstractConnection):
    """A connection over TCP."""

    def __init__(self, host="localhost", port=6379, socket_keepalive=False, socket_keepalive_options=None,
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

    def _connect(self):
        failure = None
        for family, kind, number, _, address in socket.getaddrinfo(self.host, self.port, self.socket_type,
                                                                   socket.SOCK_STREAM):
            sock = None
            try:
                sock = socket.socket(family, kind, number)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.socket_keepalive:
                    keepalive_options(sock, self.socket_keepalive_options)
                sock.settimeout(self.socket_connect_timeout)
                sock.connect(address)
                sock.settimeout(self.socket_timeout)
                return sock
            except OSError as error:
                failure = error
                if sock is not None:
                    sock.close()
        raise failure if failure is not None else OSError("socket.getaddrinfo returned an empty list")

    def _host_error(self):
        return "%s:%s" % (self.host, self.port)


class SSLConnection(Connection):
    """A connection over TLS; see tls.TlsSettings for the arguments."""

    def __init__(self, **kwargs):
        from .tls import TlsSettings  # here alone: who uses no TLS does not load it
        self.tls = TlsSettings(kwargs)
        super().__init__(**kwargs)

    def __getattr__(self, name):
        # The options stand in the connection, as in redis-py: connection.cert_reqs, connection.ca_certs, ...
        tls = self.__dict__.get("tls")
        if tls is None or not hasattr(tls, name):
            raise AttributeError("%s has no %s" % (type(self).__name__, name))
        return getattr(tls, name)

    def _connect(self):
        sock = super()._connect()
        try:
            return self.tls.context().wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise

    def _pending_in_socket(self):
        return self._sock.pending() > 0


class UnixDomainSocketConnection(AbstractConnection):
    """A connection over a Unix socket, to its `path`."""

    def __init__(self, path="", socket_timeout=None, **kwargs):
        self.path = path
        super().__init__(socket_timeout=socket_timeout, **kwargs)

    def repr_pieces(self):
        pieces = [("path", self.path), ("db", self.db)]
        return pieces + [("client_name", self.client_name)] if self.client_name else pieces

    def _connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.socket_connect_timeout)
            sock.connect(self.path)
            sock.settimeout(self.socket_timeout)
        except BaseException:
            sock.close()
            raise
        return sock

    def _host_error(self):
        return self.path

"""What sync and asyncio connections have in common: their settings, messages and names."""

import copy
import os
import socket

from .backoff import NoBackoff
from .encoding import Encoder, pack, pack_all
from .exceptions import ConnectionError, DataError, TimeoutError
from .parser import ReplyParser

READ_BYTES = 65536
READ_BYTES_MAX = 1024 * 1024  # of a long reply in one call
LIB_NAME = "nosqgrid"
LIB_VERSION = "0.1.0"
_UNSET = object()


class ConnectionSettings(object):
    """The keyword arguments of every connection, and what follows from them.

    Args:
        db, username, password, credential_provider, client_name, protocol (2 or 3), lib_name, lib_version: what the
            server is told.
        socket_timeout, socket_connect_timeout: seconds, None for ever.
        retry_on_timeout, retry_on_error (a list of classes), retry (a Retry): which calls are made again.
        encoding, encoding_errors, decode_responses: of words and replies.
        health_check_interval: seconds after which an idle connection is asked for a sign of life before it is used.
        redis_connect_func: called with the connection in place of the handshake.
    """

    retry_class = None

    def __init__(self, db=0, password=None, socket_timeout=None, socket_connect_timeout=None, retry_on_timeout=False,
                 retry_on_error=_UNSET, encoding="utf-8", encoding_errors="strict", decode_responses=False,
                 parser_class=ReplyParser, socket_read_size=READ_BYTES, health_check_interval=0, client_name=None,
                 lib_name=LIB_NAME, lib_version=LIB_VERSION, username=None, retry=None, redis_connect_func=None,
                 credential_provider=None, protocol=2, command_packer=None):
        if credential_provider is not None and (username or password):
            raise DataError(
                "'username' and 'password' cannot be passed along with 'credential_provider'. Please provide only "
                "one of the following arguments: \n1. 'password' and (optional) 'username'\n2. 'credential_provider'")
        self.pid = os.getpid()
        self.db, self.client_name = db, client_name
        self.username, self.password, self.credential_provider = username, password, credential_provider
        self.lib_name, self.lib_version = lib_name, lib_version
        self.socket_timeout = socket_timeout
        self.socket_connect_timeout = socket_timeout if socket_connect_timeout is None else socket_connect_timeout
        self.retry_on_timeout = retry_on_timeout
        self._set_retry(retry, retry_on_timeout, [] if retry_on_error is _UNSET else list(retry_on_error or []))
        self.protocol = _protocol_number(protocol)
        self.encoder = Encoder(encoding, encoding_errors, decode_responses)
        self.health_check_interval = health_check_interval
        self.next_health_check = 0
        self.redis_connect_func = redis_connect_func
        self.set_parser(parser_class)
        self._socket_read_size = socket_read_size
        self._connect_callbacks = []
        self._command_packer = command_packer
        self.push_handler = None

    def _set_retry(self, retry, retry_on_timeout, retry_on_error):
        if retry_on_timeout:
            retry_on_error.append(TimeoutError)
        self.retry_on_error = retry_on_error
        if retry is not None or retry_on_error:
            self.retry = self.retry_class(NoBackoff(), 1) if retry is None else copy.deepcopy(retry)
            self.retry.update_supported_errors(retry_on_error)
        else:
            self.retry = self.retry_class(NoBackoff(), 0)

    def __repr__(self):
        pieces = ",".join("%s=%s" % pair for pair in self.repr_pieces())
        return "<%s.%s(%s)>" % (type(self).__module__, type(self).__name__, pieces)

    def repr_pieces(self):
        """(name, value) of what tells connections apart."""
        raise NotImplementedError("a connection says what it connects to")

    def set_parser(self, parser_class):
        """Read replies with another class of parser."""
        self._parser = parser_class(self.encoder.encoding, self.encoder.encoding_errors)

    def set_push_handler(self, handler):
        """What is called with messages of RESP3 that nobody asked for."""
        self.push_handler = handler

    def register_connect_callback(self, callback):
        """Call it, with the connection, after each handshake."""
        if callback not in self._connect_callbacks:
            self._connect_callbacks.append(callback)

    def deregister_connect_callback(self, callback):
        """Do not call it any more."""
        if callback in self._connect_callbacks:
            self._connect_callbacks.remove(callback)

    def pack_command(self, *args):
        """A command as a list of pieces of bytes."""
        if self._command_packer is not None:
            return self._command_packer.pack(*args)
        return pack(args, self.encoder)

    def pack_commands(self, commands):
        """Several commands as a list of pieces of bytes."""
        return pack_all(commands, self.encoder)

    def _error_message(self, exception):
        """Why connecting failed, in the words of redis-py."""
        args, where = exception.args, self._host_error()
        if not args:
            return "Error connecting to %s." % where
        if len(args) == 1:
            return "Error %s connecting to %s." % (args[0], where)
        return "Error %s connecting to %s. %s." % (args[0], where, args[1])


def _protocol_number(protocol):
    try:
        number = int(2 if protocol is None else protocol)
    except (TypeError, ValueError):
        raise ConnectionError("protocol must be an integer") from None
    if number not in (2, 3):
        raise ConnectionError("protocol must be either 2 or 3")
    return number


def keepalive_options(sock, options):
    """Turn keepalive on, with its options."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (options or {}).items():
        sock.setsockopt(socket.IPPROTO_TCP, name, value)

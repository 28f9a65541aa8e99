"""The client: commands as methods, over a pool of connections, or attached to a grid."""

import copy
import time
import warnings

from .batches import EMPTY_RESPONSE, NEVER_DECODE
from .commands import CoreCommands
from .commands.iteration import IterationCommands
from .commands.server import ShutdownCommand
from .connection import SSLConnection, UnixDomainSocketConnection
from .exceptions import ResponseError, TimeoutError, WatchError
from .pool import ConnectionPool, parse_url
from .responses import callbacks, parsed
from .settings import LIB_NAME, LIB_VERSION
from .urls import is_grid


class Redis(IterationCommands, ShutdownCommand, CoreCommands):
    """A client.  Threads may share it; each command takes a connection of the pool and gives it back.

    Args:
        host, port, unix_socket_path: where the server is.
        grid: path of a grid's socket, or a Grid: attach to it (attached.py); True for the default path.
        db, username, password, ...: see settings.ConnectionSettings; ssl and ssl_*: see tls.TlsSettings.
        max_connections: of the pool; or give a connection_pool, and nothing of all this.
        single_connection_client: keep one connection for all commands; then it is for one thread.
    A forked child makes connections of its own.
    """

    def __init__(self, host="localhost", port=6379, db=0, password=None, socket_timeout=None,
                 socket_connect_timeout=None, socket_keepalive=None, socket_keepalive_options=None,
                 connection_pool=None, unix_socket_path=None, encoding="utf-8", encoding_errors="strict", charset=None,
                 errors=None, decode_responses=False, retry_on_timeout=False, retry_on_error=None, ssl=False,
                 ssl_keyfile=None, ssl_certfile=None, ssl_cert_reqs="required", ssl_ca_certs=None, ssl_ca_path=None,
                 ssl_ca_data=None, ssl_check_hostname=False, ssl_password=None, ssl_validate_ocsp=False,
                 ssl_validate_ocsp_stapled=False, ssl_ocsp_context=None, ssl_ocsp_expected_cert=None,
                 ssl_min_version=None, ssl_ciphers=None, max_connections=None, single_connection_client=False,
                 health_check_interval=0, client_name=None, lib_name=LIB_NAME, lib_version=LIB_VERSION, username=None,
                 retry=None, redis_connect_func=None, credential_provider=None, protocol=2, grid=None):
        given = dict(locals())
        self.auto_close_connection_pool = connection_pool is None
        attached = None
        if grid is not None:
            from .attached import Attached, address_of  # here alone: who attaches to no grid does not load it
            given["unix_socket_path"] = address_of(grid)
            attached = Attached(given["unix_socket_path"], given)
        self.connection_pool = ConnectionPool(**pool_options(given)) if connection_pool is None else connection_pool
        self.connection = None
        self.response_callbacks = callbacks(self.connection_pool.connection_kwargs.get("protocol"))
        self._attached = attached
        if attached is not None:
            attached.begin(self)
        if single_connection_client:
            self.connection = self.connection_pool.get_connection("_")

    @classmethod
    def from_url(cls, url, **kwargs):
        """A client for a URL (urls); what the URL says goes before keyword arguments."""
        single = kwargs.pop("single_connection_client", False)
        if is_grid(url):
            options = parse_url(url)
            single = options.pop("single_connection_client", single)
            del options["connection_class"]
            grid = options.pop("path", None) or True
            return cls(grid=grid, single_connection_client=single, **dict(kwargs, **options))
        pool = ConnectionPool.from_url(url, **kwargs)
        single = pool.connection_kwargs.pop("single_connection_client", single)
        client = cls(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client

    @classmethod
    def from_pool(cls, connection_pool):
        """A client that owns a pool, and closes it with itself."""
        client = cls(connection_pool=connection_pool)
        client.auto_close_connection_pool = True
        return client

    def __repr__(self):
        return "<%s.%s(%r)>" % (type(self).__module__, type(self).__name__, self.connection_pool)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def __del__(self):
        if getattr(self, "connection", None) is not None:
            self.close()

    def close(self):
        """Give the connection back, close the pool if it is this client's own, and leave the grid."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self.connection_pool.release(connection)
        if self.auto_close_connection_pool:
            self.connection_pool.disconnect()
        if self._attached is not None:
            self._attached.close()

    # -- what it is made of -------------------------------------------------------------------------------------------

    def get_encoder(self):
        """The Encoder of its connections."""
        return self.connection_pool.get_encoder()

    def get_connection_kwargs(self):
        """The keyword arguments of its connections."""
        return self.connection_pool.connection_kwargs

    def get_retry(self):
        """The Retry of its connections."""
        return self.get_connection_kwargs().get("retry")

    def set_retry(self, retry):
        """Use another Retry."""
        self.get_connection_kwargs()["retry"] = retry
        self.connection_pool.set_retry(retry)

    def set_response_callback(self, command, callback):
        """Let callback(reply, **options) make the result of a command."""
        self.response_callbacks[command] = callback
        if self._attached is not None:
            self._attached.forget_shortcuts(self)

    def load_external_module(self, funcname, func):
        """Give this client another method."""
        setattr(self, funcname, func)

    # -- commands -----------------------------------------------------------------------------------------------------

    def execute_command(self, *args, **options):
        """Run a command, whose first word is its name; its result.

        Options: NEVER_DECODE leaves the reply bytes; others are for the function that makes the result of it.
        """
        attached = self._attached
        if attached is not None and attached.takes(args):
            return self._result(args[0], attached.run(args, NEVER_DECODE in options), options)
        name = args[0]
        connection = self.connection
        if connection is None:
            connection = self.connection_pool.get_connection(name, **options)
        try:
            return connection.retry.call_with_retry(
                lambda: self._send_command_parse_response(connection, name, *args, **options),
                lambda error: self._disconnect_raise(connection, error))
        finally:
            if self.connection is None:
                self.connection_pool.release(connection)

    def _send_command_parse_response(self, conn, command_name, *args, **options):
        conn.send_packed_command(conn.pack_command(*args))
        return self.parse_response(conn, command_name, **options)

    def _disconnect_raise(self, conn, error):
        conn.disconnect()
        if not isinstance(error, tuple(conn.retry_on_error)):
            raise error

    def parse_response(self, connection, command_name, **options):
        """The result of a command that was sent."""
        try:
            reply = connection.read_response(disable_decoding=NEVER_DECODE in options)
        except ResponseError:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise
        return self._result(command_name, reply, options)

    def _result(self, name, reply, options):
        return parsed(self.response_callbacks, name, reply, options)

    # -- more than one command ----------------------------------------------------------------------------------------

    def pipeline(self, transaction=True, shard_hint=None):
        """A Pipeline; with transaction=False its commands are sent together and no more."""
        from .pipeline import Pipeline
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    def transaction(self, func, *watches, **kwargs):
        """Run func(pipe) until no watched key is changed between its reads and its writes; what execute() returns.

        func reads, calls pipe.multi(), and queues.  value_from_callable=True: return what func returned; watch_delay:
        seconds between attempts.
        """
        shard_hint = kwargs.pop("shard_hint", None)
        value_from_callable = kwargs.pop("value_from_callable", False)
        watch_delay = kwargs.pop("watch_delay", None)
        with self.pipeline(True, shard_hint) as pipe:
            while True:
                try:
                    if watches:
                        pipe.watch(*watches)
                    value = func(pipe)
                    results = pipe.execute()
                    return value if value_from_callable else results
                except WatchError:
                    if watch_delay:
                        time.sleep(watch_delay)

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
        """A Monitor (monitor.py), for a `with`."""
        from .monitor import Monitor
        return Monitor(self.connection_pool)

    def register_script(self, script):
        """A Script (script.py): call it with keys and args."""
        from .script import Script
        return Script(self, script)

    def client(self):
        """A client of the same pool that keeps one connection."""
        return type(self)(connection_pool=self.connection_pool, single_connection_client=True)

    def watch(self, *names):
        """Only a pipeline watches keys."""
        raise NotImplementedError("watch() is for pipelines: use client.pipeline() or client.transaction()")

    def unwatch(self):
        """Only a pipeline watches keys."""
        raise NotImplementedError("unwatch() is for pipelines: use client.pipeline() or client.transaction()")


StrictRedis = Redis


def from_url(url, **kwargs):
    """Redis.from_url()."""
    return Redis.from_url(url, **kwargs)


_OF_CONNECTIONS = ("db username password socket_timeout encoding encoding_errors decode_responses max_connections"
                   " health_check_interval client_name lib_name lib_version redis_connect_func credential_provider"
                   " protocol").split()
_OF_TCP = ("host", "port", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options")
_OF_TLS = ("ssl_keyfile ssl_certfile ssl_cert_reqs ssl_ca_certs ssl_ca_path ssl_ca_data ssl_check_hostname ssl_password"
           " ssl_validate_ocsp ssl_validate_ocsp_stapled ssl_ocsp_context ssl_ocsp_expected_cert ssl_min_version"
           " ssl_ciphers").split()


def pool_options(given, unix_class=UnixDomainSocketConnection, tls_class=SSLConnection):
    """The keyword arguments of a pool for those of a client."""
    given = dict(given)
    for old, new in (("charset", "encoding"), ("errors", "encoding_errors")):
        if given.get(old) is not None:
            warnings.warn(DeprecationWarning('"%s" is deprecated. Use "%s" instead' % (old, new)), stacklevel=3)
            given[new] = given[old]
    options = {name: given[name] for name in _OF_CONNECTIONS}
    options["retry"] = copy.deepcopy(given["retry"])
    options["retry_on_error"] = list(given["retry_on_error"] or ()) + ([TimeoutError] if given["retry_on_timeout"]
                                                                       else [])
    if given["unix_socket_path"] is not None:
        options.update(path=given["unix_socket_path"], connection_class=unix_class)
        return options
    options.update((name, given[name]) for name in _OF_TCP)
    if given["ssl"]:
        options.update((name, given.get(name)) for name in _OF_TLS)
        options["connection_class"] = tls_class
    return options

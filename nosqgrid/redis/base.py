"""What sync and asyncio clients have in common: everything but input and output."""

import copy
import warnings

from .commands import CoreCommands
from .exceptions import TimeoutError
from .responses import callbacks, parsed


class BaseClient(CoreCommands):
    """A client of a pool; `connection` is the one that it keeps, or None."""

    _attached = None

    def __init__(self, connection_pool):
        self.connection_pool = connection_pool
        self.connection = None
        self.response_callbacks = callbacks(connection_pool.connection_kwargs.get("protocol"))

    def __repr__(self):
        return "<%s.%s(%r)>" % (type(self).__module__, type(self).__name__, self.connection_pool)

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

    def _result(self, name, reply, options):
        return parsed(self.response_callbacks, name, reply, options)

    def watch(self, *names):
        """Only a pipeline watches keys."""
        raise NotImplementedError("watch() is for pipelines: use client.pipeline() or client.transaction()")

    def unwatch(self):
        """Only a pipeline watches keys."""
        raise NotImplementedError("unwatch() is for pipelines: use client.pipeline() or client.transaction()")


_OF_CONNECTIONS = ("db username password socket_timeout encoding encoding_errors decode_responses max_connections"
                   " health_check_interval client_name lib_name lib_version redis_connect_func credential_provider"
                   " protocol").split()
_OF_TCP = ("host", "port", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options")
_OF_TLS = ("ssl_keyfile ssl_certfile ssl_cert_reqs ssl_ca_certs ssl_ca_path ssl_ca_data ssl_check_hostname ssl_password"
           " ssl_validate_ocsp ssl_validate_ocsp_stapled ssl_ocsp_context ssl_ocsp_expected_cert ssl_min_version"
           " ssl_ciphers").split()


def pool_options(given, unix_class, tls_class):
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

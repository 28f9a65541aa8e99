"""The options of serve for Redis clients that come by TCP."""

import os

from ..coordinator import accounts
from ..coordinator.admission import Remote
from ..errors import StartError, UsageError
from ..network import tcp

PORT_MAX = 65535
_NEED_A_PORT = ("redis_address",)
_NEED_A_TLS_PORT = ("tls_cert", "tls_key", "tls_ca")


def add_arguments(parser):
    """The options, in a group of their own."""
    group = parser.add_argument_group("Redis clients by TCP", "Off unless a port is named; programs that attach do not "
                                      "need it.")
    group.add_argument("--redis-port", type=int, metavar="PORT",
                       help="listen for Redis clients; 0 lets the system choose a port. Every user of this machine can "
                       "connect, so ask for a password where others have accounts")
    group.add_argument("--redis-tls-port", type=int, metavar="PORT",
                       help="listen for Redis clients that speak TLS (1.2 or later)")
    group.add_argument("--redis-address", action="append", default=[], metavar="ADDRESS",
                       help="listen there; may be repeated (default: %s)" % tcp.LOOPBACK)
    group.add_argument("--tls-cert", metavar="FILE", help="the certificate shown to clients, in the PEM format")
    group.add_argument("--tls-key", metavar="FILE", help="the private key of that certificate, without a passphrase")
    group.add_argument("--tls-ca", metavar="FILE", help="clients need a certificate signed by one of these")
    group.add_argument("--redis-password-file", metavar="FILE",
                       help="Redis clients have to log in with the password in the first line of this file, those on "
                       "the Unix socket too")
    group.add_argument("--acl-file", metavar="FILE", help="users and what they may do, in Redis' format")
    group.add_argument("--redis-inline", action="store_true",
                       help="take lines of words for commands, over the Unix socket too: for people with telnet and "
                       "for probes; a web page could make a browser send such lines to a port")


def check_arguments(arguments):
    """Raise UsageError where the options do not go together."""
    for option, port in (("--redis-port", arguments.redis_port), ("--redis-tls-port", arguments.redis_tls_port)):
        if port is not None and not 0 <= port <= PORT_MAX:
            raise UsageError("%s %d: a port is a number from 0 to %d" % (option, port, PORT_MAX))
    if arguments.redis_password_file is not None and arguments.acl_file is not None:
        raise UsageError("--redis-password-file and --acl-file both say how the default user logs in: give one of them")
    if arguments.redis_tls_port is None:
        if arguments.redis_port is None:
            _refuse_any(arguments, _NEED_A_PORT, "--redis-port")
        _refuse_any(arguments, _NEED_A_TLS_PORT, "--redis-tls-port")
    elif arguments.tls_cert is None or arguments.tls_key is None:
        raise UsageError("--redis-tls-port needs a certificate and its key: give them with --tls-cert and --tls-key")


def _refuse_any(arguments, names, needed):
    for name in names:
        if getattr(arguments, name):
            raise UsageError("--%s needs a port: give one with %s" % (name.replace("_", "-"), needed))


def open_doors(arguments):
    """Start to listen; the Remote for the coordinator.  Raises StartError, with nothing left open."""
    context = None if arguments.redis_tls_port is None else _tls_context(arguments)
    password = users = None
    if arguments.redis_password_file is not None:
        password = accounts.read_password(arguments.redis_password_file)
    acl_path = None if arguments.acl_file is None else os.path.abspath(arguments.acl_file)
    if acl_path is not None:
        users = accounts.read_users(acl_path)
    listeners = []
    try:
        for address in arguments.redis_address or [tcp.LOOPBACK]:
            if arguments.redis_port is not None:
                listeners.append(tcp.TcpListener(address, arguments.redis_port))
            if context is not None:
                listeners.append(tcp.TcpListener(address, arguments.redis_tls_port, "--redis-tls-port", context))
        tcp.check_exposure(listeners, not accounts.is_open(users, password))
    except BaseException:
        _close(listeners)
        raise
    return Remote(tuple(listeners), arguments.redis_inline, password, users, acl_path)


def _tls_context(arguments):
    try:
        from ..network import tls  # loaded by those alone who ask for it
    except ImportError as error:
        raise StartError("this Python has no TLS (%s): use one with the ssl module" % error) from error
    return tls.make_context(arguments.tls_cert, arguments.tls_key, arguments.tls_ca)


def _close(listeners):
    for listener in listeners:
        listener.close()


def close_doors(remote):
    """Listen no more: there is no coordinator to come in to."""
    _close(remote.listeners)


def introduce(remote, out):
    """Say where Redis clients come in."""
    for listener in remote.listeners:
        out.write("Redis clients by TCP%s: %s\n" % ("" if listener.tls is None else " with TLS",
                                                    tcp.text_of((listener.address, listener.port))))

"""The options of serve for Redis clients that come by TCP."""

from ..coordinator.admission import Remote
from ..errors import UsageError
from ..network import tcp

PORT_MAX = 65535


def add_arguments(parser):
    """The options, in a group of their own."""
    group = parser.add_argument_group("Redis clients by TCP", "Off unless a port is named; programs that attach do not "
                                      "need it.")
    group.add_argument("--redis-port", type=int, metavar="PORT",
                       help="listen for Redis clients; 0 lets the system choose a port. Every user of this machine can "
                       "connect, so ask for a password where others have accounts")
    group.add_argument("--redis-address", action="append", default=[], metavar="ADDRESS",
                       help="listen there; may be repeated (default: %s)" % tcp.LOOPBACK)
    group.add_argument("--redis-inline", action="store_true",
                       help="take lines of words for commands by TCP too, for people with telnet; a web page could "
                       "make a browser send such lines")


def check_arguments(arguments):
    """Raise UsageError where the options do not go together."""
    if arguments.redis_port is not None and not 0 <= arguments.redis_port <= PORT_MAX:
        raise UsageError("--redis-port %d: a port is a number from 0 to %d" % (arguments.redis_port, PORT_MAX))
    if arguments.redis_port is None:
        for name in ("redis_address", "redis_inline"):
            if getattr(arguments, name):
                raise UsageError("--%s needs a port: give one with --redis-port" % name.replace("_", "-"))


def open_doors(arguments):
    """Start to listen; the Remote for the coordinator.  Raises StartError, with nothing left open."""
    listeners = []
    try:
        if arguments.redis_port is not None:
            for address in arguments.redis_address or [tcp.LOOPBACK]:
                listeners.append(tcp.TcpListener(address, arguments.redis_port))
        tcp.check_exposure(listeners, has_password=False)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return Remote(tuple(listeners), arguments.redis_inline)


def close_doors(remote):
    """Listen no more: there is no coordinator to come in to."""
    for listener in remote.listeners:
        listener.close()


def introduce(remote, out):
    """Say where Redis clients come in."""
    for listener in remote.listeners:
        out.write("Redis clients by TCP: %s\n" % tcp.text_of((listener.address, listener.port)))

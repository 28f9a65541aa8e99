"""Commands about servers beside this one, of which there are none: ROLE, WAIT, REPLICAOF, FAILOVER, CLUSTER.

Clients and test suites ask; what they get is what a Redis without replicas and without a cluster says.
"""

from ... import errors
from ...formats import resp
from .command import ADMIN, PLAIN, PLAIN_FAST, Command, container, integer, parse_integer, syntax_error

_NO_CLUSTER = "This instance has cluster support disabled"
_PORT_MAX = 65535


def role(context, args):
    """A master without replicas."""
    return [b"master", 0, []]


def wait(context, args):
    """How many replicas have what was written: none, at once."""
    integer(args[0])
    timeout_ms = parse_integer(args[1])
    if timeout_ms is None:
        raise errors.CommandError("timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise errors.CommandError("timeout is negative")
    return 0


def replicaof(context, args):
    """NO ONE is how it is; to follow somebody is refused."""
    if [word.lower() for word in args] == [b"no", b"one"]:
        return resp.OK
    port = parse_integer(args[1])
    if port is None or not 0 <= port <= _PORT_MAX:
        raise errors.CommandError("Invalid master port")
    raise errors.CommandError("a grid follows no other server: its data come from its own directory")


def failover(context, args):
    """There is nobody to take over."""
    if not args:
        raise errors.CommandError("FAILOVER requires connected replicas.")
    if [word.lower() for word in args] == [b"abort"]:
        raise errors.CommandError("No failover in progress.")
    raise syntax_error()


def without_cluster(context, args):
    """Refused, as by every server that is no node of a cluster."""
    raise errors.CommandError(_NO_CLUSTER)


COMMANDS = (
    Command(b"ROLE", role, 1, PLAIN_FAST | {"noscript"}),
    Command(b"WAIT", wait, 3, PLAIN | {"noscript"}),
    Command(b"REPLICAOF", replicaof, 3, ADMIN | {"noscript"}),
    Command(b"SLAVEOF", replicaof, 3, ADMIN | {"noscript"}),
    Command(b"FAILOVER", failover, -1, ADMIN | {"noscript"}),
    Command(b"READONLY", without_cluster, 1, PLAIN_FAST),
    Command(b"READWRITE", without_cluster, 1, PLAIN_FAST),
    Command(b"ASKING", without_cluster, 1, PLAIN_FAST),
    container(b"CLUSTER", (
        (b"COUNTKEYSINSLOT", without_cluster, 3, PLAIN),
        (b"GETKEYSINSLOT", without_cluster, 4, PLAIN),
        (b"INFO", without_cluster, 2, PLAIN),
        (b"KEYSLOT", without_cluster, 3, PLAIN),
        (b"LINKS", without_cluster, 2, PLAIN),
        (b"MYID", without_cluster, 2, PLAIN),
        (b"NODES", without_cluster, 2, PLAIN),
        (b"RESET", without_cluster, -2, ADMIN),
        (b"SHARDS", without_cluster, 2, PLAIN),
        (b"SLOTS", without_cluster, 2, PLAIN),
    )),
)

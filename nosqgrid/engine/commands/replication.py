"""Commands about servers beside this one, of which there are none: ROLE, WAIT, REPLICAOF, MIGRATE, FAILOVER, CLUSTER.

Clients and test suites ask; what they get is what a Redis without replicas and without a cluster says.
"""

from ... import errors
from ...formats import resp
from .command import (ADMIN, PLAIN, PLAIN_FAST, WRITE, Command, command_error, container, integer, parse_integer,
                      syntax_error)

_NO_CLUSTER = "This instance has cluster support disabled"
_NOT_MOVED = "a grid connects to no other server: move keys with DUMP and RESTORE"
_PORT_MAX = 65535
_WORDS_OF_OPTION = {b"COPY": 1, b"REPLACE": 1, b"AUTH": 2, b"AUTH2": 3}


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


def migrate(context, args):
    """Keys for another server, which would have to be connected to: fails as when nobody is there; NOKEY without keys.

    host port key|"" database timeout [COPY] [REPLACE] [AUTH password] [AUTH2 user password] [KEYS key ...]
    """
    index, keys = 5, args[2:3]
    while index < len(args):
        option = args[index].upper()
        if option == b"KEYS":
            if args[2]:
                raise errors.CommandError("When using MIGRATE KEYS option, the key argument must be set to the empty "
                                          "string")
            keys = args[index + 1:]
            break
        index += _WORDS_OF_OPTION.get(option, len(args) + 1)
        if index > len(args):
            raise syntax_error()
    integer(args[4])
    integer(args[3])
    if any(context.keyspace.type_of(key) is not None for key in keys):
        raise command_error(_NOT_MOVED, "IOERR")
    return resp.Simple("NOKEY")


def _migrated_keys(words):
    """The indexes of MIGRATE's keys."""
    index = 6
    while index < len(words) and words[index].upper() != b"KEYS":
        index += _WORDS_OF_OPTION.get(words[index].upper(), 1)
    behind = range(index + 1, len(words))
    if not behind:
        return (3,) if len(words) > 3 else ()
    return () if words[3] else behind


def without_cluster(context, args):
    """Refused, as by every server that is no node of a cluster."""
    raise errors.CommandError(_NO_CLUSTER)


COMMANDS = (
    Command(b"ROLE", role, 1, PLAIN_FAST | {"noscript"}),
    Command(b"WAIT", wait, 3, PLAIN | {"noscript"}),
    Command(b"REPLICAOF", replicaof, 3, ADMIN | {"noscript"}),
    Command(b"SLAVEOF", replicaof, 3, ADMIN | {"noscript"}),
    Command(b"MIGRATE", migrate, -6, WRITE, 3, 3, 1, keys=_migrated_keys),
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

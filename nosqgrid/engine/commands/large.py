"""Commands about memory: large values (engine/large), each in a file of its own that is passed as a descriptor, pins,
and quotas.

    NOSQGRID.ALLOCATE size shared          a number; its memory is charged.  shared 1: it will be no key's
    NOSQGRID.ADOPT number key type deadline_ms mode version    with the descriptor: as NOSQGRID.SET, which see
    NOSQGRID.SHARE number                  with the descriptor: kept as long as some client holds the number
    NOSQGRID.ABANDON_VALUE number          it will not come; 1, or 0 where it was not this client's
    NOSQGRID.LARGE number                  the size, and the descriptor beside the reply; null where it is gone
    NOSQGRID.PIN                           this client is going to pin segments of the heap
    NOSQGRID.QUOTA name bytes policy       the keys name:* may take so much; then policy (refuse, lfu, lru); 0: no quota
"""

from ... import errors, limits
from ...formats import values
from .command import CONNECTION, INT64_MAX, READ, WRITE, WRITE_ALONE, Command, bounded, check_local, integer
from .native import condition_holds, deadline_of

_TYPE_MAX = len(values.NAMES) - 1


def allocate(context, args):
    """Charge for a file."""
    check_local(context)
    return context.server.large_values.allocate(context.session, bounded(args[0], limits.LARGE_SIZE_BYTES_MAX, "size"),
                                                integer(args[1]) == 1)


def adopt(context, args):
    """Take a file as the value of a key, if a condition holds; the version, or null."""
    number_word, key, type_word, deadline_word, mode, version_word = args
    number = _of_the_socket(context, number_word)
    value_type = bounded(type_word, _TYPE_MAX, "type")
    version = bounded(version_word, INT64_MAX, "version")
    keyspace = context.keyspace
    keyspace.check_sizes(len(key), 0)
    context.server.large_values.adopt(context.session, number)
    try:
        entry = keyspace.lookup(key)
        if not condition_holds(mode, version, entry):
            return None
        return keyspace.store_large(key, value_type, number, deadline_of(deadline_word, entry))
    finally:
        keyspace.larges.drop_unused(number)


def share(context, args):
    """Take a file that is no key's."""
    number = _of_the_socket(context, args[0])
    context.server.large_values.adopt(context.session, number)
    context.keyspace.larges.share(number)
    return number


def _of_the_socket(context, word):
    check_local(context)
    if not context.may_wait:
        raise errors.CommandError("descriptors travel over the socket alone")
    return integer(word)


def abandon(context, args):
    """Give back what was allocated."""
    return int(context.server.large_values.abandon(context.session, integer(args[0])))


def large(context, args):
    """Hand out a file."""
    return context.server.large_values.hand_out(context.session, _of_the_socket(context, args[0]))


def pin(context, args):
    """Let segments rest from now on."""
    context.server.pins.declare(context.session)
    return 1


def quota(context, args):
    """Give the keys of a map a quota."""
    name, size_word, policy_word = args
    size_bytes = bounded(size_word, limits.LARGE_SIZE_BYTES_MAX, "quota")
    if not name or b":" in name or len(name) >= limits.KEY_SIZE_BYTES_MAX:
        raise errors.CommandError("a map's name has no ':', and is not empty")
    if context.keyspace.staging:
        raise errors.CommandError("a quota is not given within a batch")
    evictor = context.keyspace.evictor
    if evictor is None:
        raise errors.CommandError("quotas are not for this grid")
    evictor.set_quota(name + b":", size_bytes, policy_word.decode("ascii", "replace").lower())
    return 1


COMMANDS = (
    Command(b"NOSQGRID.ALLOCATE", allocate, 3, WRITE_ALONE),
    Command(b"NOSQGRID.ADOPT", adopt, 7, WRITE, 2, 2, 1),
    Command(b"NOSQGRID.SHARE", share, 2, WRITE_ALONE),
    Command(b"NOSQGRID.ABANDON_VALUE", abandon, 2, WRITE_ALONE),
    Command(b"NOSQGRID.LARGE", large, 2, READ),
    Command(b"NOSQGRID.QUOTA", quota, 4, WRITE_ALONE),
    Command(b"NOSQGRID.PIN", pin, 1, CONNECTION),
)

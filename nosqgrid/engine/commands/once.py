"""What is to be done once: the first who comes does it, and the others have what came of it.

    ONCE.BEGIN name wait_ms [THREAD text] [REQUEST n] [INFO text] [TTL ms]
                                        0 and a token: do it; 1, type and value: it is done; null: the wait is over
    ONCE.DONE name token type value     it is done, and the others are told
    ONCE.FAIL name token                it is not done; the one who has waited the longest does it
    ONCE.RESET name                     it may be done again; 1 where it was done

Who does it holds a lock, so that another one does it when he dies.  The outcome is a record in the space of locks: in
log and checkpoint as any value is, and never evicted.
"""

from ...errors import CommandError
from ...formats import values
from ..databases import LOCKS, in_space
from . import lock_words
from .command import WRITE_ALONE, Command, bounded

_OPTIONS = frozenset((b"THREAD", b"REQUEST", b"INFO", b"TTL"))
_WAITS = WRITE_ALONE | {"blocking", "noscript"}


def _key(context, name):
    lock_words.check_outside_batch(context, "what is done once")
    key = in_space(LOCKS, b"once:" + name)
    lock_words.check_name(key)
    return key


def begin(context, args):
    """Do something, or have what came of it; wait while somebody else does it."""
    key, wait_ms = _key(context, args[0]), lock_words.wait_ms(args[1])
    options = lock_words.read_options(args[2:])
    if not _OPTIONS.issuperset(options):
        raise CommandError("what is done once is neither shared nor limited nor reentrant")
    entry = context.keyspace.lookup(key)
    if entry is not None:
        return [1, entry.type, entry.value]
    request = lock_words.request_of(context, (key,), options, _do_it)
    grants = context.server.locks.try_acquire(request)
    if grants is not None:
        return _do_it(grants)
    if not wait_ms or not context.may_block:
        return None
    return context.server.locks.wait(context, request, max(wait_ms, 0) / 1000.0)


def _do_it(grants):
    return [0, grants[0].token]


def done(context, args):
    """Say what came of it: whoever waits has it, and whoever comes."""
    key, token = _key(context, args[0]), lock_words.token_of(args[1])
    value_type = bounded(args[2], len(values.NAMES) - 1, "a type")
    locks = context.server.locks
    grant = locks.own(context.session, key, token)
    context.keyspace.store(key, value_type, args[3])
    locks.answer_waiters(key, [1, value_type, args[3]])
    locks.release(context.session, key, grant.token)
    return 1


def fail(context, args):
    """Give up doing it."""
    key, token = _key(context, args[0]), lock_words.token_of(args[1])
    context.server.locks.release(context.session, key, token)
    return 1


def reset(context, args):
    """Let it be done again."""
    return int(context.keyspace.delete(_key(context, args[0])))


COMMANDS = (
    Command(b"ONCE.BEGIN", begin, -3, _WAITS, 1, 1, 1),
    Command(b"ONCE.DONE", done, 5, WRITE_ALONE | {"denyoom"}, 1, 1, 1),
    Command(b"ONCE.FAIL", fail, 3, WRITE_ALONE, 1, 1, 1),
    Command(b"ONCE.RESET", reset, 2, WRITE_ALONE, 1, 1, 1),
)

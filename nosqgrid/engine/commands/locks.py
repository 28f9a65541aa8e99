"""Locks: who has a name for himself, shares it, or has some of its units.  See engine/locks for the rules.

    LOCK.ACQUIRE name [SHARED] [LIMIT n] [UNITS k] [REENTRANT] [TTL ms] [WAIT ms] [THREAD text] [REQUEST n] [INFO text]
                 [DETACHED]                         token, abandoned, depth; null where it cannot be had within WAIT
    LOCK.ACQUIREALL count name ... [the same]       the same for each, all at one moment or none
    LOCK.RELEASE name token [UNITS k]               what is left: the depth, or the units
    LOCK.EXTEND name token ms                       it ends in so many ms from now; 0: with its session alone
    LOCK.CHECK name token                           FENCED where it is not held with this token; for batches
    LOCK.UNDO request                               give back what a request of this session was granted, or one of this
                                                    process before a restart
    LOCK.INFO name, LOCK.LIST [pattern]             who holds it, who waits, since when
    LOCK.FORCE name reason [token]                  end it, whoever has it
    LOCK.RECLAIM name token mode units limit depth ttl thread info [DETACHED]
                                                    a holder comes back after a restart; depth 0: it is not reentrant
    LOCK.WATCH name token                           wait until that grant ends; why it did
"""

from ... import limits
from ...errors import CommandError
from ...formats import resp
from ..databases import name_of, number_of
from ..glob import Glob
from ..locks.table import MODES
from . import lock_words
from .command import READ, WRITE_ALONE, Command, bounded, integer, parse_integer, syntax_error
from .lists import counted_keys

_WAITS = WRITE_ALONE | {"blocking", "noscript"}


def _one(grants):
    grant = grants[0]
    return [grant.token, int(grant.abandoned), grant.depth]


def _each(grants):
    return [[grant.token, int(grant.abandoned), grant.depth] for grant in grants]


def acquire(context, args):
    """Have a lock, shared or in part, now or when its turn comes."""
    lock_words.check_name(args[0])
    return _ask(context, (args[0],), lock_words.read_options(args[1:]), _one)


def acquire_all(context, args):
    """Have several locks in the same moment, or none of them."""
    count = bounded(args[0], limits.LOCK_NAMES_MAX, "a number of locks")
    names = tuple(args[1:1 + count])
    if not names or len(names) != count or len(set(names)) != count:
        raise CommandError("%d locks are to have as many different names" % count)
    for name in names:
        lock_words.check_name(name)
    return _ask(context, names, lock_words.read_options(args[1 + count:]), _each)


def _ask(context, names, options, reply):
    lock_words.check_outside_batch(context)
    request = lock_words.request_of(context, names, options, reply)
    grants = context.server.locks.try_acquire(request)
    if grants is not None:
        return reply(grants)
    wait_ms = options.get(b"WAIT", 0)
    if not wait_ms or not context.may_block:
        return None
    return context.server.locks.wait(context, request, max(wait_ms, 0) / 1000.0)


def release(context, args):
    """Give a lock back, or one level of it, or some of its units."""
    lock_words.check_outside_batch(context)
    units = 0
    if len(args) > 2:
        if len(args) != 4 or args[2].upper() != b"UNITS":
            raise syntax_error()
        units = bounded(args[3], limits.LOCK_UNITS_MAX, "units")
    return context.server.locks.release(context.session, args[0], lock_words.token_of(args[1]), units)


def extend(context, args):
    """Let a lock end so many milliseconds from now, or with its session alone (0)."""
    lock_words.check_outside_batch(context)
    ttl_ms = bounded(args[2], limits.TTL_MS_MAX, "a time to live")
    context.server.locks.extend(context.session, args[0], lock_words.token_of(args[1]), ttl_ms)
    return 1


def check(context, args):
    """An error unless the lock is held with this token: for batches that only the holder may make."""
    context.server.locks.check(args[0], lock_words.token_of(args[1]))
    return 1


def undo(context, args):
    """Give back what a request of this session was granted; how many locks that were."""
    lock_words.check_outside_batch(context)
    request = integer(args[0])
    return context.server.locks.undo(context.session, request) if request > 0 else 0


def info(context, args):
    """Who holds a lock and who waits for it."""
    locks = context.server.locks
    locks.expire()
    lock = locks.table.locks.get(args[0])
    return lock_words.nothing_described() if lock is None else lock_words.described(context, lock)


def list_(context, args):
    """What LOCK.INFO says, with the name, of each lock of this database that somebody holds or waits for."""
    locks = context.server.locks
    locks.expire()
    matches = Glob(args[0]).matches if args else lambda name: True
    found = []
    for name, lock in locks.table.locks.items():
        if number_of(name) == context.session.database and matches(name_of(name)):
            found.append(resp.Map([(b"name", name_of(name))] + lock_words.described(context, lock)))
    return found


def force(context, args):
    """End a lock, whoever has it; how many had it."""
    lock_words.check_outside_batch(context)
    if len(args) > 3:
        raise syntax_error()
    token = lock_words.token_of(args[2]) if len(args) > 2 else None
    return context.server.locks.force(args[0], lock_words.text(args[1]), token)


def reclaim(context, args):
    """Have a lock again that this process held before the coordinator was restarted."""
    lock_words.check_outside_batch(context)
    lock_words.check_name(args[0])
    if len(args) < 9:
        raise syntax_error()
    name, token_word, mode, units, limit, depth, ttl, thread, about = args[:9]
    token = lock_words.token_of(token_word)
    if mode not in MODES or not token or args[9:] and (len(args) > 10 or args[9].upper() != b"DETACHED"):
        raise syntax_error()
    words = [b"TTL", ttl, b"THREAD", thread, b"INFO", about] + args[9:]
    if mode == MODES[1]:
        words.append(b"SHARED")
    elif mode == MODES[2]:
        words += [b"LIMIT", limit, b"UNITS", units]
    if parse_integer(depth) != 0:
        words.append(b"REENTRANT")
    request = lock_words.request_of(context, (name,), lock_words.read_options(words), None)
    request.depth = max(bounded(depth, limits.LOCK_UNITS_MAX, "a depth"), 1)
    context.server.locks.reclaim(context.session, request, token)
    return 1


def watch(context, args):
    """Wait until a grant ends; the reason."""
    token = lock_words.token_of(args[1])
    if not context.may_block:
        raise CommandError("a lock is not watched inside a batch or a lane: send it over the socket")
    return context.server.locks.watch(context, args[0], token)


COMMANDS = (
    Command(b"LOCK.ACQUIRE", acquire, -2, _WAITS, 1, 1, 1),
    Command(b"LOCK.ACQUIREALL", acquire_all, -3, _WAITS | {"movablekeys"}, 0, 0, 0, None, counted_keys(1)),
    Command(b"LOCK.RELEASE", release, -3, WRITE_ALONE, 1, 1, 1),
    Command(b"LOCK.EXTEND", extend, 4, WRITE_ALONE, 1, 1, 1),
    Command(b"LOCK.CHECK", check, 3, READ, 1, 1, 1),
    Command(b"LOCK.UNDO", undo, 2, WRITE_ALONE),
    Command(b"LOCK.INFO", info, 2, READ, 1, 1, 1),
    Command(b"LOCK.LIST", list_, -1, READ),
    Command(b"LOCK.FORCE", force, -3, WRITE_ALONE, 1, 1, 1),
    Command(b"LOCK.RECLAIM", reclaim, -4, WRITE_ALONE, 1, 1, 1),
    Command(b"LOCK.WATCH", watch, 3, READ | {"blocking"}, 1, 1, 1),
)

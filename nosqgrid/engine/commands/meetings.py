"""Where processes meet: conditions, barriers, events, latches.  See engine/locks/meetings for the rules.

    COND.WAIT name lock token ms [REQUEST n]    give the lock back until notified (-1: for ever), then have it again:
                                                token, abandoned, notified
    COND.NOTIFY name lock token n               let n of those who wait go on, -1: all; how many.  The lock is held.
    BARRIER.WAIT name parties ms                wait until so many do (-1: for ever); the place in which one came
    BARRIER.ABORT name, BARRIER.RESET name, BARRIER.INFO name
    EVENT.SET name, EVENT.CLEAR name            1 where that changed something
    EVENT.ISSET name, EVENT.WAIT name ms        1, or null when the time is up
    LATCH.OPEN name count                       where there is none; what it waits for
    LATCH.DOWN name [n], LATCH.COUNT name       what it waits for still
    LATCH.WAIT name ms, LATCH.RESET name
"""

from ... import limits
from ...errors import BrokenBarrierError, CommandError
from ...formats import resp
from . import lock_words
from .command import READ, WRITE_ALONE, Command, bounded, integer, syntax_error

_WAITS = WRITE_ALONE | {"blocking", "noscript"}
_WATCHES = READ | {"blocking", "noscript"}


def _check_may_wait(context, what):
    if not context.may_block:
        raise CommandError("%s cannot wait inside a batch or a lane: send it over the socket" % what)


def _meetings(context, name):
    lock_words.check_outside_batch(context, "what others wait for")
    lock_words.check_name(name)
    return context.server.locks.meetings


def cond_wait(context, args):
    """Give a lock back until somebody notifies, then have it again."""
    _check_may_wait(context, "a condition")
    name, lock, token, wait = args[:4]
    number = 0
    if len(args) > 4:
        if len(args) != 6 or args[4].upper() != b"REQUEST":
            raise syntax_error()
        number = bounded(args[5], (1 << 63) - 1, "a request")
    return _meetings(context, name).conditions.wait(context, name, lock, lock_words.token_of(token),
                                                    lock_words.wait_ms(wait), number)


def cond_notify(context, args):
    """Let some of those go on who wait for a condition, or all of them (-1); how many."""
    name, lock, token = args[:3]
    count = integer(args[3])
    if not -1 <= count <= limits.LOCK_UNITS_MAX:
        raise CommandError("a number of those who wait, or -1, and not %d" % count)
    return _meetings(context, name).conditions.notify(context.session, name, lock, lock_words.token_of(token), count)


def barrier_wait(context, args):
    """Wait until so many do; the place in which this one came."""
    _check_may_wait(context, "a barrier")
    parties, wait_ms = bounded(args[1], limits.LOCK_UNITS_MAX, "parties"), lock_words.wait_ms(args[2])
    if not parties:
        raise CommandError("a barrier is for at least one")
    barriers = _meetings(context, args[0]).barriers
    if not wait_ms and barriers.info(args[0])[1] + 1 < parties:
        barriers.abort(args[0])
        raise BrokenBarrierError("the barrier is broken: not everybody had come, and nobody was to be waited for")
    return barriers.wait(context, args[0], parties, max(wait_ms, 0) / 1000.0)


def barrier_abort(context, args):
    """Break a barrier: those who wait, and those who come, get an error until it is reset."""
    _meetings(context, args[0]).barriers.abort(args[0])
    return resp.OK


def barrier_reset(context, args):
    """Let a barrier be as new; those who wait at it get an error."""
    _meetings(context, args[0]).barriers.reset(args[0])
    return resp.OK


def barrier_info(context, args):
    """For how many a barrier is, how many wait, whether it is broken."""
    parties, waiting, broken = context.server.locks.meetings.barriers.info(args[0])
    return resp.Map([(b"parties", parties), (b"waiting", waiting), (b"broken", int(broken))])


def event_set(context, args):
    """Set an event: whoever waits for it goes on."""
    events = _meetings(context, args[0]).events
    if args[0] in events.values:
        return 0
    events.set(args[0], 0)
    return 1


def event_clear(context, args):
    """Let an event not be set."""
    return int(_meetings(context, args[0]).events.delete(args[0]))


def event_is_set(context, args):
    """Whether an event is set."""
    return int(args[0] in context.server.locks.meetings.events.values)


def event_wait(context, args):
    """Wait until an event is set."""
    return _wait_at(context, context.server.locks.meetings.events, args)


def _wait_at(context, gates, args):
    lock_words.check_name(args[0])
    wait_ms = lock_words.wait_ms(args[1])
    if gates.values.get(args[0]) == 0:
        return 1
    if not wait_ms or not context.may_block:
        return None
    return gates.wait(context, args[0], max(wait_ms, 0) / 1000.0)


def latch_open(context, args):
    """Open a latch for so many, where there is none; for how many it waits."""
    latches = _meetings(context, args[0]).latches
    count = bounded(args[1], limits.LOCK_UNITS_MAX, "a count")
    if args[0] not in latches.values:
        latches.set(args[0], count)
    return latches.values[args[0]]


def latch_down(context, args):
    """One is done, or some are; for how many the latch waits still."""
    latches = _meetings(context, args[0]).latches
    count = bounded(args[1], limits.LOCK_UNITS_MAX, "a count") if len(args) > 1 else 1
    if len(args) > 2:
        raise syntax_error()
    before = latches.values.get(args[0])
    if before is None:
        raise CommandError("there is no such latch: open it first")
    if before:
        latches.set(args[0], max(before - count, 0))
    return latches.values[args[0]]


def latch_count(context, args):
    """For how many a latch waits, or null where there is none."""
    return context.server.locks.meetings.latches.values.get(args[0])


def latch_wait(context, args):
    """Wait until a latch waits for nobody any more."""
    return _wait_at(context, context.server.locks.meetings.latches, args)


def latch_reset(context, args):
    """Forget a latch, so that it can be opened anew; those who wait go on waiting."""
    return int(_meetings(context, args[0]).latches.delete(args[0]))


COMMANDS = (
    Command(b"COND.WAIT", cond_wait, -5, _WAITS, 1, 2, 1),
    Command(b"COND.NOTIFY", cond_notify, 5, WRITE_ALONE, 1, 2, 1),
    Command(b"BARRIER.WAIT", barrier_wait, 4, _WAITS, 1, 1, 1),
    Command(b"BARRIER.ABORT", barrier_abort, 2, WRITE_ALONE, 1, 1, 1),
    Command(b"BARRIER.RESET", barrier_reset, 2, WRITE_ALONE, 1, 1, 1),
    Command(b"BARRIER.INFO", barrier_info, 2, READ, 1, 1, 1),
    Command(b"EVENT.SET", event_set, 2, WRITE_ALONE, 1, 1, 1),
    Command(b"EVENT.CLEAR", event_clear, 2, WRITE_ALONE, 1, 1, 1),
    Command(b"EVENT.ISSET", event_is_set, 2, READ, 1, 1, 1),
    Command(b"EVENT.WAIT", event_wait, 3, _WATCHES, 1, 1, 1),
    Command(b"LATCH.OPEN", latch_open, 3, WRITE_ALONE, 1, 1, 1),
    Command(b"LATCH.DOWN", latch_down, -2, WRITE_ALONE, 1, 1, 1),
    Command(b"LATCH.COUNT", latch_count, 2, READ, 1, 1, 1),
    Command(b"LATCH.WAIT", latch_wait, 3, _WATCHES, 1, 1, 1),
    Command(b"LATCH.RESET", latch_reset, 2, WRITE_ALONE, 1, 1, 1),
)

"""Rate limiters: CL.THROTTLE as the module redis-cell has it, and RATE.TAKE, which also lets one wait for his turn.

    CL.THROTTLE key max_burst count period_s [quantity]
        limited 0|1, limit, remaining, retry_after_s (-1: not limited), reset_after_s
    RATE.TAKE key burst count period_ms quantity wait_ms
        taken 0|1, remaining, wait_ms, reset_ms

With wait_ms (-1: as long as it takes) the place in the future is taken at once, in the order of asking, and the answer
says how long to wait before one acts: nobody polls.  What is kept of a key (engine/rates) is a time, which is the
deadline of its record, so that a limiter nobody uses is gone, and a restart shifts it as it shifts deadlines; the value
has by how many microseconds the time lies before that.
"""

from ...errors import CommandError, WrongTypeError
from ...formats import values
from ...limits import TTL_MS_MAX
from .. import rates
from ..stored import WRONG_TYPE
from .command import WRITE_OOM, Command, bounded, integer

COUNT_MAX = 10 ** 9
PERIOD_S_MAX = 10 ** 9
MS_US = 1000


def throttle(context, args):
    """Whether something may happen now, at so many in a period and so many beyond that at once."""
    burst = bounded(args[1], COUNT_MAX, "max_burst") + 1
    count, period_s = _positive(args[2], COUNT_MAX, "count"), _positive(args[3], PERIOD_S_MAX, "period")
    quantity = bounded(args[4], COUNT_MAX, "quantity") if len(args) > 4 else 1
    if len(args) > 5:
        raise CommandError("CL.THROTTLE key max_burst count period_s [quantity]")
    taken = _take(context, args[0], period_s * 1000 * MS_US, count, burst, quantity, 0)
    retry_s = -1 if taken.taken or taken.wait_us < 0 else _seconds(taken.wait_us)
    return [int(not taken.taken), burst, taken.remaining, retry_s, _seconds(taken.reset_us)]


def take(context, args):
    """Take a place among those that may happen, now or up to so many milliseconds later."""
    burst, count = _positive(args[1], COUNT_MAX, "burst"), _positive(args[2], COUNT_MAX, "count")
    period_ms = _positive(args[3], PERIOD_S_MAX * 1000, "period")
    quantity = bounded(args[4], COUNT_MAX, "quantity")
    wait_ms = integer(args[5])
    if not -1 <= wait_ms <= TTL_MS_MAX:
        raise CommandError("a wait is a number of milliseconds, or -1, and not %d" % wait_ms)
    wait_us = (TTL_MS_MAX if wait_ms < 0 else wait_ms) * MS_US
    taken = _take(context, args[0], period_ms * MS_US, count, burst, quantity, wait_us)
    return [int(taken.taken), taken.remaining, _ms(taken.wait_us), _ms(taken.reset_us)]


def _positive(word, largest, what):
    number = bounded(word, largest, what)
    if not number:
        raise CommandError("%s must be from 1 to %d" % (what, largest))
    return number


def _take(context, key, period_us, count, burst, quantity, wait_us):
    interval_us = max(period_us // count, 1)
    keyspace, now_us = context.keyspace, context.keyspace.now_ms * MS_US
    if interval_us * burst > TTL_MS_MAX // 2 * MS_US:
        raise CommandError("a limit over so long a time cannot be kept: take a shorter period or burst")
    taken = rates.take(_due_us(keyspace, key), now_us, interval_us, burst, quantity, wait_us)
    if not taken.taken or not quantity:
        return taken
    deadline_ms = -(-taken.due_us // MS_US)
    if deadline_ms > TTL_MS_MAX:
        raise CommandError("too many wait already")
    keyspace.store(key, values.INT, b"%d" % (deadline_ms * MS_US - taken.due_us), deadline_ms)
    return taken


def _due_us(keyspace, key):
    entry = keyspace.lookup(key)
    if entry is None:
        return 0
    if entry.type != values.INT or not entry.deadline_ms or not entry.value.isdigit() or len(entry.value) > 3:
        raise WrongTypeError(WRONG_TYPE)
    return entry.deadline_ms * MS_US - int(entry.value)


def _ms(us):
    return -(-us // MS_US) if us >= 0 else -1


def _seconds(us):
    return -(-us // 1000000)


COMMANDS = (
    Command(b"CL.THROTTLE", throttle, -5, WRITE_OOM, 1, 1, 1),
    Command(b"RATE.TAKE", take, 7, WRITE_OOM, 1, 1, 1),
)

"""How often something may happen: the generic cell rate algorithm, with times in microseconds.

One number is kept for a key: when the last thing that was let happen would have been due, had all come evenly spaced.
Something of a quantity moves it on by as many intervals; that may be done as long as it ends no more than `tolerance`
after now.  So `burst` things may happen at once, and then one each interval.
"""

from collections import namedtuple

Taken = namedtuple("Taken", "taken due_us wait_us remaining reset_us")
Taken.__doc__ = """What became of an attempt.

    taken      whether it counts
    due_us     what is to be kept from now on
    wait_us    taken: how long to wait before it may happen; else how long until it could, or -1 for never
    remaining  how many more may happen now
    reset_us   when all is as if nothing had happened
"""


def take(due_us, now_us, interval_us, burst, quantity=1, wait_us=0):
    """Taken, for an attempt at `now_us` where `due_us` is kept (0: nothing).  With `wait_us` it may happen that much
    later: its place is taken now, so that those who come afterwards come after it.
    """
    tolerance_us = interval_us * burst
    due_us = max(due_us, now_us)
    next_us = due_us + interval_us * quantity
    late_us = next_us - now_us - tolerance_us
    if quantity > burst:
        return Taken(False, due_us, -1, _remaining(due_us, now_us, interval_us, tolerance_us), due_us - now_us)
    if late_us > wait_us:
        return Taken(False, due_us, late_us, _remaining(due_us, now_us, interval_us, tolerance_us), due_us - now_us)
    return Taken(True, next_us, max(late_us, 0), _remaining(next_us, now_us, interval_us, tolerance_us),
                 next_us - now_us)


def _remaining(due_us, now_us, interval_us, tolerance_us):
    return max(now_us + tolerance_us - due_us, 0) // interval_us

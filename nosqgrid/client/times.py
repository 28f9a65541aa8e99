"""Times as callers give them, in seconds, and as commands have them, in whole milliseconds."""

import datetime

from ..errors import UsageError
from ..limits import TTL_MS_MAX


def milliseconds(seconds, what):
    """Whole milliseconds of a number of seconds or a timedelta, at least 1 unless it is 0.

    Raises UsageError, which names it as `what`, for what is none, negative, not a number, or longer than 10 thousand
    years or so.

    >>> milliseconds(0.0001, "a delay")
    1
    """
    if isinstance(seconds, datetime.timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds * 1000 < TTL_MS_MAX:
        raise UsageError("%s is a number of seconds, not %r" % (what, seconds))
    return max(int(seconds * 1000 + 0.5), 1 if seconds else 0)


def milliseconds_above_0(seconds, what):
    """milliseconds() of what must not be 0, as a time of which 0 would mean none, and so for ever."""
    found = milliseconds(seconds, what)
    if not found:
        raise UsageError("%s of 0 seconds; it must be more than 0 (None, or nothing said, is for the default)" % what)
    return found

"""Readers of the arguments of command methods: what may be given in several forms becomes the words that are sent."""

import datetime

from ..exceptions import DataError


def listed(keys, args=()):
    """A list of one key or several, as they were given: key, [keys], or key, key, ..."""
    if isinstance(keys, (bytes, str)):
        found = [keys]
    else:
        try:
            found = list(keys)
        except TypeError:
            found = [keys]
    found.extend(args)
    return found


def seconds(value):
    """Whole seconds of a timedelta; anything else as it is."""
    return int(value.total_seconds()) if isinstance(value, datetime.timedelta) else value


def milliseconds(value):
    """Whole milliseconds of a timedelta; anything else as it is."""
    return int(value.total_seconds() * 1000) if isinstance(value, datetime.timedelta) else value


def unix_seconds(value):
    """Whole seconds since 1970 of a datetime; anything else as it is."""
    return int(value.timestamp()) if isinstance(value, datetime.datetime) else value


def unix_milliseconds(value):
    """Milliseconds since 1970 of a datetime; anything else as it is."""
    return int(value.timestamp() * 1000) if isinstance(value, datetime.datetime) else value


def counted(name, value, convert, units):
    """A duration for EX or PX: a timedelta, an int or its digits; DataError for anything else."""
    value = convert(value)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, int):
        return value
    raise DataError("%s must be datetime.timedelta or %s" % (name, units))


def flags(*pairs):
    """The words whose conditions hold, of (condition, word)."""
    return [word for condition, word in pairs if condition]


def limited(start, num):
    """LIMIT and its numbers, or nothing; DataError where one of them is missing."""
    if (start is None) != (num is None):
        raise DataError("``start`` and ``num`` must both be specified")
    return [] if start is None else ["LIMIT", start, num]


def trimmed(maxlen, minid, approximate, limit):
    """The words for MAXLEN or MINID of a stream."""
    if maxlen is not None:
        words = ["MAXLEN"] + flags((approximate, "~")) + [maxlen]
    elif minid is not None:
        words = ["MINID"] + flags((approximate, "~")) + [minid]
    else:
        words = []
    return words + ([] if limit is None else ["LIMIT", limit])


def is_count(value):
    """Whether it is an int of at least 0."""
    return isinstance(value, int) and value >= 0

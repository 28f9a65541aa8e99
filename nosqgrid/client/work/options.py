"""The options of a put as keywords, and as the words of JOB.PUT."""

import datetime

from ...errors import UsageError

_MS = ("delay", "ttr", "ttl", "keep")
_S_MAX = 100 * 366 * 86400


def ms_of(name, seconds, least=0):
    """Seconds as whole milliseconds; UsageError for what is no such time."""
    if isinstance(seconds, datetime.timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not least <= seconds <= _S_MAX:
        raise UsageError("%s is a number of seconds from %g on, not %r" % (name, least, seconds))
    return int(round(seconds * 1000))


def _eta(value):
    if isinstance(value, datetime.datetime):
        value = value.timestamp()
    return [b"ETA", b"%d" % ms_of("eta", value)]


def _backoff(value):
    """(first, longest, factor, jitter) in seconds and as factors; the last two may be left out."""
    if not isinstance(value, (tuple, list)) or not 2 <= len(value) <= 4:
        raise UsageError("backoff is (first, longest[, factor[, jitter]]), the first two in seconds, not %r" % (value,))
    first, longest, factor, jitter = (list(value) + [2, 0.5][len(value) - 2:])
    if not isinstance(factor, (int, float)) or not 1 <= factor <= 1000 or not (
            isinstance(jitter, (int, float)) and 0 <= jitter <= 1):
        raise UsageError("backoff: a factor from 1 to 1000 and a jitter from 0 to 1, not %r and %r" % (factor, jitter))
    return [b"BACKOFF", b"%d" % ms_of("backoff", first), b"%d" % ms_of("backoff", longest),
            b"%d" % round(factor * 1000), b"%d" % round(jitter * 1000)]


def _until(value):
    if value in ("started", "finished"):
        return [b"UNTIL", value.encode("ascii")]
    return [b"UNTIL", b"%d" % ms_of("until", value)]


def _integer(name, value, least, largest):
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= largest:
        raise UsageError("%s is an integer from %d to %d, not %r" % (name, least, largest, value))
    return b"%d" % value


def _text(name, value):
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        raise UsageError("%s is a text, not %r" % (name, value))
    return value


_WORDS = {
    "eta": _eta, "backoff": _backoff, "until": _until,
    "priority": lambda value: [b"PRIORITY", _integer("priority", value, -2 ** 31 + 1, 2 ** 31 - 1)],
    "retries": lambda value: [b"RETRIES", _integer("retries", value, 0, 10 ** 6)],
    "maxlen": lambda value: [b"MAXLEN", _integer("maxlen", value, 1, 10 ** 9)],
    "unique": lambda value: [b"UNIQUE", _text("unique", value)],
    "group": lambda value: [b"GROUP", _text("group", value)],
    "overflow": lambda value: [b"OVERFLOW", _text("overflow", value)],
}


def words_of(options):
    """The words for a dict of options by their names; those that are None are left out.  Raises UsageError."""
    words = []
    for name, value in options.items():
        if value is None or value is False and name == "fifo":
            continue
        if name in _MS:
            words += [name.upper().encode("ascii"), b"%d" % ms_of(name, value)]
        elif name == "fifo":
            words.append(b"FIFO")
        elif name == "depends_on":
            ids = [_text("depends_on", getattr(each, "id", each)) for each in value]
            words += [b"AFTER", b"%d" % len(ids)] + ids if ids else []
        elif name in _WORDS:
            words += _WORDS[name](value)
        else:
            raise UsageError("a job has no option %s; there are: %s"
                             % (name, " ".join(sorted(set(_MS) | set(_WORDS) | {"fifo", "depends_on"}))))
    return words

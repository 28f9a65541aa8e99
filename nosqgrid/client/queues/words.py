"""The words of JOB.PUT that say how a job is to be done, out of Python's arguments."""

import datetime

from ...errors import UsageError
from ...formats.values import encode_key
from ..times import milliseconds, milliseconds_above_0

OVERFLOWS = ("block", "error", "drop_oldest", "drop_newest")
FOR_EVER = -1


def wait_ms_of(block, timeout):
    """Milliseconds to wait, FOR_EVER or 0, for what queue.Queue.get takes.  Raises ValueError as it does."""
    if not block:
        return 0
    if timeout is None:
        return FOR_EVER
    if timeout < 0:
        raise UsageError("'timeout' must be a non-negative number, not %r" % (timeout,))
    return milliseconds(timeout, "a timeout")


def put_words(delay=0, eta=None, priority=0, ttr=None, retries=None, backoff=None, unique=None, until="finished",
              group=None, fifo=False, ttl=None, depends_on=(), keep=None, kind=None, replace=False):
    """The options of JOB.PUT; those that are as the queue has it anyway are left out."""
    words = []
    for name, seconds, read in ((b"DELAY", delay or None, milliseconds), (b"TTR", ttr, milliseconds_above_0),
                                (b"TTL", ttl, milliseconds_above_0), (b"KEEP", keep, milliseconds)):
        if seconds is not None:
            words += [name, read(seconds, name.decode().lower())]
    if eta is not None:
        words += [b"ETA", _wall_ms(eta)]
    for name, number in ((b"PRIORITY", priority or None), (b"RETRIES", retries)):
        if number is not None:
            if isinstance(number, bool) or not isinstance(number, int):
                raise UsageError("%s is an int, not %r" % (name.decode().lower(), number))
            words += [name, number]
    if backoff is not None:
        words += [b"BACKOFF"] + _backoff_words(backoff)
    if unique is None and until != "finished":
        raise UsageError("until says for how long a job is unique: give the key that makes it so")
    if unique is not None:
        words += [b"UNIQUE", encode_key(unique)]
        if until != "finished":
            words += [b"UNTIL", until if isinstance(until, str) else milliseconds(until, "until")]
    if group is not None:
        words += [b"GROUP", encode_key(group)]
    if kind is not None:
        words += [b"KIND", kind]
    words += [b"FIFO"] * bool(fifo) + [b"REPLACE"] * bool(replace)
    if depends_on:
        ids = [id_of(job) for job in depends_on]
        words += [b"AFTER", len(ids)] + ids
    return words


def _wall_ms(eta):
    """Milliseconds since 1970 of a datetime (a naive one is local time) or of a time.time()."""
    if isinstance(eta, datetime.datetime):
        eta = eta.timestamp()
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 0 <= eta < 1 << 40:
        raise UsageError("an eta is a datetime or a time.time(), not %r" % (eta,))
    return int(eta * 1000)


def _backoff_words(backoff):
    """Of (first seconds, longest seconds, factor[, "jitter" or a share from 0 to 1])."""
    try:
        first, longest, factor = backoff[:3]
        jitter = backoff[3] if len(backoff) > 3 else 0
        jitter = 0.5 if jitter == "jitter" else jitter
        words = [milliseconds(first, "the first delay"), milliseconds(longest, "the longest delay"),
                 int(factor * 1000 + 0.5), int(jitter * 1000 + 0.5)]
    except (TypeError, ValueError) as error:
        raise UsageError("backoff is (first seconds, longest seconds, factor[, 'jitter']), not %r"
                         % (backoff,)) from error
    return words


def id_of(job):
    """The id of a Job, or an id itself, as bytes."""
    found = getattr(job, "id", job)
    if isinstance(found, str):
        found = found.encode("utf-8", "surrogateescape")
    if not isinstance(found, bytes):
        raise UsageError("a job, or its id, and not %r" % (job,))
    return found

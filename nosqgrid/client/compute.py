"""Values that are computed once: get_or_compute, and the memoising decorator made of it.

Of all processes and threads that miss a key one computes, the others wait for its value.  Who may is decided by the
coordinator (engine/claims), over a connection made for this call: when the computing process dies the connection ends,
and the one who waits longest computes instead, within milliseconds.
"""

import contextlib
import functools
import math
import threading
import time

from ..engine.claims import GRANTED
from ..errors import (ComputationCycleError, CoordinatorError, CoordinatorTimeoutError, DiskError, GridFullError,
                      UsageError, ValueTooLargeError)
from ..formats import values
from .link import Link
from .mapping import deadline_ms_of

_MISSING = object()
_WAIT_FOR_EVER_S = 0  # as Link.command takes it
_WAIT_S_MIN = 0.05  # what a timeout of nothing waits all the same: the answer of a coordinator that has one
DURATIONS_MAX = 10000
_computing = threading.local()
_durations = {}  # (address, raw key) -> seconds that this process took to compute it the last time


def get_or_compute(mapping, key, function, ttl, timeout, stale=None, early=0.0):
    """The value at `key` of a GridMapping, computed by function() if there is none (Grid.get_or_compute)."""
    kept_ttl = _kept_ttl(ttl, stale, early)
    if kept_ttl is None or not stale and not early:
        value = mapping.get(key, _MISSING)
        if value is not _MISSING:
            return value
    else:
        value, left_s = _with_time_left(mapping, key)
        if value is not _MISSING:
            left_s = left_s if left_s is None else left_s - (stale or 0)
            if left_s is None or left_s > 0 and not _is_early(mapping, key, left_s, early):
                return value
            return _refreshed(mapping, key, function, kept_ttl, value)
    return _computed_once(mapping, key, function, kept_ttl, timeout)


def get_stale(mapping, key, stale, default):
    """(value, whether it is fresh) of a key that was kept `stale` seconds longer than it is fresh (Grid.get_stale)."""
    value, left_s = _with_time_left(mapping, key)
    if value is _MISSING:
        return default, False
    return value, left_s is None or left_s > stale


def _kept_ttl(ttl, stale, early):
    """How long a value is kept: fresh for `ttl`, and then `stale` seconds more; refuses what makes no sense."""
    deadline_ms_of(ttl)
    if stale is not None:
        deadline_ms_of(stale)
        if ttl is None:
            raise UsageError("stale is how long a value may be used beyond its ttl: give a ttl")
    if isinstance(early, bool) or not isinstance(early, (int, float)) or not 0 <= early <= 100:
        raise UsageError("early is a factor from 0 to 100, of which 1 is the usual, not %r" % (early,))
    return ttl if stale is None else ttl + stale


def _with_time_left(mapping, key):
    """(value or _MISSING, seconds until it is gone or None for never)."""
    store, raw_key = mapping._store, mapping._raw(key)
    store.check_open()
    found = store.read(raw_key)
    if found is None:
        return _MISSING, None
    value = store.codec.decode(found.type, found.value, raw_key)
    return value, found.deadline_ms / 1000.0 - time.monotonic() if found.deadline_ms else None


def _is_early(mapping, key, left_s, early):
    """Whether this caller shall make the value anew although it is fresh: the likelier, the less time is left.

    Source: Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.  How
    long a computation takes is known to those who did one.
    """
    import random  # here alone, as it is slow to import
    took_s = _durations.get((mapping._store.address, mapping._raw(key)), 0.0)
    return bool(early and took_s) and -took_s * early * math.log(1.0 - random.random()) >= left_s


def _refreshed(mapping, key, function, kept_ttl, value):
    """The value made anew, by this caller if nobody else is at it; else the present one."""
    store, raw_key = mapping._store, mapping._raw(key)
    if (store.address, raw_key) in _computing.__dict__.setdefault("keys", set()):
        return value
    try:
        link = Link(store.address, store.timeout_s)
    except CoordinatorError:
        return value  # nobody is there to keep a new one
    with contextlib.closing(link):
        if link.command(b"NOSQGRID.CLAIM", raw_key, b"REFRESH") != GRANTED:
            return value
        return _compute(mapping, raw_key, function, kept_ttl, link)


def _computed_once(mapping, key, function, ttl, timeout):
    store, raw_key = mapping._store, mapping._raw(key)
    if (store.address, raw_key) in _computing.__dict__.setdefault("keys", set()):
        raise ComputationCycleError("computing %r asks for %r itself" % (key, key))
    store.live()
    deadline = None if timeout is None else time.monotonic() + timeout
    with contextlib.closing(Link(store.address, store.timeout_s)) as link:  # its end gives back a claim not filled
        while True:
            granted = _claim(link, key, raw_key, deadline)
            value = mapping.get(key, _MISSING)
            if value is _MISSING and not store.attachment.alive():
                # The claim was made on the next coordinator, and what was read is the last state of the one before.
                store.live()
                value = mapping.get(key, _MISSING)
            if value is not _MISSING:
                return value
            if granted == GRANTED:
                return _compute(mapping, raw_key, function, ttl, link)
            # It was there and is gone again: expired, or deleted.


def _compute(mapping, raw_key, function, ttl, link):
    """Compute a value that this link holds the claim of, and store it if the grid takes it."""
    store, mine = mapping._store, _computing.keys
    mine.add((store.address, raw_key))
    begun = time.monotonic()
    try:
        value = function()
    finally:
        mine.discard((store.address, raw_key))
    if len(_durations) >= DURATIONS_MAX:
        _durations.clear()
    _durations[store.address, raw_key] = time.monotonic() - begun
    value_type, parts = store.codec.encode_parts(value, raw_key)
    with contextlib.suppress(GridFullError, ValueTooLargeError, DiskError):  # computed, and not kept
        if values.payload_size(parts) >= store.live().large_value_bytes:
            mapping._set_raw(raw_key, value_type, parts, deadline_ms_of(ttl))  # who waits finds it when this link ends
        else:
            link.command(b"NOSQGRID.FILL", raw_key, b"".join(parts), value_type, deadline_ms_of(ttl))
    return value


def _claim(link, key, raw_key, deadline):
    """GRANTED or FILLED; CoordinatorTimeoutError when neither comes by `deadline` (None: waits for ever)."""
    wait_s = _WAIT_FOR_EVER_S if deadline is None else max(deadline - time.monotonic(), _WAIT_S_MIN)
    try:
        return link.command(b"NOSQGRID.CLAIM", raw_key, timeout_s=wait_s)
    except CoordinatorTimeoutError:
        raise CoordinatorTimeoutError("nobody finished computing %r in the time given" % (key,)) from None


def cached(mapping, ttl=None, name=None, key=None, stale=None, early=0.0):
    """The decorator behind Grid.cached."""
    import hashlib  # here alone: a third of what else a program that attaches has to import

    def decorate(function):
        prefix = name or "cached:%s.%s" % (function.__module__, function.__qualname__)

        def key_of(*args, **kwargs):
            made = (args, sorted(kwargs.items())) if key is None else key(*args, **kwargs)
            if isinstance(made, str):
                return "%s:%s" % (prefix, made)
            value_type, payload = values.encode(_plain(made))
            return "%s:%d:%s" % (prefix, value_type, hashlib.blake2b(payload, digest_size=16).hexdigest())

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return mapping.get_or_compute(key_of(*args, **kwargs), lambda: function(*args, **kwargs), ttl, stale=stale,
                                          early=early)

        wrapper.key_of = key_of
        wrapper.forget = lambda *args, **kwargs: bool(mapping.delete(key_of(*args, **kwargs)))
        return wrapper

    if callable(ttl):
        function, ttl = ttl, None
        return decorate(function)
    return decorate


def _plain(made):
    """Arguments as something with one encoding: a tuple whose kwargs are sorted pairs, as cached() makes it."""
    return made if isinstance(made, tuple) else (made,)

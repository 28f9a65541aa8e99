"""Values that are computed once: get_or_compute, and the memoising decorator made of it.

Of all processes and threads that miss a key one computes, the others wait for its value.  Who may is decided by the
coordinator (engine/claims), over a connection made for this call: when the computing process dies the connection ends,
and the one who waits longest computes instead, within milliseconds.
"""

import functools
import hashlib
import threading
import time

from ..engine.claims import FILLED
from ..errors import ComputationCycleError, CoordinatorTimeoutError, DiskError, GridFullError, ValueTooLargeError
from ..formats import values
from .link import Link
from .mapping import deadline_ms_of, encode_checked

_MISSING = object()
_WAIT_FOR_EVER_S = 0  # as Link.command takes it
_WAIT_S_MIN = 0.05  # what a timeout of nothing waits all the same: the answer of a coordinator that has one
_computing = threading.local()


def get_or_compute(mapping, key, function, ttl, timeout):
    """The value at `key` of a GridMapping, computed by function() if there is none (Grid.get_or_compute)."""
    value = mapping.get(key, _MISSING)
    if value is not _MISSING:
        return value
    deadline_ms_of(ttl)  # refuse a bad ttl before anything is computed
    store, raw_key = mapping._store, mapping._raw(key)
    mine = _computing.__dict__.setdefault("keys", set())
    if (store.address, raw_key) in mine:
        raise ComputationCycleError("computing %r asks for %r itself" % (key, key))
    store.live()
    deadline = None if timeout is None else time.monotonic() + timeout
    link = Link(store.address, store.timeout_s)
    try:
        while True:
            granted = _claim(link, key, raw_key, deadline)
            value = mapping.get(key, _MISSING)
            if value is _MISSING and not store.attachment.alive():
                # The claim was made on the next coordinator, and what was read is the last state of the one before.
                store.live()
                value = mapping.get(key, _MISSING)
            if value is not _MISSING:
                return value
            if granted == FILLED:
                continue  # it was there and is gone again: expired, or deleted
            mine.add((store.address, raw_key))
            try:
                value = function()
            finally:
                mine.discard((store.address, raw_key))
            try:
                value_type, payload = encode_checked(store.codec, value, raw_key)
                link.command(b"NOSQGRID.FILL", raw_key, payload, value_type, deadline_ms_of(ttl))
            except (GridFullError, ValueTooLargeError, DiskError):
                return value  # computed, and not kept; the claim goes to the next one, who computes for himself
            return value
    finally:
        link.close()  # gives back a claim that was not filled


def _claim(link, key, raw_key, deadline):
    """GRANTED or FILLED; CoordinatorTimeoutError when neither comes by `deadline` (None: waits for ever)."""
    wait_s = _WAIT_FOR_EVER_S if deadline is None else max(deadline - time.monotonic(), _WAIT_S_MIN)
    try:
        return link.command(b"NOSQGRID.CLAIM", raw_key, timeout_s=wait_s)
    except CoordinatorTimeoutError:
        raise CoordinatorTimeoutError("nobody finished computing %r in the time given" % (key,)) from None


def cached(mapping, ttl=None, name=None, key=None):
    """The decorator behind Grid.cached."""
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
            return mapping.get_or_compute(key_of(*args, **kwargs), lambda: function(*args, **kwargs), ttl)

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

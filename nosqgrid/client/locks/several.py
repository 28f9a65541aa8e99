"""Locks that are more than one thing: some of many units, or several names at once."""

import os

from ...errors import UsageError
from ...formats.values import encode_key
from .base import FOR_EVER, Asking, ttl_ms_of, wait_ms_of
from .held import Grant


def grants_of(thread, names, replies, mode, units, limit, ttl):
    """The Grants for replies [token, abandoned, depth] to a thread, or task, with this word."""
    found = []
    for name, (token, abandoned, _) in zip(names, replies):
        words = [mode, units, limit, 0, ttl_ms_of(ttl), thread, ""]
        found.append(Grant(name, token, bool(abandoned), words))
    return found


class Semaphore(Asking):
    """So many at a time, in the whole grid.  Made by grid.semaphore(name, value).

        with grid.semaphore("licences", 3):
            ...

    acquire, release and `with` are those of threading.BoundedSemaphore; what a process has ends with it.  All who use a
    semaphore give the same value: another one is refused while anybody has some of it.
    """

    def __init__(self, grid, name, value=1, ttl=None, info=None):
        super().__init__(grid, name)
        ttl_ms_of(ttl)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError("a semaphore has a value of at least 1, not %r" % (value,))
        self.value, self.ttl, self.info = value, ttl, info
        self._grants = []

    def _arguments(self):
        return self.name, self.value, self.ttl, self.info

    def _options(self):
        return super()._options() + [b"LIMIT", self.value]

    def _granted(self, reply):
        grants = grants_of(self._store.thread(), (self._raw,), (reply,), b"units", 1, self.value, self.ttl)
        self._grants += grants  # first, so that whoever is interrupted here finds them (_drop_since)
        self._store.held.add(*grants)

    def acquire_steps(self, blocking=True, timeout=None):
        wait_ms = wait_ms_of(blocking, timeout)
        return (yield from self._ask_steps([b"LOCK.ACQUIRE", self._raw], wait_ms, self._granted))

    def acquire(self, blocking=True, timeout=None):
        """Take one; whether it was had.  As threading.Semaphore.acquire."""
        return self._acquire(self.acquire_steps(blocking, timeout))

    def _grants_here(self):
        return list(self._grants)

    def _ended(self, grant):
        self._store.held.remove(grant)
        if grant in self._grants:
            self._grants.remove(grant)

    @property
    def fences(self):
        """The fencing tokens of those that this object holds, the oldest first."""
        return [grant.token for grant in self._grants if grant.pid == os.getpid()]

    def release_steps(self, n=1):
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UsageError("n must be one or more, not %r" % (n,))
        grants = [grant for grant in self._grants if grant.pid == os.getpid()]
        if len(grants) < n:
            raise ValueError("Semaphore released too many times: %r has %d here" % (self.name, len(grants)))
        yield from self._give_back_steps(grants[-n:])

    def release(self, n=1):
        """Give n back that were acquired with this object.  ValueError for more than that; LockLostError where one was
        lost, after the others were.
        """
        self._run(self.release_steps(n))


class MultiLock(Asking):
    """Several locks at one moment, or none.  Made by grid.multilock(names).

        with grid.multilock(["from", "to"]) as locks:
            locks.fences        # {name: token}

    It cannot deadlock with others that are taken so, whatever the order of the names: nobody holds a part of it while
    he waits for the rest.
    """

    def __init__(self, grid, names, ttl=None, info=None):
        names = list(names)
        super().__init__(grid, names[0] if names else "")
        ttl_ms_of(ttl)
        self.names, self.ttl, self.info = names, ttl, info
        self._raws = [encode_key(name) for name in names]
        if not names or len(set(self._raws)) != len(names):
            raise UsageError("a multilock is of one or more different names, not %r" % (names,))
        self._grants = []

    def _arguments(self):
        return self.names, self.ttl, self.info

    def _granted(self, replies):
        self._grants = grants_of(self._store.thread(), self._raws, replies, b"exclusive", 1, 0, self.ttl)
        self._store.held.add(*self._grants)

    def acquire_steps(self, blocking=True, timeout=FOR_EVER):
        wait_ms = wait_ms_of(blocking, timeout)
        head = [b"LOCK.ACQUIREALL", len(self._raws)] + self._raws
        return (yield from self._ask_steps(head, wait_ms, self._granted))

    def acquire(self, blocking=True, timeout=FOR_EVER):
        """Take all of them; whether they were had.  As threading.Lock.acquire."""
        return self._acquire(self.acquire_steps(blocking, timeout))

    def _grants_here(self):
        return list(self._grants)

    def _ended(self, grant):
        self._store.held.remove(grant)
        if grant in self._grants:
            self._grants.remove(grant)

    def _own(self):
        if not self._grants or self._grants[0].pid != os.getpid():
            raise RuntimeError("release unlocked lock: %r are not held here" % (self.names,))
        return self._grants

    def release_steps(self):
        yield from self._give_back_steps(self._own())

    def release(self):
        """Give all back.  RuntimeError where they are not held; LockLostError if one was lost, after the others were.
        """
        self._run(self.release_steps())

    @property
    def fences(self):
        """{name: fencing token}."""
        return dict(zip(self.names, (grant.token for grant in self._own())))

    @property
    def abandoned(self):
        """Whether one of those who held them before died."""
        return any(grant.abandoned for grant in self._own())

"""Locks that are more than one thing: some of many units, or several names at once."""

import os

from ...errors import LockLostError, UsageError
from ...formats.values import encode_key
from ..steps import Call
from .base import FOR_EVER, Asking, milliseconds, wait_ms_of
from .held import Grant


def grants_of(store, names, replies, mode, units, limit, ttl):
    """The Grants for replies [token, abandoned, depth], which this process holds from here on."""
    thread = store.thread()
    found = []
    for name, (token, abandoned, _) in zip(names, replies):
        words = [mode, units, limit, 0, milliseconds(ttl or 0, "a ttl"), thread, ""]
        grant = Grant(name, token, bool(abandoned), words)
        store.held.add(grant)
        found.append(grant)
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
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError("a semaphore has a value of at least 1, not %r" % (value,))
        self.value, self.ttl, self.info = value, ttl, info
        self._grants = []

    def _arguments(self):
        return self.name, self.value, self.ttl, self.info

    def _options(self):
        return super()._options() + [b"LIMIT", self.value]

    def _granted(self, reply):
        self._grants += grants_of(self._store, (self._raw,), (reply,), b"units", 1, self.value, self.ttl)

    def acquire_steps(self, blocking=True, timeout=None):
        wait_ms = wait_ms_of(blocking, timeout)
        return (yield from self._ask_steps([b"LOCK.ACQUIRE", self._raw], wait_ms, self._granted))

    def acquire(self, blocking=True, timeout=None):
        """Take one; whether it was had.  As threading.Semaphore.acquire."""
        count = len(self._grants)
        try:
            return self._run(self.acquire_steps(blocking, timeout))
        except BaseException:
            if len(self._grants) > count:
                self.release()
            raise

    @property
    def fences(self):
        """The fencing tokens of those that this object holds, the oldest first."""
        return [grant.token for grant in self._grants if grant.pid == os.getpid()]

    def release_steps(self, n=1):
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError("n must be one or more")
        grants = [grant for grant in self._grants if grant.pid == os.getpid()]
        if len(grants) < n:
            raise ValueError("Semaphore released too many times: %r has %d here" % (self.name, len(grants)))
        for grant in grants[-n:]:
            grant.ended = True
            yield Call([b"LOCK.RELEASE", grant.name, grant.token])
            self._store.held.remove(grant)
            self._grants.remove(grant)

    def release(self, n=1):
        """Give n back that were acquired with this object.  ValueError for more than that."""
        self._run(self.release_steps(n))

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, kind, value, traceback):
        self.release()


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
        self.names, self.ttl, self.info = names, ttl, info
        self._raws = [encode_key(name) for name in names]
        if not names or len(set(self._raws)) != len(names):
            raise UsageError("a multilock is of one or more different names, not %r" % (names,))
        self._grants = []

    def _arguments(self):
        return self.names, self.ttl, self.info

    def _granted(self, replies):
        self._grants = grants_of(self._store, self._raws, replies, b"exclusive", 1, 0, self.ttl)

    def acquire_steps(self, blocking=True, timeout=FOR_EVER):
        wait_ms = wait_ms_of(blocking, timeout)
        head = [b"LOCK.ACQUIREALL", len(self._raws)] + self._raws
        return (yield from self._ask_steps(head, wait_ms, self._granted))

    def acquire(self, blocking=True, timeout=FOR_EVER):
        """Take all of them; whether they were had.  As threading.Lock.acquire."""
        before = self._grants
        try:
            return self._run(self.acquire_steps(blocking, timeout))
        except BaseException:
            if self._grants is not before:
                self.release()
            raise

    def _own(self):
        if not self._grants or self._grants[0].pid != os.getpid():
            raise RuntimeError("release unlocked lock: %r are not held here" % (self.names,))
        return self._grants

    def release_steps(self):
        lost = None
        for grant in list(self._own()):
            grant.ended = True
            try:
                yield Call([b"LOCK.RELEASE", grant.name, grant.token])
            except LockLostError as error:
                lost = str(error)
            self._store.held.remove(grant)
            self._grants.remove(grant)
        if lost is not None:
            raise LockLostError(lost)

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

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, kind, value, traceback):
        self.release()

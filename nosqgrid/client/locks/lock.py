"""Locks for one, or for one who writes and many who read."""

import os

from ...errors import LockLostError, NosqgridError, UsageError
from ..steps import Call
from . import guard, loss, quick
from .base import FOR_EVER, Asking, checks_token_steps, ttl_ms_of, wait_ms_of
from .held import DEPTH, TTL, Grant


class Lock(Asking):
    """A lock that one process or thread in the whole grid holds at a time.  Made by grid.lock(name).

        with grid.lock("report") as lock:
            lock.fence          # a number, higher than that of all who held it before

    acquire, release, locked and `with` are those of threading.Lock.  It is given to those who wait in the order in
    which they came, without polling, and is free within milliseconds when its holder dies, whatever children that has.
    An object stands for one grant; threads that share it contend as with threading.Lock.  Who waits for a lock that
    waits for him, directly or around several corners, gets DeadlockError.

    Args:
        ttl: seconds after which it ends in any case; None, the default: when it is released or its process ends.
        on_lost: called with the reason, in a thread of its own, when it ends otherwise than by release().
        info: a short text for whoever asks who holds it.
    Cost: some 20 us for acquire and release where nobody else wants it; a hand-over some 100 us.
    """

    _MODE = b"exclusive"
    _FLAGS = ()

    def __init__(self, grid, name, ttl=None, on_lost=None, info=None):
        super().__init__(grid, name)
        ttl_ms_of(ttl)  # refused here, where the mistake stands, not where it is used
        if on_lost is not None and not callable(on_lost):
            raise UsageError("on_lost is called with the reason when the lock is lost, and %r cannot be" % (on_lost,))
        if info is not None and not isinstance(info, str):
            raise UsageError("info is a text, not %r" % (info,))
        self.ttl, self.on_lost, self.info = ttl, on_lost, info
        self._grant = None

    def _arguments(self):
        return self.name, self.ttl, None, self.info

    def _options(self):
        return super()._options() + list(self._FLAGS)

    # -- acquiring and releasing --------------------------------------------------------------------------------------

    def acquire_steps(self, blocking=True, timeout=FOR_EVER, tried=False):
        wait_ms = wait_ms_of(blocking, timeout)
        return (yield from self._ask_steps([b"LOCK.ACQUIRE", self._raw], wait_ms, self._granted, tried))

    def _granted(self, reply):
        token, abandoned, _ = reply
        thread = self._store.thread()
        words = [self._MODE, 1, 0, 0, ttl_ms_of(self.ttl), thread, self.info or ""]  # held.DEPTH, TTL
        grant = Grant(self._raw, token, bool(abandoned), words)
        self._grant = grant  # first, so that whoever is interrupted here finds it (_drop_since)
        self._store.held.add(grant)
        if self.on_lost is not None:
            try:
                self._watch(grant)
            except BaseException:
                grant.ended = True  # it is given back, which is no loss
                raise

    def _watch(self, grant):
        loss.watch(self._store, grant, self.on_lost)

    def acquire(self, blocking=True, timeout=FOR_EVER):
        """Take the lock; whether it was had.  As threading.Lock.acquire; never raises for a timeout.

        Raises ValueError for a timeout without blocking; DeadlockError; CoordinatorLostError.
        """
        before, wait_ms, tried = self._grants_here(), wait_ms_of(blocking, timeout), None
        try:
            if self._MODE is Lock._MODE and self.ttl is None and self.info is None:
                tried = quick.acquire(self._store, self._raw, bool(self._FLAGS), self._granted)
                if tried or tried is False and not wait_ms:
                    return tried
            return self._run(self.acquire_steps(blocking, timeout, tried is False))
        except BaseException:
            self._drop_since(before)
            raise

    def _grants_here(self):
        grant = self._grant
        return [] if grant is None else [grant]

    def _own(self):
        """The Grant that this object stands for.  RuntimeError where there is none, as threading.Lock has it."""
        grant = self._grant
        if grant is None or grant.pid != os.getpid():
            raise RuntimeError("release unlocked lock: %r is not held here" % (self.name,))
        return grant

    def release_steps(self):
        yield from self._give_back_steps([self._own()])

    def _ended(self, grant):
        self._store.held.remove(grant)
        if self._grant is grant:
            self._grant = None

    def release(self):
        """Give the lock back: the one who waits longest has it then.

        Raises RuntimeError where it is not held here; LockLostError where it was lost before, with the reason.
        """
        grant = self._own()
        grant.ended = True
        try:
            released = quick.release(self._store, grant)
            if released:
                self._ended(grant)
        except LockLostError:
            self._ended(grant)
            raise
        except NosqgridError:
            raise
        except BaseException:
            self._run(self._take_back_steps([grant]))
            raise
        if not released:
            self._run(self.release_steps())

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def fence(self):
        """The fencing token: an int that rises with each grant of any lock, across restarts.  RuntimeError unless held.

        Give it along with what you do under the lock to whatever can compare: a number that is lower than one seen
        before comes from somebody who has lost the lock and does not know it.
        """
        return self._own().token

    @property
    def abandoned(self):
        """Whether the one who held it before died or lost it instead of giving it back: what it worked on may be half
        done.  RuntimeError unless held.
        """
        return self._own().abandoned

    def owned_steps(self):
        grant = self._grant
        if grant is None or grant.pid != os.getpid():
            return False
        return (yield from checks_token_steps(grant.name, grant.token))

    def owned(self):
        """Whether this object holds the lock, now, by the coordinator's word."""
        return self._run(self.owned_steps())

    def extend_steps(self, ttl=None):
        grant = self._own()
        yield Call([b"LOCK.EXTEND", grant.name, grant.token, ttl_ms_of(ttl)], again=True)
        grant.words[TTL] = ttl_ms_of(ttl)

    def extend(self, ttl=None):
        """Let the lock end `ttl` seconds from now (it is set, not added); None: with this process alone.

        Raises LockLostError where it is lost already.
        """
        self._run(self.extend_steps(ttl))

    def reacquire_steps(self):
        return (yield from self.extend_steps(self.ttl))

    def reacquire(self):
        """Let it end as long from now as when it was acquired."""
        self._run(self.reacquire_steps())

    def guard(self):
        """The grid, for writing under this lock: what is written through it is refused with FencedError, and changes
        nothing, once the lock is lost.

            with grid.lock("account") as lock:
                safe = lock.guard()
                safe["balance"] = safe["balance"] - 5

        The check is made by the coordinator together with the write, so there is no moment between the two.
        """
        grant = self._own()
        return guard.Guarded(self._grid, grant.name, grant.token)


class RLock(Lock):
    """The same for one who may take it again: it is free when it was released as often.  Made by grid.rlock(name).

    As threading.RLock, it belongs to the thread that has it, and no other may release it.  Two objects of one name in
    one thread are one lock.
    """

    _FLAGS = (b"REENTRANT",)

    def __init__(self, grid, name, ttl=None, on_lost=None, info=None):
        super().__init__(grid, name, ttl, on_lost, info)
        self._depths = {}  # (pid, thread) -> [Grant, how often]

    def _me(self):
        return os.getpid(), self._store.thread()

    def _granted(self, reply):
        super()._granted(reply)
        self._grant.words[DEPTH] = 1
        self._depths[self._me()] = [self._grant, 1]

    def _again(self, blocking, timeout):
        """Whether this thread has it already, and so has it once more."""
        mine = self._depths.get(self._me())
        if mine is None:
            return False
        wait_ms_of(blocking, timeout)
        mine[1] += 1
        return True

    def _once_less(self):
        """Whether this thread has it still, having given it back once."""
        mine = self._depths.get(self._me())
        if mine is None or mine[1] == 1:
            return False
        mine[1] -= 1
        return True

    def acquire_steps(self, blocking=True, timeout=FOR_EVER, tried=False):
        return self._again(blocking, timeout) or (yield from super().acquire_steps(blocking, timeout, tried))

    def acquire(self, blocking=True, timeout=FOR_EVER):
        """Take the lock, or take it once more; whether it was had.  As threading.RLock.acquire."""
        return self._again(blocking, timeout) or super().acquire(blocking, timeout)

    def _own(self):
        mine = self._depths.get(self._me())
        if mine is None:
            raise RuntimeError("cannot release un-acquired lock: %r is not held by this thread" % (self.name,))
        return mine[0]

    def owned_steps(self):
        mine = self._depths.get(self._me())
        if mine is None:
            return False
        return (yield from checks_token_steps(mine[0].name, mine[0].token))

    def _ended(self, grant):
        self._depths.pop(self._me(), None)
        super()._ended(grant)

    def release_steps(self):
        if not self._once_less():
            yield from super().release_steps()

    def release(self):
        """Give it back, or one of the times that it was taken.  RuntimeError where this thread does not have it."""
        if not self._once_less():
            super().release()


class ReadLock(Lock):
    """The side of a rwlock for those who read: many may have it, as long as nobody writes or waits for writing."""

    _MODE = b"shared"
    _FLAGS = (b"SHARED",)


class WriteLock(Lock):
    """The side of a rwlock for the one who writes; the same as grid.lock() of that name."""


class RWLock(object):
    """A lock that many may have for reading, or one for writing.  Made by grid.rwlock(name).

        rw = grid.rwlock("config")
        with rw.read():
            ...
        with rw.write():
            ...

    Those who ask stand in one queue: who wants to read waits behind one who waits for writing, so that writers do not
    starve.
    """

    def __init__(self, grid, name, prefer="writer"):
        if prefer != "writer":
            raise UsageError("a rwlock prefers the writer; %r is not on offer" % (prefer,))
        self._grid, self.name = grid, name

    def read(self, **options):
        """A new lock for reading; options as those of grid.lock()."""
        return ReadLock(self._grid, self.name, **options)

    def write(self, **options):
        """A new lock for writing."""
        return WriteLock(self._grid, self.name, **options)

    def __reduce__(self):
        return RWLock, (self._grid, self.name)

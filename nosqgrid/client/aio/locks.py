"""Await forms of the locks (client/locks).

What is held belongs to the event loop in which it was acquired, and ends with that.  Who asks is a task, not a thread:
so it stands in the errors about deadlocks, and an RLock belongs to a task.
"""

import asyncio
import inspect

from ...errors import UsageError
from ..locks import guard, leading, lock, meetings, several
from ..locks.base import Named
from .awaits import AsyncWith, awaits
from .store import has_ended, task_word


async def awaited(value):
    """A value, or what comes of it where it can be awaited."""
    return await value if inspect.isawaitable(value) else value


class _Asking(AsyncWith):
    """What all of them have beside their steps."""

    async def locked(self):
        """Whether anybody holds it."""
        return bool(await self.holders())

    async def owner(self):
        """The Holder who has had it the longest, or None."""
        return next(iter(await self.holders()), None)


class _Watched(_Asking):
    """With on_lost called in the event loop."""

    def _watch(self, grant):
        self._store.here().watch(grant, self.on_lost)

    def guard(self):
        """The grid, for writing under this lock, as that of grid.lock(): a write takes some 30 us and is no await."""
        grant = self._own()
        return guard.Guarded(self._grid.grid, grant.name, grant.token)


@awaits
class Lock(_Watched, lock.Lock):
    """A lock that one task in the whole grid holds at a time.  Made by grid.aio.lock(name).

        async with grid.aio.lock("report") as lock:
            lock.fence

    As client/locks/lock.Lock, whose other end may be a thread or another process.  `on_lost` may be a coroutine
    function; it runs in the event loop.
    """


@awaits
class RLock(_Watched, lock.RLock):
    """The same for a task that may take it again.  Made by grid.aio.rlock(name)."""


@awaits
class ReadLock(_Watched, lock.ReadLock):
    """The side of a rwlock for those who read."""


@awaits
class WriteLock(_Watched, lock.WriteLock):
    """The side of a rwlock for the one who writes."""


class RWLock(lock.RWLock):
    """A lock that many may have for reading, or one for writing.  Made by grid.aio.rwlock(name).

        async with grid.aio.rwlock("config").read():
            ...
    """

    def read(self, **options):
        """A new lock for reading; options as those of grid.aio.lock()."""
        return ReadLock(self._grid, self.name, **options)

    def write(self, **options):
        """A new lock for writing."""
        return WriteLock(self._grid, self.name, **options)

    def __reduce__(self):
        return RWLock, (self._grid, self.name)


async def _whole(store, steps):
    """Run steps that give several things back: to their end, also where the one who wants that is cancelled."""
    await asyncio.shield(store.run(steps))


@awaits
class Semaphore(_Asking, several.Semaphore):
    """So many at a time, in the whole grid.  Made by grid.aio.semaphore(name, value)."""

    async def release(self, n=1):
        """Give n back that were acquired with this object.  ValueError for more than that."""
        await _whole(self._store, self.release_steps(n))


@awaits
class MultiLock(_Asking, several.MultiLock):
    """Several locks at one moment, or none.  Made by grid.aio.multilock(names)."""

    async def release(self):
        """Give all back.  RuntimeError where they are not held; LockLostError if one was lost, after the others were.
        """
        await _whole(self._store, self.release_steps())


@awaits
class Barrier(meetings.Barrier):
    """Nobody goes on before so many have come.  Made by grid.aio.barrier(name, parties).

    A task that is cancelled while it waits breaks the barrier, as one does that dies.  The action is a plain function.
    """

    async def n_waiting(self):
        """How many wait."""
        return (await self._store.run(self._info_steps()))["waiting"]

    async def broken(self):
        """Whether it is broken."""
        return bool((await self._store.run(self._info_steps()))["broken"])


@awaits
class Event(meetings.Event):
    """A flag that tasks and processes wait for.  Made by grid.aio.event(name)."""


@awaits
class Latch(meetings.Latch):
    """A door that opens when so many things are done, and stays open.  Made by grid.aio.latch(name, count)."""

    async def count(self):
        """For how many it waits still."""
        return await self._store.run(self._open_steps())


@awaits
class Condition(AsyncWith, meetings.Condition):
    """A lock, and waiting for word from those who had it.  Made by grid.aio.condition(name).

        changed = grid.aio.condition("stock")
        async with changed:
            await changed.wait_for(lambda: grid["stock"] > 0)

    A wait that is cancelled leaves the lock not held, unlike that of asyncio.Condition: the end of the block knows.
    """

    def __init__(self, grid, name, lock=None):
        Named.__init__(self, grid, name)
        if lock is not None and type(lock) is not Lock:
            raise UsageError("this condition has a lock of grid.aio.lock(), not %r" % (lock,))
        self.lock = Lock(grid, name) if lock is None else lock
        self.acquire, self.release = self.lock.acquire, self.lock.release

    async def __aexit__(self, kind, value, trace):
        grant = self.lock._grant
        if kind is None or grant is not None and (grant.thread == task_word() or has_ended(grant.thread)):
            await self.release()  # else a wait() ended so, and another task has it by now, or nobody here


@awaits
class Election(_Watched, leading.Election):
    """One of many leads; when it dies or resigns the next one does.  Made by grid.aio.election(name, data)."""

    async def run(self, function):
        """Wait to be the leader, call function(self), which may be a coroutine function, resign; what it returned."""
        async with self:
            return await awaited(function(self))

    async def is_leader(self):
        """Whether this object leads, now, by the coordinator's word."""
        return await self.owned()

    async def resign(self):
        """Let another one lead."""
        await self.release()


class Once(leading.Once):
    """Something that is done once in the life of the data, whoever comes first.  Made by grid.aio.once(name)."""

    def __init__(self, grid, name):
        super().__init__(grid, name)
        self._lock = Lock(grid, self._lock.name)

    async def run(self, function):
        """What function() returned when it was called; it may be a coroutine function.

        Cancelled, it is not done, and the next one does it.
        """
        done, value = self.result()
        if done:
            return value
        async with self._lock as lock:
            done, value = self.result()
            if done:
                return value
            value = await awaited(function())
            self._keep(lock, value)
            return value

    async def reset(self):
        """Let it be done anew; whether it was done."""
        return bool(await self._store.here().command((b"DEL", self._key)))


@awaits
class RateLimiter(leading.RateLimiter):
    """So many in a period, in the whole grid.  Made by grid.aio.rate_limiter(name, limit, period, burst).

        async with limiter:         # waits for its turn
            ...
    """

    async def __aenter__(self):
        await self.acquire()
        return self

    async def __aexit__(self, kind, value, trace):
        """Nothing is given back: turns come with time."""

    async def peek(self):
        """(how many could come at once, seconds until all of them could)."""
        _, left, _, reset_ms = await self._store.run(self._take_steps(0, 0))
        return left, reset_ms / 1000.0

"""What a Grid has for locks: a part of it (client/grid)."""

from ...formats.values import encode_key
from ..link import named_values
from .base import holder_of
from .leading import Counter, Election, Once, RateLimiter
from .lock import Lock, RLock, RWLock
from .meetings import Barrier, Condition, Event, Latch
from .several import MultiLock, Semaphore


class LockMethods(object):
    """Makers of locks.  All who give the same name mean the same lock; making one costs nothing and asks nobody."""

    def lock(self, name, *, reentrant=False, ttl=None, on_lost=None, info=None):
        """A Lock: one process or thread in the whole grid has it at a time.  See client/locks/lock.Lock."""
        return (RLock if reentrant else Lock)(self, name, ttl, on_lost, info)

    def rlock(self, name, *, ttl=None, on_lost=None, info=None):
        """An RLock: a Lock that the thread which has it may take again."""
        return RLock(self, name, ttl, on_lost, info)

    def rwlock(self, name, prefer="writer"):
        """An RWLock: `.read()` for many, `.write()` for one."""
        return RWLock(self, name, prefer)

    def semaphore(self, name, value=1, *, ttl=None, info=None):
        """A Semaphore: up to `value` have it at a time."""
        return Semaphore(self, name, value, ttl, info)

    def multilock(self, names, *, ttl=None, info=None):
        """A MultiLock: several locks at one moment."""
        return MultiLock(self, names, ttl, info)

    def barrier(self, name, parties, action=None, timeout=None):
        """A Barrier: nobody goes on before `parties` have come."""
        return Barrier(self, name, parties, action, timeout)

    def event(self, name):
        """An Event: a flag to wait for."""
        return Event(self, name)

    def condition(self, name, lock=None):
        """A Condition: a lock, and word from those who had it."""
        return Condition(self, name, lock)

    def latch(self, name, count):
        """A Latch: it opens when `count` things are done."""
        return Latch(self, name, count)

    def once(self, name):
        """A Once: something that one does and all others wait for."""
        return Once(self, name)

    def counter(self, name):
        """A Counter: the int at that key."""
        return Counter(self, name)

    def election(self, name, data=None, *, ttl=None, on_lost=None):
        """An Election: one of many leads, and says `data` of itself."""
        return Election(self, name, data, ttl, on_lost)

    def locks(self, pattern=None):
        """[(name, holders, waiters)] of all locks that somebody holds or waits for, as lists of Holder."""
        return rows_of(self._store.command(*list_words(pattern)), self.address)

    def rate_limiter(self, name, limit, period, burst=None):
        """A RateLimiter: `limit` in each `period` seconds, `burst` of them at once."""
        return RateLimiter(self, name, limit, period, burst)


def list_words(pattern):
    """The words of LOCK.LIST."""
    return [b"LOCK.LIST"] + ([] if pattern is None else [encode_key(pattern)])


def rows_of(reply, address):
    """The reply to that as locks() gives it."""
    found = []
    for row in reply:
        lock = named_values(row, address)
        found.append((lock["name"],) + tuple([holder_of(holder, address) for holder in lock[which]]
                                             for which in ("holders", "waiters")))
    return sorted(found)

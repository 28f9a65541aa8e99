"""What grid.aio is: makers of what is awaited."""

from ...formats.values import decode_key
from ..link import checked_reply
from ..locks.methods import list_words, rows_of
from ..queues import words
from ..queues.job import reserve_steps
from ..topics.listener import KINDS
from ..topics.subscription import NEW
from . import locks, queues, topics
from .store import AioStore


class Aio(object):
    """The grid for asyncio: what may wait for somebody else is awaited here, and stops nobody meanwhile.

        async with grid.aio.lock("report"):
            grid["report"] = make_report()          # what does not wait is the grid's own

    The makers have the names and arguments of the grid's, and make the same things of the coordinator: a task here and
    a thread elsewhere contend for one lock.  Making one asks nobody.  Objects are not bound to an event loop, but what
    was acquired in one belongs to it and is given back when it ends (asyncio.run) or with close().

    A task that is cancelled while it waits leaves nothing behind: it waits no more, and what it was granted in the same
    moment is given back.
    """

    def __init__(self, grid):
        self.grid = grid
        self._store = AioStore(grid._store)

    # -- locks --------------------------------------------------------------------------------------------------------

    def lock(self, name, *, reentrant=False, ttl=None, on_lost=None, info=None):
        """A Lock: one task in the whole grid has it at a time.  `async with`, or await acquire() and release()."""
        return (locks.RLock if reentrant else locks.Lock)(self, name, ttl, on_lost, info)

    def rlock(self, name, *, ttl=None, on_lost=None, info=None):
        """An RLock: a Lock that the task which has it may take again."""
        return locks.RLock(self, name, ttl, on_lost, info)

    def rwlock(self, name, prefer="writer"):
        """An RWLock: `.read()` for many, `.write()` for one."""
        return locks.RWLock(self, name, prefer)

    def semaphore(self, name, value=1, *, ttl=None, info=None):
        """A Semaphore: up to `value` have it at a time."""
        return locks.Semaphore(self, name, value, ttl, info)

    def multilock(self, names, *, ttl=None, info=None):
        """A MultiLock: several locks at one moment."""
        return locks.MultiLock(self, names, ttl, info)

    def barrier(self, name, parties, action=None, timeout=None):
        """A Barrier: nobody goes on before `parties` have come.  await wait()."""
        return locks.Barrier(self, name, parties, action, timeout)

    def event(self, name):
        """An Event: a flag.  await wait(), set(), clear(), is_set()."""
        return locks.Event(self, name)

    def condition(self, name, lock=None):
        """A Condition: a lock, and word from those who had it."""
        return locks.Condition(self, name, lock)

    def latch(self, name, count):
        """A Latch: it opens when `count` things are done.  await wait(), count_down()."""
        return locks.Latch(self, name, count)

    def once(self, name):
        """A Once: something that one does and all others wait for.  await run(function)."""
        return locks.Once(self, name)

    def election(self, name, data=None, *, ttl=None, on_lost=None):
        """An Election: one of many leads, and says `data` of itself."""
        return locks.Election(self, name, data, ttl, on_lost)

    def rate_limiter(self, name, limit, period, burst=None):
        """A RateLimiter: `limit` in each `period` seconds, `burst` of them at once.  await acquire()."""
        return locks.RateLimiter(self, name, limit, period, burst)

    async def locks(self, pattern=None):
        """[(name, holders, waiters)] of all locks that somebody holds or waits for, as grid.locks()."""
        return rows_of(await self._command(*list_words(pattern)), self._store.address)

    # -- queues -------------------------------------------------------------------------------------------------------

    def queue(self, name, maxsize=0):
        """A Queue of jobs.  await put(), get(), reserve(), join(); `async for job in` it."""
        return queues.Queue(self, name, maxsize)

    async def queues(self):
        """The names of all queues that have ever had a job and were not dropped, sorted."""
        return sorted(decode_key(name) for name in await self._command(b"JOB.QUEUES"))

    async def reserve(self, names, n=1, timeout=None, order="strict", worker=None):
        """Up to n jobs of several queues, as a list of ReservedJob; as grid.reserve()."""
        found = await self._store.run(reserve_steps(self._store, names, n, words.wait_ms_of(True, timeout), order,
                                                    worker))
        return [queues._as(job, queues.ReservedJob) for job in found]

    def job(self, job_id):
        """The Job with this id, of whatever state; nothing is asked yet.  await wait() for its result."""
        return queues.Job(self._store, words.id_of(job_id))

    # -- topics and listeners -----------------------------------------------------------------------------------------

    def topic(self, name, maxlen=None, *, max_bytes=None, max_age=None):
        """The topic with a name: a Topic, to await publish() of, and to subscribe to."""
        return topics.Topic(self._store, name, maxlen, max_bytes, max_age)

    async def topics(self):
        """The names of all topics."""
        return [decode_key(name) for name in checked_reply(await self._command(b"TOPIC.LIST"), list,
                                                           self._store.address)]

    def subscribe(self, *names, since=NEW):
        """A Subscription to topics, for `async for` and await get(timeout); arguments as those of grid.subscribe().

            async for message in await grid.aio.subscribe("news"):
                print(message.seq, message.value)

        It begins where it is awaited or entered (`async with`), else where it is first read.
        """
        return topics.Subscription(self._store, names, since)

    def listen(self, prefix="", events=KINDS, *, since=NEW, keep=60.0):
        """A Listener to the keys that begin with a prefix, for `async for`; arguments as those of grid.listen().

            async with grid.aio.listen("user:") as listener:
                async for event in listener:
                    print(event.kind, event.key)

        It begins where it is entered or awaited.
        """
        return topics.Listener(self._store, prefix, events, keep, since)

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def _command(self, *words):
        return await self._store.here().command(words)

    def close(self):
        """End all connections for asyncio: who awaits something gets CoordinatorLostError, and what was acquired is
        given back.  Whatever is used after that makes new ones.  grid.close() does it as well.
        """
        self._store.close()

    def __reduce__(self):
        return getattr, (self.grid, "aio")

    def __repr__(self):
        return "<nosqgrid asyncio of %s>" % self._store.address

"""Await forms of queues and jobs (client/queues)."""

import asyncio

from ..queues import job, queue
from ..times import milliseconds
from .awaits import awaits


@awaits
class Job(job.Job):
    """One job, as grid.aio.queue(...).put() and grid.aio.job() give it.  state is asked for: `await job.state()`."""


@awaits
class ReservedJob(job.ReservedJob):
    """A job in the hand of a worker, who has to say what came of it.

        async with await queue.reserve() as job:
            await send(job.payload)

    As client/queues/job.ReservedJob: the end of the block acknowledges it, an exception gives it back to be tried
    again; where the task is cancelled it is given back and the attempt does not count.
    """

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            kind = BaseException  # in 3.6 and 3.7 it is an error as any other
        await self._store.run(self.leave_steps(kind, value))


def _as(found, cls):
    """An object of client/queues as what it is here; it is the same but for its methods."""
    if found is not None:
        found.__class__ = cls
    return found


@awaits
class Queue(queue.Queue):
    """A queue of jobs.  Made by grid.aio.queue(name); the same as grid.queue(name) of any process.

        async for job in queue:         # one after the other, for ever
            async with job:
                await send(job.payload)

    put, get, task_done and join are those of asyncio.Queue, but put and get have a timeout as well, and what asks
    (qsize, empty, full) is awaited.  Raises queue.Full and queue.Empty.

    What a task got is done with task_done(), or where nobody says that in this event loop, with the task's next get().
    task_done() is for what this task got first, or one that has ended, and else for what another did.
    """

    def __reduce__(self):
        return Queue, (self._grid, self.name, self.maxsize)

    # -- putting and taking -------------------------------------------------------------------------------------------

    def put_steps(self, obj, block=True, timeout=None, **options):
        return _as((yield from super().put_steps(obj, block, timeout, **options)), Job)

    def put_many_steps(self, objects, **options):
        return [_as(found, Job) for found in (yield from super().put_many_steps(list(objects), **options))]

    async def put_nowait(self, obj, **options):
        """put(obj, block=False)."""
        return await self.put(obj, False, **options)

    def reserve_steps(self, timeout=None, worker=None):
        return _as((yield from super().reserve_steps(timeout, worker)), ReservedJob)

    async def reserve(self, timeout=None, worker=None):
        """The ReservedJob whose turn it is; None where none came in `timeout` seconds (None: waits for ever).

        `worker` is a text for whoever looks at the job.  One that takes longer than its ttr has to touch() it.
        """
        return await self._store.run(self.reserve_steps(timeout, worker))

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.reserve()

    async def get_nowait(self):
        """get(block=False)."""
        return await self.get(False)

    # -- looking, and what people do to it ----------------------------------------------------------------------------

    async def qsize(self):
        """How many jobs nobody has taken yet."""
        return (await self.stats())["length"]

    async def empty(self):
        """Whether there are none."""
        return await self.qsize() == 0

    async def full(self):
        """Whether there are `maxsize` of them."""
        return self.maxsize > 0 and self.maxsize <= await self.qsize()

    async def _command(self, name, *more):
        return await self._store.here().command((name, self._raw) + more)

    async def pause(self, seconds=None):
        """Hand nothing out for so long, or until resume()."""
        await self._command(b"JOB.PAUSE", -1 if seconds is None else milliseconds(seconds, "a pause"))

    async def resume(self):
        """Hand out again."""
        await self._command(b"JOB.PAUSE", 0)

    async def drain(self, on=True):
        """Refuse puts, so that the queue becomes empty."""
        await self._command(b"JOB.DRAIN", int(bool(on)))

    async def kick(self, n=1):
        """Let the first n delayed jobs be ready; how many those were."""
        return await self._command(b"JOB.KICK", n)

    async def redrive(self, n=-1):
        """Let n dead jobs, or all, have all their attempts again; how many those were."""
        return await self._command(b"JOB.REDRIVE", n)

    async def purge(self, state=None):
        """Remove the jobs in a state, or all that nobody has; how many."""
        return await self._command(b"JOB.PURGE", *([] if state is None else [state]))

    async def drop(self):
        """Remove the queue with all its jobs and settings; whether there was one."""
        return bool(await self._command(b"JOB.DROP"))

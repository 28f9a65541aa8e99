"""Queues: what queue.Queue is, for all processes of a grid, and what work needs beyond it."""

import contextlib
import queue

from ...errors import CommandError, StaleReceiptError, UsageError
from ...formats.values import encode_key
from .. import steps
from ..link import named_values
from ..mapping import encode_checked
from ..steps import Call
from ..times import milliseconds, milliseconds_above_0
from . import words
from .got import HELD_MS
from .job import Job, _context, made_job, reserve_steps


class Queue(object):
    """A queue of jobs.  Made by grid.queue(name); all who give the same name mean the same queue.

        q = grid.queue("mail")
        q.put({"to": "ada@example.org"}, retries=3)
        with q.reserve() as job:                    # in another process
            send(job.payload)

    put, get, put_nowait, get_nowait, qsize, empty, full, task_done and join are those of queue.Queue, and raise
    queue.Full and queue.Empty.  `maxsize` is for the puts of this object; 0 for no bound, or what config() says.

    Who reserves a job says what came of it (client/queues/job.ReservedJob).  Who gets an item is done with it when he
    says task_done(), or gets the next one in the same thread: a process that is killed before that gives it back.
    """

    def __init__(self, grid, name, maxsize=0):
        if isinstance(maxsize, bool) or not isinstance(maxsize, int):
            raise UsageError("maxsize is an int, not %r" % (maxsize,))
        self._grid, self._store = grid, grid._store
        self.name, self.maxsize = name, maxsize
        self._raw = encode_key(name)

    def _run(self, generator):
        return steps.run(self._store, generator)

    def __reduce__(self):
        return Queue, (self._grid, self.name, self.maxsize)

    def __repr__(self):
        return "<nosqgrid Queue %r of %s>" % (self.name, self._store.address)

    # -- putting ------------------------------------------------------------------------------------------------------

    def put_words(self, obj, overflow=None, **options):
        """The words of JOB.PUT, also for pipelines."""
        value_type, payload = encode_checked(self._store.codec, obj, _context(self._raw))
        found = [b"JOB.PUT", self._raw, value_type, payload] + words.put_words(**options)
        if self.maxsize > 0:
            found += [b"MAXLEN", self.maxsize]
        if overflow is not None:
            if overflow not in words.OVERFLOWS:
                raise UsageError("overflow is one of %s, not %r" % (", ".join(words.OVERFLOWS), overflow))
            found += [b"OVERFLOW", overflow]
        return found

    def put_steps(self, obj, block=True, timeout=None, **options):
        wait_ms = words.wait_ms_of(block, timeout)
        asked = self.put_words(obj, **options)
        try:
            reply = yield Call(asked)
            if reply is None and wait_ms and options.get("overflow") in (None, "block"):
                reply = yield Call(asked + [b"WAIT", wait_ms], waits=True, once=True)
        except CommandError as error:
            if error.code == "QUEUEFULL" or str(error).startswith("QUEUEFULL"):
                raise queue.Full(str(error)) from error
            raise
        if reply is None:
            if options.get("overflow") == "drop_newest":
                return None
            raise queue.Full("the queue %r has no room" % (self.name,))
        return made_job(self._store, reply)

    def put(self, obj, block=True, timeout=None, *, delay=0, eta=None, priority=0, ttr=None, retries=None, backoff=None,
            unique=None, until="finished", group=None, fifo=False, ttl=None, depends_on=(), keep=None, kind=None,
            replace=False, overflow=None):
        """Put a job; the Job.  As queue.Queue.put, and:

            delay, eta: seconds, or a datetime or time.time(), before which it is not handed out.
            priority: an int; lower ones first.
            ttr: seconds that a worker may be silent about it (60); touch() asks for more.
            retries: how often it is tried again after a failure (4), and backoff: (first seconds, longest, factor,
                "jitter") between the attempts (1, 300, 2, "jitter").
            unique: a key; as long as a job with that is `until` "started", "finished" (the default) or so many seconds,
                no other is made, and the Job returned is that one (`created` is False).  With replace the new one takes
                its place.
            group: groups have their turns one after the other; with fifo one at a time of a group, in its order.
            ttl: seconds after which it is cancelled if nobody has begun it.
            depends_on: jobs, or their ids, that have to be done first.
            keep: seconds for which its outcome and result are kept when it is done (0).
            overflow: "block" (the default), "error", "drop_oldest" or "drop_newest" where the queue is full.
        Raises queue.Full; UnsupportedTypeError, ValueTooLargeError, GridFullError.  When it returns the job is as safe
        as the grid's durability says.
        """
        return self._run(self.put_steps(
            obj, block, timeout, delay=delay, eta=eta, priority=priority, ttr=ttr, retries=retries, backoff=backoff,
            unique=unique, until=until, group=group, fifo=fifo, ttl=ttl, depends_on=depends_on, keep=keep, kind=kind,
            replace=replace, overflow=overflow))

    def put_nowait(self, obj, **options):
        """put(obj, block=False)."""
        return self.put(obj, False, **options)

    def put_many_steps(self, objects, **options):
        encoded = [encode_checked(self._store.codec, obj, _context(self._raw)) for obj in objects]
        if not encoded:
            return []
        asked = [b"JOB.PUTMANY", self._raw, len(encoded)] + [word for pair in encoded for word in pair]
        asked += words.put_words(**options) + ([b"MAXLEN", self.maxsize] if self.maxsize > 0 else [])
        reply = yield Call(asked)
        if reply is None:
            raise queue.Full("the queue %r has no room for %d jobs" % (self.name, len(encoded)))
        return [made_job(self._store, row) for row in reply]

    def put_many(self, objects, **options):
        """Put several jobs with the same options, all of them or none; a list of Job.  Does not wait for room."""
        return self._run(self.put_many_steps(list(objects), **options))

    # -- taking -------------------------------------------------------------------------------------------------------

    def reserve_steps(self, timeout=None, worker=None):
        found = yield from reserve_steps(self._store, [self._raw], 1, words.wait_ms_of(True, timeout), worker=worker)
        return found[0] if found else None

    def reserve(self, timeout=None, worker=None, keep=False):
        """The ReservedJob whose turn it is; None where none came in `timeout` seconds (None: waits for ever).

        `worker` is a text for whoever looks at the job.  With `keep` a thread of this process asks for more time while
        the job is in hand, however long that is (client/queues/keeper); else touch() does, or its ttr ends.
        """
        job = self._run(self.reserve_steps(timeout, worker))
        if keep and job is not None:
            self._store.keeper.keep(job)
        return job

    def get_steps(self, block=True, timeout=None):
        wait_ms = words.wait_ms_of(block, timeout)
        over = self._store.got.before_next(self._raw)
        if over is not None:
            with contextlib.suppress(StaleReceiptError):  # a coordinator ended meanwhile; somebody else was given it
                yield from self._store.got.done_steps(self._raw, over, ahead=True)
        found = yield from reserve_steps(self._store, [self._raw], 1, wait_ms, hand_over=self._hand_over_steps)
        if not found:
            raise queue.Empty
        return found[0]

    def _hand_over_steps(self, jobs):
        job, got = jobs[0], self._store.got
        yield Call(job.words_of(b"JOB.TOUCH", HELD_MS))
        try:
            payload = job.payload
        except Exception as error:
            yield from job.nack_steps(error=error)
            raise
        try:
            got.add(self._raw, job)
            return [payload]
        except BaseException:
            got.remove(self._raw, job)
            raise

    def get(self, block=True, timeout=None):
        """The next item.  As queue.Queue.get; raises queue.Empty.

        It is done when this process says task_done(), or, where it never does, when this thread gets the next one, the
        grid is closed, or the process ends in order; a process that dies before that gives it back.
        """
        return self._run(self.get_steps(block, timeout))

    def get_nowait(self):
        """get(block=False)."""
        return self.get(False)

    def task_done_steps(self):
        item = self._store.got.done(self._raw)
        if item is not None:
            yield from self._store.got.done_steps(self._raw, item)

    def task_done(self):
        """What this thread (or else any of the process) got first and has not said so of is done.

        Raises ValueError where there is nothing; StaleReceiptError where somebody else was given it since, because a
        coordinator ended and this process did not call the next one in time.
        """
        self._run(self.task_done_steps())

    def join_steps(self, timeout=None):
        return bool((yield Call([b"JOB.JOIN", self._raw, words.wait_ms_of(True, timeout)], waits=True)))

    def join(self, timeout=None):
        """Wait until every job that was put is finished, by whomever; whether it is (queue.Queue has no timeout)."""
        return self._run(self.join_steps(timeout))

    # -- looking ------------------------------------------------------------------------------------------------------

    def stats_steps(self):
        return named_values((yield Call([b"JOB.STATS", self._raw], again=True)), self._store.address)

    def stats(self):
        """How many jobs are in which state, and how the queue is set, as a dict."""
        return self._run(self.stats_steps())

    def qsize(self):
        """How many jobs nobody has taken yet."""
        return self.stats()["length"]

    def empty(self):
        """Whether there are none."""
        return self.qsize() == 0

    def full(self):
        """Whether there are `maxsize` of them, or as many as config(maxlen) says."""
        told = self.stats()
        return 0 < (self.maxsize if self.maxsize > 0 else told["maxlen"]) <= told["length"]

    def peek_steps(self, n=1, state="ready", offset=0):
        rows = yield Call([b"JOB.PEEK", self._raw, state, n, offset], again=True)
        return [Job(self._store, b"%b:0" % self._raw)._told(row) for row in rows]

    def peek(self, n=1, state="ready", offset=0):
        """info() of the first n jobs in a state, in the order in which they would come."""
        return self._run(self.peek_steps(n, state, offset))

    # -- what people do to it -----------------------------------------------------------------------------------------

    def _command(self, name, *more):
        return self._store.command(name, self._raw, *more)

    def kick(self, n=1):
        """Let the first n delayed jobs be ready; how many those were."""
        return self._command(b"JOB.KICK", n)

    def redrive(self, n=-1):
        """Let n dead jobs, or all, have all their attempts again; how many those were."""
        return self._command(b"JOB.REDRIVE", n)

    def purge(self, state=None):
        """Remove the jobs in a state, or all that nobody has; how many."""
        return self._command(b"JOB.PURGE", *([] if state is None else [state]))

    def pause(self, seconds=None):
        """Hand nothing out for so long, or until resume()."""
        self._command(b"JOB.PAUSE", -1 if seconds is None else milliseconds(seconds, "a pause"))

    def resume(self):
        """Hand out again."""
        self._command(b"JOB.PAUSE", 0)

    def drain(self, on=True):
        """Refuse puts, so that the queue becomes empty."""
        self._command(b"JOB.DRAIN", int(bool(on)))

    def config(self, **settings):
        """Set what is the same for all jobs put from now on: ttr, keep (seconds), retries, maxlen, overflow.

        None takes a setting away.  All settings, as a dict.
        """
        return self._run(self.config_steps(**settings))

    def config_steps(self, **settings):
        asked = []
        for name, value in settings.items():
            if value is None:
                value = ""
            elif name == "ttr":
                value = milliseconds_above_0(value, name)
            elif name == "keep":
                value = milliseconds(value, name)
            asked += [name, value]
        return named_values((yield Call([b"JOB.CONFIG", self._raw] + asked)), self._store.address)

    def drop(self):
        """Remove the queue with all its jobs and settings; whether there was one."""
        return bool(self._command(b"JOB.DROP"))

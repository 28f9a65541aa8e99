"""A concurrent.futures.Executor whose calls are run by workers of the grid.

    with grid.executor(workers=4) as executor:          # its own workers, on this machine
        totals = list(executor.map(count, files, chunksize=10))

    executor = grid.executor()                          # those of `nosqgrid worker -q executor MODULE`

A call is a job of a queue: the name of a function, and arguments that the grid carries as values.  What it came to
comes back as PEP 3148 says: a result, or the exception that it raised, with the remote traceback as its cause.  One
daemon thread of the executor is told of the ends of its jobs by the coordinator, and completes the futures.

What may go wrong
 1. A worker that dies while it runs a call: the call is run again, `max_attempts` times in all; then its future raises
    JobFailedError.  Other futures do not notice: no executor is broken by a call.
 2. A call that outlives `ttr` seconds: its process is killed, and that counts as 1.
 3. No coordinator for GIVE_UP_S seconds, the grid closed, or the workers that it started ended by themselves: the
    executor is broken; what is pending raises ExecutorBrokenError (a BrokenExecutor), and so does submit().
 4. A coordinator that ends and has kept nothing: calls that it had not finished raise CoordinatorLostError, and may or
    may not have run.
"""

import atexit
import concurrent.futures
import itertools
import os
import threading
import time
import weakref

from ...errors import (CommandError, CoordinatorError, CoordinatorLostError, JobCancelledError, JobFailedError,
                       NosqgridError, PeerError, UnknownJobError, UsageError)
from ...formats import values
from ...formats.values import encode_key
from ..link import Link, checked_reply
from ..queues.words import put_words
from ..times import milliseconds_above_0
from . import calls, names, outcomes
from .local_workers import LocalWorkers

GIVE_UP_S = 60.0
RETRY_S_MIN, RETRY_S_MAX = 0.02, 1.0
WATCH_MS = 1000  # between two looks at the workers that were started here
PUT_MAX, PUT_BYTES_MAX = 500, 4 << 20  # calls of a map that go in one command
_FOLLOWED_MAX = 1000  # ids in one command
_Broken = getattr(concurrent.futures, "BrokenExecutor", RuntimeError)  # 3.7


class ExecutorBrokenError(_Broken, NosqgridError):
    """The executor cannot go on: its coordinator, its grid or its workers are gone; the cause says which."""


class GridFuture(concurrent.futures.Future):
    """The future of a call; `job_id` names its job."""

    def __init__(self, watcher):
        super().__init__()
        self._watcher = watcher
        self._cancelling = False
        self.job_id = None

    def cancel(self):
        """Cancel the call if no worker has begun with it; whether it is cancelled now."""
        if self.job_id is None or self.done():
            return super().cancel()
        self._cancelling = True
        if not self._watcher.cancel(self.job_id):
            self._cancelling = False
            return False
        if super().cancel():
            self.set_running_or_notify_cancel()
        self._watcher.forget(self.job_id)
        return self.cancelled()

    def running(self):
        """Whether a worker has it just now.  Asks the coordinator."""
        if self.job_id is None or self.done():
            return False
        return self._watcher.is_running(self.job_id)

    def complete(self, state, value_type, data):
        """It has ended, in this state, with this result or error."""
        if self.done() or state == b"cancelled" and self._cancelling:
            return
        value = error = None
        if state == b"done" and value_type == values.BYTES:
            try:
                raw_queue = self.job_id.rpartition(b":")[0]
                value, error = outcomes.outcome(self._watcher.codec, data, calls.context(raw_queue))
            except NosqgridError as broken:
                error = broken
        elif state == b"cancelled":
            error = JobCancelledError("job %s was cancelled while it ran" % _text(self.job_id))
        elif state == b"dead":
            error = JobFailedError("job %s failed for good: %s" % (_text(self.job_id), _text(data)))
        else:
            error = CoordinatorLostError("job %s is not known any more: the coordinator that had it has ended, or its "
                                         "queue was emptied; it may or may not have run" % _text(self.job_id))
        self.end(value, error)

    def end(self, value, error):
        """Set what came of it, where nothing is set yet."""
        if self.done() or not self.set_running_or_notify_cancel():
            return
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)


class _Watcher(object):
    """The futures of an executor, and the thread that completes them.  It does not know the executor."""

    def __init__(self, store, end_s):
        self.store = store
        self.codec = store.codec
        self.workers = None
        self.broken = None
        self._changed = threading.Condition()
        self._futures = {}  # id -> GridFuture
        self._early = {}  # id -> what came of a job before it was known here
        self._session = 0  # that is told of the ends
        self._link = None
        self._ending = False
        self._thread = None
        self._end = end_s

    # -- from the executor's callers ----------------------------------------------------------------------------------

    def put(self, words, futures):
        """Put the jobs of some futures with JOB.PUT or JOB.PUTMANY; `words` lack who follows them."""
        while True:
            session = self._follower()
            try:
                reply = self.store.command(*(words + [b"FOLLOW", b"%d" % session]))
                break
            except CommandError:
                with self._changed:
                    if self._changed.wait_for(lambda: self._session != session, 1.0):
                        continue  # there is another coordinator, or another connection to it
                raise
        rows = reply if words[0] == b"JOB.PUTMANY" else [reply]
        if reply is None or len(rows) != len(futures):
            raise PeerError("%d jobs were put, and the answer was %.100r" % (len(futures), reply))
        with self._changed:
            for future, (job_id, _) in zip(futures, rows):
                future.job_id = job_id
                self._futures[job_id] = future
            early = [(future, self._early.pop(future.job_id)) for future in futures if future.job_id in self._early]
        for future, row in early:
            self._complete(future.job_id, row)

    def _follower(self):
        """The number of the session that is told of ends; the thread is started where there is none."""
        with self._changed:
            if self._thread is None and self.broken is None:
                self._thread = threading.Thread(target=self._watch, name="nosqgrid-executor", daemon=True)
                self._thread.start()
            self._changed.wait_for(lambda: self._session or self.broken is not None, self.store.timeout_s + GIVE_UP_S)
            if self.broken is not None:
                raise ExecutorBrokenError("the executor is broken: %s" % self.broken) from self.broken
            return self._session

    def cancel(self, job_id):
        """Cancel a job that nobody has; whether that could be."""
        try:
            return self.store.command(b"JOB.CANCEL", job_id, b"QUEUED") == b"cancelled"
        except UnknownJobError:
            return False

    def is_running(self, job_id):
        """Whether somebody has a job."""
        reply = self.store.command(b"JOB.INFO", job_id)
        return reply is not None and dict(zip(reply[::2], reply[1::2]) if reply and not isinstance(reply[0], tuple)
                                          else reply).get(b"state") == b"reserved"

    def forget(self, job_id):
        """The future of a job is complete."""
        with self._changed:
            self._futures.pop(job_id, None)
            self._let_end()

    def futures(self):
        """Those that are not complete."""
        with self._changed:
            return list(self._futures.values())

    def end(self, wait):
        """Let the thread end when every future is complete, and the workers with it."""
        with self._changed:
            self._ending = True
            thread = self._thread
            self._let_end()
        if thread is None:
            self._close_workers()
        elif wait and thread is not threading.current_thread():
            thread.join()

    def _let_end(self):
        """Wake the thread if nothing is left to wait for."""
        if self._ending and not self._futures and self._link is not None:
            self._link.shut()

    def _is_over(self):
        with self._changed:
            return self._ending and not self._futures

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _watch(self):
        try:
            pause_s, since = RETRY_S_MIN, time.monotonic()
            while not self._is_over():
                try:
                    self._follow()
                    return
                except (CoordinatorError, PeerError) as error:
                    if self._was_connected():
                        pause_s, since = RETRY_S_MIN, time.monotonic()
                    elif time.monotonic() - since > GIVE_UP_S:
                        self._break(error)
                        return
                if not self._is_over():
                    time.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)
        except Exception as error:  # whatever it is: nobody shall wait for a thread that is gone
            self._break(error)
        finally:
            self._close_workers()

    def _was_connected(self):
        """Whether there was a session until now."""
        with self._changed:
            session, self._session = self._session, 0
            return bool(session)

    def _follow(self):
        """Be told of ends by one coordinator, until everything is complete."""
        self.store.live()  # starts one, where the grid is one that does
        link = Link(self.store.address, self.store.timeout_s)
        try:
            number = checked_reply(link.command(b"CLIENT", b"ID"), int, self.store.address)
            with self._changed:
                self._link, self._session = link, number
                known = list(self._futures)
                self._changed.notify_all()
            for at in range(0, len(known), _FOLLOWED_MAX):
                self._told(link.command(b"JOB.FOLLOWED", b"0", *known[at:at + _FOLLOWED_MAX]))
            while not self._is_over():
                if self.workers is None:
                    self._told(link.command(b"JOB.FOLLOWED", b"-1", timeout_s=0))
                else:
                    self._told(link.command(b"JOB.FOLLOWED", b"%d" % WATCH_MS))
                    self._look_at_workers()
        finally:
            with self._changed:
                self._link = None
            link.close()

    def _look_at_workers(self):
        status = self.workers.ended()
        if status is not None:
            raise ChildProcessError("the workers that it had started ended by themselves, with status %d" % status)

    def _told(self, rows):
        for job_id, state, value_type, data in checked_reply(rows, list, self.store.address):
            self._complete(job_id, (state, value_type, data))

    def _complete(self, job_id, row):
        with self._changed:
            future = self._futures.pop(job_id, None)
            if future is None:
                self._early[job_id] = row
                return
        future.complete(*row)

    def _break(self, error):
        with self._changed:
            self.broken = error
            futures, self._futures = list(self._futures.values()), {}
            self._changed.notify_all()
        for future in futures:
            broken = ExecutorBrokenError("the executor is broken: %s" % error)
            broken.__cause__ = error
            future.end(None, broken)

    def _close_workers(self):
        atexit.unregister(self.end)
        workers, self.workers = self.workers, None
        if workers is not None:
            workers.close()
        self._end()


class GridExecutor(concurrent.futures.Executor):
    """See the module; made by Grid.executor.

    `workers` processes are started here with the first call, for a queue of its own; with 0 others run the calls, from
    the queue `queue`.  `max_attempts`: how many workers a call may kill; `ttr`: seconds that a call may take; `keep`:
    for how many seconds the outcome of a call is kept for this process, when it is slow to ask.
    """

    def __init__(self, grid, queue, workers, max_attempts, ttr, keep):
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise UsageError("workers is how many processes are started, from 0 on, not %r" % (workers,))
        self._queue = queue if not workers else "%s:%d:%s" % (queue, os.getpid(), os.urandom(4).hex())
        self._workers = workers
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:
            raise UsageError("max_attempts is an int of at least 1, not %r" % (max_attempts,))
        milliseconds_above_0(keep, "keep")
        self._options = put_words(retries=max_attempts - 1, ttr=ttr, keep=keep, backoff=(0, 0, 1))
        self._grid = grid
        self._secret = None
        self._pid = os.getpid()
        self._shutdown = False
        self._lock = threading.Lock()
        store, own_queue = grid._store, self._queue if workers else None
        self._watcher = _Watcher(store, lambda: _drop(store, own_queue))
        weakref.finalize(self, self._watcher.end, False).atexit = False
        atexit.register(self._watcher.end, True)  # nobody shall lose what he has asked for

    def submit(*args, **kwargs):
        """submit(fn, *args, **kwargs): let a worker call it; its GridFuture.

        Raises UsageError for a function that has no name by which a worker finds it, UnsupportedTypeError for arguments
        that the grid does not carry, RuntimeError after shutdown(), ExecutorBrokenError.
        """
        if len(args) < 2:
            raise TypeError("submit() takes a function, and what it is to be called with")
        self, function = args[:2]
        kind = calls.CALL + names.name_of(function).encode("utf-8")
        self._begin()
        future = GridFuture(self._watcher)
        sent, value_type, payload = self._encoded(kind, [list(args[2:]), kwargs])
        self._watcher.put([b"JOB.PUT", self._queue, b"%d" % value_type, payload, b"KIND", sent] + self._options,
                          [future])
        return future

    def map(self, function, *iterables, timeout=None, chunksize=1):
        """The results of function(*args) for args of zip(*iterables), in order; see concurrent.futures.

        `chunksize` calls travel as one job, which is what makes many short ones worth while.
        """
        if chunksize < 1:
            raise UsageError("chunksize must be >= 1, not %r" % (chunksize,))
        end = None if timeout is None else time.monotonic() + timeout
        kind = calls.MAP + names.name_of(function).encode("utf-8")
        self._begin()
        futures, batch, size = [], [], 0
        rows = zip(*iterables)
        for chunk in iter(lambda: [list(args) for args in itertools.islice(rows, chunksize)], []):
            batch.append(self._encoded(kind, chunk))
            size += len(batch[-1][2])
            if len(batch) >= PUT_MAX or size >= PUT_BYTES_MAX:
                futures += self._put_batch(batch)
                batch, size = [], 0
        if batch:
            futures += self._put_batch(batch)
        return _results(futures, end)

    def _put_batch(self, batch):
        futures = [GridFuture(self._watcher) for _ in batch]
        words = [b"JOB.PUTMANY", self._queue, b"%d" % len(batch)]
        for _, value_type, payload in batch:
            words += [b"%d" % value_type, payload]
        self._watcher.put(words + [b"KIND", batch[0][0]] + self._options, futures)
        return futures

    def _begin(self):
        """Raise where no call is taken any more; start what runs them."""
        if self._pid != os.getpid():
            raise RuntimeError("this executor belongs to the process that forked this one: make one here")
        with self._lock:
            if self._shutdown:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._workers and self._watcher.workers is None and self._watcher.broken is None:
                self._watcher.workers = LocalWorkers(self._grid.address, self._queue, self._workers,
                                                     self._watcher.codec.name is not None)
                self._secret = self._watcher.workers.secret

    def _encoded(self, kind, obj):
        """(kind, type, payload) as they travel."""
        value_type, payload = self._watcher.codec.encode(obj, calls.context(encode_key(self._queue)))
        if self._secret is None:
            return kind, value_type, payload
        return calls.seal(self._secret, kind, value_type, payload)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Take no more calls; with `cancel_futures` those that no worker has begun with are cancelled.

        With `wait` it returns when all calls are done and the workers that were started here have ended.
        """
        with self._lock:
            self._shutdown = True
        if cancel_futures:
            for future in self._watcher.futures():
                future.cancel()
        self._watcher.end(wait)

    def __repr__(self):
        return "<nosqgrid.GridExecutor on %s of %s>" % (self._queue, self._grid.address)


def _results(futures, end):
    """The results of futures of lists, one after the other; those that nobody asks for any more are cancelled."""
    futures.reverse()
    try:
        while futures:
            yield from futures.pop().result(None if end is None else end - time.monotonic())
    finally:
        for future in futures:
            future.cancel()


def _drop(store, queue):
    """The queue of an executor's own workers goes with it; where nobody is there to tell, it is gone or stays empty."""
    if queue is None:
        return
    try:
        store.command(b"JOB.DROP", queue)
    except NosqgridError:
        return


def _text(word):
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)

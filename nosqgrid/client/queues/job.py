"""Jobs: as whoever put them knows them, and as workers have them in hand."""

import contextlib
from functools import partial

from ...errors import JobCancelledError, JobFailedError, StaleReceiptError, UnknownJobError, UsageError
from ...formats.values import encode_key
from .. import steps
from ..link import named_values
from ..steps import Call
from ..times import milliseconds
from . import words

ERROR_CHARACTERS = 4000


class Job(object):
    """One job.  `id` is a text, "queue:number"; what put() and grid.job() give.

    What is asked here is asked of the coordinator each time: somebody else works on it.
    """

    def __init__(self, store, job_id):
        self._store = store
        self._raw_id = job_id
        self.created = True  # False where put() found a unique job that was there
        self._payload = None

    @property
    def id(self):
        return self._raw_id.decode("utf-8", "surrogateescape")

    @property
    def queue(self):
        """The name of its queue."""
        return self.id.rpartition(":")[0]

    def _run(self, generator):
        return steps.run(self._store, generator)

    def _decoded(self, value_type, payload):
        return self._store.codec.decode(value_type, payload, _context(self._raw_id.rpartition(b":")[0]))

    def info_steps(self):
        reply = yield Call([b"JOB.INFO", self._raw_id], again=True)
        if reply is None:
            raise UnknownJobError("nothing is kept of job %s (any more)" % self.id)
        return self._told(reply)

    def _told(self, reply):
        found = _plain(named_values(reply, self._store.address))
        for name, kind in (("payload", "type"), ("result", "result_type")):
            if name in found:
                raw = dict(_pairs(reply))[name.encode()]
                found[name] = self._decoded(found.pop(kind), raw)
        return found

    def info(self):
        """Everything that is known of it, as a dict; times in ms since 1970.  Raises UnknownJobError."""
        return self._run(self.info_steps())

    def state_steps(self):
        reply = yield Call([b"JOB.INFO", self._raw_id], again=True)
        return "forgotten" if reply is None else named_values(reply, self._store.address)["state"]

    @property
    def state(self):
        """waiting, delayed, ready, reserved, done, dead or cancelled; "forgotten" where nothing is kept of it."""
        return self._run(self.state_steps())

    def wait_steps(self, timeout=None):
        wait_ms = words.wait_ms_of(True, timeout)
        reply = yield Call([b"JOB.WAIT", self._raw_id, 0], again=True)
        if reply is None and wait_ms:
            reply = yield Call([b"JOB.WAIT", self._raw_id, wait_ms], waits=True)
        if reply is None:
            raise TimeoutError("job %s is not finished after %r seconds" % (self.id, timeout))
        found = self._told(reply)
        if found["state"] == "dead":
            raise JobFailedError("job %s failed: %s" % (self.id, found.get("error") or "without a word"))
        if found["state"] == "cancelled":
            raise JobCancelledError("job %s was cancelled" % self.id)
        return found.get("result")

    def wait(self, timeout=None):
        """Wait until it is finished; its result, None where it has none or it is not kept.

        Raises JobFailedError with the error of the last attempt, JobCancelledError, and TimeoutError where it is not
        finished after `timeout` seconds.
        """
        return self._run(self.wait_steps(timeout))

    def cancel_steps(self):
        return (yield Call([b"JOB.CANCEL", self._raw_id], again=True)).decode()

    def cancel(self):
        """Let it not be done; its state then.  One that is being worked on stays reserved: its worker is told."""
        return self._run(self.cancel_steps())

    def reprioritise_steps(self, priority):
        yield Call([b"JOB.PRIORITY", self._raw_id, priority], again=True)

    def reprioritise(self, priority):
        """Give it another priority; lower ones come first."""
        self._run(self.reprioritise_steps(priority))

    def __eq__(self, other):
        return isinstance(other, Job) and (other._raw_id, other._store.address) == (self._raw_id, self._store.address)

    def __hash__(self):
        return hash(self._raw_id)

    def __repr__(self):
        return "<nosqgrid %s %s>" % (type(self).__name__, self.id)


class ReservedJob(Job):
    """A job in the hand of a worker, who has to say what came of it; reserve() gives it.

        with grid.queue("mail").reserve() as job:
            send(job.payload)

    At the end of the block it is acknowledged; an exception gives it back with the traceback, to be tried again, and
    goes on; KeyboardInterrupt and SystemExit give it back without counting the attempt.  Whoever dies gives it back by
    that.

    `payload` is what was put; `attempt` counts from 1; `receipt` is the number of this handing over: once the job was
    given to somebody else everything here raises StaleReceiptError.  `kind`, `group`, `priority`, `ttr` (seconds) and
    `put_at` (a time.time()) are those of the put.
    """

    def __init__(self, store, row):
        job_id, self.receipt, value_type, payload, self.attempt, kind, group, self.priority, ttr_ms, put_ms = row
        super().__init__(store, job_id)
        self._encoded = value_type, payload
        self.kind, self.group = kind.decode("utf-8", "replace"), group.decode("utf-8", "replace")
        self.ttr, self.put_at = ttr_ms / 1000.0, put_ms / 1000.0
        self.cancelled = False
        self.finished = False  # whether this worker has said what came of it
        self.in_pipeline = False  # whether one is to say so when it is executed

    @property
    def payload(self):
        if self._encoded is not None:
            self._payload, self._encoded = self._decoded(*self._encoded), None
        return self._payload

    def words_of(self, command, *more):
        """The words of a command about this job in this hand."""
        return [command, self._raw_id, self.receipt] + list(more)

    def ack_words(self, result=None):
        """The words of JOB.ACK, also for pipelines."""
        found = [] if result is None else self._store.codec.encode(result, _context(self._raw_id.rpartition(b":")[0]))
        return self.words_of(b"JOB.ACK", *found)

    def _end_steps(self, words):
        """Say what came of it.  After an interrupt it is said again, and refused if that was heard."""
        try:
            reply = yield Call(words)
            self.finished = True
            return reply
        except Exception:
            raise
        except BaseException as error:
            self.finished = True
            with contextlib.suppress(StaleReceiptError):
                yield Call(words, late=True)
            raise error  # 3.6 does not know any more which, behind a yield

    def ack_steps(self, result=None):
        yield from self._end_steps(self.ack_words(result))

    def ack(self, result=None):
        """It is done; `result` is kept as long as `keep` of its put says, for wait().  Raises StaleReceiptError."""
        self._run(self.ack_steps(result))

    def nack_steps(self, delay=None, to_back=True, error=None, count=True):
        more = [] if delay is None else [b"DELAY", milliseconds(delay, "a delay")]
        more += [b"FRONT"] * (not to_back) + [b"NOCOUNT"] * (not count)
        if error is not None:
            more += [b"ERROR", _text_of(error)]
        return (yield from self._end_steps(self.words_of(b"JOB.NACK", *more))).decode()

    def nack(self, delay=None, to_back=True, error=None, count=True):
        """It failed: try it again after `delay` seconds, or after what its backoff says; what it is then.

        With its last attempt it is "dead" and stays so, with all errors, until redrive().  `error` is an exception or a
        text.  With count=False the attempt does not count, and with to_back=False it comes before others.
        """
        return self._run(self.nack_steps(delay, to_back, error, count))

    def bury_steps(self, error=None):
        more = [] if error is None else [b"ERROR", _text_of(error)]
        yield from self._end_steps(self.words_of(b"JOB.BURY", *more))

    def bury(self, error=None):
        """Let it be dead at once, whatever attempts are left."""
        self._run(self.bury_steps(error))

    def touch_steps(self, seconds=None):
        more = [] if seconds is None else [milliseconds(seconds, "a time")]
        left_ms, cancelled = yield Call(self.words_of(b"JOB.TOUCH", *more))
        self.cancelled = bool(cancelled)
        return left_ms / 1000.0

    def touch(self, seconds=None):
        """Have its ttr, or so many seconds, from now on; how many those are.  Sets `cancelled` where that is wished."""
        return self._run(self.touch_steps(seconds))

    def progress_steps(self, fraction, text=""):
        yield Call(self.words_of(b"JOB.PROGRESS", repr(float(fraction)), text))

    def progress(self, fraction, text=""):
        """Say how far it is, from 0 to 1, for whoever asks with info()."""
        self._run(self.progress_steps(fraction, text))

    def leave_steps(self, kind, value):
        """What the end of a block says; what it ends by is more than that the job is somebody else's by now."""
        if self.finished:
            return
        if kind is None:
            if not self.in_pipeline:
                yield from self.ack_steps()
            return
        try:
            yield from self.nack_steps(error=value, count=issubclass(kind, Exception))
        except StaleReceiptError:
            self.finished = True

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self._run(self.leave_steps(kind, value))


def _text_of(error):
    """An exception with its traceback, or a text, for those who look at dead jobs."""
    if isinstance(error, BaseException):
        import traceback  # here alone, as it is slow to import
        error = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if not isinstance(error, str):
        raise UsageError("an error is an exception or a text, not %r" % (error,))
    return error[-ERROR_CHARACTERS:].encode("utf-8", "replace")


def _context(raw_queue):
    """What a payload is bound to where it is signed (client/pickled)."""
    return b"queue:" + raw_queue


def _pairs(reply):
    return reply if type(reply[0]) is tuple else zip(reply[::2], reply[1::2])


def _plain(value):
    """Bytes within lists as texts."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def reserve_steps(store, queues, n, wait_ms, order="strict", worker=None, hand_over=None):
    """Up to n jobs of these queues (name or {name: weight}), as ReservedJob; waits for one where there is none.

    What the steps of hand_over(jobs) return is returned instead; while they are not over, an interrupt gives all back.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise UsageError("reserve at least one job, not %r" % (n,))
    request = store.links.next_request()
    head = [b"JOB.RESERVE"] + ([b"COUNT", n] if n > 1 else []) + ([b"WORKER", worker] if worker else [])
    tail = _queue_words(queues, order) + [b"REQUEST", request]
    try:
        rows = yield Call(head + tail, owns=True, again=True)
        if not rows and wait_ms:
            rows = yield Call(head + [b"WAIT", wait_ms] + tail, waits=True, owns=True)
        jobs = list(map(partial(ReservedJob, store), rows))
        if jobs and hand_over is not None:
            return (yield from hand_over(jobs))
        return jobs
    except BaseException as error:
        yield Call([b"JOB.UNDO", request], late=True)
        raise error  # 3.6 does not know any more which, behind a yield


def _queue_words(queues, order):
    if isinstance(order, dict):
        queues, order = order, "weighted"
    if isinstance(queues, dict):
        names = [word for name, weight in queues.items() for word in (encode_key(name), weight)]
        return [b"ORDER", b"weighted", b"QUEUES", len(queues)] + names
    if order != "strict":
        raise UsageError("the order of queues is 'strict', or a dict of their weights, not %r" % (order,))
    names = [encode_key(name) for name in ([queues] if isinstance(queues, (str, bytes)) else queues)]
    if not names:
        raise UsageError("reserve from at least one queue")
    return [b"QUEUES", len(names)] + names


def made_job(store, reply):
    """The Job that a put has made or found."""
    job = Job(store, reply[0])
    job.created = bool(reply[1])
    return job

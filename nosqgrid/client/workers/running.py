"""The job that the present thread runs, for the function that is run."""

import threading

_here = threading.local()


def current_job():
    """The RunningJob that this thread runs in a worker, or None elsewhere."""
    return getattr(_here, "job", None)


def set_current(job):
    """The worker has begun to run a job in this thread, or ended (None)."""
    _here.job = job


class RunningJob(object):
    """A job in the hands of its function: nosqgrid.current_job().

    Attributes: id, queue, kind (the task's name), group, priority, attempt (counted from 1), ttr (seconds for which it
    may run), put_at (seconds since 1970).  Its methods are for the thread that runs the job.
    """

    def __init__(self, hands, delivery, ttr_s):
        self._hands = hands
        self.raw_id, self.receipt, _, _, self.attempt, kind, group, self.priority, _, put_ms = delivery
        self.id, self.kind, self.group = map(_text, (self.raw_id, kind, group))
        self.queue = self.id.rpartition(":")[0]
        self.ttr = ttr_s
        self.put_at = put_ms / 1000.0

    @property
    def scheduled(self):
        """When the schedule that put it meant it to run (seconds since 1970), or None.  Asks the coordinator."""
        return self._hands.scheduled(self)

    def touch(self, seconds=None):
        """Have `seconds` more from now on (its whole ttr, if not said); how many it has.  Raises StaleReceiptError."""
        return self._hands.touch(self, seconds)

    def progress(self, fraction, text=""):
        """Let others see how far it is: 0 to 1, and some words."""
        self._hands.progress(self, fraction, text)

    def cancelled(self):
        """Whether somebody wants it to end.  Costs a question to the coordinator."""
        return self._hands.cancelled(self)

    def __repr__(self):
        return "<nosqgrid.RunningJob %s %s attempt %d>" % (self.id, self.kind, self.attempt)


def _text(word):
    return word.decode("utf-8", "surrogateescape")

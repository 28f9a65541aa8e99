"""What a Grid has for queues: a part of it (client/grid)."""

from ...formats.values import decode_key
from .. import steps
from . import words
from .job import Job, reserve_steps
from .queue import Queue


class QueueMethods(object):
    """Makers of queues, and what concerns several of them."""

    def queue(self, name, maxsize=0):
        """A Queue of jobs: queue.Queue for all processes, and more.  Making one costs nothing and asks nobody."""
        return Queue(self, name, maxsize)

    def queues(self):
        """The names of all queues that have ever had a job and were not dropped, sorted."""
        return sorted(decode_key(name) for name in self._store.command(b"JOB.QUEUES"))

    def reserve(self, queues, n=1, timeout=None, order="strict", worker=None, keep=False):
        """Up to n jobs of several queues, as a list of ReservedJob; empty where none came in `timeout` seconds.

        `queues` are names: the first that has a job comes first; or, with a dict of weights there or in `order`, they
        come by chance, as often as they weigh.  Where no queue has any, it waits for one.  `worker` and `keep` are as
        with Queue.reserve.
        """
        jobs = steps.run(self._store, reserve_steps(self._store, queues, n, words.wait_ms_of(True, timeout), order,
                                                    worker))
        for job in jobs if keep else ():
            self._store.keeper.keep(job)
        return jobs

    def job(self, job_id):
        """The Job with this id, of whatever state; nothing is asked yet."""
        return Job(self._store, words.id_of(job_id))

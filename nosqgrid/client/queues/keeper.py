"""Jobs that take longer than their time to run: a thread that asks for more time, for those who want one.

There is one for each store and process, and only while there are jobs to keep; it touches each when a third of its time
is over.  A job is kept until its worker has said what came of it, or has forgotten it, or it is another's.

A kill at any line ends the session, and with it the reservation.  A process that is stopped is not killed, and keeps
nothing: its jobs go back when their time is over.
"""

import os
import threading
import time
import weakref

from ...errors import CallerError, NosqgridError

_SHORTEST_S = 0.02
_LOOK_S = 1.0  # after which a job that is finished is noticed


class Keeper(object):
    """Keeps jobs of one store."""

    def __init__(self):
        self.after_fork()

    def after_fork(self):
        """In a forked child, and at the beginning: the jobs, and the thread, are the parent's."""
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._thread = None
        self._kept = []  # [when to touch it, weak reference to a ReservedJob]

    def keep(self, job):
        """Touch a job from now on, again and again."""
        if self._pid != os.getpid():
            self.after_fork()  # where no hook has done it (3.6)
        with self._changed:
            self._kept.append([time.monotonic() + _pause_s(job), weakref.ref(job)])
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="nosqgrid-keeper", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self):
        while True:
            with self._changed:
                self._kept = [one for one in self._kept if _in_hand(one[1]())]
                if not self._kept:
                    self._thread = None
                    return
                first = min(self._kept, key=lambda one: one[0])
                wait_s = first[0] - time.monotonic()
                if wait_s > 0:
                    self._changed.wait(min(wait_s, _LOOK_S))
                    continue
            job = first[1]()
            again = job is not None and self._touch(job)
            with self._changed:
                if again:
                    first[0] = time.monotonic() + _pause_s(job)
                else:
                    self._kept.remove(first)
            job = None  # else it is not forgotten while this thread waits

    @staticmethod
    def _touch(job):
        """Whether it is to be touched again."""
        try:
            job.touch()
        except CallerError:
            return False  # it is another's, or the grid was closed
        except NosqgridError:
            return True  # the coordinator is gone: the next one may have it
        return True


def _in_hand(job):
    return job is not None and not job.finished


def _pause_s(job):
    return max(job.ttr / 3.0, _SHORTEST_S)

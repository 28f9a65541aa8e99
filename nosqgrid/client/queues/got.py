"""What a process got out of queues with get(), and is not done with.

queue.Queue forgets an item when it hands it over.  Here it stays reserved until it is done with, so that the death of
the process gives it back; and a program that was written for queue.Queue need not know.

Invariants
 1. Every item that was handed over is in here until it is acknowledged, whichever Queue object of its name got it.
 2. Once a process has said task_done() of a queue, each item of it is acknowledged by a task_done() alone.  Before
    that, an item is acknowledged when its thread gets the next one, when the grid is closed, and when the process ends
    in order; not when it ends by an exception.
 3. After a fork the items are the parent's.

A kill at any line gives back what is reserved.
"""

import atexit
import contextlib
import os
import sys
import threading

from ...errors import NosqgridError, StaleReceiptError

HELD_MS = 10 ** 11  # for which a job stays with one who got it and says nothing: as long as he lives


class Item(object):
    """One of them, and the thread that got it."""

    __slots__ = ("job", "thread", "claimed")

    def __init__(self, job, thread):
        self.job = job
        self.thread = thread
        self.claimed = False  # whether a thread is about to acknowledge it


class _Items(object):
    """Those of one queue."""

    def __init__(self):
        self.items = []  # the oldest first
        self.says = False  # whether this process has said task_done() of it
        self.ahead = 0  # that were acknowledged before it said so for the first time

    def claim(self, thread):
        """The oldest Item of a thread, or of any (None), claimed; or None."""
        self.items = [item for item in self.items if not item.job.finished]
        for item in self.items:
            if not item.claimed and thread in (None, item.thread):
                item.claimed = True
                return item
        return None


class Got(object):
    """What was got through one store, whose `command` says what becomes of it.  Threads may share it.

    `thread()` tells who gets: threads, or what is in their place.
    """

    def __init__(self, command, thread=threading.get_ident):
        self._command = command
        self._thread = thread
        self.after_fork()

    def after_fork(self):
        """In a forked child, and at the beginning: nothing is in hand."""
        self._pid = os.getpid()
        self._at_exit = False
        self._lock = threading.RLock()  # an interrupt can leave it taken at the beginning of a `with`, before 3.10
        self._queues = {}

    def _all(self):
        """The items by queue."""
        if self._pid != os.getpid():
            self.after_fork()  # where no hook has done it (3.6)
        return self._queues

    def add(self, raw_queue, job):
        """A job was handed to this thread, and is in its hand until it is done."""
        queues = self._all()
        with self._lock:
            queues.setdefault(raw_queue, _Items()).items.append(Item(job, self._thread()))
        if not self._at_exit:
            self._at_exit = True
            _call_at_exit(self.process_ends)

    def remove(self, raw_queue, job):
        """It is done, or was not handed over after all."""
        items = self._all().setdefault(raw_queue, _Items())
        with self._lock:
            items.items = [item for item in items.items if item.job is not job]

    def before_next(self, raw_queue):
        """The Item that this thread is done with, by invariant 2, as it asks for the next; or None."""
        items = self._all().get(raw_queue)
        with self._lock:
            if items is None or items.says:
                return None
            return items.claim(self._thread())

    def done(self, raw_queue):
        """The Item that a task_done() is about: the oldest of this thread, or of any; None where that was acknowledged.

        Raises ValueError where there is none.
        """
        items = self._all().get(raw_queue)
        with self._lock:
            if items is None or not items.items and not items.ahead:
                raise ValueError("task_done() called too many times")
            items.says = True
            if items.ahead:
                items.ahead -= 1
                return None
            item = items.claim(self._thread()) or items.claim(None)
            if item is None:
                raise ValueError("task_done() called too many times")
            return item

    def done_steps(self, raw_queue, item, ahead=False):
        """Acknowledge an Item that was claimed; it is in here as long as that was not said."""
        try:
            yield from item.job.ack_steps()
        except StaleReceiptError:
            item.job.finished = True
            raise
        finally:
            item.claimed = False
            if item.job.finished:
                self.remove(raw_queue, item.job)
                self._all()[raw_queue].ahead += ahead

    def present(self, attachment):
        """Tell the coordinator of a new attachment what is in hand, so that it stays longer than its time to run."""
        for words in self.touches():
            _say(attachment.command, words)

    def touches(self):
        """The words that say so."""
        queues = self._all()
        with self._lock:
            return [item.job.words_of(b"JOB.TOUCH", HELD_MS) for items in queues.values() for item in items.items]

    def finish(self, command):
        """Acknowledge what nobody says task_done() of: the grid is closed, or the process ends, in order."""
        jobs = [item.job for items in self._all().values() if not items.says for item in items.items]
        self.leave()
        for job in jobs:
            _say(command, job.ack_words())

    def leave(self):
        """Acknowledge nothing any more: what is in hand is given back with the end of the session."""
        self._queues = {}
        if self._at_exit:
            self._at_exit = False
            atexit.unregister(self.process_ends)

    def process_ends(self):
        """The process ends."""
        if _in_order():
            self.finish(self._command)
        else:
            self.leave()  # so that a second call, in which that exception is forgotten, finds nothing


def _say(command, words):
    """Say something about a job, which may be in other hands by now, or nobody's: then there is nothing to say."""
    with contextlib.suppress(NosqgridError):
        command(*words)


def _in_order():
    """Whether this process ends by no exception.  Where that cannot be known, it counts as one."""
    if sys.exc_info()[0] not in (None, SystemExit) or hasattr(sys, "last_type"):
        return False
    process = sys.modules.get("multiprocessing.process")
    if sys.version_info < (3, 13) or process is None or process.parent_process() is None:
        return True
    frame = sys._getframe()  # from 3.13 on a child of multiprocessing has forgotten the exception here
    while frame is not None:
        if frame.f_code.co_name in ("_launch", "main") and "code" in frame.f_locals:
            return frame.f_locals["code"] == 0
        frame = frame.f_back
    return False


def _call_at_exit(function):
    """Have a function called at the end of this process, be it one of multiprocessing, which knows no atexit."""
    atexit.register(function)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, function, exitpriority=100)

"""The parent of worker processes: starts them, watches them, ends them.  `nosqgrid worker` is this.

    parent (this module)  -- fork -->  child: imports the module, takes jobs over a connection of its own
           <-- board --                what it runs, since when, and until when it may (client/workers/board)
           -- control -->              finish what you have, and end

The parent imports nothing of the program, has one thread, and waits in one place: so it can fork at any time, and
nothing that a job does hurts it.

Invariants
 1. A child that dies takes one job with it (with --thread: those of its threads).  Its connection ends with it, so the
    coordinator gives the job back at once and counts the attempt; another child takes its place.
 2. A job in a process of its own does not outlive its time: its process is killed just before the coordinator would
    hand the job to somebody else, so that no two run it.
 3. The first SIGTERM or SIGINT lets children finish; after `grace` seconds what still runs is stopped, handed back
    without counting an attempt, and then killed.  The second signal kills at once.

A kill of the parent at any line: the children read the end of `control`, finish what they have, and end.
"""

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections import namedtuple

from ...errors import NosqgridError, StartError
from ..link import Link, named_values
from . import child as child_process
from .board import Board
from .loop import Settings

LOOK_S = 0.25  # between two looks at what the children do
CANCEL_LOOK_S = 1.0  # a job that runs for longer is asked about so often whether somebody has cancelled it
CANCEL_GRACE_S = 5.0  # for a cancelled job, to end by itself; and then again for its process, to end by SIGTERM
KILL_EARLY_MS = 100  # before a job's time is over; a tenth of its time at most
RESTART_S_MIN, RESTART_S_MAX = 0.05, 5.0  # between two starts of a child that dies before it has done anything
PROGRESS_S = 0.5
_END_SIGNALS = {signal.SIGTERM, signal.SIGINT}

Options = namedtuple("Options", "count threads grace_s progress stop_fd")
Options.__doc__ = """How a Pool works: so many processes, or (`threads`) threads in one; seconds that jobs may take to
finish at the end; whether to show what goes on, on a terminal; a descriptor whose end means to stop, or -1."""


class _Child(object):
    """One child, as its parent sees it."""

    def __init__(self, pid, control, board):
        self.pid = pid
        self.control = control
        self.board = board
        self.started = time.monotonic()
        self.asked = {}  # slot -> (id, receipt, when asked about last, when found cancelled or 0.0, whether told so)

    def say(self, message):
        """Write to it; nothing where it is gone already."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.control, message)

    def close(self):
        os.close(self.control)
        self.board.close()


class Pool(object):
    """The children.  `work` (child.Work) and `settings` (loop.Settings) are theirs; `options` an Options."""

    def __init__(self, work, settings, options, err=None):
        self._work = work
        self._settings = settings
        self._options = options
        self._err = err or sys.stderr
        self._children = {}
        self._link = None
        self._stop_at = None  # when the grace is over
        self._hurry = False
        self._pause_s, self._next_start = RESTART_S_MIN, 0.0
        self._begun = False  # whether any child was ready to work
        self._cannot = False
        self._done = self._failed = 0  # of children that are gone
        self._shown_at, self._width = 0.0, 0
        self.restarts = 0

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self):
        """Work until a signal, or the end of stop_fd; the exit status.  Raises StartError where no child can begin."""
        wake_read, wake_write = os.pipe()
        for fd in (wake_read, wake_write):
            os.set_blocking(fd, False)
        before = signal.set_wakeup_fd(wake_write)
        handlers = [(number, signal.signal(number, handler)) for number, handler in (
            (signal.SIGTERM, self._asked_to_stop), (signal.SIGINT, self._asked_to_stop),
            (signal.SIGCHLD, lambda number, frame: None))]
        try:
            while not self._is_over():
                self._reap()
                self._start_missing()
                self._look_after()
                self._show_progress(time.monotonic())
                if self._is_over():
                    break
                self._wait(wake_read)
        finally:
            self._kill_all()
            signal.set_wakeup_fd(before)
            for number, handler in handlers:
                signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)
            self._unlink()
            self._clear_line()
        if self._cannot:
            raise StartError("no worker could begin; what stands above says why")
        return 0

    def _is_over(self):
        return (self._stop_at is not None or self._cannot) and not self._children

    def _asked_to_stop(self, number, frame):
        if self._stop_at is not None:
            self._hurry = True
        else:
            self.stop()

    def stop(self):
        """Let the children finish what they have; safe from a signal handler."""
        self._stop_at = time.monotonic() + self._options.grace_s
        for each in list(self._children.values()):
            each.say(child_process.STOP)

    def _wait(self, wake_read):
        now, wait_s = time.monotonic(), LOOK_S
        if self._stop_at is not None:
            wait_s = min(wait_s, max(self._stop_at - now, 0.01))
        for each in self._children.values():
            for slot in range(each.board.slots):
                shown = each.board.look(slot)
                if shown.begun_ms and shown.deadline_ms:
                    wait_s = min(wait_s, max(_kill_at_s(shown) - now, 0.005))
        fds = [wake_read] + ([self._options.stop_fd] if self._options.stop_fd >= 0 and self._stop_at is None else [])
        ready = select.select(fds, [], [], wait_s)[0]
        if wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
        if self._options.stop_fd in ready and not os.read(self._options.stop_fd, 4096):
            self.stop()

    # -- children -----------------------------------------------------------------------------------------------------

    def _start_missing(self):
        wanted = 1 if self._options.threads else self._options.count
        if self._cannot or time.monotonic() < self._next_start:
            return
        # A signal that came while a child is made would be told to all but that one; between the fork and the child's
        # own handlers it would be the parent's, handled by the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, _END_SIGNALS)
        try:
            while len(self._children) < wanted and self._stop_at is None:
                self._start_one()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)

    def _start_one(self):
        control_read, control_write = os.pipe()
        board = Board(max(self._options.threads, 1))
        self._clear_line()
        for stream in (sys.stdout, self._err):
            stream.flush()
        pid = os.fork()
        if pid == 0:
            self._become_child(control_read, control_write, board)
        os.close(control_read)
        with contextlib.suppress(OSError):  # the child does the same, whoever is first
            os.setpgid(pid, pid)
        self._children[pid] = _Child(pid, control_write, board)

    def _become_child(self, control_read, control_write, board):
        status = child_process.EXIT_FAILED
        try:
            os.setpgid(0, 0)  # what a terminal sends is for the parent
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(control_write)
            for other in self._children.values():
                other.close()
            self._unlink()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _END_SIGNALS)
            status = child_process.run(self._work, self._settings, control_read, board, self._options.threads,
                                       self._say)
        except BaseException:
            traceback.print_exc()
        finally:
            child_process.leave(status)

    def _reap(self):
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._ended(self._children.pop(pid), status)

    def _ended(self, each, status):
        done_before = self._done
        for slot in range(each.board.slots):
            shown = each.board.look(slot)
            self._done += shown.done
            self._failed += shown.failed
            if os.WIFSIGNALED(status) and shown.begun_ms:
                self._say("process %d was killed by signal %d while it ran %s %s" % (
                    each.pid, os.WTERMSIG(status), _text(shown.id), _text(shown.kind)))
        self._begun = self._begun or each.board.is_ready()
        each.close()
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        if code == child_process.EXIT_CANNOT and not self._begun:
            self._cannot = True
            self.stop()
        if code != child_process.EXIT_STOPPED or self._stop_at is None:
            self.restarts += 1
        if self._done == done_before and code not in (child_process.EXIT_STOPPED, child_process.EXIT_AGAIN):
            self._next_start = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, RESTART_S_MAX)
        else:
            self._pause_s = RESTART_S_MIN

    def _look_after(self):
        """Whose time is over, who was cancelled, and who takes too long to end."""
        now = time.monotonic()
        if self._hurry:
            self._kill_all()
            return
        over = self._stop_at is not None and now >= self._stop_at
        for each in list(self._children.values()):
            if over:
                self._hand_back(each)
            elif not self._options.threads:
                self._look_after_job(each, now)

    def _look_after_job(self, each, now):
        shown = each.board.look(0)
        if not shown.begun_ms:
            each.asked.clear()
            return
        if shown.deadline_ms and now >= _kill_at_s(shown):
            took_s = now - shown.begun_ms / 1000.0
            self._say("%s %s was not done after %.1f s: its process %d is killed"
                      % (_text(shown.id), _text(shown.kind), took_s, each.pid))
            self._give_up(each, ["ERROR", "killed: it was not done after its time to run (%.1f s)" % took_s])
        elif now - shown.begun_ms / 1000.0 >= CANCEL_LOOK_S:
            self._look_for_cancel(each, shown, now)

    def _look_for_cancel(self, each, shown, now):
        job_id, receipt, looked, cancelled, told = each.asked.get(0, (b"", 0, 0.0, 0.0, False))
        if (job_id, receipt) != (shown.id, shown.receipt):
            looked = cancelled = 0.0
            told = False
        if not cancelled and now - looked >= CANCEL_LOOK_S:
            looked = now
            cancelled = now if self._is_cancelled(shown) else 0.0
        elif cancelled and now - cancelled >= 2 * CANCEL_GRACE_S:
            self._say("%s was cancelled and did not end: its process %d is killed" % (_text(shown.id), each.pid))
            self._give_up(each, ["ERROR", "killed: it was cancelled, and did not end by itself"])
        elif cancelled and now - cancelled >= CANCEL_GRACE_S and not told:
            told = True
            each.say(child_process.CANCEL)
            os.kill(each.pid, signal.SIGTERM)
        each.asked[0] = shown.id, shown.receipt, looked, cancelled, told

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _hand_back(self, each):
        """The grace is over: what this child still has is given back as if it had never been begun."""
        self._give_up(each, ["FRONT", "NOCOUNT"])

    def _give_up(self, each, how):
        """Stop a child, so that it does nothing any more; give its jobs back; kill it."""
        pid = each.pid
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            found, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                self._ended(self._children.pop(pid), status)
                return
        for slot in range(each.board.slots):
            shown = each.board.look(slot)
            if shown.begun_ms and shown.id:
                self._ask(b"JOB.NACK", shown.id, b"%d" % shown.receipt, *how)
        _kill(pid)

    def _kill_all(self):
        for each in list(self._children.values()):
            _kill(each.pid)
        while self._children:
            pid, each = self._children.popitem()
            self._ended(each, os.waitpid(pid, 0)[1])

    # -- the coordinator ----------------------------------------------------------------------------------------------

    def _is_cancelled(self, shown):
        reply = self._ask(b"JOB.INFO", shown.id)
        return bool(reply) and bool(named_values(reply, self._settings.address).get("cancelling"))

    def _ask(self, *words):
        """Run a command; None where the coordinator refuses it or is not there: then what it is for has its own end."""
        try:
            if self._link is None:
                self._link = Link(self._settings.address, self._settings.timeout_s)
            return self._link.command(*words)
        except NosqgridError:
            self._unlink()
            return None

    def _unlink(self):
        if self._link is not None:
            self._link.close()
            self._link = None

    # -- people -------------------------------------------------------------------------------------------------------

    def _say(self, text):
        """A line for people, in one piece whoever writes at the same time."""
        self._err.flush()
        line = ("%s%s %s\n" % ("\r\x1b[K" if self._options.progress else "", time.strftime("%H:%M:%S"), text))
        os.write(self._err.fileno(), line.encode("utf-8", "backslashreplace"))

    def _show_progress(self, now):
        if not self._options.progress or now - self._shown_at < PROGRESS_S:
            return
        self._shown_at = now
        done, failed, running = self._done, self._failed, []
        for each in self._children.values():
            for slot in range(each.board.slots):
                shown = each.board.look(slot)
                done, failed = done + shown.done, failed + shown.failed
                if shown.begun_ms:
                    running.append(_text(shown.kind or shown.id))
        text = "%d done, %d failed, %d running %s" % (done, failed, len(running), " ".join(running[:3]))
        os.write(self._err.fileno(), ("\r\x1b[K" + text[:100]).encode("utf-8", "backslashreplace"))
        self._width = len(text)

    def _clear_line(self):
        if self._width:
            os.write(self._err.fileno(), b"\r\x1b[K")
            self._width = 0


def _kill_at_s(shown):
    """When (monotonic seconds) the process of a job is killed: a little before its time is over."""
    return (shown.deadline_ms - min(KILL_EARLY_MS, (shown.deadline_ms - shown.begun_ms) // 10)) / 1000.0


def _kill(pid):
    """SIGKILL for a child and whatever its job has started."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _text(word):
    return word.decode("utf-8", "backslashreplace")


def settings_of(address, queues, timeout_s, jobs_max=0, rss_bytes_max=0, verbose=False):
    """loop.Settings for queues: [(name, weight or None)], in strict order unless a weight was said."""
    weighted = any(weight is not None for _, weight in queues)
    names = [(name.encode("utf-8", "surrogateescape"), 1 if weight is None else weight) for name, weight in queues]
    worker = "%s:%d" % (os.uname().nodename, os.getpid())
    return Settings(address, timeout_s, names, b"weighted" if weighted else b"strict", worker.encode("utf-8"), jobs_max,
                    rss_bytes_max, verbose)

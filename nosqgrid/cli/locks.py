"""nosqgrid lock, locks: run a command under a lock, and see who holds which.

    nosqgrid lock nightly -- ./report.sh            wait for the lock, run, give it back
    nosqgrid lock -n nightly -- ./report.sh         or do not wait: exit status 1
    nosqgrid lock -s data -- ./read.sh              shared with others that say -s
    nosqgrid lock -c 4 licence -- ./simulate        up to four at a time
    nosqgrid locks                                  who holds what, who waits, since when

The command finds the fencing token in NOSQGRID_FENCE.  It is ended with SIGTERM, and after ten seconds with SIGKILL,
when the lock is lost; its exit status is passed on, 128 and the signal where one ended it.  On Linux it does not
outlive this program, which has the lock: where that is killed, the command is as well.
"""

import ctypes

import os
import signal
import subprocess
import sys
import threading
import time

from ..client.grid import attach
from ..errors import LockLostError, UsageError
from .output import add_output_argument, write_list, write_value

LOCK_DESCRIPTION = __doc__
KILL_AFTER_S = 10.0
EXIT_NO = 1
EXIT_LOST = 75  # as sysexits' EX_TEMPFAIL: it may be tried again
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _lock_arguments(parser):
    parser.add_argument("-n", "--nonblock", action="store_true", help="do not wait: end with the exit status of -E")
    parser.add_argument("-w", "--wait", "--timeout", type=float, metavar="SECONDS", help="wait so long at most")
    parser.add_argument("-s", "--shared", action="store_true", help="share it with others that say so")
    parser.add_argument("-c", "--slots", type=int, metavar="N", help="let N have it at a time; all who use it say the "
                        "same")
    parser.add_argument("-E", "--conflict-exit-code", type=int, default=EXIT_NO, metavar="CODE",
                        help="exit status where the lock is not had (default: 1)")
    parser.add_argument("name", help="the name of the lock")
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="the command and its arguments, behind --")


def _lock(arguments, out):
    if not arguments.words:
        raise UsageError("say what is to be run under the lock: nosqgrid lock %s -- COMMAND ..." % arguments.name)
    if arguments.shared and arguments.slots is not None:
        raise UsageError("-s and -c exclude each other")
    if arguments.nonblock and arguments.wait is not None:
        raise UsageError("-n does not wait, and -w does: say one of them")
    if arguments.wait is not None and not arguments.wait >= 0:  # nan is not, either
        raise UsageError("--wait %s: a number of seconds from 0 on; without it, it waits for ever" % arguments.wait)
    with attach(arguments.socket, near_cache=0) as grid:
        lost = threading.Event()
        lock = _lock_of(grid, arguments, lambda reason: lost.set())
        if not lock.acquire(not arguments.nonblock, -1 if arguments.wait is None else arguments.wait):
            return arguments.conflict_exit_code
        try:
            return _run(arguments.words, _fence_of(lock), lost)
        finally:
            _release(lock)


def _lock_of(grid, arguments, on_lost):
    info = " ".join(arguments.words)[:200]
    if arguments.slots is not None:
        return grid.semaphore(arguments.name, arguments.slots, info=info)
    if arguments.shared:
        return grid.rwlock(arguments.name).read(info=info, on_lost=on_lost)
    return grid.lock(arguments.name, info=info, on_lost=on_lost)


def _fence_of(lock):
    return getattr(lock, "fence", None) or lock.fences[-1]


def _release(lock):
    try:
        lock.release()
    except LockLostError as error:
        sys.stderr.write("nosqgrid: the lock was lost while the command ran: %s\n" % error)


def _dies_with_parent():
    """A function for the child to call before it becomes the command, or None where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl, parent = ctypes.CDLL(None).prctl, os.getpid()
    except (OSError, AttributeError):
        return None

    def ask():
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before that was said
            os.kill(os.getpid(), signal.SIGKILL)

    return ask


def _run(words, fence, lost):
    """Run the command; its exit status, or EXIT_LOST where it was ended because the lock was lost."""
    environment = dict(os.environ, NOSQGRID_FENCE=str(fence))
    children, early = [], []  # a signal may come before there is a command

    def pass_on(number, frame):
        if children:
            children[0].send_signal(number)
        else:
            early.append(number)

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        children.append(_begin(words, environment))
        for number in early:
            children[0].send_signal(number)
        return _wait(children[0], lost)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()


def _begin(words, environment):
    try:
        return subprocess.Popen(words, env=environment, preexec_fn=_dies_with_parent())
    except OSError as error:
        raise UsageError("cannot run %s: %s" % (words[0], error.strerror)) from error


def _wait(child, lost):
    watcher = threading.Thread(target=_end_when_lost, args=(child, lost), daemon=True)
    watcher.start()
    status = child.wait()
    ended = lost.is_set()
    lost.set()
    watcher.join()
    return EXIT_LOST if ended else 128 - status if status < 0 else status


def _end_when_lost(child, lost):
    """Runs in a thread: SIGTERM, and SIGKILL after a while, for a command whose lock is lost."""
    lost.wait()
    if child.poll() is not None:
        return
    sys.stderr.write("nosqgrid: the lock is lost: ending the command\n")
    child.terminate()
    give_up = time.monotonic() + KILL_AFTER_S
    while child.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    if child.poll() is None:
        child.kill()


def _locks_arguments(parser):
    parser.add_argument("pattern", nargs="?", help="only locks whose names match, such as 'nightly:*'")
    parser.add_argument("--force", metavar="NAME", help="take this lock away from whoever holds it")
    parser.add_argument("--reason", metavar="TEXT", help="why: whoever loses it is told")
    add_output_argument(parser)


def _locks(arguments, out):
    with attach(arguments.socket, near_cache=0) as grid:
        if arguments.force is not None:
            if not arguments.reason:
                raise UsageError("say why with --reason: whoever loses the lock is told")
            count = grid.lock(arguments.force).force_release(arguments.reason)
            out.write("%d\n" % count)
            return 0 if count else EXIT_NO
        found = grid.locks(arguments.pattern)
    if arguments.output == "json":
        write_value(out, [{"name": name, "holders": [dict(holder._asdict()) for holder in holders],
                           "waiters": [dict(waiter._asdict()) for waiter in waiters]}
                          for name, holders, waiters in found], "json")
        return 0
    write_list(out, _lines(found), arguments.output)
    return 0


def _lines(found):
    now = time.time()
    for name, holders, waiters in found:
        for what, rows in (("holds", holders), ("waits for", waiters)):
            for row in rows:
                who = "pid %d" % row.pid if row.pid else row.host
                yield "%s %s %s since %.1f s%s%s  %s" % (
                    who, what, name, max(now - row.since_s, 0.0), " (%s)" % row.mode if row.mode != "exclusive" else "",
                    "" if row.ttl_s is None else ", ends in %.1f s" % row.ttl_s, row.info or row.command)


COMMANDS = (
    ("lock", "run a command under a lock", LOCK_DESCRIPTION, _lock_arguments, _lock),
    ("locks", "who holds which lock, who waits", "Who holds which lock and who waits for it, since when; and with "
     "--force NAME --reason TEXT, take one away.", _locks_arguments, _locks),
)

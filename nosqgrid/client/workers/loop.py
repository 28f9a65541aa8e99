"""The loop of a worker: take a job, run it, say what came of it, take the next.

It has a connection of its own, so that what it was given goes back the moment it dies.  The answer to one job and the
question for the next travel together.

Invariants
 1. What was given is acknowledged, handed back, or still with this process: an answer that got lost with its
    coordinator is given again to the next one.
 2. Every wait ends: by a reply, by the end of the connection, by the parent, or by its time.  Whatever goes wrong with
    a connection, another is tried after at most RETRY_S_MAX.
 3. While nobody runs a job of this loop, the board says so.
"""

import os
import select
import time
from collections import namedtuple

from ...errors import CoordinatorError, JobCancelledError, PeerError, StaleReceiptError, UnknownJobError
from ...formats.resp import NEED_MORE, encode_command
from ..link import Link, checked_reply, named_values
from . import calls, outcomes
from .board import NOTHING
from .running import RunningJob, set_current

RESERVE_S = 30.0  # for which a job is waited for at a time
RETRY_S_MIN, RETRY_S_MAX = 0.02, 2.0
ERROR_BYTES_MAX = 20000
STOPPED, WORN = "stopped", "worn"  # why a loop ends: it was told to, or it has done as much as it may
ORPHANED = "orphaned"  # the coordinator ended while it gave out jobs: what it gave goes back with this process

Settings = namedtuple("Settings", "address timeout_s queues order name jobs_max rss_bytes_max verbose")


class Loop(object):
    """One loop, in one thread.  `control` is a descriptor: one byte or its end means stop; `board` and `slot` are where
    it shows what it does; `functions` (calls.Functions) are what it runs; `say(text)` tells people.
    """

    def __init__(self, settings, functions, control, board, slot, say):
        self._settings = settings
        self._functions = functions
        self._control = control
        self._board = board
        self._slot = slot
        self._say = say
        self._shown = NOTHING
        self._link = None
        self._number = 0  # of the session
        self._answer = None  # (id, words) that the coordinator has not confirmed
        self._asking = self._orphaned = False
        self.stopping = False
        self.job = None  # that is being run

    # -- around the jobs ----------------------------------------------------------------------------------------------

    def run(self):
        """Work until told to stop, or until worn out; STOPPED, WORN or ORPHANED."""
        pause_s, told = RETRY_S_MIN, False
        while True:
            try:
                self._connect()
                while self._take_and_run():
                    pause_s, told = RETRY_S_MIN, False
                return ORPHANED if self._orphaned else STOPPED if self.stopping else WORN
            except (CoordinatorError, PeerError) as error:
                if not told:
                    self._say("%s; trying again" % error)
                    told = True
            finally:
                self._disconnect()
            self._pause(pause_s)
            if self.stopping and self._answer is None:
                return STOPPED  # else the next coordinator is to hear what was done, as long as the grace lasts
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    def _connect(self):
        self._link = Link(self._settings.address, self._settings.timeout_s)
        self._number = checked_reply(self._link.command(b"CLIENT", b"ID"), int, self._settings.address)
        # What the last coordinator gave in its last moment is with this process for the next one, and nobody here knows
        # what that is: it goes back with the end of this process.
        self._orphaned = self._asking

    def _disconnect(self):
        if self._link is not None:
            self._link.close()
            self._link = None

    def _pause(self, seconds):
        """Wait between two attempts, or until it is time to stop."""
        if self.stopping:
            time.sleep(seconds)
        elif select.select([self._control], [], [], seconds)[0]:
            self.stopping = True

    def _take_and_run(self):
        """Answer for the last job and run the next; false where there is to be none."""
        if not self.stopping and select.select([self._control], [], [], 0)[0]:
            self.stopping = True
        last = self.stopping or self._orphaned or self._is_worn()
        request = b"" if self._answer is None else encode_command(*self._answer[1])
        if not last:
            request += encode_command(*self._reserve_words())
            self._asking = True
        if request:
            self._link.send(request)
        if self._answer is not None:
            self._settle(self._link.receive())
        if last:
            return self._answer is not None  # it was refused, and there is another to give
        reply = self._next_job()
        self._asking = False
        if isinstance(reply, Exception):
            raise reply
        for delivery in reply or ():
            self._run_one(delivery)
        return True

    def _reserve_words(self):
        settings = self._settings
        words = [b"JOB.RESERVE", b"WAIT", b"%d" % int(RESERVE_S * 1000), b"COUNT", b"1", b"ORDER", settings.order,
                 b"WORKER", settings.name, b"QUEUES", b"%d" % len(settings.queues)]
        for queue, weight in settings.queues:
            words += [queue, b"%d" % weight] if settings.order == b"weighted" else [queue]
        return words

    def _next_job(self):
        """The reply to the question for a job; where the parent wants this to end meanwhile, it is asked no longer."""
        link, deadline = self._link, time.monotonic() + RESERVE_S + self._settings.timeout_s
        while True:
            reply = link.replies.next()
            if reply is not NEED_MORE:
                break
            if self.stopping:
                link.receive_some(deadline)
                continue
            ready = select.select([link.sock, self._control], [], [], max(deadline - time.monotonic(), 0.001))[0]
            if link.sock in ready or not ready:
                link.receive_some(deadline)
            elif self._control in ready:
                self.stopping = True
                self._wait_no_longer()
        if self.stopping and reply and not isinstance(reply, Exception):
            for delivery in reply:
                self._hand_back(delivery[0], delivery[1])
            return []
        return reply

    def _wait_no_longer(self):
        """Have the coordinator answer now: it may have given a job already, which is not to be lost or counted."""
        other = Link(self._settings.address, self._settings.timeout_s)
        try:
            other.command(b"CLIENT", b"UNBLOCK", b"%d" % self._number)
        finally:
            other.close()

    def _hand_back(self, job_id, receipt):
        self._link.command(b"JOB.NACK", job_id, receipt, b"FRONT", b"NOCOUNT")

    def _is_worn(self):
        settings, done = self._settings, self._shown.done
        if settings.jobs_max and done >= settings.jobs_max:
            return True
        return bool(settings.rss_bytes_max and done) and _rss_bytes() > settings.rss_bytes_max

    # -- one job ------------------------------------------------------------------------------------------------------

    def _run_one(self, delivery):
        job = RunningJob(self, _checked(delivery), delivery[8] / 1000.0)
        self._show_begin(job, delivery[5])
        begun = time.monotonic()
        words, word = self._outcome_of(job, delivery)
        failed = word != "done"
        self._shown = self._shown._replace(done=self._shown.done + 1, failed=self._shown.failed + failed, begun_ms=0,
                                           deadline_ms=0)
        self._board.show(self._slot, self._shown)
        self._answer = None if words is None else (job.id, words)
        if self._settings.verbose:
            self._say("%s %s %s in %.3f s" % (job.id, job.kind or "-", word, time.monotonic() - begun))

    def _outcome_of(self, job, delivery):
        """(words that answer for a job, a word for people)."""
        prefix, kind = [job.raw_id, b"%d" % job.receipt], delivery[5]
        raw_queue = job.raw_id.rpartition(b":")[0]
        try:
            function, wants_outcome, codec = self._functions.prepared(raw_queue, kind, delivery[2], delivery[3])
        except Exception as error:  # what imports a module may raise anything
            if kind.startswith((calls.CALL, calls.MAP, calls.SEALED)):
                return [b"JOB.ACK"] + prefix + [b"0", outcomes.raised(error)], "refused"
            return self._failed(prefix, error), "refused"
        key = calls.context(raw_queue)
        try:
            value = self._call(job, function)
            if wants_outcome:
                return [b"JOB.ACK"] + prefix + [b"0", outcomes.returned(codec, value, key)], "done"
            value_type, payload = codec.encode(value, key)
            return [b"JOB.ACK"] + prefix + [b"%d" % value_type, payload], "done"
        except StaleReceiptError:
            return None, "lost"
        except JobCancelledError as error:
            return [b"JOB.BURY"] + prefix + [b"ERROR", _error_text(error)], "cancelled"
        except BaseException as error:  # SystemExit and the like end the job, not the worker
            if wants_outcome:
                return [b"JOB.ACK"] + prefix + [b"0", outcomes.raised(error)], "failed"
            return self._failed(prefix, error), "failed"

    def _call(self, job, function):
        self.job = job
        set_current(job)
        try:
            return function()
        finally:
            self.job = None
            set_current(None)

    @staticmethod
    def _failed(prefix, error):
        return [b"JOB.NACK"] + prefix + [b"ERROR", _error_text(error)]

    def _settle(self, reply):
        """The coordinator has confirmed the answer for a job, or not."""
        job_id, words = self._answer
        self._answer = None
        if not isinstance(reply, Exception):
            return
        if isinstance(reply, (StaleReceiptError, UnknownJobError)):
            self._say("%s had been given back meanwhile: %s" % (job_id, reply))
        elif words[0] == b"JOB.ACK":
            # Too large, or no room for it: then that is what came of the job.
            self._say("%s: what came of it was refused: %s" % (job_id, reply))
            if words[3] == b"0" and len(words) > 4 and words[4][:1] in b"\0\1":
                self._answer = job_id, words[:4] + [outcomes.raised(reply)]
            else:
                self._answer = job_id, self._failed(words[1:3], reply)
            if words[4:] == self._answer[1][4:]:
                raise reply
        else:
            raise reply

    def _show_begin(self, job, kind):
        now_ms = int(time.monotonic() * 1000)
        self._shown = self._shown._replace(begun_ms=now_ms, deadline_ms=now_ms + int(job.ttr * 1000), id=job.raw_id,
                                           receipt=job.receipt, kind=kind)
        self._board.show(self._slot, self._shown)

    # -- what the function may ask for --------------------------------------------------------------------------------

    def touch(self, job, seconds):
        """See RunningJob."""
        words = [] if seconds is None else [b"%d" % int(seconds * 1000)]
        left_s = self._link.command(b"JOB.TOUCH", job.raw_id, job.receipt, *words)[0] / 1000.0
        self._shown = self._shown._replace(deadline_ms=int((time.monotonic() + left_s) * 1000))
        self._board.show(self._slot, self._shown)
        return left_s

    def progress(self, job, fraction, text):
        """See RunningJob."""
        self._link.command(b"JOB.PROGRESS", job.raw_id, job.receipt, repr(float(fraction)), text)

    def cancelled(self, job):
        """See RunningJob."""
        return bool(self._info(job).get("cancelling"))

    def scheduled(self, job):
        """See RunningJob."""
        scheduled_ms = self._info(job).get("scheduled_ms")
        return None if scheduled_ms is None else scheduled_ms / 1000.0

    def _info(self, job):
        reply = self._link.command(b"JOB.INFO", job.raw_id)
        return {} if reply is None else named_values(reply, self._settings.address)


def _checked(delivery):
    if not isinstance(delivery, list) or len(delivery) != 10:
        raise PeerError("a job came as %.100r" % (delivery,))
    return delivery


def _error_text(error):
    return outcomes.traceback_text(error).encode("utf-8", "backslashreplace")[-ERROR_BYTES_MAX:]


def _text(word):
    return word.decode("utf-8", "backslashreplace") if isinstance(word, bytes) else str(word)


def _rss_bytes():
    """Memory that this process has now; where the system does not say, the most that it ever had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

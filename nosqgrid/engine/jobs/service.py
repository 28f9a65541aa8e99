"""The queues of one grid: transitions joined with sessions that come and go, and with time.

A reservation belongs to a session, which ends with its socket or its process: then its jobs go back, with the attempt
counted, before anything else happens.  Leases end by the monotonic clock; delays, pauses and what is kept by the wall
clock.

Invariants
 1. A job that is reserved has a lease, but between the end of a session that could not give it back, for want of room
    or disk, and the next look: then it belongs to nobody and is tried again.
 2. What the clock does is a write of its own, in slices.

A kill at any line: the next coordinator finds the jobs reserved that were; they stay so as long as the processes of
their workers live, for their time to run at most, counted anew.
"""

import heapq
from functools import partial

from ...errors import GridFullError, StorageError
from .. import databases
from ..structures.job_records import OPTIONS, RECORD, RESERVED, pack_notes, unpack_notes
from ..structures.jobs import Queue
from ..waiting import SLEEP_S_MAX
from .ids import id_of
from .leases import Lease, Leases
from .transitions import PAUSED, RIPEN_MAX, Transitions

AGAIN_MS = 1000  # after which what could not be given back is tried again
LOOK_S_MAX = 1.0  # the wall clock may be set while nothing happens
LEASES_MAX = 200  # that end in one slice
OWNERS_MAX = 64  # of a session, whose notes are kept ready
_SOON_S = 0.001
_SPARE = 64  # times that were replaced


class Owner(object):
    """The process of a worker, as it was written down."""

    __slots__ = ("pid", "start", "boot")

    def __init__(self, pid, start, boot):
        self.pid = pid
        self.start = start
        self.boot = boot


class Jobs(Transitions):
    """All queues of one grid.

    `processes` (coordinator/processes) knows about processes: facts(session) -> (start, boot, command); lives(owner) ->
    True, False, or None where it cannot know; watch(owner, died).
    """

    def __init__(self, keyspace, processes, as_write, random_bits):
        super().__init__(keyspace, random_bits)
        self.leases = Leases()
        self._processes = processes
        self._as_write = as_write
        self._times = {}  # key -> when something happens to its queue by the wall clock
        self._heap = []  # of (ms, key); some are of times that were replaced
        self._owners = {}  # session -> {(worker, thread): notes}
        self._closing = False

    # -- who has what -------------------------------------------------------------------------------------------------

    def owner(self, session, worker, thread):
        """The notes about who has a job, for reserve()."""
        known = self._owners.setdefault(session, {})
        found = known.get((worker, thread))
        if found is None:
            if len(known) >= OWNERS_MAX:
                known.clear()
            start, boot, _ = self._processes.facts(session)
            pid = session.pid if session.local else 0
            host = b"" if session.local else session.address.rpartition(":")[0].encode("utf-8", "surrogateescape")
            found = pack_notes({b"process": b"%d %b %b" % (pid, start, boot), b"worker": worker, b"thread": thread,
                                b"host": host})
            known[worker, thread] = found
        return found

    def take(self, session, key, queue, owner, request=0):
        """As reserve(): the job is this session's from now on."""
        taken = self.reserve(key, queue, owner)
        if taken is None:
            return None
        number, before, record = taken
        lease = Lease(session, key, number, record[4], self.keyspace.now_ms + OPTIONS.unpack_from(before[2])[2],
                      (before[0], before[4]), request)
        if self.keyspace.staging:
            self.keyspace.when_published(partial(self.leases.enter, lease))
        else:
            self.leases.enter(lease)
        return taken

    def let_go(self, key, number):
        """The job is nobody's any more, once that is published."""
        if self.keyspace.staging:
            self.keyspace.when_published(partial(self.leases.let_go, (key, number)))
        else:
            self.leases.let_go((key, number))

    def touch(self, session, key, number, job, ms=None):
        """Give whoever has a job more time: so many ms, or its time to run, from now on; how many that are."""
        receipt = RECORD.unpack(job[0])[4]
        if ms is None:
            ms = OPTIONS.unpack_from(job[2])[2]
        deadline_ms = self.keyspace.now_ms + ms
        lease = self.leases.find(key, number, receipt)
        if lease is not None and lease.session is not None:
            self.keyspace.when_published(partial(self.leases.extend, lease, deadline_ms))
        else:  # it had the job before a restart, and is back
            lease = Lease(session, key, number, receipt, deadline_ms)
            self.keyspace.when_published(partial(self.leases.enter, lease))
        return ms

    def adopt(self, session, other):
        """What a session has is another's from now on."""
        self.leases.move(session, other)

    def undo(self, session, request):
        """Give back what a session's request was given, as if it had not been; how many jobs."""
        done = 0
        for lease in self.leases.of(session):
            if lease.request == request and lease.before is not None:
                found = self._held(lease)
                if found is not None:
                    self.give_back(lease.key, found, lease.number, lease.before)
                    done += 1
                self.let_go(lease.key, lease.number)
        return done

    def _held(self, lease):
        """The Queue of a lease whose job is still reserved with its receipt, or None."""
        queue = self.queue(lease.key)
        job = None if queue is None else queue.jobs.get(lease.number)
        if job is None:
            return None
        state, _, _, _, deliveries, _, _, _ = RECORD.unpack(job[0])
        return queue if state == RESERVED and deliveries == lease.receipt else None

    # -- sessions and processes that end ------------------------------------------------------------------------------

    def session_ended(self, session):
        """The session is gone: its jobs go back."""
        self._owners.pop(session, None)
        leases = self.leases.of(session)
        if leases and not self._closing:
            self._lose_all(leases, b"the worker's connection ended, or its process died")

    def _died(self, leases, pid):
        self._lose_all(leases, b"the worker's process died (pid %d)" % pid)

    def _lose_all(self, leases, error):
        for at in range(0, len(leases), LEASES_MAX):
            self._try(leases[at:at + LEASES_MAX], error)

    def _try(self, leases, error):
        """Give back the jobs of some leases; without what is noted of them where there is no room for that, and later
        where the disk takes nothing.
        """
        for text in (error, b""):
            try:
                self._as_write(self.keyspace, lambda: [self._lose_one(lease, text) for lease in leases])
                return
            except GridFullError:
                continue
            except StorageError:
                break
        self.leases.move_to_nobody(leases, self.keyspace.now_ms + AGAIN_MS)

    def _lose_one(self, lease, error):
        queue = self._held(lease)
        if queue is not None:
            self.lose(lease.key, queue, lease.number, error)
            self.note(lease.key, queue)
        self.keyspace.when_published(partial(self._let_go_of, lease))

    def _let_go_of(self, lease):
        if self.leases.find(lease.key, lease.number, lease.receipt) is lease:
            self.leases.let_go((lease.key, lease.number))

    # -- time ---------------------------------------------------------------------------------------------------------

    def note(self, key, queue):
        """Something may happen to a queue by the wall clock earlier than before."""
        index = queue.index
        found = index.next_timer() if index.timers else None
        at_ms = found[0] if found is not None else 0
        until_ms = int(queue.settings.get(PAUSED, b"0"))
        if until_ms > 0 and (not at_ms or until_ms < at_ms):
            at_ms = until_ms
        if at_ms and at_ms != self._times.get(key):
            self._times[key] = at_ms
            heapq.heappush(self._heap, (at_ms, key))
            if len(self._heap) > 2 * len(self._times) + _SPARE:
                self._heap = [(ms, one) for one, ms in self._times.items()]
                heapq.heapify(self._heap)

    def tick(self, now):
        """By the clock: leases that end, and what is due."""
        now_ms = self.keyspace.now_ms
        ends_ms = self.leases.next_deadline_ms()
        if ends_ms is not None and ends_ms <= now_ms:
            self._expire(now_ms)
        if self._heap and self._heap[0][0] <= self.keyspace.wall_ms():
            self._ripen_all(self.keyspace.wall_ms())

    def _expire(self, now_ms):
        for _ in range(LEASES_MAX):
            ends_ms = self.leases.next_deadline_ms()
            if ends_ms is None or ends_ms > now_ms:
                break
            lease = self.leases.first()
            queue = self._held(lease)
            ttr_ms = OPTIONS.unpack_from(queue.jobs[lease.number][2])[2] if queue is not None else 0
            self._try([lease], b"its time to run (%d ms) was over and nobody extended it" % ttr_ms)

    def _ripen_all(self, wall_ms):
        left = RIPEN_MAX
        while left > 0 and self._heap and self._heap[0][0] <= wall_ms:
            at_ms, key = heapq.heappop(self._heap)
            if self._times.get(key) != at_ms:
                continue
            del self._times[key]
            left -= RIPEN_MAX // 4
            queue = self.queue(key)
            if queue is None:
                continue
            try:
                self._as_write(self.keyspace, lambda: self.ripen(key, queue))
            except (GridFullError, StorageError):
                self._times[key] = wall_ms + AGAIN_MS
                heapq.heappush(self._heap, (wall_ms + AGAIN_MS, key))
            else:
                self.note(key, queue)

    def sleep_s(self, now):
        """For how many seconds nothing has to be done."""
        wait_s = SLEEP_S_MAX
        ends_ms = self.leases.next_deadline_ms()
        if ends_ms is not None:
            wait_s = max((ends_ms - self.keyspace.now_ms) / 1000.0, _SOON_S)
        if self._heap:
            due_s = (self._heap[0][0] - self.keyspace.wall_ms()) / 1000.0
            wait_s = min(wait_s, max(min(due_s, LOOK_S_MAX), _SOON_S))
        return wait_s

    # -- a restart ----------------------------------------------------------------------------------------------------

    def open(self):
        """The keyspace was brought back: whoever had a job keeps it, if he lives, for its time to run."""
        orphans = {}
        for key in self.keys():
            queue = self.queue(key)
            self.note(key, queue)
            if queue.index.counts[RESERVED]:
                for number, job in queue.jobs.items():
                    if job[0][0] == RESERVED:
                        self._expect_back(key, number, job, orphans)
        for (pid, start, boot), leases in orphans.items():
            owner = Owner(pid, start, boot)
            lives = self._processes.lives(owner)
            if lives is False or lives and not self._processes.watch(owner, partial(self._died, leases)):
                self._died(leases, pid)

    def _expect_back(self, key, number, job, orphans):
        ttr_ms = OPTIONS.unpack_from(job[2])[2]
        lease = Lease(None, key, number, RECORD.unpack(job[0])[4], self.keyspace.now_ms + ttr_ms)
        self.leases.enter(lease)
        words = unpack_notes(job[4]).get(b"process", b"0  ").split(b" ")
        if len(words) == 3 and words[0].isdigit():
            orphans.setdefault((int(words[0]), words[1], words[2]), []).append(lease)

    def close(self):
        """The coordinator ends: sessions that end now keep what they have, for the next one."""
        self._closing = True

    def keys(self):
        """The keys of all queues."""
        found = []
        for key in list(self.keyspace.databases.hidden):
            if databases.number_of(key) == databases.QUEUES and type(self.keyspace.structures.by_key.get(key)) is Queue:
                found.append(key)
        return found


def shown_id(context, key, number):
    """The id of a job as a session's client knows it."""
    return context.shown_key(id_of(key, number))

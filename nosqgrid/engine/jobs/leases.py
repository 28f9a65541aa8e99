"""Who has which job, and until when: what a session's end and the clock look at.

Leases are on the monotonic clock; nobody's job ends because somebody sets the wall clock.  They are this coordinator's:
after a restart those of jobs that are reserved are made anew, and belong to no session.

Invariants
 1. A lease is entered and let go when what it goes with is published.
 2. Whoever looks a lease up compares its receipt with the job: the job is what counts.
"""

import heapq

_SPARE = 64


class Lease(object):
    """One job that somebody has."""

    __slots__ = ("session", "key", "number", "receipt", "deadline_ms", "before", "request")

    def __init__(self, session, key, number, receipt, deadline_ms, before=None, request=0):
        self.session = session  # None for one who came before a restart
        self.key = key
        self.number = number
        self.receipt = receipt
        self.deadline_ms = deadline_ms
        self.before = before  # (record, notes) before it was reserved
        self.request = request  # the number that the session gave to what it asked for


class Leases(object):
    """All leases of one grid."""

    def __init__(self):
        self._by_job = {}  # (key, number) -> Lease
        self._by_session = {}  # session -> {(key, number): Lease}
        self._deadlines = []  # heap of (ms, count, lease); some are too early, some are of leases that are gone
        self._count = 0

    def __len__(self):
        return len(self._by_job)

    def enter(self, lease):
        """Somebody has a job from now on."""
        place = lease.key, lease.number
        self.let_go(place)
        self._by_job[place] = lease
        owned = self._by_session.get(lease.session)
        if owned is None:
            owned = self._by_session[lease.session] = {}
        owned[place] = lease
        self._push(lease)

    def _push(self, lease):
        self._count += 1
        heapq.heappush(self._deadlines, (lease.deadline_ms, self._count, lease))
        if len(self._deadlines) > 2 * len(self._by_job) + _SPARE:
            self._count = 0
            self._deadlines = []
            for other in self._by_job.values():
                self._count += 1
                self._deadlines.append((other.deadline_ms, self._count, other))
            heapq.heapify(self._deadlines)

    def let_go(self, place):
        """Nobody has the job at (key, number) any more."""
        lease = self._by_job.pop(place, None)
        if lease is not None:
            owned = self._by_session[lease.session]
            del owned[place]
            if not owned:
                del self._by_session[lease.session]

    def find(self, key, number, receipt):
        """The Lease of a job with this receipt, or None."""
        lease = self._by_job.get((key, number))
        return lease if lease is not None and lease.receipt == receipt else None

    def extend(self, lease, deadline_ms):
        """A lease ends at another time."""
        earlier = deadline_ms < lease.deadline_ms
        lease.deadline_ms = deadline_ms
        if earlier and self._by_job.get((lease.key, lease.number)) is lease:
            self._push(lease)

    def of(self, session):
        """The leases of a session, or of nobody (None)."""
        return list(self._by_session.get(session, {}).values())

    def move(self, session, other):
        """What a session has is another's from now on."""
        moved = self._by_session.pop(session, {})
        for lease in moved.values():
            lease.session = other
        if moved:
            self._by_session.setdefault(other, {}).update(moved)

    def move_to_nobody(self, leases, deadline_ms):
        """Whoever had these could not give them back: they end then, if they are what they were."""
        for lease in leases:
            if self._by_job.get((lease.key, lease.number)) is lease:
                self.let_go((lease.key, lease.number))
                self.enter(Lease(None, lease.key, lease.number, lease.receipt, deadline_ms))

    def next_deadline_ms(self):
        """When the first lease ends, or None."""
        deadlines = self._deadlines
        while deadlines:
            at_ms, _, lease = deadlines[0]
            if self._by_job.get((lease.key, lease.number)) is not lease:
                heapq.heappop(deadlines)
            elif lease.deadline_ms > at_ms:
                self._count += 1
                heapq.heapreplace(deadlines, (lease.deadline_ms, self._count, lease))
            else:
                return lease.deadline_ms
        return None

    def first(self):
        """The Lease that ends first; there is one."""
        return self._deadlines[0][2]

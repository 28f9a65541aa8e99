"""What a queue derives from its jobs: whose turn it is, what happens when, which unique keys are taken, how many.

Heaps keep what is not true any more: an entry counts if it is what the job would be entered with now.  Where such
entries are more than half of a heap it is made anew.  Jobs without a group are a group like any other.

Among the groups that have ready jobs the one with the most urgent priority comes first, then that which has the fewest
jobs in flight, then that whose turn was longest ago.  A group with a FIFO job in it has one job in flight at most; one
that failed and is to be tried again is in flight as long.

Invariants
 1. Everything here follows from the jobs, but whose turn it is among groups that are equal.
 2. With more than one group, each that may be given a job now has an entry in `turns` that counts.
"""

import heapq

from .job_records import (CANCELLED, DELAYED, DONE, FIFO, NUMBER_MASK, OPTIONS, QUEUED, READY, RECORD, RESERVED, STATES,
                          UNFINISHED, UNTIL_FINISHED, UNTIL_STARTED, group_of, place_of, priority_of_place, timer,
                          timer_parts, unpack_fixed)

_SPARE = 64  # entries that do not count and are not worth making a heap anew
DELIVERIES = slice(8, 12)  # in a record
_NONE = bytes(4)


class Group(object):
    """The ready jobs of a group, and how many of its jobs are in flight."""

    __slots__ = ("name", "places", "ready", "in_flight", "fifo", "turn", "offer")

    def __init__(self, name):
        self.name = name
        self.places = []  # heap of place_of()
        self.ready = 0
        self.in_flight = 0
        self.fifo = False
        self.turn = 0  # when it was given a job last
        self.offer = None  # its entry in turns that counts


class Index(object):
    """The index of the jobs in a dict {number: job}: who changes that calls leave() and enter() then."""

    __slots__ = ("jobs", "counts", "groups", "turns", "turn", "timers", "unique", "oldest")

    def __init__(self, jobs):
        self.jobs = jobs
        self.counts = [0] * len(STATES)
        self.groups = {}
        self.turns = []  # heap of (priority, in flight, turn, name)
        self.turn = 0
        self.timers = []  # heap of timer()
        self.unique = {}  # key -> number
        self.oldest = None  # heap of the numbers of queued jobs, once somebody asked for the oldest
        for number, job in jobs.items():
            self.enter(number, job)

    # -- what changes -------------------------------------------------------------------------------------------------

    def enter(self, number, job):
        """A job is there, or has another state."""
        record, _, options, fixed, _ = job
        state = record[0]
        self.counts[state] += 1
        if state == READY:
            name = group_of(fixed) if fixed else b""
            group = self.groups.get(name)
            if group is None:
                group = self._add_group(name)
            if options[0] & FIFO:
                group.fifo = True
            place = place_of(job, number)
            places = group.places
            heapq.heappush(places, place)
            group.ready += 1
            if len(self.groups) > 1 and (group.offer is None or group.fifo or places[0] == place):
                self._offer(group)
        elif state == RESERVED or state == DELAYED and self._keeps_its_place(job):
            self._fly(group_of(fixed), 1, options)
        if fixed or state == DELAYED or state >= DONE:
            self._enter_rest(number, job)
        if self.oldest is not None and state <= QUEUED:
            heapq.heappush(self.oldest, number)

    def _enter_rest(self, number, job):
        at_ms = due_ms(job)
        if at_ms:
            heapq.heappush(self.timers, timer(at_ms, number))
            if len(self.timers) > 2 * len(self.jobs) + _SPARE:
                self._renew_timers()
        unique = held_key(job)
        if unique:
            self.unique.setdefault(unique, number)

    def leave(self, number, job):
        """A job is gone, or is about to have another state."""
        record, _, options, fixed, _ = job
        state = record[0]
        self.counts[state] -= 1
        if state == READY:
            name = group_of(fixed) if fixed else b""
            group = self.groups[name]
            group.ready -= 1
            places = group.places
            if places[0] & NUMBER_MASK == number:  # an old place of it, perhaps: then its own counts no more
                heapq.heappop(places)
                if len(self.groups) > 1:
                    self._offer(group)
            elif len(places) > 2 * group.ready + _SPARE:
                self._renew_places(group)
            if not group.ready and not group.in_flight:
                self._drop_group(group)
        elif state == RESERVED or state == DELAYED and self._keeps_its_place(job):
            self._fly(group_of(fixed), -1, options)
        if fixed:
            unique = held_key(job)
            if unique and self.unique.get(unique) == number:
                del self.unique[unique]

    @staticmethod
    def _keeps_its_place(job):
        """Whether nothing of a FIFO may pass a delayed job, because it was tried before."""
        return job[2][0] & FIFO and job[0][DELIVERIES] != _NONE

    def _fly(self, name, by, options):
        group = self.groups.get(name)
        if group is None:
            group = self._add_group(name)
        if options[0] & FIFO:
            group.fifo = True
        group.in_flight += by
        if by > 0:
            self.turn += 1
            group.turn = self.turn
        if not group.ready and not group.in_flight:
            self._drop_group(group)
        elif len(self.groups) > 1:
            self._offer(group)

    def _add_group(self, name):
        group = self.groups[name] = Group(name)
        if len(self.groups) == 2:
            for other in self.groups.values():
                self._offer(other)
        return group

    def _drop_group(self, group):
        del self.groups[group.name]
        group.offer = None
        if len(self.groups) < 2:
            self.turns = []
            for other in self.groups.values():
                other.offer = None

    # -- whose turn it is ---------------------------------------------------------------------------------------------

    def _offer(self, group):
        """What a group has to offer has changed."""
        if not group.ready or group.fifo and group.in_flight:
            group.offer = None
            return
        offer = priority_of_place(self._head(group)), group.in_flight, group.turn, group.name
        if offer == group.offer:
            return
        group.offer = offer
        heapq.heappush(self.turns, offer)
        if len(self.turns) > 4 * len(self.groups) + _SPARE:
            self.turns = [group.offer for group in self.groups.values() if group.offer is not None]
            heapq.heapify(self.turns)

    def _head(self, group):
        """The place of the first ready job of a group, which has one."""
        places, jobs = group.places, self.jobs
        while True:
            place = places[0]
            number = place & NUMBER_MASK
            job = jobs.get(number)
            if job is not None and job[0][0] == READY and place_of(job, number) == place:
                return place
            heapq.heappop(places)

    def first(self):
        """The number of the job whose turn it is, or 0."""
        groups = self.groups
        if len(groups) < 2:
            for group in groups.values():
                if group.ready and not (group.fifo and group.in_flight):
                    return self._head(group) & NUMBER_MASK
            return 0
        turns = self.turns
        while turns:
            group = groups.get(turns[0][3])
            if group is not None and group.offer is turns[0]:
                return self._head(group) & NUMBER_MASK
            heapq.heappop(turns)
        return 0

    def head_ms(self, job):
        """Since when the first ready job of a job's group is ready, where its priority is the same; or None."""
        group = self.groups.get(group_of(job[3]))
        if group is None or not group.ready:
            return None
        head = self.jobs[self._head(group) & NUMBER_MASK][0]
        priority, at_ms = RECORD.unpack(head)[5::2]
        return at_ms if priority == RECORD.unpack(job[0])[5] else None

    def _renew_places(self, group):
        """Make the heap of a group anew."""
        kept, seen = [], set()
        for place in group.places:
            number = place & NUMBER_MASK
            job = self.jobs.get(number)
            if number not in seen and job is not None and job[0][0] == READY and place_of(job, number) == place:
                seen.add(number)
                kept.append(place)
        group.places = kept
        heapq.heapify(kept)

    # -- when -------------------------------------------------------------------------------------------------------

    def next_timer(self):
        """(time, number) of what happens next by the clock, or None."""
        timers = self.timers
        while timers:
            at_ms, number = timer_parts(timers[0])
            job = self.jobs.get(number)
            if job is not None and due_ms(job) == at_ms:
                return at_ms, number
            heapq.heappop(timers)
        return None

    def _renew_timers(self):
        self.timers = [timer(at_ms, number) for at_ms, number in
                       ((due_ms(job), number) for number, job in self.jobs.items()) if at_ms]
        heapq.heapify(self.timers)

    def first_queued(self):
        """The number of the job that was put first among those that nobody has, or 0.  Costs a walk the first time."""
        if self.oldest is None:
            self.oldest = sorted(number for number, job in self.jobs.items() if job[0][0] <= QUEUED)
        while self.oldest:
            job = self.jobs.get(self.oldest[0])
            if job is not None and job[0][0] <= QUEUED:
                return self.oldest[0]
            heapq.heappop(self.oldest)
        return 0


def due_ms(job):
    """When something is to happen to a job that nobody does, or 0."""
    record, _, options, fixed, _ = job
    state = record[0]
    if state <= QUEUED:
        expires_ms = unpack_fixed(fixed)[2] if fixed else 0
        if state != DELAYED:
            return expires_ms
        at_ms = max(RECORD.unpack(record)[7], 1)
        return min(at_ms, expires_ms) if expires_ms else at_ms
    if state == DONE or state == CANCELLED:
        return max(RECORD.unpack(record)[7] + OPTIONS.unpack_from(options)[3], 1)
    return 0


def held_key(job):
    """The unique key that nobody else may have while this job is as it is, or nothing."""
    record, _, _, fixed, _ = job
    state = record[0]
    if not fixed or state > UNFINISHED:
        return b""
    _, unique, _, until, _ = unpack_fixed(fixed)
    if until == UNTIL_FINISHED or until == UNTIL_STARTED and state <= QUEUED and record[DELIVERIES] == _NONE:
        return unique
    return b""

"""Where processes meet: conditions, barriers, events and latches.

A condition belongs to a lock: who waits for it has given the lock back, and has it again before he is answered.  A
barrier lets so many go on at one moment; it breaks when one of them gives up, for then that moment would never come.
An event is set or not; a latch is open until so many have said that they are done.

Invariants
 1. A session stands in one place at a time, and is answered once.
 2. Who is notified of a condition stands in the queue of its lock before notify() returns, in the order of waiting.
 3. A broken barrier lets nobody wait until it is reset.

Events that are set and latches are kept where there is a log (engine/locks/kept); who waits is a connection, and ends
with the coordinator.
"""

import heapq
from collections import OrderedDict

from ...errors import BrokenBarrierError, CommandError, NosqgridError
from ...limits import MEETINGS_MAX
from .table import RELEASED, Request

_SPARE_DEADLINES = 64


class _OfCondition(object):
    """One who waits to be notified, and what he will ask for then."""

    __slots__ = ("name", "session", "request", "notified")

    def __init__(self, name, session, request):
        self.name = name
        self.session = session
        self.request = request
        self.notified = False


class Conditions(object):
    """All conditions of one grid; `locks` is engine/locks/service.Locks."""

    def __init__(self, locks):
        self._locks = locks
        self._queues = {}  # name -> OrderedDict of session -> _OfCondition
        self._by_session = {}
        self._deadlines = []  # heap of (ms, number, _OfCondition); some of them do not wait any more
        self._number = 0

    def wait(self, context, name, lock, token, wait_ms, number=0):
        """Give a lock back and wait until somebody notifies, or for `wait_ms` (-1: for ever), then for the lock again.

        The answer is token, abandoned, notified; `number` is that of the request.  Raises LockLostError.
        """
        locks, session = self._locks, context.session
        grant = locks.own(session, lock, token)
        asked = grant.asked
        if asked.detached:
            raise CommandError("a lock that its token owns has no conditions: nobody could have it again")
        request = Request((lock,), session, locks.holder(session), grant.node, asked.mode, grant.units, asked.limit,
                          asked.reentrant, grant.ttl_ms, asked.thread, number, asked.info, False, grant.depth)
        waiter = self._by_session[session] = _OfCondition(name, session, request)
        request.reply = lambda grants: [grants[0].token, int(grants[0].abandoned), int(waiter.notified)]
        self._queues.setdefault(name, OrderedDict())[session] = waiter
        if wait_ms >= 0:
            self._number += 1
            heapq.heappush(self._deadlines, (locks.keyspace.now_ms + wait_ms, self._number, waiter))
            if len(self._deadlines) > 2 * len(self._by_session) + _SPARE_DEADLINES:
                self._deadlines = [entry for entry in self._deadlines if self._waits(entry[2])]
                heapq.heapify(self._deadlines)
        context.waiting.wait(context, (), 0.0, None, None, left=self._left)
        locks.end(grant, RELEASED)
        return context.defer()

    def notify(self, session, name, lock, token, count):
        """Let up to `count` of those who wait (-1: all) ask for their lock again; how many.  Raises LockLostError."""
        self._locks.own(session, lock, token)
        queue = self._queues.get(name, {})
        waiters = list(queue.values())[:count if count >= 0 else None]
        if any(waiter.request.names != (lock,) for waiter in waiters):
            raise CommandError("somebody waits for this condition with another lock")
        for waiter in waiters:
            waiter.notified = True
            self._ask_again(waiter)
        return len(waiters)

    def _ask_again(self, waiter):
        request = waiter.request
        self._forget(waiter)
        error = self._locks.requeue(waiter.session, request)
        if error is not None:
            self._locks.waiting.finish(waiter.session, error)

    def _waits(self, waiter):
        return self._by_session.get(waiter.session) is waiter

    def _forget(self, waiter):
        del self._by_session[waiter.session]
        waiter.request = None  # which refers to it, and nothing collects what does that
        queue = self._queues[waiter.name]
        del queue[waiter.session]
        if not queue:
            del self._queues[waiter.name]

    def _left(self, session):
        """The session waits no more, for the condition or for the lock behind it."""
        waiter = self._by_session.get(session)
        if waiter is not None:
            self._forget(waiter)
        else:
            self._locks.left(session)

    def tick(self):
        """Let those whose time is up ask for their lock again."""
        while self._deadlines and self._deadlines[0][0] <= self._locks.keyspace.now_ms:
            waiter = heapq.heappop(self._deadlines)[2]
            if self._waits(waiter):
                self._ask_again(waiter)

    def next_deadline_ms(self):
        """When somebody's time is up, or None."""
        while self._deadlines and not self._waits(self._deadlines[0][2]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None


class _Barrier(object):
    """`waiting` has the sessions, those first that came first."""

    __slots__ = ("parties", "waiting", "broken")

    def __init__(self, parties):
        self.parties = parties
        self.waiting = OrderedDict()
        self.broken = False


class Barriers(object):
    """All barriers of one grid that somebody waits at, or that are broken."""

    def __init__(self, waiting):
        self._waiting = waiting
        self._barriers = OrderedDict()
        self._at = {}  # session -> name

    def wait(self, context, name, parties, timeout_s):
        """Wait until `parties` do; in which place this one came, from 0.  Raises BrokenBarrierError, CommandError."""
        barrier = self._barriers.get(name)
        if barrier is None:
            barrier = self._add(name, parties)
        if barrier.broken:
            raise BrokenBarrierError("the barrier is broken: somebody gave up, died or aborted it; reset it")
        if barrier.parties != parties:
            raise CommandError("the barrier is for %d, and not for %d" % (barrier.parties, parties))
        index = len(barrier.waiting)
        if index + 1 < parties:
            barrier.waiting[context.session] = index
            self._at[context.session] = name
            context.waiting.wait(context, (), timeout_s, None, BrokenBarrierError(
                "the barrier is broken: the time was up before everybody had come"), left=self._left)
            return context.defer()
        del self._barriers[name]
        for session, place in barrier.waiting.items():
            del self._at[session]
            self._waiting.finish(session, place)
        return index

    def _add(self, name, parties):
        if len(self._barriers) >= MEETINGS_MAX:
            raise CommandError("%d barriers are in use or broken; reset those that are broken" % MEETINGS_MAX)
        barrier = self._barriers[name] = _Barrier(parties)
        return barrier

    def _left(self, session):
        name = self._at.pop(session, None)
        if name is not None:
            del self._barriers[name].waiting[session]
            self._break(name)

    def _break(self, name):
        barrier = self._barriers[name]
        barrier.broken = True
        self._send_away(barrier, "the barrier is broken: somebody gave up, died or aborted it")

    def _send_away(self, barrier, text):
        sessions, barrier.waiting = barrier.waiting, OrderedDict()
        for session in sessions:
            del self._at[session]
            self._waiting.finish(session, BrokenBarrierError(text))

    def abort(self, name):
        """Break a barrier, now or for those who come."""
        if name not in self._barriers:
            self._add(name, 0)
        self._break(name)

    def reset(self, name):
        """Let a barrier be as new; those who wait at it are told."""
        barrier = self._barriers.pop(name, None)
        if barrier is not None:
            self._send_away(barrier, "the barrier was reset")

    def info(self, name):
        """(parties, how many wait, whether it is broken)."""
        barrier = self._barriers.get(name)
        return (0, 0, False) if barrier is None else (barrier.parties, len(barrier.waiting), barrier.broken)


class Gates(object):
    """Events or latches: names at which sessions wait until they are let through all at once."""

    def __init__(self, locks, letter):
        self._waiting = locks.waiting
        self._kept = locks.kept
        self._locks = locks
        self._letter = letter  # of their records
        self.values = {}  # name -> for how many more a latch waits; of an event 0: it is set
        self._queues = {}  # name -> OrderedDict of sessions
        self._at = {}

    def set(self, name, value):
        """Give a gate a value, and let those through who wait for it to be 0.  Raises StorageError, GridFullError."""
        before = self.values.get(name)
        if before is None and len(self.values) >= MEETINGS_MAX:
            raise CommandError("%d events are set, or latches there: clear some" % MEETINGS_MAX)
        self.values[name] = value
        self._save(name, before, lambda: self._kept.put(self._letter + name, b"%d" % value))
        if not value:
            for session in self._queues.pop(name, ()):
                del self._at[session]
                self._waiting.finish(session, 1)

    def delete(self, name):
        """Forget a gate; whether it was there.  Those who wait go on waiting."""
        before = self.values.pop(name, None)
        if before is not None:
            self._save(name, before, lambda: self._kept.delete(self._letter + name))
        return before is not None

    def _save(self, name, before, change):
        change()
        try:
            self._locks.save()
        except NosqgridError:
            if before is None:
                self.values.pop(name, None)
            else:
                self.values[name] = before
            self._kept.leave(self._letter + name)
            raise

    def wait(self, context, name, timeout_s):
        """1 when the gate lets through."""
        if self.values.get(name) == 0:
            return 1
        self._queues.setdefault(name, OrderedDict())[context.session] = None
        self._at[context.session] = name
        context.waiting.wait(context, (), timeout_s, None, None, left=self._left)
        return context.defer()

    def _left(self, session):
        name = self._at.pop(session, None)
        if name is not None:
            queue = self._queues[name]
            del queue[session]
            if not queue:
                del self._queues[name]

    def take_over(self, name, words):
        """What the log has of one of them."""
        if len(words) != 1 or not words[0].isdigit() or len(words[0]) > 18:
            raise CommandError("the log has a latch or an event with %.100r" % (words,))
        self.values[name] = int(words[0])


class Meetings(object):
    """All of this, for one grid."""

    def __init__(self, locks):
        self.conditions = Conditions(locks)
        self.barriers = Barriers(locks.waiting)
        self.events = Gates(locks, b"e")
        self.latches = Gates(locks, b"l")

    def open(self, structure):
        """Take over what the log has."""
        for key, words in list(structure.items.items()):
            if key[:1] == b"e":
                self.events.take_over(key[1:], words)
            elif key[:1] == b"l":
                self.latches.take_over(key[1:], words)

    def tick(self):
        """Look at the clock: the keyspace's time is set."""
        self.conditions.tick()

    def next_deadline_ms(self):
        """When somebody's time is up, or None."""
        return self.conditions.next_deadline_ms()

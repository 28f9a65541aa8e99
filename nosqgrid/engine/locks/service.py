"""The locks of one grid: the table joined with sessions that come and go, with time, and with what is kept in the log.

A grant belongs to a session, and ends with it; what the token alone owns (detached) ends by its lease.  A session ends
by the end of its socket or the proof that its process died (coordinator/session), so nothing is guessed here.

Invariants
 1. Nobody is told that he has a lock before the log has it, where there is one.
 2. A session waits for one thing at a time; `_waits` has exactly the requests in the table's queues.
 3. A grant ends for one reason, which whoever asks with its token afterwards is told.
 4. After a restart a lock whose holder may still live is held: until he comes back, or died, or the grace is over.

A kill at any line: with a log the next coordinator has every grant that anybody was told of; without one it grants
nothing for the time of grace, but what holders present again.
"""

from collections import OrderedDict

from ...errors import CommandError, DeadlockError, FencedError, LockLostError, NosqgridError
from ...formats.lane import LOCK_ABANDONED
from ...limits import LOCK_REASONS_MAX, RECOVERY_GRACE_S
from ..waiting import SLEEP_S_MAX
from . import deadlock, holders
from .kept import Kept, read_grant
from .meetings import Meetings
from .table import ENDED, EXPIRED, RELEASED, SHARED, UNITS, Request, Table

_NO_SLEEP_S = 0.001


class Locks(object):
    """All locks of one grid.

    `waiting` is engine/waiting.Waiting.  `processes` (coordinator/processes) knows about processes: facts(session) ->
    (start, boot, command); lives(holder) -> True, False, or None where it cannot know; watch(holder, died).
    """

    def __init__(self, keyspace, waiting, processes, as_write, grace_ms=int(RECOVERY_GRACE_S * 1000)):
        self.keyspace = keyspace
        self.waiting = waiting
        self.kept = Kept(keyspace, as_write)
        self.table = Table()
        self._processes = processes
        self._grace_ms = grace_ms
        self._grace_until_ms = 0
        self._absent = {}  # token -> Grant of one who is to come back
        self._unsure = set()  # those of them of whom nobody knows whether they live
        self._holders = {}  # session -> Holder
        self._waits = {}  # session -> Request
        self._watching = {}  # session -> Grant, until whose end it waits
        self._put_off = []  # what a batch under way has led to, as [(request, grants)]: it could not log that
        self._lost = OrderedDict()  # token -> reason
        self._closed = False
        self.meetings = Meetings(self)

    def __len__(self):
        """How many wait for a lock."""
        return len(self._waits)

    # -- who asks -----------------------------------------------------------------------------------------------------

    def holder(self, session):
        """What is known of a session's client."""
        found = self._holders.get(session)
        if found is None:
            start, boot, command = self._processes.facts(session)
            host = b"" if session.local else session.address.rpartition(":")[0].encode("utf-8", "surrogateescape")
            found = self._holders[session] = holders.Holder(session.pid if session.local else 0, session.uid, host,
                                                            session.id, start, boot, command)
        return found

    def own(self, session, name, token):
        """The Grant with this token, which the session may give back; LockLostError where there is none."""
        self.expire()
        grant = self.table.find(name, token)
        if grant is None:
            raise LockLostError(self._why_lost(token))
        if grant.session is session or grant.asked.detached or grant.asked.who.is_process_of(session):
            return grant
        raise LockLostError("%s holds it with this token, and not this client" % grant.asked.who.text())

    def _why_lost(self, token):
        reason = EXPIRED if token in self.table.grants else self._lost.get(token)
        return ("the lock is not held with token %d: %s"
                % (token, reason.decode("utf-8", "replace") if reason else "it is unknown, or was released"))

    # -- having and giving back ---------------------------------------------------------------------------------------

    def try_acquire(self, request):
        """The Grants, or None where they cannot be had at once.  Raises CommandError, StorageError, GridFullError."""
        self.expire()
        if self._absent and request.request:
            grants = self._granted_before(request)
            if grants:
                return grants
        grants = self.table.acquire(request, self.keyspace.now_ms)
        if grants is None or self.keyspace.log is None:
            return grants
        for grant in grants:
            self._keep_new(grant)
        try:
            self.save()
        except NosqgridError:
            self._settle(self._take_back(request, grants))
            raise
        return grants

    def _granted_before(self, request):
        """The Grants of this very request: a coordinator had it in its log, and was killed before it could answer."""
        grants = [grant for grant in self._absent_of(request.who) if request.request in grant.requests]
        by_name = {grant.name: grant for grant in grants}
        if not set(request.names).issubset(by_name):
            return []
        for grant in grants:
            self._come_back(grant, request)
        self._settle([])
        return [by_name[name] for name in request.names]

    def _absent_of(self, who):
        return [grant for grant in self._absent.values()
                if grant.asked.who.pid == who.pid > 0 and grant.asked.who.uid == who.uid]

    def acquire_now(self, session, name, number, thread, deeper):
        """A lock for one alone, for a frame in a lane: its token, with LOCK_ABANDONED, or 0 where it is not free."""
        request = Request((name,), session, self.holder(session), holders.node_of(session, thread), reentrant=deeper,
                          thread=thread, request=number)
        grants = self.try_acquire(request)
        if grants is None:
            return 0
        return grants[0].token | LOCK_ABANDONED if grants[0].abandoned else grants[0].token

    def _keep_new(self, grant):
        self.kept.put_grant(grant)
        if grant.abandoned and grant.asked.mode is not SHARED:
            self.kept.delete(b"a" + grant.name)

    def _take_back(self, request, grants):
        """What the log did not take is not granted."""
        granted = []
        for grant in grants:
            if grant.asked is request:
                if grant.abandoned and grant.asked.mode is not SHARED:
                    self.kept.leave(b"a" + grant.name)
                    self.table.abandon(grant.name)
                granted += self.table.end(grant, self.keyspace.now_ms)
                self.kept.delete_grant(grant)
            else:
                grant.depth -= 1  # it had this one before
        return granted

    def wait(self, context, request, timeout_s, timeout_reply=None):
        """Let a session wait for what try_acquire() did not give; 0.0 for ever.  Raises DeadlockError."""
        found = deadlock.circle(self.table, request)
        if found is not None:
            raise DeadlockError(self._tell_circle(context, found))
        self.table.queue(request, self.keyspace.now_ms)
        self._waits[context.session] = request
        context.waiting.wait(context, (), timeout_s, None, timeout_reply, left=self.left)
        return context.defer()

    def _tell_circle(self, context, circle):
        parts = ["%s waits for %s" % (holders.text_of(node), context.shown_key(name).decode("utf-8", "replace"))
                 for node, name in circle]
        return ("a deadlock: %s, which is held or was asked for before by %s, and so in a circle; take locks in the "
                "same order everywhere, or all at once" % (", ".join(parts), holders.text_of(circle[0][0])))

    def left(self, session):
        """A session waits for a lock no more, where it did."""
        request = self._waits.pop(session, None)
        if request is None or self._closed:
            return
        for entry in self._put_off:
            if entry[0] is request:
                self._put_off.remove(entry)
                self._settle(self._take_back(request, entry[1]))
                return
        self._settle(self.table.leave(request, self.keyspace.now_ms))

    def answer_waiters(self, name, reply):
        """Let all who wait for a lock have something else instead of it."""
        lock = self.table.locks.get(name)
        for request in list(lock.queue) if lock is not None else ():
            self.table.leave(request, self.keyspace.now_ms)  # it has a holder, so that nobody is granted it by that
            self._answer(request, reply)

    def requeue(self, session, request):
        """Let a session that waits for something else wait for a lock, without end; an error where it cannot."""
        found = deadlock.circle(self.table, request)
        if found is not None:
            return DeadlockError("a deadlock: %s wait for each other; the lock was not had again"
                                 % ", ".join(holders.text_of(node) for node, _ in found))
        try:
            granted = self.table.ask(request, self.keyspace.now_ms)
        except CommandError:
            return LockLostError("the lock was not had again: it is used with another limit, or too many are held")
        self._waits[session] = request
        self._settle(granted)
        return None

    def release(self, session, name, token, units=0):
        """Give one level of a grant back, or some of its units; how much is left.  Raises LockLostError."""
        grant = self.own(session, name, token)
        if units and grant.asked.mode is UNITS and units < grant.units:
            granted = self.table.give_back(grant, units, self.keyspace.now_ms)
            self.kept.put_grant(grant)
            self._settle(granted)
            return grant.units
        if units > grant.units:
            raise CommandError("%d units are given back, and %d are held" % (units, grant.units))
        if grant.depth > 1:
            grant.depth -= 1
            self.kept.put_grant(grant)
            self._settle([])
            return grant.depth
        self.end(grant, RELEASED)
        return 0

    def end(self, grant, reason, abandoned=False):
        """A grant is over; those who waited for that are told."""
        self._settle(self._end(grant, reason, abandoned))

    def _end(self, grant, reason, abandoned):
        if reason is not RELEASED:
            self._lost[grant.token] = reason
            if len(self._lost) > LOCK_REASONS_MAX:
                self._lost.popitem(last=False)
        if abandoned and grant.asked.mode is not SHARED:  # who may only read leaves nothing half done
            self._abandon(grant.name)
        granted = self.table.end(grant, self.keyspace.now_ms)
        if self._absent:
            self._absent.pop(grant.token, None)
            self._unsure.discard(grant.token)
        if self.keyspace.log is not None:
            self.kept.delete_grant(grant)
        for session in grant.watchers:
            del self._watching[session]
            self.waiting.finish(session, reason)
        return granted

    def _abandon(self, name):
        forgotten = self.table.abandon(name)
        self.kept.put(b"a" + name)
        if forgotten is not None:
            self.kept.delete(b"a" + forgotten)

    def _settle(self, granted):
        """Save what has changed, then tell those whose turn it is; where that is refused they do not have it."""
        if self.keyspace.staging:
            self._put_off += granted
            return
        while granted or self.kept.owes:
            for _, grants in granted:
                for grant in grants:
                    self._keep_new(grant)
            try:
                self.save()
            except NosqgridError as error:  # which no name here may keep: its frames lead to this one
                refused, granted = granted, []
                for request, grants in refused:
                    granted += self._take_back(request, grants)
                    self._answer(request, error)
                if not granted:
                    return
                continue
            for request, grants in granted:
                self._answer(request, request.reply(grants))
            return

    def save(self):
        """Log what has changed.  Raises StorageError, GridFullError."""
        self.kept.save(self.table.last_token)

    def _answer(self, request, reply):
        del self._waits[request.session]
        self.waiting.finish(request.session, reply)

    # -- what else is done with a grant -------------------------------------------------------------------------------

    def extend(self, session, name, token, ttl_ms):
        """From now on a grant ends in `ttl_ms`, or with its session alone (0)."""
        grant = self.own(session, name, token)
        if grant.asked.detached and not ttl_ms:
            raise CommandError("a lock that its token owns needs a time to live, or nobody could ever give it back")
        self.table.extend(grant, ttl_ms, self.keyspace.now_ms)
        self.kept.put_grant(grant)
        self._settle([])

    def check(self, name, token):
        """Raise FencedError unless the lock is held with this token, by whomever."""
        grant = self.table.find(name, token)
        if grant is None or 0 < grant.deadline_ms <= self.keyspace.now_ms:  # in a batch nothing is ended
            lock = self.table.locks.get(name)
            raise FencedError("%s%s" % (self._why_lost(token), "; the last token given is %d" % lock.last_token
                                        if lock is not None and lock.last_token else ""))

    def undo(self, session, request):
        """Give back what a request of this session was granted, or stop waiting for it; how many that were."""
        self.expire()
        waiting = self._waits.get(session)
        if waiting is not None and waiting.request == request:
            self.left(session)
            self.waiting.finish(session, None)
            return 1
        count = 0
        absent = self._absent_of(self.holder(session)) if self._absent else []
        for grant in list(self.table.held.get(session, {}).values()) + absent:
            while request in grant.requests:
                requests = list(grant.requests)
                requests.remove(request)
                grant.requests = tuple(requests)
                count += 1
                self.release(session, grant.name, grant.token)
        return count

    def force(self, name, reason, token=None):
        """End the grants of a lock, or one of them, whoever has them; how many that were."""
        self.expire()
        lock = self.table.locks.get(name)
        grants = [grant for grant in (lock.holders.values() if lock is not None else ())
                  if token is None or grant.token == token]
        for grant in grants:
            self.end(grant, b"forced: " + reason, True)
        return len(grants)

    def watch(self, context, name, token):
        """Let a session wait until a grant ends; it is answered with the reason."""
        self.expire()
        grant = self.table.find(name, token)
        if grant is None:
            return self._lost.get(token, RELEASED)
        grant.watchers += (context.session,)
        self._watching[context.session] = grant
        context.waiting.wait(context, (), 0.0, None, None, left=self._watched_enough)
        return context.defer()

    def _watched_enough(self, session):
        grant = self._watching.pop(session, None)
        if grant is not None:
            grant.watchers = tuple(other for other in grant.watchers if other is not session)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def session_ended(self, session):
        """The session is gone: it waits no more, and what it held goes on to others."""
        if self._closed:
            return
        self.left(session)
        for grant in list(self.table.held.get(session, {}).values()):
            self.end(grant, ENDED, True)
        self._holders.pop(session, None)

    def adopt(self, from_session, to_session):
        """What one session owns belongs to another of the same process."""
        for grant in list(self.table.held.get(from_session, {}).values()):
            self.table.hand_over(grant, to_session)

    def close(self):
        """The coordinator ends, and nobody loses anything by that: with a log the next one knows who holds what."""
        self._closed = True

    # -- time ---------------------------------------------------------------------------------------------------------

    def expire(self):
        """End the grants whose lease is over; not within a batch, which could not log that."""
        if not self.table.leases or self.keyspace.staging or self._closed:
            return
        for grant in self.table.expired(self.keyspace.now_ms):
            self.end(grant, EXPIRED, True)

    def tick(self, now):
        """Called now and then by the loop, which has set the keyspace's time."""
        self.expire()
        if self._grace_until_ms and self.keyspace.now_ms >= self._grace_until_ms:
            self._end_grace()
        if self.kept.owes or self._put_off:
            granted, self._put_off = self._put_off, []
            self._settle(granted)
        self.meetings.tick()

    def sleep_s(self, now):
        """For how many seconds no lease ends, and no grace."""
        if self._put_off:
            return _NO_SLEEP_S
        wait_s = 1.0 if self.kept.owes else SLEEP_S_MAX
        for due_ms in (self.table.next_deadline_ms(), self._grace_until_ms, self.meetings.next_deadline_ms()):
            if due_ms:
                wait_s = min(wait_s, max((due_ms - self.keyspace.now_ms) / 1000.0, _NO_SLEEP_S))
        return wait_s

    # -- a restart ----------------------------------------------------------------------------------------------------

    def open(self, replaced):
        """Begin, and take over what the log has; before anybody asks for a lock.

        `replaced`: another coordinator ended here without having given back its socket.
        """
        now_ms = self.keyspace.now_ms
        structure = self.kept.structure
        self.table.last_token = max(self.table.last_token, self.kept.first_token())
        if structure is None or self.keyspace.log is None:
            self.kept.forget()
            if replaced and (self.keyspace.log is None or not self.keyspace.version):  # else nobody had a lock
                self.table.frozen = True
                self._grace_until_ms = now_ms + self._grace_ms
            return
        offset_ms = self.keyspace.wall_ms() - now_ms
        grants = []
        for key, words in list(structure.items.items()):
            if key[:1] == b"a":
                self.table.abandon(key[1:])
            elif key[:1] == b"g":
                grants.append(read_grant(key, words))
        for token, request, since_ms in sorted(grants, key=lambda grant: -grant[0]):
            self._take_over(token, request, min(since_ms - offset_ms, now_ms))
        if self._unsure:
            self._grace_until_ms = now_ms + self._grace_ms
        self.meetings.open(structure)

    def _take_over(self, token, request, since_ms):
        holder = request.who
        grant = self.table.regrant(request, token, self.keyspace.now_ms)
        if grant is None:  # of a log that was salvaged, and has not all that was in it: the later one had it
            self.kept.delete(b"g%d" % token)
            self._settle([])
            return
        grant.since_ms = since_ms
        if request.detached:
            return
        self._absent[token] = grant
        grant.absent = True
        lives = self._processes.lives(holder)
        if lives is None:
            self._unsure.add(token)
        elif not lives:
            self.end(grant, ENDED, True)
        elif not self._processes.watch(holder, self._process_died):
            self.end(grant, ENDED, True)

    def _process_died(self, pid):
        for grant in list(self._absent.values()):
            if grant.asked.who.pid == pid:
                self.end(grant, ENDED, True)

    def _end_grace(self):
        self._grace_until_ms = 0
        for token in list(self._unsure):
            self.end(self._absent[token], b"its holder did not come back after a restart", True)
        if self.table.frozen:
            self._settle(self.table.thaw(self.keyspace.now_ms))

    def reclaim(self, session, request, token):
        """A holder comes back to a coordinator that was restarted.  Raises LockLostError."""
        name = request.names[0]
        grant = self.table.find(name, token)
        if grant is None:
            grant = self.table.regrant(request, token, self.keyspace.now_ms) if self.table.frozen else None
            if grant is None:
                raise LockLostError(self._why_lost(token))
            return
        if grant.absent and not grant.asked.who.is_process_of(session) and grant.asked.who.pid > 0:
            raise LockLostError("%s held it with this token, and not this client" % grant.asked.who.text())
        if not grant.absent:
            self.own(session, name, token)
            return
        self._come_back(grant, request)
        grant.depth = request.depth  # which the holder knows best: it may have given one level back in vain
        self._settle([])

    def _come_back(self, grant, request):
        """The holder of a grant is here again."""
        grant.absent = False
        del self._absent[grant.token]
        self._unsure.discard(grant.token)
        self.table.hand_over(grant, request.session, request.node, request.who)
        self.kept.put_grant(grant)

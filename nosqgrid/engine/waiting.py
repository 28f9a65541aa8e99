"""Who waits for which keys: BLPOP and its relatives.

A waiter has keys and an attempt: attempt(context, keys) does what the command asks for if one of these keys makes that
possible now, and returns the reply, None, or NOBODY.  It is made when a command, with all that it changed, is over, for
a key that it touched; of several that wait for a key the one that has waited the longest comes first.

Invariants
 1. A session waits for one thing at a time, and is answered once: by its attempt, by finish(), its timeout, or
    somebody who unblocks it.
 2. keyspace.waited has exactly the keys that somebody waits for.
 3. An attempt is a write command of its own: what it changes is logged before anybody is answered.
 4. Nobody is served within a batch.
"""

import heapq
from collections import OrderedDict

from ..errors import InvariantError, NosqgridError, WrongTypeError

SLEEP_S_MAX = 3600.0
_SPARE_DEADLINES = 64  # of those who do not wait any more; when there are more, and more than others, they go
NOBODY = object()  # what an attempt returns where the key has nothing for anybody else either
UNBLOCKED = "client unblocked via CLIENT UNBLOCK"


class _Waiter(object):
    """One session that waits."""

    __slots__ = ("context", "keys", "attempt", "timeout_reply", "left")

    def __init__(self, context, keys, attempt, timeout_reply, left):
        self.context = context
        self.keys = keys
        self.attempt = attempt
        self.timeout_reply = timeout_reply
        self.left = left


class Waiting(object):
    """All who wait in one grid.  `answer(session, reply)` sends a session what it waits for, an error as exception.

    An attempt that raises WrongTypeError waits on; another error is the answer, and so is one that is returned.
    """

    def __init__(self, keyspace, answer, as_write):
        self._keyspace = keyspace
        self._answer = answer
        self._as_write = as_write  # (keyspace, function) -> what it returns, its changes logged
        self._by_session = {}
        self._deadlines = []  # heap of (ms, number, waiter); some of them do not wait any more
        self._number = 0
        self._serving = False

    def __len__(self):
        return len(self._by_session)

    def wait(self, context, keys, timeout_s, attempt, timeout_reply, left=None):
        """Let a session wait; 0.0 seconds are for ever.

        Without keys no attempt is made, and finish() ends it.  left(session) is called when the wait ends by timeout,
        by unblock() or with the session.
        """
        session, keyspace = context.session, self._keyspace
        if session in self._by_session:
            raise InvariantError("a session that waits is to wait for something else")
        deadline_ms = keyspace.now_ms + max(int(round(timeout_s * 1000)), 1) if timeout_s else 0
        waiter = _Waiter(context, list(dict.fromkeys(keys)), attempt, timeout_reply, left)
        self._by_session[session] = waiter
        for key in waiter.keys:
            keyspace.waited.setdefault(key, OrderedDict())[session] = waiter
        if deadline_ms:
            self._number += 1
            heapq.heappush(self._deadlines, (deadline_ms, self._number, waiter))
            if len(self._deadlines) > 2 * len(self._by_session) + _SPARE_DEADLINES:
                self._deadlines = [entry for entry in self._deadlines if self._waits(entry[2])]
                heapq.heapify(self._deadlines)

    def _waits(self, waiter):
        return self._by_session.get(waiter.context.session) is waiter

    def _forget(self, session):
        waiter = self._by_session.pop(session)
        for key in waiter.keys:
            waiters = self._keyspace.waited[key]
            del waiters[session]
            if not waiters:
                del self._keyspace.waited[key]
        return waiter

    def _leave(self, session):
        """A session waits no more, and did not get what it waited for."""
        waiter = self._forget(session)
        if waiter.left is not None:
            waiter.left(session)
        return waiter

    def serve(self):
        """Make the attempts of those whose keys changed, until nothing changes any more."""
        keyspace = self._keyspace
        if self._serving or keyspace.staging:
            return  # the loop that made an attempt serves what that touches; what a batch touches may be taken back
        self._serving = True
        try:
            while keyspace.ready:
                ready, keyspace.ready = list(dict.fromkeys(keyspace.ready)), []
                for key in ready:
                    self._serve_key(key)
        finally:
            self._serving = False

    def _serve_key(self, key):
        """Make the attempts of those who wait for a key now, not of those who come to do so meanwhile."""
        lookup = self._keyspace.lookup
        waiters = list(self._keyspace.waited.get(key, {}).values())
        was_there = len(waiters) > 1 and lookup(key) is not None
        for waiter in waiters:
            served = self._waits(waiter) and self._attempt(waiter, key)
            if served is NOBODY or served and was_there and lookup(key) is None:
                break  # he took the last of it, or found nothing: a thousand others need not find that out

    def _attempt(self, waiter, key):
        """Whether an attempt led to an answer; NOBODY where it says so."""
        try:
            reply = self._as_write(self._keyspace, lambda: waiter.attempt(waiter.context, [key]))
        except WrongTypeError:
            return False  # there is something else at the key by now, and may be what is waited for later
        except NosqgridError as error:  # which no name here may keep: its frames lead to this one
            self.finish(waiter.context.session, error)
            return True
        if reply is None or reply is NOBODY:
            return reply or False
        self.finish(waiter.context.session, reply)
        return True

    def finish(self, session, reply):
        """What a session waits for has come, by another way than a key; an error as exception."""
        self._forget(session)
        self._answer(session, reply)

    def waits(self, session):
        """Whether a session waits for something."""
        return session in self._by_session

    def unblock(self, session, with_error):
        """Let a session wait no more, as after its timeout or with an error; whether it waited."""
        if session not in self._by_session:
            return False
        waiter = self._leave(session)
        self._answer(session, Unblocked(UNBLOCKED) if with_error else waiter.timeout_reply)
        return True

    def expire(self):
        """Answer those whose time is up."""
        now_ms = self._keyspace.now_ms
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            waiter = heapq.heappop(self._deadlines)[2]
            if self._waits(waiter):
                self._leave(waiter.context.session)
                self._answer(waiter.context.session, waiter.timeout_reply)

    def tick(self, now):
        """Called now and then by the loop, which has set the keyspace's time."""
        self.expire()

    def sleep_s(self, now):
        """For how many seconds nobody's time is up."""
        while self._deadlines and not self._waits(self._deadlines[0][2]):
            heapq.heappop(self._deadlines)
        if not self._deadlines:
            return SLEEP_S_MAX
        return min(max(self._deadlines[0][0] - self._keyspace.now_ms, 1) / 1000.0, SLEEP_S_MAX)

    def session_ended(self, session):
        """The session is gone."""
        if session in self._by_session:
            self._leave(session)


class Unblocked(NosqgridError):
    """The answer for a client that was unblocked with an error."""

    code = "UNBLOCKED"

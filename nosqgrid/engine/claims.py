"""Claims: who computes the value of a key that is not there, and who waits for it (get_or_compute).

A claim belongs to a connection; when the connection ends, and with it the process, the next that waits gets it.

Invariants
 1. A key has at most one holder.  Whoever waits stands behind a holder, in the order of asking.
 2. Each waiter is answered once: GRANTED when it becomes the holder, FILLED when there is a value to read.
"""

from collections import OrderedDict

from ..errors import InvariantError

FILLED = 0  # there is a value: read it
GRANTED = 1  # compute it, then fill or abandon
TAKEN = 2  # somebody else computes it, and the session did not want to wait


class Claims(object):
    """The claims of one grid.  `answer(session, reply)` sends a waiting session what it waits for."""

    def __init__(self, answer):
        self._answer = answer
        self._holders = {}  # key -> session
        self._waiters = {}  # key -> OrderedDict of sessions
        self._held = {}  # session -> set of keys
        self._waits = {}  # session -> key

    def __len__(self):
        return len(self._holders)

    def claim(self, session, key):
        """GRANTED, or None: the session waits and will be answered."""
        holder = self._holders.get(key)
        if holder is session:
            return GRANTED
        if holder is None:
            self._grant(session, key)
            return GRANTED
        self._waiters.setdefault(key, OrderedDict())[session] = True
        self._waits[session] = key
        return None

    def try_claim(self, session, key):
        """GRANTED or TAKEN; nobody waits.  For a value that is there and is to be made anew."""
        if self._holders.get(key, session) is not session:
            return TAKEN
        self._grant(session, key)
        return GRANTED

    def _grant(self, session, key):
        self._holders[key] = session
        self._held.setdefault(session, set()).add(key)

    def holds(self, session, key):
        return self._holders.get(key) is session

    def filled(self, session, key):
        """The holder stored the value: everybody who waits may read it."""
        self._release(session, key)
        for waiter in self._waiters.pop(key, ()):
            del self._waits[waiter]
            self._answer(waiter, FILLED)

    def abandon(self, session, key):
        """The holder gives up: the one who waits longest holds the claim now."""
        self._release(session, key)
        waiters = self._waiters.get(key)
        if not waiters:
            return
        heir, _ = waiters.popitem(last=False)
        if not waiters:
            del self._waiters[key]
        del self._waits[heir]
        self._grant(heir, key)
        self._answer(heir, GRANTED)

    def _release(self, session, key):
        if self._holders.get(key) is not session:
            raise InvariantError("a claim is released by somebody who does not hold it")
        del self._holders[key]
        held = self._held[session]
        held.discard(key)
        if not held:
            del self._held[session]

    def session_ended(self, session):
        """The session is gone: it waits no more, and what it held goes on to others."""
        key = self._waits.pop(session, None)
        if key is not None:
            waiters = self._waiters[key]
            del waiters[session]
            if not waiters:
                del self._waiters[key]
        for key in list(self._held.get(session, ())):
            self.abandon(session, key)

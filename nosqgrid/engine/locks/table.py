"""The lock table: who holds which lock, who waits for it, and who has it next.  It is pure: time is an argument.

A lock is a name.  It is held exclusively by one, shared by many, or, with a limit, in units (a semaphore); the limit of
a lock that somebody holds or waits for stands.  Who cannot have it at once may queue; a request may name several locks,
stands in all their queues, and gets all of them in one moment or waits for all.

Invariants
 1. The holders of a lock are one exclusive grant, or shared ones, or units whose sum is not above the limit.
 2. Only who came earlier blocks: a request is granted when it fits with the holders and no request that conflicts with
    it stands before it in any of its queues.  Two conflict unless both are shared.
 3. After each operation nobody waits who could be granted; what the operation granted is its result.
 4. Tokens rise with every grant of any lock.
 5. A lock without holders and waiters is not in `locks`; what is left of it is that its last holder abandoned it.
 6. `grants`, `held` and `by_node` have exactly the grants that are in the locks, `waiting` exactly the requests that
    are in queues.

The table is memory of one process: a kill takes it whole.
"""

import heapq
from collections import OrderedDict

from ...errors import CommandError, InvariantError
from ...limits import LOCKS_ABANDONED_MAX, LOCK_GRANTS_MAX

EXCLUSIVE, SHARED, UNITS = b"exclusive", b"shared", b"units"
MODES = EXCLUSIVE, SHARED, UNITS
EXPIRED, ENDED, RELEASED = b"expired", b"session ended", b"released"  # why a grant is over
TOKEN_MAX = 1 << 60
_SPARE_LEASES = 64  # of grants that are over; when there are more, and more than others, they go


class Request(object):
    """What somebody asks for.  `session` owns what is granted (None where the token alone does), `node` is who waits
    in the graph of deadlocks (None for nobody), `who` the facts about him (locks/holders.Holder), and reply(grants)
    what he is answered if he has waited.
    """

    __slots__ = ("names", "session", "who", "node", "mode", "units", "limit", "reentrant", "ttl_ms", "thread",
                 "request", "info", "detached", "depth", "number", "since_ms", "reply")

    def __init__(self, names, session, who, node=None, mode=EXCLUSIVE, units=1, limit=0, reentrant=False, ttl_ms=0,
                 thread=b"", request=0, info=b"", detached=False, depth=1, reply=None):
        self.names = names
        self.session = session
        self.who = who
        self.node = node
        self.mode = mode
        self.units = units
        self.limit = limit
        self.reentrant = reentrant
        self.ttl_ms = ttl_ms
        self.thread = thread
        self.request = request
        self.info = info
        self.detached = detached
        self.depth = depth
        self.reply = reply
        self.number = 0  # in the order of coming, of those who wait
        self.since_ms = 0


class Grant(object):
    """One lock that is held; most of it is as it was asked for."""

    __slots__ = ("name", "token", "asked", "session", "node", "depth", "units", "ttl_ms", "deadline_ms", "abandoned",
                 "since_ms", "requests", "watchers", "absent")

    def __init__(self, name, token, asked, abandoned, now_ms):
        self.name = name
        self.token = token
        self.asked = asked
        self.session = asked.session
        self.node = None if asked.detached else asked.node
        self.depth = asked.depth
        self.units = asked.units
        self.ttl_ms = asked.ttl_ms
        self.deadline_ms = now_ms + asked.ttl_ms if asked.ttl_ms else 0
        self.abandoned = abandoned
        self.since_ms = now_ms
        self.requests = (asked.request,) if asked.request else ()
        self.watchers = ()
        self.absent = False  # its holder is to come back to this coordinator


class Lock(object):
    """A name that somebody holds or waits for."""

    __slots__ = ("name", "limit", "mode", "used", "holders", "queue", "last_token")

    def __init__(self, name, limit):
        self.name = name
        self.limit = limit
        self.mode = None  # of the holders
        self.used = 0  # units
        self.holders = {}  # token -> Grant
        self.queue = OrderedDict()  # Request -> None, the one who came first first
        self.last_token = 0


class Table(object):
    """All locks of one grid.  Tokens are above `last_token`; while it is `frozen` nothing is granted but by regrant().
    """

    def __init__(self, last_token=0, frozen=False):
        self.last_token = last_token
        self.frozen = frozen
        self.locks = {}
        self.grants = {}  # token -> Grant
        self.held = {}  # session -> {token: Grant}
        self.by_node = {}  # node -> {token: Grant}
        self.waiting = {}  # node -> {Request: None}
        self.abandoned = OrderedDict()  # names, those first that have been the longest
        self.leases = []  # heap of (deadline_ms, token)
        self._number = 0

    # -- asking -------------------------------------------------------------------------------------------------------

    def acquire(self, request, now_ms):
        """The list of Grants, one for each name, or None where they cannot be had at once; nobody is queued.

        Raises CommandError for a limit that differs from that of a lock which is in use, or for too many grants.
        """
        locks = self.locks
        if request.reentrant:
            again = self._again(request)
            if again is not None:
                return [again]
        for name in request.names:
            lock = locks.get(name)
            if lock is not None:
                if lock.limit != request.limit:
                    raise CommandError("the lock is in use with %s: ask for it in that way, or give it another name"
                                       % ("a limit of %d units" % lock.limit if lock.limit else "no limit"))
                if not _fits(lock, request) or lock.queue and _is_behind(lock, request):
                    return None
        if self.frozen:
            return None
        if len(self.grants) + len(request.names) > LOCK_GRANTS_MAX:
            raise CommandError("%d locks are held; the limit is %d" % (len(self.grants), LOCK_GRANTS_MAX))
        return self._grant(request, now_ms)

    def _again(self, request):
        """A grant that the one who asks has already, deeper by one, or None."""
        lock = self.locks.get(request.names[0])
        if lock is None or request.node is None:
            return None
        for grant in self.by_node.get(request.node, {}).values():
            if (grant.name == lock.name and grant.asked.reentrant
                    and (grant.asked.mode is EXCLUSIVE or request.mode is SHARED)):
                grant.depth += 1
                if request.request:
                    grant.requests += (request.request,)
                return grant
        return None

    def queue(self, request, now_ms):
        """Let a request that acquire() did not grant wait behind those who wait by now."""
        self._number += 1
        request.number = self._number
        request.since_ms = now_ms
        for name in request.names:
            lock = self.locks.get(name)
            if lock is None:
                lock = self.locks[name] = Lock(name, request.limit)
            lock.queue[request] = None
        if request.node is not None:
            self.waiting.setdefault(request.node, {})[request] = None

    def ask(self, request, now_ms):
        """Queue a request, or grant it if that is possible now; [] or what was granted, as [(request, grants)]."""
        grants = self.acquire(request, now_ms)
        if grants is not None:
            return [(request, grants)]
        self.queue(request, now_ms)
        return []

    def leave(self, request, now_ms):
        """A request waits no more; what that granted to others: [(request, grants)]."""
        self._forget(request)
        granted = []
        for name in request.names:
            granted += self._advance(name, now_ms)
        return granted

    def _forget(self, request):
        """Take a request out of its queues."""
        for name in request.names:
            del self.locks[name].queue[request]
        if request.node is not None:
            requests = self.waiting[request.node]
            del requests[request]
            if not requests:
                del self.waiting[request.node]

    # -- granting -----------------------------------------------------------------------------------------------------

    def _grant(self, request, now_ms):
        grants = []
        for name in request.names:
            self.last_token = token = self.last_token + 1
            abandoned = name in self.abandoned
            if abandoned and request.mode is not SHARED:  # who may not repair it does not take the word away
                del self.abandoned[name]
            grants.append(self._add(Grant(name, token, request, abandoned, now_ms)))
        return grants

    def _add(self, grant):
        name, token, asked = grant.name, grant.token, grant.asked
        lock = self.locks.get(name)
        if lock is None:
            lock = self.locks[name] = Lock(name, asked.limit)
        lock.holders[token] = grant
        lock.mode = asked.mode
        lock.used += grant.units
        lock.last_token = token
        self.grants[token] = grant
        if grant.session is not None:
            held = self.held.get(grant.session)
            if held is None:
                self.held[grant.session] = {token: grant}
            else:
                held[token] = grant
        if grant.node is not None:
            known = self.by_node.get(grant.node)
            if known is None:
                self.by_node[grant.node] = {token: grant}
            else:
                known[token] = grant
        if grant.deadline_ms:
            self._lease(grant)
        return grant

    def _advance(self, name, now_ms):
        """Grant what can be granted of a lock that was given back, or that somebody does not wait for any more."""
        lock = self.locks.get(name)
        if lock is None:
            return []
        granted, shared_waits = [], False
        for request in list(lock.queue) if lock.queue and not self.frozen else ():
            if shared_waits and request.mode is not SHARED:
                break
            if self._may_have(request):
                self._forget(request)
                granted.append((request, self._grant(request, now_ms)))
            elif request.mode is SHARED:
                shared_waits = True
            else:
                break
        if not lock.holders and not lock.queue:
            del self.locks[name]
        return granted

    def _may_have(self, request):
        for name in request.names:
            lock = self.locks[name]
            if not _fits(lock, request):
                return False
            for earlier in lock.queue:
                if earlier is request:
                    break
                if _conflict(earlier, request):
                    return False
        return True

    # -- giving back --------------------------------------------------------------------------------------------------

    def end(self, grant, now_ms):
        """A grant is over; what that granted to others: [(request, grants)]."""
        lock = self._remove(grant)
        if lock.queue:
            return self._advance(grant.name, now_ms)
        if not lock.holders:
            del self.locks[grant.name]
        return []

    def abandon(self, name):
        """Whoever has this lock next is told that somebody left it without a word; a name of which that is forgotten
        for it, or None.
        """
        self.abandoned[name] = None
        self.abandoned.move_to_end(name)
        return self.abandoned.popitem(last=False)[0] if len(self.abandoned) > LOCKS_ABANDONED_MAX else None

    def _remove(self, grant):
        name, token = grant.name, grant.token
        lock = self.locks[name]
        del lock.holders[token]
        lock.used -= grant.units
        del self.grants[token]
        if grant.session is not None:
            held = self.held[grant.session]
            del held[token]
            if not held:
                del self.held[grant.session]
        if grant.node is not None:
            known = self.by_node[grant.node]
            del known[token]
            if not known:
                del self.by_node[grant.node]
        return lock

    def give_back(self, grant, units, now_ms):
        """Give back some of the units of a grant, not all; what that granted: [(request, grants)]."""
        grant.units -= units
        self.locks[grant.name].used -= units
        return self._advance(grant.name, now_ms)

    # -- what changes about a grant -----------------------------------------------------------------------------------

    def find(self, name, token):
        """The Grant of this lock with this token, or None."""
        grant = self.grants.get(token)
        return grant if grant is not None and grant.name == name else None

    def extend(self, grant, ttl_ms, now_ms):
        """From now on a grant ends in `ttl_ms`, or never (0)."""
        grant.ttl_ms = ttl_ms
        grant.deadline_ms = now_ms + ttl_ms if ttl_ms else 0
        if ttl_ms:
            self._lease(grant)

    def hand_over(self, grant, session, node=None, who=None):
        """Another session owns a grant; with `node` and `who` somebody else holds it."""
        self._remove(grant)
        grant.session = session
        if who is not None:
            grant.node, grant.asked.node, grant.asked.who = node, node, who
        self._add(grant)

    def regrant(self, request, token, now_ms):
        """Grant a lock again under the token that it had; the Grant, or None where somebody else has it by now."""
        name = request.names[0]
        lock = self.locks.get(name)
        if token in self.grants or lock is not None and (lock.limit != request.limit or not _fits(lock, request)):
            return None
        self.last_token = max(self.last_token, token)
        return self._add(Grant(name, token, request, False, now_ms))

    def thaw(self, now_ms):
        """Grant from now on; what that granted: [(request, grants)]."""
        self.frozen = False
        granted = []
        for name in list(self.locks):
            granted += self._advance(name, now_ms)
        return granted

    # -- leases -------------------------------------------------------------------------------------------------------

    def _lease(self, grant):
        heapq.heappush(self.leases, (grant.deadline_ms, grant.token))
        if len(self.leases) > 2 * len(self.grants) + _SPARE_LEASES:
            self.leases = list({lease for lease in self.leases if self._stands(lease)})
            heapq.heapify(self.leases)

    def _stands(self, lease):
        grant = self.grants.get(lease[1])
        return grant is not None and grant.deadline_ms == lease[0]

    def next_deadline_ms(self):
        """When the next lease ends, or None."""
        while self.leases and not self._stands(self.leases[0]):
            heapq.heappop(self.leases)
        return self.leases[0][0] if self.leases else None

    def expired(self, now_ms):
        """The Grants whose lease is over; they stand until they are ended."""
        found = []
        while self.leases and self.leases[0][0] <= now_ms:
            lease = heapq.heappop(self.leases)
            if self._stands(lease):
                found.append(self.grants[lease[1]])
        return list(dict.fromkeys(found))

    # -- proof --------------------------------------------------------------------------------------------------------

    def check(self):
        """Verify the invariants; raises InvariantError."""
        found, requests = {}, {}
        for lock in self.locks.values():
            holders = list(lock.holders.values())
            _expect(holders or lock.queue, "a lock that nobody uses: %r" % lock.name)
            _expect(lock.used == sum(grant.units for grant in holders), "units of %r" % lock.name)
            modes = {grant.asked.mode for grant in holders}
            _expect(len(modes) <= 1 and (not modes or modes == {lock.mode}), "modes of %r" % lock.name)
            _expect(EXCLUSIVE not in modes or len(holders) == 1, "two hold %r" % lock.name)
            _expect(UNITS not in modes or lock.used <= lock.limit, "too many units of %r" % lock.name)
            found.update(lock.holders)
            requests.update(lock.queue)
        _expect(found == self.grants, "grants")
        _expect(found == {token: grant for held in self.held.values() for token, grant in held.items()
                          if grant.session is not None} or any(grant.session is None for grant in found.values()),
                "grants by session")
        _expect({token for token, grant in found.items() if grant.node is not None}
                == {token for known in self.by_node.values() for token in known}, "grants by node")
        _expect({request for request in requests if request.node is not None}
                == {request for known in self.waiting.values() for request in known}, "requests by node")
        for request in requests:
            _expect(all(request in self.locks[name].queue for name in request.names), "a request in one queue only")
            _expect(self.frozen or not self._may_have(request), "one who waits for nothing: %r" % (request.names,))


def _fits(lock, request):
    """Whether a request fits with those who hold a lock."""
    if not lock.holders:
        return True
    if request.mode is UNITS:
        return lock.used + request.units <= lock.limit
    return request.mode is SHARED and lock.mode is SHARED


def _conflict(one, other):
    return one.mode is not SHARED or other.mode is not SHARED


def _is_behind(lock, request):
    """Whether somebody waits for a lock already who has to have it before a new request."""
    return request.mode is not SHARED or any(earlier.mode is not SHARED for earlier in lock.queue)


def _expect(holds, what):
    if not holds:
        raise InvariantError("lock table: " + what)

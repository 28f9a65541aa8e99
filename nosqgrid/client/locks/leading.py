"""Who leads, what is done once, how many, and how often."""

from ...engine.databases import LOCKS, in_space
from ...errors import UsageError
from ..link import named_values
from ..mapping import encode_checked
from ..steps import Call, Pause
from ..times import milliseconds, milliseconds_above_0
from .base import FOR_EVER, Named, holder_of, wait_ms_of
from .lock import Lock


class Election(Lock):
    """One of many leads; when it dies or resigns the next one does.  Made by grid.election(name, data).

        grid.election("nightly", data="host:8080").run(work)    # in each of the candidates

    A lock with a text about its holder, `data`, which everybody can ask for: leader().  acquire() is to stand for
    election and wait to be the leader, release() or resign() is to step down.
    """

    def __init__(self, grid, name, data=None, ttl=None, on_lost=None):
        super().__init__(grid, name, ttl, on_lost, data)

    def _arguments(self):
        return self.name, self.info, self.ttl

    def run(self, function):
        """Wait to be the leader, call function(self), resign; what the function returned."""
        with self:
            return function(self)

    def leader_steps(self):
        found = named_values((yield Call([b"LOCK.INFO", self._raw])), self._store.address)
        return next((holder_of(row, self._store.address) for row in found["holders"]), None)

    def leader(self):
        """The Holder who leads, whose `info` is its data; None while nobody does."""
        return self._run(self.leader_steps())

    def is_leader(self):
        """Whether this object leads, now, by the coordinator's word."""
        return self.owned()

    def resign(self):
        """Let another one lead."""
        self.release()


class Once(Named):
    """Something that is done once in the life of the data, whoever comes first.  Made by grid.once(name).

        schema = grid.once("schema").run(create_schema)

    The others wait for it, and get what it returned.  Where it raises, or its process dies, it is not done, and the
    next one does it.
    """

    def __init__(self, grid, name):
        super().__init__(grid, name)
        self._lock = Lock(grid, b"once\0" + self._raw)
        self._key = in_space(LOCKS, b"once:" + self._raw)

    def run(self, function):
        """What function() returned when it was called, now by this caller or earlier by any other."""
        done, value = self.result()
        if done:
            return value
        with self._lock as lock:
            done, value = self.result()
            if done:
                return value
            value = function()
            self._keep(lock, value)
            return value

    def _keep(self, lock, value):
        """Write it under the lock, or raise FencedError."""
        value_type, payload = encode_checked(self._store.codec, value, self._key)
        lock.guard()._store.command(b"NOSQGRID.SET", self._key, payload, value_type, 0, b"-", 0)

    def result(self):
        """(whether it is done, what it returned)."""
        self._store.check_open()
        found = self._store.read(self._key)
        if found is None:
            return False, None
        return True, self._store.codec.decode(found.type, found.value, self._key)

    def done(self):
        """Whether it is done; from shared memory, without asking."""
        return self.result()[0]

    def reset(self):
        """Let it be done anew; whether it was done."""
        return bool(self._store.command(b"DEL", self._key))


class Counter(Named):
    """A number that many add to.  Made by grid.counter(name): the int at that key, which grid[name] and Redis' INCR see
    as well.
    """

    @property
    def value(self):
        """The number, 0 where there is none; from shared memory."""
        return self._grid.get(self._raw, 0)

    def increment(self, by=1):
        """Add to it; the sum, which no other call got for the same steps."""
        return self._grid.incr(self._raw, by)

    def decrement(self, by=1):
        """Take from it; what is left."""
        return self._grid.incr(self._raw, -by)

    def reset(self, value=0):
        """Let it be another number."""
        self._grid.set(self._raw, value)


class RateLimiter(Named):
    """So many in a period, in the whole grid.  Made by grid.rate_limiter(name, limit, period, burst).

        limiter = grid.rate_limiter("api", limit=10, period=1.0)
        limiter.acquire()       # waits for its turn

    By the generic cell rate algorithm (ITU-T I.371): they come evenly, and after a pause up to `burst` at once (as many
    as `limit`, unless given).  Turns are given in the order of asking; nobody polls.
    """

    def __init__(self, grid, name, limit, period, burst=None):
        super().__init__(grid, name)
        self.limit, self.period, self.burst = limit, period, limit if burst is None else burst
        for number in (self.limit, self.burst):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise UsageError("limit and burst are ints of at least 1, not %r" % (number,))
        milliseconds_above_0(period, "a period")

    def _arguments(self):
        return self.name, self.limit, self.period, self.burst

    def _take_steps(self, cost, wait_ms):
        if isinstance(cost, bool) or not isinstance(cost, int) or cost < 0:
            raise UsageError("a cost is an int of at least 0, not %r" % (cost,))
        return (yield Call([b"RATE.TAKE", self._raw, self.burst, self.limit, milliseconds(self.period, "a period"),
                            cost, wait_ms]))

    def acquire_steps(self, cost=1, blocking=True, timeout=FOR_EVER):
        taken, _, wait_ms, _ = yield from self._take_steps(cost, wait_ms_of(blocking, timeout))
        if taken and wait_ms:
            yield Pause(wait_ms / 1000.0)
        return bool(taken)

    def acquire(self, cost=1, blocking=True, timeout=FOR_EVER):
        """Take a turn, and wait until it comes; False, and nothing taken, where that is later than `timeout`.

        An interrupt while it waits does not give the turn back.  A cost above the burst never comes.
        """
        return self._run(self.acquire_steps(cost, blocking, timeout))

    def peek(self):
        """(how many could come at once, seconds until all of them could)."""
        _, left, _, reset_ms = self._run(self._take_steps(0, 0))
        return left, reset_ms / 1000.0

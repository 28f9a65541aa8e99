"""Where processes meet: barriers, events, latches, conditions; as in threading, where that has them."""

from ...errors import UsageError
from ..link import named_values
from ..steps import Call
from ..times import milliseconds
from .base import FOR_EVER, Named, deadline_of, left_ms
from .lock import Lock


def _ms(timeout):
    return FOR_EVER if timeout is None else milliseconds(max(timeout, 0), "a timeout")


class Barrier(Named):
    """Nobody goes on before so many have come.  Made by grid.barrier(name, parties).

    As threading.Barrier; one that dies while it waits breaks the barrier for the others, as abort() does.  All give an
    action, or none does; it is pickled along, so it is a function that can be imported.
    """

    def __init__(self, grid, name, parties, action=None, timeout=None):
        super().__init__(grid, name)
        if isinstance(parties, bool) or not isinstance(parties, int) or parties < 1:
            raise UsageError("parties must be > 0, not %r" % (parties,))
        if action is not None and not callable(action):
            raise UsageError("the action of a barrier is called, and %r cannot be" % (action,))
        self.parties, self._action, self._timeout = parties, action, timeout
        self._after = self._raw + b"\0after its action"

    def _arguments(self):
        return self.name, self.parties, self._action, self._timeout

    def wait_steps(self, timeout=None):
        wait_ms = _ms(self._timeout if timeout is None else timeout)
        deadline = deadline_of(wait_ms)
        index = yield Call([b"BARRIER.WAIT", self._raw, self.parties, wait_ms], waits=True)
        if self._action is None:
            return index
        if index == 0:
            try:
                self._action()
            except BaseException:
                yield Call([b"BARRIER.ABORT", self._after])
                raise
        yield Call([b"BARRIER.WAIT", self._after, self.parties, left_ms(deadline)], waits=True)
        return index

    def wait(self, timeout=None):
        """Wait until all have come; a number from 0 to parties - 1, another one for each.

        Whoever has 0 runs the action, and nobody goes on before it is done.  Raises BrokenBarrierError, which is
        threading's as well: the time was up for somebody, somebody died, or abort() was called.
        """
        return self._run(self.wait_steps(timeout))

    def abort_steps(self):
        yield Call([b"BARRIER.ABORT", self._raw])
        if self._action is not None:
            yield Call([b"BARRIER.ABORT", self._after])

    def abort(self):
        """Break it: who waits, and who comes, gets BrokenBarrierError until reset()."""
        self._run(self.abort_steps())

    def reset_steps(self):
        yield Call([b"BARRIER.RESET", self._raw])
        if self._action is not None:
            yield Call([b"BARRIER.RESET", self._after])

    def reset(self):
        """Let it be as new; who waits gets BrokenBarrierError."""
        self._run(self.reset_steps())

    def _info_steps(self):
        return named_values((yield Call([b"BARRIER.INFO", self._raw], again=True)), self._store.address)

    @property
    def n_waiting(self):
        """How many wait."""
        return self._run(self._info_steps())["waiting"]

    @property
    def broken(self):
        """Whether it is broken."""
        return bool(self._run(self._info_steps())["broken"])


class Event(Named):
    """A flag that processes wait for.  Made by grid.event(name).  As threading.Event; it outlives those who set it."""

    def is_set_steps(self):
        return bool((yield Call([b"EVENT.ISSET", self._raw], again=True)))

    def is_set(self):
        """Whether it is set."""
        return self._run(self.is_set_steps())

    def set_steps(self):
        yield Call([b"EVENT.SET", self._raw], again=True)

    def set(self):
        """Set it: all who wait go on."""
        self._run(self.set_steps())

    def clear_steps(self):
        yield Call([b"EVENT.CLEAR", self._raw], again=True)

    def clear(self):
        """Let it not be set."""
        self._run(self.clear_steps())

    def wait_steps(self, timeout=None):
        wait_ms = _ms(timeout)
        if (yield Call([b"EVENT.ISSET", self._raw], again=True)):
            return True
        return bool(wait_ms and (yield Call([b"EVENT.WAIT", self._raw, wait_ms], waits=True)))

    def wait(self, timeout=None):
        """Wait until it is set; whether it is."""
        return self._run(self.wait_steps(timeout))


class Latch(Named):
    """A door that opens when so many things are done, and stays open.  Made by grid.latch(name, count)."""

    def __init__(self, grid, name, count):
        super().__init__(grid, name)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise UsageError("a latch waits for 0 or more, not %r" % (count,))
        self._count = count

    def _arguments(self):
        return self.name, self._count

    def _open_steps(self):
        return (yield Call([b"LATCH.OPEN", self._raw, self._count], again=True))

    def count_down_steps(self, n=1):
        yield from self._open_steps()
        return (yield Call([b"LATCH.DOWN", self._raw, n]))

    def count_down(self, n=1):
        """So many are done; for how many it waits still."""
        return self._run(self.count_down_steps(n))

    @property
    def count(self):
        """For how many it waits still."""
        return self._run(self._open_steps())

    def wait_steps(self, timeout=None):
        wait_ms = _ms(timeout)
        if not (yield from self._open_steps()):
            return True
        return bool(wait_ms and (yield Call([b"LATCH.WAIT", self._raw, wait_ms], waits=True)))

    def wait(self, timeout=None):
        """Wait until all is done; whether it is."""
        return self._run(self.wait_steps(timeout))

    def reset_steps(self):
        yield Call([b"LATCH.RESET", self._raw])

    def reset(self):
        """Forget it: whoever uses it next has the whole count before him."""
        self._run(self.reset_steps())


class Condition(Named):
    """A lock, and waiting for word from those who had it.  Made by grid.condition(name).  As threading.Condition.

        changed = grid.condition("stock")
        with changed:
            changed.wait_for(lambda: grid["stock"] > 0)
            grid["stock"] -= 1

    `lock` is a lock of grid.lock(), which may be used by itself as well; conditions with the same one exclude each
    other.  Left out, it is the lock of the same name.
    """

    def __init__(self, grid, name, lock=None):
        super().__init__(grid, name)
        if lock is not None and type(lock) is not Lock:
            raise UsageError("a condition has a lock of grid.lock(), not %r" % (lock,))
        self.lock = Lock(grid, name) if lock is None else lock
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self.acquire_steps, self.release_steps = self.lock.acquire_steps, self.lock.release_steps

    def _arguments(self):
        return self.name, self.lock

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None and not self.lock._grants_of_thread():
            return  # it was a wait() that ended so, and has left the lock not held
        self.release()

    def wait_steps(self, timeout=None):
        lock = self.lock
        grant, wait_ms, request = lock._own(), _ms(timeout), self._store.links.next_request()
        try:
            grant.ended = True
            lock._ended(grant)
            reply = yield Call([b"COND.WAIT", self._raw, grant.name, grant.token, wait_ms, b"REQUEST", request],
                               waits=True, owns=True)
            lock._granted((reply[0], reply[1], 1))
            return bool(reply[2])
        except BaseException:
            yield Call([b"LOCK.UNDO", request], late=True)
            yield from lock._take_back_steps([grant] + lock._grants_of_thread())
            raise

    def wait(self, timeout=None):
        """Give the lock back, wait for notify(), have the lock again; False where `timeout` seconds went by instead.

        RuntimeError unless the lock is held.  An exception out of the wait itself (KeyboardInterrupt, DeadlockError,
        CoordinatorLostError) leaves it not held.
        """
        return self._run(self.wait_steps(timeout))

    def wait_for_steps(self, predicate, timeout=None):
        deadline = deadline_of(_ms(timeout))
        result = predicate()
        while not result:
            wait_ms = left_ms(deadline)
            if not wait_ms:
                break
            yield from self.wait_steps(None if wait_ms == FOR_EVER else wait_ms / 1000.0)
            result = predicate()
        return result

    def wait_for(self, predicate, timeout=None):
        """wait() until predicate() is true; what it said last."""
        return self._run(self.wait_for_steps(predicate, timeout))

    def notify_steps(self, n=1):
        grant = self.lock._own()
        return (yield Call([b"COND.NOTIFY", self._raw, grant.name, grant.token, n]))

    def notify(self, n=1):
        """Let n of those who wait go on, when the lock is given back; RuntimeError unless it is held."""
        self._run(self.notify_steps(n))

    def notify_all_steps(self):
        return (yield from self.notify_steps(-1))

    def notify_all(self):
        """Let all go on."""
        self._run(self.notify_all_steps())

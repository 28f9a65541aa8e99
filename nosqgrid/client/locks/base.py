"""What every lock here has in common: how it is asked for, given back, and what is told about it.

A lock belongs to the process that asked for it, and ends with it; the coordinator knows of that within milliseconds.
Which thread has it is the business of those who ask, as with threading.

Invariants
 1. Who asks says so with a number of his own (`REQUEST`).  Whatever interrupts him, he takes back what that number was
    granted; so nothing is held that nobody knows of.
 2. What this process holds stands in store.held, from the grant on.  Whoever attaches to another coordinator presents
    it there.
"""

import os
import time
from collections import namedtuple

from ...errors import FencedError, LockLostError, NosqgridError, UsageError
from ...formats.values import encode_key
from .. import steps
from ..link import named_values
from ..steps import THREAD, Call
from ..times import milliseconds, milliseconds_above_0

FOR_EVER = -1
_HOLDER_FIELDS = "token pid uid host thread mode units since_s ttl_s info command"


class Holder(namedtuple("Holder", _HOLDER_FIELDS)):
    """Who holds a lock or waits for it.

    `token` is 0 for one who waits; `pid` is 0 and `host` set for one who came by TCP; `since_s` is a time.time();
    `ttl_s` is None for a lock that ends with its holder; `command` is the beginning of the process's command line.
    """

    __slots__ = ()


def holder_of(reply, what):
    """The Holder that a map of LOCK.INFO describes."""
    found = named_values(reply, what)
    ttl_ms = found["ttl_ms"]
    return Holder(found["token"], found["pid"], found["uid"], found["host"], found["thread"], found["mode"],
                  found["units"], found["since_ms"] / 1000.0, None if ttl_ms < 0 else ttl_ms / 1000.0, found["info"],
                  found["command"])


def wait_ms_of(blocking, timeout):
    """Milliseconds to wait, FOR_EVER or 0, for what threading.Lock.acquire takes.  Raises ValueError as it does."""
    if timeout is None:
        timeout = FOR_EVER
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError("a timeout is a number of seconds, not %r" % (timeout,))
    if not blocking and timeout != FOR_EVER:
        raise UsageError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != FOR_EVER:
        raise UsageError("timeout value must be a non-negative number, not %r" % (timeout,))
    return 0 if not blocking else FOR_EVER if timeout == FOR_EVER else milliseconds(timeout, "a timeout")


def ttl_ms_of(ttl):
    """Whole milliseconds of a ttl as commands have it, 0 for None.  One of 0 seconds is refused: it is what a caller
    computes who is late, and must not be a lock for ever.
    """
    return 0 if ttl is None else milliseconds_above_0(ttl, "a ttl")


class Named(object):
    """Something of the coordinator's with a name, and how steps are run for it."""

    def __init__(self, grid, name):
        self._grid = grid
        self._store = grid._store
        self.name = name
        self._raw = encode_key(name)

    def _run(self, generator):
        return steps.run(self._store, generator)

    def _arguments(self):
        """What makes an equal object, behind the grid."""
        return (self.name,)

    def __reduce__(self):
        return type(self), (self._grid,) + self._arguments()

    def __repr__(self):
        return "<nosqgrid %s %r of %s>" % (type(self).__name__, self.name, self._store.address)


class Asking(Named):
    """Asks for grants of one or several locks with the words of LOCK.ACQUIRE."""

    ttl = None
    info = None

    def _options(self):
        """Words behind those that all locks say."""
        words = []
        if self.ttl is not None:
            words += [b"TTL", ttl_ms_of(self.ttl)]
        if self.info is not None:
            words += [b"INFO", self.info]
        return words

    def _ask_steps(self, head, wait_ms, granted, tried=False):
        """Ask with the words `head`, now and then for up to so long; whether granted(reply) was called.

        `tried`: it is known by now that somebody has it.
        """
        request = self._store.links.next_request()
        words = list(head) + [b"REQUEST", request, b"THREAD", THREAD] + self._options()
        try:
            reply = None if tried else (yield Call(words, owns=True, again=True))
            if reply is None and wait_ms:
                reply = yield Call(words + [b"WAIT", wait_ms], waits=True, owns=True)
            if reply is None:
                return False
            granted(reply)
            return True
        except BaseException:
            yield from undo_steps(request)
            raise

    # -- what this object holds ---------------------------------------------------------------------------------------

    def _grants_here(self):
        """The Grants that this object stands for, as a new list."""
        raise NotImplementedError

    def _grants_of_thread(self):
        """Those of them that were granted to this thread."""
        me = os.getpid(), self._store.thread()
        return [grant for grant in self._grants_here() if (grant.pid, grant.thread) == me]

    def _ended(self, grant):
        """One of them is over."""
        raise NotImplementedError

    def _give_back_steps(self, grants):
        """Give grants back, all of them, whatever interrupts that.  LockLostError where one was lost, after the others.
        """
        lost, left = None, list(grants)
        for grant in left:
            grant.ended = True
        try:
            while left:
                try:
                    yield Call([b"LOCK.RELEASE", left[0].name, left[0].token])
                except LockLostError as error:
                    lost = str(error)
                self._ended(left[0])
                del left[0]  # last: what is interrupted before is done again
        except NosqgridError:
            raise  # of the coordinator: they are held still, and can be given back to the next
        except BaseException:
            yield from self._take_back_steps(left)
            raise
        if lost is not None:
            raise LockLostError(lost)

    def _take_back_steps(self, grants):
        """Give back what may or may not have been given back before."""
        for grant in grants:
            grant.ended = True
            try:
                yield Call([b"LOCK.RELEASE", grant.name, grant.token], late=True)
            except LockLostError as error:  # it had been
                grant.lost = str(error)
            self._ended(grant)

    def _acquire(self, generator):
        """Run the steps of acquire(); what an interrupt leaves between the grant and the return is given back."""
        before = self._grants_here()
        try:
            return self._run(generator)
        except BaseException:
            self._drop_since(before)
            raise

    def _drop_since(self, before):
        """Give back what this thread has been granted since then: nobody else would."""
        new = [grant for grant in self._grants_of_thread() if grant not in before]
        if new:
            self._run(self._take_back_steps(new))

    def __enter__(self):
        before = self._grants_here()
        try:
            self.acquire()
            return self
        except BaseException:
            self._drop_since(before)
            raise

    def __exit__(self, kind, value, traceback):
        self.release()

    # -- who else does ------------------------------------------------------------------------------------------------

    def _info_steps(self, raw_name):
        return named_values((yield Call([b"LOCK.INFO", raw_name], again=True)), self._store.address)

    def info_steps(self):
        return (yield from self._info_steps(self._raw))

    def holders_steps(self):
        found = yield from self.info_steps()
        return [holder_of(row, self._store.address) for row in found["holders"]]

    def waiters_steps(self):
        found = yield from self.info_steps()
        return [holder_of(row, self._store.address) for row in found["waiters"]]

    def force_release_steps(self, reason):
        if not isinstance(reason, str) or not reason:
            raise UsageError("say why the lock is taken away: the one who loses it is told")
        return (yield Call([b"LOCK.FORCE", self._raw, reason]))

    def holders(self):
        """Those who hold it, as a list of Holder; also of other processes."""
        return self._run(self.holders_steps())

    def waiters(self):
        """Those who wait for it, the next one first."""
        return self._run(self.waiters_steps())

    def owner(self):
        """The Holder who has had it the longest, or None."""
        return next(iter(self.holders()), None)

    def locked(self):
        """Whether anybody holds it."""
        return bool(self.holders())

    def force_release(self, reason):
        """Take it away from whoever holds it; how many that were.

        The next one sees `abandoned`; the one who had it gets LockLostError with the reason, and FencedError where it
        writes through guard().
        """
        return self._run(self.force_release_steps(reason))


def undo_steps(request):
    """Take back what a request was granted, or may have been."""
    yield Call([b"LOCK.UNDO", request], late=True)


def checks_token_steps(raw_name, token):
    """Whether a token is that of a present holder."""
    try:
        yield Call([b"LOCK.CHECK", raw_name, token], again=True)
    except FencedError:
        return False
    return True


def deadline_of(wait_ms):
    """When a wait of so many milliseconds is over, on the monotonic clock; None for never."""
    return None if wait_ms == FOR_EVER else time.monotonic() + wait_ms / 1000.0


def left_ms(deadline):
    """What is left until then, as a wait."""
    return FOR_EVER if deadline is None else max(int((deadline - time.monotonic()) * 1000 + 0.5), 0)

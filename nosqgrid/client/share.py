"""Shared objects: grid.share(obj) puts it into shared memory once and gives a Ref, small enough to pass around.

    ref = grid.share(array)                             # in the parent
    pool.map(work, [(ref, i) for i in range(100)])      # in a worker: ref.get() is the array, read-only, in place

The object lives as long as anybody holds a Ref to it: a word in the lane of each process says so (memory/pins), and is
gone with the process.  A Ref that was pickled may be on its way to somebody, and one that was there when a child was
forked is there twice: from then on the process that had it stands for it SHARE_GRACE_S after it has dropped its own, as
long as that process itself lives.  release(), or the end of a `with`, says that whoever is to have it has it, and saves
that time and the memory.
"""

import contextlib
import os
import threading
import time

from ..errors import NosqgridError, SharedObjectGoneError, UsageError
from ..formats import values
from ..limits import SHARE_GRACE_S
from ..memory.pins import Pin
from . import large

SIGNED_FOR = b"\0shared"  # the name that stands for a key where a pickle is signed
_grids = {}  # (address, codec) -> the grid that Refs from other processes use in this one
_lock = threading.RLock()
_forks = [0]  # how many children this process has forked, and its parents before it was
make_grid = None  # client/grid.Grid, which imports this module


class _RefPin(Pin):
    """The pin of a Ref: where somebody may be about to take one over from it, it is one that leaves."""

    __slots__ = ("forks",)

    def __init__(self, pins, what):
        self.forks = _forks[0]  # when it was made; None once the Ref was pickled
        super().__init__(pins, what)

    def _let_go(self, place):
        if self.forks == _forks[0]:
            self._pins.free(place)
        else:
            self._pins.leave(place, int((time.monotonic() + SHARE_GRACE_S) * 1000))


class Ref(object):
    """A reference to a shared object.

    get() gives the object: of arrays and other buffers a read-only one on the shared memory, alive as long as anybody
    uses it; of everything else a copy.  It pickles as an address and a number, for processes of this machine.

    Attributes: `nbytes`, what the object takes in shared memory.
    Used in a `with`, it is released at the end of the block.
    """

    def __init__(self, grid, address, codec, epoch, number, value_type, nbytes):
        self._grid = grid  # None: the one of this process for the address, when it is needed
        self._address, self._codec = address, codec
        self._epoch, self._number, self._type = epoch, number, value_type
        self.nbytes = nbytes
        self._attachment = self._pin = None
        self._sent = False  # whether it was pickled
        self._released = False

    def _store(self):
        if self._grid is None:
            self._grid = _grid_of(self._address, self._codec)
        return self._grid._store

    def _hold(self, attachment, pin):
        if self._sent:
            pin.forks = None
        self._attachment, self._pin = attachment, pin

    def _own(self):
        """Make sure that this process holds the object by a session that is alive."""
        self._check_held()
        if self._attachment is not None and self._attachment.usable():
            return
        attachment = self._store().live()
        if attachment.info["epoch"] != self._epoch:
            raise self._gone("its coordinator has ended")
        pin = attachment.maps.hold(self._number, _RefPin)
        if not pin.made:
            raise UsageError("this process may only read this grid, or holds as many references, views and large "
                             "values as it may: drop some")
        self._hold(attachment, pin)

    def get(self):
        """The object.

        Raises SharedObjectGoneError where nobody held it, or its coordinator has ended before this process used it.
        Cost: some 100 us the first time in a process, then some 10 us, whatever its size.
        """
        return self._store().codec.decode(self._type, self.view(), SIGNED_FOR)

    def view(self):
        """The bytes of the object in shared memory, as a read-only memoryview."""
        self._own()
        found = self._attachment.maps.large(self._number, max(self.nbytes, 1))
        if found is None:
            raise self._gone("nobody held a reference to it any more")
        return found[:self.nbytes]

    def release(self):
        """Drop it at once: nobody gets the object from here on who has not got it; can be repeated.

        Without it, an object whose Ref was pickled stays SHARE_GRACE_S longer than it is used: it may be on its way.
        """
        self._released = True
        pin, self._pin = self._pin, None
        if pin is not None:
            pin.forks = _forks[0]
            pin.end()

    def _check_held(self):
        if self._released:
            raise UsageError("this Ref was released")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.release()

    def _gone(self, why):
        return SharedObjectGoneError("the shared object %d of %s is gone: %s; keep the Ref where it was made until the "
                                     "others have theirs" % (self._number, self._address, why))

    def __reduce__(self):
        self._check_held()
        self._sent = True
        if self._pin is not None:
            self._pin.forks = None
        return _received, (self._address, self._codec, self._epoch, self._number, self._type, self.nbytes)

    def __repr__(self):
        return "<nosqgrid.Ref to %d bytes in %s>" % (self.nbytes, self._address)


def share(grid, value):
    """See Grid.share."""
    store = grid._store
    value_type, parts = store.codec.encode_parts(value, SIGNED_FOR)
    nbytes = values.payload_size(parts)
    try:
        attachment, number, pin = store.call(large.share, parts, max(nbytes, 1), _RefPin)
    except large.NotHandedOver as error:
        raise error.error
    ref = Ref(grid, grid.address, store.codec.name, attachment.info["epoch"], number, value_type, nbytes)
    ref._hold(attachment, pin)
    return ref


def _received(address, codec, epoch, number, value_type, nbytes):
    """A Ref that came from another process, which holds its object at once if it can; else get() says what is wrong."""
    ref = Ref(None, address, codec, epoch, number, value_type, nbytes)
    with contextlib.suppress(NosqgridError):  # get() will say it; here it would be one of whatever unpickles
        ref._own()
    return ref


def _grid_of(address, codec):
    """The grid that Refs from other processes use in this one."""
    with _lock:
        grid = _grids.get((address, codec))
        if grid is None:
            grid = _grids[address, codec] = make_grid(address, codec=codec)
        return grid


def _before_fork():
    _forks[0] += 1


def _after_fork_in_child():
    global _lock
    _lock = threading.RLock()  # a thread that is not here may have held it


if hasattr(os, "register_at_fork"):  # before 3.7 a child has to use what it inherits while its parent has it
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)

"""What a client keeps in use: the pins in its lane, from its side (formats/lane; coordinator/pins reads them).

A pin is made before what it protects is looked at the last time, and ends with the object that stands for it, which
the map refers to: when the last memoryview or array on the map is gone.  That is one store, without lock or message,
because a finalizer may run in the middle of any call.  After fork() the pins are the parent's, and the child leaves
them alone, its finalizers too.

Invariant: PINS_USED covers every pin that is relied on.
"""

import collections
import mmap
import os
import threading
import time

from ..formats import lane as layout
from ..limits import LANE_PINS_MAX


class Part(mmap.mmap):
    """A read-only map of a part of a shared file that can be referred to weakly, in every version of Python.

    `pin` is what protects it.
    """

    pin = None


def map_part(fd, start, stop):
    """A shared file up to `stop`, from `start` or a little before it: maps begin at multiples of some KiB.

    Raises OSError where there is no descriptor or no address space for it.
    """
    begin = start - start % mmap.ALLOCATIONGRANULARITY
    return Part(fd, stop - begin, mmap.MAP_SHARED, mmap.PROT_READ, offset=begin)


class Pins(object):
    """The pins of one lane; `words` is its map."""

    def __init__(self, words):
        self._words = words
        self._pid = os.getpid()
        self._free = collections.deque()
        self._leaving = collections.deque()  # (until_ms, place)
        self._lock = threading.RLock()
        self._used = 0

    def take(self, what):
        """Make a pin; its place, or -1 where there is none left, or they are the parent's."""
        if self._pid != os.getpid():
            return -1
        if self._leaving:
            self._free_left()
        place = -1
        try:
            place = self._place()
            if place >= 0:
                at = layout.PINS_WORD + layout.PIN_WORDS * place
                self._words[at + 1] = int(time.monotonic() * 1000)
                self._words[at] = what
            return place
        except BaseException:
            self.free(place)
            raise

    def _place(self):
        try:
            return self._free.pop()
        except IndexError:
            with self._lock:
                if self._used >= LANE_PINS_MAX:
                    return -1
                self._used += 1
                self._words[layout.PINS_USED] = self._used
                return self._used - 1

    def _free_left(self):
        while self._leaving:
            # Taken out before it is looked at: of two threads that see one that is over, one would end the next too.
            try:
                until_ms, place = self._leaving.popleft()
            except IndexError:
                return
            if until_ms >= time.monotonic() * 1000:
                self._leaving.appendleft((until_ms, place))
                return
            self.free(place)

    def leave(self, place, until_ms):
        """Let a pin of a large value be one that leaves: void from `until_ms` on; for finalizers."""
        if self._pid == os.getpid():
            at = layout.PINS_WORD + layout.PIN_WORDS * place
            self._words[at + 1] = until_ms
            self._words[at] |= layout.PIN_LEAVING
            self._leaving.append((until_ms, place))

    def free(self, place):
        """End a pin; for finalizers."""
        if place >= 0 and self._pid == os.getpid():
            self._words[layout.PINS_WORD + layout.PIN_WORDS * place] = 0
            self._free.append(place)

    def count(self):
        """How many there are."""
        return self._used - len(self._free)


class Pin(object):
    """A pin that ends with this object, in whatever way that is let go of.  `made`: there was a place for it."""

    __slots__ = ("_pins", "_place")

    def __init__(self, pins, what):
        self._place, self._pins = -1, pins
        if pins is not None:
            self._place = pins.take(what)

    @property
    def made(self):
        return self._place >= 0

    def end(self):
        """Let what it protects go; can be repeated."""
        place, self._place = getattr(self, "_place", -1), -1  # none: interrupted in __init__
        if place >= 0:
            self._let_go(place)

    def _let_go(self, place):
        self._pins.free(place)

    def __del__(self):
        self.end()

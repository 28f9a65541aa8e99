"""What this process keeps in use: the pins in its lane (formats/lane), and the maps that they belong to.

A pin is made before what it protects is looked at the last time, and ended by a finalizer of the map, when the last
memoryview or array on it is gone: one store, without lock or message, because a finalizer may run in the middle of any
call.  After fork() the pins are the parent's, and a finalizer in the child leaves them alone.

Invariants
 1. While a map made here lives, its pin is in the lane.
 2. PINS_USED covers every pin that is relied on.
"""

import collections
import mmap
import os
import threading
import time
import weakref

from ..formats import lane as layout
from ..formats.slots import OFFSET_MASK
from ..limits import LANE_PINS_MAX


class Part(mmap.mmap):
    """A map that can be referred to weakly, in every version of Python."""


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
        """Make a pin; its place, or -1 where there is none left."""
        while self._leaving and self._leaving[0][0] < time.monotonic() * 1000:
            self.free(self._leaving.popleft()[1])
        try:
            place = self._free.pop()
        except IndexError:
            with self._lock:
                if self._used >= LANE_PINS_MAX:
                    return -1
                place = self._used
                self._used += 1
                self._words[layout.PINS_USED] = self._used
        at = layout.PINS_WORD + layout.PIN_WORDS * place
        self._words[at + 1] = int(time.monotonic() * 1000)
        self._words[at] = what
        return place

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


class Maps(object):
    """Maps of segments and of large values of one attachment, each made once while anybody uses it."""

    def __init__(self, attachment, arena_fd):
        self._attachment = attachment
        self._arena_fd = arena_fd
        self.close = weakref.finalize(self, os.close, arena_fd)  # what is mapped stays mapped
        self._parts = weakref.WeakValueDictionary()  # a segment's slot word without offset, or a large number -> Part
        self._declared = False
        self.pins = None if attachment.lane is None else Pins(attachment.lane.words)

    # -- segments -----------------------------------------------------------------------------------------------------

    def view(self, found):
        """A memoryview of the value of a record that reader.locate() found; None where it must be copied.

        Raises KeyError where the record has changed meanwhile: look it up again.
        """
        attachment = self._attachment
        start, length = found.value
        layout_ = attachment.reader.layout
        shift = layout_.segment_size_bytes.bit_length() - 1
        offset = (found.word & OFFSET_MASK) << 3
        first = layout_.heap_offset_bytes + ((offset - layout_.heap_offset_bytes) >> shift << shift)
        stop = first + ((start + length - first - 1 >> shift) + 1 << shift)
        begin = first - first % mmap.ALLOCATIONGRANULARITY
        name = (first, found.word & layout.PIN_VALUE_MASK & ~OFFSET_MASK, stop)
        part = self._parts.get(name)
        if part is None:
            part = self._pinned_part(name, found, begin, stop - begin)
            if part is None:
                return None
        return memoryview(part)[start - begin:start - begin + length]

    def _pinned_part(self, name, found, begin, length):
        if self.pins is None or self._attachment.lost:
            return None  # without a session there is nobody who would heed a pin
        self._declare()
        place = self.pins.take(layout.PIN_HEAP | found.word & layout.PIN_VALUE_MASK)
        if place < 0:
            return None
        try:
            words = self._attachment.reader.words
            if words[found.slot] != found.word or words[found.word & OFFSET_MASK] != found.stamp:
                raise KeyError("the record has changed")
            part = Part(self._arena_fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=begin)
        except BaseException as error:
            self.pins.free(place)
            if isinstance(error, OSError):
                return None  # no descriptor or address space left: the value is copied instead
            raise
        weakref.finalize(part, self.pins.free, place).atexit = False
        self._parts[name] = part
        return part

    def _declare(self):
        """Say once that this client pins segments; from then on the coordinator looks at pins before it uses them."""
        if not self._declared:
            self._attachment.command(b"NOSQGRID.PIN")
            self._declared = True

    # -- large values -------------------------------------------------------------------------------------------------

    def large(self, number, size_bytes):
        """A memoryview of a large value, mapped now if it is not yet; None where it is gone.

        Raises CoordinatorLostError where it would have to be asked for.
        """
        part = self._parts.get(number)
        if part is None:
            place = self.hold(number)
            try:
                part = self._attachment.open_large(number, size_bytes, Part)
            except BaseException:
                self.let_go(place)
                raise
            if part is None:
                self.let_go(place)
                return None
            if place >= 0:
                weakref.finalize(part, self.pins.free, place).atexit = False
            self._parts[number] = part
        return memoryview(part)

    def hold(self, number):
        """Pin a large value, before it is asked for; the pin's place, or -1 for none: then it is not accounted for."""
        return -1 if self.pins is None else self.pins.take(layout.PIN_LARGE | number)

    def let_go(self, place):
        """End what hold() made."""
        if place >= 0:
            self.pins.free(place)

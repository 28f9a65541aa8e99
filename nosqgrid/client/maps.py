"""Maps of what this process uses in place: segments with a record that it views, and large values.

Each is made once while anybody uses it, and has its pin: made before what it protects is looked at the last time, and
ended when the map is gone, which is when the last memoryview or array on it is.

Invariant: while a map made here lives, its pin is in the lane, and the coordinator heeds it.
"""

import os
import threading
import weakref

from ..errors import CoordinatorError
from ..formats import lane as layout
from ..formats.records import LARGE_VALUE
from ..formats.slots import OFFSET_MASK
from ..memory.large import map_of_process
from ..memory.pins import Part, Pin, Pins, map_part
from .fastget import Retired


class Maps(object):
    """Maps of segments and of large values of one attachment, each made once while anybody uses it."""

    def __init__(self, attachment, arena_fd):
        self._attachment = attachment
        self._arena_fd = arena_fd
        self._lock = threading.RLock()  # nobody maps a descriptor that another thread closes; nothing is asked under it
        self._close = weakref.finalize(self, os.close, arena_fd)
        self._parts = weakref.WeakValueDictionary()  # a segment's slot word without offset, or a large number -> Part
        self._declared = False
        self.pins = None if attachment.lane is None else Pins(attachment.lane.words)

    def close(self):
        """Make no more maps; what is mapped stays mapped."""
        with self._lock:
            self._close()

    def close_after_fork(self):
        """The same in a forked child, where a thread that is not there may hold the lock for ever."""
        self._close()

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
        name = (first, found.word & layout.PIN_VALUE_MASK & ~OFFSET_MASK, stop)
        part = self._parts.get(name)
        if part is None:
            part = self._pinned_part(name, found, first, stop)
            if part is None:
                return None
        at = start - first + len(part) - (stop - first)
        return memoryview(part)[at:at + length]

    def _pinned_part(self, name, found, start, stop):
        pins = self.pins
        if pins is None or not self._declared_to_all():
            return None
        with self._lock:
            if not self._close.alive:
                return None
            pin = Pin(pins, layout.PIN_HEAP | found.word & layout.PIN_VALUE_MASK)
            if not pin.made:
                return None
            words = self._attachment.reader.words
            if words[found.slot] != found.word or words[found.word & OFFSET_MASK] != found.stamp:
                raise KeyError("the record has changed")
            try:
                part = map_part(self._arena_fd, start, stop)
            except OSError:
                return None  # no descriptor or address space left: the value is copied instead
            part.pin = pin
        self._parts[name] = part
        return part

    def _declared_to_all(self):
        """Say once that this client pins segments; from then on the coordinator looks at pins before it uses them.

        False where there is no coordinator who would heed a pin.
        """
        if self._attachment.lost:
            return False
        if not self._declared:
            try:
                self._attachment.command(b"NOSQGRID.PIN")
            except CoordinatorError:
                return False
            self._declared = True
        return True

    # -- large values -------------------------------------------------------------------------------------------------

    def large_of(self, found):
        """A memoryview of the large value of a record that a reader found; as large(), but asks only where it must."""
        place = LARGE_VALUE.unpack(found.value)
        return self.large(place[0], place[1], lambda: self._opened(place, found))

    def _opened(self, place, found):
        attachment = self._attachment
        reader = attachment.reader
        if not attachment.usable():
            return None  # a pin would be heeded by nobody

        def is_current():
            try:
                words = reader.words
                return words[found.slot] == found.word and words[found.word & OFFSET_MASK] == found.stamp
            except (Retired, TypeError):
                return False  # another thread has closed the grid, or attached anew

        return map_of_process(attachment.coordinator_pid, place, is_current, Part)

    def large(self, number, size_bytes, opened=lambda: None):
        """A memoryview of a large value, mapped now if it is not yet; None where it is gone.

        opened() gives the map, or None where it has to be asked for.  Raises CoordinatorLostError where that is so, and
        there is nobody to ask.
        """
        part = self._parts.get(number)
        if part is None:
            pin = self.hold(number)
            try:
                part = opened()
                if part is None:
                    part = self._attachment.open_large(number, size_bytes, Part)
            except BaseException:
                pin.end()  # the exception keeps this frame for as long as it is kept
                raise
            if part is None:
                return None
            part.pin = pin
            self._parts[number] = part
        return memoryview(part)

    def hold(self, number, kind=Pin):
        """Pin a large value, before it is asked for.  Where the pin was not made the value is not accounted for."""
        return kind(self.pins, layout.PIN_LARGE | number)

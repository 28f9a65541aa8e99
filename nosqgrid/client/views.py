"""Values used in place: grid.view(key).

    with grid.view("model") as buffer:          # a read-only memoryview
        digest = hashlib.sha256(buffer)

The bytes are those of the arena, or of the file that a large value has for itself; they do not change and are not used
again while the view, or any memoryview, slice or array made from it, is alive, whatever becomes of the key.  Everything
is given back when the last of them is gone, at the latest with the process.

The bytes are those of the payload (formats/values): of a str its UTF-8, of an int its digits.  Of an array (numpy's,
array.array, a memoryview) it is the data alone, in the format and shape of its elements where a memoryview can have
them, else as bytes.

Small values, and those of a process that has used up its pins or descriptors, are copied: that costs less than a map,
and keeps the same promises.
"""

from ..errors import ClosedError, CoordinatorError, CorruptValueError, PeerError
from ..formats import arrays, buffers, values
from ..formats.records import COPIES_BITS
from ..limits import VIEW_BYTES_MIN
from .fastget import Retired

TRIES = 100
_DATA = {values.ARRAY: arrays.view, values.BUFFER: buffers.view_typed}


class View(object):
    """A value in use; a context manager whose `with` gives the memoryview.

    Attributes: `type`, of the value (formats/values); `version`.
    After release() `memoryview` raises ClosedError, and so does, by a ValueError of Python's, what it gave before.
    Slices and arrays that were made from it stay valid until they are gone themselves.
    """

    def __init__(self, buffer, value_type, version):
        self._buffer = buffer
        self.type = value_type
        self.version = version

    @property
    def memoryview(self):
        """The value's bytes, or elements, read-only."""
        if self._buffer is None:
            raise ClosedError("this view was released")
        return self._buffer

    def __len__(self):
        """The size in bytes."""
        return self.memoryview.nbytes

    def release(self):
        """Give it back; can be repeated."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            try:
                buffer.release()
            except BufferError:
                return  # an array is made of it, and keeps it until it is gone

    def __enter__(self):
        return self.memoryview

    def __exit__(self, kind, value, traceback):
        self.release()

    def __repr__(self):
        return "<nosqgrid view, %s>" % ("released" if self._buffer is None else "%d bytes" % len(self))


def view(store, raw_key, key):
    """See Grid.view."""
    for _ in range(TRIES):
        _attach(store)
        attachment, found = store.locate(raw_key, with_value=False)
        if found is None:
            raise KeyError(key)
        if found.large:
            buffer = store.large(attachment, found)
        else:
            buffer = _in_heap(store, attachment, raw_key, found)
        if buffer is not None:
            return View(_data(buffer, found.type, key), found.type, found.stamp >> COPIES_BITS)
    raise PeerError("the value of %r changes faster than it can be looked at" % (key,))


def _data(buffer, value_type, key):
    """What a view gives of a payload; the memoryviews in between go with it."""
    data_of = _DATA.get(value_type)
    try:
        return buffer if data_of is None else data_of(buffer)
    except ValueError as error:
        raise CorruptValueError("the value of %r is no %s: %s" % (key, values.NAMES[value_type], error)) from error


def _attach(store):
    """Have an attachment of this process's own; where no coordinator is there the last one has to do."""
    try:
        store.live()
    except CoordinatorError:
        store.check_open()


def _in_heap(store, attachment, raw_key, found):
    """A memoryview in place, or of a copy; None where the record has changed: then it is looked up again."""
    if found.value[1] >= VIEW_BYTES_MIN:
        try:
            buffer = attachment.maps.view(found)
        except (KeyError, Retired):  # Retired: another thread has closed the grid, or attached anew
            return None
        if buffer is not None:
            return buffer
    copier, copy = store.locate(raw_key)
    if copy is None or copier is not attachment or copy.stamp >> COPIES_BITS != found.stamp >> COPIES_BITS:
        return None
    return memoryview(copy.value)

"""Large values from the side of who stores them: a file is filled here, sealed, and handed to the coordinator.

    ALLOCATE: the memory is charged, the value gets a number -> fill -> seal -> ADOPT with the descriptor

Nothing passes through the coordinator but the descriptor.  Where this way is barred (no descriptor left, no room for
another file, a system without shared memory files) NotHandedOver says so, and the value may go over the socket.

A kill at any line leaves nothing: what was charged is given back with the session, and the file has no name.
"""

import contextlib
import importlib
import os
import stat

from ..errors import CommandError, CoordinatorError, GridFullError, NosqgridError, UsageError
from ..formats import arrays, values
from ..memory.large import NewFile

ALWAYS = (b"-", 0)  # mode and version of NOSQGRID.SET


class NotHandedOver(Exception):
    """`error` is why."""

    def __init__(self, error):
        super().__init__(str(error))
        self.error = error


def store(attachment, parts, size_bytes, raw_key, value_type, deadline_ms, condition):
    """Set a key to a large value; the version, or None where the condition did not hold."""
    with _new_value(attachment, size_bytes, 0) as (file, number):
        _fill(lambda: file.write(parts))
        return hand_over(attachment, file, b"NOSQGRID.ADOPT", number, raw_key, value_type, deadline_ms, *condition)


def from_file(attachment, path, raw_key, deadline_ms):
    """Set a key to the content of a file, which does not pass through this process; the version.

    Raises OSError for the file; UsageError for what is none, or does not say how large it is; NotHandedOver,
    ValueTooLargeError.
    """
    with open(path, "rb", opener=_without_waiting) as source:
        status = os.fstat(source.fileno())
        size_bytes = status.st_size
        if not stat.S_ISREG(status.st_mode) or not size_bytes and source.read(1):
            raise UsageError("%s is not a file with a size; read it, and set() what it gives" % path)
        if not size_bytes:
            return attachment.command(b"NOSQGRID.SET", raw_key, b"", values.BYTES, deadline_ms, *ALWAYS)
        with _new_value(attachment, size_bytes, 0) as (file, number):
            copied = _fill(lambda: file.copy_from(source.fileno(), 0, size_bytes))
            if copied != size_bytes:
                raise UsageError("%s became shorter while it was read: %d of %d bytes" % (path, copied, size_bytes))
            return hand_over(attachment, file, b"NOSQGRID.ADOPT", number, raw_key, values.BYTES, deadline_ms, *ALWAYS)


def _without_waiting(path, flags):
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would wait for somebody who writes


def share(attachment, parts, size_bytes, kind):
    """Hand over a value that is no key's; (attachment, number, the pin that holds it, a `kind` of memory/pins.Pin)."""
    with _new_value(attachment, size_bytes, 1) as (file, number):
        _fill(lambda: file.write(parts))
        pin = attachment.maps.hold(number, kind)
        if not pin.made:
            raise UsageError("this process holds as many references, views and large values as it may; drop some")
        try:
            hand_over(attachment, file, b"NOSQGRID.SHARE", number)
        except BaseException:
            pin.end()  # the exception keeps this frame for as long as it is kept
            raise
        return attachment, number, pin


def hand_over(attachment, file, *command):
    """Seal a file and send it with a command; the reply.  Raises NotHandedOver where the coordinator cannot have it."""
    fd = file.seal()
    try:
        return attachment.with_descriptor(fd, *command)
    except CommandError as error:
        raise NotHandedOver(error) from error


class _Allocation(object):
    """A number that was allocated for a value, to be handed over (done()) or given back.  Raises GridFullError.

    Where it is forgotten it is given back with the next one; where it is interrupted, so that nobody knows whether
    there is one, with its session, unless that has others under way: then it stays until the session ends.
    """

    number = None

    def __init__(self, attachment, size_bytes, shared):
        self._attachment = attachment
        attachment.filling.add(self)
        for number in list(attachment.forgotten):
            attachment.command(b"NOSQGRID.ABANDON_VALUE", number)
            attachment.forgotten.discard(number)
        try:
            self.number = attachment.command(b"NOSQGRID.ALLOCATE", size_bytes, shared)
        except Exception:
            raise
        except BaseException:
            if len(attachment.filling) < 2:
                attachment.end()
            raise

    def done(self):
        """It was handed over."""
        self.number = None

    def abandon(self):
        """Give it back, unless that was done or it was handed over; can be repeated."""
        if self.number is not None:
            with contextlib.suppress(NosqgridError):  # a session that is over has given it back
                self._attachment.command(b"NOSQGRID.ABANDON_VALUE", self.number)
            self.number = None

    def __del__(self):
        if self.number is not None:
            self._attachment.forgotten.add(self.number)  # this may run in the middle of any call: nothing is sent


@contextlib.contextmanager
def _new_value(attachment, size_bytes, shared):
    """(file, number) of a value to fill and hand over within the block."""
    try:
        allocation = _Allocation(attachment, size_bytes, shared)
    except GridFullError as error:
        raise NotHandedOver(error) from error
    file = None
    try:
        try:
            file = NewFile(size_bytes)
        except (OSError, GridFullError, CoordinatorError) as error:
            raise NotHandedOver(error) from error
        yield file, allocation.number
        allocation.done()
    finally:
        if file is not None:
            file.close()
        allocation.abandon()


def _fill(function):
    try:
        return function()
    except GridFullError as error:
        raise NotHandedOver(error) from error


class Creation(object):
    """A value being made in place: write into `buffer`, then seal() it, and it is there for everybody.

    Used in a `with`, it is sealed at the end of the block, or discarded where an exception leaves it.

    Attributes:
        buffer: a writable memoryview of `nbytes` bytes, zeros to begin with.
        array: the same as a numpy array, where it was created with a dtype.
    Before seal() nobody sees it, and with its process it is gone; where it is forgotten its memory is, and what was
    charged for it is given back with the next value of this process that has a file.
    Arrays and views made of the buffer have to be gone before seal(): the kernel refuses to make a file unchangeable
    that somebody could still write.
    """

    def __init__(self, store_, raw_key, nbytes, deadline_ms=0, value_type=values.BYTES, head=b"", array_of=None):
        self._raw_key, self._deadline_ms = raw_key, deadline_ms
        self._type = value_type
        self._size = len(head) + nbytes
        self._attachment = attachment = store_.live()
        self._array_of = array_of
        self._file = self._map = self.buffer = None
        self._allocation = _Allocation(attachment, self._size, 0)
        try:
            self._file = NewFile(self._size)
            self._map = self._file.map()
            self._map[:len(head)] = head
            self.buffer = memoryview(self._map)[len(head):]
        except BaseException:
            self.discard()
            raise

    @property
    def array(self):
        """The buffer as a numpy array, a new one each time."""
        if self._array_of is None:
            raise UsageError("this value was created without a dtype; use numpy.frombuffer(creation.buffer, dtype)")
        return self._array_of(self.buffer)

    def __len__(self):
        return len(self.buffer)

    def seal(self):
        """Make it unchangeable and set the key to it; the version.  Nothing can be written from here on.

        Raises UsageError where an array or a view of the buffer is left; drop it (del) and call again.
        """
        if self._file is None:
            raise UsageError("this value was sealed or discarded already")
        self._unmap()
        try:
            version = hand_over(self._attachment, self._file, b"NOSQGRID.ADOPT", self._allocation.number,
                                self._raw_key, self._type, self._deadline_ms, *ALWAYS)
            self._allocation.done()
            return version
        except NotHandedOver as error:
            raise error.error
        finally:
            self.discard()

    def _unmap(self):
        if self._map is None:
            return
        try:
            self.buffer.release()
            self._map.close()
        except BufferError:
            raise UsageError("an array or a view of the buffer is still there, through which the value could be "
                             "changed: drop it (del) before seal()") from None
        self._map = None

    def discard(self):
        """Forget it; nothing was stored.  Can be repeated."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._allocation.abandon()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.seal()
        else:
            self.discard()

    def __repr__(self):
        return "<nosqgrid value of %d bytes, %s>" % (self._size, "done" if self._file is None else "being made")


def new_array(store_, raw_key, deadline_ms, dtype, shape, order):
    """A Creation of a numpy array."""
    numpy = importlib.import_module("numpy")
    dtype = numpy.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    head, nbytes = arrays.head(dtype, shape, order, numpy)
    if not nbytes:
        raise UsageError("an array without elements has nothing to fill: set() it")
    return Creation(store_, raw_key, nbytes, deadline_ms, values.ARRAY, head,
                    lambda buffer: numpy.frombuffer(buffer, dtype).reshape(shape, order=order))

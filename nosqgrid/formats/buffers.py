"""Raw memory with a description in front: the payload of arrays and of typed buffers (types ARRAY and BUFFER).

    offset  size
    0       1     version of this layout: 1
    1       1     kind: C or F, a numpy array in that order (formats/arrays); A, an array.array; M, a memoryview
    2       2     zeros
    4       4     length of the description
    8       8     length of the data
    16            the description: JSON text in ASCII, then zeros up to a multiple of 64
                  the data, to the end

The description of a typed buffer is {"format": "<d", "size": 8, "shape": [3]}: the byte order of the machine that wrote
it, the letter of the struct module, the bytes of one element, and how many there are in each dimension.

Invariants
 1. Packing copies no data: it gives parts, which become one payload where they are written.  The data begins at a
    multiple of 64, so that it is aligned for every element type if the payload is.
 2. Nothing of the data is looked at when it is read back, and nothing of it is used before the description, the shape
    and the lengths have been found to agree: reading is O(length of the description), whatever the bytes.
 3. What refers to a payload is read-only, and stays so: it is made over a read-only buffer.

Functions that read raise ValueError for bytes that were never written, as those of formats/scalars do.
"""

import array
import json
import struct
import sys

from .. import errors, limits
from . import json_text

HEADER = struct.Struct("<BBHIQ")
VERSION = 1
ALIGNMENT_BYTES = 64
DIMENSIONS_MAX = 64  # of a memoryview, and of an array since numpy 2
C_ORDER, F_ORDER, ARRAY_MODULE, MEMORYVIEW = map(ord, "CFAM")

_TYPECODES = frozenset("bBhHiIlLqQfd")  # of array.array but for u and w, which are text
_FORMATS = _TYPECODES | frozenset("nN?c")  # what memoryview.cast takes everywhere, but for P: a pointer is no data
_BYTE_ORDERS = {"little": "<", "big": ">"}
_json_text = json.JSONEncoder(separators=(",", ":")).encode
_scan = json_text.make_scan()


# -- any description --------------------------------------------------------------------------------------------------


def pack(kind, description, data):
    """[head, data]: the parts of a payload; data is bytes-like, of format B."""
    return [head(kind, description, len(data)), data]


def head(kind, description, size_bytes):
    """What stands before `size_bytes` of data."""
    text = _json_text(description).encode("ascii")
    if len(text) > limits.BUFFER_DESCRIPTION_BYTES_MAX:
        raise ValueError("its description takes %d bytes, more than %d"
                         % (len(text), limits.BUFFER_DESCRIPTION_BYTES_MAX))
    found = HEADER.pack(VERSION, kind, 0, len(text), size_bytes) + text
    return found + bytes(-len(found) % ALIGNMENT_BYTES)


def unpack(payload, kinds):
    """(kind, description, data) of a payload of one of these kinds; data is a read-only memoryview of its bytes."""
    view = read_only(payload)
    if len(view) < HEADER.size:
        raise ValueError("shorter than a header")
    version, kind, zeros, text_length, data_length = HEADER.unpack_from(view)
    if version != VERSION or kind not in kinds or zeros:
        raise ValueError("version %d and kind %d are unknown here; was it written by a newer nosqgrid?"
                         % (version, kind))
    if text_length > limits.BUFFER_DESCRIPTION_BYTES_MAX:
        raise ValueError("a description of %d bytes" % text_length)
    text_end = HEADER.size + text_length
    start = text_end + -text_end % ALIGNMENT_BYTES
    if start + data_length != len(view):
        raise ValueError("%d bytes of data are announced behind offset %d" % (data_length, start))
    if any(view[text_end:start]):
        raise ValueError("something stands between the description and the data")
    try:
        description = _scan(bytes(view[HEADER.size:text_end]))
    except (StopIteration, RecursionError) as error:
        raise ValueError("the description is not JSON") from error
    if type(description) is not dict:
        raise ValueError("the description is not an object")
    return kind, description, view[start:]


def read_only(payload):
    """A memoryview of bytes, or of a memoryview of bytes, through which nothing can be written.

    A writable memoryview costs a copy before Python 3.8, which cannot make a read-only one of it.
    """
    view = memoryview(payload)
    if view.readonly:
        return view
    return view.toreadonly() if hasattr(view, "toreadonly") else memoryview(bytes(view))


def checked_shape(shape, item_size_bytes, data):
    """The shape as a tuple, if so many elements of such a size are exactly the data."""
    if type(shape) is not list or len(shape) > DIMENSIONS_MAX:
        raise ValueError("the shape is not a list of at most %d lengths" % DIMENSIONS_MAX)
    size_bytes, empty = item_size_bytes, False
    for length in shape:
        if type(length) is not int or length < 0:
            raise ValueError("a length in the shape is not a natural number")
        if length:
            size_bytes *= length
        else:
            empty = True
        if size_bytes > sys.maxsize:  # without the empty ones, as numpy counts; also keeps the product short
            raise ValueError("the shape is larger than any memory")
    if len(data) != (0 if empty else size_bytes):
        raise ValueError("the shape does not fit to %d bytes of data" % len(data))
    return tuple(shape)


def shaped(data, letter, shape):
    """A memoryview of data with this format and shape, zero-copy; both have been checked against the data.

    Raises UnsupportedTypeError for several dimensions one of which is empty: no memoryview can be cast to that.
    """
    if len(data):
        return data.cast(letter) if len(shape) == 1 else data.cast(letter, shape)
    if len(shape) != 1:
        raise errors.UnsupportedTypeError("a memoryview cannot have the shape %r; use view() for the bytes" % (shape,))
    return memoryview(bytes(struct.calcsize(letter))).cast(letter)[:0]


# -- array.array and memoryview ---------------------------------------------------------------------------------------


def pack_array(value):
    """The parts of an array.array."""
    if value.typecode not in _TYPECODES:
        raise errors.UnsupportedTypeError("cannot store an array.array of text (typecode %r); store value.tounicode()"
                                          % value.typecode)
    data = memoryview(value).cast("B") if value else b""  # what is empty cannot be cast
    return _pack_typed(ARRAY_MODULE, value.typecode, [len(value)], data)


def pack_view(value):
    """The parts of a memoryview that is contiguous; ValueError if it was released."""
    if value.format not in _FORMATS:
        raise errors.UnsupportedTypeError("cannot store a memoryview of format %r; store value.tobytes(), or"
                                          " numpy.asarray(value)" % value.format)
    if value.nbytes == 0 and value.ndim != 1:
        raise errors.UnsupportedTypeError("cannot store a memoryview of shape %r; store numpy.asarray(value)"
                                          % (value.shape,))
    return _pack_typed(MEMORYVIEW, value.format, list(value.shape), value.cast("B") if value.nbytes else b"")


def _pack_typed(kind, letter, shape, data):
    description = {"format": _BYTE_ORDERS[sys.byteorder] + letter, "size": struct.calcsize(letter), "shape": shape}
    return pack(kind, description, data)


def unpack_typed(payload):
    """The array.array (a copy) or memoryview (zero-copy, read-only) of a payload.

    Raises ValueError, and UnsupportedTypeError where this machine has other sizes or another byte order.
    """
    kind, text, size_bytes, shape, data = _read_typed(payload)
    if not _is_native(text, size_bytes):
        raise errors.UnsupportedTypeError("stored is a buffer of format %s with %d bytes an element, which this machine"
                                          " does not have; use view() for the bytes" % (text, size_bytes))
    if kind == MEMORYVIEW:
        return shaped(data, text[1:], shape)
    made = array.array(text[1:])
    made.frombytes(data)
    return made


def view_typed(payload):
    """A read-only memoryview of the elements of a payload, or of their bytes where this machine has no such elements.

    Raises ValueError.
    """
    _, text, size_bytes, shape, data = _read_typed(payload)
    return shaped(data, text[1:], shape) if _is_native(text, size_bytes) else data


def _read_typed(payload):
    """(kind, format, bytes of an element, shape, data), found to agree."""
    kind, description, data = unpack(payload, (ARRAY_MODULE, MEMORYVIEW))
    if sorted(description) != ["format", "shape", "size"]:
        raise ValueError("the description has other members than format, shape and size")
    text, size_bytes = description["format"], description["size"]
    if type(text) is not str or text[:1] not in ("<", ">") or type(size_bytes) is not int or not 1 <= size_bytes <= 8:
        raise ValueError("not a format and its size")
    if text[1:] not in (_TYPECODES if kind == ARRAY_MODULE else _FORMATS):
        raise ValueError("there is no format %.20r" % text[1:])
    shape = checked_shape(description["shape"], size_bytes, data)
    if kind == ARRAY_MODULE and len(shape) != 1 or not len(data) and len(shape) != 1:
        raise ValueError("a shape that it cannot have")
    return kind, text, size_bytes, shape, data


def _is_native(text, size_bytes):
    return struct.calcsize(text[1:]) == size_bytes and text[0] == _BYTE_ORDERS[sys.byteorder]

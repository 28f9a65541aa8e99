"""numpy arrays: the payload of type ARRAY, in the layout of formats/buffers.

The description is {"dtype": ..., "shape": [3, 4]}, and a dtype is one of

    "<f8"                                                       what numpy calls dtype.str
    {"fields": [["x", "<f8", 0], ["y", "<i4", 8]], "size": 12}  name, dtype and offset of each field, bytes in all;
                                                                with "aligned": true as a C compiler lays it out
    {"base": "<f8", "shape": [2, 2]}                            a small array, as a field may be one

Invariants
 1. numpy is never imported in order to store: who has an array has imported it.  To read one it is imported; where it
    is not installed, what a memoryview can express comes back as one.
 2. A dtype comes back equal to what was stored or is refused: what numpy makes of the description is compared first.
 3. numpy is given no text but what the pattern below lets through, and no shape, offset or size but what has been found
    to lie inside of the payload.  There are no objects: nothing is a pointer.
 4. A decoded array lies on the payload, and as that is read-only, setflags(write=True) is refused by numpy.

The array object itself is not immutable (`a.shape = ...` changes it for all who have it), so that nobody is given
somebody else's.
"""

import importlib
import re
import sys

from .. import errors
from . import buffers

_NESTING_MAX = 32  # of dtypes
_ITEM_SIZE_BYTES_MAX = (1 << 31) - 1  # what numpy itself allows
_match_dtype = re.compile(
    r"[<>|](?:(b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32))"
    r"|([SUV])([1-9]\d{0,9})"
    r"|[mM](8)(?:\[(?:[1-9]\d{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?)").fullmatch
_LETTERS = {"b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
            "f4": "f", "f8": "d"}


# -- packing ----------------------------------------------------------------------------------------------------------


def numpy_of(kind):
    """The numpy that a type is the ndarray of; None for any other type, and where numpy was not imported."""
    numpy = sys.modules.get("numpy")
    return numpy if numpy is not None and kind is getattr(numpy, "ndarray", None) else None


def pack(value, numpy):
    """The parts of an array, whose data is the array's own memory.

    An array in C or Fortran order is stored in that order, without a copy; any other is copied into C order, once.

    Raises UnsupportedTypeError for a dtype that is not plain memory, or that would not come back equal.
    """
    dtype = value.dtype
    try:
        description = _checked_description(dtype, numpy)
        order, laid_out = _contiguous(value, numpy)
        # Many dtypes have no buffer that a memoryview understands, but each can be seen as bytes.
        data = memoryview(laid_out.reshape(-1).view(numpy.uint8)) if value.size else b""
        return buffers.pack(order, {"dtype": description, "shape": list(value.shape)}, data)
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.UnsupportedTypeError(
            "cannot store a numpy array of dtype %.200s: %s; store value.tolist(), or value.view() of a plain dtype"
            % (dtype, error)) from error


def head(dtype, shape, order, numpy):
    """(what stands before the data of an array, size of the data in bytes); order is "C" or "F".

    Raises UnsupportedTypeError, UsageError.
    """
    if order not in ("C", "F") or any(type(extent) is not int or extent < 0 for extent in shape):
        raise errors.UsageError("an array has a shape of ints and order C or F, not %r and %r" % (shape, order))
    size_bytes = dtype.itemsize
    for extent in shape:
        size_bytes *= extent
    try:
        description = {"dtype": _checked_description(dtype, numpy), "shape": list(shape)}
        return buffers.head(buffers.C_ORDER if order == "C" else buffers.F_ORDER, description, size_bytes), size_bytes
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.UnsupportedTypeError("cannot store a numpy array of dtype %.200s: %s" % (dtype, error)) from error


def _checked_description(dtype, numpy):
    """The description of a dtype; ValueError where what is made of it would be another one."""
    if dtype.hasobject:
        raise ValueError("its elements are Python objects, not memory")
    description = _describe(dtype)
    _item_size_bytes(description)
    made = _build(description, numpy)
    if made != dtype or dtype.kind == "V" and made.type is not dtype.type:
        raise ValueError("it is not one of numpy's own")
    return description


def _contiguous(value, numpy):
    """(order, an array in C order with the memory of the value, or with a copy of what it picks out of memory)."""
    if value.flags.c_contiguous:
        return buffers.C_ORDER, value
    if value.flags.f_contiguous:
        return buffers.F_ORDER, value.T
    copied = numpy.zeros(value.shape, value.dtype)  # copy() leaves in the padding of records what lay there before
    copied[...] = value
    return buffers.C_ORDER, copied


def _describe(dtype):
    """The JSON of a dtype; ValueError for one that has more to it than can be told."""
    if dtype.metadata:
        raise ValueError("it has metadata")
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": _describe(base), "shape": list(shape)}
    if dtype.names is None:
        return dtype.str
    fields = []
    for name in dtype.names:
        field = dtype.fields[name]
        if len(field) > 2:
            raise ValueError("its field %r has a title" % name)
        fields.append([name, _describe(field[0]), field[1]])
    described = {"fields": fields, "size": dtype.itemsize}
    if dtype.isalignedstruct:
        described["aligned"] = True
    return described


# -- checking ---------------------------------------------------------------------------------------------------------


def _item_size_bytes(description, depth=0):
    """Bytes of one element of a described dtype; ValueError unless every member of it is as _describe writes it."""
    if depth > _NESTING_MAX:
        raise ValueError("dtypes nested more than %d deep" % _NESTING_MAX)
    if type(description) is str:
        size_bytes = _scalar_size_bytes(description)
    elif type(description) is not dict:
        raise ValueError("a dtype is a text or an object")
    elif "base" in description:
        size_bytes = _subarray_size_bytes(description, depth)
    else:
        size_bytes = _fields_size_bytes(description, depth)
    if not 0 < size_bytes <= _ITEM_SIZE_BYTES_MAX:
        raise ValueError("an element of no bytes, or of 2 GiB or more")
    return size_bytes


def _scalar_size_bytes(text):
    match = _match_dtype(text)
    if match is None:
        raise ValueError("%.40r is not the dtype of plain memory" % text)
    plain, letter, length, _ = match.groups()
    if plain is not None:
        return int(plain[1:])
    if letter is not None:
        return int(length) * (4 if letter == "U" else 1)
    return 8


def _subarray_size_bytes(description, depth):
    shape = description.get("shape")
    if len(description) != 2 or type(shape) is not list or not 0 < len(shape) <= buffers.DIMENSIONS_MAX:
        raise ValueError("not the dtype of a small array")
    size_bytes = _item_size_bytes(description["base"], depth + 1)
    for length in shape:
        if type(length) is not int or not 0 < length <= _ITEM_SIZE_BYTES_MAX:
            raise ValueError("not the shape of a small array")
        size_bytes *= length
    return size_bytes


def _fields_size_bytes(description, depth):
    fields, size_bytes = description.get("fields"), description.get("size")
    if len(description) != 2 + (description.get("aligned") is True) or type(fields) is not list:
        raise ValueError("not the dtype of a record")
    if type(size_bytes) is not int:
        raise ValueError("not the size of a record")
    names, spans = set(), []
    for field in fields:
        if type(field) is not list or len(field) != 3:
            raise ValueError("not a field of a record")
        name, inner, offset = field
        if type(name) is not str or not name or type(offset) is not int or offset < 0:
            raise ValueError("not the name and the offset of a field")
        names.add(name)
        spans.append((offset, offset + _item_size_bytes(inner, depth + 1)))
    if len(names) != len(fields):
        raise ValueError("two fields of one name")
    end = 0
    for first, last in sorted(spans):
        if first < end:
            raise ValueError("fields that overlap")
        end = last
    if end > size_bytes:
        raise ValueError("a field behind the end of its record")
    return size_bytes


# -- unpacking --------------------------------------------------------------------------------------------------------


def unpack(payload):
    """The array of a payload: read-only, and on the payload's own memory.

    Raises ValueError for bytes that pack never wrote, and UnsupportedTypeError where numpy is missing or refuses.
    """
    order, dtype, item_size_bytes, shape, data = _read(payload)
    try:
        numpy = importlib.import_module("numpy")
    except ImportError as error:
        return _without_numpy(order, dtype, shape, data, error)
    try:
        made = _build(dtype, numpy)
        if made.itemsize == item_size_bytes and not made.hasobject:
            return _on(data, shape, made, "C" if order == buffers.C_ORDER else "F", numpy)
        reason = "it takes %d bytes for an element of %d" % (made.itemsize, item_size_bytes)
    except (ValueError, TypeError) as error:  # a long double of another machine, more dimensions than numpy 1 has
        reason = error
    raise errors.UnsupportedTypeError("stored is an array that this numpy cannot make (dtype %.200s, %d dimensions):"
                                      " %s; use view() for the bytes" % (dtype, len(shape), reason))


def view(payload):
    """A read-only memoryview of the elements of a payload, or of their bytes where it cannot have such elements.

    Raises ValueError.
    """
    order, dtype, _, shape, data = _read(payload)
    letter = _native_letter(dtype)
    if letter is None or order != buffers.C_ORDER or not len(data):
        return data
    return buffers.shaped(data, letter, shape)


def _read(payload):
    """(order, dtype as described, bytes of an element, shape, data), found to agree."""
    order, description, data = buffers.unpack(payload, (buffers.C_ORDER, buffers.F_ORDER))
    if sorted(description) != ["dtype", "shape"]:
        raise ValueError("the description has other members than dtype and shape")
    dtype = description["dtype"]
    item_size_bytes = _item_size_bytes(dtype)
    if type(dtype) is dict and "base" in dtype:
        raise ValueError("an array of small arrays has their dimensions as its own")
    return order, dtype, item_size_bytes, buffers.checked_shape(description["shape"], item_size_bytes, data), data


def _on(data, shape, dtype, order, numpy):
    """The array on these bytes.

    Not by ndarray(buffer=data): numpy would refer to what is below the memoryview instead, such as a map, which could
    be closed under the array, or a bytearray, which would make the array writable.
    """
    if len(data):
        return numpy.frombuffer(data, dtype).reshape(shape, order=order)
    return numpy.ndarray(shape, dtype, b"", order=order)  # frombuffer takes no empty buffer


def _build(description, numpy):
    """The dtype of a description that _item_size_bytes has let through."""
    if type(description) is str:
        return numpy.dtype(description)
    if "base" in description:
        return numpy.dtype((_build(description["base"], numpy), tuple(description["shape"])))
    fields = description["fields"]
    return numpy.dtype({"names": [name for name, _, _ in fields],
                        "formats": [_build(inner, numpy) for _, inner, _ in fields],
                        "offsets": [offset for _, _, offset in fields],
                        "itemsize": description["size"]}, align="aligned" in description)


def _without_numpy(order, dtype, shape, data, error):
    """A memoryview of the same elements, where one can have them."""
    letter = _native_letter(dtype)
    if letter is None or order != buffers.C_ORDER:
        raise errors.UnsupportedTypeError(
            "stored is a numpy array of dtype %.200s and shape %r: install numpy (pip install numpy) to get it, or use"
            " view() for the bytes (%s)" % (dtype, shape, error)) from error
    return buffers.shaped(data, letter, shape)


def _native_letter(dtype):
    """The format of a memoryview for such elements, or None."""
    letter = _LETTERS.get(dtype[1:]) if type(dtype) is str else None
    native = letter is not None and (dtype[0] == "|" or (dtype[0] == "<") == (sys.byteorder == "little"))
    return letter if native else None

"""The other compact forms of collections in Redis' dumps: intsets, and ziplists and zipmaps of older versions.

An intset is sorted numbers of one size, little-endian; ziplists and zipmaps are only read.  Elements are bytes, a
number's its text; what is none of these raises CorruptValueError.
"""

import struct

from ..errors import CorruptValueError

_INTSET = struct.Struct("<II")  # bytes of a number, how many
_NUMBERS = {2: "h", 4: "i", 8: "q"}

_ZIPLIST = struct.Struct("<IIH")  # size of all, where the last element begins, how many elements
_LONG_LENGTH = 254
_END = 255
_ZIPLIST_INTEGERS = {0xc0: 2, 0xd0: 4, 0xe0: 8, 0xf0: 3, 0xfe: 1}  # kind -> bytes
_MANY = 0xffff


def pack_intset(numbers):
    """The intset of sorted, different numbers of 64 bits."""
    size = 2 if -1 << 15 <= numbers[0] and numbers[-1] < 1 << 15 else 4
    if not -1 << 31 <= numbers[0] or numbers[-1] >= 1 << 31:
        size = 8
    return _INTSET.pack(size, len(numbers)) + struct.pack("<%d%s" % (len(numbers), _NUMBERS[size]), *numbers)


def unpack_intset(data):
    """The elements of an intset."""
    if len(data) < _INTSET.size:
        raise CorruptValueError("an intset of %d bytes" % len(data))
    size, count = _INTSET.unpack_from(data, 0)
    if size not in _NUMBERS or len(data) != _INTSET.size + size * count:
        raise CorruptValueError("an intset of %d bytes for %d numbers of %d" % (len(data), count, size))
    numbers = struct.unpack_from("<%d%s" % (count, _NUMBERS[size]), data, _INTSET.size)
    if any(one >= other for one, other in zip(numbers, numbers[1:])):
        raise CorruptValueError("an intset whose numbers are not sorted")
    return [b"%d" % number for number in numbers]


def unpack_ziplist(data):
    """The elements of a ziplist."""
    if len(data) < _ZIPLIST.size + 1 or data[-1] != _END:
        raise CorruptValueError("a ziplist of %d bytes" % len(data))
    total, tail, count = _ZIPLIST.unpack_from(data, 0)
    found, position, end, before = [], _ZIPLIST.size, len(data) - 1, 0
    last = position
    while position < end:
        last = position
        length_before, start = _ziplist_length_before(data, position, end)
        if length_before != before:
            raise CorruptValueError("a ziplist whose element says that %d bytes come before, not %d"
                                    % (length_before, before))
        start, stop, element = _ziplist_element(data, start, end)
        found.append(data[start:stop] if element is None else element)
        before, position = stop - position, stop
    if total != len(data) or tail != last or count not in (_MANY, len(found)):
        raise CorruptValueError("a ziplist with %d elements in %d bytes that says %d in %d"
                                % (len(found), len(data), count, total))
    return found


def _ziplist_length_before(data, position, end):
    if data[position] < _LONG_LENGTH:
        return data[position], position + 1
    if position + 5 > end:
        raise CorruptValueError("a ziplist that ends within an element")
    return int.from_bytes(data[position + 1:position + 5], "little"), position + 5


def _ziplist_element(data, position, end):
    """(where its bytes begin, where they end, the text of a number or None)."""
    if position >= end:
        raise CorruptValueError("a ziplist that ends within an element")
    kind = data[position]
    if 0xf1 <= kind <= 0xfd:
        return position, position + 1, b"%d" % (kind - 0xf1)
    if kind in _ZIPLIST_INTEGERS:
        start, length = position + 1, _ZIPLIST_INTEGERS[kind]
    elif kind < 0x40:
        start, length = position + 1, kind
    elif kind < 0x80:
        start, length = position + 2, (kind & 63) << 8 | data[position + 1]
    elif kind == 0x80:
        start, length = position + 5, int.from_bytes(data[position + 1:position + 5], "big")
    else:
        raise CorruptValueError("a ziplist with an element of kind %d" % kind)
    if start + length > end:
        raise CorruptValueError("a ziplist that ends within an element")
    number = None
    if kind >= 0xc0:
        number = b"%d" % int.from_bytes(data[start:start + length], "little", signed=True)
    return start, start + length, number


def unpack_zipmap(data):
    """Names and values in turn of a zipmap."""
    found, position, end = [], 1, len(data) - 1
    if end < 1 or data[end] != _END:
        raise CorruptValueError("a zipmap of %d bytes" % len(data))
    while position < end:
        length, position = _zipmap_length(data, position, end)
        free = 0
        if len(found) & 1:
            if position >= end:
                raise CorruptValueError("a zipmap that ends within an element")
            free = data[position]
            position += 1
        if position + length + free > end:
            raise CorruptValueError("a zipmap that ends within an element")
        found.append(data[position:position + length])
        position += length + free
    if len(found) & 1 or data[0] < _LONG_LENGTH and data[0] != len(found) // 2:
        raise CorruptValueError("%d words in a zipmap that says %d pairs" % (len(found), data[0]))
    return found


def _zipmap_length(data, position, end):
    if data[position] < _LONG_LENGTH:
        return data[position], position + 1
    if data[position] == _END or position + 5 > end:
        raise CorruptValueError("a zipmap that ends within an element")
    return int.from_bytes(data[position + 1:position + 5], "little"), position + 5

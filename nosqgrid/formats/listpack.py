"""Listpacks: small lists of strings in one piece of bytes, as Redis keeps and dumps short collections.

    offset  size
         0     4   size of all, little-endian
         4     2   how many elements; 65535: they have to be counted
         6     -   elements
       end     1   255

An element is its kind and length, its bytes, and the size of both in 1 to 5 bytes for whoever reads backwards, 7 bits
each, the highest first.  Numbers of 64 bits are kept as such; here all elements are bytes, a number's its text.
"""

import struct

from ..errors import CorruptValueError

_HEADER = struct.Struct("<IH")
_MANY = 0xffff
_END = b"\xff"
_INTEGERS = {0xf1: 2, 0xf2: 3, 0xf3: 4, 0xf4: 8}  # kind -> bytes


def _back_length(size):
    """The size of an element as it stands behind it."""
    if size <= 127:
        return bytes((size,))
    count = 2 if size < 16383 else 3 if size < 2097151 else 4 if size < 268435455 else 5
    parts = [size >> 7 * (count - 1)]
    parts += [size >> 7 * place & 127 | 128 for place in range(count - 2, -1, -1)]
    return bytes(parts)


_SHORT_BACK = [bytes((size,)) for size in range(128)]


def pack_integer(number):
    """An element that is a number of 64 bits."""
    if 0 <= number <= 127:
        return bytes((number, 1))
    if -4096 <= number <= 4095:
        number &= 0x1fff
        return bytes((0xc0 | number >> 8, number & 255, 2))
    for kind, size in sorted(_INTEGERS.items()):
        if -1 << 8 * size - 1 <= number < 1 << 8 * size - 1:
            return bytes((kind,)) + number.to_bytes(size, "little", signed=True) + _SHORT_BACK[size + 1]
    raise ValueError("%d has no 64 bits" % number)


def pack_element(element):
    """An element of bytes; one that is the text of a number is kept as that."""
    size = len(element)
    if 0 < size <= 20 and (element.isdigit() or element[:1] == b"-" and element[1:].isdigit()):
        number = int(element)
        if -1 << 63 <= number < 1 << 63 and b"%d" % number == element:
            return pack_integer(number)
    if size < 64:
        packed = bytes((0x80 | size,)) + element
    elif size < 4096:
        packed = bytes((0xe0 | size >> 8, size & 255)) + element
    else:
        packed = b"\xf0" + size.to_bytes(4, "little") + element
    return packed + _back_length(len(packed))


def join(packed):
    """The listpack of packed elements."""
    body = b"".join(packed)
    return _HEADER.pack(_HEADER.size + len(body) + 1, min(len(packed), _MANY)) + body + _END


def unpack(data):
    """The elements, as bytes, of a listpack; CorruptValueError where it is none.  Cost: some 0.5 us an element."""
    size = len(data)
    if size < _HEADER.size + 1 or data[-1:] != _END:
        raise CorruptValueError("a listpack of %d bytes" % size)
    total, count = _HEADER.unpack_from(data, 0)
    if total != size:
        raise CorruptValueError("a listpack of %d bytes that says %d" % (size, total))
    found, position, end = [], _HEADER.size, size - 1
    while position < end:
        start, stop, element = _element_at(data, position, end)
        back = _back_length(stop - position)
        if data[stop:stop + len(back)] != back or stop + len(back) > end:
            raise CorruptValueError("an element of %d bytes in a listpack that says otherwise" % (stop - position))
        found.append(data[start:stop] if element is None else element)
        position = stop + len(back)
    if count != _MANY and count != len(found):
        raise CorruptValueError("%d elements in a listpack that says %d" % (len(found), count))
    return found


def _element_at(data, position, end):
    """(where its bytes begin, where they end, the text of a number or None) of an element that ends within the data."""
    kind = data[position]
    if kind < 0x80:
        return position, position + 1, b"%d" % kind
    if kind < 0xc0:
        start, length = position + 1, kind & 63
    elif kind < 0xe0:
        if position + 2 > end:
            raise CorruptValueError("a listpack that ends within an element")
        number = (kind & 31) << 8 | data[position + 1]
        return position, position + 2, b"%d" % (number - (1 << 13) if number >> 12 else number)
    elif kind < 0xf0:
        start, length = position + 2, (kind & 15) << 8 | data[position + 1]
    elif kind == 0xf0:
        start, length = position + 5, int.from_bytes(data[position + 1:position + 5], "little")
    elif kind in _INTEGERS:
        start, length = position + 1, _INTEGERS[kind]
    else:
        raise CorruptValueError("a listpack with an element of kind %d" % kind)
    stop = start + length
    if stop > end:
        raise CorruptValueError("a listpack that ends within an element")
    number = b"%d" % int.from_bytes(data[start:stop], "little", signed=True) if kind > 0xf0 else None
    return start, stop, number

"""LZF, the compression of long strings in Redis' dumps: reading it.

A piece begins with a byte c.  Below 32, c + 1 bytes follow as they are.  Otherwise so many bytes are repeated from
before: length (c >> 5) + 2, where 7 says that a byte to be added to it follows; distance ((c & 31) << 8) + the last
byte + 1.
"""

from ..errors import CorruptValueError

_LITERAL_MAX = 32


def decompress(data, size):
    """The `size` bytes that data stands for; CorruptValueError where it does not.  Never makes more than that."""
    made, position, end = bytearray(), 0, len(data)
    while position < end:
        control = data[position]
        position += 1
        if control < _LITERAL_MAX:
            stop = position + control + 1
            if stop > end or len(made) + control + 1 > size:
                raise CorruptValueError("compressed bytes that are not there, or too many")
            made += data[position:stop]
            position = stop
            continue
        length = control >> 5
        if length == 7:
            if position >= end:
                raise CorruptValueError("a compressed string that ends within a piece")
            length += data[position]
            position += 1
        if position >= end:
            raise CorruptValueError("a compressed string that ends within a piece")
        distance = ((control & 31) << 8) + data[position] + 1
        position += 1
        length += 2
        start = len(made) - distance
        if start < 0 or len(made) + length > size:
            raise CorruptValueError("a compressed string that repeats what is not there, or too much")
        while length > 0:  # what is repeated may overlap with what it makes
            piece = made[start:start + length]
            made += piece
            length -= len(piece)
    if len(made) != size:
        raise CorruptValueError("%d bytes out of a compressed string of %d" % (len(made), size))
    return bytes(made)

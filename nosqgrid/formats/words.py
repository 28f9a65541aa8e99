"""Words: a list of bytes as one piece of bytes, for changes of structures in log and checkpoint.

    offset  size
         0     4   how many
         4    4n   the length of each
         -     -   the words

Little-endian.  Several of them may follow each other.
"""

import struct

from ..errors import CorruptValueError

_COUNT = struct.Struct("<I")


def pack(words):
    """The bytes of a sequence of bytes objects.

    >>> unpack(pack([b"rpush", b"a", b""]), 0)
    ([b'rpush', b'a', b''], 22)
    """
    count = len(words)
    return struct.pack("<%dI" % (count + 1), count, *map(len, words)) + b"".join(words)


def unpack(data, position):
    """(words, where they end) of what begins at `position` of some bytes; CorruptValueError where that is not whole."""
    start = position + _COUNT.size
    if start > len(data):
        raise CorruptValueError("%d bytes are left where words should begin" % (len(data) - position))
    count, = _COUNT.unpack_from(data, position)
    at = start + 4 * count
    if at > len(data):
        raise CorruptValueError("%d words where %d bytes are left" % (count, len(data) - start))
    words = []
    for length in struct.unpack_from("<%dI" % count, data, start):
        words.append(data[at:at + length])
        at += length
    if at > len(data):
        raise CorruptValueError("words of %d bytes where %d are left" % (at - position, len(data) - position))
    return words, at


def ends(data):
    """Where each list of words ends in these bytes, which have nothing else."""
    position = 0
    while position < len(data):
        _, position = unpack(data, position)
        yield position


def unpack_all(data):
    """Every list of words in these bytes, one after the other."""
    position = 0
    while position < len(data):
        words, position = unpack(data, position)
        yield words

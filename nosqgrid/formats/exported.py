"""Structures on their way from the coordinator to the process that makes a checkpoint: parts, one behind the other.

    offset  size
         0     8   number of the structure
         8     8   version at which it is
        16     8   deadline in ms, 0 for none
        24     8   length of the part
         -     -   changes, each packed (formats/words)

The parts of a structure follow each other.  A structure without elements has one, of length 0.  A part at version 0,
which no structure has, takes back what was said of its number so far.
"""

import struct

from ..errors import PeerError

_HEAD = struct.Struct("<QQQQ")


def pack_part(number, version, deadline_ms, part):
    """The bytes of one part."""
    return _HEAD.pack(number, version, deadline_ms, len(part)) + part


def pack_retraction(number):
    """The bytes that take back the parts of a structure."""
    return _HEAD.pack(number, 0, 0, 0)


def unpack_parts(data):
    """{number: (version, deadline_ms, [part])}; PeerError where these are not whole parts.

    >>> unpack_parts(pack_part(7, 3, 0, b"ab") + pack_retraction(7) + pack_part(7, 5, 0, b"c"))
    {7: (5, 0, [b'c'])}
    """
    found, position = {}, 0
    while position < len(data):
        start = position + _HEAD.size
        if start > len(data):
            raise PeerError("%d bytes are left where a part of a structure should begin" % (len(data) - position))
        number, version, deadline_ms, length = _HEAD.unpack_from(data, position)
        position = start + length
        if position > len(data):
            raise PeerError("a part of %d bytes where %d are left" % (length, len(data) - start))
        if not version:
            found.pop(number, None)
            continue
        known = found.setdefault(number, (version, deadline_ms, []))
        if known[0] != version:
            raise PeerError("parts of a structure at versions %d and %d" % (known[0], version))
        known[2].append(data[start:position])
    return found

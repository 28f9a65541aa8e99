"""A reply that is there as a whole, read in one pass: what comes by a lane.

Hot: the reply of each command through a lane.  What is common (integers, short bulk strings, RESP2 nulls and arrays of
these) is read here, some three times faster than by the reader that takes pieces; whatever else it is, right or wrong,
is left to that one, which decides.  tests/unit/test_resp_whole.py holds one against the other.
"""

from .resp_incoming import CRLF, SMALL_NUMBERS
from .resp_reader import NEED_MORE, ReplyReader

_COMMON = (b"*", b"$", b":")
_DOLLAR, _ASTERISK, _COLON = b"$*:"
_DEPTH_MAX = 8  # far less than the reader allows: beyond, it is not common
_DIGITS_MAX = 18  # of an integer that is surely one of 64 bits


class _Uncommon(Exception):
    """Nothing that is read here."""


def decode_reply(data):
    """The reply that these bytes begin with, an error as an object; NEED_MORE where it is not whole.

    Raises ProtocolError, as ReplyReader.next does.
    """
    if data[:1] in _COMMON:
        try:
            return _items(data, 0, 1, _DEPTH_MAX)[0][0]
        except (_Uncommon, ValueError, IndexError):
            return _plainly(data)
    return _plainly(data)


def _plainly(data):
    reader = ReplyReader()
    reader.feed(data)
    return reader.next()


def _items(data, at, count, depth):
    """([so many items that begin at `at`], where they end); in one function, for a call an item is most of the time."""
    found, index, small = [], data.index, SMALL_NUMBERS.get
    if not depth:
        raise _Uncommon
    for _ in range(count):
        kind, end = data[at], index(CRLF, at)
        text = data[at + 1:end]
        number = small(text)
        at = end + 2
        if kind == _DOLLAR:
            if number is None:
                if text != b"-1":
                    raise _Uncommon
                found.append(None)
                continue
            end = at + number
            if data[end:end + 2] != CRLF:
                raise _Uncommon
            found.append(data[at:end])
            at = end + 2
        elif kind == _COLON:
            if number is None:
                if not text.isdigit() or len(text) > _DIGITS_MAX:
                    raise _Uncommon
                number = int(text)
            found.append(number)
        elif kind == _ASTERISK and number is not None:
            items, at = _items(data, at, number, depth - 1)
            found.append(items)
        else:
            raise _Uncommon
    return found, at

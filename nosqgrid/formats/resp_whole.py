"""Commands and replies that are there as a whole, read in one pass: what goes through a lane.

Hot: each command through a lane and its reply.  What is common (commands of short words; integers, short bulk strings,
RESP2 nulls and arrays of these) is read here, some three times faster than by the parser and the reader that take
pieces; whatever else it is, right or wrong, is left to those, which decide.  tests/unit/test_resp_whole.py holds each
against the other.
"""

from .resp_incoming import CRLF, SMALL_NUMBERS
from .resp_reader import ReplyReader
from .resp_request import COUNTS, LENGTHS, Parser

_COMMON = (b"*", b"$", b":")
_DOLLAR, _ASTERISK, _COLON = b"$*:"
_DEPTH_MAX = 8  # far less than the reader allows: beyond, it is not common
_DIGITS_MAX = 18  # of an integer that is surely one of 64 bits


class _Uncommon(Exception):
    """Nothing that is read here."""


def decode_command(data):
    """The words of the command that these bytes are, as a list of bytes; None where they are not one whole command.

    Raises ProtocolError, as Parser.next does.
    """
    lines = data.split(CRLF)
    if COUNTS.get(lines[0], -1) * 2 + 2 == len(lines) and not lines[-1]:
        words = lines[2::2]
        if list(map(LENGTHS.get, lines[1:-1:2])) == list(map(len, words)):
            return words
    parser = Parser()
    parser.feed(data)
    words = parser.next()
    return None if parser.pending_size_bytes else words


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

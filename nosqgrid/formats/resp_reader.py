"""Replies from the wire, incrementally, in RESP2 and RESP3: the client's end of a socket or lane.

A reply is read type byte by type byte; aggregates that are not whole yet wait on an explicit stack, so that bytes which
arrive one at a time cost the same as all at once, and nesting is bounded by a number and not by Python's recursion.

    +simple  -error  :integer  $bulk  *array             RESP2; $-1 and *-1 are null
    _null  ,double  #boolean  (big number  !bulk error   RESP3
    =verbatim  %map  ~set  >push  |attributes            attributes are read and dropped

Errors come back as exception objects (errors.from_resp), not raised: in a pipeline one error is one reply among others.
Streamed strings and aggregates ("$?", "*?") are refused; no server sends them.

Invariants
 1. Whatever is fed, next() returns a reply, or NEED_MORE, or raises ProtocolError; nothing else.
 2. The replies do not depend on how the bytes were cut into pieces.
"""

import re

from .. import errors, limits
from . import resp_incoming, scalars
from .resp_incoming import BELL_BYTE, CRLF, HEADER_BYTES_MAX, SMALL_NUMBERS
from .resp_reply import INT64_MAX, INT64_MIN, Boolean, Double, Map, Push, Set, Simple, Verbatim

_DOLLAR, _ASTERISK, _PERCENT, _EXCLAMATION = b"$*%!"
_BULK_TYPES = frozenset(b"$!=")
_AGGREGATE_TYPES = frozenset(b"*%~>|")
_LINE_TYPES = frozenset(b"+-:_,#(")
_PAIRED_TYPES = frozenset(b"%|")

_match_integer = re.compile(rb"[+-]?[0-9]{1,19}").fullmatch
_match_double = re.compile(rb"[+-]?(?:[0-9]{1,340}(?:\.[0-9]{0,340})?(?:[eE][+-]?[0-9]{1,4})?|inf|nan)").fullmatch


class _NeedMore:
    """Not a reply: the next one is not whole yet."""

    def __repr__(self):
        return "NEED_MORE"


NEED_MORE = _NeedMore()
_DROPPED = object()  # what stands for a finished attribute: no reply, and not waiting for one either


class _Aggregate:
    """An aggregate that is not whole yet."""

    __slots__ = ("expected", "items", "kind")

    def __init__(self, kind, expected):
        self.kind = kind
        self.expected = expected
        self.items = []

    def finish(self):
        items = self.items
        if self.kind in _PAIRED_TYPES:
            pairs = iter(items)
            return Map(zip(pairs, pairs)) if self.kind == _PERCENT else _DROPPED
        return _AGGREGATE_CLASSES[self.kind](items) if self.kind != _ASTERISK else items


_AGGREGATE_CLASSES = {ord("~"): Set, ord(">"): Push}


class ReplyReader(resp_incoming.Incoming):
    """Turns fed bytes into reply objects (resp_reply's types; a RESP array is a list).

    >>> reader = ReplyReader()
    >>> reader.feed(b"*2\\r\\n$1\\r\\nv\\r\\n:7\\r\\n+O")
    >>> reader.next(), reader.next()
    ([b'v', 7], NEED_MORE)
    """

    def __init__(self):
        super().__init__()
        self._stack = []
        self._bulk_type = 0

    def next(self):
        """The next whole reply, or NEED_MORE.

        Raises:
            ProtocolError: the bytes are not RESP or break a limit.  For good: see Incoming.
        """
        if self._failure:
            self._raise_failure()
        while True:
            if self._stack and not self._missing and not self._collected:
                self._read_bulk_run(self._stack[-1])
            item = self._read_item()
            if item is NEED_MORE:
                return NEED_MORE
            reply = self._deliver(item)
            if reply is not NEED_MORE:
                return reply

    def _deliver(self, item):
        """Put an item into the innermost aggregate, which may become whole by it; without one it is the reply."""
        stack = self._stack
        while True:
            if isinstance(item, _Aggregate):
                if item.expected:
                    stack.append(item)
                    return NEED_MORE
                item = item.finish()
            if item is _DROPPED:
                return NEED_MORE
            if not stack:
                return item
            innermost = stack[-1]
            innermost.items.append(item)
            if len(innermost.items) < innermost.expected:
                return NEED_MORE
            item = stack.pop().finish()

    def _read_bulk_run(self, innermost):
        """Read short bulk strings in a row, all but the last element of an aggregate: the common case, made cheap."""
        buffer, position, items = self._buffer, self._position, innermost.items
        size_bytes, find = len(buffer), buffer.find
        for _ in range(innermost.expected - len(items) - 1):
            end = find(CRLF, position, position + HEADER_BYTES_MAX)
            if end < 0 or buffer[position] != _DOLLAR:
                break
            length = SMALL_NUMBERS.get(buffer[position + 1:end])
            if length is None:
                break
            stop = end + 2 + length
            if stop + 2 > size_bytes or buffer[stop:stop + 2] != CRLF:
                break
            items.append(buffer[end + 2:stop])
            position = stop + 2
        self._position = position

    def _read_item(self):
        """The next scalar, or the _Aggregate that a header opens; NEED_MORE where it is not there yet."""
        if self._missing:
            return NEED_MORE
        if self._collected:
            return self._bulk_item(self._bulk_type, self._take_collected())
        if not self._stack:
            self._skip_bells()
        if self._position == len(self._buffer):
            return NEED_MORE
        kind = self._buffer[self._position]
        if kind in _LINE_TYPES:
            line = self._read_line()
            return NEED_MORE if line is None else _LINE_READERS[kind](self, line)
        if kind in _BULK_TYPES or kind in _AGGREGATE_TYPES:
            token = self._read_header()
            if token is None:
                return NEED_MORE
            return self._read_bulk(kind, token) if kind in _BULK_TYPES else self._open_aggregate(kind, token)
        raise self._fail("unknown reply type byte 0x%02x" % kind)

    def _skip_bells(self):
        while self._position < len(self._buffer) and self._buffer[self._position] == BELL_BYTE:
            self._position += 1
            self.bells += 1

    def _read_line(self):
        """The text of a line reply without type byte and CRLF, or None where it is not whole."""
        buffer, start = self._buffer, self._position + 1
        end = buffer.find(CRLF, start, start + limits.RESP_LINE_BYTES_MAX)
        if end < 0:
            if len(buffer) - start >= limits.RESP_LINE_BYTES_MAX:
                raise self._fail("a line of more than %d bytes" % limits.RESP_LINE_BYTES_MAX)
            return None
        line = buffer[start:end]
        if b"\r" in line or b"\n" in line:
            raise self._fail("a line must end with CRLF and contain neither CR nor LF")
        self._position = end + 2
        return line

    def _read_header(self):
        """The digits of a header, or None where it is not whole; b"-1" is a null."""
        buffer, start = self._buffer, self._position + 1
        end = buffer.find(CRLF, start, start + HEADER_BYTES_MAX - 1)
        if end < 0:
            begun = buffer[start:start + HEADER_BYTES_MAX]
            if not resp_incoming.may_become_header(begun) and not b"-1\r".startswith(begun):
                raise self._fail("invalid length")
            return None
        self._position = end + 2
        return buffer[start:end]

    def _read_bulk(self, kind, token):
        if token == b"-1" and kind == _DOLLAR:
            return None
        length = resp_incoming.checked_number(token, limits.OUTPUT_BUFFER_BYTES_MAX)
        if length is None:
            raise self._fail("invalid length")
        buffer, start = self._buffer, self._position
        stop = start + length
        if stop + 2 > len(buffer):
            self._bulk_type = kind
            self._collect(length + 2)
            return NEED_MORE
        if buffer[stop:stop + 2] != CRLF:
            raise self._fail("a bulk string must end with CRLF")
        self._position = stop + 2
        return self._bulk_item(kind, buffer[start:stop])

    def _bulk_item(self, kind, payload):
        if kind == _DOLLAR:
            return payload
        if kind == _EXCLAMATION:
            return errors.from_resp(_text(payload))
        if payload[3:4] != b":" or not payload[:3].isalpha():
            raise self._fail("a verbatim string without its format")
        return Verbatim(payload[4:], payload[:3].decode("ascii"))

    def _open_aggregate(self, kind, token):
        if token == b"-1" and kind == _ASTERISK:
            return None
        count = resp_incoming.checked_number(token, limits.RESP_REPLY_ELEMENTS_MAX)
        if count is None:
            raise self._fail("invalid length")
        if len(self._stack) >= limits.RESP_DEPTH_MAX:
            raise self._fail("aggregates nested more than %d deep" % limits.RESP_DEPTH_MAX)
        return _Aggregate(kind, 2 * count if kind in _PAIRED_TYPES else count)

    def _fail(self, reason):
        self._stack = []
        return super()._fail(reason)

    # -- lines; each takes the text and returns the item ----------------------------------------------------------

    def _simple(self, line):
        return Simple(_text(line))

    def _error(self, line):
        return errors.from_resp(_text(line))

    def _integer(self, line):
        if _match_integer(line):
            number = int(line)
            if INT64_MIN <= number <= INT64_MAX:
                return number
        raise self._fail("invalid integer")

    def _big_number(self, line):
        try:
            return scalars.int_from(line)
        except ValueError:
            raise self._fail("invalid big number") from None

    def _null(self, line):
        if line:
            raise self._fail("invalid null")
        return None

    def _double(self, line):
        if not _match_double(line):
            raise self._fail("invalid double")
        return Double(line.decode("ascii"))

    def _boolean(self, line):
        if line not in (b"t", b"f"):
            raise self._fail("invalid boolean")
        return Boolean(line == b"t")


_LINE_READERS = {
    ord("+"): ReplyReader._simple, ord("-"): ReplyReader._error, ord(":"): ReplyReader._integer,
    ord("("): ReplyReader._big_number, ord("_"): ReplyReader._null, ord(","): ReplyReader._double,
    ord("#"): ReplyReader._boolean,
}


def _text(line):
    """Text for people: bytes that are not UTF-8 are shown as escapes and never refused."""
    return line.decode("utf-8", "backslashreplace")

"""Replies from the wire as plain Python objects, incrementally, in RESP2 and RESP3.

    +simple $bulk =verbatim    bytes, or str where decoded        *array     list
    :integer (big number       int                                %map       dict (a key that is a list: a tuple)
    ,double                    float                              ~set       set, a list where a member is unhashable
    #boolean                   bool                               >push      Push, a list
    _null $-1 *-1              None                               -error !   an exception of ours, not raised

Sync and asyncio connections feed the same parser, and so does a test byte by byte.

Invariants
 1. read() returns a reply or NEED_MORE or raises InvalidResponse, whatever was fed.
 2. What the replies are does not depend on how the bytes were cut, and the time is linear in their number: an aggregate
    that is not whole waits on an explicit stack, a long string in a list of pieces.
"""

from .exceptions import InvalidResponse, from_text

LINE_BYTES_MAX = 1024 * 1024  # of a simple string or an error; a number is far shorter
DEPTH_MAX = 1000  # of nested aggregates
_LENGTH_DIGITS_MAX = 19


class _NeedMore(object):
    def __repr__(self):
        return "NEED_MORE"


class Push(list):
    """A message that nobody asked for."""


NEED_MORE = _NeedMore()
_ATTRIBUTE = object()

_DOLLAR, _STAR, _PLUS, _MINUS, _COLON = b"$*+-:"
_BULK = frozenset(b"$=!")
_AGGREGATES = frozenset(b"*%~>|")
_PAIRED = frozenset(b"%|")


class ReplyParser(object):
    """One per connection.  `encoding` and `errors` are for replies that are read with decode=True."""

    __slots__ = ("encoding", "errors", "_buffer", "_position", "_stack", "_pieces", "missing")

    def __init__(self, encoding="utf-8", errors="strict"):
        self.encoding = encoding
        self.errors = errors
        self.clear()

    def clear(self):
        """Forget everything: for a new connection."""
        self._buffer = b""
        self._position = 0
        self._stack = []  # [kind, how many items are still to come, items]
        self._pieces = None
        self.missing = 0  # bytes that are needed at least before there is any use in looking

    def feed(self, data):
        """Bytes that were received."""
        if self._pieces is not None:
            self._pieces.append(data)
            self.missing -= len(data)
            if self.missing > 0:
                return
            self._buffer, self._pieces, self.missing = b"".join(self._pieces), None, 0
            return
        position = self._position
        self._buffer = self._buffer[position:] + data if position < len(self._buffer) else data
        self._position = 0

    def pending(self):
        """Whether bytes were fed that no reply has used."""
        return self._pieces is not None or self._position < len(self._buffer) or bool(self._stack)

    def read(self, decode=False):
        """The next reply, or NEED_MORE.  After InvalidResponse the connection is of no further use."""
        if self._pieces is not None:
            return NEED_MORE
        buffer, position, stack = self._buffer, self._position, self._stack
        find = buffer.find
        while True:
            end = find(b"\r\n", position)
            if end < 0:
                return self._wait_for_line(position)
            kind = buffer[position]
            if kind == _DOLLAR:
                token = buffer[position + 1:end]
                if token == b"-1":
                    item, position = None, end + 2
                else:
                    start = end + 2
                    stop = start + _length(token)
                    if stop + 2 > len(buffer):
                        return self._wait_for_bytes(position, stop + 2)
                    item, position = buffer[start:stop], stop + 2
                    if decode:
                        item = item.decode(self.encoding, self.errors)
            elif kind == _COLON:
                item, position = _integer(buffer[position + 1:end]), end + 2
            elif kind in _AGGREGATES:
                count = _count(kind, buffer[position + 1:end])
                position = end + 2
                if count:
                    if len(stack) >= DEPTH_MAX:
                        raise InvalidResponse("Protocol Error: more than %d levels" % DEPTH_MAX)
                    stack.append([kind, count, []])
                    continue
                item = None if count is None else _finished(kind, [])
            elif kind in _BULK:
                stop = end + 2 + _length(buffer[position + 1:end])
                if stop + 2 > len(buffer):
                    return self._wait_for_bytes(position, stop + 2)
                item, position = self._special_bulk(kind, buffer[end + 2:stop], decode), stop + 2
            else:
                item, position = self._line(kind, buffer[position + 1:end], decode), end + 2
            self._position = position
            item = _deliver(stack, item)
            if item is not NEED_MORE:
                return item

    def _wait_for_line(self, position):
        if len(self._buffer) - position > LINE_BYTES_MAX:
            raise InvalidResponse("Protocol Error: a line of more than %d bytes" % LINE_BYTES_MAX)
        self._position = position
        return NEED_MORE

    def _wait_for_bytes(self, position, stop):
        rest = self._buffer[position:]
        self.missing = stop - len(self._buffer)
        self._buffer, self._position, self._pieces = b"", 0, [rest]
        return NEED_MORE

    def _special_bulk(self, kind, data, decode):
        if kind == 0x21:  # !
            return from_text(data.decode("utf-8", "replace"))
        data = data[4:]  # a verbatim string begins with its format
        return data.decode(self.encoding, self.errors) if decode else data

    def _line(self, kind, line, decode):
        if kind == _PLUS:
            return line.decode(self.encoding, self.errors) if decode else line
        if kind == _MINUS:
            return from_text(line.decode("utf-8", "replace"))
        reader = _LINES.get(kind)
        if reader is None:
            raise InvalidResponse("Protocol Error: %r" % (bytes((kind,)) + line[:60]))
        return reader(line)


def _deliver(stack, item):
    """Put an item where it belongs; the reply where that makes one whole, else NEED_MORE."""
    while stack:
        top = stack[-1]
        if item is not _ATTRIBUTE:
            top[2].append(item)
            top[1] -= 1
        if top[1]:
            return NEED_MORE
        stack.pop()
        item = _finished(top[0], top[2])
    return NEED_MORE if item is _ATTRIBUTE else item


def _length(token):
    if not token.isdigit() or len(token) > _LENGTH_DIGITS_MAX:
        raise InvalidResponse("Protocol Error: length %r" % token[:60])
    return int(token)


def _count(kind, token):
    """How many items follow; None for the null array."""
    if token == b"-1" and kind == _STAR:
        return None
    return _length(token) * (2 if kind in _PAIRED else 1)


def _finished(kind, items):
    if kind == _STAR:
        return items
    if kind == 0x25:  # %
        keys = [tuple(key) if isinstance(key, list) else key for key in items[::2]]
        try:
            return dict(zip(keys, items[1::2]))
        except TypeError:
            raise InvalidResponse("Protocol Error: a map with keys that are maps or sets") from None
    if kind == 0x7e:  # ~
        try:
            return set(items)
        except TypeError:
            return items
    return Push(items) if kind == 0x3e else _ATTRIBUTE


def _integer(line):
    digits = line[1:] if line[:1] in b"-+" else line
    if not digits.isdigit() or len(line) > 4096:
        raise InvalidResponse("Protocol Error: integer %r" % line[:60])
    return int(line)


def _double(line):
    try:
        return float(line.decode("ascii"))
    except ValueError:
        raise InvalidResponse("Protocol Error: double %r" % line[:60]) from None


def _boolean(line):
    if line not in (b"t", b"f"):
        raise InvalidResponse("Protocol Error: boolean %r" % line[:60])
    return line == b"t"


_LINES = {ord(":"): _integer, ord("("): _integer, ord(","): _double, ord("#"): _boolean, ord("_"): lambda line: None}

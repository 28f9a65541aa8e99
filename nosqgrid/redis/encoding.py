"""Arguments as bytes, replies as text, and commands as RESP.

    pack(args, encoder) -> [bytes, ...]      to be sent one behind the other

A word from LARGE_BYTES on is a piece of its own and not copied; everything else is joined.
"""

from .exceptions import DataError

LARGE_BYTES = 64 * 1024
_NAMES_MAX = 4096

_names = {}  # command name as given -> (count of its words, their RESP)


class Encoder(object):
    """An encoding, what to do about errors in it, and whether replies are to be decoded at all."""

    __slots__ = ("encoding", "encoding_errors", "decode_responses")

    def __init__(self, encoding="utf-8", encoding_errors="strict", decode_responses=False):
        self.encoding = encoding
        self.encoding_errors = encoding_errors
        self.decode_responses = decode_responses

    def encode(self, value):
        """The bytes of an argument: bytes, str, int or float; DataError for anything else, None and bool too."""
        kind = type(value)
        if kind is bytes:
            return value
        if kind is str:
            return value.encode(self.encoding, self.encoding_errors)
        if kind is int:
            return b"%d" % value
        if kind is float:
            return repr(value).encode()
        return self._encode_other(value)

    def _encode_other(self, value):
        if isinstance(value, (memoryview, bytearray)):
            return bytes(value)
        if isinstance(value, bytes):
            return value
        if isinstance(value, bool):
            raise DataError("Invalid input of type: 'bool'. Convert to a bytes, string, int or float first.")
        if isinstance(value, (int, float)):
            return repr(value).encode()
        if isinstance(value, str):
            return value.encode(self.encoding, self.encoding_errors)
        raise DataError("Invalid input of type: '%s'. Convert to a bytes, string, int or float first."
                        % type(value).__name__)

    def decode(self, value, force=False):
        """Text for bytes, where replies are decoded or `force` says so; everything else as it is."""
        if self.decode_responses or force:
            if isinstance(value, memoryview):
                value = value.tobytes()
            if isinstance(value, bytes):
                return value.decode(self.encoding, self.encoding_errors)
        return value


def pack(args, encoder):
    """A command as pieces of RESP; the first argument is the name, of several words where there is a space in it."""
    head, name = args[0], None
    if type(head) is str or type(head) is bytes:
        name = _names.get(head)
    if name is None:
        name = _pack_name(head, encoder)
    encode = encoder.encode
    parts = [b"*%d\r\n" % (len(args) - 1 + name[0]), name[1]]
    large = False
    for value in args[1:]:
        if type(value) is not bytes:
            value = encode(value)
        if len(value) >= LARGE_BYTES:
            parts.extend((b"$%d\r\n" % len(value), value, b"\r\n"))
            large = True
        else:
            parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    return _pieces(parts) if large else [b"".join(parts)]


def pack_all(commands, encoder):
    """Several commands as pieces."""
    pieces = []
    for args in commands:
        pieces.extend(pack(args, encoder))
    return _pieces(pieces) if len(pieces) > 1 else pieces


def _pack_name(head, encoder):
    words = encoder.encode(head).split() or [b""]
    packed = len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
    if len(_names) < _NAMES_MAX:
        _names[head] = packed
    return packed


def _pieces(parts):
    """The parts, with those that are small joined."""
    pieces, small, small_bytes = [], [], 0
    for part in parts:
        if len(part) >= LARGE_BYTES:
            if small:
                pieces.append(b"".join(small))
                small, small_bytes = [], 0
            pieces.append(part)
            continue
        small.append(part)
        small_bytes += len(part)
        if small_bytes >= LARGE_BYTES:
            pieces.append(b"".join(small))
            small, small_bytes = [], 0
    if small:
        pieces.append(b"".join(small))
    return pieces

"""Values and keys as bytes: encode(value) -> (type, payload), decode(type, payload) -> value.

    type          payload                                          Python types
    0  BYTES      the bytes themselves                             bytes; bytearray and memoryview come back as bytes
    1  STR        UTF-8; lone surrogates as three bytes            str
    2  INT        decimal text                                     int
    3  FLOAT      repr() text, so -0.0, inf and nan are themselves  float (a nan loses its payload)
    4  BOOL       1 or 0                                           bool
    5  NONE       nothing                                          None
    6  JSON       JSON text                                        list, dict (str keys) of str, int, float, bool, None
    7  TAGGED     JSON text with escapes (formats/tagged)          tuple, set, frozenset, date, time, timedelta, and
                                                                   list and dict with anything of this table inside
    8  DATETIME   ISO 8601 text (formats/scalars)                  datetime

What a Redis client writes is BYTES, and what it reads are the payloads, which is why the common types are stored as the
text such a client expects.

Invariants
 1. decode(*encode(value)) has the same type and content, at every depth: True is not 1, 1.0 is not 1, a tuple is not a
    list, and the order of a dict is kept.  Where that cannot be (an enum, a namedtuple, an OrderedDict, any subclass)
    encode refuses and says what to store instead; it never stores something similar.
 2. decode raises CorruptValueError and nothing else, whatever the bytes, in time and memory linear in their number.
    Decoding never imports, calls or names anything: there is no pickle in here.
 3. encode needs no lock, but a container that another thread changes meanwhile raises RuntimeError as any loop does.

JSON text is made by the C encoder of the standard library, after one walk in Python that looks at the type of each
element, because the encoder itself would store a namedtuple as a list and an IntEnum as an int.
"""

import datetime
import enum
import json
import re
import sys
from json import encoder as _json_encoder

from .. import errors, limits
from . import scalars, tagged

BYTES = 0
STR = 1
INT = 2
FLOAT = 3
BOOL = 4
NONE = 5
JSON = 6
TAGGED = 7
DATETIME = 8

NAMES = ("bytes", "str", "int", "float", "bool", "none", "json", "tagged", "datetime")

# Decoded values of these types cannot change, so one object may be given to everybody who asks.
IMMUTABLE = frozenset((BYTES, STR, INT, FLOAT, BOOL, NONE, DATETIME))

_PLAIN = frozenset((bool, type(None)))
_INT_AT_ONCE_MAX = scalars.INT_AT_ONCE_MAX
_INT_AT_ONCE_MIN = -_INT_AT_ONCE_MAX
_NOT_PLAIN = -1
_JSON_DEPTH_MAX = 4 * limits.VALUE_DEPTH_MAX  # a $dict takes four levels of JSON
_RECURSION_LIMIT_SAFE = 3000  # calls inside the C scanner that every stack has room for
_not_brackets = re.compile(rb'"[^"]*(?:"|\Z)|[^][}{"]+').sub
_DIGITS_STEP = 64
_DIGITS_MANY = scalars.DIGITS_AT_ONCE // _DIGITS_STEP
_DIGITS_ONLY = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))


# -- encoding ---------------------------------------------------------------------------------------------------------


def encode(value):
    """Turn a value into (type, payload).

    Raises:
        UnsupportedTypeError: its exact type, or that of something inside, is not in the table above.
        ValueTooLargeError: an int of more than limits.INT_DIGITS_MAX digits, or a value without end.
        UsageError: nested deeper than limits.VALUE_DEPTH_MAX, or containing itself.
    Cost: 0.1-0.3 us for bytes, str and int; 1-2 us for a small dict, then about 50 ns an element.

    >>> encode({"a": [1, None]})
    (6, b'{"a":[1,null]}')
    >>> encode((1, 2))
    (7, b'{"$tuple":[1,2]}')
    """
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        raise _unsupported(value)
    return encoder(value)


def _encode_bytes(value):
    return BYTES, value


def _encode_str(value):
    return STR, value.encode("utf-8", "surrogatepass")


def _encode_int(value):
    if _INT_AT_ONCE_MIN <= value <= _INT_AT_ONCE_MAX:
        return INT, b"%d" % value
    return INT, scalars.int_text(value)


def _encode_buffer(value):
    try:
        if type(value) is memoryview and not value.c_contiguous:
            raise errors.UnsupportedTypeError(
                "cannot store a memoryview that is not contiguous; store value.tobytes()")
        return BYTES, bytes(value)
    except ValueError as error:
        raise errors.UsageError("cannot store a memoryview that was released") from error


def _encode_container(value):
    try:
        if _room_after(value, 1, limits.VALUE_SIZE_BYTES_MAX) != _NOT_PLAIN:
            return JSON, _json_text(value)
    except RecursionError as error:
        raise _out_of_stack() from error
    return _encode_tagged(value)


def _encode_tagged(value):
    try:
        return TAGGED, _json_text(tagged.tag(value, _unsupported))
    except RecursionError as error:
        raise _out_of_stack() from error


def _out_of_stack():
    return errors.UsageError("cannot store a nested value from so deep inside a recursion: up to %d more levels are"
                             " needed (sys.setrecursionlimit)" % (6 * limits.VALUE_DEPTH_MAX))


def _room_after(value, depth, room):
    """Whether a list or dict is plain JSON: _NOT_PLAIN if anything in it is not, else the bytes of text left of `room`.

    Too deep a value is not plain either: the walk of formats/tagged says what is wrong with it.
    """
    if depth > limits.VALUE_DEPTH_MAX:
        return _NOT_PLAIN
    items = value
    if type(value) is dict:
        for name in value:
            if type(name) is not str:
                return _NOT_PLAIN
        items = value.values()
    room -= 2 * len(value) + 1
    if room < 0:
        raise errors.ValueTooLargeError("cannot store a value of more than %d bytes of JSON text"
                                        % limits.VALUE_SIZE_BYTES_MAX)
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is int:
            if not _INT_AT_ONCE_MIN <= item <= _INT_AT_ONCE_MAX:
                return _NOT_PLAIN
        elif kind is float:
            if item - item != 0.0:  # nan or infinite: JSON has no word for them
                return _NOT_PLAIN
        elif kind is list or kind is dict:
            room = _room_after(item, depth + 1, room)
            if room == _NOT_PLAIN:
                return _NOT_PLAIN
        elif kind not in _PLAIN:
            return _NOT_PLAIN
    return room


def _new_json_text():
    """A function value -> compact JSON text in UTF-8.

    JSONEncoder.encode would build its C encoder anew for each call, which takes longer than encoding a small dict, so
    it is built once where the interpreter has it.  ensure_ascii=False keeps two lone surrogates in a row apart.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"),
                               default=_refuse)
    make, escape = _json_encoder.c_make_encoder, getattr(_json_encoder, "c_encode_basestring", None)
    if make is None or escape is None:
        return lambda value: encoder.encode(value).encode("utf-8", "surrogatepass")
    chunks = make(None, _refuse, escape, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0)).encode("utf-8", "surrogatepass")


def _refuse(value):
    # Only reached when another thread changed the value after it was looked through.
    raise _unsupported(value)


_json_text = _new_json_text()

_ENCODERS = {
    bytes: _encode_bytes,
    str: _encode_str,
    int: _encode_int,
    float: lambda value: (FLOAT, b"%a" % value),
    bool: lambda value: (BOOL, b"1" if value else b"0"),
    type(None): lambda value: (NONE, b""),
    list: _encode_container,
    dict: _encode_container,
    tuple: _encode_tagged,
    set: _encode_tagged,
    frozenset: _encode_tagged,
    datetime.datetime: lambda value: (DATETIME, scalars.datetime_text(value)),
    datetime.date: _encode_tagged,
    datetime.time: _encode_tagged,
    datetime.timedelta: _encode_tagged,
    bytearray: _encode_buffer,
    memoryview: _encode_buffer,
}


def _unsupported(value):
    """The exception for a value of a type that is not carried, with advice for the types people try."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)
    return errors.UnsupportedTypeError("cannot store a value of type %s: %s" % (name, _advice(value, kind)))


def _advice(value, kind):
    if isinstance(value, enum.Enum):
        return "store its .value or its .name"
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return "store tuple(value), or dict(value._asdict()) to keep the field names"
    if kind in (bytearray, memoryview):
        return "inside a container store bytes(value)"
    for base in (bool, int, float, str, bytes, list, dict, tuple, set, frozenset, datetime.datetime, datetime.date):
        if isinstance(value, base):
            return "only %s itself is carried, not its subclasses; store %s" % (base.__name__, {
                datetime.datetime: "a datetime made of its fields", datetime.date: "a date made of its fields",
            }.get(base, base.__name__ + "(value)"))
    if hasattr(kind, "__dataclass_fields__"):
        return "store dataclasses.asdict(value)"
    if kind.__module__.partition(".")[0] == "numpy" or kind.__module__ == "array":
        return "store value.tolist(), or value.tobytes() and its type"
    if kind.__module__ in ("decimal", "fractions", "uuid", "pathlib", "ipaddress", "builtins") and kind is not object:
        return "store str(value), or list(value) of an iterable"
    return ("carried are None, bool, int, float, str, bytes, datetime, date, time, timedelta, and list, tuple, dict,"
            " set, frozenset of those; convert it to one of them")


# -- decoding ---------------------------------------------------------------------------------------------------------


def decode(value_type, payload):
    """The value of a payload (bytes) of the given type.

    Raises:
        CorruptValueError: there is no such type, or the bytes are not of it.
    Cost: 0.1-0.3 us for the types up to NONE, 1-2 us for a datetime or a small dict.

    >>> decode(6, b'{"a":[1,null]}')
    {'a': [1, None]}
    """
    if not 0 <= value_type < len(DECODERS):
        raise errors.CorruptValueError("value type %d is not a byte" % value_type)
    return DECODERS[value_type](payload)


def _corrupt(value_type, payload, error):
    return errors.CorruptValueError("stored bytes are not a value of type %s (%d bytes, beginning %r): %s" % (
        NAMES[value_type], len(payload), bytes(payload[:16]), error))


def _decode_str(payload):
    try:
        return str(payload, "utf-8", "surrogatepass")
    except ValueError as error:
        raise _corrupt(STR, payload, error) from error


def _decode_int(payload):
    try:
        if payload.isdigit() and len(payload) <= scalars.DIGITS_AT_ONCE:
            return int(payload)
        return scalars.int_from(payload)
    except ValueError as error:
        raise _corrupt(INT, payload, error) from error


def _decode_float(payload):
    try:
        if len(payload) <= limits.FLOAT_TEXT_BYTES_MAX:
            return float(payload)
        raise ValueError("longer than any float")
    except ValueError as error:
        raise _corrupt(FLOAT, payload, error) from error


def _decode_bool(payload):
    if payload == b"1":
        return True
    if payload == b"0":
        return False
    raise _corrupt(BOOL, payload, "neither 1 nor 0")


def _decode_none(payload):
    if payload:
        raise _corrupt(NONE, payload, "not empty")
    return None


def _decode_datetime(payload):
    try:
        return scalars.datetime_from(payload)
    except (ValueError, OverflowError) as error:
        raise _corrupt(DATETIME, payload, error) from error


def _decode_json(payload):
    try:
        value = _scan(payload, _scan_plain, _scan_plain_carefully)
    except (ValueError, StopIteration) as error:
        raise _corrupt(JSON, payload, error) from error
    except RecursionError as error:
        raise _corrupt(JSON, payload, _TOO_DEEP) from error
    if type(value) is not dict and type(value) is not list:
        raise _corrupt(JSON, payload, "neither an object nor an array")
    return value


def _decode_tagged(payload):
    try:
        value = _scan(payload, _scan_tagged, _scan_tagged_carefully)
    except (ValueError, TypeError, OverflowError, StopIteration) as error:
        raise _corrupt(TAGGED, payload, error) from error
    except RecursionError as error:
        raise _corrupt(TAGGED, payload, _TOO_DEEP) from error
    if type(value) in _SCALARS:
        raise _corrupt(TAGGED, payload, "neither an object nor an array")
    return value


_SCALARS = frozenset((str, int, float, bool, type(None)))
_TOO_DEEP = "nested deeper than this interpreter, so deep inside a recursion, can follow"


def _scan(payload, scan, scan_carefully):
    """The one JSON value that is all of a payload.

    Long numbers need the careful scanner, which is slower: the fast one takes quadratic time for an int of a million
    digits.  Every 64th byte is enough to know that there is none: 641 digits in a row would leave ten there.
    """
    if len(payload) > scalars.DIGITS_AT_ONCE:
        sample = payload[_DIGITS_STEP - 1::_DIGITS_STEP].translate(_DIGITS_ONLY)
        if b"0" * _DIGITS_MANY in sample:
            scan = scan_carefully
    if sys.getrecursionlimit() > _RECURSION_LIMIT_SAFE:
        _check_depth(payload)
    text = str(payload, "utf-8", "surrogatepass")
    value, end = scan(text, 0)
    if end != len(text):
        raise ValueError("something follows the value at character %d" % end)
    return value


def _check_depth(payload):
    """Refuse JSON text nested deeper than any value.

    The scanner stops at the recursion limit, but a program that has raised it far would run out of stack before.
    """
    if payload.count(b"[") + payload.count(b"{") <= _JSON_DEPTH_MAX:
        return
    depth = 0
    unescaped = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    for bracket in _not_brackets(b"", unescaped):
        depth += 1 if bracket in b"[{" else -1
        if depth > _JSON_DEPTH_MAX:
            raise ValueError("nested deeper than any value")


def _short_int(text):
    if len(text) > scalars.DIGITS_AT_ONCE + 1:
        raise ValueError("a number of %d digits" % len(text))
    return int(text)


def _short_float(text):
    if len(text) > limits.FLOAT_TEXT_BYTES_MAX:
        raise ValueError("a number of %d characters" % len(text))
    return float(text)


def _no_constant(name):
    raise ValueError("%s is not JSON" % name)


def _scanner(**options):
    return json.JSONDecoder(parse_constant=_no_constant, **options).scan_once


_scan_plain = _scanner()
_scan_plain_carefully = _scanner(parse_int=_short_int, parse_float=_short_float)
_scan_tagged = _scanner(object_hook=tagged.untag)
_scan_tagged_carefully = _scanner(object_hook=tagged.untag, parse_int=_short_int, parse_float=_short_float)


def _unknown_decoder(value_type):
    def decode_unknown(payload):
        raise errors.CorruptValueError("value type %d is unknown here; was it written by a newer nosqgrid?"
                                       % value_type)
    return decode_unknown


# DECODERS[type](payload) is decode() without the call around it.  Every byte has an entry, so that a type read from
# the arena is never out of range.
DECODERS = [bytes, _decode_str, _decode_int, _decode_float, _decode_bool, _decode_none, _decode_json, _decode_tagged,
            _decode_datetime]
DECODERS.extend(map(_unknown_decoder, range(len(DECODERS), 256)))


# -- keys -------------------------------------------------------------------------------------------------------------


def encode_key(key):
    """The bytes of a key: bytes as they are, str as UTF-8 (a str that decode_key made gives the bytes it came from).

    Subclasses of both count as what they derive from, as in a dict: a key never comes back, only its bytes do.

    Raises:
        UnsupportedTypeError: neither str nor bytes.
        KeyTooLargeError: longer than limits.KEY_SIZE_BYTES_MAX.
        UsageError: a lone surrogate that stands for no byte.
    """
    kind = type(key)
    if kind is str:
        try:
            encoded = key.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise errors.UsageError("a key has a lone surrogate, which UTF-8 has no bytes for: %.60r" % key) from error
    elif kind is bytes:
        encoded = key
    elif isinstance(key, str):
        return encode_key(str.__str__(key))
    elif isinstance(key, bytes):
        return encode_key(bytes(memoryview(key)))
    else:
        raise errors.UnsupportedTypeError("a key is str or bytes, not %s; use str(key), or encode its parts into one"
                                          % kind.__name__)
    if len(encoded) > limits.KEY_SIZE_BYTES_MAX:
        raise errors.KeyTooLargeError("a key of %d bytes (%.40r...) is longer than %d; use a hash of it, such as"
                                      " hashlib.sha256(key).hexdigest()"
                                      % (len(encoded), key, limits.KEY_SIZE_BYTES_MAX))
    return encoded


def decode_key(key):
    """The str of a key's bytes; bytes that are not UTF-8 become lone surrogates that encode_key turns back."""
    return key.decode("utf-8", "surrogateescape")

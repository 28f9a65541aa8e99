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
    9  ARRAY      description and memory (formats/arrays)          numpy.ndarray without objects; comes back read-only
   10  BUFFER     description and memory (formats/buffers)         array.array; memoryview of other elements than bytes,
                                                                   which comes back read-only
   11  PICKLE     signed pickle (client/pickled)                   whatever pickle carries; not decoded in here

What a Redis client writes is BYTES, and what it reads are the payloads, which is why the common types are stored as the
text such a client expects.

Invariants
 1. decode(*encode(value)) has the same type and content, at every depth: True is not 1, 1.0 is not 1, a tuple is not a
    list, and the order of a dict is kept.  Where that cannot be (an enum, a namedtuple, an OrderedDict, any subclass)
    encode refuses and says what to store instead; it never stores something similar.
 2. decode raises CorruptValueError and nothing else, whatever the bytes, in time and memory linear in their number.
    Decoding never imports, calls or names anything that the bytes name: there is no pickle in here.  Of ARRAY and
    BUFFER it raises UnsupportedTypeError where numpy is missing, or the machine has no such elements.
 3. encode needs no lock, but a container that another thread changes meanwhile raises RuntimeError as any loop does.

JSON text is made by the C encoder of the standard library, after one walk in Python that looks at the type of each
element, because the encoder itself would store a namedtuple as a list and an IntEnum as an int.
"""

import array
import datetime
import enum
import json
from json import encoder as _json_encoder

from .. import errors, limits
from . import arrays, buffers, json_text, scalars, tagged

BYTES = 0
STR = 1
INT = 2
FLOAT = 3
BOOL = 4
NONE = 5
JSON = 6
TAGGED = 7
DATETIME = 8
ARRAY = 9
BUFFER = 10
PICKLE = 11
LIST, HASH, SET, ZSET, STREAM = 16, 17, 18, 19, 20
QUEUE, GRANTS, SCHEDULES = 21, 22, 23
TOPIC = 24

NAMES = ("bytes", "str", "int", "float", "bool", "none", "json", "tagged", "datetime", "array", "buffer", "pickle")

# Structures (engine/structures) lie with the coordinator; a record of theirs only says where, and has no payload.
STRUCTURE_NAMES = {LIST: "list", HASH: "hash", SET: "set", ZSET: "zset", STREAM: "stream", QUEUE: "queue",
                   GRANTS: "grants", SCHEDULES: "schedules", TOPIC: "topic"}

# Decoded values of these types cannot change, so one object may be given to everybody who asks.  A read-only array is
# not among them, as its shape can be assigned to, nor is a memoryview, which anybody can release.
IMMUTABLE = frozenset((BYTES, STR, INT, FLOAT, BOOL, NONE, DATETIME))

# Payloads that are no text and mean nothing to a Redis client: what shows values shows them in base64.
BINARY = frozenset((ARRAY, BUFFER, PICKLE))

_FROM_ANY_BUFFER = BINARY | frozenset((BYTES, STR))  # their decoders take a memoryview as it is
_PLAIN = frozenset((bool, type(None)))
_INT_AT_ONCE_MAX = scalars.INT_AT_ONCE_MAX
_INT_AT_ONCE_MIN = -_INT_AT_ONCE_MAX
_NOT_PLAIN = -1


# -- encoding ---------------------------------------------------------------------------------------------------------


def encode(value):
    """Turn a value into (type, payload).

    Raises:
        UnsupportedTypeError: its exact type, or that of something inside, is not in the table above.
        ValueTooLargeError: an int of more than limits.INT_DIGITS_MAX digits, or a value without end.
        UsageError: nested deeper than limits.VALUE_DEPTH_MAX, or containing itself.
    Cost: 0.1-0.3 us for bytes, str and int; 1-2 us for a small dict, then about 50 ns an element; 5-15 us for an
    array, and one copy of it (encode_parts makes none).

    >>> encode({"a": [1, None]})
    (6, b'{"a":[1,null]}')
    >>> encode((1, 2))
    (7, b'{"$tuple":[1,2]}')
    """
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    value_type, parts = _parts_of_memory(value)
    return value_type, b"".join(parts)


def encode_parts(value):
    """Turn a value into (type, parts): bytes-like objects, contiguous and of bytes, which joined are encode's payload.

    The memory of bytes, bytearray, memoryview, array.array and numpy arrays is not copied: the parts refer to it, so
    that the value must not change until they have been written, and a bytearray or array.array cannot be resized as
    long.  An array that is neither in C nor in Fortran order is copied once.  Of everything else there is one part.

    Raises: as encode.

    >>> encode_parts(bytearray(b"abc"))[1][0].obj
    bytearray(b'abc')
    """
    encoder = _PART_ENCODERS.get(type(value), _parts_of_memory)
    if encoder is not None:
        return encoder(value)
    value_type, payload = encode(value)
    return value_type, [payload]


def payload_size(parts):
    """How many bytes the payload of these parts has."""
    return sum(map(len, parts))


def _parts_of_memory(value):
    numpy = arrays.numpy_of(type(value))
    if numpy is None:
        raise _unsupported(value)
    return ARRAY, arrays.pack(value, numpy)


def _parts_of_view(value):
    try:
        if not value.c_contiguous:
            raise errors.UnsupportedTypeError(
                "cannot store a memoryview that is not contiguous; store value.tobytes()")
        if value.format == "B" and value.ndim == 1:
            return BYTES, [value]
        return BUFFER, buffers.pack_view(value)
    except ValueError as error:
        raise errors.UsageError("cannot store a memoryview that was released") from error


def _encode_joined(value):
    value_type, parts = _PART_ENCODERS[type(value)](value)
    return value_type, b"".join(parts)


def _encode_bytes(value):
    return BYTES, value


def _encode_str(value):
    return STR, value.encode("utf-8", "surrogatepass")


def _encode_int(value):
    if _INT_AT_ONCE_MIN <= value <= _INT_AT_ONCE_MAX:
        return INT, b"%d" % value
    return INT, scalars.int_text(value)


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
    bytearray: lambda value: (BYTES, bytes(value)),
    memoryview: _encode_joined,
    array.array: _encode_joined,
}

# Of types whose payload is made anyway: for who does not want memory to be copied by encode.
PLAIN_ENCODERS = {kind: encoder for kind, encoder in _ENCODERS.items()
                  if kind not in (bytearray, memoryview, array.array)}

_PART_ENCODERS = dict.fromkeys(_ENCODERS)  # None: encode, whose payload is the one part
_PART_ENCODERS.update({
    bytes: lambda value: (BYTES, [value]),
    bytearray: lambda value: (BYTES, [memoryview(value)]),
    memoryview: _parts_of_view,
    array.array: lambda value: (BUFFER, buffers.pack_array(value)),
})


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
    if kind.__module__ == "array" or any(base.__module__.partition(".")[0] == "numpy" for base in kind.__mro__):
        return _advice_on_arrays(kind)
    for base in (bool, int, float, str, bytes, list, dict, tuple, set, frozenset, datetime.datetime, datetime.date):
        if isinstance(value, base):
            return "only %s itself is carried, not its subclasses; store %s" % (base.__name__, {
                datetime.datetime: "a datetime made of its fields", datetime.date: "a date made of its fields",
            }.get(base, base.__name__ + "(value)"))
    if hasattr(kind, "__dataclass_fields__"):
        return "store dataclasses.asdict(value)"
    if kind.__module__ in ("decimal", "fractions", "uuid", "pathlib", "ipaddress", "builtins") and kind is not object:
        return "store str(value), or list(value) of an iterable"
    return ("carried are None, bool, int, float, str, bytes, datetime, date, time, timedelta, and list, tuple, dict,"
            " set, frozenset of those; convert it to one of them")


def _advice_on_arrays(kind):
    names = [base.__name__ for base in kind.__mro__]
    if names[0] in ("ndarray", "array"):
        return "inside a container store value.tolist(), or give each array a key of its own"
    if "MaskedArray" in names:
        return "store value.filled(), or value.data and value.mask"
    if "ndarray" in names:
        return "only ndarray itself is carried, not its subclasses; store numpy.asarray(value), which copies nothing"
    if "generic" in names:
        return "store value.item(), or numpy.asarray(value) to keep its dtype"
    return "store value.tolist(), or value.tobytes() and its type"


# -- decoding ---------------------------------------------------------------------------------------------------------


def decode(value_type, payload):
    """The value of a payload (bytes, or a memoryview of bytes) of the given type.

    An ARRAY, and a memoryview of type BUFFER, lie on the payload itself.  They keep alive what is below a memoryview
    (its obj), not the memoryview: releasing it takes nothing from them.

    Raises:
        CorruptValueError: there is no such type, or the bytes are not of it.
        UnsupportedTypeError: of an array, where numpy is missing; of a pickle.
    Cost: 0.1-0.3 us for the types up to NONE, 1-2 us for a datetime or a small dict, 5-12 us for an array of
    any size.

    >>> decode(6, b'{"a":[1,null]}')
    {'a': [1, None]}
    """
    if not 0 <= value_type < len(DECODERS):
        raise errors.CorruptValueError("value type %d is not a byte" % value_type)
    if type(payload) is not bytes and value_type not in _FROM_ANY_BUFFER:
        payload = bytes(payload)
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
        value = _scan_plain(payload)
    except (ValueError, StopIteration) as error:
        raise _corrupt(JSON, payload, error) from error
    except RecursionError as error:
        raise _corrupt(JSON, payload, _TOO_DEEP) from error
    if type(value) is not dict and type(value) is not list:
        raise _corrupt(JSON, payload, "neither an object nor an array")
    return value


def _decode_tagged(payload):
    try:
        value = _scan_tagged(payload)
    except (ValueError, TypeError, OverflowError, StopIteration) as error:
        raise _corrupt(TAGGED, payload, error) from error
    except RecursionError as error:
        raise _corrupt(TAGGED, payload, _TOO_DEEP) from error
    if type(value) in _SCALARS:
        raise _corrupt(TAGGED, payload, "neither an object nor an array")
    return value


def _decode_array(payload):
    try:
        return arrays.unpack(payload)
    except ValueError as error:
        raise _corrupt(ARRAY, payload, error) from error


def _decode_buffer(payload):
    try:
        return buffers.unpack_typed(payload)
    except ValueError as error:
        raise _corrupt(BUFFER, payload, error) from error


def _decode_pickle(payload):
    raise errors.UnsupportedTypeError('stored is a pickle, which only a grid opened with attach(codec="pickle") reads')


_SCALARS = frozenset((str, int, float, bool, type(None)))
_TOO_DEEP = "nested deeper than this interpreter, so deep inside a recursion, can follow"
_scan_plain = json_text.make_scan()
_scan_tagged = json_text.make_scan(object_hook=tagged.untag)


def _unknown_decoder(value_type):
    def decode_unknown(payload):
        raise errors.CorruptValueError("value type %d is unknown here; was it written by a newer nosqgrid?"
                                       % value_type)
    return decode_unknown


# DECODERS[type](payload) is decode() of bytes without the call around it.  Every byte has an entry, so that a type read
# from the arena is never out of range.
DECODERS = [bytes, _decode_str, _decode_int, _decode_float, _decode_bool, _decode_none, _decode_json, _decode_tagged,
            _decode_datetime, _decode_array, _decode_buffer, _decode_pickle]
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

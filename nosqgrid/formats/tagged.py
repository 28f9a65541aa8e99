"""The escape form: JSON text that also carries the Python values JSON has no word for.

An object with exactly one member whose name begins with "$" is an escape, everything else is plain JSON:

    {"$tuple": [1, 2]}                       {"$bytes": "AAEC"}                  base64
    {"$set": [1, 2]}                         {"$float": "nan"}                   nan, inf, -inf
    {"$frozenset": [1, 2]}                   {"$int": "123..."}                  more than 640 digits
    {"$dict": [[1, "one"], [null, 0]]}       {"$datetime": "2020-10-25T02:30:00+01:00"}
    {"$timedelta": [days, seconds, us]}      {"$date": "2020-10-25"}             {"$time": "02:30:00"}

A dict travels as $dict when a key is not a str, and also when it would itself look like an escape, so that
{"$tuple": [1]} comes back as the dict it was.  Escapes nest.  Decoding is one pass of the JSON scanner, whose
object_hook sees the innermost object first: what an escape stands for is never looked at again, so it cannot turn into
another one.

Python's hash of a number or a tuple has no secret, so a set could be prepared whose elements all collide and that takes
hours to build.  Neither side accepts one: see is_spread.

Rejected: a type byte before each element (a Redis client would see binary), and pickle or marshal (they run or crash on
hostile bytes).
"""

import base64
import collections
import datetime
import math

from .. import errors, limits
from . import scalars

_PLAIN = frozenset((str, bool, type(None)))
_FLOATS = frozenset(("nan", "inf", "-inf"))


def tag(value, refuse):
    """The JSON tree of a value: dicts with str keys, lists, str, int, float, bool and None only.

    Args:
        refuse: called with a value whose exact type is not carried; returns the exception to raise.
    Raises:
        UsageError: deeper than limits.VALUE_DEPTH_MAX, or a container that contains itself.
        ValueTooLargeError: an int with too many digits; more elements than limits.VALUE_SIZE_BYTES_MAX has room for.
    Cost: 1-2 us for each container, below 1 us for each element.
    """
    return _Tagger(refuse).tag(value)


class _Tagger:
    """One walk over one value; `path` holds the identities of the containers around the present one.

    `room` is how many bytes of text may still come.  It ends the walk over a value that is small in memory but refers
    to the same parts so often that its text would never end (x = [x, x], sixty times).
    """

    def __init__(self, refuse):
        self.refuse = refuse
        self.path = []
        self.room = limits.VALUE_SIZE_BYTES_MAX

    def tag(self, value):
        kind = type(value)
        if kind in _PLAIN:
            return value
        write = _SCALAR_WRITERS.get(kind)
        if write is not None:
            return write(value)
        name = _CONTAINERS.get(kind)
        if name is None:
            raise self.refuse(value)
        identity = id(value)
        if identity in self.path:
            raise errors.UsageError("cannot store a %s that contains itself" % kind.__name__)
        if len(self.path) >= limits.VALUE_DEPTH_MAX:
            raise errors.UsageError("cannot store a value nested deeper than %d levels; store its parts under keys of"
                                    " their own" % limits.VALUE_DEPTH_MAX)
        self.room -= 2 * len(value) + 1
        if self.room < 0:
            raise errors.ValueTooLargeError("cannot store a value of more than %d bytes of JSON text"
                                            % limits.VALUE_SIZE_BYTES_MAX)
        if kind is not list and kind is not tuple and not is_spread(value):
            raise errors.UsageError("cannot store a %s with more than %d elements of one hash value; store it as a list"
                                    % (kind.__name__, limits.HASH_COLLISIONS_MAX))
        self.path.append(identity)
        tree = self.tag_dict(value) if kind is dict else [self.tag(item) for item in value]
        self.path.pop()
        return tree if kind is dict or kind is list else {name: tree}

    def tag_dict(self, value):
        for key in value:
            if type(key) is not str:
                break
        else:
            if not (len(value) == 1 and key[:1] == "$"):
                return {key: self.tag(item) for key, item in value.items()}
        return {"$dict": [[self.tag(key), self.tag(item)] for key, item in value.items()]}


def is_spread(items):
    """Whether the hash values of some elements are different enough for a set or dict of them.

    Cost: nothing up to limits.HASH_COLLISIONS_MAX elements, then 0.1 us an element.
    """
    if len(items) <= limits.HASH_COLLISIONS_MAX:
        return True
    return max(collections.Counter(map(hash, items)).values()) <= limits.HASH_COLLISIONS_MAX


_CONTAINERS = {dict: "$dict", list: "", tuple: "$tuple", set: "$set", frozenset: "$frozenset"}


def _tag_int(value):
    if -scalars.INT_AT_ONCE_MAX <= value <= scalars.INT_AT_ONCE_MAX:
        return value
    return {"$int": scalars.int_text(value).decode("ascii")}


def _tag_float(value):
    return value if math.isfinite(value) else {"$float": repr(value)}


_SCALAR_WRITERS = {
    int: _tag_int,
    float: _tag_float,
    bytes: lambda value: {"$bytes": base64.b64encode(value).decode("ascii")},
    datetime.datetime: lambda value: {"$datetime": scalars.datetime_text(value).decode("ascii")},
    datetime.date: lambda value: {"$date": scalars.date_text(value).decode("ascii")},
    datetime.time: lambda value: {"$time": scalars.datetime_text(value).decode("ascii")},
    datetime.timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}


def untag(members):
    """The object_hook of the JSON scanner: what an object stands for.

    Raises:
        ValueError, TypeError, OverflowError: an escape that tag() never writes.
    """
    if len(members) != 1:
        return members
    for name, body in members.items():
        if name[:1] != "$":
            return members
        reader = _READERS.get(name)
        if reader is None:
            raise ValueError("unknown escape %.40r" % name)
        expected, read = reader
        if type(body) is not expected:
            raise ValueError("%s needs a %s, not a %s" % (name, expected.__name__, type(body).__name__))
        return read(body)


def _dict_from(pairs):
    for pair in pairs:
        if type(pair) is not list or len(pair) != 2:
            raise ValueError("$dict needs pairs")
    return _built(dict, pairs, [key for key, _ in pairs])


def _built(container, items, hashed):
    """The set or dict of some items, of which the hashed parts are all different and do not collide."""
    if not is_spread(hashed):
        raise ValueError("more than %d elements of one hash value" % limits.HASH_COLLISIONS_MAX)
    value = container(items)
    if len(value) != len(items):
        raise ValueError("a set or dict holds an element twice")
    return value


def _bytes_from(text):
    value = base64.b64decode(text.encode("ascii"))
    if base64.b64encode(value).decode("ascii") != text:
        raise ValueError("$bytes is not base64")
    return value


def _float_from(text):
    if text not in _FLOATS:
        raise ValueError("$float is for nan, inf and -inf")
    return float(text)


def _timedelta_from(parts):
    if len(parts) != 3 or any(type(part) is not int for part in parts):
        raise ValueError("$timedelta needs days, seconds and microseconds")
    return datetime.timedelta(*parts)


_READERS = {
    "$tuple": (list, tuple),
    "$set": (list, lambda items: _built(set, items, items)),
    "$frozenset": (list, lambda items: _built(frozenset, items, items)),
    "$dict": (list, _dict_from),
    "$bytes": (str, _bytes_from),
    "$float": (str, _float_from),
    "$int": (str, lambda text: scalars.int_from(text.encode("ascii"))),
    "$datetime": (str, lambda text: scalars.datetime_from(text.encode("ascii"))),
    "$date": (str, lambda text: scalars.date_from(text.encode("ascii"))),
    "$time": (str, lambda text: scalars.time_from(text.encode("ascii"))),
    "$timedelta": (list, _timedelta_from),
}

"""Commands on hashes.  What is computed (HINCRBY, HINCRBYFLOAT) is logged as the value that came out."""

from ... import errors
from ...formats import resp
from ..structures.hashes import Hash
from . import numbers
from .command import (INT64_MAX, INT64_MIN, READ, READ_FAST, WRITE_FAST, WRITE_FAST_OOM, Command, integer,
                      parse_integer, syntax_error, wrong_arity)
from .members import choose, random_count, scan_step, there


def hset(context, args):
    """Set fields of a hash; how many of them are new."""
    return _set_pairs(context, args, b"HSET")


def hmset(context, args):
    """Set fields of a hash."""
    _set_pairs(context, args, b"HMSET")
    return resp.OK


def _set_pairs(context, args, name):
    if not len(args) & 1:
        raise wrong_arity(name)
    key, keyspace = args[0], context.keyspace
    found = keyspace.structure(key, Hash)
    words = args[:]
    words[0] = b"hset"
    if found is not None:
        before = len(found.items)
        keyspace.change(key, found, words)
        added = len(found.items) - before
    else:
        keyspace.update(key, None, Hash, words)
        added = 1 if len(args) == 3 else len(set(args[1::2]))
    context.notify(b"h", b"hset", key)
    return added


def hsetnx(context, args):
    """Set a field that is not there; whether it was not."""
    key, field, value = args
    found = context.keyspace.structure(key, Hash)
    if found is not None and field in found.items:
        return 0
    context.keyspace.update(key, found, Hash, [b"hset", field, value])
    context.notify(b"h", b"hset", key)
    return 1


def hget(context, args):
    """The value of a field."""
    found = context.keyspace.structure(args[0], Hash)
    return None if found is None else found.items.get(args[1])


def hmget(context, args):
    """The values of fields."""
    found = context.keyspace.structure(args[0], Hash)
    return [None] * (len(args) - 1) if found is None else list(map(found.items.get, args[1:]))


def hgetall(context, args):
    """All fields and their values."""
    found = context.keyspace.structure(args[0], Hash)
    return resp.Map(() if found is None else found.items.items())


def hkeys(context, args):
    """All fields."""
    found = context.keyspace.structure(args[0], Hash)
    return [] if found is None else list(found.items)


def hvals(context, args):
    """All values."""
    found = context.keyspace.structure(args[0], Hash)
    return [] if found is None else list(found.items.values())


def hlen(context, args):
    """How many fields there are."""
    found = context.keyspace.structure(args[0], Hash)
    return 0 if found is None else len(found.items)


def hexists(context, args):
    """Whether a field is there."""
    found = context.keyspace.structure(args[0], Hash)
    return int(found is not None and args[1] in found.items)


def hstrlen(context, args):
    """How long the value of a field is, in bytes; 0 without it."""
    found = context.keyspace.structure(args[0], Hash)
    return 0 if found is None else len(found.items.get(args[1], b""))


def hdel(context, args):
    """Remove fields; how many were there."""
    key = args[0]
    found = context.keyspace.structure(key, Hash)
    if found is None:
        return 0
    items = found.items
    fields = there(args, items)
    if not fields:
        return 0
    context.keyspace.change(key, found, [b"hdel"] + fields)
    context.notify(b"h", b"hdel", key)
    if not items:
        context.notify(b"g", b"del", key)
    return len(fields)


def hincrby(context, args):
    """Add to the integer in a field; its new value."""
    key, field, word = args
    amount = integer(word)
    found = context.keyspace.structure(key, Hash)
    value = None if found is None else found.items.get(field)
    old = 0 if value is None else parse_integer(value)
    if old is None:
        raise errors.CommandError("hash value is not an integer")
    new = old + amount
    if not INT64_MIN <= new <= INT64_MAX:
        raise errors.CommandError("increment or decrement would overflow")
    context.keyspace.update(key, found, Hash, [b"hset", field, b"%d" % new])
    context.notify(b"h", b"hincrby", key)
    return new


def hincrbyfloat(context, args):
    """Add a decimal fraction to the number in a field; its new value as text."""
    key, field, word = args
    amount = _float(word, numbers.NOT_A_FLOAT, "value is NaN or Infinity")
    found = context.keyspace.structure(key, Hash)
    value = None if found is None else found.items.get(field)
    old = (0, 0) if value is None else _float(value, "hash value is not a float", None)
    text = numbers.float_text(numbers.add_floats(old, amount))
    context.keyspace.update(key, found, Hash, [b"hset", field, text])
    context.notify(b"h", b"hincrbyfloat", key)
    return text


def _float(word, none_text, infinite_text):
    """parse_float() with other words where it refuses."""
    try:
        return numbers.parse_float(word)
    except errors.CommandError as error:
        message = none_text if str(error) == numbers.NOT_A_FLOAT else infinite_text or str(error)
    raise errors.CommandError(message)


def hrandfield(context, args):
    """One field at random, or as many as are asked for: count [WITHVALUES]."""
    if len(args) == 1:
        found = context.keyspace.structure(args[0], Hash)
        return None if found is None else found.random(context.random_bits)
    count = random_count(args[1])
    if len(args) > 2:
        if len(args) > 3 or args[2].upper() != b"WITHVALUES":
            raise syntax_error()
        if not -INT64_MAX // 2 < count <= INT64_MAX // 2:
            raise errors.CommandError("value is out of range")
    found = context.keyspace.structure(args[0], Hash)
    if found is None:
        return []
    fields = choose(found, count, context.random_bits)
    if len(args) == 2:
        return fields
    items = found.items
    if context.session.protocol == 3:
        return [[field, items[field]] for field in fields]
    return [word for field in fields for word in (field, items[field])]


def hscan(context, args):
    """One step of a walk over the fields and their values: MATCH pattern, COUNT number."""
    found, cursor, fields = scan_step(context, args, Hash)
    return [b"%d" % cursor, [word for field in fields for word in (field, found.items[field])]]


COMMANDS = (
    Command(b"HSET", hset, -4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"HMSET", hmset, -4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"HSETNX", hsetnx, 4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"HGET", hget, 3, READ_FAST, 1, 1, 1),
    Command(b"HMGET", hmget, -3, READ_FAST, 1, 1, 1),
    Command(b"HGETALL", hgetall, 2, READ, 1, 1, 1),
    Command(b"HKEYS", hkeys, 2, READ, 1, 1, 1),
    Command(b"HVALS", hvals, 2, READ, 1, 1, 1),
    Command(b"HLEN", hlen, 2, READ_FAST, 1, 1, 1),
    Command(b"HEXISTS", hexists, 3, READ_FAST, 1, 1, 1),
    Command(b"HSTRLEN", hstrlen, 3, READ_FAST, 1, 1, 1),
    Command(b"HDEL", hdel, -3, WRITE_FAST, 1, 1, 1),
    Command(b"HINCRBY", hincrby, 4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"HINCRBYFLOAT", hincrbyfloat, 4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"HRANDFIELD", hrandfield, -2, READ, 1, 1, 1),
    Command(b"HSCAN", hscan, -3, READ, 1, 1, 1),
)

"""DUMP and RESTORE: values as Redis dumps them, which go to a Redis and come from one (formats/rdb).

A value that is more than bytes to a Python program comes back as bytes.  Cost: 60 ns a byte for the checksum, and some
0.5 us for each element of a collection, in one go.
"""

from ... import errors
from ...formats import rdb, resp, values
from ..structures.portable import content_of, structure_of
from .command import INT64_MAX, READ, WRITE_OOM, Command, command_error, integer, syntax_error

_FREQUENCY_MAX = 255


def dump(context, args):
    """The dump of what a key has, without its deadline; null without a key."""
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return None
    if entry.structure is None:
        return rdb.pack(values.BYTES, entry.value)
    return rdb.pack(entry.structure.TYPE, content_of(entry.structure))


def restore(context, args):
    """Let a key have what a dump stands for: key ttl dump [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]."""
    key, ttl_word, dumped = args[:3]
    replace, absolute = _restore_options(args[3:])
    keyspace = context.keyspace
    there = keyspace.type_of(key) is not None
    if there and not replace:
        raise command_error("Target key name already exists.", "BUSYKEY")
    ttl_ms = integer(ttl_word)
    if ttl_ms < 0:
        raise errors.CommandError("Invalid TTL value, must be >= 0")
    value_type, content = _read(dumped)
    deadline_ms = _deadline(keyspace, ttl_ms, absolute)
    if deadline_ms and deadline_ms <= keyspace.now_ms:
        if keyspace.delete(key):
            context.notify(b"g", b"del", key)
        return resp.OK
    if value_type == values.BYTES:
        keyspace.store(key, value_type, content, deadline_ms)
    else:
        keyspace.put(key, content, deadline_ms)
    context.notify(b"g", b"restore", key)
    return resp.OK


def _restore_options(words):
    """(whether to replace, whether the TTL is a time)."""
    replace = absolute = False
    idle_given = frequency_given = False
    index = 0
    while index < len(words):
        option, following = words[index].upper(), len(words) - index - 1
        if option == b"REPLACE":
            replace = True
        elif option == b"ABSTTL":
            absolute = True
        elif option == b"IDLETIME" and following and not frequency_given:
            index += 1
            idle_given = True
            if integer(words[index]) < 0:
                raise errors.CommandError("Invalid IDLETIME value, must be >= 0")
        elif option == b"FREQ" and following and not idle_given:
            index += 1
            frequency_given = True
            if not 0 <= integer(words[index]) <= _FREQUENCY_MAX:
                raise errors.CommandError("Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise syntax_error()
        index += 1
    return replace, absolute


def _read(dumped):
    """(type, bytes or a new structure) of a dump."""
    if not rdb.is_sealed(dumped):
        raise errors.CommandError("DUMP payload version or checksum are wrong")
    try:
        value_type, content = rdb.unpack(dumped)
        return value_type, content if value_type == values.BYTES else structure_of(value_type, content)
    except errors.CorruptValueError:
        raise errors.CommandError("Bad data format") from None


def _deadline(keyspace, ttl_ms, absolute):
    if not ttl_ms:
        return 0
    deadline_ms = ttl_ms + keyspace.now_ms - (keyspace.wall_ms() if absolute else 0)
    return min(deadline_ms, INT64_MAX) or -1  # 0 would mean never


COMMANDS = (
    Command(b"DUMP", dump, 2, READ, 1, 1, 1),
    Command(b"RESTORE", restore, -4, WRITE_OOM, 1, 1, 1),
)

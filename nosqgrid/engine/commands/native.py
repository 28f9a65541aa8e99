"""The commands that the grid's own client sends: values with their types, versions, and deadlines as the grid counts.

Redis clients may send them too; nothing here trusts its words.  Deadlines are milliseconds of the monotonic clock, the
one clock that all processes of a machine read alike; 0 means never.

    NOSQGRID.SET key value type deadline_ms mode version    the new version, or null when refused
        mode -  always      NX  only if absent      XX  only if present
             VERSION  only if the present version is `version`; 0 means: only if absent
        deadline_ms -1 keeps the one it has
    NOSQGRID.GETV key                      [type, value, deadline_ms, version] or null
    NOSQGRID.POP key                       [type, value] or null; deletes it
    NOSQGRID.DEADLINE key deadline_ms      1, or 0 without such a key
    NOSQGRID.ADD key by                    the sum: ints of any size, as Python has them
    NOSQGRID.SCAN cursor count prefix      [cursor, [key, ...]]; cursor 0 begins and ends
    NOSQGRID.STATS                         a map
"""

from ... import errors, limits
from ...formats import hashing, resp, scalars, values
from .. import databases
from . import deadlines
from .command import INT64_MAX, PLAIN, READ, READ_FAST, WRITE_FAST, Command, bounded

_TYPE_MAX = len(values.NAMES) - 1  # what nobody can decode is not stored either: no log could be read that has it
_KEEP = b"-1"
_NUMERIC_TYPES = (values.INT, values.BYTES, values.STR)


def set_(context, args):
    """Store a typed value if a condition holds."""
    key, value, type_word, deadline_word, mode, version_word = args
    value_type = bounded(type_word, _TYPE_MAX, "type")
    version = bounded(version_word, INT64_MAX, "version")
    keyspace = context.keyspace
    if mode == b"-" and deadline_word != _KEEP:
        return keyspace.store(key, value_type, value, deadline_of(deadline_word, None))
    entry = keyspace.lookup(key)
    if not condition_holds(mode, version, entry):
        return None
    return keyspace.store(key, value_type, value, deadline_of(deadline_word, entry))


def deadline_of(word, entry):
    """The deadline that a word asks for: -1 keeps that of the present entry, or None."""
    if word == _KEEP:
        return 0 if entry is None else entry.deadline_ms
    return bounded(word, limits.TTL_MS_MAX, "deadline")


def condition_holds(mode, version, entry):
    """Whether the present entry, or None, is as NOSQGRID.SET's mode wants it."""
    if mode == b"-":
        return True
    if mode == b"NX":
        return entry is None
    if mode == b"XX":
        return entry is not None
    if mode == b"VERSION":
        return version == (0 if entry is None else entry.version)
    raise errors.CommandError("mode must be -, NX, XX or VERSION")


def getv(context, args):
    """A value with its type, deadline and version."""
    entry = context.keyspace.lookup(args[0])
    return None if entry is None else [entry.type, entry.value, entry.deadline_ms, entry.version]


def pop(context, args):
    """Get and delete."""
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return None
    value = entry.value  # where that is refused, nothing is deleted
    context.keyspace.delete(args[0])
    return [entry.type, value]


def deadline(context, args):
    """Give a key a deadline, or none; one that has passed deletes it."""
    keyspace, key = context.keyspace, args[0]
    deadline_ms = bounded(args[1], limits.TTL_MS_MAX, "deadline")
    if keyspace.lookup(key) is None:
        return 0
    if deadline_ms == 0:
        keyspace.set_deadline(key, 0)
    else:
        deadlines.move(keyspace, key, deadline_ms)
    return 1


def add(context, args):
    """Add to an int of any size; an absent key counts as 0."""
    keyspace, key = context.keyspace, args[0]
    amount = _int_of(args[1], "the amount")
    entry = keyspace.lookup(key)
    if entry is None:
        keyspace.store(key, values.INT, scalars.int_text(amount))
        return amount
    if entry.type not in _NUMERIC_TYPES:
        raise errors.WrongTypeError("Operation against a key holding the wrong kind of value")
    total = _int_of(entry.value, "the stored value") + amount
    keyspace.store(key, values.INT, scalars.int_text(total), entry.deadline_ms)
    return total


def _int_of(word, what):
    try:
        return scalars.int_from(word)
    except ValueError:
        raise errors.NotANumberError("%s is not an integer" % what) from None


def scan(context, args):
    """One step of a walk over the keys of database 0 with a prefix."""
    cursor = bounded(args[0], (1 << hashing.HASH_BITS) - 1, "cursor")
    count = max(1, bounded(args[1], INT64_MAX, "count"))
    prefix = args[2]
    cursor, keys = context.keyspace.scan(cursor, min(count, limits.SCAN_COUNT_MAX))
    if any(context.keyspace.databases.counts):
        keys = [key for key in keys if not databases.number_of(key)]
    return [cursor, [key for key in keys if key.startswith(prefix)] if prefix else keys]


def stats(context, args):
    """The coordinator's numbers."""
    return resp.Map(context.server.stats())


COMMANDS = (
    Command(b"NOSQGRID.SET", set_, 7, WRITE_FAST, 1, 1, 1),
    Command(b"NOSQGRID.GETV", getv, 2, READ_FAST, 1, 1, 1),
    Command(b"NOSQGRID.POP", pop, 2, WRITE_FAST, 1, 1, 1),
    Command(b"NOSQGRID.DEADLINE", deadline, 3, WRITE_FAST, 1, 1, 1),
    Command(b"NOSQGRID.ADD", add, 3, WRITE_FAST, 1, 1, 1),
    Command(b"NOSQGRID.SCAN", scan, 4, READ),
    Command(b"NOSQGRID.STATS", stats, 1, PLAIN),
)

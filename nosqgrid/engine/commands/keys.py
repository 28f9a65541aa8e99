"""Commands on keys whatever their values: deleting, looking for them, and their deadlines.

SCAN passes on the keyspace's own guarantee: a key that is there from the first call to the last is returned, whatever
is written meanwhile.  COUNT is bounded, so that one call is a short piece of work; KEYS is the whole walk at once, as
in Redis, and belongs into a terminal, not into a program.
"""

from ... import errors, limits
from ...formats import hashing, resp
from .. import glob
from . import deadlines
from .command import READ, READ_FAST, UINT64_MAX, WRITE, WRITE_FAST, Command, integer, shown, syntax_error

_SCAN_COUNT_DEFAULT = 10
_SECOND_MS = 1000
_NO_KEY = -2
_NO_DEADLINE = -1
_CURSOR_BITS = hashing.HASH_BITS


def delete(context, args):
    """Delete keys; how many were there."""
    keyspace_delete = context.keyspace.delete
    return sum(1 for key in args if keyspace_delete(key))


def exists(context, args):
    """How many of the keys are there; one that is named twice counts twice."""
    lookup = context.keyspace.lookup
    return sum(1 for key in args if lookup(key) is not None)


def type_(context, args):
    """The type of a value: "string" or "none"."""
    return resp.Simple("none" if context.keyspace.lookup(args[0]) is None else "string")


# -- finding keys -----------------------------------------------------------------------------------------------------


def scan(context, args):
    """One step of a walk over all keys: MATCH pattern, COUNT number, TYPE name."""
    cursor = _cursor(args[0])
    count, pattern, type_name = _scan_options(args[1:])
    if cursor >> _CURSOR_BITS:
        # No cursor of ours: behind the last key.
        return [b"0", []]
    cursor, keys = context.keyspace.scan(cursor, min(count, limits.SCAN_COUNT_MAX))
    if pattern is not None:
        keys = [key for key in keys if pattern.matches(key)]
    if type_name not in (None, b"string"):
        keys = []
    return [b"%d" % cursor, keys]


def _cursor(word):
    if not word.isdigit() or len(word) > 20:
        raise errors.CommandError("invalid cursor")
    cursor = int(word)
    if cursor > UINT64_MAX:
        raise errors.CommandError("invalid cursor")
    return cursor


def _scan_options(words):
    count, pattern, type_name = _SCAN_COUNT_DEFAULT, None, None
    for index in range(0, len(words), 2):
        option = words[index].upper()
        if index + 1 == len(words):
            raise syntax_error()
        word = words[index + 1]
        if option == b"COUNT":
            count = integer(word)
            if count < 1:
                raise syntax_error()
        elif option == b"MATCH":
            pattern = glob.Glob(word)
        elif option == b"TYPE":
            type_name = word.lower()
        else:
            raise syntax_error()
    return count, pattern, type_name


def keys_(context, args):
    """Every key that a pattern describes.  Cost: a walk over all keys."""
    pattern = glob.Glob(args[0])
    # A walk without writes between its steps meets no key twice; a dict also makes sure of it.
    found, cursor = {}, 0
    while True:
        cursor, keys = context.keyspace.scan(cursor, limits.SCAN_COUNT_MAX)
        found.update((key, None) for key in keys if pattern.matches(key))
        if not cursor:
            return list(found)


def randomkey(context, args):
    """Some key: the first one met from a random position on."""
    keyspace = context.keyspace
    cursor = context.random_bits(_CURSOR_BITS)
    while cursor:
        cursor, keys = keyspace.scan(cursor, 1)
        if keys:
            return keys[0]
    while True:
        cursor, keys = keyspace.scan(cursor, 1)
        if keys or not cursor:
            return keys[0] if keys else None


# -- deadlines --------------------------------------------------------------------------------------------------------


def _expire_function(name, unit_ms, absolute):
    def expire(context, args):
        options = _expire_options(args[2:])
        keyspace, key = context.keyspace, args[0]
        deadline_ms = deadlines.from_amount(keyspace, integer(args[1]), unit_ms, absolute, name)
        entry = keyspace.lookup(key)
        if entry is None or not _may_expire(entry.deadline_ms, deadline_ms, options):
            return 0
        deadlines.move(keyspace, key, deadline_ms)
        return 1
    expire.__doc__ = "Give a key a deadline %s; NX XX GT LT." % ("at a time" if absolute else "from now")
    return expire


def _expire_options(words):
    options = set()
    for word in words:
        option = word.upper()
        if option not in (b"NX", b"XX", b"GT", b"LT"):
            raise errors.CommandError("Unsupported option %s" % shown(word))
        options.add(option)
    if b"NX" in options and len(options) > 1:
        raise errors.CommandError("NX and XX, GT or LT options at the same time are not compatible")
    if b"GT" in options and b"LT" in options:
        raise errors.CommandError("GT and LT options at the same time are not compatible")
    return options


def _may_expire(old_ms, new_ms, options):
    """Whether the options allow the change; no deadline is later than all."""
    if not options:
        return True
    if b"NX" in options:
        return not old_ms
    if b"XX" in options and not old_ms:
        return False
    if b"GT" in options:
        return bool(old_ms) and new_ms > old_ms
    if b"LT" in options:
        return not old_ms or new_ms < old_ms
    return True


def persist(context, args):
    """Take a key's deadline away; 1 if it had one."""
    entry = context.keyspace.lookup(args[0])
    if entry is None or not entry.deadline_ms:
        return 0
    context.keyspace.set_deadline(args[0], 0)
    return 1


def pttl(context, args):
    """Milliseconds until a key's deadline; -1 without one, -2 without a key."""
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return _NO_KEY
    return entry.deadline_ms - context.keyspace.now_ms if entry.deadline_ms else _NO_DEADLINE


def pexpiretime(context, args):
    """A key's deadline in milliseconds since 1970; -1 without one, -2 without a key."""
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return _NO_KEY
    return deadlines.to_wall_ms(context.keyspace, entry.deadline_ms) if entry.deadline_ms else _NO_DEADLINE


def ttl(context, args):
    """The same as PTTL in seconds, rounded to the nearest."""
    return _to_seconds(pttl(context, args))


def expiretime(context, args):
    """The same as PEXPIRETIME in seconds, rounded to the nearest."""
    return _to_seconds(pexpiretime(context, args))


def _to_seconds(ms):
    return ms if ms < 0 else (ms + _SECOND_MS // 2) // _SECOND_MS


COMMANDS = (
    Command(b"DEL", delete, -2, WRITE, 1, -1, 1),
    Command(b"UNLINK", delete, -2, WRITE_FAST, 1, -1, 1),
    Command(b"EXISTS", exists, -2, READ_FAST, 1, -1, 1),
    Command(b"TOUCH", exists, -2, READ_FAST, 1, -1, 1),
    Command(b"TYPE", type_, 2, READ_FAST, 1, 1, 1),
    Command(b"SCAN", scan, -2, READ),
    Command(b"KEYS", keys_, 2, READ),
    Command(b"RANDOMKEY", randomkey, 1, READ),
    Command(b"EXPIRE", _expire_function("expire", _SECOND_MS, False), -3, WRITE_FAST, 1, 1, 1),
    Command(b"PEXPIRE", _expire_function("pexpire", 1, False), -3, WRITE_FAST, 1, 1, 1),
    Command(b"EXPIREAT", _expire_function("expireat", _SECOND_MS, True), -3, WRITE_FAST, 1, 1, 1),
    Command(b"PEXPIREAT", _expire_function("pexpireat", 1, True), -3, WRITE_FAST, 1, 1, 1),
    Command(b"PERSIST", persist, 2, WRITE_FAST, 1, 1, 1),
    Command(b"TTL", ttl, 2, READ_FAST, 1, 1, 1),
    Command(b"PTTL", pttl, 2, READ_FAST, 1, 1, 1),
    Command(b"EXPIRETIME", expiretime, 2, READ_FAST, 1, 1, 1),
    Command(b"PEXPIRETIME", pexpiretime, 2, READ_FAST, 1, 1, 1),
)

"""Commands on the deadlines of keys: the EXPIRE family, PERSIST, and what asks for them."""

from ... import errors
from . import deadlines
from .command import READ_FAST, WRITE_FAST, Command, integer, shown

_SECOND_MS = 1000
_NO_KEY = -2
_NO_DEADLINE = -1


def _expire_function(name, unit_ms, absolute):
    def expire(context, args):
        options = _expire_options(args[2:])
        keyspace, key = context.keyspace, args[0]
        deadline_ms = deadlines.from_amount(keyspace, integer(args[1]), unit_ms, absolute, name)
        entry = keyspace.lookup(key)
        if entry is None or not _may_expire(entry.deadline_ms, deadline_ms, options):
            return 0
        context.notify(b"g", deadlines.move(keyspace, key, deadline_ms), key)
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
    context.notify(b"g", b"persist", args[0])
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

"""Commands on whole values and parts of them: GET, SET and their relatives, APPEND, GETRANGE, SETRANGE.

Redis has one type of string; the grid's values also say what they are to a Python program (formats/values).  What a
Redis client stores is bytes.  A change of a part keeps str where the old value was one and the result still is UTF-8.

MSET and MSETNX store all or nothing: they run in a batch, and if one store is refused, those before it are taken back
(Redis is atomic here by not being refused; a full grid would otherwise leave half of the pairs behind).
"""

from ... import errors, limits
from ...formats import resp, values
from . import deadlines
from .command import (READ, READ_FAST, WRITE_FAST, WRITE_FAST_OOM, WRITE_OOM, WRITE_SEVERAL_OOM, Command, integer,
                      syntax_error, wrong_arity)

EMBEDDED_BYTES_MAX = 44  # of a string that Redis keeps in one piece with its header
_PATCHED_MAX = 1000  # strings changed in part that are noted, with keys of up to
_PATCHED_KEY_BYTES_MAX = 1024
_SECOND_MS = 1000
_TOO_LONG = "string exceeds maximum allowed size (proto-max-bulk-len)"


def get(context, args):
    """The value of a key."""
    entry = context.keyspace.lookup(args[0])
    return None if entry is None else entry.value


def set_(context, args):
    """Store a value; options as in Redis: NX XX GET KEEPTTL EX PX EXAT PXAT."""
    if len(args) == 2:
        key, value = args
        context.keyspace.store(key, values.BYTES, value)
        context.notify(b"$", b"set", key)
        return resp.OK
    condition, wants_old, expiry = _read_set_options(args)
    keyspace = context.keyspace
    deadline_ms = expiry.deadline_ms(keyspace, "set")
    expires = deadline_ms is not None
    entry = keyspace.lookup(args[0])
    old = entry.value if wants_old and entry is not None else None
    if condition and (condition == b"NX") == (entry is not None):
        return old if wants_old else None
    if expiry.name == b"KEEPTTL" and entry is not None:
        deadline_ms = entry.deadline_ms
    deadlines.put(keyspace, args[0], values.BYTES, args[1], deadline_ms or 0)
    context.notify(b"$", b"set", args[0])
    if expires:
        context.notify(b"g", b"expire", args[0])
    return old if wants_old else resp.OK


def _read_set_options(args):
    condition, wants_old, expiry, index = None, False, deadlines.ExpiryOption(b"KEEPTTL"), 2
    while index < len(args):
        option = args[index].upper()
        if option in (b"NX", b"XX") and condition in (None, option):
            condition = option
            index += 1
        elif option == b"GET":
            wants_old = True
            index += 1
        else:
            index = expiry.take(args, index)
            if not index:
                raise syntax_error()
    return condition, wants_old, expiry


def setnx(context, args):
    """Store a value if the key is not there; 1 or 0."""
    if context.keyspace.lookup(args[0]) is not None:
        return 0
    context.keyspace.store(args[0], values.BYTES, args[1])
    context.notify(b"$", b"set", args[0])
    return 1


def setex(context, args):
    """Store a value for so many seconds."""
    return _set_for(context, args, _SECOND_MS, "setex")


def psetex(context, args):
    """Store a value for so many milliseconds."""
    return _set_for(context, args, 1, "psetex")


def _set_for(context, args, unit_ms, command_name):
    key, amount, value = args
    keyspace = context.keyspace
    deadline_ms = deadlines.positive_deadline(keyspace, amount, unit_ms, False, command_name)
    deadlines.put(keyspace, key, values.BYTES, value, deadline_ms)
    context.notify(b"$", b"set", key)
    context.notify(b"g", b"expire", key)
    return resp.OK


def getset(context, args):
    """Store a value and return the one before it."""
    old = get(context, args)
    context.keyspace.store(args[0], values.BYTES, args[1])
    context.notify(b"$", b"set", args[0])
    return old


def getdel(context, args):
    """Return a value and delete its key."""
    old = get(context, args)
    if old is not None:
        context.keyspace.delete(args[0])
        context.notify(b"g", b"del", args[0])
    return old


def getex(context, args):
    """Return a value and change its deadline: EX PX EXAT PXAT PERSIST."""
    expiry, index = deadlines.ExpiryOption(b"PERSIST"), 1
    while index < len(args):
        index = expiry.take(args, index)
        if not index:
            raise syntax_error()
    keyspace, key = context.keyspace, args[0]
    entry = keyspace.lookup(key)
    if entry is None:
        return None
    value = entry.value
    deadline_ms = expiry.deadline_ms(keyspace, "getex")
    if deadline_ms is not None:
        deadlines.move(keyspace, key, deadline_ms)
        context.notify(b"g", b"expire" if deadline_ms > keyspace.now_ms else b"del", key)
    elif expiry.name == b"PERSIST" and entry.deadline_ms:
        keyspace.set_deadline(key, 0)
        context.notify(b"g", b"persist", key)
    return value


def mget(context, args):
    """The values of several keys, null where there is none."""
    lookup = context.keyspace.lookup
    entries = [lookup(key) for key in args]
    return [None if entry is None or entry.structure is not None else entry.value for entry in entries]


def mset(context, args):
    """Store several pairs, all or none."""
    if len(args) % 2:
        raise wrong_arity(b"MSET")
    _store_all(context, args)
    return resp.OK


def msetnx(context, args):
    """Store several pairs if none of the keys is there; 1 or 0."""
    if len(args) % 2:
        raise wrong_arity(b"MSETNX")
    lookup = context.keyspace.lookup
    if any(lookup(key) is not None for key in args[::2]):
        return 0
    _store_all(context, args)
    return 1


def _store_all(context, args):
    store = context.keyspace.store
    for index in range(0, len(args), 2):
        store(args[index], values.BYTES, args[index + 1])
    # Not before all are stored: a store that is refused takes back those before it.
    for key in args[::2]:
        context.notify(b"$", b"set", key)


def append(context, args):
    """Add bytes at the end; the new length."""
    key, added = args
    entry = context.keyspace.lookup(key)
    if entry is None:
        context.keyspace.store(key, values.BYTES, added)
        length = len(added)
    else:
        length = entry.size_bytes + len(added)
        check_length(length)
        store_changed(context.keyspace, key, entry, entry.value + added)
    context.notify(b"$", b"append", key)
    return length


def strlen(context, args):
    """The length of a value in bytes."""
    entry = context.keyspace.lookup(args[0])
    return 0 if entry is None else entry.size_bytes


def getrange(context, args):
    """A part of a value; negative positions count from its end, and both ends belong to it."""
    start, end = integer(args[1]), integer(args[2])
    entry = context.keyspace.lookup(args[0])
    if entry is None:
        return b""
    size = entry.size_bytes
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + size if start < 0 else start)
    end = min(size - 1, max(0, end + size if end < 0 else end))
    return entry.value[start:end + 1] if start <= end else b""


def setrange(context, args):
    """Overwrite a part of a value, zeros between its end and the part; the new length."""
    key, word, part = args
    start = integer(word)
    if start < 0:
        raise errors.CommandError("offset is out of range")
    entry = context.keyspace.lookup(key)
    size = 0 if entry is None else entry.size_bytes
    if not part:
        return size
    # Before anything of that size is made.
    check_length(start + len(part))
    old = b"" if entry is None else entry.value
    changed = b"%b%b%b" % (old[:start].ljust(start, b"\x00"), part, old[start + len(part):])
    store_changed(context.keyspace, key, entry, changed)
    context.notify(b"$", b"setrange", key)
    return len(changed)


def check_length(size_bytes):
    """CommandError where no value may become so long."""
    if size_bytes > limits.VALUE_SIZE_BYTES_MAX:
        raise errors.CommandError(_TOO_LONG)


def store_changed(keyspace, key, entry, changed):
    """Store a value of which a part changed; `entry` is what the key had, or None.  Its deadline stays.

    Redis keeps such a value in the "raw" encoding until it is set as a whole, and clients can see that: so the last of
    the short ones are noted, with the version that vouches for the note.
    """
    if entry is None:
        version = keyspace.store(key, values.BYTES, changed)
    else:
        value_type = values.STR if entry.type == values.STR and _is_utf8(changed) else values.BYTES
        version = keyspace.store(key, value_type, changed, entry.deadline_ms)
    if len(changed) <= EMBEDDED_BYTES_MAX and len(key) <= _PATCHED_KEY_BYTES_MAX:
        keyspace.patched[key] = version
        if len(keyspace.patched) > _PATCHED_MAX:
            keyspace.patched.popitem(last=False)


def _is_utf8(payload):
    """Whether formats/values reads it back as a str."""
    try:
        payload.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


COMMANDS = (
    Command(b"GET", get, 2, READ_FAST, 1, 1, 1),
    Command(b"SET", set_, -3, WRITE_OOM, 1, 1, 1),
    Command(b"SETNX", setnx, 3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"SETEX", setex, 4, WRITE_OOM, 1, 1, 1),
    Command(b"PSETEX", psetex, 4, WRITE_OOM, 1, 1, 1),
    Command(b"GETSET", getset, 3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"GETDEL", getdel, 2, WRITE_FAST, 1, 1, 1),
    Command(b"GETEX", getex, -2, WRITE_FAST, 1, 1, 1),
    Command(b"MGET", mget, -2, READ_FAST, 1, -1, 1),
    Command(b"MSET", mset, -3, WRITE_SEVERAL_OOM, 1, -1, 2),
    Command(b"MSETNX", msetnx, -3, WRITE_SEVERAL_OOM, 1, -1, 2),
    Command(b"APPEND", append, 3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"STRLEN", strlen, 2, READ_FAST, 1, 1, 1),
    Command(b"GETRANGE", getrange, 4, READ, 1, 1, 1),
    Command(b"SUBSTR", getrange, 4, READ, 1, 1, 1),
    Command(b"SETRANGE", setrange, 4, WRITE_OOM, 1, 1, 1),
)

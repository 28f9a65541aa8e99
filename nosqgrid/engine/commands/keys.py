"""Commands on keys whatever their values: deleting, looking for them, other names for them, and OBJECT.

What finds keys is in walking.py, what gives them deadlines in expiring.py, what goes from one database to another in
selecting.py.
"""

from ... import errors
from ...formats import resp, values
from .. import databases
from .command import (READ, READ_FAST, WRITE, WRITE_FAST, WRITE_OOM, WRITE_SEVERAL, Command, container,
                      int32, parse_integer, syntax_error)
from .strings import EMBEDDED_BYTES_MAX

SAME_OBJECTS = "source and destination objects are the same"
_NO_SUCH_KEY = "no such key"
_OTHER_POLICY = ("An LFU maxmemory policy is %s, %s not tracked. Please note that when switching between policies at "
                 "runtime LRU and LFU data will take some time to adjust.")


def delete(context, args):
    """Delete keys; how many were there."""
    keyspace_delete, count = context.keyspace.delete, 0
    for key in args:
        if keyspace_delete(key):
            count += 1
            context.notify(b"g", b"del", key)
    return count


def exists(context, args):
    """How many of the keys are there; one that is named twice counts twice."""
    type_of = context.keyspace.type_of
    return sum(1 for key in args if type_of(key) is not None)


def type_(context, args):
    """The type of a value, or "none"."""
    return resp.Simple(type_name(context.keyspace.type_of(args[0])))


def type_name(value_type):
    """What Redis calls a type of formats/values; "none" for None."""
    return "none" if value_type is None else values.STRUCTURE_NAMES.get(value_type, "string")


# -- other names ------------------------------------------------------------------------------------------------------


def rename(context, args):
    """Let another key have what this one has."""
    key, new_key = args
    if not context.keyspace.rename(key, new_key):
        raise errors.CommandError(_NO_SUCH_KEY)
    if key != new_key:
        _notify_renamed(context, key, new_key)
    return resp.OK


def renamenx(context, args):
    """The same where the other has nothing; 1 or 0."""
    key, new_key = args
    type_of = context.keyspace.type_of
    if type_of(key) is None:
        raise errors.CommandError(_NO_SUCH_KEY)
    if type_of(new_key) is not None:
        return 0
    context.keyspace.rename(key, new_key)
    _notify_renamed(context, key, new_key)
    return 1


def _notify_renamed(context, key, new_key):
    context.notify(b"g", b"rename_from", key)
    context.notify(b"g", b"rename_to", new_key)


def copy(context, args):
    """Let another key have the same as this one: [DB number] [REPLACE]; 1 or 0."""
    key, new_key = args[:2]
    replace, number, index = False, context.session.database, 2
    while index < len(args):
        option = args[index].upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and index + 1 < len(args):
            index += 1
            number = database(args[index])
        else:
            raise syntax_error()
        index += 1
    if number != context.session.database:
        new_key = databases.prefix_of(number) + context.shown_key(new_key)
    if key == new_key:
        raise errors.CommandError(SAME_OBJECTS)
    keyspace = context.keyspace
    entry = keyspace.lookup(key)
    if entry is None or not replace and keyspace.type_of(new_key) is not None:
        return 0
    keyspace.store_entry(new_key, entry, None if entry.structure is None else entry.structure.copy())
    context.notify(b"g", b"copy_to", new_key)
    return 1


def database(word):
    """The number of a database that a word names."""
    number = int32(word)
    if not 0 <= number < databases.COUNT:
        raise errors.CommandError("DB index is out of range")
    return number


# -- OBJECT -----------------------------------------------------------------------------------------------------------


def object_encoding(context, args):
    """How Redis would keep a value."""
    entry = context.keyspace.lookup(args[0])
    return None if entry is None else encoding_of(context.keyspace, args[0], entry)


def encoding_of(keyspace, key, entry):
    """The encoding of what a key has: a structure knows, a string goes by its text."""
    if entry.structure is not None:
        return entry.structure.encoding()
    if keyspace.patched.get(key) == entry.version:
        return b"raw"
    if entry.size_bytes <= 20 and parse_integer(entry.value) is not None:
        return b"int"
    return b"embstr" if entry.size_bytes <= EMBEDDED_BYTES_MAX else b"raw"


def object_refcount(context, args):
    """1: no two keys share a value."""
    return None if context.keyspace.type_of(args[0]) is None else 1


def object_idletime(context, args):
    """0: nobody notes when a key was used last, only in which order.

    Refused where a client has chosen a policy that counts uses, as in Redis, but not where the grid itself counts them:
    that is how it starts, and programs that never heard of policies ask for the time.
    """
    if context.keyspace.type_of(args[0]) is None:
        return None
    if _counts_uses(context, {}):
        raise errors.CommandError(_OTHER_POLICY % ("selected", "idle time"))
    return 0


def object_freq(context, args):
    """How often a key was used lately, where that is counted, on a scale of Redis' own: at least 1, as it is there."""
    if context.keyspace.type_of(args[0]) is None:
        return None
    if not _counts_uses(context, context.server.config()):
        raise errors.CommandError(_OTHER_POLICY % ("not selected", "access frequency"))
    return 1


def _counts_uses(context, real):
    """Whether the policy is one that counts uses: what a client has set, else what `real` says."""
    return "lfu" in context.server.settings.get("maxmemory-policy", real)


COMMANDS = (
    Command(b"DEL", delete, -2, WRITE, 1, -1, 1),
    Command(b"UNLINK", delete, -2, WRITE_FAST, 1, -1, 1),
    Command(b"EXISTS", exists, -2, READ_FAST, 1, -1, 1),
    Command(b"TOUCH", exists, -2, READ_FAST, 1, -1, 1),
    Command(b"TYPE", type_, 2, READ_FAST, 1, 1, 1),
    Command(b"RENAME", rename, 3, WRITE_SEVERAL, 1, 2, 1),
    Command(b"RENAMENX", renamenx, 3, WRITE_SEVERAL | {"fast"}, 1, 2, 1),
    Command(b"COPY", copy, -3, WRITE_OOM, 1, 2, 1),
    container(b"OBJECT", (
        (b"ENCODING", object_encoding, 3, READ, 2, 2, 1),
        (b"REFCOUNT", object_refcount, 3, READ, 2, 2, 1),
        (b"IDLETIME", object_idletime, 3, READ, 2, 2, 1),
        (b"FREQ", object_freq, 3, READ, 2, 2, 1),
    )),
)

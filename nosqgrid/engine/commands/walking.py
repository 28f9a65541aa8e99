"""Commands that find keys: SCAN, KEYS, RANDOMKEY, DBSIZE; each in the session's database alone.

SCAN passes on the keyspace's own guarantee: a key that is there from the first call to the last is returned, whatever
is written meanwhile.  COUNT is bounded, so that one call is a short piece of work; KEYS is the whole walk at once, as
in Redis, and belongs into a terminal, not into a program.

All databases are one keyspace: a walk over a small one passes the keys of the others.  Within a batch the index does
not have yet what the batch does; so what it wrote or deleted is left out of the walk, and what of it is there comes
at the end.
"""

from ... import limits
from ...formats import hashing
from .. import databases, glob
from .command import READ, READ_FAST, Command, integer, syntax_error
from .keys import type_name
from .members import read_cursor

_SCAN_COUNT_DEFAULT = 10
_CURSOR_BITS = hashing.HASH_BITS


def step(keyspace, database, cursor, count):
    """(next cursor, keys of a database): one step of a walk that looks at `count` keys of all."""
    cursor, keys = keyspace.walk(cursor, count)
    if keyspace.staging:
        staged = set(keyspace.staged_keys())
        keys = [key for key in keys if key not in staged]
        if not cursor:
            keys += [key for key in staged if keyspace.type_of(key) is not None]
    if database or any(keyspace.databases.counts) or keyspace.staging:
        number_of = databases.number_of
        keys = [key for key in keys if number_of(key) == database]
    return cursor, keys


def all_keys(keyspace, database):
    """Every key of a database, once.  Cost: a walk over all keys."""
    # A walk without writes between its steps meets no key twice; a dict also makes sure of it.
    found, cursor = {}, 0
    while True:
        cursor, keys = step(keyspace, database, cursor, limits.SCAN_COUNT_MAX)
        found.update(dict.fromkeys(keys))
        if not cursor:
            return list(found)


def scan(context, args):
    """One step of a walk over all keys: MATCH pattern, COUNT number, TYPE name."""
    cursor = read_cursor(args[0])
    count, pattern, wanted = _scan_options(args[1:])
    if cursor >> _CURSOR_BITS:
        # No cursor of ours: behind the last key.
        return [b"0", []]
    keyspace, shown_key = context.keyspace, context.shown_key
    cursor, keys = step(keyspace, context.session.database, cursor, min(count, limits.SCAN_COUNT_MAX))
    if pattern is not None:
        keys = [key for key in keys if pattern.matches(shown_key(key))]
    if wanted is not None:
        keys = [key for key in keys if type_name(keyspace.type_of(key)) == wanted]
    return [b"%d" % cursor, [shown_key(key) for key in keys] if context.session.database else keys]


def _scan_options(words):
    count, pattern, wanted = _SCAN_COUNT_DEFAULT, None, None
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
            wanted = word.lower().decode("utf-8", "replace")
        else:
            raise syntax_error()
    return count, pattern, wanted


def keys_(context, args):
    """Every key that a pattern describes.  Cost: a walk over all keys."""
    pattern = glob.Glob(args[0])
    names = map(context.shown_key, all_keys(context.keyspace, context.session.database))
    return [name for name in names if pattern.matches(name)]


def randomkey(context, args):
    """Some key: the first one met from a random position on.  In a small database among large ones: a walk."""
    keyspace, database = context.keyspace, context.session.database
    if not keyspace.databases.key_count(database, keyspace.key_count) and not keyspace.staging:
        return None
    for cursor in (context.random_bits(_CURSOR_BITS), 0):
        while True:
            cursor, keys = step(keyspace, database, cursor, 1)
            if keys:
                return context.shown_key(keys[0])
            if not cursor:
                break
    return None


def dbsize(context, args):
    """How many keys there are."""
    keyspace, database = context.keyspace, context.session.database
    count = keyspace.databases.key_count(database, keyspace.key_count)
    for key in keyspace.staged_keys():
        if databases.number_of(key) == database:
            count += (keyspace.type_of(key) is not None) - keyspace.has_record(key)
    return count


COMMANDS = (
    Command(b"SCAN", scan, -2, READ),
    Command(b"KEYS", keys_, 2, READ),
    Command(b"RANDOMKEY", randomkey, 1, READ),
    Command(b"DBSIZE", dbsize, 1, READ_FAST),
)

"""Commands on databases as a whole, and from one to another: SELECT, SWAPDB, MOVE, FLUSHDB, FLUSHALL.

All databases are one keyspace, their keys told apart by what they begin with (engine/databases).  So SWAPDB and FLUSHDB
cost as much as storing and deleting all keys that they are about, in one go, and a batch takes all of it or nothing;
only where a single database has keys is FLUSHDB as cheap as FLUSHALL.
"""

from ... import errors
from ...formats import resp
from .. import databases
from . import walking
from .command import CONNECTION_FAST, INT32_MAX, INT32_MIN, WRITE_ALONE, WRITE_SEVERAL, Command, parse_integer
from .command import syntax_error
from .keys import SAME_OBJECTS, database
from .run import as_write

_OUT_OF_RANGE = "DB index is out of range"


def select(context, args):
    """Choose the database of this session."""
    number = database(args[0])
    context.session.database = number
    context.session.changed()
    return resp.OK


def move(context, args):
    """Let another database have a key with all that it has; 1, or 0: it has that name, or there is no such key."""
    key, session, keyspace = args[0], context.session, context.keyspace
    number = database(args[1])
    if number == session.database:
        raise errors.CommandError(SAME_OBJECTS)
    new_key = databases.prefix_of(number) + context.shown_key(key)
    if keyspace.type_of(new_key) is not None or not keyspace.rename(key, new_key):
        return 0
    context.notify(b"g", b"move_from", key)
    context.notify(b"g", b"move_to", new_key)
    return 1


def swapdb(context, args):
    """Let two databases have each other's keys.  Cost: storing all of both anew."""
    first, second = (_index_of(word, "first" if not position else "second") for position, word in enumerate(args))
    if not 0 <= first < databases.COUNT or not 0 <= second < databases.COUNT:
        raise errors.CommandError(_OUT_OF_RANGE)
    if first != second:
        _swap(context.keyspace, first, second)
    return resp.OK


def _index_of(word, which):
    number = parse_integer(word)
    if number is None or not INT32_MIN <= number <= INT32_MAX:
        raise errors.CommandError("invalid %s DB index" % which)
    return number


def _swap(keyspace, first, second):
    names = {number: [key[len(databases.prefix_of(number)):] for key in walking.all_keys(keyspace, number)]
             for number in (first, second)}
    one, other = databases.prefix_of(first), databases.prefix_of(second)
    for name in dict.fromkeys(names[first] + names[second]):
        entries = keyspace.lookup(one + name), keyspace.lookup(other + name)
        for entry, key in zip(entries, (other + name, one + name)):
            if entry is None:
                keyspace.delete(key)
            else:
                keyspace.store_entry(key, entry)


def flushall(context, args):
    """Delete every key of every database; ASYNC and SYNC are the same here."""
    _check_flush(args)
    context.keyspace.clear()
    return resp.OK


def flushdb(context, args):
    """Delete every key of the session's database."""
    _check_flush(args)
    keyspace, number = context.keyspace, context.session.database
    if keyspace.databases.key_count(number, keyspace.key_count) == keyspace.key_count:
        keyspace.clear()
        return resp.OK

    context.tracking.flushed()

    def delete_all():
        for key in walking.all_keys(keyspace, number):
            keyspace.delete(key)
    as_write(keyspace, delete_all)
    return resp.OK


def _check_flush(args):
    if len(args) > 1 or args and args[0].upper() not in (b"ASYNC", b"SYNC"):
        raise syntax_error()


COMMANDS = (
    Command(b"SELECT", select, 2, CONNECTION_FAST),
    Command(b"MOVE", move, 3, WRITE_SEVERAL | {"fast"}, 1, 1, 1),
    Command(b"SWAPDB", swapdb, 3, WRITE_SEVERAL | {"fast"}),
    Command(b"FLUSHALL", flushall, -1, WRITE_ALONE),
    Command(b"FLUSHDB", flushdb, -1, WRITE_ALONE),
)

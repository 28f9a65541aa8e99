"""Commands on lists, but for those that wait (blocking_lists.py).

What a command takes out of a list is read first and then removed: by one change, whatever it takes.
"""

from ... import errors
from ...formats import resp
from ..structures.lists import List
from .command import (INT64_MIN, READ, READ_FAST, WRITE, WRITE_FAST, WRITE_FAST_OOM, WRITE_OOM, Command,
                      integer, parse_integer, syntax_error, wrong_arity)

LEFT, RIGHT = 0, -1
ENDS = {b"LEFT": LEFT, b"RIGHT": RIGHT}
_NOT_POSITIVE = "value is out of range, must be positive"
_RANK_ZERO = ("RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
              "or use negative to start from the end of the list")
_POP = {LEFT: b"lpop", RIGHT: b"rpop"}
_PUSH = {LEFT: b"lpush", RIGHT: b"rpush"}
_KEYNUM = frozenset(("write", "movablekeys"))


def end_of(word):
    """The end of a list that LEFT or RIGHT stands for."""
    end = ENDS.get(word.upper())
    if end is None:
        raise syntax_error()
    return end


def at_least(word, least, message):
    """The integer that a word stands for, `least` or more; a CommandError with this message otherwise."""
    number = parse_integer(word)
    if number is None or number < least:
        raise errors.CommandError(message)
    return number


# -- pushing and popping ----------------------------------------------------------------------------------------------


def _push_function(change, must_exist):
    def push(context, args):
        key, keyspace = args[0], context.keyspace
        found = keyspace.structure(key, List)
        words = [change, args[1]] if len(args) == 2 else [change] + args[1:]
        if found is not None:
            keyspace.change(key, found, words)
            length = len(found)
        elif must_exist:
            return 0
        else:
            keyspace.update(key, None, List, words)
            length = len(words) - 1
        context.notify(b"l", change, key)
        return length
    push.__doc__ = "Put elements %s%s; the new length." % (
        "before the first" if change == b"lpush" else "behind the last", ", if there is a list" * must_exist)
    return push


def _pop_function(end):
    change = _POP[end]
    words = [change]

    def pop(context, args):
        if len(args) > 1:
            return _pop_several(context, args, end)
        key, keyspace = args[0], context.keyspace
        found = keyspace.structure(key, List)
        if found is None:
            return None
        element = found.chunks[end][end]
        keyspace.change(key, found, words)
        context.notify(b"l", change, key)
        if not found.chunks[0]:
            context.notify(b"g", b"del", key)
        return element
    pop.__doc__ = "Remove the %s element, or so many, and return it." % ("last" if end else "first")
    return pop


def _pop_several(context, args, end):
    if len(args) > 2:
        raise wrong_arity(_POP[end])
    count = at_least(args[1], 0, _NOT_POSITIVE)
    found = context.keyspace.structure(args[0], List)
    if found is None:
        return resp.NULL_ARRAY
    return take(context, args[0], found, end, count) if count else []


def take(context, key, found, end, count):
    """Remove up to `count` elements, which is at least 1, from an end of a list; they, those nearest to it first."""
    length = len(found)
    count = min(count, length)
    if end == LEFT:
        elements = found.range(0, count)
    else:
        elements = found.range(length - count, length)
        elements.reverse()
    context.keyspace.change(key, found, [_POP[end], b"%d" % count] if count > 1 else [_POP[end]])
    tell_removed(context, key, found, _POP[end])
    return elements


def tell_removed(context, key, found, event):
    """Publish that something was removed from a list, and that it is gone if it is empty now."""
    context.notify(b"l", event, key)
    if not found.chunks[0]:
        context.notify(b"g", b"del", key)


# -- reading ----------------------------------------------------------------------------------------------------------


def llen(context, args):
    """How many elements a list has."""
    found = context.keyspace.structure(args[0], List)
    return 0 if found is None else len(found)


def lrange(context, args):
    """The elements from one index to another, both included; negative ones count from the end."""
    start, end = integer(args[1]), integer(args[2])
    found = context.keyspace.structure(args[0], List)
    return [] if found is None else found.range(*_bounds(start, end, len(found)))


def _bounds(start, end, length):
    """(first, behind the last) of a range that a client gave; equal where there is nothing in it."""
    if start < 0:
        start = max(start + length, 0)
    end = min(end + length if end < 0 else end, length - 1)
    return (start, end + 1) if start <= end else (0, 0)


def lindex(context, args):
    """The element at an index; a negative one counts from the end."""
    found = context.keyspace.structure(args[0], List)
    if found is None:
        return None
    index = integer(args[1])
    length = len(found)
    if index < 0:
        index += length
    return found.at(index) if 0 <= index < length else None


def lpos(context, args):
    """The index of an element: RANK the which, COUNT several of them, MAXLEN compare no more elements."""
    rank, count, limit = _read_lpos(args)
    found = context.keyspace.structure(args[0], List)
    if found is None:
        return None if count is None else []
    limit = limit or len(found)
    indexes = found.find(args[1], limit) if rank > 0 else found.find_last(args[1], limit)
    for _ in range(abs(rank) - 1):
        if next(indexes, None) is None:
            return None if count is None else []
    if count is None:
        return next(indexes, None)
    matched = []
    for index in indexes:
        matched.append(index)
        if len(matched) == count:
            break
    return matched


def _read_lpos(args):
    rank, count, limit = 1, None, 0
    for at in range(2, len(args), 2):
        option = args[at].upper()
        if at + 1 == len(args):
            raise syntax_error()
        if option == b"RANK":
            rank = integer(args[at + 1])
            if not rank:
                raise errors.CommandError(_RANK_ZERO)
        elif option == b"COUNT":
            count = at_least(args[at + 1], 0, "COUNT can't be negative")
        elif option == b"MAXLEN":
            limit = at_least(args[at + 1], 0, "MAXLEN can't be negative")
        else:
            raise syntax_error()
    if rank == INT64_MIN:  # what Redis makes of a number whose opposite is none
        rank, count = -1, None if count is None else 0
    return rank, count, limit


# -- changing ---------------------------------------------------------------------------------------------------------


def lset(context, args):
    """Put an element in the place of the one at an index."""
    key, keyspace = args[0], context.keyspace
    found = keyspace.structure(key, List)
    if found is None:
        raise errors.CommandError("no such key")
    index = integer(args[1])
    if index < 0:
        index += len(found)
    if not 0 <= index < len(found):
        raise errors.CommandError("index out of range")
    keyspace.change(key, found, [b"set", b"%d" % index, args[2]])
    context.notify(b"l", b"lset", key)
    return resp.OK


def linsert(context, args):
    """Put an element BEFORE or AFTER another; the new length, 0 without a list, -1 without the other."""
    key, where, pivot, element = args
    where = where.upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise syntax_error()
    found = context.keyspace.structure(key, List)
    if found is None:
        return 0
    index = next(found.find(pivot, len(found)), None)
    if index is None:
        return -1
    context.keyspace.change(key, found, [b"ins", b"%d" % (index + (where == b"AFTER")), element])
    context.notify(b"l", b"linsert", key)
    return len(found)


def lrem(context, args):
    """Remove elements equal to one: so many from the beginning, from the end where negative, all for 0."""
    key, count = args[0], integer(args[1])
    found = context.keyspace.structure(key, List)
    if found is None:
        return 0
    indexes = found.find(args[2], len(found)) if count >= 0 else found.find_last(args[2], len(found))
    matched = []
    for index in indexes:
        matched.append(b"%d" % index)
        if len(matched) == abs(count):
            break
    if not matched:
        return 0
    if count < 0:
        matched.reverse()
    context.keyspace.change(key, found, [b"del"] + matched)
    tell_removed(context, key, found, b"lrem")
    return len(matched)


def ltrim(context, args):
    """Keep the elements from one index to another, both included."""
    key, start, end = args[0], integer(args[1]), integer(args[2])
    found = context.keyspace.structure(key, List)
    if found is None:
        return resp.OK
    length = len(found)
    start, stop = _bounds(start, end, length)
    if start == stop:
        context.keyspace.delete(key)
        context.notify(b"l", b"ltrim", key)
        context.notify(b"g", b"del", key)
        return resp.OK
    context.keyspace.change(key, found, [b"trim", b"%d" % start, b"%d" % (length - stop)])
    context.notify(b"l", b"ltrim", key)
    return resp.OK


# -- from one list to another -----------------------------------------------------------------------------------------


def lmove(context, args):
    """Move an element from an end of a list to an end of another, or of the same; it."""
    source_end, target_end = end_of(args[2]), end_of(args[3])
    return move(context, args[0], args[1], source_end, target_end)


def rpoplpush(context, args):
    """Move the last element of a list before the first of another, or of the same; it."""
    return move(context, args[0], args[1], RIGHT, LEFT)


def move(context, source, target, source_end, target_end):
    """Move an element; it, or None where there is none.  In a batch.  Raises WrongTypeError."""
    keyspace = context.keyspace
    found = keyspace.structure(source, List)
    if found is None:
        return None
    other = keyspace.structure(target, List)
    element = found.chunks[source_end][source_end]
    if source == target:
        # In one change: a list of one element would be gone in between, and its deadline with it.
        turn = b"%d" % (target_end - source_end)
        keyspace.change(source, found, [b"rotate", turn])
    else:
        keyspace.update(target, other, List, [_PUSH[target_end], element])
        keyspace.change(source, found, [_POP[source_end]])
    context.notify(b"l", _PUSH[target_end], target)
    tell_removed(context, source, found, _POP[source_end])
    return element


def lmpop(context, args):
    """Remove elements from the first list that there is of several: LEFT or RIGHT, COUNT so many; its key and they."""
    keys, end, count = read_mpop(args)
    popped = pop_first(context, keys, end, count)
    return resp.NULL_ARRAY if popped is None else popped


def pop_first(context, keys, end, count):
    """What LMPOP does; None where there is no list.  Raises WrongTypeError."""
    for key in keys:
        found = context.keyspace.structure(key, List)
        if found is not None:
            return [context.shown_key(key), take(context, key, found, end, count)]
    return None


def read_mpop(args):
    """(keys, end, count) of `numkeys key... LEFT|RIGHT [COUNT count]`."""
    number = at_least(args[0], 1, "numkeys should be greater than 0")
    if number + 1 >= len(args):
        raise syntax_error()
    end, count = end_of(args[number + 1]), 1
    options = args[number + 2:]
    if options:
        if len(options) == 1 or options[0].upper() != b"COUNT":
            raise syntax_error()
        count = at_least(options[1], 1, "count should be greater than 0")
        if len(options) > 2:
            raise syntax_error()
    return args[1:number + 1], end, count


def counted_keys(at):
    """A Command's `keys` for those whose word number `at` says how many keys follow it."""
    def keys(words):
        number = parse_integer(words[at]) if at < len(words) else None
        if number is None or not 0 < number < len(words) - at:
            return ()
        return range(at + 1, at + 1 + number)
    return keys


COMMANDS = (
    Command(b"LPUSH", _push_function(b"lpush", False), -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"RPUSH", _push_function(b"rpush", False), -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"LPUSHX", _push_function(b"lpush", True), -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"RPUSHX", _push_function(b"rpush", True), -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"LPOP", _pop_function(LEFT), -2, WRITE_FAST, 1, 1, 1),
    Command(b"RPOP", _pop_function(RIGHT), -2, WRITE_FAST, 1, 1, 1),
    Command(b"LLEN", llen, 2, READ_FAST, 1, 1, 1),
    Command(b"LRANGE", lrange, 4, READ, 1, 1, 1),
    Command(b"LINDEX", lindex, 3, READ, 1, 1, 1),
    Command(b"LPOS", lpos, -3, READ, 1, 1, 1),
    Command(b"LSET", lset, 4, WRITE_OOM, 1, 1, 1),
    Command(b"LINSERT", linsert, 5, WRITE_OOM, 1, 1, 1),
    Command(b"LREM", lrem, 4, WRITE, 1, 1, 1),
    Command(b"LTRIM", ltrim, 4, WRITE, 1, 1, 1),
    Command(b"LMOVE", lmove, 5, WRITE_OOM | {"several"}, 1, 2, 1),
    Command(b"RPOPLPUSH", rpoplpush, 3, WRITE_OOM | {"several"}, 1, 2, 1),
    Command(b"LMPOP", lmpop, -4, _KEYNUM, 0, 0, 0, None, counted_keys(1)),
)

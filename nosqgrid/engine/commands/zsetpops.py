"""Taking the first or the last members out of sorted sets, and waiting for them."""

from ... import errors
from ...formats import resp
from ...errors import WrongTypeError
from ..structures.zsets import SortedSet
from . import scores
from .command import (WRITE, WRITE_FAST, Command, parse_integer, syntax_error, timeout)
from .zsets import remove

_FIRST, _LAST = b"zpopmin", b"zpopmax"
_ENDS = {b"MIN": _FIRST, b"MAX": _LAST}
BLOCKING_FAST = WRITE_FAST | {"blocking", "noscript"}
BLOCKING_MOVABLE = WRITE | {"blocking", "movablekeys"}
WRITE_MOVABLE = WRITE | {"movablekeys"}


def _pop(context, key, zset, count, event):
    """Take out so many members from one end, named by its event; [(member, score)]."""
    backward = event == _LAST
    if count == 1:
        pair = zset.at(len(zset) - 1 if backward else 0)
        remove(context, key, zset, [pair[0]], event)
        return [pair]
    order = zset.order
    spans = zset.spans(order.first(), order.end(), 0, count, backward)
    members, popped_scores = order.members_of(spans, backward), order.scores_of(spans, backward)
    remove(context, key, zset, members, event)
    return list(zip(members, popped_scores))


def _pop_one_key(context, args, event):
    if len(args) > 2:
        raise syntax_error()
    count = 1
    if len(args) == 2:
        count = parse_integer(args[1])
        if count is None or count < 0:
            raise errors.CommandError("value is out of range, must be positive")
    zset = context.keyspace.structure(args[0], SortedSet)
    if zset is None or not count:
        return []
    members, popped_scores = zip(*_pop(context, args[0], zset, count, event))
    return scores.rows(context, members, popped_scores, nested=len(args) == 2)


def zpopmin(context, args):
    """Take out the first member, or the first so many."""
    return _pop_one_key(context, args, _FIRST)


def zpopmax(context, args):
    """Take out the last member, or the last so many."""
    return _pop_one_key(context, args, _LAST)


def _first_set(context, keys, skips):
    """(key, set) of the first key that has one, or None; `skips`: keys with something else count as having none."""
    for key in keys:
        try:
            zset = context.keyspace.structure(key, SortedSet)
        except WrongTypeError:
            if not skips:
                raise
            continue
        if zset is not None:
            return key, zset
    return None


def _pop_or_wait(context, keys, timeout_s, pop):
    """What pop(context, key, set) makes of the first key that has a set, now or when there is one."""
    found = _first_set(context, keys, False)
    if found is not None:
        return pop(context, *found)

    def attempt(context, ready):
        found = _first_set(context, ready, True)
        return None if found is None else pop(context, *found)

    return context.block(keys, timeout_s, attempt, resp.NULL_ARRAY)


def _pop_first_or_wait(context, args, event):
    timeout_s = timeout(args[-1])

    def pop(context, key, zset):
        (member, score), = _pop(context, key, zset, 1, event)
        return [context.shown_key(key), member, resp.Double(score)]

    return _pop_or_wait(context, args[:-1], timeout_s, pop)


def bzpopmin(context, args):
    """Take out the first member of the first of several sets, or wait until there is one."""
    return _pop_first_or_wait(context, args, _FIRST)


def bzpopmax(context, args):
    """Take out the last member of the first of several sets, or wait until there is one."""
    return _pop_first_or_wait(context, args, _LAST)


# -- ZMPOP ------------------------------------------------------------------------------------------------------------


def _read_mpop(words):
    """(keys, event, count) of numkeys key [key ...] MIN|MAX [COUNT count]."""
    number = parse_integer(words[0])
    if number is None or number < 1:
        raise errors.CommandError("numkeys should be greater than 0")
    keys, rest = words[1:1 + number], words[1 + number:]
    event = _ENDS.get(rest[0].upper()) if rest else None
    if event is None:
        raise syntax_error()
    count = 1
    if len(rest) > 1:
        if len(rest) == 2 or rest[1].upper() != b"COUNT":
            raise syntax_error()
        count = parse_integer(rest[2])
        if count is None or count < 1:
            raise errors.CommandError("count should be greater than 0")
        if len(rest) > 3:
            raise syntax_error()
    return keys, event, count


def _popper(event, count):
    def pop(context, key, zset):
        pairs = _pop(context, key, zset, count, event)
        return [context.shown_key(key), [[member, resp.Double(score)] for member, score in pairs]]
    return pop


def zmpop(context, args):
    """Take members out of the first of several sets that has any: MIN or MAX, COUNT."""
    keys, event, count = _read_mpop(args)
    found = _first_set(context, keys, False)
    return resp.NULL_ARRAY if found is None else _popper(event, count)(context, *found)


def bzmpop(context, args):
    """The same, or wait until one has any."""
    keys, event, count = _read_mpop(args[1:])
    timeout_s = timeout(args[0])
    return _pop_or_wait(context, keys, timeout_s, _popper(event, count))


def keys_behind(position):
    """For Command.keys: the words behind the one at a position, which says how many of them are keys."""
    def keys(words):
        number = parse_integer(words[position]) if position < len(words) else None
        if number is None or number < 1 or position + number >= len(words):
            return ()
        return range(position + 1, position + 1 + number)
    return keys


COMMANDS = (
    Command(b"ZPOPMIN", zpopmin, -2, WRITE_FAST, 1, 1, 1),
    Command(b"ZPOPMAX", zpopmax, -2, WRITE_FAST, 1, 1, 1),
    Command(b"BZPOPMIN", bzpopmin, -3, BLOCKING_FAST, 1, -2, 1),
    Command(b"BZPOPMAX", bzpopmax, -3, BLOCKING_FAST, 1, -2, 1),
    Command(b"ZMPOP", zmpop, -4, WRITE_MOVABLE, keys=keys_behind(1)),
    Command(b"BZMPOP", bzmpop, -5, BLOCKING_MOVABLE, keys=keys_behind(2)),
)

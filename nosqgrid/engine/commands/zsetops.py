"""Several sets at once: union, intersection and difference of sorted sets and sets, answered, stored or counted.

Scores are multiplied by weights and joined as Redis joins them, the smaller sets first, so that sums have its last
digits; where a product or a sum is no number it counts as 0.
"""

from ... import errors
from ...errors import WrongTypeError
from ...formats import values
from ..stored import WRONG_TYPE
from ..structures.zsets import in_order
from . import floats, scores
from .command import READ, WRITE_OOM, Command, integer, parse_integer, syntax_error
from .zsetpops import keys_behind

READ_MOVABLE = READ | {"movablekeys"}
STORE_MOVABLE = WRITE_OOM | {"movablekeys"}


def scored(structure):
    """The elements of a sorted set or a set as a dict or list of (member, score); a set's have the score 1."""
    if structure.TYPE == values.ZSET:
        return structure.scores.items()
    return [(member, 1.0) for member in structure.listed()]


def _sum(left, right):
    total = left + right
    return total if total == total else 0.0


_JOINS = {
    b"SUM": _sum,
    b"MIN": lambda left, right: right if right < left else left,
    b"MAX": lambda left, right: right if right > left else left,
}


class _Operation(object):
    """The words of one command, read and checked: sources as [(structure or None, weight)]."""

    __slots__ = ("sources", "join", "with_scores", "limit")


def _read(context, words, name, stores, weighted, counts=False):
    operation = _Operation()
    number = integer(words[0])
    if number < 1:
        raise errors.CommandError("at least 1 input key is needed for '%s' command" % name)
    if number > len(words) - 1:
        raise syntax_error()
    structures = [_source(context, key) for key in words[1:1 + number]]
    weights = [1.0] * number
    operation.join, operation.with_scores, operation.limit = _sum, False, 0
    index = 1 + number
    while index < len(words):
        option, left = words[index].upper(), len(words) - index
        if weighted and option == b"WEIGHTS" and left > number:
            weights = [floats.number(word, "weight value is not a float")
                       for word in words[index + 1:index + 1 + number]]
            index += number
        elif weighted and option == b"AGGREGATE" and left > 1:
            operation.join = _JOINS.get(words[index + 1].upper())
            if operation.join is None:
                raise syntax_error()
            index += 1
        elif option == b"WITHSCORES" and not stores and not counts:
            operation.with_scores = True
        elif option == b"LIMIT" and counts and left > 1:
            limit = parse_integer(words[index + 1])
            if limit is None or limit < 0:
                raise errors.CommandError("LIMIT can't be negative")
            operation.limit = limit
            index += 1
        else:
            raise syntax_error()
        index += 1
    operation.sources = list(zip(structures, weights))
    return operation


def _source(context, key):
    entry = context.keyspace.lookup(key)
    if entry is None:
        return None
    structure = entry.structure
    if structure is None or structure.TYPE not in (values.ZSET, values.SET):
        raise WrongTypeError(WRONG_TYPE)
    return structure


def _length(source):
    return 0 if source[0] is None else len(source[0])


def _weighted(score, weight):
    product = score * weight
    return product if product == product else 0.0


def union(operation):
    """{member: score} of what any of the sources has."""
    joined, join = {}, operation.join
    for structure, weight in sorted(operation.sources, key=_length):
        if structure is None:
            continue
        if not joined and weight == 1 and structure.TYPE == values.ZSET:
            joined = dict(structure.pairs())  # in their order, for they will be sorted
            continue
        for member, score in scored(structure):
            score = _weighted(score, weight)
            old = joined.get(member)
            joined[member] = score if old is None else join(old, score)
    return joined


def intersection(operation):
    """{member: score} of what all of the sources have."""
    sources = sorted(operation.sources, key=_length)
    if sources[0][0] is None:
        return {}
    others = [(_getter(structure), weight) for structure, weight in sources[1:]]
    joined, join = {}, operation.join
    for member, score in scored(sources[0][0]):
        score = _weighted(score, sources[0][1])
        for get, weight in others:
            other = get(member)
            if other is None:
                break
            score = join(score, other * weight)  # where that is NaN, the smaller and the larger of both is the score
        else:
            joined[member] = score
            if len(joined) == operation.limit:
                break
    return joined


def _getter(structure):
    """member -> its score or None."""
    if structure.TYPE == values.ZSET:
        return structure.scores.get
    items = structure.items
    return lambda member: 1.0 if member in items else None


def difference(operation):
    """{member: score} of what the first source has and none of the others."""
    first = operation.sources[0][0]
    if first is None:
        return {}
    left = dict(scored(first))
    for structure, _ in operation.sources[1:]:
        if structure is None:
            continue
        if len(structure) > len(left):
            get = _getter(structure)
            left = {member: score for member, score in left.items() if get(member) is None}
        else:
            for member, _ in scored(structure):
                left.pop(member, None)
    return left


def _answer(function, name, weighted):
    def answer(context, args):
        operation = _read(context, args, name, False, weighted)
        found = function(operation)
        members = in_order(found)
        if operation.with_scores:
            return scores.rows(context, members, [found[member] for member in members])
        return members
    answer.__doc__ = "The %s of several sets%s." % (
        function.__name__, ": WEIGHTS AGGREGATE WITHSCORES" if weighted else ": WITHSCORES")
    return answer


def _store(function, name, weighted):
    event = name.encode("ascii")

    def store(context, args):
        operation = _read(context, args[1:], name, True, weighted)
        return scores.store_set(context, args[0], function(operation), event)
    store.__doc__ = "Store the %s of several sets; how many members." % function.__name__
    return store


def zintercard(context, args):
    """How many members all of several sets have: LIMIT."""
    return len(intersection(_read(context, args, "zintercard", False, False, counts=True)))


def _keys_and_target(words):
    sources = tuple(keys_behind(2)(words))
    return (1,) + sources if sources else ()


COMMANDS = (
    Command(b"ZUNION", _answer(union, "zunion", True), -3, READ_MOVABLE, keys=keys_behind(1)),
    Command(b"ZINTER", _answer(intersection, "zinter", True), -3, READ_MOVABLE, keys=keys_behind(1)),
    Command(b"ZDIFF", _answer(difference, "zdiff", False), -3, READ_MOVABLE, keys=keys_behind(1)),
    Command(b"ZUNIONSTORE", _store(union, "zunionstore", True), -4, STORE_MOVABLE, 1, 1, 1, keys=_keys_and_target),
    Command(b"ZINTERSTORE", _store(intersection, "zinterstore", True), -4, STORE_MOVABLE, 1, 1, 1,
            keys=_keys_and_target),
    Command(b"ZDIFFSTORE", _store(difference, "zdiffstore", False), -4, STORE_MOVABLE, 1, 1, 1,
            keys=_keys_and_target),
    Command(b"ZINTERCARD", zintercard, -3, READ_MOVABLE, keys=keys_behind(1)),
)

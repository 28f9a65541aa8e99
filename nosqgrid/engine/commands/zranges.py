"""Ranges of a sorted set: ZRANGE in all its forms, ZRANGESTORE, ZREMRANGEBY...

A range is of indexes, of scores or of members, forward or backward.  The five older commands are ZRANGE with a kind and
a direction that are settled.
"""

from ... import errors
from ..structures.zsets import SortedSet
from . import scores
from .command import READ, WRITE, WRITE_OOM, Command, integer, syntax_error
from .zsets import remove

_INDEX, _SCORE, _MEMBER = b"BYINDEX", b"BYSCORE", b"BYLEX"


class _Query(object):
    """What the words behind the key ask for."""

    __slots__ = ("kind", "backward", "with_scores", "offset", "limit")

    def __init__(self, kind, backward):
        self.kind = kind
        self.backward = backward
        self.with_scores = False
        self.offset, self.limit = 0, -1  # a negative limit is none


def _read(words, kind, backward, stores):
    """The _Query of the words behind both ends of the range; `kind` and `backward` None where they may say them."""
    query = _Query(kind, backward)
    index = 0
    while index < len(words):
        option = words[index].upper()
        if option == b"WITHSCORES" and not stores:
            query.with_scores = True
        elif option == b"LIMIT" and index + 2 < len(words):
            query.offset, query.limit = integer(words[index + 1]), integer(words[index + 2])
            index += 2
        elif query.backward is None and option == b"REV":
            query.backward = True
        elif query.kind is None and option in (_SCORE, _MEMBER):
            query.kind = option
        else:
            raise syntax_error()
        index += 1
    query.kind = query.kind or _INDEX
    if query.limit != -1 and query.kind == _INDEX:
        raise errors.CommandError("syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
    if query.kind == _INDEX:
        query.offset = 0  # LIMIT with -1 is let through, and means nothing
    if query.with_scores and query.kind == _MEMBER:
        raise errors.CommandError("syntax error, WITHSCORES not supported in combination with BYLEX")
    return query


def _ends(kind, low, high):
    if kind == _SCORE:
        return scores.score_range(low, high)
    if kind == _MEMBER:
        return scores.member_range(low, high)
    return integer(low), integer(high)


def _index_positions(zset, ends, backward=False):
    """The positions between which a set has the indexes from one to the other, both included."""
    low, high = ends
    total = len(zset)
    low = max(low + total if low < 0 else low, 0)
    high = min(high + total if high < 0 else high, total - 1)
    if low > high:
        return zset.order.first(), zset.order.first()
    if backward:
        low, high = total - 1 - high, total - 1 - low
    return zset.positions(low, high + 1)


def _found(zset, query, ends):
    """The spans of a set that a query asks for."""
    if query.kind == _INDEX:
        low, high = _index_positions(zset, ends, query.backward)
    else:
        positions = scores.score_positions if query.kind == _SCORE else scores.member_positions
        low, high = positions(zset, ends, query.backward)
        if low >= high or query.offset < 0:
            return ()
    return zset.spans(low, high, query.offset, query.limit, bool(query.backward))


def _range(context, args, kind=None, backward=None):
    key, low, high = args[:3]
    query = _read(args[3:], kind, backward, False)
    ends = _query_ends(query, low, high)
    zset = context.keyspace.structure(key, SortedSet)
    if zset is None:
        return []
    spans = _found(zset, query, ends)
    members = zset.order.members_of(spans, query.backward)
    if query.with_scores:
        return scores.rows(context, members, zset.order.scores_of(spans, query.backward))
    return members


def _query_ends(query, low, high):
    # Backward, a range of scores or members is written from its upper end.
    return _ends(query.kind, high, low) if query.backward and query.kind != _INDEX else _ends(query.kind, low, high)


def zrange(context, args):
    """The members of a range: BYSCORE BYLEX REV LIMIT WITHSCORES."""
    if len(args) > 3:
        return _range(context, args)
    key, low, high = args
    ends = integer(low), integer(high)
    zset = context.keyspace.structure(key, SortedSet)
    if zset is None:
        return []
    return zset.order.members_of(zset.spans(*_index_positions(zset, ends)))


def zrevrange(context, args):
    """The members of a range of indexes, counted from the end."""
    return _range(context, args, _INDEX, True)


def zrangebyscore(context, args):
    """The members with scores in a range: WITHSCORES LIMIT."""
    return _range(context, args, _SCORE, False)


def zrevrangebyscore(context, args):
    """The same from the last to the first."""
    return _range(context, args, _SCORE, True)


def zrangebylex(context, args):
    """The members that lie in a range, of a set with one score only: LIMIT."""
    return _range(context, args, _MEMBER, False)


def zrevrangebylex(context, args):
    """The same from the last to the first."""
    return _range(context, args, _MEMBER, True)


def zrangestore(context, args):
    """Store what ZRANGE would answer as a sorted set; how many members."""
    target, key, low, high = args[:4]
    query = _read(args[4:], None, None, True)
    ends = _query_ends(query, low, high)
    zset = context.keyspace.structure(key, SortedSet)
    chosen = {}
    if zset is not None:
        spans = _found(zset, query, ends)
        chosen = dict(zip(zset.order.members_of(spans), zset.order.scores_of(spans)))
    return scores.store_set(context, target, chosen, b"zrangestore")


# -- removing ---------------------------------------------------------------------------------------------------------


def _remove_range(context, args, kind, positions, event):
    key, low, high = args
    ends = _ends(kind, low, high)
    zset = context.keyspace.structure(key, SortedSet)
    if zset is None:
        return 0
    low, high = positions(zset, ends)
    members = zset.order.members_of(zset.spans(low, high)) if low < high else []
    if members:
        remove(context, key, zset, members, event)
    return len(members)


def zremrangebyrank(context, args):
    """Remove the members of a range of indexes; how many."""
    return _remove_range(context, args, _INDEX, _index_positions, b"zremrangebyrank")


def zremrangebyscore(context, args):
    """Remove the members with scores in a range; how many."""
    return _remove_range(context, args, _SCORE, scores.score_positions, b"zremrangebyscore")


def zremrangebylex(context, args):
    """Remove the members that lie in a range, of a set with one score only; how many."""
    return _remove_range(context, args, _MEMBER, scores.member_positions, b"zremrangebylex")


COMMANDS = (
    Command(b"ZRANGE", zrange, -4, READ, 1, 1, 1),
    Command(b"ZREVRANGE", zrevrange, -4, READ, 1, 1, 1),
    Command(b"ZRANGEBYSCORE", zrangebyscore, -4, READ, 1, 1, 1),
    Command(b"ZREVRANGEBYSCORE", zrevrangebyscore, -4, READ, 1, 1, 1),
    Command(b"ZRANGEBYLEX", zrangebylex, -4, READ, 1, 1, 1),
    Command(b"ZREVRANGEBYLEX", zrevrangebylex, -4, READ, 1, 1, 1),
    Command(b"ZRANGESTORE", zrangestore, -5, WRITE_OOM, 1, 2, 1),
    Command(b"ZREMRANGEBYRANK", zremrangebyrank, 4, WRITE, 1, 1, 1),
    Command(b"ZREMRANGEBYSCORE", zremrangebyscore, 4, WRITE, 1, 1, 1),
    Command(b"ZREMRANGEBYLEX", zremrangebylex, 4, WRITE, 1, 1, 1),
)

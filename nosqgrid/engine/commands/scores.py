"""What commands on sorted sets read and write: ranges of scores and of members, rows of members with scores.

The end of a range of scores may be beyond the range of a double, empty (which is 0) and have blanks in front, unlike a
score (floats.py).
"""

from ... import errors
from ...formats import resp
from ..structures.zsets import SortedSet
from . import floats

_BLANKS = b" \t\n\v\f\r"


def score_range(low, high):
    """((low, exclusive), (high, exclusive)) of two words such as b"1.5", b"(2" and b"+inf"."""
    return _score_end(low), _score_end(high)


def _score_end(word):
    exclusive = word[:1] == b"("
    text = word[1:] if exclusive else word
    end = text.find(b"\x00")
    if end >= 0:
        text = text[:end]
    value = floats.parse(text.lstrip(_BLANKS)) if text else 0.0
    if value is None:
        raise errors.CommandError("min or max is not a float")
    return value, exclusive


def member_range(low, high):
    """(low, high) of two words such as b"[a", b"(b", b"-" and b"+": each None at its open end, or (member, exclusive).

    Below everything is (None, False), above everything (None, True).
    """
    return _member_end(low), _member_end(high)


def _member_end(word):
    first = word[:1]
    if first in (b"[", b"("):
        return word[1:], first == b"("
    if word not in (b"-", b"+"):
        raise errors.CommandError("min or max not valid string range item")
    return None, word == b"+"


def score_positions(zset, ends, backward=False):
    """The positions (low, high) between which a set has what lies between two ends of score_range()."""
    (low, low_exclusive), (high, high_exclusive) = ends
    order = zset.order
    if low > high or low == high and (low_exclusive or high_exclusive):
        return order.first(), order.first()
    return (order.above_score(low) if low_exclusive else order.at_score(low),
            order.at_score(high) if high_exclusive else order.above_score(high))


def member_positions(zset, ends, backward=False):
    """The same for two ends of member_range(), of a set whose scores are all equal.

    Where they are not, a row of members in the range: the first, or backward the last.
    """
    (low, low_flag), (high, high_flag) = ends
    order = zset.order
    nothing = order.first(), order.first()
    if low is None and low_flag or high is None and not high_flag:
        return nothing
    if low is not None and high is not None and (low > high or low == high and (low_flag or high_flag)):
        return nothing
    if not order.uniform():
        return _mixed_positions(zset, ends, backward)
    score = order.scores[0][0]
    return (order.first() if low is None else order.place(score, low, behind=low_flag),
            order.end() if high is None else order.place(score, high, behind=not high_flag))


def _mixed_positions(zset, ends, backward):
    (low, low_exclusive), (high, high_exclusive) = ends
    order = zset.order
    members = order.members_of(zset.spans(order.first(), order.end()))

    def below(member):
        return low is not None and (member <= low if low_exclusive else member < low)

    def above(member):
        return high is not None and (member >= high if high_exclusive else member > high)

    if not members or below(members[-1]) or above(members[0]):
        return order.first(), order.first()
    start, stop = 0, len(members)
    if backward:
        stop = next((index + 1 for index in reversed(range(stop)) if not above(members[index])), 0)
        start = next((index + 1 for index in reversed(range(stop)) if below(members[index])), 0)
    else:
        start = next((index for index in range(stop) if not below(members[index])), stop)
        stop = next((index for index in range(start, stop) if above(members[index])), stop)
    return zset.position(start), zset.position(stop)


def rows(context, members, scores, nested=True):
    """The reply for members and their scores: flat, and in RESP3 each pair a list of its own."""
    doubles = map(resp.Double, scores)
    if nested and context.session.protocol == 3:
        return list(map(list, zip(members, doubles)))
    found = [None] * (2 * len(members))
    found[::2] = members
    found[1::2] = doubles
    return found


def store_set(context, key, scores, event):
    """Let a key have a sorted set of this dict, or nothing where it is empty; how many members."""
    keyspace = context.keyspace
    if scores:
        keyspace.put(key, SortedSet.of(scores))
        context.notify(b"z", event, key)
    elif keyspace.delete(key):
        context.notify(b"g", b"del", key)
    return len(scores)

"""Commands on sorted sets, one at a time: adding, removing, asking, popping, picking, walking.

Ranges are in zranges.py, several sets at once in zsetops.py, those that wait in zsetpops.py.
"""

from ... import errors, limits
from ...formats import resp
from ..structures.zsets import ADD, REMOVE, SortedSet, pack_score
from . import floats, members, scores
from .command import INT64_MAX, READ, READ_FAST, WRITE_FAST, WRITE_FAST_OOM, Command, integer, syntax_error

_OPTIONS = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))
_PICKS_MAX = 10000000


# -- adding and removing ----------------------------------------------------------------------------------------------


def zadd(context, args):
    """Give members scores: NX XX GT LT CH INCR; how many were added (CH: or changed; INCR: the new score)."""
    if len(args) == 3:
        key, word, member = args
        score = float(word) if word.isdigit() and len(word) < 300 else floats.parse_exactly(word)
        if score is not None:
            keyspace = context.keyspace
            found = keyspace.structure(key, SortedSet)
            old = None if found is None else found.scores.get(member)
            if old != score:
                keyspace.update(key, found, SortedSet, (ADD, pack_score(score), member))
                context.notify(b"z", b"zadd", key)
            return 1 if old is None else 0
    return add_pairs(context, args[0], *_read_add(args))


def _read_add(args):
    """(options, [(score, member)]) of the words of ZADD."""
    options, index = set(), 1
    while index < len(args) and args[index].upper() in _OPTIONS:
        options.add(args[index].upper())
        index += 1
    words = args[index:]
    if not words or len(words) % 2:
        raise syntax_error()
    if b"NX" in options and b"XX" in options:
        raise errors.CommandError("XX and NX options at the same time are not compatible")
    if len(options & {b"NX", b"GT", b"LT"}) > 1:
        raise errors.CommandError("GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and len(words) > 2:
        raise errors.CommandError("INCR option supports a single increment-element pair")
    return options, [(floats.number(word), member) for word, member in zip(words[::2], words[1::2])]


def add_pairs(context, key, options, pairs):
    """Do what ZADD with a set of options does for [(score, member)]."""
    found = context.keyspace.structure(key, SortedSet)
    increments = b"INCR" in options
    if found is None and b"XX" in options:
        return None if increments else 0
    now = found.scores if found is not None else {}
    words, changed, added, updated, score = [ADD], {}, 0, 0, None
    for score, member in pairs:
        old = changed.get(member, now.get(member))
        if old is None:
            if b"XX" in options:
                score = None
                continue
            added += 1
        else:
            score = _allowed(old, score, options, increments)
            if score is None or score == old:
                continue
            updated += 1
        changed[member] = score
        words += (pack_score(score), member)
    if changed:
        context.keyspace.update(key, found, SortedSet, words)
        context.notify(b"z", b"zincr" if increments else b"zadd", key)
    if increments:
        return None if score is None else resp.Double(score)
    return added + updated if b"CH" in options else added


def _allowed(old, score, options, increments):
    """The score that a member gets instead of its old one, or None where the options forbid it."""
    if b"NX" in options:
        return None
    if increments:
        score += old
        if score != score:
            raise errors.CommandError("resulting score is not a number (NaN)")
    if b"GT" in options and score <= old or b"LT" in options and score >= old:
        return None
    return score


def zincrby(context, args):
    """Add to the score of a member; its new score."""
    key, word, member = args
    if word.upper() in _OPTIONS:
        raise syntax_error()  # Redis reads it as ZADD's
    return add_pairs(context, key, (b"INCR",), [(floats.number(word), member)])


def zrem(context, args):
    """Remove members; how many were there."""
    key = args[0]
    found = context.keyspace.structure(key, SortedSet)
    if found is None:
        return 0
    there = [member for member in dict.fromkeys(args[1:]) if member in found.scores]
    if there:
        remove(context, key, found, there, b"zrem")
    return len(there)


def remove(context, key, found, removed, event):
    """Remove members that a set has, and say so."""
    context.keyspace.change(key, found, [REMOVE] + removed)
    context.notify(b"z", event, key)
    if not found.scores:
        context.notify(b"g", b"del", key)


# -- asking -----------------------------------------------------------------------------------------------------------


def zcard(context, args):
    """How many members a set has."""
    found = context.keyspace.structure(args[0], SortedSet)
    return 0 if found is None else len(found)


def zscore(context, args):
    """The score of a member."""
    found = context.keyspace.structure(args[0], SortedSet)
    score = None if found is None else found.scores.get(args[1])
    return None if score is None else resp.Double(score)


def zmscore(context, args):
    """The scores of several members."""
    found = context.keyspace.structure(args[0], SortedSet)
    get = {}.get if found is None else found.scores.get
    return [None if score is None else resp.Double(score) for score in map(get, args[1:])]


def zrank(context, args):
    """How many members stand before one."""
    found = context.keyspace.structure(args[0], SortedSet)
    return None if found is None else found.rank(args[1])


def zrevrank(context, args):
    """How many members stand behind one."""
    found = context.keyspace.structure(args[0], SortedSet)
    rank = None if found is None else found.rank(args[1])
    return None if rank is None else len(found) - 1 - rank


def zcount(context, args):
    """How many members have scores in a range."""
    return _count(context, args[0], scores.score_range(args[1], args[2]), scores.score_positions)


def zlexcount(context, args):
    """How many members lie in a range."""
    return _count(context, args[0], scores.member_range(args[1], args[2]), scores.member_positions)


def _count(context, key, ends, positions):
    found = context.keyspace.structure(key, SortedSet)
    if found is None:
        return 0
    low, high = positions(found, ends)
    return max(0, found.order.rank(high) - found.order.rank(low))


# -- picking and walking ----------------------------------------------------------------------------------------------


def zrandmember(context, args):
    """Members by chance: [count [WITHSCORES]], a negative count for members that may come more than once."""
    if len(args) == 1:
        found = context.keyspace.structure(args[0], SortedSet)
        return None if found is None else found.at(_below(context, len(found)))[0]
    count = integer(args[1])
    if count < -INT64_MAX:
        raise errors.CommandError("value is out of range, value must between %d and %d" % (-INT64_MAX, INT64_MAX))
    if len(args) > 3 or len(args) == 3 and args[2].upper() != b"WITHSCORES":
        raise syntax_error()
    with_scores = len(args) == 3
    if with_scores and not -INT64_MAX // 2 <= count <= INT64_MAX // 2:
        raise errors.CommandError("value is out of range")
    found = context.keyspace.structure(args[0], SortedSet)
    if found is None or not count:
        return []
    if count < -_PICKS_MAX:
        raise errors.CommandError("value is out of range")
    pairs = _picked(context, found, count)
    names, picked_scores = zip(*pairs)
    return scores.rows(context, names, picked_scores) if with_scores else list(names)


def _below(context, total):
    """A number by chance from 0 on and below `total`."""
    return context.random_bits(total.bit_length() + 32) % total


def _picked(context, found, count):
    total = len(found)
    if count < 0:
        return [found.at(_below(context, total)) for _ in range(-count)]
    if count >= total:
        spans = found.spans(found.order.first(), found.order.end(), backward=True)  # in this order, as Redis
        return list(zip(found.order.members_of(spans, True), found.order.scores_of(spans, True)))
    # Each choice is one of the indexes up to `last`, or `last` itself where that is taken: all subsets are equally
    # likely, and it ends.
    chosen = {}
    for last in range(total - count, total):
        index = _below(context, last + 1)
        chosen[last if index in chosen else index] = None
    return [found.at(index) for index in chosen]


def zscan(context, args):
    """One step of a walk over a set: MATCH pattern, COUNT number."""
    cursor = members.read_cursor(args[1])
    found = context.keyspace.structure(args[0], SortedSet)
    if found is None:
        return [b"0", []]
    count, pattern = members.scan_options(args)
    cursor, names = found.walk(cursor, min(count, limits.SCAN_COUNT_MAX), context.random_bits)
    if pattern is not None:
        names = [name for name in names if pattern.matches(name)]
    row = []
    for member in names:
        row += (member, _scanned_text(found.scores[member], found.listpack))
    return [b"%d" % cursor, row]


def _scanned_text(score, listpack):
    """A score as a walk shows it: what a listpack holds as an integer has all its digits."""
    if listpack and -2.0 ** 62 <= score <= 2.0 ** 62 and score == int(score):
        return b"%d" % score
    return resp.double_text(score)


COMMANDS = (
    Command(b"ZADD", zadd, -4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"ZINCRBY", zincrby, 4, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"ZREM", zrem, -3, WRITE_FAST, 1, 1, 1),
    Command(b"ZCARD", zcard, 2, READ_FAST, 1, 1, 1),
    Command(b"ZSCORE", zscore, 3, READ_FAST, 1, 1, 1),
    Command(b"ZMSCORE", zmscore, -3, READ_FAST, 1, 1, 1),
    Command(b"ZRANK", zrank, 3, READ_FAST, 1, 1, 1),
    Command(b"ZREVRANK", zrevrank, 3, READ_FAST, 1, 1, 1),
    Command(b"ZCOUNT", zcount, 4, READ_FAST, 1, 1, 1),
    Command(b"ZLEXCOUNT", zlexcount, 4, READ_FAST, 1, 1, 1),
    Command(b"ZRANDMEMBER", zrandmember, -2, READ, 1, 1, 1),
    Command(b"ZSCAN", zscan, -3, READ, 1, 1, 1),
)

"""SORT and SORT_RO: the elements of a list, a set or a sorted set in an order, or what other keys say about them.

Which class a structure is does not matter here: one that can be sorted has listed(), its elements in the order
which it has by itself.  A hash is asked for a field by its `items`.

Elements that an order leaves equal keep the order they had; Redis leaves open what becomes of them.
"""

import contextlib

from ... import errors
from ...formats import values
from ..stored import WRONG_TYPE
from ..structures.lists import List
from . import floats
from .command import READ, WRITE_OOM, Command, integer, syntax_error

_SORTABLE = frozenset((values.LIST, values.SET, values.ZSET))
_NO_SCORE = "One or more scores can't be converted into double"
_PLAIN, _PLAIN_BYTES = b"0123456789.-", 300  # of words that float() and strtod() read alike
_SMALLEST_NORMAL = 2.2250738585072014e-308


class _Options(object):
    """What stands behind the key."""

    def __init__(self, args, may_store):
        self.descending = self.alpha = False
        self.start, self.count = 0, -1
        self.by = self.store = None
        self.unsorted = False  # there is a BY without a star, whatever other BY there is
        self.gets = []
        at = 1
        while at < len(args):
            at += self._take(args[at].upper(), args[at + 1:at + 3], may_store)

    def _take(self, option, following, may_store):
        """Read one option; how many words it has."""
        if option in (b"ASC", b"DESC"):
            self.descending = option == b"DESC"
        elif option == b"ALPHA":
            self.alpha = True
        elif option == b"LIMIT" and len(following) == 2:
            self.start, self.count = integer(following[0]), integer(following[1])
            return 3
        elif option == b"STORE" and may_store and following:
            self.store = following[0]
            return 2
        elif option == b"BY" and following:
            self.by = following[0]
            self.unsorted = self.unsorted or b"*" not in self.by
            return 2
        elif option == b"GET" and following:
            self.gets.append(following[0])
            return 2
        else:
            raise syntax_error()
        return 1


def sort(context, args):
    """The elements of a list, set or sorted set in order: BY, LIMIT, GET, ASC, DESC, ALPHA, STORE."""
    options = _Options(args, True)
    _check_patterns(context, b"SORT", options)
    sorted_ = _sorted(context, args[0], options)
    if options.store is None:
        return sorted_
    keyspace = context.keyspace
    if sorted_:
        stored = List()
        stored.apply([b"rpush"] + [b"" if element is None else element for element in sorted_])
        keyspace.put(options.store, stored)
        context.notify(b"l", b"sortstore", options.store)
    elif keyspace.delete(options.store):
        context.notify(b"g", b"del", options.store)
    return len(sorted_)


def sort_ro(context, args):
    """SORT without STORE."""
    options = _Options(args, False)
    _check_patterns(context, b"SORT_RO", options)
    return _sorted(context, args[0], options)


def _check_patterns(context, name, options):
    """What BY and GET read cannot be told from the words: whoever may not read every key may not use them."""
    user = context.session.user
    if user is None or not (options.by is not None and b"*" in options.by or options.gets):
        return
    if not user.reads_all_keys_with(name):
        raise errors.CommandError("%s option of SORT denied due to insufficient ACL permissions." % (
            "BY" if options.by is not None and b"*" in options.by else "GET"))


def _sorted(context, key, options):
    entry = context.keyspace.lookup(key)
    if entry is not None and entry.type not in _SORTABLE:
        raise errors.WrongTypeError(WRONG_TYPE)
    members = [] if entry is None else list(entry.structure.listed())
    if options.unsorted:
        if entry is not None and entry.type == values.SET and options.store is not None:
            members.sort(reverse=options.descending)  # a set has no order that two servers would agree on
        elif options.descending and (entry is None or entry.type != values.SET):
            members.reverse()
    else:
        members = _in_order(context, members, options)
    start = min(max(options.start, 0), len(members))
    members = members[start:start + options.count if options.count >= 0 else len(members)]
    if not options.gets:
        return members
    getters = [_getter(context, pattern) for pattern in options.gets]
    return [getter(member) for member in members for getter in getters]


def _in_order(context, members, options):
    if options.by is None:
        weights = members
    else:
        weights = list(map(_getter(context, options.by), members))
    if not options.alpha:
        ranks = _scores(weights)
        if len(set(ranks)) < len(ranks):
            ranks = list(zip(ranks, members))
    elif options.by is None:
        return sorted(members, reverse=options.descending)
    else:
        ranks = [(weight is not None, weight or b"") for weight in weights]
    order = sorted(range(len(members)), key=ranks.__getitem__, reverse=options.descending)
    return [members[index] for index in order]


def _scores(weights):
    """The floats that words stand for, 0.0 for None."""
    if (weights and None not in weights and not b"".join(weights).translate(None, _PLAIN)
            and max(map(len, weights)) <= _PLAIN_BYTES):
        with contextlib.suppress(ValueError):  # the other way finds out what it is
            return list(map(float, weights))
    scores = [0.0 if weight is None else _score(weight) for weight in weights]
    if None in scores:
        raise errors.CommandError(_NO_SCORE)
    return scores


def _score(word):
    """The float that C's strtod() reads, or None where it leaves something, finds no number or one beyond its range."""
    word = word.partition(b"\x00")[0].lstrip(b" \t\n\v\f\r")
    if not word:
        return 0.0
    score = floats.parse(word)
    if score is None or floats.out_of_range(word, score) or 0.0 < abs(score) < _SMALLEST_NORMAL:
        return None
    return score


def _getter(context, pattern):
    """A function from an element to what BY or GET with this pattern finds for it, or None."""
    if pattern == b"#":
        return lambda element: element
    before, star, behind = pattern.partition(b"*")
    if not star:
        return lambda element: None
    field = None
    name, arrow, rest = behind.partition(b"->")
    if arrow and rest:
        behind, field = name, rest
    lookup, key = context.keyspace.lookup, context.key

    def get(element):
        entry = lookup(key(b"%b%b%b" % (before, element, behind)))
        if entry is None:
            return None
        if field is None:
            return entry.value if entry.structure is None else None
        return entry.structure.items.get(field) if entry.type == values.HASH else None
    return get


def _keys(words):
    """The key, and that of the last STORE; what BY and GET mean are keys that nobody can tell beforehand."""
    found, at = [1], 2
    while at < len(words):
        option = words[at].upper()
        if option == b"STORE" and at + 1 < len(words):
            found[1:] = [at + 1]
        at += {b"LIMIT": 3, b"STORE": 2, b"BY": 2, b"GET": 2}.get(option, 1)
    return found


COMMANDS = (
    Command(b"SORT", sort, -2, WRITE_OOM | {"movablekeys"}, 1, 1, 1, None, _keys),
    Command(b"SORT_RO", sort_ro, -2, READ | {"movablekeys"}, 1, 1, 1),
)

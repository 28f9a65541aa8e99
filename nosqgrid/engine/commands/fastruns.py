"""The hot path of pipelines: commands of one name and one size that came together, as one piece of work.

`make_run_alike(keyspace, ...)` returns run_alike(context, name, columns, count) -> the bytes of all the answers, or
None, with nothing done, where the caller has to go on as if there were no such thing (commands/fast.py).  `columns` are
the first words behind the name of each command, the second ones, and so on.  What it says is what dispatch() says for
one command after the other; a test holds the two against each other.

 1. SET and INCR: what each key has in the end is published, together (engine/fastpairs).  GET: each key is looked up
    once.
 2. What changes one structure, without a log, is one change of it: LPUSH, RPUSH, LPOP, RPOP, SADD, HSET, ZADD.  It has
    to be there, stay, and have nobody who waits for it.

It is written for speed: lists are made and compared in C, and nothing is looked at twice that is the same for all.
"""

from itertools import chain

from ... import errors
from ...formats.values import BYTES, INT
from ..fastpairs import make_store_pairs
from ..structures.hashes import Hash
from ..structures.lists import List
from ..structures.sets import Set
from ..structures.zsets import ADD, SortedSet, pack_score
from .fast import LONG_BYTES, make_find, small_number
from .floats import parse_exactly

_NEITHER = None, None


def make_run_alike(keyspace, pubsub):
    """See the module."""
    find, find_number, store_pairs = make_find(keyspace), make_find(keyspace, b"0"), make_store_pairs(keyspace)
    of_keys, of_one = _OF_KEYS.get, _OF_ONE.get

    def run_alike(context, name, columns, count):
        if context.session.special or pubsub.events or keyspace.staging:
            return None
        kind = name, len(columns)
        run = of_keys(kind)
        if run is _get or run is _ping:
            return run(find, columns, count)
        # With a log each command is an effect of its own.  Who caches is told by dispatch().
        if keyspace.log is not None or keyspace.touched is not None or not context.session.may_write:
            return None
        try:
            if run is _set:
                return _set(store_pairs, columns, count)
            if run is _increment:
                return _increment(find_number, store_pairs, columns[0])
            run, change = of_one(kind, _NEITHER)
            if run is None:
                return None
            key = columns[0][0]
            if key in keyspace.waited or columns[0].count(key) != count:
                return None
            return run(keyspace, key, change, columns, count)
        except errors.NosqgridError:
            return None  # nothing was changed; the plain way says so to each that it is true of

    return run_alike


# -- keys -------------------------------------------------------------------------------------------------------------


def _ping(find, columns, count):
    return b"+PONG\r\n" * count


def _get(find, columns, count):
    found, size = dict.fromkeys(columns[0]), 0
    for key in found:
        value = find(key)
        if value is None:
            return None
        found[key] = b"$%d\r\n%b\r\n" % (len(value), value)
        size += len(value)
        if size > LONG_BYTES:
            return None  # in parts, rather
    if len(found) == 1:
        return found[key] * count if size * count < LONG_BYTES else None
    answers = list(map(found.__getitem__, columns[0]))
    return b"".join(answers) if len(found) == count or sum(map(len, answers)) < LONG_BYTES else None


def _set(store_pairs, columns, count):
    return b"+OK\r\n" * count if store_pairs(dict(zip(*columns)), count, BYTES) else None


def _increment(find, store_pairs, keys):
    numbers, answers = {}, []
    for key in keys:
        number = numbers.get(key)
        if number is None:
            text = find(key)
            number = None if text is None else small_number(text)
            if number is None:
                return None
        numbers[key] = number = number + 1
        answers.append(number)
    texts = {key: b"%d" % number for key, number in numbers.items()}
    return _numbers(answers) if store_pairs(texts, len(keys), INT) else None


def _numbers(numbers):
    return b"".join([b":%d\r\n" % number for number in numbers])


# -- one structure ----------------------------------------------------------------------------------------------------


def _push(keyspace, key, change, columns, count):
    found = keyspace.structure(key, List)
    if found is None:
        return None
    length = len(found) + 1
    keyspace.change(key, found, [change] + columns[1])
    return _numbers(range(length, length + count))


def _pop(keyspace, key, change, columns, count):
    found = keyspace.structure(key, List)
    if found is None:
        return None
    end = 0 if change == b"lpop" else -1
    chunk = found.chunks[end]
    if len(chunk) <= count:
        return None  # it takes more than the end, or all there is
    elements = [chunk[index] for index in (range(-1, -1 - count, -1) if end else range(count))]
    if sum(map(len, elements)) > LONG_BYTES:
        return None
    keyspace.change(key, found, [change, b"%d" % count])
    return b"".join([b"$%d\r\n%b\r\n" % (len(element), element) for element in elements])


def _add_members(keyspace, key, change, columns, count):
    found = keyspace.structure(key, Set)
    if found is None:
        return None
    items = found.items
    new = [member for member in dict.fromkeys(columns[1]) if member not in items]
    if new:
        keyspace.change(key, found, [change] + new)
    return _whether_new(new, columns[1], count)


def _set_fields(keyspace, key, change, columns, count):
    found = keyspace.structure(key, Hash)
    if found is None:
        return None
    pairs, items = dict(zip(columns[1], columns[2])), found.items
    if len(pairs) < count and found.compact and len(max(columns[2], key=len)) > Hash.COMPACT_BYTES_MAX:
        return None  # a long value ends that, even if another takes its place
    new = [field for field in pairs if field not in items]
    keyspace.change(key, found, [change] + list(chain.from_iterable(pairs.items())))
    return _whether_new(new, columns[1], count)


def _add_scores(keyspace, key, change, columns, count):
    found = keyspace.structure(key, SortedSet)
    if found is None:
        return None
    scores, changed, new = found.scores, {}, []
    for word, member in zip(columns[1], columns[2]):
        score = parse_exactly(word)
        if score is None or not score and word[:1] == b"-":
            return None  # what becomes of -0.0 depends on what the set was before each
        old = changed.get(member)
        if old is None:
            old = scores.get(member)
            if old is None:
                new.append(member)
        if old != score:
            changed[member] = score
    if changed:
        words = [change]
        for member, score in changed.items():
            words += pack_score(score), member
        keyspace.change(key, found, words)
    return _whether_new(new, columns[2], count)


def _whether_new(new, names, count):
    """The answer 1 for the first of each that is new, a list, and 0 for the others."""
    if not new:
        return b":0\r\n" * count
    if len(new) == count:
        return b":1\r\n" * count
    answers = dict.fromkeys(new, b":1\r\n")
    return b"".join([answers.pop(name, b":0\r\n") for name in names])


def _in_both_cases(table):
    """The same by (name, words behind it) in upper and in lower case."""
    return {(name, size): found for (upper, size), found in table.items() for name in (upper, upper.lower())}


_OF_KEYS = _in_both_cases({(b"PING", 0): _ping, (b"GET", 1): _get, (b"SET", 2): _set, (b"INCR", 1): _increment})
_OF_ONE = _in_both_cases({
    (b"LPUSH", 2): (_push, b"lpush"), (b"RPUSH", 2): (_push, b"rpush"), (b"LPOP", 1): (_pop, b"lpop"),
    (b"RPOP", 1): (_pop, b"rpop"), (b"SADD", 2): (_add_members, b"sadd"), (b"HSET", 3): (_set_fields, b"hset"),
    (b"ZADD", 3): (_add_scores, ADD)})

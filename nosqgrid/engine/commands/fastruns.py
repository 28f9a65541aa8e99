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
from .command import parse_integer
from .fast import make_find
from .floats import parse_exactly

_INT_DIGITS_FAST = 18  # an integer of so many digits cannot overflow when so few are added
_NONE = None, None


def make_run_alike(keyspace, pubsub):
    """See the module."""
    find = make_find(keyspace)
    store_pairs = make_store_pairs(keyspace)

    def ping(context, columns, count):
        return b"+PONG\r\n" * count

    def get(context, columns, count):
        found = dict.fromkeys(columns[0])
        for key in found:
            value = find(key)
            if value is None:
                return None
            found[key] = b"$%d\r\n%b\r\n" % (len(value), value)
        return b"".join(map(found.__getitem__, columns[0])) if len(found) > 1 else found[key] * count

    def set_pairs(context, columns, count):
        if store_pairs(dict(zip(*columns)), count, BYTES):
            return b"+OK\r\n" * count

    def increment(context, columns, count):
        numbers, answers = {}, []
        for key in columns[0]:
            number = numbers.get(key)
            if number is None:
                text = find(key)
                if text is None or len(text) > _INT_DIGITS_FAST:
                    return None
                number = parse_integer(text)
                if number is None:
                    return None
            numbers[key] = number = number + 1
            answers.append(b":%d\r\n" % number)
        for key in numbers:
            numbers[key] = b"%d" % numbers[key]
        if store_pairs(numbers, count, INT):
            return b"".join(answers)

    def push(change, columns, count):
        found = keyspace.structure(columns[0][0], List)
        if found is not None:
            length = len(found) + 1
            keyspace.change(columns[0][0], found, [change] + columns[1])
            return b":%b\r\n" % b"\r\n:".join([b"%d" % number for number in range(length, length + count)])

    def pop(change, columns, count):
        found = keyspace.structure(columns[0][0], List)
        if found is None or len(found) <= count:
            return None
        chunk = found.chunks[0 if change == b"lpop" else -1]
        if len(chunk) <= count:
            return None
        elements = [chunk[index] for index in range(count)] if change == b"lpop" else [
            chunk[index] for index in range(-1, -1 - count, -1)]
        keyspace.change(columns[0][0], found, [change, b"%d" % count])
        return b"".join([b"$%d\r\n%b\r\n" % (len(element), element) for element in elements])

    def add_members(change, columns, count):
        found = keyspace.structure(columns[0][0], Set)
        if found is None:
            return None
        items = found.items
        new = [member for member in dict.fromkeys(columns[1]) if member not in items]
        if not new:
            return b":0\r\n" * count
        keyspace.change(columns[0][0], found, [change] + new)
        if len(new) == count:
            return b":1\r\n" * count
        new = dict.fromkeys(new, b":1\r\n")
        return b"".join([new.pop(member, b":0\r\n") for member in columns[1]])

    def set_fields(change, columns, count):
        found = keyspace.structure(columns[0][0], Hash)
        if found is None:
            return None
        pairs = dict(zip(columns[1], columns[2]))
        if found.compact and len(pairs) < count and len(max(columns[2], key=len)) > Hash.COMPACT_BYTES_MAX:
            return None  # a long value that another has followed ends it all the same
        new = dict.fromkeys([field for field in pairs if field not in found.items], b":1\r\n")
        keyspace.change(columns[0][0], found, [change] + list(chain.from_iterable(pairs.items())))
        if not new:
            return b":0\r\n" * count
        return b"".join([new.pop(field, b":0\r\n") for field in columns[1]])

    def add_scores(change, columns, count):
        found = keyspace.structure(columns[0][0], SortedSet)
        if found is None:
            return None
        scores, changed, answers = found.scores, {}, []
        for word, member in zip(columns[1], columns[2]):
            score = parse_exactly(word)
            if score is None:
                return None
            old = changed.get(member)
            if old is None:
                old = scores.get(member)
            answers.append(b":1\r\n" if old is None else b":0\r\n")
            if old != score:
                changed[member] = score
        if changed:
            words = [change]
            for member, score in changed.items():
                words += pack_score(score), member
            keyspace.change(columns[0][0], found, words)
        return b"".join(answers)

    plain = {(b"PING", 0): ping, (b"GET", 1): get}
    of_keys = {(b"SET", 2): set_pairs, (b"INCR", 1): increment}
    of_one = {(b"LPUSH", 2): (push, b"lpush"), (b"RPUSH", 2): (push, b"rpush"), (b"LPOP", 1): (pop, b"lpop"),
              (b"RPOP", 1): (pop, b"rpop"), (b"SADD", 2): (add_members, b"sadd"), (b"HSET", 3): (set_fields, b"hset"),
              (b"ZADD", 3): (add_scores, ADD)}
    for table in (plain, of_keys, of_one):
        table.update([((name.lower(), size), found) for (name, size), found in table.items()])

    def run_alike(context, name, columns, count):
        if context.session.special or pubsub.events or keyspace.staging:
            return None
        kind = name, len(columns)
        if kind in plain:
            return plain[kind](context, columns, count)
        if keyspace.log is not None or keyspace.touched is not None or not context.session.may_write:
            return None
        try:
            if kind in of_keys:
                return of_keys[kind](context, columns, count)
            run, change = of_one.get(kind, _NONE)
            if run is None or columns[0].count(columns[0][0]) != count or columns[0][0] in keyspace.waited:
                return None
            return run(change, columns, count)
        except errors.NosqgridError:
            return None  # nothing was changed; the plain way says so to each that it is true of

    return run_alike

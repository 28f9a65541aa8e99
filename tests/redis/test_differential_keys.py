"""Commands on keys and databases against redis-server: seeded random sequences have the same answers.

OBJECT REFCOUNT is left out: who else refers to a value within Redis is nothing that could be the same here.
"""

import unittest

from nosqgrid.formats import resp
from tests.support.differential import DifferentialTest, unordered
from tests.support.tiers import FULL, slow

SEQUENCES = 1500 if FULL else 150
LENGTH = 60

KEYS = [b"a", b"b", b"c", b"d", b"key:1", b"key:2", b"", b"\x00\xff"]
VALUES = [b"1", b"x", b"", b"-5", b"0123", b"x" * 44, b"x" * 45, b"9223372036854775808", b"9223372036854775807"]
DATABASES = [b"0", b"1", b"2", b"15"]
WRONG_DATABASES = [b"16", b"-1", b"x", b"", b"99999999999", b"01", b"9223372036854775808"]
FAR_S = 4102444800  # the year 2100, where both clocks agree that it is the future
SOON = 2 * 10 ** 9
PATTERNS = [b"*", b"key:*", b"?", b"[a-b]", b"[^a]", b"a", b"*:[12]", b"\\a", b""]
EXPIRE_OPTIONS = [b"NX", b"XX", b"GT", b"LT", b"gt", b"BOGUS"]
WRONG_AMOUNTS = [b"x", b"", b"9223372036854775807", b"-9223372036854775808", b"-9223372036854776", b"9223372036854775",
                 b"9223372036854775808", b"1.5"]
OTHERS = [[b"PERSIST"], [b"DEL"], [b"COPY", b"a"], [b"RENAME", b"a"], [b"SWAPDB", b"0"], [b"OBJECT"], [b"MOVE", b"a"],
          [b"OBJECT", b"NOSUCH", b"a"], [b"OBJECT", b"ENCODING"], [b"FLUSHDB", b"x"], [b"FLUSHALL", b"a", b"b"],
          [b"WAIT", b"0"], [b"WAIT", b"0", b"x"], [b"WAIT", b"x", b"0"], [b"WAIT", b"0", b"-1"], [b"WAIT", b"0", b"0"],
          [b"SCAN", b"0", b"COUNT", b"0"], [b"SCAN", b"x"], [b"SCAN", b"0", b"BOGUS", b"1"], [b"SCAN", b"0", b"MATCH"],
          [b"SCAN", b"0", b"COUNT", b"x"], [b"SCAN", b"18446744073709551616"]]


def make_command(rng):
    return rng.choice(_FAMILIES)(rng)


def _key(rng):
    return rng.choice(KEYS)


def _database(rng):
    return rng.choice(DATABASES if rng.random() < 0.9 else WRONG_DATABASES)


def _set(rng):
    return [b"SET", _key(rng), rng.choice(VALUES)] + rng.choice([[], [], [b"EX", b"1000"], [b"KEEPTTL"]])


def _read(rng):
    return [rng.choice([b"GET", b"TYPE", b"TTL", b"EXPIRETIME", b"PTTL", b"PEXPIRETIME", b"PERSIST"]), _key(rng)]


def _several(rng):
    name = rng.choice([b"DEL", b"UNLINK", b"EXISTS", b"TOUCH", b"MGET"])
    return [name] + [_key(rng) for _ in range(rng.randint(1, 4))]


def _rename(rng):
    return [rng.choice([b"RENAME", b"RENAMENX"]), _key(rng), _key(rng)]


def _copy(rng):
    words = [b"COPY", _key(rng), _key(rng)]
    for _ in range(rng.randint(0, 2)):
        words += rng.choice([[b"DB", _database(rng)], [b"REPLACE"], [b"replace"], [b"DB"], [b"BOGUS"]])
    return words


def _move(rng):
    return [b"MOVE", _key(rng), _database(rng)]


def _select(rng):
    return [b"SELECT", _database(rng)]


def _swap(rng):
    return [b"SWAPDB", _database(rng), _database(rng)]


def _flush(rng):
    return [rng.choice([b"FLUSHDB", b"FLUSHDB", b"FLUSHALL"])] + rng.choice([[], [b"ASYNC"], [b"sync"]])


def _count(_rng):
    return [b"DBSIZE"]


def _walk(rng):
    if rng.random() < 0.5:
        return [b"KEYS", rng.choice(PATTERNS)]
    words = [b"SCAN", b"0", b"COUNT", b"10000"]
    for _ in range(rng.randint(0, 2)):
        words += rng.choice([[b"MATCH", rng.choice(PATTERNS)], [b"TYPE", rng.choice([b"string", b"STRING", b"hash"])]])
    return words


def _expire(rng):
    # Never the same from now on twice: the clock of a real server moves between the two, and GT would tell.
    soon_s, far_s = rng.randrange(10 ** 5, 10 ** 6), FAR_S * rng.choice([1, 2])
    name, amount = rng.choice([(b"EXPIRE", soon_s), (b"PEXPIRE", soon_s * 1000), (b"EXPIREAT", far_s),
                               (b"PEXPIREAT", far_s * 1000)])
    amount = b"%d" % amount if rng.random() < 0.8 else rng.choice([b"-1", b"0"])
    if rng.random() < 0.1:
        amount = rng.choice(WRONG_AMOUNTS)
    return [name, _key(rng), amount] + [rng.choice(EXPIRE_OPTIONS) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]


def _object(rng):
    return [b"OBJECT", rng.choice([b"ENCODING", b"FREQ", b"encoding"]), _key(rng)]


def _transaction(rng):
    return [rng.choice([b"MULTI", b"EXEC", b"EXEC", b"EXEC", b"DISCARD"])]


def _other(rng):
    return rng.choice(OTHERS)


_FAMILIES = [_set, _set, _set, _set, _read, _read, _several, _rename, _rename, _copy, _copy, _move, _select, _select,
             _swap, _flush, _count, _walk, _walk, _expire, _expire, _object, _transaction, _other]


def _time(reply):
    """Of a time: none, soon, or later than this test can last."""
    number = int(reply[1:])
    return number if number < 0 else "soon" if number < SOON else "far"


def _found(reply):
    """A reply of SCAN: keys in any order."""
    if reply[:1] != b"*":
        return reply
    reader = resp.ReplyReader()
    reader.feed(reply)
    cursor, keys = reader.next()
    return cursor, sorted(keys)


def _of_transaction(reply):
    """What EXEC answers: times and the order of keys differ."""
    if reply[:1] != b"*":
        return reply
    reader = resp.ReplyReader()
    reader.feed(reply)
    return [_plain(element) for element in reader.next() or ["none"]]


def _plain(element):
    if isinstance(element, list):
        return sorted(map(repr, map(_plain, element)))
    if type(element) is int and element > 100:
        return "soon" if element < SOON else "far"
    return str(element)


class KeysDifferentialTest(DifferentialTest):
    normalize = {b"KEYS": unordered, b"SCAN": _found, b"EXEC": _of_transaction, b"TTL": _time, b"PTTL": _time,
                 b"EXPIRETIME": _time, b"PEXPIRETIME": _time}

    @slow
    def test_random_sequences(self):
        for number in range(SEQUENCES):  # each on a connection of its own, which begins in database 0
            self.compare(make_command, 1, LENGTH, seed=number)

    @slow
    def test_random_sequences_in_resp3(self):
        for number in range(SEQUENCES // 5):
            self.compare(make_command, 1, LENGTH, seed=-number, protocol=3)


if __name__ == "__main__":
    unittest.main()

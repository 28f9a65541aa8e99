"""Random values of every type that formats/values carries, and the comparison that tells all of them apart."""

import datetime
import math

ALPHABET = "ab\x00\n\"\\$\u00e9\u20ac\U0001f600\ud800\udc00\udc80"


def same(a, b):
    """Equal in type and content at every depth, order of dicts included."""
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return repr(a) == repr(b)
    if type(a) in (list, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is dict:
        return len(a) == len(b) and all(map(same, a, b)) and all(map(same, a.values(), b.values()))
    if type(a) in (set, frozenset):
        return len(a) == len(b) and all(any(same(item, other) for other in b) for item in a)
    if type(a) in (datetime.datetime, datetime.time):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.fold == b.fold and a.utcoffset() == b.utcoffset()
    return a == b


def random_value(rng, depth):
    """Any value that is carried, nested at most `depth` levels."""
    kind = rng.randrange(14 if depth else 9)
    if kind < 9:
        return random_scalar(rng, kind)
    if kind < 11:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 11:
        return tuple(random_value(rng, depth - 1) for _ in range(rng.randrange(4)))
    if kind == 12:
        keys = [random_hashable(rng, depth - 1) for _ in range(rng.randrange(4))]
        keys = keys if rng.random() < 0.5 else [random_text(rng) for _ in keys]
        return {key: random_value(rng, depth - 1) for key in keys}
    return rng.choice((set, frozenset))(random_hashable(rng, depth - 1) for _ in range(rng.randrange(4)))


def random_hashable(rng, depth):
    if depth <= 0 or rng.random() < 0.7:
        return random_scalar(rng, rng.randrange(9))
    return rng.choice((tuple, frozenset))(random_hashable(rng, depth - 1) for _ in range(rng.randrange(3)))


def random_text(rng):
    return rng.choice(("", "$", "$dict")) + "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(4)))


def random_scalar(rng, kind):
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.randrange(-10 ** rng.choice((1, 20, 700)), 10 ** 3)
    if kind == 2:
        return rng.choice((math.nan, math.inf, -0.0, rng.random(), rng.uniform(-1e300, 1e300)))
    if kind == 3:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(5)))
    if kind == 4:
        zone = datetime.timezone(datetime.timedelta(minutes=rng.randrange(-1439, 1440)))
        return datetime.datetime(rng.randrange(1, 10000), 2, 3, rng.randrange(24), 5, 6, rng.choice((0, 7)),
                                 tzinfo=rng.choice((None, zone)), fold=rng.randrange(2))
    if kind == 5:
        return datetime.date(rng.randrange(1, 10000), rng.randrange(1, 13), 28)
    if kind == 6:
        return datetime.timedelta(rng.randrange(-9999, 9999), rng.randrange(86400), rng.randrange(10 ** 6))
    if kind == 7:
        return datetime.time(rng.randrange(24), 1, 2, rng.randrange(10 ** 6), fold=rng.randrange(2))
    return random_text(rng)

"""Lists and SORT against a real redis-server: seeded sequences of commands, right and wrong, have the same answers."""

import unittest

from tests.support.differential import DifferentialTest
from tests.support.tiers import FULL, slow

SEQUENCES = 400 if FULL else 50
LENGTH = 400
KEYS = ["a", "b", "c", "d"]
ELEMENTS = ["x", "y", "z", "1", "2", "10", "-3", "", "y", "x"]
NUMBERS = [0, 1, -1, 2, -2, 3, 5, -5, 100, -100]
WRONG = ["x", "1.5", "", "9223372036854775808", "-9223372036854775808", "9223372036854775807", "01", "+1", " 1"]


def number(rng):
    return rng.choice(WRONG) if rng.random() < 0.05 else rng.choice(NUMBERS)


def side(rng):
    return rng.choice(["LEFT", "RIGHT", "left", "Right", "LEFT", "RIGHT", "LEFT", "RIGHT", "up"])


def key(rng):
    return rng.choice(KEYS + ["string"]) if rng.random() < 0.1 else rng.choice(KEYS)


def elements(rng):
    return [rng.choice(ELEMENTS) for _ in range(rng.choice((1, 1, 1, 2, 3, 8)))]


def some_keys(rng):
    found = [key(rng) for _ in range(rng.randint(1, 3))]
    count = number(rng) if rng.random() < 0.05 else len(found)
    return [count] + found


def options_of(rng, table, most):
    words = []
    for _ in range(rng.randint(0, most)):
        name, make = rng.choice(table)
        words.append(rng.choice((name, name, name.lower())))
        words += make(rng)
    if rng.random() < 0.03:
        words.append(rng.choice(("COUNT", "RANK", "LIMIT", "GET", "nothing")))
    return words


LPOS = [("RANK", lambda rng: [number(rng)]), ("COUNT", lambda rng: [number(rng)]),
        ("MAXLEN", lambda rng: [number(rng)])]
COUNT = [("COUNT", lambda rng: [number(rng)])]


def pushing(rng):
    return [rng.choice(("LPUSH", "RPUSH", "LPUSHX", "RPUSHX")), key(rng)] + elements(rng)


def reading(rng):
    return rng.choice([["LLEN", key(rng)], ["LRANGE", key(rng), number(rng), number(rng)], ["LRANGE", key(rng), 0, -1],
                       ["LINDEX", key(rng), number(rng)], ["EXISTS", key(rng)],
                       ["LPOS", key(rng), rng.choice(ELEMENTS)] + options_of(rng, LPOS, 3)])


def taking(rng):
    return rng.choice([["LPOP", key(rng)], ["RPOP", key(rng)], ["LPOP", key(rng), number(rng)],
                       ["RPOP", key(rng), number(rng)], ["LREM", key(rng), number(rng), rng.choice(ELEMENTS)],
                       ["LTRIM", key(rng), number(rng), number(rng)], ["DEL", key(rng)],
                       ["LMPOP"] + some_keys(rng) + [side(rng)] + options_of(rng, COUNT, 1)])


def changing(rng):
    return rng.choice([["LSET", key(rng), number(rng), rng.choice(ELEMENTS)],
                       ["LINSERT", key(rng), rng.choice(("BEFORE", "AFTER", "after", "in")), rng.choice(ELEMENTS),
                        rng.choice(ELEMENTS)],
                       ["LMOVE", key(rng), key(rng), side(rng), side(rng)], ["RPOPLPUSH", key(rng), key(rng)]])


def blocking(rng):
    """In a transaction nobody waits, so that these can be compared one by one."""
    timeout = rng.choice((0, 1, "0.5", "x", "-1", "0x1", "1e400", "-0.0001", " 1"))
    return rng.choice([["BLPOP", key(rng), key(rng), timeout], ["BRPOP", key(rng), timeout],
                       ["BLMPOP", timeout] + some_keys(rng) + [side(rng)] + options_of(rng, COUNT, 1),
                       ["BLMOVE", key(rng), key(rng), side(rng), side(rng), timeout],
                       ["BRPOPLPUSH", key(rng), key(rng), timeout]])


def short(rng):
    """A command of this family with some of its words left out or doubled."""
    words = rng.choice((pushing, reading, taking, changing))(rng)
    return words[:rng.randint(1, len(words))] if rng.random() < 0.5 else words + words[-1:]


def any_command(rng):
    if rng.random() < 0.02:
        return ["SET", "string", "v"]
    return rng.choices((pushing, reading, taking, changing, blocking, short), (35, 30, 14, 20, 8, 2))[0](rng)


class InTransactions(object):
    """Makes commands, some of them in transactions: those that could wait always are."""

    def __init__(self):
        self._queued = []

    def __call__(self, rng):
        if self._queued:
            return self._queued.pop()
        words = any_command(rng)
        if words[0].startswith("B"):
            self._queued = [["EXEC"], words]
            return ["MULTI"]
        return words


class ListsTest(DifferentialTest):

    @slow
    def test_random_commands(self):
        for number in range(SEQUENCES):
            self.compare(InTransactions(), 1, LENGTH, seed="lists-%d" % number)

    def test_random_commands_in_resp3(self):
        for number in range(SEQUENCES // 5 + 1):
            self.compare(InTransactions(), 1, LENGTH, seed="lists-3-%d" % number, protocol=3)


SORT_ELEMENTS = ["1", "2", "3", "10", "-1", "1.5", "1e2", "0x10", "007", " 4"]
SORT_WRONG = SORT_ELEMENTS + ["", "x", "nan", "inf", "-inf", "1_0", "1 ", "2x", "infinity", "0x", "."]
PATTERNS = ["w*", "w*", "#", "nosort", "w", "*", "none*", "w*->f", "h*->f", "h*->f", "h*->", "h*", "w*->", "*w*", "->*"]
SORT_OPTIONS = [("BY", lambda rng: [rng.choice(PATTERNS)]), ("LIMIT", lambda rng: [number(rng), number(rng)]),
                ("GET", lambda rng: [rng.choice(PATTERNS)]), ("ASC", lambda rng: []), ("DESC", lambda rng: []),
                ("ALPHA", lambda rng: []), ("STORE", lambda rng: [rng.choice(("t", "t", "a", "w1"))])]


def sorted_element(rng):
    return rng.choice(SORT_ELEMENTS if rng.random() < 0.93 else SORT_WRONG)


def sort_command(rng):
    kind = rng.random()
    if kind < 0.25:
        return ["RPUSH", rng.choice("ab"), sorted_element(rng)]
    if kind < 0.4:
        return ["SET", "w" + rng.choice(SORT_ELEMENTS), sorted_element(rng)]
    if kind < 0.45:
        return rng.choice((["DEL", rng.choice(("a", "b", "t", "w1", "w2", "set", "zset", "h1"))],
                           ["SADD", "set", rng.choice(SORT_ELEMENTS)],
                           ["ZADD", "zset", rng.randint(0, 3), rng.choice(SORT_ELEMENTS)],
                           ["HSET", "h" + rng.choice(SORT_ELEMENTS), "f", sorted_element(rng)]))
    if kind < 0.5:
        return ["LRANGE", "t", 0, -1]
    options = options_of(rng, SORT_OPTIONS, 4)
    if any("*" in str(word) for word in options):
        # Redis leaves open in which order elements come of which BY with ALPHA finds the same.
        options = [word for word in options if word not in ("ALPHA", "alpha")]
    keys = ["a", "a", "b", "t", "zset", "none", "w1", "h1", "set", "set"]
    if "nosort" in options or "w" in options or "#" in options:
        keys = keys[:-2]  # a set has an order of its own, which is not ours
    return [rng.choice(("SORT", "SORT", "SORT_RO", "sort")), rng.choice(keys)] + options


class SortTest(DifferentialTest):

    @slow
    def test_random_sorts(self):
        self.compare(sort_command, SEQUENCES, LENGTH, seed="sort")


if __name__ == "__main__":
    unittest.main()

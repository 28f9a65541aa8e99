"""Keys, values, the order in which keys are asked for, and the workloads named as LevelDB's db_bench names them.

Everything is drawn from a seed: two runs ask for the same keys in the same order.  The keys that are asked for are
other str objects than those stored, as in a program that makes them from a request.

Zipf: the key of rank r is asked for in proportion to 1 / r**0.99, which is what YCSB takes for popular web data; ranks
are dealt out to keys at random.
"""

import bisect
import collections
import itertools
import random

KEY_SIZE_BYTES = 16
ZIPF_EXPONENT = 0.99
SEED = 20240601
HOT_SHARE = 100  # readhot asks for one key in so many

Dataset = collections.namedtuple("Dataset", "label value_size_bytes key_count")
SMALL = Dataset("100 B", 100, 100 * 1000)
MEDIUM = Dataset("1 KiB", 1024, 20 * 1000)
LARGE = Dataset("64 KiB", 64 * 1024, 400)


def key_of(number, kind="k"):
    """The key of a number: 16 characters.

    >>> key_of(7)
    'k000000000000007'
    """
    return "%s%015d" % (kind, number)


def make_value(size_bytes, seed=SEED):
    """Bytes that do not compress well and are the same for the same seed."""
    source = random.Random(seed)
    block = bytes(bytearray(source.getrandbits(8) for _ in range(min(size_bytes, 4096))))
    return (block * (size_bytes // max(1, len(block)) + 1))[:size_bytes]


def pairs_of(dataset):
    """Every key of a dataset with its value (one object for all), in order."""
    value = make_value(dataset.value_size_bytes)
    return ((key_of(number), value) for number in range(dataset.key_count))


class KeySequence:
    """An endless, repeatable order of keys; `take` hands out the next ones as a list."""

    def __init__(self, numbers, kind="k"):
        self._keys = [key_of(number, kind) for number in numbers]
        self._position = 0

    def take(self, count):
        """The next `count` keys; starts again from the first when all were given."""
        begin = self._position
        self._position = (begin + count) % len(self._keys)
        keys = self._keys[begin:begin + count]
        while len(keys) < count:
            keys.extend(self._keys[:count - len(keys)])
        return keys


def in_order(key_count):
    """Each key once, from first to last."""
    return KeySequence(range(key_count))


def shuffled(key_count, seed=SEED):
    """Each key once, in random order."""
    numbers = list(range(key_count))
    random.Random(seed).shuffle(numbers)
    return KeySequence(numbers)


def uniform(key_count, length=100 * 1000, seed=SEED):
    """Every key equally likely."""
    choose = random.Random(seed).randrange
    return KeySequence([choose(key_count) for _ in range(length)])


def hot(key_count, length=100 * 1000, seed=SEED):
    """One key in a hundred, equally likely; the others never."""
    choose = random.Random(seed).randrange
    return KeySequence([choose(max(1, key_count // HOT_SHARE)) for _ in range(length)])


def missing(key_count, length=100 * 1000, seed=SEED):
    """Keys that are not there."""
    choose = random.Random(seed).randrange
    return KeySequence([choose(key_count) for _ in range(length)], kind="m")


def zipf(key_count, length=100 * 1000, seed=SEED):
    """Few keys often, most keys seldom."""
    source = random.Random(seed)
    numbers = list(range(key_count))
    source.shuffle(numbers)
    weights = list(itertools.accumulate(1.0 / rank ** ZIPF_EXPONENT for rank in range(1, key_count + 1)))
    total, last, find = weights[-1], key_count - 1, bisect.bisect_left
    return KeySequence([numbers[min(last, find(weights, source.random() * total))] for _ in range(length)])


def mix(sequence, count, seed=SEED):
    """The canonical mix as a list of (kind, key): 90 get, 9 set and 1 delete in a hundred."""
    source = random.Random(seed)
    kinds = source.choices("gsd", cum_weights=(90, 99, 100), k=count)
    return list(zip(kinds, sequence.take(count)))


def run_mix(get, set_, delete, value, operations):
    """Carry out a mix."""
    for kind, key in operations:
        if kind == "g":
            get(key)
        elif kind == "s":
            set_(key, value)
        else:
            delete(key)


# -- one workload at a time, on nosqgrid alone ---------------------------------------------------------------------


class Workload:
    """A named workload: what is stored before, which keys it asks for, and what it does with them."""

    def __init__(self, what, sequence, kind, filled=True, fixed=False, writer=False):
        self.what = what
        self.sequence = sequence
        self.kind = kind  # "get", "set" or "set_many"
        self.filled = filled
        self.fixed = fixed  # each repeat writes every key once into an empty grid
        self.writer = writer  # another process overwrites meanwhile

    def prepare(self, grid, dataset, value):
        """What bench/timing calls with a count."""
        sequence = self.sequence(dataset.key_count)

        def prepare_count(count):
            if self.fixed:
                grid.clear()
            return self._body(grid, sequence.take(count), value)

        return prepare_count

    def _body(self, grid, keys, value):
        if self.kind == "get":
            return lambda: loop_get(grid.get, keys)
        if self.kind == "set":
            return lambda: loop_set(grid.set, keys, value)
        batches = batches_of(keys, value, 1000)
        return lambda: loop_batches(grid.set_many, batches)

    def single(self, grid, value):
        """One operation of it, for the latency pass."""
        if self.kind == "get":
            return lambda key: grid.get(key)
        if self.kind == "set":
            return lambda key: grid.set(key, value)
        return lambda key: grid.set_many({key: value})


def loop_get(get, keys):
    """Get each key."""
    for key in keys:
        get(key)


def loop_set(set_, keys, value):
    """Set each key."""
    for key in keys:
        set_(key, value)


def loop_batches(set_many, batches):
    """Set one batch after the other."""
    for batch in batches:
        set_many(batch)


def batches_of(keys, value, size):
    """Dicts of at most `size` of the keys."""
    return [dict.fromkeys(keys[begin:begin + size], value) for begin in range(0, len(keys), size)]


WORKLOADS = collections.OrderedDict((
    ("fillseq", Workload("set every key of an empty grid, in order", in_order, "set", filled=False, fixed=True)),
    ("fillrandom", Workload("set every key of an empty grid, in random order", shuffled, "set", filled=False,
                            fixed=True)),
    ("overwrite", Workload("set keys that are there, at random", uniform, "set")),
    ("readrandom", Workload("get keys at random, all equally likely", uniform, "get")),
    ("readzipf", Workload("get keys by a Zipf distribution", zipf, "get")),
    ("readmissing", Workload("get keys that are not there", missing, "get")),
    ("readhot", Workload("get one key in a hundred, over and over", hot, "get")),
    ("readwhilewriting", Workload("readrandom while another process overwrites", uniform, "get", writer=True)),
    ("setmany", Workload("set_many in chunks of 1000, until visible", uniform, "set_many")),
))

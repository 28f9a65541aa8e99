"""Hashes and sets against a plain dict: any changes, what takes them back, copies, scans and chance."""

import random
import unittest

from nosqgrid.engine.structures import members
from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.engine.structures.hashes import Hash
from nosqgrid.engine.structures.sets import Set, is_number
from nosqgrid.engine.structures.structure import STRUCTURE_BYTES
from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import values
from tests.support.tiers import FULL, slow

RUNS = 300 if FULL else 40
STEPS = 400


def state(structure):
    """What has to be equal in equal structures, the order of a small one aside."""
    return type(structure), structure.items, structure.size_bytes


def rebuilt(structure):
    fresh = type(structure)()
    for words in structure.changes():
        fresh.apply(words)
    return fresh


class Model(object):
    """Random changes of one structure, each made to a plain dict as well."""

    def __init__(self, kind, rng, names):
        self.kind, self.rng = kind, rng
        self.names = names
        self.structure, self.plain = kind(), {}

    def words(self):
        rng = self.rng
        count = rng.choice((1, 1, 1, 2, 5, 40))
        names = [rng.choice(self.names) for _ in range(count)]
        if rng.random() < self.adding:
            if self.kind is Set:
                return [b"sadd"] + names
            return [b"hset"] + [word for name in names for word in (name, b"v" * rng.randrange(90))]
        return [b"srem" if self.kind is Set else b"hdel"] + names

    def step(self):
        """One change; what takes it back."""
        self.adding = 0.5 + 0.45 * self.rng.choice((-1, 1)) if not self.rng.randrange(30) else self.adding
        words = self.words()
        inverse = self.structure.apply(words)
        if words[0] == b"sadd":
            for name in words[1:]:
                self.plain.setdefault(name)
        elif words[0] == b"hset":
            self.plain.update(zip(words[1::2], words[2::2]))
        else:
            for name in words[1:]:
                self.plain.pop(name, None)
        return inverse

    adding = 0.8


def proved(test, structure):
    """Invariant 1 of members."""
    if structure.order is not None:
        test.assertEqual(len(structure.order), len(set(structure.order)))
        test.assertEqual(set(structure.order), set(structure.items) | set(structure.stale))
        test.assertFalse(set(structure.stale) & set(structure.items))
        test.assertLessEqual(len(structure.stale), 2 * len(structure.items) + 3 * members.SMALL)
    else:
        test.assertLessEqual(len(structure.items), members.SMALL)


class ModelTest(unittest.TestCase):
    def each(self):
        for kind in (Hash, Set):
            for seed in range(RUNS):
                rng = random.Random("%s-%d" % (kind.__name__, seed))
                names = [b"%d" % number if seed % 3 else b"name:%d" % number
                         for number in range(rng.choice((5, 100, 300, 2000)))]
                yield Model(kind, rng, names)

    @slow
    def test_any_changes_and_what_takes_them_back(self):
        largest = 0
        for model in self.each():
            structure = model.structure
            for _ in range(STEPS):
                before = dict(model.plain), structure.size_bytes, structure.copy()
                inverse = model.step()
                self.assertEqual(structure.items, model.plain)
                self.assertEqual(list(structure.items), list(model.plain))
                if model.rng.random() < 0.1:
                    after = state(structure.copy())
                    redo = []
                    for words in inverse:
                        redo.append(structure.apply(words))
                    self.assertEqual((structure.items, structure.size_bytes), before[:2])
                    self.assertEqual(state(structure), state(before[2]))
                    for words in reversed(redo):
                        for word_list in words:
                            structure.apply(word_list)
                    self.assertEqual(state(structure), after)
                    model.plain = dict(structure.items)
            proved(self, structure)
            largest = max(largest, len(structure))
            self.assertEqual(structure.size_bytes, STRUCTURE_BYTES + sum(map(self.weight(model.kind),
                                                                             model.plain.items())))
        self.assertGreater(largest, 3 * members.SMALL)

    @staticmethod
    def weight(kind):
        empty = kind().size_bytes
        probe = kind()
        probe.apply([b"sadd", b""] if kind is Set else [b"hset", b"", b""])
        beside = probe.size_bytes - empty
        return lambda pair: beside + len(pair[0]) + len(pair[1] or b"")

    @slow
    def test_changes_make_an_equal_one_and_so_does_copy(self):
        for model in self.each():
            for _ in range(100):
                model.step()
            for other in (rebuilt(model.structure), model.structure.copy()):
                self.assertEqual(state(other), state(model.structure))
                self.assertEqual(list(other.items), list(model.structure.items))
                proved(self, other)
                kept = dict(other.items)
                other.apply([b"sadd", b"new"] if model.kind is Set else [b"hset", b"new", b"x"])
                self.assertNotIn(b"new", model.structure.items)
                self.assertEqual(model.structure.items, kept)

    def test_changes_come_in_pieces(self):
        found = Set(b"%01000d" % number for number in range(1000))
        pieces = list(found.changes())
        self.assertGreater(len(pieces), 10)
        self.assertLess(max(sum(map(len, piece)) for piece in pieces), members.CHANGE_BYTES + 1100)
        self.assertEqual(list(Set().changes()), [])
        self.assertEqual(list(Hash().changes()), [])

    def test_shrinking_leaves_nothing(self):
        for count in (0, 1, members.SMALL, 5000):
            for kind, name in ((Set, b"sadd"), (Hash, b"hset")):
                structure, steps = kind(), 1
                for number in range(count):
                    structure.apply([name, b"%d" % number] + [b"v"] * (kind is Hash))
                for number in range(0, count, 3):
                    structure.apply([b"srem" if kind is Set else b"hdel", b"%d" % number])
                while not structure.shrink(1000):
                    steps += 1
                self.assertEqual((structure.items, structure.order or []), ({}, []))
                self.assertLessEqual(steps, count // 1000 + 2)

    def test_words_that_are_no_change_are_refused(self):
        for kind, wrong in ((Set, ([], [b"sadd"], [b"srem"], [b"hset", b"a"], [b"", b"a"], [b"SADD", b"a", b"b"])),
                            (Hash, ([], [b"hset"], [b"hset", b"a"], [b"hset", b"a", b"b", b"c"], [b"hdel"],
                                    [b"sadd", b"a"], [b"sadd", b"a", b"b"], [b"", b"a", b"b", b"c"]))):
            structure = kind()
            structure.apply([b"sadd", b"a"] if kind is Set else [b"hset", b"a", b"b"])
            before = state(structure.copy())
            for words in wrong:
                with self.assertRaises(CorruptValueError, msg=words):
                    structure.apply(words)
                self.assertEqual(state(structure), before)

    def test_the_classes_are_known_by_their_types(self):
        self.assertIs(CLASSES[values.SET], Set)
        self.assertIs(CLASSES[values.HASH], Hash)


class EncodingTest(unittest.TestCase):
    def test_numbers(self):
        for member in (b"0", b"-1", b"10", b"9223372036854775807", b"-9223372036854775808", b"999999999999999999"):
            self.assertTrue(is_number(member), member)
        for member in (b"", b"-", b"00", b"-0", b"+1", b"01", b" 1", b"1 ", b"1.0", b"9223372036854775808",
                       b"-9223372036854775809", b"99999999999999999999", b"-01", b"1_0", "\u0663".encode(), b"x"):
            self.assertFalse(is_number(member), member)

    def test_sets_of_numbers_until_one_is_none_or_they_are_many(self):
        found = Set()
        found.apply([b"sadd", b"10", b"9", b"-3"])
        self.assertEqual((found.encoding(), found.listed()), (b"intset", [b"-3", b"9", b"10"]))
        found.apply([b"sadd", b"x"])
        found.apply([b"srem", b"x"])
        self.assertEqual((found.encoding(), found.listed()), (b"hashtable", [b"10", b"9", b"-3"]))
        self.assertEqual(found.copy().encoding(), b"hashtable")
        found = Set()
        for number in range(Set.NUMBERS_MAX):
            found.apply([b"sadd", b"%d" % number])
        self.assertEqual(found.encoding(), b"intset")
        self.assertEqual(found.copy().encoding(), b"intset")
        found.apply([b"sadd", b"1000"])
        self.assertEqual(found.encoding(), b"hashtable")
        for count, expected in ((1, b"intset"), (512, b"intset"), (513, b"hashtable")):
            self.assertEqual(Set(b"%d" % number for number in range(count)).encoding(), expected)
        self.assertEqual(Set([b"1", b"x"]).encoding(), b"hashtable")

    def test_a_set_made_at_once_is_one_made_step_by_step(self):
        for count in (0, 1, members.SMALL, members.SMALL + 1, 600):
            at_once, steps = Set([b"%d" % number for number in range(count)]), Set()
            for number in range(count):
                steps.apply([b"sadd", b"%d" % number])
            self.assertEqual(state(at_once), state(steps))
            self.assertEqual((at_once.order, at_once.encoding()), (steps.order, steps.encoding()))

    def test_hashes_until_they_are_many_or_something_is_long(self):
        for words in ([b"hset", b"f" * 65, b"v"], [b"hset", b"f", b"v" * 65],
                      [b"hset"] + [b"%d" % number for number in range(1026)]):
            found = Hash()
            found.apply([b"hset", b"a" * 64, b"v" * 64])
            self.assertEqual(found.encoding(), b"listpack")
            found.apply(words)
            self.assertEqual(found.encoding(), b"hashtable")
            found.apply([b"hdel"] + words[1::2])
            self.assertEqual(found.encoding(), b"hashtable")
            self.assertEqual(found.copy().encoding(), b"hashtable")
            self.assertEqual(rebuilt(found).encoding(), b"listpack")


class ScanTest(unittest.TestCase):
    @slow
    def test_what_stays_is_met_whatever_comes_and_goes(self):
        for seed in range(RUNS * 3):
            rng = random.Random(seed)
            # At the bounds of what is small, and, as numbers, of what is compact.
            form = b"stay:%d" if seed % 2 else b"%d"
            found = Set(form % number for number in range(rng.choice((1, 100, 129, 300, 500, 1000))))
            staying = set(found.items)
            passing = [(b"pass:%d" if seed % 3 else b"-%d") % number
                       for number in range(1, rng.choice((10, 300, 3000)))]
            found.apply([b"sadd"] + passing[:rng.randrange(1, len(passing))])
            seen, cursor, steps = set(), 0, 0
            while True:
                cursor, names = found.scan(cursor, rng.choice((1, 5, 50)))
                seen.update(names)
                steps += 1
                if not cursor:
                    break
                for _ in range(rng.choice((0, 1, 20, 300))):
                    found.apply([rng.choice((b"sadd", b"srem", b"srem")), rng.choice(passing)])
                if rng.random() < 0.1:
                    found.random(lambda count: 0)  # which may have to leave out what is stale
            self.assertGreaterEqual(seen, staying, seed)
            self.assertLess(steps, 6000)
            proved(self, found)

    def test_what_stays_is_met_where_the_stale_are_left_out_meanwhile(self):
        found = Set([b"gone"] + [b"stay:%d" % number for number in range(1000)])
        cursor, seen = found.scan(0, 500)
        found.apply([b"srem", b"gone"])
        self.assertEqual(len(found.stale), 1)
        found.random(lambda count: 0)  # meets nothing but what is stale
        self.assertEqual(len(found.stale), 0)
        while cursor:
            cursor, names = found.scan(cursor, 100)
            seen += names
        self.assertEqual(set(seen), set(found.items))

    def test_without_changes_each_is_met_once(self):
        for count in (0, 1, members.SMALL, members.SMALL + 1, 1000):
            found = Hash()
            for number in range(count):
                found.apply([b"hset", b"%d" % number, b"v"])
            for removed in range(0, count // 4):
                found.apply([b"hdel", b"%d" % removed])
            seen, cursor = [], 0
            while True:
                cursor, names = found.scan(cursor, 7)
                seen += names
                if not cursor:
                    break
            self.assertEqual(sorted(seen), sorted(found.items))

    def test_a_compact_one_is_met_at_once(self):
        found = Set(b"%d" % number for number in range(512, 0, -1))
        self.assertEqual(found.scan(7, 1), (0, [b"%d" % number for number in range(1, 513)]))
        found.apply([b"sadd", b"0"])
        self.assertEqual(found.scan(0, 3), (510, [b"2", b"1", b"0"]))

    def test_any_cursor_is_one(self):
        found = Set(b"%d" % number for number in range(1000))
        self.assertEqual(found.scan(2 ** 64 - 1, 10), (990, [b"%d" % number for number in range(990, 1000)]))
        self.assertEqual(found.scan(1, 10), (0, [b"0"]))


class ChanceTest(unittest.TestCase):
    def structures(self):
        """(set, its members): small, large, and large with many that are stale."""
        for count, removed in ((1, 0), (10, 0), (members.SMALL, 0), (200, 0), (300, 95), (400, 380), (200, 199)):
            found = Set(b"m%d" % number for number in range(count))
            for number in range(removed):
                found.apply([b"srem", b"m%d" % (number * 7 % count)])
            yield found, set(found.items)

    def test_each_has_the_same_chance(self):
        for found, there in self.structures():
            rng = random.Random(len(there))
            for draw in (lambda: [found.random(rng.getrandbits) for _ in range(100 * len(there))],
                         lambda: found.picks(100 * len(there), rng.getrandbits),
                         lambda: [name for _ in range(200)
                                  for name in found.sample((len(there) + 1) // 2, rng.getrandbits)]):
                counts = dict.fromkeys(there, 0)
                for name in draw():
                    counts[name] += 1
                self.assertGreater(min(counts.values()), 40)
                self.assertLess(max(counts.values()), 210)

    def test_samples_are_different_and_as_many_as_asked_for(self):
        for found, there in self.structures():
            rng = random.Random(7)
            for count in (1, 2, 9, 100, len(there) - 1, len(there), len(there) + 1, 10 ** 9):
                if count:
                    names = found.sample(count, rng.getrandbits)
                    self.assertEqual(len(names), min(count, len(there)))
                    self.assertLessEqual(set(names), there)
                    self.assertEqual(len(set(names)), len(names))

    def test_positions_in_a_sample_are_random(self):
        found, rng = Set([b"a", b"b", b"c", b"d"]), random.Random(1)
        orders = {tuple(found.sample(3, rng.getrandbits)) for _ in range(500)}
        self.assertEqual(len(orders), 24)

    def test_a_source_that_always_says_the_same_comes_to_an_end(self):
        for found, there in self.structures():
            for source in (lambda count: 0, lambda count: (1 << count) - 1, lambda count: 1 << (count - 2)):
                for other in (found.copy(), found):
                    self.assertIn(other.random(source), there)
                    self.assertEqual(len(other.picks(20, source)), 20)
                    self.assertEqual(len(set(other.sample(3, source))), min(3, len(there)))
                    proved(self, other)


if __name__ == "__main__":
    unittest.main()

"""The structure of a list against a plain Python list: changes, what takes them back, and what rebuilds it."""

import random
import unittest
from collections import deque

from nosqgrid.engine.structures import chunks, lists
from nosqgrid.engine.structures.classes import CLASSES
from nosqgrid.engine.structures.lists import List
from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import values
from tests.support.tiers import FULL

STEPS = 20000 if FULL else 3000
SMALL_CHUNK = 4


def made_of(elements):
    structure = List()
    if elements:
        structure.apply([b"rpush"] + list(elements))
    return structure


class SmallChunks(unittest.TestCase):
    """With chunks of a few elements, so that short lists have many of them."""

    def setUp(self):
        for module, name, value in ((chunks, "CHUNK", SMALL_CHUNK), (lists, "CHUNK", SMALL_CHUNK), (chunks, "SHORT", 2),
                                    (lists, "SHORT", 2), (lists, "_FEW", 3)):
            self.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, value)

    def verify(self, structure, model):
        self.assertEqual(list(structure), model)
        self.assertEqual(len(structure), len(model))
        self.assertTrue(structure.chunks)
        self.assertEqual([chunk for chunk in list(structure.chunks)[1:] if not chunk], [])
        self.assertTrue(all(len(chunk) <= (SMALL_CHUNK if type(chunk) is deque else lists.SHORT)
                            for chunk in structure.chunks))
        self.assertEqual(structure.size_bytes, List().size_bytes + sum(lists.ELEMENT_BYTES + len(element)
                                                                       for element in model))

    def take_back(self, structure, inverse):
        for words in inverse:
            structure.apply(words)


def change_of(rng, model):
    """(words, the list after them) of a change that fits a list."""
    length = len(model)
    some = [b"%d" % rng.randrange(100) for _ in range(rng.choice((1, 1, 2, 9)))]
    kind = rng.choice((b"lpush", b"rpush", b"lpop", b"rpop", b"trim", b"rotate", b"set", b"ins", b"del"))
    if kind == b"lpush":
        return [kind] + some, some[::-1] + model
    if kind == b"ins":
        return insertion_of(rng, model, some)
    if kind == b"rpush" or not length:
        return [b"rpush"] + some, model + some
    count = rng.choice((1, rng.randint(1, length)))
    if kind == b"lpop":
        return [kind] if count == 1 else [kind, b"%d" % count], model[count:]
    if kind == b"rpop":
        return [kind] if count == 1 else [kind, b"%d" % count], model[:length - count]
    if kind == b"trim":
        left = rng.randint(0, length) if rng.random() < 0.3 else 0
        right = rng.randint(0, (length - left) // 3)
        return [kind, b"%d" % left, b"%d" % right], model[left:length - right]
    if kind == b"rotate":
        turn = rng.choice((-1, 0, 1))
        cut = length - turn if turn > 0 else -turn
        return [kind, b"%d" % turn], model[cut:] + model[:cut]
    if kind == b"set":
        index = rng.randrange(length)
        return [kind, b"%d" % index, some[0]], model[:index] + some[:1] + model[index + 1:]
    indexes = sorted(rng.sample(range(length), rng.choice((1, rng.randint(1, length // 4 + 1)))))
    return ([kind] + [b"%d" % index for index in indexes],
            [element for index, element in enumerate(model) if index not in indexes])


def insertion_of(rng, model, some):
    after, words = list(model), [b"ins"]
    indexes = sorted(rng.sample(range(len(model) + 1), min(len(some), len(model) + 1)))
    for index, element in zip(indexes, some):
        after.insert(index, element)
        words += [b"%d" % index, element]
    return words, after


class ModelTest(SmallChunks):

    def test_random_changes_are_made_and_taken_back(self):
        rng = random.Random(1)
        structure, model = List(), []
        for _ in range(STEPS):
            words, after = change_of(rng, model)
            given = list(words)
            inverse = structure.apply(words)
            self.assertEqual(words, given)
            self.verify(structure, after)
            if rng.random() < 0.3 or len(after) > 60:
                self.take_back(structure, inverse)
                self.verify(structure, model)
            else:
                model = after
            for index in rng.sample(range(len(model)), min(len(model), 3)):
                self.assertEqual(structure.at(index), model[index])
            start = rng.randint(0, len(model))
            stop = rng.randint(start, len(model))
            self.assertEqual(structure.range(start, stop), model[start:stop])

    def test_many_changes_are_taken_back_in_the_opposite_order(self):
        rng = random.Random(2)
        for _ in range(STEPS // 100):
            before = [b"%d" % rng.randrange(9) for _ in range(rng.randrange(40))]
            structure, model, inverses = made_of(before), before, []
            for _ in range(20):
                words, model = change_of(rng, model)
                inverses.append(structure.apply(words))
            self.verify(structure, model)
            for inverse in reversed(inverses):
                self.take_back(structure, inverse)
            self.verify(structure, before)

    def test_what_changes_yields_makes_an_equal_one(self):
        rng = random.Random(3)
        for length in list(range(20)) + [500]:
            model = [b"x" * rng.choice((0, 1, 50, 5000)) for _ in range(length)]
            structure, rebuilt = made_of(model), List()
            for words in structure.changes():
                rebuilt.apply(words)
            self.verify(rebuilt, model)
            self.assertEqual(rebuilt.size_bytes, structure.size_bytes)

    def test_changes_are_of_a_bounded_size(self):
        model = [b"x" * 1000] * 1000 + [b"y" * 100000] * 3
        pieces = list(made_of(model).changes())
        self.assertEqual([element for words in pieces for element in words[1:]], model)
        self.assertGreater(len(pieces), 10)
        self.assertTrue(all(sum(map(len, words[:-1])) <= 2 * lists.CHANGE_BYTES for words in pieces))

    def test_a_copy_is_equal_and_its_own(self):
        model = [b"%d" % number for number in range(30)]
        structure = made_of(model)
        other = structure.copy()
        self.verify(other, model)
        other.apply([b"lpop", b"20"])
        other.apply([b"set", b"0", b"changed"])
        self.verify(structure, model)
        self.verify(other, [b"changed"] + model[21:])

    def test_shrinking_ends(self):
        for size in (1, 10000):
            structure = made_of([b"x" * size] * 1000)
            steps = 0
            while not structure.shrink(300):
                steps += 1
                self.assertLess(steps, 1000)
            self.assertEqual(len(structure), 0)
            self.assertGreater(steps, 2)
        self.assertTrue(List().shrink(10))

    def test_finding(self):
        rng = random.Random(4)
        for _ in range(300):
            model = [rng.choice((b"a", b"b", b"c")) for _ in range(rng.randrange(30))]
            structure, limit = made_of(model), rng.randint(0, 35)
            wanted = [index for index, element in enumerate(model) if element == b"a"]
            self.assertEqual(list(structure.find(b"a", limit)), [index for index in wanted if index < limit])
            self.assertEqual(list(structure.find_last(b"a", limit)),
                             [index for index in wanted[::-1] if index >= len(model) - limit])


class LargeTest(unittest.TestCase):

    def test_chunks_as_they_are(self):
        rng = random.Random(5)
        model = [b"%d" % number for number in range(20000)]
        structure = made_of(model)
        for _ in range(STEPS // 3):
            index = rng.randrange(len(model))
            if rng.random() < 0.5:
                structure.apply([b"ins", b"%d" % index, b"new"])
                model.insert(index, b"new")
            else:
                structure.apply([b"del", b"%d" % index])
                del model[index]
            index = rng.randrange(len(model))
            self.assertEqual(structure.at(index), model[index])
        self.assertEqual(list(structure), model)
        structure.apply([b"trim", b"5000", b"6000"])
        self.assertEqual(list(structure), model[5000:-6000])

    def test_chunks_in_the_middle_do_not_stay_small(self):
        structure = made_of([b"%d" % number for number in range(50 * lists.CHUNK)])
        while len(structure) > 3 * lists.CHUNK:
            structure.apply([b"del", b"%d" % (len(structure) // 2)])
        self.assertLess(len(structure.chunks), 20)


class RefusedTest(SmallChunks):

    def test_words_that_are_no_change(self):
        model = [b"a", b"b", b"c", b"d", b"e", b"f"]
        structure = made_of(model)
        for line in ("", "LPUSH a", "lpush", "rpush", "lpop 0", "lpop 7", "lpop -1", "lpop x", "lpop 1 1", "rpop 0",
                     "rpop 7", "rpop 1 1", "trim", "trim 1", "trim 3 4", "trim 1 x", "trim 1 2 3", "rotate", "rotate 2",
                     "rotate x", "rotate 1 1", "set", "set 6 a", "set x a", "set 0", "set 0 a b", "set -1 a", "ins",
                     "ins 0", "ins 7 a", "ins 1 a 1 b", "ins 1 a 0 b", "ins 0 a 1", "ins 5 a 8 b", "ins x a", "del",
                     "del 6", "del 1 1", "del 2 1", "del x", "del 1 2 x", "nothing", "del 9999999999999999999999"):
            with self.assertRaises(CorruptValueError, msg=line):
                structure.apply([word.encode() for word in line.split()])
            self.verify(structure, model)
        with self.assertRaises(CorruptValueError):
            List().apply([b"lpop"])
        with self.assertRaises(CorruptValueError):
            List().apply([b"rpop"])

    def test_random_words(self):
        rng = random.Random(6)
        pieces = [b"lpush", b"rpush", b"lpop", b"rpop", b"trim", b"rotate", b"set", b"ins", b"del", b"0", b"1", b"-1",
                  b"3", b"\xff", b"", b"99"]
        refused = 0
        for _ in range(STEPS):
            model = [b"%d" % number for number in range(rng.randrange(12))]
            structure = made_of(model)
            try:
                inverse = structure.apply([rng.choice(pieces) for _ in range(rng.randrange(6))])
            except CorruptValueError:
                refused += 1
            else:
                self.take_back(structure, inverse)
            self.verify(structure, model)
        self.assertGreater(refused, STEPS // 10)


class ClassTest(unittest.TestCase):

    def test_what_it_is(self):
        structure = made_of([b"b", b"a"])
        self.assertIs(CLASSES[values.LIST], List)
        self.assertEqual(structure.TYPE, values.LIST)
        self.assertEqual(structure.encoding(), b"quicklist")
        self.assertEqual(list(structure.listed()), [b"b", b"a"])


if __name__ == "__main__":
    unittest.main()

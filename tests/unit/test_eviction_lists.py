"""The flat lists against plain Python lists, and that `check` finds what is broken."""

import random
import unittest

from nosqgrid.engine.eviction.lists import LIST_COUNT_MAX, NODE_BYTES, NodeLists
from nosqgrid.errors import InvariantError, UsageError

FIRST = LIST_COUNT_MAX + 1


def contents(lists, number):
    return list(lists.nodes(number))


class NodeListsTest(unittest.TestCase):
    def setUp(self):
        self.lists = NodeLists.in_memory(FIRST + 64)
        self.one, self.two = self.lists.open(), self.lists.open()

    def test_the_newest_is_first_and_the_oldest_last(self):
        for node in (300, 301, 302):
            self.lists.insert(self.one, node, 2)
        self.assertEqual(contents(self.lists, self.one), [302, 301, 300])
        self.assertEqual(self.lists.oldest(self.one), 300)
        self.assertEqual(self.lists.oldest(self.two), 0)
        self.assertEqual((self.lists.counts[self.one], self.lists.weights[self.one]), (3, 6))

    def test_random_operations_do_what_plain_lists_do(self):
        rnd = random.Random(4)
        plain, weights = {self.one: [], self.two: []}, {}
        for step in range(4000):
            node = rnd.randrange(FIRST, FIRST + 64)
            where = next((number for number, nodes in plain.items() if node in nodes), None)
            other = rnd.choice((self.one, self.two))
            action = rnd.randrange(5)
            if where is None:
                weights[node] = rnd.randrange(1, 100)
                self.lists.insert(other, node, weights[node])
                plain[other].insert(0, node)
            elif action == 0:
                self.assertEqual(self.lists.remove(node), where)
                plain[where].remove(node)
            elif action == 1:
                weights[node] = rnd.randrange(1, 100)
                self.lists.reweigh(node, weights[node])
            elif action == 2:
                self._move(node, rnd.randrange(FIRST, FIRST + 64), plain, weights)
            else:
                self.lists.to_front(other, node)
                plain[where].remove(node)
                plain[other].insert(0, node)
            if step % 50 == 0:
                self._compare(plain, weights)
        self._compare(plain, weights)

    def _move(self, old, new, plain, weights):
        self.lists.move(old, new)
        if new != old:
            for nodes in plain.values():
                if new in nodes:
                    nodes.remove(new)
            where = next(number for number, nodes in plain.items() if old in nodes)
            plain[where][plain[where].index(old)] = new
            weights[new] = weights[old]

    def _compare(self, plain, weights):
        self.lists.check_all()
        for number, nodes in plain.items():
            self.assertEqual(contents(self.lists, number), nodes)
            self.assertEqual(self.lists.weights[number], sum(weights[node] for node in nodes))

    def test_what_is_in_no_list_is_left_alone(self):
        self.assertEqual(self.lists.remove(300), 0)
        self.assertEqual(self.lists.remove(self.one), 0)  # a head is no record
        self.lists.move(300, 301)
        self.lists.move(self.one, 300)
        self.lists.check_all()
        self.assertEqual(self.lists.owner[300], 0)

    def test_numbers_are_few_and_come_back(self):
        numbers = [self.lists.open() for _ in range(LIST_COUNT_MAX - 2)]
        self.assertEqual(len(set(numbers) | {self.one, self.two}), LIST_COUNT_MAX)
        with self.assertRaises(UsageError):
            self.lists.open()
        self.lists.insert(numbers[3], 300, 7)
        self.lists.close(numbers[3])
        self.assertEqual(self.lists.owner[300], 0)
        again = self.lists.open()
        self.assertEqual((again, self.lists.counts[again], self.lists.weights[again]), (numbers[3], 0, 0))
        self.lists.check_all()

    def test_arrays_of_different_lengths_are_refused(self):
        with self.assertRaises(InvariantError):
            NodeLists([0] * 300, [0] * 300, [0] * 300, [0] * 299)
        with self.assertRaises(InvariantError):
            NodeLists.in_memory(LIST_COUNT_MAX + 1)

    def test_a_record_takes_thirteen_bytes(self):
        lists = self.lists
        size = sum(array.itemsize for array in (lists.next, lists.prev, lists.weight, lists.owner))
        self.assertEqual(size, NODE_BYTES)

    def test_check_finds_every_kind_of_damage(self):
        damages = [("next", 301, 300 + 5), ("prev", 301, 301), ("weight", 300, 9), ("owner", 302, self.two),
                   ("next", 300, 301), ("prev", self.one, 302), ("owner", 310, self.one), ("next", 302, 300)]
        for name, node, value in damages:
            with self.subTest(name=name, node=node):
                self.setUp()
                for number in (300, 301, 302):
                    self.lists.insert(self.one, number, 2)
                self.lists.check_all()
                getattr(self.lists, name)[node] = value
                with self.assertRaises(InvariantError):
                    self.lists.check_all()


if __name__ == "__main__":
    unittest.main()

"""LRU and W-TinyLFU against references in ordered dictionaries: the same decisions, request by request."""

import collections
import random
import unittest
from unittest import mock

from nosqgrid.engine.eviction import Lru, NodeLists, TinyLfu, lists as lists_module, lru, miniature, tinylfu
from nosqgrid.errors import InvariantError
from tests.support.tiers import slow

from .test_eviction_sketch import PlainSketch

FIRST = lists_module.LIST_COUNT_MAX + 1
NODES = 400


def newest_first(ordered):
    return list(reversed(list(ordered)))


class PlainLru:
    """One dictionary, the oldest first."""

    def __init__(self):
        self.parts = [collections.OrderedDict()]

    def added(self, node, key_hash, weight):
        self.parts[0].pop(node, None)
        self.parts[0][node] = weight

    def touched(self, node, key_hash):
        if node in self.parts[0]:
            self.parts[0].move_to_end(node)

    def changed(self, node, key_hash, weight):
        if node in self.parts[0]:
            self.parts[0][node] = weight
            self.touched(node, key_hash)

    def removed(self, node):
        self.parts[0].pop(node, None)

    def moved(self, old, new):
        if old == new or not any(old in part for part in self.parts):
            return
        for index, part in enumerate(self.parts):
            part.pop(new, None)
            self.parts[index] = collections.OrderedDict((new if node == old else node, weight)
                                                        for node, weight in part.items())

    def spared(self, node):
        for part in self.parts:
            if node in part:
                part.move_to_end(node)

    def next_victim(self):
        return next(iter(self.parts[0]), 0)


class PlainTinyLfu(PlainLru):
    """Three dictionaries and the plain sketch.  The miniatures are plain as they are, and are used here too."""

    def __init__(self, hash_of, chance):
        self.parts = [collections.OrderedDict() for _ in range(3)]
        self.hash_of, self.chance = hash_of, chance
        self.sketch = PlainSketch()
        self.chooser = miniature.WindowChooser(self.sketch.estimate)
        self.full_weight = self.capacity = 0

    window = property(lambda self: self.parts[0])
    probation = property(lambda self: self.parts[1])
    protected = property(lambda self: self.parts[2])

    @property
    def weight(self):
        return sum(sum(part.values()) for part in self.parts)

    def limits(self):
        window = int(self.capacity * self.chooser.fraction)
        return max(window, 1), int((self.capacity - window) * 0.8)

    def shift(self, source, target, limit, leave=0):
        for _ in range(8):
            if sum(source.values()) <= limit or len(source) <= leave:
                return
            node, weight = source.popitem(last=False)
            target[node] = weight

    def added(self, node, key_hash, weight):
        self.removed(node)
        self.window[node] = weight
        self.sketch.ensure(sum(map(len, self.parts)))
        self.sketch.increment(key_hash)
        total = self.weight
        if total > self.capacity:
            self.capacity = total + total // 16
        if self.full_weight and (total - total // 8 > self.full_weight or total + total // 8 < self.capacity):
            self.full_weight = 0
        elif not self.full_weight:
            self.shift(self.window, self.probation, self.limits()[0])
        self.sample(key_hash, weight)

    def touched(self, node, key_hash):
        if node in self.probation:
            self.protected[node] = self.probation.pop(node)
        elif not (node in self.window or node in self.protected):
            return
        self.spared(node)
        self.shift(self.protected, self.probation, self.limits()[1], 1)
        self.sketch.increment(key_hash)
        self.sample(key_hash, next(part[node] for part in self.parts if node in part))

    def changed(self, node, key_hash, weight):
        for part in self.parts:
            if node in part:
                part[node] = weight
                self.touched(node, key_hash)
                return

    def removed(self, node):
        for part in self.parts:
            part.pop(node, None)

    def sample(self, key_hash, weight):
        if key_hash >> 20 & self.chooser.mask == 0:
            count = sum(map(len, self.parts))
            if self.chooser.request(key_hash, weight, self.capacity, count):
                self.chooser.end_round(count, self.full_weight > 0)

    def next_victim(self):
        total = self.full_weight = self.weight
        if total + total // 16 < self.capacity:
            self.capacity = total
        limit = self.limits()[0]
        slack = limit // 16
        for _ in range(2):
            held = sum(self.window.values())
            if held - limit <= slack or held - next(iter(self.window.values())) - limit <= slack:
                break
            node, weight = self.window.popitem(last=False)
            self.probation[node] = weight
        candidate = next(iter(self.window), 0)
        victim = next(iter(self.probation), 0) or next(iter(self.protected), 0)
        if not victim or not candidate:
            return victim or candidate
        if sum(self.window.values()) < limit:
            return victim
        asked = self.sketch.estimate(self.hash_of(candidate))
        if asked > self.sketch.estimate(self.hash_of(victim)) or asked >= 6 and self.chance() < 1 / 128.0:
            self.probation[candidate] = self.window.pop(candidate)
            return victim
        return candidate


class Grid:
    """A caller of a policy: keys in slots, a budget, and the reference beside it."""

    def __init__(self, make, budget, seed):
        self.rnd = random.Random(seed)
        self.lists = NodeLists.in_memory(FIRST + NODES)
        self.hash_at = {}
        self.real, self.plain = make(self, seed)
        self.node_of, self.weight_of, self.hash_of_key = {}, {}, {}
        self.budget = budget
        self.victims = []

    def free_node(self):
        taken = set(self.node_of.values())
        return self.rnd.choice([node for node in range(FIRST, FIRST + NODES) if node not in taken])

    def both(self, name, *arguments):
        results = [getattr(policy, name)(*arguments) for policy in (self.real, self.plain)]
        return results

    def make_room(self, weight):
        while sum(self.weight_of.values()) + weight > self.budget:
            real, plain = self.both("next_victim")
            if real != plain:
                raise AssertionError("victim %r instead of %r after %d" % (real, plain, len(self.victims)))
            key = next(key for key, node in self.node_of.items() if node == real)
            if self.rnd.random() < 0.02:
                self.both("spared", real)
                continue
            self.victims.append(key)
            self.forget(key)

    def forget(self, key):
        node = self.node_of.pop(key)
        del self.weight_of[key], self.hash_at[node]
        self.both("removed", node)

    def put(self, key, weight):
        key_hash = self.hash_of_key.setdefault(key, self.rnd.getrandbits(61))
        if key in self.node_of:
            self.make_room(weight)
        if key in self.node_of:  # it may have been the victim
            self.weight_of[key] = weight
            self.both("changed", self.node_of[key], key_hash, weight)
            return
        self.make_room(weight)
        node = self.free_node()
        self.node_of[key], self.weight_of[key], self.hash_at[node] = node, weight, key_hash
        self.both("added", node, key_hash, weight)

    def get(self, key):
        node = self.node_of.get(key)
        if node is None:
            self.put(key, self.rnd.choice((1, 1, 1, 2, 7, 20)))
        else:
            self.both("touched", node, self.hash_of_key[key])

    def move(self, key):
        new = self.free_node()
        old = self.node_of[key]
        self.node_of[key] = new
        self.hash_at[new] = self.hash_at.pop(old)
        self.both("moved", old, new)

    def step(self, keys):
        key = min(int(self.rnd.expovariate(4.0 / keys)), keys - 1)
        action = self.rnd.random()
        if action < 0.03 and key in self.node_of:
            self.forget(key)
        elif action < 0.06 and key in self.node_of:
            self.move(key)
        elif action < 0.12:
            self.put(key, self.rnd.choice((1, 3, 30)))
        elif action < 0.14:  # a late note about a slot that is empty
            self.both("touched", self.free_node(), self.rnd.getrandbits(61))
            self.both("removed", self.free_node())
        else:
            self.get(key)

    def compare(self, case):
        self.lists.check_all()
        self.real.check()
        for number, part in zip(self.real.numbers, self.plain.parts):
            case.assertEqual(list(self.lists.nodes(number)), newest_first(part))
        case.assertEqual(self.real.weight, sum(self.weight_of.values()))
        case.assertEqual(self.real.count, len(self.node_of))


def make_lru(grid, seed):
    return Lru(grid.lists), PlainLru()


def make_tinylfu(grid, seed):
    def hash_of(node):
        return grid.hash_at[node]

    return (TinyLfu(grid.lists, hash_of, random.Random(seed).random), PlainTinyLfu(hash_of, random.Random(seed).random))


class AgainstTheReferenceTest(unittest.TestCase):
    def _run(self, make, steps, seed, budget=300, keys=300):
        grid = Grid(make, budget, seed)
        for number in range(steps):
            if number == steps // 2:
                grid.budget = budget // 2  # somebody else needs the memory
            elif number == steps * 3 // 4:
                grid.budget = budget * 2
            grid.step(keys)
            if number % 100 == 0:
                grid.compare(self)
        grid.compare(self)
        self.assertGreater(len(grid.victims), steps // 20)
        return grid

    def test_lru_evicts_what_a_plain_one_evicts(self):
        self._run(make_lru, 4000, 1)

    @slow
    def test_tinylfu_evicts_what_a_plain_one_evicts(self):
        for seed in (2, 3):
            with self.subTest(seed=seed):
                grid = self._run(make_tinylfu, 4000, seed)
                self.assertEqual(grid.real.window_fraction, grid.plain.chooser.fraction)
                self.assertEqual(grid.real.capacity, grid.plain.capacity)

    def test_tinylfu_agrees_when_the_window_grows_and_shrinks(self):
        with mock.patch.object(miniature.WindowChooser, "end_round", _by_turns):
            self._run(make_tinylfu, 3000, 5)

    def test_a_seeded_bug_is_noticed(self):
        def nothing(*arguments):
            return None

        bugs = [(make_lru, lru.Lru, "touched", nothing), (make_lru, lists_module.NodeLists, "move", nothing),
                (make_tinylfu, tinylfu.TinyLfu, "_demote", nothing),
                (make_tinylfu, tinylfu.TinyLfu, "_overflow", nothing),
                (make_tinylfu, tinylfu.TinyLfu, "_shrink_window", nothing),
                (make_tinylfu, tinylfu, "FLOODED_CHANCE", 1.0), (make_tinylfu, tinylfu, "MOVES_MAX", 1),
                (make_tinylfu, lists_module.NodeLists, "reweigh", nothing)]
        for make, owner, name, bug in bugs:
            with self.subTest(name), mock.patch.object(owner, name, bug), \
                    mock.patch.object(miniature.WindowChooser, "end_round", _by_turns):
                with self.assertRaises((AssertionError, StopIteration)):  # InvariantError is one of the first
                    self._run(make, 2500, 2)


def _by_turns(chooser, count, full):
    """In place of the choice: every fraction in turn."""
    chooser._requests = 0
    places = miniature.FRACTIONS
    chooser.fraction = places[(places.index(chooser.fraction) + 1) % len(places)]


class PolicyTest(unittest.TestCase):
    def setUp(self):
        self.lists = NodeLists.in_memory(FIRST + 3000)
        self.hashes = random.Random(6)
        self.hash_at = {}

    def make(self):
        return TinyLfu(self.lists, self.hash_at.__getitem__, random.Random(1).random)

    def replay(self, policy, keys, room):
        """Hits of a policy on a list of keys with room for so many."""
        node_of, key_at, hash_of = {}, {}, {}
        free = list(range(FIRST, FIRST + room))
        hits = 0
        for key in keys:
            node = node_of.get(key)
            if node is not None:
                hits += 1
                policy.touched(node, hash_of[key])
                continue
            if not free:
                node = policy.next_victim()
                policy.removed(node)
                del node_of[key_at.pop(node)]
                free.append(node)
            node = free.pop()
            node_of[key], key_at[node] = node, key
            self.hash_at[node] = hash_of.setdefault(key, self.hashes.getrandbits(61))
            policy.added(node, hash_of[key], 1)
        policy.check()
        return hits

    @slow
    def test_a_scan_leaves_what_is_popular_alone(self):
        rnd = random.Random(8)
        keys = []
        for number in range(20000):
            keys += [int(rnd.expovariate(1 / 40.0)), -1 - number]
        popular = self.replay(self.make(), keys, 150)
        self.assertGreater(popular, 18500)
        self.assertLess(self.replay(Lru(NodeLists.in_memory(FIRST + 200)), keys, 150), 16000)

    @slow
    def test_a_loop_that_does_not_fit_is_kept_in_part(self):
        keys = list(range(500)) * 40
        self.assertGreater(self.replay(self.make(), keys, 400), 0.6 * len(keys))
        self.assertEqual(self.replay(Lru(NodeLists.in_memory(FIRST + 500)), keys, 400), 0)

    @slow
    def test_the_window_grows_where_only_the_recent_counts(self):
        rnd = random.Random(9)
        keys = [number - int(rnd.expovariate(1 / 120.0)) for number in range(40000)]
        policy = self.make()
        hits = self.replay(policy, keys, 400)
        self.assertGreaterEqual(policy.window_fraction, 0.5)
        best = self.replay(Lru(NodeLists.in_memory(FIRST + 500)), keys, 400)
        self.assertGreater(hits, 0.97 * best)

    @slow
    def test_a_miniature_hits_about_as_often_as_the_cache(self):
        rnd = random.Random(10)
        keys = [int(rnd.paretovariate(0.25)) for _ in range(30000)]
        policy = self.make()
        hits = self.replay(policy, keys, 2000)
        self.assertEqual(policy._chooser.mask, 3)  # one key in four
        self.assertEqual(policy.window_fraction, 0.01)
        small = miniature.Miniature(0.01)
        plain = PlainSketch()
        plain.ensure(2000)
        for key in keys:
            key_hash = key * 0x9E3779B97F4A7C15 % ((1 << 61) - 1)
            plain.increment(key_hash)
            small.request(key_hash, 1, 2000, plain.estimate)
        self.assertAlmostEqual(small.hits / len(keys), hits / float(len(keys)), delta=0.02)

    def test_two_policies_share_the_arrays(self):
        one, two, three = self.make(), self.make(), Lru(self.lists)
        for node, policy in zip(range(FIRST, FIRST + 90), (one, two, three) * 30):
            self.hash_at[node] = self.hashes.getrandbits(61)
            policy.added(node, self.hash_at[node], 3)
        for policy in (one, two, three):
            self.assertEqual((policy.count, policy.weight), (30, 90))
            self.assertIn(self.lists.owner[policy.next_victim()], policy.numbers)
        foreign = FIRST + 1  # of two
        for policy in (one, three):
            policy.touched(foreign, 1)
            policy.changed(foreign, 1, 50)
            policy.removed(foreign)
            policy.moved(foreign, FIRST + 500)
            policy.spared(foreign)
        self.assertEqual((two.count, two.weight, self.lists.owner[FIRST + 500]), (30, 90, 0))
        one.added(foreign, 1, 5)  # added to another quota: it leaves the first
        self.assertEqual((one.count, one.weight, two.count, two.weight), (31, 95, 29, 87))
        two.close()
        one.clear()
        self.assertEqual((one.count, two.count, three.count), (0, 0, 30))
        self.lists.check_all()

    def test_heads_and_empty_slots_are_no_records(self):
        for policy in (self.make(), Lru(self.lists)):
            self.hash_at[FIRST] = 5
            policy.added(FIRST, 5, 1)
            for node in tuple(policy.numbers) + (0, FIRST + 7):
                policy.touched(node, 5)
                policy.changed(node, 5, 9)
                policy.removed(node)
                policy.moved(node, FIRST + 9)
                policy.spared(node)
            self.lists.check_all()
            self.assertEqual((policy.count, policy.weight, policy.next_victim()), (1, 1, FIRST))
            policy.close()

    def test_an_empty_policy_has_no_victim(self):
        for policy in (self.make(), Lru(self.lists)):
            self.assertEqual((policy.next_victim(), policy.weight, policy.count), (0, 0, 0))
            policy.check()

    def test_the_capacity_is_learnt_from_being_asked(self):
        policy = self.make()
        for node in range(FIRST, FIRST + 1000):
            self.hash_at[node] = self.hashes.getrandbits(61)
            policy.added(node, self.hash_at[node], 4)
        policy.next_victim()
        self.assertTrue(4000 <= policy.capacity <= 4250, policy.capacity)
        for node in range(FIRST, FIRST + 600):
            policy.removed(node)
        policy.next_victim()
        self.assertEqual(policy.capacity, 1600)

    def test_one_in_many_of_the_often_rejected_is_let_in(self):
        draws = iter([0.5, 0.001])
        policy = TinyLfu(self.lists, self.hash_at.__getitem__, lambda: next(draws))
        popular = FIRST
        for node in range(FIRST, FIRST + 100):
            self.hash_at[node] = self.hashes.getrandbits(61)
            policy.added(node, self.hash_at[node], 1)
        policy.next_victim()
        candidate = self.lists.oldest(policy.numbers[0])
        victim = self.lists.oldest(policy.numbers[1])
        self.assertEqual(victim, popular)
        for node, times in ((candidate, 7), (victim, 12)):
            for _ in range(times):
                policy._sketch.increment(self.hash_at[node])
        self.assertEqual(policy.next_victim(), candidate)
        self.assertEqual(policy.next_victim(), victim)
        self.assertEqual(list(draws), [])

    def test_another_key_in_the_slot_of_the_last_victim_is_asked_for_itself(self):
        first, second, third = FIRST, FIRST + 1, FIRST + 2
        for reused in ("added", "moved"):
            hash_at = {first: 1 << 40, second: 2 << 40, third: 3 << 40}
            policy = TinyLfu(NodeLists.in_memory(FIRST + NODES), hash_at.get, lambda: 1.0)
            for node in (first, second, third):
                policy.added(node, hash_at[node], 1)
            for _ in range(6):
                policy._sketch.increment(hash_at[first])
            self.assertEqual(policy.next_victim(), third)  # the first is on probation, and has won this contest
            policy.removed(first)
            if reused == "moved":
                hash_at[first] = hash_at[second]
                policy.moved(second, first)
            else:
                policy.removed(second)
                hash_at[first] = 4 << 40
                policy.added(first, hash_at[first], 1)
                policy._lists.to_front(policy.numbers[1], first)
            for _ in range(3):
                policy._sketch.increment(hash_at[third])
            self.assertEqual(policy.next_victim(), first, reused)

    def test_check_finds_a_miniature_that_does_not_add_up(self):
        policy = self.make()
        self.hash_at[FIRST] = 77
        policy.added(FIRST, 77, 2)
        policy.check()
        policy._chooser._miniatures[2].weight += 1
        with self.assertRaises(InvariantError):
            policy.check()


if __name__ == "__main__":
    unittest.main()

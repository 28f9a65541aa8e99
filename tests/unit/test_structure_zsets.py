"""Sorted sets as structures, against a dict that is sorted anew each time."""

import random
import struct
import unittest

from nosqgrid.engine.structures import ordered, scanned
from nosqgrid.engine.structures.structure import STRUCTURE_BYTES
from nosqgrid.engine.structures.zsets import ADD, MEMBER_BYTES, REMOVE, SortedSet, pack_score
from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import words as words_format
from tests.support.tiers import slow

SCORE = struct.Struct("<d")
INFINITY = float("inf")


def in_order(model):
    return sorted((score, member) for member, score in model.items())


def pairs_of(zset):
    spans = zset.spans(zset.order.first(), zset.order.end())
    return list(zip(zset.order.scores_of(spans), zset.order.members_of(spans)))


def check(test, zset, model):
    """Everything that the invariants say."""
    order = zset.order
    test.assertEqual(pairs_of(zset), in_order(model))
    test.assertEqual(zset.scores, model)
    test.assertEqual(zset.size_bytes, STRUCTURE_BYTES + sum(len(member) + MEMBER_BYTES for member in model))
    test.assertEqual([len(chunk) for chunk in order.scores], [len(chunk) for chunk in order.members])
    test.assertEqual((len(order.bound_scores), len(order.bound_members)), (len(order.members) - 1,) * 2)
    bounds = list(zip(order.bound_scores, order.bound_members))
    for at, chunk in enumerate(zip(order.scores, order.members)):
        pairs = list(zip(*chunk))
        test.assertTrue(pairs or len(order.members) == 1)
        test.assertLessEqual(len(pairs), ordered.CHUNK_MAX)
        if at:
            test.assertLessEqual(bounds[at - 1], pairs[0])
        if at < len(bounds):
            test.assertLess(pairs[-1], bounds[at])
    shared = {id(member) for member in zset.scores}
    test.assertTrue(all(id(member) in shared for chunk in order.members for member in chunk))


class ModelTests(unittest.TestCase):
    def setUp(self):
        self.chunk_max, self.chunk_min = ordered.CHUNK_MAX, ordered._CHUNK_MIN
        self.full, self.walk = ordered._CHUNK_FULL, ordered._WALK_MAX

    def tearDown(self):
        ordered.CHUNK_MAX, ordered._CHUNK_MIN = self.chunk_max, self.chunk_min
        ordered._CHUNK_FULL, ordered._WALK_MAX = self.full, self.walk

    def small_chunks(self):
        ordered.CHUNK_MAX, ordered._CHUNK_MIN, ordered._CHUNK_FULL, ordered._WALK_MAX = 12, 4, 9, 30

    def random_change(self, rng, model, members):
        if model and rng.random() < 0.35:
            count = 1 if rng.random() < 0.9 else rng.randint(1, min(len(model), 200))
            return [REMOVE] + rng.sample(sorted(model), count)
        words = [ADD]
        for _ in range(1 if rng.random() < 0.9 else rng.randint(1, 200)):
            score = rng.choice((0.0, 1.0, -1.0, INFINITY, -INFINITY, rng.random(), float(rng.randint(0, 20))))
            words += (pack_score(score), b"m%d" % rng.randrange(members))
        return words

    @staticmethod
    def apply_to_model(model, words):
        if words[0] == REMOVE:
            for member in words[1:]:
                del model[member]
        else:
            for packed, member in zip(words[1::2], words[2::2]):
                model[member] = SCORE.unpack(packed)[0]

    def compare_reading(self, rng, zset, model):
        pairs = in_order(model)
        order, total = zset.order, len(pairs)
        score = rng.choice((0.0, 1.0, rng.random(), float(rng.randint(0, 20)), INFINITY, -INFINITY))
        below = sum(1 for pair in pairs if pair[0] < score)
        upto = sum(1 for pair in pairs if pair[0] <= score)
        self.assertEqual(order.rank(order.at_score(score)), below)
        self.assertEqual(order.rank(order.above_score(score)), upto)
        rank = rng.randint(0, total)
        self.assertEqual(order.rank(zset.position(rank)), rank)
        if rank < total:
            self.assertEqual(zset.at(rank), pairs[rank][::-1])
            self.assertEqual(zset.rank(pairs[rank][1]), rank)
        self.assertIsNone(zset.rank(b"nobody"))
        low, high = sorted((rng.randint(0, total), rng.randint(0, total)))
        offset, limit = rng.choice((0, 0, rng.randint(0, 60))), rng.choice((-1, 0, 1, rng.randint(0, 60)))
        for backward in (False, True):
            expected = pairs[low:high][::-1 if backward else 1][offset:]
            expected = expected[:limit] if limit >= 0 else expected
            self.assertEqual([order.rank(position) for position in zset.positions(low, high)], [low, high])
            spans = zset.spans(zset.position(low), zset.position(high), offset, limit, backward)
            self.assertEqual(list(zip(order.scores_of(spans, backward), order.members_of(spans, backward))), expected)

    def run_model(self, seed, steps, members):
        rng = random.Random(seed)
        zset, model = SortedSet(), {}
        for step in range(steps):
            words = self.random_change(rng, model, members)
            inverse = zset.apply(words_format.unpack(words_format.pack(words), 0)[0])
            if rng.random() < 0.2:
                for change in inverse:
                    zset.apply(change)
            else:
                self.apply_to_model(model, words)
            self.compare_reading(rng, zset, model)
            if step % 37 == 0:
                check(self, zset, model)
        check(self, zset, model)
        rebuilt, copied = SortedSet(), zset.copy()
        for change in zset.changes():
            rebuilt.apply(change)
        check(self, rebuilt, model)
        self.assertEqual((rebuilt.encoding(), list(rebuilt.changes())), (zset.encoding(), list(zset.changes())))
        of_model = SortedSet.of(dict(model))
        check(self, of_model, model)
        zset.apply([ADD, pack_score(5.0), b"only here"])
        check(self, copied, model)

    @slow
    def test_small_chunks_behave_like_a_sorted_dict(self):
        self.small_chunks()
        for seed, members in enumerate((3, 30, 300, 2000)):
            with self.subTest(seed):
                self.run_model(seed, 700, members)

    def test_chunks_as_they_are_behave_like_a_sorted_dict(self):
        self.run_model(7, 500, 20000)

    def test_many_equal_scores_are_ordered_by_their_bytes(self):
        rng = random.Random(3)
        zset, model = SortedSet(), {}
        for _ in range(4000):
            member = bytes(rng.choice(b"\x00\x7f\x80\xffab") for _ in range(rng.randint(0, 6)))
            zset.apply([ADD, pack_score(0.0), member])
            model[member] = 0.0
        check(self, zset, model)
        for member in rng.sample(sorted(model), len(model) - 5):
            zset.apply([REMOVE, member])
            del model[member]
        check(self, zset, model)


class ChangeTests(unittest.TestCase):
    def test_words_that_make_no_sense_change_nothing(self):
        zset = SortedSet()
        zset.apply([ADD, pack_score(1.0), b"a", pack_score(2.0), b"b"])
        for words in ([], [ADD], [b"x"], [b"x", b"y"], [b"?", pack_score(1.0), b"a"], [ADD, pack_score(1.0)],
                      [ADD, b"1", b"a"], [ADD, pack_score(float("nan")), b"a"], [REMOVE], [REMOVE, b"c"],
                      [REMOVE, b"a", b"c"], [REMOVE, b"a", b"a"],
                      [ADD, pack_score(5.0), b"a", b"short", b"b"], [ADD, pack_score(5.0), b"a", pack_score(5.0)]):
            with self.subTest(words):
                self.assertRaises(CorruptValueError, zset.apply, words)
                check(self, zset, {b"a": 1.0, b"b": 2.0})

    def test_a_member_twice_in_one_change_has_the_last_score_and_goes_back_to_the_first(self):
        for old in (None, 9.0):
            zset, model = SortedSet(), {}
            if old is not None:
                zset.apply([ADD, pack_score(old), b"a"])
                model[b"a"] = old
            inverse = zset.apply([ADD, pack_score(1.0), b"a", pack_score(2.0), b"a"])
            check(self, zset, {b"a": 2.0})
            for change in inverse:
                zset.apply(change)
            check(self, zset, model)

    def test_a_listpack_stays_one_until_it_is_too_long_or_has_a_long_member(self):
        zset = SortedSet()
        for number in range(128):
            zset.apply([ADD, pack_score(number), b"%d" % number])
        self.assertEqual(zset.encoding(), b"listpack")
        zset.apply([ADD, pack_score(1.0), b"one more"])
        self.assertEqual(zset.encoding(), b"skiplist")
        zset.apply([REMOVE, b"one more"])
        self.assertEqual(zset.encoding(), b"skiplist")
        for size, encoding in ((64, b"listpack"), (65, b"skiplist")):
            zset = SortedSet()
            zset.apply([ADD, pack_score(1.0), b"m" * size])
            self.assertEqual(zset.encoding(), encoding)
            self.assertEqual(SortedSet.of({b"m" * size: 1.0}).encoding(), encoding)
        self.assertEqual(SortedSet.of({b"%d" % number: 1.0 for number in range(129)}).encoding(), b"skiplist")

    def test_a_negative_zero_stays_one_when_a_set_is_made_again(self):
        zset = SortedSet.of({b"%d" % number: -0.0 for number in range(200)})
        zset.apply([REMOVE] + [b"%d" % number for number in range(100)])
        rebuilt = SortedSet()
        for change in zset.changes():
            rebuilt.apply(change)
        self.assertEqual({str(score) for score in rebuilt.scores.values()}, {"-0.0"})

    def test_a_listpack_has_no_negative_zero(self):
        zset = SortedSet()
        zset.apply([ADD, pack_score(-0.0), b"a", pack_score(-0.0), b"b"])
        self.assertEqual(list(map(str, zset.scores.values())), ["0.0", "0.0"])
        self.assertEqual(str(SortedSet.of({b"a": -0.0}).scores[b"a"]), "0.0")
        zset.apply([ADD, pack_score(-0.0), b"m" * 65])
        self.assertEqual(str(zset.scores[b"m" * 65]), "-0.0")

    def test_what_is_dropped_goes_in_slices(self):
        zset = SortedSet.of({b"%d" % number: 0.5 for number in range(5000)})
        zset.walk(0, 1, lambda bits: 7)
        slices = 1
        while not zset.shrink(500):
            slices += 1
        self.assertGreater(slices, 5)
        self.assertEqual(len(zset), 0)


class WalkTests(unittest.TestCase):
    def walked(self, zset, count, between, cursor=0):
        found, calls, numbers = set(), 0, iter(range(1000, 10 ** 9, 10 ** 6))
        while True:
            cursor, members = zset.walk(cursor, count, lambda bits: next(numbers))
            found.update(members)
            calls += 1
            if not cursor:
                return found, calls
            between()

    def test_what_stays_is_found_whatever_else_changes(self):
        for churn in (1, 30, 800, 5000):
            rng = random.Random(churn)
            staying = {b"s%d" % number for number in range(600)}
            zset = SortedSet.of({member: rng.random() for member in staying})
            passing, number = [], [0]

            def between():
                for _ in range(churn):
                    number[0] += 1
                    if passing and rng.random() < 0.5:
                        zset.apply([REMOVE, passing.pop(rng.randrange(len(passing)))])
                    else:
                        passing.append(b"p%d" % number[0])
                        zset.apply([ADD, pack_score(rng.random()), passing[-1]])
                    zset.apply([ADD, pack_score(rng.random()), b"s%d" % rng.randrange(600)])

            found, calls = self.walked(zset, 10, between)
            self.assertEqual(staying - found, set())
            self.assertLess(calls, 500)

    def test_each_member_comes_once_where_nothing_changes(self):
        zset = SortedSet.of({b"%d" % number: 1.0 for number in range(1000)})
        cursor, found = 0, []
        while True:
            cursor, members = zset.walk(cursor, 7, lambda bits: 1 << 61)
            found += members
            if not cursor:
                break
        self.assertEqual(sorted(found), sorted(zset.scores))

    def test_a_listpack_comes_at_once(self):
        zset = SortedSet.of({b"a": 2.0, b"b": 1.0})
        self.assertEqual(zset.walk(0, 1, None), (0, [b"b", b"a"]))

    def test_a_cursor_of_a_list_that_is_gone_gets_everything(self):
        zset = SortedSet.of({b"%d" % number: 1.0 for number in range(1000)})
        cursor, _ = zset.walk(0, 10, lambda bits: 5)
        self.assertEqual(cursor, 16)
        for number in range(2001):
            zset.apply([ADD, pack_score(2.0), b"new %d" % number])
        self.assertIsNone(zset._walked)
        self.assertEqual(zset.walk(cursor, 10, lambda bits: 5), (0, list(zset.scores)))

    def test_a_list_is_kept_while_it_is_used_and_short(self):
        walk = scanned.ScanList(range(10), 100)
        self.assertTrue(all(walk.removed() for _ in range(1010)))
        self.assertFalse(walk.removed())
        self.assertEqual(walk.step(0, 3), (103, [0, 1, 2]))
        self.assertTrue(walk.removed())
        self.assertEqual(walk.step(103, 100), (0, [3, 4, 5, 6, 7, 8, 9]))
        self.assertIsNone(walk.step(99, 3))
        self.assertIsNone(walk.step(111, 3))
        self.assertTrue(walk.added(10))
        self.assertEqual(walk.step(110, 3), (0, [10]))



if __name__ == "__main__":
    unittest.main()

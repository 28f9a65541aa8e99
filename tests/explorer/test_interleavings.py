"""The real reader against the real writer, in every interleaving of their accesses.

Each scenario is executed under all schedules, or all with so many interruptions where all would be too many; after
each the history of both sides must be linearizable, with the versions that the grid gave, and the keyspace's own
check() must pass.  The outcomes a reader had are compared with those it should have had over all schedules together: a
scenario in which the two sides never met would show.
"""

import functools
import random
import unittest

from tests.explorer.scheduler import HALVES, WORDS, explore
from tests.explorer.small_grid import (
    FILL, GridCheck, cleaning_behind_survivors, doing, getting, keys_at, scenario, small_limits, small_memory,
    twin_keys)
from tests.support.tiers import slow

# Three neighbours with one home, so that they stand in one chain, and one key elsewhere.
A, B, C = keys_at(1, 3)
FAR = keys_at(5, 1)[0]


# A variant: how things are written and read ("plain": Keyspace.store and Reader; "fast": engine/fastset and
# client/fastget; "checked": plain, with checksums in the records), how copies are torn, and whether from the back.
PLAIN = "plain", HALVES, False
FAST = "fast", HALVES, True
CHECKED = "checked", HALVES, False
ALL = PLAIN, FAST, ("plain", HALVES, True), ("fast", HALVES, False)


class InterleavingCase(unittest.TestCase):
    """Explores scenarios of a few lines."""

    def interleave(self, actors, before=(), outcomes=None, bound=None, verify=None, variants=(PLAIN, FAST), limit=None,
                   seed=None):
        """Explore a scenario in each variant.

        Args:
          actors: what small_grid.getting and doing return; `before` is what was done before they begin.
          outcomes: what the first reader returned, over all schedules.
          verify: verify(grid) asserts that a schedule did what it should.
        Returns: how many executions it took.
        """
        count = 0
        for path, tear, backward in variants:
            seen, check_grid = set(), GridCheck()

            def check(results):
                check_grid(results)
                seen.add(results[0])
                if verify is not None:
                    verify(results.memory.subject)
            with self.subTest(path=path, tear=tear, backward=backward), small_limits():
                result = explore(scenario(actors, before, path == "fast", path == "checked"), check, bound, limit, seed,
                                 functools.partial(small_memory, tear, backward))
                self.assertTrue(result.exhausted or seed is not None)
                if outcomes is not None:
                    self.assertEqual(seen, {outcome if isinstance(outcome, tuple) else (outcome,)
                                            for outcome in outcomes})
                count += result.count
        return count


class SetTest(InterleavingCase):

    def test_get_while_a_new_key_is_set(self):
        self.interleave([getting(A), doing(("set", A, b"new"))], outcomes=[None, b"new"])

    def test_get_while_a_new_key_is_set_behind_its_neighbour(self):
        self.interleave([getting(B), doing(("set", B, b"new"))], [("set", A, b"a")], outcomes=[None, b"new"])

    @slow
    def test_get_while_the_value_is_overwritten(self):
        count = self.interleave([getting(A), doing(("set", A, b"new"))], [("set", A, b"old")],
                                outcomes=[b"old", b"new"], variants=ALL)
        self.assertGreater(count, 1000)

    def test_get_of_a_checksummed_record_while_it_is_overwritten(self):
        self.interleave([getting(A), doing(("set", A, b"new"))], [("set", A, b"old")], bound=3,
                        outcomes=[b"old", b"new"], variants=[CHECKED])

    def test_get_of_a_longer_value_torn_into_words(self):
        old, new = b"o" * 15, b"n" * 15
        self.interleave([getting(A), doing(("set", A, new))], [("set", A, old)], bound=4, outcomes=[old, new],
                        variants=[("plain", WORDS, False), ("fast", WORDS, True)])

    def test_get_of_a_value_that_becomes_shorter_and_longer(self):
        self.interleave([getting(A), doing(("set", A, b""), ("set", A, b"longer"))], [("set", A, b"old")], bound=3,
                        outcomes=[b"old", b"", b"longer"])

    def test_two_gets_do_not_go_back(self):
        self.interleave([getting(A, A), doing(("set", A, b"new"))], [("set", A, b"old")], bound=3,
                        outcomes=[(b"old", b"old"), (b"old", b"new"), (b"new", b"new")])

    @slow
    def test_two_readers_agree_on_the_order(self):
        self.interleave([getting(A), getting(A), doing(("set", A, b"new"))], [("set", A, b"old")], bound=2,
                        outcomes=[b"old", b"new"])

    def test_get_of_a_large_value_while_it_is_overwritten(self):
        old, new = b"o" * 150, b"n" * 150

        def verify(grid):
            self.assertEqual(sum(grid.keyspace.heap.run), 2)
        self.interleave([getting(A), doing(("set", A, new))], [("set", A, old)], bound=4, outcomes=[old, new],
                        verify=verify, variants=[PLAIN])

    @slow
    def test_get_while_a_deadline_is_given_and_taken(self):
        self.interleave([getting(A), doing(("expire", A, 1000), ("expire", A, 0))], [("set", A, b"same")], bound=3,
                        outcomes=[b"same"], variants=[PLAIN, CHECKED])

    @slow
    def test_get_of_two_keys_while_a_batch_is_committed(self):
        self.interleave([getting(A, B), doing(("commit", (A, b"A"), (B, b"B")))], [("set", A, b"a"), ("set", B, b"b")],
                        bound=2, outcomes=[(b"a", b"b"), (b"a", b"B"), (b"A", b"b"), (b"A", b"B")])


class DeleteTest(InterleavingCase):

    def test_get_while_the_key_is_deleted(self):
        self.interleave([getting(A), doing(("delete", A))], [("set", A, b"old")], outcomes=[None, b"old"])

    def test_get_while_the_key_is_deleted_and_set_again_in_its_tombstone(self):
        # B stands behind A, so that A leaves a tombstone.
        self.interleave([getting(A), doing(("delete", A), ("set", A, b"new"))], [("set", A, b"old"), ("set", B, b"b")],
                        bound=4, outcomes=[None, b"old", b"new"])

    def test_get_while_another_key_takes_the_tombstone(self):
        self.interleave([getting(A), doing(("delete", A), ("set", C, b"other"))],
                        [("set", A, b"old"), ("set", B, b"b")], outcomes=[None, b"old"], bound=4)

    def test_get_while_a_key_of_the_same_tag_takes_its_slot(self):
        first, second = twin_keys()
        self.interleave([getting(first), doing(("delete", first), ("set", second, b"other"))],
                        [("set", first, b"old")], outcomes=[None, b"old"], bound=4)

    @slow
    def test_get_past_a_key_of_the_same_tag_that_is_deleted_and_set(self):
        first, second = twin_keys()
        self.interleave([getting(second), doing(("delete", first), ("set", first, b"again"))],
                        [("set", first, b"one"), ("set", second, b"two")], outcomes=[b"two"], bound=3)

    def test_get_past_a_neighbour_that_is_deleted(self):
        self.interleave([getting(B), doing(("delete", A))], [("set", A, b"a"), ("set", B, b"b")], outcomes=[b"b"])

    def test_get_while_the_end_of_the_chain_is_cut_off(self):
        # Deleting C makes its slot EMPTY, and the tombstone of B before it.
        self.interleave([getting(A), doing(("delete", B), ("delete", C))],
                        [("set", A, b"a"), ("set", B, b"b"), ("set", C, b"c")], outcomes=[b"a"])

    @slow
    def test_get_while_the_key_moves_forward_in_its_chain(self):
        # A is gone: B, deleted and set again, stands in A's tombstone, before where the reader may be looking.
        self.interleave([getting(B), doing(("delete", B), ("set", B, b"new"))],
                        [("set", A, b"a"), ("set", B, b"old"), ("set", C, b"c"), ("delete", A)],
                        bound=4, outcomes=[b"old", None, b"new"])

    def test_get_while_everything_is_cleared(self):
        self.interleave([getting(A, FAR), doing(("clear", A, FAR))], [("set", A, b"a"), ("set", FAR, b"f")], bound=2,
                        outcomes=[(b"a", b"f"), (b"a", None), (None, b"f"), (None, None)], variants=[PLAIN])

    def test_get_while_everything_is_cleared_and_set_again(self):
        self.interleave([getting(A), doing(("clear", A), ("set", A, b"new"))], [("set", A, b"old")], bound=2,
                        outcomes=[b"old", None, b"new"])


class MissTest(InterleavingCase):

    def test_miss_while_a_neighbour_is_inserted(self):
        self.interleave([getting(B), doing(("set", A, b"a"))], outcomes=[None])

    def test_miss_while_neighbours_are_inserted_and_deleted(self):
        self.interleave([getting(C), doing(("set", B, b"b"), ("delete", A), ("delete", B))], [("set", A, b"a")],
                        outcomes=[None], bound=4)

    @slow
    def test_miss_past_a_key_of_the_same_tag_while_it_is_overwritten(self):
        first, second = twin_keys()
        self.interleave([getting(second), doing(("set", first, b"new"))], [("set", first, b"old")], outcomes=[None])

    def test_two_misses_and_an_insert_in_between(self):
        self.interleave([getting(A, A), doing(("set", A, b"a"))],
                        outcomes=[(None, None), (None, b"a"), (b"a", b"a")])


class GrowthTest(InterleavingCase):
    """Generations of the index follow each other while a reader is somewhere in them."""

    def grow(self, actors, before, outcomes, bound=2, **options):
        return self.interleave(actors, before, outcomes, bound, **options)

    @slow
    def test_get_while_the_index_grows(self):
        self.grow([getting(B), doing(("grow",))], [("set", A, b"a"), ("set", B, b"b")], [b"b"], bound=3)

    @slow
    def test_miss_while_the_index_grows(self):
        self.grow([getting(C), doing(("grow",))], [("set", A, b"a"), ("set", B, b"b")], [None], bound=3)

    @slow
    def test_get_of_a_reader_that_begins_in_the_middle_of_growth(self):
        for step_count in range(1, 5):
            self.grow([getting(A, FAR), doing(("grow",))],
                      [("set", A, b"a"), ("set", FAR, b"f"), ("grow", step_count)], [(b"a", b"f")])

    @slow
    def test_get_while_a_key_is_set_during_growth(self):
        for key in (B, FAR):
            self.grow([getting(key), doing(("grow", 3), ("set", key, b"new"), ("grow",))], [("set", A, b"a")],
                      [None, b"new"])

    @slow
    def test_get_while_a_key_is_overwritten_during_growth(self):
        for key in (A, FAR):
            self.grow([getting(key), doing(("grow", 3), ("set", key, b"new"), ("grow",))],
                      [("set", A, b"old"), ("set", FAR, b"old")], [b"old", b"new"])

    def test_get_while_a_key_is_deleted_during_growth(self):
        for key in (A, FAR):
            self.grow([getting(key), doing(("grow", 3), ("delete", key), ("grow",))],
                      [("set", A, b"old"), ("set", FAR, b"old")], [b"old", None])

    @slow
    def test_get_while_inserts_make_the_index_grow(self):
        def verify(grid):
            self.assertEqual(grid.keyspace.index.growths, 1)
        inserts = [("set", key, b"") for key in [C] + keys_at(5, 3)]
        self.grow([getting(A), doing(*inserts + [("set", A, b"new")])], [("set", A, b"old"), ("set", B, b"b")],
                  [b"old", b"new"], verify=verify)

    @slow
    @slow
    def test_get_while_the_index_grows_twice_and_its_area_is_used_again(self):
        # The area in which the reader begins is cleared and filled for the generation after the next.  With three
        # interruptions a reader can be sent on by MOVED in one generation and go on in the next but one.
        self.grow([getting(A), doing(("grow",), ("grow",))], [("set", A, b"a")], [b"a"], bound=3)
        self.grow([getting(B), doing(("grow",), ("grow",))], [("set", A, b"a")], [None], bound=3, variants=[FAST])

    @slow
    def test_get_while_the_area_is_used_again_for_other_keys(self):
        self.grow([getting(A), doing(("grow",), ("delete", A), ("set", B, b"b"), ("grow",), ("set", A, b"new"))],
                  [("set", A, b"old")], [b"old", None, b"new"])

    @slow
    def test_two_gets_while_the_index_grows_and_the_key_changes(self):
        self.grow([getting(A, A), doing(("grow",), ("set", A, b"new"))], [("set", A, b"old")],
                  [(b"old", b"old"), (b"old", b"new"), (b"new", b"new")])


class NearCacheTest(InterleavingCase):
    """A reader that remembers A from before: two loads decide whether the remembered value is still right."""

    def near(self, actors, before, outcomes, bound=3, **options):
        return self.interleave(actors, before, outcomes, bound, variants=[FAST], **options)

    def test_remembered_value_while_it_is_overwritten(self):
        self.near([getting(A, A, warm=[A]), doing(("set", A, b"new"))], [("set", A, b"old")],
                  [(b"old", b"old"), (b"old", b"new"), (b"new", b"new")])

    def test_remembered_value_while_the_key_is_deleted_and_set_again(self):
        self.near([getting(A, A, warm=[A]), doing(("delete", A), ("set", A, b"new"))], [("set", A, b"old")],
                  [(b"old", b"old"), (b"old", None), (b"old", b"new"), (None, None), (None, b"new"), (b"new", b"new")])

    def test_remembered_value_while_the_index_grows_twice(self):
        self.near([getting(A, warm=[A]), doing(("grow",), ("grow",), ("set", A, b"new"))], [("set", A, b"old")],
                  [b"old", b"new"], bound=2)

    def test_remembered_value_while_its_place_is_used_for_the_same_key(self):
        self.near([getting(A, warm=[A]), doing(*ReuseTest.EMPTY_IT + [("set", A, b"new")])], ReuseTest.FULL,
                  [b"old", None, b"new"], verify=self.assert_reused)

    def test_remembered_value_while_the_cleaner_moves_it_and_its_place_is_used_again(self):
        self.near([getting(A, warm=[A]), doing(("clean",), ("set", FAR, FILL), ("set", FAR, FILL), ("set", A, b"new"))],
                  ReuseTest.TO_CLEAN, [b"old", b"new"], verify=self.assert_reused)

    def assert_reused(self, grid):
        self.assertEqual(grid.keyspace.heap.generation[0], 2)


class ReuseTest(InterleavingCase):
    """A segment takes two records of FILL, or one and a small one."""

    # A and a dead record share segment 0, which the cleaner will take; B is in segment 1, which is open.
    TO_CLEAN = [("set", A, b"old"), ("set", B, FILL), ("set", B, FILL)]
    # A and B share segment 0, FAR is in segment 1; when A and B are gone, the next record but one lies where A lay.
    FULL = [("set", A, b"old"), ("set", B, FILL), ("set", FAR, FILL)]
    EMPTY_IT = [("delete", A), ("delete", B), ("set", FAR, FILL)]

    def assert_first_segment_is_used_again(self, grid):
        heap = grid.keyspace.heap
        self.assertEqual((heap.writer.segment, heap.generation[0]), (0, 2))

    def test_get_while_the_cleaner_moves_the_record(self):
        def verify(grid):
            self.assertEqual(grid.keyspace.cleaner.bytes_moved, 24)
        self.interleave([getting(A), doing(("clean",))], self.TO_CLEAN, outcomes=[b"old"], verify=verify)

    # A and C lie side by side in segment 0, behind them a dead one; the survivors' segment is open.
    RUN_TO_CLEAN = [("set", A, b"old"), ("set", C, b"c"), ("set", B, b"b"), ("set", B, FILL)]

    def test_get_while_the_cleaner_moves_a_run_of_records(self):
        def verify(grid):
            self.assertEqual(grid.keyspace.cleaner.bytes_moved, 48)
            self.assertEqual(grid.keyspace.cleaner.segments_cleaned, 1)
        for key, value in ((A, b"old"), (C, b"c")):
            self.interleave([getting(key), cleaning_behind_survivors], self.RUN_TO_CLEAN, outcomes=[value], bound=2,
                            verify=verify)

    def test_get_while_a_run_is_moved_and_its_segment_used_again(self):
        def verify(grid):
            self.assertEqual(grid.keyspace.heap.generation[0], 2)
        self.interleave([getting(C), functools.partial(cleaning_behind_survivors,
                                                       then=[("set", B, FILL), ("set", B, FILL)])],
                        self.RUN_TO_CLEAN, bound=2, outcomes=[b"c"], verify=verify)

    def test_get_of_a_checksummed_record_while_the_cleaner_moves_it(self):
        def verify(grid):
            self.assertEqual(grid.keyspace.cleaner.bytes_moved, 24)
        fill = FILL[:43]
        self.interleave([getting(A), doing(("clean",))], [("set", A, b"o"), ("set", B, fill), ("set", B, fill)],
                        outcomes=[b"o"], verify=verify, variants=[CHECKED])

    @slow
    def test_get_while_the_record_is_moved_and_its_segment_used_again(self):
        self.interleave([getting(A), doing(("clean",), ("set", FAR, FILL), ("set", FAR, FILL))], self.TO_CLEAN, bound=3,
                        outcomes=[b"old"], verify=self.assert_first_segment_is_used_again)

    def test_get_while_the_record_is_moved_and_overwritten(self):
        self.interleave([getting(A, A), doing(("clean",), ("set", A, b"new"))], self.TO_CLEAN, bound=2,
                        outcomes=[(b"old", b"old"), (b"old", b"new"), (b"new", b"new")])

    @slow
    def test_get_while_the_place_of_the_record_is_used_for_another_key(self):
        self.interleave([getting(A), doing(*self.EMPTY_IT + [("set", C, b"c")])], self.FULL, bound=3,
                        outcomes=[b"old", None], verify=self.assert_first_segment_is_used_again, variants=ALL)

    @slow
    def test_get_while_the_key_comes_back_to_the_same_place(self):
        self.interleave([getting(A), doing(*self.EMPTY_IT + [("set", A, b"new")])], self.FULL, bound=3,
                        outcomes=[b"old", None, b"new"], verify=self.assert_first_segment_is_used_again, variants=ALL)

    @slow
    def test_get_while_a_key_of_the_same_tag_comes_to_the_same_place(self):
        first, second = twin_keys()
        before = [("set", first, b"old"), ("set", B, FILL), ("set", FAR, FILL)]
        script = [("delete", first), ("delete", B), ("set", FAR, FILL), ("set", second, b"new")]
        self.interleave([getting(first), doing(*script)], before, bound=3, outcomes=[b"old", None],
                        verify=self.assert_first_segment_is_used_again)


class RandomTest(InterleavingCase):
    """Longer scripts than can be exhausted: two readers, random operations, random schedules; all from the seed."""

    @slow
    def test_random_scripts_under_random_schedules(self):
        for seed in range(30):
            rng = random.Random(seed)
            before = [self.step(rng) for _ in range(rng.randrange(6))]
            script = [self.step(rng) for _ in range(rng.randrange(3, 12))]
            readers = [getting(*[rng.choice((A, B, FAR)) for _ in range(4)]) for _ in range(2)]
            with self.subTest(seed=seed, before=before, script=script):
                self.interleave(readers + [doing(*script)], before, limit=20, seed=seed)

    @staticmethod
    def step(rng):
        key = rng.choice((A, B, C, FAR))
        return rng.choice((("set", key, b"%d" % rng.randrange(1000)), ("set", key, b"%d" % rng.randrange(1000)),
                           ("delete", key), ("clean",), ("grow", rng.randrange(4)), ("grow",), ("clear", A, B, C, FAR)))


if __name__ == "__main__":
    unittest.main()

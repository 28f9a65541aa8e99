"""The checkers of recorded histories: they agree with brute force, and catch the classics."""

import random
import unittest

from tests.support.linearizability import (
    DELETE, IMPOSSIBLE, MODEL, READ, UNKNOWN, WRITE, CheckTooLarge, Operation, VersionedOperation, assert_linearizable,
    assert_versions, find_version_violation, find_violation)

OPS = ("get", "set", "delete", "incr", "cas")


def history(*rows):
    """Operations from rows of (process, op, args after the key, result, call, return)."""
    return [Operation(process, op, ("k",) + args, result, call, back) for process, op, args, result, call, back in rows]


def is_legal_by_brute_force(operations, state=None):
    """Try every order that keeps real time; those of unknown outcome may be left over."""
    if all(operation.return_time == UNKNOWN for operation in operations):
        return True
    first_return = min(operation.return_time for operation in operations)
    for index, operation in enumerate(operations):
        if operation.call_time > first_return:
            continue
        known = operation.return_time != UNKNOWN
        after = MODEL[operation.op](state, operation.args, operation.result, known)
        if after is IMPOSSIBLE:
            continue
        if is_legal_by_brute_force(operations[:index] + operations[index + 1:], after):
            return True
    return False


def random_history(rng, count, processes, unknown_share):
    """A history with random results of which about half are legal: they are what some order gives, then disturbed."""
    times = {process: rng.randrange(3) for process in range(processes)}
    drafts = []
    for _ in range(count):
        process = rng.randrange(processes)
        call = times[process]
        back = call + rng.randrange(1, 5)
        times[process] = back + rng.randrange(2)
        op = rng.choice(OPS)
        args = {"get": (), "set": (rng.randrange(3),), "delete": (), "incr": (1,),
                "cas": (rng.choice((None, 0, 1, 2)), rng.randrange(3))}[op]
        drafts.append((rng.uniform(call, back), process, op, args, call, back))
    state, operations = None, []
    for _, process, op, args, call, back in sorted(drafts):
        before, state = state, MODEL[op](state, ("k",) + args, None, False)
        result = {"get": before, "set": None, "delete": before is not None, "incr": state,
                  "cas": op == "cas" and before == args[0]}[op]
        if rng.random() < 0.25:
            result = rng.choice((None, 0, 1, 2))
        if rng.random() < unknown_share:
            result, back = None, UNKNOWN
        operations.append(Operation(process, op, ("k",) + args, result, call, back))
    rng.shuffle(operations)
    return operations


class SearchTest(unittest.TestCase):

    def test_agrees_with_brute_force_on_random_histories(self):
        verdicts = {True: 0, False: 0}
        for seed in range(600):
            rng = random.Random(seed)
            operations = random_history(rng, rng.randrange(2, 8), rng.randrange(1, 4), rng.choice((0, 0, 0.3)))
            expected = is_legal_by_brute_force(operations)
            verdicts[expected] += 1
            self.assertEqual(find_violation(operations) is None, expected, "seed %d: %r" % (seed, operations))
        self.assertGreater(verdicts[True], 150)
        self.assertGreater(verdicts[False], 150)

    def test_stale_read_is_caught(self):
        self.assertIsNotNone(find_violation(history(
            (0, "set", (1,), None, 0, 1), (0, "set", (2,), None, 2, 3), (1, "get", (), 1, 4, 5))))

    def test_read_that_goes_back_during_a_write_is_caught(self):
        self.assertIsNotNone(find_violation(history(
            (0, "set", (1,), None, 0, 1), (0, "set", (2,), None, 2, 9),
            (1, "get", (), 2, 3, 4), (2, "get", (), 1, 5, 6))))

    def test_reads_that_disagree_on_the_order_of_two_writes_are_caught(self):
        self.assertIsNotNone(find_violation(history(
            (0, "set", (1,), None, 0, 9), (1, "set", (2,), None, 0, 9),
            (2, "get", (), 1, 1, 2), (2, "get", (), 2, 3, 4), (3, "get", (), 2, 5, 6), (3, "get", (), 1, 7, 8))))

    def test_lost_increment_is_caught(self):
        self.assertIsNotNone(find_violation(history((0, "incr", (1,), 1, 0, 3), (1, "incr", (1,), 1, 1, 2))))

    def test_two_winners_of_one_cas_are_caught(self):
        self.assertIsNotNone(find_violation(history(
            (0, "cas", (None, 1), True, 0, 3), (1, "cas", (None, 2), True, 1, 2))))

    def test_value_nobody_wrote_is_caught(self):
        self.assertIsNotNone(find_violation(history((0, "set", (1,), None, 0, 1), (1, "get", (), 7, 0, 1))))

    def test_false_miss_is_caught(self):
        self.assertIsNotNone(find_violation(history((0, "set", (1,), None, 0, 1), (1, "get", (), None, 2, 3))))

    def test_concurrent_read_may_see_old_or_new(self):
        for seen in (None, 1):
            self.assertIsNone(find_violation(history((0, "set", (1,), None, 0, 3), (1, "get", (), seen, 1, 2))))

    def test_equal_times_are_concurrent(self):
        self.assertIsNone(find_violation(history((0, "set", (1,), None, 0, 2), (1, "get", (), None, 2, 3))))

    def test_killed_write_may_show_late_or_never(self):
        killed = (0, "set", (1,), None, 0, UNKNOWN)
        self.assertIsNone(find_violation(history(killed, (1, "get", (), None, 5, 6), (1, "get", (), 1, 7, 8))))
        self.assertIsNone(find_violation(history(killed, (1, "get", (), None, 5, 6))))
        self.assertIsNotNone(find_violation(history(killed, (1, "get", (), 1, 5, 6), (1, "get", (), None, 7, 8))))

    def test_killed_write_does_not_show_before_its_call(self):
        self.assertIsNotNone(find_violation(history((0, "set", (1,), None, 5, UNKNOWN), (1, "get", (), 1, 1, 2))))

    def test_keys_are_checked_apart_and_the_wrong_one_is_named(self):
        good = [Operation(0, "set", ("a", 1), None, 0, 1), Operation(1, "get", ("a",), 1, 2, 3)]
        bad = [Operation(0, "set", ("b", 1), None, 4, 5), Operation(1, "get", ("b",), 2, 6, 7)]
        violation = find_violation(good + bad)
        self.assertEqual(violation.key, "b")
        self.assertIn("result=2", str(violation))
        self.assertRaisesRegex(AssertionError, "not linearizable: key 'b'", assert_linearizable, good + bad)

    def test_long_history_of_eight_processes_is_searched(self):
        rng = random.Random(7)
        now, value, operations = 0.0, None, []
        for number in range(1000):
            now += 1
            if rng.random() < 0.5:
                value = number
                operations.append(Operation(number % 8, "set", ("k", value), None, now - rng.random() * 4, now + 3))
            else:
                operations.append(Operation(number % 8, "get", ("k",), value, now - rng.random() * 4, now + 3))
        self.assertIsNone(find_violation(operations))
        wrong = operations[700]._replace(op="get", args=("k",), result=-1)
        self.assertIsNotNone(find_violation(operations[:700] + [wrong] + operations[701:]))

    def test_search_that_grows_too_large_is_a_failure(self):
        writes = [(process, "incr", (1,), None, 0, UNKNOWN) for process in range(12)]
        self.assertRaises(CheckTooLarge, find_violation,
                          history(*(writes + [(20, "get", (), 13, 1, 2)])), states_max=100)

    def test_unread_sets_of_killed_processes_cost_nothing(self):
        writes = [(process, "set", (process,), None, 0, UNKNOWN) for process in range(2, 200)]
        self.assertIsNone(find_violation(history(*(writes + [(1, "get", (), None, 1, 2)])), states_max=10))


def versions(*rows):
    """VersionedOperations of one key from rows of (process, kind, value, version, call, return)."""
    return [VersionedOperation(process, kind, "k", value, version, call, back)
            for process, kind, value, version, call, back in rows]


class VersionsTest(unittest.TestCase):

    FIRST = (0, WRITE, "a", 1, 0, 1)
    SECOND = (0, WRITE, "b", 2, 2, 3)

    def assert_illegal(self, reason, *rows):
        violation = find_version_violation(versions(*rows))
        self.assertIsNotNone(violation)
        self.assertIn(reason, violation.reason)

    def test_legal_history_passes(self):
        self.assertIsNone(find_version_violation(versions(
            self.FIRST, (1, READ, "a", 1, 1, 2), self.SECOND, (1, READ, "b", 2, 2, 3), (2, READ, "a", 1, 2, 3),
            (0, DELETE, None, None, 4, 6), (1, READ, None, 0, 5, 7), (2, READ, "b", 2, 5, 7))))

    def test_stale_read_is_caught(self):
        self.assert_illegal("older version", self.FIRST, self.SECOND, (1, READ, "a", 1, 4, 5))

    def test_two_readers_in_the_wrong_order_are_caught(self):
        self.assert_illegal("older version", self.FIRST, (0, WRITE, "b", 2, 2, 9),
                            (1, READ, "b", 2, 3, 4), (2, READ, "a", 1, 5, 6))

    def test_process_that_goes_back_is_caught_where_clocks_are_coarse(self):
        self.assert_illegal("went back", self.FIRST, (0, WRITE, "b", 2, 1, 1),
                            (1, READ, "b", 2, 1, 1), (1, READ, "a", 1, 1, 1))

    def test_mixed_value_is_caught(self):
        self.assert_illegal("value is not the one", self.FIRST, self.SECOND, (1, READ, "ab", 2, 2, 3))

    def test_version_given_twice_is_caught(self):
        self.assert_illegal("two writes", self.FIRST, (1, WRITE, "b", 1, 0, 1))

    def test_version_that_does_not_rise_is_caught(self):
        self.assert_illegal("older version", (0, WRITE, "a", 5, 0, 1), (0, WRITE, "b", 4, 2, 3))

    def test_version_read_before_its_write_is_caught(self):
        self.assert_illegal("before its write", self.FIRST, (1, READ, "b", 2, 0, 1), (0, WRITE, "b", 2, 2, 3))

    def test_version_from_nowhere_is_caught(self):
        self.assert_illegal("nobody", self.FIRST, (1, READ, "z", 9, 2, 3))

    def test_false_miss_is_caught(self):
        self.assert_illegal("nothing was found", self.FIRST, (1, READ, None, 0, 2, 3))

    def test_miss_after_a_delete_that_came_before_the_write_is_caught(self):
        self.assert_illegal("nothing was found", (0, DELETE, None, None, 0, 1), (0, WRITE, "a", 1, 2, 3),
                            (1, READ, None, 0, 4, 5))

    def test_deleted_version_found_again_is_caught(self):
        self.assert_illegal("deleted version", self.FIRST, (0, DELETE, None, None, 2, 3), (1, READ, "a", 1, 4, 5))

    def test_killed_write_may_be_what_was_read_but_only_once(self):
        killed = (0, WRITE, "z", None, 2, UNKNOWN)
        self.assertIsNone(find_version_violation(versions(self.FIRST, killed, (1, READ, "z", 2, 3, 4))))
        self.assert_illegal("nobody", self.FIRST, killed, (1, READ, "z", 2, 3, 4), (1, READ, "z", 3, 5, 6))
        self.assert_illegal("nobody", self.FIRST, (0, WRITE, "z", None, 8, UNKNOWN), (1, READ, "z", 2, 3, 4))

    def test_every_history_the_sweep_accuses_is_illegal_for_the_search_too(self):
        accused = 0
        for seed in range(400):
            rng = random.Random(seed)
            versioned = self.random_versioned(rng)
            violation = find_version_violation(versioned)
            if violation is None:
                continue
            accused += 1
            # Each version has a value of its own, so that the search can tell them apart as well.
            plain = []
            for one in versioned:
                op = {READ: "get", WRITE: "set", DELETE: "delete"}[one.kind]
                plain.append(Operation(one.process, op, ("k", one.value), one.value, one.call_time, one.return_time))
            self.assertIsNotNone(find_violation(plain), "seed %d: %s" % (seed, violation))
        self.assertGreater(accused, 100)

    @staticmethod
    def random_versioned(rng):
        """Writes one after the other, now and then a killed delete, and reads of whichever version."""
        operations, now, version = [], 0, 0
        for _ in range(rng.randrange(2, 7)):
            now += rng.randrange(3)
            back = now + rng.randrange(1, 4)
            if rng.random() < 0.4:
                version += 1
                operations.append(VersionedOperation(0, WRITE, "k", "v%d" % version, version, now, back))
                now = back + 1
            else:
                seen = rng.randrange(version + 1)
                operations.append(VersionedOperation(rng.randrange(1, 3), READ, "k", "v%d" % seen if seen else None,
                                                     seen, now, back))
        if rng.random() < 0.2:
            operations.append(VersionedOperation(9, DELETE, "k", None, None, rng.randrange(5), UNKNOWN))
        return operations

    def test_forty_thousand_operations_are_swept(self):
        count = 20000
        operations = []
        for number in range(1, count):
            operations.append(VersionedOperation(0, WRITE, "k", number, number, number, number + 0.5))
            operations.append(VersionedOperation(number % 5, READ, "k", number, number, number + 0.2, number + 0.9))
        assert_versions(operations)
        wrong = VersionedOperation(7, READ, "k", 10, 10, count + 1, count + 2)
        self.assertRaisesRegex(AssertionError, "older version", assert_versions, operations + [wrong])


if __name__ == "__main__":
    unittest.main()

"""Many keys at once, against a real coordinator: set_many, pipelines, maps, scans, and a grid that is full."""

import threading
import unittest

from nosqgrid import errors, limits
from tests.process import test_grid_api
from tests.support.processes import TIMEOUT_S


class SetManyTests(test_grid_api.GridTestCase):
    memory = "64m"

    def test_small_and_large_values_in_more_than_a_lane_holds(self):
        pairs = {"k%d" % number: b"%d" % number * 300 for number in range(2000)}
        pairs.update(("large%d" % number, bytes([number]) * 100000) for number in range(5))
        self.assertGreater(sum(map(len, pairs.values())), 2 * limits.LANE_REQUEST_BYTES)
        self.grid.set_many(pairs)
        self.assertEqual(self.attached().get_many(pairs), pairs)
        self.assertEqual(len(self.grid), len(pairs))

    def test_values_of_every_size_around_what_a_frame_holds(self):
        sizes = [limits.LANE_FRAME_BYTES_MAX + change for change in range(-40, 3, 3)]
        for size in sizes:
            self.grid.set("k%d" % size, b"x" * size)
        self.grid.set_many({"m%d" % size: b"y" * size for size in sizes})
        for size in sizes:
            self.assertEqual(self.grid["k%d" % size], b"x" * size)
            self.assertEqual(self.grid["m%d" % size], b"y" * size)

    def test_pairs_and_a_ttl_are_taken(self):
        self.grid.set_many([("a", 1), (b"b", 2)], ttl=60)
        self.assertEqual((self.grid["a"], self.grid["b"]), (1, 2))
        self.assertGreater(self.grid.ttl("b"), 50)
        self.grid.set_many({})
        self.assertEqual(len(self.grid), 2)

    def test_values_around_every_border_between_one_way_and_the_next(self):
        large = self.grid._store.attachment.large_value_bytes
        for border in (limits.LANE_FRAME_BYTES_MAX - 16, large, limits.value_size_bytes_max(64 * limits.MIB)):
            for size in (border - 1, border, border + 1):
                self.grid["k"] = b"x" * size
                self.assertEqual(self.grid["k"], b"x" * size)

    def test_a_value_that_is_larger_than_the_memory_is_refused_and_changes_nothing(self):
        self.grid["k"] = 1
        with self.assertRaises(errors.GridFullError):
            self.grid["k"] = bytes(64 * limits.MIB)
        self.assertEqual(self.grid["k"], 1)


class PipelineTests(test_grid_api.GridTestCase):
    def test_results_come_in_order_and_see_what_was_done_before(self):
        self.grid["n"] = 5
        with self.grid.pipeline() as batch:
            batch.set("a", [1]).get("a").incr("n", 2).delete("a").get("a").delete("a").expire("n", 60).persist("n")
            batch.set("n", 1, if_absent=True)
            self.assertEqual(len(batch), 9)
            self.assertNotIn("a", self.grid)
        self.assertEqual(batch.results[1:], [[1], 7, True, None, False, True, True, None])
        self.assertGreater(batch.results[0], 0)
        self.assertEqual(self.grid["n"], 7)

    def test_a_failing_command_applies_nothing_and_is_named(self):
        self.grid["t"] = "text"
        batch = self.grid.pipeline().set("a", 1).delete("t").set("t", "other").incr("t").set("b", 1)
        with self.assertRaises(errors.BatchError) as caught:
            batch.execute()
        self.assertEqual(caught.exception.index, 3)
        self.assertEqual(dict(self.grid.items()), {"t": "text"})

    def test_a_pipeline_can_be_used_again(self):
        batch = self.grid.pipeline()
        self.assertEqual(batch.execute(), [])
        batch.incr("n").execute()
        batch.incr("n")
        batch.discard()
        self.assertEqual(batch.incr("n").execute(), [2])
        with self.assertRaises(ZeroDivisionError):
            with batch:
                batch.incr("n")
                1 / 0
        self.assertEqual((len(batch), self.grid["n"]), (0, 2))

    def test_a_batch_larger_than_a_lane_is_applied_as_one(self):
        for count, size in ((70, 1000), (300, 1000), (4, 100000)):
            batch = self.grid.pipeline()
            for number in range(count):
                batch.set("k%d" % number, bytes(size))
            self.assertEqual(len(batch.execute()), count)
            self.assertEqual(len(self.grid), count)
            self.grid.clear()

    def test_no_reader_sees_half_of_a_batch_that_fails(self):
        batch = self.grid.pipeline()
        self.grid["t"] = "text"
        for number in range(200):
            batch.set("k%d" % number, bytes(1000))
        with self.assertRaises(errors.BatchError) as caught:
            batch.incr("t").execute()
        self.assertEqual(caught.exception.index, 200)
        self.assertEqual(list(self.grid), ["t"])

    def test_bad_arguments_leave_the_batch_as_it_was(self):
        batch = self.grid.pipeline().set("a", 1)
        self.assertRaises(errors.UnsupportedTypeError, batch.set, "b", object())
        self.assertRaises(errors.UsageError, batch.set, "b", 1, -1)
        self.assertRaises(errors.UnsupportedTypeError, batch.get, 5)
        self.assertEqual(len(batch.execute()), 1)


class MapTests(test_grid_api.GridTestCase):
    def test_a_map_is_a_grid_of_its_own_with_a_prefix(self):
        users, others = self.grid.map("user"), self.grid.map("other")
        users.update({"a": 1, "b": 2})
        others["a"] = 3
        self.assertEqual((dict(users.items()), dict(others.items())), ({"a": 1, "b": 2}, {"a": 3}))
        self.assertEqual((self.grid["user:a"], len(users), len(self.grid)), (1, 2, 3))
        self.assertEqual(list(users.scan("b")), ["b"])
        self.assertEqual(sorted(users.scan(match="[ab]")), ["a", "b"])
        with users.pipeline() as batch:
            batch.incr("a")
        self.assertEqual((users["a"], users.pop("b"), users.delete("no")), (2, 2, 0))
        users.clear()
        self.assertEqual(sorted(self.grid), ["other:a"])

    def test_bad_names_and_keys_that_are_too_long_with_the_prefix_are_refused(self):
        for name in ("", "a:b", None, 5, b"a"):
            self.assertRaises(errors.UsageError, self.grid.map, name)
        names = self.grid.map("m")
        self.assertRaises(errors.UsageError, names.map, "n")
        self.assertRaises(errors.KeyTooLargeError, names.set, "x" * (limits.KEY_SIZE_BYTES_MAX - 1), 1)
        names["x" * (limits.KEY_SIZE_BYTES_MAX - 2)] = 1
        self.assertEqual(len(self.grid), 1)


class ScanTests(test_grid_api.GridTestCase):
    def test_prefix_and_match_choose_keys(self):
        self.grid.set_many({"a:1": 1, "a:2": 2, "b:1": 3})
        self.assertEqual(sorted(self.grid.scan("a:")), ["a:1", "a:2"])
        self.assertEqual(sorted(self.grid.scan(match="?:1")), ["a:1", "b:1"])
        self.assertEqual(list(self.grid.scan("a:", "*[2-9]")), ["a:2"])

    def test_keys_that_stay_are_seen_once_while_others_come_and_go_and_the_index_grows(self):
        stay = {"stay%d" % number for number in range(1500)}
        self.grid.set_many(dict.fromkeys(stay, 1))
        writer_grid, ended, rounds = self.attached(), threading.Event(), []

        def write():
            while not ended.is_set() and len(rounds) < 60:
                names = ["come%d" % number for number in range(len(rounds) * 200, len(rounds) * 200 + 200)]
                writer_grid.set_many(dict.fromkeys(names, 1))
                writer_grid.delete(*names[::4])
                rounds.append(1)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            walks = 0
            while walks < 3 or thread.is_alive():
                seen = [key for key in self.grid.scan() if key.startswith("stay")]
                self.assertEqual(len(seen), len(set(seen)))
                self.assertEqual(set(seen), stay)
                walks += 1
        finally:
            ended.set()
            thread.join(TIMEOUT_S)
        self.assertGreater(len(self.grid), limits.INDEX_SLOTS_INITIAL)


class FullTests(test_grid_api.GridTestCase):
    memory = "1m"

    def test_a_full_grid_refuses_keeps_what_it_has_and_takes_more_after_deleting(self):
        stored = []
        with self.assertRaises(errors.GridFullError):
            for number in range(1000):
                self.grid["k%d" % number] = bytes([number % 256]) * 5000
                stored.append(number)
        self.assertGreater(len(stored), 50)
        self.assertEqual(len(self.grid), len(stored))
        for number in stored:
            self.assertEqual(self.grid["k%d" % number], bytes([number % 256]) * 5000)
        more = {"m%d" % number: bytes(5000) for number in range(99)}
        self.assertRaises(errors.GridFullError, self.grid.set_many, more)
        self.assertEqual(self.grid.get_or_compute("computed", lambda: bytes(100000)), bytes(100000))
        self.assertNotIn("computed", self.grid)
        self.grid.clear()
        for number in range(len(stored) // 2):
            self.grid["n%d" % number] = bytes(5000)
        self.assertEqual(len(self.grid), len(stored) // 2)

    def test_a_batch_that_does_not_fit_applies_nothing(self):
        batch = self.grid.pipeline()
        for number in range(400):
            batch.set("k%d" % number, bytes(5000))
        with self.assertRaises((errors.GridFullError, errors.BatchError)):
            batch.execute()
        self.assertEqual(len(self.grid), 0)
        self.grid["k"] = bytes(5000)
        self.assertEqual(list(self.grid), ["k"])


if __name__ == "__main__":
    unittest.main()

"""The sharing benchmark's own arithmetic: contenders take turns, results are checked, the report is well formed."""

import unittest

from bench import memory, sharing
from bench.timing import Timing


class SharingTest(unittest.TestCase):
    def test_contenders_take_turns_and_preparing_is_not_counted(self):
        now, order = [0.0], []

        def contender(name, seconds):
            def prepare():
                now[0] += 1000
                return name

            def body(argument):
                order.append(argument)
                now[0] += seconds

            return name, prepare, body

        measured = sharing.take_turns([contender("slow", 8.0), contender("fast", 2.0)], 2, 4, lambda: now[0])
        self.assertEqual(measured, {"slow": (2.0, 2.0, 2.0), "fast": (0.5, 0.5, 0.5)})
        self.assertEqual(order, ["slow", "fast"] * 3)

    def test_a_contender_that_sums_wrongly_is_found(self):
        self.assertIsNone(sharing._checked(sum, 6.0)([1.0, 2.0, 3.0]))
        with self.assertRaises(AssertionError):
            sharing._checked(sum, 7.0)([1.0, 2.0, 3.0])

    def test_the_report_has_the_ratios_and_names_what_is_absent(self):
        result = sharing.Result(sharing.QUICK)
        result.arrays = {sharing.OURS: Timing(0.1, 0.1, 0.1), "other": Timing(0.25, 0.2, 0.6)}
        result.values = {(sharing.MIB, "put", sharing.MEMCPY): Timing(0.001, 0.001, 0.001),
                         (sharing.MIB, "put", sharing.OURS): Timing(0.002, 0.001, 0.003)}
        result.attaching = {sharing.OURS: Timing(0.001, 0.001, 0.002)}
        result.memory = [("lfu", memory.Cost(1000, 61.0, None, True))]
        result.absent = [("joblib", "not installed")]
        text = sharing.write(result)
        for pattern in (r"other +250\.0 +200\.0 +600\.0 +2\.5x", r"memcpy into new memory +1000 .* 0\.50x",
                        r"absent +joblib: not installed", r"lfu +1,000 +61\.0 +- +yes",
                        r"more than twice the median: other"):
            self.assertRegex(text, pattern)


if __name__ == "__main__":
    unittest.main()

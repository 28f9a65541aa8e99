"""The durability benchmark's own arithmetic: percentiles, verdicts, tables, and a picture that is well formed."""

import collections
import io
import os
import tempfile
import unittest
from unittest import mock
from xml.etree import ElementTree

from bench import __main__ as command, durability, durability_report, picture, report, timing

SVG = "{http://www.w3.org/2000/svg}"
PLAN = durability.QUICK._replace(datasets=(durability.SMALL,))


def make_result(longest_s=0.004, load="0.10"):
    """A run in which every goal is met."""
    result = durability.Result(PLAN)
    result.machine = [("date", "today"), ("load before", load)]
    result.disk = "ext4 on /dev/vda; writes and syncs 64 MiB at 500 MB/s"
    result.hiccup_s = 0.0004
    for case, none_us in ((durability.SET, 6.0), (durability.SET_MANY, 1.0)):
        for level, cost_us in zip(durability.LEVELS, (0.0, 0.25, 0.375, 700.0)):
            seconds = (none_us + cost_us) * 1e-6
            result.timings[case, "nosqgrid " + level] = timing.Timing(seconds, seconds * 0.9, seconds * 1.1)
    for what, seconds in ((durability.ALONE, 0.5), (durability.WRITTEN, 2.0)):
        case = durability.checkpoint_case(durability.SMALL, what)
        result.timings[case, "nosqgrid"] = timing.Timing(seconds, seconds, seconds)
        result.file_bytes[case] = 132 * 1000 * 1000
    for kind, ours, theirs in ((durability.CHECKPOINT, 1.9, 0.8), (durability.LOG, 2.5, None)):
        case = durability.restart_case(1000 * 1000, kind)
        result.timings[case, "nosqgrid"] = timing.Timing(ours, ours, ours)
        if theirs is not None:
            result.timings[case, "redis-server"] = timing.Timing(theirs, theirs, theirs)
    result.still[durability.SMALL] = [5e-6] * 995 + [1e-3] * 5
    result.busy[durability.SMALL] = [9e-6] * 1980 + [2e-3] * 19 + [longest_s]
    return result


class DistributionTest(unittest.TestCase):
    def test_percentiles_are_samples_by_nearest_rank(self):
        found = durability.distribution(list(range(1, 2001)))
        self.assertEqual(found, (2000, 1000, 1980, 1998, 2000))

    def test_few_samples_give_the_longest_for_what_is_rarer_than_they_are(self):
        self.assertEqual(durability.distribution([1, 2, 3]), (3, 2, 3, 3, 3))

    def test_it_agrees_with_the_percentiles_of_the_other_benchmarks(self):
        for count in (1, 7, 99, 100, 101, 1234):
            samples = list(range(count))
            found = durability.distribution(samples)
            self.assertEqual((found.p50, found.p99, found.max), timing.percentiles(samples))

    def test_a_curve_rises_and_ends_with_the_longest(self):
        points = picture.curve(sorted((number * 7919 % 10007 + 1) * 1e-6 for number in range(10007)))
        self.assertEqual(points, sorted(points))
        self.assertEqual([seconds for _, seconds in points], sorted(seconds for _, seconds in points))
        self.assertEqual(points[0], (2.0, 5004e-6))
        self.assertEqual(points[picture.POINTS_PER_DECADE], (20.0, 9507e-6))
        self.assertEqual(points[-1], (10007.0, 10007e-6))

    def test_a_hiccup_is_the_longest_step_of_the_clock(self):
        steps = iter([0.0, 0.25, 0.375, 0.875, 1.0])
        self.assertEqual(durability.longest_hiccup(1.0, lambda: next(steps)), 0.5)

    def test_sets_are_timed_one_by_one_until_it_is_done(self):
        clock, done = [0.0], iter([False, False, True])

        class Keys(object):
            def take(self, count):
                return ["k"] * count

        def set_(key, value):
            clock[0] += 0.5

        samples = durability.sample_sets(set_, Keys(), b"v", lambda: next(done), lambda: clock[0])
        self.assertEqual((len(samples), set(samples)), (100, {0.5}))


class ReportTest(unittest.TestCase):
    def goals(self, result):
        return {goal.what: goal for goal in durability_report.goals(result)}

    def test_all_goals_are_met(self):
        goals = self.goals(make_result())
        self.assertEqual([what for what, goal in goals.items() if not goal.met], [])
        self.assertEqual(len(goals), 4 + 1 + 1 + 2)

    def test_the_price_of_the_log_is_the_difference_to_none(self):
        result = make_result()
        self.assertAlmostEqual(durability_report.cost(result, durability.SET, "everysec"), 0.375e-6)
        self.assertAlmostEqual(durability_report.cost(result, durability.SET, "everysec", "low"), 0.9 * 0.375e-6)
        result.timings[durability.SET, "nosqgrid none"] = timing.Timing(3.875e-6, 3e-6, 4e-6)
        goal = self.goals(result)["the log at everysec, set 100 B"]
        self.assertFalse(goal.met)
        self.assertAlmostEqual(goal.missed_by, 0.25)  # 6.375 - 3.875 where 2 was wanted

    def test_a_log_that_makes_sets_faster_is_noise_and_no_goal_met(self):
        result = make_result()
        result.timings[durability.SET, "nosqgrid none"] = timing.Timing(66.25e-6, 60e-6, 70e-6)
        goal = self.goals(result)["the log at os, set 100 B"]
        self.assertEqual((goal.met, goal.measured), (False, None))
        self.assertIn("the price of the log drowns in noise: set 100 B at os was 60 us faster than at none.",
                      durability_report.suspicions(result))

    def test_one_long_set_misses_the_goal(self):
        goal = self.goals(make_result(longest_s=0.0075))["longest set during a checkpoint, 1,000,000 keys of 100 B"]
        self.assertFalse(goal.met)
        self.assertAlmostEqual(goal.missed_by, 0.5)
        self.assertEqual(goal.measured, "7.5 ms")

    def test_a_slow_checkpoint_misses_the_goal(self):
        result = make_result()
        result.file_bytes[durability.checkpoint_case(durability.SMALL, durability.ALONE)] = 50 * 1000 * 1000
        goal = self.goals(result)["checkpoint, 1,000,000 keys of 100 B"]
        self.assertEqual((goal.met, goal.measured, goal.missed_by), (False, "100 MB/s", 0.5))

    def test_what_was_not_measured_is_not_met(self):
        result = make_result()
        del result.timings[durability.restart_case(1000 * 1000, durability.LOG), "nosqgrid"]
        goal = self.goals(result)["restart, 1,000,000 keys of 100 B, log of batches"]
        self.assertEqual((goal.met, goal.measured), (False, None))
        self.assertIn("not measured", durability_report.write(result))

    def test_its_measurements_read_back_for_compare(self):
        result = make_result()
        found = report.read_measurements(durability_report.write(result))
        self.assertEqual(list(found), list(result.timings))
        self.assertEqual(found["restart, 1,000,000 keys of 100 B, checkpoint", "nosqgrid"], (1900000,) * 3)

    def test_the_table_for_the_docs_has_a_row_for_each_thing(self):
        lines = durability_report.markdown(make_result()).splitlines()
        self.assertEqual(len(lines), 2 + 2 + 1 + 1 + 2)
        self.assertEqual({line.count("|") for line in lines}, {4})
        self.assertIn("1.90 s; redis-server 0.80 s", lines[-2])

    def test_other_work_and_noise_are_named(self):
        self.assertFalse([line for line in durability_report.suspicions(make_result())
                          if line.startswith(("noisy", "other work"))])
        result = make_result(load="1.75")
        result.hiccup_s = 0.004
        result.timings[durability.SET, "nosqgrid os"] = timing.Timing(6e-6, 5e-6, 12e-6)
        text = "\n".join(durability_report.suspicions(result))
        self.assertIn("the load was 1.75", text)
        self.assertIn("stopped for 4.0 ms", text)
        self.assertIn("noisy: set 100 B, nosqgrid os: by 117 %.", text)


class PictureTest(unittest.TestCase):
    def draw(self, still, busy, data="1,000,000 keys of 100 B"):
        return ElementTree.fromstring(picture.draw(sorted(still), sorted(busy), data))

    def places(self, root):
        """[(x, y), ...] of each curve."""
        found = []
        for path in root.iter(SVG + "path"):
            numbers = [float(word) for word in path.get("d").replace("M", "").replace("L", "").split()]
            found.append(list(zip(numbers[::2], numbers[1::2])))
        return found

    def test_it_is_well_formed_and_stands_on_its_own(self):
        result = make_result()
        text = picture.draw(result.still[durability.SMALL], result.busy[durability.SMALL], "1 < 2 & 3")
        root = ElementTree.fromstring(text)
        self.assertEqual(root.tag, SVG + "svg")
        self.assertEqual(root.find(SVG + "title").text, "How long a set takes: 1 < 2 & 3")
        for foreign in ("href", "url(", "@import", "@font-face", "<script"):
            self.assertNotIn(foreign, text)
        self.assertIn("prefers-color-scheme: dark", root.find(SVG + "style").text)

    def test_every_style_named_has_a_colour_in_light_and_in_dark(self):
        root = self.draw([1e-5] * 100, [1e-3] * 100)
        light, _, dark = root.find(SVG + "style").text.partition("@media")
        for name in {element.get("class") for element in root.iter() if element.get("class")}:
            self.assertIn(".%s {" % name, light)
            self.assertIn(".%s {" % name, dark)

    def test_the_axis_is_labelled_in_units_a_person_reads(self):
        root = self.draw([5e-6] * 1000, [5e-6] * 999 + [0.02])
        texts = [element.text for element in root.iter(SVG + "text")]
        for label in ("1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "goal: the longest under 5 ms",
                      "longest 20 ms", "longest 5.0 us"):
            self.assertIn(label, texts)

    def test_longer_is_higher_and_rarer_is_further_right(self):
        still, busy = self.places(self.draw([5e-6] * 900 + [1e-4] * 100, [5e-5] * 9000 + [1e-2] * 1000))
        for places in (still, busy):
            self.assertEqual([x for x, _ in places], sorted(x for x, _ in places))
            self.assertEqual([y for _, y in places], sorted((y for _, y in places), reverse=True))
        self.assertLess(busy[0][1], still[0][1])
        self.assertLess(still[-1][0], busy[-1][0])

    def test_everything_lies_within_the_picture_even_when_samples_are_few_or_alike(self):
        for still, busy in (([1e-6], [2.0]), ([5e-3] * 3, [5e-3] * 3), ([1e-4] * 5000, [1e-4] * 5000)):
            root = self.draw(still, busy)
            for element in root.iter(SVG + "text"):
                self.assertTrue(0 <= float(element.get("x")) < picture.WIDTH, element.text)
                self.assertTrue(0 < float(element.get("y")) < picture.HEIGHT, element.text)
            for x, y in sum(self.places(root), []):
                self.assertTrue(0 < x < picture.WIDTH and 0 < y < picture.HEIGHT, (x, y))

    def test_labels_of_curves_that_end_alike_do_not_lie_on_each_other(self):
        root = self.draw([1e-3] * 100, [1.01e-3] * 100)
        heights = [float(element.get("y")) for element in root.iter(SVG + "text")
                   if element.text in ("no checkpoint", "during a checkpoint")]
        self.assertGreaterEqual(abs(heights[0] - heights[1]), 30)


class CommandTest(unittest.TestCase):
    def test_it_writes_report_and_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            text, drawn = (os.path.join(folder, name) for name in ("report.txt", "picture.svg"))
            out = io.StringIO()
            with mock.patch.object(durability, "run", lambda plan, progress: make_result()):
                code = command.main(["durability", "--quick", "--out", text, "--picture", drawn], out, io.StringIO())
            self.assertEqual(code, 0)
            with open(text, encoding="utf-8") as file:
                self.assertEqual(file.read(), out.getvalue())
            ElementTree.parse(drawn)

    def test_redis_commands_have_the_lengths_of_their_words(self):
        self.assertEqual(durability.resp((b"SET", b"k", b"a\r\nb")), b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n")

    def test_filling_sets_every_key_once(self):
        grid = mock.Mock()
        durability.fill(grid, durability.SMALL._replace(key_count=3000))
        counts = collections.Counter(key for call in grid.set_many.call_args_list for key in call[0][0])
        self.assertEqual((len(counts), set(counts.values())), (3000, {1}))


if __name__ == "__main__":
    unittest.main()

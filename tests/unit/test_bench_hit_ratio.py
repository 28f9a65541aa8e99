"""The hit-ratio benchmark's own arithmetic: the reference policies, the replay, goals, tables, and the picture."""

import doctest
import gzip
import io
import itertools
import os
import random
import tempfile
import unittest
from unittest import mock
from xml.etree import ElementTree

from bench import __main__ as command, hit_picture, hit_policies, hit_ratio, hit_ratio_report
from bench.hit_ratio import ARC, LFU, LFU_4, LFU_8, LRU, OPT

from tests.support.tiers import slow

SVG = "{http://www.w3.org/2000/svg}"


def make_result(lfu=52.0, published=0.91):
    """Two traces, on which every goal is met."""
    result = hit_ratio.Result()
    result.machine = [("date", "today"), ("load before", "0.10")]
    result.traces = [hit_ratio.Trace("zipf-1.0", "Zipf", [1, 2], (200, 1000)),
                     hit_ratio.Trace("gli", "2 keys", [1, 2], (250,))]
    for capacity in (200, 1000):
        result.ratios["zipf-1.0", capacity] = {OPT: 60.0, LFU: lfu, LFU_4: 51.0, LFU_8: 50.0, LRU: 40.0, ARC: 52.5}
    result.ratios["gli", 250] = {OPT: 18.0, LFU: 12.0, LFU_4: 9.0, LFU_8: 8.0, LRU: published, ARC: 1.38}
    result.mixed = [(0.1, LFU, 50.0, 40.0)]
    result.costs = {LFU: hit_ratio.Cost(1500.0, 3000.0, 23.5)}
    result.quick, result.seconds = False, 3.0
    return result


def best_possible(keys, capacity):
    """Hits of the best of all ways to evict, tried out."""
    best, states = 0, {frozenset(): 0}
    for key in keys:
        after = {}
        for held, hits in states.items():
            if key in held:
                choices = [(held, hits + 1)]
            elif len(held) < capacity:
                choices = [(held | {key}, hits)]
            else:
                choices = [(held - {victim} | {key}, hits) for victim in held]
            for state, count in choices:
                after[state] = max(count, after.get(state, 0))
        states = after
        best = max(states.values())
    return best


class PolicyTest(unittest.TestCase):
    def test_the_examples_in_the_docstrings_hold(self):
        for module in (hit_policies, hit_ratio_report):
            self.assertEqual(doctest.testmod(module).failed, 0)

    def test_the_optimum_is_what_trying_everything_finds(self):
        rnd = random.Random(1)
        for _ in range(40):
            keys = [rnd.randrange(6) for _ in range(25)]
            for capacity in (1, 2, 3):
                self.assertEqual(hit_policies.optimum(keys, capacity), best_possible(keys, capacity), keys)

    def test_arc_keeps_its_bounds_and_beats_lru_beside_a_scan(self):
        rnd, scan = random.Random(2), itertools.count(1000)
        keys = []
        for _ in range(4000):
            keys += [int(rnd.expovariate(1 / 20.0)), next(scan)]
        cache = hit_policies.Arc(50)
        hits = 0
        for key in keys:
            hits += cache.request(key)
            self.assertLessEqual(len(cache.once) + len(cache.often), 50)
            self.assertLessEqual(len(cache.once) + len(cache.once_gone), 50)
            self.assertLessEqual(sum(map(len, (cache.once, cache.often, cache.once_gone, cache.often_gone))), 100)
        self.assertGreater(hits, hit_policies.lru(keys, 50))

    def test_our_lru_is_lru(self):
        rnd = random.Random(3)
        keys = [int(rnd.expovariate(1 / 90.0)) for _ in range(6000)]
        for capacity in (10, 100):
            self.assertEqual(hit_ratio.hits_of(LRU, keys, capacity), hit_policies.lru(keys, capacity))

    def test_no_policy_beats_the_optimum(self):
        rnd = random.Random(4)
        keys = [int(rnd.paretovariate(0.5)) for _ in range(4000)]
        best = hit_ratio.hits_of(OPT, keys, 60)
        for name in (LFU, LFU_4, LFU_8, LRU, ARC):
            self.assertLess(hit_ratio.hits_of(name, keys, 60), best, name)

    def test_lost_notes_are_lost(self):
        calls = []
        for noted, dropped in ((1, 0.0), (4, 0.0), (4, 0.5)):
            cache = hit_ratio.Cache(LRU, 10, 10, noted, dropped)
            with mock.patch.object(type(cache.policy), "touched", lambda *arguments: calls.append(1)):
                for _ in range(401):
                    cache.request("k")
            calls, count = [], len(calls)
            self.assertTrue({(1, 0.0): count == 400, (4, 0.0): count == 100}.get((noted, dropped), 25 < count < 75))


class TraceTest(unittest.TestCase):
    def test_synthetic_traces_are_the_same_each_time(self):
        first, second = hit_ratio.synthetic(2000), hit_ratio.synthetic(2000)
        self.assertEqual(first, second)
        self.assertEqual([trace.name for trace in first], ["zipf-0.8", "zipf-1.0", "cycle", "zipf-scan", "shifting"])
        for trace in first:
            self.assertTrue(2000 <= len(trace.keys) <= 3000, trace.name)

    def test_public_traces_are_read_without_their_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(OSError):
                hit_ratio.published(folder)
            with gzip.open(os.path.join(folder, "gli.trace.gz"), "wt") as file:
                file.write("2\n85 \n*\n\n2\n")
            with gzip.open(os.path.join(folder, "other.trace.gz"), "wt") as file:
                file.write("".join("%d\n" % number for number in range(100)))
            gli, other = hit_ratio.published(folder)
        self.assertEqual((gli.name, gli.keys, gli.capacities), ("gli", ["2", "85", "2"], (250, 500, 1000, 2000)))
        self.assertEqual(other.capacities, (5, 20, 50))


class ReportTest(unittest.TestCase):
    def test_goals_are_met_or_missed(self):
        self.assertEqual([goal.met for goal in hit_ratio_report.goals(make_result())], [True] * 3)
        goals = hit_ratio_report.goals(make_result(lfu=51.0, published=0.95))
        self.assertEqual([goal.met for goal in goals], [False, True, False])
        self.assertAlmostEqual(goals[0].missed_by, 0.5)

    def test_the_report_has_all_parts(self):
        text = hit_ratio_report.write(make_result())
        for part in ("zipf-1.0  1000", "23.5", "10 %", "| gli | 250 | 18.0 | 12.0 | 9.0 | 0.9 | 1.4 | +10.6 |"):
            self.assertIn(part, text)

    def test_a_policy_better_than_the_optimum_is_named(self):
        result = make_result(lfu=61.0)
        self.assertTrue(any("better than the optimum" in line for line in hit_ratio_report.suspicions(result)))

    def test_the_picture_is_well_formed_and_says_it_in_words(self):
        root = ElementTree.fromstring(hit_picture.draw(make_result()))
        self.assertIn("lfu 52.0 %", root.find(SVG + "desc").text)
        legend = len(hit_picture.LINES)
        self.assertEqual(len(root.findall(SVG + "polyline")), legend + 2 * legend)

    @slow
    def test_the_command_runs_and_says_what_is_absent(self):
        with mock.patch.object(hit_ratio, "REQUESTS_QUICK", 600), mock.patch.object(hit_ratio, "TIMED_KEYS", 3000), \
                mock.patch.dict(os.environ), tempfile.TemporaryDirectory() as folder:
            os.environ.pop(hit_ratio.TRACES_VARIABLE, None)
            out, err, path = io.StringIO(), io.StringIO(), os.path.join(folder, "x.svg")
            code = command.main(["hit-ratio", "--quick", "--out", "-", "--picture", path], out, err)
            self.assertEqual(code, 0)
            self.assertIn("no public traces", err.getvalue())
            self.assertIn("shifting", out.getvalue())
            with open(path, encoding="utf-8") as file:
                ElementTree.fromstring(file.read())


if __name__ == "__main__":
    unittest.main()

"""The utilisation benchmark's own arithmetic: a case is carried out, tables and a picture are well formed."""

import unittest
from xml.etree import ElementTree

from bench import utilisation, utilisation_picture
from bench.utilisation import MIXED, SMALL, UNIFORM, ZIPF, Case, Outcome

from tests.support.tiers import slow


class UtilisationTest(unittest.TestCase):
    @slow
    def test_a_case_keeps_what_lives_at_its_share_and_writes_what_it_says(self):
        for memory_mib, values, order in ((16, MIXED, UNIFORM), (2, SMALL, ZIPF)):
            outcome = utilisation.measure(Case(memory_mib, values, order, 0.7), 1)
            self.assertEqual(outcome.refused, 0)
            self.assertGreaterEqual(outcome.written_bytes, 0.4 * (memory_mib << 20))
            self.assertGreaterEqual(outcome.seconds, outcome.cleaning_s)
            self.assertGreater(outcome.moved_bytes, 0)

    def test_the_live_bytes_end_at_the_target(self):
        case = Case(2, SMALL, UNIFORM, 0.6)
        grid = utilisation.Grid(2 << 20)
        load = utilisation.Load(case, grid.heap_bytes)
        utilisation.fill(grid, load)
        self.assertEqual(grid.keyspace.heap.live_bytes(), load.live_bytes)
        self.assertLessEqual(load.live_bytes, load.target_bytes)
        self.assertGreater(load.live_bytes, 0.95 * load.target_bytes)

    def test_table_and_picture(self):
        found = [(Case(memory, MIXED, UNIFORM, share), Outcome(0, 100, 10 ** 6, 1.0 / rate, 0.1 / rate, 5, 1e-3, 2e-3))
                 for memory in (16, 256) for share, rate in ((0.5, 4.0), (0.85, 3.0))]
        lines = utilisation.tables(found)
        self.assertEqual(sum(line == utilisation.HEAD for line in lines), 2)
        self.assertIn(" 75%", lines[4])
        self.assertIn("16 MiB", utilisation.write(found, utilisation.QUICK, [("date", "today")]))
        self.assertEqual(utilisation_picture.curves(found)[0], (256, [(0.5, 1.0), (0.85, 0.75)]))
        root = ElementTree.fromstring(utilisation_picture.draw(found))
        self.assertEqual(len(root.findall("{http://www.w3.org/2000/svg}path")), 2)


if __name__ == "__main__":
    unittest.main()

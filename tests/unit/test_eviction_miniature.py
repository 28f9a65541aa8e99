"""The miniature caches: sums, admission, their share of the capacity, and which window they choose."""

import random
import unittest

from nosqgrid.engine.eviction import miniature


class MiniatureTest(unittest.TestCase):
    def test_sums_hold_and_the_capacity_is_kept_with_mixed_weights(self):
        rnd = random.Random(12)
        chooser = miniature.WindowChooser(lambda key_hash: key_hash % 7)
        keys = [(rnd.getrandbits(61), rnd.choice((1, 2, 5, 90))) for _ in range(3000)]
        for number in range(20000):
            key_hash, weight = keys[min(int(rnd.expovariate(1 / 400.0)), 2999)]
            if not key_hash >> miniature.SAMPLE_SHIFT & chooser.mask:
                chooser.request(key_hash, weight, 2000.0, 500)
            if number % 997 == 0:
                chooser.end_round((100, 900, 5000, 300)[number // 997 % 4], True)
                self.assertTrue(chooser.check())
        for small in chooser._miniatures:
            self.assertLessEqual(small.weight, 2000)
            self.assertGreater(small.hits, 0)

    def test_who_is_as_rare_as_the_victim_is_not_let_in(self):
        small = miniature.Miniature(0.01)
        for key_hash in range(50):
            small.request(key_hash, 1, 10, lambda key_hash: 1)
        self.assertEqual((list(small.probation), list(small.window)), (list(range(9)), [49]))
        small.request(50, 1, 10, lambda key_hash: 1 + (key_hash == 49))
        self.assertEqual((list(small.probation), list(small.window)), (list(range(1, 9)) + [49], [50]))

    def test_a_sample_has_its_share_of_the_capacity(self):
        chooser = miniature.WindowChooser(lambda key_hash: 0)
        chooser.end_round(3000, True)
        self.assertEqual(chooser.mask, 3)
        for number in range(200):
            chooser.request(number << miniature.SAMPLE_SHIFT + 2, 1, 400, 3000)
        self.assertEqual([small.weight for small in chooser._miniatures], [100] * 5)

    def test_the_sample_follows_the_number_of_keys(self):
        chooser = miniature.WindowChooser(lambda key_hash: 0)
        for count, mask in ((100, 0), (768, 0), (769, 1), (100 * 1000, 255), (60 * 1000, 127), (10, 0),
                            (10 ** 9, (1 << 16) - 1)):
            chooser.end_round(count, True)
            self.assertEqual(chooser.mask, mask, count)

    def test_where_nothing_differs_the_window_is_small(self):
        chooser = miniature.WindowChooser(lambda key_hash: 0)
        hits = [small.hits for small in chooser._miniatures]
        self.assertEqual(hits, [0.0] * 5)
        for ahead, fraction in ((3, 0.8), (None, 0.01), (1, 0.2)):
            for index, small in enumerate(chooser._miniatures):
                small.hits = 105.0 if index == ahead else 100.0
            chooser.end_round(100, True)
            self.assertEqual(chooser.fraction, fraction)
        chooser._miniatures[4].hits = 1000.0
        chooser.end_round(100, False)  # there is room: nothing is chosen
        self.assertEqual((chooser.fraction, chooser._miniatures[4].hits), (0.2, 875.0))


if __name__ == "__main__":
    unittest.main()

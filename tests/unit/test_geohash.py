"""Places as bits: against plain arithmetic, and that a search area has all of what it should find."""

import math
import random
import unittest

from nosqgrid.engine import geohash


def spread_slowly(cell):
    bits = 0
    for position in range(28):
        bits |= (cell.latitude >> position & 1) << 2 * position | (cell.longitude >> position & 1) << 2 * position + 1
    return bits


class BitsTest(unittest.TestCase):
    def test_bits_alternate_and_come_back(self):
        rng = random.Random(1)
        for _ in range(500):
            cell = geohash.cell_of(rng.uniform(-180, 180), rng.uniform(-85, 85))
            bits = geohash.bits_of(cell)
            self.assertEqual(bits, spread_slowly(cell))
            self.assertEqual(geohash.cell_of_bits(bits), cell)

    def test_a_place_lies_in_its_cell_and_the_middle_is_near(self):
        rng = random.Random(2)
        for _ in range(500):
            place = rng.uniform(-180, 180), rng.uniform(-85, 85)
            cell = geohash.cell_of(*place)
            west, east, south, north = geohash.bounds_of(cell)
            self.assertTrue(west <= place[0] <= east and south <= place[1] <= north)
            self.assertLess(geohash.distance(place, geohash.place_of(float(geohash.bits_of(cell)))), 1.0)

    def test_known_places(self):
        bits = geohash.bits_of(geohash.cell_of(13.361389, 38.115556))
        self.assertEqual(bits, 3479099956230698)
        self.assertEqual(geohash.text_of(float(bits)), b"sqc8b49rny0")
        self.assertEqual(geohash.bits_of(geohash.cell_of(-180, -geohash.LATITUDE_MAX)), 0)
        # At the other end the numbers need one bit more.
        self.assertEqual(geohash.bits_of(geohash.cell_of(180, geohash.LATITUDE_MAX)), 3 << 52)

    def test_scores_that_are_no_places_are_some_place(self):
        for score in (float("inf"), float("-inf"), -1.0, 1e300, 2.0 ** 63, 0.5, -1e18):
            longitude, latitude = geohash.place_of(score)
            self.assertTrue(abs(longitude) <= 180 and abs(latitude) <= geohash.LATITUDE_MAX, score)
            self.assertEqual(len(geohash.text_of(score)), 11)


class DistanceTest(unittest.TestCase):
    def test_known_distances(self):
        self.assertEqual(geohash.distance((10.0, 20.0), (10.0, 20.0)), 0.0)
        quarter = geohash.EARTH_RADIUS_M * math.pi / 2
        self.assertAlmostEqual(geohash.distance((0.0, 0.0), (90.0, 0.0)), quarter, places=3)
        self.assertAlmostEqual(geohash.distance((0.0, 0.0), (180.0, 0.0)), 2 * quarter, places=3)


class SearchTest(unittest.TestCase):
    def assert_all_found(self, rng, middle, shape):
        """Places around: those in the shape lie in one of the ranges, and no range comes twice."""
        ranges = geohash.score_ranges(middle, shape)
        self.assertEqual(len(set(ranges)), len(ranges))
        degrees = math.degrees(shape.across / geohash.EARTH_RADIUS_M)
        inside = 0
        for _ in range(60):
            place = (middle[0] + rng.uniform(-1, 1) * degrees / math.cos(math.radians(middle[1])),
                     middle[1] + rng.uniform(-1, 1) * degrees)
            if abs(place[0]) > 180 or abs(place[1]) > 85:
                continue
            score = float(geohash.bits_of(geohash.cell_of(*place)))
            if shape.distance_to(middle, geohash.place_of(score)) is not None:
                inside += 1
                self.assertTrue(any(low <= score < behind for low, behind in ranges), (middle, place, shape.across))
        return inside

    def test_a_search_looks_where_it_may_find_something(self):
        rng, inside = random.Random(3), 0
        for _ in range(300):
            middle = rng.uniform(-170, 170), rng.uniform(-65, 65)
            metres = 10 ** rng.uniform(0, 5.5)
            inside += self.assert_all_found(rng, middle, geohash.Circle(metres, 1.0))
            inside += self.assert_all_found(rng, middle, geohash.Box(metres, metres * rng.uniform(0.1, 2), 1.0))
        self.assertGreater(inside, 5000)

    def test_an_endless_radius_finds_everything(self):
        ranges = geohash.score_ranges((10.0, 20.0), geohash.Circle(float("inf"), 1.0))
        self.assertEqual(sum(behind - low for low, behind in ranges), 4 * 2.0 ** 50)


if __name__ == "__main__":
    unittest.main()

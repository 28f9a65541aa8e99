"""Places on Earth as 52 bits, as the GEO commands of Redis keep them in the scores of sorted sets.

Each coordinate is the number of its cell among 2**26 of equal size; the bits of the two numbers alternate, longitude
first.  The numbers of a coarser grid, of 2**step cells, are the first bits of these.  So a cell of a coarse grid is a
range of scores, and a search looks into the cell where its middle lies and the eight around it.

Distances are those of a sphere, in metres; every formula is calculated in the order in which Redis does it, because the
digits of its results are part of its answers.

Source: G. M. Morton, "A computer oriented geodetic data base", 1966; https://redis.io/docs/latest/commands/geoadd/
"""

import collections
from math import asin, cos, pi, sin, sqrt

STEP_MAX = 26
LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
EARTH_RADIUS_M = 6372797.560856
INFINITY, NAN = float("inf"), float("nan")
_MERCATOR_M = 20037726.37
_RADIANS = pi / 180.0
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_TEXT_LATITUDE_MAX = 90.0  # of the hashes that people read

Cell = collections.namedtuple("Cell", ("longitude", "latitude", "step"))
Cell.__doc__ = "One cell of the grid of a step, by its numbers."

# The order in which a search looks into the cells, as steps east and north.
_AROUND = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


# -- places and bits --------------------------------------------------------------------------------------------------


def cell_of(longitude, latitude, step=STEP_MAX, latitude_max=LATITUDE_MAX):
    """The cell in which a place lies.  At the upper end of a range its number is one too large, as in Redis."""
    cells = 1 << step
    return Cell(int((longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX) * cells),
                int((latitude + latitude_max) / (2 * latitude_max) * cells), step)


def bits_of(cell):
    """The bits of a cell's two numbers in turn."""
    return _spread(cell.longitude) << 1 | _spread(cell.latitude)


def _spread(number):
    return int(bin(number)[2:], 4)  # each binary digit as one of base four


def _gathered(bits):
    bits &= 0x5555555555555555
    for shift, mask in ((1, 0x3333333333333333), (2, 0x0f0f0f0f0f0f0f0f), (4, 0x00ff00ff00ff00ff),
                        (8, 0x0000ffff0000ffff), (16, 0x00000000ffffffff)):
        bits = (bits | bits >> shift) & mask
    return bits


def cell_of_bits(bits):
    """The cell of 52 bits."""
    return Cell(_gathered(bits >> 1), _gathered(bits), STEP_MAX)


def bounds_of(cell):
    """(west, east, south, north) of a cell, in degrees."""
    cells, wide, high = 1 << cell.step, 2 * LONGITUDE_MAX, 2 * LATITUDE_MAX
    return (cell.longitude / cells * wide - LONGITUDE_MAX, (cell.longitude + 1) / cells * wide - LONGITUDE_MAX,
            cell.latitude / cells * high - LATITUDE_MAX, (cell.latitude + 1) / cells * high - LATITUDE_MAX)


def place_of(score):
    """(longitude, latitude) of the middle of the cell that a score stands for, whatever the score is."""
    bits = int(score) & 0xffffffffffffffff if abs(score) < 2.0 ** 64 else 0
    west, east, south, north = bounds_of(cell_of_bits(bits))
    return (max(min((west + east) / 2, LONGITUDE_MAX), -LONGITUDE_MAX),
            max(min((south + north) / 2, LATITUDE_MAX), -LATITUDE_MAX))


def text_of(score):
    """The eleven letters by which others know the place, the last of them always 0."""
    longitude, latitude = place_of(score)
    bits = bits_of(cell_of(longitude, latitude, latitude_max=_TEXT_LATITUDE_MAX))
    return bytes(_ALPHABET[bits >> 47 - 5 * index & 31] for index in range(10)) + b"0"


# -- distances --------------------------------------------------------------------------------------------------------


def _latitude_distance(from_latitude, to_latitude):
    return EARTH_RADIUS_M * abs(to_latitude * _RADIANS - from_latitude * _RADIANS)


def distance(start, end):
    """Metres from one (longitude, latitude) to another."""
    half = sin((end[0] * _RADIANS - start[0] * _RADIANS) / 2)
    south, north = start[1] * _RADIANS, end[1] * _RADIANS
    rise = sin((north - south) / 2)
    part = rise * rise + cos(south) * cos(north) * half * half
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(part)) if part <= 1 else NAN


class Circle(object):
    """What lies at most so far from a place; `radius` in units of `unit_m` metres."""

    def __init__(self, radius, unit_m):
        self.unit_m = unit_m
        self.across = self.width_m = self.height_m = radius * unit_m

    def distance_to(self, middle, place):
        """Metres from the middle, or None for a place outside."""
        metres = distance(middle, place)
        return None if metres > self.across else metres


class Box(object):
    """What lies in a box, of a width and a height in units of `unit_m` metres, around a place."""

    def __init__(self, width, height, unit_m):
        self.unit_m = unit_m
        self._half_width, self._half_height = width * unit_m / 2, height * unit_m / 2
        self.width_m, self.height_m = unit_m * (width / 2), unit_m * (height / 2)
        self.across = sqrt((width / 2) * (width / 2) + (height / 2) * (height / 2)) * unit_m

    def distance_to(self, middle, place):
        """Metres from the middle, or None for a place outside."""
        if _latitude_distance(place[1], middle[1]) > self._half_height:
            return None
        if distance(place, (middle[0], place[1])) > self._half_width:
            return None
        return distance(middle, place)


# -- searching --------------------------------------------------------------------------------------------------------


def score_ranges(middle, shape):
    """[(lowest, first behind)] of the scores that have everything a shape around a place has, in the order of Redis."""
    west, east, south, north = _bounding_box(middle, shape)
    step = _step_for(shape.across, middle[1])
    cells = _cells_around(middle, step)
    if step > 1 and (bounds_of(cells[1])[3] < north or bounds_of(cells[2])[2] > south
                     or bounds_of(cells[3])[1] < east or bounds_of(cells[4])[0] > west):
        step -= 1
        cells = _cells_around(middle, step)
    if step >= 2:
        area = bounds_of(cells[0])
        beyond = (area[0] < west, area[1] > east, area[2] < south, area[3] > north)
        cells = [cell for cell, (right, up) in zip(cells, _AROUND)
                 if not (right < 0 and beyond[0] or right > 0 and beyond[1] or up < 0 and beyond[2]
                         or up > 0 and beyond[3])]
    ranges, before, shift = [], None, 2 * (STEP_MAX - step)
    for cell in cells:
        if cell != before:
            bits = bits_of(cell)
            ranges.append((float(bits << shift), float(bits + 1 << shift)))
        before = cell
    return ranges


def _cells_around(middle, step):
    cell = cell_of(middle[0], middle[1], step)
    mask = (1 << step) - 1
    return [cell if not right and not up else
            Cell(cell.longitude + right & mask if right else cell.longitude,
                 cell.latitude + up & mask if up else cell.latitude, step)
            for right, up in _AROUND]


def _step_for(metres, latitude):
    """The step whose cells are about as large as a search."""
    if metres == 0:
        return STEP_MAX
    step = 1
    while metres < _MERCATOR_M:
        metres *= 2
        step += 1
    step -= 2
    if abs(latitude) > 66:
        step -= 1
        if abs(latitude) > 80:
            step -= 1
    return min(max(step, 1), STEP_MAX)


def _bounding_box(middle, shape):
    longitude, latitude = middle
    up = shape.height_m / EARTH_RADIUS_M / _RADIANS
    nearest = latitude - up if latitude < 0 else latitude + up
    # A radius may be infinite; then there are no edges but NaN, which no cell is found beyond.
    parallel = cos(nearest * _RADIANS) if abs(nearest) < INFINITY else NAN
    across = shape.width_m / EARTH_RADIUS_M / parallel / _RADIANS
    return longitude - across, longitude + across, latitude - up, latitude + up

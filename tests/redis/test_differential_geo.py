"""GEO: the same random commands to a real redis-server and to the engine."""

import unittest

from tests.support import tiers
from tests.support.differential import DifferentialTest

SEQUENCES = 1000 if tiers.FULL else 60
LENGTH = 40

UNITS = ("m", "km", "ft", "mi", "KM", "M")
ODD_NUMBERS = ("a", "", "nan", "-1", "inf", "1e400", " 1", "0x10", "200", "-181")
ODD_WORDS = ("COUNT", "ANY", "STORE", "WITHDIST", "FROMMEMBER", "BYBOX", "ASC", "x", "LIMIT", "m", "1")
EDGES = ((180, 85.05112878), (-180, -85.05112878), (0, 0), (180, 0), (-180, 0), (0, 85.05112878), (0, -85.05112878),
         (179.99999, 10), (-179.99999, 10), (90, 84), (-90, -84), (1e-9, -1e-9))


class Maker(object):
    """Makes commands about some places; `odd` is the share of arguments that should not be there."""

    def __init__(self, odd=0.02):
        self.odd = odd

    def __call__(self, rng):
        self.rng = rng
        make = rng.choice(self.WEIGHTED)
        words = list(make(self))
        if rng.random() < self.odd:
            change = rng.randrange(3)
            if change == 0:
                words.insert(rng.randint(1, len(words)), rng.choice(ODD_WORDS))
            elif change == 1:
                del words[rng.randrange(1, len(words))]
            else:
                at = rng.randrange(1, len(words))
                words[at] = rng.choice(ODD_WORDS + ODD_NUMBERS)
        return words

    def maybe(self, share, *words):
        return list(words) if self.rng.random() < share else []

    def key(self):
        return self.rng.choice(("g", "g", "g", "g", "h", "none", "string"))

    def member(self):
        return "p%d" % self.rng.randrange(60) if self.rng.random() < 0.9 else "e%d" % self.rng.randrange(len(EDGES))

    def place(self):
        kind = self.rng.randrange(8)
        if kind == 0:
            return list(self.rng.choice(EDGES))
        if kind < 5:
            return [repr(self.rng.uniform(5, 20)), repr(self.rng.uniform(40, 50))]
        return [repr(self.rng.uniform(-180, 180)), repr(self.rng.uniform(-85, 85))]

    def distance(self):
        if self.rng.random() < self.odd:
            return self.rng.choice(ODD_NUMBERS)
        return self.rng.choice((0, 1, 10, 100, 500, 1000, 5000, 20000, 1e6, 3e7, repr(10 ** self.rng.uniform(0, 7))))

    def unit(self):
        return self.rng.choice(UNITS) if self.rng.random() >= self.odd else "yd"

    def add(self):
        words = ["GEOADD", self.rng.choice("gggh")] + self.maybe(0.2, self.rng.choice(("NX", "XX", "CH", "nx")))
        for _ in range(self.rng.randint(1, 12)):
            place = self.place()
            # Which of several at one place comes first is chance: each of these places has one member only.
            words += place + ["e%d" % EDGES.index(tuple(place)) if tuple(place) in EDGES else self.member()]
        return words

    def ask(self):
        if self.rng.random() < 0.4:
            return ["GEODIST", self.key(), self.member(), self.member()] + self.maybe(0.6, self.unit())
        return [self.rng.choice(("GEOPOS", "GEOHASH")), self.key()] + [self.member() for _ in range(3)]

    def options(self):
        words = self.maybe(0.3, "WITHDIST") + self.maybe(0.3, "WITHHASH") + self.maybe(0.3, "WITHCOORD")
        words += self.maybe(0.5, self.rng.choice(("ASC", "DESC")))
        words += self.maybe(0.4, "COUNT", self.rng.choice((1, 2, 5, 100))) + self.maybe(0.1, "ANY")
        if self.rng.random() < self.odd:
            words += ["COUNT", self.rng.choice((0, -1, "a"))]
        return words

    def stores(self):
        return self.maybe(0.2, self.rng.choice(("STORE", "STOREDIST")), self.rng.choice(("h", "s")))

    def radius(self):
        name = self.rng.choice(("GEORADIUS", "GEORADIUS_RO"))
        words = [name, self.key()] + self.place() + [self.distance(), self.unit()] + self.options()
        return words + (self.stores() if name == "GEORADIUS" else [])

    def radius_by_member(self):
        name = self.rng.choice(("GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"))
        words = [name, self.key(), self.member(), self.distance(), self.unit()] + self.options()
        return words + (self.stores() if name == "GEORADIUSBYMEMBER" else [])

    def _area(self):
        middle = self.rng.choice((["FROMMEMBER", self.member()], ["FROMLONLAT"] + self.place()))
        shape = self.rng.choice((["BYRADIUS", self.distance(), self.unit()],
                                 ["BYBOX", self.distance(), self.distance(), self.unit()]))
        parts = [middle, shape] + self.maybe(self.odd, middle)
        self.rng.shuffle(parts)
        return [word for part in parts for word in part]

    def search(self):
        return ["GEOSEARCH", self.key()] + self._area() + self.options()

    def search_store(self):
        return (["GEOSEARCHSTORE", self.rng.choice(("h", "s")), self.key()] + self._area()
                + self.maybe(0.5, "STOREDIST") + self.maybe(0.4, "COUNT", self.rng.choice((1, 3)))
                + self.maybe(0.2, "DESC"))

    def look(self):
        return self.rng.choice((("ZRANGE", "s", "0", "-1", "WITHSCORES"), ("ZRANGE", "g", "0", "-1", "WITHSCORES"),
                                ("ZCARD", "h"), ("ZREM", "g", self.member()), ("DEL", "h")))

    WEIGHTED = (add, add, add, ask, ask, radius, radius, radius_by_member, search, search, search, search_store,
                search_store, look, look)


class DifferentialGeoTest(DifferentialTest):
    def run_sequences(self, make, sequences, seed, protocol=2):
        self.compare(make, sequences, LENGTH, seed, protocol, [("SET", "string", "v")])

    @tiers.slow
    def test_random_commands_in_resp2(self):
        self.run_sequences(Maker(), SEQUENCES, "geo")

    def test_random_commands_in_resp3(self):
        self.run_sequences(Maker(), SEQUENCES // 2, "geo-3", protocol=3)

    @tiers.slow
    def test_odd_arguments(self):
        self.run_sequences(Maker(odd=0.3), SEQUENCES, "geo-odd")


if __name__ == "__main__":
    unittest.main()

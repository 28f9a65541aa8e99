"""Sorted sets with a log: what it holds makes them again, and what it refuses did not happen."""

import random
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.engine.structures.zsets import ADD, REMOVE, pack_score
from nosqgrid.errors import CorruptFileError
from nosqgrid.formats import effects, values
from nosqgrid.formats.records import pack_body
from nosqgrid.formats.words import pack
from tests.support.logged_structures import LoggedStructures
from tests.support.tiers import FULL, slow
from tests.support.walks import make_space

RUNS = 200 if FULL else 20
LENGTH = 150
PRESET = (b"ZADD z 1 a 2 b 3 c", b"ZADD y 5 b 6 x", b"ZADD one 1 m", b"GEOADD g 1 1 p 2 2 q", b"SET k v", b"SADD s b")
# Of every command that writes: words that change something, and how many effects that has.
EXAMPLES = (
    (b"ZADD z 9 a", 1), (b"ZADD z 9 a 8 new 7 new", 1), (b"ZADD new 1 a", 1), (b"ZADD z INCR 1 a", 1),
    (b"ZINCRBY z 1 a", 1), (b"ZINCRBY new 1 a", 1), (b"ZREM z a b nobody", 1), (b"ZREM one m", 1),
    (b"ZREMRANGEBYRANK z 0 1", 1), (b"ZREMRANGEBYSCORE z 1 2", 1), (b"ZREMRANGEBYLEX z - +", 1),
    (b"ZRANGESTORE d z 0 1", 1), (b"ZRANGESTORE k z 0 1", 1), (b"ZRANGESTORE k z 8 9", 1), (b"ZPOPMIN z", 1),
    (b"ZPOPMAX z 5", 1), (b"BZPOPMIN one 0", 1), (b"BZPOPMAX y z 0", 1), (b"ZMPOP 2 none z MIN", 1),
    (b"BZMPOP 0 1 z MAX COUNT 2", 1), (b"ZUNIONSTORE z 3 z y s", 1), (b"ZINTERSTORE d 2 z y", 1),
    (b"ZDIFFSTORE d 2 z y", 1), (b"ZDIFFSTORE z 2 z z", 1), (b"GEOADD g 3 3 p 4 4 new", 1),
    (b"GEORADIUS g 1 1 1 km STORE d", 1), (b"GEORADIUSBYMEMBER g p 1 km STOREDIST d", 1),
    (b"GEOSEARCHSTORE d g FROMMEMBER p BYRADIUS 1 km", 1), (b"DEL z y", 2), (b"PEXPIRE z 5000", 1))
NOTHING = (b"ZADD z 1 a", b"ZADD z XX 1 nobody", b"ZADD z 1 a x b", b"ZADD k 1 a", b"ZADD none XX 1 a",
           b"ZINCRBY z 0 a", b"ZINCRBY z nan a",
           b"ZREM z nobody", b"ZREM none a", b"ZREMRANGEBYRANK z 7 8", b"ZPOPMIN none",
           b"ZPOPMIN z 0", b"ZMPOP 1 none MIN", b"ZUNIONSTORE d 1 none", b"ZUNIONSTORE z 2 z k",
           b"ZUNIONSTORE z 1 z WEIGHTS x", b"GEOADD g 1 1 new 200 1 newer", b"GEORADIUS g 1 1 1 yd STORE z")


class LoggedZsetsTest(LoggedStructures, unittest.TestCase):
    MODULES, WRITING = ("zsets", "zranges", "zsetpops", "zsetops", "geo"), 20
    PRESET, EXAMPLES, NOTHING = PRESET, EXAMPLES, NOTHING

    @slow
    def test_random_commands_replayed_from_the_first_entry(self):
        refused = 0
        for seed in range(RUNS):
            rng = random.Random(seed)
            self.make(preset=())
            members = [b"m%d" % number for number in range(rng.choice((5, 200, 600)))]
            refused += self.run_randomly(rng, LENGTH, lambda rng: self.command(rng, members))
            self.assert_replayed(seed)
        self.assertGreater(refused, RUNS)

    @staticmethod
    def command(rng, members):
        key, other = b"z%d" % rng.randrange(3), b"z%d" % rng.randrange(3)
        some = [rng.choice(members) for _ in range(rng.choice((1, 1, 3, 100)))]
        low, high = sorted((rng.randrange(100), rng.randrange(100)))
        add = b"ZADD %b " % key + b" ".join(b"%d %b" % (rng.randrange(100), member) for member in some)
        return rng.choice((
            add, add, add, b"ZINCRBY %b 2.5 %b" % (key, some[0]), b"ZREM %b " % key + b" ".join(some),
            b"ZPOPMIN %b %d" % (key, low), b"ZPOPMAX %b" % key, b"ZREMRANGEBYRANK %b %d %d" % (key, low, high),
            b"ZREMRANGEBYSCORE %b %d %d" % (key, low, low + 3),
            b"ZUNIONSTORE %b 2 %b %b WEIGHTS 1 -1" % (other, key, other),
            b"ZINTERSTORE %b 2 %b z1" % (other, key), b"ZRANGESTORE %b %b %d %d" % (other, key, low, high),
            b"DEL %b" % key if rng.random() < 0.2 else b"PEXPIRE %b 100000" % key))

    def test_a_log_that_makes_no_sense_is_said_to(self):
        good = pack([ADD, pack_score(1.0), b"a"])
        for words in ([ADD, b"short", b"a"], [], [REMOVE, b"nobody"], [b"zadd", pack_score(1.0), b"a"]):
            target, _ = make_space()
            with self.assertRaises(CorruptFileError):
                Loader(target).apply(1, 1, pack_body(b"k", pack(words), values.ZSET), 0, False)
            loader = Loader(target)
            loader.apply(1, 1, pack_body(b"k", good, values.ZSET), 0, False)
            with self.assertRaises(CorruptFileError):
                loader.apply(2, 1, effects.pack_change(b"k", values.ZSET, pack(words)), 0, False)
            self.assertEqual(target.structures.by_key[b"k"].scores, {b"a": 1.0})


if __name__ == "__main__":
    unittest.main()

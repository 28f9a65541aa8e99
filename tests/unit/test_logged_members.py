"""Hashes and sets with a log: what it holds makes them again, and what it refuses did not happen."""

import random
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.errors import CorruptFileError, GridFullError
from nosqgrid.formats import effects, values
from nosqgrid.formats.records import pack_body
from nosqgrid.formats.words import pack
from tests.support.engine_context import contents
from tests.support.keyspaces import Budget
from tests.support.logged_structures import LoggedStructures
from tests.support.tiers import FULL, slow
from tests.support.walks import make_space

RUNS = 200 if FULL else 20
LENGTH = 150
PRESET = (b"HSET h a 1 b 2 n 5", b"SADD s a b c", b"SADD t b", b"SET k v", b"HSET one f v", b"SADD single m")
# Of every command that writes: words that change something, and how many effects that has.
EXAMPLES = (
    (b"HSET h a 9 new 1", 1), (b"HSET new a 1", 1), (b"HSET h a 1", 1), (b"HMSET h x y", 1), (b"HSETNX h x y", 1),
    (b"HDEL h a b x", 1), (b"HDEL one f", 1), (b"HINCRBY h n 1", 1), (b"HINCRBY new n 1", 1),
    (b"HINCRBYFLOAT h n 0.5", 1), (b"SADD s d a", 1), (b"SADD new a", 1), (b"SREM s a x", 1), (b"SREM single m", 1),
    (b"SPOP s", 1), (b"SPOP s 2", 1), (b"SPOP s 3", 1), (b"SPOP single", 1), (b"SMOVE s t a", 2),
    (b"SMOVE s t b", 1), (b"SMOVE single new m", 2), (b"SINTERSTORE new s t", 1), (b"SINTERSTORE k s", 1),
    (b"SUNIONSTORE s s t", 1), (b"SDIFFSTORE h s t", 1), (b"SDIFFSTORE k s s", 1), (b"DEL h s", 2),
    (b"PEXPIRE h 5000", 1))
NOTHING = (b"HSETNX h a 1", b"HDEL h x", b"HDEL no x", b"SADD s a", b"SREM s x", b"SREM no x", b"SPOP no",
           b"SPOP s 0", b"SMOVE s t x", b"SMOVE s s a", b"SINTERSTORE new s no", b"HINCRBY h a x", b"HSET k a b",
           b"SADD h x", b"SMOVE s h a", b"SINTERSTORE new s h", b"HSET h a", b"HINCRBYFLOAT h a x")


class LoggedTest(LoggedStructures, unittest.TestCase):
    MODULES, WRITING = ("hashes", "sets"), 13
    PRESET, EXAMPLES, NOTHING = PRESET, EXAMPLES, NOTHING

    def seen(self, space):
        """What was taken back may stand in another order."""
        return {key: (kind, [sorted(words) for words in value] if kind >= values.LIST else value, deadline_ms)
                for key, (kind, value, deadline_ms) in contents(space).items()}

    @slow
    def test_the_order_is_that_of_the_effects(self):
        for words, _ in EXAMPLES:
            self.make()
            self.run_words(words)
            self.assertEqual(contents(self.replayed()), contents(self.space), words)

    def test_where_memory_ends_nothing_happens(self):
        budget = Budget()
        self.make(reserve=budget)
        space = self.space
        refused = 0

        def refuse(size):
            raise GridFullError("planted")
        space.structures._take = refuse
        for words in (b"HSET h big " + b"v" * 300000, b"SADD s " + b"m" * 300000, b"SADD new " + b"m" * 300000,
                      b"HSET new big " + b"v" * 300000, b"SMOVE s t a"):
            before = self.accounts()
            if isinstance(self.run_words(words), GridFullError):
                refused += 1
                self.assertEqual(self.accounts(), before, words[:20])
            space.check()
        self.assertEqual(refused, 4)

    @slow
    def test_random_commands_replayed_from_the_first_entry(self):
        refused = 0
        for seed in range(RUNS):
            rng = random.Random(seed)
            self.make(preset=())
            names = [b"%d" % number if seed % 2 else b"name%d" % number for number in range(rng.choice((5, 200, 600)))]
            refused += self.run_randomly(rng, LENGTH, lambda rng: self.command(rng, names))
            self.space.check()
            # The order of what was taken back is another one than that of what never was.
            self.assertEqual(self.plain(self.replayed()), self.plain(self.space), seed)
        self.assertGreater(refused, RUNS)

    @staticmethod
    def plain(space):
        found = {key: structure.items for key, structure in space.structures.by_key.items()}
        return found, {key: structure.version for key, structure in space.structures.by_key.items()}

    @staticmethod
    def command(rng, names):
        some = [rng.choice(names) for _ in range(rng.choice((1, 1, 3, 40)))]
        pairs = b" ".join(b"%b %d" % (name, rng.randrange(1000)) for name in some)
        listed, hash_key, key, other = (b" ".join(some), b"h%d" % rng.randrange(2), b"s%d" % rng.randrange(2),
                                        b"s%d" % rng.randrange(3))
        return rng.choice((
            b"HSET %b %b" % (hash_key, pairs), b"HDEL %b %b" % (hash_key, listed),
            b"HINCRBY %b %b 3" % (hash_key, some[0]), b"SADD %b %b" % (key, listed), b"SADD %b %b" % (key, listed),
            b"SREM %b %b" % (key, listed), b"SPOP %b" % key, b"SPOP %b %d" % (key, rng.randrange(50)),
            b"SMOVE %b %b %b" % (key, other, some[0]), b"SUNIONSTORE %b %b %b" % (other, key, other),
            b"SINTERSTORE %b s0 s1" % other, b"SDIFFSTORE %b s0 s1" % other, b"DEL %b" % key if rng.random() < 0.2
            else b"PEXPIRE %b 100000" % key))

    def test_a_log_that_makes_no_sense_is_said_to(self):
        for kind, words in ((values.HASH, [b"hset", b"a"]), (values.HASH, []), (values.SET, [b"zadd", b"a", b"b"]),
                            (values.SET, [b"sadd"])):
            target, _ = make_space()
            with self.assertRaises(CorruptFileError):
                Loader(target).apply(1, 1, pack_body(b"k", pack(words), kind), 0, False)
            loader = Loader(target)
            good = [b"hset", b"a", b"b"] if kind == values.HASH else [b"sadd", b"a"]
            loader.apply(1, 1, pack_body(b"k", pack(good), kind), 0, False)
            with self.assertRaises(CorruptFileError):
                loader.apply(2, 1, effects.pack_change(b"k", kind, pack(words)), 0, False)
            self.assertEqual(list(target.structures.by_key[b"k"].items), [b"a"])


if __name__ == "__main__":
    unittest.main()

"""Lists with a log: what it holds makes them again, and what it refuses did not happen."""

import random
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.errors import CorruptFileError, GridFullError
from nosqgrid.formats import effects, values
from nosqgrid.formats.records import pack_body
from nosqgrid.formats.words import pack
from tests.support.engine_context import EngineContext
from tests.support.logged_structures import LoggedStructures
from tests.support.tiers import FULL, slow
from tests.support.walks import make_space

RUNS = 200 if FULL else 20
LENGTH = 150
PRESET = (b"RPUSH l 3 1 2 1", b"RPUSH m x", b"SET k v", b"RPUSH d x y", b"PEXPIRE d 5000")
# Of every command that writes: words that change something, and how many effects that has.
EXAMPLES = (
    (b"LPUSH l a b", 1), (b"RPUSH new a", 1), (b"LPUSHX l a", 1), (b"RPUSHX d a", 1), (b"LPOP l", 1), (b"LPOP m", 1),
    (b"RPOP l 2", 1), (b"RPOP l 9", 1), (b"LSET l 1 z", 1), (b"LINSERT l AFTER 1 z", 1), (b"LREM l 0 1", 1),
    (b"LREM m 0 x", 1), (b"LTRIM l 1 2", 1), (b"LTRIM l 9 9", 1), (b"LTRIM l 0 -1", 1), (b"LMOVE l m LEFT RIGHT", 2),
    (b"LMOVE m new LEFT RIGHT", 2), (b"LMOVE l l LEFT RIGHT", 1), (b"LMOVE d d LEFT LEFT", 1), (b"RPOPLPUSH m m", 1),
    (b"RPOPLPUSH l d", 2), (b"LMPOP 2 no l LEFT COUNT 2", 1), (b"BLPOP no l 0", 1), (b"BRPOP m 0", 1),
    (b"BLMPOP 0 1 l LEFT", 1), (b"BLMOVE l m LEFT LEFT 0", 2), (b"BRPOPLPUSH m l 0", 2), (b"SORT l STORE new", 1),
    (b"SORT l STORE l", 1), (b"SORT l STORE k", 1), (b"SORT no STORE l", 1))
NOTHING = (b"LPUSHX no a", b"LPUSH k a", b"LPOP no", b"LPOP l 0", b"LPOP l x", b"LSET l 9 a", b"LSET no 0 a",
           b"LINSERT l AFTER 9 z", b"LREM l 0 9", b"LTRIM no 0 1", b"LMOVE no l LEFT LEFT", b"LMOVE l k LEFT LEFT",
           b"RPOPLPUSH l k", b"LMPOP 1 no LEFT", b"BLPOP no 0", b"BLMOVE no l LEFT LEFT 0", b"BLMPOP 0 1 no LEFT",
           b"SORT no STORE new", b"SORT d STORE new", b"BRPOPLPUSH l k 0", b"SORT l")


class LoggedTest(LoggedStructures, unittest.TestCase):
    MODULES, WRITING = ("lists", "blocking_lists", "sorting"), 19
    PRESET, EXAMPLES, NOTHING = PRESET, EXAMPLES, NOTHING

    def details(self, space):
        return {key: (list(structure), structure.size_bytes, structure.version, structure.deadline_ms)
                for key, structure in space.structures.by_key.items()}

    def test_where_memory_ends_nothing_happens(self):
        for logged in (True, False):
            self.make()
            if not logged:
                self.space.set_log(None)

            def refuse(size):
                raise GridFullError("planted")
            self.space.structures._take = refuse
            large = b"v" * 300000
            for words in (b"RPUSH l " + large, b"LPUSH new " + large, b"LSET l 0 " + large,
                          b"LINSERT l AFTER 1 " + large):
                before = self.accounts()
                self.assertIsInstance(self.run_words(words), GridFullError, words[:20])
                self.assertEqual(self.accounts(), before, words[:20])
                self.space.check()

    def test_who_waited_is_served_by_an_entry_of_its_own(self):
        self.make()
        other = EngineContext(other=self.context)
        other.run(b"BLMOVE q m LEFT LEFT 0".split())
        self.context.run(b"RPUSH q a b".split())
        self.assertEqual([count for _, count, _ in self.log.entries[self.logged:]], [1, 2])
        self.assertEqual(self.context.answers(), [(2, b"$1\r\na\r\n")])
        self.assert_replayed()

    @slow
    def test_random_commands_replayed_from_the_first_entry(self):
        refused = 0
        for seed in range(RUNS):
            rng = random.Random(seed)
            self.make(preset=())
            refused += self.run_randomly(rng, LENGTH, self.command)
            self.assert_replayed(seed)
        self.assertGreater(refused, RUNS)

    @staticmethod
    def command(rng):
        some = b" ".join(b"%d" % rng.randrange(9) for _ in range(rng.choice((1, 1, 3, 40, 2000))))
        key, other, index = b"k%d" % rng.randrange(3), b"k%d" % rng.randrange(3), rng.randrange(-5, 50)
        side = rng.choice((b"LEFT", b"RIGHT"))
        return rng.choice((
            b"RPUSH %b %b" % (key, some), b"LPUSH %b %b" % (key, some), b"LPOP %b" % key, b"RPOP %b %d" % (key, index),
            b"LSET %b %d new" % (key, index), b"LINSERT %b BEFORE %b new" % (key, some[:1]),
            b"LREM %b %d %b" % (key, index // 5, some[:1]), b"LTRIM %b %d -2" % (key, index),
            b"LMOVE %b %b %b RIGHT" % (key, other, side), b"LMOVE %b %b LEFT %b" % (key, key, side),
            b"SORT %b ALPHA LIMIT 0 50 STORE %b" % (key, other), b"PEXPIRE %b 100000" % key, b"DEL %b" % key))

    def test_a_log_that_makes_no_sense_is_said_to(self):
        for words in ([b"rpush"], [], [b"sadd", b"a"], [b"lpop", b"5"], [b"set", b"9", b"a"]):
            target, _ = make_space()
            with self.assertRaises(CorruptFileError):
                Loader(target).apply(1, 1, pack_body(b"k", pack(words), values.LIST), 0, False)
            loader = Loader(target)
            loader.apply(1, 1, pack_body(b"k", pack([b"rpush", b"a"]), values.LIST), 0, False)
            with self.assertRaises(CorruptFileError):
                loader.apply(2, 1, effects.pack_change(b"k", values.LIST, pack(words)), 0, False)
            self.assertEqual(list(target.structures.by_key[b"k"]), [b"a"])


if __name__ == "__main__":
    unittest.main()

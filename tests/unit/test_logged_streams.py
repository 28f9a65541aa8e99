"""Streams with a log: what it holds makes them again, and what it refuses did not happen."""

import random
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.errors import CorruptFileError, GridFullError
from nosqgrid.formats import effects, values
from nosqgrid.formats.records import pack_body
from nosqgrid.formats.words import pack
from tests.support.engine_context import contents
from tests.support.logged_structures import LoggedStructures
from tests.support.tiers import FULL, slow

RUNS = 100 if FULL else 12
LENGTH = 120
PRESET = (b"XADD s 1-1 a 1", b"XADD s 2-1 a 2", b"XADD s 3-1 b 3", b"XGROUP CREATE s g 0",
          b"XREADGROUP GROUP g c COUNT 2 STREAMS s >", b"XGROUP CREATECONSUMER s g d", b"SET k v",
          b"XGROUP CREATE e g 0 MKSTREAM")
# Of every command that writes: words that change something, and how many effects that has.
EXAMPLES = (
    (b"XADD s * a 1", 1), (b"XADD s 9-* a 1", 1), (b"XADD new 5 a 1 b 2", 1), (b"XADD s MAXLEN 1 * a 1", 2),
    (b"XADD s MINID 100 200 a 1", 2), (b"XADD s MINID ~ 100 200 a 1", 1),
    (b"XADD new MAXLEN 0 * a 1", 2), (b"XADD s NOMKSTREAM * a 1", 1),
    (b"XTRIM s MAXLEN 0", 1), (b"XTRIM s MINID 3", 1), (b"XDEL s 1-1 3-1 7", 1), (b"XDEL s 1-1 2-1 3-1", 1),
    (b"XSETID s 9 ENTRIESADDED 7 MAXDELETEDID 2", 1), (b"XGROUP CREATE s h $", 1),
    (b"XGROUP CREATE new h $ MKSTREAM", 1), (b"XGROUP SETID s g 0", 1), (b"XGROUP DESTROY s g", 1),
    (b"XGROUP CREATECONSUMER s g x", 1), (b"XGROUP DELCONSUMER s g c", 1),
    (b"XREADGROUP GROUP g c STREAMS s >", 1), (b"XREADGROUP GROUP g x NOACK STREAMS s e > >", 1),
    (b"XREADGROUP GROUP g c STREAMS s 0", 2), (b"XREADGROUP GROUP g x STREAMS s e 0 0", 2),
    (b"XACK s g 1-1 2-1 3-1", 1), (b"XCLAIM s g d 0 1-1 2-1", 2), (b"XCLAIM s g d 0 3-1 FORCE LASTID 3-1", 3),
    (b"XAUTOCLAIM s g d 0 0", 2), (b"DEL s e", 2), (b"PEXPIRE s 5000", 1))
NOTHING = (b"XADD new NOMKSTREAM * a 1", b"XADD s 1 a 1", b"XADD s * a", b"XADD k * a 1", b"XTRIM s MAXLEN 9",
           b"XTRIM no MAXLEN 0", b"XTRIM s MAXLEN", b"XDEL s 9", b"XDEL no 1", b"XDEL s 1-1 x", b"XSETID s 1",
           b"XSETID no 1", b"XGROUP CREATE s g 0", b"XGROUP CREATE new g 0", b"XGROUP SETID s no 0",
           b"XGROUP DESTROY s no", b"XGROUP CREATECONSUMER s g c", b"XGROUP DELCONSUMER s g x", b"XACK s g 9",
           b"XACK s no 1-1", b"XACK s g 1-1 x", b"XCLAIM s g d 99999999 1-1", b"XCLAIM s g d 0 3-1",
           b"XCLAIM s g d 0 1-1 BAD", b"XAUTOCLAIM s g d 99999999 0", b"XREADGROUP GROUP g c STREAMS e >",
           b"XREADGROUP GROUP no c STREAMS s >", b"XREADGROUP GROUP g c STREAMS s k > >")


class LoggedTest(LoggedStructures, unittest.TestCase):
    MODULES, WRITING = ("streams", "stream_reads", "stream_groups"), 13
    PRESET, EXAMPLES, NOTHING = PRESET, EXAMPLES, NOTHING

    def seen(self, space):
        """What was taken back may have its groups and consumers in another order, which nobody sees."""
        return {key: (kind, sorted(value) if kind == values.STREAM else value, deadline_ms)
                for key, (kind, value, deadline_ms) in contents(space).items()}

    def test_where_memory_ends_nothing_happens(self):
        for words in (b"XADD s * a " + b"v" * 300000, b"XADD s MAXLEN 2 * a " + b"v" * 300000,
                      b"XADD new * a " + b"v" * 300000, b"XGROUP CREATE new " + b"g" * 300000 + b" 0 MKSTREAM",
                      b"XGROUP CREATECONSUMER s g " + b"g" * 300000,
                      b"XREADGROUP GROUP g " + b"c" * 300000 + b" STREAMS s e 0 0"):
            self.make()

            def refuse(size):
                raise GridFullError("planted")
            self.space.structures._take = refuse
            before = self.accounts()
            self.assertIsInstance(self.run_words(words), GridFullError, words[:30])
            self.assertEqual(self.accounts(), before, words[:30])
            self.space.check()

    @slow
    def test_random_commands_come_back(self):
        refused = 0
        for seed in range(RUNS):
            rng = random.Random(seed)
            self.make()
            refused += self.run_randomly(rng, LENGTH, self.later_words, 0.1)
            self.assert_replayed(seed)
        self.assertGreater(refused, RUNS)

    def later_words(self, rng):
        self.space.now_ms += rng.randrange(3)
        return random_words(rng)

    def test_a_long_stream_comes_back_after_a_rename(self):
        self.make(preset=(b"XADD s 1 a 1",))
        for number in range(2, 3000):
            self.run_words(b"XADD s %d field %d other %b" % (number, number, b"x" * 100))
        self.run_words(b"XGROUP CREATE s g 0")
        self.run_words(b"XREADGROUP GROUP g c STREAMS s >")
        self.space.begin()
        self.space.rename(b"s", b"t")
        self.space.commit()
        self.assertGreater(self.log.entries[-1][1], 2)
        self.assert_replayed()

    def test_what_makes_no_sense_is_refused(self):
        self.make()
        loader = Loader(self.space)
        for effect in (effects.pack_change(b"s", values.STREAM, pack([b"nothing", b"x"])),
                       effects.pack_change(b"s", values.STREAM, pack([b"trim", b"9"])),
                       pack_body(b"new", pack([b"add", b"x"]), values.STREAM)):
            before = self.accounts()
            with self.assertRaises(CorruptFileError):
                loader.apply(self.space.version + 1, 1, effect, 0, False)
            self.assertEqual(self.accounts()[0], before[0])


def random_words(rng):
    """A command that may change something."""
    key = rng.choice((b"s", b"s", b"e", b"t"))
    group, consumer = rng.choice((b"g", b"g", b"h")), rng.choice((b"c", b"d", b"x"))
    entry_id = b"%d-%d" % (rng.randrange(9), rng.randrange(3))
    return rng.choice((
        b"XADD %b * a %d", b"XADD %b * a %d", b"XADD %b MAXLEN ~ 3 * b %d", b"XADD %b MAXLEN 5 * c %d",
    )) % (key, rng.randrange(100)) if rng.random() < 0.3 else rng.choice((
        b"XREADGROUP GROUP %b %b COUNT 2 STREAMS %b >" % (group, consumer, key),
        b"XREADGROUP GROUP %b %b STREAMS %b 0" % (group, consumer, key),
        b"XGROUP CREATE %b %b 0 MKSTREAM" % (key, group), b"XGROUP DESTROY %b h" % key,
        b"XGROUP DELCONSUMER %b %b %b" % (key, group, consumer), b"XGROUP SETID %b %b 0" % (key, group),
        b"XDEL %b %b" % (key, entry_id), b"XACK %b %b %b" % (key, group, entry_id),
        b"XCLAIM %b %b %b 1 %b FORCE" % (key, group, consumer, entry_id),
        b"XAUTOCLAIM %b %b %b 2 0 COUNT 3" % (key, group, consumer), b"XTRIM %b MAXLEN 4" % key,
        b"XADD %b %b d 1" % (key, entry_id), b"DEL t"))


if __name__ == "__main__":
    unittest.main()

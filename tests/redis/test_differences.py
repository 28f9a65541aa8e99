"""What docs/redis.md says to differ does differ, as far as a few commands can show it: an untrue note is found here."""

import unittest

from nosqgrid.cli.redis_names import GROUPS
from nosqgrid.cli.redis_notes import NOTES
from tests.support.differential import DifferentialTest, encoded
from tests.support.engine_context import EngineContext
from tests.support.plain_replies import plain
from tests.support.processes import wait_until
from tests.support.tiers import slow

PLACED = [word for number in range(30) for word in ("1", "1", "m%d" % number)]

# The name of a note, commands before, the command, what Redis answers and what is answered here: a text is how it
# begins, None anything but the other answer.
CASES = (
    ("OBJECT|ENCODING", ["set k a", "append k a", "rename k l"], "object encoding l", "raw", "embstr"),
    ("OBJECT|REFCOUNT", ["set k 5"], "object refcount k", 2 ** 31 - 1, 1),
    ("INCRBYFLOAT", ["set k 1e700"], "incrbyfloat k 1", "99999999999999999996", "-ERR value is not a valid float"),
    ("HINCRBYFLOAT", ["hset k f 1e700"], "hincrbyfloat k f 1", "9999999999999999999",
     "-ERR hash value is not a float"),
    ("SETBIT", [], "setbit k 536870912 0", 0, "-ERR bit offset is not an integer or out of range"),
    ("GETBIT", [], "getbit k 536870912", 0, "-ERR bit offset is not an integer or out of range"),
    ("BITFIELD_RO", [], "bitfield_ro k get u8 536870912", [0], "-ERR bit offset is not an integer or out of range"),
    ("BITFIELD", ["bitfield k overflow sat set i8 0 -9223372036854775808"], "bitfield k get i8 0", [127], [-128]),
    ("PFADD", ["config set hll-sparse-max-bytes 10", "pfadd k a b c d e f"], "pfdebug encoding k", "+dense", "+sparse"),
    ("GEOSEARCH", ["geoadd k " + " ".join(PLACED)],
     "geosearch k fromlonlat 0 0 byradius 1000 km asc count 3", None, ["m0", "m1", "m10"]),
    ("SORT", ["rpush k " + " ".join(map(str, range(30)))], "sort k by w_* alpha limit 0 3", None,
     ["0", "1", "2"]),
    ("LOLWUT", [], "lolwut version 5", None, "Redis ver. 7.0.15\n"),
)


class DifferencesTest(DifferentialTest):
    def setUp(self):
        self.client = self.server.connect()
        self.addCleanup(self.client.close)

    def ask(self, *words):
        return plain(self.client.call(*words))

    def test_the_names_are_those_of_a_real_server(self):
        reply = self.ask("COMMAND", "DOCS")
        found = {}
        for name, documented in zip(reply[::2], reply[1::2]):
            documented = dict(zip(documented[::2], documented[1::2]))
            names = [sub_name.partition("|")[2].upper() for sub_name in documented.get("subcommands", [])[::2]]
            found[name.upper()] = documented["group"].replace("-", " "), sorted(names)
        self.assertEqual({name: (group, sorted(subcommands)) for group, names in GROUPS.items()
                          for name, subcommands in names.items()}, found)

    def test_each_case_differs_as_it_is_said(self):
        for name, before, line, theirs, ours in CASES:
            with self.subTest(line):
                self.assertIn(name, NOTES)
                self.client.calls([("FLUSHALL",)] + [words.split() for words in before])
                context = EngineContext()
                for words in before:
                    context.call(*encoded(words.split()))
                real, own = self.ask(*line.split()), plain(context.call(*encoded(line.split())))
                self.check(real, theirs)
                self.check(own, ours)
                if theirs != ours:
                    self.assertNotEqual(own, real)
        self.client.call("CONFIG", "SET", "hll-sparse-max-bytes", "3000")

    @slow
    def test_who_waits_is_served_where_a_string_is_replaced(self):
        for name, member, store in (
                ("SORT", "rpush y 1", "sort y store k"), ("ZDIFFSTORE", "zadd y 1 1", "zdiffstore k 1 y"),
                ("ZINTERSTORE", "zadd y 1 1", "zinterstore k 1 y"),
                ("ZRANGESTORE", "zadd y 1 1", "zrangestore k y 0 -1"),
                ("ZUNIONSTORE", "zadd y 1 1", "zunionstore k 1 y"),
                ("GEOSEARCHSTORE", "geoadd y 1 1 1", "geosearchstore k y frommember 1 byradius 1 m")):
            with self.subTest(store):
                self.assertIn("also serves those who wait", NOTES[name])
                wait = ("BLPOP" if name == "SORT" else "BZPOPMIN", "k", "0.3")
                other = self.server.connect()
                self.addCleanup(other.close)
                self.client.calls([("FLUSHALL",), member.split()])
                other.send(*wait)
                wait_until(lambda: "blocked_clients:1" in self.ask("INFO", "clients"))
                self.client.calls([("SET", "k", "v"), store.split()])
                self.assertEqual(plain(other.read()), "*-1")
                context = EngineContext()
                waiting = EngineContext(other=context)
                context.call(*encoded(member.split()))
                waiting.call(*encoded(wait))
                self.assertTrue(waiting.session.waiting)
                context.call(b"SET", b"k", b"v")
                context.call(*encoded(store.split()))
                self.assertEqual([number for number, _ in waiting.answers()], [waiting.session.id])

    def check(self, reply, expected):
        if isinstance(expected, str):
            self.assertTrue(reply.startswith(expected), reply)
        elif expected is not None:
            self.assertEqual(reply, expected)


if __name__ == "__main__":
    unittest.main()

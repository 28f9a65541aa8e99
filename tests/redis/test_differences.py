"""What docs/redis.md says to differ does differ, as it says: a note that has become untrue is found here."""

import unittest

from nosqgrid.cli.redis_names import GROUPS
from nosqgrid.cli.redis_notes import NOTES
from tests.support.differential import DifferentialTest, encoded
from tests.support.engine_context import EngineContext
from tests.support.plain_replies import plain

PLACED = [word for number in range(30) for word in ("1", "1", "m%d" % number)]

# The name of a note, commands before, the command, what Redis answers and what is answered here: a text is how it
# begins, None anything but the other answer.
CASES = (
    ("OBJECT|ENCODING", ["set k a", "append k a"], "object encoding k", "raw", "embstr"),
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

    def check(self, reply, expected):
        if isinstance(expected, str):
            self.assertTrue(reply.startswith(expected), reply)
        elif expected is not None:
            self.assertEqual(reply, expected)


if __name__ == "__main__":
    unittest.main()

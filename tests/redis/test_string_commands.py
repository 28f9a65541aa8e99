"""GET, SET and their relatives, and numbers in strings: replies, errors, events and flags as in Redis 7.0.15."""

import unittest

from nosqgrid import errors, limits
from nosqgrid.engine import commands
from nosqgrid.formats import values
from tests.redis.string_families import NULL, OK, WRONGTYPE, Other, StringFamilyTest, error
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk

TOO_LONG = error("string exceeds maximum allowed size (proto-max-bulk-len)")
NOT_A_FLOAT = error("value is not a valid float")
FAR = 4102444800  # the year 2100

FLAGS = {
    "GET": "readonly fast", "SET": "write denyoom", "SETNX": "write denyoom fast", "SETEX": "write denyoom",
    "PSETEX": "write denyoom", "GETSET": "write denyoom fast", "GETDEL": "write fast", "GETEX": "write fast",
    "MGET": "readonly fast", "MSET": "write denyoom", "MSETNX": "write denyoom", "APPEND": "write denyoom fast",
    "STRLEN": "readonly fast", "GETRANGE": "readonly", "SUBSTR": "readonly", "SETRANGE": "write denyoom",
    "INCR": "write denyoom fast", "DECR": "write denyoom fast", "INCRBY": "write denyoom fast",
    "DECRBY": "write denyoom fast", "INCRBYFLOAT": "write denyoom fast", "LCS": "readonly", "SETBIT": "write denyoom",
    "GETBIT": "readonly fast", "BITCOUNT": "readonly", "BITPOS": "readonly", "BITOP": "write denyoom",
    "BITFIELD": "write denyoom", "BITFIELD_RO": "readonly fast", "PFADD": "write denyoom fast", "PFCOUNT": "readonly",
    "PFMERGE": "write denyoom", "PFDEBUG": "write denyoom admin", "PFSELFTEST": "admin",
}


class StringCommandsTest(StringFamilyTest):

    def test_flags_are_those_of_redis(self):
        for name, flags in FLAGS.items():
            row = commands.TABLE[name.encode("ascii")]
            self.assertEqual(row.flags - {"several"}, frozenset(flags.split()), name)
        several = {row.name for row in commands.TABLE.values() if "several" in row.flags}
        self.assertLessEqual({b"MSET", b"MSETNX"}, several)

    def test_counts_of_words(self):
        self.refuse_counts(
            {"GET": 2, "SET": 3, "SETNX": 3, "SETEX": 4, "PSETEX": 4, "GETSET": 3, "GETDEL": 2, "GETEX": 2, "MGET": 2,
             "MSET": 3, "MSETNX": 3, "APPEND": 3, "STRLEN": 2, "GETRANGE": 4, "SUBSTR": 4, "SETRANGE": 4, "INCR": 2,
             "DECR": 2, "INCRBY": 3, "DECRBY": 3, "INCRBYFLOAT": 3},
            {"GET": 2, "SETNX": 3, "SETEX": 4, "PSETEX": 4, "GETSET": 3, "GETDEL": 2, "APPEND": 3, "STRLEN": 2,
             "GETRANGE": 4, "SUBSTR": 4, "SETRANGE": 4, "INCR": 2, "DECR": 2, "INCRBY": 3, "DECRBY": 3,
             "INCRBYFLOAT": 3})
        self.run_table([("MSET a 1 b", error("wrong number of arguments for 'mset' command")),
                        ("MSETNX a 1 b", error("wrong number of arguments for 'msetnx' command"))])

    def test_structures_are_refused(self):
        self.refuse_structures((
            "GET list", "SET list v GET", "SET list v NX GET", "SET list v XX GET EX 100", "GETSET list v",
            "GETDEL list", "GETEX list", "GETEX list EX 100", "GETEX list EX 0", "APPEND list v", "STRLEN list",
            "GETRANGE list 0 1", "GETRANGE list -1 -3", "SUBSTR list 0 1", "SETRANGE list 1 v",
            ["SETRANGE", "list", "1", ""], "SETRANGE list 67108864 v", "INCR list", "DECR list", "INCRBY list 1",
            "DECRBY list 1", "INCRBYFLOAT list 1", "INCRBYFLOAT list x"))

    def test_commands_that_do_not_care_what_a_key_has(self):
        self.run_table([
            ("SETNX list v", b":0\r\n"), ("MGET list none", b"*2\r\n$-1\r\n$-1\r\n"), ("SET list v NX", NULL),
            ("MSETNX other v list v", b":0\r\n"), ("EXISTS other", b":0\r\n"),
            # What is wrong with the words comes first.
            ("SET list v GET EX 0", error("invalid expire time in 'set' command")),
            ("GETRANGE list x 1", NOT_AN_INTEGER), ("INCRBY list x", NOT_AN_INTEGER),
            ("SETRANGE list -1 v", error("offset is out of range")), ("GETEX list BOGUS", SYNTAX),
            ("SET list v XX", OK), ("GET list", bulk(b"v")),
        ])
        self.keyspace.put(b"x", Other())
        self.run_table([("MSET x 1 y 2", OK), ("GET x", bulk(b"1"))])

    def test_events_of_storing(self):
        self.run_events([
            ("SET k v", [b"$ set k"]), ("SET k v EX 100", [b"$ set k", b"g expire k"]),
            ("SET k v KEEPTTL", [b"$ set k"]), ("SET k v NX", []), ("SET no v XX", []), ("SET k v BOGUS", []),
            ("SET k v GET PXAT %d000" % FAR, [b"$ set k", b"g expire k"]), ("SETNX k v", []),
            ("SETNX n v", [b"$ set n"]), ("SETEX k 100 v", [b"$ set k", b"g expire k"]),
            ("PSETEX k 100 v", [b"$ set k", b"g expire k"]), ("GETSET k v", [b"$ set k"]),
            ("MSET a 1 b 2 a 3", [b"$ set a", b"$ set b", b"$ set a"]), ("MSETNX a 1 c 2", []),
            ("MSETNX c 1 d 2", [b"$ set c", b"$ set d"]), ("APPEND new x", [b"$ append new"]),
            ("APPEND new x", [b"$ append new"]), (["APPEND", "new", ""], [b"$ append new"]),
            ("SETRANGE new 0 y", [b"$ setrange new"]), (["SETRANGE", "new", "0", ""], []),
            ("SETRANGE new -1 y", []), ("GETDEL new", [b"g del new"]), ("GETDEL new", []),
        ])

    def test_events_of_numbers_and_deadlines(self):
        self.run_events([
            ("INCR n", [b"$ incrby n"]), ("DECR n", [b"$ incrby n"]), ("INCRBY n 5", [b"$ incrby n"]),
            ("DECRBY n 5", [b"$ incrby n"]), ("INCRBYFLOAT n 0.5", [b"$ incrbyfloat n"]), ("INCR n", []),
            ("INCRBYFLOAT n x", []), ("GETEX n", []), ("GETEX n PERSIST", []), ("GETEX n EX 100", [b"g expire n"]),
            ("GETEX n PERSIST", [b"g persist n"]), ("GETEX no EX 100", []), ("GETEX n EX 0", []),
            ("GETEX n PXAT 1", [b"g del n"]), ("GETEX n PXAT 1", []), ("GET n", []), ("MGET n k", []),
        ])

    def test_events_reach_those_who_listen(self):
        del self.context.notify
        self.context.pubsub.set_events(b"KE$")
        self.context.session.protocol = 3
        self.context.call("SUBSCRIBE", "__keyevent@0__:set", "__keyspace@0__:k")
        del self.context.pushed[:]
        self.context.call("SETEX", "k", "100", "v")
        self.assertEqual([parts for _, parts in self.context.pushed],
                         [[b"message", b"__keyspace@0__:k", b"set"], [b"message", b"__keyevent@0__:set", b"k"]])

    def test_mset_that_is_refused_makes_no_event(self):
        too_long = b"k" * (limits.KEY_SIZE_BYTES_MAX + 1)
        for name in ("MSET", "MSETNX"):
            self.assertTrue(self.context.call(name, "a", "1", too_long, "2").startswith(b"-KEYTOOLARGE"))
            self.assertEqual((self.events(), self.keyspace.lookup(b"a")), ([], None))

    def test_lengths_that_no_value_has(self):
        most = limits.VALUE_SIZE_BYTES_MAX
        self.run_table([
            ("SET k 12", OK), ("SETRANGE k %d x" % most, TOO_LONG), ("SETRANGE no %d x" % most, TOO_LONG),
            ("SETRANGE k 9223372036854775807 x", TOO_LONG), (["SETRANGE", "k", b"%d" % most, ""], b":2\r\n"),
            (["SETRANGE", "no", b"%d" % most, ""], b":0\r\n"), ("EXISTS no", b":0\r\n"), ("GET k", bulk(b"12")),
        ])

    def test_ranges(self):
        self.run_table([
            ("SET k 0123456789", OK), ("GETRANGE k 0 -1", bulk(b"0123456789")), ("GETRANGE k 3 5", bulk(b"345")),
            ("GETRANGE k -3 -1", bulk(b"789")), ("GETRANGE k -1 -3", bulk(b"")), ("GETRANGE k 5 3", bulk(b"")),
            ("GETRANGE k 8 100", bulk(b"89")), ("GETRANGE k 10 20", bulk(b"")), ("GETRANGE k -100 -50", bulk(b"0")),
            ("GETRANGE k -50 -100", bulk(b"")), ("GETRANGE k -9223372036854775808 9223372036854775807",
                                                 bulk(b"0123456789")),
            (["SET", "e", ""], OK), ("GETRANGE e 0 -1", bulk(b"")), ("GETRANGE e -1 -1", bulk(b"")),
            ("SUBSTR k 1 2", bulk(b"12")), ("GETRANGE k 0 9223372036854775808", NOT_AN_INTEGER),
        ])

    def test_numbers(self):
        self.run_table([
            ("SET k inf", OK), ("INCRBYFLOAT k x", NOT_A_FLOAT),
            ("INCRBYFLOAT k -inf", error("increment would produce NaN or Infinity")), ("SET k x", OK),
            ("INCRBYFLOAT k inf", NOT_A_FLOAT), ("SET k 0x10", OK), ("INCRBYFLOAT k 1", bulk(b"17")),
            ("SET k -1", OK), ("INCRBYFLOAT k 1", bulk(b"0")), ("INCRBYFLOAT k -0.0", bulk(b"0")),
            ("SET k 1", OK), ("INCRBYFLOAT k nan", NOT_A_FLOAT), ("INCR k", b":2\r\n"),
            ("DECRBY k -9223372036854775808", error("decrement would overflow")),
            ("INCRBY k 9223372036854775807", error("increment or decrement would overflow")), ("GET k", bulk(b"2")),
        ])
        self.assertEqual(self.keyspace.lookup(b"k").type, values.INT)

    def test_replies_in_resp3(self):
        self.context.session.protocol = 3
        self.run_table([
            ("GET no", b"_\r\n"), ("SET k v NX GET", b"_\r\n"), ("SET k w NX", b"_\r\n"),
            ("MGET k no list", b"*3\r\n$1\r\nv\r\n_\r\n_\r\n"), ("GETEX no", b"_\r\n"), ("GETDEL no", b"_\r\n"),
            ("GETSET no x", b"_\r\n"), ("INCRBYFLOAT n 1.5", bulk(b"1.5")), ("LCS k no IDX",
             b"%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"),
        ])

    def test_structure_entry_has_no_value_to_give(self):
        with self.assertRaises(errors.WrongTypeError) as caught:
            self.context.run([b"GET", b"list"])
        self.assertEqual(b"-WRONGTYPE %b\r\n" % str(caught.exception).encode(), WRONGTYPE)


if __name__ == "__main__":
    unittest.main()

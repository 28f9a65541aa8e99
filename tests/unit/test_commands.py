"""The data commands and the dispatcher: exact reply bytes in both protocols, and what a refusal leaves unchanged."""

import random
import unittest

from nosqgrid import errors, limits
from nosqgrid.engine import commands, databases
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.formats import resp, values
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, CommandTest, PlainContext, bulk
from tests.support.engine_context import EngineContext, contents
from tests.support.keyspaces import make_keyspace
from tests.support.plain_keyspace import PlainKeyspace
from tests.support.tiers import slow

FAR_MS = 4102444800123  # in the year 2100
RANDOM_COMMANDS = 10000


class StringCommandsTest(CommandTest):

    def test_replies_in_both_protocols(self):
        self.run_both([
            ("GET k", b"$1\r\nv\r\n", b"$1\r\nv\r\n"),
            ("GET none", b"$-1\r\n", b"_\r\n"),
            ("SET k 1", b"+OK\r\n", b"+OK\r\n"),
            ("SET k 1 NX", b"$-1\r\n", b"_\r\n"),
            ("SET k 1 XX GET", b"$1\r\nv\r\n", b"$1\r\nv\r\n"),
            ("SET none 1 GET", b"$-1\r\n", b"_\r\n"),
            ("MGET k none k", b"*3\r\n$1\r\nv\r\n$-1\r\n$1\r\nv\r\n", b"*3\r\n$1\r\nv\r\n_\r\n$1\r\nv\r\n"),
            ("INCR n", b":1\r\n", b":1\r\n"),
            ("INCRBYFLOAT n 0.5", b"$3\r\n0.5\r\n", b"$3\r\n0.5\r\n"),
            ("GETDEL none", b"$-1\r\n", b"_\r\n"),
            ("SCAN 0", b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n", b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"),
            ("TYPE k", b"+string\r\n", b"+string\r\n"),
            ("CONFIG GET max*-p*y", b"*2\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n",
             b"%1\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n"),
            ("INFO persistence", b"$26\r\n# Persistence\r\nloading:0\r\n\r\n",
             b"=30\r\ntxt:# Persistence\r\nloading:0\r\n\r\n"),
            ("NOSQGRID.STATS", b"*4\r\n$4\r\nkeys\r\n:3\r\n$3\r\npid\r\n:17\r\n",
             b"%2\r\n$4\r\nkeys\r\n:3\r\n$3\r\npid\r\n:17\r\n"),
            ("NOSQGRID.GETV none", b"$-1\r\n", b"_\r\n"),
        ])

    def test_set_and_its_relatives(self):
        self.run_table([
            ("SET a 1 NX", b"+OK\r\n"), ("SET a 2 NX", b"$-1\r\n"), ("SET b 2 XX", b"$-1\r\n"), ("GET a", bulk(b"1")),
            ("SET a 2 XX GET", bulk(b"1")), ("SET a 3 NX GET", bulk(b"2")), ("GET a", bulk(b"2")),
            ("SETNX a 9", b":0\r\n"), ("SETNX b 9", b":1\r\n"), ("GETSET b 8", bulk(b"9")), ("GETDEL b", bulk(b"8")),
            ("EXISTS b", b":0\r\n"), ("SET a 1 NX XX", SYNTAX), ("SET a 1 EX 10 PX 10", SYNTAX), ("SET a 1 EX", SYNTAX),
            ("SET a 1 EX 10 KEEPTTL", SYNTAX), ("SET a 1 BOGUS", SYNTAX), ("SET a 1 EX ten", NOT_AN_INTEGER),
            ("SET a 1 EX 0", b"-ERR invalid expire time in 'set' command\r\n"),
            ("SET a 1 PX -5", b"-ERR invalid expire time in 'set' command\r\n"),
            ("SET a 1 EX 9223372036854775807", b"-ERR invalid expire time in 'set' command\r\n"),
            ("SETEX a 0 v", b"-ERR invalid expire time in 'setex' command\r\n"),
            ("PSETEX a -1 v", b"-ERR invalid expire time in 'psetex' command\r\n"),
            ("GETEX a EX 0", b"-ERR invalid expire time in 'getex' command\r\n"), ("GET a", bulk(b"2")),
            ("get a", bulk(b"2")), ("gEt a", bulk(b"2")),
        ])

    def test_deadlines_of_set_and_getex(self):
        self.run_table([
            ("SET a 1 EX 10", b"+OK\r\n"), ("PTTL a", b":10000\r\n"), ("SET a 2 KEEPTTL", b"+OK\r\n"),
            ("TTL a", b":10\r\n"), ("SET a 3", b"+OK\r\n"), ("TTL a", b":-1\r\n"), ("SET a 4 PX 1500", b"+OK\r\n"),
            ("TTL a", b":2\r\n"), ("SETEX a 7 v", b"+OK\r\n"), ("PTTL a", b":7000\r\n"), ("PSETEX a 70 v", b"+OK\r\n"),
            ("PTTL a", b":70\r\n"), ("GETEX a", bulk(b"v")), ("PTTL a", b":70\r\n"), ("GETEX a PERSIST", bulk(b"v")),
            ("PTTL a", b":-1\r\n"), ("GETEX a PXAT %d" % FAR_MS, bulk(b"v")), ("PEXPIRETIME a", b":%d\r\n" % FAR_MS),
            ("GETEX a EXAT 1", bulk(b"v")), ("EXISTS a", b":0\r\n"), ("SET a 1 PXAT 1", b"+OK\r\n"),
            ("EXISTS a", b":0\r\n"),
            ("SET a 1 EXAT 4102444800", b"+OK\r\n"), ("EXPIRETIME a", b":4102444800\r\n"),
            ("GETEX a KEEPTTL", SYNTAX), ("GETEX a PERSIST EX 1", SYNTAX),
        ])

    def test_many_keys(self):
        self.run_table([
            ("MSET a 1 b 2 a 3", b"+OK\r\n"), ("MGET a b c", b"*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n"),
            ("MSETNX c 1 a 1", b":0\r\n"), ("EXISTS c", b":0\r\n"), ("MSETNX c 1 d 1", b":1\r\n"),
            ("EXISTS a a c none", b":3\r\n"), ("TOUCH a none", b":1\r\n"), ("DEL a a none", b":1\r\n"),
            ("UNLINK b c d", b":3\r\n"), ("DBSIZE", b":0\r\n"),
            ("MSET a", b"-ERR wrong number of arguments for 'mset' command\r\n"),
            ("MSET a 1 b", b"-ERR wrong number of arguments for 'mset' command\r\n"),
            ("MSETNX a 1 b", b"-ERR wrong number of arguments for 'msetnx' command\r\n"), ("DBSIZE", b":0\r\n"),
        ])

    def test_mset_that_fails_half_way_changes_nothing(self):
        self.context = PlainContext(PlainKeyspace(capacity_bytes=10))
        self.context.call("SET", "a", "1")
        before = self.context.keyspace.contents()
        for name in ("MSET", "MSETNX"):
            self.assertEqual(self.context.call(name, "b", "2", "c", b"x" * 20), b"-OOM the grid is full\r\n")
            self.assertEqual(self.context.keyspace.contents(), before)
            self.assertFalse(self.context.keyspace.staging)
        self.assertTrue(self.context.call("MSET", "b", "2", b"k" * (limits.KEY_SIZE_BYTES_MAX + 1), "3")
                        .startswith(b"-KEYTOOLARGE "))
        self.assertEqual(self.context.keyspace.contents(), before)

    def test_mset_inside_a_batch_belongs_to_the_batch(self):
        self.keyspace.begin()
        self.assertEqual(self.context.call("MSET", "a", "1", "b", "2"), b"+OK\r\n")
        self.assertTrue(self.keyspace.staging)
        self.keyspace.rollback()
        self.assertEqual(self.keyspace.contents(), {})

    def test_parts_of_values(self):
        self.run_table([
            ("APPEND a hello", b":5\r\n"), ("APPEND a !", b":6\r\n"), ("STRLEN a", b":6\r\n"),
            ("STRLEN none", b":0\r\n"),
            ("GETRANGE a 0 -1", bulk(b"hello!")), ("GETRANGE a 1 3", bulk(b"ell")), ("SUBSTR a -2 100", bulk(b"o!")),
            ("GETRANGE a -100 1", bulk(b"he")), ("GETRANGE a 4 2", bulk(b"")), ("GETRANGE a -1 -3", bulk(b"")),
            ("GETRANGE a -100 -50", bulk(b"h")), ("GETRANGE none 0 5", bulk(b"")), ("GETRANGE a x 1", NOT_AN_INTEGER),
            ("SETRANGE a 5 ??", b":7\r\n"), ("GET a", bulk(b"hello??")), ("SETRANGE a 0 J", b":7\r\n"),
            ("SETRANGE b 2 x", b":3\r\n"), ("GET b", bulk(b"\x00\x00x")), ("SETRANGE b 5 y", b":6\r\n"),
            ("GET b", bulk(b"\x00\x00x\x00\x00y")), (["SETRANGE", "b", "0", ""], b":6\r\n"),
            (["SETRANGE", "none", "9", ""], b":0\r\n"), ("EXISTS none", b":0\r\n"),
            ("SETRANGE a -1 x", b"-ERR offset is out of range\r\n"), ("SETRANGE a x x", NOT_AN_INTEGER),
            ("SETRANGE a 1099511627776 x", b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"),
            ("SETRANGE a %d x" % limits.VALUE_SIZE_BYTES_MAX,
             b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"), ("GET a", bulk(b"Jello??")),
        ])

    def test_parts_keep_deadlines(self):
        self.run_table([("SET a 1 PX 500", b"+OK\r\n"), ("APPEND a 2", b":2\r\n"), ("PTTL a", b":500\r\n"),
                        ("SETRANGE a 0 3", b":2\r\n"), ("INCR a", b":33\r\n"), ("INCRBYFLOAT a 1", bulk(b"34")),
                        ("PTTL a", b":500\r\n")])

    def test_types_follow_what_redis_clients_do(self):
        store, lookup = self.keyspace.store, self.keyspace.lookup
        store(b"s", values.STR, "\u20ac".encode("utf-8"))
        self.context.call("APPEND", "s", "x")
        self.assertEqual(lookup(b"s").type, values.STR)
        self.context.call("APPEND", "s", b"\xff")
        self.assertEqual(lookup(b"s").type, values.BYTES)
        store(b"s", values.STR, "\u20ac".encode("utf-8"))
        self.context.call("SETRANGE", "s", "1", "x")
        self.assertEqual(lookup(b"s").type, values.BYTES)
        store(b"f", values.FLOAT, b"1.5")
        self.context.call("INCRBYFLOAT", "f", "1")
        self.assertEqual(lookup(b"f")[:2], (values.FLOAT, b"2.5"))
        self.context.call("SET", "n", "5")
        self.assertEqual(lookup(b"n").type, values.BYTES)
        self.context.call("INCRBYFLOAT", "n", "1")
        self.assertEqual(lookup(b"n").type, values.BYTES)
        self.context.call("INCR", "n")
        self.assertEqual(lookup(b"n")[:2], (values.INT, b"7"))
        self.context.call("APPEND", "n", "0")
        self.assertEqual(lookup(b"n")[:2], (values.BYTES, b"70"))


class NumberCommandsTest(CommandTest):

    def test_integers(self):
        self.run_table([
            ("INCR a", b":1\r\n"), ("INCRBY a 9", b":10\r\n"), ("DECR a", b":9\r\n"), ("DECRBY a 10", b":-1\r\n"),
            ("INCRBY a -5", b":-6\r\n"), ("GET a", bulk(b"-6")), ("INCRBY a x", NOT_AN_INTEGER),
            ("INCRBY a 01", NOT_AN_INTEGER),
            ("INCRBY a +1", NOT_AN_INTEGER), ("INCRBY a 9223372036854775808", NOT_AN_INTEGER),
            ("DECRBY a -9223372036854775808", b"-ERR decrement would overflow\r\n"),
            ("SET a 9223372036854775807", b"+OK\r\n"), ("INCR a", b"-ERR increment or decrement would overflow\r\n"),
            ("GET a", bulk(b"9223372036854775807")), ("SET a -9223372036854775808", b"+OK\r\n"),
            ("DECR a", b"-ERR increment or decrement would overflow\r\n"), ("SET a 1.0", b"+OK\r\n"),
            ("INCR a", NOT_AN_INTEGER),
        ])
        for stored in (b" 1", b"1 ", b"1_0", b"\xd9\xa1", b"", b"-", b"-0", b"00", b"1\n", b"9" * 5000):
            self.context.call("SET", "a", stored)
            self.assertEqual(self.context.call("INCR", "a"), NOT_AN_INTEGER, stored)

    def test_floats_add_as_an_80_bit_long_double(self):
        for stored, added, expected in [
                (b"0.1", b"0.2", b"0.3"), (b"3.0", b"1.0", b"4"), (b"10.50", b"0.1", b"10.6"),
                (b"5.0e3", b"2.0e2", b"5200"),
                (b"1", b"-1", b"0"), (b"-1", b"0.5", b"-0.5"), (b"0", b"1e-17", b"0.00000000000000001"),
                (b"0", b"-1e-18", b"0"), (b"1", b"1e-19", b"1"), (b"1", b"1e-20", b"1"), (b".5", b"5.", b"5.5"),
                (b"17179869184", b"1.5", b"17179869185.5"), (b"0", b"1e20", b"100000000000000000000"),
                (b"0", b"1.23456789012345678901", b"1.23456789012345679"),
                (b"18446744073709551616", b"1", b"18446744073709551616"), (b"0x10", b"-0X.8p1", b"15"),
                (b"0x0", b"0x1p-3", b"0.125")]:
            self.context.call("SET", "a", stored)
            self.assertEqual(self.context.call("INCRBYFLOAT", "a", added), bulk(expected), (stored, added))
            self.assertEqual(self.context.call("GET", "a"), bulk(expected))

    def test_wrong_floats_change_nothing(self):
        self.context.call("SET", "a", "1")
        for wrong in (b"", b"x", b" 1", b"1 ", b"1_0", b"1e", b"e1", b".", b"--1", b"nan", b"1e601", b"1e99999",
        b"1e-5000",
                      b"1e999999", b"0x", b"0xg", b"0x1p99999", b"0x1p-99999", b"9" * 700):
            self.assertEqual(self.context.call("INCRBYFLOAT", "a", wrong),
            b"-ERR value is not a valid float\r\n", wrong)
        for infinite in (b"inf", b"-Infinity"):
            self.assertEqual(self.context.call("INCRBYFLOAT", "a", infinite),
                             b"-ERR increment would produce NaN or Infinity\r\n")
        self.context.call("SET", "b", "text")
        self.assertEqual(self.context.call("INCRBYFLOAT", "b", "1"), b"-ERR value is not a valid float\r\n")
        self.assertEqual(self.keyspace.contents(), {b"a": (values.BYTES, b"1", 0), b"b": (values.BYTES, b"text", 0)})

    def test_largest_float_is_printed_whole(self):
        number = b"9" * 600
        self.context.call("SET", "a", number)
        reply = self.context.call("INCRBYFLOAT", "a", "0")
        self.assertEqual(len(reply), len(bulk(b"1" * 601)))
        self.assertTrue(reply.startswith(b"$601\r\n1000000000000000000"))


class KeyCommandsTest(CommandTest):

    def test_deadlines(self):
        self.run_table([
            ("SET a 1", b"+OK\r\n"), ("EXPIRE a 100", b":1\r\n"), ("TTL a", b":100\r\n"), ("PTTL a", b":100000\r\n"),
            ("PERSIST a", b":1\r\n"), ("PERSIST a", b":0\r\n"), ("TTL a", b":-1\r\n"), ("TTL none", b":-2\r\n"),
            ("PTTL none", b":-2\r\n"), ("EXPIRETIME none", b":-2\r\n"), ("PEXPIRETIME a", b":-1\r\n"),
            ("EXPIRE none 10", b":0\r\n"), ("PEXPIRE a 1500", b":1\r\n"), ("TTL a", b":2\r\n"),
            ("PEXPIREAT a %d" % FAR_MS, b":1\r\n"), ("PEXPIRETIME a", b":%d\r\n" % FAR_MS),
            ("EXPIRETIME a", b":4102444800\r\n"),
            ("EXPIREAT a 4102444801", b":1\r\n"), ("PEXPIRETIME a", b":4102444801000\r\n"),
            ("EXPIRE a x", NOT_AN_INTEGER),
            ("EXPIRE a 9223372036854775807", b"-ERR invalid expire time in 'expire' command\r\n"),
            ("PEXPIRE a 9223372036854775807", b"-ERR invalid expire time in 'pexpire' command\r\n"),
            ("EXPIREAT a -9223372036854775808", b"-ERR invalid expire time in 'expireat' command\r\n"),
            ("EXISTS a", b":1\r\n"), ("PEXPIRE a -9223372036854775808", b":1\r\n"), ("EXISTS a", b":0\r\n"),
            ("SET a 1", b"+OK\r\n"), ("EXPIRE a 0", b":1\r\n"), ("EXISTS a", b":0\r\n"),
            ("SET a 1", b"+OK\r\n"), ("PEXPIREAT a 1", b":1\r\n"), ("EXISTS a", b":0\r\n"),
        ])

    def test_conditions_on_deadlines(self):
        self.run_table([
            ("SET a 1", b"+OK\r\n"), ("EXPIRE a 100 XX", b":0\r\n"), ("EXPIRE a 100 GT", b":0\r\n"),
            ("EXPIRE a 100 NX", b":1\r\n"),
            ("EXPIRE a 200 NX", b":0\r\n"), ("EXPIRE a 50 GT", b":0\r\n"), ("EXPIRE a 100 GT", b":0\r\n"),
            ("EXPIRE a 150 gt", b":1\r\n"), ("EXPIRE a 200 LT", b":0\r\n"), ("EXPIRE a 120 LT XX", b":1\r\n"),
            ("TTL a", b":120\r\n"),
            ("PERSIST a", b":1\r\n"), ("EXPIRE a 90 LT XX", b":0\r\n"), ("EXPIRE a 90 LT", b":1\r\n"),
            ("EXPIRE a 90 NX XX", b"-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
            ("EXPIRE a 90 GT LT", b"-ERR GT and LT options at the same time are not compatible\r\n"),
            ("EXPIRE a 90 AB", b"-ERR Unsupported option AB\r\n"),
        ])

    def test_deadline_that_falls_on_zero_of_the_monotonic_clock_is_not_never(self):
        zero = str(self.keyspace.wall_offset_ms)
        for words in (["PEXPIREAT", "a", zero], ["SET", "a", "1", "PXAT", zero], ["GETEX", "a", "PXAT", zero]):
            self.context.call("SET", "a", "1")
            self.context.call(*words)
            self.assertEqual(self.context.call("EXISTS", "a"), b":0\r\n", words)

    def test_expired_keys_are_gone_for_every_command(self):
        for line, expected in [("GET a", b"$-1\r\n"), ("INCR a", b":1\r\n"), ("APPEND a x", b":1\r\n"),
        ("SETNX a 1", b":1\r\n"),
                               ("DEL a", b":0\r\n"), ("TTL a", b":-2\r\n"), ("PERSIST a", b":0\r\n"),
                               ("TYPE a", b"+none\r\n"),
                               ("KEYS *", b"*0\r\n"), ("SET a 1 XX", b"$-1\r\n"), ("SET a 1 KEEPTTL", b"+OK\r\n"),
                               ("NOSQGRID.POP a", b"$-1\r\n"), ("NOSQGRID.ADD a 5", b":5\r\n")]:
            self.context = PlainContext()
            self.context.call("SET", "a", "10", "PX", "100")
            self.context.keyspace.now_ms += 100
            self.assertEqual(self.context.call(*line.split()), expected, line)
            entry = self.context.keyspace.lookup(b"a")
            self.assertTrue(entry is None or entry.deadline_ms == 0, line)

    def test_scan_sees_every_key_that_stays(self):
        stay = {b"stay:%d" % number for number in range(300)}
        for key in stay:
            self.keyspace.store(key, values.BYTES, b"")
        seen, cursor, steps = set(), b"0", 0
        while True:
            cursor, found = self.context_reply("SCAN", cursor, "COUNT", "7")
            seen.update(found)
            steps += 1
            self.keyspace.store(b"new:%d" % steps, values.BYTES, b"")
            self.keyspace.delete(b"new:%d" % (steps - 3))
            if cursor == b"0":
                break
        self.assertGreaterEqual(seen, stay)
        self.assertGreaterEqual(steps, 300 // 7)

    def context_reply(self, *words):
        return commands.dispatch(self.context, [word if isinstance(word, bytes) else word.encode() for word in words])

    def test_scan_filters_and_refuses(self):
        self.run_table([
            ("MSET user:1 a user:2 b other c", b"+OK\r\n"),
            ("SCAN 0 MATCH other COUNT 100", b"*2\r\n$1\r\n0\r\n*1\r\n$5\r\nother\r\n"),
            ("SCAN 0 COUNT 100 TYPE list", b"*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 18446744073709551615", b"*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 0 TYPE STRING MATCH oth*", b"*2\r\n$1\r\n0\r\n*1\r\n$5\r\nother\r\n"),
            ("SCAN x", b"-ERR invalid cursor\r\n"), ("SCAN -1", b"*2\r\n$1\r\n0\r\n*0\r\n"),
            ("SCAN 18446744073709551616", b"-ERR invalid cursor\r\n"),
            (["SCAN", b"9" * 5000], b"-ERR invalid cursor\r\n"),
            ("SCAN 0 COUNT 0", SYNTAX), ("SCAN 0 COUNT x", NOT_AN_INTEGER), ("SCAN 0 MATCH", SYNTAX),
            ("SCAN 0 X 1", SYNTAX),
        ])
        self.assertEqual(sorted(self.context_reply("KEYS", "user:?")), [b"user:1", b"user:2"])
        self.assertTrue(self.context.call("KEYS",
        b"*" * (limits.GLOB_PATTERN_BYTES_MAX + 1)).startswith(b"-ERR a pattern of"))

    def test_randomkey_finds_a_key_wherever_it_begins(self):
        self.assertEqual(self.context.call("RANDOMKEY"), b"$-1\r\n")
        self.context.call("SET", "only", "1")
        for start in (0, 1, 1 << 55, 1 << 60):
            self.context.random_bits = lambda count, start=start: start
            self.assertEqual(self.context.call("RANDOMKEY"), bulk(b"only"))


class DispatchTest(CommandTest):

    def test_unknown_commands_are_named_as_redis_names_them(self):
        self.run_table([
            ("FOO", b"-ERR unknown command 'FOO', with args beginning with: \r\n"),
            ("FOO a b", b"-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n"),
            ([b"no\r\nsuch", b"\xff"], b"-ERR unknown command 'no  such', with args beginning with: '\xff' \r\n"),
            ([b"n" * 200], b"-ERR unknown command '" + b"n" * 128 + b"', with args beginning with: \r\n"),
            ([b""], b"-ERR unknown command '', with args beginning with: \r\n"),
            ("GET", b"-ERR wrong number of arguments for 'get' command\r\n"),
            ("GET a b", b"-ERR wrong number of arguments for 'get' command\r\n"),
            ("SET a", b"-ERR wrong number of arguments for 'set' command\r\n"),
        ])

    @slow
    def test_session_that_may_not_write_runs_no_command_that_writes(self):
        self.context = EngineContext(memory_bytes=limits.MIB)
        self.context.call("SET", "k", "1")
        before = contents(self.context.keyspace)
        self.context.session.may_write = False
        for row in self.rows():
            argv = (row.name.split(b"|") + [b"k", b"1", b"1", b"-", b"NX", b"0", b"0"])
            argv = argv[:row.arity] if row.arity > 0 else argv[:max(-row.arity, len(row.name.split(b"|")))]
            refused = bool({"write", "admin"} & row.flags)
            reply = self.context.call(*argv)
            self.assertEqual(reply.startswith(b"-NOPERM uid 1000 may only read here"), refused, (row.name, reply))
            self.assertEqual(contents(self.context.keyspace), before)

    @staticmethod
    def rows():
        for row in commands.TABLE.values():
            if row.subcommands is None:
                yield row
            else:
                for subcommand in row.subcommands.values():
                    yield subcommand

    @slow
    def test_every_row_that_changes_the_keyspace_says_so(self):
        for row in self.rows():
            context = EngineContext(memory_bytes=limits.MIB)
            context.keyspace.store(b"k", values.INT, b"1", deadline_ms=50000)
            context.keyspace.store(b"1", values.INT, b"1", deadline_ms=50000)
            before = contents(context.keyspace)
            for extra in range(8):
                context.call(*(row.name.split(b"|") + [b"k", b"1", b"1", b"-1", b"-", b"0", b"x"][:extra]))
            if contents(context.keyspace) != before:
                self.assertIn("write", row.flags, row.name)

    @slow
    def test_keys_that_a_command_touches_are_the_keys_the_table_names(self):
        for row in self.rows():
            for extra in range(1, 8):
                argv = row.name.split(b"|") + [b"k", b"1", b"1", b"-1", b"-", b"0", b"x"][:extra]
                context = EngineContext(keyspace=RecordingKeyspace.make())
                context.call(*argv)
                named = {key for key in context.keyspace.named if not databases.is_hidden(key)}
                self.assertLessEqual(named, set(commands.keys_of(row, argv)), argv)

    @slow
    def test_random_words_get_a_reply_and_break_nothing(self):
        source = random.Random(5)
        pool = [b"k", b"a", b"", b"0", b"-1", b"1", b"x", b"NX", b"EX", b"GET", b"MATCH", b"COUNT", b"ID", b"*",
        b"[", b"\xff\x00",
                b"9223372036854775807", b"-9223372036854775808", b"1e300", b"VERSION", b"-", b"2"]
        names = [row.name.split(b"|") for row in self.rows()]
        context = EngineContext()
        for _ in range(RANDOM_COMMANDS):
            argv = source.choice(names) + [source.choice(pool) for _ in range(source.randint(0, 7))]
            reader = resp.ReplyReader()
            reader.feed(context.call(*argv))
            self.assertIsNot(reader.next(), resp.NEED_MORE, argv)
            self.assertIs(reader.next(), resp.NEED_MORE, argv)
            self.assertFalse(context.keyspace.staging)

    def test_last_command_is_remembered(self):
        self.context.call("get", "k")
        self.assertEqual(self.context.session.last_command, b"GET")
        self.context.call("client", "id")
        self.assertEqual(self.context.session.last_command, b"CLIENT|ID")

    def test_every_row_is_well_formed(self):
        known = {"write", "readonly", "fast", "admin", "connection", "alone", "several", "denyoom", "noscript",
                 "blocking", "pubsub", "loading", "stale", "movablekeys", "no-auth", "skip_slowlog", "skip_monitor",
                 "no_multi", "no_mandatory_keys"}
        for name, row in commands.TABLE.items():
            self.assertEqual((name, name), (row.name, name.upper()))
            self.assertLessEqual(row.flags, known)
            self.assertFalse({"write", "readonly"} <= row.flags)
            self.assertTrue(row.arity)
            self.assertTrue(bool(row.first_key) == bool(row.last_key) == bool(row.step))
            self.assertTrue(row.function.__doc__ or row.subcommands, name)


class RecordingKeyspace(Keyspace):
    """Notes the keys that a command names."""

    @classmethod
    def make(cls):
        keyspace = make_keyspace(1 << 20)[0]
        keyspace.__class__ = cls
        keyspace.named = set()
        return keyspace

    def lookup(self, key):
        self.named.add(key)
        return super().lookup(key)

    def structure(self, key, kind):
        self.named.add(key)
        return super().structure(key, kind)

    def store(self, key, value_type, value, deadline_ms=0):
        self.named.add(key)
        return super().store(key, value_type, value, deadline_ms)

    def delete(self, key):
        self.named.add(key)
        return super().delete(key)


class PlainKeyspaceTest(unittest.TestCase):
    """The model of the tests is tested, too."""

    def test_batch_is_rolled_back_and_commits(self):
        keyspace = PlainKeyspace()
        keyspace.store(b"a", 0, b"1")
        keyspace.begin()
        self.assertRaises(errors.InvariantError, keyspace.begin)
        keyspace.store(b"a", 0, b"2")
        keyspace.delete(b"a")
        keyspace.rollback()
        self.assertEqual(keyspace.contents(), {b"a": (0, b"1", 0)})
        keyspace.begin()
        keyspace.clear()
        keyspace.commit()
        self.assertEqual(keyspace.contents(), {})

    def test_time_and_memory_are_the_tests(self):
        keyspace = PlainKeyspace(now_ms=10, capacity_bytes=4)
        keyspace.store(b"a", 0, b"1", deadline_ms=20)
        self.assertRaises(errors.GridFullError, keyspace.store, b"b", 0, b"123")
        keyspace.now_ms = 20
        self.assertIsNone(keyspace.lookup(b"a"))
        self.assertFalse(keyspace.set_deadline(b"a", 0))
        self.assertEqual(keyspace.key_count, 0)
        self.assertEqual(keyspace.store(b"b", 0, b"123"), 2)


if __name__ == "__main__":
    unittest.main()

"""Commands about connections, the server and the table, and those of the grid's own client: exact reply bytes."""

import unittest

from nosqgrid import limits
from nosqgrid.engine import commands
from nosqgrid.engine.commands import introspection, key_flags
from nosqgrid.formats import resp, values
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, CommandTest, PlainSession, bulk


class ConnectionCommandsTest(CommandTest):

    def test_simple_ones(self):
        self.run_table([
            ("PING", b"+PONG\r\n"), ("PING hi", bulk(b"hi")),
            ("PING a b", b"-ERR wrong number of arguments for 'ping' command\r\n"),
            ("ECHO hi", bulk(b"hi")), ("SELECT 0", b"+OK\r\n"), ("SELECT 16", b"-ERR DB index is out of range\r\n"),
            ("SELECT x", NOT_AN_INTEGER), ("TIME", b"*2\r\n$10\r\n1600000001\r\n$1\r\n0\r\n"),
            ("AUTH default x", b"+OK\r\n"),
            ("AUTH me x", b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            ("AUTH x", b"-ERR AUTH <password> called without any password configured for the default user. "
                       b"Are you sure your configuration is correct?\r\n"),
        ])

    def test_hello_switches_the_protocol_with_its_own_reply(self):
        fields = (b"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"
                  b"$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:1\r\n"
                  b"$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n")
        self.run_table([("HELLO", b"*14\r\n" + fields % 2), ("HELLO 3", b"%7\r\n" + fields % 3), ("GET none", b"_\r\n"),
                        ("HELLO", b"%7\r\n" + fields % 3), ("HELLO 2", b"*14\r\n" + fields % 2),
                        ("GET none", b"$-1\r\n")])

    def test_hello_that_is_refused_changes_nothing(self):
        self.run_table([
            ("HELLO 4", b"-NOPROTO unsupported protocol version\r\n"),
            ("HELLO x", b"-ERR Protocol version is not an integer or out of range\r\n"),
            ("HELLO 3 BOGUS", b"-ERR Syntax error in HELLO option 'BOGUS'\r\n"),
            ("HELLO 3 SETNAME", b"-ERR Syntax error in HELLO option 'SETNAME'\r\n"),
            ("HELLO 3 SETNAME me AUTH you x", b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            (["HELLO", "3", "SETNAME", "a b"],
             b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
        ])
        self.assertEqual((self.context.session.protocol, self.context.session.name), (2, b""))
        self.context.call("HELLO", "3", "auth", "default", "x", "setname", "me")
        self.assertEqual((self.context.session.protocol, self.context.session.name), (3, b"me"))

    def test_reset_and_quit(self):
        self.context.call("HELLO", "3", "SETNAME", "me")
        self.assertEqual(self.context.call("RESET"), b"+RESET\r\n")
        self.assertEqual((self.context.session.protocol, self.context.session.name), (2, b""))
        self.assertFalse(self.context.session.closing)
        self.assertEqual(self.context.call("QUIT"), b"+OK\r\n")
        self.assertTrue(self.context.session.closing)

    def test_client_names(self):
        self.run_table([
            ("CLIENT ID", b":1\r\n"), ("CLIENT GETNAME", b"$-1\r\n"), ("client setname me", b"+OK\r\n"),
            ("CLIENT GETNAME", bulk(b"me")), (["CLIENT", "SETNAME", ""], b"+OK\r\n"), ("CLIENT GETNAME", b"$-1\r\n"),
            (["CLIENT", "SETNAME", b"a\n"],
             b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"),
            ("CLIENT SETINFO LIB-NAME redis-py", b"+OK\r\n"), ("CLIENT SETINFO lib-ver 8.0", b"+OK\r\n"),
            ("CLIENT SETINFO X 1", b"-ERR Unrecognized option 'X'\r\n"),
            (["CLIENT", "SETINFO", "LIB-NAME", "a b"],
             b"-ERR lib-name cannot contain spaces, newlines or special characters.\r\n"),
            ("CLIENT NO-EVICT on", b"+OK\r\n"), ("CLIENT NO-TOUCH off", b"+OK\r\n"), ("CLIENT NO-EVICT x", SYNTAX),
            ("CLIENT REPLY maybe", SYNTAX),
            ("CLIENT MAINT_NOTIFICATIONS ON", b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n"),
            ("CLIENT", b"-ERR wrong number of arguments for 'client' command\r\n"),
            ("CLIENT SETNAME", b"-ERR wrong number of arguments for 'client|setname' command\r\n"),
        ])

    def test_client_list_has_a_line_for_each_session(self):
        self.context.sessions.append(PlainSession(7))
        self.context.call("CLIENT", "SETNAME", "me")
        self.keyspace.now_ms = 65000
        self.context.session.seen_ms = 61000
        lines = self.context_lines("CLIENT", "LIST")
        self.assertEqual([line["id"] for line in lines], ["1", "7"])
        names = ("name", "age", "idle", "cmd", "resp", "uid", "pid", "db", "user")
        self.assertEqual({name: lines[0][name] for name in names},
                         {"name": "me", "age": "65", "idle": "4", "cmd": "client|list", "resp": "2", "uid": "1000",
                          "pid": "4242", "db": "0", "user": "default"})
        self.assertEqual(lines[1]["cmd"], "NULL")
        self.assertEqual([line["id"] for line in self.context_lines("CLIENT", "LIST", "ID", "7", "9")], ["7"])
        self.assertEqual(self.context_lines("CLIENT", "LIST", "TYPE", "pubsub"), [])
        self.assertEqual([line["cmd"] for line in self.context_lines("CLIENT", "INFO")], ["client|info"])
        self.run_table([("CLIENT LIST ID x", b"-ERR Invalid client ID\r\n"), ("CLIENT LIST BOGUS", SYNTAX),
                        ("CLIENT LIST TYPE x", b"-ERR Unknown client type 'x'\r\n")])

    def context_lines(self, *words):
        reader = resp.ReplyReader()
        reader.feed(self.context.call(*words))
        return [dict(field.split("=", 1) for field in line.split(" ")) for line in reader.next().decode().splitlines()]

    def test_client_kill_by_id(self):
        other = PlainSession(7)
        self.context.sessions.append(other)
        self.run_table([
            ("CLIENT KILL ID 9", b":0\r\n"), ("CLIENT KILL ID 1", b":0\r\n"), ("CLIENT KILL ID 7", b":1\r\n"),
            ("CLIENT KILL ID 0", b"-ERR client-id should be greater than 0\r\n"),
            ("CLIENT KILL ID", b"-ERR No such client\r\n"),
            ("CLIENT KILL ID 7 SKIPME", SYNTAX), ("CLIENT KILL ADDR x", b":0\r\n"),
            ("CLIENT KILL NAME x", SYNTAX), ("CLIENT KILL USER nobody", b"-ERR No such user 'nobody'\r\n"),
            ("CLIENT KILL 1.2.3.4:5", b"-ERR No such client\r\n"),
        ])
        self.assertTrue(other.closing)
        self.assertFalse(self.context.session.closing)
        self.assertEqual(self.context.call("CLIENT", "KILL", "ID", "1", "SKIPME", "no"), b":1\r\n")
        self.assertTrue(self.context.session.closing)


class ServerCommandsTest(CommandTest):

    def test_info_has_redis_layout(self):
        whole = bulk(b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Persistence\r\nloading:0\r\n")
        self.run_table([("INFO", whole), ("INFO all", whole), ("INFO x default", whole),
        ("INFO SERVER persistence server", whole),
                        ("INFO nosuch", b"$0\r\n\r\n")])

    def test_flush_and_config(self):
        self.run_table([
            ("MSET a 1 b 2", b"+OK\r\n"), ("FLUSHDB NOW", SYNTAX), ("DBSIZE", b":2\r\n"), ("FLUSHDB ASYNC", b"+OK\r\n"),
            ("DBSIZE", b":0\r\n"), ("FLUSHALL sync", b"+OK\r\n"),
            ("CONFIG GET SAVE nosuch", b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
            ("CONFIG GET nosuch", b"*0\r\n"),
            ("CONFIG GET", b"-ERR wrong number of arguments for 'config|get' command\r\n"),
            ("CONFIG NOSUCH a b", b"-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP.\r\n"),
        ])

    def test_what_commands_do_with_their_keys(self):
        for line, expected in (
                ("SET k v", {"k": "OW update"}), ("SET k v GET", {"k": "RW access update"}),
                ("SORT k STORE d", {"k": "RO access", "d": "OW update"}),
                ("ZUNIONSTORE d 2 a b", {"d": "OW update", "a": "RO access", "b": "RO access"}),
                ("LMOVE a b LEFT RIGHT", {"a": "RW access delete", "b": "RW insert"}),
                ("BITFIELD k GET u8 0", {"k": "RO access"}), ("BITFIELD k SET u8 0 1", {"k": "RW access update"}),
                ("XGROUP CREATE s g $", {"s": "RW insert"}), ("EXISTS k l", {"k": "RO", "l": "RO"})):
            words = [b"COMMAND", b"GETKEYSANDFLAGS"] + line.encode("ascii").split()
            found = commands.dispatch(self.context, words)
            self.assertEqual({key.decode("ascii"): " ".join(flags) for key, flags in found}, expected, line)
        self.run_table([("COMMAND GETKEYSANDFLAGS PING x", b"-ERR The command has no key arguments\r\n"),
                        ("COMMAND GETKEYSANDFLAGS MGET k k2 k3", b"*3\r\n" + b"".join(
                            b"*2\r\n" + bulk(key) + b"*2\r\n+RO\r\n+access\r\n" for key in (b"k", b"k2", b"k3")))])
        named = {name for name in key_flags._BY_NAME if introspection._named(commands.TABLE, name) is None}
        self.assertLessEqual(named, {b"EVAL", b"EVALSHA", b"FCALL"})

    def test_command_describes_the_table(self):
        self.run_table([
            ("COMMAND COUNT", b":%d\r\n" % len(commands.TABLE)), ("COMMAND INFO nosuch", b"*1\r\n$-1\r\n"),
            ("COMMAND INFO get", b"*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+fast\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n"
                                 b"*3\r\n+@fast\r\n+@read\r\n+@string\r\n*0\r\n"
                                 b"*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
                                 b"$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n"
                                 b"$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n"
                                 b"$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n"
                                 b"$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n"
                                 b"$5\r\nlimit\r\n:0\r\n*0\r\n"),
            ("COMMAND LIST FILTERBY PATTERN getr*", b"*1\r\n$8\r\ngetrange\r\n"),
            ("COMMAND LIST FILTERBY PATTERN client|l*", b"*1\r\n$11\r\nclient|list\r\n"),
            ("COMMAND LIST FILTERBY MODULE x", b"*0\r\n"), ("COMMAND LIST x", SYNTAX),
            ("COMMAND GETKEYS MSET a 1 b 2", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            ("COMMAND GETKEYS DEL a b", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            ("COMMAND GETKEYS PING x", b"-ERR The command has no key arguments\r\n"),
            ("COMMAND GETKEYS NOSUCH x", b"-ERR Invalid command specified\r\n"),
            ("COMMAND GETKEYS SET x", b"-ERR Invalid number of arguments specified for command\r\n"),
            ("COMMAND GETKEYS EVAL x 0", b"*0\r\n"), ("COMMAND GETKEYS EVALSHA x 2 a", b"*0\r\n"),
            ("COMMAND GETKEYSANDFLAGS EVAL x 0", b"*0\r\n"),
            ("COMMAND GETKEYS SINTERCARD 0 a", b"-ERR Invalid arguments specified for command\r\n"),
            ("COMMAND GETKEYS ZUNIONSTORE d 0 a", b"-ERR Invalid arguments specified for command\r\n"),
            ("COMMAND GETKEYS ZUNIONSTORE d 1 a", b"*2\r\n$1\r\nd\r\n$1\r\na\r\n"),
        ])
        names = commands.dispatch(self.context, [b"COMMAND", b"LIST"])
        self.assertLess({b"get", b"client", b"client|list", b"command|list"}, set(names))
        whole = commands.dispatch(self.context, [b"COMMAND"])
        self.assertEqual({row[0] for row in whole}, {name.lower() for name in commands.TABLE})
        self.assertEqual(commands.dispatch(self.context, [b"COMMAND", b"INFO", b"client|list"])[0][1], -2)
        docs = commands.dispatch(self.context, [b"COMMAND", b"DOCS"])
        self.assertEqual(len(docs), len(commands.TABLE))
        self.assertEqual(dict(dict(docs)[b"get"])[b"group"], b"string")
        categories = commands.dispatch(self.context, [b"COMMAND", b"LIST", b"FILTERBY", b"ACLCAT", b"write"])
        self.assertIn(b"set", categories)
        self.assertNotIn(b"get", categories)

    def test_containers_have_help(self):
        for name in ("CLIENT", "CONFIG", "COMMAND"):
            self.assertIn(b"+HELP\r\n", self.context.call(name, "HELP"))


class NativeCommandsTest(CommandTest):

    def test_typed_values_come_back_with_version_and_deadline(self):
        self.run_table([
            ("NOSQGRID.SET k v 1 0 - 0", b":1\r\n"), ("NOSQGRID.GETV k", b"*4\r\n:1\r\n$1\r\nv\r\n:0\r\n:1\r\n"),
            ("NOSQGRID.SET k w 8 5000 - 0", b":2\r\n"), ("NOSQGRID.GETV k", b"*4\r\n:8\r\n$1\r\nw\r\n:5000\r\n:2\r\n"),
            ("NOSQGRID.SET k x 0 -1 - 0", b":3\r\n"), ("NOSQGRID.GETV k", b"*4\r\n:0\r\n$1\r\nx\r\n:5000\r\n:3\r\n"),
            ("NOSQGRID.SET new x 0 -1 - 0", b":4\r\n"), ("NOSQGRID.GETV new", b"*4\r\n:0\r\n$1\r\nx\r\n:0\r\n:4\r\n"),
            ("NOSQGRID.POP k", b"*2\r\n:0\r\n$1\r\nx\r\n"), ("NOSQGRID.POP k", b"$-1\r\n"),
        ])

    def test_conditions(self):
        self.run_table([
            ("NOSQGRID.SET k v 0 0 XX 0", b"$-1\r\n"), ("NOSQGRID.SET k v 0 0 VERSION 5", b"$-1\r\n"),
            ("NOSQGRID.SET k v 0 0 VERSION 0", b":1\r\n"), ("NOSQGRID.SET k w 0 0 VERSION 0", b"$-1\r\n"),
            ("NOSQGRID.SET k w 0 0 NX 0", b"$-1\r\n"), ("NOSQGRID.SET k w 0 0 VERSION 1", b":2\r\n"),
            ("NOSQGRID.SET k x 0 0 VERSION 1", b"$-1\r\n"), ("NOSQGRID.SET k x 0 0 XX 0", b":3\r\n"),
            ("GET k", bulk(b"x")),
            ("NOSQGRID.SET j x 0 0 NX 0", b":4\r\n"),
        ])

    def test_words_that_make_no_sense_are_refused(self):
        for line in ("NOSQGRID.SET k v 256 0 - 0", "NOSQGRID.SET k v -1 0 - 0", "NOSQGRID.SET k v x 0 - 0",
                     "NOSQGRID.SET k v 0 -2 - 0", "NOSQGRID.SET k v 0 %d - 0" % (limits.TTL_MS_MAX + 1),
                     "NOSQGRID.SET k v 0 0 nx 0", "NOSQGRID.SET k v 0 0 MAYBE 0", "NOSQGRID.SET k v 0 0 - -1",
                     "NOSQGRID.SCAN -1 10 x", "NOSQGRID.SCAN %d 10 x" % 2 ** 61, "NOSQGRID.SCAN 0 -1 x",
                     "NOSQGRID.DEADLINE k -1",
                     "NOSQGRID.DEADLINE k x"):
            self.assertTrue(self.context.call(*line.split()).startswith(b"-ERR "), line)
        self.assertEqual(self.keyspace.contents(), {})

    def test_deadlines(self):
        self.run_table([
            ("NOSQGRID.DEADLINE k 5000", b":0\r\n"), ("NOSQGRID.SET k v 1 0 - 0", b":1\r\n"),
            ("NOSQGRID.DEADLINE k 5000", b":1\r\n"),
            ("PTTL k", b":4000\r\n"), ("NOSQGRID.DEADLINE k 0", b":1\r\n"), ("PTTL k", b":-1\r\n"),
            ("NOSQGRID.DEADLINE k 1000", b":1\r\n"), ("EXISTS k", b":0\r\n"),
            ("NOSQGRID.SET k v 1 7 - 0", b":4\r\n"), ("EXISTS k", b":0\r\n"),
        ])

    def test_add_has_no_64_bit_edge(self):
        big = 10 ** 30
        self.run_table([
            ("NOSQGRID.ADD n 5", b":5\r\n"), ("NOSQGRID.ADD n -7", b":-2\r\n"),
            ("HELLO 3 BOGUS", b"-ERR Syntax error in HELLO option 'BOGUS'\r\n"),
            ("NOSQGRID.ADD n %d" % big, bulk(b"%d" % (big - 2))), ("INCR n", NOT_AN_INTEGER),
        ])
        self.context.session.protocol = 3
        self.assertEqual(self.context.call("NOSQGRID.ADD", "n", "2"), b"(%d\r\n" % big)
        self.assertEqual(self.keyspace.lookup(b"n")[:2], (values.INT, b"%d" % big))

    def test_add_refuses_what_is_no_number(self):
        self.context.call("SET", "text", "abc")
        self.keyspace.store(b"list", values.JSON, b"[1]")
        self.keyspace.store(b"most", values.INT, b"9" * limits.INT_DIGITS_MAX)
        before = self.keyspace.contents()
        self.run_table([
            ("NOSQGRID.ADD n x", b"-NOTANUMBER the amount is not an integer\r\n"),
            ("NOSQGRID.ADD n 1.5", b"-NOTANUMBER the amount is not an integer\r\n"),
            ("NOSQGRID.ADD text 1", b"-NOTANUMBER the stored value is not an integer\r\n"),
            ("NOSQGRID.ADD list 1", b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
        ])
        self.assertTrue(self.context.call("NOSQGRID.ADD", "most", "1").startswith(b"-VALUETOOLARGE "))
        self.assertEqual(self.keyspace.contents(), before)

    def test_scan_with_a_prefix(self):
        keys = {b"p\xff%d" % number for number in range(50)}
        for key in keys | {b"q", b"", b"p"}:
            self.keyspace.store(key, values.BYTES, b"")
        seen, cursor = [], 0
        while True:
            cursor, found = commands.dispatch(self.context, [b"NOSQGRID.SCAN", b"%d" % cursor, b"7", b"p\xff"])
            seen.extend(found)
            if not cursor:
                break
        self.assertEqual(sorted(seen), sorted(keys))
        self.assertEqual(len(commands.dispatch(self.context, [b"NOSQGRID.SCAN", b"0", b"1000", b""])[1]), 53)


if __name__ == "__main__":
    unittest.main()

"""Commands about the server: CONFIG, SLOWLOG, LATENCY, MEMORY, DEBUG, saving and ending, and what is not there."""

import unittest

from nosqgrid import errors
from nosqgrid.engine import setting_names, settings
from nosqgrid.engine.structures.hashes import Hash
from nosqgrid.engine.structures.streams import Stream
from nosqgrid.formats import resp
from tests.redis.test_keys_commands import NULL, wrong_arity
from tests.support.command_context import NOT_AN_INTEGER, SYNTAX, bulk
from tests.support.engine_context import EngineContext, EngineTest, contents

NO_CLUSTER = b"-ERR This instance has cluster support disabled\r\n"


def failed(name, why):
    return b"-ERR CONFIG SET failed (possibly related to argument '%b') - %b\r\n" % (name, why)


class ConfigTest(EngineTest):
    def config(self, name):
        found = self.context.run([b"CONFIG", b"GET", name])
        return dict(found)[name]

    def test_what_is_set_is_read_back(self):
        for given, expected in (("hz 20", b"20"), ("HZ 21", b"21"), ("appendfsync ALWAYS", b"always"),
                                ("maxmemory 5mb", b"5242880"), ("maxmemory 1K", b"1000"), ("maxmemory 7", b"7"),
                                ("lua-time-limit 9", b"9"), ("busy-reply-threshold 8", b"8"),
                                ("loglevel debug", b"debug"),
                                ("slave-read-only no", b"no"), ("list-max-ziplist-size -3", b"-3"), ("dir /x", b"/x"),
                                ("maxmemory-policy allkeys-lfu", b"allkeys-lfu"), ("activedefrag YES", b"yes")):
            name, value = given.split()
            self.assertEqual(self.context.call("CONFIG", "SET", name, value), b"+OK\r\n", given)
            self.assertEqual(self.config(name.lower().encode()), expected)
        self.assertEqual(self.config(b"replica-read-only"), b"no")
        self.assertEqual(self.config(b"lua-time-limit"), b"8")
        self.run_table([(["CONFIG", "SET", "save", "900 1 300 10"], b"+OK\r\n"),
                        ("CONFIG GET save", b"*2\r\n" + bulk(b"save") + bulk(b"900 1 300 10")),
                        (["CONFIG", "SET", "save", ""], b"+OK\r\n"),
                        ("CONFIG GET save", b"*2\r\n" + bulk(b"save") + bulk(b""))])

    def test_patterns(self):
        names = [name for name, _ in self.context.run([b"CONFIG", b"GET", b"*max-listpack*", b"HZ", b"h?"])]
        self.assertEqual(names, sorted([b"hash-max-listpack-entries", b"hash-max-listpack-value", b"hz",
                                        b"list-max-listpack-size", b"zset-max-listpack-entries",
                                        b"zset-max-listpack-value"]))
        self.run_table([("CONFIG GET nosuch", b"*0\r\n"), ("CONFIG GET", wrong_arity(b"config|get")),
                        ("CONFIG", wrong_arity(b"config"))])
        self.assertEqual(len(self.context.run([b"CONFIG", b"GET", b"*"])),
                         len(setting_names.KNOWN) + len(setting_names.ALIASES) - len(setting_names.HIDDEN))
        self.run_table([("CONFIG GET key-load-delay", b"*2\r\n" + bulk(b"key-load-delay") + bulk(b"0")),
                        ("CONFIG GET key-load-dela?", b"*0\r\n")])

    def test_percent_and_port(self):
        self.run_table([
            ("CONFIG SET maxmemory-clients 5%", b"+OK\r\n"),
            ("CONFIG GET maxmemory-clients", b"*2\r\n" + bulk(b"maxmemory-clients") + bulk(b"5%")),
            ("CONFIG SET maxmemory-clients 101%",
             failed(b"maxmemory-clients", b"percentage argument must be less or equal to 100")),
            ("CONFIG SET maxmemory-clients -1%", failed(b"maxmemory-clients", b"argument must be a memory value")),
            ("CONFIG SET maxmemory 5%", failed(b"maxmemory", b"argument must be a memory value")),
            ("CONFIG SET port 0", b"+OK\r\n"),
            ("CONFIG SET hz 77 port 6379", failed(b"port", b"Unable to listen on this port. Check server logs.")),
            ("CONFIG GET hz", b"*2\r\n" + bulk(b"hz") + bulk(b"10"))])

    def test_what_is_wrong_is_refused_and_nothing_set(self):
        before = self.context.run([b"CONFIG", b"GET", b"*"])
        unknown = b"-ERR Unknown option or number of arguments for CONFIG SET - '%b'\r\n"
        self.run_table([
            ("CONFIG SET foo bar", unknown % b"foo"), ("CONFIG SET hz 20 foo bar", unknown % b"foo"),
            ("CONFIG SET hz", wrong_arity(b"config|set")), ("CONFIG SET hz 20 timeout", SYNTAX),
            ("CONFIG SET hz x", failed(b"hz", b"argument couldn't be parsed into an integer")),
            ("CONFIG SET hz 1.5", failed(b"hz", b"argument couldn't be parsed into an integer")),
            (["CONFIG", "SET", "hz", "\u00b2"], failed(b"hz", b"argument couldn't be parsed into an integer")),
            ("CONFIG SET timeout -1", failed(b"timeout", b"argument must be between 0 and 2147483647 inclusive")),
            ("CONFIG SET hz 20 hz 30", failed(b"hz", b"duplicate parameter")),
            ("CONFIG SET Hash-max-listpack-entries 1 hash-max-ziplist-entries 2",
             failed(b"hash-max-ziplist-entries", b"duplicate parameter")),
            ("CONFIG SET databases 3", failed(b"databases", b"can't set immutable config")),
            ("CONFIG SET maxmemory x", failed(b"maxmemory", b"argument must be a memory value")),
            ("CONFIG SET maxmemory -1", failed(b"maxmemory", b"argument must be a memory value")),
            ("CONFIG SET activedefrag maybe", failed(b"activedefrag", b"argument must be 'yes' or 'no'")),
            ("CONFIG SET loglevel x", failed(b"loglevel", b"argument(s) must be one of the following: debug, verbose, "
                                                          b"notice, warning")),
            ("CONFIG SET save 900x", failed(b"save", b"Invalid save parameters")),
            ("CONFIG SET save 900", failed(b"save", b"Invalid save parameters")),
            ("CONFIG SET notify-keyspace-events Kq",
             failed(b"notify-keyspace-events", b"Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")),
            ("CONFIG REWRITE", b"-ERR The server is running without a config file\r\n"),
            (["CONFIG", "SET", b"\xff", b"\xfe"], unknown % b"\xff"),
        ])
        self.assertEqual(self.context.run([b"CONFIG", b"GET", b"*"]), before)

    def test_events(self):
        for letters, shown, published in ((b"KEA", b"AKE", True), (b"AKEmn", b"AKEm", True), (b"", b"", False),
                                          (b"g$lshzxetdK", b"AK", True), (b"ng", b"gn", False),
                                          (b"ExgE", b"gxE", True)):
            self.assertEqual(self.context.call("CONFIG", "SET", "notify-keyspace-events", letters), b"+OK\r\n")
            self.assertEqual(self.config(b"notify-keyspace-events"), shown)
            self.assertEqual((bool(self.context.pubsub.events), self.keyspace.heard is not None),
                             (published, published))
        listener = EngineContext(self.context)
        listener.call("PSUBSCRIBE", "*")
        del self.context.pushed[:]
        self.run_table([("SET a 1 PX 5", b"+OK\r\n")])
        self.keyspace.now_ms += 1000
        self.assertTrue(self.keyspace.reclaim_expired())
        self.assertEqual([parts[2:] for _, parts in self.context.pushed],
                         [[b"__keyevent@0__:expire", b"a"], [b"__keyevent@0__:expired", b"a"]])

    def test_settings_of_structures_take_effect(self):
        for kind, name, number in ((Hash, "COMPACT_ENTRIES_MAX", Hash.COMPACT_ENTRIES_MAX),
                                   (Stream, "node_entries_max", Stream.node_entries_max)):
            self.addCleanup(setattr, kind, name, number)
        self.run_table([("CONFIG SET hash-max-ziplist-entries 2", b"+OK\r\n"), ("HSET h a 1 b 2", b":2\r\n"),
                        ("OBJECT ENCODING h", bulk(b"listpack")), ("HSET h c 3", b":1\r\n"),
                        ("OBJECT ENCODING h", bulk(b"hashtable")),
                        ("CONFIG SET stream-node-max-entries 3", b"+OK\r\n")])
        self.assertEqual(Stream.node_entries_max, 3)

    def test_every_default_may_be_set(self):
        for name, (kind, default) in setting_names.KNOWN.items():
            if name not in setting_names.FIXED:
                one = settings.Settings()
                one.set_all([(name, default)])
                self.assertEqual(one.get(name, {}), default)
            self.assertIn(kind, range(5))
        self.assertLessEqual(setting_names.FIXED, set(setting_names.KNOWN))
        self.assertLessEqual(set(setting_names.ALIASES.values()), set(setting_names.KNOWN))

    def test_numbers_begin_with_zero_again(self):
        self.run_table([("CONFIG RESETSTAT", b"+OK\r\n")])
        self.assertEqual(self.context.server.asked, ["reset_stats"])

    def test_the_frequency_goes_by_the_policy_that_was_set(self):
        self.run_table([("SET a 1", b"+OK\r\n"), ("CONFIG SET maxmemory-policy allkeys-lfu", b"+OK\r\n"),
                        ("OBJECT FREQ a", b":1\r\n")])


class CommandStatsTest(EngineTest):
    """What EngineContext's clock says costs nothing: it stands still but for DEBUG SLEEP."""

    def fields(self, section):
        return dict(self.context.oversight.stats.info()[section])

    def test_nothing_is_counted_before_somebody_wants_it(self):
        self.run_table([("SET a 1", b"+OK\r\n"), ("LATENCY HISTOGRAM", b"*0\r\n")])
        self.assertEqual(self.context.oversight.stats.info(),
                         {"Commandstats": [], "Errorstats": [], "Latencystats": []})
        self.assertFalse(self.context.session.special)

    def test_what_is_run_is_counted_and_what_fails(self):
        self.run_table([("CONFIG RESETSTAT", b"+OK\r\n"), ("SET a 1", b"+OK\r\n"), ("SET a 1", b"+OK\r\n")])
        self.context.call("LPUSH", "a", "x")
        self.context.call("GEOADD", "a")
        self.context.call("NOSUCH")
        self.context.call("CLIENT", "SETNAME", "a b")
        self.context.call("CLIENT", "ID", "x")
        for words in (("MULTI",), ("INCR", "b"), ("LPUSH", "a", "x"), ("EXEC",)):
            self.context.call(*words)
        count = "calls=%d,usec=0,usec_per_call=0.00,rejected_calls=%d,failed_calls=%d"
        self.assertEqual(self.fields("Commandstats"), {
            "cmdstat_config|resetstat": count % (1, 0, 0), "cmdstat_set": count % (2, 0, 0),
            "cmdstat_lpush": count % (2, 0, 2), "cmdstat_geoadd": count % (0, 1, 0),
            "cmdstat_client|setname": count % (1, 0, 1), "cmdstat_client|id": count % (0, 1, 0),
            "cmdstat_multi": count % (1, 0, 0), "cmdstat_incr": count % (1, 0, 0), "cmdstat_exec": count % (1, 0, 0)})
        self.assertEqual(self.fields("Errorstats"), {"errorstat_ERR": "count=4", "errorstat_WRONGTYPE": "count=2"})
        self.assertEqual(self.fields("Latencystats")["latency_percentiles_usec_set"], "p50=1.024,p99=1.024,p99.9=1.024")
        self.assertNotIn("latency_percentiles_usec_geoadd", self.fields("Latencystats"))
        self.run_table([("CONFIG RESETSTAT", b"+OK\r\n")])
        self.assertEqual(list(self.fields("Commandstats")), ["cmdstat_config|resetstat"])

    def test_histogram(self):
        self.run_table([
            ("CONFIG SET latency-tracking yes", b"+OK\r\n"), ("DEBUG SLEEP 0.002", b"+OK\r\n"),
            ("DEBUG SLEEP 0.003", b"+OK\r\n"), ("DEBUG SLEEP 2", b"+OK\r\n"), ("CLIENT ID", b":1\r\n"),
            ("LATENCY HISTOGRAM nosuch DEBUG", b"*2\r\n" + bulk(b"debug|sleep") + b"*4\r\n" + bulk(b"calls") +
             b":3\r\n" + bulk(b"histogram_usec") + b"*6\r\n:2097\r\n:1\r\n:4194\r\n:2\r\n:1073742\r\n:3\r\n"),
            ("LATENCY HISTOGRAM client|id client|list", b"*2\r\n" + bulk(b"client|id") + b"*4\r\n" + bulk(b"calls") +
             b":1\r\n" + bulk(b"histogram_usec") + b"*2\r\n:1\r\n:1\r\n"),
            ("LATENCY HISTOGRAM set", b"*0\r\n"), ("CONFIG SET latency-tracking no", b"+OK\r\n"),
            ("SET a 1", b"+OK\r\n"), ("LATENCY HISTOGRAM set", b"*0\r\n")])
        self.assertFalse(self.context.session.special)


class ObservingTest(EngineTest):
    def test_slow_commands_are_kept(self):
        self.run_table([("SLOWLOG LEN", b":0\r\n"), ("DEBUG SLEEP 0.1", b"+OK\r\n"), ("SLOWLOG LEN", b":0\r\n"),
                        ("CLIENT SETNAME me", b"+OK\r\n"), ("CONFIG SET slowlog-log-slower-than 50000", b"+OK\r\n"),
                        ("DEBUG SLEEP 0.01", b"+OK\r\n"), ("DEBUG SLEEP 0.05", b"+OK\r\n"),
                        ("debug sleep 0.2", b"+OK\r\n"), ("GET a", NULL), ("SLOWLOG LEN", b":2\r\n")])
        first, second = self.context.run([b"SLOWLOG", b"GET"])
        self.assertEqual((first[0], first[2:4], first[5]), (1, [200000, [b"debug", b"sleep", b"0.2"]], b"me"))
        self.assertEqual((second[0], second[2]), (0, 50000))
        self.assertEqual(self.context.run([b"SLOWLOG", b"GET", b"1"]), [first])
        self.assertEqual(self.context.run([b"SLOWLOG", b"GET", b"-1"]), [first, second])
        self.run_table([
            ("SLOWLOG GET 0", b"*0\r\n"), ("SLOWLOG RESET", b"+OK\r\n"), ("SLOWLOG GET", b"*0\r\n"),
            ("SLOWLOG GET -2", b"-ERR count should be greater than or equal to -1\r\n"),
            ("SLOWLOG GET x", b"-ERR count should be greater than or equal to -1\r\n"),
            ("SLOWLOG GET 1 2",
             b"-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n"),
            ("SLOWLOG NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try SLOWLOG HELP.\r\n"),
            ("CONFIG SET slowlog-max-len 1 slowlog-log-slower-than 0", b"+OK\r\n"), ("PING", b"+PONG\r\n"),
            (["ECHO"] + ["x" * 200], bulk(b"x" * 200)), ("SLOWLOG LEN", b":1\r\n")])
        self.run_table([(["ECHO", "x" * 200], bulk(b"x" * 200))])
        found = self.context.run([b"SLOWLOG", b"GET"])
        self.assertEqual(found[0][3], [b"ECHO", b"x" * 128 + b"... (72 more bytes)"])
        self.context.call("EXISTS", *["k"] * 40)
        found = self.context.run([b"SLOWLOG", b"GET"])[0][3]
        self.assertEqual((len(found), found[-1]), (32, b"... (10 more arguments)"))
        self.run_table([("CONFIG SET slowlog-log-slower-than -1", b"+OK\r\n")])
        self.assertFalse(self.context.session.special)

    def test_a_command_that_fails_is_measured_too(self):
        self.run_table([("CONFIG SET slowlog-log-slower-than 0", b"+OK\r\n"), ("INCR a", b":1\r\n"),
                        ("INCRBY a x", NOT_AN_INTEGER)])
        self.assertEqual([slow[3] for slow in self.context.run([b"SLOWLOG", b"GET"])][:2],
                         [[b"INCRBY", b"a", b"x"], [b"INCR", b"a"]])

    def test_latencies_are_not_watched(self):
        self.run_table([
            ("LATENCY LATEST", b"*0\r\n"), ("LATENCY HISTORY command", b"*0\r\n"), ("LATENCY RESET", b":0\r\n"),
            ("LATENCY RESET a b", b":0\r\n"), ("LATENCY HISTOGRAM get", b"*0\r\n"),
            ("LATENCY GRAPH command", b"-ERR No samples available for event 'command'\r\n"),
            ("LATENCY NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try LATENCY HELP.\r\n")])
        self.assertIn(b"SLOWLOG", self.context.run([b"LATENCY", b"DOCTOR"]))

    def test_there_are_no_modules(self):
        refused = (b'-ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can '
                   b'run '
                   b"it from a local connection, otherwise you need to set this option in the configuration file, and "
                   b"then restart the server.\r\n")
        self.run_table([
            ("MODULE LIST", b"*0\r\n"), ("MODULE LOAD x", refused), ("MODULE LOADEX x ARGS y", refused),
            ("MODULE UNLOAD x", refused), ("MODULE LIST x", wrong_arity(b"module|list")),
            ("MODULE", wrong_arity(b"module")), ("MODULE UNLOAD x y", wrong_arity(b"module|unload")),
            ("MODULE NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try MODULE HELP.\r\n")])

    def test_an_error_that_was_asked_for(self):
        self.run_table([(["DEBUG", "ERROR", "OOM no more"], b"-OOM no more\r\n"),
                        (["DEBUG", "ERROR", "LOADING a\r\nb"], b"-LOADING a  b\r\n"),
                        ("DEBUG ERROR", wrong_arity(b"debug|error"))])

    def test_memory(self):
        self.run_table([(["SET", "a", "x" * 1000], b"+OK\r\n"), ("RPUSH l a b c", b":3\r\n"),
                        ("MEMORY USAGE none", NULL),
                        ("MEMORY USAGE a SAMPLES x", NOT_AN_INTEGER), ("MEMORY USAGE a SAMPLES -1", SYNTAX),
                        ("MEMORY USAGE a BOGUS 1", SYNTAX), ("MEMORY USAGE a SAMPLES", SYNTAX),
                        ("MEMORY PURGE", b"+OK\r\n"), ("MEMORY USAGE", wrong_arity(b"memory|usage"))])
        self.assertTrue(1000 < self.context.run([b"MEMORY", b"USAGE", b"a"]) < 1200)
        self.assertTrue(300 < self.context.run([b"MEMORY", b"USAGE", b"l", b"SAMPLES", b"0"]) < 1200)
        self.assertIn((b"keys.count", 2), self.context.run([b"MEMORY", b"STATS"]))
        for name in (b"DOCTOR", b"MALLOC-STATS"):
            self.assertIs(type(self.context.run([b"MEMORY", name])), resp.Verbatim)

    def test_debug(self):
        self.run_table([
            ("SET a 123", b"+OK\r\n"), ("SET b 123", b"+OK\r\n"), ("RPUSH l x", b":1\r\n"), ("SADD s a b", b":2\r\n"),
            ("SADD t b a", b":2\r\n"), ("DEBUG OBJECT none", b"-ERR no such key\r\n"),
            ("DEBUG OBJECT a",
             b"+Value at:0x0 refcount:1 encoding:int serializedlength:2 lru:0 lru_seconds_idle:0\r\n"),
            ("DEBUG QUICKLIST-PACKED-THRESHOLD 100b", b"+OK\r\n"), ("DEBUG SLEEP x",
                                                                    b"-ERR timeout is not a float or out of range\r\n"),
            ("DEBUG NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try DEBUG HELP.\r\n")])
        a, b, l, s, t, none = self.context.run([b"DEBUG", b"DIGEST-VALUE", b"a", b"b", b"l", b"s", b"t", b"none"])
        self.assertEqual((a, s, none), (b, t, "0" * 40))
        self.assertEqual(len({a, l, s, none}), 4)
        whole = self.context.run([b"DEBUG", b"DIGEST"])
        self.context.call("RENAME", "a", "c")
        self.assertNotEqual(self.context.run([b"DEBUG", b"DIGEST"]), whole)
        self.context.call("RENAME", "c", "a")
        self.assertEqual(self.context.run([b"DEBUG", b"DIGEST"]), whole)

    def test_debug_is_for_this_machine(self):
        session = self.context.session
        for local, address, allowed in ((True, "", True), (False, "127.0.0.1:5000", True), (False, "[::1]:5000", True),
                                        (False, "192.0.2.1:5000", False), (False, "127.0.0.10:5000", False)):
            session.local, session.address = local, address
            for words in (["SLEEP", "0"], ["DIGEST"], ["SET-ACTIVE-EXPIRE", "1"], ["RELOAD"]):
                answer = self.context.call("DEBUG", *words)
                self.assertEqual(answer.startswith(b"-ERR DEBUG command not allowed. If the"), not allowed, address)

    def test_expired_keys_stay_where_that_is_wanted(self):
        self.run_table([("DEBUG SET-ACTIVE-EXPIRE 0", b"+OK\r\n"), ("SET a 1 PX 1", b"+OK\r\n")])
        self.keyspace.now_ms += 5000
        self.assertFalse(self.keyspace.reclaim_expired())
        self.run_table([("DBSIZE", b":1\r\n"), ("GET a", NULL), ("DEBUG SET-ACTIVE-EXPIRE 1", b"+OK\r\n")])
        self.assertTrue(self.keyspace.reclaim_expired())
        self.run_table([("DBSIZE", b":0\r\n")])

    def test_a_walk_removes_what_has_expired(self):
        self.run_table([("DEBUG SET-ACTIVE-EXPIRE 0", b"+OK\r\n")])
        for number in range(300):
            self.context.call("SET", "stays%d" % number, "x")
            self.context.call("SET", "goes%d" % number, "x", "PX", "1")
        self.context.call("HSET", "hash", "f", "v")
        self.context.call("PEXPIRE", "hash", "1")
        self.keyspace.now_ms += 2
        self.run_table([("DBSIZE", b":601\r\n")])
        cursor, found = b"0", []
        while True:
            cursor, keys = self.context.run([b"SCAN", cursor, b"TYPE", b"string"])
            found += keys
            if cursor == b"0":
                break
        self.assertEqual(sorted(found), sorted(b"stays%d" % number for number in range(300)))
        self.run_table([("DBSIZE", b":300\r\n")])
        self.assertEqual((self.keyspace.expired_count, self.keyspace.expiring), (301, 0))

    def test_reloading_makes_everything_anew(self):
        self.run_table([
            ("SET text x EX 100", b"+OK\r\n"), ("RPUSH list a b", b":2\r\n"), ("EXPIRE list 50", b":1\r\n"),
            ("ZADD zset 1 a 2 b", b":2\r\n"), ("XADD stream 1-1 f v", bulk(b"1-1")), ("SELECT 3", b"+OK\r\n"),
            ("HSET hash f v", b":1\r\n")])
        before, digest = contents(self.keyspace), self.context.run([b"DEBUG", b"DIGEST"])
        structure = self.keyspace.lookup(b"list").structure
        self.run_table([("DEBUG RELOAD", b"+OK\r\n"), ("DEBUG RELOAD NOSAVE", b"+OK\r\n")])
        self.assertEqual((contents(self.keyspace), self.context.run([b"DEBUG", b"DIGEST"])), (before, digest))
        self.assertIsNot(self.keyspace.lookup(b"list").structure, structure)


class ServerTest(EngineTest):
    def test_saving(self):
        server = self.context.server
        self.run_table([
            ("LASTSAVE", b":1600000000\r\n"), ("BGSAVE x", SYNTAX), ("BGSAVE SCHEDULE x", SYNTAX),
            ("BGSAVE", b"+Background saving started\r\n"),
            ("BGSAVE", b"-ERR Background save already in progress\r\n"),
            ("BGSAVE schedule", b"+Background saving scheduled\r\n"),
            ("BGREWRITEAOF", b"-ERR Background append only file rewriting already in progress\r\n"),
            ("SAVE x", wrong_arity(b"save"))])
        del server.asked[:]
        self.assertIs(self.context.run([b"SAVE"]), self.context.deferred)
        self.assertEqual(server.asked, ["save for 1"])
        self.run_table([("BGREWRITEAOF", b"+Background append only file rewriting started\r\n")])

    def test_ending(self):
        self.run_table([("SHUTDOWN x", SYNTAX), ("SHUTDOWN SAVE NOSAVE", SYNTAX), ("SHUTDOWN ABORT NOW", SYNTAX),
                        ("SHUTDOWN ABORT", b"-ERR No shutdown in progress.\r\n")])
        self.assertEqual(self.context.server.asked, [])
        self.assertIs(self.context.run([b"SHUTDOWN", b"nosave", b"now"]), self.context.deferred)
        self.assertEqual(self.context.server.asked, ["shut_down for 1"])

    def test_not_within_a_transaction(self):
        for name in ("SAVE", "SHUTDOWN"):
            self.run_table([("MULTI", b"+OK\r\n"), (name, b"-ERR Command not allowed inside a transaction\r\n"),
                            ("EXEC", b"-EXECABORT Transaction discarded because of previous errors.\r\n")])
        self.context.may_block = False
        for name in ("SAVE", "SHUTDOWN"):
            self.assertTrue(self.context.call(name).startswith(b"-ERR what is answered later"))
        self.assertEqual(self.context.server.asked, [])

    def test_not_without_permission(self):
        reader = EngineContext(keyspace=self.keyspace)
        reader.session.may_write = False
        for words in (["SAVE"], ["SHUTDOWN"], ["CONFIG", "SET", "hz", "5"], ["DEBUG", "SLEEP", "1"], ["BGSAVE"],
                      ["REPLICAOF", "NO", "ONE"], ["SWAPDB", "0", "1"], ["FLUSHALL"], ["SLOWLOG", "RESET"]):
            with self.assertRaises(errors.PermissionRefusedError):
                reader.run([word.encode() for word in words])
        self.assertEqual(reader.server.asked, [])

    def test_alone(self):
        self.run_table([
            ("ROLE", b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), ("WAIT 1 0", b":0\r\n"), ("WAIT x 0", NOT_AN_INTEGER),
            ("WAIT 1 x", b"-ERR timeout is not an integer or out of range\r\n"),
            ("WAIT 1 -1", b"-ERR timeout is negative\r\n"), ("WAIT 1", wrong_arity(b"wait")),
            ("REPLICAOF no ONE", b"+OK\r\n"), ("SLAVEOF NO ONE", b"+OK\r\n"),
            ("REPLICAOF a b", b"-ERR Invalid master port\r\n"), ("REPLICAOF a 65536", b"-ERR Invalid master port\r\n"),
            ("FAILOVER", b"-ERR FAILOVER requires connected replicas.\r\n"),
            ("FAILOVER ABORT", b"-ERR No failover in progress.\r\n"), ("FAILOVER x", SYNTAX),
            ("CLUSTER INFO", NO_CLUSTER), ("CLUSTER SLOTS", NO_CLUSTER), ("CLUSTER KEYSLOT a", NO_CLUSTER),
            ("CLUSTER INFO x", wrong_arity(b"cluster|info")), ("READONLY", NO_CLUSTER), ("ASKING", NO_CLUSTER),
            ("CLUSTER NOSUCH", b"-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.\r\n"),
            ("FUNCTION FLUSH", b"+OK\r\n"), ("FUNCTION FLUSH async", b"+OK\r\n"), ("FUNCTION LIST", b"*0\r\n"),
            ("FUNCTION FLUSH x", b"-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n"),
        ])
        self.assertTrue(self.context.call("REPLICAOF", "host", "6379").startswith(b"-ERR a grid follows"))
        self.assertIn(b"7.0.15", self.context.run([b"LOLWUT", b"VERSION", b"5"]))

    def test_migrate_finds_nobody_there(self):
        self.run_table([
            ("MIGRATE h 1 k 0 5", b"+NOKEY\r\n"), ("MIGRATE h 1 k 0", wrong_arity(b"migrate")),
            ("MIGRATE h 1 k x 5", NOT_AN_INTEGER), ("MIGRATE h 1 k 0 x", NOT_AN_INTEGER),
            ("MIGRATE h 1 k 0 5 COPY REPLACE AUTH a AUTH2 b c", b"+NOKEY\r\n"), ("MIGRATE h 1 k 0 5 x", SYNTAX),
            ("MIGRATE h 1 k 0 5 AUTH", SYNTAX), ("MIGRATE h 1 k 0 5 AUTH2 a", SYNTAX),
            ("MIGRATE h 1 k 0 5 KEYS k", b"-ERR When using MIGRATE KEYS option, the key argument must be set to the "
                                         b"empty string\r\n"),
            (["MIGRATE", "h", "1", "", "0", "5", "KEYS"], b"+NOKEY\r\n"),
            (["MIGRATE", "h", "1", "", "0", "5", "KEYS", "a", "b"], b"+NOKEY\r\n"), ("SET b 1", b"+OK\r\n"),
            ("COMMAND GETKEYS MIGRATE h 1 k 0 5", b"*1\r\n" + bulk(b"k")),
            ("COMMAND GETKEYS MIGRATE h 1 k 0 5 KEYS a", b"-ERR Invalid arguments specified for command\r\n"),
            (["COMMAND", "GETKEYS", "MIGRATE", "h", "1", "", "0", "5", "AUTH2", "KEYS", "KEYS", "KEYS", "a", "b"],
             b"*2\r\n" + bulk(b"a") + bulk(b"b")),
        ])
        for words in (["b", "0", "5"], ["", "0", "5", "REPLACE", "KEYS", "a", "b"]):
            self.assertTrue(self.context.call("MIGRATE", "h", "1", *words).startswith(b"-IOERR "), words)
        described = self.context.run([b"COMMAND", b"INFO", b"MIGRATE"])[0]
        self.assertEqual(sorted(described[2]), ["movablekeys", "write"])


if __name__ == "__main__":
    unittest.main()

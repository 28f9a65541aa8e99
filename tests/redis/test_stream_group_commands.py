"""Commands on consumer groups of streams: replies as redis-server 7.0.15 gave them, times, who waits.

HELLO 3 in a table lets what follows be answered in RESP3.
"""

from tests.support.engine_context import WALL_OFFSET_MS, EngineContext, EngineTest
from tests.support.plain_replies import plain
from tests.support.stream_tables import StreamTableTest

GROUPS = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XGROUP CREATE s g 0 FOO", "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP."),
    ("XGROUP CREATE s g x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XGROUP CREATE s g 0 ENTRIESREAD",
     "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP."),
    ("XGROUP CREATE s g 0 ENTRIESREAD x", "-ERR value is not an integer or out of range"),
    ("XGROUP CREATE s g 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1"),
    ("XGROUP CREATE s g 0 ENTRIESREAD -1", "+OK"),
    ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists"),
    ("XGROUP CREATE s g x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XGROUP CREATE s h $ ENTRIESREAD 1", "+OK"),
    ("XGROUP CREATE no g 0",
     "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
     "MKSTREAM option to create an empty stream automatically."),
    ("XGROUP CREATE no g x MKSTREAM", "-ERR Invalid stream ID specified as stream command argument"),
    ("EXISTS no", 0),
    ("XGROUP CREATE new g $ MKSTREAM", "+OK"),
    ("XLEN new", 0),
    ("XGROUP CREATE s g", "-ERR wrong number of arguments for 'xgroup|create' command"),
    ("XGROUP SETID no g 0",
     "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
     "MKSTREAM option to create an empty stream automatically."),
    ("XGROUP SETID s no 0", "-NOGROUP No such consumer group 'no' for key name 's'"),
    ("XGROUP CREATE s new -", "-ERR Invalid stream ID specified as stream command argument"),
    ("XGROUP SETID s g +", "+OK"),
    ("XGROUP SETID s g -", "+OK"),
    ("XGROUP SETID s g x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XGROUP SETID s g $ MKSTREAM",
     "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP."),
    ("XGROUP SETID s g $ ENTRIESREAD 2", "+OK"),
    ("XGROUP SETID s g", "-ERR wrong number of arguments for 'xgroup|setid' command"),
    ("XGROUP DESTROY s no", 0),
    ("XGROUP DESTROY no g",
     "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
     "MKSTREAM option to create an empty stream automatically."),
    ("XGROUP DESTROY s g x", "-ERR wrong number of arguments for 'xgroup|destroy' command"),
    ("XGROUP DESTROY s h", 1),
    ("XGROUP DESTROY s h", 0),
    ("XGROUP CREATECONSUMER s no c", "-NOGROUP No such consumer group 'no' for key name 's'"),
    ("XGROUP CREATECONSUMER s g c", 1),
    ("XGROUP CREATECONSUMER s g c", 0),
    ("XGROUP CREATECONSUMER no g c",
     "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
     "MKSTREAM option to create an empty stream automatically."),
    ("XGROUP CREATECONSUMER s g", "-ERR wrong number of arguments for 'xgroup|createconsumer' command"),
    ("XGROUP DELCONSUMER s g c", 0),
    ("XGROUP DELCONSUMER s g c", 0),
    ("XGROUP DELCONSUMER s no c", "-NOGROUP No such consumer group 'no' for key name 's'"),
    ("XGROUP DELCONSUMER no g c",
     "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
     "MKSTREAM option to create an empty stream automatically."),
    ("XGROUP DELCONSUMER s g", "-ERR wrong number of arguments for 'xgroup|delconsumer' command"),
    ("XGROUP FOO", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP."),
    ("XGROUP FOO s g", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP."),
    ("XGROUP", "-ERR wrong number of arguments for 'xgroup' command"),
    ("XGROUP HELP x", "-ERR wrong number of arguments for 'xgroup|help' command"),
    ("XINFO HELP x", "-ERR wrong number of arguments for 'xinfo|help' command"),
    ("XINFO FOO", "-ERR unknown subcommand 'FOO'. Try XINFO HELP."),
    ("XINFO", "-ERR wrong number of arguments for 'xinfo' command"),
)

READING_AS_A_GROUP = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XGROUP CREATE s g 0", "+OK"),
    ("XREADGROUP GROUP g c STREAMS s", "-ERR wrong number of arguments for 'xreadgroup' command"),
    ("XREADGROUP GROUP g c STREAMS s s >",
     "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."),
    ("XREADGROUP GROUP g c STREAMS s $",
     "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
     "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return "
     "an empty result set."),
    ("XREADGROUP GROUP g c STREAMS s no > >",
     "-NOGROUP No such key 'no' or consumer group 'g' in XREADGROUP with GROUP option"),
    ("XREADGROUP GROUP no c STREAMS s >",
     "-NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option"),
    ("XREADGROUP GROUP no c STREAMS s x",
     "-NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option"),
    ("XREADGROUP GROUP g c STREAMS s x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XREADGROUP GROUP g c STREAMS s +", "-ERR Invalid stream ID specified as stream command argument"),
    ("XREADGROUP GROUP g c COUNT x STREAMS s >", "-ERR value is not an integer or out of range"),
    ("XREADGROUP GROUP g c BLOCK x STREAMS s >", "-ERR timeout is not an integer or out of range"),
    ("XREADGROUP GROUP g c BLOCK -1 STREAMS s >", "-ERR timeout is negative"),
    ("XREADGROUP GROUP g c BLOCK 1.5 STREAMS s >", "-ERR timeout is not an integer or out of range"),
    ("XREADGROUP GROUP g c BLOCK 99999999999999999999 STREAMS s >", "-ERR timeout is not an integer or out of range"),
    ("XREADGROUP STREAMS s > 1 2 3 4", "-ERR Missing GROUP option for XREADGROUP"),
    ("XREADGROUP FOO g c STREAMS s >", "-ERR syntax error"),
    ("XREADGROUP NOACK COUNT 1 STREAMS s >", "-ERR Missing GROUP option for XREADGROUP"),
    ("XINFO CONSUMERS s g", []),
    ("XREADGROUP GROUP g c STREAMS s 0", [["s", []]]),
    ("XREADGROUP GROUP g c COUNT 1 STREAMS s >", [["s", [["1-1", ["a", "1"]]]]]),
    ("XREADGROUP GROUP g d NOACK COUNT 1 STREAMS s >", [["s", [["2-1", ["a", "2"]]]]]),
    ("XREADGROUP GROUP g e STREAMS s 18446744073709551615-18446744073709551615", [["s", [["3-1", ["a", "3"]]]]]),
    ("XREADGROUP GROUP g e STREAMS s >", "*-1"),
    ("XREADGROUP GROUP g c STREAMS s 0", [["s", [["1-1", ["a", "1"]]]]]),
    ("XREADGROUP GROUP g d STREAMS s 0", [["s", []]]),
    ("XPENDING s g - + 10", [["1-1", "c", 0, 2], ["3-1", "e", 0, 1]]),
    ("XDEL s 1-1", 1),
    ("XREADGROUP GROUP g c STREAMS s 0", [["s", [["1-1", "*-1"]]]]),
    ("XREADGROUP GROUP g c STREAMS s 1-1", [["s", []]]),
    ("XREADGROUP GROUP g c STREAMS s s 0 >", [["s", [["1-1", "*-1"]]]]),
    ("XINFO GROUPS s",
     [["name", "g", "consumers", 3, "pending", 2, "last-delivered-id", "3-1", "entries-read", 3, "lag", 0]]),
    ("XINFO CONSUMERS s g",
     [["name", "c", "pending", 1, "idle", 0], ["name", "d", "pending", 0, "idle", 0],
      ["name", "e", "pending", 1, "idle", 0]]),
    ("HELLO 3", None),
    ("XREADGROUP GROUP g c STREAMS s 0", {"s": [["1-1", None]]}),
    ("XREADGROUP GROUP g e STREAMS s 0", {"s": [["3-1", ["a", "3"]]]}),
    ("XREADGROUP GROUP g e STREAMS s >", None),
    ("XPENDING s g", [2, "1-1", "3-1", [["c", "1"], ["e", "1"]]]),
)

PENDING_ENTRIES = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XGROUP CREATE s g 0", "+OK"),
    ("XPENDING s g", [0, None, None, "*-1"]),
    ("XPENDING s g - + 10", []),
    ("XREADGROUP GROUP g c COUNT 2 STREAMS s >", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XREADGROUP GROUP g d STREAMS s >", [["s", [["3-1", ["a", "3"]]]]]),
    ("XGROUP CREATECONSUMER s g idle", 1),
    ("XPENDING s g", [3, "1-1", "3-1", [["c", "2"], ["d", "1"]]]),
    ("XPENDING s g - + 10", [["1-1", "c", 0, 1], ["2-1", "c", 0, 1], ["3-1", "d", 0, 1]]),
    ("XPENDING s g - + 1", [["1-1", "c", 0, 1]]),
    ("XPENDING s g 2 3-0 10", [["2-1", "c", 0, 1]]),
    ("XPENDING s g (1-1 (3-1 10", [["2-1", "c", 0, 1]]),
    ("XPENDING s g - + 10 d", [["3-1", "d", 0, 1]]),
    ("XPENDING s g - + 10 idle", []),
    ("XPENDING s g - + 10 nobody", []),
    ("XPENDING s g - + 10 d extra", [["3-1", "d", 0, 1]]),
    ("XPENDING s g IDLE 0 - + 10 d", [["3-1", "d", 0, 1]]),
    ("XPENDING s g IDLE 100000 - + 10", []),
    ("XPENDING s g IDLE 0 - +", "-ERR syntax error"),
    ("XPENDING s g IDLE 0 - + 10 d extra", "-ERR syntax error"),
    ("XPENDING s g IDLE x - + 10 d", "-ERR value is not an integer or out of range"),
    ("XPENDING s g - +", "-ERR syntax error"),
    ("XPENDING s g -", "-ERR syntax error"),
    ("XPENDING s g - + 0", []),
    ("XPENDING s g - + -1", []),
    ("XPENDING s g - + x", "-ERR value is not an integer or out of range"),
    ("XPENDING s g x + 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XPENDING s g - x 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XPENDING s g (18446744073709551615-18446744073709551615 + 10", "-ERR invalid start ID for the interval"),
    ("XPENDING s g - (0-0 10", "-ERR invalid end ID for the interval"),
    ("XPENDING s no", "-NOGROUP No such key 's' or consumer group 'no'"),
    ("XPENDING no g", "-NOGROUP No such key 'no' or consumer group 'g'"),
    ("XPENDING no g - + x", "-ERR value is not an integer or out of range"),
    ("XPENDING no g - + 1", "-NOGROUP No such key 'no' or consumer group 'g'"),
    ("XPENDING s", "-ERR wrong number of arguments for 'xpending' command"),
    ("XACK s g 1-1 1-1 9", 1),
    ("XACK s g 1-1", 0),
    ("XACK s g x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XACK s g 2-1 x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XACK s no x", 0),
    ("XACK no g x", 0),
    ("XACK s g", "-ERR wrong number of arguments for 'xack' command"),
    ("XPENDING s g", [2, "2-1", "3-1", [["c", "1"], ["d", "1"]]]),
    ("XGROUP DELCONSUMER s g c", 1),
    ("XGROUP DELCONSUMER s g d", 1),
    ("XPENDING s g", [0, None, None, "*-1"]),
    ("HELLO 3", None),
    ("XPENDING s g", [0, None, None, None]),
)

CLAIMING = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XGROUP CREATE s g 0", "+OK"),
    ("XREADGROUP GROUP g c COUNT 2 STREAMS s >", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XCLAIM s g d 0 1-1", [["1-1", ["a", "1"]]]),
    ("XCLAIM s g d 0 1-1 JUSTID", ["1-1"]),
    ("XPENDING s g - + 10", [["1-1", "d", 0, 2], ["2-1", "c", 0, 1]]),
    ("XCLAIM s g d 100000 2-1", []),
    ("XCLAIM s g d -5 2-1 RETRYCOUNT 7", [["2-1", ["a", "2"]]]),
    ("XCLAIM s g d 0 3-1", []),
    ("XINFO CONSUMERS s g", [["name", "c", "pending", 0, "idle", 0], ["name", "d", "pending", 2, "idle", 0]]),
    ("XCLAIM s g d 0 3-1 FORCE", [["3-1", ["a", "3"]]]),
    ("XCLAIM s g e 0 9-1 FORCE", []),
    ("XCLAIM s g e 0 1-1 1-1 RETRYCOUNT 3", [["1-1", ["a", "1"]], ["1-1", ["a", "1"]]]),
    ("XCLAIM s g e 0 2-1 LASTID 2-1", [["2-1", ["a", "2"]]]),
    ("XPENDING s g - + 10", [["1-1", "e", 0, 3], ["2-1", "e", 0, 8], ["3-1", "d", 0, 2]]),
    ("XINFO GROUPS s",
     [["name", "g", "consumers", 3, "pending", 3, "last-delivered-id", "2-1", "entries-read", 2, "lag", 1]]),
    ("XDEL s 1-1", 1),
    ("XCLAIM s g c 0 1-1 2-1", [["2-1", ["a", "2"]]]),
    ("XPENDING s g - + 10", [["2-1", "c", 0, 9], ["3-1", "d", 0, 2]]),
    ("XCLAIM s g c 0 bad", "-ERR Unrecognized XCLAIM option 'bad'"),
    ("XCLAIM s g c x 1-1", "-ERR Invalid min-idle-time argument for XCLAIM"),
    ("XCLAIM s g c 0 1-1 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'"),
    ("XCLAIM s g c 0 1-1 IDLE x", "-ERR Invalid IDLE option argument for XCLAIM"),
    ("XCLAIM s g c 0 1-1 TIME x", "-ERR Invalid TIME option argument for XCLAIM"),
    ("XCLAIM s g c 0 1-1 RETRYCOUNT x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM"),
    ("XCLAIM s g c 0 1-1 RETRYCOUNT -5", []),
    ("XCLAIM s g c 0 1-1 LASTID x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XCLAIM s g c 0 1-1 FORCE 2-1", "-ERR Unrecognized XCLAIM option '2-1'"),
    ("XCLAIM s no c x x", "-NOGROUP No such key 's' or consumer group 'no'"),
    ("XCLAIM no g c x x", "-NOGROUP No such key 'no' or consumer group 'g'"),
    ("XCLAIM s g c 0", "-ERR wrong number of arguments for 'xclaim' command"),
)

CLAIMING_WHAT_COMES = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XADD s 4-1 a 4", "4-1"),
    ("XGROUP CREATE s g 0", "+OK"),
    ("XAUTOCLAIM s g d 0 0", ["0-0", [], []]),
    ("XREADGROUP GROUP g c STREAMS s >",
     [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]], ["3-1", ["a", "3"]], ["4-1", ["a", "4"]]]]]),
    ("XAUTOCLAIM s g d 0 0 COUNT 1", ["2-1", [["1-1", ["a", "1"]]], []]),
    ("XAUTOCLAIM s g d 0 2 COUNT 1 JUSTID", ["3-1", ["2-1"], []]),
    ("XAUTOCLAIM s g d 100000 0", ["0-0", [], []]),
    ("XDEL s 1-1 3-1", 2),
    ("XAUTOCLAIM s g e 0 - COUNT 2", ["3-1", [["2-1", ["a", "2"]]], ["1-1"]]),
    ("XAUTOCLAIM s g e 0 (2-1", ["0-0", [["4-1", ["a", "4"]]], ["3-1"]]),
    ("XPENDING s g - + 10", [["2-1", "e", 0, 2], ["4-1", "e", 0, 2]]),
    ("XAUTOCLAIM s g e 0 + JUSTID", ["0-0", [], []]),
    ("XAUTOCLAIM s g e 0 0 COUNT 0", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM s g e 0 0 COUNT x", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM s g e 0 0 COUNT 99999999999999999999", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM s g e 0 0 COUNT 576460752303423488", "-ERR COUNT must be > 0"),
    ("XAUTOCLAIM s g e 0 0 COUNT", "-ERR syntax error"),
    ("XAUTOCLAIM s g e x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM"),
    ("XAUTOCLAIM s g e 0 0 FOO", "-ERR syntax error"),
    ("XAUTOCLAIM s g e 0 x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XAUTOCLAIM s g e 0 (18446744073709551615-18446744073709551615", "-ERR invalid start ID for the interval"),
    ("XAUTOCLAIM no g e 0 0", "-NOGROUP No such key 'no' or consumer group 'g'"),
    ("XAUTOCLAIM s no e 0 0", "-NOGROUP No such key 's' or consumer group 'no'"),
    ("XAUTOCLAIM s g e 0", "-ERR wrong number of arguments for 'xautoclaim' command"),
)


class TablesTest(StreamTableTest):
    def test_tables(self):
        for table in (GROUPS, READING_AS_A_GROUP, PENDING_ENTRIES, CLAIMING, CLAIMING_WHAT_COMES):
            self.check(table)


class LinesTest(EngineTest):
    def call(self, line):
        return plain(self.context.call(*line.split()))


class TimesTest(LinesTest):
    def setUp(self):
        super().setUp()
        for line in ("XADD s 1-1 a 1", "XADD s 2-1 a 1", "XADD s 3-1 a 1", "XGROUP CREATE s g 0",
                     "XREADGROUP GROUP g c COUNT 1 STREAMS s >"):
            self.call(line)
        self.keyspace.now_ms += 100
        self.call("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
        self.keyspace.now_ms += 50

    def test_idle_times(self):
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "c", 150, 1], ["2-1", "c", 50, 1]])
        self.assertEqual(self.call("XPENDING s g IDLE 51 - + 10"), [["1-1", "c", 150, 1]])
        self.assertEqual(self.call("XPENDING s g IDLE 50 - + 10 c"), [["1-1", "c", 150, 1], ["2-1", "c", 50, 1]])
        self.assertEqual(self.call("XPENDING s g IDLE 151 - + 10"), [])
        self.assertEqual(self.call("XINFO CONSUMERS s g"), [["name", "c", "pending", 2, "idle", 50]])
        self.call("XREADGROUP GROUP g c STREAMS s 1-1")
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "c", 150, 1], ["2-1", "c", 0, 2]])
        self.assertEqual(self.call("XINFO CONSUMERS s g"), [["name", "c", "pending", 2, "idle", 0]])

    def test_a_clock_that_goes_back(self):
        self.keyspace.now_ms -= 1000
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "c", 0, 1], ["2-1", "c", 0, 1]])
        self.assertEqual(self.call("XINFO CONSUMERS s g"), [["name", "c", "pending", 2, "idle", 0]])

    def test_xclaim(self):
        self.assertEqual(self.call("XCLAIM s g d 51 1-1 2-1 JUSTID"), ["1-1"])
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "d", 0, 1], ["2-1", "c", 50, 1]])
        self.call("XCLAIM s g d 0 1-1 IDLE 30")
        self.call("XCLAIM s g d 0 2-1 TIME %d" % (WALL_OFFSET_MS + 1000))
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "d", 30, 2], ["2-1", "d", 150, 2]])
        self.call("XCLAIM s g d 0 1-1 TIME %d JUSTID" % (WALL_OFFSET_MS + 9999))
        self.call("XCLAIM s g d 0 2-1 IDLE 9999999999999 JUSTID")
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "d", 0, 2], ["2-1", "d", 0, 2]])

    def test_xautoclaim(self):
        self.assertEqual(self.call("XAUTOCLAIM s g d 51 0 JUSTID"), ["0-0", ["1-1"], []])
        self.assertEqual(self.call("XAUTOCLAIM s g d 51 0"), ["0-0", [], []])
        self.assertEqual(self.call("XPENDING s g - + 10"), [["1-1", "d", 0, 1], ["2-1", "c", 50, 1]])

    def test_xautoclaim_looks_at_ten_for_each_it_may_claim(self):
        for number in range(4, 30):
            self.call("XADD s %d-1 a 1" % number)
        self.call("XREADGROUP GROUP g c STREAMS s >")
        self.assertEqual(self.call("XAUTOCLAIM s g d 100 2 COUNT 1"), ["12-1", [], []])
        self.assertEqual(self.call("XAUTOCLAIM s g d 100 12-1 COUNT 2"), ["0-0", [], []])
        self.assertEqual(self.call("XAUTOCLAIM s g d 100 0 COUNT 1 JUSTID"), ["2-1", ["1-1"], []])

    def test_a_count_has_an_end(self):
        most = 2 ** 63 - 1
        self.call("XCLAIM s g d 0 1-1 RETRYCOUNT %d" % most)
        self.call("XCLAIM s g d 0 1-1")
        self.call("XAUTOCLAIM s g d 0 0 COUNT 1")
        self.call("XREADGROUP GROUP g d STREAMS s 0")
        self.assertEqual(self.call("XPENDING s g - + 1"), [["1-1", "d", 0, most]])


class FreeingTest(LinesTest):
    def test_a_stream_without_entries_is_freed_in_slices(self):
        self.call("XGROUP CREATE s g 0 MKSTREAM")
        for number in range(1, 6001):
            self.call("XADD s %d-1 a 1" % number)
        self.call("XREADGROUP GROUP g c STREAMS s >")
        self.call("XTRIM s MAXLEN 0")
        self.call("DEL s")
        slices = 0
        while self.keyspace.structures.work():
            slices += 1
        self.assertGreater(slices, 2)


class WaitingTest(LinesTest):
    """What happens to who waits is compared with redis-server in test_differential_streams."""

    def wait(self, line):
        client = EngineContext(other=self.context)
        self.assertIs(client.run([word.encode() for word in line.split()]), client.deferred)
        return client

    def answers(self):
        return [(number, plain(reply)) for number, reply in self.context.answers()]

    def test_the_time_is_up(self):
        self.call("XGROUP CREATE s g $ MKSTREAM")
        for line in ("XREAD BLOCK 20 STREAMS s t $ $", "XREADGROUP GROUP g c BLOCK 20 STREAMS s >"):
            client = self.wait(line)
            self.keyspace.now_ms += 19
            self.context.waiting.expire()
            self.assertEqual(self.answers(), [])
            self.keyspace.now_ms += 1
            self.context.waiting.expire()
            self.assertEqual(self.answers(), [(client.session.id, "*-1")])
        self.assertEqual(self.call("XINFO CONSUMERS s g"), [])

    def test_in_a_transaction_nobody_waits(self):
        self.call("XGROUP CREATE s g $ MKSTREAM")
        for line in ("MULTI", "XREAD BLOCK 0 STREAMS s $", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >"):
            self.call(line)
        self.assertEqual(self.call("EXEC"), ["*-1", "*-1"])

    def test_several_wait_and_each_consumer_gets_what_is_left(self):
        self.call("XGROUP CREATE s g $ MKSTREAM")
        one = self.wait("XREADGROUP GROUP g a COUNT 1 BLOCK 0 STREAMS s >")
        two = self.wait("XREADGROUP GROUP g b COUNT 1 BLOCK 0 STREAMS s >")
        reader = self.wait("XREAD BLOCK 0 STREAMS s $")
        three = self.wait("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
        for line in ("MULTI", "XADD s 1-1 a 1", "XADD s 2-1 a 1", "EXEC"):
            self.call(line)
        first, second = ["1-1", ["a", "1"]], ["2-1", ["a", "1"]]
        self.assertEqual(self.answers(), [(one.session.id, [["s", [first]]]), (two.session.id, [["s", [second]]]),
                                          (reader.session.id, [["s", [first, second]]])])
        self.call("XADD s 3-1 a 1")
        self.assertEqual(self.answers(), [(three.session.id, [["s", [["3-1", ["a", "1"]]]]])])
        self.assertEqual(self.call("XPENDING s g"), [3, "1-1", "3-1", [["a", "1"], ["b", "1"], ["c", "1"]]])

    def test_an_expired_key_ends_the_wait_when_it_is_reclaimed(self):
        self.call("XGROUP CREATE s g $ MKSTREAM")
        self.call("PEXPIRE s 100")
        client = self.wait("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")
        self.keyspace.now_ms += 200
        while self.keyspace.work():
            pass
        self.context.waiting.serve()
        self.assertEqual(self.answers(), [(client.session.id, "-UNBLOCKED the stream key no longer exists")])

    def test_resp3(self):
        client = self.wait("XREAD BLOCK 0 STREAMS s $")
        client.session.protocol = 3
        self.call("XADD s 1-1 a 1")
        self.assertEqual(self.answers(), [(client.session.id, {"s": [["1-1", ["a", "1"]]]})])

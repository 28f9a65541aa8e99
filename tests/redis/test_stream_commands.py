"""Commands on the entries of streams: replies as redis-server 7.0.15 gave them, ids, events, keys.

HELLO 3 in a table lets what follows be answered in RESP3.
"""

from nosqgrid.engine import commands
from nosqgrid.engine.structures.streams import Stream
from tests.support.engine_context import WALL_OFFSET_MS, EngineContext, EngineTest
from tests.support.plain_replies import plain
from tests.support.stream_tables import StreamTableTest

ADDING = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 5-* a 1", "5-0"),
    ("XADD s 5-* a 1", "5-1"),
    ("XADD s 5 a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
    ("XADD s 6 a 1 b 2", "6-0"),
    ("XADD s 6-01 a 1", "6-1"),
    ("XADD s 6-1 a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
    ("XADD s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
    ("XADD s 0-* a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
    ("XADD t 0-* a 1", "0-1"),
    ("XADD u 0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
    ("XADD t 0-0 a", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t 1-1", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t * a 1 b", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t *-1 a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t + a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t - a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t 1-2-3 a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t 1- a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t -1 a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t 1--1 a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t x a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t 18446744073709551616 a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t 00000000000000000000000007-+2 a 1", "7-2"),
    ("XLEN s", 5),
    ("XRANGE s - +",
     [["1-1", ["a", "1"]], ["5-0", ["a", "1"]], ["5-1", ["a", "1"]], ["6-0", ["a", "1", "b", "2"]],
      ["6-1", ["a", "1"]]]),
    ("EXISTS u", 0),
    ("XADD q 18446744073709551615-18446744073709551615 a 1", "18446744073709551615-18446744073709551615"),
    ("XADD q * a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items"),
    ("XADD q 18446744073709551615-* a 1",
     "-ERR The stream has exhausted the last possible ID, unable to add more items"),
    ("XADD q 1 a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items"),
    ("XADD r 7-18446744073709551615 a 1", "7-18446744073709551615"),
    ("XADD r 7-* a 1", "-ERR Elements are too large to be stored"),
    ("XADD r 8-* a 1", "8-0"),
    ("XLEN nobody", 0),
    ("XLEN", "-ERR wrong number of arguments for 'xlen' command"),
    ("XLEN s s", "-ERR wrong number of arguments for 'xlen' command"),
)

ADDING_OPTIONS = (
    ("XADD t MAXLEN 3", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t MAXLEN", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t MAXLEN 3 4", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t MAXLEN 3 1-1 a", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD t MAXLEN x 1-1 a 1", "-ERR value is not an integer or out of range"),
    ("XADD t MAXLEN -1 1-1 a 1", "-ERR The MAXLEN argument must be >= 0."),
    ("XADD t MAXLEN ~ 3 LIMIT 1 1-1 a 1", "1-1"),
    ("XADD t MAXLEN 3 LIMIT 1 * a 1", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
    ("XADD t MAXLEN = 3 LIMIT 1 * a 1", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
    ("XADD t MAXLEN ~ 3 LIMIT -1 * a 1", "-ERR The LIMIT argument must be >= 0."),
    ("XADD t MAXLEN ~ 3 LIMIT x * a 1", "-ERR value is not an integer or out of range"),
    ("XADD t LIMIT 3 * a 1", "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"),
    ("XADD t MAXLEN 3 MINID 4 * a 1",
     "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible"),
    ("XADD t MAXLEN 3 MAXLEN 4 * a 1",
     "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible"),
    ("XADD t MINID x * a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t MINID - * a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t MINID + * a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XADD t NOMKSTREAM 2-1 a 1", "2-1"),
    ("XADD q NOMKSTREAM 1-1 a 1", None),
    ("XADD q NOMKSTREAM 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
    ("XADD q nomkstream x a 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("EXISTS q", 0),
    ("XADD q MAXLEN 0 7 a 1", "7-0"),
    ("EXISTS q", 1),
    ("XADD q maxlen = 1 8 a 1", "8-0"),
    ("XADD q maxlen = 1 9 a 1", "9-0"),
    ("XADD q minid = 9 10 a 1", "10-0"),
    ("XADD q minid 10 nomkstream 11 a 1", "11-0"),
    ("XADD q NOMKSTREAM", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD q NOMKSTREAM 12", "-ERR wrong number of arguments for 'xadd' command"),
    ("XRANGE q - +", [["10-0", ["a", "1"]], ["11-0", ["a", "1"]]]),
)

RANGES = (
    ("XADD s 5-0 a 1", "5-0"),
    ("XADD s 5-1 a 2", "5-1"),
    ("XADD s 6-0 a 3", "6-0"),
    ("XADD s 6-1 b 4 c 5", "6-1"),
    ("XRANGE s - +", [["5-0", ["a", "1"]], ["5-1", ["a", "2"]], ["6-0", ["a", "3"]], ["6-1", ["b", "4", "c", "5"]]]),
    ("XRANGE s 5 5", [["5-0", ["a", "1"]], ["5-1", ["a", "2"]]]),
    ("XRANGE s 5-1 6", [["5-1", ["a", "2"]], ["6-0", ["a", "3"]], ["6-1", ["b", "4", "c", "5"]]]),
    ("XRANGE s (5-0 (6", [["5-1", ["a", "2"]], ["6-0", ["a", "3"]], ["6-1", ["b", "4", "c", "5"]]]),
    ("XRANGE s (5 +", [["5-1", ["a", "2"]], ["6-0", ["a", "3"]], ["6-1", ["b", "4", "c", "5"]]]),
    ("XRANGE s - (6-1", [["5-0", ["a", "1"]], ["5-1", ["a", "2"]], ["6-0", ["a", "3"]]]),
    ("XRANGE s 7 +", []),
    ("XRANGE s + -", []),
    ("XRANGE s - + COUNT 1", [["5-0", ["a", "1"]]]),
    ("XRANGE s - + count 1 COUNT 2", [["5-0", ["a", "1"]], ["5-1", ["a", "2"]]]),
    ("XRANGE s - + COUNT 0", "*-1"),
    ("XRANGE s - + COUNT -1", "*-1"),
    ("XRANGE s - + COUNT", "-ERR syntax error"),
    ("XRANGE s - + COUNT x", "-ERR value is not an integer or out of range"),
    ("XRANGE s - + FOO 1", "-ERR syntax error"),
    ("XRANGE s -", "-ERR wrong number of arguments for 'xrange' command"),
    ("XRANGE nobody - +", []),
    ("XRANGE nobody - + COUNT 0", []),
    ("XRANGE s ( +", "-ERR Invalid stream ID specified as stream command argument"),
    ("XRANGE s (- +", "-ERR Invalid stream ID specified as stream command argument"),
    ("XRANGE s x +", "-ERR Invalid stream ID specified as stream command argument"),
    ("XRANGE s - x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XRANGE s (18446744073709551615-18446744073709551615 +", "-ERR invalid start ID for the interval"),
    ("XRANGE s - (0-0", "-ERR invalid end ID for the interval"),
    ("XRANGE s - (0", []),
    ("XREVRANGE s + -", [["6-1", ["b", "4", "c", "5"]], ["6-0", ["a", "3"]], ["5-1", ["a", "2"]], ["5-0", ["a", "1"]]]),
    ("XREVRANGE s + - COUNT 1", [["6-1", ["b", "4", "c", "5"]]]),
    ("XREVRANGE s (6 -",
     [["6-1", ["b", "4", "c", "5"]], ["6-0", ["a", "3"]], ["5-1", ["a", "2"]], ["5-0", ["a", "1"]]]),
    ("XREVRANGE s (6-0 (5-0", [["5-1", ["a", "2"]]]),
    ("XREVRANGE s + (5-0", [["6-1", ["b", "4", "c", "5"]], ["6-0", ["a", "3"]], ["5-1", ["a", "2"]]]),
    ("XREVRANGE s - +", []),
    ("XREVRANGE nobody + -", []),
    ("XREVRANGE s + - COUNT 0", "*-1"),
    ("XREVRANGE s +", "-ERR wrong number of arguments for 'xrevrange' command"),
    ("XREVRANGE s + (18446744073709551615-18446744073709551615", "-ERR invalid start ID for the interval"),
    ("HELLO 3", None),
    ("XRANGE s - + COUNT 1", [["5-0", ["a", "1"]]]),
    ("XRANGE s - + COUNT 0", None),
    ("XRANGE nobody - +", []),
)

READING = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD t 3-1 b 3", "3-1"),
    ("XREAD STREAMS s 0", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XREAD STREAMS s 1", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XREAD STREAMS s 1-1", [["s", [["2-1", ["a", "2"]]]]]),
    ("XREAD STREAMS s 2-1", "*-1"),
    ("XREAD STREAMS s $", "*-1"),
    ("XREAD STREAMS s t nobody 0 0 0",
     [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]], ["t", [["3-1", ["b", "3"]]]]]),
    ("XREAD COUNT 1 STREAMS s t 0 3-1", [["s", [["1-1", ["a", "1"]]]]]),
    ("XREAD COUNT 0 STREAMS s 0", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XREAD COUNT -1 STREAMS s 1-1", [["s", [["2-1", ["a", "2"]]]]]),
    ("XREAD COUNT x STREAMS s 0", "-ERR value is not an integer or out of range"),
    ("XREAD STREAMS s 18446744073709551615-18446744073709551615", "*-1"),
    ("XREAD STREAMS s >",
     "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
     "option."),
    ("XREAD STREAMS s +", "-ERR Invalid stream ID specified as stream command argument"),
    ("XREAD STREAMS s -", "-ERR Invalid stream ID specified as stream command argument"),
    ("XREAD STREAMS s 0 0",
     "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."),
    ("XREAD STREAMS s", "-ERR wrong number of arguments for 'xread' command"),
    ("XREAD FOO BAR STREAMS s 0", "-ERR syntax error"),
    ("XREAD COUNT 2 STREAMS", "-ERR syntax error"),
    ("XREAD COUNT 2 x", "-ERR syntax error"),
    ("XREAD BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range"),
    ("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative"),
    ("XREAD BLOCK 1.5 STREAMS s 0", "-ERR timeout is not an integer or out of range"),
    ("XREAD BLOCK 99999999999999999999 STREAMS s 0", "-ERR timeout is not an integer or out of range"),
    ("XREAD BLOCK 9223372036854775807 STREAMS s 1", [["s", [["1-1", ["a", "1"]], ["2-1", ["a", "2"]]]]]),
    ("XREAD GROUP g c STREAMS s >", "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."),
    ("XREAD NOACK STREAMS s 0", "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."),
    ("XREAD STREAMS nobody 0", "*-1"),
    ("XREAD STREAMS s 0 BLOCK 4", "-ERR Invalid stream ID specified as stream command argument"),
    ("HELLO 3", None),
    ("XREAD STREAMS s t 1-1 0", {"s": [["2-1", ["a", "2"]]], "t": [["3-1", ["b", "3"]]]}),
    ("XREAD STREAMS nobody 0", None),
)

DELETING_AND_TRIMMING = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XADD s 4-1 a 4", "4-1"),
    ("XDEL s 2-1 2-1 9", 1),
    ("XDEL s 2-1", 0),
    ("XDEL s x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XDEL s 3-1 x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XDEL s", "-ERR wrong number of arguments for 'xdel' command"),
    ("XDEL nobody x", 0),
    ("XINFO STREAM s",
     ["length", 3, "radix-tree-keys", 1, "radix-tree-nodes", 2, "last-generated-id", "4-1", "max-deleted-entry-id",
      "2-1", "entries-added", 4, "recorded-first-entry-id", "1-1", "groups", 0, "first-entry", ["1-1", ["a", "1"]],
      "last-entry", ["4-1", ["a", "4"]]]),
    ("XTRIM s MAXLEN 2", 1),
    ("XTRIM s MAXLEN 2", 0),
    ("XTRIM s MINID 4", 1),
    ("XTRIM s MINID = 4-1", 0),
    ("XTRIM s MAXLEN ~ 0 LIMIT 0", 1),
    ("EXISTS s", 1),
    ("XTRIM s MAXLEN", "-ERR wrong number of arguments for 'xtrim' command"),
    ("XTRIM s MAXLEN x", "-ERR value is not an integer or out of range"),
    ("XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0."),
    ("XTRIM s MAXLEN 1 2", "-ERR syntax error"),
    ("XTRIM s FOO 2", "-ERR syntax error"),
    ("XTRIM s MAXLEN ~ 1 LIMIT 3", 0),
    ("XTRIM s MAXLEN 1 LIMIT 3", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
    ("XTRIM s LIMIT 3 MAXLEN 0", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
    ("XTRIM s LIMIT 3", "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"),
    ("XTRIM s NOMKSTREAM MAXLEN 0", "-ERR syntax error"),
    ("XTRIM s MAXLEN = 1 = 2", "-ERR syntax error"),
    ("XTRIM s MAXLEN ~", "-ERR value is not an integer or out of range"),
    ("XTRIM s MAXLEN =", "-ERR value is not an integer or out of range"),
    ("XTRIM s MINID x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XTRIM s MAXLEN 1 MINID 1", "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible"),
    ("XTRIM nobody MAXLEN 1", 0),
    ("XTRIM nobody MAXLEN x", "-ERR value is not an integer or out of range"),
)

SETTING_THE_LAST_ID = (
    ("XADD s 1-1 a 1", "1-1"),
    ("XADD s 2-1 a 2", "2-1"),
    ("XADD s 3-1 a 3", "3-1"),
    ("XDEL s 1-1", 1),
    ("XSETID s 3", "-ERR The ID specified in XSETID is smaller than the target stream top item"),
    ("XSETID s 2-1", "-ERR The ID specified in XSETID is smaller than the target stream top item"),
    ("XSETID s x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XSETID nobody 1", "-ERR no such key"),
    ("XSETID s 9 ENTRIESADDED 1",
     "-ERR The entries_added specified in XSETID is smaller than the target stream length"),
    ("XSETID s 9 ENTRIESADDED -1", "-ERR entries_added must be positive"),
    ("XSETID s 9 ENTRIESADDED x", "-ERR value is not an integer or out of range"),
    ("XSETID s 9 ENTRIESADDED", "-ERR syntax error"),
    ("XSETID s 9 MAXDELETEDID 10", "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"),
    ("XSETID s 9 MAXDELETEDID x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XSETID s 9 MAXDELETEDID", "-ERR syntax error"),
    ("XSETID s 9 FOO 8", "-ERR syntax error"),
    ("XSETID s", "-ERR wrong number of arguments for 'xsetid' command"),
    ("XSETID s 9 MAXDELETEDID 8 ENTRIESADDED 20", "+OK"),
    ("XINFO STREAM s",
     ["length", 2, "radix-tree-keys", 1, "radix-tree-nodes", 2, "last-generated-id", "9-0", "max-deleted-entry-id",
      "8-0", "entries-added", 20, "recorded-first-entry-id", "2-1", "groups", 0, "first-entry",
      ["2-1", ["a", "2"]], "last-entry", ["3-1", ["a", "3"]]]),
    ("XSETID s 7", "+OK"),
    ("XADD s 5 a 1", "-ERR The ID specified in XADD is equal or smaller than the target stream top item"),
    ("XADD s 8 a 1", "8-0"),
    ("XINFO STREAM s",
     ["length", 3, "radix-tree-keys", 1, "radix-tree-nodes", 2, "last-generated-id", "8-0", "max-deleted-entry-id",
      "8-0", "entries-added", 21, "recorded-first-entry-id", "2-1", "groups", 0, "first-entry",
      ["2-1", ["a", "2"]], "last-entry", ["8-0", ["a", "1"]]]),
)

OTHER_TYPES = (
    ("SET k v", "+OK"),
    ("XADD k * a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XADD k * a", "-ERR wrong number of arguments for 'xadd' command"),
    ("XADD k NOMKSTREAM * a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XLEN k", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XRANGE k - +", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XRANGE k a b", "-ERR Invalid stream ID specified as stream command argument"),
    ("XREVRANGE k + -", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XREAD STREAMS k 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XREAD STREAMS k x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XREAD STREAMS k $", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XREAD STREAMS no k 0 x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XREADGROUP GROUP g c STREAMS k >", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP CREATE k g 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP CREATE k g 0 MKSTREAM", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP SETID k g 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP DESTROY k g", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP CREATECONSUMER k g c", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XGROUP DELCONSUMER k g c", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XDEL k x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XTRIM k MAXLEN 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XTRIM k MAXLEN x", "-ERR value is not an integer or out of range"),
    ("XSETID k 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XSETID k x", "-ERR Invalid stream ID specified as stream command argument"),
    ("XACK k g 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XACK k g x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XPENDING k g", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XPENDING k g - + 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XPENDING k g - x 1", "-ERR Invalid stream ID specified as stream command argument"),
    ("XCLAIM k g c x x", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XAUTOCLAIM k g c x x", "-ERR Invalid min-idle-time argument for XAUTOCLAIM"),
    ("XAUTOCLAIM k g c 0 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XINFO STREAM k", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XINFO STREAM k FOO", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XINFO STREAM k FULL", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XINFO GROUPS k", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("XINFO CONSUMERS k g", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ("GET k", "v"),
)


class TablesTest(StreamTableTest):
    def test_tables(self):
        for table in (ADDING, ADDING_OPTIONS, RANGES, READING, DELETING_AND_TRIMMING, SETTING_THE_LAST_ID, OTHER_TYPES):
            self.check(table)


class IdsTest(EngineTest):
    def add(self, *words):
        return plain(self.context.call("XADD", "s", *(words or ("*", "a", "1"))))

    def test_they_follow_the_clock_and_never_go_back(self):
        now = WALL_OFFSET_MS + 1000
        self.assertEqual([self.add(), self.add()], ["%d-0" % now, "%d-1" % now])
        self.keyspace.now_ms = 1005
        self.assertEqual(self.add(), "%d-0" % (now + 5))
        self.keyspace.now_ms = 900
        self.assertEqual([self.add(), self.add("NOMKSTREAM", "*", "a", "1")], ["%d-1" % (now + 5), "%d-2" % (now + 5)])
        self.assertEqual(self.add("9999999999999-18446744073709551615", "a", "1"),
                         "9999999999999-18446744073709551615")
        self.assertEqual(self.add(), "10000000000000-0")

    def test_words_of_any_bytes_and_lengths(self):
        words = [b"", b"\x00\xff\r\n", b"x" * 300, b"y" * 70000]
        for count in (2, 4):
            self.context.call("XADD", "k", "*", *words[:count])
            self.context.call("XADD", "k", "*", *(words[count - 2:count] * 300))
        entries = [entry for _, entry in self.context.run([b"XRANGE", b"k", b"-", b"+"])]
        self.assertEqual(entries, [words[:2], words[:2] * 300, words, words[2:] * 300])
        back = [entry for _, entry in self.context.run([b"XREVRANGE", b"k", b"+", b"-"])]
        self.assertEqual(back, entries[::-1])


class TrimmingTest(EngineTest):
    """Nearly trimming drops whole chunks, which hold stream-node-max-entries."""

    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, Stream, "node_entries_max", Stream.node_entries_max)
        Stream.node_entries_max = 10
        for number in range(1, 101):
            self.context.call("XADD", "s", "%d-1" % number, "item", "v")

    def call(self, line):
        return plain(self.context.call(*line.split()))

    def test_a_limit_bounds_one_call(self):
        for length in (71, 62, 63, 64):
            self.call("XADD s MAXLEN ~ 55 LIMIT 30 * item v")
            self.assertEqual(self.call("XLEN s"), length)

    def test_xtrim(self):
        for line, dropped in (("XTRIM s MAXLEN ~ 95", 0), ("XTRIM s MAXLEN ~ 85", 10), ("XTRIM s MINID ~ 25", 10),
                              ("XTRIM s MINID ~ 31 LIMIT 0", 10), ("XTRIM s MAXLEN ~ 0 LIMIT 5", 0),
                              ("XTRIM s MAXLEN ~ 0 LIMIT 10", 10), ("XTRIM s MINID 45", 4), ("XTRIM s MAXLEN 50", 6)):
            self.assertEqual(self.call(line), dropped, line)


class EventsTest(EngineTest):
    def test_events_in_their_order(self):
        self.context.pubsub.events = b"KEA"
        listener = EngineContext(other=self.context)
        listener.call("PSUBSCRIBE", "__keyevent@0__:*")
        for line, events in (
                ("XADD s 1-1 a 1", "xadd"), ("XADD s MAXLEN 1 2-1 a 1", "xadd xtrim"),
                ("XADD s MAXLEN 5 3-1 a 1", "xadd"), ("XADD s 3-1 a 1", ""), ("XTRIM s MAXLEN 9", ""),
                ("XTRIM s MAXLEN 1", "xtrim"), ("XDEL s 9", ""),
                ("XDEL s 3-1", "xdel"), ("XSETID s 4", "xsetid"), ("XADD s 5-1 a 1", "xadd"),
                ("XGROUP CREATE s g 0", "xgroup-create"), ("XGROUP CREATE s g 0", ""), ("XGROUP CREATECONSUMER s g c",
                "xgroup-createconsumer"), ("XGROUP CREATECONSUMER s g c", ""), ("XGROUP SETID s g 0", "xgroup-setid"),
                ("XREADGROUP GROUP g c STREAMS s >", ""), ("XREADGROUP GROUP g d STREAMS s >", ""),
                ("XREADGROUP GROUP g d STREAMS s 0", "xgroup-createconsumer"), ("XCLAIM s g e 0 5-1",
                "xgroup-createconsumer"), ("XAUTOCLAIM s g f 0 0", "xgroup-createconsumer"), ("XACK s g 5-1", ""),
                ("XGROUP DELCONSUMER s g c", "xgroup-delconsumer"), ("XGROUP DELCONSUMER s g c", ""),
                ("XGROUP DESTROY s g", "xgroup-destroy"), ("XGROUP DESTROY s g", ""),
                ("XGROUP CREATE new g $ MKSTREAM", "xgroup-create")):
            del self.context.pushed[:]
            self.context.call(*line.split())
            heard = [parts[2].rpartition(b":")[2].decode() for _, parts in self.context.pushed]
            self.assertEqual(" ".join(heard), events, line)


class KeysTest(EngineTest):
    def test_keys_of_reads(self):
        for line, keys in (
                ("XREAD STREAMS a b 0 0", ["a", "b"]), ("XREAD COUNT 2 BLOCK 5 STREAMS a 0", ["a"]),
                ("XREADGROUP GROUP STREAMS c NOACK STREAMS a b c > > >", ["a", "b", "c"]),
                ("XGROUP CREATE k g 0", ["k"]), ("XINFO STREAM k", ["k"]), ("XADD k * a 1", ["k"])):
            self.assertEqual(plain(self.context.call("COMMAND", "GETKEYS", *line.split())), keys, line)
        for line in ("XREAD STREAMS a b 0", "XREAD COUNT 2 FOO STREAMS a", "XREAD COUNT 2 STREAMS"):
            self.assertEqual(plain(self.context.call("COMMAND", "GETKEYS", *line.split())),
                             "-ERR Invalid arguments specified for command", line)

    def select(self, number):
        self.context.session.database = number
        self.context.session.changed()

    def test_databases_show_the_names_that_clients_know(self):
        self.select(1)
        self.context.call("XADD", "s", "1-1", "a", "1")
        self.context.call("XGROUP", "CREATE", "s", "g", "0")
        for line, reply in (
                ("XREAD STREAMS s 0", [["s", [["1-1", ["a", "1"]]]]]),
                ("XREADGROUP GROUP g c STREAMS s >", [["s", [["1-1", ["a", "1"]]]]]),
                ("XREADGROUP GROUP g c STREAMS no >",
                 "-NOGROUP No such key 'no' or consumer group 'g' in XREADGROUP with GROUP option"),
                ("XPENDING s no", "-NOGROUP No such key 's' or consumer group 'no'"),
                ("XINFO CONSUMERS s no", "-NOGROUP No such consumer group 'no' for key name 's'"),
                ("XGROUP SETID s no 0", "-NOGROUP No such consumer group 'no' for key name 's'"), ("XLEN s", 1)):
            self.assertEqual(plain(self.context.call(*line.split())), reply, line)
        self.select(0)
        self.assertEqual(plain(self.context.call("XLEN", "s")), 0)

    def test_flags(self):
        for name, flags in (("XADD", "write denyoom fast"), ("XLEN", "readonly fast"), ("XTRIM", "write"),
                            ("XREAD", "readonly blocking movablekeys"), ("XACK", "write fast"),
                            ("XREADGROUP", "write blocking movablekeys"), ("XPENDING", "readonly")):
            row = commands.TABLE[name.encode()]
            self.assertEqual(row.flags - {"several"}, set(flags.split()), name)

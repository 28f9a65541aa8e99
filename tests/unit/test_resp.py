"""RESP: tables of exact bytes, independence of how the bytes are cut, and garbage."""

import doctest
import math
import random
import unittest
from unittest import mock

from nosqgrid import errors, limits
from nosqgrid.formats import resp, resp_reader, resp_reply, resp_request
from tests.support.tiers import slow

FUZZ_SEED = 20240607
FUZZ_CASES = 8000
TOKENS = [
    b"*", b"$", b"\r\n", b"\r", b"\n", b"0", b"-1", b"1", b"*0\r\n", b"*1\r\n", b"$0\r\n", b"$1\r\n", b"\x07",
    b"+OK\r\n", b"*2147483648\r\n", b"$67108865\r\n", b"*1048577\r\n", b"99999999999", b"00", b"+1", b"_\r\n",
    b"#t\r\n", b",1.5\r\n", b"(12\r\n", b"=4\r\ntxt:\r\n", b"%1\r\n", b"~1\r\n", b">1\r\n", b"|1\r\n", b"!3\r\nERR\r\n",
    b"-E x\r\n", b":7\r\n", b"*?\r\n", b"$?\r\n", b"PING\r\n", b"POST / HTTP/1.1\r\n", b"\xff", b"\x00"]


def cut(data, random_source, piece_max):
    """The data in pieces of random lengths."""
    pieces, position = [], 0
    while position < len(data):
        size = random_source.randint(1, piece_max)
        pieces.append(data[position:position + size])
        position += size
    return pieces


def commands_of(pieces, parser=None):
    """The commands in these pieces, and the text of the ProtocolError behind them or None."""
    parser = parser or resp.Parser(inline=True)
    found = []
    for piece in pieces:
        parser.feed(piece)
        try:
            while True:
                command = parser.next()
                if command is None:
                    break
                found.append(command)
        except errors.ProtocolError as error:
            return found, str(error)
    return found, None


def replies_of(pieces):
    """The replies in these pieces as a text that shows their types, and the text of the ProtocolError or None."""
    reader = resp.ReplyReader()
    found = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while True:
                reply = reader.next()
                if reply is resp.NEED_MORE:
                    break
                found.append(repr(reply))
        except errors.ProtocolError as error:
            return found, str(error)
    return found, None


def single_bytes(data):
    return [data[index:index + 1] for index in range(len(data))]


class EncodeReplyTest(unittest.TestCase):

    # reply, RESP2, RESP3
    TABLE = [
        (None, b"$-1\r\n", b"_\r\n"),
        (resp.NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (0, b":0\r\n", b":0\r\n"),
        (-2 ** 63, b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
        (2 ** 63, b"$19\r\n9223372036854775808\r\n", b"(9223372036854775808\r\n"),
        (True, b":1\r\n", b":1\r\n"),
        (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
        (b"a\r\nb\x00", b"$5\r\na\r\nb\x00\r\n", b"$5\r\na\r\nb\x00\r\n"),
        (bytearray(b"xy"), b"$2\r\nxy\r\n", b"$2\r\nxy\r\n"),
        ("\u20ac", b"$3\r\n\xe2\x82\xac\r\n", b"$3\r\n\xe2\x82\xac\r\n"),
        (resp.OK, b"+OK\r\n", b"+OK\r\n"),
        (resp.Simple("a\r\n-ERR b"), b"+a  -ERR b\r\n", b"+a  -ERR b\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ([1, [None], (b"x",)], b"*3\r\n:1\r\n*1\r\n$-1\r\n*1\r\n$1\r\nx\r\n",
         b"*3\r\n:1\r\n*1\r\n_\r\n*1\r\n$1\r\nx\r\n"),
        (resp.Map([(b"k", 1)]), b"*2\r\n$1\r\nk\r\n:1\r\n", b"%1\r\n$1\r\nk\r\n:1\r\n"),
        (resp.Set([1, 2]), b"*2\r\n:1\r\n:2\r\n", b"~2\r\n:1\r\n:2\r\n"),
        (resp.Push([b"m"]), b"*1\r\n$1\r\nm\r\n", b">1\r\n$1\r\nm\r\n"),
        (resp.Double(0.1), b"$19\r\n0.10000000000000001\r\n", b",0.10000000000000001\r\n"),
        (resp.Double(3), b"$1\r\n3\r\n", b",3\r\n"),
        (resp.Double(-math.inf), b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (resp.Boolean(True), b":1\r\n", b"#t\r\n"),
        (resp.Boolean(False), b":0\r\n", b"#f\r\n"),
        (resp.Verbatim("hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
        (resp.Verbatim(b"# h", kind="mkd"), b"$3\r\n# h\r\n", b"=7\r\nmkd:# h\r\n"),
        (errors.CommandError("no"), b"-ERR no\r\n", b"-ERR no\r\n"),
        (errors.GridFullError("a\nb\rc"), b"-OOM a b c\r\n", b"-OOM a b c\r\n"),
        (errors.CommandError("raw \udcff"), b"-ERR raw \xff\r\n", b"-ERR raw \xff\r\n"),
        (errors.CommandError("lone \ud800"), b"-ERR lone ?\r\n", b"-ERR lone ?\r\n"),
    ]

    def test_every_kind_of_reply_has_exact_bytes_in_both_protocols(self):
        for reply, as_resp2, as_resp3 in self.TABLE:
            with self.subTest(reply=reply):
                self.assertEqual(resp.encode_reply(reply), as_resp2)
                self.assertEqual(resp.encode_reply(reply, 3), as_resp3)
                self.assertEqual(resp.encode_reply([reply], 3), b"*1\r\n" + as_resp3)

    def test_many_elements_are_encoded_as_few_are(self):
        for kind, head in ((list, b"*%d\r\n"), (tuple, b"*%d\r\n"), (resp.Set, b"~%d\r\n")):
            for count in (1, 7, 8, 9, 100):
                for last in (b"v", b"", b"\r\n", b"x" * 1023, b"x" * 1024, b"x" * 5000, None, 7, [b"v"], resp.OK):
                    elements = [b"element %d" % number for number in range(count - 1)] + [last]
                    self.assertEqual(resp.encode_reply(kind(elements), 3), head % count + b"".join(
                        resp.encode_reply(element, 3) for element in elements), (count, last))

    def test_error_with_a_code_of_its_own_travels_with_it(self):
        error = errors.CommandError("unsupported protocol version")
        error.code = "NOPROTO"
        self.assertEqual(resp.encode_reply(error), b"-NOPROTO unsupported protocol version\r\n")

    def test_objects_that_are_no_reply_are_refused(self):
        for wrong in (1.5, {"a": 1}, {1}, object(), ValueError("x"), memoryview(b"x")):
            with self.assertRaises(TypeError):
                resp.encode_reply(wrong)
            with self.assertRaises(TypeError):
                resp.encode_reply([wrong])

    def test_a_long_double_has_17_digits_behind_the_point(self):
        for value, text in ((0.1, b"0.10000000000000001"), (13.361389338970184, b"13.36138933897018433"),
                            (-200, b"-200")):
            self.assertEqual(resp.encode_reply(resp.LongDouble(value)), b"$%d\r\n%b\r\n" % (len(text), text))
            self.assertEqual(resp.encode_reply(resp.LongDouble(value), 3), b",%b\r\n" % text)

    def test_reply_comes_back_from_the_reader_with_its_type(self):
        for reply, _, as_resp3 in self.TABLE:
            reader = resp.ReplyReader()
            reader.feed(as_resp3)
            back = reader.next()
            with self.subTest(reply=reply):
                self.assertEqual(resp.encode_reply(back, 3).replace(b"\\xff", b"\xff"), as_resp3)
                self.assertIs(reader.next(), resp.NEED_MORE)


class EncodeCommandTest(unittest.TestCase):

    def test_arguments_of_all_types_are_bulk_strings(self):
        words = ["SET", b"k\r\n", 1000, bytearray(b"b"), memoryview(b"mm"), "\u20ac"]
        self.assertEqual(resp.encode_command(*words), b"*6\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$4\r\n1000\r\n"
                                                      b"$1\r\nb\r\n$2\r\nmm\r\n$3\r\n\xe2\x82\xac\r\n")

    def test_other_types_are_refused(self):
        for wrong in (None, 1.5, True, [b"x"]):
            with self.assertRaises(TypeError):
                resp.encode_command("SET", wrong)


class ParserTest(unittest.TestCase):

    def test_commands_are_read(self):
        for data, expected in [
                (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]),
                (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n", [[b"GET", b""], [b"x"]]),
                (b"*1\r\n$6\r\na\r\nb\r\n\r\n", [[b"a\r\nb\r\n"]]),
                (b"*1\r\n$1\r\n\r\r\n*1\r\n$2\r\n\r\n\r\n", [[b"\r"], [b"\r\n"]]),
                (b"*0\r\n*0\r\n*1\r\n$1\r\na\r\n", [[b"a"]]),
                (b"*-1\r\n*-999999999\r\n*1\r\n$1\r\na\r\n", [[b"a"]]),
                (b"\r\n\n \t\r\nPING\r\n  set k\tv  \n*1\r\n$1\r\na\r\nx\n", [[b"PING"], [b"set", b"k", b"v"],
                                                                                [b"a"], [b"x"]]),
                (b"a 'b c' \"d e\" '' f\r\n", [[b"a", b"b c", b"d e", b"", b"f"]]),
                (rb'"\n\r\t\b\a\x4a\xzz\q\"\\" ' + rb"'\n\'' k'v w'" + b"\n",
                 [[b"\n\r\t\b\aJxzzq\"\\", b"\\n'", b"kv w"]]),
                (b"*1\r\n$0\r\n\r\n", [[b""]]),
                (b"*2\r\n$2\r\n$1\r\n$2\r\n*1\r\n", [[b"$1", b"*1"]])]:
            with self.subTest(data=data):
                self.assertEqual(commands_of([data]), (expected, None))
                self.assertEqual(commands_of(single_bytes(data)), (expected, None))

    def test_wrong_bytes_are_named_at_once(self):
        for data, message in [
                (b"\x00", "expected '*', got byte 0x00"),
                (b"\xff", "expected '*', got byte 0xff"),
                (b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP is not spoken here"),
                (b"POST / x HTTP/1.1\r\n", "HTTP is not spoken here"),
                (b"\r\nhost: x\r\n", "HTTP is not spoken here"),
                (b'ECHO "a\n', "unbalanced quotes in request"),
                (b'ECHO "a"b\n', "unbalanced quotes in request"),
                (b"ECHO 'a\\'\n", "unbalanced quotes in request"),
                (b'ECHO "a\\\r\n', "unbalanced quotes in request"),
                (b"*-0\r\n", "invalid multibulk length"),
                (b"*--1", "invalid multibulk length"),
                (b"*-1x", "invalid multibulk length"),
                (b"*+1", "invalid multibulk length"),
                (b"*01", "invalid multibulk length"),
                (b"* 1", "invalid multibulk length"),
                (b"*1\n", "invalid multibulk length"),
                (b"*1\rx", "invalid multibulk length"),
                (b"*\r", "invalid multibulk length"),
                (b"*12345678901", "invalid multibulk length"),
                (b"*1048577\r\n", "invalid multibulk length"),
                (b"*2147483648\r\n", "invalid multibulk length"),
                (b"*1\r\n*", "expected '$', got '*'"),
                (b"*1\r\n:", "expected '$', got ':'"),
                (b"*1\r\n\x07", "expected '$', got byte 0x07"),
                (b"*1\r\n$-", "invalid bulk length"),
                (b"*1\r\n$1_", "invalid bulk length"),
                (b"*1\r\n$\xd9\xa1", "invalid bulk length"),
                (b"*1\r\n$67109889\r\n", "invalid bulk length"),
                (b"*1\r\n$9999999999\r\n", "invalid bulk length"),
                (b"*1\r\n$1\r\nab\r\n", "a bulk string must end with CRLF"),
                (b"*1\r\n$1\r\na\n\n", "a bulk string must end with CRLF"),
                (b"*1\r\n$2\r\na\r\n\r", "a bulk string must end with CRLF")]:
            with self.subTest(data=data):
                expected = ([], "Protocol error: " + message)
                self.assertEqual(commands_of([data]), expected)
                self.assertEqual(commands_of(single_bytes(data)), expected)

    def test_line_of_words_is_bounded(self):
        longest = b"ECHO " + b"x" * (limits.RESP_INLINE_BYTES_MAX - 6)
        self.assertEqual(commands_of([longest + b"\n"]), ([longest.split()], None))
        for line in (longest + b"x", longest + b"x\n"):
            self.assertEqual(commands_of([line]), ([], "Protocol error: too big inline request"))

    def test_commands_before_a_wrong_one_are_delivered_and_none_behind_it(self):
        good = resp.encode_command("GET", "k")
        self.assertEqual(commands_of([good * 3 + b"\x01" + good]),
                         ([[b"GET", b"k"]] * 3, "Protocol error: expected '*', got byte 0x01"))

    def test_error_is_for_good(self):
        parser = resp.Parser()
        parser.feed(b"\x01")
        for _ in range(2):
            self.assertRaises(errors.ProtocolError, parser.next)
            parser.feed(resp.encode_command("PING"))
        self.assertTrue(parser.failed)
        self.assertEqual(parser.pending_size_bytes, 0)
        self.assertFalse(parser.partial)

    def test_bells_between_commands_are_skipped_and_counted(self):
        parser, ping = resp.Parser(), resp.encode_command("PING")
        self.assertEqual(commands_of([b"\x07", b"\x07\x07" + ping + b"\x07" + ping, ping + b"\x07"], parser),
                         ([[b"PING"]] * 3, None))
        self.assertEqual(parser.bells, 5)

    def test_bell_within_a_value_belongs_to_it(self):
        parser = resp.Parser()
        self.assertEqual(commands_of([resp.encode_command("SET", b"\x07", b"\x07\r\n\x07")], parser),
                         ([[b"SET", b"\x07", b"\x07\r\n\x07"]], None))
        self.assertEqual(parser.bells, 0)

    def test_partial_says_whether_a_command_has_begun(self):
        parser = resp.Parser()
        whole = resp.encode_command("GET", b"k" * 10)
        self.assertFalse(parser.partial)
        for byte in single_bytes(whole)[:-1]:
            parser.feed(byte)
            self.assertIsNone(parser.next())
            self.assertTrue(parser.partial)
        parser.feed(whole[-1:])
        self.assertEqual(parser.next(), [b"GET", b"k" * 10])
        self.assertIsNone(parser.next())
        self.assertFalse(parser.partial)

    def test_pending_size_counts_every_byte_not_yet_taken(self):
        parser, ping, get = resp.Parser(), resp.encode_command("PING"), resp.encode_command("GET", "k")
        parser.feed(ping + get + get + get[:7])
        self.assertEqual(parser.pending_size_bytes, len(ping + get + get) + 7)
        for left in (get + get, get, b""):
            self.assertIsNotNone(parser.next())
            self.assertEqual(parser.pending_size_bytes, len(left) + 7)
        self.assertIsNone(parser.next())

    def test_declared_sizes_reserve_nothing(self):
        parser = resp.Parser()
        parser.feed(b"*1048576\r\n$%d\r\nabc" % limits.RESP_ARGUMENT_BYTES_MAX)
        self.assertIsNone(parser.next())
        self.assertEqual(parser.pending_size_bytes, 3)

    def test_sum_of_a_command_is_bounded_before_it_is_kept(self):
        parser = resp.Parser()
        size = limits.RESP_ARGUMENT_BYTES_MAX
        parser.feed(b"*3\r\n$%d\r\n%b\r\n" % (size, b"x" * size))
        self.assertIsNone(parser.next())
        parser.feed(b"$%d\r\n" % size)
        with self.assertRaisesRegex(errors.ProtocolError, "a command of more than %d" % limits.QUERY_BUFFER_BYTES_MAX):
            parser.next()
        self.assertEqual(parser.pending_size_bytes, 0)

    def test_limits_are_exact(self):
        with mock.patch.multiple(limits, RESP_ARGUMENTS_MAX=2000, RESP_ARGUMENT_BYTES_MAX=5000):
            for size in (4999, 5000):
                self.assertEqual(commands_of([resp.encode_command(b"v" * size)]), ([[b"v" * size]], None))
            self.assertEqual(commands_of([b"*1\r\n$5001\r\n"]), ([], "Protocol error: invalid bulk length"))
            for count in (1999, 2000):
                self.assertEqual(commands_of([b"*%d\r\n" % count + b"$0\r\n\r\n" * count]), ([[b""] * count], None))
            self.assertEqual(commands_of([b"*2001\r\n"]), ([], "Protocol error: invalid multibulk length"))

    def test_large_value_in_pieces_is_read(self):
        value = bytes(range(256)) * 8192
        found, error = commands_of(cut(resp.encode_command("SET", value), random.Random(1), 65536))
        self.assertIsNone(error)
        self.assertTrue(found == [[b"SET", value]])

    def test_headers_known_to_the_fast_way_cannot_exceed_a_limit(self):
        count, length = max(resp_request.COUNTS.values()), max(resp_request.LENGTHS.values())
        self.assertLess(count, limits.RESP_ARGUMENTS_MAX)
        self.assertLess(length, limits.RESP_ARGUMENT_BYTES_MAX)
        self.assertLess(count * (length + resp_request._ARGUMENT_OVERHEAD_BYTES), limits.QUERY_BUFFER_BYTES_MAX)

    def test_pieces_may_be_any_buffer(self):
        data = resp.encode_command("SET", "k", b"v" * 50)
        for kind in (bytes, bytearray, memoryview):
            pieces = [kind(data[:30]), kind(data[30:60]), kind(data[60:])]
            self.assertEqual(commands_of(pieces), ([[b"SET", b"k", b"v" * 50]], None))


class CutsTest(unittest.TestCase):

    @staticmethod
    def random_word(source):
        kind = source.random()
        if kind < 0.5:
            return bytes(source.choice(b"abc\r\n*$:1\x07") for _ in range(source.randint(0, 8)))
        if kind < 0.9:
            return b"w" * source.choice([0, 1, 9, 10, 99, 100, 1024 if source.random() < 0.05 else 5])
        return b"\r\n" * source.randint(0, 60)

    def test_commands_do_not_depend_on_how_their_bytes_are_cut(self):
        source = random.Random(FUZZ_SEED)
        for case in range(150):
            expected, data, bells = [], b"", 0
            for _ in range(source.randint(1, 12)):
                count = source.choice([1, 1, 2, 3, 3, 1030 if case < 2 else 5])
                words = [self.random_word(source) for _ in range(count)]
                ring = source.choice([0, 0, 0, 1, 3])
                bells += ring
                data += b"\x07" * ring + source.choice([b"", b"", b"*0\r\n"]) + resp.encode_command(*words)
                expected.append(words)
            for pieces in ([data], single_bytes(data), cut(data, source, 20), cut(data, source, 1500)):
                parser = resp.Parser()
                self.assertEqual(commands_of(pieces, parser), (expected, None), "case %d" % case)
                self.assertEqual(parser.bells, bells)

    def random_reply(self, source, depth=0):
        kind = source.randint(0, 12 if depth < 4 else 8)
        if kind > 8:
            items = [self.random_reply(source, depth + 1) for _ in range(source.randint(0, 4))]
            if kind == 9:
                return resp.Map([(item, item) for item in items])
            return (list, resp.Set, resp.Push)[kind - 10](items)
        return (None, 17, -2 ** 70, self.random_word(source), resp.Simple("simple text"), resp.Double(2.5),
                resp.Boolean(True), resp.Verbatim("text\r\n"), errors.WrongTypeError("no"))[kind]

    def test_replies_do_not_depend_on_how_their_bytes_are_cut(self):
        source = random.Random(FUZZ_SEED)
        for case in range(150):
            replies = [self.random_reply(source) for _ in range(5)]
            data = b"\x07" + b"|1\r\n+ttl\r\n:1\r\n".join(resp.encode_reply(reply, 3) for reply in replies)
            expected = ([repr(reply) for reply in replies], None)
            for pieces in ([data], single_bytes(data), cut(data, source, 20)):
                self.assertEqual(replies_of(pieces), expected, "case %d" % case)


class ReplyReaderTest(unittest.TestCase):

    def test_replies_are_read_with_their_types(self):
        for data, expected in [
                (b"+OK\r\n", resp.Simple("OK")), (b":-7\r\n", -7), (b":+7\r\n", 7), (b"$-1\r\n", None),
                (b"*-1\r\n", None),
                (b"_\r\n", None), (b"$0\r\n\r\n", b""), (b"*0\r\n", []), (b"%0\r\n", resp.Map()),
                (b",inf\r\n", resp.Double("inf")),
                (b",1e3\r\n", resp.Double(1000)), (b"(-12345678901234567890\r\n", -12345678901234567890),
                (b"#f\r\n", resp.Boolean(False)), (b"=8\r\nmkd:# hi\r\n", resp.Verbatim("# hi", "mkd")),
                (b"!6\r\nOOM no\r\n", errors.GridFullError("no")),
                (b"-WRONGTYPE x y\r\n", errors.WrongTypeError("x y")),
                (b"-\xff\r\n", errors.CommandError("\\xff")), (b"|1\r\n+a\r\n*1\r\n:1\r\n:5\r\n", 5),
                (b"*2\r\n|0\r\n$1\r\na\r\n*1\r\n*1\r\n*0\r\n", [b"a", [[[]]]]),
                (b"%1\r\n*1\r\n:1\r\n~1\r\n_\r\n", resp.Map([([1], resp.Set([None]))]))]:
            reader = resp.ReplyReader()
            reader.feed(data)
            with self.subTest(data=data):
                reply = reader.next()
                self.assertEqual(repr(reply), repr(expected))
                self.assertIs(type(reply), type(expected))
                self.assertIs(reader.next(), resp.NEED_MORE)

    def test_wrong_bytes_are_refused(self):
        for data in [b"x", b"+a\nb\r\n", b"+a\rb\r\n", b":\r\n", b":1.5\r\n", b":9223372036854775808\r\n",
        b": 1\r\n", b"$-2\r\n",
                     b"$01", b"$?\r\n", b"*?\r\n", b"$134217729\r\n", b"*2147483648\r\n", b"$1\r\nab\r\n",
                     b"$1\r\na\n\n", b"_x\r\n",
                     b"#x\r\n", b",\r\n", b",1_0\r\n", b",0x1\r\n", b"(1.5\r\n", b"(" + b"9" * 5000 + b"\r\n",
                     b"=3\r\ntxt\r\n",
                     b"=5\r\n\xff\xff\xff:x\r\n", b"%-1\r\n", b"$-1x", b"-" + b"e" * limits.RESP_LINE_BYTES_MAX]:
            reader = resp.ReplyReader()
            reader.feed(data)
            with self.subTest(data=data[:30]):
                self.assertRaises(errors.ProtocolError, reader.next)
                reader.feed(b"+OK\r\n")
                self.assertRaises(errors.ProtocolError, reader.next)

    def test_nesting_is_bounded(self):
        deep = b"*1\r\n" * limits.RESP_DEPTH_MAX
        self.assertEqual(replies_of([deep + b":1\r\n"])[1], None)
        self.assertIn("deep", replies_of([deep + b"*1\r\n:1\r\n"])[1])
        self.assertIn("deep", replies_of([b"*1\r\n" * 10 ** 5])[1])

    def test_large_bulk_string_in_pieces_is_read(self):
        value = bytes(range(256)) * 8192
        data = resp.encode_reply([value, value])
        self.assertEqual(replies_of(cut(data, random.Random(3), 65536)), ([repr([value, value])], None))

    def test_declared_sizes_reserve_nothing(self):
        reader = resp.ReplyReader()
        reader.feed(b"*2147483647\r\n$%d\r\nabc" % limits.OUTPUT_BUFFER_BYTES_MAX)
        self.assertIs(reader.next(), resp.NEED_MORE)
        self.assertEqual(reader.pending_size_bytes, 3)

    def test_bells_between_replies_are_skipped_and_counted(self):
        reader = resp.ReplyReader()
        reader.feed(b"\x07:1\r\n\x07\x07*1\r\n:2\r\n\x07")
        self.assertEqual([reader.next(), reader.next(), reader.next()], [1, [2], resp.NEED_MORE])
        self.assertEqual(reader.bells, 4)


class FuzzTest(unittest.TestCase):
    """Any bytes are valid commands (replies) or a ProtocolError, nothing else, however they are cut."""

    @staticmethod
    def mutated(source, seeds):
        data = bytearray(b"".join(source.choice(seeds) for _ in range(source.randint(1, 4))))
        for _ in range(source.randint(0, 4)):
            where = source.randint(0, len(data))
            action = source.randint(0, 4)
            if action == 0:
                data[where:where] = source.choice(TOKENS)
            elif action == 1:
                del data[where:where + source.randint(1, 6)]
            elif action == 2 and where < len(data):
                data[where] = source.choice([data[where] ^ 1 << source.randint(0, 7), source.randint(0, 255)])
            elif action == 3:
                data[where:where + source.randint(0, 3)] = source.choice(TOKENS)
            else:
                data = data[:where] + data[source.randint(0, len(data)):]
        return bytes(data)

    def assert_valid_commands(self, found):
        for command in found:
            self.assertTrue(command and type(command) is list)
            self.assertTrue(all(type(word) is bytes for word in command))

    @slow
    def test_any_bytes_are_commands_or_a_protocol_error(self):
        source = random.Random(FUZZ_SEED)
        seeds = [resp.encode_command(*words) for words in (
            ["PING"], ["SET", "k", "v" * 20], ["SET", "k", b"\r\n\r\n"], ["MGET"] + ["k"] * 11, ["", ""], ["x" * 40])]
        failures = 0
        for case in range(FUZZ_CASES):
            data = self.mutated(source, seeds)
            whole = commands_of([data])
            self.assert_valid_commands(whole[0])
            # The error comes as soon as it is certain, but what is found does not depend on the cuts.
            self.assertEqual(commands_of(single_bytes(data)), whole, "case %d: %r" % (case, data))
            self.assertEqual(commands_of(cut(data, source, 12)), whole, "case %d: %r" % (case, data))
            if whole[1] is None and whole[0]:
                again = b"".join(resp.encode_command(*command) for command in whole[0])
                self.assertEqual(commands_of([again]), (whole[0], None))
            failures += whole[1] is not None
        self.assertTrue(FUZZ_CASES * 0.2 < failures < FUZZ_CASES * 0.9, "the mutations are too mild or too wild")

    @slow
    def test_any_bytes_are_replies_or_a_protocol_error(self):
        source = random.Random(FUZZ_SEED + 1)
        seeds = [resp.encode_reply(reply, 3) for reply, _, _ in EncodeReplyTest.TABLE] + [b"|1\r\n+a\r\n:1\r\n",
        b"\x07"]
        failures = 0
        for case in range(FUZZ_CASES):
            data = self.mutated(source, seeds)
            whole = replies_of([data])
            self.assertEqual(replies_of(single_bytes(data)), whole, "case %d: %r" % (case, data))
            self.assertEqual(replies_of(cut(data, source, 12)), whole, "case %d: %r" % (case, data))
            failures += whole[1] is not None
        self.assertTrue(FUZZ_CASES * 0.2 < failures < FUZZ_CASES * 0.9, "the mutations are too mild or too wild")


class DoctestTest(unittest.TestCase):

    def test_examples_in_the_docstrings_hold(self):
        for module in (resp_request, resp_reply, resp_reader):
            result = doctest.testmod(module)
            self.assertEqual(result.failed, 0)
            self.assertGreater(result.attempted, 0)


if __name__ == "__main__":
    unittest.main()

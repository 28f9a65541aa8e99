"""The readers of whole commands and replies against those that take pieces."""

import random
import unittest

from nosqgrid.errors import NosqgridError, ProtocolError
from nosqgrid.formats.resp import NEED_MORE, Double, Map, Parser, ReplyReader, Simple, encode_command, encode_reply
from nosqgrid.formats.resp_whole import decode_command, decode_reply

PLAIN = (b"", b"a", b"\r\n", b"x" * 100, b"y" * 2000, 0, 1, -1, 1023, 1024, 10 ** 17, 10 ** 18, 2 ** 63 - 1, -2 ** 63,
         None, True, Double("1.5"), Simple("text"), Map([(b"a", 1)]), [], [[], [b"", [1]]])


def plainly(data):
    reader = ReplyReader()
    reader.feed(data)
    return reader.next()


def outcome(function, data):
    """What it gives, so that two of them can be compared with their types."""
    try:
        reply = function(data)
    except ProtocolError as error:
        return "ProtocolError", str(error)
    return described(reply)


def described(reply):
    if isinstance(reply, NosqgridError):
        return type(reply), str(reply)
    if isinstance(reply, list):
        return type(reply), [described(item) for item in reply]
    return type(reply), repr(reply)


def command_plainly(data):
    parser = Parser()
    parser.feed(data)
    words = parser.next()
    return None if parser.pending_size_bytes else words


class WholeCommandTest(unittest.TestCase):
    def same(self, data):
        self.assertEqual(outcome(decode_command, data), outcome(command_plainly, data), data[:200])

    def test_commands(self):
        for words in ([b"PING"], [b"GET", b"k"], [b"SET", b"", b"\r\n"], [b"SET", b"k", b"x" * 5000],
                      [b"DEL"] + [b"k"] * 1023, [b"DEL"] + [b"k"] * 1024, [b"ECHO", b"$1\r\na\r\n"]):
            data = encode_command(*words)
            self.assertEqual(decode_command(data), words)
            self.same(data)
            self.same(data + b"*1\r\n$4\r\nPING\r\n")
            self.same(data + b"\x07")
            self.same(b"\x07" + data)

    def test_each_beginning_and_each_byte_more(self):
        data = encode_command(b"SET", b"k", b"", b"value")
        for size in range(len(data) + 1):
            self.same(data[:size])
        for byte in range(256):
            self.same(data + bytes((byte,)))

    def test_what_is_no_command(self):
        for data in (b"", b"\r\n", b"*0\r\n", b"*-1\r\n", b"*1\r\n", b"*1\r\n$-1\r\n", b"*01\r\n$1\r\na\r\n",
                     b"*1\r\n$01\r\na\r\n", b"*1\r\n$2\r\na\r\n", b"*1\r\n:1\r\n", b"PING\r\n", b"*1025\r\n"):
            self.same(data)

    def test_bytes_changed_at_random(self):
        rng = random.Random(2)
        commands = [b"PING"], [b"SET", b"k", b"v"], [b"ECHO", b"\r\n$1\r\n"], [b"A", b""]
        seeds = [encode_command(*words) for words in commands]
        for _ in range(20000):
            data = bytearray(rng.choice(seeds))
            for _ in range(rng.randrange(3)):
                data[rng.randrange(len(data))] = rng.choice(b"\r\n$*:+-0129a_#,~%>|(!=\x07")
            self.same(bytes(data[:rng.choice((1000, 1000, rng.randrange(len(data) + 1)))]))


class WholeReplyTest(unittest.TestCase):
    def same(self, data):
        self.assertEqual(outcome(decode_reply, data), outcome(plainly, data), data[:200])

    def test_each_kind_of_reply(self):
        for protocol in (2, 3):
            for value in PLAIN:
                self.same(encode_reply(value, protocol))
                self.same(encode_reply([value, 5, [value]], protocol))

    def test_what_is_common(self):
        data = b"*3\r\n$1\r\na\r\n:12\r\n*2\r\n$-1\r\n$0\r\n\r\n"
        self.assertEqual(decode_reply(data), [b"a", 12, [None, b""]])
        self.assertIs(decode_reply(data[:-1]), NEED_MORE)
        self.assertEqual(str(decode_reply(b"-ERR no\r\n")), str(plainly(b"-ERR no\r\n")))

    def test_each_beginning_of_a_reply(self):
        data = b"*4\r\n$1\r\na\r\n:12\r\n*2\r\n$-1\r\n$0\r\n\r\n+OK\r\n"
        for size in range(len(data) + 1):
            self.same(data[:size])

    def test_depth(self):
        for depth in range(40):
            self.same(b"*1\r\n" * depth + b":1\r\n")

    def test_numbers_that_are_none(self):
        for text in (b"", b"01", b"+1", b"-1", b" 1", b"1 ", b"1_0", b"1\r", b"1\n", b"99999999999999999999", b"\xb2",
                     b"-0", b"1024", b"1025", b"2", b"-2", b"\xd9\xa1"):
            for kind in (b":", b"$", b"*"):
                self.same(kind + text + b"\r\n:1\r\n:2\r\n")
                self.same(b"*2\r\n" + kind + text + b"\r\n:1\r\n:2\r\n")

    def test_bytes_changed_at_random(self):
        rng = random.Random(1)
        seeds = [encode_reply(value, protocol) for value in PLAIN for protocol in (2, 3)]
        seeds += [encode_reply([b"bench:1", 1, 6, b"{}", 1, b"", b"", 0, 60000, 1796116790400], 2)]
        for _ in range(20000):
            data = bytearray(rng.choice(seeds)[:300])
            for _ in range(rng.randrange(3)):
                data[rng.randrange(len(data))] = rng.choice(b"\r\n$*:+-0129a_#,~%>|(!=\x07")
            self.same(bytes(data))


if __name__ == "__main__":
    unittest.main()

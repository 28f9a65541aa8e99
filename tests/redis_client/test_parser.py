"""Bytes into replies: every type, however the bytes are cut; and what is no reply."""

import random
import unittest

from nosqgrid.redis.exceptions import BusyLoadingError, InvalidResponse, NoScriptError, ResponseError
from nosqgrid.redis.parser import DEPTH_MAX, LINE_BYTES_MAX, NEED_MORE, Push, ReplyParser

REPLIES = (
    (b"+OK\r\n", b"OK"), (b":-12\r\n", -12), (b"$3\r\na\r\n\r\n", b"a\r\n"), (b"$0\r\n\r\n", b""), (b"$-1\r\n", None),
    (b"*-1\r\n", None), (b"*0\r\n", []), (b"_\r\n", None), (b",1.5\r\n", 1.5), (b",-inf\r\n", float("-inf")),
    (b"#t\r\n", True), (b"#f\r\n", False), (b"(123456789012345678901234567890\r\n", 123456789012345678901234567890),
    (b"=7\r\ntxt:a\r\n\r\n", b"a\r\n"), (b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", [[1], b"x"]),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", {b"a": 1, b"b": [2]}), (b"~2\r\n:1\r\n:2\r\n", {1, 2}),
    (b"~1\r\n*1\r\n:1\r\n", [[1]]), (b"%1\r\n*1\r\n:1\r\n:2\r\n", {(1,): 2}), (b"%0\r\n", {}),
    (b"|1\r\n+ttl\r\n:5\r\n:7\r\n", 7), (b"*2\r\n|1\r\n+ttl\r\n:5\r\n:7\r\n:8\r\n", [7, 8]),
    (b">2\r\n+message\r\n:1\r\n", [b"message", 1]), (b"$70000\r\n" + b"x" * 70000 + b"\r\n", b"x" * 70000))


class ReplyTests(unittest.TestCase):
    def test_each_type_comes_as_what_it_is(self):
        for data, expected in REPLIES:
            with self.subTest(data[:40]):
                parser = ReplyParser()
                parser.feed(data)
                reply = parser.read()
                self.assertEqual(reply, expected)
                self.assertIs(parser.read(), NEED_MORE)
                self.assertFalse(parser.pending())

    def test_it_does_not_matter_how_the_bytes_are_cut(self):
        chance = random.Random(5)
        whole = b"".join(data for data, _ in REPLIES)
        for step in (1, 2, 7, 4096, None):
            parser, found, position = ReplyParser(), [], 0
            while position < len(whole):
                size = chance.randrange(1, 5000) if step is None else step
                parser.feed(whole[position:position + size])
                position += size
                while True:
                    reply = parser.read()
                    if reply is NEED_MORE:
                        break
                    found.append(reply)
            self.assertEqual(found, [expected for _, expected in REPLIES])

    def test_a_reply_that_is_not_whole_is_pending(self):
        for data, _ in REPLIES:
            parser = ReplyParser()
            parser.feed(data[:-1])
            self.assertIs(parser.read(), NEED_MORE)
            self.assertTrue(parser.pending(), data[:40])

    def test_text_is_decoded_where_that_is_asked_for(self):
        parser = ReplyParser()
        parser.feed("+OK\r\n*2\r\n$2\r\n\u00e9\r\n:1\r\n=6\r\ntxt:hi\r\n".encode())
        self.assertEqual([parser.read(True) for _ in range(3)], ["OK", ["\u00e9", 1], "hi"])

    def test_a_push_is_known_as_one(self):
        parser = ReplyParser()
        parser.feed(b">1\r\n:1\r\n")
        self.assertIs(type(parser.read()), Push)

    def test_errors_are_objects_of_their_class(self):
        parser = ReplyParser()
        parser.feed(b"-NOSCRIPT No matching script.\r\n-ERR bad\r\n-WRONGTYPE x\r\n!9\r\nERR a\r\nb!\r\n"
                    b"*1\r\n-LOADING wait\r\n")
        found = [parser.read() for _ in range(5)]
        self.assertEqual([type(error) for error in found[:4]], [NoScriptError, ResponseError, ResponseError,
                                                                ResponseError])
        self.assertEqual([str(error) for error in found[:4]], ["No matching script.", "bad", "WRONGTYPE x", "a\r\nb!"])
        self.assertIs(type(found[4][0]), BusyLoadingError)

    def test_what_is_no_reply_is_refused(self):
        for data in (b"?\r\n", b"\r\n", b"$x\r\n", b"$-2\r\n", b"*-2\r\n", b"%-1\r\n", b":1x\r\n", b":\r\n", b",a\r\n",
                     b"#x\r\n", b"$1_0\r\n", b"$" + b"9" * 30 + b"\r\n", b"*1\r\n" * (DEPTH_MAX + 1),
                     b"+" + b"x" * (LINE_BYTES_MAX + 1), b"%1\r\n%0\r\n:1\r\n"):
            with self.subTest(data[:20]):
                parser = ReplyParser()
                parser.feed(data)
                with self.assertRaises(InvalidResponse):
                    parser.read()

    def test_garbage_raises_nothing_else(self):
        chance = random.Random(6)
        alphabet = b"$*+-:_,#(=%~>|!0123456789\r\n\r\n\r\nab"
        outcomes = set()
        for _ in range(3000):
            parser = ReplyParser()
            parser.feed(bytes(chance.choice(alphabet) for _ in range(chance.randrange(1, 30))))
            try:
                while parser.read() is not NEED_MORE:
                    outcomes.add("reply")
                outcomes.add("more")
            except InvalidResponse:
                outcomes.add("refused")
        self.assertEqual(outcomes, {"reply", "more", "refused"})


if __name__ == "__main__":
    unittest.main()

"""What the parser takes of somebody who has not logged in, and of somebody who may send no lines."""

import unittest

from nosqgrid.errors import ProtocolError
from nosqgrid.formats.resp import Parser, encode_command

PROTOCOL_ERROR = "Protocol error: "


class StrangerTest(unittest.TestCase):

    def setUp(self):
        self.parser = Parser()
        self.parser.trusted = False

    def refused(self, data, reason):
        self.parser.feed(data)
        with self.assertRaises(ProtocolError) as raised:
            self.parser.next()
        self.assertEqual(str(raised.exception), PROTOCOL_ERROR + reason)

    def test_what_it_takes_to_log_in_is_read(self):
        words = [b"HELLO", b"3", b"AUTH", b"user", b"x" * 16384, b"SETNAME", b"name"]
        self.parser.feed(encode_command(*words) + encode_command(*[b"w"] * 10))
        self.assertEqual(self.parser.short_commands(), [])
        self.assertEqual(self.parser.next(), words)
        self.assertEqual(self.parser.next(), [b"w"] * 10)
        self.assertIsNone(self.parser.next())

    def test_more_words_longer_words_or_more_in_all_are_not(self):
        self.refused(b"*11\r\n", "unauthenticated multibulk length")
        self.setUp()
        self.refused(b"*2\r\n$16385\r\n", "unauthenticated bulk length")
        self.setUp()
        self.refused(encode_command(*[b"x" * 16384] * 4), "a command of more than 65536 bytes")

    def test_the_words_of_who_is_not_known_are_not_cut_the_fast_way(self):
        self.refused(encode_command(*[b"w"] * 11), "unauthenticated multibulk length")

    def test_who_has_logged_in_sends_what_he_likes_with_the_next_command(self):
        long = [b"w"] * 11 + [b"x" * 20000]
        self.parser.feed(encode_command(b"AUTH", b"secret") + encode_command(*long))
        self.assertEqual(self.parser.next(), [b"AUTH", b"secret"])
        self.parser.trusted = True
        self.assertEqual(self.parser.next(), long)
        self.parser.feed(encode_command(*[b"w"] * 11))
        self.assertEqual(self.parser.short_commands(), [[b"w"] * 11])

    def test_lines_are_read_only_where_they_are_to_be(self):
        parser = Parser(inline=True)
        parser.feed(b"PING\r\n")
        self.assertEqual(parser.next(), [b"PING"])
        self.refused(b"PING\r\n", "expected '*', got 'P'; inline commands are not accepted here")

    def test_empty_lines_are_skipped_where_others_are_refused(self):
        self.parser.feed(b"\r\n" + encode_command(b"PING") + b"\n\r\n")
        self.assertEqual((self.parser.next(), self.parser.next()), ([b"PING"], None))
        self.parser.feed(b"\r")
        self.assertIsNone(self.parser.next())
        self.parser.feed(b"\n" + encode_command(b"PING"))
        self.assertEqual((self.parser.next(), self.parser.next()), ([b"PING"], None))
        self.refused(b"\rPING\r\n", "expected LF after CR, got 'P'")
        self.setUp()
        self.refused(b" \r\n", "expected '*', got ' '; inline commands are not accepted here")


if __name__ == "__main__":
    unittest.main()

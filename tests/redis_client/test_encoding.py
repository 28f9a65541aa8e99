"""Commands into bytes."""

import unittest

from nosqgrid.formats.resp import Parser
from nosqgrid.redis.encoding import LARGE_BYTES, Encoder, pack, pack_all
from nosqgrid.redis.exceptions import DataError


def words_of(pieces):
    """The commands in pieces of bytes, as the server reads them."""
    parser = Parser()
    parser.feed(b"".join(pieces))
    found = []
    while True:
        command = parser.next()
        if not isinstance(command, list):
            return found
        found.append(command)


class EncodingTests(unittest.TestCase):
    def test_words_of_every_type(self):
        pieces = pack(("SET", "k\u00e9", b"v", 1, -1.5, bytearray(b"x"), memoryview(b"y")), Encoder())
        self.assertEqual(words_of(pieces), [[b"SET", "k\u00e9".encode(), b"v", b"1", b"-1.5", b"x", b"y"]])

    def test_a_name_of_two_words_is_two_words_and_an_argument_is_not(self):
        self.assertEqual(words_of(pack(("CONFIG GET", "a b"), Encoder())), [[b"CONFIG", b"GET", b"a b"]])
        self.assertEqual(words_of(pack((b"ping",), Encoder())), [[b"ping"]])

    def test_other_encodings(self):
        self.assertEqual(words_of(pack(("SET", "\u00e9"), Encoder("latin-1"))), [[b"SET", b"\xe9"]])
        with self.assertRaises(UnicodeEncodeError):
            pack(("SET", "\u20ac"), Encoder("latin-1"))

    def test_what_has_no_meaning_is_refused(self):
        for value, name in ((None, "NoneType"), (True, "bool"), ([1], "list"), ({}, "dict")):
            with self.assertRaises(DataError) as caught:
                pack(("SET", "k", value), Encoder())
            self.assertEqual(str(caught.exception), "Invalid input of type: '%s'. Convert to a bytes, string, int or "
                                                    "float first." % name)

    def test_large_words_are_not_copied(self):
        large = b"x" * LARGE_BYTES
        pieces = pack(("SET", "k", large, "EX", 5), Encoder())
        self.assertTrue(any(piece is large for piece in pieces))
        self.assertEqual(words_of(pieces), [[b"SET", b"k", large, b"EX", b"5"]])

    def test_many_commands(self):
        commands = [("SET", "k%d" % index, "v" * index) for index in range(2000)]
        self.assertEqual(words_of(pack_all(commands, Encoder())),
                         [[word.encode() for word in command] for command in commands])
        self.assertEqual(len(pack_all(commands[:10], Encoder())), 1)


if __name__ == "__main__":
    unittest.main()

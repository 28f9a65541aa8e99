"""Redis' dumps: what is written is read, what older versions wrote is read, and garbage is refused in time."""

import doctest
import random
import struct
import unittest

from nosqgrid.errors import CorruptValueError, ValueTooLargeError
from nosqgrid.formats import compact, crc64, listpack, lzf, rdb, rdb_streams, values
from nosqgrid.limits import VALUE_SIZE_BYTES_MAX
from tests.support.tiers import FULL, slow

MUTATIONS = 200000 if FULL else 20000
INTEGERS = [0, 1, 12, 13, 63, 64, 127, 128, -1, 255, -4096, -4097, 4095, 4096, 1 << 15, -1 << 15, (1 << 23) - 1,
            1 << 23, -1 << 23, 1 << 31, -1 << 31, (1 << 63) - 1, -1 << 63]
NOT_INTEGERS = [b"", b"-", b"01", b"-0", b"+1", b" 1", b"1 ", b"9223372036854775808", b"1.5", b"x" * 63, b"x" * 64,
                b"x" * 300, b"y" * 4095, b"z" * 4096, b"w" * 20000, b"\x00\xff"]
WORDS = [b"%d" % number for number in INTEGERS] + NOT_INTEGERS


def entry_id(ms, sequence):
    return struct.pack(">QQ", ms, sequence)


STREAM = rdb_streams.Parts(
    [(entry_id(1, 1), [b"f", b"v", b"g", b"2"]), (entry_id(1, 2), [b"f", b"", b"g", b"-70000"]),
     (entry_id(5, 0), [b"other", b"x" * 200]), (entry_id(1 << 63, 7), [b"f", b"v", b"g", b"1"]),
     (entry_id((1 << 64) - 1, (1 << 64) - 1), [b"f", b"v", b"f", b"w"])],
    entry_id((1 << 64) - 1, (1 << 64) - 1), entry_id(5, 1), 9,
    [rdb_streams.GroupParts(b"g1", entry_id(1, 1), -1, []),
     rdb_streams.GroupParts(b"g2", entry_id(5, 0), 3, [
         rdb_streams.ConsumerParts(b"idle", 5, []),
         rdb_streams.ConsumerParts(b"busy", 1 << 40, [(entry_id(1, 1), 77, 1), (entry_id(5, 0), 78, 1 << 40)])])])
EXAMPLES = (
    [(values.BYTES, word) for word in WORDS]
    + [(values.LIST, WORDS), (values.LIST, [b"a"]), (values.LIST, [b"%d" % number for number in range(5000)])]
    + [(values.SET, WORDS), (values.SET, [b"1", b"-7", b"3"]), (values.SET, [b"%d" % (n << 40) for n in range(600)])]
    + [(values.HASH, [(word, b"v" + word) for word in WORDS]), (values.HASH, [(b"f", b"v"), (b"1", b"-1")])]
    + [(values.ZSET, sorted(((word, float(len(word))) for word in WORDS), key=lambda pair: pair[::-1])),
       (values.ZSET, [(b"low", float("-inf")), (b"a", -1.5), (b"b", 0.1), (b"c", 0.1), (b"d", 3e100), (b"e", 1e300),
                      (b"top", float("inf"))])]
    + [(values.STREAM, STREAM), (values.STREAM, STREAM._replace(entries=[], groups=[])),
       (values.STREAM, STREAM._replace(entries=[(entry_id(7, n), [b"f", b"%d" % n]) for n in range(1000)]))])


def as_set(example):
    """A content whose order means nothing."""
    value_type, content = example
    return value_type, sorted(content) if value_type in (values.SET, values.HASH) else content


def ziplist(words):
    """A ziplist as Redis up to 6.2 wrote it; numbers as ints among the words."""
    body, before, last = b"", 0, 0
    for word in words:
        if type(word) is bytes:
            if len(word) < 64:
                packed = bytes((len(word),)) + word
            elif len(word) < 16384:
                packed = bytes((0x40 | len(word) >> 8, len(word) & 255)) + word
            else:
                packed = b"\x80" + struct.pack(">I", len(word)) + word
        elif 0 <= word <= 12:
            packed = bytes((0xf1 + word,))
        else:
            for kind, size in ((0xfe, 1), (0xc0, 2), (0xf0, 3), (0xd0, 4), (0xe0, 8)):
                if -1 << 8 * size - 1 <= word < 1 << 8 * size - 1:
                    packed = bytes((kind,)) + word.to_bytes(size, "little", signed=True)
                    break
        length = bytes((before,)) if before < 254 else b"\xfe" + struct.pack("<I", before)
        last = len(body)
        body += length + packed
        before = len(length + packed)
    return struct.pack("<IIH", len(body) + 11, 10 + last, len(words)) + body + b"\xff"


def zipmap(pairs):
    """A zipmap as Redis 2.4 wrote it."""
    def length(word):
        return bytes((len(word),)) if len(word) < 254 else b"\xfe" + struct.pack("<I", len(word))
    body = b"".join(length(name) + name + length(value) + b"\x02" + value + b"xx" for name, value in pairs)
    return bytes((len(pairs),)) + body + b"\xff"


def body_of(kind, *parts):
    return bytes((kind,)) + b"".join(parts)


def old_dumps():
    """[(dump, type, content)] of what Redis 7.0 only reads."""
    mixed = [b"a", 5, 12, 13, -1, 1000, -70000, 1 << 23, 1 << 40, b"x" * 63, b"y" * 64, b"z" * 20000, b"end"]
    texts = [word if type(word) is bytes else b"%d" % word for word in mixed]
    string, length = rdb.pack_string, rdb.pack_length
    pairs = [(b"f", b"v"), (b"g" * 300, b"w" * 300), (b"", b"")]
    return [(rdb.seal(body), value_type, content) for body, value_type, content in (
        (body_of(rdb.LIST_ZIPLIST, string(ziplist(mixed))), values.LIST, texts),
        (body_of(rdb.LIST_QUICKLIST, length(2), string(ziplist(mixed)), string(ziplist([b"more"]))), values.LIST,
         texts + [b"more"]),
        (body_of(rdb.LIST, length(2), string(b"a"), string(b"-5")), values.LIST, [b"a", b"-5"]),
        (body_of(rdb.LIST_QUICKLIST_2, length(2), length(1), string(b"plain"), length(2),
                 string(listpack.join([listpack.pack_element(b"b")]))), values.LIST, [b"plain", b"b"]),
        (body_of(rdb.HASH_ZIPLIST, string(ziplist([b"f", 1, b"g", b"w"]))), values.HASH, [(b"f", b"1"), (b"g", b"w")]),
        (body_of(rdb.HASH_ZIPMAP, string(zipmap(pairs))), values.HASH, pairs),
        (body_of(rdb.ZSET_ZIPLIST, string(ziplist([b"a", b"-1.5", b"b", 3]))), values.ZSET,
         [(b"a", -1.5), (b"b", 3.0)]),
        (body_of(rdb.ZSET, length(3), string(b"up"), b"\xfe", string(b"a"), b"\x031.5", string(b"down"), b"\xff"),
         values.ZSET, [(b"down", float("-inf")), (b"a", 1.5), (b"up", float("inf"))]),
        (body_of(rdb.STRING, b"\xc3\x05\x0a" + b"\x00a\xe0\x00\x00"), values.BYTES, b"a" * 10),
    )]


class DumpTest(unittest.TestCase):
    def test_examples_of_the_documentation(self):
        self.assertEqual(doctest.testmod(crc64).failed, 0)

    def test_both_ways_to_sum_are_one(self):
        rng = random.Random(3)
        for size in (0, 1, 511, 512, 513, 514, 2000):
            data = bytes(rng.getrandbits(8) for _ in range(size))
            crc = 0
            for byte in data:
                crc ^= byte
                for _ in range(8):
                    crc = crc >> 1 ^ (0x95ac9329ac4bc9b5 if crc & 1 else 0)
            self.assertEqual(crc64.crc64(data), crc, size)

    def test_what_is_written_is_read(self):
        for example in EXAMPLES:
            dumped = rdb.pack(*example)
            self.assertTrue(rdb.is_sealed(dumped))
            self.assertEqual(as_set(rdb.unpack(dumped)), as_set(example))

    def test_what_older_versions_wrote_is_read(self):
        for dumped, value_type, content in old_dumps():
            self.assertEqual(rdb.unpack(dumped), (value_type, content))

    def test_a_stream_of_an_older_version(self):
        body = rdb_streams.write(STREAM._replace(groups=[]))
        # first id, largest deleted and how many were added are not there.
        tail = b"".join(rdb.pack_length(part) for part in (1, 1, 5, 1, 9)) + b"\x00"
        self.assertTrue(body.endswith(tail))
        old = bytes((rdb.STREAM_LISTPACKS,)) + body[1:-len(tail)] + b"\x00"
        self.assertEqual(rdb.unpack(rdb.seal(old)),
                         (values.STREAM, STREAM._replace(max_deleted_id=entry_id(0, 0), entries_added=None, groups=[])))

    def test_seals(self):
        dumped = rdb.pack(values.BYTES, b"value")
        for position in range(len(dumped)):
            broken = bytearray(dumped)
            broken[position] ^= 1
            self.assertFalse(rdb.is_sealed(bytes(broken)))
        newer = dumped[:-10] + b"\x0b\x00"
        self.assertFalse(rdb.is_sealed(newer + crc64.crc64(newer).to_bytes(8, "little")))
        older = dumped[:-10] + b"\x06\x00"
        self.assertTrue(rdb.is_sealed(older + crc64.crc64(older).to_bytes(8, "little")))
        for size in range(11):
            self.assertFalse(rdb.is_sealed(dumped[-size:] if size else b""))

    def test_lengths(self):
        for number in (0, 63, 64, 16383, 16384, (1 << 32) - 1, 1 << 32, (1 << 64) - 1):
            reader = rdb.Reader(rdb.pack_length(number))
            self.assertEqual(reader.length(), number)
            reader.finish()

    def test_what_makes_no_sense_is_refused(self):
        string, length, element = rdb.pack_string, rdb.pack_length, listpack.pack_element
        nan = struct.pack("<d", float("nan"))
        bodies = [
            body_of(7), body_of(99), body_of(rdb.STRING), body_of(rdb.STRING, string(b"v"), b"x"),
            body_of(rdb.LIST, length(0)), body_of(rdb.SET, length(0)), body_of(rdb.HASH, length(0)),
            body_of(rdb.ZSET_2, length(0)), body_of(rdb.LIST, length(1 << 63), string(b"a")),
            body_of(rdb.SET, length(2), string(b"a"), string(b"a")),
            body_of(rdb.HASH, length(2), string(b"a"), string(b"1"), string(b"a"), string(b"2")),
            body_of(rdb.ZSET_2, length(1), string(b"a"), nan), body_of(rdb.ZSET, length(1), string(b"a"), b"\xfd"),
            body_of(rdb.ZSET, length(1), string(b"a"), b"\x01x"),
            body_of(rdb.HASH_LISTPACK, string(listpack.join([element(b"odd")]))),
            body_of(rdb.HASH_LISTPACK, string(listpack.join([]))),
            body_of(rdb.ZSET_LISTPACK, string(listpack.join([element(b"m"), element(b"1_0")]))),
            body_of(rdb.LIST_QUICKLIST_2, length(1), length(2), string(listpack.join([]))),
            body_of(rdb.LIST_QUICKLIST_2, length(1), length(3), string(b"x")),
            body_of(rdb.SET_INTSET, string(struct.pack("<IIhh", 2, 2, 5, 5))),
            body_of(rdb.SET_INTSET, string(struct.pack("<IIhh", 2, 2, 5, 4))),
            body_of(rdb.SET_INTSET, string(struct.pack("<IIhh", 3, 2, 4, 5))),
            body_of(rdb.SET_INTSET, string(struct.pack("<IIh", 2, 1 << 31, 5))),
            body_of(rdb.STRING, b"\xc4"), body_of(rdb.STRING, b"\x82"), body_of(rdb.LIST, b"\xc0\x01"),
            body_of(rdb.STRING, b"\xc3\x02\x0a\x20\x00"), body_of(rdb.STRING, b"\xc3\x01\x0a\x05"),
            body_of(rdb.STRING, b"\xc3\x02\x02\x00a"),
            body_of(rdb.HASH_ZIPMAP, string(b"\x01\x01f\xff")), body_of(rdb.HASH_ZIPMAP, string(b"\xff")),
        ]
        for body in bodies:
            with self.assertRaises(CorruptValueError, msg=repr(body)):
                rdb.unpack(rdb.seal(body))

    @slow
    def test_a_little_that_stands_for_much_is_refused(self):
        bomb = b"\xc3" + rdb.pack_length(3) + rdb.pack_length(VALUE_SIZE_BYTES_MAX + 1) + b"\xe0\xff\x00"
        with self.assertRaises(ValueTooLargeError):
            rdb.unpack(rdb.seal(body_of(rdb.STRING, bomb)))
        piece = b"\x00a" + b"\xe0\xff\x00" * 2000
        size = 1 + 264 * 2000
        part = b"\xc3" + rdb.pack_length(len(piece)) + rdb.pack_length(size) + piece
        count = VALUE_SIZE_BYTES_MAX // size + 1
        with self.assertRaises(ValueTooLargeError):
            rdb.unpack(rdb.seal(body_of(rdb.LIST, rdb.pack_length(count), part * count)))

    def test_compression(self):
        self.assertEqual(lzf.decompress(b"\x02abc\x20\x02\x00d", 7), b"abcabcd")
        self.assertEqual(lzf.decompress(b"\x00a\xe0\x00\x00", 10), b"a" * 10)
        self.assertEqual(lzf.decompress(b"", 0), b"")
        for data, size in ((b"\x02ab", 3), (b"\x00a", 2), (b"\x00a", 0), (b"\x00a\x20\x01", 4), (b"\x00a\x20", 4),
                           (b"\x00a\xe0", 4), (b"\x00a\xe0\x00", 10), (b"\x00a\x20\x00", 3)):
            with self.assertRaises(CorruptValueError, msg=repr((data, size))):
                lzf.decompress(data, size)

    def test_listpacks_and_ziplists_byte_by_byte(self):
        self.assertEqual(listpack.join([listpack.pack_element(b"a"), listpack.pack_element(b"-1")]),
                         b"\x0d\x00\x00\x00\x02\x00\x81a\x02\xdf\xff\x02\xff")
        elements = [listpack.pack_element(word) for word in WORDS]
        for number, packed in zip(INTEGERS, elements):
            self.assertEqual(packed, listpack.pack_integer(number))
        whole = listpack.join(elements)
        self.assertEqual(listpack.unpack(whole), WORDS)
        for packed, unpack in ((whole, listpack.unpack), (ziplist(WORDS), compact.unpack_ziplist),
                               (zipmap([(b"f", b"v"), (b"g" * 255, b"")]), compact.unpack_zipmap)):
            self.assertGreater(len(unpack(packed)), 3)
            for size in list(range(60)) + [len(packed) - 2]:
                for short in (packed[:size], packed[:size] + b"\xff"):
                    with self.assertRaises(CorruptValueError):
                        unpack(short)
        many = [b"%d" % number for number in range(70000)]
        self.assertEqual(listpack.unpack(listpack.join(list(map(listpack.pack_element, many)))), many)

    def test_random_changes_are_read_or_refused(self):
        rng = random.Random(11)
        small = [rdb.pack(*example)[:-10] for example in EXAMPLES]
        bodies = [body for body in small + [dumped[:-10] for dumped, _, _ in old_dumps()] if len(body) < 3000]
        self.assertGreater(len(bodies), 30)
        read = refused = 0
        for _ in range(MUTATIONS):
            body = bytearray(rng.choice(bodies))
            for _ in range(rng.randint(1, 3)):
                position = rng.randrange(len(body))
                change = rng.randrange(4)
                if change == 0:
                    body[position] = rng.choice((0, 1, 0x7f, 0x80, 0xfe, 0xff, rng.randrange(256)))
                elif change == 1:
                    body[position] ^= 1 << rng.randrange(8)
                elif change == 2:
                    del body[position:position + rng.randint(1, 8)]
                else:
                    body[position:position] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
                body = body or bytearray(1)
            try:
                found = rdb.unpack(bytes(body) + bytes(10))
            except (CorruptValueError, ValueTooLargeError):
                refused += 1
                continue
            read += 1
            self.assertEqual(as_set(rdb.unpack(rdb.pack(*self.complete(found)))), as_set(self.complete(found)))
        self.assertGreater(min(read, refused), MUTATIONS // 50)

    @staticmethod
    def complete(found):
        """A content with what older streams do not say."""
        value_type, content = found
        if value_type != values.STREAM:
            return found
        groups = [group if group.entries_read is not None else group._replace(entries_read=-1)
                  for group in content.groups]
        return value_type, content._replace(entries_added=content.entries_added or 0, groups=groups)


if __name__ == "__main__":
    unittest.main()

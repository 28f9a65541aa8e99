"""Log and checkpoint as bytes: what is packed is read back, and any bit that changes is noticed."""

import random
import struct
import unittest
import zlib

from nosqgrid.errors import CorruptFileError, FormatVersionError
from nosqgrid.formats import checkpoint as layout
from nosqgrid.formats import log, records
from nosqgrid.limits import CHECKPOINT_BLOCK_BYTES_MAX, LOG_ENTRY_BYTES_MAX
from nosqgrid.storage import checkpoint
from tests.support.log_bytes import DIRECTORY, BytesFiles, effect, entries_for

HEADER = log.SegmentHeader(2 ** 64 - 1, 3, 1000, 999, 12345)


def flips(data):
    """(bit, the same bytes with it flipped), one after the other."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def error_for(bit):
    """What a flipped bit of a file's header looks like; version 0 was never one."""
    return FormatVersionError if 8 <= bit // 8 < 12 and bit != 64 else CorruptFileError


def repacked_header(data, **fields):
    """A segment header with some fields changed and the checksum made right again."""
    names = ("lineage", "sequence", "first_lsn", "durable_lsn", "created_ms", "zero")
    values = dict(zip(names, struct.unpack_from("<6Q", data, 16)), **fields)
    rest = struct.pack("<6Q", *[values[name] for name in names])
    return data[:12] + struct.pack("<I", zlib.crc32(rest)) + rest


def entry_with(payload=b"12345678", **fields):
    """An entry whose header may say anything, under a checksum that holds."""
    values = {"magic": log.ENTRY_MAGIC, "first_lsn": 5, "durable_lsn": 4, "wall_offset_ms": -7, "count": 1,
              "length": len(payload)}
    values.update(fields)
    rest = struct.pack("<QQqII", *[values[name] for name in ("first_lsn", "durable_lsn", "wall_offset_ms", "count",
                                                             "length")])
    return struct.pack("<II", values["magic"], zlib.crc32(rest + payload)) + rest + payload


class SegmentHeaderTest(unittest.TestCase):
    def test_it_is_read_as_it_was_written(self):
        for header in (HEADER, log.SegmentHeader(0, 0, 1, 0, 0), log.SegmentHeader(1, 2, log.LSN_MAX, 0, 2 ** 64 - 1)):
            data = log.pack_segment_header(header)
            self.assertEqual(len(data), log.SEGMENT_HEADER_SIZE_BYTES)
            self.assertEqual(log.unpack_segment_header(data), header)
            self.assertEqual(log.unpack_segment_header(data + b"more"), header)

    def test_every_flipped_bit_is_noticed_and_only_the_version_is_another_version(self):
        for bit, data in flips(log.pack_segment_header(HEADER)):
            with self.assertRaises(error_for(bit), msg=bit):
                log.unpack_segment_header(data)

    def test_fewer_bytes_and_other_bytes(self):
        data = log.pack_segment_header(HEADER)
        for size in range(len(data)):
            self.assertRaises(CorruptFileError, log.unpack_segment_header, data[:size])
        for other in (bytes(64), b"\xff" * 64, layout.pack_header(layout.Header(1, 2, 3))):
            self.assertRaises(CorruptFileError, log.unpack_segment_header, other)

    def test_positions_that_cannot_be(self):
        data = log.pack_segment_header(HEADER)
        self.assertEqual(log.unpack_segment_header(repacked_header(data, durable_lsn=0)).durable_lsn, 0)
        for fields in ({"first_lsn": 0}, {"first_lsn": log.LSN_MAX + 1}, {"first_lsn": 2 ** 64 - 1},
                       {"durable_lsn": 1000}, {"durable_lsn": 2 ** 64 - 1}):
            self.assertRaises(CorruptFileError, log.unpack_segment_header, repacked_header(data, **fields))


class EntryTest(unittest.TestCase):
    def test_it_is_read_as_it_was_written(self):
        for entry in ((1, 0, 0, 1, bytes(8)), (log.LSN_MAX, log.LSN_MAX - 1, -2 ** 63, 2, bytes(100)),
                      (500, 0, 2 ** 63 - 1, 10, effect(1) * 10)):
            data = log.pack_entry(*entry)
            around = b"before" + data + b"behind"
            self.assertEqual(log.entry_length(around, 6, len(around)), len(data))
            self.assertEqual(log.unpack_entry(around, 6, len(around)), entry + (6 + len(data),))
            self.assertEqual(data[:4], log.ENTRY_MAGIC_BYTES)
            self.assertEqual(entry_with(entry[4], first_lsn=entry[0], durable_lsn=entry[1], wall_offset_ms=entry[2],
                                        count=entry[3]), data)

    def test_every_flipped_bit_is_noticed(self):
        for bit, data in flips(log.pack_entry(7, 6, 5, 2, effect(7) + effect(8))):
            self.assertIsNone(log.unpack_entry(data + bytes(2000), 0, len(data) + 2000), bit)

    def test_an_entry_that_is_not_whole(self):
        data = log.pack_entry(7, 6, 5, 1, effect(7))
        for end in range(len(data)):
            self.assertIsNone(log.unpack_entry(data, 0, end))
            self.assertIsNone(log.unpack_entry(data[:end], 0, end))
            torn = data[:end] + bytes(len(data) - end)
            if torn != data:
                self.assertIsNone(log.unpack_entry(torn, 0, len(torn)))
        self.assertIsNone(log.unpack_entry(bytes(4096), 0, 4096))

    def test_headers_that_cannot_be_under_a_checksum_that_holds(self):
        self.assertEqual(log.unpack_entry(entry_with(), 0, 48)[:4], (5, 4, -7, 1))
        for fields in ({"magic": 0}, {"first_lsn": 0}, {"first_lsn": log.LSN_MAX + 1}, {"first_lsn": 2 ** 64 - 1},
                       {"durable_lsn": 5}, {"durable_lsn": 2 ** 64 - 1}, {"count": 0}, {"count": 2},
                       {"count": 2 ** 32 - 1}, {"length": 0}, {"length": 7}, {"length": LOG_ENTRY_BYTES_MAX + 1},
                       {"length": 2 ** 32 - 1}):
            data = entry_with(**fields)
            self.assertIsNone(log.unpack_entry(data, 0, len(data)), fields)
            if fields.get("length", 8) != 9:
                self.assertEqual(log.entry_length(data, 0, len(data)), 0, fields)
        self.assertEqual(log.entry_length(entry_with(length=LOG_ENTRY_BYTES_MAX, count=1000), 0, 48),
                         log.ENTRY_HEADER_SIZE_BYTES + LOG_ENTRY_BYTES_MAX)
        self.assertIsNone(log.unpack_entry(entry_with(length=9), 0, 48))


def small_checkpoint():
    """(name, bytes) of a checkpoint with records and log, as storage/checkpoint writes it."""
    found = [records.STAMP.pack(version << 8) + effect(version) for version in range(1, 6)]
    blocks = [(layout.RECORDS, 3, b"".join(found[:3])), (layout.RECORDS, 2, b"".join(found[3:]))]
    entries = [log.pack_entry(*entry) for entry in entries_for(6, (1, 2))]
    blocks.append((layout.LOG, 2, b"".join(entries)))
    data = layout.pack_header(layout.Header(77, 5, 99))
    for kind, count, payload in blocks:
        data += layout.pack_block(kind, count, -5, [payload]) + payload
    end = layout.pack_end(layout.End(8, 5, len(data)))
    return checkpoint.checkpoint_name(8), data + layout.pack_block(layout.END, 1, 0, [end[:7], end[7:]]) + end


class CheckpointTest(unittest.TestCase):
    def read(self, data):
        """[(kind, count, payload)] of a checkpoint, all of it or an error."""
        files = BytesFiles({"c": data})
        try:
            reader = checkpoint.Reader(files, DIRECTORY + "/c")
            return [(header.kind, header.count, payload) for header, payload in reader.blocks()] + [reader.end]
        finally:
            self.assertEqual(files.opened, 0)

    def setUp(self):
        self.data = small_checkpoint()[1]

    def test_it_is_read_as_it_was_written(self):
        found = self.read(self.data)
        self.assertEqual([block[:2] for block in found[:3]],
                         [(layout.RECORDS, 3), (layout.RECORDS, 2), (layout.LOG, 2)])
        self.assertEqual(found[3][:2], (8, 5))
        self.assertEqual(checkpoint.checkpoint_lsn(small_checkpoint()[0]), 8)

    def test_every_flipped_bit_is_noticed(self):
        for bit, data in flips(self.data):
            with self.assertRaises(error_for(bit), msg=bit):
                self.read(data)

    def test_every_shorter_file_and_a_longer_one(self):
        for size in range(len(self.data)):
            self.assertRaises(CorruptFileError, self.read, self.data[:size])
            zeroed = self.data[:size] + bytes(len(self.data) - size)
            if zeroed != self.data:
                self.assertRaises(CorruptFileError, self.read, zeroed)
        for more in (b"\0", bytes(100), self.data[layout.HEADER_SIZE_BYTES:]):
            self.assertRaises(CorruptFileError, self.read, self.data + more)

    def blocks(self):
        """The file in pieces: the header, each block, the end."""
        pieces, offset = [self.data[:layout.HEADER_SIZE_BYTES]], layout.HEADER_SIZE_BYTES
        while offset < len(self.data):
            header = layout.unpack_block_header(self.data[offset:])
            size = layout.BLOCK_HEADER_SIZE_BYTES + header.length
            pieces.append(self.data[offset:offset + size])
            offset += size
        return pieces

    def test_blocks_left_out_doubled_or_from_elsewhere(self):
        pieces = self.blocks()
        self.assertEqual((len(pieces), b"".join(pieces)), (5, self.data))
        for number in range(5):
            for changed in (pieces[:number] + pieces[number + 1:], pieces[:number] + pieces[number:number + 1] * 2 +
                            pieces[number + 1:]):
                self.assertRaises(CorruptFileError, self.read, b"".join(changed))

    def test_headers_of_blocks_that_cannot_be(self):
        payload = b"payload"
        good = layout.pack_block(layout.RECORDS, 1, 2 ** 62, [payload])
        self.assertEqual(layout.unpack_block_header(good + payload)[1:], (layout.RECORDS, 1, 2 ** 62, 7))
        self.assertTrue(layout.block_holds(good, payload))
        self.assertFalse(layout.block_holds(good, payload[:-1] + b"x"))
        for kind, length in ((0, 7), (4, 7), (2 ** 32 - 1, 7), (1, CHECKPOINT_BLOCK_BYTES_MAX + 1), (1, 2 ** 64 - 1)):
            rest = struct.pack("<IIqQ", kind, 1, 0, length)
            data = struct.pack("<II", layout.BLOCK_MAGIC, zlib.crc32(rest + payload)) + rest
            self.assertIsNone(layout.unpack_block_header(data), (kind, length))
        for size in range(layout.BLOCK_HEADER_SIZE_BYTES):
            self.assertIsNone(layout.unpack_block_header(good[:size]))

    def test_headers_and_ends_that_cannot_be(self):
        self.assertEqual(layout.unpack_file_header(self.data), layout.Header(77, 5, 99))
        data = layout.pack_header(layout.Header(1, log.LSN_MAX + 1, 3))
        self.assertRaises(CorruptFileError, layout.unpack_file_header, data)
        end = layout.End(log.LSN_MAX, 2, 3)
        self.assertEqual(layout.unpack_end(layout.pack_end(end)), end)
        for payload in (b"", layout.pack_end(end)[:-1], layout.pack_end(end) + b"\0",
                        layout.pack_end(layout.End(log.LSN_MAX + 1, 2, 3))):
            self.assertRaises(CorruptFileError, layout.unpack_end, payload)

    def test_an_end_that_tells_of_something_else(self):
        body = b"".join(self.blocks()[:-1])
        for keys, size in ((4, len(body)), (6, len(body)), (5, len(body) - 1), (5, 0)):
            payload = layout.pack_end(layout.End(8, keys, size))
            data = body + layout.pack_block(layout.END, 1, 0, [payload]) + payload
            self.assertRaises(CorruptFileError, self.read, data)

    def test_garbage_behind_a_header(self):
        rng = random.Random(1)
        for _ in range(200):
            junk = bytes(rng.getrandbits(8) for _ in range(rng.randrange(200)))
            self.assertRaises(CorruptFileError, self.read, self.data[:layout.HEADER_SIZE_BYTES] + junk)
            junk = layout.BLOCK_MAGIC_BYTES + junk
            self.assertRaises(CorruptFileError, self.read, self.data[:layout.HEADER_SIZE_BYTES] + junk)


if __name__ == "__main__":
    unittest.main()

"""The examples of docs/formats.md, read out of the page and decoded with the code that the grid uses."""

import array
import os
import re
import struct
import sys
import unittest

from nosqgrid import limits
from nosqgrid.client import pickled
from nosqgrid.engine import databases, frames
from nosqgrid.engine.loading import Loader
from nosqgrid.engine.structures.lists import List
from nosqgrid.errors import CorruptValueError
from nosqgrid.formats import (
    arena, buffers, checkpoint, effects, exported, hashing, lane, log, records, resp, slots, values, words)
from tests.support.walks import make_space

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "formats.md")
EXAMPLE = re.compile(r"<!-- example: ([\w ]+) -->\n\n((?:    .*\n)+)")
ROW = re.compile(r"^\| (\d+)[-\d]* \| (\d+)[-\d]* \| ([^|]+) \| (\d+) \|$", re.MULTILINE)

KEY, VALUE = b"user:1", {"name": "Ada"}
LARGE_PLACE = 7, 1048576, 12, 1027


def read_page():
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def read_examples(page):
    """The bytes of each example; the offsets in front of a dump's lines are left out."""
    found = {}
    for name, block in EXAMPLE.findall(page):
        found[name] = bytes.fromhex(re.sub(r"^ +[0-9a-f]{4}  ", "", block, flags=re.MULTILINE).replace("\n", " "))
    return found


class FormatsPageTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = read_page()
        cls.examples = read_examples(cls.page)
        cls.header = arena.unpack_header(cls.examples["header"])

    def test_no_example_is_left_out_here(self):
        self.assertEqual(set(self.examples), {"header", "generation", "slot", "record", "checked body", "delete",
                                              "command", "batch", "lock", "unlock", "reply", "segment header", "entry",
                                              "checkpoint header", "records block", "end block", "array", "buffer",
                                              "pickle", "large record", "pins", "structure record", "words",
                                              "part", "change", "expire", "structure records"})
        self.assertEqual(self.page.count("<!-- example:"), len(self.examples))

    def test_the_header_is_that_of_a_grid_of_one_mebibyte(self):
        header = self.header
        self.assertEqual(header.layout.heap_size_bytes, 1 << 20)
        self.assertEqual(header.secret, (1234567890123456789, 987654321987654321, 2 ** 61 - 1))
        self.assertEqual((header.epoch, header.coordinator_pid, header.flags), (1, 4242, 0))
        self.assertEqual(arena.pack_header(header), self.examples["header"])

    def test_the_table_of_the_header_tells_where_its_words_are_and_what_they_hold(self):
        rows = ROW.findall(self.page.split("### Control words")[0])
        self.assertEqual([int(word) for _, word, _, _ in rows], list(range(5, 20)))
        for offset, word, name, value in rows:
            with self.subTest(name):
                self.assertEqual(int(offset), int(word) * 8)
                self.assertEqual(struct.unpack_from("<Q", self.examples["header"], int(offset))[0], int(value))

    def test_the_tables_of_words_agree_with_the_code(self):
        for module, names in ((arena, ("ROOT", "NEWEST", "SLEEPING", "STATE")),
                              (lane, ("TAIL", "REPLY_HEAD", "WAITING", "HEAD", "REPLY_TAIL", "RESULT", "FAILED_AT",
                                      "PINS_USED", "NOTES_TAIL"))):
            for name in names:
                self.assertRegex(self.page, r"(?m)^\| %d \| %s \|" % (getattr(module, name), name))

    def test_the_generation_word_names_the_first_table(self):
        word, = struct.unpack("<Q", self.examples["generation"])
        self.assertEqual(word, arena.pack_generation(1, 12))
        base, shift = arena.unpack_generation(word, self.header.layout)
        self.assertEqual((base * 8, 1 << (hashing.HASH_BITS - shift)), (274432, 4096))

    def test_the_hash_of_the_key_is_the_one_that_the_page_says(self):
        key_hash = hashing.hash_key(KEY, self.header.secret)
        self.assertIn("hash %016x" % key_hash, self.page)
        self.assertIn("slot %d" % (key_hash >> hashing.HASH_BITS - 12), self.page)

    def test_the_slot_word_names_the_first_record_of_the_heap(self):
        word, = struct.unpack("<Q", self.examples["slot"])
        offset = self.header.layout.heap_offset_bytes
        self.assertEqual(slots.slot_offset_bytes(word), offset)
        self.assertEqual(word, slots.pack_slot(hashing.hash_key(KEY, self.header.secret), 1, offset))
        self.assertIn("%04X %04X %08X" % (word >> 48, word >> 32 & 0xFFFF, word & 0xFFFFFFFF), self.page)

    def test_the_record_holds_the_value_and_the_third_version(self):
        record = self.examples["record"]
        stamp, value_length, key_length, value_type, flags = records.HEADER.unpack_from(record)
        self.assertEqual((stamp >> records.COPIES_BITS, stamp & records.COPIES_MASK, flags), (3, 0, 0))
        key_end = records.HEADER_SIZE_BYTES + key_length
        self.assertEqual(record[records.HEADER_SIZE_BYTES:key_end], KEY)
        self.assertEqual(values.decode(value_type, record[key_end:key_end + value_length]), VALUE)
        self.assertEqual(record[8:], records.pack_body(KEY, *reversed(values.encode(VALUE))))

    def test_the_checked_body_holds_a_deadline_and_its_checksum(self):
        body = self.examples["checked body"]
        self.assertTrue(records.checksum_holds(body))
        value_type, payload = values.encode(VALUE)
        self.assertEqual(body, records.pack_body(KEY, payload, value_type, deadline_ms=60000, checked=True))

    def test_the_large_record_names_its_file_and_is_one_that_an_arena_may_have(self):
        record = self.examples["large record"]
        stamp, value_length, key_length, value_type, flags = records.HEADER.unpack_from(record)
        self.assertEqual((stamp >> records.COPIES_BITS, flags), (4, records.LARGE))
        value = record[records.HEADER_SIZE_BYTES + key_length:]
        self.assertEqual((len(value), records.LARGE_VALUE.unpack(value)), (value_length, LARGE_PLACE))
        self.assertEqual(record[8:], records.pack_large_body(b"model", LARGE_PLACE, values.BYTES))
        self.assertEqual(records.with_value(record, b"v"), records.STAMP.pack(stamp)
                         + records.pack_body(b"model", b"v", value_type))

    def test_the_structure_record_names_it_and_its_parts_make_it(self):
        record, packed = self.examples["structure record"], self.examples["words"]
        stamp, _, key_length, value_type, flags = records.HEADER.unpack_from(record)
        self.assertEqual((stamp >> records.COPIES_BITS, value_type, flags), (5, values.LIST, records.LARGE))
        self.assertEqual(records.key_of(record), b"queue")
        self.assertEqual(records.LARGE_VALUE.unpack(record[records.HEADER_SIZE_BYTES + key_length:]), (9, 503, 0, 0))
        self.assertEqual(words.unpack(packed, 0), ([b"rpush", b"a", b"bc"], len(packed)))
        made = List()
        made.apply([b"rpush", b"a", b"bc"])
        self.assertEqual(made.size_bytes, 503)
        self.assertEqual(exported.unpack_parts(self.examples["part"]), {9: (7, 60000, [packed])})
        self.assertEqual(b"".join(records.with_parts(record, 7, 60000, [packed, words.pack([b"rpush", b"d"])])),
                         self.examples["structure records"])
        for number, name in values.STRUCTURE_NAMES.items():
            self.assertIn("%d %s" % (number, {"zset": "sorted set"}.get(name, name)), self.page)
        self.assertEqual(databases.key_in(15, b"k"), b"\xff\x00db\x0fk")

    def test_the_records_and_effects_of_a_structure_bring_it_back(self):
        space, _ = make_space()
        loader = Loader(space)
        loader.load_records(self.examples["structure records"], 2, 0)
        self.assertEqual(list(space.structures.by_key[b"queue"]), [b"a", b"bc", b"d"])
        for lsn, name in ((8, "change"), (9, "expire")):
            loader.apply(lsn, 1, self.examples[name], 5, False)
        self.assertEqual(list(space.structures.by_key[b"queue"]), [b"bc", b"d"])
        self.assertEqual(space.lookup(b"queue")[2:], (60005, 9))
        self.assertIn("32 CHANGE, 64 or 65\nEXPIRE", self.page)
        self.assertEqual((effects.CHANGE, effects.EXPIRE, records.MORE), (32, 64, 32))
        self.assertIn("up to %d bytes" % effects.CHANGE_BYTES_MAX, self.page)

    def test_the_pins_name_the_record_and_the_large_value(self):
        heap, since_ms, large, _ = struct.unpack("<4Q", self.examples["pins"])
        slot, = struct.unpack("<Q", self.examples["slot"])
        self.assertEqual(heap, lane.PIN_HEAP | slot & lane.PIN_VALUE_MASK)
        self.assertEqual((large, since_ms), (lane.PIN_LARGE | 7, 60000))
        self.assertEqual(lane.PIN_LEAVING, 3 << 62)
        self.assertIn("from offset %d on" % lane.PINS_OFFSET_BYTES, self.page)
        self.assertIn("(%d of %d bytes)" % (limits.LANE_PINS_MAX, 8 * lane.PIN_WORDS), self.page)
        self.assertIn("| %d-%d | NOTES |" % (lane.NOTES, lane.NOTES + lane.NOTES_MAX - 1), self.page)

    def test_the_array_and_the_buffer_are_what_the_page_says(self):
        payload = self.examples["array"]
        kind, description, data = buffers.unpack(payload, (buffers.C_ORDER, buffers.F_ORDER))
        self.assertEqual((kind, description), (buffers.C_ORDER, {"dtype": "<i2", "shape": [2, 3]}))
        self.assertEqual(bytes(data), struct.pack("<6h", *range(1, 7)))
        self.assertEqual(b"".join(buffers.pack(kind, description, data)), payload)
        self.assertEqual(values.decode(values.ARRAY, payload).tolist(), [[1, 2, 3], [4, 5, 6]])
        self.assertEqual(values.decode(values.BUFFER, self.examples["buffer"]), array.array("h", (1, -1)))
        if sys.byteorder == "little":
            self.assertEqual(values.encode(array.array("h", (1, -1))), (values.BUFFER, self.examples["buffer"]))
        self.assertIn("at most %d" % limits.BUFFER_DESCRIPTION_BYTES_MAX, self.page)

    def test_the_pickle_is_signed_for_its_key(self):
        payload = self.examples["pickle"]
        self.assertIsNone(pickled.loads(payload, KEY, bytes(range(32))))
        with self.assertRaises(CorruptValueError):
            pickled.loads(payload, b"user:2", bytes(range(32)))

    def test_every_request_frame_is_whole_and_of_its_operation(self):
        for name, operation in (("delete", lane.DELETE), ("command", lane.COMMAND), ("batch", lane.BATCH),
                                ("lock", lane.LOCK), ("unlock", lane.UNLOCK)):
            frame = self.examples[name]
            self.assertEqual(frames.frame_end(frame, 0, len(frame)), len(frame), name)
            self.assertEqual(frames.operation_of(frame, 0), operation, name)
        parser = resp.Parser()
        parser.feed(self.examples["command"][records.BODY.size:])
        self.assertEqual(parser.next(), [b"PING"])
        self.assertEqual(self.examples["batch"][records.BODY.size:], records.pack_body(b"a", b"1", values.INT))
        self.assertEqual(self.examples["lock"], lane.pack_lock(b"report", 7, b"main"))
        self.assertEqual(self.examples["unlock"], lane.pack_unlock(b"report", 3575868396208129))

    def test_the_reply_answers_the_frame_that_ended_at_36(self):
        reply = self.examples["reply"]
        position, length = lane.REPLY_HEADER.unpack_from(reply)
        self.assertEqual((position, length), (36, len(reply) - lane.REPLY_HEADER.size))
        reader = resp.ReplyReader()
        reader.feed(reply[lane.REPLY_HEADER.size:])
        self.assertEqual(reader.next(), "PONG")

    def test_the_segment_header_and_the_entry_read_as_the_page_says(self):
        header = log.unpack_segment_header(self.examples["segment header"])
        self.assertEqual(header, (4660, 7, 3, 2, 1700000000000))
        self.assertEqual(log.pack_segment_header(header), self.examples["segment header"])
        data = self.examples["entry"]
        seed = log.entry_seed(header.lineage, header.sequence)
        self.assertIsNone(log.unpack_entry(data, 0, len(data)))
        entry = log.unpack_entry(data, 0, len(data), seed)
        self.assertEqual(entry[:4], (3, 2, 1699999940000, 2))
        self.assertEqual((len(entry.payload), entry.end), (42, len(data)))
        self.assertEqual(log.pack_entry(*entry[:5], seed=seed), data)
        middle = effects.effect_end(entry.payload, 0, 42)
        self.assertEqual(effects.effect_end(entry.payload, middle, 42), 42)
        value_type, payload = values.encode(VALUE)
        self.assertEqual(effects.unpack(entry.payload, 0, middle), (lane.SET, KEY, value_type, payload, 0))
        self.assertEqual(effects.unpack(entry.payload, middle, 42), (lane.DELETE, KEY, 0, b"", 0))
        self.assertIn("16 CLEAR", self.page)
        self.assertEqual(effects.CLEAR, 16)

    def test_the_checkpoint_reads_as_the_page_says(self):
        header = checkpoint.unpack_file_header(self.examples["checkpoint header"])
        self.assertEqual(header, (4660, 2, 1700000000000))
        self.assertEqual(checkpoint.pack_header(header), self.examples["checkpoint header"])
        block = self.examples["records block"]
        head, payload = checkpoint.unpack_block_header(block), block[checkpoint.BLOCK_HEADER_SIZE_BYTES:]
        self.assertEqual(head[1:], (checkpoint.RECORDS, 1, 1699999940000, len(payload)))
        self.assertTrue(checkpoint.block_holds(block, payload))
        self.assertEqual(payload, self.examples["record"])
        end = self.examples["end block"]
        payload = end[checkpoint.BLOCK_HEADER_SIZE_BYTES:]
        self.assertTrue(checkpoint.block_holds(end, payload))
        self.assertEqual(checkpoint.unpack_end(payload), (3, 1, len(self.examples["checkpoint header"]) + len(block)))
        self.assertEqual(checkpoint.unpack_block_header(end).kind, checkpoint.END)


if __name__ == "__main__":
    unittest.main()

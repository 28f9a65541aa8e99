"""Frames: every length in them is checked, each gives what its command gives, and a batch is applied whole or not."""

import unittest

from nosqgrid.engine import frames
from nosqgrid.engine.frames import apply_batch, apply_frame, frame_end, operation_of
from nosqgrid.errors import (BatchError, CommandError, GridFullError, InvariantError, LaneError, NosqgridError,
                             ValueTooLargeError, WrongTypeError)
from nosqgrid.formats import lane, values
from nosqgrid.formats.arena import WEAK_ORDERING
from nosqgrid.formats.records import BODY, CHECKED, DEADLINE, EXPIRES
from nosqgrid.formats.resp import encode_command
from nosqgrid.limits import KEY_SIZE_BYTES_MAX
from tests.support.command_context import PlainContext
from tests.support.keyspaces import make_keyspace


def set_frame(key, value, value_type=0, deadline_ms=None):
    if deadline_ms is None:
        return BODY.pack(len(value), len(key), value_type, lane.SET) + key + value
    return BODY.pack(len(value), len(key), value_type, EXPIRES) + DEADLINE.pack(deadline_ms) + key + value


def delete_frame(key):
    return BODY.pack(0, len(key), 0, lane.DELETE) + key


def command_frame(*words):
    encoded = encode_command(*words)
    return BODY.pack(len(encoded), 0, 0, lane.COMMAND) + encoded


def batch_frame(*contents):
    data = b"".join(contents)
    return BODY.pack(len(data), 0, 0, lane.BATCH) + data


class FramesTestCase(unittest.TestCase):
    def setUp(self):
        self.make()

    def make(self, **options):
        self.keyspace, _ = make_keyspace(**options)
        self.keyspace.now_ms = 1000
        self.context = PlainContext(self.keyspace)

    def tearDown(self):
        self.keyspace.check()

    def apply(self, frame):
        self.assertEqual(frame_end(frame, 0, len(frame)), len(frame))
        return apply_frame(self.context, frame, 0, len(frame))

    def value(self, key):
        entry = self.keyspace.lookup(key)
        return entry and entry.value


class EndTest(unittest.TestCase):
    def test_it_is_behind_the_last_byte_and_0_for_a_frame_that_is_not_whole(self):
        for frame in (set_frame(b"", b""), set_frame(b"key", b"value"), set_frame(b"key", b"value", 8, 5),
                      delete_frame(b"key"), command_frame(b"PING"), batch_frame(), batch_frame(set_frame(b"a", b"b"))):
            data = b"before" + frame + b"behind"
            self.assertEqual(frame_end(data, 6, len(data)), 6 + len(frame))
            for end in range(6, 6 + len(frame)):
                self.assertEqual(frame_end(data, 6, end), 0)

    def decided(self, value_length, key_length, value_type, flags):
        data = BODY.pack(value_length, key_length, value_type, flags) + bytes(100)
        try:
            return frame_end(data, 0, len(data))
        except LaneError:
            return "refused"

    def test_lengths_at_and_beyond_the_limit(self):
        data = BODY.pack(0, KEY_SIZE_BYTES_MAX, 0, lane.SET) + bytes(KEY_SIZE_BYTES_MAX)
        self.assertEqual(frame_end(data, 0, len(data)), len(data))
        self.assertEqual(self.decided(0, KEY_SIZE_BYTES_MAX, 0, lane.SET), 0)
        self.assertEqual(self.decided(0, KEY_SIZE_BYTES_MAX + 1, 0, lane.SET), "refused")
        self.assertEqual(self.decided(2 ** 32 - 1, 0, 0, lane.SET), 0)
        self.assertEqual(self.decided(92, 8, 0, lane.SET), 108)
        self.assertEqual(self.decided(93, 8, 0, lane.SET), 0)

    def test_types_at_and_beyond_the_last(self):
        last = len(values.NAMES) - 1
        self.assertEqual(self.decided(1, 1, last, lane.SET), 10)
        self.assertEqual(self.decided(1, 1, last + 1, lane.SET), "refused")

    def test_of_all_flags_only_the_operations_and_a_deadline_on_set_are_known(self):
        known = {lane.SET: 24 - 8, lane.SET | EXPIRES: 24, lane.DELETE: "refused", lane.COMMAND: "refused",
                 lane.BATCH: "refused"}
        for flags in range(256):
            self.assertEqual(self.decided(4, 4, 0, flags), known.get(flags, "refused"), flags)
        for flags in (lane.DELETE, lane.COMMAND, lane.BATCH):
            self.assertEqual(self.decided(0, 0, 0, flags), 8)
            self.assertEqual(self.decided(0, 0, 0, flags | CHECKED), "refused")
        self.assertEqual(self.decided(0, 4, 0, lane.DELETE), 12)
        self.assertEqual(self.decided(4, 0, 0, lane.COMMAND), 12)

    def test_the_operation_is_read_where_it_stands(self):
        for frame, operation in ((set_frame(b"a", b"b", 0, 1), lane.SET), (delete_frame(b"a"), lane.DELETE),
                                 (command_frame(b"PING"), lane.COMMAND), (batch_frame(), lane.BATCH)):
            self.assertEqual(operation_of(b"xx" + frame, 2), operation)


class ApplyTest(FramesTestCase):
    def test_set_gives_the_version_and_stores_value_type_and_deadline(self):
        first = self.apply(set_frame(b"k", b"old", 1))
        second = self.apply(set_frame(b"k", b"new", 6, 5000))
        self.assertGreater(second, first)
        self.assertEqual(tuple(self.keyspace.lookup(b"k")), (6, b"new", 5000, second))

    def test_delete_gives_1_or_0(self):
        self.apply(set_frame(b"k", b"v"))
        self.apply(set_frame(b"expired", b"v", 0, 999))
        self.assertEqual([self.apply(delete_frame(key)) for key in (b"k", b"k", b"expired")], [1, 0, 0])

    def test_a_command_gives_its_reply_or_raises_its_error(self):
        self.apply(set_frame(b"k", b"v"))
        self.assertEqual(self.apply(command_frame(b"GET", b"k")), b"v")
        self.apply(set_frame(b"list", b"[]", values.JSON))
        self.assertRaises(WrongTypeError, self.apply, command_frame(b"NOSQGRID.ADD", b"list", b"1"))
        self.assertRaises(CommandError, self.apply, command_frame(b"NONSENSE"))

    def test_deadlines_at_and_beyond_their_bounds(self):
        for deadline_ms in (1, 2 ** 63 - 1):
            self.assertGreater(self.apply(set_frame(b"k", b"v", 0, deadline_ms)), 0)
        version = self.keyspace.version
        for deadline_ms in (0, 2 ** 63, 2 ** 64 - 1):
            self.assertRaises(CommandError, self.apply, set_frame(b"k", b"v", 0, deadline_ms))
        self.assertEqual(self.keyspace.version, version)

    def test_a_command_frame_holds_one_whole_command(self):
        command = encode_command(b"SET", b"k", b"v")
        for content in (b"", command[:-1], command + b"*", command * 2):
            with self.assertRaises(LaneError):
                self.apply(BODY.pack(len(content), 0, 0, lane.COMMAND) + content)
        for content in (b"PING\r\n", b"!"):
            with self.assertRaises(NosqgridError):
                self.apply(BODY.pack(len(content), 0, 0, lane.COMMAND) + content)
        self.assertIsNone(self.value(b"k"))

    def test_a_value_at_and_beyond_the_limit_of_the_grid(self):
        largest = self.keyspace.value_size_bytes_max
        self.apply(set_frame(b"k", bytes(largest)))
        self.assertRaises(ValueTooLargeError, self.apply, set_frame(b"k", bytes(largest + 1)))
        self.assertEqual(len(self.value(b"k")), largest)

    def test_on_a_weakly_ordered_machine_records_get_their_checksum(self):
        self.make(flags=WEAK_ORDERING)
        self.apply(set_frame(b"k", b"v", 1, 5000))
        self.assertEqual(self.keyspace.lookup(b"k")[:3], (1, b"v", 5000))


class BatchTest(FramesTestCase):
    def state(self):
        """What a batch that failed must leave as it was; versions may be left out."""
        heap, index = self.keyspace.heap, self.keyspace.index
        return ({key: self.keyspace.lookup(key) for key in self.keyspace.scan(0, 10 ** 6)[1]}, heap.live_bytes(),
                index.live, index.table.used, self.keyspace.expiring, self.keyspace.staging)

    def test_it_gives_the_replies_of_its_frames(self):
        replies = self.apply(batch_frame(set_frame(b"a", b"1"), set_frame(b"b", b"2"), delete_frame(b"a"),
                                         command_frame(b"GET", b"a"), command_frame(b"GET", b"b"),
                                         command_frame(b"INCR", b"n"), command_frame(b"INCR", b"n")))
        self.assertEqual(replies[2:], [1, None, b"2", 1, 2])
        self.assertEqual((self.value(b"a"), self.value(b"b"), self.value(b"n")), (None, b"2", b"2"))
        self.assertEqual(self.apply(batch_frame()), [])

    def test_one_that_fails_anywhere_leaves_everything_as_it_was_and_says_which(self):
        self.apply(set_frame(b"kept", b"v", 0, 5000))
        self.apply(set_frame(b"list", b"[]", values.JSON))
        before = self.state()
        good = [set_frame(b"new", b"v"), set_frame(b"kept", b"changed"), delete_frame(b"list"),
                set_frame(b"ttl", b"v", 0, 9000), set_frame(b"new", b"again"), set_frame(b"ttl", b"stays")]
        bad = command_frame(b"SETRANGE")
        for position in range(len(good) + 1):
            with self.assertRaisesRegex(BatchError, "command %d of the batch" % position) as caught:
                self.apply(batch_frame(*good[:position] + [bad] + good[position:]))
            self.assertEqual(caught.exception.index, position)
            self.assertIsInstance(caught.exception.__cause__, CommandError)
            self.assertEqual(self.state(), before)
            self.keyspace.check()
        self.apply(batch_frame(*good))
        self.assertEqual(self.value(b"new"), b"again")

    def test_bytes_that_are_no_frames_roll_it_back_too(self):
        before = self.state()
        first = set_frame(b"a", b"1")
        for rest in (b"x", set_frame(b"b", b"2")[:-1], BODY.pack(0, 0, 0, CHECKED), batch_frame(), batch_frame(first),
                     BODY.pack(3, 0, 0, lane.COMMAND) + b"*1\r"):
            with self.assertRaises(LaneError):
                self.apply(batch_frame(first, rest))
            self.assertEqual(self.state(), before)

    def test_a_fault_of_our_own_rolls_it_back_as_well(self):
        before = self.state()

        def fail(words):
            raise InvariantError("planted") if words[0] == b"ONE" else ZeroDivisionError("planted")

        self.context.run = fail
        for name, expected in ((b"ONE", BatchError), (b"OTHER", ZeroDivisionError)):
            with self.assertRaises(expected):
                self.apply(batch_frame(set_frame(b"a", b"1"), command_frame(name)))
            self.assertEqual(self.state(), before)

    def test_no_batch_within_a_batch(self):
        self.keyspace.begin()
        self.assertRaises(CommandError, apply_batch, self.context, b"")
        self.keyspace.rollback()

    def test_as_many_commands_as_allowed_and_one_more(self):
        limit, frames.BATCH_COMMANDS_MAX = frames.BATCH_COMMANDS_MAX, 10
        try:
            frame = set_frame(b"k", b"v")
            self.assertEqual(len(self.apply(batch_frame(*[frame] * 9))), 9)
            self.assertEqual(len(self.apply(batch_frame(*[frame] * 10))), 10)
            version = self.keyspace.lookup(b"k").version
            self.assertRaises(LaneError, self.apply, batch_frame(*[frame] * 11))
            self.assertEqual(self.keyspace.lookup(b"k").version, version)
        finally:
            frames.BATCH_COMMANDS_MAX = limit

    def test_what_could_not_be_taken_back_is_refused(self):
        self.apply(set_frame(b"k", b"v"))
        with self.assertRaises(BatchError):
            self.apply(batch_frame(set_frame(b"k", b"new"), command_frame(b"FLUSHALL")))
        self.assertEqual(self.value(b"k"), b"v")

    def test_the_last_of_many_values_of_one_key_is_the_one(self):
        self.apply(batch_frame(*[set_frame(b"k", b"%d" % number, 0, 5000) for number in range(500)]))
        self.assertEqual((self.value(b"k"), self.keyspace.expiring, self.keyspace.key_count), (b"499", 1, 1))

    def test_one_too_large_for_the_grid_is_refused_and_the_grid_works_on(self):
        before = self.state()
        for _ in range(3):
            with self.assertRaises(BatchError) as caught:
                self.apply(batch_frame(*[set_frame(b"k%d" % number, bytes(30000)) for number in range(40)]))
            self.assertIsInstance(caught.exception.__cause__, GridFullError)
            self.assertEqual(self.state(), before)
        self.apply(batch_frame(*[set_frame(b"k%d" % number, bytes(30000)) for number in range(20)]))
        self.assertEqual(self.keyspace.key_count, 20)


if __name__ == "__main__":
    unittest.main()

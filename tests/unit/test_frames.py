"""Frames one at a time: where they end, what they reply, what a batch of them leaves when one fails."""

import unittest

from nosqgrid.engine.frames import apply_batch, apply_frame, frame_end, operation_of
from nosqgrid.errors import (BatchError, CommandError, GridFullError, LaneError, LockLostError, NosqgridError,
                             ProtocolError, ValueTooLargeError)
from nosqgrid.formats import lane
from nosqgrid.formats.records import BODY, CHECKED, EXPIRES, pack_body
from nosqgrid.formats.resp import encode_command
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, LOCK_TEXT_BYTES_MAX
from tests.support.command_context import PlainContext
from tests.support.engine_context import EngineContext
from tests.support.keyspaces import make_keyspace


def delete_frame(key):
    return BODY.pack(0, len(key), 0, lane.DELETE) + key


def holding(operation, content):
    return BODY.pack(len(content), 0, 0, operation) + content


def command_frame(*words):
    return holding(lane.COMMAND, encode_command(*words))


class FramesTestCase(unittest.TestCase):
    def setUp(self):
        self.space, _ = make_keyspace()
        self.space.now_ms = 1000
        self.context = PlainContext(self.space)

    def tearDown(self):
        self.assertFalse(self.space.staging)
        self.space.check()

    def apply(self, frame):
        self.assertEqual(frame_end(frame, 0, len(frame)), len(frame))
        return apply_frame(self.context, frame, 0, len(frame))


class EndTest(FramesTestCase):
    def test_a_frame_ends_where_its_lengths_say_or_is_not_whole(self):
        for frame in (pack_body(b"k", b"value", 1), pack_body(b"k", b"v", 0, 5), delete_frame(b"key"),
                      command_frame(b"PING"), holding(lane.BATCH, b""), pack_body(b"", b"", 0),
                      lane.pack_lock(b"name", 7, b"thread", True), lane.pack_unlock(b"name", 1 << 60)):
            for before in (b"", b"xxx"):
                data = before + frame + b"behind"
                end = len(before) + len(frame)
                self.assertEqual(frame_end(data, len(before), len(data)), end)
                for cut in range(len(before), end):
                    self.assertEqual(frame_end(data, len(before), cut), 0)

    def test_what_no_client_writes_is_a_lane_error(self):
        for frame in (BODY.pack(1, 1, 0, CHECKED) + b"kv", BODY.pack(0, 0, 0, 16), BODY.pack(0, 0, 0, 255),
                      BODY.pack(0, 1, 0, lane.DELETE | EXPIRES), BODY.pack(0, 0, 0, lane.COMMAND | EXPIRES),
                      BODY.pack(0, 0, 0, lane.BATCH | EXPIRES), BODY.pack(1, 1, 0, lane.DELETE) + b"kv",
                      BODY.pack(1, 1, 0, lane.COMMAND) + b"kv", BODY.pack(1, 1, 0, lane.BATCH) + b"kv",
                      BODY.pack(0, KEY_SIZE_BYTES_MAX + 1, 0, 0), BODY.pack(0, 1, len(NAMES), 0),
                      BODY.pack(0, 1, 255, 0), BODY.pack(7, 1, 0, lane.LOCK) + bytes(8),
                      BODY.pack(8 + LOCK_TEXT_BYTES_MAX + 1, 1, 0, lane.LOCK) + bytes(2000),
                      BODY.pack(8, 1, 2, lane.LOCK) + bytes(9), BODY.pack(8, 1, 0, lane.LOCK | EXPIRES) + bytes(17),
                      BODY.pack(7, 1, 0, lane.UNLOCK) + bytes(8), BODY.pack(9, 1, 0, lane.UNLOCK) + bytes(10),
                      BODY.pack(8, 1, 1, lane.UNLOCK) + bytes(9)):
            with self.assertRaises(LaneError):
                frame_end(frame, 0, len(frame))

    def test_all_two_to_the_eighth_flags_are_an_operation_or_an_error(self):
        known = {lane.SET, lane.SET | EXPIRES, lane.DELETE, lane.COMMAND, lane.BATCH, lane.LOCK, lane.UNLOCK}
        accepted = set()
        for flags in range(256):
            frame = BODY.pack(8 if flags in (lane.LOCK, lane.UNLOCK) else 0, 0, 0, flags) + bytes(8)
            try:
                frame_end(frame, 0, len(frame))
                accepted.add(flags)
            except LaneError:
                continue
            self.assertEqual(operation_of(frame, 0), flags & lane.OPERATION_MASK)
        self.assertEqual(accepted, known)


class LockFramesTest(unittest.TestCase):
    def setUp(self):
        self.contexts = [EngineContext()]
        self.contexts.append(EngineContext(other=self.contexts[0]))

    def apply(self, number, frame):
        self.assertEqual(frame_end(frame, 0, len(frame)), len(frame))
        return apply_frame(self.contexts[number], frame, 0, len(frame))

    def test_a_lock_and_back(self):
        token = self.apply(0, lane.pack_lock(b"a", 1, b"t"))
        self.assertEqual(self.apply(1, lane.pack_lock(b"a", 1, b"t")), 0)
        with self.assertRaises(LockLostError):
            self.apply(0, lane.pack_unlock(b"a", token + 1))
        self.assertEqual(self.apply(0, lane.pack_unlock(b"a", token)), 0)
        self.assertEqual(self.apply(1, lane.pack_lock(b"a", 1)), token + 1)

    def test_deeper(self):
        token = self.apply(0, lane.pack_lock(b"a", 1, b"t", True))
        self.assertEqual(self.apply(0, lane.pack_lock(b"a", 2, b"t", True)), token)
        self.assertEqual(self.apply(0, lane.pack_unlock(b"a", token)), 1)
        self.assertEqual(self.apply(0, lane.pack_unlock(b"a", token)), 0)

    def test_the_request_can_be_undone(self):
        self.apply(0, lane.pack_lock(b"a", 77))
        self.assertEqual(self.contexts[0].call("LOCK.UNDO", "77"), b":1\r\n")

    def test_who_abandoned_it_is_told(self):
        self.apply(0, lane.pack_lock(b"a", 1))
        self.contexts[0].server.locks.session_ended(self.contexts[0].session)
        self.assertTrue(self.apply(1, lane.pack_lock(b"a", 1)) & lane.LOCK_ABANDONED)

    def test_none_is_part_of_a_batch(self):
        for frame in (lane.pack_lock(b"a", 1), lane.pack_unlock(b"a", 1)):
            with self.assertRaises(BatchError):
                apply_batch(self.contexts[0], frame)
        self.assertEqual(self.contexts[0].server.locks.table.grants, {})


class ApplyTest(FramesTestCase):
    def test_what_each_operation_replies(self):
        self.assertEqual(self.apply(pack_body(b"k", b"1", 2)), 1)
        self.assertEqual(self.apply(pack_body(b"k", b"2", 2)), 2)
        self.assertEqual(self.space.lookup(b"k"), (2, b"2", 0, 2))
        self.assertEqual(self.apply(command_frame(b"INCR", b"k")), 3)
        self.assertEqual([self.apply(delete_frame(b"k")), self.apply(delete_frame(b"k"))], [1, 0])
        self.assertEqual(self.apply(pack_body(b"t", b"", 0, 5000)) > 2, True)
        self.assertEqual(self.space.lookup(b"t").deadline_ms, 5000)
        self.assertEqual(self.apply(holding(lane.BATCH, delete_frame(b"t") + command_frame(b"GET", b"t"))), [1, None])

    def test_deadlines_that_are_none(self):
        frame = bytearray(pack_body(b"k", b"v", 0, 5))
        for deadline_ms in (0, 1 << 63, (1 << 64) - 1):
            frame[8:16] = deadline_ms.to_bytes(8, "little")
            with self.assertRaises(CommandError):
                self.apply(bytes(frame))
        self.assertEqual(self.space.key_count, 0)

    def test_a_deadline_in_the_past_is_a_key_that_is_gone(self):
        self.apply(pack_body(b"k", b"v", 0, 999))
        self.assertIsNone(self.space.lookup(b"k"))

    def test_values_too_large_for_this_grid(self):
        with self.assertRaises(ValueTooLargeError):
            self.apply(pack_body(b"k", bytes(self.space.value_size_bytes_max + 1), 0))

    def test_commands_that_are_none_half_or_two(self):
        ping = encode_command(b"PING")
        for content in (ping * 2, ping[:-1], b"", ping + b"\r"):
            with self.assertRaises(LaneError):
                self.apply(holding(lane.COMMAND, content))
        for content in (b"PING\r\n", b"*1\r\n$-1\r\n"):
            with self.assertRaises(ProtocolError):
                self.apply(holding(lane.COMMAND, content))


class BatchTest(FramesTestCase):
    def test_replies_come_in_order(self):
        data = pack_body(b"n", b"5", 2) + command_frame(b"INCR", b"n") + delete_frame(b"n") + delete_frame(b"n")
        self.assertEqual(apply_batch(self.context, data), [1, 6, 1, 0])
        self.assertEqual(apply_batch(self.context, b""), [])

    def test_one_failure_and_nothing_was_applied(self):
        self.space.store(b"n", 0, b"text")
        before = (self.space.key_count, self.space.heap.live_bytes(), self.space.expiring)
        good = pack_body(b"a", b"1", 0, 5000) + delete_frame(b"n")
        for bad, cause in ((command_frame(b"NOSUCH"), CommandError), (command_frame(b"FLUSHALL"), NosqgridError),
                           (pack_body(b"k", bytes(self.space.value_size_bytes_max + 1), 0), ValueTooLargeError)):
            with self.assertRaises(BatchError) as caught:
                apply_batch(self.context, good + bad + good)
            self.assertEqual(caught.exception.index, 2)
            self.assertIsInstance(caught.exception.__cause__, cause)
            self.assertEqual((self.space.key_count, self.space.heap.live_bytes(), self.space.expiring), before)
            self.assertEqual(self.space.lookup(b"n").value, b"text")

    def test_a_full_grid_takes_back_the_whole_batch(self):
        frames = b"".join(pack_body(b"k%d" % number, bytes(30000), 0) for number in range(60))
        with self.assertRaises(BatchError) as caught:
            apply_batch(self.context, frames)
        self.assertIsInstance(caught.exception.__cause__, GridFullError)
        self.assertEqual((self.space.key_count, self.space.heap.live_bytes()), (0, 0))
        self.assertEqual(len(apply_batch(self.context, frames[:30010 * 10])), 10)

    def test_batches_within_batches_and_bytes_that_are_no_frames(self):
        good = pack_body(b"a", b"1", 0)
        for bad in (holding(lane.BATCH, good), good[:-1], b"\xff" * 20, b"\0"):
            with self.assertRaises(LaneError):
                apply_batch(self.context, good + bad)
        self.assertEqual((self.space.key_count, self.space.heap.live_bytes()), (0, 0))

    def test_an_exception_of_another_kind_takes_back_the_batch_too(self):
        def fail(words):
            raise ZeroDivisionError()

        self.context.run = fail
        with self.assertRaises(ZeroDivisionError):
            apply_batch(self.context, pack_body(b"a", b"1", 0) + command_frame(b"PING"))
        self.assertEqual(self.space.key_count, 0)


if __name__ == "__main__":
    unittest.main()

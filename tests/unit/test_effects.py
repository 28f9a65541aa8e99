"""Effects: the three kinds, where each ends, and everything that is none of them."""

import random
import unittest

from nosqgrid.engine.frames import frame_end
from nosqgrid.errors import CorruptFileError
from nosqgrid.formats import effects, lane
from nosqgrid.formats.records import BODY, CHECKED, EXPIRES, pack_body
from nosqgrid.formats.values import NAMES
from nosqgrid.limits import KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX


def end(data):
    return effects.effect_end(data, 0, len(data))


class KindsTest(unittest.TestCase):
    def unpacked(self, data):
        """The effect, packed between other bytes."""
        around = b"before" + data + b"behind"
        self.assertEqual(effects.effect_end(around, 6, len(around)), 6 + len(data))
        return effects.unpack(around, 6, 6 + len(data))

    def test_a_set_with_and_without_a_deadline(self):
        for key, value, value_type, deadline_ms in ((b"k", b"v", 1, 0), (b"", b"", 0, 0), (b"k", b"", 8, 1),
                                                    (bytes(KEY_SIZE_BYTES_MAX), bytes(70000), 3, 2 ** 63 - 1)):
            self.assertEqual(self.unpacked(pack_body(key, value, value_type, deadline_ms)),
                             (lane.SET, key, value_type, value, deadline_ms))

    def test_a_deletion_and_a_clearing(self):
        for key in (b"", b"key", bytes(KEY_SIZE_BYTES_MAX)):
            self.assertEqual(self.unpacked(effects.pack_delete(key)), (effects.DELETE, key, 0, b"", 0))
        self.assertEqual(self.unpacked(effects.pack_clear()), (effects.CLEAR, b"", 0, b"", 0))

    def test_the_operations_are_those_of_lanes_and_one_that_lanes_have_not(self):
        self.assertEqual((effects.SET, effects.DELETE), (lane.SET, lane.DELETE))
        self.assertNotIn(effects.CLEAR, (lane.SET, lane.DELETE, lane.COMMAND, lane.BATCH))
        self.assertEqual(effects.CLEAR & (EXPIRES | CHECKED), 0)

    def test_every_set_frame_that_a_lane_takes_is_an_effect(self):
        for flags in range(256):
            for key_length, value_length, value_type in ((0, 0, 0), (3, 4, 1), (KEY_SIZE_BYTES_MAX, 1, len(NAMES) - 1)):
                data = BODY.pack(value_length, key_length, value_type, flags) + bytes(33000)
                if flags & lane.OPERATION_MASK == lane.SET and not flags & CHECKED:
                    self.assertEqual(end(data), frame_end(data, 0, len(data)))


class RefusedTest(unittest.TestCase):
    def test_all_but_the_whole(self):
        for whole in (pack_body(b"key", b"value", 1), pack_body(b"key", b"value", 1, 5), effects.pack_delete(b"key"),
                      effects.pack_clear()):
            self.assertEqual(end(whole), len(whole))
            for size in range(len(whole)):
                self.assertRaises(CorruptFileError, end, whole[:size])
                self.assertRaises(CorruptFileError, effects.effect_end, whole, 0, size)

    def decided(self, value_length, key_length, value_type, flags):
        data = BODY.pack(value_length, key_length, value_type, flags) + bytes(100)
        try:
            return end(data)
        except CorruptFileError:
            return None

    def test_flags(self):
        taken = {flags: self.decided(0, 4, 0, flags) for flags in range(256)}
        self.assertEqual({flags: stop for flags, stop in taken.items() if stop},
                         {0: 12, EXPIRES: 20, effects.DELETE: 12})
        self.assertEqual([flags for flags in range(256) if self.decided(0, 0, 0, flags)],
                         [0, EXPIRES, effects.DELETE, effects.CLEAR])
        self.assertEqual([flags for flags in range(256) if self.decided(4, 4, 0, flags)], [0, EXPIRES])

    def test_lengths_and_types(self):
        self.assertEqual(self.decided(92, 8, 0, 0), 108)
        for arguments in ((93, 8, 0, 0), (85, 8, 0, EXPIRES), (2 ** 32 - 1, 0, 0, 0), (0, 0xFFFF, 0, 0),
                          (0, 101, 0, effects.DELETE), (1, 1, len(NAMES), 0), (1, 1, 255, 0)):
            self.assertIsNone(self.decided(*arguments), arguments)
        self.assertEqual(self.decided(1, 1, len(NAMES) - 1, 0), 10)

    def test_keys_and_values_at_and_beyond_their_limits(self):
        for key_length, value_length, fits in ((KEY_SIZE_BYTES_MAX, 0, True), (KEY_SIZE_BYTES_MAX + 1, 0, False)):
            data = BODY.pack(value_length, key_length, 0, 0) + bytes(key_length)
            if fits:
                self.assertEqual(end(data), len(data))
            else:
                self.assertRaises(CorruptFileError, end, data)
        data = BODY.pack(VALUE_SIZE_BYTES_MAX, 0, 0, 0) + bytes(VALUE_SIZE_BYTES_MAX + 1)
        self.assertEqual(end(data), 8 + VALUE_SIZE_BYTES_MAX)
        self.assertRaises(CorruptFileError, end, BODY.pack(VALUE_SIZE_BYTES_MAX + 1, 0, 0, 0) + data)

    def test_random_bytes_give_an_end_within_or_the_error(self):
        rng = random.Random(1)
        taken = 0
        for _ in range(3000):
            head = BODY.pack(rng.choice((0, 5, 300, rng.getrandbits(32))), rng.choice((0, 3, 200, rng.getrandbits(16))),
                             rng.randrange(12), rng.choice((0, 1, 4, 16, rng.randrange(256))))
            data = head + bytes(rng.randrange(600))
            try:
                stop = end(data)
            except CorruptFileError:
                continue
            taken += 1
            self.assertLessEqual(stop, len(data))
            effect = effects.unpack(data, 0, stop)
            self.assertEqual(8 + len(effect.key) + len(effect.value) + (8 if data[7] & EXPIRES else 0), stop)
        self.assertGreater(taken, 300)


if __name__ == "__main__":
    unittest.main()

"""The pins of a lane from the side of the client: which places are taken, given back, and by whom."""

import os
import threading
import time
import unittest
from unittest import mock

from nosqgrid.formats import lane as layout
from nosqgrid.limits import LANE_PINS_MAX
from nosqgrid.memory import pins as pins_module
from nosqgrid.memory.pins import Pins


class PinsTest(unittest.TestCase):
    def setUp(self):
        self.words = memoryview(bytearray(layout.LANE_SIZE_BYTES)).cast("Q")
        self.pins = Pins(self.words)

    def pinned(self):
        """What is in the table."""
        first, used = layout.PINS_WORD, self.words[layout.PINS_USED]
        return [what for what in self.words[first:first + 2 * used].tolist()[::2] if what]

    def test_a_pin_says_what_and_since_when_until_it_is_freed(self):
        before = int(time.monotonic() * 1000)
        place = self.pins.take(layout.PIN_LARGE | 7)
        self.assertEqual(self.pinned(), [layout.PIN_LARGE | 7])
        self.assertGreaterEqual(self.words[layout.PINS_WORD + 2 * place + 1], before)
        self.assertEqual(self.pins.count(), 1)
        self.pins.free(place)
        self.assertEqual((self.pinned(), self.pins.count()), ([], 0))

    def test_places_are_used_again_and_there_are_no_more_than_the_table_has(self):
        places = [self.pins.take(layout.PIN_LARGE | number) for number in range(LANE_PINS_MAX)]
        self.assertEqual(sorted(places), list(range(LANE_PINS_MAX)))
        self.assertEqual(self.pins.take(layout.PIN_LARGE | 1), -1)
        self.pins.free(-1)  # what take() said is given back as well
        self.assertEqual(self.pins.take(layout.PIN_LARGE | 1), -1)
        self.pins.free(places[17])
        self.assertEqual(self.pins.take(layout.PIN_LARGE | 5), places[17])
        self.assertEqual(len(self.pinned()), LANE_PINS_MAX)

    def test_one_that_leaves_is_there_until_its_time_and_its_place_is_free_then(self):
        place = self.pins.take(layout.PIN_LARGE | 9)
        until_ms = int(time.monotonic() * 1000) + 1000
        self.pins.leave(place, until_ms)
        self.assertEqual(self.pinned(), [layout.PIN_LEAVING | 9])
        self.assertEqual(self.words[layout.PINS_WORD + 2 * place + 1], until_ms)
        self.assertNotEqual(self.pins.take(layout.PIN_LARGE | 1), place)
        with mock.patch.object(pins_module.time, "monotonic", lambda: until_ms / 1000.0 + 1):
            self.assertEqual(self.pins.take(layout.PIN_LARGE | 2), place)

    def test_threads_that_take_at_once_end_nobody_elses_pin_that_leaves(self):
        # Both see the one that is over; the second must not take the next, which is not.
        self.pins.leave(self.pins.take(layout.PIN_LARGE | 1), 0)
        late = self.pins.take(layout.PIN_LARGE | 2)
        self.pins.leave(self.pins.take(layout.PIN_LARGE | 1), 0)
        self.pins.leave(late, int(time.monotonic() * 1000) + 60000)
        real, inner = time.monotonic, []

        def monotonic():
            if not inner:
                inner.append(None)
                inner.append(self.pins.take(layout.PIN_LARGE | 3))  # another thread, between a look and the next line
            return real()
        with mock.patch.object(pins_module.time, "monotonic", monotonic):
            self.pins.take(layout.PIN_LARGE | 4)
        self.assertIn(layout.PIN_LEAVING | 2, self.pinned())

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_a_forked_child_touches_none_of_them(self):
        place = self.pins.take(layout.PIN_LARGE | 9)
        with mock.patch.object(pins_module.os, "getpid", lambda: -5):
            self.pins.free(place)
            self.pins.leave(place, 1)
            self.assertEqual(self.pins.take(layout.PIN_LARGE | 1), -1)
        self.assertEqual(self.pinned(), [layout.PIN_LARGE | 9])

    def test_threads_never_have_the_same_place(self):
        def work():
            for _ in range(2000):
                place = self.pins.take(layout.PIN_LARGE | threading.get_ident() & 0xFFFF)
                with lock:
                    clash.append(place in held)
                    held.add(place)
                with lock:
                    held.discard(place)
                self.pins.free(place)
        clash, held, lock = [], set(), threading.Lock()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(any(clash))
        self.assertEqual(self.pins.count(), 0)
        self.assertLessEqual(self.words[layout.PINS_USED], 4)


if __name__ == "__main__":
    unittest.main()

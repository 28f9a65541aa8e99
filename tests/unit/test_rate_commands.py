"""CL.THROTTLE and RATE.TAKE, and the algorithm under them against a count of what happened."""

import random
import unittest

from nosqgrid.engine import rates
from tests.support.engine_context import EngineTest


class RatesTest(unittest.TestCase):

    def test_never_more_than_the_burst_and_the_rate_in_any_window(self):
        for seed in range(50):
            rng = random.Random(seed)
            interval, burst = rng.randint(1, 1000), rng.randint(1, 10)
            due, now, happened = 0, 10 ** 6, []
            for _ in range(300):
                now += rng.choice((0, 0, 1, interval // 2, interval, 3 * interval))
                quantity = rng.randint(1, burst)
                wait = rng.choice((0, 0, 5 * interval))
                taken = rates.take(due, now, interval, burst, quantity, wait)
                if taken.taken:
                    due = taken.due_us
                    happened += [now + taken.wait_us] * quantity
                    self.assertLessEqual(taken.wait_us, wait)
                elif taken.wait_us > 0:
                    self.assertTrue(rates.take(due, now + taken.wait_us, interval, burst, quantity).taken)
                    self.assertFalse(rates.take(due, now + taken.wait_us - 1, interval, burst, quantity).taken)
            self.assertEqual(happened, sorted(happened))
            for first in range(0, len(happened), 7):
                for last in range(first, min(first + 60, len(happened))):
                    allowed = burst + (happened[last] - happened[first]) // interval + 1
                    self.assertLessEqual(last - first + 1, allowed)


class RateCommandsTest(EngineTest):

    def numbers(self, *words):
        reply = self.context.call(*words)
        self.assertTrue(reply.startswith(b"*"), reply)
        return [int(line[1:]) for line in reply.split(b"\r\n")[1:-1]]

    def test_throttle_answers_as_redis_cell(self):
        found = [self.numbers("CL.THROTTLE", "k", "2", "1", "10") for _ in range(4)]
        self.assertEqual(found, [[0, 3, 2, -1, 10], [0, 3, 1, -1, 20], [0, 3, 0, -1, 30], [1, 3, 0, 10, 30]])
        self.keyspace.now_ms += 10000
        self.assertEqual(self.numbers("CL.THROTTLE", "k", "2", "1", "10"), [0, 3, 0, -1, 30])
        self.assertEqual(self.numbers("CL.THROTTLE", "k", "2", "1", "10", "0"), [0, 3, 0, -1, 30])
        self.assertEqual(self.numbers("CL.THROTTLE", "k", "2", "1", "10", "9")[:1], [1])

    def test_what_is_not_used_is_gone(self):
        self.numbers("CL.THROTTLE", "k", "2", "1", "10")
        self.keyspace.now_ms += 10001
        self.assertEqual(self.context.call("EXISTS", "k"), b":0\r\n")

    def test_those_who_wait_get_places_one_after_the_other(self):
        self.assertEqual([self.numbers("RATE.TAKE", "k", "1", "1", "100", "1", "-1")[2] for _ in range(4)],
                         [0, 100, 200, 300])
        self.assertEqual(self.numbers("RATE.TAKE", "k", "1", "1", "100", "1", "350"), [0, 0, 400, 400])
        self.keyspace.now_ms += 250
        self.assertEqual(self.numbers("RATE.TAKE", "k", "1", "1", "100", "1", "150"), [1, 0, 150, 250])

    def test_fractions_of_a_millisecond_are_kept(self):
        taken = sum(self.numbers("RATE.TAKE", "k", "1", "3000", "1000", "1", "-1")[0] for _ in range(3000))
        self.assertEqual(taken, 3000)
        self.assertAlmostEqual(self.numbers("RATE.TAKE", "k", "1", "3000", "1000", "0", "0")[3], 999, delta=2)

    def test_words_that_make_no_sense(self):
        self.context.call("SET", "text", "hello")
        self.context.call("RPUSH", "list", "a")
        for words, code in ((("CL.THROTTLE", "k", "-1", "1", "1"), b"ERR"),
                            (("CL.THROTTLE", "k", "1", "0", "1"), b"ERR"),
                            (("CL.THROTTLE", "k", "1", "1", "0"), b"ERR"),
                            (("CL.THROTTLE", "k", "x", "1", "1"), b"ERR"),
                            (("CL.THROTTLE", "k", "1", "1", "1", "1", "1"), b"ERR"),
                            (("CL.THROTTLE", "k", "999999999", "1", "999999999"), b"ERR"),
                            (("CL.THROTTLE", "text", "1", "1", "1"), b"WRONGTYPE"),
                            (("CL.THROTTLE", "list", "1", "1", "1"), b"WRONGTYPE"),
                            (("RATE.TAKE", "k", "0", "1", "1", "1", "0"), b"ERR"),
                            (("RATE.TAKE", "k", "1", "1", "1", "1", "-2"), b"ERR")):
            self.assertTrue(self.context.call(*words).startswith(b"-" + code + b" "), words)
        self.assertEqual(self.context.call("EXISTS", "k"), b":0\r\n")


if __name__ == "__main__":
    unittest.main()

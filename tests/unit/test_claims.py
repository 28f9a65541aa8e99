"""Who computes and who waits: one holder a key, waiters in order, each answered once, nothing left behind."""

import random
import unittest

from nosqgrid.engine.claims import FILLED, GRANTED, Claims
from nosqgrid.errors import InvariantError


class Session(object):
    """A session is known by identity."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


A, B, C, D = map(Session, "abcd")


class ClaimsTest(unittest.TestCase):
    def setUp(self):
        self.answers = []
        self.claims = Claims(lambda session, reply: self.answers.append((session, reply)))

    def empty(self):
        return (len(self.claims) == 0 and not self.claims._waiters and not self.claims._held
                and not self.claims._waits)

    def test_the_first_holds_and_may_ask_again_the_others_wait(self):
        self.assertEqual(self.claims.claim(A, b"k"), GRANTED)
        self.assertEqual(self.claims.claim(A, b"k"), GRANTED)
        self.assertIsNone(self.claims.claim(B, b"k"))
        self.assertEqual((self.claims.holds(A, b"k"), self.claims.holds(B, b"k")), (True, False))
        self.assertEqual(self.claims.claim(C, b"other"), GRANTED)
        self.assertEqual(len(self.claims), 2)

    def test_filled_answers_everybody_in_order(self):
        for session in (A, B, C, D):
            self.claims.claim(session, b"k")
        self.claims.filled(A, b"k")
        self.assertEqual(self.answers, [(B, FILLED), (C, FILLED), (D, FILLED)])
        self.assertTrue(self.empty())

    def test_abandoned_the_next_in_order_holds(self):
        for session in (A, B, C):
            self.claims.claim(session, b"k")
        self.claims.abandon(A, b"k")
        self.claims.abandon(B, b"k")
        self.claims.filled(C, b"k")
        self.assertEqual(self.answers, [(B, GRANTED), (C, GRANTED)])
        self.assertTrue(self.empty())

    def test_only_the_holder_may_release(self):
        self.claims.claim(A, b"k")
        for release in (self.claims.filled, self.claims.abandon):
            with self.assertRaises(InvariantError):
                release(B, b"k")
            with self.assertRaises(InvariantError):
                release(A, b"other")

    def test_a_session_that_ends_passes_on_what_it_held_and_waits_no_more(self):
        self.claims.claim(A, b"one")
        self.claims.claim(A, b"two")
        self.claims.claim(B, b"one")
        self.claims.claim(C, b"two")
        self.claims.session_ended(B)
        self.claims.session_ended(A)
        self.claims.session_ended(Session("nobody"))
        self.assertEqual(self.answers, [(C, GRANTED)])
        self.claims.session_ended(C)
        self.assertTrue(self.empty())

    def test_whatever_happens_each_waiter_is_answered_once_and_each_key_has_one_holder(self):
        rng = random.Random(1)
        waiting, answered = {}, []
        self.claims = Claims(lambda session, reply: answered.append((session, waiting.pop(session), reply)))
        for _ in range(5000):
            session, key = rng.randrange(12), rng.randrange(4)
            action = rng.random()
            if session in waiting:
                if action < 0.1:
                    del waiting[session]
                    self.claims.session_ended(session)
            elif action < 0.5:
                if self.claims.claim(session, key) is None:
                    waiting[session] = key
            elif action < 0.95:
                if self.claims.holds(session, key):
                    (self.claims.filled if rng.random() < 0.5 else self.claims.abandon)(session, key)
            else:
                self.claims.session_ended(session)
            for key in set(waiting.values()):  # nobody waits for a key that nobody computes
                self.assertIn(key, self.claims._holders)
        for session in range(12):
            waiting.pop(session, None)
            self.claims.session_ended(session)
        self.assertTrue(self.empty())
        self.assertGreater(len(answered), 100)


if __name__ == "__main__":
    unittest.main()

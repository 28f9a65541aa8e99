"""Who waits for keys: in which order they are served, by which key, and what ends their waiting."""

import unittest

from nosqgrid.engine import waiting
from nosqgrid.engine.commands.run import as_write
from nosqgrid.errors import CommandError, DiskError, InvariantError, WrongTypeError
from nosqgrid.formats import values
from tests.support.plain_keyspace import PlainKeyspace

NOTHING = "nothing came"


class Context(object):
    """As much of a context as waiting looks at; the session is its name."""

    def __init__(self, session):
        self.session = session


class WaitingTest(unittest.TestCase):
    """A key has bytes, and an attempt takes the first of them."""

    def setUp(self):
        self.keyspace = PlainKeyspace(now_ms=1000)
        self.answers = []
        self.attempts = []
        self.on_answer = lambda session: None
        self.waiting = waiting.Waiting(self.keyspace, self.answer, as_write)

    def answer(self, session, reply):
        self.answers.append((session, reply))
        self.on_answer(session)

    def answered(self):
        found, self.answers[:] = list(self.answers), []
        return found

    def touch(self, key, value):
        self.keyspace.store(key, values.BYTES, value)
        if key in self.keyspace.waited:
            self.keyspace.ready.append(key)

    def put(self, key, value):
        """What a command that changes one key does."""
        self.touch(key, value)
        self.waiting.serve()

    def take(self, context, keys):
        self.attempts.append((context.session, keys))
        for key in keys:
            entry = self.keyspace.lookup(key)
            if entry is None:
                return None
            if entry.value == b"wrong":
                raise WrongTypeError("something else")
            if len(entry.value) > 1:
                self.keyspace.store(key, values.BYTES, entry.value[1:])
            else:
                self.keyspace.delete(key)
            return key, entry.value[:1]

    def wait(self, session, keys, timeout_s=0.0, attempt=None):
        self.waiting.wait(Context(session), keys, timeout_s, attempt or self.take, NOTHING)

    def value(self, key):
        entry = self.keyspace.lookup(key)
        return None if entry is None else entry.value


class ServingTest(WaitingTest):

    def test_who_has_waited_the_longest_comes_first(self):
        for session in "abc":
            self.wait(session, [b"k"])
        self.put(b"k", b"12")
        self.assertEqual(self.answered(), [("a", (b"k", b"1")), ("b", (b"k", b"2"))])
        self.put(b"k", b"345")
        self.assertEqual(self.answered(), [("c", (b"k", b"3"))])
        self.assertEqual(self.value(b"k"), b"45")
        self.assertEqual((len(self.waiting), self.keyspace.waited), (0, {}))

    def test_the_key_that_was_touched_first_counts(self):
        self.wait("a", [b"k", b"l"])
        self.wait("b", [b"k"])
        self.touch(b"l", b"1")
        self.touch(b"k", b"2")
        self.waiting.serve()
        self.assertEqual(self.answered(), [("a", (b"l", b"1")), ("b", (b"k", b"2"))])
        self.assertEqual(self.attempts, [("a", [b"l"]), ("b", [b"k"])])

    def test_a_key_named_twice_is_waited_for_once(self):
        self.wait("a", [b"k", b"k"])
        self.put(b"k", b"12")
        self.assertEqual(self.answered(), [("a", (b"k", b"1"))])
        self.assertEqual(self.value(b"k"), b"2")

    def test_an_attempt_that_gives_nothing_waits_on(self):
        self.wait("a", [b"k"], attempt=lambda context, keys: None)
        self.wait("b", [b"k"])
        self.put(b"k", b"12")
        self.assertEqual(self.answered(), [("b", (b"k", b"1"))])
        self.assertEqual(len(self.waiting), 1)

    def test_what_an_attempt_touches_is_served_as_well(self):
        def move(context, keys):
            taken = self.take(context, keys)
            self.touch(b"l", taken[1])
            return taken

        self.wait("last", [b"m"])
        self.wait("middle", [b"l"], attempt=lambda context, keys: self.touch(b"m", self.take(context, keys)[1]) or 1)
        self.wait("first", [b"k"], attempt=move)
        self.put(b"k", b"1")
        self.assertEqual(self.answered(), [("first", (b"k", b"1")), ("middle", 1), ("last", (b"m", b"1"))])
        self.assertEqual([self.value(key) for key in (b"k", b"l", b"m")], [None, None, None])

    def test_something_of_another_type_is_waited_past(self):
        self.wait("a", [b"k"])
        self.put(b"k", b"wrong")
        self.assertEqual(self.answered(), [])
        self.put(b"k", b"1")
        self.assertEqual(self.answered(), [("a", (b"k", b"1"))])

    def test_another_error_is_the_answer(self):
        def fail(context, keys):
            self.take(context, keys)
            raise CommandError("no")

        self.wait("a", [b"k"], attempt=fail)
        self.wait("b", [b"k"])
        self.put(b"k", b"1")
        (session, error), other = self.answered()
        self.assertEqual((session, type(error), str(error)), ("a", CommandError, "no"))
        self.assertEqual(other, ("b", (b"k", b"1")))  # what the first had taken was put back

    def test_an_error_that_is_returned_is_the_answer_too(self):
        self.wait("a", [b"k"], attempt=lambda context, keys: WrongTypeError("of the target"))
        self.put(b"k", b"1")
        self.assertEqual([(session, str(error)) for session, error in self.answered()], [("a", "of the target")])

    def test_a_disk_that_takes_nothing_is_told_and_nothing_is_lost(self):
        def refused(keyspace, function):
            keyspace.begin()
            function()
            keyspace.rollback()
            raise DiskError("no space")

        self.waiting = waiting.Waiting(self.keyspace, self.answer, refused)
        self.wait("a", [b"k"])
        self.put(b"k", b"1")
        self.assertEqual([type(reply) for _, reply in self.answered()], [DiskError])
        self.assertEqual(self.value(b"k"), b"1")

    def test_who_cannot_get_anything_any_more_is_not_tried(self):
        for number in range(100):
            self.wait(number, [b"k"])
        self.put(b"k", b"12")
        self.assertEqual([session for session, _ in self.answered()], [0, 1])
        self.assertEqual(len(self.attempts), 2)

    def test_everybody_hears_of_a_key_that_is_gone(self):
        for session in "ab":
            self.wait(session, [b"k"], attempt=lambda context, keys: None if self.value(b"k") else "gone")
        self.keyspace.ready.append(b"k")
        self.waiting.serve()
        self.assertEqual(self.answered(), [("a", "gone"), ("b", "gone")])

    def test_who_waits_again_while_others_are_served_comes_last(self):
        def again(session):
            if session == "a":
                self.on_answer = lambda session: None
                self.wait("a", [b"k"])

        self.on_answer = again
        self.wait("a", [b"k"])
        self.wait("b", [b"k"])
        self.put(b"k", b"12")
        self.assertEqual(self.answered(), [("a", (b"k", b"1")), ("b", (b"k", b"2"))])
        self.put(b"k", b"3")
        self.assertEqual(self.answered(), [("a", (b"k", b"3"))])

    def test_serving_within_serving_is_left_to_the_outer_one(self):
        self.on_answer = lambda session: self.waiting.serve()
        for session in "abc":
            self.wait(session, [b"k"])
        self.put(b"k", b"123")
        self.assertEqual([reply[1] for _, reply in self.answered()], [b"1", b"2", b"3"])

    def test_nobody_is_served_within_a_batch(self):
        self.wait("a", [b"k"])
        self.keyspace.begin()
        self.put(b"k", b"1")
        self.assertEqual(self.answered(), [])
        self.keyspace.rollback()
        self.waiting.serve()
        self.assertEqual(self.answered(), [])
        self.keyspace.begin()
        self.put(b"k", b"2")
        self.keyspace.commit()
        self.waiting.serve()
        self.assertEqual(self.answered(), [("a", (b"k", b"2"))])

    def test_a_key_that_nobody_waits_for_any_more(self):
        self.wait("a", [b"k"])
        self.touch(b"k", b"1")
        self.waiting.session_ended("a")
        self.waiting.serve()
        self.assertEqual((self.answered(), self.attempts, self.keyspace.ready), ([], [], []))


class EndsTest(WaitingTest):

    def at(self, now_ms):
        self.keyspace.now_ms = now_ms
        self.waiting.tick(now_ms / 1000.0)
        return self.answered()

    def test_time_is_up(self):
        self.wait("late", [b"k"], 2.5)
        self.wait("soon", [b"k", b"l"], 0.5)
        self.wait("never", [b"k"])
        self.assertEqual(self.at(1499), [])
        self.assertEqual(self.at(1500), [("soon", NOTHING)])
        self.assertEqual(sorted(self.keyspace.waited), [b"k"])
        self.assertEqual(self.at(10 ** 9), [("late", NOTHING)])
        self.assertEqual(len(self.waiting), 1)

    def test_the_shortest_time_is_a_millisecond(self):
        self.wait("a", [b"k"], 0.0001)
        self.assertEqual(self.at(1000), [])
        self.assertEqual(self.at(1001), [("a", NOTHING)])

    def test_seconds_become_the_nearest_milliseconds(self):
        for thousandths in range(1, 3000):
            self.wait("a", [b"k"], thousandths / 1000.0)
            self.assertEqual(round(self.waiting.sleep_s(0) * 1000), thousandths)
            self.waiting.session_ended("a")

    def test_who_was_served_does_not_run_out_of_time(self):
        self.wait("a", [b"k"], 1.0)
        self.put(b"k", b"1")
        self.answered()
        self.wait("a", [b"k"])
        self.assertEqual(self.at(5000), [])
        self.assertEqual(len(self.waiting), 1)

    def test_waiting_anew_until_the_same_time(self):
        self.wait("a", [b"k"], 1.0)
        self.put(b"k", b"1")
        self.wait("a", [b"k"], 1.0)
        self.answered()
        self.assertEqual(self.at(2000), [("a", NOTHING)])
        self.assertEqual(self.at(3000), [])

    def test_deadlines_of_those_who_were_served_are_not_kept(self):
        for _ in range(2000):
            self.wait("a", [b"k"], 3600.0)
            self.put(b"k", b"1")
        self.assertEqual(len(self.answered()), 2000)
        self.assertLess(len(self.waiting._deadlines), 200)

    def test_how_long_nothing_is_to_do(self):
        self.assertEqual(self.waiting.sleep_s(0), waiting.SLEEP_S_MAX)
        self.wait("never", [b"k"])
        self.assertEqual(self.waiting.sleep_s(0), waiting.SLEEP_S_MAX)
        self.wait("far", [b"k"], 9.2e15)
        self.assertEqual(self.waiting.sleep_s(0), waiting.SLEEP_S_MAX)
        self.wait("a", [b"l"], 2.0)
        self.assertEqual(self.waiting.sleep_s(0), 2.0)
        self.keyspace.now_ms = 2995
        self.assertEqual(self.waiting.sleep_s(0), 0.005)
        self.keyspace.now_ms = 4000
        self.assertEqual(self.waiting.sleep_s(0), 0.001)
        self.put(b"l", b"1")
        self.assertEqual(self.waiting.sleep_s(0), waiting.SLEEP_S_MAX)

    def test_unblocking(self):
        self.wait("a", [b"k"], 1.0)
        self.wait("b", [b"k"])
        self.assertTrue(self.waiting.unblock("a", False))
        self.assertTrue(self.waiting.unblock("b", True))
        (first, second) = self.answered()
        self.assertEqual(first, ("a", NOTHING))
        self.assertEqual((second[0], second[1].code, str(second[1])),
                         ("b", "UNBLOCKED", "client unblocked via CLIENT UNBLOCK"))
        self.assertFalse(self.waiting.unblock("a", False))
        self.assertEqual(self.keyspace.waited, {})
        self.assertEqual(self.at(5000), [])

    def test_a_session_that_ends(self):
        self.wait("a", [b"k", b"l"], 1.0)
        self.wait("b", [b"k"])
        self.waiting.session_ended("a")
        self.waiting.session_ended("stranger")
        self.assertEqual(sorted(self.keyspace.waited), [b"k"])
        self.put(b"k", b"12")
        self.assertEqual(self.answered(), [("b", (b"k", b"1"))])
        self.assertEqual(self.at(5000), [])

    def test_a_session_waits_for_one_thing_at_a_time(self):
        self.wait("a", [b"k"])
        with self.assertRaises(InvariantError):
            self.wait("a", [b"l"])
        self.put(b"k", b"1")
        self.assertEqual(self.answered(), [("a", (b"k", b"1"))])
        self.assertEqual(self.keyspace.waited, {})


if __name__ == "__main__":
    unittest.main()

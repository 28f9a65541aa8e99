"""COND.*, BARRIER.*, EVENT.*, LATCH.*, ONCE.* over the real keyspace, with several clients and the test's clock."""

import re
import unittest

from tests.unit.test_lock_commands import LockCommandsTest as _OfLocks


class _MeetingTest(unittest.TestCase):
    """With what tests of locks have at hand."""

    setUp, tearDown, call, reply = _OfLocks.setUp, _OfLocks.tearDown, _OfLocks.call, _OfLocks.reply
    acquire, waits, pass_time, end = _OfLocks.acquire, _OfLocks.waits, _OfLocks.pass_time, _OfLocks.end


del _OfLocks


class ConditionTest(_MeetingTest):

    def wait(self, number, ms="-1", name="c", lock="a"):
        """A client takes the lock and waits for the condition."""
        token = self.acquire(number, lock)
        self.waits(number, "COND.WAIT", name, lock, str(token), ms)

    def test_notified_in_the_order_of_waiting_and_each_has_the_lock_when_he_goes_on(self):
        for number in range(3):
            self.wait(number)
        token = self.acquire(3, "a")
        self.assertEqual(self.reply(3, "COND.NOTIFY", "c", "a", str(token), "2"), b":2\r\n")
        _, answers = self.call(3, "LOCK.RELEASE", "a", str(token))
        self.assertEqual(answers, [(0, b"*3\r\n:%d\r\n:0\r\n:1\r\n" % (token + 1))])
        _, answers = self.call(0, "LOCK.RELEASE", "a", str(token + 1))
        self.assertEqual(answers, [(1, b"*3\r\n:%d\r\n:0\r\n:1\r\n" % (token + 2))])
        self.assertEqual(self.call(1, "LOCK.RELEASE", "a", str(token + 2)), (b":0\r\n", []))

    def test_time_up_is_no_notification_and_needs_the_lock_too(self):
        self.wait(0, "50")
        token = self.acquire(1, "a")
        self.assertEqual(self.pass_time(60), [])
        self.assertEqual(self.reply(1, "COND.NOTIFY", "c", "a", str(token), "-1"), b":0\r\n")
        _, answers = self.call(1, "LOCK.RELEASE", "a", str(token))
        self.assertEqual(answers, [(0, b"*3\r\n:%d\r\n:0\r\n:0\r\n" % (token + 1))])

    def test_only_the_holder_notifies_or_waits(self):
        self.assertRegex(self.reply(0, "COND.NOTIFY", "c", "a", "5", "1"), b"^-LOCKLOST ")
        self.assertRegex(self.reply(0, "COND.WAIT", "c", "a", "5", "-1"), b"^-LOCKLOST ")
        token = self.acquire(0, "a")
        self.assertRegex(self.reply(1, "COND.NOTIFY", "c", "a", str(token), "1"), b"^-LOCKLOST ")

    def test_all_levels_are_given_back_and_had_again(self):
        token = self.acquire(0, "a", "REENTRANT", "THREAD", "t")
        self.acquire(0, "a", "REENTRANT", "THREAD", "t")
        self.waits(0, "COND.WAIT", "c", "a", str(token), "-1")
        other = self.acquire(1, "a")
        self.reply(1, "COND.NOTIFY", "c", "a", str(other), "1")
        self.call(1, "LOCK.RELEASE", "a", str(other))
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "a", str(other + 1)), b":1\r\n")

    def test_a_waiter_that_dies_takes_no_notification(self):
        self.wait(0)
        self.wait(1)
        self.assertEqual(self.end(0), [])
        token = self.acquire(2, "a")
        self.assertEqual(self.reply(2, "COND.NOTIFY", "c", "a", str(token), "1"), b":1\r\n")
        self.assertEqual([number for number, _ in self.end(2)], [1])

    def test_one_that_was_notified_and_dies_in_the_queue_of_the_lock_leaves_nothing(self):
        self.wait(0)
        token = self.acquire(1, "a")
        self.reply(1, "COND.NOTIFY", "c", "a", str(token), "1")
        self.assertEqual(self.end(0), [])
        self.assertEqual(self.reply(1, "LOCK.RELEASE", "a", str(token)), b":0\r\n")
        self.acquire(2, "a")

    def test_who_held_another_lock_meanwhile_hears_of_the_circle(self):
        self.acquire(0, "other")
        self.wait(0, "50")
        self.acquire(1, "a")
        self.waits(1, "LOCK.ACQUIRE", "other", "WAIT", "-1")
        (number, reply), = self.pass_time(60)
        self.assertEqual(number, 0)
        self.assertRegex(reply, b"^-DEADLOCK ")

    def test_a_thousand_time_outs_leave_nothing(self):
        conditions = self.locks.meetings.conditions
        for _ in range(1000):
            self.wait(0, "100000")
            self.wait(1, "5")
            (number, reply), = self.pass_time(6)
            token = reply.split(b"\r\n")[1][1:].decode()
            self.assertEqual(self.reply(1, "COND.NOTIFY", "c", "a", token, "-1"), b":1\r\n")
            _, answers = self.call(1, "LOCK.RELEASE", "a", token)
            self.reply(0, "LOCK.RELEASE", "a", answers[0][1].split(b"\r\n")[1][1:].decode())
        self.assertLess(len(conditions._deadlines), 100)
        self.assertEqual((conditions._queues, conditions._by_session), ({}, {}))


class BarrierTest(_MeetingTest):

    def test_all_go_on_together_and_again(self):
        for _ in range(3):
            self.waits(0, "BARRIER.WAIT", "b", "3", "-1")
            self.waits(1, "BARRIER.WAIT", "b", "3", "5000")
            self.assertEqual(self.call(2, "BARRIER.WAIT", "b", "3", "-1"),
                             (b":2\r\n", [(0, b":0\r\n"), (1, b":1\r\n")]))

    def test_time_up_breaks_it_for_everybody(self):
        self.waits(0, "BARRIER.WAIT", "b", "3", "-1")
        self.waits(1, "BARRIER.WAIT", "b", "3", "50")
        answers = self.pass_time(60)
        self.assertEqual(sorted(number for number, _ in answers), [0, 1])
        for _, reply in answers:
            self.assertRegex(reply, b"^-BROKENBARRIER ")
        self.assertRegex(self.reply(2, "BARRIER.WAIT", "b", "3", "-1"), b"^-BROKENBARRIER ")
        self.assertEqual(self.reply(2, "BARRIER.RESET", "b"), b"+OK\r\n")
        self.waits(2, "BARRIER.WAIT", "b", "3", "-1")

    def test_a_member_that_dies_breaks_it(self):
        self.waits(0, "BARRIER.WAIT", "b", "3", "-1")
        self.waits(1, "BARRIER.WAIT", "b", "3", "-1")
        (number, reply), = self.end(0)
        self.assertEqual(number, 1)
        self.assertRegex(reply, b"^-BROKENBARRIER ")

    def test_abort_reset_info(self):
        self.waits(0, "BARRIER.WAIT", "b", "3", "-1")
        self.assertEqual(self.reply(1, "BARRIER.INFO", "b"),
                         b"*6\r\n$7\r\nparties\r\n:3\r\n$7\r\nwaiting\r\n:1\r\n$6\r\nbroken\r\n:0\r\n")
        self.assertRegex(self.reply(1, "BARRIER.WAIT", "b", "2", "-1"), b"^-ERR the barrier is for 3")
        _, answers = self.call(1, "BARRIER.RESET", "b")
        self.assertRegex(answers[0][1], b"^-BROKENBARRIER the barrier was reset")
        self.waits(0, "BARRIER.WAIT", "b", "3", "-1")
        _, answers = self.call(1, "BARRIER.ABORT", "b")
        self.assertRegex(answers[0][1], b"^-BROKENBARRIER ")
        self.assertRegex(self.reply(0, "BARRIER.WAIT", "b", "1", "-1"), b"^-BROKENBARRIER ")

    def test_one_who_does_not_wait_breaks_it(self):
        self.waits(0, "BARRIER.WAIT", "b", "2", "-1")
        self.assertEqual(self.call(1, "BARRIER.WAIT", "b", "2", "0"), (b":1\r\n", [(0, b":0\r\n")]))
        self.assertRegex(self.reply(1, "BARRIER.WAIT", "b", "2", "0"), b"^-BROKENBARRIER ")


class GateTest(_MeetingTest):

    def test_an_event(self):
        self.assertEqual(self.reply(0, "EVENT.ISSET", "e"), b":0\r\n")
        self.waits(0, "EVENT.WAIT", "e", "-1")
        self.waits(1, "EVENT.WAIT", "e", "50")
        self.waits(2, "EVENT.WAIT", "e", "-1")
        self.assertEqual(self.pass_time(60), [(1, b"$-1\r\n")])
        self.assertEqual(self.end(2), [])
        self.assertEqual(self.call(3, "EVENT.SET", "e"), (b":1\r\n", [(0, b":1\r\n")]))
        self.assertEqual([self.reply(0, *words) for words in (("EVENT.SET", "e"), ("EVENT.WAIT", "e", "-1"),
                                                              ("EVENT.CLEAR", "e"), ("EVENT.CLEAR", "e"),
                                                              ("EVENT.WAIT", "e", "0"))],
                         [b":0\r\n", b":1\r\n", b":1\r\n", b":0\r\n", b"$-1\r\n"])

    def test_a_latch(self):
        self.assertRegex(self.reply(0, "LATCH.DOWN", "l"), b"^-ERR there is no such latch")
        self.assertEqual(self.reply(0, "LATCH.COUNT", "l"), b"$-1\r\n")
        self.waits(1, "LATCH.WAIT", "l", "-1")  # whoever comes before it is open waits as well
        self.assertEqual(self.reply(0, "LATCH.OPEN", "l", "3"), b":3\r\n")
        self.assertEqual(self.reply(0, "LATCH.OPEN", "l", "9"), b":3\r\n")
        self.assertEqual(self.reply(0, "LATCH.DOWN", "l"), b":2\r\n")
        self.assertEqual(self.call(0, "LATCH.DOWN", "l", "5"), (b":0\r\n", [(1, b":1\r\n")]))
        self.assertEqual(self.reply(0, "LATCH.WAIT", "l", "-1"), b":1\r\n")
        self.assertEqual(self.reply(0, "LATCH.DOWN", "l"), b":0\r\n")
        self.assertEqual(self.reply(0, "LATCH.RESET", "l"), b":1\r\n")
        self.assertEqual(self.reply(0, "LATCH.WAIT", "l", "0"), b"$-1\r\n")

    def test_words_that_make_no_sense(self):
        long = "x" * 40000
        for words in (("EVENT.SET", long), ("EVENT.WAIT", "e", "-2"), ("EVENT.WAIT", long, "0"),
                      ("LATCH.OPEN", "l", "-1"), ("LATCH.OPEN", "l", "x"), ("LATCH.DOWN", "l", "1", "2"),
                      ("BARRIER.WAIT", "b", "0", "-1"), ("BARRIER.WAIT", "b", "-1", "-1"),
                      ("BARRIER.WAIT", "b", "2", "-2"), ("COND.WAIT", "c", "a", "1", "-1", "REQUEST"),
                      ("COND.NOTIFY", "c", "a", "1", "-2")):
            self.assertRegex(self.reply(0, *words), b"^-ERR ", words)

    def test_nothing_waits_or_changes_in_a_batch(self):
        self.keyspace.begin()
        for words in (("EVENT.SET", "e"), ("LATCH.OPEN", "l", "1"), ("BARRIER.ABORT", "b")):
            self.assertTrue(re.match(b"^-ERR what others wait for cannot", self.reply(0, *words)), words)
        self.keyspace.rollback()
        self.clients.contexts[0].may_block = False
        self.assertRegex(self.reply(0, "BARRIER.WAIT", "b", "2", "-1"), b"^-ERR a barrier cannot wait")
        self.assertEqual(self.reply(0, "EVENT.WAIT", "e", "-1"), b"$-1\r\n")


class OnceTest(_MeetingTest):

    def test_one_does_it_and_the_others_have_what_came_of_it(self):
        reply = self.reply(0, "ONCE.BEGIN", "o", "-1")
        token = reply.split(b"\r\n")[2][1:].decode()
        self.assertRegex(reply, rb"^\*2\r\n:0\r\n:[0-9]+\r\n$")
        self.assertEqual(self.reply(3, "ONCE.BEGIN", "o", "0"), b"$-1\r\n")
        self.waits(1, "ONCE.BEGIN", "o", "-1")
        self.waits(2, "ONCE.BEGIN", "o", "50")
        self.assertEqual(self.pass_time(60), [(2, b"$-1\r\n")])
        done = b"*3\r\n:1\r\n:2\r\n$2\r\n42\r\n"
        self.assertRegex(self.reply(4, "ONCE.DONE", "o", token, "2", "no"), b"^-LOCKLOST ")
        self.assertEqual(self.call(0, "ONCE.DONE", "o", token, "2", "42"), (b":1\r\n", [(1, done)]))
        self.assertEqual(self.reply(2, "ONCE.BEGIN", "o", "-1"), done)
        self.assertEqual(self.reply(0, "DBSIZE"), b":0\r\n")
        self.assertEqual(self.reply(2, "ONCE.RESET", "o"), b":1\r\n")
        self.assertRegex(self.reply(2, "ONCE.BEGIN", "o", "-1"), b"^\\*2\r\n:0")

    def test_another_does_it_when_the_first_fails_or_dies(self):
        token = self.reply(0, "ONCE.BEGIN", "o", "-1").split(b"\r\n")[2][1:].decode()
        self.waits(1, "ONCE.BEGIN", "o", "-1")
        self.waits(2, "ONCE.BEGIN", "o", "-1")
        _, ((number, reply),) = self.call(0, "ONCE.FAIL", "o", token)
        self.assertEqual(number, 1)
        self.assertRegex(reply, b"^\\*2\r\n:0")
        self.assertEqual([number for number, _ in self.end(1)], [2])

    def test_words_that_make_no_sense(self):
        token = self.reply(0, "ONCE.BEGIN", "o", "-1").split(b"\r\n")[2][1:].decode()
        for words in (("BEGIN", "x", "-2"), ("BEGIN", "x", "0", "SHARED"), ("BEGIN", "x" * 40000, "0"),
                      ("BEGIN", "x", "0", "LIMIT", "3"), ("DONE", "o", token, "99", "x"), ("DONE", "o", "x", "0", "x")):
            self.assertRegex(self.reply(0, "ONCE." + words[0], *words[1:]), b"^-ERR ", words)
        self.assertEqual(self.reply(0, "ONCE.DONE", "o", token, "0", ""), b":1\r\n")


if __name__ == "__main__":
    unittest.main()

"""LOCK.* over the real keyspace, with several clients and the test's clock."""

import unittest

from tests.support.engine_context import Clients


class LockCommandsTest(unittest.TestCase):

    def setUp(self):
        self.clients = Clients(5)
        self.keyspace = self.clients.contexts[0].keyspace
        self.locks = self.clients.contexts[0].server.locks
        for number, context in enumerate(self.clients.contexts):
            context.session.pid = 100 + number

    def tearDown(self):
        self.locks.table.check()
        self.keyspace.check()

    def call(self, number, *words):
        return self.clients.call(number, *words)

    def reply(self, number, *words):
        """The answer of a command that answers nobody else."""
        reply, others = self.call(number, *words)
        self.assertEqual(others, [])
        return reply

    def acquire(self, number, name, *options):
        """The token, at once."""
        reply = self.reply(number, "LOCK.ACQUIRE", name, *options)
        self.assertRegex(reply, rb"^\*3\r\n:[0-9]+\r\n:[01]\r\n:[0-9]+\r\n$")
        return int(reply.split(b"\r\n")[1][1:])

    def waits(self, number, *words):
        self.assertIsNone(self.reply(number, *words))

    def pass_time(self, ms):
        self.keyspace.now_ms += ms
        self.clients.contexts[0].waiting.tick(0)
        self.locks.tick(0)
        return self.clients.answers()

    def end(self, number):
        """The client's connection ends; what that answers to others."""
        session = self.clients.contexts[number].session
        self.locks.session_ended(session)
        self.clients.contexts[number].waiting.session_ended(session)
        return self.clients.answers()

    # -- having -------------------------------------------------------------------------------------------------------

    def test_acquire_and_release(self):
        token = self.acquire(0, "a")
        self.assertEqual(self.reply(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")
        self.assertGreater(self.acquire(1, "a"), token)

    def test_who_waits_gets_it_when_it_is_released(self):
        token = self.acquire(0, "a")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.waits(2, "LOCK.ACQUIRE", "a", "WAIT", "5000")
        reply, answers = self.call(0, "LOCK.RELEASE", "a", str(token))
        self.assertEqual((reply, answers), (b":0\r\n", [(1, b"*3\r\n:%d\r\n:0\r\n:1\r\n" % (token + 1))]))

    def test_a_wait_that_ends_leaves_nothing(self):
        token = self.acquire(0, "a")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "50")
        self.waits(2, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.assertEqual(self.pass_time(60), [(1, b"$-1\r\n")])
        _, answers = self.call(0, "LOCK.RELEASE", "a", str(token))
        self.assertEqual([number for number, _ in answers], [2])
        self.assertEqual(self.locks._waits, {})

    def test_a_holder_that_dies_is_followed_at_once_by_the_next_who_is_told(self):
        token = self.acquire(0, "a")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.assertEqual(self.end(0), [(1, b"*3\r\n:%d\r\n:1\r\n:1\r\n" % (token + 1))])
        self.assertEqual(self.locks._holders.keys(), {self.clients.contexts[1].session})

    def test_a_waiter_that_dies_is_not_granted_what_it_held_itself(self):
        self.acquire(0, "a", "SHARED")
        self.acquire(1, "a", "SHARED")
        self.waits(2, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.assertEqual(self.end(2), [])
        self.acquire(3, "a", "SHARED")
        self.assertEqual(len(self.locks.table.grants), 3)

    def test_only_the_owner_gives_it_back(self):
        token = self.acquire(0, "a")
        self.assertRegex(self.reply(1, "LOCK.RELEASE", "a", str(token)), b"^-LOCKLOST pid 100 holds it")
        self.assertRegex(self.reply(0, "LOCK.RELEASE", "b", str(token)), b"^-LOCKLOST ")
        self.clients.contexts[1].session.pid = 100  # another connection of the same process
        self.assertEqual(self.reply(1, "LOCK.RELEASE", "a", str(token)), b":0\r\n")
        self.assertRegex(self.reply(0, "LOCK.RELEASE", "a", str(token)), b"^-LOCKLOST .*was released")

    def test_depth(self):
        token = self.acquire(0, "a", "REENTRANT", "THREAD", "t")
        self.assertEqual(self.reply(0, "LOCK.ACQUIRE", "a", "REENTRANT", "THREAD", "t"),
                         b"*3\r\n:%d\r\n:0\r\n:2\r\n" % token)
        self.assertEqual(self.reply(0, "LOCK.ACQUIRE", "a", "REENTRANT", "THREAD", "u"), b"$-1\r\n")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "a", str(token)), b":1\r\n")
        self.assertEqual(self.reply(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_a_semaphore(self):
        token = self.acquire(0, "s", "LIMIT", "3", "UNITS", "2")
        self.acquire(1, "s", "LIMIT", "3")
        self.assertEqual(self.reply(2, "LOCK.ACQUIRE", "s", "LIMIT", "3"), b"$-1\r\n")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "s", str(token), "UNITS", "1"), b":1\r\n")
        self.acquire(2, "s", "LIMIT", "3")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "s", str(token), "UNITS", "1"), b":0\r\n")
        self.assertRegex(self.reply(0, "LOCK.ACQUIRE", "s", "LIMIT", "4"),
                         b"^-ERR the lock is in use with a limit of 3")

    def test_several_at_once(self):
        token = self.acquire(0, "b")
        self.waits(1, "LOCK.ACQUIREALL", "2", "a", "b", "WAIT", "-1")
        self.assertEqual(self.reply(2, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        _, answers = self.call(0, "LOCK.RELEASE", "b", str(token))
        self.assertEqual(answers, [(1, b"*2\r\n*3\r\n:%d\r\n:0\r\n:1\r\n*3\r\n:%d\r\n:0\r\n:1\r\n"
                                    % (token + 1, token + 2))])

    # -- leases, tokens, force ----------------------------------------------------------------------------------------

    def test_a_lease_ends_by_the_clock_alone(self):
        token = self.acquire(0, "a", "TTL", "100")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.keyspace.wall_ms = lambda: 0  # whatever the wall clock does
        self.assertEqual(self.pass_time(99), [])
        self.assertEqual([number for number, _ in self.pass_time(2)], [1])
        self.assertRegex(self.reply(0, "LOCK.RELEASE", "a", str(token)), b"^-LOCKLOST .*: expired")
        self.assertRegex(self.reply(0, "LOCK.EXTEND", "a", str(token), "100"), b"^-LOCKLOST .*: expired")

    def test_extend_sets_and_zero_takes_the_lease_away(self):
        token = self.acquire(0, "a", "TTL", "100")
        self.assertEqual(self.reply(0, "LOCK.EXTEND", "a", str(token), "50"), b":1\r\n")
        self.pass_time(40)
        self.assertEqual(self.reply(0, "LOCK.EXTEND", "a", str(token), "0"), b":1\r\n")
        self.pass_time(10 ** 9)
        self.assertEqual(self.reply(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")

    def test_what_a_token_owns(self):
        self.assertRegex(self.reply(0, "LOCK.ACQUIRE", "a", "DETACHED"), b"^-ERR .*needs a TTL")
        token = self.acquire(0, "a", "DETACHED", "TTL", "100")
        self.assertEqual(self.end(0), [])
        self.assertEqual(self.reply(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.assertRegex(self.reply(1, "LOCK.EXTEND", "a", str(token), "0"), b"^-ERR ")
        self.assertEqual(self.reply(1, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_force(self):
        token = self.acquire(0, "a")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.waits(2, "LOCK.WATCH", "a", str(token))
        reply, answers = self.call(3, "LOCK.FORCE", "a", "stuck since noon")
        self.assertEqual(reply, b":1\r\n")
        self.assertEqual(sorted(answers), [(1, b"*3\r\n:%d\r\n:1\r\n:1\r\n" % (token + 1)),
                                           (2, b"$24\r\nforced: stuck since noon\r\n")])
        self.assertRegex(self.reply(0, "LOCK.RELEASE", "a", str(token)), b"^-LOCKLOST .*forced: stuck since noon")
        self.assertEqual(self.reply(0, "LOCK.WATCH", "a", str(token)), b"$24\r\nforced: stuck since noon\r\n")
        self.assertEqual(self.reply(3, "LOCK.FORCE", "nobody", "why"), b":0\r\n")

    def test_watch_ends_with_a_release(self):
        token = self.acquire(0, "a")
        self.waits(1, "LOCK.WATCH", "a", str(token))
        self.assertEqual(self.end(1), [])
        self.waits(2, "LOCK.WATCH", "a", str(token))
        self.assertEqual(self.call(0, "LOCK.RELEASE", "a", str(token)), (b":0\r\n", [(2, b"$8\r\nreleased\r\n")]))

    def test_check_fences_a_transaction(self):
        token = self.acquire(0, "a")
        self.assertEqual(self.reply(1, "LOCK.CHECK", "a", str(token)), b":1\r\n")
        for expected, held in ((b"1", True), (None, False)):
            self.reply(0, "DEL", "k")
            if not held:
                self.reply(0, "LOCK.RELEASE", "a", str(token))
            self.reply(1, "MULTI")
            self.reply(1, "SET", "k", "1")
            self.reply(1, "LOCK.CHECK", "a", str(token))
            reply = self.reply(1, "EXEC")
            self.assertEqual(self.reply(0, "GET", "k"), b"$-1\r\n" if expected is None else b"$1\r\n1\r\n")
            if not held:
                self.assertRegex(reply, b"^-FENCED ")

    def test_a_lease_that_is_over_fences_within_a_batch(self):
        token = self.acquire(0, "a", "TTL", "100")
        self.keyspace.now_ms += 200
        self.reply(1, "MULTI")
        self.reply(1, "SET", "k", "1")
        self.reply(1, "LOCK.CHECK", "a", str(token))
        self.assertRegex(self.reply(1, "EXEC"), b"^-FENCED ")

    def test_no_lock_is_taken_in_a_batch(self):
        token = self.acquire(0, "a")
        self.keyspace.begin()
        for words in (("ACQUIRE", "b"), ("RELEASE", "a", str(token)), ("FORCE", "a", "x"), ("UNDO", "1"),
                      ("EXTEND", "a", str(token), "1"), ("ACQUIREALL", "1", "b")):
            self.assertRegex(self.reply(0, "LOCK." + words[0], *words[1:]), b"^-ERR a lock cannot be part of a batch")
        self.keyspace.rollback()

    def test_who_is_granted_a_lock_by_a_batch_is_told_when_it_is_over(self):
        self.acquire(0, "a", "SHARED")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1", "THREAD", "t")
        self.waits(2, "LOCK.ACQUIRE", "a", "WAIT", "-1", "SHARED")
        self.waits(3, "LOCK.ACQUIRE", "a", "WAIT", "50", "SHARED")
        writer = self.clients.contexts[1].session.id
        self.reply(4, "MULTI")
        self.reply(4, "CLIENT", "UNBLOCK", str(writer))
        self.reply(4, "SET", "k", "1")
        reply, answers = self.call(4, "EXEC")
        self.assertEqual((reply, answers), (b"*2\r\n:1\r\n+OK\r\n", [(1, b"$-1\r\n")]))
        self.assertEqual(self.end(3), [])  # who does not hear of it any more does not have it
        self.assertEqual([number for number, _ in self.pass_time(1)], [2])
        self.assertEqual(len(self.locks.table.grants), 2)

    def test_undo_of_what_has_run_out(self):
        self.acquire(0, "a", "TTL", "10", "REQUEST", "5")
        self.keyspace.now_ms += 20
        self.assertEqual(self.reply(0, "LOCK.UNDO", "5"), b":0\r\n")

    # -- taking back, inheriting --------------------------------------------------------------------------------------

    def test_undo_gives_back_what_a_request_was_granted(self):
        self.acquire(0, "a", "REQUEST", "7")
        self.acquire(0, "b", "REQUEST", "8")
        self.assertEqual(self.reply(0, "LOCK.UNDO", "9"), b":0\r\n")
        self.assertEqual(self.reply(1, "LOCK.UNDO", "7"), b":0\r\n")
        self.assertEqual(self.reply(0, "LOCK.UNDO", "7"), b":1\r\n")
        self.acquire(1, "a")
        self.assertEqual(self.reply(1, "LOCK.ACQUIRE", "b"), b"$-1\r\n")

    def test_undo_of_a_deeper_one_leaves_the_others(self):
        token = self.acquire(0, "a", "REENTRANT", "REQUEST", "1")
        self.acquire(0, "a", "REENTRANT", "REQUEST", "2")
        self.assertEqual(self.reply(0, "LOCK.UNDO", "2"), b":1\r\n")
        self.assertEqual(self.reply(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_a_session_inherits_what_another_has(self):
        self.acquire(0, "a", "REQUEST", "4")
        sessions = [context.session for context in self.clients.contexts]
        self.locks.adopt(sessions[0], sessions[1])
        self.assertEqual(self.end(0), [])
        self.assertEqual(self.reply(2, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.assertEqual(self.reply(1, "LOCK.UNDO", "4"), b":1\r\n")

    # -- deadlocks ----------------------------------------------------------------------------------------------------

    def test_circles_are_named(self):
        for size in range(1, 6):
            for number in range(size):
                self.acquire(number, "lock%d" % number, "THREAD", "main")
            for number in range(1, size):
                self.waits(number, "LOCK.ACQUIRE", "lock%d" % ((number + 1) % size), "WAIT", "-1", "THREAD", "main")
            reply = self.reply(0, "LOCK.ACQUIRE", "lock%d" % (1 % size), "WAIT", "-1", "THREAD", "main")
            self.assertRegex(reply, b"^-DEADLOCK ")
            for number in range(size):
                self.assertIn(b"pid %d (thread main)" % (100 + number), reply)
                self.assertIn(b"lock%d" % number, reply)
            self.assertEqual(self.reply(0, "LOCK.ACQUIRE", "lock%d" % (1 % size), "THREAD", "main"), b"$-1\r\n")
            for number in range(size):
                self.end(number)
            self.locks.table.check()
            self.clients = Clients(5)
            self.setUp()

    def test_threads_of_a_process_are_told_from_each_other(self):
        self.clients.contexts[1].session.pid = 100
        self.acquire(0, "a", "THREAD", "one")
        self.waits(1, "LOCK.ACQUIRE", "a", "THREAD", "two", "WAIT", "-1")
        self.assertRegex(self.reply(0, "LOCK.ACQUIRE", "a", "THREAD", "one", "WAIT", "-1"), b"^-DEADLOCK ")

    # -- asking -------------------------------------------------------------------------------------------------------

    def test_info_and_list(self):
        token = self.acquire(0, "a", "INFO", "nightly", "TTL", "5000", "THREAD", "t")
        self.waits(1, "LOCK.ACQUIRE", "a", "WAIT", "-1", "SHARED")
        self.pass_time(1000)
        reply = self.reply(2, "LOCK.INFO", "a")
        for part in (b"limit\r\n:0\r\n", b"token\r\n:%d\r\n" % token, b"pid\r\n:100\r\n", b"pid\r\n:101\r\n",
                     b"ttl_ms\r\n:4000\r\n", b"exclusive\r\n", b"shared\r\n", b"nightly\r\n", b"python job.py\r\n"):
            self.assertIn(part, reply)
        self.assertEqual(self.reply(2, "LOCK.LIST", "b*"), b"*0\r\n")
        self.assertIn(b"name\r\n$1\r\na\r\n", self.reply(2, "LOCK.LIST", "a*"))
        self.reply(2, "SELECT", "3")
        self.assertEqual(self.reply(2, "LOCK.LIST"), b"*0\r\n")
        self.acquire(2, "a")  # another database has names of its own
        self.assertIn(b"name\r\n$1\r\na\r\n", self.reply(2, "LOCK.LIST"))

    def test_words_that_make_no_sense_change_nothing(self):
        long = "x" * 40000
        for words in (("ACQUIRE", "a", "TTL"), ("ACQUIRE", "a", "TTL", "-1"), ("ACQUIRE", "a", "WAIT", "-2"),
                      ("ACQUIRE", "a", "LIMIT", "0"), ("ACQUIRE", "a", "LIMIT", "1", "UNITS", "2"),
                      ("ACQUIRE", "a", "UNITS", "1"), ("ACQUIRE", "a", "LIMIT", "99999999999999999999"),
                      ("ACQUIRE", "a", "SHARED", "LIMIT", "2"), ("ACQUIRE", "a", "WHAT"), ("ACQUIRE", long),
                      ("ACQUIRE", "a", "INFO", long), ("ACQUIRE", "a", "THREAD", long), ("ACQUIREALL", "0", "a"),
                      ("ACQUIREALL", "2", "a", "a"), ("ACQUIREALL", "3", "a", "b"), ("ACQUIREALL", "-1", "a"),
                      ("ACQUIREALL", "2", "a", "b", "REENTRANT"), ("RELEASE", "a", "x"), ("RELEASE", "a", "-1"),
                      ("RELEASE", "a", "1" * 30), ("RELEASE", "a", "1", "UNITS"), ("EXTEND", "a", "1", "-1"),
                      ("UNDO", "x"), ("FORCE", "a", long), ("CHECK", "a", "a"),
                      ("RECLAIM", "a", "0", "exclusive", "1", "0", "1", "0", "", ""),
                      ("RECLAIM", "a", "5", "whatever", "1", "0", "1", "0", "", ""),
                      ("RECLAIM", "a", "5", "units", "1", "0", "1", "0", "", "")):
            self.assertRegex(self.reply(0, "LOCK." + words[0], *words[1:]), b"^-ERR ", words)
        self.assertEqual((self.locks.table.locks, self.locks._waits), ({}, {}))
        self.assertRegex(self.reply(0, "LOCK.RELEASE", "a", "5"), b"^-LOCKLOST ")
        self.assertRegex(self.reply(0, "LOCK.RECLAIM", "a", "5", "exclusive", "1", "0", "1", "0", "", ""),
                         b"^-LOCKLOST ")


if __name__ == "__main__":
    unittest.main()

"""Locks with a log: nobody is told of a lock that the log has not, and the next coordinator has what was told."""

import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.engine.locks import kept
from nosqgrid.engine.structures.grants import Grants
from nosqgrid.errors import CorruptValueError, DiskError
from tests.support.engine_context import EngineContext, Processes
from tests.support.walks import ListLog, make_space


class GrantsTest(unittest.TestCase):

    def test_each_change_is_taken_back_by_its_inverse(self):
        grants = Grants()
        grants.apply([b"put", b"g1", b"a", b"b"])
        for words in ([b"put", b"g1", b"c"], [b"put", b"g2"], [b"del", b"g1"], [b"del", b"none"], [b"high", b"77"]):
            before = sorted(grants.changes()), grants.size_bytes
            inverses = grants.apply(words)
            for inverse in inverses:
                grants.apply(inverse)
            self.assertEqual((sorted(grants.changes()), grants.size_bytes), before, words)
            grants.apply(words)
        copy = grants.copy()
        self.assertEqual((copy.items, copy.high, copy.size_bytes), (grants.items, 77, grants.size_bytes))
        self.assertTrue(copy.shrink(100))

    def test_words_that_are_no_change(self):
        grants = Grants()
        for words in ([], [b"put"], [b"del"], [b"del", b"a", b"b"], [b"high"], [b"high", b"-1"], [b"high", b"x"],
                      [b"high", b"9" * 30], [b"what", b"a"]):
            with self.assertRaises(CorruptValueError):
                grants.apply(words)
        self.assertEqual((grants.items, grants.high), ({}, 0))

    def test_records_that_make_no_sense(self):
        good = [b"a", b"exclusive", b"1", b"0", b"0", b"0", b"1", b"0", b"5", b"9", b"t", b"",
                b"1", b"2", b"", b"3", b"4", b"boot", b"python"]
        self.assertEqual(kept.read_grant(b"g5", good)[0], 5)
        for place, word in ((1, b"x"), (2, b""), (2, b"-1"), (3, b"x"), (6, b"0"), (9, b"x"), (12, b"x"), (15, b"")):
            with self.assertRaises(CorruptValueError):
                kept.read_grant(b"g5", good[:place] + [word] + good[place + 1:])
        for key, words in ((b"g", good), (b"g0", good), (b"g-4", good), (b"g5", good[:-1]), (b"g5", []),
                           (b"g" + b"9" * 30, good)):
            with self.assertRaises(CorruptValueError):
                kept.read_grant(key, words)


class RestartTest(unittest.TestCase):

    def setUp(self):
        self.log = ListLog()
        self.space, self.header = make_space(1 << 20)
        self.wall_ms = 1700000000000
        self.begin(self.space)
        self.space.set_log(self.log)
        self.contexts = []
        self.start()

    def begin(self, space):
        space.now_ms = 5000
        space.wall_ms = lambda: self.wall_ms + space.now_ms

    def start(self, living=(), replaced=False):
        """A coordinator on what there is, with clients of the pids 100, 101, ..."""
        self.processes = Processes(living)
        self.contexts = [EngineContext(keyspace=self.space, processes=self.processes, replaced=replaced)]
        self.contexts += [EngineContext(other=self.contexts[0]) for _ in range(3)]
        for number, context in enumerate(self.contexts):
            context.session.pid = 100 + number
        self.locks = self.contexts[0].server.locks

    def restart(self, living=(), replaced=True, by_checkpoint=False):
        """Another coordinator, which has what the log or a checkpoint of it holds."""
        target, _ = make_space(header=self.header)
        self.begin(target)
        target.now_ms = self.space.now_ms
        loader = Loader(target)
        if by_checkpoint:
            structure = self.space.structures.by_key[kept.KEY]
            target.put(kept.KEY, structure.copy())
            self.log = ListLog()
        else:
            for first_lsn, count, payload in self.log.entries:
                loader.apply(first_lsn, count, payload, 0, False)
            loader.finish(self.space.version)
        target.set_log(self.log)
        self.space = target
        self.start(living, replaced)
        self.space.check()

    def call(self, number, *words):
        return self.contexts[number].call(*words)

    def token(self, number, name, *options):
        reply = self.call(number, "LOCK.ACQUIRE", name, *options)
        self.assertTrue(reply.startswith(b"*3"), reply)
        return int(reply.split(b"\r\n")[1][1:])

    def reclaim(self, number, name, token, mode="exclusive", depth="0"):
        return self.call(number, "LOCK.RECLAIM", name, str(token), mode, "1", "0", depth, "0", "", "")

    def pass_time(self, ms):
        self.space.now_ms += ms
        self.locks.tick(0)

    # -- the log ------------------------------------------------------------------------------------------------------

    def test_what_the_log_refuses_is_not_granted(self):
        self.log.error = DiskError("full")
        self.assertRegex(self.call(0, "LOCK.ACQUIRE", "a"), b"^-DISK")
        self.assertEqual(self.locks.table.grants, {})
        self.log.error = None
        self.token(0, "a")

    def test_who_waits_hears_of_the_refusal_and_the_end_of_the_old_grant_is_logged_later(self):
        self.token(0, "a")
        self.contexts[1].call("LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.log.error = DiskError("full")
        self.locks.session_ended(self.contexts[0].session)
        (_, reply), = self.contexts[0].answers()
        self.assertRegex(reply, b"^-DISK")
        self.assertEqual(self.locks.table.locks, {})
        self.log.error = None
        self.pass_time(1)
        self.restart(living=(100, 101))
        self.assertEqual(self.locks.table.grants, {})

    def test_each_is_one_entry_of_the_log(self):
        before = len(self.log.entries)
        token = self.token(0, "a")
        self.call(0, "LOCK.RELEASE", "a", str(token))
        self.call(0, "LOCK.ACQUIREALL", "3", "x", "y", "z")
        self.assertEqual(len(self.log.entries) - before, 3)

    def test_a_clearing_takes_no_lock_away(self):
        token = self.token(0, "a")
        self.call(1, "FLUSHALL")
        self.restart(living=(100,))
        self.assertEqual(list(self.locks.table.grants), [token])

    # -- holders that live, died, come back ---------------------------------------------------------------------------

    def test_a_living_holder_keeps_it_until_it_comes_back_or_dies(self):
        for by_checkpoint in (False, True):
            token = self.token(0, "a", "THREAD", "t", "REENTRANT")
            self.token(0, "a", "THREAD", "t", "REENTRANT")
            self.restart(living=(100,), by_checkpoint=by_checkpoint)
            self.assertEqual(self.call(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
            self.pass_time(10 ** 7)
            self.assertEqual(self.call(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
            self.assertIn(b"absent\r\n:1", self.call(1, "LOCK.INFO", "a"))
            self.assertRegex(self.reclaim(1, "a", token), b"^-LOCKLOST pid 100 held it")
            self.assertEqual(self.reclaim(0, "a", token, depth="2"), b":1\r\n")
            self.assertEqual(self.reclaim(0, "a", token, depth="2"), b":1\r\n")
            self.assertIn(b"absent\r\n:0", self.call(1, "LOCK.INFO", "a"))
            self.assertEqual(self.call(0, "LOCK.RELEASE", "a", str(token)), b":1\r\n")
            self.assertEqual(self.call(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_a_living_holder_may_give_it_back_without_more_words(self):
        token = self.token(0, "a")
        self.restart(living=(100,))
        self.assertEqual(self.call(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_a_request_that_was_granted_and_not_answered_can_be_made_again_or_taken_back(self):
        token = self.token(0, "again", "REQUEST", "771")
        self.token(0, "undone", "REQUEST", "772")
        self.token(1, "of another", "REQUEST", "771")
        self.call(0, "LOCK.ACQUIREALL", "2", "x", "y", "REQUEST", "773")
        self.restart(living=(100, 101))
        self.assertEqual(self.call(0, "LOCK.ACQUIRE", "again", "REQUEST", "770"), b"$-1\r\n")
        self.assertEqual(self.token(0, "again", "REQUEST", "771"), token)
        self.assertEqual(self.call(0, "LOCK.UNDO", "772"), b":1\r\n")
        self.assertTrue(self.call(0, "LOCK.ACQUIREALL", "2", "y", "x", "REQUEST", "773").startswith(b"*2"))
        self.assertEqual(sorted(grant.name for grant in self.locks.table.grants.values()),
                         [b"again", b"of another", b"x", b"y"])
        self.assertEqual([grant.name for grant in self.locks._absent.values()], [b"of another"])
        self.locks.table.check()

    def test_how_deep_it_is_the_holder_knows_best(self):
        token = self.token(0, "a", "REENTRANT", "THREAD", "t", "REQUEST", "1")
        self.call(0, "LOCK.ACQUIRE", "a", "REENTRANT", "THREAD", "t", "REQUEST", "2")
        self.restart(living=(100,))
        self.assertEqual(self.reclaim(0, "a", token, depth="1"), b":1\r\n")
        self.assertEqual(self.call(0, "LOCK.RELEASE", "a", str(token)), b":0\r\n")

    def test_a_holder_that_dies_later_is_noticed(self):
        self.token(0, "a")
        self.restart(living=(100,))
        self.contexts[1].call("LOCK.ACQUIRE", "a", "WAIT", "-1")
        self.processes.watched[100](100)
        (number, reply), = self.contexts[1].answers()
        self.assertRegex(reply, rb"^\*3\r\n:[0-9]+\r\n:1\r\n")

    def test_a_dead_holder_leaves_it_abandoned(self):
        token = self.token(0, "a")
        self.restart(living=())
        reply = self.call(1, "LOCK.ACQUIRE", "a")
        self.assertRegex(reply, rb"^\*3\r\n:[0-9]+\r\n:1\r\n")
        self.assertRegex(self.reclaim(0, "a", token), b"^-LOCKLOST .*session ended")

    def test_abandoned_is_remembered(self):
        self.token(0, "a")
        self.locks.session_ended(self.contexts[0].session)
        self.restart()
        self.assertRegex(self.call(1, "LOCK.ACQUIRE", "a"), rb"^\*3\r\n:[0-9]+\r\n:1\r\n")
        self.restart(living=(101,))
        self.assertEqual(list(self.locks.table.abandoned), [])

    def test_a_holder_nobody_knows_of_has_the_time_of_grace(self):
        self.contexts[0].session.local = False
        self.contexts[0].session.address = "10.0.0.1:999"
        token = self.token(0, "a")
        self.restart()
        self.assertEqual(self.call(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.pass_time(4999)
        self.assertEqual(self.call(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.assertEqual(self.reclaim(0, "a", token), b":1\r\n")
        self.pass_time(2)
        self.assertEqual(self.call(1, "LOCK.ACQUIRE", "a"), b"$-1\r\n")
        self.restart()
        self.pass_time(5001)
        self.token(1, "a")

    def test_what_a_token_owns_has_its_lease_anew(self):
        token = self.token(0, "a", "DETACHED", "TTL", "1000")
        self.space.now_ms += 900
        self.restart()
        self.pass_time(900)
        self.assertEqual(self.call(1, "LOCK.RELEASE", "a", str(token)), b":0\r\n")
        self.token(0, "a", "DETACHED", "TTL", "1000")
        self.restart()
        self.pass_time(1001)
        self.token(1, "a")

    def test_semaphores_and_readers_come_back(self):
        self.token(0, "s", "LIMIT", "3", "UNITS", "2")
        self.token(1, "s", "LIMIT", "3")
        self.token(0, "r", "SHARED")
        self.token(1, "r", "SHARED")
        self.restart(living=(100,))
        self.assertEqual(self.call(2, "LOCK.ACQUIRE", "s", "LIMIT", "3", "UNITS", "2"), b"$-1\r\n")
        self.token(2, "s", "LIMIT", "3")
        self.token(2, "r", "SHARED")
        self.locks.table.check()

    def test_an_orderly_end_takes_nothing_away(self):
        token = self.token(0, "a")
        self.locks.close()
        for context in self.contexts:
            self.locks.session_ended(context.session)
        self.restart(living=(100,), replaced=False)
        self.assertEqual(list(self.locks.table.grants), [token])

    def test_of_two_holders_in_what_was_salvaged_the_later_one_has_it(self):
        first = self.token(0, "a")
        record = self.space.structures.by_key[kept.KEY].items[b"g%d" % first]
        self.call(0, "LOCK.RELEASE", "a", str(first))
        second = self.token(1, "a")
        self.space.update(kept.KEY, self.space.structures.by_key[kept.KEY], Grants, (b"put", b"g%d" % first) + record)
        self.restart(living=(100, 101))
        self.assertEqual(list(self.locks.table.grants), [second])
        self.assertNotIn(b"g%d" % first, self.space.structures.by_key[kept.KEY].items)

    # -- tokens -------------------------------------------------------------------------------------------------------

    def test_tokens_never_go_back_whatever_the_wall_clock_does(self):
        last = 0
        for wall_ms in (1700000000000, 1600000000000, 0, 1600000000001, 1800000000000, 0):
            self.wall_ms = wall_ms
            self.restart(living=(100, 101, 102, 103), replaced=bool(last))
            for number in range(4):
                token = self.token(number % 4, "l%d" % number, "SHARED")
                self.assertGreater(token, last)
                last = token

    def test_what_was_given_is_never_beyond_what_the_log_reserves(self):
        for number in range(20):
            token = self.token(0, "a")
            self.locks.table.last_token += kept.TOKENS_AHEAD // 5
            self.call(0, "LOCK.RELEASE", "a", str(token))
            self.assertLessEqual(token, self.space.structures.by_key[kept.KEY].high)

    # -- without a log ------------------------------------------------------------------------------------------------

    def test_without_a_log_nothing_is_granted_for_the_time_of_grace(self):
        self.space.set_log(None)
        self.start(replaced=True)
        self.assertEqual(self.call(0, "LOCK.ACQUIRE", "free"), b"$-1\r\n")
        self.contexts[1].call("LOCK.ACQUIRE", "a", "WAIT", "-1")
        far = self.locks.table.last_token + 10 ** 6
        self.assertEqual(self.reclaim(0, "a", far), b":1\r\n")
        self.assertRegex(self.reclaim(2, "a", far + 1), b"^-LOCKLOST ")
        self.contexts[3].call("LOCK.ACQUIRE", "free", "WAIT", "-1")
        self.pass_time(5001)
        (session, reply), = self.contexts[0].answers()
        self.assertEqual(session, self.contexts[3].session.id)
        self.call(0, "LOCK.RELEASE", "a", str(far))
        (_, reply), = self.contexts[0].answers()
        self.assertGreater(int(reply.split(b"\r\n")[1][1:]), far)
        self.assertRegex(self.reclaim(2, "b", 5), b"^-LOCKLOST ")
        self.locks.table.check()

    def test_with_a_log_that_has_no_locks_nobody_had_any(self):
        self.start(replaced=True)
        self.assertEqual(self.call(0, "LOCK.ACQUIRE", "a"), b"$-1\r\n")  # there may have been no log before
        self.call(0, "SET", "k", "v")
        self.start(replaced=True)
        self.token(0, "a")

    def test_a_structure_that_nobody_keeps_up_to_date_is_not_believed(self):
        self.token(0, "a")
        self.space.set_log(None)
        self.start(living=(100,), replaced=False)
        self.token(1, "a")
        self.assertNotIn(kept.KEY, self.space.structures.by_key)

    # -- meetings -----------------------------------------------------------------------------------------------------

    def test_events_and_latches_are_kept(self):
        self.call(0, "EVENT.SET", "e")
        self.call(0, "EVENT.SET", "gone")
        self.call(0, "EVENT.CLEAR", "gone")
        self.call(0, "LATCH.OPEN", "l", "5")
        self.call(0, "LATCH.DOWN", "l", "2")
        self.restart()
        self.assertEqual([self.call(0, *words) for words in (("EVENT.ISSET", "e"), ("EVENT.ISSET", "gone"),
                                                             ("LATCH.COUNT", "l"))], [b":1\r\n", b":0\r\n", b":3\r\n"])

    def test_an_event_that_the_log_refuses_is_not_set(self):
        self.call(0, "LATCH.OPEN", "l", "5")
        self.call(0, "EVENT.SET", "kept")
        self.log.error = DiskError("full")
        for words in (("EVENT.SET", "e"), ("LATCH.DOWN", "l"), ("EVENT.CLEAR", "kept")):
            self.assertRegex(self.call(0, *words), b"^-DISK", words)
        self.log.error = None
        self.pass_time(1)
        for _ in range(2):
            self.assertEqual([self.call(0, *words) for words in (("EVENT.ISSET", "e"), ("EVENT.ISSET", "kept"),
                                                                 ("LATCH.COUNT", "l"))],
                             [b":0\r\n", b":1\r\n", b":5\r\n"])
            self.restart()


if __name__ == "__main__":
    unittest.main()

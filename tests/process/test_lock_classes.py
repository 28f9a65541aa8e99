"""Locks as programs use them: what threading promises class by class, and what goes beyond it."""

import os
import pickle
import threading
import time

import nosqgrid
from nosqgrid import errors
from tests.support.locking import LockTestCase
from tests.support.processes import TIMEOUT_S, wait_until

SHORT_S = 0.05


class LikeThreadingTest(LockTestCase):
    """The same calls, with the same results and errors, as locks of threading."""

    def pairs(self):
        """(lock of threading, lock of the grid) of each sort."""
        return [(threading.Lock(), self.grid.lock("lock")), (threading.RLock(), self.grid.rlock("rlock")),
                (threading.BoundedSemaphore(1), self.grid.semaphore("semaphore", 1))]

    def result(self, function):
        try:
            return function()
        except Exception as error:
            return [cls for cls in (ValueError, RuntimeError, OverflowError, TypeError) if isinstance(error, cls)][0]

    def both(self, calls):
        """A call on both sides gives the same."""
        for theirs, ours in self.pairs():
            for number, call in enumerate(calls):
                with self.subTest(type(ours).__name__, call=number):
                    self.assertEqual(self.result(lambda: call(ours)), self.result(lambda: call(theirs)))

    def test_results_and_errors(self):
        self.both([lambda lock: lock.acquire(),
                   lambda lock: lock.release(),
                   lambda lock: lock.release(),
                   lambda lock: lock.acquire(False),
                   lambda lock: lock.release(),
                   lambda lock: lock.acquire(True, 1.5),
                   lambda lock: lock.release(),
                   lambda lock: lock.acquire(False, 1.5),
                   lambda lock: lock.acquire(blocking=False),
                   lambda lock: lock.release(),
                   lambda lock: lock.acquire(timeout=0),
                   lambda lock: lock.release()])

    def test_other_threads_wait_and_are_told_when_the_time_is_up(self):
        for theirs, ours in self.pairs():
            for lock in (theirs, ours):
                with self.subTest(type(lock).__name__):
                    lock.acquire()
                    self.assertIs(self.outcome(self.thread(lambda: lock.acquire(False))), False)
                    self.assertIs(self.outcome(self.thread(lambda: lock.acquire(timeout=SHORT_S))), False)
                    lock.release()
        self.assertEqual(self.grid.locks(), [])

    def test_release_by_another_thread(self):
        for theirs, ours in self.pairs():
            for lock in (theirs, ours):
                with self.subTest(type(lock).__name__):
                    lock.acquire()
                    found = self.outcome(self.thread(lambda: self.result(lock.release)))
                    if "RLock" in repr(lock):
                        self.assertIs(found, RuntimeError)
                        lock.release()
                    else:
                        self.assertIsNone(found)
        self.assertEqual(self.grid.locks(), [])

    def test_wrong_arguments(self):
        lock = self.grid.lock("a")
        for arguments in ((False, 1), (True, -2), (True, "1"), (True, True), (True, float("nan")), (True, 1e30)):
            with self.subTest(arguments):
                with self.assertRaises((ValueError, TypeError, errors.UsageError)):
                    lock.acquire(*arguments)
        self.assertFalse(lock.locked())
        for options in ({"ttl": -1}, {"ttl": "1"}, {"on_lost": 5}, {"info": 5}):
            with self.assertRaises(errors.UsageError):
                self.grid.lock("a", **options)

    def test_with_gives_the_lock_and_releases_it_whatever_happens(self):
        for _, lock in self.pairs():
            with self.assertRaises(ZeroDivisionError):
                with lock as found:
                    self.assertIs(found, lock)
                    self.assertTrue(lock.locked())
                    1 / 0
            self.assertFalse(lock.locked())

    def test_threads_that_share_an_object_exclude_each_other(self):
        lock, inside, most = self.grid.lock("a"), [], []

        def work():
            for _ in range(20):
                with lock:
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        for thread in [self.thread(work) for _ in range(5)]:
            self.assertIsNone(self.outcome(thread))
        self.assertEqual((len(most), max(most)), (100, 1))
        self.assertEqual(self.grid.locks(), [])


class ReentrantTest(LockTestCase):
    def test_as_often_as_it_was_taken(self):
        lock, other = self.grid.rlock("a"), self.player()
        for _ in range(3):
            self.assertTrue(lock.acquire())
        for _ in range(3):
            self.assertEqual(other.ask("lock", "a", "acquire", False), "False")
            lock.release()
        self.assertEqual(other.ask("lock", "a", "acquire", False), "True")
        with self.assertRaises(RuntimeError):
            lock.release()

    def test_two_objects_of_one_thread_are_one_lock(self):
        first, second = self.grid.rlock("a"), self.grid.lock("a", reentrant=True)
        with first:
            with second:
                self.assertEqual(first.fence, second.fence)
            self.assertTrue(first.owned())
            self.assertFalse(self.outcome(self.thread(lambda: second.acquire(False))))
        self.assertEqual(self.grid.locks(), [])

    def test_belongs_to_its_thread(self):
        lock = self.grid.rlock("a")
        with lock:
            self.assertFalse(self.outcome(self.thread(lock.owned)))
            self.assertIsInstance(self.outcome(self.thread(lambda: lock.fence)), RuntimeError)


class ReadersAndWriterTest(LockTestCase):
    def test_many_read_and_one_writes(self):
        rw = self.grid.rwlock("a")
        with rw.read(), rw.read():
            self.assertFalse(rw.write().acquire(False))
        with rw.write():
            self.assertFalse(rw.read().acquire(False))
            self.assertFalse(self.grid.lock("a").acquire(False))
        self.assertEqual(self.grid.locks(), [])

    def test_who_wants_to_read_waits_behind_one_who_waits_for_writing(self):
        rw = self.grid.rwlock("a")
        first, write, late = rw.read(), rw.write(), rw.read()
        first.acquire()
        writer = self.thread(write.acquire)
        self.wait_for_waiters("a")
        reader = self.thread(late.acquire)
        self.assertEqual([row.mode for row in self.wait_for_waiters("a", 2)], ["exclusive", "shared"])
        first.release()
        self.assertTrue(self.outcome(writer))
        self.assertEqual(reader.found, [])
        write.release()
        self.assertTrue(self.outcome(reader))
        late.release()

    def test_readers_behind_a_writer_who_gives_up_go_on(self):
        rw = self.grid.rwlock("a")
        with rw.read():
            writer = self.thread(lambda: rw.write().acquire(timeout=0.3))
            self.wait_for_waiters("a")
            self.assertTrue(self.outcome(self.thread(lambda: rw.read().acquire(timeout=TIMEOUT_S))))
            self.assertFalse(self.outcome(writer))

    def test_only_the_writer_is_preferred(self):
        with self.assertRaises(errors.UsageError):
            self.grid.rwlock("a", prefer="reader")


class SeveralTest(LockTestCase):
    def test_semaphore_counts(self):
        semaphore, other = self.grid.semaphore("a", 2), self.player()
        self.assertTrue(semaphore.acquire() and semaphore.acquire(False))
        self.assertFalse(semaphore.acquire(timeout=SHORT_S))
        self.assertEqual(other.ask("semaphore", "a", "acquire", False), "False")
        self.assertEqual(len(set(semaphore.fences)), 2)
        semaphore.release(2)
        self.assertEqual([other.ask("semaphore", "a", "acquire", False) for _ in range(3)], ["True", "True", "False"])
        other.kill()
        self.assertTrue(semaphore.acquire(timeout=TIMEOUT_S) and semaphore.acquire(timeout=TIMEOUT_S))
        semaphore.release(2)
        for wrong in (1, 0, -1, True, "1"):
            with self.assertRaises(ValueError):
                semaphore.release(wrong)
        for wrong in (0, -1, True, 1.5):
            with self.assertRaises(ValueError):
                self.grid.semaphore("a", wrong)

    def test_a_semaphore_of_another_value_is_refused_while_it_is_held(self):
        with self.grid.semaphore("a", 2):
            with self.assertRaises(errors.CommandError):
                self.grid.semaphore("a", 3).acquire(False)
        with self.grid.semaphore("a", 3):
            self.assertEqual(len(self.grid.semaphore("a", 3).holders()), 1)

    def test_what_was_taken_away_from_a_semaphore_is_told_once(self):
        semaphore = self.grid.semaphore("a", 2)
        semaphore.acquire(), semaphore.acquire()
        self.assertEqual(semaphore.force_release("enough"), 2)
        for _ in range(2):
            with self.assertRaisesRegex(errors.LockLostError, "enough"):
                semaphore.release()
        with self.assertRaises(ValueError):
            semaphore.release()
        with semaphore:
            self.assertEqual(len(semaphore.fences), 1)
        self.assertEqual(self.grid.locks(), [])

    def test_multilock_is_all_or_nothing(self):
        names = ["a", "b", "c"]
        locks = self.grid.multilock(names)
        with self.grid.lock("b"):
            self.assertFalse(locks.acquire(False))
            self.assertFalse(self.outcome(self.thread(lambda: locks.acquire(timeout=SHORT_S))))
            self.assertEqual([row[0] for row in self.grid.locks()], ["b"])
            waiting = self.thread(locks.acquire)
            self.wait_for_waiters("b")
            self.assertEqual([row[1] for row in self.grid.locks() if row[0] != "b"], [[], []])  # nobody has those
        self.assertTrue(self.outcome(waiting))
        self.assertEqual(sorted(locks.fences), names)
        locks.release()
        with self.assertRaises(RuntimeError):
            locks.release()
        for wrong in ([], ["a", "a"], ["a", b"a"]):
            with self.assertRaises(errors.UsageError):
                self.grid.multilock(wrong)

    def test_multilocks_in_any_order_do_not_stop_each_other(self):
        def work(names):
            for _ in range(30):
                with self.grid.multilock(names):
                    self.grid.incr("n")

        threads = [self.thread(lambda names=names: work(names))
                   for names in (["a", "b", "c"], ["c", "b", "a"], ["b", "c"], ["c", "a"])]
        for thread in threads:
            self.assertIsNone(self.outcome(thread))
        self.assertEqual(self.grid["n"], 120)
        self.assertEqual(self.grid.locks(), [])

    def test_one_lost_of_a_multilock_is_told_after_the_others_are_released(self):
        locks = self.grid.multilock(["a", "b", "c"])
        locks.acquire()
        self.grid.lock("b").force_release("enough")
        with self.assertRaisesRegex(errors.LockLostError, "enough"):
            locks.release()
        self.assertEqual(self.grid.locks(), [])
        with locks:
            self.assertTrue(locks.abandoned)


class LosingTest(LockTestCase):
    """Leases, force, fences."""

    def setUp(self):
        super().setUp()
        self.lost, self.told = [], threading.Event()

    def on_lost(self, reason):
        self.lost.append(reason)
        self.told.set()

    def test_a_lease_of_no_time_is_refused_and_is_not_one_for_ever(self):
        makers = (self.grid.lock, self.grid.rlock, self.grid.election, self.grid.semaphore,
                  lambda name, ttl: self.grid.multilock([name], ttl=ttl),
                  lambda name, ttl: self.grid.rwlock(name).read(ttl=ttl),
                  lambda name, ttl: self.grid.rwlock(name).write(ttl=ttl))
        for ttl in (0, 0.0, -1, float("nan"), "1"):
            for make in makers:
                with self.assertRaises(nosqgrid.UsageError):
                    make("a", ttl=ttl)
            with self.grid.lock("a", ttl=1000) as lock:
                with self.assertRaises(nosqgrid.UsageError):
                    lock.extend(ttl)
                self.assertAlmostEqual(lock.holders()[0].ttl_s, 1000, delta=60)

    def test_fences_rise_from_lock_to_lock_and_process_to_process(self):
        other, last = self.player(), 0
        for number in range(4):
            with self.grid.lock("a%d" % (number % 2)) as lock:
                self.assertGreater(lock.fence, last)
                last = lock.fence
            self.assertEqual(other.ask("lock", "a", "acquire"), "True")
            fence = int(other.ask("lock", "a", "fence"))
            self.assertEqual(other.ask("lock", "a", "release"), "None")
            self.assertGreater(fence, last)
            last = fence
        with self.assertRaises(RuntimeError):
            lock.fence

    def test_a_lease_ends(self):
        lock = self.grid.lock("a", ttl=SHORT_S, on_lost=self.on_lost)
        lock.acquire()
        guarded = lock.guard()
        self.assertTrue(self.told.wait(TIMEOUT_S))
        self.assertIn("expired", self.lost[0])
        self.assertFalse(lock.owned())
        with self.assertRaises(errors.FencedError):
            guarded["k"] = 1
        with self.assertRaisesRegex(errors.LockLostError, "expired"):
            lock.extend(10)
        with self.assertRaisesRegex(errors.LockLostError, "expired"):
            lock.release()
        with self.assertRaises(RuntimeError):
            lock.release()
        with self.grid.lock("a") as other:
            self.assertTrue(other.abandoned)
        self.assertNotIn("k", self.grid)

    def test_extend_sets_and_does_not_add(self):
        with self.grid.lock("a", ttl=1000) as lock:
            lock.extend(500)
            self.assertLessEqual(lock.owner().ttl_s, 500)
            lock.extend(20)
            self.assertLessEqual(lock.owner().ttl_s, 20)
            lock.reacquire()
            self.assertGreater(lock.owner().ttl_s, 900)
            lock.extend()
            self.assertIsNone(lock.owner().ttl_s)
            self.assertTrue(lock.owned())

    def test_released_in_time_nobody_is_told(self):
        for ttl in (None, 1000):
            with self.grid.lock("a", ttl=ttl, on_lost=self.on_lost):
                wait_until(lambda: [thread for thread in threading.enumerate() if thread.name == "nosqgrid lock a"],
                           what="the thread that watches")
            wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "nosqgrid lock a"],
                       what="the thread that watches to end")
        self.assertEqual(self.lost, [])
        with self.grid.lock("a") as lock:
            self.assertFalse(lock.abandoned)

    def test_force_tells_everybody(self):
        lock, waiter = self.grid.lock("a", on_lost=self.on_lost), self.player()
        lock.acquire()
        waiter.tell("lock", "a", "acquire")
        self.wait_for_waiters("a")
        self.assertEqual(self.grid.lock("a").force_release("it hung"), 1)
        self.assertEqual(waiter.read_line(), "True")
        self.assertEqual(waiter.ask("lock", "a", "abandoned"), "True")
        self.assertTrue(self.told.wait(TIMEOUT_S))
        self.assertIn("it hung", self.lost[0])
        with self.assertRaisesRegex(errors.LockLostError, "it hung"):
            lock.release()
        self.assertEqual(len(self.grid.lock("a").holders()), 1)
        for wrong in ("", None, 5):
            with self.assertRaises(errors.UsageError):
                lock.force_release(wrong)

    def test_who_holds_and_who_waits_can_be_asked(self):
        begun, other = time.time(), self.player()
        with self.grid.lock("a", info="the report") as lock:
            other.tell("lock", "a", "acquire")
            waiter, = self.wait_for_waiters("a")
            owner = lock.owner()
            self.assertEqual((owner.pid, owner.uid, owner.token, owner.info), (os.getpid(), os.getuid(), lock.fence,
                                                                              "the report"))
            self.assertEqual((waiter.pid, waiter.token), (other.pid, 0))
            for row in (owner, waiter):
                self.assertLess(abs(row.since_s - begun), TIMEOUT_S)
                self.assertIn("python", row.command)
            (name, holders, waiters), = self.grid.locks()
            self.assertEqual((name, holders[0].token, len(holders), waiters[0].pid, len(waiters)),
                             ("a", owner.token, 1, other.pid, 1))
            self.assertEqual(self.grid.locks("b*"), [])
        self.assertEqual(other.read_line(), "True")


class CopiesTest(LockTestCase):
    """Objects that travel, and processes that fork."""

    def test_pickled_objects_have_the_same_options_and_hold_nothing(self):
        grid = self.grid
        made = [grid.lock("a", ttl=5, info="x"), grid.rlock("b"), grid.rwlock("c").read(),
                grid.rwlock("c").write(ttl=3), grid.rwlock("c"), grid.semaphore("d", 3, ttl=7),
                grid.multilock(["e", "f"]), grid.barrier("g", 3),
                grid.barrier("g", 3, action=os.getpid, timeout=5), grid.event("h"), grid.condition("i"),
                grid.condition("i", grid.lock("j")), grid.latch("k", 5), grid.once("l"), grid.counter("m"),
                grid.election("n", data="host", ttl=9), grid.rate_limiter("o", 5, 1.5, 2)]
        for lock in made:
            with self.subTest(lock):
                copy = pickle.loads(pickle.dumps(lock))
                try:
                    self.assertIs(type(copy), type(lock))
                    self.assertEqual(copy.name, lock.name)
                    if hasattr(lock, "_arguments"):
                        self.assertEqual(repr(copy._arguments()), repr(lock._arguments()))
                finally:
                    copy._grid.close()
        with made[0]:
            copy = pickle.loads(pickle.dumps(made[0]))
            try:
                self.assertFalse(copy.owned())
                self.assertFalse(copy.acquire(False))
                with self.assertRaises(RuntimeError):
                    copy.release()
            finally:
                copy._grid.close()

    def test_forked_child_holds_nothing_of_its_parent(self):
        lock, rlock, semaphore = self.grid.lock("a"), self.grid.rlock("b"), self.grid.semaphore("c", 2)
        locks = self.grid.multilock(["d", "e"])
        lock.acquire(), rlock.acquire(), semaphore.acquire(), locks.acquire()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                checks = [not lock.owned(), not rlock.owned(), not lock.acquire(False), not rlock.acquire(False),
                          not locks.acquire(False), semaphore.acquire(False), semaphore.fences != []]
                for held in (lock, rlock, locks):
                    try:
                        held.release()
                        checks.append(False)
                    except RuntimeError:
                        checks.append(True)
                semaphore.release()
                status = 0 if all(checks) else 2
                self.grid.close()  # gives nothing back that is the parent's
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertTrue(lock.owned() and rlock.owned())
        self.assertEqual([name for name, _, _ in self.grid.locks()], ["a", "b", "c", "d", "e"])
        lock.release(), rlock.release(), semaphore.release(), locks.release()
        self.assertEqual(self.grid.locks(), [])

    def test_closing_the_grid_gives_everything_back(self):
        grid = nosqgrid.attach(self.launched.address)
        grid.lock("a").acquire(), grid.semaphore("b", 2).acquire(), grid.multilock(["c", "d"]).acquire()
        self.assertEqual(len(self.grid.locks()), 4)
        grid.close()
        self.assertEqual(self.grid.locks(), [])
        with self.grid.lock("a") as lock:
            self.assertFalse(lock.abandoned)

"""Locks as programs use them: what threading promises, and what goes beyond it."""

import os
import pickle
import random
import signal
import threading
import time

import nosqgrid
from nosqgrid import errors
from tests.support.locks import LocksTestCase
from tests.support.processes import TIMEOUT_S, wait_until


class LockTest(LocksTestCase):
    def test_as_threading(self):
        lock = self.grid.lock("a")
        self.assertIs(lock.acquire(), True)
        self.assertTrue(lock.locked())
        self.assertIs(self.grid.lock("a").acquire(blocking=False), False)
        self.assertIs(self.grid.lock("a").acquire(False), False)
        with self.assertRaises(ValueError):
            lock.acquire(False, 1)
        with self.assertRaises(ValueError):
            lock.acquire(True, -2)
        with self.assertRaises(TypeError):
            lock.acquire(True, "x")
        lock.release()
        self.assertFalse(lock.locked())
        with self.assertRaises(RuntimeError):
            lock.release()
        with lock as entered:
            self.assertIs(entered, lock)
        self.assert_nothing_left()

    def test_a_timeout_gives_false_and_leaves_nothing(self):
        with self.grid.lock("a"):
            thread = self.in_thread(lambda: self.grid.lock("a").acquire(timeout=0.1))
            thread.join(TIMEOUT_S)
            self.assertEqual(thread.found, [False])
            self.assertEqual(self.grid.lock("a").waiters(), [])
        self.assert_nothing_left()

    def test_another_thread_may_release_it(self):
        lock = self.grid.lock("a")
        lock.acquire()
        thread = self.in_thread(lock.release)
        thread.join(TIMEOUT_S)
        self.assertEqual(thread.found, [None])
        self.assertTrue(lock.acquire(False))
        lock.release()

    def test_threads_contend_as_processes_do(self):
        lock, most, inside = self.grid.lock("a"), [], []

        def work():
            for _ in range(20):
                with self.grid.lock("a"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        threads = [self.in_thread(work) for _ in range(5)]
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual((max(most), len(most)), (1, 100))
        self.assertFalse(lock.locked())

    def test_first_come_first_served(self):
        order = []

        def wait(number):
            with self.grid.lock("a"):
                order.append(number)

        with self.grid.lock("a"):
            threads = []
            for number in range(8):
                threads.append(self.in_thread(lambda number=number: wait(number)))
                self.waits("a", number + 1)
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual(order, list(range(8)))

    def test_tokens_rise(self):
        fences = []
        for name in ("a", "b", "a", "c"):
            with self.grid.lock(name) as lock:
                fences.append(lock.fence)
        self.assertEqual(fences, sorted(set(fences)))
        with self.assertRaises(RuntimeError):
            self.grid.lock("a").fence

    def test_who_holds_and_who_waits(self):
        with self.grid.lock("a", info="the report") as lock:
            thread = self.in_thread(lambda: self.grid.lock("a").acquire(timeout=TIMEOUT_S))
            self.waits("a")
            holder = lock.owner()
            self.assertEqual((holder.pid, holder.uid, holder.token, holder.info, holder.ttl_s),
                             (os.getpid(), os.getuid(), lock.fence, "the report", None))
            self.assertLess(abs(holder.since_s - time.time()), TIMEOUT_S)
            self.assertEqual([waiter.pid for waiter in lock.waiters()], [os.getpid()])
        thread.join(TIMEOUT_S)
        self.assertEqual(thread.found, [True])

    def test_leases(self):
        lock = self.grid.lock("a", ttl=0.1)
        lock.acquire()
        thread = self.in_thread(lambda: self.grid.lock("a").acquire(timeout=TIMEOUT_S))
        thread.join(TIMEOUT_S)
        self.assertEqual((thread.found, lock.owned()), ([True], False))
        with self.assertRaises(errors.LockLostError):
            lock.release()
        lock = self.grid.lock("b", ttl=0.3)
        with lock:
            for _ in range(4):
                time.sleep(0.15)
                lock.reacquire()
            lock.extend(None)
            time.sleep(0.4)
            self.assertTrue(lock.owned())
            lock.extend(3600)
            self.assertGreater(lock.owner().ttl_s, 3000)

    def test_who_loses_it_is_told(self):
        heard = []
        lock = self.grid.lock("a", on_lost=heard.append)
        lock.acquire()
        self.assertEqual(self.grid.lock("a").force_release("maintenance"), 1)
        wait_until(lambda: heard, what="word of the loss")
        self.assertEqual(heard, ["forced: maintenance"])
        with self.assertRaisesRegex(errors.LockLostError, "maintenance"):
            lock.release()
        with self.grid.lock("a") as following:
            self.assertTrue(following.abandoned)
        lock.acquire()
        lock.release()
        self.assertEqual(heard, ["forced: maintenance"], "a release is no loss")
        with self.assertRaises(errors.UsageError):
            self.grid.lock("a").force_release("")

    def test_pickles(self):
        lock = pickle.loads(pickle.dumps(self.grid.lock("a", ttl=5, info="x")))
        self.assertEqual((lock.name, lock.ttl, lock.info), ("a", 5, "x"))
        with self.grid.lock("a"):
            self.assertFalse(lock.acquire(False))
        lock._grid.close()

    def test_a_forked_child_has_nothing(self):
        lock = self.grid.lock("a")
        with lock:
            def child():
                return not lock.owned() and not self.grid.lock("a").acquire(False) and self._raises(lock.release)
            self.assert_ends_well(self.in_child(child))
            self.assertTrue(lock.owned(), "its child is gone, and it is not")

    def _raises(self, function):
        try:
            function()
        except RuntimeError:
            return True
        return False

    def test_closing_the_grid_gives_everything_back(self):
        other = nosqgrid.attach(self.launched.address)
        other.lock("a").acquire(), other.semaphore("s", 2).acquire(), other.multilock(["m", "n"]).acquire()
        other.close()
        with self.grid.lock("a") as lock:
            self.assertFalse(lock.abandoned, "it was given back")
        self.assert_nothing_left()

    def test_interrupts_leave_nothing(self):
        def interrupt(number, frame):
            raise KeyboardInterrupt

        rng, before, interrupted = random.Random(2), signal.signal(signal.SIGALRM, interrupt), 0
        try:
            for turn in range(300):
                lock = self.grid.lock("a")
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.random() * 0.0005 + 1e-6)
                    lock.acquire(timeout=TIMEOUT_S)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    interrupted += 1
                if lock._grant is not None:  # the interrupt came behind the call
                    lock.release()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertGreater(interrupted, 10)
        wait_until(lambda: not self.grid.locks(), what="nothing to be held")


class OthersTest(LocksTestCase):
    def test_rlock(self):
        lock = self.grid.rlock("r")
        with lock:
            with lock, self.grid.rlock("r"):
                self.assertTrue(lock.owned())
            thread = self.in_thread(lambda: (self._caught(lock.release), self.grid.rlock("r").acquire(False)))
            thread.join(TIMEOUT_S)
            error, taken = thread.found[0]
            self.assertEqual((type(error), taken), (RuntimeError, False))
        self.assert_nothing_left()
        with self.assertRaises(RuntimeError):
            lock.release()

    def test_rwlock(self):
        rw = self.grid.rwlock("rw")
        with rw.read(), rw.read():
            self.assertFalse(rw.write().acquire(False))
            writer = self.in_thread(lambda: rw.write().acquire(timeout=TIMEOUT_S))
            self.waits("rw")
            reader = self.in_thread(lambda: rw.read().acquire(timeout=0.1))
            reader.join(TIMEOUT_S)
            self.assertEqual(reader.found, [False], "a writer waits before it")
        writer.join(TIMEOUT_S)
        self.assertEqual(writer.found, [True])
        with self.assertRaises(errors.UsageError):
            self.grid.rwlock("rw", prefer="reader")

    def test_semaphore(self):
        semaphore = self.grid.semaphore("s", 2)
        self.assertTrue(semaphore.acquire() and semaphore.acquire())
        self.assertIs(semaphore.acquire(False), False)
        self.assertIs(semaphore.acquire(timeout=0.02), False)
        with self.assertRaises(errors.CommandError):
            self.grid.semaphore("s", 3).acquire(False)
        semaphore.release(2)
        with self.assertRaises(ValueError):
            semaphore.release()
        with self.assertRaises(ValueError):
            self.grid.semaphore("s", 0)
        self.assert_nothing_left()

    def test_fifty_threads_on_one_semaphore(self):
        inside, most, lock = [], [], threading.Lock()

        def work():
            with self.grid.semaphore("s", 7):
                with lock:
                    inside.append(1)
                    most.append(len(inside))
                time.sleep(0.002)
                with lock:
                    inside.pop()

        threads = [self.in_thread(work) for _ in range(50)]
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual([thread.found for thread in threads], [[None]] * 50)
        self.assertLessEqual(max(most), 7)
        self.assert_nothing_left()

    def test_fifty_processes_on_one_semaphore(self):
        grid = self.grid

        def work():
            with grid.semaphore("s", 7):
                inside = grid.incr("inside")
                time.sleep(0.01)
                grid.incr("inside", -1)
                return inside <= 7

        children = [self.in_child(work) for _ in range(50)]
        for pid in children:
            self.assert_ends_well(pid)
        self.assertEqual(self.grid["inside"], 0)
        self.assert_nothing_left()

    def test_multilock_is_all_or_nothing(self):
        with self.grid.lock("b"):
            self.assertFalse(self.grid.multilock(["a", "b", "c"]).acquire(False))
            self.assertFalse(self.grid.lock("a").locked())
        with self.grid.multilock(["a", "b"]) as locks:
            self.assertEqual(set(locks.fences), {"a", "b"})
            self.assertFalse(self.grid.lock("a").acquire(False))
        self.assert_nothing_left()

        def work(names):
            for _ in range(30):
                with self.grid.multilock(names):
                    self.grid.incr("n")

        threads = [self.in_thread(lambda names=names: work(names)) for names in (["a", "b"], ["b", "a"], ["b", "c"])]
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual((self.grid["n"], [thread.found for thread in threads]), (90, [[None]] * 3))

    def test_barrier(self):
        ran = []
        threads = [self.in_thread(self.grid.barrier("b", 3, action=lambda: ran.append(1)).wait) for _ in range(3)]
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual((sorted(thread.found[0] for thread in threads), ran), ([0, 1, 2], [1]))
        barrier = self.grid.barrier("c", 2)
        with self.assertRaises(threading.BrokenBarrierError):
            barrier.wait(0.02)
        self.assertTrue(barrier.broken)
        barrier.reset()
        self.assertEqual((barrier.broken, barrier.n_waiting, barrier.parties), (False, 0, 2))
        child = self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1])\nprint('x', flush=True)\n"
                           "grid.barrier('c', 3).wait()", self.launched.address)
        child.read_line()
        thread = self.in_thread(self.grid.barrier("c", 3).wait)
        wait_until(lambda: self.grid.barrier("c", 3).n_waiting == 2, what="two at the barrier")
        child.kill()
        child.wait()
        thread.join(TIMEOUT_S)
        self.assertEqual(type(thread.found[0]), errors.BrokenBarrierError)

    def test_event(self):
        event = self.grid.event("e")
        self.assertEqual((event.is_set(), event.wait(0.02)), (False, False))
        threads = [self.in_thread(lambda: self.grid.event("e").wait(TIMEOUT_S)) for _ in range(3)]
        event.set()
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual([thread.found for thread in threads], [[True]] * 3)
        self.assertTrue(event.is_set() and event.wait())
        event.clear()
        self.assertFalse(event.is_set())

    def test_latch(self):
        latch = self.grid.latch("l", 3)
        thread = self.in_thread(lambda: self.grid.latch("l", 3).wait(TIMEOUT_S))
        self.assertEqual([latch.count_down(), latch.count_down(), latch.count], [2, 1, 1])
        self.assertFalse(latch.wait(0.02))
        self.assertEqual(latch.count_down(), 0)
        thread.join(TIMEOUT_S)
        self.assertEqual((thread.found, latch.wait()), ([True], True))
        latch.reset()
        self.assertEqual(latch.count, 3)

    def test_condition(self):
        def consume():
            changed = self.grid.condition("stock")
            with changed:
                found = changed.wait_for(lambda: self.grid.get("stock", 0), TIMEOUT_S)
                self.grid["stock"] -= 1
                return found

        changed = self.grid.condition("stock")
        threads = [self.in_thread(consume) for _ in range(2)]
        for _ in threads:
            with changed:
                self.grid["stock"] = self.grid.get("stock", 0) + 1
                changed.notify_all()
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual(self.grid["stock"], 0)
        with changed:
            self.assertFalse(changed.wait(0.02))
            self.assertTrue(changed.lock.owned(), "it has the lock again")
        for call in (changed.wait, changed.notify):
            with self.assertRaises(RuntimeError):
                call()
        self.assert_nothing_left()

    def test_once(self):
        calls, once = [], self.grid.once("o")

        def fail():
            raise ValueError("not yet")

        with self.assertRaises(ValueError):
            once.run(fail)
        self.assertFalse(once.done())
        threads = [self.in_thread(lambda: self.grid.once("o").run(lambda: calls.append(1) or {"n": len(calls)}))
                   for _ in range(5)]
        for thread in threads:
            thread.join(TIMEOUT_S)
        self.assertEqual(([thread.found for thread in threads], calls), ([[{"n": 1}]] * 5, [1]))
        self.assertTrue(once.done() and once.reset())
        self.assertFalse(once.done())

    def test_election(self):
        first, second = self.grid.election("e", data="one"), self.grid.election("e", data="two")
        self.assertIsNone(first.leader())
        first.acquire()
        thread = self.in_thread(lambda: second.run(lambda election: election.leader().info))
        self.waits("e")
        self.assertEqual((first.leader().info, first.is_leader(), second.is_leader()), ("one", True, False))
        first.resign()
        thread.join(TIMEOUT_S)
        self.assertEqual(thread.found, ["two"])

    def test_rate_limiter(self):
        limiter = self.grid.rate_limiter("api", 20, 1.0, burst=4)
        self.assertEqual([limiter.acquire(blocking=False) for _ in range(5)], [True] * 4 + [False])
        begun = time.monotonic()
        self.assertTrue(limiter.acquire() and limiter.acquire())
        self.assertGreater(time.monotonic() - begun, 0.05)
        self.assertFalse(limiter.acquire(cost=5))
        with self.assertRaises(errors.UsageError):
            self.grid.rate_limiter("api", 0, 1.0)

    def test_counter(self):
        counter = self.grid.counter("n")
        self.assertEqual((counter.value, counter.increment(), counter.increment(4), counter.decrement()), (0, 1, 5, 4))
        counter.reset()
        self.assertEqual((counter.value, self.grid["n"]), (0, 0))

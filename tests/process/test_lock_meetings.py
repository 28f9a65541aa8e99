"""Where processes meet, and who does what how often: conditions, barriers, events, latches, once, elections, counters and
rate limiters, as programs use them."""

import signal
import threading
import time

import nosqgrid
from nosqgrid import errors
from tests.support.locking import LockTestCase
from tests.support.processes import TIMEOUT_S, wait_until

SHORT_S = 0.05

CONSUMER = """
import sys, nosqgrid
grid = nosqgrid.attach(sys.argv[1])
changed = grid.condition("stock")
with changed:
    print("waits", flush=True)
    changed.wait_for(lambda: grid.get("stock", 0) > 0)
    grid["stock"] -= 1
print("done", flush=True)
"""


class ConditionTest(LockTestCase):
    def test_consumers_get_each_what_was_put(self):
        consumers = [self.spawn(CONSUMER, self.launched.address) for _ in range(4)]
        for consumer in consumers:
            self.assertEqual(consumer.read_line(), "waits")
        changed = self.grid.condition("stock")
        for _ in range(4):
            with changed:
                self.grid["stock"] = self.grid.get("stock", 0) + 1
                changed.notify()
        for consumer in consumers:
            self.assertEqual(consumer.read_line(), "done")
            consumer.finish()
        self.assertEqual(self.grid["stock"], 0)

    def test_wait_has_the_lock_again_and_tells_whether_somebody_called(self):
        condition = self.grid.condition("a")
        with condition:
            before = condition.lock.fence
            self.assertIs(condition.wait(SHORT_S), False)
            self.assertGreater(condition.lock.fence, before)
            self.assertTrue(condition.lock.owned())
            self.assertIs(condition.wait_for(lambda: False, SHORT_S), False)
            self.assertEqual(condition.wait_for(lambda: 5, SHORT_S), 5)

    def test_notify_all(self):
        woken = []

        def work():
            with self.grid.condition("a") as condition:
                woken.append(condition.wait(TIMEOUT_S))

        def wake_up():
            with self.grid.condition("a") as condition:
                condition.notify_all()
            return len(woken) == 5

        threads = [self.thread(work) for _ in range(5)]
        wait_until(wake_up, what="five that were woken")
        for thread in threads:
            self.assertIsNone(self.outcome(thread))
        self.assertEqual(woken, [True] * 5)

    def test_errors_are_those_of_threading(self):
        theirs, ours = threading.Condition(threading.Lock()), self.grid.condition("a")
        for condition in (theirs, ours):
            for call in (condition.wait, condition.notify, condition.notify_all, condition.release):
                with self.assertRaises(RuntimeError):
                    call()
        with self.assertRaises(errors.UsageError):
            self.grid.condition("a", self.grid.rlock("a"))

    def test_conditions_of_one_lock_exclude_each_other(self):
        lock = self.grid.lock("a")
        first, second = self.grid.condition("first", lock), self.grid.condition("second", self.grid.lock("a"))
        with first:
            self.assertFalse(self.outcome(self.thread(lambda: second.acquire(False))))

    def test_waiting_is_no_loss(self):
        lost = []
        condition = self.grid.condition("a", self.grid.lock("a", on_lost=lost.append))
        with condition:
            for _ in range(5):
                condition.wait(0.01)
        wait_until(lambda: threading.active_count() == 1, what="the threads that watched to end")
        self.assertEqual(lost, [])

    def test_what_ends_a_wait_is_what_the_program_sees(self):
        def strike(number, frame):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, strike)
        try:
            for turn in range(20):
                with self.assertRaises(KeyboardInterrupt):
                    with self.grid.condition("a") as condition:
                        signal.setitimer(signal.ITIMER_REAL, 0.0005 * turn + 0.0001)
                        condition.wait()
                wait_until(lambda: not self.grid.locks(), what="nobody to have the lock")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_lost_lock_of_one_who_waits(self):
        with self.assertRaisesRegex(errors.LockLostError, "enough"):
            with self.grid.condition("a") as condition:
                self.grid.lock("a").force_release("enough")
                condition.wait(TIMEOUT_S)


class BarrierTest(LockTestCase):
    def test_numbers_and_action(self):
        calls, found = [], []
        barriers = [self.grid.barrier("a", 3, action=lambda: calls.append(len(found))) for _ in range(3)]
        for turn in range(2):
            threads = [self.thread(lambda barrier=barrier: found.append(barrier.wait(TIMEOUT_S)))
                       for barrier in barriers]
            for thread in threads:
                self.assertIsNone(self.outcome(thread))
        self.assertEqual((sorted(found[:3]), sorted(found[3:]), calls), ([0, 1, 2], [0, 1, 2], [0, 3]))

    def test_processes_meet(self):
        children = [self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1])\n"
                               "print(grid.barrier('meet', 3).wait(), flush=True)", self.launched.address)
                    for _ in range(2)]
        barrier = self.grid.barrier("meet", 3)
        wait_until(lambda: barrier.n_waiting == 2, what="two to wait")
        found = [barrier.wait(TIMEOUT_S)] + [int(child.read_line()) for child in children]
        self.assertEqual(sorted(found), [0, 1, 2])
        for child in children:
            child.finish()

    def test_death_breaks_it(self):
        child = self.spawn("import sys, nosqgrid\nnosqgrid.attach(sys.argv[1]).barrier('die', 3).wait()",
                           self.launched.address)
        barrier = self.grid.barrier("die", 3)
        wait_until(lambda: barrier.n_waiting == 1, what="one to wait")
        thread = self.thread(lambda: barrier.wait(TIMEOUT_S))
        wait_until(lambda: barrier.n_waiting == 2, what="two to wait")
        child.kill()
        self.assertIsInstance(self.outcome(thread), threading.BrokenBarrierError)
        child.wait()
        self.assertTrue(barrier.broken)
        with self.assertRaises(nosqgrid.BrokenBarrierError):
            barrier.wait(TIMEOUT_S)
        barrier.reset()
        self.assertFalse(barrier.broken)

    def test_time_and_abort_break_it(self):
        barrier = self.grid.barrier("b", 2, timeout=SHORT_S)
        with self.assertRaises(threading.BrokenBarrierError):
            barrier.wait()
        barrier.reset()
        thread = self.thread(lambda: barrier.wait(TIMEOUT_S))
        wait_until(lambda: barrier.n_waiting == 1, what="one to wait")
        barrier.abort()
        self.assertIsInstance(self.outcome(thread), threading.BrokenBarrierError)
        for wrong in (0, -1, True, "2"):
            with self.assertRaises(ValueError):
                self.grid.barrier("b", wrong)

    def test_action_that_raises_breaks_it(self):
        barriers = [self.grid.barrier("c", 2, action=lambda: 1 / 0) for _ in range(2)]
        threads = [self.thread(lambda barrier=barrier: barrier.wait(TIMEOUT_S)) for barrier in barriers]
        self.assertEqual({type(self.outcome(thread)) for thread in threads},
                         {ZeroDivisionError, errors.BrokenBarrierError})


class EventAndLatchTest(LockTestCase):
    def test_event(self):
        event = self.grid.event("go")
        self.assertFalse(event.is_set() or event.wait(SHORT_S) or event.wait(0))
        child = self.spawn("import sys, nosqgrid\nevent = nosqgrid.attach(sys.argv[1]).event('go')\n"
                           "print('waits', flush=True)\nprint(event.wait(), flush=True)", self.launched.address)
        self.assertEqual(child.read_line(), "waits")
        event.set()
        self.assertEqual(child.finish().strip(), "True")
        self.assertTrue(event.is_set() and event.wait() and event.wait(0))
        event.clear()
        self.assertFalse(event.is_set())

    def test_latch(self):
        latch, copy = self.grid.latch("l", 3), self.grid.latch("l", 3)
        self.assertFalse(latch.wait(SHORT_S) or latch.wait(0))
        thread = self.thread(lambda: copy.wait(TIMEOUT_S))
        self.assertEqual((latch.count_down(), copy.count_down(), latch.count), (2, 1, 1))
        self.assertEqual(thread.found, [])
        self.assertEqual((latch.count_down(), latch.count_down()), (0, 0))
        self.assertTrue(self.outcome(thread))
        self.assertTrue(latch.wait())
        latch.reset()
        self.assertEqual((latch.count, self.grid.latch("zero", 0).wait()), (3, True))
        for wrong in (-1, True, "1"):
            with self.assertRaises(ValueError):
                self.grid.latch("l", wrong)


class OnceTest(LockTestCase):
    def test_done_once_among_many(self):
        def work():
            return self.grid.once("x").run(lambda: self.grid.incr("runs") and {"by": "whoever"})

        threads = [self.thread(work) for _ in range(8)]
        self.assertEqual([self.outcome(thread) for thread in threads], [{"by": "whoever"}] * 8)
        self.assertEqual(self.grid["runs"], 1)
        self.assertTrue(self.grid.once("x").done() and self.grid.once("x").reset())
        self.assertFalse(self.grid.once("x").done() or self.grid.once("x").reset())

    def test_one_who_fails_or_dies_is_followed(self):
        once = self.grid.once("y")
        with self.assertRaises(ZeroDivisionError):
            once.run(lambda: 1 / 0)
        child = self.spawn("import sys, time, nosqgrid\n"
                           "def work():\n    print('works', flush=True)\n    time.sleep(600)\n"
                           "nosqgrid.attach(sys.argv[1]).once('y').run(work)", self.launched.address)
        self.assertEqual(child.read_line(), "works")
        thread = self.thread(lambda: once.run(lambda: "mine"))
        self.assertEqual(thread.found, [])
        child.kill()
        child.wait()
        self.assertEqual(self.outcome(thread), "mine")
        self.assertEqual(once.result(), (True, "mine"))
        once.reset()

    def test_one_who_lost_the_lock_does_not_write_the_result(self):
        once = self.grid.once("z")

        def work():
            for name, _, _ in self.grid.locks():
                self.grid.lock(name).force_release("too slow")
            return "late"

        with self.assertRaises((errors.FencedError, errors.LockLostError)):
            once.run(work)
        self.assertFalse(once.done())


class ElectionTest(LockTestCase):
    def test_next_one_leads_when_the_leader_dies(self):
        program = ("import sys, time, nosqgrid\nelection = nosqgrid.attach(sys.argv[1]).election('e', data=sys.argv[2])\n"
                   "def lead(election):\n    print(election.leader().info, flush=True)\n    sys.stdin.readline()\n"
                   "election.run(lead)")
        first = self.spawn(program, self.launched.address, "one")
        self.assertEqual(first.read_line(), "one")
        second = self.spawn(program, self.launched.address, "two")
        watcher = self.grid.election("e")
        wait_until(watcher.waiters, what="a candidate")
        self.assertEqual((watcher.leader().info, watcher.leader().pid), ("one", first.pid))
        first.kill()
        self.assertEqual(second.read_line(), "two")
        self.assertFalse(watcher.is_leader())
        second.write_line("")
        second.finish()
        first.wait()
        self.assertIsNone(watcher.leader())
        self.assertTrue(watcher.acquire() and watcher.is_leader())
        watcher.resign()
        self.assertFalse(watcher.is_leader())


class NumbersTest(LockTestCase):
    def test_counter(self):
        counter = self.grid.counter("n")
        self.assertEqual((counter.value, counter.increment(), counter.increment(5), counter.decrement(2)), (0, 1, 6, 4))
        self.assertEqual((counter.value, self.grid["n"]), (4, 4))
        counter.reset()
        self.assertEqual(counter.value, 0)

    def test_rate_limiter_lets_a_burst_pass_and_then_one_after_the_other(self):
        limiter = self.grid.rate_limiter("r", limit=20, period=1.0, burst=3)
        self.assertEqual([limiter.acquire(blocking=False) for _ in range(4)], [True, True, True, False])
        begun = time.monotonic()
        for _ in range(5):
            self.assertTrue(limiter.acquire())
        self.assertGreater(time.monotonic() - begun, 0.19)  # the fifth turn comes 250 ms after the burst
        self.assertFalse(limiter.acquire(cost=3, timeout=0.01))
        self.assertFalse(limiter.acquire(cost=4))  # more than ever come at once
        left, wait_s = limiter.peek()
        self.assertLess(left, 3)
        self.assertGreater(wait_s, 0.0)

    def test_rate_limiter_of_several_processes(self):
        program = ("import sys, nosqgrid\nlimiter = nosqgrid.attach(sys.argv[1]).rate_limiter('s', 10, 3600.0)\n"
                   "print(sum(limiter.acquire(blocking=False) for _ in range(10)), flush=True)")
        children = [self.spawn(program, self.launched.address) for _ in range(3)]
        self.assertEqual(sum(int(child.finish()) for child in children), 10)

    def test_wrong_arguments(self):
        for arguments in ((0, 1), (1, 0), (1, -1), (True, 1), (1.5, 1), (1, 1, 0)):
            with self.assertRaises(errors.UsageError):
                self.grid.rate_limiter("r", *arguments)
        limiter = self.grid.rate_limiter("w", 5, 1)
        for arguments in ((-1,), (True,), (1, False, 5.0), (1, True, -2)):
            with self.assertRaises((errors.UsageError, ValueError)):
                limiter.acquire(*arguments)
        self.assertEqual(limiter.peek()[0], 5)

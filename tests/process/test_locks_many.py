"""Locks of many processes: in turn, one at a time, whoever is killed or interrupted, whichever coordinator grants."""

import os
import random
import signal
import sys
import time
import unittest
import warnings

import nosqgrid
from tests.support import history
from tests.support.durable import DurableTestCase
from tests.support.locking import LockTestCase
from tests.support.processes import TIMEOUT_S, wait_until
from tests.support.tiers import slow

PROCESSES = 8
ROUNDS = 25
SECONDS = 1.0


class Interrupted(BaseException):
    pass


def ask_again_and_again(address, directory, name, lock, rounds, reconnect):
    """A process that has a lock, notes its token in its history, and gives it back; "begin" first, "over" at last."""
    with nosqgrid.attach(address, timeout=TIMEOUT_S, reconnect=reconnect) as grid, \
            history.Recorder(directory, name) as recorder:
        print("ready", flush=True)
        sys.stdin.readline()
        lock = grid.lock(lock)
        for _ in range(rounds):
            number = recorder.call("hold", [grid.get("order", 0)])
            lock.acquire()
            recorder.returned(number, lock.fence)
            number = recorder.call("release", [lock.fence])
            lock.release()
            recorder.returned(number, None)
    print("over", flush=True)


def holds_of(directory):
    """[(token, process, asked, granted, begun to release, released)] of all holds, by token."""
    by_process = {}
    for operation in history.merge(directory):
        by_process.setdefault(operation.process, []).append(operation)
    found = []
    for process, operations in by_process.items():
        for hold, release in zip(operations[::2], operations[1::2]):
            found.append((hold.result, process, hold.call_time, hold.return_time, release.call_time,
                          release.return_time))
    return sorted(found)


class HistoryMixin(object):
    """What the histories of holders must be."""

    allowed_files = ("*" + history.SUFFIX,)

    def check_exclusion(self, holds, count):
        """As many as there should be; nobody was told that he has it before the one before him began to give it back;
        and the order of tokens is that of time.
        """
        self.assertEqual(len(holds), count)
        self.assertEqual(len({hold[0] for hold in holds}), count, "a token was given twice")
        for before, after in zip(holds, holds[1:]):
            self.assertGreater(after[3], before[4], "%s and %s had it at the same time" % (before[1], after[1]))

    def check_order(self, holds, processes):
        """Nobody is overtaken by one who began to ask after the former had been seen to wait.

        Between an acquire's begin and its place in the queue others may pass, each of them once or twice, for each had
        its own request on the way; somebody who polls instead would be passed without bound.
        """
        for index, hold in enumerate(holds):
            asked = hold[2]
            passed = sum(1 for other in holds[:index] if other[2] > asked)
            self.assertLessEqual(passed, 2 * processes, "passed %d times" % passed)


class ManyTest(HistoryMixin, LockTestCase):
    def start(self, count, rounds):
        children = [self.spawn(ask_again_and_again, self.launched.address, self.directory, "p%d" % n, "contended",
                               rounds, 0) for n in range(count)]
        for child in children:
            self.assertEqual(child.read_line(), "ready")
        for child in children:
            child.write_line("begin")
        return children

    def test_eight_processes_have_it_in_turn(self):
        for child in self.start(PROCESSES, ROUNDS):
            self.assertEqual(child.read_line(4 * TIMEOUT_S), "over")
            child.finish()
        holds = holds_of(self.directory)
        self.check_exclusion(holds, PROCESSES * ROUNDS)
        self.check_order(holds, PROCESSES)

    def test_who_waits_and_is_killed_is_passed_over(self):
        waiters = [self.player() for _ in range(4)]
        with self.grid.lock("a"):
            for number, waiter in enumerate(waiters):
                waiter.tell("lock", "a", "acquire")
                self.wait_for_waiters("a", number + 1)
            for waiter in waiters[::2]:
                waiter.kill()
            self.assertEqual([row.pid for row in self.wait_for_waiters("a", 2)], [waiters[1].pid, waiters[3].pid])
        for waiter in waiters[1::2]:
            self.assertEqual(waiter.read_line(), "True")
            self.assertEqual(waiter.ask("lock", "a", "abandoned"), "False")
            self.assertEqual(waiter.ask("lock", "a", "release"), "None")

    def test_random_kills_among_eight(self):
        rng, tokens, players = random.Random(5), [], {}
        for _ in range(PROCESSES):
            player = self.player()
            players[player.pid] = player
        for player in players.values():
            player.tell("lock", "a", "acquire")
        self.wait_for_waiters("a", PROCESSES - 1)
        abandoned = False
        while players:
            owner = wait_until(self.grid.lock("a").owner, what="a holder")
            if owner.pid not in players:
                continue  # its end is not noticed yet
            player = players.pop(owner.pid)
            tokens.append(owner.token)
            self.assertEqual(player.read_line(), "True")
            self.assertEqual(player.ask("lock", "a", "abandoned"), str(abandoned))
            if players and rng.random() < 0.3:
                players.pop(rng.choice(sorted(players))).kill()
            abandoned = rng.random() < 0.6
            if abandoned:
                player.kill()
            else:
                self.assertEqual(player.ask("lock", "a", "release"), "None")
        self.assertEqual(tokens, sorted(set(tokens)))
        self.assertGreater(len(tokens), 3)


class SemaphoreTest(LockTestCase):
    """Fifty who want one of seven; each counts those who are in with him."""

    def work(self):
        with self.grid.semaphore("s", 7):
            inside = self.grid.incr("inside")
            time.sleep(0.005)
            self.grid.incr("inside", -1)
            return inside

    def check(self, found):
        self.assertEqual(len(found), 50)
        self.assertLessEqual(max(found), 7)
        self.assertEqual((self.grid["inside"], self.grid.locks()), (0, []))

    def test_fifty_threads(self):
        threads = [self.thread(self.work) for _ in range(50)]
        found = [self.outcome(thread) for thread in threads]
        self.check(found)
        self.assertGreater(max(found), 1)

    def test_fifty_processes(self):
        pids = []
        for _ in range(50):
            pid = os.fork()
            if not pid:
                status = 100
                try:
                    status = self.work()
                finally:
                    os._exit(status)
            pids.append(pid)
        self.check([os.waitpid(pid, 0)[1] >> 8 for pid in pids])


class AnywhereTest(LockTestCase):
    """Interrupts at moments that nobody chose, hundreds of times."""

    armed = False

    def strike(self, number, frame):
        if self.armed and "weakref" not in frame.f_code.co_filename:
            self.armed = False
            raise Interrupted()

    def interrupt(self, function, then, longest_s=0.0006):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of a socket that nobody had a name for yet
            self.interrupt_often(function, then, longest_s)

    def interrupt_often(self, function, then, longest_s):
        rng, count, ends = random.Random(7), 0, time.monotonic() + SECONDS
        previous = signal.signal(signal.SIGALRM, self.strike)
        try:
            while time.monotonic() < ends:
                try:
                    self.armed = True
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.00003, longest_s), 0.001)
                    function()
                except Interrupted:
                    count += 1
                self.armed = False
                then()
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        self.assertGreater(count, 20)

    @slow
    def test_object_and_coordinator_agree(self):
        for lock in (self.grid.lock("a"), self.grid.lock("a", ttl=1000), self.grid.semaphore("b", 2),
                     self.grid.multilock(["c", "d"]), self.grid.rwlock("a").read()):
            def work(lock=lock):
                while True:
                    lock.acquire()
                    lock.release()

            def then(lock=lock):
                mine = lock._grants_here()
                found = [holder.token for _, holders, _ in self.grid.locks() for holder in holders]
                self.assertEqual(sorted(grant.token for grant in mine), sorted(found))
                if mine:  # it was between the two
                    lock.release()
                self.assertEqual(self.grid._store.held.all(), [])

            with self.subTest(lock):
                self.interrupt(work, then)

    @slow
    @unittest.skipIf(sys.version_info < (3, 10), "before 3.10 an exception may skip the end of a with block")
    def test_a_block_that_was_not_entered_holds_nothing(self):
        for lock in (self.grid.lock("a"), self.grid.semaphore("b", 2), self.grid.multilock(["c", "d"])):
            def work(lock=lock):
                while True:
                    with lock:
                        self.inside = True
                    self.inside = False

            def then(lock=lock):
                if not self.inside:
                    self.assertEqual(self.grid.locks(), [])
                elif lock._grants_here():  # it struck as the release was to begin
                    lock.release()
                self.assertEqual(self.grid.locks(), [])
                self.inside = False

            self.inside = False
            with self.subTest(lock):
                self.interrupt(work, then)

    @slow
    def test_waiting_leaves_nothing(self):
        other = self.player()
        self.assertEqual(other.ask("lock", "a", "acquire"), "True")
        for lock in (self.grid.lock("a"), self.grid.multilock(["b", "a"]), self.grid.rwlock("a").read()):
            def then():
                wait_until(lambda: [(name, [row.pid for row in holders], waiters) for name, holders, waiters
                                    in self.grid.locks()] == [("a", [other.pid], [])], what="nobody to wait")

            with self.subTest(lock):
                self.interrupt(lock.acquire, then, 0.003)


class RestartTest(HistoryMixin, DurableTestCase):
    def holds(self):
        return holds_of(self.place)

    @slow
    def test_killed_coordinators_let_nobody_in_twice(self):
        served = self.serve(level="os")
        children = [self.spawn(ask_again_and_again, self.socket, self.place, "p%d" % n, "contended", 100, TIMEOUT_S)
                    for n in range(4)]
        for child in children:
            self.assertEqual(child.read_line(), "ready")
        for child in children:
            child.write_line("begin")
        rng = random.Random(11)
        for _ in range(4):
            time.sleep(0.05 + rng.random() * 0.2)  # a moment that nobody chose
            served.kill()
            served = self.serve(level="os")
        for child in children:
            self.assertEqual(child.read_line(4 * TIMEOUT_S), "over", child.errors())
            child.finish()
        HistoryMixin.check_exclusion(self, self.holds(), 400)

    def test_holder_and_waiter_survive_their_coordinator(self):
        served = self.serve(level="os")
        grid = self.attach(reconnect=TIMEOUT_S)
        lock, rlock = grid.lock("a"), grid.rlock("b")
        lock.acquire(), rlock.acquire()
        deeper = grid.rlock("b")  # the same lock, at the same token
        deeper.acquire()
        fence = lock.fence
        waiter = self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1], reconnect=30.0)\n"
                            "print('waits', flush=True)\n"
                            "with grid.lock('a') as lock:\n    print(lock.fence, lock.abandoned, flush=True)",
                            self.socket)
        self.assertEqual(waiter.read_line(), "waits")
        wait_until(lambda: grid.lock("a").waiters(), what="the waiter")
        served.kill()
        self.serve(level="os")
        other = self.attach()
        self.assertFalse(other.lock("a").acquire(False) or other.lock("b").acquire(False))
        self.assertTrue(lock.owned() and rlock.owned() and deeper.owned())
        lock.guard()["k"] = 1
        deeper.release()
        self.assertTrue(rlock.owned())
        self.assertFalse(other.lock("b").acquire(False))
        rlock.release()
        self.assertTrue(other.lock("b").acquire(False))
        self.assertEqual(lock.fence, fence)
        lock.release()
        found, abandoned = waiter.read_line().split()
        self.assertGreater(int(found), fence)
        self.assertEqual(abandoned, "False")
        waiter.finish()

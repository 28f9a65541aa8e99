"""What holds when processes die, stop, fork or are interrupted: the promises of the README, one after the other."""

import multiprocessing
import os
import signal
import threading
import time
import unittest.mock
from concurrent.futures import ProcessPoolExecutor

import nosqgrid
from nosqgrid.client import launcher
from nosqgrid.client.attachment import Attachment
from tests.support.processes import ProcessTestCase, descriptors, wait_until
from tests.support.tiers import slow

ROUNDS = int(os.environ.get("NOSQGRID_TEST_ROUNDS", "20"))

BUSY = """
import sys, nosqgrid
grid = nosqgrid.attach(sys.argv[1])
name = sys.argv[2]
print("ready", flush=True)
number = 0
while True:
    number += 1
    grid.set(name, name * number if number % 50 == 0 else name * 3)
    grid.set_many({name + str(i): name * 7 for i in range(20)})
    grid.incr("count")
    value = grid.get(name)
    assert value == name * (len(value) // len(name)), value
"""

FORKED = """
import os, sys, time, nosqgrid
grid = nosqgrid.attach(sys.argv[1])
grid["forker"] = 1
if os.fork() == 0:
    time.sleep(20)
    os._exit(0)
print("ready", flush=True)
time.sleep(20)
"""

READER = """
import sys, nosqgrid
grid = nosqgrid.attach(sys.argv[1], near_cache=int(sys.argv[2]))
print("ready", flush=True)
reads = 0
while True:
    for number in range(50):
        value = grid.get("k%d" % number)
        if value is not None:
            letter, _, rest = value.partition(":")
            length, _, body = rest.partition(":")
            assert int(length) == len(body) and body == letter * len(body), value[:50]
    reads += 50
    if reads % 5000 == 0:
        print(reads, flush=True)
"""


def whole(letter, length):
    """A value that says what it must look like."""
    return "%s:%d:%s" % (letter, length, letter * length)


class Boom(Exception):
    pass


def add_one_hundred(grid):
    for _ in range(100):
        grid.incr("shared")
    return os.getpid()


class GridTestCase(ProcessTestCase):
    memory = "16m"

    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory=self.memory)
        self.grid = nosqgrid.attach(self.launched.address, timeout=5.0)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def attached(self, count):
        wait_until(lambda: self.grid.stats()["clients"] == count, 10.0, "%d clients" % count)


class ClientDeathTest(GridTestCase):
    @slow
    def test_clients_killed_under_load_leave_nothing_behind(self):
        self.grid["mine"] = "untouched"
        opened = len(os.listdir("/proc/%d/fd" % self.launched.pid))
        survivor = self.spawn(BUSY, self.launched.address, "s")
        survivor.read_line()
        for number in range(ROUNDS):
            child = self.spawn(BUSY, self.launched.address, "abcdefg"[number % 7])
            child.read_line()
            time.sleep(0.002 * (number % 9))
            child.kill()
            child.wait()
            self.attached(2)
        before = self.grid["count"]
        wait_until(lambda: self.grid["count"] > before + 10, 10.0, "the survivor to go on")
        survivor.kill()
        survivor.wait()
        self.attached(1)
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.launched.pid)), opened)
        self.assertEqual(self.grid["mine"], "untouched")
        for key, value in self.grid.items():
            if key[0] in "abcdefgs" and key != "count":
                self.assertEqual(set(value), {key[0]}, key)

    def test_a_killed_client_is_noticed_though_its_forked_child_holds_the_socket(self):
        child = self.spawn(FORKED, self.launched.address)
        child.read_line()
        self.attached(2)
        child.kill()
        begun = time.monotonic()
        self.attached(1)
        self.assertLess(time.monotonic() - begun, 2.0)
        child.wait()


class StoppedTest(GridTestCase):
    def test_a_reader_that_was_stopped_reads_whole_values_afterwards(self):
        for near_cache in (0, 1 << 20):
            reader = self.spawn(READER, self.launched.address, str(near_cache))
            reader.read_line()
            for turn in range(6):
                reader.stop()
                for burst in range(4):
                    self.grid.set_many({"k%d" % n: whole("abcdef"[(n + turn + burst) % 6], 40 * n + burst)
                                        for n in range(50)})
                    self.grid.set_many({"fill%d:%d" % (turn, number): "x" * 3000 for number in range(400)})
                    self.grid.delete(*["fill%d:%d" % (turn, number) for number in range(400)])
                reader.resume()
                reader.read_line()
            self.assertIsNone(reader.process.poll())
            reader.kill()
            reader.wait()
        self.assertGreater(self.grid.stats()["heap_segments_cleaned"] + self.grid.stats()["writes"], 15000)

    def test_a_stopped_coordinator_stops_no_reader_and_times_writers_out(self):
        with nosqgrid.attach(self.launched.address, timeout=0.5) as grid:
            grid["a"] = 1
            os.kill(self.launched.pid, signal.SIGSTOP)
            try:
                self.assertEqual(grid["a"], 1)
                begun = time.monotonic()
                with self.assertRaises(nosqgrid.CoordinatorTimeoutError):
                    grid["a"] = 2
                self.assertLess(time.monotonic() - begun, 3.0)
                self.assertEqual(grid["a"], 1)
            finally:
                os.kill(self.launched.pid, signal.SIGCONT)
            self.assertEqual(grid.incr("n"), 1)
            self.assertEqual(grid["a"], 2)  # the write that timed out was in the lane, and late


class CoordinatorDeathTest(GridTestCase):
    def end_coordinator(self, number):
        os.kill(self.launched.pid, number)
        self.launched.process.wait(10)

    def check_end(self, number):
        self.grid["a"] = "old life"
        for _ in range(50):
            self.assertEqual(self.grid.get("a"), "old life")
        kept = self.grid.get
        self.end_coordinator(number)
        self.assertEqual(self.grid.get("a"), "old life")
        self.assertFalse(self.grid.connected)
        begun = time.monotonic()
        with self.assertRaises((nosqgrid.CoordinatorLostError, nosqgrid.NotServedError)):
            self.grid["a"] = "never"
        self.assertLess(time.monotonic() - begun, 1.0)
        self.assertEqual(self.grid.get("a"), "old life")
        with launcher.start(socket_path=self.launched.address, memory="16m"):
            self.grid["b"] = "new life"
            self.assertIsNone(self.grid.get("a"))
            self.assertIsNone(kept("a"))
            self.assertEqual(kept("b"), "new life")

    def test_killed(self):
        self.check_end(signal.SIGKILL)

    def test_ended_in_order(self):
        self.check_end(signal.SIGTERM)

    def test_a_writer_may_wait_for_the_next_coordinator(self):
        with nosqgrid.attach(self.launched.address, reconnect=20.0) as grid:
            grid["a"] = 1
            self.end_coordinator(signal.SIGKILL)
            started = []
            starter = threading.Timer(0.3, lambda: started.append(launcher.start(socket_path=self.launched.address)))
            starter.start()
            try:
                grid["a"] = 2
                self.assertEqual(grid["a"], 2)
            finally:
                starter.join()
                started[0].stop()


class SharingTest(GridTestCase):
    armed = False

    def forked_child_says(self):
        """What a forked child read, wrote and read again, and how many sessions it saw: b"1 c 2" if all is well."""
        self.grid["a"] = 1
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                first = self.grid["a"]
                self.grid["from child"] = "c"
                clients = self.grid.stats()["clients"]
                os.write(writing, ("%d %s %d" % (first, self.grid["from child"], clients)).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        said = os.read(reading, 100)
        os.close(reading)
        os.close(writing)
        return said

    def test_a_forked_child_reads_at_once_and_has_a_session_of_its_own(self):
        self.assertEqual(self.forked_child_says(), b"1 c 2")
        self.assertEqual(self.grid["from child"], "c")
        self.assertEqual(self.grid.incr("a"), 2)

    def test_a_forked_child_that_has_not_written_knows_whether_the_coordinator_lives(self):
        def said():
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    os.write(writing, b"yes" if self.grid.connected else b"no")
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            answer = os.read(reading, 10)
            os.close(reading)
            os.close(writing)
            return answer

        self.assertEqual(said(), b"yes")
        os.kill(self.launched.pid, signal.SIGKILL)
        self.launched.process.wait(10)
        self.assertEqual(said(), b"no")

    def test_the_seeded_bug_of_a_forgotten_fork_check_is_caught(self):
        def forgotten(attachment):
            return None

        with unittest.mock.patch.object(Attachment, "forget_after_fork", forgotten):
            with unittest.mock.patch.object(Attachment, "usable", lambda attachment: True):
                self.assertNotEqual(self.forked_child_says(), b"1 c 2")

    def test_every_start_method_pool_and_executor(self):
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            self.grid["shared"] = 0
            with context.Pool(2) as pool:
                pool.map(add_one_hundred, [self.grid] * 4)
                self.assertEqual(pool.map(self.grid.get, ["shared", "nothing"]), [400, None])
                pool.close()
                pool.join()
        with ProcessPoolExecutor(2) as executor:
            list(executor.map(add_one_hundred, [self.grid] * 2))
        self.assertEqual(self.grid["shared"], 600)

    def test_threads_share_one_handle(self):
        def work(name):
            for number in range(300):
                self.grid.set(name, number)
                self.grid.incr("threads")
                if self.grid.get(name) != number:
                    wrong.append((name, number))

        wrong = []
        threads = [threading.Thread(target=work, args=("t%d" % number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.grid["threads"], 1800)

    @slow
    def test_an_interrupt_in_the_middle_of_a_call_puts_nothing_out_of_step(self):
        booms, wrong, ended = 0, [], False
        end = time.monotonic() + 1.5
        previous = signal.signal(signal.SIGALRM, self.boom)
        signal.setitimer(signal.ITIMER_REAL, 0.0015, 0.0013)
        try:
            while not ended:
                try:
                    self.calls_until(end, wrong)
                    ended = True
                except Boom:
                    booms += 1
        finally:
            self.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        self.assertEqual(wrong, [])
        self.assertGreater(booms, 100)
        self.assertEqual((self.grid.set("i", "end") > 0, self.grid["i"], self.grid.incr("n", 5)), (True, "end", 5))

    def calls_until(self, end, wrong):
        """Calls whose answers are known.  A function of its own: 3.13 leaves the jump of a loop out of its `try`."""
        self.armed = True
        number = 0
        while time.monotonic() < end:
            number += 1
            self.grid.set("i", number)
            if self.grid.get("i") != number:
                wrong.append(number)
            self.grid.set_many({"m%d" % i: i for i in range(50)})
            if self.grid.delete("m3") != 1 or self.grid.incr("zero", 0) != 0:
                wrong.append(number)
        self.armed = False

    def boom(self, number, frame):
        if self.armed:
            self.armed = False  # once, and not again before the test has caught it
            raise Boom()

    def test_a_program_that_does_not_close_says_nothing_at_its_end(self):
        child = self.spawn("import sys, nosqgrid; grid = nosqgrid.attach(sys.argv[1]); grid['x'] = 1; print(grid['x'])",
                           self.launched.address)
        self.assertEqual(child.read_line(), "1")
        self.assertEqual(child.wait(), 0)
        self.assertEqual(child.errors(), "")

    def test_attaching_again_and_again_leaves_no_descriptor(self):
        opened, theirs = len(descriptors()), len(os.listdir("/proc/%d/fd" % self.launched.pid))
        for number in range(300):
            with nosqgrid.attach(self.launched.address) as grid:
                grid["n"] = number
        self.attached(1)
        self.assertEqual(len(descriptors()), opened)
        self.assertEqual(len(os.listdir("/proc/%d/fd" % self.launched.pid)), theirs)


class HandlerTest(GridTestCase):
    @slow
    def test_a_handler_that_writes_inside_a_write_is_refused_and_harms_nothing(self):
        refused, done = [], []

        def handler(number, frame):
            try:
                self.grid.set("from handler", 1)
                done.append(1)
            except nosqgrid.UsageError as error:
                refused.append(str(error))

        previous = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
        end = time.monotonic() + 1.0
        number = 0
        try:
            while time.monotonic() < end:
                number += 1
                self.grid.set("n", number)
                self.assertEqual(self.grid["n"], number)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        self.assertGreater(len(refused), 0)
        self.assertEqual(self.grid.incr("sum", 3), 3)

    def test_a_lock_that_an_interrupted_call_left_behind_is_found_by_the_next(self):
        attachment = self.grid._store.attachment
        for call in (lambda: self.grid.set("a", 1), lambda: self.grid.incr("n"), self.grid.stats, self.grid.ping,
                     lambda: self.grid.set_many({"b": 2}), lambda: self.grid.set("large", "x" * 200000),
                     lambda: self.grid.connected):
            attachment.lock.acquire()  # what an exception between taking the lock and the block leaves
            call()
            self.assertFalse(attachment.lock._is_owned())
        self.assertEqual(self.grid.get_many(["a", "n", "b"]), {"a": 1, "n": 1, "b": 2})

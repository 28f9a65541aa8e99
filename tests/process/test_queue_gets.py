"""What get() hands over: whose it is, when it is done, and when it comes back."""

import multiprocessing
import os
import queue
import time

import nosqgrid
from nosqgrid import errors
from nosqgrid.formats import values
from tests.process.test_queues import QueueTestCase
from tests.support.durable import DurableTestCase
from tests.support.processes import TIMEOUT_S, wait_until
from tests.support.tiers import slow


def consume(grid, name, ends_by):
    """Get items until None comes, as a program for queue.Queue does, which never says task_done()."""
    for item in iter(grid.queue(name).get, None):
        if item == "bad":
            raise ends_by


class GetsTest(QueueTestCase):
    def reserved(self):
        return self.queue.stats()["reserved"]

    def test_objects_of_one_name_are_one_hand(self):
        for number in range(3):
            self.queue.put(number)
        self.assertEqual([self.grid.queue("work").get() for _ in range(3)], [0, 1, 2])
        self.assertEqual(self.reserved(), 1)
        for _ in range(3):
            self.grid.queue("work").task_done()
        self.assertEqual(self.reserved(), 0)
        with self.assertRaises(ValueError):
            self.queue.task_done()

    def test_another_thread_says_task_done(self):
        for number in range(3):
            self.queue.put(number)
        self.queue.get(), self.queue.task_done()
        self.queue.get(), self.queue.get()
        for left in (1, 0):
            thread = self.in_thread(self.queue.task_done)
            thread.join(TIMEOUT_S)
            self.assertEqual((thread.found, self.reserved()), ([None], left))
        thread = self.in_thread(self.queue.task_done)
        thread.join(TIMEOUT_S)
        self.assertIsInstance(thread.found[0], ValueError)

    def test_workers_that_say_it_and_end_by_a_sentinel(self):
        added = []

        def work():
            while True:
                item = self.queue.get(timeout=TIMEOUT_S)
                if item is None:
                    self.queue.task_done()
                    return
                added.append(item)
                self.queue.task_done()

        threads = [self.in_thread(work) for _ in range(3)]
        for number in range(100):
            self.queue.put(number)
        self.assertTrue(self.queue.join(TIMEOUT_S))
        self.assertEqual(sum(added), sum(range(100)))
        for _ in threads:
            self.queue.put(None)
        self.assertTrue(self.queue.join(TIMEOUT_S))
        for thread in threads:
            thread.join(TIMEOUT_S)
            self.assertEqual(thread.found, [None])

    def test_a_forked_child_has_nothing_of_it(self):
        self.queue.put(1), self.queue.put(2)
        self.assertEqual(self.queue.get(), 1)
        context = multiprocessing.get_context("fork")
        child = context.Process(target=_get_one, args=(self.grid,))
        child.start()
        child.join(TIMEOUT_S)
        self.assertEqual((child.exitcode, self.reserved()), (0, 1))
        self.queue.task_done()
        self.assertEqual(self.reserved(), 0)

    def test_processes_that_end_by_a_sentinel_leave_nothing(self):
        workers = [multiprocessing.Process(target=consume, args=(self.grid, "work", ValueError)) for _ in range(3)]
        for process in workers:
            process.start()
        for item in ("a", "b", "c", None, None, None):
            self.queue.put(item)
        for process in workers:
            process.join(TIMEOUT_S)
            self.assertEqual(process.exitcode, 0)
        self.assertEqual((self.queue.join(TIMEOUT_S), self.queue.qsize(), self.reserved()), (True, 0, 0))

    def test_a_process_that_ends_by_an_exception_gives_back_what_it_had(self):
        self.queue.put("bad", backoff=(0, 0, 1))
        process = multiprocessing.Process(target=consume, args=(self.grid, "work", SystemError("on purpose")))
        process.start()
        process.join(TIMEOUT_S)
        self.assertEqual(process.exitcode, 1)
        self.assertEqual(self.queue.get(timeout=TIMEOUT_S), "bad")

    def program(self, *lines):
        return self.spawn("\n".join(("import sys, nosqgrid", "grid = nosqgrid.attach(sys.argv[1])") + lines),
                          self.launched.address)

    def test_programs_that_end(self):
        for end, comes_back in (("item = 1", False), ("sys.exit()", False), ("1 / 0", True), ("grid.close()", False),
                                ("import os; os._exit(0)", True)):
            with self.subTest(end):
                self.queue.put(end, backoff=(0, 0, 1))
                self.program("grid.queue('work').get()", end).wait()
                wait_until(lambda: not self.reserved(), what="the end of its session")
                self.assertEqual(self.queue.qsize(), int(comes_back))
                if comes_back:
                    self.queue.get(), self.queue.task_done()

    def test_a_block_that_ends_by_an_exception_gives_back(self):
        self.queue.put("x", backoff=(0, 0, 1))
        with self.assertRaises(ZeroDivisionError):
            with nosqgrid.attach(self.launched.address) as other:
                other.queue("work").get()
                1 / 0
        self.assertEqual(self.queue.get(timeout=TIMEOUT_S), "x")
        with nosqgrid.attach(self.launched.address) as other:
            self.queue.put("y")
            self.assertEqual(other.queue("work").get(), "y")
        self.queue.task_done()
        self.assertTrue(self.queue.join(TIMEOUT_S))

    def test_what_cannot_be_read_does_not_stand_in_front_for_ever(self):
        self.grid._store.command(b"JOB.PUT", b"work", values.FLOAT, b"x", b"RETRIES", 1, b"BACKOFF", 0, 0, 1000, 0)
        for _ in range(2):
            with self.assertRaises(errors.CorruptValueError):
                self.queue.get_nowait()
        self.queue.put("good")
        self.assertEqual((self.queue.stats()["dead"], self.reserved()), (1, 0))
        self.assertEqual(self.queue.get(timeout=TIMEOUT_S), "good")

    def test_full_says_what_the_queue_is_set_to(self):
        self.assertFalse(self.queue.full())
        self.queue.config(maxlen=1)
        self.queue.put(1)
        self.assertTrue(self.queue.full())
        with self.assertRaises(queue.Full):
            self.queue.put_nowait(2)

    def test_who_waits_longest_is_served_first(self):
        threads = []
        for number in range(6):
            threads.append(self.in_thread(self.queue.get))
            wait_until(lambda: self.queue.stats()["waiting_workers"] == number + 1, what="one more who waits")
        for number in range(6):
            self.queue.put(number)
            threads[number].join(TIMEOUT_S)
            self.assertEqual(threads[number].found, [number])

    def test_who_waits_longest_puts_first(self):
        small, threads = self.grid.queue("small", 1), []
        small.put("first")
        for number in range(5):
            threads.append(self.in_thread(lambda number=number: small.put(number)))
            wait_until(lambda: b"blocked_clients:%d\r" % (number + 1) in
                       self.grid._store.command(b"INFO", b"clients"), what="one more who waits")
        self.assertEqual([small.get(timeout=TIMEOUT_S) for _ in range(6)], ["first", 0, 1, 2, 3, 4])
        for thread in threads:
            thread.join(TIMEOUT_S)

    def test_large_items(self):
        item = os.urandom(3 << 20)
        self.queue.put(item)
        self.assertEqual(self.queue.get(), item)
        self.queue.task_done()


def _get_one(grid):
    if grid.queue("work").get() != 2:
        os._exit(3)
    grid.queue("work").task_done()
    try:
        grid.queue("work").task_done()
    except ValueError:
        os._exit(0)
    os._exit(4)


class RestartTest(DurableTestCase):
    @slow
    def test_what_was_got_stays_with_who_has_it(self):
        served = self.serve(level="os")
        grid, other = self.attach(reconnect=TIMEOUT_S), self.attach(reconnect=TIMEOUT_S)
        grid.queue("work").put("x", ttr=0.5)
        self.assertEqual(grid.queue("work").get(), "x")
        served.kill()
        served = self.serve(level="os")
        self.assertEqual(grid.queue("work").qsize(), 0)  # any call: it is there again, and has the item
        time.sleep(1.5)  # its time to run, three times
        with self.assertRaises(queue.Empty):
            other.queue("work").get_nowait()
        grid.queue("work").task_done()
        self.assertTrue(other.queue("work").join(TIMEOUT_S))

    def test_who_waits_without_end_goes_on_with_the_next_coordinator(self):
        served = self.serve(level="os")
        child = self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1], reconnect=60)\n"
                           "print('waits', flush=True)\nprint(grid.queue('work').reserve().payload, flush=True)",
                           self.socket)
        self.assertEqual(child.read_line(), "waits")
        grid = self.attach(reconnect=TIMEOUT_S)
        for kills in range(3, -1, -1):
            wait_until(lambda: grid.queue("work").stats()["waiting_workers"] == 1, what="a worker that waits")
            if kills:
                served.kill()
                served = self.serve(level="os")
        grid.queue("work").put("x")
        self.assertEqual(child.read_line(), "x")
        self.assertEqual(child.wait(), 0)

    def test_a_put_that_waits_is_not_made_twice(self):
        served = self.serve(level="os")
        grid, other = self.attach(reconnect=TIMEOUT_S), self.attach(reconnect=TIMEOUT_S)
        other.queue("work").put("first")
        child = self.spawn("import sys, nosqgrid\ngrid = nosqgrid.attach(sys.argv[1], reconnect=60)\n"
                           "try:\n    grid.queue('work', 1).put('second')\n"
                           "except nosqgrid.CoordinatorLostError:\n    print('not known', flush=True)", self.socket)
        wait_until(lambda: b"blocked_clients:1\r" in other._store.command(b"INFO", b"clients"), what="a put that waits")
        served.kill()
        served = self.serve(level="os")
        self.assertEqual(child.read_line(), "not known")
        self.assertEqual(child.wait(), 0)
        self.assertEqual(grid.queue("work").qsize(), 1)

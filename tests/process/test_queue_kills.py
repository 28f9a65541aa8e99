"""Jobs while workers and coordinators are killed: none lost, none done twice, each doubled start paired with a death.

What a worker does for a job is to count it, in one batch with its acknowledgement; so the counts tell how often each
job was done.  Before that it writes a line to a file, so the file tells who began what.
"""

import json
import os
import random
import signal
import time

import nosqgrid
from nosqgrid.client import launcher
from tests.support.durable import DurableTestCase
from tests.support.processes import TIMEOUT_S, ProcessTestCase, wait_until
from tests.support.tiers import FULL, slow

WORKERS = 50
WORK_S = 0.01
SECONDS = 60 if FULL else 6
RESTARTS = 12 if FULL else 3


def work(address, journal, name):
    """Take jobs until the queue is empty and drained; runs in a process that may be killed at any moment."""
    grid = nosqgrid.attach(address, reconnect=TIMEOUT_S)
    queue = grid.queue("work")
    file = os.open(journal, os.O_WRONLY | os.O_APPEND)
    while True:
        try:
            job = queue.reserve(timeout=1.0)
            if job is None:
                if grid.get("over") and not queue.stats()["reserved"]:
                    return
                continue
            os.write(file, b"%d %d %d\n" % (job.payload, os.getpid(), job.attempt))
            time.sleep(WORK_S)
            with grid.pipeline() as pipeline:
                pipeline.incr("done:%d" % job.payload)
                pipeline.ack(job)
        except (nosqgrid.CoordinatorLostError, nosqgrid.NotServedError, nosqgrid.BatchError):
            continue  # whether it is done is not known here; a batch fails for a receipt that is stale by then


def manage(address, journal, seed, seconds, workers):
    """Fork workers and kill one after the other for so long; then let the rest finish.  Prints who was killed."""
    rng, killed, running = random.Random(seed), [], set()
    ends = time.monotonic() + seconds

    def begin():
        pid = os.fork()
        if not pid:
            try:
                work(address, journal, "")
                os._exit(0)
            finally:
                os._exit(1)
        running.add(pid)

    for _ in range(workers):
        begin()
    while time.monotonic() < ends:
        time.sleep(rng.random() * 0.1)
        pid = rng.choice(sorted(running))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        running.discard(pid)
        killed.append(pid)
        begin()
    print("over", flush=True)
    input()
    failed = 0
    for pid in sorted(running):
        failed += os.waitpid(pid, 0)[1] != 0
    print(json.dumps([killed, failed]), flush=True)


def starts_of(journal):
    """{number of a job: [pid of each start]}."""
    found = {}
    with open(journal) as file:
        for line in file:
            number, pid, _ = map(int, line.split())
            found.setdefault(number, []).append(pid)
    return found


class KilledWorkersTest(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="64m")
        self.grid = nosqgrid.attach(self.launched.address)
        self.queue = self.grid.queue("work")
        self.queue.config(retries=1000)
        self.journal = os.path.join(self.directory, "journal")
        with open(self.journal, "w"):
            self.assertEqual(os.path.getsize(self.journal), 0)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        os.unlink(self.journal)
        super().tearDown()

    @slow
    def test_fifty_workers_under_random_kills(self):
        child = self.spawn(manage, self.launched.address, self.journal, 5, SECONDS, WORKERS)
        ends, put = time.monotonic() + SECONDS, 0
        while time.monotonic() < ends:
            for job in self.queue.put_many(list(range(put, put + 20)), backoff=(0, 0, 1)):
                put += job.created
            wait_until(lambda: self.queue.qsize() < 200, what="workers that work")
        self.assertEqual(child.read_line(TIMEOUT_S), "over")
        self.assertTrue(self.queue.join(TIMEOUT_S))
        self.grid["over"] = True
        child.write_line("finish")
        killed, failed = json.loads(child.read_line(TIMEOUT_S))
        self.assertEqual(child.wait(), 0)
        self.assertEqual(failed, 0)
        self.assertGreater(len(killed), 20)
        self.assertGreater(put, 200)
        done = [self.grid.get("done:%d" % number, 0) for number in range(put)]
        self.assertEqual([number for number, count in enumerate(done) if count != 1], [], "lost, or done twice")
        starts, dead = starts_of(self.journal), set(killed)
        for number in range(put):
            self.assertLessEqual(set(starts[number][:-1]), dead, "job %d was begun again, and nobody had died" % number)
        self.assertGreater(sum(len(pids) - 1 for pids in starts.values()), 0, "no kill hit a job in hand")

    def test_job_of_a_killed_worker_is_back_at_once(self):
        self.queue.put(7, ttr=3600, backoff=(0, 0, 1))
        child = self.spawn("import sys, nosqgrid\njob = nosqgrid.attach(sys.argv[1]).queue('work').reserve()\n"
                           "print(job.attempt, flush=True)\nsys.stdin.readline()", self.launched.address)
        self.assertEqual(child.read_line(), "1")
        self.assertIsNone(self.queue.reserve(timeout=0.0))
        child.kill()
        job = self.queue.reserve(timeout=TIMEOUT_S)
        self.assertEqual((job.payload, job.attempt), (7, 2))
        self.assertIn("pid %d" % child.pid, str(job.info()["failures"]))
        child.wait()

    def test_forked_child_acknowledges_by_the_receipt(self):
        job = self.queue.put(7)
        mine = self.queue.reserve()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                mine.ack()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(job.state, "forgotten")
        with self.assertRaises(nosqgrid.StaleReceiptError):
            mine.ack()

    def test_interrupts_leave_no_job_with_nobody(self):
        def interrupt(number, frame):
            raise KeyboardInterrupt

        rng = random.Random(3)
        before = signal.signal(signal.SIGALRM, interrupt)
        count = interrupted = 0
        try:
            self.queue.put_many(list(range(400)), backoff=(0, 0, 1))
            while count < 400:
                job = None
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.random() * 0.0008 + 1e-6)
                    job = self.queue.reserve(timeout=0.2)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    interrupted += 1
                if job is not None:
                    job.ack()
                    count += 1
                elif not self.queue.stats()["ready"]:
                    break
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertGreater(interrupted, 10)
        left = self.queue.stats()["reserved"]  # struck as reserve() returned: it is ours, unknown
        self.assertEqual(count + left, 400)
        self.assertLess(left, interrupted / 5)
        with nosqgrid.attach(self.launched.address) as other:
            self.grid.close()
            wait_until(lambda: other.queue("work").stats()["ready"] == left, what="what was left to be given back")


class KilledCoordinatorTest(DurableTestCase):
    @slow
    def test_what_was_put_is_done_once_whatever_coordinator(self):
        served = self.serve(level="os")
        grid = self.attach(reconnect=TIMEOUT_S)
        queue = grid.queue("work")
        queue.config(retries=1000)
        journal = os.path.join(self.place, "journal")
        with open(journal, "w"):
            self.assertEqual(os.path.getsize(journal), 0)
        children = [self.spawn(work, self.socket, journal, "") for _ in range(4)]
        wait_until(lambda: queue.stats()["waiting_workers"] == len(children), what="workers that are attached")
        rng, answered, number = random.Random(9), [], 0
        for _ in range(RESTARTS):
            ends = time.monotonic() + 0.5 + rng.random()
            while time.monotonic() < ends:
                number += 1
                try:
                    queue.put(number, backoff=(0, 0, 1), ttr=5)  # for what a dying coordinator handed out
                    answered.append(number)
                except nosqgrid.CoordinatorLostError:
                    continue
                time.sleep(0.002)  # so that four workers nearly keep up
            served.kill()
            served = self.serve(level="os")
        wait_until(lambda: not queue.stats()["length"] and not queue.stats()["reserved"], timeout_s=2 * TIMEOUT_S,
                   what="all jobs to be done")
        grid["over"] = True
        for child in children:
            self.assertEqual(child.wait(), 0, child.errors())
        done = {number: grid.get("done:%d" % number, 0) for number in range(1, number + 1)}
        self.assertEqual([number for number in answered if done[number] != 1], [])
        self.assertEqual([number for number, count in done.items() if count > 1], [])
        self.assertGreater(len(answered), 100)

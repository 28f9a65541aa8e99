"""Jobs when workers are killed, stopped or forked, and when the coordinator is: none is lost, none that was
acknowledged comes back, and a job runs twice only where a death is known.

NOSQGRID_TEST_FULL=1 does it longer.
"""

import json
import os
import random
import signal
import sys
import time
import unittest

from nosqgrid.client.link import Link
from nosqgrid.errors import CoordinatorLostError, StaleReceiptError
from tests.support.durable import FULL, SEED, DurableTestCase, Served
from tests.support.processes import TIMEOUT_S, process_state, wait_until
from tests.support.tiers import slow

WORKERS = 50 if FULL else 8
JOBS = 6000 if FULL else 500
KILL_EVERY_S = 0.02, 0.12
CYCLES = 40 if FULL else 4
LOAD_S = 0.1, 0.4

# Reserves one job, says which, and holds it until it is told to go on.
HOLDER = """
import os, sys, time
from nosqgrid.client.link import Link
link = Link(sys.argv[1], 30.0)
for line in sys.stdin:
    words = line.split()
    if words[0] == "FORK":
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        print(pid, flush=True)
    else:
        print(repr(link.command(*[word.encode() for word in words])), flush=True)
"""


def worker_program(address, path):
    """Reserve and acknowledge until somebody kills it; write what is begun and what is acknowledged, unbuffered."""
    link = Link(address, TIMEOUT_S)
    journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    while True:
        for job in link.command(b"JOB.RESERVE", b"WAIT", b"-1", b"COUNT", b"1", b"QUEUES", b"1", b"q", timeout_s=0):
            number, receipt = job[0], b"%d" % job[1]
            os.write(journal, b"begin %b %d %d\n" % (job[3], job[4], os.getpid()))
            if link.command(b"JOB.ACK", number, receipt) == 1:
                os.write(journal, b"acked %b %d %d\n" % (job[3], job[4], os.getpid()))


def map_of(reply):
    """The dict of a map, which is a flat list here."""
    return dict(zip(reply[::2], reply[1::2]))


class WorkersTest(DurableTestCase):
    def setUp(self):
        super().setUp()
        self.started = []

    def tearDown(self):
        for child in self.started:
            child.kill()
            child.wait()
        super().tearDown()

    def start(self, program, *args):
        self.started.append(self.spawn(program, self.socket, *args))
        return self.started[-1]

    def serve_memory(self):
        """Start a coordinator without a directory, and wait until it serves."""
        served = Served(["--memory", "64m"], self.socket, os.path.join(self.place, "errors%d" % len(self._served)))
        self._served.append(served)
        return served.wait_until_served()

    def link(self):
        """A connection of this process; closed at the end of the test."""
        link = Link(self.socket, TIMEOUT_S)
        self._grids.append(link)
        return link

    def ask(self, child, words):
        child.write_line(words)
        return child.read_line()

    def state(self, link, job):
        found = link.command(b"JOB.INFO", job)
        return None if found is None else map_of(found)[b"state"]

    def test_a_killed_worker_gives_its_job_to_who_waits(self):
        self.serve_memory()
        link = self.link()
        link.command(b"JOB.PUT", b"q", b"0", b"x")
        worker = self.start(HOLDER)
        self.assertIn("b'q:1', 1", self.ask(worker, "JOB.RESERVE QUEUES 1 q"))
        worker.kill()
        (job,) = link.command(b"JOB.RESERVE", b"WAIT", b"20000", b"QUEUES", b"1", b"q")
        self.assertEqual((job[0], job[1], job[4]), (b"q:1", 2, 2))

    def test_a_forked_child_does_not_keep_a_dead_worker_s_job(self):
        self.serve_memory()
        link = self.link()
        link.command(b"JOB.PUT", b"q", b"0", b"x")
        worker = self.start(HOLDER)
        self.ask(worker, "JOB.RESERVE QUEUES 1 q")
        forked = int(self.ask(worker, "FORK"))
        worker.kill()
        try:
            self.assertEqual(len(link.command(b"JOB.RESERVE", b"WAIT", b"20000", b"QUEUES", b"1", b"q")), 1)
            os.kill(forked, 0)  # it lives
        finally:
            os.kill(forked, signal.SIGKILL)

    def test_a_stopped_worker_keeps_its_job(self):
        self.serve_memory()
        link = self.link()
        link.command(b"JOB.PUT", b"q", b"0", b"x")
        worker = self.start(HOLDER)
        self.ask(worker, "JOB.RESERVE QUEUES 1 q")
        os.kill(worker.pid, signal.SIGSTOP)
        wait_until(lambda: process_state(worker.pid) == "T")
        self.assertEqual(link.command(b"JOB.RESERVE", b"WAIT", b"300", b"QUEUES", b"1", b"q"), [])
        os.kill(worker.pid, signal.SIGCONT)
        self.assertEqual(self.ask(worker, "JOB.ACK q:1 1"), "1")

    @slow
    def test_random_kills_lose_nothing_and_double_nothing_without_a_death(self):
        self.serve_memory()
        link, rng, killed = self.link(), random.Random(SEED), set()
        journal = os.path.join(self.place, "journal")
        workers = [self.start(worker_program, journal) for _ in range(WORKERS)]
        for number in range(JOBS):
            link.command(b"JOB.PUT", b"q", b"0", b"%d" % number, b"RETRIES", b"1000", b"BACKOFF", b"1", b"5", b"1000",
                         b"0")
        while self.left(link):
            time.sleep(rng.uniform(*KILL_EVERY_S))
            at = rng.randrange(WORKERS)
            killed.add(workers[at].pid)
            workers[at].kill()
            workers[at].wait()
            workers[at] = self.start(worker_program, journal)
        self.check_journal(journal, killed)

    def left(self, link):
        stats = map_of(link.command(b"JOB.STATS", b"q"))
        self.assertEqual(stats[b"dead"], 0)
        return stats[b"ready"] + stats[b"delayed"] + stats[b"reserved"]

    def check_journal(self, journal, killed):
        begun, acked = {}, {}
        with open(journal) as file:
            for line in file:
                kind, number, attempt, pid = line.split()
                (begun if kind == "begin" else acked).setdefault(int(number), []).append((int(attempt), int(pid)))
        # Who is killed between the two may have acknowledged without having written so.
        self.assertEqual(set(begun), set(range(JOBS)))
        for number, attempts in begun.items():
            self.assertEqual([attempt for attempt, _ in attempts], sorted({attempt for attempt, _ in attempts}))
            for attempt, pid in attempts[:-1]:
                self.assertIn(pid, killed, "job %d ran again, and nobody died" % number)
            self.assertLessEqual(len(acked.get(number, ())), 1, number)
            if number in acked:
                self.assertEqual(acked[number][0], attempts[-1])
            else:
                self.assertIn(attempts[-1][1], killed)

    def test_what_a_worker_has_outlives_the_coordinator(self):
        served = self.serve(level="os")
        link = self.link()
        for _ in range(3):
            link.command(b"JOB.PUT", b"q", b"0", b"x")
        one, two = self.start(HOLDER), self.start(HOLDER)
        self.ask(one, "JOB.RESERVE QUEUES 1 q")
        self.ask(two, "JOB.RESERVE QUEUES 1 q")
        receipt = link.command(b"JOB.RESERVE", b"QUEUES", b"1", b"q")[0][1]
        served.kill()
        two.kill()
        two.wait()
        self.serve(level="os")
        link = self.link()
        self.assertEqual([self.state(link, b"q:%d" % number) for number in (1, 2, 3)],
                         [b"reserved", b"ready", b"reserved"])
        self.assertEqual(link.command(b"JOB.ACK", b"q:3", b"%d" % receipt), 1)
        one.kill()
        found = link.command(b"JOB.RESERVE", b"WAIT", b"20000", b"COUNT", b"1", b"QUEUES", b"1", b"q")
        found += link.command(b"JOB.RESERVE", b"WAIT", b"20000", b"COUNT", b"1", b"QUEUES", b"1", b"q")
        self.assertEqual(sorted((job[0], job[1]) for job in found), [(b"q:1", 2), (b"q:2", 2)])


    def test_a_worker_that_outlives_the_coordinator_gives_back_its_lock_and_its_job(self):
        served = self.serve(level="os")
        self.link().command(b"JOB.PUT", b"q", b"0", b"x")
        worker = self.start(HOLDER)
        self.ask(worker, "LOCK.ACQUIRE l")
        self.ask(worker, "JOB.RESERVE QUEUES 1 q")
        served.kill()
        self.serve(level="os")
        link = self.link()
        self.assertEqual(self.state(link, b"q:1"), b"reserved")
        self.assertIsNone(link.command(b"LOCK.ACQUIRE", b"l"))
        worker.kill()
        self.assertEqual(len(link.command(b"JOB.RESERVE", b"WAIT", b"20000", b"QUEUES", b"1", b"q")), 1)
        self.assertIsNotNone(link.command(b"LOCK.ACQUIRE", b"l", b"WAIT", b"20000"))


def client_program(address):
    """Put and acknowledge from the number in each line on, until the coordinator is gone; then report."""
    print("ready", flush=True)
    for line in sys.stdin:
        number = json.loads(line)
        link = Link(address, TIMEOUT_S)
        print("attached", flush=True)
        report = {"put": [], "acked": [], "unsure": None, "next": number}
        try:
            work(link, report)
        except CoordinatorLostError:
            print(json.dumps(report), flush=True)
        link.close()


def work(link, report):
    """Two jobs are put and one is acknowledged in turn; the others wait."""
    while True:
        for _ in range(2):
            number = report["next"]
            report["next"] += 1
            link.command(b"JOB.PUT", b"q", b"0", b"%d" % number, b"PRIORITY", b"%d" % (number % 3))
            report["put"].append(number)
        for job in link.command(b"JOB.RESERVE", b"COUNT", b"1", b"QUEUES", b"1", b"q"):
            report["unsure"] = int(job[3])
            try:
                link.command(b"JOB.ACK", job[0], b"%d" % job[1])
            except StaleReceiptError:
                continue  # a session of before the kill had it
            report["acked"].append(int(job[3]))
            report["unsure"] = None


class CoordinatorKillsTest(DurableTestCase):
    def run_cycles(self, level):
        rng = random.Random(SEED)
        client = self.spawn(client_program, self.socket)
        self.addCleanup(client.kill)
        self.assertEqual(client.read_line(), "ready")
        put, acked, unsure, following = set(), set(), set(), 0
        served = self.serve("--checkpoint-log-size", "50k", level=level)
        for cycle in range(CYCLES):
            client.write_line(json.dumps(following))
            self.assertEqual(client.read_line(), "attached")
            if cycle % 2:
                served.process.send_signal(signal.SIGUSR2)
            time.sleep(rng.uniform(*LOAD_S))
            served.kill()
            report = json.loads(client.read_line())
            put |= set(report["put"])
            acked |= set(report["acked"])
            unsure |= {report["unsure"]} - {None}
            following = report["next"]
            served = self.serve("--checkpoint-log-size", "50k", level=level)
            self.check(put, acked, unsure, following)
        client.kill()
        client.wait()
        self.assertGreater(len(acked), 10 * CYCLES)

    def check(self, put, acked, unsure, following):
        """What was put and not acknowledged is there, once; what was acknowledged is not."""
        link, found = Link(self.socket, TIMEOUT_S), []
        for state in (b"ready", b"reserved", b"delayed", b"dead"):
            offset = 0
            while True:
                page = link.command(b"JOB.PEEK", b"q", state, b"500", b"%d" % offset)
                found += [int(map_of(job)[b"payload"]) for job in page]
                offset += len(page)
                if not page:
                    break
        link.close()
        self.assertEqual(len(found), len(set(found)))
        self.assertEqual(set(found) & acked, set())
        self.assertEqual(put - acked - unsure - set(found), set(), "lost; NOSQGRID_TEST_SEED=%d" % SEED)
        self.assertLessEqual(max(found), following)

    @slow
    def test_level_os(self):
        self.run_cycles("os")

    @slow
    def test_level_always(self):
        self.run_cycles("always")


if __name__ == "__main__":
    unittest.main()

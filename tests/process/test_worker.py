"""nosqgrid worker: jobs are run, and none is lost, whatever is killed."""

import os
import random
import signal
import time
import unittest

from tests.support.processes import wait_until
from tests.support.tiers import slow
from tests.support.working import TASKS, WorkingTestCase, children_of, is_there


class JobTests(WorkingTestCase):
    def test_jobs_are_run_and_their_results_kept(self):
        ids = [self.put("add", number, 5) for number in range(50)]
        worker = self.work("-c", "2", "--verbose")
        self.assertEqual([self.result(each) for each in ids], [number + 5 for number in range(50)])
        self.end(worker)
        self.assertEqual(worker.errors().count("%s:add done in" % TASKS), 50)

    def test_a_job_that_raises_is_tried_again_and_then_dead_with_its_traceback(self):
        worker = self.work("-c", "1")
        found = self.ended(self.put("fail", "no luck", retries=2, backoff=(0.01, 0.05, 2)))
        self.assertEqual((found["state"], found["attempts"], self.grid["fails"]), ("dead", 3, 3))
        self.assertIn("ValueError: no luck", found["error"])
        self.assertIn("work_tasks.py", found["error"])
        self.assertNotIn("client/workers", found["error"])
        self.end(worker)

    @slow
    def test_a_job_that_kills_its_worker_is_dead_after_its_attempts(self):
        worker = self.work("-c", "1")
        found = self.ended(self.put("kill_own_process", retries=2, backoff=(0, 0, 1)))
        self.assertEqual((found["state"], found["attempts"], self.grid["kills"]), ("dead", 3, 3))
        self.assertEqual(self.result(self.put("add", 1, 1)), 2)  # the worker goes on
        self.end(worker)
        self.assertIn("was killed by signal 9 while it ran default:1", worker.errors())

    def test_sys_exit_ends_the_job_and_not_the_worker(self):
        worker = self.work("-c", "1")
        self.assertIn("SystemExit: 7", self.ended(self.put("leave", 7, retries=0))["error"])
        self.assertEqual(self.result(self.put("add", 1, 1)), 2)
        self.end(worker)
        self.assertEqual(worker.errors(), "")

    def test_what_nobody_knows_is_dead_and_says_what_to_do(self):
        worker = self.work("-c", "1")
        self.assertIn("has no task", self.ended(self.put("nothing", retries=0))["error"])
        job = self.command("JOB.PUT", "default", "2", "5", "RETRIES", "0")[0]
        self.assertIn("module:function", self.ended(job)["error"])
        self.end(worker)

    def test_jobs_without_a_kind_go_to_a_function(self):
        worker = self.work("-c", "1", "-q", "plain", module=TASKS + ":plain")
        job = self.command("JOB.PUT", "plain", "2", "5", "KEEP", "60000")[0]
        self.assertEqual(self.result(job), 5)
        self.end(worker)

    def test_queues_by_order_and_by_weight(self):
        for number in range(8):
            self.put("add", number, queue="lo")
            self.put("add", number, queue="hi")
        worker = self.work("-c", "1", "-q", "hi,lo", "--verbose", "--max-jobs", "100")
        wait_until(lambda: worker.errors().count(" done in") == 16)
        self.end(worker)
        order = [line.split()[1].partition(":")[0] for line in worker.errors().splitlines()]
        self.assertEqual(order, ["hi"] * 8 + ["lo"] * 8)
        worker = self.work("-c", "1", "-q", "hi=3,lo=1")
        self.assertEqual(self.result(self.put("add", 1, queue="lo")), 1)
        self.end(worker)

    def test_threads(self):
        worker = self.work("--thread", "-c", "3")
        ids = [self.put("hold", "a%d" % number, 0.3) for number in range(3)]
        for number in range(3):
            self.await_key("begun:a%d" % number)
        for each in ids:
            self.ended(each)
        pids = {self.grid["pid:a%d" % number] for number in range(3)}
        self.assertEqual(len(pids), 1)
        self.end(worker)

    def test_a_process_ends_after_so_many_jobs_and_another_goes_on(self):
        worker = self.work("-c", "1", "--max-jobs", "2")
        pids = set()
        for number in range(6):
            self.ended(self.put("hold", "m%d" % number, 0))
            pids.add(self.grid["pid:m%d" % number])
        self.assertEqual(len(pids), 3)
        self.end(worker)

    def test_a_process_that_has_taken_too_much_memory_ends(self):
        worker = self.work("-c", "1", "--max-rss", "1")
        pids = set()
        for number in range(3):
            self.ended(self.put("hold", "r%d" % number, 0))
            pids.add(self.grid["pid:r%d" % number])
        self.assertEqual(len(pids), 3)
        self.end(worker)

    def test_a_module_that_is_not_there_ends_the_worker_with_the_reason(self):
        worker = self.work("-c", "2", module="no_such_module")
        self.assertEqual(worker.wait(), 3)
        self.assertIn("cannot import no_such_module", worker.errors())

    def test_a_function_that_is_not_there_ends_the_worker_with_the_reason(self):
        worker = self.work("-c", "1", module="os:no_such_function")
        self.assertEqual(worker.wait(), 3)
        errors = worker.errors()
        self.assertIn("os has no function no_such_function", errors)
        self.assertNotIn("Traceback", errors)

    def test_wrong_options_are_refused(self):
        for options in (("-q", "a=x"), ("-q", ",a"), ("-c", "-1"), ("--grace", "-1"), ("--grace", "nan")):
            worker = self.work(*options)
            self.assertEqual(worker.wait(), 2)
        worker = self.work(module=None)
        self.assertEqual(worker.wait(), 2)


# SIGTERM comes while the parent makes the board of a child that it is about to start.
SIGTERM_AT_A_START = """
import os, signal, sys
from nosqgrid.cli.main import main
from nosqgrid.client.workers import worker

make = worker.Board

def make_when_told_to_end(slots):
    os.kill(os.getpid(), signal.SIGTERM)
    return make(slots)

worker.Board = make_when_told_to_end
sys.exit(main(["worker", "-c", "2", "--grace", "600", sys.argv[1]]))
"""


class EndTests(WorkingTestCase):
    def test_sigterm_while_a_child_is_started_reaches_that_child_too(self):
        worker = self.spawn(["-c", SIGTERM_AT_A_START, TASKS], environment={"NOSQGRID_SOCKET": self.launched.address})
        self.assertEqual(worker.wait(), 0, worker.errors())

    @slow
    def test_sigterm_lets_a_job_finish(self):
        worker = self.work("-c", "1")
        job = self.put("hold", "a", 1.0)
        self.await_key("begun:a")
        self.end(worker)
        self.assertEqual((self.info(job)["state"], self.grid.get("done:a")), ("done", 1))

    def test_after_the_grace_a_job_is_handed_back_without_counting(self):
        worker = self.work("-c", "2", "--grace", "0.2")
        job = self.put("hold", "a", 60.0)
        self.await_key("begun:a")
        self.end(worker)
        found = self.info(job)
        self.assertEqual((found["state"], found["attempts"]), ("ready", 0))
        wait_until(lambda: not is_there(self.grid["pid:a"]))

    def test_the_second_signal_ends_at_once(self):
        worker = self.work("-c", "1", "--grace", "600")
        job = self.put("hold", "a", 60.0)
        self.await_key("begun:a")
        worker.signal(signal.SIGTERM)
        time.sleep(0.3)  # two signals at once are one
        worker.signal(signal.SIGTERM)
        self.assertEqual(worker.wait(), 0)
        self.assertFalse(is_there(self.grid["pid:a"]))
        self.assertEqual(wait_until(lambda: self.info(job)["state"] == "ready" and self.info(job)["attempts"]), 1)

    def test_idle_workers_end_at_once(self):
        for option in ("--process", "--thread"):
            worker = self.work("-c", "2", option)
            wait_until(lambda: self.command("JOB.QUEUES") or self._waiting() == 2)
            self.end(worker)

    def _waiting(self):
        return dict(self.command("JOB.STATS", "default"))[b"waiting_workers"]

    def test_a_parent_that_is_killed_takes_its_idle_children_with_it(self):
        worker = self.work("-c", "2")
        wait_until(lambda: self._waiting() == 2)
        pids = children_of(worker.pid)
        self.assertEqual(len(pids), 2)
        worker.kill()
        self.assertEqual(worker.wait(), -signal.SIGKILL)
        wait_until(lambda: not any(map(is_there, pids)))


class TimeTests(WorkingTestCase):
    @slow
    def test_a_job_that_outlives_its_time_is_killed_with_what_it_started(self):
        worker = self.work("-c", "1")
        found = self.ended(self.put("outlive", "a", ttr=0.5, retries=0))
        self.assertEqual(found["state"], "dead")
        self.assertIn("killed: it was not done after its time to run", found["error"])
        wait_until(lambda: not is_there(self.grid["child:a"]))
        self.assertEqual(self.result(self.put("add", 1, 1)), 2)
        self.end(worker)

    @slow
    def test_a_job_that_asks_for_more_time_gets_it(self):
        worker = self.work("-c", "1")
        self.assertEqual(self.ended(self.put("touch", 10, ttr=0.9, retries=0))["state"], "done")
        self.assertEqual(self.grid["touched"], 1)
        self.end(worker)

    def test_a_job_may_look_whether_it_is_cancelled(self):
        worker = self.work("-c", "1")
        job = self.put("until_cancelled", "a", retries=0)
        self.await_key("begun:a")
        self.assertEqual(self.command("JOB.CANCEL", job), b"reserved")
        self.await_key("cancelled:a")
        self.ended(job)
        self.end(worker)

    @slow
    def test_a_job_that_does_not_look_gets_a_signal(self):
        worker = self.work("-c", "1")
        job = self.put("hold", "a", 600.0, ttr=1000)
        self.await_key("begun:a")
        self.command("JOB.CANCEL", job)
        found = self.ended(job)
        self.assertEqual(found["state"], "cancelled")
        self.assertIsNone(self.grid.get("done:a"))
        self.assertEqual(self.result(self.put("add", 1, 1)), 2)  # in the same process
        self.end(worker)


class KillTests(WorkingTestCase):
    DURABLE = True
    JOBS = 300

    def put_all(self):
        return [self.put("note", number, retries=50, backoff=(0, 0, 1)) for number in range(self.JOBS)]

    def all_done(self):
        """Every job has come to its end, and none was run more often than there were deaths."""
        missing = [number for number in range(self.JOBS) if not self.grid.get("end:%d" % number)]
        self.assertEqual(missing, [])
        return self.grid["runs"] - self.JOBS

    def is_empty(self):
        found = dict(self.command("JOB.STATS", "default"))
        return found[b"length"] + found[b"reserved"] == 0

    @slow
    def test_no_job_is_lost_when_children_are_killed_at_random(self):
        seed = int.from_bytes(os.urandom(4), "little")
        rng, kills = random.Random(seed), 0
        self.put_all()
        worker = self.work("-c", "4")
        while not self.is_empty():
            pids = children_of(worker.pid)
            if pids:
                try:
                    os.kill(rng.choice(pids), signal.SIGKILL)
                    kills += 1
                except ProcessLookupError:
                    continue  # it has ended by itself
            time.sleep(rng.random() * 0.1)
        again = self.all_done()
        self.assertLessEqual(again, kills, "seed %d" % seed)
        self.assertGreater(kills, 3)
        states = dict(self.command("JOB.STATS", "default"))
        self.assertEqual((states[b"dead"], states[b"cancelled"]), (0, 0))
        self.end(worker)

    @slow
    def test_what_was_done_while_nobody_was_there_is_told_to_the_next_coordinator(self):
        worker = self.work("-c", "1", "--grace", "60")
        job = self.put("rest", "a", 1.0, retries=3)
        self.await_key("begun:a")
        self.kill_coordinator()
        worker.signal(signal.SIGTERM)
        time.sleep(1.5)  # the job ends meanwhile, and the worker has nobody to tell
        self.restart()
        self.assertEqual(worker.wait(60), 0)
        self.assertEqual((self.info(job)["state"], self.info(job)["attempts"], self.grid["begun:a"]), ("done", 1, 1))

    @slow
    def test_workers_go_on_with_the_next_coordinator_and_no_job_is_lost(self):
        self.put_all()
        worker = self.work("-c", "3")
        for _ in range(3):
            before = self.grid.get("runs") or 0
            wait_until(lambda: (self.grid.get("runs") or 0) > before + 20)
            self.kill_coordinator()
            self.restart()
        wait_until(self.is_empty, 90.0)
        self.all_done()
        self.end(worker)


if __name__ == "__main__":
    unittest.main()

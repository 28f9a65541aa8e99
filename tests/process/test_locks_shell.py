"""nosqgrid lock and locks: flock's flags, the command's exit status, and its end when the lock is lost."""

import os
import signal

from tests.support.processes import TIMEOUT_S, process_state, wait_until
from tests.support.shell import ShellTestCase
from tests.support.tiers import slow


class LocksShellTest(ShellTestCase):
    def holding(self, *words):
        """A process that has a lock and runs what never ends; and the pid of that."""
        process = self.start("lock", *(words + ("--", "sh", "-c", "echo $$; exec sleep 1000")))
        return process, int(process.stdout.readline())

    def test_a_command_runs_under_the_lock_and_gives_its_exit_status(self):
        status, out = self.shell("lock", "x", "--", "sh", "-c", "echo $NOSQGRID_FENCE; exit 7")
        self.assertEqual(status, 7)
        self.assertLess(int(out), self.fence("x"))
        self.assertEqual(self.shell("lock", "x", "--", "sh", "-c", "kill -9 $$"), (137, ""))
        self.assertEqual(self.grid.locks(), [])

    def fence(self, name):
        with self.grid.lock(name) as lock:
            return lock.fence

    @slow
    def test_flags_of_flock(self):
        with self.grid.lock("x"):
            self.assertEqual(self.shell("lock", "-n", "x", "--", "echo", "no"), (1, ""))
            self.assertEqual(self.shell("lock", "-w", "0.1", "-E", "9", "x", "--", "echo", "no"), (9, ""))
            self.assertEqual(self.shell("lock", "-n", "-s", "x", "--", "echo", "no"), (1, ""))
        with self.grid.rwlock("x").read():
            self.assertEqual(self.shell("lock", "-n", "-s", "x", "--", "echo", "yes"), (0, "yes\n"))
        with self.grid.semaphore("s", 2):
            self.assertEqual(self.shell("lock", "-n", "-c", "2", "s", "--", "echo", "yes"), (0, "yes\n"))

    def test_wrong_usage(self):
        run = ("x", "--", "true")
        for words in (("lock", "x"), ("lock", "-s", "-c", "2") + run, ("lock", "x", "--", "/no/such"),
                      ("lock", "-c", "0") + run, ("lock", "-w", "-1") + run, ("lock", "-w", "nan") + run,
                      ("lock", "-n", "-w", "3") + run, ("locks", "--force", "x")):
            with self.start(*words) as process:
                _, err = process.communicate(timeout=TIMEOUT_S)
            self.assertEqual((process.returncode, err.count(b"\n")), (2, 1), err)
        self.assertEqual(self.grid.locks(), [])

    def test_locks_tells_who_holds_and_who_waits(self):
        with self.grid.lock("job", info="the report"):
            with self.start("lock", "job", "--", "true") as waiter:
                wait_until(lambda: self.grid.lock("job").waiters(), what="somebody who waits")
                status, out = self.shell("locks")
                self.assertEqual((status, len(out.splitlines())), (0, 2))
                self.assertIn("pid %d holds job since " % os.getpid(), out)
                self.assertIn("the report", out)
                self.assertIn("pid %d waits for job since " % waiter.pid, out)
                self.assertEqual(self.shell("locks", "other*"), (0, ""))
                self.assertIn('"info": "the report"', self.shell("locks", "-o", "json")[1])
                waiter.kill()
                waiter.communicate()

    def test_the_command_ends_when_the_lock_is_taken_away(self):
        process, _ = self.holding("x")
        with process:
            self.assertEqual(self.shell("locks", "--force", "x", "--reason", "maintenance"), (0, "1\n"))
            _, err = process.communicate(timeout=TIMEOUT_S)
            self.assertEqual(process.returncode, 75)
            self.assertIn(b"maintenance", err)
        self.assertEqual(self.shell("locks", "--force", "x", "--reason", "maintenance"), (1, "0\n"))

    def test_signals_reach_the_command(self):
        process, _ = self.holding("x")
        with process:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT_S)
            self.assertEqual(process.returncode, 128 + signal.SIGTERM)
        self.assertTrue(self.grid.lock("x").acquire(timeout=TIMEOUT_S))

    def test_command_does_not_outlive_the_one_who_has_the_lock(self):
        process, pid = self.holding("x")
        with process:
            process.kill()
            lock = self.grid.lock("x")
            self.assertTrue(lock.acquire(timeout=TIMEOUT_S))
            self.assertTrue(lock.abandoned)
            wait_until(lambda: process_state(pid) in (None, "Z"), what="the end of the command")
            process.communicate()

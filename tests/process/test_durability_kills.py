"""Kill -9 at any moment takes nothing that was answered: the coordinator under load, in a checkpoint, in its recovery,
at each system call; the process that makes a checkpoint; and what its clients see of it.

NOSQGRID_TEST_FULL=1 does it some hundred times more.  A failure prints a seed for NOSQGRID_TEST_SEED and keeps the
directory as it was before the recovery that went wrong.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import threading
import time
import unittest

import nosqgrid
from tests.support.durable import (FULL, SEED, DurableTestCase, Ledger, go, operation, perform, trace,
                                   writer_program)
from tests.support.tiers import slow

CYCLES = 150 if FULL else 2  # of each level
WRITERS = 3
LOAD_S = 0.02, 0.14  # between the start of the load and the kill
KEYS = 4000  # for checkpoints of several blocks
RECOVERY_S = 0.3  # within it a recovery is killed, interpreter start included
CALLS = "write,fdatasync,fsync,rename,unlink,openat"
TRACE_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$").match


class LoadTest(DurableTestCase):
    """Some writers, one coordinator after the other on one directory."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.names = ["w%d" % number for number in range(WRITERS)]
        self.ledger = Ledger(self.names)
        self.writers = {name: self.spawn(writer_program, name) for name in self.names}
        self.before = os.path.join(self.place, "before")

    def tearDown(self):
        for writer in self.writers.values():
            writer.kill()
            writer.wait()
        super().tearDown()

    def start_load(self, served):
        for name, writer in self.writers.items():
            writer.write_line(go(served.address, self.ledger.numbers[name]))
        for writer in self.writers.values():
            self.assertEqual(writer.read_line(), "attached")

    def reports(self):
        return {name: json.loads(writer.read_line()) for name, writer in self.writers.items()}

    def check(self, served, reports, level):
        wrong = self.ledger.check(self.content(served.address), reports)
        if wrong:
            self.fail("%s\nlevel %s, NOSQGRID_TEST_SEED=%d; before the recovery: %s\n%s" % (
                wrong, level, SEED, self.keep_for_inspection(self.before), served.errors()))

    def recovered(self, level):
        """A coordinator on the directory; some of them are killed while they come up."""
        while self.random.random() < 0.4:
            served = self.serve("--checkpoint-log-size", "100k", level=level, wait=False)
            time.sleep(self.random.uniform(0.0, RECOVERY_S))
            served.kill()
        return self.serve("--checkpoint-log-size", "100k", level=level)

    def run_cycles(self, level):
        for writer in self.writers.values():
            self.assertEqual(writer.read_line(), "ready")
        served = self.serve("--checkpoint-log-size", "100k", level=level)
        answered = 0
        for cycle in range(CYCLES):
            self.start_load(served)
            if cycle % 2:
                served.process.send_signal(signal.SIGUSR2)
            time.sleep(self.random.uniform(*LOAD_S))
            served.kill()
            reports = self.reports()
            answered += sum(reports[name]["replied"] - self.ledger.numbers[name] for name in self.names)
            shutil.rmtree(self.before, ignore_errors=True)
            # The process that made a checkpoint may be about to notice that its coordinator is gone.
            shutil.copytree(self.data, self.before, ignore=shutil.ignore_patterns("*.tmp"))
            served = self.recovered(level)
            self.check(served, reports, level)
        self.assertGreater(answered, CYCLES)
        served.kill()

    @slow
    def test_level_os(self):
        self.run_cycles("os")

    @slow
    def test_level_everysec(self):
        self.run_cycles("everysec")

    @slow
    def test_level_always(self):
        self.run_cycles("always")


@unittest.skipUnless(shutil.which("strace"), "strace is not here")
class SystemCallTest(DurableTestCase):
    """Kill the coordinator as it enters a system call, for each one that a run without a kill shows."""

    COMMANDS = 30

    def options(self, call=None, number=None):
        """The options of strace that kill at the n-th call of that name in a thread, or that write down all calls."""
        if call is None:
            return ["-y", "-o", os.path.join(self.place, "trace"), "-e", "trace=" + CALLS]
        return ["-o", os.devnull, "-e", "trace=" + call, "-e", "inject=%s:signal=KILL:when=%d" % (call, number)]

    def seen(self):
        """[(call, number)] of all calls in the trace that name the data directory, counted for each thread."""
        counts, found = {}, []
        with open(os.path.join(self.place, "trace"), encoding="utf-8", errors="replace") as file:
            for line in file:
                match = TRACE_LINE(line)
                if match is None:
                    continue
                thread, call, rest = match.groups()
                counts[thread, call] = counts.get((thread, call), 0) + 1
                if self.data in rest and (call, counts[thread, call]) not in found:
                    found.append((call, counts[thread, call]))
        return found

    def chosen(self, calls, count):
        """All of them, or a few by chance."""
        if FULL:
            return calls
        return random.Random(SEED).sample(calls, count)

    def session(self, served):
        """Run the script, with a checkpoint in its middle; the report of it as a writer."""
        report = {"sent": 0, "replied": 0}
        with contextlib.suppress(nosqgrid.CoordinatorLostError, nosqgrid.NotServedError):
            with nosqgrid.attach(served.address, near_cache=0) as grid:
                for number in range(self.COMMANDS):
                    if number == self.COMMANDS // 2:
                        with contextlib.suppress(nosqgrid.StorageError):  # its process was killed
                            grid.checkpoint()
                    report["sent"] = number + 1
                    perform(grid, *operation("w", number))
                    report["replied"] = number + 1
        return report

    def check(self, report, what):
        ledger = Ledger(["w"])
        served = self.serve(level="always")
        wrong = ledger.check(self.content(), {"w": report})
        self.assertEqual(wrong, "", "%s; NOSQGRID_TEST_SEED=%d" % (what, SEED))
        served.kill()

    @slow
    def test_in_a_session_with_a_checkpoint(self):
        served = self.serve(level="always")
        with trace(served.pid, "-f", *self.options()):
            self.assertEqual(self.session(served)["replied"], self.COMMANDS)
            served.kill()
        calls = self.seen()
        self.assertGreater(len(calls), 2 * self.COMMANDS)
        self.assertEqual({call for call, _ in calls}, {"write", "fdatasync", "fsync", "rename", "unlink", "openat"})
        for call, number in self.chosen(calls, 2):
            shutil.rmtree(self.data)
            served = self.serve(level="always")
            with trace(served.pid, "-f", *self.options(call, number)):
                report = self.session(served)
                served.close()  # it may live: the call was one of the other process, or was not made this time
            self.check(report, "killed at %s number %d" % (call, number))

    @slow
    def test_in_a_recovery(self):
        template = os.path.join(self.place, "template")
        served = self.serve(level="always")
        report = self.session(served)
        served.kill()
        with open(os.path.join(self.data, max(os.listdir(self.data))), "ab") as log:  # the last segment
            log.write(b"\xe1LOG, and no more of an entry that nobody was told of")
        shutil.copytree(self.data, template)
        prefix = ["strace", "-f", "-qq"]
        served = self.serve(level="always", prefix=prefix + self.options())
        served.kill()
        calls = self.seen()
        self.assertGreater(len(calls), 20)
        for call, number in self.chosen(calls, 1):
            shutil.rmtree(self.data)
            shutil.copytree(template, self.data)
            served = self.serve(level="always", prefix=prefix + self.options(call, number), wait=False)
            self.assertFalse(served.comes_up(), "%s number %d was not reached" % (call, number))
            served.close()
            self.check(report, "killed at %s number %d of a recovery" % (call, number))


class CheckpointerTest(DurableTestCase):
    """The process that makes a checkpoint is killed: the grid goes on, says so, and makes the next one."""

    def setUp(self):
        super().setUp()
        self.served = self.serve(level="os")
        self.grid = self.attach()
        self.grid.set_many({"k%d" % number: "v" * 1000 for number in range(KEYS)})

    def ask_for_checkpoint(self):
        """A thread that asks, and the process that works for it, stopped; (thread, list for what came out, pid)."""
        outcome = []

        def ask():
            try:
                outcome.append(self.grid.checkpoint())
            except nosqgrid.NosqgridError as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        pid = self.served.checkpointer()
        os.kill(pid, signal.SIGSTOP)
        return thread, outcome, pid

    def check_failed_and_works_again(self, outcome):
        self.assertIsInstance(outcome[0], nosqgrid.StorageError)
        self.assertIn("has ended before it was done", str(outcome[0]))
        self.grid["meanwhile"] = 1
        stats = self.grid.stats()
        self.assertEqual((stats["checkpoints"], stats["checkpoints_failed"], stats["checkpoint_running"]), (0, 1, 0))
        self.assertIn("has ended before it was done", stats["checkpoint_error"])
        self.assertIn("no checkpoint: ", self.served.errors())
        self.assertEqual([name for name in os.listdir(self.data) if "checkpoint" in name], [])
        made = self.grid.checkpoint()
        self.assertEqual((made.keys, self.grid.stats()["checkpoint_error"]), (KEYS + 1, ""))
        self.check_restart(KEYS + 1)

    def check_restart(self, keys):
        self.grid["after"] = 2
        self.served.kill()
        self.serve(level="os")
        self.assertEqual(len(self.content()), keys + 1)
        self.assertEqual([name for name in os.listdir(self.data) if name.endswith(".tmp")], [])

    def test_killed_at_its_start(self):
        thread, outcome, pid = self.ask_for_checkpoint()
        os.kill(pid, signal.SIGKILL)
        thread.join()
        self.check_failed_and_works_again(outcome)

    @unittest.skipUnless(shutil.which("strace"), "strace is not here")
    def test_killed_at_a_system_call(self):
        calls = [("write", 1), ("write", 2), ("write", 3), ("unlink", 1), ("fdatasync", 1), ("rename", 1), ("fsync", 1)]
        for call, number in calls if FULL else random.Random(SEED).sample(calls, 2):
            thread, outcome, pid = self.ask_for_checkpoint()
            with trace(pid, "-o", os.devnull, "-e", "trace=" + call,
                       "-e", "inject=%s:signal=KILL:when=%d" % (call, number)):
                os.kill(pid, signal.SIGCONT)
                thread.join()
            self.assertIsInstance(outcome[0], nosqgrid.StorageError, "killed at %s %d" % (call, number))
        self.assertEqual(self.grid.checkpoint().keys, KEYS)
        self.check_restart(KEYS)

    @unittest.skipUnless(shutil.which("strace"), "strace is not here")
    @slow
    def test_what_is_written_while_it_reads_is_in_the_checkpoint_too(self):
        thread, outcome, pid = self.ask_for_checkpoint()
        turn = 0
        with trace(pid, "-o", os.devnull, "-e", "trace=write", "-e", "inject=write:delay_enter=50000"):
            os.kill(pid, signal.SIGCONT)
            while thread.is_alive():
                turn += 1
                for number in range(0, KEYS, 40):
                    self.grid.set("k%d" % number, turn)
                self.grid.delete("k%d" % (turn * 40 + 1))
            thread.join()
        self.assertGreater(self.grid.stats()["checkpoint_lsn"], KEYS + 100)
        self.assertEqual(os.path.basename(outcome[0].path), "checkpoint-%014x" % outcome[0].lsn)
        found = dict(self.grid.items())
        self.served.kill()
        self.serve(level="os")
        self.assertEqual(self.content(), found)

    def test_a_kill_in_a_checkpoint_without_a_log_leaves_nothing_for_good(self):
        self.served.kill()
        served = self.serve(level="none")
        with nosqgrid.attach(self.socket) as grid:
            grid["a"] = 1
            served.process.send_signal(signal.SIGUSR2)
            pid = served.checkpointer()
            os.kill(pid, signal.SIGSTOP)
            grid["a"] = 2
            served.kill()
        os.kill(pid, signal.SIGKILL)
        served = self.serve(level="none")
        self.assertEqual(len(self.content()), KEYS)
        self.assertEqual(served.stop(), 0)
        self.assertEqual([name for name in os.listdir(self.data) if name.endswith(".tmp")], [])


class ClientsTest(DurableTestCase):
    """What clients see when their coordinator is killed and another one comes."""

    def kill_after(self, level, **options):
        served = self.serve(level=level)
        grid = self.attach(**options)
        grid["a"] = "checkpointed"
        grid.checkpoint()
        grid["a"] = "newest"
        for _ in range(100):
            self.assertEqual(grid["a"], "newest")  # from the near cache
        served.kill()
        return grid

    def test_a_writer_that_does_not_wait_is_told_at_once_and_reads_on(self):
        grid = self.kill_after("os")
        begun = time.monotonic()
        for call in (lambda: grid.set("a", 1), lambda: grid.incr("n"), lambda: grid.set_many({"b": 2}), grid.ping):
            with self.assertRaises((nosqgrid.CoordinatorLostError, nosqgrid.NotServedError)):
                call()
        self.assertLess(time.monotonic() - begun, 1.0)
        self.assertEqual((grid["a"], grid.get("n"), grid.get("b"), grid.connected), ("newest", None, None, False))

    def test_a_writer_in_the_middle_of_a_call_is_told_at_once(self):
        served = self.serve(level="os")
        grid = self.attach()
        grid["a"] = 1
        served.process.send_signal(signal.SIGSTOP)
        killed = []

        def kill():
            killed.append(time.monotonic())
            served.kill()

        killer = threading.Timer(0.1, kill)
        killer.start()
        with self.assertRaises(nosqgrid.CoordinatorLostError):
            grid["a"] = 2
        self.assertLess(time.monotonic() - killed[0], 1.0)
        killer.join()
        self.assertEqual(grid["a"], 1)

    def test_a_writer_that_waits_goes_on_with_the_next_coordinator(self):
        grid = self.kill_after("os", reconnect=5.0)
        served = self.serve(level="os", wait=False)
        grid["b"] = "later"  # waits for it
        self.assertEqual((grid["a"], grid["b"]), ("newest", "later"))
        served.kill()
        self.serve(level="os")
        begun = time.monotonic()
        grid["c"] = "later still"
        self.assertLess(time.monotonic() - begun, 2.0)
        self.assertEqual((grid["a"], grid["b"], grid["c"]), ("newest", "later", "later still"))

    def test_near_caches_serve_what_was_recovered(self):
        grid = self.kill_after("none", reconnect=5.0)
        self.assertEqual(grid["a"], "newest")  # reads go on from the last state
        self.serve(level="none")
        grid["b"] = 1
        for _ in range(3):
            self.assertEqual(grid["a"], "checkpointed")
        self.assertEqual((grid.get_versioned("a")[0], grid.stats()["recovered_keys"]), ("checkpointed", 1))

"""A disk that refuses: each operation of a run fails once, or from then on, and nothing is lost that was accepted.

The loop is that of SQLite's tests: the first operation fails, then the second, ... until a run comes through without
one.  After each run the process is killed, or the power goes, and what is recovered is held against what was promised.
NOSQGRID_TEST_FULL=1 leaves no operation out.
"""

import copy
import errno
import os
import random
import unittest

from nosqgrid.errors import DiskError, StorageError
from nosqgrid.formats.effects import pack_clear
from nosqgrid.storage.journal import SERVE, Journal
from tests.support.faultfs import LOOKING, MUTATING, MemoryFiles
from tests.support.logged_runs import (
    ALWAYS, APPEND, CHECKPOINT, DIRECTORY, EVERYSEC, LEVELS, OS, ROTATE, SYNC, Run, random_script, recover)
from tests.support.tiers import slow

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
OPERATIONS_MAX = 2000
SCRIPT = (APPEND, APPEND, SYNC, APPEND, ROTATE, APPEND, SYNC, CHECKPOINT, APPEND, ROTATE, APPEND, SYNC, APPEND)


class ErrorTest(unittest.TestCase):
    """One directory with something in it, used by a second process whose disk fails."""

    BEFORE = {}  # level -> the first Run

    def setUp(self):
        self.caught = 0  # errors that came out of steps
        self.lost_descriptor = False  # a create() may have failed although it made a file, as no kernel does

    def prepared(self, level):
        """A Run of a directory that a killed process has left."""
        if level not in self.BEFORE:
            run = self.BEFORE[level] = Run(MemoryFiles(DIRECTORY), level, random.Random(level))
            run.start()
            for step in (APPEND, APPEND, ROTATE, APPEND, CHECKPOINT, APPEND, SYNC):
                run.step(step)
        run = copy.copy(self.BEFORE[level])
        run.files, run.wal, run.random = run.files.killed(), None, random.Random(level)
        run.history, run.superseded, run.refused = list(run.history), [], []
        return run

    def use(self, run, name, script=SCRIPT):
        """Do what a coordinator does; whether it could start."""
        self.caught = 0
        try:
            run.start()
        except StorageError:
            return False
        for step in script:
            try:
                if step != APPEND or not run.behind:  # writes are refused until that checkpoint stands
                    run.step(step)
            except StorageError:
                self.caught += 1
            try:
                run.get_over()
            except StorageError:
                self.caught += 1
        self.caught += len(run.refused)
        self.assertEqual(run.files.misuse, [], name)
        return True

    def check(self, run, disk, at_least, name, power_cut):
        try:
            state, _ = recover(disk)
        except StorageError as error:
            self.fail("%r: it does not start: %s" % (name, error))
        problem = run.problem(state, at_least, power_cut)
        if problem:
            self.fail("%r: %s" % (name, problem))

    def check_all(self, run, name):
        """A kill now, a kill after which the kernel drops what it can, a power cut."""
        self.check(run, run.files.killed(), run.accepted, name + ("killed",), False)
        disk = run.files.killed()
        disk.evict()
        self.check(run, disk, run.safe, name + ("evicted",), True)
        for index, disk in enumerate(run.files.crash_states(random.Random(repr(name)), 12 if FULL else 3)):
            self.check(run, disk, run.safe, name + ("cut", index), True)

    def go_on(self, run, name):
        """The disk is whole again: everything works, and everything is promised."""
        run.files.repair()
        started = run.wal is not None
        if not started:
            run.start()
        for step in (APPEND, APPEND, SYNC, ROTATE, APPEND, CHECKPOINT, APPEND, SYNC):
            run.get_over()
            run.step(step)
        if run.level != OS:
            self.assertEqual(run.safe, run.accepted, name)
        self.check_all(run, name + ("repaired",))
        run.close()
        self.assertEqual(run.files.misuse, [], name)
        if started and not self.lost_descriptor:
            self.assertEqual(run.files.open_paths, [], name)

    def every_operation(self, level, number, persistent, kind=None, after=False, step=1):
        """Let the first, the second, ... operation fail, until a run has fewer; how many that were."""
        self.lost_descriptor = after
        for nth in range(1, OPERATIONS_MAX, 1 if FULL else step):
            name = (level, errno.errorcode[number], "persistent" if persistent else "once", kind, after, nth)
            run = self.prepared(level)
            run.files.fail(number, kind, nth, persistent, after)
            self.use(run, name)
            self.check_all(run, name)
            count = run.files.calls[kind] if kind else len(run.files.operations)
            self.go_on(run, name)
            if count < nth:
                self.assertEqual(self.caught, 0, name)
                return nth
        self.fail("it has no end")


class EveryOperationTest(ErrorTest):
    @slow
    def test_once(self):
        for level in LEVELS:
            self.assertGreater(self.every_operation(level, errno.EIO, False), 30)
            self.every_operation(level, errno.ENOSPC, False, step=3)
            self.every_operation(level, errno.EINTR, False, step=5)

    @slow
    def test_from_then_on(self):
        for level in LEVELS:
            self.every_operation(level, errno.EIO, True, step=2)
            self.every_operation(level, errno.ENOSPC, True, step=3)
            self.every_operation(level, errno.EINTR, True, step=7)

    @slow
    def test_done_although_it_failed(self):
        for level in LEVELS:
            self.every_operation(level, errno.EIO, False, after=True, step=3)

    @slow
    def test_each_kind(self):
        for kind in MUTATING:
            for level in LEVELS:
                self.every_operation(level, errno.EIO, True, kind=kind, step=2)


class SeveralFaultsTest(ErrorTest):
    @slow
    def test_random_faults(self):
        for seed in range(5000 if FULL else 90):
            name = ("faults", seed)
            rng = random.Random(repr(name))
            run = self.prepared(LEVELS[seed % 3])
            for _ in range(rng.randrange(1, 4)):
                run.files.fail(rng.choice((errno.EIO, errno.ENOSPC)), rng.choice(MUTATING + (None,)),
                               rng.randrange(1, 12), persistent=rng.random() < 0.3)
            self.use(run, name, random_script(rng, 20))
            self.check_all(run, name)
            self.go_on(run, name)


class ShortWritesTest(ErrorTest):
    def test_every_write_is_short(self):
        for level in LEVELS:
            for size in (1, 39, 64):
                run = self.prepared(level)
                run.files.shorten(size, persistent=True)
                self.assertTrue(self.use(run, (level, size)))
                self.assertEqual(self.caught, 0)
                self.check_all(run, (level, size))
                self.go_on(run, (level, size))

    def test_a_write_is_short_and_the_next_fails(self):
        for level in LEVELS:
            for number in (errno.EIO, errno.ENOSPC):
                for nth in range(1, 16, 1 if FULL else 2):
                    name = (level, number, nth)
                    run = self.prepared(level)
                    run.files.shorten(41, nth)
                    run.files.fail(number, "write", nth + 1)
                    self.use(run, name)
                    self.check_all(run, name)
                    self.go_on(run, name)

    def test_a_write_of_nothing_is_an_error(self):
        run = self.prepared(OS)
        run.start()
        run.files.shorten(0, persistent=True)
        with self.assertRaises(DiskError):
            run.append()


class FullDiskTest(ErrorTest):
    @slow
    def test_what_does_not_fit_is_refused_and_the_log_goes_on_when_there_is_room(self):
        for level in LEVELS:
            for room in range(3000, 9000, 50 if FULL else 400):
                name = (level, room)
                run = self.prepared(level)
                run.files.room = room
                if self.use(run, name):
                    self.assertIsNone(run.wal.broken, name)
                    self.assertFalse(run.behind, name)
                self.check_all(run, name)
                run.files.room = None
                self.go_on(run, name)


class ReadErrorTest(ErrorTest):
    """What cannot be read is neither a torn end nor an older state."""

    def test_each_read(self):
        for kind in sorted(set(LOOKING) - {"close"}):
            for nth in range(1, OPERATIONS_MAX):
                run = self.prepared(EVERYSEC)
                before = run.files.contents()
                run.files.fail(errno.EIO, kind, nth)
                try:
                    state, _ = recover(run.files)
                except StorageError:
                    self.assertEqual(run.files.contents(), before)
                    continue
                self.assertEqual((state.lsn, state.entries), (run.accepted, run.history[-1]), (kind, nth))
                if run.files.calls[kind] < nth:
                    break


class NamedTest(ErrorTest):
    """What the loops have found, each with the least that shows it."""

    def started(self, level):
        run = Run(MemoryFiles(DIRECTORY), level, random.Random(level))
        run.start()
        run.append()
        return run

    def test_a_segment_that_could_not_be_begun_supersedes_nothing(self):
        run = self.started(ALWAYS)
        run.files.fail(errno.EIO, "sync_directory")
        with self.assertRaises(DiskError):
            run.rotate()
        run.get_over()
        run.append()
        self.check_all(run, ("begun",))
        self.assertEqual(run.safe, run.accepted)

    def test_a_segment_that_could_not_be_removed_is_in_nobodys_way(self):
        run = self.started(ALWAYS)
        run.files.fail(errno.EIO, "sync_directory")
        run.files.fail(errno.EIO, "unlink")
        with self.assertRaises(DiskError):
            run.rotate()
        self.go_on(run, ("removed",))

    def test_a_sync_behind_a_broken_segment_does_not_make_it_whole(self):
        run = self.started(EVERYSEC)
        run.files.fail(errno.EIO, "sync")
        with self.assertRaises(DiskError):
            run.sync()
        run.files.fail(errno.ENOSPC, "rename", persistent=True)  # no checkpoint succeeds
        for _ in range(3):
            with self.assertRaises(DiskError):
                run.get_over()
            run.sync()
        self.check_all(run, ("behind",))
        self.go_on(run, ("behind",))

    def test_what_was_served_without_the_log_leaves_a_gap_and_no_damage(self):
        for level in (EVERYSEC, ALWAYS):
            run = self.started(level)
            run.wal.sync()
            journal = Journal(run.wal, SERVE)
            after = run.accepted + 1
            run.files.fail(errno.EIO, "write")
            journal.append(after, 1, pack_clear())
            self.assertEqual(journal.missed, 1)
            journal.start_over(after)
            for lsn in (after + 1, after + 2, after + 3):
                journal.append(lsn, 1, pack_clear())
                run.wal.sync()
            for disk in [run.files.killed()] + list(run.files.crash_states(random.Random(1), 5)):
                state, _ = recover(disk)
                self.assertEqual((state.lsn, state.entries), (run.accepted, run.history[-1]))

    def test_a_header_of_which_the_first_piece_arrived_is_torn(self):
        run = self.started(OS)
        run.files.shorten(8)
        run.rotate()
        for index, disk in enumerate(run.files.crash_states(random.Random(1), 100)):
            self.check(run, disk, run.safe, ("header", index), True)

    def test_a_checkpoint_that_cannot_even_begin_leaves_nothing(self):
        run = self.started(OS)
        before, held = run.files.contents(), run.files.open_paths
        run.files.fail(errno.ENOSPC, "write")
        with self.assertRaises(DiskError):
            run.checkpoint(meanwhile=False)
        self.assertEqual((run.files.contents(), run.files.open_paths), (before, held))


if __name__ == "__main__":
    unittest.main()

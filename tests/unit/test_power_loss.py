"""Whatever a power cut or a kill leaves of log and checkpoints, recovery finds a prefix that keeps what was promised.

Scripted runs are cut at every operation on the disk; of each cut several disks are recovered, and some of those once
more after a second cut in the middle of their recovery.  NOSQGRID_TEST_FULL=1 does some twenty times as many.
"""

import itertools
import os
import random
import unittest
import zlib

from tests.support.faultfs import MemoryFiles, PowerCut
from tests.support.logged_runs import (
    ALWAYS, APPEND, CHECKPOINT, DIRECTORY, EVERYSEC, LEVELS, OS, ROTATE, STEPS, SYNC, Run, random_script, recover)
from tests.support.tiers import slow

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
OPERATIONS_MAX = 2000


def seeded(*names):
    """A generator that depends on these names alone."""
    return random.Random(zlib.crc32(repr(names).encode()))


class CrashTest(unittest.TestCase):
    """cut() and check() count in `states` how many recoveries there were."""

    def setUp(self):
        self.states = 0

    def check(self, run, disk, at_least, name):
        """Recover a disk; the state, if the oracle has nothing against it."""
        self.states += 1
        before = disk.contents()
        state, _ = recover(disk)
        self.assertEqual(disk.contents(), before, (name, "reading changed something"))
        problem = run.problem(state, at_least)
        if problem:
            self.fail("%r: %s" % (name, problem))
        return state

    def run_until(self, script, level, nth, after=False, files=None, name=None):
        """A Run of this script with the power cut at its n-th operation."""
        files = MemoryFiles(DIRECTORY) if files is None else files
        run = Run(files, level, seeded(name))
        run.start()
        files.cut(nth, after=after)
        try:
            for step in script:
                run.step(step)
        except PowerCut:
            return run
        files.repair()
        return run

    def cuts(self, script, level, name):
        """Runs that are cut at the first, the second, ... operation, until one comes through."""
        for nth in range(1, OPERATIONS_MAX):
            run = self.run_until(script, level, nth, after=nth % 5 == 0, name=name)
            yield nth, run
            if not run.files.off:
                return
        self.fail("it has no end")

    def compound(self, run, disk, state, rng, name, at_least=None):
        """Cut the recovery of a disk at each operation; what is then recovered is the same as without the cut."""
        for nth in range(1, OPERATIONS_MAX):
            again = disk.killed()
            again.cut(nth, after=nth % 3 == 0)
            try:
                recover(again, run.level)[1].close()
            except PowerCut:
                for second in again.crash_states(rng, 6 if FULL else 3):
                    found = self.check(run, second, state.lsn if at_least is None else at_least, name + (nth,))
                    if at_least is None:
                        self.assertEqual((found.lsn, found.entries), (state.lsn, state.entries), name + (nth,))
                continue
            for second in again.crash_states(rng, 2):
                found = self.check(run, second, state.lsn, name + ("recovered",))
                self.assertEqual((found.lsn, found.entries), (state.lsn, state.entries), name)
            return
        self.fail("it has no end")

    def explore(self, script, level, name, per_cut, compound_every):
        """Every cut of a script, so many disks of each; every so many cuts with a second cut."""
        for nth, run in self.cuts(script, level, name):
            rng = seeded(name, nth)
            states = [(index, disk, self.check(run, disk, run.safe, name + (nth, index)))
                      for index, disk in enumerate(run.files.crash_states(rng, per_cut))]
            killed = run.files.killed()
            state = self.check(run, killed, run.accepted, name + (nth, "killed"))
            if nth % compound_every == 0:
                index, disk, found = rng.choice(states)
                self.compound(run, disk, found, rng, name + (nth, index))
                self.compound(run, killed, state, rng, name + (nth, "killed"), run.safe)


class ScriptsTest(CrashTest):
    SCRIPT = (APPEND, APPEND, SYNC, APPEND, ROTATE, APPEND, APPEND, SYNC, CHECKPOINT, APPEND, ROTATE, APPEND, APPEND)

    @slow
    def test_every_cut_of_a_script_at_each_level(self):
        for level in LEVELS:
            self.explore(self.SCRIPT, level, ("script", level), 40 if FULL else 3, 1 if FULL else 7)
        self.assertGreater(self.states, 300)

    @slow
    def test_every_cut_of_every_short_script(self):
        for length in range(1, 4 if FULL else 3):
            for script in itertools.product(STEPS, repeat=length):
                for level in LEVELS:
                    self.explore(script, level, script + (level,), 4 if FULL else 2, 5 if FULL else 20)
        self.assertGreater(self.states, 500)

    @slow
    def test_random_scripts(self):
        for seed in range(40 if FULL else 2):
            for level in LEVELS:
                name = ("random", seed, level)
                self.explore(random_script(seeded(name), 12), level, name, 5 if FULL else 2, 10)


class NamedTest(CrashTest):
    """What the scripts have found, each with the least that shows it."""

    def test_a_kill_between_the_removals_of_two_old_segments(self):
        run = self.run_until((APPEND, ROTATE, APPEND), ALWAYS, OPERATIONS_MAX, name="removals")
        for nth in range(1, OPERATIONS_MAX):
            disk = run.files.killed()
            disk.cut(nth)
            try:
                recover(disk, ALWAYS)
                break
            except PowerCut:
                self.check(run, disk.killed(), run.accepted, ("removals", nth))
        self.assertGreater(nth, 10)

    def test_blocks_of_a_removed_segment_turn_up_in_a_new_one(self):
        rng = seeded("blocks")
        run = Run(MemoryFiles(DIRECTORY), EVERYSEC, rng)
        run.start()
        run.sizes, run.effects = (11,), (1,)  # 64 bytes an entry: where a sector begins one begins as well
        for step in (APPEND,) * 30 + (ROTATE, SYNC):
            run.step(step)
        run.checkpoint(meanwhile=False)
        self.assertNotIn(DIRECTORY + "/wal-00000001", run.files.contents())
        for _ in range(30):
            run.append()
        for index, disk in enumerate(run.files.crash_states(rng, 100)):
            self.check(run, disk, run.safe, ("blocks", index))

    def test_a_name_of_a_checkpoint_that_is_seen_and_not_yet_on_the_disk(self):
        run = Run(MemoryFiles(DIRECTORY), OS, seeded("name"))
        run.start()
        run.append()
        run.files.cut(kind="sync_directory")
        with self.assertRaises(PowerCut):
            run.checkpoint(meanwhile=False)
        self.assertTrue(any(name.endswith("01") for name in run.files.kept().names(DIRECTORY)))
        for nth in range(1, OPERATIONS_MAX):
            disk = run.files.killed()
            disk.cut(nth)
            try:
                recover(disk, OS)
                break
            except PowerCut:
                for index, left in enumerate(disk.crash_states(seeded("name", nth), 30)):
                    self.check(run, left, run.safe, ("name", nth, index))
        self.assertGreater(nth, 4)


class LivesTest(CrashTest):
    def test_a_grid_that_lives_again_and_again(self):
        for seed in range(1000 if FULL else 40):
            self.live(seed, LEVELS[seed % 3])
        self.assertGreater(self.states, 100)

    def live(self, seed, level):
        """Three lives of a directory, each ended by a power cut or a kill at any moment."""
        rng = seeded("lives", seed)
        run = Run(MemoryFiles(DIRECTORY), level, rng)
        for life in range(3):
            run.files.cut(rng.randrange(1, 40), after=rng.random() < 0.2)
            try:
                run.start()
                for step in random_script(rng, 15):
                    run.step(step)
            except PowerCut:
                self.assertTrue(run.files.off)
            killed = rng.random() < 0.3
            disk = run.files.killed() if killed else rng.choice(list(run.files.crash_states(rng, 4)))
            name = ("life", seed, level, life, "killed" if killed else "cut")
            safe = run.safe
            run.adopt(self.check(run, disk, run.accepted if killed else safe, name), safe if killed else None)
            run.files = disk


if __name__ == "__main__":
    unittest.main()

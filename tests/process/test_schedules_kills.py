"""A tick fires once, however many workers there are and whatever is killed; and what the grid says of schedules."""

import random
import time
import unittest

from nosqgrid.client.link import named_values
from tests.support.processes import wait_until
from tests.support.tiers import slow
from tests.support.working import TASKS, WorkingTestCase


class TickTests(WorkingTestCase):
    DURABLE = True

    def schedule(self, key, *rule, task="when", name="a"):
        return self.command("SCHEDULE.SET", key, *rule + ("ticks", "6", b'[["%s"],{}]' % name.encode(), "KIND",
                                                          "%s:%s" % (TASKS, task), "KEEP", "600000"))

    def ticks(self):
        """The times that the jobs put so far were due at, in the order of their numbers."""
        found = []
        for state in ("ready", "reserved", "done"):
            found += [named_values(row, "") for row in self.command("JOB.PEEK", "ticks", state, "10000")]
        found.sort(key=lambda row: int(row["id"].rpartition(":")[2]))
        return [row["scheduled_ms"] for row in found]

    @slow
    def test_each_tick_is_one_job_across_kills_of_the_coordinator(self):
        self.schedule("k", "EVERY", "200")
        chance = random.Random()
        for _ in range(6):
            before = len(self.ticks())
            wait_until(lambda: len(self.ticks()) > before)
            time.sleep(chance.random() * 0.25)  # the kill hits any moment around a tick
            self.kill_coordinator()
            self.restart()
        self.command("SCHEDULE.DELETE", "k")
        found = self.ticks()
        self.assertGreater(len(found), 6)
        self.assertEqual(found, sorted(set(found)))
        self.assertEqual({ms % 200 for ms in found}, {found[0] % 200})

    @slow
    def test_what_was_missed_comes_once_and_knows_its_time(self):
        self.schedule("k", "EVERY", "100")
        wait_until(self.ticks)
        self.kill_coordinator()
        before = time.time() * 1000
        time.sleep(1.0)
        self.restart()
        after = time.time() * 1000
        wait_until(lambda: self.ticks()[-1] > after)
        missed = [ms for ms in self.ticks() if before + 100 < ms < before + 900]
        self.assertLessEqual(len(missed), 1)
        self.command("SCHEDULE.DELETE", "k")

    def test_a_schedule_is_there_after_an_orderly_restart(self):
        self.schedule("k", "CRON", "0 3 * * *")
        before = self.grid.schedules()
        self.launched.stop()  # which makes a checkpoint
        self.restart()
        self.assertEqual(self.grid.schedules(), before)

    @slow
    def test_many_workers_run_each_tick_once(self):
        workers = [self.work("-c", "2", "-q", "ticks") for _ in range(2)]
        wait_until(lambda: dict(self.command("JOB.STATS", "ticks"))[b"waiting_workers"] == 4, what="all to be there")
        self.assertEqual(self.schedule("k", "EVERY", "100")[0], 1)
        self.assertEqual(self.schedule("k", "EVERY", "100")[0], 0)
        wait_until(lambda: (self.grid.get("ticks:a") or 0) >= 5)
        self.command("SCHEDULE.DELETE", "k")
        stats = wait_until(self._done)
        self.assertEqual(self.grid["ticks:a"], stats[b"put"])
        self.assertIsInstance(self.grid["scheduled:a"], float)
        for worker in workers:
            self.end(worker)

    def _done(self):
        found = dict(self.command("JOB.STATS", "ticks"))
        return found if found[b"length"] + found[b"reserved"] == 0 else None

    def test_what_the_grid_says_of_schedules(self):
        self.schedule("k", "CRON", "0 3 * * *")
        self.schedule("j", "EVERY", "100")
        wait_until(self.ticks)
        rows = {row.key: row for row in self.grid.schedules()}
        self.assertEqual((rows["k"].rule, rows["k"].queue, rows["k"].task, rows["k"].last_at, rows["k"].count),
                         ("0 3 * * *", "ticks", TASKS + ":when", None, 0))
        self.assertEqual(rows["j"].rule, "every 0.1 s")
        self.assertTrue(rows["j"].note.startswith("ticks:"))
        self.assertEqual([row.key for row in self.grid.schedules("k*")], ["k"])
        job = self.command("SCHEDULE.RUN", "k")
        self.assertIn(self.info(job)["state"], ("ready",))
        self.assertTrue(self.grid.unschedule("k"))
        self.assertFalse(self.grid.unschedule("k"))
        self.assertTrue(self.grid.unschedule("j"))
        self.assertEqual(self.grid.schedules(), [])


if __name__ == "__main__":
    unittest.main()

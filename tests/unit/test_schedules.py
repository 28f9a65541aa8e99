"""Schedules: the structure and what takes its changes back; ticks, each in one piece with the job that it puts."""

import random
import time
import unittest
import unittest.mock

from nosqgrid.engine.commands.run import as_write
from nosqgrid.engine.loading import Loader
from nosqgrid.engine.scheduling import KEY, Scheduler, rule_of
from nosqgrid.engine.structures.schedules import Schedules
from nosqgrid.engine.structures.structure import STRUCTURE_BYTES
from nosqgrid.errors import CommandError, CorruptValueError, DiskError, GridFullError, UsageError
from nosqgrid.formats import values
from tests.support.walks import ListLog, make_space

DAY_MS = 86400 * 1000
WALL_MS = 20000 * DAY_MS  # midnight of some day


def state(structure):
    """What has to be equal in equal structures."""
    return structure.items, structure.size_bytes, structure.first()


class StructureTests(unittest.TestCase):
    def words(self, rng, structure):
        """A random change that fits."""
        key = b"k%d" % rng.randrange(5)
        numbers = [b"%d" % rng.randrange(1000) for _ in range(3)]
        kind = rng.choice((b"set", b"tick", b"del"))
        if kind == b"set" or key not in structure.items:
            notes = [b"n" * rng.randrange(9), b"EVERY 100"]
            return [b"set", key] + numbers + notes + [b"q", b"0"] * rng.randrange(1, 4)
        return [b"tick", key] + numbers + [b"note" * rng.randrange(9)] if kind == b"tick" else [b"del", key]

    def test_any_changes_are_taken_back_in_the_opposite_order(self):
        for seed in range(60):
            rng, structure, seen, inverses = random.Random(seed), Schedules(), [], []
            for _ in range(60):
                seen.append((dict(structure.items), structure.size_bytes, structure.first()))
                inverses.append(structure.apply(self.words(rng, structure)))
                other = Schedules()
                for words in structure.changes():
                    other.apply(words)
                self.assertEqual(state(other), state(structure))
                self.assertEqual(state(structure.copy()), state(structure))
                due = [(each.next_ms, key) for key, each in structure.items.items()]
                self.assertEqual(structure.first(), min(due) if due else None)
            for before, inverse in zip(reversed(seen), reversed(inverses)):
                for words in inverse:
                    structure.apply(words)
                self.assertEqual(state(structure), before)
            self.assertEqual(structure.size_bytes, STRUCTURE_BYTES)

    def test_what_is_no_change_is_refused_and_changes_nothing(self):
        structure = Schedules()
        structure.apply([b"set", b"k", b"1", b"0", b"0", b"", b"EVERY 100", b"q"])
        before = dict(structure.items), structure.size_bytes
        for words in ([], [b"set"], [b"set", b"k"], [b"set", b"k", b"1", b"0", b"0", b"", b"EVERY 100"],
                      [b"set", b"k", b"-1", b"0", b"0", b"", b"EVERY 100", b"q"], [b"del", b"no"], [b"del"],
                      [b"set", b"k", b"9" * 17, b"0", b"0", b"", b"EVERY 100", b"q"], [b"tick", b"no"] + [b"1"] * 4,
                      [b"tick", b"k", b"x", b"0", b"0", b""], [b"tick", b"k"], [b"del", b"k", b"k"], [b"hset", b"k"]):
            with self.assertRaises(CorruptValueError):
                structure.apply(words)
            self.assertEqual((structure.items, structure.size_bytes), before)

    def test_the_due_times_do_not_grow_with_the_ticks(self):
        structure = Schedules()
        structure.apply([b"set", b"k", b"1", b"0", b"0", b"", b"EVERY 100", b"q"])
        for number in range(1000):
            structure.apply([b"tick", b"k", b"%d" % number, b"0", b"0", b""])
        self.assertLess(len(structure._due), 100)
        while not structure.shrink(1):
            self.assertTrue(structure.items)


class Grid(object):
    """A keyspace with a log, and a scheduler whose puts are kept in a list; `refuse` is raised in the place of one."""

    def __init__(self, header=None):
        self.space, self.header = make_space(1 << 20) if header is None else make_space(header=header)
        self.space.now_ms = 1000
        self.wall_offset_ms = WALL_MS - 1000
        self.space.wall_ms = lambda: self.space.now_ms + self.wall_offset_ms
        self.log, self.puts, self.refuse, self.said = ListLog(), [], None, []
        self.scheduler = Scheduler(self.space, self.put, time.gmtime, as_write, self.said.append)

    def put(self, words, due_ms):
        if self.refuse is not None:
            raise self.refuse
        self.space.store(b"job:%d" % len(self.puts), values.BYTES, words[0])
        self.puts.append((words[0], due_ms - WALL_MS))
        return b"q:%d" % len(self.puts)

    def set(self, key, kind, text, *words):
        return as_write(self.space, lambda: self.scheduler.set(key, kind, text, list(words or (b"q", b"0", b"p"))))

    def advance(self, ms):
        self.space.now_ms += ms
        self.scheduler.tick(self.space.now_ms / 1000.0)

    def taken(self):
        """[(queue, ms since the begin that the tick was due at)] of the jobs put since the last look."""
        found, self.puts[:] = list(self.puts), []
        return found

    def restarted(self):
        """What the log makes, at the same time."""
        other = Grid(self.header)
        loader = Loader(other.space)
        for first_lsn, count, payload in self.log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
        loader.finish(self.space.version)
        other.space.now_ms, other.wall_offset_ms = self.space.now_ms, self.wall_offset_ms
        other.scheduler._keyspace = other.space
        return other


class TickTests(unittest.TestCase):
    def setUp(self):
        self.grid = Grid()
        self.grid.space.set_log(self.grid.log)

    def test_every_and_cron(self):
        grid = self.grid
        self.assertEqual(grid.set(b"a", b"EVERY", b"60000", b"qa", b"0", b""), (True, WALL_MS + 60000))
        self.assertEqual(grid.set(b"b", b"CRON", b"*/2 * * * *", b"qb", b"0", b""), (True, WALL_MS + 120000))
        for _ in range(240):
            grid.advance(1000)
        self.assertEqual(grid.taken(), [(b"qa", 60000), (b"qa", 120000), (b"qb", 120000), (b"qa", 180000),
                                        (b"qa", 240000), (b"qb", 240000)])
        rows = dict(grid.scheduler.items())
        self.assertEqual((rows[b"a"].count, rows[b"a"].last_ms - WALL_MS, rows[b"a"].note), (4, 240000, b"q:5"))

    def test_a_tick_is_one_entry_of_the_log(self):
        self.grid.set(b"a", b"EVERY", b"1000")
        before = len(self.grid.log.entries)
        self.grid.advance(1000)
        self.assertEqual(len(self.grid.log.entries), before + 1)
        self.assertEqual(self.grid.log.entries[-1][1], 2)  # the job and the next time

    def test_the_same_words_again_change_nothing_and_others_do(self):
        grid = self.grid
        self.assertEqual(grid.set(b"a", b"EVERY", b"1000"), (True, WALL_MS + 1000))
        grid.advance(500)
        before = len(grid.log.entries)
        self.assertEqual(grid.set(b"a", b"EVERY", b"1000"), (False, WALL_MS + 1000))
        self.assertEqual(len(grid.log.entries), before)
        self.assertEqual(grid.set(b"a", b"EVERY", b"2000"), (True, WALL_MS + 2500))
        self.assertEqual(grid.set(b"a", b"EVERY", b"2000", b"other", b"0", b""), (True, WALL_MS + 2500))
        self.assertTrue(as_write(grid.space, lambda: grid.scheduler.delete(b"a")))
        self.assertFalse(grid.scheduler.delete(b"a"))
        grid.advance(10000)
        self.assertEqual(grid.taken(), [])

    def test_what_was_missed_takes_place_once_after_a_restart(self):
        self.grid.set(b"a", b"EVERY", b"1000")
        self.grid.set(b"b", b"CRON", b"0 3 * * *", b"nightly", b"0", b"")
        self.grid.advance(1000)
        self.assertEqual(self.grid.taken(), [(b"q", 1000)])
        self.grid.space.now_ms += 30 * 3600 * 1000 + 300  # nobody is there for a while
        grid = self.grid.restarted()
        grid.advance(0)
        self.assertEqual(grid.taken(), [(b"q", 2000), (b"nightly", 3 * 3600 * 1000)])
        self.assertEqual(grid.scheduler.items()[0][1].next_ms, WALL_MS + 30 * 3600 * 1000 + 2000)
        grid.advance(699)
        self.assertEqual(grid.taken(), [])
        grid.advance(1)
        self.assertEqual(grid.taken(), [(b"q", 30 * 3600 * 1000 + 2000)])

    def test_a_tick_that_the_disk_refuses_is_late_and_not_lost(self):
        grid = self.grid
        grid.set(b"a", b"EVERY", b"1000")
        for error in (DiskError("no space left"), GridFullError("full")):
            grid.refuse = error
            grid.advance(1000)
            self.assertEqual(len(grid.said), 1)
            self.assertEqual(grid.scheduler.sleep_s(grid.space.now_ms / 1000.0), 1.0)
            grid.advance(500)  # not tried again yet
            self.assertEqual(len(grid.said), 1)
            due, grid.refuse, grid.said[:] = grid.scheduler.items()[0][1].next_ms - WALL_MS, None, []
            grid.advance(500)
            self.assertEqual(grid.taken(), [(b"q", due)])
            grid.advance(500)
            grid.taken()

    def test_a_tick_that_the_queue_refuses_is_over_and_noted(self):
        grid = self.grid
        grid.set(b"a", b"EVERY", b"1000")
        grid.refuse = CommandError("the queue is full")
        grid.advance(1000)
        schedule = grid.scheduler.items()[0][1]
        self.assertEqual((schedule.note, schedule.next_ms - WALL_MS), (b"not put: the queue is full", 2000))
        grid.refuse = None
        grid.advance(1000)
        self.assertEqual(grid.taken(), [(b"q", 2000)])

    def test_what_fails_in_the_middle_leaves_neither_job_nor_next_time(self):
        grid = self.grid
        grid.set(b"a", b"EVERY", b"1000")
        before = grid.scheduler.items()
        with unittest.mock.patch.object(grid.scheduler, "_go_on", side_effect=GridFullError("full")):
            grid.advance(1000)
        self.assertEqual(len(grid.puts), 1)
        self.assertIsNone(grid.space.lookup(b"job:0"))
        self.assertEqual(grid.scheduler.items(), before)
        grid.space.check()

    def test_a_clock_that_is_set_back(self):
        grid = self.grid
        grid.set(b"a", b"EVERY", b"1000")
        grid.set(b"b", b"CRON", b"0 * * * *", b"hourly", b"0", b"")
        grid.advance(3600 * 1000)
        self.assertEqual([name for name, _ in grid.taken()], [b"q", b"hourly"])
        grid.wall_offset_ms -= 600 * 1000  # ten minutes: no hour comes again, a rhythm goes on
        grid.advance(0)
        grid.advance(1000)
        self.assertEqual([name for name, _ in grid.taken()], [b"q"])
        grid.advance(600 * 1000)
        self.assertEqual([name for name, _ in grid.taken()], [b"q"])
        grid.wall_offset_ms -= 48 * 3600 * 1000  # the clock was wrong before
        grid.advance(0)
        grid.advance(3600 * 1000)
        self.assertEqual([name for name, _ in grid.taken()], [b"q", b"hourly"])

    def test_the_loop_sleeps_until_the_next_tick(self):
        grid = self.grid
        self.assertEqual(grid.scheduler.sleep_s(1.0), 3600.0)
        grid.set(b"a", b"EVERY", b"5000")
        self.assertEqual(grid.scheduler.sleep_s(1.0), 5.0)
        grid.set(b"a", b"EVERY", b"500000")
        self.assertEqual(grid.scheduler.sleep_s(1.0), 30.0)

    def test_run_puts_the_job_beside_its_times(self):
        self.grid.set(b"a", b"EVERY", b"5000")
        before = self.grid.scheduler.items()
        self.assertEqual(self.grid.scheduler.run(b"a"), b"q:1")
        self.assertIsNone(self.grid.scheduler.run(b"b"))
        self.assertEqual(self.grid.scheduler.items(), before)


class RuleTests(unittest.TestCase):
    def test_what_is_no_rule_is_refused(self):
        for kind, text in ((b"EVERY", b"99"), (b"EVERY", b"x"), (b"EVERY", b"-5"), (b"EVERY", b"9" * 20),
                           (b"CRON", b"* * *"), (b"AT", b"5"), (b"EVERY", b""), (b"CRON", b"\xff * * * *")):
            with self.assertRaises(UsageError):
                rule_of(kind, text)

    def test_schedules_lie_where_no_database_sees_them(self):
        grid = Grid()
        grid.set(b"a", b"EVERY", b"1000")
        self.assertEqual(list(grid.space.structures.by_key), [KEY])
        grid.space.clear()
        self.assertEqual([key for key, _ in grid.scheduler.items()], [b"a"])


if __name__ == "__main__":
    unittest.main()

"""Schedules at work: when is the next time, and what happens then.

A tick puts one job and says when the next one is, both in one batch: so it takes place once, however many workers there
are and whenever the coordinator is killed.  What was missed while no coordinator was there takes place once, as soon as
one is: the job of the first tick that was missed, and then the next one that is still to come.

Invariants
 1. A tick is one entry of the log: the job and the next time, or neither.
 2. What memory or disk refuse stays due and is tried again each second.  What the queue refuses (it is full, or takes
    no jobs) is noted at the schedule, and that tick is over.
 3. Time never fires backwards: a tick that took place does not again when the clock of the machine is set back by less
    than three hours; by more, rules are looked at from the new time on.
"""

from ..errors import GridFullError, NosqgridError, StorageError, UsageError
from . import databases
from .cron import Cron
from .structures.schedules import Schedules

KEY = databases.in_space(databases.SCHEDULES, b"")
EVERY_MS_MIN, EVERY_MS_MAX = 100, 366 * 86400 * 1000
RETRY_S = 1.0
SLEEP_S_MAX = 30.0  # with schedules: a clock that is set forward is seen this late at most
SET_BACK_MS = 1000  # what is less is no setting back
NEW_TIME_MS = 3 * 3600 * 1000
NOTE_BYTES_MAX = 300
CRON, EVERY = b"CRON", b"EVERY"


class Every(object):
    """A tick each so many milliseconds, counted from the first one on."""

    def __init__(self, text):
        if not text.isdigit() or len(text) > 12 or not EVERY_MS_MIN <= int(text) <= EVERY_MS_MAX:
            raise UsageError("a schedule ticks each %d to %d ms, not %.40s" % (EVERY_MS_MIN, EVERY_MS_MAX, text))
        self.text = text
        self.period_ms = int(text)

    def next_ms(self, due_ms, now_ms, local):
        """The tick behind `now_ms` of those that begin at `due_ms`."""
        if now_ms < due_ms:
            return due_ms + self.period_ms
        return due_ms + self.period_ms * (1 + (now_ms - due_ms) // self.period_ms)

    def first_ms(self, now_ms, local):
        """The first tick of a schedule that begins now."""
        return now_ms + self.period_ms

    def is_off(self, next_ms, now_ms, back_ms):
        """Whether the next tick is not where it belongs, since the clock was set back."""
        return next_ms - now_ms > self.period_ms


class ByCron(object):
    """A tick at each time of a cron rule."""

    def __init__(self, text):
        self.text = text
        self._cron = Cron(text)

    def next_ms(self, due_ms, now_ms, local):
        """The first tick behind both times, or None."""
        return self.first_ms(max(due_ms, now_ms), local)

    def first_ms(self, now_ms, local):
        """The first tick behind a time, or None."""
        found = self._cron.next_after(now_ms // 1000, local)
        return None if found is None else found * 1000

    def is_off(self, next_ms, now_ms, back_ms):
        """Whether the next tick is to be looked for anew, since the clock was set back."""
        return back_ms >= NEW_TIME_MS


_KINDS = {CRON: ByCron, EVERY: Every}


def rule_of(kind, text):
    """The rule of a kind (CRON or EVERY) that a text (bytes) stands for.  Raises UsageError."""
    if kind not in _KINDS:
        raise UsageError("a schedule is CRON rule or EVERY ms, not %.40r" % (kind,))
    return _KINDS[kind](text.decode("utf-8", "backslashreplace"))


class Scheduler(object):
    """The schedules of one grid.

    `put(words, due_ms)` puts a job, words as behind JOB.PUT, and returns a note (bytes); `local(seconds)` is as in
    engine/cron; `as_write(keyspace, function)` makes one entry of the log of what a function does; `log(text)` tells.
    """

    def __init__(self, keyspace, put, local, as_write, log):
        self._keyspace = keyspace
        self._put = put
        self._local = local
        self._as_write = as_write
        self._log = log
        self._latest_ms = 0  # that the wall clock showed
        self._retry_at = 0.0
        self.ticks = 0

    def _found(self):
        return self._keyspace.structures.by_key.get(KEY)

    # -- what is asked for --------------------------------------------------------------------------------------------

    def set(self, key, kind, text, words):
        """Let a key have a schedule; (whether that changed anything, when its next tick is).  Raises UsageError."""
        rule = rule_of(kind, text)
        name = b"%s %s" % (kind, rule.text.encode("utf-8"))
        structure = self._keyspace.structure(KEY, Schedules)
        old = None if structure is None else structure.items.get(key)
        if old is not None and (old.rule, old.words) == (name, tuple(words)):
            return False, old.next_ms
        next_ms = rule.first_ms(self._keyspace.wall_ms(), self._local)
        if next_ms is None:
            raise UsageError("the schedule %r has no next time" % rule.text)
        change = [b"set", key, b"%d" % next_ms, b"0", b"0", b"", name] + list(words)
        self._keyspace.update(KEY, structure, Schedules, change)
        return True, next_ms

    def delete(self, key):
        """Take the schedule of a key away; whether there was one."""
        structure = self._keyspace.structure(KEY, Schedules)
        if structure is None or key not in structure.items:
            return False
        self._keyspace.change(KEY, structure, [b"del", key])
        return True

    def items(self):
        """[(key, Schedule)], sorted."""
        structure = self._keyspace.structure(KEY, Schedules)
        return [] if structure is None else sorted(structure.items.items())

    def run(self, key):
        """Put the job of a schedule now, whatever its times; its note, or None where the key has no schedule."""
        structure = self._keyspace.structure(KEY, Schedules)
        schedule = None if structure is None else structure.items.get(key)
        return None if schedule is None else self._put(list(schedule.words), self._keyspace.wall_ms())

    # -- by the clock -------------------------------------------------------------------------------------------------

    def tick(self, now):
        """Called now and then by the loop, which has set the keyspace's time: what is due takes place."""
        structure = self._found()
        if structure is None or now < self._retry_at:
            return
        now_ms = self._keyspace.wall_ms()
        try:
            if now_ms < self._latest_ms - SET_BACK_MS:
                self._set_back(structure, now_ms, self._latest_ms - now_ms)
            self._latest_ms = now_ms
            while True:
                first = structure.first()
                if first is None or first[0] > now_ms:
                    return
                self._fire(structure, first[1], now_ms)
        except (GridFullError, StorageError) as error:
            self._retry_at = now + RETRY_S
            self._log("a schedule is late, and tried again in a second: %s" % error)

    def sleep_s(self, now):
        """For how many seconds nothing is due."""
        structure = self._found()
        first = None if structure is None else structure.first()
        if first is None:
            return 3600.0
        if now < self._retry_at:
            return self._retry_at - now
        return min(max(first[0] - self._keyspace.wall_ms(), 1) / 1000.0, SLEEP_S_MAX)

    def _fire(self, structure, key, now_ms):
        """One tick."""
        schedule = structure.items[key]
        next_ms = rule_of(*schedule.rule.split(b" ", 1)).next_ms(schedule.next_ms, now_ms, self._local)

        def put_and_go_on():
            self._go_on(structure, key, schedule, next_ms, self._put(list(schedule.words), schedule.next_ms))
        try:
            self._as_write(self._keyspace, put_and_go_on)
        except (GridFullError, StorageError):
            raise
        except NosqgridError as error:
            note = ("not put: %s" % error).encode("utf-8", "backslashreplace")
            self._as_write(self._keyspace, lambda: self._go_on(structure, key, schedule, next_ms, note))
        self.ticks += 1

    def _go_on(self, structure, key, schedule, next_ms, note):
        """The tick of a schedule took place."""
        if next_ms is None:
            words = [b"del", key]
        else:
            words = [b"tick", key, b"%d" % next_ms, b"%d" % schedule.next_ms, b"%d" % (schedule.count + 1),
                     note[:NOTE_BYTES_MAX]]
        self._keyspace.change(KEY, structure, words)

    def _set_back(self, structure, now_ms, back_ms):
        """The clock shows an earlier time than it did."""
        def move():
            for key, schedule in list(structure.items.items()):
                rule = rule_of(*schedule.rule.split(b" ", 1))
                if rule.is_off(schedule.next_ms, now_ms, back_ms):
                    moved = schedule._replace(next_ms=rule.first_ms(now_ms, self._local))
                    self._keyspace.change(KEY, structure, [b"tick", key, b"%d" % moved.next_ms, b"%d" % moved.last_ms,
                                                           b"%d" % moved.count, moved.note])
        self._as_write(self._keyspace, move)

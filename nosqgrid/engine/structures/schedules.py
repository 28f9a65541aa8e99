"""Schedules: by their keys, what is to be put into which queue, and when the next time.

    set key next_ms last_ms count note rule word...    a schedule is there, in the place of what the key had
    tick key next_ms last_ms count note                it was its time, and is again at next_ms
    del key                                            it is gone

`rule` is text (engine/scheduling), the words are those behind JOB.PUT.  Times are milliseconds of the wall clock;
last_ms is the time that the last tick was due at, or 0, count how many there were, note what became of the last.

Invariants
 1. A schedule is a tuple and is replaced, never changed.
 2. Each schedule has an entry (next_ms, key) in the heap of due times; entries that say otherwise than the schedule do
    not count.
"""

import heapq
from collections import namedtuple

from ...errors import CorruptValueError
from ...formats import values
from .structure import ELEMENT_BYTES, Structure

TIME_MS_MAX = 1 << 52

_SCHEDULE_BYTES = 600  # of one without its words
_DIGITS_MAX = 16
_SPARE = 64  # entries that do not count and are not worth making a heap anew

Schedule = namedtuple("Schedule", "next_ms last_ms count note rule words")


class Schedules(Structure):
    """All schedules of a grid; `items` has the Schedule of each key."""

    __slots__ = ("items", "_due")

    TYPE = values.SCHEDULES
    PERMANENT = True

    def __init__(self):
        super().__init__()
        self.items = {}
        self._due = []

    def __len__(self):
        return len(self.items)

    def encoding(self):
        """What OBJECT ENCODING says."""
        return b"schedules"

    def apply(self, words):
        """See Structure."""
        operation, count = words[0] if words else None, len(words)
        if operation == b"set" and count > 7:
            made = Schedule(*_numbers(words), words[5], words[6], tuple(words[7:]))
            return self._replace(words[1], made)
        old = self.items.get(words[1]) if count > 1 else None
        if operation == b"tick" and count == 6 and old is not None:
            made = old._replace(**dict(zip(("next_ms", "last_ms", "count"), _numbers(words)), note=words[5]))
            self._replace(words[1], made)
            return [_packed(b"tick", words[1], old)]
        if operation == b"del" and count == 2 and old is not None:
            del self.items[words[1]]
            self.size_bytes -= _size(words[1], old)
            return [_packed(b"set", words[1], old)]
        raise _corrupt(words)

    def _replace(self, key, schedule):
        old = self.items.get(key)
        self.items[key] = schedule
        self.size_bytes += _size(key, schedule) - (0 if old is None else _size(key, old))
        heapq.heappush(self._due, (schedule.next_ms, key))
        if len(self._due) > 2 * len(self.items) + _SPARE:
            self._due = [(each.next_ms, name) for name, each in self.items.items()]
            heapq.heapify(self._due)
        return [[b"del", key] if old is None else _packed(b"set", key, old)]

    def first(self):
        """(next_ms, key) of the schedule whose time comes first, or None."""
        due = self._due
        while due:
            schedule = self.items.get(due[0][1])
            if schedule is not None and schedule.next_ms == due[0][0]:
                return due[0]
            heapq.heappop(due)
        return None

    def changes(self):
        """See Structure.  A change for each schedule: none is long."""
        for key, schedule in self.items.items():
            yield _packed(b"set", key, schedule)

    def copy(self):
        """See Structure."""
        other = Schedules()
        other.items, other._due, other.size_bytes = dict(self.items), list(self._due), self.size_bytes
        return other

    def shrink(self, count):
        """See Structure."""
        del self._due[-2 * count:]
        for _ in range(min(count, len(self.items))):
            self.items.popitem()
        return not self.items


def _size(key, schedule):
    return (_SCHEDULE_BYTES + len(key) + len(schedule.note) + len(schedule.rule)
            + sum(map(len, schedule.words)) + ELEMENT_BYTES * len(schedule.words))


def _packed(operation, key, schedule):
    words = [operation, key, b"%d" % schedule.next_ms, b"%d" % schedule.last_ms, b"%d" % schedule.count, schedule.note]
    return words + [schedule.rule] + list(schedule.words) if operation == b"set" else words


def _numbers(words):
    """The next and the last time, and the count, of a change."""
    found = []
    for word in words[2:5]:
        if not word.isdigit() or len(word) > _DIGITS_MAX or int(word) > TIME_MS_MAX:
            raise _corrupt(words)
        found.append(int(word))
    return found


def _corrupt(words):
    return CorruptValueError("no change of schedules: %d words, the first %.20r" % (len(words), words[:1]))

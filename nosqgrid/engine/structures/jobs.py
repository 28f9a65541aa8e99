"""Queues: jobs in their states (job_records), which an index (job_index) puts in order.

    put    (number record payload options fixed notes)...   jobs that are not there
    state  number record notes                              a job has another state
    del    number...                                        jobs go, with their links
    link   needs|leads number id...                         a job waits for others, or others wait for it, no matter
    unlink needs|leads number id...                         where these are; and take that back
    hold   key number until_ms                              a unique key is taken so long, whatever becomes of the job
    free   key                                              it is not
    set    name value                                       a setting of the queue; an empty value is none
    next   number                                           no job was ever given this number or one above

Invariants
 1. A job is a tuple of bytes and is replaced, never changed, so that a copy costs no more than a dict.
 2. next_number is above that of every job there is or was.
 3. What the index says follows from the jobs.

A job without group, unique key and dependencies takes some 400 bytes and its payload.
"""

from ...errors import CorruptValueError
from ...formats import values
from ...limits import KIB
from .job_index import Index
from .job_records import NUMBER_MAX, check_fixed, check_notes, check_options, check_record
from .structure import ELEMENT_BYTES, Structure

JOB_BYTES = 400  # of a job, its place in the index included, without the bytes of its pieces
NOTES_BYTES = 160  # of notes that count as nothing: who has a job, so that jobs are handed out where there is no room
PUT_BYTES = 32 * KIB  # of a change of changes(), at least
NEEDS, LEADS = b"needs", b"leads"

_DIGITS_MAX = 16
_SETTING_WORDS = (b"-1", b"block", b"error", b"drop_oldest", b"drop_newest")  # other settings are numbers
_SHARED_MAX = 512  # pieces that are the same in many jobs, and are kept once
_PIECES = 6  # of a job in a put


class Queue(Structure):
    """A queue.  To be read: jobs {number: (record, payload, options, fixed, notes)}, settings {name: value},
    next_number, holds {unique key: (number, until_ms)}, needs and leads {number: {id: True}}, and index.
    """

    __slots__ = ("jobs", "settings", "next_number", "holds", "needs", "leads", "_index", "_options", "_notes")

    TYPE = values.QUEUE
    KEPT_EMPTY = True

    def __init__(self):
        super().__init__()
        self.jobs = {}
        self.settings = {}
        self.next_number = 1
        self.holds = {}
        self.needs, self.leads = {}, {}
        self._options, self._notes = {}, {}  # those that were looked at, and are the same in many jobs
        self._index = Index(self.jobs)

    def __len__(self):
        return len(self.jobs)

    @staticmethod
    def encoding():
        """What OBJECT ENCODING says."""
        return b"queue"

    @property
    def index(self):
        """The Index; a copy makes its own when somebody asks for it."""
        if self._index is None:
            self._index = Index(self.jobs)
        return self._index

    def apply(self, words):
        """See Structure."""
        operation = _OPERATIONS.get(words[0]) if len(words) > 1 else None
        if operation is None:
            raise _corrupt(words)
        return operation(self, words)

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def _put(self, words):
        count = len(words)
        if count == _PIECES + 1:
            return self._put_one(words)
        if count % _PIECES != 1:
            raise _corrupt(words)
        before, made = self.next_number, []
        for at in range(1, count, _PIECES):
            made.append((_number(words[at], words), self._job(words[at + 1:at + _PIECES])))
        jobs, index = self.jobs, self.index
        numbers = {number for number, _ in made}
        if len(numbers) != len(made) or 0 in numbers or any(number in jobs for number in numbers):
            raise _corrupt(words)
        for number, job in made:
            jobs[number] = job
            index.enter(number, job)
            self.size_bytes += _size(job)
            if number >= self.next_number:
                self.next_number = number + 1
        inverse = [[b"del"] + words[1::_PIECES]]
        if self.next_number != before:
            inverse.append([b"next", b"%d" % before])
        return inverse

    def _put_one(self, words):
        number, job = _number(words[1], words), self._job(words[2:])
        jobs = self.jobs
        if not number or number in jobs:
            raise _corrupt(words)
        jobs[number] = job
        self.index.enter(number, job)
        self.size_bytes += _size(job)
        before = self.next_number
        if number < before:
            return [[b"del", words[1]]]
        self.next_number = number + 1
        return [[b"del", words[1]], [b"next", b"%d" % before]]

    def _job(self, pieces):
        """The tuple of a job; CorruptValueError for pieces of which none can be made."""
        record, payload, options, fixed, notes = pieces
        check_record(record)
        if fixed:
            check_fixed(fixed)
        return (record, payload, _share(self._options, options, check_options), fixed,
                _share(self._notes, notes, check_notes) if notes else notes)

    def _state(self, words):
        if len(words) != 4:
            raise _corrupt(words)
        number_word, record, notes = words[1:]
        number = _number(number_word, words)
        job = self.jobs.get(number)
        if job is None:
            raise _corrupt(words)
        check_record(record)
        _, payload, options, fixed, old_notes = job
        made = record, payload, options, fixed, _share(self._notes, notes, check_notes) if notes else notes
        index = self.index
        self.jobs[number] = made
        index.leave(number, job)
        index.enter(number, made)
        if notes or old_notes:
            self.size_bytes += max(len(notes), NOTES_BYTES) - max(len(old_notes), NOTES_BYTES)
        return [[b"state", number_word, job[0], old_notes]]

    def _del(self, words):
        jobs, index = self.jobs, self.index
        numbers = [_number(word, words) for word in words[1:]]
        if len(numbers) > 1 and len(set(numbers)) != len(numbers) or any(number not in jobs for number in numbers):
            raise _corrupt(words)
        put, links = [b"put"], []
        for number, word in zip(numbers, words[1:]):
            job = jobs.pop(number)
            index.leave(number, job)
            self.size_bytes -= _size(job)
            put.append(word)
            put += job
            if self.needs or self.leads:
                for kind in (NEEDS, LEADS):
                    ids = list(self._links(kind).get(number, ()))
                    if ids:
                        links.append([b"link", kind, word] + ids)
                        self._unlink([b"unlink", kind, word] + ids)
        return [put] + links

    # -- links, unique keys, settings ---------------------------------------------------------------------------------

    def _links(self, kind):
        return self.needs if kind == NEEDS else self.leads

    def _checked_link(self, words):
        """(links of the kind, number, ids) of words that are to change the links of a job."""
        if len(words) < 4 or words[1] not in (NEEDS, LEADS):
            raise _corrupt(words)
        ids = words[3:]
        if len(set(ids)) != len(ids):
            raise _corrupt(words)
        return self._links(words[1]), _number(words[2], words), ids

    def _link(self, words):
        links, number, ids = self._checked_link(words)
        found = links.get(number, {})
        if number not in self.jobs or any(one in found for one in ids):
            raise _corrupt(words)
        links.setdefault(number, found).update(dict.fromkeys(ids, True))
        self.size_bytes += ELEMENT_BYTES * len(ids) + sum(map(len, ids))
        return [[b"unlink"] + words[1:]]

    def _unlink(self, words):
        links, number, ids = self._checked_link(words)
        found = links.get(number, {})
        if not all(one in found for one in ids):
            raise _corrupt(words)
        for one in ids:
            del found[one]
        if not found:
            del links[number]
        self.size_bytes -= ELEMENT_BYTES * len(ids) + sum(map(len, ids))
        return [[b"link"] + words[1:]]

    def _hold(self, words):
        if len(words) != 4:
            raise _corrupt(words)
        key, number, until_ms = words[1], _number(words[2], words), _number(words[3], words)
        inverse = self._free([b"free", key]) if key in self.holds else [[b"free", key]]
        self.holds[key] = number, until_ms
        self.size_bytes += 2 * ELEMENT_BYTES + len(key)
        return inverse

    def _free(self, words):
        if len(words) != 2 or words[1] not in self.holds:
            raise _corrupt(words)
        number, until_ms = self.holds.pop(words[1])
        self.size_bytes -= 2 * ELEMENT_BYTES + len(words[1])
        return [[b"hold", words[1], b"%d" % number, b"%d" % until_ms]]

    def _set(self, words):
        if len(words) != 3 or not words[1]:
            raise _corrupt(words)
        name, value = words[1:]
        if value and value not in _SETTING_WORDS and not (value.isdigit() and len(value) <= _DIGITS_MAX):
            raise _corrupt(words)
        old = self.settings.pop(name, b"")
        if old:
            self.size_bytes -= ELEMENT_BYTES + len(name) + len(old)
        if value:
            self.settings[name] = value
            self.size_bytes += ELEMENT_BYTES + len(name) + len(value)
        return [[b"set", name, old]]

    def _next(self, words):
        number = _number(words[1], words)
        if len(words) != 2 or not number or number in self.jobs:
            raise _corrupt(words)
        inverse = [[b"next", b"%d" % self.next_number]]
        self.next_number = number
        return inverse

    # -- as a whole ---------------------------------------------------------------------------------------------------

    def changes(self):
        """See Structure."""
        for change in self.changes_but_jobs():
            yield change
        words, size = [b"put"], 0
        for number, job in self.jobs.items():
            words.append(b"%d" % number)
            words += job
            size += _size(job) - JOB_BYTES + 64
            if size >= PUT_BYTES:
                yield words
                words, size = [b"put"], 0
        if size:
            yield words
        for change in self.links():
            yield change

    def changes_but_jobs(self):
        """Those of changes() that are about the queue itself."""
        yield [b"next", b"%d" % self.next_number]
        for name, value in self.settings.items():
            yield [b"set", name, value]
        for key, (number, until_ms) in self.holds.items():
            yield [b"hold", key, b"%d" % number, b"%d" % until_ms]

    def links(self):
        """Those of changes() that link jobs, which have to be there."""
        for kind in (NEEDS, LEADS):
            for number, ids in self._links(kind).items():
                yield [b"link", kind, b"%d" % number] + list(ids)

    def copy(self):
        """See Structure."""
        other = Queue()
        other.jobs = dict(self.jobs)
        other._index = None
        other.settings, other.holds, other.next_number = dict(self.settings), dict(self.holds), self.next_number
        other.needs = {number: dict(ids) for number, ids in self.needs.items()}
        other.leads = {number: dict(ids) for number, ids in self.leads.items()}
        other.size_bytes = self.size_bytes
        return other

    def shrink(self, count):
        """See Structure."""
        index = self._index
        if index is not None:
            index.jobs = {}  # it is not asked any more
            for heap in [index.timers, index.oldest or []] + [group.places for group in index.groups.values()]:
                del heap[-count:]
        for _ in range(min(count, len(self.jobs))):
            self.jobs.popitem()
        if self.jobs:
            return False
        self._index = None
        return True


def _share(known, piece, check):
    """The one copy of a piece that many jobs have, after a look at it."""
    found = known.get(piece)
    if found is None:
        check(piece)
        if len(known) >= _SHARED_MAX:
            known.clear()
        known[piece] = found = piece
    return found


def _size(job):
    _, payload, options, fixed, notes = job
    return JOB_BYTES + len(payload) + len(fixed) + max(len(notes) - NOTES_BYTES, 0)


def _number(word, words):
    if not word.isdigit() or len(word) > _DIGITS_MAX:
        raise _corrupt(words)
    number = int(word)
    if number > NUMBER_MAX:
        raise _corrupt(words)
    return number


def _corrupt(words):
    """The error for words that are no change of this queue."""
    return CorruptValueError("no change of this queue: %r" % (b" ".join(words)[:100],))


_OPERATIONS = {b"put": Queue._put, b"state": Queue._state, b"del": Queue._del, b"link": Queue._link,
               b"unlink": Queue._unlink, b"hold": Queue._hold, b"free": Queue._free, b"set": Queue._set,
               b"next": Queue._next}

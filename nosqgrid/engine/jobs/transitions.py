"""What happens to jobs: each function is a step from one state to another, as changes of the queues' structures.

    waiting -> delayed -> ready -> reserved -> done
                 ^                    |-> delayed or ready (another attempt) -> ...
                 |                    `-> dead (no attempts are left, or buried) -> ready (redriven)
    waiting, delayed and ready jobs may be cancelled; one that is reserved is asked to be given up

An attempt begins when a job is reserved and is counted then: a worker that dies with a job has used one up.  A job
whose worker was lost is ready again at once the first time, and after its backoff from then on, so that one that kills
its workers does not stand in front.

Invariants
 1. Everything is changes of structures in the keyspace: it is logged, and taken back with its batch.
 2. A number is given to one job ever, also in a queue that was dropped and made again.
 3. A job that ends wakes whoever waits for its end; whoever waits for it as a dependency goes on, or is dead.
"""

from functools import partial

from ...errors import CommandError, StaleReceiptError, UnknownJobError
from .. import databases
from ..structures import job_records
from ..structures.job_records import (CANCEL, CANCELLED, DEAD, DELAYED, DONE, OPTIONS, QUEUED, READY, RECORD, RESERVED,
                                      WAITING, pack_fixed, pack_notes, unpack_notes)
from ..structures.jobs import LEADS, NEEDS, Queue
from .asked import DROP_OLDEST
from .ids import FLOOR, end_key, id_of, parse_id, room_key, shown_text

ERROR_BYTES_MAX = 64 * 1024
FAILURES_MAX = 10  # that are remembered of a job
FAILURE_BYTES_MAX = 200
BRIEF_BYTES = 40
WAITED_KEEP_MS = 10000  # for how long the outcome is kept that somebody waits for
RIPEN_MAX = 200  # jobs whose time has come, at a time
PAUSED, DRAINING = b"paused", b"draining"

FULL = object()  # put(): there is no room


def backoff_ms(options, attempts, random_bits):
    """After how many ms a job that failed so often is tried again: growing, and shorter by chance up to the jitter."""
    _, _, _, _, first_ms, longest_ms, factor, jitter = OPTIONS.unpack_from(options)
    delay_ms = float(first_ms)
    for _ in range(min(attempts - 1, 64)):
        delay_ms = min(delay_ms * factor / 1000.0, longest_ms)
    delay_ms = min(delay_ms, longest_ms)
    return int(delay_ms * (1 - min(jitter, 1000) / 1000.0 * random_bits(20) / (1 << 20)))


class Transitions(object):
    """The queues of one keyspace."""

    def __init__(self, keyspace, random_bits):
        self.keyspace = keyspace
        self.random_bits = random_bits
        self.followed = {}  # ids of jobs of whose end somebody is told (following)
        self.ended = None  # (id): it has, and that is published

    # -- finding ------------------------------------------------------------------------------------------------------

    def queue(self, key):
        """The Queue at a key, or None."""
        return self.keyspace.structure(key, Queue)

    def _make(self, key):
        """A new Queue at a key, which has none."""
        queue = Queue()
        floor = self.queue(FLOOR)
        if floor is not None:
            queue.apply([b"next", b"%d" % floor.next_number])
        self.keyspace.put(key, queue)
        return queue

    def made(self, key):
        """The Queue at a key, which is made where there is none."""
        queue = self.queue(key)
        return self._make(key) if queue is None else queue

    def find(self, word):
        """(key, Queue, number, job) of an id; UnknownJobError where there is none, or not any more."""
        key, number = parse_id(word)
        queue = self.queue(key)
        job = None if queue is None else queue.jobs.get(number)
        if job is None:
            raise UnknownJobError("there is no job %s, or not any more" % shown_text(word))
        return key, queue, number, job

    def known(self, word):
        """Raise UnknownJobError for the id of a job that there never was."""
        key, number = parse_id(word)
        queue = self.queue(key)
        if queue is None or number >= queue.next_number:
            raise UnknownJobError("there is no job %s" % shown_text(word))

    def reserved(self, word, receipt):
        """The same of a job that was reserved with this receipt; StaleReceiptError where it is not that any more."""
        key, number = parse_id(word)
        queue = self.queue(key)
        if queue is None or number >= queue.next_number:
            raise UnknownJobError("there is no job %s" % shown_text(word))
        job = queue.jobs.get(number)
        if job is None:
            raise StaleReceiptError("job %s is finished" % shown_text(word))
        state, _, _, _, deliveries, _, _, _ = RECORD.unpack(job[0])
        if state != RESERVED or deliveries != receipt:
            raise StaleReceiptError("job %s is %s, and receipt %d (of %d that were given) is good no more: its time "
                                    "was over, it was given back, or its worker was taken for dead"
                                    % (shown_text(word), job_records.STATES[state].decode(), receipt, deliveries))
        return key, queue, number, job

    def change(self, key, queue, words):
        """Change a queue."""
        self.keyspace.change(key, queue, words)
        waited = self.keyspace.waited
        if waited and room_key(key) in waited:
            self.keyspace.ready.append(room_key(key))

    def set_state(self, key, queue, number, record, notes):
        self.change(key, queue, [b"state", b"%d" % number, RECORD.pack(*record), notes])

    # -- putting ------------------------------------------------------------------------------------------------------

    def put(self, key, asked, items):
        """[(number, created)] of jobs put with (type, payload) each, or FULL.

        Raises CommandError for a queue that drains, UnknownJobError for an unknown dependency.
        """
        queue, now_ms = self.queue(key), self.keyspace.wall_ms()
        if queue is not None and DRAINING in queue.settings:
            raise _draining(key)
        if queue is not None and asked.unique:
            found = self._unique(queue, asked.unique, now_ms)
            if found:
                return [self._put_again(key, queue, found, asked, items[0], now_ms)]
        needs, failed = self._needs(asked.after) if asked.after else ((), b"")
        if asked.maxlen or queue is not None and queue.settings:
            limit, overflow = asked.limit(queue.settings if queue is not None else {})
            if limit is not None and len(items) + queued(queue) > limit:
                if overflow != DROP_OLDEST or len(items) > limit:
                    return FULL
                self._drop_oldest(key, queue, limit - len(items))
        if queue is None:
            queue = self._make(key)
        number = queue.next_number
        words = [b"put"]
        for offset, (kind, payload) in enumerate(items):
            words.append(b"%d" % (number + offset))
            words += self._pieces(queue, asked, kind, payload, now_ms, needs)
        self.change(key, queue, words)
        made = [(number + offset, 1) for offset in range(len(items))]
        if asked.unique and asked.until > 0:
            self._hold(key, queue, asked, number, now_ms)
        for one, _ in made if needs or failed else ():
            self._link(key, queue, one, needs)
            if failed:
                self._die_of_dependency(key, queue, one, failed)
        return made

    def _pieces(self, queue, asked, kind, payload, now_ms, needs):
        """The pieces of a new job."""
        due_ms = max(asked.eta_ms, now_ms + asked.delay_ms)
        state = WAITING if needs else DELAYED if due_ms > now_ms else READY
        fixed = b""
        if asked.group or asked.unique or asked.ttl_ms or asked.after:
            expires_ms = now_ms + asked.ttl_ms if asked.ttl_ms else 0
            fixed = pack_fixed(asked.group, asked.unique, expires_ms, asked.until, asked.after)
        record = RECORD.pack(state, 0, kind, 0, 0, asked.priority, now_ms, due_ms)
        return record, payload, asked.options(queue.settings), fixed, asked.notes

    @staticmethod
    def _unique(queue, unique, now_ms):
        """The number of the job that has a unique key, or 0."""
        number = queue.index.unique.get(unique, 0)
        if not number and unique in queue.holds:
            held, until_ms = queue.holds[unique]
            number = held if until_ms > now_ms else 0
        return number

    def _put_again(self, key, queue, number, asked, item, now_ms):
        """A job with this unique key is there; it is replaced where that is asked for and nobody has it."""
        job = queue.jobs.get(number)
        if asked.replace and job is not None and job[0][0] <= QUEUED and not asked.after:
            needs = queue.needs.get(number, ())
            pieces = list(self._pieces(queue, asked, item[0], item[1], now_ms, needs))
            record = list(RECORD.unpack(pieces[0]))
            record[4] = RECORD.unpack(job[0])[4]  # no receipt is given twice
            pieces[0] = RECORD.pack(*record)
            links = [(kind, list(ids)) for kind, ids in ((NEEDS, needs), (LEADS, queue.leads.get(number, ()))) if ids]
            self.change(key, queue, [b"del", b"%d" % number])
            self.change(key, queue, [b"put", b"%d" % number] + pieces)
            for kind, ids in links:
                self.change(key, queue, [b"link", kind, b"%d" % number] + ids)
        return number, 0

    def _hold(self, key, queue, asked, number, now_ms):
        """A unique key is taken for some time; some of those that were taken before are let go."""
        old = [held for held, (_, until_ms) in zip(queue.holds, _first_two(queue.holds)) if until_ms <= now_ms]
        for held in old:
            self.change(key, queue, [b"free", held])
        self.change(key, queue, [b"hold", asked.unique, b"%d" % number, b"%d" % (now_ms + asked.until)])

    def _drop_oldest(self, key, queue, left):
        """Let so many queued jobs be left, the youngest."""
        while queued(queue) > left:
            number = queue.index.first_queued()
            self.end(key, queue, number, CANCELLED, {b"error": b"dropped: the queue was full"}, keep=False)

    # -- dependencies -------------------------------------------------------------------------------------------------

    def _needs(self, after):
        """([(key, Queue, number, id)] of the jobs that are still to be waited for, the id of one that failed)."""
        needs, failed = [], b""
        for word in dict.fromkeys(after):
            key, number = parse_id(word)
            queue = self.queue(key)
            if queue is None or number >= queue.next_number:
                raise UnknownJobError("there is no job %s to wait for" % shown_text(word))
            job = queue.jobs.get(number)
            if job is None or job[0][0] == DONE:
                continue
            if job[0][0] in (DEAD, CANCELLED):
                failed = word
            needs.append((key, queue, number, word))
        return needs, failed

    def _link(self, key, queue, number, needs):
        """Enter a job as one that waits for others, and with those."""
        own = id_of(key, number)
        missing = [need for need in needs if need[3] not in queue.needs.get(number, ())]
        if missing:
            self.change(key, queue, [b"link", NEEDS, b"%d" % number] + [need[3] for need in missing])
        for other_key, other, other_number, _ in needs:
            if own not in other.leads.get(other_number, ()):
                self.change(other_key, other, [b"link", LEADS, b"%d" % other_number, own])

    def _die_of_dependency(self, key, queue, number, failed):
        error = b"job %b, which it waited for, is dead or was cancelled" % databases.name_of(failed)
        self.end(key, queue, number, DEAD, {b"error": error})

    def _go_on(self, own, word):
        """The job with an id waits for the job `own` no more."""
        key, number = parse_id(word)
        queue = self.queue(key)
        if queue is None or own not in queue.needs.get(number, ()):
            return
        self.change(key, queue, [b"unlink", NEEDS, b"%d" % number, own])
        job = queue.jobs[number]
        if job[0][0] == WAITING and number not in queue.needs:
            self.let_ready(key, queue, number, job)

    def let_ready(self, key, queue, number, job):
        """A job waits for no other: it is ready, or will be when it is due."""
        record = list(RECORD.unpack(job[0]))
        now_ms = self.keyspace.wall_ms()
        record[0] = DELAYED if record[7] > now_ms else READY
        record[7] = max(record[7], now_ms)
        self.set_state(key, queue, number, record, job[4])

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self, key, queue, number, state, noted, keep=True):
        """A job ends, as done, dead or cancelled; and those that waited for it go on, or end too."""
        if number not in queue.leads:
            self._end_one(key, queue, number, state, noted, keep)
            return
        ends = [(key, queue, number, state, noted, keep)]
        while ends:
            key, queue, number, state, noted, keep = ends.pop()
            own, leads = id_of(key, number), list(queue.leads.get(number, ()))
            self._end_one(key, queue, number, state, noted, keep)
            for word in leads:
                if state == DONE:
                    self._go_on(own, word)
                    continue
                other_key, other_number = parse_id(word)
                other = self.queue(other_key)
                job = None if other is None else other.jobs.get(other_number)
                if job is not None and job[0][0] == WAITING:
                    error = b"job %b, which it waited for, is dead or was cancelled" % databases.name_of(own)
                    ends.append((other_key, other, other_number, DEAD, {b"error": error}, True))

    def _end_one(self, key, queue, number, state, noted, keep):
        job = queue.jobs[number]
        waited = self.keyspace.waited
        is_waited = bool(waited) and end_key(id_of(key, number)) in waited
        keep_ms = OPTIONS.unpack_from(job[2])[3] if keep else 0
        if state == DEAD and keep or keep_ms or is_waited:
            record = list(RECORD.unpack(job[0]))
            record[0], record[1], record[7] = state, 0, self.keyspace.wall_ms()
            if state != DEAD and not keep_ms:
                # Kept for those who wait: the time that it is kept for is in the options, so it ends later than now.
                record[7] += WAITED_KEEP_MS
            self.set_state(key, queue, number, record, pack_notes(noted))
            if state == DONE and number in queue.leads:
                self.change(key, queue, [b"unlink", LEADS, b"%d" % number] + list(queue.leads[number]))
        else:
            self.change(key, queue, [b"del", b"%d" % number])
        if is_waited:
            self.keyspace.ready.append(end_key(id_of(key, number)))
        if self.followed:
            self.tell_followers(key, (number,))

    def tell_followers(self, key, numbers):
        """Jobs have ended, or are about to go: whoever follows them is told when that is published."""
        for number in numbers:
            own = id_of(key, number)
            if own in self.followed:
                self.keyspace.when_published(partial(self.ended, own))

    def forget(self, key, queue, numbers):
        """Remove finished jobs; who still waits for one that failed waits for nothing, and is dead."""
        for number in numbers if queue.leads else ():
            own = id_of(key, number)
            for word in list(queue.leads.get(number, ())):
                other_key, other_number = parse_id(word)
                other = self.queue(other_key)
                job = None if other is None else other.jobs.get(other_number)
                if job is not None and job[0][0] == WAITING:
                    self._die_of_dependency(other_key, other, other_number, own)
        self.change(key, queue, [b"del"] + [b"%d" % number for number in numbers])

    # -- reserving and what comes of it -------------------------------------------------------------------------------

    def ripen(self, key, queue, most=RIPEN_MAX):
        """Let happen what the clock says; at most so much of it."""
        now_ms, index = self.keyspace.wall_ms(), queue.index
        if index.timers:
            for _ in range(most):
                found = index.next_timer()
                if found is None or found[0] > now_ms:
                    break
                self._ripen_one(key, queue, found[1], now_ms)
        if PAUSED in queue.settings and 0 <= int(queue.settings[PAUSED]) <= now_ms:
            self.change(key, queue, [b"set", PAUSED, b""])

    def _ripen_one(self, key, queue, number, now_ms):
        job = queue.jobs[number]
        record = list(RECORD.unpack(job[0]))
        if record[0] > QUEUED:
            self.forget(key, queue, [number])  # what came of it was kept long enough
        elif record[0] == DELAYED and record[7] <= now_ms and not 0 < job_records.unpack_fixed(job[3])[2] <= now_ms:
            record[0] = READY
            self.set_state(key, queue, number, record, job[4])
        else:
            self.end(key, queue, number, CANCELLED, {b"error": b"expired: nobody had begun with it in time"})

    def is_paused(self, queue):
        """Whether nothing is handed out."""
        return PAUSED in queue.settings and (
            queue.settings[PAUSED] == b"-1" or int(queue.settings[PAUSED]) > self.keyspace.wall_ms())

    def reserve(self, key, queue, owner):
        """(number, the job as it was, what its record has now) of the job whose turn it is; `owner` (notes) has it now.

        None where there is no such job.
        """
        if queue.index.timers:
            self.ripen(key, queue)
        if queue.settings and self.is_paused(queue):
            return None
        number = queue.index.first()
        if not number:
            return None
        before = queue.jobs[number]
        _, _, kind, attempts, deliveries, priority, put_ms, _ = RECORD.unpack(before[0])
        record = RESERVED, 0, kind, attempts + 1, deliveries + 1, priority, put_ms, self.keyspace.wall_ms()
        self.change(key, queue, [b"state", b"%d" % number, RECORD.pack(*record),
                                 before[4] + owner if before[4] else owner])
        return number, before, record

    def give_back(self, key, queue, number, before):
        """Undo a reservation that nobody heard of: the job is what it was, but for the receipt, which is used up."""
        job = queue.jobs[number]
        record = list(RECORD.unpack(before[0]))
        record[4] = RECORD.unpack(job[0])[4]
        self.set_state(key, queue, number, record, before[1])

    def fail(self, key, queue, number, error, delay_ms=None, front=False, counts=True, bury=False):
        """An attempt failed; the state of the job then.  Without a delay the backoff decides."""
        job = queue.jobs[number]
        record = list(RECORD.unpack(job[0]))
        now_ms, attempts, retries = self.keyspace.wall_ms(), record[3], OPTIONS.unpack_from(job[2])[1]
        noted = self._note_failure(job, record, error, now_ms) if counts or error else self._without_owner(job)
        if record[1] & CANCEL:
            self.end(key, queue, number, CANCELLED, noted)
            return CANCELLED
        if bury or counts and attempts > retries:
            self.end(key, queue, number, DEAD, noted)
            return DEAD
        if delay_ms is None:
            delay_ms = backoff_ms(job[2], attempts, self.random_bits) if counts and not front else 0
        record[3] = attempts if counts else max(attempts - 1, 0)
        record[0], record[7] = (DELAYED if delay_ms else READY), now_ms + delay_ms
        if front and not delay_ms:
            head_ms = queue.index.head_ms(job)
            record[7] = now_ms if head_ms is None else max(min(head_ms - 1, now_ms), 0)
        self.set_state(key, queue, number, record, pack_notes(noted))
        return record[0]

    def lose(self, key, queue, number, error):
        """The worker of a job is lost: the job is ready at once the first time, later after a backoff.

        Without an error what is noted of it, but who had it, is forgotten, for want of room.
        """
        job = queue.jobs[number]
        if not error:
            worker = pack_notes({b"process": unpack_notes(job[4]).get(b"process", b"")[:BRIEF_BYTES]})
            self.set_state(key, queue, number, RECORD.unpack(job[0]), worker)
            job = queue.jobs[number]
        attempts = RECORD.unpack(job[0])[3]
        delay_ms = 0 if attempts <= 1 else backoff_ms(job[2], attempts - 1, self.random_bits)
        return self.fail(key, queue, number, error, delay_ms)

    @staticmethod
    def _without_owner(job):
        noted = unpack_notes(job[4])
        for name in (b"worker", b"thread", b"process", b"progress"):
            noted.pop(name, None)
        return noted

    def _note_failure(self, job, record, error, now_ms):
        """What is noted of a job whose attempt failed: the error as a whole, and a line for this and others before."""
        noted = unpack_notes(job[4])
        pid = noted.get(b"process", b"0").split(b" ")[0]
        worker = noted.get(b"worker") or (noted.get(b"host", b"") if pid == b"0" else b"pid %b" % pid)
        last = error.strip().rpartition(b"\n")[2][:FAILURE_BYTES_MAX].replace(b"\t", b" ")
        line = b"%d\t%d\t%b\t%b" % (record[3], now_ms, worker.replace(b"\t", b" ").replace(b"\n", b" "), last)
        lines = noted.get(b"failures", b"").split(b"\n") if noted.get(b"failures") else []
        kept = self._without_owner(job)
        kept[b"error"] = error[-ERROR_BYTES_MAX:]
        kept[b"failures"] = b"\n".join(lines[1 - FAILURES_MAX:] + [line])
        kept[b"last"] = worker
        return kept

    def redrive(self, key, queue, number):
        """A dead job gets all of its attempts again; whether it did: not where another has its unique key by now."""
        job = queue.jobs[number]
        unique = job_records.unpack_fixed(job[3])[1]
        if unique and queue.index.unique.get(unique, number) != number:
            return False
        needed = list(queue.needs.get(number, ()))
        needs, _ = self._needs(needed)
        met = [word for word in needed if word not in [need[3] for need in needs]]
        if met:
            self.change(key, queue, [b"unlink", NEEDS, b"%d" % number] + met)
        self._link(key, queue, number, needs)
        record = list(RECORD.unpack(job[0]))
        record[0], record[1], record[3], record[7] = (WAITING if needs else READY), 0, 0, self.keyspace.wall_ms()
        self.set_state(key, queue, number, record, self._without_error(job))
        return True

    @staticmethod
    def _without_error(job):
        noted = unpack_notes(job[4])
        noted.pop(b"error", None)
        return pack_notes(noted)


def queued(queue):
    """How many jobs of a queue, or of none, nobody has taken yet."""
    return 0 if queue is None else sum(queue.index.counts[:QUEUED + 1])


def _first_two(holds):
    return [holds[key] for key, _ in zip(holds, range(2))]


def _draining(key):
    error = CommandError("queue %s takes no more jobs (JOB.DRAIN)" % shown_text(databases.name_of(key)))
    error.code = "DRAINING"
    return error

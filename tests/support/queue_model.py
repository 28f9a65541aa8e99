"""A plain reference for the structure of a queue, and random changes that fit it."""

from nosqgrid.engine.structures import job_records
from nosqgrid.engine.structures.job_records import (
    CANCELLED, DEAD, DELAYED, DONE, FIFO, READY, RECORD, RESERVED, UNTIL_FINISHED, UNTIL_STARTED, WAITING)

JOBS_MAX = 60
GROUPS = (b"", b"", b"", b"a", b"b", b"fifo")


def options_of(flags=0, retries=4, ttr_ms=60000, keep_ms=0, first_ms=1000, max_ms=300000, factor=2000, jitter=500,
               kind=b""):
    """The packed options of a job."""
    return job_records.OPTIONS.pack(flags, retries, ttr_ms, keep_ms, first_ms, max_ms, factor, jitter) + kind


def record_of(state=READY, priority=0, put_ms=1, at_ms=1, deliveries=0, attempts=0, kind=0, flags=0):
    """The packed record of a job."""
    return RECORD.pack(state, flags, kind, attempts, deliveries, priority, put_ms, at_ms)


def job_words(number, record, payload=b"p", options=options_of(), fixed=b"", notes=b""):
    """A change that puts one job."""
    return [b"put", b"%d" % number, record, payload, options, fixed, notes]


class Model(object):
    """What a queue should be: jobs as {number: pieces} and everything else worked out anew whenever it is asked for."""

    def __init__(self):
        self.jobs, self.settings, self.holds, self.links = {}, {}, {}, {}
        self.next_number = 1
        self.given = {}  # group -> when it was given a job last
        self.clock = 0

    def copy(self):
        other = Model()
        other.jobs, other.settings, other.holds = dict(self.jobs), dict(self.settings), dict(self.holds)
        other.links = {key: list(ids) for key, ids in self.links.items()}
        other.next_number = self.next_number
        return other

    def counts(self):
        found = [0] * 7
        for job in self.jobs.values():
            found[job[0][0]] += 1
        return found

    def in_flight(self, group):
        return [number for number, job in self.jobs.items() if job_records.group_of(job[3]) == group and (
            job[0][0] == RESERVED or job[0][0] == DELAYED and job[2][0] & FIFO and RECORD.unpack(job[0])[4])]

    def candidates(self):
        """{group: the number of its first ready job} of the groups that may be given one."""
        found = {}
        for number, job in self.jobs.items():
            if job[0][0] == READY:
                _, _, _, _, _, priority, _, at_ms = RECORD.unpack(job[0])
                place = priority, 0 if job[2][0] & FIFO else at_ms, number
                group = job_records.group_of(job[3])
                found[group] = min(found.get(group, place), place)
        return {group: place for group, place in found.items() if group != b"fifo" or not self.in_flight(group)}

    def firsts(self):
        """The numbers of the jobs of which one has its turn: those that only differ in when their group had it last."""
        places = {place[2]: (place[0], len(self.in_flight(group))) for group, place in self.candidates().items()}
        return {number for number, place in places.items() if place == min(places.values())}

    def unique(self):
        """{key: the numbers that may have it}."""
        found = {}
        for number, job in self.jobs.items():
            _, key, _, until, _ = job_records.unpack_fixed(job[3])
            state, deliveries = job[0][0], RECORD.unpack(job[0])[4]
            if key and (until == UNTIL_FINISHED and state <= RESERVED
                        or until == UNTIL_STARTED and state <= READY and not deliveries):
                found.setdefault(key, set()).add(number)
        return found

    def timers(self):
        """(time, number) of the first thing that happens by the clock, or None."""
        found = []
        for number, job in self.jobs.items():
            state, at_ms = job[0][0], RECORD.unpack(job[0])[7]
            expires_ms = job_records.unpack_fixed(job[3])[2]
            if state == DELAYED:
                found.append((at_ms, number))
            if state <= READY and expires_ms:
                found.append((expires_ms, number))
            if state in (DONE, CANCELLED):
                found.append((at_ms + job_records.OPTIONS.unpack_from(job[2])[3], number))
        return min(found) if found else None


def random_job(rng, number):
    """The pieces of a job, without its number."""
    group = rng.choice(GROUPS)
    fifo = FIFO if group == b"fifo" else 0
    unique = rng.choice((b"", b"", b"u%d" % number))
    fixed = job_records.pack_fixed(group, unique, rng.choice((0, 0, 50)), rng.choice((0, -1, 90)) if unique else 0,
                                   [b"q:1", b"r:2"] if rng.random() < 0.1 else [])
    return (random_record(rng, WAITING if rng.random() < 0.1 else rng.choice((READY, READY, READY, DELAYED)), 0),
            b"payload %d" % number, options_of(fifo, keep_ms=rng.choice((0, 7))), fixed, b"")


def random_record(rng, state, deliveries):
    return record_of(state, rng.choice((0, 0, 0, -1, 5)), 3, rng.randrange(1, 40), deliveries)


def random_change(rng, model):
    """Words that fit the model, which is changed by them as the structure should be."""
    jobs = model.jobs
    kind = rng.choice(("put", "put", "put", "state", "state", "state", "state", "del", "link", "unlink", "hold", "free",
                       "set", "puts"))
    numbers = list(jobs)
    if len(numbers) > JOBS_MAX:
        kind = "del"
    if kind in ("put", "puts"):
        words = [b"put"]
        for _ in range(1 if kind == "put" else rng.randrange(1, 6)):
            number = model.next_number + rng.choice((0, 0, 3))
            jobs[number] = random_job(rng, number)
            model.next_number = number + 1
            words += [b"%d" % number] + list(jobs[number])
        return words
    if kind == "set":
        name, value = rng.choice((b"maxlen", b"paused")), rng.choice((b"", b"1", b"22"))
        model.settings.pop(name, None)
        if value:
            model.settings[name] = value
        return [b"set", name, value]
    if kind == "hold":
        key = b"k%d" % rng.randrange(4)
        model.holds[key] = 1, rng.randrange(100)
        return [b"hold", key, b"1", b"%d" % model.holds[key][1]]
    if kind == "free" and model.holds:
        key = rng.choice(sorted(model.holds))
        del model.holds[key]
        return [b"free", key]
    if not numbers:
        return [b"next", b"%d" % model.next_number]
    number = rng.choice(numbers)
    if kind == "link":
        return _random_link(rng, model, number)
    if kind == "unlink" and model.links:
        (side, number), ids = sorted(model.links.items())[0]
        del model.links[side, number]
        return [b"unlink", side, b"%d" % number] + ids
    if kind == "del":
        gone = rng.sample(numbers, rng.choice((1, 1, min(3, len(numbers)), len(numbers) // 2 or 1)))
        for number in gone:
            del jobs[number]
            model.links.pop((b"needs", number), None)
            model.links.pop((b"leads", number), None)
        return [b"del"] + [b"%d" % number for number in gone]
    return _random_state(rng, model, number)


def _random_link(rng, model, number):
    side = rng.choice((b"needs", b"leads"))
    known = model.links.get((side, number), [])
    ids = [one for one in (b"q:1", b"q:2", b"r:9") if one not in known][:rng.choice((1, 2))]
    if not ids:
        return [b"next", b"%d" % model.next_number]
    model.links[side, number] = known + ids
    return [b"link", side, b"%d" % number] + ids


def _random_state(rng, model, number):
    record, payload, options, fixed, _ = model.jobs[number]
    state = rng.choice((WAITING, DELAYED, READY, READY, RESERVED, RESERVED, DONE, DEAD, CANCELLED))
    record = random_record(rng, state, RECORD.unpack(record)[4] + (state == RESERVED))
    notes = rng.choice((b"", job_records.pack_notes({b"error": b"text %d" % rng.randrange(3)})))
    model.jobs[number] = record, payload, options, fixed, notes
    return [b"state", b"%d" % number, record, notes]

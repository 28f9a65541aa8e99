"""What is told about queues and jobs: JOB.INFO PEEK STATS QUEUES WAIT JOIN.

    JOB.INFO id                              a map, or null
    JOB.WAIT id ms                           the map when it is done, dead or cancelled; null if that takes longer
    JOB.JOIN queue ms                        1 when every job that was put is finished; null if that takes longer
    JOB.PEEK queue state count [offset]      maps of the jobs in a state, those that come first first
    JOB.STATS queue                          a map
    JOB.QUEUES                               the names of all queues of the database

Times are ms of the wall clock; nothing here changes anything.
"""

import heapq

from ...formats import resp
from .. import databases
from ..jobs.ids import FLOOR, end_key, parse_id, room_key
from ..jobs.service import shown_id
from ..jobs.transitions import DRAINING, PAUSED, queued
from ..structures import job_records
from ..structures.job_records import (CANCEL, CANCELLED, DEAD, DONE, FIFO, OPTIONS, READY, RECORD, RESERVED, STATES,
                                      UNTIL_FINISHED, UNTIL_STARTED, unpack_fixed, unpack_notes)
from . import job_words
from .command import READ, Command, bounded, syntax_error

_PEEK_MAX = 10000
_OFFSET_MAX = 1 << 40


def info(context, args):
    """Everything about a job."""
    jobs = context.server.jobs
    key, number = parse_id(args[0])
    queue = jobs.queue(key)
    job = None if queue is None else queue.jobs.get(number)
    return None if job is None else _map_of(context, key, queue, number, job)


def _map_of(context, key, queue, number, job):
    record, payload, options, fixed, notes = job
    state, flags, kind, attempts, deliveries, priority, put_ms, at_ms = RECORD.unpack(record)
    option_flags, retries, ttr_ms, keep_ms, _, _, _, _ = OPTIONS.unpack_from(options)
    group, unique, expires_ms, until, after = unpack_fixed(fixed)
    noted = unpack_notes(notes)
    told = [
        (b"id", shown_id(context, key, number)), (b"queue", _name(context, key)), (b"state", STATES[state]),
        (b"type", kind), (b"payload", payload), (b"kind", options[OPTIONS.size:]), (b"group", group),
        (b"fifo", option_flags & FIFO), (b"priority", priority), (b"attempts", attempts), (b"receipt", deliveries),
        (b"retries", retries), (b"ttr_ms", ttr_ms), (b"keep_ms", keep_ms), (b"put_ms", put_ms), (b"at_ms", at_ms),
        (b"expires_ms", expires_ms), (b"unique", unique), (b"until", _until(until)), (b"cancelling", flags & CANCEL),
        (b"after", [context.shown_key(one) for one in after]),
        (b"needs", [context.shown_key(one) for one in queue.needs.get(number, ())]),
        (b"leads", [context.shown_key(one) for one in queue.leads.get(number, ())])]
    told += _of_notes(noted)
    if state == RESERVED:
        lease = context.server.jobs.leases.find(key, number, deliveries)
        if lease is not None:
            told.append((b"left_ms", max(lease.deadline_ms - context.keyspace.now_ms, 0)))
    return resp.Map(told)


def _of_notes(noted):
    """What is told of the notes of a job."""
    told = [(name, noted[name]) for name in (b"worker", b"thread", b"host", b"error") if name in noted]
    if b"process" in noted:
        told.append((b"pid", _pid(noted[b"process"])))
    if b"scheduled" in noted:
        told.append((b"scheduled_ms", int(noted[b"scheduled"])))
    if b"progress" in noted:
        fraction, _, text = noted[b"progress"].partition(b" ")
        told.append((b"progress", [fraction, text]))
    if b"result" in noted or b"type" in noted:
        told += [(b"result_type", int(noted.get(b"type", b"0"))), (b"result", noted.get(b"result", b""))]
    if b"last" in noted:
        told.append((b"last_worker", noted[b"last"]))
    if b"failures" in noted:
        told.append((b"failures", [_failure(line) for line in noted[b"failures"].split(b"\n")]))
    return told


def _failure(line):
    """[attempt, wall ms, worker, last line of the error] of one attempt that failed."""
    attempt, at_ms, worker, last = line.split(b"\t", 3)
    return [int(attempt), int(at_ms), worker, last]


def _pid(process):
    word = process.split(b" ")[0]
    return int(word) if word.isdigit() else 0


def _until(until):
    return {UNTIL_FINISHED: b"finished", UNTIL_STARTED: b"started"}.get(until, b"%d" % until)


def _name(context, key):
    """The name of a queue as the session's client knows it."""
    return context.shown_key(databases.name_of(key))


def wait(context, args):
    """Wait for the end of a job."""
    waits, timeout_s = job_words.wait_s(args[1])
    jobs = context.server.jobs
    key, number = parse_id(args[0])
    jobs.known(args[0])

    def attempt(context, keys):
        queue = jobs.queue(key)
        job = None if queue is None else queue.jobs.get(number)
        if job is None:
            return _forgotten(context, key, number)
        return _map_of(context, key, queue, number, job) if job[0][0] in (DONE, DEAD, CANCELLED) else None

    reply = attempt(context, ())
    if reply is not None or not waits:
        return reply
    return context.block([end_key(args[0])], timeout_s, attempt, None)


def _forgotten(context, key, number):
    """The map of a job that has ended, and of which nothing is kept: it was done, or dropped or purged."""
    return resp.Map([(b"id", shown_id(context, key, number)), (b"queue", _name(context, key)),
                     (b"state", b"forgotten")])


def join(context, args):
    """Wait until a queue has nothing left to do: no job waits, is delayed, ready, or reserved."""
    key = job_words.queue_key(args[0])
    waits, timeout_s = job_words.wait_s(args[1])
    jobs = context.server.jobs

    def attempt(context, keys):
        queue = jobs.queue(key)
        return None if queue is not None and any(queue.index.counts[:RESERVED + 1]) else 1

    reply = attempt(context, ())
    if reply is not None or not waits:
        return reply
    return context.block([room_key(key)], timeout_s, attempt, None)


def peek(context, args):
    """Jobs in a state, in the order in which they would come."""
    if len(args) > 4:
        raise syntax_error()
    key, state = job_words.queue_key(args[0]), job_words.state_of(args[1])
    count = bounded(args[2], _PEEK_MAX, "the number of jobs")
    offset = bounded(args[3], _OFFSET_MAX, "the offset") if len(args) == 4 else 0
    queue = context.server.jobs.queue(key)
    if queue is None or not queue.index.counts[state]:
        return []
    place = job_records.place_of if state == READY else _time_of
    found = ((place(job, number), number) for number, job in queue.jobs.items() if job[0][0] == state)
    first = heapq.nsmallest(min(count + offset, queue.index.counts[state]), found)[offset:]
    return [_map_of(context, key, queue, number, queue.jobs[number]) for _, number in first]


def _time_of(job, number):
    return job_records.timer(RECORD.unpack(job[0])[7], number)


def stats(context, args):
    """How many jobs are in which state, and what the queue is set to."""
    key = job_words.queue_key(args[0])
    jobs = context.server.jobs
    queue = jobs.queue(key)
    counts = [0] * len(STATES) if queue is None else queue.index.counts
    settings = {} if queue is None else queue.settings
    told = list(zip(STATES, counts))
    told += [(b"length", queued(queue)), (b"put", 0 if queue is None else queue.next_number - 1),
             (b"groups", 0 if queue is None else len(queue.index.groups)),
             (b"waiting_workers", len(context.keyspace.waited.get(key, ()))),
             (b"paused", int(queue is not None and jobs.is_paused(queue))),
             (b"paused_until_ms", int(settings.get(PAUSED, b"0"))), (b"draining", int(DRAINING in settings)),
             (b"maxlen", int(settings.get(b"maxlen", b"0"))),
             (b"bytes", 0 if queue is None else queue.size_bytes)]
    return resp.Map(told)


def queues(context, args):
    """The names of all queues."""
    database, found = context.session.database, []
    for key in context.server.jobs.keys():
        name = databases.name_of(key)
        if key != FLOOR and databases.number_of(name) == database:
            found.append(context.shown_key(name))
    return sorted(found)


_WAIT = READ | {"blocking"}

COMMANDS = (
    Command(b"JOB.INFO", info, 2, READ, 1, 1, 1),
    Command(b"JOB.WAIT", wait, 3, _WAIT, 1, 1, 1),
    Command(b"JOB.JOIN", join, 3, _WAIT, 1, 1, 1),
    Command(b"JOB.PEEK", peek, -4, READ, 1, 1, 1),
    Command(b"JOB.STATS", stats, 2, READ, 1, 1, 1),
    Command(b"JOB.QUEUES", queues, 1, READ),
)

"""What people do to queues and jobs: JOB.CANCEL PRIORITY PROGRESS KICK REDRIVE PURGE PAUSE DRAIN DROP CONFIG.

    JOB.CANCEL id [QUEUED]                 the state it is in then: cancelled; one that is reserved stays so, and its
                                           worker is told when it touches the job, unless QUEUED is said
    JOB.PRIORITY id n                      1
    JOB.PROGRESS id receipt fraction text  1; what JOB.INFO tells
    JOB.KICK queue n                       how many delayed jobs, the first ones, are ready now
    JOB.REDRIVE queue n|-1                 how many dead jobs, those that died first, get all of their attempts again
    JOB.PURGE queue [state]                how many jobs went: waiting, delayed and ready ones, or those in a state
    JOB.PAUSE queue ms                     1; nothing is handed out for so long: 0 to go on, -1 until then
    JOB.DRAIN queue 0|1                    1; puts are refused
    JOB.DROP queue                         1, or 0 where there is none; with its jobs and settings
    JOB.CONFIG queue [name value ...]      a map of the settings: ttr, retries, keep, maxlen, overflow
"""

import heapq

from ... import errors
from ...formats import resp
from ..jobs import many
from ..jobs.asked import SETTINGS
from ..jobs.transitions import DRAINING, PAUSED
from ..structures import job_records
from ..structures.job_records import CANCEL, CANCELLED, DEAD, DELAYED, QUEUED, RECORD, RESERVED, STATES
from . import floats, job_words
from .command import WRITE_SEVERAL, Command, bounded, syntax_error

_COUNT_MAX = 1 << 40
_NUMBERS = {b"retries": job_words.RETRIES_MAX, b"keep": None, b"maxlen": None}


def cancel(context, args):
    """Let a job not be run, or ask its worker to give it up."""
    if len(args) > 2 or len(args) == 2 and args[1].upper() != b"QUEUED":
        raise syntax_error()
    jobs = context.server.jobs
    key, queue, number, job = jobs.find(args[0])
    record = list(RECORD.unpack(job[0]))
    if record[0] <= QUEUED:
        jobs.end(key, queue, number, CANCELLED, {})
        jobs.note(key, queue)
        return STATES[CANCELLED]
    if record[0] == RESERVED and not record[1] & CANCEL and len(args) == 1:
        record[1] |= CANCEL
        jobs.set_state(key, queue, number, record, job[4])
    return STATES[record[0]]


def priority(context, args):
    """Give a job another priority."""
    wanted = job_words.priority_of(args[1])
    jobs = context.server.jobs
    key, queue, number, job = jobs.find(args[0])
    record = list(RECORD.unpack(job[0]))
    if record[5] != wanted:
        record[5] = wanted
        jobs.set_state(key, queue, number, record, job[4])
    return 1


def progress(context, args):
    """Say how far a job is."""
    fraction, text = args[2], job_words.text(args[3], "the text")
    value = floats.parse(fraction)
    if value is None or not 0 <= value <= 1:
        raise errors.CommandError("how far a job is, is a number from 0 to 1, not %.50r" % fraction)
    jobs = context.server.jobs
    key, queue, number, job = jobs.reserved(args[0], job_words.receipt_of(args[1]))
    noted = job_records.unpack_notes(job[4])
    noted[b"progress"] = b"%b %b" % (fraction, text)
    jobs.set_state(key, queue, number, RECORD.unpack(job[0]), job_records.pack_notes(noted))
    return 1


# -- queues -----------------------------------------------------------------------------------------------------------


def _first(queue, state, count):
    """The numbers of the first jobs in a state, by the time that their records have."""
    found = (job_records.timer(RECORD.unpack(job[0])[7], number) for number, job in queue.jobs.items()
             if job[0][0] == state)
    chosen = heapq.nsmallest(min(count, queue.index.counts[state]), found)
    return [number & job_records.NUMBER_MASK for number in chosen]


def kick(context, args):
    """Let delayed jobs be ready."""
    key, count = job_words.queue_key(args[0]), bounded(args[1], _COUNT_MAX, "the number of jobs")
    jobs = context.server.jobs
    queue = jobs.queue(key)
    numbers = _first(queue, DELAYED, count) if queue is not None else []
    for number in numbers:
        job = queue.jobs[number]
        record = list(RECORD.unpack(job[0]))
        record[0], record[7] = job_records.READY, context.keyspace.wall_ms()
        jobs.set_state(key, queue, number, record, job[4])
    return len(numbers)


def redrive(context, args):
    """Let dead jobs be tried again."""
    key = job_words.queue_key(args[0])
    count = _COUNT_MAX if args[1] == b"-1" else bounded(args[1], _COUNT_MAX, "the number of jobs")
    jobs = context.server.jobs
    queue = jobs.queue(key)
    numbers = _first(queue, DEAD, count) if queue is not None else []
    return sum(jobs.redrive(key, queue, number) for number in numbers)


def purge(context, args):
    """Remove jobs."""
    if len(args) > 2:
        raise syntax_error()
    key = job_words.queue_key(args[0])
    states = (job_words.state_of(args[1]),) if len(args) == 2 else range(QUEUED + 1)
    if RESERVED in states:
        raise errors.CommandError("reserved jobs belong to their workers: JOB.CANCEL asks them to give one up")
    jobs = context.server.jobs
    queue = jobs.queue(key)
    return 0 if queue is None else many.purge(jobs, key, queue, states)


def pause(context, args):
    """Hand nothing out for some time."""
    key = job_words.queue_key(args[0])
    if args[1] == b"-1":
        value = b"-1"
    else:
        ms = job_words.milliseconds(args[1], "a time")
        value = b"%d" % (context.keyspace.wall_ms() + ms) if ms else b""
    _set(context, key, PAUSED, value)
    return 1


def drain(context, args):
    """Let puts be refused, or not any more."""
    key = job_words.queue_key(args[0])
    _set(context, key, DRAINING, b"1" if bounded(args[1], 1, "0 or 1,") else b"")
    return 1


def _set(context, key, name, value):
    """Give a queue a setting; an empty value takes it away."""
    jobs = context.server.jobs
    queue = jobs.queue(key)
    if queue is None and not value:
        return
    queue = jobs.made(key)
    if queue.settings.get(name, b"") != value:
        jobs.change(key, queue, [b"set", name, value])
        jobs.note(key, queue)


def drop(context, args):
    """Remove a queue."""
    key = job_words.queue_key(args[0])
    jobs = context.server.jobs
    queue = jobs.queue(key)
    if queue is None:
        return 0
    many.drop(jobs, key, queue)
    return 1


def config(context, args):
    """Settings for all jobs of a queue that are put from now on."""
    key, words = job_words.queue_key(args[0]), args[1:]
    if len(words) & 1:
        raise syntax_error()
    wanted = [_setting(name.lower(), value) for name, value in zip(words[::2], words[1::2])]
    for name, value in wanted:
        _set(context, key, name, value)
    queue = context.server.jobs.queue(key)
    settings = {} if queue is None else queue.settings
    return resp.Map([(name, settings.get(name, b"")) for name in SETTINGS])


def _setting(name, value):
    """(name, value) of a setting; an empty value, and 0 for maxlen, is none."""
    if name not in SETTINGS:
        raise errors.CommandError("%.50r is no setting of a queue: %s" % (name, b", ".join(SETTINGS).decode()))
    if not value:
        return name, b""
    if name == b"overflow":
        return name, job_words.overflow_of(value)
    if name == b"ttr":
        return name, b"%d" % job_words.ttr_ms(value)
    largest = _NUMBERS[name]
    what = name.decode()
    number = job_words.milliseconds(value, what) if largest is None else bounded(value, largest, what)
    return name, b"" if name == b"maxlen" and not number else b"%d" % number


COMMANDS = (
    Command(b"JOB.CANCEL", cancel, -2, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.PRIORITY", priority, 3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.PROGRESS", progress, 5, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.KICK", kick, 3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.REDRIVE", redrive, 3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.PURGE", purge, -2, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.PAUSE", pause, 3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.DRAIN", drain, 3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.DROP", drop, 2, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.CONFIG", config, -2, WRITE_SEVERAL, 1, 1, 1),
)

"""Schedules: jobs that the coordinator puts at their times (engine/scheduling).

    SCHEDULE.SET key CRON rule|EVERY ms queue type payload [option...]
            [1, next] where that is new, [0, next] where just this was there already: options as of JOB.PUT, but for
            those that say when; `next` is in ms of the wall clock
    SCHEDULE.DELETE key         1, or 0 without such a schedule
    SCHEDULE.LIST [pattern]     a map for each schedule of this database
    SCHEDULE.RUN key            puts the job now, beside its times: its id
"""

from ... import errors
from ...formats import resp, values
from .. import databases, glob
from ..jobs.ids import id_of
from ..jobs.transitions import FULL
from ..structures.job_records import pack_notes
from . import job_words
from .command import READ, WRITE, WRITE_SEVERAL_OOM, Command, bounded, integer

_TYPE_MAX = len(values.NAMES) - 1

def set_(context, args):
    """Let a job be put at certain times."""
    key, kind, text = args[:3]
    words = args[3:]
    check_put(words)
    changed, next_ms = context.server.schedules.set(key, kind.upper(), text, words)
    return [int(changed), next_ms]


def check_put(words):
    """Raise CommandError for words that put no job, or say when themselves."""
    job_words.queue_key(words[0])
    bounded(words[1], _TYPE_MAX, "type")
    asked = job_words.asked_of(words[3:])
    for name, said in (("DELAY", asked.delay_ms), ("ETA", asked.eta_ms), ("WAIT", asked.wait_ms),
                       ("AFTER", asked.after), ("FOLLOW", asked.follow)):
        if said:
            raise errors.CommandError("%s is not for a schedule, which says itself when its jobs are put" % name)


def put_scheduled(jobs, words, due_ms):
    """Put the job of a schedule that was due then; what is noted of it.  Raises as JOB.PUT."""
    key = job_words.queue_key(words[0])
    # With a time no two are alike, so that this one can be told when it was due.
    asked = job_words.asked_of(words[3:] + [b"ETA", b"%d" % due_ms])
    asked.notes = pack_notes({b"scheduled": b"%d" % due_ms})
    made = jobs.put(key, asked, [(bounded(words[1], _TYPE_MAX, "type"), words[2])])
    if made is FULL:
        raise errors.CommandError("the queue is full")
    jobs.note(key, jobs.queue(key))
    number, created = made[0]
    own = databases.name_of(id_of(key, number))
    return own if created else b"%b is there already" % own


def delete(context, args):
    """Let it be put no more."""
    return int(context.server.schedules.delete(args[0]))


def list_(context, args):
    """What schedules there are, and when they tick."""
    number, rows = context.session.database, []
    for key, schedule in context.server.schedules.items():
        name = context.shown_key(key)
        if databases.number_of(key) == number and (not args or glob.glob_match(args[0], name)):
            kind, text = schedule.rule.split(b" ", 1)
            queue, value_type, payload = schedule.words[:3]
            rows.append(resp.Map((
                (b"key", name), (b"kind", kind), (b"rule", text), (b"queue", context.shown_key(queue)),
                (b"type", integer(value_type)), (b"payload", payload), (b"options", list(schedule.words[3:])),
                (b"next_ms", schedule.next_ms), (b"last_ms", schedule.last_ms), (b"count", schedule.count),
                (b"note", schedule.note))))
    return rows


def run(context, args):
    """Put the job now."""
    return context.server.schedules.run(args[0])


COMMANDS = (
    Command(b"SCHEDULE.SET", set_, -7, WRITE_SEVERAL_OOM, 1, 4, 3),
    Command(b"SCHEDULE.DELETE", delete, 2, WRITE, 1, 1, 1),
    Command(b"SCHEDULE.LIST", list_, -1, READ),
    Command(b"SCHEDULE.RUN", run, 2, WRITE_SEVERAL_OOM, 1, 1, 1),
)

"""Schedules: jobs that the coordinator puts at their times (engine/scheduling).

    SCHEDULE.SET key CRON rule|EVERY ms queue type payload [option...]
            [1, next] where that is new, [0, next] where just this was there already: options as of JOB.PUT, but for
            those that say when; `next` is in ms of the wall clock
    SCHEDULE.DELETE key         1, or 0 without such a schedule
    SCHEDULE.LIST [pattern]     a map for each schedule of this database
    SCHEDULE.RUN key            puts the job now, beside its times: its id
"""

from ... import errors
from ...formats import resp
from .. import databases, glob
from .command import READ, WRITE, WRITE_SEVERAL_OOM, Command, integer

_MINE = frozenset((b"DELAY", b"ETA", b"WAIT", b"REQUEST", b"AFTER"))  # options that make no sense for a job of later


def set_(context, args):
    """Let a job be put at certain times."""
    key, kind, text, queue = args[:4]
    words = args[3:]
    for word in words[3:]:
        if word.upper() in _MINE:
            raise errors.CommandError("%s is not for a schedule, which says itself when its jobs are put"
                                      % word.upper().decode("ascii"))
    changed, next_ms = context.server.schedules.set(key, kind.upper(), text, words)
    return [int(changed), next_ms]


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

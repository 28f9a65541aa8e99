"""What a Grid can do with work: tasks, an executor, schedules."""

from collections import namedtuple

from ..link import named_values

Schedule = namedtuple("Schedule", "key rule queue task next_at last_at count note")
Schedule.__doc__ = """A schedule as the coordinator keeps it: times are seconds since 1970, or None.

`count` says how often it was, `note` what became of the last time: the id of its job, or why there was none.
"""


class WorkMethods(object):
    """To be mixed into a Grid."""

    def task(self, queue="default", retries=3, name=None, **options):
        """A decorator that makes a Task of a function: see client/workers/tasks.

            @grid.task(queue="mail", retries=5, backoff=(1, 60))
            def send(to): ...
            send.delay("a@b")

        `retries`: how often it is tried again when it raises, or its worker dies.  Further options: ttr (seconds that
        it may take, 60), backoff (first and longest pause in seconds, factor, jitter), keep (seconds for which its
        result is kept), priority, group, fifo, unique, until.
        """
        from .tasks import Task, register  # here alone: hashes and all that runs a call

        def decorate(function):
            return register(Task(self, function, queue, name, dict(options, retries=retries)))

        if callable(queue):
            function, queue = queue, "default"
            return decorate(function)
        return decorate

    def executor(self, queue="executor", *, workers=0, max_attempts=3, ttr=3600.0, keep=600.0):
        """A concurrent.futures.Executor over the workers of this grid: a GridExecutor (client/workers/executor)."""
        from .executor import GridExecutor  # here alone: it brings the threads and processes of concurrent.futures
        return GridExecutor(self, queue, workers, max_attempts, ttr, keep)

    def schedules(self, pattern=None):
        """The schedules that the coordinator keeps, those whose keys match a pattern: a list of Schedule."""
        return [_schedule(named_values(reply, self.address)) for reply in
                self._store.command(b"SCHEDULE.LIST", *(() if pattern is None else (pattern,)))]

    def unschedule(self, key):
        """Take a schedule away; whether there was one."""
        return bool(self._store.command(b"SCHEDULE.DELETE", key))


def _schedule(row):
    rule = row["rule"] if row["kind"] == "CRON" else "every %g s" % (int(row["rule"]) / 1000.0)
    options = row["options"]  # those of a task begin with its kind
    kind = options[1].decode("utf-8", "replace") if options[:1] == [b"KIND"] else None
    return Schedule(row["key"], rule, row["queue"], kind, row["next_ms"] / 1000.0,
                    row["last_ms"] / 1000.0 if row["last_ms"] else None, row["count"], row["note"])

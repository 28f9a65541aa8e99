"""Tasks: functions that are called here and run by a worker.

    @grid.task(queue="mail", retries=3)
    def send(to): ...

    send("a@b")                 here and now, as ever
    send.delay("a@b")           a job, run by `nosqgrid worker -q mail module`

A task is known by its name, which its module and its own name make.  A worker imports the module and so has the tasks
in it; nothing but names and arguments travels.
"""

import functools

from ...errors import UsageError
from ...formats.values import encode_key
from ..queues import words
from ..queues.job import made_job
from ..times import milliseconds_above_0
from . import calls, names

TASKS = {}  # name -> Task, of this process


class Task(object):
    """A function that workers run; made by Grid.task.

    Calling it calls the function.  `name` is how workers know it, `queue` where its jobs go.
    """

    def __init__(self, grid, function, queue, name, options):
        self._grid = grid
        self.function = function
        self.queue = queue
        self.name = name or names.name_of(function)
        self._kind = self.name.encode("utf-8")
        if self._kind.startswith((calls.CALL, calls.MAP, calls.SEALED)):
            raise UsageError("a task cannot be called %r: that is what calls of an executor are called" % self.name)
        self._options = options
        words.put_words(**options)
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    @property
    def codec(self):
        """How its arguments become bytes."""
        return self._grid._store.codec

    def delay(self, *args, **kwargs):
        """Let a worker call it with these arguments; the Job.  Raises UnsupportedTypeError for what no grid carries."""
        return self.apply(args, kwargs)

    def apply(self, args=(), kwargs=None, **options):
        """The same with options for this call: delay (seconds), eta (a datetime, or seconds since 1970), priority
        (less is sooner), unique (a key: while there is a job with it, that one is returned), until, group, fifo, ttl,
        depends_on, and whatever the task itself may have (retries, ttr, backoff, keep).
        """
        store = self._grid._store
        return made_job(store, store.command(b"JOB.PUT", *self._put_words(args, kwargs, options)))

    def _put_words(self, args, kwargs, options):
        queue = encode_key(self.queue)
        value_type, payload = self.codec.encode([list(args), dict(kwargs or {})], calls.context(queue))
        return [queue, value_type, payload] + words.put_words(kind=self._kind, **dict(self._options, **options))

    def schedule(self, cron=None, every=None, key=None, args=(), kwargs=None, **options):
        """Have the coordinator put a job for this task at each time of a cron rule, or each `every` seconds.

        However many programs say so and however many workers there are, there is one job a tick: a schedule belongs to
        its `key`, by default the task's name, and says the same whoever says it last.  Rules are about the time of the
        coordinator's clock on the wall (nosqgrid/engine/cron).  Whether that changed anything.
        """
        if (cron is None) == (every is None):
            raise UsageError("schedule() takes a rule, cron=\"*/5 * * * *\", or every=seconds: one of them")
        rule = [b"CRON", cron] if cron is not None else [b"EVERY", milliseconds_above_0(every, "every")]
        reply = self._grid._store.command(b"SCHEDULE.SET", self.name if key is None else key, *rule
                                          + self._put_words(args, kwargs, options))
        return bool(reply[0])

    def unschedule(self, key=None):
        """Have it put no more; whether there was such a schedule."""
        return bool(self._grid._store.command(b"SCHEDULE.DELETE", self.name if key is None else key))

    def __repr__(self):
        return "<nosqgrid task %s on %s>" % (self.name, self.queue)


def register(task):
    """Let workers of this process know a task.  UsageError where another function has its name."""
    known = TASKS.get(task.name)
    if known is not None and _place(known.function) != _place(task.function):
        raise UsageError("there are two tasks named %s: %r and %r; give one of them another name"
                         % (task.name, known.function, task.function))
    TASKS[task.name] = task
    return task


def _place(function):
    code = getattr(function, "__code__", None)
    return function if code is None else (code.co_filename, code.co_firstlineno)

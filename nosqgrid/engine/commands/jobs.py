"""The commands that jobs go through: JOB.PUT PUTMANY RESERVE ACK NACK TOUCH BURY UNDO.

All of them may stand in batches and transactions beside others, and come to pass or not together with them; none waits
there.  A job is named by its id, queue:number; whoever was handed one has a receipt, which is good until the job is
acknowledged, fails, or is handed to somebody else: then every command with it is refused (STALE).

    JOB.PUT queue type payload [DELAY ms] [ETA wall_ms] [PRIORITY n] [TTR ms] [RETRIES n]
            [BACKOFF first_ms longest_ms factor_milli jitter_milli] [UNIQUE key] [UNTIL started|finished|ms]
            [GROUP name] [FIFO] [TTL ms] [AFTER n id...] [MAXLEN n] [OVERFLOW block|error|drop_oldest|drop_newest]
            [WAIT ms] [KEEP ms] [KIND text] [REPLACE] [ORFAIL] [FOLLOW session]
                                                       [id, created 0|1], or null where there is no room; with ORFAIL
                                                       that is an error, which a batch fails with
    JOB.PUTMANY queue n (type payload)... [options]    [[id, created]...]; all of them, or null
    JOB.RESERVE [WAIT ms] [COUNT n] [ORDER strict|weighted] QUEUES n queue [weight]... [REQUEST n] [WORKER text]
            [THREAD text]
            [[id, receipt, type, payload, attempt, kind, group, priority, ttr_ms, put_wall_ms]...]
    JOB.ACK id receipt [type value]                    1; the value is the result, kept as long as the job's KEEP says
    JOB.NACK id receipt [DELAY ms] [FRONT] [NOCOUNT] [ERROR text]    what it is then: ready, delayed, dead, cancelled
    JOB.TOUCH id receipt [ms]                          [ms left, whether it is to be given up]
    JOB.BURY id receipt [ERROR text]                   1: it is dead
    JOB.UNDO request                                   how many jobs were given back that this request was handed
"""

from ... import errors
from ...formats import values
from ..jobs.asked import BLOCK, DROP_NEWEST, ERROR
from ..jobs.ids import id_of, room_key
from ..jobs.service import shown_id
from ..jobs.transitions import FULL
from ..structures import job_records
from ..structures.job_records import DONE, OPTIONS, STATES
from ..waiting import NOBODY
from . import job_words
from .command import WRITE_SEVERAL, WRITE_SEVERAL_OOM, Command, bounded, command_error, syntax_error
from .job_following import follower_of

_TYPE_MAX = len(values.NAMES) - 1
_WEIGHTED = b"weighted"
_REQUEST_MAX = (1 << 63) - 1
_REMEMBERED_MAX = 256
_remembered = {}  # words of JOB.RESERVE -> _Reserve


# -- putting ----------------------------------------------------------------------------------------------------------


def put(context, args):
    """Put a job into a queue."""
    made = _put(context, job_words.queue_key(args[0]), [(bounded(args[1], _TYPE_MAX, "type"), args[2])],
                job_words.asked_of(args[3:]) if len(args) > 3 else _PLAIN, _first)
    return made


def putmany(context, args):
    """Put several jobs, all of them or none."""
    key = job_words.queue_key(args[0])
    count = bounded(args[1], job_words.COUNT_MAX, "the number of jobs")
    if not count or len(args) < 2 + 2 * count:
        raise syntax_error()
    words = args[2:2 + 2 * count]
    items = [(bounded(kind, _TYPE_MAX, "type"), payload) for kind, payload in zip(words[::2], words[1::2])]
    asked = job_words.asked_of(args[2 + 2 * count:])
    if asked.unique and count > 1:
        raise errors.CommandError("a UNIQUE key is that of one job: put %d jobs one by one" % count)
    return _put(context, key, items, asked, list)


def _first(made):
    return made[0]


def _put(context, key, items, asked, shape):
    jobs = context.server.jobs
    follower = follower_of(context, asked.follow) if asked.follow else None

    def attempt(context, keys):
        made = jobs.put(key, asked, items)
        if made is FULL:
            return None
        if follower is not None:
            context.server.following.follow_when_published(follower, [id_of(key, number) for number, _ in made])
        if asked.delay_ms or asked.eta_ms or asked.ttl_ms:
            jobs.note(key, jobs.queue(key))
        return shape([[shown_id(context, key, number), created] for number, created in made])

    reply = attempt(context, ())
    if reply is not None:
        return reply
    queue = jobs.queue(key)
    limit, overflow = asked.limit({} if queue is None else queue.settings)
    if overflow == ERROR or overflow == BLOCK and asked.or_fail:
        raise command_error("the queue has its %d jobs: put less, take more, or let MAXLEN be larger" % limit,
                            "QUEUEFULL")
    if overflow == DROP_NEWEST or not asked.wait_ms or len(items) > limit:
        return None
    return context.block([room_key(key)], max(asked.wait_ms, 0) / 1000.0, attempt, None)


# -- reserving --------------------------------------------------------------------------------------------------------


class _Reserve(object):
    """What JOB.RESERVE was asked for, but for the number of the request, which stands at `request_at` if anywhere."""

    def __init__(self, args):
        self.waits, self.timeout_s, self.count, self.request_at = False, 0.0, 1, 0
        self.worker = self.thread = b""
        self.keys, self.weights = [], None
        at = 0
        while at + 1 < len(args):
            at = self._read_option(args, at)
        if at != len(args) or not self.keys:
            raise syntax_error()

    def _read_option(self, args, at):
        """Read the option at an index; where the next begins."""
        option, word = args[at].upper(), args[at + 1]
        if option == b"WAIT":
            self.waits, self.timeout_s = job_words.wait_s(word)
        elif option == b"COUNT":
            self.count = bounded(word, job_words.COUNT_MAX, "COUNT")
        elif option == b"ORDER" and word.lower() in (b"strict", _WEIGHTED) and not self.keys:
            self.weights = [] if word.lower() == _WEIGHTED else None
        elif option == b"REQUEST":
            self.request_at = at + 1
        elif option == b"WORKER":
            self.worker = job_words.text(word, "WORKER")
        elif option == b"THREAD":
            self.thread = job_words.text(word, "THREAD")
        elif option == b"QUEUES" and not self.keys:
            return self._read_queues(args, at + 2, bounded(word, job_words.QUEUES_MAX, "the number of queues"))
        else:
            raise syntax_error()
        return at + 2

    def _read_queues(self, args, at, count):
        stop = at + count * (1 if self.weights is None else 2)
        if stop > len(args):
            raise syntax_error()
        names = args[at:stop]
        if self.weights is not None:
            self.weights = [bounded(word, job_words.WEIGHT_MAX, "a weight") for word in names[1::2]]
            names = names[::2]
        self.keys = list(map(job_words.queue_key, names))
        return stop


def _reserve_of(args):
    """(_Reserve, number of the request) of the words of JOB.RESERVE.  What was read of the last ones is remembered."""
    words = tuple(args[:-1]) if args[-2] == b"REQUEST" else tuple(args)
    asked = _remembered.get(words)
    if asked is None:
        asked = _Reserve(args)
        if len(words) == len(args) and not asked.request_at or asked.request_at == len(args) - 1 == len(words):
            if len(_remembered) >= _REMEMBERED_MAX:
                _remembered.clear()
            _remembered[words] = asked
    return asked, bounded(args[asked.request_at], _REQUEST_MAX, "REQUEST") if asked.request_at else 0


def reserve(context, args):
    """Hand out jobs of several queues, and wait for one where there is none."""
    asked, request = _reserve_of(args)
    owner = context.server.jobs.owner(context.session, asked.worker, asked.thread)
    if asked.weights is None:
        found = _take_strict(context, asked.keys, owner, asked.count, request)
    else:
        found = _take_weighted(context, asked, owner, request)
    if found or not asked.waits or not asked.count:
        return found

    def attempt(context, keys):
        return _take_strict(context, keys, owner, asked.count, request) or NOBODY

    return context.block(asked.keys, asked.timeout_s, attempt, [])


def _take_strict(context, keys, owner, count, request):
    """What workers are told of up to `count` jobs of these queues, the first ones first."""
    jobs, found = context.server.jobs, []
    for key in keys:
        queue = jobs.queue(key)
        if queue is None:
            continue
        while len(found) < count:
            taken = jobs.take(context.session, key, queue, owner, request)
            if taken is None:
                break
            found.append(_handed(context, key, *taken))
        if queue.index.timers:
            jobs.note(key, queue)
        if len(found) >= count:
            break
    return found


def _take_weighted(context, asked, owner, request):
    """The same one by one, each of a queue that is drawn by weight among those that have some."""
    found, left = [], list(zip(asked.keys, asked.weights))
    while left and len(found) < asked.count:
        drawn, at = context.random_bits(53) % max(sum(weight for _, weight in left), 1), 0
        while drawn >= left[at][1] and at < len(left) - 1:
            drawn -= left[at][1]
            at += 1
        taken = _take_strict(context, left[at][:1], owner, 1, request)
        found += taken
        if not taken:
            del left[at]
    return found


def _handed(context, key, number, job, record):
    """What a worker is told about a job that he was handed."""
    _, payload, options, fixed, _ = job
    _, _, kind, attempt, receipt, priority, put_ms, _ = record
    group = job_records.group_of(fixed) if fixed else b""
    return [shown_id(context, key, number), receipt, kind, payload, attempt, options[OPTIONS.size:], group, priority,
            OPTIONS.unpack_from(options)[2], put_ms]


# -- what comes of it -------------------------------------------------------------------------------------------------


def ack(context, args):
    """The job is done."""
    if len(args) not in (2, 4):
        raise syntax_error()
    jobs = context.server.jobs
    key, queue, number, _ = jobs.reserved(args[0], job_words.receipt_of(args[1]))
    noted = {}
    if len(args) == 4:
        noted = {b"type": b"%d" % bounded(args[2], _TYPE_MAX, "type"), b"result": args[3]}
    jobs.end(key, queue, number, DONE, noted)
    jobs.let_go(key, number)
    if queue.index.timers:
        jobs.note(key, queue)
    return 1


def nack(context, args):
    """The attempt failed, or the job is given back."""
    options = job_words.named_options(args[2:], (b"FRONT", b"NOCOUNT"), (b"DELAY", b"ERROR"))
    delay_ms = job_words.milliseconds(options[b"DELAY"], "DELAY") if b"DELAY" in options else None
    jobs = context.server.jobs
    key, queue, number, _ = jobs.reserved(args[0], job_words.receipt_of(args[1]))
    state = jobs.fail(key, queue, number, options.get(b"ERROR", b""), delay_ms, b"FRONT" in options,
                      b"NOCOUNT" not in options)
    jobs.let_go(key, number)
    jobs.note(key, queue)
    return STATES[state]


def bury(context, args):
    """The job is dead at once, whatever attempts are left."""
    options = job_words.named_options(args[2:], (), (b"ERROR",))
    jobs = context.server.jobs
    key, queue, number, _ = jobs.reserved(args[0], job_words.receipt_of(args[1]))
    jobs.fail(key, queue, number, options.get(b"ERROR", b""), bury=True)
    jobs.let_go(key, number)
    jobs.note(key, queue)
    return 1


def touch(context, args):
    """The worker needs more time."""
    if len(args) > 3:
        raise syntax_error()
    ms = job_words.milliseconds(args[2], "a time") if len(args) == 3 else None
    jobs = context.server.jobs
    key, _, number, job = jobs.reserved(args[0], job_words.receipt_of(args[1]))
    return [jobs.touch(context.session, key, number, job, ms), job[0][1] & job_records.CANCEL]


def undo(context, args):
    """Give back what a request of this session was handed: nobody has seen the answer."""
    request = bounded(args[0], _REQUEST_MAX, "a request")
    return context.server.jobs.undo(context.session, request) if request else 0


_PLAIN = job_words.asked_of(())
_BLOCKING = frozenset(("blocking", "movablekeys"))

COMMANDS = (
    Command(b"JOB.PUT", put, -4, WRITE_SEVERAL_OOM | _BLOCKING, 1, 1, 1, None, job_words.keys_of_put),
    Command(b"JOB.PUTMANY", putmany, -5, WRITE_SEVERAL_OOM | _BLOCKING, 1, 1, 1, None, job_words.keys_of_putmany),
    Command(b"JOB.RESERVE", reserve, -4, WRITE_SEVERAL | _BLOCKING, 0, 0, 0, None, job_words.keys_of_reserve),
    Command(b"JOB.ACK", ack, -3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.NACK", nack, -3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.BURY", bury, -3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.TOUCH", touch, -3, WRITE_SEVERAL, 1, 1, 1),
    Command(b"JOB.UNDO", undo, 2, WRITE_SEVERAL),
)

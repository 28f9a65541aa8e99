"""nosqgrid queue, jobs: look at queues and jobs, and do to them what people do.

    nosqgrid queue list                         every queue, with its jobs by state
    nosqgrid queue stats mail                   one of them, whole
    nosqgrid queue put mail '{"to": "ada"}' -t json --delay 60
    nosqgrid queue peek mail -n 5 --state dead
    nosqgrid queue redrive mail                 dead jobs are tried again
    nosqgrid queue pause mail 600               nothing is handed out for ten minutes; resume ends that
    nosqgrid queue drain mail                   puts are refused; --off ends that
    nosqgrid queue purge mail --state dead
    nosqgrid jobs mail                          its jobs, a line each
    nosqgrid jobs --id mail:17                  one of them, whole; --cancel, --wait SECONDS
"""

import queue
import sys
import time

from ..client.grid import attach
from ..engine.structures.job_records import STATES
from ..errors import UsageError
from .keys import TYPES, parse_value
from .output import add_output_argument, jsonable, positive, write_list, write_rows, write_value

EXIT_NO = 1
_STATES = [state.decode() for state in STATES]
_SHOWN = 60  # characters of a payload in a line


def _grid(arguments):
    return attach(arguments.socket, near_cache=0)


def _queue_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.required = True
    for name, help_text, add, run in _ACTIONS:
        sub = actions.add_parser(name, help=help_text, description=help_text[:1].upper() + help_text[1:] + ".")
        if name != "list":
            sub.add_argument("queue", help="the name of the queue")
        add(sub)
        add_output_argument(sub)
        sub.set_defaults(run_action=run)


def _queue(arguments, out):
    with _grid(arguments) as grid:
        named = None if arguments.action == "list" else grid.queue(arguments.queue)
        return arguments.run_action(arguments, out, grid, named)


def _nothing(parser):
    return parser


def _list(arguments, out, grid, _):
    rows = []
    for name in grid.queues():
        stats = grid.queue(name).stats()
        rows.append((name, " ".join("%s=%d" % (state, stats[state]) for state in _STATES if stats[state])
                     + (" paused" if stats["paused"] else "") + (" draining" if stats["draining"] else "")))
    write_rows(out, rows, arguments.output)
    return 0


def _stats(arguments, out, grid, named):
    write_rows(out, named.stats().items(), arguments.output)
    return 0


def _put_arguments(parser):
    parser.add_argument("value", help="what the job is about; - reads it from standard input")
    parser.add_argument("-t", "--type", choices=TYPES, default=None, help="how to read VALUE (default: str)")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="not before so many seconds from now")
    parser.add_argument("--priority", type=int, default=0, metavar="N", help="lower ones first (default: 0)")
    parser.add_argument("--ttr", type=float, metavar="SECONDS", help="how long a worker may be silent (default: 60)")
    parser.add_argument("--retries", type=int, metavar="N", help="how often it is tried again (default: 4)")
    parser.add_argument("--unique", metavar="KEY", help="only if no job with this key is there")
    parser.add_argument("--kind", metavar="TEXT", help="what sort of job it is")


def _put(arguments, out, grid, named):
    try:
        job = named.put_nowait(parse_value(arguments.value, arguments.type), delay=arguments.delay,
                               priority=arguments.priority, ttr=arguments.ttr, retries=arguments.retries,
                               unique=arguments.unique, kind=arguments.kind)
    except queue.Full as error:
        sys.stderr.write("nosqgrid: %s\n" % error)
        return EXIT_NO
    out.write("%s\n" % job.id)
    return 0 if job.created else EXIT_NO


def _peek_arguments(parser):
    _state_argument(parser, "ready")
    parser.add_argument("-n", "--count", type=positive, default=10, metavar="N", help="how many (default: 10)")


def _state_argument(parser, default):
    parser.add_argument("--state", choices=_STATES, default=default,
                        help="the state of the jobs (default: %s)" % (default or "all that nobody has"))


def _peek(arguments, out, grid, named):
    for row in named.peek(arguments.count, arguments.state):
        write_value(out, row, "json")
    return 0


def _count(out, count):
    out.write("%d\n" % count)
    return 0 if count else EXIT_NO


def _redrive_arguments(parser):
    parser.add_argument("-n", "--count", type=positive, default=-1, metavar="N", help="how many (default: all)")


def _kick_arguments(parser):
    parser.add_argument("-n", "--count", type=positive, default=1, metavar="N", help="how many (default: 1)")


def _pause_arguments(parser):
    parser.add_argument("seconds", nargs="?", type=float, help="for how long (default: until resume)")


def _pause(arguments, out, grid, named):
    named.pause(arguments.seconds)
    return 0


def _resume(arguments, out, grid, named):
    named.resume()
    return 0


def _drain_arguments(parser):
    parser.add_argument("--off", action="store_true", help="let puts be taken again")


def _drain(arguments, out, grid, named):
    named.drain(not arguments.off)
    return 0


_ACTIONS = (
    ("list", "every queue, with its jobs by state", _nothing, _list),
    ("stats", "one queue, whole", _nothing, _stats),
    ("put", "put a job and print its id; exit status 1 where a unique one is there, or the queue is full",
     _put_arguments, _put),
    ("peek", "the first jobs in a state, a JSON object a line", _peek_arguments, _peek),
    ("redrive", "let dead jobs be tried again, and print how many", _redrive_arguments,
     lambda arguments, out, grid, named: _count(out, named.redrive(arguments.count))),
    ("kick", "let delayed jobs be ready, and print how many", _kick_arguments,
     lambda arguments, out, grid, named: _count(out, named.kick(arguments.count))),
    ("purge", "remove jobs, and print how many", lambda parser: _state_argument(parser, None),
     lambda arguments, out, grid, named: _count(out, named.purge(arguments.state))),
    ("pause", "hand nothing out for some time", _pause_arguments, _pause),
    ("resume", "hand out again", _nothing, _resume),
    ("drain", "refuse puts, so that the queue becomes empty", _drain_arguments, _drain),
    ("drop", "remove a queue with all its jobs and settings", _nothing,
     lambda arguments, out, grid, named: _count(out, int(named.drop()))),
)


def _jobs_arguments(parser):
    parser.add_argument("queue", nargs="?", help="the name of a queue")
    _state_argument(parser, None)
    parser.add_argument("-n", "--count", type=positive, default=100, metavar="N", help="of each state (default: 100)")
    parser.add_argument("--id", metavar="ID", help="one job, whole")
    parser.add_argument("--cancel", action="store_true", help="let the job not be done, and print what it is then")
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="wait until the job is finished; its result")
    add_output_argument(parser)


def _jobs(arguments, out):
    if (arguments.queue is None) == (arguments.id is None):
        raise UsageError("say which queue, or which job with --id: nosqgrid jobs mail; nosqgrid jobs --id mail:17")
    if arguments.id is None and (arguments.cancel or arguments.wait is not None):
        raise UsageError("--cancel and --wait are about one job: name it with --id")
    with _grid(arguments) as grid:
        if arguments.id is not None:
            return _one_job(arguments, out, grid.job(arguments.id))
        states = _STATES if arguments.state is None else [arguments.state]
        rows = [row for state in states for row in grid.queue(arguments.queue).peek(arguments.count, state)]
    if arguments.output == "json":
        write_value(out, rows, "json")
    else:
        write_list(out, map(_line, rows), arguments.output)
    return 0


def _one_job(arguments, out, job):
    if arguments.cancel:
        out.write("%s\n" % job.cancel())
    elif arguments.wait is not None:
        try:
            write_value(out, job.wait(arguments.wait), arguments.output)
        except TimeoutError as error:
            sys.stderr.write("nosqgrid: %s\n" % error)
            return EXIT_NO
    else:
        write_rows(out, [(name, jsonable(value)) for name, value in job.info().items()], arguments.output)
    return 0


def _line(row):
    payload = repr(row.get("payload"))
    if len(payload) > _SHOWN:
        payload = payload[:_SHOWN] + "..."
    age = max(time.time() - row["put_ms"] / 1000.0, 0.0)
    return "%-16s %-9s attempt %d, %.1f s old  %s %s" % (row["id"], row["state"], row["attempts"], age, row["kind"],
                                                        payload)


COMMANDS = (
    ("queue", "look at queues, put, redrive, purge, pause", __doc__, _queue_arguments, _queue),
    ("jobs", "the jobs of a queue, or one job", "The jobs of a queue, a line each; or one job, whole.", _jobs_arguments,
     _jobs),
)

"""nosqgrid worker: processes that run the jobs of queues."""

import os
import sys

from ..client import codec
from ..client.workers import child, worker
from ..errors import UsageError
from ..limits import CALL_TIMEOUT_S, MIB
from ..network import addresses

HELP = "run the jobs of queues"
DESCRIPTION = """Run jobs: the tasks (@grid.task) of a module, and calls of an executor.

  nosqgrid worker jobs                   the tasks in jobs.py, from the queue "default", one process a processor
  nosqgrid worker -q hi=4,lo -c 8 jobs   four of hi for one of lo while both have some; without weights: hi first
  nosqgrid worker -q mail mail:send      each job without a task is handed to the function send of mail.py

Each process takes jobs by itself. One that dies gives its job back at once, and another takes its place; one whose job
outlives its time is killed. SIGTERM and SIGINT let jobs finish, for --grace seconds; what is not done then is handed
back as if it had not been begun. A second signal ends at once. When the coordinator goes, workers wait for the next.

With --thread jobs run in threads of one process: cheaper where they wait for others, but nothing can end a job whose
time is over, or that does not end."""


def add_arguments(parser):
    """The options."""
    parser.add_argument("module", nargs="?", help="the module with the tasks, or module:function for plain jobs")
    parser.add_argument("-q", "--queue", action="append", default=[], metavar="NAME[=WEIGHT],...",
                        help="queues, in this order of preference, or by their weights (default: default)")
    parser.add_argument("-c", "--concurrency", type=int, default=0, metavar="N",
                        help="jobs at a time (default: one a processor)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--process", action="store_true", help="each in a process of its own (the default)")
    kind.add_argument("--thread", action="store_true", help="in threads of one process")
    parser.add_argument("--grace", type=float, default=30.0, metavar="SECONDS",
                        help="that jobs may take to finish after SIGTERM (default: 30)")
    parser.add_argument("--max-jobs", type=int, default=0, metavar="N",
                        help="let a process end after so many jobs, and start another")
    parser.add_argument("--max-rss", type=int, default=0, metavar="MB",
                        help="let a process end that has taken more memory, when its job is done, and start another")
    parser.add_argument("--allow", action="append", default=[], metavar="MODULE",
                        help="let calls of an executor name functions of this module or package, beside those of "
                        "MODULE")
    parser.add_argument("--pickle", action="store_true", help="read and write pickled values, as "
                        "attach(codec=\"pickle\") does")
    parser.add_argument("--verbose", action="store_true", help="a line for each job")
    parser.add_argument("--sealed-by-stdin", action="store_true", help="for executors: the first line of standard "
                        "input is a secret; run only what is sealed with it, until standard input ends")


def run(arguments, out):
    """Work; the exit status."""
    queues = queues_of(arguments.queue)
    module, _, function = (arguments.module or "").partition(":")
    count = arguments.concurrency or _processors()
    if count < 1 or not arguments.grace >= 0 or arguments.max_jobs < 0 or arguments.max_rss < 0:  # nan is not, either
        raise UsageError("--concurrency, --grace, --max-jobs and --max-rss are numbers from 0 on")
    secret = _secret_of_stdin() if arguments.sealed_by_stdin else None
    if not module and secret is None and not arguments.allow:
        raise UsageError("name the module with the tasks: nosqgrid worker MODULE")
    work = child.Work(module or None, function or None, ([module] if module else []) + arguments.allow, secret,
                      codec.codec_of(codec.PICKLE if arguments.pickle else None))
    settings = worker.settings_of(addresses.resolve(arguments.socket), queues, CALL_TIMEOUT_S, arguments.max_jobs,
                                  arguments.max_rss * MIB, arguments.verbose)
    options = worker.Options(count, count if arguments.thread else 0, arguments.grace,
                             secret is None and not arguments.verbose and sys.stderr.isatty(),
                             0 if secret is not None else -1)
    return worker.Pool(work, settings, options).run()


def queues_of(texts):
    """[(name, weight or None)] of -q hi=4,lo -q other.

    >>> queues_of(["hi=4,lo"])
    [('hi', 4), ('lo', None)]
    """
    found = []
    for part in ",".join(texts or ["default"]).split(","):
        name, equals, weight = part.partition("=")
        if not name or equals and not (weight.isdigit() and 0 < int(weight) <= 10 ** 6):
            raise UsageError("-q %s: names of queues with commas between, each with =weight if it has one" % part)
        found.append((name, int(weight) if equals else None))
    return found


def _processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _secret_of_stdin():
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            raise UsageError("standard input ended before a secret came")
        line += piece
    return bytes.fromhex(line.decode("ascii").strip())


COMMANDS = (("worker", HELP, DESCRIPTION, add_arguments, run),)

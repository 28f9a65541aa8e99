"""`nosqgrid demo`: a word index of real source files, built by a pool of processes that share one grid.

The sources are those of the standard library of the Python that runs this.  A pool of workers counts the words of each
file and caches the counts in the grid (cli/demo_pool).  New processes do it again and find everything.  Then the counts
are merged into an index, which is stored too, a key for each word, and asked for some words.

On the way one worker is killed with SIGKILL while it works.  At the end the index is compared with what one process
counts without any cache: a word too many or too few, and the demo fails.

The same two passes run on multiprocessing.Manager().dict(), which is what the standard library offers for this; on a
slow machine on a part of the files, with the seconds scaled up, and the table says so.  Processes are started before a
clock starts.  The times of single operations are medians of what the workers measured while they worked.
"""

import multiprocessing
import os
import random
import time

import nosqgrid
from ..client import launcher
from ..errors import NosqgridError
from . import demo_pool

SHOWN_WORDS = ("lambda", "yield", "nonlocal")
MEMORY = "256m"
WORKERS_MIN, WORKERS_MAX = 3, 8
MANAGER_BUDGET_S = 4.0  # of one pass; beyond, a part of the files has to do
LOOKUPS, LOOKUPS_MANAGER = 10000, 1000


def add_arguments(parser):
    """Add the demo's arguments to an argparse parser."""
    parser.add_argument("--workers", type=int, metavar="N", default=default_workers(os.cpu_count() or 1),
                        help="worker processes, at least 2 because one is killed (default: %(default)s)")
    parser.add_argument("--directory", metavar="DIR", default=os.path.dirname(os.__file__),
                        help="index the *.py files below DIR (default: the standard library)")
    parser.add_argument("--start-method", choices=multiprocessing.get_all_start_methods(), default=None,
                        help="how worker processes are started (default: as this Python does)")


def default_workers(cores):
    """One worker more than cores, because one will be killed.

    >>> default_workers(2), default_workers(64)
    (3, 8)
    """
    return min(WORKERS_MAX, max(WORKERS_MIN, cores + 1))


def run(arguments, out):
    """Run the demo and print to `out`; returns the exit code, 1 when something failed."""
    show = Progress(out)
    try:
        if arguments.workers < 2:
            raise demo_pool.DemoError("--workers must be at least 2, because one of them is killed")
        sources = demo_pool.find_sources(arguments.directory)
        if len(sources) < 2 * arguments.workers:
            raise demo_pool.DemoError("only %d *.py files below %s: too few to share out" % (len(sources),
                                                                                          arguments.directory))
        context = multiprocessing.get_context(arguments.start_method)
        out.write("%d files of %s, %d worker processes, one grid\n" % (len(sources), arguments.directory,
                                                                      arguments.workers))
        tell(context, arguments.workers, sources, show)
    except (demo_pool.DemoError, NosqgridError, OSError) as error:
        show.clear()
        out.write("demo: %s\n" % error)
        return 1
    return 0


def tell(context, workers, sources, show):
    """Everything, in order, and the table at the end."""
    with launcher.start(memory=MEMORY) as launched:
        grid_cold, killed = run_pass(context, workers, ("grid", launched.address), sources, show, "grid, cold", True)
        show.say(describe_kill(killed))
        grid_warm, _ = run_pass(context, workers, ("grid", launched.address), sources, show, "grid, warm")
        if grid_warm.found != len(sources):
            raise demo_pool.DemoError("the second pass found only %d of %d files" % (grid_warm.found, len(sources)))
        show("merging and storing the index")
        with nosqgrid.attach(launched.address) as grid:
            index = demo_pool.merge(stored_counts(grid, sources))
            show.say(store_index(grid, index))
            words = random.Random(1).sample(sorted(index), min(LOOKUPS, len(index)))
            first_us = time_lookups(grid.get, words)
            time_lookups(grid.get, words[:100] * 20)  # fills the near cache
            again_us = time_lookups(grid.get, words[:100] * 20)
            shown = [(word, grid.get("word:" + word, "0 0")) for word in SHOWN_WORDS]
    single_s = check_against_one_process(index, sources, show)
    part = demo_pool.part_for(sources, grid_cold.seconds, MANAGER_BUDGET_S)
    with context.Manager() as manager:
        store = ("manager", manager.dict())
        manager_cold, _ = run_pass(context, workers, store, part, show, "Manager, cold")
        manager_warm, _ = run_pass(context, workers, store, part, show, "Manager, warm")
        show("looking words up in the Manager")
        store[1].update(index_entries({word: index[word] for word in words}))
        manager_us = time_lookups(store[1].get, words[:LOOKUPS_MANAGER])
    show.say(table(len(sources), single_s, (grid_cold, grid_warm), (manager_cold, manager_warm)))
    show.say(describe_lookups(shown, first_us, again_us, manager_us))


def run_pass(context, workers, store, sources, show, name, kill=False):
    """Start a pool, run one pass over the sources, end the pool."""
    with demo_pool.Pool(context, workers, *store) as pool:
        return pool.run(sources, lambda done, of: show("%s: %d of %d files" % (name, done, of)), kill)


def stored_counts(grid, sources):
    """The counts of each source that the workers left in the grid."""
    for source in sources:
        packed = grid.get(source.key)
        if packed is None:
            raise demo_pool.DemoError("the grid has lost the words of %s" % source.path)
        yield demo_pool.unpack_counts(packed)


def index_entries(index):
    """What is stored of an index: text again, for clients of any kind.

    >>> index_entries({"yield": (2, 7)})
    {'word:yield': '2 7'}
    """
    return {"word:" + word: "%d %d" % found for word, found in index.items()}


def store_index(grid, index):
    """Store a key for each word; returns what to say about it."""
    entries = index_entries(index)
    begun = time.perf_counter()
    grid.set_many(entries)
    seconds = time.perf_counter() - begun
    return "index: {:,} words stored with set_many in {:.2f} s, {:.1f} us each\n".format(
        len(index), seconds, seconds * 1e6 / len(index))


def time_lookups(get, words):
    """Microseconds a lookup, on average over all words; every one of them must be there."""
    keys = ["word:" + word for word in words]
    begun = time.perf_counter()
    for key in keys:
        if get(key) is None:
            raise demo_pool.DemoError("%r is not in the index" % key)
    return (time.perf_counter() - begun) * 1e6 / len(keys)


def check_against_one_process(index, sources, show):
    """Count everything again in this process alone; returns its seconds, raises DemoError unless the same comes out."""
    show("counting everything once more in a single process, to compare")
    begun = time.perf_counter()
    counts = [demo_pool.count_words(demo_pool.read_source(source.path)) for source in sources]
    seconds = time.perf_counter() - begun
    expected = demo_pool.merge(count.items() for count in counts)
    if index != expected:
        wrong = [word for word in set(index) | set(expected) if index.get(word) != expected.get(word)]
        raise demo_pool.DemoError("the index differs from a single process's count in %d words, for example %r" % (
            len(wrong), sorted(wrong)[0]))
    show.say("nothing lost: {:,} words, {:,} different, exactly what a single process counts\n".format(
        sum(count for _, count in index.values()), len(index)))
    return seconds


# -- what is printed -----------------------------------------------------------------------------------------------


class Progress:
    """A line that is written over again and again on a terminal, and not at all elsewhere."""

    def __init__(self, out):
        self._out = out
        self._terminal = out.isatty()

    def __call__(self, text):
        if self._terminal:
            self._out.write("\r\033[K" + text)
            self._out.flush()

    def clear(self):
        """Take the line away."""
        self("")

    def say(self, text):
        """Print something that stays."""
        self.clear()
        self._out.write(text)
        self._out.flush()


def describe_kill(killed):
    """What became of the killed worker's share."""
    fate = "another one redid them, %d were in the grid already" % killed.found if killed.redone else \
        "which it had just reported"
    return "worker %d was killed (SIGKILL) with batch %d in its hand, %d files: %s; the other %d went on\n" % (
        killed.pid, killed.batch, killed.files, fate, killed.others)


def times(manager_us, grid_us):
    """How many times as long the Manager takes.

    >>> times(40.0, 1.0), times(6.0, 4.0)
    ('40x', '1.5x')
    """
    ratio = manager_us / grid_us
    return "%.0fx" % ratio if ratio >= 10 else "%.1fx" % ratio


def table(files, single_s, grid, manager):
    """The table at the end; grid and manager are pairs of Pass, cold and warm, the Manager's of a part of the files."""
    rows = [("", "files", "seconds", "us a get", "us a set"),
            ("one process, no cache", str(files), "%.2f" % single_s, "-", "-")]
    for name, passes in (("grid", grid), ("Manager", manager)):
        for kind, measured in zip(("cold", "warm"), passes):
            scale = float(files) / measured.files
            rows.append(("%s, %s%s" % (name, kind, "" if scale == 1 else " *"), str(measured.files),
                         "%.2f" % (measured.seconds * scale), "%.1f" % measured.get_us,
                         "-" if measured.set_us is None else "%.1f" % measured.set_us))
    rows.append(("Manager takes", "", "", times(manager[1].get_us, grid[1].get_us),
                 times(manager[0].set_us, grid[0].set_us)))
    widths = [max(len(row[index]) for row in rows) for index in range(5)]
    lines = ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
             for row in rows]
    if manager[0].files != files:
        lines.append("* measured on %d of the %d files, seconds scaled up" % (manager[0].files, files))
    lines.append("cold: words counted and stored; warm: new processes find every file's counts; a value is %s"
                 % "the counts of one file as text")
    return "\n" + "\n".join(line.rstrip() for line in lines) + "\n"


def describe_lookups(shown, first_us, again_us, manager_us):
    """What the index says, and how long it takes to ask it."""
    lines = [""]
    width = max(len(word) for word, _ in shown)
    for word, found in shown:
        lines.append("%s  in %s files, %s times" % ((word.ljust(width),) + tuple(found.split())))
    lines.append("one lookup: %.1f us at first, %.2f us when asked often (near cache); the Manager takes %.0f us, %s"
                 % (first_us, again_us, manager_us, times(manager_us, first_us)))
    return "\n".join(lines) + "\n"


COMMANDS = (("demo", "see it work, in half a minute", __doc__, add_arguments, run),)

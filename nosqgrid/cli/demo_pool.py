"""What the demo does with source files: the words of one, a worker process that indexes batches of them, and a pool.

The counts of each file are cached in a store (a grid, or a Manager's dict: whatever has get and set) under the path,
size and time of the file, as text, one line a word, so that a client in any language could read them.

A kill -9 of a worker leaves what it had stored in the store.  The batch in its hand was not reported, so the pool gives
it to another worker, which finds in the store what was already done of it.
"""

import collections
import multiprocessing.connection
import os
import re
import signal
import statistics
import time

import nosqgrid
from ..errors import NosqgridError

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]+")
SKIPPED_FOLDERS = ("site-packages", "dist-packages", "__pycache__")
BATCH_FILES = 24
START_TIMEOUT_S = 30.0

Source = collections.namedtuple("Source", "key path")
Report = collections.namedtuple("Report", "found get_s set_s")  # files found in the store; seconds of each get and set
Pass = collections.namedtuple("Pass", "files seconds found get_us set_us")
Killed = collections.namedtuple("Killed", "pid batch files redone found others")


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


# -- words ---------------------------------------------------------------------------------------------------------


def find_sources(directory):
    """Each *.py below a directory as a Source, in a fixed order; installed packages are left out."""
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for path in (os.path.join(folder, name) for name in sorted(names) if name.endswith(".py")):
            if os.path.isfile(path):
                status = os.stat(path)
                key = b"words:%d:%d:" % (status.st_size, status.st_mtime_ns) + os.fsencode(path)
                found.append(Source(key, path))
    return found


def count_words(text):
    """How often each word (an identifier of two letters or more) stands in a text.

    >>> sorted(count_words("x = lambda_1 + lambda_1").items())
    [('lambda_1', 2)]
    """
    return collections.Counter(WORD.findall(text))


def pack_counts(counts):
    """Counts as text, one line a word.

    >>> pack_counts({"yield": 3})
    'yield 3'
    """
    return "\n".join("%s %d" % item for item in counts.items())


def unpack_counts(text):
    """The counts of pack_counts, as (word, count) pairs."""
    for line in text.splitlines():
        word, _, count = line.partition(" ")
        yield word, int(count)


def read_source(path):
    """A source file as text; one that cannot be read has no words."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def merge(counts_of_files):
    """An index {word: (files it stands in, times)} of the counts of many files."""
    files, times = collections.Counter(), collections.Counter()
    for counts in counts_of_files:
        for word, count in counts:
            files[word] += 1
            times[word] += count
    return {word: (files[word], times[word]) for word in files}


def split(items, size):
    """Lists of at most `size` of the items, in order."""
    return [items[begin:begin + size] for begin in range(0, len(items), size)]


def part_for(sources, seconds, budget_s):
    """As many of the sources, evenly picked, as take at most `budget_s` if all took `seconds`."""
    return sources[::max(1, -int(-seconds // budget_s))]


# -- a worker process ----------------------------------------------------------------------------------------------


def work(connection, kind, where, inherited):
    """Main function of a worker: takes batches of sources from the pipe and reports each, until None or its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted as well, and ends us
    for end in inherited:  # while a copy of the parent's end is open here, the death of the parent would not show
        end.close()
    try:
        if kind == "grid":
            with nosqgrid.attach(where) as grid:
                take_batches(connection, grid.get, grid.set)
        else:
            take_batches(connection, where.get, where.__setitem__)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        return  # the parent is gone


def take_batches(connection, get, set_):
    """Answer batches until None comes, each with a Report or the text of what went wrong."""
    connection.send("ready")
    for batch in iter(connection.recv, None):
        try:
            connection.send(index_batch(batch, get, set_))
        except NosqgridError as error:
            connection.send("%s: %s" % (type(error).__name__, error))


def index_batch(batch, get, set_, clock=time.perf_counter):
    """See that the store has the counts of each source of a batch; returns a Report."""
    found, get_s, set_s = 0, [], []
    for source in batch:
        begun = clock()
        packed = get(source.key)
        get_s.append(clock() - begun)
        if packed is not None:
            found += 1
            continue
        packed = pack_counts(count_words(read_source(source.path)))
        begun = clock()
        set_(source.key, packed)
        set_s.append(clock() - begun)
    return Report(found, get_s, set_s)


# -- the pool ------------------------------------------------------------------------------------------------------


class Pool:
    """Workers, each with a pipe and at most one batch in hand.  One that dies gives its batch back.

    multiprocessing.Pool would wait for ever for what a killed worker had in hand.
    """

    def __init__(self, context, count, kind, where):
        self.processes = {}  # our end of the pipe -> Process
        try:
            for _ in range(count):
                ours, theirs = context.Pipe()
                inherited = list(self.processes) + [ours] if context.get_start_method() == "fork" else []
                process = context.Process(target=work, args=(theirs, kind, where, inherited))
                process.start()
                theirs.close()
                self.processes[ours] = process
            for connection in self.processes:
                if not connection.poll(START_TIMEOUT_S) or connection.recv() != "ready":
                    raise DemoError("a worker process did not get ready")
        except EOFError:
            self.close()
            raise DemoError("a worker process ended before it was ready") from None
        except BaseException:
            self.close()
            raise

    def run(self, sources, progress, kill=False):
        """One pass over the sources; with `kill`, a worker is killed after a third.  Returns (Pass, Killed or None)."""
        batches = split(sources, BATCH_FILES)
        waiting, in_hand, reports = list(range(len(batches)))[::-1], {}, {}
        victim, redone, others = None, set(), len(self.processes) - 1
        begun = time.perf_counter()
        while len(reports) < len(batches):
            self._hand_out(batches, waiting, in_hand)
            if not in_hand:
                raise DemoError("every worker process has ended")
            if kill and victim is None and len(reports) * 3 >= len(batches):
                connection, number = next(iter(in_hand.items()))
                victim = self.processes[connection].pid, number
                os.kill(victim[0], signal.SIGKILL)
            for connection in multiprocessing.connection.wait(list(in_hand)):
                number = in_hand.pop(connection)
                try:
                    reports[number] = connection.recv()
                except (EOFError, OSError):
                    waiting.append(number)
                    redone.add(number)
                    self._bury(connection)
                    continue
                if isinstance(reports[number], str):
                    raise DemoError("a worker failed: " + reports[number])
            progress(min(len(reports) * BATCH_FILES, len(sources)), len(sources))
        seconds = time.perf_counter() - begun
        killed = victim and Killed(victim[0], victim[1] + 1, len(batches[victim[1]]), victim[1] in redone,
                                   reports[victim[1]].found, others)
        return summarise(len(sources), seconds, reports.values()), killed

    def _hand_out(self, batches, waiting, in_hand):
        for connection in list(self.processes):
            if waiting and connection not in in_hand:
                try:
                    connection.send(batches[waiting[-1]])
                except OSError:
                    self._bury(connection)
                else:
                    in_hand[connection] = waiting.pop()

    def _bury(self, connection):
        process = self.processes.pop(connection)
        connection.close()
        process.join()

    def close(self):
        """End all workers and wait for their end."""
        for connection in self.processes:
            connection.close()  # they read the end of the pipe
        for process in self.processes.values():
            process.join(5)
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
        self.processes = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def summarise(files, seconds, reports):
    """The Pass that some Reports amount to."""
    get_s = [value for report in reports for value in report.get_s]
    set_s = [value for report in reports for value in report.set_s]
    return Pass(files, seconds, sum(report.found for report in reports), statistics.median(get_s) * 1e6,
                statistics.median(set_s) * 1e6 if set_s else None)

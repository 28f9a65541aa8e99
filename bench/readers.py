"""N reader processes, with nobody or one busy writer beside them: how reading scales and what a writer costs it.

Two numbers for each round: gets a second of all readers together by the wall clock, and the processor time of one get.
The second is what a writer costs the readers themselves.  The first also falls when readers, the writer and a server
process share fewer cores than there are of them, which is no fault of the store; so the writer's cost is judged by the
second.

Every process is a fresh interpreter (spawn) that connects by itself; it is started once and waits for its rounds, so
that start-up is in no number.  It ends when it is told to, or when its pipe does.
"""

import collections
import contextlib
import multiprocessing
import time

from . import rivals, timing, workloads

READY_TIMEOUT_S = 60.0
CHUNK = 200  # gets between two looks at the clock
JOIN_TIMEOUT_S = 10.0

Round = collections.namedtuple("Round", "readers writers gets_per_s get_cpu_s sets_per_s")  # three Timings


def reader_counts(cores):
    """How many readers are measured: one, then doubling to the cores (two at least).

    >>> reader_counts(6)
    [1, 2, 4, 6]
    """
    counts, count = [1], 2
    while count < cores:
        counts.append(count)
        count *= 2
    return counts + [max(2, cores)]


# -- in the child --------------------------------------------------------------------------------------------------


def serve_rounds(connection, class_name, address, dataset, seed):
    """Main function of a child: connects, says so, and carries out rounds until None or the end of the pipe."""
    rival = getattr(rivals, class_name)()
    rival.connect(address)
    sequence = workloads.uniform(dataset.key_count, seed=seed)
    value = workloads.make_value(dataset.value_size_bytes)
    try:
        connection.send("ready")
        for task in iter(connection.recv, None):
            kind, seconds = task
            if kind == "read":
                connection.send(_read(rival, sequence, seconds))
            else:
                connection.send(_write(rival, sequence, value, connection))
    except (EOFError, BrokenPipeError):
        return  # the parent is gone, and with it whoever wanted to know
    finally:
        rival.close()


def _read(rival, sequence, seconds):
    count = 0
    rival.loop_get(sequence.take(CHUNK))
    cpu, begun = time.process_time(), time.perf_counter()
    now = begun
    while now - begun < seconds:
        rival.loop_get(sequence.take(CHUNK))
        count += CHUNK
        now = time.perf_counter()
    return count, now - begun, time.process_time() - cpu


def _write(rival, sequence, value, connection):
    count = 0
    cpu, begun = time.process_time(), time.perf_counter()
    while not connection.poll():
        rival.loop_set(sequence.take(CHUNK // 10), value)
        count += CHUNK // 10
    connection.recv()
    return count, time.perf_counter() - begun, time.process_time() - cpu


# -- in the parent -------------------------------------------------------------------------------------------------


class Crew:
    """The children of one rival: the first is the writer, the others read.  A context manager that ends them."""

    def __init__(self, class_name, address, dataset, reader_count):
        context = multiprocessing.get_context("spawn")
        self.processes, self.connections = [], []
        for seed in range(reader_count + 1):
            connection, theirs = context.Pipe()
            process = context.Process(target=serve_rounds, args=(theirs, class_name, address, dataset, seed))
            process.start()
            theirs.close()
            self.processes.append(process)
            self.connections.append(connection)

    def wait_until_ready(self):
        """Raise Absent unless all have connected."""
        for connection in self.connections:
            if not connection.poll(READY_TIMEOUT_S):
                raise rivals.Absent("a reader process does not get ready")
            connection.recv()

    def round(self, reader_count, writer_count, seconds):
        """One measurement: (gets a second, processor seconds a get, sets a second)."""
        readers = self.connections[1:reader_count + 1]
        if writer_count:
            self.start_writer()
        for connection in readers:
            connection.send(("read", seconds))
        results = [connection.recv() for connection in readers]
        sets_per_s = self.stop_writer() if writer_count else 0.0
        gets_per_s = sum(count / wall for count, wall, _ in results)
        return gets_per_s, sum(result[2] for result in results) / sum(result[0] for result in results), sets_per_s

    def start_writer(self):
        """Let the first child overwrite until stop_writer()."""
        self.connections[0].send(("write", 0.0))
        time.sleep(0.02)

    def stop_writer(self):
        """Sets a second that it did meanwhile."""
        self.connections[0].send("stop")
        count, wall, _ = self.connections[0].recv()
        return count / wall

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            _send_end(connection)
        for process in self.processes:
            process.join(JOIN_TIMEOUT_S)
            if process.is_alive():
                process.terminate()
                process.join()
        for connection in self.connections:
            connection.close()


def _send_end(connection):
    try:
        connection.send(None)
    except OSError:
        return False  # it has ended already
    return True


def measure(contenders, dataset, counts, seconds, repeats):
    """Measure several rivals in turns.

    Args:
        contenders: list of (rival, address), already filled with the dataset.
        counts: numbers of readers.
        seconds: of one round.
    Returns: {rival name: [Round]}, and [(rival name, reason)] for those whose readers could not be started.
    """
    samples, skipped, running = collections.defaultdict(list), [], []
    with contextlib.ExitStack() as stack:
        crews = [(rival.name, stack.enter_context(Crew(type(rival).__name__, address, dataset, max(counts))))
                 for rival, address in contenders]
        for name, crew in crews:
            try:
                crew.wait_until_ready()
                running.append((name, crew))
            except (rivals.Absent, EOFError) as error:
                skipped.append((name, str(error) or "a reader process ended"))
        for _ in range(repeats):
            for name, crew in running:
                for count in counts:
                    for writers in (0, 1):
                        samples[name, count, writers].append(crew.round(count, writers, seconds))
    return {name: [_summarise(samples[name, count, writers], count, writers) for count in counts for writers in (0, 1)]
            for name, _ in running}, skipped


def _summarise(samples, readers, writers):
    columns = [timing.summary(column) for column in zip(*samples)]
    return Round(readers, writers, *columns)


def find(rounds, readers, writers):
    """The round with so many of each, or None."""
    for entry in rounds:
        if (entry.readers, entry.writers) == (readers, writers):
            return entry
    return None


def scaling(rounds, readers):
    """How many times one reader's speed so many readers reach together, nobody writing."""
    return find(rounds, readers, 0).gets_per_s.median / find(rounds, 1, 0).gets_per_s.median


def writer_cost(rounds, readers):
    """By what share a get takes more processor time when one writer is busy (0.1 = 10 %)."""
    return find(rounds, readers, 1).get_cpu_s.median / find(rounds, readers, 0).get_cpu_s.median - 1.0

"""`python3 -m bench locks`: locks beside those that programs use instead.

acquire + release   by one process, nobody else wants it
hand-over           four processes want it all the time and keep it for a millisecond: from the release to the next one
                    having it; how long they wait, against the three holds that a perfect queue makes one wait; and how
                    many grants went to the one who had asked first

Each rival as it comes: redis-py's Lock asks again every 100 ms, filelock every 50.  Clocks of processes are the same
CLOCK_MONOTONIC.  A hold is busy, so that a processor that sleeps is not measured.
"""

import collections
import multiprocessing
import os
import time

from . import report, rivals, side_by_side, timing

PROCESSES = 4
HOLD_S = 0.001
PAIR = "acquire + release"
JOIN_S = 60.0

Turn = collections.namedtuple("Turn", "asked had released who")  # monotonic seconds
HandOver = collections.namedtuple("HandOver", "gap wait turns in_order")  # two Latency, a number, a share


class OurLock(side_by_side.Ours):
    """grid.lock."""

    def connect(self, address):
        super().connect(address)
        self.lock = self.grid.lock("bench")


class RedisLock(side_by_side.OnRedis):
    """redis-py's Lock, with a timeout, as one has to be given where holders may die."""

    name = "redis-py Lock"

    def connect(self, address):
        super().connect(address)
        self.lock = self.client.lock("bench", timeout=10)


class FileLock(rivals.Rival):
    """filelock, on tmpfs."""

    name = "filelock"

    def start(self, folder):
        rivals.import_rival("filelock")
        return os.path.join(folder, "lock")

    def connect(self, address):
        self.lock = rivals.import_rival("filelock").FileLock(address)

    def close(self):
        """Its file goes with the folder."""


class ProcessLock(rivals.Rival):
    """multiprocessing.Lock: a semaphore; who dies with it has it for ever."""

    name = "multiprocessing.Lock"

    def start(self, folder):
        self.lock = multiprocessing.get_context("fork").Lock()

    def connect(self, address):
        """Inherited by fork."""


class ManagerLock(rivals.Rival):
    """multiprocessing.Manager().Lock()."""

    name = "Manager().Lock()"

    def __init__(self):
        self._manager = None

    def start(self, folder):
        self._manager = multiprocessing.Manager()
        self.lock = self._manager.Lock()

    def connect(self, address):
        """Inherited by fork."""

    def close(self):
        if self._manager is not None:
            self._manager.shutdown()


ALL = (OurLock, RedisLock, FileLock, ProcessLock, ManagerLock)


def run(plan, progress=lambda text: None, classes=ALL):
    """Measure; a side_by_side.Result.  Raises Absent where nosqgrid cannot be started."""
    result, found = side_by_side.Result("locks", plan), collections.OrderedDict()
    with side_by_side.opened(result, classes) as opened:
        if report.OURS in result.skipped:
            raise rivals.Absent(result.skipped[report.OURS])
        progress(PAIR)
        side_by_side.measure(result, PAIR, [(rival.name, _pairs(rival.lock)) for rival in opened])
        for rival in opened:
            progress("hand-over, %s" % rival.name)
            try:
                found[rival.name] = hand_over(contend(rival, plan.contend_s))
            except rivals.Absent as absent:
                result.skipped["hand-over of %s" % rival.name] = str(absent)
    result.sections.append(("Hand-over: %d processes, each holds %g ms" % (PROCESSES, HOLD_S * 1000), table(found)))
    return result


def _pairs(lock):
    def prepare(count):
        def body():
            acquire, release = lock.acquire, lock.release
            for _ in range(count):
                acquire()
                release()
        return body
    return prepare


def contend(rival, seconds):
    """[Turn] of processes that want a rival's lock for so long, in the order in which they had it."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(PROCESSES)
    pipes, processes = [], []
    try:
        for number in range(PROCESSES):
            mine, theirs = context.Pipe(False)
            pipes.append(mine)
            processes.append(context.Process(target=_want, args=(rival, barrier, seconds, number, theirs)))
            processes[-1].start()
            theirs.close()
        turns = []
        for pipe in pipes:
            if not pipe.poll(JOIN_S + seconds):
                raise rivals.Absent("a process did not end in time")
            turns += [Turn(*turn) for turn in pipe.recv()]
    except EOFError as error:
        raise rivals.Absent("a process failed") from error
    finally:
        for process in processes:
            process.join(1.0)
            if process.is_alive():
                process.terminate()
                process.join()
        for pipe in pipes:
            pipe.close()
    return sorted(turns, key=lambda turn: turn.had)


def _want(rival, barrier, seconds, number, pipe):
    rival.connect(rival.address)
    lock, clock, turns = rival.lock, time.monotonic, []
    barrier.wait(JOIN_S)
    end = clock() + seconds
    while clock() < end:
        asked = clock()
        lock.acquire()
        had = clock()
        while clock() < had + HOLD_S:
            continue
        released = clock()
        lock.release()
        turns.append((asked, had, released, number))
    pipe.send(turns)
    pipe.close()
    os._exit(0)  # what was started belongs to the parent: nothing of it is to be closed here


def hand_over(turns):
    """HandOver of turns in the order in which they were had.

    >>> hand_over([Turn(0, 0, 5, 1), Turn(1, 6, 8, 2), Turn(9, 10, 11, 1)])
    HandOver(gap=Latency(p50=1, p99=1, max=1), wait=Latency(p50=1, p99=5, max=5), turns=3, in_order=1.0)
    """
    if len(turns) < 2:
        raise rivals.Absent("nobody had it twice in that time")
    gaps, in_order = [], 0
    for number, (before, turn) in enumerate(zip(turns, turns[1:]), 1):
        if turn.asked < before.released:  # else nobody waited for it
            gaps.append(max(turn.had - before.released, 0))
        others = {}
        for later in turns[number + 1:number + 8 * PROCESSES]:
            if later.who != turn.who:
                others.setdefault(later.who, later.asked)
        in_order += all(turn.asked <= asked for asked in others.values())
    gaps = gaps or [turn.had - before.released for before, turn in zip(turns, turns[1:])]
    return HandOver(timing.percentiles(gaps), timing.percentiles([turn.had - turn.asked for turn in turns]), len(turns),
                    in_order / (len(turns) - 1.0))


def table(found):
    """The rows of {name: HandOver}."""
    perfect = (PROCESSES - 1) * HOLD_S
    rows = [(name, report.microseconds(each.gap.p50), report.microseconds(each.gap.p99),
             report.short(each.wait.p50 / perfect), report.short(each.wait.p99 / perfect),
             report.short(each.wait.max / perfect), "%.0f %%" % (100 * each.in_order), str(each.turns))
            for name, each in found.items()]
    return report.format_table(("rival", "gap p50 us", "gap p99 us", "wait p50 / perfect", "wait p99 / perfect",
                                "longest / perfect", "in order", "turns"), rows)

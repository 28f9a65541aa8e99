"""How full a grid may be, and what that costs: overwriting for turnovers on end, on the engine itself in one process.

A heap is filled until live records take a part of it (the utilisation), and then keys are overwritten, deleted and set
again until ten times its bytes were written.  Frames are applied as the coordinator applies a lane's: many a turn, and
one slice of work behind each turn.  Making the frames is not timed.

Reported for each case, of what came behind the first two turnovers: writes refused, throughput, the part of the time
spent in Cleaner.step, bytes moved for each byte written, the throughput as a part of that of the same workload at the
lowest utilisation, and the longest slice of work and the longest single call that applies frames.  All of it in time of
the processor: how long others had it says nothing about the engine.
"""

import bisect
import collections
import itertools
import math
import mmap
import random
import time

from nosqgrid.engine.frames import frame_end
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.errors import GridFullError
from nosqgrid.formats import arena, hashing, records
from nosqgrid.limits import KIB, MIB

from .workloads import SEED, ZIPF_EXPONENT

Plan = collections.namedtuple("Plan", "cases turnovers")
Case = collections.namedtuple("Case", "memory_mib values order utilisation")
Outcome = collections.namedtuple("Outcome",
                                 "refused writes written_bytes seconds cleaning_s moved_bytes slice_s call_s")

MIXED, SMALL = "10 B - 100 KB", "100 B"
UNIFORM, ZIPF = "uniform", "zipf"
UTILISATIONS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
TURN_BYTES, TURN_FRAMES = 64 * KIB, 64  # of frames, as many as a busy client has posted when the coordinator looks
WARM_TURNOVERS = 2
SIZE_MIN, SIZE_MAX = 10, 100 * 1000

GOAL = 0.7  # of the throughput at the lowest utilisation, at 85 %


def _cases(memory_mib, values, order, utilisations):
    return [Case(memory_mib, values, order, utilisation) for utilisation in utilisations]


SOME, ENDS = (0.5, 0.7, 0.85, 0.9, 0.95), (0.5, 0.85)
QUICK = Plan(_cases(16, MIXED, UNIFORM, ENDS), 4)
FULL = Plan(_cases(256, MIXED, UNIFORM, UTILISATIONS) + _cases(64, MIXED, UNIFORM, SOME)
            + _cases(16, MIXED, UNIFORM, SOME) + _cases(64, MIXED, ZIPF, ENDS) + _cases(16, SMALL, UNIFORM, ENDS)
            + _cases(16, SMALL, ZIPF, ENDS) + _cases(64, SMALL, UNIFORM, ENDS), 10)


class Grid(object):
    """An engine over anonymous memory that counts what its cleaner takes."""

    def __init__(self, memory_bytes):
        secret = hashing.new_secret(random.Random(SEED).getrandbits)
        header = arena.Header(arena.Layout(memory_bytes), secret, 1, 1, 0)
        self._memory = mmap.mmap(-1, header.layout.arena_size_bytes)
        packed = arena.pack_header(header)
        self._memory[:len(packed)] = packed
        self._words = memoryview(self._memory).cast("Q")
        self.keyspace = Keyspace(self._words, self._memory, header, lambda offset, length: None, lambda: 0)
        self.heap_bytes = self.keyspace.heap.count << self.keyspace.heap.segment_shift
        self.cleaning_s = 0.0
        self._count_cleaning()

    def _count_cleaning(self):
        step, clock = self.keyspace.cleaner.step, time.process_time

        def counted(*arguments):
            begun = clock()
            try:
                return step(*arguments)
            finally:
                self.cleaning_s += clock() - begun
        self.keyspace.cleaner.step = counted


class Load(object):
    """Which key is set to how many bytes next, so that what lives stays at a share of the heap."""

    def __init__(self, case, heap_bytes):
        self._random = random.Random(SEED)
        self._sizes = SIZE_MIN, SIZE_MAX
        mean = (SIZE_MAX - SIZE_MIN) / math.log(SIZE_MAX / float(SIZE_MIN)) + 36
        if case.values == SMALL:
            self._sizes, mean = (100, 100), 136
        self.target_bytes = int(case.utilisation * heap_bytes)
        self.key_count = max(4, int(self.target_bytes / mean * 1.02))
        self._values = bytes(bytearray(self._random.getrandbits(8) for _ in range(4096))) * (SIZE_MAX // 4096 + 2)
        self._next = self._uniform if case.order == UNIFORM else self._zipf()
        self.live = [0] * self.key_count
        self.live_bytes = 0

    def _uniform(self):
        return int(self._random.random() * self.key_count)

    def _zipf(self):
        ranks = list(range(self.key_count))
        self._random.shuffle(ranks)
        weights = list(itertools.accumulate(1.0 / rank ** ZIPF_EXPONENT for rank in range(1, self.key_count + 1)))
        draw, total, find, last = self._random.random, weights[-1], bisect.bisect_left, self.key_count - 1
        return lambda: ranks[min(last, find(weights, draw() * total))]

    def _size(self):
        low, high = self._sizes
        return low if low == high else int(low * math.exp(self._random.random() * math.log(high / float(low))))

    @staticmethod
    def key(number):
        return b"key:%012d" % number

    def frame(self, number):
        """(frame, its record's bytes) of a new value for a key."""
        size = self._size()
        at = int(self._random.random() * 4096)
        frame = records.pack_body(self.key(number), self._values[at:at + size], 1)
        return frame, records.record_size_bytes(16, size, 0)

    def turn(self):
        """(keys to delete, frames, their records' bytes) of what is done next."""
        deleted, frames, frames_bytes, written = [], [], 0, 0
        while frames_bytes < TURN_BYTES and len(frames) < TURN_FRAMES:
            number = self._next()
            frame, size = self.frame(number)
            self.live_bytes += size - self.live[number]
            self.live[number] = size
            frames.append(frame)
            frames_bytes += len(frame)
            written += size
        while self.live_bytes > self.target_bytes:
            doomed = self._uniform()
            if self.live[doomed]:
                self.live_bytes -= self.live[doomed]
                self.live[doomed] = 0
                deleted.append(self.key(doomed))
        return frames, deleted, written


def serve(keyspace, data):
    """Apply frames as coordinator/lane_service does: how many were refused, and the longest call in seconds."""
    clock, refused, longest, position, end = time.process_time, 0, 0.0, 0, len(data)
    while position < end:
        begun = clock()
        position = keyspace.apply_sets(data, position, end)
        if position < end:
            first_s = clock() - begun
            longest = max(longest, first_s)
            begun = clock()
            stop = frame_end(data, position, end)
            key_end = position + 8 + int.from_bytes(data[position + 4:position + 6], "little")
            try:
                keyspace.store_frame(data[position + 8:key_end], data[position:stop])
            except GridFullError:
                refused += 1
            position = stop
        longest = max(longest, clock() - begun)
    return refused, longest


def fill(grid, load):
    """Set every key once, in a random order, until the target is reached."""
    numbers = list(range(load.key_count))
    random.Random(SEED).shuffle(numbers)
    for number in numbers:
        frame, size = load.frame(number)
        if load.live_bytes + size <= load.target_bytes:
            serve(grid.keyspace, frame)
            load.live_bytes += size
            load.live[number] = size


def measure(case, turnovers):
    """Carry out one case; its Outcome."""
    grid = Grid(case.memory_mib * MIB)
    keyspace, clock = grid.keyspace, time.process_time
    load = Load(case, grid.heap_bytes)
    fill(grid, load)
    refused = writes = written = 0
    seconds = slice_s = call_s = 0.0
    total, warm = 0, True
    while total < turnovers * grid.heap_bytes:
        if warm and total >= min(WARM_TURNOVERS, turnovers / 2.0) * grid.heap_bytes:
            warm, writes, written, seconds, slice_s, call_s = False, 0, 0, 0.0, 0.0, 0.0
            grid.cleaning_s, moved = 0.0, keyspace.cleaner.bytes_moved
        frames, deleted, size = load.turn()
        data = b"".join(frames)
        begun = clock()
        no, longest = serve(keyspace, data)
        for key in deleted:
            keyspace.delete(key)
        served = clock()
        keyspace.work()
        ended = clock()
        refused += no
        writes += len(frames)
        written += size
        total += size
        seconds += ended - begun
        slice_s, call_s = max(slice_s, ended - served), max(call_s, longest)
    keyspace.check()
    return Outcome(refused, writes, written, seconds, grid.cleaning_s, keyspace.cleaner.bytes_moved - moved, slice_s,
                   call_s)


def run(plan, progress=lambda text: None):
    """[(Case, Outcome)] of a plan."""
    found = []
    for case in plan.cases:
        progress("%d MiB, %s, %s, %.0f %%" % (case.memory_mib, case.values, case.order, 100 * case.utilisation))
        found.append((case, measure(case, plan.turnovers)))
    return found


# -- the report ------------------------------------------------------------------------------------------------------

HEAD = "live  refused   MB/s  writes/s  us/write  cleaning  moved/written  throughput  slice ms  call ms"


def row(case, outcome, reference):
    """One line of the report; `reference` is the Outcome at the lowest utilisation."""
    rate = outcome.written_bytes / outcome.seconds
    return "%3.0f%%  %7d  %5.0f  %8.0f  %8.2f  %7.0f%%  %13.2f  %9.0f%%  %8.2f  %7.2f" % (
        100 * case.utilisation, outcome.refused, rate / 1e6, outcome.writes / outcome.seconds,
        1e6 * outcome.seconds / outcome.writes, 100 * outcome.cleaning_s / outcome.seconds,
        outcome.moved_bytes / float(outcome.written_bytes),
        100 * rate / (reference.written_bytes / reference.seconds), 1e3 * outcome.slice_s, 1e3 * outcome.call_s)


def tables(found):
    """The lines of a report: a table for each heap, kind of values and order of keys."""
    lines, group, reference = [], None, None
    for case, outcome in found:
        if case[:3] != group:
            group, reference = case[:3], outcome
            lines += ["", "%d MiB, values of %s, keys %s" % group, HEAD]
        lines.append(row(case, outcome, reference))
    return lines


def write(found, plan, facts):
    """The whole report as text."""
    lines = ["nosqgrid benchmark: utilisation and cleaning", ""]
    lines += ["%-12s %s" % fact for fact in facts]
    lines.append("%-12s %d turnovers each, measured from the third on; seconds of the processor; turns of up to %d KiB "
                 "or %d frames" % ("method", plan.turnovers, TURN_BYTES // KIB, TURN_FRAMES))
    lines += tables(found)
    return "\n".join(lines) + "\n"

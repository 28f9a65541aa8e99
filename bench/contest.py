"""The rivals run: every rival, every case, in one go and in turns."""

import collections
import os
import shutil
import tempfile
import time

from . import machine, memory, readers, rivals, timing, workloads

Plan = collections.namedtuple("Plan", "name loop_s repeats latency_samples latency_s round_s rounds")
FULL = Plan("full", 0.22, timing.REPEATS, 20000, 1.0, 0.6, 5)
QUICK = Plan("quick", 0.04, timing.REPEATS, 4000, 0.2, 0.3, 3)

WARM_ROUNDS, WARM_S = 50, 0.2
LATENCY_CASES = ("get 100 B uniform", "get 100 B Zipf", "set 100 B uniform")
READERS = (rivals.NosqgridArena, rivals.Nosqgrid, rivals.Lmdb, rivals.Redis)


class Result:
    """What a rivals run found; bench/report writes it down."""

    def __init__(self, plan):
        self.plan = plan
        self.machine = machine.describe()
        self.timings = collections.OrderedDict()  # (case, rival name) -> Timing
        self.latencies = collections.OrderedDict()  # (case, rival name) -> Latency
        self.readers = collections.OrderedDict()  # rival name -> [readers.Round]
        self.memory = []  # [memory.Cost]
        self.skipped = collections.OrderedDict()  # what -> reason
        self.seconds = 0.0

    def ratio(self, case, rival, other):
        """How many times as long `rival` takes as `other`, or None where one was not measured."""
        ours, theirs = self.timings.get((case, rival)), self.timings.get((case, other))
        return None if ours is None or theirs is None else ours.median / theirs.median


def tmpfs_folder():
    """Where the files of rivals go: memory where there is some, so that no disk is measured."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else None


def run(plan, progress, classes=rivals.ALL, reader_classes=READERS):
    """Measure everything of a plan; `progress(text)` is told what comes next.

    Processes and files that this starts and makes are gone when it returns or raises.
    """
    begun = time.monotonic()
    result = Result(plan)
    folder = tempfile.mkdtemp(prefix="nosqgrid-bench-", dir=tmpfs_folder())
    try:
        for dataset in (workloads.SMALL, workloads.MEDIUM, workloads.LARGE):
            _measure_dataset(result, dataset, os.path.join(folder, dataset.label.replace(" ", "-")), classes, progress)
        progress("readers and a writer")
        _measure_readers(result, os.path.join(folder, "readers"), reader_classes)
        progress("memory")
        _measure_memory(result)
    finally:
        shutil.rmtree(folder)
    result.seconds = time.monotonic() - begun
    return result


# -- one process ---------------------------------------------------------------------------------------------------


def _measure_dataset(result, dataset, folder, classes, progress):
    os.mkdir(folder)
    with rivals.Opened(classes, folder) as opened:
        result.skipped.update(opened.skipped)
        for rival in opened.rivals:
            progress("%s: filling %s" % (dataset.label, rival.name))
            rival.fill(workloads.pairs_of(dataset))
        value = workloads.make_value(dataset.value_size_bytes)
        for case, prepare in cases_of(dataset, value):
            progress(case)
            takers = [rival for rival in opened.rivals if rival.batches or not case.startswith("set_many")]
            if case.endswith("hot"):
                _warm(takers, workloads.hot(dataset.key_count))
            contenders = [(rival.name, _bind(prepare, rival)) for rival in takers]
            for name, measured in timing.time_alternating(contenders, result.plan.loop_s, result.plan.repeats).items():
                result.timings[case, name] = measured
            if case in LATENCY_CASES:
                _measure_latency(result, case, dataset, opened.rivals, value)
    shutil.rmtree(folder)


def _warm(opened, sequence):
    """Read the hot keys as often as a cache may need to learn that they are hot, within WARM_S."""
    for rival in opened:
        end = time.monotonic() + WARM_S
        for _ in range(WARM_ROUNDS):
            rival.loop_get(sequence.take(1000))
            if time.monotonic() > end:
                break


def _bind(prepare, rival):
    return lambda count: prepare(rival, count)


def cases_of(dataset, value):
    """[(case, prepare)] of a dataset; `prepare(rival, count)` returns what runs `count` operations."""
    uniform = workloads.uniform(dataset.key_count)
    cases = [
        ("get %s uniform" % dataset.label, _gets(uniform)),
        ("set %s uniform" % dataset.label, _sets(uniform, value)),
    ]
    if dataset is workloads.SMALL:
        zipf = workloads.zipf(dataset.key_count)
        cases[1:1] = [
            ("get 100 B Zipf", _gets(zipf)),
            ("get 100 B hot", _gets(workloads.hot(dataset.key_count))),
        ]
        cases += [
            ("set_many(100) 100 B", _batches(uniform, value, 100)),
            ("set_many(1000) 100 B", _batches(uniform, value, 1000)),
            ("mix 90/9/1 100 B Zipf", _mixes(zipf, value)),
        ]
    return cases


def _gets(sequence):
    def prepare(rival, count):
        keys = sequence.take(count)
        return lambda: rival.loop_get(keys)
    return prepare


def _sets(sequence, value):
    def prepare(rival, count):
        keys = sequence.take(count)
        return lambda: rival.loop_set(keys, value)
    return prepare


def _batches(sequence, value, size):
    def prepare(rival, count):
        batches = workloads.batches_of(sequence.take(count), value, size)
        return lambda: workloads.loop_batches(rival.set_many, batches)
    return prepare


def _mixes(sequence, value):
    def prepare(rival, count):
        operations = workloads.mix(sequence, count)
        return lambda: workloads.run_mix(rival.get, rival.set_, rival.delete, value, operations)
    return prepare


def _measure_latency(result, case, dataset, opened, value):
    choose = workloads.zipf if "Zipf" in case else workloads.uniform
    keys = choose(dataset.key_count, result.plan.latency_samples, workloads.SEED + 1).take(result.plan.latency_samples)
    for rival in opened:
        writes = case.startswith("set")
        arguments = [(key, value) if writes else (key,) for key in keys]
        result.latencies[case, rival.name] = timing.sample_latency(rival.set_ if writes else rival.get, arguments,
                                                                   result.plan.latency_s)


# -- several processes, and memory ---------------------------------------------------------------------------------


def _measure_readers(result, folder, classes):
    os.mkdir(folder)
    counts = readers.reader_counts(machine.usable_cores())
    with rivals.Opened(classes, folder) as opened:
        for rival in opened.rivals:
            rival.fill(workloads.pairs_of(workloads.SMALL))
        contenders = [(rival, opened.addresses[rival.name]) for rival in opened.rivals]
        rounds, skipped = readers.measure(contenders, workloads.SMALL, counts, result.plan.round_s, result.plan.rounds)
        for rival in opened.rivals:
            if rival.name in rounds:
                result.readers[rival.name] = rounds[rival.name]
        for name, reason in opened.skipped + skipped:
            result.skipped.setdefault(name, reason)


def _measure_memory(result):
    try:
        result.memory = memory.measure()
    except rivals.Absent as absent:
        result.skipped["memory"] = str(absent)

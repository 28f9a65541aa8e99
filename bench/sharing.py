"""Large values between processes: an array for four workers, a value put and looked at, attaching, memory a record.

    array       from an array in one process to its sum, made by four others that each read a quarter of it; the
                processes are there already, the array is a new one each time
    values      set() beside a memcpy of as many bytes into memory that is new as well: for both the kernel has to find
                the pages and clear them; view() and get() of values that this process has not looked at before, one
                after the other, and again; redis-py and redis-server where something is copied
    attaching   from nothing to a value, and away again
    memory      see bench/memory

Contenders take turns, one round each, so that a machine that slows down slows all of them.  A peer that is not here
is named and left out.
"""

import collections
import contextlib
import gc
import mmap
import multiprocessing
import os
import shutil
import tempfile
import time

import nosqgrid
from nosqgrid.client import launcher

from . import contest, machine, memory, rivals, timing
from .report import format_table, microseconds, short

MIB = 1 << 20
WORKERS = 4
OURS = "nosqgrid"
MEMCPY = "memcpy into new memory"
GRID_MEMORY = "1g"
LOOK_BYTES = 500 * MIB  # of values that are looked at one after the other
LOOK_ROUNDS = 9

Plan = collections.namedtuple("Plan", "name array_mib value_sizes rounds attach_rounds memory_sizes")
FULL = Plan("full", 100, (100 * MIB, MIB), 9, 300, memory.SIZES)
QUICK = Plan("quick", 16, (16 * MIB, MIB), 3, 30, (10 * 1000, 100 * 1000))


class Result(object):
    """What was measured, for report()."""

    def __init__(self, plan):
        self.plan = plan
        self.machine = machine.describe()
        self.arrays = collections.OrderedDict()  # contender -> Timing
        self.values = collections.OrderedDict()  # (size, what, contender) -> Timing
        self.attaching = collections.OrderedDict()  # contender -> Timing
        self.memory = []  # [(policy, Cost)]
        self.absent = []  # [(what, reason)]


def run(plan, progress=lambda text: None):
    """Measure everything of a plan; a Result.  Raises Absent where nosqgrid cannot be started."""
    result = Result(plan)
    with contextlib.ExitStack() as stack:
        folder = tempfile.mkdtemp(prefix="nosqgrid-bench-", dir=contest.tmpfs_folder())
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        address = stack.enter_context(launcher.start(memory=GRID_MEMORY, extra_args=("--policy", "refuse"))).address
        progress("arrays")
        _measure_arrays(result, address)
        progress("values")
        _measure_values(result, address, folder)
    progress("memory")
    for policy in ("refuse", "lfu"):
        result.memory += [(policy, cost) for cost in memory.measure(plan.memory_sizes, policy=policy)]
    return result


def take_turns(contenders, rounds, count=1, clock=time.perf_counter):
    """{name: Timing} of [(name, prepare, body)]: body(prepare()) is timed, once to warm up and then `rounds` times.

    What body() returns is kept until the clock has stopped: giving it back is not counted.  Where a body does its work
    `count` times the times are of one.
    """
    samples = collections.OrderedDict((name, []) for name, _, _ in contenders)
    for turn in range(rounds + 1):
        for name, prepare, body in contenders:
            argument = prepare()
            gc.collect()
            begun = clock()
            kept = body(argument)
            taken = clock() - begun
            del kept, argument
            if turn:
                samples[name].append(taken / count)
    return collections.OrderedDict((name, timing.summary(taken)) for name, taken in samples.items())


# -- an array for four processes ---------------------------------------------------------------------------------------


def quarter(array, index):
    """Sum of a part; runs in a worker."""
    size = len(array) // WORKERS
    return float(array[index * size:(index + 1) * size].sum())


def sum_of_ref(work):
    """A worker's task with nosqgrid."""
    ref, index = work
    return quarter(ref.get(), index)


def sum_of_pickled(work):
    """A worker's task that gets all of the array."""
    return quarter(*work)


def sum_of_part(part):
    """A worker's task that gets its part of the array."""
    return float(part.sum())


def sum_of_shared_memory(work):
    """A worker's task with multiprocessing.shared_memory."""
    import numpy
    from multiprocessing import shared_memory
    name, count, index = work
    memory_ = shared_memory.SharedMemory(name)
    try:
        return quarter(numpy.frombuffer(memory_.buf, "f8", count), index)
    finally:
        memory_.close()


def _measure_arrays(result, address):
    try:
        numpy = rivals.import_rival("numpy")
    except rivals.Absent as absent:
        result.absent.append(("arrays", str(absent)))
        return
    count = result.plan.array_mib * MIB // 8
    expected = float(numpy.arange(count, dtype="f8").sum())
    with contextlib.ExitStack() as stack:
        contenders = []
        for name, make in (("one process, no sharing", _alone), (OURS, _with_nosqgrid),
                           ("shared_memory by hand", _with_shared_memory), ("joblib, memmap", _with_joblib),
                           ("Pool, its part pickled to each", _with_parts),
                           ("Pool, all pickled to each", _with_pickle)):
            try:
                sum_up = make(stack, address)
            except rivals.Absent as absent:
                result.absent.append((name, str(absent)))
                continue
            contenders.append((name, lambda: numpy.arange(count, dtype="f8"), _checked(sum_up, expected)))
        result.arrays = take_turns(contenders, result.plan.rounds)


def _checked(sum_up, expected):
    def body(array):
        found = sum_up(array)
        if abs(found - expected) > expected * 1e-9:
            raise AssertionError("a sum of %r where %r is right" % (found, expected))

    return body


def _alone(stack, address):
    return lambda array: sum(quarter(array, index) for index in range(WORKERS))


def _pool(stack):
    pool = multiprocessing.Pool(WORKERS)
    stack.callback(pool.join)
    stack.callback(pool.close)
    return pool


def _with_nosqgrid(stack, address):
    pool = _pool(stack)
    grid = stack.enter_context(nosqgrid.attach(address))

    def sum_up(array):
        with grid.share(array) as ref:
            return sum(pool.map(sum_of_ref, [(ref, index) for index in range(WORKERS)], 1))

    return sum_up


def _with_shared_memory(stack, address):
    try:
        from multiprocessing import shared_memory
    except ImportError as error:
        raise rivals.Absent("Python 3.8 has it first (%s)" % error) from error
    import numpy
    resource_tracker = __import__("multiprocessing.resource_tracker").resource_tracker
    resource_tracker.ensure_running()  # one for all: else each worker starts its own, which warns of leaks at the end
    pool = _pool(stack)

    def sum_up(array):
        memory_ = shared_memory.SharedMemory(create=True, size=array.nbytes)
        try:
            numpy.frombuffer(memory_.buf, array.dtype, len(array))[:] = array
            return sum(pool.map(sum_of_shared_memory,
                                [(memory_.name, len(array), index) for index in range(WORKERS)], 1))
        finally:
            memory_.close()
            memory_.unlink()

    return sum_up


def _with_joblib(stack, address):
    joblib = rivals.import_rival("joblib")
    parallel = stack.enter_context(joblib.Parallel(n_jobs=WORKERS, batch_size=1))  # max_nbytes is 1M as it comes
    return lambda array: sum(parallel(joblib.delayed(quarter)(array, index) for index in range(WORKERS)))


def _with_pickle(stack, address):
    pool = _pool(stack)
    return lambda array: sum(pool.map(sum_of_pickled, [(array, index) for index in range(WORKERS)], 1))


def _with_parts(stack, address):
    pool = _pool(stack)

    def sum_up(array):
        size = len(array) // WORKERS
        return sum(pool.map(sum_of_part, [array[index * size:(index + 1) * size] for index in range(WORKERS)], 1))

    return sum_up


# -- values, attaching -------------------------------------------------------------------------------------------------


def _nothing():
    return None


def _copy_into_new_memory(payload):
    """What a copy costs at the least where the memory is not there yet; it is given back by who times it."""
    area = mmap.mmap(-1, len(payload), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:] = payload
    return area


def _measure_values(result, address, folder):
    with contextlib.ExitStack() as stack:
        grid = stack.enter_context(nosqgrid.attach(address, near_cache=0))
        redis, redis_address = rivals.Redis(), None
        try:
            redis_address = redis.start(folder)
            stack.callback(redis.close)
            redis.connect(redis_address)
        except rivals.Absent as absent:
            result.absent.append((redis.name, str(absent)))
            redis = None
        for size in result.plan.value_sizes:
            rounds = result.plan.rounds if size > MIB else result.plan.rounds * 5
            payload = os.urandom(MIB) * (size // MIB)
            _measure_puts(result, grid, redis, payload, rounds)
            _measure_looks(result, grid, payload, rounds)
            grid.clear()
        _measure_attaching(result, address, redis_address if redis else None)


def _measure_puts(result, grid, redis, payload, rounds):
    """put, and what a get costs that has to copy."""
    puts = [(MEMCPY, lambda: payload, _copy_into_new_memory),
            (OURS, _nothing, lambda _: grid.set("value", payload))]
    gets = [(OURS, _nothing, lambda _: grid.get("value"))]
    if redis is not None:
        puts.append((redis.name, _nothing, lambda _: redis.set_("value", payload)))
        gets.append((redis.name, _nothing, lambda _: redis.get("value")))
    for what, contenders in (("put", puts), ("get of bytes", gets)):
        for name, measured in take_turns(contenders, rounds).items():
            result.values[len(payload), what, name] = measured


def _measure_looks(result, grid, payload, rounds):
    """What does not copy: several values, one after the other, first and again."""
    keys = ["value %d" % number for number in range(LOOK_BYTES // len(payload) if len(payload) < LOOK_BYTES else 1)]
    numbers = memoryview(payload).cast("d")
    for what, look, value in (("view", grid.view, payload), ("get of an array", grid.get, numbers)):

        def store():
            for key in keys:
                grid.set(key, value)

        def store_and_look():
            store()
            return [look(key) for key in keys]

        for when, prepare in (("first", store), ("again", store_and_look)):
            contenders = [(OURS, prepare, lambda _: [look(key) for key in keys])]
            result.values[len(payload), "%s, %s" % (what, when), OURS] = take_turns(
                contenders, min(rounds, LOOK_ROUNDS), len(keys))[OURS]


def _measure_attaching(result, address, redis_address):
    with nosqgrid.attach(address) as grid:
        grid.set("k", b"v")

    def with_nosqgrid(_):
        with nosqgrid.attach(address) as grid:
            return grid.get("k")

    contenders = [(OURS, _nothing, with_nosqgrid)]
    if redis_address is not None:
        redis = rivals.import_rival("redis")

        def with_redis(_):
            client = redis.Redis(unix_socket_path=redis_address)
            try:
                return client.get("k")
            finally:
                client.close()

        contenders.append(("redis-py", _nothing, with_redis))
    result.attaching = take_turns(contenders, result.plan.attach_rounds)


# -- the report --------------------------------------------------------------------------------------------------------


def write(result):
    """The whole report as text."""
    plan = result.plan
    lines = ["nosqgrid benchmark: sharing, %s" % plan.name, ""]
    lines += ["%-12s %s" % fact for fact in result.machine]
    lines.append("%-12s 1 warm-up and %d rounds (5 times as many for 1 MiB, %d for attaching), contenders in turns; "
                 "median (fastest - slowest)" % ("method", plan.rounds, plan.attach_rounds))
    lines += ["%-12s %s: %s" % ("absent", what, reason) for what, reason in result.absent]
    sections = ["\n".join(lines)]
    if result.arrays:
        sections.append(_titled("An array of %d MiB of float64, summed by %d processes" % (plan.array_mib, WORKERS),
                                _array_table(result.arrays)))
    sections.append(_titled("Values", _value_table(result.values)))
    sections.append(_titled("Attach, get one small value, detach", _attach_table(result.attaching)))
    sections.append(_titled("Memory beyond key and value, 16 B keys, 100 B values, a grid that they nearly fill",
                            _memory_table(result.memory)))
    sections.append(_titled("What is suspicious", "\n".join(suspicions(result))))
    return "\n\n".join(sections) + "\n"


def _titled(title, text):
    return "%s\n%s\n%s" % (title, "-" * len(title), text)


def _milliseconds(seconds):
    return "%.1f" % (seconds * 1e3)


def _array_table(arrays):
    ours = arrays[OURS].median
    rows = [(name, _milliseconds(taken.median), _milliseconds(taken.low), _milliseconds(taken.high),
             "1" if name == OURS else "%sx" % short(taken.median / ours)) for name, taken in arrays.items()]
    return format_table(("contender", "ms", "fastest", "slowest", "against nosqgrid"), rows)


def _value_table(values):
    rows = []
    for (size, what, name), taken in values.items():
        ours = values[size, what, OURS].median
        rows.append((what, "%d MiB" % (size // MIB), name, microseconds(taken.median), microseconds(taken.low),
                     microseconds(taken.high), "1" if name == OURS else "%sx" % short(taken.median / ours)))
    return format_table(("what", "size", "contender", "us", "fastest", "slowest", "against nosqgrid"), rows)


def _attach_table(attaching):
    rows = [(name, microseconds(taken.median), microseconds(taken.low), microseconds(taken.high))
            for name, taken in attaching.items()]
    return format_table(("contender", "us", "fastest", "slowest"), rows)


def _memory_table(costs):
    rows = [(policy, "{:,}".format(cost.records), "%.1f" % cost.overhead_bytes,
             "-" if cost.coordinator_bytes is None else "%.1f" % cost.coordinator_bytes,
             "yes" if cost.tracking else "no") for policy, cost in costs]
    return format_table(("policy", "records", "bytes a record in shared memory", "coordinator's own", "keeps order"),
                        rows)


def suspicions(result):
    """What a reader should know before he believes the figures."""
    lines = ["- Single figures vary with what else runs on the machine; ratios less."]
    if machine.usable_cores() < WORKERS:
        lines.append("- %d processes share %d processors: what can be won by summing at once is not all here."
                     % (WORKERS, machine.usable_cores()))
    lines.append("- memcpy is into private memory of the process, which nobody else sees; neither side finds its pages "
                 "ready.  A copy into memory that is there already takes as long as that machine's memory needs.")
    lines.append("- Looks are made one after the other, so that the coordinator is awake; one that sleeps adds what "
                 "waking it costs, 50 to 400 us.  The arrays are typed memoryviews; numpy's take some us more.")
    lines.append("- The set() that replaces a value lets the coordinator free the old file at the same time.")
    wide = [name for name, taken in result.arrays.items() if taken.high > 2 * taken.median]
    if wide:
        lines.append("- Slowest more than twice the median: %s." % ", ".join(wide))
    return lines

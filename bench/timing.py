"""How things are timed: throughput by whole loops, latency by single operations, never one from the other.

Throughput: a loop of so many operations is timed as a whole, once to warm up and then five times; what is reported is
the median with the fastest and the slowest.  Where several contenders are measured, each repeat goes through all of
them before the next begins, so that a machine that slows down meanwhile slows all of them.

Latency: each operation is timed by itself in a separate pass, and the percentiles include the clock (about 0.05 us).
The mean is not reported: it hides what the slowest operation did.

What is prepared for a loop (lists of keys, values) is made before the clock starts.  The garbage collector stays on, as
it is for users.
"""

import collections
import time

REPEATS = 5
OPERATIONS_MAX = 2 * 1000 * 1000  # of one loop, however fast

Timing = collections.namedtuple("Timing", "median low high")  # seconds an operation
Latency = collections.namedtuple("Latency", "p50 p99 max")  # seconds


def time_body(prepare, count, clock=time.perf_counter):
    """Seconds that `prepare(count)()` takes; preparing is not counted."""
    body = prepare(count)
    begun = clock()
    body()
    return clock() - begun


def calibrate(prepare, seconds, clock=time.perf_counter):
    """How many operations take about `seconds`; runs some of them, which also warms caches."""
    count, taken = 1, 0.0
    while count < OPERATIONS_MAX:
        taken = time_body(prepare, count, clock)
        if taken >= seconds / 8.0:
            break
        count *= 4 if taken * 32 < seconds else 2
    return max(1, min(OPERATIONS_MAX, int(count * seconds / max(taken, 1e-9))))


def time_alternating(contenders, seconds, repeats=REPEATS, clock=time.perf_counter):
    """Time several contenders in turns.

    Args:
        contenders: list of (name, prepare); `prepare(count)` returns what runs `count` operations when called.
        seconds: about how long one repeat of one contender takes.
    Returns: {name: Timing}.
    """
    counts = {name: calibrate(prepare, seconds, clock) for name, prepare in contenders}
    samples = collections.defaultdict(list)
    for repeat in range(repeats + 1):
        for name, prepare in contenders:
            taken = time_body(prepare, counts[name], clock) / counts[name]
            if repeat:  # the first one warms up
                samples[name].append(taken)
    return {name: summary(samples[name]) for name, _ in contenders}


def summary(samples):
    """Median, least and greatest of some seconds.

    >>> summary([3.0, 1.0, 2.0])
    Timing(median=2.0, low=1.0, high=3.0)
    """
    ordered = sorted(samples)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0
    return Timing(median, ordered[0], ordered[-1])


def sample_latency(operation, arguments, seconds_max, clock=time.perf_counter):
    """Time each `operation(*arguments[i])` by itself until the arguments or the seconds are used up."""
    samples = []
    end = clock() + seconds_max
    for argument in arguments:
        begun = clock()
        operation(*argument)
        done = clock()
        samples.append(done - begun)
        if done > end:
            break
    return percentiles(samples)


def percentiles(samples):
    """The value that half, and that 99 of 100 samples do not exceed, and the greatest.

    >>> percentiles(list(range(1, 101)))
    Latency(p50=50, p99=99, max=100)
    """
    ordered = sorted(samples)
    return Latency(_nearest_rank(ordered, 50), _nearest_rank(ordered, 99), ordered[-1])


def _nearest_rank(ordered, percent):
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]

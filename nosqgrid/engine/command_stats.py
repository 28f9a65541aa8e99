"""How often each command was run and failed, and how long it took: INFO commandstats, errorstats and latencystats, and
LATENCY HISTOGRAM.

Off until somebody wants it, by CONFIG RESETSTAT, CONFIG SET latency-tracking yes, or INFO commandstats or latencystats:
while it is on every session is special (engine/oversight) and pays for two looks at a clock with each command.

Times are kept as counts in buckets, each twice as long as the one before, so that what is told of them is right to a
factor of two.
"""

import collections

_SHORTEST_US = 1.024  # the first bucket, in Redis' layout: 1024 ns
_LAST = 20  # bucket: about a second and all that took longer


class _Stats(object):
    """Of one command."""

    __slots__ = ("calls", "us", "rejected", "failed", "buckets")

    def __init__(self):
        self.calls = self.us = self.rejected = self.failed = 0
        self.buckets = [0] * (_LAST + 1)


class CommandStats(object):
    """Of one server.  `commands` are by the names of their rows, `errors` by the first word of an error."""

    def __init__(self):
        self.on = False
        self.clear()

    def clear(self):
        """Begin with zero."""
        self.commands = collections.defaultdict(_Stats)
        self.errors = collections.Counter()

    def note(self, name, us, error):
        """A command was run for so long, and raised an error or None."""
        found = self.commands[name]
        found.calls += 1
        found.us += us
        found.buckets[bucket_of(us)] += 1
        if error is not None:
            found.failed += 1
            self.errors[error.code] += 1

    def note_rejected(self, name, error):
        """A command was not run; `name` is None where there is none of that name."""
        if name is not None:
            self.commands[name].rejected += 1
        self.errors[error.code] += 1

    def info(self):
        """{section: [(name, value)]} of INFO."""
        ran = [(shown(name), found) for name, found in self.commands.items()]
        return {
            "Commandstats": [("cmdstat_" + name, "calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d"
                              % (found.calls, found.us, found.us / float(found.calls or 1), found.rejected,
                                 found.failed)) for name, found in ran],
            "Errorstats": [("errorstat_" + code, "count=%d" % count) for code, count in sorted(self.errors.items())],
            "Latencystats": [("latency_percentiles_usec_" + name, "p50=%.3f,p99=%.3f,p99.9=%.3f"
                              % tuple(percentile(found.buckets, percent) for percent in (50, 99, 99.9)))
                             for name, found in ran if found.calls],
        }

    def histogram(self, name):
        """(calls, [(microseconds, how many took at most as long)]) of one command, or None where it was never run."""
        found = self.commands.get(name)
        if found is None or not found.calls:
            return None
        steps, total = [], 0
        for bucket, count in enumerate(found.buckets):
            total += count
            if count:
                steps.append((int(round(end_us(bucket))), total))
        return found.calls, steps


def bucket_of(us):
    """The number of the bucket for so many microseconds (int).

    >>> bucket_of(0), bucket_of(1), bucket_of(2), bucket_of(3), bucket_of(10 ** 9)
    (0, 0, 1, 2, 20)
    """
    return min(max(int(us / _SHORTEST_US + 0.999999) - 1, 0).bit_length(), _LAST)


def end_us(bucket):
    """The longest time of a bucket in microseconds."""
    return _SHORTEST_US * (1 << bucket)


def percentile(buckets, percent):
    """The time in microseconds that so many percent of the calls did not exceed; the end of its bucket."""
    wanted, total = sum(buckets) * percent / 100.0, 0
    for bucket, count in enumerate(buckets):
        total += count
        if count and total >= wanted:
            return end_us(bucket)
    return 0.0


def shown(name):
    """A row's name as INFO shows it."""
    return name.lower().decode("ascii")

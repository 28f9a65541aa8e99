"""What a record costs beyond its key and value: from the grid's own numbers, and from the kernel's.

`per record` is live heap bytes and index bytes of an empty grid that was filled with so many records, less their keys
and values, divided by their number.  It is taken at several sizes, because an index that has just doubled is half
empty: the worst counts.  `coordinator` is what the coordinator's private memory (RssAnon) grew by meanwhile, a record:
what it keeps in Python objects outside the arena, and the lists and counts of an eviction policy.  Those are there only
from the moment that the grid begins to keep order, `tracking`; so a policy is measured in a grid that gets that full.
"""

import collections
import contextlib
import time

import nosqgrid
from nosqgrid.client import launcher

from . import rivals, workloads

SIZES = (10 * 1000, 20 * 1000, 40 * 1000, 60 * 1000, 100 * 1000)
VALUE_SIZE_BYTES = 100

FULL_AT = "21m"  # of which the greatest of SIZES takes more than four fifths
SETTLE_S = 0.5  # for the policy to take over the records that are there

Cost = collections.namedtuple("Cost", "records overhead_bytes coordinator_bytes tracking")


def measure(sizes=SIZES, value_size_bytes=VALUE_SIZE_BYTES, policy=None):
    """[Cost] for the sizes, which must rise; with a policy, in a grid that they nearly fill.

    Raises Absent where nosqgrid cannot be started.
    """
    memory, arguments = (rivals.GRID_MEMORY, ()) if policy is None else (FULL_AT, ("--policy", policy))
    with contextlib.ExitStack() as stack:
        launched = stack.enter_context(launcher.start(memory=memory, extra_args=arguments))
        grid = stack.enter_context(nosqgrid.attach(launched.address))
        return list(_fill_and_look(grid, sizes, value_size_bytes))


def _fill_and_look(grid, sizes, value_size_bytes):
    value = workloads.make_value(value_size_bytes)
    payload_bytes = workloads.KEY_SIZE_BYTES + value_size_bytes
    before = private_bytes(grid.stats()["pid"])
    done = 0
    for size in sizes:
        for batch in workloads.batches_of([workloads.key_of(number) for number in range(done, size)], value, 1000):
            grid.set_many(batch)
        done = size
        stats = grid.stats()
        if stats["eviction_tracking"]:
            time.sleep(SETTLE_S)
            stats = grid.stats()
        if stats["keys"] != size:
            raise AssertionError("%d of %d records are there: the grid is too small for them" % (stats["keys"], size))
        overhead = (stats["heap_live_bytes"] + index_bytes(stats)) / float(size) - payload_bytes
        after = private_bytes(stats["pid"])
        yield Cost(size, overhead, None if None in (before, after) else (after - before) / float(size),
                   bool(stats["eviction_tracking"]))


def index_bytes(stats):
    """Bytes of the index that stats() reports, whatever else it reports about it."""
    for name in ("index_size_bytes", "index_bytes"):
        if name in stats:
            return stats[name]
    raise rivals.Absent("stats() says nothing about the size of the index")


def private_bytes(pid):
    """Private memory of a process, or None where the kernel does not tell."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None

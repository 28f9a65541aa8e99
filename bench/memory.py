"""What a record costs beyond its key and value: from the grid's own numbers, and from the kernel's.

`per record` is live heap bytes and index bytes of an empty grid that was filled with so many records, less their keys
and values, divided by their number.  It is taken at several sizes, because an index that has just doubled is half
empty: the worst counts.  `coordinator` is what the coordinator's private memory (RssAnon) grew by meanwhile, a record:
what it keeps in Python objects outside the arena.
"""

import collections

from . import rivals, workloads

SIZES = (10 * 1000, 20 * 1000, 40 * 1000, 60 * 1000, 100 * 1000)
VALUE_SIZE_BYTES = 100

Cost = collections.namedtuple("Cost", "records overhead_bytes coordinator_bytes")


def measure(sizes=SIZES, value_size_bytes=VALUE_SIZE_BYTES):
    """[Cost] for the sizes, which must rise.  Raises Absent where nosqgrid cannot be started."""
    rival = rivals.Nosqgrid()
    try:
        rival.connect(rival.start(None))
        return list(_fill_and_look(rival.grid, sizes, value_size_bytes))
    finally:
        rival.close()


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
        overhead = (stats["heap_live_bytes"] + index_bytes(stats)) / float(size) - payload_bytes
        after = private_bytes(stats["pid"])
        yield Cost(size, overhead, None if None in (before, after) else (after - before) / float(size))


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

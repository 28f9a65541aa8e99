"""nosqgrid bench: how fast the grid is on this machine, in some seconds and without anything installed.

The comparison with other systems is in the repository: python3 -m bench rivals.
"""

import random
import time

from ..client import launcher
from ..client.grid import attach
from ..errors import UsageError

HELP = "how fast is it here?"
DESCRIPTION = __doc__
REPEATS = 5


def add_arguments(parser):
    parser.add_argument("--keys", type=int, default=20000, help="how many (default: %(default)s)")
    parser.add_argument("--value-size", type=int, default=100, metavar="BYTES", help="default: %(default)s")


def run(arguments, out):
    """Measure on a coordinator of its own, or, with --socket, on a running one, among keys that begin with bench:."""
    if arguments.keys < 1 or arguments.value_size < 0:
        raise UsageError("--keys %d --value-size %d: there must be a key, and no value is smaller than nothing"
                         % (arguments.keys, arguments.value_size))
    if arguments.socket is not None:
        return _measure(arguments.socket, arguments, out)
    with launcher.start(memory="256m") as launched:
        return _measure(launched.address, arguments, out)


def _measure(address, arguments, out):
    rng = random.Random(1)
    value = bytes(rng.getrandbits(8) for _ in range(arguments.value_size))
    keys = ["bench:%08d" % number for number in range(arguments.keys)]
    mixed = rng.sample(keys, len(keys))
    out.write("%d keys, %d B values, median of %d\n" % (len(keys), len(value), REPEATS))
    with attach(address) as cached, attach(address, near_cache=0) as grid:
        few = mixed[:1000]
        for key in few:
            grid.set(key, value)
        rows = (("set_many, until visible", lambda: grid.set_many(dict.fromkeys(keys, value)), len(keys)),
                ("set, until visible", lambda: _each(few, lambda key: grid.set(key, value)), len(few)),
                ("get from the arena", lambda: _each(mixed, grid.get), len(mixed)),
                ("get from the near cache", lambda: _each(few * 10, cached.get), len(few) * 10),
                ("get_or_compute, value there", lambda: _each(few, lambda key: grid.get_or_compute(key, int)),
                 len(few)))
        for name, function, count in rows:
            seconds = _median_seconds(function)
            out.write("%-30s %8.2f us   %9.0f a second\n" % (name, seconds / count * 1e6, count / seconds))
        grid.delete(*keys)
    return 0


def _each(keys, function):
    for key in keys:
        function(key)


def _median_seconds(function):
    function()
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        function()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[REPEATS // 2]


COMMANDS = (("bench", HELP, DESCRIPTION, add_arguments, run),)

"""nosqgrid stats, ping: how the coordinator is."""

import time

from ..client.grid import attach
from .output import add_output_argument, positive, write_rows


def _stats(arguments, out):
    with attach(arguments.socket, near_cache=0) as grid:
        write_rows(out, grid.stats().items(), arguments.output)
    return 0


def _ping_arguments(parser):
    parser.add_argument("-c", "--count", type=positive, default=1, help="how often (default: 1)")


def _ping(arguments, out):
    with attach(arguments.socket, near_cache=0) as grid:
        for _ in range(arguments.count):
            begun = time.perf_counter()
            grid.ping()
            out.write("PONG from %s in %.0f us\n" % (grid.address, (time.perf_counter() - begun) * 1e6))
    return 0


COMMANDS = (
    ("stats", "the coordinator's numbers", "Print the coordinator's numbers: keys, memory, clients and more.",
     add_output_argument, _stats),
    ("ping", "is somebody there?", "Ask the coordinator for a sign of life.  Exit status 3 if nobody serves it.",
     _ping_arguments, _ping),
)

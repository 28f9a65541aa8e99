"""What a coordinator is done with forms no circle that grows old: its collector looks at the young alone.

The coordinator runs here as in `nosqgrid serve`, with Python's collector switched off; a thread talks to it, and looks
afterwards at what only the collector would have freed.
"""

import collections
import gc
import json
import os
import sys
import threading
import time
import traceback
import unittest

import nosqgrid
from nosqgrid.cli import serve
from nosqgrid.cli.main import main
from nosqgrid.coordinator import coordinator
from tests.support.differential import RealClient
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

ROUNDS = 30
COMMANDS = (b"RPUSH k a b", b"GET k", b"NOSUCH", b"HELLO 3", b"SUBSCRIBE x", b"UNSUBSCRIBE", b"MULTI", b"INCR n",
            b"LPOP no x", b"EXEC", b"CLIENT LIST", b"BLPOP k 1", b"SORT k", b"XADD st * a b", b"KEYS *", b"INFO",
            b"WATCH k", b"SET k v EX 100", b"RENAME no no2", b"ZADD z 1 a", b"COPY z z2", b"FLUSHALL")
LASTING = frozenset("Session Context Parser Chunk List Hash Set SortedSet Stream Structure Lane".split())


def native_program(path):
    """A client of the grid's own."""
    with nosqgrid.attach(path) as grid:
        grid["a"] = 1
        grid["large"] = "x" * 300000
        grid.checkpoint()
        with grid.pipeline() as batch:
            batch.set("b", 2)
    print("done", flush=True)


def reachable(path):
    """Whether somebody answers at a socket."""
    try:
        RealClient(path).close()
    except OSError:
        return False
    return True


def look(path, native):
    """Talk to the coordinator on a socket; {type: count} of what nothing but a collector finds."""
    wait_until(lambda: reachable(path), what="a coordinator")
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range(ROUNDS):
        client = RealClient(path)
        client.calls([words.split() for words in COMMANDS])
        client.close()
    native()
    time.sleep(3 * coordinator.SWEEP_S)
    gc.collect()
    return collections.Counter(type(found).__name__ for found in gc.garbage)


def serving_program(path, directory):
    """Serve in the main thread, look in another one; print the threshold and what was found."""
    gc.disable()

    def look_and_end():
        def native():
            print("native", flush=True)
            sys.stdin.readline()
        try:
            found = look(path, native)
            print(json.dumps([gc.get_threshold()[2], found]), flush=True)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    threading.Thread(target=look_and_end, daemon=True).start()
    main(["serve", "--quiet", "--socket", path, "--memory", "16m", "--dir", directory])


class GarbageTest(ProcessTestCase):
    allowed_files = ("*",)

    @slow
    def test_nothing_that_lasts_waits_for_the_collector(self):
        path = self.path("s")
        child = self.spawn(serving_program, path, self.path("data"))
        self.assertEqual(child.read_line(), "native")
        client = self.spawn(native_program, path)
        self.assertEqual(client.read_line(), "done")
        client.wait()
        child.write_line("go on")
        threshold, found = json.loads(child.read_line())
        child.wait()
        self.assertEqual(threshold, serve.NEVER)
        self.assertEqual({name: count for name, count in found.items() if name in LASTING}, {})


if __name__ == "__main__":
    unittest.main()

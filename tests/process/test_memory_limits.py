"""Memory of a real coordinator: small file systems, limits that were looked at, lanes that do not fit, growth."""

import os
import shutil
import signal
import subprocess
import unittest

import nosqgrid
from nosqgrid.errors import GridFullError
from nosqgrid.formats.lane import LANE_SIZE_BYTES
from nosqgrid.limits import MIB
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

# serve, with the figures of other modules changed before: argv[1] is Python that does it.
SERVE = """\
import sys
from nosqgrid.cli import main
from nosqgrid.coordinator import elastic
from nosqgrid.memory import available, shared_file
exec(sys.argv[1])
sys.exit(main.main(["serve"] + sys.argv[2:]))
"""
FILES_ONLY = "shared_file.create.__defaults__ = (None, True, (shared_file.FILE,), False)"
QUICK = "elastic.SHRINK_AFTER_S, elastic.SHRINK_EVERY_S = 0.2, 0.005"

# The same in a mount namespace where /dev/shm has the size argv[1].
IN_SMALL_SHM = """\
import os, sys
script = "mount -t tmpfs -o size=%s tmpfs /dev/shm && exec \\"$0\\" \\"$@\\"" % sys.argv[1]
os.execvp("unshare", ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, "-W",
                      "error", "-c"] + sys.argv[2:])
"""


def namespaces_allowed():
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


class MemoryTestCase(ProcessTestCase):
    def serve(self, change, *arguments, small_shm=None):
        words = [change, "--socket", self.path("s"), "--policy", "refuse"] + list(arguments)
        if small_shm is None:
            return self.spawn(SERVE, *words)
        return self.spawn(IN_SMALL_SHM, small_shm, SERVE, *words)

    def end(self, child):
        child.signal(signal.SIGTERM)
        self.assertEqual(child.wait(), 0)
        self.assertEqual(child.errors(), "")

    def memory(self, grid):
        """The stats about memory, checked against each other."""
        stats = grid.stats()
        kinds = [stats["memory_%s_bytes" % kind] for kind in ("heap", "index", "lanes", "large")]
        self.assertEqual(sum(kinds), stats["memory_used_bytes"])
        self.assertLessEqual(stats["memory_used_bytes"], stats["memory_limit_bytes"])
        self.assertLessEqual(stats["memory_limit_bytes"], stats["memory_limit_bytes_max"])
        return stats

    def fill(self, grid, value=bytes(20000)):
        """Set keys until it is full; how many."""
        count = 0
        try:
            while True:
                grid["key%d" % count] = value
                count += 1
        except GridFullError as error:
            self.assertRegex(str(error), "is full|No space left")
        return count

    def arena_bytes(self, pid):
        """What the system says that the arena of this coordinator takes, or None where it does not tell."""
        directory = "/proc/%d/fd" % pid
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if "nosqgrid-arena" in os.readlink(path):
                return os.stat(path).st_blocks * 512
        return None


class LimitTest(MemoryTestCase):
    def test_everything_is_counted_and_never_more_than_was_said(self):
        child = self.serve("", "--memory", "8m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertGreater(self.fill(grid), 300)
            stats = self.memory(grid)
            self.assertEqual((stats["memory_limit_bytes"], stats["memory_limit_bytes_max"]), (8 * MIB, 8 * MIB))
            self.assertGreater(stats["memory_used_bytes"], 0.9 * 8 * MIB)
            self.assertEqual(stats["memory_lanes_bytes"], LANE_SIZE_BYTES)
            self.assertEqual(self.arena_bytes(child.pid), stats["memory_heap_bytes"] + stats["memory_index_bytes"])
        self.end(child)

    def test_a_client_for_whose_lane_there_is_no_room_uses_its_socket(self):
        child = self.serve("", "--memory", "1m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as first:
            self.fill(first, bytes(1000))
            with nosqgrid.attach(self.path("s")) as second:
                self.assertEqual(second["key0"], bytes(1000))
                self.assertEqual(self.memory(second)["lanes_refused"], 1)
                self.assertEqual(second.stats()["memory_lanes_bytes"], LANE_SIZE_BYTES)
                self.assertEqual(second.delete(*["key%d" % number for number in range(200)]), 200)
                second["key0"] = b"by socket"
                second.set_many({"a": 1, "b": 2})
                self.assertEqual((first["key0"], first["b"]), (b"by socket", 2))
                self.assertEqual(second.incr("a"), 2)
                with second.pipeline() as pipe:
                    pipe.set("c", 3)
                self.assertEqual(first["c"], 3)
        with nosqgrid.attach(self.path("s")) as third:
            wait_until(lambda: third.stats()["connections"] == 1)
            self.assertLessEqual(self.memory(third)["memory_lanes_bytes"], LANE_SIZE_BYTES)
        self.end(child)

    def test_lanes_come_and_go_and_their_memory_with_them(self):
        child = self.serve("", "--memory", "2m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            for _ in range(20):
                nosqgrid.attach(self.path("s")).close()
            wait_until(lambda: grid.stats()["connections"] == 1)
            self.assertEqual(self.memory(grid)["memory_lanes_bytes"], LANE_SIZE_BYTES)
            self.assertEqual(grid.stats()["lanes_refused"], 0)
        self.end(child)


class StartTest(MemoryTestCase):
    BOUND = "available._machine = lambda root: available.Bound('the memory of this machine', %d, %d, 'end something')"

    def test_memory_that_cannot_be_had_is_refused(self):
        child = self.serve(self.BOUND % (64 * MIB, 60 * MIB), "--memory", "100m")
        self.assertEqual(child.wait(), 3)
        self.assertRegex(child.errors(), r"\Anosqgrid: cannot have 100.0 MiB of memory: the memory of this machine is "
                         r"64.0 MiB, of which 60.0 MiB are free; end something, or ask for less with --memory\n\Z")
        self.assertFalse(os.path.exists(self.path("s")))

    def test_memory_that_is_tight_is_warned_of(self):
        child = self.serve(self.BOUND % (64 * MIB, 20 * MIB), "--memory", "30m")
        child.read_line()
        child.signal(signal.SIGTERM)
        self.assertEqual(child.wait(), 0)
        self.assertRegex(child.errors(), r"\Anosqgrid: memory is tight: [^\n]+ only 20.0 MiB are free[^\n]+\n\Z")

    def test_the_default_is_what_is_sensible_and_said(self):
        child = self.serve(self.BOUND % (64 * MIB, 60 * MIB))
        self.assertIn("with 32m of memory (256m would be too much here); when it is full it refuses writes; end it",
                      child.read_line())
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertEqual(self.memory(grid)["memory_limit_bytes"], 32 * MIB)
        self.end(child)

    def test_a_most_below_the_least_is_refused(self):
        child = self.serve("", "--memory", "8m", "--memory-max", "4m")
        self.assertEqual(child.wait(), 2)
        self.assertIn("--memory-max 4m is less than --memory 8m", child.errors())


@unittest.skipUnless(namespaces_allowed(), "needs unshare, and user namespaces that may mount")
class SmallFileSystemTest(MemoryTestCase):
    def test_files_in_one_that_is_too_small_are_refused(self):
        child = self.serve(FILES_ONLY, "--memory", "4m", small_shm="1m")
        self.assertEqual(child.wait(), 3)
        self.assertRegex(child.errors(), r"\Anosqgrid: cannot have 4.0 MiB of memory: the file system of /dev/shm is "
                         r"1.0 MiB, of which \S+ \S+ are free; free some \(df /dev/shm\), or [^\n]+\n\Z")

    def test_files_in_one_that_is_large_enough_work(self):
        child = self.serve(FILES_ONLY, "--memory", "2m", small_shm="3m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertEqual(grid.stats()["shared_memory"], "file")
            self.assertGreater(self.fill(grid), 50)
            self.assertEqual(grid["key0"], bytes(20000))
        self.end(child)

    def test_one_that_somebody_else_fills_afterwards_refuses_writes_and_kills_nobody(self):
        fill = "import pathlib; pathlib.Path('/dev/shm/held').write_bytes(bytes(2 << 20))"
        late = "available.check_before_start = lambda *bounds: exec(%r)" % fill
        child = self.serve(FILES_ONLY + "; " + late, "--memory", "8m", small_shm="4m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            count = self.fill(grid)
            self.assertEqual(grid["key0"], bytes(20000))
            self.assertGreater(count, 10)
            self.assertLess(self.memory(grid)["memory_used_bytes"], 2 * MIB + 1)
        self.end(child)

    def test_a_memfd_does_not_mind(self):
        if not hasattr(os, "memfd_create"):
            self.skipTest("whether libc has memfd_create is not this test's matter")
        child = self.serve("", "--memory", "256m", small_shm="64m")
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            for number in range(100):
                grid[str(number)] = bytes(MIB)
            self.assertEqual(grid.stats()["shared_memory"], "memfd")
            self.assertGreater(self.memory(grid)["memory_used_bytes"], 100 * MIB)
            self.assertEqual(len(grid["99"]), MIB)
        self.end(child)


class GrowthTest(MemoryTestCase):
    @slow
    def test_it_grows_while_it_is_filled_and_shrinks_when_it_is_idle(self):
        child = self.serve(QUICK, "--memory", "8m", "--memory-max", "48m")
        self.assertIn("with 8m of memory, up to 48m where needed;", child.read_line())
        with nosqgrid.attach(self.path("s")) as grid:
            count = self.fill(grid)
            stats = self.memory(grid)
            self.assertEqual(stats["memory_limit_bytes"], 48 * MIB)
            self.assertGreater(count * 20000, 0.85 * 48 * MIB)
            self.assertGreater(stats["memory_grown"], 5)
            grid.delete(*["key%d" % number for number in range(100, count)])
            if stats["shared_memory"] == "file":
                self.skipTest("the memory of a file is not given back")
            wait_until(lambda: grid.stats()["memory_limit_bytes"] == 8 * MIB)
            self.assertLessEqual(self.arena_bytes(child.pid), 8 * MIB)
            self.assertEqual([grid["key%d" % number] for number in range(100)], [bytes(20000)] * 100)
            self.assertEqual(self.fill(grid), count)
            self.assertEqual(self.memory(grid)["memory_limit_bytes"], 48 * MIB)
        self.end(child)

    def test_data_that_needed_the_most_come_back_and_readers_cannot_write(self):
        data = self.path("data")
        arguments = ("--memory", "2m", "--memory-max", "16m", "--dir", data, "--durability", "os")
        child = self.serve(QUICK, *arguments)
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            for number in range(500):
                grid["key%d" % number] = bytes(20000)
        child.kill()
        child.wait()
        child = self.serve(QUICK, *arguments)
        self.assertIn("500 keys", child.read_line())
        child.read_line()
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertEqual(grid["key499"], bytes(20000))
            self.assertGreater(self.memory(grid)["memory_limit_bytes"], 10 * MIB)
            with self.assertRaises(TypeError):
                grid._store.attachment.arena.map[0:1] = b"x"
        self.end(child)
        shutil.rmtree(data)


if __name__ == "__main__":
    unittest.main()

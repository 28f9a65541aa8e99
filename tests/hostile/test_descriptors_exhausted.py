"""A coordinator that runs out of descriptors refuses newcomers, stays quiet, serves the others and recovers."""

import contextlib
import os
import resource
import socket
import time
import unittest

import nosqgrid
from nosqgrid.errors import NosqgridError
from tests.support.processes import ProcessTestCase, wait_until
from tests.support.tiers import slow

LIMIT = 64

SERVE = """
import resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), hard))
from nosqgrid.cli import main
sys.exit(main.main(["serve", "--socket", sys.argv[1], "--memory", "4m", "--while-stdin"]))
"""


def connect(address):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(5)
    sock.connect(address)
    return sock


def cpu_seconds(pid):
    """What a process has used of processors so far."""
    with open("/proc/%d/stat" % pid, "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptor_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


@unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc")
class DescriptorsTest(ProcessTestCase):
    def serve(self, limit):
        address = self.path("s")
        self.child = self.spawn(SERVE, address, str(limit))
        self.child.read_line()
        return address

    def end(self):
        """The coordinator ends in order; what it wrote to standard error."""
        self.child.process.stdin.close()
        self.assertEqual(self.child.wait(), 0)
        return self.child.errors()

    @slow
    def test_it_refuses_stays_quiet_serves_on_and_recovers(self):
        address = self.serve(LIMIT)
        grid = nosqgrid.attach(address, timeout=5)
        crowd = []
        try:
            grid["a"] = 1
            for _ in range(200):
                crowd.append(connect(address))
            wait_until(lambda: "Too many open files" in self.child.errors(), 10, "the coordinator to say so")
            used, started = cpu_seconds(self.child.pid), time.monotonic()
            time.sleep(1.0)
            share = (cpu_seconds(self.child.pid) - used) / (time.monotonic() - started)
            self.assertLess(share, 0.10)
            grid["a"] = 2
            self.assertEqual(grid["a"], 2)
            for sock in crowd:
                sock.close()
            crowd = []
            wait_until(lambda: grid.stats()["clients"] == 1, 10, "the crowd to be gone")
            with nosqgrid.attach(address, timeout=5) as other:
                self.assertEqual(other["a"], 2)
                other["b"] = 3
            self.assertEqual(grid["b"], 3)
        finally:
            grid.close()
            for sock in crowd:
                sock.close()
        said = self.end()
        self.assertNotIn("Traceback", said)
        self.assertLess(said.count("\n"), 60)

    def test_an_attach_for_which_there_is_no_descriptor_left_fails_and_leaks_none(self):
        address = self.serve(32)
        with contextlib.ExitStack() as stack:
            outcomes = set()
            for _ in range(20):
                try:
                    stack.enter_context(nosqgrid.attach(address, timeout=2))
                    outcomes.add("attached")
                except NosqgridError as error:
                    outcomes.add(type(error).__name__)
                    self.assertTrue(str(error))
            self.assertIn("attached", outcomes)
            self.assertGreater(len(outcomes), 1)
        wait_until(lambda: descriptor_count(self.child.pid) < 20, 10, "descriptors to be given back")
        with nosqgrid.attach(address, timeout=5) as grid:
            grid["a"] = 1
            wait_until(lambda: grid.stats()["clients"] == 1, 10, "one client")
        self.assertNotIn("Traceback", self.end())

    def test_a_client_without_descriptors_gets_an_error_and_leaks_none(self):
        address = self.serve(256)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        failed = 0
        try:
            for limit in range(4, before[-1] + 8):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                try:
                    nosqgrid.attach(address, timeout=5).close()
                except (NosqgridError, OSError):
                    failed += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertGreater(failed, 0)
        self.assertEqual(sorted(int(name) for name in os.listdir("/proc/self/fd")), before)
        self.end()

    @slow
    def test_five_hundred_times_attached_and_closed_leaves_the_counts_as_they_were(self):
        address = self.serve(256)
        with nosqgrid.attach(address, timeout=5) as grid:
            own, its = descriptor_count(os.getpid()), descriptor_count(self.child.pid)
            for number in range(500):
                with nosqgrid.attach(address, timeout=5) as other:
                    if number % 10 == 0:
                        other["a"] = number
            self.assertEqual(descriptor_count(os.getpid()), own)
            wait_until(lambda: descriptor_count(self.child.pid) == its, 10, "the coordinator's descriptors")
            self.assertEqual((grid["a"], grid.stats()["clients"]), (490, 1))
        self.assertEqual(self.end(), "")


if __name__ == "__main__":
    unittest.main()

"""What the system leaves: texts of the kernel, trees of control groups that were made up, and what the start says."""

import os
import random
import tempfile
import unittest
from unittest import mock

from nosqgrid.errors import GridFullError, StartError
from nosqgrid.limits import GIB, KIB, MEMORY_BYTES_MIN, MIB
from nosqgrid.memory import available, shared_file

MEMINFO = ("MemTotal:       %d kB\nMemFree:  10 kB\nMemAvailable:   %d kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
           "HugePages_Total:       0\n")


class ParserTest(unittest.TestCase):
    def test_sizes(self):
        for text, size in (("max\n", None), ("0\n", 0), ("1048576\n", MIB), ("9223372036854771712", None), ("", None),
                           (None, None), ("-1", None), ("12 kB", None), ("1e9", None), (" 17 ", 17)):
            self.assertEqual(available.parse_size(text), size, text)

    def test_meminfo(self):
        found = available.parse_meminfo(MEMINFO % (2048, 1024))
        self.assertEqual((found["MemTotal"], found["MemAvailable"], found["HugePages_Total"]), (2 * MIB, MIB, 0))
        self.assertEqual(available.parse_meminfo("MemTotal\nMemFree: \n: 3 kB x\nA: b\n"), {"": 3})
        self.assertEqual(available.parse_meminfo(None), {})

    def test_cgroups(self):
        for text, paths in (("0::/user.slice/a:b\n", ("/user.slice/a:b", None)),
                            ("4:memory:/docker/1\n0::/\n", ("/", "/docker/1")),
                            ("5:cpu,memory:/x\n2:memoryless:/y\n", (None, "/x")),
                            ("nonsense\n0:\n0::relative\n", (None, None)), ("", (None, None)), (None, (None, None))):
            self.assertEqual(available.parse_cgroups(text), paths, text)

    def test_memory_stat(self):
        self.assertEqual(available.parse_memory_stat("a 1\ninactive_file 77\n", "inactive_file"), 77)
        for text in ("inactive_file", "inactive_file x", "xinactive_file 1", None):
            self.assertEqual(available.parse_memory_stat(text, "inactive_file"), 0)

    def test_no_text_makes_a_parser_raise(self):
        rng = random.Random(3)
        for _ in range(3000):
            text = "".join(rng.choice("0:1/ \nkBmax-memory\x00\u0663\ufffd") for _ in range(rng.randrange(60)))
            available.parse_size(text)
            available.parse_meminfo(text)
            available.parse_cgroups(text)
            available.parse_memory_stat(text, "m")


class TreeTestCase(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="nq")
        self.addCleanup(directory.cleanup)
        self.root = directory.name
        patch = mock.patch("resource.getrlimit", lambda which: (available.resource.RLIM_INFINITY,) * 2)
        patch.start()
        self.addCleanup(patch.stop)

    def put(self, path, text):
        path = os.path.join(self.root, path)
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "w") as file:
            file.write(str(text))

    def machine(self, total=GIB, left=GIB // 2):
        self.put("proc/meminfo", MEMINFO % (total // KIB, left // KIB))

    def second(self, path, limit, used=0, stat=""):
        for name, text in (("memory.max", limit), ("memory.current", used), ("memory.stat", stat)):
            self.put("sys/fs/cgroup/" + path + name, text)

    def left(self):
        return available.available_bytes(root=self.root)


class BoundsTest(TreeTestCase):
    def test_nothing_to_read_means_no_bound(self):
        self.assertEqual(available.bounds(root=self.root), [])
        self.assertIsNone(self.left())
        self.assertIsNone(available.check_before_start(1 << 50, root=self.root))

    def test_the_machine(self):
        self.machine()
        self.assertEqual(self.left(), GIB // 2)
        self.put("proc/meminfo", "MemTotal: 5 kB\n")  # a kernel before 3.14 has no MemAvailable
        self.assertIsNone(self.left())

    def test_the_tightest_group_on_the_way_up_counts(self):
        self.put("proc/self/cgroup", "0::/a/b\n")
        self.second("a/b/", "max", 5)
        self.assertIsNone(self.left())
        self.second("a/", 100 * MIB, 30 * MIB)
        self.assertEqual(self.left(), 70 * MIB)
        self.second("a/b/", 90 * MIB, MIB)
        self.assertEqual(self.left(), 70 * MIB)
        self.second("", 60 * MIB, 80 * MIB)
        self.assertEqual(self.left(), 0)

    def test_what_files_have_cached_is_not_in_the_way(self):
        self.put("proc/self/cgroup", "0::/\n")
        self.second("", 100 * MIB, 90 * MIB, "file 9\ninactive_file %d\n" % (50 * MIB))
        self.assertEqual(self.left(), 60 * MIB)

    def test_a_path_that_only_the_host_knows_is_the_mount_itself(self):
        self.put("proc/self/cgroup", "0::/docker/0123/../x\n")
        self.second("", 100 * MIB, 0)
        self.assertEqual(self.left(), 100 * MIB)

    def test_version_1_and_both_together(self):
        self.put("proc/self/cgroup", "7:memory:/c\n0::/c\n")
        for name, text in (("limit_in_bytes", 50 * MIB), ("usage_in_bytes", 20 * MIB)):
            self.put("sys/fs/cgroup/memory/c/memory." + name, text)
        self.put("sys/fs/cgroup/memory/memory.limit_in_bytes", 2 ** 63 - 4096)
        self.assertEqual(self.left(), 30 * MIB)
        self.put("sys/fs/cgroup/unified/c/memory.max", 10 * MIB)
        self.assertEqual(self.left(), 10 * MIB)

    def test_odd_files_are_no_bound(self):
        self.put("proc/self/cgroup", "0::/c\n")
        for text in ("", "many", "-5", "\xff\xfe"):
            self.second("c/", text)
            self.assertIsNone(self.left(), text)
        os.makedirs(os.path.join(self.root, "sys/fs/cgroup/memory.max"))
        self.assertIsNone(self.left())

    def test_the_address_space(self):
        self.put("proc/self/statm", "100 5 5\n")
        with mock.patch("resource.getrlimit", lambda which: (100 * MIB, -1)):
            self.assertEqual(self.left(), 100 * MIB - 100 * available.resource.getpagesize())
            self.put("proc/self/statm", "")
            self.assertEqual(self.left(), 100 * MIB)

    def test_a_file_system_bounds_files_only(self):
        self.assertIsNone(available.available_bytes("memfd", self.root, self.root))
        status = os.statvfs(self.root)
        self.assertAlmostEqual(available.available_bytes("file", self.root, self.root),
                               status.f_bavail * status.f_frsize, delta=GIB)
        self.assertIsNone(available.available_bytes("file", self.root + "/gone", self.root))

    def test_the_real_system_is_understood(self):
        for bound in available.bounds("file"):
            self.assertGreaterEqual(bound.limit_bytes, bound.free_bytes, bound)


class StartTest(TreeTestCase):
    def check(self, memory_bytes, backend=None, directory=None):
        return available.check_before_start(memory_bytes, backend, directory, self.root)

    def test_a_limit_below_what_is_asked_for_refuses_with_all_figures(self):
        self.machine()
        self.assertRaisesRegex(StartError, "this machine is 1024.0 MiB", self.check, 2 * GIB)
        self.put("proc/self/cgroup", "0::/\n")
        self.second("", 100 * MIB, 40 * MIB)
        with self.assertRaises(StartError) as caught:
            self.check(101 * MIB)
        for words in ("101.0 MiB of memory", "control group", "is 100.0 MiB", "60.0 MiB are free", "raise it",
                      "--memory"):
            self.assertIn(words, str(caught.exception))

    def test_less_free_than_is_asked_for_is_a_warning_that_names_the_tightest(self):
        self.machine()
        self.put("proc/self/cgroup", "0::/\n")
        self.second("", 700 * MIB, 300 * MIB)
        self.assertIsNone(self.check(300 * MIB))
        warning = self.check(600 * MIB)
        for words in ("600.0 MiB are asked for", "control group", "700.0 MiB", "400.0 MiB are free"):
            self.assertIn(words, warning)

    def test_a_full_file_system_refuses(self):
        status = mock.Mock(f_blocks=256, f_frsize=4096, f_bavail=128)
        with mock.patch("os.statvfs", lambda path: status):
            self.assertRaisesRegex(StartError, "file system of /somewhere is 1.0 MiB, of which 512.0 KiB are free; "
                                   "free some .df /somewhere.", self.check, MIB, "file", "/somewhere")
            self.assertIsNone(self.check(MIB // 2, "file", "/somewhere"))
            self.assertIsNone(self.check(MIB, "memfd", "/somewhere"))

    def test_the_default_gives_way_to_what_there_is(self):
        def sensible(wanted=256 * MIB):
            return available.sensible_bytes(wanted, root=self.root)

        self.assertEqual(sensible(), 256 * MIB)
        self.machine(4 * GIB, 2 * GIB)
        self.assertEqual(sensible(), 256 * MIB)
        self.put("proc/self/cgroup", "0::/\n")
        self.second("", 300 * MIB, 0)
        self.assertEqual(sensible(), 150 * MIB)
        self.second("", 300 * MIB, 200 * MIB)
        self.assertEqual(sensible(), 75 * MIB)
        self.second("", MIB, MIB)
        self.assertEqual(sensible(), MEMORY_BYTES_MIN)
        self.assertIsNotNone(self.check(sensible()))  # tight, and said so

    def test_the_probe_names_the_backend_and_leaves_nothing(self):
        with shared_file.create("test", 4096) as file:
            self.assertEqual(available.probe_backend(), file.backend)
        with mock.patch.object(shared_file, "create", side_effect=GridFullError("none")):
            self.assertIsNone(available.probe_backend())


if __name__ == "__main__":
    unittest.main()

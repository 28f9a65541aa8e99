"""Sessions that come and go, with views and large values: neither side grows."""

import gc
import os
import unittest

import nosqgrid
from tests.process.test_survival import GridTestCase
from tests.support.processes import wait_until
from tests.support.tiers import FULL, slow

TIMES = 100 * 1000 if FULL else 2000
WARM = 300
GROWTH_BYTES = 3 << 20  # far less than the lanes of so many sessions, which have 400 KiB each
DATA = b"12345678" * 40000
IN_HEAP = b"abcdefgh" * 5000


def resident_bytes(pid):
    with open("/proc/%s/statm" % pid) as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def opened(pid):
    return len(os.listdir("/proc/%s/fd" % pid))


@unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc")
class AttachDetachTest(GridTestCase):
    memory = "32m"

    def once(self, number):
        grid = nosqgrid.attach(self.launched.address)
        kept = [grid.view("heap"), grid.view("large")]
        if number % 3 == 0:
            grid["own%d" % (number % 5)] = DATA
        if number % 5 == 0:
            kept.append(grid.share(DATA))
        if number % 7 == 0:
            kept[0].release()
        self.assertEqual(kept[1].memoryview[:8], b"12345678")
        grid.close()
        if number % 2:
            self.assertEqual(kept[1].memoryview[-8:], b"12345678")

    @slow
    def test_views_and_large_values(self):
        self.grid["heap"], self.grid["large"] = IN_HEAP, DATA
        for number in range(WARM):
            self.once(number)
        gc.collect()
        wait_until(lambda: self.grid.stats()["retained_bytes"] == 0, 10.0, "everything to be given back")
        before = [(opened(pid), resident_bytes(pid)) for pid in ("self", self.launched.pid)]
        for number in range(TIMES):
            self.once(number)
        gc.collect()
        wait_until(lambda: self.grid.stats()["retained_bytes"] == 0, 10.0, "everything to be given back")
        wait_until(lambda: opened(self.launched.pid) <= before[1][0] + 1, 10.0, "descriptors to be closed")
        for pid, (descriptors, size_bytes) in zip(("self", self.launched.pid), before):
            self.assertLessEqual(opened(pid), descriptors + 1)
            self.assertLess(resident_bytes(pid), size_bytes + GROWTH_BYTES)
        self.attached(1)
        stats = self.grid.stats()
        self.assertEqual((stats["large_shared"], stats["large_filling_bytes"]), (0, 0))


if __name__ == "__main__":
    unittest.main()

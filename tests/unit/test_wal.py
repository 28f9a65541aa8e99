"""The writer of the log by itself: what its callers may count on between trouble and recovery."""

import shutil
import tempfile
import unittest

from nosqgrid.errors import InvariantError
from nosqgrid.storage.files import Files
from nosqgrid.storage.wal import Wal


class WalTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory)

    def make(self, level):
        wal = Wal(Files(), self.directory, 7, level, 1, 1)
        self.addCleanup(wal.close, sync=False)
        return wal

    def test_to_start_over_again_and_again_makes_no_file_each_time(self):
        wal = self.make("everysec")
        wal.append(1, 1, bytes(8))
        for _ in range(5):
            wal.start_over(2)
        self.assertEqual((wal.sequence, wal.segments), (2, 2))
        wal.append(2, 1, bytes(8))
        wal.start_over(3)
        self.assertEqual((wal.sequence, wal.segments), (3, 3))
        wal.start_over(9)  # served without the log meanwhile
        self.assertEqual((wal.sequence, wal.appended_lsn), (4, 8))

    def test_nothing_counts_as_durable_behind_a_broken_segment_before_its_owner_says_so(self):
        wal = self.make("everysec")
        wal.append(1, 1, bytes(8))
        wal.start_over(2)
        wal.append(2, 1, bytes(8))
        wal.sync()
        self.assertEqual(wal.durable_lsn, 0)
        wal.durable_lsn = 1  # a checkpoint stands
        wal.append(3, 1, bytes(8))
        wal.sync()
        self.assertEqual(wal.durable_lsn, 3)

    def test_segments_that_were_closed_without_a_sync_are_not_said_to_be_synced(self):
        wal = self.make("os")
        wal.append(1, 1, bytes(8))
        wal.rotate()
        wal.append(2, 1, bytes(8))
        self.assertRaises(InvariantError, wal.sync)

    def test_positions_follow_each_other(self):
        wal = self.make("os")
        wal.append(1, 2, bytes(16))
        for first_lsn in (1, 2, 4):
            self.assertRaises(InvariantError, wal.append, first_lsn, 1, bytes(8))
        wal.append(3, 1, bytes(8))


if __name__ == "__main__":
    unittest.main()

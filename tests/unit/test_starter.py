"""The lock of who starts a coordinator: its file is gone afterwards, and one that is gone locks nobody."""

import os
import tempfile
import threading
import unittest
from unittest import mock

from nosqgrid.client import embedded


class StarterTest(unittest.TestCase):
    def test_one_starts_at_a_time_and_nothing_is_left(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        address = os.path.join(folder.name, "nosq.sock")
        starting, most, started, failed = [], [], [], []

        def spawn(starter):
            starting.append(starter)
            most.append(len(starting))
            threading.Event().wait(0.002)  # for the others to come
            started.append(starter)
            starting.remove(starter)

        def run():
            try:
                for _ in range(15):
                    embedded.Starter(None, None, None, None).start()
            except Exception as error:  # a thread tells nobody else
                failed.append(error)

        with mock.patch.object(embedded.Starter, "_spawn", spawn), \
                mock.patch.object(embedded, "_served", lambda address: False), \
                mock.patch.object(embedded.addresses, "resolve", lambda given: address), \
                mock.patch.object(embedded, "check_directory", lambda path: None), \
                mock.patch.object(embedded, "RETRY_S", 0.0002):
            threads = [threading.Thread(target=run) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual((failed, len(started), max(most)), ([], 6 * 15, 1))
        self.assertEqual(os.listdir(folder.name), [])

    def test_who_opened_a_file_that_is_removed_before_he_locks_it_opens_the_next(self):
        with tempfile.TemporaryDirectory() as folder:
            place, flock, calls = os.path.join(folder, "starter"), embedded.fcntl.flock, []

            def flock_late(fd, how):
                calls.append(fd)
                if len(calls) == 1:
                    os.unlink(place)  # whoever had the lock is done
                flock(fd, how)

            with mock.patch.object(embedded.fcntl, "flock", flock_late):
                fd = embedded.Starter(None, None, None, None)._take_turn(place, 0.0)
            self.addCleanup(os.close, fd)
            self.assertEqual(len(calls), 2)
            self.assertTrue(os.path.samestat(os.stat(place), os.fstat(fd)))

    def test_a_lock_of_a_file_that_was_removed_meanwhile_is_not_enough(self):
        with tempfile.TemporaryDirectory() as folder:
            place = os.path.join(folder, "starter")
            fd = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
            self.addCleanup(os.close, fd)
            self.assertTrue(embedded._names(place, fd))
            os.unlink(place)
            self.assertFalse(embedded._names(place, fd))
            os.close(os.open(place, os.O_RDWR | os.O_CREAT, 0o600))
            self.assertFalse(embedded._names(place, fd))


if __name__ == "__main__":
    unittest.main()

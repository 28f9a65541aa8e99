"""A grid, threads and forked children for tests of locks."""

import os
import threading

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import ProcessTestCase, wait_until


class LocksTestCase(ProcessTestCase):
    def setUp(self):
        super().setUp()
        self.launched = launcher.start(memory="16m")
        self.grid = nosqgrid.attach(self.launched.address)

    def tearDown(self):
        self.grid.close()
        self.launched.stop()
        super().tearDown()

    def in_thread(self, function):
        """A thread that runs it; what it returned, or raised, is in `found`."""
        thread = threading.Thread(target=lambda: thread.found.append(self._caught(function)))
        thread.found = []
        thread.start()
        return thread

    def _caught(self, function):
        try:
            return function()
        except Exception as error:
            return error

    def waits(self, name, count=1):
        wait_until(lambda: len(self.grid.lock(name).waiters()) == count, what="%d who wait for %s" % (count, name))

    def in_child(self, function):
        """Run it in a forked child; its exit status is 0 where it returned true."""
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = 0 if function() else 2
            finally:
                os._exit(status)
        return pid

    def assert_ends_well(self, pid):
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def assert_nothing_left(self):
        self.assertEqual(self.grid.locks(), [])

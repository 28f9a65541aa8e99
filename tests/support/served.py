"""Tests with a coordinator and a grid of their own."""

import threading

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import ProcessTestCase


class GridTestCase(ProcessTestCase):
    """`launched` is a coordinator of 16 MiB in memory, `grid` a grid of it."""

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
        thread = threading.Thread(target=lambda: thread.found.append(_outcome_of(function)))
        thread.found = []
        thread.start()
        return thread


def _outcome_of(function):
    try:
        return function()
    except Exception as error:
        return error

"""Tests of locks: a coordinator, a grid, threads whose outcome is kept, and processes that do as they are told.

    class MyTest(LockTestCase):
        def test_something(self):
            child = self.player()
            self.assertEqual(child.ask("lock", "a", "acquire"), "True")
            child.tell("lock", "b", "acquire")      # which waits
            child.read_line()
"""

import json
import sys
import threading

import nosqgrid
from nosqgrid.client import launcher
from tests.support.processes import TIMEOUT_S, ProcessTestCase, wait_until


def play(address):
    """A process: for each line [maker, name, method, *arguments] it calls a method of a lock (kept by its name), and
    prints what that gave, or the error.
    """
    grid, made = nosqgrid.attach(address), {}
    print("ready", flush=True)
    for line in sys.stdin:
        maker, name, method, *arguments = json.loads(line)
        try:
            if name not in made:
                made[name] = getattr(grid, maker)(name, *([2] if maker == "semaphore" else []))
            found = getattr(made[name], method)
            print(found(*arguments) if callable(found) else found, flush=True)
        except Exception as error:
            print("%s: %s" % (type(error).__name__, error), flush=True)


class Player(object):
    """A process that runs play()."""

    def __init__(self, child):
        self.child = child
        self.pid = child.pid
        self.read_line = child.read_line
        child.read_line()

    def tell(self, *words):
        """Let it call a method."""
        self.child.write_line(json.dumps(words))

    def ask(self, *words):
        """What the method gave."""
        self.tell(*words)
        return self.read_line()

    def kill(self):
        """SIGKILL, and wait for the end."""
        self.child.kill()
        self.child.wait()


class LockTestCase(ProcessTestCase):
    """One coordinator for the tests of a class; whatever a test did, nobody holds a lock after it."""

    memory = "16m"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.launched = launcher.start(memory=cls.memory)

    @classmethod
    def tearDownClass(cls):
        cls.launched.stop()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.grid = nosqgrid.attach(self.launched.address)
        self._players, self._threads = [], []

    def tearDown(self):
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        for player in self._players:
            if player.child.process.poll() is None:
                player.kill()
        self.grid.close()
        with nosqgrid.attach(self.launched.address) as grid:
            wait_until(lambda: not grid.locks(), what="nobody to hold a lock")
            with grid.multilock("abcd"):
                grid.clear()  # and whoever has these next is not told of deaths in this test
        super().tearDown()

    def player(self):
        """A process that does as it is told; ended at the end of the test."""
        self._players.append(Player(self.spawn(play, self.launched.address)))
        return self._players[-1]

    def thread(self, function):
        """A thread that runs it; `found` is a list with what it returned, or raised."""
        thread = threading.Thread(target=lambda: thread.found.append(_caught(function)))
        thread.found = []
        self._threads.append(thread)
        thread.start()
        return thread

    def outcome(self, thread):
        thread.join(TIMEOUT_S)
        self.assertEqual(len(thread.found), 1, "the thread waits still")
        return thread.found[0]

    def wait_for_waiters(self, name, count=1):
        """Until so many wait for a lock; the Holders."""
        lock = self.grid.lock(name)
        wait_until(lambda: len(lock.waiters()) == count, what="%d to wait for %s" % (count, name))
        return lock.waiters()


def _caught(function):
    try:
        return function()
    except Exception as error:
        return error

"""Functions for executors to call in tests."""

import os
import signal
import time


def square(number):
    """Its square."""
    return number * number


def slow_square(number):
    """The same, later."""
    time.sleep(0.1)
    return number * number


def whoami():
    """The process that runs it."""
    return os.getpid()


def die():
    """Kill whoever runs it."""
    os.kill(os.getpid(), signal.SIGKILL)


def raise_key_error(key):
    """Raise an exception with an argument."""
    raise KeyError(key)

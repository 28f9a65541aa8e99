"""Tasks and functions for the tests of workers: a worker imports this module with $NOSQGRID_SOCKET set."""

import os
import signal
import subprocess
import sys
import time

import nosqgrid

grid = nosqgrid.attach()


@grid.task(retries=0)
def add(a, b=0):
    """A sum."""
    return a + b


@grid.task(retries=5, backoff=(0, 0, 1))
def note(number):
    """Leave a trace of each time that it is run."""
    grid.incr("runs")
    grid.incr("run:%d" % number)
    time.sleep(0.002)
    grid.incr("end:%d" % number)


@grid.task(retries=2, backoff=(0, 0, 1))
def kill_own_process():
    """Die in the middle."""
    grid.incr("kills")
    os.kill(os.getpid(), signal.SIGKILL)


@grid.task(retries=2, backoff=(0.01, 0.05, 2))
def fail(text):
    """Raise."""
    grid.incr("fails")
    raise ValueError(text)


@grid.task(retries=0)
def leave(status):
    """Try to end the worker."""
    sys.exit(status)


@grid.task(retries=3)
def hold(name, seconds):
    """Say that it has begun, and take its time."""
    grid.incr("begun:" + name)
    grid["pid:" + name] = os.getpid()
    time.sleep(seconds)
    grid.incr("done:" + name)


@grid.task(retries=3)
def rest(name, seconds):
    """Begin, and then need nobody."""
    grid.incr("begun:" + name)
    time.sleep(seconds)


@grid.task(retries=0, ttr=0.5)
def outlive(name):
    """Take longer than it may, with a process of its own."""
    child = subprocess.Popen(["sleep", "60"])
    grid["child:" + name] = child.pid
    grid.incr("begun:" + name)
    child.wait()


@grid.task(retries=0, ttr=0.6)
def touch(times):
    """Take longer than it may at once, and say so in time."""
    for _ in range(times):
        time.sleep(0.2)
        nosqgrid.current_job().touch()
    grid.incr("touched")


@grid.task(retries=0)
def until_cancelled(name):
    """Go on until somebody cancels it."""
    grid.incr("begun:" + name)
    while not nosqgrid.current_job().cancelled():
        time.sleep(0.01)
    grid.incr("cancelled:" + name)


@grid.task(retries=0)
def when(name):
    """What a job knows of its schedule."""
    grid.incr("ticks:" + name)
    grid["scheduled:" + name] = nosqgrid.current_job().scheduled


def plain(payload):
    """For jobs without a kind."""
    grid.incr("plain")
    return payload

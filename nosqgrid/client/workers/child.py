"""A worker process: imports the module with the tasks, and runs the loops (client/workers/loop).

Its parent (client/workers/worker) has forked it, and holds the other end of `control`: one byte there, or its end,
means to finish the job at hand and to end.  That a job is cancelled the parent says with CANCEL and SIGTERM; a SIGTERM
without it came from elsewhere, and is the parent's business.
"""

import atexit
import importlib
import os
import select
import signal
import sys
import threading
import traceback

from ...errors import JobCancelledError, NosqgridError
from . import calls, loop
from .tasks import TASKS

# It was told to; another is to go on; it failed, and another is to try; it could not even begin.
EXIT_STOPPED, EXIT_AGAIN, EXIT_FAILED, EXIT_CANNOT = 0, 75, 71, 70
STOP, CANCEL = b"s", b"c"
_LOOK_S = 0.05  # between two looks at threads that are to end


class Work(object):
    """What a worker process is to run: the module, the name of a function for jobs without a kind (or None), the
    modules whose functions calls may name (None: any), the secret of an executor (or None), and how values are read.
    """

    def __init__(self, module, function=None, modules=(), secret=None, codec=None):
        self.module = module
        self.function = function
        self.modules = modules
        self.secret = secret
        self.codec = codec

    def functions(self):
        """Import everything; the calls.Functions.  Raises whatever an import raises; ImportError where the module has
        no such function.
        """
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        plain = None
        if self.module is not None:
            plain = importlib.import_module(self.module)
            for part in self.function.split(".") if self.function else ():
                plain = getattr(plain, part, None)
            if self.function and not callable(plain):
                raise ImportError("%s has no function %s" % (self.module, self.function))
        return calls.Functions(self.codec, TASKS, plain if self.function else None, self.modules, self.secret)


def run(work, settings, control, board, threads, say):
    """What a child does after the fork; its exit status.  `control` is a descriptor, `board` has a slot a thread."""
    try:
        functions = work.functions()
    except BaseException as error:
        say("cannot import %s: %s: %s" % (work.module, type(error).__name__, error))
        if not isinstance(error, ImportError):
            traceback.print_exc()
        return EXIT_CANNOT
    board.ready()
    try:
        ends = _one(settings, functions, control, board, say) if threads == 0 else _several(
            settings, functions, control, board, threads, say)
    except NosqgridError as error:
        say("%s" % error)
        return EXIT_FAILED
    return EXIT_STOPPED if ends <= {loop.STOPPED} else EXIT_AGAIN


def leave(status):
    """End this forked process with what Python does at its end, and nothing of the parent's."""
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(status)


def _one(settings, functions, control, board, say):
    """One loop in the main thread, where a signal can end a function."""
    worker = loop.Loop(settings, functions, control, board, 0, say)

    def cancel(number, frame):
        if worker.job is not None and select.select([control], [], [], 0)[0]:
            if os.read(control, 1) == CANCEL:
                raise JobCancelledError("the job was cancelled")
            worker.stopping = True

    signal.signal(signal.SIGTERM, cancel)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    return {worker.run()}


def _several(settings, functions, control, board, count, say):
    """A loop in each of so many threads; the first that ends takes the others with it."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGINT, lambda number, frame: None)
    ends, pipes, threads = set(), [os.pipe() for _ in range(count)], []
    over_read, over_write = os.pipe()

    def work(slot):
        try:
            ends.add(loop.Loop(settings, functions, pipes[slot][0], board, slot, say).run())
        except BaseException:
            ends.add(loop.WORN)
            traceback.print_exc()
        os.write(over_write, b"o")

    for slot in range(count):
        threads.append(threading.Thread(target=work, args=(slot,), name="nosqgrid-work-%d" % slot, daemon=True))
        threads[-1].start()
    select.select([control, over_read], [], [])
    for _, write in pipes:
        os.write(write, STOP)
    for thread in threads:
        while thread.is_alive():
            thread.join(_LOOK_S)
    return ends

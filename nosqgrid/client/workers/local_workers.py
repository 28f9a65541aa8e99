"""Workers that an executor starts for itself: `nosqgrid worker` in a process of its own, which ends with it.

They find modules where this program does.  A secret goes to them through a pipe: what is not sealed with it they do not
run.  The pipe is also their life: when it ends, however this process ended, they finish and end.
"""

import os
import secrets
import subprocess
import sys

_SECRET_BYTES = 32
_END_S = 60.0  # for what they are just doing


class LocalWorkers(object):
    """So many worker processes for one queue of the grid at `address`."""

    def __init__(self, address, queue, count, pickled):
        self.secret = secrets.token_bytes(_SECRET_BYTES)
        words = [sys.executable, "-m", "nosqgrid", "worker", "--socket", address, "-q", queue, "-c", str(count),
                 "--grace", "5", "--sealed-by-stdin"] + (["--pickle"] if pickled else [])
        paths = [path or os.getcwd() for path in sys.path]
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(dict.fromkeys(paths + [package])))
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)
        self._process.stdin.write(self.secret.hex().encode("ascii") + b"\n")
        self._process.stdin.flush()

    def ended(self):
        """The exit status, where they have ended by themselves, or None."""
        return self._process.poll()

    def close(self):
        """Let them end, and wait for that."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            self._process.stdin = None  # they have ended already
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

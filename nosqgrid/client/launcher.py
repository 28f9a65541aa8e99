"""Starting a coordinator as a process of its own, for programs that bring their own grid: the demo, benches, tests.

The coordinator is a child with its own session, so that an interrupt typed at the terminal does not end it before its
clients; it ends when told, or when the program that started it does (it notices the end of its standard input).
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

from ..errors import StartError
from .link import Link

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Launched(object):
    """A running coordinator: `address` of its socket, its `pid` and `process`; stop() it, or use it in a `with`."""

    def __init__(self, process, address, folder):
        self.process = process
        self.pid = process.pid
        self.address = address
        self._folder = folder

    def stop(self):
        """End it, orderly; by force where that takes too long.  Its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stderr):
            stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # the socket's private directory; a leftover harms nobody
            self._folder = None
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.stop()


def start(socket_path=None, memory="64m", extra_args=(), timeout_s=START_TIMEOUT_S, environment=None):
    """Start `python -m nosqgrid serve` and wait until it serves; Launched.

    Without `socket_path` the socket lies in a new private directory.  Raises StartError with what it said when it does
    not come up.
    """
    folder = None
    if socket_path is None:
        folder = tempfile.mkdtemp(prefix="nosqgrid-")
        socket_path = os.path.join(folder, "nosq.sock")
    environment = dict(os.environ if environment is None else environment)
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (PACKAGE_PARENT, environment.get("PYTHONPATH")) if part)
    command = [sys.executable, "-m", "nosqgrid", "serve", "--socket", socket_path, "--memory", str(memory), "--quiet",
               "--while-stdin"] + list(extra_args)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=environment, start_new_session=True)
    launched = Launched(process, socket_path, folder)
    try:
        _wait_until_served(launched, time.monotonic() + timeout_s)
    except BaseException:
        launched.stop()
        raise
    return launched


def _wait_until_served(launched, deadline):
    pause_s = 0.005
    while time.monotonic() < deadline:
        if launched.process.poll() is not None:
            said = launched.process.stderr.read().decode("utf-8", "replace").strip()
            raise StartError(said or "the coordinator ended at once with status %d" % launched.process.returncode)
        if os.path.exists(launched.address):
            with contextlib.suppress(ConnectionError):  # not yet, or not any more: its end is looked for above
                with contextlib.closing(Link(launched.address, 1.0)) as link:
                    # Answered once all is back; where Redis clients need a password this one needs none.
                    link.command(b"NOSQGRID.STATS", timeout_s=max(deadline - time.monotonic(), 0.01))
                return
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)
    raise StartError("the coordinator did not serve %s in time" % launched.address)

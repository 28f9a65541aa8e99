"""Other processes for tests: start Python programs, kill and stop them, and prove that nothing of them is left.

    class MyTest(ProcessTestCase):
        def test_something(self):
            child = self.spawn("import sys; print('ready', flush=True); sys.stdin.read()")
            child.read_line()                      # "ready"
            child.kill()
            self.assertEqual(child.wait(), -signal.SIGKILL)

Every child runs with warnings as errors, in the top of the repository, and with TMPDIR set to the test's own directory,
so that whatever it forgets to remove is found there.  ProcessTestCase fails a test that leaves a child process, an open
descriptor or a file behind; `leftovers()` is the same knowledge for other uses.
"""

import fnmatch
import gc
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections import namedtuple

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 30.0  # for whatever should take milliseconds
SETTLE_S = 3.0  # how long something that is already dying may take until it is a leftover

_CALL_FUNCTION = """\
import importlib, json, sys
function = importlib.import_module(sys.argv[1])
for name in sys.argv[2].split("."):
    function = getattr(function, name)
function(*json.loads(sys.argv[3]))
"""


# -- children ---------------------------------------------------------------------------------------------------------


class Child:
    """A Python process that a test started; its standard output is a pipe, its standard error a file."""

    def __init__(self, arguments, environment, stdin=None):
        self._errors = tempfile.TemporaryFile(prefix="nq")
        self._buffer = b""
        self.process = subprocess.Popen([sys.executable, "-W", "error"] + arguments, stdin=stdin or subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self._errors, cwd=REPOSITORY, env=environment,
                                        close_fds=True)
        self.pid = self.process.pid

    def read_line(self, timeout_s=TIMEOUT_S):
        """The next line of its output without the newline; AssertionError when none comes in time."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            if not self._read_some(deadline - time.monotonic()):
                raise AssertionError("no line from process %d; it wrote %r and, to stderr, %s"
                                     % (self.pid, self._buffer, self.errors()))
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8")

    def _read_some(self, timeout_s):
        """Wait for output and return it: b"" at its end, None when time is up."""
        descriptor = self.process.stdout.fileno()
        if not select.select([descriptor], [], [], max(0, timeout_s))[0]:
            return None
        data = os.read(descriptor, 65536)
        self._buffer += data
        return data

    def write_line(self, text):
        """Send it a line."""
        self.process.stdin.write(text.encode("utf-8") + b"\n")
        self.process.stdin.flush()

    def errors(self):
        """What it wrote to standard error so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def signal(self, number):
        """Send it a signal; nothing happens when it has ended and was waited for."""
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL: no line of the child's runs any more."""
        self.signal(signal.SIGKILL)

    def stop(self, timeout_s=TIMEOUT_S):
        """SIGSTOP, and wait until it stands."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: process_state(self.pid) in ("T", "Z", None), timeout_s, "process %d to stop" % self.pid)

    def resume(self):
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def wait(self, timeout_s=TIMEOUT_S):
        """Its return code, negative for a signal; AssertionError when it does not end in time.  Its output is kept."""
        deadline = time.monotonic() + timeout_s
        data = None
        # Its end shows at once as the end of its output, unless a child of its own holds that open.
        while self.process.poll() is None and data != b"" and time.monotonic() < deadline:
            data = self._read_some(min(0.05, deadline - time.monotonic()))
        try:
            code = self.process.wait(max(0.001, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError("process %d did not end within %g s; stderr: %s"
                                 % (self.pid, timeout_s, self.errors())) from None
        if not self.process.stdout.closed:
            while self._read_some(0):
                continue
        self._close_pipes()
        return code

    def finish(self, timeout_s=TIMEOUT_S):
        """Close its input and wait; returns its output.  It must end with 0 and write nothing to standard error."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        code = self.wait(timeout_s)
        if code != 0 or self.errors():
            raise AssertionError("process %d ended with %d; stdout: %r; stderr: %s"
                                 % (self.pid, code, self._buffer, self.errors()))
        return self._buffer.decode("utf-8")

    def close(self):
        """Kill it if it runs, and release what this process holds of it; tells whether it had to be killed."""
        running = self.process.poll() is None
        if running:
            self.kill()
            self.process.wait()
        self._close_pipes()
        self._errors.close()
        return running

    def _close_pipes(self):
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what was still buffered for a dead child


def spawn_python(program, *args, directory=None, environment=None, stdin=None):
    """Start a Python process with warnings as errors.

    Args:
      program: code, to which the args are sys.argv[1:]; or a module-level function, called with the args (anything that
        JSON carries); or a list such as ["-m", "nosqgrid", "serve"], followed by the args.
      directory: TMPDIR of the process.
      environment: variables to set, or to remove where the value is None.
    Returns: a Child, which the caller closes.
    """
    variables = dict(os.environ, PYTHONPATH=REPOSITORY, PYTHONWARNINGS="error")
    if directory is not None:
        variables["TMPDIR"] = directory
    for name, value in (environment or {}).items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    if callable(program):
        arguments = ["-c", _CALL_FUNCTION, program.__module__, program.__qualname__, json.dumps(args)]
    elif isinstance(program, str):
        arguments = ["-c", program] + [str(argument) for argument in args]
    else:
        arguments = list(program) + [str(argument) for argument in args]
    return Child(arguments, variables, stdin)


def process_state(pid):
    """The letter of /proc/<pid>/stat (R, S, T, Z, ...), or None when there is no such process or no /proc."""
    fields = _stat(pid)
    return fields[0] if fields else None


def _stat(pid):
    """The fields of /proc/<pid>/stat behind the name, which may contain anything, or an empty list."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return []


def wait_until(condition, timeout_s=TIMEOUT_S, what="a condition"):
    """Poll until condition() is true and return it; AssertionError when time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("waited %g s for %s" % (timeout_s, what))
        time.sleep(0.002)


# -- what is left -----------------------------------------------------------------------------------------------------


class Leftovers(namedtuple("Leftovers", "children descriptors files")):
    """Sets of "pid command", (number, target) and paths."""

    __slots__ = ()

    def since(self, before):
        """What is here and was not before."""
        return Leftovers(*(now - then for now, then in zip(self, before)))

    def __bool__(self):
        return any(self)


def leftovers(directory=None):
    """The child processes and open descriptors of this process, and the files below a directory, as Leftovers."""
    return Leftovers(children(), descriptors(), files_below(directory) if directory else set())


def children():
    """The direct child processes, zombies included: a set of "pid command"."""
    if not os.path.isdir("/proc/self"):
        return _children_by_ps()
    found, parent = set(), str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit() and _stat(name)[1:2] == [parent]:
            found.add("%s %s" % (name, _command(name)))
    return found


def _command(pid):
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as file:
            return file.read(400).replace(b"\0", b" ").decode("utf-8", "replace").strip() or "(zombie)"
    except (FileNotFoundError, ProcessLookupError):
        return "(gone)"


def _children_by_ps():
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,comm="], stdout=subprocess.PIPE) as process:
        rows = [line.decode("utf-8", "replace").split(None, 2) for line in process.communicate()[0].splitlines()]
    return {"%s %s" % (row[0], row[-1]) for row in rows
            if row[1] == str(os.getpid()) and row[0] != str(process.pid)}


def descriptors():
    """The open descriptors of this process as a set of (number, what it refers to)."""
    directory = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = set()
    for name in os.listdir(directory):
        try:
            found.add((int(name), os.readlink(os.path.join(directory, name))))
        except OSError:
            if _is_open(int(name)):  # a system whose /dev/fd holds no links
                found.add((int(name), "?"))
    return found


def _is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:  # the one that the listing itself used
        return False
    return True


def files_below(directory):
    """The paths of everything in a directory and below, relative to it."""
    found = set()
    for parent, folders, files in os.walk(directory):
        found.update(os.path.relpath(os.path.join(parent, name), directory) for name in folders + files)
    return found


def temporary_directory():
    """A new 0700 directory with a path short enough for a Unix socket in it; the caller removes it."""
    base = tempfile.gettempdir()
    if len(base) > 40:
        base = "/tmp"
    return tempfile.mkdtemp(prefix="nq", dir=base)


def stop_multiprocessing_helpers():
    """End the processes that multiprocessing keeps for a later use: the fork server and the resource tracker."""
    modules = sys.modules
    server = getattr(modules.get("multiprocessing.forkserver"), "_forkserver", None)
    tracker = getattr(modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    tracker = tracker or getattr(modules.get("multiprocessing.semaphore_tracker"), "_semaphore_tracker", None)
    _end_helper(server, "_forkserver_alive_fd", "_forkserver_pid")
    if server is not None and server._forkserver_address:
        if os.path.exists(server._forkserver_address):
            os.unlink(server._forkserver_address)
        server._forkserver_address = None
    _end_helper(tracker, "_fd", "_pid")


def _end_helper(helper, descriptor_name, pid_name):
    """Both end when the pipe that keeps them alive is closed."""
    if helper is None or getattr(helper, descriptor_name) is None:
        return
    os.close(getattr(helper, descriptor_name))
    setattr(helper, descriptor_name, None)
    os.waitpid(getattr(helper, pid_name), 0)
    setattr(helper, pid_name, None)


# -- the test case ----------------------------------------------------------------------------------------------------


_frozen = []


def _leave_alone_what_is_old():
    """Once: what every module has made by now is no garbage, and looking through it takes 12 ms of each collection."""
    if not _frozen and hasattr(gc, "freeze"):
        gc.collect()
        gc.freeze()
        _frozen.append(True)


class ProcessTestCase(unittest.TestCase):
    """A test that may start processes in `self.directory` and must leave nothing behind.

    Files that may stay in the directory are named in `allowed_files` (patterns, relative to it), and those that the
    test itself made by self.path(name, keep=True).  Children started by self.spawn are killed at the end, but a test
    that did not end one itself fails.  A subclass that overrides setUp or tearDown calls these.
    """

    allowed_files = ()

    def setUp(self):
        super().setUp()
        self.directory = temporary_directory()
        self._kept = list(self.allowed_files)
        self._children = []
        _leave_alone_what_is_old()
        gc.collect()
        self._before = leftovers()

    def tearDown(self):
        forgotten = ["%d was still running" % child.pid for child in self._children if child.close()]
        gc.collect()  # first, so that the tracker is told of the semaphores that go with it
        stop_multiprocessing_helpers()
        left = self._settled()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.assertEqual(forgotten, [], "children that the test did not end")
        self.assertEqual(left.children, set(), "child processes left behind")
        self.assertEqual(left.descriptors, set(), "descriptors left open")
        self.assertEqual(left.files, set(), "files left behind")
        super().tearDown()

    def _settled(self):
        """What is left; what is just ending gets a moment."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            left = leftovers(self.directory).since(self._before)
            left = left._replace(files={name for name in left.files if not self._may_stay(name)})
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.01)

    def _may_stay(self, name):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._kept)

    def path(self, name, keep=False):
        """The path of a name in the test's directory; keep=True for a file that the test leaves there on purpose."""
        if keep:
            self._kept.append(name)
        return os.path.join(self.directory, name)

    def spawn(self, program, *args, environment=None, stdin=None):
        """spawn_python in this test's directory; the Child is closed at the end of the test."""
        child = spawn_python(program, *args, directory=self.directory, environment=environment, stdin=stdin)
        self._children.append(child)
        return child

"""Coordinators on a data directory for tests that kill them, starve them and bring them back, and what must be there
then.

    class MyTest(DurableTestCase):
        def test_something(self):
            served = self.serve(level="os")            # python -m nosqgrid serve --dir self.data
            writer = self.spawn(writer_program, "w0")
            writer.write_line(go(served.address, 0))   # writes until its coordinator is gone ...
            served.kill()
            report = json.loads(writer.read_line())    # ... and says what it sent and what was answered

The oracle.  What a writer does is a function of its name and a number (operation()), so that reports need only numbers:
operations below `replied` were answered, those below `sent` were sent.  After a recovery the keys of that writer must
be as all answered operations leave them, and the one that was sent and not answered is there whole or not at all; of a
set_many, which is not one step, a prefix.  Transfers between accounts that all writers share are part of batches that
count them, so that the balances follow exactly from what the writers' own keys show (Ledger).
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib

import nosqgrid
from nosqgrid.formats import values
from nosqgrid.storage import recovery
from nosqgrid.storage.files import Files
from tests.support.processes import REPOSITORY, TIMEOUT_S, ProcessTestCase, process_state, wait_until

FULL = os.environ.get("NOSQGRID_TEST_FULL") == "1"
SEED = int(os.environ.get("NOSQGRID_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "little")
ACCOUNTS = 8
ERRORS = (nosqgrid.CoordinatorLostError, nosqgrid.NotServedError, nosqgrid.CoordinatorTimeoutError)


# -- what writers do --------------------------------------------------------------------------------------------------


def operation(name, number):
    """(kind, steps): each step is atomic, a list of ("set", key, value), ("delete", key) and ("add", key, amount)."""
    chance = zlib.crc32(b"%s %d" % (name.encode(), number))
    kind, chance = chance % 9, chance // 9
    key = "%s:k%d" % (name, chance % 40)
    value = "%s %d " % (name, number) + "v" * (100000 if chance % 151 == 0 else chance % 200)
    if kind <= 1:
        return "set", [[("set", key, value)]]
    if kind == 2:
        return "set_many", [[("set", "%s:m%d" % (name, (chance + step) % 60), value[:40] + str(step))]
                            for step in range(chance % 20 + 1)]
    if kind == 3:
        return "delete", [[("delete", key)]]
    if kind == 4:
        return "incr", [[("add", name + ":n", chance % 100)]]
    if kind == 5:
        return "pipeline", [[("add", name + ":left", 1), ("set", key, value), ("add", name + ":right", 1)]]
    if kind == 6:
        return "pipeline", [[("delete", key), ("add", name + ":left", 7), ("add", name + ":right", 7)]]
    source, target, amount = chance % ACCOUNTS, (chance + 1 + number % (ACCOUNTS - 1)) % ACCOUNTS, chance % 1000
    return "pipeline", [[("add", "account:%d" % source, -amount), ("add", name + ":moves", 1),
                         ("add", "account:%d" % target, amount)]]


def perform(grid, kind, steps):
    """Do an operation on a grid."""
    if kind == "set":
        grid.set(*steps[0][0][1:])
    elif kind == "set_many":
        grid.set_many({key: value for ((_, key, value),) in steps})
    elif kind == "delete":
        grid.delete(steps[0][0][1])
    elif kind == "incr":
        grid.incr(*steps[0][0][1:])
    else:
        with grid.pipeline() as batch:
            for effect in steps[0]:
                {"set": batch.set, "delete": batch.delete, "add": batch.incr}[effect[0]](*effect[1:])


def apply(state, step):
    """Do one step of an operation on a dict."""
    for effect in step:
        if effect[0] == "set":
            state[effect[1]] = effect[2]
        elif effect[0] == "delete":
            state.pop(effect[1], None)
        else:
            state[effect[1]] = state.get(effect[1], 0) + effect[2]


def go(address, number):
    """The line that lets a writer write, from an operation on, until its coordinator is gone."""
    return json.dumps([address, number])


def writer_program(name):
    """A process: for each line of its input (go) it writes as long as it can and then prints a report."""
    print("ready", flush=True)
    for line in sys.stdin:
        address, number = json.loads(line)
        with nosqgrid.attach(address, timeout=10.0, near_cache=0) as grid:
            print("attached", flush=True)
            sent = number
            try:
                while True:
                    kind, steps = operation(name, number)
                    sent = number + 1
                    perform(grid, kind, steps)
                    number = sent
            except ERRORS as error:
                print(json.dumps({"sent": sent, "replied": number, "error": type(error).__name__}), flush=True)


class Ledger(object):
    """The oracle over some writers: check(found, reports) after each life, with the numbers to go on from."""

    def __init__(self, names):
        self.numbers = {name: 0 for name in names}
        self.states = {name: {} for name in names}  # of the writer's own keys
        self.accounts = {}

    def check(self, found, reports):
        """What `found` (key -> value) lacks, or has too much, as a text; "" when every promise was kept.

        `reports` is {name: report}.  Afterwards `numbers` says where each writer goes on.
        """
        wrong = []
        rest = dict(found)
        for name, report in sorted(reports.items()):
            own = {key: rest.pop(key) for key in list(rest) if key.startswith(name + ":")}
            wrong += self._check_writer(name, report, own)
        wrong += _differences(self.accounts, rest)
        if sum(rest.get("account:%d" % number, 0) for number in range(ACCOUNTS)):
            wrong.append("money came or went: %r" % rest)
        return "; ".join(wrong)

    def _check_writer(self, name, report, own):
        state, number = self.states[name], self.numbers[name]
        while number < report["replied"]:
            for step in operation(name, number)[1]:
                self._apply(name, step)
            number += 1
        self.numbers[name] = number
        if own == state:
            return []
        before = _differences(state, own)
        if report["sent"] > number:
            steps = operation(name, number)[1]
            for index, step in enumerate(steps):
                self._apply(name, step)
                if own == state:
                    self.numbers[name] = number + (index + 1 == len(steps))
                    return []
        return ["%s, %d sent, %d answered: %s" % (name, report["sent"], report["replied"], ", ".join(before))]

    def _apply(self, name, step):
        apply(self.states[name], [effect for effect in step if effect[1].startswith(name + ":")])
        apply(self.accounts, [effect for effect in step if not effect[1].startswith(name + ":")])


def _differences(expected, found):
    """A few words for each key that differs."""
    return ["%s is %.60r and not %.60r" % (key, found.get(key), expected.get(key))
            for key in sorted(set(expected) | set(found)) if found.get(key) != expected.get(key)][:5]


# -- coordinators -----------------------------------------------------------------------------------------------------


class Served(object):
    """A coordinator in the foreground, perhaps behind a prefix: strace, which stays, or a program that executes it."""

    def __init__(self, arguments, address, errors_path, prefix=(), environment=None):
        self.address = address
        self.introduction = []
        self.orphans = []  # children of a coordinator that was killed
        self._traced = bool(prefix) and prefix[0] == "strace"
        self._errors_path = errors_path
        with open(errors_path, "wb") as errors:
            self.process = subprocess.Popen(
                list(prefix) + [sys.executable, "-m", "nosqgrid", "serve", "--socket", address] + arguments,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=REPOSITORY,
                env=dict(os.environ, PYTHONWARNINGS="error", PYTHONPATH=REPOSITORY, **environment or {}))

    @property
    def pid(self):
        """Of the coordinator; behind strace only while it runs."""
        return self._pids()[0]

    def _pids(self):
        return child_pids(self.process.pid) if self._traced else [self.process.pid]

    def comes_up(self):
        """Wait until it says that it serves, or has ended instead; which of the two."""
        while True:
            line = self.process.stdout.readline().decode()
            if not line:
                return False
            self.introduction.append(line)
            if " serves " in line:
                return True

    def wait_until_served(self):
        """Wait until it serves; AssertionError with what it said when it ends instead."""
        if not self.comes_up():
            raise AssertionError("the coordinator ended with %d: %s" % (self.wait(), self.errors()))
        return self

    def errors(self):
        """What it wrote to standard error so far."""
        with open(self._errors_path, encoding="utf-8") as file:
            return file.read()

    def kill(self):
        """SIGKILL, and wait.  A process that makes a checkpoint ends when it notices; wait_for_orphans()."""
        for pid in self._pids():
            self.orphans += child_pids(pid)
            with contextlib.suppress(ProcessLookupError):  # strace was quicker
                os.kill(pid, signal.SIGKILL)
        return self.wait()

    def stop(self):
        """SIGTERM, and wait; the exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def close(self):
        """Kill it if it runs, and wait for everything that it started."""
        if self.process.poll() is None:
            self.kill()
        self.wait()
        self.wait_for_orphans()

    def wait_for_orphans(self):
        """Wait for the children of a coordinator that was killed."""
        for pid in self.orphans:
            wait_until_gone(pid)

    def wait(self, timeout_s=TIMEOUT_S):
        """Wait for its end; the exit status."""
        try:
            return self.process.wait(timeout_s)
        finally:
            self.process.stdout.close()

    def checkpointer(self):
        """The pid of the process that makes a checkpoint, once there is one."""
        return wait_until(lambda: next(iter(child_pids(self.pid)), None), what="a process that makes a checkpoint")


def dict_of(grid):
    """Everything that a grid holds."""
    return dict(grid.items())


def child_pids(pid):
    """The direct children of a process that have not ended, and are past the moment between fork and exec.

    In that moment the parent stands still (vfork): whoever stops the child there stops both.
    """
    found, own = [], _command_line(pid)
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue  # no process, or gone by now
        if parent == b"%d" % pid and state not in b"ZX" and _command_line(name) != own:
            found.append(int(name))
    return found


def _command_line(pid):
    try:
        with open("/proc/%s/cmdline" % pid, "rb") as file:
            return file.read()
    except OSError:
        return b""


@contextlib.contextmanager
def trace(pid, *options):
    """Let strace hold on to a process, or to one thread; with -f also to all other threads and to new children."""
    with subprocess.Popen(["strace", "-qq", "-p", str(pid)] + list(options)) as strace:
        try:
            wait_until(lambda: "TracerPid:\t0\n" not in _status(pid), what="strace")
            yield
        finally:
            strace.terminate()  # it lets go of them, if they are still there


def thread_ids(pid):
    """The threads of a process, the first one first."""
    return sorted(int(name) for name in os.listdir("/proc/%d/task" % pid))


def _status(pid):
    with open("/proc/%d/status" % pid) as file:
        return file.read()


def gone(pid):
    """Whether a process has ended; one that is nobody's child may stay as a zombie where no init collects it."""
    return process_state(pid) in (None, "Z", "X")


def wait_until_gone(pid, timeout_s=TIMEOUT_S):
    """Wait for the end of a process that is not our child."""
    wait_until(lambda: gone(pid), timeout_s, "process %d to end" % pid)


def stored(directory):
    """{key: value} that a start would find in a data directory which nobody serves; changes nothing there."""
    state = recovery.PlainState()
    recovery.load(Files(), directory, state, 0)
    return {values.decode_key(key): values.decode(entry[0], entry[1]) for key, entry in state.entries.items()}


def files_of(directory):
    """{name: content} of a data directory, without locks, logs of messages and sockets."""
    found = {}
    for name in os.listdir(directory):
        if name.startswith(("wal", "checkpoint")) and os.path.isfile(os.path.join(directory, name)):
            with open(os.path.join(directory, name), "rb") as file:
                found[name] = file.read()
    return found


class DurableTestCase(ProcessTestCase):
    """A test with a data directory `data`, which is made by the first coordinator, and a socket `socket` beside it."""

    def setUp(self):
        super().setUp()
        self.place = self.path("w", keep=True)
        os.mkdir(self.place, 0o700)
        self.data = os.path.join(self.place, "data")
        self.socket = os.path.join(self.place, "s")
        self._served = []
        self._grids = []

    def tearDown(self):
        for grid in self._grids:
            grid.close()
        for served in self._served:
            served.close()
        shutil.rmtree(self.place, ignore_errors=True)
        super().tearDown()

    def serve(self, *extra, level=None, directory=None, socket=None, prefix=(), wait=True, environment=None):
        """Start a coordinator and wait until it serves; `extra` arguments behind those for memory and directory."""
        arguments = ["--memory", "16m", "--dir", self.data if directory is None else directory]
        arguments += [] if level is None else ["--durability", level]
        served = Served(arguments + list(extra), self.socket if socket is None else socket,
                        os.path.join(self.place, "errors%d" % len(self._served)), prefix, environment)
        self._served.append(served)
        return served.wait_until_served() if wait else served

    def refused(self, *extra, **options):
        """Start a coordinator that must not come up; (exit status, what it said)."""
        served = self.serve(*extra, wait=False, **options)
        self.assertFalse(served.comes_up(), "it serves what it should refuse")
        return served.wait(), served.errors()

    def content(self, address=None):
        """Everything that the grid holds, as a dict."""
        with nosqgrid.attach(self.socket if address is None else address, near_cache=0, timeout=20.0) as grid:
            return dict(grid.items())

    def attach(self, **options):
        """A grid at the socket, closed at the end of the test."""
        self._grids.append(nosqgrid.attach(self.socket, **dict({"timeout": 20.0}, **options)))
        return self._grids[-1]

    def keep_for_inspection(self, directory):
        """Copy a directory to where it stays; its new path."""
        kept = tempfile.mkdtemp(prefix="nosqgrid-failed-")
        shutil.copytree(directory, os.path.join(kept, "data"))
        return kept

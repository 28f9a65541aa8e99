"""nosqgrid.open(): one coordinator however many come at once, nobody's child, gone with the last one,
and the data there.

Embedded coordinators are orphans: each test waits until those that it has seen are gone.
"""

import json
import os
import pickle
import re
import signal
import unittest

import nosqgrid
from tests.support.durable import FULL, DurableTestCase, gone, stored, wait_until_gone
from tests.support.tiers import slow

AT_ONCE = 20
CHURN = 30 if FULL else 3

OPEN = """
import os, sys, nosqgrid
grid = nosqgrid.open(sys.argv[1])
print(grid.stats()["pid"], flush=True)
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except nosqgrid.NosqgridError as error:
        print(type(error).__name__, flush=True)
grid.close()
"""

# Forked, because an interpreter that starts needs as long as a whole session of open().
MANY = """
import json, os, sys, time, nosqgrid
directory, count = sys.argv[1], int(sys.argv[2])
children = []
for number in range(count):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        grid = nosqgrid.open(directory)
        grid["from %d" % number] = number
        grid.incr("n")
        while grid["n"] < count:
            time.sleep(0.001)
        os.write(writing, b"%d" % grid.stats()["pid"])
        grid.close()
        os._exit(0)
    os.close(writing)
    children.append((pid, reading))
found = []
for pid, reading in children:
    found.append(os.read(reading, 100).decode())
    os.close(reading)
    found.append(os.waitpid(pid, 0)[1])
print(json.dumps(found))
"""

CHURNING = """
import sys, nosqgrid
for _ in range(int(sys.argv[2])):
    with nosqgrid.open(sys.argv[1]) as grid:
        grid.incr("n")
"""

POOL = """
import multiprocessing, sys, nosqgrid

def add(grid):
    with grid:
        grid.incr("n")
        return grid.stats()["pid"]

if __name__ == "__main__":
    found = set()
    with nosqgrid.open(sys.argv[1]) as grid:
        found.add(grid.stats()["pid"])
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                found.update(pool.map(add, [grid] * 4))
                pool.close()
                pool.join()
        print(len(found), grid["n"])
"""

WITHOUT_DESCRIPTORS = """
import os, sys
for fd in (0, 1, 2):
    os.close(fd)
import nosqgrid
with nosqgrid.open(sys.argv[1]) as grid:
    grid["a"] = 1
    pid = grid.stats()["pid"]
    assert not {0, 1, 2} & {int(name) for name in os.listdir("/proc/%d/fd" % pid)
                            if "nosq" not in os.readlink("/proc/%d/fd/%s" % (pid, name))} - {0, 1, 2}
with nosqgrid.open(sys.argv[1]) as grid:
    grid.incr("a")
"""

DAEMON = """
import os, sys, time, nosqgrid
grid = nosqgrid.open(sys.argv[1])
grid["from before"] = 1
print(grid.stats()["pid"], flush=True)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
time.sleep(0.2)
grid["from the daemon"] = grid["from before"] + 1
grid.close()
"""

INTERRUPTED = """
import os, sys, time, nosqgrid
os.setpgid(0, 0)
grid = nosqgrid.open(sys.argv[1])
grid["a"] = 1
pid = grid.stats()["pid"]
try:
    print(pid, flush=True)  # whoever reads it may interrupt at once
    time.sleep(30)
except KeyboardInterrupt:
    print(grid.stats()["pid"], grid.incr("a"), flush=True)
grid.close()
"""


class EmbeddedTestCase(DurableTestCase):
    allowed_files = ("nosqgrid-*", "nosqgrid-*/*")  # sockets of directories with long names

    def setUp(self):
        super().setUp()
        self._pids = set()  # of coordinators
        self.environment = {"NOSQGRID_SOCKET": None}

    def tearDown(self):
        late = []
        for pid in self._pids:
            try:
                wait_until_gone(pid, 10.0)
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
                wait_until_gone(pid)
                late.append(pid)
        super().tearDown()
        self.assertEqual(late, [], "coordinators that did not end by themselves")

    def note(self, pid):
        """A coordinator that has to be gone in the end; its pid as an int."""
        self._pids.add(int(pid))
        return int(pid)

    def opener(self, directory=None):
        """(child, pid of the coordinator): the child evaluates the lines sent to it, with `grid` open."""
        child = self.spawn(OPEN, self.data if directory is None else directory, environment=self.environment)
        return child, self.note(child.read_line())

    def ask(self, child, expression):
        child.write_line(expression)
        return child.read_line()

    def left(self):
        """What the directory holds, once nobody has it open any more."""
        for pid in self._pids:
            wait_until_gone(pid)
        return stored(self.data)

    def names(self):
        return sorted(re.sub("[0-9a-f]{8,}", "N", name) for name in os.listdir(self.data))


class LifeTest(EmbeddedTestCase):
    @slow
    def test_twenty_at_once_get_one_coordinator(self):
        child = self.spawn(MANY, self.data, AT_ONCE)
        found = json.loads(child.read_line())
        self.assertEqual(child.finish(), "")
        self.assertEqual(found[1::2], [0] * AT_ONCE)
        self.assertEqual(len(set(found[::2])), 1, found)
        self.note(found[0])
        self.assertEqual(self.left(), dict({"from %d" % number: number for number in range(AT_ONCE)}, n=AT_ONCE))

    def test_the_death_of_who_started_it_takes_nothing_from_the_others(self):
        first, pid = self.opener()
        second, other_pid = self.opener()
        self.assertEqual(other_pid, pid)
        self.ask(first, "grid.set('a', 'first')")
        first.kill()
        first.wait()
        self.assertEqual(self.ask(second, "grid['a'], grid.incr('n'), grid.stats()['pid']"), "('first', 1, %d)" % pid)
        second.finish()
        self.assertEqual(self.left(), {"a": "first", "n": 1})

    def test_the_last_one_out_leaves_a_checkpoint_and_no_process(self):
        with nosqgrid.open(self.data) as grid:
            pid = self.note(grid.stats()["pid"])
            grid.update(a=1, b=[2, "three"])
            self.assertFalse(gone(pid))
        wait_until_gone(pid, 1.0)  # close() has waited for the checkpoint
        self.assertIn("checkpoint-N", self.names())
        self.assertEqual(set(self.names()) - {"checkpoint-N", "wal-N"}, {"lock", "starter"})
        with nosqgrid.open(self.data) as grid:
            self.note(grid.stats()["pid"])
            self.assertEqual(dict(grid.items()), {"a": 1, "b": [2, "three"]})
            self.assertEqual(grid.stats()["recovered_log_entries"], 0)

    @slow
    def test_the_last_one_may_be_killed_too(self):
        child, pid = self.opener()
        self.ask(child, "grid.set('a', 1)")
        child.kill()
        child.wait()
        wait_until_gone(pid, 10.0)
        self.assertIn("checkpoint-N", self.names())
        self.assertEqual(self.left(), {"a": 1})

    def test_a_write_after_the_death_of_the_coordinator_starts_another(self):
        child, pid = self.opener()
        self.ask(child, "grid.set_many({'a': 1, 'n': 5})")
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        self.assertEqual(self.ask(child, "grid['a']"), "1")  # reads ask nobody
        self.assertEqual(self.ask(child, "grid.set('a', 2) > 0"), "True")
        self.assertEqual(self.ask(child, "grid['a'], grid['n']"), "(2, 5)")
        second = self.note(self.ask(child, "grid.stats()['pid']"))
        self.assertNotEqual(second, pid)
        os.kill(second, signal.SIGKILL)
        wait_until_gone(second)
        # Whether it counted before the coordinator died is not known, so this one is for the caller to repeat.
        self.assertIn(self.ask(child, "grid.incr('n')"), ("CoordinatorLostError", "6"))
        self.assertEqual(self.ask(child, "grid.set('n', 7) > 0 and grid.incr('n')"), "8")
        self.note(self.ask(child, "grid.stats()['pid']"))
        child.finish()
        self.assertEqual(self.left(), {"a": 2, "n": 8})

    @slow
    def test_who_comes_while_the_last_one_leaves_gets_a_whole_grid(self):
        children = [self.spawn(CHURNING, self.data, CHURN) for _ in range(3)]
        for child in children:
            child.finish()
        self.assertEqual(self.left(), {"n": 3 * CHURN})

    def test_a_coordinator_somewhere_else_is_found_by_its_directory(self):
        served = self.serve(level="os")
        with nosqgrid.open(self.data, durability="os") as grid:
            grid["a"] = 1
            self.assertEqual((grid.stats()["pid"], grid.address), (served.pid, self.socket))
        self.assertEqual(self.content(), {"a": 1})  # and is not ended by who only came to it


class OpenersTest(EmbeddedTestCase):
    """The kinds of programs that open a grid."""

    def test_without_a_directory_memory_is_shared_at_the_address_of_the_environment(self):
        self.environment = {"NOSQGRID_SOCKET": os.path.join(self.place, "m.sock")}
        program = OPEN.replace("sys.argv[1]", "")
        first, second = (self.spawn(program, environment=self.environment) for _ in range(2))
        self.assertEqual(self.note(first.read_line()), self.note(second.read_line()))
        self.ask(first, "grid.set('a', 1)")
        self.assertEqual(self.ask(second, "grid['a'], grid.address"), repr((1, self.environment["NOSQGRID_SOCKET"])))
        first.finish()
        self.assertEqual(self.ask(second, "grid['a']"), "1")
        second.finish()
        third = self.spawn(program, environment=self.environment)
        self.note(third.read_line())
        self.assertEqual(self.ask(third, "len(grid)"), "0")
        third.finish()

    def test_from_an_interactive_interpreter(self):
        child = self.spawn(["-i", "-q"], environment=self.environment)
        child.write_line("import nosqgrid\ngrid = nosqgrid.open(%r)" % self.data)
        child.write_line("print(grid.stats()['pid'], flush=True)")
        self.note(child.read_line())
        child.write_line("grid['a'] = {'x': 1}\nprint(grid['a'], flush=True)")
        self.assertEqual(child.read_line(), "{'x': 1}")
        child.write_line("grid.close()")
        child.process.stdin.close()
        self.assertEqual(child.wait(), 0)
        self.assertNotIn("Error", child.errors())
        self.assertEqual(self.left(), {"a": {"x": 1}})

    def test_in_pools_of_forked_and_of_spawned_processes(self):
        script = os.path.join(self.place, "script.py")
        with open(script, "w") as file:
            file.write(POOL)
        child = self.spawn([script], self.data, environment=self.environment)
        self.assertEqual(child.finish(), "1 8\n")
        self.assertEqual(self.left(), {"n": 8})

    def test_a_pickled_grid_opens_its_directory_again(self):
        with nosqgrid.open(self.data) as grid:
            self.note(grid.stats()["pid"])
            grid["a"] = 1
            packed = pickle.dumps(grid)
        child = self.spawn("import pickle, sys; grid = pickle.loads(bytes.fromhex(sys.argv[1]));"
                           "print(grid.stats()['pid'], grid.incr('a'), flush=True); grid.close()", packed.hex(),
                           environment=self.environment)
        pid, value = child.read_line().split()
        self.note(pid)
        child.finish()
        self.assertEqual((value, self.left()), ("2", {"a": 2}))

    def test_from_a_program_without_standard_descriptors(self):
        child = self.spawn(WITHOUT_DESCRIPTORS, self.data, environment=self.environment)
        self.assertEqual(child.wait(), 0)
        self.assertEqual(self.left(), {"a": 2})

    def test_from_a_program_that_makes_itself_a_daemon_afterwards(self):
        child = self.spawn(DAEMON, self.data, environment=self.environment)
        self.note(child.read_line())
        self.assertEqual(child.wait(), 0)
        self.assertEqual(self.left(), {"from before": 1, "from the daemon": 2})

    def test_an_interrupt_at_the_terminal_of_its_starter_does_not_end_it(self):
        child = self.spawn(INTERRUPTED, self.data, environment=self.environment)
        pid = self.note(child.read_line())
        os.killpg(child.pid, signal.SIGINT)
        self.assertEqual(child.read_line(), "%d 2" % pid)
        child.finish()


class PlaceTest(EmbeddedTestCase):
    """The directory, and how it is asked for."""

    def test_arguments_that_can_never_work_start_nothing(self):
        for options, words in (({"durability": "sometimes"}, "none os everysec always"), ({"policy": "fifo"}, "refuse"),
                               ({"memory": "lots"}, "is no size")):
            with self.assertRaises(nosqgrid.UsageError) as caught:
                nosqgrid.open(self.data, **options)
            self.assertIn(words, str(caught.exception))
        self.assertFalse(os.path.exists(self.data))

    def test_a_path_too_long_for_a_socket(self):
        directory = os.path.join(self.place, "long" * 30)
        for expected in ("1", "2"):
            child, pid = self.opener(directory)
            self.assertEqual(self.ask(child, "grid.incr('n')"), expected)
            self.assertLess(len(self.ask(child, "grid.address")), 100)
            child.finish()
            wait_until_gone(pid)

    def test_a_directory_that_others_can_write_is_refused_with_the_remedy(self):
        os.mkdir(self.data)
        os.chmod(self.data, 0o770)
        with self.assertRaises(nosqgrid.StartError) as caught:
            nosqgrid.open(self.data)
        self.assertIn("chmod go-w", str(caught.exception))
        os.chmod(self.data, 0o700)
        with nosqgrid.open(self.data) as grid:
            self.note(grid.stats()["pid"])

    def test_what_cannot_be_a_directory_is_refused(self):
        file = os.path.join(self.place, "file")
        with open(file, "w"):
            pass
        for path in (file, os.path.join(file, "below"), os.path.join(self.place, "not there", "x")):
            with self.assertRaises(nosqgrid.StartError) as caught:
                nosqgrid.open(path)
            self.assertIn(path, str(caught.exception))

    def test_another_durability_than_it_is_served_with_is_a_usage_error(self):
        with nosqgrid.open(self.data, durability="always") as grid:
            self.note(grid.stats()["pid"])
            grid["a"] = 1
            with self.assertRaises(nosqgrid.UsageError) as caught:
                nosqgrid.open(self.data, durability="os")
            for word in ("always", "os", self.data):
                self.assertIn(word, str(caught.exception))
            with nosqgrid.open(self.data) as second:
                self.assertEqual((second["a"], second.stats()["durability"]), (1, "always"))
            grid["a"] = 2
        with self.assertRaises(nosqgrid.UsageError):
            nosqgrid.open(durability="os")
        self.assertEqual(self.left(), {"a": 2})


if __name__ == "__main__":
    unittest.main()

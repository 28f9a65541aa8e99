"""The shell, as people and scripts use it: a coordinator in the foreground, and the commands that ask it."""

import contextlib
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import unittest
from unittest import mock

import nosqgrid
from nosqgrid import limits
from nosqgrid.cli.main import main
from nosqgrid.client import launcher
from nosqgrid.client.link import Link
from tests.support.processes import REPOSITORY, ProcessTestCase, wait_until


class ServeTestCase(ProcessTestCase):
    def serve(self, *arguments, path=None, **options):
        """`nosqgrid serve` as a child that has said nothing yet."""
        return self.spawn(["-m", "nosqgrid", "serve", "--socket", path or self.path("s"), "--memory", "4m"]
                          + list(arguments), **options)

    def served(self, *arguments, **options):
        """The same, once it has said that it is ready."""
        child = self.serve(*arguments, **options)
        self.assertRegex(child.read_line(), r"^nosqgrid %d serves %s with 4m of memory; "
                         % (child.pid, re.escape(options.get("path") or self.path("s"))))
        return child

    def refused(self, words, *arguments, path=None, status=3):
        """It ends at once with this status and one line of these words; the line."""
        child = self.serve(*arguments, path=path)
        self.assertEqual(child.wait(), status)
        text = child.errors()
        self.assertRegex(text, words)
        self.assertRegex(text, r"\Anosqgrid: [^\n]+\n\Z", "one line, and no traceback")
        return text


class LifeTest(ServeTestCase):
    def test_it_says_that_it_is_ready_and_where_and_ends_with_0_leaving_nothing(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            child = self.served()
            with nosqgrid.attach(self.path("s")) as grid:
                grid["a"] = 1
                self.assertEqual(grid.stats()["pid"], child.pid)
                self.assertEqual(stat.S_IMODE(os.stat(self.path("s")).st_mode), 0o600)
                child.signal(number)
                self.assertEqual(child.read_line(), "nosqgrid %d has ended" % child.pid)
                self.assertEqual(child.wait(), 0)
                self.assertEqual(child.errors(), "")
                self.assertEqual(grid["a"], 1)
            self.assertEqual(os.listdir(self.directory), [])

    def test_quiet_says_nothing_and_the_end_of_standard_input_ends_it_where_that_is_asked_for(self):
        child = self.serve("--quiet", "--while-stdin")
        wait_until(self.accepts)
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertTrue(grid.ping())
        self.assertEqual(child.finish(), "")

    def accepts(self):
        """Whether somebody listens: the socket file is there a moment before."""
        try:
            Link(self.path("s"), 5.0).close()
        except nosqgrid.NotServedError:
            return False
        return True

    def test_the_end_of_standard_input_is_nothing_to_it_otherwise(self):
        child = self.served(stdin=subprocess.DEVNULL)
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertTrue(grid.ping())
        child.signal(signal.SIGTERM)
        self.assertEqual(child.wait(), 0)

    def test_a_signal_ends_it_under_load_too(self):
        child = self.served()
        busy = self.spawn("import sys, nosqgrid\n"
                          "grid = nosqgrid.attach(sys.argv[1])\n"
                          "print('ready', flush=True)\n"
                          "try:\n"
                          "    while True:\n"
                          "        grid.set_many({str(number): number for number in range(1000)})\n"
                          "except nosqgrid.CoordinatorLostError:\n"
                          "    print('lost')\n", self.path("s"))
        busy.read_line()
        child.signal(signal.SIGTERM)
        self.assertEqual(child.wait(), 0)
        self.assertEqual(child.errors(), "")
        self.assertEqual(busy.finish(), "lost\n")

    def test_who_reads_its_first_line_only_disturbs_nobody(self):
        reading, writing = os.pipe()
        process = subprocess.Popen([sys.executable, "-W", "error", "-m", "nosqgrid", "serve",
                                    "--socket", self.path("s"),
                                    "--memory", "4m"], stdout=writing, stderr=subprocess.PIPE, cwd=REPOSITORY)
        os.close(writing)
        self.assertIn(b"serves", os.read(reading, 1000))
        os.close(reading)
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertTrue(grid.ping())
        process.terminate()
        self.assertEqual(process.communicate()[1], b"")
        self.assertEqual(process.returncode, 0)

    def test_a_closed_standard_output_leaves_no_socket_behind(self):
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.Popen([sys.executable, "-W", "error", "-m", "nosqgrid", "serve",
                                    "--socket", self.path("s"),
                                    "--memory", "4m"], stdout=writing, stderr=subprocess.PIPE, cwd=REPOSITORY)
        os.close(writing)
        self.assertEqual(process.communicate()[1], b"")
        self.assertEqual(os.listdir(self.directory), [])


class OneOnlyTest(ServeTestCase):
    def test_a_second_coordinator_is_refused_by_name_and_the_first_goes_on(self):
        first = self.served()
        with nosqgrid.attach(self.path("s")) as grid:
            grid["a"] = 1
            text = self.refused("another coordinator", status=3)
            self.assertIn(self.path("s"), text)
            self.assertIn("pid %d" % first.pid, text)
            grid["a"] += 1
            self.assertEqual(grid["a"], 2)
        first.signal(signal.SIGTERM)
        self.assertEqual(first.wait(), 0)

    def test_the_socket_of_a_killed_coordinator_is_taken_over(self):
        first = self.served()
        first.kill()
        first.wait()
        self.assertTrue(os.path.exists(self.path("s")))
        with self.assertRaises(nosqgrid.NotServedError):
            nosqgrid.attach(self.path("s"))
        second = self.served()
        with nosqgrid.attach(self.path("s")) as grid:
            self.assertEqual(grid.stats()["pid"], second.pid)
        second.signal(signal.SIGTERM)
        self.assertEqual(second.wait(), 0)

    def test_a_socket_that_somebody_else_answers_is_left_to_him(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(self.path("s", keep=True))
            other.listen(1)
            self.assertIn(self.path("s"), self.refused("another program serves"))
            self.assertTrue(os.path.exists(self.path("s")))


class CannotStartTest(ServeTestCase):
    def test_no_such_directory(self):
        self.assertIn("mkdir", self.refused("does not exist", path=self.path("no/s")))

    def test_a_file_where_the_directory_should_be(self):
        with open(self.path("file", keep=True), "w"):
            self.refused("not a directory", path=self.path("file/s"))

    def test_a_directory_that_others_can_write(self):
        os.mkdir(self.path("loose", keep=True))
        os.chmod(self.path("loose"), 0o777)
        self.refused("others can write", path=self.path("loose/s"))

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_a_directory_that_it_may_not_write(self):
        os.mkdir(self.path("closed", keep=True), 0o500)
        self.refused("no permission", path=self.path("closed/s"))

    def test_a_path_too_long_for_a_socket(self):
        self.refused(r"has \d+ bytes", path=self.path("s" * limits.SOCKET_PATH_BYTES_MAX), status=2)

    def test_memory_that_is_no_size_or_too_little_or_too_much(self):
        for size in ("12k", "900g", "much", "-5m"):
            with self.subTest(size):
                self.refused(r"--memory|is no size", "--memory=" + size, status=2)

    def test_memory_that_the_system_does_not_give(self):
        code = ("import resource, runpy, sys\n"
                "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
                "sys.argv[0] = 'nosqgrid'\n"
                "runpy.run_module('nosqgrid', run_name='__main__', alter_sys=True)\n")
        child = self.spawn(code, "serve", "--socket", self.path("s"), "--memory", "64m")
        self.assertEqual(child.wait(), 3)
        self.assertRegex(child.errors(), r"\Anosqgrid: cannot have the memory: [^\n]+\n\Z")
        self.assertEqual(os.listdir(self.directory), [])


class ShellTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.launched = launcher.start(memory="4m")
        cls.grid = nosqgrid.attach(cls.launched.address)

    @classmethod
    def tearDownClass(cls):
        cls.grid.close()
        cls.launched.stop()

    def setUp(self):
        self.grid.clear()

    def shell(self, *words, data=b"", status=0, address=None):
        """Run `nosqgrid WORDS` in this process; (standard output, standard error), after checking the exit status."""
        out, errors = io.StringIO(), io.StringIO()
        variables = {"NOSQGRID_SOCKET": address or self.launched.address, "COLUMNS": "80"}
        with mock.patch.dict(os.environ, variables), mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(data))):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                try:
                    code = main(list(words))
                except SystemExit as end:  # argparse
                    code = end.code
        self.assertEqual(code, status, (words, out.getvalue()[:500], errors.getvalue()[:500]))
        if status == 0:
            self.assertEqual(errors.getvalue(), "")
        return out.getvalue(), errors.getvalue()

    def process(self, line):
        """Run a line of /bin/sh in which `nosqgrid` is the command, on this grid; what it writes to standard output."""
        variables = dict(os.environ, PYTHONPATH=REPOSITORY, NOSQGRID_SOCKET=self.launched.address,
                         PYTHONIOENCODING="utf-8")
        line = line.replace("nosqgrid", "%s -W error -m nosqgrid" % sys.executable)
        process = subprocess.Popen(line, shell=True, env=variables, cwd=REPOSITORY, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        out, errors = process.communicate()
        self.assertEqual((process.returncode, errors), (0, b""))
        return out


class KeysTest(ShellTestCase):
    def test_set_and_get_take_text_numbers_json_and_bytes(self):
        for words, value, shown in ((("Ada",), "Ada", "Ada\n"), (("5", "-t", "int"), 5, "5\n"),
                                    (("5",), "5", "5\n"), (("0.5", "-t", "float"), 0.5, "0.5\n"),
                                    (('{"a": [1, null]}', "-t", "json"), {"a": [1, None]}, '{"a": [1, null]}\n'),
                                    (("\u00fc",), "\u00fc", "\u00fc\n"), (("x", "-t", "bytes"), b"x", "b'x'\n")):
            with self.subTest(words):
                self.assertEqual(self.shell("set", "k", *words), ("", ""))
                self.assertEqual(self.grid["k"], value)
                self.assertIs(type(self.grid["k"]), type(value))
                self.assertEqual(self.shell("get", "k")[0], shown)

    def test_bytes_go_in_by_standard_input_and_come_out_raw(self):
        data = bytes(range(256))
        self.shell("set", "blob", "-", data=data)
        self.assertEqual(self.grid["blob"], data)
        self.assertEqual(self.process("nosqgrid get blob -o raw"), data)
        line = "nosqgrid get blob -o raw | nosqgrid set copy - && nosqgrid get copy -o raw"
        self.assertEqual(self.process(line), data)

    def test_get_as_json_and_of_a_missing_key(self):
        self.grid["k"] = {"when": (1, 2), "b": b"\xff"}
        self.assertEqual(json.loads(self.shell("get", "k", "-o", "json")[0]), {"when": [1, 2], "b": "\\xff"})
        out, errors = self.shell("get", "nothing", status=1)
        self.assertEqual((out, errors), ("", "nosqgrid: no key 'nothing'\n"))

    def test_conditions_and_a_ttl(self):
        self.shell("set", "k", "1", "--if-present", status=1)
        self.assertNotIn("k", self.grid)
        self.shell("set", "k", "1", "--if-absent", "--ttl", "100")
        self.assertTrue(90 < self.grid.ttl("k") <= 100)
        self.shell("set", "k", "2", "--if-absent", status=1)
        self.assertEqual(self.grid["k"], "1")

    def test_del_counts_and_incr_adds(self):
        self.grid.set_many({"a": 1, "b": 2})
        self.assertEqual(self.shell("del", "a", "b", "c")[0], "2\n")
        self.assertEqual(self.shell("del", "a", status=1)[0], "0\n")
        self.assertEqual(self.shell("incr", "n")[0], "1\n")
        self.assertEqual(self.shell("incr", "n", "41")[0], "42\n")
        self.assertEqual(self.shell("incr", "n", "--", "-50")[0], "-8\n")

    def test_keys_are_sorted_and_scan_gives_values(self):
        self.grid.set_many({"u:2": "b", "u:1": "a", "v": 1})
        self.assertEqual(self.shell("keys")[0], "u:1\nu:2\nv\n")
        self.assertEqual(self.shell("keys", "u:*")[0], "u:1\nu:2\n")
        self.assertEqual(json.loads(self.shell("keys", "-o", "json")[0]), ["u:1", "u:2", "v"])
        self.assertEqual(sorted(self.shell("scan", "u:")[0].split()), ["u:1", "u:2"])
        self.assertEqual(self.shell("scan", "--match", "*1")[0], "u:1\n")
        rows = [json.loads(line) for line in self.shell("scan", "u:", "--values")[0].splitlines()]
        self.assertEqual(sorted((row["key"], row["value"]) for row in rows), [("u:1", "a"), ("u:2", "b")])

    def test_who_reads_only_the_first_key_gets_no_traceback(self):
        self.grid.set_many({"key%06d" % number: number for number in range(15000)})
        for command in ("keys", "scan"):
            with self.subTest(command):
                self.assertRegex(self.process("nosqgrid %s | head -1" % command), br"^key\d{6}\n$")


class StatusTest(ShellTestCase):
    def test_stats_come_as_a_table_as_json_and_raw(self):
        stats = json.loads(self.shell("stats", "-o", "json")[0])
        self.assertEqual((stats["pid"], stats["keys"]), (self.launched.pid, 0))
        for name in ("epoch", "clients", "heap_size_bytes", "heap_live_bytes", "uptime_s"):
            self.assertIn(name, stats)
        self.assertRegex(self.shell("stats")[0], r"(?m)^pid +%d$" % self.launched.pid)
        self.assertRegex(self.shell("stats", "-o", "raw")[0], r"(?m)^pid=%d$" % self.launched.pid)

    def test_ping(self):
        self.assertRegex(self.shell("ping", "-c", "2")[0], r"\A(PONG from %s in \d+ us\n){2}\Z" % self.launched.address)


class ExitStatusTest(ShellTestCase):
    def test_nobody_serves(self):
        nowhere = os.path.join(os.path.dirname(self.launched.address), "nobody")
        for words in (("ping",), ("get", "k"), ("set", "k", "v"), ("keys",), ("stats",)):
            with self.subTest(words):
                out, errors = self.shell(*words, address=nowhere, status=3)
                self.assertEqual(out, "")
                self.assertRegex(errors, r"\Anosqgrid: nobody serves %s [^\n]*\n\Z" % re.escape(nowhere))

    def test_the_grid_refuses(self):
        self.grid["text"] = "no number"
        for words in (("incr", "text"), ("set", "big", "-"), ("del", "k" * 40000)):
            with self.subTest(words[0]):
                errors = self.shell(*words, data=b"x" * (8 << 20), status=4)[1]
                self.assertTrue(re.match(r"\Anosqgrid: [^\n]+\n\Z", errors), errors[:500])
        self.assertEqual(self.grid["text"], "no number")

    def test_wrong_usage(self):
        for words in (("set", "k", "five", "-t", "int"), ("set", "k"), ("explode",), ("set", "k", "v", "--ttl", "-1"),
                      ("get", "k", "-o", "xml"), ("set", "k", "{", "-t", "json")):
            with self.subTest(words):
                errors = self.shell(*words, status=2)[1]
                self.assertNotIn("Traceback", errors)
                self.assertNotEqual(errors, "")
        self.assertNotIn("k", self.grid)
        self.assertIn("COMMAND", self.shell(status=2)[0])

    def test_help_teaches_every_command(self):
        text = self.shell("--help")[0]
        for command in ("get", "set", "del", "incr", "keys", "scan", "stats", "ping", "demo", "bench", "serve"):
            self.assertRegex(text, r"(?m)^ +%s +\w" % command)
            self.assertIn("--socket", self.shell(command, "--help")[0])


if __name__ == "__main__":
    unittest.main()

"""The shell on durable files: what is checked, dumped, saved and restored can be served again, and scripts can rely on
exit statuses."""

import contextlib
import datetime
import io
import json
import os
import subprocess
import sys
import time
from unittest import mock

import nosqgrid
from nosqgrid.cli import storage
from nosqgrid.cli.main import main
from nosqgrid.client import launcher
from nosqgrid.client.grid import CheckpointInfo
from nosqgrid.engine.databases import prefix_of
from nosqgrid.storage.files import holder_of
from tests.support import durable_files as made
from tests.support.durable_files import contents, flipped, read, save
from tests.support.processes import REPOSITORY, TIMEOUT_S, ProcessTestCase
from tests.support.tiers import slow


class Terminal(io.StringIO):
    """What a terminal shows."""

    def isatty(self):
        return True


class StorageShellCase(ProcessTestCase):
    allowed_files = ("*",)  # durable ones are what is tested; the directory goes with the test

    def setUp(self):
        super().setUp()
        self.data = self.path("data")

    def start(self, directory=None, *arguments):
        return launcher.start(socket_path=self.path("s"), memory="4m",
                              extra_args=["--dir", directory or self.data] + list(arguments))

    def kill(self, launched):
        launched.process.kill()
        launched.stop()
        os.unlink(self.path("s"))

    def shell(self, *words, status=0, errors=None):
        """Run `nosqgrid WORDS` in this process; (standard output, standard error), after checking the exit status."""
        out, errors = io.StringIO(), errors or io.StringIO()
        with mock.patch.dict(os.environ, {"NOSQGRID_SOCKET": self.path("s")}):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                try:
                    code = main(list(words))
                except SystemExit as end:  # argparse
                    code = end.code
        self.assertEqual(code, status, (words, out.getvalue()[:500], errors.getvalue()[:500]))
        if status == 2 or status > 3 and words[0] != "check":
            self.assertRegex(errors.getvalue(), r"\A(nosqgrid: [^\n]+|usage: (.|\n)+)\n\Z")
        return out.getvalue(), errors.getvalue()

    def dumped(self, path):
        return [json.loads(line) for line in self.shell("dump", path)[0].splitlines()]

    def crashed(self):
        """A directory that a killed coordinator has left: a checkpoint, log behind it; a backup in `backup`."""
        launched = self.start(None, "--durability", "os")
        with nosqgrid.attach(launched.address) as grid:
            grid.set_many({"key:%02d" % number: number for number in range(50)})
            grid.checkpoint()
            grid["late"] = "x"
            self.backup = grid.checkpoint(self.path("backup")).path
            del grid["key:00"]
            grid["later"] = "y"
        self.kill(launched)

    def held(self, directory):
        """What a coordinator on this directory serves."""
        with self.start(directory) as launched:
            with nosqgrid.attach(launched.address) as grid:
                return dict(grid)


class CheckpointTest(StorageShellCase):
    def test_into_the_directory_and_to_a_file(self):
        with self.start() as launched:
            with nosqgrid.attach(launched.address) as grid:
                grid["a"] = 1
            target = self.path("backup")
            out, errors = self.shell("checkpoint")
            self.assertRegex(out, r"\A%s/checkpoint-00000000000001: 1 keys, \d+ bytes, [\d.]+ s\n\Z" % self.data)
            self.assertEqual(errors, "")
            out, _ = self.shell("checkpoint", "--to", target, "-o", "json")
            told = json.loads(out)
            self.assertEqual((told["path"], told["keys"], told["bytes"], told["lsn"]),
                             (target, 1, os.path.getsize(target), 1))
            out, _ = self.shell("checkpoint", "--to", target, "-o", "raw")
            self.assertEqual(out.split("\t")[:3], [target, "1", str(os.path.getsize(target))])
            self.assertEqual(out.count("\n"), 1)
            self.shell("checkpoint", "--to", self.directory, status=2)
            _, errors = self.shell("checkpoint", "--to", self.path("no/such"), status=4)
            self.assertIn("no/such", errors)
        self.shell("checkpoint", status=3)

    def test_without_a_directory_it_needs_a_place(self):
        with launcher.start(socket_path=self.path("s"), memory="4m") as launched:
            _, errors = self.shell("checkpoint", status=4)
            self.assertIn("--to", errors)
            with nosqgrid.attach(launched.address) as grid:
                grid["a"] = 1
            self.shell("checkpoint", "--to", self.path("backup"))
        self.assertEqual(self.dumped(self.path("backup"))[0]["value"], 1)

    def test_a_terminal_sees_how_far_it_is_and_then_nothing_of_it(self):
        class Slow(object):
            def __init__(self):
                self.done = 0

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                return

            def stats(self):
                self.done += 50
                return {"keys": 200, "checkpoint_keys_done": self.done, "checkpoint_bytes_done": self.done * 10 ** 6}

            def checkpoint(self, to, progress):
                for _ in range(3):
                    progress()
                return CheckpointInfo("/c", 1, 200, 9, 0.5)

        for terminal, calls in ((Terminal(), 3), (io.StringIO(), 0)):
            slow = Slow()
            with mock.patch.object(storage, "attach", lambda *names, **options: slow), \
                    mock.patch.object(storage, "BAR_EVERY_S", -1.0):
                out, errors = self.shell("checkpoint", errors=terminal)
            self.assertEqual((out, slow.done), ("/c: 200 keys, 9 bytes, 0.500 s\n", 50 * calls))
            if calls:
                self.assertIn("[#######.......................]  25 %  50 of 200 keys, 50 MB", errors)
                self.assertTrue(errors.endswith("\r\x1b[K"))
            else:
                self.assertEqual(errors, "")


class CheckTest(StorageShellCase):
    def test_whole_torn_and_damaged_have_an_exit_status_each_and_a_start_agrees(self):
        self.crashed()
        out, errors = self.shell("check", self.data)
        self.assertRegex(out, r"(?m)^checkpoint-00000000000032  checkpoint  whole +50 +50 records +\d+$")
        self.assertRegex(out, r"\nwhole: a start brings back position 53 with 51 keys: .*, then 3 log entries\n\Z")
        self.assertEqual(errors, "")
        told = json.loads(self.shell("check", self.data, "-o", "json")[0])
        self.assertEqual((told["verdict"]["keys"], told["served_by"]), (51, None))
        last = max(name for name in os.listdir(self.data) if name.startswith("wal-"))
        path = os.path.join(self.data, last)
        data, before = read(path), contents(self.data)
        save(self.data, last, data[:-1])
        out, _ = self.shell("check", self.data, status=1)
        self.assertIn("\ntorn end: a start brings back position 52 with 50 keys", out)
        self.assertIn("%s at byte" % path, out)
        checkpoint = min(name for name in before if name.startswith("checkpoint-"))
        save(self.data, last, data)
        save(self.data, checkpoint, flipped(before[checkpoint], 100))
        out, _ = self.shell("check", self.data, status=5)
        self.assertIn("\ndamaged: a start refuses: ", out)
        child = self.spawn(["-m", "nosqgrid", "serve", "--socket", self.path("s"), "--dir", self.data])
        self.assertEqual(child.wait(), 5)
        self.assertIn(child.errors()[len("nosqgrid: "):], out)
        self.assertEqual(contents(self.data)[last], data)
        save(self.data, checkpoint, before[checkpoint][:8] + b"\2" + before[checkpoint][9:])
        self.assertIn("format 2", self.shell("check", self.data, status=4)[0])

    def test_a_directory_in_use_is_read_and_left_alone(self):
        with self.start() as launched:
            with nosqgrid.attach(launched.address) as grid:
                grid["a"] = 1
                before = contents(self.data)
                out, errors = self.shell("check", self.data)
                self.assertIn("a coordinator (pid %d) serves %s" % (launched.pid, self.data), errors)
                told = json.loads(self.shell("check", self.data, "-o", "json")[0])
                self.assertEqual(told["served_by"], {"pid": launched.pid, "socket": launched.address})
                self.assertEqual(self.dumped(self.data)[0]["key"], "a")
                self.assertEqual(contents(self.data), before)
                log = next(name for name in before if name.startswith("wal-"))
                with open(os.path.join(self.data, log), "ab") as file:
                    file.write(b"half an entry")  # as if it were being written
                self.assertIn("\ntorn end: ", self.shell("check", self.data)[0])
                _, errors = self.shell("salvage", self.data, "--to", self.path("new"), status=2)
                self.assertIn("checkpoint --to FILE --socket %s" % launched.address, errors)

    def test_it_is_read_while_it_changes_all_the_time(self):
        with self.start(None, "--checkpoint-every", "0.05") as launched:
            writer = self.spawn("import sys, nosqgrid\n"
                                "grid = nosqgrid.attach(sys.argv[1])\n"
                                "number = grid.set('first', 0)\n"
                                "print('ready', flush=True)\n"
                                "try:\n"
                                "    while True:\n"
                                "        number += 1\n"
                                "        grid.set('key:%d' % (number % 1000), number)\n"
                                "except nosqgrid.CoordinatorLostError:\n"
                                "    print('lost')\n", launched.address)
            writer.read_line()
            for _ in range(6):
                out, _ = self.shell("check", self.data)
                self.assertRegex(out, r"\n(whole|torn end): a start brings back position \d+ with \d+ keys")
                self.assertGreater(len(self.dumped(self.data)), 0)
        self.assertEqual(writer.finish(), "lost\n")

    def test_who_looks_for_the_holder_makes_no_lock_and_keeps_none(self):
        os.mkdir(self.data, 0o700)
        self.assertIsNone(holder_of(self.data))
        self.assertEqual(os.listdir(self.data), [])
        with self.start() as launched:
            with nosqgrid.attach(launched.address) as grid:
                grid.ping()  # it listens before it has taken the directory
            self.assertEqual(holder_of(self.data), (launched.pid, launched.address))
        self.assertIsNone(holder_of(self.data))

    def test_what_is_not_ours(self):
        other = save(self.directory, "other", b"something else")
        for words in (("check", other), ("dump", other), ("restore", other, "--dir", self.path("new")),
                      ("check", self.path("gone")), ("dump", self.directory),
                      ("salvage", self.directory, "--to", self.path("new"))):
            with self.subTest(words):
                self.shell(*words, status=2)
        self.assertFalse(os.path.exists(self.path("new")))


class DumpTest(StorageShellCase):
    def test_every_type_is_shown_as_json_has_it(self):
        when = datetime.datetime(2020, 10, 25, 2, 30)
        values = [("bool", True, True), ("bytes", b"text", "text"), ("datetime", when, "2020-10-25T02:30:00"),
                  ("float", 1.5, 1.5), ("float", float("inf"), "inf"), ("int", 7, 7),
                  ("int", 10 ** 700, "1" + "0" * 700),
                  ("json", {"a": [1, None]}, {"a": [1, None]}), ("none", None, None), ("str", "h\u00e9", "h\u00e9"),
                  ("tagged", (1, 2), {"$tuple": [1, 2]})]
        with self.start() as launched:
            with nosqgrid.attach(launched.address) as grid:
                for number, (_, value, _) in enumerate(values):
                    grid["%02d" % number] = value
        rows = self.dumped(self.data)
        self.assertEqual([(row["key"], row["type"], row["value"]) for row in rows],
                         [("%02d" % number, kind, shown) for number, (kind, _, shown) in enumerate(values)])
        self.assertEqual([row["version"] for row in rows], list(range(1, len(values) + 1)))
        self.assertEqual({row["expires"] for row in rows}, {None})

    def test_bytes_that_are_no_text_values_that_are_none_and_deadlines(self):
        os.mkdir(self.data, 0o700)
        made.save_checkpoint(self.data, 5, [[
            made.record(b"\xff", b"\xfe\xff", 1, value_type=0), made.record(b"i", b"five", 2, value_type=2),
            made.record(b"t", b"x", 3, deadline_ms=1600000000123), made.record(b"far", b"x", 4, deadline_ms=10 ** 15),
            made.record(b"s", b"\xed\xa0\x80", 5), made.record(prefix_of(4) + b"elsewhere", b"x", 5)]])
        rows = {row["key"]: row for row in self.dumped(self.data)}
        self.assertEqual((rows["/w=="]["key_encoding"], rows["/w=="]["value"], rows["/w=="]["encoding"]),
                         ("base64", "/v8=", "base64"))
        self.assertEqual((rows["i"]["value"], rows["i"]["encoding"]), ("Zml2ZQ==", "base64"))
        self.assertIn("not a value of type int", rows["i"]["error"])
        self.assertEqual((rows["t"]["expires"], rows["far"]["expires"]), ("2020-09-13T12:26:40.123Z", 10 ** 15))
        self.assertEqual(rows["s"]["value"], "\ud800")
        self.assertEqual([row.get("database") for row in (rows["s"], rows["elsewhere"])], [None, 4])

    def test_a_deadline_is_that_of_the_wall_clock(self):
        with self.start() as launched:
            with nosqgrid.attach(launched.address) as grid:
                grid.set("t", 1, ttl=3600)
                asked = time.time() + 3600
        told = datetime.datetime.strptime(self.dumped(self.data)[0]["expires"], "%Y-%m-%dT%H:%M:%S.%fZ")
        self.assertAlmostEqual(told.replace(tzinfo=datetime.timezone.utc).timestamp(), asked, delta=60)

    def test_a_reader_that_leaves_early_is_no_error(self):
        os.mkdir(self.data, 0o700)
        made.save_segment(self.data, 1, 1, [[(b"%06d" % number, b"x" * 100)] for number in range(3000)])
        process = subprocess.Popen([sys.executable, "-W", "error", "-m", "nosqgrid", "dump", self.data], cwd=REPOSITORY,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            self.assertTrue(process.stdout.readline().startswith(b'{"key": "000000"'))
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(TIMEOUT_S), 0)

    def test_damage_is_refused_before_anything_is_printed_and_a_torn_end_is_noted(self):
        self.crashed()
        last = max(name for name in os.listdir(self.data) if name.startswith("wal-"))
        data = read(os.path.join(self.data, last))
        save(self.data, last, data[:-1])
        out, errors = self.shell("dump", self.data)
        self.assertEqual(out.count("\n"), 50)
        self.assertIn("torn end", errors)
        backup = read(self.backup)
        out, _ = self.shell("dump", save(self.directory, "bad", flipped(backup, 90)), status=5)
        self.assertEqual(out, "")


class RestoreTest(StorageShellCase):
    @slow
    def test_a_backup_is_served_again_and_again(self):
        self.crashed()
        self.assertEqual(self.shell("check", self.backup)[0].splitlines()[-1],
                         "whole: restoring it brings back position 51 with 51 keys")
        expected = dict({"key:%02d" % number: number for number in range(50)}, late="x")
        new = self.path("new")
        out, errors = self.shell("restore", self.backup, "--dir", new)
        self.assertEqual((out, errors), ("%s/checkpoint-00000000000033: position 51, %d bytes\n"
                                         % (new, os.path.getsize(self.backup)), ""))
        self.assertEqual(os.stat(new).st_mode & 0o777, 0o700)
        self.assertEqual(self.held(new), expected)
        self.shell("restore", self.backup, "--dir", new, status=2)
        self.assertEqual(self.held(new), expected)
        self.assertEqual(self.held(self.data), dict({key: value for key, value in expected.items() if key != "key:00"},
                                                    later="y"))

    def test_a_damaged_backup_makes_nothing_and_others_directories_are_refused(self):
        self.crashed()
        bad = save(self.directory, "bad", flipped(read(self.backup), 200))
        self.shell("restore", bad, "--dir", self.path("new"), status=5)
        self.assertFalse(os.path.exists(self.path("new")))
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        for words in (("restore", self.backup, "--dir"), ("salvage", self.data, "--to")):
            _, errors = self.shell(*words, self.path("open"), status=3)
            self.assertIn("others can write", errors)

    def test_a_large_file_shows_on_a_terminal_how_far_it_is(self):
        self.crashed()
        with mock.patch.object(storage, "BAR_EVERY_S", -1.0):
            _, errors = self.shell("restore", self.backup, "--dir", self.path("new"), errors=Terminal())
        self.assertIn("] ", errors)
        self.assertIn("MB verified", errors)
        self.assertTrue(errors.endswith("\r\x1b[K"))


class SalvageTest(StorageShellCase):
    def test_what_is_left_of_a_damaged_directory_is_served(self):
        self.crashed()
        name = max(name for name in os.listdir(self.data) if name.startswith("checkpoint-"))
        save(self.data, name, flipped(read(os.path.join(self.data, name)), 100))
        before, new = contents(self.data), self.path("new")
        out, errors = self.shell("salvage", self.data, "--to", new)
        self.assertRegex(out, r"\Aleft out: %s/%s, \d+ bytes at 64: no whole block; the keys in it are missing, unless "
                         r"the log sets them again\n%s/checkpoint-[0-9a-f]{14}: 2 keys, position 53, \d+ bytes\n\Z"
                         % (self.data, name, new))
        self.assertEqual((errors, contents(self.data)), ("", before))
        self.assertEqual(self.held(new), {"late": "x", "later": "y"})

    def test_a_limit_of_memory(self):
        self.crashed()
        words = ("salvage", self.data, "--to", self.path("new"), "--memory")
        self.assertIn("--memory", self.shell(*words, "2k", status=4)[1])
        self.assertFalse(os.path.exists(self.path("new")))
        self.assertIn("nothing was left out\n", self.shell(*words, "1m")[0])
        self.assertEqual(len(self.held(self.path("new"))), 51)


if __name__ == "__main__":
    import unittest
    unittest.main()

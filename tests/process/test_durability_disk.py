"""The disk refuses, lies or is taken away: reads go on, nothing half done is seen, what was answered is there
afterwards.

A small tmpfs in a mount namespace of its own is the full disk (unshare -Urm, no root needed); strace lets fdatasync
fail.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

import nosqgrid
from nosqgrid.formats import log
from tests.support.durable import FULL, DurableTestCase, child_pids, dict_of, files_of, thread_ids, trace
from tests.support.processes import REPOSITORY, wait_until
from tests.support.tiers import slow

DISK_KIB = 384
FUTURE_VERSION = 99
LIMIT_BYTES = 65536
SYNC = re.compile(r"(?:fdatasync|(openat).*O_CREAT.*= )\(?\d+<([^>]*)>(?:.* = (0|-1 EIO))?").search


def namespaces_work():
    """Whether this user may mount a tmpfs in a namespace of his own."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return False
    return not subprocess.call(["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/tmp"], stderr=subprocess.DEVNULL)


class SmallDiskTestCase(DurableTestCase):
    """`data` lies on a tmpfs of DISK_KIB that only processes in its namespace see; `disk` leads there from here."""

    def setUp(self):
        super().setUp()
        if not namespaces_work():
            self.skipTest("no mount namespaces for this user")
        mount_point = os.path.join(self.place, "disk")
        os.mkdir(mount_point)
        self._holder = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=$1k,mode=700 none "$2" && echo ready && exec cat',
             "sh", str(DISK_KIB), mount_point], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(self._holder.stdout.readline(), b"ready\n")
        self.inside = ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(self._holder.pid)]
        self.disk = "/proc/%d/root%s" % (self._holder.pid, mount_point)
        self.mount_point = mount_point
        self.data = os.path.join(mount_point, "data")
        self.seen = os.path.join(self.disk, "data")  # the same, seen from here
        self._filler = os.path.join(self.disk, "filler")

    def tearDown(self):
        with contextlib.suppress(AttributeError):  # skipped in setUp
            for served in self._served:
                served.close()
            self._holder.communicate()
        super().tearDown()

    def serve(self, *extra, **options):
        return super().serve(*extra, **dict({"prefix": self.inside}, **options))

    def fill(self):
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, bytes(4096))
        finally:
            os.close(fd)

    def free(self):
        os.unlink(self._filler)

    def write_until_refused(self, grid):
        """Write until the log takes no more; what stood before the refused write, and the error."""
        for number in range(10000):
            before = dict_of(grid) if number % 10 == 0 else dict(before, **{"last": number - 1})
            try:
                grid["last"] = number
            except nosqgrid.DiskError as error:
                return before, error
        self.fail("a full disk took everything")


class FullDiskTest(SmallDiskTestCase):
    def check_refused(self, level):
        served = self.serve(level=level)
        grid = self.attach()
        grid.set_many({"k%d" % number: "v" * 50 for number in range(100)})
        self.fill()
        before, error = self.write_until_refused(grid)
        for words in ("refused", self.data + "/wal-", "No space left", "reads go on"):
            self.assertIn(words, str(error))
        self.assertEqual(dict_of(grid), before)
        with self.assertRaises(nosqgrid.DiskError):
            with grid.pipeline() as batch:
                batch.incr("n")
                batch.set("k1", "w" * 5000)
                batch.delete("k2")
        with self.assertRaises(nosqgrid.DiskError):
            grid.set_many({"k%d" % number: "x" * 1000 for number in range(50)})
        with self.assertRaises(nosqgrid.DiskError):
            grid.clear()
        self.assertEqual(dict_of(grid), before)
        stats = grid.stats()
        self.assertIn("No space left", stats["disk_error"])
        self.assertEqual((stats["writes_not_logged"], stats["log_lsn"]), (0, stats["writes"]))
        self.free()
        grid["last"] = "after"
        self.assertEqual(grid.stats()["disk_error"], "")
        served.kill()
        self.serve(level=level)
        self.assertEqual(self.content(), dict(before, last="after"))

    def test_writes_are_refused_and_go_on_when_there_is_room(self):
        self.check_refused("os")

    def test_the_same_where_everything_is_synced(self):
        self.check_refused("always")

    def test_a_checkpoint_that_fails_leaves_the_one_before(self):
        served = self.serve(level="os")
        grid = self.attach()
        grid.set_many({"k%d" % number: "v" * 1000 for number in range(100)})
        made = grid.checkpoint()
        wait_until(lambda: not child_pids(served.pid))  # until then it keeps open what was replaced
        grid["after"] = 1
        before, old = dict_of(grid), files_of(self.seen)[os.path.basename(made.path)]
        self.fill()
        with self.assertRaises(nosqgrid.DiskError) as caught:
            grid.checkpoint()
        self.assertIn("No space left", str(caught.exception))
        self.assertEqual(files_of(self.seen)[os.path.basename(made.path)], old)
        self.assertEqual([name for name in os.listdir(self.seen) if name.endswith(".tmp")], [])
        self.assertNotIn(served.stop(), (0, 1))  # nothing has room for the last one either
        self.assertIn("No space left", served.errors())
        self.fill()  # the end gave some back
        status, said = self.refused(level="os")
        self.assertNotIn(status, (0, 1), said)
        self.assertIn("No space left", said)
        self.free()
        self.serve(level="os")
        self.assertEqual(self.content(), before)

    def make_trouble(self, grid):
        """With policy serve: write more than the log takes; what the grid holds."""
        self.fill()
        grid.set_many({"k%d" % number: "v" * 100 for number in range(300)})
        stats = wait_until(lambda: grid.stats() if grid.stats()["disk_error"] else None)
        self.assertIn("No space left", stats["disk_error"])
        self.assertGreater(stats["writes_not_logged"], 0)
        return dict_of(grid)

    def test_policy_serve_goes_on_and_catches_up(self):
        served = self.serve("--on-disk-error", "serve", level="everysec")
        grid = self.attach()
        grid["before"] = 1
        self.make_trouble(grid)
        self.assertEqual((grid.incr("n"), len(grid)), (1, 302))
        self.free()
        wait_until(lambda: grid.stats()["disk_error"] == "", what="the log to catch up")
        self.assertGreater(grid.stats()["checkpoints"], 0)
        self.assertEqual(grid.incr("n"), 2)
        before = dict_of(grid)
        served.kill()
        self.serve(level="everysec")
        self.assertEqual(self.content(), before)

    @slow
    def test_policy_serve_killed_while_it_catches_up_still_starts(self):
        served = self.serve("--on-disk-error", "serve", level="always")
        grid = self.attach()
        grid["before"] = 1
        self.make_trouble(grid)
        self.free()
        pid = served.checkpointer()
        os.kill(pid, signal.SIGSTOP)
        for number in range(20):  # logged again, but behind a gap
            grid["late"] = number
        served.kill()
        os.kill(pid, signal.SIGKILL)
        served = self.serve(level="always")
        self.assertEqual(self.content()["before"], 1)
        self.assertNotIn("late", self.content())

    @unittest.skipUnless(shutil.which("strace"), "strace is not here")
    @slow
    def test_policy_serve_that_fails_again_while_it_catches_up_catches_up_again(self):
        served = self.serve("--on-disk-error", "serve", level="os")
        grid = self.attach()
        self.make_trouble(grid)
        keys = len(grid)
        self.free()
        pid = served.checkpointer()
        os.kill(pid, signal.SIGSTOP)
        with trace(pid, "-o", os.devnull, "-e", "inject=fdatasync:delay_enter=1500000"):
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: grid.stats().get("checkpoint_keys_done") == keys, what="the walk")
            grid.ping()
            self.fill()  # its position is fixed, and what comes now is missing in it
            for number in range(300):
                grid["late%d" % number] = "w" * 100
            self.free()
        wait_until(lambda: grid.stats()["disk_error"] == "" and not grid.stats()["checkpoint_running"])
        self.assertEqual(grid.incr("n"), 1)
        before = dict_of(grid)
        served.kill()
        self.serve(level="os")
        self.assertEqual(self.content(), before)

    def test_a_read_only_file_system_stops_checkpoints_and_nothing_else(self):
        served = self.serve(level="os")
        grid = self.attach()
        grid["a"] = 1
        subprocess.check_call(self.inside + ["mount", "--bind", self.mount_point, self.mount_point])
        subprocess.check_call(self.inside + ["mount", "-o", "remount,bind,ro", self.mount_point])
        with self.assertRaises(nosqgrid.DiskError) as caught:
            grid.checkpoint()
        self.assertIn("read-only", str(caught.exception))
        grid["a"] = 2  # the log is open
        served.kill()
        status, said = self.refused(level="os")
        self.assertNotEqual(status, 0)
        self.assertIn("ead-only", said)
        self.assertNotIn("Traceback", said)
        subprocess.check_call(self.inside + ["umount", self.mount_point])
        self.serve(level="os")
        self.assertEqual(self.content(), {"a": 2})


class FileSizeLimitTest(DurableTestCase):
    def test_a_log_at_the_limit_refuses_until_a_checkpoint_begins_another_file(self):
        served = self.serve(level="os")
        grid = self.attach()  # first: lanes are files too
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
        with self.assertRaises(nosqgrid.DiskError) as caught:
            for number in range(10000):
                grid["k%d" % (number % 10)] = number
        self.assertIn("File too large; raise the limit on file sizes", str(caught.exception))
        before = dict_of(grid)
        self.assertLessEqual(os.path.getsize(os.path.join(self.data, "wal-00000001")), LIMIT_BYTES)
        self.assertEqual(grid.checkpoint().keys, 10)  # which begins another segment
        grid["k1"] = "after"
        served.kill()
        self.serve(level="os")
        self.assertEqual(self.content(), dict(before, k1="after"))


@unittest.skipUnless(shutil.which("strace"), "strace is not here")
class FailedSyncTest(DurableTestCase):
    def traced(self, thread, when, *options):
        self.trace = os.path.join(self.place, "trace")
        return trace(thread, "-y", "-o", self.trace, "-e", "trace=fdatasync,openat",
                     "-e", "inject=fdatasync:error=EIO:when=" + when, *options)

    def check_no_second_sync(self, failures):
        """No file was synced on which that has failed; a file that is made anew under its name is another."""
        failed, count = set(), 0
        with open(self.trace, encoding="utf-8", errors="replace") as file:
            for match in filter(None, map(SYNC, file)):
                made, path, result = match.groups()
                if made:
                    failed.discard(path)
                    continue
                self.assertNotIn(path, failed, "synced again")
                if result != "0":
                    failed.add(path)
                    count += 1
        self.assertGreaterEqual(count, failures)

    def test_a_write_whose_sync_fails_is_refused_and_the_log_goes_on_in_new_files(self):
        served = self.serve(level="always")
        grid = self.attach()
        grid.set_many({"k%d" % number: number for number in range(20)})
        before = dict_of(grid)
        with self.traced(served.pid, "1"):
            with self.assertRaises(nosqgrid.DiskError) as caught:
                grid["k1"] = "refused"
            for words in ("cannot sync " + self.data + "/wal-00000001", "Input/output error", "is not known",
                          "reads go on"):
                self.assertIn(words, str(caught.exception))
            self.assertEqual(dict_of(grid), before)
            wait_until(lambda: grid.stats()["disk_error"] == "", what="a checkpoint")
            grid["k2"] = "after"
            served.kill()
        self.check_no_second_sync(1)
        self.serve(level="always")
        self.assertEqual(self.content(), dict(before, k2="after"))

    @slow
    def test_a_sync_that_fails_behind_the_writes_stops_them_until_a_checkpoint_stands(self):
        served = self.serve(level="everysec")
        grid = self.attach()
        with self.traced(thread_ids(served.pid)[1], "1"):
            grid["a"] = 1
            stats = wait_until(lambda: (lambda now: now if now["disk_errors"] else None)(grid.stats()), what="an error")
            self.assertEqual(stats["disk_errors"], 1)
            wait_until(lambda: grid.stats()["disk_error"] == "", what="a checkpoint")
            grid["b"] = 2
            served.kill()
        self.check_no_second_sync(1)
        self.serve(level="everysec")
        self.assertEqual(self.content(), {"a": 1, "b": 2})

    def test_a_disk_that_syncs_no_more_is_tried_in_new_files_only(self):
        served = self.serve(level="always")
        grid = self.attach()
        grid.set_many({"a": 1, "b": 2})
        with self.traced(served.pid, "1+", "-f"):
            with self.assertRaises(nosqgrid.DiskError):
                grid["a"] = "unknown"
            wait_until(lambda: self.failures() > (5 if FULL else 1), what="it to try again")
            for call in (lambda: grid.set("b", 3), lambda: grid.incr("b"), lambda: grid.delete("a")):
                with self.assertRaises(nosqgrid.DiskError):
                    call()
            self.assertEqual(dict_of(grid), {"a": 1, "b": 2})
            served.kill()
        self.check_no_second_sync(2)
        self.serve(level="always")
        self.assertIn(self.content(), ({"a": 1, "b": 2}, {"a": "unknown", "b": 2}))

    def failures(self):
        with open(self.trace, encoding="utf-8", errors="replace") as file:
            return file.read().count("EIO")


class DirectoryTakenAwayTest(DurableTestCase):
    def test_a_backup_can_be_made_meanwhile(self):
        self.serve(level="os")
        grid = self.attach()
        grid.set_many({"k%d" % number: number for number in range(20)})
        self.remove(grid)
        before = dict_of(grid)
        made = grid.checkpoint(os.path.join(self.place, "backup"))
        self.assertEqual((made.keys, made.path), (len(before), os.path.join(self.place, "backup")))
        new = os.path.join(self.place, "new")
        subprocess.check_call([sys.executable, "-m", "nosqgrid", "restore", made.path, "--dir", new], cwd=REPOSITORY,
                              stdout=subprocess.DEVNULL)
        self.serve(level="os", directory=new, socket=self.socket + "2")
        self.assertEqual(self.content(self.socket + "2"), before)

    def remove(self, grid):
        shutil.rmtree(self.data)

        def refused():
            try:
                grid["noticing"] = 1
            except nosqgrid.DiskError as error:
                return error
            return None
        return wait_until(refused, what="the loss to be noticed")

    @slow
    def test_reads_go_on_and_writes_too_once_it_is_there_again(self):
        served = self.serve(level="os")
        grid = self.attach()
        grid.set_many({"k%d" % number: number for number in range(20)})
        error = self.remove(grid)
        self.assertIn(self.data + "/wal-", str(error))
        before = dict_of(grid)
        self.assertEqual(before["k7"], 7)
        with self.assertRaises(nosqgrid.DiskError):
            grid["k7"] = 8
        self.assertEqual(dict_of(grid), before)
        os.mkdir(self.data, 0o700)
        wait_until(lambda: grid.stats()["disk_error"] == "", what="a checkpoint in the new directory")
        grid["k7"] = 9
        other = self.serve(level="os", socket=self.socket + "2", wait=False)
        self.assertFalse(other.comes_up(), "two coordinators write into one directory")
        self.assertIn("is served by another coordinator", other.errors())
        served.kill()
        self.serve(level="os")
        self.assertEqual(self.content(), dict(before, k7=9))

    @slow
    def test_a_directory_made_again_and_served_by_another_is_left_to_it(self):
        self.serve(level="os")
        grid = self.attach()
        grid["a"] = 1
        self.remove(grid)
        os.mkdir(self.data + "2", 0o700)
        other = self.serve(level="os", socket=self.socket + "2", directory=self.data + "2")
        os.rename(self.data + "2", self.data)
        with nosqgrid.attach(other.address) as others:
            others["b"] = 2
            before = files_of(self.data)
            time.sleep(1.3)  # it tries every second
            self.assertEqual(files_of(self.data), before)
            with self.assertRaises(nosqgrid.DiskError):
                grid["a"] = 2

    def test_taken_away_in_the_middle_of_a_checkpoint_it_ends_nobody(self):
        for level in ("os", "none"):
            served = self.serve(level=level, socket=self.socket + level)
            with nosqgrid.attach(served.address) as grid:
                grid["a"] = level
                served.process.send_signal(signal.SIGUSR2)
                pid = served.checkpointer()
                os.kill(pid, signal.SIGSTOP)
                shutil.rmtree(self.data)
                os.kill(pid, signal.SIGCONT)
                wait_until(lambda: grid.stats()["checkpoints_failed"] == 1, what="the checkpoint to fail")
                self.assertEqual((grid["a"], served.process.poll()), (level, None))
            self.assertNotIn("Traceback", served.errors())
            served.kill()


class StartTest(DurableTestCase):
    """What a start finds: another coordinator, files from the future, a torn end, damage."""

    def test_of_those_who_race_for_a_directory_one_serves_and_the_others_say_who_does(self):
        for _ in range(20 if FULL else 1):
            all_served = [self.serve(level="os", socket=self.socket + str(number), wait=False) for number in range(4)]
            up = [served for served in all_served if served.comes_up()]
            self.assertEqual(len(up), 1)
            for served in all_served:
                if served not in up:
                    self.assertEqual(served.wait(), 3)
                    self.assertIn("by another coordinator (pid %d) on the socket %s" % (up[0].pid, up[0].address),
                                  served.errors())
                    self.assertEqual([name for name in os.listdir(self.place) if name.startswith(
                        os.path.basename(served.address))], [])
            self.assertEqual(up[0].stop(), 0)

    def filled(self, level="always"):
        """A directory with a checkpoint, and some entries of a log behind it, killed; what it holds."""
        served = self.serve(level=level)
        with nosqgrid.attach(self.socket) as grid:
            grid["a"] = "checkpointed"
            grid.checkpoint()
            for number in range(10):
                grid["b"] = number
            found = dict_of(grid)
        served.kill()
        return found

    def path_of(self, kind):
        return os.path.join(self.data, max(name for name in os.listdir(self.data) if name.startswith(kind)))

    def check_refused(self, *words):
        before = files_of(self.data)
        status, said = self.refused(level="always")
        self.assertNotIn(status, (0, 1), said)
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn("Traceback", said)
        self.assertEqual(files_of(self.data), before)
        self.assertEqual(os.path.exists(self.socket), False)

    def change(self, path, offset, data):
        with open(path, "r+b") as file:
            file.seek(offset)
            before = file.read(len(data))
            file.seek(offset)
            file.write(data)
        return before

    def test_formats_from_the_future_are_refused_and_left_alone(self):
        self.filled()
        for kind in ("wal", "checkpoint"):
            before = self.change(self.path_of(kind), 8, struct.pack("<I", FUTURE_VERSION))
            self.check_refused("has format %d" % FUTURE_VERSION, "newer")
            self.change(self.path_of(kind), 8, before)

    def test_a_torn_log_is_cut_and_reported(self):
        found = self.filled()
        path = self.path_of("wal")
        os.truncate(path, os.path.getsize(path) - 3)
        served = self.serve(level="always")
        self.assertEqual(self.content(), dict(found, b=8))
        self.assertIn("the log had a torn end", "".join(served.introduction))
        self.assertIn("the log had a torn end, as a kill or a power cut leaves it: %s at byte " % path, served.errors())
        served.kill()
        served = self.serve(level="always")
        self.assertEqual((served.errors(), self.content()), ("", dict(found, b=8)))

    def test_damage_of_what_was_synced_refuses_to_start_and_says_where(self):
        self.filled()
        path = self.path_of("wal")
        with open(path, "rb") as file:
            data = file.read()
        header = log.unpack_segment_header(data)
        second = log.unpack_entry(data, log.SEGMENT_HEADER_SIZE_BYTES, len(data),
                                  log.entry_seed(header.lineage, header.sequence)).end
        flipped = second + log.ENTRY_HEADER_SIZE_BYTES + 9
        self.change(path, flipped, bytes((data[flipped] ^ 4,)))
        self.check_refused("%s is damaged at byte %d" % (path, second), "Nothing was changed", "salvage")

    def test_a_damaged_checkpoint_refuses_to_start_and_says_where(self):
        self.filled()
        path = self.path_of("checkpoint")
        self.assertNotEqual(self.change(path, 110, b"\xff"), b"\xff")
        self.check_refused("%s is damaged at byte 64" % path, "Nothing was changed", "restore")

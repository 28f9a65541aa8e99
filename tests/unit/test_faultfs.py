"""The disk in memory is honest: it does what the real one does, loses what may be lost, and nothing else."""

import errno
import os
import random
import shutil
import tempfile
import unittest

from nosqgrid.storage.files import AppendFile, Files
from tests.support.faultfs import LOOKING, MUTATING, MemoryFiles, PowerCut

DIRECTORY = "/data"
A, B = DIRECTORY + "/a", DIRECTORY + "/b"
SECTOR = 512


def make(files, path, *pieces):
    """A new file with these pieces written one after the other; its descriptor."""
    fd = files.create(path)
    for piece in pieces:
        files.write(fd, piece)
    return fd


def durable(files, path, content):
    """A file that is on the disk, name and all; its descriptor."""
    fd = make(files, path, content)
    files.sync(fd)
    files.sync_directory(DIRECTORY)
    return fd


def images(files, count=300, seed=1):
    """What every crash state has in its files: {path: content}, without the directory itself."""
    return [{path: content for path, content in disk.contents().items() if path != DIRECTORY}
            for disk in files.crash_states(random.Random(seed), count)]


def sectors(content):
    return [content[start:start + SECTOR] for start in range(0, len(content), SECTOR)]


class SameAsTheRealDisk(unittest.TestCase):
    """The same random operations on both: the same results, the same errors, the same files."""

    PATHS = ("/a", "/b", "/sub/a", "/sub/b", "/gone/a", "/a/x", "/sub", "")

    def setUp(self):
        self.real_root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.real_root)
        self.disks = (Files(), MemoryFiles(DIRECTORY))
        self.roots = (self.real_root, DIRECTORY)
        self.fds = [(1 << 19, 1 << 19)]  # one that nobody knows, and the open ones
        self.addCleanup(lambda: [os.close(fd) for fd, _ in self.fds[1:]])
        for disk, root in zip(self.disks, self.roots):
            disk.make_directory(root + "/sub")

    def test_random_operations(self):
        rng = random.Random(5)
        seen = set()
        for step in range(3000):
            name, arguments = self.operation(rng)
            outcomes = [self.outcome(index, name, arguments) for index in (0, 1)]
            seen.add((name, outcomes[0][0]))
            if name in ("create", "open") and outcomes[0][0] is outcomes[1][0] is None:
                self.fds.append((outcomes[0][1], outcomes[1][1]))
                continue
            self.assertEqual(outcomes[0], outcomes[1], (step, name, arguments))
            if name == "close" and outcomes[0][0] is None:
                self.fds.remove(arguments[0])
        self.assertEqual(self.real_contents(), self.disks[1].contents())
        self.assertLessEqual(
            {("create", errno.EEXIST), ("create", errno.ENOENT), ("create", errno.ENOTDIR), ("open", errno.ENOENT),
             ("open", errno.EINVAL), ("write", errno.EBADF), ("pread", errno.EBADF), ("truncate", errno.EINVAL),
             ("sync", errno.EBADF), ("size", errno.EBADF), ("close", errno.EBADF), ("rename", errno.ENOENT),
             ("rename", errno.EISDIR), ("rename", errno.ENOTDIR), ("unlink", errno.ENOENT), ("names", errno.ENOTDIR),
             ("names", errno.ENOENT), ("sync_directory", errno.ENOTDIR), ("make_directory", errno.EEXIST)}, seen)
        self.assertLessEqual({(name, None) for name in MUTATING + LOOKING if name != "make_directory"}, seen)

    def outcome(self, index, name, arguments):
        """(errno or None, result) on one of the disks."""
        given = [argument[index] if isinstance(argument, tuple) else
                 self.roots[index] + argument if isinstance(argument, str) else argument for argument in arguments]
        try:
            result = getattr(self.disks[index], name)(*given)
        except OSError as error:
            return error.errno, None
        return None, sorted(result) if name == "names" else result

    def operation(self, rng):
        """A name and its arguments; descriptors as pairs, paths from the root on."""
        fd = rng.choice(self.fds)
        name = rng.choice(MUTATING + LOOKING + ("write", "pread", "truncate", "size"))
        if name in ("create", "open") and len(self.fds) > 50:
            name = "close"
        if name == "rename":
            folder = rng.choice(("/", "/", "/sub/", "/gone/", "/a/", "/c/"))
            return name, (folder + rng.choice("abc"), folder + rng.choice(("a", "b", "sub")))
        if name == "unlink":
            return name, (rng.choice(("/a", "/b", "/sub/a", "/gone/a")),)  # a folder has another errno on each system
        if name == "make_directory":
            return name, (rng.choice(("/sub", "/a/x", "/gone/x")),)
        if name in ("create", "open", "sync_directory", "names"):
            return name, (rng.choice(self.PATHS),)
        return name, (fd,) + {"write": (bytes([rng.randrange(256)]) * rng.randrange(1500),),
                              "pread": (rng.randrange(3000), rng.randrange(-1, 3000)),
                              "truncate": (rng.randrange(-1, 3000),)}.get(name, ())

    def real_contents(self):
        found = {}
        for directory, _, names in os.walk(self.real_root):
            inner = DIRECTORY + directory[len(self.real_root):]
            found[inner] = None
            for name in names:
                with open(os.path.join(directory, name), "rb") as file:
                    found[os.path.join(inner, name)] = file.read()
        return found


class DiskTest(unittest.TestCase):
    def setUp(self):
        self.files = MemoryFiles(DIRECTORY)

    def assert_errno(self, expected, function, *arguments):
        with self.assertRaises(OSError) as caught:
            function(*arguments)
        self.assertEqual(caught.exception.errno, expected)

    def kinds(self):
        return [operation.kind for operation in self.files.operations]


class RecorderTest(DiskTest):
    def test_what_changes_something_is_recorded_in_order_with_its_outcome(self):
        fd = make(self.files, A, b"abc")
        self.files.pread(self.files.open(A), 3, 0)
        self.files.fail(errno.EIO, "sync")
        self.assert_errno(errno.EIO, self.files.sync, fd)
        self.files.close(fd)
        self.assert_errno(errno.ENOENT, self.files.unlink, B)
        self.files.rename(A, B)
        self.files.cut(kind="truncate")
        with self.assertRaises(PowerCut):
            self.files.truncate(fd, 0)
        self.assertEqual([tuple(operation) for operation in self.files.operations], [
            ("create", A, None, None), ("write", A, 3, None), ("sync", A, None, errno.EIO),
            ("unlink", B, None, errno.ENOENT), ("rename", A, B, None), ("truncate", "descriptor %d" % fd, 0, PowerCut)])
        self.assertEqual(self.files.calls["pread"], 1)
        self.assertEqual(self.files.open_paths, [A])

    def test_a_descriptor_is_given_once_and_outlives_its_name(self):
        fd = make(self.files, A, b"abc")
        self.files.unlink(A)
        self.files.write(fd, b"def")
        self.assertEqual(self.files.size(fd), 6)
        self.files.close(fd)
        self.assert_errno(errno.EBADF, self.files.close, fd)
        self.assertNotEqual(make(self.files, A), fd)

    def test_folders_are_neither_unlinked_nor_renamed(self):
        self.files.make_directory(A)
        self.assert_errno(errno.EISDIR, self.files.unlink, A)
        with self.assertRaises(NotImplementedError):
            self.files.rename(A, B)


class FaultTest(DiskTest):
    def test_the_nth_of_a_kind_fails_once_and_did_nothing(self):
        fd = make(self.files, A)
        self.files.fail(errno.EIO, "write", nth=2)
        self.files.write(fd, b"1")
        self.files.truncate(fd, 1)
        self.assert_errno(errno.EIO, self.files.write, fd, b"2")
        self.files.write(fd, b"3")
        self.assertEqual(self.files.contents()[A], b"13")

    def test_the_nth_of_any_kind_that_changes_something(self):
        self.files.fail(errno.ENOSPC, nth=2)
        make(self.files, A)
        self.files.names(DIRECTORY)
        self.assert_errno(errno.ENOSPC, self.files.create, B)
        make(self.files, B)

    def test_persistent_until_repaired(self):
        fd = make(self.files, A)
        self.files.fail(errno.ENOSPC, "write", nth=2, persistent=True)
        self.files.write(fd, b"1")
        for _ in range(3):
            self.assert_errno(errno.ENOSPC, self.files.write, fd, b"2")
        self.files.sync(fd)
        self.files.repair()
        self.files.write(fd, b"3")
        self.assertEqual(self.files.contents()[A], b"13")

    def test_every_kind_can_fail(self):
        fd, reader = make(self.files, A, b"abc"), self.files.open(A)
        arguments = {"create": (B,), "write": (fd, b"x"), "truncate": (fd, 0), "sync": (fd,), "rename": (A, B),
                     "unlink": (A,), "make_directory": (B,), "sync_directory": (DIRECTORY,), "open": (A,),
                     "pread": (reader, 1, 0), "size": (fd,), "is_listed": (fd,), "names": (DIRECTORY,),
                     "forget_cached": (fd,), "close": (fd,)}
        self.assertEqual(set(arguments), set(MUTATING + LOOKING))
        for kind in MUTATING + LOOKING:
            self.files.fail(errno.EDQUOT, kind)
            self.assert_errno(errno.EDQUOT, getattr(self.files, kind), *arguments[kind])
        self.assertEqual(self.files.contents(), {DIRECTORY: None, A: b"abc"})
        self.assert_errno(errno.EBADF, self.files.close, fd)  # closed, whatever close said
        with self.assertRaises(ValueError):
            self.files.fail(errno.EIO, "fsync")

    def test_an_operation_may_be_done_although_it_fails(self):
        self.files.fail(errno.EIO, "create", after=True)
        self.assert_errno(errno.EIO, self.files.create, A)
        self.assertIn(A, self.files.contents())

    def test_short_writes(self):
        fd = make(self.files, A)
        self.files.shorten(2, nth=2)
        self.assertEqual([self.files.write(fd, b"abcdef") for _ in range(3)], [6, 2, 6])
        self.files.shorten(0, persistent=True)
        self.assertEqual([self.files.write(fd, b"abcdef") for _ in range(2)], [0, 0])
        self.assertEqual(self.files.contents()[A], b"abcdefababcdef")

    def test_a_full_disk_takes_what_fits_and_then_refuses(self):
        make(self.files, A, b"x" * 60)
        fd = make(self.files, B)
        self.files.room = 100
        self.assertEqual(self.files.write(fd, b"y" * 50), 40)
        self.assert_errno(errno.ENOSPC, self.files.write, fd, b"y")
        self.files.unlink(A)
        self.assert_errno(errno.ENOSPC, self.files.write, fd, b"y")  # a descriptor keeps it
        self.files.close(fd - 1)
        self.assertEqual(self.files.write(fd, b"y" * 50), 50)

    def test_a_cut_before_and_after(self):
        for after, expected in ((False, []), (True, ["a"])):
            files = MemoryFiles(DIRECTORY)
            files.cut(kind="create", after=after)
            with self.assertRaises(PowerCut):
                files.create(A)
            self.assertEqual(files.kept().names(DIRECTORY), expected)

    def test_the_power_stays_off(self):
        fd = make(self.files, A, b"abc")
        handled = []
        self.files.cut()
        with self.assertRaises(PowerCut):
            try:
                self.files.write(fd, b"def")
            except Exception as error:
                handled.append(error)
            finally:
                self.files.unlink(A)
        self.assertEqual(handled, [])
        for kind, arguments in (("sync", (fd,)), ("names", (DIRECTORY,)), ("close", (fd,)), ("unlink", (A,))):
            with self.assertRaises(PowerCut):
                getattr(self.files, kind)(*arguments)
        self.assertEqual(self.kinds(), ["create", "write", "write"])
        self.assertEqual(self.files.kept().contents()[A], b"abc")


class CrashStateTest(DiskTest):
    def test_what_was_synced_stays(self):
        durable(self.files, A, b"a" * 700)
        self.assertEqual(images(self.files), [{A: b"a" * 700}])

    def test_a_synced_file_without_its_directory_may_be_gone(self):
        self.files.sync(make(self.files, A, b"a" * 700))
        self.assertEqual(images(self.files), [{}, {A: b"a" * 700}])

    def test_a_name_without_its_data_may_be_there(self):
        make(self.files, A, b"a")
        self.files.sync_directory(DIRECTORY)
        found = [state[A] for state in images(self.files)]
        self.assertEqual(found[:2], [b"", b"a"])
        self.assertIn(b"\0", found)

    def test_each_sector_for_itself(self):
        fd = durable(self.files, A, b"s" * 100)
        self.files.write(fd, b"1" * 1000)
        self.files.write(fd, b"2" * 1000)
        found = [state[A] for state in images(self.files, 2000)]
        self.assertEqual({content[:100] for content in found}, {b"s" * 100})
        first = {content[:SECTOR] for content in found if len(content) == 2100}
        self.assertEqual(first, {b"s" * 100 + b"1" * 412, b"s" * 100 + b"\0" * 412})
        shared = {content[1024:1536] for content in found if len(content) == 2100}  # the end of one and the next
        for expected in (b"1" * 76 + b"2" * 436, b"1" * 76 + b"\0" * 436, b"\0" * 512):
            self.assertIn(expected, shared)
        self.assertGreater(len(shared), 10)  # what former files left there
        patterns = {tuple(len(set(piece)) == 1 and piece[:1] == b"\0" for piece in sectors(content)[1:4])
                    for content in found if len(content) == 2100}
        self.assertEqual(len(patterns), 8)
        lengths = {len(content) for content in found}
        self.assertLessEqual({100, 1100, 2100, 512, 1024, 1536, 2048}, lengths)
        self.assertTrue(all(100 <= length <= 2100 for length in lengths))

    def test_sectors_show_what_deleted_files_held(self):
        fd = make(self.files, B, bytes(range(256)) * 4)
        self.files.close(fd)
        self.files.unlink(B)
        fd = durable(self.files, A, b"")
        self.files.write(fd, b"a" * 1024)
        pieces = {piece for state in images(self.files) for piece in sectors(state[A])}
        self.assertIn(bytes(range(256)) * 2, pieces)

    def test_a_truncation_is_kept_or_not(self):
        fd = durable(self.files, A, b"a" * 600)
        self.files.truncate(fd, 300)
        found = {state[A] for state in images(self.files)}
        self.assertLessEqual({b"a" * 600, b"a" * 300}, found)
        self.assertEqual({content[:300] for content in found}, {b"a" * 300})
        self.files.write(fd, b"b" * 300)
        found = {state[A] for state in images(self.files)}
        self.assertLessEqual({b"a" * 600, b"a" * 300, b"a" * 300 + b"b" * 300}, found)
        self.files.sync(fd)
        self.assertEqual(images(self.files), [{A: b"a" * 300 + b"b" * 300}])

    def test_behind_a_truncation_nothing_is_certain(self):
        self.files.close(make(self.files, B, b"f" * 1024))
        self.files.unlink(B)
        fd = durable(self.files, A, b"a" * 1024)
        self.files.truncate(fd, 512)
        self.files.write(fd, b"b" * 512)
        found = {(len(state[A]), state[A][512:513]) for state in images(self.files)}
        self.assertLessEqual({(1024, b"a"), (1024, b"b"), (1024, b"\0"), (1024, b"f"), (512, b"")}, found)

    def test_changes_of_names_are_kept_or_lost_each_for_itself(self):
        durable(self.files, A, b"a")
        durable(self.files, B, b"b")
        temporary = DIRECTORY + "/t"
        self.files.sync(make(self.files, temporary, b"t"))
        self.files.rename(temporary, A)
        self.files.unlink(B)
        found = images(self.files)
        self.assertEqual(found[0], {A: b"a", B: b"b"})
        self.assertEqual(found[1], {A: b"t"})
        self.assertIn({A: b"a"}, found)  # what was removed last is gone, what was renamed before is not renamed
        self.assertIn({A: b"t", B: b"b"}, found)
        self.assertIn({A: b"a", B: b"b", temporary: b"t"}, found)
        for state in found:
            self.assertIn(state[A], (b"a", b"t"))  # never neither
        self.files.sync_directory(DIRECTORY)
        self.assertEqual(images(self.files), [{A: b"t"}])

    def test_a_name_used_again_may_lead_to_the_file_before(self):
        durable(self.files, A, b"old")
        self.files.unlink(A)
        self.files.sync(make(self.files, A, b"new"))
        self.files.rename(A, B)
        found = images(self.files)
        self.assertEqual(found[:2], [{A: b"old"}, {B: b"new"}])
        self.assertIn({A: b"old", B: b"new"}, found)

    def test_a_folder_is_lost_with_all_that_is_in_it(self):
        inner = DIRECTORY + "/sub"
        self.files.make_directory(inner)
        self.files.sync(make(self.files, inner + "/a", b"a"))
        self.files.sync_directory(inner)
        self.assertEqual(images(self.files), [{}, {inner: None, inner + "/a": b"a"}])

    def test_states_differ_and_a_seed_repeats_them(self):
        make(self.files, A, b"a" * 3000)
        found = images(self.files, 50)
        self.assertEqual(len(found), 50)
        self.assertEqual(len(set(tuple(state.items()) for state in found)), 50)
        self.assertEqual(found, images(self.files, 50))
        self.assertNotEqual(found, images(self.files, 50, seed=2))

    def test_a_state_is_a_disk_of_its_own(self):
        durable(self.files, A, b"a")
        disk = self.files.lost()
        disk.unlink(A)
        self.assertEqual(disk.lost().contents(), {DIRECTORY: None, A: b"a"})  # what came through a crash is on the disk
        self.assertEqual(self.files.contents()[A], b"a")


class KilledTest(DiskTest):
    def test_a_kill_loses_nothing_and_syncs_nothing(self):
        fd = durable(self.files, A, b"a")
        self.files.write(fd, b"b")
        make(self.files, B, b"c")
        disk = self.files.killed()
        self.assertEqual(disk.contents(), self.files.contents())
        self.assertEqual(disk.lost().contents(), {DIRECTORY: None, A: b"a"})
        disk.unlink(A)
        self.assertIn(A, self.files.contents())

    def test_a_sync_by_the_next_process_covers_what_the_killed_one_wrote(self):
        make(self.files, A, b"a")
        disk = self.files.killed()
        disk.sync(disk.open(A))
        disk.sync_directory(DIRECTORY)
        self.assertEqual(disk.lost().contents()[A], b"a")


class FailedSyncTest(DiskTest):
    def failed(self):
        fd = durable(self.files, A, b"a" * 1000)
        self.files.write(fd, b"b" * 1000)
        self.files.fail(errno.EIO, "sync")
        self.assert_errno(errno.EIO, self.files.sync, fd)
        return fd

    def test_what_it_should_have_covered_is_in_doubt_for_good(self):
        fd = self.failed()
        self.assertEqual(self.files.misuse, [])
        self.files.sync(fd)  # succeeds, as it does on Linux
        self.assertEqual(len(self.files.misuse), 1)
        found = {state[A] for state in images(self.files)}
        self.assertLessEqual({b"a" * 1000, b"a" * 1000 + b"b" * 1000}, found)
        self.assertEqual({content[:1000] for content in found}, {b"a" * 1000})

    def test_what_is_written_and_synced_later_stays(self):
        fd = self.failed()
        self.files.write(fd, b"c" * 1000)
        self.files.sync(fd)
        found = {state[A] for state in images(self.files)}
        self.assertEqual({(content[:1000], content[2000:]) for content in found}, {(b"a" * 1000, b"c" * 1000)})
        self.assertGreater(len({content[1000:2000] for content in found}), 3)

    def test_a_descriptor_of_another_process_does_not_make_it_durable_either(self):
        self.failed()
        disk = self.files.killed()
        disk.sync(disk.open(A))
        self.assertEqual(disk.misuse, [])
        self.assertEqual(disk.lost().contents()[A], b"a" * 1000)

    def test_the_kernel_may_let_go_of_it(self):
        fd = self.failed()
        self.files.write(fd, b"c" * 1000)
        self.assertEqual(self.files.contents()[A], b"a" * 1000 + b"b" * 1000 + b"c" * 1000)
        self.files.evict()
        expected = b"a" * 1000 + b"\0" * 1000 + b"c" * 1000
        self.assertEqual(self.files.contents()[A], expected)
        self.assertEqual(self.files.kept().contents()[A], expected)

    def test_names_are_in_doubt_as_well_if_the_test_says_so(self):
        for doubtful, expected in ((True, [{B: b"b"}, {A: b"a", B: b"b"}]), (False, [{A: b"a", B: b"b"}])):
            self.files = MemoryFiles(DIRECTORY)
            self.files.doubtful_names = doubtful
            self.files.sync(make(self.files, A, b"a"))
            self.files.fail(errno.EIO, "sync_directory")
            self.assert_errno(errno.EIO, self.files.sync_directory, DIRECTORY)
            self.files.sync(make(self.files, B, b"b"))
            self.files.sync_directory(DIRECTORY)
            self.assertEqual(images(self.files), expected)


class SeededBugTest(unittest.TestCase):
    """Replacing a file, right and with one step missing: the layer shows each of the bugs that this gives."""

    OLD, NEW = b"old" * 300, b"new" * 400

    def replace(self, files, without=()):
        """Put NEW in the place of A."""
        if "temporary" in without:
            files.unlink(A)
        file = AppendFile(files, A if "temporary" in without else B)
        file.append(self.NEW)
        if "sync" not in without:
            file.sync()
        file.close()
        if "temporary" not in without:
            files.rename(B, A)
        if "sync_directory" not in without:
            files.sync_directory(DIRECTORY)

    def wrong_states(self, without=()):
        """How many states of how many, after a cut at any operation or at the end, hold neither OLD nor, NEW."""
        wrong = count = 0
        rng = random.Random(3)
        for nth in range(1, 20):
            files = MemoryFiles(DIRECTORY)
            durable(files, A, self.OLD)
            files.cut(nth)
            try:
                self.replace(files, without)
                allowed = (self.NEW,)
            except PowerCut:
                allowed = (self.OLD, self.NEW)
            for disk in files.crash_states(rng, 20):
                count += 1
                wrong += disk.contents().get(A) not in allowed
            if not files.off:
                return wrong, count
        self.fail("it has no end")

    def test_done_right_nothing_goes_wrong(self):
        wrong, count = self.wrong_states()
        self.assertEqual(wrong, 0)
        self.assertGreater(count, 20)

    def test_every_missing_step_shows(self):
        for step in ("sync", "sync_directory", "temporary"):
            self.assertGreater(self.wrong_states((step,))[0], 0, step)


if __name__ == "__main__":
    unittest.main()

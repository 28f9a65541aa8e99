"""The socket's place: what others planted there is refused, one coordinator gets it, and nobody gets in early."""

import errno
import fcntl
import os
import signal
import socket
import stat
import time
import unittest
from unittest import mock

from nosqgrid import errors
from nosqgrid.network import addresses, listener
from nosqgrid.network.listener import Listener
from tests.support.processes import ProcessTestCase
from tests.support.tiers import slow

RACERS = 20
SECONDS_OF_HANDOVER = 0.7


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def connects(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(path)
        except OSError as error:
            return errno.errorcode[error.errno]
    return "connected"


def leave_a_stale_socket(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(path)


class ListenerTestCase(ProcessTestCase):
    def refused(self, words, path=None, error=errors.StartError, **options):
        """Creating the listener fails with an error of these words and leaves no descriptor; returns its text."""
        with self.assertRaisesRegex(error, words) as caught:
            Listener(path or self.path("s"), **options)
        self.assertIs(type(caught.exception), error)
        return str(caught.exception)

    def write(self, name, data=b"precious"):
        with open(self.path(name, keep=True), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


class Serving(ListenerTestCase):
    def test_clients_connect_and_the_end_leaves_nothing(self):
        with Listener(self.path("s")) as ours:
            self.assertEqual(connects(self.path("s")), "connected")
            self.assertEqual(ours.path, self.path("s"))
            self.assertEqual(ours.fileno(), ours.sock.fileno())
            self.assertFalse(os.get_inheritable(ours.fileno()))
            connection, _ = ours.sock.accept()
            connection.close()
            with self.assertRaises(BlockingIOError):
                ours.sock.accept()
            self.assertEqual(self.read("s.lock"), b"%d\n" % os.getpid())
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(ours.fileno(), -1)
        ours.close()

    def test_the_mode_is_0600_at_birth_and_nobody_connects_before_all_is_in_place(self):
        seen = []

        class Watched(Listener):
            """Looks at the socket between bind and listen."""

            def _listen(self):
                seen.append((mode_of(self.path), mode_of(self.lock_path), connects(self.path)))
                super()._listen()

        for umask in (0, 0o022, 0o077):
            before = os.umask(umask)
            try:
                with Watched(self.path("s")) as ours:
                    self.assertEqual(mode_of(ours.path), 0o600)
                after = os.umask(umask)
            finally:
                os.umask(before)
            self.assertEqual(after, umask, "the umask was not put back")
        self.assertEqual(seen, [(0o600, 0o600, "ECONNREFUSED")] * 3)

    def test_others_get_in_only_when_it_is_said(self):
        with Listener(self.path("s"), others_may_connect=True) as ours:
            self.assertEqual(mode_of(ours.path), 0o666)
            self.assertEqual(mode_of(ours.lock_path), 0o600)

    def test_the_umask_is_put_back_when_bind_fails(self):
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        with mock.patch("socket.socket.bind", side_effect=OSError(errno.EADDRINUSE, "Address already in use")):
            self.refused("another program created .*/s at this moment")
        self.assertEqual(os.umask(before), 0o027)

    def test_a_socket_that_is_no_longer_ours_is_left_alone(self):
        with Listener(self.path("s")):
            os.unlink(self.path("s"))
            os.unlink(self.path("s.lock"))
            leave_a_stale_socket(self.path("s", keep=True))
            self.write("s.lock")
        self.assertTrue(stat.S_ISSOCK(os.lstat(self.path("s")).st_mode))
        self.assertEqual(self.read("s.lock"), b"precious")

    def test_an_end_that_cannot_remove_its_files_is_still_an_end(self):
        ours = Listener(self.path("s"))
        self.path("s*", keep=True)
        with mock.patch("os.unlink", side_effect=OSError(errno.EROFS, "Read-only file system")):
            ours.close()
        Listener(self.path("s")).close()

    def test_a_forked_child_takes_nothing_away(self):
        with Listener(self.path("s")) as ours:
            pid = os.fork()
            if pid == 0:
                try:
                    ours.close()
                finally:
                    os._exit(0)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            self.assertEqual(connects(self.path("s")), "connected")
            self.refused("another coordinator", error=errors.AlreadyServedError)

    def test_nothing_leaks_or_stays_when_any_step_fails(self):
        for step in ("fcntl.flock", "os.ftruncate", "os.write", "os.umask", "socket.socket.bind",
                     "socket.socket.listen"):
            for error in (OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()):
                with mock.patch(step, side_effect=error):
                    with self.assertRaises((errors.StartError, KeyboardInterrupt)):
                        Listener(self.path("s"))
                for name in os.listdir(self.directory):
                    # Not locked, it could be somebody else's.
                    self.assertEqual((step, name), ("fcntl.flock", "s.lock"))
                    os.unlink(self.path(name))


class OnlyOne(ListenerTestCase):
    def test_a_second_coordinator_is_told_who_the_first_is(self):
        with Listener(self.path("s")):
            text = self.refused("another coordinator", error=errors.AlreadyServedError)
            self.assertIn("(pid %d) serves %s;" % (os.getpid(), self.path("s")), text)
            os.truncate(self.path("s.lock"), 0)
            self.assertIn("another coordinator serves", self.refused("", error=errors.AlreadyServedError))
            self.assertEqual(connects(self.path("s")), "connected")

    def test_a_killed_coordinator_is_followed_by_the_next(self):
        self.path("s*", keep=True)
        for _ in range(2):
            child = self.spawn(HOLDER, self.path("s"))
            self.assertEqual(child.read_line(), "serving")
            self.refused(r"\(pid %d\)" % child.pid, error=errors.AlreadyServedError)
            child.kill()
            self.assertEqual(child.wait(), -signal.SIGKILL)
            self.assertEqual(sorted(os.listdir(self.directory)), ["s", "s.lock"])
            self.assertEqual(connects(self.path("s")), "ECONNREFUSED")
        with Listener(self.path("s")) as ours:
            self.assertEqual(connects(self.path("s")), "connected")
            self.assertEqual(mode_of(ours.path), 0o600)

    def test_a_stale_socket_of_any_mode_is_replaced_by_one_of_ours(self):
        leave_a_stale_socket(self.path("s"))
        os.chmod(self.path("s"), 0o777)
        with Listener(self.path("s")):
            self.assertEqual(mode_of(self.path("s")), 0o600)

    def test_a_socket_that_somebody_answers_is_not_taken(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_UNIX, kind) as other:
                other.bind(self.path("s"))
                if kind == socket.SOCK_STREAM:
                    other.listen(0)
                for _ in range(4):  # until its queue is full, and then once more
                    self.refused("another program serves .* without holding its lock", error=errors.AlreadyServedError)
                self.assertTrue(os.path.exists(self.path("s")))
            os.unlink(self.path("s"))

    def test_deleting_the_lock_file_makes_no_second_coordinator(self):
        with Listener(self.path("s")):
            os.unlink(self.path("s.lock"))
            self.refused("another program serves", error=errors.AlreadyServedError)
            self.assertEqual(connects(self.path("s")), "connected")

    def test_a_lock_file_removed_before_it_was_locked_does_not_count(self):
        real_flock, replaced = fcntl.flock, []

        def flock(fd, operation):
            if len(replaced) < 3:  # the one before us ends in this very moment, and another one begins
                os.unlink(self.path("s.lock"))
                if len(replaced) != 1:
                    self.write("s.lock", b"")
                replaced.append(os.fstat(fd).st_ino)
            real_flock(fd, operation)

        with mock.patch("fcntl.flock", flock):
            with Listener(self.path("s")) as ours:
                self.assertEqual(os.fstat(ours._lock_fd).st_ino, os.stat(self.path("s.lock")).st_ino)
                self.assertEqual(len(replaced), 3)

    def test_a_lock_file_that_is_always_removed_is_an_error(self):
        self.path("s.lock", keep=True)
        with mock.patch.object(listener, "_identity_at", lambda path: None):
            self.refused("removed again and again")

    @slow
    def test_of_many_that_start_at_once_exactly_one_wins(self):
        self.path("s*", keep=True)
        for stale in (False, True):  # the winner of the first round is killed
            self.assertEqual(os.path.exists(self.path("s")), stale)
            racers = [self.spawn(RACER, self.path("s")) for _ in range(RACERS)]
            self.assertEqual([racer.read_line() for racer in racers], ["ready"] * len(racers))
            for racer in racers:
                racer.write_line("go")
            lines = [racer.read_line() for racer in racers]
            winners = [racer for racer, line in zip(racers, lines) if line == "serving"]
            self.assertEqual(len(winners), 1, lines)
            self.assertEqual(lines.count("already served"), RACERS - 1, lines)
            self.assertEqual(connects(self.path("s")), "connected")
            winners[0].kill()
            winners[0].wait()
            racers.remove(winners[0])
            self.assertEqual([racer.finish() for racer in racers], [""] * len(racers))

    @slow
    def test_coordinators_that_come_and_go_never_overlap(self):
        children = [self.spawn(RELAY, self.path("s"), self.path("mark"), seed, SECONDS_OF_HANDOVER)
                    for seed in range(4)]
        turns = [int(child.read_line()) for child in children]
        for child in children:
            child.finish()
        self.assertGreater(sum(turns), 20)
        self.assertGreater(sum(turn > 0 for turn in turns), 1, turns)
        self.assertEqual(os.listdir(self.directory), [])


HOLDER = """
import sys
from nosqgrid.network.listener import Listener
with Listener(sys.argv[1]):
    print("serving", flush=True)
    sys.stdin.read()
"""

RACER = """
import sys
from nosqgrid import errors
from nosqgrid.network.listener import Listener
print("ready", flush=True)
sys.stdin.readline()
try:
    with Listener(sys.argv[1]):
        print("serving", flush=True)
        sys.stdin.read()
except errors.AlreadyServedError:
    print("already served", flush=True)
"""

# Serves again and again, and while it does, holds a mark that nobody else may hold.
RELAY = """
import os, random, sys, time
from nosqgrid import errors
from nosqgrid.network.listener import Listener
path, mark, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
rng, turns, deadline = random.Random(seed), 0, time.monotonic() + seconds
while time.monotonic() < deadline:
    try:
        with Listener(path):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            time.sleep(rng.random() * 0.001)
            os.unlink(mark)
            turns += 1
    except errors.AlreadyServedError:
        time.sleep(rng.random() * 0.0005)
print(turns, flush=True)
"""


class Planted(ListenerTestCase):
    def test_a_file_in_the_place_of_the_socket_is_left_alone(self):
        self.write("s")
        self.refused("exists and is not a socket, so it is left alone")
        self.assertEqual(self.read("s"), b"precious")
        self.assertEqual(os.listdir(self.directory), ["s"])

    def test_links_fifos_and_directories_in_the_place_of_the_socket_are_left_alone(self):
        target = self.write("target")
        for plant in (lambda path: os.symlink(target, path), lambda path: os.symlink(self.path("nowhere"), path),
                      os.mkfifo, os.mkdir):
            plant(self.path("s"))
            planted = os.lstat(self.path("s")).st_mode
            self.refused("exists and is not a socket")
            self.assertEqual(os.lstat(self.path("s")).st_mode, planted)
            os.rmdir(self.path("s")) if stat.S_ISDIR(planted) else os.unlink(self.path("s"))
        self.assertEqual(self.read("target"), b"precious")

    def test_a_link_to_a_stale_socket_is_left_alone(self):
        leave_a_stale_socket(self.path("target", keep=True))
        os.symlink(self.path("target"), self.path("s", keep=True))
        self.refused("exists and is not a socket")
        self.assertTrue(os.path.exists(self.path("target")))

    def test_links_in_the_place_of_the_lock_file_are_not_followed(self):
        target = self.write("target")
        for destination in (target, self.path("nowhere"), self.path("s.lock")):
            os.symlink(destination, self.path("s.lock"))
            self.refused("s.lock is a symbolic link")
            self.assertFalse(os.path.exists(self.path("nowhere")))
            os.unlink(self.path("s.lock"))
        self.assertEqual(self.read("target"), b"precious")

    def test_a_second_name_of_a_file_of_ours_is_not_written(self):
        os.link(self.write("target"), self.path("s.lock", keep=True))
        self.refused("s.lock has another name")
        self.assertEqual(self.read("target"), b"precious")

    def test_fifos_directories_and_sockets_in_the_place_of_the_lock_file(self):
        for plant in (os.mkfifo, os.mkdir, leave_a_stale_socket):
            plant(self.path("s.lock"))
            started = time.monotonic()
            self.refused("s.lock is (not a regular file|a directory); remove it")
            self.assertLess(time.monotonic() - started, 5.0)
            os.rmdir(self.path("s.lock")) if plant is os.mkdir else os.unlink(self.path("s.lock"))

    def test_files_of_somebody_else(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to make files of somebody else")
        self.write("s.lock")
        os.chown(self.path("s.lock"), 12345, 12345)
        self.refused("lock file .*s.lock belongs to uid 12345")
        self.assertEqual(self.read("s.lock"), b"precious")
        os.unlink(self.path("s.lock"))
        leave_a_stale_socket(self.path("s", keep=True))
        os.chown(self.path("s"), 12345, 12345)
        self.refused("the socket .*s belongs to uid 12345")

    def test_a_lock_file_we_may_not_open(self):
        for code, words in ((errno.EACCES, "no permission for .*s.lock"), (errno.EMFILE, "ulimit -n")):
            with mock.patch("os.open", side_effect=OSError(code, "no", self.path("s.lock"))):
                self.refused(words)

    def test_a_stale_socket_we_may_not_connect_to(self):
        leave_a_stale_socket(self.path("s", keep=True))
        with mock.patch("socket.socket.connect", side_effect=PermissionError(errno.EACCES, "Permission denied")):
            self.refused("no permission for .*/s;")


class Directories(ListenerTestCase):
    def make(self, mode, name="d"):
        directory = self.path(name, keep=True)
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, mode)
        return os.path.join(directory, "s")

    def as_another_user(self, check):
        """What check() says in a process of uid 12345, which may enter the test's directory."""
        os.chmod(self.directory, 0o755)
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                os.setgid(12345)
                os.setuid(12345)
                code = 0 if check() else 1
            finally:
                os._exit(code)
        return os.waitpid(pid, 0)[1] == 0

    def test_a_directory_that_others_can_write_is_refused(self):
        for mode in (0o777, 0o770, 0o720, 0o702):
            for loose in (False, True):
                path = self.make(mode)
                self.refused(r"others can write the directory .*mode 0%o.*chmod go-w" % mode, path,
                             allow_loose_directory=loose)
                self.assertEqual(os.listdir(os.path.dirname(path)), [])
        for mode in (0o700, 0o755, 0o2750):
            Listener(self.make(mode)).close()

    def test_a_directory_with_the_sticky_bit_is_taken_only_when_it_is_said(self):
        path = self.make(0o1777)
        self.refused("others can create files in .*mode 1777.*--allow-loose-directory", path)
        with Listener(path, allow_loose_directory=True):
            self.assertEqual(mode_of(path), 0o600)
        self.assertEqual(os.listdir(os.path.dirname(path)), [])

    def test_a_directory_of_somebody_else(self):
        path = self.make(0o700)
        own = os.geteuid()
        with mock.patch("os.geteuid", lambda: own + 1):
            if own == 0:  # what belongs to root is trusted by everybody
                listener.check_directory(os.path.dirname(path))
            else:
                self.refused("belongs to uid %d" % own, path)
        if own == 0:
            os.chown(os.path.dirname(path), 12345, 12345)
            for loose in (False, True):
                self.refused("belongs to uid 12345, who could replace the socket", path, allow_loose_directory=loose)

    def test_a_missing_directory_is_not_made_but_told(self):
        self.refused("does not exist; create it for yourself: mkdir -m 700 .*/d$", self.path("d/s"))
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_file_as_directory(self):
        self.write("f")
        self.refused("f is not a directory", self.path("f/s"))
        self.refused("is not a directory", self.path("f/g/s"))

    def test_the_directory_of_this_user_is_made(self):
        with mock.patch("tempfile.tempdir", self.directory):
            directory = addresses.user_directory()
            self.path(os.path.basename(directory) + "*", keep=True)
            before = os.umask(0)
            try:
                for _ in range(2):
                    with Listener(os.path.join(directory, addresses.SOCKET_NAME)) as ours:
                        self.assertEqual(mode_of(directory), 0o700)
                        self.assertEqual(connects(ours.path), "connected")
            finally:
                os.umask(before)

    def test_a_directory_planted_in_the_place_of_the_users_is_refused(self):
        harmless = self.make(0o700, "harmless")
        with mock.patch("tempfile.tempdir", self.directory):
            directory = addresses.user_directory()
            path = os.path.join(directory, "s")
            os.symlink(os.path.dirname(harmless), directory)
            self.refused("is a symbolic link", path)
            os.unlink(directory)
            self.write(os.path.basename(directory))
            self.refused("is not a directory", path)
            os.unlink(directory)
            os.mkdir(directory)
            os.chmod(directory, 0o777)
            self.refused("others can write", path)
            os.rmdir(directory)

    def test_links_to_a_directory_are_followed_when_root_or_we_made_them(self):
        path = self.make(0o700)
        os.symlink(os.path.dirname(path), self.path("link", keep=True))
        with Listener(self.path("link/s")):
            self.assertEqual(connects(path), "connected")
        os.chmod(os.path.dirname(path), 0o777)
        self.refused("others can write", self.path("link/s"))
        os.chmod(os.path.dirname(path), 0o700)
        if os.geteuid() == 0:
            os.lchown(self.path("link"), 12345, 12345)
            self.refused("symbolic link made by uid 12345", self.path("link/s"))

    def test_paths_too_long_for_a_socket(self):
        path = self.path("x" * (100 - len(self.directory) - 1))
        self.assertEqual(len(path), 100)
        Listener(path).close()
        self.refused("has 101 bytes, and systems allow no more than 100", path + "x")
        self.assertEqual(os.listdir(self.directory), [])

    def test_what_the_system_refuses_becomes_a_sentence(self):
        for code, words in ((errno.EROFS, "read-only file system; give another path"),
                            (errno.ENOSPC, "no space left in"), (errno.EDQUOT, "quota"),
                            (errno.EPERM, "no permission for"), (errno.ENFILE, "too many"),
                            (errno.EIO, "Input/output error.*give another path with --socket")):
            with mock.patch("socket.socket.bind", side_effect=OSError(code, os.strerror(code))):
                text = self.refused(words)
                self.assertTrue(text.startswith("cannot serve %s: " % self.path("s")), text)

    def test_without_permission_in_the_directory(self):
        path = self.make(0o500)
        if os.geteuid() != 0:
            self.refused("no permission for .*give a path in a directory of your own", path)
            return
        # Root may write everywhere, so somebody else has to try.
        os.chmod(os.path.dirname(path), 0o755)

        def start():
            try:
                Listener(path)
            except errors.StartError as error:
                return "no permission for" in str(error)

        self.assertTrue(self.as_another_user(start))

    def test_another_user_cannot_connect(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        for others, expected in ((False, "EACCES"), (True, "connected")):
            with Listener(self.path("s"), others_may_connect=others):
                self.assertTrue(self.as_another_user(lambda: connects(self.path("s")) == expected))


if __name__ == "__main__":
    unittest.main()

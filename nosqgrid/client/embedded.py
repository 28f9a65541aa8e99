"""nosqgrid.open(): a grid that needs no service.  Who comes first starts the coordinator, the last one out ends it.

    attach -> nobody serves? -> take the starter's lock -> attach again -> start one -> attach

The coordinator is nobody's child: it goes on when the process that started it ends, for the others who are attached,
and ends by itself (checkpoint, then exit) when the last of them has left.  Twenty processes that open at once wait for
the one that holds the starter's lock, and find a coordinator.  Where to find it stands in the lock file of the
directory, because somebody may serve the directory on a socket of his own.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time

from ..engine.policies import POLICIES
from ..errors import NosqgridError, StartError, StorageError, UsageError
from ..limits import SOCKET_PATH_BYTES_MAX
from ..network import addresses
from ..network.listener import check_directory
from ..storage.files import DirectoryLock, Files
from ..storage.wal import LEVELS
from .launcher import PACKAGE_PARENT
from .link import Link

LINGER_S = 1.0  # after the last client: a program that daemonises is without a session for a moment
WAIT_S = 60.0  # for the coordinator before to finish its last checkpoint, and for somebody else who starts one
RETRY_S = 0.01


class Starter(object):
    """How to find, or start, the coordinator of a directory; of this user's own address where there is none."""

    def __init__(self, directory, memory, policy, durability):
        self.directory = None if directory is None else os.path.abspath(os.fspath(directory))
        self.memory, self.policy, self.durability = memory, policy, durability
        if policy is not None and policy not in POLICIES:
            raise UsageError("no policy is called %r; there are: %s" % (policy, " ".join(POLICIES)))
        if durability is not None and durability not in LEVELS:
            raise UsageError("no durability is called %r; there are: %s" % (durability, " ".join(LEVELS)))
        if directory is None and durability not in (None, "none"):
            raise UsageError("durability=%r needs a directory to keep the log in" % (durability,))
        if self.directory is not None and b"\0" in os.fsencode(self.directory):
            raise UsageError("the directory %r contains NUL" % (directory,))

    def arguments(self):
        """What open() gets to make the same grid elsewhere."""
        return self.directory, self.memory, self.policy, self.durability

    def address(self):
        """Where the coordinator listens, or would if it were started now."""
        if self.directory is None:
            return addresses.resolve(None)
        if os.path.exists(os.path.join(self.directory, "lock")):
            try:
                lock = DirectoryLock(self.directory)
            except StorageError:
                return self._own_address()
            try:
                _, path = lock.holder()
            finally:
                lock.close()
            if path:
                return path
        return self._own_address()

    def _own_address(self):
        path = os.path.join(self.directory, addresses.SOCKET_NAME)
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
            name = hashlib.sha256(os.fsencode(os.path.realpath(self.directory))).hexdigest()[:24]
            path = os.path.join(addresses.user_directory(), name + ".sock")
        return path

    def start(self):
        """Start a coordinator unless somebody serves by now.  Raises StartError with what it said."""
        place = self._place()
        fd = self._take_turn(place, time.monotonic() + WAIT_S)
        try:
            if not _served(self.address()):
                self._spawn()
        finally:
            if self.directory is None:  # a directory keeps its own, which is known there; beside a socket it is litter
                with contextlib.suppress(OSError):
                    os.unlink(place)  # whoever waits for this lock finds that it is not the file's any more
            os.close(fd)

    def _place(self):
        """The starter's lock file, in a directory that is there afterwards."""
        if self.directory is None:
            address = addresses.resolve(None)
            check_directory(os.path.dirname(address))
            return address + ".starter"
        try:
            with contextlib.suppress(FileExistsError):  # what is there is looked at by the coordinator
                files = Files()
                files.make_directory(self.directory)
                files.sync_directory(os.path.dirname(self.directory))
        except OSError as error:
            raise StartError("cannot make the directory %s: %s" % (self.directory, error.strerror)) from error
        return os.path.join(self.directory, "starter")

    def _take_turn(self, place, deadline):
        """A descriptor with the lock of the file that has this name now."""
        while True:
            try:
                fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StartError("cannot use %s as a directory for the data: %s"
                                 % (os.path.dirname(place), error.strerror)) from error
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _names(place, fd):
                    return fd
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(fd)
                    raise StartError("somebody else holds %s and has started no coordinator in %d s"
                                     % (place, WAIT_S)) from None
                time.sleep(RETRY_S)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def _spawn(self):
        address = addresses.resolve(None) if self.directory is None else self._own_address()
        command = [sys.executable, "-m", "nosqgrid", "serve", "--socket", address, "--quiet", "--daemon", "--linger",
                   str(LINGER_S), "--wait", str(WAIT_S)]
        if self.memory is not None:
            command += ["--memory", str(self.memory)]
        if self.directory is not None:
            command += ["--dir", self.directory]
        if self.policy is not None:
            command += ["--policy", self.policy]
        if self.durability is not None and self.directory is not None:
            command += ["--durability", self.durability]
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            part for part in (PACKAGE_PARENT, environment.get("PYTHONPATH")) if part)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env=environment, cwd="/", start_new_session=True)
        said = process.communicate()[1].decode("utf-8", "replace").strip()
        said = said[len("nosqgrid: "):] if said.startswith("nosqgrid: ") else said
        if process.returncode and not _served(self.address()):
            raise StartError(said or "the coordinator ended at once with status %d" % process.returncode)


def _names(place, fd):
    """Whether the file at this place is the one that is open, not one that came after it was removed."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.stat(place), os.fstat(fd))
    return False


def _served(address):
    try:
        Link(address, 5.0).close()
    except NosqgridError:
        return False
    return True

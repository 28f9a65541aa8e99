"""The socket that clients connect to, made so that there is one coordinator for it and nobody else can get between.

Beside the socket PATH lies PATH.lock, and who holds the lock (flock) on it serves PATH.  The lock ends with the
process, however it ends; a socket file does not, so that its existence says nothing.

Invariants
 1. The socket file is created and removed only by the holder of the lock.
 2. The holder's lock file is the one that lies at PATH.lock.  As it is removed at the end, one may have opened it just
    before and lock it just after; so who got the lock looks whether the file is still there, and otherwise starts over.
 3. Nothing is removed but a socket on which nobody answers.  (Somebody who deletes a lock file in use does not make a
    second coordinator: the first one still answers.)
 4. The socket has its final mode from the first moment (umask around bind, not chmod behind it: CVE-2023-45145), and
    nobody can connect before everything is in place (listen comes last).
 5. Names in its directory can be changed only by this user and root, so that what was checked stays true: the directory
    belongs to one of them and others may not write it.  In a directory with the sticky bit (/tmp) others cannot remove
    our names but take them first; that is refused unless it is asked for.  The directories above are not looked at.

Failure
  A kill leaves the socket, the lock file, or both; the next one takes them over.  A lock belongs to the open file,
  which a forked child shares: until that child ends too, or calls exec or close(), nobody else can serve the path.
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat

from .. import limits
from ..errors import AlreadyServedError, StartError
from . import addresses

_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LOCK_ATTEMPTS = 100  # each lost one means that another coordinator ended in that very moment
_NOBODY_ANSWERS = (errno.ECONNREFUSED, errno.ENOENT)

_SENTENCES = {
    errno.ENOENT: "the directory {directory} does not exist; create it for yourself: mkdir -m 700 {directory}",
    errno.ENOTDIR: "{directory} is not a directory; give another path with --socket",
    errno.EACCES: "no permission for {file}; give a path in a directory of your own with --socket",
    errno.EPERM: "no permission for {file}; give a path in a directory of your own with --socket",
    errno.EROFS: "{directory} is on a read-only file system; give another path with --socket",
    errno.ENOSPC: "no space left in {directory}; free some, or give another path with --socket",
    errno.EDQUOT: "the quota in {directory} is used up; free some, or give another path with --socket",
    errno.ELOOP: "{file} is a symbolic link, which may lead anywhere; remove it, or give another path with --socket",
    errno.EISDIR: "{file} is a directory; remove it, or give another path with --socket",
    errno.ENXIO: "{file} is not a regular file; remove it, or give another path with --socket",
    errno.EADDRINUSE: "another program created {file} at this moment; find out which, or give another path",
    errno.EMFILE: "too many open files; raise the limit with ulimit -n",
    errno.ENFILE: "too many open files on this machine",
}


class Listener:
    """A listening Unix socket, not blocking, and the lock on its path.

    Args:
        path: of the socket (addresses.resolve).
        allow_loose_directory: accept a directory with the sticky bit in which others may create files.
        others_may_connect: mode 0666 instead of 0600; then it is for the coordinator to look at credentials.peer.
    Attributes: `sock`; `path`, absolute; `replaced`, whether somebody who was killed left the socket behind.
    Raises:
        AlreadyServedError: another coordinator has the lock, or another program answers on the socket.
        StartError: anything else that is in the way; the message says what, and what to do.  Nothing is left behind.
    Cost: about 100 us.  It sets the umask of the process for an instant; other threads should create no files then.
    """

    def __init__(self, path, allow_loose_directory=False, others_may_connect=False):
        self.path = os.path.abspath(path)
        self.sock = None
        self.replaced = False
        self._pid = os.getpid()
        self._lock_fd = -1
        self._lock_identity = self._socket_identity = None
        try:
            addresses.check_length(self.path, StartError)
            check_directory(os.path.dirname(self.path), allow_loose_directory)
            self._take_lock()
            self._remove_stale_socket()
            self._bind(0o111 if others_may_connect else 0o177)
            self._listen()
        except OSError as error:
            self.close()
            raise _start_error(error, self.path) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def fileno(self):
        """The descriptor of the socket, for a selector; -1 when it is closed."""
        return -1 if self.sock is None else self.sock.fileno()

    @property
    def lock_path(self):
        """Where the lock file lies."""
        return self.path + ".lock"

    def close(self):
        """Stop listening, remove the socket and the lock file if they are still ours, release the lock.

        In a forked child it only closes the descriptors.  Can be repeated.
        """
        is_owner = os.getpid() == self._pid
        # Invariant 1: the socket goes first, while the lock is still held.
        if is_owner and self._socket_identity is not None:
            _remove(self.path, self._socket_identity)
        self._socket_identity = None
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        if self._lock_fd >= 0:
            if is_owner:
                _remove(self.lock_path, self._lock_identity)
            os.close(self._lock_fd)
            self._lock_fd = -1

    # -- in this order ------------------------------------------------------------------------------------------------

    def _take_lock(self):
        for _ in range(_LOCK_ATTEMPTS):
            fd = os.open(self.lock_path, _LOCK_FLAGS, 0o600)
            try:
                self._check_lock_file(os.fstat(fd))
                self._lock(fd)
                identity = _identity(os.fstat(fd))
                if identity == _identity_at(self.lock_path):  # Invariant 2
                    self._lock_fd, self._lock_identity = fd, identity
                    os.ftruncate(fd, 0)
                    os.write(fd, b"%d\n" % self._pid)
                    return
            finally:
                if self._lock_fd != fd:
                    os.close(fd)
        raise StartError("the lock file %s is removed again and again; find out by whom" % self.lock_path)

    def _check_lock_file(self, status):
        if not stat.S_ISREG(status.st_mode):
            raise StartError("%s is not a regular file; remove it, or give another path with --socket" % self.lock_path)
        if status.st_uid != os.geteuid():
            raise StartError("the lock file %s belongs to uid %d; remove it if no coordinator of theirs runs, or give"
                             " another path with --socket" % (self.lock_path, status.st_uid))
        if status.st_nlink > 1:  # writing the pid into it would write into whatever it is a second name of
            raise StartError("the lock file %s has another name; remove it, or give another path with --socket"
                             % self.lock_path)

    def _lock(self, fd):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = os.pread(fd, 24, 0).split()
            holder = " (pid %d)" % int(words[0]) if words and words[0].isdigit() else ""
            raise AlreadyServedError("another coordinator%s serves %s; attach to it, or give another path with --socket"
                                     % (holder, self.path)) from None

    def _remove_stale_socket(self):
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise StartError("%s exists and is not a socket, so it is left alone; move it away, or give another path"
                             " with --socket" % self.path)
        if status.st_uid not in (0, os.geteuid()):
            raise StartError("the socket %s belongs to uid %d; have it removed, or give another path with --socket"
                             % (self.path, status.st_uid))
        if _answers(self.path):
            raise AlreadyServedError("another program serves %s without holding its lock; stop it, or give another path"
                                     " with --socket" % self.path)
        os.unlink(self.path)
        self.replaced = True

    def _bind(self, umask):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        before = os.umask(umask)
        try:
            self.sock.bind(self.path)
        finally:
            os.umask(before)
        self._socket_identity = _identity_at(self.path)

    def _listen(self):
        self.sock.listen(limits.LISTEN_BACKLOG)


def check_directory(directory, allow_loose=False):
    """Check that only this user and root can change names in a directory; make it if it is addresses.user_directory().

    Raises:
        StartError: others can, or it is nobody's we trust; the message says what to do.
        OSError: it cannot be looked at.
    """
    is_user_directory = directory == addresses.user_directory()
    if is_user_directory:
        with contextlib.suppress(FileExistsError):  # what exists is checked below, whatever it is
            os.mkdir(directory, 0o700)
    trusted = (0, os.geteuid())
    status = os.lstat(directory)
    if stat.S_ISLNK(status.st_mode):
        # /var/run leads to /run; but a link that somebody else made may lead elsewhere tomorrow.
        if status.st_uid not in trusted or is_user_directory:
            raise StartError("%s is a symbolic link made by uid %d; give the path it leads to with --socket, or another"
                             % (directory, status.st_uid))
        status = os.stat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise StartError("%s is not a directory; remove it, or give another path with --socket" % directory)
    if status.st_uid not in trusted:
        raise StartError("the directory %s belongs to uid %d, who could replace the socket; give a path in a directory"
                         " of your own with --socket" % (directory, status.st_uid))
    if not status.st_mode & 0o022:
        return
    if not status.st_mode & stat.S_ISVTX:
        raise StartError("others can write the directory %s (mode %04o) and could replace the socket; chmod go-w it, or"
                         " give another path with --socket" % (directory, stat.S_IMODE(status.st_mode)))
    if not allow_loose:
        raise StartError("others can create files in %s (mode %04o), a socket in your place for one; give a path in a"
                         " directory of your own with --socket, or say --allow-loose-directory"
                         % (directory, stat.S_IMODE(status.st_mode)))


def _answers(path):
    """Whether a socket file has a living program behind it."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise
            # A full queue (EAGAIN) or another kind of socket (EPROTOTYPE) has a program behind it too.
            return error.errno not in _NOBODY_ANSWERS
    return True


def _identity(status):
    return status.st_dev, status.st_ino


def _identity_at(path):
    try:
        return _identity(os.lstat(path))
    except FileNotFoundError:
        return None


def _remove(path, identity):
    """Remove a name of ours if it still is."""
    # Where that fails (a file system that became read-only, say) the next coordinator takes the file over.
    with contextlib.suppress(OSError):
        if _identity_at(path) == identity:
            os.unlink(path)


def _start_error(error, path):
    sentence = _SENTENCES.get(error.errno, "{error}; give another path with --socket")
    directory = os.path.dirname(path)
    return StartError("cannot serve %s: " % path + sentence.format(
        directory=directory, file=getattr(error, "filename", None) or path, error=error))

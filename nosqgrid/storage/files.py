"""The only place that opens, writes, syncs, renames and removes durable files.

Every storage module gets a Files object and touches the disk through it alone (a style test holds that), so that tests
can record each operation, let the n-th one fail, and work out every state that a power cut may leave.

What the kernel promises and this relies on
 1. A name is durable after fsync of its directory, data after fdatasync of the file, neither before (fsync(2)).
 2. rename() replaces a name in one step for everybody who looks, and after a crash for the directory too.
 3. An error of fsync is reported once; afterwards the pages count as clean though they are not on the disk.  So nobody
    calls sync() again on a file on which it has failed: `AppendFile` refuses it.
"""

import errno
import fcntl
import os
import stat

from ..errors import DiskError, InvariantError, StartError, StorageError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))

_ADVICE = {
    errno.ENOSPC: "the file system is full: free some space there",
    errno.EDQUOT: "the quota of this user is used up: free some space there",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "the file system is read-only: look into the system's log for the reason, and remount it",
    errno.ENOENT: "the file or its directory is gone",
    errno.EACCES: "this user has no permission there",
    errno.EIO: "the device reports an error: look into the system's log, and do not trust that disk",
}


def disk_error(what, path, error):
    """The DiskError for a failed operation: what was tried, where, why, and what to do."""
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno)
    found = DiskError("cannot %s %s: %s%s" % (what, path, reason, "; " + advice if advice else ""))
    found.errno = error.errno
    found.full = error.errno in _FULL
    return found


class Files(object):
    """The disk.  Each method is one operation of the kernel; OSError comes out as it is."""

    def create(self, path):
        """A descriptor for appending to a new file, mode 0600."""
        return os.open(path, _CREATE, FILE_MODE)

    def open(self, path):
        """A descriptor for reading a regular file; OSError where it is anything else."""
        fd = os.open(path, _READ)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", path)
        return fd

    def write(self, fd, data):
        """Append; how many bytes were written, which may be fewer than there are."""
        return os.write(fd, data)

    def pread(self, fd, size, offset):
        return os.pread(fd, size, offset)

    def size(self, fd):
        return os.fstat(fd).st_size

    def is_listed(self, fd):
        """Whether any directory still names the file."""
        return os.fstat(fd).st_nlink > 0

    def truncate(self, fd, size):
        os.ftruncate(fd, size)

    def sync(self, fd):
        """Everything written to this file is on the disk when it returns."""
        _fdatasync(fd)

    def close(self, fd):
        os.close(fd)

    def rename(self, old, new):
        os.rename(old, new)

    def unlink(self, path):
        os.unlink(path)

    def make_directory(self, path):
        os.mkdir(path, DIRECTORY_MODE)

    def remove_directory(self, path):
        os.rmdir(path)

    def sync_directory(self, path):
        """Every name made, changed or removed in this directory is so on the disk when it returns."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def names(self, directory):
        return os.listdir(directory)

    def forget_cached(self, fd):
        """Ask the kernel to drop what it has cached of a file that was synced, so that reading it asks the disk."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class AppendFile(object):
    """A new file that grows at its end.  `good_bytes` is how much of it is whole.

    append() writes all or, cutting off what it wrote of it, nothing; where not even the cutting works, or sync() fails,
    the file is `broken` for good: what it holds beyond the last successful sync is not known.
    """

    def __init__(self, files, path):
        self.path = path
        self.good_bytes = 0
        self.broken = None  # the DiskError
        self.seed = 0  # for whoever keeps one with the file
        self._files = files
        try:
            self._fd = files.create(path)
        except OSError as error:
            raise disk_error("create", path, error) from error
        self._write = files.write

    def append(self, data):
        """Write at the end; DiskError where it cannot be, and then nothing of it is there."""
        if self.broken is not None:
            raise self.broken
        size = len(data)
        try:
            written = self._write(self._fd, data)
            while written < size:
                count = self._write(self._fd, memoryview(data)[written:])
                if not count:
                    raise OSError(errno.EIO, "wrote nothing")
                written += count
        except OSError as error:
            self._cut(error)
        self.good_bytes += size

    def _cut(self, error):
        failed = disk_error("write", self.path, error)
        try:
            self._files.truncate(self._fd, self.good_bytes)
        except OSError:
            self.broken = failed
        if not failed.full:
            self.broken = failed  # an error of the device: what was written before may be lost as well
        raise failed from error

    def sync(self):
        """Everything appended is on the disk; DiskError, and broken, where that is not known."""
        if self.broken is not None:
            raise self.broken
        if self._fd < 0:
            raise InvariantError("a closed file is synced: %s" % self.path)
        try:
            self._files.sync(self._fd)
        except OSError as error:
            self.broken = disk_error("sync", self.path, error)
            raise self.broken from error

    def listed(self):
        """Whether the file still has a name."""
        return self._fd < 0 or self._files.is_listed(self._fd)

    def close(self):
        """Close it; DiskError where the system reports only now that something was not written."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                self._files.close(fd)
            except OSError as error:
                raise disk_error("close", self.path, error) from error


def read_exactly(files, fd, size, offset):
    """Up to `size` bytes at `offset`, fewer only at the end of the file."""
    pieces = []
    while size:
        piece = files.pread(fd, min(size, 1 << 24), offset)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def check_directory(path):
    """Check that a data directory is ours alone to change; StartError says what to do where it is not."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise StartError("cannot use the directory %s: %s" % (path, error.strerror)) from error
    if not stat.S_ISDIR(status.st_mode):
        raise StartError("%s is not a directory; give another one with --dir" % path)
    if status.st_uid != os.geteuid():
        raise StartError("the directory %s belongs to uid %d, who could exchange the data; give one of your own"
                         % (path, status.st_uid))
    if status.st_mode & 0o022:
        raise StartError("others can write the directory %s (mode %04o) and could exchange the data; chmod go-w it, or "
                         "give another one" % (path, stat.S_IMODE(status.st_mode)))


class DirectoryLock(object):
    """The lock of a data directory: whoever holds it is the only one to write there.  It ends with the process.

    The file says, for those who find it taken, who holds it: the pid on the first line, the socket on the second.
    """

    def __init__(self, directory):
        self.path = os.path.join(directory, "lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self.path, flags, FILE_MODE)
        except OSError as error:
            raise StorageError("cannot open the lock file %s: %s" % (self.path, error.strerror)) from error

    def is_in_place(self):
        """Whether the file that we have open is still the one that others would find."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._fd))

    def take(self):
        """Whether the lock is ours now; never waits."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, pid, socket_path):
        """Say who holds it."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n%b\n" % (pid, os.fsencode(socket_path)), 0)

    def holder(self):
        """(pid, socket path) as the holder wrote them, or (0, ""): whether they still hold is for take() to say."""
        return _holder(self._fd)

    def close(self):
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def holder_of(directory):
    """(pid, socket path) of who serves a directory, or None.  Changes nothing there, and makes no lock file."""
    try:
        fd = os.open(os.path.join(directory, "lock"), _READ)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for as long as it takes to close it again
    except BlockingIOError:
        return _holder(fd)
    finally:
        os.close(fd)
    return None


def _holder(fd):
    lines = os.pread(fd, 4096, 0).split(b"\n")
    if len(lines) < 3 or not lines[0].isdigit() or len(lines[0]) > 10:
        return 0, ""
    return int(lines[0]), os.fsdecode(lines[1])

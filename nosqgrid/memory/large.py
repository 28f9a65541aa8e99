"""Files of large values: anonymous shared memory that is filled once, sealed, and mapped by whoever reads it.

    new(size) -> write or map -> seal -> the descriptor travels to the coordinator, and from there to readers

A sealed file cannot be written, shrunk or grown by anybody, whatever descriptor he has (F_SEAL_WRITE of Linux), so that
one copy serves all, and a reader checks nothing twice.  F_SEAL_WRITE wants no writable map to be left: who filled the
file through one has let go of it before.  Where the system has no seals the file is handed out as a descriptor opened
for reading; `check` accepts that from our own user alone.

A reader of the coordinator's own user need not ask for the descriptor: `map_of_process` opens the file where the
coordinator has it, under /proc, for reading only.  The number of a descriptor may have been given to something else
meanwhile, and that of a process too, so nothing is believed of what was opened but what the kernel says of it: the
inode, which the record has from the coordinator, and the seals, which make it a memfd (those have one device in all)
that nobody can change or shrink.

A kill at any line leaves nothing: the files have no name (the backend `file` has one for some microseconds).
"""

import errno
import fcntl
import mmap
import os
import stat

from ..errors import CoordinatorError, GridFullError, PeerError
from ..limits import LARGE_SIZE_BYTES_MAX
from . import shared_file

F_GET_SEALS = 1034
SEAL_WRITE = 0x8
_SEALS = shared_file.SEAL_SEAL | shared_file.SEAL_SHRINK | shared_file.SEAL_GROW | SEAL_WRITE
_SEALS_NEEDED = shared_file.SEAL_SHRINK | SEAL_WRITE
PIECE_BYTES = 1 << 30  # a write(2) takes a little less than 2 GiB
_PATH = getattr(os, "O_PATH", 0)
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class NewFile(object):
    """A file being filled; `fd` is for writing.  Its descriptors are closed with it.

    Raises GridFullError where the system has no room, OSError with EMFILE or ENFILE where there is no descriptor.
    """

    _opened = ()

    def __init__(self, size_bytes, backends=None):
        self._opened = []
        self.size_bytes = size_bytes
        backend = shared_file.open_anonymous("nosqgrid-value", backends or shared_file.BACKENDS, self._opened)
        self.fd = self._opened[0]
        self._can_seal = backend != "file"
        try:
            if size_bytes:
                os.ftruncate(self.fd, size_bytes)
        except OSError as error:
            raise _no_room(size_bytes, error) from error

    def write(self, parts):
        """Write the content: one copy, by the kernel, which says so where there is no room (a store would kill)."""
        offset = 0
        try:
            for part in parts:
                view = memoryview(part).cast("B")
                while len(view):
                    written = os.pwrite(self.fd, view[:PIECE_BYTES], offset)
                    offset += written
                    view = view[written:]
        except OSError as error:
            raise _no_room(self.size_bytes, error) from error

    def copy_from(self, fd, offset, size_bytes):
        """Copy bytes of another file to `offset` without having them pass through this process; how many there were."""
        copied = 0
        os.lseek(self.fd, offset, os.SEEK_SET)
        try:
            while copied < size_bytes:
                sent = _transfer(self.fd, fd, copied, min(size_bytes - copied, PIECE_BYTES))
                if not sent:
                    break
                copied += sent
        except OSError as error:
            raise _no_room(self.size_bytes, error) from error
        return copied

    def map(self):
        """A writable map, with memory behind it; close it before seal().  Raises GridFullError."""
        reserve = getattr(os, "posix_fallocate", None)
        try:
            if reserve is not None:
                reserve(self.fd, 0, self.size_bytes)
            else:
                self.write([bytes(self.size_bytes)])
            return mmap.mmap(self.fd, self.size_bytes)
        except OSError as error:
            raise _no_room(self.size_bytes, error) from error

    def seal(self):
        """Make it unchangeable; the descriptor to hand out, which is this object's to close.

        Raises BlockingIOError where a writable map is left.
        """
        if self._can_seal:
            try:
                fcntl.fcntl(self.fd, shared_file.F_ADD_SEALS, _SEALS)
                return self.fd
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise BlockingIOError(error.errno, "a writable map of the file is left") from error
                if error.errno != errno.EINVAL:
                    raise
        if len(self._opened) < 2:
            self._opened.append(os.open("/proc/self/fd/%d" % self.fd, os.O_RDONLY | os.O_CLOEXEC))
        return self._opened[1]

    def detach(self):
        """The descriptor of a sealed file; the caller's to close."""
        kept = self.seal()
        self._opened.remove(kept)
        self.close()
        return kept

    def close(self):
        """Close the descriptors; can be repeated."""
        shared_file.close_all(self._opened)

    def __del__(self):
        self.close()


def _transfer(out_fd, in_fd, offset, count):
    """sendfile(2), which Linux allows between files; elsewhere through a buffer."""
    try:
        return os.sendfile(out_fd, in_fd, offset, count)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSOCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return os.write(out_fd, os.pread(in_fd, min(count, 1 << 20), offset))


def _no_room(size_bytes, error):
    if error.errno in _OUT_OF_DESCRIPTORS:
        return error
    if error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT):
        return GridFullError("cannot have shared memory for a value of %d bytes: %s" % (size_bytes, error.strerror))
    return CoordinatorError("cannot fill a file in shared memory: %s" % error)


def check(fd, size_bytes, trusted):
    """Make sure that a descriptor from a client is a file of this size that can be read and nobody changes any more.

    `trusted`: the client is of our own user, from whom a file will do that only he could change.
    Raises PeerError.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
        raise PeerError("expected a shared file of %d bytes, got one of %d (mode %o)"
                        % (size_bytes, status.st_size, status.st_mode))
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if flags & (os.O_ACCMODE | _PATH) not in (os.O_RDONLY, os.O_RDWR):
        raise PeerError("a shared file came that is not open for reading")
    if _is_sealed(fd):
        return
    if not trusted or flags & os.O_ACCMODE != os.O_RDONLY or status.st_nlink:
        raise PeerError("a shared file came that is not sealed: whoever has it could change it under its readers")


def _is_sealed(fd):
    try:
        return fcntl.fcntl(fd, F_GET_SEALS) & _SEALS_NEEDED == _SEALS_NEEDED
    except OSError:
        return False  # no memfd, or a system without seals


def inode(fd):
    """What others can know a sealed file by when they open it for themselves; 0 for one that is not sealed."""
    return os.fstat(fd).st_ino if _is_sealed(fd) else 0


class _Opened(object):
    """A file opened for reading; its descriptor goes with this object, whatever interrupts who has it."""

    fd = -1

    def __init__(self, path):
        # What is there by now may be a FIFO, which would wait for a writer, or a terminal.
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)

    def __del__(self):
        if self.fd >= 0:
            os.close(self.fd)


def map_of_process(pid, place, is_current, kind):
    """Map the sealed file that a process has open, as a `kind` of mmap; None where that cannot be had in this way.

    `place` is what its record says (formats/records.LARGE_VALUE).  is_current(), asked when the file is open, tells
    whether that record is still there.  Raises GridFullError where this process may not map so much.
    Cost: 10 us, six system calls.
    """
    _, size_bytes, number, expected_inode = place
    if not expected_inode or size_bytes > LARGE_SIZE_BYTES_MAX:
        return None
    try:
        opened = _Opened("/proc/%d/fd/%d" % (pid, number))
        status = os.fstat(opened.fd)
        if (status.st_ino != expected_inode or not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes
                or not _is_sealed(opened.fd) or not is_current()):
            return None
        return shared_file.map_readonly(opened.fd, size_bytes, kind)
    except OSError:
        return None  # no /proc, another user's process, one that is gone, or no descriptor left here


def read(fd, size_bytes):
    """The content as bytes."""
    pieces, offset = [], 0
    while offset < size_bytes:
        piece = os.pread(fd, min(size_bytes - offset, PIECE_BYTES), offset)
        if not piece:
            raise PeerError("a shared file of %d bytes ends at %d" % (size_bytes, offset))
        pieces.append(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)

"""Anonymous shared files: memory that several processes map and that has no name, so that nothing can be left behind.

Design
  A shared file is made by the coordinator, whose clients get a descriptor of it over their socket.  The first backend
  that works is taken:

    memfd          os.memfd_create, Python 3.8 on Linux
    memfd-ctypes   memfd_create of libc, called through ctypes: Python 3.6 and 3.7
    file           a new 0600 file in a directory of memory (/dev/shm) or, failing that, of temporary files; opened a
                   second time for reading only, and unlinked at once

  A memfd can be sealed, which is why it comes first.  A seal is a promise of the kernel about the file, whoever holds
  whatever descriptor of it:

    SHRINK, GROW    its size stays, so that no access to a map of it can end in SIGBUS
    FUTURE_WRITE    nobody writes it or maps it writable from now on; the map that exists goes on (Linux 5.1)
    SEAL            no more seals, so that no client adds WRITE, for example, to a file it was given to write

  Therefore the order of `create`: size, writable map, seals, and only then is there an object to hand out.  Where the
  kernel has no FUTURE_WRITE, clients get a descriptor that was opened for reading only.  That stops accidents and
  other users (the file is 0600), but not a program of our own user that opens it anew under /proc; it could use a
  debugger just as well.

  multiprocessing.shared_memory was rejected: its tracker unlinks segments that others still use, and Python 3.6 has
  none.  System V segments outlive everybody.

SIGBUS
  The size of a file promises no memory.  A store into a page that the system cannot provide kills the process.  So
  `reserve` asks for the memory first (posix_fallocate), and a full tmpfs is a GridFullError in the coordinator.  What
  this cannot see is the memory limit of a container: there the kernel kills instead of refusing.
  A file that is not sealed against SHRINK (`size_sealed` is False) can be truncated by whoever has it open for writing,
  which kills every process that touches its map afterwards.  Give such a file for writing only to the same user.

Failure
  A kill leaves nothing, except for the backend `file` in the microseconds between open and unlink: an empty file
  `nosqgrid-*` of mode 0600.
"""

import errno
import fcntl
import mmap
import os
import stat

from .. import errors, limits

F_ADD_SEALS = 1033  # of Linux; fcntl has these names from Python 3.8 on
SEAL_SEAL = 0x1
SEAL_SHRINK = 0x2
SEAL_GROW = 0x4
SEAL_FUTURE_WRITE = 0x10

MFD_CLOEXEC = 0x1
MFD_ALLOW_SEALING = 0x2
MFD_NOEXEC_SEAL = 0x8  # Linux 6.3; a system may demand it (sysctl vm.memfd_noexec)

FALLOC_FL_KEEP_SIZE = 0x1
FALLOC_FL_PUNCH_HOLE = 0x2

SHARED_MEMORY_DIRECTORY = "/dev/shm"
_FULL = frozenset((errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT))
_CANNOT_RESERVE = frozenset((errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV))
_ZEROS = bytes(limits.MIB)

_fallocate = getattr(os, "posix_fallocate", None)  # macOS has none; tests take it away


def _find_punch():
    """punch(fd, offset, length), which makes a hole in a file, or None: no module of Python can, so libc is called."""
    try:
        import ctypes
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (ImportError, AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    function.restype = ctypes.c_int

    def punch(fd, offset, length):
        if function(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return punch


# -- backends ---------------------------------------------------------------------------------------------------------


def _open_memfd(name, directory, opened):
    if not hasattr(os, "memfd_create"):
        raise OSError(errno.ENOSYS, "this Python has no os.memfd_create")
    _with_noexec(os.memfd_create, name, opened)


def _open_memfd_ctypes(name, directory, opened):
    try:
        import ctypes
        function = ctypes.CDLL(None, use_errno=True).memfd_create
    except (ImportError, AttributeError) as error:
        raise OSError(errno.ENOSYS, "no memfd_create through ctypes (%s)" % error) from error
    function.argtypes = (ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int

    def memfd_create(name, flags):
        fd = function(os.fsencode(name), flags)
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return fd

    _with_noexec(memfd_create, name, opened)


def _with_noexec(memfd_create, name, opened):
    flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
    try:
        opened.append(memfd_create(name, flags | MFD_NOEXEC_SEAL))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        opened.append(memfd_create(name, flags))
    # A memfd is born 0777: under /proc another user who was given it for reading could open it for writing.
    os.fchmod(opened[0], 0o600)


def default_directory():
    """Where the backend `file` puts its files unless it is told."""
    if os.access(SHARED_MEMORY_DIRECTORY, os.W_OK | os.X_OK):
        return SHARED_MEMORY_DIRECTORY
    import tempfile  # here alone: it is slow to import, and hardly anybody comes here
    return tempfile.gettempdir()


def _open_file(name, directory, opened):
    """A file that has lost its name: a descriptor for writing and one for reading."""
    path = os.path.join(directory or default_directory(), "nosqgrid-" + os.urandom(12).hex())
    opened.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    _reopen_and_unlink(path, opened)


def _reopen_and_unlink(path, opened):
    try:
        os.fchmod(opened[0], 0o600)  # the umask may have taken away our own right to read
        opened.append(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    finally:
        os.unlink(path)
    if not os.path.samestat(os.fstat(opened[0]), os.fstat(opened[1])):
        raise OSError(errno.EACCES, "somebody exchanged the file; use a directory that is not writable by others", path)


# Tried in this order.  Each is (name, open), where open(name, directory, opened) appends to a list, as soon as it has
# them, a descriptor and perhaps one for readers; those that are in it when open() raises are the caller's to close.
MEMFD = ("memfd", _open_memfd)
MEMFD_CTYPES = ("memfd-ctypes", _open_memfd_ctypes)
FILE = ("file", _open_file)
BACKENDS = (MEMFD, MEMFD_CTYPES, FILE)


# -- creating ---------------------------------------------------------------------------------------------------------


def open_anonymous(name, backends, opened):
    """Make an empty shared file; the name of the backend.  `opened` gets its descriptors as a backend gives them.

    Raises the OSError of the last backend tried; whatever is in `opened` then is the caller's to close.
    """
    for backend, open_backend in backends:
        try:
            open_backend(name, None, opened)
            return backend
        except OSError as error:
            close_all(opened)
            last = error
    raise last


def close_all(fds):
    """Close the descriptors in a list and empty it; none is closed twice, however often it is interrupted."""
    while fds:
        os.close(fds.pop())


def create(name, size_bytes, directory=None, seal_future_write=True, backends=BACKENDS, releasable=False):
    """Make a shared file of zeros and map it.

    Args:
        name: for people who look at /proc/PID/maps; nothing finds the file by it.
        size_bytes: its size for good; no memory is taken before `reserve` or the first store.
        directory: where the backend `file` puts it.
        seal_future_write: False for a file that clients write too (a lane): sealed against everything but writing.
        backends: which to try, in which order.
        releasable: release() will be wanted.  The kernel makes no holes in what is sealed against writing, so readers
            get a descriptor opened for reading only instead, as where the kernel has no such seal.
    Raises:
        GridFullError: the system has no room for a file or a map of this size.
        CoordinatorError: no backend works; the message has the reason of each.
    Cost: about 20 us, six system calls.
    """
    if size_bytes <= 0:
        raise errors.UsageError("a shared file has a size above 0, not %d" % size_bytes)
    reasons = []
    for backend, open_backend in backends:
        opened = []
        try:
            open_backend(name, directory, opened)
            return _finish(opened, size_bytes, seal_future_write, backend, _find_punch() if releasable else None)
        except BaseException as error:
            close_all(opened)
            if not isinstance(error, OSError):
                raise
            if error.errno in _FULL:
                raise _full("create a shared file", size_bytes, backend, directory, error) from error
            reasons.append("%s: %s" % (backend, error))
    raise errors.CoordinatorError("cannot create shared memory (%s); raise the limit on open files (ulimit -n) if that"
                                  " is it, or give a directory that can be written" % "; ".join(reasons))


def _finish(opened, size_bytes, seal_future_write, backend, punch):
    """Size, map and seal what a backend opened; `opened` gets every descriptor that must be closed on failure."""
    fd = opened[0]
    os.ftruncate(fd, size_bytes)
    writable = mmap.mmap(fd, size_bytes)
    try:
        size_sealed = write_sealed = False
        if backend != "file":
            size_sealed, write_sealed = _seal(fd, seal_future_write and punch is None)
        if write_sealed or not seal_future_write:
            reader = fd
        elif len(opened) == 1:
            reader = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY | os.O_CLOEXEC)
            opened.append(reader)
        else:
            reader = opened[1]
        if reader == fd and len(opened) > 1:
            os.close(opened.pop())
        file = SharedFile(fd, reader, writable, size_bytes, write_sealed, size_sealed, backend)
        file.can_release = punch is not None and backend != "file"
        file.punch = punch
        return file
    except BaseException:
        writable.close()
        raise


def _seal(fd, future_write):
    """Add the seals the kernel has; returns whether the size is sealed, and whether writing is."""
    seals = SEAL_SHRINK | SEAL_GROW | SEAL_SEAL
    for wanted in ([seals | SEAL_FUTURE_WRITE] if future_write else []) + [seals]:
        try:
            _add_seals(fd, wanted)
        except OSError as error:
            # EINVAL is a kernel, or an imitation of one, that does not know a seal.
            if error.errno != errno.EINVAL:
                raise
            continue
        return True, bool(wanted & SEAL_FUTURE_WRITE)
    return False, False


def _add_seals(fd, seals):
    fcntl.fcntl(fd, F_ADD_SEALS, seals)


def _full(what, length, backend, directory, error):
    advice = {
        errno.ENOSPC: "free some (df %s), or ask for less memory (--memory)" % (directory or SHARED_MEMORY_DIRECTORY),
        errno.EFBIG: "raise the limit of this process on file sizes (ulimit -f), or ask for less memory (--memory)",
        errno.EDQUOT: "the quota of this user is used up; free some, or give another directory",
    }.get(error.errno, "ask for less memory (--memory), or raise the limits of this process (ulimit -v) or machine")
    return errors.GridFullError("cannot %s of %.1f MiB (%s, %s): %s" % (
        what, length / limits.MIB, backend, os.strerror(error.errno), advice))


class SharedFile:
    """A shared file and the one writable map of it.

    Attributes:
        fd: descriptor for writing; `fd` for a client that writes, `reader_fd()` for one that reads.
        size_bytes: its size.
        sealed: the kernel keeps everybody from writing except through `map_writable()`.
        size_sealed: the kernel keeps everybody from changing its size.
        backend: "memfd", "memfd-ctypes" or "file".
        can_release: whether release() works.  Not for a file: on a full file system even reading a hole kills.
    """

    can_release = False
    punch = None

    def __init__(self, fd, reader, writable, size_bytes, sealed, size_sealed, backend):
        self.fd = fd
        self.size_bytes = size_bytes
        self.sealed = sealed
        self.size_sealed = size_sealed
        self.backend = backend
        self._reader = reader
        self._writable = writable
        self._reserved = []  # disjoint (start, end), ascending

    def __repr__(self):
        return "<SharedFile %s, %d bytes, %s>" % (self.backend, self.size_bytes, "closed" if self.fd < 0 else
                                                  "sealed" if self.sealed else "not sealed")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def reader_fd(self):
        """The descriptor for a client that only reads: it cannot be mapped writable.

        Of a file made with seal_future_write=False it is `fd`, and can.
        """
        return self._reader

    def map_writable(self):
        """The map, always the same object: once sealed, there can be no second one."""
        return self._writable

    def reserve(self, offset, length):
        """Make sure that a part has memory behind it, so that no store into it can fail.

        What was reserved before is left alone, data included.

        Raises:
            GridFullError: the system has no room; earlier reservations hold.
            UsageError: the part lies outside the file.
        Cost: one system call for each gap, about 0.3 ms a MiB.
        """
        if offset < 0 or length <= 0 or offset + length > self.size_bytes:
            raise errors.UsageError("cannot reserve %d bytes at %d of a shared file of %d"
                                    % (length, offset, self.size_bytes))
        for start, end in self._gaps(offset, offset + length):
            try:
                self._reserve_gap(start, end - start)
            except OSError as error:
                if error.errno not in _FULL:
                    raise errors.CoordinatorError("cannot reserve shared memory (%s): %s"
                                                  % (self.backend, error)) from error
                raise _full("reserve", end - start, self.backend, None, error) from error
            self._note_reserved(start, end)

    def release(self, offset, length):
        """Give the memory of a part, whole pages, back to the system: it reads as zeros, and must be reserved anew.

        Only where can_release says so.  Raises CoordinatorError where the system refuses; nothing has changed then.
        Cost: about 0.2 ms a MiB.
        """
        if not self.can_release or offset % mmap.PAGESIZE or length % mmap.PAGESIZE:
            raise errors.UsageError("cannot release %d bytes at %d of %r" % (length, offset, self))
        try:
            self.punch(self.fd, offset, length)
        except OSError as error:
            raise errors.CoordinatorError("cannot give shared memory back (%s): %s" % (self.backend, error)) from error
        kept = []
        for start, end in self._reserved:
            kept += [(start, min(end, offset)), (max(start, offset + length), end)]
        self._reserved = [(start, end) for start, end in kept if start < end]

    def _reserve_gap(self, offset, length):
        if _fallocate is not None:
            try:
                return _fallocate(self.fd, offset, length)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise
        while length > 0:
            written = os.pwrite(self.fd, _ZEROS[:length], offset)
            offset += written
            length -= written

    def _gaps(self, start, end):
        """The parts between start and end that are not reserved yet."""
        gaps = []
        for reserved_start, reserved_end in self._reserved:
            if reserved_end <= start:
                continue
            if reserved_start >= end:
                break
            if start < reserved_start:
                gaps.append((start, reserved_start))
            start = reserved_end
        if start < end:
            gaps.append((start, end))
        return gaps

    def _note_reserved(self, start, end):
        kept = []
        for reserved_start, reserved_end in self._reserved:
            if reserved_end < start or end < reserved_start:
                kept.append((reserved_start, reserved_end))
            else:
                start, end = min(start, reserved_start), max(end, reserved_end)
        kept.append((start, end))
        self._reserved = sorted(kept)

    def close(self):
        """Close the descriptors and the map; a map with views on it lives as long as they do.  Clients keep theirs."""
        if self.fd < 0:
            return
        for fd in {self.fd, self._reader}:
            os.close(fd)
        self.fd = self._reader = -1
        try:
            self._writable.close()
        except BufferError:
            self._writable = None  # the views hold it; the last one to go unmaps it


# -- attaching --------------------------------------------------------------------------------------------------------


def map_readonly(fd, size_bytes, kind=mmap.mmap):
    """Map the first `size_bytes` of a shared file for reading; a `kind` of mmap.

    Raises:
        PeerError: the descriptor is not a file of at least this size that can be mapped: reading past the end of a file
            would kill this process.
        GridFullError: this process may not map so much.
    Cost: two system calls; the map keeps a descriptor of its own, `fd` may be closed.
    """
    return _map(fd, size_bytes, mmap.PROT_READ, kind)


def map_shared(fd, size_bytes):
    """Map the first `size_bytes` of a shared file for reading and writing, as the client of a lane does.

    Like map_readonly in everything else.  A file that is sealed against writing, or a descriptor for reading, is a
    PeerError.
    """
    return _map(fd, size_bytes, mmap.PROT_READ | mmap.PROT_WRITE)


def _map(fd, size_bytes, protection, kind=mmap.mmap):
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not 0 < size_bytes <= status.st_size:
            raise errors.PeerError("expected a shared file of %d bytes, got one of %d (mode %o)"
                                   % (size_bytes, status.st_size, status.st_mode))
        return kind(fd, size_bytes, mmap.MAP_SHARED, protection)
    except OSError as error:
        if error.errno in _FULL:
            raise _full("map a shared file", size_bytes, "this process", None, error) from error
        raise errors.PeerError("expected a shared file, got a descriptor that cannot be mapped: %s" % error) from error

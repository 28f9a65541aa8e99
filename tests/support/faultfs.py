"""The disk in memory: every operation recorded, any of them made to fail, and all that a power cut may leave.

MemoryFiles does what nosqgrid.storage.files.Files does; tests/support/crash_model says what it takes to be true of
disks.  A cut raises PowerCut and the machine is off: whatever a `finally` still tries raises PowerCut too, and changes
nothing.
"""

import errno
import os
from collections import Counter, namedtuple

from .crash_model import KEPT, LOST, Chance, Directory, File

MUTATING = ("create", "write", "truncate", "sync", "rename", "unlink", "make_directory", "sync_directory")
LOOKING = ("open", "pread", "size", "is_listed", "close", "names", "forget_cached")
GARBAGE_MAX = 8  # contents of former files that are remembered, to turn up again in sectors never written
FIRST_FD = 1 << 20  # so that a descriptor of ours is none of the process; none is given twice

# error: the errno it ended with, PowerCut if it never began, or None
Operation = namedtuple("Operation", "kind path argument error")


class PowerCut(BaseException):
    """The machine is off.  Not an Exception, so that nobody handles it."""


def _error(number, path):
    return OSError(number, os.strerror(number), path)


class _Fault(object):
    """Something that happens to the n-th operation of a kind, or of any kind that changes something (None)."""

    def __init__(self, kind, nth, persistent, after, error):
        if kind is not None and kind not in MUTATING + LOOKING:
            raise ValueError("no operation is called %r" % kind)
        self.kind = kind
        self.nth = nth
        self.persistent = persistent
        self.after = after
        self.error = error  # errno, or None for a cut
        self.seen = 0

    def strikes(self, kind):
        """Count one operation; whether this is the one."""
        if self.kind != kind and (self.kind is not None or kind not in MUTATING):
            return False
        self.seen += 1
        return self.seen == self.nth or self.persistent and self.seen > self.nth


class MemoryFiles(object):
    """A disk with these directories on it.  `operations` has all that changed something, or tried to, in order.

    fail(), cut() and shorten() count from the call on; several may be pending, the first that strikes is the one.
    """

    def __init__(self, *directories):
        self.operations = []
        self.calls = Counter()  # of every kind, those that only look included
        self.misuse = []  # what code did that no code may do
        self.off = False
        self.room = None  # how many bytes all files together may take
        self.doubtful_names = False  # whether a failed sync of a directory leaves names in doubt for good
        self._faults = []
        self._shorts = []
        self._garbage = []
        self._open = {}  # fd -> (file, path, whether for writing)
        self._failed_fds = set()
        self._next_fd = FIRST_FD
        self._root = Directory()
        for directory in directories:
            parent, name = self._parent(directory)
            parent.names[name] = Directory()
            parent.settle()

    # -- faults -----------------------------------------------------------------------------------------------------

    def fail(self, error, kind=None, nth=1, persistent=False, after=False):
        """Let the n-th operation raise OSError with this errno; `after`: it was done all the same."""
        self._faults.append(_Fault(kind, nth, persistent, after, error))

    def cut(self, nth=1, kind=None, after=False):
        """Let the power go before, or after, the n-th operation."""
        self._faults.append(_Fault(kind, nth, False, after, None))

    def shorten(self, size, nth=1, persistent=False):
        """Let the n-th write take no more than `size` bytes."""
        self._shorts.append((size, _Fault("write", nth, persistent, False, None)))

    def repair(self):
        """No fault is pending any more."""
        self._faults = []
        self._shorts = []

    def _strike(self, kind):
        if self.off:
            raise PowerCut("the power is off: %s" % kind)
        self.calls[kind] += 1
        struck = [fault for fault in self._faults if fault.strikes(kind)]  # all of them count
        return struck[0] if struck else None

    def _fell(self, fault, kind, path):
        """What comes out of an operation that a fault has struck."""
        if fault.error is None:
            self.off = True
            return PowerCut("%s %s" % (kind, path))
        return _error(fault.error, path)

    def _change(self, kind, path, argument, act):
        """Do what changes something, with the faults that are due, and record it."""
        fault = self._strike(kind)
        error = PowerCut
        try:
            result = act() if fault is None or fault.after else None
            if fault is None or fault.after:
                error = None
            if fault is not None:
                raise self._fell(fault, kind, path)
            return result
        except OSError as found:
            error = found.errno
            raise
        finally:
            self.operations.append(Operation(kind, path, argument, error))

    def _look(self, kind, path):
        fault = self._strike(kind)
        if fault is not None:
            raise self._fell(fault, kind, path)

    # -- what Files does ----------------------------------------------------------------------------------------------

    def create(self, path):
        def act():
            parent, name = self._parent(path)
            if name in parent.names:
                raise _error(errno.EEXIST, path)
            node = File()
            parent.change(None, node, name)
            return self._descriptor(node, path, True)
        return self._change("create", path, None, act)

    def open(self, path):
        self._look("open", path)
        node = self._node(path)
        if not isinstance(node, File):
            raise _error(errno.EINVAL, path)
        return self._descriptor(node, path, False)

    def write(self, fd, data):
        def act():
            node = self._file(fd, True, errno.EBADF)
            sizes = [size for size, fault in self._shorts if fault.strikes("write")]
            if self.room is not None and len(data):
                sizes.append(self.room - self._used())
                if sizes[-1] <= 0:
                    raise _error(errno.ENOSPC, self._path(fd))
            piece = bytes(data)[:min(sizes)] if sizes else bytes(data)
            if piece:
                node.write(piece)
            return len(piece)
        return self._change("write", self._path(fd), len(data), act)

    def pread(self, fd, size, offset):
        self._look("pread", self._path(fd))
        node = self._file(fd, False, errno.EBADF)
        if offset < 0 or size < 0:
            raise _error(errno.EINVAL, self._path(fd))
        return bytes(node.cached[offset:offset + size])

    def size(self, fd):
        self._look("size", self._path(fd))
        return len(self._file(fd).cached)

    def is_listed(self, fd):
        self._look("is_listed", self._path(fd))
        file = self._file(fd)
        return any(node is file for _, node in self._tree())

    def truncate(self, fd, size):
        def act():
            node = self._file(fd, True, errno.EINVAL)
            if size < 0:
                raise _error(errno.EINVAL, self._path(fd))
            if size < len(node.cached):
                self._freed(node)
            if size != len(node.cached):
                node.truncate(size)
        self._change("truncate", self._path(fd), size, act)

    def sync(self, fd):
        node = self._file(fd) if fd in self._open else None
        path = self._path(fd)
        if fd in self._failed_fds:
            self.misuse.append("%s was synced again after a sync that failed" % path)

        def act():
            self._file(fd).sync()
        try:
            self._change("sync", path, None, act)
        except OSError:
            if node is not None:
                node.sync_failed()
                self._failed_fds.add(fd)
            raise

    def close(self, fd):
        path = self._path(fd)
        self._file(fd)
        del self._open[fd]  # an error of close(2) leaves it closed as well
        self._look("close", path)

    def rename(self, old, new):
        def act():
            parent, name = self._parent(old)
            target, given = self._parent(new)
            node = self._node(old)
            replaced = target.names.get(given)
            if parent is not target or isinstance(node, Directory):
                raise NotImplementedError("only files are renamed here, and within their directory")
            if isinstance(replaced, Directory):
                raise _error(errno.EISDIR, new)
            if replaced is not node:
                if replaced is not None:
                    self._freed(replaced)
                parent.change(name, node, given)
        self._change("rename", old, new, act)

    def unlink(self, path):
        def act():
            node = self._node(path)
            if isinstance(node, Directory):
                raise _error(errno.EISDIR, path)
            parent, name = self._parent(path)
            parent.change(name, node, None)
            self._freed(node)
        self._change("unlink", path, None, act)

    def make_directory(self, path):
        def act():
            parent, name = self._parent(path)
            if name in parent.names:
                raise _error(errno.EEXIST, path)
            parent.change(None, Directory(), name)
        self._change("make_directory", path, None, act)

    def sync_directory(self, path):
        def act():
            self._directory(path).sync()
        try:
            self._change("sync_directory", path, None, act)
        except OSError as error:
            if self.doubtful_names and error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self._directory(path).sync_failed()
            raise

    def names(self, directory):
        """In an order that nobody should rely on."""
        self._look("names", directory)
        return sorted(self._directory(directory).names, reverse=True)

    def forget_cached(self, fd):
        self._look("forget_cached", self._path(fd))
        self._file(fd).evict()

    # -- the tree -----------------------------------------------------------------------------------------------------

    def _node(self, path):
        node = self._root
        for part in filter(None, os.path.normpath(path).split("/")):
            if not isinstance(node, Directory):
                raise _error(errno.ENOTDIR, path)
            if part not in node.names:
                raise _error(errno.ENOENT, path)
            node = node.names[part]
        return node

    def _directory(self, path):
        node = self._node(path)
        if not isinstance(node, Directory):
            raise _error(errno.ENOTDIR, path)
        return node

    def _parent(self, path):
        directory, name = os.path.split(os.path.normpath(path))
        return self._directory(directory), name

    def _descriptor(self, node, path, writing):
        fd = self._next_fd
        self._next_fd += 1
        self._open[fd] = (node, path, writing)
        return fd

    def _file(self, fd, writing=None, otherwise=None):
        """The file behind a descriptor; errno `otherwise` where that is not for writing, or not for reading."""
        if fd not in self._open:
            raise _error(errno.EBADF, None)
        node, path, for_writing = self._open[fd]
        if writing is not None and writing != for_writing:
            raise _error(otherwise, path)
        return node

    def _path(self, fd):
        return self._open[fd][1] if fd in self._open else "descriptor %r" % fd

    def _freed(self, node):
        self._garbage = self._garbage[1 - GARBAGE_MAX:] + [bytes(node.cached)]

    @property
    def open_paths(self):
        """What has been opened and not closed."""
        return sorted(path for _, path, _ in self._open.values())

    def _tree(self):
        """(path, node) of everything that has a name."""
        pending = [("/", self._root)]
        while pending:
            path, directory = pending.pop()
            for name, node in directory.names.items():
                inner = os.path.join(path, name)
                yield inner, node
                if isinstance(node, Directory):
                    pending.append((inner, node))

    def _used(self):
        """Bytes taken, those of files that have lost their name and are open included."""
        nodes = [node for _, node in self._tree()] + [node for node, _, _ in self._open.values()]
        return sum(len(node.cached) for node in set(nodes) if isinstance(node, File))

    def contents(self):
        """What everybody sees: path -> bytes of each file, None for a directory."""
        return {path: bytes(node.cached) if isinstance(node, File) else None for path, node in self._tree()}

    # -- what is left -------------------------------------------------------------------------------------------------

    def killed(self):
        """The disk as the next process finds it when this one is killed: nothing is lost, nothing more is synced."""
        disk = MemoryFiles()
        disk._root = self._root.copy({})
        disk._garbage = list(self._garbage)
        return disk

    def evict(self):
        """Let go of every page that is not dirty, as the kernel may at any time: what is in doubt is gone."""
        for _, node in self._tree():
            if isinstance(node, File):
                node.evict()

    def lost(self):
        """The disk after a power cut at this moment, if nothing had arrived that was not synced."""
        return self._left_by(LOST)

    def kept(self):
        """The disk after a power cut at this moment, if everything had arrived."""
        return self._left_by(KEPT)

    def crash_states(self, random, count):
        """Up to `count` different disks that a power cut at this moment may leave: lost(), kept(), then any."""
        seen, attempt, missed = set(), 0, 0
        while len(seen) < count and missed < 10 + count:  # there may be no more than it has found
            fate = Chance(random, self._garbage) if attempt > 1 else KEPT if attempt else LOST
            attempt += 1
            disk = self._left_by(fate)
            digest = hash(frozenset(disk.contents().items()))
            if digest in seen:
                missed += 1
            else:
                seen.add(digest)
                missed = 0
                yield disk

    def _left_by(self, fate):
        disk = MemoryFiles()
        disk._root = self._copy_left(self._root, fate)
        disk._garbage = list(self._garbage)
        return disk

    def _copy_left(self, directory, fate):
        names = directory.left_by(fate)
        return Directory((name, self._copy_left(node, fate) if isinstance(node, Directory)
                          else File(node.left_by(fate))) for name, node in names.items())

"""Who is at the other end of a Unix socket, and when it dies.

The kernel recorded the user when the socket was connected; nothing that a client says about itself counts.  Its death
is told by the end of the socket, but a child that it forked may keep the socket open for long after, so that where
there are pidfds (Linux 5.3) the process itself is watched.  The pid serves for nothing else: pids are used again.
"""

import errno
import os
import socket
import struct
import sys

NOBODY = 0, -1, -1  # (pid, uid, gid) of who came by TCP
_CREDENTIALS = struct.Struct("3i")  # struct ucred of Linux: pid, uid, gid
_LOCAL_PEERCRED = 1  # of macOS and FreeBSD, at level 0: struct xucred
_XUCRED = struct.Struct("IIhh16I")  # version, uid, number of groups, padding, groups
_PIDFD_OPEN = 434  # on every Linux architecture but Alpha


def peer(sock):
    """(pid, uid, gid) of the process that connected, as the kernel recorded them; pid 0 where it does not say.

    A system that tells nothing gives (0, own uid, own gid): there, the mode of the socket and its directory decide who
    can connect at all.

    Raises OSError where the socket is not connected.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        return _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    if sys.platform == "darwin" or sys.platform.startswith("freebsd"):
        _, uid, _, _, gid = _XUCRED.unpack(sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size))[:5]
        return 0, uid, gid
    return 0, os.getuid(), os.getgid()


def watch_death(pid):
    """A descriptor that becomes readable when the process ends, or -1 where the system has no such thing.

    It is the caller's to close.  The pid must come from `peer` while the socket is new: pids are used again.

    Raises ProcessLookupError when the process has ended already and was waited for.
    """
    if pid <= 0 or not sys.platform.startswith("linux"):
        return -1
    try:
        if hasattr(os, "pidfd_open"):
            return os.pidfd_open(pid)
        return _pidfd_by_ctypes(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, ImportError, OSError):
        return -1  # a kernel before 5.3, no ctypes, no descriptor left: the end of the socket has to tell


def is_alive(pid):
    """Whether a process runs, by its pid alone: one that took the pid over counts for it; a zombie has ended."""
    if pid <= 0:
        return False
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            state = file.read(4096).rpartition(b")")[2].split()[:1]
        return state not in ([b"Z"], [b"X"])
    except ProcessLookupError:
        return False
    except OSError:
        return _answers_signals(pid)


def _answers_signals(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _pidfd_by_ctypes(pid):
    import ctypes
    fd = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_OPEN, pid, 0)
    if fd < 0:
        code = ctypes.get_errno() or errno.ENOSYS
        raise OSError(code, os.strerror(code))
    return fd

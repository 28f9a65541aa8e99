"""Descriptors that travel over a Unix socket (SCM_RIGHTS).

The kernel opens what arrives in the receiving process whether it was expected or not, so everything that comes is
either handed to the caller or closed.  A plain recv() on the socket makes the kernel drop descriptors by itself: only
who expects some uses `receive_with_fds`.
"""

import array
import os
import socket

from ..errors import PeerError, UsageError

DESCRIPTORS_MAX = 8  # with one message of ours; Linux itself stops at 253
_WIDTH = array.array("i").itemsize
_CLOEXEC_FLAG = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_SEND_FLAGS = getattr(socket, "MSG_NOSIGNAL", 0)


def send_with_fds(sock, data, fds):
    """Send bytes, and the descriptors with the first of them; how many bytes the socket took.

    When it took any, the descriptors are on their way and may be closed here; the rest of the bytes is sent without.
    When it raises (OSError, such as BlockingIOError), nothing was sent.

    Raises UsageError for descriptors without data, which the system would lose, and for more than DESCRIPTORS_MAX.
    """
    if fds and not data or len(fds) > DESCRIPTORS_MAX:
        raise UsageError("cannot send %d descriptors with %d bytes: at most %d, and with at least one byte"
                         % (len(fds), len(data), DESCRIPTORS_MAX))
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    return sock.sendmsg([data], ancillary, _SEND_FLAGS)


def receive_with_fds(sock, size_bytes, fds_max=DESCRIPTORS_MAX, drop=False):
    """(bytes, [descriptor]) of one receive; the descriptors are the caller's to close, and are not inherited.

    Raises:
        PeerError: more than fds_max came, or this process has no descriptors left for them.  All that came are closed.
            With `drop` the bytes are given all the same, without descriptors.
        OSError: of recvmsg; nothing was received.
    """
    fds, ancillary = array.array("i"), []
    try:
        data, ancillary, flags, _ = sock.recvmsg(size_bytes, socket.CMSG_SPACE(fds_max * _WIDTH) if fds_max else 0,
                                                 _CLOEXEC_FLAG)
        fds = _descriptors(ancillary)
        ancillary = []
        if drop and (flags & socket.MSG_CTRUNC or len(fds) > fds_max):
            while fds:
                os.close(fds.pop())
        if flags & socket.MSG_CTRUNC and not drop or len(fds) > fds_max:
            raise PeerError("more than %d descriptors came with one message, or this process may not open so many more"
                            " (ulimit -n)" % fds_max)
        if not _CLOEXEC_FLAG:
            for fd in fds:
                os.set_inheritable(fd, False)
        return data, list(fds)
    except BaseException:
        for fd in fds or _descriptors(ancillary):  # an interrupt may have come between the two
            os.close(fd)
        raise


def _descriptors(ancillary):
    fds = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[:len(payload) - len(payload) % _WIDTH])
    return fds

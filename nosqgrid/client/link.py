"""A plain connection to a coordinator: RESP commands over its socket, one at a time.

Attachments are made over one (client/attachment); calls that wait for somebody else (get_or_compute) get one each, so
that nobody stands behind them.  An exchange that does not end as it should, an interrupt included, closes the link: the
reply would be taken for that of the next command.
"""

import contextlib
import errno
import os
import socket
import time
import weakref

from ..errors import (CoordinatorLostError, CoordinatorTimeoutError, NotServedError, PermissionRefusedError,
                      ProtocolError)
from ..formats.lane import BELL
from ..formats.resp import NEED_MORE, Map, ReplyReader, encode_command
from ..memory.descriptors import receive_with_fds, send_with_fds

RECEIVE_BYTES = 256 * 1024
PEEK_BYTES = 256
_REFUSED = (errno.EACCES, errno.EPERM)


class Link(object):
    """A connected socket and the replies that come over it.  Not thread-safe."""

    def __init__(self, address, timeout_s):
        self.address = address
        self.timeout_s = timeout_s
        self.pid = os.getpid()
        self.sock = connect(address, timeout_s)
        # For programs that do not close their grid: nobody shall hear of it, at exit or from the garbage collector.
        self._close_at_end = weakref.finalize(self, self.sock.close)
        self.replies = ReplyReader()
        self.fds = []

    def command(self, *words, timeout_s=None):
        """Send a command and return its reply; an error reply is raised.  timeout_s 0 waits for ever."""
        try:
            try:
                self.send(encode_command(*words), timeout_s)
            except CoordinatorLostError as error:
                raise self._parting_word(error)
            reply = self.receive(timeout_s)
        except BaseException:
            self.close()
            raise
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _parting_word(self, error):
        """The error that the coordinator sent before it closed, or else this one: who is refused is told unasked."""
        try:
            reply = self.receive()
        except CoordinatorLostError:
            return error
        return reply if isinstance(reply, Exception) else error

    def send(self, data, timeout_s=None):
        """Send all of it."""
        self._send(self.sock.sendall, data, timeout_s)

    def send_with(self, data, fd):
        """Send all of it, and a descriptor with its first byte."""
        sent = self._send(lambda data: send_with_fds(self.sock, data, [fd]), data, None)
        if sent < len(data):
            self.send(data[sent:])

    def _send(self, function, data, timeout_s):
        try:
            self.sock.settimeout(self.timeout_s if timeout_s is None else timeout_s or None)
            return function(data)
        except socket.timeout:
            raise self.silent() from None
        except OSError as error:
            raise self.lost(error) from error

    def receive(self, timeout_s=None):
        """The next reply object; errors are returned, not raised."""
        deadline = None if timeout_s == 0 else time.monotonic() + (timeout_s or self.timeout_s)
        while True:
            reply = self.replies.next()
            if reply is not NEED_MORE:
                return reply
            self.receive_some(deadline)

    def receive_some(self, deadline):
        """Wait for bytes, until `deadline` (monotonic seconds, None: for ever), and feed them to the replies."""
        try:
            self.sock.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            # The waiting is done here: an interrupt right behind it would lose descriptors that had been received.
            self.sock.recv(1, socket.MSG_PEEK)
            data, self.fds[len(self.fds):] = receive_with_fds(self.sock, RECEIVE_BYTES)
        except socket.timeout:
            raise self.silent() from None
        except OSError as error:
            raise self.lost(error) from error
        if not data:
            raise self.lost(None)
        self.replies.feed(data)

    def took_bells(self, deadline):
        """Wait for bytes as receive_some does, but take only bells; false where a reply comes first, which stays there.

        An interrupt at any line loses nothing but bells.
        """
        try:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            data, bells = self._take_bells()
        except socket.timeout:
            raise self.silent() from None
        except OSError as error:
            raise self.lost(error) from error
        if not data:
            raise self.lost(None)
        return bool(bells)

    def _take_bells(self):
        """(what came next, how many bells it begins with); the bells are taken."""
        data = self.sock.recv(PEEK_BYTES, socket.MSG_PEEK)
        bells = len(data) - len(data.lstrip(BELL))
        if bells:
            self.sock.recv(bells)
        return data, bells

    def ended(self):
        """Whether the other end is known to be gone, without waiting."""
        try:
            self.sock.settimeout(0)
            while True:
                data, bells = self._take_bells()  # one that came late would hide the end behind it
                if not bells:
                    return not data
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True

    def lost(self, error):
        reason = " (%s)" % error.strerror if error is not None and error.strerror else ""
        return CoordinatorLostError("the coordinator at %s is gone%s; whether the last call took effect is not known; "
                                    "reads go on from the last state" % (self.address, reason))

    def silent(self):
        return CoordinatorTimeoutError("the coordinator at %s did not answer in time; it is stopped, or busy; whether "
                                       "the last call took effect is not known" % self.address)

    def shut(self):
        """End the connection under whoever waits on it, who raises CoordinatorLostError then; close() is his."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Close the socket and descriptors that nobody took."""
        self._close_at_end()
        self.close_fds()

    def take_fd(self, index):
        """One of the descriptors that came; the caller's to close."""
        return self.fds.pop(index)

    def close_fds(self):
        """Close the descriptors that came; an interrupt may leave one of them open, but none is closed twice."""
        while self.fds:
            os.close(self.fds.pop())


def connect(address, timeout_s):
    """A socket that is connected to a coordinator; 0 seconds: in no time, or not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address)
    except BaseException as error:
        sock.close()
        if not isinstance(error, OSError):
            raise
        if error.errno in _REFUSED:
            raise PermissionRefusedError("no permission to connect to %s: it belongs to another user, who can start "
                                         "the coordinator with --allow-uid %d" % (address, os.getuid())) from error
        if isinstance(error, socket.timeout) or error.errno == errno.EAGAIN:
            raise CoordinatorTimeoutError("the coordinator at %s does not accept connections" % address) from error
        raise NotServedError("nobody serves %s (%s); start a coordinator with: python3 -m nosqgrid serve --socket %s"
                             % (address, error.strerror, address)) from error
    return sock


def checked_reply(reply, expected, what):
    """The reply if it has the expected type; ProtocolError where the other end is not a coordinator of ours."""
    if not isinstance(reply, expected):
        raise ProtocolError("%s answered with %r; is this socket a nosqgrid coordinator's?" % (what, reply))
    return reply


def named_values(reply, what):
    """A map reply, whichever protocol it came by, as a dict of str to str or int."""
    checked_reply(reply, list, what)
    pairs = reply if isinstance(reply, Map) else zip(reply[::2], reply[1::2])
    return {checked_reply(_text(name), str, what): _text(value) for name, value in pairs}


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

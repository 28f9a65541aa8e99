"""Who comes in: connections are accepted, and become sessions or are refused.

There is the door of the Unix socket, where the kernel says who knocks and `access` decides, and there may be doors of
TCP, where nobody is known: such a session speaks RESP alone, and before it has logged in it is a stranger, of whom
there are a bounded number for a bounded time.

Invariants
 1. Nothing here waits: a door that cannot accept (no descriptors left) is left alone for a while.
 2. A handshake (TLS) is under way while others are served, and whoever has not finished it is a stranger too.
 3. Where there are too many strangers the one who has been there longest goes, so that a flood of connections that say
    nothing does not keep out those who have something to say.
"""

import collections
import contextlib
import functools
import time

from ..errors import NosqgridError
from ..limits import CLIENTS_MAX, STRANGERS_MAX, STRANGER_TIMEOUT_S
from ..network import credentials, tcp
from .poller import READ, WRITE
from .session import Session

RETRY_ACCEPT_S = 0.1  # after accept() failed for want of descriptors
SLEEP_S_MAX = 3600.0
FAILURES_TOLD_EVERY_S = 10.0
DENIED = b"-DENIED no password is set, so that only clients on this machine are served\r\n"
FULL = b"-ERR max number of clients reached\r\n"

Remote = collections.namedtuple("Remote", ("listeners", "inline", "password", "users", "acl_path"))
Remote.__new__.__defaults__ = ((), False, None, None, None)
Remote.__doc__ = """How Redis clients come in.

    listeners    network.tcp.TcpListener objects; they are closed with the coordinator
    inline       whether lines of words are commands, over the Unix socket too
    password     bytes that the default user has to know, or None
    users        {name: acl_rules.User} to begin with, or None
    acl_path     the file for ACL SAVE and LOAD, or None
"""


class _Door(object):
    """A listening socket, and what becomes of those who come through it."""

    def __init__(self, sock, enter, is_private=True):
        self.sock = sock
        self.enter = enter
        self.is_private = is_private  # only this machine reaches it
        self.open_again = 0.0  # when, if it is shut


class _Handshake(object):
    """A connection on its way to become a session."""

    authenticated = False

    def __init__(self, sock, place):
        self.sock = sock  # network.tls.TlsSocket
        self.place = place
        self.waits_for = READ
        self.ended = False


class Admission(object):
    """All doors of one coordinator, `server`."""

    def __init__(self, server, access, remote):
        self.server = server
        self.remote = remote
        self.accepted = 0
        self._access = access
        self._number = 0
        self._strangers = collections.OrderedDict()  # session or _Handshake -> until when it has to be through
        self._doors = [_Door(server.listener.sock, self._enter_local)]
        self._failures, self._failure, self._tell_at = 0, None, 0.0
        for listener in remote.listeners:
            self._doors.append(_Door(listener.sock, self._enter_remote if listener.tls is None
                                     else functools.partial(self._begin_tls, listener.tls), listener.is_loopback))
        for door in self._doors:
            self._open(door)

    @property
    def port(self):
        """The first port of TCP without TLS, or 0."""
        return self._port_of(False)

    @property
    def tls_port(self):
        """The first port of TLS, or 0."""
        return self._port_of(True)

    def _port_of(self, with_tls):
        ports = [listener.port for listener in self.remote.listeners if (listener.tls is not None) == with_tls]
        return ports[0] if ports else 0

    def _open(self, door):
        door.open_again = 0.0
        self.server.selector.register(door.sock, READ, lambda _: self._accept(door))

    def _accept(self, door):
        try:
            sock, place = door.sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors or memory: the listener would be ready again and again, so leave it alone for a while.
            self.server.log("cannot accept connections for now: %s" % error.strerror)
            self.server.selector.unregister(door.sock)
            door.open_again = time.monotonic() + RETRY_ACCEPT_S
            return
        self.accepted += 1
        try:
            sock.setblocking(False)
            if not door.is_private and self.server.acl.is_open:
                self._deny(sock)
                return
            door.enter(sock, place)
        except (OSError, NosqgridError) as error:
            self.server.log("a connection was refused: %s" % error)
            sock.close()

    def _deny(self, sock):
        """Somebody took the password away while others than this machine can come in."""
        with contextlib.suppress(BlockingIOError):
            sock.send(DENIED)
        sock.close()

    # -- a Unix socket ------------------------------------------------------------------------------------------------

    def _enter_local(self, sock, _):
        who = credentials.peer(sock)
        may_connect, may_write = self._access(who[1], who[2])
        if not may_connect or self._is_full():
            reason = b"-NOPERM uid %d may not use this grid; its owner can say --allow-uid %d\r\n" % (who[1], who[1])
            sock.send(FULL if may_connect else reason)
            sock.close()
            return
        session = Session(self.server, sock, self._next_number(), who, may_write)
        try:
            session.pidfd = credentials.watch_death(session.pid)
        except ProcessLookupError:
            sock.close()
            return
        self.server.add_session(session)
        if session.pidfd >= 0:
            self.server.selector.register(session.pidfd, READ, lambda fd: self.server.end_session(session))

    def _next_number(self):
        self._number += 1
        return self._number

    def _is_full(self):
        return len(self.server.sessions()) >= CLIENTS_MAX

    # -- TCP ----------------------------------------------------------------------------------------------------------

    def _enter_remote(self, sock, place):
        if self._is_full():
            sock.send(FULL)
            sock.close()
            return
        tcp.prepare(sock)
        self._begin_session(sock, place)

    def _begin_session(self, sock, place):
        session = Session(self.server, sock, self._next_number(), credentials.NOBODY, True)
        session.come_from(tcp.text_of(place), tcp.text_of(sock.getsockname()))
        self.server.add_session(session)
        if not session.authenticated:
            self._add_stranger(session)

    def _add_stranger(self, stranger):
        while len(self._strangers) >= STRANGERS_MAX:
            oldest, _ = self._strangers.popitem(last=False)
            self._dismiss(oldest)
        self._strangers[stranger] = time.monotonic() + STRANGER_TIMEOUT_S

    def _dismiss(self, stranger):
        if type(stranger) is _Handshake:
            self._note_failure("it took too long, or too many were under way", stranger)
            self._end_handshake(stranger)
        elif not stranger.authenticated:
            self.server.end_session(stranger)

    # -- TLS ----------------------------------------------------------------------------------------------------------

    def _begin_tls(self, context, sock, place):
        from ..network.tls import TlsSocket  # whoever has no TLS does not load it: 20 ms and 5 MB
        if self._is_full():
            sock.close()
            return
        tcp.prepare(sock)
        shaking = _Handshake(TlsSocket(context, sock), place)
        self.server.selector.register(shaking.sock, READ, lambda _: self._go_on(shaking))
        self._add_stranger(shaking)

    def _go_on(self, shaking):
        if shaking.ended:
            return
        try:
            waits_for = shaking.sock.handshake()
        except OSError as error:
            self._note_failure(error, shaking)
            del self._strangers[shaking]
            self._end_handshake(shaking)
            return
        if waits_for == 0:
            del self._strangers[shaking]
            shaking.ended = True
            self.server.selector.unregister(shaking.sock)
            try:
                self._begin_session(shaking.sock, shaking.place)
            except OSError as error:
                self.server.log("a connection was refused: %s" % error)
                shaking.sock.close()
        elif waits_for != shaking.waits_for:
            shaking.waits_for = waits_for
            self.server.selector.modify(shaking.sock, WRITE if waits_for == WRITE else READ,
                                        lambda _: self._go_on(shaking))

    def _end_handshake(self, shaking):
        shaking.ended = True
        self.server.selector.unregister(shaking.sock)
        shaking.sock.close()

    def _note_failure(self, reason, shaking):
        """Anybody can make handshakes fail, as often as he likes: they are told of together."""
        self._failures += 1
        self._failure = "%s (%s)" % (reason, tcp.text_of(shaking.place))

    def _tell_failures(self, now):
        if self._failures and now >= self._tell_at:
            self.server.log("%d TLS handshakes have failed; the last: %s" % (self._failures, self._failure))
            self._failures, self._tell_at = 0, now + FAILURES_TOLD_EVERY_S

    def session_ended(self, session):
        self._strangers.pop(session, None)

    # -- the loop -----------------------------------------------------------------------------------------------------

    def tick(self, now):
        """By the clock: open doors again, and end those who do not log in."""
        for door in self._doors:
            if door.open_again and now > door.open_again:
                self._open(door)
        self._tell_failures(now)
        while self._strangers:
            stranger, until = next(iter(self._strangers.items()))
            if until > now and not stranger.authenticated:
                break
            del self._strangers[stranger]
            self._dismiss(stranger)

    def sleep_s(self, now):
        """For how many seconds there is nothing to do."""
        wait_s = RETRY_ACCEPT_S if any(door.open_again for door in self._doors) else SLEEP_S_MAX
        if self._strangers:
            wait_s = min(wait_s, max(next(iter(self._strangers.values())) - now, 0.001))
        return wait_s

    def close(self):
        """Let nobody in any more: who comes from now on finds nobody, and may start the next one."""
        for door in self._doors:
            if not door.open_again:
                self.server.selector.unregister(door.sock)
        self._doors = []
        for stranger in list(self._strangers):
            if type(stranger) is _Handshake:
                del self._strangers[stranger]
                self._end_handshake(stranger)
        for listener in self.remote.listeners:
            listener.close()
        self.server.listener.close()

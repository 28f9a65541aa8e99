"""TCP, for Redis clients that cannot come to the Unix socket: listeners, and what a connection of theirs needs.

A Unix socket has an owner and a mode, and the kernel tells who connects; TCP has none of this.  So nothing listens
unless a port was named, on loopback unless an address was named, and beyond loopback only behind a password
(check_exposure).  Who can reach loopback is every user of the machine, and every web page that one of them visits: that
is why inline commands are refused there unless they are asked for (formats/resp_inline).
"""

import errno
import socket

from .. import limits
from ..errors import StartError

LOOPBACK = "127.0.0.1"
_KEEPALIVE_S, _KEEPALIVE_STEP_S, _KEEPALIVE_COUNT = 300, 100, 3  # as Redis: a dead peer is noticed within ten minutes

_SENTENCES = {
    errno.EADDRINUSE: "another program listens there; stop it, or give another port with {option}",
    errno.EACCES: "no permission; ports below 1024 are for root: give another with {option}",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address; give another with --redis-address",
}


class TcpListener(object):
    """A listening TCP socket, not blocking.

    Args:
        address: a name or number of this machine.
        port: 0 lets the system choose.
        option: what the port was said with, for messages.
        tls: an ssl.SSLContext, or None.
    Attributes: `sock`; `address` and `port` it listens on; `is_loopback`, whether only this machine reaches it; `tls`.
    Raises StartError where that cannot be; the message says what to do.
    """

    def __init__(self, address, port, option="--redis-port", tls=None):
        self.tls = tls
        try:
            found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM,
                                       flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV)
        except (socket.gaierror, UnicodeError) as error:
            raise StartError("cannot listen on %s: there is no such address (%s); give another with --redis-address"
                             % (address, error)) from error
        family, kind, protocol, _, place = found[0]
        self.sock = socket.socket(family, kind, protocol)
        try:
            self.sock.setblocking(False)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.sock.bind(place)
            self.sock.listen(limits.LISTEN_BACKLOG)
        except OSError as error:
            self.sock.close()
            sentence = _SENTENCES.get(error.errno, "{error}; give another address or port")
            raise StartError("cannot listen on %s port %d: %s" % (
                address, port, sentence.format(option=option, error=error))) from error
        self.address, self.port = self.sock.getsockname()[:2]
        self.is_loopback = is_loopback(self.address)

    def close(self):
        """Stop listening.  Can be repeated."""
        self.sock.close()


def is_loopback(address):
    """Whether a numeric address is one that only this machine reaches.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("10.0.0.1"), is_loopback("::")
    (True, True, False, False)
    """
    return address.startswith("127.") and ":" not in address or address == "::1"


def check_exposure(listeners, has_password):
    """Raise StartError where others than this machine could come in without a password."""
    for listener in listeners:
        if not has_password and not listener.is_loopback:
            raise StartError(
                "whoever reaches %s could read and write everything: give a password with --redis-password-file, or "
                "users with --acl-file, or leave --redis-address out to serve this machine alone" % listener.address)


def prepare(sock):
    """Make an accepted connection send at once, and find out by itself when its other end is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _KEEPALIVE_S), ("TCP_KEEPINTVL", _KEEPALIVE_STEP_S),
                        ("TCP_KEEPCNT", _KEEPALIVE_COUNT)):
        option = getattr(socket, name, None)
        if option is not None:  # macOS has others
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def text_of(place):
    """A socket's address as CLIENT LIST shows it.

    >>> text_of(("127.0.0.1", 6379)), text_of(("::1", 6379, 0, 0))
    ('127.0.0.1:6379', '[::1]:6379')
    """
    return ("[%s]:%d" if ":" in place[0] else "%s:%d") % place[:2]

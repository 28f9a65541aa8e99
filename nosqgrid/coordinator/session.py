"""A session: one connection and everything that ends with it.

A client is its connection.  The session is over when the socket ends, when the process at its other end does (a pidfd
tells even where a forked child keeps the socket open), when its lane makes no sense, or when the coordinator says so;
then its lane, its claims and its replies are gone, and nobody else notices.
"""

import os

from ..engine.client_state import ClientState
from ..engine.commands import dispatch
from ..engine.context import CommandContext
from ..formats.resp import Parser


class Context(CommandContext):
    """What commands see (engine/commands): one for each session and way of asking."""

    def __init__(self, server, session, may_wait):
        super().__init__(session, server.keyspace, server, server.claims, server.pubsub, server.blocked,
                         server.oversight, server.tracking, server.chance, may_wait)

    def run(self, words):
        return dispatch(self, words)

    def attach(self):
        return self.server.attach(self.session)


class Session(ClientState):
    """One connected client."""

    def __init__(self, server, sock, number, credentials, may_write):
        super().__init__()
        self._server = server
        self._closing = False
        self.parser = Parser(server.admission.remote.inline)
        self.id = number
        self.sock = sock
        self.pid, self.uid, self.gid = credentials
        self.may_write = may_write
        self.name = b""
        self.address = self.local_address = "%s:0" % server.listener.path
        self.descriptor = sock.fileno()
        self.overseen = server.oversight.active
        server.acl.welcome(self)
        self.created_ms = self.seen_ms = server.clock.monotonic_ms()
        self.last_command = b""
        self.commands = 0
        self.lane = None
        self.slices = 0  # when it had its last slice of a turn (lane_service.due)
        self.pidfd = -1
        self.partial_since = 0.0  # monotonic seconds when the command being received began, or 0.0
        self.output = []  # pieces of bytes that the socket did not take yet
        self.output_bytes = 0
        self.descriptors = []  # to be sent with the next piece
        self.lent = []  # those of them that are closed here when they are on their way
        self.received = []  # that came and no command has taken yet
        self.filling = set()  # numbers of large values that were allocated and not handed over yet
        self.pins = False  # whether it said that it pins segments
        self.watching_output = False
        self.companion, self.anchors = False, set()  # see asked.accompany
        self.leaving = False  # the last one, who waits for the end: its connection ends when all is on the disk
        self.closed = False
        self.on_socket = Context(server, self, True)
        self.on_lane = Context(server, self, False)

    def come_from(self, address, local_address):
        """It came by TCP, from an address to one of ours: nobody knows who it is, and it has RESP alone."""
        self.local = False
        self.address, self.local_address = address, local_address
        self.changed()

    def changed(self):
        super().changed()
        self.parser.trusted = self.authenticated or self.local

    def close_lent(self):
        """Descriptors that were lent are on their way, or will not be sent any more."""
        while self.lent:
            os.close(self.lent.pop())

    def let_go(self):
        """Nobody uses it any more: without this it would refer to itself, and nothing collects what does that."""
        self.on_socket = self.on_lane = None

    @property
    def closing(self):
        """Whether the session ends as soon as its output is sent; another session may ask for it (CLIENT KILL)."""
        return self._closing

    @closing.setter
    def closing(self, value):
        self._closing = value
        self._server.look_at(self)

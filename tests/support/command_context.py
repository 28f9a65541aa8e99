"""What command functions need without a coordinator, and tables of commands with their exact replies."""

import unittest

from nosqgrid import errors
from nosqgrid.engine import commands
from nosqgrid.engine.acl import Acl
from nosqgrid.engine.claims import Claims
from nosqgrid.engine.client_state import ClientState
from nosqgrid.engine.commands import run
from nosqgrid.engine.context import CommandContext
from nosqgrid.engine.listening import Listening
from nosqgrid.engine.oversight import Oversight
from nosqgrid.engine.pubsub import PubSub
from nosqgrid.engine.settings import Settings
from nosqgrid.engine.tracking import Tracking
from nosqgrid.engine.waiting import Waiting
from nosqgrid.formats import resp
from tests.support.plain_keyspace import PlainKeyspace

NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
SYNTAX = b"-ERR syntax error\r\n"


class PlainSession(ClientState):
    """A session as the command functions see it."""

    def __init__(self, session_id=1, may_write=True):
        super().__init__()
        self.id = session_id
        self.name = b""
        self.closing = self.closed = False
        self.uid = 1000
        self.pid = 4242
        self.created_ms = self.seen_ms = 0
        self.last_command = b""
        self.may_write = may_write
        self.lane = False
        self.output_bytes = 0
        self.address, self.local_address = "/run/nosq.sock:0", "/run/nosq.sock:0"


class PlainServer:
    """A server that knows two sections, two settings and the sessions it was given."""

    def __init__(self, sessions, keyspace):
        self._sessions = sessions
        self._keyspace = keyspace
        self.settings = Settings()
        self.listening = Listening(keyspace)
        self.acl = Acl(commands.CATALOGUE, self.sessions, lambda: keyspace.now_ms)
        self.random_bits = lambda count: 1 << (count - 2)
        self.asked = []  # what it was asked to do, in words

    def info(self, section):
        known = [("Server", [("redis_version", "7.0.15"), ("redis_mode", "standalone")]),
                 ("Persistence", [("loading", 0)])]
        return [entry for entry in known if section in (None, "everything", entry[0].lower())]

    def sessions(self):
        return list(self._sessions)

    def reset_stats(self):
        self.asked.append("reset_stats")

    def save(self, session):
        self.asked.append("save for %d" % session.id)

    def save_beside(self):
        self.asked.append("save_beside")
        return self.asked.count("save_beside") == 1

    def last_save_s(self):
        return 1600000000

    def shut_down(self, session):
        self.asked.append("shut_down for %d" % session.id)

    def sleep(self, seconds):
        self._keyspace.now_ms += int(seconds * 1000)

    def config(self):
        return {"save": "", "maxmemory": 1024, "maxmemory-policy": "noeviction"}

    def stats(self):
        return [("keys", 3), ("pid", 17)]

    @property
    def large_values(self):
        raise errors.CommandError("there is no shared memory here")

    pins = large_values

    def checkpoint(self, session, final):
        raise errors.CommandError("there is no disk here to write %r to" % (final,))

    def save_users(self):
        self.asked.append("save_users")

    def load_users(self):
        self.asked.append("load_users")

    def has_user(self, name):
        return name in self.acl.users

    def leave(self, session):
        return False

    def accompany(self, session, number):
        return session.id

    def adopt(self, session, number):
        raise errors.CommandError("session %d is none of this process" % number)


class PlainContext(CommandContext):
    """A context over a PlainKeyspace, or the keyspace given; what is pushed is in `pushed`.

    `other` is a context of the same server, for another session on it.
    """

    deferred = resp.Simple("will be answered later")

    def __init__(self, keyspace=None, may_write=True, other=None):
        if other is None:
            self.pushed = []  # (session, parts)
            self.answered = []  # (session, reply) of those who waited
            self.sessions = []
            keyspace = PlainKeyspace() if keyspace is None else keyspace
            claims = Claims(lambda session, reply: None)
            pubsub = PubSub(lambda session, parts: self.pushed.append((session, parts)))
            oversight = Oversight(keyspace, lambda session, text: self.pushed.append((session, text)),
                                  lambda context, words: self.answered.append((context.session, context.run(words))),
                                  lambda: self.sessions, lambda: keyspace.now_ms * 1000)
            tracking = Tracking(keyspace, pubsub.push, self._session_of)
            waiting = Waiting(keyspace, lambda session, reply: self.answered.append((session, reply)), run.as_write)
        else:
            self.pushed, self.answered, self.sessions = other.pushed, other.answered, other.sessions
            keyspace, claims, pubsub, waiting = other.keyspace, other.claims, other.pubsub, other.waiting
            oversight, tracking = other.oversight, other.tracking
        session = PlainSession(len(self.sessions) + 1, may_write)
        self.sessions.append(session)
        server = PlainServer(self.sessions, keyspace) if other is None else other.server
        server.acl.welcome(session)
        super().__init__(session, keyspace, server, claims, pubsub, waiting,
                         oversight, tracking, lambda count: 1 << (count - 2), True)

    def _session_of(self, number):
        return next((session for session in self.sessions if session.id == number), None)

    def attach(self):
        return resp.Map()

    def run(self, words):
        """The reply object for a command; errors are raised."""
        return commands.dispatch(self, words)

    def call(self, *words):
        """The bytes that a client gets for a command, words as bytes or str."""
        argv = [word.encode("utf-8") if isinstance(word, str) else word for word in words]
        try:
            reply = self.run(argv)
        except errors.NosqgridError as error:
            reply = error
        return resp.encode_reply(reply, self.session.protocol)


def bulk(value):
    """The bytes of a bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


class CommandTest(unittest.TestCase):
    """A context of its own for each test."""

    def setUp(self):
        self.context = PlainContext()
        self.keyspace = self.context.keyspace

    def run_table(self, table):
        """Each row: a command in words, and its reply."""
        for line, expected in table:
            words = line.split() if isinstance(line, str) else line
            self.assertEqual(self.context.call(*words), expected, line)

    def run_both(self, table):
        """Each row: a command, its reply in RESP2, its reply in RESP3; every row on an empty keyspace of its own."""
        for line, as_resp2, as_resp3 in table:
            for protocol, expected in ((2, as_resp2), (3, as_resp3)):
                context = PlainContext()
                context.session.protocol = protocol
                context.call("SET", "k", "v")
                self.assertEqual(context.call(*line.split()), expected, (line, protocol))

"""Commands over the real keyspace, structures and all, without a coordinator; the clock is the test's."""

import random
import time

from nosqgrid import limits
from nosqgrid.engine.commands import COMMON_ROWS
from nosqgrid.engine.commands.fast import make_run_fast
from nosqgrid.engine.commands.schedules import put_scheduled
from nosqgrid.engine.commands.run import as_write
from nosqgrid.engine.context import DEFERRED
from nosqgrid.engine.jobs.following import Following
from nosqgrid.engine.jobs.service import Jobs
from nosqgrid.engine.scheduling import Scheduler
from nosqgrid.engine.locks.service import Locks
from nosqgrid.formats import resp
from nosqgrid.formats.resp import Parser
from tests.support.command_context import CommandTest, PlainContext
from tests.support.keyspaces import make_keyspace

MEMORY_BYTES = 32 * limits.MIB
WALL_OFFSET_MS = 1600 * 10 ** 9


class EngineContext(PlainContext):
    """A PlainContext over a keyspace of its own, or that of `other`; random_bits comes from `seed`.

    `processes` is what is known of processes, `replaced` whether another coordinator was killed here (engine/locks).
   """

    def __init__(self, other=None, seed=1, keyspace=None, memory_bytes=MEMORY_BYTES, processes=None,
                 replaced=False):
        if other is None and keyspace is None:
            keyspace = make_keyspace(memory_bytes)[0]
            keyspace.now_ms = 1000
            keyspace.wall_ms = lambda: keyspace.now_ms + WALL_OFFSET_MS
        super().__init__(keyspace, other=other)
        if other is None:
            processes = processes or Processes()
            self.server.locks = Locks(self.keyspace, self.waiting, processes, as_write)
            self.server.locks.open(replaced)
            self.server.jobs = Jobs(self.keyspace, processes, as_write, random.Random(seed).getrandbits)
            self.server.jobs.open()
            self.server.following = Following(self.server.jobs, self.waiting)
            self.server.session_of = self._session_of
            self.server.schedules = Scheduler(
                self.keyspace, lambda words, due_ms: put_scheduled(self.server.jobs, words, due_ms), time.gmtime,
                as_write, self.server.asked.append)
        self.random_bits = random.Random(seed).getrandbits

    def answers(self):
        """[(session id, bytes)] of what blocked sessions were answered since the last look."""
        found = [(session.id, resp.encode_reply(reply, session.protocol)) for session, reply in self.answered]
        del self.answered[:]
        return found


class Processes(object):
    """What a test says about processes: `living` has the pids of those that live; who is watched is in `watched`."""

    def __init__(self, living=()):
        self.living = set(living)
        self.watched = {}

    def facts(self, session):
        return b"%d" % (session.pid * 10), b"boot", b"python job.py"

    def lives(self, holder):
        return holder.pid in self.living if holder.pid else None

    def watch(self, holder, died):
        self.watched[holder.pid] = died
        return True


class Clients(object):
    """Several sessions over one keyspace; what each of them has been answered is told with what led to it."""

    def __init__(self, count, protocol=2):
        self.contexts = [EngineContext()]
        self.contexts += [EngineContext(other=self.contexts[0]) for _ in range(count - 1)]
        self.numbers = {context.session.id: number for number, context in enumerate(self.contexts)}
        self.waiting = set()
        for context in self.contexts:
            context.session.protocol = protocol

    def call(self, number, *words):
        """The answer, or None for a client that waits; and [(client, answer)] of those who waited."""
        context = self.contexts[number]
        reply = context.call(*words)
        if context.session.waiting:
            reply = None
            self.waiting.add(number)
        return reply, self.answers()

    def answers(self):
        """[(client, answer)] of those who waited, since the last look."""
        found = [(self.numbers[session], reply) for session, reply in self.contexts[0].answers()]
        for number, _ in found:
            self.waiting.discard(number)
            self.contexts[number].session.waiting = False
        return found


def socket_session(context, sock=None):
    """The context's session as coordinator/sockets serves one."""
    session = context.session
    context.deferred = DEFERRED
    context.server.run_fast = make_run_fast(context.keyspace, context.pubsub, context.waiting, COMMON_ROWS)
    session.parser, session.output, session.output_bytes, session.commands = Parser(), [], 0, 0
    session.sock, session.on_socket, session.filling, session.received = sock, context, set(), []
    return session


def contents(keyspace):
    """{key: (type, value or the changes that make the structure, deadline_ms)} of all that lives."""
    found, cursor = {}, 0
    while True:
        cursor, keys = keyspace.scan(cursor, 1000)
        for key in keys:
            entry = keyspace.lookup(key)
            value = entry.value if entry.structure is None else list(map(tuple, entry.structure.changes()))
            found[key] = entry.type, value, entry.deadline_ms
        if not cursor:
            return found


class EngineTest(CommandTest):
    """An EngineContext of its own for each test, checked at its end."""

    def setUp(self):
        self.context = EngineContext()
        self.keyspace = self.context.keyspace

    def tearDown(self):
        self.keyspace.check()

"""Several clients of the queues of one keyspace with a log, the test's clocks, and a replay of the log at the end."""

import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.engine.structures.jobs import Queue
from nosqgrid.errors import NosqgridError
from nosqgrid.formats import resp
from tests.support.engine_context import EngineContext, Processes
from tests.support.walks import ListLog, make_space

WALL_MS = 10 ** 12


class JobTest(unittest.TestCase):
    """Replies are objects, not bytes; maps are dicts.  The wall clock is `wall_ms` ahead of the other."""

    CLIENTS = 5

    def setUp(self):
        self.space, self.header = make_space(4 << 20)
        self.wall_ms = WALL_MS
        self.space.now_ms = 1000
        self.space.wall_ms = lambda: self.space.now_ms + self.wall_ms
        self.processes = Processes()
        self.contexts = [EngineContext(keyspace=self.space, processes=self.processes)]
        self.contexts += [EngineContext(other=self.contexts[0]) for _ in range(self.CLIENTS - 1)]
        self.jobs = self.contexts[0].server.jobs
        self.waiting = self.contexts[0].waiting
        self.log = ListLog()
        self.space.set_log(self.log)
        for number, context in enumerate(self.contexts):
            context.session.pid = 100 + number

    def tearDown(self):
        self.space.check()
        self.assertFalse(self.space.staging)
        target = self.replayed()
        self.assertEqual(everything(target), everything(self.space))
        for key, lease in self.jobs.leases._by_job.items():
            self.assertEqual(key, (lease.key, lease.number))

    def replayed(self):
        """A keyspace that the log makes."""
        target, _ = make_space(header=self.header)
        target.now_ms = self.space.now_ms
        target.wall_ms = self.space.wall_ms
        loader = Loader(target)
        for first_lsn, count, payload in self.log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
        loader.finish(self.space.version)
        target.check()
        return target

    def restart(self, living=()):
        """A coordinator that died is replaced: only what the log has is left, and no session."""
        self.space, entries = self.replayed(), self.log.entries
        self.log = ListLog()
        self.log.entries = entries
        self.space.set_log(self.log)
        self.processes = Processes(living)
        self.contexts = [EngineContext(keyspace=self.space, processes=self.processes)]
        self.contexts += [EngineContext(other=self.contexts[0]) for _ in range(self.CLIENTS - 1)]
        self.jobs, self.waiting = self.contexts[0].server.jobs, self.contexts[0].waiting

    # -- words --------------------------------------------------------------------------------------------------------

    def call(self, words, client=0):
        """The reply to words in one text or a list; WAITS, which is None, where there is none yet."""
        words = words.split() if isinstance(words, str) else words
        context = self.contexts[client]
        reply = context.run([word.encode("utf-8") if isinstance(word, str) else word for word in words])
        if context.session.waiting:
            return WAITS
        return plain(reply)

    def refused(self, words, client=0):
        """The code and the text of the error that words get; what there is stays as it was."""
        before = everything(self.space), self.space.version
        with self.assertRaises(NosqgridError) as caught:
            self.call(words, client)
        self.assertEqual((everything(self.space), self.space.version), before, words)
        return "%s %s" % (caught.exception.code, caught.exception)

    def put(self, words="q", payload="x", client=0):
        """The id of a job that is put with these words behind the name of the queue."""
        name, _, options = words.partition(" ")
        job, created = self.call(["JOB.PUT", name, "0", payload] + options.split(), client)
        self.assertEqual(created, 1)
        return job.decode()

    def reserve(self, queues="q", client=0, count=1, wait="0", more=()):
        """[(id, receipt)] of what is handed out; WAITS."""
        names = queues.split()
        found = self.call(["JOB.RESERVE", "WAIT", wait, "COUNT", str(count), "ORDER", "strict", "QUEUES",
                           str(len(names))] + names + list(more), client)
        return WAITS if found is WAITS else [(one[0].decode(), one[1]) for one in found]

    def take(self, queue="q", client=0):
        """The (id, receipt) of one job, as words."""
        (job, receipt), = self.reserve(queue, client)
        return [job, str(receipt)]

    def ack(self, taken, client=0, more=()):
        return self.call(["JOB.ACK"] + taken + list(more), client)

    def info(self, job):
        return self.call(["JOB.INFO", job])

    def state(self, job):
        """The state of a job, or None for one that is not there."""
        found = self.info(job)
        return None if found is None else found["state"].decode()

    def stats(self, queue="q"):
        return self.call(["JOB.STATS", queue])

    def answers(self):
        """{client: reply} of those who waited."""
        found = {}
        answered = self.contexts[0].answered
        for session, reply in answered:
            number = [context.session for context in self.contexts].index(session)
            session.waiting = False
            found[number] = plain(reply) if not isinstance(reply, Exception) else reply
        del answered[:]
        return found

    # -- time and ends ------------------------------------------------------------------------------------------------

    def pass_ms(self, ms):
        """Time passes, and the coordinator looks at the clock."""
        self.space.now_ms += ms
        self.tick()

    def tick(self):
        self.waiting.tick(0)
        self.jobs.tick(0)
        self.waiting.serve()

    def end(self, client):
        """The client's connection ends."""
        session = self.contexts[client].session
        self.jobs.session_ended(session)
        self.waiting.session_ended(session)
        self.waiting.serve()
        self.contexts[client] = EngineContext(other=self.contexts[0] if client else self.contexts[1])
        self.contexts[client].session.pid = 200 + client


WAITS = None


def plain(reply):
    """A reply as Python has it: maps as dicts with str names."""
    if isinstance(reply, resp.Map):
        return {name.decode(): plain(value) for name, value in reply}
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


def everything(space):
    """{key: all that a queue has} of a keyspace."""
    found = {}
    for key, queue in space.structures.by_key.items():
        if type(queue) is Queue:
            made = queue.copy()
            found[key] = (made.jobs, made.settings, made.holds, made.next_number, made.needs, made.leads,
                          made.size_bytes, queue.version)
    return found

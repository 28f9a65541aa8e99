"""Random histories of lock commands by several clients that die, time out and are forced out, with a log that refuses
now and then and coordinators that follow each other: what each of them was told never contradicts the others.

What is looked at after every step, from the answers alone: nobody is told that he has a lock which somebody was told
before that he has, unless that one released it, died, ran out of time or was forced out; tokens rise; who waits for
nothing is answered; nobody has what he was not told of.  The table verifies its own invariants.
"""

import random
import unittest

from nosqgrid.engine.loading import Loader
from nosqgrid.errors import DiskError
from tests.support.engine_context import EngineContext, Processes
from tests.support.tiers import FULL, slow
from tests.support.walks import ListLog, make_space

CLIENTS = 6
NAMES = ("a", "b", "c")
FIRST_PID = 100


class History(object):
    """One grid and its clients; `held` has what clients were told that they have: token -> (name, client, mode)."""

    def __init__(self, case, seed, logged):
        self.case, self.rng = case, random.Random(seed)
        self.log = ListLog() if logged else None
        self.space, self.header = make_space(1 << 20)
        self.space.now_ms = 1000
        self.wall_ms = 1700000000000
        self.held, self.waiting, self.last_token, self.request = {}, {}, 0, 0
        self.begin(self.space, ())

    def begin(self, space, living):
        space.wall_ms = lambda: self.wall_ms
        space.set_log(self.log)
        self.space = space
        self.processes = Processes(living)
        self.clients = [EngineContext(keyspace=space, processes=self.processes)]
        self.clients += [EngineContext(other=self.clients[0]) for _ in range(CLIENTS - 1)]
        for number, client in enumerate(self.clients):
            client.session.pid = FIRST_PID + number
        self.locks = self.clients[0].server.locks

    # -- what clients are told ----------------------------------------------------------------------------------------

    def told(self, client, reply, ask):
        """A client has this answer to what it asked for: names, a mode, and the lease."""
        if not reply.startswith(b"*"):
            return
        numbers = [int(line[1:]) for line in reply.split(b"\r\n") if line.startswith(b":")]
        names, mode, ttl_ms = ask
        for name, token in zip(names, numbers[::3]):
            self.case.assertGreater(token, self.last_token)
            self.last_token = token
            for other_name, other, other_mode, deadline_ms in self.held.values():
                if other_name == name and not mode == other_mode == "SHARED":
                    self.case.fail("%s was given to %d, and %d has it" % (name, client, other))
            self.held[token] = name, client, mode, self.space.now_ms + ttl_ms if ttl_ms else 0

    def answers(self):
        for session, reply in self.clients[0].answers():
            client = session - 1
            self.told(client, reply, self.waiting.pop(client))
            self.clients[client].session.waiting = False

    def drop_expired(self):
        self.held = {token: row for token, row in self.held.items() if not 0 < row[3] <= self.space.now_ms}

    # -- what happens -------------------------------------------------------------------------------------------------

    def acquire(self):
        client = self.rng.randrange(CLIENTS)
        if client in self.waiting:
            return
        mode = self.rng.choice(("EXCLUSIVE", "SHARED"))
        names = self.rng.sample(NAMES, self.rng.choice((1, 1, 1, 2)))
        ttl_ms = self.rng.choice((0, 0, 0, 30))
        self.request += 1
        words = ["LOCK.ACQUIRE", names[0]] if len(names) == 1 else ["LOCK.ACQUIREALL", len(names)] + names
        words += ["WAIT", self.rng.choice((0, 20, -1)), "REQUEST", self.request, "THREAD", "t"]
        words += ["SHARED"] if mode == "SHARED" else []
        words += ["TTL", ttl_ms] if ttl_ms else []
        context = self.clients[client]
        reply = context.call(*map(str, words))
        if context.session.waiting:
            self.waiting[client] = names, mode, ttl_ms
        else:
            self.told(client, reply, (names, mode, ttl_ms))

    def release(self):
        mine = [(token, row) for token, row in self.held.items() if row[1] not in self.waiting]
        if not mine:
            return
        token, (name, client, _, _) = self.rng.choice(mine)
        del self.held[token]
        reply = self.clients[client].call("LOCK.RELEASE", name, str(token))
        self.case.assertEqual(reply, b":0\r\n")

    def force(self):
        name = self.rng.choice(NAMES)
        self.held = {token: row for token, row in self.held.items() if row[0] != name}
        self.clients[0].call("LOCK.FORCE", name, "whim")

    def die(self):
        client = self.rng.randrange(CLIENTS)
        self.forget(client)
        session = self.clients[client].session
        self.locks.session_ended(session)
        self.clients[client].waiting.session_ended(session)
        session.waiting = False

    def forget(self, client):
        self.waiting.pop(client, None)
        self.held = {token: row for token, row in self.held.items() if row[1] != client}

    def unblock(self):
        if self.waiting:
            client = self.rng.choice(sorted(self.waiting))
            self.clients[0].waiting.unblock(self.clients[client].session, self.rng.random() < 0.5)

    def pass_time(self):
        self.space.now_ms += self.rng.choice((1, 5, 40))
        self.wall_ms += self.rng.choice((1, 100, -10 ** 6, 10 ** 6))
        self.drop_expired()
        self.clients[0].waiting.tick(0)
        self.locks.tick(0)

    def refuse(self):
        if self.log is not None:
            self.log.error = None if self.log.error else DiskError("full")

    def restart(self):
        """A coordinator follows; some clients have died meanwhile, the others present what they have."""
        if self.log is None:
            return
        self.log.error = None
        self.locks.tick(0)  # what ended meanwhile is in the log again
        target, _ = make_space(header=self.header)
        target.now_ms = self.space.now_ms
        loader = Loader(target)
        for first_lsn, count, payload in self.log.entries:
            loader.apply(first_lsn, count, payload, 0, False)
        loader.finish(self.space.version)
        self.waiting = {}
        alive = [client for client in range(CLIENTS) if self.rng.random() < 0.7]
        for client in set(range(CLIENTS)).difference(alive):
            self.forget(client)
        self.begin(target, [FIRST_PID + client for client in alive])
        for token, (name, client, mode, deadline_ms) in sorted(self.held.items()):
            ttl_ms = 30 if deadline_ms else 0
            reply = self.clients[client].call("LOCK.RECLAIM", name, str(token),
                                              "shared" if mode == "SHARED" else "exclusive", "1", "0", "0",
                                              str(ttl_ms), "t", "")
            self.case.assertEqual(reply, b":1\r\n")
            self.held[token] = name, client, mode, self.space.now_ms + ttl_ms if ttl_ms else 0  # it begins anew

    STEPS = [("acquire", 8), ("release", 5), ("force", 1), ("die", 1), ("unblock", 1), ("pass_time", 3), ("refuse", 1),
             ("restart", 1)]

    def step(self):
        name = self.rng.choice([name for name, weight in self.STEPS for _ in range(weight)])
        getattr(self, name)()
        self.answers()
        self.locks.table.check()
        self.case.assertEqual(set(self.locks.table.grants), set(self.held), name)
        self.case.assertEqual({session.id - 1 for session in self.locks._waits}, set(self.waiting), name)


class LockHistoriesTest(unittest.TestCase):

    def test_without_a_log(self):
        for seed in range(300 if FULL else 25):
            history = History(self, seed, False)
            for _ in range(150):
                history.step()
            history.space.check()

    @slow
    def test_with_a_log_that_refuses_and_coordinators_that_follow(self):
        for seed in range(300 if FULL else 25):
            history = History(self, seed, True)
            for _ in range(150):
                history.step()
            history.space.check()


if __name__ == "__main__":
    unittest.main()

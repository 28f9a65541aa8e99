"""The lock table against a simple one, under random requests: the same grants in the same order, after every step.

The model keeps a list of those who hold and a list of those who wait, in the order of coming, and after every step
grants from the front whatever can be granted, by looking at everything.
"""

import random
import unittest

from nosqgrid.engine.locks.table import EXCLUSIVE, SHARED, UNITS, Request, Table
from tests.support.tiers import FULL

NAMES = [b"a", b"b", b"c", b"d"]
LIMITS = {b"a": 0, b"b": 0, b"c": 3, b"d": 0}


class Model(object):
    """Holders and waiters as lists; grant() is all there is to it."""

    def __init__(self):
        self.holders = []  # (name, request)
        self.waiters = []

    @staticmethod
    def shared(*requests):
        return all(request.mode == SHARED for request in requests)

    def fits(self, request):
        for name in request.names:
            there = [holder for held, holder in self.holders if held == name]
            if request.mode == UNITS:
                if sum(holder.units for holder in there) + request.units > request.limit:
                    return False
            elif there and not self.shared(request, *there):
                return False
        return True

    def grant(self):
        """The requests that go in now, in their order."""
        went = []
        for request in list(self.waiters):
            before = self.waiters[:self.waiters.index(request)]
            blocked = any(set(earlier.names) & set(request.names) and not self.shared(earlier, request)
                          for earlier in before)
            if not blocked and self.fits(request):
                self.waiters.remove(request)
                self.holders += [(name, request) for name in request.names]
                went.append(request)
        return went


class LockTableModelTest(unittest.TestCase):

    def test_random_histories(self):
        for seed in range(2000 if FULL else 60):
            self.run_one(random.Random(seed))

    def run_one(self, rng):
        table, model, held, tokens = Table(), Model(), [], []
        for step in range(120):
            action = rng.random()
            if action < 0.45:
                request = self.random_request(rng, step)
                granted = table.ask(request, step)
                model.waiters.append(request)
            elif action < 0.55 and model.waiters:
                request = rng.choice(model.waiters)
                model.waiters.remove(request)
                granted = table.leave(request, step)
            elif action < 0.6:  # a try, which leaves nothing
                request, before = self.random_request(rng, step), len(model.holders)
                model.waiters.append(request)
                went = model.grant()
                grants = table.acquire(request, step)
                self.assertEqual(went, [] if grants is None else [request])
                if grants is None:
                    model.waiters.remove(request)
                    self.assertEqual(len(model.holders), before)
                granted = None
                held += grants or []
                tokens += [grant.token for grant in grants or ()]
            elif held:
                grant = held.pop(rng.randrange(len(held)))
                model.holders.remove((grant.name, grant.asked))
                granted = table.end(grant, step)
            else:
                continue
            if granted is not None:
                went = model.grant()
                self.assertEqual(sorted(went, key=id), sorted((request for request, _ in granted), key=id))
                for _, grants in granted:
                    held += grants
                    tokens += [grant.token for grant in grants]
            table.check()
            self.assertEqual(sorted((grant.name, grant.asked.number) for grant in table.grants.values()),
                             sorted((name, request.number) for name, request in model.holders))
        self.assertEqual(tokens, sorted(set(tokens)))
        for request in reversed(model.waiters):  # so that nobody goes in who was behind another
            table.leave(request, 0)
            table.check()
        for grant in list(table.grants.values()):
            table.end(grant, 0)
        self.assertEqual((table.locks, table.grants, table.held, table.waiting), ({}, {}, {}, {}))

    def random_request(self, rng, number):
        names = rng.sample(NAMES, 2) if rng.random() < 0.2 else [rng.choice(NAMES)]
        if b"c" in names:
            return Request([b"c"], number, None, number, UNITS, rng.randint(1, 3), 3)
        return Request(names, number, None, number, rng.choice((EXCLUSIVE, SHARED)))


if __name__ == "__main__":
    unittest.main()

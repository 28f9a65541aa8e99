"""The lock table for itself: orders, units, shared locks, several at once, depth, leases, tokens, circles."""

import unittest

from nosqgrid.engine.locks import deadlock
from nosqgrid.engine.locks.table import EXCLUSIVE, SHARED, UNITS, Request, Table
from nosqgrid.errors import CommandError


def ask(table, session, *names, **options):
    """The grants of a request, or the Request that waits now."""
    options.setdefault("node", session)
    request = Request(names, session, None, **options)
    granted = table.ask(request, 0)
    table.check()
    return granted[0][1] if granted else request


def sessions(granted):
    return [request.session for request, _ in granted]


class LockTableTest(unittest.TestCase):

    def setUp(self):
        self.table = Table()

    def tearDown(self):
        self.table.check()

    def one(self, session, name=b"a", **options):
        grants = ask(self.table, session, name, **options)
        return grants if isinstance(grants, Request) else grants[0]

    def end(self, grant, abandoned=False):
        if abandoned:
            self.table.abandon(grant.name)
        return self.table.end(grant, 0)

    def test_a_lock_goes_on_in_the_order_of_asking(self):
        grant = self.one("s0")
        for number in range(1, 6):
            self.assertIsInstance(self.one("s%d" % number), Request)
        for number in range(1, 6):
            (request, (grant,)), = self.end(grant)
            self.assertEqual(request.session, "s%d" % number)
        self.assertEqual(self.end(grant), [])
        self.assertEqual((self.table.locks, self.table.grants, self.table.held, self.table.by_node), ({}, {}, {}, {}))

    def test_tokens_rise_with_each_grant_of_any_lock(self):
        tokens = [self.one("s", b"%d" % number).token for number in range(5)]
        self.assertEqual(tokens, [1, 2, 3, 4, 5])
        self.assertEqual(Table(77).acquire(Request([b"x"], "s", None), 0)[0].token, 78)

    def test_readers_share_and_a_reader_stands_behind_a_writer_that_waits(self):
        first, second = self.one("r1", mode=SHARED), self.one("r2", mode=SHARED)
        writer = self.one("w", mode=EXCLUSIVE)
        late = self.one("r3", mode=SHARED)
        self.assertIsInstance(writer, Request)
        self.assertIsInstance(late, Request)
        self.assertEqual(self.end(first), [])
        (_, (held,)), = self.end(second)
        self.assertEqual(held.session, "w")
        self.assertIsInstance(self.one("r4", mode=SHARED), Request)
        self.assertEqual(sessions(self.end(held)), ["r3", "r4"])

    def test_a_writer_that_leaves_lets_the_readers_behind_it_in(self):
        self.one("r1", mode=SHARED)
        writer = self.one("w")
        self.one("r2", mode=SHARED)
        self.assertEqual(sessions(self.table.leave(writer, 0)), ["r2"])

    def test_units_are_counted_and_a_large_request_is_not_passed_by(self):
        three = self.one("a", mode=UNITS, limit=4, units=3)
        self.assertIsInstance(self.one("b", mode=UNITS, limit=4, units=2), Request)
        self.assertIsInstance(self.one("c", mode=UNITS, limit=4, units=1), Request)
        self.assertEqual(sessions(self.table.give_back(three, 1, 0)), ["b"])
        self.assertEqual(sessions(self.table.give_back(three, 1, 0)), ["c"])

    def test_a_limit_stands_while_the_lock_is_in_use(self):
        grant = self.one("a", mode=UNITS, limit=4)
        for limit in (0, 3, 5):
            with self.assertRaisesRegex(CommandError, "a limit of 4 units"):
                self.one("b", mode=UNITS if limit else EXCLUSIVE, limit=limit)
        self.end(grant)
        self.assertEqual(self.one("b", mode=UNITS, limit=5).units, 1)

    def test_a_try_leaves_nothing(self):
        self.one("a", mode=UNITS, limit=1)
        self.assertIsNone(self.table.acquire(Request((b"a",), "b", None, "b", UNITS, limit=1), 0))
        self.assertEqual(len(self.table.locks[b"a"].queue), 0)
        self.assertEqual(self.table.waiting, {})

    def test_several_locks_are_had_together_or_not_at_all(self):
        grant = self.one("x", b"b")
        request = ask(self.table, "m", b"a", b"b", b"c")
        self.assertIsInstance(request, Request)
        self.assertEqual(list(self.table.grants), [grant.token])  # it holds none of them meanwhile
        self.assertIsInstance(self.one("y", b"a"), Request)  # and is not passed by
        (request, grants), = self.end(grant)
        self.assertEqual([(grant.name, grant.session) for grant in grants], [(b"a", "m"), (b"b", "m"), (b"c", "m")])
        self.assertEqual(sessions(self.end(grants[0])), ["y"])

    def test_two_multilocks_in_opposite_order_never_wait_for_each_other(self):
        grants = ask(self.table, "m", b"a", b"b")
        other = ask(self.table, "n", b"b", b"a")
        third = ask(self.table, "o", b"a", b"b")
        self.assertIsInstance(other, Request)
        self.assertEqual(self.end(grants[0]), [])
        self.assertEqual(sessions(self.end(grants[1])), ["n"])
        self.assertEqual(self.table.leave(third, 0), [])

    def test_who_has_it_already_has_it_deeper(self):
        grant = self.one("a", reentrant=True, node="t")
        again = self.one("other session of the thread", reentrant=True, node="t")
        self.assertIs(again, grant)
        self.assertEqual((grant.depth, grant.session), (2, "a"))
        self.assertIsInstance(self.one("b", reentrant=True, node="u"), Request)

    def test_a_reader_that_reads_again_does_not_wait_for_the_writer_behind_it(self):
        grant = self.one("a", mode=SHARED, reentrant=True)
        self.one("w")
        self.assertIs(self.one("a", mode=SHARED, reentrant=True), grant)

    def test_the_next_one_hears_that_a_lock_was_abandoned(self):
        grant = self.one("a")
        self.one("b")
        (_, (held,)), = self.end(grant, abandoned=True)
        self.assertTrue(held.abandoned)
        self.end(held)
        self.assertFalse(self.one("c").abandoned)

    def test_a_lock_nobody_wants_stays_abandoned_until_somebody_can_repair_it(self):
        self.end(self.one("a"), abandoned=True)
        self.assertEqual(self.table.locks, {})
        readers = [self.one("r%d" % number, mode=SHARED) for number in range(2)]
        self.assertEqual([reader.abandoned for reader in readers], [True, True])
        for reader in readers:
            self.end(reader)
        writer = self.one("w")
        self.assertTrue(writer.abandoned)
        self.end(writer)
        self.assertFalse(self.one("x").abandoned)

    def test_leases(self):
        table = self.table
        grant = table.acquire(Request((b"a",), "s", None, ttl_ms=100), 50)[0]
        self.assertEqual(table.next_deadline_ms(), 150)
        table.extend(grant, 500, 60)
        self.assertEqual((table.expired(559), table.next_deadline_ms()), ([], 560))
        table.extend(grant, 0, 60)
        self.assertIsNone(table.next_deadline_ms())
        table.extend(grant, 1, 60)
        self.assertEqual(table.expired(61), [grant])
        for _ in range(1000):
            table.extend(grant, 10, 61)
        self.assertLess(len(table.leases), 100)

    def test_frozen_nothing_is_granted_but_what_is_presented_again(self):
        table = Table(10, frozen=True)
        waiting = ask(table, "b", b"a")
        self.assertIsInstance(waiting, Request)
        grant = table.regrant(Request((b"a",), "a", None), 500, 0)
        self.assertEqual(grant.token, 500)
        self.assertIsNone(table.regrant(Request((b"a",), "c", None), 501, 0))
        ask(table, "d", b"free")
        self.assertEqual(sessions(table.thaw(0)), ["d"])
        (_, (held,)), = table.end(grant, 0)
        self.assertEqual((held.session, held.token), ("b", 502))
        table.check()

    def test_an_owner_is_replaced(self):
        grant = self.one("a")
        self.table.hand_over(grant, "b")
        self.assertEqual(list(self.table.held), ["b"])
        self.table.check()


class CircleTest(unittest.TestCase):

    def circle(self, table, session, name, **options):
        return deadlock.circle(table, Request((name,), session, None, node=session, **options))

    def test_circles_of_one_to_five(self):
        for size in range(1, 6):
            table = Table()
            for number in range(size):
                ask(table, number, b"%d" % number)
            for number in range(1, size):
                self.assertIsNone(self.circle(table, number, b"%d" % ((number + 1) % size)))
                ask(table, number, b"%d" % ((number + 1) % size))
            found = self.circle(table, 0, b"%d" % (1 % size))
            self.assertEqual(found, [(number, b"%d" % ((number + 1) % size)) for number in range(size)])

    def test_a_chain_is_no_circle(self):
        table = Table()
        for number in range(5):
            ask(table, number, b"%d" % number)
        for number in range(4):
            self.assertIsNone(self.circle(table, number, b"%d" % (number + 1)))
            ask(table, number, b"%d" % (number + 1))

    def test_who_stands_before_counts_too(self):
        table = Table()
        ask(table, "reader", b"a", mode=SHARED)
        ask(table, "reader", b"b")
        ask(table, "writer", b"c")
        ask(table, "writer", b"a")  # waits for the reader
        ask(table, "late", b"d")
        self.assertIsInstance(ask(table, "late", b"a", mode=SHARED), Request)  # waits for the writer
        self.assertEqual([node for node, _ in self.circle(table, "reader", b"d")], ["reader", "late", "writer"])

    def test_readers_do_not_wait_for_readers(self):
        table = Table()
        ask(table, "r1", b"a", mode=SHARED)
        ask(table, "r2", b"a", mode=SHARED)
        ask(table, "r2", b"b")
        ask(table, "r1", b"b")
        self.assertIsNone(self.circle(table, "r2", b"a", mode=SHARED))
        self.assertIsNotNone(self.circle(table, "r2", b"a"))

    def test_a_reader_that_wants_to_write_waits_for_itself(self):
        table = Table()
        ask(table, "r", b"a", mode=SHARED)
        self.assertEqual(self.circle(table, "r", b"a"), [("r", b"a")])

    def test_semaphores_of_several_units_make_no_circle(self):
        table = Table()
        ask(table, "a", b"s", mode=UNITS, limit=2, units=2)
        self.assertIsNone(self.circle(table, "a", b"s", mode=UNITS, limit=2))
        ask(table, "b", b"one", mode=UNITS, limit=1)
        self.assertIsNotNone(self.circle(table, "b", b"one", mode=UNITS, limit=1))

    def test_what_a_token_owns_makes_no_circle(self):
        table = Table()
        ask(table, "a", b"a", detached=True)
        self.assertIsNone(self.circle(table, "a", b"a"))

    def test_a_thousand_in_a_queue_are_looked_at_once(self):
        table = Table()
        ask(table, "holder", b"a")
        for number in range(1000):
            table.ask(Request((b"a",), number, None, node=number), 0)
        ask(table, "holder", b"b")
        ask(table, "late", b"c")
        seen = []
        locks = table.locks[b"a"].queue
        table.waiting = _Counting(table.waiting, seen)
        self.assertIsNone(self.circle(table, "late", b"a"))
        self.assertEqual(len(locks), 1000)
        self.assertLessEqual(len(seen), 1001)


class _Counting(dict):
    """A dict that notes what is asked of it."""

    def __init__(self, items, seen):
        super().__init__(items)
        self._seen = seen

    def get(self, key, default=None):
        self._seen.append(key)
        return super().get(key, default)


if __name__ == "__main__":
    unittest.main()

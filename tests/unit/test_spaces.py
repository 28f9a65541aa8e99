"""The spaces for locks, queues, topics and schedules: in no database, never evicted, and kept when all is cleared."""

import unittest

from nosqgrid.engine import databases
from nosqgrid.engine.loading import Loader
from nosqgrid.engine.structures.lists import List
from nosqgrid.formats import values
from nosqgrid.storage.recovery import PlainState
from tests.support.engine_context import EngineContext, EngineTest, contents
from tests.support.evicting import EvictingGrid
from tests.support.keyspaces import make_keyspace
from tests.support.tiers import slow

QUEUE = databases.in_space(databases.QUEUES, b"mail")
EVENT = databases.in_space(databases.LOCKS, b"ready")


def fill(keyspace):
    """A structure and a plain value in two spaces."""
    found = List()
    found.apply([b"rpush", b"a", b"b"])
    keyspace.put(QUEUE, found)
    keyspace.store(EVENT, values.BYTES, b"1")


class NamesTest(unittest.TestCase):
    def test_spaces_are_behind_the_databases(self):
        self.assertEqual(databases.name_of(QUEUE), b"mail")
        self.assertEqual(databases.number_of(QUEUE), databases.QUEUES)
        self.assertEqual([databases.is_hidden(key) for key in (QUEUE, EVENT, b"mail", databases.prefix_of(15) + b"x",
                                                               databases.PREFIX, databases.PREFIX + b"\xff")],
                         [True, True, False, False, False, False])
        self.assertEqual(set(databases.SPACE_NAMES), set(databases.SPACES))


class HiddenTest(EngineTest):
    def setUp(self):
        super().setUp()
        self.context.call("SET", "k", "v")
        fill(self.keyspace)

    def test_no_database_has_them(self):
        for number in (0, 1):
            self.context.call("SELECT", str(number))
            for words in (("KEYS", "*"), ("SCAN", "0"), ("DBSIZE",), ("RANDOMKEY",)):
                self.assertNotIn(b"mail", self.context.call(*words))
            self.assertEqual(self.context.call("DBSIZE"), b":%d\r\n" % (not number))

    def test_they_stay_when_everything_is_cleared(self):
        for words in (("FLUSHDB",), ("FLUSHALL",)):
            self.context.call("SET", "k", "v")
            self.context.call(*words)
            self.assertEqual(self.context.call("DBSIZE"), b":0\r\n")
            self.assertEqual(list(self.keyspace.structure(QUEUE, List)), [b"a", b"b"])
            self.assertEqual(self.keyspace.lookup(EVENT).value, b"1")
            self.keyspace.check()

    def test_nobody_hears_of_them(self):
        self.context.pubsub.set_events(b"KEA")
        self.context.call("PSUBSCRIBE", "*")
        del self.context.pushed[:]
        self.context.pubsub.notify(b"g", b"del", EVENT)
        self.assertEqual(self.context.pushed, [])
        self.context.pubsub.notify(b"g", b"del", b"k")
        self.assertEqual(len(self.context.pushed), 2)


class ListLog(object):
    def __init__(self):
        self.entries = []

    def append(self, first_lsn, count, payload):
        self.entries.append((first_lsn, count, payload))


class ClearedTest(unittest.TestCase):
    def logged(self):
        context = EngineContext()
        log = ListLog()
        context.keyspace.set_log(log)
        fill(context.keyspace)
        context.call("SET", "k", "v")
        versions = [context.keyspace.version_of(key) for key in (QUEUE, EVENT)]
        context.call("FLUSHALL")
        self.assertEqual([context.keyspace.version_of(key) for key in (QUEUE, EVENT)], versions)
        context.call("SET", "l", "w")
        context.keyspace.change(QUEUE, context.keyspace.structure(QUEUE, List), [b"rpush", b"c"])
        return context.keyspace, log.entries

    def test_a_replay_of_the_log_leaves_what_was(self):
        keyspace, entries = self.logged()
        for skipped in range(len(entries)):  # fuzzy: what the first ones made is there already, at its positions
            other, _ = make_keyspace()
            loader = Loader(other)
            for entry in entries[:skipped]:
                loader.apply(*entry, shift_ms=0, fuzzy=False)
            for entry in entries:
                loader.apply(*entry, shift_ms=0, fuzzy=True)
            loader.finish(keyspace.version)
            self.assertEqual(contents(other), contents(keyspace))
            other.check()

    def test_what_only_reads_the_log_finds_the_same(self):
        keyspace, entries = self.logged()
        parsed = PlainState()
        for entry in entries:
            parsed.apply(*entry, shift_ms=0, fuzzy=False)
        self.assertEqual(set(parsed.entries), set(contents(keyspace)))


class EvictionTest(unittest.TestCase):
    @slow
    def test_they_are_not_evicted(self):
        grid = EvictingGrid("lru")
        keyspace = grid.space
        fill(keyspace)
        grid.fill([b"k%d" % number for number in range(20000)], b"v" * 100)
        self.assertGreater(keyspace.evictor.evicted["capacity"], 1000)
        self.assertEqual(list(keyspace.structure(QUEUE, List)), [b"a", b"b"])
        self.assertEqual(keyspace.lookup(EVENT).value, b"1")
        keyspace.evict_structures(1 << 40, keyspace.evictor._may_go, self.fail)
        keyspace.check()
        keyspace.evictor.check()


if __name__ == "__main__":
    unittest.main()

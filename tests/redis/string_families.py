"""What the tests of strings and of what lies in strings share: events, and a key that has something else."""

from nosqgrid.engine.structures.structure import Structure
from nosqgrid.formats import values
from tests.support.engine_context import EngineTest

WRONGTYPE = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
NULL = b"$-1\r\n"
OK = b"+OK\r\n"


def wrong_arity(name):
    return b"-ERR wrong number of arguments for '%b' command\r\n" % name.lower().encode("ascii")


def error(text):
    return b"-ERR %b\r\n" % text.encode("ascii")


class Other(Structure):
    """A structure with one element, for commands that do not want one."""

    __slots__ = ()
    TYPE = values.LIST

    def __len__(self):
        return 1

    def changes(self):
        return iter([[b"fill"]])


class StringFamilyTest(EngineTest):
    """A key `list` that has a structure; events() gives those since the last look."""

    def setUp(self):
        super().setUp()
        self.keyspace.put(b"list", Other())
        self._events = []
        self.context.notify = lambda letter, event, key: self._events.append((letter, event, key))

    def events(self):
        events = [b"%b %b %b" % event for event in self._events]
        del self._events[:]
        return events

    def value(self, key):
        return self.keyspace.lookup(key).value

    def run_events(self, table):
        """Each row: a command in words, and the events that it makes, as `letter event key`."""
        for line, expected in table:
            words = line.split() if isinstance(line, str) else line
            self.context.call(*words)
            self.assertEqual(self.events(), expected, line)

    def refuse_structures(self, lines):
        """Each command is refused for the structure in `list`, makes no event, and changes nothing."""
        version = self.keyspace.version
        for line in lines:
            words = line.split() if isinstance(line, str) else line
            self.assertEqual(self.context.call(*words), WRONGTYPE, line)
        self.assertEqual((self.events(), self.keyspace.version), ([], version))

    def refuse_counts(self, least, most):
        """Each name with less words than `least` says, or more than `most`, is refused."""
        for name, count in list(least.items()) + [(name, count + 2) for name, count in most.items()]:
            self.assertEqual(self.context.call(name, *["k"] * (count - 2)), wrong_arity(name), (name, count))

"""The sixteen databases that Redis clients see, and the spaces that no client sees, in one keyspace.

A key of database 0 is the key itself, so that the grid's own clients and those of Redis have the same ones.  A key of
another database begins with PREFIX and its number; its record has a flag (formats/records, ELSEWHERE), so that what is
removed without a look at its key is counted all the same.

The spaces hold what locks, queues, topics and schedules are made of, under keys of the same kind with higher numbers.
They are in no database: no walk meets them, no policy evicts them, and they stay when everything is cleared.
"""

PREFIX = b"\xff\x00db"
PREFIX_SIZE_BYTES = len(PREFIX)
COUNT = 16
LOCKS, QUEUES, TOPICS, SCHEDULES = SPACES = range(COUNT, COUNT + 4)
SPACE_NAMES = {LOCKS: "locks", QUEUES: "queues", TOPICS: "topics", SCHEDULES: "schedules"}

_END = COUNT + len(SPACES)
_PREFIXES = [b""] + [PREFIX + bytes((number,)) for number in range(1, _END)]
_PREFIXED_SIZE_BYTES = PREFIX_SIZE_BYTES + 1


def prefix_of(number):
    """What the keys of a database begin with."""
    return _PREFIXES[number]


def number_of(key):
    """The database that a key belongs to."""
    if key[:PREFIX_SIZE_BYTES] != PREFIX or len(key) < _PREFIXED_SIZE_BYTES:
        return 0
    return key[PREFIX_SIZE_BYTES] if 0 < key[PREFIX_SIZE_BYTES] < _END else 0


def in_space(number, name):
    """The key of something with this name in one of the spaces."""
    return _PREFIXES[number] + name


def is_hidden(key):
    """Whether a key belongs to one of the spaces, and to no database."""
    return key[:PREFIX_SIZE_BYTES] == PREFIX and COUNT <= number_of(key)


def name_of(key):
    """The key as its database's clients know it."""
    return key[_PREFIXED_SIZE_BYTES:] if number_of(key) else key


def key_in(number, key):
    """The key that has the same name in another database, or in this."""
    return _PREFIXES[number] + name_of(key)


class Databases(object):
    """How many keys the databases and spaces have, and how many of them expire; but for database 0, which has all the
    others.  `hidden` has the keys of the spaces.
    """

    def __init__(self):
        self.cleared()

    def added(self, key, expires):
        """A new key was published."""
        number = number_of(key)
        self.counts[number] += 1
        self.expiring[number] += expires
        if number >= COUNT:
            self.hidden[key] = None

    def removed(self, key, expires):
        """A key is gone, or its record was replaced."""
        number = number_of(key)
        self.counts[number] -= 1
        self.expiring[number] -= expires
        if number >= COUNT:
            self.hidden.pop(key, None)

    def cleared(self):
        self.counts = [0] * _END
        self.expiring = [0] * _END
        self.hidden = {}

    def key_count(self, number, all_count):
        """Keys of a database, where there are so many in all."""
        return self.counts[number] if number else all_count - sum(self.counts[1:])

    def expiring_count(self, number, all_count):
        """Keys of a database that have a deadline, where there are so many in all."""
        return self.expiring[number] if number else all_count - sum(self.expiring[1:])

"""The sixteen databases that Redis clients see, in one keyspace.

A key of database 0 is the key itself, so that the grid's own clients and those of Redis have the same ones.  A key of
another database begins with PREFIX and its number; its record has a flag (formats/records, ELSEWHERE), so that what is
removed without a look at its key is counted all the same.
"""

PREFIX = b"\xff\x00db"
PREFIX_SIZE_BYTES = len(PREFIX)
COUNT = 16

_PREFIXES = [b""] + [PREFIX + bytes((number,)) for number in range(1, COUNT)]
_PREFIXED_SIZE_BYTES = PREFIX_SIZE_BYTES + 1


def prefix_of(number):
    """What the keys of a database begin with."""
    return _PREFIXES[number]


def number_of(key):
    """The database that a key belongs to."""
    if key[:PREFIX_SIZE_BYTES] != PREFIX or len(key) < _PREFIXED_SIZE_BYTES:
        return 0
    return key[PREFIX_SIZE_BYTES] if 0 < key[PREFIX_SIZE_BYTES] < COUNT else 0


def name_of(key):
    """The key as its database's clients know it."""
    return key[_PREFIXED_SIZE_BYTES:] if number_of(key) else key


def key_in(number, key):
    """The key that has the same name in another database, or in this."""
    return _PREFIXES[number] + name_of(key)


class Databases(object):
    """How many keys the databases have, and how many of them expire; but for database 0, which has all the others."""

    def __init__(self):
        self.cleared()

    def added(self, key, expires):
        """A new key was published."""
        number = number_of(key)
        self.counts[number] += 1
        self.expiring[number] += expires

    def removed(self, key, expires):
        """A key is gone, or its record was replaced."""
        number = number_of(key)
        self.counts[number] -= 1
        self.expiring[number] -= expires

    def cleared(self):
        self.counts = [0] * COUNT
        self.expiring = [0] * COUNT

    def key_count(self, number, all_count):
        """Keys of a database, where there are so many in all."""
        return self.counts[number] if number else all_count - sum(self.counts[1:])

    def expiring_count(self, number, all_count):
        """Keys of a database that have a deadline, where there are so many in all."""
        return self.expiring[number] if number else all_count - sum(self.expiring[1:])

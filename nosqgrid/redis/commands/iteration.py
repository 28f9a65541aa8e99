"""What takes more than one command, for sync clients: iterators over SCAN, and the dict-like methods."""


class IterationCommands(object):
    """Methods of a client whose commands return their results."""

    def scan_iter(self, match=None, count=None, _type=None, **kwargs):
        """All keys that match, one by one; those that are there all the time come at least once."""
        return _iterated(lambda cursor: self.scan(cursor, match, count, _type, **kwargs))

    def sscan_iter(self, name, match=None, count=None):
        """The members of a set."""
        return _iterated(lambda cursor: self.sscan(name, cursor, match, count))

    def hscan_iter(self, name, match=None, count=None, no_values=None):
        """(name, value) of the fields of a hash, or with no_values their names."""
        def page(cursor):
            cursor, fields = self.hscan(name, cursor, match, count, no_values)
            return cursor, fields if no_values else fields.items()
        return _iterated(page)

    def zscan_iter(self, name, match=None, count=None, score_cast_func=float):
        """(member, score) of a sorted set."""
        return _iterated(lambda cursor: self.zscan(name, cursor, match, count, score_cast_func))

    def __contains__(self, name):
        return bool(self.exists(name))

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name, value):
        self.set(name, value)

    def __delitem__(self, name):
        self.delete(name)


def _iterated(page):
    cursor = 0
    while True:
        cursor, items = page(cursor)
        yield from items
        if cursor == 0:
            return

"""What is to outlive a coordinator of its locks: records, each with a key and some words, and how far tokens may be.

    put key word ...    a record, in the place of what the key has
    del key             no record
    high number         tokens up to this number may have been given

What the records say is the business of engine/locks/kept.  There is one such structure in a grid, in the space of
locks; the log has each change of it, and the checkpoint all of it.
"""

from ...errors import CorruptValueError
from ...formats import values
from .structure import Structure

RECORD_BYTES = 300  # of a record beside its words: objects, and a place in the dict
HIGH_MAX = 1 << 62


class Grants(Structure):
    """The records by their keys, in `items`, and `high`."""

    __slots__ = ("items", "high")

    TYPE = values.GRANTS
    KEPT_EMPTY = True
    PERMANENT = True

    def __init__(self):
        super().__init__()
        self.items = {}
        self.high = 0

    def apply(self, words):
        name, count = words[0] if words else None, len(words)
        if name == b"put" and count > 1:
            return self._put(words[1], tuple(words[2:]))
        if name == b"del" and count == 2:
            return self._delete(words[1])
        if name == b"high" and count == 2 and words[1].isdigit() and int(words[1][:20]) <= HIGH_MAX:
            before, self.high = self.high, int(words[1])
            return [[b"high", b"%d" % before]]
        raise CorruptValueError("no change of the locks that are held: %d words, the first %.20r" % (count, words[:1]))

    def _put(self, key, record):
        before = self.items.get(key)
        self.items[key] = record
        self.size_bytes += _size(key, record)
        if before is None:
            return [[b"del", key]]
        self.size_bytes -= _size(key, before)
        return [[b"put", key] + list(before)]

    def _delete(self, key):
        before = self.items.pop(key, None)
        if before is None:
            return []
        self.size_bytes -= _size(key, before)
        return [[b"put", key] + list(before)]

    def __len__(self):
        return len(self.items)

    def changes(self):
        yield [b"high", b"%d" % self.high]
        for key, record in self.items.items():
            yield [b"put", key] + list(record)

    def copy(self):
        made = Grants()
        for words in self.changes():
            made.apply(words)
        return made

    def shrink(self, count):
        for _ in range(min(count, len(self.items))):
            self.items.popitem()
        return not self.items


def _size(key, record):
    return RECORD_BYTES + len(key) + sum(map(len, record))

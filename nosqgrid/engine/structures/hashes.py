"""Hashes: different fields, each with a value.

    hset field value ...    add fields, or give those that are there another value
    hdel field ...          remove those that are there

What clients see of the order is that of adding; another value leaves a field in its place.
"""

from ...errors import CorruptValueError
from ...formats import values
from .members import CHANGE_BYTES, SMALL, Members

FIELD_BYTES = 140  # of a field and its value beside their own bytes: two objects, a place in the dict and in the list


class Hash(Members):
    """A hash; `items` has the value of each field.  It is compact while there are few and none is long."""

    __slots__ = ()

    TYPE = values.HASH
    COMPACT_ENTRIES_MAX = 512  # of a "listpack"
    COMPACT_BYTES_MAX = 64  # of each field and value in one

    def apply(self, words):
        if len(words) == 3 and words[0] == b"hset":
            _, field, value = words
            items = self.items
            old = items.get(field)
            items[field] = value
            if self.compact and (len(value) > self.COMPACT_BYTES_MAX or len(field) > self.COMPACT_BYTES_MAX
                                  or len(items) > self.COMPACT_ENTRIES_MAX):
                self.compact = False
            if old is not None:
                self.size_bytes += len(value) - len(old)
                return [[b"hset", field, old]]
            self.size_bytes += len(field) + len(value) + FIELD_BYTES
            if self.order is not None or len(items) > SMALL:
                self._placed(field)
            return [[b"hdel", field]]
        if len(words) == 2 and words[0] == b"hdel":
            field = words[1]
            old = self.items.pop(field, None)
            if old is None:
                return []
            self.size_bytes -= len(field) + len(old) + FIELD_BYTES
            if self.order is not None:
                self._left(field)
            return [[b"hset", field, old]]
        return self._apply_many(words)

    def _apply_many(self, words):
        name, count = words[0] if words else None, len(words)
        if name == b"hset" and count > 3 and count % 2:
            parts = ((name, words[position], words[position + 1]) for position in range(1, count, 2))
        elif name == b"hdel" and count > 2:
            parts = ((name, words[position]) for position in range(1, count))
        else:
            raise CorruptValueError("no change of a hash: %d words, the first %.20r" % (count, words[:1]))
        added, restored = [b"hdel"], []
        for part in parts:
            for inverse in self.apply(part):
                if inverse[0] == b"hdel":
                    added.append(inverse[1])
                else:
                    restored.append(inverse)
        # The other way round, so that a field changed twice ends with its first value; what was added goes last.
        inverses = [[b"hset"] + [word for inverse in reversed(restored) for word in inverse[1:]]] if restored else []
        return inverses + [added] if len(added) > 1 else inverses

    def encoding(self):
        """How Redis would keep it, as OBJECT ENCODING says it."""
        return b"listpack" if self.compact else b"hashtable"

    def changes(self):
        words, size = [b"hset"], 0
        for field, value in self.items.items():
            words.append(field)
            words.append(value)
            size += len(field) + len(value)
            if size >= CHANGE_BYTES:
                yield words
                words, size = [b"hset"], 0
        if len(words) > 1:
            yield words

    def copy(self):
        return self._copy_to(Hash())

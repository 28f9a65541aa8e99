"""A map from ids to anything, in the order of the ids: what is pending in a stream's groups.

Invariants
 1. _keys is a list of lists, none of them empty, sorted within and among each other; _values has what belongs to each.
 2. _firsts has the first key of each list.
"""

from bisect import bisect_left, bisect_right

_LIST_KEYS_MAX = 512


class OrderedIds(object):
    """Adding behind the last costs O(1), everything else O(log n) and moving half a list of 512."""

    __slots__ = ("_firsts", "_keys", "_values", "_count")

    def __init__(self):
        self._firsts, self._keys, self._values = [], [], []
        self._count = 0

    def __len__(self):
        return self._count

    def _place(self, key):
        """(list, position in it) where a key is or would be put."""
        index = max(bisect_right(self._firsts, key) - 1, 0)
        return index, bisect_left(self._keys[index], key) if self._keys else 0

    def get(self, key):
        """What a key has, or None."""
        if not self._keys or key > self._keys[-1][-1]:
            return None
        index, position = self._place(key)
        keys = self._keys[index]
        return self._values[index][position] if position < len(keys) and keys[position] == key else None

    def add(self, key, value):
        """Add a key that is not there."""
        self._count += 1
        if not self._keys or key > self._keys[-1][-1]:
            self._append(key, value)
            return
        index, position = self._place(key)
        keys, values = self._keys[index], self._values[index]
        keys.insert(position, key)
        values.insert(position, value)
        self._firsts[index] = keys[0]
        if len(keys) > _LIST_KEYS_MAX:
            half = len(keys) // 2
            self._keys[index:index + 1] = [keys[:half], keys[half:]]
            self._values[index:index + 1] = [values[:half], values[half:]]
            self._firsts.insert(index + 1, keys[half])

    def _append(self, key, value):
        if self._keys and len(self._keys[-1]) < _LIST_KEYS_MAX:
            self._keys[-1].append(key)
            self._values[-1].append(value)
            return
        self._firsts.append(key)
        self._keys.append([key])
        self._values.append([value])

    def pop(self, key):
        """Remove a key that is there; what it had."""
        index, position = self._place(key)
        keys = self._keys[index]
        if position == len(keys) or keys[position] != key:
            raise KeyError(key)
        self._count -= 1
        value = self._values[index].pop(position)
        del keys[position]
        if not keys:
            del self._keys[index], self._values[index], self._firsts[index]
        elif not position:
            self._firsts[index] = keys[0]
        return value

    def first(self):
        """The first key; there is one."""
        return self._keys[0][0]

    def last(self):
        """The last key; there is one."""
        return self._keys[-1][-1]

    def items(self, start=b""):
        """Yield (key, value) from a key on.  It must not change meanwhile."""
        if not self._keys:
            return
        index, position = self._place(start)
        for number in range(index, len(self._keys)):
            keys, values = self._keys[number], self._values[number]
            for at in range(position, len(keys)):
                yield keys[at], values[at]
            position = 0

    def shrink(self):
        """Let go of the last list of keys; whether none is left."""
        if self._keys:
            self._count -= len(self._keys.pop())
            del self._values[-1], self._firsts[-1]
        return not self._keys

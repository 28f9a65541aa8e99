"""Least recently used: one list, the victim is its oldest.  The interface is explained in the package."""

from .lists import LIST_COUNT_MAX


class Lru(object):
    """A policy over one list of `lists` (NodeLists)."""

    __slots__ = ("_lists", "_list", "capacity")

    def __init__(self, lists, capacity=0):
        self._lists = lists
        self._list = lists.open()
        self.capacity = capacity

    @property
    def numbers(self):
        """The numbers of its lists."""
        return (self._list,)

    @property
    def weight(self):
        """Of all its records."""
        return self._lists.weights[self._list]

    @property
    def count(self):
        """Of its records."""
        return self._lists.counts[self._list]

    @property
    def size_bytes(self):
        """Memory beyond the arrays."""
        return 0

    def set_capacity(self, weight):
        """Noted, of no influence on the order."""
        self.capacity = weight

    def added(self, node, key_hash, weight):
        """A record is new in this slot.  Cost: O(1)."""
        lists = self._lists
        if lists.owner[node]:
            lists.remove(node)
        lists.insert(self._list, node, weight)

    def changed(self, node, key_hash, weight):
        """It was overwritten.  Cost: O(1)."""
        if self._lists.owner[node] == self._list and node > LIST_COUNT_MAX:
            self._lists.reweigh(node, weight)
            self._lists.to_front(self._list, node)

    def touched(self, node, key_hash):
        """It was read.  Cost: O(1)."""
        number = self._list
        if self._lists.owner[node] == number and node > LIST_COUNT_MAX:
            self._lists.to_front(number, node)

    def removed(self, node):
        """It is gone.  Cost: O(1)."""
        if self._lists.owner[node] == self._list:
            self._lists.remove(node)

    def moved(self, old_node, new_node):
        """It lies in another slot now.  Cost: O(1)."""
        if self._lists.owner[old_node] == self._list:
            self._lists.move(old_node, new_node)

    def next_victim(self):
        """The node that was not used for longest, or 0.  Cost: O(1)."""
        return self._lists.oldest(self._list)

    def spared(self, node):
        """It could not go.  Cost: O(1)."""
        self.touched(node, 0)

    def clear(self):
        """Forget all records.  Cost: O(count)."""
        self._lists.clear(self._list)

    def close(self):
        """Forget all records and give the list back; the policy must not be used any more."""
        self._lists.close(self._list)

    def check(self):
        """Raise InvariantError where the list is not what it should be.  Cost: O(count)."""
        self._lists.check(self._list)

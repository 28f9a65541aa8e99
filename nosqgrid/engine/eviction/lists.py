"""Doubly linked lists of records in four flat arrays: 13 bytes a slot word, and no Python object.

A node is the index of a slot word of the arena, so the arrays are as long as header and index areas have words.
They are anonymous memory, handed in by the caller: pages nobody touched cost nothing, and zero means "in no list".  The
first words of an arena are its header, never slots; so list number n is the circle that begins and ends at node n.
Unlinking is two stores without a condition.

    owner[node]   number of the list the node is in, 0 for none; owner[n] = n for a list n that is open
    next[node], prev[node]   its neighbours, towards older and towards newer; next[n] is the newest, prev[n] the oldest
    weight[node]  size of the record in units of 8 bytes; weight[n] is 0

The arrays belong to one process; a kill leaves nothing that anybody else reads.

Invariants, verified by `check`:
 1. Following `next` from n leads through exactly the nodes with owner n and back to n; following `prev` too, reversed.
 2. `weights[n]` and `counts[n]` are the sums over these nodes.
"""

from ...errors import InvariantError, UsageError

LIST_COUNT_MAX = 255  # a list number fits into a byte, and a header page has 512 words
NODE_BYTES = 13
_TYPES = (("next", "I"), ("prev", "I"), ("weight", "I"), ("owner", "B"))


class NodeLists(object):
    """All lists over one set of arrays.

    `next_`, `prev`, `weight` are writable sequences of 32-bit unsigned numbers (memoryviews cast to "I"), `owner` of
    bytes, all zeros at first and of one length; nodes from LIST_COUNT_MAX + 1 on may be put into lists.
    Hot policies reach into the arrays themselves: a call costs as much as the work.
    """

    __slots__ = ("next", "prev", "weight", "owner", "weights", "counts", "_free")

    def __init__(self, next_, prev, weight, owner):
        if not len(next_) == len(prev) == len(weight) == len(owner) > LIST_COUNT_MAX + 1:
            raise InvariantError("the arrays of the lists have %d, %d, %d and %d entries; they must be as many, and "
                                 "more than %d" % (len(next_), len(prev), len(weight), len(owner), LIST_COUNT_MAX + 1))
        self.next = next_
        self.prev = prev
        self.weight = weight
        self.owner = owner
        self.weights = [0] * (LIST_COUNT_MAX + 1)
        self.counts = [0] * (LIST_COUNT_MAX + 1)
        self._free = list(range(LIST_COUNT_MAX, 0, -1))

    @classmethod
    def in_memory(cls, node_count):
        """Lists over ordinary memory, for tests and small programs."""
        return cls(*(memoryview(bytearray(node_count * (4 if kind == "I" else 1))).cast(kind) for _, kind in _TYPES))

    @property
    def node_count(self):
        """How many nodes the arrays have room for, the heads among them."""
        return len(self.owner)

    def open(self):
        """The number of a new, empty list.  Raises UsageError where there are 255 already."""
        if not self._free:
            raise UsageError("there are %d eviction lists, and no more fit: use fewer quotas" % LIST_COUNT_MAX)
        number = self._free.pop()
        self.next[number] = self.prev[number] = self.owner[number] = number
        self.weights[number] = self.counts[number] = 0
        return number

    def close(self, number):
        """Give a list number back; its nodes are taken out.  Cost: O(its nodes)."""
        self.clear(number)
        self.owner[number] = 0
        self._free.append(number)

    def insert(self, number, node, weight):
        """Put a node that is in no list in front, as the newest.  Cost: O(1)."""
        nexts, prevs = self.next, self.prev
        first = nexts[number]
        nexts[node] = first
        prevs[node] = number
        prevs[first] = nexts[number] = node
        self.owner[node] = number
        self.weight[node] = weight
        self.weights[number] += weight
        self.counts[number] += 1

    def remove(self, node):
        """Take a node out; returns the number of its list, 0 where it was in none.  Cost: O(1)."""
        number = self.owner[node]
        if number and node > LIST_COUNT_MAX:
            after, before = self.next[node], self.prev[node]
            self.next[before] = after
            self.prev[after] = before
            self.owner[node] = 0
            self.weights[number] -= self.weight[node]
            self.counts[number] -= 1
            return number
        return 0

    def to_front(self, number, node):
        """Make a node of any list the newest of list `number`.  Cost: O(1)."""
        nexts, prevs, owner = self.next, self.prev, self.owner
        after, before = nexts[node], prevs[node]
        nexts[before] = after
        prevs[after] = before
        first = nexts[number]
        nexts[node] = first
        prevs[node] = number
        prevs[first] = nexts[number] = node
        old = owner[node]
        if old != number:
            owner[node] = number
            weight = self.weight[node]
            self.weights[old] -= weight
            self.counts[old] -= 1
            self.weights[number] += weight
            self.counts[number] += 1

    def reweigh(self, node, weight):
        """Note the new weight of a node that is in a list.  Cost: O(1)."""
        self.weights[self.owner[node]] += weight - self.weight[node]
        self.weight[node] = weight

    def move(self, old_node, new_node):
        """Give the place of a node to another one, which is in no list.  Cost: O(1).  Unknown nodes are ignored."""
        number = self.owner[old_node]
        if not number or old_node == new_node or old_node <= LIST_COUNT_MAX or new_node <= LIST_COUNT_MAX:
            return
        if self.owner[new_node]:  # a slot has one key: whatever was there before is gone
            self.remove(new_node)
        after, before = self.next[old_node], self.prev[old_node]
        self.next[new_node] = after
        self.prev[new_node] = before
        self.next[before] = self.prev[after] = new_node
        self.weight[new_node] = self.weight[old_node]
        self.owner[new_node] = number
        self.owner[old_node] = 0

    def clear(self, number):
        """Take all nodes out of a list.  Cost: O(its nodes), 0.1 us each."""
        node = self.next[number]
        while node != number:
            self.owner[node] = 0
            node = self.next[node]
        self.next[number] = self.prev[number] = number
        self.weights[number] = self.counts[number] = 0

    def oldest(self, number):
        """The node that waits longest, or 0."""
        node = self.prev[number]
        return node if node != number else 0

    def nodes(self, number):
        """Its nodes, the newest first; at most as many as there are, whatever the links say."""
        node = self.next[number]
        for _ in range(self.node_count):
            if node == number:
                return
            yield node
            node = self.next[node]
        raise InvariantError("list %d does not come back to its head" % number)

    def check(self, number):
        """Raise InvariantError where a list is not what the module promises.  Cost: O(its nodes)."""
        count, weight, before = 0, 0, number
        for node in self.nodes(number):
            if node <= LIST_COUNT_MAX or self.owner[node] != number:
                raise InvariantError("node %d in list %d says that it is in %d" % (node, number, self.owner[node]))
            if self.prev[node] != before:
                raise InvariantError("node %d in list %d points back to %d instead of %d"
                                     % (node, number, self.prev[node], before))
            count, weight, before = count + 1, weight + self.weight[node], node
        if self.prev[number] != before:
            raise InvariantError("list %d ends with %d, its head says %d" % (number, before, self.prev[number]))
        if (count, weight) != (self.counts[number], self.weights[number]):
            raise InvariantError("list %d has %d nodes of weight %d, it is said to have %d of %d"
                                 % (number, count, weight, self.counts[number], self.weights[number]))

    def check_all(self):
        """`check` of every list, and that no node claims a list that is closed or that does not have it."""
        numbers = set(range(1, LIST_COUNT_MAX + 1)) - set(self._free)
        for number in numbers:
            self.check(number)
        claimed = sum(1 for node in range(LIST_COUNT_MAX + 1, self.node_count) if self.owner[node])
        listed = sum(self.counts[number] for number in numbers)
        if claimed != listed:
            raise InvariantError("%d nodes say that they are in a list, the lists have %d" % (claimed, listed))

"""Policies that hit_ratio compares with, written plainly from their papers; each returns its hits on a list of keys."""

import heapq
from collections import OrderedDict


def lru(keys, capacity):
    """Least recently used.

    >>> lru([1, 2, 1, 3, 2, 1], 2)
    1
    """
    held, hits = OrderedDict(), 0
    for key in keys:
        if key in held:
            held.move_to_end(key)
            hits += 1
        else:
            if len(held) >= capacity:
                held.popitem(last=False)
            held[key] = None
    return hits


class Arc:
    """N. Megiddo, D. Modha, "ARC: a self-tuning, low overhead replacement cache", 2003.  Figure 4 there."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.target = 0.0  # of `once`
        self.once, self.often = OrderedDict(), OrderedDict()
        self.once_gone, self.often_gone = OrderedDict(), OrderedDict()

    def request(self, key):
        """Whether the key was there."""
        if key in self.once:
            del self.once[key]
            self.often[key] = None
            return True
        if key in self.often:
            self.often.move_to_end(key)
            return True
        if key in self.once_gone:
            step = max(len(self.often_gone) / float(len(self.once_gone)), 1.0)
            self.target = min(self.capacity, self.target + step)
            self._replace(False)
            del self.once_gone[key]
            self.often[key] = None
        elif key in self.often_gone:
            step = max(len(self.once_gone) / float(len(self.often_gone)), 1.0)
            self.target = max(0.0, self.target - step)
            self._replace(True)
            del self.often_gone[key]
            self.often[key] = None
        else:
            self._make_room()
            self.once[key] = None
        return False

    def _make_room(self):
        first = len(self.once) + len(self.once_gone)
        if first == self.capacity:
            if len(self.once) < self.capacity:
                self.once_gone.popitem(last=False)
                self._replace(False)
            else:
                self.once.popitem(last=False)
        elif first + len(self.often) + len(self.often_gone) >= self.capacity:
            if first + len(self.often) + len(self.often_gone) >= 2 * self.capacity:
                self.often_gone.popitem(last=False)
            self._replace(False)

    def _replace(self, was_often):
        size = len(self.once)
        if size and (size > self.target or was_often and size == self.target):
            self.once_gone[self.once.popitem(last=False)[0]] = None
        else:
            self.often_gone[self.often.popitem(last=False)[0]] = None


def arc(keys, capacity):
    """Adaptive replacement cache.

    >>> arc([1, 2, 1, 3, 4, 5, 1], 3)
    2
    """
    request = Arc(capacity).request
    return sum(1 for key in keys if request(key))


def optimum(keys, capacity):
    """Belady's: whoever is needed latest goes.  No policy that must keep what it fetched has more hits.

    L. Belady, "A study of replacement algorithms for a virtual-storage computer", 1966.

    >>> optimum([1, 2, 3, 1, 2, 4, 1, 2], 2)
    2
    """
    never = len(keys)
    following, seen = [never] * never, {}
    for position in range(never - 1, -1, -1):
        following[position] = seen.get(keys[position], never)
        seen[keys[position]] = position
    held, latest, hits = {}, [], 0  # key -> its next use; a heap of (-next use, key) with entries that no longer hold
    for position, key in enumerate(keys):
        if key in held:
            hits += 1
        elif len(held) >= capacity:
            while True:
                use, victim = heapq.heappop(latest)
                if held.get(victim) == -use:
                    del held[victim]
                    break
        held[key] = following[position]
        heapq.heappush(latest, (-following[position], key))
    return hits

"""Walks over the elements of a structure in many calls, as the SCAN commands promise them.

A list has the elements that there were when it was made, and at its end those added since; a cursor says how far along
it a walk is.  The list goes when it has become twice as long, or when as many changes have come since its last use; a
walk that finds it gone gets everything at once.

Invariants
 1. What is among the elements from the first call of a walk to its last is returned by it, whatever else is added or
    removed meanwhile.
 2. A walk ends, however many elements are added while it is under way.
"""

_SLACK = 1000  # changes that are nothing, however few elements there are
BASE_BITS = 62


class ScanList(object):
    """The elements of one structure in the order of their walks; `base` is a number that differs from list to list."""

    __slots__ = ("elements", "base", "changes_max", "length_max", "unused")

    def __init__(self, elements, base):
        self.elements = list(elements)
        self.base = base
        self.changes_max = len(self.elements) + _SLACK
        self.length_max = len(self.elements) + self.changes_max
        self.unused = 0  # changes since the last use

    def added(self, element):
        """There is a new element; whether the list is still worth keeping."""
        self.elements.append(element)
        return self.removed() and len(self.elements) <= self.length_max

    def removed(self):
        """An element is gone; whether the list is still worth keeping."""
        self.unused += 1
        return self.unused <= self.changes_max

    def step(self, cursor, count):
        """(next cursor, elements, some of which may be gone) of a call; None where the cursor is of another list."""
        start = cursor - self.base if cursor else 0
        if not 0 <= start <= len(self.elements):
            return None
        self.unused = 0
        stop = start + count
        if stop >= len(self.elements):
            return 0, self.elements[start:]
        return self.base + stop, self.elements[start:stop]

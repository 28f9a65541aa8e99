"""The arrays of the eviction lists (engine/eviction/lists): anonymous memory, of which only what is used is taken.

They are the coordinator's own, are as long as an arena has slot words, and end with the process.
"""

import mmap

from ..engine.eviction.lists import NodeLists


def new_lists(node_count):
    """NodeLists for so many nodes; nothing is taken from the system before it is used."""
    def numbers(kind, size_bytes):
        return memoryview(mmap.mmap(-1, max(node_count * size_bytes, 1))).cast(kind)

    return NodeLists(numbers("I", 4), numbers("I", 4), numbers("I", 4), numbers("B", 1))

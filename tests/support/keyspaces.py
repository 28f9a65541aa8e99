"""A whole keyspace in one process: the real engine over anonymous memory, without coordinator, socket or clock."""

import mmap
import random

from nosqgrid.engine.budget import Unlimited
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.errors import GridFullError
from nosqgrid.formats import arena, hashing


class Budget(object):
    """A reserve() that grants `remaining` bytes and then refuses, as a machine out of memory does."""

    def __init__(self, remaining=1 << 40):
        self.remaining = remaining

    def __call__(self, offset, length):
        if length > self.remaining:
            raise GridFullError("this test grants no more memory")
        self.remaining -= length


def make_header(memory_bytes, seed=1, flags=0):
    secret = hashing.new_secret(random.Random(seed).getrandbits)
    return arena.Header(arena.Layout(memory_bytes), secret, 12345, 1, flags)


def make_keyspace(memory_bytes=1 << 20, seed=1, flags=0, reserve=None, fence=None, budget=Unlimited):
    """(keyspace, header); everything it needs is deterministic in `seed`."""
    header = make_header(memory_bytes, seed, flags)
    memory = mmap.mmap(-1, header.layout.arena_size_bytes)
    packed = arena.pack_header(header)
    memory[:len(packed)] = packed
    words = memoryview(memory).cast("Q")
    return Keyspace(words, memory, header, reserve or Budget(), lambda: 0, fence, budget=budget), header

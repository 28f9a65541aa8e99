"""The memory of a grid: its budget, the arena, the keyspace in it, and who sees to them.

Made when the coordinator starts; made again, with more, where what a directory holds does not fit (durability).
"""

import os
import random

from ..engine.budget import INDEX, Budget
from ..engine.evictor import Evictor
from ..engine.policies import REFUSE
from ..engine.keyspace import Keyspace
from ..formats import arena as arena_format
from ..formats import hashing
from ..formats import lane as lane_format
from ..memory.arena import Arena
from ..memory.node_arrays import new_lists
from .elastic import Elastic
from .ordering import fence_for


class Space(object):
    """Attributes: `budget`, `arena`, `keyspace`, `elastic`; `server` lends clock, random_bits, file_options."""

    def __init__(self, server, memory_bytes, memory_bytes_max, policy, wall_ms):
        self.budget = Budget(memory_bytes, lane_format.LANE_SIZE_BYTES, memory_bytes_max)
        self.budget.take(INDEX, arena_format.PAGE_SIZE_BYTES)  # the header
        if policy != REFUSE:
            self.budget.keep_order()
        flags, fence = fence_for()
        flags |= arena_format.EVICTS if policy != REFUSE else 0
        layout = arena_format.Layout(self.budget.limit_bytes_max)
        header = arena_format.Header(layout, hashing.new_secret(server.random_bits), server.random_bits(62) + 1,
                                     os.getpid(), flags)
        elastic = self.budget.limit_bytes_max > memory_bytes
        self.arena = Arena.create(header, **dict(server.file_options, releasable=elastic))
        self.keyspace = Keyspace(self.arena.words, self.arena.map, header, self.arena.file.reserve, wall_ms, fence,
                                 budget=self.budget)
        self.keyspace.now_ms = server.clock.monotonic_ms()
        self.keyspace.larges = server.large_values.new_account(self.budget)
        self.keyspace.evictor = Evictor(self.keyspace, policy, random.SystemRandom().random, new_lists)
        self.elastic = Elastic(self.budget, self.keyspace, self.arena.file)

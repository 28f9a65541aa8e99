"""The arena as a file and a map: made once by the coordinator, mapped read-only by everybody else.

The map outlives the coordinator: readers of a dead one keep the last state.  Nothing has a name, so nothing is left
when the last process that maps it ends.
"""

import os

from ..errors import PeerError
from ..formats import arena as arena_format
from . import shared_file


class Arena(object):
    """A mapped arena: `words` (memoryview of 8-byte words), `map` (mmap), `header` (formats.arena.Header)."""

    def __init__(self, memory_map, header, file=None):
        self.map = memory_map
        self.words = memoryview(memory_map).cast("Q")
        self.header = header
        self.file = file

    @classmethod
    def create(cls, header, **options):
        """A new arena, writable here alone; STATE is still STATE_STARTING.

        Raises GridFullError where not even the header's page can be had.  `options` are shared_file.create's.
        """
        file = shared_file.create("nosqgrid-arena", header.layout.arena_size_bytes, **options)
        file.reserve(0, arena_format.PAGE_SIZE_BYTES)
        arena = cls(file.map_writable(), header, file)
        packed = arena_format.pack_header(header)
        arena.map[:len(packed)] = packed
        return arena

    @classmethod
    def attach(cls, fd):
        """Map the arena behind a descriptor read-only; the descriptor can be closed afterwards.

        Raises PeerError or FormatVersionError where it is not one.
        """
        size_bytes = os.fstat(fd).st_size
        if size_bytes < arena_format.PAGE_SIZE_BYTES:
            raise PeerError("an arena of %d bytes is shorter than a page" % size_bytes)
        memory_map = shared_file.map_readonly(fd, size_bytes)
        header = arena_format.unpack_header(memory_map[:arena_format.PAGE_SIZE_BYTES])
        if header.layout.arena_size_bytes != size_bytes:
            raise PeerError("an arena of %d bytes says that it has %d" % (size_bytes, header.layout.arena_size_bytes))
        return cls(memory_map, header)

"""Room for a record: from the heap as it is, by cleaning it, by evicting from it; or the grid is full.

What fails here fails before anything is changed but where records lie, and which of those that may be evicted are left.
"""

from ..errors import GridFullError
from .heap import CLEANER_SEGMENTS

RUN_TRIES = 4
EVICT_TRIES = 4
INDEX_ROUND_SHIFT = 6  # so small a part of the slots is evicted at the least where the index has no room


class Room(object):
    """Allocates for one keyspace, which lends heap, cleaner and evictor."""

    def __init__(self, keyspace):
        self.keyspace = keyspace
        self.heap = keyspace.heap
        self.cleaner = keyspace.cleaner

    def allocate(self, size):
        """The offset for a record of `size` bytes.  Raises GridFullError."""
        heap = self.heap
        if size > heap.record_size_bytes_max:
            return self._allocate_large(size)
        if heap.writer.cursor + size > heap.writer.limit:
            self.cleaner.keep_pace(size)
        offset = heap.allocate(heap.writer, size)
        if offset is None and self._make(heap.segment_size_bytes,
                                         lambda: self.cleaner.make_room(CLEANER_SEGMENTS + 1)):
            offset = heap.allocate(heap.writer, size)
        if offset is None:
            offset = heap.allocate_in_rest(size)
        if offset is None:
            raise self._full(size)
        if self.keyspace.staging:
            self.cleaner.excluded.add(heap.segment_of(offset))
        return offset

    def _allocate_large(self, size):
        heap, length = self.heap, -(-size >> self.heap.segment_shift)
        offset = heap.allocate_large(size)
        for _ in range(RUN_TRIES):  # that there is no memory for a run, or now there is, is known afterwards
            if offset is not None:
                return offset
            self._make(size, lambda: self.cleaner.make_run(length))
            offset = heap.allocate_large(size)
        if offset is None:
            raise self._full(size)
        return offset

    def _make(self, size_bytes, clean):
        """Have room made by clean(); where that does not help, evict so many bytes and clean again, a few times.

        Not until nothing is left: what stands in the way may be something that is not evicted, a pinned segment say.
        """
        evictor = self.keyspace.evictor
        for _ in range(EVICT_TRIES):
            if clean():
                return True
            if self._make_memory(size_bytes):
                continue
            if evictor is None or not evictor.evict_heap(size_bytes):
                return False
        return clean()

    def _make_memory(self, size_bytes):
        """Where the heap could have more segments and there is no memory for them: whether some was made.

        By evicting what lies outside of the heap.  To evict from the heap would take everything, and help nothing.
        """
        heap, keyspace = self.heap, self.keyspace
        if heap.reserve_error is None or keyspace.evictor is None:
            return False
        size_bytes = 2 * (size_bytes + -size_bytes % heap.segment_size_bytes)
        if not keyspace.evictor.evict_large(size_bytes):
            return False
        if keyspace.larges is not None:
            keyspace.larges.sweep()
        heap.reserve_error = None  # it is asked for again
        return True

    def make_slots(self, hashes):
        """Whether the index has room for new keys with the hashes() that they have, after evicting where that helps.

        Which keys are new may be other ones each time, since some are evicted.
        """
        index, new = self.keyspace.index, hashes()
        while new and not index.make_room(len(new), new):
            if len(new) > index.table.slots >> 1 or not self.thin_index(len(new)):
                return False
            new = hashes()
        return True

    def thin_index(self, count=0):
        """Evict so many keys or more, so that others find slots; whether there were any."""
        evictor = self.keyspace.evictor
        return evictor is not None and evictor.evict_keys(
            max(count, self.keyspace.index.table.slots >> INDEX_ROUND_SHIFT))

    def _full(self, size):
        heap = self.heap
        if heap.reserve_error is not None and len(heap.free) > CLEANER_SEGMENTS:
            return GridFullError(str(heap.reserve_error))
        evictor = self.keyspace.evictor
        refuses = evictor is None or not evictor.evicts
        return GridFullError("the grid is full, and %s: %d of %d bytes hold live data and %d more "
                             "do not fit; delete keys, or start the coordinator with more --memory"
                             % ("its policy is to refuse" if refuses else "nothing is left to evict", heap.live_bytes(),
                                heap.count << heap.segment_shift, size))

"""The cleaner: copies the live records out of the emptiest segments, so that their whole space can be used again.

It takes the SEALED segment with the fewest live bytes, walks its records from the front, and for each that a slot word
still points at writes a copy into its own region and stores the new slot word; expired ones it drops.  Then the segment
is FREE.  Work is done in slices of so many records, so that the coordinator can look at its clients in between.

Invariants
 1. A copy has the version of the original and another stamp (formats/records), and is whole before the slot word names
    it; the original stays as it is until the segment is reused, so a reader finds the value in either place.
 2. Segments that hold staged records (written, not yet published) are `excluded`: their records look dead.

A kill at any line leaves every slot word pointing at a whole record.
"""

from ..formats.records import ALIGNMENT_BYTES, COPIES_MASK, EXPIRES, HEADER, record_size_bytes

PATIENCE_TURNS = 64  # for which a grid that is nearly full is not searched for a victim again
SLICE_RECORDS = 256  # about half a millisecond


class Cleaner(object):
    """Moves records between segments of one keyspace, which lends heap, index and memory."""

    def __init__(self, keyspace):
        self.keyspace = keyspace
        self.heap = keyspace.heap
        self.index = keyspace.index
        self.excluded = set()
        self.segments_cleaned = 0
        self.bytes_moved = 0
        self.compacting = False  # go on for as long as it wins anything: memory is to be given back
        self._victim = -1
        self._patience = 0
        self._position = 0  # offset in the arena of the next record to look at
        self._end = 0

    def low(self):
        """Whether free segments have become so few that cleaning should go on beside the clients' work."""
        heap = self.heap
        return self.compacting or heap.usable() < max(3, heap.usable_total() >> 4)

    def worthwhile(self):
        """Whether there is a victim whose cleaning would win at least a sixteenth of a segment."""
        if self._victim >= 0:
            return True
        if self._patience:
            self._patience -= 1
            return False
        victim = self.heap.cheapest(self.excluded)
        if victim >= 0 and self.heap.dead[victim] >= self.heap.segment_size_bytes >> 4:
            return True
        self._patience = PATIENCE_TURNS
        return False

    def step(self, record_count=SLICE_RECORDS):
        """Look at so many records; false when there is nothing to clean or no room to move anything."""
        if self._victim < 0 and not self._begin():
            return False
        source, end = self.keyspace.source, self._end
        for _ in range(record_count):
            if self._position >= end:
                break
            stamp, value_length, key_length, _, flags = HEADER.unpack_from(source, self._position)
            size = record_size_bytes(key_length, value_length, flags)
            if not self._keep(self._position, size, stamp, key_length, flags):
                return False
            self._position += size
        if self._position >= end:
            self._end_victim()
        return True

    def _begin(self):
        heap = self.heap
        victim = heap.cheapest(self.excluded)
        if victim < 0 or heap.filled[victim] - heap.dead[victim] > heap.segment_size_bytes - ALIGNMENT_BYTES * 8:
            return False
        self._victim = victim
        self._position = heap.base + (victim << heap.segment_shift)
        self._end = self._position + heap.filled[victim]
        return True

    def _keep(self, offset, size, stamp, key_length, flags):
        """Copy the record if it is live; false when there is no room for the copy."""
        keyspace = self.keyspace
        key_at = offset + HEADER.size + (8 if flags & EXPIRES else 0)
        key_hash = keyspace.hash_of(keyspace.source[key_at:key_at + key_length])
        slot = self.index.find_offset(key_hash, offset >> 3)
        if not slot:
            return True
        if flags & EXPIRES and keyspace.deadline_at(offset) <= keyspace.now_ms:
            keyspace.remove_expired(slot, offset, size)
            return True
        copy = self.heap.allocate(self.heap.survivors, size)
        if copy is None:
            return False
        keyspace.arena[copy + 8:copy + size] = keyspace.source[offset + 8:offset + size]
        copied_stamp = stamp & ~COPIES_MASK | (stamp + 1) & COPIES_MASK
        keyspace.publish_copy(slot, key_hash, copy, copied_stamp, self.heap.survivors.generation_bits)
        self.heap.discard(offset, size)
        self.bytes_moved += size
        return True

    def _end_victim(self):
        self._victim = -1
        self.segments_cleaned += 1

    def forget(self):
        """The heap was cleared: there is no victim any more."""
        self._victim = -1

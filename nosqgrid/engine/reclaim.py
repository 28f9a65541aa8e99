"""Reclaiming what has expired: a part of the keyspace (engine/keyspace), over its buckets of deadlines (engine/expiry).

An entry of a bucket is a hint; anything may lie there by now.  So the index is asked whether a live record does.
"""

from ..formats.records import EXPIRES, HEADER, HEADER_SIZE_BYTES
from ..formats.slots import FIRST_REAL, OFFSET_MASK
from .heap import FREE

RECLAIM_SLICE = 256  # expired records removed at a time


class Reclaiming(object):
    """What a keyspace does about deadlines that have passed, beside the commands.

    Nothing where `reclaims` is false, or as long as writes are `held`: expired records stay, and nobody sees them.
    """

    reclaims = True
    held = False

    @property
    def removes_expired(self):
        """Whether records that expired are removed now."""
        return self.reclaims and not self.held

    def reclaim_expired(self):
        """Remove some of the records that expired; false when there are none that are due."""
        if not self.removes_expired:
            return False
        due = self.expiry.take_due(self.now_ms, RECLAIM_SLICE)
        for units in due:
            offset = units << 3
            slot = self._slot_of_expiring(units)
            if slot and self.deadline_at(offset) <= self.now_ms:
                self.remove_expired(slot, offset, self.size_at(offset))
        return bool(due)

    def walk(self, cursor, count):
        """The same as scan(), but what has expired and is passed on the way is removed, outside a batch."""
        cursor, offsets = self.index.scan(cursor, count)
        live = [offset for offset in offsets if self._is_live(offset)]
        keys = [self.key_at(offset) for offset in live]
        if len(live) < len(offsets) and not self.staging and not self.held:
            for offset in set(offsets).difference(live):
                self.remove_expired(self._slot_of_expiring(offset >> 3), offset, self.size_at(offset))
        return cursor, keys

    def drop_expired(self, key):
        """Remove what a key had if that has expired, outside a batch, whether or not `reclaims` is set."""
        slot, word = self._find(key, self.hash_of(key))
        offset = (word & OFFSET_MASK) << 3 if word >= FIRST_REAL else 0
        if offset and not self._is_live(offset):
            self.remove_expired(slot, offset, self.size_at(offset))

    def _slot_of_expiring(self, units):
        """The slot of the live record with a deadline that begins here, or 0; anything may lie here by now."""
        if self.heap.state[self.heap.segment_of(units << 3)] == FREE:
            return 0  # not looked at: it may have no memory any more, and would get some
        _, _, key_length, _, flags = HEADER.unpack_from(self.source, units << 3)
        if not flags & EXPIRES:
            return 0
        start = (units << 3) + HEADER_SIZE_BYTES + 8
        return self.index.find_offset(self.hash_of(self.arena[start:start + key_length]), units)

    def expires_between(self, units, first_ms, end_ms):
        return bool(self._slot_of_expiring(units)) and first_ms <= self.deadline_at(units << 3) < end_ms

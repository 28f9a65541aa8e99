"""Which records expire when: buckets of record offsets by deadline, four bytes an entry.

A deadline falls into bucket `deadline_ms >> BUCKET_BITS`.  An entry is only a hint: the record may have been replaced,
deleted or moved since (the keyspace adds the new place of a moved one itself), so whoever empties a bucket asks the
index whether a live record with that deadline still lies there.  Nothing is ever searched or removed inside a bucket.

Entries of records that are gone pile up where keys are overwritten faster than they expire; once they outnumber the
records that can expire, `compact` drops them, a bucket at a time.
"""

import heapq
from array import array

BUCKET_BITS = 7  # 128 ms: how late a record may be reclaimed; readers and commands judge by the exact deadline
SLACK_ENTRIES = 4096


class Expiry(object):
    """Buckets of offsets (in units of 8 bytes) with the earliest first."""

    def __init__(self):
        self._buckets = {}
        self._order = []  # a heap queue of bucket numbers
        self.entries = 0
        self._compacting = []

    def add(self, deadline_ms, offset_units):
        """Note a record.  Cost: O(1), O(log buckets) for the first of a bucket."""
        number = deadline_ms >> BUCKET_BITS
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("I")
            heapq.heappush(self._order, number)
        bucket.append(offset_units)
        self.entries += 1

    def next_deadline_ms(self):
        """When the earliest bucket is due as a whole, or None."""
        return (self._order[0] + 1) << BUCKET_BITS if self._order else None

    def take_due(self, now_ms, count):
        """Remove and return up to `count` offsets from buckets that are due as a whole."""
        order = self._order
        if not order or (order[0] + 1) << BUCKET_BITS > now_ms:
            return ()
        bucket = self._buckets[order[0]]
        taken = bucket[-count:]
        del bucket[-count:]
        self.entries -= len(taken)
        if not bucket:
            del self._buckets[heapq.heappop(order)]
        return taken

    def overgrown(self, expiring_count):
        """Whether most entries are of records that are gone; `expiring_count` is how many records can expire."""
        return self.entries > 2 * expiring_count + SLACK_ENTRIES or bool(self._compacting)

    def compact(self, is_live):
        """Drop the entries of one bucket whose record `is_live(offset_units, bucket deadline range)` denies."""
        if not self._compacting:
            self._compacting = list(self._buckets)
        number = self._compacting.pop()
        bucket = self._buckets.get(number)
        if bucket is None:
            return
        first_ms = number << BUCKET_BITS
        end_ms = first_ms + (1 << BUCKET_BITS)
        kept = array("I", sorted({units for units in bucket if is_live(units, first_ms, end_ms)}))
        self.entries += len(kept) - len(bucket)
        self._buckets[number] = kept

    def clear(self):
        self.__init__()

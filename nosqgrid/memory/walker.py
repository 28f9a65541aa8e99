"""Every record of an arena, while the coordinator goes on changing it: what a checkpoint is made from.

The index is in the order of the hash at every size (engine/index), so a walk is a cursor, a hash, that only rises.  A
step reads whole clusters (runs of slots without EMPTY) and ends behind one; what it found is valid if NEWEST has not
changed meanwhile, else the step is done again.

Why no key is lost that is there from the first step to the last
 1. The EMPTY behind a cluster says that no key with a home up to there lies further on.  It is true of the table it is
    read in as long as that table's area is not used for another generation, and NEWEST tells that (memory/reader).
 2. A cluster that is being moved shows MOVED in the old table, at the first look at a slot or at the second; then its
    keys are in the new one.  The new table is complete for hashes below the first old slot that is not MOVED, and is
    believed that far.
 3. A key that changes stays in its slot; a record that moves leaves its slot word pointing at the copy.
A key that comes or goes meanwhile is found or not; one that is deleted and set again may be found at either time.
"""

from ..errors import CorruptValueError, PeerError, ValueTooLargeError
from ..formats import arena as arena_format
from ..formats import records
from ..formats.hashing import HASH_BITS, hash_key
from ..formats.records import HEADER_SIZE_BYTES
from ..formats.slots import EMPTY, FIRST_REAL, MOVED, OFFSET_MASK
from ..formats.values import STRUCTURE_NAMES
from ..limits import INDEX_OVERFLOW_SLOTS, KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX

STRUCTURES_AT_ONCE = 256  # asked for together
SLOTS_AT_ONCE = 2048  # loaded into a list, which costs a quarter of loading each by itself
STEP_BYTES = 1 << 20  # of records, after which a step ends at the next cluster
STEP_TRIES = 1000
RECORD_TRIES = 100
END_OF_HASHES = 1 << HASH_BITS

_AGAIN = object()


class Walker(object):
    """Walks one arena: `words` and `arena` are its map as 8-byte words and as bytes, `header` its constants.

    `read_large(number)` gives the content of a large value, or None where it is gone by now.
    `read_structures(numbers)` gives (what formats/exported.unpack_parts gives of the structures that are not gone, the
    numbers to ask for again).
    """

    def __init__(self, words, arena, header, unpack=records.HEADER.unpack_from, read_large=None,
                 read_structures=None):
        self.words = words
        self.arena = arena
        self.layout = header.layout
        self.secret = header.secret
        self._unpack = unpack
        self._read_large = read_large
        self._read_structures = read_structures
        self._met_large = False  # in the step under way

    def step(self, cursor):
        """(next cursor, records): some records with a hash of `cursor` or more; 0 begins, and 0 in the answer ends.

        A record is the bytes of stamp, header, key and value as they lie in the arena, without padding, with a large
        value put in; of a structure there may be several (formats/records, MORE).  They are a list, or are given one by
        one as they come.
        Raises PeerError or CorruptValueError where the arena makes no sense, ValueTooLargeError for a value that no
        file takes.
        """
        for _ in range(STEP_TRIES):
            found = self._try_step(cursor)
            if found is not _AGAIN:
                return found
        raise PeerError("the arena changes faster than it can be walked, or is damaged")

    def _try_step(self, cursor):
        words = self.words
        self._met_large = False
        root, newest = words[arena_format.ROOT], words[arena_format.NEWEST]
        if words[arena_format.ROOT] != root:
            return _AGAIN
        base, shift = arena_format.unpack_generation(root, self.layout)
        end = base + (1 << (HASH_BITS - shift)) + INDEX_OVERFLOW_SLOTS
        slot = base + (cursor >> shift)
        limit = END_OF_HASHES
        if words[slot] == MOVED:
            moved_to = slot
            while moved_to < end and moved_to < slot + SLOTS_AT_ONCE and words[moved_to] == MOVED:
                moved_to += 1
            if moved_to < end:
                limit = min((moved_to - base) << shift, END_OF_HASHES)
            if newest == root or limit <= cursor:
                return _AGAIN
            base, shift = arena_format.unpack_generation(newest, self.layout)
        found, following = self._clusters(cursor, base, shift, limit)
        if words[arena_format.NEWEST] != newest or following == cursor:
            return _AGAIN
        following = 0 if following >= END_OF_HASHES else following
        if self._met_large:
            # Only now, when these records are valid: asking for a large value takes long.
            found = self._with_values(found)
        return following, found

    def _with_values(self, found):
        """Yield these records with the values that lie elsewhere; those whose value is gone are gone by now, too."""
        structures = []
        for record in found:
            if not record[15] & records.LARGE:
                yield record
            elif record[14] in STRUCTURE_NAMES:
                structures.append(record)
            else:
                record = self._with_large(record)
                if record is not None:
                    yield record
        for start in range(0, len(structures), STRUCTURES_AT_ONCE):
            asked = {self._value_at(record)[0]: record for record in structures[start:start + STRUCTURES_AT_ONCE]}
            wanted = list(asked)
            while wanted:
                found, wanted = self._read_structures(wanted)
                for number, content in found.items():
                    for record in records.with_parts(asked[number], *content):
                        yield record

    @staticmethod
    def _value_at(record):
        """(number, size in bytes) in a LARGE record."""
        end = len(record) - (records.CHECKSUM.size if record[15] & records.CHECKED else 0)
        return records.LARGE_VALUE.unpack_from(record, end - records.LARGE_VALUE.size)[:2]

    def _with_large(self, record):
        """The record of a large value with its value; None for one whose value is gone."""
        number, size_bytes = self._value_at(record)
        if size_bytes > VALUE_SIZE_BYTES_MAX:
            raise ValueTooLargeError("the value of %r has %d bytes; a file takes up to %d a value: delete it, or keep "
                                     "such values in a grid without checkpoints"
                                     % (records.key_of(record), size_bytes, VALUE_SIZE_BYTES_MAX))
        value = self._read_large(number)
        return None if value is None else records.with_value(record, value)

    def _clusters(self, cursor, base, shift, limit):
        """(records, next cursor) of whole clusters of one table; the cursor itself where the first is not whole."""
        # The loop over slots is the speed of a checkpoint: a plain record is copied here, any other by _copy().
        words, arena, unpack = self.words, self.arena, self._unpack
        first, end = base + (cursor >> shift), base + (1 << (HASH_BITS - shift)) + INDEX_OVERFLOW_SLOTS
        found, size, whole, following = [], 0, 0, cursor
        # What begins before `plain_end` lies in the arena whole if it is not longer than a plain record may be.
        plain_bytes, heap = self.layout.segment_size_bytes, self.layout.heap_offset_bytes
        plain_end = self.layout.arena_size_bytes - 2 * plain_bytes
        check = True  # the first cluster may hold keys before the cursor
        bounded = limit < END_OF_HASHES
        for start in range(first, end, SLOTS_AT_ONCE):
            slot = start - 1
            for word in words[start:min(start + SLOTS_AT_ONCE, end)].tolist():
                slot += 1
                if word < FIRST_REAL:
                    if word == EMPTY:
                        whole, following, check = len(found), (slot + 1 - base) << shift, False
                        if following >= limit:
                            return found, limit
                        if size >= STEP_BYTES:
                            return found, following
                    elif word == MOVED:
                        return found[:whole], following
                    continue
                offset = (word & OFFSET_MASK) << 3
                record = None
                if heap <= offset <= plain_end:
                    stamp, value_length, key_length, _, flags = unpack(arena, offset)
                    if not flags and value_length <= plain_bytes and key_length <= KEY_SIZE_BYTES_MAX:
                        record = arena[offset:offset + HEADER_SIZE_BYTES + key_length + value_length]
                        if words[slot] != word or words[offset >> 3] != stamp:
                            record = None
                if record is None:
                    record = self._copy(slot, word)
                    if record is None:
                        continue
                    if record is _AGAIN:
                        return found[:whole], following
                if check or bounded:
                    key_hash = self._hash_of(record)
                    if not cursor <= key_hash < limit:
                        continue
                found.append(record)
                size += len(record)
        return found, limit

    def _copy(self, slot, word):
        """The record that this slot names, None when it names none any more, _AGAIN when its key has another slot."""
        words, arena = self.words, self.arena
        heap, end = self.layout.heap_offset_bytes, self.layout.arena_size_bytes
        for _ in range(RECORD_TRIES):
            offset = (word & OFFSET_MASK) << 3
            if not heap <= offset <= end - HEADER_SIZE_BYTES:
                raise PeerError("slot %d points at %d, outside the heap" % (slot, offset))
            stamp, value_length, key_length, _, flags = self._unpack(arena, offset)
            size = HEADER_SIZE_BYTES + key_length + value_length
            if flags:
                size = 8 + records.body_size_bytes(key_length, value_length, flags)
            record = arena[offset:offset + size] if value_length <= VALUE_SIZE_BYTES_MAX else b""
            now = words[slot]
            if now == word and words[offset >> 3] == stamp:
                if len(record) == size and key_length <= KEY_SIZE_BYTES_MAX and not flags & ~records.FLAGS_IN_ARENA:
                    if not flags & records.CHECKED or records.checksum_holds(record[8:]):
                        self._met_large = self._met_large or bool(flags & records.LARGE)
                        return record
            elif now < FIRST_REAL:
                return _AGAIN if now == MOVED else None
            word = now
        raise CorruptValueError("the record that slot %d names is damaged" % slot)

    def _hash_of(self, record):
        return hash_key(records.key_of(record), self.secret)

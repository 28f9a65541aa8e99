"""The lock-free reader: a key's value out of the arena while the coordinator changes it, without a system call.

    load the slot word -> header, key, value -> load the slot word and the stamp again; both the same: the copy is right

Why that is enough, from what writers keep (engine/index, engine/heap, engine/keyspace)
 1. A record is whole before a slot word names it, and stays as it is until its segment is reused.  A segment is reused
    only when no slot word points into it.  So while the slot word is there, the record is.
 2. Could the word have gone and come back while the record was rewritten at the same place?  Then the stamp, stored
    after the body and before the word, is another one than the one loaded first (stamps never repeat at one place).
 3. A key that does not match proves nothing until the slot word is seen again: the record may have been another one.
 4. EMPTY ends a search truthfully while the area of that table is not in use for another generation: NEWEST has not
    changed since this geometry was adopted.  MOVED sends the search to the newer table.

Everything loaded is checked before use, so that an arena full of garbage gives an error, not a crash: offsets and
lengths against the arena, the number of probes against the area, the number of restarts against RESTARTS_MAX, and
against IDLE_RESTARTS_MAX where nothing had changed that could be a reason for one.

A Reader holds nothing that another process could see.  It is the plain form of the hot path in client/fastget.
"""

from collections import namedtuple

from ..errors import CorruptValueError, PeerError
from ..formats import arena as arena_format
from ..formats import records
from ..formats.hashing import hash_key
from ..formats.slots import EMPTY, FIRST_REAL, MOVED, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..limits import VALUE_SIZE_BYTES_MAX

ROOT, NEWEST = arena_format.ROOT, arena_format.NEWEST
RESTARTS_MAX = 100000
IDLE_RESTARTS_MAX = 100
CHECKSUM_TRIES = 100  # a machine that reorders stores shows a whole record after a few loads, or never

Found = namedtuple("Found", "type value deadline_ms stamp slot word large")

_CHANGED = object()
_OTHER_KEY = object()


class Reader(object):
    """Reads one arena: `words` and `arena` are its map as 8-byte words and as bytes, `header` its constants."""

    def __init__(self, words, arena, header, unpack=records.HEADER.unpack_from,
                 unpack_deadline=records.DEADLINE.unpack_from):
        self.words = words
        self.arena = arena
        self.layout = header.layout
        self.secret = header.secret
        self._unpack = unpack
        self.unpack_deadline = unpack_deadline
        self.adopt()

    def adopt(self):
        """Take over the present geometry of the index: ROOT and NEWEST as they were at one moment."""
        words = self.words
        while True:
            root, newest = words[ROOT], words[NEWEST]
            if words[ROOT] == root:
                break
        self.root, self.newest = root, newest
        base, shift = arena_format.unpack_generation(root, self.layout)
        self.geometry = (base, shift, newest)  # one object: the hot path reads it while another thread replaces it

    def read(self, key, with_value=True):
        """The Found record of a key (bytes), expired or not, or None; without value: `value` is (offset, length) of it.

        Of a `large` one `value` says where the value lies (formats/records.LARGE_VALUE).  `slot` and `word` are where
        it was found; while `words[slot] == word` and the word at its offset is `stamp`, the value is current.
        Raises PeerError or CorruptValueError where the arena makes no sense.
        """
        key_hash = hash_key(key, self.secret)
        moved = False
        idle = 0
        for _ in range(RESTARTS_MAX):
            base, shift, newest = self.geometry
            if moved:
                base, shift = arena_format.unpack_generation(newest, self.layout)
            found = self._probe(key, key_hash, base + (key_hash >> shift), with_value)
            if found is _CHANGED:
                moved = False
            elif found is MOVED:
                # The newer table is ROOT by now, or still the one being filled.
                moved = self.words[ROOT] == self.root and not moved
            elif found is not None or self.words[NEWEST] == newest:
                return found
            else:
                moved = False
            if self.words[ROOT] != self.root or self.words[NEWEST] != self.newest:
                root = self.root
                self.adopt()
                moved = moved and self.root == root  # MOVED was said by the table that was ROOT then
            else:
                idle += 1
                if idle > IDLE_RESTARTS_MAX:
                    break
        raise PeerError("the arena changes faster than it can be read, or is damaged")

    def _probe(self, key, key_hash, slot, with_value):
        words, tag = self.words, key_hash & TAG_MASK
        for slot in range(slot, slot + self.layout.area_size_bytes // 8):
            while True:
                word = words[slot]
                if word == EMPTY:
                    return None
                if word == MOVED:
                    return MOVED
                if word < FIRST_REAL or word >> TAG_SHIFT != tag:
                    break
                found = self._copy(slot, word, key, with_value)
                if found is _OTHER_KEY:
                    break
                if found is not _CHANGED:
                    return found
        return _CHANGED

    def _copy(self, slot, word, key, with_value):
        """Found, _OTHER_KEY, or _CHANGED when the slot or its record changed meanwhile."""
        words, arena = self.words, self.arena
        offset = (word & OFFSET_MASK) << 3
        if not self.layout.heap_offset_bytes <= offset <= self.layout.arena_size_bytes - records.HEADER_SIZE_BYTES:
            raise PeerError("slot %d points at %d, outside the heap" % (slot, offset))
        for _ in range(CHECKSUM_TRIES):
            stamp, value_length, key_length, value_type, flags = self._unpack(arena, offset)
            start = offset + records.HEADER_SIZE_BYTES
            deadline_ms = 0
            plausible = not flags & ~records.FLAGS_IN_ARENA and value_length <= VALUE_SIZE_BYTES_MAX
            if plausible and flags & records.EXPIRES:
                plausible = start + 8 <= self.layout.arena_size_bytes
                if plausible:
                    deadline_ms, = self.unpack_deadline(arena, start)
                start += 8
            end = start + key_length
            if key_length != len(key) or arena[start:end] != key:
                value = _OTHER_KEY
            else:
                if flags & records.LARGE:
                    plausible = plausible and value_length == records.LARGE_VALUE.size
                copied = plausible and (with_value or flags & records.LARGE)
                value = arena[end:end + value_length] if copied else b""
                plausible = plausible and end + value_length <= self.layout.arena_size_bytes
            if flags & records.CHECKED and plausible and value is not _OTHER_KEY:
                body_end = end + value_length + records.CHECKSUM.size
                whole = records.checksum_holds(arena[offset + 8:body_end])
            else:
                whole = True
            if words[slot] != word or words[offset >> 3] != stamp:
                return _CHANGED
            if value is _OTHER_KEY:
                return value
            if plausible and whole and len(value) == (value_length if copied else 0):
                if not copied:
                    value = (end, value_length)
                return Found(value_type, value, deadline_ms, stamp, slot, word, flags & records.LARGE)
        raise CorruptValueError("the record of %r at %d of the arena is damaged" % (key, offset))

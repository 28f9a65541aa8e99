"""Records as they lie in the arena, read by the one who writes it: no word changes under him.

What stands here trusts the records: they were checked before they were stored.
"""

from collections import namedtuple

from ..errors import ValueTooLargeError, WrongTypeError
from ..formats.hashing import hash_key
from ..formats.records import (COPIES_BITS, DEADLINE, EXPIRES, HEADER, HEADER_SIZE_BYTES, LARGE, LARGE_VALUE,
                               record_size_bytes)
from ..formats.values import STRUCTURE_NAMES
from ..limits import VALUE_SIZE_BYTES_MAX

WRONG_TYPE = "Operation against a key holding the wrong kind of value"


class Entry(namedtuple("Entry", "type value deadline_ms version")):
    """What a key has."""

    __slots__ = ()

    structure = None
    is_large = False

    @property
    def size_bytes(self):
        """The length of the value, without reading it."""
        return len(self.value)


class LargeEntry(Entry):
    """An Entry whose value lies in a file of its own and is read when it is asked for."""

    is_large = True

    @property
    def value(self):
        """The bytes; raises ValueTooLargeError where they are too many to go through here."""
        if self.size_bytes > VALUE_SIZE_BYTES_MAX:
            raise ValueTooLargeError("the value has %d bytes; more than %d are read through shared memory alone: "
                                     "attach, and get or view it" % (self.size_bytes, VALUE_SIZE_BYTES_MAX))
        return self._larges.read(self.number)

    @property
    def size_bytes(self):
        return self._larges.size_of(self.number)


class StructureEntry(Entry):
    """An Entry of a structure, which has no value to be read."""

    @property
    def value(self):
        raise WrongTypeError(WRONG_TYPE)

    size_bytes = value


class StoredRecords(object):
    """The records of one arena: `arena` and `source` are its memory, `secret` is that of its hash, `larges` has its
    large values, `structures` its structures.
    """

    arena = source = secret = larges = structures = None

    def hash_of(self, key):
        return hash_key(key, self.secret)

    def key_at(self, offset):
        _, _, key_length, _, flags = HEADER.unpack_from(self.source, offset)
        start = offset + HEADER_SIZE_BYTES + (8 if flags & EXPIRES else 0)
        return self.arena[start:start + key_length]

    def hash_at(self, offset):
        return hash_key(self.key_at(offset), self.secret)

    def deadline_at(self, offset):
        """The deadline in ms of a record that has EXPIRES."""
        return DEADLINE.unpack_from(self.source, offset + HEADER_SIZE_BYTES)[0]

    def entry_at(self, offset):
        stamp, value_length, key_length, value_type, flags = HEADER.unpack_from(self.source, offset)
        deadline_ms = self.deadline_at(offset) if flags & EXPIRES else 0
        if flags & LARGE:
            structure = self.structure_at(offset)
            if structure is not None:
                entry = StructureEntry(value_type, None, deadline_ms, structure.version)
                entry.number, entry.structure = self.large_at(offset)[0], structure
                return entry
            entry = LargeEntry(value_type, None, deadline_ms, stamp >> COPIES_BITS)
            entry.number, entry._larges = self.large_at(offset)[0], self.larges
            return entry
        start = offset + HEADER_SIZE_BYTES + (8 if flags & EXPIRES else 0) + key_length
        return Entry(value_type, self.arena[start:start + value_length], deadline_ms, stamp >> COPIES_BITS)

    def large_at(self, offset):
        """(number, size in bytes) of the value of a LARGE record."""
        _, _, key_length, _, flags = HEADER.unpack_from(self.source, offset)
        start = offset + HEADER_SIZE_BYTES + (8 if flags & EXPIRES else 0) + key_length
        return LARGE_VALUE.unpack_from(self.source, start)[:2]

    def outside_of(self, offset):
        """(number of the large value, size in bytes) of what any record has outside of the heap.

        The number is 0 for a structure, and both are where there is nothing outside.
        """
        if not self.source[offset + HEADER_SIZE_BYTES - 1] & LARGE:
            return 0, 0
        structure = self.structure_at(offset)
        return self.large_at(offset) if structure is None else (0, structure.size_bytes)

    def weight_at(self, offset):
        """Bytes of a record, a large value or a structure included."""
        return self.size_at(offset) + self.outside_of(offset)[1]

    def structure_at(self, offset):
        """The structure that a record names, or None for a record of a plain value, and for none (0)."""
        if not offset:
            return None
        value_type, flags = self.source[offset + HEADER_SIZE_BYTES - 2], self.source[offset + HEADER_SIZE_BYTES - 1]
        if not flags & LARGE or value_type not in STRUCTURE_NAMES:
            return None
        return self.structures.at[self.large_at(offset)[0]]

    def size_at(self, offset):
        _, value_length, key_length, _, flags = HEADER.unpack_from(self.source, offset)
        return record_size_bytes(key_length, value_length, flags)

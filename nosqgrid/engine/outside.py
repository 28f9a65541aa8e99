"""Values that do not lie in the heap: large ones, each in a file, and structures, which the coordinator has.

A part of the keyspace (engine/keyspace).  In both cases a record in the heap (formats/records, LARGE) says where the
value is, and is counted there: engine/large has the files, engine/structures/table the structures.

Invariants
 1. A structure is changed by change() alone.  With a log, what is changed in a batch is in the log before anybody is
    answered; where the batch fails, each change is taken back in the opposite order.
 2. A structure has a version: the position of its last change.  Log and checkpoint agree by it (engine/loading).
 3. A structure without elements has no key, unless its class keeps empty ones.
 4. A structure that gets another key gets another number: who looks for the old one finds nothing.

A kill at any line leaves what the log has.
"""

from itertools import islice

from ..errors import GridFullError, ValueTooLargeError, WrongTypeError
from ..formats.effects import CHANGE_BYTES_MAX, pack_change, pack_expire
from ..formats.records import ELSEWHERE, EXPIRES, LARGE, pack_body, pack_large_body
from ..formats.slots import FIRST_REAL, OFFSET_MASK
from ..formats.words import pack
from ..limits import KIB
from .stored import WRONG_TYPE

EVICT_SLICE = 64  # structures that are looked at at a time
LARGE_RECORD_BYTES = 64  # of the record of a large value at most, without its key
FIRST_EFFECT_BYTES = 256 * KIB  # of a structure's changes, in the effect that stores it; the rest follows in others


class Outside(object):
    """What a keyspace does with values that lie elsewhere."""

    # -- large values -------------------------------------------------------------------------------------------------

    def _file_of(self, value):
        """The number of a file with a large value, or None for one that lies in the heap."""
        if self.larges is None or len(value) < self.large_value_bytes:
            return None
        return self.larges.make(value)

    def store_large(self, key, value_type, number, deadline_ms=0):
        """Set a key to the large value with this number, which is dropped where that fails; returns the version."""
        larges = self.larges
        larges.hold(number)
        try:
            if self._tracker is not None:
                self._tracker.admit(key, larges.size_of(number) + len(key) + LARGE_RECORD_BYTES)
            if self.log is not None and self._staged is None:
                return self._logged(self._store_large, key, value_type, number, deadline_ms)
            return self._store_large(key, value_type, number, deadline_ms)
        finally:
            larges.release(number)

    def _store_large(self, key, value_type, number, deadline_ms):
        if self.log is not None:
            self._effects.append(pack_body(key, self.larges.read(number), value_type, deadline_ms))
        return self._place_large(key, value_type, number, deadline_ms)

    def _place_large(self, key, value_type, number, deadline_ms):
        self.larges.hold(number)
        try:
            return self.store_body(key, pack_large_body(key, self.larges.place_of(number), value_type, deadline_ms,
                                                        self.checked))
        except BaseException:
            self.larges.release(number)
            raise

    def place(self, key, value_type, value, deadline_ms=0):
        """Set a key past the log and without a look at sizes, for what was written down before."""
        number = self._file_of(value)
        if number is None:
            self.store_body(key, pack_body(key, value, value_type, deadline_ms, self.checked))
        else:
            self._place_large(key, value_type, number, deadline_ms)

    # -- structures ---------------------------------------------------------------------------------------------------

    def structure(self, key, kind):
        """The live structure at a key, or None; WrongTypeError where that is no `kind` (a class)."""
        found = self.structures.by_key.get(key)
        if found is None or self._staged and key in self._staged:
            offset = self._offset_of(key)
            if not self._is_live(offset):
                return None
            found = self.structure_at(offset)
        elif found.deadline_ms and found.deadline_ms <= self.now_ms:
            return None
        elif self._tracker is not None:
            self._offset_of(key)  # notes the hit
        if type(found) is not kind:
            raise WrongTypeError(WRONG_TYPE)
        return found

    def change(self, key, structure, words):
        """Change the structure that this key has; without elements the key goes.

        Raises GridFullError, DiskError, and ValueTooLargeError for words that no log takes, with nothing changed.
        """
        if self.log is not None and self._staged is None:
            return self._logged(self.change, key, structure, words)
        table, before, version = self.structures, structure.size_bytes, structure.version
        inverse = structure.apply(words)
        if structure.holders:  # else it was evicted while this command had it in hand
            table.used_bytes += structure.size_bytes - before
        if self._staged is not None:
            self._undo.append((structure, inverse, version, structure.deadline_ms))
        if table.used_bytes > table.reserved_bytes and structure.size_bytes > before:
            self._growing = structure
            try:
                table.reserve()
            except GridFullError:
                if self._staged is None:
                    self._take_back_one(structure, inverse, version, structure.deadline_ms)
                raise  # a batch takes back all that it did
            finally:
                self._growing = None
        self.version += 1
        structure.version = self.version
        gone = not len(structure) and not structure.KEPT_EMPTY
        if gone:
            self.version -= 1
            self.delete(key)
        elif self.log is not None:
            self._effects.append(pack_change(key, structure.TYPE, _packed(words)))
        if self._tracker is not None:
            self._note_growth(key, structure)
        if self.touched is not None:
            self._tell(key, gone)
        if key in self.waited:
            self.ready.append(key)

    def update(self, key, structure, kind, words):
        """Change the structure that a key has, or store one that these words make where it has none (None)."""
        if structure is not None:
            self.change(key, structure, words)
            return
        structure = kind()
        structure.apply(words)
        self.put(key, structure)

    def put(self, key, structure, deadline_ms=0):
        """Store a structure, whatever the key had; from now on it is the keyspace's.  Without elements the key goes.

        Raises KeyTooLargeError, ValueTooLargeError, GridFullError, DiskError.
        """
        if not len(structure) and not structure.KEPT_EMPTY:
            self.delete(key)
            return
        self.check_sizes(len(key), 0)
        if self.log is not None and self._staged is None:
            self._logged(self.put, key, structure, deadline_ms)
            return
        more = []
        if self.log is not None:
            more = self._log_whole(key, structure, deadline_ms)
        if self._staged is not None:
            self._undo.append((structure, [], structure.version, structure.deadline_ms))
        self.place_structure(key, structure, deadline_ms)
        self._effects += more
        self.version += len(more)
        structure.version = self.version
        if key in self.waited:
            self.ready.append(key)

    def place_structure(self, key, structure, deadline_ms):
        """Set a key to a structure past the log.  Raises GridFullError."""
        number = self.structures.add(structure)
        self.structures.hold(number)
        try:
            self._name_structure(key, number, structure, deadline_ms)
        except BaseException:
            self.structures.release(number)
            raise

    def _log_whole(self, key, structure, deadline_ms):
        """Log a structure as it is: the first of its changes in the SET; the effects that have to follow it."""
        first, more, size = [], [], 0
        for words in structure.changes():
            packed = _packed(words)
            size += len(packed)
            if not more and (size <= FIRST_EFFECT_BYTES or not first):
                first.append(packed)
            else:
                more.append(pack_change(key, structure.TYPE, packed))
        self._effects.append(pack_body(key, b"".join(first), structure.TYPE, deadline_ms))
        return more

    def _name_structure(self, key, number, structure, deadline_ms):
        """A record for a structure that has this number."""
        if self._tracker is not None:
            self._tracker.admit(key, structure.size_bytes + len(key) + LARGE_RECORD_BYTES)
        structure.version = self.store_body(key, pack_large_body(key, (number, structure.size_bytes, 0, 0),
                                                                 structure.TYPE, deadline_ms, self.checked))
        structure.deadline_ms = deadline_ms

    def load_change(self, structure, version, apply_all):
        """Let apply_all() change a structure, for what was written down before.  Raises GridFullError."""
        before = structure.size_bytes
        apply_all()
        structure.version = version
        self.version = max(self.version, version)
        self.structures.used_bytes += structure.size_bytes - before
        if self.structures.used_bytes > self.structures.reserved_bytes:
            self.structures.reserve()

    def set_deadline_of(self, key, entry, deadline_ms):
        """Give the key of a structure another deadline."""
        if self.log is not None and self._staged is None:
            self._logged(self.set_deadline_of, key, entry, deadline_ms)
            return
        structure = entry.structure
        self.structures.hold(entry.number)
        try:
            if self.log is not None:
                self._effects.append(pack_expire(key, structure.TYPE, deadline_ms))
            if self._staged is not None:
                self._undo.append((structure, [], structure.version, structure.deadline_ms))
            self._name_structure(key, entry.number, structure, deadline_ms)
        except BaseException:
            self.structures.release(entry.number)
            raise

    def rename(self, key, new_key):
        """Let `new_key` have what a key has, deadline and all, and the key nothing; whether it had anything.

        In a batch, or it may end between the two.  Cost: with a log, what logging the value costs.
        """
        entry = self.lookup(key)
        if entry is None:
            return False
        if key == new_key:
            return True
        self.store_entry(new_key, entry)
        self.delete(key)
        return True

    def store_entry(self, key, entry, structure=None):
        """Set a key to what another has: the Entry, in the place of its structure the one given."""
        if entry.structure is not None:
            self.put(key, entry.structure if structure is None else structure, entry.deadline_ms)
        elif entry.is_large:
            self.store_large(key, entry.type, entry.number, entry.deadline_ms)
        else:
            self.store(key, entry.type, entry.value, entry.deadline_ms)

    def version_of(self, key):
        """The version at which a live key stands, or 0: it differs from what it was if anything about it has."""
        offset = self._offset_of(key)
        if not self._is_live(offset):
            return 0
        structure = self.structure_at(offset)
        return self.entry_at(offset).version if structure is None else structure.version

    def _take_back(self):
        """Undo what the batch under way did to structures."""
        while self._undo:
            self._take_back_one(*self._undo.pop())

    def _take_back_one(self, structure, inverse, version, deadline_ms):
        before = structure.size_bytes
        if structure is self.structures.watched:
            self.structures.watched = None
        for words in inverse:
            structure.apply(words)
        if structure.holders:
            self.structures.used_bytes += structure.size_bytes - before
        structure.version, structure.deadline_ms = version, deadline_ms

    def _note_growth(self, key, structure):
        """Let the policies know where a structure has become much larger or smaller than they think."""
        if abs(structure.size_bytes - structure.noted_bytes) > (structure.noted_bytes >> 2) + KIB:
            slot, word = self._find(key, self.hash_of(key))
            offset = (word & OFFSET_MASK) << 3 if word >= FIRST_REAL else 0
            if offset and self.structure_at(offset) is structure:
                structure.noted_bytes = structure.size_bytes
                self._tracker.stored(slot, key, self.hash_of(key), self.weight_at(offset))

    def is_being_changed(self, offset):
        """Whether the record names the structure for which room is looked for."""
        return self._growing is not None and self.structure_at(offset) is self._growing

    def evict_structures(self, size_bytes, may_go, evict):
        """Let evict(slot) evict structures, those first that have their keys the longest, but what is being changed.

        As long as there are any whose keys may_go(key), up to so many bytes; how many that were.
        """
        evicted = before = 0
        while evicted < size_bytes:
            for key in list(islice(self.structures.by_key, EVICT_SLICE)):
                slot, word = self._find(key, self.hash_of(key))
                offset = (word & OFFSET_MASK) << 3
                if evicted < size_bytes and not self.is_being_changed(offset) and may_go(key):
                    evicted += self.outside_of(offset)[1]
                    evict(slot)
            if evicted == before:
                break
            before = evicted
        return evicted

    def _evict_outside(self, size_bytes):
        """Evict large values and structures of so many bytes; whether there were enough."""
        return self.evictor is not None and self.evictor.evict_large(size_bytes)

    # -- what clearing leaves -----------------------------------------------------------------------------------------

    def _take_hidden(self):
        """[(key, Entry)] of the live keys of the spaces, whose structures are nobody's from here on."""
        found = [(key, self.lookup(key)) for key in self.databases.hidden]
        kept = [(key, entry) for key, entry in found if entry is not None and not entry.is_large]
        for _, entry in kept:
            if entry.structure is not None:
                self.structures.take_out(entry.number)
        return kept

    def _place_hidden(self, kept):
        """Put them back, everything else having been removed."""
        version = self.version
        for key, entry in kept:
            self.version = entry.version - 1
            if entry.structure is None:
                self.place(key, entry.type, entry.value, entry.deadline_ms)
            else:
                self.place_structure(key, entry.structure, entry.deadline_ms)
        self.version = version

    # -- both ---------------------------------------------------------------------------------------------------------

    def _published_outside(self, key, offset, flags):
        """A record with these flags, LARGE or ELSEWHERE, is published."""
        if flags & LARGE and self.structure_at(offset) is not None:
            self.structures.publish(self.large_at(offset)[0], key)
        if flags & ELSEWHERE:
            self.databases.added(key, bool(flags & EXPIRES))

    def _structure_gone(self, key):
        """A key has this structure no more: who waits for just that one looks again."""
        if key in self.waited:
            self.ready.append(key)

    def _release(self, offset):
        """A LARGE record is dead."""
        table = self.larges if self.structure_at(offset) is None else self.structures
        table.release(self.large_at(offset)[0])

    def _release_all(self):
        """Every record is dead."""
        if self.larges is not None:
            self.larges.release_all()
        self.structures.release_all()
        self.databases.cleared()
        self.ready += self.waited


def _packed(words):
    """A change as the log takes it."""
    packed = pack(words)
    if len(packed) > CHANGE_BYTES_MAX:
        raise ValueTooLargeError("a change of %d bytes; the log takes up to %d: make it in parts"
                                 % (len(packed), CHANGE_BYTES_MAX))
    return packed

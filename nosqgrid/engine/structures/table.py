"""The structures of a grid, and what they take.

A record in the arena names a structure by a number that is never given twice (formats/records, LARGE): the key, its
deadline and its place in the index are like those of any other value.  What it holds lies here, in the coordinator's
own memory.

Invariants
 1. The records that name a number (one that is staged included) are counted; with the last of them the number goes, and
    with the last of its numbers the structure, whose elements are freed in slices.  It has two of them only while it
    gets another key.
 2. used_bytes is the sum of the sizes of all that have a number, and is charged to the budget, in steps, beforehand.
 3. by_key has exactly the structures that a published record names, each under its key.

A kill takes them with the coordinator; log and checkpoint bring them back.
"""

from ...errors import GridFullError, InvariantError
from ...formats import values
from ...limits import KIB
from .structure import Structure

STEP_BYTES = 256 * KIB
FREE_SLICE = 2000  # elements freed at a time
SMALL_BYTES = 4 * KIB
FREED_LATER = 64  # elements; who has more is one of those that take a while
FREE_OVERHEAD = 8  # elements that letting go of a structure costs as much as


class Structures(object):
    """All of one grid.  `take(n)` charges bytes or raises GridFullError, `give_back(n)` returns them."""

    def __init__(self, take, give_back):
        self._take = take
        self._give_back = give_back
        self._next = 1
        self._references = {}  # number -> records that name it
        self._keys = {}  # number -> key under which it is published
        self.at = {}  # number -> Structure
        self.by_key = {}
        self.used_bytes = 0
        self.reserved_bytes = 0
        self._freeing = []
        self.freed_later = 0  # structures of more than FREED_LATER elements that were dropped
        self._cleared = []  # dicts of structures and other dicts, all of whose numbers went at once
        self.watched = None  # a structure, until a change of it is taken back, which its version does not tell
        self.make_room = None  # (bytes) -> whether something was evicted for them
        self.gone = None  # (key): it has no structure any more
        self.may_give_back = None  # () -> whether nobody may take back what was done

    def add(self, structure):
        """Give a structure a number; hold() it before anything else happens.  Raises GridFullError."""
        if not structure.holders:
            self.used_bytes += structure.size_bytes
            if self.used_bytes > self.reserved_bytes:
                try:
                    self.reserve()
                except GridFullError:
                    self.used_bytes -= structure.size_bytes
                    raise
        structure.holders += 1
        number = self._next
        self._next += 1
        self.at[number] = structure
        self._references[number] = 0
        return number

    def reserve(self):
        """Charge for what is used and not yet charged.  Raises GridFullError; used_bytes stays."""
        while self.used_bytes > self.reserved_bytes:
            missing = self.used_bytes - self.reserved_bytes
            missing += -missing % STEP_BYTES
            try:
                self._take(missing)
            except GridFullError:
                if self.make_room is None or not self.make_room(missing):
                    raise
                continue
            self.reserved_bytes += missing

    def hold(self, number):
        """One more record names it."""
        self._references[number] += 1

    def release(self, number):
        """One record less names it."""
        references = self._references[number] = self._references[number] - 1
        if references <= 0:
            self.unpublish(number)
            structure = self.at.pop(number)
            del self._references[number]
            self._drop(structure)

    def _drop(self, structure):
        structure.holders -= 1
        if structure.holders:
            return  # it has another key by now
        self.used_bytes -= structure.size_bytes
        if len(structure) or structure.KEPT_EMPTY:  # a stream without entries may have groups
            self._freeing.append(structure)
            self.freed_later += len(structure) > FREED_LATER
        if self.reserved_bytes - self.used_bytes >= 2 * STEP_BYTES and self.may_give_back():
            self._give_back_spare()

    def _give_back_spare(self):
        spare = self.reserved_bytes - self.used_bytes
        spare -= spare % STEP_BYTES + STEP_BYTES
        self._give_back(spare)
        self.reserved_bytes -= spare

    def give_back(self, size_bytes):
        """Give back what evicted structures were charged with: that comes back with no batch that is taken back."""
        size_bytes = min(size_bytes, self.reserved_bytes - self.used_bytes)
        if size_bytes > 0:
            self._give_back(size_bytes)
            self.reserved_bytes -= size_bytes

    def publish(self, number, key):
        """The record that names it is there for everybody."""
        self._keys[number] = key
        self.by_key[key] = self.at[number]

    def unpublish(self, number):
        """The record that named it is not."""
        key = self._keys.pop(number, None)
        if key is not None and self.by_key.get(key) is self.at[number]:
            del self.by_key[key]
            self.gone(key)

    def take_out(self, number):
        """Let a published structure with one number be nobody's: everything else is about to go, and it is not."""
        structure = self.at.pop(number)
        del self._references[number], self.by_key[self._keys.pop(number)]
        self.used_bytes -= structure.size_bytes
        structure.holders = 0

    def release_all(self):
        """Every record is gone.  Cost: none; what they had is freed in slices."""
        self._cleared += [self._keys, self._references, self.by_key, self.at]
        self.at, self.by_key, self._keys, self._references = {}, {}, {}, {}
        self.used_bytes = 0
        if self.reserved_bytes >= 2 * STEP_BYTES:
            self._give_back_spare()

    @property
    def left_to_free(self):
        """How many things wait for work()."""
        return len(self._freeing) + sum(map(len, self._cleared))

    def work(self):
        """A slice of what is left to do with what was dropped; false when there is nothing."""
        if not self._freeing and not self._cleared:
            if self.reserved_bytes - self.used_bytes < 2 * STEP_BYTES:
                return False
            self._give_back_spare()  # of a batch
            return True
        left = FREE_SLICE
        while left > 0 and self._freeing:
            structure = self._freeing[-1]
            left -= len(structure) + FREE_OVERHEAD
            if not structure.shrink(FREE_SLICE):
                return True  # what a stream has beside its entries is not in its length
            self._freeing.pop()
        if left > 0 and self._cleared:
            self._free_cleared(left)
        return True

    def _free_cleared(self, count):
        """Let go of some of what release_all() left."""
        cleared = self._cleared[-1]
        for _ in range(min(count >> 1, len(cleared))):
            _, structure = cleared.popitem()
            if isinstance(structure, Structure):
                structure.holders = 0
                if structure.size_bytes <= SMALL_BYTES:
                    continue  # goes here and now
                self._freeing.append(structure)
                break
        if not cleared:
            self._cleared.pop()

    def stats(self):
        """[(name, value)] for stats()."""
        counts = dict.fromkeys(values.STRUCTURE_NAMES, 0)
        for structure in self.at.values():
            counts[structure.TYPE] += 1
        return ([("structures", len(self.at)), ("structures_bytes", self.used_bytes)]
                + [("structures_%s" % name, counts[number]) for number, name in sorted(values.STRUCTURE_NAMES.items())])

    def check(self, references):
        """Compare with the references counted by a walk of the records, {number: count}; raises InvariantError."""
        if self._references != references:
            raise InvariantError("structures: %r counted, %r found" % (self._references, references))
        different = {id(structure): structure for structure in self.at.values()}.values()
        if self.used_bytes != sum(structure.size_bytes for structure in different):
            raise InvariantError("structures: %d bytes counted" % self.used_bytes)
        if self.used_bytes > self.reserved_bytes:
            raise InvariantError("structures take %d bytes, %d are charged" % (self.used_bytes, self.reserved_bytes))
        if self.by_key != {key: self.at[number] for number, key in self._keys.items()}:
            raise InvariantError("structures: keys %r, and by number %r" % (self.by_key, self._keys))

"""What hashes and sets have in common: different names, each with a value or none, found by name, by chance or in turn.

A dict has them, in the order in which they came; that order is what clients see, though nobody promised it to them.
One with more than SMALL also has them in a list, so that chance and scans find one by its position.

Invariants
 1. Each name stands exactly once in `order`, where there is that list.  What was removed stays in it, and in `stale`,
    until its place is taken by the last of the list: so neither adding nor removing depends on how many there are.
 2. scan() goes from the end of the list to its beginning, and the cursor is the position it has reached.  What is added
    is put at the end, and what moves goes towards the beginning: so whatever was there from the first step to the last
    is met, and nothing has to be remembered between the steps.  What was met may be met again.
 3. Once there is the list it stays, however few are left, and so it is with `compact`: a scan may be under way.

A change that is taken back puts what it had removed at the end.
"""

import itertools
import struct

from ...limits import KIB
from .structure import Structure

SMALL = 128  # up to so many there is no list: a scan gives all at once, and chance counts its way to the one it means
CHANGE_BYTES = 64 * KIB  # of what changes() yields at a time
TIDY_STEPS = 8  # places looked at with each removal while many are stale; more than 2, or they would not become fewer

_RANDOM_BITS = 62
_DRAWS = struct.Struct("<64Q")
_STALE_SPARE = 16
_TRIES = 64  # the chance that each of so many positions is stale is below 2 ** -40


class Members(Structure):
    """`items` is a dict of names to values; whoever is no structure reads it and nothing more.

    `compact` says that Redis would keep it in the compact way of its kind.  That ends once for all: a change back, or a
    removal, does not make it compact again.
    """

    __slots__ = ("items", "order", "stale", "compact", "_swept")

    def __init__(self):
        super().__init__()
        self.items = {}
        self.order = None
        self.stale = None
        self.compact = True
        self._swept = 0

    def __len__(self):
        return len(self.items)

    # -- keeping the list ---------------------------------------------------------------------------------------------

    def _placed(self, name):
        """A name was added to a structure that is large, or has become so."""
        if self.order is None:
            self.order, self.stale = list(self.items), {}
        elif name in self.stale:
            del self.stale[name]  # it still stands where it stood
        else:
            self.order.append(name)

    def _left(self, name):
        """A name was removed from a structure that has the list."""
        self.stale[name] = None
        if 2 * len(self.stale) > len(self.items) + _STALE_SPARE:
            self._tidy()

    def _tidy(self):
        """Look at a few places and fill those that are stale from the end."""
        order, stale = self.order, self.stale
        for _ in range(TIDY_STEPS):
            if not order:
                return
            if order[-1] in stale:
                del stale[order.pop()]
                continue
            if self._swept >= len(order):
                self._swept = 0
            name = order[self._swept]
            if name in stale:
                del stale[name]
                order[self._swept] = order.pop()
            self._swept += 1

    # -- chance -------------------------------------------------------------------------------------------------------

    def random(self, random_bits):
        """One of the names, of which there has to be one; each with the same chance.  `random_bits(n)` < 2 ** n.

        Cost: that of the random number, and up to SMALL steps of some 10 ns.
        """
        order = self.order
        if order is None:
            position = random_bits(_RANDOM_BITS) * len(self.items) >> _RANDOM_BITS
            return next(itertools.islice(self.items, position, None))
        for _ in range(_TRIES):
            name = order[random_bits(_RANDOM_BITS) * len(order) >> _RANDOM_BITS]
            if name not in self.stale:
                return name
        self._drop_stale()
        return self.order[random_bits(_RANDOM_BITS) * len(self.order) >> _RANDOM_BITS]

    def _drop_stale(self):
        """Leave the stale ones out of the list; the others come nearer to its beginning, in the same order."""
        stale = self.stale
        self.order = [name for name in self.order if name not in stale]
        self.stale = {}

    def sample(self, count, random_bits):
        """A list of `count` different names in random order; all of them, in no special order, if there are no more."""
        if count >= len(self.items):
            return self.listed()
        order = list(self.items) if self.order is None else self.order
        stale = self.stale or ()
        size, moved, found = len(order), {}, []
        # The beginning of a random permutation of the positions; `moved` has those that do not stand where they did.
        for position, number in enumerate(_draws(random_bits)):
            other = position + (number * (size - position) >> 64)
            chosen = order[moved.get(other, other)]
            moved[other] = moved.get(position, position)
            if chosen not in stale:
                found.append(chosen)
                if len(found) == count:
                    return found

    def picks(self, count, random_bits):
        """A list of `count` names, each chosen anew from all of them, of which there has to be one."""
        order = list(self.items) if self.order is None else self.order
        stale = self.stale or ()
        size, found, draws = len(order), [], _draws(random_bits)
        tries = 0
        while len(found) < count:
            name = order[next(draws) * size >> 64]
            if name not in stale:
                found.append(name)
                continue
            tries += 1
            if tries == _TRIES + 8 * count:
                self._drop_stale()
                order, stale, size = self.order, (), len(self.order)
        return found

    # -- in turn ------------------------------------------------------------------------------------------------------

    def listed(self):
        """A list of the names, in the order in which clients see them."""
        return list(self.items)

    def scan(self, cursor, count):
        """(next cursor, names) of one step of a scan, which begins with 0 and ends when that comes back.

        Looks at `count` places, or at all of a structure that is compact or small.  Any int that is not negative is a
        cursor.
        """
        order, stale = self.order, self.stale
        if order is None or self.compact:
            return 0, self.listed()
        end = min(cursor or len(order), len(order))
        start = max(0, end - count)
        if not stale:
            return start, order[start:end]
        return start, [name for name in order[start:end] if name not in stale]

    # -- as a whole ---------------------------------------------------------------------------------------------------

    def _copy_to(self, other):
        other.items = self.items.copy()
        other.size_bytes = self.size_bytes
        other.compact = self.compact
        if self.order is not None:
            other.order, other.stale = list(other.items), {}
        return other

    def shrink(self, count):
        names = self.stale or self.items
        for _ in range(min(count, len(names))):
            names.popitem()
        if names is self.items and self.order:
            del self.order[-count:]
        return not (names or self.items or self.order)


def _draws(random_bits):
    """Endless random numbers below 2 ** 64."""
    while True:
        for number in _DRAWS.unpack(random_bits(8 * _DRAWS.size).to_bytes(_DRAWS.size, "little")):
            yield number

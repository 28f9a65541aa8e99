"""The index: an open-addressing hash table of 8-byte slot words that readers walk while it changes.

A table of 2**k slots holds a key at or after its home, slot `h >> (61 - k)`, where h is the key's hash; behind the last
home lie INDEX_OVERFLOW_SLOTS more, so that probing only ever goes forward.  Slots are therefore in the order of h, give
or take a cluster (a run without EMPTY), at every size.

Growth: the new generation is filled in the other area of the arena from the front, one cluster at a time: first each of
its keys gets its slot in the new table, then every slot of the cluster, the EMPTY behind it included, becomes MOVED.
A reader that meets MOVED starts again in the new table and finds there whatever the old slot held.  `frontier` is the
first old slot that is not MOVED.

Invariants, on which lock-free readers (memory/reader) rely
 1. Between a key's home and its slot there is no EMPTY, and no MOVED unless its own slot is MOVED too.
 2. A slot leaves EMPTY only by an insert and returns to it only when the slot behind it is EMPTY; so no chain is cut.
 3. Slot words change one at a time by single stores.  A key has at most one real slot word in the old table or, once it
    is there, one in the new; while it has both they are equal and nothing else happens.
 4. NEWEST names the generation being filled before its area is touched and never returns to an earlier value; ROOT
    names a generation until every slot of it is MOVED.  The two areas are never one, so a reader who looked in the
    table of ROOT may trust an EMPTY if NEWEST still is what it was together with this ROOT.
 5. The last overflow slot is never taken, so that every probe ends.
 6. What make_room() or room_left() promised holds, whatever is inserted, until let_go(): while an index is `held`
    nothing moves to another table.  A growth ends before its new table is full, or is given up before it begins.
 7. A cluster moves as a whole or not at all.  Keys may crowd behind the last home so that the new table has no room for
    the last of them: then both tables go on as they are until some of the keys are gone.

The caller owns heap and keys; the index calls back `hash_at(offset)` for the hash of the key of a record.  A kill at
any line leaves the arena to its readers exactly as invariants 1 to 5 describe it, and nobody will ever write it again.
"""

from ..errors import GridFullError, InvariantError
from ..formats.arena import NEWEST, ROOT, WORD_SIZE_BYTES, pack_generation
from ..formats.hashing import HASH_BITS
from ..formats.slots import EMPTY, FIRST_REAL, MOVED, OFFSET_MASK, TAG_MASK, TAG_SHIFT, TOMBSTONE
from ..limits import INDEX_LOAD_MAX, INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL, KIB
from .index_proof import IndexProof

CLEAR_STEP_BYTES = 128 * KIB  # reserved and cleared at a time, some 50 us
INDEX_LOAD_NEW = 0.36  # the most that a new table begins with: a table due to grow is doubled
INDEX_LOAD_DENSE = 0.85  # the most where memory does not allow the table that there should be
INDEX_LOAD_FULL = 0.9  # beyond, an insert is refused: growth has failed or ended
STUCK_STEPS = 256  # for which a cluster that the new table has no room for is not looked at again
INSERT_STEP_SLOTS = 16  # moved by each insert into a table that is due to grow; 4 would be enough to be done in time


class Table(object):
    """One generation: its geometry and how many of its slots are not EMPTY."""

    def __init__(self, number, slots_log2, layout):
        self.number = number
        self.slots_log2 = slots_log2
        self.slots = 1 << slots_log2
        self.shift = HASH_BITS - slots_log2
        self.offset_bytes = layout.area_offsets_bytes[number & 1]
        self.base = self.offset_bytes // WORD_SIZE_BYTES
        self.end = self.base + self.slots + INDEX_OVERFLOW_SLOTS  # one past the last slot
        self.size_bytes = (self.end - self.base) * WORD_SIZE_BYTES
        self.tail = self.base + self.slots  # from here on no slot was ever taken
        self.used = 0
        self.grow_at = int(self.slots * INDEX_LOAD_MAX)
        self.full_at = int(self.slots * INDEX_LOAD_FULL)

    @property
    def word(self):
        return pack_generation(self.number, self.slots_log2)


class Index(IndexProof):
    """The only writer of the index areas and of ROOT and NEWEST.

    `words` and `arena` are the mapped arena as 8-byte words and as bytes; `reserve(offset, length)` makes a part of it
    usable or raises GridFullError; `hash_at(offset)` is described above.
    """

    def __init__(self, words, arena, layout, reserve, hash_at):
        self.words = words
        self.arena = arena
        self.layout = layout
        self.hash_at = hash_at
        self.tracker = None  # is told which slots are vacated, and what moves where (engine/evictor)
        self._reserve = reserve
        self.may_grow = None  # (slots, size_bytes) -> whether a table of so many slots may take so much more
        self._dirty_bytes = [0, 0]  # of each area: how far it is reserved and may hold words of an older generation
        self.live = 0
        self.growths = 0
        self.growth_failures = 0
        self.new = None  # the table being filled, while `migrating` or still being cleared
        self.migrating = False
        self.frontier = 0
        self.held = False  # what was promised is being inserted: growth has to wait
        self._owed = 0  # pieces of growth that waited
        self._step_slots = INSERT_STEP_SLOTS  # moved by each insert
        self._stuck = 0  # steps left in which nothing is moved, because there was no room for it
        self._cleared_bytes = 0
        self._number_last = 1  # of the generations ever announced
        self.table = Table(1, INDEX_SLOTS_INITIAL.bit_length() - 1, layout)
        self._reserve(self.table.offset_bytes, self.table.size_bytes)
        self._dirty_bytes[1] = self.table.size_bytes
        words[NEWEST] = self.table.word
        words[ROOT] = self.table.word
        self._update_geometry()

    def _update_geometry(self):
        """What the inlined lookup of the keyspace uses; `steady` is false while there are two tables to look in."""
        self.base = self.table.base
        self.shift = self.table.shift
        self.steady = not self.migrating

    # -- lookup -------------------------------------------------------------------------------------------------------

    def table_for(self, key_hash):
        """The table in which a key with this hash lives or would be inserted."""
        if self.migrating and self.table.base + (key_hash >> self.table.shift) < self.frontier:
            return self.new
        return self.table

    def find(self, key_hash, is_key):
        """(slot, word) of the key that `is_key(offset)` recognises, or the slot to insert it and what is there.

        Cost: on average 1.1 to 1.8 probes for a key that is there, up to 3.6 for one that is not.
        """
        words, table = self.words, self.table_for(key_hash)
        tag, slot, vacant = key_hash & TAG_MASK, table.base + (key_hash >> table.shift), 0
        while True:
            word = words[slot]
            if word < FIRST_REAL:
                if word == EMPTY:
                    return (vacant, TOMBSTONE) if vacant else (slot, EMPTY)
                if word == MOVED:
                    raise InvariantError("slot %d is MOVED within a chain" % slot)  # Invariant 1.
                vacant = vacant or slot
            elif word >> TAG_SHIFT == tag and is_key((word & OFFSET_MASK) << 3):
                return slot, word
            slot += 1

    def find_offset(self, key_hash, offset_units):
        """The slot whose word points at this record, or 0: whether a record is live, without comparing keys."""
        words, table = self.words, self.table_for(key_hash)
        slot = table.base + (key_hash >> table.shift)
        while True:
            word = words[slot]
            if word & OFFSET_MASK == offset_units and word >= FIRST_REAL:
                return slot
            if word == EMPTY:
                return 0
            slot += 1

    # -- change -------------------------------------------------------------------------------------------------------

    def insert(self, key_hash, slot, word):
        """Publish a new key at the vacant slot that find() returned."""
        table = self.table_for(key_hash)
        if self.words[slot] == EMPTY:
            self.check_room(slot, table)
            table.used += 1
            table.tail = max(table.tail, slot + 1)
        self.words[slot] = word
        self.live += 1
        if self.new is not None or table.used >= table.grow_at:
            if self.held:
                self._owed += 1
            else:
                self.grow_some()

    def check_room(self, slot, table):
        """Refuse the last slot (invariant 5), and a load at which probing would crawl because growth has ended."""
        if slot >= table.end - 1 or table.used >= table.full_at:
            if self.may_grow is not None:
                self.start_growth()  # there may be memory by now; whoever tries again later finds the room
            raise GridFullError("the index is full with %d keys; start the coordinator with more --memory" % self.live)

    def remove(self, slot):
        """Unpublish the key at this slot."""
        if self.tracker is not None:
            self.tracker.removed(slot)
        words = self.words
        self.live -= 1
        if words[slot + 1] != EMPTY:
            words[slot] = TOMBSTONE
            return
        table = self._table_of(slot)
        first = max(table.base, self.frontier if self.migrating and table is self.table else 0)
        words[slot] = EMPTY
        table.used -= 1
        while slot > first and words[slot - 1] == TOMBSTONE:  # Invariant 2 holds at each step.
            slot -= 1
            words[slot] = EMPTY
            table.used -= 1

    def _table_of(self, slot):
        if self.new is not None and self.new.base <= slot < self.new.end:
            return self.new
        return self.table

    # -- growth -------------------------------------------------------------------------------------------------------

    @property
    def growing(self):
        return self.new is not None

    def start_growth(self, more=0):
        """Begin a new generation, of the size that the live keys and `more` need; nothing if one is being made."""
        if self.new is not None:
            return
        slots = INDEX_SLOTS_INITIAL
        while self.live + more > slots * INDEX_LOAD_NEW and slots < self.layout.slots_max:
            slots *= 2
        if slots == self.layout.slots_max == self.table.slots and self.live > slots * INDEX_LOAD_MAX * 0.95:
            return  # as large as it gets and hardly a tombstone in it: check_room() will refuse
        if self.may_grow is not None:
            slots = self._allowed(slots, self.live + more)
        if slots:
            self._announce(slots)
        else:
            self.growth_failures += 1
            self.table.grow_at = min(max(self.table.grow_at, self.table.used) + (self.table.slots >> 6),
                                     self.table.full_at)  # asked for again then, not with every insert

    def _allowed(self, slots, keys):
        """The largest table up to this one that there is memory for and that is of use, or 0."""
        own_bytes = self._dirty_bytes[self.table.number & 1]
        other_bytes = self._dirty_bytes[~self.table.number & 1]
        while slots >= INDEX_SLOTS_INITIAL and keys <= slots * INDEX_LOAD_DENSE:
            size_bytes = (slots + INDEX_OVERFLOW_SLOTS) * WORD_SIZE_BYTES
            # A table of the same size is of use where it gets rid of many tombstones, or of some that are in the way.
            won = self.table.used - keys
            of_use = (slots != self.table.slots or won >= slots >> 2
                      or won >= slots >> 5 and self.table.used >= slots * INDEX_LOAD_DENSE)
            # In both areas: such a table must be able to get rid of its tombstones later.
            missing_bytes = max(size_bytes - other_bytes, 0) + max(size_bytes - own_bytes, 0)
            if of_use and self.may_grow(slots, missing_bytes):
                return slots
            slots //= 2
        return 0

    def _announce(self, slots):
        """Name the next generation in NEWEST (invariant 4: before its area is touched).

        Its number has the other parity than the table's; where the last attempt failed, a number is left out.
        """
        self._number_last += 1 if (self._number_last - self.table.number) % 2 == 0 else 2
        self.new = Table(self._number_last, slots.bit_length() - 1, self.layout)
        self._cleared_bytes = 0
        self.words[NEWEST] = self.new.word

    def grow_some(self):
        """What an insert does for growth itself, so that it ends whatever else the loop has to do."""
        self.start_growth()
        try:
            if self.table.used + 1 >= self.table.full_at:
                self.finish_growth()  # the next key would be refused, though there is room to come
            else:
                self.step(self._step_slots)
        except GridFullError:
            self.growth_failures += 1  # the key is in; check_room() refuses when the old table is full as well

    def let_go(self):
        """What was promised is inserted: growth makes up for what it did not do while the index was `held`."""
        self.held = False
        owed, self._owed = self._owed, 0
        while owed and (self.new is not None or self.table.used >= self.table.grow_at):
            self.grow_some()
            owed -= 1

    def room_left(self):
        """How many more keys find slots for certain, whatever their hashes, while the index is held."""
        table = self.table
        return 0 if self.migrating else min(table.full_at - table.used, table.end - table.tail) - 1

    def _takes(self, table, hashes):
        """Whether new keys with these hashes find slots as a table is.  Cost: 0.5 us a key.

        They fill the same slots in whatever order they come; deletions between them only leave more.
        """
        words, taken = self.words, 0
        slot, last = table.base, table.end - 1
        for key_hash in sorted(hashes):
            slot = max(slot, table.base + (key_hash >> table.shift))
            while slot < last and words[slot] >= FIRST_REAL:
                slot += 1
            if slot >= last:
                return False
            taken += words[slot] == EMPTY
            slot += 1
        return table.used + taken <= table.full_at

    def make_room(self, count, hashes=None):
        """Whether `count` more keys fit, after growing for them where that helps: for a batch, which must not fail.

        Where their hashes are told, that is seen exactly; else it may be no where they would just have fitted.
        """
        if self.table.used + count < self.table.grow_at and count <= self.room_left():
            return True
        try:
            self.finish_growth()
            if self.table.used + count >= self.table.grow_at:
                self.start_growth(count)
                self.finish_growth()
        except GridFullError:
            self.growth_failures += 1
        if self.migrating or hashes is None:
            return count <= self.room_left()
        return count <= self.room_left() or self._takes(self.table, hashes)

    def step(self, slot_count):
        """Do a bounded piece of growth: clear some, or move about `slot_count` slots; true while more can be done.

        Raises GridFullError when the system has no memory for the new generation; the old one goes on and the attempt
        is given up until the next insert.
        """
        if self.new is None:
            return False
        if not self.migrating:
            self._clear_some()
            if self.migrating:
                self._begin_to_move()
            return self.new is not None
        stop = min(self.frontier + slot_count, self.table.end)
        if self._stuck:
            self._stuck -= 1
            return False
        while self.frontier < stop:
            if not self._move_cluster():
                self._stuck = STUCK_STEPS
                return False
        if self.frontier >= self.table.end:
            self._finish()
        return self.new is not None

    def _begin_to_move(self):
        """See that the new table can take what there is, and what is inserted until everything has moved."""
        if self.live > self.new.slots * INDEX_LOAD_DENSE:  # keys have come since its size was chosen
            self._give_up()
            self.start_growth()
            return
        self._step_slots = max(INSERT_STEP_SLOTS,
                               (self.table.end - self.table.base) // (self.new.full_at - self.live) + 1)

    def _give_up(self):
        self.new, self.migrating = None, False
        self._update_geometry()

    def _clear_some(self):
        new, area = self.new, self.new.number & 1
        start = self._cleared_bytes
        length = min(CLEAR_STEP_BYTES, new.size_bytes - start)
        unreserved = max(start, self._dirty_bytes[area])
        if start + length > unreserved:
            try:
                self._reserve(new.offset_bytes + unreserved, start + length - unreserved)
            except GridFullError:
                self.new = None
                raise
        dirty = min(self._dirty_bytes[area], start + length) - start
        if dirty > 0:
            # MOVED words become EMPTY here in one memory copy.  Torn or not, such a word reads as one of the two, and a
            # reader who is still in this area finds that NEWEST has moved on and starts again (invariant 4).
            at = new.offset_bytes + start
            self.arena[at:at + dirty] = bytes(dirty)
        self._dirty_bytes[area] = max(self._dirty_bytes[area], start + length)
        self._cleared_bytes += length
        if self._cleared_bytes >= new.size_bytes:
            self.migrating = True
            self.frontier = self.table.base
            self._update_geometry()

    def _move_cluster(self):
        """Move the cluster at the frontier; whether the new table had room for it."""
        words, new = self.words, self.new
        start = slot = self.frontier
        end = self.table.end
        moving = []
        while slot < end:
            word = words[slot]
            slot += 1
            if word == EMPTY:
                break
            if word >= FIRST_REAL:
                moving.append((slot - 1, self.hash_at((word & OFFSET_MASK) << 3), word))
        if len(moving) >= new.end - new.tail and not self._takes(new, [key_hash for _, key_hash, _ in moving]):
            return False
        for old, key_hash, word in moving:
            place = self._place(new, key_hash, word)
            if self.tracker is not None:
                self.tracker.moved(old, place)
        for old in range(start, slot):
            words[old] = MOVED
        self.frontier = slot
        return True

    def _place(self, table, key_hash, word):
        words, slot = self.words, table.base + (key_hash >> table.shift)
        while words[slot] != EMPTY:
            slot += 1
        if slot >= table.end - 1:
            raise InvariantError("the overflow of index generation %d is full" % table.number)
        words[slot] = word
        table.used += 1
        table.tail = max(table.tail, slot + 1)
        return slot

    def _finish(self):
        self.words[ROOT] = self.new.word
        self.table, self.new, self.migrating = self.new, None, False
        self.growths += 1
        self._update_geometry()

    def finish_growth(self):
        """Carry a growth that is under way to its end; raises GridFullError where there is no room for that."""
        self._stuck = 0
        while self.new is not None:
            if not self.step(4096) and self.new is not None:
                raise GridFullError("the index is crowded with %d keys; delete some, or start the coordinator with "
                                    "more --memory" % self.live)

    def prepare_clear(self):
        """Do everything of clear() that can fail; forget_clear() takes it back.  Raises GridFullError."""
        self.finish_growth()
        self._announce(INDEX_SLOTS_INITIAL)
        while not self.migrating:
            self._clear_some()

    def forget_clear(self):
        """The index is not cleared after prepare_clear(): the table that was made for it is given up."""
        self._give_up()

    def clear(self):
        """Drop every key, at once for every reader who starts afterwards; costs some 30 ns a slot in one go.

        prepare_clear() has to come first.
        """
        words = self.words
        for slot in range(self.table.base, self.table.end):
            words[slot] = MOVED
        dropped, self.live = self.live, 0
        self._finish()
        return dropped

    def reserved_bytes(self):
        """Memory that the two areas have taken from the system."""
        return sum(self._dirty_bytes)

    # -- walking ------------------------------------------------------------------------------------------------------

    def scan(self, cursor, count):
        """(next cursor, offsets) of at least `count` records with a hash of `cursor` or more, to the end of a cluster.

        A cursor is a hash: 0 begins, 0 in the answer means the end.  A key that is there from the first call to the
        last is found exactly once, whatever grows or shrinks between them, because the order is the same at every size.
        """
        found = []
        while True:
            cursor = self._scan_cluster(cursor, found)
            if cursor == 0 or len(found) >= count:
                return cursor, found

    def _scan_cluster(self, cursor, found):
        words, table = self.words, self.table_for(cursor)
        slot = table.base + (cursor >> table.shift)
        while slot < table.end and words[slot] != EMPTY:
            word = words[slot]
            if word >= FIRST_REAL:
                offset = (word & OFFSET_MASK) << 3
                if self.hash_at(offset) >= cursor:
                    found.append(offset)
            slot += 1
        following = slot + 1 - table.base
        if table is self.new:
            # Behind the frontier's hash the keys are still in the old table.
            limit = (self.frontier - self.table.base) << self.table.shift
            return min(following << table.shift, limit) if limit >> HASH_BITS == 0 else self._after(following, table)
        return self._after(following, table)

    @staticmethod
    def _after(following, table):
        return following << table.shift if following < table.slots else 0

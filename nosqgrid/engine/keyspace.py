"""The keyspace: what the grid holds, as keys, typed values and deadlines, on top of index and heap.

Every command is made of the primitives here (lookup, store, delete, set_deadline, scan, clear).  Outside a batch each
takes effect, for lock-free readers too, before it returns.  Between begin() and commit() effects are staged: the
records are written but no slot word names them; later lookups of the batch see them, nobody else does; commit()
publishes them one slot word after the other with nothing in between, rollback() forgets them.

With a log (set_log) everything goes this way: effects are staged, appended to the log as one entry, and then published;
what the log refuses is rolled back.  So nobody, a lock-free reader least of all, sees what the log does not hold.

Invariants
 1. A record is whole, stamp included, before a slot word names it; `_fence` stands between the two where the machine
    may reorder stores.
 2. What fails (a key or value too large, a full grid) fails before anything is published and leaves no byte accounted.
 3. `version` rises by one with each effect (a set, a deletion that removed something, a clearing), and a version is
    given to one published effect only: it is the effect's position in the log (LSN).
 4. What is in the log is applied at once and cannot fail.  If it did, by a mistake of ours, `behind` stays true: then
    memory is not to be served any more, and a restart brings back what the log has.
 5. An expired record is gone for every lookup from its deadline on, whenever its space is reclaimed.

A kill at any line: readers keep the old record or have the new one, whole in both cases.
"""

from collections import OrderedDict

from ..errors import CommandError, GridFullError, InvariantError, KeyTooLargeError, ValueTooLargeError
from ..formats.arena import WEAK_ORDERING
from ..formats.effects import pack_clear, pack_delete
from ..formats.records import (COPIES_BITS, ELSEWHERE, EXPIRES, HEADER, HEADER_SIZE_BYTES, LARGE, pack_body,
                               with_checksum, with_flag)
from ..formats.slots import FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..limits import KEY_SIZE_BYTES_MAX, large_value_bytes, value_size_bytes_max
from .batches import Batches
from .budget import HEAP, STRUCTURES, Unlimited
from .changes import CLEAR, DELETE, EVICT, EXPIRE, SET
from .cleaner import Cleaner
from .databases import PREFIX, PREFIX_SIZE_BYTES, Databases
from .expiry import Expiry
from .fastset import finish_run, log_frames, make_apply_checked_sets, make_apply_sets, make_run_end
from .heap import Heap
from .index import Index
from .outside import Outside
from .proof import check
from .reclaim import Reclaiming
from .room import Room
from .stored import LargeEntry, StoredRecords
from .structures.table import Structures

MOVE_SLICE_SLOTS = 512  # index slots moved at a time


class Keyspace(StoredRecords, Reclaiming, Outside, Batches):
    """Keys and values in one arena.  `now_ms` is the time that deadlines are judged by; the caller sets it.

    `words` and `arena` are the mapped arena, `header` its constants, `reserve(offset, length)` makes a part of it
    usable or raises GridFullError, `wall_ms()` tells the wall clock, `fence()` orders stores on machines that need it.
    `source` is the same memory as `arena`, for reading: a test that watches the stores passes another face of it.
    `budget` (engine/budget) is charged for what is reserved.
    """

    def __init__(self, words, arena, header, reserve, wall_ms, fence=None, source=None, budget=Unlimited):
        self.words = words
        self.arena = arena
        self.source = arena if source is None else source
        self.secret = header.secret
        self.life = (header.epoch & 0xffffffff).to_bytes(4, "little")  # of this coordinator: another one has another
        self.wall_ms = wall_ms
        self.now_ms = 0
        self.version = 0
        self.expiring = 0  # records that have a deadline
        self.expired_count = 0
        self.value_size_bytes_max = value_size_bytes_max(header.layout.heap_size_bytes)
        self.checked = bool(header.flags & WEAK_ORDERING)
        self._fence = fence
        self.fenced = fence is not None
        self.heap = Heap(header.layout, budget.charging(HEAP, reserve))
        self.index = Index(words, arena, header.layout, budget.charging_index(reserve), self.hash_at)
        self.budget = budget
        budget.plan_for(self.heap, self.index)
        self.cleaner = Cleaner(self)
        self.room = Room(self)
        self.expiry = Expiry()
        self._staged = None
        self.staging = False  # whether a batch is under way
        self._effects = []  # of the batch under way, for the log
        self._undo = []  # (structure, what takes its change back, its version before) of the batch under way
        self._told = []  # of the batch under way: keys that changed, and functions to be called, in this order
        self._version_before = 0  # of the batch under way
        self._growing = None  # the structure for which room is looked for
        self.larges = None  # engine/large.Larges, of a grid that has large values
        self.structures = Structures(lambda size: budget.take(STRUCTURES, size),
                                     lambda size: budget.give_back(STRUCTURES, size))
        self.structures.make_room, self.structures.gone = self._evict_outside, self._structure_gone
        self.structures.may_give_back = lambda: not self.staging
        self.databases = Databases()
        self.chores = []  # generators, each step of which is a slice of work that somebody waits for
        self.patched = OrderedDict()  # key -> version, of strings changed in part lately (commands/strings)
        self.waited = {}  # keys for which somebody waits (engine/waiting)
        self.ready = []  # those of them that changed
        self.heard = None  # (letter, event, key), told which keys are new, expire or are evicted, or None
        self.evictor = None  # engine/evictor.Evictor
        self._tracker = None  # the same while it keeps order among the records
        self.keeps_order = False  # whether it does: a write may have to be paid for by the eviction of others
        self.large_value_bytes = large_value_bytes(header.layout.segment_size_bytes)
        self.log = None
        self.behind = False  # the log has what is not applied yet
        # The hot path neither checksums nor fences, and it does not stage.
        self._make_apply_sets = make_apply_checked_sets if self.checked else make_apply_sets
        self.make_hot_paths()
        self.run_end = make_run_end(self)

    def set_log(self, log):
        """From now on every effect is in the log before it is seen; None ends that.  Not inside a batch.

        `log.append(first_lsn, count, payload)` takes `count` effects (formats/effects); where it raises they do not
        take place, and the next ones get the same positions.
        """
        if self._staged is not None:
            raise InvariantError("the log is changed within a batch")
        self.log = log
        self.make_hot_paths()

    def use_evictor(self):
        """The evictor has begun to keep order, has ended that, or looks at other keys."""
        self._tracker = self.index.tracker = self.evictor if self.evictor.tracking else None
        self.keeps_order = self._tracker is not None
        self.make_hot_paths()

    def make_hot_paths(self):
        """What they depend on has changed: the log, the evictor, or who is told of changes."""
        self.apply_sets = self.apply_sets_plain = self._make_apply_sets(self, None)
        if self.log is not None:
            self.apply_sets = self._make_apply_sets(self, self.log)

    def hot_note(self):
        """What the hot path notes each set with: a function, None for nobody, False where it has to stand aside."""
        tell = self._hot_tell()
        if tell is False or self._tracker is not None and self._tracker.refuses_by_quota():
            return False
        note = None if self._tracker is None else self._tracker.noted.append
        if tell is None:
            return note

        def note_and_tell(noted):
            if note is not None:
                note(noted)
            tell(noted[3])

        return note_and_tell

    # -- lookup -------------------------------------------------------------------------------------------------------

    def _find(self, key, key_hash):
        return self.index.find(key_hash, lambda offset: self.key_at(offset) == key)

    def _offset_of(self, key):
        """Where the record lies that a command sees at this key, expired or not, or 0."""
        if self._staged is not None and key in self._staged:
            return self._staged[key]
        slot, word = self._find(key, self.hash_of(key))
        if word < FIRST_REAL:
            return 0
        if self._tracker is not None:
            self._tracker.hit(slot)
        return (word & OFFSET_MASK) << 3

    def _is_live(self, offset):
        if not offset:
            return False
        flags = self.source[offset + HEADER_SIZE_BYTES - 1]
        return not flags & EXPIRES or self.deadline_at(offset) > self.now_ms

    # -- primitives ---------------------------------------------------------------------------------------------------

    @property
    def key_count(self):
        """Keys in the index; those that expired count until they are reclaimed, some 0.1 s later."""
        return self.index.live

    def type_of(self, key):
        """The type (formats/values) of what a live key has, or None.  Cost: that of lookup(), without the value."""
        offset = self._offset_of(key)
        return self.source[offset + HEADER_SIZE_BYTES - 2] if self._is_live(offset) else None

    def lookup(self, key):
        """The live Entry at a key (bytes), or None."""
        offset = self._offset_of(key)
        return self.entry_at(offset) if self._is_live(offset) else None

    def store(self, key, value_type, value, deadline_ms=0):
        """Set a key; returns the version.  Raises KeyTooLargeError, ValueTooLargeError, GridFullError or DiskError."""
        self.check_sizes(len(key), len(value))
        number = self._file_of(value)
        if number is not None:
            return self.store_large(key, value_type, number, deadline_ms)
        return self.store_frame(key, pack_body(key, value, value_type, deadline_ms))

    def check_sizes(self, key_length, value_length):
        if key_length > KEY_SIZE_BYTES_MAX:
            raise KeyTooLargeError("a key of %d bytes; the limit is %d: hash long names before using them as keys"
                                   % (key_length, KEY_SIZE_BYTES_MAX))
        if value_length > self.value_size_bytes_max:
            raise ValueTooLargeError("a value of %d bytes; this grid takes up to %d: split it, or start the "
                                     "coordinator with more --memory" % (value_length, self.value_size_bytes_max))

    def store_frame(self, key, frame):
        """Set a key to the value in a SET frame (a record body without checksum) whose sizes were checked."""
        if self._tracker is not None:
            self._tracker.admit(key, len(frame) + 8)
        if self.log is not None and self._staged is None:
            return self._logged(self.store_frame, key, frame)
        if self._staged is not None:
            self._effects.append(frame)
        return self.store_body(key, with_checksum(frame) if self.checked else frame)

    def store_body(self, key, body):
        """Set a key to the value in a record body, past the log; returns the version."""
        if key[:PREFIX_SIZE_BYTES] == PREFIX:
            body = with_flag(body, ELSEWHERE)
        size = (8 + len(body) + 7) & ~7
        offset = self.room.allocate(size)
        self.arena[offset + 8:offset + 8 + len(body)] = body
        self.version += 1
        self.words[offset >> 3] = self.version << COPIES_BITS
        if self._staged is not None:
            self._stage(key, offset)
        else:
            self._publish(key, offset, size)
        return self.version

    def store_run(self, frames, count):
        """Log `count` SET frames, all that run_end() finds in these bytes, as one entry, and apply them.

        Raises DiskError; nothing took place then.
        """
        log_frames(self.log.append, self, count, frames, 0, len(frames))
        finish_run(self, frames, 0, len(frames))

    def delete(self, key):
        """Remove a key; whether it was there."""
        if self._staged is not None:
            live = self._is_live(self._offset_of(key))
            if live or self._may_return():
                self.version += 1
                self._effects.append(pack_delete(key))
                self._stage(key, 0)
            return live
        if self.log is not None:
            return self._logged(self.delete, key)
        live = self.remove(key)
        if live:
            self.version += 1
        return live

    def _may_return(self):
        """Whether a key that is not there may be back after a restart, having been evicted: that has to be logged."""
        return self.log is not None and self.evictor is not None and self.evictor.evicted_bytes > 0

    def remove(self, key):
        """Remove a key past log and batch; whether it was there.  The version stays."""
        slot, word = self._find(key, self.hash_of(key))
        if word < FIRST_REAL:
            return False
        offset = (word & OFFSET_MASK) << 3
        live = self._is_live(offset)
        self.index.remove(slot)
        self._discard(offset)
        if live and self.touched is not None:
            self.touched(key, DELETE)
        return live

    def has_record(self, key):
        """Whether key_count has this key, whatever a batch under way does with it."""
        return self._find(key, self.hash_of(key))[1] >= FIRST_REAL

    def set_deadline(self, key, deadline_ms):
        """Let a key expire at `deadline_ms`, or never (0); whether it was there.  Costs a copy of the record."""
        entry = self.lookup(key)
        if entry is None:
            return False
        if entry.structure is not None:
            self.set_deadline_of(key, entry, deadline_ms)
        elif type(entry) is LargeEntry:
            self.store_large(key, entry.type, entry.number, deadline_ms)
        else:
            self.store(key, entry.type, entry.value, deadline_ms)
        return True

    def scan(self, cursor, count):
        """(next cursor, live keys): see Index.scan for the guarantee.  Staged effects of a batch are not seen."""
        cursor, offsets = self.index.scan(cursor, count)
        return cursor, [self.key_at(offset) for offset in offsets if self._is_live(offset)]

    def clear(self):
        """Remove every key of every database; how many there were.  Costs some 30 ns an index slot, in one go.

        The keys of the spaces (engine/databases) stay, as they are and at the versions that they have.

        Raises CommandError inside a batch, which could not take it back.
        """
        if self._staged is not None:
            raise CommandError("removing every key cannot be part of a batch")
        self.index.prepare_clear()
        if self.log is not None:
            try:
                self.log.append(self.version + 1, 1, pack_clear())
            except BaseException:
                self.index.forget_clear()
                raise
        self.behind = True
        self.version += 1
        kept = self._take_hidden()
        dropped = self.index.clear() - len(kept)
        self.heap.discard_all()
        self._release_all()
        self.cleaner.forget()
        self.expiry.clear()
        self.expiring = 0
        if self._tracker is not None:
            self._tracker.cleared()
        self._place_hidden(kept)
        self.behind = False
        if self.touched is not None:
            self.touched(None, CLEAR)
        return dropped

    # -- publication --------------------------------------------------------------------------------------------------

    def _publish(self, key, offset, size):
        key_hash = self.hash_of(key)
        slot, old = self._find(key, key_hash)
        word = ((key_hash & TAG_MASK) << TAG_SHIFT | self.heap.generation_bits(self.heap.segment_of(offset))
                | offset >> 3)
        if self._fence is not None:
            self._fence()  # Invariant 1.
        if self._tracker is not None:
            self._tracker.stored(slot, key, key_hash, self.weight_at(offset))  # before insert(), which may move it
        if old >= FIRST_REAL:
            self.words[slot] = word
            self._discard((old & OFFSET_MASK) << 3)
        else:
            try:
                self.index.insert(key_hash, slot, word)
            except GridFullError:
                if self._tracker is not None:
                    self._tracker.removed(slot)
                if self.room.thin_index():
                    self.index.make_room(1)
                    return self._publish(key, offset, size)  # the slot is another; each time there are fewer keys
                self.heap.discard(offset, size)  # whoever stored it lets go of a large value
                raise
        flags = HEADER.unpack_from(self.source, offset)[4]
        if flags & EXPIRES:
            self.expiring += 1
            self.expiry.add(self.deadline_at(offset), offset >> 3)
        if flags & (LARGE | ELSEWHERE):
            self._published_outside(key, offset, flags)
        if self.touched is not None:
            self.touched(key, SET)
        if self.heard is not None and old < FIRST_REAL:
            self.heard(b"n", b"new", key)

    def _discard(self, offset):
        """A published record is dead."""
        flags = self.source[offset + HEADER_SIZE_BYTES - 1]
        if flags & EXPIRES:
            self.expiring -= 1
            if (self.heard is not None or self.touched is not None) and self.deadline_at(offset) <= self.now_ms:
                self._tell_expired(self.key_at(offset))
        if flags & ELSEWHERE:
            self.databases.removed(self.key_at(offset), bool(flags & EXPIRES))
        self._dead(offset)

    def _tell_expired(self, key):
        if self.heard is not None:
            self.heard(b"x", b"expired", key)
        if self.touched is not None:
            self.touched(key, EXPIRE)

    def _dead(self, offset):
        """A record, published or staged, is dead: no slot word names it."""
        if self.source[offset + HEADER_SIZE_BYTES - 1] & LARGE:
            self._release(offset)
        self.heap.discard(offset, self.size_at(offset))

    def publish_copy(self, slot, key_hash, offset, stamp, generation_bits):
        """The cleaner wrote a copy of the record at `slot` to `offset`: complete it and let the slot name it."""
        self.words[offset >> 3] = stamp
        if self._fence is not None:
            self._fence()
        self.words[slot] = (key_hash & TAG_MASK) << TAG_SHIFT | generation_bits | offset >> 3
        if HEADER.unpack_from(self.source, offset)[4] & EXPIRES:
            self.expiry.add(self.deadline_at(offset), offset >> 3)

    def remove_expired(self, slot, offset, size):
        self.index.remove(slot)
        self._discard(offset)
        self.expired_count += 1

    def evict(self, slot):
        """Remove the record in a slot to make room; how many bytes of the heap.  The log does not hear of it."""
        offset = (self.words[slot] & OFFSET_MASK) << 3
        _, value_length, key_length, _, flags = HEADER.unpack_from(self.source, offset)
        self.index.remove(slot)
        if self.heard is not None:
            self.heard(b"e", b"evicted", self.key_at(offset))
        if self.touched is not None and self._is_live(offset):
            self.touched(self.key_at(offset), EVICT)
        if flags:
            self._discard(offset)
            return self.size_at(offset)
        size = HEADER_SIZE_BYTES + key_length + value_length + 7 & ~7
        self.heap.discard(offset, size)
        return size

    def weight_of(self, key):
        """Bytes of the record that a set of this key would replace, a large value included; 0 for none."""
        offset = self._staged.get(key, 0) if self._staged is not None else 0
        if not offset:
            _, word = self._find(key, self.hash_of(key))
            offset = (word & OFFSET_MASK) << 3 if word >= FIRST_REAL else 0
        return self.weight_at(offset) if offset else 0

    # -- work beside the commands -------------------------------------------------------------------------------------

    def work(self):
        """One slice, about half a millisecond, of what can be done beside the commands; false when there is none."""
        self.heap.settle(self.now_ms)
        if self.evictor is not None and self.evictor.work():
            return True
        if self.chores:
            if next(self.chores[0], self) is self:
                del self.chores[0]
            return True
        if self.structures.work():
            return True
        if self.index.growing:
            try:
                if self.index.step(MOVE_SLICE_SLOTS) or not self.index.growing:
                    return True
            except GridFullError as error:
                self.heap.reserve_error = error
                return True
        if self.reclaim_expired():
            return True
        if self.expiry.overgrown(self.expiring):
            self.expiry.compact(self.expires_between)
            return True
        return self.cleaner.behind() and self.cleaner.worthwhile() and self.cleaner.step()

    def check(self):
        """Verify everything against everything (engine/proof); raises InvariantError."""
        check(self)

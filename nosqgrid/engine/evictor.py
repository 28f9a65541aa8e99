"""Eviction: which records go, and that they do, when a grid or a group of keys has no room for more.

A grid that refuses has none of this.  One that evicts begins to keep order among its records (engine/eviction) when it
is TRACK_FROM full: up to there a write costs what it costs without.  Hits come as notes, late and not all of them.

    lfu     W-TinyLFU: what is asked for often stays, what was asked for once goes
    lru     what was not asked for the longest goes

A group is the keys that begin with "name:"; it may have a quota, and a policy of its own: lfu, lru, or refuse.
Keys of the spaces (engine/databases) are in no group and in no order: they stay.

Invariants
 1. What is evicted is gone for everybody, as if it had expired; that is not logged: after a restart it may be back,
    with the value that it had.
 2. Records are evicted until the live ones take less than LIVE_MAX of the heap, so that cleaning it stays cheap, and
    until each group is within its quota.  Expired records go first.
 3. Slots that the policies know are those of live records; a slot is forgotten before its key is.

A kill at any line leaves what removing a key leaves.
"""

from contextlib import suppress

from ..errors import GridFullError, UsageError
from ..formats.slots import FIRST_REAL, OFFSET_MASK
from .databases import PREFIX, is_hidden
from .eviction import Lru, TinyLfu
from .policies import LFU, LRU, POLICIES, REFUSE

TRACK_FROM = 0.6  # of the segments in use
LIVE_MAX = 0.88  # of the heap; beyond, cleaning would cost more than what the rest could hold is worth
SLACK_SHIFT = 7  # below LIVE_MAX by this part of the heap after each round, so that rounds are not for single records
ADOPT_SLICE_SLOTS = 512
ADOPT_SLICES = 32  # at a time, where little is found in each
NOTES_PENDING_MAX = 4096  # writes of the hot path that wait to be told to the policies
EVICT_SLICE = 64  # at the least, in a turn that has to evict
EVICT_ROUND_MAX = 100000
SPARED_MAX = 64  # keys that are passed over in search of a structure
QUOTAS_MAX = 80  # each takes up to three lists of the 255
INDEX_LIVE_MAX = 0.7  # of the slots: an index that may not grow any more has to be rebuilt now and then


class _Group(object):
    """A group of keys with a quota."""

    def __init__(self, prefix, quota_bytes, policy_name, policy):
        self.prefix = prefix
        self.quota = quota_bytes >> 3  # in units of 8 bytes, like the weights
        self.policy_name = policy_name
        self.policy = policy
        self.staged = 0  # units that the batch under way adds

    def over(self):
        """Whether some of it has to go."""
        return self.policy_name != REFUSE and self.policy.weight > self.quota


class Evictor(object):
    """Order and eviction for one keyspace.

    `chance()` gives a number from 0 to 1 that nobody can guess, `new_lists(node_count)` makes the arrays
    (eviction.NodeLists).
    """

    def __init__(self, keyspace, policy_name, chance, new_lists):
        self.keyspace = keyspace
        self.policy_name = policy_name
        self._chance = chance
        self._new_lists = new_lists
        self.tracking = False
        self.lists = self._main = None
        self._groups = {}  # prefix -> _Group
        self._by_list = {}  # list number -> policy
        self.noted = []  # (slot, hash, units, key) of sets on the hot path
        self._adopting = None  # while records are taken over: (number of the table, next slice)
        self._written = 0  # units since the live bytes were counted
        self._live = 0  # units when they were, without what was evicted since
        self._records = 0  # that were written since the last look
        self._limit = 0  # units from which on the live bytes are counted again
        self._units_over = 0  # of the heap that are to be evicted
        self._behind = False  # more is to be evicted
        self.evicted = {"capacity": 0, "quota": 0, "large": 0}
        self.evicted_bytes = 0
        self.hits = 0

    # -- which keys ---------------------------------------------------------------------------------------------------

    @property
    def evicts(self):
        """Whether the grid as a whole makes room by evicting."""
        return self.policy_name != REFUSE

    def _new_policy(self, name):
        if name == LFU:
            policy = TinyLfu(self.lists, self._hash_at_slot, self._chance)
        else:
            policy = Lru(self.lists)
        for number in policy.numbers:
            self._by_list[number] = policy
        return policy

    def _hash_at_slot(self, slot):
        keyspace = self.keyspace
        return keyspace.hash_at((keyspace.words[slot] & OFFSET_MASK) << 3)

    def _group_of(self, key):
        return self._groups.get(key[:key.find(b":") + 1]) if self._groups else None

    def _policy_of(self, key):
        group = self._group_of(key)
        return None if is_hidden(key) else self._main if group is None else group.policy

    def set_quota(self, prefix, quota_bytes, policy_name):
        """Give the keys with a prefix, which ends with its only colon, a quota; 0 takes it away."""
        policy_name = policy_name or self.policy_name
        if policy_name not in POLICIES:
            raise UsageError("no policy is called %r; there are: %s" % (policy_name, " ".join(POLICIES)))
        old = self._groups.get(prefix)
        before = (0, policy_name) if old is None else (old.quota, old.policy_name)
        if (quota_bytes >> 3, policy_name) == before:
            return
        if old is None and len(self._groups) >= QUOTAS_MAX:
            raise UsageError("there are %d maps with a quota, and no more may have one" % QUOTAS_MAX)
        self.start()
        self.flush()
        if old is not None and old.policy_name == policy_name and quota_bytes >> 3:
            old.quota = quota_bytes >> 3
            old.policy.set_capacity(old.quota)
        else:
            self._exchange(prefix, old, quota_bytes, policy_name)
        self.settle()

    def _exchange(self, prefix, old, quota_bytes, policy_name):
        """Another policy for a group: its records are taken over again."""
        if old is not None:
            del self._groups[prefix]
            for number in old.policy.numbers:
                del self._by_list[number]
            old.policy.close()
        if quota_bytes >> 3:
            policy = self._new_policy(policy_name)
            policy.set_capacity(quota_bytes >> 3)
            self._groups[prefix] = _Group(prefix, quota_bytes, policy_name, policy)
        self._adopting = (0, 0)
        self.keyspace.use_evictor()

    def refuses_by_quota(self):
        """Whether there is a group whose writes have to be looked at before they are made."""
        return any(group.policy_name == REFUSE for group in self._groups.values())

    # -- what happens to records --------------------------------------------------------------------------------------

    def start(self):
        """Begin to keep order; the records that are there are taken over in slices."""
        if self.tracking:
            return
        with suppress(GridFullError):  # of a quota in a full grid that refuses: the order comes on top then
            self.keyspace.budget.keep_order()
        layout = self.keyspace.index.layout
        self.lists = self._new_lists(layout.heap_offset_bytes >> 3)
        self._by_list = {}
        if self.evicts:
            self._main = self._new_policy(self.policy_name)
        self.tracking = True
        self._live, self._written = self.keyspace.heap.live_bytes() >> 3, 0
        self._limit, self._units_over, self._behind = 0, 0, False
        self._adopting = (0, 0)
        self.keyspace.use_evictor()

    def stored(self, slot, key, key_hash, size_bytes):
        """A record of so many bytes, a large value included, is in a slot: a new one or another one."""
        if len(self.noted) >= NOTES_PENDING_MAX:
            self.flush()
        self.noted.append((slot, key_hash, size_bytes >> 3, key))

    def flush(self):
        """Tell the policies of the sets that were noted."""
        noted, owner = self.noted, self.lists.owner
        if not noted:
            return
        main, groups, written = self._main, self._groups, 0
        for slot, key_hash, units, key in noted:
            policy = self._policy_of(key) if groups or key >= PREFIX else main
            written += units
            if policy is None:
                continue
            if owner[slot]:
                policy.changed(slot, key_hash, units)
            else:
                policy.added(slot, key_hash, units)
        self._written += written
        self._records += len(noted)
        del noted[:]

    def removed(self, slot):
        """The key of a slot is gone."""
        if self.noted:
            self.flush()
        policy = self._by_list.get(self.lists.owner[slot])
        if policy is not None:
            policy.removed(slot)

    def moved(self, old_slot, new_slot):
        """The index was rebuilt."""
        if self.noted:
            self.flush()
        policy = self._by_list.get(self.lists.owner[old_slot])
        if policy is not None:
            policy.moved(old_slot, new_slot)

    def hit(self, slot):
        """Somebody read the record in a slot, or what was there a moment ago: a client's note may be anything."""
        keyspace = self.keyspace
        if not self._is_slot(slot):
            return
        word = keyspace.words[slot]
        policy = self._by_list.get(self.lists.owner[slot])
        if word >= FIRST_REAL and policy is not None:
            self.hits += 1
            policy.touched(slot, keyspace.hash_at((word & OFFSET_MASK) << 3))

    def _is_slot(self, slot):
        index = self.keyspace.index
        table = index.table
        if table.base <= slot < table.end:
            return not index.migrating or slot >= index.frontier
        return index.migrating and index.new.base <= slot < index.new.end

    def cleared(self):
        """Every key is gone."""
        if not self.tracking:
            return
        groups, self.tracking, self.noted[:] = self._groups, False, []
        self._groups, self._main = {}, None
        self._written = self._live = 0
        if groups:
            self.start()
            for group in groups.values():
                self._exchange(group.prefix, None, group.quota << 3, group.policy_name)
        else:
            self.lists = None
            self.keyspace.use_evictor()

    # -- room ---------------------------------------------------------------------------------------------------------

    def batch_begins(self):
        """What is staged from here on takes part of the quotas before the policies know of it."""
        for group in self._groups.values():
            group.staged = 0

    def admit(self, key, size_bytes):
        """Refuse a set that a group's quota has no room for.  Raises GridFullError."""
        group = self._group_of(key)
        if group is None or group.policy_name != REFUSE:
            return
        self.flush()
        more = (size_bytes + 7 >> 3) - (self.keyspace.weight_of(key) >> 3)
        if more > 0 and group.policy.weight + group.staged + more > group.quota:
            raise GridFullError("the keys %s* hold %d bytes of a quota of %d, whose policy is to refuse more: delete "
                                "some, or raise the quota of that map" % (group.prefix.decode("utf-8", "replace"),
                                                                          group.policy.weight << 3, group.quota << 3))
        if self.keyspace.staging:
            group.staged += more

    def settle(self):
        """Evict what is over the quotas, over LIVE_MAX of the heap, or over INDEX_LIVE_MAX of the index.

        Of each not many more than were written since: what is left over is evicted in the next turns.
        """
        self.flush()
        most, self._records = EVICT_SLICE + self._records + (self._records >> 2), 0
        self._look_at_heap()
        over = [group for group in self._groups.values() if group.over()]
        self._behind = bool(over or self._units_over or self._keys_over() > 0)
        if not self._behind or self._reclaim(most):
            return
        self._behind = False
        for group in over:
            self._behind |= self._evict(group.policy, "quota", group.over, most) == most
        if self._units_over:
            least = self._live - self._units_over
            self._behind |= self._evict_any(lambda: self._live > least, most) == most
            self._units_over = max(self._live - least, 0) if self._behind else 0
        if self._keys_over() > 0:
            self._behind |= self._evict_any(lambda: self._keys_over() > 0, most) == most

    def _look_at_heap(self):
        """See whether too much of the heap is live; counted anew when that may be."""
        if self._main is None:
            self._written = 0
        elif self._live + self._written > self._limit:
            heap = self.keyspace.heap
            self._limit = int((heap.usable_total() - heap.held()) * heap.segment_size_bytes * LIVE_MAX) >> 3
            self._live, self._written = heap.live_bytes() >> 3, 0
            self._units_over = self._live - self._limit + (self._limit >> SLACK_SHIFT) * (self._live > self._limit)
            self._units_over = max(self._units_over, 0)

    def _keys_over(self):
        index = self.keyspace.index
        return 0 if self._main is None else index.live - int(index.table.slots * INDEX_LIVE_MAX)

    def _reclaim(self, most):
        """Whether there were expired records, which go first."""
        reclaimed = 0
        while reclaimed < most and self.keyspace.reclaim_expired():
            reclaimed += EVICT_SLICE
        if reclaimed:
            self._limit = self._units_over = 0  # look again
        return reclaimed > 0

    def evict_heap(self, size_bytes):
        """Evict records that take so much of the heap; whether there were any."""
        if not self._ready():
            return False
        least = self._live - (size_bytes >> 3)
        return self._evict_any(lambda: self._live > least, EVICT_ROUND_MAX) > 0

    def evict_keys(self, count):
        """Evict so many records, whatever they take; whether there were any."""
        return self._ready() and self._evict_any(lambda: True, count) > 0

    def evict_large(self, size_bytes):
        """Evict large values and structures of so many bytes, and nothing else; whether there were enough.

        Only those that nobody else keeps, and none where they are too few.  Where the order is not kept yet, among
        those that are found first.
        """
        larges, structures = self.keyspace.larges, self.keyspace.structures
        if not self.evicts:
            return False
        kept = larges.kept() if larges is not None else ()
        there_bytes = structures.used_bytes + (larges.size_without(kept) if larges is not None else 0)
        if there_bytes < size_bytes or not self._ready():
            return False
        used_bytes = structures.used_bytes
        evicted = self._evict_larges(self._fullest(), size_bytes, kept)
        while evicted < size_bytes and self._adopting is not None and self._adopt_some():
            evicted += self._evict_larges(self._fullest(), size_bytes - evicted, kept)
        structures.give_back(used_bytes - structures.used_bytes)
        return evicted >= size_bytes

    def _evict_larges(self, policy, size_bytes, kept):
        evicted = spared = 0
        for _ in range(min(policy.count, EVICT_ROUND_MAX)):
            slot = policy.next_victim()
            if evicted >= size_bytes or not slot:
                break
            offset = (self.keyspace.words[slot] & OFFSET_MASK) << 3
            number, size = self.keyspace.outside_of(offset)
            if size and number not in kept and (number or not self.keyspace.is_being_changed(offset)):
                self._evict_at(slot, "large")
                evicted += size
                continue
            policy.spared(slot)  # the memory of the heap is not given back for it, or somebody has it mapped
            spared += 1
            if spared == SPARED_MAX:
                evicted += self._evict_structures(size_bytes - evicted)
        return evicted + self._evict_structures(size_bytes - evicted)

    def _evict_structures(self, size_bytes):
        """Evict structures, where the policies have too many others in front of them; how many bytes."""
        return self.keyspace.evict_structures(size_bytes, self._may_go, lambda slot: self._evict_at(slot, "large"))

    def _may_go(self, key):
        return not is_hidden(key) and getattr(self._group_of(key), "policy_name", None) != REFUSE

    def _ready(self):
        """Whether the grid evicts; whoever needs room now does not wait until every record is taken over."""
        if not self.evicts:
            return False
        self.start()
        self.flush()
        if self._adopting is None and not self._main.count:
            self._adopting = (0, 0)  # what is there came from files, and nobody told of it
        if self._adopting is not None and not self._main.count:
            try:
                self.keyspace.index.finish_growth()
            except GridFullError as error:
                self.keyspace.heap.reserve_error = error
            while not self._main.count and self._adopting is not None and self._adopt_some():
                continue
        return True

    def _fullest(self):
        """The policy that makes room for all: that of the grid, or of the largest group where there is nothing else."""
        policies = [group.policy for group in self._groups.values() if group.policy_name != REFUSE]
        return self._main if self._main.count or not policies else max(policies, key=lambda policy: policy.weight)

    def _evict_any(self, wanted, most):
        """Evict from whatever makes room for all, as long as it is wanted, at most so many; how many."""
        evicted = 0
        while evicted < most and wanted():
            count = self._evict(self._fullest(), "capacity", wanted, most - evicted)
            if not count and (self._adopting is None or not self._adopt_some()):
                break
            evicted += count
        return evicted

    def _evict(self, policy, cause, wanted, most):
        evicted, next_victim = 0, policy.next_victim
        while evicted < most and wanted():
            slot = next_victim()
            if not slot:
                break
            self._evict_at(slot, cause)
            evicted += 1
        return evicted

    def _evict_at(self, slot, cause):
        self.evicted_bytes += self.lists.weight[slot] << 3
        self.evicted[cause] += 1
        self._live -= self.keyspace.evict(slot) >> 3

    # -- beside the commands ------------------------------------------------------------------------------------------

    def work(self):
        """A slice of what can be done beside the commands; whether there was any."""
        if not self.tracking:
            heap = self.keyspace.heap
            if self.evicts and heap.usable() < heap.usable_total() * (1 - TRACK_FROM):
                self.start()
            return False
        adopted = self._adopting is not None and self._adopt_some()
        if adopted or self.noted or self._behind or self._records:
            self.settle()
        return adopted or self._behind

    def adopt_all(self):
        """Records came that nobody told of: take over all that are not known."""
        if self.tracking:
            self._adopting = (0, 0)

    def _adopt_some(self):
        """Take over some of the records that were there before.

        A slice is of slots that lie far apart, all over the table: the order of the slots is that of the hashes, and
        what is taken over first may go first.  Would all of that lie together, the rest of the index would be crowded.
        Where the index was rebuilt it is gone through again; what is known by then costs little.
        """
        index = self.keyspace.index
        if index.migrating:
            return False  # what moves is found in its new place
        self.flush()
        table = index.table
        number, done = self._adopting
        if number != table.number:
            done = 0
        slices = -(-(table.end - table.base) // ADOPT_SLICE_SLOTS)
        stop, looked = min(done + ADOPT_SLICES, slices), 0
        while done < stop and looked < ADOPT_SLICE_SLOTS >> 1:
            looked += self._adopt_slice(range(table.base + done, table.end, slices))
            done += 1
        self._adopting = None if done >= slices else (table.number, done)
        return True

    def _adopt_slice(self, slots):
        """Take over what is in these slots; how many records had to be looked at."""
        keyspace, looked = self.keyspace, 0
        words, owner, groups = keyspace.words, self.lists.owner, self._groups
        for at in slots:
            word = words[at]
            if word >= FIRST_REAL and (groups or not owner[at]):
                looked += 1
                offset = (word & OFFSET_MASK) << 3
                key = keyspace.key_at(offset)
                policy, present = self._policy_of(key), self._by_list.get(owner[at])
                if policy is present:
                    continue
                if present is not None:
                    present.removed(at)
                if policy is not None:
                    policy.added(at, keyspace.hash_of(key), keyspace.weight_at(offset) >> 3)
        return looked

    # -- what it tells ------------------------------------------------------------------------------------------------

    def stats(self):
        """[(name, value)] for stats()."""
        rows = [("policy", self.policy_name), ("evicted_keys", sum(self.evicted.values())),
                ("evicted_bytes", self.evicted_bytes), ("evicted_for_capacity", self.evicted["capacity"]),
                ("evicted_for_quota", self.evicted["quota"]), ("evicted_for_large", self.evicted["large"]),
                ("eviction_tracking", int(self.tracking)), ("hits_noted", self.hits),
                ("eviction_order_bytes", self.keyspace.budget.order_bytes)]
        for group in self._groups.values():
            name = group.prefix[:-1].decode("utf-8", "replace")
            rows += [("map_%s_bytes" % name, group.policy.weight << 3), ("map_%s_keys" % name, group.policy.count),
                     ("map_%s_quota_bytes" % name, group.quota << 3)]
        return rows

    def check(self):
        """Verify order against the index; raises InvariantError.  Costs a walk of everything."""
        if self.tracking:
            self.flush()
            self.lists.check_all()
            for policy in set(self._by_list.values()):
                policy.check()

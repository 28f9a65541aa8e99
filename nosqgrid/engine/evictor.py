"""Eviction: which records go, and that they do, when a grid or a group of keys has no room for more.

A grid that refuses has none of this.  One that evicts begins to keep order among its records (engine/eviction) when it
is TRACK_FROM full: up to there a write costs what it costs without.  Hits come as notes, late and not all of them.

    lfu     W-TinyLFU: what is asked for often stays, what was asked for once goes
    lru     what was not asked for the longest goes

A group is the keys that begin with "name:"; it may have a quota, and a policy of its own: lfu, lru, or refuse.

Invariants
 1. What is evicted is gone for everybody, as if it had expired; that is not logged: after a restart it may be back,
    with the value that it had.
 2. Records are evicted until the live ones take less than LIVE_MAX of the heap, so that cleaning it stays cheap, and
    until each group is within its quota.  Expired records go first.
 3. Slots that the policies know are those of live records; a slot is forgotten before its key is.

A kill at any line leaves what removing a key leaves.
"""

from ..errors import GridFullError, UsageError
from ..formats.slots import FIRST_REAL, OFFSET_MASK
from .eviction import Lru, TinyLfu

REFUSE, LFU, LRU = "refuse", "lfu", "lru"
POLICIES = (REFUSE, LFU, LRU)

TRACK_FROM = 0.6  # of the segments in use
LIVE_MAX = 0.88  # of the heap; beyond, cleaning would cost more than what the rest could hold is worth
SLACK_SHIFT = 7  # below LIVE_MAX by this part of the heap after each round, so that rounds are not for single records
ADOPT_SLICE_SLOTS = 512
NOTES_PENDING_MAX = 4096  # writes of the hot path that wait to be told to the policies
EVICT_SLICE = 64  # at the least, in a turn that has to evict
EVICT_ROUND_MAX = 100000
INDEX_LIVE_MAX = 0.7  # of the slots: an index that may not grow any more has to be rebuilt now and then


class _Group(object):
    """A group of keys with a quota."""

    def __init__(self, prefix, quota_bytes, policy_name, policy):
        self.prefix = prefix
        self.quota = quota_bytes >> 3  # in units of 8 bytes, like the weights
        self.policy_name = policy_name
        self.policy = policy


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
        self._adopting = None  # (number of the index's table, next slot) while records are taken over
        self._written = 0  # units since the live bytes were counted
        self._live = 0  # units when they were, without what was evicted since
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
        return self._main if group is None else group.policy

    def set_quota(self, prefix, quota_bytes, policy_name):
        """Give the keys with a prefix, which ends with its only colon, a quota; 0 takes it away."""
        policy_name = policy_name or self.policy_name
        if policy_name not in POLICIES:
            raise UsageError("no policy is called %r; there are: %s" % (policy_name, " ".join(POLICIES)))
        old = self._groups.get(prefix)
        if old is not None and (quota_bytes, policy_name) == (old.quota << 3, old.policy_name):
            return
        self.start()
        self.flush()
        if old is not None and old.policy_name == policy_name and quota_bytes:
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
        if quota_bytes:
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
        layout = self.keyspace.index.layout
        self.lists = self._new_lists(layout.heap_offset_bytes >> 3)
        self._by_list = {}
        if self.evicts:
            self._main = self._new_policy(self.policy_name)
        self.tracking = True
        self._live, self._written, self._behind = self.keyspace.heap.live_bytes() >> 3, 0, False
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
        main, groups = self._main, self._groups
        for slot, key_hash, units, key in noted:
            policy = self._policy_of(key) if groups else main
            self._written += units
            if policy is None:
                continue
            if owner[slot]:
                policy.changed(slot, key_hash, units)
            else:
                policy.added(slot, key_hash, units)
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

    def admit(self, key, size_bytes):
        """Refuse a set that a group's quota has no room for.  Raises GridFullError."""
        group = self._group_of(key)
        if group is None or group.policy_name != REFUSE:
            return
        self.flush()
        if group.policy.weight + (size_bytes >> 3) > group.quota:
            raise GridFullError("the keys %s* hold %d bytes of a quota of %d, whose policy is to refuse more: delete "
                                "some, or raise the quota of that map" % (group.prefix.decode("utf-8", "replace"),
                                                                          group.policy.weight << 3, group.quota << 3))

    def settle(self):
        """Evict what is over the quotas, over LIVE_MAX of the heap, or over INDEX_LIVE_MAX of the index.

        Of each not many more than were written since: what is left over is evicted in the next turns.
        """
        most = EVICT_SLICE + len(self.noted)
        self.flush()
        for group in self._groups.values():
            if group.policy_name != REFUSE and group.policy.weight > group.quota:
                self._evict(group.policy, "quota", lambda: group.policy.weight > group.quota, most)
        if self._main is None:
            self._written = 0
            return
        heap, index = self.keyspace.heap, self.keyspace.index
        limit = int((heap.usable_total() - heap.held()) * heap.segment_size_bytes * LIVE_MAX) >> 3
        low = limit - (limit >> SLACK_SHIFT)
        if self._live + self._written > limit:
            self._live, self._written = heap.live_bytes() >> 3, 0
            self._behind = self._live > limit
        if self._behind:
            self._evict(self._main, "capacity", lambda: self._live > low, most)
            self._behind = self._live > low
        if index.live > index.table.slots * INDEX_LIVE_MAX:
            self._evict(self._main, "capacity", lambda: index.live > index.table.slots * INDEX_LIVE_MAX, most)

    def evict_bytes(self, size_bytes, cause="capacity"):
        """Evict records of so many bytes, large values included; whether there were any."""
        if not self.evicts:
            return False
        self.start()
        self.flush()
        while self._adopting is not None and not self._main.count and self._adopt_some():
            continue
        before = self.evicted_bytes
        self._evict(self._main, cause, lambda: self.evicted_bytes < before + size_bytes, EVICT_ROUND_MAX)
        return self.evicted_bytes > before

    def _evict(self, policy, cause, wanted, most):
        keyspace = self.keyspace
        for _ in range(most):
            if not wanted():
                return
            slot = policy.next_victim()
            if not slot:
                return
            weight = self.lists.weight[slot]
            word = keyspace.words[slot]
            offset = (word & OFFSET_MASK) << 3
            self._live -= keyspace.size_at(offset) >> 3
            keyspace.evict(slot, offset)
            self.evicted[cause] += 1
            self.evicted_bytes += weight << 3

    # -- beside the commands ------------------------------------------------------------------------------------------

    def work(self):
        """A slice of what can be done beside the commands; whether there was any."""
        if not self.tracking:
            heap = self.keyspace.heap
            if self.evicts and len(heap.free) < heap.count * (1 - TRACK_FROM):
                self.start()
            return False
        if self._written or self.noted or self._behind:
            self.settle()
            if self._behind:
                return True
        return self._adopting is not None and self._adopt_some()

    def _adopt_some(self):
        """Take over some of the records that were there before."""
        keyspace, index = self.keyspace, self.keyspace.index
        if index.migrating:
            return False  # what moves is found in its new place
        self.flush()
        table = index.table
        number, slot = self._adopting
        if number != table.number:
            slot = table.base
        stop = min(slot + ADOPT_SLICE_SLOTS, table.end)
        words, owner, groups = keyspace.words, self.lists.owner, self._groups
        for at in range(slot, stop):
            word = words[at]
            if word >= FIRST_REAL and (groups or not owner[at]):
                offset = (word & OFFSET_MASK) << 3
                key = keyspace.key_at(offset)
                policy, present = self._policy_of(key), self._by_list.get(owner[at])
                if policy is present:
                    continue
                if present is not None:
                    present.removed(at)
                if policy is not None:
                    policy.added(at, keyspace.hash_of(key), keyspace.weight_at(offset) >> 3)
        self._adopting = None if stop >= table.end else (table.number, stop)
        return True

    # -- what it tells ------------------------------------------------------------------------------------------------

    def stats(self):
        """[(name, value)] for stats()."""
        rows = [("policy", self.policy_name), ("evicted_keys", sum(self.evicted.values())),
                ("evicted_bytes", self.evicted_bytes), ("evicted_for_capacity", self.evicted["capacity"]),
                ("evicted_for_quota", self.evicted["quota"]), ("evicted_for_large", self.evicted["large"]),
                ("eviction_tracking", int(self.tracking)), ("hits_noted", self.hits)]
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

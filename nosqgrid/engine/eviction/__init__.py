"""Which record goes when there is no room: policies over lists in flat arrays, 13 bytes a slot.

A policy (`Lru`, `TinyLfu`) only keeps order; the caller owns memory and keys, decides when it is full, and removes
what the policy names.  Both have one interface, in which a node is the index of a slot word and a weight the size of a
record in units of 8 bytes:

    added(node, key_hash, weight)     a record is new in this slot
    changed(node, key_hash, weight)   it was overwritten, counts as a hit
    touched(node, key_hash)           it was read; may be noted late, once for several reads, or not at all
    removed(node)                     it is gone, whatever the reason
    moved(old_node, new_node)         the index was rebuilt
    next_victim()                     which node should go now, 0 where there is none; it stays until it is removed
    spared(node)                      it could not go: ask for it last
    set_capacity(weight)              what fits, if the caller knows; learnt from next_victim() otherwise
    weight   count                    of its records
    clear()   close()   check()       O(count)

All take O(1) but for the last line; what one call does at once is bounded.  A node that is in no list of the policy is
ignored by touched, changed, removed, moved and spared, because notes of reads come late; it must be below node_count
(whoever gets it from a client checks that first).  An added node that is in a list is taken out of it.

Several policies may share one set of arrays, a quota its own; `NodeLists.owner[node]` tells the list and so the policy
(`numbers`) that a node belongs to.

    to make room:   node = policy.next_victim(); delete its key; policy.removed(node); again until there is room
    then:           policy.added(node of the new key, ...)
"""

from .lists import NodeLists
from .lru import Lru
from .sketch import FrequencySketch
from .tinylfu import TinyLfu

__all__ = ("FrequencySketch", "Lru", "NodeLists", "TinyLfu")

"""The names of what is done when the memory is full (engine/evictor); here for those who need no more of it."""

REFUSE, LFU, LRU = "refuse", "lfu", "lru"
POLICIES = (REFUSE, LFU, LRU)

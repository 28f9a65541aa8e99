"""What can happen to a key, for those who are told of changes (engine/batches, tell_changes)."""

SET, DELETE, EXPIRE, EVICT, CLEAR = range(5)
NAMES = (b"set", b"delete", b"expire", b"evict", b"clear")

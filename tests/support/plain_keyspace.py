"""The keyspace's primitives on a dict: the model for the real one, and enough to run commands without an arena.

Staging is a copy of the dict, time is whatever the test sets, and memory is a number.  Expired keys are removed when
somebody looks, so that `key_count` counts the living only.
"""

import hashlib
from collections import OrderedDict

from nosqgrid import errors, limits
from nosqgrid.engine.databases import Databases
from nosqgrid.engine.stored import Entry

_POSITION_BYTES = 7


class PlainKeyspace:
    """Same contract as engine.keyspace.Keyspace; `capacity_bytes` bounds keys and values together."""

    def __init__(self, now_ms=1000, wall_offset_ms=1600 * 10 ** 9, capacity_bytes=limits.GIB):
        self.now_ms = now_ms
        self.wall_offset_ms = wall_offset_ms
        self.capacity_bytes = capacity_bytes
        self.version = 0
        self.log = None
        self.waited = {}
        self.ready = []
        self.patched = OrderedDict()
        self.databases = Databases()
        self._entries = {}
        self._before_batch = None

    def wall_ms(self):
        return self.now_ms + self.wall_offset_ms

    @property
    def key_count(self):
        self._drop_expired()
        return len(self._entries)

    @property
    def staging(self):
        return self._before_batch is not None

    touched = None

    evictor = None  # a table of its own has none to give a quota to

    def lookup(self, key):
        entry = self._entries.get(key)
        if entry is None or entry.deadline_ms and entry.deadline_ms <= self.now_ms:
            return None
        return entry

    def type_of(self, key):
        entry = self.lookup(key)
        return None if entry is None else entry.type

    def has_record(self, key):
        return key in self._entries

    def staged_keys(self):
        return []

    def store(self, key, value_type, value, deadline_ms=0):
        if len(key) > limits.KEY_SIZE_BYTES_MAX:
            raise errors.KeyTooLargeError("a key of %d bytes" % len(key))
        if len(value) > limits.VALUE_SIZE_BYTES_MAX:
            raise errors.ValueTooLargeError("a value of %d bytes" % len(value))
        if type(key) is not bytes or type(value) is not bytes or not 0 <= value_type <= 255 or deadline_ms < 0:
            raise AssertionError("store was called with %r" % ((key, value_type, value, deadline_ms),))
        self._drop_expired()
        used = sum(len(known) + len(entry.value) for known, entry in self._entries.items() if known != key)
        if used + len(key) + len(value) > self.capacity_bytes:
            raise errors.GridFullError("the grid is full")
        self.version += 1
        self._entries[key] = Entry(value_type, value, deadline_ms, self.version)
        return self.version

    def delete(self, key):
        found = self.lookup(key) is not None
        self._entries.pop(key, None)
        return found

    def set_deadline(self, key, deadline_ms):
        entry = self.lookup(key)
        if entry is None:
            return False
        self.store(key, entry.type, entry.value, deadline_ms)
        return True

    def scan(self, cursor, count):
        """Keys in the order of a hash, from the cursor on."""
        self._drop_expired()
        following = sorted((_position(key), key) for key in self._entries)
        following = [pair for pair in following if pair[0] >= cursor]
        next_cursor = following[count][0] if len(following) > count else 0
        return next_cursor, [key for _, key in following[:count]]

    walk = scan

    def clear(self):
        count = self.key_count
        self._entries = {}
        return count

    def begin(self):
        if self.staging:
            raise errors.InvariantError("a batch within a batch")
        self._before_batch = dict(self._entries)

    def commit(self):
        self._before_batch = None

    def rollback(self):
        self._entries, self._before_batch = self._before_batch, None

    def contents(self):
        """{key: (type, value, deadline_ms)} of what lives."""
        self._drop_expired()
        return {key: entry[:3] for key, entry in self._entries.items()}

    def _drop_expired(self):
        for key in [key for key in self._entries if self.lookup(key) is None]:
            del self._entries[key]


def _position(key):
    return int.from_bytes(hashlib.blake2b(key, digest_size=_POSITION_BYTES).digest(), "little") + 1

"""Walks and restorations to test: a log in a list, words that change while they are looked at, states to compare."""

import contextlib
import mmap
from unittest import mock

from nosqgrid.engine import index as index_module
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.engine.loading import Loader
from nosqgrid.formats import arena, records
from nosqgrid.memory import walker as walker_module
from nosqgrid.memory.walker import Walker
from nosqgrid.storage.recovery import PlainState
from tests.explorer.small_grid import small_limits
from tests.support.keyspaces import Budget, make_header

OVERFLOW_SLOTS = 64  # enough for any cluster that random keys make in a table of a few slots


class ListLog(object):
    """A log that keeps its entries; `error`, while there is one, is what append() raises, `look` is called by it."""

    def __init__(self, look=None):
        self.entries = []
        self.error = None
        self.look = look

    def append(self, first_lsn, count, payload):
        if self.look is not None:
            self.look(first_lsn, count, payload)
        if self.error is not None:
            raise self.error
        last = self.entries[-1] if self.entries else None
        if last is not None and first_lsn != last[0] + last[1]:
            raise AssertionError("an entry at %d behind %d effects at %d" % (first_lsn, last[1], last[0]))
        self.entries.append((first_lsn, count, payload))


@contextlib.contextmanager
def tiny_limits():
    """Within, arenas have 8 slots to begin with and segments of 128 bytes; the index never runs over."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(small_limits())
        for module in (arena, index_module, walker_module):
            patches.enter_context(mock.patch.object(module, "INDEX_OVERFLOW_SLOTS", OVERFLOW_SLOTS))
        yield


_headers = {}


def make_space(memory_bytes=1 << 20, seed=1, flags=0, reserve=None, header=None):
    """(keyspace, header) like keyspaces.make_keyspace, but a secret is searched for once a seed: that takes long."""
    if header is None:
        key = memory_bytes, seed, flags, arena.INDEX_SLOTS_INITIAL  # which tests make smaller
        header = _headers.get(key) or _headers.setdefault(key, make_header(*key[:3]))
    memory = mmap.mmap(-1, header.layout.arena_size_bytes)
    packed = arena.pack_header(header)
    memory[:len(packed)] = packed
    return Keyspace(memoryview(memory).cast("Q"), memory, header, reserve or Budget(), lambda: 0), header


class MeddledWords(object):
    """The words of an arena in which something may happen before each is loaded: meddle() is called there."""

    def __init__(self, words, meddle):
        self._words = words
        self._meddle = meddle

    def __getitem__(self, place):
        self._meddle()
        if not isinstance(place, slice):
            return self._words[place]
        middle = (place.start + place.stop) // 2
        loaded = self._words[place.start:middle].tolist()
        self._meddle()
        return _Loaded(loaded + self._words[middle:place.stop].tolist())


class _Loaded(object):
    def __init__(self, words):
        self._words = words

    def tolist(self):
        return self._words


def make_walker(keyspace, header, meddle=None):
    words = keyspace.words if meddle is None else MeddledWords(keyspace.words, meddle)
    return Walker(words, keyspace.arena, header)


def walk(walker, between=None):
    """The records that a walk finds; between() is called after each step."""
    cursor, found = 0, []
    while True:
        following, step = walker.step(cursor)
        if following and following <= cursor:
            raise AssertionError("the cursor went from %d to %d" % (cursor, following))
        cursor = following
        found.extend(step)
        if not cursor:
            return found
        if between is not None:
            between()


def unpack_record(record):
    """(key, (type, value, deadline_ms, version)) of a record as the walker gives it."""
    stamp, value_length, key_length, value_type, flags = records.HEADER.unpack_from(record)
    if len(record) != 8 + records.body_size_bytes(key_length, value_length, flags):
        raise AssertionError("a record of %d bytes: %r" % (len(record), record[:40]))
    if flags & records.CHECKED and not records.checksum_holds(record[8:]):
        raise AssertionError("a record whose checksum does not hold: %r" % record[:40])
    start, deadline_ms = records.HEADER_SIZE_BYTES, 0
    if flags & records.EXPIRES:
        deadline_ms, = records.DEADLINE.unpack_from(record, start)
        start += records.DEADLINE.size
    value_at = start + key_length
    return record[start:value_at], (value_type, record[value_at:value_at + value_length], deadline_ms,
                                    stamp >> records.COPIES_BITS)


def state_of(keyspace):
    """{key: (type, value, deadline_ms, version)} of what lives."""
    found, cursor = {}, 0
    while True:
        cursor, keys = keyspace.scan(cursor, 1000)
        found.update((key, tuple(keyspace.lookup(key))) for key in keys)
        if not cursor:
            return found


def restore(records_found, entries, header, now_ms, fuzzy=True, memory=None):
    """(live state, keyspace) after these records and then these entries, loaded twice and found alike."""
    plain = PlainState()
    keyspace, _ = make_space(header=header, reserve=memory)
    keyspace.now_ms = now_ms
    loader = Loader(keyspace)
    for target in (plain, loader):
        target.expect_keys(len(records_found))
        target.load_records(b"".join(records_found), len(records_found), 0)
        for first_lsn, count, payload in entries:
            target.apply(first_lsn, count, payload, 0, fuzzy)
        if entries:
            last = entries[-1][0] + entries[-1][1] - 1
            if target.lsn != last:
                raise AssertionError("%d was reached and not %d" % (target.lsn, last))
            target.finish(last)
    if not entries:
        loader.finish(max([unpack_record(record)[1][3] for record in records_found] or [0]))
    keyspace.check()
    state = {key: entry for key, entry in plain.entries.items() if not entry[2] or entry[2] > now_ms}
    if state_of(keyspace) != state:
        raise AssertionError("two ways of loading differ: %r and %r" % (state_of(keyspace), state))
    return state, keyspace

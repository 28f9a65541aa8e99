"""A grid small enough to be explored: a few index slots and segments of a few records, under the real code.

`small_limits()` replaces the numbers that make a real arena large (4,096 slots, 64 KiB segments) where the package has
imported them; the code is the same.  A SmallGrid is a keyspace and its readers over one Memory of the explorer, with a
fixed secret, so that every execution is the same.  What its set, delete and get do is kept in the memory's history, and
GridCheck holds that against both checkers, and the keyspace against its own invariants.

The keyspace reads through `source`, the plain bytes, because nobody else writes what it reads (see stand_ins, 4).
"""

import contextlib
import random
from unittest import mock

from nosqgrid.client.fastget import make_get
from nosqgrid.engine import index as index_module
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.formats import arena as arena_module
from nosqgrid.formats import records
from nosqgrid.formats.arena import Header, Layout, pack_header
from nosqgrid.formats.hashing import HASH_BITS, hash_key, new_secret
from nosqgrid.formats.slots import TAG_MASK
from nosqgrid.memory import walker as walker_module
from nosqgrid.memory.reader import Reader
from tests.explorer.stand_ins import HALVES, Memory
from tests.support.history import with_versions, without_versions
from tests.support.linearizability import assert_linearizable, assert_versions

SLOTS_LOG2 = 3
OVERFLOW_SLOTS = 2
SEGMENT_SIZE_BYTES = 128  # two of the largest records that are not given segments of their own
SEGMENT_COUNT = 6
TYPE = 0  # of every value: bytes, stored raw
NEAR_CACHE_BYTES = 1 << 16
FILL = b"f" * 47  # with a key of one byte, a record of half a segment

SECRET = new_secret(random.Random(20).getrandbits)


@contextlib.contextmanager
def small_limits():
    """Within, arenas have 8 slots to begin with and segments of 128 bytes."""
    with contextlib.ExitStack() as patches:
        for module in (arena_module, index_module):
            patches.enter_context(mock.patch.object(module, "INDEX_SLOTS_INITIAL", 1 << SLOTS_LOG2))
        for module in (arena_module, index_module, walker_module):
            patches.enter_context(mock.patch.object(module, "INDEX_OVERFLOW_SLOTS", OVERFLOW_SLOTS))
        patches.enter_context(mock.patch.object(arena_module, "segment_size_bytes", lambda memory: SEGMENT_SIZE_BYTES))
        yield


class SmallGrid:
    """Keyspace and readers over `memory`, made within small_limits().

    `fast` uses the hot paths: engine/fastset writes, client/fastget reads, with a near cache that remembers a first
    read.  `checked` puts a checksum into every record.
    """

    def __init__(self, memory, fast=False, checked=False):
        self.memory = memory
        self.fast = fast
        layout = Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES)
        self.header = Header(layout, SECRET, epoch=1, coordinator_pid=1,
                             flags=arena_module.WEAK_ORDERING if checked else 0)
        packed = pack_header(self.header)
        memory.arena[:len(packed)] = packed
        self.keyspace = Keyspace(memory.words, memory.arena, self.header, reserve=lambda offset, length: None,
                                 wall_ms=lambda: 0, source=memory.bytes)
        memory.subject = self

    # -- what writers do --------------------------------------------------------------------------------------------

    def set(self, key, value):
        """Store a value; returns its version."""
        return self.memory.record("set", (key, value), lambda: self._store(key, value))

    def _store(self, key, value):
        keyspace = self.keyspace
        if self.fast:
            body = records.pack_body(key, value, TYPE)
            if keyspace.apply_sets(body, 0, len(body)) == len(body):
                return keyspace.version
        return keyspace.store(key, TYPE, value)

    def expire(self, key, deadline_ms):
        """Give a key that is there a deadline, or take it away (0): a new record with the same value."""
        def expire():
            self.keyspace.set_deadline(key, deadline_ms)
            return self.keyspace.version
        return self.memory.record("set", (key, self.keyspace.lookup(key).value), expire)

    def delete(self, key):
        """Remove a key; whether it was there."""
        return self.memory.record("delete", (key,), lambda: self.keyspace.delete(key))

    def commit(self, *pairs):
        """Set several keys in one batch; each takes effect somewhere within it."""
        keyspace = self.keyspace

        def batch():
            keyspace.begin()
            versions = [keyspace.store(key, TYPE, value) for key, value in pairs]
            keyspace.commit()
            return versions
        self.memory.record_all([("set", pair) for pair in pairs], batch)

    def clear(self, *keys):
        """Remove everything; `keys` are those that there can be."""
        def clear():
            there = [self.keyspace.lookup(key) is not None for key in keys]
            self.keyspace.clear()
            return there
        self.memory.record_all([("delete", (key,)) for key in keys], clear)

    def clean(self):
        """Clean one segment, whatever it wins."""
        self.keyspace.cleaner.step(100)

    def grow(self, step_count=None):
        """Make a new generation of the index; with step_count only so many steps of a slot each, else to its end."""
        index = self.keyspace.index
        index.start_growth()
        if step_count is None:
            index.finish_growth()
        else:
            for _ in range(step_count):
                index.step(1)

    # -- what readers do --------------------------------------------------------------------------------------------

    def new_reader(self):
        """A Reader of this memory's read-only faces, as a function read(key) -> (value, version) or (None, 0)."""
        memory = self.memory
        unpack = memory.unpacker(records.HEADER)
        reader = Reader(memory.reader_words, memory.reader_arena, self.header, unpack,
                        memory.unpacker(records.DEADLINE))
        if self.fast:
            hot_get, _ = make_get(reader, NEAR_CACHE_BYTES, fallback=None, unpack=unpack)
            return lambda key: (hot_get(key), None)

        def read(key):
            found = reader.read(key)
            return (None, 0) if found is None else (found.value, found.stamp >> records.COPIES_BITS)
        return read

    def get(self, read, key):
        """What read(key) says, kept in the history; the version is None where the hot path does not tell."""
        return self.memory.record("get", (key,), lambda: read(key))


class GridCheck:
    """The check of all scenarios; at last every key is read once more, when nothing goes on.

    Thousands of schedules end in the same memory with the same history, but for how many steps lay between two events:
    each of those is checked once.  That is sound because the writer sees nobody but itself.
    """

    def __init__(self):
        self._passed = set()

    def __call__(self, results):
        memory = results.memory
        outcome = hash(bytes(memory.bytes)), _in_order(memory.history)
        if outcome not in self._passed:
            check_grid(memory.subject)
            self._passed.add(outcome)


def _in_order(history):
    """A history with times that count from 0 without gaps."""
    times = sorted({operation.call_time for operation in history} | {operation.return_time for operation in history})
    rank = {time: number for number, time in enumerate(times)}
    return tuple(operation[:4] + (rank[operation.call_time], rank[operation.return_time]) for operation in history)


def check_grid(grid):
    """Hold the keyspace against its invariants, and the history, with a last read of each key, against the checkers."""
    history = grid.memory.history
    grid.keyspace.check()
    read = grid.new_reader()
    for key in sorted({operation.args[0] for operation in history}):
        grid.get(read, key)
    assert_linearizable(without_versions(history))
    assert_versions(with_versions(operation for operation in history
                                  if operation.op != "get" or operation.result[1] is not None))


def small_memory(tear=HALVES, backward=False):
    """A Memory for one SmallGrid."""
    layout = Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES)
    return Memory(layout.arena_size_bytes, tear, backward, writer_loads=False)


# -- actors: functions of the grid that are called in the setup and return what the actor does ------------------------


def getting(*keys, warm=()):
    """A reader, made before anything happens and used for the keys `warm`, that gets these keys one after the other."""
    def actor(grid):
        read = grid.new_reader()
        for key in warm:
            grid.get(read, key)
        return lambda: tuple(grid.get(read, key)[0] for key in keys)
    return actor


def doing(*steps):
    """A writer that does these: ("set", key, value), ("delete", key), ("clean",), ("grow",), ..."""
    def actor(grid):
        def act():
            for step in steps:
                getattr(grid, step[0])(*step[1:])
        return act
    return actor


def cleaning_behind_survivors(grid, then=()):
    """A writer that cleans a segment when the survivors' segment is open already, so that runs are moved at once; and
    does more then.
    """
    grid.keyspace.heap._open(grid.keyspace.heap.survivors)
    return doing(("clean",), *then)(grid)


def scenario(actors, before=(), fast=False, checked=False):
    """A make_scenario for explore(): a grid in which `before` was done, and these actors."""
    def make_scenario(memory):
        grid = SmallGrid(memory, fast, checked)
        doing(*before)(grid)()
        return [actor(grid) for actor in actors]
    return make_scenario


# -- keys whose place in the index is known ---------------------------------------------------------------------------


def home(key, slots_log2=SLOTS_LOG2):
    """The first slot in which a key is looked for."""
    return hash_key(key, SECRET) >> (HASH_BITS - slots_log2)


def keys_at(wanted, count):
    """The first `count` keys of one byte whose home is slot `wanted`, all with different tags."""
    found = [bytes((number,)) for number in range(97, 256) if home(bytes((number,))) == wanted]
    return found[:count]


def twin_keys():
    """Two keys of 8 bytes with one home and one tag: only comparing keys tells them apart."""
    rng, seen = random.Random(1), {}
    while True:
        key = bytes(rng.randrange(97, 123) for _ in range(8))
        place = home(key), hash_key(key, SECRET) & TAG_MASK
        if seen.setdefault(place, key) != key:
            return seen[place], key
        if len(seen) > 10000:
            raise AssertionError("no two keys are twins")

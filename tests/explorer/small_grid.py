"""A grid small enough to be explored: a few index slots and segments of a few records, under the real code.

`small_limits()` replaces the numbers that make a real arena large (4,096 slots, 64 KiB segments) where the package has
imported them; the code is the same.  A SmallGrid is a keyspace and its readers over one Memory of the explorer, with a
fixed secret, so that every execution is the same.  What its set, delete and get do is kept in the memory's history, and
`check_grid` holds that against both checkers, and the keyspace against its own invariants.

The keyspace reads through `source`, the plain bytes, because nobody else writes what it reads (see stand_ins, 4).
"""

import contextlib
import random
from unittest import mock

from nosqgrid.engine import index as index_module
from nosqgrid.engine.keyspace import Keyspace
from nosqgrid.formats import arena as arena_module
from nosqgrid.formats import records
from nosqgrid.formats.arena import Header, Layout, pack_header
from nosqgrid.formats.hashing import HASH_BITS, hash_key, new_secret
from nosqgrid.formats.slots import TAG_MASK
from nosqgrid.memory.reader import Reader
from tests.explorer.stand_ins import HALVES, Memory
from tests.support.history import with_versions, without_versions
from tests.support.linearizability import assert_linearizable, assert_versions

SLOTS_LOG2 = 2
OVERFLOW_SLOTS = 4
SEGMENT_SIZE_BYTES = 64  # two records of 32 bytes
SEGMENT_COUNT = 6
TYPE = 1  # of every value

SECRET = new_secret(random.Random(20).getrandbits)


@contextlib.contextmanager
def small_limits():
    """Within, arenas have 4 slots to begin with and segments of 64 bytes."""
    with contextlib.ExitStack() as patches:
        for module in (arena_module, index_module):
            patches.enter_context(mock.patch.object(module, "INDEX_SLOTS_INITIAL", 1 << SLOTS_LOG2))
            patches.enter_context(mock.patch.object(module, "INDEX_OVERFLOW_SLOTS", OVERFLOW_SLOTS))
        patches.enter_context(mock.patch.object(arena_module, "segment_size_bytes", lambda memory: SEGMENT_SIZE_BYTES))
        yield


class SmallGrid:
    """Keyspace and readers over `memory`, made within small_limits(); `fast` writes through the hot path."""

    def __init__(self, memory, fast=False):
        self.memory = memory
        self.fast = fast
        layout = Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES)
        self.header = Header(layout, SECRET, epoch=1, coordinator_pid=1, flags=0)
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

    def delete(self, key):
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
            self.keyspace.clear()
            return [True for _ in keys]
        self.memory.record_all([("delete", (key,)) for key in keys], clear)

    def clean(self):
        """Clean one segment, whatever it wins."""
        self.keyspace.cleaner.step(100)

    def grow(self):
        """Make one new generation of the index and move everything into it."""
        self.keyspace.index.start_growth()
        self.keyspace.index.finish_growth()

    # -- what readers do --------------------------------------------------------------------------------------------

    def reader(self):
        """A Reader of this memory's read-only faces."""
        memory = self.memory
        return Reader(memory.reader_words, memory.reader_arena, self.header, memory.unpacker(records.HEADER),
                      memory.unpacker(records.DEADLINE))

    def get(self, reader, key):
        """(value, version), or (None, 0)."""
        def read():
            found = reader.read(key)
            return (None, 0) if found is None else (found.value, found.stamp >> records.COPIES_BITS)
        return self.memory.record("get", (key,), read)


def check_grid(results):
    """The check of all scenarios; at last every key is read once more, when nothing goes on."""
    memory = results.memory
    grid = memory.subject
    grid.keyspace.check()
    reader = grid.reader()
    for key in sorted({operation.args[0] for operation in memory.history}):
        grid.get(reader, key)
    assert_linearizable(without_versions(memory.history))
    assert_versions(with_versions(memory.history))


def small_memory(tear=HALVES, backward=False):
    """A Memory for one SmallGrid."""
    layout = Layout(SEGMENT_COUNT * SEGMENT_SIZE_BYTES)
    return Memory(layout.arena_size_bytes, tear, backward, writer_loads=False)


# -- actors: functions of the grid that are called in the setup and return what the actor does --------------------------


def getting(*keys, make_reader=SmallGrid.reader):
    """A reader, made before anything happens, that gets these keys one after the other."""
    def actor(grid):
        reader = make_reader(grid)
        return lambda: tuple(grid.get(reader, key)[0] for key in keys)
    return actor


def doing(*steps):
    """A writer that does these: ("set", key, value), ("delete", key), ("clean",), ("grow",), ..."""
    def actor(grid):
        def act():
            for step in steps:
                getattr(grid, step[0])(*step[1:])
        return act
    return actor


def scenario(actors, before=(), fast=False):
    """A make_scenario for explore(): a grid in which `before` was done, and these actors."""
    def make_scenario(memory):
        grid = SmallGrid(memory, fast)
        doing(*before)(grid)()
        return [actor(grid) for actor in actors]
    return make_scenario


# -- keys whose place in the index is known --------------------------------------------------------------------------------


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

"""The arena: one shared file that the coordinator writes and everybody else maps read-only.

    +--------+------------------+------------------+----------------------------------+
    | header | index area 0     | index area 1     | heap: segments of one size       |
    +--------+------------------+------------------+----------------------------------+

The header is one page.  Words 0 to 3 are the guard: a reader that follows one of the special slot words as if it were a
record finds a key length of 0xFFFF there, which no key has.  Then come the constants, written once and covered by a
crc32, and, on cache lines of their own, the control words, which change while the grid is used.  docs/formats.md has
the table with a worked example.

Generations of the index alternate between the two areas, each of which has room for the largest index this heap could
need; the file is sparse, so that only what is used costs memory.

Every number read from an arena is checked by `unpack_header` before anything is computed from it.
"""

import struct
import zlib

from ..errors import FormatVersionError, PeerError
from ..limits import INDEX_OVERFLOW_SLOTS, INDEX_SLOTS_INITIAL, segment_size_bytes
from .hashing import HASH_BITS, is_secret

MAGIC = int.from_bytes(b"NOSQGRID", "little")
FORMAT_VERSION = 1
PAGE_SIZE_BYTES = 4096
WORD_SIZE_BYTES = 8
GUARD_WORDS = 4

CONSTANTS = struct.Struct("<16Q")
CONSTANTS_OFFSET_BYTES = GUARD_WORDS * WORD_SIZE_BYTES
EVICTS = 2  # bit of `flags`: readers note which slots they read
WEAK_ORDERING = 1  # bit of `flags`: the writer runs on a machine that may reorder stores, records are CHECKED

# Control words, by index in the arena; each group on its own cache line.
ROOT = 64  # the index generation in which every lookup begins
NEWEST = 65  # the same, or the generation that is being filled
SLEEPING = 72  # 1 while the coordinator waits in its selector: ring the bell after posting
STATE = 80  # one of the STATE_ values

STATE_STARTING = 0
STATE_SERVING = 1
STATE_STOPPED = 2

GENERATION_LOG2_BITS = 8

_FIELDS = ("magic", "format_version", "arena_size_bytes", "heap_offset_bytes", "heap_size_bytes", "segment_size_bytes",
           "area0_offset_bytes", "area1_offset_bytes", "area_size_bytes", "secret_a", "secret_b", "secret_p",
           "epoch", "coordinator_pid", "flags", "crc32")


class Layout(object):
    """Where everything lies in an arena with a heap of `memory_bytes`, rounded down to whole segments."""

    def __init__(self, memory_bytes):
        self.segment_size_bytes = segment_size_bytes(memory_bytes)
        self.segment_count = memory_bytes // self.segment_size_bytes
        self.heap_size_bytes = self.segment_count * self.segment_size_bytes
        slots = INDEX_SLOTS_INITIAL
        while slots * 32 < self.heap_size_bytes:  # at a load of 0.9 enough for records of 36 bytes on average
            slots *= 2
        self.slots_max = slots
        area = (slots + INDEX_OVERFLOW_SLOTS) * WORD_SIZE_BYTES
        self.area_size_bytes = -(-area // PAGE_SIZE_BYTES) * PAGE_SIZE_BYTES
        self.area_offsets_bytes = (PAGE_SIZE_BYTES, PAGE_SIZE_BYTES + self.area_size_bytes)
        self.heap_offset_bytes = PAGE_SIZE_BYTES + 2 * self.area_size_bytes
        self.arena_size_bytes = self.heap_offset_bytes + self.heap_size_bytes


class Header(object):
    """The constants of an arena, as attributes named as in _FIELDS, and its secret and layout."""

    def __init__(self, layout, secret, epoch, coordinator_pid, flags):
        self.layout = layout
        self.secret = secret
        self.epoch = epoch
        self.coordinator_pid = coordinator_pid
        self.flags = flags


def pack_header(header):
    """The first bytes of an arena: guard and constants."""
    layout = header.layout
    fields = (MAGIC, FORMAT_VERSION, layout.arena_size_bytes, layout.heap_offset_bytes, layout.heap_size_bytes,
              layout.segment_size_bytes, layout.area_offsets_bytes[0], layout.area_offsets_bytes[1],
              layout.area_size_bytes) + header.secret + (header.epoch, header.coordinator_pid, header.flags)
    constants = struct.pack("<15Q", *fields)
    return b"\xff" * CONSTANTS_OFFSET_BYTES + constants + struct.pack("<Q", zlib.crc32(constants))


def unpack_header(data):
    """The Header in the first bytes of an arena.

    Raises FormatVersionError for another version, PeerError for anything that this code could not have made.
    """
    if len(data) < CONSTANTS_OFFSET_BYTES + CONSTANTS.size:
        raise PeerError("an arena of %d bytes is shorter than its header" % len(data))
    fields = dict(zip(_FIELDS, CONSTANTS.unpack_from(data, CONSTANTS_OFFSET_BYTES)))
    if fields["magic"] != MAGIC:
        raise PeerError("this is not a nosqgrid arena: it begins with %016x" % fields["magic"])
    if fields["format_version"] != FORMAT_VERSION:
        raise FormatVersionError("the coordinator's arena has format %d, this program reads format %d; run the same "
                                 "nosqgrid on both sides" % (fields["format_version"], FORMAT_VERSION))
    constants = data[CONSTANTS_OFFSET_BYTES:CONSTANTS_OFFSET_BYTES + CONSTANTS.size - 8]
    if zlib.crc32(constants) != fields["crc32"]:
        raise PeerError("the header of the arena is damaged: its checksum does not hold")
    layout = Layout(fields["heap_size_bytes"])
    derived = (layout.arena_size_bytes, layout.heap_offset_bytes, layout.heap_size_bytes, layout.segment_size_bytes,
               layout.area_offsets_bytes[0], layout.area_offsets_bytes[1], layout.area_size_bytes)
    if derived != tuple(fields[name] for name in _FIELDS[2:9]):
        raise PeerError("the header of the arena contradicts itself: %r" % (fields,))
    secret = (fields["secret_a"], fields["secret_b"], fields["secret_p"])
    if not is_secret(*secret):
        raise PeerError("the header of the arena holds no usable hash secret")
    return Header(layout, secret, fields["epoch"], fields["coordinator_pid"], fields["flags"])


def pack_generation(number, slots_log2):
    """The word that ROOT and NEWEST hold for an index generation."""
    return number << GENERATION_LOG2_BITS | slots_log2


def unpack_generation(word, layout):
    """(word index of the first slot, shift of the hash) of the generation that a ROOT or NEWEST word names."""
    number, slots_log2 = word >> GENERATION_LOG2_BITS, word & ((1 << GENERATION_LOG2_BITS) - 1)
    if number < 1 or 1 << slots_log2 > layout.slots_max or 1 << slots_log2 < INDEX_SLOTS_INITIAL:
        raise PeerError("%x names no generation of this index" % word)
    return layout.area_offsets_bytes[number & 1] // WORD_SIZE_BYTES, HASH_BITS - slots_log2

"""Effects: what changed, as the log keeps it; never the command that changed it.

An effect is a record body (formats/records) without checksum, whose flags say in their upper bits what happened:

    SET      key and value as they are from now on, the deadline included: byte for byte the SET frame of a lane
    DELETE   the key is gone
    CLEAR    every key of every database is gone; those of the spaces (engine/databases) stay
    CHANGE   a structure (engine/structures) changes; the value is one packed change (formats/words)
    EXPIRE   a structure gets another deadline, or none

The value of a SET of a structure is changes that make it out of an empty one, one behind the other; where they are too
many for one effect, CHANGEs follow.  So whoever only keeps values adds what a CHANGE has to what the key has.

So what a client posted goes into the log as it is.  Effects follow each other without gap; the n-th of an entry has the
log position (LSN) first_lsn + n, which is also the version that a SET gave its record.
"""

from collections import namedtuple

from ..errors import CorruptFileError
from ..limits import KEY_SIZE_BYTES_MAX, LOG_ENTRY_BYTES_MAX, MIB, VALUE_SIZE_BYTES_MAX
from . import records
from .lane import DELETE, SET
from .values import NAMES, STRUCTURE_NAMES

CLEAR = 16
CHANGE = 32
EXPIRE = 64
CHANGE_BYTES_MAX = LOG_ENTRY_BYTES_MAX - MIB  # of packed changes: many elements may come together

Effect = namedtuple("Effect", "operation key type value deadline_ms")

_OPERATIONS = frozenset((SET, DELETE, CLEAR, CHANGE, EXPIRE))
_OF_STRUCTURES = frozenset(STRUCTURE_NAMES)
_TYPES = {SET: frozenset(range(len(NAMES))) | _OF_STRUCTURES, DELETE: frozenset((0,)), CLEAR: frozenset((0,)),
          CHANGE: _OF_STRUCTURES, EXPIRE: _OF_STRUCTURES}


def value_size_bytes_max(value_type):
    """How long what an effect or a record in a file has for a value may be."""
    return CHANGE_BYTES_MAX if value_type in _OF_STRUCTURES else VALUE_SIZE_BYTES_MAX


def pack_delete(key):
    """The effect of a deletion."""
    return records.BODY.pack(0, len(key), 0, DELETE) + key


def pack_clear():
    """The effect of removing everything."""
    return records.BODY.pack(0, 0, 0, CLEAR)


def pack_change(key, value_type, change):
    """The effect of one packed change of a structure."""
    return records.BODY.pack(len(change), len(key), value_type, CHANGE) + key + change


def pack_expire(key, value_type, deadline_ms):
    """The effect of another deadline for a structure; 0 for none."""
    if not deadline_ms:
        return records.BODY.pack(0, len(key), value_type, EXPIRE) + key
    head = records.BODY.pack(0, len(key), value_type, EXPIRE | records.EXPIRES)
    return head + records.DEADLINE.pack(deadline_ms) + key


def effect_end(data, position, end):
    """Where the effect at `position` ends; CorruptFileError where there is none, or not all of it."""
    if position + records.BODY.size > end:
        raise CorruptFileError("%d bytes are left where an effect should begin" % (end - position))
    value_length, key_length, value_type, flags = records.BODY.unpack_from(data, position)
    operation = flags & ~records.EXPIRES
    stop = position + records.body_size_bytes(key_length, value_length, flags)
    if (operation not in _OPERATIONS or key_length > KEY_SIZE_BYTES_MAX
            or value_length > value_size_bytes_max(value_type) or value_type not in _TYPES[operation]
            or value_length and operation not in (SET, CHANGE)
            or flags & records.EXPIRES and operation not in (SET, EXPIRE) or operation == CLEAR and key_length
            or stop > end):
        raise CorruptFileError("an effect with flags %d, a key of %d bytes, a value of %d and type %d where %d are left"
                               % (flags, key_length, value_length, value_type, end - position))
    return stop


def unpack(data, position, stop):
    """The Effect between two positions that effect_end() has checked."""
    value_length, key_length, value_type, flags = records.BODY.unpack_from(data, position)
    start = position + records.BODY.size
    deadline_ms = 0
    if flags & records.EXPIRES:
        deadline_ms, = records.DEADLINE.unpack_from(data, start)
        start += records.DEADLINE.size
    key_end = start + key_length
    return Effect(flags & ~records.EXPIRES, data[start:key_end], value_type, data[key_end:stop], deadline_ms)

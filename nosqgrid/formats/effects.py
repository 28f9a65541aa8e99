"""Effects: what changed, as the log keeps it; never the command that changed it.

An effect is a record body (formats/records) without checksum, whose flags say in their upper bits what happened:

    SET      key and value as they are from now on, the deadline included: byte for byte the SET frame of a lane
    DELETE   the key is gone
    CLEAR    every key is gone

So what a client posted goes into the log as it is.  Effects follow each other without gap; the n-th of an entry has the
log position (LSN) first_lsn + n, which is also the version that a SET gave its record.
"""

from collections import namedtuple

from ..errors import CorruptFileError
from ..limits import KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX
from . import records
from .lane import DELETE, SET
from .values import NAMES

CLEAR = 16

Effect = namedtuple("Effect", "operation key type value deadline_ms")

_OPERATIONS = frozenset((SET, DELETE, CLEAR))
_TYPE_MAX = len(NAMES) - 1


def pack_delete(key):
    """The effect of a deletion."""
    return records.BODY.pack(0, len(key), 0, DELETE) + key


def pack_clear():
    """The effect of removing everything."""
    return records.BODY.pack(0, 0, 0, CLEAR)


def effect_end(data, position, end):
    """Where the effect at `position` ends; CorruptFileError where there is none, or not all of it."""
    if position + records.BODY.size > end:
        raise CorruptFileError("%d bytes are left where an effect should begin" % (end - position))
    value_length, key_length, value_type, flags = records.BODY.unpack_from(data, position)
    operation = flags & ~records.EXPIRES
    stop = position + records.body_size_bytes(key_length, value_length, flags)
    if (operation not in _OPERATIONS or key_length > KEY_SIZE_BYTES_MAX or value_length > VALUE_SIZE_BYTES_MAX
            or value_type > _TYPE_MAX or operation != SET and (value_length or flags & records.EXPIRES)
            or operation == CLEAR and key_length or stop > end):
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

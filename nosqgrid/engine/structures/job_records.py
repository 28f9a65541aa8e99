"""What a queue keeps of a job: five pieces of bytes, so that a job is a tuple that nothing changes.

    record    RECORD: state, flags, type of the payload, attempts, deliveries, priority, when it was put, and a time
    payload   what was put
    options   OPTIONS, and the kind of the job; most jobs of a queue share one
    fixed     empty, or FIXED, the group, the unique key, and the ids of the jobs that this one waits for
    notes     empty, or packed words (formats/words), one behind the other: names and values in turn

Times are milliseconds of the wall clock.  The time in a record is, by state: since when it is ready, when it is due
(delayed), not before when (waiting), since when it is reserved, when it was finished.

Invariants
 1. What check_record(), check_options(), check_fixed() and check_notes() let through can be read by everything here.
"""

import struct

from ...errors import CorruptValueError
from ...formats import words as words_format

WAITING, DELAYED, READY, RESERVED, DONE, DEAD, CANCELLED = range(7)
STATES = (b"waiting", b"delayed", b"ready", b"reserved", b"done", b"dead", b"cancelled")
UNFINISHED = RESERVED  # up to here a job is not finished
QUEUED = READY  # up to here nobody has it

RECORD = struct.Struct("<BBBxIIiqq")
OPTIONS = struct.Struct("<BxxxIqqqqII")  # flags, retries, ttr, keep; backoff: first, longest, factor, jitter (1/1000)
FIXED = struct.Struct("<HHqq")  # length of the group, of the unique key, expires (0: never), until

FIFO = 1  # a flag of options
CANCEL = 1  # a flag of a record: whoever has it is asked to give it up
UNTIL_FINISHED, UNTIL_STARTED = 0, -1  # others: until so many milliseconds after it was put, whatever became of it

TIME_MAX = 1 << 52
NUMBER_MAX = 1 << 52
PRIORITY_MAX = (1 << 31) - 1

_TIME_SHIFT, _PRIORITY_SHIFT = 53, 106
NUMBER_MASK = (1 << _TIME_SHIFT) - 1


def place_of(job, number):
    """One number by which ready jobs are in order: priority, since when ready, number; of a FIFO the number alone."""
    _, _, _, _, _, priority, _, at_ms = RECORD.unpack(job[0])
    if job[2][0] & FIFO:
        at_ms = 0
    return (priority << _PRIORITY_SHIFT) + (at_ms << _TIME_SHIFT) + number


def priority_of_place(place):
    """The priority that place_of() was given."""
    return place >> _PRIORITY_SHIFT


def timer(at_ms, number):
    """One number by which times and what is to happen then are in order; number 0 is the queue itself."""
    return (at_ms << _TIME_SHIFT) + number


def timer_parts(entry):
    """(time, number) of a timer."""
    return entry >> _TIME_SHIFT, entry & NUMBER_MASK


def group_of(fixed):
    """The group of a job, empty for none."""
    if not fixed:
        return b""
    return fixed[FIXED.size:FIXED.size + int.from_bytes(fixed[:2], "little")]


def pack_fixed(group, unique, expires_ms, until, after):
    """The fixed part of a job; empty where it says nothing."""
    if not group and not unique and not expires_ms and not after:
        return b""
    packed = words_format.pack(after) if after else b""
    return FIXED.pack(len(group), len(unique), expires_ms, until) + group + unique + packed


def unpack_fixed(fixed):
    """(group, unique key, when it expires, until when it is unique, the ids that it waits for)."""
    if not fixed:
        return b"", b"", 0, UNTIL_FINISHED, []
    group_length, unique_length, expires_ms, until = FIXED.unpack_from(fixed)
    middle = FIXED.size + group_length
    end = middle + unique_length
    after = words_format.unpack(fixed, end)[0] if end < len(fixed) else []
    return fixed[FIXED.size:middle], fixed[middle:end], expires_ms, until, after


def unpack_notes(notes):
    """{name: value} of what is noted."""
    found = {}
    for pairs in words_format.unpack_all(notes) if notes else ():
        found.update(zip(pairs[::2], pairs[1::2]))
    return found


def pack_notes(noted):
    """The notes that say this; those with an empty value are left out."""
    pairs = []
    for name, value in noted.items():
        if value:
            pairs += [name, value]
    return words_format.pack(pairs) if pairs else b""


def check_record(record):
    """Raise CorruptValueError for bytes that are no record."""
    if len(record) != RECORD.size:
        raise CorruptValueError("a job's record of %d bytes" % len(record))
    state, _, _, _, _, _, put_ms, at_ms = RECORD.unpack(record)
    if state > CANCELLED or not 0 <= put_ms <= TIME_MAX or not 0 <= at_ms <= TIME_MAX:
        raise CorruptValueError("a job in state %d, put at %d, with the time %d" % (state, put_ms, at_ms))


def check_options(options):
    """Raise CorruptValueError for bytes that are no options."""
    if len(options) < OPTIONS.size:
        raise CorruptValueError("options of a job of %d bytes" % len(options))
    for number in OPTIONS.unpack_from(options):
        if not 0 <= number <= TIME_MAX:
            raise CorruptValueError("options of a job with the number %d" % number)


def check_fixed(fixed):
    """Raise CorruptValueError for bytes that are no fixed part."""
    if not fixed:
        return
    if len(fixed) < FIXED.size:
        raise CorruptValueError("the fixed part of a job has %d bytes" % len(fixed))
    group_length, unique_length, expires_ms, until = FIXED.unpack_from(fixed)
    end = FIXED.size + group_length + unique_length
    if end > len(fixed) or not 0 <= expires_ms <= TIME_MAX or not UNTIL_STARTED <= until <= TIME_MAX:
        raise CorruptValueError("the fixed part of a job has %d bytes where %d should be, or times that are none"
                                % (len(fixed), end))
    if end < len(fixed) and words_format.unpack(fixed, end)[1] != len(fixed):
        raise CorruptValueError("the fixed part of a job goes on behind its end")


def check_notes(notes):
    """Raise CorruptValueError for bytes that are no notes."""
    for pairs in words_format.unpack_all(notes):
        if len(pairs) & 1:
            raise CorruptValueError("a note of a job without its value")

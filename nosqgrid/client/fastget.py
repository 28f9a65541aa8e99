"""The hot path of reading: the near cache and the lock-free read of memory/reader, fused into one function.

    near cache   two loads say whether the remembered value is still current: its slot word, and the stamp of its record
    arena        hash, probe, copy, look at both words again; what is not plain goes to Reader.read, the plain form

The near cache is coherent: the words it looks at are the ones whose change publishes a new value, so that no message is
needed and nothing stale is ever returned.  It keeps two generations of entries; when the young one has grown to half of
the budget it becomes the old one, and the old one is forgotten.  A hit in the old one moves the entry back.  One miss
in ADMIT_ONE_IN is remembered: a key that is read again and again gets in soon, a key read once seldom pushes another
out.

Where the grid evicts, some of the reads are noted in the lane (formats/lane), for the coordinator to know what is used.

What a value decodes to is shared between callers only if it cannot change; of the other types the cache keeps the bytes
and decodes anew.

It is written for speed: one closure with everything bound, no attribute of anything a read.  The closure belongs to one
attachment.  `retire` makes it useless at once, for whoever kept a reference to it too, by giving it words that raise;
it then passes each call on to `fallback`.
"""

import itertools
import types
from struct import error as StructError
from time import monotonic

from ..errors import KeyTooLargeError
from ..formats.arena import NEWEST
from ..formats.lane import NOTES, NOTES_MAX, NOTES_TAIL
from ..formats.records import EXPIRES, HEADER, HEADER_SIZE_BYTES
from ..formats.slots import EMPTY, FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT, TOMBSTONE
from ..formats.values import DECODERS, IMMUTABLE, PICKLE, decode, encode_key
from ..limits import NEAR_CACHE_ENTRY_OVERHEAD_BYTES, NEAR_CACHE_VALUE_BYTES_MAX, VALUE_SIZE_BYTES_MAX

ADMIT_ONE_IN = 8
NOTE_ONE_IN = 4  # reads of the arena, and
NOTE_NEAR_ONE_IN = 16  # hits in the near cache: a note costs as much as five loads
NOTES_PERIOD = 127  # a prime: who reads the same keys in turn notes each of them in time, not always the same ones


class Retired(Exception):
    """Words of an attachment that is over were asked for."""


class _Pickled(Exception):
    """A value is a pickle."""


def _raise_pickled(payload):
    raise _Pickled()


class _RetiredWords(object):
    def __getitem__(self, index):
        raise Retired()


def make_get(reader, near_cache_bytes, fallback, unpack=HEADER.unpack_from, owner=None, open_large=None,
             unpickle=None, lane_words=None, decoders=DECODERS, decode_any=decode):
    """(get, retire) for one attachment.

    get(key, default=None) is Grid.get; after retire() it calls fallback(key, default) instead.  `open_large(found)`
    gives a memoryview of a large value, or None where the key has to be looked up again; `unpickle(payload, raw_key)`
    the value of a pickle, where pickles are wanted.  get is made a method of `owner`, the grid, so that it pickles as
    one: pool.map(grid.get, keys) sends the grid's address.  `decoders` and `decode_any` are those of formats/values, or
    others: one for bytes by type, and one for (type, memoryview).
    """
    words, arena = reader.words, reader.arena
    a, b, p = reader.secret
    geometry, unpack_deadline = reader.geometry, reader.unpack_deadline
    from_bytes = int.from_bytes
    if unpickle is not None:  # it wants to know the key as well, which the hot path does not hand on
        decoders = decoders[:]
        decoders[PICKLE] = _raise_pickled
    budget = near_cache_bytes // 2
    young, old, spent = {}, {}, 0
    near_get, old_get = young.get, old.get
    notes, noted = lane_words, 0
    # Of reads of the arena (bits: 1 note it, 2 remember it), and of hits in the near cache.
    marks = itertools.cycle([(0 if turn % ADMIT_ONE_IN or not budget else 2)
                             + (notes is not None and turn % NOTES_PERIOD % NOTE_ONE_IN == 1)
                             for turn in range(ADMIT_ONE_IN * NOTES_PERIOD)])
    near_marks = itertools.cycle([turn % NOTE_NEAR_ONE_IN == 0 for turn in range(NOTES_PERIOD)])

    def get(_, key, default=None):
        try:
            entry = near_get(key)
            if entry is None:
                entry = old_get(key)
                if entry is not None:
                    remember_entry(key, entry)
            if entry is not None:
                slot, word, stamp_index, stamp, until, value, thaw, _ = entry
                if words[slot] == word and words[stamp_index] == stamp and (until is None or monotonic() < until):
                    if notes is not None and next(near_marks):
                        note(slot)
                    return value if thaw is None else thaw(value)
            try:
                raw = key.encode()
            except AttributeError:
                if type(key) is not bytes:
                    return read_plainly(key, default)  # a tuple of small ints would pass for bytes below
                raw = key
            length = len(raw)
            key_hash = (from_bytes(raw, "little") + length * b) * a % p
            tag = key_hash & TAG_MASK
            base, shift, newest = geometry
            slot = base + (key_hash >> shift)
            while True:
                word = words[slot]
                if word >> TAG_SHIFT == tag:
                    offset = (word & OFFSET_MASK) << 3
                    stamp, value_length, key_length, value_type, flags = unpack(arena, offset)
                    start = offset + HEADER_SIZE_BYTES
                    until = None
                    if flags:
                        if flags != EXPIRES:
                            return read_plainly(key, default)
                        until = unpack_deadline(arena, start)[0] / 1000.0
                        start += 8
                    end = start + length
                    if key_length != length or value_length > VALUE_SIZE_BYTES_MAX or arena[start:end] != raw:
                        return read_plainly(key, default)
                    payload = arena[end:end + value_length]
                    if words[slot] == word and words[offset >> 3] == stamp:
                        if until is not None and monotonic() >= until:
                            return default
                        value = payload if value_type == 0 else decoders[value_type](payload)
                        mark = next(marks)
                        if mark & 1:
                            note(slot)
                        if entry is not None or mark & 2:
                            remember(key, slot, word, offset >> 3, stamp, until, payload, value_type, value)
                        return value
                    return read_plainly(key, default)
                if word < FIRST_REAL:
                    if word == EMPTY and words[NEWEST] == newest:
                        return default
                    if word != TOMBSTONE:
                        return read_plainly(key, default)
                slot += 1
        except (TypeError, UnicodeEncodeError, IndexError, StructError):
            # An odd key or a damaged arena: there it gets an error that says so, or is found.
            return read_plainly(key, default)
        except _Pickled:
            return read_plainly(key, default)
        except Retired:
            return fallback(key, default)

    def read_plainly(key, default):
        nonlocal geometry
        try:
            raw = encode_key(key)
        except KeyTooLargeError:
            return default  # nobody can have set it
        try:
            found = reader.read(raw)
        except (Retired, TypeError):
            if reader.arena is not None:
                raise
            return fallback(key, default)
        geometry = reader.geometry
        if found is None:
            return default
        until = None
        if found.deadline_ms:
            until = found.deadline_ms / 1000.0
            if monotonic() >= until:
                return default
        if found.large:
            payload = open_large(found)
            if payload is None:
                return read_plainly(key, default)
            note(found.slot)  # each of them: it is little beside the rest, and much to lose
            return unpickle(payload, raw) if found.type == PICKLE and unpickle else decode_any(found.type, payload)
        if found.type == PICKLE and unpickle is not None:
            return unpickle(found.value, raw)
        value = decoders[found.type](found.value)
        mark = next(marks)
        if mark & 1:
            note(found.slot)
        if mark & 2:
            remember(key, found.slot, found.word, found.word & OFFSET_MASK, found.stamp, until, found.value,
                     found.type, value)
        return value

    def note(slot):
        nonlocal noted
        lane = notes
        if lane is not None:  # another thread may just have retired this
            lane[NOTES + noted % NOTES_MAX] = slot
            noted += 1
            lane[NOTES_TAIL] = noted

    def remember(key, slot, word, stamp_index, stamp, until, payload, value_type, value):
        size = len(payload)
        if size > NEAR_CACHE_VALUE_BYTES_MAX or not budget:
            return
        size += NEAR_CACHE_ENTRY_OVERHEAD_BYTES
        if value_type in IMMUTABLE:
            entry = (slot, word, stamp_index, stamp, until, value, None, size)
        else:
            entry = (slot, word, stamp_index, stamp, until, payload, decoders[value_type], size)
        remember_entry(key, entry)

    def remember_entry(key, entry):
        nonlocal young, old, spent, near_get, old_get
        replaced = young.get(key)
        young[key] = entry
        spent += entry[-1] - (replaced[-1] if replaced else 0)
        if spent > budget:
            # Another thread may be between these lines too; whatever it sees is a dict of valid entries.
            old, young, spent = young, {}, 0
            near_get, old_get = young.get, old.get

    def retire():
        nonlocal words, arena, notes
        notes = None
        words = reader.words = _RetiredWords()
        arena = reader.arena = None  # lets go of the map; a read in another thread ends in read_plainly
        young.clear()
        old.clear()

    return types.MethodType(get, reader if owner is None else owner), retire

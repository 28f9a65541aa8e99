"""Filling a keyspace from what was written down: records of a checkpoint, effects of the log.

Nobody reads the keyspace yet, and nothing is logged.  Deadlines come as they were written, in milliseconds of a
monotonic clock that may have begun anew since; `shift_ms` is what has to be added to them.

What comes was checked against its checksum, which says that we wrote it, not that it makes sense: lengths, types and
positions are checked here as if a stranger had sent them.
"""

from ..errors import CorruptFileError, CorruptValueError, GridFullError
from ..formats import effects, records, words
from ..formats.lane import DELETE
from ..formats.log import LSN_MAX
from ..formats.slots import EMPTY, FIRST_REAL, OFFSET_MASK, TAG_MASK, TAG_SHIFT
from ..formats.values import NAMES, STRUCTURE_NAMES
from ..limits import KEY_SIZE_BYTES_MAX
from .databases import PREFIX, is_hidden
from .structures.classes import CLASSES

_TYPE_MAX = len(NAMES) - 1


class Loader(object):
    """Loads one keyspace; `lsn` is the position it has reached."""

    def __init__(self, keyspace):
        self.keyspace = keyspace
        self.lsn = 0
        self.lsn_max = LSN_MAX  # no record stands at a later position
        self._load_plain = _make_load_plain(keyspace) if not keyspace.checked else _load_nothing

    def expect_keys(self, count):
        """Make the index large enough for so many keys beforehand; it would grow by itself, again and again."""
        self.keyspace.index.make_room(count)

    def load_records(self, data, count, shift_ms):
        """Load the records of one block of a checkpoint.

        Raises CorruptFileError where they are not `count` whole ones, GridFullError.
        """
        position, loaded = 0, 0
        # The hot path counts no keys of databases; what salvage wrote does not flag them.
        load_plain = self._load_plain if PREFIX not in data else _load_nothing
        while position < len(data):
            position, plain = load_plain(data, position, self.lsn_max)
            loaded += plain
            if position < len(data):
                position = self._load_record(data, position, shift_ms)
                loaded += 1
        if loaded != count:
            raise CorruptFileError("%d records where there should be %d" % (loaded, count))

    def _load_record(self, data, position, shift_ms):
        """Load one record of any kind; where the next begins."""
        end = len(data)
        if end - position < records.HEADER_SIZE_BYTES:
            raise CorruptFileError("%d bytes are left where a record should begin" % (end - position))
        stamp, value_length, key_length, value_type, flags = records.HEADER.unpack_from(data, position)
        stop = position + 8 + records.body_size_bytes(key_length, value_length, flags)
        version = stamp >> records.COPIES_BITS
        if (flags & ~records.FLAGS_KNOWN or key_length > KEY_SIZE_BYTES_MAX
                or value_length > effects.value_size_bytes_max(value_type)
                or value_type > _TYPE_MAX and value_type not in CLASSES or not 0 < version <= self.lsn_max
                or flags & records.MORE and value_type not in CLASSES or stop > end):
            raise CorruptFileError("a record with flags %d, a key of %d bytes, a value of %d and type %d where %d are "
                                   "left" % (flags, key_length, value_length, value_type, end - position))
        start = position + records.HEADER_SIZE_BYTES
        deadline_ms = 0
        if flags & records.EXPIRES:
            deadline_ms = _shifted(records.DEADLINE.unpack_from(data, start)[0], shift_ms)
            start += records.DEADLINE.size
        key, value = data[start:start + key_length], data[start + key_length:start + key_length + value_length]
        if flags & records.MORE:
            self._change(key, value, version, version)
        else:
            self._put(key, value_type, value, deadline_ms, version)
        return stop

    def _put(self, key, value_type, value, deadline_ms, version):
        """Store at a version, unless what is there is as new."""
        keyspace = self.keyspace
        if self._version_of(key) >= version:
            return
        if value_type in CLASSES:
            self._put_structure(key, value_type, value, deadline_ms, version)
            return
        if len(value) > keyspace.value_size_bytes_max:
            raise GridFullError("there is a value of %d bytes, and a grid with so much memory takes up to %d: start "
                                "the coordinator with more --memory" % (len(value), keyspace.value_size_bytes_max))
        latest = keyspace.version
        keyspace.version = version - 1
        keyspace.place(key, value_type, value, deadline_ms)
        keyspace.version = max(latest, version)

    def _put_structure(self, key, value_type, value, deadline_ms, version):
        structure = CLASSES[value_type]()
        _apply_all(structure, value)
        keyspace = self.keyspace
        latest = keyspace.version
        keyspace.version = version - 1
        keyspace.place_structure(key, structure, deadline_ms)
        keyspace.version = max(latest, version)

    def _change(self, key, value, version, version_max):
        """Add changes to the structure at a key, if it stands at most at `version_max`; else they are in it."""
        structure = self.keyspace.structure_at(self._offset_of(key))
        if structure is not None and structure.version <= version_max:
            self.keyspace.load_change(structure, version, lambda: _apply_all(structure, value))

    def _expire(self, key, deadline_ms, version):
        keyspace, offset = self.keyspace, self._offset_of(key)
        structure = keyspace.structure_at(offset)
        if structure is not None and structure.version < version:
            latest = keyspace.version
            keyspace.version = version - 1
            keyspace.set_deadline_of(key, keyspace.entry_at(offset), deadline_ms)
            keyspace.version = max(latest, version)

    def _offset_of(self, key):
        """Where the record of a key lies, expired or not, or 0."""
        keyspace = self.keyspace
        _, word = keyspace.index.find(keyspace.hash_of(key), lambda offset: keyspace.key_at(offset) == key)
        return (word & OFFSET_MASK) << 3 if word >= FIRST_REAL else 0

    def _version_of(self, key):
        """The version at which a key stands, expired or not, or 0."""
        return self._version_at(self._offset_of(key))

    def _version_at(self, offset):
        if not offset:
            return 0
        structure = self.keyspace.structure_at(offset)
        return self.keyspace.words[offset >> 3] >> records.COPIES_BITS if structure is None else structure.version

    def apply(self, first_lsn, count, payload, shift_ms, fuzzy):
        """Apply the effects of one log entry; `fuzzy`: keys may stand at later positions already, which stay.

        Raises CorruptFileError where they are not `count` whole ones, GridFullError.
        """
        if first_lsn + count - 1 > LSN_MAX:
            raise CorruptFileError("an entry at position %d with %d effects" % (first_lsn, count))
        keyspace, position, lsn, end = self.keyspace, 0, first_lsn, len(payload)
        index = keyspace.index
        if index.table.used + count >= index.table.grow_at:
            index.make_room(count + index.live)  # to twice the size in one go: nobody waits here for a slice
        hot = not fuzzy and PREFIX not in payload  # as above
        while position < end:
            if hot:
                keyspace.version = lsn - 1
                position = keyspace.apply_sets(payload, position, end)
                lsn = keyspace.version + 1
                if position >= end:
                    break
            stop = effects.effect_end(payload, position, end)
            self._apply_one(effects.unpack(payload, position, stop), lsn, shift_ms)
            position, lsn = stop, lsn + 1
        if lsn != first_lsn + count:
            raise CorruptFileError("%d effects where there should be %d" % (lsn - first_lsn, count))
        self.lsn = lsn - 1

    def _apply_one(self, effect, lsn, shift_ms):
        if effect.operation == effects.CLEAR:
            self._clear(lsn)
        elif effect.operation == DELETE:
            if 0 < self._version_of(effect.key) < lsn:
                self.keyspace.remove(effect.key)
        elif effect.operation == effects.CHANGE:
            self._change(effect.key, effect.value, lsn, lsn - 1)
        elif effect.operation == effects.EXPIRE:
            self._expire(effect.key, _shifted(effect.deadline_ms, shift_ms), lsn)
        else:
            self._put(effect.key, effect.type, effect.value, _shifted(effect.deadline_ms, shift_ms), lsn)

    def _clear(self, lsn):
        """Remove what stands before `lsn`, but for the keys of the spaces."""
        keyspace, cursor, older = self.keyspace, 0, []
        while True:
            cursor, offsets = keyspace.index.scan(cursor, 1024)
            older += [keyspace.key_at(offset) for offset in offsets
                      if self._version_at(offset) < lsn]
            if not cursor:
                break
        if len(older) == keyspace.key_count:
            keyspace.clear()
            return
        for key in older:
            if not is_hidden(key):
                keyspace.remove(key)

    def finish(self, lsn):
        """Everything up to `lsn` is loaded: the next write gets the position behind it."""
        self.lsn = self.keyspace.version = lsn
        if self.keyspace.evictor is not None:
            self.keyspace.evictor.adopt_all()  # the hot path below tells nobody


def _apply_all(structure, value):
    """Apply packed changes; CorruptFileError where they make no sense."""
    try:
        for change in words.unpack_all(value):
            structure.apply(change)
    except CorruptValueError as error:
        raise CorruptFileError("a %s that makes no sense: %s" % (STRUCTURE_NAMES[structure.TYPE], error)) from error


def _shifted(deadline_ms, shift_ms):
    """The deadline in this life's clock; 0 stays 0, which is none."""
    return deadline_ms and min(max(deadline_ms + shift_ms, 1), (1 << 63) - 1)


def _load_nothing(data, position, lsn_max):
    return position, 0


def _make_load_plain(keyspace):
    """load(data, position, lsn_max) -> (position, count): the hot path of load_records.

    Loads records from `position` on as long as they are plain: without flags, of a key that is not there yet, with room
    in segment and index; stops in front of the first that is not.  A million records pass here in a start.
    """
    words, arena, heap, index = keyspace.words, keyspace.arena, keyspace.heap, keyspace.index
    a, b, p = keyspace.secret
    unpack, from_bytes, region = records.HEADER.unpack_from, int.from_bytes, keyspace.heap.writer

    def load(data, position, lsn_max):
        end, count, cursor, limit = len(data), 0, region.cursor, region.limit
        if not index.steady:
            return position, 0
        base, shift, table, generation = index.base, index.shift, index.table, region.generation_bits
        room = table.grow_at - table.used
        size_max, stamp_max = heap.record_size_bytes_max, (lsn_max << 8) + 255
        while position + 16 <= end and count < room:
            stamp, value_length, key_length, value_type, flags = unpack(data, position)
            key_end = position + 16 + key_length
            stop = key_end + value_length
            following = cursor + ((stop - position + 7) & ~7)
            if (flags or stop > end or following > limit or following - cursor > size_max or stamp < 256
                    or stamp > stamp_max or key_length > KEY_SIZE_BYTES_MAX or value_type > _TYPE_MAX):
                break
            key_hash = (from_bytes(data[position + 16:key_end], "little") + key_length * b) * a % p
            tag = key_hash & TAG_MASK
            slot = base + (key_hash >> shift)
            word = words[slot]
            while word != EMPTY:
                if word >> TAG_SHIFT == tag or word < FIRST_REAL:
                    break
                slot += 1
                word = words[slot]
            if word != EMPTY or slot >= table.tail:
                break  # perhaps the same key, or a tombstone
            arena[cursor:cursor + stop - position] = data[position:stop]
            words[slot] = tag << TAG_SHIFT | generation | cursor >> 3
            cursor = following
            position = stop
            count += 1
        region.cursor = cursor
        table.used += count
        index.live += count
        return position, count

    return load

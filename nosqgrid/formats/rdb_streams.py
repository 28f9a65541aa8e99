"""Streams in Redis' dumps (rdb.py): nodes of entries as listpacks, and the consumer groups.

A node has the id of its first entry, 16 bytes, and a listpack: how many entries live in it and how many were deleted,
the names of its first entry, 0; then each entry: flags, the difference of its id to the node's in both parts, its words
(values alone where its names are the node's), and how many elements these were.
"""

import struct
from collections import namedtuple

from ..errors import CorruptValueError
from . import rdb, values
from .listpack import join, pack_element, pack_integer, unpack

Parts = namedtuple("Parts", "entries last_id max_deleted_id entries_added groups")
Parts.__doc__ = """A stream.

    entries         [(id, names and values in turn)], ids ascending: 16 bytes, big-endian
    last_id, max_deleted_id      ids
    entries_added   how many there ever were, or None where the dump is too old to say
    groups          [GroupParts]
"""
GroupParts = namedtuple("GroupParts", "name last_id entries_read consumers")
GroupParts.__doc__ = "entries_read is -1 for unknown and None for a dump that is too old; consumers [ConsumerParts]."
ConsumerParts = namedtuple("ConsumerParts", "name seen_ms pending")
ConsumerParts.__doc__ = "pending is [(id, when it was delivered last in ms, how often)]."

_ID = struct.Struct(">QQ")
_MS = struct.Struct("<q")
_NODE_ENTRIES = 100
_NODE_BYTES = 4096
_DELETED, _SAME_NAMES = 1, 2
_UINT64 = 1 << 64
_COUNT_MAX = (1 << 63) - 1
ZERO = _ID.pack(0, 0)


def _signed(number):
    """A difference of two numbers of 64 bits, as it is kept."""
    return (number + (1 << 63)) % _UINT64 - (1 << 63)


# -- writing ----------------------------------------------------------------------------------------------------------


def write(parts):
    """The type and value of a stream."""
    nodes = _nodes(parts.entries)
    found = [bytes((rdb.STREAM_LISTPACKS_2,)), rdb.pack_length(len(nodes))]
    for node_id, packed in nodes:
        found += rdb.pack_string(node_id), rdb.pack_string(packed)
    first_id = parts.entries[0][0] if parts.entries else ZERO
    found.append(rdb.pack_length(len(parts.entries)))
    for entry_id in (parts.last_id, first_id, parts.max_deleted_id):
        found += map(rdb.pack_length, _ID.unpack(entry_id))
    found += rdb.pack_length(parts.entries_added), rdb.pack_length(len(parts.groups))
    for group in parts.groups:
        _write_group(found, group)
    return b"".join(found)


def _nodes(entries):
    """[(id, listpack)] of the entries."""
    nodes, start = [], 0
    while start < len(entries):
        node_id, names, size, stop, pieces = entries[start][0], entries[start][1][::2], 0, start, []
        while stop < len(entries) and stop - start < _NODE_ENTRIES and size < _NODE_BYTES:
            pieces += _write_entry(node_id, names, *entries[stop])
            size += sum(map(len, entries[stop][1]))
            stop += 1
        master = [pack_integer(stop - start), pack_integer(0), pack_integer(len(names))]
        master += [pack_element(name) for name in names] + [pack_integer(0)]
        nodes.append((node_id, join(master + pieces)))
        start = stop
    return nodes


def _write_entry(node_id, names, entry_id, words):
    """The elements of an entry."""
    (node_ms, node_sequence), (ms, sequence) = _ID.unpack(node_id), _ID.unpack(entry_id)
    same = words[::2] == names
    pieces = [pack_integer(_SAME_NAMES if same else 0), pack_integer(_signed(ms - node_ms)),
              pack_integer(_signed(sequence - node_sequence))]
    if not same:
        pieces.append(pack_integer(len(words) // 2))
    pieces += map(pack_element, words[1::2] if same else words)
    pieces.append(pack_integer(len(pieces)))
    return pieces


def _write_group(found, group):
    found.append(rdb.pack_string(group.name))
    found += map(rdb.pack_length, _ID.unpack(group.last_id))
    found.append(rdb.pack_length(group.entries_read % _UINT64))
    pending = sorted(piece for consumer in group.consumers for piece in consumer.pending)
    found.append(rdb.pack_length(len(pending)))
    for entry_id, time_ms, count in pending:
        found += entry_id, _MS.pack(time_ms), rdb.pack_length(count)
    found.append(rdb.pack_length(len(group.consumers)))
    for consumer in group.consumers:
        found += rdb.pack_string(consumer.name), _MS.pack(consumer.seen_ms), rdb.pack_length(len(consumer.pending))
        found += [entry_id for entry_id, _, _ in consumer.pending]


# -- reading ----------------------------------------------------------------------------------------------------------


def read(reader, kind):
    """The Parts of a stream."""
    new, entries = kind == rdb.STREAM_LISTPACKS_2, []
    for _ in range(_count(reader)):
        node_id = reader.string()
        if len(node_id) != _ID.size:
            raise CorruptValueError("a node whose id has %d bytes" % len(node_id))
        _read_node(entries, node_id, unpack(reader.string()))
    count, last_id = reader.length(), _read_id(reader)
    max_deleted_id, added = ZERO, None
    if new:
        _read_id(reader)
        max_deleted_id, added = _read_id(reader), reader.length()
    if (count != len(entries) or entries and entries[-1][0] > last_id
            or any(one[0] >= other[0] for one, other in zip(entries, entries[1:]))):
        raise CorruptValueError("a stream with %d entries that says %d, or in another order" % (len(entries), count))
    if added is not None and added > _COUNT_MAX:
        raise CorruptValueError("a stream to which %d entries were added" % added)
    groups = [_read_group(reader, new) for _ in range(_count(reader))]
    if len({group.name for group in groups}) != len(groups):
        raise CorruptValueError("two groups of one name")
    return Parts(entries, last_id, max_deleted_id, added, groups)


def _count(reader):
    """A number of things that take at least a byte each, so that there cannot be more of them than bytes."""
    count = reader.length()
    if count > reader.left():
        raise CorruptValueError("%d parts where %d bytes are left" % (count, reader.left()))
    return count


def _read_id(reader):
    return _ID.pack(reader.length(), reader.length())


def _read_node(entries, node_id, elements):
    """Add the live entries of a node."""
    take = iter(elements)
    try:
        live, deleted, name_count = _number(next(take)), _number(next(take)), _number(next(take))
        if live < 0 or deleted < 0 or not 0 < name_count <= len(elements):
            raise CorruptValueError("a node with %d names" % name_count)
        names = [next(take) for _ in range(name_count)]
        if _number(next(take)) != 0:
            raise CorruptValueError("a node without an end of its names")
        for _ in range(live + deleted):
            entry_id, words, is_deleted = _read_entry(take, node_id, names, len(elements))
            if is_deleted:
                deleted -= 1
            else:
                live -= 1
                entries.append((entry_id, words))
    except StopIteration:
        raise CorruptValueError("a node that ends within an entry") from None
    if live or deleted or next(take, None) is not None:
        raise CorruptValueError("a node that has other entries than it says")


def _read_entry(take, node_id, names, most):
    flags, ms, sequence = _number(next(take)), _number(next(take)), _number(next(take))
    node_ms, node_sequence = _ID.unpack(node_id)
    entry_id = _ID.pack((node_ms + ms) % _UINT64, (node_sequence + sequence) % _UINT64)
    words, length = [], 3
    if flags & _SAME_NAMES:
        for name in names:
            words += name, next(take)
        length += len(names)
    else:
        count = _number(next(take))
        if not 0 < count <= most:
            raise CorruptValueError("an entry with %d names" % count)
        for _ in range(2 * count):
            words.append(next(take))
        length += len(words) + 1
    if _number(next(take)) != length:
        raise CorruptValueError("an entry of %d elements that says otherwise" % length)
    return entry_id, words, bool(flags & _DELETED)


def _number(element):
    if len(element) > 20 or not (element[1:] if element[:1] == b"-" else element).isdigit():
        raise CorruptValueError("a word where a node should have a number")
    return int(element)


def _read_group(reader, new):
    name, last_id, entries_read = reader.string(), _read_id(reader), None
    if new:
        entries_read = _signed(reader.length())
    pending = {}
    for _ in range(_count(reader)):
        entry_id, (time_ms,) = reader.take(_ID.size), _MS.unpack(reader.take(_MS.size))
        count = reader.length()
        if entry_id in pending or count > _COUNT_MAX:
            raise CorruptValueError("an entry that is pending twice, or was delivered too often")
        pending[entry_id] = entry_id, time_ms, count
    consumers, names = [], set()
    for _ in range(_count(reader)):
        consumer, (seen_ms,) = reader.string(), _MS.unpack(reader.take(_MS.size))
        ids = [reader.take(_ID.size) for _ in range(_count(reader))]
        if consumer in names or any(entry_id not in pending for entry_id in ids):
            raise CorruptValueError("a consumer that is there twice, or of what is not pending")
        names.add(consumer)
        consumers.append(ConsumerParts(consumer, seen_ms, [pending.pop(entry_id) for entry_id in ids]))
    if pending:
        raise CorruptValueError("%d entries that are pending for nobody" % len(pending))
    if entries_read is not None and entries_read < -1:
        raise CorruptValueError("a group that has read %d entries" % entries_read)
    return GroupParts(name, last_id, entries_read, consumers)


rdb.add_kinds(values.STREAM, write, (rdb.STREAM_LISTPACKS, rdb.STREAM_LISTPACKS_2), read)

"""Structures as plain contents, and made from them again: what formats/rdb dumps and reads.

Cost: that of a copy in plain Python objects, 0.1 to 1 us an element.
"""

from ...errors import WrongTypeError
from ...formats import rdb_streams, values
from .hashes import Hash
from .ids import LAST, ZERO
from .lists import List
from .sets import Set
from .stream_groups import PENDING, UNKNOWN
from .streams import Stream
from .zsets import SortedSet


def content_of(structure):
    """The content (formats/rdb) of a structure.  Raises WrongTypeError for those that Redis does not have."""
    if structure.TYPE not in _TAKEN_APART:
        raise WrongTypeError("a %s cannot be dumped: Redis has none" % values.STRUCTURE_NAMES[structure.TYPE])
    return _TAKEN_APART[structure.TYPE](structure)


def structure_of(value_type, content):
    """A new structure with a content; CorruptValueError where there is none such."""
    return _MADE[value_type](content)


def _pairs_of_zset(structure):
    order = structure.order
    return [(member, score) for scores, members in zip(order.scores, order.members)
            for score, member in zip(scores, members)]


def _parts_of_stream(stream):
    groups = []
    for group in stream.groups.values():
        consumers = [rdb_streams.ConsumerParts(consumer.name, consumer.seen_ms,
                                               [(entry_id, pending.time_ms, pending.count)
                                                for entry_id, pending in consumer.pending.items()])
                     for consumer in group.consumers.values()]
        groups.append(rdb_streams.GroupParts(group.name, group.last_id, group.entries_read, consumers))
    return rdb_streams.Parts(stream.range(ZERO, LAST), stream.last_id, stream.max_deleted_id, stream.entries_added,
                             groups)


def _made(kind, words):
    structure = kind()
    structure.apply(words)
    return structure


def _make_stream(parts):
    stream = Stream()
    for entry_id, words in parts.entries:
        name = b"node" if stream.is_full(sum(map(len, words))) else b"add"
        stream.apply([name, entry_id] + words)
    added = len(parts.entries) if parts.entries_added is None else parts.entries_added
    stream.apply([b"meta", parts.last_id, parts.max_deleted_id, b"%d" % added])
    for group in parts.groups:
        read = stream.rank_of(group.last_id) if group.entries_read is None else group.entries_read
        stream.apply([b"group", group.name, group.last_id, b"%d" % max(read, UNKNOWN)])
        for consumer in group.consumers:
            stream.apply([b"consumer", group.name, consumer.name, b"%d" % consumer.seen_ms])
            if consumer.pending:
                pieces = [PENDING.pack(*piece) for piece in consumer.pending]
                stream.apply([b"pend", group.name, consumer.name] + pieces)
    return stream


_TAKEN_APART = {
    values.LIST: lambda structure: list(structure.listed()),
    values.SET: lambda structure: list(structure.listed()),
    values.HASH: lambda structure: list(structure.items.items()),
    values.ZSET: _pairs_of_zset,
    values.STREAM: _parts_of_stream,
}

_MADE = {
    values.LIST: lambda elements: _made(List, [b"rpush"] + elements),
    values.SET: Set,
    values.HASH: lambda pairs: _made(Hash, [b"hset"] + [word for pair in pairs for word in pair]),
    values.ZSET: lambda pairs: SortedSet.of(dict(pairs)),
    values.STREAM: _make_stream,
}

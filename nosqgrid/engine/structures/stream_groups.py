"""Consumer groups of a stream: who was given which entries and has not said yet that they are done.

    group       name id read               create a group; read is how many entries it has read, -1 for unknown
    ungroup     name                       destroy it
    groupid     name id read               where it stands
    consumer    group name seen_ms         create a consumer, or say when it was there last
    unconsumer  group name                 remove it with what is pending for it
    deliver     group consumer ms id read ids...    the same as consumer and groupid; the ids are pending for it from
                                           now on, as delivered once, at that time
    pend        group consumer pieces...   PENDING: the ids are pending for a consumer, delivered at a time so often
    ack         group ids...               they are pending no more

Times are milliseconds of the wall clock, as they were when the command ran.

Invariants
 1. What is pending in a group is pending for one of its consumers, and the other way round: it is the same Pending.
"""

import struct

from ...errors import CorruptValueError
from .ids import SIZE_BYTES
from .ordered_ids import OrderedIds

PENDING = struct.Struct("<16sqq")  # id, when it was delivered last (ms), how often
UNKNOWN = -1
COUNT_MAX = 2 ** 63 - 1
PIECES = 1000  # of one change of changes()

GROUP_BYTES = 900
CONSUMER_BYTES = 700
PENDING_BYTES = 170

_INT64_DIGITS = 20


class Pending(object):
    """An entry that was delivered to a consumer."""

    __slots__ = ("consumer", "time_ms", "count")

    def __init__(self, consumer, time_ms, count):
        self.consumer = consumer
        self.time_ms = time_ms
        self.count = count

    def again(self, entry_id, time_ms):
        """The piece of a change (pend) that delivers it once more."""
        return PENDING.pack(entry_id, time_ms, min(self.count + 1, COUNT_MAX))


class Consumer(object):
    """A consumer; `pending` maps ids to Pending."""

    __slots__ = ("name", "seen_ms", "pending")

    def __init__(self, name, seen_ms):
        self.name = name
        self.seen_ms = seen_ms
        self.pending = OrderedIds()


class Group(object):
    """A group; `pending` maps ids to Pending, `consumers` names to Consumer."""

    __slots__ = ("name", "last_id", "entries_read", "pending", "consumers")

    def __init__(self, name, last_id, entries_read):
        self.name = name
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending = OrderedIds()
        self.consumers = {}

    @property
    def size_bytes(self):
        """What it takes, nearly."""
        return (GROUP_BYTES + len(self.name) + PENDING_BYTES * len(self.pending)
                + sum(CONSUMER_BYTES + len(name) for name in self.consumers))

    def shrink(self):
        """Let go of some of what is pending, or of a consumer, in a group that nobody uses any more; how many."""
        if self.pending:
            before = len(self.pending)
            self.pending.shrink()
            return before - len(self.pending)
        for name, consumer in self.consumers.items():
            before = len(consumer.pending)
            if consumer.pending.shrink():
                del self.consumers[name]
            return before - len(consumer.pending)
        return 0

    def changes(self):
        """Yield the changes that make it."""
        yield [b"group", self.name, self.last_id, b"%d" % self.entries_read]
        for consumer in self.consumers.values():
            for change in self.changes_of(consumer):
                yield change

    def changes_of(self, consumer):
        """Yield the changes that make one of its consumers."""
        yield [b"consumer", self.name, consumer.name, b"%d" % consumer.seen_ms]
        pieces = []
        for entry_id, pending in consumer.pending.items():
            pieces.append(PENDING.pack(entry_id, pending.time_ms, pending.count))
            if len(pieces) == PIECES:
                yield [b"pend", self.name, consumer.name] + pieces
                pieces = []
        if pieces:
            yield [b"pend", self.name, consumer.name] + pieces


class Later(object):
    """Changes that are made when somebody goes through them; what they are made from changes no more."""

    def __init__(self, make):
        self._make = make

    def __iter__(self):
        return iter(self._make())


def corrupt(words):
    """The error for words that are no change of this stream."""
    return CorruptValueError("no change of this stream: %r" % (b" ".join(words)[:100],))


def _number(word, words):
    digits = word[1:] if word[:1] == b"-" else word
    if not digits.isdigit() or len(digits) > _INT64_DIGITS:
        raise corrupt(words)
    return int(word)


def _group(stream, words, count):
    """The group in the second word, where there are so many words; negative means at least so many."""
    group = stream.groups.get(words[1]) if len(words) == count or count < 0 and len(words) >= -count else None
    if group is None:
        raise corrupt(words)
    return group


def _ids(words, first):
    """The words from `first` on, which are ids, each once."""
    ids = words[first:]
    if any(len(entry_id) != SIZE_BYTES for entry_id in ids) or len(set(ids)) != len(ids):
        raise corrupt(words)
    return ids


def _create(stream, words):
    if len(words) != 4 or len(words[2]) != SIZE_BYTES or words[1] in stream.groups:
        raise corrupt(words)
    _, name, last_id, read = words
    group = stream.groups[name] = Group(name, last_id, _number(read, words))
    stream.size_bytes += group.size_bytes
    return [[b"ungroup", name]]


def _destroy(stream, words):
    group = _group(stream, words, 2)
    del stream.groups[words[1]]
    stream.size_bytes -= group.size_bytes
    return Later(group.changes)


def _stand(group, last_id, read):
    """Let a group stand somewhere; the change that takes it back."""
    inverse = [b"groupid", group.name, group.last_id, b"%d" % group.entries_read]
    group.last_id, group.entries_read = last_id, read
    return inverse


def _set_id(stream, words):
    group = _group(stream, words, 4)
    if len(words[2]) != SIZE_BYTES:
        raise corrupt(words)
    return [_stand(group, words[2], _number(words[3], words))]


def _see(stream, group, name, seen_ms):
    """Create or refresh a consumer; the change that takes it back."""
    consumer = group.consumers.get(name)
    if consumer is None:
        group.consumers[name] = Consumer(name, seen_ms)
        stream.size_bytes += CONSUMER_BYTES + len(name)
        return [b"unconsumer", group.name, name]
    inverse = [b"consumer", group.name, name, b"%d" % consumer.seen_ms]
    consumer.seen_ms = seen_ms
    return inverse


def _consumer(stream, words):
    group = _group(stream, words, 4)
    return [_see(stream, group, words[2], _number(words[3], words))]


def _remove_consumer(stream, words):
    group = _group(stream, words, 3)
    consumer = group.consumers.pop(words[2], None)
    if consumer is None:
        raise corrupt(words)
    for entry_id, _ in consumer.pending.items():
        group.pending.pop(entry_id)
    stream.size_bytes -= CONSUMER_BYTES + len(consumer.name) + PENDING_BYTES * len(consumer.pending)
    return Later(lambda: group.changes_of(consumer))


def _give(stream, group, consumer, pieces):
    """Let what (id, ms, count) say be pending for a consumer; the changes that take it back."""
    new, old, in_group, in_consumer = [], {}, group.pending, consumer.pending
    for entry_id, time_ms, count in pieces:
        pending = in_group.get(entry_id)
        if pending is None:
            pending = Pending(consumer, time_ms, count)
            in_group.add(entry_id, pending)
            in_consumer.add(entry_id, pending)
            new.append(entry_id)
            continue
        owner = pending.consumer
        old.setdefault(owner.name, []).append(PENDING.pack(entry_id, pending.time_ms, pending.count))
        if owner is not consumer:
            owner.pending.pop(entry_id)
            in_consumer.add(entry_id, pending)
            pending.consumer = consumer
        pending.time_ms, pending.count = time_ms, count
    stream.size_bytes += PENDING_BYTES * len(new)
    inverse = [[b"pend", group.name, name] + packed for name, packed in old.items()]
    if new:
        inverse.append([b"ack", group.name] + new)
    return inverse


def _deliver(stream, words):
    group = _group(stream, words, -6)
    _, _, name, time_word, last_id, read = words[:6]
    time_ms, read, ids = _number(time_word, words), _number(read, words), _ids(words, 6)
    if len(last_id) != SIZE_BYTES or not -1 << 63 <= time_ms < 1 << 63:
        raise corrupt(words)
    seen = _see(stream, group, name, time_ms)
    inverse = _give(stream, group, group.consumers[name], [(entry_id, time_ms, 1) for entry_id in ids])
    inverse.append(_stand(group, last_id, read))
    inverse.append(seen)
    return inverse


def _pend(stream, words):
    group = _group(stream, words, -4)
    consumer, pieces = group.consumers.get(words[2]), words[3:]
    if consumer is None or any(len(piece) != PENDING.size for piece in pieces):
        raise corrupt(words)
    pieces = [PENDING.unpack(piece) for piece in pieces]
    if len(set(piece[0] for piece in pieces)) != len(pieces):
        raise corrupt(words)
    return _give(stream, group, consumer, pieces)


def _ack(stream, words):
    group = _group(stream, words, -3)
    ids = _ids(words, 2)
    if any(group.pending.get(entry_id) is None for entry_id in ids):
        raise corrupt(words)
    inverse = {}
    for entry_id in ids:
        pending = group.pending.pop(entry_id)
        pending.consumer.pending.pop(entry_id)
        inverse.setdefault(pending.consumer.name, []).append(
            PENDING.pack(entry_id, pending.time_ms, pending.count))
    stream.size_bytes -= PENDING_BYTES * len(ids)
    return [[b"pend", group.name, name] + packed for name, packed in inverse.items()]


OPERATIONS = {b"group": _create, b"ungroup": _destroy, b"groupid": _set_id, b"consumer": _consumer,
              b"unconsumer": _remove_consumer, b"deliver": _deliver, b"pend": _pend, b"ack": _ack}

"""Structures for people and for JSON: what dump prints of them.

    list     [element, ...]
    hash     {field: value, ...}, or [[field, value], ...] where a field is no text
    set      [member, ...]
    zset     [[member, score], ...] by score; an infinite one is "inf" or "-inf"
    topic    {"last", "maxlen", "maxbytes", "maxage", "messages": [[number, wall clock in ms, type, payload], ...]}
    stream   {"entries": [[id, fields], ...], "last_id", "max_deleted_id", "entries_added", "groups": [...]}; fields as
             in a hash, or a list of name and value in turn where a name comes twice
    queue    {"jobs": [{"number", "state", "payload", ...}, ...], "settings", "next"}, as JOB.INFO tells them
    grants   {"high": number, "records": [[key, word, ...], ...]}, see engine/locks/kept

Bytes that are no UTF-8 are {"base64": text}.
"""

import base64

from ..engine.structures import ids, job_records
from ..engine.structures.topics import HEAD
from ..formats import values


def readable(structure):
    """What JSON has for a structure."""
    return _READABLE[structure.TYPE](structure)


def text(word):
    """A word as text, or {"base64": ...}."""
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(word).decode()}


def _texts(structure):
    return [text(word) for word in structure.listed()]


def _pairs(pairs):
    """A JSON object of (name, value) pairs, or a list of pairs."""
    shown = [[text(name), text(value)] for name, value in pairs]
    if all(isinstance(name, str) for name, _ in shown):
        return dict(shown)
    return shown


def _hash(structure):
    return _pairs(structure.items.items())


def _zset(structure):
    return [[text(member), _score(structure.scores[member])] for member in structure.listed()]


def _score(score):
    return score if score - score == 0.0 else repr(score)


def _stream(structure):
    return {"entries": [[_id(entry_id), _fields(words)] for entry_id, words in structure.range(ids.ZERO, ids.LAST)],
            "last_id": _id(structure.last_id), "max_deleted_id": _id(structure.max_deleted_id),
            "entries_added": structure.entries_added,
            "groups": [_group(group) for _, group in sorted(structure.groups.items())]}


def _fields(words):
    names = words[::2]
    if len(set(names)) != len(names):
        return [text(word) for word in words]
    return _pairs(zip(names, words[1::2]))


def _group(group):
    return {"name": text(group.name), "last_id": _id(group.last_id), "entries_read": group.entries_read,
            "consumers": [{"name": text(consumer.name), "seen_ms": consumer.seen_ms,
                           "pending": [[_id(entry_id), pending.time_ms, pending.count]
                                       for entry_id, pending in consumer.pending.items()]}
                          for _, consumer in sorted(group.consumers.items())]}


def _topic(topic):
    messages = []
    for number, record in enumerate(topic.records(), topic.first):
        published_ms, value_type = HEAD.unpack_from(record)
        messages.append([number, published_ms, value_type, text(record[HEAD.size:])])
    return {"last": topic.last, "maxlen": topic.records_max, "maxbytes": topic.bytes_max, "maxage": topic.age_ms_max,
            "messages": messages}


def _id(entry_id):
    return ids.text(entry_id).decode("ascii")


def _queue(structure):
    return {"jobs": [_job(number, job) for number, job in sorted(structure.jobs.items())],
            "settings": _pairs(sorted(structure.settings.items())), "next": structure.next_number}


def _job(number, job):
    record, payload, options, fixed, notes = job
    state, _, kind, attempts, deliveries, priority, put_ms, at_ms = job_records.RECORD.unpack(record)
    group, unique, _, _, after = job_records.unpack_fixed(fixed)
    return {"number": number, "state": text(job_records.STATES[state]), "type": kind, "payload": text(payload),
            "kind": text(options[job_records.OPTIONS.size:]), "priority": priority, "attempts": attempts,
            "receipt": deliveries, "put_ms": put_ms, "at_ms": at_ms, "group": text(group), "unique": text(unique),
            "after": [text(one) for one in after],
            "notes": _pairs(sorted(job_records.unpack_notes(notes).items()))}


def _grants(structure):
    return {"high": structure.high, "records": [[text(key)] + [text(word) for word in words]
                                                for key, words in sorted(structure.items.items())]}


_READABLE = {values.LIST: _texts, values.HASH: _hash, values.SET: _texts, values.ZSET: _zset, values.STREAM: _stream,
             values.TOPIC: _topic, values.GRANTS: _grants, values.QUEUE: _queue}

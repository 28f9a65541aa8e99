"""Replies of the stream commands as the objects that redis-py returns for them."""

from .shapes import named, pairs

_PENDING_NAMES = ("message_id", "consumer", "time_since_delivered", "times_delivered")


def entries(reply, **options):
    """A list of (id, dict of fields); (None, None) for one that was deleted."""
    if reply is None:
        return None
    return [(None, None) if entry is None else (entry[0], pairs(entry[1])) for entry in reply]


def read(reply, **options):
    """Of XREAD: a list of [key, entries]."""
    return [] if reply is None else [[stream[0], entries(stream[1])] for stream in reply]


def read_map(reply, **options):
    """The same of a map: a dict of key to [entries]."""
    return {} if reply is None else {key: [entries(value)] for key, value in reply.items()}


def claimed(reply, parse_justid=False, **options):
    """Entries, or their ids."""
    return reply if parse_justid else entries(reply)


def auto_claimed(reply, parse_justid=False, **options):
    """[next id, entries, ids of deleted ones], or the ids alone."""
    return reply[1] if parse_justid else [reply[0], entries(reply[1])] + reply[2:]


def pending(reply, parse_detail=False, **options):
    """A summary, or a list of dicts."""
    if parse_detail:
        return [dict(zip(_PENDING_NAMES, row)) for row in reply]
    consumers = [{"name": name, "pending": int(count)} for name, count in reply[3] or []]
    return {"pending": reply[0], "min": reply[1], "max": reply[2], "consumers": consumers}


def info(reply, full=False, **options):
    """Of XINFO STREAM: a dict."""
    found = named(reply)
    if full:
        found["entries"] = {entry[0]: pairs(entry[1]) for entry in found["entries"]}
        found["groups"] = [_group(group) for group in found["groups"]]
        return found
    for name in ("first-entry", "last-entry"):
        entry = found.get(name)
        if entry is not None and entry[0] is not None:
            found[name] = (entry[0], pairs(entry[1]))
    return found


def _group(group):
    found = named(group)
    if isinstance(group, list) and found.get("consumers"):
        found["consumers"] = [named(consumer) for consumer in found["consumers"] if consumer is not None]
    return found

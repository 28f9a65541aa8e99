"""XINFO: what there is to know about a stream, its groups and their consumers, laid out as in Redis 7.0."""

from ... import errors
from ...formats import resp
from ..structures.ids import LAST, ZERO, text as id_text
from ..structures.stream_groups import UNKNOWN
from .command import READ, command_error, container, integer
from .stream_words import shown_entries, stream_of, text, with_keys

_FULL_COUNT = 10


def _existing(context, key):
    """The stream at a key; CommandError where there is nothing."""
    stream = stream_of(context, key)
    if stream is None:
        raise command_error("no such key")
    return stream


def _sorted(by_name):
    """What a dict has, in the order of the names, which is that of Redis."""
    return [value for _, value in sorted(by_name.items())]


def stream(context, args):
    """About a stream: [FULL [COUNT count]]."""
    found = _existing(context, args[0])
    limit = _full_limit(args[1:]) if len(args) > 1 else None
    rows = [(b"length", len(found)), (b"radix-tree-keys", found.chunk_count),
            (b"radix-tree-nodes", _node_count(found.chunk_count)), (b"last-generated-id", id_text(found.last_id)),
            (b"max-deleted-entry-id", id_text(found.max_deleted_id)), (b"entries-added", found.entries_added),
            (b"recorded-first-entry-id", id_text(found.first_id()))]
    if limit is None:
        first, last = found.range(ZERO, LAST, 1), found.range_back(ZERO, LAST, 1)
        rows += [(b"groups", len(found.groups)), (b"first-entry", shown_entries(first)[0] if first else None),
                 (b"last-entry", shown_entries(last)[0] if last else None)]
    else:
        rows += [(b"entries", shown_entries(found.range(ZERO, LAST, limit))),
                 (b"groups", [_full_group(found, group, limit) for group in _sorted(found.groups)])]
    return resp.Map(rows)


def _full_limit(words):
    if words[0].upper() == b"FULL" and len(words) in (1, 3):
        if len(words) == 1:
            return _FULL_COUNT
        if words[1].upper() == b"COUNT":
            limit = integer(words[2])
            return limit if limit >= 0 else _FULL_COUNT
    raise errors.CommandError("unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.")


def _node_count(chunk_count):
    """How many nodes Redis' tree would have: so many for one chunk, and for more an estimate."""
    return 2 * chunk_count if chunk_count else 1


def _read_and_lag(found, group):
    """(entries read, how many it has yet to read), None where nobody knows."""
    if not found.entries_added:
        lag = 0
    elif group.entries_read != UNKNOWN and not found.is_broken_behind(group.last_id):
        lag = found.entries_added - group.entries_read
    else:
        rank = found.rank_of(group.last_id)
        lag = None if rank == UNKNOWN else found.entries_added - rank
    return None if group.entries_read == UNKNOWN else group.entries_read, lag


def _full_group(found, group, limit):
    read, lag = _read_and_lag(found, group)
    pending = [[id_text(entry_id), one.consumer.name, one.time_ms, one.count]
               for entry_id, one in _first(group.pending, limit)]
    consumers = []
    for consumer in _sorted(group.consumers):
        of_consumer = [[id_text(entry_id), one.time_ms, one.count] for entry_id, one in _first(consumer.pending, limit)]
        consumers.append(resp.Map([(b"name", consumer.name), (b"seen-time", consumer.seen_ms),
                                   (b"pel-count", len(consumer.pending)), (b"pending", of_consumer)]))
    return resp.Map([(b"name", group.name), (b"last-delivered-id", id_text(group.last_id)), (b"entries-read", read),
                     (b"lag", lag), (b"pel-count", len(group.pending)), (b"pending", pending),
                     (b"consumers", consumers)])


def _first(pending, limit):
    """The first (id, Pending), 0 for all."""
    for number, pair in enumerate(pending.items()):
        if limit and number == limit:
            return
        yield pair


def groups(context, args):
    """The groups of a stream."""
    found, rows = _existing(context, args[0]), []
    for group in _sorted(found.groups):
        read, lag = _read_and_lag(found, group)
        rows.append(resp.Map([(b"name", group.name), (b"consumers", len(group.consumers)),
                              (b"pending", len(group.pending)), (b"last-delivered-id", id_text(group.last_id)),
                              (b"entries-read", read), (b"lag", lag)]))
    return rows


def consumers(context, args):
    """The consumers of a group."""
    group = _existing(context, args[0]).groups.get(args[1])
    if group is None:
        raise command_error("No such consumer group '%s' for key name '%s'"
                            % (text(args[1]), text(context.shown_key(args[0]))), "NOGROUP")
    now_ms = context.keyspace.wall_ms()
    return [resp.Map([(b"name", consumer.name), (b"pending", len(consumer.pending)),
                      (b"idle", max(now_ms - consumer.seen_ms, 0))]) for consumer in _sorted(group.consumers)]


COMMANDS = (
    with_keys(container(b"XINFO", (
        (b"CONSUMERS", consumers, 4, READ),
        (b"GROUPS", groups, 3, READ),
        (b"STREAM", stream, -3, READ),
    ))),
)

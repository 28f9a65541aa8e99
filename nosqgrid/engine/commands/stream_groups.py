"""Commands on the consumer groups of a stream: XGROUP XACK XPENDING XCLAIM XAUTOCLAIM."""

from ... import errors
from ...formats import resp
from ..structures.ids import SIZE_BYTES, ZERO, text as id_text
from ..structures.stream_groups import COUNT_MAX, PENDING, UNKNOWN
from ..structures.streams import Stream
from .command import (INT64_MAX, READ, WRITE, WRITE_FAST, WRITE_OOM, Command, command_error, container, integer,
                      parse_integer, syntax_error)
from .stream_reads import change_and_tell
from .stream_words import ENDS, group_of, integer_or, parse_end, parse_id, parse_start, stream_of, text, with_keys

_NO_KEY = ("The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
           "option to create an empty stream automatically.")
_CLAIM_COUNT = 100
_CLAIM_COUNT_MAX = INT64_MAX // SIZE_BYTES
_CLAIM_ATTEMPTS = 10  # pending entries looked at for each that may be claimed


# -- XGROUP -----------------------------------------------------------------------------------------------------------


def _subcommand_error(name):
    return errors.CommandError("unknown subcommand or wrong number of arguments for '%s'. Try XGROUP HELP." % name)


def _read_options(words, name):
    """(whether a stream is made, how many entries were read) of CREATE and SETID."""
    make, read, index = False, UNKNOWN, 0
    while index < len(words):
        option = words[index].upper()
        if name == "CREATE" and option == b"MKSTREAM":
            make = True
        elif option == b"ENTRIESREAD" and index + 1 < len(words):
            index += 1
            read = integer(words[index])
            if read < 0 and read != UNKNOWN:
                raise errors.CommandError("value for ENTRIESREAD must be positive or -1")
        else:
            raise _subcommand_error(name)
        index += 1
    return make, read


def _stream_with(context, key, name=None):
    """The stream that XGROUP requires at a key, which has to have a group where it has a name."""
    stream = stream_of(context, key)
    if stream is None:
        raise errors.CommandError(_NO_KEY)
    if name is not None and name not in stream.groups:
        raise command_error("No such consumer group '%s' for key name '%s'"
                            % (text(name), text(context.shown_key(key))), "NOGROUP")
    return stream


def create(context, args):
    """Create a group: [MKSTREAM] [ENTRIESREAD count]."""
    key, name, word = args[:3]
    make, read = _read_options(args[3:], "CREATE")
    stream = stream_of(context, key) if make else _stream_with(context, key)
    if word == b"$":
        last_id = ZERO if stream is None else stream.last_id
    else:
        last_id = parse_id(word)
    if stream is not None and name in stream.groups:
        raise command_error("Consumer Group name already exists", "BUSYGROUP")
    context.keyspace.update(key, stream, Stream, [b"group", name, last_id, b"%d" % read])
    context.notify(b"t", b"xgroup-create", key)
    return resp.OK


def setid(context, args):
    """Set the last id that a group was given: [ENTRIESREAD count]."""
    key, name, word = args[:3]
    _, read = _read_options(args[3:], "SETID")
    stream = _stream_with(context, key, name)
    if word == b"$":
        last_id = stream.last_id
    else:
        last_id = ENDS.get(word) or parse_id(word)  # here alone, and not in CREATE, `-` and `+` are ids
    context.keyspace.change(key, stream, [b"groupid", name, last_id, b"%d" % read])
    context.notify(b"t", b"xgroup-setid", key)
    return resp.OK


def destroy(context, args):
    """Remove a group; 1 if it was there."""
    key, name = args
    stream = _stream_with(context, key)
    if name not in stream.groups:
        return 0
    context.keyspace.change(key, stream, [b"ungroup", name])
    context.notify(b"t", b"xgroup-destroy", key)
    return 1


def createconsumer(context, args):
    """Create a consumer; 1 if it was not there."""
    key, name, consumer = args
    stream = _stream_with(context, key, name)
    if consumer in stream.groups[name].consumers:
        return 0
    _see(context, key, stream, stream.groups[name], consumer)
    return 1


def delconsumer(context, args):
    """Remove a consumer; how many entries were pending for it."""
    key, name, consumer = args
    stream = _stream_with(context, key, name)
    found = stream.groups[name].consumers.get(consumer)
    if found is None:
        return 0
    count = len(found.pending)
    context.keyspace.change(key, stream, [b"unconsumer", name, consumer])
    context.notify(b"t", b"xgroup-delconsumer", key)
    return count


def _see(context, key, stream, group, consumer):
    """Create a consumer, or say that it was there."""
    change_and_tell(context, key, stream, group, consumer,
                    [b"consumer", group.name, consumer, b"%d" % context.keyspace.wall_ms()])


# -- what is pending --------------------------------------------------------------------------------------------------


def xack(context, args):
    """Entries are done; how many of them were pending."""
    key, name = args[:2]
    stream = stream_of(context, key)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    pending = group.pending
    ids = [entry_id for entry_id in dict.fromkeys(map(parse_id, args[2:])) if pending.get(entry_id) is not None]
    if ids:
        context.keyspace.change(key, stream, [b"ack", name] + ids)
    return len(ids)


def xpending(context, args):
    """What is pending in a group: a summary, or [IDLE ms] start end count [consumer]."""
    key, name = args[:2]
    if len(args) == 2:
        return _summary(group_of(context, key, name)[1])
    if not 5 <= len(args) <= 8:
        raise syntax_error()
    idle_ms, index = 0, 2
    if args[2].upper() == b"IDLE":
        idle_ms, index = integer(args[3]), 4
        if len(args) < 7:
            raise syntax_error()
    limit = max(integer(args[index + 2]), 0)
    start, end = parse_start(args[index]), parse_end(args[index + 1])
    _, group = group_of(context, key, name)
    source = group
    if index + 3 < len(args):
        source = group.consumers.get(args[index + 3])
        if source is None:
            return []
    found, now_ms = [], context.keyspace.wall_ms()
    if not limit:
        return found
    for entry_id, pending in source.pending.items(start):
        if entry_id > end:
            break
        if idle_ms and now_ms - pending.time_ms < idle_ms:
            continue
        found.append([id_text(entry_id), pending.consumer.name, max(now_ms - pending.time_ms, 0), pending.count])
        if len(found) == limit:
            break
    return found


def _summary(group):
    if not len(group.pending):
        return [0, None, None, resp.NULL_ARRAY]
    counts = [[name, b"%d" % len(consumer.pending)] for name, consumer in sorted(group.consumers.items())
              if len(consumer.pending)]
    return [len(group.pending), id_text(group.pending.first()), id_text(group.pending.last()), counts]


class _Claim(object):
    """The words of XCLAIM behind the minimal time."""

    def __init__(self, words, now_ms):
        self.force = self.only_ids = False
        self.count = None
        self.last_id = ZERO
        self.time_ms = None
        self.ids = []
        for word in words:
            try:
                self.ids.append(parse_id(word))
            except errors.CommandError:
                break  # an option, or nothing at all: it will be seen
        self._read_options(words, len(self.ids), now_ms)
        if self.time_ms is None or not 0 <= self.time_ms <= now_ms:
            self.time_ms = now_ms

    def _read_options(self, words, index, now_ms):
        while index < len(words):
            option, more = words[index].upper(), len(words) - index - 1
            if option == b"FORCE":
                self.force = True
            elif option == b"JUSTID":
                self.only_ids = True
            elif option in (b"IDLE", b"TIME", b"RETRYCOUNT") and more:
                index += 1
                number = integer_or(words[index], "Invalid %s option argument for XCLAIM" % option.decode("ascii"))
                if option == b"RETRYCOUNT":
                    self.count = number if number >= 0 else None
                else:
                    self.time_ms = now_ms - number if option == b"IDLE" else number
            elif option == b"LASTID" and more:
                index += 1
                self.last_id = parse_id(words[index])
            else:
                raise errors.CommandError("Unrecognized XCLAIM option '%s'" % text(words[index]))
            index += 1


def _least_idle(word, command_name):
    return max(integer_or(word, "Invalid min-idle-time argument for %s" % command_name), 0)


def xclaim(context, args):
    """Give entries that were pending for too long to another consumer; they, or their ids.

    id... [IDLE ms] [TIME ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]
    """
    key, name, consumer = args[:3]
    stream, group = group_of(context, key, name)
    idle_ms, now_ms = _least_idle(args[3], "XCLAIM"), context.keyspace.wall_ms()
    claim = _Claim(args[4:], now_ms)
    found, gone, pieces = [], {}, {}
    for entry_id in claim.ids:
        pending = group.pending.get(entry_id)
        words = stream.entry(entry_id)
        if words is None:
            if pending is not None:
                gone[entry_id] = True
            continue
        if pending is None and not claim.force:
            continue
        time_ms, count = (now_ms, 1) if pending is None else (pending.time_ms, pending.count)
        if entry_id in pieces:  # named before
            time_ms, count = PENDING.unpack(pieces[entry_id])[1:]
        elif pending is None:
            time_ms = None  # it is nobody's
        if idle_ms and time_ms is not None and now_ms - time_ms < idle_ms:
            continue
        if claim.count is not None:
            count = claim.count
        elif not claim.only_ids:
            count = min(count + 1, COUNT_MAX)
        pieces[entry_id] = PENDING.pack(entry_id, claim.time_ms, count)
        found.append(id_text(entry_id) if claim.only_ids else [id_text(entry_id), words])
    _change_pending(context, key, stream, group, consumer, list(gone), list(pieces.values()), claim.last_id)
    return found


def _change_pending(context, key, stream, group, consumer, gone, pieces, last_id=ZERO):
    """Ids that are gone are pending no more; others (PENDING) are for a consumer; the group's last id may move."""
    keyspace = context.keyspace
    if last_id > group.last_id:
        keyspace.change(key, stream, [b"groupid", group.name, last_id, b"%d" % group.entries_read])
    if gone:
        keyspace.change(key, stream, [b"ack", group.name] + gone)
    if pieces:
        _see(context, key, stream, group, consumer)
        keyspace.change(key, stream, [b"pend", group.name, consumer] + pieces)


def xautoclaim(context, args):
    """Claim what has been pending for too long, from an id on; where to go on, what was claimed, what is gone.

    [COUNT count] [JUSTID]
    """
    key, name, consumer = args[:3]
    idle_ms, start = _least_idle(args[3], "XAUTOCLAIM"), parse_start(args[4])
    limit, only_ids = _read_autoclaim_options(args[5:])
    stream, group = group_of(context, key, name)
    now_ms, attempts = context.keyspace.wall_ms(), limit * _CLAIM_ATTEMPTS
    found, gone, pieces, cursor = [], [], [], ZERO
    for entry_id, pending in group.pending.items(start):
        if not attempts or not limit:
            cursor = entry_id
            break
        attempts -= 1
        words = stream.entry(entry_id)
        if words is None:
            gone.append(entry_id)
            limit -= 1
            continue
        if idle_ms and now_ms - pending.time_ms < idle_ms:
            continue
        pieces.append(PENDING.pack(entry_id, now_ms, pending.count) if only_ids else pending.again(entry_id, now_ms))
        found.append(id_text(entry_id) if only_ids else [id_text(entry_id), words])
        limit -= 1
    _change_pending(context, key, stream, group, consumer, gone, pieces)
    return [id_text(cursor), found, list(map(id_text, gone))]


def _read_autoclaim_options(words):
    """(COUNT, whether JUSTID) of XAUTOCLAIM."""
    limit, only_ids, index = _CLAIM_COUNT, False, 0
    while index < len(words):
        option = words[index].upper()
        if option == b"COUNT" and index + 1 < len(words):
            index += 1
            limit = parse_integer(words[index])
            if limit is None or not 1 <= limit <= _CLAIM_COUNT_MAX:
                raise errors.CommandError("COUNT must be > 0")
        elif option == b"JUSTID":
            only_ids = True
        else:
            raise syntax_error()
        index += 1
    return limit, only_ids


_SEVERAL_FAST = WRITE_FAST | {"several"}

COMMANDS = (
    with_keys(container(b"XGROUP", (
        (b"CREATE", create, -5, WRITE_OOM),
        (b"SETID", setid, -5, WRITE),
        (b"DESTROY", destroy, 4, WRITE),
        (b"CREATECONSUMER", createconsumer, 5, WRITE_OOM),
        (b"DELCONSUMER", delconsumer, 5, WRITE),
    ))),
    Command(b"XACK", xack, -4, WRITE_FAST, 1, 1, 1),
    Command(b"XPENDING", xpending, -3, READ, 1, 1, 1),
    Command(b"XCLAIM", xclaim, -6, _SEVERAL_FAST, 1, 1, 1),
    Command(b"XAUTOCLAIM", xautoclaim, -6, _SEVERAL_FAST, 1, 1, 1),
)

"""XREAD and XREADGROUP.

Redis wakes who is blocked for streams when an entry is added, a key gets another stream, or a group goes; not when a
group is set back or entries are acknowledged.  What a stream had been given by then is remembered to tell the two
apart.  An attempt that gives nothing changes nothing: it would wake itself.
"""

from ... import errors
from ...formats import resp, values
from ..structures.ids import LAST, ZERO, following
from ..structures.stream_groups import UNKNOWN
from .command import READ, WRITE_SEVERAL, Command, command_error, integer, parse_integer, syntax_error
from .stream_words import by_key, parse_id, stream_of, text

_MEANINGLESS = ("The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer "
                "by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty "
                "result set.")
_BLOCK_MS_MAX = 10 ** 15  # thirty thousand years


class _Request(object):
    """What XREAD or XREADGROUP was asked for."""

    def __init__(self, args, is_group):
        self.is_group = is_group
        self.group = self.consumer = self.block_ms = None
        self.keeps = True  # what is delivered becomes pending
        self.limit = 0
        self.keys, self.words = [], []
        self._read_options(args)

    def _read_options(self, args):
        index, count = 0, len(args)
        while index < count and not self.keys:
            option, more = args[index].upper(), count - index - 1
            if option == b"BLOCK" and more:
                index += 1
                self.block_ms = _milliseconds(args[index])
            elif option == b"COUNT" and more:
                index += 1
                self.limit = max(integer(args[index]), 0)
            elif option == b"STREAMS" and more:
                self._read_streams(args[index + 1:])
            elif option == b"GROUP" and more >= 2:
                self._only_for_groups("GROUP")
                self.group, self.consumer = args[index + 1:index + 3]
                index += 2
            elif option == b"NOACK":
                self._only_for_groups("NOACK")
                self.keeps = False
            else:
                raise syntax_error()
            index += 1
        if not self.keys:
            raise syntax_error()
        if self.is_group and self.group is None:
            raise errors.CommandError("Missing GROUP option for XREADGROUP")

    def _only_for_groups(self, option):
        if not self.is_group:
            raise errors.CommandError("The %s option is only supported by XREADGROUP. You called XREAD instead."
                                      % option)

    def _read_streams(self, words):
        if len(words) & 1:
            raise errors.CommandError("Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
                                      "specified.")
        half = len(words) // 2
        self.keys, self.words = words[:half], words[half:]


def _milliseconds(word):
    number = parse_integer(word)
    if number is None:
        raise errors.CommandError("timeout is not an integer or out of range")
    if number < 0:
        raise errors.CommandError("timeout is negative")
    return min(number, _BLOCK_MS_MAX)


def _mark(stream):
    """What tells whether a stream was given entries since."""
    return None if stream is None else (stream.entries_added, stream.last_id)


# -- XREAD ------------------------------------------------------------------------------------------------------------


def xread(context, args):
    """Entries behind ids of several streams: [COUNT count] [BLOCK ms] STREAMS key... id..."""
    request = _Request(args, False)
    pairs = []
    for key, word in zip(request.keys, request.words):
        stream = stream_of(context, key)
        if word == b"$":
            pairs.append((key, ZERO if stream is None else stream.last_id))
        elif word == b">":
            raise errors.CommandError("The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
                                      "<consumer> option.")
        else:
            pairs.append((key, parse_id(word)))
    found = []
    for key, last_id in pairs:
        stream = stream_of(context, key)
        if stream is not None and stream.top_id() > last_id:
            found.append((key, stream.range_behind(last_id, request.limit)))
    if found:
        return by_key(context, found)
    if request.block_ms is None:
        return resp.NULL_ARRAY
    last_ids = dict(reversed(pairs))
    marks = {key: _mark(stream_of(context, key)) for key in last_ids}

    def attempt(context, keys):
        for key in keys:
            stream, last_id = stream_of(context, key), last_ids[key]
            if stream is not None and _was_given(stream, marks[key], last_id):
                return by_key(context, [(key, stream.range_behind(last_id, request.limit))])
        return None

    return context.block(request.keys, request.block_ms / 1000.0, attempt, resp.NULL_ARRAY)


def _was_given(stream, mark, last_id):
    """Whether a stream was given entries behind an id since; they may be gone again."""
    if mark is None or stream.entries_added != mark[0]:
        return stream.last_id > last_id
    return _mark(stream) != mark and stream.top_id() > last_id


# -- XREADGROUP -------------------------------------------------------------------------------------------------------


def xreadgroup(context, args):
    """Entries for a consumer: GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key... id..."""
    request = _Request(args, True)
    after = []  # id after which to read what is pending, or None for what is new
    for key, word in zip(request.keys, request.words):
        stream = stream_of(context, key)
        if stream is None or request.group not in stream.groups:
            raise command_error("No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option"
                                % (text(context.shown_key(key)), text(request.group)), "NOGROUP")
        if word == b"$":
            raise errors.CommandError(_MEANINGLESS)
        after.append(None if word == b">" else parse_id(word))
    found = []
    for key, last_id in zip(request.keys, after):
        stream = stream_of(context, key)
        group = stream.groups[request.group]
        if last_id is not None and last_id != LAST:
            found.append((key, _deliver_again(context, key, stream, request, last_id)))
        elif stream.top_id() > group.last_id:
            found.append((key, _deliver(context, key, stream, request)))
    if found:
        return by_key(context, found)
    if request.block_ms is None:
        return resp.NULL_ARRAY
    marks = {key: _mark(stream_of(context, key)) for key in request.keys}

    def attempt(context, keys):
        for key in keys:
            stream = _stream_waited_for(context, key, request)
            if _was_given(stream, marks[key], stream.groups[request.group].last_id):
                return by_key(context, [(key, _deliver(context, key, stream, request))])
        return None

    return context.block(request.keys, request.block_ms / 1000.0, attempt, resp.NULL_ARRAY)


def _stream_waited_for(context, key, request):
    """The stream at the key for which a consumer waits; an error ends that where there is none, or not the group."""
    entry = context.keyspace.lookup(key)
    if entry is None or entry.type != values.STREAM:
        raise command_error("the stream key no longer exists", "UNBLOCKED")
    stream = stream_of(context, key)
    if request.group not in stream.groups:
        raise command_error("the consumer group this client was blocked on no longer exists", "NOGROUP")
    return stream


def _see(context, key, stream, request):
    """The consumer was there."""
    group = stream.groups[request.group]
    change_and_tell(context, key, stream, group, request.consumer,
                    [b"consumer", group.name, request.consumer, b"%d" % context.keyspace.wall_ms()])


def change_and_tell(context, key, stream, group, consumer, words):
    """Make a change of a group that creates a consumer where it is not there, and tell of that."""
    is_new = consumer not in group.consumers
    context.keyspace.change(key, stream, words)
    if is_new:
        context.notify(b"t", b"xgroup-createconsumer", key)


def _deliver(context, key, stream, request):
    """Give a consumer what is new; [(id, words)]."""
    group, name = stream.groups[request.group], request.consumer
    entries = stream.range_behind(group.last_id, request.limit)
    last_id, read = progress(stream, group, [entry_id for entry_id, _ in entries])
    change = [b"deliver", group.name, name, b"%d" % context.keyspace.wall_ms(), last_id, b"%d" % read]
    if request.keeps:
        change += [entry_id for entry_id, _ in entries]
    change_and_tell(context, key, stream, group, name, change)
    return entries


def progress(stream, group, ids):
    """(last id, how many were read) of a group that is given the entries with these ids, behind its last id."""
    read = group.entries_read
    if not ids:
        return group.last_id, read
    if read != UNKNOWN and not stream.is_broken_behind(ids[0]):
        return ids[-1], read + len(ids)
    for entry_id in ids:
        if read != UNKNOWN and not stream.is_broken_behind(entry_id):
            read += 1
        elif stream.entries_added:
            read = stream.rank_of(entry_id)
    return ids[-1], read


def _deliver_again(context, key, stream, request, last_id):
    """Give a consumer what is pending for it, behind an id; [(id, words)], without words where it was deleted."""
    _see(context, key, stream, request)
    stream = stream_of(context, key)
    group = stream.groups[request.group]
    found, again, now_ms = [], [], context.keyspace.wall_ms()
    for entry_id, pending in group.consumers[request.consumer].pending.items(following(last_id)):
        words = stream.entry(entry_id)
        found.append((entry_id, resp.NULL_ARRAY if words is None else words))
        if words is not None:
            again.append(pending.again(entry_id, now_ms))
        if len(found) == request.limit:
            break
    if again:
        context.keyspace.change(key, stream, [b"pend", group.name, request.consumer] + again)
    return found


def stream_keys(argv):
    """The indexes of the keys of XREAD and XREADGROUP."""
    index = 1
    while index < len(argv):
        option = argv[index].upper()
        if option == b"STREAMS":
            count = len(argv) - index - 1
            return range(index + 1, index + 1 + count // 2) if count % 2 == 0 else ()
        if option in (b"BLOCK", b"COUNT"):
            index += 2
        elif option == b"GROUP":
            index += 3
        elif option == b"NOACK":
            index += 1
        else:
            return ()
    return ()


_BLOCKING = {"blocking", "movablekeys"}

COMMANDS = (
    Command(b"XREAD", xread, -4, READ | _BLOCKING, keys=stream_keys),
    Command(b"XREADGROUP", xreadgroup, -7, WRITE_SEVERAL | _BLOCKING, keys=stream_keys),
)

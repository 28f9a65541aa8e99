"""Commands on the entries of a stream: XADD XLEN XRANGE XREVRANGE XDEL XTRIM XSETID."""

import collections

from ... import errors
from ...formats import resp
from ..structures import streams
from ..structures.ids import LAST, ZERO, following, pack_id, unpack_id
from . import run
from .command import (READ, READ_FAST, WRITE, WRITE_FAST, WRITE_FAST_OOM, Command, command_error, integer,
                      syntax_error, wrong_arity)
from .stream_words import parse_end, parse_id, parse_parts, parse_start, shown_entries, stream_of

Stream = streams.Stream

_TOO_SMALL = "The ID specified in XADD is equal or smaller than the target stream top item"
_EXHAUSTED = "The stream has exhausted the last possible ID, unable to add more items"
_LIMIT_DEFAULT_CHUNKS = 100
_LIMIT_MAX = 1000000

_Trim = collections.namedtuple("_Trim", "length_max before nearly limit")  # one of the first two is None


# -- options of XADD and XTRIM ----------------------------------------------------------------------------------------


class _Options(object):
    """Reads the words between the key and what follows them."""

    def __init__(self, args, is_xadd):
        self._args = args
        self._is_xadd = is_xadd
        self._length_max = self._before = self._limit = None
        self._nearly = False
        self.create = True
        self.index = 1  # of the first word that is no option

    def read(self):
        """The _Trim, or None; CommandError where words do not fit together."""
        args, count = self._args, len(self._args)
        while self.index < count:
            option, more = args[self.index].upper(), count - self.index - 1
            if self._is_xadd and option == b"*":
                break
            if option in (b"MAXLEN", b"MINID") and more:
                self._read_strategy(option, more)
            elif option == b"LIMIT" and more:
                self.index += 1
                self._limit = integer(args[self.index])
                if self._limit < 0:
                    raise errors.CommandError("The LIMIT argument must be >= 0.")
            elif self._is_xadd and option == b"NOMKSTREAM":
                self.create = False
            elif self._is_xadd:
                parse_parts(args[self.index], 0)
                break
            else:
                raise syntax_error()
            self.index += 1
        return self._trim()

    def _read_strategy(self, option, more):
        args = self._args
        if self._length_max is not None or self._before is not None:
            raise errors.CommandError("syntax error, MAXLEN and MINID options at the same time are not compatible")
        self.index += 1
        if more >= 2 and args[self.index] in (b"~", b"="):
            self._nearly = args[self.index] == b"~"
            self.index += 1
        if option == b"MINID":
            self._before = parse_id(args[self.index])
            return
        self._length_max = integer(args[self.index])
        if self._length_max < 0:
            raise errors.CommandError("The MAXLEN argument must be >= 0.")

    def _trim(self):
        if self._length_max is None and self._before is None:
            if self._limit:
                raise errors.CommandError("syntax error, LIMIT cannot be used without specifying a trimming strategy")
            if not self._is_xadd:
                raise errors.CommandError("syntax error, XTRIM must be called with a trimming strategy")
            return None
        limit = self._limit
        if limit is not None and not self._nearly:
            raise errors.CommandError("syntax error, LIMIT cannot be used without the special ~ option")
        if limit is None:
            limit = _LIMIT_DEFAULT_CHUNKS * Stream.node_entries_max
            limit = min(limit, _LIMIT_MAX) if limit > 0 else 10000
        return _Trim(self._length_max, self._before, self._nearly, limit)


def _trim(context, key, trim):
    """Trim the stream at a key; how many entries went."""
    stream = stream_of(context, key)
    if trim.nearly:
        count = stream.count_of_chunks(trim.length_max, trim.before, trim.limit)
    elif trim.length_max is not None:
        count = stream.count_over(trim.length_max)
    else:
        count = stream.count_before(trim.before)
    if count:
        context.keyspace.change(key, stream, [b"trim", b"%d" % count])
    return count


# -- writing ----------------------------------------------------------------------------------------------------------


def xadd(context, args):
    """Append an entry; its id."""
    keyspace = context.keyspace
    stream = keyspace.structure(args[0], Stream) if args[1] == b"*" and not len(args) & 1 else None
    if stream is None:
        return _xadd(context, args)
    words = args[:]
    entry_id = words[1] = _next_id(keyspace, stream.last_id, None)
    words[0] = b"node" if stream.is_full(sum(map(len, args)) - len(args[0])) else b"add"
    keyspace.change(args[0], stream, words)
    context.notify(b"t", b"xadd", args[0])
    return b"%d-%d" % unpack_id(entry_id)


def _xadd(context, args):
    """XADD with all that it may have."""
    key, options = args[0], _Options(args, True)
    trim, index = options.read(), options.index
    fields = args[index + 1:]
    if len(fields) < 2 or len(fields) & 1:
        raise wrong_arity(b"XADD")
    wanted = None if args[index] == b"*" else parse_parts(args[index], 0)
    if wanted == (0, 0):
        raise errors.CommandError("The ID specified in XADD must be greater than 0-0")
    keyspace = context.keyspace
    stream = keyspace.structure(key, Stream)
    if stream is None:
        if not options.create:
            return None
        entry_id, operation = _next_id(keyspace, ZERO, wanted), b"node"
    else:
        entry_id = _next_id(keyspace, stream.last_id, wanted)
        operation = b"node" if stream.is_full(sum(map(len, fields))) else b"add"
    words = [operation, entry_id] + fields
    if trim is None:
        keyspace.update(key, stream, Stream, words)
        context.notify(b"t", b"xadd", key)
    else:
        run.as_write(keyspace, lambda: _add_and_trim(context, key, stream, words, trim))
    return b"%d-%d" % unpack_id(entry_id)


def _next_id(keyspace, last_id, wanted):
    """The id of the next entry of a stream, where (milliseconds, number or None) are wanted, or None."""
    if wanted is None:
        entry_id = pack_id(keyspace.wall_ms(), 0)
        if entry_id > last_id:
            return entry_id
    if last_id == LAST:
        raise errors.CommandError(_EXHAUSTED)
    if wanted is None:
        return following(last_id)
    milliseconds, number = wanted
    if number is None:
        last_milliseconds, last_number = unpack_id(last_id)
        if milliseconds == last_milliseconds:
            entry_id = following(last_id)
            if unpack_id(entry_id)[0] != milliseconds:
                raise errors.CommandError("Elements are too large to be stored")  # what Redis says here, too
            return entry_id
        number = 0
    entry_id = pack_id(milliseconds, number)
    if entry_id <= last_id:
        raise errors.CommandError(_TOO_SMALL)
    return entry_id


def _add_and_trim(context, key, stream, words, trim):
    context.keyspace.update(key, stream, Stream, words)
    context.notify(b"t", b"xadd", key)
    if _trim(context, key, trim):
        context.notify(b"t", b"xtrim", key)


def xtrim(context, args):
    """Drop entries from the front; how many."""
    trim = _Options(args, False).read()
    if stream_of(context, args[0]) is None:
        return 0
    count = _trim(context, args[0], trim)
    if count:
        context.notify(b"t", b"xtrim", args[0])
    return count


def xdel(context, args):
    """Delete entries; how many there were."""
    stream = stream_of(context, args[0])
    if stream is None:
        return 0
    ids = [entry_id for entry_id in dict.fromkeys(map(parse_id, args[1:])) if stream.has(entry_id)]
    if ids:
        context.keyspace.change(args[0], stream, [b"del", max(max(ids), stream.max_deleted_id)] + ids)
        context.notify(b"t", b"xdel", args[0])
    return len(ids)


def xsetid(context, args):
    """Say which id was the last: [ENTRIESADDED count] [MAXDELETEDID id]."""
    last_id, added, deleted_id, index = parse_id(args[1]), None, ZERO, 2
    while index < len(args):
        option, more = args[index].upper(), len(args) - index - 1
        if option == b"ENTRIESADDED" and more:
            added = integer(args[index + 1])
            if added < 0:
                raise errors.CommandError("entries_added must be positive")
        elif option == b"MAXDELETEDID" and more:
            deleted_id = parse_id(args[index + 1])
            if last_id < deleted_id:
                raise errors.CommandError(
                    "The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        else:
            raise syntax_error()
        index += 2
    stream = stream_of(context, args[0])
    if stream is None:
        raise command_error("no such key")
    if len(stream):
        if last_id < stream.top_id():
            raise errors.CommandError("The ID specified in XSETID is smaller than the target stream top item")
        if added is not None and added < len(stream):
            raise errors.CommandError("The entries_added specified in XSETID is smaller than the target stream length")
    added = stream.entries_added if added is None else added
    words = [b"meta", last_id, stream.max_deleted_id if deleted_id == ZERO else deleted_id, b"%d" % added]
    context.keyspace.change(args[0], stream, words)
    context.notify(b"t", b"xsetid", args[0])
    return resp.OK


# -- reading ----------------------------------------------------------------------------------------------------------


def xlen(context, args):
    """How many entries there are."""
    stream = stream_of(context, args[0])
    return 0 if stream is None else len(stream)


def xrange_(context, args):
    """Entries from one id to another: [COUNT count]."""
    return _range(context, args, args[1], args[2], Stream.range)


def xrevrange(context, args):
    """Entries from one id back to another: [COUNT count]."""
    return _range(context, args, args[2], args[1], Stream.range_back)


def _range(context, args, start_word, end_word, read):
    start, end = parse_start(start_word), parse_end(end_word)
    limit, index = None, 3
    while index < len(args):
        if args[index].upper() != b"COUNT" or index + 1 == len(args):
            raise syntax_error()
        limit = max(integer(args[index + 1]), 0)
        index += 2
    stream = stream_of(context, args[0])
    if stream is None:
        return []
    if limit == 0:
        return resp.NULL_ARRAY
    return shown_entries(read(stream, start, end, limit or 0))


COMMANDS = (
    Command(b"XADD", xadd, -5, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"XTRIM", xtrim, -4, WRITE, 1, 1, 1),
    Command(b"XDEL", xdel, -3, WRITE_FAST, 1, 1, 1),
    Command(b"XSETID", xsetid, -3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"XLEN", xlen, 2, READ_FAST, 1, 1, 1),
    Command(b"XRANGE", xrange_, -4, READ, 1, 1, 1),
    Command(b"XREVRANGE", xrevrange, -4, READ, 1, 1, 1),
)

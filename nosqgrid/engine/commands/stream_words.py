"""What the commands of streams have in common: ids as clients write them, numbers, entries as replies.

Redis reads the parts of an id with strtoull() where they are not plain numbers: spaces in front, a plus sign and
leading zeros are taken, and a minus sign after spaces too.  So they are here.
"""

import re

from ... import errors
from ...formats import resp
from ..structures.ids import LAST, PART_MAX, ZERO, following, pack_id, preceding, unpack_id
from ..structures.streams import Stream
from .command import command_error, parse_integer

_INVALID_ID = "Invalid stream ID specified as stream command argument"
_ID_BYTES_MAX = 127
ENDS = {b"-": ZERO, b"+": LAST}
_PLAIN_DIGITS = 18  # a number of so many is below 2**63
_match_unsigned = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)").fullmatch


def text(word):
    """A client's word for an error message, all of it up to its first NUL."""
    return word.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def no_group(key, group):
    """The error where a group, or the stream that should have it, is not there."""
    return command_error("No such key '%s' or consumer group '%s'" % (text(key), text(group)), "NOGROUP")


def integer_or(word, message):
    """The 64-bit integer that a word stands for; CommandError with this message where it is none."""
    number = parse_integer(word)
    if number is None:
        raise errors.CommandError(message)
    return number


# -- ids --------------------------------------------------------------------------------------------------------------


def _invalid_id():
    return errors.CommandError(_INVALID_ID)


def _part(word):
    """One of the two numbers of an id."""
    if word.isdigit() and len(word) <= _PLAIN_DIGITS:
        return int(word)
    number = parse_integer(word)
    if number is not None and number >= 0:
        return number
    found = _match_unsigned(word)
    if found is None:
        raise _invalid_id()
    sign, digits = found.groups()
    stripped = digits.lstrip(b"0") or b"0"
    number = int(stripped) if len(stripped) <= 20 else PART_MAX + 1
    if number > PART_MAX or parse_integer(word) is not None:  # then it is a plain number, and negative
        raise _invalid_id()
    return -number & PART_MAX if sign == b"-" else number


def parse_parts(word, missing):
    """(milliseconds, sequence number) of an id; the number is None for `5-*`, and `missing` where there is none."""
    if len(word) > _ID_BYTES_MAX:
        raise _invalid_id()
    word = word.split(b"\0", 1)[0]
    first, dash, second = word.partition(b"-")
    milliseconds = _part(first)
    if not dash:
        return milliseconds, missing
    return milliseconds, None if second == b"*" else _part(second)


def parse_id(word, missing=0):
    """The id that a word stands for, `-`, `+` and `5-*` not among them.  Raises CommandError."""
    milliseconds, number = parse_parts(word, missing)
    if number is None:
        raise _invalid_id()
    return pack_id(milliseconds, number)


def parse_start(word):
    """The first id of an interval: an id, `-`, `+`, or `(` and the id before."""
    return _parse_bound(word, 0, following, "invalid start ID for the interval")


def parse_end(word):
    """The last id of an interval: an id, `-`, `+`, or `(` and the id after."""
    return _parse_bound(word, PART_MAX, preceding, "invalid end ID for the interval")


def _parse_bound(word, missing, neighbour, message):
    if word in ENDS:
        return ENDS[word]
    if word[:1] == b"(" and len(word) > 1:
        found = neighbour(parse_id(word[1:], missing))
        if found is None:
            raise errors.CommandError(message)
        return found
    return ENDS.get(word.split(b"\0", 1)[0]) or parse_id(word, missing)


# -- streams and entries ----------------------------------------------------------------------------------------------


def stream_of(context, key):
    """The stream at a key, or None.  Raises WrongTypeError."""
    return context.keyspace.structure(key, Stream)


def group_of(context, key, name):
    """(stream, group); NOGROUP where one of them is not there."""
    stream = stream_of(context, key)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        raise no_group(context.shown_key(key), name)
    return stream, group


def shown_entries(entries):
    """[(id, words)] as a reply."""
    return [[b"%d-%d" % unpack_id(entry_id), words] for entry_id, words in entries]


def by_key(context, pairs):
    """[(key, entries)] as the reply of XREAD and XREADGROUP."""
    if context.session.protocol == 3:
        return resp.Map([(context.shown_key(key), shown_entries(entries)) for key, entries in pairs])
    return [[context.shown_key(key), shown_entries(entries)] for key, entries in pairs]


def with_keys(command):
    """A container whose subcommands, but for HELP, have a key as their first word."""
    for name, row in command.subcommands.items():
        if name != b"HELP":
            command.subcommands[name] = row._replace(first_key=2, last_key=2, step=1)
    return command

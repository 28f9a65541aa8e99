"""What every command module needs: the row of the table, and strict readers of arguments with Redis' error texts.

An argument is bytes from a client, and anything may be in it.  Numbers are read as Redis reads them (no plus sign, no
leading zero, no space, no underscore, 64 bits), never with int() or float() alone.
"""

import collections
import math

from ... import errors
from ...formats import resp
from . import floats

Command = collections.namedtuple(
    "Command", ("name", "function", "arity", "flags", "first_key", "last_key", "step", "subcommands", "keys"))
Command.__new__.__defaults__ = (0, 0, 0, None, None)
Command.__doc__ = """One row of the table.

    name         upper case, bytes; of a subcommand b"CLIENT|LIST"
    function     function(context, args) -> reply object; args excludes the name (of a subcommand both words)
    arity        how many words, the name included; negative means at least so many
    flags        frozenset of Redis' ("write", "readonly", "denyoom", "fast", "admin", "blocking", "noscript", "pubsub",
                 "movablekeys", ...), "connection", and two of ours: "alone" for a write that makes its own entries in
                 the log, "several" for one that changes more than one thing, and all of them or none
    first_key, last_key, step    where the keys stand in the words (0 = none; last_key -1 = the last word)
    subcommands  dict of upper-case bytes to Command, or None
    keys         function(words) -> indexes of the words that are keys, where the numbers cannot tell; or None
"""

READ = frozenset(("readonly",))
READ_FAST = frozenset(("readonly", "fast"))
WRITE = frozenset(("write",))
WRITE_FAST = frozenset(("write", "fast"))
CONNECTION = frozenset(("connection",))
CONNECTION_FAST = frozenset(("connection", "fast"))
WRITE_OOM = WRITE | {"denyoom"}
WRITE_FAST_OOM = WRITE_FAST | {"denyoom"}
WRITE_SEVERAL = WRITE | {"several"}
WRITE_SEVERAL_OOM = WRITE_SEVERAL | {"denyoom"}
WRITE_ALONE = frozenset(("write", "alone"))
ADMIN = frozenset(("admin",))
PLAIN = frozenset()
PLAIN_FAST = frozenset(("fast",))

INT32_MIN = -2 ** 31
INT32_MAX = 2 ** 31 - 1
INT64_MIN = -2 ** 63
INT64_MAX = 2 ** 63 - 1
UINT64_MAX = 2 ** 64 - 1

NOT_AN_INTEGER = "value is not an integer or out of range"
SYNTAX = "syntax error"

_DIGITS_OF_INT64 = 19
_MS_MAX = float(2 ** 63 - 1024)  # the largest float that is a 64-bit integer
_SHOWN_BYTES_MAX = 128  # of a client's word in an error message, as in Redis


def command_error(message, code="ERR"):
    """A CommandError that travels as `-CODE message`, for codes of Redis that are no class of ours (NOPROTO)."""
    error = errors.CommandError(message)
    error.code = code
    return error


def check_local(context):
    """Raise CommandError for a session by TCP, where no descriptors travel."""
    if not context.session.local:
        raise errors.CommandError("shared memory is handed out over the grid's own Unix socket alone, not by TCP")


def integer(word):
    """The 64-bit integer that a word stands for; CommandError with Redis' text where it is none."""
    number = parse_integer(word)
    if number is None:
        raise errors.CommandError(NOT_AN_INTEGER)
    return number


def int32(word):
    """The 32-bit integer that a word stands for; CommandError with Redis' texts where it is none."""
    number = integer(word)
    if not INT32_MIN <= number <= INT32_MAX:
        raise errors.CommandError("value is out of range, value must between %d and %d" % (INT32_MIN, INT32_MAX))
    return number


def parse_integer(word):
    """The 64-bit integer that a word stands for, or None: 0 or -?[1-9][0-9]*, nothing else."""
    digits = word[1:] if word[:1] == b"-" else word
    if not digits.isdigit() or len(digits) > _DIGITS_OF_INT64 or digits[:1] == b"0" and word != b"0":
        return None
    number = int(word)
    return number if INT64_MIN <= number <= INT64_MAX else None


def timeout(word):
    """The seconds that a blocking command is to wait, in whole milliseconds, 0.0 for ever.

    Redis rounds up, which makes "for ever" of what lies just below zero, and takes what is too large for negative.
    """
    seconds = floats.parse(word)
    if seconds is None:
        raise errors.CommandError("timeout is not a float or out of range")
    if not -1 < seconds * 1000 <= _MS_MAX:
        raise errors.CommandError("timeout is negative")
    return math.ceil(seconds * 1000) / 1000.0


def bounded(word, largest, what):
    """The integer from 0 to `largest` that a word stands for."""
    number = integer(word)
    if not 0 <= number <= largest:
        raise errors.CommandError("%s must be from 0 to %d, not %d" % (what, largest, number))
    return number


def shown(word):
    """A client's word for a message: up to its first NUL or 128 bytes, as C prints it."""
    return word.split(b"\x00", 1)[0][:_SHOWN_BYTES_MAX].decode("utf-8", "surrogateescape")


def unknown_command(argv):
    """The error for a first word that is in no table."""
    arguments = ""
    for word in argv[1:]:
        room = _SHOWN_BYTES_MAX - len(arguments.encode("utf-8", "surrogateescape"))
        if room <= 0:
            break
        arguments += "'%s' " % shown(word[:room])
    return errors.CommandError("unknown command '%s', with args beginning with: %s" % (shown(argv[0]), arguments))


def unknown_subcommand(argv):
    """The error for a second word that the first does not know."""
    return errors.CommandError("unknown subcommand '%s'. Try %s HELP." % (shown(argv[1]), shown(argv[0].upper())))


def wrong_arity(command_name):
    """The error for too few or too many words."""
    return errors.CommandError(
        "wrong number of arguments for '%s' command" % command_name.lower().decode("ascii"))


def syntax_error():
    """The error for words that do not fit together."""
    return errors.CommandError(SYNTAX)


def container(name, rows):
    """A command that only has subcommands: rows of (name, function, arity, flags, ...) as of Command, HELP added."""
    subcommands = {}
    for row in rows:
        subcommands[row[0]] = Command(name + b"|" + row[0], *row[1:])
    lines = ["%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % name.decode("ascii")]
    lines.extend(sub_name.decode("ascii") for sub_name in sorted(subcommands))
    lines.append("HELP")
    reply = [resp.Simple(line) for line in lines]
    subcommands[b"HELP"] = Command(name + b"|HELP", lambda context, args: reply, 2, PLAIN)
    return Command(name, _needs_subcommand, -2, PLAIN, subcommands=subcommands)


def _needs_subcommand(context, args):
    raise errors.InvariantError("a container command was called itself")

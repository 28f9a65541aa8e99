"""What the commands on hashes, sets and sorted sets have in common: scanning them, and how many to choose at random."""

import re

from ... import errors, limits
from .. import glob
from .command import INT64_MAX, INT64_MIN, UINT64_MAX, integer, parse_integer, syntax_error

SCAN_COUNT_DEFAULT = 10

_match_cursor = re.compile(rb"([+-]?)0*([0-9]*)").fullmatch
_CURSOR_DIGITS = 20


def read_cursor(word):
    """The number that a cursor stands for, read as C reads it: up to a NUL, "-1" is the largest, and nothing is 0."""
    word = word.split(b"\0", 1)[0]
    found = _match_cursor(word)
    if found is None or word in (b"+", b"-") or len(found.group(2)) > _CURSOR_DIGITS:
        raise errors.CommandError("invalid cursor")
    cursor = int(found.group(2) or 0)
    if cursor > UINT64_MAX:
        raise errors.CommandError("invalid cursor")
    return -cursor & UINT64_MAX if found.group(1) == b"-" else cursor


def scan_step(context, args, kind):
    """(structure, next cursor, names) for key, cursor, MATCH pattern, COUNT number; without a key (None, 0, [])."""
    cursor = read_cursor(args[1])
    found = context.keyspace.structure(args[0], kind)
    if found is None:
        return None, 0, []  # the options are not looked at, as in Redis
    count, pattern = scan_options(args)
    cursor, names = found.scan(cursor, min(count, limits.SCAN_COUNT_MAX))
    if pattern is not None:
        names = [name for name in names if pattern.matches(name)]
    return found, cursor, names


def scan_options(args):
    """(count, Glob or None) of the words from the third on: COUNT number, MATCH pattern."""
    count, pattern = SCAN_COUNT_DEFAULT, None
    for index in range(2, len(args), 2):
        option = args[index].upper()
        if index + 1 == len(args):
            raise syntax_error()
        if option == b"COUNT":
            count = integer(args[index + 1])
            if count < 1:
                raise syntax_error()
        elif option == b"MATCH":
            pattern = None if args[index + 1] == b"*" else glob.Glob(args[index + 1])
        else:
            raise syntax_error()
    return count, pattern


def random_count(word):
    """How many names to choose; fewer than none: so many, and the same ones may come again."""
    count = integer(word)
    if count == INT64_MIN:
        raise errors.CommandError("value is out of range, value must between %d and %d" % (-INT64_MAX, INT64_MAX))
    return count


def choose(found, count, random_bits):
    """A list of names as random_count() says."""
    if count >= 0:
        return found.sample(count, random_bits) if count else []
    if -count > limits.RANDOM_PICKS_MAX:
        raise errors.CommandError("value is out of range: at most %d can be chosen with repetition"
                                  % limits.RANDOM_PICKS_MAX)
    return found.picks(-count, random_bits)


def positive(word, message="value is out of range, must be positive"):
    """The number from 0 on that a word stands for."""
    number = parse_integer(word)
    if number is None or number < 0:
        raise errors.CommandError(message)
    return number


def there(args, items):
    """A list of the names behind the key that are in a dict, each once."""
    if len(args) == 2:
        return [args[1]] if args[1] in items else []
    return [name for name in dict.fromkeys(args[1:]) if name in items]

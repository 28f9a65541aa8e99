"""Floats in the words of clients, read as strtod() of C reads them: decimal or hexadecimal digits, inf, infinity.

float() alone would not do: it takes blanks, underscores and nan, and no hexadecimal digits.
"""

import re

from ... import errors

NOT_A_FLOAT = "value is not a valid float"
INFINITY = float("inf")

_DECIMAL = b"0123456789.eE+-"
_match_other = re.compile(rb"[+-]?(?:inf(?:inity)?|0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?)",
                          re.IGNORECASE).fullmatch


def number(word, message=NOT_A_FLOAT):
    """The float that a word stands for; CommandError with this message where it is none, NaN, or beyond a double."""
    value = parse_exactly(word)
    if value is None:
        raise errors.CommandError(message)
    return value


def parse_exactly(word):
    """The same, or None."""
    if word.isdigit() and len(word) < 300:
        return float(word)
    value = parse(word)
    return None if value is None or out_of_range(word, value) else value


def parse(word):
    """The float that all of a word stands for, rounded to infinity or zero where it has to be; None for none or NaN."""
    if not word.strip(_DECIMAL):
        try:
            return float(word)
        except ValueError:
            return None
    if not _match_other(word):
        return None
    if b"x" not in word and b"X" not in word:
        return float(word)
    try:
        return float.fromhex(word.decode("ascii"))
    except OverflowError:
        return -INFINITY if word[:1] == b"-" else INFINITY


def out_of_range(word, value):
    """Whether a word had to be rounded to infinity or zero to become this value."""
    if value in (INFINITY, -INFINITY):
        return b"i" not in word and b"I" not in word
    if value:
        return False
    digits = word.lower()
    digits = digits.partition(b"x")[2].partition(b"p")[0] if b"x" in digits else digits.partition(b"e")[0]
    return bool(digits.strip(b"+-0."))

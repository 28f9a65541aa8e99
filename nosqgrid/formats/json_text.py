"""JSON text from anybody, read strictly and in time linear in its length.

The scanner of the standard library would do, but for three things: it takes quadratic time for an int of a million
digits, accepts NaN and Infinity, and where a program has raised the recursion limit far it runs out of stack.
"""

import functools
import json
import re
import sys

from .. import limits
from . import scalars

_DEPTH_MAX = 4 * limits.VALUE_DEPTH_MAX  # a $dict takes four levels of JSON
_RECURSION_LIMIT_SAFE = 3000  # calls inside the C scanner that every stack has room for
_not_brackets = re.compile(rb'"[^"]*(?:"|\Z)|[^][}{"]+').sub
_DIGITS_STEP = 64
_DIGITS_MANY = scalars.DIGITS_AT_ONCE // _DIGITS_STEP
_DIGITS_ONLY = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))


def make_scan(**options):
    """A function payload -> the one JSON value that is all of it; options are those of json.JSONDecoder.

    The function raises ValueError, StopIteration or RecursionError, and whatever its hooks raise.
    """
    fast = _scanner(**options)
    careful = _scanner(parse_int=_short_int, parse_float=_short_float, **options)
    return functools.partial(_scan, fast, careful)


def _scanner(**options):
    return json.JSONDecoder(parse_constant=_no_constant, **options).scan_once


def _scan(scan, scan_carefully, payload):
    """Long numbers need the careful scanner, which is slower.

    Every 64th byte is enough to know that there is none: 641 digits in a row would leave ten there.
    """
    if len(payload) > scalars.DIGITS_AT_ONCE:
        sample = payload[_DIGITS_STEP - 1::_DIGITS_STEP].translate(_DIGITS_ONLY)
        if b"0" * _DIGITS_MANY in sample:
            scan = scan_carefully
    if sys.getrecursionlimit() > _RECURSION_LIMIT_SAFE:
        _check_depth(payload)
    text = str(payload, "utf-8", "surrogatepass")
    value, end = scan(text, 0)
    if end != len(text):
        raise ValueError("something follows the value at character %d" % end)
    return value


def _check_depth(payload):
    """Refuse JSON text nested deeper than any value.

    The scanner stops at the recursion limit, but a program that has raised it far would run out of stack before.
    """
    if payload.count(b"[") + payload.count(b"{") <= _DEPTH_MAX:
        return
    depth = 0
    unescaped = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    for bracket in _not_brackets(b"", unescaped):
        depth += 1 if bracket in b"[{" else -1
        if depth > _DEPTH_MAX:
            raise ValueError("nested deeper than any value")


def _short_int(text):
    if len(text) > scalars.DIGITS_AT_ONCE + 1:
        raise ValueError("a number of %d digits" % len(text))
    return int(text)


def _short_float(text):
    if len(text) > limits.FLOAT_TEXT_BYTES_MAX:
        raise ValueError("a number of %d characters" % len(text))
    return float(text)


def _no_constant(name):
    raise ValueError("%s is not JSON" % name)

"""INCR and its relatives on 64-bit integers, and INCRBYFLOAT.

INCRBYFLOAT answers byte for byte what Redis answers on x86, whose `long double` has 64 bits of mantissa and which
prints the sum with "%.17Lf" and drops trailing zeros: 0.1 + 0.2 is "0.3" there, and not the 0.30000000000000004 of a
Python float.  Here such a number is a pair (mantissa, exponent of two) of plain ints, read and added exactly and
rounded to 64 bits with ties to even.  decimal would come close and differ in the last digits.  Numbers stay below
10**600 (Redis: 10**4932), so that their text is short enough for int() under every setting of the interpreter.  Like
strtold it reads hexadecimal numbers, too.
"""

import re

from ... import errors
from ...formats import scalars, values
from .command import INT64_MAX, INT64_MIN, NOT_AN_INTEGER, WRITE_FAST_OOM, Command, integer, parse_integer

NOT_A_FLOAT = "value is not a valid float"
INFINITE = "increment would produce NaN or Infinity"

_MANTISSA_BITS = 64
_MAGNITUDE_DIGITS_MAX = 600
_MAGNITUDE_DIGITS_MIN = -4951  # the least long double; smaller ones are refused as out of range
_MAGNITUDE_BITS_MAX = 1993  # 10**600
_MAGNITUDE_BITS_MIN = -16445
_FRACTION_DIGITS = 17

_match_float = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,5}))?").fullmatch
_match_hexadecimal = re.compile(
    rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]{1,5}))?").fullmatch
_match_infinity = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE).fullmatch


def incr(context, args):
    """Add one to an integer; its new value."""
    return _add(context, args[0], 1)


def decr(context, args):
    """Subtract one from an integer; its new value."""
    return _add(context, args[0], -1)


def incrby(context, args):
    """Add to an integer; its new value."""
    return _add(context, args[0], integer(args[1]))


def decrby(context, args):
    """Subtract from an integer; its new value."""
    amount = integer(args[1])
    if amount == INT64_MIN:
        raise errors.CommandError("decrement would overflow")
    return _add(context, args[0], -amount)


def _add(context, key, amount):
    keyspace = context.keyspace
    entry = keyspace.lookup(key)
    old = 0 if entry is None else parse_integer(entry.value)
    if old is None:
        raise errors.CommandError(NOT_AN_INTEGER)
    new = old + amount
    if not INT64_MIN <= new <= INT64_MAX:
        raise errors.CommandError("increment or decrement would overflow")
    keyspace.store(key, values.INT, b"%d" % new, 0 if entry is None else entry.deadline_ms)
    context.notify(b"$", b"incrby", key)
    return new


def incrbyfloat(context, args):
    """Add a decimal fraction to a number; its new value as text."""
    key, word = args
    entry = context.keyspace.lookup(key)
    words = (b"0" if entry is None else entry.value, word)
    finite = [parse_float(number) for number in words if not _match_infinity(number)]
    if len(finite) < 2:
        raise errors.CommandError(INFINITE)
    text = float_text(add_floats(*finite))
    value_type = values.FLOAT if entry is not None and entry.type == values.FLOAT else values.BYTES
    context.keyspace.store(key, value_type, text, 0 if entry is None else entry.deadline_ms)
    context.notify(b"$", b"incrbyfloat", key)
    return text


def parse_float(word):
    """The (mantissa, exponent) nearest to the text of a number; CommandError where it is none or out of range."""
    found = _match_float(word) if len(word) <= scalars.DIGITS_AT_ONCE else None
    if found is None or not (found.group(2) or found.group(3)):
        if _match_infinity(word):
            raise errors.CommandError(INFINITE)
        return _parse_hexadecimal(word)
    sign, whole, fraction, exponent = found.groups()
    fraction = fraction or b""
    digits = int(whole + fraction)
    if digits == 0:
        return 0, 0
    power = int(exponent or 0) - len(fraction)
    magnitude = len(b"%d" % digits) + power
    if not _MAGNITUDE_DIGITS_MIN < magnitude <= _MAGNITUDE_DIGITS_MAX:
        raise errors.CommandError(NOT_A_FLOAT)
    if sign == b"-":
        digits = -digits
    return _rounded(digits * 10 ** power, 1) if power >= 0 else _rounded(digits, 10 ** -power)


def _parse_hexadecimal(word):
    found = _match_hexadecimal(word) if len(word) <= scalars.DIGITS_AT_ONCE else None
    if found is None or not (found.group(2) or found.group(3)):
        raise errors.CommandError(NOT_A_FLOAT)
    sign, whole, fraction, exponent = found.groups()
    fraction = fraction or b""
    digits = int(whole + fraction, 16)
    if digits == 0:
        return 0, 0
    power = int(exponent or 0) - 4 * len(fraction)
    if not _MAGNITUDE_BITS_MIN < digits.bit_length() + power <= _MAGNITUDE_BITS_MAX:
        raise errors.CommandError(NOT_A_FLOAT)
    if sign == b"-":
        digits = -digits
    return _rounded(digits << power, 1) if power >= 0 else _rounded(digits, 1 << -power)


def add_floats(left, right):
    """The sum of two (mantissa, exponent), rounded to 64 bits."""
    exponent = min(left[1], right[1])
    mantissa = (left[0] << (left[1] - exponent)) + (right[0] << (right[1] - exponent))
    return _rounded(mantissa << exponent, 1) if exponent >= 0 else _rounded(mantissa, 1 << -exponent)


def float_text(number):
    """The digits of a (mantissa, exponent), at most 17 behind the point, without trailing zeros."""
    mantissa, exponent = number
    scaled = abs(mantissa) * 10 ** _FRACTION_DIGITS
    scaled = scaled << exponent if exponent >= 0 else _divided(scaled, 1 << -exponent)
    whole, fraction = divmod(scaled, 10 ** _FRACTION_DIGITS)
    text = b"%d" % whole
    if fraction:
        text += b"." + (b"%017d" % fraction).rstrip(b"0")
    return b"-" + text if mantissa < 0 and scaled else text


def _rounded(numerator, denominator):
    """The nearest number with a mantissa of 64 bits, ties to even."""
    negative, numerator = numerator < 0, abs(numerator)
    if numerator == 0:
        return 0, 0
    exponent = numerator.bit_length() - denominator.bit_length() - _MANTISSA_BITS
    # The quotient has 64 bits or 65: decide before rounding, to round only once.
    if _shifted_quotient(numerator, denominator, exponent) >> _MANTISSA_BITS:
        exponent += 1
    if exponent >= 0:
        mantissa = _divided(numerator, denominator << exponent)
    else:
        mantissa = _divided(numerator << -exponent, denominator)
    return (-mantissa if negative else mantissa), exponent


def _shifted_quotient(numerator, denominator, exponent):
    return numerator // (denominator << exponent) if exponent >= 0 else (numerator << -exponent) // denominator


def _divided(numerator, denominator):
    """The quotient of two positive ints, rounded, ties to even."""
    quotient, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or 2 * rest == denominator and quotient & 1:
        quotient += 1
    return quotient


COMMANDS = (
    Command(b"INCR", incr, 2, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"DECR", decr, 2, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"INCRBY", incrby, 3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"DECRBY", decrby, 3, WRITE_FAST_OOM, 1, 1, 1),
    Command(b"INCRBYFLOAT", incrbyfloat, 3, WRITE_FAST_OOM, 1, 1, 1),
)

"""Text forms of single values: int, datetime, date and time, and strict readers for them.

    int        decimal digits, at most limits.INT_DIGITS_MAX of them
    datetime   2020-10-25T02:30:00.123456+01:00, microseconds and offset only where there are any, and a trailing
               [fold=1] for the second of two equal wall clock times
    date       2020-10-25
    time       02:30:00.123456+01:00, with the same suffix

Readers take bytes that may come from anybody: they raise ValueError (or OverflowError) and nothing else, in time linear
in a bounded length.  int() alone would not do: before 3.10.7 it takes minutes for a few megabytes of digits, and since
then a process with a lowered sys.set_int_max_str_digits() cannot read what another one stored.  So numbers longer than
DIGITS_AT_ONCE, the most that every setting allows, are converted in pieces.

What a date or time may look like is decided by the patterns below, in every release alike; fromisoformat, which Python
3.6 lacks and which accepts more with each release, only computes where there is one, because it is three times faster.
"""

import datetime
import re

from .. import errors, limits

DIGITS_AT_ONCE = 640  # sys.int_info.str_digits_check_threshold: no interpreter setting forbids so many
INT_AT_ONCE_MAX = 10 ** DIGITS_AT_ONCE - 1
_PIECE = 10 ** DIGITS_AT_ONCE
_INT_MAX = 10 ** limits.INT_DIGITS_MAX - 1

_FOLD = b"[fold=1]"
_DATE = rb"(\d{4})-(\d\d)-(\d\d)"
_CLOCK = rb"([01]\d|2[0-3]):(\d\d):(\d\d)(?:\.(\d{6}))?(?:([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?)?(\[fold=1\])?"
_match_date = re.compile(_DATE).fullmatch
_match_time = re.compile(_CLOCK).fullmatch
_match_datetime = re.compile(_DATE + b"T" + _CLOCK).fullmatch
_from_isoformat = getattr(datetime.datetime, "fromisoformat", None)


def int_text(value):
    """The decimal digits of an int, as bytes.

    Raises:
        ValueTooLargeError: more than limits.INT_DIGITS_MAX digits.
    Cost: 0.1 us up to DIGITS_AT_ONCE digits, some 10 us at the limit.
    """
    if -INT_AT_ONCE_MAX <= value <= INT_AT_ONCE_MAX:
        return b"%d" % value
    if not -_INT_MAX <= value <= _INT_MAX:
        raise errors.ValueTooLargeError(
            "an int of %d bits has more than %d decimal digits; store it as bytes: value.to_bytes(...)"
            % (value.bit_length(), limits.INT_DIGITS_MAX))
    sign, rest, pieces = b"-" if value < 0 else b"", abs(value), []
    while rest >= _PIECE:
        rest, low = divmod(rest, _PIECE)
        pieces.append(b"%0640d" % low)
    pieces.append(sign + b"%d" % rest)
    return b"".join(reversed(pieces))


def int_from(text):
    """The int that int_text wrote; ValueError for anything but an optional minus and digits."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit():
        raise ValueError("not a decimal number")
    if len(digits) <= DIGITS_AT_ONCE:
        return int(text)
    if len(digits) > limits.INT_DIGITS_MAX:
        raise ValueError("%d digits where at most %d are stored" % (len(digits), limits.INT_DIGITS_MAX))
    value = 0
    for start in range(0, len(digits), DIGITS_AT_ONCE):
        piece = digits[start:start + DIGITS_AT_ONCE]
        value = value * 10 ** len(piece) + int(piece)
    return value if digits is text else -value


def datetime_text(value):
    """ISO 8601 text of a datetime or a time, as bytes.

    A time zone travels as the offset that it has at this moment; it comes back as datetime.timezone, equal in every
    comparison of instants, not as the zone object with its rules.

    Raises:
        UnsupportedTypeError: it has a tzinfo that names no offset (a time of a zone with summer time).
    """
    if value.tzinfo is not None and value.utcoffset() is None:
        raise errors.UnsupportedTypeError(
            "cannot store a %s whose time zone %s has no fixed offset; store a datetime, or use datetime.timezone"
            % (type(value).__name__, type(value.tzinfo).__name__))
    text = value.isoformat().encode("ascii")
    return text + _FOLD if value.fold else text


def datetime_from(text):
    """The datetime that datetime_text wrote, naive or with a fixed offset."""
    match = _match_datetime(text)
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    groups = match.groups()
    if _from_isoformat is not None and groups[11] is None:  # it drops the microseconds of an offset (seen in 3.7-3.13)
        if text.endswith(_FOLD):
            return _from_isoformat(str(text[:-len(_FOLD)], "ascii")).replace(fold=1)
        return _from_isoformat(str(text, "ascii"))
    year, month, day = map(int, groups[:3])
    return datetime.datetime(year, month, day, *_clock(groups[3:7]), tzinfo=_zone(groups[7:12]),
                             fold=1 if groups[12] else 0)


def date_text(value):
    """ISO 8601 text of a date, as bytes."""
    return value.isoformat().encode("ascii")


def date_from(text):
    """The date that date_text wrote."""
    match = _match_date(text)
    if match is None:
        raise ValueError("not an ISO 8601 date")
    return datetime.date(*map(int, match.groups()))


def time_from(text):
    """The time that datetime_text wrote."""
    match = _match_time(text)
    if match is None:
        raise ValueError("not an ISO 8601 time")
    groups = match.groups()
    return datetime.time(*_clock(groups[:4]), tzinfo=_zone(groups[4:9]), fold=1 if groups[9] else 0)


def _clock(groups):
    """Hour, minute, second and microsecond of four groups of digits, of which the last may be missing."""
    return [int(group or 0) for group in groups]


def _zone(groups):
    """The timezone of sign, hours, minutes, seconds and microseconds; None where there is no sign.

    Python 3.6 knows whole minutes only: there an offset with seconds, written by a newer one, is a ValueError.
    """
    sign, hours, minutes, seconds, microseconds = groups
    if sign is None:
        return None
    offset = datetime.timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0),
                                microseconds=int(microseconds or 0))
    return datetime.timezone(-offset if sign == b"-" else offset)

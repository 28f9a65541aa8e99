"""Cursors: how far somebody has read a topic, as text that he keeps.

    3@00c0ffee00c0ffee     behind message 3 of the topic that was born with these bytes
    3                      behind message 3, of whatever topic has that name
    -                      before the oldest message that is kept
    $                      behind the newest

A number alone would mean another message where a topic began anew, in a coordinator without a directory or after it was
dropped, or where a coordinator lost the newest messages with its end.  With the birth that is noticed, and told: what
was missed then is not known.
"""

import re

from ..errors import CommandError, CursorLostError
from .structures.topics import BORN_BYTES, NUMBER_MAX

OLDEST, NEWEST = b"-", b"$"
NOTHING = b"0"  # of a topic that is not there
REPLY_BYTES_MAX = 1 << 20  # of the messages of one topic in one reply, but for a single one that is longer
COUNT_MAX = 10000
_DIGITS_MAX = 19

_is_born = re.compile(b"[0-9a-f]{%d}" % (2 * BORN_BYTES)).fullmatch


def text_of(topic, number):
    """The cursor behind a message of a topic."""
    return b"%d@%b" % (number, topic.born.hex().encode("ascii"))


def parse(word):
    """(number, birth) that a cursor word says; the birth is None where it says nothing, the number may be a word.

    Raises CommandError.
    """
    if word in (OLDEST, NEWEST):
        return word, None
    digits, at, born = word.partition(b"@")
    if digits.isdigit() and len(digits) <= _DIGITS_MAX and digits == b"%d" % int(digits) and int(digits) <= NUMBER_MAX:
        if not at:
            return int(digits), None
        if _is_born(born):
            return int(digits), bytes.fromhex(born.decode("ascii"))
    raise CommandError("%.80r is no cursor: give the text of one, a number, - (oldest) or $ (newest)" % (word,))


def resolve(what, topic, number, born):
    """The number behind which to read a topic, None for one that is not there.  Raises CursorLostError.

    `what` is the topic for messages.
    """
    if topic is None:
        if born is not None or number not in (0, OLDEST, NEWEST):
            raise CursorLostError("%s is not there, and the cursor is of one that was: it was dropped, or the "
                                  "coordinator that had it is gone; begin anew with the oldest message or the newest"
                                  % what)
        return 0
    if number == NEWEST:
        return topic.last
    if number == OLDEST:
        return topic.first - 1
    end = topic.last if born is None else topic.end_of(born)
    if end is None or number > end:
        raise CursorLostError("%s began anew since the cursor was made: it stands at %d, the cursor is %d of another; "
                              "what was missed is not known; begin anew with the oldest message or the newest"
                              % (what, topic.last, number))
    return number


def news(topic, number, count, now_ms):
    """What is behind a number: [cursor, missed, number of the first, records]; None where there is nothing."""
    first, records = topic.behind(number, count, REPLY_BYTES_MAX, now_ms)
    if not records:
        return None
    return [text_of(topic, first + len(records) - 1), first - 1 - number, first, records]

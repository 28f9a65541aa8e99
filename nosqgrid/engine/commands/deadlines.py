"""Deadlines: from the words of a client to milliseconds of the monotonic clock, and back.

Redis counts on the wall clock.  The grid does not: an expiry must not fire, or fail to, because somebody set the clock.
So an absolute time given by a client (EXPIREAT, SET EXAT) is translated once, when it arrives, with the difference of
the two clocks at that moment, and translated back when somebody asks for it.

A deadline of 0 means never.  One that is not in the future means at once: `put` deletes the key instead of storing it.
How far away one may be is what Redis takes: 64 bits of milliseconds since 1970.
"""

from ... import errors
from . import command

_SECOND_MS = 1000
_OPTIONS = {
    b"EX": (_SECOND_MS, False),
    b"PX": (1, False),
    b"EXAT": (_SECOND_MS, True),
    b"PXAT": (1, True),
}


def invalid_expire_time(command_name):
    """The error for a time that is not positive where it must be, or too far away."""
    return errors.CommandError("invalid expire time in '%s' command" % command_name)


def from_amount(keyspace, amount, unit_ms, absolute, command_name):
    """The deadline for an amount of units, from now or from 1970; it may lie in the past.

    Raises:
        CommandError: beyond 64 bits in ms since 1970.
    """
    amount_ms, wall_ms = amount * unit_ms, keyspace.wall_ms()
    if not command.INT64_MIN <= amount_ms <= command.INT64_MAX - (0 if absolute else wall_ms):
        raise invalid_expire_time(command_name)
    deadline_ms = amount_ms + keyspace.now_ms - (wall_ms if absolute else 0)
    # 0 would mean never; and a clock that is behind 1970 makes no deadline that has no place in a record.
    return min(deadline_ms, command.INT64_MAX) or -1


def to_wall_ms(keyspace, deadline_ms):
    """What the wall clock will show at a deadline."""
    return deadline_ms - keyspace.now_ms + keyspace.wall_ms()


def put(keyspace, key, value_type, value, deadline_ms):
    """Store a value with its deadline, or see to it that nothing is there where that has passed."""
    if deadline_ms and deadline_ms <= keyspace.now_ms:
        keyspace.delete(key)
    else:
        keyspace.store(key, value_type, value, deadline_ms)


def move(keyspace, key, deadline_ms):
    """Give a key that is there another deadline, or delete it where that has passed; what Redis calls that event."""
    if deadline_ms <= keyspace.now_ms:
        keyspace.delete(key)
        return b"del"
    keyspace.set_deadline(key, deadline_ms)
    return b"expire"


class ExpiryOption:
    """The one option among EX, PX, EXAT, PXAT and KEEPTTL or PERSIST that a command may have.

    As in Redis the same word may come twice, and the last one counts; two different ones are a syntax error.
    """

    __slots__ = ("_amount", "_kept", "name")

    def __init__(self, kept):
        self._kept = kept  # b"KEEPTTL" or b"PERSIST"
        self.name = None
        self._amount = None

    def take(self, words, index):
        """Whether words[index] is such an option; returns the index behind it, or 0 where it is none."""
        option = words[index].upper()
        if option == self._kept:
            # Redis lets these two follow themselves, too.
            if self.name not in (None, option):
                return 0
            self.name = option
            return index + 1
        if option not in _OPTIONS or self.name not in (None, option) or index + 1 >= len(words):
            return 0
        self.name = option
        self._amount = words[index + 1]
        return index + 2

    def deadline_ms(self, keyspace, command_name):
        """The deadline asked for; None where there was no option or it was KEEPTTL or PERSIST."""
        if self._amount is None:
            return None
        unit_ms, absolute = _OPTIONS[self.name]
        return positive_deadline(keyspace, self._amount, unit_ms, absolute, command_name)


def positive_deadline(keyspace, word, unit_ms, absolute, command_name):
    """The deadline for a word that must be a positive integer, as in SET EX and SETEX."""
    amount = command.integer(word)
    if amount <= 0:
        raise invalid_expire_time(command_name)
    return from_amount(keyspace, amount, unit_ms, absolute, command_name)

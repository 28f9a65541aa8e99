"""Sets: different members, of which each is there or not.

    sadd member ...     add those that are not there
    srem member ...     remove those that are

What clients see of the order is that of adding, except while all members are numbers and few: those are in their own.
"""

import re

from ...errors import CorruptValueError
from ...formats import values
from .members import CHANGE_BYTES, SMALL, Members

MEMBER_BYTES = 100  # of a member beside its own bytes: an object, and a place in the dict and in the list

_is_number = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch
_NUMBER_DIGITS_SAFE = 18  # so many digits are in 64 bits, whatever they are


class Set(Members):
    """A set; its members are the names in `items`, without values.  It is compact while all are numbers and few."""

    __slots__ = ()

    TYPE = values.SET
    NUMBERS_MAX = 512  # so many are an "intset" at most

    def __init__(self, members=()):
        """A set of members (an iterable of bytes).  Cost: 0.1 us for each."""
        super().__init__()
        if members:
            self._add(list(dict.fromkeys(members)))

    def apply(self, words):
        if len(words) == 2:
            name, member = words
            items = self.items
            if name == b"sadd":
                if member in items:
                    return []
                items[member] = None
                self.size_bytes += len(member) + MEMBER_BYTES
                if self.compact:
                    self.compact = len(items) <= self.NUMBERS_MAX and is_number(member)
                if self.order is not None or len(items) > SMALL:
                    self._placed(member)
                return [[b"srem", member]]
            if name == b"srem":
                if member not in items:
                    return []
                del items[member]
                self.size_bytes -= len(member) + MEMBER_BYTES
                if self.order is not None:
                    self._left(member)
                return [[b"sadd", member]]
        return self._apply_many(words)

    def _apply_many(self, words):
        if len(words) < 2 or words[0] not in (b"sadd", b"srem"):
            raise CorruptValueError("no change of a set: %d words, the first %.20r" % (len(words), words[:1]))
        if words[0] == b"sadd":
            items = self.items
            added = [member for member in dict.fromkeys(words[1:]) if member not in items]
            self._add(added)
            return [[b"srem"] + added] if added else []
        removed = [member for member in words[1:] if self.apply((b"srem", member))]
        return [[b"sadd"] + removed] if removed else []

    def _add(self, members):
        """Add members that are not there and differ."""
        items = self.items
        items.update(dict.fromkeys(members))
        self.size_bytes += sum(map(len, members)) + MEMBER_BYTES * len(members)
        if self.compact:
            self.compact = len(items) <= self.NUMBERS_MAX and all(map(is_number, members))
        if self.stale:
            for member in members:
                self._placed(member)
        elif self.order is not None:
            self.order += members
        elif len(items) > SMALL:
            self.order, self.stale = list(items), {}

    def listed(self):
        return sorted(self.items, key=int) if self.compact else list(self.items)

    def encoding(self):
        """How Redis would keep it, as OBJECT ENCODING says it."""
        return b"intset" if self.compact else b"hashtable"

    def changes(self):
        words, size = [b"sadd"], 0
        for member in self.items:
            words.append(member)
            size += len(member)
            if size >= CHANGE_BYTES:
                yield words
                words, size = [b"sadd"], 0
        if len(words) > 1:
            yield words

    def copy(self):
        return self._copy_to(Set())


def is_number(member):
    """Whether a member is the text of a number of 64 bits, in the one way to write it."""
    if member.isdigit() and len(member) <= _NUMBER_DIGITS_SAFE:
        return member[0] != 48 or len(member) == 1
    return _is_number(member) is not None and -2 ** 63 <= int(member) < 2 ** 63

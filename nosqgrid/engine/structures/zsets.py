"""Sorted sets: members, each with a score, in the order of the scores.

A change is
    b"+"  score member [score member ...]    each member has this score now; a score is a double, little-endian
    b"-"  member [member ...]                 these members, all of which were there, are gone
    b"l"                                      from now on it counts as a long one

Invariants
 1. `order` (ordered.py) has exactly the pairs that `scores` has, and the same bytes objects.
 2. No score is a NaN.  While the set counts as a listpack no score is -0.0: Redis keeps integers in it.
 3. It counts as a listpack until it has had more than `entries_max` members or one of more than `member_bytes_max`;
    that is not taken back.
"""

import struct
from itertools import chain, compress, islice
from operator import ne

from ...errors import CorruptValueError
from ...formats import values
from ...limits import KIB
from .ordered import ScoreOrder
from .scanned import BASE_BITS, ScanList
from .structure import STRUCTURE_BYTES, Structure

ADD, REMOVE, LONG = b"+", b"-", b"l"
MEMBER_BYTES = 140  # of a member and its score, beside its own bytes; measured: 118 where all scores are 0, else 150
_CHANGE_MEMBERS = 1000
_CHANGE_BYTES = 64 * KIB
_MANY = 64  # members of one change from which doing it at once may pay
_NOT_THERE = "a member that is not in the sorted set goes"

_double = struct.Struct("<d")
pack_score = _double.pack
_unpack_score = _double.unpack


class SortedSet(Structure):
    """One sorted set; `scores` is a dict of member to score, for reading."""

    __slots__ = ("scores", "order", "listpack", "_walked")

    TYPE = values.ZSET
    entries_max = 128
    member_bytes_max = 64

    def __init__(self):
        super().__init__()
        self.scores = {}
        self.order = ScoreOrder()
        self.listpack = True
        self._walked = None  # ScanList of the walks under way

    @classmethod
    def of(cls, scores):
        """A sorted set of a dict of member to score, which is its own from now on."""
        new = cls()
        new._take(scores)
        return new

    def _take(self, scores):
        self.scores = scores
        lengths = list(map(len, scores))
        self.size_bytes = STRUCTURE_BYTES + MEMBER_BYTES * len(lengths) + sum(lengths)
        if len(lengths) > self.entries_max or lengths and max(lengths) > self.member_bytes_max:
            self.listpack = False
        elif self.listpack:
            scores.update([(member, 0.0) for member, score in scores.items() if score == 0])
        members = in_order(scores)
        self.order.load([scores[member] for member in members], members)

    def __len__(self):
        return len(self.scores)

    def encoding(self):
        """What OBJECT ENCODING says."""
        return b"listpack" if self.listpack else b"skiplist"

    # -- changes ------------------------------------------------------------------------------------------------------

    def apply(self, words):
        """Make one change; the list of changes that takes it back.  Cost: 1 us, with a million members up to 4."""
        count = len(words)
        if count == 3 and words[0] == ADD:
            return self._set(words[1], words[2])
        if count > 1 and words[0] == REMOVE:
            return self._remove_one(words[1]) if count == 2 else self._remove(words[1:])
        if count > 3 and count & 1 and words[0] == ADD:
            return self._set_all(words)
        if count == 1 and words[0] == LONG:
            self.listpack = False
            return []
        raise CorruptValueError("%d words that change no sorted set" % count)

    def _set(self, packed, member):
        try:
            score, = _unpack_score(packed)
        except struct.error:
            score = _score(packed)  # which raises what there is to say
        if score != score:
            _score(packed)
        scores = self.scores
        old = scores.get(member)
        if self.listpack:
            if old is None and (len(scores) >= self.entries_max or len(member) > self.member_bytes_max):
                self.listpack = False
            elif not score:
                score = 0.0
        if old is None:
            self.order.insert(score, member)
            scores[member] = score
            self.size_bytes += MEMBER_BYTES + len(member)
            if self._walked is not None and not self._walked.added(member):
                self._walked = None
            return [(REMOVE, member)]
        member = self.order.remove(old, member)
        self.order.insert(score, member)
        scores[member] = score
        return [(ADD, pack_score(old), member)]

    def _set_all(self, words):
        pairs = [(member, _score(word)) for word, member in zip(words[1::2], words[2::2])]
        scores = self.scores
        before = {member: scores.get(member) for member, _ in pairs}
        done = 0
        while done < len(pairs) and (self.listpack or not self._pays(len(pairs) - done)):
            self._set(words[2 * done + 1], pairs[done][0])
            done += 1
        if done < len(pairs):
            merged = dict(scores)
            merged.update(pairs[done:])
            self._take(merged)
            self._walked = None
        inverse = []
        added = [member for member, old in before.items() if old is None]
        if added:
            inverse.append([REMOVE] + added)
        updated = [ADD]
        for member, old in before.items():
            if old is not None:
                updated += (pack_score(old), member)
        if len(updated) > 1:
            inverse.append(updated)
        return inverse

    def _pays(self, count):
        """Whether to sort anew is cheaper than to add so many members."""
        return count > _MANY and count * 2 > len(self.scores)

    def _remove_one(self, member):
        score = self.scores.pop(member, None)
        if score is None:
            raise CorruptValueError(_NOT_THERE)
        self.order.remove(score, member)
        self.size_bytes -= MEMBER_BYTES + len(member)
        if self._walked is not None and not self._walked.removed():
            self._walked = None
        return [(ADD, pack_score(score), member)]

    def _remove(self, members):
        scores, order = self.scores, self.order
        inverse = [ADD]
        if len(set(members)) != len(members):
            raise CorruptValueError("a member that goes twice")
        for member in members:
            score = scores.get(member)
            if score is None:
                raise CorruptValueError(_NOT_THERE)
            inverse += (pack_score(score), member)
        at_once = len(members) > _MANY and len(members) * 8 > len(scores)
        for member in members:
            score = scores.pop(member)
            if not at_once:
                order.remove(score, member)
            self.size_bytes -= MEMBER_BYTES + len(member)
            if self._walked is not None and not self._walked.removed():
                self._walked = None
        if at_once:
            order.keep(scores)
        return [inverse]

    def changes(self):
        """Yield changes that make an equal set, in the order of the scores."""
        if not self.listpack:
            yield [LONG]
        words, size = [ADD], 0
        for chunk_scores, chunk_members in zip(self.order.scores, self.order.members):
            for score, member in zip(chunk_scores, chunk_members):
                words += (pack_score(score), member)
                size += len(member) + 16
                if size >= _CHANGE_BYTES or len(words) > 2 * _CHANGE_MEMBERS:
                    yield words
                    words, size = [ADD], 0
        if size:
            yield words

    def copy(self):
        """An equal set of its own.  Cost: 60 ns a member."""
        new = SortedSet()
        new.scores = dict(self.scores)
        new.order = self.order.copy()
        new.size_bytes = self.size_bytes
        new.listpack = self.listpack
        return new

    def shrink(self, count):
        """Let go of some members; whether nothing is left."""
        if self._walked is not None:
            del self._walked.elements[-count:]
            if not self._walked.elements:
                self._walked = None
        for member in self.order.drop(count >> 1):
            self.scores.pop(member, None)
        return not self.order.members and self._walked is None

    def listed(self):
        """The members in the order of the scores."""
        return chain.from_iterable(self.order.members)

    def pairs(self):
        """The (member, score) in their order."""
        return zip(self.listed(), chain.from_iterable(self.order.scores))

    # -- reading ------------------------------------------------------------------------------------------------------

    def rank(self, member):
        """How many stand before a member, or None."""
        score = self.scores.get(member)
        if score is None:
            return None
        return self.order.rank(self.order.place(score, member))

    def at(self, index):
        """The (member, score) of an index from 0 on."""
        chunk, place = self.order.at_rank(index, len(self.scores))
        return self.order.members[chunk][place], self.order.scores[chunk][place]

    def position(self, index):
        """The position in `order` of an index from 0 to the number of members."""
        return self.order.at_rank(index, len(self.scores))

    def positions(self, low, high):
        """The positions of an index and of one above it, up to the number of members."""
        at, index = first = self.order.at_rank(low, len(self.scores))
        index += high - low
        if index <= len(self.order.members[at]):
            return first, (at, index)
        return first, self.order.at_rank(high, len(self.scores))

    def spans(self, low, high, offset=0, limit=-1, backward=False):
        """See ScoreOrder.spans."""
        return self.order.spans(low, high, len(self.scores), offset, limit, backward)

    def walk(self, cursor, count, random_bits):
        """(next cursor, members) of one call of a walk, cursor 0 being its beginning and its end.

        Invariant 1 of scanned.py holds.  Cost: that of the members, and 10 ns for each that the set has where the walk
        is the first.
        """
        if self.listpack:
            return 0, list(self.order.members[0])
        if self._walked is None and cursor == 0:
            self._walked = ScanList(self.scores, random_bits(BASE_BITS) + 1)
        found = self._walked.step(cursor, count) if self._walked is not None else None
        if found is None:
            return 0, list(self.scores)
        cursor, members = found
        return cursor, [member for member in dict.fromkeys(members) if member in self.scores]


def in_order(scores):
    """The members of a dict of member to score in the order of a sorted set.  Cheap where the dict has it already."""
    members = sorted(scores, key=scores.__getitem__)
    ordered = [scores[member] for member in members]
    start = 0
    for stop in compress(range(1, len(members)), map(ne, ordered, islice(ordered, 1, None))):
        if stop - start > 1:
            members[start:stop] = sorted(members[start:stop])
        start = stop
    members[start:] = sorted(members[start:])
    return members


def _score(word):
    """The score in a word of a change."""
    try:
        score, = _unpack_score(word)
    except struct.error as error:
        raise CorruptValueError("a score of %d bytes" % len(word)) from error
    if score != score:
        raise CorruptValueError("a score that is not a number")
    return score

"""Pairs of a score and a member in their order, for sorted sets: by score, then by the bytes of the member.

The pairs lie in chunks of at most CHUNK_MAX, a chunk being an array of scores and a list of members side by side.
Between two chunks stands a bound: what is not below it lies behind it.  A pair is found by bisecting the bounds and
then one chunk, both in C.  Ranks come from a table of where each chunk starts, made when a rank is asked for and
corrected by the few changes since.

Invariants
 1. Every chunk but the only one of an empty order has pairs, and at most CHUNK_MAX; both lists of a chunk are equally
    long.
 2. Chunk i has exactly the pairs that are not below bound i - 1 and below bound i.  A bound need not be a pair.
 3. While `_moved` is a list, a chunk starts at _starts[i], plus one for each of its entries n with 0 <= n < i, minus
    one for each with 0 <= ~n < i.

A position is (chunk, index); the index may be behind the last of its chunk.
"""

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate

CHUNK_MAX = 1000  # measured: 500 and 2000 are no faster from 10,000 to 1,000,000 members
_CHUNK_FULL = 750  # of a chunk that is made at once
_CHUNK_MIN = 100  # a smaller one is joined with its neighbour
_MOVED_MAX = 64  # changes that the table of ranks is corrected by
_WALK_MAX = 4000  # pairs that are passed over chunk by chunk; more of them by rank


class ScoreOrder(object):
    """The order of one sorted set.  Scores are floats and no NaN; no member is in it twice."""

    __slots__ = ("scores", "members", "bound_scores", "bound_members", "_starts", "_moved")

    def __init__(self):
        self.clear()

    def clear(self):
        self.scores = [array("d")]
        self.members = [[]]
        self.bound_scores = array("d")
        self.bound_members = []
        self._starts = ()
        self._moved = None

    def load(self, scores, members):
        """Have these pairs, two sequences that are in order, instead of what there was."""
        self.clear()
        if not members:
            return
        starts = range(0, len(members), _CHUNK_FULL)
        self.scores = [array("d", scores[start:start + _CHUNK_FULL]) for start in starts]
        self.members = [members[start:start + _CHUNK_FULL] for start in starts]
        self.bound_scores = array("d", [chunk[0] for chunk in self.scores[1:]])
        self.bound_members = [chunk[0] for chunk in self.members[1:]]

    def copy(self):
        """An equal order of its own."""
        new = ScoreOrder()
        new.scores = [chunk[:] for chunk in self.scores]
        new.members = [chunk[:] for chunk in self.members]
        new.bound_scores = self.bound_scores[:]
        new.bound_members = self.bound_members[:]
        return new

    # -- changes ------------------------------------------------------------------------------------------------------

    def insert(self, score, member):
        """Add a pair whose member is not there.  Cost: 0.6 us, with a million members 1.5 to 3 us."""
        bounds = self.bound_scores
        at = 0
        if bounds:
            if bounds[0] == score == bounds[-1]:
                at = bisect_right(self.bound_members, member)
            else:
                at = bisect_right(bounds, score)
                if at and bounds[at - 1] == score:
                    at = bisect_right(self.bound_members, member, bisect_left(bounds, score, 0, at), at)
        scores, members = self.scores[at], self.members[at]
        if scores and scores[0] == score == scores[-1]:
            index = bisect_right(members, member)
        else:
            index = bisect_right(scores, score)
            if index and scores[index - 1] == score:
                index = bisect_right(members, member, bisect_left(scores, score, 0, index), index)
        scores.insert(index, score)
        members.insert(index, member)
        moved = self._moved
        if moved is not None:
            if len(moved) < _MOVED_MAX:
                moved.append(at)
            else:
                self._moved = None
        if len(members) > CHUNK_MAX:
            self._split(at)

    def remove(self, score, member):
        """Take a pair out that is there; the member as it lay here."""
        at, index = self.place(score, member)
        members = self.members[at]
        del self.scores[at][index]
        member = members.pop(index)
        moved = self._moved
        if moved is not None:
            if len(moved) < _MOVED_MAX:
                moved.append(~at)
            else:
                self._moved = None
        if len(members) < _CHUNK_MIN and self.bound_members:
            self._join(at - 1 if at else 0)
        return member

    def keep(self, members):
        """Take out every pair whose member is not in a container.  Cost: 0.1 us for each that there was."""
        scores, kept = array("d"), []
        for chunk_scores, chunk_members in zip(self.scores, self.members):
            chosen = [index for index, member in enumerate(chunk_members) if member in members]
            if len(chosen) == len(chunk_members):
                scores += chunk_scores
                kept += chunk_members
            else:
                scores.extend([chunk_scores[index] for index in chosen])
                kept += [chunk_members[index] for index in chosen]
        self.load(scores, kept)

    def _split(self, at):
        scores, members = self.scores[at], self.members[at]
        half = len(members) >> 1
        self.scores.insert(at + 1, scores[half:])
        self.members.insert(at + 1, members[half:])
        self.bound_scores.insert(at, scores[half])
        self.bound_members.insert(at, members[half])
        del scores[half:]
        del members[half:]
        self._moved = None

    def _join(self, at):
        """Let a chunk have the pairs of the next one as well."""
        self.scores[at] += self.scores.pop(at + 1)
        self.members[at] += self.members.pop(at + 1)
        del self.bound_scores[at]
        del self.bound_members[at]
        self._moved = None
        if len(self.members[at]) > CHUNK_MAX:
            self._split(at)

    def drop(self, count):
        """Let go of whole chunks from the end, some `count` pairs; their members."""
        dropped = []
        while self.members and len(dropped) < count:
            dropped += self.members.pop()
            self.scores.pop()
        return dropped

    # -- positions ----------------------------------------------------------------------------------------------------

    def place(self, score, member, behind=False):
        """Where a pair is, or would be; `behind`: the position after it."""
        bounds = self.bound_scores
        at = bisect_right(bounds, score)
        if at and bounds[at - 1] == score:
            at = bisect_right(self.bound_members, member, bisect_left(bounds, score, 0, at), at)
        scores = self.scores[at]
        low = bisect_left(scores, score)
        bisect = bisect_right if behind else bisect_left
        return at, bisect(self.members[at], member, low, bisect_right(scores, score, low))

    def first(self):
        """The first position."""
        return 0, 0

    def end(self):
        """The position behind the last pair."""
        return len(self.members) - 1, len(self.members[-1])

    def at_score(self, score):
        """The first position whose score is not below this one."""
        at = bisect_left(self.bound_scores, score)
        return at, bisect_left(self.scores[at], score)

    def above_score(self, score):
        """The first position whose score is above this one."""
        at = bisect_right(self.bound_scores, score)
        return at, bisect_right(self.scores[at], score)

    def rank(self, position):
        """How many pairs stand before a position."""
        at, index = position
        if not at:
            return index
        return self._start(at) + index

    def at_rank(self, rank, total):
        """The position that so many pairs stand before; `total` is how many there are."""
        if rank < len(self.members[0]):
            return 0, rank
        at = len(self.members) - 1
        missing = total - rank
        if missing <= len(self.members[at]):
            return at, len(self.members[at]) - missing
        if self._moved is None:
            self._count()
        at = bisect_right(self._starts, rank) - 1
        start = self._start(at)
        while start > rank:
            at -= 1
            start -= len(self.members[at])
        while rank >= start + len(self.members[at]):
            start += len(self.members[at])
            at += 1
        return at, rank - start

    def _start(self, at):
        """How many pairs stand before a chunk."""
        if self._moved is None:
            self._count()
        start = self._starts[at]
        for moved in self._moved:
            if moved >= 0:
                if moved < at:
                    start += 1
            elif ~moved < at:
                start -= 1
        return start

    def _count(self):
        lengths = [len(chunk) for chunk in self.members]
        self._starts = [0]
        self._starts += accumulate(lengths[:-1])
        self._moved = []

    # -- ranges -------------------------------------------------------------------------------------------------------

    def spans(self, low, high, total, offset=0, limit=-1, backward=False):
        """The parts of chunks, as (chunk, start, stop), from one position to another, in order.

        `backward`: the last part first, and offset and limit count from the end.  A negative limit is none.
        """
        if low[0] == high[0] and not offset and limit < 0:
            return [low + high[1:]] if low < high else []
        if offset > _WALK_MAX:
            count = self.rank(high) - self.rank(low)
            if offset >= count:
                return []
            if backward:
                high = self.at_rank(self.rank(high) - offset, total)
            else:
                low = self.at_rank(self.rank(low) + offset, total)
            offset = 0
        found, members = [], self.members
        chunks = range(low[0], high[0] + 1)
        for at in reversed(chunks) if backward else chunks:
            start = low[1] if at == low[0] else 0
            stop = high[1] if at == high[0] else len(members[at])
            if offset >= stop - start:
                offset -= max(stop - start, 0)
                continue
            if backward:
                stop -= offset
                start = max(start, stop - limit) if limit >= 0 else start
            else:
                start += offset
                stop = min(stop, start + limit) if limit >= 0 else stop
            offset = 0
            if stop > start:
                found.append((at, start, stop))
                limit -= stop - start if limit >= 0 else 0
            if limit == 0:
                break
        return found

    def members_of(self, spans, backward=False):
        """The members of the parts that spans() found, in its direction."""
        if len(spans) == 1 and not backward:
            (at, start, stop), = spans
            return self.members[at][start:stop]
        found = []
        for at, start, stop in spans:
            part = self.members[at][start:stop]
            if backward:
                part.reverse()
            found += part
        return found

    def scores_of(self, spans, backward=False):
        """Their scores."""
        found = []
        for at, start, stop in spans:
            part = self.scores[at][start:stop]
            if backward:
                part.reverse()
            found += part
        return found

    def uniform(self):
        """Whether every pair has the same score."""
        return not self.members[0] or self.scores[0][0] == self.scores[-1][-1]

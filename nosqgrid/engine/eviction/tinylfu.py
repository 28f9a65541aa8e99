"""W-TinyLFU: a window of new records, an admission by frequency, and a main part in two segments.

    added -> window -- oldest of the window against the oldest on probation: the rarer one goes --> probation
    touched on probation -> protected, 80 % of the main part; its oldest go back on probation

New records prove themselves in the window, so that a scan does not wash out what is popular; what is popular is known
from the sketch, which remembers keys that are long gone.  How large the window is, is tried out (miniature.py).
The interface is explained in the package.

Invariants, verified by `check`:
 1. Every record is in exactly one of the three lists, whose sums are right (lists.py).
 2. The sums of the miniatures are right (miniature.py).

The policy need not be told what fits: as long as records are added and no victim is asked for, whatever leaves the
window goes on probation; once one was asked for, the cache is full, and nothing enters the main part without a contest.
What leaves a list because a limit changed goes MOVES_MAX at a time, so that no call takes long.

Hash flooding: whoever finds keys whose counters collide with those of a popular key may keep others out; so one in
128 of the rejected that were asked for six times is let in all the same.  The hash is keyed anyway (formats/hashing).

Sources: G. Einziger, R. Friedman, B. Manes, "TinyLFU: a highly efficient cache admission policy", 2017; the random
admission is Caffeine's.
"""

from ...errors import InvariantError
from .lists import LIST_COUNT_MAX
from .miniature import PROTECTED_FRACTION, SAMPLE_SHIFT, WindowChooser
from .sketch import FrequencySketch

MOVES_MAX = 8
FLOODED_FREQUENCY = 6
FLOODED_CHANCE = 1 / 128.0
SLACK_SHIFT = 4  # a sixteenth: how far the weight may be from the capacity before that is learnt anew
EMPTIED_SHIFT = 3  # an eighth: how far a full cache must empty, or grow, before it is no longer full


class TinyLfu(object):
    """A policy over three lists of `lists` (NodeLists).

    `hash_of(node)` gives the hash of the key in a slot, the same that `added` got; `chance()` a number from 0 to 1,
    which should not be guessable (random.SystemRandom().random).  `numbers` are those of its lists: window, probation,
    protected.
    """

    __slots__ = ("numbers", "_lists", "_window", "_probation", "_protected", "_hash_of", "_chance", "_sketch",
                 "_chooser", "capacity", "_full_weight", "_window_max", "_protected_max", "_victim", "_victim_hash")

    def __init__(self, lists, hash_of, chance, capacity=0):
        self._lists = lists
        self._window, self._probation, self._protected = lists.open(), lists.open(), lists.open()
        self.numbers = self._window, self._probation, self._protected
        self._hash_of = hash_of
        self._chance = chance
        self._start(capacity)

    def _start(self, capacity):
        self._sketch = FrequencySketch()
        self._chooser = WindowChooser(self._sketch.estimate)
        self._victim = self._victim_hash = 0  # who won the last contests, and the hash of the key there
        self._full_weight = 0  # how much there was when a victim was asked for, 0 while there is room
        self.set_capacity(capacity)

    @property
    def weight(self):
        """Of all its records."""
        weights = self._lists.weights
        return weights[self._window] + weights[self._probation] + weights[self._protected]

    @property
    def count(self):
        """Of its records."""
        counts = self._lists.counts
        return counts[self._window] + counts[self._probation] + counts[self._protected]

    @property
    def window_fraction(self):
        """The part of the capacity that is window now: 0.01 to 0.99."""
        return self._chooser.fraction

    @property
    def size_bytes(self):
        """Memory beyond the arrays: of the sketch; the miniatures take up to 600 KB more."""
        return self._sketch.size_bytes

    def set_capacity(self, weight):
        """How much fits, as far as the caller knows; sizes window and protected."""
        self.capacity = weight
        window_max = int(weight * self._chooser.fraction)
        self._window_max = window_max if window_max else 1
        self._protected_max = int((weight - window_max) * PROTECTED_FRACTION)

    # -- what happens to records --------------------------------------------------------------------------------------

    def added(self, node, key_hash, weight):
        """A record is new in this slot.  Cost: O(1), 1.5 us; some tens of microseconds now and then."""
        lists = self._lists
        if node == self._victim:  # another key lies there now
            self._victim = 0
        if lists.owner[node]:
            lists.remove(node)
        window, probation, protected = self.numbers
        lists.insert(window, node, weight)
        weights, counts = lists.weights, lists.counts
        count = counts[window] + counts[probation] + counts[protected]
        self._sketch.ensure(count)
        self._sketch.increment(key_hash)
        total = weights[window] + weights[probation] + weights[protected]
        if total > self.capacity:
            self.set_capacity(total + (total >> SLACK_SHIFT))
        if self._full_weight:
            if total - (total >> EMPTIED_SHIFT) > self._full_weight or total + (total >> EMPTIED_SHIFT) < self.capacity:
                self._full_weight = 0
        else:
            self._overflow()
        if not key_hash >> SAMPLE_SHIFT & self._chooser.mask:
            self._sampled(key_hash, weight, count)

    def touched(self, node, key_hash):
        """It was read.  Cost: O(1), 1.2 us."""
        lists = self._lists
        number = lists.owner[node]
        if number == self._probation:
            number = self._protected
        elif number != self._window and number != self._protected:
            return
        if node <= LIST_COUNT_MAX:  # the head of a list
            return
        lists.to_front(number, node)
        if lists.weights[self._protected] > self._protected_max:
            self._demote()
        self._sketch.increment(key_hash)
        if not key_hash >> SAMPLE_SHIFT & self._chooser.mask:
            self._sampled(key_hash, lists.weight[node], self.count)

    def changed(self, node, key_hash, weight):
        """It was overwritten: a hit, with another weight.  Cost: as touched."""
        if node > LIST_COUNT_MAX and self._lists.owner[node] in self.numbers:
            self._lists.reweigh(node, weight)
            self.touched(node, key_hash)

    def removed(self, node):
        """It is gone; how often it was asked for is remembered.  Cost: O(1)."""
        if self._lists.owner[node] in self.numbers:
            self._lists.remove(node)

    def moved(self, old_node, new_node):
        """It lies in another slot now.  Cost: O(1)."""
        if new_node == self._victim:
            self._victim = 0
        if self._lists.owner[old_node] in self.numbers:
            self._lists.move(old_node, new_node)

    def _overflow(self):
        """There is room: what the window cannot hold goes on probation without a contest."""
        lists, window = self._lists, self._window
        for _ in range(MOVES_MAX):
            if lists.weights[window] <= self._window_max:
                return
            lists.to_front(self._probation, lists.prev[window])

    def _demote(self):
        lists, protected = self._lists, self._protected
        for _ in range(MOVES_MAX):
            if lists.weights[protected] <= self._protected_max or lists.counts[protected] <= 1:
                return
            lists.to_front(self._probation, lists.prev[protected])

    def _sampled(self, key_hash, weight, count):
        if self._chooser.request(key_hash, weight, self.capacity, count):
            self._chooser.end_round(count, self._full_weight > 0)
            self.set_capacity(self.capacity)

    # -- who goes -----------------------------------------------------------------------------------------------------

    def next_victim(self):
        """The node that should go now, or 0 where there is none.  Cost: O(1), 1.2 us and up to two calls of hash_of."""
        lists = self._lists
        window, probation, protected = self.numbers
        weights, oldest = lists.weights, lists.prev
        total = self._full_weight = weights[window] + weights[probation] + weights[protected]
        if total + (total >> SLACK_SHIFT) < self.capacity:
            self.set_capacity(total)
        surplus = weights[window] - self._window_max
        if surplus > self._window_max >> SLACK_SHIFT:
            self._shrink_window(surplus)
        candidate = oldest[window]  # the head itself where a list is empty
        victim = oldest[probation]
        if victim == probation:
            victim = oldest[protected]
            if victim == protected:
                return candidate if candidate != window else 0
        if candidate == window or weights[window] < self._window_max:
            return victim
        asked = self._sketch.estimate(self._hash_of(candidate))
        if victim != self._victim:
            self._victim, self._victim_hash = victim, self._hash_of(victim)
        if asked > self._sketch.estimate(self._victim_hash) or (
                asked >= FLOODED_FREQUENCY and self._chance() < FLOODED_CHANCE):
            lists.to_front(probation, candidate)
            return victim
        return candidate

    def _shrink_window(self, surplus):
        """The window became smaller: two of its oldest go on probation, but for the one that has its contest now."""
        lists, window = self._lists, self._window
        for _ in range(2):
            oldest = lists.prev[window]
            surplus -= lists.weight[oldest]
            if surplus <= self._window_max >> SLACK_SHIFT:
                return
            lists.to_front(self._probation, oldest)

    def spared(self, node):
        """It could not go: ask for it last.  Cost: O(1)."""
        number = self._lists.owner[node]
        if number in self.numbers and node > LIST_COUNT_MAX:
            self._lists.to_front(number, node)

    # -- all of it ----------------------------------------------------------------------------------------------------

    def clear(self):
        """Forget all records and frequencies.  Cost: O(count)."""
        for number in self.numbers:
            self._lists.clear(number)
        self._start(self.capacity)

    def close(self):
        """Forget all and give the lists back; the policy must not be used any more.  Cost: O(count)."""
        for number in self.numbers:
            self._lists.close(number)

    def check(self):
        """Raise InvariantError where an invariant does not hold.  Cost: O(count)."""
        for number in self.numbers:
            self._lists.check(number)
        if not self._chooser.check():
            raise InvariantError("a miniature of the cache does not add up")

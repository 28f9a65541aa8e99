"""How large the window of W-TinyLFU should be: five small copies of the cache try it out.

How much of a cache should be a window (recency) and how much is guarded by admission (frequency) depends on the load,
and only an experiment tells.  A miniature is a simulated cache for a sample of the keys, chosen by hash so that all
requests of a key are in or none, with capacity in proportion; a sample of a few hundred keys has nearly the hit ratio
of the whole.  One miniature a candidate fraction, all with the frequencies of the real sketch; the real cache follows
the one with the most hits lately.  Hill climbing on the hit ratio of the cache itself needs ten requests a key for each
step, and takes a change of load for an effect of its step (docs/decisions/0017-eviction.md has the figures).

Invariants:
 1. A miniature holds only keys whose sampled bits are zero; their weights are at most its capacity, or it holds one.
 2. `window_weight`, `protected_weight`, `weight` are the sums over its keys.

Cost: one comparison for a key that is not sampled; some 4 us for one that is, which is every key in a cache of up to
768, one in 256 where there are a hundred thousand.  Up to 600 KB of memory.

Source: C. Waldspurger, T. Saemundsson, I. Ahmad, N. Park, "Cache modeling and optimization using miniature
simulations", 2017; G. Einziger, O. Eytan, R. Friedman, B. Manes, "Adaptive software cache management", 2018.
"""

from collections import OrderedDict

FRACTIONS = (0.01, 0.2, 0.5, 0.8, 0.99)
PROTECTED_FRACTION = 0.8  # of what is not window
SAMPLE_KEYS_MIN, SAMPLE_KEYS_MAX = 256, 768  # of the keys in the cache, between which the sample stays as it is
SAMPLE_SHIFT = 20  # these bits of the hash do not choose counters within a block of the sketch
SAMPLE_BITS_MAX = 16
ROUND_REQUESTS_MIN = 32
DECAY = 0.875  # of hits a round
LEAD = 1.02  # how many times the hits another fraction must have to be chosen ...
LEAD_KEPT = 1.001  # ... and to be kept, against those of the smallest window


class Miniature(object):
    """A W-TinyLFU cache of hashes with weights, in plain dictionaries, the oldest first."""

    __slots__ = ("fraction", "window", "probation", "protected", "window_weight", "protected_weight", "weight", "hits")

    def __init__(self, fraction):
        self.fraction = fraction
        self.window, self.probation, self.protected = OrderedDict(), OrderedDict(), OrderedDict()
        self.window_weight = self.protected_weight = self.weight = 0
        self.hits = 0.0

    def request(self, key_hash, weight, capacity, estimate):
        """A key was asked for; it is in the cache afterwards.  Cost: O(1) amortised."""
        if key_hash in self.window:
            self.window.move_to_end(key_hash)
        elif key_hash in self.protected:
            self.protected.move_to_end(key_hash)
        elif key_hash in self.probation:
            self._promote(key_hash, capacity)
        else:
            self._add(key_hash, weight, capacity, estimate)
            return
        self.hits += 1

    def _promote(self, key_hash, capacity):
        weight = self.probation.pop(key_hash)
        self.protected[key_hash] = weight
        self.protected_weight += weight
        limit = (1 - self.fraction) * PROTECTED_FRACTION * capacity
        while self.protected_weight > limit and len(self.protected) > 1:
            demoted, weight = self.protected.popitem(last=False)
            self.protected_weight -= weight
            self.probation[demoted] = weight

    def _add(self, key_hash, weight, capacity, estimate):
        self.window[key_hash] = weight
        self.window_weight += weight
        self.weight += weight
        limit = self.fraction * capacity
        while self.window_weight > limit and len(self.window) > 1:
            candidate, weight = self.window.popitem(last=False)
            self.window_weight -= weight
            self.probation[candidate] = weight
            if self.weight > capacity:
                victim = next(iter(self.probation if len(self.probation) > 1 else self.protected or self.probation))
                self._drop(victim if estimate(candidate) > estimate(victim) else candidate)
        while self.weight > capacity and len(self.window) + len(self.probation) + len(self.protected) > 1:
            self._drop(next(iter(self.probation or self.protected or self.window)))

    def _drop(self, key_hash):
        weight = self.probation.pop(key_hash, None)
        if weight is None:
            weight = self.protected.pop(key_hash, None)
            if weight is not None:
                self.protected_weight -= weight
            else:
                weight = self.window.pop(key_hash)
                self.window_weight -= weight
        self.weight -= weight

    def keep(self, mask):
        """Drop the keys that a smaller sample does not have."""
        for part in (self.window, self.probation, self.protected):
            for key_hash in [key_hash for key_hash in part if key_hash >> SAMPLE_SHIFT & mask]:
                self._drop(key_hash)


class WindowChooser(object):
    """Follows requests and names the best fraction of the window so far."""

    __slots__ = ("mask", "fraction", "_miniatures", "_best", "_requests", "_estimate")

    def __init__(self, estimate):
        self._estimate = estimate
        self.mask = 0  # a key is in the sample where its hash has zeros there
        self._miniatures = [Miniature(fraction) for fraction in FRACTIONS]
        self._best = self._miniatures[0]
        self.fraction = self._best.fraction
        self._requests = 0

    def request(self, key_hash, weight, capacity, count):
        """A key of the sample was asked for, in a cache of so much capacity and so many keys.

        Returns True where the round is over: `end_round` is due.  Cost: O(1), about 4 us.
        """
        share = 1.0 / (self.mask + 1)
        capacity *= share
        estimate = self._estimate
        for miniature in self._miniatures:
            miniature.request(key_hash, weight, capacity, estimate)
        self._requests += 1
        sampled = count * share  # grows without bound while the cache does: then a round ends early
        return self._requests >= ROUND_REQUESTS_MIN and not self._requests < sampled <= SAMPLE_KEYS_MAX

    def end_round(self, count, full):
        """Choose, and fit the sample to the number of keys.  Cost: O(1); a millisecond where the sample changes.

        While the cache is not `full` nothing is chosen: its capacity is not known, and whatever differs is chance.
        """
        self._requests = 0
        best = max(self._miniatures, key=lambda miniature: miniature.hits)
        smallest = self._miniatures[0]
        if full:
            if best.hits < smallest.hits * LEAD_KEPT:  # a sample may fit into its miniature where the load does not:
                self._best = smallest  # where nothing differs, the small window is the safe one
            elif best.hits > self._best.hits * LEAD:
                self._best = best
            self.fraction = self._best.fraction
        for miniature in self._miniatures:
            miniature.hits *= DECAY
        self._fit(count)

    def _fit(self, count):
        mask = self.mask
        while count > SAMPLE_KEYS_MAX * (mask + 1) and mask < (1 << SAMPLE_BITS_MAX) - 1:
            mask = mask << 1 | 1
        while mask and count < SAMPLE_KEYS_MIN * (mask + 1):
            mask >>= 1
        if mask > self.mask:
            for miniature in self._miniatures:
                miniature.keep(mask)
                miniature.hits *= (self.mask + 1.0) / (mask + 1)
        self.mask = mask

    def check(self):
        """The sums of each miniature, for tests; returns whether they are right."""
        return all((m.weight, m.window_weight, m.protected_weight)
                   == (sum(m.window.values()) + sum(m.probation.values()) + sum(m.protected.values()),
                       sum(m.window.values()), sum(m.protected.values()))
                   and not any(key_hash >> SAMPLE_SHIFT & self.mask
                               for part in (m.window, m.probation, m.protected) for key_hash in part)
                   for m in self._miniatures)

"""Which share of requests a full cache answers: our policies beside LRU, ARC and Belady's optimum.

The traces: synthetic ones made here from a seed, and public ones (the block traces published with LIRS, S. Jiang and
X. Zhang, 2002: one key a line, gzip) from a folder.  All keys weigh the same, as in the literature, but for one trace
with sizes from 16 bytes to 100 KB.

The grid notes reads in rings that lose some.  So `lfu` is also replayed with every fourth hit noted, and with half of
those dropped at random.
"""

import bisect
import collections
import glob
import gzip
import itertools
import os
import random
import time
from array import array

from nosqgrid.engine.eviction import Lru, NodeLists, TinyLfu
from nosqgrid.engine.eviction.lists import LIST_COUNT_MAX, NODE_BYTES

from . import hit_policies, machine, timing

TRACES_VARIABLE = "NOSQGRID_TRACES"
SEED = 20021127
REQUESTS_QUICK = 20 * 1000
ZIPF_REQUESTS, ZIPF_KEYS = 200 * 1000, 20 * 1000
TIMED_KEYS = 100 * 1000

OPT, LFU, LFU_4, LFU_8, LRU, ARC = "optimum", "lfu", "lfu 1 in 4", "lfu 1 in 8", "lru", "ARC"
POLICIES = (OPT, LFU, LFU_4, LFU_8, LRU, ARC)

# Capacities as in the LIRS paper, as far as the curves bend there.
CAPACITIES = {
    "2_pools": (100, 250, 450), "cpp": (20, 50, 100, 300), "cs": (100, 400, 1000), "gli": (250, 500, 1000, 2000),
    "loop": (250, 500, 1000), "multi1": (250, 500, 1000, 2000), "multi2": (250, 500, 1000, 2000),
    "multi3": (250, 500, 1000, 2000), "ps": (100, 400, 1000), "sprite": (100, 500, 1000)}
CAPACITIES_SYNTHETIC = (200, 1000, 5000)

# LRU on gli as others measured it: github.com/bitfaster/BitFaster.Caching, pull request 131, 2022.
PUBLISHED_LRU = {("gli", 250): 0.91, ("gli", 500): 0.95, ("gli", 1000): 11.21, ("gli", 2000): 57.41}

Trace = collections.namedtuple("Trace", "name what keys capacities")
Cost = collections.namedtuple("Cost", "touched added_evicted bytes_per_key")


class Result:
    """What a run found: `ratios[trace, capacity][policy]` in percent."""

    def __init__(self):
        self.machine, self.absent, self.seconds = [], None, 0.0
        self.traces, self.ratios, self.costs, self.mixed = [], collections.OrderedDict(), {}, []


# -- traces --------------------------------------------------------------------------------------------------------


def _zipf(rnd, key_count, exponent, count):
    """So many keys 0 ... with frequencies 1/rank**exponent."""
    sums = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(key_count)))
    return [bisect.bisect(sums, rnd.random() * sums[-1]) for _ in range(count)]


def synthetic(requests=ZIPF_REQUESTS):
    """[Trace]: the same on every machine and Python."""
    rnd = random.Random(SEED)
    scanned = itertools.count(10 ** 6)
    scan = []
    for position, key in enumerate(_zipf(rnd, ZIPF_KEYS // 2, 0.9, requests * 3 // 4)):
        scan.append(key)
        if position // 2000 % 3 == 0:
            scan.append(next(scanned))
    shifting = [key + position * 10 // requests * (ZIPF_KEYS // 20)
                for position, key in enumerate(_zipf(rnd, ZIPF_KEYS // 2, 0.9, requests))]
    return [Trace(name, what, keys, CAPACITIES_SYNTHETIC) for name, what, keys in (
        ("zipf-0.8", "Zipf 0.8 over 20,000 keys", _zipf(rnd, ZIPF_KEYS, 0.8, requests)),
        ("zipf-1.0", "Zipf 1.0 over 20,000 keys", _zipf(rnd, ZIPF_KEYS, 1.0, requests)),
        ("cycle", "6,000 keys in turn", [position % 6000 for position in range(requests)]),
        ("zipf-scan", "Zipf 0.9, a third of the time every other key is new", scan),
        ("shifting", "Zipf 0.9; nine times its 1,000 most popular keys are never seen again", shifting))]


def published(folder):
    """[Trace] of the files NAME.trace.gz in a folder; raises OSError where there is none."""
    found = []
    for path in sorted(glob.glob(os.path.join(folder, "*.trace.gz"))):
        name = os.path.basename(path)[:-len(".trace.gz")]
        with gzip.open(path, "rt") as lines:
            keys = [line.strip() for line in lines if line.strip() and "*" not in line]
        distinct = len(set(keys))
        capacities = CAPACITIES.get(name) or tuple(max(1, distinct * part // 100) for part in (5, 20, 50))
        found.append(Trace(name, "%s keys" % "{:,}".format(distinct), keys, capacities))
    if not found:
        raise OSError("no *.trace.gz there")
    return found


# -- replaying -----------------------------------------------------------------------------------------------------


class Cache:
    """What a grid does with a policy, without memory: keys in slots, `capacity` for the sum of their weights."""

    def __init__(self, policy_name, capacity, node_count, noted=1, dropped=0.0):
        self._rnd = random.Random(SEED)
        self.lists = NodeLists.in_memory(LIST_COUNT_MAX + 1 + node_count)
        self._hash_at = array("Q", bytes(8 * (LIST_COUNT_MAX + 1 + node_count)))
        if policy_name == LRU:
            self.policy = Lru(self.lists)
        else:
            self.policy = TinyLfu(self.lists, self._hash_at.__getitem__, self._rnd.random)
        self._capacity, self._noted, self._dropped = capacity, noted, dropped
        self._nodes, self._hashes, self._keys = {}, {}, {}
        self._free = list(range(LIST_COUNT_MAX + 1, LIST_COUNT_MAX + 1 + node_count))
        self._hits = 0

    def request(self, key, weight=1):
        """Whether it was there; afterwards it is."""
        node = self._nodes.get(key)
        if node is not None:
            self._hits += 1
            if self._hits % self._noted == 0 and not (self._dropped and self._rnd.random() < self._dropped):
                self.policy.touched(node, self._hashes[key])
            return True
        policy = self.policy
        while policy.weight + weight > self._capacity or not self._free:
            victim = policy.next_victim()
            policy.removed(victim)
            del self._nodes[self._keys.pop(victim)]
            self._free.append(victim)
        node = self._free.pop()
        key_hash = self._hashes.get(key)
        if key_hash is None:
            key_hash = self._hashes[key] = self._rnd.getrandbits(61)
        self._nodes[key], self._keys[node], self._hash_at[node] = node, key, key_hash
        policy.added(node, key_hash, weight)
        return False


def hits_of(policy_name, keys, capacity):
    """How many of the keys were there when they were asked for."""
    if policy_name == OPT:
        return hit_policies.optimum(keys, capacity)
    if policy_name == ARC:
        return hit_policies.arc(keys, capacity)
    noted, dropped = {LFU_4: (4, 0.0), LFU_8: (4, 0.5)}.get(policy_name, (1, 0.0))
    request = Cache(policy_name, capacity, capacity, noted, dropped).request
    return sum(1 for key in keys if request(key))


def mixed_sizes(requests=ZIPF_REQUESTS):
    """[(capacity as a part of everything, policy, % of requests, % of bytes)] with sizes from 16 bytes to 100 KB."""
    rnd = random.Random(SEED)
    units = [int(2 * 6250 ** rnd.random()) for _ in range(ZIPF_KEYS)]
    keys = _zipf(rnd, ZIPF_KEYS, 0.9, requests)
    asked = float(sum(units[key] for key in keys))
    rows = []
    for part in (0.01, 0.1, 0.3):
        for name in (LFU, LRU):
            cache = Cache(name, int(sum(units) * part), ZIPF_KEYS)
            hits = [key for key in keys if cache.request(key, units[key])]
            rows.append((part, name, 100.0 * len(hits) / requests, 100.0 * sum(units[key] for key in hits) / asked))
    return rows


# -- costs ---------------------------------------------------------------------------------------------------------


def cost_of(policy_name, key_count=TIMED_KEYS):
    """Cost of a policy that holds so many keys, in nanoseconds of processor time a call; medians."""
    rnd = random.Random(SEED)
    touched, evicted = [], []
    for _ in range(timing.REPEATS):
        cache = Cache(policy_name, key_count, key_count)
        for key in range(key_count):
            cache.request(key)
        policy, hash_at = cache.policy, cache._hash_at
        policy.next_victim()
        nodes = [LIST_COUNT_MAX + 1 + int(key_count * rnd.random() ** 3) for _ in range(key_count)]
        pairs = [(node, hash_at[node]) for node in nodes]
        begin = time.process_time()
        for node, key_hash in pairs:
            policy.touched(node, key_hash)
        touched.append((time.process_time() - begin) / key_count)
        new = [rnd.getrandbits(61) for _ in range(key_count)]
        begin = time.process_time()
        for key_hash in new:
            node = policy.next_victim()
            policy.removed(node)
            hash_at[node] = key_hash
            policy.added(node, key_hash, 1)
        evicted.append((time.process_time() - begin) / key_count)
    bytes_per_key = NODE_BYTES + policy.size_bytes / float(key_count)
    return Cost(1e9 * timing.summary(touched).median, 1e9 * timing.summary(evicted).median, bytes_per_key)


# -- a run ---------------------------------------------------------------------------------------------------------


def run(folder, quick, progress):
    """Result of all traces, policies and capacities."""
    result, begin = Result(), time.time()
    result.machine = machine.describe()
    result.traces = synthetic(REQUESTS_QUICK if quick else ZIPF_REQUESTS)
    folder = folder or os.environ.get(TRACES_VARIABLE)
    if not folder:
        result.absent = "no public traces: neither --traces nor $%s names a folder" % TRACES_VARIABLE
    else:
        try:
            result.traces += published(folder)
        except (OSError, EOFError) as error:
            result.absent = "no public traces: %s" % (getattr(error, "strerror", None) or error)
    for trace in result.traces:
        keys = trace.keys[:REQUESTS_QUICK] if quick else trace.keys
        for capacity in trace.capacities:
            progress("%s, %d" % (trace.name, capacity))
            result.ratios[trace.name, capacity] = {
                name: 100.0 * hits_of(name, keys, capacity) / len(keys) for name in POLICIES}
    progress("sizes and costs")
    result.mixed = mixed_sizes(REQUESTS_QUICK if quick else ZIPF_REQUESTS)
    result.costs = {name: cost_of(name, TIMED_KEYS // 10 if quick else TIMED_KEYS) for name in (LFU, LRU)}
    result.quick, result.seconds = quick, time.time() - begin
    return result

"""How often a key was asked for lately, roughly, in 8 bytes a key: the frequency sketch of TinyLFU.

A count-min sketch of 4-bit counters with four rows, conservative update, and ageing: after a sample of ten increments a
key all counters are halved, so that what was popular yesterday makes room.  A key finds its four counters in one block
of 64 bytes: rows 0 and 1 are the low halves of its first and last 32 bytes, rows 2 and 3 the high halves.  So a row is
a fixed half of a byte, no shift depends on data, and halving is bytes.translate, which runs at memory speed.

Invariants:
 1. `estimate` of a key is at least the number of its increments since the counters were last halved, up to 15.
 2. A counter never passes 15: halves never run into each other.
 3. Doubling keeps every estimate: a key's new block is a copy of its old one.

Halving is done CHUNK_BYTES a step, one step an increment, so that no call takes longer than some tens of microseconds.

Sources: G. Cormode, S. Muthukrishnan, "An improved data stream summary: the count-min sketch and its applications",
2005; C. Estan, G. Varghese, "New directions in traffic measurement and accounting", 2002 (conservative update);
G. Einziger, R. Friedman, B. Manes, "TinyLFU: a highly efficient cache admission policy", 2017 (ageing).
"""

BLOCK_BYTES = 64
COUNTER_MAX = 15
BYTES_PER_KEY = 8
SAMPLE_PER_KEY = 10
SIZE_BYTES_MIN = 4 * BLOCK_BYTES
SIZE_BYTES_MAX = 64 << 20  # for eight million keys; more of them share it, with larger errors
CHUNK_BYTES = 32 * 1024

# Ten bits of the hash choose a byte in each half of the block: one lookup instead of two shifts and two masks.
_PAIRS = tuple((low, 32 + high) for high in range(32) for low in range(32))
_HALVES = bytes((value >> 1) & 0x77 for value in range(256))


class FrequencySketch(object):
    """Estimated frequencies of keys, each named by a well mixed hash of at least 60 bits."""

    __slots__ = ("_table", "_mask", "_room", "_additions", "_sweep")

    def __init__(self, key_count=0):
        self._table = bytearray(SIZE_BYTES_MIN)
        self._sweep = -1  # where halving goes on, or -1
        self._additions = 0
        self._resize()
        self.ensure(key_count)

    @property
    def size_bytes(self):
        """Memory of the counters."""
        return len(self._table)

    def _resize(self):
        self._mask = len(self._table) - BLOCK_BYTES
        self._room = len(self._table) // BYTES_PER_KEY

    def ensure(self, key_count):
        """Grow until there are counters for so many keys.  Cost: O(1); a copy of the table where it doubles."""
        while key_count > self._room and len(self._table) < SIZE_BYTES_MAX:
            self._finish_sweep()
            self._table = self._table + self._table
            self._resize()

    def estimate(self, key_hash):
        """How often the key was counted lately: 0 to 15.  Cost: O(1), about 0.4 us."""
        table = self._table
        block = key_hash & self._mask
        bits = key_hash >> 36
        first, second = _PAIRS[bits & 1023]
        third, fourth = _PAIRS[bits >> 10 & 1023]
        least = table[block + first] & 15
        other = table[block + second] & 15
        if other < least:
            least = other
        other = table[block + third] >> 4
        if other < least:
            least = other
        other = table[block + fourth] >> 4
        return other if other < least else least

    def increment(self, key_hash):
        """Count the key once.  Cost: O(1), about 0.6 us; some tens of microseconds in a step of halving."""
        table = self._table
        block = key_hash & self._mask
        bits = key_hash >> 36
        first, second = _PAIRS[bits & 1023]
        third, fourth = _PAIRS[bits >> 10 & 1023]
        first += block
        second += block
        third += block
        fourth += block
        a = least = table[first] & 15
        b = table[second] & 15
        if b < least:
            least = b
        c = table[third] >> 4
        if c < least:
            least = c
        d = table[fourth] >> 4
        if d < least:
            least = d
        if least != 15:
            # Only the least counters of a key grow: the others were raised by somebody else.
            if a == least:
                table[first] += 1
            if b == least:
                table[second] += 1
            if c == least:
                table[third] += 16
            if d == least:
                table[fourth] += 16
        self._additions += 1
        if self._additions >= SAMPLE_PER_KEY * self._room or self._sweep >= 0:
            self._halve()

    def _halve(self):
        """One step of halving: of the next chunk."""
        if self._sweep < 0:
            self._sweep = 0
            self._additions = 0
        begin = self._sweep
        end = begin + CHUNK_BYTES
        self._table[begin:end] = self._table[begin:end].translate(_HALVES)
        self._sweep = end if end < len(self._table) else -1

    def _finish_sweep(self):
        while self._sweep >= 0:
            self._halve()

    def clear(self):
        """Forget everything, and give the memory back."""
        self.__init__()

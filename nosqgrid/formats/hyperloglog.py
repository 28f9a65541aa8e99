"""HyperLogLog as Redis stores it: counting different elements in some bytes, which a Redis server can go on with.

    offset  size
         0     4   "HYLL"
         4     1   encoding: 0 dense, 1 sparse
         5     3   zero
         8     8   the count when it was last computed, little-endian; its highest bit: the registers changed since
        16     -   the registers

There are 16,384 registers of 6 bits.  An element's hash (64 bits) names one by its lowest 14; the register has the most
that was seen of 1 + the zeros that follow upwards.

    dense    register i in the bits from 6 * i on, counted from the lowest bit of the first byte: 12,288 bytes
    sparse   runs of equal registers, one after the other:
             00nnnnnn             n + 1 zeros
             01nnnnnn nnnnnnnn    n + 1 zeros, the high bits first
             1vvvvvnn             n + 1 times v + 1

In here registers are 16,384 bytes of one each where many are looked at.  Dense ones become such by base64, whose digits
have 6 bits as well, in the opposite order.

Sources: P. Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007;
S. Heule et al., "HyperLogLog in practice", 2013 (sparse form, 64 bits); O. Ertl, "New cardinality estimation algorithms
for HyperLogLog sketches", arXiv:1702.01284 (the estimator); A. Appleby's MurmurHash64A (public domain); the layout is
described at https://redis.io/docs/latest/develop/data-types/probabilistic/hyperloglogs/ and antirez.com/news/75.
"""

import base64
import math
import re
import struct
from bisect import bisect_left, bisect_right
from itertools import accumulate, chain

from ..errors import CorruptValueError

REGISTERS = 16384
HEADER_SIZE_BYTES = 16
DENSE_SIZE_BYTES = HEADER_SIZE_BYTES + REGISTERS * 6 // 8
SPARSE_SIZE_BYTES_MAX = 3000  # header included; what would be larger becomes dense (hll-sparse-max-bytes)
EMPTY = b"HYLL\x01\x00\x00\x00" + bytes(8) + b"\x7f\xff"

_MAGIC = b"HYLL"
_DENSE, _SPARSE = 0, 1
_INDEX_BITS = 14
_QUEUE_BITS = 64 - _INDEX_BITS
_SPARSE_VALUE_MAX = 32
_SPARSE_RUN_MAX = 4
_ZERO_RUN_MAX = 64
_JOINED_RUNS = 5  # looked at after a change; as many as Redis does, so that both have the same bytes
_STALE = 0x80  # in the last byte of the count

# -- the hash ---------------------------------------------------------------------------------------------------------

_SEED = 0xADC83B19
_FACTOR = 0xC6A4A7935BD1E995
_MASK = (1 << 64) - 1


def murmur64a(data, seed=_SEED):
    """MurmurHash64A of some bytes.  Cost: 0.7 us, and 0.4 us for each 8 bytes."""
    size = len(data)
    state = seed ^ (size * _FACTOR & _MASK)
    rest = size & 7
    for block in struct.unpack("<%dQ" % (size >> 3), data[:size - rest] if rest else data):
        block = block * _FACTOR & _MASK
        state = (state ^ ((block ^ block >> 47) * _FACTOR & _MASK)) * _FACTOR & _MASK
    if rest:
        state = (state ^ int.from_bytes(data[size - rest:], "little")) * _FACTOR & _MASK
    state = (state ^ state >> 47) * _FACTOR & _MASK
    return state ^ state >> 47


def place_of(element):
    """(register, count) of an element."""
    hashed = murmur64a(element)
    rest = hashed >> _INDEX_BITS | 1 << _QUEUE_BITS
    return hashed & REGISTERS - 1, (rest & -rest).bit_length()


# -- what a value is --------------------------------------------------------------------------------------------------


def is_valid(value):
    """Whether a value has the header of a HyperLogLog and, if it is dense, its length."""
    if len(value) < HEADER_SIZE_BYTES or value[:4] != _MAGIC or value[4] > _SPARSE:
        return False
    return value[4] == _SPARSE or len(value) == DENSE_SIZE_BYTES


def is_sparse(value):
    """Whether a valid value is sparse."""
    return value[4] == _SPARSE


def cached_count(value):
    """The count that is stored in a value, or None where it was not computed since the last change."""
    return None if value[15] & _STALE else int.from_bytes(value[8:16], "little")


def with_count(value, count):
    """The value with a count that belongs to it."""
    return b"%b%b%b" % (value[:8], struct.pack("<Q", count), value[16:])


def without_count(value):
    """The value with its count marked as one to be computed again."""
    return b"%b%c%b" % (value[:15], value[15] | _STALE, value[16:])


# -- registers --------------------------------------------------------------------------------------------------------

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FROM_BASE64 = bytes.maketrans(_BASE64, bytes(range(64)))
_TO_BASE64 = bytes.maketrans(bytes(range(64)), _BASE64)

# What each byte of the sparse form that is no run of many zeros stands for.
_RUNS = [bytes(code + 1) for code in range(64)] + [b""] * 64 + [
    bytes([(code >> 2 & 31) + 1]) * ((code & 3) + 1) for code in range(128, 256)]
_RUN_LENGTHS = bytes(map(len, _RUNS))

# Bytes that are a run each, and behind them a run of many zeros, which has two.
_pieces = re.compile(rb"([^\x40-\x7f]*)([\x40-\x7f].?)?", re.DOTALL).findall
_equal_runs = re.compile(rb"(\x00+|([^\x00])\2{0,3})", re.DOTALL).findall


def registers_of(value):
    """The registers of a valid value, a byte each.

    Raises:
        CorruptValueError: a sparse value has more or less than there are.
    Cost: 50 us dense; sparse up to 150 us.
    """
    if value[4] == _DENSE:
        return base64.b64encode(value[:HEADER_SIZE_BYTES - 1:-1]).translate(_FROM_BASE64)[::-1]
    parts, count = [], 0
    for runs, zeros in _pieces(value[HEADER_SIZE_BYTES:]):
        count += sum(runs.translate(_RUN_LENGTHS))
        if zeros:
            length = _many_zeros(zeros)
            count += length
        if count > REGISTERS:
            break
        parts.extend(map(_RUNS.__getitem__, runs))
        if zeros:
            parts.append(bytes(length))
    if count != REGISTERS:
        raise CorruptValueError("%d registers where there should be %d" % (count, REGISTERS))
    return b"".join(parts)


def _many_zeros(code):
    """The length of a run of two bytes; where the second one is missing, that of 0, as Redis reads it."""
    return ((code[0] & 0x3F) << 8 | (code[1] if len(code) > 1 else 0)) + 1


def described(value):
    """The runs of a sparse value for people: z:length (zeros), Z:length (many zeros), v:value,length."""
    words = []
    for runs, zeros in _pieces(value[HEADER_SIZE_BYTES:]):
        for code in runs:
            words.append(b"v:%d,%d" % ((code >> 2 & 31) + 1, (code & 3) + 1) if code >= 0x80 else b"z:%d" % (code + 1))
        if zeros:
            words.append(b"Z:%d" % _many_zeros(zeros))
    return b" ".join(words)


def dense_of(registers, header):
    """The dense value of registers, with the count of a header."""
    packed = base64.b64decode(registers[::-1].translate(_TO_BASE64))[::-1]
    return b"%b%c%b%b" % (_MAGIC, _DENSE, header[5:HEADER_SIZE_BYTES], packed)


def value_of(registers, header):
    """The value of registers, sparse if that is possible, with the count of a header."""
    if max(registers) <= _SPARSE_VALUE_MAX:
        codes = b"".join([_RUN_CODES.get(run) or _zeros_code(len(run)) for run, _ in _equal_runs(registers)])
        if HEADER_SIZE_BYTES + len(codes) <= SPARSE_SIZE_BYTES_MAX:
            return b"%b%c%b%b" % (_MAGIC, _SPARSE, header[5:HEADER_SIZE_BYTES], codes)
    return dense_of(registers, header)


def _zeros_code(length):
    if length > _ZERO_RUN_MAX:
        return struct.pack(">H", 0x4000 | length - 1)
    return b"%c" % (length - 1)


_RUN_CODES = {run: bytes([code]) for code, run in enumerate(_RUNS) if run}


def merged(left, right):
    """The larger of each two registers.  Cost: 60 us."""
    high = _HIGH_BITS
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    larger = (a | high) - b & high  # the highest bit of a byte: whether a's is at least b's
    mask = larger - (larger >> 7)
    return (a & mask | b & ~mask).to_bytes(REGISTERS, "little")


_HIGH_BITS = int.from_bytes(b"\x80" * REGISTERS, "little")


# -- adding -----------------------------------------------------------------------------------------------------------


class Adding(object):
    """A valid value that elements are added to.

    `value` is what it has become, its count not yet marked as stale.  Whoever adds to it again may pass the `runs` of
    the last time, which are used if they are those of this very value: to find them costs up to 0.2 ms.
    """

    def __init__(self, value, runs=None):
        self.runs = None  # of a sparse value
        self._value = value
        self._dense = None  # a bytearray, once it changed
        if is_sparse(value):
            codes = value[HEADER_SIZE_BYTES:]
            self.runs = runs if runs is not None and runs.codes == codes else SparseRuns(codes)

    @property
    def value(self):
        if self.runs is not None:
            return self._value[:HEADER_SIZE_BYTES] + self.runs.codes
        return self._value if self._dense is None else bytes(self._dense)

    def add(self, element):
        """Let the registers see an element; whether that changed one.  Cost: the hash, and 0.5 us, sparse 1 to 4."""
        index, count = place_of(element)
        if self.runs is not None:
            changed = self.runs.set(index, count)
            if changed is not None:
                return changed
            self._value, self.runs = dense_of(registers_of(self.value), self._value), None
        return self._set_dense(index, count)

    def _set_dense(self, index, count):
        value, bit = self._value if self._dense is None else self._dense, 6 * index
        at, shift = HEADER_SIZE_BYTES + (bit >> 3), bit & 7
        two = value[at:at + 2]  # one, at the end
        number = int.from_bytes(two, "little")
        old = number >> shift & 63
        if old >= count:
            return False
        if self._dense is None:
            self._dense = bytearray(value)
        self._dense[at:at + 2] = (number ^ (old ^ count) << shift).to_bytes(len(two), "little")
        return True


class SparseRuns(object):
    """A sparse value without its header, and the first register of each of its runs.

    As in Redis what stands behind the last register is no matter here.
    """

    __slots__ = ("codes", "_firsts", "_many")

    def __init__(self, codes):
        firsts, many, first = [], [], 0
        for runs, zeros in _pieces(codes):
            if runs:
                starts = list(accumulate(chain((first,), runs.translate(_RUN_LENGTHS))))
                first = starts.pop()
                firsts += starts
            if zeros:
                firsts.append(first)
                many.append(first)
                first += _many_zeros(zeros)
        firsts.append(first)
        self.codes = codes
        self._firsts = firsts
        self._many = many  # of the runs that have two bytes

    def set(self, index, count):
        """Raise a register; whether it was less, or None where the value would have to be dense.

        Raises:
            CorruptValueError: the value has less registers.
        """
        if count > _SPARSE_VALUE_MAX:
            return None
        codes, firsts, many = self.codes, self._firsts, self._many
        if index >= firsts[-1]:
            raise CorruptValueError("%d registers where there should be %d" % (firsts[-1], REGISTERS))
        place = bisect_right(firsts, index) - 1
        first, following = firsts[place], firsts[place + 1]
        many_before = bisect_left(many, first)
        at = place + many_before
        code = codes[at]
        if code >= 0x80 and (code >> 2 & 31) + 1 >= count:
            return False
        code_size = 2 if 0x40 <= code < 0x80 else 1
        new = b"%b%c%b" % (_rest_code(code, index - first), 0x80 | count - 1 << 2,
                           _rest_code(code, following - index - 1))
        if len(new) > code_size and HEADER_SIZE_BYTES + len(codes) + len(new) - code_size > SPARSE_SIZE_BYTES_MAX:
            return None
        self.codes = b"%b%b%b" % (codes[:at], new, codes[at + code_size:])
        self._split(place, index, code_size == 2, many_before)
        if place:
            previous_is_many = many_before and many[many_before - 1] == firsts[place - 1]
            self._join(place - 1, at - (2 if previous_is_many else 1))
        else:
            self._join(place, at)
        return True

    def _split(self, place, index, is_many, many_before):
        """The run at a place became what is before a register, that register, and what is behind it."""
        first, following = self._firsts[place:place + 2]
        starts = [first, index] if index > first else [index]
        if following > index + 1:
            starts.append(index + 1)
        self._firsts[place:place + 1] = starts
        if is_many:
            self._many[many_before:many_before + 1] = \
                [first] * (index - first > _ZERO_RUN_MAX) + [index + 1] * (following - index - 1 > _ZERO_RUN_MAX)

    def _join(self, place, at):
        """Make one of equal neighbours that fit into one, among the next five runs."""
        for _ in range(_JOINED_RUNS):
            codes = self.codes
            if at >= len(codes) - 1:
                break
            code, following = codes[at], codes[at + 1]
            if code < 0x80:
                at += 2 if code >= 0x40 else 1
                place += 1
                continue
            length = (code & 3) + (following & 3) + 2
            if code >> 2 == following >> 2 and length <= _SPARSE_RUN_MAX:
                self.codes = b"%b%c%b" % (codes[:at], code & 0xFC | length - 1, codes[at + 2:])
                del self._firsts[place + 1]
            else:
                at += 1
                place += 1


def _rest_code(code, length):
    """What is left of a run when there are so many of it."""
    if not length:
        return b""
    return _zeros_code(length) if code < 0x80 else b"%c" % (code & 0xFC | length - 1)


# -- counting ---------------------------------------------------------------------------------------------------------

_ALPHA = 0.721347520444481703680  # 1 / (2 ln 2)
_COUNT_MAX = 2 ** 63 - 1


def estimate(registers):
    """How many different elements these registers have seen.

    Raises:
        CorruptValueError: they are larger than any element makes them.
    Cost: 0.1 to 0.3 ms.
    """
    counts, left = [0] * (_QUEUE_BITS + 2), REGISTERS
    for number in range(_QUEUE_BITS + 2):
        counts[number] = registers.count(number)
        left -= counts[number]
        if not left:
            break
    size = float(REGISTERS)
    z = size * _tau((size - counts[_QUEUE_BITS + 1]) / size)
    for number in range(_QUEUE_BITS, 0, -1):
        z = (z + counts[number]) * 0.5
    z += size * _sigma(counts[0] / size)
    if not z:
        raise CorruptValueError("no element has such a hash that these registers would be so large")
    return min(int(math.floor(_ALPHA * size * size / z + 0.5)), _COUNT_MAX)


def _sigma(x):
    """x + the sum of x ** (2 ** k) * 2 ** (k - 1) from k = 1 on."""
    if x == 1.0:
        return float("inf")
    y, z = 1.0, x
    while True:
        x *= x
        before, z = z, z + x * y
        y += y
        if z == before:
            return z


def _tau(x):
    """(1 - x - the sum of (1 - x ** (2 ** -k)) ** 2 * 2 ** -k from k = 1 on) / 3."""
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before, y = z, y * 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0

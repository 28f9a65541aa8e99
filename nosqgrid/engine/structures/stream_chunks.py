"""Chunks: some hundred entries of a stream that follow each other, packed.

An entry is an id and a record; a record is what Redis calls field-value pairs, in one piece of the chunk's data:

    kind  1 byte: 0 the names are the chunk's, 2 they are not; +1 where a length does not fit into a byte
    count 4 bytes, of the words; only where the names are not the chunk's
    the length of each word, in 1 byte or in 4, and the words: the values alone where the names are the chunk's

Most streams have the same names in each entry, so that an entry costs its values, a byte for each, and 21 bytes.

Invariants
 1. ids has 16 bytes for each live entry, in their order; starts has where its record begins in data.  Records lie in
    data in the order of their coming, with what was deleted between them until that is more than what lives.
 2. live_bytes is the sum of the records of live entries.
 3. dead and weight are what decides when a chunk is full: how many entries were deleted, and how large all of them,
    the deleted included, would be for Redis.
"""

import struct
from array import array

from .ids import SIZE_BYTES

ENTRY_BYTES = SIZE_BYTES + 4  # of an entry beside its record
CHUNK_BYTES = 640  # of a chunk without entries
NAME_BYTES = 48  # of a name beside its bytes

_OTHER_NAMES, _WIDE = 2, 1
_COUNT = struct.Struct("<I")
_WEIGHT_OF_ENTRY = 8
_WEIGHT_BESIDE_CHANGE = _WEIGHT_OF_ENTRY - 2
_GARBAGE_BYTES_MIN = 4096


def pack_record(names, words):
    """The record of an entry's words, names and values in turn, in a chunk that has these names."""
    kind = b""
    if words[::2] == names:
        words = words[1::2]
        try:
            return b"\0" + bytes(map(len, words)) + b"".join(words)
        except ValueError:  # a length beyond 255
            kind = b"\1"
    else:
        kind = b"\2" + _COUNT.pack(len(words))
        try:
            return kind + bytes(map(len, words)) + b"".join(words)
        except ValueError:
            kind = b"\3" + kind[1:]
    return kind + struct.pack("<%dI" % len(words), *map(len, words)) + b"".join(words)


def _lengths_at(data, start, names):
    """(lengths of the words of a record, where the first of them begins)."""
    kind, start = data[start], start + 1
    count = len(names)
    if kind & _OTHER_NAMES:
        count, = _COUNT.unpack_from(data, start)
        start += _COUNT.size
    if kind & _WIDE:
        return struct.unpack_from("<%dI" % count, data, start), start + 4 * count
    return data[start:start + count], start + count


class Chunk(object):
    """One chunk; `names` are those of the entry for which it was made, `last` the id that was appended last."""

    __slots__ = ("names", "last", "dead", "weight", "live_bytes", "ids", "starts", "data")

    def __init__(self, names, last, dead=0, weight=0):
        self.names = names
        self.last = last
        self.dead = dead
        self.weight = weight
        self.live_bytes = 0
        self.ids = bytearray()
        self.starts = array("I")
        self.data = bytearray()

    def __len__(self):
        return len(self.starts)

    @property
    def size_bytes(self):
        """What it takes, nearly."""
        return (CHUNK_BYTES + sum(map(len, self.names)) + NAME_BYTES * len(self.names) + ENTRY_BYTES * len(self)
                + self.live_bytes)

    def append(self, entry_id, change):
        """Add an entry behind the last, its words the third and those behind it; how much more that takes."""
        record, data = None, self.data
        if change[2::2] == self.names:  # as pack_record() has it, without a copy of the words
            kept = change[3::2]
            try:
                record = b"\0" + bytes(map(len, kept)) + b"".join(kept)
            except ValueError:
                record = None
        if record is None:
            record = pack_record(self.names, change[2:])
        size = len(record)
        self.starts.append(len(data))
        self.ids += entry_id
        data += record
        self.last = entry_id
        self.weight += size + len(change) + _WEIGHT_BESIDE_CHANGE
        self.live_bytes += size
        return size + ENTRY_BYTES

    def take_back(self, last):
        """Undo the append that was the last; how much less that takes."""
        lengths, _ = _lengths_at(self.data, self.starts[-1], self.names)
        words = len(lengths) if self.data[self.starts[-1]] & _OTHER_NAMES else 2 * len(lengths)
        dead = self.dead
        size = self.remove(len(self) - 1, len(self))
        self.dead = dead
        self.last = last
        self.weight -= size - ENTRY_BYTES + words + _WEIGHT_OF_ENTRY
        return size

    def insert(self, position, entry_id, words):
        """Put an entry back; how much more that takes."""
        record = pack_record(self.names, words)
        self.ids[SIZE_BYTES * position:SIZE_BYTES * position] = entry_id
        self.starts.insert(position, len(self.data))
        self.data += record
        self.live_bytes += len(record)
        return len(record) + ENTRY_BYTES

    def remove(self, low, high):
        """Remove the entries at these positions; how much less that takes."""
        size = 0
        for start in self.starts[low:high]:
            lengths, at = _lengths_at(self.data, start, self.names)
            size += at - start + sum(lengths)
            if at + sum(lengths) == len(self.data):
                del self.data[start:]
        del self.ids[SIZE_BYTES * low:SIZE_BYTES * high], self.starts[low:high]
        self.dead += high - low
        self.live_bytes -= size
        if len(self.data) - self.live_bytes > max(self.live_bytes, _GARBAGE_BYTES_MIN):
            self._compact()
        return size + ENTRY_BYTES * (high - low)

    def _compact(self):
        data, starts = bytearray(), array("I")
        for start in self.starts:
            lengths, at = _lengths_at(self.data, start, self.names)
            starts.append(len(data))
            data += self.data[start:at + sum(lengths)]
        self.data, self.starts = data, starts

    def position(self, entry_id):
        """How many live entries come before an id."""
        ids, low, high = bytes(self.ids), 0, len(self.starts)  # a slice of bytes costs half of one of a bytearray
        while low < high:
            middle = (low + high) >> 1
            if ids[SIZE_BYTES * middle:SIZE_BYTES * middle + SIZE_BYTES] < entry_id:
                low = middle + 1
            else:
                high = middle
        return low

    def position_behind(self, entry_id):
        """How many live entries do not come after an id."""
        if self.last <= entry_id:
            return len(self.starts)
        position = self.position(entry_id)
        at = SIZE_BYTES * position
        return position + 1 if self.ids[at:at + SIZE_BYTES] == entry_id else position

    def id_at(self, position):
        """The id of the entry at a position; negative ones count from the end."""
        at = SIZE_BYTES * (position if position >= 0 else position + len(self.starts))
        return bytes(self.ids[at:at + SIZE_BYTES])

    def read(self, low, high):
        """[(id, words)] of the entries at these positions.  Cost: some 0.8 us each."""
        ids, data, names, words_at = bytes(self.ids), bytes(self.data), self.names, self._words_at
        at, found, count = SIZE_BYTES * low, [], len(names)
        for start in self.starts[low:high]:
            if data[start]:
                words = words_at(data, start)
            else:
                words, start = [], start + 1
                begin = start + count
                for name, length in zip(names, data[start:begin]):
                    words.append(name)
                    words.append(data[begin:begin + length])
                    begin += length
            found.append((ids[at:at + SIZE_BYTES], words))
            at += SIZE_BYTES
        return found

    def _words_at(self, data, start):
        """Names and values in turn of the record at a place."""
        lengths, at = _lengths_at(data, start, self.names)
        words, names = [], () if data[start] & _OTHER_NAMES else self.names
        for index, length in enumerate(lengths):
            if names:
                words.append(names[index])
            words.append(bytes(data[at:at + length]))
            at += length
        return words

    def copy(self):
        """An equal chunk of its own."""
        made = Chunk(self.names, self.last, self.dead, self.weight)
        made.live_bytes, made.ids, made.starts, made.data = self.live_bytes, self.ids[:], self.starts[:], self.data[:]
        return made

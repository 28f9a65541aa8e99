"""Streams: entries with ascending ids, in chunks, and consumer groups (stream_groups).

    add    id name value ...           append an entry to the last chunk
    node   id name value ...           append it to a chunk of its own
    unadd  id chunk_id                 take that back: the last id before, of the stream and of its last chunk
    del    id ids...                   delete entries; the first id is the largest that was deleted from now on
    trim   count                       drop so many entries from the front
    put    (header words)...           entries as they were: HEADER, and its words; before the first of a chunk that is
                                       not there CHUNK_HEADER, and its names
    meta   id id count                 the last id, the largest deleted, how many were ever added

Redis drops whole nodes where a stream is trimmed nearly; so that as many entries go here, chunks begin where its nodes
would, and it is the command that says so: an effect does not depend on settings.

Invariants
 1. _chunks are not empty and follow each other; _firsts has an id for each that no entry of it is before and no entry
    of those before reaches.
 2. _length is the number of entries.
 3. No entry is behind last_id.

With its chunks a million entries of one field and a value of 10 bytes take some 35 MB.
"""

import struct
from bisect import bisect_right

from ...formats import values
from . import stream_groups
from .ids import LAST, SIZE_BYTES, ZERO
from .stream_chunks import Chunk
from .stream_groups import UNKNOWN, Later, corrupt
from .structure import Structure

HEADER = struct.Struct("<16sI")  # id, how many words
CHUNK_HEADER = struct.Struct("<16s16sIQI")  # first id, last appended, dead, weight, how many names

_PUT_BYTES = 16 * 1024  # of a change of changes(), at least: 1 ms
_ADDED_DIGITS = 20


class Stream(Structure):
    """A stream; last_id, max_deleted_id, entries_added and groups (name -> Group) are there to be read.

    node_entries_max and node_bytes_max are Redis' settings stream-node-max-entries and stream-node-max-bytes.
    """

    __slots__ = ("last_id", "max_deleted_id", "entries_added", "groups", "_chunks", "_firsts", "_length")

    TYPE = values.STREAM
    KEPT_EMPTY = True
    node_entries_max = 100
    node_bytes_max = 4096

    def __init__(self):
        super().__init__()
        self.last_id = self.max_deleted_id = ZERO
        self.entries_added = 0
        self.groups = {}
        self._chunks, self._firsts = [], []
        self._length = 0

    def __len__(self):
        return self._length

    def apply(self, words):
        """See Structure; the inverse may be made only when somebody goes through it."""
        operation = _OPERATIONS.get(words[0]) if len(words) > 1 else None
        if operation is None:
            raise corrupt(words)
        return operation(self, words)

    # -- what there is ------------------------------------------------------------------------------------------------

    @staticmethod
    def encoding():
        """What OBJECT ENCODING says."""
        return b"stream"

    @property
    def chunk_count(self):
        """How many chunks there are."""
        return len(self._chunks)

    def first_id(self):
        """The id of the first entry, or ZERO."""
        return self._chunks[0].id_at(0) if self._chunks else ZERO

    def top_id(self):
        """The id of the last entry, or ZERO."""
        return self._chunks[-1].id_at(-1) if self._chunks else ZERO

    def has(self, entry_id):
        """Whether there is an entry with this id."""
        return self._find(entry_id) is not None

    def entry(self, entry_id):
        """Names and values in turn of the entry with this id, or None."""
        found = self._find(entry_id)
        return found and self._chunks[found[0]].read(found[1], found[1] + 1)[0][1]

    def _find(self, entry_id):
        """(chunk, position in it) of an entry, or None."""
        index = bisect_right(self._firsts, entry_id) - 1
        if index < 0:
            return None
        chunk = self._chunks[index]
        position = chunk.position(entry_id)
        return (index, position) if position < len(chunk) and chunk.id_at(position) == entry_id else None

    def range(self, start, end, limit=0):
        """[(id, names and values in turn)] of the entries from one id to another, at most `limit` of them."""
        index = bisect_right(self._firsts, start) - 1
        low = self._chunks[index].position(start) if index >= 0 else 0
        return self._range(max(index, 0), low, end, limit)

    def range_behind(self, entry_id, limit=0):
        """The same of the entries behind an id."""
        index = bisect_right(self._firsts, entry_id) - 1
        low = self._chunks[index].position_behind(entry_id) if index >= 0 else 0
        return self._range(max(index, 0), low, LAST, limit)

    def _range(self, index, low, end, limit):
        found, firsts = [], self._firsts
        while index < len(firsts) and firsts[index] <= end:
            chunk = self._chunks[index]
            high = chunk.position_behind(end)
            if limit:
                high = min(high, low + limit - len(found))
            if low < high:
                found += chunk.read(low, high)
            if limit and len(found) >= limit:
                break
            low = 0
            index += 1
        return found

    def range_back(self, start, end, limit=0):
        """The same as range(), from the end on."""
        found = []
        index = bisect_right(self._firsts, end) - 1
        while index >= 0:
            chunk = self._chunks[index]
            low, high = chunk.position(start) if self._firsts[index] < start else 0, chunk.position_behind(end)
            if limit:
                low = max(low, high - limit + len(found))
            if low < high:
                found += reversed(chunk.read(low, high))
            if limit and len(found) >= limit or self._firsts[index] <= start:
                break
            index -= 1
        return found

    def is_broken_behind(self, entry_id):
        """Whether an entry behind an id, or that of the id, may have been deleted and others before it not."""
        return entry_id <= self.max_deleted_id != ZERO and bool(self._chunks) and self.first_id() <= self.max_deleted_id

    def rank_of(self, entry_id):
        """How many entries were ever added up to an id, or UNKNOWN."""
        if not self.entries_added:
            return 0
        if not self._length and entry_id <= self.last_id or entry_id == self.last_id:
            return self.entries_added
        if entry_id > self.last_id:
            return UNKNOWN
        first_id = self.first_id()
        if self.max_deleted_id == ZERO or self.max_deleted_id < first_id:
            if entry_id < first_id:
                return self.entries_added - self._length
            if entry_id == first_id:
                return self.entries_added - self._length + 1
        return UNKNOWN

    def is_full(self, size_bytes):
        """Whether an entry with words of so many bytes begins a chunk."""
        if not self._chunks:
            return True
        chunk, entries_max = self._chunks[-1], self.node_entries_max
        return (chunk.weight + size_bytes >= (self.node_bytes_max or 1 << 30)
                or 0 < entries_max <= len(chunk.starts) + chunk.dead)

    def count_over(self, length_max):
        """How many entries there are above so many."""
        return max(self._length - length_max, 0)

    def count_before(self, entry_id):
        """How many entries come before an id.  Costs a step for each chunk before it."""
        index = bisect_right(self._firsts, entry_id) - 1
        if index < 0:
            return 0
        return sum(map(len, self._chunks[:index])) + self._chunks[index].position(entry_id)

    def count_of_chunks(self, length_max, entry_id, limit):
        """How many entries are in the chunks at the front that may go as a whole, at most `limit` (0: no limit).

        They may as long as `length_max` entries stay, or where they end before an id if `length_max` is None.
        """
        count = 0
        for chunk in self._chunks:
            entries = len(chunk)
            if limit and count + entries > limit:
                break
            if chunk.last >= entry_id if length_max is None else self._length - count - entries < length_max:
                break
            count += entries
        return count

    # -- changes ------------------------------------------------------------------------------------------------------

    def _add(self, words):
        entry_id, last_id = words[1], self.last_id
        if len(words) < 4 or len(words) & 1 or len(entry_id) != SIZE_BYTES or entry_id <= last_id:
            raise corrupt(words)
        if words[0] == b"add" and self._chunks:
            chunk = self._chunks[-1]
            chunk_id = chunk.last
        else:
            chunk = self._begin_chunk(entry_id, words[2::2])
            chunk_id = entry_id
        self.size_bytes += chunk.append(entry_id, words)
        self.last_id = entry_id
        self.entries_added += 1
        self._length += 1
        return [[b"unadd", last_id, chunk_id]]

    def _begin_chunk(self, entry_id, names):
        """A new last chunk; it shares its names with the one before where they are the same."""
        chunks = self._chunks
        if chunks and chunks[-1].names == names:
            names = chunks[-1].names
        chunk = Chunk(names, entry_id)
        chunks.append(chunk)
        self._firsts.append(entry_id)
        self.size_bytes += chunk.size_bytes
        return chunk

    def _unadd(self, words):
        if len(words) != 3 or not self._chunks or self.top_id() != self.last_id or not self.entries_added:
            raise corrupt(words)
        chunk, (_, last_id, chunk_id) = self._chunks[-1], words
        before = self._chunks[-1].id_at(-2) if len(chunk) > 1 else self._firsts[-1]
        if not len(last_id) == len(chunk_id) == SIZE_BYTES or last_id >= self.last_id or chunk_id < before:
            raise corrupt(words)
        entry_id, entry = chunk.read(len(chunk) - 1, len(chunk))[0]
        inverse = [[b"add" if len(chunk) > 1 else b"node", entry_id] + entry]
        self.size_bytes -= chunk.take_back(chunk_id)
        self._drop_if_empty(len(self._chunks) - 1)
        self.last_id = last_id
        self.entries_added -= 1
        self._length -= 1
        return inverse

    def _drop_if_empty(self, index):
        chunk = self._chunks[index]
        if not chunk:
            self.size_bytes -= chunk.size_bytes
            del self._chunks[index], self._firsts[index]

    def _del(self, words):
        max_deleted_id, ids = words[1], words[2:]
        places = [len(entry_id) == SIZE_BYTES and self._find(entry_id) for entry_id in ids]
        if len(max_deleted_id) != SIZE_BYTES or not ids or len(set(ids)) != len(ids) or not all(places):
            raise corrupt(words)
        inverse = [self._meta_words()]
        for number, entry_id in enumerate(ids):
            index, position = self._find(entry_id) if number else places[0]
            inverse.append(self._remove(index, position, position + 1))
        inverse.reverse()
        self.max_deleted_id = max_deleted_id
        return inverse

    def _remove(self, index, low, high):
        """Remove entries of a chunk; the change that puts them back."""
        chunk = self._chunks[index]
        words = [b"put"]
        if high - low == len(chunk):
            words += self._chunk_words(self._firsts[index], chunk)
        else:
            words += _entry_words(chunk.read(low, high))
        self.size_bytes -= chunk.remove(low, high)
        self._length -= high - low
        self._drop_if_empty(index)
        return words

    def _trim(self, words):
        if len(words) != 2 or not words[1].isdigit() or len(words[1]) > _ADDED_DIGITS:
            raise corrupt(words)
        count = int(words[1])
        if not 0 < count <= self._length:
            raise corrupt(words)
        whole, left = 0, count
        while left and len(self._chunks[whole]) <= left:
            left -= len(self._chunks[whole])
            whole += 1
        dropped = list(zip(self._firsts[:whole], self._chunks[:whole]))
        del self._firsts[:whole], self._chunks[:whole]
        self._length -= count - left
        self.size_bytes -= sum(chunk.size_bytes for _, chunk in dropped)
        part = self._remove(0, 0, left) if left else None
        if not dropped:
            return [part]
        return Later(lambda: ([part] if part else []) + [
            [b"put"] + self._chunk_words(first, chunk) for first, chunk in reversed(dropped)])

    @staticmethod
    def _chunk_words(first, chunk):
        """The words of a put that makes a whole chunk."""
        header = CHUNK_HEADER.pack(first, chunk.last, chunk.dead, chunk.weight, len(chunk.names))
        return [header] + chunk.names + _entry_words(chunk.read(0, len(chunk)))

    def _put(self, words):
        chunks, entries = _read_put(words)
        known = set()
        for entry_id, _ in entries:
            if entry_id in known or entry_id > self.last_id or not self._chunks or self.has(entry_id):
                raise corrupt(words)
            known.add(entry_id)
        if chunks and entries:
            raise corrupt(words)
        self._check_chunks(chunks, words)
        for entry_id, entry in entries:
            index = max(bisect_right(self._firsts, entry_id) - 1, 0)
            chunk = self._chunks[index]
            self._firsts[index] = min(self._firsts[index], entry_id)
            self.size_bytes += chunk.insert(chunk.position(entry_id), entry_id, entry)
            chunk.last = max(chunk.last, entry_id)
            chunk.dead = max(chunk.dead - 1, 0)
        for first, chunk, _ in chunks:
            self._place_chunk(first, chunk)
        self._length += len(entries) + sum(len(chunk) for _, chunk, _ in chunks)
        if not chunks:
            return [[b"del", self.max_deleted_id] + [entry_id for entry_id, _ in entries]]
        ids = [chunk.id_at(position) for _, chunk, _ in chunks for position in range(len(chunk))]
        return [[b"del", self.max_deleted_id] + ids]

    def _check_chunks(self, chunks, words):
        """New chunks come in their order, between two that are there or behind them all."""
        if not chunks:
            return
        first, last = chunks[0][0], chunks[-1][1].last
        index = bisect_right(self._firsts, first)
        if (index and self._chunks[index - 1].last >= first or index < len(self._firsts) and self._firsts[index] <= last
                or last > self.last_id):
            raise corrupt(words)
        before = None
        for first, chunk, ids in chunks:
            if before is not None and first <= before or ids[0] < first or ids[-1] > chunk.last:
                raise corrupt(words)
            if any(one >= other for one, other in zip(ids, ids[1:])):
                raise corrupt(words)
            before = chunk.last

    def _place_chunk(self, first, chunk):
        index = bisect_right(self._firsts, first)
        if index and self._chunks[index - 1].names == chunk.names:
            chunk.names = self._chunks[index - 1].names
        self._firsts.insert(index, first)
        self._chunks.insert(index, chunk)
        self.size_bytes += chunk.size_bytes

    def _meta_words(self):
        return [b"meta", self.last_id, self.max_deleted_id, b"%d" % self.entries_added]

    def _meta(self, words):
        if (len(words) != 4 or not len(words[1]) == len(words[2]) == SIZE_BYTES or words[1] < self.top_id()
                or not words[3].isdigit() or len(words[3]) > _ADDED_DIGITS):
            raise corrupt(words)
        inverse = self._meta_words()
        self.last_id, self.max_deleted_id, self.entries_added = words[1], words[2], int(words[3])
        return [inverse]

    # -- as a whole ---------------------------------------------------------------------------------------------------

    def changes(self):
        """See Structure."""
        yield self._meta_words()
        words, size = [b"put"], 0
        for first, chunk in zip(self._firsts, self._chunks):
            words += self._chunk_words(first, chunk)
            size += len(chunk.data) + len(chunk.ids)
            if size >= _PUT_BYTES:
                yield words
                words, size = [b"put"], 0
        if size:
            yield words
        for group in self.groups.values():
            for change in group.changes():
                yield change

    def copy(self):
        """See Structure."""
        made = Stream()
        made.last_id, made.max_deleted_id, made.entries_added = self.last_id, self.max_deleted_id, self.entries_added
        made._chunks, made._firsts = [chunk.copy() for chunk in self._chunks], self._firsts[:]
        made._length = self._length
        made.size_bytes += sum(chunk.size_bytes for chunk in made._chunks)
        for group in self.groups.values():
            for change in group.changes():
                made.apply(change)
        return made

    def shrink(self, count):
        """See Structure."""
        while count > 0 and self._chunks:
            self._firsts.pop()
            chunk = self._chunks.pop()
            self._length -= len(chunk)
            count -= len(chunk)
        while count > 0 and self.groups:
            name, group = next(iter(self.groups.items()))
            count -= max(group.shrink(), 1)
            if not group.pending and not group.consumers:
                del self.groups[name]
        return not self._chunks and not self.groups


def _entry_words(entries):
    """The words of a put for some entries."""
    words = []
    for entry_id, entry in entries:
        words.append(HEADER.pack(entry_id, len(entry)))
        words += entry
    return words


def _read_put(words):
    """([(first id, new Chunk, its ids)], [(id, words)] for chunks that are there) of a put; CorruptValueError."""
    chunks, entries, at, end = [], [], 1, len(words)
    while at < end:
        header = words[at]
        at += 1
        if len(header) == CHUNK_HEADER.size:
            first, last, dead, weight, count = CHUNK_HEADER.unpack(header)
            chunks.append((first, Chunk(words[at:at + count], last, dead, weight), []))
        elif len(header) == HEADER.size:
            entry_id, count = HEADER.unpack(header)
            if count < 2 or count & 1:
                raise corrupt(words)
            entry = words[at:at + count]
            if not chunks:
                entries.append((entry_id, entry))
            elif at + count <= end:
                _, chunk, ids = chunks[-1]
                chunk.insert(len(ids), entry_id, entry)
                ids.append(entry_id)
        else:
            raise corrupt(words)
        at += count
    if at > end or any(not ids for _, _, ids in chunks):
        raise corrupt(words)
    return chunks, entries


_OPERATIONS = dict(stream_groups.OPERATIONS)
_OPERATIONS.update({b"add": Stream._add, b"node": Stream._add, b"unadd": Stream._unadd, b"del": Stream._del,
                    b"trim": Stream._trim, b"put": Stream._put, b"meta": Stream._meta})

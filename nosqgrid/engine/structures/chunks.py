"""Elements in an order, in chunks: quick at both ends, and not slow in the middle.

Each chunk is a deque of up to CHUNK elements; but where there never were more than SHORT there is one chunk, a Python
list, which takes 700 bytes less.  What pushes and pops touch is the first chunk or the last alone.  Where in the middle
an element lies is looked up in the cumulated lengths of the chunks between the first and the last.

Invariants
 1. There is a first chunk, and no other chunk is empty.
 2. `_ends`, where it is not None, has the cumulated lengths of the chunks between the first and the last.
 3. A chunk that is a list is the only one.

Cost: for n elements the ends take a constant time, an index log(n), a change in the middle some n / CHUNK steps of
20 ns.
"""

from bisect import bisect_right
from collections import deque
from itertools import accumulate, chain, islice

from .structure import Structure

CHUNK = 1024
SHORT = 32
ELEMENT_BYTES = 50  # of a bytes object and its place, beside what is in it


class ShortChunk(list):
    """A list with what a deque has."""

    __slots__ = ()

    def appendleft(self, element):
        self.insert(0, element)

    def popleft(self):
        return self.pop(0)

    def extendleft(self, elements):
        self[:0] = list(elements)[::-1]


class Chunks(Structure):
    """The elements of a list.  `chunks` are for reading; they are never without one.

    What adds or removes one in the middle leaves size_bytes to its caller; what does at the ends says so.
    """

    __slots__ = ("chunks", "_count", "_ends")

    def __init__(self):
        super().__init__()
        self.chunks = [ShortChunk()]
        self._count = 0
        self._ends = None

    def __len__(self):
        return self._count

    def __iter__(self):
        return chain.from_iterable(self.chunks)

    # -- reading ------------------------------------------------------------------------------------------------------

    def _place(self, index):
        """(number of the chunk, position in it) of an index that is there."""
        chunks = self.chunks
        first = len(chunks[0])
        if index < first:
            return 0, index
        last = self._count - len(chunks[-1])
        if index >= last:
            return len(chunks) - 1, index - last
        index -= first
        ends = self._ends
        if ends is None:
            ends = self._ends = list(accumulate(map(len, islice(chunks, 1, len(chunks) - 1))))
        number = bisect_right(ends, index)
        return number + 1, index - (ends[number - 1] if number else 0)

    def at(self, index):
        """The element at an index that is there."""
        number, position = self._place(index)
        return self.chunks[number][position]

    def range(self, start, stop):
        """The elements from one index to before another, both of them there: 0 <= start <= stop <= length."""
        if start >= stop:
            return []
        number, position = self._place(start)
        wanted, found = stop - start, []
        while wanted > 0:
            chunk = self.chunks[number]
            found.extend(islice(chunk, position, position + wanted))
            wanted -= len(chunk) - position
            number, position = number + 1, 0
        return found

    def find(self, element, limit):
        """Yield the indexes of an element below `limit`, rising.  Cost: 20 ns for each other one that is passed."""
        start = 0
        for chunk in self.chunks:
            if element in chunk:
                for index, found in enumerate(chunk, start):
                    if index >= limit:
                        return
                    if found == element:
                        yield index
            start += len(chunk)
            if start >= limit:
                return

    def find_last(self, element, limit):
        """Yield the indexes of an element among the last `limit`, falling."""
        end, lowest = self._count, self._count - limit
        for chunk in reversed(self.chunks):
            if element in chunk:
                index = end
                for found in reversed(chunk):
                    index -= 1
                    if index < lowest:
                        return
                    if found == element:
                        yield index
            end -= len(chunk)
            if end <= lowest:
                return

    # -- ends ---------------------------------------------------------------------------------------------------------

    def _longer_first(self, chunk):
        """The chunk that takes another element at the beginning, where the first one is full."""
        return self._another_first() if len(chunk) >= CHUNK else self._lengthen()

    def _longer_last(self, chunk):
        return self._another_last() if len(chunk) >= CHUNK else self._lengthen()

    def _lengthen(self):
        """The list becomes longer than SHORT: its one chunk, if there is but one."""
        chunk = self.chunks[0]
        if type(chunk) is ShortChunk:
            chunk = self.chunks[0] = deque(chunk)
        return chunk

    def _another_first(self):
        chunk = deque()
        self.chunks.insert(0, chunk)
        self._ends = None
        return chunk

    def _another_last(self):
        chunk = deque()
        self.chunks.append(chunk)
        self._ends = None
        return chunk

    def _drop_empty(self, number):
        """A chunk has become empty."""
        if len(self.chunks) > 1:
            del self.chunks[number]
            self._ends = None

    def _extend(self, elements):
        """Put elements behind the last; count and size are the caller's."""
        chunk = self.chunks[-1]
        while True:
            before = len(chunk)
            chunk.extend(islice(elements, CHUNK - before))
            if len(chunk) < CHUNK:
                break
            chunk = self._another_last()
        if not chunk:
            self._drop_empty(-1)

    def _extend_left(self, elements):
        chunk = self.chunks[0]
        while True:
            before = len(chunk)
            chunk.extendleft(islice(elements, CHUNK - before))
            if len(chunk) < CHUNK:
                break
            chunk = self._another_first()
        if not chunk:
            self._drop_empty(0)

    def _take_left(self, count):
        """Remove so many from the beginning; they, in their order."""
        taken, chunks = [], self.chunks
        self._count -= count
        whole = 0
        while count and count >= len(chunks[whole]):
            count -= len(chunks[whole])
            taken.extend(chunks[whole])
            whole += 1
            if whole == len(chunks):
                chunks.append(ShortChunk())
        if whole:
            del chunks[:whole]
            self._ends = None
        popleft = chunks[0].popleft
        taken.extend([popleft() for _ in range(count)])
        self.size_bytes -= ELEMENT_BYTES * len(taken) + sum(map(len, taken))
        return taken

    def _take_right(self, count):
        """Remove so many from the end; they, in their order."""
        taken, chunks = [], self.chunks
        self._count -= count
        while count and count >= len(chunks[-1]):
            chunk = chunks.pop()
            self._ends = None
            count -= len(chunk)
            taken.extend(reversed(chunk))
            if not chunks:
                chunks.append(ShortChunk())
        pop = chunks[-1].pop
        taken.extend([pop() for _ in range(count)])
        taken.reverse()
        self.size_bytes -= ELEMENT_BYTES * len(taken) + sum(map(len, taken))
        return taken

    # -- the middle ---------------------------------------------------------------------------------------------------

    def _insert(self, index, element):
        chunks = self.chunks
        if self._count >= SHORT:
            self._lengthen()
        number, position = self._place(index) if index < self._count else (len(chunks) - 1, len(chunks[-1]))
        chunk = chunks[number]
        chunk.insert(position, element)
        self._count += 1
        if len(chunk) > CHUNK:
            rest = deque(islice(chunk, CHUNK // 2, None))
            for _ in range(len(rest)):
                chunk.pop()
            chunks.insert(number + 1, rest)
            self._ends = None
        else:
            self._moved(number, 1)

    def _moved(self, number, by):
        """A chunk has so many elements more: add them to what was cumulated of it and those behind it."""
        ends = self._ends
        if ends is not None and number:
            ends[number - 1:] = [end + by for end in ends[number - 1:]]

    def _delete(self, index):
        chunks = self.chunks
        number, position = self._place(index)
        chunk = chunks[number]
        element = chunk[position]
        del chunk[position]
        self._count -= 1
        self._moved(number, -1)
        if 0 < number < len(chunks) - 1 and len(chunk) <= CHUNK // 4:
            self._join(number)
        if not chunk:
            self._drop_empty(number)
        return element

    def _join(self, number):
        """Join a small chunk in the middle with the one behind it if that is small as well."""
        chunk, follower = self.chunks[number:number + 2]
        if len(chunk) + len(follower) <= CHUNK // 2:
            chunk.extend(follower)
            del self.chunks[number + 1]
            self._ends = None

    def _insert_many(self, indexes, elements):
        flat, merged, position = list(self), [], 0
        for index, element in zip(indexes, elements):
            following = position + index - len(merged)
            merged.extend(flat[position:following])
            merged.append(element)
            position = following
        merged.extend(flat[position:])
        self._fill(merged)

    def _delete_many(self, indexes):
        flat, kept, position = list(self), [], 0
        for index in indexes:
            kept.extend(flat[position:index])
            position = index + 1
        kept.extend(flat[position:])
        self._fill(kept)
        return [flat[index] for index in indexes]

    def _fill(self, elements):
        self.chunks = [deque(elements[start:start + CHUNK]) for start in range(0, len(elements), CHUNK)]
        if not elements:
            self.chunks.append(ShortChunk())
        self._count = len(elements)
        self._ends = None

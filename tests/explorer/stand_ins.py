"""Shared memory for the explorer: what the real code sees as `words`, `arena` and `unpack`, every access a step.

A Memory is one bytearray with the faces that the package gives to an mmap:

    words[i], words[i] = value     one aligned 8-byte word: one step, never torn
    words[a:b].tolist()            so many words, from the front: one step each
    arena[a:b], arena[a:b] = data  a memcpy: torn into pieces, one step each
    unpack(arena, offset)          what struct.unpack_from does: one step an aligned word

Before each step the running actor asks `memory.step`, where the scheduler may let another actor go first.  While no
actor runs (setup, check) there is nobody to ask and accesses are plain.

What is modelled, and what is not
 1. Steps are sequentially consistent: every actor sees all stores in the order in which they were made.  Stores that
    become visible late or out of order (ARM; a load that overtakes an earlier store on x86) are not modelled.
 2. A slice is torn into halves at a word boundary (HALVES), into words (WORDS) or not at all (None), from its front or
    from its back (backward): C promises nothing about the order in which memcpy goes.  A naturally aligned 1, 2, 4 or
    8 bytes are one machine access and are never torn, which was measured; anything else may be.
 3. The reader's faces refuse stores, as a map that is PROT_READ does.
 4. With writer_loads=False the loads of the read-write faces are no steps.  That loses no behaviour where one actor
    alone writes, since nobody can change what it loads, and shortens the search by much.

`memory.record` keeps a history that tests/support/linearizability checks.  An operation lasts from its first to its
last step, not from its call in Python: code between steps could run at any time, and the shortest interval is the
sharpest test.
"""

from tests.support.linearizability import Operation

HALVES = "halves"
WORDS = "words"

WORD_SIZE_BYTES = 8


class Memory:
    """Zeroed memory of size_bytes with its faces; a fresh one for every execution."""

    def __init__(self, size_bytes=65536, tear=HALVES, backward=False, writer_loads=True):
        if size_bytes % WORD_SIZE_BYTES:
            raise ValueError("%d is not a whole number of words" % size_bytes)
        self.bytes = bytearray(size_bytes)
        self.tear = tear
        self.backward = backward
        self.words = Words(self, writable=True, loads=writer_loads)
        self.arena = Arena(self, writable=True, loads=writer_loads)
        self.reader_words = Words(self, writable=False, loads=True)
        self.reader_arena = Arena(self, writable=False, loads=True)
        self.history = []  # of Operation, in the order in which they ended
        self.subject = None  # whatever a scenario wants to hand to its check
        self.step = None  # step(): the scheduler's; returns when the running actor may make its next access
        self.trace = None  # a list of (actor, text), only in a replay
        self.actor = None  # index of the running one
        self.clock = 0  # counts steps, and records outside of actors
        self.first = {}  # actor -> clock of its first step since it began the recorded operation
        self.last = {}

    def unpacker(self, structure):
        """`structure.unpack_from` for the faces of this memory: unpack(arena, offset) -> tuple."""
        size = structure.size

        def unpack(arena, offset):
            return structure.unpack(arena.load(offset, size, WORDS if self.tear else None))
        return unpack

    def record(self, op, args, function):
        """Run function(), the operation `op` on key args[0], and note it with its result in the history."""
        return self.record_all([(op, args)], lambda: [function()])[0]

    def record_all(self, named, function):
        """The same for several operations (op, args) that function() carries out together; it returns their results."""
        if self.step is None:
            actor = None
            self.clock += 1
            begun = self.clock
            results = function()
            self.clock += 1
            ended = self.clock
        else:
            actor = self.actor
            self.first.pop(actor, None)
            self.last[actor] = self.clock
            results = function()
            ended = self.last[actor]
            begun = self.first.get(actor, ended)
        for (op, args), result in zip(named, results):
            self.history.append(Operation(actor, op, args, result, begun, ended))
        return results

    def tick(self):
        """The scheduler's: the running actor makes a step now."""
        self.clock += 1
        self.first.setdefault(self.actor, self.clock)
        self.last[self.actor] = self.clock

    def note(self, text):
        """One line of the trace of a replay."""
        self.trace.append((self.actor, text))


class Words:
    """The memory as 8-byte words, as memoryview(mmap).cast("Q") shows it."""

    def __init__(self, memory, writable, loads):
        self._memory = memory
        self._view = memoryview(memory.bytes).cast("Q")
        self._writable = writable
        self._loads = loads

    def __len__(self):
        return len(self._view)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return WordList([self[place] for place in range(*index.indices(len(self._view)))])
        memory = self._memory
        if self._loads and memory.step is not None:
            memory.step()
            if memory.trace is not None:
                memory.note("load  word %d -> %#x" % (index, self._view[index]))
        return self._view[index]

    def __setitem__(self, index, value):
        if not self._writable:
            raise TypeError("cannot modify read-only memory")
        memory = self._memory
        if memory.step is not None:
            memory.step()
            if memory.trace is not None:
                memory.note("store word %d <- %#x" % (index, value))
        self._view[index] = value


class WordList:
    """What a slice of words is asked for."""

    def __init__(self, loaded):
        self._loaded = loaded

    def tolist(self):
        return self._loaded


class Arena:
    """The memory as bytes, as an mmap shows it; slices may be torn."""

    def __init__(self, memory, writable, loads):
        self._memory = memory
        self._view = memoryview(memory.bytes)
        self._writable = writable
        self._loads = loads

    def __len__(self):
        return len(self._view)

    def __getitem__(self, place):
        if isinstance(place, slice):
            start, size = self._span(place)
            return self.load(start, size, self._memory.tear)
        return self.load(place, 1, None)[0]

    def __setitem__(self, place, data):
        if not self._writable:
            raise TypeError("mmap can't modify a readonly memory map.")
        if not isinstance(place, slice):
            place, data = slice(place, place + 1), bytes((data,))
        start, size = self._span(place)
        data = bytes(data)
        if len(data) != size:
            raise IndexError("mmap slice assignment is wrong size")
        memory = self._memory
        if memory.step is None:
            self._view[start:start + size] = data
            return
        for begin, end in pieces(start, size, memory.tear, memory.backward):
            memory.step()
            if memory.trace is not None:
                memory.note("store [%d:%d] <- %s" % (begin, end, _shown(data[begin - start:end - start])))
            self._view[begin:end] = data[begin - start:end - start]

    def load(self, start, size, tear):
        """The bytes from start on, in as many steps as `tear` says."""
        memory = self._memory
        if memory.step is None or not self._loads:
            return self._view[start:start + size].tobytes()
        data = bytearray(min(size, max(0, len(self._view) - start)))
        for begin, end in pieces(start, len(data), tear, memory.backward):
            memory.step()
            data[begin - start:end - start] = self._view[begin:end]
            if memory.trace is not None:
                memory.note("load  [%d:%d] -> %s" % (begin, end, _shown(data[begin - start:end - start])))
        return bytes(data)

    def _span(self, place):
        start, stop, stride = place.indices(len(self._view))
        if stride != 1:
            raise ValueError("a slice of the arena has no stride")
        return start, max(0, stop - start)


def _shown(data):
    data = bytes(data)
    return repr(data) if len(data) <= 32 else "%r... (%d bytes)" % (data[:24], len(data))


def pieces(start, size, tear, backward=False):
    """How a copy of size bytes at start is torn: a list of (begin, end), in the order in which they are made.

    >>> pieces(0, 24, WORDS)
    [(0, 8), (8, 16), (16, 24)]
    >>> pieces(16, 21, HALVES, backward=True)
    [(32, 37), (16, 32)]
    >>> pieces(3, 5, HALVES), pieces(4, 4, HALVES)
    ([(3, 5), (5, 8)], [(4, 8)])
    """
    if not size:
        return []
    end = start + size
    cuts = []
    if tear is None or size in (1, 2, 4, 8) and start % size == 0:
        pass
    elif tear == WORDS:
        cuts = list(range((start | WORD_SIZE_BYTES - 1) + 1, end, WORD_SIZE_BYTES))
    else:
        middle = start + size // 2
        boundary = (middle + WORD_SIZE_BYTES - 1) // WORD_SIZE_BYTES * WORD_SIZE_BYTES
        cuts = [boundary if start < boundary < end else middle]
    edges = [start] + cuts + [end]
    found = list(zip(edges, edges[1:]))
    return found[::-1] if backward else found

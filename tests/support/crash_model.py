"""What a power cut may leave of files and directories: the model under tests/support/faultfs.

It assumes of file systems the least that fsync(2) and rename(2) promise:

 1. What a successful sync of a file covered stays, up to where a later truncation cuts.  Of everything since, each
    sector of 512 bytes has its content from before, from any moment since, zeros, or what some deleted file left
    there, all independent of each other and of the size, which may have grown before the data came.
 2. Names made, changed and removed stay so after a successful sync of their directory.  Until then each such change
    is there or is not, in any combination; but a rename is one change, so that a replaced name always leads to one of
    the two.  The sync of a file says nothing about its name, nor the other way round.
 3. A sync of a file that fails leaves everything it should have covered in doubt for good: it is on the disk or not,
    and a later sync that succeeds changes nothing about that.  For directories this is a choice of the test: a file
    system with a journal stops at such an error, one without goes on.

A fate decides what arrived: LOST nothing, KEPT everything, Chance any legal mixture.
"""

SECTOR_SIZE_BYTES = 512
BIASES = (0.0, 0.2, 0.5, 0.8, 1.0)

DIRTY, DOUBTFUL, DURABLE = range(3)  # what became of a change; DURABLE only where one is in doubt


class Change(object):
    """A change since the last sync.

    In a file: bytes `data` from `start` on, and the size afterwards is `end`.  In a directory: the name `start` led to
    the node `data` and does no longer, the name `end` does now; either may be None.
    """

    __slots__ = ("start", "data", "end", "state")

    def __init__(self, start, data, end):
        self.start = start
        self.data = data
        self.end = end
        self.state = DIRTY

    def copy(self, data):
        """The same change of other `data`."""
        copy = Change(self.start, data, self.end)
        copy.state = self.state
        return copy


class Node(object):
    """Changes, of which a sync that succeeds or fails decides."""

    def __init__(self):
        self.changes = []

    def sync(self):
        if any(change.state == DOUBTFUL for change in self.changes):
            self._mark(DURABLE)
        else:
            self.settle()

    def sync_failed(self):
        self._mark(DOUBTFUL)

    def _mark(self, state):
        for change in self.changes:
            if change.state == DIRTY:
                change.state = state


class File(Node):
    """`cached` is what everybody reads, `base` what was there for certain before `changes`."""

    def __init__(self, content=b""):
        super().__init__()
        self.cached = bytearray(content)
        self.settle()

    def settle(self):
        self.base = bytes(self.cached)
        self.solid = len(self.base)  # so much of it no truncation has touched
        self.changes = []

    def copy(self, copies):
        """The same file, to be changed independently; `copies` has what was copied before."""
        copy = copies.get(self)
        if copy is None:
            copy = copies[self] = File()
            copy.cached, copy.base, copy.solid = bytearray(self.cached), self.base, self.solid
            copy.changes = [change.copy(change.data) for change in self.changes]
        return copy

    def write(self, data):
        start = len(self.cached)
        self.changes.append(Change(start, bytes(data), start + len(data)))
        self.cached += data

    def truncate(self, size):
        start, stop = sorted((size, len(self.cached)))
        self.changes.append(Change(start, bytes(stop - start), size))
        self.solid = min(self.solid, size)
        del self.cached[start:]
        self.cached += bytes(size - start)

    def evict(self):
        """Read what is in doubt from the disk again, which has not got it; its size it has."""
        if any(change.state == DOUBTFUL for change in self.changes):
            size = len(self.cached)
            self.cached = bytearray(self.base[:self.solid].ljust(size, b"\0"))
            for change in self.changes:
                if change.state == DOUBTFUL:
                    change.data = bytes(len(change.data))
                self.cached[change.start:change.start + len(change.data)] = change.data
            del self.cached[size:]

    def sizes(self):
        """What the size may be: of the last change that is certain, and of those behind it."""
        found = [len(self.base)]
        for change in self.changes:
            if change.state == DURABLE:
                found = []
            found.append(change.end)
        return found

    def left_by(self, fate):
        """The content after a cut, as bytes."""
        if not self.changes:
            return self.base
        size = fate.size(self.sizes())
        first = min(change.start for change in self.changes) // SECTOR_SIZE_BYTES * SECTOR_SIZE_BYTES
        pieces = [self.base[:first].ljust(first, b"\0")]
        pieces.extend(self._sector(start, fate) for start in range(first, size, SECTOR_SIZE_BYTES))
        return b"".join(pieces)[:size]

    def _sector(self, start, fate):
        end = start + SECTOR_SIZE_BYTES
        changes = [change for change in self.changes if change.start < end and change.start + len(change.data) > start]
        reached, filler = fate.sector(len(changes), start)
        piece = bytearray(self.base[start:end].ljust(SECTOR_SIZE_BYTES, b"\0"))
        if filler is not None:
            kept = max(0, min(self.solid, end) - start)
            piece[kept:] = bytes(len(piece) - kept) if kept else filler  # behind synced bytes a sector was padded
        for index, change in enumerate(changes):
            if change.state == DURABLE or index < reached and (change.state == DIRTY or fate.doubtful()):
                since, until = max(start, change.start), min(end, change.start + len(change.data))
                piece[since - start:until - start] = change.data[since - change.start:until - change.start]
        return bytes(piece)


class Directory(Node):
    """`names` is what everybody sees, `base` what was there for certain before `changes`: name -> File or Directory."""

    def __init__(self, names=()):
        super().__init__()
        self.names = dict(names)
        self.settle()

    def settle(self):
        self.base = dict(self.names)
        self.changes = []

    def copy(self, copies):
        """The same directory with all that is in it, to be changed independently."""
        copy = copies.get(self)
        if copy is None:
            copy = copies[self] = Directory()
            copy.names = {name: node.copy(copies) for name, node in self.names.items()}
            copy.base = {name: node.copy(copies) for name, node in self.base.items()}
            copy.changes = [change.copy(change.data.copy(copies)) for change in self.changes]
        return copy

    def change(self, taken, node, given):
        change = Change(taken, node, given)
        self.changes.append(change)
        self._apply(change, self.names)

    @staticmethod
    def _apply(change, names):
        if change.start is not None and names.get(change.start) is change.data:
            del names[change.start]
        if change.end is not None:
            names[change.end] = change.data

    def left_by(self, fate):
        """The names after a cut, with the nodes as they are now."""
        names = dict(self.base)
        for change in self.changes:
            if change.state == DURABLE or fate.name():
                self._apply(change, names)
        return names


class Lost(object):
    """The fate in which nothing arrived that was not synced."""

    def size(self, sizes):
        return sizes[0]

    def sector(self, count, start):
        return 0, None

    def doubtful(self):
        return False

    def name(self):
        return False


class Kept(object):
    """The fate in which everything had arrived."""

    def size(self, sizes):
        return sizes[-1]

    def sector(self, count, start):
        return count, None

    def doubtful(self):
        return True

    def name(self):
        return True


class Chance(object):
    """Any fate.  How much arrives of data and of names is drawn first, so that the extremes turn up too."""

    def __init__(self, random, garbage):
        self._random = random
        self._garbage = garbage
        self._data = random.choice(BIASES)
        self._names = random.choice(BIASES)

    def size(self, sizes):
        draw = self._random.random()
        if draw < 0.5:
            return sizes[-1]
        if draw < 0.9:
            return self._random.choice(sizes)
        low, high = min(sizes), max(sizes)  # a long write arrives in several parts
        return min(high, max(low, self._random.randint(low, high) // SECTOR_SIZE_BYTES * SECTOR_SIZE_BYTES))

    def sector(self, count, start):
        """How many of the changes to a sector arrived, and what is there instead of what was uncertain, or None."""
        if self._random.random() < self._data:
            return count, None
        draw = self._random.randrange(4)
        if draw < 2:
            return (self._random.randint(0, count) if draw else 0), None
        return 0, bytes(SECTOR_SIZE_BYTES) if draw == 2 else self._stale(start)

    def _stale(self, start):
        former = self._random.choice(self._garbage) if self._garbage else b""
        piece = former[start:start + SECTOR_SIZE_BYTES]
        if not piece:
            return bytes((self._random.getrandbits(8),)) * SECTOR_SIZE_BYTES
        return piece.ljust(SECTOR_SIZE_BYTES, b"\0")

    def doubtful(self):
        return self._random.random() < 0.5

    def name(self):
        return self._random.random() < self._names


LOST, KEPT = Lost(), Kept()

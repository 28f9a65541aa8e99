"""What a structure is to the keyspace: something with elements that changes in ways which can be written down.

Invariants
 1. It changes by apply() alone.  A change is words (bytes), the first its name; it is an effect and no command: applied
    to equal structures it makes equal structures, whatever clock and chance say.
 2. apply() returns changes which, applied in their order, take it back.
 3. The changes that changes() yields make an equal structure out of an empty one.
 4. size_bytes is an estimate of its memory; what apply() adds, the inverse takes away.
"""

from ...formats import values

ELEMENT_BYTES = 60  # of a bytes object and its place in a list or dict
STRUCTURE_BYTES = 400  # of an empty one

# Of large ones: small ones have others.
_ENCODINGS = {values.LIST: b"quicklist", values.HASH: b"hashtable", values.SET: b"hashtable", values.ZSET: b"skiplist",
              values.STREAM: b"stream", values.GRANTS: b"hashtable"}


class Structure(object):
    """The base of all; `version` is that of its last change, `deadline_ms` when its key expires, or 0.

    The keyspace's table also keeps here how many numbers it has (`holders`), and the size that the policies know.
    """

    __slots__ = ("version", "size_bytes", "deadline_ms", "holders", "noted_bytes")

    TYPE = None  # of formats/values
    KEPT_EMPTY = False  # whether a key may have one without elements

    def __init__(self):
        self.version = 0
        self.deadline_ms = 0
        self.holders = 0
        self.noted_bytes = 0
        self.size_bytes = STRUCTURE_BYTES

    def apply(self, words):
        """Make one change; the list of changes that takes it back.

        Raises CorruptValueError, with nothing changed, for words that are none.
        """
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError

    def encoding(self):
        """What Redis calls the way in which it would be kept (OBJECT ENCODING)."""
        return _ENCODINGS[self.TYPE]

    def changes(self):
        """Yield changes of some 64 KiB that make an equal structure.  It must not change meanwhile."""
        raise NotImplementedError

    def copy(self):
        """An equal structure of its own."""
        raise NotImplementedError

    def shrink(self, count):
        """Let go of some `count` elements of a structure that nobody uses any more; whether nothing is left."""
        raise NotImplementedError

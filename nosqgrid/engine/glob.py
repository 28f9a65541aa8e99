"""Redis-style patterns over bytes: `*`, `?`, `[abc]`, `[a-z]`, `[^abc]`, and a backslash before a byte meant literally.

Design.  Every element but the star matches exactly one byte.  So a pattern is a row of segments of fixed lengths with
stars between them: the first segment is tied to the beginning, the last to the end, and each one between is taken where
it is found first, which leaves most room for the rest; to go back to an earlier star can never help (this is the
two-pointer algorithm, with the search between two stars taken out of the interpreter).  A segment of plain bytes is
found by bytes.find; one with sets in it by Shift-And, one bit an element and a few operations for each byte of the
subject.  No recursion, no backtracking: linear in the subject for every pattern.

fnmatch and re are not used: they backtrack, and before Python 3.9 time grows threefold with every four bytes of a
hostile pattern (the class of CVE-2022-36021, and by recursion CVE-2024-31228).

Like Redis: a set ends at the first `]` not escaped, or at the end of the pattern; `[]` matches nothing and `[^]`
everything; the ends of a range may stand in either order; a backslash at the very end is itself.  Unlike Redis: bytes
are unsigned in ranges, and `**` matches an empty subject as `*` does.

Source: R. Baeza-Yates and G. Gonnet, "A new approach to text searching", 1992 (Shift-And); util.c of Redis.
"""

import functools

from .. import errors, limits

_ANY = frozenset(range(256))
_PREPARED_MAX = 16  # patterns kept by glob_match
_STAR, _QUESTION, _OPEN, _CLOSE, _BACKSLASH, _CARET, _DASH = b"*?[]\\^-"


class Glob:
    """A prepared pattern.

    >>> Glob(b"user:[0-9]*").matches(b"user:7:name")
    True
    """

    def __init__(self, pattern):
        """Prepare a pattern.

        Raises:
            UsageError: longer than limits.GLOB_PATTERN_BYTES_MAX, or with more sets than limits.GLOB_SETS_MAX.
        Cost: linear in the pattern.
        """
        if len(pattern) > limits.GLOB_PATTERN_BYTES_MAX:
            raise errors.UsageError("a pattern of %d bytes; at most %d are accepted"
                                    % (len(pattern), limits.GLOB_PATTERN_BYTES_MAX))
        self.matches_all = bool(pattern) and not pattern.strip(b"*")
        segments = [_segment(elements) for elements in _split(pattern)]
        self._first = segments[0]
        self._middle = [segment for segment in segments[1:-1] if segment.size]
        self._last = segments[-1] if len(segments) > 1 else None
        self._size_min = sum(segment.size for segment in segments)

    def matches(self, subject):
        """Whether the pattern describes the whole subject.  Cost: linear in the subject."""
        if self.matches_all:
            return True
        size, first, last = len(subject), self._first, self._last
        if size < self._size_min or not first.fits(subject, 0):
            return False
        if last is None:
            return size == first.size
        end = size - last.size
        if not last.fits(subject, end):
            return False
        position = first.size
        for segment in self._middle:
            position = segment.find(subject, position, end)
            if position < 0:
                return False
            position += segment.size
        return True


@functools.lru_cache(maxsize=_PREPARED_MAX)
def _prepared(pattern):
    return Glob(pattern)


def glob_match(pattern, subject):
    """Whether a pattern describes the whole subject, both bytes.  Prepares a pattern once for many subjects.

    >>> glob_match(b"h[^e]llo", b"hallo"), glob_match(b"h[^e]llo", b"hello")
    (True, False)
    """
    return _prepared(pattern).matches(subject)


class _Literal:
    """A segment of plain bytes."""

    __slots__ = ("size", "text")

    def __init__(self, text):
        self.text = text
        self.size = len(text)

    def fits(self, subject, position):
        return subject.startswith(self.text, position)

    def find(self, subject, position, end):
        return subject.find(self.text, position, end)


class _Mixed:
    """A segment with sets: byte values, and frozensets of them."""

    __slots__ = ("_any_bits", "_indexes_by_byte", "_masks", "_sets", "size")

    def __init__(self, elements):
        self.size = len(elements)
        self._any_bits = bytearray((self.size + 7) // 8)
        self._indexes_by_byte = {}
        self._sets = []
        for index, element in enumerate(elements):
            if element is _ANY:
                self._any_bits[index >> 3] |= 1 << (index & 7)
            elif type(element) is int:
                self._indexes_by_byte.setdefault(element, []).append(index)
            else:
                self._sets.append((index, element))
        self._masks = {}

    def fits(self, subject, position):
        return self.find(subject, position, position + self.size) >= 0

    def find(self, subject, position, end):
        """Where the segment begins first between the two bounds, or -1.

        Bit i of `state` says that the bytes read last match the elements 0 to i.
        """
        masks, whole, state = self._masks, 1 << (self.size - 1), 0
        for index in range(position, end):
            byte = subject[index]
            mask = masks.get(byte)
            if mask is None:
                mask = masks[byte] = self._mask(byte)
            state = (state << 1 | 1) & mask
            if state & whole:
                return index + 1 - self.size
        return -1

    def _mask(self, byte):
        """The elements that accept a byte, one bit each; made when a subject first contains it."""
        bits = self._any_bits[:]
        for index in self._indexes_by_byte.get(byte, ()):
            bits[index >> 3] |= 1 << (index & 7)
        for index, accepted in self._sets:
            if byte in accepted:
                bits[index >> 3] |= 1 << (index & 7)
        return int.from_bytes(bits, "little")


def _segment(elements):
    """The cheaper of the two kinds for a list of elements: byte values and sets of them."""
    if all(type(element) is int for element in elements):
        return _Literal(bytes(elements))
    return _Mixed(elements)


def _split(pattern):
    """The elements of each segment of a pattern; as many segments as rows of stars, and one more."""
    segments, elements, position, set_count = [], [], 0, 0
    while position < len(pattern):
        byte = pattern[position]
        position += 1
        if byte == _STAR:
            if elements or not segments:
                segments.append(elements)
                elements = []
        elif byte == _QUESTION:
            elements.append(_ANY)
        elif byte == _OPEN:
            accepted, position = _read_set(pattern, position)
            elements.append(accepted)
            set_count += 1
        else:
            if byte == _BACKSLASH and position < len(pattern):
                byte = pattern[position]
                position += 1
            elements.append(byte)
    if set_count > limits.GLOB_SETS_MAX:
        raise errors.UsageError("a pattern with %d sets; at most %d are accepted" % (set_count, limits.GLOB_SETS_MAX))
    segments.append(elements)
    return segments


def _read_set(pattern, position):
    """The set that begins behind a `[`, and where the pattern goes on behind it."""
    inverted = pattern[position:position + 1] == b"^"
    if inverted:
        position += 1
    size, accepted = len(pattern), set()
    while position < size and pattern[position] != _CLOSE:
        if pattern[position] == _BACKSLASH and position + 1 < size:
            accepted.add(pattern[position + 1])
            position += 2
        elif position + 2 < size and pattern[position + 1] == _DASH:
            low, high = sorted((pattern[position], pattern[position + 2]))
            accepted.update(range(low, high + 1))
            position += 3
        else:
            accepted.add(pattern[position])
            position += 1
    return (_ANY - accepted if inverted else frozenset(accepted)), position + 1

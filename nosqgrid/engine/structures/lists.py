"""Lists: the changes that can be made to one (chunks.py has what it is made of).

    lpush element...      put before the first, one after the other
    rpush element...      put behind the last
    lpop [count]          remove so many, one without a count, from the beginning
    rpop [count]          the same from the end
    trim left right       remove so many from the beginning and from the end
    rotate count          move so many, -1, 0 or 1, from the end to the beginning
    set index element     put in the place of another
    ins (index element)...  put so that they stand at these indexes, which rise
    del index...          remove those at these indexes, which rise
"""

from itertools import chain, islice

from ...errors import CorruptValueError
from ...formats import values
from ...limits import KIB, MIB
from .chunks import CHUNK, ELEMENT_BYTES, SHORT, Chunks, ShortChunk

CHANGE_BYTES = 64 * KIB
FREED_BYTES = 2 * MIB  # at a time: what is large is given back to the system, which takes its time

_COUNT_DIGITS = 15
_FEW = 32  # so many changes in the middle are made one by one
_LPOP_ONE = [[b"lpop"]]
_RPOP_ONE = [[b"rpop"]]


class List(Chunks):
    """The list of a key."""

    __slots__ = ()

    TYPE = values.LIST

    def encoding(self):
        """What OBJECT ENCODING says."""
        return b"quicklist"

    def listed(self):
        """The elements in their order."""
        return iter(self)

    # -- changes ------------------------------------------------------------------------------------------------------

    def apply(self, words):
        try:
            change = _CHANGES[words[0]]
        except (KeyError, IndexError):
            raise CorruptValueError("%r is no change of a list" % (words[:1],)) from None
        return change(self, words)

    def _lpush(self, words):
        if len(words) == 2:
            element = words[1]
            chunk = self.chunks[0]
            if len(chunk) >= SHORT and (len(chunk) >= CHUNK or type(chunk) is ShortChunk):
                chunk = self._longer_first(chunk)
            chunk.appendleft(element)
            self._count += 1
            self.size_bytes += ELEMENT_BYTES + len(element)
            return _LPOP_ONE
        count = self._counted(words)
        self._extend_left(islice(words, 1, None))
        self._count += count
        self.size_bytes += ELEMENT_BYTES * count + sum(map(len, words)) - 5
        return [[b"lpop", b"%d" % count]]

    def _rpush(self, words):
        if len(words) == 2:
            element = words[1]
            chunk = self.chunks[-1]
            if len(chunk) >= SHORT and (len(chunk) >= CHUNK or type(chunk) is ShortChunk):
                chunk = self._longer_last(chunk)
            chunk.append(element)
            self._count += 1
            self.size_bytes += ELEMENT_BYTES + len(element)
            return _RPOP_ONE
        count = self._counted(words)
        self._extend(islice(words, 1, None))
        self._count += count
        self.size_bytes += ELEMENT_BYTES * count + sum(map(len, words)) - 5
        return [[b"rpop", b"%d" % count]]

    def _lpop(self, words):
        if len(words) == 1 and self._count:
            chunk = self.chunks[0]
            element = chunk.popleft()
            if not chunk:
                self._drop_empty(0)
            self._count -= 1
            self.size_bytes -= ELEMENT_BYTES + len(element)
            return [[b"lpush", element]]
        removed = self._take_left(self._checked_count(words))
        removed.reverse()
        removed.insert(0, b"lpush")
        return [removed]

    def _rpop(self, words):
        if len(words) == 1 and self._count:
            chunk = self.chunks[-1]
            element = chunk.pop()
            if not chunk:
                self._drop_empty(-1)
            self._count -= 1
            self.size_bytes -= ELEMENT_BYTES + len(element)
            return [[b"rpush", element]]
        removed = self._take_right(self._checked_count(words))
        removed.insert(0, b"rpush")
        return [removed]

    def _trim(self, words):
        if len(words) != 3:
            raise _wrong(words)
        left, right = _number(words[1]), _number(words[2])
        if left + right > self._count:
            raise _wrong(words)
        inverse = []
        if left:
            removed = self._take_left(left)
            removed.reverse()
            removed.insert(0, b"lpush")
            inverse.append(removed)
        if right:
            inverse.append([b"rpush"] + self._take_right(right))
        return inverse

    def _rotate(self, words):
        if len(words) != 2 or words[1] not in _ROTATED:
            raise _wrong(words)
        if words[1] == b"0" or self._count < 2:
            return [words]
        inverse = _ROTATED[words[1]]
        if words[1] == b"1":
            self._lpush([b"lpush", self._rpop([b"rpop"])[0][1]])
        else:
            self._rpush([b"rpush", self._lpop([b"lpop"])[0][1]])
        return [[b"rotate", inverse]]

    def _set(self, words):
        if len(words) != 3:
            raise _wrong(words)
        index, element = _number(words[1]), words[2]
        if index >= self._count:
            raise _wrong(words)
        number, position = self._place(index)
        chunk = self.chunks[number]
        old, chunk[position] = chunk[position], element
        self.size_bytes += len(element) - len(old)
        return [[b"set", words[1], old]]

    def _ins(self, words):
        indexes, elements = words[1::2], words[2::2]
        if not elements or len(elements) != len(indexes):
            raise _wrong(words)
        numbers = _rising(indexes, self._count + len(elements), words)
        if any(index > self._count + before for before, index in enumerate(numbers)):
            raise _wrong(words)
        if len(numbers) <= _FEW:
            for index, element in zip(numbers, elements):
                self._insert(index, element)
        else:
            self._insert_many(numbers, elements)
        self.size_bytes += ELEMENT_BYTES * len(elements) + sum(map(len, elements))
        return [[b"del"] + indexes]

    def _del(self, words):
        indexes = words[1:]
        if not indexes:
            raise _wrong(words)
        numbers = _rising(indexes, self._count, words)
        if len(numbers) <= _FEW:
            removed = [self._delete(index) for index in reversed(numbers)]
            removed.reverse()
        else:
            removed = self._delete_many(numbers)
        self.size_bytes -= ELEMENT_BYTES * len(removed) + sum(map(len, removed))
        return [[b"ins"] + list(chain.from_iterable(zip(indexes, removed)))]

    def _checked_count(self, words):
        if len(words) != 2:
            raise _wrong(words)
        count = _number(words[1])
        if not 0 < count <= self._count:
            raise _wrong(words)
        return count

    def _counted(self, words):
        """How many elements a change adds, for which there is a chunk afterwards."""
        if len(words) < 2:
            raise _wrong(words)
        if self._count + len(words) - 1 > SHORT:
            self._lengthen()
        return len(words) - 1

    # -- the whole ----------------------------------------------------------------------------------------------------

    def changes(self):
        words, size = [b"rpush"], 0
        for chunk in self.chunks:
            chunk_bytes = sum(map(len, chunk)) + 4 * len(chunk)
            if chunk_bytes <= CHANGE_BYTES:
                words.extend(chunk)
                size += chunk_bytes
                if size < CHANGE_BYTES:
                    continue
                yield words
                words, size = [b"rpush"], 0
            else:
                for element in chunk:
                    words.append(element)
                    size += len(element) + 4
                    if size >= CHANGE_BYTES:
                        yield words
                        words, size = [b"rpush"], 0
        if len(words) > 1:
            yield words

    def copy(self):
        other = List()
        other.chunks = [type(chunk)(chunk) for chunk in self.chunks]
        other._count = self._count
        other.size_bytes = self.size_bytes
        return other

    def shrink(self, count):
        if not self._count:
            return True
        average_bytes = max(self.size_bytes // self._count, 1)
        count = min(max(min(count, FREED_BYTES // average_bytes), 1), self._count)
        self._take_right(count)
        return not self._count


def _number(word):
    if not word.isdigit() or len(word) > _COUNT_DIGITS:
        raise CorruptValueError("%r stands where a list's change has a number" % word[:_COUNT_DIGITS + 1])
    return int(word)


def _rising(words, limit, change):
    """The numbers that words stand for, each larger than the one before and below `limit`."""
    numbers = list(map(_number, words))
    if numbers[-1] >= limit or any(map(int.__le__, numbers[1:], numbers)):
        raise _wrong(change)
    return numbers


def _wrong(words):
    return CorruptValueError("%r with %d words does not fit the list it is to change" % (words[0], len(words) - 1))


_ROTATED = {b"-1": b"1", b"0": b"0", b"1": b"-1"}
_CHANGES = {b"lpush": List._lpush, b"rpush": List._rpush, b"lpop": List._lpop, b"rpop": List._rpop, b"trim": List._trim,
            b"rotate": List._rotate, b"set": List._set, b"ins": List._ins, b"del": List._del}

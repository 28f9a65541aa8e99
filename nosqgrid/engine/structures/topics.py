"""Topics: messages with ascending numbers, of which the newest are kept.

    pub    count record ...     drop so many messages from the front, and append these
    unpub  count record ...     take that back: drop so many from the end, and put these before the front
    meta   born last records_max bytes_max age_ms_max (life end)...
                                which topic it is, the last number given, its bounds, and its ancestors

A record is HEAD and the payload; numbers are decimal.  How many have to go is in the words: the command has worked it
out (room_for), an effect does not depend on clock or settings.

Invariants
 1. The messages that are kept have the numbers from first to last, without a gap: a number is never written down.
 2. `last` rises by one with each message, whatever is dropped; only what takes a message back lowers it.
 3. A number means a message only together with `born`: which topic it is, 4 bytes drawn when it is made, and in which
    life of a coordinator it was published, 4 bytes.  With the first message of another life the one before becomes an
    ancestor, and so does the number at which it ended, as far as log and checkpoint know: what that life gave out
    beyond was lost with it, and is given out anew.
"""

import struct
from itertools import islice

from ...errors import CorruptValueError
from ...formats import values
from .structure import STRUCTURE_BYTES, Structure

HEAD = struct.Struct("<QB")  # wall clock in ms when it was published, value type
BORN_BYTES = 8
LIFE_BYTES = 4  # of these, the last
ANCESTORS_MAX = 64
RECORD_BYTES = 60  # of a record beside its own bytes
RECORDS_MAX = 10000
BYTES_MAX = 16 << 20
NUMBER_MAX = (1 << 63) - 1

_DIGITS_MAX = 19
_PUT_BYTES = 64 * 1024  # of a change of changes(), at least
_DEAD_MAX = 64  # places of dropped messages that are not worth a look
_UNBORN = bytes(BORN_BYTES)


class Topic(Structure):
    """A topic; all but the records is there to be read.

    last is the number of the newest message that was ever published, 0 for none.  Of the messages at most records_max
    are kept, of bytes_max bytes (heads included), and none older than age_ms_max (0: any).  ancestors are pairs of a
    life and the number at which it ended, the oldest first.
    """

    __slots__ = ("born", "last", "records_max", "bytes_max", "age_ms_max", "ancestors", "_records", "_dead")

    TYPE = values.TOPIC
    KEPT_EMPTY = True

    def __init__(self):
        super().__init__()
        self.born = _UNBORN
        self.last = 0
        self.ancestors = ()
        self.records_max, self.bytes_max, self.age_ms_max = RECORDS_MAX, BYTES_MAX, 0
        self._records = []  # the first _dead places of it are those of messages that were dropped
        self._dead = 0

    def __len__(self):
        return len(self._records) - self._dead

    @staticmethod
    def encoding():
        """What OBJECT ENCODING would say."""
        return b"topic"

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def first(self):
        """The number of the oldest message that is kept; one behind the last where there is none."""
        return self.last + 1 - len(self)

    @property
    def stored_bytes(self):
        """Bytes of all records, heads included."""
        return self.size_bytes - STRUCTURE_BYTES - RECORD_BYTES * len(self)

    def newest_ms(self):
        """When the newest message was published, 0 for none that is kept."""
        return HEAD.unpack_from(self._records[-1])[0] if len(self) else 0

    def end_of(self, born):
        """The number up to which cursors with this birth tell of messages of this topic; None where of none."""
        if born == self.born:
            return self.last
        if born[:-LIFE_BYTES] != self.born[:-LIFE_BYTES]:
            return None
        return dict(self.ancestors).get(born[-LIFE_BYTES:])

    def records(self):
        """All records, the oldest first."""
        return self._records[self._dead:]

    def behind(self, number, count, bytes_max, now_ms):
        """(number of the first, records) of messages behind a number that are not too old at now_ms.

        At most `count`, and as many as have `bytes_max` bytes together, but one in any case.
        """
        first = max(number + 1, self.first + self._aged(now_ms))
        start = self._dead + first - self.first
        records = self._records[start:start + count]
        size = 0
        for index, record in enumerate(records):
            size += len(record)
            if size > bytes_max and index:
                return first, records[:index]
        return first, records

    def room_for(self, record, now_ms):
        """How many messages have to go from the front when this record is appended."""
        length = len(self._records) - self._dead
        count = max(length + 1 - self.records_max, self._aged(now_ms) if self.age_ms_max else 0, 0)
        size = self.size_bytes - STRUCTURE_BYTES - RECORD_BYTES * length + len(record)  # all that would be stored
        if size > self.bytes_max:
            gone = 0
            for old in islice(self._records, self._dead, None):
                if size <= self.bytes_max:
                    break
                size -= len(old)
                gone += 1
            count = max(count, gone)
        return count

    def _aged(self, now_ms):
        """How many messages at the front are too old.  Cost: a step for each power of two of them."""
        oldest_ms = now_ms - self.age_ms_max
        if not self.age_ms_max or not len(self) or HEAD.unpack_from(self._records[self._dead])[0] >= oldest_ms:
            return 0
        low, high = self._dead, len(self._records)  # the times never fall
        while low < high:
            middle = (low + high) // 2
            if HEAD.unpack_from(self._records[middle])[0] < oldest_ms:
                low = middle + 1
            else:
                high = middle
        return low - self._dead

    # -- changes ------------------------------------------------------------------------------------------------------

    def apply(self, words):
        """See Structure."""
        operation = _OPERATIONS.get(words[0]) if words else None
        if operation is None:
            raise _corrupt(words)
        return operation(self, words)

    def _pub(self, words):
        count = _number(words, 1)
        records = words[2:]
        if count > len(self) or self.last + len(records) > NUMBER_MAX:
            raise _corrupt(words)
        _check_records(words, records)
        dropped = self._drop_front(count)
        self._records += records
        self.last += len(records)
        self._grow(records, dropped)
        return [[b"unpub", b"%d" % len(records)] + dropped]

    def _unpub(self, words):
        count = _number(words, 1)
        records = words[2:]
        if count > len(self) or len(self) - count + len(records) > self.last - count:
            raise _corrupt(words)
        _check_records(words, records)
        end = len(self._records) - count
        dropped = self._records[end:]
        self._records = records + self._records[self._dead:end]
        self._dead = 0
        self.last -= count
        self._grow(records, dropped)
        return [[b"pub", b"%d" % len(records)] + dropped]

    def _meta(self, words):
        lives = words[6::2]
        if (len(words) < 6 or len(words) & 1 or len(words[1]) != BORN_BYTES or len(lives) > ANCESTORS_MAX
                or any(len(life) != LIFE_BYTES for life in lives)):
            raise _corrupt(words)
        ends = [_number(words, index) for index in range(7, len(words), 2)]
        last, records_max, bytes_max, age_ms_max = (_number(words, index) for index in range(2, 6))
        if len(self) and last != self.last or not records_max or not bytes_max:
            raise _corrupt(words)
        inverse = self._meta_words(self.last)
        self.born, self.last = words[1], last
        self.records_max, self.bytes_max, self.age_ms_max = records_max, bytes_max, age_ms_max
        self.ancestors = tuple(zip(lives, ends))
        return [inverse]

    def append(self, record, dropped_count):
        """What _pub() does with one record, without words and for good.

        For a topic that is in no log and in no batch.
        """
        if dropped_count:
            self._grow((), self._drop_front(dropped_count))
        self._records.append(record)
        self.last += 1
        self.size_bytes += RECORD_BYTES + len(record)

    def _drop_front(self, count):
        """Drop messages; their records."""
        dropped = self._records[self._dead:self._dead + count]
        self._records[self._dead:self._dead + count] = [None] * count
        self._dead += count
        if self._dead > _DEAD_MAX and self._dead * 2 > len(self._records):
            del self._records[:self._dead]
            self._dead = 0
        return dropped

    def _grow(self, records, dropped):
        self.size_bytes += (sum(map(len, records)) - sum(map(len, dropped))
                            + RECORD_BYTES * (len(records) - len(dropped)))

    def bounds(self):
        """(records_max, bytes_max, age_ms_max)."""
        return self.records_max, self.bytes_max, self.age_ms_max

    def _meta_words(self, last):
        return meta_words(self.born, last, *self.bounds(), ancestors=self.ancestors)

    # -- as a whole ---------------------------------------------------------------------------------------------------

    def changes(self):
        """See Structure."""
        yield self._meta_words(self.first - 1)
        words, size = [b"pub", b"0"], 0
        for record in islice(self._records, self._dead, None):
            words.append(record)
            size += len(record)
            if size >= _PUT_BYTES:
                yield words
                words, size = [b"pub", b"0"], 0
        if size:
            yield words

    def copy(self):
        """See Structure."""
        other = Topic()
        other.apply(self._meta_words(self.last))
        other._records = self.records()
        other.size_bytes = self.size_bytes
        return other

    def shrink(self, count):
        """See Structure."""
        self._records = self.records() if self._dead else self._records
        self._dead = 0
        del self._records[-count:]
        return not self._records


def meta_words(born, last, records_max, bytes_max, age_ms_max, ancestors=()):
    """The change that gives a topic these."""
    words = [b"meta", born] + [b"%d" % number for number in (last, records_max, bytes_max, age_ms_max)]
    for life, end in ancestors:
        words += life, b"%d" % end
    return words


def _number(words, index):
    """The number that a word stands for."""
    word = words[index] if index < len(words) else b""
    if not word.isdigit() or len(word) > _DIGITS_MAX or word[:1] == b"0" and word != b"0" or int(word) > NUMBER_MAX:
        raise _corrupt(words)
    return int(word)


def _check_records(words, records):
    for record in records:
        if len(record) < HEAD.size:
            raise _corrupt(words)


def _corrupt(words):
    return CorruptValueError("no change of a topic: %.100r" % (words[:6],))


_OPERATIONS = {b"pub": Topic._pub, b"unpub": Topic._unpub, b"meta": Topic._meta}

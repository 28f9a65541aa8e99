"""Values as Redis dumps them: one value of an RDB file, its version and a checksum.

    type 1 byte | value | version of RDB, 2 bytes | CRC-64 of all before, 8 bytes      both little-endian

`pack(type, content)` makes such a dump, `unpack(dump)` reads it.  Types are those of formats/values; contents:

    BYTES   the bytes
    LIST    a list of elements
    SET     a list of different members
    HASH    a list of different (field, value)
    ZSET    a list of different (member, score), in the order of (score, member)
    STREAM  rdb_streams.Parts

Written is what Redis 7.0 writes (version 10), except that strings are not compressed; read is what any Redis from 2.4
to 7.0 has written.

Invariants
 1. unpack() raises CorruptValueError, or ValueTooLargeError for one that would be more than VALUE_SIZE_BYTES_MAX, and
    nothing else, whatever the bytes; what it makes is at most so large, however little it is made from.
 2. pack(*unpack(dump)) stands for the same value.
"""

import re
import struct

from ..errors import CorruptValueError, ValueTooLargeError
from ..limits import KIB, VALUE_SIZE_BYTES_MAX
from . import compact, listpack, lzf, values
from .crc64 import crc64

VERSION = 10

# What a value begins with; the names are Redis'.
(STRING, LIST, SET, ZSET, HASH, ZSET_2) = range(6)
(HASH_ZIPMAP, LIST_ZIPLIST, SET_INTSET, ZSET_ZIPLIST, HASH_ZIPLIST, LIST_QUICKLIST, STREAM_LISTPACKS, HASH_LISTPACK,
 ZSET_LISTPACK, LIST_QUICKLIST_2, STREAM_LISTPACKS_2) = range(9, 20)

_FOOTER = struct.Struct("<HQ")
_DOUBLE = struct.Struct("<d")
_INT8, _INT16, _INT32, _LZF = range(4)  # kinds of encoded strings
_INT32_MIN, _INT32_MAX = -2 ** 31, 2 ** 31 - 1
_NODE_BYTES = 8 * KIB  # of a list's listpack
_PLAIN, _PACKED = 1, 2  # nodes of a list
_COMPACT_MAX = 128  # members of a sorted set, or 512 of the others, that are dumped as a listpack
_COMPACT_BYTES_MAX = 64
_is_integer = re.compile(rb"0|-?[1-9][0-9]{0,9}").fullmatch
_is_double = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?|[+-]?inf(?:inity)?",
                        re.IGNORECASE).fullmatch


# -- the outside ------------------------------------------------------------------------------------------------------


def seal(body):
    """The dump of a type and value."""
    body += VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def is_sealed(dump):
    """Whether a dump has a version that can be read, and its checksum."""
    if len(dump) < _FOOTER.size + 1:
        return False
    version, crc = _FOOTER.unpack_from(dump, len(dump) - _FOOTER.size)
    return version <= VERSION and crc == crc64(dump[:-8])


def unpack(dump):
    """(type, content) of a dump whose seal was checked."""
    reader = Reader(dump[:-_FOOTER.size])
    kind = reader.byte()
    if kind not in _READERS:
        raise CorruptValueError("a dump of a value of kind %d" % kind)
    value_type, read = _READERS[kind]
    content = read(reader, kind)
    reader.finish()
    if value_type != values.BYTES and value_type != values.STREAM and not content:
        raise CorruptValueError("a dump of an empty collection")
    return value_type, content


# -- lengths and strings ----------------------------------------------------------------------------------------------


def pack_length(number):
    """A number from 0 to 2 ** 64 - 1."""
    if number < 64:
        return bytes((number,))
    if number < 16384:
        return bytes((0x40 | number >> 8, number & 255))
    if number < 1 << 32:
        return b"\x80" + number.to_bytes(4, "big")
    return b"\x81" + number.to_bytes(8, "big")


def pack_string(string):
    """A string; the text of a number of 32 bits is kept as that."""
    if len(string) <= 11 and _is_integer(string):
        number = int(string)
        for kind, size in ((_INT8, 1), (_INT16, 2), (_INT32, 4)):
            if -1 << 8 * size - 1 <= number < 1 << 8 * size - 1:
                return bytes((0xc0 | kind,)) + number.to_bytes(size, "little", signed=True)
    return pack_length(len(string)) + string


class Reader(object):
    """Reads one thing after the other; CorruptValueError where it is not there."""

    def __init__(self, data):
        self._data = data
        self._position = 0
        self._room = VALUE_SIZE_BYTES_MAX  # that compressed strings may take

    def take(self, size):
        """So many bytes."""
        start = self._position
        stop = start + size
        if stop > len(self._data):
            raise CorruptValueError("%d bytes are left of a dump that should have %d" % (len(self._data) - start, size))
        self._position = stop
        return self._data[start:stop]

    def left(self):
        """How many bytes are left."""
        return len(self._data) - self._position

    def byte(self):
        return self.take(1)[0]

    def length(self):
        """A number from 0 to 2 ** 64 - 1."""
        number, encoded = self._length()
        if encoded:
            raise CorruptValueError("an encoded string where a number should be")
        return number

    def _length(self):
        first = self.byte()
        if first < 0x40:
            return first, False
        if first < 0x80:
            return (first & 63) << 8 | self.byte(), False
        if first >= 0xc0:
            return first & 63, True
        if first not in (0x80, 0x81):
            raise CorruptValueError("a length that begins with %d" % first)
        return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False

    def string(self):
        """A string."""
        number, encoded = self._length()
        if not encoded:
            return self.take(number)
        if number < _LZF:
            return b"%d" % int.from_bytes(self.take(1 << number), "little", signed=True)
        if number != _LZF:
            raise CorruptValueError("a string that is encoded in way %d" % number)
        packed_size, size = self.length(), self.length()
        packed = self.take(packed_size)
        if size > self._room:
            raise ValueTooLargeError("a dump that stands for more than %d bytes" % VALUE_SIZE_BYTES_MAX)
        self._room -= size
        return lzf.decompress(packed, size)

    def finish(self):
        """Nothing may be left."""
        if self._position != len(self._data):
            raise CorruptValueError("%d bytes behind a value" % (len(self._data) - self._position))


# -- writing ----------------------------------------------------------------------------------------------------------


def pack(value_type, content):
    """The dump of a value; see the module."""
    return seal(_WRITERS[value_type](content))


def _write_string(content):
    return bytes((STRING,)) + pack_string(content)


def _write_list(elements):
    nodes, packed, size = [], [], 0
    for element in elements:
        packed.append(listpack.pack_element(element))
        size += len(packed[-1])
        if size >= _NODE_BYTES:
            nodes.append(listpack.join(packed))
            packed, size = [], 0
    if packed:
        nodes.append(listpack.join(packed))
    parts = [bytes((LIST_QUICKLIST_2,)), pack_length(len(nodes))]
    for node in nodes:
        parts += pack_length(_PACKED), pack_string(node)
    return b"".join(parts)


def _write_set(members):
    if len(members) <= 4 * _COMPACT_MAX:
        numbers = [_int64(member) for member in members]
        if None not in numbers:
            return bytes((SET_INTSET,)) + pack_string(compact.pack_intset(sorted(numbers)))
    return b"".join([bytes((SET,)), pack_length(len(members))] + [pack_string(member) for member in members])


def _int64(text):
    """The number of 64 bits that a text is, or None."""
    if not text or len(text) > 20 or not (text[1:] if text[:1] == b"-" else text).isdigit():
        return None
    number = int(text)
    return number if b"%d" % number == text and -1 << 63 <= number < 1 << 63 else None


def _write_hash(pairs):
    words = [word for pair in pairs for word in pair]
    if len(pairs) <= 4 * _COMPACT_MAX and max(map(len, words)) <= _COMPACT_BYTES_MAX:
        packed = listpack.join([listpack.pack_element(word) for word in words])
        return bytes((HASH_LISTPACK,)) + pack_string(packed)
    return b"".join([bytes((HASH,)), pack_length(len(pairs))] + [pack_string(word) for word in words])


def _write_zset(pairs):
    if len(pairs) <= _COMPACT_MAX and max(len(member) for member, _ in pairs) <= _COMPACT_BYTES_MAX:
        packed = []
        for member, score in pairs:
            packed += listpack.pack_element(member), listpack.pack_element(b"%.17g" % score)
        return bytes((ZSET_LISTPACK,)) + pack_string(listpack.join(packed))
    parts = [bytes((ZSET_2,)), pack_length(len(pairs))]
    for member, score in reversed(pairs):
        parts += pack_string(member), _DOUBLE.pack(score)
    return b"".join(parts)


_WRITERS = {values.BYTES: _write_string, values.LIST: _write_list, values.SET: _write_set, values.HASH: _write_hash,
            values.ZSET: _write_zset}


# -- reading ----------------------------------------------------------------------------------------------------------


def _read_string(reader, _kind):
    return reader.string()


def _read_list(reader, kind):
    if kind == LIST_ZIPLIST:
        return compact.unpack_ziplist(reader.string())
    found = []
    for _ in _counted(reader):
        node = _PACKED if kind != LIST_QUICKLIST_2 else reader.length()
        string = reader.string()
        if kind == LIST or node == _PLAIN:
            found.append(string)
        elif node != _PACKED:
            raise CorruptValueError("a node of kind %d" % node)
        else:
            elements = listpack.unpack(string) if kind == LIST_QUICKLIST_2 else compact.unpack_ziplist(string)
            if not elements:
                raise CorruptValueError("an empty node")
            found += elements
    return found


def _counted(reader):
    """As many turns as a number says, which ends with what is there, at the latest."""
    count = reader.length()
    while count:
        yield count
        count -= 1


def _read_set(reader, kind):
    if kind == SET_INTSET:
        return compact.unpack_intset(reader.string())
    found = [reader.string() for _ in _counted(reader)]
    if len(set(found)) != len(found):
        raise CorruptValueError("a member that is in a set twice")
    return found


def _read_hash(reader, kind):
    if kind == HASH:
        words = []
        for _ in _counted(reader):
            words += reader.string(), reader.string()
    else:
        words = _HASHES[kind](reader.string())
    return _pairs(words)


_HASHES = {HASH_ZIPMAP: compact.unpack_zipmap, HASH_ZIPLIST: compact.unpack_ziplist, HASH_LISTPACK: listpack.unpack}


def _pairs(words):
    """[(name, value)] of both in turn; each name once."""
    if len(words) & 1 or len(set(words[::2])) * 2 != len(words):
        raise CorruptValueError("%d words that should be pairs, each with a name of its own" % len(words))
    return list(zip(words[::2], words[1::2]))


def _read_zset(reader, kind):
    if kind in (ZSET, ZSET_2):
        pairs = []
        for _ in _counted(reader):
            member = reader.string()
            pairs.append((member, _DOUBLE.unpack(reader.take(8))[0] if kind == ZSET_2 else _read_old_score(reader)))
        if len({member for member, _ in pairs}) != len(pairs):
            raise CorruptValueError("a member that is in a sorted set twice")
    else:
        unpack_words = listpack.unpack if kind == ZSET_LISTPACK else compact.unpack_ziplist
        pairs = [(member, _score(text)) for member, text in _pairs(unpack_words(reader.string()))]
    if any(score != score for _, score in pairs):
        raise CorruptValueError("a score that is not a number")
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _read_old_score(reader):
    size = reader.byte()
    if size >= 253:
        return {253: float("nan"), 254: float("inf"), 255: float("-inf")}[size]
    return _score(reader.take(size))


def _score(text):
    if len(text) > 512 or not _is_double(text):
        raise CorruptValueError("a score that is no number")
    return float(text)


_READERS = {STRING: (values.BYTES, _read_string)}
for _names, _type, _function in (
        ((LIST, LIST_ZIPLIST, LIST_QUICKLIST, LIST_QUICKLIST_2), values.LIST, _read_list),
        ((SET, SET_INTSET), values.SET, _read_set),
        ((HASH, HASH_ZIPMAP, HASH_ZIPLIST, HASH_LISTPACK), values.HASH, _read_hash),
        ((ZSET, ZSET_2, ZSET_ZIPLIST, ZSET_LISTPACK), values.ZSET, _read_zset)):
    _READERS.update(dict.fromkeys(_names, (_type, _function)))


def add_kinds(value_type, write, kinds, read):
    """Have values of another type written and read (rdb_streams)."""
    _WRITERS[value_type] = write
    _READERS.update(dict.fromkeys(kinds, (value_type, read)))

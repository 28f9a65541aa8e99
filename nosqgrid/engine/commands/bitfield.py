"""BITFIELD: integers of any width at any bit of a value.

All operations of one command work on one copy of the value, which is stored once: they take place together.
"""

from ... import errors
from .bits import bit_offset
from .command import READ_FAST, WRITE_OOM, Command, integer, parse_integer, syntax_error
from .strings import check_length, store_changed

_NOT_A_TYPE = "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
_SIGNED_BITS_MAX = 64
_UNSIGNED_BITS_MAX = 63
_OVERFLOWS = (b"WRAP", b"SAT", b"FAIL")


class _Field(object):
    """One operation: on which bits, and what with them."""

    __slots__ = ("name", "signed", "bits", "offset", "amount", "overflow")

    def __init__(self, name, type_word, offset_word):
        self.name = name
        self.signed, self.bits = _field_type(type_word)
        if offset_word[:1] == b"#":
            self.offset = bit_offset(offset_word[1:], self.bits)
        else:
            self.offset = bit_offset(offset_word)
        self.amount = 0
        self.overflow = b"WRAP"

    @property
    def least(self):
        return -1 << self.bits - 1 if self.signed else 0

    @property
    def most(self):
        return (1 << (self.bits - 1 if self.signed else self.bits)) - 1


def _field_type(word):
    bits = parse_integer(word[1:])
    signed = word[:1] == b"i"
    if word[:1] not in (b"i", b"u") or bits is None or bits < 1 \
            or bits > (_SIGNED_BITS_MAX if signed else _UNSIGNED_BITS_MAX):
        raise errors.CommandError(_NOT_A_TYPE)
    return signed, bits


def bitfield(context, args):
    """Read and change integers: [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET|INCRBY type offset number] ..."""
    return _run(context, args[0], _read_fields(args))


def bitfield_ro(context, args):
    """Read integers: [GET type offset] ..."""
    fields = _read_fields(args)
    if any(field.name != b"GET" for field in fields):
        raise errors.CommandError("BITFIELD_RO only supports the GET subcommand")
    return _run(context, args[0], fields)


def _read_fields(args):
    fields, overflow, index = [], b"WRAP", 1
    while index < len(args):
        name, rest = args[index].upper(), len(args) - index - 1
        if name == b"OVERFLOW" and rest >= 1:
            overflow = args[index + 1].upper()
            if overflow not in _OVERFLOWS:
                raise errors.CommandError("Invalid OVERFLOW type specified")
            index += 2
            continue
        words = {b"GET": 3, b"SET": 4, b"INCRBY": 4}.get(name, 0)
        if not words or rest < words - 1:
            raise syntax_error()
        field = _Field(name, args[index + 1], args[index + 2])
        if words == 4:
            field.amount = integer(args[index + 3])
            field.overflow = overflow
        fields.append(field)
        index += words
    return fields


def _run(context, key, fields):
    """The replies of these operations, one after the other."""
    entry = context.keyspace.lookup(key)
    value = b"" if entry is None else entry.value
    ends = [field.offset + field.bits + 7 >> 3 for field in fields if field.name != b"GET"]
    if not ends:
        return [_replaced(value, field)[0] for field in fields]
    check_length(max(ends))
    changed = bytearray(value.ljust(max(ends), b"\x00"))
    grown = len(changed) > len(value)
    replies, eventful = [], False
    for field in fields:
        reply, at, part = _replaced(changed, field)
        replies.append(reply)
        if part is not None and (grown or changed[at:at + len(part)] != part):
            changed[at:at + len(part)] = part
            eventful = True
    if grown or eventful:
        store_changed(context.keyspace, key, entry, bytes(changed))
    # A value that only grows, because each operation failed, makes no event, as in Redis.
    if eventful:
        context.notify(b"$", b"setbit", key)
    return replies


def _replaced(value, field):
    """(the reply to an operation, where the bytes begin that it touches, what they become or None)."""
    bits, at = field.bits, field.offset >> 3
    size = (field.offset & 7) + bits + 7 >> 3
    whole = int.from_bytes(value[at:at + size].ljust(size, b"\x00"), "big")
    shift, mask = 8 * size - (field.offset & 7) - bits, (1 << bits) - 1
    raw = whole >> shift & mask
    old = raw - (1 << bits) if field.signed and raw >> bits - 1 else raw
    if field.name == b"GET":
        return old, at, None
    new = _limited(field, old + field.amount if field.name == b"INCRBY" else field.amount)
    if new is None:
        return None, at, None
    whole ^= (raw ^ new & mask) << shift
    return new if field.name == b"INCRBY" else old, at, whole.to_bytes(size, "big")


def _limited(field, new):
    """A number that fits into a field, or None where it does not and that counts as a failure."""
    if field.name == b"SET" and not field.signed and new < 0:
        new += 1 << 64  # what is set is taken for an unsigned number, which is too large and not too small
    least, most = field.least, field.most
    if least <= new <= most:
        return new
    if field.overflow == b"FAIL":
        return None
    if field.overflow == b"SAT":
        return most if new > most else least
    new &= (1 << field.bits) - 1
    return new - (1 << field.bits) if new > most else new


COMMANDS = (
    Command(b"BITFIELD", bitfield, -2, WRITE_OOM, 1, 1, 1),
    Command(b"BITFIELD_RO", bitfield_ro, -2, READ_FAST, 1, 1, 1),
)

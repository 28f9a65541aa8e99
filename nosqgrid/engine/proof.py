"""Proof that a keyspace is what it says: index, heap, records and large values against each other, for tests."""

from ..errors import InvariantError
from ..formats.records import CHECKED, COPIES_BITS, ELSEWHERE, EXPIRES, HEADER, LARGE, body_size_bytes
from .databases import PREFIX, PREFIX_SIZE_BYTES, Databases


def check(keyspace):
    """Raises InvariantError; costs a walk of everything."""
    keyspace.index.check()
    live_by_segment, larges, structures, expiring, cursor = {}, {}, {}, 0, 0
    databases = Databases()
    while True:
        cursor, offsets = keyspace.index.scan(cursor, 1024)
        for offset in offsets:
            stamp, value_length, key_length, _, flags = HEADER.unpack_from(keyspace.source, offset)
            size = 8 + body_size_bytes(key_length, value_length, flags)
            if stamp >> COPIES_BITS > keyspace.version or bool(flags & CHECKED) != keyspace.checked:
                raise InvariantError("the record at %d has stamp %x and flags %d" % (offset, stamp, flags))
            segment = keyspace.heap.segment_of(offset)
            live_by_segment[segment] = live_by_segment.get(segment, 0) + (size + 7 & ~7)
            expiring += flags & EXPIRES
            _count_large(keyspace, offset, flags, larges, structures)
            key = keyspace.key_at(offset)
            if bool(flags & ELSEWHERE) != (key[:PREFIX_SIZE_BYTES] == PREFIX):
                raise InvariantError("the record at %d has flags %d, and its key is %r" % (offset, flags, key))
            if flags & ELSEWHERE:
                databases.added(key, bool(flags & EXPIRES))
        if cursor == 0:
            break
    for offset in keyspace.staged_offsets():
        segment = keyspace.heap.segment_of(offset)
        live_by_segment[segment] = live_by_segment.get(segment, 0) + keyspace.size_at(offset)
        _count_large(keyspace, offset, keyspace.source[offset + HEADER.size - 1], larges, structures)
    keyspace.heap.check(live_by_segment)
    if keyspace.larges is not None:
        keyspace.larges.check(larges)
    keyspace.structures.check(structures)
    if vars(databases) != vars(keyspace.databases):
        raise InvariantError("keys of the databases: %r counted, %r found"
                             % (vars(keyspace.databases), vars(databases)))
    if expiring != keyspace.expiring:
        raise InvariantError("%d records expire, %d counted" % (expiring, keyspace.expiring))


def _count_large(keyspace, offset, flags, larges, structures):
    if flags & LARGE:
        number, _ = keyspace.large_at(offset)
        counts = larges if keyspace.structure_at(offset) is None else structures
        counts[number] = counts.get(number, 0) + 1

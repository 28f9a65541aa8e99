"""Structures for a checkpoint: their changes, written to a file without a name in slices beside the other work.

A structure is written as it is at one moment, at its version then; what happens to it later is in the log.  A small one
is written at once, a large one in slices as long as nobody changes it.  Where somebody does, what was written of it is
taken back (formats/exported), and a copy, which is made in one go, is written in its place.

A kill leaves nothing: the file ends with its descriptors.
"""

import os

from ..formats.exported import pack_part, pack_retraction, unpack_parts
from ..formats.words import pack
from ..limits import KIB, MIB
from ..memory.shared_file import BACKENDS, close_all, open_anonymous

AT_ONCE_BYTES = 64 * KIB  # of memory, of a structure that is written in one slice
SLICE_BYTES = 32 * KIB  # of packed changes, of a slice, and of a part of others: some 1 ms
GROUP_BYTES = 64 * MIB  # after which the rest has to be asked for again, so that no file is much longer


def parts_of(table, wanted, in_slices=True):
    """Yield, in slices, lists of the packed parts of structures, whose numbers are taken out of the list `wanted`.

    Those that are gone have none.  Ends behind GROUP_BYTES, with the others still wanted.  `in_slices`: they may change
    between two slices.
    """
    found, size, total = [], 0, 0
    while wanted and total < GROUP_BYTES:
        for part in _parts(table, wanted.pop(0), in_slices):
            found.append(part)
            size += len(part)
            if size >= SLICE_BYTES:
                total += size
                yield found
                found, size = [], 0
    yield found


def _parts(table, number, in_slices):
    """Yield the packed parts of one structure.  Where it is small, no time may pass before it is told that."""
    structure = table.at.get(number)
    if structure is None:
        return
    head = number, structure.version, structure.deadline_ms
    if not in_slices or structure.size_bytes <= AT_ONCE_BYTES:
        for part in list(_packed(structure, head)) or [pack_part(*head, part=b"")]:
            yield part
        return
    table.watched = structure
    for part in _packed(structure, head):
        yield part
        if table.watched is not structure or structure.version != head[1] or table.at.get(number) is not structure:
            break
    else:
        return
    yield pack_retraction(number)
    structure = table.at.get(number)
    if structure is not None:
        head = number, structure.version, structure.deadline_ms
        for part in _packed(structure.copy(), head):
            yield part


def _packed(structure, head):
    part, size = [], 0
    for words in structure.changes():
        part.append(pack(words))
        size += len(part[-1])
        if size >= SLICE_BYTES:
            yield pack_part(*head, part=b"".join(part))
            part, size = [], 0
    if part:
        yield pack_part(*head, part=b"".join(part))


def at_once(table, wanted):
    """(what formats/exported.unpack_parts gives, the numbers to ask for again), without a file between."""
    wanted = list(wanted)
    data = b"".join(b"".join(found) for found in parts_of(table, wanted, in_slices=False))
    return unpack_parts(data), wanted


def export(table, numbers, done):
    """A generator, each step of which is a slice of the work; at its end done(fd, size in bytes, left) is called.

    `left` are the numbers to ask for again.  `fd` is closed when done() returns.  Where there is no memory for the
    file, done(-1, -1, []).
    """
    opened, size, wanted = [], 0, list(numbers)
    try:
        open_anonymous("nosqgrid-structures", BACKENDS, opened)
        for found in parts_of(table, wanted):
            data = b"".join(found)
            while data:
                written = os.write(opened[0], data)
                data, size = data[written:], size + written
            yield
        done(opened[0], size, wanted)
    except OSError:
        done(-1, -1, [])
    finally:
        table.watched = None
        close_all(opened)

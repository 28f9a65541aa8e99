"""Structures for a checkpoint: their changes, written to a file without a name in slices beside the other work.

A structure is written as it is at one moment, at its version then: a small one at once, a large one from a copy, which
costs 10 ns an element.  What happens to it meanwhile is in the log.

A kill leaves nothing: the file ends with its descriptors.
"""

import os

from ..formats.exported import pack_part, unpack_parts
from ..formats.words import pack
from ..limits import KIB
from ..memory.shared_file import BACKENDS, close_all, open_anonymous

AT_ONCE_BYTES = 64 * KIB  # of a structure that is written without a copy, and of a slice
PART_BYTES = 256 * KIB


def parts_of(table, numbers):
    """Yield, in slices, lists of the packed parts of the structures with these numbers; those that are gone are not."""
    found, size = [], 0
    for number in numbers:
        structure = table.at.get(number)
        if structure is None:
            continue
        version, deadline_ms = structure.version, structure.deadline_ms
        if structure.size_bytes > AT_ONCE_BYTES:
            structure = structure.copy()
        part, part_size = [], 0
        for words in structure.changes():
            part.append(pack(words))
            part_size += len(part[-1])
            size += len(part[-1])
            if part_size >= PART_BYTES:
                found.append(pack_part(number, version, deadline_ms, b"".join(part)))
                part, part_size = [], 0
            if size >= AT_ONCE_BYTES and structure is not table.at.get(number):
                yield found
                found, size = [], 0
        if part or not part_size:
            found.append(pack_part(number, version, deadline_ms, b"".join(part)))
        if size >= AT_ONCE_BYTES:
            yield found
            found, size = [], 0
    yield found


def at_once(table, numbers):
    """The same as formats/exported.unpack_parts gives, without a file between."""
    return unpack_parts(b"".join(b"".join(found) for found in parts_of(table, numbers)))


def export(table, numbers, done):
    """A generator, each step of which is a slice of the work; at its end done(fd, size in bytes) is called.

    `fd` is closed when done() returns.  Where there is no memory for the file, done(-1, 0).
    """
    opened, size = [], 0
    try:
        open_anonymous("nosqgrid-structures", BACKENDS, opened)
        for found in parts_of(table, numbers):
            data = b"".join(found)
            while data:
                written = os.write(opened[0], data)
                data, size = data[written:], size + written
            yield
        done(opened[0], size)
    except OSError:
        done(-1, 0)
    finally:
        close_all(opened)

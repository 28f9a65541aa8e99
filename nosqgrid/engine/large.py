"""Large values: each in a shared memory file of its own, beside the heap; here is the account of them.

A file has a number that is never given twice.  A record in the heap names it (formats/records, LARGE); or it is shared:
named by nobody here, kept as long as some client holds its number (formats/lane, pins).  Its bytes never change.

    reserve(size) -> number -> a client fills a file -> adopt(number, fd) -> hold / release by records -> dropped

Invariants
 1. `take` has been charged for every byte of a file from before it exists until nobody can have it mapped any more:
    while it is dropped and a client still holds its number, it is one of the `lingering`.
 2. A file is handed out exactly as long as a record names it or it is shared; who asks for it later is told that it is
    gone, and who has it mapped keeps it: the kernel frees it when the last map goes.  Here it stays open until the next
    sweep, for the command that dropped it and goes on to tell what was in it (GETDEL).
 3. References are those of records in the heap, staged ones included; a copy by the cleaner is the same record.

A kill at any line leaves nothing: files without a name end with the last process that has them.
"""

from ..errors import GridFullError, InvariantError


class _File(object):
    """One adopted file."""

    __slots__ = ("fd", "inode", "size_bytes", "references", "shared")

    def __init__(self, fd, inode, size_bytes):
        self.fd = fd
        self.inode = inode
        self.size_bytes = size_bytes
        self.references = 0
        self.shared = False


class Larges(object):
    """The large values of one grid.

    `files` makes, reads and closes files: make(payload) -> fd or None, read(fd, size) -> bytes, close(fd); inode(fd) is
    what a reader knows one by, or 0.  `take(n)` charges bytes of memory or raises GridFullError, `give_back(n)` returns
    them, `held()` is the set of the numbers that clients hold.
    """

    def __init__(self, files, take, give_back, held):
        self._files = files
        self._take = take
        self._give_back = give_back
        self._held = held
        self._next = 1
        self._reserved = {}  # number -> bytes charged for a file that a client is filling
        self._adopted = {}  # number -> _File
        self._dropped = {}  # number -> _File that the next sweep closes
        self._lingering = {}  # number -> bytes that clients may still have mapped
        self._shared_count = 0

    # -- making -------------------------------------------------------------------------------------------------------

    def reserve(self, size_bytes):
        """Charge for a file of this size; its number.  Raises GridFullError."""
        self._charge(size_bytes)
        number = self._next
        self._next += 1
        self._reserved[number] = size_bytes
        return number

    def reserved(self, number):
        """The size of a file that is being filled, or None."""
        return self._reserved.get(number)

    def forget(self, number):
        """A file that was reserved will not come."""
        self._give_back(self._reserved.pop(number))

    def adopt(self, number, fd):
        """The file that was reserved is here; from now on `fd` is ours.  Hold or share it, or drop() it again."""
        inode = self._files.inode(fd)
        self._adopted[number] = _File(fd, inode, self._reserved.pop(number))

    def make(self, payload):
        """A file with this content, made here; its number, or None where it cannot be made: then the heap has to do."""
        try:
            number = self.reserve(len(payload))
        except GridFullError:
            return None
        fd = self._files.make(payload)
        if fd is None:
            self.forget(number)
            return None
        self.adopt(number, fd)
        return number

    def _charge(self, size_bytes):
        try:
            self._take(size_bytes)
        except GridFullError:
            self.sweep()
            self._take(size_bytes)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def hold(self, number):
        """One more record names it."""
        self._adopted[number].references += 1

    def release(self, number):
        """One record less names it."""
        file = self._adopted[number]
        file.references -= 1
        if not file.references and not file.shared:
            self._drop(number)

    def release_all(self):
        """No record names any."""
        for number, file in list(self._adopted.items()):
            file.references = 0
            if not file.shared:
                self._drop(number)

    def share(self, number):
        """Keep it as long as some client holds it."""
        if not self._adopted[number].shared:
            self._adopted[number].shared = True
            self._shared_count += 1

    def drop_unused(self, number):
        """Drop what was adopted and then neither held nor shared."""
        file = self._adopted.get(number)
        if file is not None and not file.references and not file.shared:
            self._drop(number)

    def _drop(self, number):
        self._dropped[number] = self._adopted.pop(number)

    @property
    def to_sweep(self):
        """Whether a sweep may find anything to do."""
        return bool(self._dropped or self._lingering or self._shared_count)

    def sweep(self):
        """Drop shared files that nobody holds, and give back what nobody can have mapped any more."""
        if not self.to_sweep:
            return
        held = self._held()
        for number, file in list(self._adopted.items()):
            if file.shared and number not in held:
                file.shared = False
                self._shared_count -= 1
                if not file.references:
                    self._drop(number)
        for number, file in self._dropped.items():
            self._files.close(file.fd)
            self._lingering[number] = file.size_bytes
        self._dropped = {}
        for number in [number for number in self._lingering if number not in held]:
            self._give_back(self._lingering.pop(number))

    def kept(self):
        """The numbers of files whose memory would not come back at once if no record named them any more."""
        return self._held() | {number for number, file in self._adopted.items() if file.shared}

    def size_without(self, numbers):
        """Bytes of all files but those with these numbers."""
        return sum(file.size_bytes for number, file in self._adopted.items() if number not in numbers)

    def close(self):
        """Close every file."""
        for file in list(self._adopted.values()) + list(self._dropped.values()):
            self._files.close(file.fd)
        self._adopted, self._dropped = {}, {}

    # -- reading ------------------------------------------------------------------------------------------------------

    def fd_of(self, number):
        """(descriptor, size) of a file, or None where it is gone."""
        file = self._adopted.get(number)
        return None if file is None else (file.fd, file.size_bytes)

    def place_of(self, number):
        """What a record says of a file that is adopted (formats/records.LARGE_VALUE)."""
        file = self._adopted[number]
        return number, file.size_bytes, file.fd, file.inode

    def read(self, number):
        """The content, copied; None where it is gone."""
        file = self._adopted.get(number) or self._dropped.get(number)
        return None if file is None else self._files.read(file.fd, file.size_bytes)

    def size_of(self, number):
        """Bytes that a number stands for, mapped by somebody or not; 0 for one that nobody knows."""
        file = self._adopted.get(number) or self._dropped.get(number)
        return self._lingering.get(number, 0) if file is None else file.size_bytes

    def stats(self):
        """[(name, value)] for stats()."""
        return [("large_values", len(self._adopted)),
                ("large_bytes", sum(file.size_bytes for file in self._adopted.values())),
                ("large_shared", self._shared_count),
                ("large_filling_bytes", sum(self._reserved.values())),
                ("large_dropped_bytes", sum(self._lingering.values())
                 + sum(file.size_bytes for file in self._dropped.values()))]

    def check(self, references):
        """Compare with the references counted by a walk of the records, {number: count}; raises InvariantError."""
        counted = {number: file.references for number, file in self._adopted.items() if file.references}
        if counted != references:
            raise InvariantError("large values: %r counted, %r found" % (counted, references))
        if self._shared_count != sum(1 for file in self._adopted.values() if file.shared):
            raise InvariantError("large values: %d are shared" % self._shared_count)

"""Large values in the coordinator: files that clients fill and hand over, and that readers ask for.

    NOSQGRID.ALLOCATE: its memory is charged -> the client fills a file of its own and seals it -> NOSQGRID.ADOPT or
    NOSQGRID.SHARE with the descriptor: size and seals are looked at -> engine/large has it

Invariants
 1. What a session was promised and did not hand over is given back when the session ends.
 2. A descriptor that came is adopted, or closed when the command is done that it came for, or the session.
 3. No byte of a value passes through this process, unless it came over a socket, or goes into the log.
"""

import os

from ..engine.budget import LARGE
from ..engine.large import Larges
from ..errors import CommandError, CoordinatorError, GridFullError, PeerError, ValueTooLargeError
from ..limits import LARGE_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_MAX
from ..memory import large
from ..memory.descriptors import DESCRIPTORS_MAX

SWEEP_S = 0.05  # between two looks at who still holds what


class LargeValues(object):
    """One per coordinator; `server` lends keyspace, budget, pins and sessions."""

    def __init__(self, server):
        self.server = server
        self._sweep_at = 0.0

    def new_account(self, budget):
        """The engine's account for a new keyspace."""
        return Larges(self, lambda size: budget.take(LARGE, size), lambda size: budget.give_back(LARGE, size),
                      self.server.pins.larges)

    @property
    def _account(self):
        return self.server.keyspace.larges

    # -- what the engine asks -----------------------------------------------------------------------------------------

    def make(self, payload):
        """A descriptor of a sealed file with this content, or None where there is none to be had."""
        try:
            file = large.NewFile(len(payload))
        except (OSError, GridFullError, CoordinatorError):
            return None
        try:
            file.write([payload])
            return file.detach()
        except (OSError, GridFullError, CoordinatorError):
            file.close()
            return None

    def read(self, fd, size_bytes):
        return large.read(fd, size_bytes)

    def inode(self, fd):
        return large.inode(fd)

    def close(self, fd):
        os.close(fd)

    # -- what commands ask --------------------------------------------------------------------------------------------

    def size_bytes_max(self):
        """The largest value of a key: where it has to go through a log or a checkpoint, what those take."""
        if self.server.durability.directory is not None:
            return VALUE_SIZE_BYTES_MAX
        return LARGE_SIZE_BYTES_MAX

    def allocate(self, session, size_bytes, shared):
        """Charge for a file that this client is going to fill; its number.  Raises GridFullError."""
        if size_bytes < 1 or size_bytes > (LARGE_SIZE_BYTES_MAX if shared else self.size_bytes_max()):
            raise ValueTooLargeError("a value of %d bytes; a grid that keeps its data in a directory takes up to %d: "
                                     "share() it, or split it" % (size_bytes, self.size_bytes_max()))
        try:
            number = self._account.reserve(size_bytes)
        except GridFullError:
            missing = size_bytes - self.server.budget.left_bytes(LARGE)
            if not self.server.keyspace.evictor.evict_large(missing):
                raise
            number = self._account.reserve(size_bytes)
        session.filling.add(number)
        return number

    def adopt(self, session, number):
        """Take the file that came with this command for the value that was allocated.

        Raises CommandError where none came, or one that is not what was said; the allocation is over then.
        """
        if number not in session.filling:
            raise CommandError("value %d was not allocated by this client" % number)
        session.filling.discard(number)
        size_bytes = self._account.reserved(number)
        fd = session.received.pop() if session.received else -1
        try:
            if fd < 0:
                raise CommandError("no descriptor came with the value: the coordinator may have no more open files "
                                   "(ulimit -n)", )
            large.check(fd, size_bytes, session.uid == os.getuid())
        except (CommandError, PeerError, OSError) as error:
            self._account.forget(number)
            if fd >= 0:
                os.close(fd)
            raise error if isinstance(error, CommandError) else CommandError(str(error)) from error
        self._account.adopt(number, fd)

    def abandon(self, session, number):
        """The client will not fill it after all; whether it was his to say."""
        if number not in session.filling:
            return False
        session.filling.discard(number)
        self._account.forget(number)
        return True

    def hand_out(self, session, number):
        """Let a reader have the file; its size, or None where it is gone.  The descriptor goes with the reply."""
        found = self._account.fd_of(number)
        if found is None:
            return None
        fd, size_bytes = found
        if len(session.descriptors) >= DESCRIPTORS_MAX:
            raise CommandError("ask for one large value after the other: the last %d have not been fetched"
                               % DESCRIPTORS_MAX)
        try:
            lent = os.dup(fd)  # the value may be gone before the reply is sent
        except OSError as error:
            raise CommandError("the coordinator cannot hand out a large value (%s); raise its limit of open files with "
                               "ulimit -n" % error.strerror) from error
        os.set_inheritable(lent, False)
        session.descriptors = session.descriptors + [lent]
        session.lent.append(lent)
        return size_bytes

    # -- the loop -----------------------------------------------------------------------------------------------------

    def close_received(self, session):
        """A command is done: descriptors that it did not take are nobody's."""
        while session.received:
            os.close(session.received.pop())

    def session_ended(self, session):
        for number in session.filling:
            self._account.forget(number)
        session.filling = set()
        self.close_received(session)
        session.close_lent()
        self._sweep_at = 0.0

    def tick(self, now):
        """By the clock: let go of what nobody holds any more."""
        if self._account.to_sweep and now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            self._account.sweep()

    def sleep_s(self, now):
        """For how many seconds nothing has to be looked at."""
        return SWEEP_S if self._account.to_sweep else 3600.0

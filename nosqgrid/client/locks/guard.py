"""Writing under a lock: a grid whose every write is refused when the lock is not held any more.

Each write is a batch of two: LOCK.CHECK, and what is to be done.  The coordinator does both at one moment, so the check
cannot be true and the write late.
"""

import re

from ...errors import BatchError, UsageError, from_resp
from ...formats import lane as layout
from ...formats.records import BODY
from ...formats.resp import encode_command
from ..mapping import GridMapping
from ..pipeline import Pipeline


_FAILED = re.compile(r"command (\d+) of the batch failed, none was applied: (.*)", re.DOTALL)


def _as_if_unchecked(error, alone):
    """A BatchError as those are told who do not know that the check stands before their commands."""
    failed = _FAILED.match(str(error))
    if failed is None:
        return BatchError(str(error))
    index = int(failed.group(1)) - 1
    if index < 0 or alone:
        return from_resp(failed.group(2))
    return BatchError("command %d of the batch failed, none was applied: %s" % (index, failed.group(2)), index)


class _FencedStore(object):
    """The store that a Guarded writes to; what reads is the grid's own."""

    def __init__(self, store, check):
        self._store = store
        self._check = check

    def __getattr__(self, name):
        return getattr(self._store, name)

    def live(self):
        attachment = self._store.live()
        return _Unready(attachment)

    @property
    def attachment(self):
        return _Unready(self._store.attachment)

    def _checked(self, frames, alone=False):
        """The replies of a batch behind the check; errors are those of a command that is `alone`, where it is."""
        try:
            return self._store.call("batch", self._check + frames)[1:]
        except BatchError as error:
            raise _as_if_unchecked(error, alone) from error

    def command(self, *words, again=False):
        encoded = encode_command(*words)
        return self._checked(BODY.pack(len(encoded), 0, 0, layout.COMMAND) + encoded, alone=True)[0]

    def call(self, name, *arguments, again=False):
        if name == "set_frame":
            return self._checked(arguments[0], alone=True)[0]
        if name in ("batch", "frames"):
            pieces = [arguments[0]] if isinstance(arguments[0], bytes) else list(arguments[0])
            return self._checked(b"".join(pieces))
        raise UsageError("a value this large is not written under a guard: write it by another key first, and what "
                         "names it under the guard")


class _Unready(object):
    """An attachment as the writing calls look at it, without its ways past the store."""

    ready = False
    large_value_bytes = 1 << 62

    def __init__(self, attachment):
        self._attachment = attachment

    def __getattr__(self, name):
        return getattr(self._attachment, name)


class Guarded(GridMapping):
    """The keys of a grid for one who holds a lock.  Made by Lock.guard().

    Reads are those of the grid.  A write raises FencedError, and changes nothing, when the lock is lost; set_many and
    pipeline() are one batch each.  Cost of a write: some 30 us.
    """

    def __init__(self, grid, raw_name, token):
        check = encode_command(b"LOCK.CHECK", raw_name, token)
        check = BODY.pack(len(check), 0, 0, layout.COMMAND) + check
        super().__init__(_FencedStore(grid._store, check), "")
        self._grid = grid
        self.token = token  # of the grant that each write is checked for

    def pipeline(self):
        """A Pipeline whose batch is refused as a whole when the lock is lost."""
        return Pipeline(self._store, self._raw)

    def create(self, *args, **options):
        """Refused: a value that is filled in place is not part of a batch."""
        raise UsageError("create() cannot be guarded: make the value under another key, and what names it under the "
                         "guard")

    def clear(self):
        """Refused: removing every key cannot be part of a batch."""
        raise UsageError("clear() cannot be guarded: it is no part of a batch; delete keys, or clear the grid itself")

    def __repr__(self):
        return "<nosqgrid guard of %s>" % self._grid.address

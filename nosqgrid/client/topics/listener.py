"""Listening to changes of keys: the events are kept by the coordinator while somebody listens (engine/listening).

What the coordinator keeps belongs to the session that listens; who attaches anew, after a fork for example, says so
again, with his cursor, before he reads on.
"""

import os
from collections import namedtuple
from contextlib import suppress

from ...errors import CoordinatorError, CursorLostError, UsageError
from ...formats.values import decode_key, encode_key
from .. import steps
from ..link import checked_reply
from ..times import milliseconds
from .subscription import AHEAD, NEW, Reader
from .words import checked_news, read_steps

Event = namedtuple("Event", "seq kind key missed time")
Event.__doc__ = """One event: its number, what happened ("set", "delete", "expire", "evict" or "clear"), the key (None
for "clear": every key is gone), how many events before it were missed, and when (seconds since 1970)."""

KINDS = ("set", "delete", "expire", "evict")


class Listener(Reader):
    """Events of the keys with a prefix; see Grid.listen.  Close it, or the coordinator goes on keeping events."""

    def __init__(self, store, prefix, events, keep):
        super().__init__(store)
        events = (events,) if isinstance(events, str) else tuple(events)
        if not events or not set(events) <= set(KINDS):
            raise UsageError("events=%r: of %s" % (events, ", ".join(KINDS)))
        self.prefix = prefix
        self._open_words = (b"LISTEN.OPEN", encode_key(prefix), b"EVENTS", len(events)) + events + (
            b"KEEP", milliseconds(keep, "keep"))
        self._cursor = None
        self._held_by = None  # the attachment, and its process, whose session listens

    @property
    def cursor(self):
        """Where another listener to the same can go on (since=...), while the events are kept."""
        return self._cursor

    def seek(self, since=NEW):
        """Listen anew, from now on ("new") or at a cursor.  What the keys are by then has to be looked up."""
        return steps.run(self._store, self.seek_steps(since))

    def seek_steps(self, since=NEW):
        """seek() as steps."""
        yield from self.close_steps()
        yield from self._open_steps(None if since == NEW else since)
        self._closed = False
        return self

    def _open_steps(self, cursor):
        words = self._open_words if cursor is None else self._open_words + (b"FROM", cursor)
        reply = checked_reply((yield steps.Call(words)), bytes, "LISTEN.OPEN")
        self._cursor = reply.decode("ascii")
        self._held_by = self._holder()

    def _holder(self):
        return self._store.attachment, os.getpid()

    def _read_steps(self, timeout):
        if self._held_by != self._holder():
            yield from self._open_steps(self._cursor)
        reply = yield from read_steps(self._store, b"LISTEN.READ", timeout, (b"COUNT", AHEAD, self._cursor))
        if reply is None:
            return
        missed, events = checked_news(reply, bytes)
        for number, cursor, kind, time_ms, name in events:
            kind = kind.decode("ascii", "replace")
            event = Event(number, kind, None if kind == "clear" else decode_key(name), missed, time_ms / 1000.0)
            self._ahead.append((event, cursor))
            missed = 0

    def _hand_out(self):
        event, self._cursor = self._ahead.popleft()
        self.missed += event.missed
        return event

    def close(self):
        """Listen no more; the coordinator keeps no events for this one from now on."""
        steps.run(self._store, self.close_steps())

    def close_steps(self):
        """close() as steps."""
        held, self._held_by = self._held_by, None
        super().close()
        if held is not None and held == self._holder() and not self._store.closed:
            with suppress(CoordinatorError, CursorLostError):
                yield steps.Call((b"LISTEN.CLOSE", self._cursor))

    def __repr__(self):
        return "<nosqgrid listener to %r at %s>" % (self.prefix, self._cursor)

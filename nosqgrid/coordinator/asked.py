"""What commands ask the coordinator for: what it is, who is there, and what only it can do.

A part of the coordinator, which has the attributes used here.
"""

import os

from ..engine.databases import COUNT as DATABASES
from ..errors import NosqgridError, PermissionRefusedError
from ..formats.resp import Simple, encode_reply
from . import attaching, report, sockets


class Asked(object):
    """The `server` that a command's context has (engine/commands)."""

    def sessions(self):
        return list(self._sessions.values())

    def stats(self):
        return report.stats(self)

    def info(self, section):
        return report.info(self, section)

    def config(self):
        return {"maxmemory": str(self.budget.limit_bytes_max),
                "maxmemory-policy": report.POLICY_NAMES[self.policy], "save": "",
                "appendonly": "no" if self.durability.journal is None else "yes", "databases": str(DATABASES),
                "timeout": "0"}

    def checkpoint(self, session, final):
        """Make a checkpoint for a session, which is answered when it stands; its path, or None for the directory."""
        if final is not None and session.uid not in (0, os.getuid()):
            raise PermissionRefusedError("uid %d may not have files written in the name of uid %d"
                                         % (session.uid, os.getuid()))
        self.durability.checkpoints.ask(session, final)

    def show(self, session, text):
        """Send a line to a session that monitors."""
        if not session.closed:
            sockets.queue_pushed(session, encode_reply(Simple(text), session.protocol))
            self.look_at(session)

    def run_held(self, context, words):
        """Run a command that was held, and answer it."""
        if context.session.closed:
            return
        try:
            reply = context.run(words)
        except NosqgridError as error:
            reply = error
        if reply is not context.deferred:
            self.answer(context.session, reply)

    def has_user(self, name):
        """Whether there is a user of this name."""
        return name == "default"

    def leave(self, session):
        """A client says good-bye; whether the coordinator ends with it."""
        if self._linger_s is None or any(other is not session for other in self._sessions.values()):
            return False
        session.leaving = True
        self.stop()
        return True

    def wall_offset_ms(self):
        """The wall clock minus the monotonic clock."""
        return self._wall_offset_ms

    def attach(self, session):
        return attaching.attach(self, session)

"""What commands ask the coordinator for: what it is, who is there, and what only it can do.

A part of the coordinator, which has the attributes used here.
"""

import os
import time

from ..engine.commands.schedules import put_scheduled
from ..engine.databases import COUNT as DATABASES
from ..errors import CommandError, NosqgridError, PermissionRefusedError
from ..formats.resp import Simple, encode_error, encode_reply
from . import accounts, attaching, report, sockets
from .checkpoints import Saver


class Asked(object):
    """The `server` that a command's context has (engine/commands)."""

    stats_before = {}  # what report.growing() said when INFO was to begin with zero

    def sessions(self):
        return list(self._sessions.values())

    def session_of(self, number):
        """The session with a number, or None."""
        return self._sessions.get(number)

    def answer(self, session, reply):
        """The reply to a deferred command has come, an exception for an error; nothing for one who has left."""
        if session.closed:
            return
        session.waiting = False
        if session.overseen:
            self.oversight.answered(session, reply if isinstance(reply, Exception) else None)
        self._pending.add(session)
        if session.muted and sockets.is_muted(session, reply):
            return
        sockets.queue(session, encode_error(reply) if isinstance(reply, Exception)
                      else encode_reply(reply, session.protocol))

    def push(self, session, parts):
        """Send a session an out-of-band message; one that does not read what it gets is disconnected."""
        if not session.closed and not sockets.push(session, parts):
            self.log("client %d (pid %d) does not read what it subscribed to: disconnected" % (session.id, session.pid))
            session.closing = True
        self._pending.add(session)

    def hurry(self, session):
        """Send a session what is queued for it, as far as its socket takes it now."""
        if not session.closed:
            sockets.flush(session)  # a broken connection is found by the one who looks at it next

    def stats(self):
        return report.stats(self)

    def info(self, section):
        return report.info(self, section)

    def config(self):
        return {"maxmemory": str(self.budget.limit_bytes_max),
                "maxmemory-policy": report.POLICY_NAMES[self.policy], "save": "",
                "appendonly": "no" if self.durability.journal is None else "yes", "databases": str(DATABASES),
                "timeout": "0", "aclfile": self.admission.remote.acl_path or "",
                "port": str(self.admission.port), "tls-port": str(self.admission.tls_port),
                "bind": " ".join(listener.address for listener in self.admission.remote.listeners)}

    def checkpoint(self, session, final):
        """Make a checkpoint for a session, which is answered when it stands; its path, or None for the directory."""
        if final is not None and session.uid not in (0, os.getuid()):
            raise PermissionRefusedError("%s may not have files written in the name of uid %d"
                                         % (_who(session), os.getuid()))
        self.durability.checkpoints.ask(session, final)

    def save(self, session):
        """Make a checkpoint in the directory for a session, which hears OK when it stands."""
        self.durability.checkpoints.ask(Saver(session), None)

    def save_beside(self):
        """Begin a checkpoint in the directory; false where one is under way.  Raises CommandError, DiskError."""
        return self.durability.checkpoints.start_for_nobody()

    def last_save_s(self):
        """When the last checkpoint was made, or this began, in seconds since 1970."""
        since_ms = self.started_ms + self._wall_offset_ms
        return self.durability.checkpoints.last_time() or since_ms // 1000

    def shut_down(self, session):
        """End the coordinator for a session, which hears no more than the end of its connection."""
        if session.uid not in (0, os.getuid()):
            raise PermissionRefusedError("%s may not end what uid %d has started" % (_who(session), os.getuid()))
        self.log("client %d (pid %d) has asked for the end" % (session.id, session.pid))
        self.stop()

    def owning_parts(self):
        """What keeps things that belong to a session: each has adopt(from_session, to_session)."""
        return (self.locks, self.jobs)

    def _sibling(self, session, number):
        """The session with this number, of the same process as the other one.  Raises CommandError."""
        other = self.session_of(number)
        if other is None or not other.local or not session.local or (
                (other.pid, other.uid) != (session.pid, session.uid)):
            raise CommandError("session %d is none of this process: what it was granted is given back with its end"
                               % number)
        return other

    def adopt(self, session, number):
        """Let a session have what another one of its process has, which waited for it in its place."""
        other = self._sibling(session, number)
        if other is not session:
            for part in self.owning_parts():
                part.adopt(other, session)

    def put_scheduled(self, words, due_ms):
        """Put the job of a schedule; what is noted at that."""
        return put_scheduled(self.jobs, words, due_ms)

    def accompany(self, session, number):
        """A session is there for an attachment of its process, which waits over it; its number.

        `number`, if not 0, is that of an attachment whose anchor it is: it inherits what that owns when it ends first.
        It may be the anchor of several, one after the other: the end of one may be noticed after the next has come.
        """
        if number:
            self._sibling(session, number)
            session.anchors.add(number)
            self._anchors[number] = session
        session.companion = True
        return session.id

    def pass_on(self, session):
        """A session ends: its process may live on, and then its anchor has what was owned."""
        for number in session.anchors:
            if self._anchors.get(number) is session:
                del self._anchors[number]
        heir = self._anchors.pop(session.id, None)
        if heir is None or self.closing:
            return
        heir.anchors.discard(session.id)
        for part in self.owning_parts():
            part.adopt(session, heir)

    def sleep(self, seconds):
        """Let nothing happen for some seconds."""
        time.sleep(seconds)

    def reset_stats(self):
        """Let the numbers of INFO that only grow begin with zero."""
        self.stats_before = report.growing(self)

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
        except NosqgridError as error:  # which no name here may keep: its frames lead to this one
            self.answer(context.session, error)
            return
        if reply is not context.deferred:
            self.answer(context.session, reply)

    def save_users(self):
        """Write the users to the ACL file."""
        accounts.save(self.acl, self.admission.remote.acl_path, self.log)

    def load_users(self):
        """Read the users from the ACL file."""
        accounts.load(self.acl, self.admission.remote.acl_path)

    def has_user(self, name):
        """Whether there is a user of this name."""
        return name in self.acl.users

    def leave(self, session):
        """A client says good-bye; whether the coordinator ends with it."""
        if self._linger_s is None or not session.local:
            return False
        if any(other is not session and not (other.companion and other.pid == session.pid)
               for other in self._sessions.values()):
            return False
        session.leaving = True
        self.stop()
        return True

    def wall_offset_ms(self):
        """The wall clock minus the monotonic clock."""
        return self._wall_offset_ms

    def attach(self, session):
        return attaching.attach(self, session)


def _who(session):
    return "uid %d" % session.uid if session.local else "a client by TCP"

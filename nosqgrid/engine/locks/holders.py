"""Who holds or waits: what is known of a client when it asks, in a form that outlives the coordinator.

A process is told from another that got its pid later by the time at which it began, and by the boot of the machine
that both are counted in.
"""

from ...errors import CorruptValueError


class Holder(object):
    """One client.  `pid` is 0 where it is not of this machine, or the kernel does not say; `start` is b"" where that is
    not known.
    """

    __slots__ = ("pid", "uid", "host", "session", "start", "boot", "command")

    def __init__(self, pid, uid, host, session, start=b"", boot=b"", command=b""):
        self.pid = pid
        self.uid = uid
        self.host = host
        self.session = session  # its number
        self.start = start
        self.boot = boot
        self.command = command

    def words(self):
        """What it is, as words."""
        return [b"%d" % self.pid, b"%d" % self.uid, self.host, b"%d" % self.session, self.start, self.boot,
                self.command]

    def is_process_of(self, session):
        """Whether a session is one of the same process, as far as the kernel tells."""
        return session.local and self.pid > 0 and session.pid == self.pid and session.uid == self.uid

    def text(self):
        """For people."""
        return "pid %d" % self.pid if self.pid > 0 else "client %d (%s)" % (
            self.session, self.host.decode("utf-8", "replace"))


def from_words(words):
    """The Holder that words() describes; CorruptValueError where they describe none."""
    try:
        pid, uid, host, session, start, boot, command = words
        return Holder(int(pid), int(uid), host, int(session), start, boot, command)
    except ValueError as error:
        raise CorruptValueError("no holder of a lock: %.100r" % (words,)) from error


def node_of(session, thread):
    """Who waits, in the graph of deadlocks: a thread that says its name, or a session."""
    return (session.pid, thread) if thread and session.local and session.pid > 0 else (0, b"%d" % session.id)


def text_of(node):
    """A node for people."""
    pid, thread = node
    return "pid %d (thread %s)" % (pid, thread.decode("utf-8", "replace")) if pid else "client %s" % thread.decode()

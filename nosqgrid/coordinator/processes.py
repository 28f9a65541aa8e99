"""What the kernel says about the processes of clients: what they are, and when one ends that is expected back.

A process is the same as before if its pid, its start time and the boot of the machine are: pids are used again.
Where the system has no pidfds, or no /proc, those who are expected back are looked at now and then.
"""

import os
import time

from ..network import credentials
from .poller import READ

LOOK_EVERY_S = 0.1
COMMAND_BYTES_MAX = 200
SLEEP_S_MAX = 3600.0


class Processes(object):
    """Part of a coordinator, `server`."""

    def __init__(self, server):
        self._server = server
        self._boot = _read("/proc/sys/kernel/random/boot_id").strip()
        self._watched = {}  # pid -> (start, pidfd or -1, functions to be called)
        self._next_look = 0.0

    def facts(self, session):
        """(start, boot, command) of a session's process; b"" for what is not known."""
        if not session.local or session.pid <= 0:
            return b"", b"", b""
        return start_of(session.pid), self._boot, command_of(session.pid)

    def lives(self, holder):
        """Whether the process of a holder (engine/locks/holders) lives; None where that cannot be known."""
        if holder.pid <= 0 or not holder.boot:
            return None
        if holder.boot != self._boot:
            return False
        return credentials.is_alive(holder.pid) and start_of(holder.pid) == holder.start

    def watch(self, holder, died):
        """Call died(pid) when the process of a holder ends; false where it has by now."""
        pid = holder.pid
        if pid in self._watched:
            self._watched[pid][2].append(died)
            return True
        try:
            fd = credentials.watch_death(pid)
        except ProcessLookupError:
            return False
        self._watched[pid] = holder.start, fd, [died]
        if fd >= 0:
            self._server.selector.register(fd, READ, lambda _: self._died(pid))
        if not self.lives(holder):  # looked at once more: the pid may have gone to another just before
            self._forget(pid)
            return False
        return True

    def _died(self, pid):
        for died in self._forget(pid):
            died(pid)

    def _forget(self, pid):
        _, fd, died = self._watched.pop(pid)
        if fd >= 0:
            self._server.selector.unregister(fd)
            os.close(fd)
        return died

    def tick(self, now):
        """By the clock: look at those that no descriptor tells of."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY_S
        for pid, (start, fd, _) in list(self._watched.items()):
            if fd < 0 and not (credentials.is_alive(pid) and start_of(pid) == start):
                self._died(pid)

    def sleep_s(self, now):
        """For how many seconds nobody has to be looked at."""
        if any(fd < 0 for _, fd, _ in self._watched.values()):
            return max(self._next_look - time.monotonic(), 0.001)
        return SLEEP_S_MAX

    def close(self):
        """Watch nobody any more."""
        for pid in list(self._watched):
            self._forget(pid)


def start_of(pid):
    """When a process began, in clock ticks since the boot, as text; b"" where that is not known."""
    fields = _read("/proc/%d/stat" % pid).rpartition(b")")[2].split()
    return fields[19] if len(fields) > 19 else b""


def command_of(pid):
    """The command line of a process, with spaces, as far as it is not too long."""
    return _read("/proc/%d/cmdline" % pid)[:COMMAND_BYTES_MAX].replace(b"\0", b" ").strip()


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError:
        return b""  # there is no /proc, or no such process any more

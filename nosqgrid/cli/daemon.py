"""Going to the background: the command returns when the daemon serves, or with its error when it does not.

The daemon is in a session of its own, with standard input and output at /dev/null and standard error in a file.  It
tells the process that was started, over a pipe, that it is ready; that one ends, and the daemon is nobody's child.
"""

import contextlib
import os
import stat
import sys

from ..errors import NosqgridError, StartError

_READY = b"\0ready"
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
LOG_BYTES_MAX = 1 << 20  # a log that is longer when the next daemon starts begins anew


class Background(object):
    """What the daemon tells: ready() once it serves, and tidy() before its last client learns that it is over."""

    def __init__(self, log_path, writing):
        self._log_path = log_path
        self._writing = writing
        self.told = False

    def ready(self):
        _redirect(self._log_path)
        self.say(_READY)
        self.told = True

    def say(self, text):
        """The last words to the process that was started."""
        os.write(self._writing, text)
        os.close(self._writing)

    def tidy(self):
        """Leave no log in which nothing stands."""
        with contextlib.suppress(OSError):  # somebody has moved it away, or the directory is gone
            if os.path.getsize(self._log_path) == 0:
                os.unlink(self._log_path)


def run(serve, log_path):
    """Fork; in the child serve(background), with a Background.  The exit status, here and there."""
    if "NOTIFY_SOCKET" in os.environ:
        raise StartError("a service manager waits for this very process: leave out --daemon")
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _wait(pid, reading)
    os.close(reading)
    os.setsid()
    return _child(serve, Background(log_path, writing))


def _wait(pid, reading):
    said = b""
    with os.fdopen(reading, "rb") as pipe:
        while not said.endswith(_READY):
            piece = pipe.read1(4096) if hasattr(pipe, "read1") else pipe.read(4096)
            if not piece:
                break
            said += piece
    if said.endswith(_READY):
        return 0
    _, status = os.waitpid(pid, 0)
    raise StartError(said.decode("utf-8", "replace").strip()
                     or "the daemon ended before it served, with status %d" % (status >> 8 or status))


def _child(serve, background):
    try:
        return serve(background)
    except NosqgridError as error:
        if background.told:
            raise
        background.say(str(error).encode("utf-8", "replace"))
        return 1


def _redirect(log_path):
    """Standard input and output to nowhere, standard error to the log."""
    null = os.open(os.devnull, os.O_RDWR)
    if os.path.exists(log_path) and os.path.getsize(log_path) > LOG_BYTES_MAX:
        os.unlink(log_path)
    log = os.open(log_path, _APPEND, 0o600)
    if not stat.S_ISREG(os.fstat(log).st_mode):
        raise StartError("%s is not a regular file; remove it" % log_path)
    for fd, source in ((0, null), (1, null), (2, log)):
        os.dup2(source, fd)
    for fd in (null, log):
        if fd > 2:
            os.close(fd)

"""The files that say who may log in: a password for everybody, or users and what they may do.

Who can write such a file decides who is let in, so that it has to belong to this user or root and nobody else may write
it.  That others may read it is their affair: there are places where secrets are laid out so.

Failure
  The users are written to a new file beside the old one, which is replaced when the new one is on the disk: a kill
  leaves the one or the other.
"""

import os
import stat

from ..engine.acl import Acl
from ..engine.commands import CATALOGUE
from ..errors import CommandError, StartError
from ..limits import KIB, MIB
from ..storage.files import Files

PASSWORD_BYTES_MAX = 64 * KIB
USERS_BYTES_MAX = 16 * MIB
NO_FILE = ("This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
           "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
           "order to store users in the Redis configuration.")


def read_password(path):
    """The first line of a file, as bytes; raises StartError."""
    line = _read(path, PASSWORD_BYTES_MAX, "--redis-password-file").split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise StartError("the password file %s begins with an empty line: write the password there" % path)
    return line


def read_users(path):
    """{name: acl_rules.User} of an ACL file; raises StartError."""
    text = _read(path, USERS_BYTES_MAX, "--acl-file")
    try:
        return Acl(CATALOGUE, list, int).parse(text, path)
    except CommandError as error:
        raise StartError("cannot use the ACL file: %s" % error) from error


def begin(acl, settings, remote):
    """Let the users of a coordinator be those that were read for it (admission.Remote)."""
    if remote.users is not None:
        acl.replace(remote.users)
    if remote.password is not None:
        settings.set_all([("requirepass", remote.password.decode("utf-8", "surrogateescape"))])
        acl.set_default_password(remote.password)


def is_open(users, password):
    """Whether a coordinator with these would let everybody in without a password."""
    if password is not None:
        return False
    default = (users or {}).get("default")
    return default is None or default.enabled and default.nopass


def load(acl, path):
    """Have the users of the file in the place of those there are; raises CommandError with nothing changed."""
    _need(path)
    try:
        text = _read(path, USERS_BYTES_MAX, "--acl-file")
    except StartError as error:
        raise CommandError(str(error)) from error
    acl.replace(acl.parse(text, path))


def save(acl, path, log):
    """Write the users to the file; raises CommandError."""
    _need(path)
    files, temporary = Files(), "%s.%d.tmp" % (path, os.getpid())
    try:
        fd = files.create(temporary)
        try:
            rest = memoryview(acl.text())
            while rest:
                rest = rest[files.write(fd, rest):]
            files.sync(fd)
        finally:
            files.close(fd)
        files.rename(temporary, path)
        files.sync_directory(os.path.dirname(path))
    except OSError as error:
        log("cannot write the ACL file %s: %s" % (path, error))
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise CommandError("There was an error trying to save the ACLs. Please check the server logs for more "
                           "information") from error


def _need(path):
    if path is None:
        raise CommandError(NO_FILE)


def _read(path, bytes_max, option):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise StartError("cannot read %s: %s; give another file with %s" % (path, error.strerror, option)) from error
    try:
        _check(os.fstat(fd), path, bytes_max, option)
        parts, left = [], bytes_max
        while left:
            part = os.read(fd, left)
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def _check(status, path, bytes_max, option):
    if not stat.S_ISREG(status.st_mode):
        raise StartError("%s is not a regular file; give another with %s" % (path, option))
    if status.st_uid not in (0, os.geteuid()):
        raise StartError("%s belongs to uid %d, who could decide who is let in; make it your own"
                         % (path, status.st_uid))
    if status.st_mode & 0o022:
        raise StartError("others can write %s (mode %04o) and decide who is let in; chmod go-w it"
                         % (path, stat.S_IMODE(status.st_mode)))
    if status.st_size > bytes_max:
        raise StartError("%s has %d bytes, and at most %d are read; give another file with %s"
                         % (path, status.st_size, bytes_max, option))

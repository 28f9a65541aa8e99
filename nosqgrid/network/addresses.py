"""Where a grid is: the path of a Unix socket, given or found.

    $NOSQGRID_SOCKET, if it is set
    /run/nosq.sock, for root, where /run can be written
    $XDG_RUNTIME_DIR/nosq.sock, where that is a directory of this user
    TMPDIR/nosqgrid-UID/nosq.sock, in a directory that only this user can enter

A coordinator and its clients find the same path by the same rules, as long as they run as the same user with the same
environment; everybody else names it.  Abstract sockets (a name that begins with NUL) are refused: they have no owner
and no mode, so any local user could connect (CVE-2022-42919).
"""

import os
import stat

from .. import errors, limits

VARIABLE = "NOSQGRID_SOCKET"
SOCKET_NAME = "nosq.sock"
ROOT_DIRECTORY = "/run"
PREFIXES = ("unix://", "nosq://", "unix:", "nosq:")


def resolve(address=None):
    """The absolute path of the socket that an address means; None is the default of this user.

    Args:
        address: a path (str, bytes or os.PathLike), which may be preceded by "unix:" or "nosq:".
    Raises:
        UsageError: it is empty, abstract, contains NUL, or is longer than limits.SOCKET_PATH_BYTES_MAX.
    Cost: no more than two stat calls; the socket itself is not looked at.

    >>> resolve("unix:/run/cache.sock")
    '/run/cache.sock'
    """
    if address is None:
        address = os.environ.get(VARIABLE) or default_path()
    path = _text(address)
    for prefix in PREFIXES:
        if path.startswith(prefix):
            path = path[len(prefix):]
            break
    if not path:
        raise errors.UsageError("the address %r names no socket; give the path of one, such as /run/%s"
                                % (address, SOCKET_NAME))
    if "\0" in path or path.startswith("@"):
        raise errors.UsageError("the address %r is not a path: abstract sockets are open to every local user; give the"
                                " path of a socket file (./@name if it begins with @)" % (address,))
    path = os.path.abspath(path)
    check_length(path, errors.UsageError)
    return path


def check_length(path, error_class):
    """Raise error_class where a socket path is longer than the system can bind or connect to."""
    length = len(os.fsencode(path))
    if length > limits.SOCKET_PATH_BYTES_MAX:
        raise error_class("the socket path %s has %d bytes, and systems allow no more than %d; use a shorter directory"
                          % (path, length, limits.SOCKET_PATH_BYTES_MAX))


def default_path():
    """The socket of this user where nobody named one."""
    if os.geteuid() == 0 and os.path.isdir(ROOT_DIRECTORY) and os.access(ROOT_DIRECTORY, os.W_OK | os.X_OK):
        return os.path.join(ROOT_DIRECTORY, SOCKET_NAME)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and _is_own_directory(runtime):
        return os.path.join(runtime, SOCKET_NAME)
    return os.path.join(user_directory(), SOCKET_NAME)


def user_directory():
    """The directory that the listener makes for this user, mode 0700, where the system provides none."""
    import tempfile  # here alone: it takes longer to import than all of this package's network
    return os.path.join(tempfile.gettempdir(), "nosqgrid-%d" % os.geteuid())


def _is_own_directory(path):
    # After su the variable may still name the directory of somebody else.
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _text(address):
    try:
        return os.fsdecode(address)
    except TypeError as error:
        raise errors.UsageError("an address is the path of a socket (str, bytes or os.PathLike) or None, not %s"
                                % type(address).__name__) from error

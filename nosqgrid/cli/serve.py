"""nosqgrid serve: a coordinator in the foreground."""

import os
import signal
import sys
import threading

from ..client.grid import size_bytes
from ..coordinator.coordinator import Coordinator, log_to_stderr
from ..errors import GridFullError, StartError, UsageError
from ..limits import MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MIB
from ..network import addresses
from ..network.listener import Listener

HELP = "run a coordinator in the foreground"
DESCRIPTION = """Run a coordinator in the foreground until SIGTERM or SIGINT.

Programs of this user attach with nosqgrid.attach("PATH"), Redis clients with redis-cli -s PATH.  The data live in
memory as long as the coordinator runs."""


def add_arguments(parser):
    parser.add_argument("--memory", default=str(MEMORY_BYTES_DEFAULT // MIB) + "m", metavar="SIZE",
                        help="memory for keys and values, such as 64m or 2g; taken from the system as it is used "
                        "(default: %(default)s)")
    parser.add_argument("--allow-uid", action="append", type=int, default=[], metavar="UID",
                        help="let this user read; may be repeated")
    parser.add_argument("--allow-gid", action="append", type=int, default=[], metavar="GID",
                        help="let users with this primary group read; may be repeated")
    parser.add_argument("--allow-write", action="store_true", help="let those users write too")
    parser.add_argument("--allow-loose-directory", action="store_true",
                        help="put up with a socket in a directory that others can write to, such as /tmp")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    parser.add_argument("--while-stdin", action="store_true",
                        help="end when standard input does: for programs that start a coordinator for themselves")


def run(arguments, out):
    """Serve; the exit status."""
    memory_bytes = size_bytes(arguments.memory)
    if not MEMORY_BYTES_MIN <= memory_bytes <= MEMORY_BYTES_MAX:
        raise UsageError("--memory %s: it must be from %dm to %dg" % (arguments.memory, MEMORY_BYTES_MIN // MIB,
                                                                     MEMORY_BYTES_MAX >> 30))
    _check_platform()
    path = addresses.resolve(arguments.socket)
    listener = Listener(path, arguments.allow_loose_directory,
                        others_may_connect=bool(arguments.allow_uid or arguments.allow_gid))
    try:
        coordinator = Coordinator(listener, memory_bytes, access_for(arguments), log_to_stderr)
    except (GridFullError, OSError) as error:
        listener.close()
        raise StartError("cannot have the memory: %s" % error) from error
    _stop_on_signals(coordinator)
    if arguments.while_stdin:
        _stop_with_stdin(coordinator)
    try:
        if not arguments.quiet:
            out.write("nosqgrid %d serves %s with %s of memory; end it with Ctrl-C or SIGTERM\n"
                      % (os.getpid(), path, arguments.memory))
            out.flush()
        coordinator.run()
    finally:
        signal.set_wakeup_fd(-1)
        coordinator.close()
    if not arguments.quiet:
        out.write("nosqgrid %d has ended\n" % os.getpid())
    return 0


def access_for(arguments):
    """access(uid, gid) -> (may connect, may write): the owner all, others by name only."""
    own, uids, gids = os.getuid(), set(arguments.allow_uid), set(arguments.allow_gid)

    def access(uid, gid):
        if uid == own:
            return True, True
        allowed = uid in uids or gid in gids
        return allowed, allowed and arguments.allow_write

    return access


def _check_platform():
    if sys.byteorder != "little" or sys.maxsize <= 2 ** 32:
        raise StartError("nosqgrid needs a little-endian 64-bit machine: slot words are 8 bytes, stored in one piece")


def _stop_on_signals(coordinator):
    def stop(number, frame):
        coordinator.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.set_wakeup_fd(coordinator.wake_fd)


def _stop_with_stdin(coordinator):
    """A thread that does nothing but wait for the end of standard input: the death of whoever holds the other end."""
    def wait():
        while os.read(0, 4096):
            continue
        coordinator.stop()

    threading.Thread(target=wait, name="nosqgrid-stdin", daemon=True).start()

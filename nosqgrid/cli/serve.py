"""nosqgrid serve: a coordinator in the foreground."""

import gc
import os
import signal
import sys
import threading

from ..client.grid import size_bytes
from ..coordinator import durability
from ..coordinator.coordinator import Coordinator
from ..coordinator.report import log_to_stderr
from ..engine.policies import LFU, POLICIES
from ..engine.policies import REFUSE as REFUSE_WRITES
from ..errors import GridFullError, StartError, UsageError
from ..limits import (CHECKPOINT_EVERY_S_DEFAULT, CHECKPOINT_EVERY_S_WITHOUT_LOG, CHECKPOINT_LOG_SIZE_BYTES_DEFAULT,
                      MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MAX, MEMORY_BYTES_MIN, MIB)
from ..memory import available
from ..network import addresses
from ..network.listener import Listener
from ..storage.journal import REFUSE, SERVE
from ..storage.wal import LEVELS, NONE
from . import daemon, remote

NEVER = 1 << 30  # collections of middle-aged objects until one of the old ones

HELP = "run a coordinator"
DESCRIPTION = """Run a coordinator, in the foreground unless --daemon is said, until SIGTERM or SIGINT.

Programs of this user attach with nosqgrid.attach("PATH"), Redis clients with redis-cli -s PATH.

Without --dir the data live in memory as long as the coordinator runs.  With it they are on disk: every write in a log,
everything now and then in a checkpoint, and the next start brings them back.  What a power cut can take:

  --durability none       everything since the last checkpoint; and so can a kill
               os         what the system had not written yet; a kill takes nothing
               everysec   about the last second; a kill takes nothing (the default with --dir)
               always     nothing that was answered or read by anybody

SIGUSR2 makes a checkpoint, SIGTERM and SIGINT make one and end; a second one ends without."""


def add_arguments(parser):
    parser.add_argument("--memory", metavar="SIZE",
                        help="memory for all of the grid, keys, values, index and lanes, such as 64m or 2g; taken from "
                        "the system as it is used (default: %dm, or less where the machine or its container has not so "
                        "much)" % (MEMORY_BYTES_DEFAULT // MIB))
    parser.add_argument("--memory-max", metavar="SIZE",
                        help="let the memory grow up to here before writes are refused, as long as the system has it, "
                        "and shrink back when it is not needed (default: it does not grow)")
    parser.add_argument("--policy", choices=POLICIES,
                        help="when the memory is full: refuse writes, or evict what is asked for least often (lfu) or "
                        "was not asked for the longest (lru) (default: refuse with --dir, lfu without)")
    parser.add_argument("--allow-uid", action="append", type=int, default=[], metavar="UID",
                        help="let this user read; may be repeated")
    parser.add_argument("--allow-gid", action="append", type=int, default=[], metavar="GID",
                        help="let users with this primary group read; may be repeated")
    parser.add_argument("--allow-write", action="store_true", help="let those users write too")
    parser.add_argument("--allow-loose-directory", action="store_true",
                        help="put up with a socket in a directory that others can write to, such as /tmp")
    remote.add_arguments(parser)
    parser.add_argument("--dir", metavar="DIR", help="keep the data in this directory; it is made if it is not there")
    parser.add_argument("--durability", choices=LEVELS, help="what is safe when a write returns: see above")
    parser.add_argument("--on-disk-error", choices=(REFUSE, SERVE), default=REFUSE,
                        help="what becomes of writes that cannot be logged: refuse them, or serve them from memory "
                        "alone until the disk works again (default: %(default)s)")
    parser.add_argument("--checkpoint-every", type=float, metavar="SECONDS",
                        help="at the latest when anything has changed; 0 turns it off (default: %d, %d without a log)"
                        % (CHECKPOINT_EVERY_S_DEFAULT, CHECKPOINT_EVERY_S_WITHOUT_LOG))
    parser.add_argument("--checkpoint-log-size", metavar="SIZE",
                        help="make a checkpoint when the log is larger than this and than the last checkpoint; 0 turns "
                        "it off (default: %dm)" % (CHECKPOINT_LOG_SIZE_BYTES_DEFAULT // MIB))
    parser.add_argument("--linger", type=float, metavar="SECONDS", default=None,
                        help="end so long after the last client has left: for programs that start a coordinator for "
                        "themselves and others")
    parser.add_argument("--daemon", action="store_true",
                        help="go to the background once everything is back and served; messages go to "
                        "coordinator.log in the directory, or beside the socket")
    parser.add_argument("--wait", type=float, metavar="SECONDS", default=0.0,
                        help="for another coordinator to leave the directory (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something is wrong")
    parser.add_argument("--while-stdin", action="store_true",
                        help="end when standard input does: for programs that start a coordinator for themselves")


def run(arguments, out):
    """Serve; the exit status."""
    for option, seconds in (("--linger", arguments.linger or 0.0), ("--wait", arguments.wait)):
        if not seconds >= 0:  # nan is not, either
            raise UsageError("%s %s: a number of seconds from 0 on" % (option, seconds))
    memory = _memory(arguments)
    storage = _storage(arguments)
    remote.check_arguments(arguments)
    _check_platform()
    path = addresses.resolve(arguments.socket)
    if arguments.daemon:
        return daemon.run(lambda background: _serve(arguments, memory, storage, path, out, background),
                          log_path(arguments))
    return _serve(arguments, memory, storage, path, out, None)


def _memory(arguments):
    """(--memory, --memory-max) in bytes, None and 0 where they were not said."""
    sizes = []
    for name, text in (("--memory", arguments.memory), ("--memory-max", arguments.memory_max)):
        size = None if text is None else size_bytes(text)
        if size is not None and not MEMORY_BYTES_MIN <= size <= MEMORY_BYTES_MAX:
            raise UsageError("%s %s: it must be from %dm to %dg" % (name, text, MEMORY_BYTES_MIN // MIB,
                                                                   MEMORY_BYTES_MAX >> 30))
        sizes.append(size)
    memory_bytes, memory_bytes_max = sizes
    if memory_bytes_max is not None and memory_bytes_max < (memory_bytes or 0):
        raise UsageError("--memory-max %s is less than --memory %s" % (arguments.memory_max, arguments.memory))
    return memory_bytes, memory_bytes_max or 0


def _look_at_memory(memory_bytes, memory_bytes_max):
    """What --memory is to be, after a look at what the system has; raises StartError where it cannot be had."""
    backend = available.probe_backend()
    if memory_bytes is None:
        memory_bytes = available.sensible_bytes(min(MEMORY_BYTES_DEFAULT, memory_bytes_max or MEMORY_BYTES_DEFAULT),
                                                backend)
    warning = available.check_before_start(memory_bytes, backend)
    if warning is not None:
        log_to_stderr(warning)
    return memory_bytes


def policy_of(arguments):
    """What happens when the memory is full: a grid that keeps its data on disk loses none unless that was asked for."""
    if arguments.policy is not None:
        return arguments.policy
    return LFU if arguments.dir is None else REFUSE_WRITES


def log_path(arguments):
    """Where a daemon's messages go: into its directory, or beside its socket."""
    if arguments.dir is not None:
        return os.path.join(os.path.abspath(arguments.dir), "coordinator.log")
    return addresses.resolve(arguments.socket) + ".log"


def _serve(arguments, memory, storage, path, out, background):
    memory_bytes = _look_at_memory(*memory)
    listener = Listener(path, arguments.allow_loose_directory,
                        others_may_connect=bool(arguments.allow_uid or arguments.allow_gid))
    try:
        doors = remote.open_doors(arguments)
    except BaseException:
        listener.close()
        raise
    try:
        coordinator = Coordinator(listener, memory_bytes, access_for(arguments), log_to_stderr, storage=storage,
                                  linger_s=arguments.linger, memory_bytes_max=memory[1], policy=policy_of(arguments),
                                  remote=doors)
    except (GridFullError, OSError) as error:
        listener.close()
        remote.close_doors(doors)
        raise StartError("cannot have the memory: %s" % error) from error
    _stop_on_signals(coordinator)
    _collect_young_garbage_alone()
    _bring_back(coordinator)
    if arguments.while_stdin:
        _stop_with_stdin(coordinator)
    try:
        if not arguments.quiet:
            _introduce(coordinator, path, arguments, out)
        if background is not None:
            background.ready()
            coordinator.at_end = background.tidy
        coordinator.run()
    except BaseException:
        coordinator.abandon()  # no checkpoint of what may be wrong: the log is right
        raise
    _end(coordinator)
    if not arguments.quiet:
        out.write("nosqgrid %d has ended\n" % os.getpid())
    return 0


def _bring_back(coordinator):
    try:
        coordinator.open()
    except BaseException:
        coordinator.abandon()
        raise


def _end(coordinator):
    try:
        coordinator.close()
    except Hurry:
        coordinator.log("ended in a hurry, without a last checkpoint; " + (
            "what was written since the one before is gone" if coordinator.durability.journal is None else
            "the next start reads the log instead"))
    finally:
        signal.set_wakeup_fd(-1)


def _storage(arguments):
    """durability.options() for what was asked for."""
    if arguments.dir is None and arguments.durability not in (None, NONE):
        raise UsageError("--durability %s needs a directory to keep the log in: give one with --dir"
                         % arguments.durability)
    if arguments.checkpoint_every is not None and not 0 <= arguments.checkpoint_every < 1e9:
        raise UsageError("--checkpoint-every %g: a number of seconds" % arguments.checkpoint_every)
    log_bytes = arguments.checkpoint_log_size
    return durability.options(arguments.dir, arguments.durability, arguments.on_disk_error, arguments.checkpoint_every,
                              None if log_bytes is None else size_bytes(log_bytes), arguments.wait)


def _introduce(coordinator, path, arguments, out):
    report = coordinator.durability.report
    if report is not None:
        out.write("%s: %d keys in %.1f s, %d from the checkpoint, then %d log entries%s\n" % (
            coordinator.durability.directory, coordinator.keyspace.key_count, coordinator.durability.recovery_s,
            report.keys, report.entries, "; the log had a torn end" if report.torn else ""))
    policy = policy_of(arguments)
    out.write("nosqgrid %d serves %s with %s%s; when it is full it %s; end it with Ctrl-C or SIGTERM\n" % (
        os.getpid(), path, _memory_text(coordinator, arguments),
        "" if report is None else ", durability %s" % coordinator.durability.options.level,
        "refuses writes" if policy == REFUSE_WRITES else "evicts (policy %s)" % policy))
    remote.introduce(coordinator.admission.remote, out)
    out.flush()


def _memory_text(coordinator, arguments):
    text = "%s of memory" % (arguments.memory or "%dm" % (coordinator.memory_bytes // MIB))
    if arguments.memory_max is not None:
        text += ", up to %s where needed" % arguments.memory_max
    elif arguments.memory is None and coordinator.memory_bytes < MEMORY_BYTES_DEFAULT:
        text += " (%dm would be too much here)" % (MEMORY_BYTES_DEFAULT // MIB)
    return text


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


class Hurry(BaseException):
    """The second signal: end without the last checkpoint."""


def _collect_young_garbage_alone():
    """Keep Python's collector from looking at everything, which takes 140 ms with a million objects (decision 25).

    What dies young in a cycle, an error with its frames say, it still finds.  Sessions cut theirs themselves; nothing
    else that grows old here refers to itself.
    """
    gc.set_threshold(*gc.get_threshold()[:2] + (NEVER,))


def _stop_on_signals(coordinator):
    def stop(number, frame):
        if coordinator.closing:
            raise Hurry()
        coordinator.stop()

    def checkpoint(number, frame):
        coordinator.durability.checkpoint_wanted = True
        coordinator.wake()

    signal.signal(signal.SIGUSR2, checkpoint)
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


COMMANDS = (("serve", HELP, DESCRIPTION, add_arguments, run),)

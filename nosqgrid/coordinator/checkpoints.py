"""Checkpoints from the coordinator's side: when one is due, the process that makes it, who waits for it.

Asked for by a client (`grid.checkpoint()`), by the clock, by the size of the log, by SIGUSR2, and at a clean stop.  The
work is done by a process of its own (storage/checkpointer), which reads the arena like any reader; here it costs
starting it and answering where the log stands.  Only the last one, at the stop, is made in this process: nobody is
served any more.

Where there is no log one is written while a checkpoint is made, beside it, and removed afterwards: a checkpoint is
consistent at one position only with what happened while it was read.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import namedtuple

from ..errors import CommandError, DiskError, NosqgridError, StorageError, from_resp
from ..formats.resp import OK, Map
from ..memory.walker import Walker
from ..storage import checkpoint
from ..storage.checkpointer import Conversation
from ..storage.journal import REFUSE, SERVE, Journal
from ..storage.wal import NONE, Wal
from . import exports
from .poller import READ

_PACKAGE_PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RETRY_AFTER_FAILURE_S = 10.0  # of the checkpoints that the clock or the log's size ask for


Saver = namedtuple("Saver", "session")  # one who waits for a checkpoint and only wants to hear OK


class _Run(object):
    """One checkpoint under way."""

    def __init__(self, plan, waiters):
        self.plan = plan
        self.waiters = waiters  # sessions and Savers
        self.since = None  # position in the log behind which everything belongs to it
        self.process = self.conversation = self.sock = None
        self.tail = None  # the log made for it, where the grid has none
        self.tail_directory = self.tail_journal = None
        self.positioned = self.quiet = False
        self.keys = self.bytes = 0


class Checkpoints(object):
    """One per coordinator; `durability` owns directory and log."""

    def __init__(self, durability):
        self.durability = durability
        self.server = durability.server
        self.run = None
        self._ended = []  # processes that are done and not yet waited for
        self._queue = []  # (session, final path or None): asked for while one runs, for another target
        self._last = None  # checkpoint.Made of the last one in the directory
        self._last_bytes = 0
        self._last_wall_s = 0
        self.last_error = ""
        self.made = self.failed = 0
        self._due_at = 0.0

    @property
    def running(self):
        return self.run is not None

    def begin_from(self, report):
        """What recovery found."""
        self._last_bytes = report.checkpoint_bytes
        self._last = checkpoint.Made(report.checkpoint or "", report.checkpoint_lsn, report.keys,
                                     report.checkpoint_bytes, 0.0)
        self._plan_next(time.monotonic())

    def _plan_next(self, now):
        every_s = self.durability.options.checkpoint_every_s
        self._due_at = now + every_s if every_s else float("inf")

    # -- when ---------------------------------------------------------------------------------------------------------

    def _changed(self):
        return self._last is None or self.server.keyspace.version != self._last.lsn

    def due(self, now):
        """Whether the clock or the size of the log asks for one."""
        if self.run is not None or self.durability.directory is None or not self._changed():
            return False
        wanted = self.durability.options.checkpoint_log_bytes
        # In proportion to what there is to write, or a large grid would do nothing else.
        return now >= self._due_at or wanted and self.durability.log_bytes() > max(wanted, self._last_bytes)

    def next_due_s(self, now):
        """Seconds until the clock may ask for one."""
        return max(self._due_at - now, 0.05) if self._changed() and self.run is None else 3600.0

    # -- starting -----------------------------------------------------------------------------------------------------

    def ask(self, session, final):
        """A client asks: into the directory, or to the file `final`.  It is answered when it is done.

        Raises CommandError, DiskError.
        """
        self._check_directory(final)
        if self.run is None:
            self._start(final, [session])
        elif self.run.plan.final == final and not self.run.positioned:
            self.run.waiters.append(session)  # its position is still to come, and lies behind what was written so far
        else:
            self._queue.append((session, final))

    def start_for_nobody(self):
        """Somebody asks for one in the directory and does not wait; false where one is under way.

        Raises CommandError, DiskError.
        """
        if self.run is not None:
            return False
        self._check_directory(None)
        self._start(None, [])
        return True

    def start_unasked(self):
        """For the clock, the log's size, a signal, or trouble: no client waits."""
        if self.run is not None:
            return
        try:
            self._start(None, [])
        except NosqgridError as error:
            self._note_failure(error)

    def _check_directory(self, final):
        if final is None and self.durability.directory is None:
            raise CommandError("this grid keeps nothing on disk: say where to write the checkpoint (checkpoint --to "
                               "FILE), or start the coordinator with --dir")

    def _start(self, final, waiters):
        durability, server = self.durability, self.server
        if final is None:
            durability.check_ours()
        run = _Run(checkpoint.Plan(durability.directory, final, durability.lineage, server.keyspace.version), waiters)
        trouble = durability.journal is not None and durability.journal.needs_checkpoint and not self._caught_up()
        if trouble and not (final is not None and durability.options.policy == REFUSE):
            raise DiskError("no checkpoint can be made now: %s" % durability.journal.error)
        run.quiet = trouble  # writes are refused: there will be nothing to add, and a backup is wanted all the more
        if durability.wal is None:
            self._open_tail(run)
        elif not run.quiet:
            durability.wal.rotate()
        if not run.quiet:
            run.since = (run.tail or durability.wal).position()
        try:
            self._spawn(run)
        except OSError as error:
            self._close_tail(run)
            raise DiskError("cannot start the process that makes the checkpoint: %s" % error) from error
        self.run = run

    def _caught_up(self):
        """Whether the log goes on in a new segment from the present state."""
        return self.durability.wal.appended_lsn == self.server.keyspace.version and self.durability.wal.broken is None

    def _spawn(self, run):
        ours, theirs = socket.socketpair()
        arena_fd = self.server.arena.file.reader_fd()
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            part for part in (_PACKAGE_PARENT, environment.get("PYTHONPATH")) if part)
        try:
            run.process = subprocess.Popen(
                [sys.executable, "-m", "nosqgrid.storage.checkpointer", str(arena_fd), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(arena_fd, theirs.fileno()),
                env=environment, cwd="/")
            run.sock, run.conversation = ours, Conversation(ours)
            run.conversation.send({"directory": run.plan.directory, "final": run.plan.final,
                                   "lineage": run.plan.lineage, "start_lsn": run.plan.start_lsn})
        except OSError:
            ours.close()
            self._ended += [run.process] if run.process is not None else []
            raise
        finally:
            theirs.close()
        self.server.selector.register(ours, READ, self._hear)

    def _open_tail(self, run):
        """Begin a log for this checkpoint alone."""
        plan, files = run.plan, self.durability.files
        run.tail_directory = checkpoint.temporary_path(
            plan.final or os.path.join(plan.directory, "checkpoint-log"), os.getpid())
        checkpoint.remove_directory(files, run.tail_directory)
        try:
            files.make_directory(run.tail_directory)
        except OSError as error:
            raise checkpoint.disk_error("make the directory", run.tail_directory, error) from error
        run.tail = Wal(files, run.tail_directory, plan.lineage, NONE, 1, plan.start_lsn + 1,
                       wall_offset_ms=self.server.wall_offset_ms())
        run.tail_journal = Journal(run.tail, SERVE)
        self.server.keyspace.set_log(run.tail_journal)

    def _close_tail(self, run):
        if run.tail is None:
            return
        self.server.keyspace.set_log(None)
        with contextlib.suppress(DiskError):  # nobody needs it any more
            run.tail.close(sync=False)
        if not checkpoint.remove_directory(self.durability.files, run.tail_directory):
            self.server.log("cannot remove %s; it is of no use any more" % run.tail_directory)

    # -- while it runs ------------------------------------------------------------------------------------------------

    def _hear(self, _):
        """The process said something, or is gone."""
        run = self.run
        while self.run is run:
            try:
                message = run.conversation.receive()
            except (EOFError, OSError, ValueError):
                self._end(run, StorageError("the process that makes the checkpoint has ended before it was done; what "
                                            "it said stands among the coordinator's messages"))
                return
            self._take(run, message)
            if not run.conversation.pending():
                return

    def _take(self, run, message):
        if "error" in message:
            self._end(run, from_resp("%s %s" % (message["code"], message["error"])))
        elif "walked" in message:
            self._answer_position(run)
        elif "large" in message:
            fd, size_bytes = self.server.keyspace.larges.fd_of(message["large"]) or (-1, 0)
            with contextlib.suppress(OSError):  # a process that is gone: the end of its socket says so
                run.conversation.send({"size": size_bytes}, [fd] if size_bytes else ())
        elif "structures" in message:
            keyspace = self.server.keyspace
            keyspace.chores.append(exports.export(keyspace.structures, message["structures"],
                                                  lambda *found: self._hand_over(run, *found)))
        elif "path" in message:
            self._end(run, None, checkpoint.Made(*(message[name] for name in checkpoint.Made._fields)))
        else:
            run.keys, run.bytes = message["keys"], message["bytes"]

    def _hand_over(self, run, fd, size_bytes, left):
        if self.run is run:
            with contextlib.suppress(OSError):  # as above
                run.conversation.send({"size": size_bytes, "left": left}, [fd] if size_bytes > 0 else ())

    def _answer_position(self, run):
        run.positioned = True
        log, version = run.tail or self.durability.wal, self.server.keyspace.version
        if run.quiet:
            lsn, pieces = (version, []) if version == run.plan.start_lsn else (-1, [])
        else:
            lsn, pieces = log.appended_lsn, log.pieces(run.since)
        if run.tail is not None and run.tail_journal.missed or lsn != version:
            run.process.kill()
            error = run.tail_journal.error if run.tail is not None else self.durability.journal.error
            self._end(run, StorageError("what was written meanwhile could not be logged: %s" % error))
            return
        with contextlib.suppress(OSError):  # a process that is gone: the end of its socket says so
            run.conversation.send({"lsn": lsn, "pieces": pieces, "keys": self.server.keyspace.key_count})

    def look(self):
        """By the clock: see to processes that have ended, and begin what waited for the last one."""
        self._ended = [process for process in self._ended if process.poll() is None]
        if self.run is None and self._queue:
            queue, self._queue = self._queue, []
            finals = {}
            for session, final in queue:
                finals.setdefault(final, []).append(session)
            for index, (final, sessions) in enumerate(finals.items()):
                if index == 0:
                    self._start_for(final, sessions)
                else:
                    self._queue += [(session, final) for session in sessions]

    def _start_for(self, final, sessions):
        try:
            self._start(final, sessions)
        except NosqgridError as error:
            for session in sessions:
                self._answer(session, error)

    # -- the end of one -----------------------------------------------------------------------------------------------

    def _end(self, run, error, made=None):
        self.server.selector.unregister(run.sock)
        self._ended.append(run.process)  # an interpreter takes milliseconds to end: it is waited for by the clock
        self.run = None
        self._close_tail(run)
        if error is not None:
            self._remove_leftover(run)
            self._note_failure(error)
            if run.plan.final is None:
                self.durability.checkpoint_failed(error)
        else:
            self._note(run, made)
        run.sock.close()  # now the process lets go of the files that were removed, and frees their space
        for session in run.waiters:
            self._answer(session, error if error is not None else Map([
                ("path", os.fsencode(made.path)), ("lsn", made.lsn), ("keys", made.keys), ("bytes", made.bytes),
                ("ms", int(made.seconds * 1000))]))
        self.look()

    def _answer(self, waiter, reply):
        """Tell a session how its checkpoint went, or one that has said SAVE (a Saver) only that it is made."""
        if type(waiter) is Saver:
            waiter, reply = waiter.session, reply if isinstance(reply, Exception) else OK
        self.server.answer(waiter, reply)

    def _remove_leftover(self, run):
        """The file of a process that was killed."""
        path = checkpoint.temporary_path(run.plan.final or os.path.join(run.plan.directory, "checkpoint"),
                                         run.process.pid)
        checkpoint.remove_if_there(self.durability.files, path)

    def _note(self, run, made):
        self.made += 1
        self.last_error = ""
        if run.plan.final is not None:
            return
        durability = self.durability
        self._last, self._last_bytes, self._last_wall_s = made, made.bytes, int(time.time())
        self._plan_next(time.monotonic())
        checkpoint.remove_older(durability.files, durability.directory, made.lsn)
        durability.checkpoint_made(made.lsn)

    def _note_failure(self, error):
        self.failed += 1
        if self.last_error != str(error):  # what fails again and again is said once
            self.server.log("no checkpoint: %s" % error)
        self.last_error = str(error)
        self._due_at = max(self._due_at, time.monotonic() + RETRY_AFTER_FAILURE_S)
        self._last_bytes = max(self._last_bytes, self.durability.log_bytes())  # do not try again at once for its size

    def stop(self):
        """The coordinator ends: so does what is under way."""
        if self.run is not None:
            self.run.process.kill()
            self.run.process.wait()
            self._queue, queue = [], self._queue
            self._end(self.run, StorageError("the coordinator ends"))
            for session, _ in queue:
                self._answer(session, StorageError("the coordinator ends"))
        for process in self._ended:
            process.wait()
        self._ended = []

    def final(self):
        """Make one in this process, if anything has changed since the last.  Raises StorageError, PeerError."""
        if not self._changed():
            return
        durability, server = self.durability, self.server
        version = server.keyspace.version
        durability.check_ours()
        plan = checkpoint.Plan(durability.directory, None, durability.lineage, version)
        server.keyspace.set_log(None)
        walker = Walker(server.arena.words, server.arena.map, server.arena.header,
                        read_large=server.keyspace.larges.read,
                        read_structures=lambda numbers: exports.at_once(server.keyspace.structures, numbers))
        made = checkpoint.make(durability.files, walker, plan, lambda: (version, [], server.keyspace.key_count))
        self._note(_Run(plan, []), made)

    # -- what it tells ------------------------------------------------------------------------------------------------

    def changes(self):
        """Effects since the last checkpoint."""
        return self.server.keyspace.version - (self._last.lsn if self._last is not None else 0)

    def last_time(self):
        """When the last one was made here, in seconds since 1970; 0: not yet."""
        return self._last_wall_s

    def stats(self):
        last = self._last
        rows = [("checkpoints", self.made), ("checkpoints_failed", self.failed),
                ("checkpoint_running", int(self.run is not None)), ("checkpoint_error", self.last_error)]
        if self.run is not None:
            rows += [("checkpoint_keys_done", self.run.keys), ("checkpoint_bytes_done", self.run.bytes)]
        if last is not None:
            rows += [("checkpoint_path", last.path), ("checkpoint_keys", last.keys), ("checkpoint_bytes", last.bytes),
                     ("checkpoint_ms", int(last.seconds * 1000)), ("checkpoint_lsn", last.lsn),
                     ("checkpoint_time", self._last_wall_s)]
        return rows

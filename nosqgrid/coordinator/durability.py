"""What the coordinator keeps on disk: recovery at the start, the log, and when a checkpoint is made.

Invariants
 1. Whoever serves a directory holds its lock, from before it is read until nothing is written there any more.
 2. The keyspace gets its log before the first client is served.
 3. One checkpoint at a time.

A kill at any line leaves what storage/wal, storage/checkpoint and storage/recovery say they leave.
"""

import os
import time
from collections import namedtuple

from ..engine.loading import Loader
from ..errors import AlreadyServedError, DiskError, GridFullError, StartError, StorageError
from ..limits import CHECKPOINT_EVERY_S_DEFAULT, CHECKPOINT_EVERY_S_WITHOUT_LOG, CHECKPOINT_LOG_SIZE_BYTES_DEFAULT
from ..limits import DISK_RETRY_S, DISK_RETRY_S_MAX, MEMORY_BYTES_MAX
from ..storage import recovery
from ..storage.checkpoint import now_ms, remove_if_there
from ..storage.files import DirectoryLock, Files, check_directory
from ..storage.journal import REFUSE, Journal
from ..storage.syncer import Syncer
from ..storage.wal import EVERYSEC, NONE
from .checkpoints import Checkpoints

TICK_S = 0.25
LOCK_RETRY_S = 0.02
LOCK_WAIT_S = 0.2  # who looks whether a directory is served holds its lock for some microseconds

Options = namedtuple("Options", "directory level policy checkpoint_every_s checkpoint_log_bytes wait_s")


def options(directory=None, level=None, policy=REFUSE, checkpoint_every_s=None, checkpoint_log_bytes=None, wait_s=0.0):
    """Options with the defaults of what was left out: everysec with a directory, none without."""
    if level is None:
        level = NONE if directory is None else EVERYSEC
    if checkpoint_every_s is None:
        checkpoint_every_s = CHECKPOINT_EVERY_S_WITHOUT_LOG if level == NONE else CHECKPOINT_EVERY_S_DEFAULT
    if checkpoint_log_bytes is None:
        checkpoint_log_bytes = CHECKPOINT_LOG_SIZE_BYTES_DEFAULT
    return Options(directory, level, policy, checkpoint_every_s, checkpoint_log_bytes, wait_s)


class Durability(object):
    """One per coordinator, over its keyspace; `server` lends log(), clock, arena, listener and the selector."""

    def __init__(self, server, asked, files=None):
        self.server = server
        self.options = asked
        self.files = files or Files()
        self.directory = None if asked.directory is None else os.path.abspath(asked.directory)
        self.lineage = server.random_bits(63) + 1
        self.lock = None
        self.wal = self.journal = self._syncer = None
        self.report = None
        self.recovery_s = 0.0
        self.checkpoint_wanted = False
        self._next_tick = self._retry_at = 0.0
        self._retry_s = DISK_RETRY_S
        self.checkpoints = Checkpoints(self)

    # -- the start ----------------------------------------------------------------------------------------------------

    def open(self):
        """Lock the directory, bring back what it holds, and open its log; nothing to do without a directory.

        Raises StartError, AlreadyServedError, CorruptFileError, FormatVersionError, DiskError.
        """
        if self.directory is None:
            return
        begun = time.monotonic()
        self._make_directory()
        check_directory(self.directory)
        self._take_lock(begun + max(self.options.wait_s, LOCK_WAIT_S))
        self._load()
        self.lineage = self.report.lineage or self.lineage
        self._begin_anew()
        self.recovery_s = time.monotonic() - begun
        self._tell()

    def _make_directory(self):
        try:
            self.files.make_directory(self.directory)
            self.files.sync_directory(os.path.dirname(self.directory))
        except FileExistsError:
            return
        except OSError as error:
            raise StartError("cannot make the directory %s: %s; give another one with --dir"
                             % (self.directory, error.strerror)) from error

    def _take_lock(self, deadline):
        self.lock = DirectoryLock(self.directory)
        while not self.lock.take():
            if time.monotonic() >= deadline:
                pid, path = self.lock.holder()
                raise AlreadyServedError("the directory %s is served by another coordinator (pid %d) on the socket %s; "
                                         "attach there" % (self.directory, pid, path))
            time.sleep(LOCK_RETRY_S)
        self.lock.write(os.getpid(), self.server.listener.path)

    def _load(self):
        """Bring back the data, in more memory than was given where they do not fit packed anew: a grid that was nearly
        full had its records in another order.
        """
        server, given = self.server, self.server.memory_bytes
        for quarters in (4, 5, 6, 8):
            if quarters > 4:
                server.make_arena(min(given * quarters // 4, MEMORY_BYTES_MAX))
            try:
                self.report = recovery.load(self.files, self.directory, Loader(server.keyspace),
                                            server.wall_offset_ms())
            except GridFullError as error:
                full = error
                continue
            if quarters > 4:
                server.log("what %s holds did not fit into %d bytes, packed anew; there are %d now: give so many with "
                           "--memory" % (self.directory, given, server.memory_bytes))
            return
        raise StartError("what %s holds does not fit into twice the memory given: start with more --memory (%s)"
                         % (self.directory, full)) from full

    def check_ours(self):
        """Make sure that the directory at its path is the one we have locked, before new files are made there.

        Where it was removed and made again, empty, it becomes ours.  Raises DiskError where it is not there, holds
        data, or is served by somebody else: then nothing of ours has a place in it.
        """
        if self.lock.is_in_place():
            return
        if not os.path.isdir(self.directory):
            raise self.journal.error if self.journal is not None and self.journal.error is not None else DiskError(
                "the directory %s is gone" % self.directory)
        try:
            check_directory(self.directory)
            lock = DirectoryLock(self.directory)
        except StorageError as error:
            raise DiskError("the directory %s was removed under the coordinator (%s)"
                            % (self.directory, error)) from error
        except StartError as error:
            raise DiskError(str(error)) from error
        try:
            if not lock.take():
                raise DiskError("the directory %s was replaced, and is served by another coordinator now (pid %d)"
                                % (self.directory, lock.holder()[0]))
            if not recovery.is_empty(self.files, self.directory):
                raise DiskError("the directory %s was replaced by one with data of its own: restart the coordinator to "
                                "serve those, or move them away" % self.directory)
        except DiskError:
            lock.close()
            raise
        lock.write(os.getpid(), self.server.listener.path)
        self.lock.close()
        self.lock = lock

    def _begin_anew(self):
        level, server = self.options.level, self.server
        wal = recovery.begin_anew(self.files, self.directory, self.report, level, self.lineage, server.wall_offset_ms(),
                                  now_ms)
        self.checkpoints.begin_from(self.report)
        if wal is None:
            return
        self.wal = wal
        self.journal = Journal(wal, self.options.policy)
        server.keyspace.set_log(self.journal)
        if level == EVERYSEC:
            self._syncer = Syncer(wal, self.wake)

    def _tell(self):
        report = self.report
        for note in report.notes:
            self.server.log("%s; it was not needed" % note)
        if report.torn is not None:
            self.server.log("the log had a torn end, as a kill or a power cut leaves it: %s" % report.torn)

    # -- while it runs ------------------------------------------------------------------------------------------------

    def wake(self):
        """From another thread: look at the log soon."""
        self._next_tick = 0.0
        self.server.wake()

    def tick(self, now):
        """Called often; `now` in monotonic seconds."""
        if self.wal is not None:
            self.wal.wall_offset_ms = self.server.wall_offset_ms()
        if now < self._next_tick and not self.checkpoint_wanted:
            return
        self._next_tick = now + TICK_S
        self.checkpoints.look()
        if self.journal is not None:
            self.journal.look()
            if self.journal.needs_checkpoint:
                self._get_over_trouble(now)
                return
        if self.checkpoint_wanted or self.checkpoints.due(now):
            self.checkpoint_wanted = False
            if self.directory is not None:
                self.checkpoints.start_unasked()
            else:
                self.server.log("no checkpoint: there is no directory to keep it in; start with --dir")

    def _get_over_trouble(self, now):
        if self.checkpoints.running or now < self._retry_at:
            return
        self._retry_at = now + self._retry_s
        self._retry_s = min(self._retry_s * 2, DISK_RETRY_S_MAX)
        try:
            self.check_ours()
            self.journal.start_over(self.server.keyspace.version)
        except DiskError as error:
            self.journal.trouble_again(error)
            return
        self.checkpoints.start_unasked()

    def sleep_s(self, now):
        """For how many seconds nothing is to be done by the clock."""
        if self.directory is None:
            return 3600.0
        if self.journal is not None and (self.journal.needs_checkpoint or self.journal.error is not None):
            return TICK_S
        return max(min(self.checkpoints.next_due_s(now), 1.0 if self.wal is not None else 3600.0), 0.0)

    def log_bytes(self):
        return 0 if self.wal is None else self.wal.size_bytes

    def checkpoint_made(self, lsn):
        """A checkpoint of everything up to `lsn` stands in the directory."""
        if self.wal is not None:
            self.wal.durable_lsn = max(self.wal.durable_lsn, min(lsn, self.wal.appended_lsn))
            self.wal.remove_through(lsn)
        elif self.report is not None:
            self.report.left = [path for path in self.report.left if not remove_if_there(self.files, path)]
        if self.journal is not None and self.journal.needs_checkpoint and self.journal.recovered():
            self._retry_s = DISK_RETRY_S
            self.server.log("a checkpoint stands, and the log goes on: writes are safe again")

    def checkpoint_failed(self, error):
        if self.journal is not None and self.journal.needs_checkpoint:
            self.journal.trouble_again(self.journal.error or error)

    # -- what it tells ------------------------------------------------------------------------------------------------

    def stats(self):
        """[(name, value)] for stats()."""
        wal, journal = self.wal, self.journal
        rows = [("directory", self.directory or ""), ("durability", self.options.level)]
        if wal is not None:
            rows += [("log_bytes", wal.size_bytes), ("log_segments", wal.segments), ("log_entries", wal.entries),
                     ("log_lsn", wal.appended_lsn), ("log_lsn_durable", wal.durable_lsn),
                     ("disk_errors", journal.errors_count), ("disk_error", str(journal.error or "")),
                     ("writes_not_logged", journal.missed)]
        if self.report is not None:
            rows += [("recovered_keys", self.report.keys), ("recovered_log_entries", self.report.entries),
                     ("recovery_ms", int(self.recovery_s * 1000))]
        return rows + self.checkpoints.stats()

    def info(self):
        """[(name, value)] for the section Persistence of INFO, in Redis' words."""
        checkpoints, journal = self.checkpoints, self.journal
        return [("loading", 0), ("rdb_changes_since_last_save", checkpoints.changes()),
                ("rdb_bgsave_in_progress", int(checkpoints.running)), ("rdb_last_save_time", checkpoints.last_time()),
                ("rdb_last_bgsave_status", "err" if checkpoints.last_error else "ok"),
                ("aof_enabled", int(journal is not None)),
                ("aof_last_write_status", "err" if journal is not None and journal.error else "ok")]

    # -- the end ------------------------------------------------------------------------------------------------------

    def abandon(self):
        """Give the directory back as it is."""
        if self._syncer is not None:
            self._syncer.stop()
        self.checkpoints.stop()
        if self.wal is not None:
            self.wal.close(sync=False)
        if self.lock is not None:
            self.lock.close()

    def close(self):
        """Make the last checkpoint, close the log, give back the directory.  Raises StorageError where that failed."""
        error = None
        self.checkpoints.stop()
        try:
            if self.lock is not None and self.report is not None:
                self.checkpoints.final()
        except StorageError as failed:
            error = failed
        if self._syncer is not None:
            self._syncer.stop()
        if self.wal is not None:
            self.server.keyspace.set_log(None)
            try:
                self.wal.close()
            except DiskError as failed:
                error = error or failed
        if self.lock is not None:
            self.lock.close()
        if error is not None:
            raise error

"""The log as the keyspace sees it, and what becomes of writes when the disk refuses.

    refuse   the write is refused with the reason, nothing is changed, reads go on.  A full disk is tried again with
             each write.  After an error of the device or a failed sync the log goes on only when a checkpoint of all
             that the grid holds stands in new files: what the old ones hold is not known any more.
    serve    the write is done in memory alone, which the stats tell; the log goes on with such a checkpoint too.
"""

from ..errors import DiskError

REFUSE, SERVE = "refuse", "serve"


class Journal(object):
    """`append` for Keyspace.set_log, over a storage.wal.Wal.

    `error` is the last trouble while it lasts, `missed` how many effects were done without the log.
    """

    def __init__(self, wal, policy):
        self.wal = wal
        self.error = None
        self.missed = 0
        self.errors_count = 0
        self._serve = policy == SERVE
        self._held = False  # nothing is logged until a checkpoint has begun, or stands
        self._catching_up = False  # serve: logged again, and not yet worth a promise
        self._whole = True  # nothing went wrong since the last start_over()
        self._append = wal.append

    def append(self, first_lsn, count, payload):
        """See Keyspace.set_log; raises DiskError under `refuse`."""
        if self._held:
            self._refuse(self.error, count)
            return
        try:
            self._append(first_lsn, count, payload)
        except DiskError as error:
            self.errors_count += 1
            self.error = error
            self._whole = False
            # Behind a gap, or a file of which nobody knows what it holds, only a checkpoint helps.
            self._held = self._serve or self.wal.broken is not None
            self._refuse(error, count, self.wal.broken is not None)
        else:
            if self.error is not None and not self._catching_up:
                self.error = None

    def _refuse(self, error, count, unknown=False):
        if self._serve:
            self.missed += count
            return
        text = "the write was refused: %s" % error
        if unknown:
            text += "; whether it is there after a restart is not known"
        if self._held:
            text += "; writes go on when a checkpoint in new files has succeeded, which is tried every few seconds"
        refused = DiskError(text + "; reads go on")
        refused.errno, refused.full = error.errno, error.full
        raise refused

    def look(self):
        """Notice what went wrong behind the appends: a sync in another thread, files that were removed."""
        self.wal.look()
        if self.wal.broken is not None:
            self._whole = False
        if self.wal.broken is not None and not self.needs_checkpoint:
            self.errors_count += 1
            self.error, self._held = self.wal.broken, True

    @property
    def needs_checkpoint(self):
        """Whether writes are refused, or not logged, until a checkpoint stands."""
        return self._held or self._catching_up

    def start_over(self, version):
        """A checkpoint begins: what happens from here on goes into a new segment.  Raises DiskError."""
        self.wal.start_over(version + 1)
        self._whole = True
        if self._serve:
            self._held, self._catching_up = False, True

    def trouble_again(self, error):
        """The checkpoint failed: still nothing is promised."""
        self.error, self._held, self._catching_up = error, True, False

    def recovered(self):
        """The checkpoint stands.  Whether that is enough: not if something went wrong while it was made."""
        if not self._whole or self.wal.broken is not None:
            self._held, self._catching_up = True, False
            return False
        self.error, self._held, self._catching_up = None, False, False
        return True

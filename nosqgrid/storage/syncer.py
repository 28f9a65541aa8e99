"""Durability everysec: a thread that brings the log to the disk once a second, so that the loop never waits for it."""

import threading

from ..errors import DiskError
from ..limits import SYNC_EVERY_S


class Syncer(object):
    """Calls wal.sync() every `every_s` seconds until stop(); `failed()` when it raised, from this thread."""

    def __init__(self, wal, failed, every_s=SYNC_EVERY_S):
        self._wal = wal
        self._failed = failed
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nosqgrid-syncer", daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.wait(self._every_s):
            if self._wal.broken is not None:
                continue
            try:
                self._wal.sync()
            except DiskError:
                self._failed()  # the log says why, to whoever appends next

    def stop(self):
        """End the thread; waits for a sync under way."""
        self._ended.set()
        self._thread.join()

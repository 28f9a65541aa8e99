"""What a put asks for beside type and payload, once its words were read."""

from ..structures import job_records

TTR_MS, RETRIES, KEEP_MS = 60000, 4, 0
BACKOFF = 1000, 300000, 2000, 500  # first and longest in ms, factor and jitter in thousandths
SETTINGS = (b"ttr", b"retries", b"keep", b"maxlen", b"overflow")  # that a queue may have for all of its jobs
BLOCK, ERROR, DROP_OLDEST, DROP_NEWEST = OVERFLOWS = b"block", b"error", b"drop_oldest", b"drop_newest"


class Asked(object):
    """The options of a put; None for what the queue's settings say, or else the defaults.

    `constant`: the same words ask for the same again, whenever and for whichever job.
    """

    __slots__ = ("delay_ms", "eta_ms", "priority", "ttr_ms", "retries", "backoff", "unique", "until", "group", "flags",
                 "ttl_ms", "after", "maxlen", "overflow", "wait_ms", "keep_ms", "kind", "replace", "or_fail",
                 "constant", "follow", "notes", "_plain")

    def __init__(self):
        self.delay_ms = self.eta_ms = self.priority = self.ttl_ms = self.wait_ms = self.flags = 0
        self.ttr_ms = self.retries = self.keep_ms = self.maxlen = self.overflow = None
        self.backoff = BACKOFF
        self.unique = self.group = self.kind = self.notes = b""
        self.follow = 0  # the number of the session that is told of the end
        self.until = job_records.UNTIL_FINISHED
        self.after = []
        self.replace = self.or_fail = False
        self.constant = True
        self._plain = None

    def options(self, settings):
        """The packed options of a job of a queue with these settings."""
        if settings:
            return self._packed(settings)
        if self._plain is None:
            self._plain = self._packed(settings)
        return self._plain

    def _packed(self, settings):
        ttr_ms = _chosen(self.ttr_ms, settings, b"ttr", TTR_MS)
        retries = _chosen(self.retries, settings, b"retries", RETRIES)
        keep_ms = _chosen(self.keep_ms, settings, b"keep", KEEP_MS)
        return job_records.OPTIONS.pack(self.flags, retries, ttr_ms, keep_ms, *self.backoff) + self.kind

    def limit(self, settings):
        """(how many jobs may be queued or None, what happens to one more)."""
        maxlen = _chosen(self.maxlen, settings, b"maxlen", 0)
        return maxlen or None, self.overflow or settings.get(b"overflow", BLOCK)


def _chosen(asked, settings, name, default):
    if asked is not None:
        return asked
    return int(settings[name]) if name in settings else default

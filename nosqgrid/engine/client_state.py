"""What commands remember about a connection from one to the next."""


class ClientState(object):
    """The part of a session that the commands own.

    `special` says that something about it needs more than running its commands (commands/gate): whoever changes what it
    depends on calls changed().
    """

    def __init__(self):
        self.database = 0
        self.queued = None  # [(row, words)] of the transaction that has begun
        self.doomed = False  # that transaction will not be run
        self.watched = {}  # key -> version that it had
        self.channels = {}  # names -> True, in the order of subscribing
        self.patterns = {}
        self.shard_channels = {}
        self.protocol = 2
        self.account = None  # whom it acts as, an acl_rules.User (engine/acl)
        self.user = None  # the same where something is denied to that user, else None
        self.authenticated = True
        self.logged_in = False  # by name and password; else it was let in
        self.attached = False  # a client of the grid's own
        self.overseen = False  # somebody wants to see or hold commands (engine/oversight)
        self.monitors = False
        self.tracking = None  # engine/tracking.Tracked
        self.muted = 0  # answers that are left out: the next so many, or all (-1)
        self.never_evicted = False
        self.address = self.local_address = ""
        self.local = True  # by a Unix socket
        self.descriptor = -1
        self.special = False
        self.waiting = False  # for the answer to a deferred command: nothing else is read meanwhile

    def changed(self):
        """See whether the session is special."""
        self.special = bool(self.database or self.queued is not None or self.protocol == 2 and self.subscriptions()
                            or self.user is not None or not self.authenticated or self.overseen or self.muted
                            or self.tracking is not None)

    def subscriptions(self):
        """How many channels and patterns it listens to."""
        return len(self.channels) + len(self.patterns) + len(self.shard_channels)

    def forget(self):
        """Back to how a connection begins, but for its subscriptions, which others know of as well."""
        self.database = 0
        self.queued, self.doomed, self.watched = None, False, {}
        self.muted, self.never_evicted = 0, False
        self.changed()

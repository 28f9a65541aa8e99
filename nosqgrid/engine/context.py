"""What a command has in its hands beside its words: who asks, what there is, and ways to answer later.

A session has one context for each way of asking: over its socket, where an answer may come later, and in its lane,
where it may not.
"""

from . import databases

DEFERRED = object()  # the reply of a command that will be answered later


class CommandContext(object):
    """The context of one session; `may_wait` tells whether a reply may come later.

    Attributes that the commands use (engine/commands): session, keyspace, server, claims, pubsub, waiting, oversight,
    tracking, random_bits, may_wait, may_block (the same, and not in a transaction), may_push.
    """

    deferred = DEFERRED

    def __init__(self, session, keyspace, server, claims, pubsub, waiting, oversight, tracking, random_bits, may_wait):
        self.session = session
        self.keyspace = keyspace
        self.server = server
        self.claims = claims
        self.pubsub = pubsub
        self.waiting = waiting
        self.oversight = oversight
        self.tracking = tracking
        self.random_bits = random_bits
        self.may_wait = self.may_block = self.may_push = may_wait

    def key(self, name):
        """A name as a key of the session's database; the words at the places of keys are that already."""
        return databases.prefix_of(self.session.database) + name

    def shown_key(self, key):
        """A key as the session's client knows it."""
        return databases.name_of(key) if self.session.database else key

    def notify(self, letter, event, key):
        """Publish an event about a key to those who listen to such events (engine/pubsub)."""
        if self.pubsub.events:
            self.pubsub.notify(letter, event, key)

    def block(self, keys, timeout_s, attempt, timeout_reply):
        """Let the session wait (engine/waiting); the reply to return now."""
        if not self.may_block:
            return timeout_reply
        self.waiting.wait(self, keys, timeout_s, attempt, timeout_reply)
        return self.defer()

    def defer(self):
        """The reply to return for a command that will be answered later, or has been meanwhile (server.answer)."""
        self.session.waiting = True
        return self.deferred

    def push(self, parts):
        """Send the session an out-of-band message."""
        self.pubsub.push(self.session, parts)

"""Who listens to which channels, and the notifications about keys.

`push(session, parts)` sends a session an out-of-band message (formats/resp, Push).  A message is gone for those who do
not listen when it is published; one session gets what is published in the order of publishing.
"""

from .databases import COUNT, name_of, number_of
from .glob import Glob

# Classes of events about keys, by their letters in notify-keyspace-events; "A" stands for all of ALL.
ALL = b"g$lshzxetd"
LETTERS = ALL + b"AKEmn"


class PubSub(object):
    """All channels and patterns of one grid."""

    def __init__(self, push):
        self.push = push
        self.channels = {}  # name -> {session: True}
        self.shard_channels = {}
        self._patterns = {}  # pattern -> (Glob, {session: True})
        self.events = b""  # letters: of the classes that are notified, and K or E or both

    # -- who listens --------------------------------------------------------------------------------------------------

    def subscribe(self, session, kind, name):
        """Let a session listen; `kind` is "channels", "patterns" or "shard_channels"."""
        getattr(session, kind)[name] = True
        if kind == "patterns":
            self._patterns.setdefault(name, (Glob(name), {}))[1][session] = True
        else:
            getattr(self, kind).setdefault(name, {})[session] = True
        session.changed()

    def unsubscribe(self, session, kind, name):
        """Let a session listen no more; whether it did."""
        if getattr(session, kind).pop(name, None) is None:
            return False
        table = self._patterns if kind == "patterns" else getattr(self, kind)
        listeners = table[name][1] if kind == "patterns" else table[name]
        del listeners[session]
        if not listeners:
            del table[name]
        session.changed()
        return True

    def session_ended(self, session):
        """The session is gone, or begins anew."""
        for kind in ("channels", "patterns", "shard_channels"):
            for name in list(getattr(session, kind)):
                self.unsubscribe(session, kind, name)

    @property
    def pattern_count(self):
        return len(self._patterns)

    # -- what they hear -----------------------------------------------------------------------------------------------

    def publish(self, channel, message):
        """Send a message to all who listen; how many sessions that is, one with several reasons counted for each."""
        listeners = self.channels.get(channel, ())
        for session in listeners:
            self.push(session, [b"message", channel, message])
        count = len(listeners)
        for pattern, (glob, sessions) in self._patterns.items():
            if glob.matches(channel):
                for session in sessions:
                    self.push(session, [b"pmessage", pattern, channel, message])
                count += len(sessions)
        return count

    def publish_to_shard(self, channel, message):
        """The same for shard channels, which have no patterns."""
        listeners = self.shard_channels.get(channel, ())
        for session in listeners:
            self.push(session, [b"smessage", channel, message])
        return len(listeners)

    # -- events about keys --------------------------------------------------------------------------------------------

    def set_events(self, letters):
        """Choose which events are published; False where there is a letter that means nothing."""
        if any(letter not in LETTERS for letter in letters):
            return False
        self.events = letters
        return True

    def notify(self, letter, event, key):
        """Publish an event about a key, if its class is asked for."""
        events = self.events
        if letter not in events and (b"A" not in events or letter not in ALL):
            return
        database, name = number_of(key), name_of(key)
        if database >= COUNT:
            return
        if b"K" in events:
            self.publish(b"__keyspace@%d__:%b" % (database, name), event)
        if b"E" in events:
            self.publish(b"__keyevent@%d__:%b" % (database, event), name)

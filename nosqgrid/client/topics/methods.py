"""What a Grid has for topics and listeners."""

from ...formats.values import decode_key
from .. import steps
from ..link import checked_reply, named_values
from .listener import KINDS, Listener
from .subscription import NEW, Subscription
from .words import Named, publish_words


class Topic(Named):
    """A topic by its name, with the bounds that publish() gives it; made by Grid.topic."""

    __slots__ = ("_store",)

    def __init__(self, store, name, maxlen, max_bytes, max_age):
        super().__init__(name, maxlen, max_bytes, max_age)
        self._store = store

    def publish(self, value):
        """Append a message; its number.  When it returns, every reader finds it, and the log has it as the level says.

        Raises GridFullError, ValueTooLargeError, UnsupportedTypeError, DiskError; CoordinatorLostError where it is not
        known whether it was published.  Cost: some 25 us, whoever reads.
        """
        return self._store.command(*publish_words(self._store.codec, self, value))  # a step would cost 1 us more

    def publish_steps(self, value):
        """publish() as steps (client/steps)."""
        return (yield steps.Call(publish_words(self._store.codec, self, value)))

    def subscribe(self, since=NEW):
        """A Subscription to this topic: see Grid.subscribe."""
        return Subscription(self._store, (self.name,)).seek(since)

    def info(self):
        """What there is of it, as a dict: last, kept, bytes, maxlen, maxbytes, maxage (ms), published (ms since 1970),
        and the cursors oldest and newest; None where nothing was ever published."""
        reply = self._store.command(b"TOPIC.INFO", self.raw_name)
        return None if reply is None else named_values(reply, self._store.address)

    def drop(self):
        """Remove it with all its messages; whether it was there.  Its readers get CursorLostError."""
        return bool(self._store.command(b"TOPIC.DROP", self.raw_name))

    def __repr__(self):
        return "<nosqgrid topic %r of %s>" % (self.name, self._store.address)


class TopicMethods(object):
    """A part of Grid."""

    def topic(self, name, maxlen=None, *, max_bytes=None, max_age=None):
        """The topic with a name: a Topic, to publish to and to subscribe to.

        The bounds, where given, become the topic's with each message that is published through this Topic: at most
        `maxlen` messages (10,000), of `max_bytes` bytes together (16 MiB), none older than `max_age` seconds (any).
        Cost: none; the topic is made with its first message.
        """
        return Topic(self._store, name, maxlen, max_bytes, max_age)

    def topics(self):
        """The names of all topics."""
        return [decode_key(name) for name in checked_reply(self._store.command(b"TOPIC.LIST"), list, self.address)]

    def subscribe(self, *names, since=NEW):
        """A Subscription to topics, an iterator of Messages that waits for the next one; get(timeout) does so too.

            for message in grid.subscribe("news"):
                print(message.seq, message.value)

        `since` is "new" (what is published from now on), "oldest" (all that is kept), the number of the last message
        that was seen, or a cursor as Subscription.cursor gives it; for several topics perhaps a dict of these by name.
        """
        return Subscription(self._store, names).seek(since)

    def listen(self, prefix="", events=KINDS, *, since=NEW, keep=60.0):
        """A Listener to the keys that begin with a prefix: an iterator of Events, whoever changes the keys.

            with grid.listen("user:") as listener:
                for event in listener:
                    print(event.kind, event.key)

        It begins with this call.  The coordinator keeps the newest events, 10,000 or 1 MiB, for all who listen to the
        same; who is slower is told how many he missed.  It keeps them `keep` seconds longer than this process lasts,
        so that the next one can go on at the cursor (since=...).  Raises CursorLostError where it does not any more.
        Meanwhile every change of a key costs the coordinator some microseconds more.
        """
        return Listener(self._store, prefix, events, keep).seek(since)

"""Reading topics.

A subscription is a cursor for each topic and what was read ahead; the coordinator knows nothing of it.  The cursor
moves when a message is handed out, so that what is kept of it (a file, a key of the grid) is where to go on.
"""

from collections import deque, namedtuple

from ...errors import ClosedError, ProtocolError, UsageError
from ...formats.values import decode_key, encode_key
from .. import steps
from ..link import checked_reply
from .words import checked_news, decode, read_steps

Message = namedtuple("Message", "seq value missed topic published")
Message.__doc__ = """One message: its number, its value, how many before it were missed (0 unless the reader was too
slow for the topic's bounds), the topic's name, and when it was published (seconds since 1970)."""

AHEAD = 100  # messages that are read at once
OLDEST, NEW = "oldest", "new"
_NOTHING = "0"


class Reader(object):
    """What subscriptions and listeners share: an iterator that waits for the next one.  Not for several threads."""

    def __init__(self, store):
        self._store = store
        self._ahead = deque()  # what was read and not handed out yet
        self._closed = False
        self.missed = 0

    def get(self, timeout=None):
        """The next one, waited for up to `timeout` seconds (None: for ever; 0: not at all); None where there is none.

        Raises CursorLostError where the cursor means nothing any more; then seek().  Raises CoordinatorLostError or
        NotServedError where the coordinator is gone and the grid does not wait for the next; get() again goes on.
        Cost: 40 us and more for what was not read ahead, of which there may be a hundred; else 1 us and the decoding.
        """
        if self._ahead:
            return self._hand_out()
        return steps.run(self._store, self.get_steps(timeout))

    def get_steps(self, timeout=None):
        """get() as steps (client/steps)."""
        if self._closed:
            raise ClosedError("this reader was closed")
        if not self._ahead:
            yield from self._read_steps(timeout)
        return self._hand_out() if self._ahead else None

    def _hand_out(self):
        raise NotImplementedError

    def _read_steps(self, timeout):
        raise NotImplementedError

    def __iter__(self):
        return self

    def __next__(self):
        if self._closed:
            raise StopIteration
        found = self.get()
        if found is None:
            raise StopIteration
        return found

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    def close(self):
        """Read no more."""
        self._closed = True
        self._ahead.clear()


class Subscription(Reader):
    """Messages of one topic, or of several, each in the order of its numbers; see Grid.subscribe."""

    def __init__(self, store, names):
        if not names:
            raise UsageError("subscribe to which topic?")
        super().__init__(store)
        self._cursors = dict.fromkeys(map(encode_key, names), _NOTHING)

    @property
    def cursor(self):
        """Where the next start can go on (since=...): text, or for several topics a dict of name to text."""
        cursors = {decode_key(name): cursor for name, cursor in self._cursors.items()}
        return cursors if len(cursors) > 1 else next(iter(cursors.values()))

    def seek(self, since):
        """Go on elsewhere: "new", "oldest", the number of a message, a cursor, or a dict of them."""
        return steps.run(self._store, self.seek_steps(since))

    def seek_steps(self, since):
        """seek() as steps."""
        each = {encode_key(name): where for name, where in since.items()} if isinstance(since, dict) else (
            dict.fromkeys(self._cursors, since))
        if set(each) != set(self._cursors):
            raise UsageError("a cursor for each of the topics %s is needed" % ", ".join(
                map(decode_key, sorted(self._cursors))))
        found = {}
        for name, where in each.items():
            found[name] = yield from _cursor_steps(name, where)
        self._ahead.clear()
        self._cursors = found
        return self

    def _read_steps(self, timeout):
        places = []
        for name, cursor in self._cursors.items():
            places += name, cursor
        rest = (b"COUNT", AHEAD, b"TOPICS", len(self._cursors)) + tuple(places)
        reply = yield from read_steps(self._store, b"TOPIC.READ", timeout, rest)
        for each in [] if reply is None else checked_reply(reply, list, "TOPIC.READ"):
            name = checked_reply(each, list, "TOPIC.READ")[:1]
            if not name or name[0] not in self._cursors:
                raise ProtocolError("TOPIC.READ answered with %.100r, which is none of its topics" % (name,))
            missed, messages = checked_news(each[1:], int)
            for message in messages:
                self._ahead.append((name[0], missed) + message)
                missed = 0

    def _hand_out(self):
        name, missed, number, cursor, value_type, published_ms, payload = self._ahead[0]
        value = decode(self._store.codec, name, value_type, payload)
        self._ahead.popleft()
        self._cursors[name] = cursor
        self.missed += missed
        return Message(number, value, missed, decode_key(name), published_ms / 1000.0)

    def skip(self):
        """Go on behind the next message that was read, where its value cannot be decoded; its number, or None."""
        if not self._ahead:
            return None
        name, missed, number, cursor = self._ahead.popleft()[:4]
        self._cursors[name] = cursor
        self.missed += missed
        return number

    def __repr__(self):
        return "<nosqgrid subscription to %s>" % ", ".join("%s at %s" % (decode_key(name), cursor)
                                                           for name, cursor in sorted(self._cursors.items()))


def _cursor_steps(raw_name, since):
    """Steps: the cursor that `since` means now for a topic."""
    if since in (OLDEST, NEW):
        found = yield steps.Call((b"TOPIC.INFO", raw_name))
        if found is None:
            return _NOTHING
        found = dict(zip(found[::2], found[1::2])) if type(found) is list else dict(found)
        cursor = found.get(b"oldest" if since == OLDEST else b"newest")
        return checked_reply(cursor, bytes, "TOPIC.INFO").decode("ascii")
    if isinstance(since, int) and not isinstance(since, bool) and since >= 0:
        return "%d" % since
    if isinstance(since, str) and since.partition("@")[0].isdigit():
        return since
    raise UsageError("since=%r: give \"new\", \"oldest\", the number of the last message seen, or a cursor" % (since,))



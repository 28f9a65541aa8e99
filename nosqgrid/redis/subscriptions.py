"""What sync and asyncio subscribers have in common: what is subscribed to, and what a message means."""

from .commands.arguments import listed
from .responses.shapes import text

HEALTH_CHECK_MESSAGE = "redis-py-health-check"


class _Kind(object):
    """Channels, patterns or shard channels: `wanted` (name -> handler or None), and those that are being left."""

    def __init__(self, prefix, published):
        self.subscribe, self.unsubscribe = prefix + "subscribe", prefix + "unsubscribe"
        self.published = published
        self.wanted = {}
        self.pending = set()


class Subscriptions(object):
    """The state of a subscriber.

    A name is bytes, or str where replies are decoded, as it will stand in messages.
    """

    PUBLISH_MESSAGE_TYPES = ("message", "pmessage", "smessage")
    UNSUBSCRIBE_MESSAGE_TYPES = ("unsubscribe", "punsubscribe", "sunsubscribe")
    HEALTH_CHECK_MESSAGE = HEALTH_CHECK_MESSAGE

    def __init__(self, connection_pool, shard_hint=None, ignore_subscribe_messages=False, encoder=None,
                 push_handler_func=None):
        self.connection_pool = connection_pool
        self.shard_hint = shard_hint
        self.ignore_subscribe_messages = ignore_subscribe_messages
        self.encoder = connection_pool.get_encoder() if encoder is None else encoder
        self.push_handler_func = push_handler_func
        self.connection = None
        self.health_check_response_counter = 0
        decoded = self.encoder.decode_responses
        pong, empty = ("pong", HEALTH_CHECK_MESSAGE), ""
        if not decoded:
            pong, empty = (b"pong", HEALTH_CHECK_MESSAGE.encode()), b""
        self.health_check_response = list(pong)
        self._health_check_bulk = pong[1]
        self._pong = (pong[0], empty)
        self._clear()

    def _clear(self):
        self._kinds = {"": _Kind("", "message"), "p": _Kind("p", "pmessage"), "s": _Kind("s", "smessage")}
        self.health_check_response_counter = 0

    channels = property(lambda self: self._kinds[""].wanted)
    patterns = property(lambda self: self._kinds["p"].wanted)
    shard_channels = property(lambda self: self._kinds["s"].wanted)
    pending_unsubscribe_channels = property(lambda self: self._kinds[""].pending)
    pending_unsubscribe_patterns = property(lambda self: self._kinds["p"].pending)
    pending_unsubscribe_shard_channels = property(lambda self: self._kinds["s"].pending)

    # -- subscribing --------------------------------------------------------------------------------------------------

    def _names(self, wanted):
        """Names as they will stand in messages."""
        encode, decode = self.encoder.encode, self.encoder.decode
        return {decode(encode(name)): handler for name, handler in wanted.items()}

    @staticmethod
    def _wanted(args, handlers):
        wanted = dict.fromkeys(listed(args[0], args[1:]) if args else ())
        wanted.update(handlers)
        return wanted

    def _note_subscribed(self, kind, wanted):
        names = self._names(wanted)
        self._kinds[kind].wanted.update(names)
        self._kinds[kind].pending.difference_update(names)

    def _note_unsubscribed(self, kind, args):
        """The names to send; those that are left, or all."""
        names = listed(args[0], args[1:]) if args else []
        found = self._names(dict.fromkeys(names)) if names else self._kinds[kind].wanted
        self._kinds[kind].pending.update(found)
        return names

    def _again(self):
        """(kind, {name: handler}) of what a new connection has to subscribe to."""
        for kind in self._kinds.values():
            kind.pending.clear()
        return [(prefix, dict(kind.wanted)) for prefix, kind in self._kinds.items() if kind.wanted]

    def _anything(self):
        return any(kind.wanted for kind in self._kinds.values())

    # -- messages -----------------------------------------------------------------------------------------------------

    def is_health_check_response(self, response):
        """Whether it answers a PING of the health check."""
        if isinstance(response, (bytes, str)):
            return response == self._health_check_bulk
        return response == self.health_check_response

    def _message(self, response):
        """(message, handler) of a reply; the bookkeeping of what is left is done."""
        if isinstance(response, (bytes, str)):
            # PONG outside of subscriptions, or in RESP3, is a reply of its own.
            response = [self._pong[0], self._pong[1] if response in (b"PONG", "PONG") else response]
        kind = text(response[0])
        message = {"type": kind, "pattern": None, "channel": None, "data": response[-1]}
        if kind == "pmessage":
            message["pattern"], message["channel"] = response[1], response[2]
        elif kind != "pong":
            message["channel"] = response[1]
        if kind in self.UNSUBSCRIBE_MESSAGE_TYPES:
            self._note_left(kind, response[1])
        return message, self._handler(message)

    def _note_left(self, kind, name):
        for entry in self._kinds.values():
            if entry.unsubscribe == kind and name in entry.pending:
                entry.pending.discard(name)
                entry.wanted.pop(name, None)

    def _handler(self, message):
        for entry in self._kinds.values():
            if entry.published == message["type"]:
                return entry.wanted.get(message["pattern"] if entry.published == "pmessage" else message["channel"])
        return None

    def _ignored(self, message, ignore_subscribe_messages):
        return (message["type"] not in self.PUBLISH_MESSAGE_TYPES and message["type"] != "pong"
                and (ignore_subscribe_messages or self.ignore_subscribe_messages))

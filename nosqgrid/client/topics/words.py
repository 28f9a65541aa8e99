"""The commands about topics as the client says them, and how it reads again after a coordinator was lost.

A payload is encoded by the grid's codec.  A signed pickle is signed for its topic: it is none under a key, nor in
another topic.
"""

import re
import time
from contextlib import suppress

from ...errors import CoordinatorError, CoordinatorLostError, NotServedError, ProtocolError
from ...formats.values import encode_key
from ..mapping import encode_checked
from ..steps import Call
from ..times import milliseconds

_SIGNED_FOR = b"\xff\x00topic:"
_find_born = re.compile(b"@[0-9a-f]{16}$").search


class Named(object):
    """What has the name of a topic and the bounds that go with what is published; see methods.py."""

    __slots__ = ("name", "raw_name", "bounds")

    def __init__(self, name, maxlen=None, max_bytes=None, max_age=None):
        self.name = name
        self.raw_name = encode_key(name)
        words = []
        for option, value in ((b"MAXLEN", maxlen), (b"MAXBYTES", max_bytes),
                              (b"MAXAGE", None if max_age is None else milliseconds(max_age, "max_age"))):
            if value is not None:
                words += [option, value]
        self.bounds = tuple(words)


def publish_words(codec, topic, value):
    """The command that publishes a value to a topic (Named, or its name)."""
    topic = topic if isinstance(topic, Named) else Named(topic)
    value_type, payload = encode_checked(codec, value, _SIGNED_FOR + topic.raw_name)
    return (b"TOPIC.PUBLISH", topic.raw_name, value_type, payload) + topic.bounds


def decode(codec, raw_name, value_type, payload):
    """The value of a message."""
    return codec.decode(value_type, payload, _SIGNED_FOR + raw_name)


def checked_news(reply, payload_type):
    """(missed, [(number, cursor behind it, kind or type, ms, payload)]) of what a reader is told of one topic.

    `payload_type` is the type of what stands first of each three.  Raises ProtocolError.
    """
    if isinstance(reply, list) and len(reply) == 4:
        cursor, missed, first, flat = reply
        born = _born_in(cursor)
        if born and type(missed) is type(first) is int and isinstance(flat, list) and len(flat) % 3 == 0:
            kinds, times, payloads = flat[::3], flat[1::3], flat[2::3]
            if set(map(type, kinds)) == {payload_type} and set(map(type, times)) == {int} and (
                    set(map(type, payloads)) == {bytes}):
                return missed, [(number, "%d%s" % (number, born.group().decode("ascii"))) + each for number, each
                                in enumerate(zip(kinds, times, payloads), first)]
    raise ProtocolError("news of a topic that are none: %.100r; is this socket a nosqgrid coordinator's?" % (reply,))


def _born_in(cursor):
    return _find_born(cursor) if isinstance(cursor, bytes) else None


def read_steps(store, command, timeout, rest):
    """Steps: the reply to a command that reads behind cursors, with WAIT as `timeout` seconds say (None: for ever).

    Reading twice is the same as once, so it is done again with the next coordinator where the grid allows that.
    """
    deadline = None if timeout is None else time.monotonic() + milliseconds(max(timeout, 0), "a timeout") / 1000.0
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        wait_ms = -1 if left is None else int(left * 1000 + 0.999)
        try:
            return (yield Call((command, b"WAIT", wait_ms) + rest, wait_ms != 0,
                               None if left is None else left + store.timeout_s))
        except (CoordinatorLostError, NotServedError) as error:
            lost = error
        try:
            # By this the store notices that its attachment is over, and attaches to the next coordinator.
            with suppress(CoordinatorLostError if store.tries_again else CoordinatorError):
                yield Call((b"PING",))
            if not store.tries_again:
                raise lost
        finally:
            lost = None  # its frames lead to this one

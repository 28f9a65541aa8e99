"""Publish and subscribe: SUBSCRIBE and its relatives, PUBLISH, PUBSUB.

SUBSCRIBE answers once for each channel; all but the last of these answers are pushed before the reply.
"""

from ... import errors
from ...formats import resp
from ..glob import Glob
from .command import Command, container

_LISTEN = frozenset(("pubsub", "noscript", "loading", "stale"))
_ASK = frozenset(("pubsub", "loading", "stale"))
_PUBLISH = _ASK | {"fast"}
_CHANNELS, _PATTERNS, _SHARDS = "channels", "patterns", "shard_channels"


def _subscriber(kind, word):
    def subscribe(context, args):
        return _confirm(context, word, args, lambda name: context.pubsub.subscribe(context.session, kind, name), kind)
    subscribe.__doc__ = "Listen to %s." % kind.replace("_", " ")
    return subscribe


def _unsubscriber(kind, word):
    def unsubscribe(context, args):
        session = context.session
        names = args or list(getattr(session, kind)) or [None]
        return _confirm(context, word, names,
                        lambda name: context.pubsub.unsubscribe(session, kind, name), kind)
    unsubscribe.__doc__ = "Listen to the %s named no more, or to none." % kind.replace("_", " ")
    return unsubscribe


def _confirm(context, word, names, change, kind):
    """Do it for each name, and say so for each."""
    if context.pubsub is None or not context.may_push:
        raise errors.CommandError("only a connection of its own can listen: send this over the socket")
    session, answer = context.session, None
    for name in names:
        if answer is not None:
            context.push(answer)
        change(name)
        count = len(session.shard_channels) if kind == _SHARDS else len(session.channels) + len(session.patterns)
        answer = [word, name, count]
    return resp.Push(answer)


def publish(context, args):
    """Send a message to all who listen to a channel; how many."""
    return context.pubsub.publish(*args)


def spublish(context, args):
    """Send a message to all who listen to a shard channel; how many."""
    return context.pubsub.publish_to_shard(*args)


def channels(context, args):
    """The channels that somebody listens to: [pattern]."""
    return _named(context.pubsub.channels, args, "channels")


def shardchannels(context, args):
    """The shard channels that somebody listens to: [pattern]."""
    return _named(context.pubsub.shard_channels, args, "shardchannels")


def _named(table, args, word):
    if len(args) > 1:
        raise errors.CommandError("unknown subcommand or wrong number of arguments for '%s'. Try PUBSUB HELP." % word)
    if not args:
        return list(table)
    pattern = Glob(args[0])
    return [name for name in table if pattern.matches(name)]


def numsub(context, args):
    """How many listen to each of the channels."""
    return _counts(context.pubsub.channels, args)


def shardnumsub(context, args):
    """How many listen to each of the shard channels."""
    return _counts(context.pubsub.shard_channels, args)


def _counts(table, args):
    return [part for name in args for part in (name, len(table.get(name, ())))]


def numpat(context, args):
    """How many patterns somebody listens to."""
    return context.pubsub.pattern_count


COMMANDS = (
    Command(b"SUBSCRIBE", _subscriber(_CHANNELS, b"subscribe"), -2, _LISTEN),
    Command(b"UNSUBSCRIBE", _unsubscriber(_CHANNELS, b"unsubscribe"), -1, _LISTEN),
    Command(b"PSUBSCRIBE", _subscriber(_PATTERNS, b"psubscribe"), -2, _LISTEN),
    Command(b"PUNSUBSCRIBE", _unsubscriber(_PATTERNS, b"punsubscribe"), -1, _LISTEN),
    Command(b"SSUBSCRIBE", _subscriber(_SHARDS, b"ssubscribe"), -2, _LISTEN),
    Command(b"SUNSUBSCRIBE", _unsubscriber(_SHARDS, b"sunsubscribe"), -1, _LISTEN),
    Command(b"PUBLISH", publish, 3, _PUBLISH),
    Command(b"SPUBLISH", spublish, 3, _PUBLISH),
    container(b"PUBSUB", (
        (b"CHANNELS", channels, -2, _ASK),
        (b"NUMSUB", numsub, -2, _ASK),
        (b"NUMPAT", numpat, 2, _ASK),
        (b"SHARDCHANNELS", shardchannels, -2, _ASK),
        (b"SHARDNUMSUB", shardnumsub, -2, _ASK),
    )),
)

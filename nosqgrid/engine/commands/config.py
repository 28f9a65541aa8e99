"""CONFIG: settings by name (engine/settings), and statistics from zero again."""

from ... import errors
from ...formats import resp
from .. import glob
from ..settings import EVENTS
from .command import ADMIN, container, syntax_error


def get(context, args):
    """The settings whose names one of the patterns describes."""
    words = [word.lower() for word in args]
    patterns, found, settings = [glob.Glob(word) for word in words], [], context.server.settings
    for name, text in sorted(settings.get_all(context.server.config()).items()):
        encoded = name.encode("utf-8")
        if any(pattern.matches(encoded) for pattern in patterns) and settings.is_shown(name, words):
            found.append((encoded, text.encode("utf-8", "surrogateescape")))
    return resp.Map(found)


def set_(context, args):
    """Set some: name value ...; all of them or none."""
    if len(args) % 2:
        raise syntax_error()
    words = [word.decode("utf-8", "surrogateescape") for word in args]
    settings = context.server.settings
    settings.set_all(list(zip(words[::2], words[1::2])), context.server.config())
    for name, apply in _APPLIED.items():
        if any(word.lower() == name for word in words[::2]):
            apply(context, settings.get(name, {}))
    return resp.OK


def _bytes(text):
    return text.encode("utf-8", "surrogateescape")


def _listen(context, text):
    """Send events of these classes from now on."""
    classes = text.encode("ascii") if set("KE") & set(text) else b""
    context.pubsub.set_events(classes)
    context.keyspace.heard = context.pubsub.notify if classes else None


_APPLIED = {  # what takes effect, beside what concerns structures alone
    EVENTS: _listen,
    "latency-tracking": lambda context, text: context.oversight.count(text == "yes"),
    "requirepass": lambda context, text: context.server.acl.set_default_password(_bytes(text)),
    "acl-pubsub-default": lambda context, text: context.server.acl.let_new_users_hear(text == "allchannels"),
    "acllog-max-len": lambda context, text: context.server.acl.keep_denied(int(text)),
    "slowlog-log-slower-than": lambda context, text: context.oversight.log_slow(int(text)),
    "slowlog-max-len": lambda context, text: context.oversight.slowlog.keep(int(text)),
    "tracking-table-max-keys": lambda context, text: context.tracking.keep(int(text)),
}


def resetstat(context, args):
    """Let the numbers of INFO that only grow begin with zero, and those about commands begin."""
    context.server.reset_stats()
    context.oversight.stats.clear()
    if not context.oversight.stats.on:
        context.server.settings.set_all([("latency-tracking", "yes")])
        context.oversight.count(True)
        context.oversight.stats.note(b"CONFIG|RESETSTAT", 0, None)  # nobody measured this one yet
    return resp.OK


def rewrite(context, args):
    """There is no file with settings."""
    raise errors.CommandError("The server is running without a config file")


COMMANDS = (
    container(b"CONFIG", (
        (b"GET", get, -3, ADMIN | {"noscript", "loading", "stale"}),
        (b"SET", set_, -4, ADMIN | {"noscript", "loading", "stale"}),
        (b"RESETSTAT", resetstat, 2, ADMIN | {"noscript", "loading", "stale"}),
        (b"REWRITE", rewrite, 2, ADMIN | {"noscript", "loading", "stale"}),
    )),
)

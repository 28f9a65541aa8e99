"""Commands about the server: INFO, TIME, CONFIG GET.

What there is to tell comes from context.server; here it only gets Redis' layout.
"""

from ...formats import resp
from .. import glob
from .command import ADMIN, PLAIN, PLAIN_FAST, Command, container

_EVERY_SECTION = frozenset((b"all", b"default", b"everything"))
_SECOND_MS = 1000


def info(context, args):
    """Everything, or the sections named, as `name:value` lines under `# Section` headings."""
    names = [word.lower() for word in args]
    if not names or not _EVERY_SECTION.isdisjoint(names):
        sections = context.server.info(None)
    else:
        sections = []
        for name in dict.fromkeys(names):
            sections.extend(context.server.info(name.decode("utf-8", "replace")))
    texts = []
    for heading, fields in sections:
        lines = ["# %s\r\n" % heading]
        lines.extend("%s:%s\r\n" % field for field in fields)
        texts.append("".join(lines))
    return resp.Verbatim("\r\n".join(texts))


def time_(context, args):
    """Seconds since 1970 and the microseconds in the present one, to the millisecond."""
    seconds, ms = divmod(context.keyspace.wall_ms(), _SECOND_MS)
    return [b"%d" % seconds, b"%d" % (ms * 1000)]


def config_get(context, args):
    """The settings whose names a pattern describes."""
    patterns = [glob.Glob(word.lower()) for word in args]
    found = []
    for name, value in context.server.config().items():
        encoded = name.encode("utf-8")
        if any(pattern.matches(encoded) for pattern in patterns):
            found.append((encoded, str(value).encode("utf-8")))
    return resp.Map(found)


COMMANDS = (
    Command(b"INFO", info, -1, PLAIN),
    Command(b"TIME", time_, 1, PLAIN_FAST),
    container(b"CONFIG", (
        (b"GET", config_get, -3, ADMIN),
    )),
)

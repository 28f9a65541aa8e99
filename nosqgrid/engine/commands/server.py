"""Commands about the server: INFO, TIME, LOLWUT, and what makes it save or end.

What there is to tell comes from context.server; here it only gets Redis' layout.  To save is to make a checkpoint in
the grid's directory; a grid without one has nowhere to save to, and says so.
"""

from ... import errors
from ...formats import resp
from .command import ADMIN, PLAIN, PLAIN_FAST, Command, container, integer, syntax_error

_MORE = frozenset((b"all", b"everything"))
_OF_COMMANDS = frozenset((b"commandstats", b"latencystats"))
_UNSAID = {"latency-tracking": "yes"}  # it is off until somebody wants it, which is not to have said no
_EVERY_SECTION = _MORE | {b"default"}
_SECOND_MS = 1000
_VERSION = "Redis ver. 7.0.15\n"  # whose behaviour this is
_NO_MODULES = ('MODULE command not allowed. If the enable-module-command option is set to "local", you can run it from '
               "a local connection, otherwise you need to set this option in the configuration file, and then restart "
               "the server.")


def info(context, args):
    """Everything, or the sections named, as `name:value` lines under `# Section` headings."""
    names = [word.lower() for word in args]
    if not _OF_COMMANDS.isdisjoint(names):
        _count_commands(context)
    if not names or not _EVERY_SECTION.isdisjoint(names):
        sections = context.server.info(None if _MORE.isdisjoint(names) else "everything")
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


def _count_commands(context):
    """Count commands from now on, this one being the first: somebody wants to know, who did not say no before.

    Who asks for all that there is, as programs that watch servers do each minute, does not say that: counting costs
    every command the hot path.
    """
    oversight = context.oversight
    if not oversight.stats.on and context.server.settings.get("latency-tracking", _UNSAID) == "yes":
        context.server.settings.set_all([("latency-tracking", "yes")])
        oversight.count(True)
        oversight.stats.note(b"INFO", 0, None)


def time_(context, args):
    """Seconds since 1970 and the microseconds in the present one, to the millisecond."""
    seconds, ms = divmod(context.keyspace.wall_ms(), _SECOND_MS)
    return [b"%d" % seconds, b"%d" % (ms * 1000)]


def lolwut(context, args):
    """The version; there is no picture: [VERSION number]."""
    if len(args) > 1 and args[0].upper() == b"VERSION":
        integer(args[1])
    return resp.Verbatim(_VERSION)


# -- saving and ending ------------------------------------------------------------------------------------------------


def lastsave(context, args):
    """When a checkpoint was made last, or the server started, in seconds since 1970."""
    return context.server.last_save_s()


def save(context, args):
    """Make a checkpoint, and answer when it stands; nobody waits meanwhile but who asked."""
    _check_alone(context)
    context.server.save(context.session)
    return context.defer()


def bgsave(context, args):
    """Begin a checkpoint: [SCHEDULE]."""
    if len(args) > 1 or args and args[0].upper() != b"SCHEDULE":
        raise syntax_error()
    if not context.server.save_beside():
        if not args:
            raise errors.CommandError("Background save already in progress")
        return resp.Simple("Background saving scheduled")
    return resp.Simple("Background saving started")


def bgrewriteaof(context, args):
    """Begin a checkpoint, behind which the log begins anew."""
    if not context.server.save_beside():
        raise errors.CommandError("Background append only file rewriting already in progress")
    return resp.Simple("Background append only file rewriting started")


def shutdown(context, args):
    """End the server as a signal would: [NOSAVE|SAVE] [NOW] [FORCE] [ABORT].

    What it keeps on the disk is kept in any case: NOSAVE asks for less than a grid does.  There is no answer.
    """
    options = {word.upper() for word in args}
    if options - {b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"} or {b"NOSAVE", b"SAVE"} <= options \
            or b"ABORT" in options and len(args) > 1:
        raise syntax_error()
    if b"ABORT" in options:
        raise errors.CommandError("No shutdown in progress.")
    _check_alone(context)
    context.server.shut_down(context.session)
    return context.defer()


def _check_alone(context):
    if not context.may_block:
        raise errors.CommandError("what is answered later, or never, has to be sent over the socket, by itself")


def function_flush(context, args):
    """Forget all functions: there are none."""
    if len(args) > 1 or args and args[0].upper() not in (b"ASYNC", b"SYNC"):
        raise errors.CommandError("FUNCTION FLUSH only supports SYNC|ASYNC option")
    return resp.OK


def function_list(context, args):
    """The libraries of functions: there are none."""
    return []


def module_list(context, args):
    """The modules that are loaded: there are none."""
    return []


def module_refused(context, args):
    """Nothing is loaded into a coordinator; the text is that of a Redis that was not told to allow it."""
    raise errors.CommandError(_NO_MODULES)


COMMANDS = (
    Command(b"INFO", info, -1, PLAIN | {"loading", "stale"}),
    Command(b"TIME", time_, 1, PLAIN_FAST | {"loading", "stale"}),
    Command(b"LOLWUT", lolwut, -1, PLAIN_FAST),
    Command(b"LASTSAVE", lastsave, 1, PLAIN_FAST | {"loading", "stale"}),
    Command(b"SAVE", save, 1, ADMIN | {"noscript", "no_multi"}),
    Command(b"BGSAVE", bgsave, -1, ADMIN | {"noscript"}),
    Command(b"BGREWRITEAOF", bgrewriteaof, 1, ADMIN | {"noscript"}),
    Command(b"SHUTDOWN", shutdown, -1, ADMIN | {"noscript", "loading", "stale", "no_multi"}),
    container(b"FUNCTION", (
        (b"FLUSH", function_flush, -2, frozenset(("write", "noscript"))),
        (b"LIST", function_list, -2, PLAIN | {"noscript"}),
    )),
    container(b"MODULE", (
        (b"LIST", module_list, 2, ADMIN | {"noscript"}),
        (b"LOAD", module_refused, -3, ADMIN | {"noscript"}),
        (b"LOADEX", module_refused, -3, ADMIN | {"noscript"}),
        (b"UNLOAD", module_refused, 3, ADMIN | {"noscript"}),
    )),
)

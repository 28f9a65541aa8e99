"""CLIENT and MONITOR: about the connections that there are.

CLIENT KILL and QUIT only set `closing` on the session; the loop closes it after the replies before have been written.
"""

from ... import errors
from ...formats import resp
from ..oversight import ALL, WRITES
from . import client_tracking, command
from .command import ADMIN, CONNECTION, Command, container, syntax_error

_BAD_NAME = "Client names cannot contain spaces, newlines or special characters."
_TYPES = (b"normal", b"master", b"replica", b"slave", b"pubsub")
_NO_SUCH_CLIENT = "No such client"
_ADMIN = ADMIN | CONNECTION | {"noscript"}
_ORDINARY = CONNECTION | {"noscript"}


def client_id(context, args):
    """The number of this connection, never used twice."""
    return context.session.id


def getname(context, args):
    """The name of this connection, or null."""
    return context.session.name or None


def setname(context, args):
    """Name this connection; an empty name takes it away."""
    context.session.name = checked_name(args[0])
    return resp.OK


def checked_name(name):
    """A name for a connection; CommandError where it has something else than printable characters."""
    if any(not 33 <= byte <= 126 for byte in name):
        raise errors.CommandError(_BAD_NAME)
    return name


def setinfo(context, args):
    """Accept LIB-NAME and LIB-VER, which client libraries send about themselves."""
    if args[0].upper() not in (b"LIB-NAME", b"LIB-VER"):
        raise errors.CommandError("Unrecognized option '%s'" % command.shown(args[0]))
    if any(not 33 <= byte <= 126 for byte in args[1]):
        raise errors.CommandError("%s cannot contain spaces, newlines or special characters."
                                  % command.shown(args[0].lower()))
    return resp.OK


# -- CLIENT LIST ------------------------------------------------------------------------------------------------------


def info(context, args):
    """The line of CLIENT LIST about this connection."""
    return resp.Verbatim(line(context.session, context.keyspace.now_ms, _size([b"CLIENT", b"INFO"])))


def list_(context, args):
    """A line for each connection: [TYPE normal|master|replica|pubsub] [ID number ...]."""
    sessions = context.server.sessions()
    if args:
        option = args[0].upper()
        if option == b"TYPE" and len(args) == 2:
            kind = _type_word(args[1])
            sessions = [session for session in sessions if _type_of(session) == kind]
        elif option == b"ID" and len(args) > 1:
            wanted = {_client_number(word) for word in args[1:]}
            sessions = [session for session in sessions if session.id in wanted]
        else:
            raise syntax_error()
    now_ms, own = context.keyspace.now_ms, _size([b"CLIENT", b"LIST"] + list(args))
    return resp.Verbatim(b"".join(line(session, now_ms, own if session is context.session else 0)
                                  for session in sessions))


def _size(words):
    return len(resp.encode_command(*words))


def _type_word(word):
    kind = word.lower()
    if kind not in _TYPES:
        raise errors.CommandError("Unknown client type '%s'" % command.shown(word))
    return b"replica" if kind == b"slave" else kind


def _type_of(session):
    return b"pubsub" if session.subscriptions() else b"normal"


def _client_number(word):
    number = command.parse_integer(word)
    if number is None or number < 1:
        raise errors.CommandError("Invalid client ID")
    return number


def flags_of(session):
    """The letters that CLIENT LIST shows for what a connection is about."""
    tracked = session.tracking
    letters = ((session.monitors, "O"), (session.subscriptions(), "P"), (session.queued is not None, "x"),
               (session.waiting, "b"), (tracked, "t"), (tracked and tracked.broken, "R"),
               (tracked and tracked.broadcast, "B"), (session.closing, "c"), (session.local, "U"),
               (not session.may_write, "r"), (session.never_evicted, "e"))
    return "".join(letter for holds, letter in letters if holds) or "N"


def user_name(session):
    """The name of the user that a connection acts as."""
    return "default" if session.account is None else session.account.name


def line(session, now_ms, query_bytes=0):
    """One line in Redis' layout.  What a grid has none of is 0; uid, pid and lane are ours."""
    fields = (
        ("id", session.id), ("addr", session.address), ("laddr", session.local_address), ("fd", session.descriptor),
        ("name", session.name.decode("ascii")), ("age", (now_ms - session.created_ms) // 1000),
        ("idle", max(now_ms - session.seen_ms, 0) // 1000),
        ("flags", flags_of(session)), ("db", session.database), ("sub", len(session.channels)),
        ("psub", len(session.patterns)), ("ssub", len(session.shard_channels)),
        ("multi", -1 if session.queued is None else len(session.queued)), ("qbuf", query_bytes), ("qbuf-free", 0),
        ("argv-mem", 10 if query_bytes else 0), ("multi-mem", 0), ("rbs", 0), ("rbp", 0), ("obl", 0), ("oll", 0),
        ("omem", session.output_bytes), ("tot-mem", session.output_bytes), ("events", "r"),
        ("cmd", session.last_command.lower().decode("latin-1") or "NULL"),
        ("user", user_name(session)),
        ("redir", session.tracking.redirect if session.tracking is not None else -1),
        ("resp", session.protocol), ("uid", session.uid), ("pid", session.pid), ("lane", int(bool(session.lane))))
    return (" ".join("%s=%s" % field for field in fields) + "\n").encode("utf-8", "surrogateescape")


# -- CLIENT KILL ------------------------------------------------------------------------------------------------------


def kill(context, args):
    """End connections: an address, or filters ID TYPE ADDR LADDR USER, with SKIPME yes|no."""
    if len(args) == 1:
        found = [session for session in context.server.sessions()
                 if session.address.encode("utf-8", "surrogateescape") == args[0]]
        if not found:
            raise errors.CommandError(_NO_SUCH_CLIENT)
        found[0].closing = True
        return resp.OK
    filters, skip_me = _kill_filters(context, args)
    killed = [session for session in context.server.sessions()
              if all(holds(session) for holds in filters) and not (skip_me and session is context.session)]
    for session in killed:
        session.closing = True
    return len(killed)


def _kill_filters(context, args):
    filters, skip_me = [], True
    if len(args) % 2:
        raise syntax_error()
    for option, word in zip(args[::2], args[1::2]):
        option = option.upper()
        if option == b"SKIPME" and word.lower() in (b"yes", b"no"):
            skip_me = word.lower() == b"yes"
        else:
            filters.append(_kill_filter(context, option, word))
    return filters, skip_me


def _kill_filter(context, option, word):
    text = word.decode("utf-8", "surrogateescape")
    if option == b"ID":
        number = command.parse_integer(word)
        if number is None or number < 1:
            raise errors.CommandError("client-id should be greater than 0")
        return lambda session: session.id == number
    if option == b"TYPE":
        kind = _type_word(word)
        return lambda session: _type_of(session) == kind
    if option == b"ADDR":
        return lambda session: session.address == text
    if option == b"LADDR":
        return lambda session: session.local_address == text
    if option == b"USER":
        if not context.server.has_user(text):
            raise errors.CommandError("No such user '%s'" % command.shown(word))
        return lambda session: user_name(session) == text
    raise syntax_error()


# -- how a connection is served ---------------------------------------------------------------------------------------


def no_evict(context, args):
    """Accept ON or OFF: connections are not ended to make room here."""
    context.session.never_evicted = _switch(args[0])
    return resp.OK


def no_touch(context, args):
    """Accept ON or OFF."""
    _switch(args[0])
    return resp.OK


def _switch(word):
    if word.lower() not in (b"on", b"off"):
        raise syntax_error()
    return word.lower() == b"on"


def reply(context, args):
    """Answer every command (ON), none (OFF), or all but the next (SKIP)."""
    session, mode = context.session, args[0].upper()
    if mode not in (b"ON", b"OFF", b"SKIP"):
        raise syntax_error()
    if not context.may_push:
        raise errors.CommandError("replies are only left out on a connection of its own: send this over the socket")
    if mode == b"ON":
        session.muted = 0
    elif mode == b"OFF":
        session.muted = -1
    elif session.muted >= 0:
        session.muted = 2  # this answer and the next
    session.changed()
    return resp.OK


def pause(context, args):
    """Hold the commands of all for so many milliseconds: [WRITE|ALL]."""
    kind = args[1].upper() if len(args) > 1 else b"ALL"
    if len(args) > 2 or kind not in (b"ALL", b"WRITE"):
        raise errors.CommandError("CLIENT PAUSE mode must be WRITE or ALL")
    timeout_ms = command.parse_integer(args[0])
    if timeout_ms is None:
        raise errors.CommandError("timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise errors.CommandError("timeout is negative")
    context.oversight.pause(timeout_ms, ALL if kind == b"ALL" else WRITES)
    return resp.OK


def unpause(context, args):
    """Hold nothing any more."""
    context.oversight.unpause()
    return resp.OK


def unblock(context, args):
    """Let a session that waits for a key wait no more: [TIMEOUT|ERROR]; 1, or 0 where it did not wait."""
    number = command.parse_integer(args[0])
    if number is None:
        raise errors.CommandError(command.NOT_AN_INTEGER)
    mode = args[1].upper() if len(args) > 1 else b"TIMEOUT"
    if mode not in (b"TIMEOUT", b"ERROR") or len(args) > 2:
        raise errors.CommandError("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    for session in context.server.sessions():
        if session.id == number:
            return int(context.waiting.unblock(session, mode == b"ERROR"))
    return 0


def monitor(context, args):
    """Show the commands of all on this connection from now on."""
    if not context.may_push:
        raise errors.CommandError("only a connection of its own can monitor: send this over the socket")
    context.oversight.monitor(context.session)
    return resp.OK


COMMANDS = (
    Command(b"MONITOR", monitor, 1, ADMIN | {"noscript", "loading", "stale"}),
    container(b"CLIENT", (
        (b"ID", client_id, 2, _ORDINARY),
        (b"GETNAME", getname, 2, _ORDINARY),
        (b"SETNAME", setname, 3, _ORDINARY),
        (b"SETINFO", setinfo, 4, _ORDINARY),
        (b"INFO", info, 2, _ORDINARY),
        (b"LIST", list_, -2, _ADMIN),
        (b"KILL", kill, -3, _ADMIN),
        (b"NO-EVICT", no_evict, 3, _ADMIN),
        (b"NO-TOUCH", no_touch, 3, _ORDINARY),
        (b"REPLY", reply, 3, _ORDINARY),
        (b"PAUSE", pause, -3, _ADMIN),
        (b"UNPAUSE", unpause, 2, _ADMIN),
        (b"UNBLOCK", unblock, -3, _ADMIN),
    ) + client_tracking.ROWS),
)

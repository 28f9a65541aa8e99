"""Commands about the connection itself: PING, ECHO, QUIT, HELLO, AUTH, RESET and CLIENT.

There is no password: who may connect is decided by the socket's owner, its mode and the peer's uid before the first
byte is read.  So AUTH answers as a Redis without a password does.

CLIENT KILL and QUIT only set `closing` on the session; the loop closes it after the replies before have been written.
"""

from ... import errors
from ...formats import resp
from . import command
from .command import ADMIN, CONNECTION, CONNECTION_FAST, Command, command_error, container, integer, syntax_error

REDIS_VERSION = b"7.0.15"  # whose behaviour this is; the clients' test suites and feature checks key on it

_PROTOCOLS = (2, 3)
_DEFAULT_USER = b"default"
_NO_PASSWORD_SET = ("AUTH <password> called without any password configured for the default user. "
                    "Are you sure your configuration is correct?")
_BAD_NAME = "Client names cannot contain spaces, newlines or special characters."


def ping(context, args):
    """PONG, or the word given."""
    if len(args) > 1:
        raise command.wrong_arity(b"PING")
    return args[0] if args else resp.Simple("PONG")


def echo(context, args):
    """The word given."""
    return args[0]


def quit_(context, args):
    """End the connection."""
    context.session.closing = True
    return resp.OK


def auth(context, args):
    """Accept the user without password."""
    if len(args) > 2:
        raise syntax_error()
    if len(args) == 1:
        raise errors.CommandError(_NO_PASSWORD_SET)
    _check_user(args[0])
    return resp.OK


def _check_user(user):
    if user != _DEFAULT_USER:
        raise command_error("invalid username-password pair or user is disabled.", "WRONGPASS")


def hello(context, args):
    """Choose the protocol and say who serves: [2|3 [AUTH user password] [SETNAME name]]."""
    session = context.session
    protocol = _protocol(args[0]) if args else session.protocol
    name = _hello_options(args[1:])
    if name is not None:
        session.name = name
    session.protocol = protocol
    return resp.Map([
        (b"server", b"redis"),
        (b"version", REDIS_VERSION),
        (b"proto", protocol),
        (b"id", session.id),
        (b"mode", b"standalone"),
        (b"role", b"master"),
        (b"modules", []),
    ])


def _protocol(word):
    protocol = command.parse_integer(word)
    if protocol is None:
        raise errors.CommandError("Protocol version is not an integer or out of range")
    if protocol not in _PROTOCOLS:
        raise command_error("unsupported protocol version", "NOPROTO")
    return protocol


def _hello_options(words):
    """The name asked for, or None; nothing is changed before every word is understood."""
    name, user, index = None, None, 0
    while index < len(words):
        option, following = words[index].upper(), len(words) - index - 1
        if option == b"AUTH" and following >= 2:
            user = words[index + 1]
            index += 3
        elif option == b"SETNAME" and following >= 1:
            name = _checked_name(words[index + 1])
            index += 2
        else:
            raise errors.CommandError("Syntax error in HELLO option '%s'" % command.shown(words[index]))
    if user is not None:
        _check_user(user)
    return name


def reset(context, args):
    """Back to how a connection begins."""
    context.session.name = b""
    context.session.protocol = 2
    return resp.Simple("RESET")


# -- CLIENT -----------------------------------------------------------------------------------------------------------


def client_id(context, args):
    """The number of this connection, never used twice."""
    return context.session.id


def client_getname(context, args):
    """The name of this connection, or null."""
    return context.session.name or None


def client_setname(context, args):
    """Name this connection; an empty name takes it away."""
    context.session.name = _checked_name(args[0])
    return resp.OK


def _checked_name(name):
    if any(not 33 <= byte <= 126 for byte in name):
        raise errors.CommandError(_BAD_NAME)
    return name


def client_setinfo(context, args):
    """Accept LIB-NAME and LIB-VER, which client libraries send about themselves."""
    if args[0].upper() not in (b"LIB-NAME", b"LIB-VER"):
        raise errors.CommandError("Unrecognized option '%s'" % command.shown(args[0]))
    if any(not 33 <= byte <= 126 for byte in args[1]):
        raise errors.CommandError("%s cannot contain spaces, newlines or special characters."
                                  % command.shown(args[0].lower()))
    return resp.OK


def client_info(context, args):
    """The line of CLIENT LIST about this connection."""
    return resp.Verbatim(_client_line(context.session, context.keyspace.now_ms))


def client_list(context, args):
    """A line for each connection: [TYPE normal|master|replica|pubsub] [ID number ...]."""
    sessions = context.server.sessions()
    if args:
        option = args[0].upper()
        if option == b"TYPE" and len(args) == 2:
            kind = args[1].lower()
            if kind not in (b"normal", b"master", b"replica", b"slave", b"pubsub"):
                raise errors.CommandError("Unknown client type '%s'" % command.shown(args[1]))
            sessions = sessions if kind == b"normal" else []
        elif option == b"ID" and len(args) > 1:
            wanted = [_client_number(word) for word in args[1:]]
            sessions = [session for session in sessions if session.id in wanted]
        else:
            raise syntax_error()
    now_ms = context.keyspace.now_ms
    return resp.Verbatim(b"".join(_client_line(session, now_ms) for session in sessions))


def _client_number(word):
    number = command.parse_integer(word)
    if number is None or number < 1:
        raise errors.CommandError("Invalid client ID")
    return number


def _client_line(session, now_ms):
    """One line in Redis' layout.  What a grid has none of is 0; uid, pid and lane are ours."""
    return (b"id=%d addr=unix:%d laddr=unix:0 fd=-1 name=%b age=%d idle=0 flags=U db=0 sub=0 psub=0 ssub=0 multi=-1 "
            b"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%b "
            b"user=default redir=-1 resp=%d uid=%d pid=%d lane=%d\n") % (
        session.id, session.pid, session.name, (now_ms - session.created_ms) // 1000,
        session.last_command.lower() or b"NULL", session.protocol, session.uid, session.pid, bool(session.lane))


def client_kill(context, args):
    """End connections: ID number, with SKIPME yes|no."""
    if len(args) == 1:
        raise errors.CommandError("No such client")
    number, skip_me = None, True
    for index in range(0, len(args), 2):
        option = args[index].upper()
        if index + 1 == len(args):
            raise syntax_error()
        word = args[index + 1]
        if option == b"ID":
            number = command.parse_integer(word)
            if number is None or number < 1:
                raise errors.CommandError("client-id should be greater than 0")
        elif option == b"SKIPME" and word.lower() in (b"yes", b"no"):
            skip_me = word.lower() == b"yes"
        else:
            raise syntax_error()
    if number is None:
        raise errors.CommandError("CLIENT KILL needs ID and the number of a client here")
    killed = [session for session in context.server.sessions()
              if session.id == number and not (skip_me and session is context.session)]
    for session in killed:
        session.closing = True
    return len(killed)


def client_switch(context, args):
    """Accept ON or OFF where there is nothing to switch."""
    if args[0].lower() not in (b"on", b"off"):
        raise syntax_error()
    return resp.OK


def client_reply(context, args):
    """Refused: a connection whose replies are off cannot tell what became of its commands."""
    raise errors.CommandError("CLIENT REPLY is not supported: every command is answered")


COMMANDS = (
    Command(b"PING", ping, -1, CONNECTION_FAST),
    Command(b"ECHO", echo, 2, CONNECTION_FAST),
    Command(b"QUIT", quit_, -1, CONNECTION_FAST),
    Command(b"HELLO", hello, -1, CONNECTION_FAST),
    Command(b"AUTH", auth, -2, CONNECTION_FAST),
    Command(b"RESET", reset, 1, CONNECTION_FAST),
    container(b"CLIENT", (
        (b"ID", client_id, 2, CONNECTION),
        (b"GETNAME", client_getname, 2, CONNECTION),
        (b"SETNAME", client_setname, 3, CONNECTION),
        (b"SETINFO", client_setinfo, 4, CONNECTION),
        (b"INFO", client_info, 2, CONNECTION),
        (b"LIST", client_list, -2, ADMIN | CONNECTION),
        (b"KILL", client_kill, -3, ADMIN | CONNECTION),
        (b"NO-EVICT", client_switch, 3, ADMIN | CONNECTION),
        (b"NO-TOUCH", client_switch, 3, CONNECTION),
        (b"REPLY", client_reply, 3, CONNECTION),
    )),
)

"""Commands about the connection itself: PING, ECHO, QUIT, HELLO, AUTH and RESET.

Who may connect to the Unix socket is decided by its owner, its mode and the peer's uid before the first byte is read; a
password is asked for where somebody has set one (engine/acl).
"""

from ... import errors
from ...formats import resp
from ..acl_rules import AUTH
from . import command, permissions
from .clients import checked_name
from .command import CONNECTION_FAST, Command, command_error, syntax_error

REDIS_VERSION = b"7.0.15"  # whose behaviour this is; the clients' test suites and feature checks key on it

_PROTOCOLS = (2, 3)
_DEFAULT_USER = b"default"
_HELLO_FIRST = ("HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> "
                "option can be used to authenticate the client and select the RESP protocol version at the same time")
_NO_PASSWORD_SET = ("AUTH <password> called without any password configured for the default user. "
                    "Are you sure your configuration is correct?")


def ping(context, args):
    """PONG, or the word given; to who listens in RESP2 an array, as all that he gets."""
    if len(args) > 1:
        raise command.wrong_arity(b"PING")
    if context.session.protocol == 2 and context.session.subscriptions():
        return [b"pong", args[0] if args else b""]
    return args[0] if args else resp.Simple("PONG")


def echo(context, args):
    """The word given."""
    return args[0]


def quit_(context, args):
    """End the connection."""
    context.session.closing = True
    return resp.OK


def auth(context, args):
    """Log in: [user] password."""
    if len(args) > 2:
        raise syntax_error()
    if len(args) == 1:
        if context.server.acl.default.nopass:
            raise errors.CommandError(_NO_PASSWORD_SET)
        args = [_DEFAULT_USER, args[0]]
    _log_in(context, args[0], args[1], b"AUTH")
    return resp.OK


def _log_in(context, user, password, command_name):
    name = user.decode("utf-8", "surrogateescape")
    if not context.server.acl.log_in(context.session, name, password):
        client = permissions.client_of(context, command_name)
        context.server.acl.note(context.session.queued is not None, AUTH, command_name, name, client)
        raise command_error("invalid username-password pair or user is disabled.", "WRONGPASS")


def hello(context, args):
    """Choose the protocol and say who serves: [2|3 [AUTH user password] [SETNAME name]]."""
    session = context.session
    protocol = _protocol(args[0]) if args else session.protocol
    name, login = _hello_options(args[1:])
    if login is not None:
        _log_in(context, login[0], login[1], b"HELLO")
    if not session.authenticated:
        raise command_error(_HELLO_FIRST, "NOAUTH")
    if name is not None:
        session.name = name
    session.protocol = protocol
    session.changed()
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
    """(name asked for or None, (user, password) or None); nothing is changed before every word is understood."""
    name, login, index = None, None, 0
    while index < len(words):
        option, following = words[index].upper(), len(words) - index - 1
        if option == b"AUTH" and following >= 2:
            login = words[index + 1], words[index + 2]
            index += 3
        elif option == b"SETNAME" and following >= 1:
            name = checked_name(words[index + 1])
            index += 2
        else:
            raise errors.CommandError("Syntax error in HELLO option '%s'" % command.shown(words[index]))
    return name, login


def reset(context, args):
    """Back to how a connection begins."""
    session = context.session
    context.pubsub.session_ended(session)
    context.oversight.session_ended(session)
    context.tracking.session_ended(session)
    session.name, session.protocol = b"", 2
    session.forget()
    context.server.acl.welcome(session)
    return resp.Simple("RESET")


COMMANDS = (
    Command(b"PING", ping, -1, CONNECTION_FAST),
    Command(b"ECHO", echo, 2, CONNECTION_FAST),
    Command(b"QUIT", quit_, -1, CONNECTION_FAST),
    Command(b"HELLO", hello, -1, CONNECTION_FAST),
    Command(b"AUTH", auth, -2, CONNECTION_FAST),
    Command(b"RESET", reset, 1, CONNECTION_FAST),
)

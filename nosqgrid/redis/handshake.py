"""What a connection says before it is used: who it is, in which protocol, and on which database.

It is written without input and output, so that sync and asyncio connections share it: a generator yields lists of
commands, all of them to be sent at once, and is sent the list of their replies, errors as objects.
"""

from .exceptions import (AuthenticationError, AuthenticationWrongNumberOfArgsError, ConnectionError, ResponseError)

RESP2 = (None, 2, "2")


def handshake(options):
    """Yields commands for `options`, an object with the attributes of a connection.

    Raises ConnectionError, AuthenticationError, or what the server said.
    """
    credentials = _credentials(options)
    if options.protocol not in RESP2:
        yield from _hello(options.protocol, credentials)
    elif credentials:
        yield from _auth(credentials)
    commands = [("CLIENT SETNAME", options.client_name)] if options.client_name else []
    for attribute, value in (("LIB-NAME", options.lib_name), ("LIB-VER", options.lib_version)):
        if value:
            commands.append(("CLIENT SETINFO", attribute, value))
    if options.db:
        commands.append(("SELECT", options.db))
    if commands:
        for command, reply in zip(commands, (yield commands)):
            _check(command, reply)


def _check(command, reply):
    if command[0] == "CLIENT SETINFO":
        return  # servers before 7.2 do not know it, and nothing depends on it
    if command[0] == "CLIENT SETNAME" and not _ok(reply):
        raise _error(reply, ConnectionError("Error setting client name"))
    if command[0] == "SELECT" and not _ok(reply):
        raise _error(reply, ConnectionError("Invalid Database"))


def _credentials(options):
    """() or (password,) or (user, password)."""
    if options.credential_provider is not None:
        return tuple(options.credential_provider.get_credentials())
    if options.username:
        return options.username, options.password or ""
    return (options.password,) if options.password else ()


def _hello(protocol, credentials):
    words = ("HELLO", protocol)
    if credentials:
        words += ("AUTH",) + (credentials if len(credentials) == 2 else ("default",) + credentials)
    (reply,) = yield [words]
    if isinstance(reply, Exception):
        raise reply
    fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))
    if fields.get(b"proto", fields.get("proto")) != int(protocol):
        raise ConnectionError("Invalid RESP version")


def _auth(credentials):
    (reply,) = yield [("AUTH",) + credentials]
    if isinstance(reply, AuthenticationWrongNumberOfArgsError):
        # A server before 6 has no users.
        (reply,) = yield [("AUTH", credentials[-1])]
    if not _ok(reply):
        raise _error(reply, AuthenticationError("Invalid Username or Password"))


def _ok(reply):
    return reply in (b"OK", "OK")


def _error(reply, otherwise):
    return reply if isinstance(reply, (ResponseError, ConnectionError)) else otherwise

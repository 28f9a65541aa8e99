"""Whether the user of a session may run a command: what it does with keys and channels, in the words of acl_rules.

One check at one place, with the function that the command itself is served by (introspection.keys_at): what is checked
and what is used cannot differ.
"""

from ..acl import message_of
from ..acl_catalogue import name_of
from ..acl_rules import CHANNEL, COMMAND, KEY, READS, WRITES
from . import clients, introspection
from .command import command_error
from .key_flags import flags_of_keys

_WRITING = frozenset(("insert", "update", "delete"))
_LITERAL, _PATTERN = False, True
_CHANNELS = {b"PUBLISH": (1, _LITERAL), b"SPUBLISH": (1, _LITERAL), b"SUBSCRIBE": (-1, _LITERAL),
             b"SSUBSCRIBE": (-1, _LITERAL), b"PSUBSCRIBE": (-1, _PATTERN)}  # (how many, -1: all; whether patterns)
_CHANGED = ("ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is "
            "no longer allowed for the following reason: %s")
_WHY = {COMMAND: "no permission to execute the command or subcommand", KEY: "no permission to touch the specified keys",
        CHANNEL: "no permission to access one of the channels used as arguments to the command"}


def denied(user, row, argv):
    """None where a user may run a command, or (reason, index of the word)."""
    indexes = list(introspection.keys_at(row, argv))
    keys = list(zip(indexes, map(_access, flags_of_keys(row, argv, len(indexes)))))
    return user.denies(row, argv, keys, _channels(row, argv))


def _access(flags):
    return (READS if "access" in flags else 0) | (0 if _WRITING.isdisjoint(flags) else WRITES)


def _channels(row, argv):
    count, is_pattern = _CHANNELS.get(row.name, (0, _LITERAL))
    stop = len(argv) if count < 0 else 1 + count
    return [(index, is_pattern) for index in range(1, stop)]


def check(context, row, argv):
    """Raise CommandError (NOPERM) where the session's user may not run a command; that is noted."""
    found = denied(context.session.user, row, argv)
    if found is not None:
        note(context, found, row, argv)
        raise command_error(message_of(found[0], name_of(row)), "NOPERM")


def check_again(context, row, argv):
    """The same in EXEC, for a command that was allowed when it was queued."""
    if context.session.user is None:
        return
    found = denied(context.session.user, row, argv)
    if found is not None:
        note(context, found, row, argv, True)
        raise command_error(_CHANGED % _WHY[found[0]], "NOPERM")


def note(context, found, row, argv, in_transaction=False):
    """Write down that something was denied."""
    reason, index = found
    word = name_of(row) if reason == COMMAND else argv[index]
    session = context.session
    context.server.acl.note(in_transaction or session.queued is not None, reason, word, session.account.name,
                            client_of(context, row.name))


def client_of(context, name):
    """The session as CLIENT INFO would describe it while it asks for the command of this name."""
    before, context.session.last_command = context.session.last_command, name
    try:
        return clients.line(context.session, context.keyspace.now_ms).rstrip(b"\n")
    finally:
        context.session.last_command = before

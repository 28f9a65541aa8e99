"""Commands of sessions about which there is something special: what happens to them before they run.

In this order: the words are found to be a command; somebody who has to log in has, and may do that; a session that
listens in RESP2 does nothing else; somebody who oversees the server sees it, or holds it; in a transaction the command
is put off until EXEC; the keys become those of the session's database.
"""

from ... import errors
from ...formats import resp
from .. import databases
from . import permissions
from .command import command_error

QUEUED = resp.Simple("QUEUED")

_WITHOUT_LOGIN = frozenset((b"AUTH", b"HELLO", b"QUIT", b"RESET"))
_WHILE_LISTENING = frozenset((b"SUBSCRIBE", b"UNSUBSCRIBE", b"PSUBSCRIBE", b"PUNSUBSCRIBE", b"SSUBSCRIBE",
                              b"SUNSUBSCRIBE", b"PING", b"QUIT", b"RESET"))
_OURS = b"NOSQGRID."  # for clients that the kernel knows: see engine/acl
_AT_ONCE = frozenset((b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET"))


def pass_through(context, argv, find_command, keys_at):
    """(row, words) to be run now, or (None, the reply to it) where the command is put off.

    Raises:
        CommandError: it is not to be run; a transaction that has begun will not be run either.
    """
    session = context.session
    try:
        row = find_command(argv)
        if not (session.local and row.name.startswith(_OURS) and not session.logged_in):
            _check_user(context, row, argv)
        _check_state(session, row)
    except errors.NosqgridError:
        session.doomed = session.queued is not None
        raise
    if session.overseen:
        if context.may_wait and context.oversight.holds(session, row):
            return None, context.oversight.hold(context, argv)
        context.oversight.show(session, row, argv)
    if session.queued is None or row.name in _AT_ONCE:
        return row, argv if not session.database else with_prefix(argv, keys_at(row, argv), session.database)
    session.queued.append((row, argv))  # as it came: a SELECT before it may choose another database
    return None, QUEUED


def _check_user(context, row, argv):
    session = context.session
    if not session.authenticated and row.name not in _WITHOUT_LOGIN:
        raise command_error("Authentication required.", "NOAUTH")
    if session.user is not None:
        permissions.check(context, row, argv)


def _check_state(session, row):
    if session.queued is not None and "no_multi" in row.flags:
        raise errors.CommandError("Command not allowed inside a transaction")
    if session.protocol == 2 and row.name not in _WHILE_LISTENING and session.subscriptions():
        raise errors.CommandError("Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
                                  "are allowed in this context" % row.name.lower().decode("ascii"))


def with_prefix(argv, indexes, database):
    """The words with the keys at these indexes made those of a database."""
    prefix = databases.prefix_of(database)
    argv = list(argv)
    for index in indexes:
        argv[index] = prefix + argv[index]
    return argv

"""Running one command whose words have been found to be one."""

from ... import errors
from .introspection import keys_of

_NEEDS_WRITER = frozenset(("write", "admin"))


def run(context, row, argv):
    """Run a command; the reply object.  Raises NosqgridError, with nothing changed."""
    # Unpacked at once: an attribute of a namedtuple costs as much as all of this before Python 3.8.
    name, function, _, flags, _, _, _, _, _ = row
    session = context.session
    if not session.may_write and not _NEEDS_WRITER.isdisjoint(flags):
        raise errors.PermissionRefusedError("uid %d may only read here, and '%s' does more than that"
                                            % (session.uid, name.lower().decode("ascii")))
    session.last_command = name
    args = argv[2:] if b"|" in name else argv[1:]
    keyspace = context.keyspace
    if keyspace.staging or "write" not in flags or "alone" in flags or keyspace.log is None and "several" not in flags:
        return function(context, args)
    return as_write(keyspace, lambda: function(context, args))


def run_watched(context, row, argv, words):
    """The same for a session about which there is something special; `words` are as the client wrote them.

    Where it tracks, what it reads is remembered (engine/tracking); where somebody wants to know, time and outcome are
    noted (engine/oversight).
    """
    session, oversight = context.session, context.oversight
    times = session.overseen and oversight.times
    since_us = oversight.now_us() if times else 0
    try:
        reply = run(context, row, argv)
    except errors.NosqgridError as error:  # which no name here may keep: its frames lead to this one
        if times:
            oversight.measured(session, row, words, since_us, error)
        raise
    finally:
        if session.tracking is not None and "readonly" in row.flags:
            context.tracking.remember(session, keys_of(row, argv))
    if times:
        oversight.measured(session, row, words, since_us, None)
    return reply


def as_write(keyspace, function):
    """What a function returns; what it changes is one entry of the log and published after that, or nothing is."""
    if keyspace.staging:
        return function()
    keyspace.begin()
    try:
        reply = function()
    except BaseException:
        # An interrupt too: a keyspace left staging would swallow the writes of everybody.
        keyspace.rollback()
        raise
    keyspace.commit()
    return reply

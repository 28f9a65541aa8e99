"""Running one command whose words have been found to be one."""

from ... import errors

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


def run_measured(context, row, argv, words):
    """The same, the time and the outcome noted by who oversees; `words` are as the client wrote them."""
    oversight, session = context.oversight, context.session
    since_us = oversight.now_us()
    try:
        reply = run(context, row, argv)
    except errors.NosqgridError as error:
        oversight.measured(session, row, words, since_us, error)
        raise
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

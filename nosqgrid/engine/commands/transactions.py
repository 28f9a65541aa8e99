"""MULTI, EXEC, DISCARD, WATCH and UNWATCH.

What was queued is run in one go, as one entry of the log.  A command that fails answers for itself, and the others are
run; but where there is no room, the disk takes nothing or LOCK.CHECK refuses, all of it is taken back and EXEC says so.
A watched key is compared by its version, so that a change by anybody counts, also by a client with a lane.
"""

from ... import errors
from ...formats import resp
from . import gate, introspection, permissions, run
from .command import Command, PLAIN_FAST, command_error

_NOSCRIPT_FAST = PLAIN_FAST | {"noscript"}


def multi(context, args):
    """Begin a transaction: the commands that follow are queued."""
    session = context.session
    if session.queued is not None:
        raise errors.CommandError("MULTI calls can not be nested")
    session.queued, session.doomed = [], False
    session.changed()
    return resp.OK


def discard(context, args):
    """Forget what was queued and what was watched."""
    session = context.session
    if session.queued is None:
        raise errors.CommandError("DISCARD without MULTI")
    _end(session)
    return resp.OK


def exec_(context, args):
    """Run what was queued; null where a watched key has changed."""
    session, keyspace = context.session, context.keyspace
    if session.queued is None:
        raise errors.CommandError("EXEC without MULTI")
    queued, doomed, watched = session.queued, session.doomed, session.watched
    _end(session)
    if doomed:
        raise command_error("Transaction discarded because of previous errors.", "EXECABORT")
    if any(keyspace.version_of(key) != version for key, version in watched.items()):
        return resp.NULL_ARRAY
    may_block, context.may_block = context.may_block, False
    try:
        return _run_all(context, queued)
    finally:
        context.may_block = may_block


def _run_all(context, queued):
    """The replies of the commands; those that cannot be staged are run between two entries of the log."""
    keyspace, replies, start = context.keyspace, [], 0
    while start < len(queued):
        stop = start
        while stop < len(queued) and "alone" not in queued[stop][0].flags:
            stop += 1
        if stop > start:
            together = queued[start:stop]
            replies += run.as_write(keyspace, lambda: [_reply(context, row, words) for row, words in together])
        if stop < len(queued):
            replies.append(_reply(context, *queued[stop]))
        start = stop + 1
    return replies


def _reply(context, row, words):
    database, argv = context.session.database, words
    if database:
        argv = gate.with_prefix(words, introspection.keys_at(row, words), database)
    try:
        permissions.check_again(context, row, words)
        return run.run_watched(context, row, argv, words)
    except (errors.GridFullError, errors.StorageError):
        raise  # what it had changed by then cannot be told from what the others have
    except errors.FencedError:
        raise  # nobody who asks in here whether he holds a lock wants the others done where he does not
    except errors.NosqgridError as error:
        # Its frames lead to the list that it goes into: a circle that only Python's collector would find.
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)


def watch(context, args):
    """Let EXEC do nothing if one of the keys changes until then."""
    session = context.session
    if session.queued is not None:
        raise errors.CommandError("WATCH inside MULTI is not allowed")
    for key in args:
        session.watched.setdefault(key, context.keyspace.version_of(key))
    return resp.OK


def unwatch(context, args):
    """Watch nothing any more."""
    context.session.watched = {}
    return resp.OK


def _end(session):
    session.queued, session.doomed, session.watched = None, False, {}
    session.changed()


COMMANDS = (
    Command(b"MULTI", multi, 1, _NOSCRIPT_FAST),
    Command(b"EXEC", exec_, 1, _NOSCRIPT_FAST - {"fast"}),
    Command(b"DISCARD", discard, 1, _NOSCRIPT_FAST),
    Command(b"WATCH", watch, -2, _NOSCRIPT_FAST, 1, -1, 1),
    Command(b"UNWATCH", unwatch, 1, _NOSCRIPT_FAST),
)

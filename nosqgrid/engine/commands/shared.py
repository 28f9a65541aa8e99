"""Commands of the grid's own client that need more than the keyspace: the session, its lane, other sessions.

    NOSQGRID.ATTACH format          the arena and, for a session that may write, a lane, as descriptors beside the reply
    NOSQGRID.BATCH frames           lane frames applied together or not at all: a batch too large for the lane
    NOSQGRID.CLAIM key              0 there is a value, 1 compute it; waits while somebody else computes it
    NOSQGRID.CLAIM key REFRESH      1 compute it anew, 2 somebody else does; does not wait
    NOSQGRID.FILL key value type deadline_ms    store what was claimed; the version
    NOSQGRID.ABANDON key            give up a claim; 1, or 0 where there was none
    NOSQGRID.CHECKPOINT [path]      answered when it stands: a map of path, lsn, keys, bytes, ms
    NOSQGRID.COMPANION [ANCHOR number]    be there for an attachment of the same process, and as the ANCHOR of that with
                                    this number have what it owns where it ends first; the number of this session
    NOSQGRID.INHERIT number         have what another session of the same process has been granted
    NOSQGRID.LEAVE                  good-bye; 1 when the coordinator ends with this client
"""

from ... import errors, limits
from ...formats import values
from ...formats.arena import FORMAT_VERSION
from ..claims import FILLED
from ..frames import apply_batch
from .command import (ADMIN, CONNECTION, INT64_MAX, WRITE, WRITE_ALONE, Command, bounded, check_local, integer,
                      syntax_error)


def attach(context, args):
    """Hand out the shared memory; the coordinator adds the descriptors to the reply."""
    version = integer(args[0])
    check_local(context)
    if not context.may_wait:
        raise errors.CommandError("descriptors travel only with replies on the socket: attach there")
    if version != FORMAT_VERSION:
        raise errors.FormatVersionError("the coordinator's arena has format %d, this client asks for %d; run the same "
                                        "nosqgrid on both sides" % (FORMAT_VERSION, version))
    return context.attach()


def batch(context, args):
    """A batch over the socket; nothing waits in it."""
    may_wait, context.may_wait = context.may_wait, False
    may_block, context.may_block = context.may_block, False
    try:
        return apply_batch(context, args[0])
    finally:
        context.may_wait, context.may_block = may_wait, may_block


def claim(context, args):
    """Who computes this value?"""
    if not context.may_wait:
        raise errors.CommandError("a claim cannot wait inside a batch or a lane: send it over the socket")
    key = args[0]
    if len(args) > 1:
        if len(args) > 2 or args[1].upper() != b"REFRESH":
            raise syntax_error()
        return context.claims.try_claim(context.session, key)
    if context.keyspace.lookup(key) is not None:
        return FILLED
    granted = context.claims.claim(context.session, key)
    return context.defer() if granted is None else granted


def fill(context, args):
    """Store the value of a claimed key and wake those who wait for it."""
    key, value, type_word, deadline_word = args
    value_type, deadline_ms = integer(type_word), integer(deadline_word)
    if context.keyspace.staging:
        raise errors.CommandError("a claim is not filled inside a batch: whoever waits for it would be told too early")
    if not 0 <= value_type < len(values.NAMES) or not 0 <= deadline_ms <= limits.TTL_MS_MAX:
        raise errors.CommandError("type %d, deadline %d" % (value_type, deadline_ms))
    if not context.claims.holds(context.session, key):
        raise errors.CommandError("this session holds no claim on that key")
    version = context.keyspace.store(key, value_type, value, deadline_ms)
    context.claims.filled(context.session, key)
    return version


def abandon(context, args):
    """Let somebody else compute it."""
    if not context.claims.holds(context.session, args[0]):
        return 0
    context.claims.abandon(context.session, args[0])
    return 1


def checkpoint(context, args):
    """Write everything to disk: into the grid's directory, or to the file with this absolute path."""
    if not context.may_wait:
        raise errors.CommandError("a checkpoint cannot be waited for inside a batch or a lane: send it over the socket")
    if len(args) > 1 or args and (not args[0].startswith(b"/") or b"\0" in args[0]):
        raise errors.CommandError("a checkpoint goes to one file, given with its absolute path")
    context.server.checkpoint(context.session, args[0].decode("utf-8", "surrogateescape") if args else None)
    return context.defer()


def companion(context, args):
    """Be there for an attachment of the same process; the number of this session."""
    if args and (len(args) != 2 or args[0].upper() != b"ANCHOR"):
        raise syntax_error()
    return context.server.accompany(context.session, bounded(args[1], INT64_MAX, "a session") if args else 0)


def inherit(context, args):
    """Have what a session with this number owns: it waited for that in the place of this one."""
    context.server.adopt(context.session, bounded(args[0], INT64_MAX, "a session"))
    return 1


def leave(context, args):
    """The last words of a client; 1 if the coordinator ends with it, and then this connection ends last of all."""
    return int(context.may_wait and context.server.leave(context.session))


COMMANDS = (
    Command(b"NOSQGRID.CHECKPOINT", checkpoint, -1, ADMIN),
    Command(b"NOSQGRID.COMPANION", companion, -1, CONNECTION),
    Command(b"NOSQGRID.INHERIT", inherit, 2, WRITE_ALONE),
    Command(b"NOSQGRID.LEAVE", leave, 1, CONNECTION),
    Command(b"NOSQGRID.ATTACH", attach, 2, CONNECTION),
    Command(b"NOSQGRID.BATCH", batch, 2, WRITE_ALONE),
    Command(b"NOSQGRID.CLAIM", claim, -2, WRITE, 1, 1, 1),
    Command(b"NOSQGRID.FILL", fill, 5, WRITE_ALONE, 1, 1, 1),
    Command(b"NOSQGRID.ABANDON", abandon, 2, WRITE, 1, 1, 1),
)

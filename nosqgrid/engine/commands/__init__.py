"""The one table of commands, and the one way to run them; sockets, lanes and batches all come through here.

A command function gets a context and its words and returns a reply object (formats/resp); errors are raised.  It knows
nothing of protocols, sockets or clocks.  What a context has:

    keyspace        the data: lookup, store, delete, set_deadline, scan, clear, begin, commit, rollback, key_count,
                    staging, log, now_ms, wall_ms() (engine/keyspace)
    session         who asks: id, name, closing, uid, pid, created_ms, seen_ms, last_command, may_write, lane, and what
                    engine/client_state has
    pubsub, waiting, claims      who listens, who waits for keys, who computes values
    notify(letter, event, key), push(parts), block(keys, timeout_s, attempt, timeout_reply), key(name), shown_key(key)
                    see engine/context
    server          info(section or None), sessions(), config(), stats()
    random_bits     function(n) -> int below 2**n

Invariants
 1. Name, arity and permission are checked here, for every command and before anything of it runs.
 2. A command that raises has changed nothing; inside a batch, what it staged is rolled back with the batch.
 3. A session that may not write runs no command flagged "write" or "admin".
 4. Names in the table are upper case; clients may write them as they like.

To add commands: a module with a COMMANDS tuple, and its name in _MODULES.
"""

from ... import errors
from . import (acl, bitfield, bits, blocking_lists, clients, config, connection, dumping, expiring, fast, gate, geo,
               hashes, hyperloglogs, introspection, keys, known_scripts, large, lcs, lists, locks, meetings, native,
               numbers, observing, pubsub, rates, replication, run, selecting, server, sets, shared, sorting,
               stream_groups, stream_info, stream_reads, streams, strings, transactions, walking, zranges, zsetops,
               zsetpops, zsets)
from . import job_control, job_following, job_reads, jobs, listening, once, schedules, topics
from .command import Command, unknown_command, wrong_arity

__all__ = ["CATALOGUE", "COMMON_ROWS", "Command", "TABLE", "dispatch", "find_command", "keys_of"]

_MODULES = (strings, numbers, keys, walking, expiring, selecting, connection, clients, server, native, shared, large,
            transactions, pubsub, lists, blocking_lists, sorting, zsets, zranges, zsetpops, zsetops, hashes, sets,
            streams, stream_reads, stream_groups, stream_info, bits, bitfield, hyperloglogs, lcs, geo, replication,
            dumping, config, observing, known_scripts, locks, meetings, rates)
_MODULES += jobs, job_control, job_reads, job_following, schedules, once, topics, listening

TABLE = {}
keys_of = introspection.keys_of


def _fill():
    for module in _MODULES:
        for row in module.COMMANDS:
            if row.name in TABLE:
                raise errors.InvariantError("two commands are named %r" % row.name)
            TABLE[row.name] = row
    for row in introspection.commands_over(TABLE) + acl.commands_over(TABLE):
        TABLE[row.name] = row


_fill()
COMMON_ROWS = fast.common_rows(TABLE)
CATALOGUE = acl.catalogue_of(TABLE)


def find_command(argv):
    """The row for a command's words.

    Raises:
        CommandError: no such command or subcommand, or the wrong number of words; the text is Redis'.
    """
    row = introspection.find(TABLE, argv)
    if row is None:
        raise unknown_command(argv)
    if not introspection.arity_holds(row, len(argv)):
        raise wrong_arity(row.name)
    return row


def dispatch(context, argv):
    """Run a command: its words as a non-empty list of bytes, the name first; the reply object.

    Raises:
        NosqgridError: as the command says; nothing was changed.  It travels as resp.encode_error writes it.
    Cost: 0.4 us beside the command's own.
    """
    if context.session.special:
        return _dispatch_special(context, argv)
    row = TABLE.get(argv[0])
    if row is None or row.subcommands is not None:
        row = find_command(argv)
    arity = row[2]
    if len(argv) != arity and (arity > 0 or len(argv) < -arity):
        raise wrong_arity(row[0])
    reply = run.run(context, row, argv)
    if context.keyspace.ready:
        context.waiting.serve()
    return reply


def _dispatch_special(context, argv):
    session = context.session
    if session.tracking is None:
        return _pass_and_run(context, argv)
    context.tracking.current = session
    try:
        return _pass_and_run(context, argv)
    finally:
        context.tracking.command_ended(session, argv[0])


def _pass_and_run(context, argv):
    try:
        row, words = gate.pass_through(context, argv, find_command, introspection.keys_at)
    except errors.NosqgridError as error:
        if context.session.overseen and context.oversight.stats.on:
            context.oversight.stats.note_rejected(introspection.name_of(TABLE, argv), error)
        raise
    if row is None:
        return words
    try:
        return run.run_watched(context, row, words, argv)
    finally:
        if context.keyspace.ready:
            context.waiting.serve()

"""What sync and asyncio pipelines have in common: the commands that wait, and what their replies come to.

    transaction   MULTI, the commands, EXEC in one write; the results are those of EXEC
    otherwise     the commands in one write, each with its own reply

An error of one command does not undo the others, as Redis has it; where the server refuses to queue one, it runs none.
"""

from .exceptions import ConnectionError, ExecAbortError, RedisError, ResponseError, WatchError
from .responses import parsed

EMPTY_RESPONSE = "EMPTY_RESPONSE"
NEVER_DECODE = "NEVER_DECODE"
_UNWATCHING = frozenset(("EXEC", "DISCARD", "UNWATCH"))
_SHOWN_CHARACTERS_MAX = 1000


class Batch(object):
    """The state of a pipeline; execute_command() queues, or runs at once where keys are watched."""

    def __init__(self, connection_pool, response_callbacks, transaction, shard_hint):
        self.connection_pool = connection_pool
        self.connection = None
        self.response_callbacks = response_callbacks
        self.is_transaction = transaction
        self.shard_hint = shard_hint
        self.watching = False
        self._clear()

    def _clear(self):
        self.command_stack = []
        self.scripts = set()
        self.explicit_transaction = False

    def __len__(self):
        return len(self.command_stack)

    def __bool__(self):
        return True  # an empty one is one, too

    def multi(self):
        """Queue from here on, after watch() and the reads that it was for."""
        if self.explicit_transaction:
            raise RedisError("Cannot issue nested calls to MULTI")
        if self.command_stack:
            raise RedisError("Commands without an initial WATCH have already been issued")
        self.explicit_transaction = True

    def execute_command(self, *args, **options):
        """Queue a command, and return this pipeline; or run it, where keys are watched and multi() is still to come."""
        if (self.watching or args[0] == "WATCH") and not self.explicit_transaction:
            return self.immediate_execute_command(*args, **options)
        return self.pipeline_execute_command(*args, **options)

    def pipeline_execute_command(self, *args, **options):
        """Queue a command."""
        self.command_stack.append((args, options))
        return self

    def immediate_execute_command(self, *args, **options):
        """Run a command on the connection of this pipeline."""
        raise NotImplementedError("a pipeline defines immediate_execute_command")

    def watch(self, *names):
        """Let execute() raise WatchError where one of the keys changes until then; commands run at once until multi().
        """
        if self.explicit_transaction:
            raise RedisError("Cannot issue a WATCH after a MULTI")
        return self.execute_command("WATCH", *names)

    def _note(self, command_name):
        """A command was answered: keep in mind whether keys are watched."""
        if command_name == "WATCH":
            self.watching = True
        elif command_name in _UNWATCHING:
            self.watching = False

    def _lost(self, connection, error):
        """After the connection was closed: the error to raise, or None where the call may be made again."""
        if self.watching:
            return WatchError("A ConnectionError occurred on while watching one or more keys")
        return None if isinstance(error, tuple(connection.retry_on_error)) else error

    # -- results ------------------------------------------------------------------------------------------------------

    def _transaction_results(self, commands, replies, raise_on_error):
        """The results of a transaction; `replies` are those of MULTI, of the commands that were sent, and of EXEC."""
        refused = [(0, replies[0])] if isinstance(replies[0], Exception) else []
        sent = iter(replies[1:-1])
        for index, (args, options) in enumerate(commands):
            reply = options[EMPTY_RESPONSE] if EMPTY_RESPONSE in options else next(sent)
            if isinstance(reply, Exception):
                annotate(reply, index + 1, args)
            if EMPTY_RESPONSE in options or isinstance(reply, Exception):
                refused.append((index, reply))
        outcome = replies[-1]
        if isinstance(outcome, Exception):
            raise refused[0][1] if isinstance(outcome, ExecAbortError) and refused else outcome
        self.watching = False
        if outcome is None:
            raise WatchError("Watched variable changed.")
        for index, reply in refused:
            outcome.insert(index, reply)
        if len(outcome) != len(commands):
            raise WrongCount("Wrong number of response items from pipeline execution")
        return self._results(commands, outcome, raise_on_error)

    def _results(self, commands, replies, raise_on_error):
        """What the callbacks make of replies; the first error is raised where that is wanted.

        An error that says of the server that it does not serve (BusyLoadingError) is raised in any case.
        """
        for reply in replies:
            if isinstance(reply, ConnectionError):
                raise reply
        if raise_on_error:
            raise_first_error(commands, replies)
        return [reply if isinstance(reply, Exception) else self._result(args[0], reply, options)
                for (args, options), reply in zip(commands, replies)]

    def _result(self, name, reply, options):
        if EMPTY_RESPONSE in options:
            return reply
        return parsed(self.response_callbacks, name, reply, options)


class WrongCount(ResponseError):
    """A server that answered a transaction with too many results, or too few; its connection is of no more use."""


def words_of_transaction(commands):
    """The commands to send for a transaction."""
    return [("MULTI",)] + [args for args, options in commands if EMPTY_RESPONSE not in options] + [("EXEC",)]


def raise_first_error(commands, replies):
    """Raise the first error among replies, saying of which command it is."""
    for index, reply in enumerate(replies):
        if isinstance(reply, ResponseError):
            annotate(reply, index + 1, commands[index][0])
            raise reply


def annotate(error, number, args):
    """Let an error say of which command it is."""
    if "of pipeline caused error" in str(error.args[0]):
        return
    words = " ".join(word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in args)
    error.args = ("Command # %d (%s) of pipeline caused error: %s"
                  % (number, words[:_SHOWN_CHARACTERS_MAX], error.args[0]),) + error.args[1:]

"""Pipelines: commands sent together, in a transaction or not."""

from .batches import EMPTY_RESPONSE, NEVER_DECODE, Batch, WrongCount, words_of_transaction
from .client import Redis
from .exceptions import ConnectionError, ResponseError


class Pipeline(Batch, Redis):
    """Commands are queued, each returning the pipeline; execute() runs them and returns the list of results.

        with client.pipeline() as pipe:
            pipe.set("a", 1).incr("n")
            print(pipe.execute())       # [True, 1]

    With watch() it is an optimistic transaction: reads run at once, multi() begins to queue, and execute() raises
    WatchError where somebody wrote to a watched key.  It is for one thread.
    """

    _attached = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.reset()

    def __del__(self):
        if getattr(self, "connection", None) is not None:
            self.reset()

    def reset(self):
        """Forget what is queued and watched, and give the connection back."""
        self._clear()
        connection = self.connection
        if self.watching and connection is not None:
            try:
                connection.send_command("UNWATCH")
                connection.read_response()
            except ConnectionError:
                connection.disconnect()  # which ends every watch
        self.watching = False
        self.connection = None
        if connection is not None:
            self.connection_pool.release(connection)

    def close(self):
        """reset()."""
        self.reset()

    def discard(self):
        """Drop a transaction that was begun on this connection by hand."""
        self.execute_command("DISCARD")

    def unwatch(self):
        """Watch no key any more."""
        return self.watching and self.execute_command("UNWATCH") or True

    def immediate_execute_command(self, *args, **options):
        connection = self._own_connection(args[0])
        return connection.retry.call_with_retry(
            lambda: self._send_command_parse_response(connection, args[0], *args, **options),
            lambda error: self._fail(connection, error))

    def _own_connection(self, name):
        if self.connection is None:
            self.connection = self.connection_pool.get_connection(name, self.shard_hint)
        return self.connection

    def _fail(self, connection, error):
        connection.disconnect()
        failure = self._lost(connection, error)
        if failure is not None:
            self.watching = False
            self.reset()
            raise failure

    def parse_response(self, connection, command_name, **options):
        """The result of a command that was sent."""
        result = super().parse_response(connection, command_name, **options)
        self._note(command_name)
        return result

    def load_scripts(self):
        """Let the server know the scripts that are queued."""
        scripts = list(self.scripts)
        exist = self.immediate_execute_command("SCRIPT EXISTS", *[script.sha for script in scripts])
        for script, there in zip(scripts, exist):
            if not there:
                script.sha = self.immediate_execute_command("SCRIPT LOAD", script.script)

    def execute(self, raise_on_error=True):
        """Run what is queued; the list of results.

        Raises the first error among them, unless raise_on_error is false, which leaves errors in the list; WatchError
        where a watched key was changed, and nothing ran.
        """
        commands = self.command_stack
        if not commands and not self.watching:
            return []
        transaction = self.is_transaction or self.explicit_transaction
        if self.scripts:
            self.load_scripts()
        run = self._execute_transaction if transaction else self._execute_pipeline
        connection = self._own_connection("MULTI")
        try:
            return connection.retry.call_with_retry(lambda: run(connection, commands, raise_on_error),
                                                    lambda error: self._fail(connection, error))
        finally:
            self.reset()

    def _execute_transaction(self, connection, commands, raise_on_error):
        words = words_of_transaction(commands)
        connection.send_packed_command(connection.pack_commands(words))
        replies = [_reply(connection) for _ in words]
        try:
            return self._transaction_results(commands, replies, raise_on_error)
        except WrongCount:
            connection.disconnect()
            raise

    def _execute_pipeline(self, connection, commands, raise_on_error):
        connection.send_packed_command(connection.pack_commands([args for args, _ in commands]))
        replies = []
        for args, options in commands:
            reply = _reply(connection, NEVER_DECODE in options)
            if EMPTY_RESPONSE in options:
                reply = options[EMPTY_RESPONSE]
            elif not isinstance(reply, Exception):
                self._note(args[0])
            replies.append(reply)
        return self._results(commands, replies, raise_on_error)


def _reply(connection, disable_decoding=False):
    try:
        return connection.read_response(disable_decoding)
    except ResponseError as error:
        return error

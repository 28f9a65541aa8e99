"""Pipelines for asyncio."""

from ..batches import EMPTY_RESPONSE, NEVER_DECODE, Batch, WrongCount, words_of_transaction
from ..exceptions import ConnectionError, ResponseError
from .client import Redis


class Pipeline(Batch, Redis):
    """See pipeline.Pipeline; queueing is not awaited, execute() is, and so is what runs at once while keys are watched.

        async with client.pipeline() as pipe:
            print(await pipe.set("a", 1).incr("n").execute())
    """

    _attached = None

    def __await__(self):
        return self._itself().__await__()

    async def _itself(self):
        return self

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, value, traceback):
        await self.reset()

    async def reset(self):
        """Forget what is queued and watched, and give the connection back."""
        self._clear()
        connection = self.connection
        if self.watching and connection is not None:
            try:
                await connection.send_command("UNWATCH")
                await connection.read_response()
            except ConnectionError:
                await connection.disconnect()  # which ends every watch
        self.watching = False
        self.connection = None
        if connection is not None:
            await self.connection_pool.release(connection)

    async def aclose(self):
        """reset()."""
        await self.reset()

    async def discard(self):
        """Drop a transaction that was begun on this connection by hand."""
        await self.execute_command("DISCARD")

    async def unwatch(self):
        """Watch no key any more."""
        return await self.execute_command("UNWATCH") if self.watching else True

    async def immediate_execute_command(self, *args, **options):
        connection = await self._own_connection(args[0])
        return await connection.retry.call_with_retry(
            lambda: self._send_command_parse_response(connection, args[0], *args, **options),
            lambda error: self._fail(connection, error))

    async def _own_connection(self, name):
        if self.connection is None:
            self.connection = await self.connection_pool.get_connection(name, self.shard_hint)
        return self.connection

    async def _fail(self, connection, error):
        await connection.disconnect()
        failure = self._lost(connection, error)
        if failure is not None:
            self.watching = False
            await self.reset()
            raise failure

    async def parse_response(self, connection, command_name, **options):
        """The result of a command that was sent."""
        result = await super().parse_response(connection, command_name, **options)
        self._note(command_name)
        return result

    async def load_scripts(self):
        """Let the server know the scripts that are queued."""
        scripts = list(self.scripts)
        exist = await self.immediate_execute_command("SCRIPT EXISTS", *[script.sha for script in scripts])
        for script, there in zip(scripts, exist):
            if not there:
                script.sha = await self.immediate_execute_command("SCRIPT LOAD", script.script)

    async def execute(self, raise_on_error=True):
        """Run what is queued; the list of results.  See pipeline.Pipeline.execute."""
        commands = self.command_stack
        if not commands and not self.watching:
            return []
        if self.scripts:
            await self.load_scripts()
        transaction = self.is_transaction or self.explicit_transaction
        run = self._execute_transaction if transaction else self._execute_pipeline
        connection = await self._own_connection("MULTI")
        try:
            return await connection.retry.call_with_retry(lambda: run(connection, commands, raise_on_error),
                                                          lambda error: self._fail(connection, error))
        finally:
            await self.reset()

    async def _execute_transaction(self, connection, commands, raise_on_error):
        words = words_of_transaction(commands)
        await connection.send_packed_command(connection.pack_commands(words))
        replies = [await _reply(connection) for _ in words]
        try:
            return self._transaction_results(commands, replies, raise_on_error)
        except WrongCount:
            await connection.disconnect()
            raise

    async def _execute_pipeline(self, connection, commands, raise_on_error):
        await connection.send_packed_command(connection.pack_commands([args for args, _ in commands]))
        replies = []
        for args, options in commands:
            reply = await _reply(connection, NEVER_DECODE in options)
            if EMPTY_RESPONSE in options:
                reply = options[EMPTY_RESPONSE]
            elif not isinstance(reply, Exception):
                self._note(args[0])
            replies.append(reply)
        return self._results(commands, replies, raise_on_error)


async def _reply(connection, disable_decoding=False):
    try:
        return await connection.read_response(disable_decoding)
    except ResponseError as error:
        return error

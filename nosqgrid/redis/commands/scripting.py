"""Commands of scripts and functions."""

from ..exceptions import DataError


class ScriptCommands(object):
    """Methods named after commands; each returns what execute_command returns."""

    def eval(self, script, numkeys, *keys_and_args):
        """Run a script with so many keys, and arguments."""
        return self.execute_command("EVAL", script, numkeys, *keys_and_args)

    def eval_ro(self, script, numkeys, *keys_and_args):
        """eval() of a script that writes nothing."""
        return self.execute_command("EVAL_RO", script, numkeys, *keys_and_args)

    def evalsha(self, sha, numkeys, *keys_and_args):
        """Run a script that the server knows by its SHA1."""
        return self.execute_command("EVALSHA", sha, numkeys, *keys_and_args)

    def evalsha_ro(self, sha, numkeys, *keys_and_args):
        """evalsha() of a script that writes nothing."""
        return self.execute_command("EVALSHA_RO", sha, numkeys, *keys_and_args)

    def script_exists(self, *args):
        """For each SHA1 whether the server knows the script."""
        return self.execute_command("SCRIPT EXISTS", *args)

    def script_debug(self, *args):
        """A debugger takes over the connection: not for this client."""
        raise NotImplementedError("SCRIPT DEBUG is intentionally not implemented in the client.")

    def script_flush(self, sync_type=None):
        """Let the server forget all scripts."""
        if sync_type not in ("SYNC", "ASYNC", None):
            raise DataError("SCRIPT FLUSH defaults to SYNC in redis > 6.2, or accepts SYNC/ASYNC. For older versions, "
                            "of redis leave as None.")
        return self.execute_command("SCRIPT FLUSH", *([] if sync_type is None else [sync_type]))

    def script_kill(self):
        """End the script that runs."""
        return self.execute_command("SCRIPT KILL")

    def script_load(self, script):
        """Let the server know a script; its SHA1."""
        return self.execute_command("SCRIPT LOAD", script)

    def function_load(self, code, replace=False):
        """Load a library; its name."""
        return self.execute_command("FUNCTION LOAD", *((["REPLACE"] if replace else []) + [code]))

    def function_delete(self, library):
        """Delete a library."""
        return self.execute_command("FUNCTION DELETE", library)

    def function_flush(self, mode="SYNC"):
        """Delete all libraries."""
        return self.execute_command("FUNCTION FLUSH", mode)

    def function_list(self, library="*", withcode=False):
        """The libraries that match a pattern."""
        return self.execute_command("FUNCTION LIST", "LIBRARYNAME", library, *(["WITHCODE"] if withcode else []))

    def fcall(self, function, numkeys, *keys_and_args):
        """Call a function with so many keys, and arguments."""
        return self.execute_command("FCALL", function, numkeys, *keys_and_args)

    def fcall_ro(self, function, numkeys, *keys_and_args):
        """fcall() of a function that writes nothing."""
        return self.execute_command("FCALL_RO", function, numkeys, *keys_and_args)

    def function_dump(self):
        """All libraries, as bytes for function_restore()."""
        return self.execute_command("FUNCTION DUMP", NEVER_DECODE=[])

    def function_restore(self, payload, policy="APPEND"):
        """Load what function_dump() gave."""
        return self.execute_command("FUNCTION RESTORE", payload, policy)

    def function_kill(self):
        """End the function that runs."""
        return self.execute_command("FUNCTION KILL")

    def function_stats(self):
        """What runs, and in what."""
        return self.execute_command("FUNCTION STATS")

"""MONITOR: every command that the server runs, as it runs."""

import re

from .exceptions import RedisError
from .responses import shapes

_LINE = re.compile(r"(\S+) \[(\d+) (.*?)\] (.*)", re.DOTALL)
_WORD = re.compile(r'"(.*?)(?<!\\)"', re.DOTALL)


class BaseMonitor(object):
    """What both forms have in common."""

    def __init__(self, connection_pool):
        self.connection_pool = connection_pool
        self.connection = None

    def _begun(self, reply):
        if not shapes.ok(reply):
            raise RedisError("MONITOR failed: %s" % (reply,))

    def _parsed(self, reply):
        line = shapes.text(reply)
        match = _LINE.match(line)
        if match is None:
            raise RedisError("a line of MONITOR that is none: %.100s" % line)
        moment, database, client, command = match.groups()
        client_type, address, port = _client(client)
        words = " ".join(_WORD.findall(command)).replace('\\"', '"')
        return {"time": float(moment), "db": int(database), "client_address": address, "client_port": port,
                "client_type": client_type, "command": words}


def _client(client):
    """(type, address, port) of what MONITOR says about who sent a command."""
    if client == "lua":
        return "lua", "lua", ""
    if client.startswith("unix"):
        return "unix", "unix", client[5:]
    address, _, port = client.rpartition(":")
    return "tcp", address, port


class Monitor(BaseMonitor):
    """For a `with`: next_command() and listen() give dicts of time, db, client_address, client_port, client_type and
    command."""

    def __enter__(self):
        self.connection = self.connection_pool.get_connection("MONITOR")
        try:
            self.connection.send_command("MONITOR")
            self._begun(self.connection.read_response())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *args):
        self.connection.disconnect()
        self.connection_pool.release(self.connection)

    def next_command(self):
        """The next command, as long as that takes."""
        return self._parsed(self.connection.read_response())

    def listen(self):
        """All commands, one by one."""
        while True:
            yield self.next_command()

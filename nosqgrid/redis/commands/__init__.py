"""Commands as methods: one definition of each, for sync clients, asyncio clients and pipelines.

A method makes the words of its command and returns self.execute_command(*words, **options).  Sync clients return the
object that responses/ makes of the reply; asyncio clients an awaitable of it; pipelines queue it.  What needs more than
one command (iterators, SHUTDOWN) has a form for each: iteration.py here, and asyncio/iteration.py.
"""

from .clients import AclCommands, ClientCommands
from .geo import GeoCommands
from .hashes import HashCommands
from .keys import KeyCommands
from .lists import ListCommands
from .scripting import ScriptCommands
from .server import ServerCommands
from .sets import SetCommands
from .streams import StreamCommands
from .strings import StringCommands
from .zsets import SortedSetCommands


class CoreCommands(StringCommands, KeyCommands, HashCommands, ListCommands, SetCommands, SortedSetCommands,
                   StreamCommands, GeoCommands, ScriptCommands, ServerCommands, ClientCommands, AclCommands):
    """All commands; a class that has them defines execute_command(*words, **options) and get_encoder()."""

    def execute_command(self, *args, **options):
        """Run a command."""
        raise NotImplementedError("a client defines execute_command")

"""A Redis client with the interface of redis-py, in the standard library alone; and the grid's own, faster way to it.

    from nosqgrid.redis import Redis
    r = Redis(unix_socket_path="/run/nosq.sock")        # any Redis server, or a grid, over RESP
    r = Redis(grid="/run/nosq.sock")                    # attached: GET and its kind read shared memory

Names, arguments, results and exceptions are redis-py's, so that a program changes an import.  Layers inside:
exceptions, encoding, parser (pure) < settings, connection, pool < commands, responses (one definition of each command
and of each result) < client, pipeline, pubsub, lock < attached.
"""

from .backoff import default_backoff
from .client import Redis, StrictRedis, from_url
from .connection import Connection, SSLConnection, UnixDomainSocketConnection
from .credentials import CredentialProvider, UsernamePasswordCredentialProvider
from .exceptions import (AuthenticationError, AuthenticationWrongNumberOfArgsError, BusyLoadingError,
                         ChildDeadlockedError, ConnectionError, DataError, InvalidResponse, LockError,
                         LockNotOwnedError, NoPermissionError, NoScriptError, OutOfMemoryError, PubSubError,
                         ReadOnlyError, RedisError, ResponseError, TimeoutError, WatchError)
from .lock import Lock
from .monitor import Monitor
from .pipeline import Pipeline
from .pool import BlockingConnectionPool, ConnectionPool
from .pubsub import PubSub
from .retry import Retry
from .script import Script

__all__ = ["AuthenticationError", "AuthenticationWrongNumberOfArgsError", "BlockingConnectionPool",
           "BusyLoadingError", "ChildDeadlockedError", "Connection", "ConnectionError", "ConnectionPool",
           "CredentialProvider", "DataError", "InvalidResponse", "Lock", "LockError", "LockNotOwnedError", "Monitor",
           "NoPermissionError", "NoScriptError", "OutOfMemoryError", "Pipeline", "PubSub", "PubSubError",
           "ReadOnlyError", "Redis", "RedisError", "ResponseError", "Retry", "SSLConnection", "Script", "StrictRedis",
           "TimeoutError", "UnixDomainSocketConnection", "UsernamePasswordCredentialProvider", "WatchError",
           "default_backoff", "from_url"]

"""The client for asyncio: the same names and arguments, and what asks the server is awaited.

    from nosqgrid.redis import asyncio as redis
    r = redis.Redis(unix_socket_path="/run/nosq.sock")
    await r.set("a", 1)
    async with r.pipeline() as pipe:
        results = await pipe.incr("n").get("a").execute()
    await r.aclose()

A client belongs to the event loop that it is used in.
"""

from ..backoff import default_backoff
from ..credentials import CredentialProvider, UsernamePasswordCredentialProvider
from ..exceptions import (AuthenticationError, AuthenticationWrongNumberOfArgsError, BusyLoadingError,
                          ChildDeadlockedError, ConnectionError, DataError, InvalidResponse, LockError,
                          LockNotOwnedError, NoPermissionError, NoScriptError, OutOfMemoryError, PubSubError,
                          ReadOnlyError, RedisError, ResponseError, TimeoutError, WatchError)
from .client import Redis, StrictRedis, from_url
from .connection import Connection, SSLConnection, UnixDomainSocketConnection
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

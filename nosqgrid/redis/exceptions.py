"""The exceptions of the Redis client, with the names and the tree that programs for redis-py catch.

    RedisError
      ConnectionError      the connection cannot be made or was lost; AuthenticationError, BusyLoadingError, ...
      TimeoutError         the server did not answer in time
      ResponseError        the server answered with an error; NoScriptError, ReadOnlyError, ...
      DataError            an argument that cannot be sent; nothing was
      WatchError           a watched key changed, and the transaction did nothing
      PubSubError, LockError, InvalidResponse

`from_text` makes the exception for the text of an error reply.
"""


class RedisError(Exception):
    """Root of the tree."""


class ConnectionError(RedisError):
    """A connection could not be made, or ended."""


class TimeoutError(RedisError):
    """Connecting, sending or waiting for a reply took longer than was allowed."""


class AuthenticationError(ConnectionError):
    """The user or the password is wrong, or was not given."""


class AuthorizationError(ConnectionError):
    """The user may not do this."""


class BusyLoadingError(ConnectionError):
    """The server is still loading its data."""


class MaxConnectionsError(ConnectionError):
    """A pool has as many connections as it may have."""


class InvalidResponse(RedisError):
    """What the server sent is not RESP."""


class ResponseError(RedisError):
    """The server answered with an error."""


class DataError(RedisError):
    """Arguments that do not fit, or that cannot be sent."""


class PubSubError(RedisError):
    """A subscription was used in a way that it does not allow."""


class WatchError(RedisError):
    """A watched key was changed before EXEC."""


class NoScriptError(ResponseError):
    """The server does not know the script of this digest."""


class OutOfMemoryError(ResponseError):
    """The server's memory is full."""


class ExecAbortError(ResponseError):
    """A transaction was refused because one of its commands was."""


class ReadOnlyError(ResponseError):
    """A write to a server that takes none."""


class NoPermissionError(ResponseError):
    """The user may not run this command, or not on this key."""


class ModuleError(ResponseError):
    """A module could not be loaded or unloaded."""


class AuthenticationWrongNumberOfArgsError(ResponseError):
    """AUTH was given more words than this server takes."""


class LockError(RedisError, ValueError):
    """A lock could not be acquired, released or extended; `lock_name` is its key."""

    def __init__(self, message=None, lock_name=None):
        super().__init__(message)
        self.message = message
        self.lock_name = lock_name


class LockNotOwnedError(LockError):
    """A lock was released or extended by somebody who does not hold it, or not any more."""


class ChildDeadlockedError(Exception):
    """A forked child hangs on the lock of a pool that its parent held."""


class RedisClusterException(Exception):
    """Something about a cluster that this client cannot do."""


class ClusterError(RedisError):
    """A cluster is not in order."""


class ClusterDownError(ClusterError, ResponseError):
    """The cluster does not serve."""


class MasterDownError(ClusterDownError):
    """The link to the master is down."""


class SlotNotCoveredError(RedisClusterException):
    """No node serves a slot."""


class AskError(ResponseError):
    """The key is being moved to another node."""


class MovedError(AskError):
    """The key lies with another node."""


class TryAgainError(ResponseError):
    """Some keys of a command are being moved; try again."""


class ClusterCrossSlotError(ResponseError):
    """The keys of a command lie in different slots."""


_BY_CODE = {
    "ASK": AskError, "CLUSTERDOWN": ClusterDownError, "CROSSSLOT": ClusterCrossSlotError,
    "EXECABORT": ExecAbortError, "LOADING": BusyLoadingError, "MASTERDOWN": MasterDownError, "MOVED": MovedError,
    "NOAUTH": AuthenticationError, "NOPERM": NoPermissionError, "NOSCRIPT": NoScriptError, "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError, "TRYAGAIN": TryAgainError, "WRONGPASS": AuthenticationError,
}
_BY_MESSAGE = {
    "max number of clients reached": ConnectionError,
    "invalid password": AuthenticationError,
    "Client sent AUTH, but no password is set": AuthenticationError,
    "AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
    "correct?": AuthenticationError,
    "wrong number of arguments for 'auth' command": AuthenticationWrongNumberOfArgsError,
    "wrong number of arguments for 'AUTH' command": AuthenticationWrongNumberOfArgsError,
    "Error loading the extension. Please check the server logs.": ModuleError,
    "Error unloading module: no such module with that name": ModuleError,
    "Error unloading module: operation not possible.": ModuleError,
}


def from_text(text):
    """The exception for the text of an error reply; the code is left out of the message where the class says it.

    >>> error = from_text("NOSCRIPT No matching script. Please use EVAL.")
    >>> type(error).__name__, str(error)
    ('NoScriptError', 'No matching script. Please use EVAL.')
    """
    code, _, message = text.partition(" ")
    if code == "ERR":
        return _BY_MESSAGE.get(message, ResponseError)(message)
    cls = _BY_CODE.get(code)
    return ResponseError(text) if cls is None else cls(message)
